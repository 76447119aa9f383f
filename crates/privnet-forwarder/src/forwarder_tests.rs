use std::time::Duration;

use proptest::prelude::*;

use super::{Destination, Engine, Forwarder, PortMap, Resolver, Settings, health_ports, health_ports_beside};
use crate::error::RenderError;

fn map(listen: u16, address: &str) -> PortMap {
    let destination =
        address.parse().map_or_else(|_| Destination::Name(address.into()), Destination::Address);
    PortMap {
        listen,
        destination,
        port: 5432,
        engine: Engine::Postgres,
        health_port: 20_000 + listen % 10_000,
    }
}

fn refusal(maps: Vec<PortMap>, settings: Settings) -> RenderError {
    Forwarder::new(maps, settings).expect_err("this is a mistake")
}

#[test]
fn mistakes_in_maps_are_named() {
    let of = |map: PortMap| refusal(vec![map], Settings::default());
    assert_eq!(refusal(vec![], Settings::default()), RenderError::NoPorts);
    assert!(matches!(of(map(0, "10.0.0.1")), RenderError::ZeroPort { what: "listen", .. }));
    assert_eq!(of(map(22, "10.0.0.1")), RenderError::SshPort);
    assert_eq!(of(PortMap { health_port: 22, ..map(5432, "10.0.0.1") }), RenderError::SshPort);
    assert!(matches!(of(map(5432, "2001:db8::1")), RenderError::NotIpv4 { listen: 5432, .. }));
    for address in ["127.0.0.1", "0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255"] {
        assert!(matches!(of(map(5432, address)), RenderError::UnusableAddress { .. }), "{address}");
    }
    assert!(matches!(of(map(5432, "db")), RenderError::BadName { .. }));
    let twice = vec![map(5432, "10.0.0.1"), map(5432, "10.0.0.2")];
    assert_eq!(refusal(twice, Settings::default()), RenderError::DuplicateListen(5432));
    let clash = vec![map(5432, "10.0.0.1"), map(25_432, "10.0.0.2")];
    assert_eq!(refusal(clash, Settings::default()), RenderError::HealthPortTaken(25_432));
}

#[test]
fn mistakes_in_settings_are_named() {
    let of = |settings| refusal(vec![map(5432, "10.0.0.1")], settings);
    let settings = Settings::default;
    let resolver = Resolver::Address("0.0.0.0".parse().unwrap());
    assert!(matches!(of(Settings { resolver, ..settings() }), RenderError::UnusableResolver(_)));
    assert_eq!(
        of(Settings { resolver: Resolver::Servers(vec![]), ..settings() }),
        RenderError::ResolverCount(0)
    );
    let resolver = Resolver::Servers(vec!["10.0.0.2".parse().unwrap(); 4]);
    assert_eq!(of(Settings { resolver, ..settings() }), RenderError::ResolverCount(4));
    let probe_sources = vec!["2001:db8::/32".parse().unwrap()];
    assert!(matches!(of(Settings { probe_sources, ..settings() }), RenderError::ProbeSourceNotIpv4(_)));
    assert_eq!(of(Settings { check_every: Duration::ZERO, ..settings() }), RenderError::CheckInterval(0));
    assert_eq!(of(Settings { drain: Duration::from_secs(3601), ..settings() }), RenderError::Drain(3601));
}

#[test]
fn port_22_is_forwarded_when_asked() {
    let settings = Settings { take_ssh_port: true, ..Settings::default() };
    assert!(Forwarder::new(vec![map(22, "10.0.0.1")], settings).is_ok());
}

#[test]
fn health_ports_keep_away_from_listening_ports_and_each_other() {
    assert_eq!(health_ports(&[5432, 3306]), [25_432, 23_306]);
    assert_eq!(health_ports(&[15_432, 5432, 25_432]), [25_434, 25_433, 25_435]);
    assert_eq!(health_ports(&[]), Vec::<u16>::new());
}

#[test]
fn what_is_served_stays_and_a_newcomer_yields() {
    let beside = |listens: &[u16], served: &[(u16, u16)]| {
        health_ports_beside(listens, &served.iter().copied().collect())
    };
    assert_eq!(beside(&[5432, 15_432], &[(15_432, 25_432)]), [25_433, 25_432]);
    assert_eq!(beside(&[5432, 15_432], &[(5432, 25_433), (15_432, 25_432)]), [25_433, 25_432]);
    assert_eq!(
        beside(&[5432, 15_432], &[(5432, 25_432), (15_432, 25_432)]),
        [25_432, 25_433],
        "two with one"
    );
    assert_eq!(beside(&[5432, 25_500], &[(5432, 25_500)]), [25_432, 25_501], "one that is listened on");
    assert_eq!(beside(&[5432], &[(5432, 9)]), [25_432], "one of nobody's");
}

proptest! {
    #[test]
    fn any_listening_ports_get_usable_health_ports(listens in prop::collection::btree_set(1_u16.., 1..200)) {
        let listens: Vec<u16> = listens.into_iter().filter(|port| *port != 22).collect();
        prop_assume!(!listens.is_empty());
        let health = health_ports(&listens);
        let maps = listens.iter().zip(&health).map(|(&listen, &health_port)| PortMap { health_port, ..map(listen, "10.0.0.1") });
        prop_assert!(Forwarder::new(maps.collect(), Settings::default()).is_ok());
        prop_assert!(health.iter().all(|port| (20_000..30_000).contains(port)), "outside the ephemeral ports");
    }

    #[test]
    fn no_port_that_comes_moves_what_is_served(
        listens in prop::collection::btree_set(1_u16.., 2..60),
        first in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
    ) {
        let listens: Vec<u16> = listens.into_iter().collect();
        let first: std::collections::BTreeSet<u16> = first.iter().map(|index| *index.get(&listens)).collect();
        let first: Vec<u16> = first.into_iter().collect();
        let served: std::collections::BTreeMap<u16, u16> =
            first.iter().copied().zip(health_ports(&first)).filter(|(_, port)| !listens.contains(port)).collect();
        let all: std::collections::BTreeMap<u16, u16> =
            listens.iter().copied().zip(health_ports_beside(&listens, &served)).collect();
        prop_assert!(served.iter().all(|(listen, port)| all.get(listen) == Some(port)));
        let ports: std::collections::BTreeSet<_> = all.values().collect();
        prop_assert_eq!(ports.len(), listens.len());
    }

    #[test]
    fn the_order_of_maps_changes_nothing(listens in Just(vec![5432_u16, 3306, 1433, 1521]).prop_shuffle()) {
        let of = |listens: &[u16]| {
            let maps = listens.iter().map(|&listen| map(listen, "db.corp.example")).collect();
            Forwarder::new(maps, Settings::default()).expect("valid").render()
        };
        prop_assert_eq!(of(&listens), of(&[1433, 1521, 3306, 5432]));
    }
}
