//! How a resource is shown: what was stored, and what is computed from the world at that time.

use base64::Engine as _;
use serde_json::{Value, json};

use super::body::{Body, Object};
use super::call::Call;
use super::error::ApiError;
use super::kinds::{address, attachment, group, instance, manager, network, rule};
use super::link::{self, Parts, Scope};
use super::world::{Record, World, stable_hash, stamp};

/// What only the server sets: a client that sends a resource back as it read it sends these too, and they are ignored.
const OUTPUT_ONLY: [&str; 27] = [
    "kind",
    "id",
    "creationTimestamp",
    "selfLink",
    "selfLinkWithId",
    "region",
    "zone",
    "fingerprint",
    "labelFingerprint",
    "status",
    "size",
    "users",
    "usedBy",
    "connectedEndpoints",
    "pscServiceAttachmentId",
    "pscConnectionId",
    "pscConnectionStatus",
    "gatewayAddress",
    "subnetworks",
    "instanceGroup",
    "currentActions",
    "cpuPlatform",
    "lastStartTimestamp",
    "lastStopTimestamp",
    "resourceStatus",
    "serviceName",
    "state",
];

/// Takes away what only the server sets.
pub(crate) fn strip(body: &mut Object) {
    body.retain(|name, _| !OUTPUT_ONLY.contains(&name.as_str()));
}

/// Writes where the resource is, as the request's path says.
pub(crate) fn place(body: &mut Object, call: &Call) {
    let place = link::url(&format!("projects/{}/{}", call.project, call.scope.segment()));
    match call.scope {
        Scope::Region(_) => body.insert("region".to_owned(), place.into()),
        Scope::Zone(_) => body.insert("zone".to_owned(), place.into()),
        Scope::Global => None,
    };
}

/// A resource as its GET answers it.
pub(crate) fn resource(world: &World, path: &str, record: &Record, call: &Call) -> Object {
    let mut shown = record.body.clone();
    let Some(parts) = Parts::parse(path) else { return shown };
    let set = |shown: &mut Object, name: &str, value: Value| shown.insert(name.to_owned(), value);
    set(&mut shown, "kind", json!(format!("compute#{}", kind(&parts.collection))));
    set(&mut shown, "id", json!(record.id.to_string()));
    set(&mut shown, "creationTimestamp", json!(stamp(record.created)));
    set(&mut shown, "selfLink", json!(link::url(path)));
    if has_fingerprint(&parts.collection) {
        set(&mut shown, "fingerprint", json!(fingerprint(record)));
    }
    if has_labels(&parts.collection) {
        set(&mut shown, "labelFingerprint", json!(label_fingerprint(&record.body)));
    }
    match parts.collection.as_str() {
        "networks" => network::show(world, path, record, &mut shown),
        "addresses" => address::show(world, path, record, &mut shown),
        "forwardingRules" => rule::show(world, path, record, &mut shown),
        "serviceAttachments" => {
            attachment::show(world, path, record, call.query("showNatIps") == Some("true"), &mut shown);
        }
        "networkEndpointGroups" => set_size(&mut shown, record),
        "instanceGroups" => group::show(world, record, &mut shown),
        "instanceGroupManagers" => manager::show(world, path, record, call.now, &mut shown),
        "instances" => instance::show(world, record, call.now, &mut shown),
        _ => {}
    }
    shown
}

fn set_size(shown: &mut Object, record: &Record) {
    shown.insert("size".to_owned(), json!(record.members.len()));
}

/// `subnetwork` of `subnetworks`.
pub(crate) fn kind(collection: &str) -> &str {
    match collection {
        "addresses" => "address",
        other => other.strip_suffix('s').unwrap_or(other),
    }
}

fn has_fingerprint(collection: &str) -> bool {
    matches!(
        collection,
        "serviceAttachments"
            | "backendServices"
            | "subnetworks"
            | "forwardingRules"
            | "instanceGroupManagers"
            | "instances"
            | "instanceGroups"
    )
}

fn has_labels(collection: &str) -> bool {
    matches!(collection, "forwardingRules" | "addresses" | "instances" | "images")
}

/// A hash of a resource's contents.
pub(crate) fn fingerprint(record: &Record) -> String {
    encode(&format!("{} {}", record.id, Value::Object(record.body.clone())))
}

/// A hash of a resource's labels.
pub(crate) fn label_fingerprint(body: &Object) -> String {
    match body.get("labels").and_then(Value::as_object) {
        Some(labels) if !labels.is_empty() => encode(&Value::Object(labels.clone()).to_string()),
        // What the public API gives for no labels.
        _ => "42WmSpB8rSM=".to_owned(),
    }
}

fn encode(text: &str) -> String {
    base64::engine::general_purpose::URL_SAFE.encode(stable_hash(text).to_be_bytes())
}

/// 412 unless the fingerprint is the current one; a missing one is as a wrong one where the API demands it.
pub(crate) fn check_fingerprint(record: &Record, given: &Object, demanded: bool) -> Result<(), ApiError> {
    match given.text("fingerprint") {
        // Both alphabets of base64 mean the same bytes.
        Some(text) if text.replace('+', "-").replace('/', "_") == fingerprint(record) => Ok(()),
        None if !demanded => Ok(()),
        _ => Err(ApiError::condition_not_met("fingerprint")),
    }
}

/// Label keys and values, as the documents describe them.
pub(crate) fn check_labels(labels: &Value) -> Result<(), ApiError> {
    let Some(labels) = labels.as_object() else { return Ok(()) };
    let fits = |text: &str| {
        text.chars().count() <= 63
            && text.chars().all(|letter| {
                letter == '-'
                    || letter == '_'
                    || letter.is_numeric()
                    || (letter.is_alphabetic() && !letter.is_uppercase())
            })
    };
    for (key, value) in labels {
        let value = value.as_str().unwrap_or_default();
        let starts = key.chars().next().is_some_and(|first| first.is_alphabetic() && !first.is_uppercase());
        if !starts || !fits(key) || !fits(value) {
            return Err(ApiError::field(
                "resource.labels",
                &format!("{key}={value}"),
                "Label keys and values must be at most 63 lower-case letters, digits, dashes and underscores; a key starts with a letter.",
            ));
        }
    }
    match labels.len() {
        0..=64 => Ok(()),
        _ => Err(ApiError::field("resource.labels", "", "At most 64 labels are allowed.")),
    }
}
