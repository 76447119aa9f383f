//! Network security groups and their rules. The default rules are those of the recorded answers.

use serde_json::{Map, Value, json};

use super::{default, take_list, tidy_children};
use crate::azure::compute::instance_interfaces;
use crate::azure::error::ArmError;
use crate::azure::id::ResourceId;
use crate::azure::kind::{Children, Kind, Put, Work, etag, linked};
use crate::azure::world::{Resource, State, World};

/// `Microsoft.Network/networkSecurityGroups`.
pub(crate) struct NetworkSecurityGroups;

static CHILDREN: [Children; 1] = [Children {
    property: "securityRules",
    segment: "securityRules",
    model: Some("network.SecurityRule"),
    noun: "SecurityRule",
    seconds: 2,
}];

impl Kind for NetworkSecurityGroups {
    fn kind(&self) -> &'static str {
        "Microsoft.Network/networkSecurityGroups"
    }

    fn model(&self) -> &'static str {
        "network.NetworkSecurityGroup"
    }

    fn noun(&self) -> &'static str {
        "NetworkSecurityGroup"
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
        let mut properties = draft.body.remove("properties").unwrap_or_else(|| json!({}));
        let mut rules = take_list(&mut properties, "securityRules");
        tidy_children(&mut rules, put.id, "securityRules")?;
        rules.iter_mut().try_for_each(|rule| complete_rule(put.id, rule))?;
        check_priorities(&rules)?;
        properties["securityRules"] = Value::Array(rules);
        draft.body.insert("properties".into(), properties);
        Ok(Work::Accepted(2, State::Updating))
    }

    fn may_go(&self, world: &World, resource: &Resource) -> Result<(), ArmError> {
        let Some(user) = users(world, &resource.id).into_iter().next() else { return Ok(()) };
        if user.contains("/virtualMachineScaleSets/") {
            return Err(ArmError::invalid(
                "NetworkSecurityGroupInUseByVirtualMachineScaleSet",
                format!(
                    "Cannot delete network security group {} since it is in use by virtual machine scale set {user}.",
                    resource.id
                ),
            ));
        }
        Err(ArmError::invalid(
            "InUseNetworkSecurityGroupCannotBeDeleted",
            format!(
                "Network security group {} cannot be deleted because it is in use by the following resources: {user}. In order \
                 to delete the Network security group, remove the association with the resource(s). To learn how to do this, \
                 see aka.ms/deletensg.",
                resource.id
            ),
        ))
    }

    fn show(&self, world: &World, resource: &Resource, properties: &mut Map<String, Value>) {
        let rules: Vec<Value> = DEFAULT_RULES.iter().map(|rule| default_rule(resource, rule)).collect();
        properties.insert("defaultSecurityRules".into(), Value::Array(rules));
        let (subnets, interfaces): (Vec<String>, Vec<String>) = users(world, &resource.id)
            .into_iter()
            .filter(|user| !user.contains("/virtualMachineScaleSets/"))
            .partition(|user| user.contains("/subnets/"));
        for (name, ids) in [("subnets", subnets), ("networkInterfaces", interfaces)] {
            if !ids.is_empty() {
                let ids: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
                properties.insert(name.into(), Value::Array(ids));
            }
        }
    }
}

fn complete_rule(group: &ResourceId, rule: &mut Value) -> Result<(), ArmError> {
    let name = rule["name"].as_str().unwrap_or_default().to_owned();
    let properties = &mut rule["properties"];
    let required =
        ["protocol", "access", "direction"].into_iter().find(|word| properties[*word].as_str().is_none());
    if let Some(missing) = required {
        return Err(ArmError::invalid(
            "SecurityRuleParameterMissing",
            format!(
                "Required security rule parameters are missing for security rule with Id: {}. Security rule must specify {missing}.",
                group.child("securityRules", &name)
            ),
        ));
    }
    let priority = properties["priority"].as_i64().unwrap_or_default();
    if !(100..=4096).contains(&priority) {
        return Err(ArmError::invalid(
            "SecurityRuleInvalidPriority",
            format!("Security rule has invalid Priority. Value provided: {priority} Allowed range 100-4096."),
        ));
    }
    for ends in ["sourceAddress", "destinationAddress"] {
        let one = properties[format!("{ends}Prefix")].as_str().is_some_and(|text| !text.is_empty());
        let many = properties[format!("{ends}Prefixes")].as_array().is_some_and(|list| !list.is_empty());
        if !one && !many {
            return Err(ArmError::invalid(
                "SecurityRuleParameterMissing",
                format!("Security rule {name} must specify {ends}Prefix or {ends}Prefixes."),
            ));
        }
    }
    for list in
        ["sourcePortRanges", "destinationPortRanges", "sourceAddressPrefixes", "destinationAddressPrefixes"]
    {
        default(properties, list, json!([]));
    }
    Ok(())
}

fn check_priorities(rules: &[Value]) -> Result<(), ArmError> {
    for (index, rule) in rules.iter().enumerate() {
        let same = |other: &&Value| {
            ["priority", "direction"].iter().all(|name| other["properties"][name] == rule["properties"][name])
        };
        if let Some(other) = rules.iter().take(index).find(same) {
            return Err(ArmError::invalid(
                "SecurityRuleConflict",
                format!(
                    "Security rule {} conflicts with rule {}. Rules cannot have the same Priority and Direction.",
                    rule["name"].as_str().unwrap_or_default(),
                    other["name"].as_str().unwrap_or_default()
                ),
            ));
        }
    }
    Ok(())
}

/// Subnets, network interfaces and scale sets that have the group.
fn users(world: &World, group: &ResourceId) -> Vec<String> {
    let key = group.key();
    let has = |value: &Value| linked(&value["networkSecurityGroup"]).is_some_and(|id| id.key() == key);
    let mut ids = Vec::new();
    for network in world.of_kind("Microsoft.Network/virtualNetworks") {
        let subnets = network.list("subnets").iter().filter(|subnet| has(&subnet["properties"]));
        ids.extend(
            subnets.map(|s| network.id.child("subnets", s["name"].as_str().unwrap_or_default()).to_string()),
        );
    }
    let interfaces = world.of_kind("Microsoft.Network/networkInterfaces").filter(|nic| has(nic.properties()));
    ids.extend(interfaces.map(|nic| nic.id.to_string()));
    for set in world.of_kind("Microsoft.Compute/virtualMachineScaleSets") {
        let profile =
            &set.properties()["virtualMachineProfile"]["networkProfile"]["networkInterfaceConfigurations"];
        let in_model = profile.as_array().is_some_and(|list| list.iter().any(|nic| has(&nic["properties"])));
        if in_model
            || instance_interfaces(set)
                .iter()
                .any(|nic| nic.security_group.as_ref().is_some_and(|id| id.key() == key))
        {
            ids.push(set.id.to_string());
        }
    }
    ids
}

type DefaultRule = (&'static str, &'static str, &'static str, &'static str, &'static str, u32, &'static str);

const DEFAULT_RULES: [DefaultRule; 6] = [
    (
        "AllowVnetInBound",
        "Allow inbound traffic from all VMs in VNET",
        "VirtualNetwork",
        "VirtualNetwork",
        "Allow",
        65000,
        "Inbound",
    ),
    (
        "AllowAzureLoadBalancerInBound",
        "Allow inbound traffic from azure load balancer",
        "AzureLoadBalancer",
        "*",
        "Allow",
        65001,
        "Inbound",
    ),
    ("DenyAllInBound", "Deny all inbound traffic", "*", "*", "Deny", 65500, "Inbound"),
    (
        "AllowVnetOutBound",
        "Allow outbound traffic from all VMs to all VMs in VNET",
        "VirtualNetwork",
        "VirtualNetwork",
        "Allow",
        65000,
        "Outbound",
    ),
    (
        "AllowInternetOutBound",
        "Allow outbound traffic from all VMs to Internet",
        "*",
        "Internet",
        "Allow",
        65001,
        "Outbound",
    ),
    ("DenyAllOutBound", "Deny all outbound traffic", "*", "*", "Deny", 65500, "Outbound"),
];

fn default_rule(resource: &Resource, rule: &DefaultRule) -> Value {
    let (name, description, source, destination, access, priority, direction) = *rule;
    json!({
        "name": name,
        "id": resource.id.child("defaultSecurityRules", name).to_string(),
        "etag": etag(resource),
        "type": "Microsoft.Network/networkSecurityGroups/defaultSecurityRules",
        "properties": {
            "provisioningState": resource.state.text(), "description": description, "protocol": "*",
            "sourcePortRange": "*", "destinationPortRange": "*", "sourceAddressPrefix": source,
            "destinationAddressPrefix": destination, "access": access, "priority": priority, "direction": direction,
            "sourcePortRanges": [], "destinationPortRanges": [], "sourceAddressPrefixes": [],
            "destinationAddressPrefixes": [],
        },
    })
}
