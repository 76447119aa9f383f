//! What is answered about machines: instances of scale sets, their network interfaces, and instance views.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::flexible::{is_flexible, machine_id};
use super::instances::{InterfaceView, instance_interfaces};
use crate::azure::id::ResourceId;
use crate::azure::world::{Instance, Resource, State};

/// `Microsoft.Compute/virtualMachineScaleSets/virtualMachines`, one of them.
pub(crate) fn render_instance(set: &Resource, instance: &Instance, now: Timestamp) -> Value {
    let profile = &set.properties()["virtualMachineProfile"];
    let interfaces: Vec<Value> = instance_interfaces(set)
        .into_iter()
        .filter(|interface| interface.instance.id == instance.id)
        .map(|interface| json!({"id": interface.id.to_string()}))
        .collect();
    let mut body = json!({
        "name": if is_flexible(set) { instance.id.clone() } else { format!("{}_{}", set.id.name(), instance.id) },
        "id": set.id.child("virtualMachines", &instance.id).to_string(),
        "type": "Microsoft.Compute/virtualMachineScaleSets/virtualMachines",
        "location": set.location(),
        "instanceId": instance.id,
        "sku": {"name": set.body["sku"]["name"], "tier": set.body["sku"]["tier"]},
        "properties": {
            "latestModelApplied": instance.latest_model,
            "modelDefinitionApplied": "VirtualMachineScaleSet",
            "networkProfileConfiguration": {"networkInterfaceConfigurations": instance.profile},
            "hardwareProfile": {},
            "storageProfile": {"imageReference": profile["storageProfile"]["imageReference"]},
            "osProfile": {
                "computerName": format!("{}{:06}", profile["osProfile"]["computerNamePrefix"].as_str().unwrap_or_default(),
                    instance.id.parse::<u32>().unwrap_or_default()),
                "adminUsername": profile["osProfile"]["adminUsername"],
            },
            "networkProfile": {"networkInterfaces": interfaces},
            "provisioningState": state(instance, now),
            "vmId": instance.guid,
            "timeCreated": instance.created.to_string(),
        },
    });
    if let Some(zone) = &instance.zone {
        body["zones"] = json!([zone]);
    }
    if let Some(tags) = set.body.get("tags") {
        body["tags"] = tags.clone();
    }
    body
}

fn state(instance: &Instance, now: Timestamp) -> &'static str {
    match (instance.deleting, now < instance.ready) {
        (true, _) => "Deleting",
        (false, true) => "Creating",
        (false, false) => "Succeeded",
    }
}

/// An instance's `instanceView`.
pub(crate) fn instance_view(instance: &Instance, now: Timestamp) -> Value {
    statuses(state(instance, now), now >= instance.ready, instance.created)
}

/// A single machine's `instanceView`.
pub(crate) fn machine_view(machine: &Resource) -> Value {
    statuses(machine.state.text(), machine.state != State::Creating, machine.created)
}

fn statuses(provisioning: &str, runs: bool, time: Timestamp) -> Value {
    let power = if runs { ("running", "VM running") } else { ("starting", "VM starting") };
    json!({"statuses": [
        {"code": format!("ProvisioningState/{}", provisioning.to_ascii_lowercase()), "level": "Info",
            "displayStatus": format!("Provisioning {}", provisioning.to_ascii_lowercase()), "time": time.to_string()},
        {"code": format!("PowerState/{}", power.0), "level": "Info", "displayStatus": power.1},
    ]})
}

/// A scale set's `instanceView`: machines counted by state.
pub(crate) fn set_view(set: &Resource, now: Timestamp) -> Value {
    let mut counts: Vec<(String, u64)> = Vec::new();
    for instance in &set.instances {
        let code = format!("ProvisioningState/{}", state(instance, now).to_ascii_lowercase());
        match counts.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count += 1,
            None => counts.push((code, 1)),
        }
    }
    let summary: Vec<Value> =
        counts.iter().map(|(code, count)| json!({"code": code, "count": count})).collect();
    json!({"virtualMachine": {"statusesSummary": summary},
        "statuses": [{"code": format!("ProvisioningState/{}", set.state.text().to_ascii_lowercase()), "level": "Info"}]})
}

/// All network interfaces of a scale set, or of one of its machines.
pub(crate) fn render_instance_interfaces(
    set: &Resource,
    instance: Option<&str>,
    now: Timestamp,
) -> Vec<Value> {
    let interfaces = instance_interfaces(set).into_iter();
    interfaces
        .filter(|interface| instance.is_none_or(|id| interface.instance.id == id))
        .map(|interface| render_interface(set, &interface, now))
        .collect()
}

/// One network interface of one machine.
pub(crate) fn render_instance_interface(set: &Resource, id: &ResourceId, now: Timestamp) -> Option<Value> {
    let key = id.key();
    let interface = instance_interfaces(set).into_iter().find(|interface| interface.id.key() == key)?;
    Some(render_interface(set, &interface, now))
}

/// A network interface of a machine of a scale set.
pub(super) fn render_interface(set: &Resource, interface: &InterfaceView<'_>, now: Timestamp) -> Value {
    let etag = format!("W/\"{}\"", interface.instance.guid);
    let state = if now < interface.instance.ready { "Updating" } else { "Succeeded" };
    let flag = |name: &str| json!(interface.properties[name].as_bool().unwrap_or_default());
    let configs: Vec<Value> = interface
        .configurations
        .iter()
        .map(|config| {
            let pools: Vec<Value> = config.pools.iter().map(|pool| json!({"id": pool.to_string()})).collect();
            json!({"name": config.name, "id": config.id, "etag": etag, "properties": {
                "provisioningState": state, "privateIPAddress": config.address, "privateIPAllocationMethod": "Dynamic",
                "subnet": {"id": config.subnet.to_string()}, "primary": config.primary,
                "privateIPAddressVersion": "IPv4", "loadBalancerBackendAddressPools": pools}})
        })
        .collect();
    let machine = if is_flexible(set) {
        machine_id(set, interface.instance)
    } else {
        set.id.child("virtualMachines", &interface.instance.id)
    };
    let mut body = json!({
        "name": interface.id.name(), "id": interface.id.to_string(), "etag": etag, "location": set.location(),
        "properties": {
            "provisioningState": state, "resourceGuid": interface.instance.guid, "ipConfigurations": configs,
            "dnsSettings": {"dnsServers": [], "appliedDnsServers": []},
            "enableAcceleratedNetworking": flag("enableAcceleratedNetworking"), "enableIPForwarding": flag("enableIPForwarding"),
            "primary": interface.properties["primary"].as_bool().unwrap_or(true),
            "virtualMachine": {"id": machine.to_string()},
        },
    });
    if let Some(group) = &interface.security_group {
        body["properties"]["networkSecurityGroup"] = json!({"id": group.to_string()});
    }
    body
}
