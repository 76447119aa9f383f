//! What was made for a service that turned to what is there already: it goes with the same command, or stays for whoever stands on it.

use privnet_core::accept::Ask;
use privnet_core::conformance::Subject as _;
use privnet_core::plan::{PlanOptions, Rule};
use serde_json::json;

use super::frontends::GUEST;
use super::strangers::put_link_before;
use super::{JOIN, delete};
use crate::stage::{self, DIRECT, FORWARDED, Stage, assert_done, made};

/// A tombstone of what the file had turned to something that is there takes what was made before, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_of_a_service_that_turned_removes_what_was_made() {
    let stage = Stage::open().await;
    // Who asks between the look and the deletion holds it up.
    stage.hold_requests().await;
    let before = stage.everything().await;
    stage.apply(&made(DIRECT, JOIN, "")).await;
    let mut tombstone = stage::hosted("Microsoft.Sql/servers/crm", "sqlServer");
    tombstone.services[0].remove = true;
    let plan = stage.apply(&tombstone).await;
    assert_eq!(plan.summary.delete, 4, "{:?}", plan.actions);
    assert_eq!(stage.everything().await, before);
    stage.assert_settled(&tombstone).await;
}

/// A service that turned leaves nothing behind, also where the run that took it away was interrupted at its last part.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_a_service_that_turned_goes_with_the_same_command() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    stage.apply(&made(FORWARDED, "", "")).await;
    let turned = stage::hosted("Microsoft.Sql/servers/crm", "sqlServer");
    let plan = stage.plan(&turned).await;
    assert!(plan.is_empty(), "{plan:#?}");
    let rules: Vec<_> = plan.refusals.iter().map(|r| (r.rule, r.flag.is_some())).collect();
    assert_eq!(rules, [(privnet_core::plan::Rule::HandOver, true)], "{:?}", plan.refusals);
    stage.fault("azure:DELETE Microsoft.Network/virtualNetworks/subnets:1:code=403.AuthorizationFailed");
    let sever = PlanOptions { sever_connections: true, ..PlanOptions::default() };
    let (_, report) = stage.driver().apply(&turned, sever).await;
    assert!(!report.all_done());
    stage.heal();
    let left = stage.everything().await;
    assert!(left != before && !left.iter().any(|id| id.contains("privateLinkServices")), "{left:#?}");
    stage.apply(&turned).await;
    assert_eq!(stage.everything().await, before);
    stage.assert_settled(&turned).await;
    // A subscription that may not be searched is said to be that.
    stage.fault("azure:GET Microsoft.Network/virtualNetworks:1:code=403.AuthorizationFailed");
    let plan = stage.plan(&turned).await;
    assert!(plan.is_empty() && plan.warnings.iter().any(|w| w.contains("cannot be seen")), "{plan:#?}");
}

/// A private link service stands on what privnet made for the service before this file, and is not proven to be privnet's: no word
/// takes anything away.
async fn is_refused_with_every_word(
    stage: &Stage,
    turned: &privnet_core::spec::Spec,
    rule: Rule,
    link: &str,
) {
    let before = stage.everything().await;
    for destroy in [false, true] {
        for sever_connections in [false, true] {
            let options = PlanOptions { destroy, sever_connections, ..PlanOptions::default() };
            let (plan, _) = stage.driver().apply(turned, options).await;
            assert!(plan.is_empty(), "{options:?}: {plan:#?}");
            let says =
                plan.refusals.iter().any(|r| r.rule == rule && r.flag.is_none() && r.why.contains(link));
            assert!(says && plan.refusals.len() == 1, "{options:?}: {:#?}", plan.refusals);
        }
    }
    assert_eq!(stage.everything().await, before);
    let former = &stage.world(turned).await.former["orders"];
    assert!(former.exposed.is_none() && former.connections.may_be_live(), "{former:?}");
}

fn turned_to(link: &str) -> privnet_core::spec::Spec {
    let text = format!("{GUEST}      existing: {{ private_link_service: {link} }}\n");
    stage::spec(
        &text.replace("deployment: guest", "deployment: stage").replace("name: second", "name: orders"),
    )
}

/// The private link service lost its tags, and the load balancer and the machines did not: whoever is connected is not cut.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_leaves_what_a_service_without_its_tags_stands_on() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    let file = made(FORWARDED, "", "");
    stage.apply(&file).await;
    stage.until_pending(&file, "orders", 1).await;
    let (_, plan, report) = stage.decide(&file, &Ask::default()).await;
    assert_done(&plan, &report);
    let link = stage.live(&file, "private-link-service").await.unwrap().id;
    let tags = stage.get(&link).await["tags"].clone();
    stage.change(&link, |body| body["tags"] = json!({})).await;
    let turned = stage::hosted("Microsoft.Sql/servers/crm", "sqlServer");
    is_refused_with_every_word(&stage, &turned, Rule::NotOurs, &link).await;
    is_refused_with_every_word(&stage, &turned_to(&link), Rule::NotOurs, &link).await;
    let unproven = |live: &privnet_core::Live| {
        live.id == link && matches!(live.ownership, privnet_core::Ownership::Unproven { .. })
    };
    assert!(stage.world(&turned).await.live.iter().any(unproven));
    // With the tags, it is ours again, and goes with the word.
    stage.change(&link, |body| body["tags"] = tags.clone()).await;
    stage.apply_with(&turned, PlanOptions { sever_connections: true, ..PlanOptions::default() }).await;
    assert_eq!(stage.everything().await, before);
}

/// The user put a private link service of his own in the place of privnet's, before privnet's load balancer, and names it.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_leaves_what_a_service_of_the_users_own_stands_on() {
    let stage = Stage::open().await;
    stage.hold_requests().await;
    let before = stage.everything().await;
    let file = made(DIRECT, JOIN, "");
    stage.apply(&file).await;
    let balancer = stage.live(&file, "load-balancer").await.unwrap().id;
    delete(&stage, &stage.live(&file, "private-link-service").await.unwrap().id).await;
    let link = put_link_before(&stage, &format!("{balancer}/frontendIPConfigurations/main")).await;
    let asked = stage.connect("mine", "consumer");
    is_refused_with_every_word(&stage, &turned_to(&link), Rule::Unsuitable, &link).await;
    let hosted = stage::hosted("Microsoft.Sql/servers/crm", "sqlServer");
    is_refused_with_every_word(&stage, &hosted, Rule::Unsuitable, &link).await;
    // Once it is gone, so does the rest.
    delete(&stage, asked["connection"].as_str().unwrap()).await;
    delete(&stage, &link).await;
    stage.apply(&hosted).await;
    assert_eq!(stage.everything().await, before);
}
