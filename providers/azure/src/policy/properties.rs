//! What holds for every set of requests: who is let in depends on the endpoint's resource id alone, without case, and look-alikes
//! of a consumer are strangers.

use std::collections::BTreeSet;

use privnet_core::accept::{Ask, Connection, ConnectionState, Verdict, decide};
use privnet_core::spec::{Acceptance, Spec};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::connection::parse;
use crate::testing::{consumer_of, hosted_spec};

const CONSUMER: &str = "11111111-2222-3333-4444-55555555abcd";

/// Where an endpoint is, from the consumer's own subscription to those that look like it.
#[derive(Clone, Debug)]
enum From {
    Consumer,
    /// One character of the id is another one.
    Near(usize),
    /// The consumer's id stands in another place of the id.
    Named,
    /// The consumer's id with something before or after it.
    Longer(bool),
    /// The id has one group less.
    Shorter,
}

fn place() -> impl Strategy<Value = From> {
    prop_oneof![
        3 => Just(From::Consumer),
        1 => (0..CONSUMER.len()).prop_map(From::Near),
        1 => Just(From::Named),
        1 => any::<bool>().prop_map(From::Longer),
        1 => Just(From::Shorter),
    ]
}

/// The resource id of the nth endpoint.
fn id_of(nth: usize, from: &From) -> String {
    let (subscription, group) = match from {
        From::Consumer => (CONSUMER.to_owned(), "vendor"),
        From::Near(at) => {
            let other = |(index, c): (usize, char)| match c {
                c if index != *at => c,
                '0' | '-' => '9',
                _ => '0',
            };
            (CONSUMER.chars().enumerate().map(other).collect(), "vendor")
        }
        From::Named => ("99999999-2222-3333-4444-555555555555".to_owned(), CONSUMER),
        From::Longer(before) if *before => (format!("0{CONSUMER}"), "vendor"),
        From::Longer(_) => (format!("{CONSUMER}0"), "vendor"),
        From::Shorter => (CONSUMER.rsplit_once('-').unwrap().0.to_owned(), "vendor"),
    };
    format!(
        "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/privateEndpoints/pe-{nth}"
    )
}

#[derive(Clone, Debug)]
struct Asks {
    from: From,
    status: &'static str,
    upper: bool,
}

fn asks() -> impl Strategy<Value = Vec<Asks>> {
    let status = prop_oneof![4 => Just("Pending"), 1 => Just("Approved"), 1 => Just("Rejected"), 1 => Just("Disconnected")];
    let one = (place(), status, any::<bool>()).prop_map(|(from, status, upper)| Asks { from, status, upper });
    proptest::collection::vec(one, 0..7)
}

/// The connections as ARM shows them. Each has a name that speaks for the consumer, which the one who asks chooses.
fn shown(asks: &[Asks], upper: impl Fn(&Asks) -> bool) -> Vec<Connection> {
    let one = |(nth, asked): (usize, &Asks)| {
        let id = id_of(nth, &asked.from);
        let id = if upper(asked) { id.to_uppercase() } else { id };
        let name = format!("pe-{nth}.{CONSUMER}");
        parse(&json!({"id": format!("/s/privateEndpointConnections/{name}"), "name": name, "properties": {
            "privateEndpoint": {"id": id},
            "privateLinkServiceConnectionState": {"status": asked.status, "description": CONSUMER}}}))
        .unwrap()
    };
    asks.iter().enumerate().map(one).collect()
}

fn file(room: u32, only: Option<usize>) -> Spec {
    let mut spec = hosted_spec(&[("acme", consumer_of(&[CONSUMER]))]);
    for allow in spec.services[0].allow.values_mut() {
        allow.max_connections = room.try_into().unwrap();
        allow.only = only.map(|nth| id_of(nth, &From::Consumer)).into_iter().collect();
    }
    spec
}

fn accepted(spec: &Spec, connections: &[Connection], ask: &Ask) -> BTreeSet<String> {
    let decisions = decide(&of(spec, &spec.services[0]), connections, ask);
    let accepted = decisions.into_iter().filter(|decision| decision.verdict == Verdict::Accepted);
    accepted.map(|decision| decision.connection.to_lowercase()).collect()
}

proptest! {
    #[test]
    fn who_is_let_in_is_the_named_consumer_within_its_room(asks in asks(), room in 1_u32..4, only in proptest::option::of(0_usize..7)) {
        let spec = file(room, only);
        let connections = shown(&asks, |asked| asked.upper);
        let accepted = accepted(&spec, &connections, &Ask::default());
        for (nth, asked) in asks.iter().enumerate() {
            let is_in = accepted.contains(&id_of(nth, &asked.from).to_lowercase());
            prop_assert!(!is_in || matches!(asked.from, From::Consumer), "{asked:?} is a stranger");
            prop_assert!(!is_in || asked.status == "Pending");
            prop_assert!(!is_in || only.is_none_or(|only| only == nth), "{nth} was not named");
        }
        // What was let in before, by whomever, takes room too.
        let held = connections.iter().zip(&asks).filter(|(connection, asked)| {
            connection.state == ConnectionState::Accepted && matches!(asked.from, From::Consumer)
        });
        prop_assert!(accepted.is_empty() || accepted.len() + held.count() <= room as usize);
    }

    #[test]
    fn case_means_nothing(asks in asks(), room in 1_u32..4, only in proptest::option::of(0_usize..7)) {
        let spec = file(room, only);
        let [lower, upper, mixed] = [
            accepted(&spec, &shown(&asks, |_| false), &Ask::default()),
            accepted(&spec, &shown(&asks, |_| true), &Ask::default()),
            accepted(&spec, &shown(&asks, |asked| asked.upper), &Ask::default()),
        ];
        prop_assert_eq!(&lower, &upper);
        prop_assert_eq!(&lower, &mixed);
    }

    #[test]
    fn on_what_is_shared_nobody_is_turned_away_and_a_stranger_is_not_let_in_by_being_named(asks in asks(), which in 0_usize..7) {
        let spec = file(1, None);
        let connections = shown(&asks, |asked| asked.upper);
        let everybody = Ask { reject_others: true, ..Ask::default() };
        let decisions = decide(&of(&spec, &spec.services[0]), &connections, &everybody);
        prop_assert!(decisions.iter().all(|decision| decision.verdict != Verdict::Rejected));
        if let (Some(asked), Some(connection)) = (asks.get(which), connections.get(which)) {
            let named = Ask { connection: Some(connection.id.clone()), reject_others: false, again: true };
            let accepted = accepted(&spec, &connections, &named);
            prop_assert!(accepted.is_empty() || (accepted.len() == 1 && matches!(asked.from, From::Consumer)));
        }
    }

    #[test]
    fn the_cloud_lets_in_nobody_who_may_not_ask(
        anyone in any::<bool>(), automatic in any::<bool>(), wildcard in any::<bool>(), whole in any::<bool>(),
        endpoints in proptest::collection::vec(prop_oneof![Just(From::Consumer), (0..8_usize).prop_map(From::Near)], 0..3),
    ) {
        let mut subscriptions = if whole { vec![CONSUMER] } else { Vec::new() };
        subscriptions.extend(wildcard.then_some("*"));
        let mut consumer = consumer_of(&subscriptions);
        let named = endpoints.iter().enumerate().map(|(nth, from)| id_of(nth, from).parse().unwrap());
        consumer.azure.as_mut().unwrap().endpoints = named.collect();
        let mut spec = hosted_spec(&[("acme", consumer)]);
        spec.services[0].allow_anyone = anyone;
        spec.services[0].acceptance = if automatic { Acceptance::Automatic } else { Acceptance::Manual };
        let lists = lists(&spec, &spec.services[0]);
        prop_assert!(lists.auto_approval.is_subset(&lists.visibility));
        prop_assert_eq!(lists.visibility.contains("*"), anyone && wildcard);
        // Whoever is named by an endpoint may ask, and its subscription's other endpoints are nobody's word.
        let in_by_itself = if whole && automatic { BTreeSet::from([CONSUMER.to_owned()]) } else { BTreeSet::new() };
        prop_assert_eq!(lists.auto_approval, in_by_itself);
        for (nth, from) in endpoints.iter().enumerate() {
            prop_assert!(lists.visibility.contains(id_of(nth, from).split('/').nth(2).unwrap()));
        }
    }
}
