//! Edits that would cut a live consumer: each is refused, with exit status 3, until the user says so in words.

use privnet_integration_tests::ground::Ground;
use privnet_integration_tests::severing::{Edit, PRUNED, commands_need_the_word, each_is_refused, edit};

const EDITS: [Edit; 7] = [
    edit("a tombstone", "  - name: orders\n", "  - name: orders\n    remove: true\n"),
    edit("another subnet of the load balancer", "subnet: ilb", "subnet: data"),
    edit("another NAT range", "10.8.0.0/24", "10.8.2.0/24"),
    edit("another port to listen on", "listen: 5432,", "listen: 5433,"),
    edit("a name for consumers", "    gcp:\n", "    gcp:\n      domain_names: [db.acme.example.]\n"),
    edit("another address", "    gcp:\n", "    gcp:\n      ip_address: 10.7.0.77\n"),
    PRUNED,
];

/// A service that the vendor asks for by itself.
fn orders() -> String {
    super::machine().replace("allow: { acme: {} }", "allow: { fivetran: {} }")
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
    commands_need_the_word(&connected(), &super::machine());
}
