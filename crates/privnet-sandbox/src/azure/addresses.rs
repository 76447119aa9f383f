//! Who has which private address, and handing out free ones.
//!
//! Azure keeps the first four addresses and the last of each subnet
//! (Microsoft, "Azure Virtual Network FAQ: Are there any restrictions on using IP addresses").

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::Value;

use super::compute::instance_interfaces;
use super::error::ArmError;
use super::id::ResourceId;
use super::kind::{Put, linked};
use super::world::{Resource, World};

/// An ip configuration that has an address in a subnet.
#[derive(Debug, Clone)]
pub(crate) struct Use {
    /// The subnet's key.
    pub(crate) subnet: String,
    /// The address.
    pub(crate) address: String,
    /// The ip configuration's id.
    pub(crate) by: String,
    /// The top resource that it is part of.
    pub(crate) owner: ResourceId,
}

/// All private addresses in use.
pub(crate) fn uses(world: &World) -> Vec<Use> {
    let mut all = Vec::new();
    for nic in world.of_kind("Microsoft.Network/networkInterfaces") {
        let configs = nic.list("ipConfigurations").iter();
        all.extend(configs.filter_map(|config| used(config, nic, "ipConfigurations")));
    }
    for balancer in world.of_kind("Microsoft.Network/loadBalancers") {
        let frontends = balancer.list("frontendIPConfigurations").iter();
        all.extend(frontends.filter_map(|frontend| used(frontend, balancer, "frontendIPConfigurations")));
    }
    for set in world.of_kind("Microsoft.Compute/virtualMachineScaleSets") {
        for interface in instance_interfaces(set) {
            for config in interface.configurations {
                all.push(Use {
                    subnet: config.subnet.key(),
                    address: config.address.clone(),
                    by: config.id.clone(),
                    owner: set.id.clone(),
                });
            }
        }
    }
    all
}

fn used(config: &Value, holder: &Resource, segment: &str) -> Option<Use> {
    let properties = &config["properties"];
    Some(Use {
        subnet: linked(&properties["subnet"])?.key(),
        address: properties["privateIPAddress"].as_str().unwrap_or_default().to_owned(),
        by: holder.id.child(segment, config["name"].as_str().unwrap_or_default()).to_string(),
        owner: holder.id.clone(),
    })
}

/// Who is in a subnet.
pub(crate) fn users_of(world: &World, subnet: &ResourceId) -> Vec<Use> {
    let key = subnet.key();
    uses(world).into_iter().filter(|used| used.subnet == key).collect()
}

/// A subnet's IPv4 prefix.
pub(crate) fn prefix_of(subnet: &Value) -> Option<Ipv4Net> {
    let properties = &subnet["properties"];
    let text = properties["addressPrefix"].as_str().or_else(|| properties["addressPrefixes"][0].as_str())?;
    text.parse().ok()
}

/// Hands out addresses of one subnet within one PUT.
pub(crate) struct Pool {
    subnet: ResourceId,
    prefix: Ipv4Net,
    taken: Vec<(String, String)>,
}

impl Pool {
    /// The addresses of a subnet that nobody but the resource of the PUT has.
    pub(crate) fn open(put: &Put<'_>, subnet: &ResourceId) -> Result<Self, ArmError> {
        let dangling = || ArmError::dangling(&subnet.to_string(), put.id);
        let network = put.world.resource(subnet).ok_or_else(dangling)?;
        let child = network.child("subnets", subnet.name()).ok_or_else(dangling)?;
        let prefix = prefix_of(child).ok_or_else(dangling)?;
        let own = put.id.key();
        let taken = users_of(put.world, subnet)
            .into_iter()
            .filter(|used| used.owner.key() != own)
            .map(|used| (used.address, used.by))
            .collect();
        Ok(Self { subnet: subnet.clone(), prefix, taken })
    }

    /// Takes an address that is asked for by number.
    pub(crate) fn take(&mut self, wanted: &str, by: &str) -> Result<(), ArmError> {
        let address: Ipv4Addr = wanted.parse().map_err(|_| {
            ArmError::invalid("InvalidIPAddressFormat", format!("IP address {wanted} of {by} is not valid."))
        })?;
        if !self.prefix.contains(&address) {
            return Err(ArmError::invalid(
                "PrivateIPAddressNotInSubnet",
                format!(
                    "Private static IP address {wanted} does not belong to the range of subnet prefix {}.",
                    self.prefix
                ),
            ));
        }
        if self.reserved(address) {
            return Err(ArmError::invalid(
                "PrivateIPAddressInReservedRange",
                format!(
                    "Private static IP address {wanted} falls within reserved IP range of subnet prefix {}.",
                    self.prefix
                ),
            ));
        }
        if let Some((_, holder)) = self.taken.iter().find(|(taken, _)| taken == wanted) {
            return Err(ArmError::invalid(
                "PrivateIPAddressIsAllocated",
                format!(
                    "IP configuration {by} is using the private IP address {wanted} which is already allocated to resource \
                     {holder}."
                ),
            ));
        }
        self.taken.push((wanted.to_owned(), by.to_owned()));
        Ok(())
    }

    /// Takes the lowest free address.
    pub(crate) fn next(&mut self, by: &str) -> Result<String, ArmError> {
        let free = self.prefix.hosts().find(|address| {
            !self.reserved(*address) && !self.taken.iter().any(|(taken, _)| *taken == address.to_string())
        });
        let Some(address) = free else {
            return Err(ArmError::invalid(
                "SubnetIsFull",
                format!(
                    "Subnet {} with address prefix {} does not have enough capacity for 1 IP addresses.",
                    self.subnet, self.prefix
                ),
            ));
        };
        self.taken.push((address.to_string(), by.to_owned()));
        Ok(address.to_string())
    }

    fn reserved(&self, address: Ipv4Addr) -> bool {
        let offset = u32::from(address) - u32::from(self.prefix.network());
        offset < 4 || address == self.prefix.broadcast()
    }
}

/// Gives a configuration's properties (`subnet`, `privateIPAllocationMethod`, `privateIPAddress`) their address: the one asked
/// for, the one that it had, or the next free one.
pub(crate) fn assign(
    put: &Put<'_>,
    properties: &mut Value,
    before: Option<&Value>,
    by: &str,
    pools: &mut Vec<Pool>,
) -> Result<(), ArmError> {
    let Some(subnet) = linked(&properties["subnet"]) else { return Ok(()) };
    let index = match pools.iter().position(|pool| pool.subnet == subnet) {
        Some(index) => index,
        None => {
            pools.push(Pool::open(put, &subnet)?);
            pools.len() - 1
        }
    };
    let Some(pool) = pools.get_mut(index) else { return Ok(()) };
    let is_static = properties["privateIPAllocationMethod"].as_str() == Some("Static");
    let wanted = properties["privateIPAddress"].as_str().map(str::to_owned).filter(|_| is_static);
    let kept = before
        .filter(|old| linked(&old["properties"]["subnet"]).is_some_and(|old| old == subnet))
        .and_then(|old| old["properties"]["privateIPAddress"].as_str());
    let address = match (wanted, kept) {
        (Some(wanted), _) => {
            pool.take(&wanted, by)?;
            wanted
        }
        (None, Some(kept)) => {
            pool.take(kept, by)?;
            kept.to_owned()
        }
        (None, None) => pool.next(by)?,
    };
    properties["privateIPAddress"] = Value::from(address);
    properties["privateIPAllocationMethod"] = Value::from(if is_static { "Static" } else { "Dynamic" });
    Ok(())
}
