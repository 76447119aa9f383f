//! Edits that would cut a live consumer: each is refused, with exit status 3, until the user says so in words.

use privnet_integration_tests::ground::{Ground, both};
use privnet_integration_tests::own_named::{self, Own};
use privnet_integration_tests::severing::{
    Edit, PRUNED, RENAMED, commands_need_the_word, each_is_refused, edit, is_carried_out_with_the_word,
};

const ANOTHER_SUBNET: Edit = edit("another subnet of the load balancer", "subnet: ilb", "subnet: data");
const ANOTHER_PORT: Edit = edit("another port to listen on", "listen: 5432,", "listen: 5433,");
const A_NAME: Edit =
    edit("a name for consumers", "    gcp:\n", "    gcp:\n      domain_names: [db.acme.example.]\n");
/// The machine of the other region, and a range that is free there.
const ANOTHER_REGION: Edit = edit(
    "another region",
    "region: us-east4, network: prod, subnet: ilb }
services:
  - name: orders
    allow: { fivetran: {} }
    gcp:
      nat_subnets: [{ create: { cidr: 10.8.0.0/24 } }]
      ports: [{ listen: 5432, engine: postgres, to: { instances: [zones/us-east4-b/instances/db-1] } }]
",
    "region: us-central1, network: prod, subnet: ilb }
services:
  - name: orders
    allow: { fivetran: {} }
    gcp:
      nat_subnets: [{ create: { cidr: 10.8.6.0/24 } }]
      ports: [{ listen: 5432, engine: postgres, to: { instances: [zones/us-central1-a/instances/db-central] } }]
",
);

/// What belongs to a network does not go over to another one.
const ANOTHER_NETWORK: Edit = edit("another network", "network: prod", "network: other");
/// The machine that is in a network of the host project.
const ANOTHER_HOST: Edit = edit(
    "another project's network",
    "network: prod, subnet: ilb }
services:
  - name: orders
    allow: { fivetran: {} }
    gcp:
      nat_subnets: [{ create: { cidr: 10.8.0.0/24 } }]
      ports: [{ listen: 5432, engine: postgres, to: { instances: [zones/us-east4-b/instances/db-1] } }]
",
    "host_project: acme-net, network: shared, subnet: ilb }
services:
  - name: orders
    allow: { fivetran: {} }
    gcp:
      nat_subnets: [{ create: { cidr: 10.8.0.0/24 } }]
      ports: [{ listen: 5432, engine: postgres, to: { instances: [zones/us-east4-b/instances/db-hosted] } }]
",
);

/// Clients of other regions lose the rule.
const ONE_REGION: Edit = edit("clients of one region", GLOBAL, "");

const EDITS: [Edit; 12] = [
    edit("a tombstone", "  - name: orders\n", "  - name: orders\n    remove: true\n"),
    ANOTHER_SUBNET,
    ANOTHER_REGION,
    ANOTHER_NETWORK.by("unsuitable"),
    ANOTHER_HOST.by("unsuitable"),
    edit("another NAT range", "10.8.0.0/24", "10.8.2.0/24"),
    ANOTHER_PORT,
    A_NAME,
    ONE_REGION,
    edit("another address", "    gcp:\n", "    gcp:\n      ip_address: 10.7.0.77\n"),
    RENAMED,
    PRUNED,
];

const GLOBAL: &str = "      global_access: true\n";

/// A service of this text that the vendor asks for by itself.
fn of_the_vendor(machine: &str) -> String {
    machine.replace("allow: { acme: {} }", "allow: { fivetran: {} }")
}

/// One of a machine, for clients of all regions.
fn machine() -> String {
    super::machine() + GLOBAL
}

fn orders() -> String {
    of_the_vendor(&machine())
}

fn connected() -> Ground {
    Ground::connected("gcp.yaml", &orders())
}

#[test]
fn an_edit_that_would_cut_is_refused() {
    each_is_refused(&connected(), &orders(), &EDITS);
}

#[test]
fn commands_that_would_cut_are_refused_and_carried_out_with_the_word() {
    commands_need_the_word(&connected(), &machine());
}

#[test]
fn what_changes_the_hand_over_is_done_with_the_word() {
    for edit in [ANOTHER_SUBNET, ANOTHER_PORT, A_NAME] {
        is_carried_out_with_the_word(&connected(), &orders(), &edit);
    }
}

/// From some ports to all nobody loses one, nor from one region to all; back, somebody may.
#[test]
fn all_ports_and_regions_are_opened_under_a_consumer_and_closed_with_the_word_alone() {
    let one = of_the_vendor(&super::machine());
    let ground = Ground::connected("gcp.yaml", &one);
    let all = orders().replace("    gcp:\n", "    gcp:\n      all_ports: true\n");
    // An attachment turns to no rule with another global access, whatever is said: one after the other.
    ground.edit(&all);
    let refused = ground.must("--sandbox apply --yes --sever-connections", 3);
    assert!(both(&refused).contains("Change `global_access` alone first"), "{}", both(&refused));
    for edited in [&all.replace(GLOBAL, ""), &all] {
        ground.edit(edited);
        ground.must("--sandbox apply --yes", 0);
        ground.must("--sandbox plan --detailed-exitcode", 0);
        assert!(ground.live().is_some(), "{:#}", ground.status());
    }
    ground.edit(&orders());
    let refused = ground.must("--sandbox plan --detailed-exitcode", 3);
    assert!(both(&refused).contains("changing ports from ALL to "), "{}", both(&refused));
    ground.edit(&all.replace(GLOBAL, ""));
    let refused = ground.must("--sandbox plan --detailed-exitcode", 3);
    assert!(both(&refused).contains("changing global_access from true to false"), "{}", both(&refused));
    ground.must("--sandbox apply --yes", 3);
    assert!(ground.live().is_some(), "{:#}", ground.status());
    for edited in [&all.replace(GLOBAL, ""), &one] {
        ground.edit(edited);
        ground.must("--sandbox apply --yes --sever-connections", 0);
    }
}

/// Whom the deployment's own rule keeps out is not let in by another service that names the same as the user's own.
#[test]
fn what_the_deployment_made_is_not_named_as_the_users_own() {
    let ground = connected();
    let attachment = own_named::made(&ground, "gcp", "/serviceAttachments/pn-orders");
    let rule = own_named::made(&ground, "gcp", "/forwardingRules/pn-orders");
    let attachment = format!("    gcp: {{ existing: {{ service_attachment: pn-orders{attachment} }} }}\n");
    let rule = format!(
        "    gcp: {{ existing: {{ forwarding_rule: pn-orders{rule} }}, nat_subnets: [{{ create: {{ cidr: 10.8.3.0/24 }} }}] }}\n"
    );
    let [attachment, rule] =
        [Own { block: &attachment, is_exposed: true }, Own { block: &rule, is_exposed: false }];
    own_named::is_refused(&ground, &orders(), &attachment, ("fivetran", "acme"));
    own_named::is_refused(&ground, &orders(), &rule, ("fivetran", "acme"));
    // A tombstone may name it, and it goes as by any other.
    let all = orders();
    let (head, _) = all.split_once("  - name: orders\n").unwrap();
    ground.edit(&format!("{head}  - name: orders\n    remove: true\n{}", attachment.block));
    let said = both(&ground.must("--sandbox apply --yes", 3));
    assert!(said.contains("[would-sever]"), "{said}");
    ground.must("--sandbox apply --yes --sever-connections", 0);
    ground.must("--sandbox plan --detailed-exitcode", 0);
}
