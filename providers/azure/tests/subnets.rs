//! Forwarders that move to another subnet: those of before go when others answer, with a drain.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod stage;

use privnet_core::plan::{Op, PlanOptions};
use privnet_core::world::TargetState;
use serde_json::{Value as Json, json};
use stage::{FORWARDED, Stage, made, until};

/// The file's forwarders in another subnet than the default one of these tests.
const IN_DB: &str = "forwarder: { subnets: [db], size: Standard_D2s_v5 }";
const DELETE_DENIED: &str =
    "azure:DELETE Microsoft.Compute/virtualMachineScaleSets:1+:code=AuthorizationFailed";

/// Whether a load balancer sends a group no new connections.
fn is_drained(balancer: &Json, group: &str) -> bool {
    let prefix = format!("{}/", group.to_lowercase());
    let pools = balancer["properties"]["backendAddressPools"].as_array().unwrap();
    let members =
        pools.iter().filter_map(|pool| pool["properties"]["loadBalancerBackendAddresses"].as_array());
    let mut own = members.flatten().filter(|member| {
        let id = member["properties"]["networkInterfaceIPConfiguration"]["id"].as_str();
        id.is_some_and(|id| id.to_lowercase().starts_with(&prefix))
    });
    let first = own.next().unwrap_or_else(|| panic!("{group} is not in the pool: {pools:?}"));
    [first].into_iter().chain(own).all(|member| member["properties"]["adminState"] == "Down")
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_of_another_subnet_take_over_before_those_of_before_go() {
    let stage = Stage::open().await;
    let before = made(FORWARDED, "", "");
    stage.apply(&before).await;
    let after = made(FORWARDED, IN_DB, "");
    stage.fault(DELETE_DENIED);
    let (plan, report) = stage.driver().apply(&after, PlanOptions::default()).await;
    stage.heal();
    let ops: Vec<_> = plan.actions.iter().map(|action| (action.op, action.address.name.as_str())).collect();
    assert_eq!(ops, [(Op::Create, "db"), (Op::Delete, "fwd")]);
    let error = stage::failure(&report);
    assert_eq!(error.code(), Some("AuthorizationFailed"), "{error}");
    // Nothing is lost yet: the old one is drained, for the new one answers.
    let balancer = stage.live(&after, "load-balancer").await.unwrap();
    let shown = stage.get(&balancer.id).await;
    let world = stage.world(&after).await;
    let group = |name: &str| {
        let mut groups = world.live.iter().filter(|live| live.address.kind == "scale-set");
        groups.find(|live| live.address.name == name).unwrap().id.clone()
    };
    assert!(is_drained(&shown, &group("fwd")) && !is_drained(&shown, &group("db")), "{shown:#}");
    stage.apply(&after).await;
    stage.assert_settled(&after).await;
    let groups: Vec<String> =
        stage.everything().await.into_iter().filter(|id| id.contains("ScaleSets")).collect();
    assert_eq!(groups, [group("db")]);
}

/// The move was interrupted when the old group was drained, and the file goes back: the new one goes when the old one answers again.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_between_subnets_that_was_interrupted_has_a_way_back() {
    let stage = Stage::open().await;
    let before = made(FORWARDED, "", "");
    stage.apply(&before).await;
    stage.fault(DELETE_DENIED);
    let (_, report) = stage.driver().apply(&made(FORWARDED, IN_DB, ""), PlanOptions::default()).await;
    stage.heal();
    assert!(!report.all_done(), "the old group stayed");
    // What the old group needs is put right first, and meanwhile nothing else waits for that group.
    let rules = stage.live(&before, "network-security-group").await.unwrap().id;
    stage.change(&rules, |body| body["properties"]["securityRules"] = json!([])).await;
    let plan = stage.apply(&before).await;
    let ids: Vec<_> = plan.actions.iter().map(|action| action.id.as_str()).collect();
    let order = [
        "update orders/network-security-group/forwarder",
        "update orders/scale-set/fwd",
        "delete orders/scale-set/db@a",
    ];
    assert_eq!(ids, order);
    stage.assert_settled(&before).await;
}

/// Both generations of a subnet that the file does not name any more go for those in other subnets, and not for each other.
#[tokio::test(flavor = "multi_thread")]
async fn two_groups_of_a_subnet_that_goes_wait_for_those_of_the_new_one() {
    let stage = Stage::open().await;
    let before = made(FORWARDED, "", "");
    stage.apply(&before).await;
    let other = made(&FORWARDED.replace("172.16.4.20", "172.16.4.21"), "", "");
    stage.fault(
        "azure:POST Microsoft.Network/loadBalancers/loadBalancingRules/health:1:code=AuthorizationFailed",
    );
    let (_, report) = stage.driver().apply(&other, PlanOptions::default()).await;
    stage.heal();
    assert!(!report.all_done(), "the new group is not known to be healthy");
    let world = stage.world(&other).await;
    let young = world.live.iter().find(|live| live.id.ends_with("-b") && live.address.kind == "scale-set");
    stage.change(&young.unwrap().id, |body| body["tags"]["sandbox-health"] = json!("down")).await;
    until("two machines are healthy", || async {
        let world = stage.driver().observe(&other, privnet_core::Purpose::Status).await.1;
        let targets = &world.services["orders"].targets;
        let healthy = targets.iter().filter(|one| one.state == TargetState::Healthy).count();
        (targets.len() == 4 && healthy == 2).then_some(())
    })
    .await;
    let after = made(FORWARDED, IN_DB, "");
    let plan = stage.apply(&after).await;
    assert_eq!((plan.summary.create, plan.summary.delete), (1, 2), "{:?}", plan.actions);
    stage.assert_settled(&after).await;
}
