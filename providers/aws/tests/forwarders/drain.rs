//! Machines that were taken off the load balancer keep their sessions for the drain time, whoever goes on.

use privnet_core::plan::PlanOptions;

use super::{SIZED_DRAIN, Stage, groups, only_group, served, sized, until};

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

    let said = |action: &str| {
        let text = std::fs::read_to_string(&record).unwrap();
        let said = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let mut found =
            said.filter(|one| one["action"] == action).map(|one| one["time"].as_str().unwrap().to_owned());
        found.next_back().map(|time| time.parse::<jiff::Timestamp>().unwrap())
    };
    let taken_off = || async {
        let all = groups(&stage).await;
        let old = all.iter().find(|group| group.auto_scaling_group_name() == Some(&old))?;
        old.target_group_arns().is_empty().then_some(())
    };
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
