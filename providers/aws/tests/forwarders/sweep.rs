//! Calls about machines fail in turn: the first of each action.

use std::collections::BTreeMap;

use privnet_core::plan::PlanOptions;
use privnet_core::spec::Spec;

use crate::stage::Stage;
use crate::turns::{direct, until_direct};
use crate::{DESTROY, groups, served, sized};

/// An answer that is lost, an error of the cloud's, a connection that is cut, one that is told to go slower, and an old answer.
const MODES: [&str; 5] = ["lost", "code=InternalError", "reset", "throttle", "stale"];

/// The calls about machines.
fn is_about_machines(action: &str) -> bool {
    action.contains("AutoScaling")
        || action.contains("LaunchTemplate")
        || action.contains("LoadBalancerTargetGroups")
        || ["DescribeScalingActivities", "DescribeImages"].contains(&action)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Apply,
    Replace,
    /// A port turns from an instance to the machines.
    Turn,
    Destroy,
}

impl Work {
    fn spec(self) -> Spec {
        sized(if self == Self::Replace { "t3.medium" } else { "t3.small" })
    }

    fn options(self) -> PlanOptions {
        if self == Self::Destroy { DESTROY } else { PlanOptions::default() }
    }

    /// The calls that it is about.
    fn is_about(self, action: &str) -> bool {
        if self == Self::Turn { action == "ModifyListener" } else { is_about_machines(action) }
    }

    async fn start(self, stage: &Stage) {
        if self == Self::Turn {
            stage.apply(&direct()).await;
            until_direct(stage).await;
        } else if self != Self::Apply {
            stage.apply(&sized("t3.small")).await;
            served(stage, &sized("t3.small")).await;
        }
    }
}

/// The first three calls of each action about machines, a sample of them, fail in turn in each way; then the same command runs again. It
/// must end in the same state with nothing left to do, and nothing twice.
async fn sweep(work: Work) {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let stage = Stage::open_with(|options| options.record = Some(record.clone())).await;
    work.start(&stage).await;
    let before = std::fs::read_to_string(&record).unwrap_or_default().lines().count();
    stage.apply_with(&work.spec(), work.options()).await;
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for line in std::fs::read_to_string(&record).unwrap().lines().skip(before) {
        let exchange: serde_json::Value = serde_json::from_str(line).unwrap();
        let action = exchange["action"].as_str().unwrap_or_default().to_owned();
        if work.is_about(&action) {
            *calls.entry(action).or_default() += 1;
        }
    }
    // How often polls ask differs from run to run: the first few of each.
    let all = calls.values().sum::<usize>();
    calls.values_mut().for_each(|count| *count = (*count).min(3));
    // Each point begins with a copy of what was made once.
    let started = Stage::open().await;
    work.start(&started).await;
    let (mut tried, mut passed, mut without) = (0, 0, 0);
    for (action, count) in &calls {
        let passed_before = passed;
        let reads = action.starts_with("Describe") || action.starts_with("Get");
        for nth in 1..=*count {
            for mode in MODES {
                tried += 1;
                let stage = started.copy().await;
                stage.fault(&format!("aws:{action}:{nth}:{mode}"));
                let (_, report) = stage.driver().apply(&work.spec(), work.options()).await;
                // An old answer is given to reads only.
                let has_fired = stage.counted() >= nth && (reads || mode != "stale");
                stage.heal();
                if !report.all_done() || work == Work::Destroy {
                    stage.apply_with(&work.spec(), work.options()).await;
                }
                let templates = stage.ec2().describe_launch_templates().send().await.unwrap();
                let left = (groups(&stage).await.len(), templates.launch_templates().len());
                if work == Work::Destroy {
                    assert_eq!(left, (0, 0), "{action} {nth} {mode}");
                } else {
                    stage.assert_settled(&work.spec()).await;
                    assert_eq!(left, (1, 1), "{action} {nth} {mode}");
                }
                if has_fired { passed += 1 } else { without += 1 }
            }
        }
        // Some reads come only where something is slow; what writes comes in each run.
        assert!(reads || passed > passed_before, "{action}: no fault was ever met");
    }
    println!("{calls:?} of {all} calls: {tried} points tried, {passed} passed, {without} without effect");
    assert!(passed > 0 && passed + without == tried);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_calls_of_an_apply_may_fail() {
    sweep(Work::Apply).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_calls_of_a_replacement_may_fail() {
    sweep(Work::Replace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_writes_of_a_turn_may_fail() {
    sweep(Work::Turn).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_calls_of_a_destroy_may_fail() {
    sweep(Work::Destroy).await;
}
