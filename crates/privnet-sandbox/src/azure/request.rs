//! What every handler knows of its request, and the answers that all of them make.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::error::ArmError;
use super::operation::Operation;
use super::world::{Resource, World};
use crate::frame::{Answer, Exchange};

/// One request.
pub(crate) struct Cx<'a> {
    /// As it came in.
    pub(crate) exchange: &'a Exchange,
    /// Sandbox time.
    pub(crate) now: Timestamp,
    /// What links in answers begin with.
    pub(crate) base: String,
    /// The api-version that was asked for.
    pub(crate) version: String,
    /// How long something new is missing from lists.
    pub(crate) list_lag: SignedDuration,
}

/// Scheme and host of links in answers: those of the request, and the public cloud's own for requests that were meant for it
/// (a client whose transport rewrites the address keeps the `Host` header, or says so in `X-Forwarded-Host`).
pub(crate) fn base_of(exchange: &Exchange) -> String {
    let host = exchange.header("x-forwarded-host").unwrap_or(&exchange.host);
    let name = host.split(':').next().unwrap_or_default();
    let public = ["management.azure.com", "login.microsoftonline.com"];
    match public.iter().find(|public| name.eq_ignore_ascii_case(public)) {
        Some(public) => format!("https://{public}"),
        None => exchange.base_url(),
    }
}

impl Cx<'_> {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<Value, ArmError> {
        serde_json::from_slice(&self.exchange.body).map_err(|error| {
            ArmError::invalid(
                "InvalidRequestContent",
                format!("The request content was invalid and could not be deserialized: '{error}'."),
            )
        })
    }

    /// `If-Match` and `If-None-Match` against what is there.
    pub(crate) fn precondition(&self, old: Option<&Resource>) -> Result<(), ArmError> {
        let current = old.map(super::kind::etag);
        let failed = |detail: String| {
            let mut error = ArmError::new(412, "PreconditionFailed", "Precondition failed.");
            error.details.push(("PreconditionFailedEtagMismatch".to_owned(), detail));
            Err(error)
        };
        if let Some(wanted) = self.exchange.header("if-match")
            && wanted != "*"
            && current.as_deref() != Some(wanted)
        {
            let id = old.map(|old| old.id.to_string()).unwrap_or_else(|| self.exchange.path.clone());
            return failed(format!(
                "Etag provided in if-match header {wanted} does not match etag {} of resource {id} in NRP data store.",
                current.unwrap_or_default()
            ));
        }
        if self.exchange.header("if-none-match") == Some("*")
            && let Some(old) = old
        {
            return failed(format!("Resource {} exists and if-none-match is *.", old.id));
        }
        Ok(())
    }

    /// Whether something that new is in lists already.
    pub(crate) fn listed(&self, created: Timestamp) -> bool {
        created.checked_add(self.list_lag).is_ok_and(|visible| visible <= self.now)
    }

    /// One page of a list, with `nextLink` when there is more.
    pub(crate) fn page(&self, items: Vec<Value>) -> Answer {
        const PAGE: usize = 100;
        let start = self
            .exchange
            .query_value("$skiptoken")
            .and_then(|token| token.parse::<usize>().ok())
            .unwrap_or(0);
        let size = self
            .exchange
            .query_value("$top")
            .and_then(|top| top.parse::<usize>().ok())
            .unwrap_or(PAGE)
            .clamp(1, PAGE);
        let total = items.len();
        let page: Vec<Value> = items.into_iter().skip(start).take(size).collect();
        let mut body = json!({"value": page});
        if start + size < total {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in self.exchange.query_pairs() {
                if !name.eq_ignore_ascii_case("$skiptoken") {
                    query.append_pair(&name, &value);
                }
            }
            query.append_pair("$skiptoken", &(start + size).to_string());
            body["nextLink"] = json!(format!("{}{}?{}", self.base, self.exchange.path, query.finish()));
        }
        Answer::json(200, &body)
    }

    /// Adds the headers by which an operation is followed.
    pub(crate) fn follow(&self, answer: Answer, operation: &Operation, location: bool) -> Answer {
        let (status, result) = collections(&operation.namespace);
        let answer =
            answer.with_header("azure-asyncoperation", operation.url(&self.base, status, &self.version));
        let answer = if operation.namespace.eq_ignore_ascii_case("Microsoft.Network") {
            answer.with_header("azure-asyncnotification", "Enabled")
        } else {
            answer
        };
        if location { answer.with_header("location", self.result_url(operation, result)) } else { answer }
    }

    /// `Location` alone.
    pub(crate) fn locate(&self, answer: Answer, operation: &Operation) -> Answer {
        let (_, result) = collections(&operation.namespace);
        answer.with_header("location", self.result_url(operation, result))
    }

    fn result_url(&self, operation: &Operation, result: &str) -> String {
        let url = operation.url(&self.base, result, &self.version);
        if result == "operations" { format!("{url}&monitor=true") } else { url }
    }
}

/// What providers call the collections of operations and of their results.
fn collections(namespace: &str) -> (&'static str, &'static str) {
    match namespace.to_ascii_lowercase().as_str() {
        "microsoft.network" => ("operations", "operationResults"),
        "microsoft.compute" => ("operations", "operations"),
        "microsoft.sql" => {
            ("privateEndpointConnectionAzureAsyncOperation", "privateEndpointConnectionOperationResults")
        }
        _ => ("azureAsyncOperation", "operationResults"),
    }
}

/// Whether a segment under `…/locations/LOCATION/` names operations.
pub(crate) fn is_operations(segment: &str) -> bool {
    let word = segment.to_ascii_lowercase();
    word.ends_with("operations") || word.ends_with("operationresults") || word.ends_with("asyncoperation")
}

/// The operation that was just begun.
pub(crate) fn begun<'a>(world: &'a World, id: &str) -> Result<&'a Operation, ArmError> {
    let lost = || ArmError::new(500, "InternalServerError", "An internal error occurred.");
    world.operations.get(id).ok_or_else(lost)
}
