//! A rule for all ports hides which of them forwarders serve: under a live consumer none of those goes without the word.

use privnet_core::ErrorKind;
use privnet_core::plan::{PlanOptions, Rule};
use privnet_core::spec::Spec;

use super::SEVER;
use super::stage::{self, ONE, assert_live, made};

const MYSQL: &str = "{ listen: 3306, engine: mysql, to: { forwarder: { ip: 10.90.0.3 } } }";
const POSTGRES: &str = "{ listen: 5432, engine: postgres, to: { forwarder: { ip: 10.90.0.3 } } }";
const ALL: &str = "all_ports: true\n";

/// Forwarders in this subnet with these ports.
fn forwarded(ports: &[&str], subnet: &str, all: &str) -> Spec {
    let block = format!("{all}forwarder: {{ subnets: [{subnet}], size: e2-small, zones: [us-east4-a] }}");
    made(&ports.join(", "), &block, "")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_forwarders_behind_all_ports_goes_with_the_word_alone() {
    let both = |all| forwarded(&[MYSQL, POSTGRES], "data", all);
    let one = forwarded(&[MYSQL], "data", ALL);
    for before in [both(ALL), both("")] {
        let (stage, id) = stage::connected(&before).await;
        // Nor where other machines take the place of all that are there.
        for after in [&one, &forwarded(&[MYSQL], "apps", ALL)] {
            let plan = stage.plan(after).await;
            assert!(plan.is_empty(), "{:#?}", plan.actions);
            let said =
                plan.refusals.iter().find(|one| one.why.starts_with("taking 5432 out of ports would cut"));
            let said = said.unwrap_or_else(|| panic!("{:#?}", plan.refusals));
            assert_eq!((said.rule, said.flag.as_deref()), (Rule::WouldSever, Some("--sever-connections")));
            assert!(said.why.contains(&id), "{}", said.why);
        }
        // Whatever leaves them both is free.
        let more = MYSQL.replace("3306", "3307");
        let elsewhere = POSTGRES.replace("10.90.0.3", "10.90.0.4");
        for ports in [&[POSTGRES, MYSQL][..], &[MYSQL, POSTGRES, &more], &[MYSQL, &elsewhere]] {
            let plan = stage.plan(&forwarded(ports, "data", ALL)).await;
            assert_eq!(plan.refusals, [], "{ports:?}");
        }
        stage.apply_with(&one, SEVER).await;
        stage.assert_settled(&one).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_that_serve_all_ports_do_not_give_way_to_forwarders_of_some_without_the_word() {
    let (stage, id) = stage::connected(&made(ONE, ALL, "")).await;
    let forwarders = forwarded(&[MYSQL], "data", ALL);
    let plan = stage.plan(&forwarders).await;
    assert!(plan.is_empty(), "{:#?}", plan.actions);
    let said = &plan.refusals[0].why;
    assert!(
        said.contains("all that the machines have") && said.contains("to 3306") && said.contains(&id),
        "{said}"
    );
    stage.apply_with(&forwarders, SEVER).await;
    stage.assert_settled(&forwarders).await;
    // Back, nobody loses a port.
    let plan = stage.plan(&made(ONE, ALL, "")).await;
    assert_eq!(plan.refusals, []);
}

/// What was to bring a port and never served is taken back by the earlier file.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_never_came_is_not_kept() {
    let [one, two] = [&[MYSQL][..], &[MYSQL, POSTGRES]].map(|ports| forwarded(ports, "data", ALL));
    let (stage, id) = stage::connected(&one).await;
    stage.fault("gcp:regionBackendServices.patch:1+:code=forbidden");
    let (_, report) = stage.driver().apply(&two, PlanOptions::default()).await;
    assert!(report.failures().any(|error| error.kind() == ErrorKind::Denied), "{report:#?}");
    stage.heal();
    stage.apply(&one).await;
    stage.assert_settled(&one).await;
    assert_live(&stage, &one, &id).await;
}

/// Nothing serves by then: no port can be lost, so that nothing keeps the outage from being mended.
#[tokio::test(flavor = "multi_thread")]
async fn a_backend_service_that_somebody_emptied_is_filled_again() {
    let spec = forwarded(&[MYSQL, POSTGRES], "data", ALL);
    let (stage, id) = stage::connected(&spec).await;
    let backend = stage.live(&spec, "backend-service").await.unwrap().id;
    stage.empty_backend(&backend).await;
    stage.apply(&spec).await;
    stage.assert_settled(&spec).await;
    assert_live(&stage, &spec, &id).await;
}
