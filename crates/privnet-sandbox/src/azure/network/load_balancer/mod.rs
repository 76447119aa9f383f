//! Load balancers: one PUT with frontends, pools, probes and rules.
//!
//! Defaults as recorded. A pool whose addresses are set by number is refused where a private link service is
//! (`PrivateLinkServiceIsNotSupportedForIPBasedLoadBalancer`, as in MicrosoftDocs/azure-docs issue 75134).

mod health;
mod members;
mod rules;

use serde_json::{Map, Value, json};

pub(crate) use health::health;

use self::rules::{complete_probes, complete_rules};
use super::interface::members_of_pool;
use super::service_access::services_of;
use super::{default, take_list, tidy_children};
use crate::azure::addresses::assign;
use crate::azure::error::ArmError;
use crate::azure::id::ResourceId;
use crate::azure::kind::{Children, Kind, Put, Work, linked};
use crate::azure::world::{Resource, State, World, named};

/// `Microsoft.Network/loadBalancers`.
pub(crate) struct LoadBalancers;

const fn part(property: &'static str, model: Option<&'static str>, noun: &'static str) -> Children {
    Children { property, segment: property, model, noun, seconds: 3 }
}

static CHILDREN: [Children; 7] = [
    part("frontendIPConfigurations", None, "FrontendIpConfiguration"),
    part("backendAddressPools", Some("network.BackendAddressPool"), "LoadBalancerBackendAddressPool"),
    part("probes", None, "Probe"),
    part("loadBalancingRules", None, "LoadBalancingRule"),
    part("inboundNatRules", Some("network.InboundNatRule"), "InboundNatRule"),
    part("outboundRules", None, "OutboundRule"),
    part("inboundNatPools", None, "InboundNatPool"),
];

impl Kind for LoadBalancers {
    fn kind(&self) -> &'static str {
        "Microsoft.Network/loadBalancers"
    }

    fn model(&self) -> &'static str {
        "network.LoadBalancer"
    }

    fn noun(&self) -> &'static str {
        "LoadBalancer"
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
        check_sku(put, draft)?;
        check_services_idle(put)?;
        let mut properties = draft.body.remove("properties").unwrap_or_else(|| json!({}));
        for children in &CHILDREN {
            let mut list = take_list(&mut properties, children.property);
            tidy_children(&mut list, put.id, children.property)?;
            properties[children.property] = Value::Array(list);
        }
        // The draft holds the children now, so that rules can refer to them.
        draft.body.insert("properties".into(), properties.clone());
        complete_frontends(put, draft, &mut properties)?;
        complete_pools(put, draft, &mut properties)?;
        complete_probes(put.id, &mut properties)?;
        complete_rules(put, draft, &mut properties)?;
        draft.body.insert("properties".into(), properties);
        check_removals(put, draft)?;
        let members = draft.list("backendAddressPools").iter().any(|pool| {
            let id = put.id.child("backendAddressPools", pool["name"].as_str().unwrap_or_default());
            !members_of_pool(put.world, &id).is_empty()
        });
        Ok(Work::Accepted(4, if members { State::Updating } else { State::Succeeded }))
    }

    fn may_go(&self, world: &World, resource: &Resource) -> Result<(), ArmError> {
        if let Some(service) = services_of(world, &resource.id).into_iter().next() {
            return Err(ArmError::invalid(
                "CannotDeleteLoadBalancerWithPrivateLinkService",
                format!(
                    "Cannot delete load balancer {} since it is referenced by private link service {service}.",
                    resource.id
                ),
            ));
        }
        for pool in resource.list("backendAddressPools") {
            let id = resource.id.child("backendAddressPools", pool["name"].as_str().unwrap_or_default());
            let holder = members_of_pool(world, &id).into_iter().map(|member| member.holder);
            if let Some(set) =
                holder.into_iter().find(|id| id.is("Microsoft.Compute/virtualMachineScaleSets"))
            {
                return Err(ArmError::invalid(
                    "LoadBalancerInUseByVirtualMachineScaleSet",
                    format!(
                        "Cannot delete load balancer {} since its child resources {} are in use by virtual machine scale set \
                         {set}.",
                        resource.id,
                        id.name()
                    ),
                ));
            }
        }
        Ok(())
    }

    fn child_may_go(&self, world: &World, child: &ResourceId) -> Result<(), ArmError> {
        if let Some(member) = members_of_pool(world, child).into_iter().next() {
            return Err(pool_in_use(child, &member.id));
        }
        let rules = world.resource(child).map_or(&[][..], |balancer| balancer.list("loadBalancingRules"));
        let uses = |rule: &&Value| {
            linked(&rule["properties"]["backendAddressPool"]).is_some_and(|id| id.key() == child.key())
        };
        match rules.iter().find(uses) {
            Some(rule) => Err(pool_in_use(
                child,
                &child
                    .owner()
                    .child("loadBalancingRules", rule["name"].as_str().unwrap_or_default())
                    .to_string(),
            )),
            None => Ok(()),
        }
    }

    fn show(&self, world: &World, resource: &Resource, properties: &mut Map<String, Value>) {
        let rules = |property: &str, name: &str, id: &ResourceId| -> Vec<Value> {
            let key = id.key();
            let refers =
                |rule: &&Value| linked(&rule["properties"][name]).is_some_and(|target| target.key() == key);
            let list = resource.list(property).iter().filter(refers);
            list.map(|rule| json!({"id": resource.id.child(property, rule["name"].as_str().unwrap_or_default()).to_string()}))
                .collect()
        };
        for (property, name) in [
            ("frontendIPConfigurations", "frontendIPConfiguration"),
            ("backendAddressPools", "backendAddressPool"),
            ("probes", "probe"),
        ] {
            let Some(Value::Array(list)) = properties.get_mut(property) else { continue };
            for child in list {
                let id = resource.id.child(property, child["name"].as_str().unwrap_or_default());
                for kind in ["loadBalancingRules", "inboundNatRules", "inboundNatPools"] {
                    let found = rules(kind, name, &id);
                    if !found.is_empty() {
                        child["properties"][kind] = Value::Array(found);
                    }
                }
                if property == "backendAddressPools" {
                    members::show(world, &id, child);
                }
            }
        }
    }
}

fn check_sku(put: &Put<'_>, draft: &mut Resource) -> Result<(), ArmError> {
    let sku = draft.body.entry("sku").or_insert_with(|| json!({"name": "Basic"}));
    default(sku, "name", "Basic");
    default(sku, "tier", "Regional");
    let (name, before) =
        (sku["name"].clone(), put.old.and_then(|old| old.body.get("sku")).map(|sku| sku["name"].clone()));
    if before.as_ref().is_some_and(|before| *before != name) {
        return Err(ArmError::invalid(
            "LoadBalancerSkuCannotBeChanged",
            format!(
                "Sku of load balancer {} cannot be changed from {} to {name}.",
                put.id,
                before.unwrap_or_default()
            ),
        ));
    }
    Ok(())
}

/// A private link service of the load balancer that is being written makes the load balancer's write wait.
fn check_services_idle(put: &Put<'_>) -> Result<(), ArmError> {
    for service in services_of(put.world, put.id) {
        if let (Some(service), Some(running)) =
            (put.world.resource(&service), put.world.running_on(&service.key()))
        {
            return Err(ArmError::not_provisioned(
                &service.id.to_string(),
                put.id,
                "Updating",
                &running.name,
            ));
        }
    }
    Ok(())
}

fn complete_frontends(put: &Put<'_>, draft: &Resource, properties: &mut Value) -> Result<(), ArmError> {
    let mut frontends = take_list(properties, "frontendIPConfigurations");
    let mut pools = Vec::new();
    for frontend in &mut frontends {
        let name = frontend["name"].as_str().unwrap_or_default().to_owned();
        let id = put.id.child("frontendIPConfigurations", &name);
        let before = put.old.and_then(|old| old.child("frontendIPConfigurations", &name));
        let properties = &mut frontend["properties"];
        put.link(draft, properties, "subnet", "Microsoft.Network/virtualNetworks/subnets")?;
        put.link(draft, properties, "publicIPAddress", "Microsoft.Network/publicIPAddresses")?;
        let (inside, outside) = (linked(&properties["subnet"]), linked(&properties["publicIPAddress"]));
        if inside.is_some() == outside.is_some() {
            return Err(ArmError::invalid(
                "LoadBalancerFrontendIPConfigurationMustHaveSubnetOrPublicIPAddress",
                format!(
                    "Frontend IP configuration {id} must reference either a subnet or a public IP address."
                ),
            ));
        }
        if let Some(subnet) = &inside {
            same_location(put, draft, subnet)?;
        }
        assign(put, properties, before, &id.to_string(), &mut pools)?;
        default(properties, "privateIPAllocationMethod", "Dynamic");
        if inside.is_some() {
            default(properties, "privateIPAddressVersion", "IPv4");
        } else {
            // Recorded: a public frontend does not tell it, even when it was sent.
            properties["privateIPAddressVersion"] = Value::Null;
        }
        if let Some(map) = properties.as_object_mut() {
            map.retain(|_, value| !value.is_null());
        }
    }
    properties["frontendIPConfigurations"] = Value::Array(frontends);
    Ok(())
}

fn same_location(put: &Put<'_>, draft: &Resource, target: &ResourceId) -> Result<(), ArmError> {
    match put.world.resource(target) {
        Some(holder) if holder.location() == draft.location() => Ok(()),
        _ => Err(ArmError::dangling(&target.to_string(), put.id)),
    }
}

/// Whether a pool's addresses are set by number.
pub(super) fn is_by_address(pool: &Value) -> bool {
    let entries = pool["properties"]["loadBalancerBackendAddresses"].as_array();
    entries.is_some_and(|list| list.iter().any(|entry| entry["properties"]["ipAddress"].is_string()))
}

fn complete_pools(put: &Put<'_>, draft: &Resource, properties: &mut Value) -> Result<(), ArmError> {
    let mut pools = take_list(properties, "backendAddressPools");
    for pool in &mut pools {
        let id = put.id.child("backendAddressPools", pool["name"].as_str().unwrap_or_default());
        let mut entries = take_list(&mut pool["properties"], "loadBalancerBackendAddresses");
        // Entries of NICs are computed; a client that reads, changes and writes sends them back.
        let states = members::states(put, &id, &entries);
        entries.retain(|entry| entry["properties"]["ipAddress"].is_string());
        if !entries.is_empty() {
            if draft.body["sku"]["name"] != "Standard" {
                return Err(ArmError::invalid(
                    "LoadBalancerBackendAddressesNotSupportedForBasicSku",
                    format!("Backend addresses of pool {id} need a load balancer of the Standard sku."),
                ));
            }
            if !services_of(put.world, put.id).is_empty() {
                return Err(by_address_refused(put.id));
            }
            if let Some(member) = members_of_pool(put.world, &id).into_iter().next() {
                return Err(pool_in_use(&id, &member.id));
            }
        }
        entries.extend(states);
        pool["properties"]["loadBalancerBackendAddresses"] = Value::Array(entries);
    }
    properties["backendAddressPools"] = Value::Array(pools);
    Ok(())
}

/// Private link services and pools of plain addresses exclude each other.
pub(super) fn by_address_refused(balancer: &ResourceId) -> ArmError {
    ArmError::invalid(
        "PrivateLinkServiceIsNotSupportedForIPBasedLoadBalancer",
        format!(
            "Private link service is not supported for load balancer {balancer} with backend addresses set by (virtualNetwork, \
             ipAddress) or (subnet, ipAddress)."
        ),
    )
}

fn pool_in_use(pool: &ResourceId, by: &str) -> ArmError {
    ArmError::invalid(
        "InUseBackendAddressPoolCannotBeDeleted",
        format!("Backend address pool {pool} is in use by {by}."),
    )
}

/// Parts that others refer to stay.
fn check_removals(put: &Put<'_>, draft: &Resource) -> Result<(), ArmError> {
    let Some(old) = put.old else { return Ok(()) };
    let gone = |property: &str| -> Vec<ResourceId> {
        let names = old.list(property).iter().filter_map(|child| child["name"].as_str());
        names
            .filter(|name| !draft.list(property).iter().any(|child| named(child, name)))
            .map(|name| old.id.child(property, name))
            .collect()
    };
    for pool in gone("backendAddressPools") {
        if let Some(member) = members_of_pool(put.world, &pool).into_iter().next() {
            return Err(pool_in_use(&pool, &member.id));
        }
    }
    for frontend in gone("frontendIPConfigurations") {
        let user = put.world.of_kind("Microsoft.Network/privateLinkServices").find(|service| {
            let list = service.list("loadBalancerFrontendIpConfigurations").iter();
            list.filter_map(linked).any(|id| id.key() == frontend.key())
        });
        if let Some(service) = user {
            return Err(ArmError::invalid(
                "InUseFrontendIPConfigurationCannotBeDeleted",
                format!(
                    "Frontend IP configuration {frontend} is in use by private link service {}.",
                    service.id
                ),
            ));
        }
    }
    Ok(())
}
