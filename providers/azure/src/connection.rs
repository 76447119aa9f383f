//! Private endpoint connections: reading them, and deciding on one. The same for private link services and for what Azure
//! hosts, but for where they are and which api-version they have.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use privnet_core::accept::{Again, Besides, Company, Connection, ConnectionState};
use privnet_core::execute::{Context, Poll, Until};
use privnet_core::plan::{ConnectionAction, Op};
use privnet_core::{Applied, Error, ErrorKind};
use serde_json::json;

use crate::arm::{Arm, Json, Target, Write, is_gone, items, same_id, set, text};
use crate::policy::{endpoint, subscription};

const STATUS: &str = "properties.privateLinkServiceConnectionState.status";
const DESCRIPTION: &str = "properties.privateLinkServiceConnectionState.description";
const PROVISIONING: &str = "properties.provisioningState";
const ENDPOINT: &str = "properties.privateEndpoint.id";
/// How long a decision may take to show.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// A connection as a list or a parent resource shows it; nothing where the item is none.
pub(crate) fn parse(item: &Json) -> Option<Connection> {
    let own = text(item, "id").unwrap_or_default();
    let handle = text(item, "name").or_else(|| own.rsplit('/').next().filter(|name| !name.is_empty()))?;
    // A list may spell the name `server/connection`.
    let handle = handle.rsplit('/').next().unwrap_or(handle);
    let id = text(item, ENDPOINT).unwrap_or(own);
    let status = text(item, STATUS).unwrap_or("Unknown");
    // Storage spells it in the singular (Azure/azure-rest-api-specs, Microsoft.Storage: `PrivateLinkServiceConnectionState`).
    let action = ["actionsRequired", "actionRequired"]
        .iter()
        .filter_map(|name| text(item, &format!("properties.privateLinkServiceConnectionState.{name}")))
        .find(|action| !action.eq_ignore_ascii_case("none"));
    let mut identities = BTreeSet::new();
    if text(item, ENDPOINT).is_some() {
        identities.insert(endpoint(id));
        identities.extend(subscription_of(id).map(subscription));
    }
    Some(Connection {
        id: id.to_owned(),
        handle: handle.to_owned(),
        identities,
        state: state(status, action.is_some()),
        cloud_state: plain(status),
        since: None,
        note: note(item, status, action),
        cut_along: Vec::new(),
        company: Company::default(),
        again: Again::Nothing,
        besides: Besides::default(),
        may_be_for: Vec::new(),
        resource: Some(own.to_owned()).filter(|own| !own.is_empty()),
    })
}

/// The subscription in a resource id.
fn subscription_of(id: &str) -> Option<&str> {
    let mut parts = id.trim_start_matches('/').split('/');
    let word = parts.next()?;
    word.eq_ignore_ascii_case("subscriptions").then(|| parts.next()).flatten()
}

fn state(status: &str, action_required: bool) -> ConnectionState {
    match status.to_ascii_lowercase().as_str() {
        "pending" => ConnectionState::Pending,
        "approved" if action_required => ConnectionState::NeedsAttention,
        "approved" => ConnectionState::Accepted,
        "rejected" => ConnectionState::Rejected,
        "disconnected" | "removed" => ConnectionState::Closed,
        // `Approving`, `Rejecting` (App Service), and words that are not known yet.
        _ => ConnectionState::Changing,
    }
}

fn note(item: &Json, status: &str, action: Option<&str>) -> Option<String> {
    if let Some(action) = action {
        return Some(format!("the cloud asks for an action: {}", plain(action)));
    }
    if status.eq_ignore_ascii_case("disconnected") {
        return Some("the consumer must delete its endpoint and make a new one".to_owned());
    }
    let says = text(item, DESCRIPTION).filter(|_| status.eq_ignore_ascii_case("pending"))?;
    Some(format!("the request says: {}", plain(says)))
}

/// A stranger's text, without control characters and of a bearable length.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// Lets a connection in or turns it away, and returns when an own read shows it. What is there is read again first.
pub(crate) async fn decide(
    arm: &Arm,
    context: &Context,
    target: &Target,
    wanted: &ConnectionAction,
    op: Op,
) -> Result<Applied, Error> {
    let status = if op == Op::Accept { "Approved" } else { "Rejected" };
    let is_ours = AtomicBool::new(false);
    let build = |there: Option<&Json>| {
        let write = next(there, target, wanted, status)?;
        is_ours.fetch_or(matches!(write, Write::Put(_)), Ordering::Relaxed);
        Ok(write)
    };
    // The status is what counts: providers' own words for the rest differ, and App Service's is `Pending` for as long as one is rejected
    // (Azure CLI's recording test_private_endpoint_connection_webapp.yaml).
    if let Err(error) = arm.put_as_read(context, target, &build).await {
        if is_gone(&error) && op == Op::Reject && is_ours.load(Ordering::Relaxed) {
            return if arm.find(context, target).await?.is_none() { Ok(removed()) } else { Err(error) };
        }
        if !was_not_pending(&error) {
            return Err(error);
        }
        // It was decided meanwhile, by us in an earlier run or by somebody else: what counts is how.
        let now = arm.get(context, target).await?;
        // SQL turns away what waits and nothing else: a connection that is let in is removed.
        if op == Op::Reject && wanted.sever && has(&now, "Approved") && same_id(endpoint_of(&now), &wanted.id)
        {
            arm.delete(context, target).await?;
            return Ok(removed());
        }
        if !has(&now, status) && !is_on_its_way(&now) {
            return Err(error);
        }
    }
    let is_ours = is_ours.into_inner();
    let until = Until { operation: "GET", subject: &target.path, what: status, limit: LIMIT };
    let ask = || async move {
        let now = match arm.get(context, target).await {
            // Some providers keep no connection that is turned away.
            Err(error) if is_gone(&error) && op == Op::Reject && is_ours => {
                return Ok(Poll::Ready(removed()));
            }
            now => now?,
        };
        if is_anothers(&now, wanted, op) {
            return Err(anothers(target).with_hint("look with `privnet status` at who is let in there"));
        }
        // What was written here and failed is not done, whatever the status repeats of it.
        let failed = text(&now, PROVISIONING).filter(|word| ["Failed", "Canceled"].contains(word));
        let is_there = has(&now, status);
        if let Some(failed) = failed.filter(|_| is_ours || !is_there) {
            return Err(did_not_come_about(target, failed, is_there));
        }
        if is_there {
            return Ok(Poll::Ready(Applied::default()));
        }
        let word = text(&now, STATUS).unwrap_or("Unknown").to_owned();
        match state(&word, false) {
            ConnectionState::Changing | ConnectionState::Pending => Ok(Poll::Pending(word)),
            _ => Err(changed(target, &word)),
        }
    };
    context.until(until, ask).await
}

fn removed() -> Applied {
    Applied { note: Some("the connection was removed".to_owned()), ..Applied::default() }
}

/// Whether a decision shows at another endpoint's connection than it was made for. Of one that is turned away a provider may tell no
/// endpoint any more.
fn is_anothers(now: &Json, wanted: &ConnectionAction, op: Op) -> bool {
    let is_told = op == Op::Accept || text(now, ENDPOINT).is_some();
    is_told && !same_id(endpoint_of(now), &wanted.id)
}

fn anothers(target: &Target) -> Error {
    let message = "the connection is another endpoint's than when it was decided on";
    Error::new(ErrorKind::Conflict, "PUT privateEndpointConnections", &target.path, message)
}

/// What to write in view of what is there now.
fn next(
    there: Option<&Json>,
    target: &Target,
    wanted: &ConnectionAction,
    status: &str,
) -> Result<Write, Error> {
    let error =
        |kind, message: &str| Error::new(kind, "PUT privateEndpointConnections", &target.path, message);
    let Some(there) = there else {
        return Err(error(ErrorKind::NotFound, "the request is not there any more"));
    };
    if !same_id(endpoint_of(there), &wanted.id) {
        return Err(anothers(target).with_hint("run the same command again"));
    }
    let word = text(there, STATUS).unwrap_or("Unknown");
    if word.eq_ignore_ascii_case(status) || is_on_its_way(there) {
        return Ok(Write::Keep);
    }
    match (state(word, false), status) {
        (ConnectionState::Pending, _) => {}
        (ConnectionState::Accepted, "Rejected") if wanted.sever => {}
        (ConnectionState::Accepted, "Rejected") => {
            return Err(error(ErrorKind::InUse, "it was let in meanwhile and would be cut")
                .with_hint("use --sever-connections to cut it"));
        }
        _ => return Err(changed(target, word)),
    }
    let mut body = there.clone();
    set(&mut body, STATUS, json!(status));
    let by = wanted.consumer.as_deref().map(|consumer| format!(" as {consumer}")).unwrap_or_default();
    set(&mut body, DESCRIPTION, json!(format!("{status}{by} by privnet")));
    Ok(Write::Put(body))
}

fn changed(target: &Target, word: &str) -> Error {
    let message = format!("it is `{}` now", plain(word));
    Error::new(ErrorKind::Conflict, "PUT privateEndpointConnections", &target.path, message)
        .with_hint("run the same command again; a consumer whose request was turned away must make a new one")
}

fn did_not_come_about(target: &Target, state: &str, is_told: bool) -> Error {
    let message = format!("its provisioning state is `{state}`");
    let hint = if is_told {
        "its status says that it was decided all the same: look at it in the portal, and whether the consumer gets through"
    } else {
        "run the same command again: it decides once more"
    };
    Error::new(ErrorKind::Other, "PUT privateEndpointConnections", &target.path, message)
        .with_code(state)
        .with_hint(hint)
}

/// Whose a connection is: the endpoint's id, or its own where it names none.
fn endpoint_of(connection: &Json) -> &str {
    text(connection, ENDPOINT).or(text(connection, "id")).unwrap_or_default()
}

fn has(connection: &Json, status: &str) -> bool {
    text(connection, STATUS).is_some_and(|there| there.eq_ignore_ascii_case(status))
}

/// `Approving` and `Rejecting`: a decision that is being carried out.
fn is_on_its_way(connection: &Json) -> bool {
    text(connection, STATUS)
        .is_some_and(|word| ["approving", "rejecting"].iter().any(|w| w.eq_ignore_ascii_case(word)))
}

/// SQL's `…StatusNotPending`, and what other services answer to a decision that was made already.
fn was_not_pending(error: &Error) -> bool {
    let code = error.code().unwrap_or_default().to_ascii_lowercase();
    error.kind() == ErrorKind::Invalid && (code.contains("notpending") || code == "operationnotallowed")
}

/// The parts of a resource that a connection tells it is for: most providers' say none, some say `groupIds`, and Azure AI Search
/// `groupId`, one alone (Azure CLI's recording `test_private_endpoint_connection_crud` of its module `search`).
fn parts(item: &Json) -> Vec<&str> {
    let one = text(item, "properties.groupId").into_iter();
    let several = items(item, "properties.groupIds").iter().filter_map(Json::as_str);
    several.chain(one).filter(|part| !part.is_empty()).collect()
}

/// Whether a connection tells which part of a resource it is for.
pub(crate) fn names_its_part(item: &Json) -> bool {
    !parts(item).is_empty()
}

/// Whether a connection leads to this part of a resource; one that does not say so may.
pub(crate) fn leads_to(item: &Json, subresource: &str) -> bool {
    let parts = parts(item);
    parts.is_empty() || parts.iter().any(|part| part.eq_ignore_ascii_case(subresource))
}

#[cfg(test)]
mod tests;
