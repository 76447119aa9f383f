//! Reserved addresses, and which addresses of a subnetwork are taken.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::super::body::{Body, Object};
use super::super::call::Call;
use super::super::error::{ApiError, Failure};
use super::super::world::{Record, World, stable_hash};
use super::super::{connection, link, view};
use super::{Made, subnetwork};

pub(super) fn insert(world: &World, call: &Call, mut body: Object) -> Result<Made, Failure> {
    body.default_to("addressType", "EXTERNAL");
    body.default_to("networkTier", "PREMIUM");
    view::check_labels(body.get("labels").unwrap_or(&Value::Null))?;
    if body.text("addressType") == Some("EXTERNAL") {
        let octet = stable_hash(&format!("{} {}", call.parent(), world.counter)) % 60000;
        body.default_to(
            "address",
            Ipv4Addr::from(u32::from(Ipv4Addr::new(34, 86, 0, 10)) + octet as u32).to_string(),
        );
        return Ok(Made { body, ..Made::default() });
    }
    body.default_to("purpose", "GCE_ENDPOINT");
    let reference =
        body.text("subnetwork").ok_or_else(|| ApiError::required("resource.subnetwork"))?.to_owned();
    let (path, _, _) = subnetwork::refer(world, call, "resource.subnetwork", &reference)?;
    let address = take(world, &path, "resource.address", body.text("address"))?;
    body.insert("address".to_owned(), address.to_string().into());
    body.insert("subnetwork".to_owned(), link::url(&path).into());
    Ok(Made { body, ..Made::default() })
}

/// The wanted address of a subnetwork, or a free one.
pub(super) fn take(
    world: &World,
    subnetwork: &str,
    field: &str,
    wanted: Option<&str>,
) -> Result<Ipv4Addr, ApiError> {
    let Some(text) = wanted else {
        return free(world, subnetwork)
            .ok_or_else(|| ApiError::invalid(format!("IP space of '{subnetwork}' is exhausted.")));
    };
    let address: Ipv4Addr =
        text.parse().map_err(|_| ApiError::field(field, text, "Must be an IPv4 address."))?;
    if !connection::usable(world, subnetwork).any(|usable| usable == address) {
        return Err(ApiError::field(
            field,
            text,
            &format!("IP address is out of the range of '{subnetwork}', or reserved."),
        ));
    }
    if taken(world, subnetwork).contains(&address) {
        return Err(ApiError::field(field, text, "IP address is already in use."));
    }
    Ok(address)
}

/// The first free address of a subnetwork.
pub(crate) fn free(world: &World, subnetwork: &str) -> Option<Ipv4Addr> {
    let taken = taken(world, subnetwork);
    connection::usable(world, subnetwork).find(|address| !taken.contains(address))
}

fn taken(world: &World, subnetwork: &str) -> BTreeSet<Ipv4Addr> {
    let url = link::url(subnetwork);
    let mut taken = BTreeSet::new();
    for record in world.resources.values() {
        let body = &record.body;
        if body.text("subnetwork") == Some(url.as_str()) {
            taken.extend(
                ["IPAddress", "address"].iter().filter_map(|name| body.text(name)?.parse::<Ipv4Addr>().ok()),
            );
        }
        for nic in body.items("networkInterfaces").iter().filter_map(Value::as_object) {
            if nic.text("subnetwork") == Some(url.as_str()) {
                taken.extend(nic.text("networkIP").and_then(|text| text.parse::<Ipv4Addr>().ok()));
            }
        }
    }
    taken
}

pub(crate) fn show(world: &World, path: &str, record: &Record, shown: &mut Object) {
    let Some(parts) = link::Parts::parse(path) else { return };
    let value = record.body.text("address").unwrap_or_default();
    let users: Vec<String> = world
        .collection(&parts.project, "forwardingRules")
        .filter(|(_, rule, _)| rule.body.text("IPAddress") == Some(value))
        .map(|(path, _, _)| link::url(path))
        .collect();
    let status = match (users.is_empty(), record.busy.is_some()) {
        (false, _) => "IN_USE",
        (true, true) => "RESERVING",
        (true, false) => "RESERVED",
    };
    shown.insert("status".to_owned(), json!(status));
    if !users.is_empty() {
        shown.insert("users".to_owned(), json!(users));
    }
}
