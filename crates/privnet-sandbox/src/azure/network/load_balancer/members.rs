//! The machines in a pool of interfaces, and their administrative state
//! (Microsoft, "Administrative state in Azure Load Balancer": per machine and pool, it overrides the health probe; it cannot be
//! set while a pool of interfaces is made).
//!
//! The machines are those whose interfaces name the pool; only the state is kept with the pool, for the machine that had this place
//! when it was set.

use serde_json::{Value, json};

use crate::azure::compute::Member;
use crate::azure::id::ResourceId;
use crate::azure::kind::Put;
use crate::azure::network::interface::members_of_pool;
use crate::azure::world::World;

const ENTRIES: &str = "loadBalancerBackendAddresses";
/// Since when the machine is there: another one in its place has a state of its own.
const SINCE: &str = "$since";

/// The name of a machine's entry.
fn name(member: &Member) -> String {
    member.id.split('/').skip(4).filter(|part| !part.contains('.')).collect::<Vec<_>>().join("_")
}

/// What a write says of the states of a pool's machines, as it is kept. A write without entries leaves them.
pub(super) fn states(put: &Put<'_>, pool: &ResourceId, sent: &[Value]) -> Vec<Value> {
    let stored = put.old.and_then(|old| old.child("backendAddressPools", pool.name()));
    if sent.is_empty() {
        let kept =
            stored.and_then(|pool| pool["properties"][ENTRIES].as_array().cloned()).unwrap_or_default();
        return kept.into_iter().filter(|entry| entry.get(SINCE).is_some()).collect();
    }
    let members = members_of_pool(put.world, pool);
    let state = |member: &Member| {
        let name = name(member);
        let entry = sent.iter().find(|entry| entry["name"] == name.as_str())?;
        let state = entry["properties"]["adminState"].as_str().filter(|state| *state != "None")?;
        Some(json!({"name": name, SINCE: member.up_since.to_string(), "properties": {"adminState": state}}))
    };
    members.iter().filter_map(state).collect()
}

/// The administrative state that a pool has for a machine.
pub(super) fn admin_state<'a>(pool: &'a Value, member: &Member) -> Option<&'a str> {
    let (name, since) = (name(member), member.up_since.to_string());
    let entries = pool["properties"][ENTRIES].as_array()?;
    let own = entries.iter().find(|e| e["name"] == name.as_str() && e[SINCE] == since.as_str())?;
    own["properties"]["adminState"].as_str()
}

/// Shows a pool with its machines.
pub(super) fn show(world: &World, id: &ResourceId, pool: &mut Value) {
    let members = members_of_pool(world, id);
    if members.is_empty() {
        if let Some(entries) = pool["properties"][ENTRIES].as_array_mut() {
            entries.retain(|entry| entry.get(SINCE).is_none());
        }
        return;
    }
    let ids: Vec<Value> = members.iter().map(|member| json!({"id": member.id})).collect();
    let entry = |member: &Member| {
        let mut entry = json!({"name": name(member), "properties": {"provisioningState": "Succeeded",
            "networkInterfaceIPConfiguration": {"id": member.id}}});
        if let Some(state) = admin_state(pool, member) {
            entry["properties"]["adminState"] = json!(state);
        }
        entry
    };
    let entries: Vec<Value> = members.iter().map(entry).collect();
    pool["properties"]["backendIPConfigurations"] = Value::Array(ids);
    pool["properties"][ENTRIES] = Value::Array(entries);
}
