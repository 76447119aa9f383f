//! What decisions make of an attachment's accept and reject list. Pure.
//!
//! The reject list beats the accept list; both have entries of one type; an entry that names a project or a network lets in as many of
//! its endpoints as its limit says (<https://cloud.google.com/vpc/docs/about-controlling-access-published-services>).

use std::collections::BTreeSet;

use privnet_core::accept::ConnectionState;
use privnet_core::plan::ConnectionAction;
use privnet_core::spec::gcp::GcpAcceptBy;
use serde_json::json;

use crate::collection::{At, Collection};
use crate::connections;
use crate::entry::{self, Entry};
use crate::json::{Json, flag, list, text, texts};
use crate::keeping::{self, MOST_ACCEPTED, MOST_REJECTED, Rejects};
use crate::path;

/// Whether a change of the lists decides anew on those that were decided on.
pub(crate) const RECONCILES: &str = "reconcileConnections";

/// Google's own command by which an attachment does not reconcile its connections any more: it decides on nobody
/// (<https://cloud.google.com/sdk/gcloud/reference/compute/service-attachments/update>).
pub(crate) fn reconciles_no_more(at: &At) -> String {
    let At { name, project, place, .. } = at;
    format!(
        "gcloud compute service-attachments update {name} --project {project} --region {place} --no-reconcile-connections"
    )
}

/// How the user takes an entry out of these lists (`accept`, `reject`) of an attachment of his own, of this path: by a command that names all that
/// are to stay (<https://cloud.google.com/sdk/gcloud/reference/compute/service-attachments/update>). One that reconciles cuts by that.
pub(crate) fn taken_out(attachment: &str, lists: &[&str], reconciles: bool) -> String {
    let At { name, project, place, .. } = At::of(Collection::ServiceAttachments, attachment);
    let lists: String = lists.iter().map(|list| format!(" --consumer-{list}-list LIST")).collect();
    let cuts = match reconciles && lists.contains("accept") {
        true => {
            " (the attachment reconciles its connections: whoever is in by an entry that you take out is cut then)"
        }
        false => "",
    };
    format!(
        "in the console, or with `gcloud compute service-attachments update {name} --project {project} --region {place}{lists}`, LIST being \
         what is to stay{cuts}"
    )
}

/// What makes way for entries by endpoint in the lists of an attachment of the user's, which no apply alters; nothing where no entry names more
/// than one endpoint.
pub(crate) fn by_endpoint_alone(attachment: &Json) -> Option<String> {
    let whole = |entries: Vec<Entry>| -> Vec<String> {
        let whole = entries.iter().filter(|entry| entry.by() != GcpAcceptBy::Endpoint);
        whole.map(|entry| entry.subject().to_owned()).collect()
    };
    let both = [("accept", connections::entries(attachment)), ("reject", connections::rejects(attachment))];
    let both = both.map(|(list, entries)| (list, whole(entries)));
    let there = || both.iter().filter(|(_, entries)| !entries.is_empty());
    let named: Vec<String> =
        there().map(|(list, entries)| format!("{} out of its {list} list", entries.join(", "))).collect();
    let lists: Vec<&str> = there().map(|(list, _)| *list).collect();
    let path = text(attachment, "selfLink").unwrap_or_default();
    (!named.is_empty()).then(|| {
        format!(
            "the attachment is yours, and to name single endpoints takes {}, {}; give the endpoints of those that are to stay, in or out, entries \
             of their own, and set `accept_by: endpoint`",
            named.join(" and "),
            taken_out(path, &lists, flag(attachment, RECONCILES))
        )
    })
}

/// Why an endpoint cannot be let in, or turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is not there any more.
    Gone,
    /// It is closed for good.
    Closed,
    /// It waited when it was decided on, and somebody has turned it away since then.
    TurnedAway,
    /// Whoever asks is let in, and there are no lists.
    Everybody,
    /// The list has entries of another type.
    OtherType { there: GcpAcceptBy },
    /// The cloud does not say what the entry would have to name.
    Nameless { what: &'static str },
    /// The reject list is full.
    Full,
    /// The accept list is full.
    Crowded,
    /// So many were turned away by entries of another type that one for each does not fit into the reject list.
    Many { rejected: usize },
    /// These were turned away, would be decided on anew, and cannot be kept out by entries that stand for nobody else.
    Forgets { others: Vec<String> },
    /// The entry would let others in too, who were not decided on.
    Undecided { others: Vec<String> },
    /// To decide anew on who was turned away, the attachment has to reconcile, which lets these in by the entries that they have.
    LetsIn { others: Vec<String> },
    /// To decide anew on who was turned away, the attachment has to reconcile, which cuts these.
    Cuts { others: Vec<String> },
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gone => f.write_str("the connection is gone"),
            Self::Closed => f.write_str("it is closed for good: the consumer must make a new endpoint"),
            Self::TurnedAway => f.write_str("somebody turned it away while it was decided on"),
            Self::Everybody => f.write_str(
                "the attachment lets in whoever asks (`ACCEPT_AUTOMATIC`) and has no lists meanwhile, so that nobody can be decided on",
            ),
            Self::OtherType { there } => write!(
                f,
                "the accept list has entries by {}, and an attachment takes one type at a time",
                entry::word(*there)
            ),
            Self::Nameless { what } => write!(f, "the cloud does not say which {what} it is of"),
            Self::Full => {
                write!(f, "the reject list is full: it has {MOST_REJECTED} entries, as many as GCP allows")
            }
            Self::Crowded => {
                write!(f, "the accept list is full: it has {MOST_ACCEPTED} entries, as many as GCP allows")
            }
            Self::Many { rejected } => write!(
                f,
                "whoever was turned away is to stay so, which takes {rejected} entries of the reject list: GCP allows {MOST_REJECTED}"
            ),
            Self::Forgets { others } => write!(
                f,
                "the attachment would decide anew on {}: turned away, and no entry of the reject list can keep them out that stands for \
                 nobody else",
                others.join(", ")
            ),
            Self::Undecided { others } => write!(
                f,
                "the accept list would name its whole consumer, which lets in {} as well, or instead of it",
                others.join(", ")
            ),
            Self::LetsIn { others } => write!(
                f,
                "to let it in after all the attachment has to reconcile its connections, which lets in {} as well: they were turned away, \
                 and the accept list has entries for them",
                others.join(", ")
            ),
            Self::Cuts { others } => write!(
                f,
                "to let it in after all the attachment has to reconcile its connections, which cuts {}: the accept list has no room for them",
                others.join(", ")
            ),
        }
    }
}

impl Refused {
    /// Whether the lists could say it of the one, but for the room that others take or what it would do to them.
    pub(crate) fn concerns_others(&self) -> bool {
        matches!(self, Self::Everybody | Self::Full | Self::Many { .. } | Self::Forgets { .. })
    }

    /// Whether it is known when the decision is planned: nothing that is accepted together with it makes room, or another list of it.
    pub(crate) fn is_known_before(&self) -> bool {
        match self {
            Self::Everybody
            | Self::Full
            | Self::Crowded
            | Self::Many { .. }
            | Self::Nameless { .. }
            | Self::OtherType { .. }
            | Self::Forgets { .. }
            | Self::LetsIn { .. }
            | Self::Cuts { .. } => true,
            // Whom it lets in together the core knows by then, and refuses those who were not decided on.
            Self::Undecided { .. } | Self::Gone | Self::Closed | Self::TurnedAway => false,
        }
    }

    /// What to do about it. `yours`: the attachment, where it is the user's own.
    pub(crate) fn hint(&self, yours: Option<&Json>) -> Option<String> {
        let alone = yours.and_then(by_endpoint_alone);
        match self {
            Self::OtherType { there } if *there != GcpAcceptBy::Endpoint && alone.is_some() => alone
                .map(|alone| format!("set `accept_by: {}` and apply; or: {alone}", entry::word(*there))),
            Self::Undecided { .. } if alone.is_some() => alone,
            Self::Forgets { .. } if alone.is_some() => {
                alone.map(|alone| format!("wait until the consumer has deleted those endpoints; or: {alone}"))
            }
            Self::Everybody => Some(
                "where privnet made the attachment, `privnet apply` sets that back; one of yours takes `ACCEPT_MANUAL`, with whoever is to \
                 stay on its consumer accept list"
                    .to_owned(),
            ),
            Self::OtherType { there } => Some(format!(
                "apply, where the file says another `accept_by` already; else set `accept_by: {}` and apply",
                entry::word(*there)
            )),
            Self::Many { .. } => Some(
                "wait until the consumers have deleted endpoints that were turned away, or take entries from the reject list".to_owned(),
            ),
            Self::Undecided { .. } => Some(
                "set `accept_by: endpoint` and apply: then the list names this endpoint alone".to_owned(),
            ),
            Self::Full => Some(
                "take entries that are not needed any more from the attachment's consumer reject list, such as those of endpoints that \
                 are gone; none is dropped by itself, since that could let somebody in"
                    .to_owned(),
            ),
            Self::Crowded => {
                Some("take entries that are not needed any more from the attachment's consumer accept list".to_owned())
            }
            Self::Cuts { .. } => Some(
                "where they are to stay, give the accept list entries for them first; where not, reject them with --sever-connections"
                    .to_owned(),
            ),
            Self::TurnedAway => Some("where it is to be let in all the same, run the command again".to_owned()),
            Self::Forgets { .. } => Some(
                "set `accept_by: endpoint` and apply, or wait until the consumer has deleted those endpoints".to_owned(),
            ),
            Self::LetsIn { .. } => Some(
                "take their entries from the attachment's consumer accept list, or wait until the consumer has deleted those endpoints"
                    .to_owned(),
            ),
            Self::Gone | Self::Closed | Self::Nameless { .. } => None,
        }
    }
}

/// What every change of an attachment carries; two known faults of the API ask for the first two.
pub(crate) fn envelope(at: &At, latest: &Json) -> Json {
    json!({ "name": at.name, "enableProxyProtocol": flag(latest, "enableProxyProtocol"),
        "reconcileConnections": flag(latest, "reconcileConnections"), "fingerprint": text(latest, "fingerprint") })
}

/// The change after which an attachment does not reconcile its connections any more; nothing where it does not.
pub(crate) fn reconciling_no_more(at: &At, latest: &Json) -> Option<Json> {
    let mut body = envelope(at, latest);
    body[RECONCILES] = json!(false);
    flag(latest, RECONCILES).then_some(body)
}

/// The change that lets an endpoint in, and with it those alone that are decided on together; nothing where it is in already, or about
/// to be. The entries of others stay. One that was turned away comes in only while the attachment reconciles.
///
/// # Errors
/// [`Refused`], where it cannot or must not be let in.
pub(crate) fn let_in(
    at: &At,
    latest: &Json,
    connection: &ConnectionAction,
    by: GcpAcceptBy,
) -> Result<Option<Json>, Refused> {
    let endpoint = connections::endpoint(latest, &connection.id).ok_or(Refused::Gone)?;
    let state = connections::state(endpoint);
    match state {
        ConnectionState::Accepted | ConnectionState::NeedsAttention => return Ok(None),
        ConnectionState::Closed => return Err(Refused::Closed),
        ConnectionState::Rejected if connection.state != ConnectionState::Rejected => {
            return Err(Refused::TurnedAway);
        }
        ConnectionState::Pending | ConnectionState::Rejected | ConnectionState::Changing => {}
    }
    lists_count(latest)?;
    let switched = state == ConnectionState::Rejected && !flag(latest, RECONCILES);
    let (mut entries, endpoints) = (connections::entries(latest), list(latest, "connectedEndpoints"));
    if let Some(other) = entries.iter().find(|entry| entry.by() != by) {
        return Err(Refused::OtherType { there: other.by() });
    }
    let mut entry =
        connections::entry_for(endpoint, by).ok_or(Refused::Nameless { what: entry::word(by) })?;
    let rejected = texts(latest, "consumerRejectLists");
    let all_anew = decides_anew(latest, endpoint);
    let Rejects { entries: kept, forgotten } = others_rejects(latest, &entries, by, endpoint, all_anew);
    let along = come_along(latest, endpoint, &entry, all_anew.then_some(kept.as_slice()));
    let others: Vec<String> = along.iter().filter(|id| !connection.along.contains(id)).cloned().collect();
    if !others.is_empty() {
        return Err(Refused::Undecided { others });
    }
    // Room for as many as were decided on: the cloud itself is to let nobody in later.
    entry.limit_to(connections::live_of(&entry, endpoints) + along.len() + 1);
    if !add(&mut entries, entry, endpoint) && kept == rejected && !switched {
        return Ok(None);
    }
    if switched {
        concerns_nobody_else(latest, &entries, &kept, connection)?;
    }
    if all_anew && !forgotten.is_empty() {
        return Err(Refused::Forgets { others: forgotten.into_iter().collect() });
    }
    if kept.len() > MOST_REJECTED {
        return Err(Refused::Many { rejected: kept.len() });
    }
    if entries.len() > MOST_ACCEPTED {
        return Err(Refused::Crowded);
    }
    let mut body = envelope(at, latest);
    body["consumerAcceptLists"] = entries.iter().map(Entry::json).collect();
    if kept != rejected {
        body["consumerRejectLists"] = json!(kept);
    }
    if switched {
        body[RECONCILES] = json!(true);
    }
    Ok(Some(body))
}

/// Those who would come in together with this endpoint, by id: an entry for a whole consumer stands for them too.
pub(crate) fn company(latest: &Json, endpoint: &Json, by: GcpAcceptBy) -> BTreeSet<String> {
    let wide = (by != GcpAcceptBy::Endpoint).then(|| connections::entry_for(endpoint, by)).flatten();
    let Some(entry) = wide else { return BTreeSet::new() };
    let kept = decides_anew(latest, endpoint)
        .then(|| others_rejects(latest, &connections::entries(latest), by, endpoint, true).entries);
    come_along(latest, endpoint, &entry, kept.as_deref())
}

/// Whether to let an endpoint in has the attachment decide anew on those who were turned away: it reconciles, or has to for this one.
fn decides_anew(latest: &Json, endpoint: &Json) -> bool {
    flag(latest, RECONCILES) || connections::state(endpoint) == ConnectionState::Rejected
}

/// The endpoints that this entry lets in together with this one: those that wait, and those that are decided on anew and not kept out
/// by the reject list as it is then.
fn come_along(latest: &Json, endpoint: &Json, entry: &Entry, kept: Option<&[String]>) -> BTreeSet<String> {
    let stands_for = |url: &String, other: &Json| connections::stands_for(&Entry::rejected(url), other);
    let anew = |other: &Json| kept.is_some_and(|kept| !kept.iter().any(|url| stands_for(url, other)));
    connections::would_come_along(endpoint, entry, list(latest, "connectedEndpoints"), anew)
}

/// Fails where the attachment lets in whoever asks: it takes no lists then
/// (<https://cloud.google.com/vpc/docs/about-controlling-access-published-services>).
fn lists_count(latest: &Json) -> Result<(), Refused> {
    if connections::takes_everybody(latest) { Err(Refused::Everybody) } else { Ok(()) }
}

/// The reject list when this endpoint is let in by an entry of this type: nobody else comes off it.
fn others_rejects(latest: &Json, accept: &[Entry], by: GcpAcceptBy, endpoint: &Json, anew: bool) -> Rejects {
    let mut all = connections::bare(latest);
    for own in all.iter_mut().filter(|one| one.handle == connections::handle(endpoint)) {
        own.state = ConnectionState::Accepted;
    }
    let mut rejected = texts(latest, "consumerRejectLists");
    rejected.retain(|text| {
        let entry = Entry::rejected(text);
        // Of another type, it goes as well: but whoever else it stands for stays out.
        entry.by() != by || !connections::stands_for(&entry, endpoint)
    });
    keeping::rejects_beside(accept, by, &rejected, &all, anew)
}

/// To reconcile decides anew on all that are connected: it must be nobody's matter but that of the one that is let in.
fn concerns_nobody_else(
    latest: &Json,
    entries: &[Entry],
    kept: &[String],
    connection: &ConnectionAction,
) -> Result<(), Refused> {
    let all = connections::bare(latest);
    let cut = keeping::cut(entries, kept, &all);
    if !cut.is_empty() {
        return Err(Refused::Cuts { others: cut.into_iter().collect() });
    }
    let mut others = keeping::let_in_again(entries, kept, &all);
    others.retain(|id| *id != connection.id && !connection.along.contains(id));
    if others.is_empty() { Ok(()) } else { Err(Refused::LetsIn { others: others.into_iter().collect() }) }
}

/// Adds an entry for this endpoint, or raises the limit of the one that is there. Whether anything changed.
fn add(entries: &mut Vec<Entry>, new: Entry, endpoint: &Json) -> bool {
    let Some(there) = entries.iter_mut().find(|entry| connections::stands_for(entry, endpoint)) else {
        entries.push(new);
        return true;
    };
    match (there, &new) {
        (Entry::Project { limit, .. }, Entry::Project { limit: wanted, .. })
        | (Entry::Network { limit, .. }, Entry::Network { limit: wanted, .. }) => {
            let raised = *wanted > *limit;
            *limit = (*limit).max(*wanted);
            raised
        }
        _ => false,
    }
}

/// The change that turns an endpoint away: its entry goes, and it is put on the reject list. A live one is cut only while the
/// attachment reconciles. Nothing where that is so already.
///
/// # Errors
/// [`Refused::Everybody`], [`Refused::Full`], [`Refused::Nameless`], and where to cut a live one would let others ask again: [`Refused::Forgets`],
/// [`Refused::Many`].
pub(crate) fn turned_away(
    at: &At,
    latest: &Json,
    endpoint: &Json,
    by: GcpAcceptBy,
    live: bool,
) -> Result<Option<Json>, Refused> {
    lists_count(latest)?;
    let entries = connections::entries(latest);
    let mut rejected = texts(latest, "consumerRejectLists");
    let listed_by = connections::listed_by(latest, by);
    let what = entry::word(listed_by);
    let entry = connections::rejecting(latest, endpoint, by).ok_or(Refused::Nameless { what })?;
    let subject = entry.subject().to_owned();
    let kept: Vec<Entry> =
        entries.iter().filter(|entry| !connections::stands_for(entry, endpoint)).cloned().collect();
    let listed = rejected.iter().any(|url| path::same(url, &subject));
    if listed && kept.len() == entries.len() && (!live || flag(latest, RECONCILES)) {
        return Ok(None);
    }
    if !listed {
        if rejected.len() >= MOST_REJECTED {
            return Err(Refused::Full);
        }
        rejected.push(subject);
    }
    if live && !flag(latest, RECONCILES) {
        let all = connections::bare(latest);
        let beside = keeping::rejects_beside(&kept, listed_by, &rejected, &all, true);
        if !beside.forgotten.is_empty() {
            return Err(Refused::Forgets { others: beside.forgotten.into_iter().collect() });
        }
        rejected = beside.entries;
        if rejected.len() > MOST_REJECTED {
            return Err(Refused::Many { rejected: rejected.len() });
        }
    }
    let mut body = envelope(at, latest);
    body["consumerAcceptLists"] = kept.iter().map(Entry::json).collect();
    body["consumerRejectLists"] = json!(rejected);
    if live {
        body[RECONCILES] = json!(true);
    }
    Ok(Some(body))
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests;
