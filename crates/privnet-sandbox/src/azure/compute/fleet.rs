//! The machines of a scale set: how many, where, with which model.

use serde_json::{Value, json};

use super::flexible::is_flexible;
use super::system::{DIGEST, parameter};
use crate::azure::addresses::Pool;
use crate::azure::error::ArmError;
use crate::azure::id::ResourceId;
use crate::azure::kind::{Put, linked};
use crate::azure::world::{Instance, Resource, World, guid, later};

/// How long a machine needs to run, in sandbox seconds.
const START_SECONDS: i64 = 45;

/// Adds or removes machines, and marks those whose model is not the scale set's any more.
pub(super) fn fit_instances(put: &Put<'_>, draft: &mut Resource, capacity: usize) -> Result<(), ArmError> {
    let properties = draft.properties();
    let profile =
        properties["virtualMachineProfile"]["networkProfile"]["networkInterfaceConfigurations"].clone();
    let automatic = properties["upgradePolicy"]["mode"] == "Automatic";
    let flexible = is_flexible(draft);
    let changed = put.old.is_some_and(|old| {
        old.properties()["virtualMachineProfile"] != properties["virtualMachineProfile"]
            || old.body.get(DIGEST) != draft.body.get(DIGEST)
    });
    if changed {
        for instance in &mut draft.instances {
            instance.latest_model = automatic;
            if automatic {
                instance.profile = profile.clone();
            }
        }
    }
    draft.instances.truncate(capacity);
    let zones: Vec<String> = draft
        .body
        .get("zones")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
        .iter()
        .filter_map(|zone| zone.as_str().map(str::to_owned))
        .collect();
    let mut pools: Vec<(String, Pool)> = Vec::new();
    let mut next =
        draft.instances.iter().filter_map(|i| i.id.parse::<usize>().ok()).max().map_or(0, |id| id + 1);
    while draft.instances.len() < capacity {
        let zone = emptiest(&zones, &draft.instances);
        let mut addresses = Vec::new();
        for subnet in subnets_of(&profile) {
            addresses.push(next_address(put, draft, &subnet, &mut pools)?);
        }
        draft.instances.push(Instance {
            id: if flexible { format!("{}_{}", put.id.name(), &guid()[..8]) } else { next.to_string() },
            zone,
            created: put.now,
            ready: later(put.now, START_SECONDS),
            latest_model: true,
            profile: profile.clone(),
            addresses,
            guid: guid(),
            deleting: false,
        });
        next += 1;
    }
    Ok(())
}

/// The zone with the fewest machines, so that they spread evenly.
fn emptiest(zones: &[String], instances: &[Instance]) -> Option<String> {
    let count = |zone: &&String| instances.iter().filter(|i| i.zone.as_ref() == Some(*zone)).count();
    zones.iter().min_by_key(count).cloned()
}

fn subnets_of(profile: &Value) -> Vec<ResourceId> {
    let interfaces = profile.as_array().map_or(&[][..], Vec::as_slice).iter();
    let configs = interfaces.filter_map(|nic| nic["properties"]["ipConfigurations"].as_array()).flatten();
    configs.filter_map(|config| linked(&config["properties"]["subnet"])).collect()
}

fn next_address(
    put: &Put<'_>,
    draft: &Resource,
    subnet: &ResourceId,
    pools: &mut Vec<(String, Pool)>,
) -> Result<String, ArmError> {
    let key = subnet.key();
    if !pools.iter().any(|(known, _)| *known == key) {
        let mut pool = Pool::open(put, subnet)?;
        // The draft's own machines keep theirs.
        for interface in super::instance_interfaces(draft) {
            for config in interface.configurations.iter().filter(|config| config.subnet.key() == key) {
                pool.take(&config.address, &config.id)?;
            }
        }
        pools.push((key.clone(), pool));
    }
    match pools.iter_mut().find(|(known, _)| *known == key) {
        Some((_, pool)) => pool.next(&put.id.to_string()),
        None => Err(ArmError::dangling(&subnet.to_string(), put.id)),
    }
}

/// Marks machines as going and lowers the capacity by them; unknown ids are an error.
pub(crate) fn prepare_removal(world: &mut World, set: &ResourceId, ids: &[String]) -> Result<(), ArmError> {
    let Some(resource) = world.resources.get_mut(&set.key()) else { return Err(ArmError::not_found(set)) };
    check_instances(resource, ids)?;
    for instance in resource.instances.iter_mut().filter(|instance| ids.contains(&instance.id)) {
        instance.deleting = true;
    }
    let left = resource.instances.iter().filter(|instance| !instance.deleting).count();
    resource.body["sku"]["capacity"] = json!(left);
    Ok(())
}

/// Gives machines the scale set's present model.
pub(crate) fn upgrade(world: &mut World, set: &ResourceId, ids: &[String]) -> Result<(), ArmError> {
    let Some(resource) = world.resources.get_mut(&set.key()) else { return Err(ArmError::not_found(set)) };
    check_instances(resource, ids)?;
    let profile =
        resource.properties()["virtualMachineProfile"]["networkProfile"]["networkInterfaceConfigurations"]
            .clone();
    for instance in resource.instances.iter_mut().filter(|instance| ids.contains(&instance.id)) {
        instance.latest_model = true;
        instance.profile = profile.clone();
    }
    Ok(())
}

fn check_instances(resource: &Resource, ids: &[String]) -> Result<(), ArmError> {
    match ids.iter().find(|id| !resource.instances.iter().any(|instance| instance.id == **id)) {
        Some(bad) => Err(parameter(
            "instanceIds",
            format!(
                "The provided instanceId {bad} is not an active Virtual Machine Scale Set VM instanceId."
            ),
        )),
        None => Ok(()),
    }
}
