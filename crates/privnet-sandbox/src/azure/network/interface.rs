//! Network interfaces.
//!
//! Recorded: the first PUT answers 201 `Succeeded` without an operation; a change of pools, addresses or acceleration is an
//! operation, other changes (security group, forwarding, names) are done at once.

use serde_json::{Map, Value, json};

use super::{default, take_list, tidy_children};
use crate::azure::addresses::assign;
use crate::azure::compute::{Member, instance_members};
use crate::azure::error::ArmError;
use crate::azure::id::ResourceId;
use crate::azure::kind::{Children, Kind, Put, Work, linked};
use crate::azure::world::{Resource, State, World};

/// `Microsoft.Network/networkInterfaces`.
pub(crate) struct NetworkInterfaces;

static CHILDREN: [Children; 1] = [Children {
    property: "ipConfigurations",
    segment: "ipConfigurations",
    model: None,
    noun: "NetworkInterfaceIpConfiguration",
    seconds: 2,
}];

impl Kind for NetworkInterfaces {
    fn kind(&self) -> &'static str {
        "Microsoft.Network/networkInterfaces"
    }

    fn model(&self) -> &'static str {
        "network.NetworkInterface"
    }

    fn noun(&self) -> &'static str {
        "NetworkInterface"
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
        if put.old.is_some_and(|old| old.managed_by.is_some()) {
            return Err(ArmError::invalid(
                "CannotModifyNicManagedByPrivateLink",
                format!(
                    "Network Interface {} is managed by a private link resource and cannot be changed.",
                    put.id
                ),
            ));
        }
        let mut properties = draft.body.remove("properties").unwrap_or_else(|| json!({}));
        let mut configs = take_list(&mut properties, "ipConfigurations");
        if configs.is_empty() {
            return Err(ArmError::invalid(
                "NetworkInterfaceMustHaveAtLeastOneIpConfiguration",
                format!("Network interface {} must have one or more IP configurations.", put.id),
            ));
        }
        tidy_children(&mut configs, put.id, "ipConfigurations")?;
        complete_configurations(put, draft, &mut configs)?;
        put.link(draft, &mut properties, "networkSecurityGroup", "Microsoft.Network/networkSecurityGroups")?;
        properties["ipConfigurations"] = Value::Array(configs);
        complete_rest(put, &mut properties);
        let work = match put.old {
            Some(old) if moves(old.properties(), &properties) => Work::Accepted(2, State::Updating),
            _ => Work::AtOnce,
        };
        draft.body.insert("properties".into(), properties);
        draft.body.insert("kind".into(), json!("Regular"));
        Ok(work)
    }

    fn may_go(&self, _world: &World, resource: &Resource) -> Result<(), ArmError> {
        let user = resource
            .managed_by
            .clone()
            .or_else(|| linked(&resource.properties()["virtualMachine"]).map(|machine| machine.to_string()));
        let Some(user) = user else { return Ok(()) };
        Err(ArmError::invalid(
            "NicInUse",
            format!(
                "Network Interface {} is used by existing resource {user}. In order to delete the network interface, it must be \
                 dissociated from the resource. To learn more, see aka.ms/deletenic.",
                resource.id
            ),
        ))
    }

    fn removal_seconds(&self) -> i64 {
        3
    }

    fn show(&self, _world: &World, resource: &Resource, properties: &mut Map<String, Value>) {
        for (name, value) in [
            ("vnetEncryptionSupported", json!(false)),
            ("hostedWorkloads", json!([])),
            ("tapConfigurations", json!([])),
            ("allowPort25Out", json!(true)),
        ] {
            properties.insert(name.into(), value);
        }
        if let Some(Value::Object(dns)) = properties.get_mut("dnsSettings") {
            let suffix = format!("{}.cx.internal.cloudapp.net", resource.guid.replace('-', ""));
            if let Some(label) = dns.get("internalDnsNameLabel").and_then(Value::as_str) {
                let name = format!("{label}.{suffix}");
                dns.insert("internalFqdn".into(), json!(name));
            }
            dns.insert("internalDomainNameSuffix".into(), json!(suffix));
        }
        if let Some(by) = &resource.managed_by {
            let owner =
                if by.contains("/privateEndpoints/") { "privateEndpoint" } else { "privateLinkService" };
            properties.insert(owner.into(), json!({"id": by}));
        }
    }
}

fn complete_configurations(put: &Put<'_>, draft: &Resource, configs: &mut [Value]) -> Result<(), ArmError> {
    let mut pools = Vec::new();
    let primary = configs.iter().position(|config| config["properties"]["primary"] == true).unwrap_or(0);
    for (index, config) in configs.iter_mut().enumerate() {
        let name = config["name"].as_str().unwrap_or_default().to_owned();
        let id = put.id.child("ipConfigurations", &name).to_string();
        let before = put.old.and_then(|old| old.child("ipConfigurations", &name));
        let properties = &mut config["properties"];
        if properties.get("subnet").is_none() {
            return Err(ArmError::invalid(
                "SubnetMissingInIpConfiguration",
                format!("IP configuration {id} must reference a subnet."),
            ));
        }
        put.link(draft, properties, "subnet", "Microsoft.Network/virtualNetworks/subnets")?;
        put.link(draft, properties, "publicIPAddress", "Microsoft.Network/publicIPAddresses")?;
        put.links(
            draft,
            properties,
            "loadBalancerBackendAddressPools",
            "Microsoft.Network/loadBalancers/backendAddressPools",
        )?;
        put.links(
            draft,
            properties,
            "loadBalancerInboundNatRules",
            "Microsoft.Network/loadBalancers/inboundNatRules",
        )?;
        check_pools(put, properties)?;
        assign(put, properties, before, &id, &mut pools)?;
        default(properties, "privateIPAddressVersion", "IPv4");
        properties["primary"] = json!(index == primary);
        for list in ["loadBalancerBackendAddressPools", "loadBalancerInboundNatRules"] {
            if properties[list].as_array().is_some_and(Vec::is_empty)
                && let Some(map) = properties.as_object_mut()
            {
                map.remove(list);
            }
        }
        if let Some(map) = properties.as_object_mut() {
            map.retain(|_, value| !value.is_null());
        }
    }
    behind_one_internal(put, configs)
}

/// Machines and interfaces are behind one internal load balancer each; a public one may be beside it ("Troubleshoot Azure Load Balancer
/// error codes": `AnotherInternalLoadBalancerExists`; Azure's limits: "Load balancers per VM: 2 (1 public and 1 internal)").
fn behind_one_internal(put: &Put<'_>, configs: &[Value]) -> Result<(), ArmError> {
    let machine = put.old.and_then(|old| linked(&old.properties()["virtualMachine"])).map(|id| id.key());
    let others = put.world.of_kind("Microsoft.Network/networkInterfaces").filter(|nic| {
        let its = linked(&nic.properties()["virtualMachine"]).map(|id| id.key());
        machine.is_some() && its == machine && nic.id.key() != put.id.key()
    });
    let wanted = internal_balancers(put.world, configs);
    let there = others.flat_map(|nic| internal_balancers(put.world, nic.list("ipConfigurations")));
    let all: Vec<ResourceId> = wanted.iter().cloned().chain(there).collect();
    let Some(one) = wanted.first() else { return Ok(()) };
    match all.iter().find(|other| other.key() != one.key()) {
        Some(other) => Err(ArmError::invalid(
            "AnotherInternalLoadBalancerExists",
            format!(
                "Network interface {} or its virtual machine is in backend address pools of {one} and of {other}: only one load \
                 balancer of type internal can reference the same virtual machines or network interfaces.",
                put.id
            ),
        )),
        None => Ok(()),
    }
}

/// The internal load balancers in whose pools these configurations are.
fn internal_balancers(world: &World, configs: &[Value]) -> Vec<ResourceId> {
    let pools = configs
        .iter()
        .filter_map(|config| config["properties"]["loadBalancerBackendAddressPools"].as_array())
        .flatten();
    let balancers = pools.filter_map(linked).map(|pool| pool.owner());
    let is_internal = |id: &ResourceId| {
        let frontends =
            world.resource(id).map_or(&[][..], |balancer| balancer.list("frontendIPConfigurations"));
        frontends.iter().any(|frontend| linked(&frontend["properties"]["subnet"]).is_some())
    };
    balancers.filter(is_internal).collect()
}

/// A pool and its members lie in one VNet, and a pool of plain addresses takes no NIC.
fn check_pools(put: &Put<'_>, properties: &Value) -> Result<(), ArmError> {
    let network = linked(&properties["subnet"]).map(|subnet| subnet.owner().key());
    for pool in properties["loadBalancerBackendAddressPools"].as_array().map_or(&[][..], Vec::as_slice) {
        let Some(pool) = linked(pool) else { continue };
        let Some(balancer) = put.world.resource(&pool) else { continue };
        let by_address = balancer
            .child("backendAddressPools", pool.name())
            .is_some_and(super::load_balancer::is_by_address);
        if by_address {
            return Err(ArmError::invalid(
                "LoadBalancerBackendPoolHasIPBasedAddresses",
                format!(
                    "Backend address pool {pool} has backend addresses set by IP address; network interface {} cannot join it.",
                    put.id
                ),
            ));
        }
        let other = members_of_pool(put.world, &pool).into_iter().find(|member| {
            Some(member.subnet.owner().key()) != network && !member.id.starts_with(&put.id.to_string())
        });
        if let Some(other) = other {
            return Err(ArmError::invalid(
                "NetworkInterfaceAndLoadBalancerBackendPoolNotInSameVnet",
                format!(
                    "Network interface {} and {} of backend pool {pool} are in different virtual networks.",
                    put.id, other.id
                ),
            ));
        }
    }
    Ok(())
}

fn complete_rest(put: &Put<'_>, properties: &mut Value) {
    default(properties, "dnsSettings", json!({}));
    default(&mut properties["dnsSettings"], "dnsServers", json!([]));
    default(&mut properties["dnsSettings"], "appliedDnsServers", json!([]));
    for name in ["enableAcceleratedNetworking", "enableIPForwarding", "disableTcpStateTracking"] {
        default(properties, name, false);
    }
    default(properties, "nicType", "Standard");
    default(properties, "auxiliaryMode", "None");
    default(properties, "auxiliarySku", "None");
    // Who has the interface is not the writer's to say.
    for name in ["virtualMachine", "primary"] {
        if let Some(kept) = put.old.map(|old| old.properties()[name].clone()).filter(|value| !value.is_null())
        {
            properties[name] = kept;
        }
    }
}

/// Whether a change goes to the data plane, so that it takes an operation.
fn moves(old: &Value, new: &Value) -> bool {
    let of = |properties: &Value| {
        let configs = properties["ipConfigurations"].as_array().cloned().unwrap_or_default();
        let parts: Vec<Value> = configs
            .iter()
            .map(|config| {
                let p = &config["properties"];
                json!([
                    p["privateIPAddress"],
                    p["subnet"],
                    p["loadBalancerBackendAddressPools"],
                    p["loadBalancerInboundNatRules"]
                ])
            })
            .collect();
        json!([parts, properties["enableAcceleratedNetworking"]])
    };
    of(old) != of(new)
}

/// The ip configurations that are in a backend pool, of plain NICs and of scale sets.
pub(crate) fn members_of_pool(world: &World, pool: &ResourceId) -> Vec<Member> {
    let key = pool.key();
    let mut members = Vec::new();
    for nic in world.of_kind("Microsoft.Network/networkInterfaces") {
        for config in nic.list("ipConfigurations") {
            let properties = &config["properties"];
            let pools =
                properties["loadBalancerBackendAddressPools"].as_array().map_or(&[][..], Vec::as_slice);
            let (true, Some(subnet)) =
                (pools.iter().filter_map(linked).any(|id| id.key() == key), linked(&properties["subnet"]))
            else {
                continue;
            };
            members.push(Member {
                id: nic.id.child("ipConfigurations", config["name"].as_str().unwrap_or_default()).to_string(),
                interface: nic.id.to_string(),
                address: properties["privateIPAddress"].as_str().unwrap_or_default().to_owned(),
                subnet,
                up_since: nic.created,
                holder: nic.id.clone(),
            });
        }
    }
    for set in world.of_kind("Microsoft.Compute/virtualMachineScaleSets") {
        members.extend(instance_members(set, &key));
    }
    members
}
