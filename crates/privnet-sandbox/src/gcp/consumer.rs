//! Consumers: projects that raise a Private Service Connect endpoint at an attachment, by themselves or when told to.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::body::{Body, object};
use super::link::{self, Parts, Scope};
use super::world::{Arrival, Decision, Endpoint, World, after, stable_hash};
use super::{connection, kinds};
use crate::frame::KnownBy;

/// The consumers that come by themselves set out for a new attachment.
pub(crate) fn set_out(world: &mut World, attachment: &str, attachment_id: u64, at: Timestamp) {
    let owner = Parts::parse(attachment).map(|parts| parts.project);
    let arrivals: Vec<Arrival> = world
        .projects
        .iter()
        .filter(|(id, _)| Some(*id) != owner.as_ref())
        .filter_map(|(id, project)| {
            Some(Arrival {
                at: after(at, project.arrives_after?),
                project: id.clone(),
                attachment: attachment.to_owned(),
                attachment_id,
            })
        })
        .collect();
    world.arrivals.extend(arrivals);
}

/// A consumer arrives, unless the attachment has gone meanwhile.
pub(crate) fn arrive(world: &mut World, arrival: &Arrival, at: Timestamp) {
    if world.resources.get(&arrival.attachment).is_some_and(|record| record.id == arrival.attachment_id) {
        let _ = raise(world, &arrival.project, &arrival.attachment, at);
    }
}

/// Makes the consumer's forwarding rule and answers its path; the error says why there is none.
pub(crate) fn raise(
    world: &mut World,
    project: &str,
    attachment: &str,
    at: Timestamp,
) -> Result<String, String> {
    let parts = Parts::parse(attachment).ok_or("that is no service attachment")?;
    let network = link::join(project, &Scope::Global, "networks", "consumer");
    let subnetwork = link::join(project, &parts.scope, "subnetworks", "consumer");
    if !world.resources.contains_key(&subnetwork) {
        return Err(format!("{project} has no subnetwork in {}", parts.scope.segment()));
    }
    let address = kinds::address::free(world, &subnetwork).ok_or("the consumer's subnetwork is full")?;
    let path = (1..)
        .map(|number| link::join(project, &parts.scope, "forwardingRules", &rule_name(&parts.name, number)))
        .find(|path| !world.resources.contains_key(path))
        .ok_or("no name is free")?;
    let id = world.fresh_id();
    let body = object(&json!({
        "name": link::last(&path),
        "IPAddress": address.to_string(),
        "target": link::url(attachment),
        "network": link::url(&network),
        "subnetwork": link::url(&subnetwork),
        "networkTier": "PREMIUM",
        "serviceDirectoryRegistrations": [{ "namespace": "goog-psc-default" }],
    }));
    world.put(&path, id, body, at);
    register(world, &path);
    Ok(path)
}

fn rule_name(attachment: &str, number: u32) -> String {
    let short: String = attachment.chars().take(50).collect();
    format!("psc-{}-{number}", short.trim_end_matches('-'))
}

/// Makes an endpoint of a consumer's forwarding rule and lets the producer's policy decide on it.
///
/// `pscConnectionId` follows from the consumer, the attachment's name and how often the consumer has come, so that it
/// is the same each time that a sandbox starts from the default world.
pub(crate) fn register(world: &mut World, path: &str) {
    let Some(record) = world.resources.get(path) else { return };
    let Some(attachment) = record.body.text("target").map(|url| link::path(url).to_owned()) else { return };
    let network = record.body.text("network").map(|url| link::path(url).to_owned()).unwrap_or_default();
    let (Some(parts), Some(target)) = (Parts::parse(path), world.resources.get(&attachment)) else { return };
    let attachment_id = target.id;
    let key = format!("{} {attachment}", parts.project);
    let count = world.raised.entry(key.clone()).or_insert(0);
    *count += 1;
    let connection =
        10_000_000_000_000_000_000 + stable_hash(&format!("{key} {count}")) % 8_000_000_000_000_000_000;
    world.counter += 1;
    let endpoint = Endpoint {
        attachment: attachment.clone(),
        attachment_id,
        connection,
        project: parts.project,
        network,
        order: world.counter,
        decision: Decision::Pending,
    };
    world.endpoints.insert(path.to_owned(), endpoint);
    connection::reconcile(world, &attachment);
}

/// Raises a further endpoint at the attachment that `service` names, for `consumer` (a project's id, number or role) or
/// for the first consumer that comes by itself and is no stranger.
pub(crate) fn connect(
    world: &mut World,
    service: &str,
    consumer: Option<&str>,
    now: Timestamp,
) -> Result<Value, String> {
    let attachment = attachment(world, service)?;
    let project = match consumer {
        None => {
            world.projects.iter().find(|(_, project)| project.role == "consumer").map(|(id, _)| id.clone())
        }
        Some(name) => world.project_id(name).or_else(|| {
            world.projects.iter().find(|(_, project)| project.role == name).map(|(id, _)| id.clone())
        }),
    };
    let project = project.ok_or_else(|| {
        let known: Vec<&str> = world.projects.keys().map(String::as_str).collect();
        format!("there is no project {}; there are {}", consumer.unwrap_or_default(), known.join(", "))
    })?;
    let path = raise(world, &project, &attachment, now)?;
    Ok(json!({
        "cloud": "gcp",
        "service": link::url(&attachment),
        "consumer": project,
        "connection": world.endpoints.get(&path).map(|endpoint| endpoint.connection.to_string()),
        "endpoint": link::url(&path),
        "state": connection::status(world, &path),
        "status": connection::status(world, &path),
    }))
}

/// By what a service is known.
pub(crate) fn knows(world: &World, service: &str) -> Option<KnownBy> {
    found(world, service).map(|(by, _)| by)
}

/// The attachments of that name, else those that mention the service.
fn found<'a>(world: &'a World, service: &str) -> Option<(KnownBy, Vec<&'a String>)> {
    let attachments = || {
        world.resources.iter().filter(|(path, _)| {
            Parts::parse(path).is_some_and(|parts| parts.collection == "serviceAttachments")
        })
    };
    let wanted = link::resolve(world, "", service).unwrap_or_default();
    let exact = |path: &&String| **path == wanted || link::last(path) == service;
    let named: Vec<_> = attachments().map(|(path, _)| path).filter(exact).collect();
    if !named.is_empty() {
        return Some((KnownBy::Name, named));
    }
    let mentioning = attachments().filter(|(path, record)| mentions(world, path, record, service));
    let marked: Vec<_> = mentioning.map(|(path, _)| path).collect();
    (!marked.is_empty()).then_some((KnownBy::Mark, marked))
}

/// The attachment that is meant: by its path, URL or name, by the service that its name begins with (`pn-<service>-`), or
/// by the service that its description, or the labels of its forwarding rule, mention.
fn attachment(world: &World, service: &str) -> Result<String, String> {
    let found = found(world, service).map(|(_, found)| found).unwrap_or_default();
    match found[..] {
        [one] => Ok(one.clone()),
        [] => Err(format!("there is no service attachment {service}")),
        _ => {
            let names: Vec<&str> = found.iter().map(|path| path.as_str()).collect();
            Err(format!("{service} could be any of {}", names.join(", ")))
        }
    }
}

fn mentions(world: &World, path: &str, record: &super::world::Record, service: &str) -> bool {
    let word = |text: &str| {
        text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-' && letter != '_')
            .any(|part| part == service)
    };
    let rule = record.body.text("targetService").and_then(|url| world.resources.get(link::path(url)));
    let labels = rule.and_then(|rule| rule.body.get("labels")?.as_object());
    link::last(path).starts_with(&format!("pn-{service}-"))
        || record.body.text("description").is_some_and(word)
        || labels.is_some_and(|labels| labels.values().any(|value| value.as_str() == Some(service)))
}
