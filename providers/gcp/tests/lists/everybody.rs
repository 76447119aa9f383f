//! Somebody has set an attachment to let in whoever asks (`ACCEPT_AUTOMATIC`), which has no lists: to set that back, to turn somebody away
//! and to take the service away cut nobody without the word.

use google_cloud_compute_v1::model::{ServiceAttachment, ServiceAttachmentConsumerProjectLimit};
use privnet_core::accept::{Ask, ConnectionState, Verdict};
use privnet_core::execute::Report;
use privnet_core::plan::{Op, Plan, PlanOptions, Rule, plan_rejection};
use privnet_core::spec::Spec;
use privnet_core::{ErrorKind, Purpose};

use super::{ALLOW, ask, colleagues, own_attachment, state, state_or_gone};
use crate::stage::{REGION, Stage, assert_done};

/// A service that reconciles or not, with a colleague who was accepted and an attachment that takes everybody since then.
async fn taking_everybody(spec: &Spec) -> (Stage, String, String) {
    let stage = Stage::open().await;
    stage.apply(spec).await;
    let id = ask(&stage);
    let chosen = Ask { connection: Some(id.clone()), reject_others: false, again: false };
    let (_, plan, report) = stage.decide(spec, &chosen).await;
    assert_done(&plan, &report);
    let name = own_attachment(&stage, spec).await.name.unwrap();
    stage.take_everybody(&name).await;
    assert_eq!(state(&stage, spec, &id).await, ConnectionState::Accepted);
    (stage, id, name)
}

/// All who are let in.
async fn live(stage: &Stage, spec: &Spec) -> Vec<String> {
    let all = stage.connections(spec, "orders").await.into_iter();
    all.filter(|one| one.state.may_be_live()).map(|one| one.id).collect()
}

/// What is refused for want of the word.
fn would_cut(plan: &Plan) -> String {
    let found = plan.refusals.iter().filter(|one| one.rule == Rule::WouldSever);
    found.map(|one| one.why.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_came_in_and_may_not_is_cut_with_the_word_only_and_who_may_stays() {
    let spec = colleagues(ALLOW, "reconcile_connections: true");
    let (stage, id, _) = taking_everybody(&spec).await;
    let stranger = stage.connect("orders", "mallory-labs")["connection"].as_str().unwrap().to_owned();
    assert!(live(&stage, &spec).await.contains(&stranger));
    let plan = stage.plan(&spec).await;
    let why = would_cut(&plan);
    assert!(plan.is_empty() && why.contains(&stranger) && !why.contains(&id), "{plan:#?}");
    // Nor does an apply cut anybody, which is what a watch repeats.
    let (_, report) = stage.driver().apply(&spec, PlanOptions::default()).await;
    assert!(report.outcomes.is_empty(), "{report:#?}");
    let all = live(&stage, &spec).await;
    assert!(all.contains(&id) && all.contains(&stranger), "{all:?}");
    assert_eq!(plan.refusals.len(), 1, "{:#?}", plan.refusals);
    // What else can be done is said, and shuts it: whoever asks next waits.
    assert!(why.contains("`reconcile_connections: false` shuts it at once and cuts nobody"), "{why}");
    let shut = colleagues(ALLOW, "");
    let copy = Stage::copy_of(&stage, str::to_owned).await;
    copy.apply(&shut).await;
    let later = copy.connect("orders", "mallory-labs")["connection"].as_str().unwrap().to_owned();
    assert_eq!(state(&copy, &shut, &later).await, ConnectionState::Pending);
    let all = live(&copy, &shut).await;
    assert!(all.contains(&id) && all.contains(&stranger), "{all:?}");
    let (plan, report) = copy.reject(&shut, &stranger, true).await;
    assert_done(&plan, &report);
    // With the word only who may not be goes.
    let sever = PlanOptions { sever_connections: true, ..PlanOptions::default() };
    stage.apply_with(&spec, sever).await;
    assert_eq!(live(&stage, &spec).await, [id]);
    stage.assert_settled(&spec).await;
}

/// What `status` and a plan say of a service whose attachment takes everybody.
async fn said(stage: &Stage, spec: &Spec) -> (Vec<String>, Vec<String>) {
    let (desired, world) = stage.driver().observe(spec, Purpose::Status).await;
    let notes = privnet_core::status::status(&desired, &world).into_iter().flat_map(|one| one.notes);
    let of = |all: Vec<String>| all.into_iter().filter(|one| one.contains("lets in whoever asks")).collect();
    (of(notes.collect()), of(stage.plan(spec).await.warnings))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_said_also_while_nobody_asks() {
    let stage = Stage::open_with(|options| options.hold_requests = true).await;
    let spec = colleagues(ALLOW, "");
    stage.apply(&spec).await;
    assert_eq!(said(&stage, &spec).await, (Vec::new(), Vec::new()));
    let name = own_attachment(&stage, &spec).await.name.unwrap();
    stage.take_everybody(&name).await;
    assert_eq!(stage.connections(&spec, "orders").await, []);
    // To another deployment it is the user's own. Whose it is decides who sets it back.
    let yours = crate::stage::spec(&format!(
        "version: 1
deployment: another
consumers: {{ acme: {{ gcp: {{ projects: [acme-reader] }} }} }}
services:
  - name: orders
    {ALLOW}
    gcp: {{ project: acme-data, region: {REGION}, existing: {{ service_attachment: {name} }} }}
"
    ));
    let gcloud =
        format!("`gcloud compute service-attachments update {name} --project acme-data --region {REGION}");
    for (spec, hint) in [(&spec, "`privnet apply` sets that back"), (&yours, gcloud.as_str())] {
        let (notes, warnings) = said(&stage, spec).await;
        assert!(notes.len() == 1 && notes[0].contains(hint), "{notes:?}");
        assert!(warnings.len() == 1 && warnings[0] == format!("orders: {}", notes[0]), "{warnings:?}");
    }
    stage.apply(&spec).await;
    assert_eq!(said(&stage, &spec).await, (Vec::new(), Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn to_set_it_back_cuts_nobody_where_all_may_be() {
    for block in ["reconcile_connections: true", "accept_by: project\nreconcile_connections: true", ""] {
        let spec = colleagues(ALLOW, block);
        let (stage, id, name) = taking_everybody(&spec).await;
        // Whom the file does not allow is gone again.
        let others = stage.attachment(&name).await.connected_endpoints.into_iter();
        for other in others.filter(|one| one.psc_connection_id.map(|own| own.to_string()) != Some(id.clone()))
        {
            stage.leave(&other.endpoint.unwrap()).await;
        }
        let plan = stage.apply(&spec).await;
        assert!(plan.actions.iter().any(|one| one.op == Op::Update), "{block}: {plan:#?}");
        assert_eq!(state(&stage, &spec, &id).await, ConnectionState::Accepted, "{block}");
        let there = stage.attachment(&name).await;
        assert_eq!(there.consumer_accept_lists.len(), 1, "{block}: {there:#?}");
        stage.assert_settled(&spec).await;
        // Whoever asks next waits.
        let next = ask(&stage);
        assert_eq!(state(&stage, &spec, &next).await, ConnectionState::Pending, "{block}");
    }
}

/// A second one of the consumer's came in, which may have one: both stay on the list, and whoever is turned away goes alone.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_one_too_many_is_turned_away_alone() {
    let spec = colleagues(ALLOW, "");
    let (stage, id, name) = taking_everybody(&spec).await;
    let second = ask(&stage);
    assert_eq!(state(&stage, &spec, &second).await, ConnectionState::Accepted);
    let plan = stage.apply(&spec).await;
    let both = plan.warnings.iter().filter(|said| said.contains(&id) && said.contains(&second));
    let said: Vec<_> = both.collect();
    assert!(said.len() == 1 && said[0].contains("where `max_connections` is 1"), "{:#?}", plan.warnings);
    let there = stage.attachment(&name).await;
    assert_eq!(there.consumer_accept_lists.len(), 2, "{there:#?}");
    let (plan, report) = stage.reject(&spec, &second, true).await;
    assert_done(&plan, &report);
    assert_eq!(state(&stage, &spec, &id).await, ConnectionState::Accepted);
    assert_ne!(state_or_gone(&stage, &spec, &second).await, Some(ConnectionState::Accepted));
}

/// Whether a decision is refused, and for this no word helps.
fn is_refused(plan: &Plan, report: &Report, hint: &str) {
    assert!(plan.is_empty() && report.outcomes.is_empty(), "{plan:#?} {report:#?}");
    let [refused] = plan.refusals.as_slice() else { panic!("{:#?}", plan.refusals) };
    assert_eq!((refused.rule, &refused.flag), (Rule::Unsuitable, &None));
    assert!(refused.why.contains("ACCEPT_AUTOMATIC") && refused.why.contains(hint), "{refused:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_it_is_turned_away_after_an_apply_and_the_service_goes_with_the_word() {
    let spec = colleagues(ALLOW, "");
    let empty = Stage::open().await.everything().await;
    let (stage, id, name) = taking_everybody(&spec).await;
    for sever in [false, true] {
        let (plan, report) = stage.reject(&spec, &id, sever).await;
        is_refused(&plan, &report, "`privnet apply` sets that back");
    }
    // Somebody does it again after the plan was made, or the service goes: nobody is decided on by the lists.
    let whole = PlanOptions { destroy: true, ..PlanOptions::default() };
    let plan = stage.driver().plan(&spec, whole).await.0;
    assert!(plan.is_empty() && would_cut(&plan).contains(&id), "{plan:#?}");
    stage.apply(&spec).await;
    let all = live(&stage, &spec).await;
    assert!(all.len() > 1 && all.contains(&id), "without reconciling it cuts nobody: {all:?}");
    let (plan, report) = stage.reject(&spec, all.iter().find(|one| **one != id).unwrap(), true).await;
    assert_done(&plan, &report);
    assert_eq!(state(&stage, &spec, &id).await, ConnectionState::Accepted, "it is on the list");
    stage.take_everybody(&name).await;
    let plan = stage.apply_with(&spec, PlanOptions { sever_connections: true, ..whole }).await;
    assert!(plan.actions.iter().any(|one| one.op == Op::Reject), "{plan:#?}");
    assert_eq!(stage.everything().await, empty);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_decided_on_at_one_of_the_users() {
    let spec = super::shared_with_strangers();
    let stage = Stage::open().await;
    let ask = |who: &str| stage.connect("shared-db", who)["connection"].as_str().unwrap().to_owned();
    let away = ask("mallory-labs");
    let (plan, report) = stage.reject(&spec, &away, false).await;
    assert_done(&plan, &report);
    // Somebody sets it so after a decision was planned, which is then not carried out: who waited is in.
    let waits = ask("fivetran-donkeys");
    let driver = stage.driver();
    let (desired, world) = driver.observe(&spec, Purpose::Connections).await;
    let plan = plan_rejection(&desired, &world, &driver.kinds(), &waits, false).unwrap();
    stage.take_everybody("shared-db").await;
    let before = stage.attachment("shared-db").await;
    let report = driver.execute(&plan, &desired, &world).await;
    let failed: Vec<_> = report.failures().collect();
    assert!(failed.len() == 1 && failed[0].kind() == ErrorKind::Conflict, "{report:#?}");
    // The next plan refuses it: to turn one away, and to let another in after all.
    let hint = "one of yours takes `ACCEPT_MANUAL`";
    let (plan, report) = stage.reject(&spec, &waits, true).await;
    is_refused(&plan, &report, hint);
    let again = Ask { connection: Some(away.clone()), reject_others: false, again: true };
    let (decisions, plan, report) = stage.decide(&spec, &again).await;
    let left = decisions.iter().find(|one| one.connection == away).unwrap();
    assert!(left.is_refused() && left.verdict == Verdict::Left, "{left:#?}");
    is_refused(&plan, &report, hint);
    let lists = |there: ServiceAttachment| (there.consumer_accept_lists, there.consumer_reject_lists);
    assert_eq!(lists(stage.attachment("shared-db").await), lists(before));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_so_since_the_plan_was_made_is_not_set_back_over_anybody() {
    let spec = colleagues(ALLOW, "reconcile_connections: true");
    let stage = Stage::open().await;
    stage.apply(&spec).await;
    let id = ask(&stage);
    let edited = colleagues(ALLOW, "reconcile_connections: true\nproxy_protocol: true");
    let name = own_attachment(&stage, &spec).await.name.unwrap();
    let driver = stage.driver();
    let (plan, desired, world) = driver.plan(&edited, PlanOptions::default()).await;
    assert_eq!(plan.refusals, []);
    stage.take_everybody(&name).await;
    let report = driver.execute(&plan, &desired, &world).await;
    assert!(report.failures().any(|error| error.message().contains(&id)), "{report:#?}");
    assert_eq!(state(&stage, &spec, &id).await, ConnectionState::Accepted);
}

/// Its lists went with that. What was planned without knowing leaves nobody without an entry, and takes nobody else's away.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_loses_an_entry_to_a_plan_that_did_not_know() {
    let spec = colleagues(ALLOW, "");
    let edited = colleagues(ALLOW, "proxy_protocol: true");
    let stage = Stage::open().await;
    stage.apply(&spec).await;
    let id = ask(&stage);
    let chosen = Ask { connection: Some(id.clone()), reject_others: false, again: false };
    let (_, plan, report) = stage.decide(&spec, &chosen).await;
    assert_done(&plan, &report);
    let name = own_attachment(&stage, &spec).await.name.unwrap();
    let driver = stage.driver();
    let (plan, desired, world) = driver.plan(&edited, PlanOptions::default()).await;
    stage.take_everybody(&name).await;
    let before = stage.attachment(&name).await;
    let report = driver.execute(&plan, &desired, &world).await;
    let failed: Vec<_> = report.failures().collect();
    assert!(failed.len() == 1 && failed[0].message().contains("ACCEPT_AUTOMATIC"), "{report:#?}");
    assert_eq!((failed[0].kind(), stage.attachment(&name).await), (ErrorKind::Conflict, before));
    // The next plan knows.
    let plan = stage.apply(&edited).await;
    assert!(plan.actions.iter().any(|one| one.op == Op::Update), "{plan:#?}");
    let there = stage.attachment(&name).await;
    assert_eq!((there.consumer_accept_lists.len(), there.enable_proxy_protocol), (1, Some(true)));
    // Somebody lets another one in beside it: that stays, too.
    let (plan, desired, world) = driver.plan(&spec, PlanOptions::default()).await;
    let other = format!("projects/mallory-labs/regions/{REGION}/forwardingRules/4711");
    let entry = ServiceAttachmentConsumerProjectLimit::new().set_endpoint_url(other);
    stage.edit_attachment(&name, |there| there.consumer_accept_lists.push(entry)).await;
    assert_done(&plan, &driver.execute(&plan, &desired, &world).await);
    let there = stage.attachment(&name).await;
    assert_eq!((there.consumer_accept_lists.len(), there.enable_proxy_protocol), (2, Some(false)));
}
