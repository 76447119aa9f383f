//! A plan that another run has overtaken: it undoes nothing of what that one did.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod stage;

use privnet_core::ErrorKind;
use privnet_core::execute::Report;
use privnet_core::plan::PlanOptions;
use stage::{FORWARDED, Stage, failure, made};

fn to(address: &str) -> String {
    FORWARDED.replace("172.16.4.20", address)
}

fn assert_overtaken(report: &Report) {
    let error = failure(report);
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.hints().iter().any(|hint| hint.contains("run the same command again")), "{error:?}");
}

/// Somebody adds a port between the plan of one who knows nothing of it and its apply.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_came_since_the_plan_stays() {
    let stage = Stage::open().await;
    let one = made(FORWARDED, "", "");
    stage.apply(&one).await;
    let more = "{ listen: 3306, engine: mysql, to: { forwarder: { ip: 172.16.4.30 } } }";
    let both = made(&format!("{FORWARDED}, {more}"), "", "");
    let another = "{ listen: 5432, engine: postgres, to: { forwarder: { ip: 172.16.4.40 } } }";
    let stale = made(&format!("{FORWARDED}, {another}"), "", "");
    let (plan, desired, world) = stage.driver().plan(&stale, PlanOptions::default()).await;
    stage.apply(&both).await;
    let report = stage.driver().execute(&plan, &desired, &world).await;
    assert_overtaken(&report);
    let balancer = stage.live(&both, "load-balancer").await.unwrap();
    let shown = stage.get(&balancer.id).await;
    let rules = shown["properties"]["loadBalancingRules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["name"] == "port-3306"), "{rules:?}");
    stage.apply(&both).await;
    stage.assert_settled(&both).await;
}

/// The groups were replaced twice since the plan: the one of the old name is what serves.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_was_made_since_the_plan_stays() {
    let stage = Stage::open().await;
    let first = made(FORWARDED, "", "");
    stage.apply(&first).await;
    let second = made(&to("172.16.4.21"), "", "");
    let (plan, desired, world) = stage.driver().plan(&second, PlanOptions::default()).await;
    stage.apply(&second).await;
    stage.apply(&first).await;
    let serving = stage.live(&first, "scale-set").await.unwrap();
    let report = stage.driver().execute(&plan, &desired, &world).await;
    assert_overtaken(&report);
    let groups = stage.everything().await;
    assert!(groups.contains(&serving.id), "{groups:?}");
    stage.apply(&first).await;
    stage.assert_settled(&first).await;
}
