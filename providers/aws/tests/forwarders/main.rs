//! Groups of forwarder machines: what they are made of, who reaches them, how one gives way to the next, and what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test, which says what it tried"
)]

mod drain;
mod health_ports;
mod moves;
mod outage;
mod partly;
mod registrations;
#[path = "../stage/mod.rs"]
mod stage;
mod sweep;
mod turns;

use std::collections::BTreeSet;

use aws_sdk_autoscaling::types::AutoScalingGroup;
use aws_sdk_ec2::types::Tag;
use privnet_core::accept::Ask;
use privnet_core::plan::{Op, PlanOptions, Rule};
use privnet_core::spec::Spec;
use privnet_core::world::TargetState;
use stage::{Stage, assert_done, spec, until};

const DATABASE: &str = "sg-0ddddddddddddddd4";
const DESTROY: PlanOptions = PlanOptions { prune: false, sever_connections: true, destroy: true };
const TWO_ZONES: &str = "subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]";

/// A service of one forwarded port, with these machines and these ports.
fn with(machines: &str, ports: &str, more: &str) -> Spec {
    spec(&text_with(machines, ports, more))
}

fn text_with(machines: &str, ports: &str, more: &str) -> String {
    format!(
        "version: 1
deployment: forward
tags: {{ team: data }}
defaults:
  aws:
    account: \"123456789012\"
    region: us-east-1
    vpc: vpc-0a1b2c3d4e5f60718
    subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
services:
  - name: ledger
    allow: {{ fivetran: {{}} }}
    aws:
      database_security_groups: [{DATABASE}]
      {machines}
      ports: [{ports}]
{more}"
    )
}

const PORT: &str = "{ listen: 5432, engine: postgres, to: { forwarder: { ip: 172.16.4.20 } } }";

/// Seconds.
const SIZED_DRAIN: f64 = 60.0;

fn sized(size: &str) -> Spec {
    with(&format!("forwarder: {{ {TWO_ZONES}, size: {size}, drain: {SIZED_DRAIN}s }}"), PORT, "")
}

async fn groups(stage: &Stage) -> Vec<AutoScalingGroup> {
    let answer = stage.auto_scaling().describe_auto_scaling_groups().send().await.unwrap();
    answer.auto_scaling_groups.unwrap_or_default()
}

async fn only_group(stage: &Stage) -> AutoScalingGroup {
    let mut all = groups(stage).await;
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

/// Waits until a load balancer calls each machine healthy.
async fn served(stage: &Stage, spec: &Spec) {
    until("the machines are healthy", || async {
        let world = stage.world(spec).await;
        let targets = &world.services["ledger"].targets;
        let healthy = targets.iter().filter(|target| target.state == TargetState::Healthy).count();
        (healthy == 2 && targets.len() == 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_have_all_that_they_need_and_nothing_else() {
    let stage = Stage::open().await;
    let spec = sized("t3.small");
    stage.apply(&spec).await;
    stage.assert_settled(&spec).await;
    served(&stage, &spec).await;

    let group = only_group(&stage).await;
    assert_eq!((group.min_size(), group.desired_capacity(), group.max_size()), (Some(2), Some(2), Some(2)));
    assert_eq!(group.health_check_type(), Some("EC2"));
    let zones: BTreeSet<_> = group.instances().iter().filter_map(|one| one.availability_zone()).collect();
    assert_eq!(zones.len(), 2, "{zones:?}");

    let ec2 = stage.ec2();
    let template = group.launch_template().unwrap();
    let versions = ec2
        .describe_launch_template_versions()
        .launch_template_id(template.launch_template_id().unwrap())
        .versions(template.version().unwrap())
        .send()
        .await
        .unwrap();
    let data = versions.launch_template_versions()[0].launch_template_data().unwrap();
    let metadata = data.metadata_options().unwrap();
    assert_eq!(metadata.http_tokens().map(|word| word.as_str()), Some("required"));
    assert_eq!(metadata.http_put_response_hop_limit(), Some(1));
    assert_eq!((data.key_name(), data.iam_instance_profile()), (None, None));
    assert!(data.image_id().unwrap().starts_with("resolve:ssm:/aws/service/canonical/ubuntu/server/24.04/"));
    let disks = data.block_device_mappings();
    assert_eq!(disks.len(), 1);
    assert_eq!(disks[0].ebs().unwrap().encrypted(), Some(true));
    let interfaces = data.network_interfaces();
    assert!(interfaces.iter().all(|one| one.associate_public_ip_address() == Some(false)));

    let ids: Vec<_> =
        group.instances().iter().filter_map(|one| one.instance_id().map(str::to_owned)).collect();
    let instances = ec2.describe_instances().set_instance_ids(Some(ids)).send().await.unwrap();
    let instances: Vec<_> = instances.reservations().iter().flat_map(|one| one.instances()).collect();
    assert_eq!(instances.len(), 2);
    for instance in instances {
        assert_eq!(instance.public_ip_address().filter(|ip| !ip.is_empty()), None);
        assert!(instance.tags().iter().any(|tag| tag.key() == Some("team") && tag.value() == Some("data")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_load_balancer_alone_reaches_them_and_they_alone_the_database() {
    let stage = Stage::open().await;
    let both = format!("{PORT}, {{ listen: 6432, port: 5432, to: {{ ips: [10.0.0.25] }} }}");
    let spec = with(&format!("forwarder: {{ {TWO_ZONES}, size: t4g.small }}"), &both, "");
    stage.apply(&spec).await;
    stage.assert_settled(&spec).await;
    let world = stage.world(&spec).await;
    let group = |name: &str| {
        let found = world.live.iter().find(|l| l.address.kind == "security-group" && l.address.name == name);
        found.unwrap().id.clone()
    };
    let (balancer, machines) = (group("main"), group("forwarder"));
    let rules = stage.ec2().describe_security_group_rules().send().await.unwrap();
    let inbound: BTreeSet<(String, String, i32)> = rules
        .security_group_rules()
        .iter()
        .filter(|rule| rule.is_egress() == Some(false))
        .filter_map(|rule| {
            let source = rule.referenced_group_info()?.group_id()?.to_owned();
            Some((rule.group_id()?.to_owned(), source, rule.from_port()?))
        })
        .filter(|(group, source, _)| *group == machines || *source == machines || *source == balancer)
        .collect();
    let expected = BTreeSet::from([
        (machines.clone(), balancer.clone(), 5432),
        (machines.clone(), balancer.clone(), 25432),
        (DATABASE.to_owned(), machines, 5432),
        (DATABASE.to_owned(), balancer, 5432),
    ]);
    assert_eq!(inbound, expected);
    let checks = stage.elb().describe_target_groups().send().await.unwrap();
    let check = checks
        .target_groups()
        .iter()
        .find(|group| {
            group.port() == Some(5432) && group.target_type().is_some_and(|kind| kind.as_str() == "instance")
        })
        .unwrap();
    assert_eq!((check.health_check_port(), check.health_check_path()), (Some("25432"), Some("/")));
}

/// A change makes group b, and a goes when b is healthy and a's sessions had their time.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_makes_another_group_and_nobody_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let stage = Stage::open_with(|options| options.record = Some(record.clone())).await;
    let first = sized("t3.small");
    stage.apply(&first).await;
    served(&stage, &first).await;
    stage.until_pending(&first, "ledger", 2).await;
    let (_, plan, report) = stage.decide(&first, &Ask::default()).await;
    assert_done(&plan, &report);
    let before = only_group(&stage).await;
    let said = std::fs::read_to_string(&record).unwrap().lines().count();

    let second = sized("t3.medium");
    let plan = stage.apply(&second).await;
    let of =
        |op: Op| plan.actions.iter().filter(move |action| action.op == op).map(|a| a.address.kind.as_str());
    assert_eq!(of(Op::Create).collect::<Vec<_>>(), ["launch-template", "forwarder-group"]);
    assert_eq!(of(Op::Delete).collect::<Vec<_>>(), ["forwarder-group", "launch-template"]);
    assert_eq!(of(Op::Update).count(), 0);
    stage.assert_settled(&second).await;
    let after = only_group(&stage).await;
    assert_ne!(before.auto_scaling_group_name(), after.auto_scaling_group_name());

    // Before the old machines were taken from the load balancer, it called all new ones healthy.
    let text = std::fs::read_to_string(&record).unwrap();
    let exchanges: Vec<serde_json::Value> =
        text.lines().skip(said).map(|line| serde_json::from_str(line).unwrap()).collect();
    let at = |action: &str| exchanges.iter().position(|one| one["action"] == action);
    let detached = at("DetachLoadBalancerTargetGroups").expect("the old group was drained");
    let deleted = at("DeleteAutoScalingGroup").expect("the old group was deleted");
    assert!(detached < deleted);
    // And then they had the whole drain time for their sessions, by the cloud's own clock.
    let time = |at: usize| -> jiff::Timestamp { exchanges[at]["time"].as_str().unwrap().parse().unwrap() };
    let drained = time(deleted).duration_since(time(detached)).as_secs_f64();
    assert!(drained >= SIZED_DRAIN, "the old machines went after {drained} s");
    let health =
        exchanges[..detached].iter().rev().find(|one| one["action"] == "DescribeTargetHealth").unwrap();
    let health = health["response"].to_string();
    for machine in after.instances() {
        let id = machine.instance_id().unwrap();
        let (_, rest) = health.split_once(id).unwrap_or_else(|| panic!("{id} was not registered: {health}"));
        let state = rest.split("<State>").nth(1).unwrap_or_default();
        assert!(state.starts_with("healthy"), "{id} is {state}");
    }
    let connections = stage.connections(&second, "ledger").await;
    assert!(connections.iter().any(|one| one.state.may_be_live()), "{connections:?}");
}

/// What the plan refuses, and in which words.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_in_words() {
    let stage = Stage::open().await;
    let machines = |rest: &str| with(&format!("forwarder: {{ {rest} }}"), PORT, "");
    let fitting = format!("{TWO_ZONES}, size: t3.small");
    for (spec, words) in [
        (machines("subnets: [subnet-0aaaaaaaaaaaaaaa1], size: t3.small"), "in at least 2 zones"),
        (machines(&format!("{fitting}, zones: [us-east-1a]")), "in at least 2 zones"),
        (machines(&format!("{fitting}, zones: [us-east-1a, us-east-1b, us-east-1c]")), "is in us-east-1c"),
        (
            machines("subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0123456789abcdef9], size: t3.small"),
            "subnet-0123456789abcdef9 is not in vpc-0a1b2c3d4e5f60718",
        ),
        (machines(&format!("{fitting}, image: ami-0fedcba9876543210")), "ami-0fedcba9876543210 is not there"),
        (
            with(&format!("forwarder: {{ {fitting} }}"), PORT, "      proxy_protocol: true\n"),
            "proxy_protocol",
        ),
        (
            with(
                &format!("forwarder: {{ {fitting} }}"),
                "{ listen: 22, to: { forwarder: { ip: 172.16.4.20 } } }",
                "",
            ),
            "SSH",
        ),
    ] {
        let plan = stage.plan(&spec).await;
        assert!(plan.is_empty(), "{words}: {:#?}", plan.actions);
        let said = plan.refusals.iter().find(|refusal| refusal.why.contains(words));
        assert!(
            said.is_some_and(|refusal| refusal.rule == Rule::Unsuitable),
            "{words}: {:#?}",
            plan.refusals
        );
    }
}

/// MySQL counts a TCP probe as a broken handshake; a forwarder's own check is a whole one, if it knows what it speaks to.
#[tokio::test(flavor = "multi_thread")]
async fn mysql_behind_a_tcp_check_is_warned_of_and_behind_a_forwarder_that_knows_it_not() {
    let stage = Stage::open().await;
    let machines = format!("forwarder: {{ {TWO_ZONES}, size: t3.small }}");
    let direct = "{ listen: 3306, ENGINE to: { ips: [10.0.0.25] } }";
    let forwarded = "{ listen: 3307, port: 3306, ENGINE to: { forwarder: { ip: 172.16.4.20 } } }";
    let warned = async |engine: &str| -> Vec<String> {
        let ports = format!("{direct}, {forwarded}").replace("ENGINE", engine);
        let plan = stage.plan(&with(&machines, &ports, "")).await;
        plan.warnings.into_iter().filter(|text| text.contains("max_connect_errors")).collect()
    };
    let named = warned("engine: mysql,").await;
    assert_eq!(named.len(), 1, "{named:#?}");
    assert!(named[0].contains("port 3306") && named[0].contains("use a forwarder"), "{named:?}");
    // What nobody named is taken for what usually listens there, until somebody says that it is something else.
    let unsaid = warned("").await;
    assert_eq!(unsaid.len(), 2, "{unsaid:#?}");
    assert!(unsaid.iter().all(|text| text.contains("`engine: other`")), "{unsaid:#?}");
    let forwarders =
        unsaid.iter().filter(|text| text.contains("port 3307") && text.contains("write `engine: mysql`"));
    assert_eq!(forwarders.count(), 1, "{unsaid:#?}");
    assert_eq!(warned("engine: other,").await, Vec::<String>::new());
}

/// A check by HTTP that asks MySQL itself leaves in the midst of the handshake too; one that asks an agent beside it does not.
#[tokio::test(flavor = "multi_thread")]
async fn mysql_is_warned_of_wherever_a_check_asks_it_itself() {
    let stage = Stage::open().await;
    for (port, how) in [
        (
            "listen: 13306, engine: mysql, health_check: { http: /x }",
            "an HTTP health check of its own port 13306",
        ),
        (
            "listen: 13306, engine: mysql, health_check: { port: 3306 }",
            "a TCP health check of its own port 3306",
        ),
        ("listen: 13306, health_check: { port: 3306 }", "a TCP health check of its own port 3306"),
        ("listen: 3306, health_check: { http: /x, port: 3306 }", "an HTTP health check of its own port 3306"),
        ("listen: 3306, engine: mysql, health_check: { http: /x, port: 8080 }", ""),
        ("listen: 3306, engine: mysql, health_check: { port: 8080 }", ""),
        ("listen: 5432, engine: postgres, health_check: { port: 3306 }", ""),
    ] {
        let plan = stage.plan(&with("", &format!("{{ {port}, to: {{ ips: [10.0.0.25] }} }}"), "")).await;
        let said: Vec<_> = plan.warnings.iter().filter(|text| text.contains("max_connect_errors")).collect();
        assert_eq!(said.len(), usize::from(!how.is_empty()), "{port}: {:#?}", plan.warnings);
        assert!(said.iter().all(|text| text.contains(how)), "{port}: {said:#?}");
    }
}

/// One warning for an image that is not known to hold what a forwarder needs, and none for one that is.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_known_to_fit_is_said_to_be() {
    let stage = Stage::open().await;
    let warned = async |image: &str| -> Vec<String> {
        let machines = format!("forwarder: {{ {TWO_ZONES}, size: t3.small{image} }}");
        let plan = stage.plan(&with(&machines, PORT, "")).await;
        assert!(plan.refusals.is_empty(), "{image}: {:#?}", plan.refusals);
        plan.warnings.into_iter().filter(|text| text.contains("nft, python3")).collect()
    };
    let ubuntu = "resolve:ssm:/aws/service/canonical/ubuntu";
    let known = format!(", image: \"{ubuntu}/server/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id\"");
    for image in ["", &known, ", image: ami-0b240408600000000"] {
        assert_eq!(warned(image).await, Vec::<String>::new(), "{image}");
    }
    for (image, word) in [
        ("resolve:ssm:/images/forwarder", "cannot be looked into"),
        ("resolve:ssm:/aws/service/debian/release/12/latest/amd64", "Debian's own"),
        (&format!("{ubuntu}/server-minimal/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"), "a minimal one"),
        ("ami-0deb1208600000000", "Debian's own"),
        ("ami-0a202308600000000", "cannot be looked into"),
    ] {
        let warnings = warned(&format!(", image: \"{image}\"")).await;
        assert!(warnings.len() == 1 && warnings[0].contains(word), "{image}: {warnings:#?}");
    }
}

/// A parameter that names no image ends the apply in words, and the next one goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_names_nothing_is_told() {
    let stage = Stage::open().await;
    let image = |name: &str| {
        with(
            &format!("forwarder: {{ {TWO_ZONES}, size: t3.small, image: \"resolve:ssm:{name}\" }}"),
            PORT,
            "",
        )
    };
    let (_, report) = stage.driver().apply(&image("/nobody/has/this"), PlanOptions::default()).await;
    let error = stage::failure(&report);
    assert!(error.to_string().contains("/nobody/has/this"), "{error}");
    assert_eq!(groups(&stage).await.len(), 0);
    let (_, report) = stage
        .driver()
        .apply(&image("/aws/service/debian/release/12/latest/arm64"), PlanOptions::default())
        .await;
    let said = stage::failure(&report).to_string();
    assert!(said.contains("arm64") && said.contains("t3.small is x86_64"), "{said}");
    let mended = image("/aws/service/debian/release/12/latest/amd64");
    stage.apply(&mended).await;
    stage.assert_settled(&mended).await;
}

/// A newer image behind the parameter's name rolls nothing; a user who wants it names its version.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_image_is_no_difference_until_it_is_asked_for() {
    let stage = Stage::open().await;
    let name = "resolve:ssm:/aws/service/debian/release/12/latest/amd64";
    let image = |image: &str| {
        with(
            &format!("forwarder: {{ {TWO_ZONES}, size: t3.small, drain: 60s, image: \"{image}\" }}"),
            PORT,
            "",
        )
    };
    stage.apply(&image(name)).await;
    served(&stage, &image(name)).await;
    let built_from = || async {
        let ids = only_group(&stage)
            .await
            .instances()
            .iter()
            .filter_map(|one| one.instance_id().map(str::to_owned))
            .collect();
        let found = stage.ec2().describe_instances().set_instance_ids(Some(ids)).send().await.unwrap();
        let machines = found.reservations().iter().flat_map(|one| one.instances());
        machines.filter_map(|one| one.image_id().map(str::to_owned)).collect::<BTreeSet<_>>()
    };
    let old = built_from().await;
    let newer = Tag::builder().key("sandbox-image").value("newer").build();
    stage
        .ec2()
        .create_tags()
        .set_resources(Some(old.iter().cloned().collect()))
        .tags(newer)
        .send()
        .await
        .unwrap();
    stage.assert_settled(&image(name)).await;
    assert_eq!(built_from().await, old);

    let plan = stage.apply(&image(&format!("{name}:2"))).await;
    assert!(
        plan.actions.iter().any(|action| action.id.starts_with("create ledger/forwarder-group")),
        "{plan:#?}"
    );
    stage.assert_settled(&image(&format!("{name}:2"))).await;
    assert!(built_from().await.is_disjoint(&old));
}

/// Machines that die are replaced by the group; that is no difference.
#[tokio::test(flavor = "multi_thread")]
async fn machines_that_come_and_go_are_no_difference() {
    let stage = Stage::open().await;
    let spec = sized("t3.small");
    stage.apply(&spec).await;
    served(&stage, &spec).await;
    let dead = only_group(&stage).await.instances()[0].instance_id().unwrap().to_owned();
    stage.ec2().terminate_instances().instance_ids(&dead).send().await.unwrap();
    until("another machine is there", || async {
        let group = only_group(&stage).await;
        let ids: Vec<_> = group.instances().iter().filter_map(|one| one.instance_id()).collect();
        (ids.len() == 2 && !ids.contains(&dead.as_str())).then_some(())
    })
    .await;
    stage.assert_settled(&spec).await;
    served(&stage, &spec).await;
}

/// The user's own load balancer: its groups, or the ranges of its subnets, may come in.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_load_balancer_that_is_there() {
    let stage = Stage::open().await;
    let spec = spec(&format!(
        "version: 1
deployment: forward
services:
  - name: legacy
    allow: {{ fivetran: {{}} }}
    aws:
      account: \"123456789012\"
      region: us-east-1
      vpc: vpc-0a1b2c3d4e5f60718
      existing: {{ load_balancer: \"arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/db/0123456789abcdef\" }}
      forwarder: {{ {TWO_ZONES}, size: t3.small }}
      ports: [{{ listen: 1521, engine: oracle, to: {{ forwarder: {{ ip: 172.16.4.20 }} }} }}]
"
    ));
    stage.apply(&spec).await;
    stage.assert_settled(&spec).await;
    let world = stage.world(&spec).await;
    let rules = world.live.iter().filter(|live| live.address.name.starts_with("forwarder/"));
    let ports: BTreeSet<_> = rules.map(|live| live.fields["port"].clone()).collect();
    assert_eq!(ports.len(), 2, "{:#?}", world.live);
    stage.apply_with(&spec, DESTROY).await;
    assert_eq!(groups(&stage).await.len(), 0);
}

/// Whoever asks for no forwarders need not be allowed to look for them. What another role made is not passed over in silence.
#[tokio::test(flavor = "multi_thread")]
async fn machines_that_may_not_be_looked_for_are_told() {
    let stage = Stage::open().await;
    let spec = sized("t3.small");
    let without = with("", "{ listen: 5432, engine: postgres, to: { ips: [10.0.0.25] } }", "");
    stage.fault("aws:DescribeAutoScalingGroups:*:code=AccessDenied");
    let unmade = stage.plan(&without).await;
    assert!(!unmade.warnings.iter().any(|warning| warning.contains("forwarder")), "{:#?}", unmade.warnings);
    stage.heal();

    stage.apply(&spec).await;
    served(&stage, &spec).await;
    let machines = only_group(&stage).await;
    stage.fault("aws:DescribeAutoScalingGroups:*:code=AccessDenied");
    let plan = stage.plan(&without).await;
    let told = plan.warnings.iter().find(|warning| warning.starts_with("ledger: forwarder machines"));
    let told = told.unwrap_or_else(|| panic!("{:#?}", plan.warnings));
    assert!(told.contains("`autoscaling:DescribeAutoScalingGroups`"), "{told}");
    assert!(machines.instances().iter().all(|one| told.contains(one.instance_id().unwrap())), "{told}");
}
