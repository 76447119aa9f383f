//! How many requests, and how many of them one after the other, work on Azure takes: counted from the record.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test, which says what it counted"
)]

use privnet_integration_tests::counted::AZURE;
use privnet_integration_tests::rounds::{Many, fresh_apply};

const HEAD: &str = "version: 1
deployment: speed
tags: { sandbox-consumers: none }
consumers:
  acme: { azure: { subscriptions: [11111111-2222-3333-4444-555555555555] } }
defaults:
  azure:
    subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
    resource_group: rg-data
    location: eastus2
    vnet: hub
    load_balancer_subnet: lb
services:
";

/// A service with a NAT subnet of its own, over what these lines say.
fn made(lines: &str) -> String {
    format!(
        "{HEAD}  - name: orders
    allow: {{ acme: {{}} }}
    azure:
      nat_subnet: {{ create: {{ cidr: 10.1.9.0/28 }} }}
{lines}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_apply_takes_seven_rounds_besides_provisioning() {
    let forwarded = made(
        "      forwarder: { subnets: [fwd], size: Standard_D2s_v5 }
      ports: [{ listen: 1433, engine: sqlserver, to: { forwarder: { ip: 172.16.4.20 } } }]
",
    );
    let fresh = fresh_apply(AZURE, &forwarded).await.unwrap();
    assert!(fresh.observing + fresh.writing <= 7, "{fresh:?}");
}

/// An interface of the user's own is written while nothing else under its network is, as the plan read it: one round for each, in the
/// place of the forwarders' one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interface_that_joins_takes_one_round() {
    let joined = made(
        "      join_nics: true
      ports: [{ listen: 5432, engine: postgres, to: { nics: [db-1-nic] } }]
",
    );
    let fresh = fresh_apply(AZURE, &joined).await.unwrap();
    assert!(fresh.observing + fresh.writing <= 7, "{fresh:?}");
}

/// A file of so many services in one NAT subnet that exists.
fn many(services: usize) -> String {
    let mut text = HEAD.to_owned();
    for index in 0..services {
        let name = service(index);
        text.push_str(&format!(
            "  - name: {name}
    allow: {{ acme: {{}} }}
    azure: {{ nat_subnet: {{ existing: nat }}, ports: [{{ listen: 5432, to: {{ nics: [db-1-nic] }} }}] }}
"
        ));
    }
    text
}

fn service(index: usize) -> String {
    format!("s{index:03}")
}

/// The name of a service's resource in the cloud (`pn-<slug>-<hash>-a`, at most 80 characters).
fn cloud_name(service: &str, kind: &str) -> String {
    let hash = privnet_core::name::hash8(&["speed", service, kind, "main"]);
    format!("pn-{service}-{hash}-a")
}

fn names(index: usize) -> Vec<String> {
    ["load-balancer", "private-link-service"].map(|kind| cloud_name(&service(index), kind)).to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_plan_reads_by_pages() {
    const SERVICES: usize = 200;
    /// Entries of a page of ARM's.
    const PAGE: usize = 100;
    let all = Many {
        cloud: AZURE,
        file: many,
        names,
        words: |index| vec![format!("\"{}\"", service(index))],
        // A load balancer, a private link service and its interface.
        resources: 3,
    };
    let (one, many) = (all.empty_plan(1).await.unwrap(), all.empty_plan(SERVICES).await.unwrap());
    privnet_integration_tests::tell!(
        "an empty plan of {SERVICES} private link services: {} requests: {many:#?}",
        many.values().sum::<usize>()
    );
    assert_eq!(
        one.keys().collect::<Vec<_>>(),
        many.keys().collect::<Vec<_>>(),
        "nothing is read by services"
    );
    for (action, count) in &many {
        // The interfaces of all services are in the list of the machines' group, besides two of the machines'.
        let pages = (SERVICES + 2).div_ceil(PAGE);
        assert!(*count <= one[action].max(pages), "{action}: {count}");
    }
}
