//! Services in several places: one that moves to another region, what an interrupted run left going there, several projects in one
//! file, and the host project of a shared network.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod stage;

use std::collections::BTreeSet;

use privnet_core::accept::ConnectionState;
use privnet_core::plan::{PlanOptions, Rule};
use privnet_core::spec::Spec;
use privnet_core::{Purpose, Value};
use stage::{ONE, Stage, made, spec};

const DESTROY: PlanOptions = PlanOptions { prune: false, sever_connections: false, destroy: true };
const SEVER: PlanOptions = PlanOptions { prune: false, sever_connections: true, destroy: true };

/// A lone service in this region, behind this machine, for colleagues.
fn lone(region: &str, machine: &str, cidr: &str) -> Spec {
    let ports = format!("{{ listen: 5432, to: {{ instances: [{machine}] }} }}");
    spec(&format!(
        "version: 1
deployment: stage
consumers: {{ acme: {{ gcp: {{ projects: [acme-reader] }} }} }}
defaults:
  gcp: {{ project: acme-data, region: {region}, network: prod, subnet: ilb }}
services:
  - name: orders
    allow: {{ acme: {{}} }}
    acceptance: automatic
    gcp:
      nat_subnets: [{{ create: {{ cidr: {cidr} }} }}]
      ports: [{ports}]
"
    ))
}

fn east() -> Spec {
    lone("us-east4", "zones/us-east4-b/instances/db-1", "10.8.0.0/24")
}

fn central() -> Spec {
    lone("us-central1", "zones/us-central1-a/instances/db-central", "10.8.5.0/24")
}

/// Whom the firewall rule of the service lets in.
async fn sources(stage: &Stage, spec: &Spec) -> Value {
    let live = stage.world(spec).await.live;
    let rule =
        live.into_iter().find(|one| one.address.kind == "firewall-rule" && one.address.name == "clients");
    rule.unwrap().fields["sources"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_service_does_not_move_and_its_old_place_keeps_what_it_needs() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    stage.apply(&east()).await;
    let id = stage.connect("orders", "acme-reader")["connection"].as_str().unwrap().to_owned();
    let live = |state| {
        let id = id.clone();
        move |one: &privnet_core::accept::Connection| one.id == id && one.state == state
    };
    stage::until("it is let in", || async {
        stage.connections(&east(), "orders").await.iter().any(live(ConnectionState::Accepted)).then_some(())
    })
    .await;
    let (there, open_to) = (stage.everything().await, sources(&stage, &east()).await);

    let sever = PlanOptions { sever_connections: true, ..PlanOptions::default() };
    for options in [PlanOptions::default(), sever] {
        let (plan, report) = stage.driver().apply(&central(), options).await;
        assert!(plan.is_empty() && report.outcomes.is_empty(), "{plan:#?}");
        let why: Vec<_> = plan.refusals.iter().map(|one| (one.rule, one.why.as_str())).collect();
        assert!(
            why.iter().any(|(rule, why)| *rule == Rule::HandOver
                && why.contains("us-east4")
                && why.contains("us-central1")),
            "{why:?}"
        );
    }
    assert_eq!(stage.everything().await, there);
    assert_eq!(sources(&stage, &east()).await, open_to);
    // Who is connected at the old place is seen from the new one.
    assert!(stage.connections(&central(), "orders").await.iter().any(live(ConnectionState::Accepted)));
    let (plan, _) = stage.driver().apply(&central(), DESTROY).await;
    assert!(plan.is_empty() && plan.refusals.iter().any(|one| one.why.contains(&id)), "{plan:#?}");
    stage.assert_settled(&east()).await;

    // What lies at the old place is found from the new one.
    stage.apply_with(&central(), SEVER).await;
    assert_eq!(stage.everything().await, before);
    stage.apply(&central()).await;
    stage.assert_settled(&central()).await;
    stage.apply_with(&east(), SEVER).await;
    let left = stage.world(&central()).await.live;
    assert!(left.iter().all(|live| !live.is_ours()), "{left:#?}");
}

/// How many operations of ours that were not done an `aggregatedList` in this record has shown.
fn shown_unfinished(record: &std::path::Path) -> usize {
    let text = std::fs::read_to_string(record).unwrap();
    // While the server writes, the last line may be there in part.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let exchanges = whole.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let lists = exchanges.filter(|one| one["path"].as_str().unwrap().contains("/aggregated/operations"));
    lists.map(|one| one["response"].to_string().matches("clientOperationId").count()).sum()
}

/// What is there, by where it is: what was made anew has another id.
fn links(all: &BTreeSet<String>) -> BTreeSet<String> {
    let link = |one: &String| serde_json::from_str::<serde_json::Value>(one).unwrap()["selfLink"].to_string();
    all.iter().map(link).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_right_after_an_interrupted_destroy_ends_with_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let stage = Stage::open_with(|options| options.record = Some(record.clone())).await;
    let spec = made(ONE, "", "");
    stage.apply(&spec).await;
    let there = links(&stage.everything().await);
    // It ends when something has been told to go, and is still there: the attachment first, then what was behind it too.
    for waits in [1, 3] {
        stage.fault(&format!("gcp:regionOperations.wait:{waits}+:code=forbidden"));
        stage.set_speed(if waits == 1 { 1.0 } else { 20.0 });
        let (plan, report) = stage.driver().apply(&spec, DESTROY).await;
        assert!(plan.refusals.is_empty() && !report.all_done(), "{plan:#?}");
        stage.heal();
        let shown = shown_unfinished(&record);
        // Time goes slowly until the apply has seen what is still under way.
        let goes_on = async {
            let seen = || async { (shown_unfinished(&record) > shown).then_some(()) };
            stage::until("it sees what is under way", seen).await;
            stage.set_speed(1_000.0);
        };
        tokio::join!(stage.apply(&spec), goes_on);
        stage.assert_settled(&spec).await;
        // Whatever still ran would have ended by now.
        stage.advance(600);
        stage.assert_settled(&spec).await;
        assert_eq!(links(&stage.everything().await), there);
    }
}

/// A service of a file in this project, with these lines in its block.
fn service(name: &str, project: &str, block: &str) -> String {
    format!(
        "  - name: {name}\n    allow: {{ fivetran: {{}} }}\n    gcp:\n      project: {project}\n      subnet: ilb\n{block}"
    )
}

/// The lines of a service behind a machine, in a network of this host project.
fn block(network: &str, host: &str, cidr: &str, machine: &str) -> String {
    format!(
        "      host_project: {host}\n      network: {network}\n      nat_subnets: [{{ create: {{ cidr: {cidr} }} }}]\n      \
         ports: [{{ listen: 5432, to: {{ instances: [{machine}] }} }}]\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn several_projects_and_the_host_of_a_shared_network_in_one_file() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    let own = "projects/acme-data/zones/us-east4-b/instances/db-1";
    let hosted = "projects/acme-data/zones/us-east4-b/instances/db-hosted";
    let services = [
        service("plain", "acme-data", &block("prod", "acme-data", "10.8.0.0/28", own)),
        service("hosted", "acme-data", &block("shared", "acme-net", "10.8.1.0/28", hosted)),
        service(
            "tight",
            "acme-tiny",
            "      network: prod\n      nat_subnets: [{ create: { cidr: 10.8.2.0/28 } }]\n      \
             forwarder: { subnets: [ilb], size: e2-small }\n      \
             ports: [{ listen: 3306, engine: mysql, to: { forwarder: { ip: 10.90.0.3 } } }]\n",
        ),
    ];
    let text = format!(
        "version: 1\ndeployment: stage\ndefaults: {{ gcp: {{ region: us-east4 }} }}\nservices:\n{}",
        services.concat()
    );
    let all = spec(&text);
    stage.apply(&all).await;
    stage.assert_settled(&all).await;
    let world = stage.driver().observe(&all, Purpose::Plan).await.1;
    let ids: BTreeSet<_> = world.live.iter().map(|live| live.id.as_str()).collect();
    assert_eq!(ids.len(), world.live.len(), "something is seen twice");
    let asked = stage.connect("plain", "acme-reader");
    let seen = stage.driver().observe(&all, Purpose::Status).await.1;
    let plain = &seen.services["plain"];
    let count = plain.connections.known().iter().filter(|one| asked["connection"] == one.id.as_str()).count();
    assert_eq!((count, plain.targets.len()), (1, 1), "{plain:#?}");
    let rules = ids.iter().filter(|id| id.contains("/firewalls/")).map(|id| id.split('/').nth(1).unwrap());
    assert_eq!(
        rules.collect::<Vec<_>>(),
        ["acme-data", "acme-data", "acme-net", "acme-net", "acme-tiny", "acme-tiny"]
    );
    stage.apply_with(&all, SEVER).await;
    let left = stage.world(&all).await.live;
    assert!(left.iter().all(|live| !live.is_ours()), "{left:#?}");
    assert_eq!(stage.everything().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_project_with_networks_of_two_hosts_in_two_regions_settles() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    let plain = "projects/acme-data/zones/us-central1-a/instances/db-central";
    let hosted = "projects/acme-data/zones/us-east4-b/instances/db-hosted";
    let services = [
        service(
            "plain",
            "acme-data",
            &format!("      region: us-central1\n{}", block("prod", "acme-data", "10.8.5.0/28", plain)),
        ),
        service(
            "hosted",
            "acme-data",
            &format!("      region: us-east4\n{}", block("shared", "acme-net", "10.8.1.0/28", hosted)),
        ),
    ];
    let both = spec(&format!("version: 1\ndeployment: stage\nservices:\n{}", services.concat()));
    stage.apply(&both).await;
    stage.assert_settled(&both).await;
    // What is at the machines is read at the place itself.
    let seen = stage.driver().observe(&both, Purpose::Status).await.1;
    for name in ["plain", "hosted"] {
        assert_eq!(seen.services[name].targets.len(), 1, "{:#?}", seen.services[name]);
    }
    stage.apply_with(&both, SEVER).await;
    let left = stage.world(&both).await.live;
    assert!(left.iter().all(|live| !live.is_ours()), "{left:#?}");
    assert_eq!(stage.everything().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_may_not_be_read_names_its_permission() {
    let stage = Stage::open().await;
    for (call, permission) in [
        ("serviceAttachments.aggregatedList", "compute.serviceAttachments.list"),
        ("globalOperations.aggregatedList", "compute.globalOperations.list"),
        ("backendServices.aggregatedList", "compute.backendServices.list"),
    ] {
        stage.fault(&format!("gcp:{call}:1+:code=forbidden"));
        let error = stage.try_observe(&east()).await.expect_err("nothing can be read");
        assert!(error.hints().iter().any(|hint| hint.contains(permission)), "{:?}", error.hints());
        stage.heal();
    }
}

/// The same service in a network of its own project, and in one of the host project's.
fn in_either_network() -> [Spec; 2] {
    let file = |block: &str| {
        let services = service("orders", "acme-data", block);
        spec(&format!(
            "version: 1\ndeployment: stage\ndefaults: {{ gcp: {{ region: us-east4 }} }}\nservices:\n{services}"
        ))
    };
    let own = "projects/acme-data/zones/us-east4-b/instances/db-1";
    let hosted = "projects/acme-data/zones/us-east4-b/instances/db-hosted";
    [
        file(&block("prod", "acme-data", "10.8.0.0/28", own)),
        file(&block("shared", "acme-net", "10.8.0.0/28", hosted)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_does_not_move_to_another_network_and_is_destroyed_whole() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    let [own, hosted] = in_either_network();
    for (old, new) in [(&own, &hosted), (&hosted, &own)] {
        stage.apply(old).await;
        let ids = |world: privnet_core::World| -> BTreeSet<String> {
            world.live.into_iter().filter(privnet_core::Live::is_ours).map(|live| live.id).collect()
        };
        let there = ids(stage.world(old).await);
        assert_eq!(ids(stage.world(new).await), there, "all of it is found from the edited file");
        let sever = PlanOptions { sever_connections: true, ..PlanOptions::default() };
        for options in [PlanOptions::default(), sever] {
            let (plan, report) = stage.driver().apply(new, options).await;
            assert!(plan.is_empty() && report.outcomes.is_empty(), "{plan:#?}");
            let why: Vec<_> = plan.refusals.iter().map(|one| one.why.as_str()).collect();
            assert!(why.iter().any(|why| why.contains("does not move to another network")), "{why:?}");
        }
        stage.assert_settled(old).await;
        stage.apply_with(new, SEVER).await;
        assert_eq!(ids(stage.world(old).await), BTreeSet::new());
        assert_eq!(stage.everything().await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_former_project_of_networks_that_is_gone_stops_nothing() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    let [own, hosted] = in_either_network();
    stage.apply(&hosted).await;
    for call in ["subnetworks.aggregatedList", "firewalls.list"] {
        stage.fault(&format!("gcp:{call}@acme-net:1+:code=notFound"));
    }
    let (plan, ..) = stage.driver().plan(&own, SEVER).await;
    assert!(plan.refusals.is_empty() && !plan.is_empty(), "{plan:#?}");
    let said: Vec<_> = plan.warnings.iter().filter(|one| one.contains("no project acme-net")).collect();
    assert!(said.len() == 1 && said[0].contains("stays"), "{:#?}", plan.warnings);
    // Where the file names that project it is not a former one: nothing is planned without it.
    let error = stage.try_observe(&hosted).await.expect_err("nothing else is in the file");
    assert_eq!((error.kind(), error.subject()), (privnet_core::ErrorKind::NotFound, "acme-net"));
    stage.apply_with(&own, SEVER).await;
    stage.heal();
    // It was only not seen: what lies there is found by the file that names it.
    assert_ne!(stage.everything().await, before);
    stage.apply_with(&hosted, SEVER).await;
    assert_eq!(stage.everything().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_of_its_own_need_not_be_readable_in_a_project_that_uses_anothers() {
    let stage = Stage::open().await;
    let [_, hosted] = in_either_network();
    for (call, permission) in [
        ("subnetworks.aggregatedList", "compute.subnetworks.list"),
        ("firewalls.list", "compute.firewalls.list"),
    ] {
        stage.fault(&format!("gcp:{call}@acme-data:1+:code=forbidden"));
        let plan = stage.plan(&hosted).await;
        assert!(plan.refusals.is_empty() && !plan.is_empty(), "{plan:#?}");
        let named = format!("the permission `{permission}`");
        let said = plan.warnings.iter().filter(|one| one.contains("acme-data") && one.contains(&named));
        assert_eq!(said.count(), 1, "{:#?}", plan.warnings);
        stage.heal();
    }
    assert_eq!(stage.plan(&hosted).await.warnings, Vec::<String>::new());
}

/// Two services of a project: the network of one belongs to another project.
fn shared_beside_own() -> Spec {
    let own = "projects/acme-data/zones/us-east4-b/instances/db-1";
    let hosted = "projects/acme-data/zones/us-east4-b/instances/db-hosted";
    let services = [
        service("plain", "acme-data", &block("prod", "acme-data", "10.8.0.0/28", own)),
        service("hosted", "acme-data", &block("shared", "acme-net", "10.8.1.0/28", hosted)),
    ];
    spec(&format!(
        "version: 1\ndeployment: stage\ndefaults: {{ gcp: {{ region: us-east4 }} }}\nservices:\n{}",
        services.concat()
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_in_the_project_of_the_networks_is_said_with_its_permission() {
    let stage = Stage::open().await;
    let both = shared_beside_own();
    // Nothing of ours need run there: that is a warning, and of a destroy too.
    stage.fault("gcp:globalOperations.aggregatedList@acme-net:1+:code=forbidden");
    for options in [PlanOptions::default(), DESTROY] {
        let (plan, ..) = stage.driver().plan(&both, options).await;
        assert_eq!(plan.refusals, []);
        let said: Vec<_> = plan.warnings.iter().filter(|one| one.contains("acme-net")).collect();
        let named = |one: &&String| one.contains("the permission `compute.globalOperations.list`");
        assert!(said.len() == 1 && said.iter().all(named), "{:#?}", plan.warnings);
    }
    stage.heal();
    // Without what is in its networks a service cannot be planned: it is refused, and the other one is not.
    for (call, permission) in [
        ("subnetworks.aggregatedList", "compute.subnetworks.list"),
        ("firewalls.list", "compute.firewalls.list"),
    ] {
        stage.fault(&format!("gcp:{call}@acme-net:1+:code=forbidden"));
        let plan = stage.plan(&both).await;
        let refused: Vec<_> = plan.refusals.iter().map(|one| (&one.address.service, &one.why)).collect();
        assert!(
            refused.len() == 1
                && refused[0].0 == "hosted"
                && refused[0].1.contains("acme-net")
                && refused[0].1.contains(permission),
            "{refused:#?}"
        );
        assert!(plan.actions.iter().all(|action| action.address.service == "plain") && !plan.is_empty());
        stage.heal();
    }
    let plan = stage.plan(&both).await;
    assert!(plan.warnings.iter().all(|one| !one.contains("acme-net")), "{:#?}", plan.warnings);
}

/// Whether nothing can be planned for want of an answer of this place; where something can, nothing is to do.
async fn unanswered(stage: &Stage, spec: &Spec, place: &str) -> bool {
    match stage.try_observe(spec).await {
        Ok(_) => {
            stage.assert_settled(spec).await;
            false
        }
        Err(error) => {
            let said = format!("does not reach {place}");
            assert!(error.message().contains(&said), "{error} and not {said}");
            true
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_answer_is_not_taken_for_gone() {
    let stage = Stage::open().await;
    let machine = made(ONE, "", "");
    stage.apply(&machine).await;
    for (list, place, is_needed) in [
        // Where its machine is, and where none of them is.
        ("instances", "us-east4-b", true),
        ("instances", "us-east4", true),
        ("instances", "us-central1", false),
        // Where something of an earlier run may go on.
        ("globalOperations", "us-east4", true),
        ("globalOperations", "us-east4-c", true),
        ("globalOperations", "global", true),
        ("globalOperations", "us-central1", false),
        ("serviceAttachments", "us-east4", true),
        ("serviceAttachments", "us-central1", false),
    ] {
        stage.fault(&format!("gcp:{list}.aggregatedList:1+:unreachable={place}"));
        assert_eq!(unanswered(&stage, &machine, place).await, is_needed, "{list} without {place}");
        stage.heal();
    }
    let group =
        made("{ listen: 5432, to: { instance_group: zones/us-east4-a/instanceGroups/db-group } }", "", "");
    stage.apply(&group).await;
    for (place, is_needed) in [("us-east4-a", true), ("us-east4", true), ("us-east4-b", false)] {
        stage.fault(&format!("gcp:instanceGroups.aggregatedList:1+:unreachable={place}"));
        assert_eq!(unanswered(&stage, &group, place).await, is_needed, "groups without {place}");
        stage.heal();
    }
    stage.assert_settled(&group).await;
}
