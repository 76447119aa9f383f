//! The world of the ARM sandbox: groups, resources, connections and operations, as plain data.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::id::ResourceId;
use super::operation::Operation;
use crate::frame::Table;

/// Everything that the sandbox's ARM knows. `default()` is the documented default world.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct World {
    /// Resource groups, by [`super::id::group_key`].
    pub(crate) groups: BTreeMap<String, Group>,
    /// Top resources, by [`ResourceId::key`].
    pub(crate) resources: Table<Resource>,
    /// Private endpoint connections of private link services and of hosted services, by the connection's key.
    pub(crate) connections: Table<Connection>,
    /// Long operations, by id.
    pub(crate) operations: Table<Operation>,
    /// Which consumer has raised its request with which service: `subscription|service key|link guid`.
    pub(crate) requested: BTreeSet<String>,
    /// When the first request came: from then on the consumers of hosted services count.
    pub(crate) first_use: Option<Timestamp>,
}

impl Default for World {
    fn default() -> Self {
        super::default_world::world()
    }
}

/// A resource group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Group {
    /// Its subscription.
    pub(crate) subscription: String,
    /// Its name as it was first spelled.
    pub(crate) name: String,
    /// Where its own data lie.
    pub(crate) location: String,
    /// Its tags.
    pub(crate) tags: Value,
    /// Whether it is being deleted.
    pub(crate) deleting: bool,
}

/// ARM's `provisioningState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// Being created (the compute provider's word).
    Creating,
    /// Being created or changed.
    Updating,
    /// Being deleted.
    Deleting,
    /// Settled.
    Succeeded,
    /// The last write was canceled or failed: write it again.
    Failed,
}

impl State {
    /// ARM's spelling.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Updating => "Updating",
            Self::Deleting => "Deleting",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }
}

/// A top resource with the children that are part of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Resource {
    /// Its id in canonical spelling.
    pub(crate) id: ResourceId,
    /// Location, tags, sku, zones, properties: what was written, completed by defaults, without what is computed.
    pub(crate) body: Map<String, Value>,
    /// The GUID within the ETag.
    pub(crate) etag: String,
    /// `resourceGuid`.
    pub(crate) guid: String,
    /// The provisioning state.
    pub(crate) state: State,
    /// States of children (`subnets/lb`) that differ from the parent's.
    pub(crate) child_states: BTreeMap<String, State>,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// A scale set's machines.
    pub(crate) instances: Vec<Instance>,
    /// The resource that made this one and alone may delete it (the NIC of a private link service, say).
    pub(crate) managed_by: Option<String>,
}

/// One machine of a scale set.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Instance {
    /// `0`, `1` …
    pub(crate) id: String,
    /// The availability zone.
    pub(crate) zone: Option<String>,
    /// When it was asked for.
    pub(crate) created: Timestamp,
    /// When it runs.
    pub(crate) ready: Timestamp,
    /// Whether it has the scale set's present model.
    pub(crate) latest_model: bool,
    /// The network interface configurations that it was made with.
    pub(crate) profile: Value,
    /// The private address of each ip configuration, in the profile's order.
    pub(crate) addresses: Vec<String>,
    /// `vmId`.
    pub(crate) guid: String,
    /// Whether it is being deleted.
    pub(crate) deleting: bool,
}

/// What the provider has decided on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    /// Nobody has decided.
    Pending,
    /// Traffic may flow.
    Approved,
    /// Refused.
    Rejected,
    /// Removed by the provider; the consumer must make a new endpoint.
    Disconnected,
}

impl Status {
    /// ARM's spelling.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Approved => "Approved",
            Self::Rejected => "Rejected",
            Self::Disconnected => "Disconnected",
        }
    }

    /// Reads ARM's spelling without case.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Approved, Self::Rejected, Self::Disconnected]
            .into_iter()
            .find(|status| status.text().eq_ignore_ascii_case(text))
    }
}

/// A private endpoint's connection with a service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Connection {
    /// `…/privateEndpointConnections/NAME` under the service.
    pub(crate) id: ResourceId,
    /// The service.
    pub(crate) service: ResourceId,
    /// The private endpoint.
    pub(crate) endpoint: ResourceId,
    /// Where the endpoint is.
    pub(crate) location: String,
    /// `linkIdentifier`: what PROXY v2's TLV 0xEE carries.
    pub(crate) link: u64,
    /// The hosted service's subresources.
    pub(crate) groups: Vec<String>,
    /// The decision.
    pub(crate) status: Status,
    /// The decision that an operation is carrying out.
    pub(crate) deciding: Option<Status>,
    /// What was written with the decision, or with the request.
    pub(crate) description: String,
    /// Whether a write is going on.
    pub(crate) state: State,
    /// The GUID within the ETag.
    pub(crate) etag: String,
    /// When the request arrived.
    pub(crate) raised: Timestamp,
}

impl Resource {
    /// A settled resource.
    pub(crate) fn new(id: ResourceId, body: Map<String, Value>, now: Timestamp) -> Self {
        Self {
            id,
            body,
            etag: guid(),
            guid: guid(),
            state: State::Succeeded,
            child_states: BTreeMap::new(),
            created: now,
            instances: Vec::new(),
            managed_by: None,
        }
    }

    /// Whether it is of that type.
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.id.is(kind)
    }

    /// `eastus2`.
    pub(crate) fn location(&self) -> &str {
        self.body.get("location").and_then(Value::as_str).unwrap_or_default()
    }

    /// Its properties; `Null` when it has none.
    pub(crate) fn properties(&self) -> &Value {
        self.body.get("properties").unwrap_or(&Value::Null)
    }

    /// A list property's entries.
    pub(crate) fn list(&self, property: &str) -> &[Value] {
        self.properties()[property].as_array().map_or(&[], Vec::as_slice)
    }

    /// A named entry of a list property, without case.
    pub(crate) fn child(&self, property: &str, name: &str) -> Option<&Value> {
        self.list(property).iter().find(|child| named(child, name))
    }

    /// The state of a child.
    pub(crate) fn child_state(&self, segment: &str, name: &str) -> State {
        self.child_states.get(&child_key(segment, name)).copied().unwrap_or(State::Succeeded)
    }

    /// A tag's value; tag names match without case.
    pub(crate) fn tag(&self, name: &str) -> Option<&str> {
        let tags = self.body.get("tags")?.as_object()?;
        tags.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_str())
    }
}

/// Whether a child has that name, without case.
pub(crate) fn named(child: &Value, name: &str) -> bool {
    child["name"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(name))
}

/// What a child's state is found by.
pub(crate) fn child_key(segment: &str, name: &str) -> String {
    format!("{segment}/{name}").to_ascii_lowercase()
}

/// A new GUID.
pub(crate) fn guid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// That many sandbox seconds later.
pub(crate) fn later(now: Timestamp, seconds: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

impl World {
    /// A top resource.
    pub(crate) fn resource(&self, id: &ResourceId) -> Option<&Resource> {
        self.resources.get(&id.owner().key())
    }

    /// All resources of a type.
    pub(crate) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Resource> + 'a {
        self.resources.values().filter(move |resource| resource.is(kind))
    }

    /// A service's connections, whose keys begin with the service's.
    pub(crate) fn connections_of(&self, service: &ResourceId) -> impl Iterator<Item = &Connection> {
        let prefix = format!("{}/privateendpointconnections/", service.key());
        self.connections
            .iter()
            .filter(move |(key, _)| key.starts_with(&prefix))
            .map(|(_, connection)| connection)
    }

    /// The running operation on a resource or its children.
    pub(crate) fn running_on(&self, key: &str) -> Option<&Operation> {
        self.operations.values().find(|operation| !operation.done && operation.target == key)
    }
}
