//! Service attachments.
//!
//! The rules are those of the discovery document's descriptions and of Google's "Publish services" and "Manage published
//! services": one type of consumer in both lists, at most 5000 and 64 entries, `ACCEPT_AUTOMATIC` without lists, a NAT
//! subnetwork for one attachment only, names of one domain at most. Two known bugs of PATCH are kept: it demands `name`
//! and `enableProxyProtocol` (see the update encoder of Terraform's `google_compute_service_attachment`).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::body::{Body, Object, object};
use super::super::call::Call;
use super::super::error::{ApiError, Failure};
use super::super::link::{self, Parts};
use super::super::world::{Operation, Record, World, mix};
use super::super::{check, connection, consumer};
use super::{Made, subnetwork};

const ACCEPT: &str = "resource.consumerAcceptLists";
const REJECT: &str = "resource.consumerRejectLists";

pub(super) fn insert(world: &World, call: &Call, body: Object) -> Result<Made, Failure> {
    Ok(Made { body: complete(world, call, None, body)?, ..Made::default() })
}

pub(super) fn change(
    world: &World,
    call: &Call,
    path: &str,
    given: &Object,
    old: &Object,
    new: Object,
) -> Result<Object, Failure> {
    if !given.has("name") {
        return Err(ApiError::field(
            "resource.name",
            "",
            "Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'",
        )
        .into());
    }
    if !given.contains_key("enableProxyProtocol") {
        return Err(ApiError::required("resource.enableProxyProtocol").into());
    }
    let new = complete(world, call, Some(path), new)?;
    super::immutable(old, &new, &["domainNames"])?;
    if global_access(world, old).is_some_and(|before| global_access(world, &new) != Some(before)) {
        return Err(ApiError::field(
            "resource.targetService",
            new.text("targetService").unwrap_or_default(),
            "The new target must have the same global access setting as the current one.",
        )
        .into());
    }
    let kept: BTreeSet<String> = new.texts("natSubnets").into_iter().collect();
    let lost = old.texts("natSubnets").into_iter().find(|subnet| !kept.contains(subnet));
    if let Some(subnet) = lost
        && !connection::of(world, path).is_empty()
    {
        return Err(ApiError::in_use("subnetwork", link::path(&subnet), path).into());
    }
    Ok(new)
}

fn complete(world: &World, call: &Call, itself: Option<&str>, mut body: Object) -> Result<Object, ApiError> {
    // The older name of the same thing.
    if let Some(rule) = body.remove("producerForwardingRule")
        && !body.has("targetService")
    {
        body.insert("targetService".to_owned(), rule);
    }
    let network = target(world, call, &mut body)?;
    nat_subnets(world, call, itself, &network, &mut body)?;
    let preference = body.text("connectionPreference").unwrap_or_default();
    match preference {
        "ACCEPT_MANUAL" => {}
        "ACCEPT_AUTOMATIC" if !body.has("consumerAcceptLists") && !body.has("consumerRejectLists") => {}
        "ACCEPT_AUTOMATIC" => {
            return Err(ApiError::field(
                "resource.connectionPreference",
                preference,
                "Consumer lists cannot be specified with ACCEPT_AUTOMATIC.",
            ));
        }
        _ => {
            return Err(ApiError::field(
                "resource.connectionPreference",
                preference,
                "Must be ACCEPT_AUTOMATIC or ACCEPT_MANUAL.",
            ));
        }
    }
    consumer_lists(world, &mut body)?;
    domain_names(&body)?;
    body.default_to("enableProxyProtocol", false);
    body.default_to("reconcileConnections", false);
    body.default_to("description", "");
    if body.has("natIpsPerEndpoint")
        && body.int("natIpsPerEndpoint").is_some_and(|each| !(1..=8).contains(&each))
    {
        return Err(ApiError::field("resource.natIpsPerEndpoint", "", "Must be between 1 and 8."));
    }
    Ok(body)
}

/// The producer's forwarding rule; answers its network's URL.
fn target(world: &World, call: &Call, body: &mut Object) -> Result<String, ApiError> {
    let field = "resource.targetService";
    let reference = body.text("targetService").ok_or_else(|| ApiError::required(field))?.to_owned();
    let (path, record) = world.refer(&call.project, field, &reference, &["forwardingRules"])?;
    if !path.starts_with(&format!("projects/{}/{}/", call.project, call.scope.segment())) {
        return Err(ApiError::field(
            field,
            &reference,
            "The forwarding rule must be in the project and region of the service attachment.",
        ));
    }
    if record.body.text("loadBalancingScheme") != Some("INTERNAL") {
        return Err(ApiError::field(
            field,
            &reference,
            "The forwarding rule's load balancing scheme must be INTERNAL.",
        ));
    }
    let network = record.body.text("network").unwrap_or_default().to_owned();
    body.insert("targetService".to_owned(), link::url(&path).into());
    Ok(network)
}

/// Whether the target takes clients of all regions; nothing where it is gone.
fn global_access(world: &World, attachment: &Object) -> Option<bool> {
    let rule = world.resources.get(link::path(attachment.text("targetService")?))?;
    Some(rule.body.flag("allowGlobalAccess"))
}

fn nat_subnets(
    world: &World,
    call: &Call,
    itself: Option<&str>,
    network: &str,
    body: &mut Object,
) -> Result<(), ApiError> {
    let given = body.texts("natSubnets");
    if given.is_empty() {
        return Err(ApiError::required("resource.natSubnets"));
    }
    let mut urls: Vec<String> = Vec::new();
    for (index, reference) in given.iter().enumerate() {
        let field = format!("resource.natSubnets[{index}]");
        let (path, of_network, purpose) = subnetwork::refer(world, call, &field, reference)?;
        let url = link::url(&path);
        if purpose != "PRIVATE_SERVICE_CONNECT" {
            return Err(ApiError::field(
                &field,
                reference,
                "The subnetwork's purpose must be PRIVATE_SERVICE_CONNECT.",
            ));
        }
        if of_network != network {
            return Err(ApiError::field(
                &field,
                reference,
                "The subnetwork must be in the network of the forwarding rule.",
            ));
        }
        if urls.contains(&url) {
            return Err(ApiError::field(&field, reference, "The subnetwork is listed twice."));
        }
        let other = world.resources.iter().find(|(path, record)| {
            path.contains("/serviceAttachments/")
                && Some(path.as_str()) != itself
                && record.body.texts("natSubnets").contains(&url)
        });
        if let Some((user, _)) = other {
            return Err(ApiError::in_use("subnetwork", &path, user));
        }
        urls.push(url);
    }
    body.insert("natSubnets".to_owned(), json!(urls));
    Ok(())
}

fn consumer_lists(world: &World, body: &mut Object) -> Result<(), ApiError> {
    let (accept, reject) = (body.items("consumerAcceptLists").to_vec(), body.texts("consumerRejectLists"));
    if accept.len() > 5000 || reject.len() > 64 {
        return Err(ApiError::invalid(
            "A consumer accept list has at most 5000 entries, a reject list at most 64.",
        ));
    }
    let mut kinds = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut made = Vec::new();
    for (index, entry) in accept.iter().enumerate() {
        let mut entry = object(entry);
        let at = format!("{ACCEPT}[{index}]");
        let names = ["projectIdOrNum", "networkUrl", "endpointUrl"];
        let set: Vec<&str> = names.into_iter().filter(|name| entry.has(name)).collect();
        let [name] = set[..] else {
            return Err(ApiError::invalid(format!(
                "Exactly one of {} must be specified in '{at}'.",
                names.join(", ")
            )));
        };
        let given = entry.text(name).unwrap_or_default().to_owned();
        let canonical = canonical(world, name, &given, &format!("{at}.{name}"))?;
        if name == "endpointUrl" && entry.int("connectionLimit").is_some_and(|limit| limit > 1) {
            return Err(ApiError::field(
                &format!("{at}.connectionLimit"),
                "",
                "The limit of an endpoint must be no more than 1.",
            ));
        }
        if !seen.insert(canonical.clone()) {
            return Err(ApiError::field(&format!("{at}.{name}"), &given, "The consumer is listed twice."));
        }
        // A project stays as it was given, by id or by number.
        if name != "projectIdOrNum" {
            entry.insert(name.to_owned(), link::url(&canonical).into());
        }
        kinds.insert(name);
        made.push(Value::Object(entry));
    }
    let mut rejected = Vec::new();
    for (index, given) in reject.iter().enumerate() {
        let name = if !given.contains('/') {
            "projectIdOrNum"
        } else if given.contains("/networks/") {
            "networkUrl"
        } else {
            "endpointUrl"
        };
        let canonical = canonical(world, name, given, &format!("{REJECT}[{index}]"))?;
        kinds.insert(name);
        rejected.push(if name == "projectIdOrNum" { given.clone() } else { link::url(&canonical) });
    }
    if kinds.len() > 1 {
        return Err(ApiError::invalid(
            "The consumer lists must contain either only projects, or only networks, or only endpoints.",
        ));
    }
    for (name, items) in [("consumerAcceptLists", json!(made)), ("consumerRejectLists", json!(rejected))] {
        if items.as_array().is_some_and(Vec::is_empty) {
            body.remove(name);
        } else {
            body.insert(name.to_owned(), items);
        }
    }
    Ok(())
}

/// What an entry means: a project's id, a network's path, an endpoint's path with its numeric id.
fn canonical(world: &World, name: &str, given: &str, field: &str) -> Result<String, ApiError> {
    if name == "projectIdOrNum" {
        return match check::is_project(given) && !given.contains(':') {
            true => Ok(world.project_id(given).unwrap_or_else(|| given.to_owned())),
            false => Err(ApiError::field(field, given, "Must be a project ID or number.")),
        };
    }
    let trimmed = given.split_once("/projects/").map_or(given, |(_, rest)| rest);
    let path = format!("projects/{}", trimmed.trim_start_matches("projects/"));
    let mut parts =
        Parts::parse(&path).ok_or_else(|| ApiError::field(field, given, "The URL is malformed."))?;
    let wanted = if name == "networkUrl" { "networks" } else { "forwardingRules" };
    if parts.collection != wanted {
        return Err(ApiError::field(field, given, &format!("The URL must be one of {wanted}.")));
    }
    // "ID-based": connectedEndpoints[].endpointWithId is what goes here.
    if name == "endpointUrl" && parts.name.parse::<u64>().is_err() {
        return Err(ApiError::field(field, given, "The URL must name the endpoint by its numeric ID."));
    }
    parts.project = world.project_id(&parts.project).unwrap_or(parts.project);
    Ok(parts.path())
}

fn domain_names(body: &Object) -> Result<(), ApiError> {
    let names = body.texts("domainNames");
    let valid = |name: &String| {
        name.ends_with('.') && name.trim_end_matches('.').split('.').all(|label| !label.is_empty())
    };
    match &names[..] {
        [] => Ok(()),
        [name] if valid(name) => Ok(()),
        _ => Err(ApiError::field(
            "resource.domainNames",
            &names.join(", "),
            "At most one domain name, which ends in a dot.",
        )),
    }
}

/// What follows from an attachment's insertion, change or deletion.
pub(crate) fn settled(world: &mut World, operation: &Operation, at: jiff::Timestamp) {
    match operation.kind.as_str() {
        "insert" => consumer::set_out(world, &operation.target, operation.target_id, at),
        "delete" => connection::close(world, &operation.target, operation.target_id),
        _ => connection::reconcile(world, &operation.target),
    }
}

pub(crate) fn show(world: &World, path: &str, record: &Record, show_nat: bool, shown: &mut Object) {
    let id = json!({ "high": (mix(record.id) >> 8).to_string(), "low": record.id.to_string() });
    shown.insert("pscServiceAttachmentId".to_owned(), id);
    let connected = connection::connected(world, path, show_nat);
    if !connected.is_empty() {
        shown.insert("connectedEndpoints".to_owned(), json!(connected));
    }
}
