//! Which services there are on a load balancer or behind an alias, and who may ask them.

use serde_json::Value;

use crate::azure::id::ResourceId;
use crate::azure::kind::linked;
use crate::azure::world::{Resource, World};

/// The property of a service that refers to its frontend.
pub(super) const FRONTENDS: &str = "loadBalancerFrontendIpConfigurations";

/// The services on a load balancer.
pub(super) fn services_of(world: &World, balancer: &ResourceId) -> Vec<ResourceId> {
    let key = balancer.key();
    world
        .of_kind("Microsoft.Network/privateLinkServices")
        .filter(|service| {
            linked(&service.properties()[FRONTENDS][0]).is_some_and(|id| id.owner().key() == key)
        })
        .map(|service| service.id.clone())
        .collect()
}

/// Who may ask for a connection, and who gets it without asking a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServiceAccess {
    /// The endpoint is approved at once.
    Approved,
    /// The request waits for a decision.
    Asks,
    /// The service cannot be seen from there.
    Hidden,
}

impl ServiceAccess {
    /// What an endpoint of that subscription gets. The service's own subscription is always approved (recorded); `accessMode`
    /// other than `Restricted` leaves a service open to anyone who has its alias.
    pub(crate) fn of(service: &Resource, subscription: &str) -> Self {
        let within = |name: &str| {
            let list = service.properties()[name]["subscriptions"].as_array();
            list.is_some_and(|list| {
                list.iter()
                    .filter_map(Value::as_str)
                    .any(|entry| entry == "*" || entry.eq_ignore_ascii_case(subscription))
            })
        };
        let own = service.id.subscription.eq_ignore_ascii_case(subscription);
        if own || within("autoApproval") {
            Self::Approved
        } else if within("visibility") || service.properties()["accessMode"] != "Restricted" {
            Self::Asks
        } else {
            Self::Hidden
        }
    }
}

/// A service's alias.
pub(crate) fn alias_of(service: &Resource) -> &str {
    service.properties()["alias"].as_str().unwrap_or_default()
}

/// The service that has an alias.
pub(crate) fn service_of_alias<'a>(world: &'a World, alias: &str) -> Option<&'a Resource> {
    world
        .of_kind("Microsoft.Network/privateLinkServices")
        .find(|service| alias_of(service).eq_ignore_ascii_case(alias))
}
