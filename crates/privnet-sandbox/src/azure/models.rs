//! What a request may say: the property tables of Microsoft's published API models.
//!
//! `models.json` is written by `integration-tests/azure/describe_models.py` from azure-mgmt-network and
//! azure-mgmt-compute, which Microsoft generates from its API descriptions. A body is brought into canonical form by it:
//! names match without case, nulls and read-only properties go, wrong types and unknown names are errors.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::error::ArmError;

type Table = HashMap<String, HashMap<String, (String, String)>>;

static MODELS: LazyLock<Table> =
    LazyLock::new(|| serde_json::from_str(include_str!("models.json")).unwrap_or_default());

/// Properties that real answers have and the published models lack; clients that read, change and write send them back.
const UNDOCUMENTED: [&str; 13] = [
    "allowPort25Out",
    "allowBackendPortConflict",
    "backendIPConfigurations",
    "enableDestinationServiceEndpoint",
    "enableVmProtection",
    "etag",
    "hostedWorkloads",
    "id",
    "kind",
    "name",
    "provisioningState",
    "resourceGuid",
    "type",
];

/// Brings a body into the canonical form of `model`.
pub(crate) fn canonical(model: &str, body: &Value) -> Result<Map<String, Value>, ArmError> {
    match object(model, body, "")? {
        Value::Object(map) => Ok(map),
        _ => Err(refused(model, "Expected an object.".to_owned())),
    }
}

fn refused(model: &str, detail: String) -> ArmError {
    if model.starts_with("compute.") {
        ArmError::invalid("BadRequest", detail)
    } else {
        ArmError::unreadable(detail)
    }
}

fn object(model: &str, value: &Value, path: &str) -> Result<Value, ArmError> {
    let Some(fields) = MODELS.get(model) else { return Ok(value.clone()) };
    let Value::Object(given) = value else {
        return Err(refused(
            model,
            format!("Error converting value to type '{}'. Path '{path}'.", short(model)),
        ));
    };
    let mut out = Map::new();
    for (name, value) in given {
        let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let Some((known, (kind, access))) = fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))
        else {
            if UNDOCUMENTED.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                continue;
            }
            let detail =
                format!("Could not find member '{name}' on object of type '{}'. Path '{at}'.", short(model));
            return Err(refused(model, detail));
        };
        if access == "w" && !value.is_null() {
            out.insert(known.clone(), typed(model, kind, value, &at)?);
        }
    }
    Ok(Value::Object(out))
}

fn short(model: &str) -> &str {
    model.rsplit('.').next().unwrap_or(model)
}

fn typed(model: &str, kind: &str, value: &Value, path: &str) -> Result<Value, ArmError> {
    let wrong = || {
        Err(refused(model, format!("Error converting value {value} to the property's type. Path '{path}'.")))
    };
    if let Some(element) = kind.strip_prefix('[') {
        let Value::Array(list) = value else { return wrong() };
        let list: Result<Vec<Value>, ArmError> = list
            .iter()
            .enumerate()
            .map(|(index, value)| typed(model, element, value, &format!("{path}[{index}]")))
            .collect();
        return list.map(Value::Array);
    }
    if let Some(words) = kind.strip_prefix("e:") {
        let Some(text) = value.as_str() else { return wrong() };
        // A word that the pinned models do not know is the server's newer or stranger enumeration: refused like ARM does.
        return match words.split(',').find(|word| word.eq_ignore_ascii_case(text)) {
            Some(word) => Ok(Value::from(word)),
            None => wrong(),
        };
    }
    match kind {
        "s" if value.is_string() => Ok(value.clone()),
        "b" if value.is_boolean() => Ok(value.clone()),
        "b" => match value.as_str().map(str::to_ascii_lowercase).as_deref() {
            Some("true") => Ok(Value::Bool(true)),
            Some("false") => Ok(Value::Bool(false)),
            _ => wrong(),
        },
        "n" if value.is_number() => Ok(value.clone()),
        "n" => match value.as_str().and_then(|text| text.parse::<i64>().ok()) {
            Some(number) => Ok(Value::from(number)),
            None => wrong(),
        },
        "m" if value.as_object().is_some_and(|map| map.values().all(Value::is_string)) => Ok(value.clone()),
        "s" | "m" => wrong(),
        "o" => Ok(value.clone()),
        other => object(other, value, path),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_match_without_case_and_read_only_ones_go() {
        let body = json!({"LOCATION": "eastus2", "etag": "x", "properties": {
            "loadBalancerFrontendIPConfigurations": [{"id": "/x"}], "alias": "mine", "enableProxyProtocol": "True",
            "accessMode": "restricted", "fqdns": null}});
        let out = canonical("network.PrivateLinkService", &body).unwrap();
        assert_eq!(
            Value::Object(out),
            json!({"location": "eastus2", "properties": {"loadBalancerFrontendIpConfigurations": [{"id": "/x"}],
                "enableProxyProtocol": true, "accessMode": "Restricted"}})
        );
    }

    #[test]
    fn unknown_names_and_wrong_types_are_refused_in_the_providers_words() {
        let error =
            canonical("network.Subnet", &json!({"properties": {"adressPrefix": "10.0.0.0/24"}})).unwrap_err();
        assert_eq!((error.status, error.code.as_str()), (400, "InvalidRequestFormat"));
        assert_eq!(error.details[0].0, "InvalidJson");
        assert!(
            error.details[0].1.contains("'adressPrefix' on object of type 'SubnetPropertiesFormat'"),
            "{error:?}"
        );
        let bad = json!({"properties": {"enableProxyProtocol": "perhaps"}});
        assert!(canonical("network.PrivateLinkService", &bad).is_err());
        let bad = json!({"properties": {"nonsense": 1}});
        assert_eq!(canonical("compute.VirtualMachineScaleSet", &bad).unwrap_err().code, "BadRequest");
    }

    #[test]
    fn every_model_that_a_property_names_is_in_the_table() {
        assert!(MODELS.len() > 100);
        for (model, fields) in MODELS.iter() {
            for (name, (kind, _)) in fields {
                let element = kind.trim_start_matches('[');
                let plain = element.starts_with("e:") || ["s", "b", "n", "m", "o"].contains(&element);
                assert!(plain || MODELS.contains_key(element), "{model}.{name}: {element}");
            }
        }
    }
}
