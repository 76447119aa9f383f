//! How many requests an empty plan takes: lists by pages, tags by twenties, and a few for each service.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

mod stage;

use privnet_core::conformance::Subject;
use privnet_core::execute::{Context, Events, Settings};
use privnet_core::spec::Spec;
use privnet_core::{ObserveRequest, Purpose};
use stage::{Stage, spec};

/// Where the load balancers send by themselves.
const ADDRESS: &str = "ips: [10.0.0.25]";
/// Where forwarder machines send.
const FORWARDER: &str = "forwarder: { ip: 172.16.4.20 }";

/// With this each listener has a time of its own, and its attributes are read.
const OWN_TIME: &str = "tcp_idle_timeout: 600s, ";

fn file(services: usize, ports: usize, to: &str, setting: &str) -> Spec {
    let ports: Vec<_> = (0..ports).map(|i| format!("{{ listen: {}, to: {{ {to} }} }}", 5432 + i)).collect();
    let ports = ports.join(", ");
    let machines = if to == FORWARDER {
        "forwarder: { subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2], size: t3.small }, "
    } else {
        ""
    };
    let services: String = (0..services)
        .map(|i| {
            format!("  - {{ name: s{i:02}, allow: {{ fivetran: {{}} }}, aws: {{ {machines}{setting}ports: [{ports}] }} }}\n")
        })
        .collect();
    spec(&format!(
        "version: 1
deployment: budget
defaults:
  aws:
    account: \"123456789012\"
    region: us-east-1
    vpc: vpc-0a1b2c3d4e5f60718
    subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
services:
{services}"
    ))
}

async fn calls(stage: &Stage, spec: &Spec, purpose: Purpose) -> u64 {
    let settings = Settings { pace: stage.pace(), ..Settings::default() };
    let context = Context::new(settings, Events::none(), Default::default());
    let services: Vec<_> = spec.services.iter().collect();
    let request = ObserveRequest { spec, services: &services, purpose };
    stage.provider().observe(request, &context).await.unwrap();
    context.calls()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_plan_takes_few_requests() {
    let all = [(12, 1, ADDRESS, ""), (4, 3, ADDRESS, ""), (5, 1, FORWARDER, ""), (4, 3, ADDRESS, OWN_TIME)];
    for (services, ports, to, setting) in all {
        let stage = Stage::open().await;
        let spec = file(services, ports, to, setting);
        stage.apply(&spec).await;
        stage.assert_settled(&spec).await;
        let all = calls(&stage, &spec, Purpose::Plan).await;
        // The caller's identity; load balancers, target groups, services, connections, notifications, groups, rules of groups
        // and by tag, permissions by tag, subnets, VPCs, groups and templates of forwarders, the account's regions: a page of each. Tags of load balancers and target groups, and of listeners.
        // Where forwarders are asked for, also a page of groups and of templates by name, and of the templates' versions.
        let pages = 1 + 14 + if to == FORWARDER { 3 } else { 0 };
        let tags = (services * (1 + ports)).div_ceil(20) + (services * ports).div_ceil(20);
        // For each service its load balancer's attributes and listeners, and its principals; for each port the attributes
        // of its target group, and its targets. A listener's attributes are read where the file asks for a time of its own.
        let each = 3 + if setting == OWN_TIME { 3 } else { 2 } * ports;
        println!("{services} services of {ports} port(s) to {to}, {setting}: {all} requests");
        assert!(all <= (pages + tags + services * each) as u64, "{services} {ports} {to} {setting}: {all}");

        let connections = calls(&stage, &spec, Purpose::Connections).await;
        assert!(connections <= 3, "only services and their connections are read: {connections}");
    }
}
