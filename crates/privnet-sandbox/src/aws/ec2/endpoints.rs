//! The consumer's side: interface endpoints to endpoint services.
//!
//! Sources: API reference of Create/Describe/DeleteVpcEndpoints; AWS PrivateLink guide "Access services".

use serde::Deserialize;
use serde_json::{Value, json};

use super::discovery::{by_name, no_such_service};
use super::groups;
use super::listing::{Ask, Kind, Noun, one};
use super::tagging::{TagSpecification, shown, specified, write};
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::filter::Filters;
use crate::aws::ids::{dns_suffix, fresh};
use crate::aws::world::{Endpoint, Service, Subnet, wire_time};

const ENDPOINT: Noun = Noun {
    prefix: "vpce",
    what: "Vpc Endpoint Id",
    missing: "InvalidVpcEndpointId.NotFound",
    malformed: "InvalidVpcEndpointId.Malformed",
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    vpc_endpoint_type: Option<String>,
    vpc_id: String,
    service_name: Option<String>,
    service_region: Option<String>,
    #[serde(default)]
    subnet_ids: Vec<String>,
    #[serde(default)]
    security_group_ids: Vec<String>,
    ip_address_type: Option<String>,
    private_dns_enabled: Option<bool>,
    #[serde(default)]
    tag_specifications: Vec<TagSpecification>,
}

pub(super) fn create(tx: &mut Tx, call: &Call) -> Reply {
    let input: Create = call.input()?;
    if tx.vpcs.get(&input.vpc_id).is_none_or(|vpc| vpc.scope != call.scope) {
        return Err(ApiError::not_found("InvalidVpcId.NotFound", "Vpc Id", &input.vpc_id));
    }
    let name = input.service_name.clone().unwrap_or_default();
    let region = input.service_region.as_deref().unwrap_or(&call.scope.region);
    let service = by_name(tx, call, &name, region).cloned().ok_or_else(|| no_such_service(&name))?;
    if !service.regions.contains_key(&call.scope.region) {
        return Err(ApiError::new(
            "InvalidParameter",
            format!("{name} does not support {}", call.scope.region),
        ));
    }
    if input.vpc_endpoint_type.as_deref() != Some("Interface") {
        let kind = input.vpc_endpoint_type.as_deref().unwrap_or("Gateway");
        let why = format!("The VPC endpoint type {kind} does not match the service type Interface.");
        return Err(ApiError::new("InvalidParameter", why));
    }
    let tags = specified(&input.tag_specifications, "vpc-endpoint")?;
    let subnets = subnets(tx, call, &input, &service)?;
    let endpoint_groups = endpoint_groups(tx, call, &input)?;
    let ip_type = input.ip_address_type.clone().unwrap_or_else(|| "ipv4".to_owned());
    if ip_type != "ipv4" && !service.ip_types.contains("ipv6") {
        return Err(ApiError::new("InvalidParameter", format!("{name} does not support {ip_type}")));
    }
    let verified = service.private_dns.as_ref().is_some_and(|dns| dns.state == "verified");
    if input.private_dns_enabled == Some(true) && !verified {
        let why = format!(
            "Private DNS can't be enabled because the service {name} does not provide a verified private DNS name."
        );
        return Err(ApiError::new("InvalidParameter", why));
    }
    let id = fresh("vpce");
    let interfaces = interfaces(tx, call, &id, &subnets, &endpoint_groups)?;
    let endpoint = Endpoint {
        scope: call.scope.clone(),
        id: id.clone(),
        connection: fresh("vpce-svc-conn"),
        service: service.id.clone(),
        service_name: name,
        vpc: input.vpc_id,
        subnets: subnets.into_iter().map(|subnet| subnet.id).collect(),
        groups: endpoint_groups,
        interfaces,
        ip_type,
        private_dns: input.private_dns_enabled.unwrap_or(false),
        load_balancers: service.load_balancers.keys().cloned().collect(),
        created: call.now,
        accepted: (!service.acceptance).then_some(call.now),
        rejected: None,
        deleted: None,
    };
    tx.endpoints.insert(id.clone(), endpoint.clone());
    write(tx, call, &id, &tags);
    Ok(json!({"VpcEndpoint": show(tx, call, &endpoint)}))
}

/// The endpoint's subnets: in its VPC, one in each zone, in zones that the service has.
fn subnets(tx: &Tx, call: &Call, input: &Create, service: &Service) -> Result<Vec<Subnet>, ApiError> {
    let mut out: Vec<Subnet> = Vec::new();
    for id in &input.subnet_ids {
        let found = tx.subnets.get(id).filter(|s| s.scope == call.scope && s.vpc == input.vpc_id);
        let subnet = found.ok_or_else(|| ApiError::not_found("InvalidSubnetId.NotFound", "subnet ID", id))?;
        // Zone names differ between accounts; what counts is the zone itself. Another region has no zones in common.
        let same_region = service.scope.region == call.scope.region;
        if same_region && !zone_ids(tx, service).contains(&subnet.zone_id.as_str()) {
            let why = format!(
                "The VPC endpoint service {} does not support the availability zone of the subnet: {id}.",
                service.name()
            );
            return Err(ApiError::new("InvalidParameter", why));
        }
        if out.iter().any(|other| other.zone == subnet.zone) {
            let why = format!("Found another subnet of the zone {} for the endpoint", subnet.zone);
            return Err(ApiError::new("DuplicateSubnetsInSameZone", why));
        }
        out.push(subnet.clone());
    }
    Ok(out)
}

fn zone_ids<'a>(tx: &'a Tx, service: &Service) -> Vec<&'a str> {
    service.zones().iter().filter_map(|zone| super::services::zone_id(tx, service, zone)).collect()
}

fn endpoint_groups(tx: &Tx, call: &Call, input: &Create) -> Result<Vec<String>, ApiError> {
    for id in &input.security_group_ids {
        groups::find(tx, call, id)?;
    }
    if !input.security_group_ids.is_empty() {
        return Ok(input.security_group_ids.clone());
    }
    let default = tx.groups.values().find(|g| g.vpc == input.vpc_id && g.name == "default");
    Ok(default.map(|group| group.id.clone()).into_iter().collect())
}

fn interfaces(
    tx: &mut Tx,
    call: &Call,
    endpoint: &str,
    subnets: &[Subnet],
    groups: &[String],
) -> Result<Vec<String>, ApiError> {
    let mut out = Vec::new();
    for subnet in subnets {
        let description = format!("VPC Endpoint Interface {endpoint}");
        let made = tx.add_interface(&subnet.id, "vpc_endpoint", endpoint, description, groups, call.now);
        let full = || {
            let why = format!("There are not enough free addresses in subnet {}", subnet.id);
            ApiError::new("InsufficientFreeAddressesInSubnet", why)
        };
        out.push(made.ok_or_else(full)?.id);
    }
    Ok(out)
}

fn show(tx: &Tx, call: &Call, endpoint: &Endpoint) -> Value {
    let groups: Vec<Value> = endpoint
        .groups
        .iter()
        .map(|id| json!({"GroupId": id, "GroupName": tx.groups.get(id).map(|group| &group.name)}))
        .collect();
    let region = &endpoint.scope.region;
    let tail = format!("{}.{region}.vpce.{}", endpoint.service, dns_suffix(region));
    let label = endpoint.id.trim_start_matches("vpce-").chars().rev().take(8).collect::<String>();
    json!({
        "VpcEndpointId": endpoint.id,
        "VpcEndpointType": "Interface",
        "VpcId": endpoint.vpc,
        "ServiceName": endpoint.service_name,
        "State": endpoint.state(call.now),
        "RouteTableIds": [],
        "SubnetIds": endpoint.subnets,
        "Groups": groups,
        "IpAddressType": endpoint.ip_type,
        "DnsOptions": {"DnsRecordIpType": endpoint.ip_type},
        "PrivateDnsEnabled": endpoint.private_dns,
        "RequesterManaged": false,
        "NetworkInterfaceIds": endpoint.interfaces,
        "DnsEntries": [{"DnsName": format!("{}-{label}.{tail}", endpoint.id), "HostedZoneId": "Z7HUB22UULQXV"}],
        "CreationTimestamp": wire_time(endpoint.created),
        "Tags": shown(tx, &endpoint.id),
        "OwnerId": endpoint.scope.account,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    #[serde(default)]
    vpc_endpoint_ids: Vec<String>,
    #[serde(default)]
    filters: Filters,
    max_results: Option<usize>,
    next_token: Option<String>,
}

pub(super) fn describe(tx: &mut Tx, call: &Call) -> Reply {
    let Describe { vpc_endpoint_ids: ids, filters, max_results, next_token } = call.input()?;
    let ask = Ask { ids, filters, max_results, next_token };
    let kind = Kind {
        noun: &ENDPOINT,
        filters: &[
            "ip-address-type",
            "service-name",
            "service-region",
            "vpc-endpoint-id",
            "vpc-endpoint-state",
            "vpc-endpoint-type",
            "vpc-id",
        ],
        id: |endpoint: &Endpoint| &endpoint.id,
        created: |endpoint| Some(endpoint.created),
    };
    let mine = tx.endpoints.values().filter(|e| e.scope == call.scope && e.state(call.now).is_some());
    let page = kind.list(tx, call, &ask, mine, |endpoint, name| match name {
        "ip-address-type" => one(&endpoint.ip_type),
        "service-name" => one(&endpoint.service_name),
        "service-region" => one(&endpoint.scope.region),
        "vpc-endpoint-state" => endpoint.state(call.now).map(one).unwrap_or_default(),
        "vpc-endpoint-type" => one("Interface"),
        "vpc-id" => one(&endpoint.vpc),
        _ => one(&endpoint.id),
    })?;
    let endpoints: Vec<Value> = page.items.iter().map(|endpoint| show(tx, call, endpoint)).collect();
    Ok(json!({"VpcEndpoints": endpoints, "NextToken": page.next}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    vpc_endpoint_ids: Vec<String>,
}

pub(super) fn delete(tx: &mut Tx, call: &Call) -> Reply {
    let input: Delete = call.input()?;
    let mut unsuccessful = Vec::new();
    for id in &input.vpc_endpoint_ids {
        let mine = |e: &&mut Endpoint| e.scope == call.scope && e.deleted.is_none();
        match tx.endpoints.get_mut(id).filter(mine) {
            Some(endpoint) => {
                endpoint.deleted = Some(call.now);
                tx.release_interfaces(id, None, call.now);
            }
            None => unsuccessful.push(ENDPOINT.error(id).unsuccessful(id)),
        }
    }
    Ok(json!({"Unsuccessful": unsuccessful}))
}
