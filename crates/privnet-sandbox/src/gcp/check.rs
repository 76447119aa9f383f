//! Checks a request (or, in the tests, an answer) against the API description: unknown names, types, formats, enums,
//! name patterns and the fields that a method demands.
//!
//! The messages are those of Google's JSON front end for what it cannot parse (`Invalid JSON payload received …`), and
//! those of Compute Engine for a value that it does not take (`Invalid value for field …`).

use serde_json::Value;

use super::api::{API, Method, Schema};
use super::error::ApiError;

/// Checks `body` against the type `name` and brings numbers into their canonical form (a `uint64` is a string, an
/// `int32` a number), as the public API does on the way in.
pub(crate) fn request(method: &Method, name: &str, body: &mut Value) -> Result<(), ApiError> {
    let place = Place { method: &format!("compute.{}", method.id), at: "resource".to_owned() };
    match API.schema(name) {
        Some(schema) => place.value(schema, body),
        None => Ok(()),
    }
}

/// Checks an answer: everything in it is of its type, in its canonical form, and known. Says what is wrong.
#[cfg(test)]
pub(crate) fn answer(method: &Method, answer: &Value) -> Result<(), String> {
    let Some(name) = &method.response else { return Ok(()) };
    let schema = API.schema(name).ok_or_else(|| format!("no type {name}"))?;
    let mut canonical = answer.clone();
    let place = Place { method: "", at: "answer".to_owned() };
    place.value(schema, &mut canonical).map_err(|error| format!("{}: {}", method.id, error.message))?;
    if canonical == *answer { Ok(()) } else { Err(format!("{}: not canonical: {answer}", method.id)) }
}

/// Checks the text of a parameter in the path or the query.
pub(crate) fn parameter(name: &str, text: &str, schema: &Schema) -> Result<(), ApiError> {
    if let Some(pattern) = &schema.pattern
        && !matches_pattern(pattern, text)
    {
        return Err(ApiError::field(name, text, &format!("Must be a match of regex '{pattern}'")));
    }
    let fits = match (schema.kind.as_deref(), schema.format.as_deref()) {
        (Some("boolean"), _) => matches!(text, "true" | "false" | "True" | "False"),
        (Some("integer"), Some("uint32")) => text.parse::<u32>().is_ok(),
        (Some("integer"), _) => text.parse::<i32>().is_ok(),
        (_, Some("int64")) => text.parse::<i64>().is_ok(),
        _ => true,
    };
    let listed = schema.values.as_ref().is_none_or(|values| values.iter().any(|value| value == text));
    if fits && listed {
        return Ok(());
    }
    Err(ApiError::bad_request(format!("Invalid value at '{}' , \"{text}\"", snake(name))))
}

struct Place<'a> {
    method: &'a str,
    at: String,
}

impl Place<'_> {
    fn child(&self, name: &str) -> Self {
        Place { method: self.method, at: format!("{}.{name}", self.at) }
    }

    fn value(&self, schema: &Schema, value: &mut Value) -> Result<(), ApiError> {
        if value.is_null() {
            return Ok(());
        }
        if let Some(name) = &schema.reference {
            return API.schema(name).map_or(Ok(()), |schema| self.value(schema, value));
        }
        match schema.kind.as_deref() {
            Some("object") => self.object(schema, value),
            Some("array") => self.array(schema, value),
            Some("boolean") => self.expect(value.is_boolean(), "TYPE_BOOL", value),
            Some("integer") => self.integer(schema, value),
            Some("number") => self.expect(value.is_number(), "TYPE_DOUBLE", value),
            Some("string") => self.string(schema, value),
            _ => Ok(()),
        }
    }

    fn object(&self, schema: &Schema, value: &mut Value) -> Result<(), ApiError> {
        let shown = value.clone();
        let Some(members) = value.as_object_mut() else {
            return self.expect(false, "TYPE_MESSAGE", &shown);
        };
        let Some(properties) = &schema.properties else {
            if let Some(inner) = &schema.additional_properties {
                for (name, member) in members.iter_mut() {
                    self.child(name).value(inner, member)?;
                }
            }
            return Ok(());
        };
        for (name, member) in members.iter_mut() {
            match properties.get(name) {
                Some(property) => self.child(name).value(property, member)?,
                None => return Err(self.unknown(name)),
            }
        }
        for (name, property) in properties {
            let absent = members.get(name).is_none_or(Value::is_null);
            if absent && property.required.iter().any(|method| method == self.method) {
                return Err(ApiError::required(&format!("{}.{name}", self.at)));
            }
        }
        Ok(())
    }

    fn array(&self, schema: &Schema, value: &mut Value) -> Result<(), ApiError> {
        let shown = value.clone();
        let Some(items) = value.as_array_mut() else {
            return self.expect(false, "TYPE_ARRAY", &shown);
        };
        let Some(inner) = &schema.items else { return Ok(()) };
        for (index, item) in items.iter_mut().enumerate() {
            let place = Place { method: self.method, at: format!("{}[{index}]", self.at) };
            if item.is_null() {
                return place.expect(false, "TYPE_MESSAGE", item);
            }
            place.value(inner, item)?;
        }
        Ok(())
    }

    fn integer(&self, schema: &Schema, value: &mut Value) -> Result<(), ApiError> {
        let number = match &*value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse::<i64>().ok(),
            _ => None,
        };
        let unsigned = schema.format.as_deref() == Some("uint32");
        let range =
            if unsigned { 0..=i64::from(u32::MAX) } else { i64::from(i32::MIN)..=i64::from(i32::MAX) };
        match number {
            Some(number) if range.contains(&number) => {
                *value = number.into();
                Ok(())
            }
            _ => self.expect(false, if unsigned { "TYPE_UINT32" } else { "TYPE_INT32" }, value),
        }
    }

    fn string(&self, schema: &Schema, value: &mut Value) -> Result<(), ApiError> {
        match schema.format.as_deref() {
            Some("uint64") => return self.wide(value, "TYPE_UINT64", |text| text.parse::<u64>().is_ok()),
            Some("int64") => return self.wide(value, "TYPE_INT64", |text| text.parse::<i64>().is_ok()),
            _ => {}
        }
        let Some(text) = value.as_str() else {
            return self.expect(false, "TYPE_STRING", value);
        };
        if let Some(values) = &schema.values
            && !text.is_empty()
            && !values.iter().any(|known| known == text)
        {
            return Err(ApiError::field(&self.at, text, &format!("Must be one of [{}]", values.join(", "))));
        }
        let pattern = schema.pattern.as_deref().or_else(|| self.is_resource_name().then_some(NAME));
        match pattern {
            Some(pattern) if !matches_pattern(pattern, text) => {
                Err(ApiError::field(&self.at, text, &format!("Must be a match of regex '{pattern}'")))
            }
            _ => Ok(()),
        }
    }

    // A NEG's name has no pattern in the document, but its description gives the same rule.
    fn is_resource_name(&self) -> bool {
        self.at == "resource.name" && self.method.ends_with(".insert")
    }

    fn wide(&self, value: &mut Value, kind: &str, fits: impl Fn(&str) -> bool) -> Result<(), ApiError> {
        let text = match &*value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            _ => String::new(),
        };
        if !fits(&text) {
            return self.expect(false, kind, value);
        }
        *value = Value::String(text);
        Ok(())
    }

    fn expect(&self, holds: bool, kind: &str, value: &Value) -> Result<(), ApiError> {
        if holds {
            return Ok(());
        }
        Err(ApiError::bad_request(format!("Invalid value at '{}' ({kind}), {value}", snake(&self.at))))
    }

    fn unknown(&self, name: &str) -> ApiError {
        let at = if self.at == "resource" { String::new() } else { format!(" at '{}'", snake(&self.at)) };
        ApiError::bad_request(format!(
            "Invalid JSON payload received. Unknown name \"{name}\"{at}: Cannot find field."
        ))
    }
}

/// RFC 1035, as the document writes it.
const NAME: &str = "[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?";
const NAME_OR_ID: &str = "[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?|[1-9][0-9]{0,19}";

/// The few patterns that the document uses.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    match pattern {
        NAME => is_name(text),
        NAME_OR_ID => is_name(text) || is_id(text),
        _ if pattern.ends_with("(?:[0-9]{1,19}|(?:[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?))") => {
            is_project(text)
        }
        "[a-f0-9]{40}" => {
            text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        }
        "[a-zA-Z0-9-_]{1,128}" => {
            (1..=128).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        }
        "[0-9]{1,3}(?:\\.[0-9]{1,3}){3}" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "[0-9]{1,3}(?:\\.[0-9]{1,3}){3}/[0-9]{1,2}" => text.parse::<ipnet::Ipv4Net>().is_ok(),
        _ => false,
    }
}

/// Whether `text` is a resource's name: RFC 1035, 1 to 63 characters.
pub(crate) fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes[0].is_ascii_lowercase()
        && bytes.last().is_some_and(|last| *last != b'-')
        && bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn is_id(text: &str) -> bool {
    (1..=20).contains(&text.len()) && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether `text` can be a project's id or number (an underscore cannot be in either).
pub(crate) fn is_project(text: &str) -> bool {
    let id = text.rsplit(':').next().unwrap_or(text);
    let bytes = id.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes[0] != b'-'
        && bytes.last().is_some_and(|last| *last != b'-')
        && bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// `consumerAcceptLists` as the front end's messages write it.
fn snake(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(path: &str, body: &mut Value) -> Result<(), ApiError> {
        let route = API.route("POST", path).unwrap();
        request(route.method, route.method.request.as_deref().unwrap(), body)
    }

    #[test]
    fn refuses_unknown_names_and_wrong_types() {
        let path = "projects/p/regions/r/serviceAttachments";
        let error = check(path, &mut json!({ "name": "a", "natSubnet": [] })).unwrap_err();
        assert_eq!((error.status, error.reason.as_str()), (400, "badRequest"));
        assert!(error.message.starts_with("Invalid JSON payload received. Unknown name \"natSubnet\""));
        let error = check(path, &mut json!({ "name": "a", "consumerAcceptLists": [{ "project": "x" }] }))
            .unwrap_err();
        assert!(error.message.contains("at 'resource.consumer_accept_lists[0]'"), "{}", error.message);
        let error = check(path, &mut json!({ "name": "a", "enableProxyProtocol": "yes" })).unwrap_err();
        assert!(error.message.contains("TYPE_BOOL"));
        assert!(check(path, &mut json!({ "name": "a", "natSubnets": "x" })).is_err());
    }

    #[test]
    fn refuses_names_enums_and_missing_fields() {
        let path = "projects/p/regions/r/serviceAttachments";
        assert_eq!(check(path, &mut json!({})).unwrap_err().reason, "required");
        let error = check(path, &mut json!({ "name": "Upper" })).unwrap_err();
        assert_eq!(error.reason, "invalid");
        assert!(error.message.contains("'resource.name': 'Upper'. Must be a match of regex"));
        let error = check(path, &mut json!({ "name": "a", "connectionPreference": "YES" })).unwrap_err();
        assert!(error.message.contains("'resource.connectionPreference': 'YES'"));
        let neg = "projects/p/zones/z/networkEndpointGroups";
        assert!(check(neg, &mut json!({ "name": "a_b" })).is_err());
        let long = "a".repeat(64);
        assert!(check(neg, &mut json!({ "name": long })).is_err());
    }

    #[test]
    fn brings_numbers_into_their_form() {
        let mut body = json!({ "name": "a", "targetSize": "2" });
        check("projects/p/zones/z/instanceGroupManagers", &mut body).unwrap();
        assert_eq!(body["targetSize"], 2);
        let error =
            check("projects/p/zones/z/instanceGroupManagers", &mut json!({ "name": "a", "targetSize": 1.5 }));
        assert!(error.unwrap_err().message.contains("TYPE_INT32"));
    }

    #[test]
    fn knows_what_a_project_is() {
        assert!(
            is_project("fivetran-donkeys") && is_project("123456789012") && is_project("example.com:app")
        );
        assert!(!is_project("fivetran_donkeys") && !is_project("-a") && !is_project(""));
    }
}
