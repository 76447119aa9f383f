//! The same scripts on GCP, where words and refusals of its own are to be seen.

use super::connection;
use super::script::Script;

const ORDERS: &str = "version: 1
deployment: golden
services:
  - name: orders
    allow: { fivetran: {} }
    gcp:
      project: acme-data
      region: us-east4
      network: prod
      subnet: ilb
      nat_subnets: [{ create: { cidr: 10.8.0.0/24 } }]
      ports: [{ listen: 5432, engine: postgres, to: { instances: [zones/us-east4-b/instances/db-1] } }]
";

/// Mistakes of the file that only GCP knows.
const WRONG: &str = "version: 1
deployment: golden
consumers: { acme: { gcp: { projects: [acme_reader] } } }
services:
  - name: orders
    allow: { acme: {} }
    acceptance: automatic
    gcp:
      project: acme-data
      region: us-east4
      network: prod
      subnet: ilb
      accept_by: endpoint
      nat_subnets: [{ create: { cidr: 10.8.0.0/24 } }, { create: { cidr: 10.8.0.128/25 } }]
      ports:
        - { listen: 15432, port: 5432, to: { instances: [zones/us-east4-b/instances/db-1] } }
        - { listen: 3306, to: { instances: [zones/us-east4-b/instances/db-2] } }
";

#[test]
fn validate_on_gcp() {
    let mut script = Script::with(&[("gcp.yaml", ORDERS), ("wrong.yaml", WRONG)]);
    script.run("validate gcp.yaml");
    script.run("validate gcp.yaml --output json");
    script.run("validate wrong.yaml");
    script.run("validate wrong.yaml --output json");
    // What only the cloud knows is refused at plan.
    script.write(
        "there.yaml",
        &ORDERS.replace("instances/db-1", "instances/db-9").replace("10.8.0.0", "10.7.1.0"),
    );
    script.run("--sandbox plan --detailed-exitcode there.yaml");
    insta::assert_snapshot!("validate_on_gcp", script.transcript());
}

#[test]
fn the_whole_life_on_gcp() {
    let mut script = Script::with(&[("gcp.yaml", ORDERS)]);
    script.run("--sandbox status");
    script.run("--sandbox plan");
    script.run("--sandbox apply");
    script.run("--sandbox apply --yes");
    script.pass(60);
    script.run("--sandbox plan --detailed-exitcode");
    script.run("--sandbox status");
    script.run("--sandbox accept-pending --dry-run");
    script.run("--sandbox accept-pending --yes");
    script.pass(60);
    script.run("--sandbox status");
    script.run("--sandbox handoff");
    script.run("--sandbox handoff --as fivetran-tf");
    let (stranger, fivetran) = (connection(&script, ""), connection(&script, "fivetran"));
    script.run(&format!("--sandbox reject --connection {stranger} --yes"));
    script.run(&format!("--sandbox reject --connection {fivetran} --yes"));
    script.run("--sandbox destroy --yes");
    script.run(&format!("--sandbox reject --connection {fivetran} --yes --sever-connections"));
    script.run("--sandbox status");
    script.run("--sandbox destroy --yes");
    script.run("--sandbox destroy --yes");
    insta::assert_snapshot!("the_whole_life_on_gcp", script.transcript());
}

#[test]
fn the_whole_life_on_gcp_in_json() {
    let mut script = Script::with(&[("gcp.yaml", ORDERS)]);
    script.run("--sandbox plan --output json --detailed-exitcode");
    script.run("--sandbox apply --yes --output json");
    script.pass(60);
    script.run("--sandbox status --output json");
    script.run("--sandbox accept-pending --yes --output json");
    script.pass(60);
    script.run("--sandbox handoff --output json");
    let fivetran = connection(&script, "fivetran");
    script.run(&format!("--sandbox reject --connection {fivetran} --yes --output json"));
    script.run("--sandbox destroy --yes --output json");
    script.run("--sandbox destroy --yes --sever-connections --output json");
    script.run("--sandbox status --output json");
    insta::assert_snapshot!("the_whole_life_on_gcp_in_json", script.transcript());
}

/// An entry for a whole project lets in all of it: what a dry run says of that is what the run does.
#[test]
fn one_of_two_of_a_project() {
    let file = ORDERS
        .replace(
            "deployment: golden\n",
            "deployment: golden\nconsumers: { acme: { gcp: { projects: [acme-reader] } } }\n",
        )
        .replace("allow: { fivetran: {} }", "allow: { acme: { max_connections: 2 } }")
        .replace("      nat_subnets", "      accept_by: project\n      nat_subnets");
    let mut script = Script::with(&[("gcp.yaml", &file)]);
    script.quietly("--sandbox apply --yes");
    let ask = |script: &Script| {
        let asked = script.json("sandbox connect orders --as acme-reader");
        asked["connection"].as_str().unwrap().to_owned()
    };
    let (one, _) = (ask(&script), ask(&script));
    script.pass(60);
    script.run("--sandbox accept-pending --dry-run");
    for how in ["--dry-run", "--yes", "--yes --output json", "--yes --watch"] {
        script.run(&format!("--sandbox accept-pending {how} --connection {one} --audit-log audit.jsonl"));
    }
    assert!(!script.at("audit.jsonl").exists(), "nobody was decided on");
    script.run("--sandbox accept-pending --yes");
    insta::assert_snapshot!("one_of_two_of_a_project", script.transcript());
}
