//! Virtual networks and their subnets.
//!
//! Defaults as recorded: `privateEndpointNetworkPolicies: Disabled`, `privateLinkServiceNetworkPolicies: Enabled`. A PUT without
//! `subnets` keeps them (Microsoft, "Azure Virtual Network now supports updates without subnet property"); an empty
//! list removes them.

use ipnet::Ipv4Net;
use serde_json::{Map, Value, json};

use super::{default, take_list, tidy_children};
use crate::azure::addresses::{prefix_of, users_of};
use crate::azure::error::ArmError;
use crate::azure::id::ResourceId;
use crate::azure::kind::{Children, Kind, Put, Work, linked};
use crate::azure::world::{Resource, State, World, named};

/// `Microsoft.Network/virtualNetworks`.
pub(crate) struct VirtualNetworks;

static CHILDREN: [Children; 1] = [Children {
    property: "subnets",
    segment: "subnets",
    model: Some("network.Subnet"),
    noun: "Subnet",
    seconds: 3,
}];

impl Kind for VirtualNetworks {
    fn kind(&self) -> &'static str {
        "Microsoft.Network/virtualNetworks"
    }

    fn model(&self) -> &'static str {
        "network.VirtualNetwork"
    }

    fn noun(&self) -> &'static str {
        "VirtualNetwork"
    }

    fn children(&self) -> &'static [Children] {
        &CHILDREN
    }

    fn complete(
        &self,
        put: &Put<'_>,
        draft: &mut Resource,
        _made: &mut Vec<Resource>,
    ) -> Result<Work, ArmError> {
        let mut properties = draft.body.remove("properties").unwrap_or(Value::Null);
        if properties.get("subnets").is_none() {
            let kept = put.old.map_or_else(|| json!([]), |old| old.properties()["subnets"].clone());
            if let Some(map) = properties.as_object_mut() {
                map.insert("subnets".into(), kept);
            }
        }
        let spaces = spaces_of(&properties, put.id)?;
        let mut subnets = take_list(&mut properties, "subnets");
        tidy_children(&mut subnets, put.id, "subnets")?;
        for subnet in &mut subnets {
            complete_subnet(put, draft, subnet, &spaces)?;
        }
        check_overlaps(&subnets)?;
        if let Some(old) = put.old {
            check_removals(put, old, &subnets)?;
        }
        properties["subnets"] = Value::Array(subnets);
        default(&mut properties, "virtualNetworkPeerings", json!([]));
        default(&mut properties, "enableDdosProtection", false);
        default(&mut properties, "privateEndpointVNetPolicies", "Disabled");
        if let Some(space) = properties["addressSpace"].as_object_mut() {
            space.entry("ipamPoolPrefixAllocations").or_insert_with(|| json!([]));
        }
        draft.body.insert("properties".into(), properties);
        Ok(Work::Accepted(if put.old.is_some() { 3 } else { 8 }, State::Updating))
    }

    fn may_go(&self, world: &World, resource: &Resource) -> Result<(), ArmError> {
        resource.list("subnets").iter().try_for_each(|subnet| {
            self.child_may_go(
                world,
                &resource.id.child("subnets", subnet["name"].as_str().unwrap_or_default()),
            )
        })
    }

    fn child_may_go(&self, world: &World, child: &ResourceId) -> Result<(), ArmError> {
        let Some(user) = users_of(world, child).into_iter().next() else { return Ok(()) };
        Err(ArmError::invalid(
            "InUseSubnetCannotBeDeleted",
            format!(
                "Subnet {} is in use by {} and cannot be deleted. In order to delete the subnet, delete all the resources \
                 within the subnet. See aka.ms/deletesubnet.",
                child.name(),
                user.by
            ),
        ))
    }

    fn show(&self, world: &World, resource: &Resource, properties: &mut Map<String, Value>) {
        // Recorded: sent by clients, never answered.
        properties.remove("enableVmProtection");
        let Some(Value::Array(subnets)) = properties.get_mut("subnets") else { return };
        for subnet in subnets {
            let id = resource.id.child("subnets", subnet["name"].as_str().unwrap_or_default());
            let users = users_of(world, &id);
            if !users.is_empty() {
                let ids: Vec<Value> = users.iter().map(|user| json!({"id": user.by})).collect();
                subnet["properties"]["ipConfigurations"] = Value::Array(ids);
            }
        }
    }
}

fn spaces_of(properties: &Value, id: &ResourceId) -> Result<Vec<Ipv4Net>, ArmError> {
    let prefixes = properties["addressSpace"]["addressPrefixes"].as_array().cloned().unwrap_or_default();
    let bad = |text: &Value| {
        ArmError::invalid(
            "InvalidAddressPrefixFormat",
            format!("Address prefix {text} of resource {id} is not valid."),
        )
    };
    if prefixes.is_empty() {
        return Err(ArmError::invalid(
            "AddressSpaceRequired",
            format!("Resource {id} has no address space: addressPrefixes must not be empty."),
        ));
    }
    prefixes.iter().map(|text| text.as_str().and_then(|t| t.parse().ok()).ok_or_else(|| bad(text))).collect()
}

fn complete_subnet(
    put: &Put<'_>,
    draft: &Resource,
    subnet: &mut Value,
    spaces: &[Ipv4Net],
) -> Result<(), ArmError> {
    let name = subnet["name"].as_str().unwrap_or_default().to_owned();
    let text = subnet["properties"]["addressPrefix"]
        .as_str()
        .or_else(|| subnet["properties"]["addressPrefixes"][0].as_str())
        .unwrap_or_default()
        .to_owned();
    let Some(prefix) = prefix_of(subnet).filter(|prefix| prefix.network() == prefix.addr()) else {
        return Err(ArmError::invalid(
            "InvalidCIDRNotation",
            format!(
                "The address prefix {text} in resource {} has an invalid CIDR notation.",
                put.id.child("subnets", &name)
            ),
        ));
    };
    if prefix.prefix_len() > 29 {
        return Err(ArmError::invalid(
            "NetcfgSubnetRangeTooSmall",
            format!("Subnet '{name}' is not valid because its address prefix {prefix} is smaller than /29."),
        ));
    }
    if !spaces.iter().any(|space| space.contains(&prefix)) {
        return Err(ArmError::invalid(
            "NetcfgSubnetRangeOutsideVnet",
            format!(
                "Subnet '{name}' is not valid because its IP address range is outside the IP address range of virtual network \
                 '{}'.",
                put.id.name()
            ),
        ));
    }
    let properties = &mut subnet["properties"];
    put.link(draft, properties, "networkSecurityGroup", "Microsoft.Network/networkSecurityGroups")?;
    default(properties, "delegations", json!([]));
    default(properties, "ipamPoolPrefixAllocations", json!([]));
    default(properties, "privateEndpointNetworkPolicies", "Disabled");
    default(properties, "privateLinkServiceNetworkPolicies", "Enabled");
    let id = put.id.child("subnets", &name);
    if properties["privateLinkServiceNetworkPolicies"] == "Enabled"
        && let Some(service) = service_in(put.world, &id)
    {
        return Err(ArmError::invalid(
            "PrivateLinkServiceNetworkPoliciesCannotBeEnabledOnPrivateLinkServiceSubnet",
            format!(
                "Private link service network policies cannot be enabled on subnet {id} since it is used by {service}."
            ),
        ));
    }
    Ok(())
}

/// The private link service that takes its NAT addresses from a subnet.
fn service_in(world: &World, subnet: &ResourceId) -> Option<ResourceId> {
    world
        .of_kind("Microsoft.Network/privateLinkServices")
        .find(|service| {
            let configs = service.list("ipConfigurations").iter();
            configs
                .filter_map(|config| linked(&config["properties"]["subnet"]))
                .any(|used| used.key() == subnet.key())
        })
        .map(|service| service.id.clone())
}

fn check_overlaps(subnets: &[Value]) -> Result<(), ArmError> {
    for (index, subnet) in subnets.iter().enumerate() {
        let Some(prefix) = prefix_of(subnet) else { continue };
        let earlier = subnets.iter().take(index);
        let overlaps =
            |other: &&Value| prefix_of(other).is_some_and(|p| p.contains(&prefix) || prefix.contains(&p));
        if let Some(other) = earlier.clone().find(overlaps) {
            return Err(ArmError::invalid(
                "NetcfgSubnetRangesOverlap",
                format!(
                    "Subnet {} is not valid because its IP address range overlaps with that of an existing subnet {}.",
                    subnet["name"], other["name"]
                ),
            ));
        }
    }
    Ok(())
}

/// Subnets that go, or change their range, must be empty; one whose users are being written is not written itself.
fn check_removals(put: &Put<'_>, old: &Resource, subnets: &[Value]) -> Result<(), ArmError> {
    for before in old.list("subnets") {
        let name = before["name"].as_str().unwrap_or_default();
        let id = old.id.child("subnets", name);
        let after = subnets.iter().find(|subnet| named(subnet, name));
        let Some(after) = after else {
            VirtualNetworks.child_may_go(put.world, &id)?;
            continue;
        };
        if prefix_of(after) != prefix_of(before) && !users_of(put.world, &id).is_empty() {
            return Err(ArmError::invalid(
                "InUsePrefixCannotBeDeleted",
                format!(
                    "IpPrefix {} on Subnet {name} has active allocations and cannot be deleted.",
                    before["properties"]["addressPrefix"]
                ),
            ));
        }
        let busy = users_of(put.world, &id).into_iter().find_map(|user| {
            let holder = put.world.resource(&user.owner)?;
            let running = put.world.running_on(&holder.id.key())?;
            (holder.state != State::Succeeded).then(|| (user.by, holder.state, running.name.clone()))
        });
        if let (Some((by, state, operation)), true) = (busy, after != before) {
            return Err(ArmError::not_provisioned(&by, &id, state.text(), &operation));
        }
    }
    Ok(())
}
