//! Without cross-zone traffic a zone has its own targets only: what serves it stays until its successor there is healthy, and edits that
//! leave it none are refused while somebody may come in there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's own functions: what fails there fails the test"
)]

mod stage;

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::{Tag, TargetGroup};
use privnet_core::ErrorKind;
use privnet_core::accept::Ask;
use privnet_core::conformance::Driver;
use privnet_core::plan::{PlanOptions, Rule};
use privnet_core::spec::Spec;
use stage::{Stage, assert_done, failure, spec, until};

/// In `us-east-1a` and `us-east-1b`, and in the latter one that never answers.
const FIRST: &str = "10.0.0.25";
const SECOND: &str = "10.0.16.26";
const SICK: &str = "10.0.16.250";
const NAME: &str = "orders.db.example";

/// A service that sends to no other zone, with this port and further lines.
fn apart(port: &str, lines: &str) -> Spec {
    spec(&format!(
        "version: 1
deployment: zones
services:
  - name: orders
    allow: {{ fivetran: {{}} }}
    aws:
      account: \"123456789012\"
      region: us-east-1
      vpc: vpc-0a1b2c3d4e5f60718
      subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
      cross_zone: false
      drain: 60s
      ports: [{{ listen: 5432, engine: postgres, {port} }}]
      {lines}
"
    ))
}

fn to(addresses: &[&str]) -> Spec {
    apart(&format!("to: {{ ips: [{}] }}", addresses.join(", ")), "")
}

async fn healthy(stage: &Stage, spec: &Spec, count: usize) {
    until("the targets are healthy", || async {
        let world = stage.world(spec).await;
        let targets = &world.services["orders"].targets;
        (targets.iter().filter(|target| target.cloud_state == "healthy").count() == count).then_some(())
    })
    .await;
}

async fn connect(stage: &Stage, spec: &Spec) {
    stage.until_pending(spec, "orders", 2).await;
    let (_, plan, report) = stage.decide(spec, &Ask::default()).await;
    assert_done(&plan, &report);
}

/// What is registered and stays, in the group that serves.
async fn registered(stage: &Stage, group: &str) -> BTreeSet<String> {
    let health = stage.elb().describe_target_health().target_group_arn(group).send().await.unwrap();
    let staying = health
        .target_health_descriptions()
        .iter()
        .filter(|one| one.target_health().unwrap().state().is_some_and(|state| state.as_str() != "draining"));
    staying.filter_map(|one| one.target()?.id().map(str::to_owned)).collect()
}

fn texts(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|one| (*one).to_owned()).collect()
}

/// The second run finds the newcomer registered, and another zone's target healthy: that is no successor.
#[tokio::test(flavor = "multi_thread")]
async fn a_zones_last_target_stays_until_its_own_successor_is_healthy() {
    let stage = Stage::open().await;
    let before = to(&[FIRST, SECOND]);
    stage.apply(&before).await;
    healthy(&stage, &before, 2).await;
    let group = stage.live(&before, "target-group").await.unwrap().id;
    for _ in 0..2 {
        let (_, report) = stage.driver().apply(&to(&[FIRST, SICK]), PlanOptions::default()).await;
        assert_eq!(failure(&report).kind(), ErrorKind::TimedOut, "{:?}", failure(&report));
        assert_eq!(registered(&stage, &group).await, texts(&[FIRST, SECOND, SICK]));
    }
    // Both go in one run, and one of the two that come is dead.
    stage.apply(&before).await;
    let (_, report) = stage.driver().apply(&to(&["10.0.0.27", SICK]), PlanOptions::default()).await;
    let error = failure(&report);
    assert!(error.to_string().contains("us-east-1b"), "{error}");
    assert_eq!(registered(&stage, &group).await, texts(&[FIRST, SECOND, "10.0.0.27", SICK]));

    let after = to(&["10.0.0.27", "10.0.16.28"]);
    stage.apply(&after).await;
    assert_eq!(registered(&stage, &group).await, texts(&["10.0.0.27", "10.0.16.28"]));
    stage.assert_settled(&after).await;
}

/// The listener does not turn to a group that serves one zone of two; and while that is tried, an edit is held against what serves.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_turns_when_each_zone_is_served() {
    let stage = Stage::open().await;
    let before = to(&[FIRST, SECOND]);
    stage.apply(&before).await;
    healthy(&stage, &before, 2).await;
    connect(&stage, &before).await;
    let another = |second: &str| apart(&format!("port: 5433, to: {{ ips: [{FIRST}, {second}] }}"), "");
    let driver = Driver::patient(&stage, Duration::from_secs(60));
    let (_, report) = driver.apply(&another(SICK), PlanOptions::default()).await;
    let error = failure(&report);
    assert!(error.kind() == ErrorKind::TimedOut && error.to_string().contains("us-east-1b"), "{error}");

    // The group that is tried has nothing healthy in that zone, and the one that serves has.
    let plan = stage.plan(&to(&[FIRST])).await;
    assert!(
        plan.refusals.iter().any(|one| one.rule == Rule::WouldSever && one.why.contains("us-east-1b")),
        "{plan:#?}"
    );
    stage.apply(&another(SECOND)).await;
    stage.assert_settled(&another(SECOND)).await;
}

/// A database that was down when a run began is back in both zones before what it turns to is healthy, which is so in one of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_zone_that_came_back_from_an_outage_is_held_too() {
    let stage = Stage::open().await;
    let before = to(&[FIRST, SECOND]);
    stage.apply(&before).await;
    healthy(&stage, &before, 2).await;
    connect(&stage, &before).await;
    let old = stage.live(&before, "target-group").await.unwrap().id;
    let switch = async |group: &str, how: &str| {
        let tag = Tag::builder().key("sandbox-health").value(how).build();
        stage.elb().add_tags().resource_arns(group).tags(tag).send().await.unwrap();
    };
    switch(&old, "down").await;
    healthy(&stage, &before, 0).await;

    // The new group has the switch from the file.
    let mut turned = apart(&format!("port: 5433, to: {{ ips: [{FIRST}, {SICK}] }}"), "");
    turned.tags.insert("sandbox-health".to_owned(), "down".to_owned());
    // The listener waits for 20 seconds of ours, in which all of this is to happen.
    stage.set_speed(60.0);
    let driver = stage.driver();
    let meanwhile = async {
        let new = until("the new group is tried", || async {
            let all = stage.elb().describe_target_groups().send().await.unwrap();
            let tried = |one: &&TargetGroup| one.port() == Some(5433) && !one.load_balancer_arns().is_empty();
            all.target_groups().iter().find(tried)?.target_group_arn().map(str::to_owned)
        })
        .await;
        switch(&old, "up").await;
        let states = async |group: &str| -> usize {
            let seen = stage.elb().describe_target_health().target_group_arn(group).send().await.unwrap();
            let all = seen.target_health_descriptions().iter();
            all.filter(|one| one.target_health().unwrap().state().unwrap().as_str() == "healthy").count()
        };
        until("the old one is back", || async { (states(&old).await == 2).then_some(()) }).await;
        switch(&new, "up").await;
    };
    let ((_, report), ()) = tokio::join!(driver.apply(&turned, PlanOptions::default()), meanwhile);
    let error = failure(&report);
    assert!(error.kind() == ErrorKind::TimedOut && error.to_string().contains("us-east-1b"), "{error}");
}

/// What a name does not resolve to never was the name's where the port led to a machine.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_turns_to_a_name_keeps_its_zones() {
    let stage = Stage::open().await;
    let before = apart("to: { instances: [i-0123456789abcdef0] }", "");
    stage.apply(&before).await;
    healthy(&stage, &before, 1).await;
    connect(&stage, &before).await;
    let named = apart(&format!("to: {{ dns: {NAME} }}"), "");
    stage.set_name(NAME, &[SECOND]);
    let plan = stage.plan(&named).await;
    assert!(
        plan.refusals.iter().any(|one| one.rule == Rule::WouldSever && one.why.contains("us-east-1a")),
        "{plan:#?}"
    );
    stage.set_name(NAME, &[FIRST, SECOND]);
    stage.apply(&named).await;
    // From here on it is the name that moves.
    healthy(&stage, &named, 2).await;
    stage.set_name(NAME, &[SECOND]);
    assert_eq!(stage.plan(&named).await.refusals, []);
}

const THREE_ZONES: &str =
    "subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2, subnet-0ccccccccccccccc3]";

fn forwarded(count: u32, size: &str) -> Spec {
    let machines = format!("forwarder: {{ {THREE_ZONES}, count: {count}, size: {size}, drain: 60s }}");
    apart("to: { forwarder: { ip: 172.16.4.20 } }", &machines)
}

/// Fewer machines than zones leave one out, whichever: with nobody connected that is said.
#[tokio::test(flavor = "multi_thread")]
async fn fewer_forwarders_than_zones_may_leave_one_without() {
    let stage = Stage::open().await;
    let told = |plan: &privnet_core::Plan| {
        plan.warnings.iter().any(|warning| warning.contains("2 forwarders do not stand in each of 3 zones"))
    };
    let plan = stage.plan(&forwarded(2, "t3.small")).await;
    assert!(told(&plan) && plan.refusals.is_empty(), "{plan:#?}");
    let three = forwarded(3, "t3.small");
    let plan = stage.apply(&three).await;
    assert!(!told(&plan), "{plan:#?}");
    // The load balancer has no node in the third zone.
    healthy(&stage, &three, 2).await;
    connect(&stage, &three).await;
    let plan = stage.plan(&forwarded(2, "t3.small")).await;
    assert!(
        plan.refusals.iter().any(|one| one.rule == Rule::WouldSever && one.why.contains("`count`")),
        "{plan:#?}"
    );
    // Where there is one in each zone, other machines are there, too.
    assert_eq!(stage.plan(&forwarded(3, "t3.medium")).await.refusals, []);
}
