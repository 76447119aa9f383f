//! Between a kind's typed struct and the fields of plans, by serde: the struct's field names are the plan's.

use std::collections::BTreeMap;

use privnet_core::{Error, ErrorKind, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The fields or outputs of a resource.
pub(crate) type Fields = BTreeMap<String, Value>;

/// A kind's struct as fields. What is nothing is left out.
pub(crate) fn of<T: Serialize>(typed: &T) -> Fields {
    let Ok(serde_json::Value::Object(object)) = serde_json::to_value(typed) else { return Fields::new() };
    let entries = object.into_iter().filter_map(|(name, value)| Some((name, Value::from_json(value).ok()?)));
    entries.filter(|(_, value)| !value.is_null()).collect()
}

/// Fields as a kind's struct. A field that is missing or of another type is a fault of ours, reported and not hidden.
pub(crate) fn typed<T: DeserializeOwned>(kind: &str, fields: &Fields) -> Result<T, Error> {
    serde_json::to_value(fields).and_then(serde_json::from_value).map_err(|cause| {
        Error::new(ErrorKind::Other, "plan", kind, "the plan's fields are not this kind's").with_cause(cause)
    })
}

/// The text of a reference that was resolved; one that was not has none.
pub(crate) fn resolved(value: &Value) -> &str {
    value.as_text().unwrap_or_default()
}

/// Outputs from pairs.
pub(crate) fn outputs<const N: usize>(pairs: [(&str, &str); N]) -> Fields {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), Value::text(value))).collect()
}
