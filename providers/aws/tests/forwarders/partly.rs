//! A port that turns away from the forwarders, or to them, while another port of the service keeps them: it turns when what it goes to
//! is healthy, and until then the machines serve it.

use std::time::Duration;

use aws_sdk_ec2::types::Tag;
use privnet_core::ErrorKind;
use privnet_core::accept::Ask;
use privnet_core::conformance::Driver;
use privnet_core::plan::PlanOptions;
use privnet_core::spec::Spec;
use privnet_core::world::TargetState;

use super::turns::turned_when_healthy;
use super::{DESTROY, Stage, TWO_ZONES, assert_done, groups, only_group, until, with};
use crate::stage::failure;

const FORWARDED: &str = "forwarder: { ip: 172.16.4.21 }";
const INSTANCE: &str = "i-0123456789abcdef0";
const NAME: &str = "ledger.cluster-abc.us-east-1.rds.amazonaws.com";

/// Two ports: the first leads to the machines, the second where this says.
fn second(to: &str) -> Spec {
    let kept = "{ listen: 5432, engine: postgres, to: { forwarder: { ip: 172.16.4.20 } } }";
    let turned = format!("{{ listen: 5433, port: 5432, engine: postgres, to: {{ {to} }} }}");
    with(
        &format!("forwarder: {{ {TWO_ZONES}, size: t3.small, drain: 60s }}"),
        &format!("{kept}, {turned}"),
        "",
    )
}

/// A service with a live consumer, all of whose ports lead to machines that are healthy.
async fn forwarded(stage: &Stage) -> Spec {
    let spec = second(FORWARDED);
    stage.apply(&spec).await;
    until("all targets are healthy", || async {
        let world = stage.world(&spec).await;
        let targets = &world.services["ledger"].targets;
        (targets.len() == 4 && targets.iter().all(|target| target.state == TargetState::Healthy))
            .then_some(())
    })
    .await;
    stage.until_pending(&spec, "ledger", 2).await;
    let (_, plan, report) = stage.decide(&spec, &Ask::default()).await;
    assert_done(&plan, &report);
    spec
}

/// The target group that the second port's connections go to.
async fn led_to(stage: &Stage) -> String {
    let balancers = stage.elb().describe_load_balancers().send().await.unwrap();
    let ours = balancers
        .load_balancers()
        .iter()
        .find(|one| one.load_balancer_name().is_some_and(|name| name.starts_with("pn-")));
    let arn = ours.unwrap().load_balancer_arn().unwrap();
    let listeners = stage.elb().describe_listeners().load_balancer_arn(arn).send().await.unwrap();
    let of_port = listeners.listeners().iter().find(|one| one.port() == Some(5433)).unwrap();
    let action = &of_port.default_actions()[0];
    let tuples = action.forward_config().map(|config| config.target_groups()).unwrap_or_default();
    let main = tuples.iter().find(|one| one.weight() != Some(0)).and_then(|one| one.target_group_arn());
    action.target_group_arn().or(main).unwrap().to_owned()
}

/// How many targets are healthy in a target group.
async fn healthy_in(stage: &Stage, target_group: &str) -> usize {
    let health = stage.elb().describe_target_health().target_group_arn(target_group).send().await.unwrap();
    let states = health.target_health_descriptions().iter().filter_map(|one| one.target_health()?.state());
    states.filter(|state| state.as_str() == "healthy").count()
}

/// There and back again, with a consumer connected.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_ports_leaves_the_machines_and_comes_back() {
    for to in ["ips: [10.0.0.25]", &format!("instances: [{INSTANCE}]"), &format!("dns: {NAME}")] {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("record.jsonl");
        let stage = Stage::open_with(|options| options.record = Some(record.clone())).await;
        stage.set_name(NAME, &["10.0.0.26"]);
        let forwarded = forwarded(&stage).await;
        for (spec, healthy) in [(&second(to), 1), (&forwarded, 2)] {
            let before = std::fs::read_to_string(&record).unwrap().lines().count();
            let plan = stage.apply(spec).await;
            stage.assert_settled(spec).await;
            let gone = plan.actions.iter().find(|one| one.id.starts_with("delete ledger/forwarder-group"));
            let gone = gone.unwrap_or_else(|| panic!("{to}: {plan:#?}"));
            assert!(gone.after.iter().any(|id| id == "update ledger/listener/5433"), "{to}: {gone:#?}");
            let text = std::fs::read_to_string(&record).unwrap();
            turned_when_healthy(text.lines().skip(before), healthy);
            // What serves until then is taken off afterwards: machines by their group, others one by one.
            let said: Vec<serde_json::Value> =
                text.lines().skip(before).map(|line| serde_json::from_str(line).unwrap()).collect();
            let last = |action: &str| said.iter().rposition(|one| one["action"] == action);
            let first = |action: &str| said.iter().position(|one| one["action"] == action);
            let turned = last("ModifyListener").unwrap();
            for off in ["DetachLoadBalancerTargetGroups", "DeregisterTargets", "DeleteTargetGroup"] {
                assert!(first(off).is_none_or(|at| at > turned), "{to}: {off}");
            }
            assert_eq!(groups(&stage).await.len(), 1);
        }
        let sessions = stage.connections(&forwarded, "ledger").await;
        assert!(sessions.iter().any(|one| one.state.may_be_live()), "{to}: {sessions:?}");
        stage.apply_with(&forwarded, DESTROY).await;
    }
}

/// What the port is to lead to does not answer: the machines serve it, round by round, and when it does the port turns.
#[tokio::test(flavor = "multi_thread")]
async fn the_machines_serve_a_port_until_what_it_turns_to_is_healthy() {
    let stage = Stage::open().await;
    forwarded(&stage).await;
    let old = led_to(&stage).await;
    let answers = async |how: &str| {
        let tag = Tag::builder().key("sandbox-health").value(how).build();
        stage.ec2().create_tags().resources(INSTANCE).tags(tag).send().await.unwrap();
    };
    answers("down").await;
    let turned = second(&format!("instances: [{INSTANCE}]"));
    for round in 0..2 {
        let driver = Driver::patient(&stage, Duration::from_secs(60));
        let (_, report) = driver.apply(&turned, PlanOptions::default()).await;
        assert_eq!(failure(&report).kind(), ErrorKind::TimedOut, "{round}: {report:#?}");
        assert_eq!(led_to(&stage).await, old, "{round}");
        assert_eq!(healthy_in(&stage, &old).await, 2, "{round}: the machines left");
    }
    answers("up").await;
    stage.apply(&turned).await;
    stage.assert_settled(&turned).await;
    let now = led_to(&stage).await;
    assert!(now != old && healthy_in(&stage, &now).await == 1);
    only_group(&stage).await;
}

/// Stopped anywhere, the second port has somebody who answers, and the same command ends the turn.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_stops_on_its_way_has_what_answers_and_arrives() {
    for fault in [
        "CreateAutoScalingGroup:1",
        "RegisterTargets:1",
        "ModifyListener:1",
        "ModifyListener:2",
        "DetachLoadBalancerTargetGroups:1",
        "DeleteAutoScalingGroup:1",
        "DeleteTargetGroup:1",
    ] {
        let stage = Stage::open().await;
        let forwarded = forwarded(&stage).await;
        let turned = second("ips: [10.0.0.25]");
        stage.fault(&format!("aws:{fault}+:code=AccessDenied"));
        let (_, report) = stage.driver().apply(&turned, PlanOptions::default()).await;
        assert!(!report.all_done(), "{fault}: {report:#?}");
        stage.heal();
        assert!(healthy_in(&stage, &led_to(&stage).await).await > 0, "{fault}: nobody answers");
        let back = stage.copy().await;
        for (stage, spec) in [(&stage, &turned), (&back, &forwarded)] {
            stage.apply(spec).await;
            stage.assert_settled(spec).await;
            assert!(healthy_in(stage, &led_to(stage).await).await > 0, "{fault}: nobody answers in the end");
            only_group(stage).await;
        }
    }
}
