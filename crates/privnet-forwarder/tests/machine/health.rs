//! The health ports: right about the database, right about the machine, and no burden to either.

use std::time::{Duration, Instant};

use privnet_forwarder::Engine;

use crate::databases::{MariaDb, Postgres, mariadb, psql};
use crate::lab::{FIRST, Host, Lab, NAME, SECOND, map, quick};
use crate::process::eventually;

const AGENT: &str = "/usr/local/lib/privnet-forwarder/agent.py";

#[test]
fn health_follows_the_database() {
    let Some(mut lab) = Lab::build() else { return };
    let mut postgres = Postgres::start(&lab, Host::First);
    let mariadb = MariaDb::start(&lab, Host::Second);
    let maps = [map(5432, FIRST, 5432, Engine::Postgres), map(3306, SECOND, 3306, Engine::Mysql)];
    lab.up(&maps, quick());
    postgres.stop();
    let failing = |lab: &Lab, port| {
        eventually(Duration::from_secs(15), "the health port fails", || lab.health(port).0 == 503);
    };
    failing(&lab, maps[0].health_port);
    assert!(lab.health(maps[0].health_port).1.contains("10.77.2.2:5432"), "it says what fails");
    assert_eq!(lab.health(maps[1].health_port).0, 200, "the other database's port is as it was");
    postgres.start_again(&lab);
    eventually(Duration::from_secs(15), "healthy again", || lab.health(maps[0].health_port).0 == 200);
    drop(mariadb);
    failing(&lab, maps[1].health_port);
}

/// Thousands of checks, and a control: probes that only connect do block the forwarder's address on this very server.
#[test]
fn mariadb_never_blocks_the_forwarder() {
    let Some(mut lab) = Lab::build() else { return };
    let server = MariaDb::start(&lab, Host::Second);
    lab.up(&[map(3306, SECOND, 3306, Engine::Mysql)], quick());
    let many = format!(
        "import importlib.util as u, socket, sys
spec = u.spec_from_file_location('agent', '{AGENT}')
agent = u.module_from_spec(spec)
spec.loader.exec_module(agent)
for _ in range(3000):
    agent.check('mysql', '{SECOND}', 3306)
"
    );
    let many = lab.write("many.py", &many);
    lab.sh(Host::Forwarder, &format!("/usr/bin/python3 {}", many.display()));
    assert_eq!(
        mariadb(&lab, 3306, "SELECT 42").as_deref(),
        Ok("42"),
        "after 3000 checks the consumer is served"
    );
    assert!(!server.log().contains("Got an error reading communication packets"), "{}", server.log());
    // With the account that the documentation names, not even "access denied" is logged.
    mariadb(&lab, 3306, "CREATE USER privnet_health@'%'").expect("created");
    let logged = server.log().len();
    lab.sh(Host::Forwarder, &format!("/usr/bin/python3 {AGENT} check mysql {SECOND} 3306"));
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(&server.log()[logged..], "", "with its account, checks are silent");

    lab.stop_agent();
    let naive = format!(
        "import socket
for _ in range(10):
    socket.create_connection(('{SECOND}', 3306)).close()
"
    );
    let naive = lab.write("naive.py", &naive);
    lab.sh(Host::Forwarder, &format!("/usr/bin/python3 {}", naive.display()));
    eventually(Duration::from_secs(10), "probes that only connect block the address", || {
        mariadb(&lab, 3306, "SELECT 42").is_err_and(|error| error.contains("blocked"))
    });
    let said = lab.try_sh(Host::Forwarder, &format!("/usr/bin/python3 {AGENT} check mysql {SECOND} 3306"));
    assert!(said.as_ref().is_err_and(|said| said.contains("1129")), "the check sees the block: {said:?}");
}

#[test]
fn postgresql_logs_nothing_of_the_checks() {
    let Some(mut lab) = Lab::build() else { return };
    let postgres = Postgres::start(&lab, Host::First);
    lab.up(&[map(5432, FIRST, 5432, Engine::Postgres)], quick());
    let before = postgres.log();
    let check = format!(
        "for i in 1 2 3 4 5 6 7 8 9 10; do /usr/bin/python3 {AGENT} check postgres {FIRST} 5432; done"
    );
    lab.sh(Host::Forwarder, &check);
    assert_eq!(postgres.log(), before);
    lab.stop_agent();
    let naive = "/usr/bin/python3 -c \"import socket, struct
sock = socket.create_connection(('10.77.2.2', 5432))
sock.sendall(struct.pack('!II', 8, 80877103)); sock.recv(1); sock.close()\"";
    lab.sh(Host::Forwarder, naive);
    eventually(Duration::from_secs(5), "leaving after the first byte is logged", || postgres.log() != before);
}

#[test]
fn health_fails_on_the_machines_own_faults() {
    let Some(mut lab) = Lab::build() else { return };
    let _postgres = Postgres::start(&lab, Host::First);
    let maps = [map(5432, FIRST, 5432, Engine::Postgres)];
    lab.up(&maps, quick());
    let port = maps[0].health_port;
    let fails_with = |lab: &Lab, words: &str| {
        let mut last = String::new();
        let what = format!("the health port fails with: {words}");
        eventually(Duration::from_secs(15), &what, || {
            let (status, text) = lab.health(port);
            last = text;
            status == 503 && last.contains(words)
        });
    };
    let heals = |lab: &Lab, why: &str| {
        eventually(Duration::from_secs(15), why, || lab.health(port).0 == 200);
        assert_eq!(psql(lab, 5432, "SELECT who()").as_deref(), Ok("First"));
    };
    // Somebody restarts a firewall that flushes everything.
    lab.sh(Host::Forwarder, "nft flush ruleset");
    fails_with(&lab, "rules were missing");
    heals(&lab, "the rules are loaded again");
    lab.sh(Host::Forwarder, "nft delete element ip privnet_forwarder targets '{ 5432 }'");
    fails_with(&lab, "map was not as it should be");
    heals(&lab, "the map is mended");
    lab.sh(Host::Forwarder, "sysctl -qw net.ipv4.ip_forward=0");
    fails_with(&lab, "forwarding is off");
    lab.sh(Host::Forwarder, "sysctl -qw net.ipv4.ip_forward=1");
    heals(&lab, "forwarding is on again");
    // An agent that is stuck answers nobody.
    lab.agent().signal("STOP");
    assert_eq!(lab.health(port).0, 0);
    lab.agent().signal("CONT");
    heals(&lab, "the agent goes on");
}

/// Docker and ufw drop what is forwarded. No rule of ours can undo it, so the health port has to say it.
#[test]
fn health_fails_when_another_firewall_drops_what_is_forwarded() {
    let Some(mut lab) = Lab::build() else { return };
    let _postgres = Postgres::start(&lab, Host::First);
    let maps = [map(5432, FIRST, 5432, Engine::Postgres)];
    lab.up(&maps, quick());
    lab.sh(Host::Forwarder, "iptables-nft -P FORWARD DROP && iptables-nft -N DOCKER-USER && iptables-nft -I FORWARD -j DOCKER-USER");
    eventually(Duration::from_secs(20), "the health port says so", || {
        assert!(psql(&lab, 5432, "SELECT 1").is_err());
        let (status, text) = lab.health(maps[0].health_port);
        status == 503 && text.contains("accept connection mark 0x8000000")
    });
    // What the message and the documentation say.
    let accept = "iptables-nft -I DOCKER-USER -m connmark --mark 0x8000000/0x8000000 -j ACCEPT";
    lab.sh(Host::Forwarder, accept);
    assert_eq!(psql(&lab, 5432, "SELECT who()").as_deref(), Ok("First"));
    eventually(Duration::from_secs(20), "a connection that leaves is proof", || {
        lab.health(maps[0].health_port).0 == 200
    });
}

#[test]
fn a_name_without_an_address_is_not_healthy() {
    let Some(mut lab) = Lab::build() else { return };
    lab.dns(r#"{"rcode": 3}"#);
    let map = map(5432, NAME, 5432, Engine::Postgres);
    let forwarder = privnet_forwarder::Forwarder::new(vec![map.clone()], quick()).expect("valid");
    lab.install(&forwarder.render());
    lab.start_services();
    eventually(Duration::from_secs(10), "it says why", || {
        let (status, text) = lab.health(map.health_port);
        status == 503 && text.contains("no such name")
    });
    let start = Instant::now();
    let refused = psql(&lab, 5432, "SELECT 1").expect_err("nothing is forwarded");
    assert!(refused.contains("refused") && start.elapsed() < Duration::from_secs(2), "{refused}");
}
