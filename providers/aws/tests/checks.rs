//! Another health check under a live consumer: targets that do not answer it keep their sessions, since another group has it.

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
use privnet_core::plan::{Op, PlanOptions};
use privnet_core::spec::Spec;
use stage::{Stage, assert_done, failure, spec, until};

const DATABASE: &str = "sg-0ddddddddddddddd4";

/// A service whose target group has the local cloud's switch, and this health check.
fn checked(switch: &str, check: &str) -> Spec {
    leading_to("ips: [10.0.0.25]", switch, check)
}

fn leading_to(targets: &str, switch: &str, check: &str) -> Spec {
    spec(&format!(
        "version: 1
deployment: checks
tags: {{ sandbox-health: {switch} }}
services:
  - name: orders
    allow: {{ fivetran: {{}} }}
    aws:
      account: \"123456789012\"
      region: us-east-1
      vpc: vpc-0a1b2c3d4e5f60718
      subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
      database_security_groups: [{DATABASE}]
      drain: 60s
      ports: [{{ listen: 5432, engine: postgres, to: {{ {targets} }} {check} }}]
"
    ))
}

const ASKED: &str = ", health_check: { port: 8008, http: /primary }";

/// The service's target groups.
async fn groups(stage: &Stage) -> Vec<TargetGroup> {
    let all = stage.elb().describe_target_groups().send().await.unwrap().target_groups.unwrap();
    all.into_iter().filter(|group| group.target_group_name().unwrap().starts_with("pn-")).collect()
}

/// The group that all connections go to.
async fn led_to(stage: &Stage, spec: &Spec) -> String {
    let arn = stage.live(spec, "listener").await.unwrap().id;
    let found = stage.elb().describe_listeners().listener_arns(arn).send().await.unwrap();
    let action = &found.listeners()[0].default_actions()[0];
    let tuples = action.forward_config().map(|config| config.target_groups()).unwrap_or_default();
    let main = tuples.iter().find(|one| one.weight() != Some(0)).and_then(|one| one.target_group_arn());
    action.target_group_arn().or(main).unwrap().to_owned()
}

/// The addresses in a target group that do not drain.
async fn registered(stage: &Stage, target_group: &str) -> BTreeSet<String> {
    let health = stage.elb().describe_target_health().target_group_arn(target_group).send().await.unwrap();
    let all = health.target_health_descriptions().iter();
    let staying = all.filter(|one| one.target_health().unwrap().state().unwrap().as_str() != "draining");
    staying.map(|one| one.target().unwrap().id().unwrap().to_owned()).collect()
}

/// The ports that the database's security group opens to the load balancer.
async fn opened(stage: &Stage, spec: &Spec) -> BTreeSet<i64> {
    let live = stage.world(spec).await.live.into_iter();
    let rules = live.filter(|live| live.address.name.starts_with("database/"));
    rules.filter_map(|rule| rule.fields["port"].as_int()).collect()
}

async fn connected(spec: &Spec) -> Stage {
    let stage = Stage::open().await;
    stage.apply(spec).await;
    until("the target is healthy", || async {
        let world = stage.world(spec).await;
        world.services["orders"].targets.iter().any(|target| target.cloud_state == "healthy").then_some(())
    })
    .await;
    stage.until_pending(spec, "orders", 2).await;
    let (_, plan, report) = stage.decide(spec, &Ask::default()).await;
    assert_done(&plan, &report);
    stage
}

/// The old check stays in force on the group that serves; the same command goes on when the new one is answered.
#[tokio::test(flavor = "multi_thread")]
async fn targets_that_do_not_answer_another_check_go_on_serving() {
    let plain = checked("up", "");
    let stage = connected(&plain).await;
    let (old, before) = (led_to(&stage, &plain).await, groups(&stage).await.remove(0));

    let sick = checked("down", ASKED);
    let (_, report) = stage.driver().apply(&sick, PlanOptions::default()).await;
    assert_eq!(failure(&report).kind(), ErrorKind::TimedOut, "{:?}", failure(&report));
    assert_eq!(led_to(&stage, &sick).await, old, "everything goes where it went");
    let there = groups(&stage).await.into_iter();
    let still = there.into_iter().find(|group| group.target_group_arn() == Some(&*old)).unwrap();
    assert_eq!(
        (still.health_check_protocol(), still.health_check_port()),
        (before.health_check_protocol(), before.health_check_port())
    );

    for group in groups(&stage).await {
        let up = Tag::builder().key("sandbox-health").value("up").build();
        let request = stage.elb().add_tags().resource_arns(group.target_group_arn().unwrap());
        request.tags(up).send().await.unwrap();
    }
    let answered = checked("up", ASKED);
    stage.apply(&answered).await;
    stage.assert_settled(&answered).await;
    let [group] = &groups(&stage).await[..] else { panic!("one group is left") };
    assert_eq!((group.health_check_port(), group.health_check_path()), (Some("8008"), Some("/primary")));
}

/// Nobody is ever healthy whom the load balancer cannot ask. What it asks no more is shut when no group asks there.
#[tokio::test(flavor = "multi_thread")]
async fn the_load_balancer_is_let_in_where_it_asks() {
    let stage = Stage::open().await;
    let asked = checked("up", ASKED);
    let plan = stage.apply(&asked).await;
    assert_eq!(opened(&stage, &asked).await, BTreeSet::from([5432, 8008]));
    let rule = format!("create orders/security-group-rule/database/{DATABASE}/8008@a");
    let listener = plan.actions.iter().find(|action| action.id == "create orders/listener/5432@a").unwrap();
    assert!(listener.after.contains(&rule), "{listener:#?}");

    let plain = checked("up", "");
    let plan = stage.apply(&plain).await;
    let gone = |kind: &str| {
        plan.actions.iter().find(|action| action.op == Op::Delete && action.address.kind == kind).unwrap()
    };
    assert!(gone("security-group-rule").after.contains(&gone("target-group").id), "{plan:#?}");
    assert_eq!(opened(&stage, &plain).await, BTreeSet::from([5432]));
    stage.assert_settled(&plain).await;
}

/// How often is asked is changed in place, and so is nothing where the check is asked at the port that it has anyhow.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_question_needs_no_other_group() {
    let stage = Stage::open().await;
    let plain = checked("up", "");
    stage.apply(&plain).await;
    assert!(stage.plan(&checked("up", ", health_check: { port: 5432 }")).await.is_empty());
    let often = checked("up", ", health_check: { interval: 30s }");
    let plan = stage.apply(&often).await;
    let ids: Vec<_> = plan.actions.iter().map(|action| action.id.as_str()).collect();
    assert_eq!(ids, ["update orders/target-group/5432"]);
    stage.assert_settled(&often).await;
}

const NAME: &str = "orders.db.example";

/// The other check is never answered, and meanwhile the database moves: the group that serves follows it, round by round.
#[tokio::test(flavor = "multi_thread")]
async fn what_serves_while_another_check_is_not_answered_follows_its_name() {
    let dns = format!("dns: {NAME}");
    let plain = leading_to(&dns, "up", "");
    let stage = Stage::open().await;
    stage.set_name(NAME, &["10.0.0.25"]);
    stage.apply(&plain).await;
    until("the target is healthy", || async {
        let world = stage.world(&plain).await;
        world.services["orders"].targets.iter().any(|target| target.cloud_state == "healthy").then_some(())
    })
    .await;
    let old = led_to(&stage, &plain).await;
    let sick = leading_to(&dns, "down", ASKED);
    let watch = Driver::patient(&stage, Duration::from_secs(60));
    // The first edit finds the name where it was, the others find it elsewhere, and the new group there already.
    for address in ["10.0.0.25", "10.0.1.26", "10.0.0.27"] {
        stage.set_name(NAME, &[address]);
        until("it is followed", || async {
            let (_, report) = watch.apply(&sick, PlanOptions::default()).await;
            assert!(!report.all_done(), "{report:#?}");
            assert_eq!(led_to(&stage, &sick).await, old, "everything goes where it went");
            (registered(&stage, &old).await == BTreeSet::from([address.to_owned()])).then_some(())
        })
        .await;
    }
    for group in groups(&stage).await {
        let up = Tag::builder().key("sandbox-health").value("up").build();
        let request = stage.elb().add_tags().resource_arns(group.target_group_arn().unwrap());
        request.tags(up).send().await.unwrap();
    }
    let answered = leading_to(&dns, "up", ASKED);
    stage.apply(&answered).await;
    stage.assert_settled(&answered).await;
    assert_eq!(groups(&stage).await.len(), 1);
}

/// In one edit: what answers the other check only takes over as ever, and the old group's wait for it ends when nobody asks there any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_and_another_check_in_one_edit_end_together() {
    let plain = leading_to("ips: [10.0.0.25]", "up", "");
    let stage = connected(&plain).await;
    let moved = leading_to("ips: [10.0.1.26]", "up", ASKED);
    let plan = stage.apply(&moved).await;
    assert!(plan.action("update orders/target-group/5432@a").is_some(), "{plan:#?}");
    stage.assert_settled(&moved).await;
    let now = led_to(&stage, &moved).await;
    assert_eq!(registered(&stage, &now).await, BTreeSet::from(["10.0.1.26".to_owned()]));
}

/// Tells the local cloud whether the targets of all groups answer.
async fn switch_all(stage: &Stage, how: &str) {
    for group in groups(stage).await {
        let switch = Tag::builder().key("sandbox-health").value(how).build();
        let request = stage.elb().add_tags().resource_arns(group.target_group_arn().unwrap());
        request.tags(switch).send().await.unwrap();
    }
}

/// A consumer is connected, and the load balancer finds nothing healthy: it sends to all.
async fn connected_and_nothing_healthy(plain: &Spec) -> Stage {
    let stage = connected(plain).await;
    switch_all(&stage, "down").await;
    until("no target is healthy", || async {
        let world = stage.world(plain).await;
        world.services["orders"].targets.iter().all(|target| target.cloud_state != "healthy").then_some(())
    })
    .await;
    stage
}

/// With another check and other targets in one edit, what may serve stays in the old group until its successor is healthy under one of the
/// two checks.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_serve_stays_while_its_successor_is_healthy_under_no_check() {
    let plain = leading_to("ips: [10.0.0.25]", "up", "");
    let stage = connected_and_nothing_healthy(&plain).await;
    let old = led_to(&stage, &plain).await;
    let sick = leading_to("ips: [10.0.1.26]", "down", ASKED);
    for _ in 0..2 {
        let (plan, report) = stage.driver().apply(&sick, PlanOptions::default()).await;
        assert!(plan.action("update orders/target-group/5432@a").is_some(), "{plan:#?}");
        let error = failure(&report);
        assert!(error.kind() == ErrorKind::TimedOut && error.to_string().contains("healthy"), "{error}");
        assert_eq!(led_to(&stage, &sick).await, old, "everything goes where it went");
        let there = registered(&stage, &old).await;
        assert!(there.contains("10.0.0.25"), "{there:?}");
    }

    switch_all(&stage, "up").await;
    let answered = leading_to("ips: [10.0.1.26]", "up", ASKED);
    stage.apply(&answered).await;
    stage.assert_settled(&answered).await;
    assert_eq!(groups(&stage).await.len(), 1);
    let now = led_to(&stage, &answered).await;
    assert_eq!(registered(&stage, &now).await, BTreeSet::from(["10.0.1.26".to_owned()]));
}

/// So it is where only the targets are others. The word for cutting consumers does not wait.
#[tokio::test(flavor = "multi_thread")]
async fn other_targets_in_an_outage_take_over_when_they_answer() {
    let plain = leading_to("ips: [10.0.0.25]", "down", "");
    let moved = leading_to("ips: [10.0.1.26]", "down", "");
    let both = BTreeSet::from(["10.0.0.25".to_owned(), "10.0.1.26".to_owned()]);
    let start = leading_to("ips: [10.0.0.25]", "up", "");
    let stage = connected_and_nothing_healthy(&start).await;
    let group = led_to(&stage, &plain).await;
    let (_, report) = stage.driver().apply(&moved, PlanOptions::default()).await;
    let error = failure(&report);
    assert!(error.kind() == ErrorKind::TimedOut, "{error}");
    assert!(error.hints().iter().any(|hint| hint.contains("--sever-connections")), "{error:?}");
    assert_eq!(registered(&stage, &group).await, both);

    let word = PlanOptions { sever_connections: true, ..PlanOptions::default() };
    let (plan, report) = stage.driver().apply(&moved, word).await;
    assert_done(&plan, &report);
    assert_eq!(registered(&stage, &group).await, BTreeSet::from(["10.0.1.26".to_owned()]));
}
