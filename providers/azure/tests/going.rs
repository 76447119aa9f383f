//! What is being deleted while a plan is made: nothing of it is kept, and nothing waits for what does not come back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod stage;

use privnet_core::conformance::Subject as _;
use privnet_core::plan::{Plan, PlanOptions};
use privnet_core::spec::Spec;
use privnet_core::{Desired, Health, World};
use stage::{FORWARDED, GROUP, Stage, assert_done, made};

/// So slow that a plan is made while something is being deleted.
const SPEED: f64 = 60.0;

async fn delete(stage: &Stage, path: &str) {
    let (status, body) = stage.request("DELETE", &format!("{path}?api-version=2025-05-01"), None).await;
    assert!(status < 300, "{path}: {body}");
}

async fn until_gone(stage: &Stage, path: &str) {
    stage::until("it has gone", || async {
        let path = format!("{path}?api-version=2025-05-01");
        (stage.request("GET", &path, None).await.0 == 404).then_some(())
    })
    .await;
}

/// The plan that is made while what is at this path is being deleted. Where a slow machine comes too late, it is made anew and tried again.
async fn plan_while_going(stage: &Stage, before: &Spec, path: &str, after: &Spec) -> (Plan, Desired, World) {
    for _ in 0..20 {
        delete(stage, path).await;
        let (plan, desired, world) = stage.driver().plan(after, PlanOptions::default()).await;
        let going = |live: &privnet_core::Live| {
            live.id.eq_ignore_ascii_case(path) && matches!(live.health, Health::Going { .. })
        };
        if world.live.iter().any(going) {
            return (plan, desired, world);
        }
        until_gone(stage, path).await;
        stage.apply(before).await;
    }
    panic!("{path} was never seen while it was being deleted");
}

async fn carry_out(stage: &Stage, (plan, desired, world): (Plan, Desired, World)) {
    assert_eq!(plan.refusals, []);
    let report = stage.driver().execute(&plan, &desired, &world).await;
    assert_done(&plan, &report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_being_deleted_is_made_anew() {
    let stage = Stage::open_at(SPEED).await;
    let file = made(FORWARDED, "", "");
    stage.apply(&file).await;
    let group = stage.live(&file, "scale-set").await.unwrap().id;
    let planned = plan_while_going(&stage, &file, &group, &file).await;
    let ids: Vec<_> = planned.0.actions.iter().map(|action| action.id.as_str()).collect();
    assert_eq!(ids, ["delete orders/scale-set/fwd@a", "create orders/scale-set/fwd@a"]);
    carry_out(&stage, planned).await;
    stage.assert_settled(&file).await;
    let live = stage.live(&file, "scale-set").await.unwrap();
    assert_eq!((live.id, live.health), (group, Health::Ready));
}

/// A run was stopped when the old group was about to go, and somebody deletes it while the file goes back to it.
#[tokio::test(flavor = "multi_thread")]
async fn the_old_group_of_a_replacement_is_not_kept_on_its_way_out() {
    let stage = Stage::open_at(SPEED).await;
    let file = made(FORWARDED, "", "");
    stage.apply(&file).await;
    let old = stage.live(&file, "scale-set").await.unwrap().id;
    let other = made(&FORWARDED.replace("172.16.4.20", "172.16.4.21"), "", "");
    stage.fault("azure:DELETE Microsoft.Compute/virtualMachineScaleSets:1+:code=AuthorizationFailed");
    let (_, report) = stage.driver().apply(&other, PlanOptions::default()).await;
    stage.heal();
    assert!(!report.all_done(), "the old group stayed");
    delete(&stage, &old).await;
    // However far that is when it is planned: a group of this file serves in the end, and the other one has gone.
    let planned = stage.driver().plan(&file, PlanOptions::default()).await;
    carry_out(&stage, planned).await;
    stage.assert_settled(&file).await;
    let groups: Vec<String> =
        stage.everything().await.into_iter().filter(|id| id.contains("ScaleSets")).collect();
    assert_eq!(groups.len(), 1, "{groups:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_balancer_that_is_being_deleted_is_waited_for_and_made() {
    let stage = Stage::open_at(SPEED).await;
    // A service that somebody has asked for does not go by a hand's deletion.
    stage.hold_requests().await;
    let file = made(FORWARDED, "", "");
    stage.apply(&file).await;
    let of = async |kind: &str| stage.live(&file, kind).await.unwrap().id;
    let (service, group, balancer) =
        (of("private-link-service").await, of("scale-set").await, of("load-balancer").await);
    let mut planned = None;
    for _ in 0..20 {
        for used in [&service, &group] {
            delete(&stage, used).await;
            until_gone(&stage, used).await;
        }
        delete(&stage, &balancer).await;
        let found = stage.driver().plan(&file, PlanOptions::default()).await;
        if found.0.actions.iter().any(|action| action.id == "delete orders/load-balancer/main@a") {
            planned = Some(found);
            break;
        }
        until_gone(&stage, &balancer).await;
        stage.apply(&file).await;
    }
    carry_out(&stage, planned.expect("it was seen while it was being deleted")).await;
    stage.assert_settled(&file).await;
    assert!(stage.everything().await.iter().any(|id| *id == balancer && id.starts_with(GROUP)));
}

/// It goes after the plan was made, which keeps it: what was to be changed is made, and nobody waits for what is not there.
#[tokio::test(flavor = "multi_thread")]
async fn what_goes_after_the_plan_is_not_waited_for() {
    let stage = Stage::open_at(SPEED).await;
    let file = made(FORWARDED, "", "tags: { owner: me }");
    stage.apply(&file).await;
    let group = stage.live(&file, "scale-set").await.unwrap().id;
    let other = made(FORWARDED, "", "tags: { owner: you }");
    let (plan, desired, world) = stage.driver().plan(&other, PlanOptions::default()).await;
    delete(&stage, &group).await;
    until_gone(&stage, &group).await;
    let report = stage.driver().execute(&plan, &desired, &world).await;
    let error = stage::failure(&report);
    assert!(error.to_string().contains("gone since"), "{error}");
    stage.apply(&other).await;
    stage.assert_settled(&other).await;
}
