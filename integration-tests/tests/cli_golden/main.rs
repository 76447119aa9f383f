//! Golden scripts of the command line: what each command says on each stream and how it exits, as `privnet` itself does it on
//! the local cloud. What differs from run to run (ids, seconds, calls) is replaced by words.
//!
//! After an intended change: `INSTA_UPDATE=always cargo test -p privnet-integration-tests --test cli_golden`, and read the
//! difference.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod deciding;
mod examples;
mod fivetran;
mod gcp;
mod interruption;
mod oversights;
mod script;
mod shapes;
mod statuses;
mod streams;
mod unproven;
mod unread;
mod watching;

use script::{Script, code, text};
use serde_json::Value;

const HEAD: &str = "version: 1
deployment: golden
defaults:
  aws:
    account: '123456789012'
    region: us-east-1
    vpc: vpc-0a1b2c3d4e5f60718
    subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
services:
";

const ORDERS: &str = "  - name: orders
    allow: { fivetran: {} }
    aws:
      database_security_groups: [sg-0ddddddddddddddd4]
      ports: [{ listen: 5432, engine: postgres, to: { ips: [10.0.0.25] } }]
";

const BILLING: &str = "  - name: billing
    allow: { fivetran: {} }
    aws:
      ports: [{ listen: 3306, port: 3307, to: { instances: [i-0123456789abcdef0] } }]
";

/// The file that most scripts are about.
fn orders() -> String {
    format!("{HEAD}{ORDERS}")
}

/// A file whose consumer asks only when told to.
fn for_acme() -> String {
    let consumers = "consumers: { acme: { aws: { principals: ['arn:aws:iam::210987654321:root'] } } }";
    format!("{}{consumers}\n", orders().replace("golden", "acme").replace("fivetran", "acme"))
}

/// A folder on which `aws.yaml` is applied and both, Fivetran and the stranger, have asked.
fn asked() -> Script {
    let script = Script::with(&[("aws.yaml", &orders())]);
    let applied = script.quietly("--sandbox apply --yes");
    assert_eq!(code(&applied), 0, "{}{}", text(&applied.stdout), text(&applied.stderr));
    script.pass(60);
    script
}

/// The connections of the first service, by consumer (the stranger under "").
fn connection(script: &Script, consumer: &str) -> String {
    let status = script.json("--sandbox status");
    let connections = status["services"][0]["connections"].as_array().unwrap();
    let found = connections.iter().find(|one| one["consumer"].as_str().unwrap_or_default() == consumer);
    found.unwrap_or_else(|| panic!("{status:#}"))["id"].as_str().unwrap().to_owned()
}

const WRONG: &str = "version: 1
deployment: golden
services:
  - name: orders
    alow: { fivetran: {} }
    aws:
      region: us-east-1
      vpc: 17
      subnets: []
      ports: [{ listen: 99999, to: { ip: [10.0.0.25] } }]
";

#[test]
fn validate() {
    let mut script =
        Script::with(&[("aws.yaml", &orders()), ("wrong.yaml", WRONG), ("copy.yaml", &orders())]);
    script.run("validate aws.yaml");
    script.run("validate aws.yaml --output json");
    script.run("validate wrong.yaml");
    script.run("validate wrong.yaml aws.yaml --output json");
    script.run("validate aws.yaml copy.yaml");
    script.run("validate missing.yaml");
    script.run("validate missing.yaml --output json");
    script.run("validate aws.yaml --service nobody");
    script.run_with("validate -", &[], Some(&orders()));
    script.write("binary.yaml", "a\0b");
    std::fs::write(script.at("latin1.yaml"), b"deployment: caf\xe9\n").unwrap();
    script.run("validate binary.yaml");
    script.run("validate latin1.yaml");
    script.run("validate .");
    script.run("--sandbox plan wrong.yaml");
    script.run("--sandbox plan wrong.yaml --output json");
    insta::assert_snapshot!("validate", script.transcript());
}

#[test]
fn which_files() {
    let mut script = Script::new();
    script.run("validate");
    script.run("validate --output json");
    script.run("--sandbox accept-pending --yes");
    script.run("render forwarder");
    let other = orders().replace("golden", "other");
    for (name, text) in
        [("a.yaml", orders()), ("b.yaml", other), ("compose.yaml", "services: {}\n".to_owned())]
    {
        script.write(name, &text);
    }
    script.run("validate");
    script.run("--sandbox status");
    script.run("--sandbox plan --out plan.json");
    script.run("--sandbox destroy --yes");
    script.run("--sandbox destroy --yes --output json");
    script.run("--sandbox destroy --yes a.yaml");
    script.write("privnet.yaml", &orders().replace("golden", "main"));
    script.run("--sandbox plan --detailed-exitcode --service orders");
    insta::assert_snapshot!("which_files", script.transcript());
}

#[test]
fn plan_and_saved_plans() {
    let mut script = Script::with(&[("aws.yaml", &orders())]);
    script.run("--sandbox plan");
    script.run("--sandbox plan -v --detailed-exitcode");
    script.run("--sandbox plan --output json --detailed-exitcode");
    script.run("--sandbox plan -q --out plan.json");
    script.run("--sandbox apply --plan plan.json");
    // The word that is in a plan is said, whoever carries it out.
    script.run("--sandbox plan -q --sever-connections --out word.json");
    script.run("--sandbox apply --plan word.json");
    let saved = std::fs::read_to_string(script.at("plan.json")).unwrap();
    script.write("tampered.json", &saved.replace("\"create\"", "\"delete\""));
    script.write("edited.json", &saved.replace("listen: 5432", "listen: 6432"));
    script.write(
        "severing.json",
        &saved.replace("\"sever_connections\": false", "\"sever_connections\": true"),
    );
    script.write("broken.json", "{}");
    script.run("--sandbox apply --yes --plan tampered.json");
    script.run("--sandbox apply --yes --plan edited.json");
    script.run("--sandbox apply --yes --plan severing.json");
    script.run("--sandbox apply --yes --plan broken.json");
    script.run("--sandbox apply --yes --plan missing.json");
    script.run("--sandbox apply --yes --plan plan.json aws.yaml");
    script.run("--sandbox apply --yes --plan plan.json");
    script.run("--sandbox apply --yes --plan plan.json");
    script.run("--sandbox plan --out no/such/folder/plan.json");
    // The file is what everything is made from: no plan takes its place, nor that of a file that is not planned now.
    script.write("privnet.yaml", &orders());
    std::fs::create_dir(script.at("plans")).unwrap();
    for out in ["aws.yaml", "./privnet.yaml", "broken.json", "plans", "-"] {
        script.run(&format!("--sandbox plan aws.yaml --out {out}"));
    }
    script.run("--sandbox plan --out aws.yaml --output json");
    for kept in ["aws.yaml", "privnet.yaml"] {
        assert_eq!(std::fs::read_to_string(script.at(kept)).unwrap(), orders());
    }
    script.run("--sandbox plan -q --out plan.json");
    insta::assert_snapshot!("plan_and_saved_plans", script.transcript());
}

#[test]
fn the_whole_life() {
    let mut script = Script::with(&[("aws.yaml", &orders())]);
    script.run("--sandbox status");
    script.run("--sandbox handoff");
    script.run("--sandbox accept-pending --yes");
    script.run("--sandbox apply");
    script.run("--sandbox apply --yes");
    script.pass(60);
    script.run("--sandbox plan --detailed-exitcode");
    script.run("--sandbox status");
    script.run("--sandbox accept-pending --dry-run");
    script.run("--sandbox accept-pending");
    script.run("--sandbox accept-pending --yes");
    script.pass(60);
    script.run("--sandbox accept-pending --yes");
    script.run("--sandbox status");
    script.run("--sandbox handoff");
    script.run("--sandbox handoff --as fivetran-tf");
    script.run("--sandbox apply --yes");
    script.run("--sandbox destroy --yes");
    script.run("--sandbox destroy");
    script.run("--sandbox destroy --yes --sever-connections");
    script.run("--sandbox destroy --yes");
    insta::assert_snapshot!("the_whole_life", script.transcript());
}

#[test]
fn the_whole_life_in_json() {
    let mut script = Script::with(&[("aws.yaml", &orders())]);
    script.run("--sandbox apply --output json");
    script.run("--sandbox apply --yes --output json");
    script.pass(60);
    script.run("--sandbox status --output json");
    script.run("--sandbox accept-pending --dry-run --output json");
    script.run("--sandbox accept-pending --yes --output json");
    script.pass(60);
    script.run("--sandbox handoff --output json");
    script.run("--sandbox handoff --as fivetran-tf --output json");
    script.run("--sandbox destroy --yes --output json");
    script.run("--sandbox destroy --yes --sever-connections --output json");
    script.run("--sandbox status --output json");
    insta::assert_snapshot!("the_whole_life_in_json", script.transcript());
}

#[test]
fn rejecting() {
    let mut script = asked();
    // What is rejected is listed for an hour: on a busy machine that must not pass within the test.
    privnet_sandbox::frame::Clock::open(&script.at("sandbox"), Some(20.0)).unwrap();
    let stranger = connection(&script, "");
    let fivetran = connection(&script, "fivetran");
    script.run("--sandbox reject --connection vpce-0123 --yes");
    script.run(&format!("--sandbox reject --connection {stranger}"));
    script.run(&format!("--sandbox reject --connection {stranger} --yes"));
    script.quietly("--sandbox accept-pending --yes");
    script.pass(60);
    script.run(&format!("--sandbox reject --connection {fivetran} --yes"));
    script.run(&format!("--sandbox reject --connection {fivetran} --yes --output json"));
    script.run(&format!("--sandbox reject --connection {fivetran} --yes --sever-connections"));
    script.pass(60);
    script.run("--sandbox status");
    insta::assert_snapshot!("rejecting", script.transcript());
}

#[test]
fn turning_strangers_away() {
    let mut script = asked();
    script.run("--sandbox accept-pending --reject-others --dry-run");
    script.run("--sandbox accept-pending --reject-others --yes");
    script.pass(60);
    script.run("--sandbox status");
    insta::assert_snapshot!("turning_strangers_away", script.transcript());
}

#[test]
fn watching_for_requests() {
    let mut script = asked();
    script.run("--sandbox accept-pending --watch");
    script.run("--sandbox accept-pending --watch --yes --timeout 60s");
    script.run("--sandbox accept-pending --watch --yes --output json");
    script.run("--sandbox accept-pending --timeout 1s --yes");
    script.write("nobody.yaml", &for_acme());
    script.quietly("--sandbox apply --yes nobody.yaml");
    script.pass(60);
    script.run("--sandbox accept-pending --watch --yes --timeout 300ms nobody.yaml");
    script.run("--sandbox accept-pending --watch --yes --timeout 300ms nobody.yaml --output json");
    insta::assert_snapshot!("watching_for_requests", script.transcript());
}

#[test]
fn an_ambiguous_request() {
    let mut script = asked();
    let first = connection(&script, "fivetran");
    let second = script.json("sandbox connect orders");
    script.pass(10);
    script.run("--sandbox plan --detailed-exitcode");
    script.run("--sandbox accept-pending --dry-run");
    script.run("--sandbox accept-pending --yes");
    script.run("--sandbox accept-pending --yes --output json");
    script.run("--sandbox accept-pending --yes --watch");
    script.run("--sandbox accept-pending --yes --reject-others --dry-run");
    script.run("--sandbox accept-pending --yes --connection vpce-0123");
    script.run(&format!("--sandbox accept-pending --yes --connection {first}"));
    script.pass(60);
    script.run("--sandbox accept-pending --yes");
    script.run("--sandbox status");
    assert_ne!(second["connection"], Value::from(first));
    insta::assert_snapshot!("an_ambiguous_request", script.transcript());
}

#[test]
fn a_service_that_was_renamed() {
    let mut script = Script::with(&[("aws.yaml", &format!("{}{BILLING}", orders()))]);
    script.quietly("--sandbox apply --yes");
    script.pass(60);
    let renamed = format!("{}{BILLING}", orders()).replace("- name: billing", "- name: billings");
    script.write("aws.yaml", &renamed);
    script.run("--sandbox plan --detailed-exitcode");
    script.run("--sandbox apply --yes");
    script.run("--sandbox apply --yes --output json");
    script.run("--sandbox plan --sever-connections --detailed-exitcode");
    script.write("aws.yaml", &format!("{renamed}  - {{ name: billing, remove: true, aws: {{}} }}\n"));
    script.run("--sandbox plan --detailed-exitcode");
    insta::assert_snapshot!("a_service_that_was_renamed", script.transcript());
}

#[test]
fn services_left_and_pruned() {
    let mut script = Script::with(&[("aws.yaml", &format!("{}{BILLING}", orders()))]);
    script.quietly("--sandbox apply --yes");
    script.pass(60);
    script.write("aws.yaml", &orders());
    script.run("--sandbox plan --detailed-exitcode");
    script.run("--sandbox plan --prune --detailed-exitcode");
    script.run("--sandbox apply --prune --yes");
    script.run("--sandbox apply --prune --yes");
    insta::assert_snapshot!("services_left_and_pruned", script.transcript());
}

#[test]
fn bad_usage() {
    let mut script = Script::with(&[("aws.yaml", &orders())]);
    for line in [
        "",
        "aply",
        "plan --detailed",
        "apply --parallelism 0",
        "apply --parallelism many",
        "--output yaml plan",
        "--color sometimes plan",
        "-v -q plan",
        "accept-pending --watch --timeout soon",
        "accept-pending --watch --dry-run",
        "reject",
        "handoff --as terraform",
        "destroy --prune",
        "plan --bogus",
        "watch --interval 1s",
        "watch --interval soon",
        "watch --listen 0.0.0.0:9464",
        "watch --listen localhost",
        "watch --yes",
        "watch nothing.yaml --sever-connections",
        "sandbox",
        "sandbox serve --speed -1",
        "sandbox serve --speed 0",
        "sandbox serve --fault nonsense",
        "sandbox connect",
        "sandbox dns orders.example 10.0.0.256",
        "sandbox dns",
        "completions elvish2",
        "completions",
        "schema extra",
        "help nothing",
    ] {
        script.run(line);
    }
    script.run("aply --output json");
    script.run("reject --output=json");
    script.run("sandbox connect --output json");
    insta::assert_snapshot!("bad_usage", script.transcript());
}

#[test]
fn the_local_cloud() {
    let mut script = asked();
    script.run("sandbox dns orders.example.com 10.0.0.7 10.0.0.8");
    script.run("sandbox dns orders.example.com");
    script.run("sandbox dns orders.example.com --output json");
    script.run("sandbox connect nothing");
    script.run("sandbox connect nothing --output json");
    script.run("sandbox connect orders");
    script.run("sandbox connect orders --as 210987654321");
    script.run("sandbox connect orders --as nobody");
    script.run("sandbox connect orders --as stranger");
    script.run("sandbox reset");
    script.run("sandbox reset --output json");
    script.run("--sandbox status");
    let world = script.json("sandbox world");
    assert!(world.to_string().contains("vpc-0a1b2c3d4e5f60718"), "{world:#}");
    assert!(text(&script.quietly("sandbox world").stdout).contains("vpc-0a1b2c3d4e5f60718"));
    insta::assert_snapshot!("the_local_cloud", script.transcript());
}
