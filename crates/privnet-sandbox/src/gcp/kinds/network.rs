//! VPC networks.

use serde_json::{Value, json};

use super::super::body::{Body, Object};
use super::super::error::{ApiError, Failure};
use super::super::link;
use super::super::world::{Record, World};
use super::Made;

pub(super) fn insert(mut body: Object) -> Result<Made, Failure> {
    if body.has("IPv4Range") || !body.contains_key("autoCreateSubnetworks") {
        return Err(ApiError::field(
            "resource.IPv4Range",
            "",
            "Legacy networks are no longer supported; set autoCreateSubnetworks.",
        )
        .into());
    }
    if body.flag("autoCreateSubnetworks") {
        return Err(ApiError::field(
            "resource.autoCreateSubnetworks",
            "true",
            "The sandbox has no auto mode networks.",
        )
        .into());
    }
    if let Some(mtu) = body.int("mtu")
        && !(1300..=8896).contains(&mtu)
    {
        return Err(
            ApiError::field("resource.mtu", &mtu.to_string(), "Must be between 1300 and 8896.").into()
        );
    }
    body.default_to("networkFirewallPolicyEnforcementOrder", "AFTER_CLASSIC_FIREWALL");
    body.default_to("routingConfig", json!({}));
    if let Some(Value::Object(routing)) = body.get_mut("routingConfig") {
        routing.default_to("routingMode", "REGIONAL");
        routing.default_to("bgpBestPathSelectionMode", "LEGACY");
    }
    Ok(Made { body, ..Made::default() })
}

pub(super) fn change(old: &Object, new: Object) -> Result<Object, Failure> {
    super::immutable(old, &new, &["autoCreateSubnetworks", "networkProfile", "description"])?;
    Ok(new)
}

pub(crate) fn show(world: &World, path: &str, record: &Record, shown: &mut Object) {
    let url = link::url(path);
    let subnetworks: Vec<String> = world
        .resources
        .iter()
        .filter(|(path, record)| path.contains("/subnetworks/") && record.body.text("network") == Some(&url))
        .map(|(path, _)| link::url(path))
        .collect();
    if !subnetworks.is_empty() {
        shown.insert("subnetworks".to_owned(), json!(subnetworks));
    }
    let parent = path.rsplit_once('/').map_or(path, |(parent, _)| parent);
    shown.insert("selfLinkWithId".to_owned(), json!(link::url(&format!("{parent}/{}", record.id))));
}
