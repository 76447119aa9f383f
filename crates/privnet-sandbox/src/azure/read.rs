//! GET: resources, children, collections, connections and operations.

use serde_json::{Value, json};

use super::compute::{
    catalogue, flexible_resource, flexible_resources, instance_view, machine_view, render_instance,
    render_instance_interface, render_instance_interfaces, set_view,
};
use super::connections::render_connection;
use super::error::ArmError;
use super::hosted::{self, hosted_kind};
use super::id::{ArmPath, ResourceId};
use super::kind::{children_of, etag, kind_of, render, render_child};
use super::network::{ServiceAccess, alias_of, members_of_pool};
use super::operation::{Effect, Operation};
use super::request::{Cx, is_operations};
use super::world::{Connection, Resource, World};
use super::write::shown;
use crate::frame::Answer;

const CONNECTIONS: &str = "privateEndpointConnections";
const SET: &str = "Microsoft.Compute/virtualMachineScaleSets";

/// Whether a resource has connections of its own.
pub(crate) fn has_connections(id: &ResourceId) -> bool {
    id.is("Microsoft.Network/privateLinkServices") || hosted_kind(&id.kind()).is_some()
}

/// A connection in its owner's form.
pub(crate) fn connection_body(connection: &Connection) -> Value {
    if connection.service.is("Microsoft.Network/privateLinkServices") {
        render_connection(connection)
    } else {
        hosted::render(connection)
    }
}

/// GET of anything under a resource provider.
pub(crate) fn get(world: &World, cx: &Cx<'_>, path: &ArmPath) -> Result<Answer, ArmError> {
    if let Some(answer) = catalogue(cx, path) {
        return answer;
    }
    match (path.resource(), path.tail.as_deref()) {
        (Some(id), None) if id.pairs.len() == 1 => {
            let flexible = || flexible_resource(world, &id, cx.now).map(|body| Answer::json(200, &body));
            let found = world.resource(&id).map(|found| expanded(world, cx, found)).or_else(flexible);
            found.ok_or_else(|| missing(world, &id))
        }
        (Some(id), None) => below(world, cx, &id),
        (Some(id), Some(tail)) => collection(world, cx, &id, tail),
        (None, Some(tail)) if tail.eq_ignore_ascii_case("autoApprovedPrivateLinkServices") => {
            Ok(auto_approved(world, cx, path))
        }
        (None, Some(_)) => list(world, cx, path),
        (None, None) => operation(world, cx, path),
    }
}

fn missing(world: &World, id: &ResourceId) -> ArmError {
    if world.groups.contains_key(&id.group_key()) {
        ArmError::not_found(id)
    } else {
        super::groups::group_not_found(&id.group)
    }
}

fn expanded(world: &World, cx: &Cx<'_>, resource: &Resource) -> Answer {
    let wants =
        cx.exchange.query_value("$expand").is_some_and(|word| word.eq_ignore_ascii_case("instanceView"));
    if wants && resource.is("Microsoft.Compute/virtualMachines") {
        let mut body = render(world, resource);
        body["properties"]["instanceView"] = machine_view(resource);
        return Answer::json(200, &body);
    }
    shown(world, resource)
}

/// A child: a connection, a part of its parent, a machine of a scale set or its network interface.
fn below(world: &World, cx: &Cx<'_>, id: &ResourceId) -> Result<Answer, ArmError> {
    let owner = world.resource(id).ok_or_else(|| missing(world, &id.owner()))?;
    if owner.is(SET) {
        return machine(owner, cx, id);
    }
    let (segment, name) = id.child_part().ok_or_else(|| ArmError::child_not_found(id))?;
    if segment.eq_ignore_ascii_case(CONNECTIONS) && has_connections(&owner.id) {
        let found = world.connections.get(&id.key()).ok_or_else(|| ArmError::child_not_found(id))?;
        return Ok(Answer::json(200, &connection_body(found)));
    }
    if segment.eq_ignore_ascii_case("privateLinkResources")
        && let Some(kind) = hosted_kind(&owner.id.kind())
    {
        let all = hosted::link_resources(&owner.id, kind);
        let found = all.into_iter().find(|resource| super::world::named(resource, name));
        return found.map(|body| Answer::json(200, &body)).ok_or_else(|| ArmError::child_not_found(id));
    }
    let kind = kind_of(&owner.id.kind()).ok_or_else(|| ArmError::child_not_found(id))?;
    let children = children_of(kind, segment).ok_or_else(|| ArmError::child_not_found(id))?;
    let body = render_child(world, owner, children, name).ok_or_else(|| ArmError::child_not_found(id))?;
    Ok(Answer::json(200, &body).with_header("etag", etag(owner)))
}

fn machine(set: &Resource, cx: &Cx<'_>, id: &ResourceId) -> Result<Answer, ArmError> {
    let not_found = || ArmError::not_found(id);
    let (_, number) =
        id.pairs.get(1).filter(|(s, _)| s.eq_ignore_ascii_case("virtualMachines")).ok_or_else(not_found)?;
    let instance = set.instances.iter().find(|instance| instance.id == *number).ok_or_else(not_found)?;
    if id.pairs.len() == 2 {
        let mut body = render_instance(set, instance, cx.now);
        if cx.exchange.query_value("$expand").is_some_and(|word| word.eq_ignore_ascii_case("instanceView")) {
            body["properties"]["instanceView"] = instance_view(instance, cx.now);
        }
        return Ok(Answer::json(200, &body));
    }
    let mut wanted = id.clone();
    wanted.pairs.truncate(3);
    let interface = render_instance_interface(set, &wanted, cx.now).ok_or_else(not_found)?;
    match id.pairs.get(3) {
        None => Ok(Answer::json(200, &interface)),
        Some((_, name)) => {
            let configs = interface["properties"]["ipConfigurations"].as_array().cloned().unwrap_or_default();
            let found = configs.into_iter().find(|config| super::world::named(config, name));
            found.map(|body| Answer::json(200, &body)).ok_or_else(not_found)
        }
    }
}

/// A collection that hangs on a resource.
fn collection(world: &World, cx: &Cx<'_>, id: &ResourceId, tail: &str) -> Result<Answer, ArmError> {
    let owner = world.resource(id).ok_or_else(|| missing(world, &id.owner()))?;
    let word = tail.to_ascii_lowercase();
    if owner.is(SET) {
        return set_collection(owner, cx, id, &word);
    }
    if word == "instanceview" && owner.is("Microsoft.Compute/virtualMachines") {
        return Ok(Answer::json(200, &machine_view(owner)));
    }
    if word == CONNECTIONS.to_ascii_lowercase() && has_connections(&owner.id) {
        if hosted_kind(&owner.id.kind()).is_some_and(|kind| !kind.lists) {
            return Err(ArmError::new(
                404,
                "InvalidResourceType",
                format!(
                    "The resource type '{tail}' of '{}' cannot be listed for api version '{}'.",
                    owner.id.kind(),
                    cx.version
                ),
            ));
        }
        let listed = world.connections_of(&owner.id).filter(|connection| cx.listed(connection.raised));
        return Ok(cx.page(listed.map(connection_body).collect()));
    }
    if word == "privatelinkresources"
        && let Some(kind) = hosted_kind(&owner.id.kind())
    {
        return Ok(cx.page(hosted::link_resources(&owner.id, kind)));
    }
    if word == "networkinterfaces" && owner.is("Microsoft.Network/loadBalancers") {
        return Ok(cx.page(interfaces_of_balancer(world, owner)));
    }
    let rendered = render(world, owner);
    let known =
        kind_of(&owner.id.kind()).and_then(|kind| children_of(kind, tail)).map(|children| children.property);
    let property = known.or_else(|| (word == "defaultsecurityrules").then_some("defaultSecurityRules"));
    let list = property.and_then(|property| rendered["properties"][property].as_array().cloned());
    list.map(|list| cx.page(list)).ok_or_else(|| {
        ArmError::new(
            404,
            "InvalidResourceType",
            format!("The resource type '{tail}' could not be found under '{}'.", owner.id.kind()),
        )
    })
}

fn interfaces_of_balancer(world: &World, balancer: &Resource) -> Vec<Value> {
    let mut seen: Vec<String> = Vec::new();
    for pool in balancer.list("backendAddressPools") {
        let id = balancer.id.child("backendAddressPools", pool["name"].as_str().unwrap_or_default());
        for member in members_of_pool(world, &id) {
            let key = member.interface.to_ascii_lowercase();
            if !seen.contains(&key) {
                seen.push(key);
            }
        }
    }
    seen.iter().filter_map(|key| world.resources.get(key)).map(|nic| render(world, nic)).collect()
}

fn set_collection(set: &Resource, cx: &Cx<'_>, id: &ResourceId, word: &str) -> Result<Answer, ArmError> {
    let not_found = || ArmError::not_found(id);
    let number = id.pairs.get(1).map(|(_, number)| number.as_str());
    let instance = match number {
        Some(number) => Some(set.instances.iter().find(|i| i.id == number).ok_or_else(not_found)?),
        None => None,
    };
    match (word, instance) {
        ("virtualmachines", None) => {
            let view = cx
                .exchange
                .query_value("$expand")
                .is_some_and(|word| word.eq_ignore_ascii_case("instanceView"));
            let machines = set.instances.iter().map(|instance| {
                let mut body = render_instance(set, instance, cx.now);
                if view {
                    body["properties"]["instanceView"] = instance_view(instance, cx.now);
                }
                body
            });
            Ok(cx.page(machines.collect()))
        }
        ("networkinterfaces", instance) => {
            Ok(cx.page(render_instance_interfaces(set, instance.map(|i| i.id.as_str()), cx.now)))
        }
        ("instanceview", None) => Ok(Answer::json(200, &set_view(set, cx.now))),
        ("instanceview", Some(instance)) => Ok(Answer::json(200, &instance_view(instance, cx.now))),
        _ => Err(not_found()),
    }
}

/// All resources of a type in a group or in a subscription.
fn list(world: &World, cx: &Cx<'_>, path: &ArmPath) -> Result<Answer, ArmError> {
    let subscription = path.subscription.clone().unwrap_or_default();
    if let Some(group) = &path.group
        && !world.groups.contains_key(&super::id::group_key(&subscription, group))
    {
        return Err(super::groups::group_not_found(group));
    }
    let kind = path.kind();
    if kind_of(&kind).is_none() && hosted_kind(&kind).is_none() {
        return Err(ArmError::new(
            404,
            "InvalidResourceType",
            format!("The resource type could not be found: '{kind}' for api version '{}'.", cx.version),
        ));
    }
    let within = |id: &ResourceId, created| {
        id.subscription.eq_ignore_ascii_case(&subscription)
            && path.group.as_ref().is_none_or(|group| id.group.eq_ignore_ascii_case(group))
            && cx.listed(created)
    };
    let own = world.of_kind(&kind).filter(|resource| within(&resource.id, resource.created));
    let mut all: Vec<Value> = own.map(|resource| render(world, resource)).collect();
    let of_sets = flexible_resources(world, &kind, cx.now).into_iter();
    all.extend(of_sets.filter(|(id, created, _)| within(id, *created)).map(|(_, _, body)| body));
    Ok(cx.page(all))
}

/// The aliases of the services that approve the subscription's endpoints by themselves.
fn auto_approved(world: &World, cx: &Cx<'_>, path: &ArmPath) -> Answer {
    let subscription = path.subscription.as_deref().unwrap_or_default();
    let services = world.of_kind("Microsoft.Network/privateLinkServices");
    let approving =
        services.filter(|service| ServiceAccess::of(service, subscription) == ServiceAccess::Approved);
    cx.page(approving.map(|service| json!({"privateLinkService": alias_of(service)})).collect())
}

/// Polling an operation: its status, or what comes of it.
fn operation(world: &World, cx: &Cx<'_>, path: &ArmPath) -> Result<Answer, ArmError> {
    let found = match path.pairs.as_slice() {
        [(locations, _), (collection, id)]
            if locations.eq_ignore_ascii_case("locations") && is_operations(collection) =>
        {
            world
                .operations
                .get(&id.to_ascii_lowercase())
                .map(|operation| (operation, collection.to_ascii_lowercase()))
        }
        _ => None,
    };
    let Some((operation, collection)) = found else {
        return Err(ArmError::new(404, "NotFound", "The operation was not found."));
    };
    let result = collection.ends_with("results") || cx.exchange.query_value("monitor").is_some();
    if result { outcome(world, cx, operation) } else { Ok(Answer::json(200, &operation.poll())) }
}

/// What `Location` answers: 202 while it runs, then 204 for what is gone, 200 for what is there, or the error.
fn outcome(world: &World, cx: &Cx<'_>, operation: &Operation) -> Result<Answer, ArmError> {
    if !operation.done {
        return Ok(cx.follow(Answer::empty(202), operation, true));
    }
    if let Some(error) = operation.error() {
        return Err(error);
    }
    if let Effect::Answer(body) = &operation.effect {
        return Ok(Answer::json(200, body));
    }
    let id = operation.result.as_deref().and_then(ResourceId::parse);
    let shown = id.as_ref().and_then(|id| below(world, cx, id).ok().filter(|_| id.pairs.len() > 1));
    let shown = shown.or_else(|| {
        id.and_then(|id| world.resource(&id).filter(|_| id.pairs.len() == 1).map(|r| shown_of(world, r)))
    });
    let gone =
        matches!(operation.effect, Effect::Remove | Effect::RemoveChild(..) | Effect::RemoveConnection(_));
    match shown {
        Some(answer) if !gone => Ok(answer),
        _ if operation.namespace.eq_ignore_ascii_case("Microsoft.Compute") => Ok(Answer::empty(200)),
        _ => Ok(cx.follow(Answer::empty(204), operation, true)),
    }
}

fn shown_of(world: &World, resource: &Resource) -> Answer {
    Answer::json(200, &render(world, resource))
}

/// `{"value": […]}` for what cannot be paged.
pub(crate) fn value(list: &[Value]) -> Answer {
    Answer::json(200, &json!({"value": list}))
}
