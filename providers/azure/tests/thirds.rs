//! A third sort of forwarders where a run that was cut short left two: the one that answers stays until the third does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod stage;

use privnet_core::plan::PlanOptions;
use privnet_core::spec::Spec;
use privnet_core::world::TargetState;
use serde_json::json;
use stage::{FORWARDED, Stage, assert_done, made, until};

const HEALTH_DENIED: &str =
    "azure:POST Microsoft.Network/loadBalancers/loadBalancingRules/health:1:code=AuthorizationFailed";

fn to(address: &str) -> Spec {
    made(&FORWARDED.replace("172.16.4.20", address), "", "")
}

/// Two groups beside each other, neither of them drained: the run that made the second one was stopped before that was healthy. The ids
/// of the first and of the second one.
async fn two_groups(stage: &Stage) -> (String, String) {
    stage.apply(&to("172.16.4.20")).await;
    stage.until_pending(&to("172.16.4.20"), "orders", 1).await;
    let (_, plan, report) = stage.decide(&to("172.16.4.20"), &privnet_core::accept::Ask::default()).await;
    assert_done(&plan, &report);
    stage.fault(HEALTH_DENIED);
    let (_, report) = stage.driver().apply(&to("172.16.4.21"), PlanOptions::default()).await;
    stage.heal();
    assert_eq!(stage::failure(&report).code(), Some("AuthorizationFailed"));
    let world = stage.world(&to("172.16.4.21")).await;
    let group = |letter: &str| {
        let mut groups = world.live.iter().filter(|live| live.address.kind == "scale-set");
        groups.find(|live| live.id.ends_with(letter)).unwrap().id.clone()
    };
    (group("-a"), group("-b"))
}

/// Makes all machines of a group unhealthy, and waits until the load balancer says so of as many, and calls the others healthy.
async fn make_sick(stage: &Stage, group: &str) {
    stage.change(group, |body| body["tags"]["sandbox-health"] = json!("down")).await;
    until("two machines are healthy and two are not", || async {
        let world = stage.driver().observe(&to("172.16.4.22"), privnet_core::Purpose::Status).await.1;
        let targets = &world.services["orders"].targets;
        let healthy = targets.iter().filter(|one| one.state == TargetState::Healthy).count();
        (targets.len() == 4 && healthy == 2).then_some(())
    })
    .await;
}

/// What the run that comes to a third sort does, in order.
async fn ids_of_the_third(stage: &Stage) -> Vec<String> {
    let plan = stage.apply(&to("172.16.4.22")).await;
    stage.assert_settled(&to("172.16.4.22")).await;
    plan.actions.into_iter().map(|action| action.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_younger_group_stays_where_it_alone_answers() {
    let stage = Stage::open().await;
    let (old, _) = two_groups(&stage).await;
    make_sick(&stage, &old).await;
    // Whoever may not read the health takes the older one to serve, although it does not: and is told so.
    stage.fault(HEALTH_DENIED);
    let unseen = stage.plan(&to("172.16.4.22")).await;
    stage.heal();
    assert_eq!(unseen.actions[0].id, "delete orders/scale-set/fwd@b");
    assert!(unseen.warnings.iter().any(|warning| warning.contains("is not known")), "{:?}", unseen.warnings);
    let order =
        ["delete orders/scale-set/fwd@a", "create orders/scale-set/fwd@a", "delete orders/scale-set/fwd@b"];
    assert_eq!(ids_of_the_third(&stage).await, order);
}

/// The old one answers nothing and the younger one does with a part of its machines: it is all that there is.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_group_that_answers_nothing_does_not_wait_for_all_of_the_younger_one() {
    let stage = Stage::open().await;
    let (old, young) = two_groups(&stage).await;
    make_sick(&stage, &old).await;
    stage.change(&young, |body| body["tags"]["sandbox-health"] = json!("one-down")).await;
    assert_eq!(ids_of_the_third(&stage).await[0], "delete orders/scale-set/fwd@a");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_group_stays_where_it_answers() {
    let stage = Stage::open().await;
    let (_, young) = two_groups(&stage).await;
    make_sick(&stage, &young).await;
    assert_eq!(ids_of_the_third(&stage).await[0], "delete orders/scale-set/fwd@b");
}
