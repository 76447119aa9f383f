//! Decisions on connections: read-modify-write of an attachment's lists under its fingerprint, never dropping somebody else's
//! entry; done when an own read shows the new state.

use std::time::Duration;

use privnet_core::accept::ConnectionState;
use privnet_core::execute::{Poll, Until};
use privnet_core::plan::{ConnectionAction, Op};
use privnet_core::spec::gcp::GcpAcceptBy;
use privnet_core::{Applied, Error, ErrorKind};
use serde_json::json;

use crate::act::Act;
use crate::collection::{At, Collection};
use crate::connections;
use crate::entry::{self, Entry};
use crate::json::{Json, flag, text, texts};
use crate::path;

/// The most entries of a reject list.
const MOST_REJECTED: usize = 64;
/// A new state is shown no later than this.
const SHOWN: Duration = Duration::from_secs(600);

/// What the file says of the entries of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) by: GcpAcceptBy,
    /// The most connections of the consumer.
    pub(crate) limit: i64,
}

/// Lets a connection in, or turns it away.
pub(crate) async fn decide(act: &Act<'_>, terms: Terms) -> Result<Applied, Error> {
    let Some(connection) = &act.step.action.connection else {
        return Err(act.error(ErrorKind::Other, "the action does not say which connection"));
    };
    let at = act.there(Collection::ServiceAttachments)?;
    match act.step.action.op {
        Op::Accept => accept(act, &at, connection, terms).await,
        _ => reject(act, &at, connection, terms).await,
    }
}

fn find<'a>(act: &Act<'_>, attachment: &'a Json, connection: &ConnectionAction) -> Result<&'a Json, Error> {
    connections::endpoint(attachment, &connection.id)
        .ok_or_else(|| act.error(ErrorKind::NotFound, format!("the connection {} is gone", connection.id)))
}

/// What every change of an attachment carries (two known faults of the API ask for the first two), and its lists.
fn envelope(at: &At, latest: &Json) -> Json {
    json!({ "name": at.name, "enableProxyProtocol": flag(latest, "enableProxyProtocol"),
        "reconcileConnections": flag(latest, "reconcileConnections"), "fingerprint": text(latest, "fingerprint") })
}

async fn accept(
    act: &Act<'_>,
    at: &At,
    connection: &ConnectionAction,
    terms: Terms,
) -> Result<Applied, Error> {
    act.merge(at, |latest| {
        let endpoint = find(act, latest, connection)?;
        match connections::state(endpoint) {
            ConnectionState::Accepted | ConnectionState::NeedsAttention => return Ok(None),
            ConnectionState::Closed => {
                let message =
                    format!("{} is closed for good: the consumer must make a new endpoint", connection.id);
                return Err(act.error(ErrorKind::Conflict, message));
            }
            ConnectionState::Pending | ConnectionState::Rejected | ConnectionState::Changing => {}
        }
        let mut entries = connections::entries(latest);
        if let Some(other) = entries.iter().find(|entry| entry.by() != terms.by) {
            let message = format!(
                "the accept list has entries by {}, and an attachment takes one type at a time",
                entry::word(other.by())
            );
            let hint = format!("set `accept_by: {}` and apply", entry::word(other.by()));
            return Err(act.error(ErrorKind::Conflict, message).with_hint(hint));
        }
        let entry = entry_for(act, endpoint, terms)?;
        if !add(&mut entries, entry) {
            // It is listed: the cloud is about to show it.
            return Ok(None);
        }
        let mut body = envelope(at, latest);
        body["consumerAcceptLists"] = entries.iter().map(Entry::json).collect();
        let rejected = texts(latest, "consumerRejectLists");
        let handle = connections::handle(endpoint);
        if rejected.iter().any(|url| path::same(url, &handle)) {
            body["consumerRejectLists"] =
                rejected.iter().filter(|url| !path::same(url, &handle)).cloned().collect();
        }
        Ok(Some(body))
    })
    .await?;
    shown(act, at, connection, "accepted", |state| {
        matches!(state, ConnectionState::Accepted | ConnectionState::NeedsAttention)
    })
    .await
}

fn entry_for(act: &Act<'_>, endpoint: &Json, terms: Terms) -> Result<Entry, Error> {
    let unknown =
        |what: &str| act.error(ErrorKind::Other, format!("the cloud does not say which {what} it is of"));
    let limit = terms.limit;
    Ok(match terms.by {
        GcpAcceptBy::Endpoint => Entry::Endpoint { endpoint: connections::handle(endpoint) },
        GcpAcceptBy::Project => {
            let project = connections::project(endpoint).ok_or_else(|| unknown("project"))?;
            Entry::Project { project, limit }
        }
        GcpAcceptBy::Network => {
            let network = connections::network(endpoint).ok_or_else(|| unknown("network"))?;
            Entry::Network { network, limit }
        }
    })
}

/// Adds an entry, or raises the limit of the one that is there. Whether anything changed.
fn add(entries: &mut Vec<Entry>, new: Entry) -> bool {
    for there in entries.iter_mut() {
        match (there, &new) {
            (Entry::Project { project, limit }, Entry::Project { project: other, limit: wanted })
                if project == other =>
            {
                let raised = *wanted > *limit;
                *limit = (*limit).max(*wanted);
                return raised;
            }
            (Entry::Network { network, limit }, Entry::Network { network: other, limit: wanted })
                if path::same(network, other) =>
            {
                let raised = *wanted > *limit;
                *limit = (*limit).max(*wanted);
                return raised;
            }
            (Entry::Endpoint { endpoint }, Entry::Endpoint { endpoint: other })
                if path::same(endpoint, other) =>
            {
                return false;
            }
            _ => {}
        }
    }
    entries.push(new);
    true
}

async fn reject(
    act: &Act<'_>,
    at: &At,
    connection: &ConnectionAction,
    terms: Terms,
) -> Result<Applied, Error> {
    let before = act.read(at).await?;
    let Ok(endpoint) = find(act, &before, connection) else {
        return Ok(Applied { note: Some("the connection is gone".to_owned()), ..Applied::default() });
    };
    let live = connections::state(endpoint).may_be_live();
    if live && !connection.sever {
        let message = format!("{} has been let in meanwhile and would be cut", connection.id);
        return Err(act
            .error(ErrorKind::Conflict, message)
            .with_hint("use --sever-connections if that is meant"));
    }
    let along = connections::siblings(
        endpoint,
        &connections::entries(&before),
        crate::json::list(&before, "connectedEndpoints"),
    );
    if !along.is_empty() && !connection.sever {
        let message = format!(
            "the accept list has its whole consumer: to reject {} would cut {} as well",
            connection.id,
            along.join(", ")
        );
        let hint = "use --sever-connections if that is meant, or `accept_by: endpoint` and apply";
        return Err(act.error(ErrorKind::Conflict, message).with_hint(hint));
    }
    let reconciled = flag(&before, "reconcileConnections");
    act.merge(at, |latest| {
        let Ok(endpoint) = find(act, latest, connection) else { return Ok(None) };
        Ok(turned_away(at, latest, endpoint, terms, live))
    })
    .await?;
    let applied = shown(act, at, connection, "rejected", |state| {
        !state.may_be_live() && state != ConnectionState::Pending
    })
    .await?;
    if live && !reconciled {
        // As it was; whoever was turned away stays so, being on the reject list.
        act.merge(at, |latest| {
            let mut body = envelope(at, latest);
            body["reconcileConnections"] = json!(false);
            Ok(flag(latest, "reconcileConnections").then_some(body))
        })
        .await?;
    }
    Ok(applied)
}

/// Whether an entry of the accept list is the one in question.
type IsIt = Box<dyn Fn(&Entry) -> bool>;

/// The change that turns an endpoint away: its entry goes, and it is put on the reject list. A live one is cut only while the
/// attachment reconciles. Nothing where that is so already.
fn turned_away(at: &At, latest: &Json, endpoint: &Json, terms: Terms, live: bool) -> Option<Json> {
    let (handle, project, network) =
        (connections::handle(endpoint), connections::project(endpoint), connections::network(endpoint));
    let entries = connections::entries(latest);
    let by = entries.first().map_or(terms.by, Entry::by);
    let (subject, is_it): (String, IsIt) = match by {
        GcpAcceptBy::Endpoint => {
            let own = handle.clone();
            (
                handle,
                Box::new(
                    move |entry| matches!(entry, Entry::Endpoint { endpoint } if path::same(endpoint, &own)),
                ),
            )
        }
        GcpAcceptBy::Project => {
            // An entry may have the number where the endpoint's URL has the id.
            let own = endpoint.clone();
            let is = move |entry: &Entry| matches!(entry, Entry::Project { project, .. } if connections::is_project(&own, project));
            (project.unwrap_or_default(), Box::new(is))
        }
        GcpAcceptBy::Network => {
            let own = network.clone();
            let is = move |entry: &Entry| matches!(entry, Entry::Network { network, .. } if own.as_deref().is_some_and(|own| path::same(own, network)));
            (network.unwrap_or_default(), Box::new(is))
        }
    };
    let kept: Vec<&Entry> = entries.iter().filter(|entry| !is_it(entry)).collect();
    let mut rejected = texts(latest, "consumerRejectLists");
    let listed = rejected.iter().any(|url| path::same(url, &subject));
    if listed && kept.len() == entries.len() && (!live || flag(latest, "reconcileConnections")) {
        return None;
    }
    if !listed {
        // The list has a limit; the oldest entry makes room.
        if rejected.len() >= MOST_REJECTED {
            rejected.remove(0);
        }
        rejected.push(subject);
    }
    let mut body = envelope(at, latest);
    body["consumerAcceptLists"] = kept.into_iter().map(Entry::json).collect();
    body["consumerRejectLists"] = json!(rejected);
    if live {
        body["reconcileConnections"] = json!(true);
    }
    Some(body)
}

async fn shown(
    act: &Act<'_>,
    at: &At,
    connection: &ConnectionAction,
    what: &str,
    is_it: impl Fn(ConnectionState) -> bool,
) -> Result<Applied, Error> {
    let until = Until { operation: "serviceAttachments.get", subject: &connection.id, what, limit: SHOWN };
    let found = act
        .cloud
        .context
        .until(until, || async {
            let latest = act.read(at).await?;
            let Some(endpoint) = connections::endpoint(&latest, &connection.id) else {
                return Ok(Poll::Ready("gone".to_owned()));
            };
            let word = text(endpoint, "status").unwrap_or("UNKNOWN").to_owned();
            Ok(if is_it(connections::state(endpoint)) { Poll::Ready(word) } else { Poll::Pending(word) })
        })
        .await?;
    if found == "gone" && act.step.action.op == Op::Accept {
        return Err(act.error(ErrorKind::NotFound, format!("the connection {} is gone", connection.id)));
    }
    Ok(Applied { note: Some(format!("it is {found}")), ..Applied::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Json {
        json!({ "endpoint": "https://x/projects/p-1/regions/r/forwardingRules/ep",
            "endpointWithId": "https://x/projects/p-1/regions/r/forwardingRules/17",
            "consumerNetwork": "https://x/projects/p-1/global/networks/n", "pscConnectionId": "9", "status": "ACCEPTED" })
    }

    fn at() -> At {
        At::of(Collection::ServiceAttachments, "projects/p/regions/r/serviceAttachments/a")
    }

    #[test]
    fn others_entries_stay() {
        let mut entries = vec![Entry::Project { project: "theirs".to_owned(), limit: 5 }];
        assert!(add(&mut entries, Entry::Project { project: "p-1".to_owned(), limit: 1 }));
        assert!(
            !add(&mut entries, Entry::Project { project: "theirs".to_owned(), limit: 1 }),
            "a limit is never lowered"
        );
        assert!(add(&mut entries, Entry::Project { project: "p-1".to_owned(), limit: 2 }));
        assert_eq!(entries.len(), 2);
    }

    #[test]
    fn a_live_one_is_cut_by_reconciling_and_others_stay() {
        let latest = json!({ "reconcileConnections": false, "enableProxyProtocol": true, "fingerprint": "f",
            "consumerRejectLists": [], "connectedEndpoints": [endpoint()],
            "consumerAcceptLists": [{ "endpointUrl": "projects/p-1/regions/r/forwardingRules/17", "connectionLimit": 1 },
                { "endpointUrl": "projects/p-2/regions/r/forwardingRules/18", "connectionLimit": 1 }] });
        let terms = Terms { by: GcpAcceptBy::Endpoint, limit: 1 };
        let body = turned_away(&at(), &latest, &endpoint(), terms, true).expect("a change");
        assert_eq!(body["consumerAcceptLists"].as_array().map(Vec::len), Some(1));
        assert_eq!(body["consumerRejectLists"], json!(["projects/p-1/regions/r/forwardingRules/17"]));
        assert_eq!(
            (&body["reconcileConnections"], &body["enableProxyProtocol"]),
            (&json!(true), &json!(true))
        );
    }
}
