//! Compute Engine's resources as the JSON that the API describes, and how its parts are read.
//!
//! The official client's models turn into this form and back; what differs between kinds is then which keys are read.

pub(crate) use serde_json::Value as Json;

/// The text at a key.
pub(crate) fn text<'a>(resource: &'a Json, key: &str) -> Option<&'a str> {
    resource.get(key)?.as_str()
}

/// The number at a key, as a number or as text: 64-bit numbers travel as text.
pub(crate) fn number(resource: &Json, key: &str) -> Option<i64> {
    let value = resource.get(key)?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// The switch at a key; absent is off.
pub(crate) fn flag(resource: &Json, key: &str) -> bool {
    resource.get(key).and_then(Json::as_bool).unwrap_or(false)
}

/// The members of the list at a key.
pub(crate) fn list<'a>(resource: &'a Json, key: &str) -> &'a [Json] {
    resource.get(key).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// The texts of the list at a key.
pub(crate) fn texts(resource: &Json, key: &str) -> Vec<String> {
    list(resource, key).iter().filter_map(Json::as_str).map(str::to_owned).collect()
}
