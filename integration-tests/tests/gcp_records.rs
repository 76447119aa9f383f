//! What privnet and the local cloud say to each other, held to Google's own description of its API: every request and every answer
//! of every example's whole life, and of a life of edits, goes through the compute.v1 discovery document, both ways. The same records
//! say which permissions are needed: each recorded call is allowed by `examples/permissions/gcp.json`, which allows nothing that is never asked for. A method that the provider calls
//! and no record has fails the test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test, which says what it tried"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use privnet::{Ask, PlanOptions, Verdict};
use privnet_integration_tests::census::here;
use privnet_integration_tests::gcp::{Called, validate};
use privnet_integration_tests::gcp_source::called_in_source;
use privnet_integration_tests::gcp_twin::with_a_twin;
use privnet_integration_tests::stage::{Stage, spec};
use privnet_sandbox::Sandbox;

fn examples() -> PathBuf {
    here().join("../examples")
}

/// The example files for GCP.
fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(examples()).unwrap().map(|entry| entry.unwrap().path());
    let is_gcp = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("gcp") && name.ends_with(".yaml")
    };
    let mut files: Vec<PathBuf> = entries.filter(is_gcp).collect();
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

    // Somebody of the file's consumers is let in, unless they all come in by themselves.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let decided = session.accept_pending(&Ask::default(), false).await;
    assert!(decided.report.as_ref().is_some_and(privnet::Report::all_done), "{name}: {decided:?}");
    let accepted = decided.decisions.iter().any(|decision| decision.verdict == Verdict::Accepted);
    assert!(accepted || text.contains("acceptance: automatic"), "{name}: {:?}", decided.decisions);
    session.status().await;
    let (handoffs, _) = session.handoff().await;
    assert_eq!(handoffs.len(), session.spec().services.len(), "{name}");

    let destroyed = session.destroy(true).await;
    let failures: Vec<String> = destroyed.report.failures().map(ToString::to_string).collect();
    assert!(destroyed.report.all_done(), "{name}: {failures:?}");
    assert!(session.destroy(true).await.planned.plan.is_empty(), "{name}: something was left");
}

/// The permissions of the role.
fn allowed() -> BTreeSet<String> {
    let role: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(examples().join("permissions/gcp.json")).unwrap())
            .unwrap();
    let permissions: Vec<String> = serde_json::from_value(role["includedPermissions"].clone()).unwrap();
    let once: BTreeSet<String> = permissions.iter().cloned().collect();
    assert_eq!(once.len(), permissions.len(), "a permission stands twice");
    once
}

/// The permissions that a record's exchanges need.
fn needed(record: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(record).unwrap();
    let exchanges = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    exchanges
        .map(|exchange| {
            let called = Called::of(exchange["method"].as_str().unwrap(), exchange["path"].as_str().unwrap());
            called.unwrap_or_else(|| panic!("what is {exchange}?")).permission()
        })
        .collect()
}

/// A service whose file is edited: a machine that goes, one in another zone, what can be changed in place, and forwarders.
fn edited(step: usize) -> String {
    let one = "zones/us-east4-b/instances/db-1";
    let (machines, count) = if step == 0 {
        (format!("{one}, {one}-twin"), 2)
    } else {
        (format!("{one}, zones/us-east4-c/instances/db-2"), 4)
    };
    let (tag, more) = if step == 0 {
        ("4711", "")
    } else {
        ("4712", "      global_access: true\n      proxy_protocol: true\n      reconcile_connections: true\n")
    };
    let nat = if step == 0 { "" } else { ", { create: { cidr: 10.8.9.0/24 } }" };
    // By the same check a machine leaves its group; with another one there would be another group.
    let check = "health_check: { port: 8080, http: /up }, ";
    // How often it asks is changed in place, where a check of another port is made anew.
    let often = if step == 0 { "" } else { "health_check: { interval: 20s }, " };
    format!(
        "version: 1
deployment: edits
tags: {{ cost-center: '{tag}' }}
consumers:
  acme: {{ gcp: {{ projects: ['523456789012'] }} }}
defaults:
  gcp: {{ project: acme-data, region: us-east4, network: prod, subnet: ilb }}
services:
  - name: orders
    allow: {{ acme: {{}} }}
    gcp:
      nat_subnets: [{{ create: {{ cidr: 10.8.0.0/24 }} }}{nat}]
{more}      ports: [{{ listen: 5432, {check}to: {{ instances: [{machines}] }} }}]
  - name: grouped
    allow: {{ acme: {{}} }}
    gcp:
      nat_subnets: [{{ create: {{ cidr: 10.8.2.0/24 }} }}]
      ports: [{{ listen: 5432, {often}to: {{ instance_group: zones/us-east4-a/instanceGroups/db-group }} }}]
  - name: billing
    allow: {{ acme: {{}} }}
    gcp:
      nat_subnets: [{{ create: {{ cidr: 10.8.1.0/24 }} }}]
      forwarder: {{ subnets: [data], size: e2-small, zones: [us-east4-a, us-east4-b], count: {count}, image: projects/acme-data/global/images/golden-forwarder }}
      ports: [{{ listen: 3306, engine: mysql, to: {{ forwarder: {{ ip: 10.90.0.3 }} }} }}]
"
    )
}

/// Edits, a decision, a live consumer that is cut with the word, and the end.
async fn live_through_edits(record: &Path) {
    let twin = with_a_twin().await;
    let stage = Stage::open_with(Some(twin.folder()), |options| options.record = Some(record.to_owned()))
        .await
        .unwrap();
    let session = |step: usize| stage.session(spec(&edited(step)).unwrap(), &stage.url("aws")).unwrap();
    for step in [0, 1] {
        let applied = session(step).apply(PlanOptions::default()).await;
        let failures: Vec<String> = applied.report.failures().map(ToString::to_string).collect();
        assert!(applied.report.all_done(), "{failures:?}");
        assert!(applied.planned.plan.refusals.is_empty(), "{:?}", applied.planned.plan.refusals);
    }
    let session = session(1);
    let asked = Sandbox::open(stage.folder()).unwrap().connect("orders", Some("acme-reader")).unwrap();
    let decided = session.accept_pending(&Ask::default(), false).await;
    assert!(decided.decisions.iter().any(|one| one.verdict == Verdict::Accepted), "{:?}", decided.decisions);
    session.status().await;
    let planned = session.plan_rejection(asked["connection"].as_str().unwrap(), true).await.unwrap();
    let rejected = session.execute(planned).await;
    assert!(rejected.report.all_done(), "{:?}", rejected.report);
    assert!(session.destroy(true).await.report.all_done());
}

/// What the role has and no request of privnet's is named after, and what Google may ask it for.
const IMPLIED: [(&str, &str); 23] = [
    ("compute.disks.create", MACHINES),
    ("compute.forwardingRules.use", POINTED_TO),
    ("compute.images.useReadOnly", POINTED_TO),
    ("compute.instanceGroups.get", BEHIND),
    ("compute.instanceGroups.use", POINTED_TO),
    ("compute.instanceTemplates.useReadOnly", POINTED_TO),
    ("compute.instances.create", MACHINES),
    ("compute.instances.delete", MACHINES),
    ("compute.instances.get", BEHIND),
    ("compute.instances.setLabels", MACHINES),
    ("compute.instances.setMetadata", MACHINES),
    ("compute.instances.setTags", MACHINES),
    ("compute.instances.use", POINTED_TO),
    ("compute.networkEndpointGroups.use", POINTED_TO),
    ("compute.networks.updatePolicy", "a firewall rule is the network's policy"),
    ("compute.networks.use", POINTED_TO),
    ("compute.regionBackendServices.list", PLACES),
    ("compute.regionBackendServices.use", POINTED_TO),
    ("compute.regionHealthChecks.list", PLACES),
    ("compute.regionHealthChecks.useReadOnly", POINTED_TO),
    ("compute.regionOperations.list", OPERATIONS),
    ("compute.subnetworks.use", POINTED_TO),
    ("compute.zoneOperations.list", OPERATIONS),
];
const POINTED_TO: &str = "one resource is put into another";
const BEHIND: &str = "reads of what an endpoint and a backend's health are told by: whether they are asked for was never tried on a project";
const PLACES: &str = "a list of all places has regional ones, too";
const MACHINES: &str =
    "a group's machines: whether whoever makes the group must have them was never tried on a project";
const OPERATIONS: &str = "operations of every place are asked for in one list";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_life_keeps_to_the_discovery_document_and_the_role_and_no_method_is_left_out() {
    let allowed = allowed();
    let mut asked = BTreeSet::new();
    let files = files();
    assert!(files.len() >= 4, "{files:?}");
    let mut validated = BTreeSet::new();
    let folder = tempfile::tempdir().unwrap();
    for (index, file) in files.iter().map(Some).chain([None]).enumerate() {
        let record = folder.path().join(format!("{index}.jsonl"));
        match file {
            Some(file) => live_through(file, &record).await,
            None => live_through_edits(&record).await,
        }
        let name = file.map_or("the life of edits".to_owned(), |file| file.display().to_string());
        let seen = validate(&[&record], true).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
        println!("{name}: {} methods", seen.len());
        validated.extend(seen);
        let needs = needed(&record);
        let lacking: Vec<String> = needs.difference(&allowed).cloned().collect();
        assert!(lacking.is_empty(), "{name}: the role does not allow {lacking:?}");
        asked.extend(needs);
    }
    let implied: BTreeSet<String> = IMPLIED.iter().map(|(permission, _)| (*permission).to_owned()).collect();
    let unused: Vec<String> = allowed.difference(&asked).cloned().collect();
    let unused: Vec<&String> = unused.iter().filter(|permission| !implied.contains(*permission)).collect();
    assert!(unused.is_empty(), "privnet never asks for {unused:?}");
    let known: Vec<&String> =
        implied.iter().filter(|one| asked.contains(*one) || !allowed.contains(*one)).collect();
    assert!(known.is_empty(), "no exception is needed for {known:?}");
    let called = called_in_source();
    assert!(called.len() > 40 && called.contains("serviceAttachments.patch"), "{called:?}");
    let never: Vec<&String> = called.difference(&validated).collect();
    assert!(never.is_empty(), "called by the provider, and in no record: {never:?}");
    println!("{} methods are called, and each was validated", called.len());
}
