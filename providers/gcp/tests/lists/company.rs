//! An entry for a whole project lets in all of it: who would come in together is known when a decision is planned, and looked at once more when
//! it is carried out.

use privnet_core::ErrorKind;
use privnet_core::accept::{Ask, ConnectionState};
use privnet_core::plan::{Plan, Rule};
use privnet_core::spec::Spec;

use super::rejects::deciding;
use super::{ask, assert_done, colleagues, own_attachment, patches, state};
use crate::stage::Stage;

fn by_project(max: u32) -> Spec {
    colleagues(&format!("allow: {{ acme: {{ max_connections: {max} }} }}"), "accept_by: project")
}

fn named(id: &str) -> Ask {
    Ask { connection: Some(id.to_owned()), ..Ask::default() }
}

/// It is refused before anything is done, and says whom it would let in and what to do instead.
fn is_refused(plan: &Plan, others: &[&String]) {
    assert!(plan.is_empty(), "{plan:#?}");
    let refused: Vec<_> = plan.refusals.iter().collect();
    assert_eq!(refused.len(), 1, "{refused:#?}");
    assert_eq!((refused[0].rule, &refused[0].flag), (Rule::Unsuitable, &None));
    let (_, why) = refused[0].why.split_once("the cloud would let in").unwrap();
    assert!(others.iter().all(|id| why.contains(*id)) && why.contains("`accept_by: endpoint`"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_of_a_project_is_refused_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let stage = Stage::open_with(|options| {
        options.record = Some(record.clone());
        options.hold_requests = true;
    })
    .await;
    let two = by_project(2);
    stage.apply(&two).await;
    let ids = [ask(&stage), ask(&stage)];
    stage.until_pending(&two, "orders", 2).await;
    let before = patches(&record).len();
    // Whether there is room for the other one or not.
    for spec in [&two, &by_project(1)] {
        let (decisions, plan, report) = stage.decide(spec, &named(&ids[0])).await;
        is_refused(&plan, &[&ids[1]]);
        assert!(report.outcomes.is_empty(), "{report:#?}");
        let own = decisions.iter().find(|one| one.connection == ids[0]).unwrap();
        assert!(own.is_refused() && !own.is_ambiguous(), "{own:#?}");
    }
    assert_eq!(patches(&record).len(), before, "nothing was sent");
    // Where both are let in it goes on, and so does the third, who comes alone.
    let (_, plan, report) = stage.decide(&two, &Ask::default()).await;
    assert_done(&plan, &report);
    let three = by_project(3);
    let third = ask(&stage);
    assert_eq!(state(&stage, &three, &third).await, ConnectionState::Pending);
    let (_, plan, report) = stage.decide(&three, &named(&third)).await;
    assert_done(&plan, &report);
    for id in ids.iter().chain([&third]) {
        assert_eq!(state(&stage, &three, id).await, ConnectionState::Accepted);
    }
    let listed = own_attachment(&stage, &three).await.consumer_accept_lists;
    assert_eq!(listed.iter().map(|one| one.connection_limit).collect::<Vec<_>>(), [Some(3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_while_an_acceptance_is_confirmed_does_not_come_in_with_it() {
    let stage = Stage::open_with(|options| options.hold_requests = true).await;
    let spec = by_project(2);
    stage.apply(&spec).await;
    let id = ask(&stage);
    stage.until_pending(&spec, "orders", 1).await;
    let (driver, plan, desired, world) = deciding(&stage, &spec).await;
    assert_eq!(plan.actions.len(), 1);
    let late = ask(&stage);
    let report = driver.execute(&plan, &desired, &world).await;
    let failed: Vec<_> = report.failures().collect();
    assert!(failed.len() == 1 && failed[0].kind() == ErrorKind::Conflict, "{report:#?}");
    assert!(failed[0].message().contains(&late), "{failed:?}");
    for id in [&id, &late] {
        assert_eq!(state(&stage, &spec, id).await, ConnectionState::Pending);
    }
}

/// Whom a rejection cuts along is in its plan with all that the audit log says of a decision.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_cut_along_is_told_for_the_audit_log() {
    let (stage, spec) = (Stage::open().await, by_project(2));
    stage.apply(&spec).await;
    let ids = [ask(&stage), ask(&stage)];
    stage.until_pending(&spec, "orders", 2).await;
    let (_, plan, report) = stage.decide(&spec, &Ask::default()).await;
    assert_done(&plan, &report);
    let (plan, report) = stage.reject(&spec, &ids[0], true).await;
    assert_done(&plan, &report);
    let cut = &plan.actions[0].connection.as_ref().unwrap().cut;
    assert_eq!(cut.len(), 1, "{cut:#?}");
    assert_eq!((&cut[0].id, cut[0].consumer.as_deref()), (&ids[1], Some("acme")));
    assert!(cut[0].who.contains("project:acme-reader"), "{}", cut[0].who);
    assert_eq!(state(&stage, &spec, &ids[1]).await, ConnectionState::Rejected);
}

/// One that waits is turned away with the word, since its sibling loses the entry that let it in; nobody who is in is said to be cut.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_turned_away_with_the_word_and_its_sibling_stays() {
    let (stage, spec) = (Stage::open_with(|options| options.hold_requests = true).await, by_project(1));
    stage.apply(&spec).await;
    let own = ask(&stage);
    stage.until_pending(&spec, "orders", 1).await;
    let (_, plan, report) = stage.decide(&spec, &Ask::default()).await;
    assert_done(&plan, &report);
    let waits = ask(&stage);
    assert_eq!(state(&stage, &spec, &waits).await, ConnectionState::Pending);
    let (refused, _) = stage.reject(&spec, &waits, false).await;
    assert!(refused.is_empty() && refused.refusals[0].why.contains("not let in again"), "{refused:#?}");
    let (plan, report) = stage.reject(&spec, &waits, true).await;
    assert_eq!(plan.refusals, []);
    assert_done(&plan, &report);
    let decided = plan.actions[0].connection.as_ref().unwrap();
    assert!(decided.cut.is_empty() && decided.along.is_empty(), "{decided:#?}");
    assert!(
        plan.warnings.iter().any(|said| said.contains(&format!("{own} stays connected"))),
        "{:#?}",
        plan.warnings
    );
    assert_eq!(state(&stage, &spec, &own).await, ConnectionState::Accepted);
    assert_eq!(state(&stage, &spec, &waits).await, ConnectionState::Rejected);
}

/// Who waits beside the one that is turned away goes with it, and the audit log has a line for each.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_turned_away_along_is_told_for_the_audit_log() {
    let (stage, spec) = (Stage::open_with(|options| options.hold_requests = true).await, by_project(2));
    stage.apply(&spec).await;
    let ids = [ask(&stage), ask(&stage)];
    stage.until_pending(&spec, "orders", 2).await;
    let (plan, report) = stage.reject(&spec, &ids[0], false).await;
    assert_done(&plan, &report);
    let decided = plan.actions[0].connection.as_ref().unwrap();
    assert!(decided.cut.is_empty(), "{decided:#?}");
    let [other] = decided.turned_away.as_slice() else { panic!("{decided:#?}") };
    assert_eq!((&other.id, other.consumer.as_deref()), (&ids[1], Some("acme")));
    assert_eq!(state(&stage, &spec, &ids[1]).await, ConnectionState::Rejected);
}
