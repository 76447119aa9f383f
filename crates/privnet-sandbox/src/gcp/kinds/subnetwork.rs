//! Subnetworks: ranges that do not overlap within a network, and purposes that cannot be changed.

use ipnet::Ipv4Net;
use serde_json::json;

use super::super::body::{Body, Object};
use super::super::call::Call;
use super::super::error::{ApiError, Failure, OperationError};
use super::super::link::{self, Parts};
use super::super::world::{Effect, World};
use super::{Made, catalog};

pub(super) fn insert(world: &World, call: &Call, mut body: Object) -> Result<Made, Failure> {
    let network = body.text("network").ok_or_else(|| ApiError::required("resource.network"))?;
    let (network, _) = world.refer(&call.project, "resource.network", network, &["networks"])?;
    if Parts::parse(&network).is_none_or(|parts| parts.project != call.project) {
        return Err(ApiError::forbidden("compute.networks.updatePolicy", &network).into());
    }
    let range = range(body.text("ipCidrRange").ok_or_else(|| ApiError::required("resource.ipCidrRange"))?)?;
    body.insert("network".to_owned(), link::url(&network).into());
    body.insert("ipCidrRange".to_owned(), range.to_string().into());
    body.default_to("purpose", "PRIVATE");
    let purpose = body.text("purpose").unwrap_or_default().to_owned();
    if body.has("role") && !purpose.ends_with("_MANAGED_PROXY") && purpose != "INTERNAL_HTTPS_LOAD_BALANCER" {
        return Err(ApiError::field(
            "resource.role",
            body.text("role").unwrap_or_default(),
            "The role is for proxy-only subnetworks.",
        )
        .into());
    }
    overlap(world, &network, range, "")?;
    let gateway = u32::from(range.network()) + 1;
    body.insert("gatewayAddress".to_owned(), std::net::Ipv4Addr::from(gateway).to_string().into());
    body.default_to("privateIpGoogleAccess", false);
    body.default_to("privateIpv6GoogleAccess", "DISABLE_GOOGLE_ACCESS");
    body.default_to("allowSubnetCidrRoutesOverlap", false);
    if purpose != "PRIVATE_NAT" {
        body.default_to("stackType", "IPV4_ONLY");
    }
    if let Some(enabled) = body.get("logConfig").and_then(|config| config.get("enable")).cloned() {
        body.insert("enableFlowLogs".to_owned(), enabled);
    }
    Ok(Made { body, ..Made::default() })
}

fn range(text: &str) -> Result<Ipv4Net, ApiError> {
    let wrong = |why: &str| ApiError::field("resource.ipCidrRange", text, why);
    let range: Ipv4Net = text.parse().map_err(|_| wrong("Must be a CIDR address range."))?;
    if range.addr() != range.network() {
        return Err(wrong(&format!("Invalid network address; did you mean {}?", range.trunc())));
    }
    match range.prefix_len() {
        4..=29 => Ok(range),
        _ => Err(wrong("The prefix length must be between 4 and 29.")),
    }
}

// Seen in reports of Terraform users: the operation fails, not the request.
fn overlap(world: &World, network: &str, range: Ipv4Net, itself: &str) -> Result<(), OperationError> {
    let url = link::url(network);
    for (path, record) in world.resources.iter().filter(|(path, _)| path.contains("/subnetworks/")) {
        if record.body.text("network") != Some(url.as_str()) || path == itself {
            continue;
        }
        let taken = record.body.text("ipCidrRange").and_then(|text| text.parse::<Ipv4Net>().ok());
        if taken.is_some_and(|taken| taken.contains(&range) || range.contains(&taken)) {
            let region = Parts::parse(path).map(|parts| parts.scope.segment()).unwrap_or_default();
            return Err(OperationError::range_conflict(
                &range.to_string(),
                link::last(path),
                link::last(&region),
            ));
        }
    }
    Ok(())
}

pub(super) fn change(old: &Object, mut new: Object) -> Result<Object, Failure> {
    // From their descriptions: set when the subnetwork is made, or by a method of their own.
    super::immutable(
        old,
        &new,
        &["purpose", "network", "description", "ipCidrRange", "privateIpGoogleAccess"],
    )?;
    if let Some(enabled) = new.get("logConfig").and_then(|config| config.get("enable")).cloned() {
        new.insert("enableFlowLogs".to_owned(), enabled);
    }
    if let Some(gateway) = old.get("gatewayAddress") {
        new.insert("gatewayAddress".to_owned(), gateway.clone());
    }
    Ok(new)
}

/// `expandIpCidrRange` and `setPrivateIpGoogleAccess`.
pub(super) fn custom(world: &World, call: &Call, path: &str) -> Result<Vec<Effect>, Failure> {
    let mut body = world.get(path)?.body.clone();
    if call.method.verb() == "setPrivateIpGoogleAccess" {
        body.insert("privateIpGoogleAccess".to_owned(), json!(call.body.flag("privateIpGoogleAccess")));
    } else {
        let wider = range(call.body.text("ipCidrRange").ok_or_else(|| ApiError::required("ipCidrRange"))?)?;
        let narrow: Option<Ipv4Net> = body.text("ipCidrRange").and_then(|text| text.parse().ok());
        if body.text("purpose") != Some("PRIVATE")
            || !narrow.is_some_and(|narrow| wider.contains(&narrow) && wider != narrow)
        {
            return Err(ApiError::field(
                "ipCidrRange",
                &wider.to_string(),
                "The range must contain the present one, and the purpose must be PRIVATE.",
            )
            .into());
        }
        overlap(world, body.text("network").map(link::path).unwrap_or_default(), wider, path)?;
        body.insert("ipCidrRange".to_owned(), json!(wider.to_string()));
    }
    Ok(vec![Effect::Body { path: path.to_owned(), body }])
}

/// The subnetwork that a field refers to, which the project has to be allowed to use: its path, network's URL and purpose.
pub(super) fn refer(
    world: &World,
    call: &Call,
    field: &str,
    reference: &str,
) -> Result<(String, String, String), ApiError> {
    let (path, record) = world.refer(&call.project, field, reference, &["subnetworks"])?;
    catalog::may_use(world, &call.project, &path)?;
    let region = Parts::parse(&path).map(|parts| parts.scope.segment()).unwrap_or_default();
    if link::last(&region) != super::region(call) {
        return Err(ApiError::field(
            field,
            reference,
            &format!("The subnetwork must be in region '{}'.", super::region(call)),
        ));
    }
    let member = |name| record.body.text(name).unwrap_or_default().to_owned();
    Ok((path, member("network"), member("purpose")))
}
