//! Public addresses, as far as load balancers and network interfaces refer to them.

use serde_json::{Map, Value, json};

use super::default;
use crate::azure::error::ArmError;
use crate::azure::id::ResourceId;
use crate::azure::kind::{Kind, Put, Work, linked};
use crate::azure::world::{Resource, State, World};

/// `Microsoft.Network/publicIPAddresses`.
pub(crate) struct PublicAddresses;

impl Kind for PublicAddresses {
    fn kind(&self) -> &'static str {
        "Microsoft.Network/publicIPAddresses"
    }

    fn model(&self) -> &'static str {
        "network.PublicIPAddress"
    }

    fn noun(&self) -> &'static str {
        "PublicIpAddress"
    }

    fn complete(
        &self,
        put: &Put<'_>,
        draft: &mut Resource,
        _made: &mut Vec<Resource>,
    ) -> Result<Work, ArmError> {
        let mut properties = draft.body.remove("properties").unwrap_or_else(|| json!({}));
        let sku = draft.body.entry("sku").or_insert_with(|| json!({"name": "Basic"}));
        default(sku, "tier", "Regional");
        let standard = sku["name"] == "Standard";
        default(&mut properties, "publicIPAddressVersion", "IPv4");
        default(&mut properties, "publicIPAllocationMethod", if standard { "Static" } else { "Dynamic" });
        default(&mut properties, "idleTimeoutInMinutes", 4);
        default(&mut properties, "ipTags", json!([]));
        default(&mut properties, "ddosSettings", json!({"protectionMode": "VirtualNetworkInherited"}));
        if standard && properties["publicIPAllocationMethod"] == "Dynamic" {
            return Err(ArmError::invalid(
                "PublicIPAddressWithStandardSkuMustBeStatic",
                format!("Standard sku publicIp {} must have AllocationMethod set to Static.", put.id),
            ));
        }
        if properties["publicIPAllocationMethod"] == "Static" {
            let kept = put.old.map(|old| old.properties()["ipAddress"].clone()).filter(Value::is_string);
            // A documentation range (RFC 5737), so that nobody is reached by accident.
            let fresh =
                || json!(format!("203.0.113.{}", draft.guid.bytes().map(u32::from).sum::<u32>() % 254 + 1));
            properties["ipAddress"] = kept.unwrap_or_else(fresh);
        }
        draft.body.insert("properties".into(), properties);
        Ok(Work::Accepted(2, State::Updating))
    }

    fn may_go(&self, world: &World, resource: &Resource) -> Result<(), ArmError> {
        let Some(user) = user(world, &resource.id) else { return Ok(()) };
        Err(ArmError::invalid(
            "PublicIPAddressCannotBeDeleted",
            format!(
                "Public IP address {} can not be deleted since it is still allocated to resource {user}. In order to delete the \
                 public IP, disassociate/detach the Public IP address from the resource. To learn how to do this, see \
                 aka.ms/deletepublicip.",
                resource.id
            ),
        ))
    }

    fn show(&self, world: &World, resource: &Resource, properties: &mut Map<String, Value>) {
        if resource.state != State::Succeeded {
            properties.remove("ipAddress");
        }
        if let Some(user) = user(world, &resource.id) {
            properties.insert("ipConfiguration".into(), json!({"id": user}));
        }
    }
}

/// The ip configuration that has the address.
fn user(world: &World, address: &ResourceId) -> Option<String> {
    let key = address.key();
    let holders = [
        ("Microsoft.Network/networkInterfaces", "ipConfigurations"),
        ("Microsoft.Network/loadBalancers", "frontendIPConfigurations"),
    ];
    holders.iter().find_map(|(kind, property)| {
        world.of_kind(kind).find_map(|holder| {
            let has = |config: &&Value| {
                linked(&config["properties"]["publicIPAddress"]).is_some_and(|id| id.key() == key)
            };
            let config = holder.list(property).iter().find(has)?;
            Some(holder.id.child(property, config["name"].as_str()?).to_string())
        })
    })
}
