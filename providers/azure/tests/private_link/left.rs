//! What is left of services: after an interrupted destroy, or where the file lists them no more.

use privnet_core::plan::{Plan, PlanOptions, Rule};
use privnet_core::spec::Spec;

use super::JOIN;
use crate::stage::{self, DIRECT, FORWARDED, Stage, hosted, made};

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_removes_what_an_interrupted_destroy_left() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    let file = made(FORWARDED, "", "");
    stage.apply(&file).await;
    stage.fault("azure:DELETE Microsoft.Network/virtualNetworks/subnets:1:code=403.AuthorizationFailed");
    let destroy = PlanOptions { destroy: true, ..PlanOptions::default() };
    let (_, report) = stage.driver().apply(&file, destroy).await;
    assert!(!report.all_done());
    stage.heal();
    let tombstone = stage::spec(
        "version: 1
deployment: stage
services:
  - name: orders
    remove: true
    azure: { subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee, resource_group: rg-data, location: eastus2 }
",
    );
    stage.apply(&tombstone).await;
    assert_eq!(stage.everything().await, before);
    stage.assert_settled(&tombstone).await;
}

/// A subnet has no tags, and when all else of its service is gone nothing but its own name says whose it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_nat_subnet_that_is_all_that_is_left_of_an_unlisted_service_is_found_by_its_name() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    let file = made(DIRECT, JOIN, "");
    stage.fault("azure:PUT Microsoft.Network/loadBalancers:*:code=403.AuthorizationFailed");
    let (_, report) = stage.driver().apply(&file, PlanOptions::default()).await;
    assert!(!report.all_done());
    stage.heal();
    let mut other = file.clone();
    other.services[0].name = "billing".parse().unwrap();
    let plan = stage.plan(&other).await;
    assert_eq!(plan.left.len(), 1, "{plan:#?}");
    assert_eq!((plan.left[0].service.as_str(), plan.left[0].resources.len()), ("orders", 1));
    other.services[0].remove = true;
    let privnet_core::spec::CloudService::Azure(azure) = &mut other.services[0].cloud else { unreachable!() };
    azure.form = privnet_core::spec::azure::AzureForm::Removed { resource_group: "rg-data".parse().unwrap() };
    stage.apply_with(&other, PlanOptions { prune: true, ..PlanOptions::default() }).await;
    assert_eq!(stage.everything().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_left_the_file_is_left_until_pruned() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    let file = made(DIRECT, JOIN, "");
    stage.apply(&file).await;
    let text = format!("{:?}", file.services[0].name);
    assert!(text.contains("orders"));
    let mut other = file.clone();
    other.services[0].name = "billing".parse().unwrap();
    // Another service would want the same range; here only what is left counts.
    let plan = stage.plan(&other).await;
    assert_eq!(plan.left.len(), 1);
    assert_eq!(plan.left[0].service, "orders");
    assert_eq!(plan.left[0].resources.len(), 4, "{:?}", plan.left[0].resources);
    other.services[0].remove = true;
    let privnet_core::spec::CloudService::Azure(azure) = &mut other.services[0].cloud else { unreachable!() };
    azure.form = privnet_core::spec::azure::AzureForm::Removed { resource_group: "rg-data".parse().unwrap() };
    stage.apply_with(&other, PlanOptions { prune: true, ..PlanOptions::default() }).await;
    assert_eq!(stage.everything().await, before);
}

#[allow(clippy::unwrap_used, reason = "a test")]
fn renamed(file: &Spec) -> Spec {
    let mut other = file.clone();
    other.services[0].name = "renamed".parse().unwrap();
    other
}

/// Whether the service of another name is refused for that, and for nothing else: not for what the other one has, either.
fn is_told(plan: &Plan) -> bool {
    let [refusal] = plan.refusals.as_slice() else { return false };
    // The word is asked for only where nothing else is in the way.
    let in_vain = refusal.why.contains("more stands in its way");
    let is_asked = refusal.flag.is_some() || in_vain;
    refusal.rule == Rule::HandOver && is_asked && refusal.why.contains("`orders` was renamed")
}

/// What is there under another name is known by its targets, its ports, its network, its NAT subnet and who sees it.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_under_another_name_is_known_by_what_it_serves() {
    const EXISTING: &str = "nat_subnet: { existing: nat }";
    let both = format!("{DIRECT}, {FORWARDED}");
    for file in [made(&both, JOIN, ""), made(FORWARDED, "", ""), made(FORWARDED, EXISTING, "")] {
        let stage = Stage::open().await;
        stage.apply(&file).await;
        let plan = stage.plan(&renamed(&file)).await;
        assert!(is_told(&plan) && plan.is_empty() && plan.left.len() == 1, "{:#?}", plan.refusals);
    }
    // Another database, or another range for another way to the same one.
    let stage = Stage::open().await;
    stage.apply(&made(FORWARDED, EXISTING, "")).await;
    let other = FORWARDED.replace("172.16.4.20", "172.16.4.21");
    for file in [made(&other, EXISTING, ""), made(FORWARDED, "", "")] {
        let plan = stage.plan(&renamed(&file)).await;
        assert!(plan.refusals.is_empty() && !plan.is_empty(), "{:#?}", plan.refusals);
    }
}

/// Who approves requests on what Azure hosts gives the vendor nothing of privnet's: the name is the file's own.
#[tokio::test(flavor = "multi_thread")]
async fn what_azure_hosts_takes_any_name() {
    let stage = Stage::open().await;
    let file = hosted("Microsoft.Sql/servers/crm", "sqlServer");
    stage.apply(&file).await;
    let plan = stage.plan(&renamed(&file)).await;
    assert!(plan.refusals.is_empty() && plan.is_empty() && plan.left.is_empty(), "{plan:#?}");
}
