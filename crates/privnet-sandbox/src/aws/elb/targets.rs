//! Registering and deregistering targets.
//!
//! Sources: ELBv2 API reference of RegisterTargets, DeregisterTargets, TargetDescription; NLB user guide "Register targets":
//! instances run; addresses are of the VPC, of RFC 1918 or of RFC 6598; outside the VPC the zone is named, inside it is not.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use serde::Deserialize;
use serde_json::json;

use super::lookup::target_group;
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::world::{Target, TargetGroup};

/// How many targets a group may hold.
const QUOTA: usize = 1000;

/// A target as requests name it.
#[derive(Deserialize, Clone)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TargetInput {
    pub(super) id: String,
    pub(super) port: Option<i64>,
    pub(super) availability_zone: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    target_group_arn: String,
    targets: Vec<TargetInput>,
}

fn bad_target(why: impl Into<String>) -> ApiError {
    ApiError::new("InvalidTarget", why)
}

pub(super) fn register(tx: &mut Tx, call: &Call) -> Reply {
    let input: Input = call.input()?;
    let group = target_group(tx, call, &input.target_group_arn)?.clone();
    if input.targets.is_empty() {
        return Err(ApiError::new("ValidationError", "At least one target must be specified"));
    }
    for target in &input.targets {
        check(tx, call, &group, target)?;
    }
    let new =
        group.targets.iter().filter(|target| group.holds(target, call.now)).count() + input.targets.len();
    let quota = if group.target_type == "alb" { 1 } else { QUOTA };
    if new > quota && input.targets.iter().any(|t| !is_registered(&group, t)) {
        return Err(ApiError::new("TooManyTargets", "The maximum number of targets of the group is reached"));
    }
    let Some(group) = tx.target_groups.get_mut(&input.target_group_arn) else { return Ok(json!({})) };
    for wanted in input.targets {
        let port = wanted.port.unwrap_or(group.port);
        let known = group.targets.iter_mut().find(|t| t.id == wanted.id && t.port == port);
        match known {
            Some(target) if target.leaving.is_none() => target.zone = wanted.availability_zone,
            // One that drains begins anew.
            Some(target) => {
                *target = Target {
                    id: wanted.id,
                    port,
                    zone: wanted.availability_zone,
                    registered: call.now,
                    leaving: None,
                };
            }
            None => group.targets.push(Target {
                id: wanted.id,
                port,
                zone: wanted.availability_zone,
                registered: call.now,
                leaving: None,
            }),
        }
    }
    Ok(json!({}))
}

fn is_registered(group: &TargetGroup, wanted: &TargetInput) -> bool {
    let port = wanted.port.unwrap_or(group.port);
    group.targets.iter().any(|t| t.id == wanted.id && t.port == port && t.leaving.is_none())
}

fn check(tx: &Tx, call: &Call, group: &TargetGroup, target: &TargetInput) -> Result<(), ApiError> {
    match group.target_type.as_str() {
        "instance" => check_instance(tx, call, group, target),
        "alb" => check_alb(tx, call, group, target),
        _ => check_address(tx, group, target),
    }
}

fn check_instance(tx: &Tx, call: &Call, group: &TargetGroup, target: &TargetInput) -> Result<(), ApiError> {
    let found = tx.instances.get(&target.id).filter(|instance| instance.scope == call.scope);
    let Some(instance) = found else {
        return Err(bad_target(format!("The following targets are not valid instances: '{}'", target.id)));
    };
    if instance.vpc != group.vpc {
        let why =
            format!("The following targets are not in the target group VPC '{}': '{}'", group.vpc, target.id);
        return Err(bad_target(why));
    }
    if instance.state(call.now).is_none_or(|(_, name)| name != "running") {
        let why = format!(
            "The following targets are not in a running state and cannot be registered: '{}'",
            target.id
        );
        return Err(bad_target(why));
    }
    if target.availability_zone.is_some() {
        return Err(bad_target("You cannot specify an Availability Zone for an instance target"));
    }
    Ok(())
}

fn check_alb(tx: &Tx, call: &Call, group: &TargetGroup, target: &TargetInput) -> Result<(), ApiError> {
    let found = tx.load_balancers.get(&target.id);
    let found = found.filter(|lb| lb.kind == "application" && lb.vpc == group.vpc && lb.scope == call.scope);
    if found.is_none() {
        return Err(bad_target(format!("'{}' is not an Application Load Balancer of the VPC", target.id)));
    }
    let port = target.port.unwrap_or(group.port);
    if port != group.port || !tx.listeners_of(&target.id).any(|listener| listener.port == port) {
        let why = format!(
            "The Application Load Balancer '{}' must have a listener on port {port} of the target group",
            target.id
        );
        return Err(bad_target(why));
    }
    Ok(())
}

fn check_address(tx: &Tx, group: &TargetGroup, target: &TargetInput) -> Result<(), ApiError> {
    let address: IpAddr =
        target.id.parse().map_err(|_| bad_target(format!("The IP address '{}' is not valid", target.id)))?;
    let vpc = tx.vpcs.get(&group.vpc);
    let inside = match address {
        IpAddr::V4(v4) => vpc.is_some_and(|vpc| vpc.cidr.contains(&v4)),
        IpAddr::V6(v6) => vpc.and_then(|vpc| vpc.ipv6).is_some_and(|net| net.contains(&v6)),
    };
    if (group.ip_type == "ipv4") != address.is_ipv4() {
        return Err(bad_target(format!("The IP address '{address}' is not of the type {}", group.ip_type)));
    }
    let private = matches!(address, IpAddr::V4(v4) if is_private(v4));
    if !inside && !private {
        let why = format!(
            "The IP address '{address}' is not within the VPC '{}', and not within a range that targets outside it may have",
            group.vpc
        );
        return Err(bad_target(why));
    }
    match (&target.availability_zone, inside) {
        (None, false) => {
            let why = format!(
                "The IP address '{address}' must have the Availability Zone explicitly set to 'all' or a zone as it is outside the VPC"
            );
            Err(bad_target(why))
        }
        (Some(zone), true) => Err(bad_target(format!(
            "You cannot specify the Availability Zone '{zone}' for '{address}' as it is inside the VPC"
        ))),
        (Some(zone), false)
            if zone != "all" && !tx.subnets.values().any(|s| s.vpc == group.vpc && s.zone == *zone) =>
        {
            Err(bad_target(format!("The Availability Zone '{zone}' is not valid")))
        }
        _ => Ok(()),
    }
}

fn is_private(address: Ipv4Addr) -> bool {
    let shared = Ipv4Net::new(Ipv4Addr::new(100, 64, 0, 0), 10).is_ok_and(|net| net.contains(&address));
    address.is_private() || shared
}

/// Deregistering one that is not there succeeds.
pub(super) fn deregister(tx: &mut Tx, call: &Call) -> Reply {
    let input: Input = call.input()?;
    target_group(tx, call, &input.target_group_arn)?;
    let Some(group) = tx.target_groups.get_mut(&input.target_group_arn) else { return Ok(json!({})) };
    for unwanted in &input.targets {
        for target in &mut group.targets {
            let meant = target.id == unwanted.id && target.port == unwanted.port.unwrap_or(group.port);
            if meant && target.leaving.is_none() {
                target.leaving = Some(call.now);
            }
        }
    }
    let (drain, now) = (group.drain(), call.now);
    group.targets.retain(|t| t.leaving.is_none_or(|leaving| now < crate::aws::world::after(leaving, drain)));
    Ok(json!({}))
}
