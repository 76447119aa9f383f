//! Somebody changes a field by hand: the next plan names exactly that field, and apply puts it back. A field of these kinds
//! without a row here fails the test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

mod stage;

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{IpPermission, IpRange, Tag as Ec2Tag};
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, Certificate, EnforceSecurityGroupInboundRulesOnPrivateLinkTrafficEnum as Enforce,
    ForwardActionConfig, IpAddressType, ListenerAttribute, LoadBalancerAttribute, ProtocolEnum, Tag,
    TargetDescription, TargetGroupAttribute, TargetGroupTuple,
};
use privnet_core::conformance::Subject;
use privnet_core::plan::{Op, Plan};
use privnet_core::spec::Spec;
use privnet_core::{Change, Class, Live};
use stage::{Stage, spec};

const CERTIFICATE: &str =
    "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012";
const ANOTHER_GROUP: &str = "sg-0ddddddddddddddd4";

/// What became of a field.
enum Drift {
    /// It was changed.
    Done,
    /// The cloud changes it never; why.
    Never(&'static str),
    /// Nobody wrote a row for it.
    NoRow,
}

fn file() -> Spec {
    spec(&format!(
        "version: 1
deployment: drift
tags: {{ team: data }}
services:
  - name: orders
    allow: {{ fivetran: {{}} }}
    aws:
      account: \"123456789012\"
      region: us-east-1
      vpc: vpc-0a1b2c3d4e5f60718
      subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
      database_security_groups: [{ANOTHER_GROUP}]
      enforce_inbound: {{ cidrs: [10.0.0.0/8] }}
      tcp_idle_timeout: 400s
      ports:
        - {{ listen: 5432, engine: postgres, to: {{ ips: [10.0.0.25] }} }}
        - {{ listen: 6432, tls: {{ certificate: \"{CERTIFICATE}\" }}, to: {{ ips: [10.0.0.26] }} }}
"
    ))
}

/// The live resources under test by what the rows call them. The fields that only TLS has are changed on the TLS listener.
async fn lives(stage: &Stage, spec: &Spec) -> BTreeMap<String, Live> {
    let world = stage.world(spec).await;
    let ours = world.live.into_iter().filter(Live::is_ours);
    ours.map(|live| (format!("{}/{}", live.address.kind, live.address.name), live)).collect()
}

fn subject_of(kind: &str, field: &str) -> String {
    match (kind, field) {
        ("security-group-rule", _) => "security-group-rule/inbound/5432/10.0.0.0/8".to_owned(),
        ("listener", "certificate" | "ssl_policy") => "listener/6432".to_owned(),
        ("listener" | "target-group", _) => format!("{kind}/5432"),
        _ => format!("{kind}/main"),
    }
}

async fn drift(stage: &Stage, lives: &BTreeMap<String, Live>, kind: &str, field: &str) -> Drift {
    let live = &lives[&subject_of(kind, field)];
    match kind {
        "security-group" => drift_group(stage, live, field).await,
        "security-group-rule" => drift_rule(stage, live, field).await,
        "load-balancer" => drift_balancer(stage, live, field).await,
        "target-group" => drift_targets(stage, live, field).await,
        "listener" => drift_listener(stage, live, lives, field).await,
        _ => Drift::NoRow,
    }
}

async fn drift_group(stage: &Stage, live: &Live, field: &str) -> Drift {
    let ec2 = stage.ec2();
    match field {
        "vpc" => return Drift::Never("a group stays in its VPC"),
        "open_outbound" => {
            let all = IpPermission::builder()
                .ip_protocol("-1")
                .ip_ranges(IpRange::builder().cidr_ip("0.0.0.0/0").build());
            let request = ec2.revoke_security_group_egress().group_id(&live.id).ip_permissions(all.build());
            request.send().await.unwrap();
        }
        "tags" => {
            let tag = Ec2Tag::builder().key("team").value("changed").build();
            ec2.create_tags().resources(&live.id).tags(tag).send().await.unwrap();
        }
        _ => return Drift::NoRow,
    }
    Drift::Done
}

async fn drift_rule(stage: &Stage, live: &Live, field: &str) -> Drift {
    match field {
        "group" => Drift::Never("a rule stays in its group"),
        "source" | "port" => {
            Drift::Never("its address says it: with another it is another rule, and this one is missing")
        }
        "tags" => {
            let tag = Ec2Tag::builder().key("team").build();
            stage.ec2().delete_tags().resources(&live.id).tags(tag).send().await.unwrap();
            Drift::Done
        }
        _ => Drift::NoRow,
    }
}

async fn drift_balancer(stage: &Stage, live: &Live, field: &str) -> Drift {
    let elb = stage.elb();
    let texts = |name: &str| -> Vec<String> {
        live.fields[name].as_list().unwrap().iter().filter_map(|v| v.as_text().map(str::to_owned)).collect()
    };
    let attribute = |key: &str, value: &str| {
        let attribute = LoadBalancerAttribute::builder().key(key).value(value).build();
        elb.modify_load_balancer_attributes().load_balancer_arn(&live.id).attributes(attribute)
    };
    match field {
        "vpc" => return Drift::Never("a load balancer stays in its VPC"),
        "subnets" => {
            let mut subnets = texts("subnets");
            subnets.pop();
            let request = elb.set_subnets().load_balancer_arn(&live.id).set_subnets(Some(subnets));
            request.send().await.unwrap();
        }
        "security_groups" => {
            let request =
                elb.set_security_groups().load_balancer_arn(&live.id).security_groups(ANOTHER_GROUP);
            let request = request.set_security_groups(Some(
                [texts("security_groups"), vec![ANOTHER_GROUP.to_owned()]].concat(),
            ));
            request.send().await.unwrap();
        }
        "ip_address_type" => {
            let request = elb.set_ip_address_type().load_balancer_arn(&live.id);
            if request.ip_address_type(IpAddressType::Dualstack).send().await.is_err() {
                return Drift::Never("the default world's subnets have no IPv6 range");
            }
        }
        "cross_zone" => drop(attribute("load_balancing.cross_zone.enabled", "false").send().await.unwrap()),
        "deletion_protection" => drop(attribute("deletion_protection.enabled", "true").send().await.unwrap()),
        "enforce_inbound" => {
            let request = elb.set_security_groups().load_balancer_arn(&live.id);
            let request = request.set_security_groups(Some(texts("security_groups")));
            request
                .enforce_security_group_inbound_rules_on_private_link_traffic(Enforce::Off)
                .send()
                .await
                .unwrap();
        }
        "tags" => {
            elb.remove_tags().resource_arns(&live.id).tag_keys("team").send().await.unwrap();
        }
        _ => return Drift::NoRow,
    }
    Drift::Done
}

async fn drift_targets(stage: &Stage, live: &Live, field: &str) -> Drift {
    let elb = stage.elb();
    let attribute = |key: &str, value: &str| {
        let attribute = TargetGroupAttribute::builder().key(key).value(value).build();
        elb.modify_target_group_attributes().target_group_arn(&live.id).attributes(attribute)
    };
    match field {
        "protocol" | "port" | "vpc" | "target_type" | "ip_address_type" => {
            return Drift::Never("ModifyTargetGroup changes health checks only");
        }
        "load_balancer" => return Drift::Never("a listener binds it, which is a field of the listener"),
        "health_check" => {
            let request = elb.modify_target_group().target_group_arn(&live.id);
            request.health_check_port("9999").send().await.unwrap();
        }
        "health_check_timing" => {
            let request = elb.modify_target_group().target_group_arn(&live.id);
            request.health_check_interval_seconds(45).send().await.unwrap();
        }
        "preserve_client_ip" => drop(attribute("preserve_client_ip.enabled", "true").send().await.unwrap()),
        "proxy_protocol" => drop(attribute("proxy_protocol_v2.enabled", "true").send().await.unwrap()),
        "drain" => drop(attribute("deregistration_delay.timeout_seconds", "17").send().await.unwrap()),
        "terminate_after_drain" => {
            drop(
                attribute("deregistration_delay.connection_termination.enabled", "false")
                    .send()
                    .await
                    .unwrap(),
            );
        }
        "targets" => {
            let target = TargetDescription::builder().id("10.0.1.77").port(5432).build();
            elb.register_targets().target_group_arn(&live.id).targets(target).send().await.unwrap();
        }
        "tags" => {
            let tag = Tag::builder().key("team").value("changed").build();
            elb.add_tags().resource_arns(&live.id).tags(tag).send().await.unwrap();
        }
        _ => return Drift::NoRow,
    }
    Drift::Done
}

async fn drift_listener(stage: &Stage, live: &Live, lives: &BTreeMap<String, Live>, field: &str) -> Drift {
    let elb = stage.elb();
    match field {
        "load_balancer" => return Drift::Never("a listener stays with its load balancer"),
        "port" => {
            return Drift::Never(
                "its address says it: on another port it is another listener, and this one is missing",
            );
        }
        "protocol" => {
            return Drift::Never(
                "going to TLS takes the idle timeout along: `aws_drift_sweep` changes a listener that has none",
            );
        }
        "certificate" => {
            let other = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-1234-1234-1234-123456789012";
            let certificate = Certificate::builder().certificate_arn(other).build();
            let sent = elb.modify_listener().listener_arn(&live.id).certificates(certificate).send().await;
            if sent.is_err() {
                return Drift::Never("the default world has one certificate");
            }
        }
        "ssl_policy" => {
            let request =
                elb.modify_listener().listener_arn(&live.id).ssl_policy("ELBSecurityPolicy-2016-08");
            request.send().await.unwrap();
        }
        "target_group" => {
            let vpc = lives["target-group/5432"].fields["vpc"].as_text().unwrap().to_owned();
            let request =
                elb.create_target_group().name("somebody-elses").protocol(ProtocolEnum::Tcp).port(9);
            let made = request.vpc_id(vpc).send().await.unwrap();
            let arn = made.target_groups()[0].target_group_arn().unwrap();
            let action = Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(arn).build();
            elb.modify_listener().listener_arn(&live.id).default_actions(action).send().await.unwrap();
        }
        "also_forwards_to" => {
            let vpc = lives["target-group/5432"].fields["vpc"].as_text().unwrap().to_owned();
            let request =
                elb.create_target_group().name("somebodys-share").protocol(ProtocolEnum::Tcp).port(9);
            let made = request.vpc_id(vpc).send().await.unwrap();
            let theirs = made.target_groups()[0].target_group_arn().unwrap();
            let tuple = |arn: &str| TargetGroupTuple::builder().target_group_arn(arn).weight(1).build();
            let groups = vec![tuple(live.fields["target_group"].as_text().unwrap()), tuple(theirs)];
            let config = ForwardActionConfig::builder().set_target_groups(Some(groups)).build();
            let action = Action::builder().r#type(ActionTypeEnum::Forward).forward_config(config).build();
            elb.modify_listener().listener_arn(&live.id).default_actions(action).send().await.unwrap();
        }
        "idle_timeout" => {
            let attribute = ListenerAttribute::builder().key("tcp.idle_timeout.seconds").value("61").build();
            elb.modify_listener_attributes()
                .listener_arn(&live.id)
                .attributes(attribute)
                .send()
                .await
                .unwrap();
        }
        "tags" => {
            elb.remove_tags().resource_arns(&live.id).tag_keys("team").send().await.unwrap();
        }
        _ => return Drift::NoRow,
    }
    Drift::Done
}

fn changed(plan: &Plan) -> Vec<String> {
    let updates = plan.actions.iter().filter(|action| action.op == Op::Update);
    updates
        .flat_map(|a| {
            a.changes.iter().map(move |c| format!("{}/{}.{}", a.address.kind, a.address.name, c.field))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_that_is_changed_by_hand_is_named_and_put_back() {
    let stage = Stage::open().await;
    let spec = file();
    stage.apply(&spec).await;
    // Waiting requests would keep the subnets where they are.
    for connection in stage.until_pending(&spec, "orders", 2).await {
        stage.reject(&spec, &connection.id, false).await;
    }
    let mine = ["security-group", "security-group-rule", "load-balancer", "target-group", "listener"];
    let provider = stage.provider();
    let (mut done, mut never) = (0, 0);
    for kind in provider.handles().kinds.iter().filter(|kind| mine.contains(&kind.name)) {
        for field in kind.fields.iter().filter(|field| field.class != Class::Observed) {
            let lives = lives(&stage, &spec).await;
            match drift(&stage, &lives, kind.name, field.name).await {
                Drift::Done => done += 1,
                Drift::Never(why) => {
                    println!("{}.{}: {why}", kind.name, field.name);
                    never += 1;
                    continue;
                }
                Drift::NoRow => panic!("{}.{} has no row", kind.name, field.name),
            }
            let plan = stage::until("the change shows", || async {
                let plan = stage.plan(&spec).await;
                (!plan.is_empty()).then_some(plan)
            })
            .await;
            let subject = subject_of(kind.name, field.name);
            if field.change == Change::Replace {
                let made: Vec<_> = plan.actions.iter().filter(|action| action.op == Op::Create).collect();
                assert_eq!(made.len(), 1, "{:#?}", plan.actions);
                assert_eq!(made[0].reason, format!("{} cannot be changed in place", field.name));
                assert!(made[0].id.starts_with(&format!("create orders/{subject}@")), "{:#?}", plan.actions);
            } else {
                assert_eq!(changed(&plan), [format!("{subject}.{}", field.name)], "{:#?}", plan.actions);
                assert_eq!(plan.actions.len(), 1, "{:#?}", plan.actions);
            }
            stage.apply(&spec).await;
            stage.assert_settled(&spec).await;
        }
    }
    println!("{done} fields were changed and put back; {never} cannot change by themselves");
    assert!(done >= 22, "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_managed_is_left_alone() {
    let stage = Stage::open().await;
    let spec = file();
    stage.apply(&spec).await;
    let lives = lives(&stage, &spec).await;
    let (ec2, elb) = (stage.ec2(), stage.elb());
    for id in
        ["security-group/main", "security-group-rule/inbound/5432/10.0.0.0/8"].map(|name| &lives[name].id)
    {
        let tag = Ec2Tag::builder().key("foreign").value("x").build();
        ec2.create_tags().resources(id).tags(tag).send().await.unwrap();
    }
    for arn in ["load-balancer/main", "target-group/5432", "listener/5432"].map(|name| &lives[name].id) {
        let tag = Tag::builder().key("foreign").value("x").build();
        elb.add_tags().resource_arns(arn).tags(tag).send().await.unwrap();
    }
    let attribute = LoadBalancerAttribute::builder()
        .key("dns_record.client_routing_policy")
        .value("availability_zone_affinity");
    let request = elb.modify_load_balancer_attributes().load_balancer_arn(&lives["load-balancer/main"].id);
    request.attributes(attribute.build()).send().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    stage.assert_settled(&spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_added_to_our_group_and_a_missing_one_are_mended() {
    let stage = Stage::open().await;
    let spec = file();
    stage.apply(&spec).await;
    let lives = lives(&stage, &spec).await;
    let group = &lives["security-group/main"].id;
    let ec2 = stage.ec2();
    let open = IpPermission::builder().ip_protocol("tcp").from_port(1).to_port(65535);
    let open = open.ip_ranges(IpRange::builder().cidr_ip("0.0.0.0/0").build()).build();
    ec2.authorize_security_group_ingress().group_id(group).ip_permissions(open).send().await.unwrap();
    let database = lives.values().find(|live| live.address.name.starts_with("database/")).unwrap();
    let request =
        ec2.revoke_security_group_ingress().group_id(ANOTHER_GROUP).security_group_rule_ids(&database.id);
    request.send().await.unwrap();
    let plan = stage::until("the changes show", || async {
        let plan = stage.plan(&spec).await;
        (plan.actions.len() == 2).then_some(plan)
    })
    .await;
    let ops: Vec<_> = plan.actions.iter().map(|action| action.op).collect();
    assert_eq!(ops, [Op::Create, Op::Delete], "{:#?}", plan.actions);
    stage.apply(&spec).await;
    stage.assert_settled(&spec).await;
}
