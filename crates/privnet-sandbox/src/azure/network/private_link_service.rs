//! Private link services.
//!
//! Order of the checks and their codes as recorded or publicly reported; limits after Microsoft, "What is Azure Private Link
//! service" and "Azure subscription and service limits": 8 services on a load balancer, 8 NAT addresses, IPv4 only.

use serde_json::{Map, Value, json};

use super::load_balancer::{by_address_refused, is_by_address};
use super::service_access::{FRONTENDS, services_of};
use super::{default, take_list, tidy_children};
use crate::azure::addresses::Pool;
use crate::azure::connections::render_connection;
use crate::azure::error::ArmError;
use crate::azure::id::ResourceId;
use crate::azure::kind::{Children, Kind, Put, Work, linked};
use crate::azure::world::{Resource, State, World, guid, named};

/// `Microsoft.Network/privateLinkServices`.
pub(crate) struct PrivateLinkServices;

static CHILDREN: [Children; 1] = [Children {
    property: "ipConfigurations",
    segment: "ipConfigurations",
    model: None,
    noun: "PrivateLinkServiceIpConfiguration",
    seconds: 4,
}];

impl Kind for PrivateLinkServices {
    fn kind(&self) -> &'static str {
        "Microsoft.Network/privateLinkServices"
    }

    fn model(&self) -> &'static str {
        "network.PrivateLinkService"
    }

    fn noun(&self) -> &'static str {
        "PrivateLinkService"
    }

    fn children(&self) -> &'static [Children] {
        &CHILDREN
    }

    fn complete(
        &self,
        put: &Put<'_>,
        draft: &mut Resource,
        made: &mut Vec<Resource>,
    ) -> Result<Work, ArmError> {
        let mut properties = draft.body.remove("properties").unwrap_or_else(|| json!({}));
        check_target(put, &properties)?;
        check_frontends(put, draft, &mut properties)?;
        check_lists(put.id, &properties)?;
        complete_configurations(put, draft, &mut properties)?;
        check_immutable(put, &properties)?;
        default(&mut properties, "fqdns", json!([]));
        default(&mut properties, "enableProxyProtocol", false);
        let kept =
            |name: &str| put.old.map(|old| old.properties()[name].clone()).filter(|value| !value.is_null());
        let alias =
            || json!(format!("{}.{}.{}.azure.privatelinkservice", put.id.name(), guid(), draft.location()));
        properties["alias"] = kept("alias").unwrap_or_else(alias);
        properties["networkInterfaces"] = match kept("networkInterfaces") {
            Some(interfaces) => interfaces,
            None => {
                let interface = ResourceId::top(
                    &put.id.subscription,
                    &put.id.group,
                    "Microsoft.Network/networkInterfaces",
                    &format!("{}.nic.{}", put.id.name(), guid()),
                );
                json!([{"id": interface.to_string()}])
            }
        };
        made.push(interface_of(put, draft, &properties)?);
        draft.body.insert("properties".into(), properties);
        Ok(Work::Accepted(if put.old.is_some() { 4 } else { 12 }, State::Updating))
    }

    fn may_go(&self, world: &World, resource: &Resource) -> Result<(), ArmError> {
        let Some(connection) = world.connections_of(&resource.id).next() else { return Ok(()) };
        Err(ArmError::invalid(
            "PrivateLinkServiceWithPrivateEndpointConnectionsCannotBeDeleted",
            format!(
                "Private link service {} cannot be deleted since it has private endpoint connections: {}. Delete them first.",
                resource.id, connection.id
            ),
        ))
    }

    fn removal_seconds(&self) -> i64 {
        12
    }

    fn show(&self, world: &World, resource: &Resource, properties: &mut Map<String, Value>) {
        let connections: Vec<Value> = world.connections_of(&resource.id).map(render_connection).collect();
        properties.insert("privateEndpointConnections".into(), Value::Array(connections));
    }
}

fn check_target(put: &Put<'_>, properties: &Value) -> Result<(), ArmError> {
    let frontends = properties[FRONTENDS].as_array().map_or(0, Vec::len);
    let direct = properties["destinationIPAddress"].is_string();
    if (frontends == 1) == direct {
        return Err(ArmError::invalid(
            "EitherOneLoadBalancerFrontendIpConfigurationOrDestinationIPAddressRequiredOnPrivateLinkService",
            format!(
                "Private Link Service {} requires either one LoadBalancerFrontendIpConfiguration if PLS with LB based scenario or \
                 DestinationIPAddress if PLS UDR and NSG scenario.",
                put.id.name()
            ),
        ));
    }
    if frontends > 1 {
        return Err(ArmError::invalid(
            "MoreThanOneLoadBalancerFrontendIpConfigurationNotSupportedOnPrivateLinkService",
            format!(
                "Private Link Service {} can have one LoadBalancerFrontendIpConfiguration only.",
                put.id.name()
            ),
        ));
    }
    Ok(())
}

/// The frontend's load balancer: Standard, internal or public, in this location, with NIC-based pools and room for a service.
fn check_frontends(put: &Put<'_>, draft: &Resource, properties: &mut Value) -> Result<(), ArmError> {
    put.links(draft, properties, FRONTENDS, "Microsoft.Network/loadBalancers/frontendIPConfigurations")?;
    let Some(frontend) = linked(&properties[FRONTENDS][0]) else { return Ok(()) };
    let Some(balancer) = put.world.resource(&frontend) else { return Ok(()) };
    if balancer.location() != draft.location() {
        return Err(ArmError::dangling(&frontend.to_string(), put.id));
    }
    if balancer.body["sku"]["name"] != "Standard" {
        return Err(ArmError::invalid(
            "PrivateLinkServiceNotSupportedOnBasicLoadBalancer",
            format!(
                "Private link service {} needs a load balancer of the Standard sku; {} is not.",
                put.id, balancer.id
            ),
        ));
    }
    if balancer.list("backendAddressPools").iter().any(is_by_address) {
        return Err(by_address_refused(&balancer.id));
    }
    if let Some(running) = put.world.running_on(&balancer.id.key()) {
        return Err(ArmError::not_provisioned(&balancer.id.to_string(), put.id, "Updating", &running.name));
    }
    let others: Vec<ResourceId> =
        services_of(put.world, &balancer.id).into_iter().filter(|id| id.key() != put.id.key()).collect();
    for other in &others {
        if let Some(running) = put.world.running_on(&other.key()) {
            return Err(ArmError::not_provisioned(&other.to_string(), put.id, "Updating", &running.name));
        }
        check_sharing(put, properties, &frontend, other)?;
    }
    if others.len() >= 8 {
        return Err(ArmError::invalid(
            "MaximumNumberOfPrivateLinkServicesPerLoadBalancerReached",
            format!("Load balancer {} cannot have more than 8 private link services.", balancer.id),
        ));
    }
    Ok(())
}

/// A frontend has one service, and all services of a load balancer speak the PROXY protocol or none does.
fn check_sharing(
    put: &Put<'_>,
    properties: &Value,
    frontend: &ResourceId,
    other: &ResourceId,
) -> Result<(), ArmError> {
    let Some(other) = put.world.resource(other) else { return Ok(()) };
    if linked(&other.properties()[FRONTENDS][0]).is_some_and(|used| used.key() == frontend.key()) {
        return Err(ArmError::invalid(
            "LoadBalancerFrontendIpConfigurationInUseByAnotherPrivateLinkService",
            format!("Frontend {frontend} of private link service {} is in use by {}.", put.id, other.id),
        ));
    }
    let proxy = properties["enableProxyProtocol"].as_bool().unwrap_or_default();
    if other.properties()["enableProxyProtocol"].as_bool().unwrap_or_default() != proxy {
        return Err(ArmError::invalid(
            "PrivateLinkServicesOnSameLoadBalancerMustHaveSameProxyProtocol",
            format!(
                "Private link services {} and {} share a load balancer and differ in enableProxyProtocol.",
                put.id, other.id
            ),
        ));
    }
    Ok(())
}

fn check_lists(id: &ResourceId, properties: &Value) -> Result<(), ArmError> {
    let list = |name: &str| -> Vec<String> {
        let list = properties[name]["subscriptions"].as_array().cloned().unwrap_or_default();
        list.iter().filter_map(|value| value.as_str().map(str::to_ascii_lowercase)).collect()
    };
    let (visible, approved) = (list("visibility"), list("autoApproval"));
    for (name, entries) in [("visibility", &visible), ("autoApproval", &approved)] {
        if entries.len() > 100 {
            return Err(ArmError::invalid(
                "PrivateLinkServiceSubscriptionListTooLong",
                format!("{name} of private link service {id} has more than 100 subscriptions."),
            ));
        }
        let bad = entries.iter().find(|entry| *entry != "*" && uuid::Uuid::parse_str(entry).is_err());
        if let Some(bad) = bad {
            return Err(ArmError::invalid(
                "InvalidSubscriptionId",
                format!(
                    "{name} of private link service {id} has the value {bad}, which is not a subscription id."
                ),
            ));
        }
    }
    let everyone = visible.iter().any(|entry| entry == "*");
    match approved.iter().find(|entry| !everyone && !visible.contains(entry)) {
        Some(outside) => Err(ArmError::invalid(
            "PrivateLinkServiceAutoApprovalNotWithinVisibility",
            format!(
                "autoApproval of private link service {id} has {outside}, which visibility does not have."
            ),
        )),
        None => Ok(()),
    }
}

fn complete_configurations(put: &Put<'_>, draft: &Resource, properties: &mut Value) -> Result<(), ArmError> {
    let mut configs = take_list(properties, "ipConfigurations");
    let direct = properties["destinationIPAddress"].is_string();
    let good =
        if direct { matches!(configs.len(), 1 | 2 | 4 | 6 | 8) } else { (1..=8).contains(&configs.len()) };
    if !good {
        return Err(ArmError::invalid(
            "PrivateLinkServiceIpConfigurationsOutOfRange",
            format!(
                "Private link service {} must have from 1 to 8 IP configurations, not {}.",
                put.id,
                configs.len()
            ),
        ));
    }
    tidy_children(&mut configs, put.id, "ipConfigurations")?;
    let primaries = configs.iter().filter(|config| config["properties"]["primary"] == true).count();
    if primaries > 1 {
        return Err(ArmError::invalid(
            "MoreThanOnePrimaryIpConfigurationNotSupported",
            format!("Private link service {} has more than one primary IP configuration.", put.id),
        ));
    }
    let balancer = linked(&properties[FRONTENDS][0]);
    for (index, config) in configs.iter_mut().enumerate() {
        let properties = &mut config["properties"];
        if properties.get("subnet").is_none() {
            return Err(ArmError::invalid(
                "SubnetMissingInIpConfiguration",
                format!("An IP configuration of private link service {} has no subnet.", put.id),
            ));
        }
        put.link(draft, properties, "subnet", "Microsoft.Network/virtualNetworks/subnets")?;
        if let Some(subnet) = linked(&properties["subnet"]) {
            check_subnet(put, draft, &subnet, balancer.as_ref())?;
        }
        if properties["privateIPAddressVersion"] == "IPv6" {
            return Err(ArmError::invalid(
                "PrivateLinkServiceIPv6NotSupported",
                format!("Private link service {} cannot have an IPv6 configuration.", put.id),
            ));
        }
        default(properties, "privateIPAddressVersion", "IPv4");
        default(properties, "privateIPAllocationMethod", "Dynamic");
        if primaries == 0 {
            properties["primary"] = json!(index == 0);
        }
        default(properties, "primary", false);
    }
    properties["ipConfigurations"] = Value::Array(configs);
    Ok(())
}

/// The NAT subnet: policies off, in the load balancer's network and location.
fn check_subnet(
    put: &Put<'_>,
    draft: &Resource,
    subnet: &ResourceId,
    frontend: Option<&ResourceId>,
) -> Result<(), ArmError> {
    let dangling = || ArmError::dangling(&subnet.to_string(), put.id);
    let network = put.world.resource(subnet).ok_or_else(dangling)?;
    if network.location() != draft.location() {
        return Err(dangling());
    }
    let known = network.child("subnets", subnet.name()).ok_or_else(dangling)?;
    if known["properties"]["privateLinkServiceNetworkPolicies"] != "Disabled" {
        return Err(ArmError::invalid(
            "PrivateLinkServiceCannotBeCreatedInSubnetThatHasNetworkPoliciesEnabled",
            format!(
                "Private link service {} cannot be created in a subnet {subnet} since it has private link service network policies \
                 enabled.",
                put.id
            ),
        ));
    }
    let balancer = frontend.and_then(|frontend| {
        let found = put.world.resource(frontend)?.child("frontendIPConfigurations", frontend.name())?;
        linked(&found["properties"]["subnet"])
    });
    match balancer {
        Some(inside) if inside.owner().key() != subnet.owner().key() => Err(ArmError::invalid(
            "PrivateLinkServiceAndLoadBalancerNotInSameVirtualNetwork",
            format!(
                "Subnet {subnet} of private link service {} is not in the load balancer's virtual network.",
                put.id
            ),
        )),
        _ => Ok(()),
    }
}

/// What a service keeps for its life: its frontend or destination, its NAT configurations (they grow only), the primary one's subnet.
fn check_immutable(put: &Put<'_>, properties: &Value) -> Result<(), ArmError> {
    let Some(old) = put.old else { return Ok(()) };
    let before = old.properties();
    let fixed = |what: &str| {
        Err(ArmError::invalid(
            "PrivateLinkServicePropertyCannotBeChanged",
            format!("{what} of private link service {} cannot be changed after it was created.", put.id),
        ))
    };
    if properties[FRONTENDS] != before[FRONTENDS]
        && !(properties.get(FRONTENDS).is_none() && before.get(FRONTENDS).is_none())
    {
        return fixed(FRONTENDS);
    }
    if properties["destinationIPAddress"].is_string() != before["destinationIPAddress"].is_string() {
        return fixed("destinationIPAddress");
    }
    for config in old.list("ipConfigurations") {
        let name = config["name"].as_str().unwrap_or_default();
        let after =
            properties["ipConfigurations"].as_array().and_then(|list| list.iter().find(|c| named(c, name)));
        let Some(after) = after else {
            return Err(ArmError::invalid(
                "PrivateLinkServiceIpConfigurationCannotBeRemoved",
                format!("IP configuration {name} of private link service {} cannot be removed.", put.id),
            ));
        };
        let primary = config["properties"]["primary"] == true;
        if primary && after["properties"]["subnet"] != config["properties"]["subnet"] {
            return fixed("the subnet of the primary IP configuration");
        }
    }
    Ok(())
}

/// The NIC that Azure makes for a service, which holds its NAT addresses.
fn interface_of(put: &Put<'_>, draft: &Resource, properties: &Value) -> Result<Resource, ArmError> {
    let id = linked(&properties["networkInterfaces"][0]).ok_or_else(|| ArmError::not_found(put.id))?;
    let before = put.world.resource(&id);
    let mut configs = properties["ipConfigurations"].as_array().cloned().unwrap_or_default();
    let inner = Put { world: put.world, old: before, id: &id, now: put.now };
    let mut pools: Vec<Pool> = Vec::new();
    for config in &mut configs {
        let name = config["name"].as_str().unwrap_or_default().to_owned();
        let by = id.child("ipConfigurations", &name).to_string();
        let old = before.and_then(|nic| nic.child("ipConfigurations", &name));
        crate::azure::addresses::assign(&inner, &mut config["properties"], old, &by, &mut pools)?;
    }
    let body = json!({"location": draft.location(), "kind": "Regular", "properties": {
        "ipConfigurations": configs, "dnsSettings": {"dnsServers": [], "appliedDnsServers": []},
        "enableAcceleratedNetworking": false, "enableIPForwarding": false, "disableTcpStateTracking": false,
        "nicType": "Standard", "auxiliaryMode": "None", "auxiliarySku": "None"}});
    let mut nic = match before {
        Some(before) => before.clone(),
        None => Resource::new(id, Map::new(), put.now),
    };
    nic.body = body.as_object().cloned().unwrap_or_default();
    nic.managed_by = Some(put.id.to_string());
    Ok(nic)
}
