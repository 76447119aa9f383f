//! Several accounts and regions in one file; one that fails stops none of the others.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod stage;

use privnet_core::conformance::Subject;
use privnet_core::plan::Rule;
use privnet_core::spec::Spec;
use privnet_core::{ErrorKind, ObserveRequest, Purpose, Scope};
use stage::{Stage, spec};

const ROLE: &str = "arn:aws:iam::210987654321:role/privnet";

struct Place<'a> {
    name: &'a str,
    account: &'a str,
    region: &'a str,
    role: bool,
    vpc: &'a str,
    subnets: &'a str,
    ip: &'a str,
}

const HOME: Place<'_> = Place {
    name: "home",
    account: "123456789012",
    region: "us-east-1",
    role: false,
    vpc: "vpc-0a1b2c3d4e5f60718",
    subnets: "subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2",
    ip: "10.0.0.25",
};
const EUROPE: Place<'_> = Place {
    name: "europe",
    region: "eu-west-1",
    vpc: "vpc-001b2c3d4e5f60718",
    subnets: "subnet-001aaaaaaaaaaaaa1, subnet-001bbbbbbbbbbbbb2",
    ip: "10.1.0.25",
    ..HOME
};
const SECOND: Place<'_> = Place {
    name: "second",
    account: "210987654321",
    role: true,
    vpc: "vpc-004b2c3d4e5f60718",
    subnets: "subnet-004aaaaaaaaaaaaa1, subnet-004bbbbbbbbbbbbb2",
    ip: "10.4.0.25",
    ..HOME
};

fn file(places: &[Place<'_>]) -> Spec {
    let services: String = places
        .iter()
        .map(|place| {
            let Place { name, account, region, vpc, subnets, ip, .. } = place;
            let role = if place.role {
                format!("assume_role: {{ arn: \"{ROLE}\", external_id: x-1 }}")
            } else {
                String::new()
            };
            format!(
                "  - name: {name}
    allow: {{ fivetran: {{}} }}
    aws:
      account: \"{account}\"
      region: {region}
      vpc: {vpc}
      subnets: [{subnets}]
      ports: [{{ listen: 5432, engine: postgres, to: {{ ips: [{ip}] }} }}]
      {role}
"
            )
        })
        .collect();
    spec(&format!("version: 1\ndeployment: places\nservices:\n{services}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_regions_are_observed_and_applied_together() {
    let stage = Stage::open().await;
    let spec = file(&[HOME, EUROPE, SECOND]);
    stage.apply(&spec).await;
    stage.assert_settled(&spec).await;
    let world = stage.world(&spec).await;
    let searched: Vec<_> = world.searched.iter().map(|scope| scope.0.as_str()).collect();
    assert_eq!(
        searched,
        ["aws/123456789012/eu-west-1", "aws/123456789012/us-east-1", "aws/210987654321/us-east-1"]
    );
    let caller = &world.callers[&Scope("aws/210987654321/us-east-1".to_owned())];
    assert!(caller.contains(":assumed-role/privnet/"), "{caller}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_is_refused_before_anything_is_read_of_it() {
    let stage = Stage::open().await;
    let wrong = Place { account: "999900001111", ..EUROPE };
    let spec = file(&[HOME, wrong]);
    let driver = stage.driver();
    let (plan, _, world) = driver.plan(&spec, Default::default()).await;
    let refusal = &plan.refusals[0];
    assert_eq!((refusal.rule, refusal.address.service.as_str()), (Rule::WrongAccount, "europe"));
    assert!(refusal.why.contains("999900001111") && refusal.why.contains("123456789012"), "{}", refusal.why);
    assert!(
        !world.searched.contains(&Scope("aws/123456789012/eu-west-1".to_owned())),
        "{:?}",
        world.searched
    );
    assert!(plan.actions.iter().all(|action| action.address.service == "home") && !plan.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_named_and_stops_only_its_own_place() {
    let stage = Stage::open().await;
    let spec = file(&[HOME, SECOND]);
    stage.fault("aws:DescribeSubnets:1:code=UnauthorizedOperation");
    let plan = stage.plan(&spec).await;
    stage.heal();
    assert_eq!(plan.refusals.len(), 1, "{:#?}", plan.refusals);
    let refusal = &plan.refusals[0];
    assert_eq!(refusal.rule, Rule::Unobserved);
    assert!(refusal.why.contains("`ec2:DescribeSubnets`"), "{}", refusal.why);
    assert!(
        plan.actions.iter().all(|action| action.address.service != refusal.address.service)
            && !plan.is_empty()
    );
}

/// The caller has credentials, which may not take the role: there is no use in logging in again.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_refused_is_told_from_missing_credentials() {
    let stage = Stage::open().await;
    stage.fault("aws:AssumeRole:*:code=AccessDenied");
    let plan = stage.plan(&file(&[HOME, SECOND])).await;
    stage.heal();
    assert_eq!(plan.refusals.len(), 1, "{:#?}", plan.refusals);
    let refusal = &plan.refusals[0];
    assert_eq!((refusal.rule, refusal.address.service.as_str()), (Rule::Unobserved, "second"));
    let why = &refusal.why;
    assert!(why.contains("the role is refused") && why.contains("`sts:AssumeRole`"), "{why}");
    assert!(!why.contains("credentials") && !why.contains("aws sso login"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_place_the_observation_fails() {
    let stage = Stage::open().await;
    stage.fault("aws:GetCallerIdentity:*:code=ExpiredToken");
    let spec = file(&[HOME]);
    let services: Vec<_> = spec.services.iter().collect();
    let context = privnet_core::execute::Context::new(
        Default::default(),
        privnet_core::execute::Events::none(),
        Default::default(),
    );
    let request = ObserveRequest { spec: &spec, services: &services, purpose: Purpose::Plan };
    let error = stage.provider().observe(request, &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_and_lost_answers_are_gone_through() {
    let stage = Stage::open().await;
    let spec = file(&[HOME]);
    for fault in [
        "aws:*:3:throttle",
        "aws:DescribeLoadBalancers:2:reset",
        "aws:CreateLoadBalancer:1:lost",
        "aws:CreateSecurityGroup:1:lost",
        "aws:CreateTargetGroup:1:lost",
        "aws:CreateListener:1:lost",
        "aws:RegisterTargets:1:lost",
        "aws:ModifyTargetGroupAttributes:1:throttle",
    ] {
        stage.fault(fault);
    }
    stage.apply(&spec).await;
    stage.heal();
    stage.assert_settled(&spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_everywhere_yet_is_waited_for() {
    let stage = Stage::open().await;
    let spec = file(&[HOME]);
    for fault in [
        "aws:CreateLoadBalancer:1:code=InvalidSecurityGroup",
        "aws:CreateListener:1-2:code=TargetGroupNotFound",
    ] {
        stage.fault(fault);
    }
    stage.apply(&spec).await;
    stage.assert_settled(&spec).await;
}
