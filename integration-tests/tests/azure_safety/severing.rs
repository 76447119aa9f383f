//! Edits that would cut a live consumer: each is refused, with exit status 3, until the user says so in words.

use serde_json::Value;

use super::{Ground, both, orders};

/// What is changed in the file, and how the command is called.
struct Edit {
    what: &'static str,
    from: &'static str,
    to: &'static str,
    flags: &'static str,
}

const fn edit(what: &'static str, from: &'static str, to: &'static str) -> Edit {
    Edit { what, from, to, flags: "" }
}

const EDITS: [Edit; 9] = [
    edit("a tombstone", "  - name: orders\n", "  - name: orders\n    remove: true\n"),
    edit("another subnet of the load balancer", "load_balancer_subnet: lb", "load_balancer_subnet: db"),
    edit("another NAT range", "10.1.9.0/28", "10.1.10.0/28"),
    edit("a NAT subnet that exists", "{ create: { cidr: 10.1.9.0/28 } }", "{ existing: nat }"),
    edit("a NAT address less", "nat_addresses: 2", "nat_addresses: 1"),
    edit("a port less", "        - { listen: 5432, engine: postgres, to: { nics: [db-1-nic] } }\n", ""),
    edit("another port to listen on", "listen: 5432,", "listen: 5433, port: 5432,"),
    edit("another machine", "nics: [db-1-nic]", "nics: [db-2-nic]"),
    Edit {
        what: "a service taken out, with --prune",
        from: "  - name: orders\n",
        to: "  - name: renamed\n",
        flags: "--prune",
    },
];

/// A ground whose service has a live connection.
fn connected() -> Ground {
    let ground = Ground::new();
    ground.must("--sandbox apply --yes", 0);
    ground.pass(60);
    ground.must("--sandbox accept-pending --yes", 0);
    ground.pass(60);
    assert!(is_live(&ground), "{:#}", ground.status());
    ground
}

fn live(status: &Value) -> Option<&str> {
    let connections = status["services"][0]["connections"].as_array()?;
    connections.iter().find(|one| one["cloud_state"] == "Approved")?["id"].as_str()
}

fn is_live(ground: &Ground) -> bool {
    ground.write(&orders());
    live(&ground.status()).is_some()
}

#[test]
fn an_edit_that_would_cut_is_refused() {
    let ground = connected();
    let mut failures = Vec::new();
    for Edit { what, from, to, flags } in EDITS {
        let edited = orders().replacen(from, to, 1);
        assert_ne!(edited, orders(), "{what}");
        ground.write(&edited);
        for line in
            [format!("--sandbox plan --detailed-exitcode {flags}"), format!("--sandbox apply --yes {flags}")]
        {
            let output = ground.run(&line);
            let said = both(&output);
            if output.status.code() != Some(3) || !said.contains("refused ") {
                failures.push(format!("{what}: {line} → {:?}\n{said}", output.status.code()));
            }
        }
        if !is_live(&ground) {
            failures.push(format!("{what}: the connection is gone"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn commands_that_would_cut_are_refused_and_carried_out_with_the_word() {
    let ground = connected();
    let status = ground.status();
    let connection = live(&status).unwrap();
    ground.must("--sandbox destroy --yes", 3);
    ground.must(&format!("--sandbox reject --yes --connection {connection}"), 3);
    ground.must("--sandbox accept-pending --yes --reject-others", 0);
    assert!(is_live(&ground), "--reject-others takes pending ones only");

    ground.write(&orders().replace("allow: { acme: {} }", "allow: { other: {} }"));
    ground.must("--sandbox apply --yes", 0);
    ground.must("--sandbox accept-pending --yes --reject-others", 0);
    assert!(is_live(&ground), "who is no longer a consumer is not cut by the way");

    ground.must("--sandbox apply --yes", 0);
    ground.must(&format!("--sandbox reject --yes --sever-connections --connection {connection}"), 0);
    ground.pass(30);
    assert!(!is_live(&ground), "{:#}", ground.status());
    ground.must("--sandbox destroy --yes", 0);
}

/// A change of the forwarders drains the old group: it is no cut, and is not refused.
#[test]
fn another_group_of_forwarders_is_no_cut() {
    let ground = connected();
    ground.write(&orders().replace("172.16.4.20", "172.16.4.21"));
    ground.must("--sandbox apply --yes", 0);
    ground.must("--sandbox plan --detailed-exitcode", 0);
    let status = ground.status();
    assert!(live(&status).is_some(), "{status:#}");
}

/// Databases that do not expect the header, or wait for it, would take no session any more.
#[test]
fn the_proxy_header_is_not_turned_on_under_a_consumer() {
    let ground = Ground::new();
    let direct: String =
        orders().lines().filter(|line| !line.contains("forwarder")).map(|line| format!("{line}\n")).collect();
    ground.write(&direct);
    ground.must("--sandbox apply --yes", 0);
    ground.pass(60);
    ground.must("--sandbox accept-pending --yes", 0);
    ground.pass(60);
    assert!(live(&ground.status()).is_some(), "{:#}", ground.status());
    ground.write(&direct.replace("join_nics: true", "join_nics: true\n      proxy_protocol: true"));
    let refused = ground.must("--sandbox plan --detailed-exitcode", 3);
    assert!(both(&refused).contains("proxy_protocol"), "{}", both(&refused));
    ground.must("--sandbox apply --yes", 3);
    ground.must("--sandbox apply --yes --sever-connections", 0);
}
