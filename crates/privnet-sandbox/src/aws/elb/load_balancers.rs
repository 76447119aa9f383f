//! Network load balancers.
//!
//! Sources: ELBv2 API reference of CreateLoadBalancer, DescribeLoadBalancers, DeleteLoadBalancer; NLB user guide.

use serde::Deserialize;
use serde_json::{Value, json};

use super::lookup::{check_name, invalid, load_balancer, no_load_balancer, validation};
use super::tagging::{TagInput, checked, write};
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::ids::hex;
use crate::aws::page::page;
use crate::aws::world::{LoadBalancer, Subnet, World, Zone, wire_time};

/// How many load balancers an account may have in a region; above AWS's default of 50, as for large users.
pub(super) const QUOTA: usize = 500;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    name: String,
    #[serde(default)]
    subnets: Vec<String>,
    #[serde(default)]
    subnet_mappings: Vec<SubnetMapping>,
    #[serde(default)]
    security_groups: Vec<String>,
    scheme: Option<String>,
    #[serde(rename = "Type")]
    kind: Option<String>,
    ip_address_type: Option<String>,
    #[serde(default)]
    tags: Vec<TagInput>,
}

/// A subnet with what it is given.
#[derive(Deserialize, Clone)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SubnetMapping {
    pub(super) subnet_id: Option<String>,
    #[serde(rename = "PrivateIPv4Address")]
    pub(super) address: Option<String>,
}

pub(super) fn create(tx: &mut Tx, call: &Call) -> Reply {
    let input: Create = call.input()?;
    check_name("The load balancer", &input.name)?;
    if input.name.starts_with("internal-") {
        return Err(validation(format!(
            "The load balancer name '{}' cannot begin with 'internal-'",
            input.name
        )));
    }
    if input.kind.as_deref() != Some("network") {
        return Err(invalid("This sandbox makes load balancers of type 'network' only"));
    }
    let tags = checked(&input.tags)?;
    let ip_type = input.ip_address_type.clone().unwrap_or_else(|| "ipv4".to_owned());
    let (vpc, zones) = zones(tx, call, &input.subnets, &input.subnet_mappings, &ip_type)?;
    check_groups(tx, call, &input.security_groups, &vpc)?;
    let scheme = input.scheme.clone().unwrap_or_else(|| "internet-facing".to_owned());
    if scheme == "internet-facing" {
        return Err(ApiError::new("InvalidSubnet", format!("VPC {vpc} has no internet gateway")));
    }
    let arn = call.arn("elasticloadbalancing", &format!("loadbalancer/net/{}/{}", input.name, hex(16)));
    let enforce = (!input.security_groups.is_empty()).then(|| "on".to_owned());
    let balancer = LoadBalancer {
        scope: call.scope.clone(),
        arn: arn.clone(),
        name: input.name,
        kind: "network".to_owned(),
        scheme,
        vpc,
        zones,
        groups: input.security_groups,
        ip_type,
        enforce,
        attributes: super::load_balancer_defaults(),
        created: call.now,
        busy_until: LoadBalancer::first_active(call.now),
    };
    let same_name = tx.load_balancers.values().find(|lb| lb.scope == call.scope && lb.name == balancer.name);
    if let Some(existing) = same_name {
        return if same_settings(existing, &balancer) {
            // Nothing is changed, tags neither; the caller cannot tell that it did not make this one.
            Ok(json!({"LoadBalancers": [show(tx, call, existing)]}))
        } else {
            let why = format!(
                "A load balancer with the same name '{}' exists, but with different settings",
                balancer.name
            );
            Err(ApiError::new("DuplicateLoadBalancerName", why))
        };
    }
    if tx.load_balancers.values().filter(|lb| lb.scope == call.scope).count() >= QUOTA {
        return Err(ApiError::new("TooManyLoadBalancers", "The quota of load balancers is reached"));
    }
    let description = format!("ELB {}", balancer.suffix());
    for zone in &balancer.zones {
        let made = tx.add_interface(
            &zone.subnet,
            "network_load_balancer",
            &arn,
            description.clone(),
            &balancer.groups,
            call.now,
        );
        made.ok_or_else(|| {
            ApiError::new("InvalidSubnet", format!("Not enough IP space available in {}", zone.subnet))
        })?;
    }
    write(tx, call, &arn, &tags);
    let shown = show(tx, call, &balancer);
    tx.load_balancers.insert(arn, balancer);
    Ok(json!({"LoadBalancers": [shown]}))
}

fn same_settings(one: &LoadBalancer, other: &LoadBalancer) -> bool {
    let sorted = |list: &[String]| {
        let mut list = list.to_vec();
        list.sort();
        list
    };
    one.kind == other.kind
        && one.scheme == other.scheme
        && one.ip_type == other.ip_type
        && one.zones == other.zones
        && sorted(&one.groups) == sorted(&other.groups)
}

/// The zones of a load balancer: its subnets are in one VPC, one in each zone.
pub(super) fn zones(
    tx: &Tx,
    call: &Call,
    subnets: &[String],
    mappings: &[SubnetMapping],
    ip_type: &str,
) -> Result<(String, Vec<Zone>), ApiError> {
    if subnets.is_empty() == mappings.is_empty() {
        return Err(validation("You must specify either subnets or subnet mappings, but not both"));
    }
    let plain = subnets.iter().map(|id| (id.clone(), None));
    let mapped = mappings.iter().map(|m| (m.subnet_id.clone().unwrap_or_default(), m.address.clone()));
    let mut zones: Vec<(String, Zone)> = Vec::new();
    for (id, address) in plain.chain(mapped) {
        let subnet = tx.subnets.get(&id).filter(|subnet| subnet.scope == call.scope);
        let subnet = subnet
            .ok_or_else(|| ApiError::new("SubnetNotFound", format!("The subnet ID '{id}' does not exist")))?;
        check_subnet(subnet, address.as_deref(), ip_type)?;
        if zones.iter().any(|(vpc, _)| *vpc != subnet.vpc) {
            return Err(invalid("All subnets must belong to the same VPC"));
        }
        if zones.iter().any(|(_, zone)| zone.zone == subnet.zone) {
            let why = "A load balancer cannot be attached to multiple subnets in the same Availability Zone";
            return Err(invalid(why));
        }
        zones.push((subnet.vpc.clone(), Zone { zone: subnet.zone.clone(), subnet: id, address }));
    }
    zones.sort_by(|(_, a), (_, b)| a.zone.cmp(&b.zone));
    let vpc = zones.first().map(|(vpc, _)| vpc.clone()).unwrap_or_default();
    Ok((vpc, zones.into_iter().map(|(_, zone)| zone).collect()))
}

fn check_subnet(subnet: &Subnet, address: Option<&str>, ip_type: &str) -> Result<(), ApiError> {
    if ip_type.starts_with("dualstack") && subnet.ipv6.is_none() {
        let why = format!("The subnet '{}' does not have an associated IPv6 CIDR block", subnet.id);
        return Err(ApiError::new("InvalidSubnet", why));
    }
    if let Some(address) = address {
        let inside = address.parse().is_ok_and(|address: std::net::Ipv4Addr| subnet.cidr.contains(&address));
        if !inside {
            let why = format!("The address '{address}' is not in the range of subnet '{}'", subnet.id);
            return Err(invalid(why));
        }
    }
    Ok(())
}

/// Security groups exist and are of the load balancer's VPC.
pub(super) fn check_groups(tx: &Tx, call: &Call, groups: &[String], vpc: &str) -> Result<(), ApiError> {
    for id in groups {
        let group = tx.groups.get(id).filter(|group| group.scope == call.scope);
        let group = group.ok_or_else(|| {
            ApiError::new("InvalidSecurityGroup", format!("The security group '{id}' does not exist"))
        })?;
        if group.vpc != vpc {
            return Err(invalid(format!("Security group \"{id}\" does not belong to VPC \"{vpc}\"")));
        }
    }
    Ok(())
}

/// A load balancer as answers show it.
pub(super) fn show(world: &World, call: &Call, balancer: &LoadBalancer) -> Value {
    json!({
        "LoadBalancerArn": balancer.arn,
        "DNSName": balancer.dns_name(),
        // The hosted zone of network load balancers in us-east-1; the sandbox uses it everywhere.
        "CanonicalHostedZoneId": "Z26RNL4JYFTOTI",
        "CreatedTime": wire_time(balancer.created),
        "LoadBalancerName": balancer.name,
        "Scheme": balancer.scheme,
        "VpcId": balancer.vpc,
        "State": {"Code": balancer.state(world, call.now)},
        "Type": balancer.kind,
        "AvailabilityZones": show_zones(balancer),
        "SecurityGroups": (!balancer.groups.is_empty()).then_some(&balancer.groups),
        "IpAddressType": balancer.ip_type,
        "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic": balancer.enforce,
    })
}

pub(super) fn show_zones(balancer: &LoadBalancer) -> Vec<Value> {
    let show = |zone: &Zone| {
        let addresses: Vec<Value> =
            zone.address.iter().map(|address| json!({"PrivateIPv4Address": address})).collect();
        json!({"ZoneName": zone.zone, "SubnetId": zone.subnet, "LoadBalancerAddresses": addresses})
    };
    balancer.zones.iter().map(show).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    #[serde(default)]
    load_balancer_arns: Vec<String>,
    #[serde(default)]
    names: Vec<String>,
    marker: Option<String>,
    page_size: Option<usize>,
}

pub(super) fn describe(tx: &mut Tx, call: &Call) -> Reply {
    let input: Describe = call.input()?;
    if !input.load_balancer_arns.is_empty() && !input.names.is_empty() {
        return Err(validation(
            "Load balancer names and load balancer ARNs cannot be specified at the same time",
        ));
    }
    if input.load_balancer_arns.len() > 20 || input.names.len() > 20 {
        return Err(validation("Up to 20 load balancers can be described in a single call"));
    }
    let mut found: Vec<&LoadBalancer> =
        tx.load_balancers.values().filter(|lb| lb.scope == call.scope).collect();
    // One that is missing fails the whole call.
    if let Some(arn) = input.load_balancer_arns.iter().find(|arn| !found.iter().any(|lb| lb.arn == **arn)) {
        return Err(no_load_balancer(arn));
    }
    if let Some(name) = input.names.iter().find(|name| !found.iter().any(|lb| lb.name == **name)) {
        return Err(ApiError::new("LoadBalancerNotFound", format!("Load balancers '[{name}]' not found")));
    }
    let all = input.load_balancer_arns.is_empty() && input.names.is_empty();
    found.retain(|lb| {
        (all && call.listed(lb.created))
            || input.load_balancer_arns.contains(&lb.arn)
            || input.names.contains(&lb.name)
    });
    let key = |lb: &&LoadBalancer| lb.arn.clone();
    let page = page(found, key, call, input.page_size, input.marker.as_deref())?;
    let shown: Vec<Value> = page.items.iter().map(|lb| show(tx, call, lb)).collect();
    Ok(json!({"LoadBalancers": shown, "NextMarker": page.next}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    load_balancer_arn: String,
}

/// Deleting one that is not there succeeds.
pub(super) fn delete(tx: &mut Tx, call: &Call) -> Reply {
    let Delete { load_balancer_arn: arn } = call.input()?;
    let balancer = match load_balancer(tx, call, &arn) {
        Ok(balancer) => balancer.clone(),
        Err(error) if error.code == "LoadBalancerNotFound" => return Ok(json!({})),
        Err(error) => return Err(error),
    };
    if balancer.attributes.get("deletion_protection.enabled").is_some_and(|value| value == "true") {
        let why = format!("Load balancer '{arn}' cannot be deleted because deletion protection is enabled");
        return Err(ApiError::new("OperationNotPermitted", why));
    }
    if tx.service_of(&arn).is_some() {
        let why = format!(
            "Load balancer '{arn}' cannot be deleted because it is currently associated with another service"
        );
        return Err(ApiError::new("ResourceInUse", why));
    }
    let listeners: Vec<String> = tx.listeners_of(&arn).map(|listener| listener.arn.clone()).collect();
    for listener in listeners {
        tx.listeners.remove(&listener);
        tx.tags.forget(&listener);
    }
    tx.load_balancers.remove(&arn);
    tx.tags.forget(&arn);
    tx.release_interfaces(&arn, None, call.now);
    Ok(json!({}))
}
