//! What privnet made, where the file names it as something that is there.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod stage;

use privnet_core::plan::{Plan, Rule};
use stage::{ONE, Stage, made, spec};

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
    assert!(why.contains(&format!("privnet made the NAT subnet `{name}` for this service")), "{why}");
    assert!(
        why.contains("leave `{ create: { cidr: 10.8.0.0/24 } }` as it was, or name one of your own"),
        "{why}"
    );
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
        assert!(why.contains("takes it away with it: name one of your own"), "{project}: {why}");
    }
    assert_eq!(stage.everything().await, before);
    stage.assert_settled(&first).await;
}
