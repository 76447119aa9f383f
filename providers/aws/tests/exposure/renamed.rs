//! A service, or the file's deployment, that has another name: known by what it serves, and told before anything is made beside it.

use std::collections::BTreeSet;

use privnet_core::Plan;
use privnet_core::plan::Rule;
use privnet_core::spec::Spec;

use crate::stage::{Stage, file, spec};
use crate::{SEVER, SUPPLIED, SUPPLIED_BALANCER, existing};

/// Over forwarders, and an address beside.
fn forwarded() -> Spec {
    forwarded_as("stage", "172.16.4.20")
}

fn forwarded_as(deployment: &str, ip: &str) -> Spec {
    spec(&format!(
        "version: 1
deployment: {deployment}
services:
  - name: orders
    allow: {{ fivetran: {{}} }}
    aws:
      account: \"123456789012\"
      region: us-east-1
      vpc: vpc-0a1b2c3d4e5f60718
      subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
      forwarder: {{ subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2], size: t3.small }}
      ports:
        - {{ listen: 5432, to: {{ forwarder: {{ ip: {ip} }} }} }}
        - {{ listen: 5433, to: {{ ips: [10.0.0.26] }} }}
"
    ))
}

/// The same under another name, of the service or of the deployment.
fn named(spec: &Spec, service: Option<&str>, deployment: Option<&str>) -> Spec {
    let mut other = spec.clone();
    if let Some(name) = service {
        other.services[0].name = name.parse().unwrap();
    }
    if let Some(name) = deployment {
        other.deployment = name.parse().unwrap();
    }
    other
}

fn hand_overs(plan: &Plan) -> BTreeSet<&str> {
    let refusals = plan.refusals.iter().filter(|one| one.rule == Rule::HandOver);
    refusals.map(|one| one.address.service.as_str()).collect()
}

fn warned(plan: &Plan) -> bool {
    plan.warnings.iter().any(|said| said.contains("has the tags of a service of this name of the deployment"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_was_renamed_is_refused_in_every_form() {
    let on_listeners =
        existing(&format!("load_balancer: \"{SUPPLIED_BALANCER}\""), "allow: { fivetran: {} }");
    let on_balancer = spec(&format!(
        "version: 1
deployment: stage
services:
  - name: orders
    allow: {{ fivetran: {{}} }}
    aws:
      account: \"123456789012\"
      region: us-east-1
      vpc: vpc-0a1b2c3d4e5f60718
      existing: {{ load_balancer: \"{SUPPLIED_BALANCER}\" }}
      ports: [{{ listen: 6432, to: {{ ips: [10.0.0.25] }} }}]
"
    ));
    for made in [file(""), forwarded(), on_listeners, on_balancer] {
        let stage = Stage::open().await;
        stage.apply(&made).await;
        let renamed = named(&made, Some("renamed"), None);
        let plan = stage.plan(&renamed).await;
        assert_eq!(hand_overs(&plan), BTreeSet::from(["renamed"]), "{:#?}", plan.refusals);
        assert_eq!((plan.refusals.len(), plan.actions.len()), (1, 0), "{:#?}", plan.refusals);
        assert!(plan.refusals[0].why.contains("`orders` was renamed"), "{:?}", plan.refusals);
        assert_eq!(plan.left.len(), 1);
    }
}

/// The vendor has the id of what is the user's own: it stays the same.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_service_of_the_users_own_takes_any_name() {
    let stage = Stage::open().await;
    let yours = existing(&format!("endpoint_service: {SUPPLIED}"), "allow: { fivetran: {} }");
    stage.apply(&yours).await;
    let plan = stage.plan(&named(&yours, Some("renamed"), None)).await;
    assert!(hand_overs(&plan).is_empty(), "{:#?}", plan.refusals);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_deployment_of_the_same_is_refused_and_of_others_is_said() {
    let stage = Stage::open().await;
    let old = forwarded_as("old", "172.16.4.20");
    stage.apply(&old).await;
    let new = named(&old, None, Some("new"));
    let plan = stage.plan(&new).await;
    assert_eq!(hand_overs(&plan), BTreeSet::from(["orders"]), "{:#?}", plan.refusals);
    assert!(plan.is_empty() && !warned(&plan), "{:#?}", plan.warnings);
    assert!(plan.refusals[0].why.contains("`deployment: old`"), "{:?}", plan.refusals);
    // Two deployments may have services of one name, for other databases.
    let others = stage.plan(&forwarded_as("new", "172.16.4.21")).await;
    assert!(others.refusals.is_empty() && warned(&others), "{:#?}", others.refusals);
    // What may not be read is not known to be the same.
    for denied in ["elasticloadbalancing:DescribeTargetHealth", "ec2:DescribeVpcEndpointServicePermissions"] {
        let call = denied.split(':').nth(1).unwrap();
        stage.fault(&format!("aws:{call}:*:code=AccessDenied"));
        let plan = stage.plan(&new).await;
        assert!(hand_overs(&plan).is_empty() && warned(&plan), "{denied}: {:#?}", plan.refusals);
        stage.heal();
    }
    // With the word both are there; a run that was cut short goes on without it.
    let driver = stage.driver();
    let (plan, desired, world) = driver.plan(&new, SEVER).await;
    assert!(plan.refusals.is_empty() && plan.left.is_empty(), "{:#?}", plan.refusals);
    let first = Plan { actions: plan.actions[..1].to_vec(), ..plan.clone() };
    driver.execute(&first, &desired, &world).await;
    let rest = stage.plan(&new).await;
    assert!(rest.refusals.is_empty() && warned(&rest), "{:#?}", rest.refusals);
    stage.apply(&new).await;
    stage.assert_settled(&new).await;
    stage.assert_settled(&old).await;
    assert!(!warned(&stage.plan(&new).await));
}
