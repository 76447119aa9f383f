//! Machines that move to another target group: they stay in the old one while a listener leads there.

use std::path::Path;

use aws_sdk_elasticloadbalancingv2::types::TargetGroupAttribute;
use privnet_core::accept::Ask;
use privnet_core::conformance::Subject;
use privnet_core::plan::{Op, PlanOptions};
use privnet_core::spec::Spec;

use super::turns::direct;
use super::{DESTROY, Stage, assert_done, only_group, served, sized, until};

const DRAIN: &str = "deregistration_delay.timeout_seconds";

/// What was said so far: each action, with what was asked.
fn said(record: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(record).unwrap();
    // The last line may be on its way.
    let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    let said = whole.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let text = |one: &serde_json::Value, field: &str| one[field].as_str().unwrap_or_default().to_owned();
    said.map(|one| (text(&one, "action"), text(&one, "body") + "&")).collect()
}

/// The target group that the listener gives traffic to.
async fn led_to(stage: &Stage, spec: &Spec) -> String {
    let arn = stage.live(spec, "listener").await.expect("a listener").id;
    let found = stage.elb().describe_listeners().listener_arns(arn).send().await.unwrap();
    let action = &found.listeners()[0].default_actions()[0];
    if let Some(arn) = action.target_group_arn() {
        return arn.to_owned();
    }
    let tuples = action.forward_config().unwrap().target_groups();
    let main = tuples.iter().find(|one| one.weight() != Some(0)).unwrap();
    main.target_group_arn().unwrap().to_owned()
}

/// A service with a live consumer whose target group somebody took the mark of machines off: it is replaced, and the machines are not.
/// The target group as it was.
async fn about_to_move(stage: &Stage, spec: &Spec) -> String {
    stage.apply(spec).await;
    served(stage, spec).await;
    stage.until_pending(spec, "ledger", 2).await;
    let (_, plan, report) = stage.decide(spec, &Ask::default()).await;
    assert_done(&plan, &report);
    let old = led_to(stage, spec).await;
    stage.elb().remove_tags().resource_arns(&old).tag_keys("privnet:members").send().await.unwrap();
    until("the mark is gone", || async { (!stage.plan(spec).await.is_empty()).then_some(()) }).await;
    old
}

/// Whether each machine of the group is healthy in a target group.
async fn serve(stage: &Stage, target_group: &str) -> bool {
    let health = stage.elb().describe_target_health().target_group_arn(target_group).send().await.unwrap();
    let states = health.target_health_descriptions().iter().filter_map(|one| one.target_health()?.state());
    states.filter(|state| state.as_str() == "healthy").count() == 2
}

/// The order of calls: attached to the new one, the listener turned, and only then taken off the old one, whose sessions drain.
#[tokio::test(flavor = "multi_thread")]
async fn machines_leave_a_target_group_when_the_listener_has_turned() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let stage = Stage::open_with(|options| options.record = Some(record.clone())).await;
    let spec = sized("t3.small");
    let old = about_to_move(&stage, &spec).await;
    let machines = only_group(&stage).await.auto_scaling_group_name.unwrap();
    let before = said(&record).len();

    let plan = stage.apply(&spec).await;
    let of =
        |op: Op| plan.actions.iter().filter(move |one| one.op == op).map(|one| one.address.kind.as_str());
    assert_eq!(of(Op::Create).collect::<Vec<_>>(), ["target-group"]);
    assert_eq!(of(Op::Delete).collect::<Vec<_>>(), ["target-group"]);
    stage.assert_settled(&spec).await;
    let new = led_to(&stage, &spec).await;
    assert_ne!(new, old);
    assert_eq!(only_group(&stage).await.auto_scaling_group_name.unwrap(), machines, "the machines stayed");

    let said = &said(&record)[before..];
    let only = |action: &str, arn: &str| -> usize {
        let about =
            |(done, body): &(String, String)| done == action && body.contains(&format!("={}&", escaped(arn)));
        let all: Vec<usize> = (0..said.len()).filter(|at| about(&said[*at])).collect();
        assert_eq!(all.len(), 1, "{action} of {arn}");
        all[0]
    };
    let attached = only("AttachLoadBalancerTargetGroups", &new);
    let turned = said.iter().rposition(|(action, _)| action == "ModifyListener").expect("it turned");
    let detached = only("DetachLoadBalancerTargetGroups", &old);
    let deleted = only("DeleteTargetGroup", &old);
    assert!(
        attached < turned && turned < detached && detached < deleted,
        "{attached} {turned} {detached} {deleted}"
    );
}

/// Somebody gave the old target group no time at all: its sessions have that of the one in its place, also where machines are taken off
/// with their whole group, and where the run ends before.
#[tokio::test(flavor = "multi_thread")]
async fn machines_leave_a_target_group_with_the_time_of_the_one_in_its_place() {
    let stage = Stage::open().await;
    for (size, fault) in
        [("t3.small", "DetachLoadBalancerTargetGroups"), ("t3.medium", "DeleteAutoScalingGroup")]
    {
        stage.reset().await;
        let old = about_to_move(&stage, &sized("t3.small")).await;
        let none = TargetGroupAttribute::builder().key(DRAIN).value("0").build();
        let elb = stage.elb();
        elb.modify_target_group_attributes().target_group_arn(&old).attributes(none).send().await.unwrap();
        let after = sized(size);
        stage.fault(&format!("aws:{fault}:*:code=ValidationError"));
        let (_, report) = stage.driver().apply(&after, PlanOptions::default()).await;
        assert!(report.failures().any(|error| error.operation() == fault), "{report:#?}");
        let told = elb.describe_target_group_attributes().target_group_arn(&old).send().await.unwrap();
        let drain = told.attributes().iter().find(|one| one.key() == Some(DRAIN)).unwrap();
        assert_eq!(drain.value(), Some("300"), "{size}");
        stage.heal();
        stage.apply(&after).await;
        stage.assert_settled(&after).await;
    }
}

/// As the record shows it.
fn escaped(arn: &str) -> String {
    arn.replace(':', "%3A").replace('/', "%2F")
}

/// Stopped between any two of these calls, by a call that fails: while the listener leads to the old group the machines are healthy
/// there, and the same command ends the move.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_stops_anywhere_is_finished_and_cuts_nobody() {
    for fault in [
        "AttachLoadBalancerTargetGroups:1",
        // The first names the new group without traffic, the second turns.
        "ModifyListener:1",
        "ModifyListener:2",
        "DetachLoadBalancerTargetGroups:1",
        "DeleteTargetGroup:1",
    ] {
        let stage = Stage::open().await;
        let spec = sized("t3.small");
        let old = about_to_move(&stage, &spec).await;
        stage.fault(&format!("aws:{fault}+:code=AccessDenied"));
        let (_, report) = stage.driver().apply(&spec, PlanOptions::default()).await;
        assert!(!report.all_done(), "{fault}: {report:#?}");
        stage.heal();
        let leads_there = led_to(&stage, &spec).await == old;
        assert_eq!(leads_there, !fault.starts_with('D'), "{fault}");
        assert!(!leads_there || serve(&stage, &old).await, "{fault}: the machines left where consumers are");
        stage.apply(&spec).await;
        stage.assert_settled(&spec).await;
        let now = led_to(&stage, &spec).await;
        assert!(now != old && serve(&stage, &now).await, "{fault}");
        assert_eq!(only_group(&stage).await.target_group_arns(), [now], "{fault}");
    }
}

/// Where nobody asks for machines the permission to look for them is not needed, also not to delete a target group of instances.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_look_for_machines_deletes_target_groups_all_the_same() {
    let stage = Stage::open().await;
    stage.apply(&direct()).await;
    stage.until_pending(&direct(), "ledger", 2).await;
    stage.fault("aws:DescribeAutoScalingGroups:*:code=AccessDenied");
    let plan = stage.apply_with(&direct(), DESTROY).await;
    assert!(plan.actions.iter().any(|one| one.address.kind == "target-group"), "{plan:#?}");
    assert!(stage.world(&direct()).await.live.is_empty());
}
