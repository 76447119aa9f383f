//! The health of targets, computed from when they were registered and where.
//!
//! Sources: ELBv2 API reference of TargetHealth (states and reasons); NLB user guide "Health checks".

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::lookup::target_group;
use super::targets::TargetInput;
use crate::aws::call::{Call, Tx};
use crate::aws::error::Reply;
use crate::aws::world::{LoadBalancer, Target, TargetGroup, World, after, ids};

/// How long a load balancer takes to begin checking a new target, in seconds of sandbox time.
const REGISTRATION: i64 = 15;

/// A target's state, with its reason and description where it has one.
struct Health(&'static str, Option<&'static str>, Option<&'static str>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    target_group_arn: String,
    #[serde(default)]
    targets: Vec<TargetInput>,
}

pub(super) fn describe(tx: &mut Tx, call: &Call) -> Reply {
    let input: Describe = call.input()?;
    let group = target_group(tx, call, &input.target_group_arn)?;
    let held: Vec<&Target> = group.targets.iter().filter(|target| group.holds(target, call.now)).collect();
    let show = |target: &Target, health: &Health| {
        let check = &group.check.port;
        json!({
            "Target": {"Id": target.id, "Port": target.port, "AvailabilityZone": shown_zone(tx, group, target)},
            "HealthCheckPort": if check == "traffic-port" { target.port.to_string() } else { check.clone() },
            "TargetHealth": {"State": health.0, "Reason": health.1, "Description": health.2},
        })
    };
    if input.targets.is_empty() {
        let all: Vec<Value> = held.iter().map(|t| show(t, &health(tx, group, t, call.now))).collect();
        return Ok(json!({"TargetHealthDescriptions": all}));
    }
    let mut out = Vec::new();
    for wanted in input.targets {
        let port = wanted.port.unwrap_or(group.port);
        match held.iter().find(|t| t.id == wanted.id && t.port == port) {
            Some(target) => out.push(show(target, &health(tx, group, target, call.now))),
            None => {
                let target = Target {
                    id: wanted.id,
                    port,
                    zone: wanted.availability_zone,
                    registered: call.now,
                    leaving: None,
                };
                let why = Some("Target is not registered to the target group");
                out.push(show(&target, &Health("unused", Some("Target.NotRegistered"), why)));
            }
        }
    }
    Ok(json!({"TargetHealthDescriptions": out}))
}

/// The zone that answers show: that of the target's address, or what the caller named.
fn shown_zone(world: &World, group: &TargetGroup, target: &Target) -> Option<String> {
    if group.target_type == "ip" {
        target.zone.clone().or_else(|| zone_of(world, group, target))
    } else {
        None
    }
}

fn zone_of(world: &World, group: &TargetGroup, target: &Target) -> Option<String> {
    if let Some(instance) = world.instances.get(&target.id) {
        return Some(instance.zone.clone());
    }
    let address: std::net::Ipv4Addr = target.id.parse().ok()?;
    let subnet = world.subnets.values().find(|s| s.vpc == group.vpc && s.cidr.contains(&address))?;
    Some(subnet.zone.clone())
}

fn health(world: &World, group: &TargetGroup, target: &Target, now: Timestamp) -> Health {
    if target.leaving.is_some() {
        let why = "Target deregistration is in progress";
        return Health("draining", Some("Target.DeregistrationInProgress"), Some(why));
    }
    let used = world.listeners_to(&group.arn).filter_map(|listener| {
        Some((listener.forwards_since(&group.arn)?, world.load_balancers.get(&listener.load_balancer)?))
    });
    let Some((attached, balancer)) = used.min_by_key(|(attached, _)| *attached) else {
        let why = "Target group is not configured to receive traffic from the load balancer";
        return Health("unused", Some("Target.NotInUse"), Some(why));
    };
    if !reaches(world, group, target, balancer) {
        let why = "Target is in an Availability Zone that is not enabled for the load balancer";
        return Health("unused", Some("Target.NotInUse"), Some(why));
    }
    let active = if balancer.busy_until <= balancer.created {
        balancer.created
    } else {
        LoadBalancer::first_active(balancer.created)
    };
    let start = target.registered.max(attached).max(active);
    if let Some(instance) = world.instances.get(&target.id).filter(|i| i.terminated.is_some()) {
        let state = instance.state(now).map_or("terminated", |(_, name)| name);
        let why = if state == "terminated" {
            "Target is in the terminated state"
        } else {
            "Target is in the shutting-down state"
        };
        return Health("unused", Some("Target.InvalidState"), Some(why));
    }
    let checking = after(start, REGISTRATION);
    if now < checking {
        return Health(
            "initial",
            Some("Elb.RegistrationInProgress"),
            Some("Target registration is in progress"),
        );
    }
    if is_told_unavailable(world, group) {
        return Health(
            "unavailable",
            Some("Elb.InternalError"),
            Some("Health checks failed due to an internal error"),
        );
    }
    let told = told_down(world, group, &target.id, now);
    let sick = is_sick(&target.id) || told.is_some();
    let needed = if sick { group.check.unhealthy } else { group.check.healthy };
    if now < after(checking, group.check.interval * needed) {
        return Health(
            "initial",
            Some("Elb.InitialHealthChecking"),
            Some("Initial health checks in progress"),
        );
    }
    if sick {
        let since = told.unwrap_or(checking).max(after(checking, group.check.interval * needed));
        if now < after(since, group.unhealthy_drain()) {
            let why = Some("Health checks failed");
            return Health("unhealthy.draining", Some("Target.FailedHealthChecks"), why);
        }
        return Health("unhealthy", Some("Target.FailedHealthChecks"), Some("Health checks failed"));
    }
    Health("healthy", None, None)
}

/// A target in a zone that the load balancer does not have is used only across zones.
fn reaches(world: &World, group: &TargetGroup, target: &Target, balancer: &LoadBalancer) -> bool {
    let cross = match group.attributes.get("load_balancing.cross_zone.enabled").map(String::as_str) {
        Some("true") => true,
        Some("false") => false,
        _ => balancer.cross_zone(),
    };
    let named = target.zone.clone().filter(|zone| zone != "all");
    match named.or_else(|| zone_of(world, group, target)) {
        Some(zone) => cross || balancer.zones.iter().any(|z| z.zone == zone),
        None => true,
    }
}

/// The state of a target as its health check finds it; `None` when it is not registered.
pub(crate) fn target_state(world: &World, group: &str, id: &str, now: Timestamp) -> Option<&'static str> {
    let group = world.target_groups.get(group)?;
    let target = group.targets.iter().find(|target| target.id == id && group.holds(target, now))?;
    Some(health(world, group, target, now).0)
}

/// The tag by which somebody tells the sandbox that targets do not answer: `sandbox-health: down`.
const SWITCH: &str = "sandbox-health";

/// Since when the health check finds that a target does not answer, because a switch on the target group, the instance or
/// the instance's Auto Scaling group says so; both ways it takes its time to find out.
fn told_down(world: &World, group: &TargetGroup, target: &str, now: Timestamp) -> Option<Timestamp> {
    let scaling = world.group_of(target).map(|group| group.arn.as_str());
    let of_one = |resource: &str| {
        let turn = world.tags.turn(resource, SWITCH)?;
        let is_down = turn.value == Some("down");
        let checks = if is_down { group.check.unhealthy } else { group.check.healthy };
        let found = after(turn.since, group.check.interval * checks);
        match (now < found, is_down, turn.before == Some("down")) {
            (true, _, true) => Some(turn.since),
            (false, true, _) => Some(found),
            _ => None,
        }
    };
    [Some(group.arn.as_str()), Some(target), scaling].into_iter().flatten().filter_map(of_one).min()
}

/// `sandbox-health: unavailable` on a target group: the load balancer does not know.
fn is_told_unavailable(world: &World, group: &TargetGroup) -> bool {
    world.tags.of(&group.arn).get(SWITCH) == Some(&"unavailable")
}

/// The targets of the sandbox that do not answer: see the default world's ids.
fn is_sick(id: &str) -> bool {
    let address = id.parse::<std::net::Ipv4Addr>().ok();
    id == ids::SICK_INSTANCE || address.is_some_and(|a| a.octets()[3] == ids::SICK_LAST_OCTET)
}
