//! Compute v1 as its discovery document describes it: which requests exist, and what their bodies may hold.
//!
//! `compute-v1.json` is extracted from the document that google-api-python-client ships, by
//! `integration-tests/gcp/extract_api.py`; it holds paths, types, enums and patterns of what the sandbox serves.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// The extracted description.
pub(crate) static API: LazyLock<Api> = LazyLock::new(Api::load);

/// What the sandbox serves of compute v1.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Api {
    /// The revision of the discovery document.
    pub(crate) revision: String,
    common_parameters: Vec<String>,
    methods: BTreeMap<String, Method>,
    schemas: BTreeMap<String, Schema>,
}

/// One method.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Method {
    /// `collection.verb`, such as `regionBackendServices.getHealth`.
    #[serde(skip)]
    pub(crate) id: String,
    http: String,
    path: String,
    #[serde(default)]
    path_parameters: BTreeMap<String, Schema>,
    #[serde(default)]
    query_parameters: BTreeMap<String, Schema>,
    /// The schema of the request's body.
    pub(crate) request: Option<String>,
    /// The schema of the answer's body.
    pub(crate) response: Option<String>,
}

/// A type, as discovery documents write it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Schema {
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) format: Option<String>,
    #[serde(rename = "enum")]
    pub(crate) values: Option<Vec<String>>,
    pub(crate) pattern: Option<String>,
    #[serde(rename = "$ref")]
    pub(crate) reference: Option<String>,
    pub(crate) properties: Option<BTreeMap<String, Schema>>,
    pub(crate) items: Option<Box<Schema>>,
    pub(crate) additional_properties: Option<Box<Schema>>,
    /// The methods (`compute.firewalls.insert`) that demand this property.
    #[serde(default)]
    pub(crate) required: Vec<String>,
}

/// A request that belongs to a method.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: &'static Method,
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Api {
    #[allow(clippy::expect_used, reason = "the description is part of the crate; a test reads it")]
    fn load() -> Self {
        let mut api: Self = serde_json::from_str(include_str!("compute-v1.json"))
            .expect("compute-v1.json is an API description");
        for (id, method) in &mut api.methods {
            method.id.clone_from(id);
        }
        api
    }

    /// The method of `http` at `path`, which is relative to `…/compute/v1/`.
    pub(crate) fn route(&'static self, http: &str, path: &str) -> Option<Route> {
        let segments: Vec<&str> = path.split('/').collect();
        self.methods
            .values()
            .filter(|method| method.http == http)
            .find_map(|method| Some(Route { method, parameters: bind(&method.path, &segments)? }))
    }

    /// The methods that change nothing: id, HTTP method, path.
    #[cfg(test)]
    pub(crate) fn reads(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let reading = |method: &&Method| {
            method.http == "GET" || method.response.as_deref() != Some("Operation") || method.verb() == "wait"
        };
        let reads = self.methods.values().filter(reading).filter(|method| method.http != "DELETE");
        reads.map(|method| (method.id.as_str(), method.http.as_str(), method.path.as_str()))
    }

    /// The type of that name.
    pub(crate) fn schema(&self, name: &str) -> Option<&Schema> {
        self.schemas.get(name)
    }

    /// Whether any method takes `name` as a query parameter (`fields`, `prettyPrint` …).
    pub(crate) fn is_common(&self, name: &str) -> bool {
        // System parameters may be written with a dollar sign: the Rust client sends `$alt`.
        let plain = name.strip_prefix('$').unwrap_or(name);
        // A system parameter of all Google APIs that no method lists: <https://cloud.google.com/apis/docs/system-parameters>.
        if plain == "apiVersion" {
            return true;
        }
        // Older clients send `returnPartialSuccess`, and the public API still takes it.
        name == "returnPartialSuccess"
            || self.common_parameters.iter().any(|common| common == name || common == plain)
    }
}

impl Method {
    /// The part before the dot.
    pub(crate) fn collection(&self) -> &str {
        self.id.split('.').next().unwrap_or_default()
    }

    /// The part after the dot.
    pub(crate) fn verb(&self) -> &str {
        self.id.split('.').nth(1).unwrap_or_default()
    }

    /// The type of a parameter in the path.
    pub(crate) fn path_parameter(&self, name: &str) -> Option<&Schema> {
        self.path_parameters.get(name)
    }

    /// The type of a parameter in the query.
    pub(crate) fn query_parameter(&self, name: &str) -> Option<&Schema> {
        self.query_parameters.get(name)
    }
}

fn bind(template: &str, segments: &[&str]) -> Option<BTreeMap<String, String>> {
    let parts: Vec<&str> = template.split('/').collect();
    if parts.len() != segments.len() {
        return None;
    }
    let mut bound = BTreeMap::new();
    for (part, segment) in parts.iter().zip(segments) {
        match part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => {
                let text = percent_encoding::percent_decode_str(segment).decode_utf8().ok()?;
                bound.insert(name.to_owned(), text.into_owned());
            }
            None if part == segment => {}
            None => return None,
        }
    }
    Some(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_methods_by_path() {
        let route = API.route("POST", "projects/p/regions/r/backendServices/b/getHealth").unwrap();
        assert_eq!(route.method.id, "regionBackendServices.getHealth");
        assert_eq!(route.parameters["backendService"], "b");
        let route = API.route("GET", "projects/p/global/images/family/debian-12").unwrap();
        assert_eq!(route.method.id, "images.getFromFamily");
        assert!(API.route("DELETE", "projects/p").is_none());
        assert!(API.route("GET", "projects/p/regions/r/routers").is_none());
    }

    #[test]
    fn knows_every_type_that_it_mentions() {
        for method in API.methods.values() {
            for name in method.request.iter().chain(&method.response) {
                assert!(API.schema(name).is_some(), "{name}");
            }
        }
    }
}
