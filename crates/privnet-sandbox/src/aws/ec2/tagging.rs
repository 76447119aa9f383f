//! Tags of EC2's objects.
//!
//! Sources: EC2 user guide "Tag your Amazon EC2 resources" (limits), API reference of CreateTags, DeleteTags, DescribeTags.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::filter::Filters;
use crate::aws::page::page;
use crate::aws::world::IMAGE_SWITCH;

/// A tag as requests write it. CreateTags without a value means an empty one; DeleteTags without one means any.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagInput {
    key: String,
    value: Option<String>,
}

/// `TagSpecification` of a create call.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagSpecification {
    resource_type: Option<String>,
    #[serde(default)]
    tags: Vec<TagInput>,
}

/// The tags that a create call gives to its object, checked.
pub(super) fn specified(
    specs: &[TagSpecification],
    kind: &str,
) -> Result<BTreeMap<String, String>, ApiError> {
    let mut tags = BTreeMap::new();
    for (n, spec) in specs.iter().enumerate() {
        if spec.resource_type.as_deref() != Some(kind) {
            let given = spec.resource_type.as_deref().unwrap_or_default();
            let why = format!("'{given}' is not a valid taggable resource type for this operation.");
            return Err(ApiError::new("InvalidParameterValue", why));
        }
        if n > 0 {
            let why = "Tag specification resource types must be unique";
            return Err(ApiError::new("InvalidParameterValue", why));
        }
        tags.extend(checked(&spec.tags)?);
    }
    Ok(tags)
}

fn checked(tags: &[TagInput]) -> Result<BTreeMap<String, String>, ApiError> {
    let mut out = BTreeMap::new();
    for tag in tags {
        let value = tag.value.clone().unwrap_or_default();
        if tag.key.is_empty() || tag.key.chars().count() > 127 {
            let why = format!("Tag key '{}' must have between 1 and 127 characters", tag.key);
            return Err(ApiError::new("InvalidParameterValue", why));
        }
        if value.chars().count() > 256 {
            return Err(ApiError::new(
                "InvalidParameterValue",
                "Tag value exceeds the maximum length of 256",
            ));
        }
        if tag.key.to_ascii_lowercase().starts_with("aws:") {
            let why = format!("Tag keys starting with 'aws:' are reserved for internal use: {}", tag.key);
            return Err(ApiError::new("InvalidParameterValue", why));
        }
        if out.insert(tag.key.clone(), value).is_some() {
            let why = format!("Duplicate tag key '{}' specified.", tag.key);
            return Err(ApiError::new("InvalidParameterValue", why));
        }
    }
    if out.len() > 50 {
        return Err(ApiError::new("TagLimitExceeded", "The maximum number of tags for a resource is 50"));
    }
    Ok(out)
}

/// Writes checked tags to an object.
pub(super) fn write(tx: &mut Tx, call: &Call, id: &str, tags: &BTreeMap<String, String>) {
    for (key, value) in tags {
        tx.tags.set(id, key, value, call.now);
    }
}

/// An object's tags as answers show them.
pub(super) fn shown(tx: &Tx, id: &str) -> Value {
    tx.tags.of(id).into_iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tagging {
    resources: Vec<String>,
    #[serde(default)]
    tags: Vec<TagInput>,
}

pub(super) fn create_tags(tx: &mut Tx, call: &Call) -> Reply {
    let input: Tagging = call.input()?;
    let tags = checked(&input.tags)?;
    for id in &input.resources {
        kind_of(tx, call, id)?;
        let mut all: std::collections::BTreeSet<&str> = tx.tags.of(id).into_keys().collect();
        all.extend(tags.keys().map(String::as_str));
        if all.len() > 50 {
            return Err(ApiError::new("TagLimitExceeded", "The maximum number of tags for a resource is 50"));
        }
    }
    for id in &input.resources {
        write(tx, call, id, &tags);
        if let Some(value) = tags.get(IMAGE_SWITCH) {
            tx.switch_image(id, value, call.now);
        }
    }
    Ok(Value::Null)
}

pub(super) fn delete_tags(tx: &mut Tx, call: &Call) -> Reply {
    let input: Tagging = call.input()?;
    for id in &input.resources {
        kind_of(tx, call, id)?;
        if input.tags.is_empty() {
            let keys: Vec<String> = tx.tags.of(id).into_keys().map(str::to_owned).collect();
            keys.iter().for_each(|key| tx.tags.remove(id, key, None, call.now));
        }
        for tag in &input.tags {
            tx.tags.remove(id, &tag.key, tag.value.as_deref(), call.now);
        }
    }
    Ok(Value::Null)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeTags {
    #[serde(default)]
    filters: Filters,
    max_results: Option<usize>,
    next_token: Option<String>,
}

pub(super) fn describe_tags(tx: &mut Tx, call: &Call) -> Reply {
    let input: DescribeTags = call.input()?;
    input.filters.check(&["key", "resource-id", "resource-type", "value"], true)?;
    let mut found = Vec::new();
    for id in tx.tags.resources() {
        let Ok(kind) = kind_of(tx, call, id) else { continue };
        for (key, value) in tx.tags.seen(id, call.now, call.lag) {
            let field = |name: &str| match name {
                "key" => vec![key.to_owned()],
                "value" => vec![value.to_owned()],
                "resource-id" => vec![id.to_owned()],
                _ => vec![kind.to_owned()],
            };
            if input.filters.matches(tx, call, id, field) {
                found.push((id, key, value, kind));
            }
        }
    }
    let key = |(id, key, ..): &(&str, &str, &str, &str)| format!("{id} {key}");
    let page = page(found, key, call, input.max_results, input.next_token.as_deref())?;
    let show = |(id, key, value, kind): &(&str, &str, &str, &str)| json!({"ResourceId": id, "Key": key, "Value": value, "ResourceType": kind});
    Ok(json!({"Tags": page.items.iter().map(show).collect::<Vec<_>>(), "NextToken": page.next}))
}

/// The resource type of a taggable object of the caller's, or the error that it is not there.
fn kind_of(tx: &Tx, call: &Call, id: &str) -> Result<&'static str, ApiError> {
    let mine = |scope: &crate::aws::world::Scope| *scope == call.scope;
    let prefix = id.rsplit_once('-').map_or("", |(prefix, _)| prefix);
    let (kind, exists, missing) = match prefix {
        "vpc" => ("vpc", tx.vpcs.get(id).is_some_and(|o| mine(&o.scope)), "InvalidVpcID.NotFound"),
        "subnet" => {
            ("subnet", tx.subnets.get(id).is_some_and(|o| mine(&o.scope)), "InvalidSubnetID.NotFound")
        }
        "sg" => {
            ("security-group", tx.groups.get(id).is_some_and(|o| mine(&o.scope)), "InvalidGroup.NotFound")
        }
        "sgr" => (
            "security-group-rule",
            tx.rules.get(id).is_some_and(|o| mine(&o.scope)),
            "InvalidSecurityGroupRuleId.NotFound",
        ),
        "i" => {
            ("instance", tx.instances.get(id).is_some_and(|o| mine(&o.scope)), "InvalidInstanceID.NotFound")
        }
        "ami" => ("image", tx.image(&call.scope.region, id).is_some(), "InvalidAMIID.NotFound"),
        "lt" => (
            "launch-template",
            tx.launch_templates.get(id).is_some_and(|o| mine(&o.scope)),
            "InvalidLaunchTemplateId.NotFound",
        ),
        "eni" => (
            "network-interface",
            tx.interfaces.get(id).is_some_and(|o| mine(&o.scope) && o.exists(call.now)),
            "InvalidNetworkInterfaceID.NotFound",
        ),
        "vpce-svc" => (
            "vpc-endpoint-service",
            tx.services.get(id).is_some_and(|o| mine(&o.scope) && o.state(call.now).is_some()),
            "InvalidVpcEndpointServiceId.NotFound",
        ),
        "vpce-svc-perm" => (
            "vpc-endpoint-service-permission",
            tx.services.values().any(|o| mine(&o.scope) && o.permissions.values().any(|p| p.id == id)),
            "InvalidVpcEndpointServicePermissionId.NotFound",
        ),
        "vpce-svc-conn" => (
            "vpc-endpoint-connection",
            tx.endpoints
                .values()
                .any(|o| o.connection == id && tx.services.get(&o.service).is_some_and(|s| mine(&s.scope))),
            "InvalidVpcEndpointConnectionId.NotFound",
        ),
        "vpce" => (
            "vpc-endpoint",
            tx.endpoints.get(id).is_some_and(|o| mine(&o.scope) && o.state(call.now).is_some()),
            "InvalidVpcEndpointId.NotFound",
        ),
        _ => ("", false, "InvalidID"),
    };
    if exists { Ok(kind) } else { Err(ApiError::new(missing, format!("The ID '{id}' does not exist"))) }
}
