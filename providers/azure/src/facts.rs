//! What a plan must know of the world besides resources: kept as one fact for each service.

use std::collections::BTreeMap;

use privnet_core::World;
use serde::{Deserialize, Serialize};

use crate::image;

/// What was read for one service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// Whether the resource group is not there: privnet makes none.
    #[serde(default)]
    pub(crate) group_gone: bool,
    /// The virtual network; absent: it is not there.
    pub(crate) vnet: Option<Vnet>,
    /// The service of this deployment that privnet made the NAT subnet for which the file names as one that is there, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nat_made_for: Option<String>,
    /// The load balancer of a frontend that exists; absent: not asked for, or not there.
    pub(crate) frontend: Option<Frontend>,
    /// Network interfaces that ports lead to, by id in lower case. One that is missing is not there.
    pub(crate) nics: BTreeMap<String, Nic>,
    /// The location's zones; empty: it has none, or they may not be read.
    pub(crate) zones: Vec<String>,
    /// Why the location's zones may not be read, where that is so.
    pub(crate) zones_unseen: Option<String>,
    /// The image of forwarder machines; absent: there are none.
    pub(crate) image: Option<image::Seen>,
    /// How many private link services use each load balancer, by id in lower case, those of this service left out.
    pub(crate) services_of: BTreeMap<String, usize>,
}

/// A virtual network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Vnet {
    /// Its location, by the short name.
    pub(crate) location: String,
    /// Its address space.
    pub(crate) ranges: Vec<String>,
    /// Its subnets, by id in lower case.
    pub(crate) subnets: BTreeMap<String, Subnet>,
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subnet {
    /// Its ranges.
    pub(crate) prefixes: Vec<String>,
    /// Whether network policies for private link services are on: then no NAT address can be taken from it.
    pub(crate) policies_on: bool,
    /// Whether its last write failed: nothing can be made in it until it is written once more.
    #[serde(default)]
    pub(crate) is_broken: bool,
}

/// A frontend that exists, and its load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frontend {
    /// The load balancer's location.
    pub(crate) location: String,
    /// `Standard`, `Basic`.
    pub(crate) sku: String,
    /// Whether the frontend is among the load balancer's.
    pub(crate) is_there: bool,
    /// Whether it has a public address.
    pub(crate) is_public: bool,
    /// The backend pools that are by address, by name.
    pub(crate) address_pools: Vec<String>,
    /// The virtual network of the frontend, by id in lower case.
    pub(crate) vnet: Option<String>,
    /// The private link services that stand before this very frontend, by id, this service's own left out.
    pub(crate) used_by: Vec<String>,
    /// Whether each other private link service of the load balancer sends the PROXY header, by id: all must, or none.
    pub(crate) proxy_headers: BTreeMap<String, bool>,
    /// The ports of the rules on this frontend.
    pub(crate) ports: Vec<u16>,
    /// The service of this deployment that privnet made the load balancer for, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) made_for: Option<String>,
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Nic {
    /// Its location.
    pub(crate) location: String,
    /// Whether it has a public address.
    pub(crate) is_public: bool,
    /// Its virtual network, by id in lower case.
    pub(crate) vnet: Option<String>,
    /// The backend pools that it is in, by id in lower case.
    pub(crate) pools: Vec<String>,
    /// Its machine, by id in lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) machine: Option<String>,
    /// The load balancers in whose pools it is, or another interface of its machine, those of this service left out, by id in lower case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) behind: BTreeMap<String, Behind>,
}

/// A load balancer that an interface is behind already.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Behind {
    /// Whether it is an internal one; absent: it may not be read.
    pub(crate) is_internal: Option<bool>,
    /// The service of this deployment that privnet made it for, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) made_for: Option<String>,
}

fn key(service: &str) -> String {
    format!("azure/{service}")
}

/// The facts of a service; none where it was not observed.
pub(crate) fn of(world: &World, service: &str) -> Option<Facts> {
    serde_json::from_value(world.facts.get(&key(service))?.clone()).ok()
}

/// The machine of an interface that a service leads to: of many services, without reading the rest of their facts.
pub(crate) fn machine_of<'a>(world: &'a World, service: &str, nic: &str) -> Option<&'a str> {
    world.facts.get(&key(service))?.get("nics")?.get(nic)?.get("machine")?.as_str()
}

/// Keeps the facts of a service.
pub(crate) fn keep(world: &mut World, service: &str, facts: &Facts) {
    if let Ok(json) = serde_json::to_value(facts) {
        world.facts.insert(key(service), json);
    }
}

/// Why a subscription could not be searched for what is left of services that turned, as a warning; nothing where it could.
pub(crate) fn unsearched(world: &World, subscription: &str) -> Option<String> {
    let why = world.facts.get(&unsearched_key(subscription))?.as_str()?;
    Some(format!(
        "whether something that privnet made is left of hosted or existing services in the subscription {subscription} cannot be \
         seen: {why}"
    ))
}

/// Keeps why a subscription could not be searched.
pub(crate) fn keep_unsearched(world: &mut World, subscription: &str, why: &str) {
    world.facts.insert(unsearched_key(subscription), why.into());
}

fn unsearched_key(subscription: &str) -> String {
    format!("azure-unsearched/{}", subscription.to_lowercase())
}

/// A location by its short name: `East US 2` is `eastus2`.
pub(crate) fn short_location(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect()
}
