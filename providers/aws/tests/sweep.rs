//! Each call about an endpoint service, of an apply and of a destroy, fails in turn in each way; then the same command runs
//! again. It must end in the same state with nothing left to do, and nothing twice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's own functions: what fails there fails the test"
)]

mod stage;

use std::collections::BTreeMap;
use std::time::Duration;

use privnet_core::plan::PlanOptions;
use privnet_core::spec::Spec;
use stage::{Stage, spec};

const BALANCER: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/db/0123456789abcdef";
const SUPPLIED: &str = "vpce-svc-0eeeeeeeeeeeeeee5";
const DESTROY: PlanOptions = PlanOptions { prune: false, sever_connections: false, destroy: true };
/// An answer that is lost, an error of the cloud's, a connection that is cut, one that is told to go slower, and an old answer.
const MODES: [&str; 5] = ["lost", "code=InternalError", "reset", "throttle", "stale"];

/// Everything that an endpoint service can have, on load balancers that are there: nothing else takes its time.
fn everything() -> Spec {
    spec(&format!(
        "version: 1
deployment: stage
tags: {{ team: data }}
defaults: {{ aws: {{ account: \"123456789012\", region: us-east-1 }} }}
services:
  - name: orders
    allow: {{ fivetran: {{}}, dbt-cloud: {{}} }}
    aws:
      existing: {{ load_balancer: \"{BALANCER}\" }}
      private_dns_name: db.corp.example
      supported_regions: [eu-west-1]
      notification: {{ sns_topic: \"arn:aws:sns:us-east-1:123456789012:privnet-connections\", events: [Connect] }}
"
    ))
}

/// What the user's own client finds: services with what they have.
async fn census(stage: &Stage) -> Vec<String> {
    let ec2 = stage.ec2();
    let services = ec2.describe_vpc_endpoint_service_configurations().send().await.unwrap();
    let notifications = ec2.describe_vpc_endpoint_connection_notifications().send().await.unwrap();
    let mut found = Vec::new();
    for service in services.service_configurations() {
        let id = service.service_id().unwrap();
        if id != SUPPLIED {
            let mut regions: Vec<_> = service.supported_regions().iter().filter_map(|r| r.region()).collect();
            regions.sort_unstable();
            found.push(format!("service of {:?} in {regions:?}", service.network_load_balancer_arns()));
        }
        let principals = ec2.describe_vpc_endpoint_service_permissions().service_id(id).send().await.unwrap();
        for permission in principals.allowed_principals() {
            let mut tags: Vec<_> = permission.tags().iter().filter_map(|tag| tag.key()).collect();
            tags.sort_unstable();
            found.push(format!("{} {tags:?}", permission.principal().unwrap()));
        }
    }
    let notifications = notifications.connection_notification_set().iter();
    found.extend(
        notifications.map(|notification| format!("notifies of {:?}", notification.connection_events())),
    );
    found.sort();
    found
}

/// A service that is there and whose consumers have asked: one that asks between a destroy's plan and its deletion would have the
/// run end before most of its calls.
async fn make_what_goes(stage: &Stage) {
    stage.apply(&everything()).await;
    stage.advance(Duration::from_secs(600));
    stage.until_pending(&everything(), "orders", 2).await;
}

/// How often each call about endpoint services is made by undisturbed work.
async fn calls(options: PlanOptions) -> (BTreeMap<String, usize>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let stage = Stage::open_with(|options| options.record = Some(record.clone())).await;
    if options.destroy {
        make_what_goes(&stage).await;
    }
    let before = std::fs::read_to_string(&record).unwrap_or_default().lines().count();
    stage.apply_with(&everything(), options).await;
    let lines = std::fs::read_to_string(&record).unwrap();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for line in lines.lines().skip(before) {
        let exchange: serde_json::Value = serde_json::from_str(line).unwrap();
        let action = exchange["action"].as_str().unwrap_or_default();
        if action.contains("VpcEndpoint") || action.ends_with("Tags") {
            *counts.entry(action.to_owned()).or_default() += 1;
        }
    }
    (counts, census(&stage).await)
}

#[allow(clippy::print_stdout, reason = "how many points were tried is what a sweep tells")]
async fn sweep(options: PlanOptions) {
    let (calls, wanted) = calls(options).await;
    let (mut tried, mut passed, mut without) = (0, 0, 0);
    for (action, count) in &calls {
        let passed_before = passed;
        let reads = action.starts_with("Describe") || action.starts_with("Get");
        for nth in 1..=*count {
            for mode in MODES {
                tried += 1;
                let stage = Stage::open().await;
                if options.destroy {
                    make_what_goes(&stage).await;
                }
                stage.fault(&format!("aws:{action}:{nth}:{mode}"));
                let (_, report) = stage.driver().apply(&everything(), options).await;
                // An old answer is given to reads only.
                let has_fired = stage.counted() >= nth && (reads || mode != "stale");
                stage.heal();
                if !report.all_done() || options.destroy {
                    stage.apply_with(&everything(), options).await;
                }
                if !options.destroy {
                    stage.assert_settled(&everything()).await;
                }
                assert_eq!(census(&stage).await, wanted, "{action} {nth} {mode}");
                if has_fired { passed += 1 } else { without += 1 }
            }
        }
        // How often polls ask differs from run to run: but not so that an action meets no fault at all.
        assert!(passed > passed_before, "{action}: no fault was ever met");
    }
    println!(
        "{} calls, {tried} points tried, {passed} passed, {without} without effect",
        calls.values().sum::<usize>()
    );
    assert!(passed > 0 && passed + without == tried && tried == calls.values().sum::<usize>() * MODES.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_an_apply() {
    sweep(PlanOptions::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_a_destroy() {
    sweep(DESTROY).await;
}
