//! What goes with a resource that goes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::compute::release_interfaces;
use super::id::{ResourceId, group_key};
use super::kind::linked;
use super::network::remove_of_endpoint;
use super::world::{Resource, World, guid};

/// The networks and load balancers behind all references in a resource.
fn references(value: &Value, owners: &mut BTreeSet<String>) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| references(value, owners)),
        Value::Object(map) => {
            let id = map.get("id").and_then(Value::as_str).and_then(ResourceId::parse).map(|id| id.owner());
            let kinds = ["Microsoft.Network/virtualNetworks", "Microsoft.Network/loadBalancers"];
            owners.extend(id.filter(|id| kinds.iter().any(|kind| id.is(kind))).map(|id| id.key()));
            map.values().for_each(|value| references(value, owners));
        }
        _ => {}
    }
}

impl World {
    /// Removes a resource with what was made for it.
    pub(crate) fn remove_resource(&mut self, key: &str) {
        let Some(resource) = self.resources.get(key).cloned() else { return };
        self.resources.remove(key);
        let id = resource.id.to_string();
        self.resources.retain(|_, other| other.managed_by.as_deref() != Some(id.as_str()));
        let mine: Vec<String> = self
            .connections
            .iter()
            .filter(|(_, c)| c.service.key() == key || c.endpoint.key() == key)
            .map(|(key, _)| key.clone())
            .collect();
        for connection in mine {
            let Some(gone) = self.connections.get(&connection).cloned() else { continue };
            self.connections.remove(&connection);
            if gone.service.key() == key {
                remove_of_endpoint(self, &gone.endpoint, "The private link service was deleted.");
            }
        }
        if resource.is("Microsoft.Network/loadBalancers") {
            self.leave_pools(key);
        }
        if resource.is("Microsoft.Compute/virtualMachines") {
            release_interfaces(self, &resource);
        }
        self.touch(&resource);
    }

    /// Gives the networks and load balancers that a resource refers to a new ETag: what comes to them or leaves them is a change
    /// of theirs (recorded of the subnet of a private link service).
    pub(crate) fn touch(&mut self, resource: &Resource) {
        let mut owners = BTreeSet::new();
        references(resource.properties(), &mut owners);
        owners.remove(&resource.id.key());
        for owner in owners {
            if let Some(other) = self.resources.get_mut(&owner) {
                other.etag = guid();
            }
        }
    }

    /// NICs forget the pools of a load balancer that is gone.
    fn leave_pools(&mut self, balancer: &str) {
        let forget = |nic: &mut Resource| {
            let configs = nic.body.get_mut("properties").and_then(|p| p.get_mut("ipConfigurations"));
            for config in configs.and_then(Value::as_array_mut).into_iter().flatten() {
                let pools =
                    config.get_mut("properties").and_then(|p| p.get_mut("loadBalancerBackendAddressPools"));
                if let Some(Value::Array(pools)) = pools {
                    pools.retain(|pool| linked(pool).is_none_or(|id| id.owner().key() != balancer));
                }
            }
        };
        self.resources.update(|resource| resource.is("Microsoft.Network/networkInterfaces"), forget);
    }

    /// Removes a resource group with all that is in it.
    pub(crate) fn remove_group(&mut self, key: &str) {
        let inside: Vec<String> = self
            .resources
            .iter()
            .filter(|(_, resource)| group_key(&resource.id.subscription, &resource.id.group) == key)
            .map(|(key, _)| key.clone())
            .collect();
        for resource in inside {
            self.remove_resource(&resource);
        }
        self.groups.remove(key);
    }
}
