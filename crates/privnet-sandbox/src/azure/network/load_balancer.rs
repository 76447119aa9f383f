//! Load balancers: one PUT with frontends, pools, probes and rules, and the health of a rule's backends.
//!
//! Defaults as recorded. A pool whose addresses are set by number is refused where a private link service is
//! (`PrivateLinkServiceIsNotSupportedForIPBasedLoadBalancer`, as in MicrosoftDocs/azure-docs issue 75134).

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::interface::members_of_pool;
use super::private_link_service::services_of;
use super::{default, take_list, tidy_children};
use crate::azure::addresses::assign;
use crate::azure::error::ArmError;
use crate::azure::id::ResourceId;
use crate::azure::kind::{Children, Kind, Put, Work, linked};
use crate::azure::world::{Resource, State, World, later, named};

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
                for kind in ["loadBalancingRules", "inboundNatRules"] {
                    let found = rules(kind, name, &id);
                    if !found.is_empty() {
                        child["properties"][kind] = Value::Array(found);
                    }
                }
                if property == "backendAddressPools" {
                    show_members(world, &id, child);
                }
            }
        }
    }
}

fn show_members(world: &World, pool: &ResourceId, child: &mut Value) {
    let members = members_of_pool(world, pool);
    if members.is_empty() {
        return;
    }
    let ids: Vec<Value> = members.iter().map(|member| json!({"id": member.id})).collect();
    let entries: Vec<Value> = members
        .iter()
        .map(|member| {
            let name =
                member.id.split('/').skip(4).filter(|part| !part.contains('.')).collect::<Vec<_>>().join("_");
            json!({"name": name, "properties": {"provisioningState": "Succeeded",
                "networkInterfaceIPConfiguration": {"id": member.id}}})
        })
        .collect();
    child["properties"]["backendIPConfigurations"] = Value::Array(ids);
    child["properties"]["loadBalancerBackendAddresses"] = Value::Array(entries);
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

fn complete_probes(balancer: &ResourceId, properties: &mut Value) -> Result<(), ArmError> {
    let mut probes = take_list(properties, "probes");
    for probe in &mut probes {
        let id = balancer.child("probes", probe["name"].as_str().unwrap_or_default());
        let properties = &mut probe["properties"];
        let bad = |code: &str, why: &str| Err(ArmError::invalid(code, format!("Probe {id} {why}.")));
        if !properties["port"].as_i64().is_some_and(|port| (1..=65535).contains(&port)) {
            return bad("ProbePortOutOfRange", "must have a port from 1 to 65535");
        }
        default(properties, "protocol", "Tcp");
        let http = properties["protocol"] != "Tcp";
        let path = properties["requestPath"].as_str().is_some_and(|path| !path.is_empty());
        if http && !path {
            return bad("ProbeRequestPathMissing", "must have a requestPath for its protocol");
        }
        if !http && path {
            return bad("ProbeRequestPathNotAllowed", "must not have a requestPath for protocol Tcp");
        }
        default(properties, "intervalInSeconds", 15);
        default(properties, "numberOfProbes", 2);
        default(properties, "probeThreshold", 1);
        if properties["intervalInSeconds"].as_i64().is_some_and(|seconds| seconds < 5) {
            return bad("ProbeIntervalOutOfRange", "must have an interval of at least 5 seconds");
        }
    }
    properties["probes"] = Value::Array(probes);
    Ok(())
}

/// What a rule tells of itself, as recorded; the last two are in no published model.
const RULE_FLAGS: [&str; 4] =
    ["enableFloatingIP", "enableTcpReset", "allowBackendPortConflict", "enableDestinationServiceEndpoint"];

fn complete_rules(put: &Put<'_>, draft: &Resource, properties: &mut Value) -> Result<(), ArmError> {
    for kind in ["loadBalancingRules", "inboundNatRules", "outboundRules", "inboundNatPools"] {
        let mut rules = take_list(properties, kind);
        for rule in &mut rules {
            let id = put.id.child(kind, rule["name"].as_str().unwrap_or_default());
            let rule = &mut rule["properties"];
            let of = |segment: &str| format!("Microsoft.Network/loadBalancers/{segment}");
            put.link(draft, rule, "frontendIPConfiguration", &of("frontendIPConfigurations"))?;
            put.links(draft, rule, "frontendIPConfigurations", &of("frontendIPConfigurations"))?;
            put.links(draft, rule, "backendAddressPools", &of("backendAddressPools"))?;
            put.link(draft, rule, "backendAddressPool", &of("backendAddressPools"))?;
            put.link(draft, rule, "probe", &of("probes"))?;
            // One pool of the newer list is the pool of the older property too.
            if rule.get("backendAddressPool").is_none()
                && rule["backendAddressPools"].as_array().is_some_and(|l| l.len() == 1)
            {
                rule["backendAddressPool"] = rule["backendAddressPools"][0].clone();
            }
            if let Some(map) = rule.as_object_mut() {
                map.retain(|_, value| !value.is_null());
            }
            if kind == "loadBalancingRules" {
                complete_rule(&id, rule)?;
            } else if kind == "inboundNatRules" {
                default(rule, "idleTimeoutInMinutes", 4);
                for name in RULE_FLAGS {
                    default(rule, name, false);
                }
            }
        }
        if kind == "loadBalancingRules" {
            check_ports(put.id, &rules)?;
        }
        properties[kind] = Value::Array(rules);
    }
    Ok(())
}

fn complete_rule(id: &ResourceId, rule: &mut Value) -> Result<(), ArmError> {
    let bad =
        |code: &str, why: &str| Err(ArmError::invalid(code, format!("Load balancing rule {id} {why}.")));
    if linked(&rule["frontendIPConfiguration"]).is_none() {
        return bad(
            "LoadBalancingRuleMustHaveFrontendIPConfiguration",
            "must reference a frontend IP configuration",
        );
    }
    let Some(protocol) = rule["protocol"].as_str().map(str::to_owned) else {
        return bad("LoadBalancingRuleProtocolMissing", "must have a protocol");
    };
    for port in ["frontendPort", "backendPort"] {
        let least = i64::from(protocol != "All");
        if !rule[port].as_i64().is_some_and(|number| (least..=65535).contains(&number)) {
            return bad(
                "LoadBalancingRulePortOutOfRange",
                &format!("must have a {port} from {least} to 65535"),
            );
        }
    }
    default(rule, "idleTimeoutInMinutes", 4);
    for name in RULE_FLAGS {
        default(rule, name, false);
    }
    default(rule, "loadDistribution", "Default");
    default(rule, "disableOutboundSnat", false);
    if !rule["idleTimeoutInMinutes"].as_i64().is_some_and(|minutes| (4..=100).contains(&minutes)) {
        return bad(
            "LoadBalancingRuleIdleTimeoutOutOfRange",
            "must have an idle timeout from 4 to 100 minutes",
        );
    }
    Ok(())
}

/// Two rules may share neither a frontend's port nor, without floating IP, a pool's.
fn check_ports(balancer: &ResourceId, rules: &[Value]) -> Result<(), ArmError> {
    let id = |rule: &Value| balancer.child("loadBalancingRules", rule["name"].as_str().unwrap_or_default());
    for (index, rule) in rules.iter().enumerate() {
        for other in rules.iter().take(index) {
            let (a, b) = (&rule["properties"], &other["properties"]);
            let same = |name: &str| a[name] == b[name];
            if same("frontendIPConfiguration") && same("frontendPort") && same("protocol") {
                return Err(ArmError::invalid(
                    "RulesUseSameFrontendPortProtocolAndIPConfig",
                    format!(
                        "Load balancing rules {} and {} use the same protocol and frontend port.",
                        id(other),
                        id(rule)
                    ),
                ));
            }
            let floating = a["enableFloatingIP"] == true || b["enableFloatingIP"] == true;
            let pooled = linked(&a["backendAddressPool"]).is_some() && same("backendAddressPool");
            if pooled && !floating && same("backendPort") && same("protocol") {
                return Err(ArmError::invalid(
                    "RulesUseSameBackendPortProtocolAndPool",
                    format!(
                        "Load balancing rules {} and {} with floating IP disabled use the same protocol {} and backend port \
                         {}, and must not be used with the same backend address pool {}.",
                        id(other),
                        id(rule),
                        a["protocol"].as_str().unwrap_or_default(),
                        a["backendPort"],
                        a["backendAddressPool"]["id"].as_str().unwrap_or_default()
                    ),
                ));
            }
        }
    }
    Ok(())
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

/// The answer of a rule's health call (Microsoft, "Manage Azure Load Balancer health status"): each backend with state and reason.
pub(crate) fn health(world: &World, rule: &ResourceId, now: Timestamp) -> Result<Value, ArmError> {
    let balancer = world.resource(rule).ok_or_else(|| ArmError::not_found(&rule.owner()))?;
    let found =
        balancer.child("loadBalancingRules", rule.name()).ok_or_else(|| ArmError::child_not_found(rule))?;
    let probe = linked(&found["properties"]["probe"]).and_then(|id| balancer.child("probes", id.name()));
    let number = |name: &str, otherwise: i64| {
        probe.and_then(|probe| probe["properties"][name].as_i64()).unwrap_or(otherwise)
    };
    let wait = number("intervalInSeconds", 15) * number("probeThreshold", 1);
    let down = match probe.map(|probe| probe["properties"]["protocol"] == "Tcp") {
        Some(false) => "Down_Probe_HttpEndpointUnreachable",
        _ => "Down_Probe_TcpProbeTimeout",
    };
    let pool = linked(&found["properties"]["backendAddressPool"]);
    let members = pool.map(|pool| members_of_pool(world, &pool)).unwrap_or_default();
    let mut backends = Vec::new();
    let mut up = 0;
    for member in &members {
        let is_up = !told_down(world, &member.holder) && now >= later(member.up_since, wait);
        up += i64::from(is_up);
        backends.push(json!({
            "networkInterfaceIPConfigurationId": member.id,
            "ipAddress": member.address,
            "state": if is_up { "Up" } else { "Down" },
            "reason": if is_up { "Up_Probe_Success" } else { down },
        }));
    }
    let all = backends.len() as i64;
    Ok(json!({"up": up, "down": all - up, "loadBalancerBackendAddresses": backends}))
}

/// The sandbox's own switch: a tag `sandbox-health: down` on the machines' scale set or on a NIC makes its backends unhealthy.
fn told_down(world: &World, holder: &ResourceId) -> bool {
    world.resource(holder).and_then(|resource| resource.tag("sandbox-health")) == Some("down")
}
