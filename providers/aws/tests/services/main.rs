//! Services of all forms: a load balancer of the user's own, replacements, look-alikes, services that left the file.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod crossed;
mod instances;
mod listeners;
mod own_balancer;
mod replacements;
mod rules;
mod shared_groups;
#[path = "../stage/mod.rs"]
mod stage;
mod zones;

use std::collections::BTreeSet;

use aws_sdk_ec2::types::Filter;
use aws_sdk_elasticloadbalancingv2::types::{LoadBalancerAttribute, ProtocolEnum, Tag};
use privnet_core::accept::Ask;
use privnet_core::plan::{Op, Plan, PlanOptions, Refusal, Rule};
use privnet_core::spec::Spec;
use stage::{Stage, assert_done, spec};

const OWN_BALANCER: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/db/0123456789abcdef";
const VPC: &str = "vpc-0a1b2c3d4e5f60718";
const SUBNETS: &str = "subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2";
const DESTROY: PlanOptions = PlanOptions { destroy: true, sever_connections: true, prune: false };

fn location() -> String {
    "account: \"123456789012\", region: us-east-1".to_owned()
}

/// A service of this name, with these ports and further keys.
fn made(name: &str, ports: &str, more: &str) -> String {
    format!(
        "  - name: {name}
    allow: {{ fivetran: {{}} }}
    aws: {{ {}, vpc: {VPC}, subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2], ports: [{ports}] {more} }}
",
        location()
    )
}

fn file(services: &[String]) -> Spec {
    spec(&format!("version: 1\ndeployment: services\nservices:\n{}", services.concat()))
}

const IPS: &str = "{ listen: 5432, engine: postgres, to: { ips: [10.0.0.25] } }";

fn ids(plan: &Plan, op: Op) -> BTreeSet<String> {
    plan.actions.iter().filter(|action| action.op == op).map(|action| action.id.clone()).collect()
}

async fn accepted(stage: &Stage, spec: &Spec, service: &str) {
    stage.until_pending(spec, service, 2).await;
    let (_, plan, report) = stage.decide(spec, &Ask::default()).await;
    assert_done(&plan, &report);
    assert_eq!(plan.actions.len(), 1);
}

/// The local consumers ask once; who is still to ask would come between a destroy and its end.
async fn everybody_asked(stage: &Stage, spec: &Spec, service: &str) {
    stage.until_pending(spec, service, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_load_balancer_that_is_not_there_is_refused() {
    let stage = Stage::open().await;
    let alb = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/gone/abcdef0123456789";
    let port = format!("{{ listen: 80, to: {{ alb: \"{alb}\" }} }}");
    let plan = stage.plan(&file(&[made("web", &port, "")])).await;
    assert!(
        plan.is_empty() && plan.refusals.iter().any(|r| r.why.contains(alb) && r.why.contains("not there")),
        "{plan:#?}"
    );
}

/// AWS takes it on the port of one of its listeners only, and checks it in the protocol that is spoken there.
#[tokio::test(flavor = "multi_thread")]
async fn an_application_load_balancer_is_a_target_where_it_listens() {
    let stage = Stage::open().await;
    let alb = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/web/abcdef0123456789";
    let on = |port: u16| {
        file(&[made("web", &format!("{{ listen: 443, port: {port}, to: {{ alb: \"{alb}\" }} }}"), "")])
    };
    let plan = stage.plan(&on(8443)).await;
    let refused = |r: &Refusal| r.rule == Rule::Unsuitable && r.why.contains("no listener on port 8443");
    assert!(plan.is_empty() && plan.refusals.iter().any(refused), "{plan:#?}");
    stage.apply(&on(80)).await;
    stage.assert_settled(&on(80)).await;
    let group = stage.live(&on(80), "target-group").await.unwrap();
    assert_eq!(group.fields["health_check"].as_map().unwrap()["protocol"], privnet_core::Value::text("HTTP"));
}

#[tokio::test(flavor = "multi_thread")]
async fn look_alikes_are_refused_and_untouched() {
    let stage = Stage::open().await;
    let spec = file(&[made("orders", IPS, "")]);
    // Ours by name, without proof.
    let world = {
        stage.apply(&spec).await;
        let world = stage.world(&spec).await;
        everybody_asked(&stage, &spec, "orders").await;
        stage.apply_with(&spec, DESTROY).await;
        world
    };
    let name_of = |kind: &str| {
        let live = world.live.iter().find(|live| live.address.kind == kind).unwrap();
        privnet_core::name::derived(
            "services",
            &live.address,
            live.generation.unwrap(),
            privnet_core::name::NameRule { max: 32 },
        )
    };
    let elb = stage.elb();
    let request =
        elb.create_target_group().name(name_of("target-group")).protocol(ProtocolEnum::Tcp).port(5432);
    let theirs =
        request.vpc_id(VPC).send().await.unwrap().target_groups()[0].target_group_arn().unwrap().to_owned();
    // Ours by proof, under another name: it is nobody's business of ours.
    let tags = ["deployment=services", "service=orders", "kind=target-group", "name=5432", "generation=a"];
    let tags = tags.map(|tag| tag.split_once('=').unwrap());
    let tags = tags.map(|(key, value)| Tag::builder().key(format!("privnet:{key}")).value(value).build());
    let request = elb.create_target_group().name("a-copy").protocol(ProtocolEnum::Tcp).port(5432).vpc_id(VPC);
    let copy = request.set_tags(Some(tags.to_vec())).send().await.unwrap().target_groups()[0]
        .target_group_arn()
        .unwrap()
        .to_owned();

    let plan = stage::until("the look-alike shows", || async {
        let plan = stage.plan(&spec).await;
        (!plan.refusals.is_empty()).then_some(plan)
    })
    .await;
    assert!(plan.is_empty(), "{:#?}", plan.actions);
    assert_eq!(plan.refusals[0].rule, Rule::NotOurs);
    let destroy = stage.driver().plan(&spec, DESTROY).await.0;
    assert!(destroy.is_empty(), "{:#?}", destroy.actions);
    let request = elb.describe_target_groups().target_group_arns(&theirs).target_group_arns(&copy);
    assert_eq!(request.send().await.unwrap().target_groups().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_left_the_file_is_left_until_it_is_pruned() {
    let stage = Stage::open().await;
    let both = file(&[made("orders", IPS, ""), made("stock", &IPS.replace("5432", "6432"), "")]);
    stage.apply(&both).await;
    stage.assert_settled(&both).await;
    let one = file(&[made("orders", IPS, "")]);
    let plan = stage.plan(&one).await;
    assert!(plan.is_empty());
    assert_eq!(plan.left.iter().map(|left| left.service.as_str()).collect::<Vec<_>>(), ["stock"]);
    everybody_asked(&stage, &both, "stock").await;
    stage.apply_with(&one, PlanOptions { prune: true, ..PlanOptions::default() }).await;
    assert!(stage.plan(&one).await.left.is_empty());
    stage.assert_settled(&one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_takes_the_service_away() {
    let stage = Stage::open().await;
    let text = made("orders", IPS, "");
    let spec = file(std::slice::from_ref(&text));
    stage.apply(&spec).await;
    everybody_asked(&stage, &spec, "orders").await;
    let gone = format!("  - name: orders\n    remove: true\n    aws: {{ {} }}\n", location());
    let gone = file(&[gone]);
    stage.apply(&gone).await;
    let plan = stage.plan(&gone).await;
    assert!(plan.is_empty(), "{:#?}", plan.actions);
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_in_zones_without_a_node_are_told() {
    let stage = Stage::open().await;
    // The default world's subnets: a, b and c are 10.0.0.0/24, 10.0.1.0/24 and 10.0.2.0/24 or so; an instance knows its zone.
    let subnets =
        stage.ec2().describe_subnets().filters(Filter::builder().name("vpc-id").values(VPC).build());
    let subnets = subnets.send().await.unwrap();
    let third = subnets.subnets().iter().find(|s| s.subnet_id() == Some("subnet-0ccccccccccccccc3")).unwrap();
    let base = third.cidr_block().unwrap().split('/').next().unwrap().rsplit_once('.').unwrap().0.to_owned();
    let port = |ips: &str| format!("{{ listen: 5432, engine: postgres, to: {{ ips: [{ips}] }} }}");
    let far = format!("{base}.9");
    let plan = stage.plan(&file(&[made("orders", &port(&far), ", cross_zone: false")])).await;
    assert!(plan.refusals.iter().any(|r| r.why.contains("cross_zone: true")), "{:#?}", plan.refusals);
    let plan = stage
        .plan(&file(&[made("orders", &port(&format!("10.0.0.25, {far}")), ", cross_zone: false")]))
        .await;
    assert!(
        plan.refusals.is_empty() && plan.warnings.iter().any(|w| w.contains("no node")),
        "{:#?}",
        plan.warnings
    );
    let plan = stage.plan(&file(&[made("orders", &port(&far), "")])).await;
    assert!(plan.refusals.is_empty(), "{:#?}", plan.refusals);
}

#[tokio::test(flavor = "multi_thread")]
async fn unsuitable_wishes_are_refused_at_plan() {
    let stage = Stage::open().await;
    let forwarder = "{ listen: 5432, to: { forwarder: { ip: 172.16.4.20 } } }";
    let machines = ", forwarder: { subnets: [subnet-0aaaaaaaaaaaaaaa1], size: t4g.small }";
    for (service, why) in [
        (made("orders", forwarder, machines), "forwarder"),
        (
            made("orders", "{ listen: 5432, to: { instances: [i-00000000000000000] } }", ""),
            "i-00000000000000000 is not there",
        ),
        (
            made("orders", IPS, ", database_security_groups: [sg-00000000000000000]"),
            "sg-00000000000000000 is not there",
        ),
        (
            made("orders", IPS, "").replace("bbbbbbbbbbbbbbb2", "bbbbbbbbbbbbbbb3"),
            "subnet-0bbbbbbbbbbbbbbb3 is not in",
        ),
        (made("orders", IPS, "").replace(VPC, "vpc-00000000000000000"), "vpc-00000000000000000 is not there"),
    ] {
        let plan = stage.plan(&file(&[service])).await;
        assert!(plan.is_empty(), "{why}");
        assert!(plan.refusals.iter().any(|refusal| refusal.why.contains(why)), "{why}: {:#?}", plan.refusals);
    }
    let mysql = IPS.replace("postgres", "mysql");
    let plan = stage.plan(&file(&[made("orders", &mysql, "")])).await;
    assert!(plan.warnings.iter().any(|warning| warning.contains("MySQL")), "{:#?}", plan.warnings);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_protection_is_the_users_word() {
    let stage = Stage::open().await;
    let spec = file(&[made("orders", IPS, ", deletion_protection: true")]);
    stage.apply(&spec).await;
    everybody_asked(&stage, &spec, "orders").await;
    let (plan, report) = stage.driver().apply(&spec, DESTROY).await;
    let rules: Vec<_> = plan.refusals.iter().map(|refusal| refusal.rule).collect();
    assert_eq!(rules, [Rule::Protected], "{:?}", plan.refusals);
    assert!(plan.refusals[0].why.contains("`deletion_protection: false`"), "{}", plan.refusals[0].why);
    assert!(report.outcomes.is_empty(), "nothing of it is half taken down: {report:#?}");
    let open = file(&[made("orders", IPS, "")]);
    let attribute =
        LoadBalancerAttribute::builder().key("deletion_protection.enabled").value("false").build();
    let arn = stage.live(&open, "load-balancer").await.unwrap().id;
    let request = stage.elb().modify_load_balancer_attributes().load_balancer_arn(arn).attributes(attribute);
    request.send().await.unwrap();
    stage.apply_with(&open, DESTROY).await;
}
