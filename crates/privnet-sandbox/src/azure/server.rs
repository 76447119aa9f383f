//! ARM as a cloud of the sandbox: one request, one transaction.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::actions;
use super::default_world::{CONSUMERS, GROUP, LOCATION, OWN, SUBSCRIPTIONS, TENANT};
use super::error::ArmError;
use super::groups;
use super::id::ArmPath;
use super::login;
use super::operation::End;
use super::read;
use super::request::{Cx, base_of, is_operations};
use super::throttle::{Throttle, remaining, throttled};
use super::world::{World, guid};
use crate::frame::{
    Answer, Clock, CloudServer, Exchange, Failure, KnownBy, Moment, Requests, SandboxError, Setup, Store,
    Transaction,
};

/// Azure Resource Manager over a folder's world.
pub struct AzureServer {
    store: Store<World>,
    throttle: Throttle,
    clock: Clock,
    requests: Requests,
    rate_limits: bool,
    list_lag: SignedDuration,
}

impl fmt::Debug for AzureServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureServer").field("rate_limits", &self.rate_limits).finish_non_exhaustive()
    }
}

impl AzureServer {
    /// Opens the folder's ARM.
    ///
    /// # Errors
    ///
    /// When the folder's state cannot be read.
    pub fn open(setup: &Setup) -> Result<Self, SandboxError> {
        Ok(Self {
            store: Store::open(&setup.dir, "azure")?,
            throttle: Throttle::default(),
            clock: Clock::open(&setup.dir, None)?,
            requests: Requests::open(&setup.dir),
            rate_limits: setup.rate_limits,
            list_lag: SignedDuration::try_from(setup.list_lag).unwrap_or(SignedDuration::ZERO),
        })
    }

    /// The folder's present, for tests that do not hold time in their hand.
    #[cfg(test)]
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Runs over the world after what is due has happened.
    fn with_world<T>(&self, moment: Moment, run: impl FnOnce(&World) -> T) -> Result<T, SandboxError> {
        if moment.stale {
            return self.store.transact_stale(|tx| run(tx));
        }
        self.store.transact(|tx| {
            catch_up(tx, moment.now, &self.requests);
            run(tx)
        })
    }

    /// The same for writes; what fails has no effect.
    fn change<T, E>(
        &self,
        now: Timestamp,
        run: impl FnOnce(&mut World) -> Result<T, E>,
    ) -> Result<Result<T, E>, SandboxError> {
        self.store.transact(|tx| {
            catch_up(tx, now, &self.requests);
            let mut draft: World = (**tx).clone();
            let result = run(&mut draft);
            if result.is_ok() {
                **tx = draft;
            }
            result
        })
    }

    fn arm(&self, exchange: &Exchange, moment: Moment) -> Result<Answer, ArmError> {
        if exchange.path.eq_ignore_ascii_case("/tenants") {
            authorized(exchange)?;
            return Ok(groups::tenants());
        }
        let Some(path) = ArmPath::parse(&exchange.path) else {
            return Err(ArmError::new(404, "NotFound", format!("No route for '{}'.", exchange.path)));
        };
        authorized(exchange)?;
        let version = api_version(exchange)?;
        groups::check_subscription(&path)?;
        let left = self.admit(exchange, &path, moment.now)?;
        let cx = Cx { exchange, now: moment.now, base: base_of(exchange), version, list_lag: self.list_lag };
        let answer = if is_read(exchange) {
            self.with_world(moment, |world| {
                groups::read(world, &cx, &path).unwrap_or_else(|| read::get(world, &cx, &path))
            })
        } else {
            self.change(moment.now, |world| actions::route(world, &cx, &path))
        };
        let answer = answer.map_err(|error| ArmError::new(500, "InternalServerError", error.to_string()))?;
        let answer = answer.unwrap_or_else(|error| error.answer());
        Ok(match left {
            Some(left) => remaining(answer, exchange, left),
            None => answer,
        })
    }

    /// Takes the request out of the subscription's bucket.
    fn admit(&self, exchange: &Exchange, path: &ArmPath, now: Timestamp) -> Result<Option<u64>, ArmError> {
        match (&path.subscription, self.rate_limits) {
            (Some(subscription), true) => {
                self.throttle.take(&subscription.to_ascii_lowercase(), exchange, now).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Lets a request be accepted, and its operation fail at the end: `code=async.CODE` of a fault.
    fn fail_later(&self, exchange: &Exchange, code: &str) -> Answer {
        let answer = self.answer(exchange, Moment::at(self.clock.now()));
        let url =
            answer.headers.iter().find(|(name, _)| name == "azure-asyncoperation" || name == "location");
        let id = url.and_then(|(_, url)| url.split('?').next()?.rsplit('/').next()).map(str::to_owned);
        let Some(id) = id else { return answer };
        let spoilt: Result<(), SandboxError> = self.store.transact(|tx| {
            if let Some(operation) = tx.operations.get_mut(&id) {
                operation.end = match code {
                    "Canceled" => End::Canceled(format!("{} ({})", operation.name, guid())),
                    code => End::Failed(code.to_owned(), format!("The operation failed: {code}.")),
                };
            }
        });
        match spoilt {
            Ok(()) => answer,
            Err(error) => dressed(ArmError::new(500, "InternalServerError", error.to_string()).answer()),
        }
    }
}

/// Lets happen what is due; a world with nothing due is not touched.
fn catch_up(tx: &mut Transaction<World>, now: Timestamp, requests: &Requests) {
    let held = requests.since().is_none();
    if tx.is_due(now) || tx.is_wanted(now, held) {
        tx.settle(now);
        tx.consume(now, held);
    }
}

fn is_read(exchange: &Exchange) -> bool {
    matches!(exchange.method.as_str(), "GET" | "HEAD")
}

/// A bearer token has to be there; which one is not asked (every caller may do everything).
fn authorized(exchange: &Exchange) -> Result<(), ArmError> {
    let token = exchange.header("authorization").and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("Bearer").then_some(token.trim())
    });
    match token {
        Some(token) if !token.is_empty() => Ok(()),
        _ => Err(ArmError::new(
            401,
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.",
        )),
    }
}

/// Any version of ARM's form is taken: clients send many for the same resource.
fn api_version(exchange: &Exchange) -> Result<String, ArmError> {
    let Some(version) = exchange.query_value("api-version").filter(|version| !version.is_empty()) else {
        return Err(ArmError::invalid(
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        ));
    };
    let date = version.get(..10).unwrap_or_default();
    if date.parse::<jiff::civil::Date>().is_ok() {
        return Ok(version);
    }
    Err(ArmError::invalid("InvalidApiVersionParameter", format!("The api-version '{version}' is invalid.")))
}

/// The headers that every answer of ARM has.
fn dressed(answer: Answer) -> Answer {
    let request = guid();
    let mut answer = answer
        .with_header("cache-control", "no-cache")
        .with_header("pragma", "no-cache")
        .with_header("expires", "-1")
        .with_header("strict-transport-security", "max-age=31536000; includeSubDomains")
        .with_header("x-content-type-options", "nosniff")
        .with_header("x-ms-request-id", request.clone())
        .with_header("x-ms-correlation-request-id", request.clone())
        .with_header("x-ms-arm-service-request-id", request);
    if answer.status == 401 {
        answer = answer.with_header(
            "www-authenticate",
            format!("Bearer authorization_uri=\"https://login.microsoftonline.com/{TENANT}\", error=\"invalid_token\""),
        );
    }
    answer
}

impl CloudServer for AzureServer {
    fn cloud(&self) -> &'static str {
        "azure"
    }

    fn action(&self, exchange: &Exchange) -> String {
        let method = &exchange.method;
        match ArmPath::parse(&exchange.path) {
            None if exchange.path.to_ascii_lowercase().ends_with("/token") => format!("{method} token"),
            None => format!("{method} metadata"),
            Some(path)
                if path.group.is_none()
                    && path.pairs.get(1).is_some_and(|(segment, _)| is_operations(segment)) =>
            {
                let segment = path.pairs.get(1).map_or("operations", |(segment, _)| segment.as_str());
                let result = segment.to_ascii_lowercase().ends_with("results");
                format!("{method} {}", if result { "operationResults" } else { "operations" })
            }
            Some(path) => format!("{method} {}", path.kind()),
        }
    }

    fn is_read(&self, exchange: &Exchange) -> bool {
        is_read(exchange)
    }

    fn answer(&self, exchange: &Exchange, moment: Moment) -> Answer {
        match login::answer(exchange) {
            Some(answer) => answer,
            None => dressed(self.arm(exchange, moment).unwrap_or_else(|error| error.answer())),
        }
    }

    fn failure(&self, exchange: &Exchange, failure: &Failure) -> Answer {
        let error = match failure {
            Failure::Throttled => throttled("requests", 1),
            Failure::Internal => ArmError::new(500, "InternalServerError", "An internal error occurred."),
            Failure::Code(code) => match code.strip_prefix("async.") {
                Some(code) => return self.fail_later(exchange, code),
                None => named(code),
            },
        };
        dressed(error.answer())
    }

    fn describe_world(&self, now: Timestamp) -> Value {
        let described = self.with_world(Moment::at(now), describe);
        described.unwrap_or_else(|error| json!({"error": error.to_string()}))
    }

    fn knows(&self, service: &str, now: Timestamp) -> Option<KnownBy> {
        self.with_world(Moment::at(now), |world| world.knows(service)).ok()?
    }

    fn connect(&self, service: &str, consumer: Option<&str>, now: Timestamp) -> Result<Value, String> {
        self.change(now, |world| world.connect(service, consumer, now)).map_err(|error| error.to_string())?
    }

    fn variables(&self, url: &str) -> Vec<(String, String)> {
        let pairs = [
            ("PRIVNET_AZURE_RESOURCE_MANAGER_URL", url),
            ("PRIVNET_INSECURE_LOOPBACK_CREDENTIALS", "1"),
            ("AZURE_AUTHORITY_HOST", url),
            ("AZURE_POD_IDENTITY_AUTHORITY_HOST", url),
            ("AZURE_TENANT_ID", TENANT),
            ("AZURE_CLIENT_ID", login::CLIENT),
            ("AZURE_CLIENT_SECRET", "sandbox"),
            ("AZURE_SUBSCRIPTION_ID", OWN),
            // The Azure CLI asks the public cloud about authorities that it does not know, unless it is told not to.
            ("AZURE_CORE_INSTANCE_DISCOVERY", "false"),
            // Terraform's azurerm (https://registry.terraform.io/providers/hashicorp/azurerm/latest/docs#argument-reference). It takes
            // everything else from the metadata, and must ask neither the Azure CLI for the user's own login, nor for providers by name.
            ("ARM_TENANT_ID", TENANT),
            ("ARM_CLIENT_ID", login::CLIENT),
            ("ARM_CLIENT_SECRET", "sandbox"),
            ("ARM_SUBSCRIPTION_ID", OWN),
            ("ARM_USE_CLI", "false"),
            ("ARM_RESOURCE_PROVIDER_REGISTRATIONS", "none"),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn in_code(&self, url: &str) -> Vec<String> {
        vec![
            "# azure-identity goes by these variables with one word more, azure-mgmt-* by none of them. In Python:".to_owned(),
            "import azure.identity, azure.mgmt.network".to_owned(),
            "credential = azure.identity.EnvironmentCredential(disable_instance_discovery=True)".to_owned(),
            format!(
                "network = azure.mgmt.network.NetworkManagementClient(credential, \"{OWN}\", base_url=\"{url}\", \
                 credential_scopes=[\"{url}/.default\"])"
            ),
        ]
    }
}

/// A code with the status that ARM gives it.
fn named(code: &str) -> ArmError {
    let status = match code {
        "RetryableError" | "TooManyRequests" | "SubscriptionRequestsThrottled" => 429,
        "AnotherOperationInProgress"
        | "Conflict"
        | "InvalidResourceLocation"
        | "ResourceGroupBeingDeleted" => 409,
        "PreconditionFailed" => 412,
        "AuthorizationFailed" | "LinkedAuthorizationFailed" | "RequestDisallowedByPolicy" => 403,
        "AuthenticationFailed" | "ExpiredAuthenticationToken" => 401,
        "ResourceNotFound" | "NotFound" | "ResourceGroupNotFound" | "SubscriptionNotFound" => 404,
        "InternalServerError" => 500,
        "ServiceUnavailable" | "ServerBusy" => 503,
        "GatewayTimeout" => 504,
        _ => 400,
    };
    let mut error = ArmError::new(status, code, format!("The request failed: {code}."));
    if matches!(status, 429 | 503) {
        error.retry_after = Some(1);
    }
    error
}

/// The fixed ids, and what there is now, by type.
fn describe(world: &World) -> Value {
    let mut resources: Map<String, Value> = Map::new();
    for resource in world.resources.values() {
        let list = resources.entry(resource.id.kind()).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(json!(resource.id.to_string()));
        }
    }
    let connections: Vec<Value> = world
        .connections
        .values()
        .map(|connection| {
            json!({"connection": connection.id.to_string(), "endpoint": connection.endpoint.to_string(),
                "status": connection.status.text()})
        })
        .collect();
    let consumers: Vec<Value> = CONSUMERS
        .iter()
        .map(|consumer| json!({"name": consumer.name, "subscription": consumer.subscription, "group": consumer.group}))
        .collect();
    json!({
        "tenant": TENANT, "subscription": OWN, "resource_group": GROUP, "location": LOCATION,
        "subscriptions": SUBSCRIPTIONS.map(|(id, name)| json!({"id": id, "name": name})),
        "consumers": consumers, "resources": resources, "connections": connections,
    })
}
