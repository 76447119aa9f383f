//! Edits that would cut a live consumer: each is refused, with exit status 3, until the user says so in words.

use privnet_integration_tests::ground::{Ground, both};
use privnet_integration_tests::own_named::{self, Own};
use privnet_integration_tests::severing::{
    Edit, PRUNED, RENAMED, commands_need_the_word, each_is_refused, edit, is_carried_out_with_the_word,
};

use super::orders;

const ANOTHER_SUBNET: Edit =
    edit("another subnet of the load balancer", "load_balancer_subnet: lb", "load_balancer_subnet: db");
const ANOTHER_RANGE: Edit = edit("another NAT range", "10.1.9.0/28", "10.1.10.0/28");

const ANOTHER_PORT: Edit = edit("another port of the machine", "listen: 5432,", "listen: 5432, port: 5433,");

const A_MACHINE_INSTEAD: Edit = edit(
    "a machine in place of a forwarder",
    "{ listen: 3306, engine: mysql, to: { forwarder: { ip: 172.16.4.30 } } }",
    "{ listen: 3306, engine: mysql, to: { nics: [db-2-nic] } }",
);
const A_FORWARDER_INSTEAD: Edit = edit(
    "a forwarder in place of a machine",
    "to: { nics: [db-1-nic] }",
    "to: { forwarder: { ip: 172.16.4.40 } }",
);

const EDITS: [Edit; 15] = [
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
    A_MACHINE_INSTEAD,
    A_FORWARDER_INSTEAD,
    edit("another machine", "nics: [db-1-nic]", "nics: [db-2-nic]"),
    RENAMED,
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
    for edit in [ANOTHER_SUBNET, ANOTHER_RANGE, ANOTHER_PORT, A_MACHINE_INSTEAD] {
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

/// 5432 and 15432 want the same health port. Machines that are there serve it for the one that came first, so the newcomer yields:
/// otherwise they would be asked where they do not answer until new ones are healthy.
#[test]
fn a_port_that_comes_moves_nobodys_health_port() {
    let file = orders()
        .replace("listen: 1433,", "listen: 15432,")
        .lines()
        .filter(|line| !line.contains("listen: 5432,"))
        .map(|line| format!("{line}\n"))
        .collect::<String>();
    let ground = Ground::connected("azure.yaml", &file);
    let more = format!(
        "{file}        - {{ listen: 5432, engine: postgres, to: {{ forwarder: {{ ip: 172.16.4.40 }} }} }}\n"
    );
    ground.edit(&more);
    let plan = ground.json("--sandbox plan");
    let actions = plan["actions"].as_array().unwrap().iter();
    let balancer = actions.filter(|action| action["address"].as_str().unwrap().contains("/load-balancer/"));
    let probes: Vec<_> = balancer
        .flat_map(|action| action["changes"].as_array().unwrap())
        .filter(|change| change["field"] == "probes")
        .collect();
    assert_eq!(probes.len(), 1, "{plan:#}");
    let of = |side: &str, name: &str| {
        let all = probes[0][side].as_array().unwrap();
        all.iter().find(|probe| probe["name"] == name).map(|probe| probe["port"].clone())
    };
    assert_eq!((of("from", "port-15432"), of("to", "port-15432")), (Some(25432.into()), Some(25432.into())));
    assert_eq!(of("to", "port-5432"), Some(25433.into()));
    ground.must("--sandbox apply --yes", 0);
    ground.must("--sandbox plan --detailed-exitcode", 0);
    assert!(ground.live().is_some(), "{:#}", ground.status());
    // Nor does one that would be listened on where they are asked: it is refused.
    ground.edit(&more.replace("listen: 5432,", "listen: 25432,"));
    let refused = ground.must("--sandbox plan --detailed-exitcode", 3);
    assert!(both(&refused).contains("port 25432") && both(&refused).contains("health of port 15432"));
    // The one that came first goes; the other stays where it is asked.
    ground.edit(
        &more
            .lines()
            .filter(|line| !line.contains("15432"))
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    );
    ground.must("--sandbox apply --yes --sever-connections", 0);
    ground.must("--sandbox plan --detailed-exitcode", 0);
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

/// Whom the deployment's own rule keeps out is not let in by another service that names the same as the user's own.
#[test]
fn what_the_deployment_made_is_not_named_as_the_users_own() {
    let ground = connected();
    let service = own_named::made(&ground, "azure", "/privateLinkServices/pn-orders");
    let group = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers/Microsoft.Network";
    let own = format!(
        "    azure:\n      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee\n      existing: {{ private_link_service: {group}/privateLinkServices/pn-orders{service} }}\n"
    );
    let own = Own { block: &own, is_exposed: true };
    own_named::is_refused(&ground, &orders(), &own, ("acme", "other"));
    // A tombstone may name it, and it goes as by any other.
    let all = orders();
    let (head, _) = all.split_once("  - name: orders\n").unwrap();
    ground.edit(&format!("{head}  - name: orders\n    remove: true\n{}", own.block));
    let said = both(&ground.must("--sandbox apply --yes", 3));
    assert!(said.contains("[would-sever]"), "{said}");
    ground.must("--sandbox apply --yes --sever-connections", 0);
    ground.must("--sandbox plan --detailed-exitcode", 0);
}
