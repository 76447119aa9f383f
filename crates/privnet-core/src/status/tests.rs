use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::accept::{Again, Besides, Company, Connection, ConsumerPolicy, Identity, ServicePolicy};
use crate::resource::{Address, Ownership, Scope};
use crate::world::ServiceWorld;

fn target(listen: Option<u16>, state: TargetState) -> Target {
    Target { id: "10.0.0.25:5432".to_owned(), listen, state, cloud_state: String::new() }
}

fn intent(listens: &[u16]) -> ServiceIntent {
    let fivetran = ConsumerPolicy {
        name: "fivetran".to_owned(),
        identities: BTreeSet::from([Identity::new("account", "1")]),
        max_connections: 1,
        only: BTreeSet::new(),
        preset: None,
    };
    ServiceIntent {
        name: "orders".to_owned(),
        cloud: "toy",
        scope: Scope("toy/1".to_owned()),
        remove: false,
        policy: ServicePolicy { service: "orders".to_owned(), consumers: vec![fivetran], shared: false },
        exposed: Address::new("orders", "svc", "main"),
        listens: listens.iter().copied().collect(),
    }
}

/// A service that is there, with who is connected and what is behind it.
fn world(connected: ConnectionState, targets: &[Target], health: Health) -> World {
    let address = Address::new("orders", "svc", "main");
    let connection = Connection {
        id: "vpce-1".to_owned(),
        handle: "vpce-1".to_owned(),
        identities: BTreeSet::from([Identity::new("account", "1")]),
        state: connected,
        cloud_state: String::new(),
        since: None,
        note: None,
        cut_along: Vec::new(),
        company: Company::default(),
        again: Again::Nothing,
        besides: Besides::default(),
        may_be_for: Vec::new(),
        resource: None,
    };
    let seen = ServiceWorld {
        connections: Connections::Known(vec![connection]),
        targets: targets.to_vec(),
        exposed: Some(address.clone()),
    };
    let live = Live {
        address,
        generation: None,
        scope: Scope("toy/1".to_owned()),
        id: "svc-1".to_owned(),
        ownership: Ownership::Ours,
        fields: BTreeMap::new(),
        outputs: BTreeMap::new(),
        health,
    };
    World { live: vec![live].into(), services: [("orders".to_owned(), seen)].into(), ..World::default() }
}

fn seen(listens: &[u16], world: &World) -> (ServiceState, Vec<String>) {
    let services = [("orders".to_owned(), intent(listens))].into();
    let desired = Desired { deployment: "d".to_owned(), services, ..Desired::default() };
    let [status] = &status(&desired, world)[..] else { panic!("one service") };
    (status.state, status.notes.clone())
}

fn with(listens: &[u16], targets: &[(u16, TargetState)]) -> (ServiceState, String) {
    let targets: Vec<Target> = targets.iter().map(|(port, state)| target(Some(*port), *state)).collect();
    let (state, notes) = seen(listens, &world(ConnectionState::Accepted, &targets, Health::Ready));
    (state, notes.join("; "))
}

#[test]
fn ready_is_a_connection_and_a_target_on_each_port() {
    let (state, notes) = with(&[1, 2], &[(1, TargetState::Healthy), (2, TargetState::Healthy)]);
    assert_eq!((state, notes.as_str()), (ServiceState::Ready, ""));
    let some = [(1, TargetState::Healthy), (1, TargetState::Unhealthy), (2, TargetState::Unknown)];
    assert_eq!(with(&[1, 2], &some), (ServiceState::Ready, String::new()));
    let pending = world(ConnectionState::Pending, &[target(Some(1), TargetState::Healthy)], Health::Ready);
    assert_eq!(seen(&[1], &pending).0, ServiceState::Waiting);
}

#[test]
fn a_healthy_port_hides_no_other() {
    let (state, notes) = with(&[1, 2], &[(1, TargetState::Healthy), (2, TargetState::Unhealthy)]);
    assert_eq!(state, ServiceState::Degraded);
    assert_eq!(notes, "no target of port 2 takes connections: 1 of 1 unhealthy");
    let (state, notes) = with(&[1, 2], &[(1, TargetState::Healthy), (2, TargetState::Starting)]);
    assert_eq!((state, notes.as_str()), (ServiceState::Waiting, "no target of port 2 takes connections yet"));
    assert_eq!(with(&[1], &[(1, TargetState::Draining)]).0, ServiceState::Waiting);
    // A port that the file does not want any more is nobody's loss.
    assert_eq!(with(&[1], &[(1, TargetState::Healthy), (2, TargetState::Unhealthy)]).0, ServiceState::Ready);
}

#[test]
fn a_port_without_a_target_is_not_ready() {
    let (state, notes) = with(&[1, 2], &[(1, TargetState::Healthy)]);
    assert_eq!(state, ServiceState::Degraded);
    assert_eq!(notes, "port 2 has no target: who comes in there gets no answer");
    assert_eq!(with(&[1], &[]).0, ServiceState::Degraded);
    // What is behind a service that the user supplied is the user's.
    assert_eq!(with(&[], &[]).0, ServiceState::Ready);
}

#[test]
fn a_target_of_all_ports_stands_for_each() {
    let of =
        |state| seen(&[1, 2], &world(ConnectionState::Accepted, &[target(None, state)], Health::Ready)).0;
    assert_eq!(of(TargetState::Healthy), ServiceState::Ready);
    assert_eq!(of(TargetState::Unhealthy), ServiceState::Degraded);
}

#[test]
fn what_is_there_and_works_comes_before_who_is_connected() {
    let healthy = [target(Some(1), TargetState::Healthy)];
    let broken = Health::Broken { state: "failed".to_owned() };
    let (state, notes) = seen(&[1], &world(ConnectionState::Accepted, &healthy, broken));
    assert_eq!((state, notes), (ServiceState::Degraded, vec!["orders/svc/main is failed".to_owned()]));
    let busy = Health::Busy { state: "updating".to_owned() };
    assert_eq!(seen(&[1], &world(ConnectionState::Accepted, &healthy, busy)).0, ServiceState::Waiting);
    let going = Health::Going { state: "Deleting".to_owned() };
    let (state, notes) = seen(&[1], &world(ConnectionState::Accepted, &healthy, going));
    assert_eq!((state, notes.len()), (ServiceState::Degraded, 1));
    assert!(notes[0].contains("is being deleted"), "{notes:?}");
    let (state, notes) = seen(&[1], &World::default());
    assert_eq!(state, ServiceState::Absent);
    assert!(notes[0].contains("privnet apply"), "{notes:?}");
}

/// Programs find it with each service, and people are told of the place once.
#[test]
fn what_a_place_does_not_show_is_among_the_notes_and_known_as_that() {
    let mut world = world(ConnectionState::Accepted, &[], Health::Ready);
    world.unknown.insert(Scope("toy/1".to_owned()), BTreeSet::from(["the network is hidden".to_owned()]));
    let intent = intent(&[5432]);
    let desired = Desired { services: BTreeMap::from([("orders".to_owned(), intent)]), ..Desired::default() };
    let status = status(&desired, &world).remove(0);
    assert_eq!(status.of_place, ["the network is hidden"]);
    assert!(status.notes.contains(&status.of_place[0]), "{:?}", status.notes);
}

/// As a plan says it: who has neither a connection nor a request is waited for, also where another one is connected.
#[test]
fn a_consumer_who_has_yet_to_ask_is_waited_for() {
    let healthy = [target(Some(1), TargetState::Healthy)];
    let asks = "waits for fivetran: its connection request, once it has what `privnet handoff` prints";
    let mut nobody = world(ConnectionState::Accepted, &healthy, Health::Ready);
    let service = nobody.services.get_mut("orders").unwrap();
    service.connections = Connections::Known(Vec::new());
    assert_eq!(seen(&[1], &nobody), (ServiceState::Waiting, vec![asks.to_owned()]));
    // Whoever has asked, or is in, is told of with the connection.
    for state in [ConnectionState::Pending, ConnectionState::Accepted] {
        assert!(seen(&[1], &world(state, &healthy, Health::Ready)).1.is_empty(), "{state:?}");
    }
    let mut two = intent(&[1]);
    let mut acme = two.policy.consumers[0].clone();
    acme.name = "acme".to_owned();
    acme.identities = BTreeSet::from([Identity::new("account", "2")]);
    two.policy.consumers.push(acme);
    let services = [("orders".to_owned(), two)].into();
    let desired = Desired { deployment: "d".to_owned(), services, ..Desired::default() };
    let [status] = &status(&desired, &world(ConnectionState::Accepted, &healthy, Health::Ready))[..] else {
        panic!("one service")
    };
    assert_eq!(
        (status.state, status.notes[0].as_str()),
        (ServiceState::Ready, &*asks.replace("fivetran", "acme"))
    );
    // Nobody asks for what is being deleted, or is not there.
    let going = Health::Going { state: "Deleting".to_owned() };
    nobody.live.iter_mut().for_each(|live| live.health = going.clone());
    assert!(!seen(&[1], &nobody).1.iter().any(|note| note.starts_with("waits for")));
    assert!(!seen(&[1], &World::default()).1.iter().any(|note| note.starts_with("waits for")));
}
