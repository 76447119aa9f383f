//! Zonal network endpoint groups: everything but their endpoints is fixed.

use serde_json::{Value, json};

use super::super::body::{Body, Object, object};
use super::super::call::Call;
use super::super::error::{ApiError, Failure};
use super::super::world::{Effect, Member, Record, World};
use super::super::{link, list};
use super::{Made, catalog, health, instance, subnetwork};

pub(super) fn insert(world: &World, call: &Call, mut body: Object) -> Result<Made, Failure> {
    body.default_to("networkEndpointType", "GCE_VM_IP_PORT");
    let kind = body.text("networkEndpointType").unwrap_or_default().to_owned();
    if !matches!(kind.as_str(), "GCE_VM_IP" | "GCE_VM_IP_PORT") {
        return Err(ApiError::field(
            "resource.networkEndpointType",
            &kind,
            "The sandbox has GCE_VM_IP and GCE_VM_IP_PORT.",
        )
        .into());
    }
    if kind == "GCE_VM_IP" && body.has("defaultPort") {
        return Err(ApiError::field(
            "resource.defaultPort",
            "",
            "The field must not be specified for GCE_VM_IP.",
        )
        .into());
    }
    if let Some(reference) = body.text("network").map(str::to_owned) {
        let (path, _) = world.refer(&call.project, "resource.network", &reference, &["networks"])?;
        catalog::may_use(world, &call.project, &path)?;
        body.insert("network".to_owned(), link::url(&path).into());
    }
    match body.text("subnetwork").map(str::to_owned) {
        Some(reference) => {
            let (path, network, purpose) = subnetwork::refer(world, call, "resource.subnetwork", &reference)?;
            if purpose != "PRIVATE" {
                return Err(ApiError::field(
                    "resource.subnetwork",
                    &reference,
                    "The subnetwork's purpose must be PRIVATE.",
                )
                .into());
            }
            if body.text("network").is_some_and(|given| given != network) {
                return Err(ApiError::field(
                    "resource.subnetwork",
                    &reference,
                    "The subnetwork is not in the network.",
                )
                .into());
            }
            body.insert("network".to_owned(), network.into());
            body.insert("subnetwork".to_owned(), link::url(&path).into());
        }
        None if kind == "GCE_VM_IP" => return Err(ApiError::required("resource.subnetwork").into()),
        None if !body.has("network") => return Err(ApiError::required("resource.network").into()),
        None => {}
    }
    Ok(Made { body, ..Made::default() })
}

/// `attachNetworkEndpoints` and `detachNetworkEndpoints`.
pub(super) fn custom(world: &World, call: &Call, path: &str) -> Result<Vec<Effect>, Failure> {
    let record = world.get(path)?;
    let attaches = call.method.verb() == "attachNetworkEndpoints";
    let given = call.body.items("networkEndpoints");
    if given.is_empty() {
        return Err(ApiError::required("networkEndpoints").into());
    }
    let mut members: Vec<Member> = Vec::new();
    for (index, endpoint) in given.iter().enumerate() {
        let member = member(world, call, record, &object(endpoint), index)?;
        match record.members.iter().find(|present| present.same(&member)) {
            // Attaching what is attached, and detaching what is not, is answered differently: the one is a no-op.
            Some(present) if !attaches => members.push(present.clone()),
            Some(_) => {}
            None if attaches => members.push(member),
            None => {
                let shown = member.address.unwrap_or_default();
                return Err(ApiError::field(
                    "networkEndpoints",
                    &shown,
                    "The endpoint does not exist in the group.",
                )
                .into());
            }
        }
    }
    let path = path.to_owned();
    Ok(vec![if attaches { Effect::Join { path, members } } else { Effect::Leave { path, members } }])
}

fn member(
    world: &World,
    call: &Call,
    group: &Record,
    endpoint: &Object,
    index: usize,
) -> Result<Member, ApiError> {
    let at = |name: &str| format!("networkEndpoints[{index}].{name}");
    let reference = endpoint.text("instance").ok_or_else(|| ApiError::required(&at("instance")))?;
    // A bare name is an instance of the group's zone.
    let reference = match reference.contains('/') {
        true => reference.to_owned(),
        false => format!("{}/instances/{reference}", call.scope.segment()),
    };
    let (path, record) = world.refer(&call.project, &at("instance"), &reference, &["instances"])?;
    let zone = format!("/{}/", call.scope.segment());
    if !path.contains(&zone) {
        return Err(ApiError::field(
            &at("instance"),
            &reference,
            "The instance must be in the zone of the network endpoint group.",
        ));
    }
    let (network, subnet, primary) = instance::interface(record)
        .ok_or_else(|| ApiError::field(&at("instance"), &reference, "The instance has no interface."))?;
    if group.body.text("network") != Some(network)
        || group.body.text("subnetwork").is_some_and(|wanted| wanted != subnet)
    {
        return Err(ApiError::field(
            &at("instance"),
            &reference,
            "The instance has no interface in the subnetwork of the network endpoint group.",
        ));
    }
    let address = endpoint.text("ipAddress").unwrap_or(primary);
    if address != primary {
        return Err(ApiError::field(&at("ipAddress"), address, "The address is not one of the instance's."));
    }
    let port = match (group.body.text("networkEndpointType"), endpoint.int("port")) {
        (Some("GCE_VM_IP"), Some(port)) => {
            return Err(ApiError::field(
                &at("port"),
                &port.to_string(),
                "Endpoints of GCE_VM_IP have no port.",
            ));
        }
        (Some("GCE_VM_IP"), None) => None,
        (_, Some(port)) => Some(port),
        (_, None) => Some(group.body.int("defaultPort").ok_or_else(|| ApiError::required(&at("port")))?),
    };
    Ok(Member { instance: path, address: Some(address.to_owned()), port, since: call.now })
}

pub(super) fn list_endpoints(world: &World, call: &Call) -> Result<Value, ApiError> {
    let path = call.target(world);
    let record = world.get(&path)?;
    let show_health = call.body.text("healthStatus") == Some("SHOW");
    let items = record.members.iter().map(|member| {
        let mut endpoint = json!({ "instance": link::url(&member.instance), "ipAddress": member.address });
        if let Some(port) = member.port {
            endpoint["port"] = json!(port);
        }
        let mut item = object(&json!({ "networkEndpoint": endpoint }));
        let services = if show_health { health::services_of(world, &path) } else { Vec::new() };
        let healths: Vec<Value> = services
            .iter()
            .filter_map(|service| {
                let state = health::states(world, service, member, call.now).into_iter().next()?;
                Some(json!({ "backendService": { "backendService": link::url(service) }, "healthState": state.shown() }))
            })
            .collect();
        if !healths.is_empty() {
            item.insert("healths".to_owned(), json!(healths));
        }
        (format!("{} {:?} {:?}", member.instance, member.address, member.port), item)
    });
    list::page(call, items.collect(), "networkEndpointGroupsListNetworkEndpoints")
}
