//! Who is connected to a service attachment: what its answer tells. Pure.

use std::collections::BTreeSet;

use privnet_core::accept::{Again, Besides, Company, Connection, ConnectionState, Identity, ServicePolicy};
use privnet_core::spec::gcp::GcpAcceptBy;

use crate::collection::{At, Collection};
use crate::entry::{self, Entry};
use crate::json::{Json, flag, list, number, text, texts};
use crate::keeping;
use crate::path;

/// What is said of each connection where nobody is decided on.
const TAKES_EVERYBODY: &str =
    "the attachment lets in whoever asks (`ACCEPT_AUTOMATIC`), whatever its lists and the file say";

/// All connections of an attachment whose lists name consumers like this, where they are empty.
pub(crate) fn of(attachment: &Json, by: GcpAcceptBy) -> Vec<Connection> {
    let (listed, rejected) = (entries(attachment), rejects(attachment));
    let endpoints = list(attachment, "connectedEndpoints");
    // Somebody set it so: then no list counts, and what is said of their entries would mislead.
    let takes_everybody = takes_everybody(attachment);
    let of = |endpoint: &Json| {
        let mut connection = connection(endpoint, &listed);
        // Nothing can be decided on what is closed for good.
        let along = match connection.state {
            ConnectionState::Closed => Along::default(),
            _ => Along::of(attachment, endpoint, by),
        };
        let away = (connection.state == ConnectionState::Rejected).then(|| turned_away(endpoint, &rejected));
        let of_attachment = match takes_everybody && connection.state != ConnectionState::Closed {
            true => vec![TAKES_EVERYBODY.to_owned()],
            false => along.notes(),
        };
        let notes = connection.note.take().into_iter().chain(away.flatten()).chain(of_attachment);
        let notes: Vec<String> = notes.collect();
        connection.cut_along = along.all();
        connection.note = (!notes.is_empty()).then(|| notes.join("; "));
        connection
    };
    endpoints.iter().map(of).collect()
}

/// Whether an attachment lets in whoever asks.
pub(crate) fn takes_everybody(attachment: &Json) -> bool {
    text(attachment, "connectionPreference") == Some("ACCEPT_AUTOMATIC")
}

/// What is said of a service whose attachment lets in whoever asks, also while nobody does: whose it is decides who sets that back.
pub(crate) fn said_of_one_that_takes_everybody(attachment: &Json, is_ours: bool) -> String {
    let what_to_do = if is_ours {
        "`privnet apply` sets that back".to_owned()
    } else {
        let At { name, project, place, .. } =
            At::of(Collection::ServiceAttachments, text(attachment, "selfLink").unwrap_or_default());
        // https://cloud.google.com/sdk/gcloud/reference/compute/service-attachments/update
        format!(
            "it is yours, and privnet leaves it so; `gcloud compute service-attachments update {name} --project {project} --region {place} \
             --connection-preference ACCEPT_MANUAL --consumer-accept-list PROJECT=LIMIT` sets that back, with whoever is to stay on the list"
        )
    };
    format!("{TAKES_EVERYBODY}: {what_to_do}")
}

/// The same without who goes along with whom, which each of them asks all the others for.
pub(crate) fn bare(attachment: &Json) -> Vec<Connection> {
    let listed = entries(attachment);
    list(attachment, "connectedEndpoints").iter().map(|endpoint| connection(endpoint, &listed)).collect()
}

/// The endpoints that go when one is turned away, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Along {
    /// Those that an entry for its project or network lets in together with it, where they are cut with it: the attachment reconciles, or has to,
    /// to cut a live one.
    pub(crate) siblings: BTreeSet<String>,
    /// The same where nobody is cut, since it is not in itself: they stay, and lose that entry.
    pub(crate) bereft: BTreeSet<String>,
    /// Those that nothing lets in any more, and that only last because the attachment does not reconcile: to cut a live one it must.
    pub(crate) unlisted: BTreeSet<String>,
    /// Those that were turned away, but that an entry stands for: they would come in when the attachment reconciles.
    pub(crate) let_in: BTreeSet<String>,
    /// Those that wait, and that its entry on the reject list stands for as well.
    pub(crate) waiting: BTreeSet<String>,
}

impl Along {
    /// Who goes with this endpoint.
    pub(crate) fn of(attachment: &Json, endpoint: &Json, by: GcpAcceptBy) -> Self {
        let (listed, endpoints) = (entries(attachment), list(attachment, "connectedEndpoints"));
        let (own, kept): (Vec<Entry>, Vec<Entry>) =
            listed.into_iter().partition(|entry| stands_for(entry, endpoint));
        let wide = |other: &Json| {
            own.iter().any(|entry| entry.by() != GcpAcceptBy::Endpoint && stands_for(entry, other))
        };
        let rejected = rejects(attachment);
        let lasts = |other: &Json| {
            let room = |entry: &Entry| entry.room().is_none_or(|room| live_of(entry, endpoints) <= room);
            kept.iter().any(|entry| stands_for(entry, other) && room(entry))
                && !rejected.iter().any(|entry| stands_for(entry, other))
        };
        let (is_live, reconciles) = (state(endpoint).may_be_live(), flag(attachment, "reconcileConnections"));
        let switched_on = is_live && !reconciles;
        let live = || endpoints.iter().filter(|other| state(other).may_be_live());
        let siblings = others(endpoint, live().filter(|other| wide(other)));
        let (siblings, bereft) = match is_live || reconciles {
            true => (siblings, BTreeSet::new()),
            false => (BTreeSet::new(), siblings),
        };
        let unlisted = others(endpoint, live().filter(|other| switched_on && !wide(other) && !lasts(other)));
        let turned_away = endpoints.iter().filter(|other| state(other) == ConnectionState::Rejected);
        let listed = |other: &Json| {
            let room = |entry: &Entry| entry.room().is_none_or(|room| live_of(entry, endpoints) < room);
            kept.iter().any(|entry| stands_for(entry, other) && room(entry))
                && !rejected.iter().any(|entry| stands_for(entry, other))
        };
        let let_in = others(endpoint, turned_away.filter(|other| switched_on && listed(other)));
        let entry = rejecting(attachment, endpoint, by);
        let with_it = |other: &&Json| {
            state(other) == ConnectionState::Pending
                && entry.as_ref().is_some_and(|entry| stands_for(entry, other))
        };
        let waiting = others(endpoint, endpoints.iter().filter(with_it));
        Self { siblings, bereft, unlisted, let_in, waiting }
    }

    /// All that are cut.
    pub(crate) fn all(&self) -> Vec<String> {
        self.siblings.union(&self.unlisted).cloned().collect()
    }

    /// That others would come in, and what to do about it: to cut this one refuses that.
    pub(crate) fn lets_in(&self, id: &str) -> Option<(String, &'static str)> {
        let ids = self.let_in.iter().cloned().collect::<Vec<_>>().join(", ");
        let message = format!(
            "to cut {id} the attachment reconciles its connections, which would let in {ids}: turned away, but on the accept list"
        );
        let hint =
            "take their entries from the accept list, or wait until the consumer has deleted those endpoints";
        (!ids.is_empty()).then_some((message, hint))
    }

    fn notes(&self) -> Vec<String> {
        let named = |ids: &BTreeSet<String>| ids.iter().cloned().collect::<Vec<_>>().join(", ");
        let siblings = (!self.siblings.is_empty()).then(|| {
            format!(
                "its entry stands for its whole consumer: to reject it cuts {} as well",
                named(&self.siblings)
            )
        });
        let bereft = (!self.bereft.is_empty()).then(|| {
            format!(
                "its entry stands for its whole consumer: to reject it takes that off the accept list, and {} stays connected without one",
                named(&self.bereft)
            )
        });
        let unlisted = (!self.unlisted.is_empty()).then(|| {
            format!(
                "to cut it the attachment reconciles its connections, which cuts {} as well: the accept list has no room for them",
                named(&self.unlisted)
            )
        });
        siblings.into_iter().chain(bereft).chain(unlisted).collect()
    }
}

/// The endpoints that this entry would let in together with this one, by id: those that wait, and those that are decided on anew.
pub(crate) fn would_come_along(
    endpoint: &Json,
    entry: &Entry,
    endpoints: &[Json],
    anew: impl Fn(&Json) -> bool,
) -> BTreeSet<String> {
    let waiting = endpoints.iter().filter(|other| match state(other) {
        ConnectionState::Pending => true,
        ConnectionState::Rejected => anew(other),
        _ => false,
    });
    others(endpoint, waiting.filter(|other| stands_for(entry, other)))
}

/// How many live endpoints an entry of the accept list stands for.
pub(crate) fn live_of(entry: &Entry, endpoints: &[Json]) -> usize {
    endpoints.iter().filter(|endpoint| state(endpoint).may_be_live() && stands_for(entry, endpoint)).count()
}

fn others<'a>(endpoint: &Json, found: impl Iterator<Item = &'a Json>) -> BTreeSet<String> {
    let own = psc_id(endpoint);
    found.map(psc_id).filter(|id| *id != own).collect()
}

/// Whether an entry of the accept list is about this endpoint.
pub(crate) fn stands_for(entry: &Entry, endpoint: &Json) -> bool {
    match entry {
        // An entry may have the number where the endpoint's URL has the id.
        Entry::Project { project, .. } => is_project(endpoint, project),
        Entry::Network { network, .. } => {
            self::network(endpoint).is_some_and(|own| path::same(&own, network))
        }
        Entry::Endpoint { endpoint: listed } => path::same(&handle(endpoint), listed),
    }
}

/// Whether an endpoint is in this project, by id or number.
fn is_project(endpoint: &Json, project: &str) -> bool {
    let urls = ["endpoint", "endpointWithId"].into_iter().filter_map(|key| text(endpoint, key));
    urls.filter_map(|url| path::after(url, "projects")).any(|found| found == project)
}

/// How many addresses of the NAT subnets are taken: one by each endpoint, and by each connection that is propagated from one
/// (<https://cloud.google.com/vpc/docs/about-vpc-hosted-services#nat-subnets>).
pub(crate) fn addresses_taken(attachment: &Json) -> i64 {
    let live = list(attachment, "connectedEndpoints").iter().filter(|one| state(one).may_be_live());
    live.map(|endpoint| 1 + number(endpoint, "propagatedConnectionCount").unwrap_or(0)).sum()
}

/// The entries of the accept list.
pub(crate) fn entries(attachment: &Json) -> Vec<Entry> {
    list(attachment, "consumerAcceptLists").iter().filter_map(Entry::of).collect()
}

/// The entries of the reject list.
pub(crate) fn rejects(attachment: &Json) -> Vec<Entry> {
    texts(attachment, "consumerRejectLists").iter().map(|text| Entry::rejected(text)).collect()
}

/// The entry that names an endpoint in this way, with room for it alone; nothing where the cloud does not say what it would name.
pub(crate) fn entry_for(endpoint: &Json, by: GcpAcceptBy) -> Option<Entry> {
    let limit = 1;
    match by {
        GcpAcceptBy::Endpoint => Some(Entry::Endpoint { endpoint: handle(endpoint) }),
        GcpAcceptBy::Project => project(endpoint).map(|project| Entry::Project { project, limit }),
        GcpAcceptBy::Network => network(endpoint).map(|network| Entry::Network { network, limit }),
    }
}

/// How the lists of an attachment name consumers: both have entries of one type, that of what is there before the file's.
pub(crate) fn listed_by(attachment: &Json, by: GcpAcceptBy) -> GcpAcceptBy {
    keeping::listed_by(&entries(attachment), &texts(attachment, "consumerRejectLists"), by)
}

/// The entry of the reject list that turns an endpoint away.
pub(crate) fn rejecting(attachment: &Json, endpoint: &Json, by: GcpAcceptBy) -> Option<Entry> {
    entry_for(endpoint, listed_by(attachment, by))
}

/// The connected endpoint of this `PSC_CONNECTION_ID`.
pub(crate) fn endpoint<'a>(attachment: &'a Json, id: &str) -> Option<&'a Json> {
    list(attachment, "connectedEndpoints").iter().find(|endpoint| psc_id(endpoint) == id)
}

/// The path that an accept list names it by: with the numeric id, so that a new endpoint of the same name is another.
pub(crate) fn handle(endpoint: &Json) -> String {
    let url = text(endpoint, "endpointWithId").or_else(|| text(endpoint, "endpoint"));
    path::of(url.unwrap_or_default())
}

/// The project that the endpoint is in.
pub(crate) fn project(endpoint: &Json) -> Option<String> {
    let url = text(endpoint, "endpoint").or_else(|| text(endpoint, "endpointWithId"))?;
    path::after(url, "projects").map(str::to_owned)
}

/// The path of the consumer's network.
pub(crate) fn network(endpoint: &Json) -> Option<String> {
    text(endpoint, "consumerNetwork").map(path::of)
}

/// The state that the cloud's word stands for (<https://cloud.google.com/vpc/docs/about-vpc-hosted-services#connection-statuses>).
pub(crate) fn state(endpoint: &Json) -> ConnectionState {
    match text(endpoint, "status") {
        Some("PENDING") => ConnectionState::Pending,
        Some("ACCEPTED") => ConnectionState::Accepted,
        Some("NEEDS_ATTENTION") => ConnectionState::NeedsAttention,
        Some("REJECTED") => ConnectionState::Rejected,
        Some("CLOSED") => ConnectionState::Closed,
        _ => ConnectionState::Changing,
    }
}

pub(crate) fn psc_id(endpoint: &Json) -> String {
    let id = endpoint.get("pscConnectionId");
    id.and_then(|id| id.as_str().map(str::to_owned).or_else(|| id.as_u64().map(|id| id.to_string())))
        .unwrap_or_default()
}

fn connection(endpoint: &Json, listed: &[Entry]) -> Connection {
    let state = state(endpoint);
    Connection {
        id: psc_id(endpoint),
        handle: handle(endpoint),
        identities: identities(endpoint),
        state,
        cloud_state: text(endpoint, "status").unwrap_or("UNKNOWN").to_owned(),
        since: None,
        note: note(endpoint, state, listed),
        cut_along: Vec::new(),
        company: Company::default(),
        again: if state == ConnectionState::Rejected { Again::LetIn } else { Again::Nothing },
        besides: Besides::default(),
        may_be_for: Vec::new(),
        resource: None,
    }
}

/// Why an endpoint was turned away, where the reject list says so, and how it comes in after all.
fn turned_away(endpoint: &Json, rejected: &[Entry]) -> Option<String> {
    let entry = rejected.iter().find(|entry| stands_for(entry, endpoint))?;
    let word = entry::word(entry.by());
    let named = match entry.by() {
        GcpAcceptBy::Endpoint => "it is on the attachment's reject list".to_owned(),
        _ => {
            format!("its {word} is on the attachment's reject list: whatever asks from there is turned away")
        }
    };
    Some(format!(
        "{named}; `privnet accept-pending --connection {}` takes that entry from the list, if the policy lets this one in",
        psc_id(endpoint)
    ))
}

/// The projects that a connection's identities name, by id or number: it is one project.
pub(crate) fn projects(connection: &Connection) -> Vec<String> {
    let spelled = connection.identities.iter().map(ToString::to_string);
    spelled.filter_map(|one| one.strip_prefix("project:").map(str::to_owned)).collect()
}

/// Whether a project is named by its number: an id begins with a letter
/// (<https://cloud.google.com/resource-manager/docs/creating-managing-projects>).
pub(crate) fn is_number(project: &str) -> bool {
    !project.is_empty() && project.bytes().all(|one| one.is_ascii_digit())
}

/// Of a stranger whom the cloud names by a number alone it is said how to tell whether it is one at all: the file may have the id.
pub(crate) fn say_that_a_number_is_all_that_is_known(connection: &mut Connection, policy: &ServicePolicy) {
    let named = projects(connection);
    let is_known =
        named.iter().any(|project| !is_number(project)) || policy.consumer_of(connection).is_some();
    let Some(number) = named.first().filter(|_| !is_known && connection.state != ConnectionState::Closed)
    else {
        return;
    };
    let said = format!(
        "Google names its project by the number {number} alone: `gcloud projects describe {number}` tells which it is, to whom has \
         `resourcemanager.projects.get` there; where it is a consumer's, write the number into its `projects` too"
    );
    connection.note = Some(connection.note.take().map_or(said.clone(), |note| format!("{note}; {said}")));
}

fn identities(endpoint: &Json) -> BTreeSet<Identity> {
    let urls = ["endpoint", "endpointWithId"].into_iter().filter_map(|key| text(endpoint, key));
    let projects = urls.filter_map(|url| path::after(url, "projects"));
    let mut identities: BTreeSet<Identity> =
        projects.map(|project| Identity::new("project", project)).collect();
    identities.extend(network(endpoint).map(|network| Identity::new("network", &network)));
    identities
}

fn note(endpoint: &Json, state: ConnectionState, listed: &[Entry]) -> Option<String> {
    match state {
        ConnectionState::NeedsAttention => Some(
            "it is let in, but does not work: often the NAT subnets have no address left (add a subnet to `nat_subnets`), or the consumer's network is at its limit"
                .to_owned(),
        ),
        ConnectionState::Closed => {
            Some("it is closed for good: the consumer must delete its endpoint and make a new one".to_owned())
        }
        ConnectionState::Pending => over_limit(endpoint, listed),
        _ => None,
    }
}

fn over_limit(endpoint: &Json, listed: &[Entry]) -> Option<String> {
    let limit = listed.iter().find_map(|entry| match entry {
        Entry::Project { limit, .. } | Entry::Network { limit, .. } if stands_for(entry, endpoint) => {
            Some(*limit)
        }
        _ => None,
    })?;
    Some(format!("its consumer is let in, but has its limit of {limit} connection(s) already"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BY: GcpAcceptBy = GcpAcceptBy::Endpoint;

    #[allow(clippy::needless_pass_by_value, reason = "a literal, at each call")]
    fn attachment(status: &str, accept: Json) -> Json {
        json!({ "consumerAcceptLists": accept, "connectedEndpoints": [{
            "endpoint": "https://www.googleapis.com/compute/v1/projects/fivetran-donkeys/regions/r/forwardingRules/ep",
            "endpointWithId": "https://www.googleapis.com/compute/v1/projects/323456789012/regions/r/forwardingRules/17",
            "consumerNetwork": "https://www.googleapis.com/compute/v1/projects/fivetran-donkeys/global/networks/n",
            "pscConnectionId": "12345678901234567890", "status": status }] })
    }

    #[test]
    fn projects_are_known_by_id_and_number() {
        let found = of(&attachment("PENDING", json!([])), BY);
        assert_eq!(found[0].id, "12345678901234567890");
        assert_eq!(found[0].handle, "projects/323456789012/regions/r/forwardingRules/17");
        let named: Vec<_> = found[0].identities.iter().map(ToString::to_string).collect();
        assert_eq!(
            named,
            [
                "network:projects/fivetran-donkeys/global/networks/n",
                "project:323456789012",
                "project:fivetran-donkeys"
            ]
        );
        assert!(found[0].note.is_none());
    }

    #[test]
    fn states_are_explained() {
        let listed = json!([{ "projectIdOrNum": "fivetran-donkeys", "connectionLimit": 1 }]);
        assert!(
            of(&attachment("PENDING", listed), BY)[0]
                .note
                .as_deref()
                .is_some_and(|n| n.contains("limit of 1"))
        );
        let closed = &of(&attachment("CLOSED", json!([])), BY)[0];
        assert!(closed.note.is_some() && !closed.state.may_be_live());
        let attention = &of(&attachment("NEEDS_ATTENTION", json!([])), BY)[0];
        assert!(attention.note.is_some() && attention.state.may_be_live());
        assert!(of(&attachment("SOMETHING_NEW", json!([])), BY)[0].state.may_be_live());
    }
    #[test]
    fn who_would_be_cut_along_is_named() {
        let mut two =
            attachment("ACCEPTED", json!([{ "projectIdOrNum": "323456789012", "connectionLimit": 2 }]));
        let mut other = two["connectedEndpoints"][0].clone();
        other["pscConnectionId"] = json!("77");
        two["connectedEndpoints"].as_array_mut().expect("a list").push(other);
        let notes: Vec<_> = of(&two, BY).into_iter().filter_map(|connection| connection.note).collect();
        assert!(notes.len() == 2 && notes[0].contains("cuts 77 as well"), "{notes:?}");
        two["consumerAcceptLists"] = json!([]);
        let notes: Vec<_> = of(&two, BY).into_iter().filter_map(|connection| connection.note).collect();
        assert!(
            notes.len() == 2 && notes[0].contains("reconciles its connections, which cuts 77 as well"),
            "{notes:?}"
        );
        two["reconcileConnections"] = json!(true);
        assert!(of(&two, BY).iter().all(|connection| connection.note.is_none()));
    }

    /// To turn away one that waits cuts nobody while the attachment does not reconcile.
    #[test]
    fn who_waits_is_turned_away_without_those_who_are_in() {
        let listed = json!([{ "projectIdOrNum": "323456789012", "connectionLimit": 1 }]);
        let mut two = attachment("ACCEPTED", listed);
        let mut waits = two["connectedEndpoints"][0].clone();
        (waits["pscConnectionId"], waits["status"]) = (json!("77"), json!("PENDING"));
        two["connectedEndpoints"].as_array_mut().expect("a list").push(waits);
        let by = GcpAcceptBy::Project;
        let found = of(&two, by).remove(1);
        assert!(found.cut_along.is_empty(), "{found:#?}");
        let note = found.note.unwrap_or_default();
        assert!(
            note.contains("12345678901234567890 stays connected") && !note.contains("reject it cuts"),
            "{note}"
        );
        two["reconcileConnections"] = json!(true);
        let found = of(&two, by).remove(1);
        assert_eq!(found.cut_along, ["12345678901234567890"]);
        assert!(found.note.is_some_and(|note| note.contains("reject it cuts 12345678901234567890")));
    }

    #[test]
    fn a_stranger_whom_the_cloud_names_by_number_alone_may_be_a_consumer() {
        use privnet_core::accept::ConsumerPolicy;
        let policy = |id: &str| {
            let consumer = ConsumerPolicy {
                name: "fivetran".to_owned(),
                identities: BTreeSet::from([Identity::new("project", id)]),
                max_connections: 1,
                only: BTreeSet::new(),
                preset: None,
            };
            ServicePolicy { service: "orders".to_owned(), consumers: vec![consumer], shared: false }
        };
        let note = |status: &str, url: &str, id: &str| {
            let mut all = attachment(status, json!([]));
            all["connectedEndpoints"][0]["endpoint"] =
                json!(format!("https://x/projects/{url}/regions/r/forwardingRules/e"));
            let mut found = of(&all, BY).remove(0);
            let before = found.note.clone();
            say_that_a_number_is_all_that_is_known(&mut found, &policy(id));
            found.note.filter(|note| Some(note) != before.as_ref())
        };
        let said = note("PENDING", "323456789012", "fivetran-donkeys").expect("it may be the consumer");
        assert!(
            said.contains("323456789012 alone") && said.contains("`resourcemanager.projects.get`"),
            "{said}"
        );
        assert_eq!(note("PENDING", "323456789012", "323456789012"), None, "by number no look-up is needed");
        assert_eq!(note("PENDING", "mallory-labs", "fivetran-donkeys"), None, "its id is another");
        assert_eq!(note("CLOSED", "323456789012", "fivetran-donkeys"), None);
    }

    /// No list counts there: what an entry stands for is not what lets anybody in.
    #[test]
    fn that_everybody_is_let_in_is_told() {
        let listed = json!([{ "projectIdOrNum": "323456789012", "connectionLimit": 2 }]);
        let mut two = attachment("ACCEPTED", listed);
        let mut other = two["connectedEndpoints"][0].clone();
        other["pscConnectionId"] = json!("77");
        two["connectedEndpoints"].as_array_mut().expect("a list").push(other);
        let cut: Vec<_> = of(&two, BY).into_iter().map(|connection| connection.cut_along).collect();
        two["connectionPreference"] = json!("ACCEPT_AUTOMATIC");
        let found = of(&two, BY);
        assert!(found.iter().all(|one| one.note.as_deref() == Some(TAKES_EVERYBODY)), "{found:#?}");
        assert_eq!(found.into_iter().map(|connection| connection.cut_along).collect::<Vec<_>>(), cut);
        two["connectionPreference"] = json!("ACCEPT_MANUAL");
        assert!(of(&two, BY).iter().all(|one| one.note.as_deref() != Some(TAKES_EVERYBODY)));
    }

    #[test]
    fn who_was_turned_away_comes_in_only_where_an_entry_has_room() {
        let mut all = attachment("ACCEPTED", json!([]));
        let own = all["connectedEndpoints"][0].clone();
        let other = |id: &str, status: &str| {
            let path = format!("https://c/projects/acme-reader/regions/r/forwardingRules/{id}");
            json!({ "endpoint": path, "pscConnectionId": id, "status": status })
        };
        all["connectedEndpoints"] = json!([own, other("77", "ACCEPTED"), other("78", "REJECTED")]);
        for (limit, let_in) in [(1, 0), (2, 1)] {
            all["consumerAcceptLists"] =
                json!([{ "projectIdOrNum": "acme-reader", "connectionLimit": limit }]);
            assert_eq!(Along::of(&all, &own, GcpAcceptBy::Project).let_in.len(), let_in, "{limit}");
        }
    }

    #[test]
    fn of_what_is_closed_for_good_nothing_else_is_said() {
        let mut two =
            attachment("CLOSED", json!([{ "projectIdOrNum": "fivetran-donkeys", "connectionLimit": 2 }]));
        let mut sibling = two["connectedEndpoints"][0].clone();
        (sibling["pscConnectionId"], sibling["status"]) = (json!("77"), json!("ACCEPTED"));
        two["connectedEndpoints"].as_array_mut().expect("a list").push(sibling);
        let closed = &of(&two, BY)[0];
        assert!(
            closed
                .note
                .as_deref()
                .is_some_and(|note| note.ends_with("delete its endpoint and make a new one"))
        );
        assert!(closed.cut_along.is_empty(), "{closed:?}");
    }

    #[test]
    fn propagated_connections_take_addresses_too() {
        let mut one = attachment("ACCEPTED", json!([]));
        assert_eq!(addresses_taken(&one), 1);
        one["connectedEndpoints"][0]["propagatedConnectionCount"] = json!(3);
        assert_eq!(addresses_taken(&one), 4);
        assert_eq!(addresses_taken(&attachment("PENDING", json!([]))), 0);
    }
}
