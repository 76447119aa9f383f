//! What privnet and the local cloud say to each other, held to AWS's own description of its APIs: every request and every answer
//! of every example's whole life goes through botocore's service models (the drift sweep does the same, and sees to it that no
//! operation is left out). The same records say which permissions are needed: each recorded action is allowed by
//! `examples/permissions/aws.json`, which allows nothing that is never asked for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test, which says what it tried"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use privnet::{Ask, PlanOptions};
use privnet_integration_tests::aws_chain;
use privnet_integration_tests::aws_records as records;
use privnet_integration_tests::census::here;
use privnet_integration_tests::command::program;
use privnet_integration_tests::proxy::Proxy;
use privnet_integration_tests::records::record_of;
use privnet_integration_tests::stage::{Stage, spec};

fn examples() -> PathBuf {
    here().join("../examples")
}

/// The example files for AWS.
fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(examples())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("aws")))
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

/// Applies, accepts, plans empty, looks at everything and destroys, with each exchange recorded.
async fn live_through(file: &Path, record: &Path) {
    let stage = Stage::open_with(None, |options| options.record = Some(record.to_owned())).await.unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let session = stage.session(spec(&text).unwrap(), &stage.url("aws")).unwrap();
    let name = file.display();

    let applied = session.apply(PlanOptions::default()).await;
    let failures: Vec<String> = applied.report.failures().map(ToString::to_string).collect();
    assert!(applied.report.all_done(), "{name}: {failures:?}");
    assert!(applied.planned.plan.refusals.is_empty(), "{name}: {:?}", applied.planned.plan.refusals);
    let again = session.plan(PlanOptions::default()).await;
    assert!(again.plan.is_empty(), "{name}: planning again gives {:?}", again.plan.actions);

    // At the stage's speed the requests are there within a second; the file's consumers need not all be in the local cloud.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let decided = session.accept_pending(&Ask::default(), false).await;
    assert!(decided.report.as_ref().is_some_and(privnet::Report::all_done), "{name}: {decided:?}");
    assert!(
        decided.decisions.iter().any(|d| d.verdict == privnet::Verdict::Accepted),
        "{name}: {:?}",
        decided.decisions
    );
    session.status().await;
    let (handoffs, _) = session.handoff().await;
    assert_eq!(handoffs.len(), session.spec().services.len(), "{name}");

    // Protection against deletion is lifted in the file first, as a person would.
    let open = text.replace("deletion_protection: true", "deletion_protection: false");
    let session = stage.session(spec(&open).unwrap(), &stage.url("aws")).unwrap();
    session.apply(PlanOptions::default()).await;
    let destroyed = session.destroy(true).await;
    let failures: Vec<String> = destroyed.report.failures().map(ToString::to_string).collect();
    assert!(destroyed.report.all_done(), "{name}: {failures:?}");
    assert!(session.destroy(true).await.planned.plan.is_empty(), "{name}: something was left");
}

/// What the policy allows, and on what: an action beside a pattern.
fn allowed() -> Vec<(String, String)> {
    let policy: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(examples().join("permissions/aws.json")).unwrap())
            .unwrap();
    let all = |value: &serde_json::Value| -> Vec<String> {
        match value.as_array() {
            Some(many) => many.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
            None => vec![value.as_str().unwrap().to_owned()],
        }
    };
    let statements = policy["Statement"].as_array().unwrap().iter();
    let pairs = statements.flat_map(|statement| {
        let resources = all(&statement["Resource"]);
        all(&statement["Action"]).into_iter().flat_map(move |action| {
            resources.clone().into_iter().map(move |resource| (action.clone(), resource))
        })
    });
    pairs.collect()
}

/// As a policy's patterns match: `*` is anything.
fn matches(pattern: &str, arn: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == arn,
        Some((before, after)) => arn.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|cut| rest.is_char_boundary(cut) && matches(after, &rest[cut..]))
        }),
    }
}

/// The example with a load balancer of the user's own, and a listener of privnet's on it.
fn with_a_listener_on_yours(folder: &Path) -> PathBuf {
    let named = "existing: { load_balancer: \"arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/db/0123456789abcdef\" }\n";
    let ports = "      vpc: vpc-0a1b2c3d4e5f60718\n      ports: [{ listen: 6432, engine: postgres, port: 5432, to: { ips: [10.0.0.25] } }]\n";
    let text = std::fs::read_to_string(examples().join("aws-existing.yaml")).unwrap();
    let with = text.replace(named, &format!("{named}{ports}"));
    assert_ne!(with, text);
    let file = folder.join("aws-existing-with-ports.yaml");
    std::fs::write(&file, with).unwrap();
    file
}

/// What the policy has and no request of privnet's is named after, and what AWS asks it for.
const IMPLIED: [(&str, &str); 4] = [
    ("ec2:RunInstances", "a group of forwarders whose template is given by its version"),
    ("iam:CreateServiceLinkedRole", "the first load balancer, and the first group, of an account"),
    ("ssm:GetParameters", "a launch template whose image is the newest of a public parameter"),
    ("vpce:AllowMultiRegion", "an endpoint service with other regions"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_lives_by_the_models_and_the_policy() {
    // What an example's life does not need may be needed by another file: the source names all that can be sent.
    let mut asked = records::named_in_source().unwrap();
    let allowed = allowed();
    let actions: BTreeSet<String> = allowed.iter().map(|(action, _)| action.clone()).collect();
    let mut on_yours = 0;
    let folder = tempfile::tempdir().unwrap();
    for file in files().into_iter().chain([with_a_listener_on_yours(folder.path())]) {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("record.jsonl");
        live_through(&file, &record).await;
        let said = records::check(&record).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        println!("{}: {said}", file.display());
        let sent = records::actions(&record).unwrap();
        let lacking: Vec<String> = sent.difference(&actions).cloned().collect();
        assert!(lacking.is_empty(), "{}: the policy does not allow {lacking:?}", file.display());
        for (action, arn) in records::balancing_writes(&record).unwrap() {
            let may = allowed.iter().any(|(of, on)| *of == action && matches(on, &arn));
            assert!(may, "{}: the policy does not allow {action} on {arn}", file.display());
            on_yours += usize::from(!arn.contains("/pn-"));
        }
        asked.extend(sent);
    }
    assert!(on_yours > 0, "nothing was done to a load balancer of the user's own");
    let implied = |action: &String| IMPLIED.iter().any(|(implied, _)| implied == action);
    let unused: Vec<&String> = actions.difference(&asked).filter(|action| !implied(action)).collect();
    assert!(unused.is_empty(), "privnet never asks for {unused:?}");
    let known: Vec<_> =
        IMPLIED.iter().filter(|(action, _)| asked.contains(*action) || !actions.contains(*action)).collect();
    assert!(known.is_empty(), "no exception is needed for {known:?}");
}

#[test]
fn the_program_that_uses_the_library_runs() {
    let folder = tempfile::tempdir().unwrap();
    // Held to AWS's description with what the other tests say, where that is done.
    let record = record_of(folder.path()).unwrap_or_else(|| folder.path().join("record.jsonl"));
    let ran = Command::new(program("apply_and_accept"))
        .arg("examples/aws.yaml")
        .arg(&record)
        .current_dir(here().join(".."))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(said.contains("service_name") && said.contains("accepted vpce-"), "{said}");
    let recorded = std::fs::read_to_string(&record).unwrap();
    assert!(recorded.contains("AcceptVpcEndpointConnections"), "the example's exchange was not recorded");
}

/// What the benchmark calls the chain of a fresh apply is what the record of one shows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chain_of_a_fresh_apply_is_the_one_that_is_written_down() {
    let stage = Stage::open_with(None, |options| options.latency = Duration::from_millis(20)).await.unwrap();
    let proxy = Proxy::start(&stage.url("aws"), Vec::new()).await.unwrap();
    let text = std::fs::read_to_string(examples().join("aws.yaml")).unwrap();
    let done = stage.session(spec(&text).unwrap(), &proxy.url()).unwrap().apply(PlanOptions::default()).await;
    assert!(done.report.all_done(), "{:?}", done.report);
    if let Err(why) = aws_chain::check(&proxy.exchanges()) {
        panic!("{why}: {:#?}", proxy.exchanges());
    }
}
