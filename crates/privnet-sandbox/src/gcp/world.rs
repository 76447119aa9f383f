//! The state: projects, resources, operations, and the endpoints of consumers.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::body::Object;
use super::error::{ApiError, OperationError};
use super::link::{self, Parts, Scope};
use crate::frame::Table;

/// All of the sandbox's GCP.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct World {
    /// Every id is drawn from this, so that a reset world gives the same ids again.
    pub(crate) counter: u64,
    /// By project id.
    pub(crate) projects: BTreeMap<String, Project>,
    /// By path.
    pub(crate) resources: Table<Record>,
    /// By path.
    pub(crate) operations: Table<Operation>,
    /// Paths of the operations that have not had their effect yet.
    pub(crate) running: Vec<String>,
    /// Private Service Connect endpoints, by the path of the consumer's forwarding rule.
    pub(crate) endpoints: BTreeMap<String, Endpoint>,
    /// Consumers that are going to raise an endpoint.
    pub(crate) arrivals: Vec<Arrival>,
    /// How many endpoints each consumer has ever raised at each attachment, by `<project> <attachment path>`.
    pub(crate) raised: BTreeMap<String, u32>,
}

/// A project.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Project {
    /// The project number.
    pub(crate) number: u64,
    /// What it is for in the default world.
    pub(crate) role: String,
    /// The Shared VPC host project that it is attached to.
    pub(crate) host: Option<String>,
    /// How many resources of each kind it may have.
    pub(crate) quota: u64,
    /// Whether it raises an endpoint at every new attachment, and after how many seconds.
    pub(crate) arrives_after: Option<i64>,
}

/// A resource.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The numeric id.
    pub(crate) id: u64,
    /// When its insertion was asked for.
    pub(crate) created: Timestamp,
    /// The operation that is changing it: until it is done the resource is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) busy: Option<String>,
    /// What was asked for and what was made of it. States are not in here: they are computed.
    pub(crate) body: Object,
    /// The machines in a group or NEG.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) members: Vec<Member>,
    /// When things happened to it that its state follows from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) marks: BTreeMap<String, Timestamp>,
}

/// A machine in an instance group or network endpoint group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// The instance's path.
    pub(crate) instance: String,
    /// The endpoint's address, in a NEG.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
    /// The endpoint's port, in a NEG that has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<i64>,
    /// Since when.
    pub(crate) since: Timestamp,
}

impl Member {
    /// Whether both are the same machine at the same address and port.
    pub(crate) fn same(&self, other: &Self) -> bool {
        (&self.instance, &self.address, self.port) == (&other.instance, &other.address, other.port)
    }
}

/// A long-running operation. Its status is computed from its times.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) project: String,
    pub(crate) scope: Scope,
    /// `operationType`.
    pub(crate) kind: String,
    /// The path of what it changes.
    pub(crate) target: String,
    pub(crate) target_id: u64,
    pub(crate) inserted: Timestamp,
    pub(crate) ends: Timestamp,
    pub(crate) error: Option<OperationError>,
    pub(crate) request_id: Option<String>,
    /// What happens when it ends.
    pub(crate) effects: Vec<Effect>,
}

/// What an operation does at its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Effect {
    /// The resource has this body from now on.
    Body { path: String, body: Object },
    /// The resource is gone.
    Remove { path: String },
    /// Machines join a group.
    Join { path: String, members: Vec<Member> },
    /// Machines leave a group.
    Leave { path: String, members: Vec<Member> },
    /// Something happened to the resource.
    Mark { path: String, mark: String, clear: Option<String> },
}

/// A consumer's connection to a service attachment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    /// The path of the attachment.
    pub(crate) attachment: String,
    /// The attachment's id: a new one of the same name is another.
    pub(crate) attachment_id: u64,
    /// `pscConnectionId`.
    pub(crate) connection: u64,
    /// The consumer's project.
    pub(crate) project: String,
    /// The path of the consumer's network.
    pub(crate) network: String,
    /// The order in which they came.
    pub(crate) order: u64,
    /// What the producer's policy made of it, last time that it was applied.
    pub(crate) decision: Decision,
}

/// What a policy makes of an endpoint. `NEEDS_ATTENTION` is computed: an accepted endpoint without a NAT address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Decision {
    /// Not listed, or over the limit.
    Pending,
    /// Listed, within the limit.
    Accepted,
    /// On the reject list.
    Rejected,
    /// The attachment is gone; final.
    Closed,
}

/// A consumer on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Arrival {
    pub(crate) at: Timestamp,
    pub(crate) project: String,
    pub(crate) attachment: String,
    pub(crate) attachment_id: u64,
}

impl Default for World {
    fn default() -> Self {
        super::default_world::build()
    }
}

impl World {
    /// A new id: 19 digits, never the same twice in one world.
    pub(crate) fn fresh_id(&mut self) -> u64 {
        self.counter += 1;
        1_000_000_000_000_000_000 + mix(self.counter) % 8_000_000_000_000_000_000
    }

    /// The id of a project that is given by id or number.
    pub(crate) fn project_id(&self, id_or_number: &str) -> Option<String> {
        if self.projects.contains_key(id_or_number) {
            return Some(id_or_number.to_owned());
        }
        let number: u64 = id_or_number.parse().ok()?;
        self.projects.iter().find(|(_, project)| project.number == number).map(|(id, _)| id.clone())
    }

    /// The path by name of a resource whose path ends in its numeric id.
    pub(crate) fn named(&self, path: &str) -> Option<String> {
        let (parent, name) = path.rsplit_once('/')?;
        let id: u64 = name.parse().ok()?;
        self.under(parent).find(|(_, record)| record.id == id).map(|(path, _)| path.clone())
    }

    /// The resources of one collection in one scope; `parent` is `projects/p/regions/r/addresses`.
    pub(crate) fn under<'a>(
        &'a self,
        parent: &str,
    ) -> impl Iterator<Item = (&'a String, &'a Record)> + use<'a> {
        let start = format!("{parent}/");
        self.resources.iter().filter(move |(path, _)| path.starts_with(&start))
    }

    /// A project's resources of one collection, whatever their scope.
    pub(crate) fn collection<'a>(
        &'a self,
        project: &str,
        collection: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a Record, Parts)> + use<'a> {
        let start = format!("projects/{project}/");
        self.resources
            .iter()
            .filter(move |(path, _)| path.starts_with(&start))
            .filter_map(|(path, record)| Some((path, record, Parts::parse(path)?)))
            .filter(move |(_, _, parts)| parts.collection == collection)
    }

    /// The resource at a path, or 404.
    pub(crate) fn get(&self, path: &str) -> Result<&Record, ApiError> {
        self.resources.get(path).ok_or_else(|| ApiError::not_found(path))
    }

    /// The resource at a path, if nothing is changing it just now.
    pub(crate) fn ready(&self, path: &str) -> Result<&Record, ApiError> {
        let record = self.get(path)?;
        if record.busy.is_some() { Err(ApiError::not_ready(path)) } else { Ok(record) }
    }

    /// The resource that a field of a request refers to: it has to be there, ready, and of that collection.
    pub(crate) fn refer(
        &self,
        project: &str,
        field: &str,
        reference: &str,
        collections: &[&str],
    ) -> Result<(String, &Record), ApiError> {
        let malformed = || ApiError::field(field, reference, "The URL is malformed.");
        let path = link::resolve(self, project, reference).ok_or_else(malformed)?;
        let parts = Parts::parse(&path).ok_or_else(malformed)?;
        if !collections.contains(&parts.collection.as_str()) {
            return Err(ApiError::field(
                field,
                reference,
                &format!("The referenced resource must be one of [{}].", collections.join(", ")),
            ));
        }
        match self.resources.get(&path) {
            Some(record) if record.busy.is_none() => Ok((path, record)),
            Some(_) => Err(ApiError::not_ready(&path)),
            None => Err(ApiError::not_found(&path)),
        }
    }

    /// Puts a new resource. It is not ready until `operation` is done.
    pub(crate) fn put(&mut self, path: &str, id: u64, body: Object, now: Timestamp) {
        let record =
            Record { id, created: now, busy: None, body, members: Vec::new(), marks: BTreeMap::new() };
        self.resources.insert(path.to_owned(), record);
    }
}

/// A bijection that makes a counter look like an id (the finalizer of splitmix64).
pub(crate) fn mix(counter: u64) -> u64 {
    let mut z = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A 64-bit hash that is the same in every process and release.
pub(crate) fn stable_hash(text: &str) -> u64 {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(text.as_bytes());
    digest.iter().take(8).fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
}

/// `at` and some seconds.
pub(crate) fn after(at: Timestamp, seconds: i64) -> Timestamp {
    at.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(at)
}

/// A time as compute v1 writes it: RFC 3339 with milliseconds, at Google's own offset.
pub(crate) fn stamp(at: Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(-8)))
        .strftime("%Y-%m-%dT%H:%M:%S.%3f%:z")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_64_bit_and_new() {
        let mut world = World::default();
        let ids: std::collections::BTreeSet<u64> = (0..1000).map(|_| world.fresh_id()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.to_string().len() == 19));
    }

    #[test]
    fn a_reset_world_gives_the_same_ids() {
        let (mut one, mut two) = (World::default(), World::default());
        assert_eq!(one.fresh_id(), two.fresh_id());
    }

    #[test]
    fn times_are_written_as_google_does() {
        assert_eq!(stamp(Timestamp::UNIX_EPOCH), "1969-12-31T16:00:00.000-08:00");
    }

    #[test]
    fn the_world_round_trips() {
        let world = World::default();
        let text = serde_json::to_string(&world).unwrap();
        let back: World = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), text);
    }
}
