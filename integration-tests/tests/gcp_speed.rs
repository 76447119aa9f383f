//! How many requests, and how many of them one after the other, work on GCP takes: counted from the record.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test, which says what it counted"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use privnet::{Plan, PlanOptions, Session};
use privnet_core::name::{self, NameRule};
use privnet_core::{Address, Generation};
use privnet_integration_tests::gcp::Called;
use privnet_integration_tests::proxy::{Exchange, Proxy};
use privnet_integration_tests::rounds::{longest_way, rounds};
use privnet_integration_tests::stage::{Stage, spec};

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

async fn through(stage: &Stage, text: &str) -> (Proxy, Session) {
    let proxy = Proxy::start(&stage.url("gcp"), Vec::new()).await.unwrap();
    let session = stage.session_at(spec(text).unwrap(), |endpoints| endpoints.gcp = proxy.url()).unwrap();
    (proxy, session)
}

fn called(action: &str) -> Called {
    let (method, path) = action.split_once(' ').unwrap();
    Called::of(method, path).unwrap_or_else(|| panic!("what is {action}?"))
}

/// The collection of a kind.
fn collection(kind: &str) -> &'static str {
    match kind {
        "nat-subnet" => "subnetworks",
        "firewall-rule" => "firewalls",
        "health-check" => "regionHealthChecks",
        "endpoint-group" => "networkEndpointGroups",
        "backend-service" => "regionBackendServices",
        "forwarding-rule" => "forwardingRules",
        "service-attachment" => "serviceAttachments",
        other => panic!("nothing is known of {other}"),
    }
}

/// The requests by which each action's resource came about, up to its last write: what comes after shows that it is there. Both firewall
/// rules have those of both.
fn own_requests(plan: &Plan, exchanges: &[Exchange]) -> BTreeMap<String, Vec<Exchange>> {
    let own = plan.actions.iter().map(|action| {
        let wanted = collection(&action.address.kind);
        let of = |exchange: &&Exchange| called(&exchange.action).collection == wanted;
        let all: Vec<Exchange> = exchanges.iter().filter(of).cloned().collect();
        let last =
            all.iter().rposition(|exchange| called(&exchange.action).writes()).expect("it was written");
        (action.id.clone(), all[..=last].to_vec())
    });
    own.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_apply_takes_seven_rounds_besides_operations() {
    let stage = Stage::open_with(None, |options| {
        options.latency = Duration::from_millis(30);
        options.speed = Some(200.0);
    })
    .await
    .unwrap();
    let (proxy, session) = through(&stage, &file(1)).await;
    let planned = session.plan(PlanOptions::default()).await;
    let observing = proxy.exchanges();
    let plan = planned.plan.clone();
    let executed = session.execute(planned).await;
    assert!(executed.report.all_done(), "{:?}", executed.report);

    let own = own_requests(&plan, &proxy.exchanges()[observing.len()..]);
    for (id, requests) in &own {
        println!("{id}: {:?}", requests.iter().map(|one| called(&one.action).method()).collect::<Vec<_>>());
    }
    let (observed, writing) = (rounds(&observing), longest_way(&plan, &own));
    privnet_integration_tests::tell!(
        "fresh apply: {observed} round(s) of {} reads, and {writing} rounds of writing",
        observing.len()
    );
    assert!(observed + writing <= 7, "{observed} and {writing}");
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
    let derived = |(kind, of): (&str, &str)| {
        let address = Address::new(service(index), kind, of);
        name::derived("speed", &address, Generation::A, NameRule { max: 63 })
    };
    all.into_iter().map(derived).collect()
}

/// A stage that has so many services, which are copies of one that was applied: applying each would take minutes.
async fn stage_of(services: usize) -> Stage {
    let first = Stage::open(None).await.unwrap();
    let session = first.session(spec(&file(1)).unwrap(), &first.url("aws")).unwrap();
    let done = session.apply(PlanOptions::default()).await;
    assert!(done.report.all_done(), "{:?}", done.report);
    let path = first.folder().join("gcp.json");
    let mut state: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let resources = state["resources"].as_object_mut().unwrap();
    let originals: Vec<(String, String)> = resources
        .iter()
        .filter(|(key, _)| names(0).iter().any(|name| key.ends_with(&format!("/{name}"))))
        .map(|(key, resource)| (key.clone(), resource.to_string()))
        .collect();
    assert_eq!(originals.len(), names(0).len(), "{originals:#?}");
    for index in 1..services {
        let mut pairs: Vec<(String, String)> = names(0).into_iter().zip(names(index)).collect();
        let (was, is) = (service(0), service(index));
        pairs.push((format!("service={was}"), format!("service={is}")));
        pairs.push((format!("\"{was}\""), format!("\"{is}\"")));
        pairs.push((range(0), range(index)));
        pairs.push((range(0).replace('/', "-"), range(index).replace('/', "-")));
        let copied =
            |text: &str| pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
        for (key, resource) in &originals {
            resources.insert(copied(key), serde_json::from_str(&copied(resource)).unwrap());
        }
    }
    std::fs::write(&path, state.to_string()).unwrap();
    Stage::open(Some(first.folder())).await.unwrap()
}

/// The requests of an empty plan of so many services, by their methods.
async fn empty_plan(services: usize) -> BTreeMap<String, usize> {
    let stage = stage_of(services).await;
    let (proxy, session) = through(&stage, &file(services)).await;
    let planned = session.plan(PlanOptions::default()).await;
    let plan = planned.plan;
    assert!(plan.is_empty() && plan.refusals.is_empty(), "{:?} {:?}", plan.actions, plan.refusals);
    assert_eq!(planned.world.live.len(), names(0).len() * services);
    let mut counts = BTreeMap::new();
    for action in proxy.actions() {
        *counts.entry(called(&action).method()).or_insert(0) += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_plan_reads_by_pages_and_once_for_each_group() {
    const SERVICES: usize = 200;
    let (one, many) = (empty_plan(1).await, empty_plan(SERVICES).await);
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
