//! A checker for the part of JSON Schema (draft 2020-12) that the format's schema uses. It knows nothing of the
//! decoder; a keyword that it does not know is a failure, so that nothing goes unchecked.

use serde_json::Value;

/// What is wrong with a value, each with its path.
pub(crate) fn problems(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "", &mut found);
    found
}

fn check(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        if !passes(schema, keyword, rule, value, path, found) {
            found.push(format!("{path}: {keyword} {rule}"));
        }
    }
}

fn passes(
    schema: &Value,
    keyword: &str,
    rule: &Value,
    value: &Value,
    path: &str,
    found: &mut Vec<String>,
) -> bool {
    match keyword {
        "$schema" | "title" | "description" | "default" | "examples" => true,
        "type" => match rule {
            Value::Array(types) => types.iter().any(|name| is_type(name, value)),
            name => is_type(name, value),
        },
        "const" => rule == value,
        "enum" => rule.as_array().unwrap().contains(value),
        "pattern" => value
            .as_str()
            .is_none_or(|text| regex_lite::Regex::new(rule.as_str().unwrap()).unwrap().is_match(text)),
        "minimum" => value.as_u64().is_none_or(|number| number >= rule.as_u64().unwrap()),
        "maximum" => value.as_u64().is_none_or(|number| number <= rule.as_u64().unwrap()),
        "required" => value.as_object().is_none_or(|map| strings(rule).all(|key| map.contains_key(key))),
        "minProperties" => value.as_object().is_none_or(|map| map.len() as u64 >= rule.as_u64().unwrap()),
        "maxProperties" => value.as_object().is_none_or(|map| map.len() as u64 <= rule.as_u64().unwrap()),
        "minItems" => value.as_array().is_none_or(|list| list.len() as u64 >= rule.as_u64().unwrap()),
        "maxItems" => value.as_array().is_none_or(|list| list.len() as u64 <= rule.as_u64().unwrap()),
        "uniqueItems" => {
            value.as_array().is_none_or(|list| (1..list.len()).all(|at| !list[..at].contains(&list[at])))
        }
        "items" => {
            for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                check(rule, item, &format!("{path}[{at}]"), found);
            }
            true
        }
        "properties" => {
            for (key, inner) in value.as_object().into_iter().flatten() {
                if let Some(rule) = rule.get(key) {
                    check(rule, inner, &format!("{path}.{key}"), found);
                }
            }
            true
        }
        "propertyNames" => {
            for key in value.as_object().into_iter().flat_map(|map| map.keys()) {
                check(rule, &Value::String(key.clone()), &format!("{path}.{key}"), found);
            }
            true
        }
        "additionalProperties" => {
            let known = schema.get("properties").and_then(Value::as_object);
            let other = value
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(key, _)| known.is_none_or(|map| !map.contains_key(*key)));
            let other: Vec<_> = other.collect();
            if rule == &Value::Bool(false) {
                return other.is_empty();
            }
            for (key, inner) in other {
                check(rule, inner, &format!("{path}.{key}"), found);
            }
            true
        }
        "anyOf" => rule.as_array().unwrap().iter().any(|schema| problems(schema, value).is_empty()),
        "oneOf" => {
            rule.as_array().unwrap().iter().filter(|schema| problems(schema, value).is_empty()).count() == 1
        }
        other => panic!("the checker does not know {other}"),
    }
}

fn strings(rule: &Value) -> impl Iterator<Item = &str> {
    rule.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn is_type(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the checker does not know the type {other}"),
    }
}
