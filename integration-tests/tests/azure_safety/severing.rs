//! Edits that would cut a live consumer: each is refused, with exit status 3, until the user says so in words.

use privnet_integration_tests::ground::{Ground, both};
use privnet_integration_tests::severing::{
    Edit, PRUNED, commands_need_the_word, each_is_refused, edit, is_carried_out_with_the_word,
};

use super::orders;

const ANOTHER_SUBNET: Edit =
    edit("another subnet of the load balancer", "load_balancer_subnet: lb", "load_balancer_subnet: db");
const ANOTHER_RANGE: Edit = edit("another NAT range", "10.1.9.0/28", "10.1.10.0/28");

const ANOTHER_PORT: Edit = edit("another port of the machine", "listen: 5432,", "listen: 5432, port: 5433,");

const EDITS: [Edit; 12] = [
    edit("a tombstone", "  - name: orders\n", "  - name: orders\n    remove: true\n"),
    ANOTHER_SUBNET,
    ANOTHER_RANGE,
    edit("a NAT subnet that exists", "{ create: { cidr: 10.1.9.0/28 } }", "{ existing: nat }"),
    edit("a NAT address less", "nat_addresses: 2", "nat_addresses: 1"),
    edit("a port less", "        - { listen: 5432, engine: postgres, to: { nics: [db-1-nic] } }\n", ""),
    edit(
        "a forwarder's port less",
        "        - { listen: 3306, engine: mysql, to: { forwarder: { ip: 172.16.4.30 } } }\n",
        "",
    ),
    edit("another port of forwarders to listen on", "listen: 3306,", "listen: 3307, port: 3306,"),
    edit("another port to listen on", "listen: 5432,", "listen: 5433, port: 5432,"),
    ANOTHER_PORT,
    edit("another machine", "nics: [db-1-nic]", "nics: [db-2-nic]"),
    PRUNED,
];

fn connected() -> Ground {
    Ground::connected("azure.yaml", &orders())
}

#[test]
fn an_edit_that_would_cut_is_refused() {
    each_is_refused(&connected(), &orders(), &EDITS);
}

#[test]
fn what_changes_the_hand_over_is_done_with_the_word() {
    for edit in [ANOTHER_SUBNET, ANOTHER_RANGE, ANOTHER_PORT] {
        is_carried_out_with_the_word(&connected(), &orders(), &edit);
    }
}

#[test]
fn commands_that_would_cut_are_refused_and_carried_out_with_the_word() {
    commands_need_the_word(&connected(), &orders().replace("allow: { acme: {} }", "allow: { other: {} }"));
}

/// A change of the forwarders drains the old group: it is no cut, and is not refused.
#[test]
fn another_group_of_forwarders_is_no_cut() {
    let ground = connected();
    ground.edit(&orders().replace("172.16.4.20", "172.16.4.21"));
    ground.must("--sandbox apply --yes", 0);
    ground.must("--sandbox plan --detailed-exitcode", 0);
    assert!(ground.live().is_some(), "{:#}", ground.status());
}

/// Databases that do not expect the header, or wait for it, would take no session any more.
#[test]
fn the_proxy_header_is_not_turned_on_under_a_consumer() {
    let direct: String =
        orders().lines().filter(|line| !line.contains("forwarder")).map(|line| format!("{line}\n")).collect();
    let ground = Ground::connected("azure.yaml", &direct);
    ground.edit(&direct.replace("join_nics: true", "join_nics: true\n      proxy_protocol: true"));
    let refused = ground.must("--sandbox plan --detailed-exitcode", 3);
    assert!(both(&refused).contains("proxy_protocol"), "{}", both(&refused));
    ground.must("--sandbox apply --yes", 3);
    ground.must("--sandbox apply --yes --sever-connections", 0);
}
