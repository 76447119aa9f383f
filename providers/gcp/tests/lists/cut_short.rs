//! Decisions that were cut short, or met the attachment's owner: what they left is known by its operation, and what the owner switched on stays.

use privnet_core::ErrorKind;
use privnet_core::Purpose;
use privnet_core::accept::{Ask, ConnectionState, decide};
use privnet_core::plan::{PlanOptions, plan_decisions, plan_rejection};
use privnet_core::spec::Spec;

use super::{ALLOW, ask, attachment, colleagues, note, own_attachment, shared_with_strangers, state};
use crate::stage::{self, REGION, Stage, assert_done};

/// Whether the first and then the second run of a decision on this connection ended as they must: what the first left undone, the second
/// puts right. The fault strikes when reconciling is to be switched off.
async fn cut_short_and_run_again(stage: &Stage, spec: &Spec, id: &str, accept: bool) {
    let decide = || async {
        if accept {
            let ask = Ask { connection: Some(id.to_owned()), reject_others: false, again: true };
            let (_, plan, report) = stage.decide(spec, &ask).await;
            (plan, report)
        } else {
            stage.reject(spec, id, true).await
        }
    };
    stage.fault("gcp:serviceAttachments.patch:2:code=forbidden");
    let (_, report) = decide().await;
    let failed: Vec<_> = report.failures().collect();
    assert_eq!(failed.len(), 1, "{report:#?}");
    let hint = failed[0].hints().join(" ");
    assert!(
        hint.contains("run the same command again") && hint.contains("--no-reconcile-connections"),
        "{hint}"
    );
    stage.heal();
    assert_eq!(attachment(stage, "shared-db").await.reconcile_connections, Some(true));
    let command = if accept { "accept-pending" } else { "reject" };
    let note = note(stage, spec, id).await;
    assert!(note.contains("--no-reconcile-connections` sets that back"), "{note}");
    assert!(note.ends_with(&format!(", and so does `privnet {command} --connection {id}`")), "{note}");
    let (plan, report) = decide().await;
    assert_eq!(plan.actions.len(), 1, "{plan:#?}");
    assert_done(&plan, &report);
    assert_eq!(attachment(stage, "shared-db").await.reconcile_connections, Some(false));
    // What is as it should be is not decided on anew.
    assert!(decide().await.0.is_empty());
}

/// A service with two colleagues who are connected, and this besides in its block.
fn two_colleagues(block: &str) -> Spec {
    colleagues("allow: { acme: { max_connections: 2 } }", block)
}

/// That service, and its connections.
async fn two_connected() -> (Stage, Spec, [String; 2]) {
    let (stage, spec) = (Stage::open().await, two_colleagues(""));
    stage.apply(&spec).await;
    let ids = [ask(&stage), ask(&stage)];
    stage.until_pending(&spec, "orders", 2).await;
    let (_, plan, report) = stage.decide(&spec, &Ask::default()).await;
    assert_done(&plan, &report);
    (stage, spec, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_decision_left_stays_where_the_file_says_so_by_then() {
    let (stage, spec, ids) = two_connected().await;
    stage.fault("gcp:serviceAttachments.patch:2:code=forbidden");
    let (_, report) = stage.reject(&spec, &ids[0], true).await;
    assert_eq!(report.failures().count(), 1, "{report:#?}");
    stage.heal();
    // The file comes to say what the decision left, so that apply has nothing to do.
    let on = two_colleagues("reconcile_connections: true");
    stage.assert_settled(&on).await;
    let (plan, report) = stage.reject(&on, &ids[1], true).await;
    assert_done(&plan, &report);
    assert_eq!(own_attachment(&stage, &on).await.reconcile_connections, Some(true));
    stage.assert_settled(&on).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_whose_answer_is_lost_leaves_nothing_switched_on() {
    let (stage, spec, ids) = two_connected().await;
    // The two reads before it are of what there is; it is done when the third one fails.
    stage.fault("gcp:serviceAttachments.get:3:code=forbidden");
    let (_, report) = stage.reject(&spec, &ids[0], true).await;
    let hints = || report.failures().flat_map(|error| error.hints()).cloned().collect::<String>();
    assert!(report.failures().count() == 1 && !hints().contains("--no-reconcile-connections"), "{report:#?}");
    stage.heal();
    assert_eq!(own_attachment(&stage, &spec).await.reconcile_connections, Some(false));
    // Where that cannot be looked after, it is said.
    stage.fault("gcp:serviceAttachments.get:3+:code=forbidden");
    let (_, report) = stage.reject(&spec, &ids[1], true).await;
    let hints = || report.failures().flat_map(|error| error.hints()).cloned().collect::<String>();
    assert!(
        hints().contains("may still reconcile") && hints().contains("--no-reconcile-connections"),
        "{report:#?}"
    );
    stage.heal();
    assert_eq!(own_attachment(&stage, &spec).await.reconcile_connections, Some(true));
    let (plan, report) = stage.reject(&spec, &ids[1], true).await;
    assert_done(&plan, &report);
    assert_eq!(own_attachment(&stage, &spec).await.reconcile_connections, Some(false));
    // Turning away who is connected and who waits, before the service goes, is done one after the other.
    let late = [ask(&stage), ask(&stage)];
    let ask = Ask { connection: Some(late[0].clone()), ..Ask::default() };
    let (_, plan, report) = stage.decide(&spec, &ask).await;
    assert_done(&plan, &report);
    let options = PlanOptions { destroy: true, sever_connections: true, prune: false };
    let plan = stage.apply_with(&spec, options).await;
    let turned_away = |id: &&String| plan.actions.iter().any(|one| one.id.ends_with(id.as_str()));
    assert_eq!(late.iter().filter(turned_away).count(), 2, "{plan:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_owner_switches_on_meanwhile_stays() {
    let stage = Stage::open().await;
    let spec = shared_with_strangers();
    let id = stage.connect("shared-db", "mallory-labs")["connection"].as_str().unwrap().to_owned();
    let (_, plan, report) = stage.decide(&spec, &Ask::default()).await;
    assert_done(&plan, &report);
    let (plan, report) = stage.reject(&spec, &id, true).await;
    assert_done(&plan, &report);
    let again = Ask { connection: Some(id.clone()), reject_others: false, again: true };
    stage.fault("gcp:serviceAttachments.patch:2:code=forbidden");
    assert_eq!(stage.decide(&spec, &again).await.2.failures().count(), 1);
    stage.heal();
    // It was left reconciling when the plan was made; by then its owner means it.
    let driver = stage.driver();
    let (desired, world) = driver.observe(&spec, Purpose::Connections).await;
    let known = world.services["orders"].connections.known();
    let decisions = decide(&desired.services["orders"].policy, known, &again);
    let plan = plan_decisions(&desired, &world, &driver.kinds(), &decisions);
    assert_eq!(plan.actions.len(), 1, "{plan:#?}");
    stage.reconcile("shared-db").await;
    let report = driver.execute(&plan, &desired, &world).await;
    assert_done(&plan, &report);
    let said = format!("{:?}", report.outcomes);
    assert!(said.contains("as it is meant to") && !said.contains("any more"), "{said}");
    assert_eq!(attachment(&stage, "shared-db").await.reconcile_connections, Some(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_owner_switches_on_between_two_looks_stays() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let stage = Stage::open_with(|options| options.record = Some(record.clone())).await;
    let spec = shared_with_strangers();
    let endpoint = stage.connect("shared-db", "mallory-labs");
    let id = endpoint["connection"].as_str().unwrap().to_owned();
    let there = attachment(&stage, "shared-db").await;
    let driver = stage.driver();
    let (desired, world) = driver.observe(&spec, Purpose::Connections).await;
    let plan = plan_rejection(&desired, &world, &driver.kinds(), &id, false).expect("it is there");
    // The second look does not come about before both are done: the owner's switch, and the consumer's leave.
    stage.fault("gcp:serviceAttachments.get:2+:code=resourceNotReady");
    let looks = || {
        let text = std::fs::read_to_string(&record).unwrap();
        text.lines().filter(|line| line.contains("resourceNotReady")).count()
    };
    let meanwhile = async {
        stage::until("it has looked once", || async { (looks() > 0).then_some(()) }).await;
        stage.reconcile_unread(there).await;
        stage.leave(endpoint["endpoint"].as_str().unwrap()).await;
        stage.heal();
    };
    let (report, ()) = tokio::join!(driver.execute(&plan, &desired, &world), meanwhile);
    let failed: Vec<_> = report.failures().map(ToString::to_string).collect();
    assert!(
        failed.len() == 1 && failed[0].contains("made to reconcile its connections meanwhile"),
        "{failed:?}"
    );
    assert_eq!(attachment(&stage, "shared-db").await.reconcile_connections, Some(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_of_the_users_is_not_left_reconciling() {
    let stage = Stage::open().await;
    let spec = shared_with_strangers();
    let id = stage.connect("shared-db", "mallory-labs")["connection"].as_str().unwrap().to_owned();
    let (_, plan, report) = stage.decide(&spec, &Ask::default()).await;
    assert_done(&plan, &report);
    let others = || async {
        let all = stage.connections(&spec, "orders").await;
        all.into_iter().filter(|one| one.id != id).map(|one| (one.id, one.state)).collect::<Vec<_>>()
    };
    let before = others().await;
    assert!(before.iter().any(|(_, state)| *state == ConnectionState::Accepted), "{before:?}");
    cut_short_and_run_again(&stage, &spec, &id, false).await;
    assert_eq!(state(&stage, &spec, &id).await, ConnectionState::Rejected);
    cut_short_and_run_again(&stage, &spec, &id, true).await;
    assert_eq!(state(&stage, &spec, &id).await, ConnectionState::Accepted);
    // Where its owner wants it to reconcile, it stays so; that this may not be looked into is said.
    stage.reconcile("shared-db").await;
    let notes = || async {
        let (desired, world) = stage.driver().observe(&spec, Purpose::Status).await;
        privnet_core::status::status(&desired, &world)[0].notes.clone()
    };
    let unknown = |one: &String| {
        one.contains("shared-db") && one.contains("the permission `compute.globalOperations.list`")
    };
    assert!(!notes().await.iter().any(unknown), "{:#?}", notes().await);
    stage.fault("gcp:globalOperations.aggregatedList:1+:code=forbidden");
    assert!(notes().await.iter().any(unknown), "{:#?}", notes().await);
    stage.heal();
    stage.fault(&format!("gcp:globalOperations.aggregatedList:1+:unreachable={REGION}"));
    let unanswered = |one: &String| one.contains("shared-db") && one.contains(&format!("not reach {REGION}"));
    assert!(notes().await.iter().any(unanswered), "{:#?}", notes().await);
    stage.heal();
    let (plan, report) = stage.reject(&spec, &id, true).await;
    assert_done(&plan, &report);
    assert_eq!(attachment(&stage, "shared-db").await.reconcile_connections, Some(true));
    let (plan, _) = stage.reject(&spec, &id, true).await;
    assert!(plan.is_empty(), "{plan:#?}");
    assert_eq!(others().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_takes_too_long_is_given_up_and_found_again() {
    let stage = Stage::open().await;
    let spec = colleagues(ALLOW, "");
    // This run's hour passes in seconds, and the cloud's operations take theirs.
    let driver = stage.driver();
    stage.set_speed(0.01);
    let (plan, report) = driver.apply(&spec, PlanOptions::default()).await;
    assert!(!report.all_done(), "{plan:#?}");
    let late: Vec<_> = report.failures().collect();
    assert!(late.iter().all(|error| error.kind() == ErrorKind::TimedOut), "{late:#?}");
    assert!(
        late.iter().all(|error| error.hints().iter().any(|hint| hint.contains("run the same command again")))
    );
    stage.set_speed(1_000.0);
    stage.apply(&spec).await;
    stage.assert_settled(&spec).await;
}
