//! What holds for every set of requests: who is let in depends on the project's number or id alone, and look-alikes of a consumer are
//! strangers; what an automatic service tells the cloud is the file's consumers and no more.

use std::collections::BTreeSet;

use privnet_core::accept::{Ask, Connection, ConnectionState, Verdict, decide};
use privnet_core::spec::{CloudService, Spec, decode};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const PROJECT: &str = "fivetran-donkeys";
const NUMBER: u64 = 323_456_789_012;

/// Where an endpoint is, from the consumer's own project to those that look like it.
#[derive(Clone, Debug)]
enum From {
    Consumer,
    /// One character of the id is another one.
    Near(usize),
    /// One digit of the number is another one.
    NearNumber(u32),
    /// The consumer's id with something before or after it.
    Longer(bool),
    /// The consumer's id is the name of the network and of the endpoint.
    Named,
}

fn place() -> impl Strategy<Value = From> {
    prop_oneof![
        3 => Just(From::Consumer),
        1 => (0..PROJECT.len()).prop_map(From::Near),
        1 => (0..12_u32).prop_map(From::NearNumber),
        1 => any::<bool>().prop_map(From::Longer),
        1 => Just(From::Named),
    ]
}

#[derive(Clone, Debug)]
struct Asks {
    from: From,
    status: &'static str,
    /// Whether the URL with the endpoint's number has the project's too.
    by_number: bool,
}

fn asks() -> impl Strategy<Value = Vec<Asks>> {
    let status = prop_oneof![
        4 => Just("PENDING"), 1 => Just("ACCEPTED"), 1 => Just("REJECTED"), 1 => Just("CLOSED"), 1 => Just("NEEDS_ATTENTION"),
    ];
    let one = (place(), status, any::<bool>()).prop_map(|(from, status, by_number)| Asks {
        from,
        status,
        by_number,
    });
    proptest::collection::vec(one, 0..7)
}

fn id(nth: usize) -> String {
    format!("1234567890123456789{nth}")
}

/// The endpoints as the attachment shows them.
fn shown(asks: &[Asks]) -> Vec<Connection> {
    let one = |(nth, asked): (usize, &Asks)| {
        let (id_of, number) = match &asked.from {
            From::Consumer => (PROJECT.to_owned(), NUMBER),
            From::Near(at) => {
                let other = |(index, c)| {
                    if index != *at {
                        c
                    } else if c == 'x' {
                        'y'
                    } else {
                        'x'
                    }
                };
                (PROJECT.chars().enumerate().map(other).collect(), 999)
            }
            From::NearNumber(at) => {
                let step = 10_u64.pow(*at);
                (
                    "mallory-labs".to_owned(),
                    if (NUMBER / step).is_multiple_of(10) { NUMBER + step } else { NUMBER - step },
                )
            }
            From::Longer(true) => (format!("x{PROJECT}"), NUMBER * 10),
            From::Longer(false) => (format!("{PROJECT}-1"), NUMBER / 10),
            From::Named => ("mallory-labs".to_owned(), 999),
        };
        let second = if asked.by_number { number.to_string() } else { id_of.clone() };
        json!({ "endpoint": format!("https://x/projects/{id_of}/regions/r/forwardingRules/{PROJECT}"),
            "endpointWithId": format!("https://x/projects/{second}/regions/r/forwardingRules/7{nth}"),
            "consumerNetwork": format!("https://x/projects/{id_of}/global/networks/{PROJECT}"),
            "pscConnectionId": id(nth), "status": asked.status })
    };
    let endpoints: Vec<_> = asks.iter().enumerate().map(one).collect();
    crate::connections::of(&json!({ "connectedEndpoints": endpoints }), GcpAcceptBy::Project)
}

/// A file whose consumer is named like this.
fn file(named: &str, allow: &str, more: &str) -> Spec {
    let text = format!(
        "version: 1
deployment: stage
consumers: {{ acme: {{ gcp: {{ projects: {named} }} }} }}
services:
  - name: orders
    allow: {{ acme: {{ {allow} }} }}
{more}    gcp:
      project: acme-data
      region: us-east4
      network: prod
      subnet: ilb
      nat_subnets: [{{ create: {{ cidr: 10.8.0.0/24 }} }}]
      ports: [{{ listen: 5432, to: {{ instances: [zones/us-east4-b/instances/db-1] }} }}]
"
    );
    decode("test.yaml", &text).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn manual(named: &str, room: u32, only: Option<usize>) -> Spec {
    let only = only.map(|nth| format!(", only: [\"{}\"]", id(nth))).unwrap_or_default();
    file(named, &format!("max_connections: {room}{only}"), "")
}

fn accepted(spec: &Spec, connections: &[Connection], ask: &Ask) -> BTreeSet<String> {
    let decisions = decide(&of(spec, &spec.services[0], &known()), connections, ask);
    let accepted = decisions.into_iter().filter(|decision| decision.verdict == Verdict::Accepted);
    accepted.map(|decision| decision.connection).collect()
}

/// What an observation learns of a project that is named by number.
fn known() -> World {
    let mut world = World::default();
    world.facts.insert(facts::PROJECTS.to_owned(), json!({ NUMBER.to_string(): PROJECT }));
    world
}

#[test]
fn a_project_by_id_and_number_is_told_once() {
    let named = format!("[{PROJECT}, \"{NUMBER}\"]");
    let spec = file(&named, "max_connections: 2", "    acceptance: automatic\n");
    let found = automatic(&spec, &spec.services[0], GcpAcceptBy::Project, &known());
    assert!(found.nameless.is_empty() && found.several.is_empty(), "{found:?}");
    assert_eq!(found.entries.len(), 1, "{found:?}");
}

fn by_id() -> String {
    format!("[{PROJECT}]")
}

fn by_number() -> String {
    format!("[\"{NUMBER}\"]")
}

proptest! {
    #[test]
    fn who_is_let_in_is_the_named_consumer_within_its_room(
        asks in asks(), room in 1_u32..4, only in proptest::option::of(0_usize..7), number in any::<bool>(),
    ) {
        let spec = manual(&if number { by_number() } else { by_id() }, room, only);
        let connections = shown(&asks);
        let accepted = accepted(&spec, &connections, &Ask::default());
        for (nth, asked) in asks.iter().enumerate() {
            let is_in = accepted.contains(&id(nth));
            prop_assert!(!is_in || matches!(asked.from, From::Consumer), "{asked:?} is a stranger");
            prop_assert!(!is_in || asked.status == "PENDING");
            prop_assert!(!is_in || only.is_none_or(|only| only == nth), "{nth} was not named");
        }
        // What the cloud let in by itself takes room too.
        let held = connections.iter().zip(&asks).filter(|(connection, asked)| {
            matches!(connection.state, ConnectionState::Accepted | ConnectionState::NeedsAttention)
                && matches!(asked.from, From::Consumer)
        });
        prop_assert!(accepted.is_empty() || accepted.len() + held.count() <= room as usize);
    }

    #[test]
    fn number_and_id_name_the_same_project(asks in asks(), room in 1_u32..4, only in proptest::option::of(0_usize..7)) {
        let connections = shown(&asks);
        let both = format!("[{PROJECT}, \"{NUMBER}\"]");
        let [id, number, both] = [by_id(), by_number(), both]
            .map(|named| accepted(&manual(&named, room, only), &connections, &Ask::default()));
        prop_assert_eq!(&id, &number);
        prop_assert_eq!(&id, &both);
    }

    #[test]
    fn a_stranger_is_not_let_in_by_being_named(asks in asks(), which in 0_usize..7) {
        let spec = manual(&by_id(), 1, None);
        let connections = shown(&asks);
        let (Some(asked), Some(connection)) = (asks.get(which), connections.get(which)) else { return Ok(()) };
        let named = Ask { connection: Some(connection.id.clone()), reject_others: false, again: true };
        let accepted = accepted(&spec, &connections, &named);
        prop_assert!(accepted.is_empty() || (accepted.len() == 1 && matches!(asked.from, From::Consumer)));
    }

    #[test]
    fn an_automatic_service_names_its_consumers_and_nobody_else(room in 1_u32..9, both in any::<bool>()) {
        let named = if both { format!("[{PROJECT}, acme-reader]") } else { by_id() };
        let spec = file(&named, &format!("max_connections: {room}"), "    acceptance: automatic\n");
        let CloudService::Gcp(_) = &spec.services[0].cloud else { panic!("a service on GCP") };
        let Automatic { entries, nameless, several } = automatic(&spec, &spec.services[0], GcpAcceptBy::Project, &World::default());
        prop_assert!(nameless.is_empty());
        prop_assert_eq!(entries.len(), 1 + usize::from(both));
        // That GCP counts each project by itself is said.
        prop_assert_eq!(several.len(), usize::from(both));
        for entry in entries {
            let Entry::Project { project, limit } = entry else { panic!("{entry:?}") };
            prop_assert!(project == PROJECT || (both && project == "acme-reader"));
            prop_assert_eq!(limit, i64::from(room));
        }
    }
}
