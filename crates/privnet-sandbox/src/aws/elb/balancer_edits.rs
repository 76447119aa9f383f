//! Security groups, subnets and IP type of a load balancer. It is `provisioning` again for a while after each change.
//!
//! Source: NLB user guide, "Update the security groups", "Update the Availability Zones", "Update the IP address types".

use serde::Deserialize;
use serde_json::json;

use super::load_balancers::{SubnetMapping, check_groups, show_zones, zones};
use super::lookup::{invalid, load_balancer};
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::world::{LoadBalancer, REPROVISIONING, after};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SetSecurityGroups {
    load_balancer_arn: String,
    security_groups: Vec<String>,
    enforce_security_group_inbound_rules_on_private_link_traffic: Option<String>,
}

pub(super) fn set_security_groups(tx: &mut Tx, call: &Call) -> Reply {
    let input: SetSecurityGroups = call.input()?;
    let arn = &input.load_balancer_arn;
    let balancer = load_balancer(tx, call, arn)?.clone();
    if balancer.groups.is_empty() {
        let why = "Security groups cannot be added to a Network Load Balancer that was created without security groups";
        return Err(invalid(why));
    }
    if input.security_groups.is_empty() {
        let why =
            "You must specify at least one security group for a Network Load Balancer with security groups";
        return Err(invalid(why));
    }
    check_groups(tx, call, &input.security_groups, &balancer.vpc)?;
    let enforce =
        input.enforce_security_group_inbound_rules_on_private_link_traffic.or(balancer.enforce.clone());
    let changed = enforce != balancer.enforce || input.security_groups != balancer.groups;
    let groups = input.security_groups;
    tx.interfaces.update(
        |interface| interface.owner == *arn && interface.released.is_none(),
        |interface| interface.groups.clone_from(&groups),
    );
    update(tx, call, arn, changed, |balancer| {
        balancer.groups.clone_from(&groups);
        balancer.enforce.clone_from(&enforce);
    });
    Ok(json!({
        "SecurityGroupIds": groups,
        "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic": enforce,
    }))
}

fn update(tx: &mut Tx, call: &Call, arn: &str, changed: bool, change: impl FnOnce(&mut LoadBalancer)) {
    if let Some(balancer) = tx.load_balancers.get_mut(arn) {
        change(balancer);
        if changed {
            balancer.busy_until = balancer.busy_until.max(after(call.now, REPROVISIONING));
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SetSubnets {
    load_balancer_arn: String,
    #[serde(default)]
    subnets: Vec<String>,
    #[serde(default)]
    subnet_mappings: Vec<SubnetMapping>,
    ip_address_type: Option<String>,
}

pub(super) fn set_subnets(tx: &mut Tx, call: &Call) -> Reply {
    let input: SetSubnets = call.input()?;
    let arn = &input.load_balancer_arn;
    let old = load_balancer(tx, call, arn)?.clone();
    let ip_type = input.ip_address_type.clone().unwrap_or_else(|| old.ip_type.clone());
    let (vpc, new) = zones(tx, call, &input.subnets, &input.subnet_mappings, &ip_type)?;
    if vpc != old.vpc {
        return Err(invalid(format!("The subnets must belong to VPC {}", old.vpc)));
    }
    check_removals(tx, call, &old, &new)?;
    for zone in old.zones.iter().filter(|zone| !new.contains(zone)) {
        tx.release_interfaces(arn, Some(&zone.subnet), call.now);
    }
    let description = format!("ELB {}", old.suffix());
    for zone in new.iter().filter(|zone| !old.zones.contains(zone)) {
        let made = tx.add_interface(
            &zone.subnet,
            "network_load_balancer",
            arn,
            description.clone(),
            &old.groups,
            call.now,
        );
        made.ok_or_else(|| {
            ApiError::new("InvalidSubnet", format!("Not enough IP space available in {}", zone.subnet))
        })?;
    }
    update(tx, call, arn, new != old.zones || ip_type != old.ip_type, |balancer| {
        balancer.zones = new;
        balancer.ip_type.clone_from(&ip_type);
    });
    let shown = load_balancer(tx, call, arn).map(show_zones)?;
    Ok(json!({"AvailabilityZones": shown, "IpAddressType": ip_type}))
}

/// A zone cannot get another subnet in one step, and none goes while endpoints are attached.
fn check_removals(
    tx: &Tx,
    call: &Call,
    old: &LoadBalancer,
    new: &[crate::aws::world::Zone],
) -> Result<(), ApiError> {
    let gone: Vec<_> = old.zones.iter().filter(|zone| !new.iter().any(|n| n.subnet == zone.subnet)).collect();
    if let Some(zone) = gone.iter().find(|zone| new.iter().any(|n| n.zone == zone.zone)) {
        let why = format!(
            "The subnet of the Availability Zone '{}' cannot be changed; remove the zone first",
            zone.zone
        );
        return Err(invalid(why));
    }
    let attached = tx.service_of(&old.arn).is_some_and(|service| {
        tx.connections_of(&service.id, call.now).any(|endpoint| endpoint.holds_service(call.now))
    });
    if attached && !gone.is_empty() {
        let why = format!(
            "Availability Zones cannot be removed from load balancer '{}' while VPC endpoints are connected to its endpoint service",
            old.arn
        );
        return Err(ApiError::new("ResourceInUse", why));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SetIpAddressType {
    load_balancer_arn: String,
    ip_address_type: String,
}

pub(super) fn set_ip_address_type(tx: &mut Tx, call: &Call) -> Reply {
    let input: SetIpAddressType = call.input()?;
    let arn = &input.load_balancer_arn;
    let old = load_balancer(tx, call, arn)?.clone();
    if input.ip_address_type == "dualstack-without-public-ipv4" {
        return Err(invalid("Network Load Balancers do not support dualstack-without-public-ipv4"));
    }
    let subnets: Vec<String> = old.zones.iter().map(|zone| zone.subnet.clone()).collect();
    zones(tx, call, &subnets, &[], &input.ip_address_type)?;
    let serves_ipv6 = tx.service_of(arn).is_some_and(|service| service.ip_types.contains("ipv6"));
    if input.ip_address_type == "ipv4" && serves_ipv6 {
        let why = format!("Load balancer '{arn}' belongs to an endpoint service that supports IPv6");
        return Err(invalid(why));
    }
    let ip_type = input.ip_address_type;
    update(tx, call, arn, ip_type != old.ip_type, |balancer| balancer.ip_type.clone_from(&ip_type));
    Ok(json!({"IpAddressType": ip_type}))
}
