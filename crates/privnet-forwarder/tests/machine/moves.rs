//! Names whose address moves, and resolvers that fail.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use privnet_forwarder::Engine;

use crate::databases::{Postgres, Session, psql};
use crate::lab::{FIRST, Host, Lab, NAME, SECOND, map, quick};
use crate::process::eventually;

fn answer(addresses: &[&str]) -> String {
    format!("{{\"addresses\": {addresses:?}, \"ttl\": 1}}")
}

#[test]
fn a_moved_address_is_followed_and_old_sessions_live_to_the_drain_time() {
    let Some(mut lab) = Lab::build() else { return };
    let _first = Postgres::start(&lab, Host::First);
    let _second = Postgres::start(&lab, Host::Second);
    lab.dns(&answer(&[FIRST]));
    lab.up(&[map(5432, NAME, 5432, Engine::Postgres)], quick());
    let mut old = Session::open(&lab, 5432);
    assert_eq!(old.ask("SELECT who()").as_deref(), Some("First"));

    let stop = AtomicBool::new(false);
    let (answers, moved, drained) = std::thread::scope(|scope| {
        let consumer = &lab;
        let stop = &stop;
        let client = scope.spawn(move || {
            let mut answers = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                answers.push(psql(consumer, 5432, "SELECT who()"));
            }
            answers
        });
        std::thread::sleep(Duration::from_secs(1));
        lab.write("zone.json", &answer(&[SECOND]));
        // It moved after the last look that did not find it: its drain began no earlier.
        let mut moved = Instant::now();
        eventually(Duration::from_secs(10), "the map follows the name", || {
            let looked = Instant::now();
            let found = lab.map().contains(SECOND);
            if !found {
                moved = looked;
            }
            found
        });
        assert_eq!(old.ask("SELECT who()").as_deref(), Some("First"), "an established session stays");
        while old.ask("SELECT who()").is_some() {
            assert!(moved.elapsed() < Duration::from_secs(30), "the old session is never cut");
            std::thread::sleep(Duration::from_millis(100));
        }
        let drained = moved.elapsed();
        stop.store(true, Ordering::Relaxed);
        (client.join().expect("the client"), moved, drained)
    });
    assert!(drained >= Duration::from_secs(5), "cut after {drained:?}, before the drain of 6 s");
    assert!(moved.elapsed() < Duration::from_secs(30));
    let failed: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert!(failed.len() <= 1, "{} of {} attempts failed: {failed:?}", failed.len(), answers.len());
    let hosts: Vec<&str> = answers.iter().filter_map(|answer| answer.as_deref().ok()).collect();
    let turn = hosts.iter().position(|host| *host == "Second").expect("the client got to the second host");
    assert!(
        turn > 0 && hosts[turn..].iter().all(|host| *host == "Second"),
        "once over, never back: {hosts:?}"
    );
}

#[test]
fn a_failover_is_followed_as_soon_as_the_new_host_serves() {
    let Some(mut lab) = Lab::build() else { return };
    let mut first = Postgres::start(&lab, Host::First);
    let mut second = Postgres::start(&lab, Host::Second);
    second.stop();
    lab.dns(&answer(&[FIRST]));
    lab.up(&[map(5432, NAME, 5432, Engine::Postgres)], quick());
    first.stop();
    lab.write("zone.json", &answer(&[FIRST, SECOND]));
    std::thread::sleep(Duration::from_secs(3));
    assert!(lab.map().contains(FIRST), "an address that the name still gives is kept");
    second.start_again(&lab);
    lab.write("zone.json", &answer(&[SECOND]));
    eventually(Duration::from_secs(10), "queries reach the new host", || {
        psql(&lab, 5432, "SELECT who()").is_ok_and(|who| who == "Second")
    });
}

#[test]
fn an_answer_that_is_none_changes_nothing() {
    let Some(mut lab) = Lab::build() else { return };
    let _first = Postgres::start(&lab, Host::First);
    lab.dns(&answer(&[FIRST]));
    let maps = [map(5432, NAME, 5432, Engine::Postgres)];
    lab.up(&maps, quick());
    let before = lab.map();
    let bad = [
        ("an empty answer", answer(&[])),
        ("no such name", r#"{"rcode": 3}"#.into()),
        ("SERVFAIL", r#"{"rcode": 2}"#.into()),
        ("loopback", answer(&["127.0.0.1"])),
        ("the metadata service", answer(&["169.254.169.254"])),
        ("the forwarder itself", answer(&["10.77.2.1"])),
        ("no answer at all", r#"{"silent": true}"#.into()),
    ];
    for (what, zone) in bad {
        lab.write("zone.json", &zone);
        let asked = lab.questions();
        // The second question shows that the first one's answer was dealt with.
        eventually(Duration::from_secs(15), &format!("the agent meets {what}"), || {
            lab.questions() >= asked + 2
        });
        assert_eq!(lab.map(), before, "{what}");
        assert_eq!(psql(&lab, 5432, "SELECT who()").as_deref(), Ok("First"), "{what}");
        assert_eq!(lab.health(maps[0].health_port).0, 200, "{what}: the database is as healthy as before");
        assert!(lab.agent_log().contains("nothing is changed"), "{what}");
    }
}

#[test]
fn a_restarted_agent_keeps_the_address_while_the_resolver_fails() {
    let Some(mut lab) = Lab::build() else { return };
    let _first = Postgres::start(&lab, Host::First);
    lab.dns(&answer(&[FIRST]));
    let maps = [map(5432, NAME, 5432, Engine::Postgres)];
    let rendered = lab.up(&maps, quick());
    lab.write("zone.json", r#"{"rcode": 2}"#);
    lab.install(&rendered);
    assert!(lab.map().contains(FIRST), "a second installation keeps it");
    lab.start_services();
    assert_eq!(psql(&lab, 5432, "SELECT who()").as_deref(), Ok("First"));
    eventually(Duration::from_secs(10), "the restarted agent is healthy", || {
        lab.health(maps[0].health_port).0 == 200
    });
}
