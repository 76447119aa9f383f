//! What becomes of the reject list where something else changes: the plan says it, and what is done is that.

use privnet_core::Value;
use privnet_core::accept::{Ask, ConnectionState};
use privnet_core::plan::Plan;
use privnet_core::spec::Spec;

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
    assert!(own.besides.len() == 1 && own.besides[0].contains("takes mallory-labs off"), "{own:#?}");
    assert_eq!(audited(&plan), own.besides);
    assert_eq!(state(&stage, &by_endpoint, &id).await, ConnectionState::Accepted);
    assert_eq!(own_attachment(&stage, &by_endpoint).await.consumer_reject_lists, [""; 0]);
}
