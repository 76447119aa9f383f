//! What lowering needs to know of a place, as plain data in the world.

use std::collections::BTreeMap;

use privnet_core::World;
use serde::{Deserialize, Serialize};

use crate::image::Seen;

/// What was found in a project, region and host project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// Whether the place was read: what is not in it is then not there.
    pub(crate) read: bool,
    /// The subnets of the region in the host project, by name.
    pub(crate) subnets: BTreeMap<String, Subnet>,
    /// The ranges that are taken in the host project's networks, in all regions.
    #[serde(default)]
    pub(crate) taken: Vec<Taken>,
    /// The machines that the file names, by path.
    pub(crate) machines: BTreeMap<String, Machine>,
    /// The paths of the instance groups, where the file names any.
    pub(crate) groups: Vec<String>,
    /// The images that the file's forwarders are made from, by path.
    #[serde(default)]
    pub(crate) images: BTreeMap<String, Seen>,
    /// Service attachments by the NAT subnets that they use: subnet's path to attachment's path.
    pub(crate) nat_users: BTreeMap<String, Vec<String>>,
}

/// A subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subnet {
    pub(crate) path: String,
    pub(crate) cidr: String,
    pub(crate) network: String,
    pub(crate) purpose: String,
    /// The service of this deployment that privnet made it for, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) made_for: Option<String>,
}

/// A range of a subnet, its first or a secondary one. In one network no two may overlap, in whichever regions they are
/// (<https://cloud.google.com/vpc/docs/subnets#subnet-ranges>).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    pub(crate) network: String,
    /// The subnet, by path.
    pub(crate) subnet: String,
    pub(crate) cidr: String,
}

/// A machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) zone: String,
    pub(crate) network: String,
    pub(crate) subnet: String,
    pub(crate) status: String,
}

/// The key of a place's facts.
pub(crate) fn key(project: &str, region: &str, host: &str) -> String {
    format!("gcp/{project}/{region}/{host}")
}

/// The key of the ids of projects that the file names by number.
pub(crate) const PROJECTS: &str = "gcp/projects";

impl Facts {
    /// The facts of a place; defaults where it could not be read.
    pub(crate) fn of(world: &World, key: &str) -> Self {
        let json = world.facts.get(key).cloned();
        json.and_then(|json| serde_json::from_value(json).ok()).unwrap_or_default()
    }
}

/// The id of a project that the file names by number, if it could be found out.
pub(crate) fn project_id(world: &World, number: u64) -> Option<String> {
    world.facts.get(PROJECTS)?.get(number.to_string())?.as_str().map(str::to_owned)
}
