//! The health of a rule's backends.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::interface::members_of_pool;
use super::members::admin_state;
use crate::azure::error::ArmError;
use crate::azure::id::ResourceId;
use crate::azure::kind::linked;
use crate::azure::world::{World, later};

/// The answer of a rule's health call (Microsoft, "Manage Azure Load Balancer health status"): each backend with state and reason.
pub(crate) fn health(world: &World, rule: &ResourceId, now: Timestamp) -> Result<Value, ArmError> {
    let balancer = world.resource(rule).ok_or_else(|| ArmError::not_found(&rule.owner()))?;
    let found =
        balancer.child("loadBalancingRules", rule.name()).ok_or_else(|| ArmError::child_not_found(rule))?;
    let probe = linked(&found["properties"]["probe"]).and_then(|id| balancer.child("probes", id.name()));
    let number = |name: &str, otherwise: i64| {
        probe.and_then(|probe| probe["properties"][name].as_i64()).unwrap_or(otherwise)
    };
    let wait = number("intervalInSeconds", 15) * number("probeThreshold", 1);
    let down = match probe.map(|probe| probe["properties"]["protocol"] == "Tcp") {
        Some(false) => "Down_Probe_HttpEndpointUnreachable",
        _ => "Down_Probe_TcpProbeTimeout",
    };
    let pool = linked(&found["properties"]["backendAddressPool"]);
    let members = pool.as_ref().map(|pool| members_of_pool(world, pool)).unwrap_or_default();
    let pool = pool.and_then(|id| balancer.child("backendAddressPools", id.name()));
    let mut backends = Vec::new();
    let mut up = 0;
    for (index, member) in members.iter().enumerate() {
        let is_first = members.iter().take(index).all(|before| before.holder != member.holder);
        let (is_up, reason) = match pool.and_then(|pool| admin_state(pool, member)) {
            // It overrides the probe.
            Some("Up") => (true, "Up_Admin"),
            Some("Down") => (false, "Down_Admin"),
            _ if told_down(world, &member.holder, is_first) || now < later(member.up_since, wait) => {
                (false, down)
            }
            _ => (true, "Up_Probe_Success"),
        };
        up += i64::from(is_up);
        backends.push(json!({
            "networkInterfaceIPConfigurationId": member.id,
            "ipAddress": member.address,
            "state": if is_up { "Up" } else { "Down" },
            "reason": reason,
        }));
    }
    let all = backends.len() as i64;
    Ok(json!({"up": up, "down": all - up, "loadBalancerBackendAddresses": backends}))
}

/// The sandbox's own switch: a tag `sandbox-health: down` on the machines' scale set or on a NIC makes its backends unhealthy, and
/// `one-down` the first of them.
fn told_down(world: &World, holder: &ResourceId, is_first: bool) -> bool {
    match world.resource(holder).and_then(|resource| resource.tag("sandbox-health")) {
        Some("down") => true,
        Some("one-down") => is_first,
        _ => false,
    }
}
