//! A request that has been understood: its method, its parameters and its body, all checked against the API description.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::api::{API, Method};
use super::body::{Object, object, without_nulls};
use super::error::ApiError;
use super::kinds::catalog;
use super::link::Scope;
use super::world::World;
use super::{check, operation};
use crate::frame::Exchange;

/// Where compute v1 is served.
pub(crate) const PREFIX: &str = "/compute/v1/";

/// A request.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static Method,
    /// The project's id, also when the request names it by number.
    pub(crate) project: String,
    pub(crate) scope: Scope,
    parameters: BTreeMap<String, String>,
    query: BTreeMap<String, String>,
    /// The body; nulls are kept, since a PATCH means them.
    pub(crate) body: Object,
    pub(crate) now: Timestamp,
}

impl Call {
    /// Understands an exchange.
    pub(crate) fn read(world: &World, exchange: &Exchange, now: Timestamp) -> Result<Self, ApiError> {
        let path = exchange.path.strip_prefix(PREFIX).unwrap_or(&exchange.path);
        let route = API
            .route(&exchange.method, path.trim_end_matches('/'))
            .ok_or_else(|| ApiError::not_served(&exchange.method, &exchange.path))?;
        let method = route.method;
        for (name, text) in &route.parameters {
            if let Some(schema) = method.path_parameter(name) {
                check::parameter(name, text, schema)?;
            }
        }
        let query = query(method, exchange)?;
        let project = route.parameters.get("project").map_or("", String::as_str);
        let project =
            world.project_id(project).ok_or_else(|| ApiError::not_found(&format!("projects/{project}")))?;
        let scope = scope(method, &route.parameters)?;
        let body = body(method, exchange)?;
        Ok(Self { method, project, scope, parameters: route.parameters, query, body, now })
    }

    /// A parameter of the path.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    /// A parameter of the query, unless it is empty.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// The collection in the path (`backendServices` for the methods of `regionBackendServices`).
    pub(crate) fn collection(&self) -> &'static str {
        collection(self.method.collection())
    }

    /// `projects/p/<scope>/<collection>`.
    pub(crate) fn parent(&self) -> String {
        format!("projects/{}/{}/{}", self.project, self.scope.segment(), self.collection())
    }

    /// The path of the resource that the request names, found by name or numeric id.
    pub(crate) fn target(&self, world: &World) -> String {
        let used = ["project", "region", "zone"];
        let name = self.parameters.iter().find(|(name, _)| !used.contains(&name.as_str()));
        let path = format!("{}/{}", self.parent(), name.map_or("", |(_, text)| text));
        world.named(&path).unwrap_or(path)
    }
}

/// The collection in paths of a collection of methods.
pub(crate) fn collection(methods: &'static str) -> &'static str {
    match methods {
        "regionBackendServices" => "backendServices",
        "regionHealthChecks" => "healthChecks",
        "regionInstanceGroups" => "instanceGroups",
        "regionInstanceGroupManagers" => "instanceGroupManagers",
        "regionInstanceTemplates" => "instanceTemplates",
        "zoneOperations" | "regionOperations" | "globalOperations" => "operations",
        other => other,
    }
}

fn query(method: &Method, exchange: &Exchange) -> Result<BTreeMap<String, String>, ApiError> {
    let mut query = BTreeMap::new();
    for (name, text) in exchange.query_pairs() {
        match method.query_parameter(&name) {
            Some(schema) => check::parameter(&name, &text, schema)?,
            None if API.is_common(&name) => {}
            None => {
                return Err(ApiError::bad_request(format!(
                    "Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter. Field '{name}' could not be found in request message."
                )));
            }
        }
        query.insert(name, text);
    }
    if let Some(id) = query.get("requestId").filter(|id| !id.is_empty()) {
        operation::check_request_id(id)?;
    }
    Ok(query)
}

fn scope(method: &Method, parameters: &BTreeMap<String, String>) -> Result<Scope, ApiError> {
    // For a region or zone itself an unknown one is a 404, which its handler gives.
    let itself = matches!(method.collection(), "regions" | "zones");
    let place = |kind: &str, name: &str| match itself || catalog::has_place(kind, name) {
        true => Ok(()),
        false => Err(ApiError::field(kind, name, &format!("Unknown {kind}."))),
    };
    match (parameters.get("region"), parameters.get("zone")) {
        (Some(region), _) => place("region", region).map(|()| Scope::Region(region.clone())),
        (_, Some(zone)) => place("zone", zone).map(|()| Scope::Zone(zone.clone())),
        _ => Ok(Scope::Global),
    }
}

fn body(method: &Method, exchange: &Exchange) -> Result<Object, ApiError> {
    let Some(name) = &method.request else { return Ok(Object::new()) };
    if exchange.body.is_empty() {
        return Ok(Object::new());
    }
    let mut body: Value = serde_json::from_slice(&exchange.body)
        .map_err(|_| ApiError::bad_request("Invalid JSON payload received. Unable to parse."))?;
    check::request(method, name, &mut body)?;
    if method.verb() != "patch" {
        without_nulls(&mut body);
    }
    Ok(object(&body))
}
