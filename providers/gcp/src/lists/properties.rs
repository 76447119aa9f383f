//! What holds for every attachment and every decision: whoever the cloud could let in because of it was decided on, whoever it could
//! cut was named, and the entries of others stay. The cloud here is its documents' rules, in whatever order it looks at endpoints.

use privnet_core::accept::{Ask, Connection, ConsumerPolicy, Identity, ServicePolicy, Verdict, decide};
use proptest::prelude::*;

use super::*;
use crate::besides;
use crate::collection::Collection;

/// An endpoint of one of three projects, in one of two networks of it.
#[derive(Clone, Debug)]
struct Made {
    project: usize,
    network: usize,
    status: &'static str,
}

fn made() -> impl Strategy<Value = Made> {
    let status = prop_oneof![
        4 => Just("PENDING"), 3 => Just("ACCEPTED"), 1 => Just("REJECTED"), 1 => Just("NEEDS_ATTENTION"), 1 => Just("CLOSED"),
    ];
    (0..3_usize, 0..2_usize, status).prop_map(|(project, network, status)| Made { project, network, status })
}

/// As the API shows the nth endpoint: the project's id in one URL, its number in the other.
fn shown(nth: usize, made: &Made) -> Json {
    let Made { project, network, status } = made;
    json!({ "endpoint": format!("https://x/projects/p-{project}/regions/r/forwardingRules/ep-{nth}"),
        "endpointWithId": format!("https://x/projects/100{project}/regions/r/forwardingRules/7{nth}"),
        "consumerNetwork": format!("https://x/projects/p-{project}/global/networks/n-{network}"),
        "pscConnectionId": id(nth), "status": status })
}

fn id(nth: usize) -> String {
    format!("900{nth}")
}

/// An entry of one type: a project by id or number, a network, or the nth endpoint.
fn entry(by: GcpAcceptBy, of: usize, other: usize, limit: i64) -> Entry {
    match by {
        GcpAcceptBy::Project if other.is_multiple_of(2) => {
            Entry::Project { project: format!("p-{of}"), limit }
        }
        GcpAcceptBy::Project => Entry::Project { project: format!("100{of}"), limit },
        GcpAcceptBy::Network => {
            let network = format!("projects/p-{of}/global/networks/n-{}", other % 2);
            Entry::Network { network, limit }
        }
        GcpAcceptBy::Endpoint => {
            let endpoint = format!("projects/100{of}/regions/r/forwardingRules/7{other}");
            Entry::Endpoint { endpoint }
        }
    }
}

fn rejected(entry: &Entry) -> String {
    match entry {
        Entry::Project { project, .. } => project.clone(),
        Entry::Network { network, .. } => network.clone(),
        Entry::Endpoint { endpoint } => endpoint.clone(),
    }
}

fn types() -> impl Strategy<Value = GcpAcceptBy> {
    prop_oneof![Just(GcpAcceptBy::Endpoint), Just(GcpAcceptBy::Project), Just(GcpAcceptBy::Network)]
}

prop_compose! {
    /// An attachment with lists of one type, and the file's: after an edit that is another one, until something is written.
    fn attachment()(
        by in types(),
        edited in proptest::option::weighted(0.3, types()),
        endpoints in proptest::collection::vec(made(), 1..7),
        accept in prop_oneof![
            Just(Vec::new()), proptest::collection::vec((0..3_usize, 0..6_usize, 1..4_i64), 0..4),
        ],
        reject in proptest::collection::vec((0..3_usize, 0..6_usize), 0..2),
        reconcile in any::<bool>(),
    ) -> (GcpAcceptBy, Json) {
        let endpoints: Vec<Json> = endpoints.iter().enumerate().map(|(nth, made)| shown(nth, made)).collect();
        let accept: Vec<Json> = accept.into_iter().map(|(of, other, limit)| entry(by, of, other, limit).json()).collect();
        let reject: Vec<String> = reject.into_iter().map(|(of, other)| rejected(&entry(by, of, other, 0))).collect();
        (edited.unwrap_or(by), json!({ "name": "a", "fingerprint": "f", "enableProxyProtocol": false, "reconcileConnections": reconcile,
            "connectedEndpoints": endpoints, "consumerAcceptLists": accept, "consumerRejectLists": reject }))
    }
}

fn at() -> At {
    At::of(Collection::ServiceAttachments, "projects/p/regions/r/serviceAttachments/a")
}

fn live(endpoint: &Json) -> bool {
    connections::state(endpoint).may_be_live()
}

fn name(endpoint: &Json) -> String {
    text(endpoint, "pscConnectionId").unwrap().to_owned()
}

/// The attachment after a change of it.
fn after(before: &Json, change: &Json) -> Json {
    let mut after = before.clone();
    for (key, value) in change.as_object().unwrap() {
        after[key] = value.clone();
    }
    after
}

fn is_rejected(attachment: &Json, endpoint: &Json) -> bool {
    let listed = texts(attachment, "consumerRejectLists");
    listed.iter().any(|text| connections::stands_for(&Entry::rejected(text), endpoint))
}

/// Whom the cloud could let in now, whatever it looks at first.
fn could_be_let_in(attachment: &Json) -> BTreeSet<String> {
    let endpoints = list(attachment, "connectedEndpoints");
    let reconciles = flag(attachment, "reconcileConnections");
    let undecided = |endpoint: &&Json| match connections::state(endpoint) {
        ConnectionState::Pending => true,
        ConnectionState::Rejected => reconciles,
        _ => false,
    };
    let has_room = |endpoint: &Json| {
        connections::entries(attachment).iter().any(|entry| {
            let taken = connections::live_of(entry, endpoints);
            connections::stands_for(entry, endpoint) && entry.room().is_none_or(|room| taken < room)
        })
    };
    let found =
        endpoints.iter().filter(undecided).filter(|one| !is_rejected(attachment, one) && has_room(one));
    found.map(name).collect()
}

/// Whom the cloud could cut now: while it reconciles, whoever is rejected, or for whom no entry is sure to have room.
fn could_be_cut(attachment: &Json) -> BTreeSet<String> {
    let endpoints = list(attachment, "connectedEndpoints");
    let sure = |endpoint: &Json| {
        connections::entries(attachment).iter().any(|entry| {
            let taken = connections::live_of(entry, endpoints);
            connections::stands_for(entry, endpoint) && entry.room().is_none_or(|room| taken <= room)
        })
    };
    let cut = |one: &&Json| live(one) && (is_rejected(attachment, one) || !sure(one));
    let reconciles = flag(attachment, "reconcileConnections");
    endpoints.iter().filter(|one| reconciles && cut(one)).map(name).collect()
}

/// Who was turned away and could wait again now, so that somebody may decide to let it in.
fn could_wait_again(attachment: &Json) -> BTreeSet<String> {
    let away =
        |one: &&Json| connections::state(one) == ConnectionState::Rejected && !is_rejected(attachment, one);
    let reconciles = flag(attachment, "reconcileConnections");
    list(attachment, "connectedEndpoints").iter().filter(|one| reconciles && away(one)).map(name).collect()
}

fn decision(nth: usize, along: Vec<String>) -> ConnectionAction {
    ConnectionAction {
        id: id(nth),
        handle: id(nth),
        consumer: Some("acme".to_owned()),
        who: String::new(),
        preset: None,
        state: ConnectionState::Pending,
        sever: true,
        along,
        besides: Vec::new(),
        entries: None,
        cut: Vec::new(),
        turned_away: Vec::new(),
    }
}

prop_compose! {
    /// Consumers that are a project or a network of it, which may be the same one's.
    fn policy()(
        consumers in proptest::collection::vec(
            (0..3_usize, proptest::option::of(0..2_usize), 0..4_u32, proptest::option::weighted(0.2, 0..6_usize)), 1..4),
    ) -> ServicePolicy {
        let consumer = |(nth, (project, network, max, only)): (usize, (usize, Option<usize>, u32, Option<usize>))| ConsumerPolicy {
            name: format!("c{nth}"),
            identities: [network.map_or_else(
                || Identity::new("project", &format!("p-{project}")),
                |network| Identity::new("network", &format!("projects/p-{project}/global/networks/n-{network}")),
            )].into(),
            max_connections: max,
            only: only.map(id).into_iter().collect(),
            preset: None,
        };
        let consumers = consumers.into_iter().enumerate().map(consumer).collect();
        ServicePolicy { service: "orders".to_owned(), consumers, shared: false }
    }
}

/// The cloud lets in whom its lists let in, one after the other.
fn settle(attachment: &mut Json) {
    while let Some(next) = could_be_let_in(attachment).pop_first() {
        let all = attachment["connectedEndpoints"].as_array_mut().unwrap();
        all.iter_mut().find(|one| name(one) == next).unwrap()["status"] = json!("ACCEPTED");
    }
}

/// Who is connected, as a plan of decisions sees it.
fn planned(attachment: &Json, by: GcpAcceptBy) -> Vec<Connection> {
    let mut all = connections::of(attachment, by);
    for (connection, endpoint) in all.iter_mut().zip(list(attachment, "connectedEndpoints")) {
        connection.besides = besides::of(attachment, endpoint, by, true);
        connection.company = besides::company(attachment, endpoint, by, true);
    }
    all
}

fn live_ids(attachment: &Json) -> BTreeSet<String> {
    list(attachment, "connectedEndpoints").iter().filter(|one| live(one)).map(name).collect()
}

proptest! {
    /// What is decided by the file's rule is carried out as it was planned: nobody else comes in, and no acceptance is found to be one of
    /// others as well when it is about to be made.
    #[test]
    fn who_comes_in_together_is_known_to_the_plan(
        (by, mut attachment) in attachment(), policy in policy(), chosen in proptest::option::of(0..6_usize), again in any::<bool>(),
    ) {
        settle(&mut attachment);
        let ask = Ask { connection: chosen.map(id), reject_others: false, again };
        let decisions = decide(&policy, &planned(&attachment, by), &ask);
        let let_in: BTreeSet<String> = decisions.iter().filter(|one| one.verdict == Verdict::Accepted)
            .map(|one| one.connection.clone()).collect();
        let before = live_ids(&attachment);
        let reconciles = flag(&attachment, RECONCILES);
        for one in decisions.iter().filter(|one| one.verdict == Verdict::Accepted) {
            let along = let_in.iter().filter(|id| **id != one.connection).cloned().collect();
            let action = ConnectionAction { id: one.connection.clone(), state: one.state, along, ..decision(0, Vec::new()) };
            match super::let_in(&at(), &attachment, &action, by) {
                Err(why) => prop_assert!(false, "{} was planned: {why}: {attachment:#}", one.connection),
                Ok(change) => {
                    attachment = change.map_or_else(|| attachment.clone(), |change| after(&attachment, &change));
                    settle(&mut attachment);
                    attachment[RECONCILES] = json!(reconciles);
                }
            }
            let own = connections::endpoint(&attachment, &one.connection).is_some_and(live);
            prop_assert!(own, "{} is not in: {attachment:#}", one.connection);
        }
        let now = live_ids(&attachment);
        prop_assert_eq!(now.difference(&before).cloned().collect::<BTreeSet<_>>(), let_in, "{:#}", attachment);
    }

    #[test]
    fn only_who_was_decided_on_can_be_let_in((by, before) in attachment(), nth in 0..6_usize, also in 0..64_u32) {
        let count = list(&before, "connectedEndpoints").len();
        let nth = nth % count;
        // Decided on together: any of the others that ask.
        let along = (0..count).filter(|other| *other != nth && also & (1 << other) != 0).map(id).collect();
        let own = connections::endpoint(&before, &id(nth)).map(connections::state);
        // As the plan saw it, or as it was before somebody turned it away.
        let seen = own.filter(|_| also % 2 == 0).unwrap_or(ConnectionState::Pending);
        let wanted = ConnectionAction { state: seen, ..decision(nth, along) };
        let overruled = seen == ConnectionState::Pending && own == Some(ConnectionState::Rejected);
        prop_assert!(!overruled || let_in(&at(), &before, &wanted, by).is_err());
        if let Ok(Some(change)) = let_in(&at(), &before, &wanted, by) {
            let after = after(&before, &change);
            let mut meant: BTreeSet<String> = could_be_let_in(&before);
            meant.extend(wanted.along.iter().cloned().chain([wanted.id.clone()]));
            let now = could_be_let_in(&after);
            prop_assert!(now.is_subset(&meant), "{now:?} and not only {meant:?}: {after:#}");
            let asks = connections::endpoint(&before, &wanted.id).is_some_and(|own| {
                matches!(connections::state(own), ConnectionState::Pending | ConnectionState::Rejected)
            });
            prop_assert!(!asks || now.contains(&wanted.id), "it is not let in: {after:#}");
            for entry in connections::entries(&before) {
                let same = |other: &Entry| {
                    rejected(other) == rejected(&entry) && other.room().is_none_or(|room| Some(room) >= entry.room())
                };
                prop_assert!(connections::entries(&after).iter().any(same), "{entry:?} went");
            }
            prop_assert!(could_be_cut(&after).is_subset(&could_be_cut(&before)));
            let mut again = could_wait_again(&before);
            again.insert(wanted.id.clone());
            let now = could_wait_again(&after);
            prop_assert!(now.is_subset(&again), "{now:?} and not only {again:?}: {after:#}");
        }
    }

    #[test]
    fn only_who_was_named_can_be_cut((by, before) in attachment(), nth in 0..6_usize) {
        let endpoints = list(&before, "connectedEndpoints");
        let endpoint = &endpoints[nth % endpoints.len()];
        let along = connections::Along::of(&before, endpoint, by);
        let mut named: BTreeSet<String> = along.all().into_iter().collect();
        // Then it is not done at all.
        prop_assume!(along.let_in.is_empty());
        named.extend([name(endpoint)]);
        named.extend(could_be_cut(&before));
        if let Ok(Some(change)) = turned_away(&at(), &before, endpoint, by, live(endpoint)) {
            let after = after(&before, &change);
            let cut = could_be_cut(&after);
            prop_assert!(cut.is_subset(&named), "{cut:?} and not only {named:?}: {after:#}");
            prop_assert!(!live(endpoint) || cut.contains(&name(endpoint)), "it is not cut: {after:#}");
            prop_assert!(could_be_let_in(&after).is_subset(&could_be_let_in(&before)));
            prop_assert!(could_wait_again(&after).is_subset(&could_wait_again(&before)), "{after:#}");
            // Who waits is turned away as well only where that was said.
            let waits = |one: &&Json| connections::state(one) == ConnectionState::Pending;
            let turned_away: BTreeSet<String> =
                endpoints.iter().filter(waits).filter(|one| is_rejected(&after, one) && !is_rejected(&before, one)).map(name).collect();
            let mut said = along.waiting;
            said.extend([name(endpoint)]);
            prop_assert!(turned_away.is_subset(&said), "{turned_away:?} and not only {said:?}: {after:#}");
        }
    }
}
