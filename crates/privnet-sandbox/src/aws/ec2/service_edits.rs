//! Endpoint services as they are made and changed.
//!
//! Sources: API reference of Create/ModifyVpcEndpointServiceConfiguration; AWS PrivateLink guide "Configure an endpoint
//! service" (what can change while endpoints are attached) and "Manage DNS names" (the TXT record).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::json;

use super::services::{find, show};
use super::tagging::{TagSpecification, specified, write};
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::ids::{fresh, hex, partition};
use crate::aws::world::{PrivateDns, Service};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    acceptance_required: Option<bool>,
    private_dns_name: Option<String>,
    #[serde(default)]
    network_load_balancer_arns: Vec<String>,
    #[serde(default)]
    gateway_load_balancer_arns: Vec<String>,
    #[serde(default)]
    supported_ip_address_types: Vec<String>,
    #[serde(default)]
    supported_regions: Vec<String>,
    #[serde(default)]
    tag_specifications: Vec<TagSpecification>,
}

fn invalid(why: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameter", why)
}

pub(super) fn create(tx: &mut Tx, call: &Call) -> Reply {
    let input: Create = call.input()?;
    if !input.gateway_load_balancer_arns.is_empty() {
        return Err(invalid("This sandbox has no gateway load balancers"));
    }
    if input.network_load_balancer_arns.is_empty() {
        let why =
            "exactly one of network_load_balancer_arn or gateway_load_balancer_arn is a required member";
        return Err(invalid(why));
    }
    let tags = specified(&input.tag_specifications, "vpc-endpoint-service")?;
    let mut service = Service {
        scope: call.scope.clone(),
        id: fresh("vpce-svc"),
        acceptance: input.acceptance_required.unwrap_or(true),
        load_balancers: BTreeMap::new(),
        ip_types: BTreeSet::new(),
        regions: BTreeMap::from([(call.scope.region.clone(), call.now)]),
        private_dns: None,
        permissions: BTreeMap::new(),
        created: call.now,
        deleted: None,
        asked: BTreeSet::new(),
    };
    for arn in &input.network_load_balancer_arns {
        associate(tx, call, &mut service, arn)?;
    }
    let types = match input.supported_ip_address_types.as_slice() {
        [] => vec!["ipv4".to_owned()],
        given => given.to_vec(),
    };
    service.ip_types.extend(types);
    check_ip_types(tx, &service)?;
    input.supported_regions.iter().try_for_each(|region| add_region(call, &mut service, region))?;
    if let Some(name) = &input.private_dns_name {
        service.private_dns = Some(private_dns(name)?);
    }
    let id = service.id.clone();
    tx.services.insert(id.clone(), service.clone());
    write(tx, call, &id, &tags);
    Ok(json!({"ServiceConfiguration": show(tx, call, &service)}))
}

/// Gives the service a load balancer, with the zones that it has now.
fn associate(tx: &Tx, call: &Call, service: &mut Service, arn: &str) -> Result<(), ApiError> {
    let found = tx.load_balancers.get(arn).filter(|lb| lb.scope == call.scope && lb.kind == "network");
    let Some(balancer) = found else {
        return Err(invalid(format!(
            "Network Load Balancer {arn} does not exist or is not a Network Load Balancer"
        )));
    };
    if !matches!(balancer.state(tx, call.now), "active" | "active_impaired") {
        return Err(invalid(format!("Network Load Balancer {arn} is not in the active state")));
    }
    if tx.service_of(arn).is_some_and(|other| other.id != service.id) {
        return Err(invalid(format!(
            "The Network Load Balancer {arn} is already associated with another VPC endpoint service"
        )));
    }
    let zones = balancer.zones.iter().map(|zone| zone.zone.clone()).collect();
    service.load_balancers.insert(arn.to_owned(), zones);
    Ok(())
}

fn check_ip_types(tx: &Tx, service: &Service) -> Result<(), ApiError> {
    if let Some(unknown) = service.ip_types.iter().find(|kind| !matches!(kind.as_str(), "ipv4" | "ipv6")) {
        return Err(invalid(format!("Invalid supported IP address type: {unknown}")));
    }
    if service.ip_types.is_empty() {
        return Err(invalid("At least one supported IP address type is required"));
    }
    let is_ipv4 = |arn: &&String| tx.load_balancers.get(arn).is_none_or(|lb| lb.ip_type == "ipv4");
    match service.load_balancers.keys().find(is_ipv4).filter(|_| service.ip_types.contains("ipv6")) {
        Some(arn) => Err(invalid(format!(
            "Load balancer {arn} must have the IP address type dualstack to support ipv6"
        ))),
        None => Ok(()),
    }
}

fn add_region(call: &Call, service: &mut Service, region: &str) -> Result<(), ApiError> {
    let looks_right = region.split('-').count() >= 3 && region.ends_with(|c: char| c.is_ascii_digit());
    if !looks_right || partition(region) != call.partition() {
        return Err(invalid(format!(
            "The Region {region} cannot be supported by a service in {}",
            call.scope.region
        )));
    }
    service.regions.entry(region.to_owned()).or_insert(call.now);
    Ok(())
}

fn private_dns(name: &str) -> Result<PrivateDns, ApiError> {
    let labels: Vec<&str> = name.trim_start_matches("*.").split('.').collect();
    let is_label = |label: &&str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if labels.len() < 2 || !labels.iter().all(is_label) {
        return Err(invalid(format!("The private DNS name {name} is not valid")));
    }
    Ok(PrivateDns {
        name: name.to_owned(),
        record: format!("_{}", hex(20)),
        value: format!("vpce:{}", hex(20)),
        state: "pendingVerification".to_owned(),
        looks_at: None,
    })
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Modify {
    service_id: String,
    private_dns_name: Option<String>,
    remove_private_dns_name: Option<bool>,
    acceptance_required: Option<bool>,
    add_network_load_balancer_arns: Vec<String>,
    remove_network_load_balancer_arns: Vec<String>,
    add_supported_ip_address_types: Vec<String>,
    remove_supported_ip_address_types: Vec<String>,
    add_supported_regions: Vec<String>,
    remove_supported_regions: Vec<String>,
}

pub(super) fn modify(tx: &mut Tx, call: &Call) -> Reply {
    let input: Modify = call.input()?;
    let mut service = find(tx, call, &input.service_id)?;
    modify_load_balancers(tx, call, &mut service, &input)?;
    service.ip_types.extend(input.add_supported_ip_address_types.iter().cloned());
    input.remove_supported_ip_address_types.iter().for_each(|kind| {
        service.ip_types.remove(kind);
    });
    check_ip_types(tx, &service)?;
    input.add_supported_regions.iter().try_for_each(|region| add_region(call, &mut service, region))?;
    for region in &input.remove_supported_regions {
        remove_region(call, &mut service, region)?;
    }
    if let Some(acceptance) = input.acceptance_required {
        service.acceptance = acceptance;
    }
    match (&input.private_dns_name, input.remove_private_dns_name) {
        (Some(_), Some(true)) => {
            let why = "PrivateDnsName and RemovePrivateDnsName cannot be used together";
            return Err(ApiError::new("InvalidParameterCombination", why));
        }
        (Some(name), _) if service.private_dns.as_ref().is_none_or(|dns| dns.name != *name) => {
            service.private_dns = Some(private_dns(name)?);
        }
        (None, Some(true)) => service.private_dns = None,
        _ => {}
    }
    tx.services.insert(service.id.clone(), service);
    Ok(json!({"Return": true}))
}

fn modify_load_balancers(
    tx: &Tx,
    call: &Call,
    service: &mut Service,
    input: &Modify,
) -> Result<(), ApiError> {
    for arn in &input.add_network_load_balancer_arns {
        // Adding one that is there associates it again: that is how added zones reach the service.
        associate(tx, call, service, arn)?;
    }
    for arn in &input.remove_network_load_balancer_arns {
        if input.add_network_load_balancer_arns.contains(arn) {
            continue;
        }
        let in_use = tx
            .connections_of(&service.id, call.now)
            .any(|endpoint| endpoint.load_balancers.contains(arn) && endpoint.holds_service(call.now));
        // While endpoints are attached, a load balancer goes only when another one serves its zones.
        let zones = service
            .load_balancers
            .remove(arn)
            .ok_or_else(|| invalid(format!("Load balancer {arn} is not associated with {}", service.id)))?;
        let covered = zones.iter().all(|zone| service.zones().contains(zone));
        if in_use && !covered {
            let why = "Service has existing active VPC Endpoint connections!";
            return Err(ApiError::new("ExistingVpcEndpointConnections", why));
        }
    }
    if service.load_balancers.is_empty() {
        return Err(invalid("An endpoint service must have at least one load balancer"));
    }
    Ok(())
}

/// No new endpoint comes from there; those that are connected stay
/// (<https://docs.aws.amazon.com/vpc/latest/privatelink/configure-endpoint-service.html#manage-supported-regions>).
fn remove_region(call: &Call, service: &mut Service, region: &str) -> Result<(), ApiError> {
    if region == call.scope.region {
        return Err(invalid("The Region of the service itself cannot be removed"));
    }
    service.regions.remove(region);
    Ok(())
}
