//! Instance groups: unmanaged ones, and what shows of the managed ones.

use serde_json::{Value, json};

use super::super::body::{Body, Object};
use super::super::call::Call;
use super::super::error::{ApiError, Failure};
use super::super::world::{Effect, Member, Record, World};
use super::super::{link, list};
use super::{Made, instance};

pub(super) fn insert(mut body: Object) -> Result<Made, Failure> {
    if let Some(text) = body.text("network") {
        let url = if text.starts_with("projects/") { link::url(text) } else { text.to_owned() };
        body.insert("network".to_owned(), url.into());
    }
    Ok(Made { body, ..Made::default() })
}

/// A managed group's instance group goes with its manager only.
pub(super) fn check_delete(world: &World, path: &str) -> Result<(), ApiError> {
    match manager_of(world, path) {
        Some(manager) => Err(ApiError::in_use("instance_group", path, &manager)),
        None => Ok(()),
    }
}

fn manager_of(world: &World, group: &str) -> Option<String> {
    let manager = group.replace("/instanceGroups/", "/instanceGroupManagers/");
    world.resources.contains_key(&manager).then_some(manager)
}

/// `addInstances`, `removeInstances` and `setNamedPorts`.
pub(super) fn custom(world: &World, call: &Call, path: &str) -> Result<Vec<Effect>, Failure> {
    let record = world.get(path)?;
    if call.method.verb() == "setNamedPorts" {
        let mut body = record.body.clone();
        body.insert("namedPorts".to_owned(), json!(call.body.items("namedPorts")));
        return Ok(vec![Effect::Body { path: path.to_owned(), body }]);
    }
    if manager_of(world, path).is_some() {
        return Err(ApiError::invalid(format!(
            "Instances of the managed group '{path}' are changed by its manager."
        ))
        .into());
    }
    let adds = call.method.verb() == "addInstances";
    let mut members = Vec::new();
    for (index, given) in call.body.items("instances").iter().enumerate() {
        let at = format!("instances[{index}].instance");
        let reference =
            given.get("instance").and_then(Value::as_str).ok_or_else(|| ApiError::required(&at))?;
        let (instance, found) = world.refer(&call.project, &at, reference, &["instances"])?;
        if !instance.contains(&format!("/{}/", call.scope.segment())) {
            return Err(ApiError::field(&at, reference, "The instance must be in the group's zone.").into());
        }
        let present = record.members.iter().find(|member| member.instance == instance);
        match (adds, present) {
            (true, Some(_)) => {
                return Err(ApiError::invalid(format!(
                    "Resource '{instance}' is already a member of '{path}'."
                ))
                .into());
            }
            (true, None) => {
                same_network(world, record, found, path)?;
                members.push(Member { instance, address: None, port: None, since: call.now });
            }
            (false, Some(member)) => members.push(member.clone()),
            (false, None) => {
                return Err(
                    ApiError::invalid(format!("Resource '{instance}' is not a member of '{path}'.")).into()
                );
            }
        }
    }
    let path = path.to_owned();
    Ok(vec![if adds { Effect::Join { path, members } } else { Effect::Leave { path, members } }])
}

fn same_network(world: &World, group: &Record, machine: &Record, path: &str) -> Result<(), ApiError> {
    let network = |record: &Record| instance::interface(record).map(|(network, _, _)| network.to_owned());
    let first = group.members.first().and_then(|member| network(world.resources.get(&member.instance)?));
    match first {
        Some(first) if network(machine).as_deref() != Some(first.as_str()) => {
            Err(ApiError::invalid(format!("All instances of '{path}' must be in one network.")))
        }
        _ => Ok(()),
    }
}

/// The network and subnetwork of a group's first machine, as URLs.
pub(super) fn networks(world: &World, record: &Record) -> Option<(String, String)> {
    let machine = world.resources.get(&record.members.first()?.instance)?;
    instance::interface(machine).map(|(network, subnetwork, _)| (network.to_owned(), subnetwork.to_owned()))
}

pub(crate) fn show(world: &World, record: &Record, shown: &mut Object) {
    shown.insert("size".to_owned(), json!(record.members.len()));
    if let Some((network, subnetwork)) = networks(world, record) {
        shown.insert("network".to_owned(), network.into());
        shown.insert("subnetwork".to_owned(), subnetwork.into());
    }
}

pub(super) fn list_instances(world: &World, call: &Call) -> Result<Value, ApiError> {
    let path = call.target(world);
    let record = world.get(&path)?;
    let running_only = call.body.text("instanceState") == Some("RUNNING");
    let ports = record.body.items("namedPorts").to_vec();
    let items = record.members.iter().filter_map(|member| {
        let machine = world.resources.get(&member.instance)?;
        let status = instance::status(world, machine, call.now);
        if running_only && status != "RUNNING" {
            return None;
        }
        let mut item = Object::new();
        item.insert("instance".to_owned(), link::url(&member.instance).into());
        item.insert("status".to_owned(), status.into());
        if !ports.is_empty() {
            item.insert("namedPorts".to_owned(), json!(ports));
        }
        Some((member.instance.clone(), item))
    });
    let kind = if call.method.collection() == "instanceGroups" {
        "instanceGroupsListInstances"
    } else {
        "regionInstanceGroupsListInstances"
    };
    list::page(call, items.collect(), kind)
}
