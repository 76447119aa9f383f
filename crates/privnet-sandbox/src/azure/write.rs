//! PUT, PATCH and DELETE of resources and of their children.

use serde_json::{Map, Value, json};

use super::connections::Request;
use super::error::ArmError;
use super::id::ResourceId;
use super::kind::{Children, Kind, Put, Work, children_of, etag, kind_of, render, render_child};
use super::models::canonical;
use super::network::{PrivateEndpoints, check_name};
use super::operation::{Begin, Effect};
use super::request::{Cx, begun};
use super::world::{Resource, State, World, child_key, guid, named};
use crate::frame::Answer;

/// The type of a top resource, or ARM's words for one that is not there.
fn kind_or_error(cx: &Cx<'_>, id: &ResourceId) -> Result<&'static dyn Kind, ArmError> {
    kind_of(&id.owner().kind()).ok_or_else(|| unsupported(cx, id))
}

fn unsupported(cx: &Cx<'_>, id: &ResourceId) -> ArmError {
    let kind = id.kind();
    let (namespace, segment) = kind.split_once('/').unwrap_or((&kind, ""));
    if super::hosted::hosted_kind(&id.owner().kind()).is_some() {
        return ArmError::new(
            405,
            "MethodNotAllowed",
            format!("The sandbox does not model {} of '{kind}'.", cx.exchange.method),
        );
    }
    ArmError::new(
        404,
        "InvalidResourceType",
        format!(
            "The resource type '{segment}' could not be found in the namespace '{namespace}' for api version '{}'.",
            cx.version
        ),
    )
}

fn check_group(world: &World, id: &ResourceId) -> Result<(), ArmError> {
    match world.groups.get(&id.group_key()) {
        None => Err(super::groups::group_not_found(&id.group)),
        Some(group) if group.deleting => Err(ArmError::new(
            409,
            "ResourceGroupBeingDeleted",
            format!(
                "The resource group '{}' is in deprovisioning state and cannot perform this operation.",
                id.group
            ),
        )),
        Some(_) => Ok(()),
    }
}

/// Microsoft, "Use tags to organize your Azure resources: Limitations".
fn check_tags(body: &Map<String, Value>) -> Result<(), ArmError> {
    let Some(tags) = body.get("tags").and_then(Value::as_object) else { return Ok(()) };
    if let Some(bad) = tags.keys().find(|name| name.is_empty() || name.len() > 512 || name.contains(RESERVED))
    {
        return Err(ArmError::invalid(
            "InvalidTagNameCharacters",
            format!("The tag names '{bad}' have reserved characters '<,>,%,&,\\,?,/' or control characters."),
        ));
    }
    match tags.values().filter_map(Value::as_str).find(|value| value.len() > 256) {
        Some(long) => Err(ArmError::invalid(
            "InvalidTagValueLength",
            format!(
                "Tag value too large. Following tag value '{long}' exceeded the maximum length. Maximum allowed length for tag \
                 value - '256' characters."
            ),
        )),
        None => Ok(()),
    }
}

/// What a tag's name must not have.
const RESERVED: [char; 7] = ['<', '>', '%', '&', '\\', '?', '/'];

/// `eastus2` for "East US 2".
fn location_of(body: &Map<String, Value>) -> Option<String> {
    let text = body.get("location")?.as_str()?;
    Some(text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase())
}

/// PUT of a top resource.
pub(crate) fn put(world: &mut World, cx: &Cx<'_>, id: &ResourceId) -> Result<Answer, ArmError> {
    let kind = kind_or_error(cx, id)?;
    check_group(world, id)?;
    check_name(id.name())?;
    let body = canonical(kind.model(), &cx.json()?)?;
    store(world, cx, kind, id, body)
}

/// PATCH: the network provider takes tags alone and is done at once; the compute provider merges.
pub(crate) fn patch(world: &mut World, cx: &Cx<'_>, id: &ResourceId) -> Result<Answer, ArmError> {
    let kind = kind_or_error(cx, id)?;
    let old = world.resource(id).cloned().ok_or_else(|| ArmError::not_found(id))?;
    cx.precondition(Some(&old))?;
    if kind.kind().starts_with("Microsoft.Network/") {
        let body = cx.json()?;
        let Some(tags) = body.get("tags").filter(|tags| tags.is_object()) else {
            return Err(ArmError::unreadable("Required property 'tags' not found in JSON."));
        };
        if let Some(resource) = world.resources.get_mut(&old.id.key()) {
            resource.body.insert("tags".into(), tags.clone());
            resource.etag = guid();
        }
        let shown = world.resource(id).map(|resource| render(world, resource)).unwrap_or_default();
        return Ok(Answer::json(200, &shown));
    }
    let mut merged = Value::Object(old.body.clone());
    merge(&mut merged, &Value::Object(canonical(kind.model(), &cx.json()?)?));
    let body = merged.as_object().cloned().unwrap_or_default();
    store(world, cx, kind, &old.id, body)
}

fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (name, value) in over {
                merge(base.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

/// Where a resource is to be; one that is there does not move.
fn location_for(
    body: &Map<String, Value>,
    old: Option<&Resource>,
    id: &ResourceId,
) -> Result<String, ArmError> {
    let location = location_of(body).ok_or_else(|| {
        ArmError::invalid("LocationRequired", "The location property is required for this definition.")
    })?;
    match old.filter(|old| old.location() != location) {
        None => Ok(location),
        Some(old) => Err(ArmError::new(
            409,
            "InvalidResourceLocation",
            format!(
                "The resource '{}' already exists in location '{}' in resource group '{}'. A resource with the same name \
                 cannot be created in location '{location}'. Please select a new resource name.",
                id.name(),
                old.location(),
                id.group
            ),
        )),
    }
}

fn store(
    world: &mut World,
    cx: &Cx<'_>,
    kind: &'static dyn Kind,
    id: &ResourceId,
    mut body: Map<String, Value>,
) -> Result<Answer, ArmError> {
    let old = world.resource(id).cloned();
    cx.precondition(old.as_ref())?;
    body.remove("id");
    body.remove("name");
    let location = location_for(&body, old.as_ref(), id)?;
    body.insert("location".into(), json!(location));
    check_tags(&body)?;
    let mut draft = match &old {
        Some(old) => Resource { body, ..old.clone() },
        None => Resource::new(canonical_id(world, kind, id), body, cx.now),
    };
    let own = draft.id.clone();
    let put = Put { world, old: old.as_ref(), id: &own, now: cx.now };
    let mut made = Vec::new();
    let work = unchanged(kind.complete(&put, &mut draft, &mut made)?, old.as_ref(), &draft);
    let wanted = if old.is_none() && kind.noun() == "PrivateEndpoint" {
        PrivateEndpoints::wanted_by(&put, &draft)
    } else {
        None
    };
    let name = format!("Put{}Operation", kind.noun());
    world.claim(&own.key(), &name, &cx.base, cx.now)?;
    if let Some((wanted, groups, message)) = wanted {
        let location = draft.location().to_owned();
        let request = Request {
            service: wanted.service,
            endpoint: own.clone(),
            location,
            groups,
            message,
            status: wanted.status,
        };
        world.raise(request, cx.now);
    }
    for part in made {
        world.resources.insert(part.id.key(), part);
    }
    commit(world, cx, draft, work, name, old.is_none())
}

/// Recorded: a write that changes no property is `Succeeded` at once, with an operation all the same.
fn unchanged(work: Work, old: Option<&Resource>, draft: &Resource) -> Work {
    match (work, old) {
        (Work::Accepted(..), Some(old))
            if old.state == State::Succeeded
                && old.child_states.is_empty()
                && old.id.namespace == "Microsoft.Network"
                && old.properties() == draft.properties() =>
        {
            Work::Accepted(2, State::Succeeded)
        }
        (work, _) => work,
    }
}

fn canonical_id(world: &World, kind: &dyn Kind, id: &ResourceId) -> ResourceId {
    let group = world.groups.get(&id.group_key()).map_or(id.group.as_str(), |group| group.name.as_str());
    ResourceId::top(&id.subscription.to_ascii_lowercase(), group, kind.kind(), id.name())
}

fn commit(
    world: &mut World,
    cx: &Cx<'_>,
    mut draft: Resource,
    work: Work,
    name: String,
    new: bool,
) -> Result<Answer, ArmError> {
    let status = if new { 201 } else { 200 };
    let (id, location) = (draft.id.clone(), draft.location().to_owned());
    draft.etag = guid();
    draft.child_states.clear();
    draft.state = match work {
        Work::AtOnce => State::Succeeded,
        Work::Accepted(_, state) => state,
    };
    // A write that changes nothing of its own changes nothing of others.
    if new || work != Work::Accepted(2, State::Succeeded) {
        world.touch(&draft);
    }
    world.resources.insert(id.key(), draft);
    let operation = match work {
        Work::AtOnce => None,
        Work::Accepted(seconds, _) => Some(
            world.begin(Begin { name, id: &id, location, seconds, effect: Effect::Settle(None) }, cx.now),
        ),
    };
    let shown = world.resource(&id).map(|resource| render(world, resource)).unwrap_or_default();
    let answer = Answer::json(status, &shown);
    match operation {
        Some(operation) => Ok(cx.follow(answer, begun(world, &operation)?, false)),
        None => Ok(answer),
    }
}

/// PUT of a child that can be written by itself.
pub(crate) fn put_child(world: &mut World, cx: &Cx<'_>, id: &ResourceId) -> Result<Answer, ArmError> {
    let kind = kind_or_error(cx, id)?;
    check_group(world, id)?;
    let (children, model, name) = writable(cx, kind, id)?;
    check_name(&name)?;
    let Some(parent) = world.resource(id).cloned() else { return Err(no_parent(id)) };
    cx.precondition(Some(&parent).filter(|parent| parent.child(children.property, &name).is_some()))?;
    let mut child = canonical(model, &cx.json()?)?;
    child.remove("id");
    let mut draft = parent.clone();
    let known =
        parent.child(children.property, &name).and_then(|child| child["name"].as_str()).map(str::to_owned);
    child.insert("name".into(), json!(known.clone().unwrap_or_else(|| name.clone())));
    place(&mut draft, children.property, Value::Object(child));
    let mut made = Vec::new();
    let put = Put { world, old: Some(&parent), id: &parent.id, now: cx.now };
    kind.complete(&put, &mut draft, &mut made)?;
    let operation = format!("Put{}Operation", children.noun);
    world.claim(&parent.id.key(), &operation, &cx.base, cx.now)?;
    let key = child_key(children.segment, &name);
    if let Some(now) = world.resource(&parent.id) {
        // A write that this one has overtaken has left its mark.
        draft.child_states = now.child_states.clone();
        draft.state = now.state;
    }
    if draft.properties() != parent.properties()
        || parent.child_state(children.segment, &name) != State::Succeeded
    {
        draft.child_states.insert(key.clone(), State::Updating);
    }
    draft.etag = guid();
    let (top, location) = (draft.id.clone(), draft.location().to_owned());
    world.resources.insert(top.key(), draft);
    let own = top.child(children.segment, known.as_deref().unwrap_or(&name));
    let seconds = if known.is_some() { children.seconds.min(2) } else { children.seconds };
    let begin = Begin { name: operation, id: &own, location, seconds, effect: Effect::Settle(Some(key)) };
    let operation = world.begin(begin, cx.now);
    let shown = world
        .resource(&top)
        .and_then(|parent| render_child(world, parent, children, &name))
        .unwrap_or_default();
    let answer = Answer::json(if known.is_some() { 200 } else { 201 }, &shown);
    Ok(cx.follow(answer, begun(world, &operation)?, false))
}

fn place(draft: &mut Resource, property: &str, child: Value) {
    let name = child["name"].as_str().unwrap_or_default().to_owned();
    let properties = draft.body.entry("properties").or_insert_with(|| json!({}));
    let list = &mut properties[property];
    if !list.is_array() {
        *list = json!([]);
    }
    let Some(list) = list.as_array_mut() else { return };
    match list.iter_mut().find(|known| named(known, &name)) {
        Some(known) => *known = child,
        None => list.push(child),
    }
}

fn writable(
    cx: &Cx<'_>,
    kind: &'static dyn Kind,
    id: &ResourceId,
) -> Result<(&'static Children, &'static str, String), ArmError> {
    let (segment, name) = id.child_part().ok_or_else(|| unsupported(cx, id))?;
    let children = children_of(kind, segment).ok_or_else(|| unsupported(cx, id))?;
    let model = children.model.ok_or_else(|| {
        ArmError::new(
            405,
            "MethodNotAllowed",
            format!("The requested resource does not support http method '{}'.", cx.exchange.method),
        )
    })?;
    Ok((children, model, name.to_owned()))
}

fn no_parent(id: &ResourceId) -> ArmError {
    let kind = id.kind();
    let segment = kind.split_once('/').map_or("", |(_, segment)| segment);
    ArmError::new(
        404,
        "ParentResourceNotFound",
        format!(
            "Failed to perform 'write' on resource(s) of type '{segment}', because the parent resource '{}' could not be found.",
            id.owner()
        ),
    )
}

/// DELETE of a top resource.
pub(crate) fn delete(world: &mut World, cx: &Cx<'_>, id: &ResourceId) -> Result<Answer, ArmError> {
    let kind = kind_or_error(cx, id)?;
    check_group(world, id)?;
    let Some(resource) = world.resource(id).cloned() else { return Ok(Answer::empty(204)) };
    cx.precondition(Some(&resource))?;
    let key = resource.id.key();
    if let Some(running) = world.running_on(&key)
        && running.effect == Effect::Remove
    {
        return Ok(cx.follow(Answer::empty(202), running, true));
    }
    kind.may_go(world, &resource)?;
    let name = format!("Delete{}Operation", kind.noun());
    world.claim(&key, &name, &cx.base, cx.now)?;
    if let Some(resource) = world.resources.get_mut(&key) {
        resource.state = State::Deleting;
        resource.etag = guid();
    }
    let location = resource.location().to_owned();
    let begin =
        Begin { name, id: &resource.id, location, seconds: kind.removal_seconds(), effect: Effect::Remove };
    let operation = world.begin(begin, cx.now);
    Ok(cx.follow(Answer::empty(202), begun(world, &operation)?, true))
}

/// DELETE of a child.
pub(crate) fn delete_child(world: &mut World, cx: &Cx<'_>, id: &ResourceId) -> Result<Answer, ArmError> {
    let kind = kind_or_error(cx, id)?;
    check_group(world, id)?;
    let (children, _, name) = writable(cx, kind, id)?;
    let Some(parent) = world.resource(id).cloned() else { return Ok(Answer::empty(204)) };
    if parent.child(children.property, &name).is_none() {
        return Ok(Answer::empty(204));
    }
    let own = parent.id.child(children.segment, &name);
    kind.child_may_go(world, &own)?;
    let operation = format!("Delete{}Operation", children.noun);
    world.claim(&parent.id.key(), &operation, &cx.base, cx.now)?;
    if let Some(resource) = world.resources.get_mut(&parent.id.key()) {
        resource.child_states.insert(child_key(children.segment, &name), State::Deleting);
        resource.etag = guid();
    }
    let effect = Effect::RemoveChild(children.property.to_owned(), children.segment.to_owned(), name);
    let location = parent.location().to_owned();
    let operation = world.begin(Begin { name: operation, id: &own, location, seconds: 6, effect }, cx.now);
    Ok(cx.follow(Answer::empty(202), begun(world, &operation)?, true))
}

/// A resource's answer with its ETag header, as the network provider gives it.
pub(crate) fn shown(world: &World, resource: &Resource) -> Answer {
    let answer = Answer::json(200, &render(world, resource));
    if resource.id.namespace.eq_ignore_ascii_case("Microsoft.Network") {
        answer.with_header("etag", etag(resource))
    } else {
        answer
    }
}
