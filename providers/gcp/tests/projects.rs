//! A service whose file puts it into another project, and what it has in networks that several projects share.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod stage;

use privnet_core::plan::{Plan, PlanOptions, Rule};
use privnet_core::spec::Spec;
use stage::{Stage, spec};

const PRUNE: PlanOptions = PlanOptions { prune: true, sever_connections: false, destroy: false };
const SEVER: PlanOptions = PlanOptions { prune: true, sever_connections: true, destroy: false };
const DESTROY: PlanOptions = PlanOptions { destroy: true, ..SEVER };

/// A service in this project, in a network of this one.
fn service(name: &str, project: &str, (host, network): (&str, &str)) -> String {
    format!(
        "  - name: {name}
    allow: {{ fivetran: {{}} }}
    gcp:
      project: {project}
      host_project: {host}
      network: {network}
      nat_subnets: [{{ create: {{ cidr: 10.8.1.0/28 }} }}]
      forwarder: {{ subnets: [ilb], size: e2-small }}
      ports: [{{ listen: 5432, engine: postgres, to: {{ forwarder: {{ ip: 10.90.0.3 }} }} }}]
"
    )
}

fn tombstone(name: &str, project: &str, (host, network): (&str, &str)) -> String {
    format!(
        "  - name: {name}\n    remove: true\n    gcp: {{ project: {project}, host_project: {host}, network: {network} }}\n"
    )
}

fn file(services: &[String]) -> Spec {
    let services = services.concat();
    spec(&format!(
        "version: 1\ndeployment: stage\ndefaults: {{ gcp: {{ region: us-east4, subnet: ilb }} }}\nservices:\n{services}"
    ))
}

const OWN_NETWORK: (&str, &str) = ("acme-data", "prod");
const SHARED: (&str, &str) = ("acme-net", "shared");

/// What a plan refuses of the service, by rule.
fn refused(plan: &Plan) -> Vec<(Rule, &str)> {
    let own = plan.refusals.iter().filter(|one| one.address.service == "orders" && one.flag.is_none());
    own.map(|one| (one.rule, one.why.as_str())).collect()
}

/// The old project is not read, but what lies in the networks of the new one says that the service is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_is_noticed_by_what_lies_in_networks_that_are_read() {
    let of = |project: &str, network| service("orders", project, network);
    for (old, old_project, new) in [
        (of("acme-data", SHARED), "acme-data", of("acme-tiny", SHARED)),
        (of("acme-data", OWN_NETWORK), "acme-data", of("acme-tiny", OWN_NETWORK)),
    ] {
        let stage = Stage::open().await;
        let (old, new) = (file(&[old]), file(&[new]));
        stage.apply(&old).await;
        let there = stage.everything().await;
        for options in [PlanOptions::default(), SEVER] {
            let (plan, _) = stage.driver().apply(&new, options).await;
            assert!(plan.is_empty(), "{:#?}", plan.actions);
            let said = |(rule, why): &(Rule, &str)| {
                *rule == Rule::HandOver
                    && why.contains(&format!("it is in gcp/{old_project}/us-east4"))
                    && why.contains("acme-tiny")
            };
            assert!(refused(&plan).iter().any(said), "{:#?}", plan.refusals);
        }
        // Nor does a destroy at the new place take what the old one needs.
        let (plan, _) = stage.driver().apply(&new, DESTROY).await;
        let said = |(_, why): &(Rule, &str)| why.contains(&format!("project: {old_project}"));
        assert!(plan.is_empty() && refused(&plan).iter().any(said), "{plan:#?}");
        assert_eq!(stage.everything().await, there);
        stage.assert_settled(&old).await;
    }
}

/// Where another service of the file is in the old project, that is read.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_is_noticed_where_another_service_is_in_the_old_project() {
    let stage = Stage::open().await;
    stage.apply(&file(&[service("orders", "acme-data", OWN_NETWORK)])).await;
    let there = stage.everything().await;
    let moved = service("orders", "acme-tiny", ("acme-tiny", "prod"));
    let (plan, _) =
        stage.driver().apply(&file(&[moved, tombstone("other", "acme-data", OWN_NETWORK)]), SEVER).await;
    let said = |(rule, why): &(Rule, &str)| *rule == Rule::HandOver && why.contains("gcp/acme-data/us-east4");
    assert!(plan.is_empty() && refused(&plan).iter().any(said), "{plan:#?}");
    assert_eq!(stage.everything().await, there);
}

/// A marker in a shared network may not say of which project the service is.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_say_its_project_goes_where_the_rest_of_its_service_is_seen() {
    let applied = Stage::open().await;
    let before = applied.everything().await;
    let hosted = file(&[service("orders", "acme-data", SHARED)]);
    applied.apply(&hosted).await;
    let earlier = || Stage::copy_of(&applied, |state| state.replace(" project=acme-data", ""));
    let stage = earlier().await;
    let there = stage.everything().await;
    assert!(there.iter().all(|one| !one.contains(" project=")));
    stage.assert_settled(&hosted).await;
    // Where nothing else of it is read it is held, and is said how it goes.
    let (plan, _) = stage.driver().apply(&file(&[tombstone("other", "acme-tiny", SHARED)]), DESTROY).await;
    let said = |(_, why): &(Rule, &str)| {
        why.contains("the one that its service attachment is in") && why.contains("host_project: acme-net")
    };
    assert!(plan.is_empty() && !refused(&plan).is_empty() && refused(&plan).iter().all(said), "{plan:#?}");
    assert_eq!(stage.everything().await, there);
    // Where the rest of it is seen, that is its project: listed or not, it goes.
    let other = file(&[tombstone("other", "acme-data", SHARED)]);
    stage.apply_with(&other, PRUNE).await;
    assert_eq!(stage.everything().await, before);
    let stage = earlier().await;
    stage.apply_with(&file(&[tombstone("orders", "acme-data", SHARED)]), PlanOptions::default()).await;
    assert_eq!(stage.everything().await, before);
    // What is left where the rest is gone goes by the project in which it lies.
    let stage = earlier().await;
    stage.fault("gcp:firewalls.delete:1+:code=forbidden");
    let (_, report) = stage.driver().apply(&hosted, DESTROY).await;
    assert!(!report.all_done());
    stage.heal();
    let (plan, _) = stage.driver().apply(&hosted, DESTROY).await;
    assert!(plan.is_empty() && !refused(&plan).is_empty(), "{plan:#?}");
    stage.apply_with(&file(&[tombstone("orders", "acme-net", SHARED)]), PlanOptions::default()).await;
    assert_eq!(stage.everything().await, before);
}
