//! Regional backend services of internal pass-through load balancers.

use serde_json::{Value, json};

use super::super::body::{Body, Object, object};
use super::super::call::Call;
use super::super::error::{ApiError, Failure};
use super::super::link;
use super::super::world::World;
use super::{Made, group};

pub(super) fn insert(world: &World, call: &Call, body: Object) -> Result<Made, Failure> {
    Ok(Made { body: complete(world, call, body)?, ..Made::default() })
}

pub(super) fn change(world: &World, call: &Call, old: &Object, new: Object) -> Result<Object, Failure> {
    let new = complete(world, call, new)?;
    super::immutable(old, &new, &["loadBalancingScheme"])?;
    Ok(new)
}

fn complete(world: &World, call: &Call, mut body: Object) -> Result<Object, ApiError> {
    body.default_to("loadBalancingScheme", "EXTERNAL");
    let scheme = body.text("loadBalancingScheme").unwrap_or_default();
    if scheme != "INTERNAL" {
        return Err(ApiError::field(
            "resource.loadBalancingScheme",
            scheme,
            "The sandbox has INTERNAL backend services.",
        ));
    }
    body.default_to("protocol", "TCP");
    let protocol = body.text("protocol").unwrap_or_default();
    if !matches!(protocol, "TCP" | "UDP" | "UNSPECIFIED") {
        return Err(ApiError::field(
            "resource.protocol",
            protocol,
            "An INTERNAL backend service takes TCP, UDP or UNSPECIFIED.",
        ));
    }
    for field in ["port", "portName", "enableCDN", "cdnPolicy"] {
        if body.has(field) && body.get(field) != Some(&Value::Bool(false)) && body.int(field) != Some(80) {
            return Err(ApiError::field(
                &format!("resource.{field}"),
                "",
                "The field is not for an INTERNAL backend service.",
            ));
        }
    }
    health_checks(world, call, &mut body)?;
    backends(world, call, &mut body)?;
    body.default_to("sessionAffinity", "NONE");
    body.default_to("timeoutSec", 30);
    body.default_to("connectionDraining", json!({}));
    if let Some(Value::Object(draining)) = body.get_mut("connectionDraining") {
        draining.default_to("drainingTimeoutSec", 0);
        if draining.int("drainingTimeoutSec").is_some_and(|seconds| !(0..=3600).contains(&seconds)) {
            return Err(ApiError::field(
                "resource.connectionDraining.drainingTimeoutSec",
                "",
                "Must be between 0 and 3600.",
            ));
        }
    }
    Ok(body)
}

fn health_checks(world: &World, call: &Call, body: &mut Object) -> Result<(), ApiError> {
    let given = body.texts("healthChecks");
    let [reference] = &given[..] else {
        return Err(ApiError::field(
            "resource.healthChecks",
            &given.join(", "),
            "Exactly one health check is required.",
        ));
    };
    let (path, _) = world.refer(&call.project, "resource.healthChecks[0]", reference, &["healthChecks"])?;
    let regional = format!("/{}/", call.scope.segment());
    if !path.contains(&regional) && !path.contains("/global/") {
        return Err(ApiError::field(
            "resource.healthChecks[0]",
            reference,
            "The health check must be global or in the same region.",
        ));
    }
    body.insert("healthChecks".to_owned(), json!([link::url(&path)]));
    Ok(())
}

fn backends(world: &World, call: &Call, body: &mut Object) -> Result<(), ApiError> {
    let mut made: Vec<Value> = Vec::new();
    let (mut groups, mut networks) = (Vec::new(), Vec::new());
    for (index, given) in body.items("backends").iter().enumerate() {
        let mut backend = object(given);
        let at = |name: &str| format!("resource.backends[{index}].{name}");
        let reference = backend.text("group").ok_or_else(|| ApiError::required(&at("group")))?.to_owned();
        let (path, record) = world.refer(
            &call.project,
            &at("group"),
            &reference,
            &["networkEndpointGroups", "instanceGroups"],
        )?;
        let here = path.contains(&format!("/{}/", call.scope.segment()))
            || path.contains(&format!("/zones/{}-", super::region(call)));
        if !here {
            return Err(ApiError::field(
                &at("group"),
                &reference,
                "The group must be in the region of the backend service.",
            ));
        }
        let neg = path.contains("/networkEndpointGroups/");
        if neg && record.body.text("networkEndpointType") != Some("GCE_VM_IP") {
            return Err(ApiError::field(
                &at("group"),
                &reference,
                "An INTERNAL backend service takes groups of GCE_VM_IP endpoints.",
            ));
        }
        if groups.contains(&path) {
            return Err(ApiError::field(&at("group"), &reference, "Duplicate backend."));
        }
        let mode = backend.text("balancingMode").unwrap_or("CONNECTION");
        if mode != "CONNECTION" {
            return Err(ApiError::field(
                &at("balancingMode"),
                mode,
                "Balancing mode must be CONNECTION for an INTERNAL backend service.",
            ));
        }
        let limited = [
            "maxConnections",
            "maxConnectionsPerInstance",
            "maxConnectionsPerEndpoint",
            "maxRate",
            "maxUtilization",
        ];
        if let Some(field) =
            limited.iter().find(|field| backend.has(field) && backend.get(**field) != Some(&json!(0)))
        {
            return Err(ApiError::field(&at(field), "", "The field is not for an INTERNAL backend service."));
        }
        backend.insert("balancingMode".to_owned(), "CONNECTION".into());
        backend.insert("group".to_owned(), link::url(&path).into());
        backend.default_to("failover", false);
        if !backend.flag("failover") {
            backend.remove("failover");
        }
        let network = if neg {
            record.body.text("network").map(str::to_owned)
        } else {
            group::networks(world, record).map(|(network, _)| network)
        };
        networks.extend(network);
        groups.push(path);
        made.push(Value::Object(backend));
    }
    if groups.iter().any(|path| path.contains("/networkEndpointGroups/"))
        && groups.iter().any(|path| path.contains("/instanceGroups/"))
    {
        return Err(ApiError::invalid(
            "Instance groups and network endpoint groups cannot be mixed in one backend service.",
        ));
    }
    if networks.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(ApiError::invalid("All backends of a backend service must be in one network."));
    }
    if made.is_empty() {
        body.remove("backends");
    } else {
        body.insert("backends".to_owned(), json!(made));
    }
    Ok(())
}

/// The network of a backend service's backends, as a URL.
pub(super) fn network(world: &World, body: &Object) -> Option<String> {
    let group_url = body.items("backends").first()?.get("group")?.as_str()?;
    let record = world.resources.get(link::path(group_url))?;
    record
        .body
        .text("network")
        .map(str::to_owned)
        .or_else(|| group::networks(world, record).map(|(network, _)| network))
}
