//! Scale sets of the mode `Flexible`: their machines and network interfaces are ordinary resources with names of their own
//! (Microsoft, "Orchestration modes for Virtual Machine Scale Sets").

use jiff::Timestamp;
use serde_json::{Value, json};

use super::instances::instance_interfaces;
use super::views::{instance_view, render_instance, render_interface};
use crate::azure::id::ResourceId;
use crate::azure::world::{Instance, Resource, World};

const SET: &str = "Microsoft.Compute/virtualMachineScaleSets";
const MACHINE: &str = "Microsoft.Compute/virtualMachines";

/// Whether a scale set is of that mode.
pub(crate) fn is_flexible(set: &Resource) -> bool {
    set.properties()["orchestrationMode"] == "Flexible"
}

/// The machine's id as an ordinary resource.
pub(super) fn machine_id(set: &Resource, instance: &Instance) -> ResourceId {
    ResourceId::top(&set.id.subscription, &set.id.group, MACHINE, &instance.id)
}

/// The id of one of its network interfaces.
pub(super) fn interface_id(set: &Resource, instance: &Instance, name: &str) -> ResourceId {
    let suffix = instance.id.rsplit('_').next().unwrap_or_default();
    let name = format!("{name}-{suffix}");
    ResourceId::top(&set.id.subscription, &set.id.group, "Microsoft.Network/networkInterfaces", &name)
}

fn machines(world: &World) -> impl Iterator<Item = (&Resource, &Instance)> {
    let sets = world.of_kind(SET).filter(|set| is_flexible(set));
    sets.flat_map(|set| set.instances.iter().map(move |instance| (set, instance)))
}

/// The scale set and number of a machine that is an ordinary resource.
pub(crate) fn flexible_machine(world: &World, id: &ResourceId) -> Option<(ResourceId, String)> {
    let key = id.key();
    let (set, instance) = machines(world).find(|(set, instance)| machine_id(set, instance).key() == key)?;
    Some((set.id.clone(), instance.id.clone()))
}

/// The machines, or the network interfaces, of all scale sets of the mode: where each is, when it was made, what it shows.
pub(crate) fn flexible_resources(
    world: &World,
    kind: &str,
    now: Timestamp,
) -> Vec<(ResourceId, Timestamp, Value)> {
    let mut found = Vec::new();
    for (set, instance) in machines(world) {
        if kind.eq_ignore_ascii_case(MACHINE) {
            found.push((machine_id(set, instance), instance.created, render_machine(set, instance, now)));
        } else if kind.eq_ignore_ascii_case("Microsoft.Network/networkInterfaces") {
            let own =
                instance_interfaces(set).into_iter().filter(|interface| interface.instance.id == instance.id);
            found.extend(own.map(|interface| {
                (interface.id.clone(), instance.created, render_interface(set, &interface, now))
            }));
        }
    }
    found
}

/// One of them by its id.
pub(crate) fn flexible_resource(world: &World, id: &ResourceId, now: Timestamp) -> Option<Value> {
    let key = id.key();
    let all = flexible_resources(world, &id.kind(), now);
    all.into_iter().find(|(known, _, _)| known.key() == key).map(|(_, _, body)| body)
}

fn render_machine(set: &Resource, instance: &Instance, now: Timestamp) -> Value {
    let mut body = render_instance(set, instance, now);
    body["id"] = json!(machine_id(set, instance).to_string());
    body["name"] = json!(instance.id);
    body["type"] = json!(MACHINE);
    let mut properties = body["properties"].take();
    if let Some(map) = properties.as_object_mut() {
        map.remove("latestModelApplied");
        map.remove("modelDefinitionApplied");
        map.remove("networkProfileConfiguration");
        map.insert("hardwareProfile".into(), json!({"vmSize": set.body["sku"]["name"]}));
        map.insert("virtualMachineScaleSet".into(), json!({"id": set.id.to_string()}));
        map.insert("instanceView".into(), instance_view(instance, now));
    }
    body["properties"] = properties;
    if let Some(map) = body.as_object_mut() {
        map.remove("instanceId");
        map.remove("sku");
    }
    body
}
