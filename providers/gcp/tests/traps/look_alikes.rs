//! What has our names without our proof, our proof without our names, or is another deployment's.

use privnet_core::plan::{PlanOptions, Rule};

use super::stage::{self, ONE, Stage, made};
use super::{FORWARDED, FORWARDERS, SEVER};

#[tokio::test(flavor = "multi_thread")]
async fn look_alikes_are_refused_and_left_alone() {
    let applied = Stage::open().await;
    for (ports, block) in [(ONE, ""), (FORWARDED, FORWARDERS)] {
        let spec = made(ports, block, "");
        applied.apply(&spec).await;
        // The same names, and nothing that proves them ours.
        let stage = Stage::copy_of(&applied, |state| {
            state
                .replace("Managed by privnet:", "Made by hand:")
                .replace("privnet-deployment", "somebodys-deployment")
        })
        .await;
        let before = stage.everything().await;
        let plan = stage.plan(&spec).await;
        assert!(plan.is_empty(), "{:#?}", plan.actions);
        let wanted: Vec<_> =
            applied.world(&spec).await.live.iter().map(|live| live.address.clone()).collect();
        for address in &wanted {
            let refused =
                plan.refusals.iter().any(|one| one.address == *address && one.rule == Rule::NotOurs);
            assert!(refused, "{address} is not refused: {:#?}", plan.refusals);
        }
        for destroy in [false, true] {
            let options = PlanOptions { prune: true, sever_connections: true, destroy };
            let (plan, _) = stage.driver().apply(&spec, options).await;
            assert!(plan.is_empty(), "{:#?}", plan.actions);
        }
        assert_eq!(stage.everything().await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proof_without_the_name_is_untouched() {
    for (ports, block) in [(ONE, ""), (FORWARDED, FORWARDERS)] {
        let applied = Stage::open().await;
        let (empty, spec) = (applied.everything().await, made(ports, block, ""));
        applied.apply(&spec).await;
        // Somebody copied all of it, proofs and all, under names of their own.
        let stage = Stage::copy_of(&applied, |state| state.replace("pn-orders-", "copied-orders-")).await;
        let before = stage.everything().await;
        let count = before.difference(&empty).count();
        assert!(count > 5 && before.iter().all(|one| !one.contains("pn-orders-")), "{count}");
        // Its range is taken; another one is free, and nothing of theirs is taken for ours.
        let nat = "nat_subnets: [{ create: { cidr: 10.8.44.0/24 } }]";
        let own = made(ports, &format!("{block}\n{nat}"), "");
        stage.apply(&own).await;
        stage.assert_settled(&own).await;
        assert!(stage.everything().await.is_superset(&before), "apply changed something");
        stage.apply_with(&own, PlanOptions { prune: true, destroy: true, ..SEVER }).await;
        assert_eq!(stage.everything().await, before, "destroy changed something");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_deployment_is_untouched() {
    let stage = Stage::open().await;
    let of = |deployment: &str, cidr: &str| {
        let service = |name: &str, nat: &str, ports: &str| {
            format!(
                "  - name: {name}\n    allow: {{ fivetran: {{}} }}\n    gcp:\n      nat_subnets: [{{ create: {{ cidr: {nat} }} }}]\n{ports}"
            )
        };
        stage::spec(&format!(
            "version: 1\ndeployment: {deployment}\ndefaults:\n  gcp: {{ project: acme-data, region: us-east4, network: prod, subnet: ilb }}\nservices:\n{}{}",
            service("orders", &format!("{cidr}.0/28"), &format!("      ports: [{ONE}]\n")),
            service(
                "forwarded",
                &format!("{cidr}.16/28"),
                &format!("      {FORWARDERS}\n      ports: [{FORWARDED}]\n")
            ),
        ))
    };
    let (other, own) = (of("other", "10.8.1"), of("stage", "10.8.2"));
    stage.apply(&other).await;
    let before = stage.everything().await;
    stage.apply_with(&own, PlanOptions { prune: true, ..PlanOptions::default() }).await;
    assert!(stage.everything().await.is_superset(&before), "apply changed something");
    stage.apply_with(&own, PlanOptions { prune: true, destroy: true, ..SEVER }).await;
    assert_eq!(stage.everything().await, before, "destroy changed something");
    stage.assert_settled(&other).await;
}
