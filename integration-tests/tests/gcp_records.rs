//! What privnet and the local cloud say to each other, held to Google's own description of its API: every request and every answer
//! of every example's whole life goes through the compute.v1 discovery document, both ways. The same records say which permissions
//! are needed: each recorded call is allowed by `examples/permissions/gcp.json`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test, which says what it tried"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use privnet::{Ask, PlanOptions, Verdict};
use privnet_integration_tests::census::{here, python};
use privnet_integration_tests::gcp::Called;
use privnet_integration_tests::stage::{Stage, spec};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_lives_by_the_discovery_document_and_the_role() {
    let allowed = allowed();
    let files = files();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("record.jsonl");
        live_through(&file, &record).await;
        let checked = Command::new(python().unwrap())
            .arg(here().join("gcp/discovery_check.py"))
            .arg(&record)
            .arg("--forbid-output-only")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&checked.stdout);
        assert!(
            checked.status.success(),
            "{}: {said}{}",
            file.display(),
            String::from_utf8_lossy(&checked.stderr)
        );
        println!("{}: {}", file.display(), said.lines().last().unwrap_or_default());
        let lacking: Vec<String> = needed(&record).difference(&allowed).cloned().collect();
        assert!(lacking.is_empty(), "{}: the role does not allow {lacking:?}", file.display());
    }
}
