//! What becomes of an attachment's lists: the last consumer goes, somebody who was let in is cut, an attachment of the user's turns
//! somebody away; and operations that take longer than anybody waits.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

#[path = "lists/company.rs"]
mod company;
#[path = "lists/cut_short.rs"]
mod cut_short;
#[path = "lists/everybody.rs"]
mod everybody;
#[path = "lists/rejects.rs"]
mod rejects;
mod stage;
#[path = "lists/unasked.rs"]
mod unasked;

use std::path::Path;

use privnet_core::ErrorKind;
use privnet_core::Purpose;
use privnet_core::accept::{Ask, Connection, ConnectionState};
use privnet_core::plan::{Op, PlanOptions, Rule};
use privnet_core::spec::Spec;
use serde_json::Value as Json;
use stage::{ONE, PROJECT, REGION, Stage, assert_done, with_policy};

/// A service for colleagues, by this policy, with these lines in its block.
fn colleagues(policy: &str, block: &str) -> Spec {
    let ports = if block.contains("existing") { String::new() } else { format!("ports: [{ONE}]\n") };
    with_policy(
        policy,
        &format!("{ports}{block}"),
        "consumers: { acme: { gcp: { projects: [acme-reader] } } }",
    )
}

const ALLOW: &str = "allow: { acme: {} }";

fn ask(stage: &Stage) -> String {
    stage.connect("orders", "acme-reader")["connection"].as_str().unwrap().to_owned()
}

async fn state(stage: &Stage, spec: &Spec, id: &str) -> ConnectionState {
    state_or_gone(stage, spec, id).await.expect("it is there")
}

async fn state_or_gone(stage: &Stage, spec: &Spec, id: &str) -> Option<ConnectionState> {
    let all = stage.connections(spec, "orders").await;
    all.iter().find(|one| one.id == id).map(|one| one.state)
}

/// The attachment as somebody else reads it.
async fn attachment(stage: &Stage, name: &str) -> google_cloud_compute_v1::model::ServiceAttachment {
    let get = stage.attachments().await.get().set_project(PROJECT).set_region(REGION);
    get.set_service_attachment(name).send().await.unwrap()
}

async fn own_attachment(stage: &Stage, spec: &Spec) -> google_cloud_compute_v1::model::ServiceAttachment {
    let live = stage.live(spec, "service-attachment").await.unwrap();
    attachment(stage, live.id.rsplit('/').next().unwrap()).await
}

/// The bodies of the PATCHes of attachments in a record.
fn patches(record: &Path) -> Vec<Json> {
    let text = std::fs::read_to_string(record).unwrap();
    // While the server writes, the last line may be there in part.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let exchanges = whole.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let patches = exchanges.filter(|one| {
        one["method"] == "PATCH" && one["path"].as_str().unwrap().contains("/serviceAttachments/")
    });
    patches.map(|one| serde_json::from_str(one["body"].as_str().unwrap()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_consumer_of_a_list_goes() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let stage = Stage::open_with(|options| options.record = Some(record.clone())).await;
    stage.apply(&colleagues(&format!("{ALLOW}\n    acceptance: automatic"), "")).await;
    let manual = colleagues(ALLOW, "");
    assert_eq!(own_attachment(&stage, &manual).await.consumer_accept_lists.len(), 1);
    // Nobody is connected, so that people who decide begin with an empty list. The official client leaves out empty lists.
    stage.apply(&manual).await;
    assert_eq!(own_attachment(&stage, &manual).await.consumer_accept_lists, []);
    stage.assert_settled(&manual).await;
    let sent = patches(&record);
    assert!(sent.iter().any(|body| body["consumerAcceptLists"] == serde_json::json!([])), "{sent:#?}");
    // Every one of them says what GCP forgets otherwise.
    let whole = |body: &Json| {
        ["name", "enableProxyProtocol", "reconcileConnections"].iter().all(|key| body.get(*key).is_some())
    };
    assert!(sent.iter().all(whole), "{sent:#?}");
}

/// The header comes and goes in place, under whoever is connected: that is said, and not where nobody is.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_connected_is_told_of_the_header() {
    let stage = Stage::open().await;
    let (plain, with_header) = (colleagues(ALLOW, ""), colleagues(ALLOW, "proxy_protocol: true"));
    let said = |plan: &privnet_core::plan::Plan| {
        plan.warnings.iter().filter(|said| said.contains("PROXY header")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(said(&stage.apply(&plain).await), Vec::<String>::new());
    let id = ask(&stage);
    stage.until_pending(&plain, "orders", 1).await;
    assert_eq!(said(&stage.plan(&with_header).await), Vec::<String>::new());
    let chosen = Ask { connection: Some(id), ..Ask::default() };
    let (_, plan, report) = stage.decide(&plain, &chosen).await;
    assert_done(&plan, &report);
    assert_eq!(said(&stage.plan(&plain).await), Vec::<String>::new());
    for (spec, words) in
        [(&with_header, "begin with a PROXY header"), (&plain, "begin without a PROXY header")]
    {
        let told = said(&stage.apply(spec).await);
        assert!(told.len() == 1 && told[0].contains(words), "{told:?}");
        stage.assert_settled(spec).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_let_in_is_cut_by_reconciling_and_its_state_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let stage = Stage::open_with(|options| options.record = Some(record.clone())).await;
    let spec = colleagues("allow: { acme: { max_connections: 2 } }", "");
    stage.apply(&spec).await;
    let ids = [ask(&stage), ask(&stage)];
    stage.until_pending(&spec, "orders", 2).await;
    let (_, plan, report) = stage.decide(&spec, &Ask::default()).await;
    assert_done(&plan, &report);
    let (plan, report) = stage.reject(&spec, &ids[0], false).await;
    assert!(
        report.outcomes.is_empty() && plan.refusals.iter().any(|one| one.rule == Rule::WouldSever),
        "{plan:#?}"
    );

    let (plan, report) = stage.reject(&spec, &ids[0], true).await;
    assert_done(&plan, &report);
    // Its state was seen before the command said so; the other one was never touched.
    assert_eq!(state(&stage, &spec, &ids[0]).await, ConnectionState::Rejected);
    assert_eq!(state(&stage, &spec, &ids[1]).await, ConnectionState::Accepted);
    let there = own_attachment(&stage, &spec).await;
    assert_eq!((there.consumer_accept_lists.len(), there.reconcile_connections), (1, Some(false)));
    let cut = patches(&record).into_iter().find(|body| body["reconcileConnections"] == true);
    let cut = cut.expect("GCP cuts nobody while it does not reconcile");
    assert_eq!(cut["consumerAcceptLists"].as_array().map(Vec::len), Some(1), "{cut:#}");
    stage.assert_settled(&spec).await;
    // With reconciling on as the file says it stays so.
    let on = colleagues("allow: { acme: { max_connections: 2 } }", "reconcile_connections: true");
    stage.apply(&on).await;
    let (plan, report) = stage.reject(&on, &ids[1], true).await;
    assert_done(&plan, &report);
    for id in &ids {
        assert_eq!(state(&stage, &on, id).await, ConnectionState::Rejected);
    }
    let there = own_attachment(&stage, &on).await;
    assert_eq!((there.consumer_accept_lists.len(), there.reconcile_connections), (0, Some(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_came_in_while_a_plan_was_confirmed_is_not_cut() {
    let named = |block: &str| colleagues(&format!("{ALLOW}\n    acceptance: automatic"), block);
    let options = |destroy, sever_connections| PlanOptions { destroy, sever_connections, prune: false };
    let spec = named("");
    // A replacement takes the attachment away as well: its NAT subnet is the next one's.
    let replaced = named("domain_names: [db.example.com.]");
    for (edited, options) in
        [(&spec, options(true, false)), (&spec, options(true, true)), (&replaced, options(false, true))]
    {
        let stage = Stage::open().await;
        stage.apply(&spec).await;
        let driver = stage.driver();
        let (plan, desired, world) = driver.plan(edited, options).await;
        assert_eq!(plan.refusals, []);
        let late = ask(&stage);
        let report = driver.execute(&plan, &desired, &world).await;
        let failed: Vec<_> = report.failures().map(|error| (error.kind(), error.message())).collect();
        let why = format!("this would cut {late}, let in since the plan was made");
        assert_eq!(failed, [(ErrorKind::Conflict, why.as_str())]);
        // It is as before, and so is all else of the service.
        assert_eq!(state(&stage, edited, &late).await, ConnectionState::Accepted);
        stage.assert_settled(&spec).await;
        // The next plan knows.
        let without = PlanOptions { sever_connections: false, ..options };
        let (plan, ..) = stage.driver().plan(edited, without).await;
        let knows = |one: &privnet_core::plan::Refusal| one.flag.as_deref() == Some("--sever-connections");
        assert!(plan.is_empty() && plan.refusals.iter().any(knows), "{plan:#?}");
        stage.apply_with(edited, PlanOptions { sever_connections: true, ..options }).await;
        assert_ne!(state_or_gone(&stage, edited, &late).await, Some(ConnectionState::Accepted));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_of_the_users_turns_one_away_and_keeps_all_else() {
    let stage = Stage::open().await;
    let spec = colleagues(ALLOW, "accept_by: project\nexisting: { service_attachment: shared-db }");
    let before = attachment(&stage, "shared-db").await;
    let id = stage.connect("shared-db", "mallory-labs")["connection"].as_str().unwrap().to_owned();
    let (plan, report) = stage.reject(&spec, &id, false).await;
    assert_eq!(plan.actions.iter().map(|action| action.op).collect::<Vec<_>>(), [Op::Reject]);
    assert_done(&plan, &report);
    assert_eq!(state(&stage, &spec, &id).await, ConnectionState::Rejected);
    let after = attachment(&stage, "shared-db").await;
    assert_eq!(after.consumer_reject_lists, ["mallory-labs"]);
    assert_eq!(after.consumer_accept_lists, before.consumer_accept_lists, "the colleagues' entry is theirs");
    let same = |one: &google_cloud_compute_v1::model::ServiceAttachment| {
        (
            one.reconcile_connections,
            one.nat_subnets.clone(),
            one.description.clone(),
            one.target_service.clone(),
        )
    };
    assert_eq!(same(&after), same(&before));
}

/// What `status` says of a connection.
async fn note(stage: &Stage, spec: &Spec, id: &str) -> String {
    let all = stage.driver().observe(spec, Purpose::Status).await.1;
    let known = all.services["orders"].connections.known();
    known.iter().find(|one| one.id == id).unwrap().note.clone().unwrap_or_default()
}

/// An attachment of the user's, whose list has an entry for colleagues, who are connected: the file does not name them.
fn shared_with_strangers() -> Spec {
    with_policy(
        "allow: { labs: {} }",
        "accept_by: project\nexisting: { service_attachment: shared-db }",
        "consumers: { labs: { gcp: { projects: [mallory-labs] } } }",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_official_client_was_answered_is_told_by_its_reason() {
    let stage = Stage::open().await;
    let spec = colleagues(ALLOW, "");
    stage.apply(&spec).await;
    let id = ask(&stage);
    // A quota is no want of permission, though both are 403.
    stage.fault("gcp:serviceAttachments.patch:1:code=quotaExceeded");
    let (_, _, report) = stage.decide(&spec, &Ask::default()).await;
    let failed: Vec<_> = report.failures().map(privnet_core::Error::kind).collect();
    assert_eq!(failed, [ErrorKind::Quota], "{report:#?}");
    stage.heal();
    // What passes is waited for.
    stage.fault("gcp:serviceAttachments.patch:1:code=rateLimitExceeded");
    stage.fault("gcp:serviceAttachments.patch:2:code=resourceNotReady");
    let (_, plan, report) = stage.decide(&spec, &Ask::default()).await;
    assert_done(&plan, &report);
    assert_eq!(state(&stage, &spec, &id).await, ConnectionState::Accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_stranger_is_told_of_by_what_cuts_it() {
    let stage = Stage::open().await;
    let spec = shared_with_strangers();
    let id = stage.connect("shared-db", "mallory-labs")["connection"].as_str().unwrap().to_owned();
    let (_, plan, report) = stage.decide(&spec, &Ask::default()).await;
    assert_done(&plan, &report);
    let live = |one: &&Connection| one.id != id && one.state == ConnectionState::Accepted;
    let stranger = stage.connections(&spec, "orders").await.iter().find(live).unwrap().id.clone();
    stage.fault("gcp:serviceAttachments.patch:2:code=forbidden");
    let (_, report) = stage.reject(&spec, &id, true).await;
    assert_eq!(report.failures().count(), 1, "{report:#?}");
    stage.heal();
    let note = note(&stage, &spec, &stranger).await;
    let gcloud = format!(
        "`gcloud compute service-attachments update shared-db --project {PROJECT} --region {REGION} --no-reconcile-connections`"
    );
    let reject = format!("`privnet reject --connection {stranger} --sever-connections`, which cuts this one");
    assert!(note.contains(&gcloud) && note.contains(&reject), "{note}");
    // To let it in is none of the ways: the policy knows it not.
    assert!(!note.contains("accept-pending"), "{note}");
    let ask = Ask { connection: Some(stranger.clone()), reject_others: false, again: true };
    assert!(stage.decide(&spec, &ask).await.1.is_empty());
    // Without the word nobody is cut; with it the attachment is as it was, too.
    let (plan, _) = stage.reject(&spec, &stranger, false).await;
    assert!(plan.refusals.iter().any(|one| one.rule == Rule::WouldSever), "{plan:#?}");
    let (plan, report) = stage.reject(&spec, &stranger, true).await;
    assert_done(&plan, &report);
    assert_eq!(state(&stage, &spec, &stranger).await, ConnectionState::Rejected);
    assert_eq!(attachment(&stage, "shared-db").await.reconcile_connections, Some(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_reject_takes_along_is_named_and_can_be_let_in_again() {
    let networks = "networks: [projects/acme-reader/global/networks/consumer]";
    for (by, consumer) in [("project", "projects: [acme-reader]"), ("network", networks)] {
        let stage = Stage::open().await;
        let file = |by: &str| {
            let top = format!("consumers: {{ acme: {{ gcp: {{ {consumer} }} }} }}");
            let block = format!("ports: [{ONE}]\naccept_by: {by}");
            with_policy("allow: { acme: { max_connections: 2 } }", &block, &top)
        };
        let spec = file(by);
        stage.apply(&spec).await;
        let (sibling, rejected) = (ask(&stage), ask(&stage));
        let (plan, report) = stage.reject(&spec, &rejected, false).await;
        assert_done(&plan, &report);
        let said = plan.warnings.join("; ");
        assert!(
            said.contains(&format!("puts its {by} on the reject list")) && said.contains(&sibling),
            "{said}"
        );
        assert_eq!(state(&stage, &spec, &sibling).await, ConnectionState::Rejected);
        // Whoever asks now is turned away at birth, and is told what to do.
        let late = ask(&stage);
        let all = stage.connections(&spec, "orders").await;
        let seen = all.iter().find(|one| one.id == late).unwrap();
        let note = seen.note.clone().unwrap_or_default();
        assert_eq!(seen.state, ConnectionState::Rejected);
        assert!(note.contains(&format!("its {by} is on the attachment's reject list")), "{note}");
        assert!(note.contains(&format!("`privnet accept-pending --connection {late}`")), "{note}");
        // Nobody is let in that was not named, and without being named none is decided on.
        let chosen = Ask { connection: Some(sibling.clone()), reject_others: false, again: true };
        let (_, plan, report) = stage.decide(&spec, &chosen).await;
        assert!(plan.is_empty() && report.outcomes.is_empty(), "{plan:#?}");
        let why = &plan.refusals[0].why;
        assert!(why.contains(&rejected) && why.contains(&late), "{why}");
        let (decisions, ..) = stage.decide(&spec, &Ask::default()).await;
        assert!(
            decisions.iter().all(|one| ![&sibling, &rejected, &late].contains(&&one.connection)),
            "{decisions:#?}"
        );
        // By endpoint it comes in alone, as the hint says.
        assert!(why.contains("accept_by: endpoint"), "{why}");
        let by_endpoint = file("endpoint");
        stage.apply(&by_endpoint).await;
        let (_, plan, report) = stage.decide(&by_endpoint, &chosen).await;
        assert_done(&plan, &report);
        assert_eq!(state(&stage, &by_endpoint, &sibling).await, ConnectionState::Accepted);
        // To reconcile takes nobody else off the reject list: else the next look would let in whom a person turned away.
        for other in [&rejected, &late] {
            assert_eq!(state(&stage, &by_endpoint, other).await, ConnectionState::Rejected);
        }
        let there = own_attachment(&stage, &by_endpoint).await;
        assert_eq!((there.reconcile_connections, there.consumer_reject_lists.len()), (Some(false), 2));
        let (_, plan, _) = stage.decide(&by_endpoint, &Ask::default()).await;
        assert!(plan.actions.iter().all(|action| action.op != Op::Accept), "{plan:#?}");
        stage.assert_settled(&by_endpoint).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_by_network_lets_in_that_network() {
    let stage = Stage::open().await;
    let file = |acceptance: &str, network: &str, block: &str| {
        let top = format!(
            "consumers: {{ acme: {{ gcp: {{ networks: [projects/acme-reader/global/networks/{network}] }} }} }}"
        );
        let policy = format!("allow: {{ acme: {{ max_connections: 2 }} }}\n    acceptance: {acceptance}");
        with_policy(&policy, &format!("ports: [{ONE}]\naccept_by: network\n{block}"), &top)
    };
    let entries = |attachment: google_cloud_compute_v1::model::ServiceAttachment| {
        let all = attachment.consumer_accept_lists.into_iter();
        all.map(|one| {
            let url = one.network_url.unwrap_or_default();
            (url[url.find("projects/").unwrap_or(0)..].to_owned(), one.connection_limit)
        })
        .collect::<Vec<_>>()
    };
    let network = "projects/acme-reader/global/networks/consumer".to_owned();
    // Another network of that project is a stranger.
    let other = file("manual", "other", "");
    stage.apply(&other).await;
    let id = ask(&stage);
    let (decisions, plan, _) = stage.decide(&other, &Ask::default()).await;
    assert!(plan.is_empty() && decisions.iter().any(|one| one.connection == id), "{decisions:#?}");
    let manual = file("manual", "consumer", "");
    let (_, plan, report) = stage.decide(&manual, &Ask::default()).await;
    assert_done(&plan, &report);
    assert_eq!(state(&stage, &manual, &id).await, ConnectionState::Accepted);
    assert_eq!(entries(own_attachment(&stage, &manual).await), [(network.clone(), Some(1))]);
    stage.assert_settled(&manual).await;
    // A second one has no room that nobody decided on.
    let second = ask(&stage);
    assert_eq!(state(&stage, &manual, &second).await, ConnectionState::Pending);
    let automatic = file("automatic", "consumer", "");
    stage.apply(&automatic).await;
    assert_eq!(entries(own_attachment(&stage, &automatic).await), [(network, Some(2))]);
    for id in [&id, &second] {
        assert_eq!(state(&stage, &automatic, id).await, ConnectionState::Accepted);
    }
    let (plan, report) = stage.reject(&automatic, &id, false).await;
    let why = plan.refusals.iter().map(|one| one.why.as_str()).collect::<String>();
    assert!(report.outcomes.is_empty() && why.contains(&format!("and {second} as well")), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_in_while_a_reject_is_tried_again_is_not_cut() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let stage = Stage::open_with(|options| options.record = Some(record.clone())).await;
    let spec = colleagues("allow: { acme: { max_connections: 2 } }\n    acceptance: automatic", "");
    stage.apply(&spec).await;
    let id = ask(&stage);
    assert_eq!(state(&stage, &spec, &id).await, ConnectionState::Accepted);
    let before = patches(&record).len();
    stage.fault("gcp:serviceAttachments.patch:1+:code=conditionNotMet");
    let sibling = async {
        stage::until("it is tried", || async { (patches(&record).len() > before).then_some(()) }).await;
        ask(&stage)
    };
    // No try gets through before it has seen the newcomer.
    let ((_, report), sibling) = tokio::join!(stage.reject(&spec, &id, true), sibling);
    stage.heal();
    let failed: Vec<_> = report.failures().map(ToString::to_string).collect();
    assert!(
        failed.len() == 1 && failed[0].contains(&format!("would cut {sibling} as well, let in meanwhile")),
        "{failed:?}"
    );
    for id in [&id, &sibling] {
        assert_eq!(state(&stage, &spec, id).await, ConnectionState::Accepted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_those_that_would_be_cut_and_nobody_else() {
    let stage = Stage::open().await;
    let policy = |who: &str| {
        let policy = format!("allow: {{ {who} }}\n    acceptance: automatic");
        colleagues(&policy, "reconcile_connections: true")
    };
    let both = policy("acme: {}, fivetran: {}");
    stage.apply(&both).await;
    let cut = ask(&stage);
    let stays = stage::until("both are let in", || async {
        let all = stage.connections(&both, "orders").await;
        let live: Vec<_> = all.into_iter().filter(|one| one.state == ConnectionState::Accepted).collect();
        let stays = live.iter().find(|one| one.id != cut)?.id.clone();
        live.iter().any(|one| one.id == cut).then_some(stays)
    })
    .await;
    let plan = stage.plan(&policy("fivetran: {}")).await;
    assert!(plan.is_empty(), "{:#?}", plan.actions);
    let why = &plan.refusals.iter().find(|one| one.rule == Rule::WouldSever).expect("it is refused").why;
    let (_, would_cut) = why.split_once("would cut").unwrap();
    assert!(would_cut.contains("1 live connection(s)") && would_cut.contains(&cut), "{why}");
    assert!(!would_cut.contains(&stays), "{why}");
}
