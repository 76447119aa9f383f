//! What gives way to another of its kind under a consumer, what would cut one and is refused, and what goes when nobody is attached.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::TargetGroupAttribute;
use privnet_core::accept::Ask;
use privnet_core::conformance::{Driver, Subject};
use privnet_core::plan::{Op, PlanOptions, Refusal, Rule};
use privnet_core::spec::Spec;

use crate::stage::{self, Stage};
use crate::{IPS, SUBNETS, VPC, accepted, file, ids, made};

/// Another VPC of the account, and two of its subnets.
const OTHER_VPC: &str = "vpc-0b1b2c3d4e5f60719";

const OTHER_SUBNETS: &str = "subnet-0ddddddddddddddd4, subnet-0eeeeeeeeeeeeeee5";

const DRAIN: &str = "deregistration_delay.timeout_seconds";

/// The same service beside a copy of its databases in the other VPC.
fn in_the_other_vpc(service: &str) -> String {
    service.replace(VPC, OTHER_VPC).replace(SUBNETS, OTHER_SUBNETS).replace("10.0.0.", "10.100.0.")
}

#[tokio::test(flavor = "multi_thread")]
async fn another_target_port_replaces_the_group_under_a_live_consumer() {
    let stage = Stage::open().await;
    let before = file(&[made("orders", IPS, "")]);
    stage.apply(&before).await;
    accepted(&stage, &before, "orders").await;
    let after = file(&[made("orders", &IPS.replace("listen: 5432", "listen: 5432, port: 5433"), "")]);
    let plan = stage.apply(&after).await;
    assert_eq!(ids(&plan, Op::Create), BTreeSet::from(["create orders/target-group/5432@b".to_owned()]));
    assert_eq!(ids(&plan, Op::Update), BTreeSet::from(["update orders/listener/5432".to_owned()]));
    assert_eq!(ids(&plan, Op::Delete), BTreeSet::from(["delete orders/target-group/5432@a".to_owned()]));
    stage.assert_settled(&after).await;
    let live = stage.live(&after, "target-group").await.unwrap();
    assert_eq!(live.generation, Some(privnet_core::Generation::B));
    // And back again, under the first letter.
    stage.apply(&before).await;
    stage.assert_settled(&before).await;
    assert_eq!(
        stage.live(&before, "target-group").await.unwrap().generation,
        Some(privnet_core::Generation::A)
    );
}

/// A refusal that does not speak of weights is no reason to turn to targets that nobody has checked.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_turns_nowhere_when_the_new_group_cannot_be_named() {
    let stage = Stage::open().await;
    let before = file(&[made("orders", IPS, "")]);
    stage.apply(&before).await;
    stage::until("the target is healthy", || async {
        let world = stage.world(&before).await;
        world.services["orders"].targets.iter().any(|t| t.cloud_state == "healthy").then_some(())
    })
    .await;
    let led_to = || async {
        let arn = stage.live(&before, "listener").await.unwrap().id;
        let found = stage.elb().describe_listeners().listener_arns(arn).send().await.unwrap();
        found.listeners()[0].default_actions()[0].target_group_arn().unwrap().to_owned()
    };
    let old = led_to().await;
    let after = file(&[made("orders", &IPS.replace("listen: 5432", "listen: 5432, port: 5433"), "")]);
    stage.fault("aws:ModifyListener:1:code=ValidationError");
    let (_, report) = stage.driver().apply(&after, PlanOptions::default()).await;
    let error = stage::failure(&report);
    assert_eq!((error.kind(), error.code()), (privnet_core::ErrorKind::Invalid, Some("ValidationError")));
    assert_eq!(led_to().await, old, "everything goes where it went");
    stage.apply(&after).await;
    stage.assert_settled(&after).await;
    assert_ne!(led_to().await, old);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_stops_anywhere_is_finished() {
    let before = file(&[made("orders", IPS, "")]);
    let after = file(&[made("orders", &IPS.replace("listen: 5432", "listen: 5432, port: 5433"), "")]);
    let stage = Stage::open().await;
    for stop in 0..=3 {
        stage.reset().await;
        stage.apply(&before).await;
        let driver = stage.driver();
        let (mut plan, desired, world) = driver.plan(&after, PlanOptions::default()).await;
        assert_eq!(plan.actions.len(), 3);
        plan.actions.truncate(stop);
        driver.execute(&plan, &desired, &world).await;
        stage.apply(&after).await;
        stage.assert_settled(&after).await;
        let groups = stage.elb().describe_target_groups().send().await.unwrap();
        let ours =
            groups.target_groups().iter().filter(|g| g.target_group_name().unwrap().starts_with("pn-"));
        assert_eq!(ours.count(), 1, "stopped after {stop}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_that_would_cut_a_live_consumer_are_refused() {
    let stage = Stage::open().await;
    let two = format!("{IPS}, {{ listen: 6432, to: {{ ips: [10.0.0.26] }} }}");
    let base = made("orders", &two, "");
    let spec = file(std::slice::from_ref(&base));
    stage.apply(&spec).await;
    accepted(&stage, &spec, "orders").await;
    // Who still waits is a reason of its own.
    stage.decide(&spec, &Ask { connection: None, reject_others: true, again: false }).await;
    for (edit, text) in [
        ("a VPC", in_the_other_vpc(&base)),
        ("a subnet less", base.replace(SUBNETS, "subnet-0aaaaaaaaaaaaaaa1")),
        ("a port less", base.replace(&two, IPS)),
        ("no service", base.replace("allow: { fivetran: {} }", "allow: { fivetran: {} }\n    remove: true")),
    ] {
        let edited = file(&[text]);
        let plan = stage.plan(&edited).await;
        assert!(plan.is_empty(), "{edit}: {:#?}", plan.actions);
        // AWS takes no subnet away while somebody is attached: the word does not help.
        let helps = edit != "a subnet less";
        let severs = |refusal: &Refusal| refusal.rule == Rule::WouldSever && refusal.flag.is_some() == helps;
        assert!(
            !plan.refusals.is_empty() && plan.refusals.iter().all(severs),
            "{edit}: {:#?}",
            plan.refusals
        );
    }
    // A port more cuts nobody.
    let more = file(&[base.replace(&two, &format!("{two}, {{ listen: 7432, to: {{ ips: [10.0.0.27] }} }}"))]);
    stage.apply(&more).await;
    stage.assert_settled(&more).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subnet_goes_when_nobody_is_attached() {
    let stage = Stage::open().await;
    let base = made("orders", IPS, "");
    let spec = file(std::slice::from_ref(&base));
    stage.apply(&spec).await;
    let fewer = file(&[base.replace(", subnet-0bbbbbbbbbbbbbbb2", "")]);
    let waiting = stage.until_pending(&spec, "orders", 2).await;
    let plan = stage.plan(&fewer).await;
    assert!(
        plan.is_empty() && plan.refusals.iter().any(|r| r.why.contains("wait for a decision")),
        "{:#?}",
        plan.refusals
    );
    for connection in waiting {
        stage.reject(&spec, &connection.id, false).await;
    }
    stage.apply(&fewer).await;
    stage.assert_settled(&fewer).await;
}

/// The hand-over is kept: the same endpoint service has another load balancer.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_goes_to_another_vpc_when_nobody_is_attached() {
    let stage = Stage::open().await;
    let base = made("orders", IPS, "");
    let here = file(std::slice::from_ref(&base));
    stage.apply(&here).await;
    let id = stage.live(&here, "endpoint-service").await.unwrap().id;
    let there = file(&[in_the_other_vpc(&base)]);
    let waiting = stage.until_pending(&here, "orders", 2).await;
    let plan = stage.plan(&there).await;
    assert!(
        plan.is_empty() && plan.refusals.iter().any(|r| r.why.contains("wait for a decision")),
        "{plan:#?}"
    );
    for connection in waiting {
        stage.reject(&here, &connection.id, false).await;
    }
    // Where AWS does not say what holds in the old load balancer, the new one is told all the same.
    let mut silent = stage.world(&there).await;
    for live in silent.live.iter_mut().filter(|live| live.address.kind == "load-balancer") {
        live.fields.insert("enforce_inbound".to_owned(), privnet_core::Value::Null);
    }
    let tells = |spec: &Spec| {
        let lowered = stage.provider().lower(spec, &spec.services[0], &silent);
        let mut balancers = lowered.resources.iter().filter(|one| one.address.kind == "load-balancer");
        balancers.next().unwrap().fields.contains_key("enforce_inbound")
    };
    assert_eq!((tells(&here), tells(&there)), (false, true));
    let plan = stage.apply(&there).await;
    assert!(ids(&plan, Op::Create).contains("create orders/load-balancer/main@b"), "{plan:#?}");
    assert!(ids(&plan, Op::Delete).contains("delete orders/load-balancer/main@a"), "{plan:#?}");
    stage.assert_settled(&there).await;
    let world = stage.world(&there).await;
    let of = |kind: &str| world.live.iter().find(|live| live.address.kind == kind).unwrap();
    assert_eq!(of("endpoint-service").id, id);
    for kind in ["load-balancer", "target-group", "security-group"] {
        assert_eq!(of(kind).fields["vpc"], privnet_core::Value::text(OTHER_VPC), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_never_answers_takes_nobodys_place_however_often_it_is_tried() {
    let stage = Stage::open().await;
    let before = file(&[made("orders", IPS, "")]);
    stage.apply(&before).await;
    let healthy = || async {
        let world = stage.world(&before).await;
        let targets = &world.services["orders"].targets;
        targets.iter().any(|t| t.id == "10.0.0.25:5432" && t.cloud_state == "healthy").then_some(())
    };
    stage::until("the target is healthy", healthy).await;
    // Addresses that end in 250 fail their checks.
    let after = file(&[made("orders", &IPS.replace("10.0.0.25", "10.0.1.250"), "")]);
    for _ in 0..2 {
        let (_, report) = stage.driver().apply(&after, PlanOptions::default()).await;
        let error = stage::failure(&report);
        assert!(error.hints().iter().any(|hint| hint.contains("still registered")), "{error}");
        assert_eq!(healthy().await, Some(()));
    }
    // A good one does.
    let good = file(&[made("orders", &IPS.replace("10.0.0.25", "10.0.1.26"), "")]);
    stage.apply(&good).await;
    stage.assert_settled(&good).await;
}

/// Gives the sessions of the service's target group another time, as somebody else would.
async fn set_drain(stage: &Stage, group: &str, seconds: &str) {
    let attribute = TargetGroupAttribute::builder().key(DRAIN).value(seconds).build();
    let request = stage.elb().modify_target_group_attributes().target_group_arn(group).attributes(attribute);
    request.send().await.unwrap();
}

/// What goes for another one has the time of the file, also where it was given a shorter one: by somebody, or by the file as it was before
/// the edit that replaces it. A run that ends before, or in it, changes nothing of that.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_gives_way_has_the_longer_time() {
    let after = file(&[made(
        "orders",
        "{ listen: 5432, engine: postgres, to: { instances: [i-0123456789abcdef0] } }",
        ", drain: 3600s",
    )]);
    let stage = Stage::open().await;
    for (by_file, by_somebody) in [("3600s", Some("0")), ("3600s", Some("1")), ("10s", None)] {
        stage.reset().await;
        let before = file(&[made("orders", IPS, &format!(", drain: {by_file}"))]);
        stage.apply(&before).await;
        let old = stage.live(&before, "target-group").await.unwrap().id;
        if let Some(seconds) = by_somebody {
            set_drain(&stage, &old, seconds).await;
        }
        stage.fault("aws:DeregisterTargets:*:code=UnauthorizedOperation");
        let (_, report) = stage.driver().apply(&after, PlanOptions::default()).await;
        assert_eq!(stage::failure(&report).kind(), privnet_core::ErrorKind::Denied);
        stage.heal();
        // An hour takes six minutes.
        stage.set_speed(10.0);
        for _ in 0..2 {
            let hasty = Driver::patient(&stage, Duration::from_secs(1));
            let (_, report) = hasty.apply(&after, PlanOptions::default()).await;
            let why = stage::failure(&report);
            assert!(why.message().contains("not drained after 1 s"), "{by_file} {by_somebody:?}: {why}");
        }
        let told =
            stage.elb().describe_target_group_attributes().target_group_arn(&old).send().await.unwrap();
        let drain = told.attributes().iter().find(|one| one.key() == Some(DRAIN)).unwrap();
        assert_eq!(drain.value(), Some("3600"), "{by_file} {by_somebody:?}");
        stage.advance(Duration::from_secs(3600));
        stage.set_speed(1_000.0);
        stage.apply(&after).await;
        stage.assert_settled(&after).await;
    }
}

/// Only where neither the file nor the cloud gives sessions a time are they cut at once, and a plan says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_that_sessions_have_no_time_where_neither_group_gives_one() {
    let stage = Stage::open().await;
    let with = |drain: &str, port: &str| {
        let ports = IPS.replace("listen: 5432", &format!("listen: 5432{port}"));
        file(&[made("orders", &ports, &format!(", drain: {drain}"))])
    };
    let before = with("300s", "");
    stage.apply(&before).await;
    accepted(&stage, &before, "orders").await;
    let told = async |after: &Spec| {
        let warnings = stage.plan(after).await.warnings;
        warnings.iter().filter(|said| said.contains("sessions are cut at once")).count()
    };
    assert_eq!(told(&with("0s", ", port: 5433")).await, 0, "it keeps the time that it has");
    set_drain(&stage, &stage.live(&before, "target-group").await.unwrap().id, "0").await;
    assert_eq!(told(&with("300s", ", port: 5433")).await, 0, "it has that of the one in its place");
    assert_eq!(told(&with("0s", ", port: 5433")).await, 1);
}
