//! What privnet made, where the file names it as something that is there, and where somebody else's things stand on it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod stage;

use privnet_core::plan::{Plan, PlanOptions, Rule};
use stage::{ONE, Stage, made, spec, with_policy};

/// What a plan refuses of a service without a way around.
fn refused(plan: &Plan, service: &str) -> String {
    let own = plan.refusals.iter().filter(|one| one.address.service == service);
    assert!(
        own.clone().all(|one| one.rule == Rule::Unsuitable && one.flag.is_none()),
        "{:#?}",
        plan.refusals
    );
    own.map(|one| one.why.as_str()).collect::<Vec<_>>().join("; ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nat_subnet_of_privnets_is_not_named_as_one_that_is_there() {
    let stage = Stage::open().await;
    let first = made(ONE, "", "");
    stage.apply(&first).await;
    let subnet = stage.live(&first, "nat-subnet").await.unwrap().id;
    let name = subnet.rsplit('/').next().unwrap();
    let before = stage.everything().await;
    // That it is to be kept does not make it the user's: it would go from under its own attachment, which Google does not do.
    let named = made(ONE, &format!("nat_subnets: [{{ existing: {name} }}]"), "");
    let plan = stage.plan(&named).await;
    assert!(plan.is_empty(), "{plan:#?}");
    let why = refused(&plan, "orders");
    assert!(why.contains(name) && why.contains("privnet made for this service"), "{why}");
    assert!(why.contains("leave that service as it was, or name one of your own"), "{why}");
    // Nor is it another service's, which is in another project here.
    let service = |name: &str, project: &str, nat: &str, port: u16| {
        format!(
            "  - name: {name}\n    allow: {{ fivetran: {{}} }}\n    gcp:\n      project: {project}\n      host_project: acme-data\n      \
             nat_subnets: [{nat}]\n      forwarder: {{ subnets: [ilb], size: e2-small }}\n      \
             ports: [{{ listen: {port}, engine: postgres, to: {{ forwarder: {{ ip: 10.90.0.3 }} }} }}]\n"
        )
    };
    let file = |services: &[String]| {
        spec(&format!(
            "version: 1\ndeployment: stage\ndefaults: {{ gcp: {{ region: us-east4, network: prod, subnet: ilb }} }}\nservices:\n{}",
            services.concat()
        ))
    };
    for project in ["acme-data", "acme-tiny"] {
        let of_orders = format!("{{ existing: {name} }}");
        let plan = stage.plan(&file(&[service("sales", project, &of_orders, 5433)])).await;
        assert!(plan.is_empty(), "{project}: {plan:#?}");
        let why = refused(&plan, "sales");
        assert!(why.contains("for the service `orders`"), "{project}: {why}");
        assert!(why.contains("name one of your own"), "{project}: {why}");
    }
    assert_eq!(stage.everything().await, before);
    stage.assert_settled(&first).await;
}

/// A tombstone that names what was made for its own service, or for another one, is that service's or nobody's: what is named is seen as what it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_may_name_what_privnet_made() {
    let file = made(ONE, "", "");
    let empty = Stage::open().await.everything().await;
    let (stage, id) = stage::connected(&file).await;
    let attachment = stage.live(&file, "service-attachment").await.unwrap().id;
    let rule = stage.live(&file, "forwarding-rule").await.unwrap().id;
    let [attachment, rule] = [&attachment, &rule].map(|id| id.rsplit('/').next().unwrap());
    let on_rule = format!("existing: {{ forwarding_rule: {rule} }}");
    let existing = format!("existing: {{ service_attachment: {attachment} }}");
    for named in [&existing, &on_rule] {
        // Beside the service that it was made for, which stays.
        let orders = format!(
            "  - name: orders\n    allow: {{ fivetran: {{}} }}\n    gcp:\n      nat_subnets: [{{ create: {{ cidr: 10.8.0.0/24 }} }}]\n      ports: [{ONE}]\n"
        );
        let both = spec(&format!(
            "version: 1\ndeployment: stage\ndefaults: {{ gcp: {{ project: acme-data, region: us-east4, network: prod, subnet: ilb }} }}\nservices:\n\
             {orders}  - name: old\n    remove: true\n    gcp: {{ {named} }}\n"
        ));
        let plan = stage.plan(&both).await;
        assert!(plan.is_empty() && plan.refusals.is_empty(), "{named}: {plan:#?}");
        let destroy = PlanOptions { destroy: true, sever_connections: true, ..PlanOptions::default() };
        let plan = stage.driver().plan(&both, destroy).await.0;
        assert!(!plan.is_empty() && plan.refusals.is_empty(), "{named}: {plan:#?}");
    }
    let gone = with_policy("remove: true", &existing, "");
    let plan = stage.plan(&gone).await;
    assert!(plan.is_empty(), "{plan:#?}");
    let refused: Vec<_> = plan.refusals.iter().map(|one| (one.rule, one.flag.is_some())).collect();
    assert_eq!(refused, [(Rule::WouldSever, true)], "{:#?}", plan.refusals);
    assert!(plan.refusals[0].why.contains(&id), "{:#?}", plan.refusals);
    stage.apply_with(&gone, PlanOptions { sever_connections: true, ..PlanOptions::default() }).await;
    assert_eq!(stage.everything().await, empty);
}

/// A colleague put a service attachment of his own on privnet's forwarding rule: the rule stays, with all that would go before it, and what is
/// behind it, with no word. All else goes on.
#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_elses_attachment_stands_on_is_not_taken_away() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    let file = made(ONE, "", "");
    stage.apply(&file).await;
    let rule = stage.live(&file, "forwarding-rule").await.unwrap().id;
    let guest = spec(&format!(
        "version: 1
deployment: guest
services:
  - name: second
    allow: {{ fivetran: {{}} }}
    gcp:
      project: acme-data
      region: us-east4
      network: prod
      nat_subnets: [{{ create: {{ cidr: 10.8.9.0/24 }} }}]
      existing: {{ forwarding_rule: {} }}
",
        rule.rsplit('/').next().unwrap()
    ));
    stage.apply(&guest).await;
    let attachment = stage.live(&guest, "service-attachment").await.unwrap().id;
    stage.assert_settled(&file).await;
    let there = stage.everything().await;
    let other_port = made(&ONE.replace("5432", "5433"), "", "");
    for (what, spec, destroy) in [("another port", &other_port, false), ("destroy", &file, true)] {
        for sever_connections in [false, true] {
            let options = PlanOptions { destroy, sever_connections, ..PlanOptions::default() };
            let (plan, _) = stage.driver().apply(spec, options).await;
            let held = plan.refusals.iter().filter(|one| one.rule == Rule::Unsuitable && one.flag.is_none());
            let told = held.filter(|one| one.why.contains(&attachment) && one.why.contains(&rule)).count();
            assert!(plan.is_empty() && told > 0, "{what} {options:?}: {plan:#?}");
        }
    }
    assert_eq!(stage.everything().await, there);
    // Another machine takes over for both.
    let machine = made("{ listen: 5432, to: { instances: [zones/us-east4-c/instances/db-2] } }", "", "");
    assert!(!stage.apply(&machine).await.is_empty());
    stage.assert_settled(&machine).await;
    let destroy = PlanOptions { destroy: true, sever_connections: true, ..PlanOptions::default() };
    stage.apply_with(&guest, destroy).await;
    stage.apply(&other_port).await;
    stage.apply_with(&other_port, destroy).await;
    assert_eq!(stage.everything().await, before);
}
