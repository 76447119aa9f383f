//! Services of all forms: a load balancer of the user's own, replacements, look-alikes, services that left the file.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod stage;

use std::collections::BTreeSet;

use aws_sdk_ec2::types::Filter;
use aws_sdk_elasticloadbalancingv2::types::{LoadBalancerAttribute, ProtocolEnum, Tag};
use privnet_core::Purpose;
use privnet_core::accept::Ask;
use privnet_core::conformance::Subject;
use privnet_core::execute::Outcome;
use privnet_core::plan::{Op, Plan, PlanOptions, Refusal, Rule};
use privnet_core::spec::aws::AwsForm;
use privnet_core::spec::{CloudService, Spec};
use stage::{Stage, assert_done, spec};

const OWN_BALANCER: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/db/0123456789abcdef";
const VPC: &str = "vpc-0a1b2c3d4e5f60718";
/// Another VPC of the account, and two of its subnets.
const OTHER_VPC: &str = "vpc-0b1b2c3d4e5f60719";
const OTHER_SUBNETS: &str = "subnet-0ddddddddddddddd4, subnet-0eeeeeeeeeeeeeee5";
const SUBNETS: &str = "subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2";
const DESTROY: PlanOptions = PlanOptions { destroy: true, sever_connections: true, prune: false };

fn location() -> String {
    "account: \"123456789012\", region: us-east-1".to_owned()
}

fn on_own_balancer(ports: &str) -> Spec {
    spec(&format!(
        "version: 1
deployment: services
defaults: {{ aws: {{ {}, vpc: {VPC} }} }}
services:
  - name: legacy
    allow: {{ fivetran: {{}} }}
    aws: {{ existing: {{ load_balancer: \"{OWN_BALANCER}\" }} {ports} }}
",
        location()
    ))
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

/// The same service beside a copy of its databases in the other VPC.
fn in_the_other_vpc(service: &str) -> String {
    service.replace(VPC, OTHER_VPC).replace(SUBNETS, OTHER_SUBNETS).replace("10.0.0.", "10.100.0.")
}

async fn listener_ports(stage: &Stage, balancer: &str) -> Vec<i32> {
    let listeners = stage.elb().describe_listeners().load_balancer_arn(balancer).send().await.unwrap();
    let mut ports: Vec<i32> = listeners.listeners().iter().filter_map(|listener| listener.port()).collect();
    ports.sort_unstable();
    ports
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_are_added_to_the_users_load_balancer_and_taken_away_again() {
    let stage = Stage::open().await;
    let before = listener_ports(&stage, OWN_BALANCER).await;
    let spec = on_own_balancer(", ports: [{ listen: 7000, to: { ips: [10.0.0.25] } }]");
    let plan = stage.apply(&spec).await;
    let added: Vec<_> = plan.adds_to_yours.iter().map(|addition| addition.address.kind.as_str()).collect();
    assert_eq!(added, ["listener"]);
    assert!(!plan.actions.iter().any(|action| action.address.kind == "load-balancer"), "{:#?}", plan.actions);
    stage.assert_settled(&spec).await;
    assert_eq!(listener_ports(&stage, OWN_BALANCER).await, [before.clone(), vec![7000]].concat());

    everybody_asked(&stage, &spec, "legacy").await;
    stage.apply_with(&spec, DESTROY).await;
    assert_eq!(listener_ports(&stage, OWN_BALANCER).await, before);
}

/// A tombstone, and a file without the service, do not say which load balancer it was: what privnet added there is found by its target
/// groups. What the user has there stays.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_added_to_the_users_load_balancer_goes_with_the_service() {
    let tombstone = format!("  - {{ name: legacy, remove: true, aws: {{ {} }} }}\n", location());
    for (file, prune) in [(file(&[tombstone]), false), (file(&[made("other", IPS, "")]), true)] {
        let stage = Stage::open().await;
        let before = listener_ports(&stage, OWN_BALANCER).await;
        let spec = on_own_balancer(", ports: [{ listen: 7000, to: { ips: [10.0.0.25] } }]");
        stage.apply(&spec).await;
        everybody_asked(&stage, &spec, "legacy").await;
        let options = PlanOptions { prune, sever_connections: true, destroy: false };
        let plan = stage.apply_with(&file, options).await;
        assert!(ids(&plan, Op::Delete).iter().any(|id| id.contains("listener")), "{plan:#?}");
        assert_eq!(listener_ports(&stage, OWN_BALANCER).await, before);
        let left = stage.world(&file).await.live.into_iter().filter(|live| live.address.service == "legacy");
        assert_eq!(left.map(|live| live.address.to_string()).collect::<Vec<_>>(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_the_users_load_balancer_has_is_refused() {
    let stage = Stage::open().await;
    let taken = listener_ports(&stage, OWN_BALANCER).await[0];
    let spec = on_own_balancer(&format!(", ports: [{{ listen: {taken}, to: {{ ips: [10.0.0.25] }} }}]"));
    let plan = stage.plan(&spec).await;
    assert!(
        plan.refusals.iter().any(|r| r.rule == Rule::NotOurs && r.why.contains("not privnet's")),
        "{:#?}",
        plan.refusals
    );
    assert!(plan.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_beside_a_supplied_load_balancer_must_be_its_own() {
    let stage = Stage::open().await;
    let mut there = on_own_balancer(", ports: [{ listen: 7000, to: { ips: [10.0.0.25] } }]");
    for elsewhere in ["vpc-00000000000000000", "vpc-007b2c3d4e5f60718"] {
        let CloudService::Aws(aws) = &mut there.services[0].cloud else { panic!("it is on AWS") };
        let AwsForm::OnLoadBalancer(on) = &mut aws.form else { panic!("it is on a load balancer") };
        on.vpc = Some(elsewhere.parse().unwrap());
        let plan = stage.plan(&there).await;
        assert!(plan.is_empty() && plan.refusals.iter().any(|r| r.why.contains(elsewhere)), "{plan:#?}");
    }
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
async fn a_supplied_load_balancer_that_is_not_there_is_refused() {
    let stage = Stage::open().await;
    let missing = OWN_BALANCER.replace("0123456789abcdef", "0000000000000000");
    let spec = spec(&format!(
        "version: 1
deployment: services
services:
  - name: legacy
    allow: {{ fivetran: {{}} }}
    aws: {{ {}, existing: {{ load_balancer: \"{missing}\" }} }}
",
        location()
    ));
    let plan = stage.plan(&spec).await;
    assert!(plan.is_empty());
    assert!(
        plan.refusals.iter().any(|r| r.rule == Rule::Unsuitable && r.why.contains("is not there")),
        "{:#?}",
        plan.refusals
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_target_port_replaces_the_group_under_a_live_consumer() {
    let stage = Stage::open().await;
    let before = file(&[made("orders", IPS, "")]);
    stage.apply(&before).await;
    accepted(&stage, &before, "orders").await;
    let after = file(&[made("orders", &IPS.replace("listen: 5432", "listen: 5432, port: 5433"), "")]);
    let plan = stage.apply(&after).await;
    assert_eq!(ids(&plan, Op::Create), BTreeSet::from(["create orders/target-group/5432@b".to_owned()]));
    assert_eq!(ids(&plan, Op::Update), BTreeSet::from(["update orders/listener/5432".to_owned()]));
    assert_eq!(ids(&plan, Op::Delete), BTreeSet::from(["delete orders/target-group/5432@a".to_owned()]));
    stage.assert_settled(&after).await;
    let live = stage.live(&after, "target-group").await.unwrap();
    assert_eq!(live.generation, Some(privnet_core::Generation::B));
    // And back again, under the first letter.
    stage.apply(&before).await;
    stage.assert_settled(&before).await;
    assert_eq!(
        stage.live(&before, "target-group").await.unwrap().generation,
        Some(privnet_core::Generation::A)
    );
}

/// A refusal that does not speak of weights is no reason to turn to targets that nobody has checked.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_turns_nowhere_when_the_new_group_cannot_be_named() {
    let stage = Stage::open().await;
    let before = file(&[made("orders", IPS, "")]);
    stage.apply(&before).await;
    stage::until("the target is healthy", || async {
        let world = stage.world(&before).await;
        world.services["orders"].targets.iter().any(|t| t.cloud_state == "healthy").then_some(())
    })
    .await;
    let led_to = || async {
        let arn = stage.live(&before, "listener").await.unwrap().id;
        let found = stage.elb().describe_listeners().listener_arns(arn).send().await.unwrap();
        found.listeners()[0].default_actions()[0].target_group_arn().unwrap().to_owned()
    };
    let old = led_to().await;
    let after = file(&[made("orders", &IPS.replace("listen: 5432", "listen: 5432, port: 5433"), "")]);
    stage.fault("aws:ModifyListener:1:code=ValidationError");
    let (_, report) = stage.driver().apply(&after, PlanOptions::default()).await;
    let error = stage::failure(&report);
    assert_eq!((error.kind(), error.code()), (privnet_core::ErrorKind::Invalid, Some("ValidationError")));
    assert_eq!(led_to().await, old, "everything goes where it went");
    stage.apply(&after).await;
    stage.assert_settled(&after).await;
    assert_ne!(led_to().await, old);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_stops_anywhere_is_finished() {
    let before = file(&[made("orders", IPS, "")]);
    let after = file(&[made("orders", &IPS.replace("listen: 5432", "listen: 5432, port: 5433"), "")]);
    let stage = Stage::open().await;
    for stop in 0..=3 {
        stage.reset().await;
        stage.apply(&before).await;
        let driver = stage.driver();
        let (mut plan, desired, world) = driver.plan(&after, PlanOptions::default()).await;
        assert_eq!(plan.actions.len(), 3);
        plan.actions.truncate(stop);
        driver.execute(&plan, &desired, &world).await;
        stage.apply(&after).await;
        stage.assert_settled(&after).await;
        let groups = stage.elb().describe_target_groups().send().await.unwrap();
        let ours =
            groups.target_groups().iter().filter(|g| g.target_group_name().unwrap().starts_with("pn-"));
        assert_eq!(ours.count(), 1, "stopped after {stop}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_that_would_cut_a_live_consumer_are_refused() {
    let stage = Stage::open().await;
    let two = format!("{IPS}, {{ listen: 6432, to: {{ ips: [10.0.0.26] }} }}");
    let base = made("orders", &two, "");
    let spec = file(std::slice::from_ref(&base));
    stage.apply(&spec).await;
    accepted(&stage, &spec, "orders").await;
    // Who still waits is a reason of its own.
    stage.decide(&spec, &Ask { connection: None, reject_others: true, again: false }).await;
    for (edit, text) in [
        ("a VPC", in_the_other_vpc(&base)),
        ("a subnet less", base.replace(SUBNETS, "subnet-0aaaaaaaaaaaaaaa1")),
        ("a port less", base.replace(&two, IPS)),
        ("no service", base.replace("allow: { fivetran: {} }", "allow: { fivetran: {} }\n    remove: true")),
    ] {
        let edited = file(&[text]);
        let plan = stage.plan(&edited).await;
        assert!(plan.is_empty(), "{edit}: {:#?}", plan.actions);
        // AWS takes no subnet away while somebody is attached: the word does not help.
        let helps = edit != "a subnet less";
        let severs = |refusal: &Refusal| refusal.rule == Rule::WouldSever && refusal.flag.is_some() == helps;
        assert!(
            !plan.refusals.is_empty() && plan.refusals.iter().all(severs),
            "{edit}: {:#?}",
            plan.refusals
        );
    }
    // A port more cuts nobody.
    let more = file(&[base.replace(&two, &format!("{two}, {{ listen: 7432, to: {{ ips: [10.0.0.27] }} }}"))]);
    stage.apply(&more).await;
    stage.assert_settled(&more).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subnet_goes_when_nobody_is_attached() {
    let stage = Stage::open().await;
    let base = made("orders", IPS, "");
    let spec = file(std::slice::from_ref(&base));
    stage.apply(&spec).await;
    let fewer = file(&[base.replace(", subnet-0bbbbbbbbbbbbbbb2", "")]);
    let waiting = stage.until_pending(&spec, "orders", 2).await;
    let plan = stage.plan(&fewer).await;
    assert!(
        plan.is_empty() && plan.refusals.iter().any(|r| r.why.contains("wait for a decision")),
        "{:#?}",
        plan.refusals
    );
    for connection in waiting {
        stage.reject(&spec, &connection.id, false).await;
    }
    stage.apply(&fewer).await;
    stage.assert_settled(&fewer).await;
}

/// The hand-over is kept: the same endpoint service has another load balancer.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_goes_to_another_vpc_when_nobody_is_attached() {
    let stage = Stage::open().await;
    let base = made("orders", IPS, "");
    let here = file(std::slice::from_ref(&base));
    stage.apply(&here).await;
    let id = stage.live(&here, "endpoint-service").await.unwrap().id;
    let there = file(&[in_the_other_vpc(&base)]);
    let waiting = stage.until_pending(&here, "orders", 2).await;
    let plan = stage.plan(&there).await;
    assert!(
        plan.is_empty() && plan.refusals.iter().any(|r| r.why.contains("wait for a decision")),
        "{plan:#?}"
    );
    for connection in waiting {
        stage.reject(&here, &connection.id, false).await;
    }
    // Where AWS does not say what holds in the old load balancer, the new one is told all the same.
    let mut silent = stage.world(&there).await;
    for live in silent.live.iter_mut().filter(|live| live.address.kind == "load-balancer") {
        live.fields.insert("enforce_inbound".to_owned(), privnet_core::Value::Null);
    }
    let tells = |spec: &Spec| {
        let lowered = stage.provider().lower(spec, &spec.services[0], &silent);
        let mut balancers = lowered.resources.iter().filter(|one| one.address.kind == "load-balancer");
        balancers.next().unwrap().fields.contains_key("enforce_inbound")
    };
    assert_eq!((tells(&here), tells(&there)), (false, true));
    let plan = stage.apply(&there).await;
    assert!(ids(&plan, Op::Create).contains("create orders/load-balancer/main@b"), "{plan:#?}");
    assert!(ids(&plan, Op::Delete).contains("delete orders/load-balancer/main@a"), "{plan:#?}");
    stage.assert_settled(&there).await;
    let world = stage.world(&there).await;
    let of = |kind: &str| world.live.iter().find(|live| live.address.kind == kind).unwrap();
    assert_eq!(of("endpoint-service").id, id);
    for kind in ["load-balancer", "target-group", "security-group"] {
        assert_eq!(of(kind).fields["vpc"], privnet_core::Value::text(OTHER_VPC), "{kind}");
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_never_answers_takes_nobodys_place_however_often_it_is_tried() {
    let stage = Stage::open().await;
    let before = file(&[made("orders", IPS, "")]);
    stage.apply(&before).await;
    let healthy = || async {
        let world = stage.world(&before).await;
        let targets = &world.services["orders"].targets;
        targets.iter().any(|t| t.id == "10.0.0.25:5432" && t.cloud_state == "healthy").then_some(())
    };
    stage::until("the target is healthy", healthy).await;
    // Addresses that end in 250 fail their checks.
    let after = file(&[made("orders", &IPS.replace("10.0.0.25", "10.0.1.250"), "")]);
    for _ in 0..2 {
        let (_, report) = stage.driver().apply(&after, PlanOptions::default()).await;
        let error = stage::failure(&report);
        assert!(error.hints().iter().any(|hint| hint.contains("still registered")), "{error}");
        assert_eq!(healthy().await, Some(()));
    }
    // A good one does.
    let good = file(&[made("orders", &IPS.replace("10.0.0.25", "10.0.1.26"), "")]);
    stage.apply(&good).await;
    stage.assert_settled(&good).await;
}

/// Descriptions are for people. A rule that lost the one that privnet wrote is still privnet's, and goes with the service.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_may_be_described_in_other_words() {
    use aws_sdk_ec2::types::{SecurityGroupRuleRequest, SecurityGroupRuleUpdate};
    let stage = Stage::open().await;
    let orders = file(&[made("orders", IPS, ", database_security_groups: [sg-0ddddddddddddddd4]")]);
    stage.apply(&orders).await;
    let rule = stage.live(&orders, "security-group-rule").await.unwrap();
    let words = SecurityGroupRuleRequest::builder().ip_protocol("tcp").from_port(5432).to_port(5432);
    let words = words.referenced_group_id(rule.fields["source"].as_text().unwrap());
    let words = words.description("Fivetran, ask the data team").build();
    let change =
        SecurityGroupRuleUpdate::builder().security_group_rule_id(&rule.id).security_group_rule(words);
    let request = stage.ec2().modify_security_group_rules().group_id("sg-0ddddddddddddddd4");
    request.security_group_rules(change.build()).send().await.unwrap();
    let plan = stage.plan(&orders).await;
    assert!(plan.is_empty() && !plan.warnings.iter().any(|w| w.contains("not privnet's")), "{plan:#?}");
    everybody_asked(&stage, &orders, "orders").await;
    stage.apply_with(&orders, DESTROY).await;
    let id = Filter::builder().name("security-group-rule-id").values(&rule.id).build();
    let left = stage.ec2().describe_security_group_rules().filters(id).send().await.unwrap();
    assert_eq!(left.security_group_rules().len(), 0);
}

/// The shown name is a tag like the others: a rule of the user's that has copies of all of them, and no description, stays his.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_with_copied_tags_stays_its_owners() {
    const GROUP: &str = "sg-0ddddddddddddddd4";
    let stage = Stage::open().await;
    let orders = file(&[made("orders", IPS, ", database_security_groups: [sg-0ddddddddddddddd4]")]);
    stage.apply(&orders).await;
    let ours = stage.live(&orders, "security-group-rule").await.unwrap();
    let id = |id: &str| Filter::builder().name("security-group-rule-id").values(id).build();
    let found = stage.ec2().describe_security_group_rules().filters(id(&ours.id)).send().await.unwrap();
    let tags = found.security_group_rules()[0].tags().to_vec();
    let theirs = stage.ec2().authorize_security_group_ingress().group_id(GROUP);
    let theirs = theirs.ip_protocol("tcp").from_port(5432).to_port(5432).cidr_ip("10.8.0.0/16");
    let theirs =
        theirs.send().await.unwrap().security_group_rules()[0].security_group_rule_id().unwrap().to_owned();
    stage.ec2().create_tags().resources(&theirs).set_tags(Some(tags)).send().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    stage.assert_settled(&orders).await;
    everybody_asked(&stage, &orders, "orders").await;
    stage.apply_with(&orders, DESTROY).await;
    let left = stage.ec2().describe_security_group_rules().filters(id(&theirs)).send().await.unwrap();
    assert_eq!(left.security_group_rules().len(), 1);
}

/// Reads are not of one moment: a run that looked for the security group before another run made it, and for the rules after, would
/// replace a rule by itself. It fails, and the rule stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_another_run_made_meanwhile_is_not_replaced_by_itself() {
    let stage = Stage::open().await;
    let orders = file(&[made("orders", IPS, ", database_security_groups: [sg-0ddddddddddddddd4]")]);
    stage.apply(&orders).await;

    let driver = stage.driver();
    let (desired, mut world) = driver.observe(&orders, Purpose::Plan).await;
    world.live.retain(|live| live.address.kind != "security-group");
    let mut plan = privnet_core::plan(&desired, &world, &driver.kinds(), PlanOptions::default());
    plan.actions.retain(|action| action.address.kind.starts_with("security-group"));
    let of_rule = |op: Op| {
        plan.actions
            .iter()
            .position(|a| a.op == op && a.address.kind == "security-group-rule")
            .expect("a rule's action")
    };
    let (create, delete) = (of_rule(Op::Create), of_rule(Op::Delete));
    let report = driver.execute(&plan, &desired, &world).await;
    assert!(matches!(report.outcomes[create], Outcome::Failed(_)), "{:#?}", report.outcomes);
    assert!(matches!(report.outcomes[delete], Outcome::Skipped { .. }), "{:#?}", report.outcomes);
    stage.assert_settled(&orders).await;
}
