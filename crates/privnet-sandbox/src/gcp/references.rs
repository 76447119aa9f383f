//! Which resources need which: what makes a deletion fail because of another resource.

use serde_json::Value;

use super::body::{Body, Object};
use super::link::{self, Parts};
use super::world::{Effect, World};

/// What a resource refers to, by collection, as JSON pointers; `*` is every item of an array.
const FIELDS: [(&str, &[&str]); 9] = [
    ("subnetworks", &["network"]),
    ("firewalls", &["network"]),
    ("networkEndpointGroups", &["network", "subnetwork"]),
    ("instances", &["networkInterfaces/*/network", "networkInterfaces/*/subnetwork"]),
    ("instanceGroupManagers", &["instanceTemplate", "versions/*/instanceTemplate"]),
    ("backendServices", &["healthChecks/*", "backends/*/group"]),
    ("forwardingRules", &["backendService", "network", "subnetwork"]),
    ("addresses", &["network", "subnetwork"]),
    ("serviceAttachments", &["targetService", "natSubnets/*"]),
];

/// The paths that a body of that collection refers to.
pub(crate) fn of(collection: &str, body: &Object) -> Vec<String> {
    let Some((_, fields)) = FIELDS.iter().find(|(name, _)| *name == collection) else { return Vec::new() };
    let mut found = Vec::new();
    for field in *fields {
        collect(&Value::Object(body.clone()), &field.split('/').collect::<Vec<_>>(), &mut found);
    }
    found
}

fn collect(value: &Value, steps: &[&str], found: &mut Vec<String>) {
    match (steps, value) {
        ([], Value::String(text)) => found.push(link::path(text).to_owned()),
        (["*", rest @ ..], Value::Array(items)) => items.iter().for_each(|item| collect(item, rest, found)),
        ([name, rest @ ..], Value::Object(members)) => {
            if let Some(member) = members.get(*name) {
                collect(member, rest, found);
            }
        }
        _ => {}
    }
}

/// A resource that needs the one at `path`, if there is any; changes that are under way count.
pub(crate) fn user(world: &World, path: &str) -> Option<String> {
    let refers = |user: &str, body: &Object| {
        Parts::parse(user).is_some_and(|parts| of(&parts.collection, body).iter().any(|used| used == path))
    };
    let stored = world
        .resources
        .iter()
        .find(|(user, record)| refers(user, &record.body))
        .map(|(user, _)| user.clone());
    stored
        .or_else(|| {
            world
                .running
                .iter()
                .filter_map(|running| world.operations.get(running))
                .flat_map(|operation| &operation.effects)
                .find_map(|effect| match effect {
                    Effect::Body { path: user, body } if refers(user, body) => Some(user.clone()),
                    _ => None,
                })
        })
        .or_else(|| address_user(world, path))
}

/// A forwarding rule takes an address by its value.
fn address_user(world: &World, path: &str) -> Option<String> {
    let parts = Parts::parse(path).filter(|parts| parts.collection == "addresses")?;
    let value = world.resources.get(path)?.body.text("address")?.to_owned();
    world
        .collection(&parts.project, "forwardingRules")
        .find(|(_, rule, _)| rule.body.text("IPAddress") == Some(value.as_str()))
        .map(|(user, _, _)| user.clone())
}

/// What messages call a resource of that collection.
pub(crate) fn noun(collection: &str) -> &'static str {
    match collection {
        "networks" => "network",
        "subnetworks" => "subnetwork",
        "addresses" => "address",
        "healthChecks" => "health_check",
        "backendServices" => "backend_service",
        "forwardingRules" => "forwarding_rule",
        "networkEndpointGroups" => "network_endpoint_group",
        "instanceGroups" => "instance_group",
        "instanceGroupManagers" => "instance_group_manager",
        "instanceTemplates" => "instance_template",
        "serviceAttachments" => "service_attachment",
        "firewalls" => "firewall",
        _ => "instance",
    }
}
