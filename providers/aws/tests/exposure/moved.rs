//! A service that got another region in its file, alone there: it is looked for in the account's other regions before it is made.

use std::collections::BTreeSet;

use privnet_core::Plan;
use privnet_core::plan::{PlanOptions, Rule};
use privnet_core::spec::Spec;

use crate::stage::{Stage, spec};
use crate::{DESTROY, SEVER};

const HERE: &str = "region: us-east-1, vpc: vpc-0a1b2c3d4e5f60718, subnets: [subnet-0aaaaaaaaaaaaaaa1]";
const THERE: &str = "region: eu-west-1, vpc: vpc-001b2c3d4e5f60718, subnets: [subnet-001aaaaaaaaaaaaa1]";

fn file(deployment: &str, name: &str, place: &str) -> Spec {
    spec(&format!(
        "version: 1
deployment: {deployment}
services:
  - name: {name}
    allow: {{ fivetran: {{}} }}
    aws: {{ account: \"123456789012\", {place}, ports: [{{ listen: 5432, to: {{ ips: [10.0.0.25] }} }}] }}
"
    ))
}

fn refused(plan: &Plan) -> BTreeSet<&str> {
    plan.refusals.iter().filter(|one| one.rule == Rule::HandOver).map(|one| one.why.as_str()).collect()
}

fn unseen(plan: &Plan) -> Vec<&str> {
    let said = plan.warnings.iter().filter(|said| said.contains("in another place already is not seen"));
    said.map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_alone_in_its_file_does_not_move_to_another_region() {
    let stage = Stage::open().await;
    let (here, there) = (file("stage", "orders", HERE), file("stage", "orders", THERE));
    stage.apply(&here).await;
    let plan = stage.plan(&there).await;
    assert!(plan.is_empty() && plan.refusals.len() == 1, "{plan:#?}");
    let why = refused(&plan).pop_first().unwrap();
    assert!(why.contains("it is in us-east-1 already, as the endpoint service vpce-svc-"), "{why}");
    assert_eq!(plan.refusals[0].flag.as_deref(), Some("--sever-connections"));
    // What is there looks for nothing elsewhere, and another service, or another deployment's, is no obstacle.
    stage.assert_settled(&here).await;
    for other in [file("stage", "others", THERE), file("other", "orders", THERE)] {
        let plan = stage.plan(&other).await;
        assert!(plan.refusals.is_empty() && !plan.is_empty(), "{plan:#?}");
    }
    // Where it has gone, there is nothing in the way.
    stage.apply_with(&here, DESTROY).await;
    stage.apply(&there).await;
    stage.assert_settled(&there).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_one_takes_the_word_once() {
    let stage = Stage::open().await;
    let (here, there) = (file("stage", "orders", HERE), file("stage", "orders", THERE));
    stage.apply(&here).await;
    let driver = stage.driver();
    let (plan, desired, world) = driver.plan(&there, SEVER).await;
    assert!(plan.refusals.is_empty(), "{:#?}", plan.refusals);
    // What is left of a run that was cut short may be left of anything: until the endpoint service is there the word is said again.
    let first = Plan { actions: plan.actions[..1].to_vec(), ..plan.clone() };
    driver.execute(&first, &desired, &world).await;
    assert_eq!(refused(&stage.plan(&there).await).len(), 1);
    stage.apply_with(&there, SEVER).await;
    stage.assert_settled(&there).await;
    stage.assert_settled(&here).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_seen_is_said_once_by_a_plan_that_makes_something() {
    let stage = Stage::open().await;
    let (here, there) = (file("stage", "orders", HERE), file("stage", "orders", THERE));
    stage.apply(&here).await;
    for (fault, permission) in [
        ("DescribeRegions:*", "ec2:DescribeRegions"),
        // The first is for the region of the file.
        ("DescribeVpcEndpointServiceConfigurations:2+", "ec2:DescribeVpcEndpointServiceConfigurations"),
    ] {
        stage.fault(&format!("aws:{fault}:code=UnauthorizedOperation"));
        let plan = stage.plan(&there).await;
        assert!(plan.refusals.is_empty(), "{fault}: {:#?}", plan.refusals);
        let said = unseen(&plan);
        assert!(said.len() == 1 && said[0].starts_with("orders: "), "{fault}: {:#?}", plan.warnings);
        assert_eq!(said[0].matches(permission).count(), 1, "{said:?}");
        // It is no matter to what is there.
        let plan = stage.plan(&here).await;
        assert!(plan.is_empty() && unseen(&plan).is_empty(), "{fault}: {:#?}", plan.warnings);
        stage.heal();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_looks_again_and_again_asks_the_other_regions_once() {
    let stage = Stage::open().await;
    let there = file("stage", "orders", THERE);
    let driver = stage.driver();
    let mut asked = BTreeSet::new();
    for _ in 0..3 {
        // It spoils none of so few.
        stage.fault("aws:DescribeVpcEndpointServiceConfigurations:999:fail");
        driver.plan(&there, PlanOptions::default()).await;
        asked.insert(stage.counted());
        stage.heal();
    }
    let asked: Vec<usize> = asked.into_iter().collect();
    assert!(matches!(asked[..], [1, first] if first > 10), "{asked:?}");
}

/// Whoever finds nothing to take away would take it for gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_destroy_and_a_tombstone_at_another_region_say_that_it_stays() {
    let stage = Stage::open().await;
    stage.apply(&file("stage", "orders", HERE)).await;
    let tombstone = spec(
        "version: 1
deployment: stage
services:
  - { name: orders, remove: true, aws: { account: \"123456789012\", region: eu-west-1 } }
",
    );
    let destroyed = stage.driver().plan(&file("stage", "orders", THERE), DESTROY).await.0;
    for plan in [destroyed, stage.plan(&tombstone).await] {
        assert!(plan.is_empty() && plan.refusals.is_empty(), "{plan:#?}");
        let told =
            |said: &String| said.starts_with("orders: it is in us-east-1, as the endpoint service vpce-svc-");
        assert_eq!(plan.warnings.iter().filter(|said| told(said)).count(), 1, "{:#?}", plan.warnings);
    }
}

/// A process that saw it there does not forget that because the region is silent for once.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_is_refused_while_its_region_is_silent() {
    let stage = Stage::open().await;
    let (here, there) = (file("stage", "orders", HERE), file("stage", "orders", THERE));
    stage.apply(&here).await;
    let driver = stage.driver();
    let found = driver.plan(&there, PlanOptions::default()).await.0;
    assert_eq!(refused(&found).len(), 1);
    // The first is for the region of the file.
    stage.fault("aws:DescribeVpcEndpointServiceConfigurations:2+:code=AuthFailure");
    let silent = driver.plan(&there, PlanOptions::default()).await.0;
    assert_eq!(refused(&silent), refused(&found), "{silent:#?}");
    stage.heal();
    // What the same process makes in another region it finds there.
    stage.apply_with(&here, DESTROY).await;
    let gone = driver.plan(&there, PlanOptions::default()).await.0;
    assert!(gone.refusals.is_empty(), "{gone:#?}");
    driver.apply(&here, PlanOptions::default()).await;
    let moved = driver.plan(&there, PlanOptions::default()).await.0;
    assert_eq!(refused(&moved).len(), 1, "{moved:#?}");
}

/// What another account has in that region is not read with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_another_account_in_the_old_region_is_no_matter() {
    let stage = Stage::open().await;
    stage.apply(&file("stage", "orders", HERE)).await;
    let beside = spec(&format!(
        "version: 1
deployment: stage
services:
  - name: orders
    allow: {{ fivetran: {{}} }}
    aws: {{ account: \"123456789012\", {THERE}, ports: [{{ listen: 5432, to: {{ ips: [10.0.0.25] }} }}] }}
  - name: second
    allow: {{ fivetran: {{}} }}
    aws:
      account: \"210987654321\"
      assume_role: {{ arn: \"arn:aws:iam::210987654321:role/privnet\" }}
      region: us-east-1
      vpc: vpc-004b2c3d4e5f60718
      subnets: [subnet-004aaaaaaaaaaaaa1]
      ports: [{{ listen: 5432, to: {{ ips: [10.4.0.25] }} }}]
"
    ));
    let plan = stage.plan(&beside).await;
    assert_eq!((refused(&plan).len(), plan.refusals.len()), (1, 1), "{:#?}", plan.refusals);
    assert_eq!(plan.refusals[0].flag.as_deref(), Some("--sever-connections"));
    assert!(stage.driver().plan(&beside, SEVER).await.0.refusals.is_empty());
}
