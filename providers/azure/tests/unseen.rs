//! Networks that may not be read: what privnet made in them is not seen, and that is said where a service goes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod stage;

use privnet_core::plan::{Plan, PlanOptions};
use stage::{DIRECT, Stage, made};

const DENIED: &str = "azure:GET Microsoft.Network/virtualNetworks:*:code=AuthorizationFailed";

fn says_it(plan: &Plan, network: &str) -> bool {
    plan.warnings.iter().any(|warning| warning.contains("NAT subnets") && warning.contains(network))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subnet_that_stays_unseen_is_told_of() {
    let stage = Stage::open().await;
    let file = made(DIRECT, "join_nics: true", "");
    stage.apply(&file).await;
    let destroy = PlanOptions { destroy: true, ..PlanOptions::default() };
    let seen = stage.driver().plan(&file, destroy).await.0;
    assert!(!says_it(&seen, "hub"), "{:?}", seen.warnings);
    stage.fault(DENIED);
    let unseen = stage.driver().plan(&file, destroy).await.0;
    assert_eq!(unseen.summary.delete, seen.summary.delete - 1);
    assert!(
        says_it(&unseen, "/virtualnetworks/hub") && says_it(&unseen, "AuthorizationFailed"),
        "{:?}",
        unseen.warnings
    );
    let tombstone = stage::spec(
        "version: 1
deployment: stage
services:
  - { name: orders, remove: true, azure: { subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee, resource_group: rg-data } }
",
    );
    let unseen = stage.driver().plan(&tombstone, PlanOptions::default()).await.0;
    assert!(says_it(&unseen, "of the subscription aaaaaaaa"), "{:?}", unseen.warnings);
    stage.heal();
    stage.apply_with(&file, destroy).await;
}
