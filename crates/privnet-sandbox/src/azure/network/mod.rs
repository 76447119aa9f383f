//! The network provider's types.

mod interface;
mod load_balancer;
mod private_endpoint;
mod private_link_service;
mod public_address;
mod security_group;
mod service_access;
mod virtual_network;

pub(crate) use interface::{NetworkInterfaces, members_of_pool};
pub(crate) use load_balancer::{LoadBalancers, health};
pub(crate) use private_endpoint::{PrivateEndpoints, remove_of_endpoint};
pub(crate) use private_link_service::PrivateLinkServices;
pub(crate) use public_address::PublicAddresses;
pub(crate) use security_group::NetworkSecurityGroups;
pub(crate) use service_access::{ServiceAccess, alias_of, service_of_alias};
pub(crate) use virtual_network::VirtualNetworks;

use serde_json::Value;

use super::error::ArmError;
use super::id::ResourceId;

/// Takes a list property out of a draft, to be changed and put back; absent is empty.
fn take_list(properties: &mut Value, name: &str) -> Vec<Value> {
    match properties.get_mut(name).map(Value::take) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}

/// Drops what only answers carry, gives missing properties an empty object, and refuses nameless or repeated children.
fn tidy_children(list: &mut [Value], by: &ResourceId, what: &str) -> Result<(), ArmError> {
    let mut seen: Vec<String> = Vec::new();
    for child in list.iter_mut() {
        let Some(name) = child["name"].as_str().map(str::to_owned) else {
            return Err(ArmError::invalid(
                "MissingNameOrId",
                format!("An element of {what} of resource {by} has no name."),
            ));
        };
        check_name(&name)?;
        if seen.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            return Err(ArmError::invalid(
                "DuplicateResourceName",
                format!("Resource {by} has two elements of {what} with the name {name}."),
            ));
        }
        seen.push(name);
        if let Some(map) = child.as_object_mut() {
            map.retain(|key, _| matches!(key.as_str(), "name" | "properties" | "zones"));
            map.entry("properties").or_insert_with(|| Value::Object(serde_json::Map::new()));
        }
    }
    Ok(())
}

/// The network provider's rule for names.
pub(crate) fn check_name(name: &str) -> Result<(), ArmError> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let good = (1..=80).contains(&name.len())
        && name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric())
        && name.chars().last().is_some_and(word)
        && name.chars().all(|c| word(c) || c == '.' || c == '-');
    if good {
        return Ok(());
    }
    Err(ArmError::invalid(
        "InvalidResourceName",
        format!(
            "Resource name {name} is invalid. The name can be up to 80 characters long. It must begin with a word character, \
             and it must end with a word character or with '_'. The name may contain word characters or '.', '-', '_'."
        ),
    ))
}

/// Sets a property that is absent.
fn default(properties: &mut Value, name: &str, value: impl Into<Value>) {
    if properties.get(name).is_none_or(Value::is_null) {
        properties[name] = value.into();
    }
}
