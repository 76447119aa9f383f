//! The core's suite on this provider: convergence, interruptions, edits and their undoing, concurrent applies, acceptance.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod stage;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use privnet_core::Provider;
use privnet_core::conformance::{self, Subject, Variant};
use privnet_core::spec::Spec;
use stage::{Stage, spec};
use tokio::sync::OnceCell;

/// A stage that is looked at as a whole.
struct Whole {
    stage: Stage,
    /// What the default world has.
    before: OnceCell<BTreeSet<String>>,
}

impl Whole {
    async fn everything(&self) -> BTreeSet<String> {
        let (ec2, elb) = (self.stage.ec2(), self.stage.elb());
        let mut ids = BTreeSet::new();
        let groups = ec2.describe_security_groups().send().await.unwrap();
        ids.extend(groups.security_groups().iter().filter_map(|group| group.group_id().map(str::to_owned)));
        let rules = ec2.describe_security_group_rules().send().await.unwrap();
        ids.extend(
            rules
                .security_group_rules()
                .iter()
                .filter_map(|rule| rule.security_group_rule_id().map(str::to_owned)),
        );
        let services = ec2.describe_vpc_endpoint_service_configurations().send().await.unwrap();
        ids.extend(
            services
                .service_configurations()
                .iter()
                .filter_map(|service| service.service_id().map(str::to_owned)),
        );
        let balancers = elb.describe_load_balancers().send().await.unwrap();
        ids.extend(
            balancers
                .load_balancers()
                .iter()
                .filter_map(|balancer| balancer.load_balancer_arn().map(str::to_owned)),
        );
        let groups = elb.describe_target_groups().send().await.unwrap();
        ids.extend(
            groups.target_groups().iter().filter_map(|group| group.target_group_arn().map(str::to_owned)),
        );
        let templates = ec2.describe_launch_templates().send().await.unwrap();
        ids.extend(
            templates.launch_templates().iter().filter_map(|one| one.launch_template_id().map(str::to_owned)),
        );
        let groups = self.stage.auto_scaling().describe_auto_scaling_groups().send().await.unwrap();
        ids.extend(
            groups
                .auto_scaling_groups()
                .iter()
                .filter_map(|group| group.auto_scaling_group_name().map(str::to_owned)),
        );
        for balancer in balancers.load_balancers() {
            let listeners =
                elb.describe_listeners().set_load_balancer_arn(balancer.load_balancer_arn.clone());
            let listeners = listeners.send().await.unwrap();
            ids.extend(
                listeners
                    .listeners()
                    .iter()
                    .filter_map(|listener| listener.listener_arn().map(str::to_owned)),
            );
        }
        ids
    }
}

#[async_trait]
impl Subject for Whole {
    async fn reset(&self) {
        self.stage.reset().await;
        self.before.get_or_init(|| self.everything()).await;
    }

    fn provider(&self) -> Arc<dyn Provider> {
        self.stage.provider()
    }

    fn pace(&self) -> f64 {
        self.stage.pace()
    }

    fn base(&self) -> Spec {
        file(IPS, "", "")
    }

    fn edits(&self) -> Vec<Variant> {
        let edit =
            |name, ports: &str, block: &str, top: &str| Variant { name, spec: file(ports, block, top) };
        let port = |rest: &str| format!("{{ listen: 5432, engine: postgres, {rest} }}");
        vec![
            edit("another target port", &port("port: 5433, to: { ips: [10.0.0.25] }"), "", ""),
            edit("another target", &port("to: { ips: [10.0.1.26] }"), "", ""),
            edit("two targets", &port("to: { ips: [10.0.0.25, 10.0.1.26] }"), "", ""),
            edit("an address outside the VPC", &port("to: { ips: [192.168.7.7] }"), "", ""),
            edit("instances", &port("to: { instances: [i-0123456789abcdef0] }"), "", ""),
            edit(
                "another health check",
                &port("to: { ips: [10.0.0.25] }, health_check: { port: 8080, http: /up, interval: 30s }"),
                "",
                "",
            ),
            edit("a second port", &format!("{IPS}, {{ listen: 3306, to: {{ ips: [10.0.1.26] }} }}"), "", ""),
            edit(
                "TLS",
                &format!(
                    "{{ listen: 5432, engine: postgres, tls: {{ certificate: \"{CERTIFICATE}\" }}, to: {{ ips: [10.0.0.25] }} }}"
                ),
                "",
                "",
            ),
            edit(
                "an application load balancer",
                &format!("{{ listen: 5432, port: 80, to: {{ alb: \"{ALB}\" }} }}"),
                "",
                "",
            ),
            edit("forwarders", FORWARDED, MACHINES, ""),
            edit(
                "forwarders beside targets",
                &format!(
                    "{IPS}, {{ listen: 3306, engine: mysql, to: {{ forwarder: {{ dns: db.corp.example }} }} }}"
                ),
                MACHINES,
                "",
            ),
            edit("no cross-zone", IPS, "cross_zone: false", ""),
            edit(
                "enforced inbound rules",
                IPS,
                "enforce_inbound: { cidrs: [10.0.0.0/8, 192.168.0.0/16] }",
                "",
            ),
            edit("no database group", IPS, "database_security_groups: []", ""),
            edit("PROXY protocol", IPS, "proxy_protocol: true", ""),
            edit("other times", IPS, "drain: 60s\ntcp_idle_timeout: 600s", ""),
            edit("tags", IPS, "", "tags: { owner: me, \"cost center\": \"4711\" }"),
        ]
    }

    async fn raise_requests(&self) {
        self.stage.until_pending(&self.base(), "orders", 2).await;
    }

    async fn hold_requests(&self) {
        self.stage.hold_requests().await;
    }

    async fn census(&self) -> Vec<String> {
        let before = self.before.get_or_init(|| self.everything()).await;
        self.everything().await.difference(before).cloned().collect()
    }
}

const FORWARDED: &str = "{ listen: 5432, engine: postgres, to: { forwarder: { ip: 172.16.4.20 } } }";
const MACHINES: &str = "forwarder: { subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2], size: t3.small, drain: 60s }";
const IPS: &str = "{ listen: 5432, engine: postgres, to: { ips: [10.0.0.25] } }";
const CERTIFICATE: &str =
    "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012";
const ALB: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/web/abcdef0123456789";

/// One service with these ports, these lines in its block, and these at the top. A line of the block that the defaults have
/// takes its place.
fn file(ports: &str, block: &str, top: &str) -> Spec {
    let mut lines = vec!["database_security_groups: [sg-0ddddddddddddddd4]"];
    lines.retain(|line| !block.contains(line.split(':').next().unwrap()));
    lines.extend(block.lines());
    let lines: String = lines.iter().map(|line| format!("      {line}\n")).collect();
    spec(&format!(
        "version: 1
deployment: whole
{top}
defaults:
  aws:
    account: \"123456789012\"
    region: us-east-1
    vpc: vpc-0a1b2c3d4e5f60718
    subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
services:
  - name: orders
    allow: {{ fivetran: {{}} }}
    aws:
      ports: [{ports}]
{lines}"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes() {
    let whole = Whole { stage: Stage::open().await, before: OnceCell::new() };
    let checks = conformance::run(&whole).await;
    assert_eq!(checks.len(), 6, "{checks:?}");
}
