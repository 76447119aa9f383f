//! Reading and changing JSON objects without ceremony.

use serde_json::{Map, Value};

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// Reads typed members of a JSON object; a member of another type is as absent.
pub(crate) trait Body {
    /// A text that is not empty.
    fn text(&self, name: &str) -> Option<&str>;
    /// A boolean; `false` when absent.
    fn flag(&self, name: &str) -> bool;
    /// An integer.
    fn int(&self, name: &str) -> Option<i64>;
    /// The items of an array; none when absent.
    fn items(&self, name: &str) -> &[Value];
    /// The texts in an array.
    fn texts(&self, name: &str) -> Vec<String>;
    /// Whether there is something: not absent, null, empty text or empty array.
    fn has(&self, name: &str) -> bool;
    /// Sets a member that is absent.
    fn default_to(&mut self, name: &str, value: impl Into<Value>);
}

impl Body for Object {
    fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    fn int(&self, name: &str) -> Option<i64> {
        self.get(name)?.as_i64()
    }

    fn items(&self, name: &str) -> &[Value] {
        self.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn texts(&self, name: &str) -> Vec<String> {
        self.items(name).iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
    }

    fn has(&self, name: &str) -> bool {
        match self.get(name) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(items)) => !items.is_empty(),
            Some(_) => true,
        }
    }

    fn default_to(&mut self, name: &str, value: impl Into<Value>) {
        if self.get(name).is_none_or(Value::is_null) {
            self.insert(name.to_owned(), value.into());
        }
    }
}

/// An empty object, for where one is wanted and none is there.
pub(crate) fn object(value: &Value) -> Object {
    value.as_object().cloned().unwrap_or_default()
}

/// JSON merge patch (RFC 7396), which is what compute's PATCH methods document: null takes a member away, an object is
/// merged, anything else (an empty list too) replaces. What is absent stays.
pub(crate) fn merge(into: &mut Object, patch: &Object) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                into.remove(name);
            }
            Value::Object(inner) => {
                let slot = into.entry(name.clone()).or_insert_with(|| Value::Object(Object::new()));
                if !slot.is_object() {
                    *slot = Value::Object(Object::new());
                }
                if let Value::Object(target) = slot {
                    merge(target, inner);
                }
            }
            other => {
                into.insert(name.clone(), other.clone());
            }
        }
    }
}

/// Takes away nulls, which mean "absent" in a request's body.
pub(crate) fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merges_as_the_rfc_says() {
        let mut target = object(&json!({ "a": 1, "b": { "c": 2, "d": 3 }, "e": [1, 2], "f": "x" }));
        merge(&mut target, &object(&json!({ "a": null, "b": { "c": 4 }, "e": [], "g": true })));
        assert_eq!(Value::Object(target), json!({ "b": { "c": 4, "d": 3 }, "e": [], "f": "x", "g": true }));
    }
}
