//! Forwarding rules: those of a producer's internal load balancer, and a consumer's, which are Private Service Connect
//! endpoints.

use serde_json::{Value, json};

use super::super::body::{Body, Object, object};
use super::super::call::Call;
use super::super::error::{ApiError, Failure};
use super::super::link::{self, Parts};
use super::super::world::{Effect, Operation, Record, World};
use super::super::{connection, consumer, view};
use super::{Made, address, backend, catalog, subnetwork};

pub(super) fn insert(world: &World, call: &Call, mut body: Object) -> Result<Made, Failure> {
    view::check_labels(body.get("labels").unwrap_or(&Value::Null))?;
    body.default_to("networkTier", "PREMIUM");
    match body.has("target") {
        true => endpoint(world, call, body),
        false => internal(world, call, body),
    }
}

fn internal(world: &World, call: &Call, mut body: Object) -> Result<Made, Failure> {
    let scheme = body.text("loadBalancingScheme").unwrap_or("EXTERNAL");
    if scheme != "INTERNAL" {
        return Err(ApiError::field(
            "resource.loadBalancingScheme",
            scheme,
            "The sandbox has INTERNAL forwarding rules.",
        )
        .into());
    }
    let reference =
        body.text("backendService").ok_or_else(|| ApiError::required("resource.backendService"))?.to_owned();
    let (service, record) =
        world.refer(&call.project, "resource.backendService", &reference, &["backendServices"])?;
    if !service.contains(&format!("/{}/", call.scope.segment())) {
        return Err(ApiError::field(
            "resource.backendService",
            &reference,
            "The backend service must be in the same region.",
        )
        .into());
    }
    body.default_to("IPProtocol", "TCP");
    let (protocol, of_service) = (body.text("IPProtocol"), record.body.text("protocol"));
    if of_service != Some("UNSPECIFIED") && protocol != of_service && protocol != Some("L3_DEFAULT") {
        return Err(ApiError::field(
            "resource.IPProtocol",
            protocol.unwrap_or_default(),
            "The protocol must be that of the backend service.",
        )
        .into());
    }
    ports(&body)?;
    let reference =
        body.text("subnetwork").ok_or_else(|| ApiError::required("resource.subnetwork"))?.to_owned();
    let (subnet, network, purpose) = subnetwork::refer(world, call, "resource.subnetwork", &reference)?;
    if purpose != "PRIVATE" {
        return Err(ApiError::field(
            "resource.subnetwork",
            &reference,
            &format!("A subnetwork of purpose {purpose} takes no forwarding rules."),
        )
        .into());
    }
    network_fits(world, call, &body, &network)?;
    if backend::network(world, &record.body).is_some_and(|backends| backends != network) {
        return Err(ApiError::invalid(
            "The forwarding rule must be in the network of the backend service's backends.",
        )
        .into());
    }
    let ip = ip_address(world, call, &subnet, body.text("IPAddress"))?;
    body.insert("IPAddress".to_owned(), ip.into());
    body.insert("backendService".to_owned(), link::url(&service).into());
    body.insert("subnetwork".to_owned(), link::url(&subnet).into());
    body.insert("network".to_owned(), network.into());
    body.default_to("allowGlobalAccess", false);
    if !body.flag("allowGlobalAccess") {
        body.remove("allowGlobalAccess");
    }
    Ok(Made { body, ..Made::default() })
}

fn network_fits(world: &World, call: &Call, body: &Object, network: &str) -> Result<(), ApiError> {
    let Some(reference) = body.text("network") else { return Ok(()) };
    let (path, _) = world.refer(&call.project, "resource.network", reference, &["networks"])?;
    catalog::may_use(world, &call.project, &path)?;
    match link::url(&path) == network {
        true => Ok(()),
        false => Err(ApiError::field("resource.network", reference, "The subnetwork is not in the network.")),
    }
}

fn ports(body: &Object) -> Result<(), ApiError> {
    let ports = body.texts("ports");
    let given = usize::from(!ports.is_empty())
        + usize::from(body.flag("allPorts"))
        + usize::from(body.has("portRange"));
    if given != 1 || body.has("portRange") {
        return Err(ApiError::invalid(
            "Exactly one of 'resource.ports' and 'resource.allPorts' must be specified for an INTERNAL forwarding rule.",
        ));
    }
    if ports.len() > 5 {
        return Err(ApiError::field(
            "resource.ports",
            &ports.join(","),
            "At most five ports can be specified.",
        ));
    }
    for (index, port) in ports.iter().enumerate() {
        if port.parse::<u16>().ok().filter(|port| *port > 0).is_none() || ports[..index].contains(port) {
            return Err(ApiError::field(
                &format!("resource.ports[{index}]"),
                port,
                "Must be a port that is not listed twice.",
            ));
        }
    }
    Ok(())
}

/// An address of the subnetwork: the wanted one, that of a reserved address, or a free one.
fn ip_address(world: &World, call: &Call, subnet: &str, wanted: Option<&str>) -> Result<String, ApiError> {
    let field = "resource.IPAddress";
    let reserved = match wanted {
        Some(text) if text.contains("addresses/") => {
            Some(world.refer(&call.project, field, text, &["addresses"])?.1)
        }
        Some(text) => world
            .collection(&call.project, "addresses")
            .find(|(path, record, _)| link::last(path) == text || record.body.text("address") == Some(text))
            .map(|(_, record, _)| record),
        None => None,
    };
    let Some(reserved) = reserved else {
        return address::take(world, subnet, field, wanted).map(|ip| ip.to_string());
    };
    let ip = reserved.body.text("address").unwrap_or_default();
    if reserved.body.text("subnetwork") != Some(link::url(subnet).as_str()) {
        return Err(ApiError::field(field, ip, "The address is not in the forwarding rule's subnetwork."));
    }
    let taken = world
        .collection(&call.project, "forwardingRules")
        .any(|(_, rule, _)| rule.body.text("IPAddress") == Some(ip));
    if taken && reserved.body.text("purpose") != Some("SHARED_LOADBALANCER_VIP") {
        return Err(ApiError::field(field, ip, "IP address is already in use."));
    }
    Ok(ip.to_owned())
}

/// A consumer's endpoint: no scheme, no ports, and a service attachment as its target.
fn endpoint(world: &World, call: &Call, mut body: Object) -> Result<Made, Failure> {
    for field in ["loadBalancingScheme", "backendService", "ports", "portRange", "allPorts"] {
        if body.has(field) && body.get(field) != Some(&Value::Bool(false)) {
            return Err(ApiError::field(
                &format!("resource.{field}"),
                "",
                "The field is not for a Private Service Connect endpoint.",
            )
            .into());
        }
    }
    let reference = body.text("target").unwrap_or_default().to_owned();
    let (target, _) = world.refer(&call.project, "resource.target", &reference, &["serviceAttachments"])?;
    let global = body.flag("allowPscGlobalAccess");
    if !target.contains(&format!("/{}/", call.scope.segment())) && !global {
        return Err(ApiError::field(
            "resource.target",
            &reference,
            "The service attachment must be in the same region.",
        )
        .into());
    }
    let wanted = body.text("IPAddress").map(str::to_owned);
    let subnet = match (body.text("subnetwork"), &wanted) {
        (Some(reference), _) => reference.to_owned(),
        (None, Some(text)) => reserved_subnetwork(world, call, text)?,
        (None, None) => return Err(ApiError::required("resource.IPAddress").into()),
    };
    let (subnet, network, _) = subnetwork::refer(world, call, "resource.subnetwork", &subnet)?;
    network_fits(world, call, &body, &network)?;
    let ip = ip_address(world, call, &subnet, wanted.as_deref())?;
    body.remove("loadBalancingScheme");
    body.insert("subnetwork".to_owned(), link::url(&subnet).into());
    body.insert("IPAddress".to_owned(), ip.into());
    body.insert("target".to_owned(), link::url(&target).into());
    body.insert("network".to_owned(), network.into());
    body.default_to("serviceDirectoryRegistrations", json!([{ "namespace": "goog-psc-default" }]));
    Ok(Made { body, ..Made::default() })
}

fn reserved_subnetwork(world: &World, call: &Call, text: &str) -> Result<String, ApiError> {
    let record = match text.contains("addresses/") {
        true => Some(world.refer(&call.project, "resource.IPAddress", text, &["addresses"])?.1),
        false => world
            .collection(&call.project, "addresses")
            .find(|(path, record, _)| link::last(path) == text || record.body.text("address") == Some(text))
            .map(|(_, record, _)| record),
    };
    record.and_then(|record| record.body.text("subnetwork").map(str::to_owned)).ok_or_else(|| {
        ApiError::field(
            "resource.IPAddress",
            text,
            "The address of an endpoint must be a reserved internal one.",
        )
    })
}

/// Few fields of a forwarding rule can be changed: from the discovery document and "Update forwarding rules".
pub(super) fn change(old: &Object, new: Object) -> Result<Object, Failure> {
    const OPEN: [&str; 6] = [
        "description",
        "labels",
        "allowGlobalAccess",
        "allowPscGlobalAccess",
        "networkTier",
        "metadataFilters",
    ];
    view::check_labels(new.get("labels").unwrap_or(&Value::Null))?;
    let fields: Vec<&str> =
        old.keys().chain(new.keys()).map(String::as_str).filter(|name| !OPEN.contains(name)).collect();
    super::immutable(old, &new, &fields)?;
    Ok(new)
}

/// The target of the rules that there are here cannot be set: an endpoint keeps its attachment.
pub(super) fn set_target(world: &World, path: &str) -> Result<Vec<Effect>, Failure> {
    let _ = world.get(path)?;
    Err(ApiError::invalid(format!("The target of '{path}' cannot be changed.")).into())
}

/// A consumer's new rule becomes an endpoint; one that is gone makes room for others.
pub(crate) fn settled(world: &mut World, operation: &Operation) {
    match operation.kind.as_str() {
        "insert" => consumer::register(world, &operation.target),
        "delete" => {
            if let Some(endpoint) = world.endpoints.remove(&operation.target) {
                connection::reconcile(world, &endpoint.attachment);
            }
        }
        _ => {}
    }
}

pub(crate) fn show(world: &World, path: &str, record: &Record, shown: &mut Object) {
    let parent = path.rsplit_once('/').map_or(path, |(parent, _)| parent);
    shown.insert("selfLinkWithId".to_owned(), link::url(&format!("{parent}/{}", record.id)).into());
    if let Some(label) = record.body.text("serviceLabel")
        && let Some(parts) = Parts::parse(path)
    {
        let region = parts.scope.segment();
        let name =
            format!("{label}.{}.il4.{}.lb.{}.internal", parts.name, link::last(&region), parts.project);
        shown.insert("serviceName".to_owned(), name.into());
    }
    if let (Some(status), Some(endpoint)) = (connection::status(world, path), world.endpoints.get(path)) {
        let connection = object(&json!({
            "pscConnectionId": endpoint.connection.to_string(),
            "pscConnectionStatus": status,
        }));
        shown.extend(connection);
    }
}
