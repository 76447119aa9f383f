//! What becomes of the reject list where something else changes: the plan says it, and what is done is that.

use google_cloud_compute_v1::model::{ServiceAttachment, ServiceAttachmentConsumerProjectLimit};
use privnet_core::accept::{Ask, ConnectionState, decide};
use privnet_core::conformance::Driver;
use privnet_core::plan::{Plan, plan_decisions, plan_rejection};
use privnet_core::spec::Spec;
use privnet_core::world::{Desired, World};
use privnet_core::{ErrorKind, Purpose, Value};

use super::{ALLOW, ask, assert_done, colleagues, own_attachment, state};
use crate::stage::Stage;

/// An attachment whose owner took the entry from the reject list that turned a colleague away: it stays so while nobody reconciles.
async fn turned_away_without_an_entry(spec: &Spec) -> (Stage, String) {
    let first = Stage::open().await;
    first.apply(spec).await;
    let id = ask(&first);
    let (plan, report) = first.reject(spec, &id, false).await;
    assert_done(&plan, &report);
    let listed = own_attachment(&first, spec).await.consumer_reject_lists;
    assert_eq!(listed.len(), 1);
    let entry = serde_json::to_string(&listed).unwrap();
    let stage = Stage::copy_of(&first, |state| state.replace(&entry, "[]")).await;
    assert_eq!(own_attachment(&stage, spec).await.consumer_reject_lists, [""; 0]);
    assert_eq!(self::state(&stage, spec, &id).await, ConnectionState::Rejected);
    (stage, id)
}

/// What a plan makes of the reject list.
fn rejects(plan: &Plan) -> Vec<String> {
    let changes = plan.actions.iter().flat_map(|action| &action.changes);
    let change = changes.into_iter().find(|change| change.field == "rejected").expect("it is in the plan");
    change.to.as_list().unwrap().iter().filter_map(Value::as_text).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn reconciling_keeps_out_by_the_entries_that_the_plan_names() {
    for (by, entry) in [("project", "acme-reader"), ("endpoint", "projects/")] {
        let (stage, id) = turned_away_without_an_entry(&colleagues(ALLOW, &format!("accept_by: {by}"))).await;
        let on = colleagues(ALLOW, &format!("accept_by: {by}\nreconcile_connections: true"));
        let plan = stage.apply(&on).await;
        let planned = rejects(&plan);
        assert!(planned.len() == 1 && planned[0].starts_with(entry), "{planned:?}");
        assert!(plan.warnings.iter().any(|one| one.contains(&planned[0])), "{:?}", plan.warnings);
        let listed = own_attachment(&stage, &on).await.consumer_reject_lists;
        assert!(listed.len() == 1 && listed[0].ends_with(&planned[0]), "{listed:?} and not {planned:?}");
        assert_eq!(state(&stage, &on, &id).await, ConnectionState::Rejected);
        stage.assert_settled(&on).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_turned_away_while_a_plan_is_confirmed_stays_so() {
    let spec = colleagues("allow: { acme: { max_connections: 2 } }", "accept_by: project");
    let (stage, _) = turned_away_without_an_entry(&spec).await;
    let on = colleagues(
        "allow: { acme: { max_connections: 2 } }",
        "accept_by: project\nreconcile_connections: true",
    );
    let driver = stage.driver();
    let (plan, desired, world) = driver.plan(&on, privnet_core::plan::PlanOptions::default()).await;
    assert_eq!((rejects(&plan), plan.refusals.len()), (vec!["acme-reader".to_owned()], 0));
    let stranger = stage.connect("orders", "mallory-labs")["connection"].as_str().unwrap().to_owned();
    let (away, report) = stage.reject(&spec, &stranger, false).await;
    assert_done(&away, &report);
    // Their entry stays, beside those of the plan.
    let report = driver.execute(&plan, &desired, &world).await;
    assert_done(&plan, &report);
    let mut listed = own_attachment(&stage, &on).await.consumer_reject_lists;
    listed.sort();
    assert_eq!(listed, ["acme-reader", "mallory-labs"]);
    assert_eq!(state(&stage, &on, &stranger).await, ConnectionState::Rejected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_decision_does_to_the_reject_list_is_in_its_plan() {
    // The stranger of that project does not ask by itself.
    let stage = Stage::open_with(|options| options.hold_requests = true).await;
    let file = |by: &str| colleagues(ALLOW, &format!("accept_by: {by}"));
    let (by_project, by_endpoint) = (file("project"), file("endpoint"));
    stage.apply(&by_project).await;
    let gone = stage.connect("orders", "mallory-labs");
    let (plan, report) = stage.reject(&by_project, gone["connection"].as_str().unwrap(), false).await;
    assert_done(&plan, &report);
    let wide = "puts its project on the reject list, which turns away whoever asks from there later";
    assert!(plan.warnings.iter().any(|one| one.ends_with(wide)), "{:?}", plan.warnings);
    let audited = |plan: &Plan| {
        let decided = plan.actions.iter().filter_map(|action| action.connection.as_deref());
        decided.flat_map(|one| one.besides.clone()).collect::<Vec<_>>()
    };
    assert!(audited(&plan).iter().any(|one| one.ends_with(wide)), "{plan:#?}");
    // Nobody is behind that entry any more when a decision needs a list of the other type.
    stage.leave(gone["endpoint"].as_str().unwrap()).await;
    let id = ask(&stage);
    let (decisions, plan, report) = stage.decide(&by_endpoint, &Ask::default()).await;
    assert_done(&plan, &report);
    let own = decisions.iter().find(|one| one.connection == id).unwrap();
    assert!(
        own.besides.said.len() == 1 && own.besides.said[0].contains("takes mallory-labs off"),
        "{own:#?}"
    );
    assert_eq!(audited(&plan), own.besides.said);
    assert_eq!(state(&stage, &by_endpoint, &id).await, ConnectionState::Accepted);
    assert_eq!(own_attachment(&stage, &by_endpoint).await.consumer_reject_lists, [""; 0]);
}

/// A plan of decisions, and what carries it out.
pub(super) async fn deciding(stage: &Stage, spec: &Spec) -> (Driver, Plan, Desired, World) {
    let driver = stage.driver();
    let (desired, world) = driver.observe(spec, Purpose::Connections).await;
    let known = world.services["orders"].connections.known();
    let decisions = decide(&desired.services["orders"].policy, known, &Ask::default());
    let plan = plan_decisions(&desired, &world, &driver.kinds(), &decisions);
    (driver, plan, desired, world)
}

/// Carries out what must be found to be out of date: how it says so.
async fn out_of_date(
    stage: &Stage,
    (driver, plan, desired, world): (Driver, Plan, Desired, World),
) -> String {
    let before = stage.everything().await;
    let report = driver.execute(&plan, &desired, &world).await;
    let failed: Vec<_> = report.failures().collect();
    assert!(failed.len() == 1 && failed[0].kind() == ErrorKind::Conflict, "{report:#?}");
    assert!(failed[0].hints().iter().any(|hint| hint.starts_with("run the command again")), "{failed:?}");
    assert_eq!(stage.everything().await, before);
    failed[0].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_does_to_others_what_was_said_and_no_more() {
    let stage = Stage::open_with(|options| options.hold_requests = true).await;
    let file = |by: &str| colleagues("allow: { acme: { max_connections: 3 } }", &format!("accept_by: {by}"));
    let spec = file("endpoint");
    stage.apply(&spec).await;
    let name = own_attachment(&stage, &spec).await.name.unwrap();
    let reject = async |who: &'static [&'static str]| {
        let change = |there: &mut ServiceAttachment| {
            there.consumer_reject_lists = who.iter().map(ToString::to_string).collect();
        };
        stage.edit_attachment(&name, change).await;
    };
    let ids = [ask(&stage), ask(&stage)];
    stage.until_pending(&spec, "orders", 2).await;
    // Its entry goes for want of room, which is said; another one is put there before that is done.
    reject(&["mallory-labs"]).await;
    let planned = deciding(&stage, &spec).await;
    assert_eq!(planned.1.actions.len(), 2);
    reject(&["mallory-labs", "initech"]).await;
    let driver = &planned.0;
    let before = own_attachment(&stage, &spec).await.consumer_reject_lists;
    let report = driver.execute(&planned.1, &planned.2, &planned.3).await;
    let failed: Vec<String> = report.failures().map(ToString::to_string).collect();
    let whole = |one: &String| one.contains("(initech off the reject list)");
    assert!(failed.len() == 2 && failed.iter().all(whole), "{failed:?}");
    assert_eq!(own_attachment(&stage, &spec).await.consumer_reject_lists, before);
    // Fewer than was said: nobody is the worse for it. The second finds done what both said.
    let (driver, plan, desired, world) = deciding(&stage, &spec).await;
    reject(&["initech"]).await;
    assert_done(&plan, &driver.execute(&plan, &desired, &world).await);
    for id in &ids {
        assert_eq!(state(&stage, &spec, id).await, ConnectionState::Accepted);
    }
    assert_eq!(own_attachment(&stage, &spec).await.consumer_reject_lists, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_keeps_nobody_else_out_than_was_said() {
    let (stage, _) = turned_away_without_an_entry(&colleagues(ALLOW, "")).await;
    let spec = colleagues("allow: { acme: { max_connections: 3 } }", "");
    let (live, later) = (ask(&stage), ask(&stage));
    stage.until_pending(&spec, "orders", 2).await;
    let only = Ask { connection: Some(live.clone()), ..Ask::default() };
    let (_, plan, report) = stage.decide(&spec, &only).await;
    assert_done(&plan, &report);
    let driver = stage.driver();
    let (desired, world) = driver.observe(&spec, Purpose::Connections).await;
    let plan = plan_rejection(&desired, &world, &driver.kinds(), &live, true).expect("it is there");
    // To cut the first one the attachment reconciles: by then another one was turned away, whose entry is gone as well.
    let (away, report) = stage.reject(&spec, &later, false).await;
    assert_done(&away, &report);
    let name = own_attachment(&stage, &spec).await.name.unwrap();
    let nobodys = "projects/initech/regions/us-east4/forwardingRules/1".to_owned();
    stage.edit_attachment(&name, |there| there.consumer_reject_lists = vec![nobodys]).await;
    let why = out_of_date(&stage, (driver, plan, desired, world)).await;
    assert_eq!(why.matches("on the reject list").count(), 1, "{why}");
    assert_eq!(state(&stage, &spec, &live).await, ConnectionState::Accepted);
    let (plan, report) = stage.reject(&spec, &live, true).await;
    assert_done(&plan, &report);
    assert_eq!(own_attachment(&stage, &spec).await.consumer_reject_lists.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_in_the_end_switches_nothing_off_before() {
    let policy =
        |limit: u32| format!("allow: {{ acme: {{ max_connections: {limit} }} }}\n    acceptance: automatic");
    let stage = Stage::open().await;
    let on = colleagues(&policy(1), "reconcile_connections: true");
    stage.apply(&on).await;
    let name = own_attachment(&stage, &on).await.name.unwrap();
    let off = colleagues(&policy(2), "");
    let driver = stage.driver();
    let (plan, desired, world) = driver.plan(&off, privnet_core::plan::PlanOptions::default()).await;
    let entry = ServiceAttachmentConsumerProjectLimit::new().set_project_id_or_num("mallory-labs");
    let add =
        |there: &mut ServiceAttachment| there.consumer_accept_lists.push(entry.set_connection_limit(1_u32));
    stage.edit_attachment(&name, add).await;
    let why = out_of_date(&stage, (driver, plan, desired, world)).await;
    assert!(why.contains("changed the accept list since the plan"), "{why}");
    assert_eq!(own_attachment(&stage, &on).await.reconcile_connections, Some(true));
    stage.apply(&off).await;
    assert_eq!(own_attachment(&stage, &off).await.reconcile_connections, Some(false));
    stage.assert_settled(&off).await;
}

/// Several are turned away together, and the list has room for one of them: that is known before anybody is turned away.
#[tokio::test(flavor = "multi_thread")]
async fn as_many_are_turned_away_together_as_the_list_has_room_for() {
    let stage = Stage::open_with(|options| options.hold_requests = true).await;
    let spec = colleagues(ALLOW, "");
    stage.apply(&spec).await;
    let name = own_attachment(&stage, &spec).await.name.unwrap();
    let nobodys = |nth: u32| format!("projects/initech/regions/us-east4/forwardingRules/{nth}");
    stage.edit_attachment(&name, |there| there.consumer_reject_lists = (1..64).map(nobodys).collect()).await;
    let mut ids: Vec<String> = (0..3)
        .map(|_| stage.connect("orders", "mallory-labs")["connection"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    stage.until_pending(&spec, "orders", 3).await;
    let others = Ask { reject_others: true, ..Ask::default() };
    let (decisions, plan, report) = stage.decide(&spec, &others).await;
    let refused: Vec<&str> =
        decisions.iter().filter(|one| one.is_refused()).map(|one| one.connection.as_str()).collect();
    assert_eq!(refused, ids[1..], "{decisions:#?}");
    assert_eq!((plan.actions.len(), plan.refusals.len()), (1, 2), "{plan:#?}");
    assert!(plan.refusals.iter().all(|one| one.why.contains("no room for it beside those")), "{plan:#?}");
    assert_eq!((report.outcomes.len(), report.failures().count()), (1, 0), "{report:#?}");
    assert_eq!(state(&stage, &spec, &ids[0]).await, ConnectionState::Rejected);
    // It is full by now, which is said of each.
    let (_, plan, report) = stage.decide(&spec, &others).await;
    assert!(plan.is_empty() && report.outcomes.is_empty(), "{plan:#?}");
    assert!(plan.refusals.iter().all(|one| one.why.contains("it has 64 entries")), "{plan:#?}");
}
