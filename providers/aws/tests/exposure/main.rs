//! Endpoint services, allowed principals and notifications: made, changed, found again, and taken down.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's own functions: what fails there fails the test"
)]

mod lookalikes;
mod moved;
mod renamed;
mod settings;
#[path = "../stage/mod.rs"]
mod stage;
mod supplied;

use std::collections::BTreeSet;

use privnet_core::ErrorKind;
use privnet_core::plan::{PlanOptions, Rule};
use privnet_core::spec::Spec;
use stage::{Stage, failure, file, spec};

const SUPPLIED: &str = "vpce-svc-0eeeeeeeeeeeeeee5";
const SUPPLIED_BALANCER: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/db/0123456789abcdef";
const FIVETRAN: &str = "arn:aws:iam::834469178297:root";
const SEVER: PlanOptions = PlanOptions { prune: false, sever_connections: true, destroy: false };
const DESTROY: PlanOptions = PlanOptions { prune: false, sever_connections: false, destroy: true };

/// A file on something of the user's.
fn existing(what: &str, policy: &str) -> Spec {
    existing_of("stage", what, policy)
}

/// The same of a deployment of this name.
fn existing_of(deployment: &str, what: &str, policy: &str) -> Spec {
    spec(&format!(
        "version: 1
deployment: {deployment}
services:
  - name: orders
    {policy}
    aws: {{ account: \"123456789012\", region: us-east-1, existing: {{ {what} }} }}
"
    ))
}

async fn principals(stage: &Stage, service: &str) -> BTreeSet<String> {
    let answer =
        stage.ec2().describe_vpc_endpoint_service_permissions().service_id(service).send().await.unwrap();
    answer.allowed_principals().iter().filter_map(|p| p.principal().map(str::to_owned)).collect()
}

async fn service_id(stage: &Stage, spec: &Spec) -> String {
    stage.live(spec, "endpoint-service").await.expect("it is there").id
}

fn changed(plan: &privnet_core::Plan) -> BTreeSet<String> {
    plan.actions
        .iter()
        .flat_map(|a| a.changes.iter().map(|c| format!("{}.{}", a.address.kind, c.field)))
        .collect()
}

/// With the service goes what is part of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_with_everything_is_taken_down() {
    let stage = Stage::open().await;
    let full = file(
        "private_dns_name: db.corp.example
supported_regions: [eu-west-1]
notification: { sns_topic: \"arn:aws:sns:us-east-1:123456789012:privnet-connections\", events: [Connect] }",
    );
    stage.apply(&full).await;
    stage.assert_settled(&full).await;
    let plan = stage.apply_with(&full, DESTROY).await;
    assert!(plan.actions.iter().any(|action| action.address.kind == "connection-notification"), "{plan:#?}");
    assert!(stage.world(&full).await.live.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_lost_or_failed_create_ends_with_one_service() {
    for fault in ["lost", "fail", "reset", "throttle"] {
        let stage = Stage::open().await;
        let spec = file("");
        stage.fault(&format!("aws:CreateVpcEndpointServiceConfiguration:1:{fault}"));
        let (_, report) = stage.driver().apply(&spec, PlanOptions::default()).await;
        if !report.all_done() {
            stage.apply(&spec).await;
        }
        stage.assert_settled(&spec).await;
        let all = stage.ec2().describe_vpc_endpoint_service_configurations().send().await.unwrap();
        assert_eq!(all.service_configurations().len(), 2, "the colleague's and ours, after `{fault}`");
    }
}

/// The token of a service that went must not yield it again.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_destroyed_can_be_made_again() {
    let stage = Stage::open().await;
    let on_balancer = existing(&format!("load_balancer: \"{SUPPLIED_BALANCER}\""), "allow: { fivetran: {} }");
    stage.apply(&on_balancer).await;
    let first = service_id(&stage, &on_balancer).await;
    stage.apply_with(&on_balancer, DESTROY).await;
    stage.apply(&on_balancer).await;
    stage.assert_settled(&on_balancer).await;
    let second = service_id(&stage, &on_balancer).await;
    assert_ne!(first, second);
}

/// A request that comes between plan and deletion keeps the service: AWS lists it as unsuccessful, and that is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_request_keeps_the_service_until_the_next_run() {
    let stage = Stage::open().await;
    let spec = file("");
    stage.apply(&spec).await;
    stage.until_pending(&spec, "orders", 2).await;
    let driver = stage.driver();
    let (plan, desired, world) = driver.plan(&spec, DESTROY).await;
    stage.connect("orders", "stranger");
    let report = driver.execute(&plan, &desired, &world).await;
    let error = failure(&report);
    assert_eq!(error.kind(), ErrorKind::InUse, "{error:?}");
    assert!(
        error.message().contains("meanwhile") && error.hints()[0].contains("run the same command again"),
        "{error:?}"
    );
    stage.apply_with(&spec, DESTROY).await;
    assert!(stage.world(&spec).await.live.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_that_cannot_be_read_are_no_obstacle_where_none_is_wanted() {
    let stage = Stage::open().await;
    let plain = file("");
    stage.apply(&plain).await;
    stage.fault("aws:DescribeVpcEndpointConnectionNotifications:*:code=UnauthorizedOperation");
    stage.assert_settled(&plain).await;
    let wanted =
        file("notification: { sns_topic: \"arn:aws:sns:us-east-1:123456789012:t\", events: [Accept] }");
    let plan = stage.plan(&wanted).await;
    assert!(plan.actions.is_empty() && plan.refusals.iter().any(|r| r.rule == Rule::Unobserved), "{plan:#?}");
}

/// Another region is another hand-over; nothing is written in either.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_does_not_move_to_another_region() {
    let stage = Stage::open().await;
    let two = |orders: &str| {
        spec(&format!(
            "version: 1
deployment: stage
services:
  - name: stays
    allow: {{ fivetran: {{}} }}
    aws: {{ account: \"123456789012\", region: us-east-1, existing: {{ endpoint_service: {SUPPLIED} }} }}
  - name: orders
    allow: {{ fivetran: {{}} }}
    aws:
      account: \"123456789012\"
      ports: [{{ listen: 5432, to: {{ ips: [10.0.0.25] }} }}]
{orders}"
        ))
    };
    let here = two("      region: us-east-1
      vpc: vpc-0a1b2c3d4e5f60718
      subnets: [subnet-0aaaaaaaaaaaaaaa1]
");
    stage.apply(&here).await;
    let there = two("      region: eu-west-1
      vpc: vpc-001b2c3d4e5f60718
      subnets: [subnet-001aaaaaaaaaaaaa1]
");
    let plan = stage.plan(&there).await;
    assert!(plan.actions.is_empty(), "{plan:#?}");
    assert!(
        plan.refusals.iter().any(|r| r.rule == Rule::HandOver && r.why.contains("tombstone")),
        "{plan:#?}"
    );
    stage.assert_settled(&here).await;
}
