//! What a type of resource is to the sandbox, and the rules that all types share: children, references, rendering.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::compute::{Machines, ScaleSets};
use super::error::ArmError;
use super::id::ResourceId;
use super::network::{
    LoadBalancers, NetworkInterfaces, NetworkSecurityGroups, PrivateEndpoints, PrivateLinkServices,
    PublicAddresses, VirtualNetworks,
};
use super::world::{Resource, State, World, named};

/// Children that are stored within their parent and have ids of their own.
#[derive(Debug)]
pub(crate) struct Children {
    /// The property that holds them.
    pub(crate) property: &'static str,
    /// The segment in their ids; for ARM's own types the same word.
    pub(crate) segment: &'static str,
    /// The model of a request that writes one by itself; `None` where only the parent is written.
    pub(crate) model: Option<&'static str>,
    /// `Subnet`, as in `PutSubnetOperation`.
    pub(crate) noun: &'static str,
    /// How long a new one takes, in sandbox seconds.
    pub(crate) seconds: i64,
}

/// How a write goes on after it was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// It is done: no operation (a NIC's first PUT, as recorded).
    AtOnce,
    /// An operation of that many sandbox seconds, during which the resource shows the state.
    Accepted(i64, State),
}

/// One PUT, as a type sees it.
pub(crate) struct Put<'a> {
    /// The world before it.
    pub(crate) world: &'a World,
    /// The resource as it is, if it is.
    pub(crate) old: Option<&'a Resource>,
    /// The id in the path.
    pub(crate) id: &'a ResourceId,
    /// Sandbox time.
    pub(crate) now: Timestamp,
}

/// A type of top resource.
pub(crate) trait Kind: Sync {
    /// `Microsoft.Network/virtualNetworks`.
    fn kind(&self) -> &'static str;

    /// The request's model.
    fn model(&self) -> &'static str;

    /// `VirtualNetwork`, as in `PutVirtualNetworkOperation`.
    fn noun(&self) -> &'static str;

    /// The children that are part of it.
    fn children(&self) -> &'static [Children] {
        &[]
    }

    /// Checks and completes a draft. `made` takes the resources that come into being with it, or change with it.
    fn complete(
        &self,
        put: &Put<'_>,
        draft: &mut Resource,
        made: &mut Vec<Resource>,
    ) -> Result<Work, ArmError>;

    /// Whether it can be deleted now.
    fn may_go(&self, world: &World, resource: &Resource) -> Result<(), ArmError>;

    /// Whether a child can be deleted now.
    fn child_may_go(&self, world: &World, child: &ResourceId) -> Result<(), ArmError> {
        let _ = (world, child);
        Ok(())
    }

    /// Adds what is computed to the properties of an answer.
    fn show(&self, world: &World, resource: &Resource, properties: &mut Map<String, Value>) {
        let _ = (world, resource, properties);
    }

    /// How long a deletion takes, in sandbox seconds.
    fn removal_seconds(&self) -> i64 {
        10
    }
}

static KINDS: [&dyn Kind; 9] = [
    &VirtualNetworks,
    &LoadBalancers,
    &NetworkInterfaces,
    &PublicAddresses,
    &NetworkSecurityGroups,
    &PrivateEndpoints,
    &PrivateLinkServices,
    &ScaleSets,
    &Machines,
];

/// The type with that name, without case.
pub(crate) fn kind_of(name: &str) -> Option<&'static dyn Kind> {
    KINDS.iter().copied().find(|kind| kind.kind().eq_ignore_ascii_case(name))
}

/// The children of a type that have that segment.
pub(crate) fn children_of(kind: &dyn Kind, segment: &str) -> Option<&'static Children> {
    kind.children().iter().find(|children| children.segment.eq_ignore_ascii_case(segment))
}

impl Put<'_> {
    /// A reference's target in canonical spelling. It has to exist (the draft's own children count) and to be settled.
    pub(crate) fn reference(
        &self,
        draft: &Resource,
        value: &Value,
        kind: &str,
    ) -> Result<ResourceId, ArmError> {
        let text = value["id"].as_str().unwrap_or_default();
        let id = ResourceId::parse(text).filter(|id| id.is(kind)).ok_or_else(|| malformed(text))?;
        let own = id.owner().key() == self.id.key();
        let holder = if own { Some(draft) } else { self.world.resource(&id) };
        let holder = holder.ok_or_else(|| ArmError::dangling(text, self.id))?;
        let (canonical, state) = canonical(holder, &id).ok_or_else(|| ArmError::dangling(text, self.id))?;
        if !own && state != State::Succeeded {
            let operation =
                self.world.running_on(&holder.id.key()).map_or("unknown", |running| running.name.as_str());
            return Err(ArmError::not_provisioned(&canonical.to_string(), self.id, state.text(), operation));
        }
        Ok(canonical)
    }

    /// Rewrites `holder[name]` as a checked `{"id": …}`; absent stays absent.
    pub(crate) fn link(
        &self,
        draft: &Resource,
        holder: &mut Value,
        name: &str,
        kind: &str,
    ) -> Result<(), ArmError> {
        if holder.get(name).is_none_or(Value::is_null) {
            return Ok(());
        }
        let id = self.reference(draft, &holder[name], kind)?;
        holder[name] = json!({"id": id.to_string()});
        Ok(())
    }

    /// The same for a list of references.
    pub(crate) fn links(
        &self,
        draft: &Resource,
        holder: &mut Value,
        name: &str,
        kind: &str,
    ) -> Result<(), ArmError> {
        let Some(list) = holder.get(name).and_then(Value::as_array).cloned() else { return Ok(()) };
        let checked: Result<Vec<Value>, ArmError> = list
            .iter()
            .map(|value| Ok(json!({"id": self.reference(draft, value, kind)?.to_string()})))
            .collect();
        holder[name] = Value::Array(checked?);
        Ok(())
    }
}

fn malformed(text: &str) -> ArmError {
    ArmError::invalid(
        "LinkedInvalidPropertyId",
        format!(
            "Property id '{text}' is invalid. Expect fully qualified resource Id that start with \
             '/subscriptions/{{subscriptionId}}' or '/providers/{{resourceProviderNamespace}}/'."
        ),
    )
}

/// The canonical id and state of a resource or of one of its children.
pub(crate) fn canonical(holder: &Resource, id: &ResourceId) -> Option<(ResourceId, State)> {
    let Some((segment, name)) = id.child_part() else { return Some((holder.id.clone(), holder.state)) };
    let children = children_of(kind_of(&holder.id.kind())?, segment)?;
    let child = holder.child(children.property, name)?;
    let known = child["name"].as_str().unwrap_or(name);
    let own = holder.child_state(children.segment, known);
    let state = if own == State::Succeeded { holder.state } else { own };
    Some((holder.id.child(children.segment, known), state))
}

/// A reference's id, for values that have been checked before.
pub(crate) fn linked(value: &Value) -> Option<ResourceId> {
    ResourceId::parse(value["id"].as_str()?)
}

/// The answer's body for a resource.
pub(crate) fn render(world: &World, resource: &Resource) -> Value {
    let mut body = resource.body.clone();
    let mut properties = match body.remove("properties") {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    properties.insert("provisioningState".into(), json!(resource.state.text()));
    if let Some(kind) = kind_of(&resource.id.kind()) {
        if kind.kind().starts_with("Microsoft.Network/") {
            properties.insert("resourceGuid".into(), json!(resource.guid));
            body.insert("etag".into(), json!(etag(resource)));
        }
        for children in kind.children() {
            let list = resource.list(children.property).iter();
            let rendered: Vec<Value> = list.map(|child| dress(resource, children, child)).collect();
            properties.insert(children.property.into(), Value::Array(rendered));
        }
        kind.show(world, resource, &mut properties);
    }
    super::hosted::show(world, resource, &mut properties);
    body.remove(super::compute::DIGEST);
    body.insert("id".into(), json!(resource.id.to_string()));
    body.insert("name".into(), json!(resource.id.name()));
    body.insert("type".into(), json!(resource.id.kind()));
    body.insert("properties".into(), Value::Object(properties));
    Value::Object(body)
}

/// A child with its id, ETag, type and state.
fn dress(resource: &Resource, children: &Children, child: &Value) -> Value {
    let mut child = child.clone();
    let name = child["name"].as_str().unwrap_or_default().to_owned();
    let own = resource.child_state(children.segment, &name);
    // A parent that is being written shows its children so; a NIC configuration of a service, and the request of an endpoint, are settled
    // at once (recorded).
    let settled = match children.segment {
        "ipConfigurations" => !resource.is("Microsoft.Network/networkInterfaces"),
        _ => resource.is("Microsoft.Network/privateEndpoints"),
    };
    let state = if own == State::Succeeded && !settled { resource.state } else { own };
    child["id"] = json!(resource.id.child(children.segment, &name).to_string());
    child["etag"] = json!(etag(resource));
    child["type"] = json!(format!("{}/{}", resource.id.kind(), children.segment));
    child["properties"]["provisioningState"] = json!(state.text());
    child
}

/// A rendered child, picked out of its rendered parent.
pub(crate) fn render_child(
    world: &World,
    resource: &Resource,
    children: &Children,
    name: &str,
) -> Option<Value> {
    let parent = render(world, resource);
    parent["properties"][children.property].as_array()?.iter().find(|child| named(child, name)).cloned()
}

/// `W/"GUID"`.
pub(crate) fn etag(resource: &Resource) -> String {
    format!("W/\"{}\"", resource.etag)
}
