//! What each kind of resource does with a request, and what all kinds have in common: insertion, change, deletion,
//! fingerprints, operations.

pub(crate) mod address;
pub(crate) mod attachment;
pub(crate) mod backend;
pub(crate) mod balance;
pub(crate) mod catalog;
pub(crate) mod firewall;
pub(crate) mod group;
pub(crate) mod health;
pub(crate) mod health_check;
pub(crate) mod instance;
pub(crate) mod manager;
pub(crate) mod neg;
pub(crate) mod network;
pub(crate) mod rule;
pub(crate) mod subnetwork;
pub(crate) mod template;

use serde_json::Value;

use super::body::{Body, Object, merge};
use super::call::Call;
use super::error::{ApiError, Failure, OperationError};
use super::link::{self, Scope};
use super::operation::{self, Start};
use super::world::{Effect, Member, World};
use super::{list, references, view};

/// A resource that an insertion makes.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) body: Object,
    pub(crate) members: Vec<Member>,
}

/// Answers a request that changes nothing.
pub(crate) fn read(world: &World, call: &Call) -> Result<Value, ApiError> {
    match (call.method.collection(), call.method.verb()) {
        ("projects" | "zones" | "regions" | "machineTypes", _) => catalog::read(world, call),
        ("images", "getFromFamily") => catalog::image_of_family(world, call),
        (_, "list" | "aggregatedList" | "listUsable") => list::answer(world, call),
        ("zoneOperations" | "regionOperations" | "globalOperations", _) => {
            let (_, found) = operation::find(world, &call.target(world))?;
            Ok(operation::render(found, call.now))
        }
        (_, "getHealth") => health::of_group(world, call),
        (_, "listNetworkEndpoints") => neg::list_endpoints(world, call),
        (_, "listInstances") => group::list_instances(world, call),
        (_, "listManagedInstances") => manager::list_managed(world, call),
        (_, "listErrors") => manager::list_errors(world, call),
        _ => {
            let path = call.target(world);
            let record = world.get(&path)?;
            Ok(Value::Object(view::resource(world, &path, record, call)))
        }
    }
}

/// Answers a request that changes something: an operation.
pub(crate) fn write(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    if let Some(id) = call.query("requestId")
        && let Some(earlier) = operation::of_request(world, &call.project, id)
    {
        return Ok(operation::render(earlier, call.now));
    }
    let collection = call.collection();
    if collection == "operations" {
        let path = operation::find(world, &call.target(world))?.0;
        world.operations.remove(&path);
        world.running.retain(|running| *running != path);
        return Ok(Value::Object(Object::new()));
    }
    match call.method.verb() {
        "insert" => insert(world, call),
        "delete" => delete(world, call),
        "patch" | "update" => change(world, call),
        "setLabels" => set_labels(world, call),
        _ => custom(world, call),
    }
}

fn insert(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let mut body = call.body.clone();
    view::strip(&mut body);
    let name = body.text("name").ok_or_else(|| ApiError::required("resource.name"))?.to_owned();
    let path = format!("{}/{name}", call.parent());
    if world.resources.contains_key(&path) {
        return Err(ApiError::already_exists(&path));
    }
    catalog::within_quota(world, call)?;
    let made = match call.collection() {
        "networks" => network::insert(body),
        "subnetworks" => subnetwork::insert(world, call, body),
        "firewalls" => firewall::insert(world, call, body),
        "networkEndpointGroups" => neg::insert(world, call, body),
        "instanceGroups" => group::insert(body),
        "instanceTemplates" => template::insert(world, call, body),
        "instanceGroupManagers" => manager::insert(world, call, body),
        "instances" => instance::insert(world, call, body),
        "healthChecks" => health_check::insert(body),
        "backendServices" => backend::insert(world, call, body),
        "addresses" => address::insert(world, call, body),
        "forwardingRules" => rule::insert(world, call, body),
        "serviceAttachments" => attachment::insert(world, call, body),
        _ => Err(ApiError::not_served("POST", &call.parent()).into()),
    };
    let id = world.fresh_id();
    let error = match made {
        Err(Failure::Now(error)) => return Err(error),
        Err(Failure::Later(error)) => Some(error),
        Ok(made) => {
            let mut body = made.body;
            view::place(&mut body, call);
            world.put(&path, id, body, call.now);
            if let Some(record) = world.resources.get_mut(&path) {
                record.members = made.members;
            }
            if call.collection() == "instanceGroupManagers" {
                manager::put_group(world, call, &path);
            }
            None
        }
    };
    Ok(begin(world, call, "insert", &path, id, Vec::new(), error))
}

fn delete(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let path = call.target(world);
    let record = world.ready(&path)?;
    let id = record.id;
    let mut effects = vec![Effect::Remove { path: path.clone() }];
    let mut error = None;
    match call.collection() {
        "instances" => instance::check_delete(record, &path)?,
        "instanceGroups" => group::check_delete(world, &path)?,
        "instanceGroupManagers" => effects.extend(manager::check_delete(world, &path)?),
        _ => {}
    }
    if let Some(user) = references::user(world, &path) {
        let noun = references::noun(call.collection());
        // Recorded: a network's deletion is taken and then fails. The others are refused at once.
        if call.collection() != "networks" {
            return Err(ApiError::in_use(noun, &path, &user));
        }
        error = Some(OperationError::in_use(noun, &path, &user));
    }
    Ok(begin(world, call, "delete", &path, id, effects, error))
}

/// PATCH merges, PUT replaces. Both keep what only the server sets.
fn change(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let path = call.target(world);
    let record = world.ready(&path)?;
    let (id, old) = (record.id, record.body.clone());
    let demanded = matches!(call.collection(), "subnetworks" | "backendServices" | "serviceAttachments");
    view::check_fingerprint(record, &call.body, demanded)?;
    let mut given = call.body.clone();
    view::strip(&mut given);
    let mut new = if call.method.verb() == "patch" { old.clone() } else { Object::new() };
    merge(&mut new, &given);
    for kept in ["name", "region", "zone"] {
        if let Some(value) = old.get(kept) {
            if given.text(kept).is_some_and(|name| kept == "name" && Some(name) != value.as_str()) {
                return Err(ApiError::field(
                    "resource.name",
                    given.text(kept).unwrap_or_default(),
                    "The name cannot be changed.",
                ));
            }
            new.insert(kept.to_owned(), value.clone());
        }
    }
    let made = match call.collection() {
        "networks" => network::change(&old, new),
        "subnetworks" => subnetwork::change(&old, new),
        "firewalls" => firewall::change(world, call, &old, new),
        "healthChecks" => health_check::change(&old, new),
        "backendServices" => backend::change(world, call, &old, new),
        "forwardingRules" => rule::change(&old, new),
        "serviceAttachments" => attachment::change(world, call, &path, &given, &old, new),
        "instanceGroupManagers" => manager::change(world, call, &old, new),
        _ => Err(ApiError::not_served("PATCH", &path).into()),
    };
    let kind = match (call.collection(), call.method.verb()) {
        ("networks", _) => "updateNetwork",
        ("subnetworks", _) => "compute.subnetworks.patch",
        (_, verb) => verb,
    };
    let (effects, error) = match made {
        Err(Failure::Now(error)) => return Err(error),
        Err(Failure::Later(error)) => (Vec::new(), Some(error)),
        Ok(body) => (vec![Effect::Body { path: path.clone(), body }], None),
    };
    Ok(begin(world, call, kind, &path, id, effects, error))
}

fn set_labels(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let path = call.target(world);
    let record = world.ready(&path)?;
    let current = view::label_fingerprint(&record.body);
    if call.body.text("labelFingerprint") != Some(current.as_str()) {
        return Err(ApiError::condition_not_met("labelFingerprint"));
    }
    let labels = call.body.get("labels").cloned().unwrap_or_else(|| Object::new().into());
    view::check_labels(&labels)?;
    let (id, mut body) = (record.id, record.body.clone());
    body.insert("labels".to_owned(), labels);
    let effects = vec![Effect::Body { path: path.clone(), body }];
    Ok(begin(world, call, "setLabels", &path, id, effects, None))
}

fn custom(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let path = call.target(world);
    let id = world.ready(&path)?.id;
    let verb = call.method.verb();
    let effects = match (call.collection(), verb) {
        ("subnetworks", _) => subnetwork::custom(world, call, &path),
        ("networkEndpointGroups", _) => neg::custom(world, call, &path),
        ("instanceGroups", _) => group::custom(world, call, &path),
        ("instanceGroupManagers", _) => manager::custom(world, call, &path),
        ("instances", _) => instance::custom(world, call, &path),
        ("forwardingRules", _) => rule::set_target(world, &path),
        _ => Err(ApiError::not_served("POST", &path).into()),
    };
    let plain =
        matches!(verb, "attachNetworkEndpoints" | "detachNetworkEndpoints" | "start" | "stop" | "setTags");
    let kind = if plain { verb.to_owned() } else { format!("compute.{}.{verb}", call.collection()) };
    match effects {
        Err(Failure::Now(error)) => Err(error),
        Err(Failure::Later(error)) => Ok(begin(world, call, &kind, &path, id, Vec::new(), Some(error))),
        Ok(effects) => Ok(begin(world, call, &kind, &path, id, effects, None)),
    }
}

fn begin(
    world: &mut World,
    call: &Call,
    kind: &str,
    target: &str,
    target_id: u64,
    effects: Vec<Effect>,
    error: Option<OperationError>,
) -> Value {
    let start = Start {
        project: &call.project,
        scope: &call.scope,
        kind,
        target,
        target_id,
        seconds: seconds(call.collection(), call.method.verb()),
        effects,
        error,
        request_id: call.query("requestId").map(str::to_owned),
    };
    let path = operation::start(world, start, call.now);
    world.operations.get(&path).map_or(Value::Null, |operation| operation::render(operation, call.now))
}

/// How long operations usually take.
fn seconds(collection: &str, verb: &str) -> i64 {
    match (collection, verb) {
        ("networks", "insert" | "delete") => 20,
        ("subnetworks", "insert" | "delete") => 15,
        ("serviceAttachments", "insert" | "delete") => 20,
        ("serviceAttachments", _) => 12,
        ("forwardingRules", "insert" | "delete") => 12,
        ("instances", "delete" | "stop") => 40,
        ("instances", "insert" | "start") => 10,
        ("instanceGroupManagers", "delete") => 45,
        ("backendServices" | "networkEndpointGroups", "insert" | "delete") => 8,
        (_, "setLabels") => 2,
        _ => 5,
    }
}

/// The region that a call is in, also when it is in one of its zones.
pub(crate) fn region(call: &Call) -> &str {
    match &call.scope {
        Scope::Region(region) => region,
        Scope::Zone(zone) => link::region_of(zone),
        Scope::Global => "",
    }
}

/// Refuses a change of any of `fields`.
pub(crate) fn immutable(old: &Object, new: &Object, fields: &[&str]) -> Result<(), ApiError> {
    for field in fields {
        let absent = |body: &Object| !body.has(field) || body.get(*field) == Some(&Value::Bool(false));
        if old.get(*field) != new.get(*field) && !(absent(old) && absent(new)) {
            let shown = new.get(*field).map(ToString::to_string).unwrap_or_default();
            return Err(ApiError::field(
                &format!("resource.{field}"),
                &shown,
                "The field cannot be changed.",
            ));
        }
    }
    Ok(())
}
