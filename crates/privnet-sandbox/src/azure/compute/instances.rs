//! A scale set's machines and their network interfaces, which exist through the scale set alone.

use jiff::Timestamp;
use serde_json::Value;

use super::flexible::{interface_id, is_flexible};

use crate::azure::id::ResourceId;
use crate::azure::kind::linked;
use crate::azure::world::{Instance, Resource, later};

/// How long a machine's own services need after it runs, in sandbox seconds.
const BOOT_SECONDS: i64 = 15;

/// An ip configuration of a machine of a scale set.
#[derive(Debug, Clone)]
pub(crate) struct ConfigurationView {
    /// Its id.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Its subnet.
    pub(crate) subnet: ResourceId,
    /// Its private address.
    pub(crate) address: String,
    /// The backend pools that it is in.
    pub(crate) pools: Vec<ResourceId>,
    /// Whether it is the interface's first.
    pub(crate) primary: bool,
}

/// A network interface of a machine of a scale set.
#[derive(Debug, Clone)]
pub(crate) struct InterfaceView<'a> {
    /// `…/virtualMachines/0/networkInterfaces/NAME`.
    pub(crate) id: ResourceId,
    /// The machine.
    pub(crate) instance: &'a Instance,
    /// The configuration's properties in the machine's profile.
    pub(crate) properties: &'a Value,
    /// Its security group.
    pub(crate) security_group: Option<ResourceId>,
    /// Its addresses.
    pub(crate) configurations: Vec<ConfigurationView>,
}

/// A backend of a pool.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// The ip configuration's id.
    pub(crate) id: String,
    /// The network interface's id.
    pub(crate) interface: String,
    /// Its address.
    pub(crate) address: String,
    /// Its subnet.
    pub(crate) subnet: ResourceId,
    /// When the machine's services were there.
    pub(crate) up_since: Timestamp,
    /// The NIC or the scale set.
    pub(crate) holder: ResourceId,
}

/// All network interfaces of a scale set's machines.
pub(crate) fn instance_interfaces(set: &Resource) -> Vec<InterfaceView<'_>> {
    set.instances.iter().flat_map(|instance| interfaces_of(set, instance)).collect()
}

fn interfaces_of<'a>(set: &Resource, instance: &'a Instance) -> Vec<InterfaceView<'a>> {
    let mut addresses = instance.addresses.iter();
    let profile = instance.profile.as_array().map_or(&[][..], Vec::as_slice);
    let interface = |nic: &'a Value| {
        let name = nic["name"].as_str().unwrap_or_default();
        let id = if is_flexible(set) {
            interface_id(set, instance, name)
        } else {
            set.id.child("virtualMachines", &instance.id).child("networkInterfaces", name)
        };
        let properties = &nic["properties"];
        let list = properties["ipConfigurations"].as_array().map_or(&[][..], Vec::as_slice);
        let mut configurations = Vec::new();
        for config in list {
            let (inside, name) = (&config["properties"], config["name"].as_str().unwrap_or_default());
            let (Some(subnet), Some(address)) = (linked(&inside["subnet"]), addresses.next()) else {
                continue;
            };
            let pools = inside["loadBalancerBackendAddressPools"].as_array().map_or(&[][..], Vec::as_slice);
            configurations.push(ConfigurationView {
                id: id.child("ipConfigurations", name).to_string(),
                name: name.to_owned(),
                subnet,
                address: address.clone(),
                pools: pools.iter().filter_map(linked).collect(),
                primary: inside["primary"].as_bool().unwrap_or(list.len() == 1),
            });
        }
        InterfaceView {
            id,
            instance,
            properties,
            security_group: linked(&properties["networkSecurityGroup"]),
            configurations,
        }
    };
    profile.iter().map(interface).collect()
}

/// The members that a scale set gives to a pool.
pub(crate) fn instance_members(set: &Resource, pool: &str) -> Vec<Member> {
    let mut members = Vec::new();
    for interface in instance_interfaces(set) {
        for config in &interface.configurations {
            if interface.instance.deleting || !config.pools.iter().any(|id| id.key() == pool) {
                continue;
            }
            members.push(Member {
                id: config.id.clone(),
                interface: interface.id.to_string(),
                address: config.address.clone(),
                subnet: config.subnet.clone(),
                up_since: later(interface.instance.ready, BOOT_SECONDS),
                holder: set.id.clone(),
            });
        }
    }
    members
}
