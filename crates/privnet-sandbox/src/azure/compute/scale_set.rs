//! Scale sets.
//!
//! Rules after Microsoft's "Virtual Machine Scale Sets - Create Or Update" and the compute provider's published messages:
//! Linux machines need a password or a key, custom data is Base64 of at most 87380 characters and is never answered, the
//! machines keep their model until they are upgraded.

use serde_json::{Value, json};

use super::fleet::fit_instances;
use super::system::{DIGEST, check_access, parameter};
use crate::azure::error::ArmError;
use crate::azure::kind::{Kind, Put, Work, linked};
use crate::azure::network::members_of_pool;
use crate::azure::world::{Resource, State, World, guid};

/// `Microsoft.Compute/virtualMachineScaleSets`.
pub(crate) struct ScaleSets;

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

pub(super) fn check_zones(put: &Put<'_>, draft: &mut Resource) -> Result<(), ArmError> {
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

/// The mode and what it demands: `Uniform` an upgrade policy, `Flexible` fault domains and an API version for its NICs.
fn default_mode(properties: &mut Value) -> Result<(), ArmError> {
    if properties.get("orchestrationMode").is_none() {
        properties["orchestrationMode"] = json!("Uniform");
    }
    if properties["orchestrationMode"] == "Uniform" && properties["upgradePolicy"]["mode"].as_str().is_none()
    {
        return Err(parameter("upgradePolicy", "Required parameter 'upgradePolicy.mode' is missing (null)."));
    }
    if properties["orchestrationMode"] == "Flexible" {
        if properties["platformFaultDomainCount"].as_u64().is_none() {
            return Err(parameter(
                "platformFaultDomainCount",
                "Required parameter 'platformFaultDomainCount' is missing (null).",
            ));
        }
        let version = &properties["virtualMachineProfile"]["networkProfile"]["networkApiVersion"];
        if version.as_str().is_none() {
            return Err(parameter(
                "networkApiVersion",
                "Required parameter 'networkApiVersion' is missing (null).",
            ));
        }
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
    super::images::check(&profile["storageProfile"]["imageReference"])?;
    drop_secrets(profile);
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
    let digest = check_access(put, system)?;
    draft.body.extend(digest.map(|value| (DIGEST.to_owned(), value)));
    Ok(())
}

/// What ARM takes and never answers, besides what is checked: user data and the protected settings of extensions.
fn drop_secrets(profile: &mut Value) {
    if let Some(map) = profile.as_object_mut() {
        map.remove("userData");
    }
    let extensions = profile.pointer_mut("/extensionProfile/extensions").and_then(Value::as_array_mut);
    for extension in extensions.into_iter().flatten() {
        if let Some(map) = extension.get_mut("properties").and_then(Value::as_object_mut) {
            map.remove("protectedSettings");
        }
    }
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
