//! Scale sets.
//!
//! Rules after Microsoft's "Virtual Machine Scale Sets - Create Or Update" and the compute provider's published messages:
//! Linux machines need a password or a key, custom data is Base64 of at most 87380 characters and is never answered, the
//! machines keep their model until they are upgraded.

use base64::Engine as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::azure::addresses::Pool;
use crate::azure::error::ArmError;
use crate::azure::id::ResourceId;
use crate::azure::kind::{Kind, Put, Work, linked};
use crate::azure::network::members_of_pool;
use crate::azure::world::{Instance, Resource, State, World, guid, later};

/// `Microsoft.Compute/virtualMachineScaleSets`.
pub(crate) struct ScaleSets;

/// How long a machine needs to run, in sandbox seconds.
const START_SECONDS: i64 = 45;

impl Kind for ScaleSets {
    fn kind(&self) -> &'static str {
        "Microsoft.Compute/virtualMachineScaleSets"
    }

    fn model(&self) -> &'static str {
        "compute.VirtualMachineScaleSet"
    }

    fn noun(&self) -> &'static str {
        "VirtualMachineScaleSet"
    }

    fn complete(
        &self,
        put: &Put<'_>,
        draft: &mut Resource,
        _made: &mut Vec<Resource>,
    ) -> Result<Work, ArmError> {
        let capacity = check_sku(put, draft)?;
        check_zones(put, draft)?;
        let mut properties = draft.body.remove("properties").unwrap_or_else(|| json!({}));
        default_mode(&mut properties)?;
        let mut profile = properties.get_mut("virtualMachineProfile").map(Value::take).unwrap_or_default();
        check_system(put, &mut profile, draft)?;
        check_network(put, draft, &mut profile)?;
        properties["virtualMachineProfile"] = profile;
        let unique = put.old.map(|old| old.properties()["uniqueId"].clone()).filter(|value| !value.is_null());
        properties["uniqueId"] = unique.unwrap_or_else(|| json!(guid()));
        properties["timeCreated"] = json!(draft.created.to_string());
        draft.body.insert("properties".into(), properties);
        let before = draft.instances.len();
        fit_instances(put, draft, capacity)?;
        let (seconds, state) = match put.old {
            None => (60, State::Creating),
            Some(_) if draft.instances.len() > before => (60, State::Updating),
            Some(_) => (20, State::Updating),
        };
        Ok(Work::Accepted(seconds, state))
    }

    fn may_go(&self, _world: &World, _resource: &Resource) -> Result<(), ArmError> {
        Ok(())
    }

    fn removal_seconds(&self) -> i64 {
        60
    }
}

fn parameter(target: &str, message: impl Into<String>) -> ArmError {
    let mut error = ArmError::invalid("InvalidParameter", message);
    error.details.push(("Target".to_owned(), target.to_owned()));
    error
}

fn check_sku(put: &Put<'_>, draft: &mut Resource) -> Result<usize, ArmError> {
    let sku = draft
        .body
        .entry("sku")
        .or_insert_with(|| put.old.map(|old| old.body["sku"].clone()).unwrap_or_default());
    if sku["name"].as_str().is_none() {
        return Err(parameter("sku.name", "Required parameter 'sku.name' is missing (null)."));
    }
    let capacity = match (sku["capacity"].as_u64(), put.old) {
        (Some(capacity), _) => capacity,
        (None, Some(old)) => old.body["sku"]["capacity"].as_u64().unwrap_or_default(),
        (None, None) => {
            return Err(parameter("sku.capacity", "Required parameter 'sku.capacity' is missing (null)."));
        }
    };
    if capacity > 1000 {
        return Err(parameter("sku.capacity", "The capacity of a scale set cannot be more than 1000."));
    }
    sku["capacity"] = json!(capacity);
    if sku.get("tier").is_none() {
        sku["tier"] = json!("Standard");
    }
    usize::try_from(capacity).map_err(|_| parameter("sku.capacity", "The capacity is out of range."))
}

fn check_zones(put: &Put<'_>, draft: &mut Resource) -> Result<(), ArmError> {
    let of = |resource: &Resource| -> Vec<String> {
        let zones = resource.body.get("zones").and_then(Value::as_array).cloned().unwrap_or_default();
        zones.iter().filter_map(|zone| zone.as_str().map(str::to_owned)).collect()
    };
    let zones = of(draft);
    if let Some(bad) = zones.iter().find(|zone| !["1", "2", "3"].contains(&zone.as_str())) {
        return Err(ArmError::invalid(
            "InvalidAvailabilityZone",
            format!(
                "The zone(s) '{bad}' for resource '{}' is not supported. The supported zones for location '{}' are '1,2,3'.",
                put.id,
                draft.location()
            ),
        ));
    }
    match put.old.map(of) {
        Some(before) if !before.iter().all(|zone| zones.contains(zone)) => {
            Err(ArmError::new(409, "PropertyChangeNotAllowed", "Changing property 'zones' is not allowed."))
        }
        _ => Ok(()),
    }
}

fn default_mode(properties: &mut Value) -> Result<(), ArmError> {
    if properties.get("orchestrationMode").is_none() {
        properties["orchestrationMode"] = json!("Uniform");
    }
    if properties["orchestrationMode"] == "Uniform" && properties["upgradePolicy"]["mode"].as_str().is_none()
    {
        return Err(parameter("upgradePolicy", "Required parameter 'upgradePolicy.mode' is missing (null)."));
    }
    if properties.get("overprovision").is_none() {
        properties["overprovision"] = json!(properties["orchestrationMode"] == "Uniform");
    }
    if properties.get("singlePlacementGroup").is_none() {
        properties["singlePlacementGroup"] = json!(properties["orchestrationMode"] == "Uniform");
    }
    Ok(())
}

/// The operating system's part. Passwords and custom data are checked, and only a digest of them is kept.
fn check_system(put: &Put<'_>, profile: &mut Value, draft: &mut Resource) -> Result<(), ArmError> {
    if profile["storageProfile"]["imageReference"].as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(parameter("imageReference", "Required parameter 'imageReference' is missing (null)."));
    }
    let system = &mut profile["osProfile"];
    let old_system = put.old.map(|old| &old.properties()["virtualMachineProfile"]["osProfile"]);
    for name in ["computerNamePrefix", "adminUsername"] {
        if system[name].as_str().is_none_or(str::is_empty) {
            return Err(parameter(name, format!("Required parameter 'osProfile.{name}' is missing (null).")));
        }
        if old_system.is_some_and(|old| old[name] != system[name]) {
            return Err(ArmError::new(
                409,
                "PropertyChangeNotAllowed",
                format!("Changing property 'osProfile.{name}' is not allowed."),
            ));
        }
    }
    let mut digest = Sha256::new();
    if let Some(data) = system["customData"].as_str() {
        let good = data.len() <= 87380 && base64::engine::general_purpose::STANDARD.decode(data).is_ok();
        if !good {
            return Err(parameter(
                "customData",
                "Custom data in OSProfile must be in Base64 encoding and with a maximum length of 87380 characters.",
            ));
        }
        digest.update(data);
    }
    let linux = &system["linuxConfiguration"];
    let keys = linux["ssh"]["publicKeys"].as_array().is_some_and(|keys| !keys.is_empty());
    let had_access = put.old.is_some();
    if linux.is_object() && !keys && system["adminPassword"].as_str().is_none() && !had_access {
        return Err(parameter(
            "linuxConfiguration",
            "Authentication using either SSH or by user name and password must be enabled in Linux profile.",
        ));
    }
    if !linux.is_object() && system["adminPassword"].as_str().is_none() && !had_access {
        return Err(parameter("adminPassword", "Required parameter 'adminPassword' is missing (null)."));
    }
    let given = system["customData"].is_string();
    if let Some(map) = system.as_object_mut() {
        map.remove("customData");
        map.remove("adminPassword");
    }
    let kept = put.old.and_then(|old| old.body.get(DIGEST)).cloned();
    let value = if given { Some(json!(hex(&digest.finalize()))) } else { kept };
    if let Some(value) = value {
        draft.body.insert(DIGEST.into(), value);
    }
    Ok(())
}

/// Where the digest of write-only parts is kept; answers leave it out.
pub(crate) const DIGEST: &str = "$digest";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check_network(put: &Put<'_>, draft: &Resource, profile: &mut Value) -> Result<(), ArmError> {
    let interfaces = &mut profile["networkProfile"]["networkInterfaceConfigurations"];
    let Some(list) = interfaces.as_array_mut().filter(|list| !list.is_empty()) else {
        return Err(parameter(
            "networkInterfaceConfigurations",
            "Required parameter 'networkInterfaceConfigurations' is missing (null).",
        ));
    };
    if list.len() > 1 && list.iter().filter(|nic| nic["properties"]["primary"] == true).count() != 1 {
        return Err(parameter(
            "primary",
            "Exactly one network interface configuration must be marked as primary.",
        ));
    }
    for nic in list {
        let properties = &mut nic["properties"];
        put.link(draft, properties, "networkSecurityGroup", "Microsoft.Network/networkSecurityGroups")?;
        let Some(configs) = properties["ipConfigurations"].as_array_mut().filter(|list| !list.is_empty())
        else {
            return Err(parameter(
                "ipConfigurations",
                "Required parameter 'ipConfigurations' is missing (null).",
            ));
        };
        for config in configs {
            let inside = &mut config["properties"];
            if inside.get("subnet").is_none() {
                return Err(parameter("subnet", "Required parameter 'subnet' is missing (null)."));
            }
            put.link(draft, inside, "subnet", "Microsoft.Network/virtualNetworks/subnets")?;
            put.links(
                draft,
                inside,
                "loadBalancerBackendAddressPools",
                "Microsoft.Network/loadBalancers/backendAddressPools",
            )?;
            check_pools(put, draft, inside)?;
        }
    }
    Ok(())
}

/// Zonal machines need a Standard load balancer, and a pool's members lie in one network.
fn check_pools(put: &Put<'_>, draft: &Resource, inside: &Value) -> Result<(), ArmError> {
    let network = linked(&inside["subnet"]).map(|subnet| subnet.owner().key());
    let zonal = draft.body.get("zones").and_then(Value::as_array).is_some_and(|zones| !zones.is_empty());
    for pool in inside["loadBalancerBackendAddressPools"].as_array().map_or(&[][..], Vec::as_slice) {
        let Some(pool) = linked(pool) else { continue };
        let standard =
            put.world.resource(&pool).is_some_and(|balancer| balancer.body["sku"]["name"] == "Standard");
        if zonal && !standard {
            return Err(ArmError::invalid(
                "ZonalVmssCannotUseBasicLoadBalancer",
                format!(
                    "A scale set with availability zones needs a Standard load balancer; {} is not.",
                    pool.owner()
                ),
            ));
        }
        let stranger = members_of_pool(put.world, &pool).into_iter().find(|member| {
            Some(member.subnet.owner().key()) != network && member.holder.key() != put.id.key()
        });
        if let Some(stranger) = stranger {
            return Err(ArmError::invalid(
                "NetworkInterfaceAndLoadBalancerBackendPoolNotInSameVnet",
                format!(
                    "Scale set {} and {} of backend pool {pool} are in different virtual networks.",
                    put.id, stranger.id
                ),
            ));
        }
    }
    Ok(())
}

/// Adds or removes machines, and marks those whose model is not the scale set's any more.
fn fit_instances(put: &Put<'_>, draft: &mut Resource, capacity: usize) -> Result<(), ArmError> {
    let properties = draft.properties();
    let profile =
        properties["virtualMachineProfile"]["networkProfile"]["networkInterfaceConfigurations"].clone();
    let automatic = properties["upgradePolicy"]["mode"] == "Automatic";
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
            id: next.to_string(),
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
