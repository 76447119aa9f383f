//! How many requests, and how many of them one after the other, work on Azure takes: counted from the record.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test, which says what it counted"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use privnet::{Plan, PlanOptions, Session};
use privnet_integration_tests::proxy::{Exchange, Proxy};
use privnet_integration_tests::rounds::{longest_way, rounds};
use privnet_integration_tests::stage::{Stage, spec};

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

/// A service over forwarders.
fn forwarded() -> String {
    format!(
        "{HEAD}  - name: orders
    allow: {{ acme: {{}} }}
    azure:
      nat_subnet: {{ create: {{ cidr: 10.1.9.0/28 }} }}
      forwarder: {{ subnets: [fwd], size: Standard_D2s_v5 }}
      ports: [{{ listen: 1433, engine: sqlserver, to: {{ forwarder: {{ ip: 172.16.4.20 }} }} }}]
"
    )
}

async fn through(stage: &Stage, text: &str) -> (Proxy, Session) {
    let proxy = Proxy::start(&stage.url("azure"), Vec::new()).await.unwrap();
    let session = stage.session_at(spec(text).unwrap(), |endpoints| endpoints.azure = proxy.url()).unwrap();
    (proxy, session)
}

/// The segment of an id that tells the kind.
fn segment(kind: &str) -> &'static str {
    match kind {
        "nat-subnet" => "/subnets/",
        "network-security-group" => "/networkSecurityGroups/",
        "load-balancer" => "/loadBalancers/",
        "scale-set" => "/virtualMachineScaleSets/",
        "private-link-service" => "/privateLinkServices/",
        other => panic!("nothing is known of {other}"),
    }
}

/// The requests by which each action's resource came about, up to its last write: what comes after shows that it is provisioned.
fn own_requests(plan: &Plan, exchanges: &[Exchange]) -> BTreeMap<String, Vec<Exchange>> {
    let mut own = BTreeMap::new();
    for action in &plan.actions {
        let of = |exchange: &&Exchange| exchange.action.contains(segment(&action.address.kind));
        let all: Vec<Exchange> = exchanges.iter().filter(of).cloned().collect();
        let last =
            all.iter().rposition(|exchange| exchange.action.starts_with("PUT ")).expect("it was written");
        own.insert(action.id.clone(), all[..=last].to_vec());
    }
    own
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_apply_takes_seven_rounds_besides_provisioning() {
    let stage = Stage::open_with(None, |options| {
        options.latency = Duration::from_millis(30);
        options.speed = Some(200.0);
    })
    .await
    .unwrap();
    let (proxy, session) = through(&stage, &forwarded()).await;
    let planned = session.plan(PlanOptions::default()).await;
    let observing = proxy.exchanges();
    let plan = planned.plan.clone();
    let executed = session.execute(planned).await;
    assert!(executed.report.all_done(), "{:?}", executed.report);

    let own = own_requests(&plan, &proxy.exchanges()[observing.len()..]);
    for (id, requests) in &own {
        println!("{id}: {:?}", requests.iter().map(|one| one.action.split(' ').next()).collect::<Vec<_>>());
    }
    let writing = longest_way(&plan, &own);
    assert!(plan.actions.iter().all(|action| own.contains_key(&action.id)));
    let observed = rounds(&observing);
    privnet_integration_tests::tell!(
        "fresh apply: {observed} round(s) of {} reads, and {writing} rounds of writing",
        observing.len()
    );
    assert!(observed + writing <= 7, "{observed} and {writing}");
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

/// A stage that has so many services, which are copies of one that was applied: applying each would take minutes.
async fn stage_of(services: usize) -> Stage {
    let first = Stage::open(None).await.unwrap();
    let session = first.session(spec(&many(1)).unwrap(), &first.url("aws")).unwrap();
    let done = session.apply(PlanOptions::default()).await;
    assert!(done.report.all_done(), "{:?}", done.report);
    let path = first.folder().join("azure.json");
    let mut state: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let resources = state["resources"].as_object_mut().unwrap();
    let names = |index: usize| {
        let service = service(index);
        ["load-balancer", "private-link-service"].map(|kind| cloud_name(&service, kind))
    };
    let originals: Vec<(String, String)> = resources
        .iter()
        .filter(|(key, _)| names(0).iter().any(|name| key.contains(name.as_str())))
        .map(|(key, resource)| (key.clone(), resource.to_string()))
        .collect();
    assert_eq!(
        originals.len(),
        3,
        "a load balancer, a private link service and its interface: {originals:?}"
    );
    for index in 1..services {
        let copied = |text: &str| {
            let pairs = names(0).into_iter().zip(names(index));
            let text = pairs.fold(text.to_owned(), |text, (from, to)| text.replace(&from, &to));
            text.replace(&format!("\"{}\"", service(0)), &format!("\"{}\"", service(index)))
        };
        for (key, resource) in &originals {
            resources.insert(copied(key), serde_json::from_str(&copied(resource)).unwrap());
        }
    }
    std::fs::write(&path, state.to_string()).unwrap();
    Stage::open(Some(first.folder())).await.unwrap()
}

/// The requests of an empty plan of so many services, by their names.
async fn empty_plan(services: usize) -> BTreeMap<String, usize> {
    let stage = stage_of(services).await;
    let (proxy, session) = through(&stage, &many(services)).await;
    let planned = session.plan(PlanOptions::default()).await;
    let plan = planned.plan;
    assert!(plan.is_empty() && plan.refusals.is_empty(), "{:?} {:?}", plan.actions, plan.refusals);
    assert_eq!(planned.world.live.len(), 2 * services);
    let mut counts = BTreeMap::new();
    for action in proxy.actions() {
        *counts.entry(action).or_insert(0) += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_plan_reads_by_pages() {
    const SERVICES: usize = 200;
    /// Entries of a page of ARM's.
    const PAGE: usize = 100;
    let (one, many) = (empty_plan(1).await, empty_plan(SERVICES).await);
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
