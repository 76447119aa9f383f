//! What bites on GCP: answers that are lost, fingerprints, edits that would cut a live consumer, and what somebody else does to what is
//! ours.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

#[path = "traps/all_ports.rs"]
mod all_ports;
#[path = "traps/deciding.rs"]
mod deciding;
#[path = "traps/handing_over.rs"]
mod handing_over;
#[path = "traps/look_alikes.rs"]
mod look_alikes;
mod stage;

use google_cloud_compute_v1::model::ServiceAttachmentConsumerProjectLimit;
use privnet_core::accept::{Ask, ConnectionState};
use privnet_core::plan::{Op, PlanOptions, Rule};
use privnet_core::spec::Spec;
use privnet_core::{Purpose, Value};
use stage::{ONE, Stage, assert_done, made, with_policy};

const SEVER: PlanOptions = PlanOptions { prune: false, sever_connections: true, destroy: false };

/// The request ids of a method's exchanges in a record, in order.
fn request_ids(record: &std::path::Path, path_ends: &str) -> Vec<String> {
    let text = std::fs::read_to_string(record).unwrap();
    let exchanges = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    exchanges
        .filter(|exchange| exchange["method"] == "POST")
        .filter_map(|exchange| {
            let path = exchange["path"].as_str()?.to_owned();
            let (path, query) = path.split_once('?')?;
            if !path.ends_with(path_ends) {
                return None;
            }
            query.split('&').find_map(|pair| pair.strip_prefix("requestId=")).map(str::to_owned)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_sent_again_keeps_its_id_and_another_attempt_has_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let stage = Stage::open_with(|options| options.record = Some(record.clone())).await;
    let spec = made(ONE, "", "");
    stage.fault("gcp:subnetworks.insert:1:lost");
    stage.fault("gcp:regionBackendServices.insert:1:code=QUOTA_EXCEEDED");
    let (_, report) = stage.driver().apply(&spec, PlanOptions::default()).await;
    assert!(report.failures().any(|error| error.kind() == privnet_core::ErrorKind::Quota), "{report:#?}");
    stage.heal();
    stage.apply(&spec).await;
    stage.assert_settled(&spec).await;
    let subnet = request_ids(&record, "/subnetworks");
    assert!(subnet.len() == 2 && subnet[0] == subnet[1], "{subnet:?}");
    let backend = request_ids(&record, "/backendServices");
    assert!(
        backend.len() == 2 && backend[0] != backend[1],
        "a failed attempt would be replayed: {backend:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_was_faster_is_read_again_and_merged() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let stage = Stage::open_with(|options| options.record = Some(record.clone())).await;
    let spec = made(ONE, "", "");
    stage.apply(&spec).await;
    let pending = stage.until_pending(&spec, "orders", 2).await;
    let stranger = pending.iter().find(|one| one.handle.contains("mallory-labs")).unwrap();
    let name = own_attachment(&stage, &spec).await;
    // This run waits four seconds before it tries again. Meanwhile a colleague decides on somebody else.
    stage.set_speed(0.25);
    let driver = stage.driver();
    stage.set_speed(1_000.0);
    stage.fault("gcp:serviceAttachments.patch:1+:code=conditionNotMet");
    let colleague = async {
        let tried = || async { (refused_patches(&record) > 0).then_some(()) };
        stage::until("it is tried", tried).await;
        stage.heal();
        let entry = ServiceAttachmentConsumerProjectLimit::new().set_endpoint_url(&stranger.handle);
        stage.edit_attachment(&name, |there| there.consumer_accept_lists.push(entry)).await;
    };
    let ask = Ask::default();
    let ((_, plan, report), ()) = tokio::join!(driver.decide(&spec, &ask), colleague);
    assert_eq!(plan.actions.len(), 1, "{plan:#?}");
    assert_done(&plan, &report);
    let accepted = stage::until("both are in", || async {
        let all = stage.connections(&spec, "orders").await;
        let accepted: Vec<_> = all.into_iter().filter(|one| one.state == ConnectionState::Accepted).collect();
        (accepted.len() > 1).then_some(accepted)
    })
    .await;
    assert!(accepted.iter().any(|one| one.id == stranger.id), "{accepted:#?}");
    stage.assert_settled(&spec).await;
}

/// The name of the service's attachment.
async fn own_attachment(stage: &Stage, spec: &Spec) -> String {
    let live = stage.live(spec, "service-attachment").await.unwrap();
    live.id.rsplit('/').next().unwrap().to_owned()
}

/// How many changes of attachments a record shows as refused.
fn refused_patches(record: &std::path::Path) -> usize {
    let text = std::fs::read_to_string(record).unwrap();
    // While the server writes, the last line may be there in part.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let exchanges = whole.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    exchanges.filter(|one| one["method"] == "PATCH" && one["status"] == 412).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changed_since_the_plan_is_not_overwritten() {
    let stage = Stage::open().await;
    let limited = |limit: u32, block: &str| {
        let policy = format!("allow: {{ acme: {{ max_connections: {limit} }} }}\n    acceptance: automatic");
        colleagues(&policy, block)
    };
    let spec = limited(1, "");
    stage.apply(&spec).await;
    let name = own_attachment(&stage, &spec).await;
    let driver = stage.driver();
    // A NAT subnet that was added stays, and the change is made.
    let edited = limited(1, "proxy_protocol: true");
    let (plan, desired, world) = driver.plan(&edited, PlanOptions::default()).await;
    stage.add_nat_subnet(&name, "nat-spare").await;
    assert_done(&plan, &driver.execute(&plan, &desired, &world).await);
    let after = stage.live(&edited, "service-attachment").await.unwrap();
    assert_eq!(after.fields["proxy_protocol"], Value::Bool(true));
    assert_eq!(after.fields["nat_subnets"].as_list().map(<[_]>::len), Some(2), "{after:#?}");
    stage.apply(&edited).await;
    stage.assert_settled(&edited).await;
    // So does an entry of the accept list: the change was planned for another list.
    let more = limited(2, "proxy_protocol: true");
    let (plan, desired, world) = driver.plan(&more, PlanOptions::default()).await;
    let entry = ServiceAttachmentConsumerProjectLimit::new().set_project_id_or_num("mallory-labs");
    let entry = entry.set_connection_limit(1_u32);
    stage.edit_attachment(&name, |there| there.consumer_accept_lists.push(entry)).await;
    let before = stage.everything().await;
    let report = driver.execute(&plan, &desired, &world).await;
    let failed: Vec<_> = report.failures().collect();
    assert!(failed.len() == 1 && failed[0].kind() == privnet_core::ErrorKind::Conflict, "{failed:?}");
    assert!(failed[0].to_string().contains("changed the accept list since the plan"), "{}", failed[0]);
    assert_eq!(stage.everything().await, before);
    // The next plan says what becomes of it.
    let plan = stage.apply(&more).await;
    assert!(
        plan.actions[0].changes.iter().any(|one| one.from.to_string().contains("mallory-labs")),
        "{plan:#?}"
    );
    stage.assert_settled(&more).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_that_get_no_answer_are_asked_again() {
    let stage = Stage::open().await;
    let spec = made(ONE, "", "");
    for nth in 1..=3 {
        stage.fault(&format!("gcp:regionOperations.wait:{nth}:lost"));
    }
    stage.apply(&spec).await;
    stage.assert_settled(&spec).await;
}

/// A service with a live connection.
async fn connected() -> (Stage, Spec, String) {
    let stage = Stage::open().await;
    let spec = made(ONE, "", "");
    stage.apply(&spec).await;
    stage.until_pending(&spec, "orders", 2).await;
    let (_, plan, report) = stage.decide(&spec, &Ask::default()).await;
    assert_done(&plan, &report);
    let live = stage.connections(&spec, "orders").await;
    let id = live.iter().find(|one| one.state == ConnectionState::Accepted).unwrap().id.clone();
    (stage, spec, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_would_cut_is_refused_without_the_word() {
    let (stage, spec, id) = connected().await;
    let tombstone = stage::spec(
        "version: 1\ndeployment: stage\nservices: [{ name: orders, remove: true, gcp: { project: acme-data, region: us-east4, network: prod, subnet: ilb } }]",
    );
    let other = |ports: &str, block: &str| made(ports, block, "");
    let edits = [
        ("a tombstone", tombstone),
        ("another port", other(&ONE.replace("5432", "5433"), "")),
        ("another subnet", other(ONE, "subnet: data")),
        ("an address of its own", other(ONE, "ip_address: 10.7.0.77")),
        ("a domain name", other(ONE, "domain_names: [db.example.com.]")),
        ("another NAT range", other(ONE, "nat_subnets: [{ create: { cidr: 10.8.9.0/24 } }]")),
        (
            "an attachment that is there",
            with_policy(
                "allow: { fivetran: {} }",
                "accept_by: project\nexisting: { service_attachment: shared-db }",
                "",
            ),
        ),
    ];
    for (what, edited) in &edits {
        let plan = stage.plan(edited).await;
        let severing = [Rule::WouldSever, Rule::HandOver, Rule::GrowOnly];
        assert!(plan.is_empty(), "{what}: {:#?}", plan.actions);
        assert!(
            plan.refusals.iter().any(|refusal| severing.contains(&refusal.rule)),
            "{what}: {:#?}",
            plan.refusals
        );
    }
    let live = stage.connections(&spec, "orders").await;
    assert!(live.iter().any(|one| one.id == id && one.state == ConnectionState::Accepted), "{live:#?}");
    // Another machine takes over without anybody being cut, and the word carries out what it is for.
    let machine = made("{ listen: 5432, to: { instances: [zones/us-east4-c/instances/db-2] } }", "", "");
    stage.apply(&machine).await;
    stage.assert_settled(&machine).await;
    let live = stage.connections(&machine, "orders").await;
    assert!(live.iter().any(|one| one.id == id && one.state == ConnectionState::Accepted), "{live:#?}");
    let (plan, report) = stage.driver().apply(&edits[1].1, SEVER).await;
    assert_eq!(plan.refusals, []);
    assert_done(&plan, &report);
}

/// What is made of everything, by a machine and by forwarders.
const FORWARDED: &str = "{ listen: 5432, engine: postgres, to: { forwarder: { ip: 10.90.0.3 } } }";
const FORWARDERS: &str = "forwarder: { subnets: [data], size: e2-small }";

#[tokio::test(flavor = "multi_thread")]
async fn a_port_is_added_under_a_live_consumer_and_none_is_taken_away() {
    let (stage, spec, id) = connected().await;
    let before = stage.live(&spec, "service-attachment").await.unwrap().id;
    let more = made(&format!("{ONE}, {}", ONE.replace("5432", "5433")), "", "");
    let plan = stage.apply(&more).await;
    assert!(
        plan.actions.iter().any(|one| one.id.starts_with("create orders/forwarding-rule/main@b")),
        "{plan:#?}"
    );
    stage.assert_settled(&more).await;
    assert_eq!(stage.live(&more, "service-attachment").await.unwrap().id, before, "the hand-over is kept");
    let live = stage.connections(&more, "orders").await;
    assert!(live.iter().any(|one| one.id == id && one.state == ConnectionState::Accepted), "{live:#?}");
    let plan = stage.plan(&spec).await;
    assert!(plan.is_empty() && plan.refusals.iter().any(|one| one.rule == Rule::WouldSever), "{plan:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subnet_that_somebody_else_added_stays_and_the_rest_is_done() {
    let (stage, spec, id) = connected().await;
    let attachment = stage.live(&spec, "service-attachment").await.unwrap();
    let name = attachment.id.rsplit('/').next().unwrap().to_owned();
    stage.add_nat_subnet(&name, "nat-spare").await;
    // It is said, and whoever gets an address of it is let in.
    let plan = stage.plan(&spec).await;
    let changed: Vec<_> = plan.actions.iter().map(|action| action.id.as_str()).collect();
    assert_eq!(changed, ["update orders/firewall-rule/clients"], "{plan:#?}");
    assert_eq!(plan.refusals, []);
    let warned = plan.warnings.iter().find(|warning| warning.contains("nat-spare")).expect("it is said");
    assert!(warned.contains("{ existing: nat-spare }"), "{warned}");
    // What else the file says is done, also to the attachment itself.
    let more = "reconcile_connections: true\nnat_subnets: [{ create: { cidr: 10.8.0.0/24 } }, { create: { cidr: 10.8.7.0/28 } }]";
    let edited = made(ONE, more, "");
    stage.apply(&edited).await;
    let after = stage.live(&edited, "service-attachment").await.unwrap();
    assert_eq!(after.fields["nat_subnets"].as_list().map(<[_]>::len), Some(3), "{after:#?}");
    assert_eq!(after.fields["reconcile_connections"], Value::Bool(true));
    let live = stage.connections(&edited, "orders").await;
    assert!(live.iter().any(|one| one.id == id && one.state == ConnectionState::Accepted), "{live:#?}");
    // Said to be meant, it is the file's.
    let named = made(ONE, &more.replace("]", ", { existing: nat-spare }]"), "");
    let plan = stage.plan(&named).await;
    assert!(plan.is_empty(), "{plan:#?}");
    assert!(!plan.warnings.iter().any(|warning| warning.contains("nat-spare")), "{:?}", plan.warnings);
    stage.assert_settled(&named).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_replaced_gives_its_addresses_to_the_next() {
    let (stage, _, _) = connected().await;
    // A domain name can only be given when an attachment is made, and two cannot share a NAT subnet.
    let named = made(ONE, "domain_names: [db.example.com.]", "");
    let (plan, report) = stage.driver().apply(&named, SEVER).await;
    assert_eq!(plan.refusals, []);
    assert_done(&plan, &report);
    stage.assert_settled(&named).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_of_several_regions_know_their_own() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    let forwarders = "forwarder: { subnets: [ilb], size: e2-small }\n      ports: [{ listen: 3306, to: { forwarder: { ip: 10.90.0.3 } } }]";
    let service = |name: &str, region: &str, cidr: &str, ports: &str| {
        format!(
            "  - name: {name}\n    allow: {{ fivetran: {{}} }}\n    gcp:\n      region: {region}\n      nat_subnets: [{{ create: {{ cidr: {cidr} }} }}]\n      {ports}\n"
        )
    };
    let central = "ports: [{ listen: 5432, to: { instances: [zones/us-central1-a/instances/db-central] } }]";
    let services = [
        service("east", "us-east4", "10.8.0.0/28", &format!("ports: [{ONE}]")),
        service("east-forwarded", "us-east4", "10.8.1.0/28", forwarders),
        service("central", "us-central1", "10.8.2.0/28", central),
        service("central-forwarded", "us-central1", "10.8.3.0/28", forwarders),
    ];
    let spec = stage::spec(&format!(
        "version: 1\ndeployment: stage\ndefaults:\n  gcp: {{ project: acme-data, network: prod, subnet: ilb }}\nservices:\n{}",
        services.concat()
    ));
    stage.apply(&spec).await;
    stage.assert_settled(&spec).await;
    let world = stage.world(&spec).await;
    let ids: std::collections::BTreeSet<_> = world.live.iter().map(|live| live.id.as_str()).collect();
    assert_eq!(ids.len(), world.live.len(), "something is seen twice");
    stage.apply_with(&spec, PlanOptions { destroy: true, ..SEVER }).await;
    assert!(stage.world(&spec).await.live.iter().all(|live| !live.is_ours()));
    assert_eq!(stage.everything().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_whose_project_may_not_be_looked_up_is_said() {
    let stage = Stage::open().await;
    let block = format!("ports: [{ONE}]");
    let top = "consumers: { acme: { gcp: { projects: ['523456789012'] } } }";
    let spec = with_policy("allow: { acme: {} }", &block, top);
    stage.apply(&spec).await;
    let id = stage.connect("orders", "acme-reader")["connection"].as_str().unwrap().to_owned();
    let says = |text: &String| {
        text.contains("the number 523456789012") && text.contains("the permission `compute.projects.get`")
    };
    stage.fault("gcp:projects.get:1+:code=forbidden");
    let (decisions, plan, _) = stage.decide(&spec, &Ask::default()).await;
    assert!(plan.is_empty() && decisions.iter().any(|one| one.connection == id), "{decisions:#?}");
    assert!(plan.warnings.iter().any(says), "{:#?}", plan.warnings);
    assert!(stage.plan(&spec).await.warnings.iter().any(says));
    let seen = stage.driver().observe(&spec, Purpose::Status).await.1;
    assert!(seen.unknown.values().flatten().any(says), "{:#?}", seen.unknown);
    stage.heal();
    assert!(!stage.plan(&spec).await.warnings.iter().any(says));
    let (_, plan, report) = stage.decide(&spec, &Ask::default()).await;
    assert_eq!(plan.actions.len(), 1, "{plan:#?}");
    assert_done(&plan, &report);
}

/// Colleagues may connect, by this policy; what a decision lets in is named by `by`.
fn colleagues(policy: &str, by: &str) -> Spec {
    let block = format!("ports: [{ONE}]\n{by}");
    with_policy(policy, &block, "consumers: { acme: { gcp: { projects: [acme-reader] } } }")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_firewall_rule_that_somebody_opened_is_closed_again() {
    let stage = Stage::open().await;
    let spec = made(ONE, "", "");
    stage.apply(&spec).await;
    for (name, ops) in [("clients", vec![Op::Update]), ("probers", vec![Op::Create, Op::Delete])] {
        let rules = stage.world(&spec).await.live.into_iter();
        let rule = rules.filter(|live| live.address.name == name).map(|live| live.id).next().unwrap();
        stage.open_firewall(rule.rsplit('/').next().unwrap()).await;
        let plan = stage.apply(&spec).await;
        assert!(plan.actions.iter().all(|action| action.address.name == name), "{plan:#?}");
        assert_eq!(plan.actions.iter().map(|action| action.op).collect::<Vec<_>>(), ops, "{plan:#?}");
        stage.assert_settled(&spec).await;
    }
}
