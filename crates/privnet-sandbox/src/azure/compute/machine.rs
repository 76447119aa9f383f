//! Single machines, on network interfaces that are there.
//!
//! Rules after Microsoft's "Virtual Machines - Create Or Update" (<https://learn.microsoft.com/rest/api/compute/virtual-machines/create-or-update>):
//! a machine is created in a long operation, has its interfaces from the beginning, and lets go of them when it has gone; an interface that says
//! `deleteOption: Delete` goes with it. Its disks are no resources here, nor are interfaces that a machine makes by itself, and it always runs.
//!
//! Another set of interfaces needs a machine that is stopped (<https://github.com/Azure/azure-powershell/issues/4565>).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::flexible::flexible_machine;
use super::images;
use super::scale_set::check_zones;
use super::system::{DIGEST, check_access, parameter};

use crate::azure::error::ArmError;
use crate::azure::kind::{Kind, Put, Work, linked};
use crate::azure::world::{Resource, State, World, guid};

const INTERFACES: &str = "Microsoft.Network/networkInterfaces";

/// `Microsoft.Compute/virtualMachines`.
pub(crate) struct Machines;

impl Kind for Machines {
    fn kind(&self) -> &'static str {
        "Microsoft.Compute/virtualMachines"
    }

    fn model(&self) -> &'static str {
        "compute.VirtualMachine"
    }

    fn noun(&self) -> &'static str {
        "VirtualMachine"
    }

    fn complete(
        &self,
        put: &Put<'_>,
        draft: &mut Resource,
        made: &mut Vec<Resource>,
    ) -> Result<Work, ArmError> {
        if flexible_machine(put.world, put.id).is_some() {
            let message = "The sandbox does not model writes to machines of a scale set.";
            return Err(ArmError::new(405, "MethodNotAllowed", message));
        }
        check_zones(put, draft)?;
        let mut properties = draft.body.remove("properties").unwrap_or_else(|| json!({}));
        if properties["hardwareProfile"]["vmSize"].as_str().is_none() {
            return Err(parameter("vmSize", "Required parameter 'vmSize' is missing (null)."));
        }
        complete_storage(put, &mut properties)?;
        complete_system(put, draft, &mut properties)?;
        attach(put, draft, &mut properties, made)?;
        let known = put.old.map(|old| old.properties()["vmId"].clone()).filter(|value| !value.is_null());
        properties["vmId"] = known.unwrap_or_else(|| json!(guid()));
        properties["timeCreated"] = json!(draft.created.to_string());
        if let Some(map) = properties.as_object_mut() {
            // It is taken and never answered.
            map.remove("userData");
        }
        draft.body.insert("properties".into(), properties);
        Ok(match put.old {
            None => Work::Accepted(40, State::Creating),
            Some(_) => Work::Accepted(10, State::Updating),
        })
    }

    fn may_go(&self, _world: &World, _resource: &Resource) -> Result<(), ArmError> {
        Ok(())
    }

    fn removal_seconds(&self) -> i64 {
        30
    }
}

/// The image and the disk that is made of it; both stay as they were made.
fn complete_storage(put: &Put<'_>, properties: &mut Value) -> Result<(), ArmError> {
    let before = put.old.map(|old| &old.properties()["storageProfile"]);
    let storage = &mut properties["storageProfile"];
    if !storage.is_object() {
        let Some(before) = before else {
            return Err(parameter(
                "storageProfile",
                "Required parameter 'storageProfile' is missing (null).",
            ));
        };
        *storage = before.clone();
    }
    let attaches = storage["osDisk"]["createOption"] == "Attach";
    match before {
        Some(before) if before["imageReference"] != storage["imageReference"] => {
            return Err(not_allowed("imageReference"));
        }
        Some(_) => {}
        None if attaches => {}
        None if storage["imageReference"].as_object().is_none_or(serde_json::Map::is_empty) => {
            return Err(parameter(
                "imageReference",
                "Required parameter 'imageReference' is missing (null).",
            ));
        }
        None => images::check(&storage["imageReference"])?,
    }
    let system = images::system_of(&storage["imageReference"]);
    let name = match before.and_then(|before| before["osDisk"]["name"].as_str()) {
        Some(name) => name.to_owned(),
        None => format!("{}_OsDisk_1_{}", put.id.name(), guid().replace('-', "")),
    };
    let disk = &mut storage["osDisk"];
    for (property, value) in [
        ("osType", json!(system.unwrap_or("Linux"))),
        ("name", json!(name)),
        ("createOption", json!("FromImage")),
        ("caching", json!("ReadWrite")),
        ("deleteOption", json!("Detach")),
    ] {
        if disk[property].is_null() {
            disk[property] = value;
        }
    }
    if !storage["dataDisks"].is_array() {
        storage["dataDisks"] = json!([]);
    }
    Ok(())
}

/// Who gets in and what the machine is given: that is said once. A disk that is attached has its system already.
fn complete_system(put: &Put<'_>, draft: &mut Resource, properties: &mut Value) -> Result<(), ArmError> {
    if properties["storageProfile"]["osDisk"]["createOption"] == "Attach" {
        return Ok(());
    }
    let before = put.old.map(|old| &old.properties()["osProfile"]);
    let system = &mut properties["osProfile"];
    if !system.is_object() {
        let Some(before) = before else {
            return Err(parameter("osProfile", "Required parameter 'osProfile' is missing (null)."));
        };
        *system = before.clone();
    }
    if system["computerName"].is_null() {
        system["computerName"] = json!(put.id.name());
    }
    if system["adminUsername"].as_str().is_none_or(str::is_empty) {
        return Err(parameter(
            "adminUsername",
            "Required parameter 'osProfile.adminUsername' is missing (null).",
        ));
    }
    for name in ["computerName", "adminUsername"] {
        if before.is_some_and(|before| before[name] != system[name]) {
            return Err(not_allowed(&format!("osProfile.{name}")));
        }
    }
    let digest = check_access(put, system)?;
    if put.old.is_some_and(|old| old.body.get(DIGEST) != digest.as_ref()) {
        return Err(not_allowed("osProfile.customData"));
    }
    draft.body.extend(digest.map(|value| (DIGEST.to_owned(), value)));
    for (name, value) in [
        ("secrets", json!([])),
        ("allowExtensionOperations", json!(true)),
        ("requireGuestProvisionSignal", json!(true)),
    ] {
        if system[name].is_null() {
            system[name] = value;
        }
    }
    Ok(())
}

fn not_allowed(property: &str) -> ArmError {
    ArmError::new(409, "PropertyChangeNotAllowed", format!("Changing property '{property}' is not allowed."))
}

/// The machine's interfaces, which know it from now on.
fn attach(
    put: &Put<'_>,
    draft: &Resource,
    properties: &mut Value,
    made: &mut Vec<Resource>,
) -> Result<(), ArmError> {
    let network = &mut properties["networkProfile"];
    if network["networkInterfaceConfigurations"].is_array() {
        let message =
            "The sandbox does not model network interfaces that a machine makes: name those that are there.";
        return Err(parameter("networkInterfaceConfigurations", message));
    }
    if let (true, Some(old)) = (network.is_null(), put.old) {
        *network = old.properties()["networkProfile"].clone();
    }
    let Some(list) = network["networkInterfaces"].as_array_mut().filter(|list| !list.is_empty()) else {
        return Err(parameter(
            "networkProfile.networkInterfaces",
            "Required parameter 'networkProfile.networkInterfaces' is missing (null).",
        ));
    };
    let primary = primary_of(put, list)?;
    let mut names = BTreeSet::new();
    for (nth, entry) in list.iter_mut().enumerate() {
        let mut interface = interface(put, draft, entry)?;
        let inside = entry["properties"].as_object().cloned().unwrap_or_default();
        *entry = json!({"id": interface.id.to_string(), "properties": inside});
        names.insert(interface.id.key());
        let mut shown = interface.body.remove("properties").unwrap_or_else(|| json!({}));
        let before = shown.clone();
        shown["virtualMachine"] = json!({"id": put.id.to_string()});
        shown["primary"] = json!(nth == primary);
        let is_changed = shown != before;
        interface.body.insert("properties".into(), shown);
        if is_changed {
            interface.etag = guid();
            made.push(interface);
        }
    }
    match put.old {
        Some(old) if interfaces(old) != names => Err(ArmError::invalid(
            "AddingOrDeletingNetworkInterfacesOnARunningVirtualMachineNotSupported",
            format!(
                "Virtual machine {} must be stop-deallocated before its network interfaces can be changed.",
                put.id
            ),
        )),
        _ => Ok(()),
    }
}

/// Which one is the primary one: of several it has to be said.
fn primary_of(put: &Put<'_>, list: &[Value]) -> Result<usize, ArmError> {
    let said = |entry: &Value| entry["properties"]["primary"] == true;
    match (list.len(), list.iter().filter(|entry| said(entry)).count()) {
        (1, _) => Ok(0),
        (_, 1) => Ok(list.iter().position(said).unwrap_or_default()),
        _ => Err(ArmError::invalid(
            "VirtualMachineMustHaveOneNetworkInterfaceAsPrimary",
            format!("Virtual machine {} must have one network interface set as the primary.", put.id),
        )),
    }
}

/// An interface that is there, in the machine's region, and nobody else's.
fn interface(put: &Put<'_>, draft: &Resource, entry: &Value) -> Result<Resource, ArmError> {
    let id = put.reference(draft, entry, INTERFACES)?;
    let found = put.world.resource(&id).filter(|found| found.location() == draft.location());
    let found = found.ok_or_else(|| ArmError::dangling(&id.to_string(), put.id))?;
    let user = linked(&found.properties()["virtualMachine"]);
    let other = user.filter(|user| user.key() != put.id.key()).map(|user| user.to_string());
    match found.managed_by.clone().or(other) {
        Some(user) => Err(ArmError::invalid(
            "NicInUse",
            format!("Network Interface {id} is used by existing resource {user}."),
        )),
        None => Ok(found.clone()),
    }
}

fn interfaces(machine: &Resource) -> BTreeSet<String> {
    let list = machine.properties()["networkProfile"]["networkInterfaces"].as_array();
    list.into_iter().flatten().filter_map(linked).map(|id| id.key()).collect()
}

/// A machine that has gone leaves its interfaces, and takes along those that it is to.
pub(crate) fn release_interfaces(world: &mut World, machine: &Resource) {
    let list = machine.properties()["networkProfile"]["networkInterfaces"].as_array().cloned();
    for entry in list.into_iter().flatten() {
        let Some(key) = linked(&entry).map(|id| id.key()) else { continue };
        let Some(interface) = world.resources.get_mut(&key) else { continue };
        if linked(&interface.properties()["virtualMachine"]).is_none_or(|id| id.key() != machine.id.key()) {
            continue;
        }
        if let Some(properties) = interface.body.get_mut("properties").and_then(Value::as_object_mut) {
            properties.remove("virtualMachine");
            properties.remove("primary");
        }
        interface.etag = guid();
        if entry["properties"]["deleteOption"] == "Delete" {
            world.remove_resource(&key);
        }
    }
}
