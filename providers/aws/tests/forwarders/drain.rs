//! Machines that were taken off the load balancer keep their sessions for the drain time, whoever goes on.

use std::path::Path;

use privnet_core::plan::PlanOptions;

use super::turns::direct;
use super::{SIZED_DRAIN, Stage, groups, only_group, served, sized, until};

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
