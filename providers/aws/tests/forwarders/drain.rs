//! Machines that were taken off the load balancer keep their sessions for the drain time, whoever goes on.

use std::path::Path;

use privnet_core::accept::Ask;
use privnet_core::plan::PlanOptions;
use privnet_core::spec::Spec;
use privnet_core::world::TargetState;

use super::turns::direct;
use super::{PORT, SIZED_DRAIN, Stage, TWO_ZONES, groups, only_group, served, sized, until, with};

/// When this was asked for, as the local cloud recorded it.
fn times(record: &Path, action: &str) -> Vec<jiff::Timestamp> {
    let text = std::fs::read_to_string(record).unwrap();
    // The last line may be on its way.
    let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    let said = whole.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    said.filter(|one| one["action"] == action)
        .map(|one| one["time"].as_str().unwrap().parse().unwrap())
        .collect()
}

/// The run that took them off ended at once. Nothing of the group says any more which target groups it had; the next run waits all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_while_machines_drain_cuts_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let stage = Stage::open_with(|options| options.record = Some(record.clone())).await;
    let (first, second) = (sized("t3.small"), sized("t3.medium"));
    stage.apply(&first).await;
    served(&stage, &first).await;
    let old = only_group(&stage).await.auto_scaling_group_name.unwrap();

    let said = |action: &str| times(&record, action).last().copied();
    let taken_off = || async {
        let all = groups(&stage).await;
        let old = all.iter().find(|group| group.auto_scaling_group_name() == Some(&old))?;
        old.target_group_arns().is_empty().then_some(())
    };
    // The drain takes seconds, so that the run is ended within it, and the next one's look does not outlast it.
    stage.set_speed(10.0);
    let driver = stage.driver();
    tokio::select! {
        _ = driver.apply(&second, PlanOptions::default()) => panic!("nobody drained"),
        () = until("the old machines are taken off", taken_off) => {}
    }
    assert_eq!(said("DeleteAutoScalingGroup"), None);

    stage.apply(&second).await;
    let detached = said("DetachLoadBalancerTargetGroups").unwrap();
    let deleted = said("DeleteAutoScalingGroup").unwrap();
    let drained = deleted.duration_since(detached).as_secs_f64();
    assert!(drained >= SIZED_DRAIN, "the old machines went after {drained} s");
    stage.assert_settled(&second).await;
}

/// The run turned the port to the database itself, and ended before the machines were taken off: no listener names their target group any
/// more, and the next run gives their sessions the time all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_before_machines_are_taken_off_cuts_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let stage = Stage::open_with(|options| options.record = Some(record.clone())).await;
    let (forwarded, direct) = (sized("t3.small"), direct());
    stage.apply(&forwarded).await;
    served(&stage, &forwarded).await;
    stage.fault("aws:DetachLoadBalancerTargetGroups:*:code=ValidationError");
    let (_, report) = stage.driver().apply(&direct, PlanOptions::default()).await;
    assert!(
        report.failures().any(|error| error.operation() == "DetachLoadBalancerTargetGroups"),
        "{report:#?}"
    );
    assert_eq!(times(&record, "DeleteAutoScalingGroup"), []);

    stage.heal();
    stage.set_speed(10.0);
    stage.apply(&direct).await;
    let detached = *times(&record, "DetachLoadBalancerTargetGroups").last().unwrap();
    let deleted = times(&record, "DeleteAutoScalingGroup")[0];
    let drained = deleted.duration_since(detached).as_secs_f64();
    assert!(drained >= SIZED_DRAIN, "the old machines went after {drained} s");
    stage.assert_settled(&direct).await;
}

/// Machines of this size and a port beside them that leads to this address, all with this time to end sessions in.
fn with_drain(drain: &str, size: &str, address: &str) -> Spec {
    let machines =
        format!("forwarder: {{ {TWO_ZONES}, size: {size}, drain: {drain} }}\n      drain: {drain}");
    let beside = format!("{{ listen: 5433, engine: postgres, to: {{ ips: [{address}] }} }}");
    with(&machines, &format!("{PORT}, {beside}"), "")
}

/// What the plan for a file says of sessions that are cut at once.
async fn cut_at_once(stage: &Stage, spec: &Spec) -> Vec<String> {
    let warnings = stage.plan(spec).await.warnings;
    warnings.into_iter().filter(|warning| warning.contains("sessions are cut at once")).collect()
}

/// `drain: 0s` is the user's word for it. A plan says when it comes to that.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_whose_sessions_have_no_time() {
    let stage = Stage::open().await;
    let now = with_drain("0s", "t3.small", "10.0.0.25");
    stage.apply(&now).await;
    let (machines, targets) =
        (with_drain("0s", "t3.medium", "10.0.0.25"), with_drain("0s", "t3.small", "10.0.0.26"));
    assert_eq!(cut_at_once(&stage, &machines).await, [""; 0], "nobody is connected");

    stage.until_pending(&now, "ledger", 2).await;
    let (_, _, report) = stage.decide(&now, &Ask::default()).await;
    assert!(report.all_done(), "{report:#?}");
    assert_eq!(cut_at_once(&stage, &now).await, [""; 0], "nothing goes");
    let said = cut_at_once(&stage, &machines).await;
    assert!(
        said.len() == 1 && said[0].contains("the forwarder machines (`forwarder.drain: 0s`) make way"),
        "{said:?}"
    );
    let said = cut_at_once(&stage, &targets).await;
    assert!(said.len() == 1 && said[0].contains("targets of port 5433 (`drain: 0s`) make way"), "{said:?}");
    // The longer time is written before the target goes, and the machines that go have it as well.
    let longer = with_drain("60s", "t3.small", "10.0.0.26");
    assert_eq!(cut_at_once(&stage, &longer).await, [""; 0]);
    // A time that is taken away goes before the machines do.
    stage.apply(&with_drain("60s", "t3.small", "10.0.0.25")).await;
    let said = cut_at_once(&stage, &machines).await;
    assert!(said.len() == 1 && said[0].contains("the forwarder machines (`drain: 0s`) make way"), "{said:?}");
}

/// A target that leaves in the edit that gives sessions a longer time has it, also where AWS is slow to take that.
#[tokio::test(flavor = "multi_thread")]
async fn a_longer_time_is_there_before_a_target_goes() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let stage = Stage::open_with(|options| options.record = Some(record.clone())).await;
    let file = |drain: &str, addresses: &str| {
        let port = format!("{{ listen: 5432, engine: postgres, to: {{ ips: [{addresses}] }} }}");
        with(&format!("drain: {drain}"), &port, "")
    };
    let before = file("0s", "10.0.0.25, 10.0.0.26");
    stage.apply(&before).await;
    until("the targets are healthy", || async {
        let world = stage.world(&before).await;
        let targets = &world.services["ledger"].targets;
        targets.iter().all(|target| target.state == TargetState::Healthy).then_some(())
    })
    .await;
    stage.fault("aws:ModifyTargetGroupAttributes:1-2:throttle");
    stage.apply(&file("30s", "10.0.0.25")).await;
    let written = *times(&record, "ModifyTargetGroupAttributes").last().unwrap();
    let taken_off = times(&record, "DeregisterTargets");
    assert!(taken_off.len() == 1 && taken_off[0] > written, "{written}: {taken_off:?}");
}
