//! How many requests, and how many of them one after the other, work on GCP takes: counted from the record.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test, which says what it counted"
)]

use privnet_core::name::{self, NameRule};
use privnet_core::{Address, Generation};
use privnet_integration_tests::counted::GCP;
use privnet_integration_tests::rounds::{Many, fresh_apply};

const HEAD: &str = "version: 1
deployment: speed
consumers:
  acme: { gcp: { projects: [acme-reader] } }
defaults:
  gcp: { project: acme-data, region: us-east4, network: prod, subnet: ilb }
services:
";

/// A file of so many services, each of one machine.
fn file(services: usize) -> String {
    let mut text = HEAD.to_owned();
    for index in 0..services {
        text.push_str(&format!(
            "  - name: {}
    allow: {{ acme: {{}} }}
    gcp:
      nat_subnets: [{{ create: {{ cidr: {} }} }}]
      ports: [{{ listen: 5432, engine: postgres, to: {{ instances: [zones/us-east4-b/instances/db-1] }} }}]
",
            service(index),
            range(index)
        ));
    }
    text
}

fn service(index: usize) -> String {
    format!("s{index:03}")
}

fn range(index: usize) -> String {
    format!("10.8.{index}.0/28")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_apply_takes_seven_rounds_besides_operations() {
    let fresh = fresh_apply(GCP, &file(1)).await.unwrap();
    assert!(fresh.observing + fresh.writing <= 7, "{fresh:?}");
}

/// The names in the cloud of all that a service has.
fn names(index: usize) -> Vec<String> {
    let subnet = range(index).replace('/', "-");
    let all = [
        ("nat-subnet", subnet.as_str()),
        ("firewall-rule", "clients"),
        ("firewall-rule", "probers"),
        ("health-check", "main"),
        ("endpoint-group", "us-east4-b-ilb"),
        ("backend-service", "main"),
        ("forwarding-rule", "main"),
        ("service-attachment", "main"),
    ];
    let derived = |(kind, of): (&'static str, &str)| {
        let address = Address::new(service(index), kind, of);
        name::derived("speed", &address, Generation::A, NameRule { max: 63 })
    };
    all.into_iter().map(derived).collect()
}

/// What else tells a service from another one.
fn words(index: usize) -> Vec<String> {
    let (service, range) = (service(index), range(index));
    vec![format!("service={service}"), format!("\"{service}\""), range.replace('/', "-"), range]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_plan_reads_by_pages_and_once_for_each_group() {
    const SERVICES: usize = 200;
    let all = Many { cloud: GCP, file, names, words, resources: names(0).len() };
    let (one, many) = (all.empty_plan(1).await.unwrap(), all.empty_plan(SERVICES).await.unwrap());
    privnet_integration_tests::tell!(
        "an empty plan of {SERVICES} services: {} requests: {many:#?}",
        many.values().sum::<usize>()
    );
    assert_eq!(
        one.keys().collect::<Vec<_>>(),
        many.keys().collect::<Vec<_>>(),
        "nothing is read by services"
    );
    for (method, count) in &many {
        // A page has 500 entries, and there are two firewall rules of each service: one page of everything does.
        let most =
            if method == "networkEndpointGroups.listNetworkEndpoints" { SERVICES } else { one[method] };
        assert!(*count <= most, "{method}: {count}");
    }
}
