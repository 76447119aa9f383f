//! Limits of accept lists, addresses that run out, entries that stand for a whole project, and whom an apply lets in or cuts.

use std::collections::BTreeMap;

use privnet_core::accept::{Ask, Connection, ConnectionState};
use privnet_core::plan::Rule;
use privnet_core::spec::Spec;

use super::stage::{self, ONE, Stage, assert_done, with_policy};
use super::{SEVER, colleagues};

/// The connections of a state, with what is said of them.
async fn notes(stage: &Stage, spec: &Spec, state: ConnectionState) -> Vec<String> {
    let world = stage.driver().observe(spec, privnet_core::Purpose::Status).await.1;
    let known: Vec<Connection> = world.services["orders"].connections.known().to_vec();
    known.into_iter().filter(|one| one.state == state).map(|one| one.note.unwrap_or_default()).collect()
}

/// A service that lets this many endpoints of the colleague's project in, over a range of this size.
fn open_to_colleagues(limit: u32, cidr: &str) -> Spec {
    let policy = format!("allow: {{ acme: {{ max_connections: {limit} }} }}\n    acceptance: automatic");
    let block = format!("nat_subnets: [{{ create: {{ cidr: {cidr} }} }}]\nports: [{ONE}]");
    with_policy(&policy, &block, "consumers: { acme: { gcp: { projects: [acme-reader] } } }")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_the_limit_is_explained() {
    let stage = Stage::open().await;
    let spec = open_to_colleagues(1, "10.8.0.0/24");
    stage.apply(&spec).await;
    stage.connect("orders", "acme-reader");
    stage.connect("orders", "acme-reader");
    let pending = stage::until("one is over the limit", || async {
        let pending = notes(&stage, &spec, ConnectionState::Pending).await;
        pending.iter().any(|note| note.contains("limit of 1")).then_some(pending)
    })
    .await;
    assert!(
        pending.iter().any(|note| note.contains("has its limit of 1 connection(s) already")),
        "{pending:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_run_out_are_explained() {
    let stage = Stage::open().await;
    // Eight addresses, of which four are the cloud's.
    let spec = open_to_colleagues(9, "10.8.0.0/29");
    stage.apply(&spec).await;
    for _ in 0..5 {
        stage.connect("orders", "acme-reader");
    }
    let attention = stage::until("one has no address", || async {
        let attention = notes(&stage, &spec, ConnectionState::NeedsAttention).await;
        (!attention.is_empty()).then_some(attention)
    })
    .await;
    assert!(attention.iter().all(|note| note.contains("NAT subnets")), "{attention:?}");
    // That is said once, of the service, and by a plan, too.
    let (desired, world) = stage.driver().observe(&spec, privnet_core::Purpose::Status).await;
    let notes = &privnet_core::status::status(&desired, &world)[0].notes;
    let said = notes.iter().filter(|note| note.contains("0 of 4 addresses left")).count();
    assert_eq!(said, 1, "{notes:?}");
    let plan = stage.plan(&spec).await;
    assert!(plan.waits.iter().any(|wait| wait.why.contains("0 of 4 addresses left")), "{:?}", plan.waits);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_for_a_project_is_not_taken_away_for_one_of_its_endpoints() {
    let stage = Stage::open().await;
    let spec = open_to_colleagues(2, "10.8.0.0/24");
    stage.apply(&spec).await;
    let ids: Vec<String> = (0..3)
        .map(|_| stage.connect("orders", "acme-reader")["connection"].as_str().unwrap().to_owned())
        .collect();
    // Only these three: the vendor's request and the stranger's come by themselves, whenever they like.
    let states = || async {
        let all = stage.connections(&spec, "orders").await;
        let asked = all.into_iter().filter(|one| ids.contains(&one.id));
        asked.map(|one| (one.id, one.state)).collect::<BTreeMap<_, _>>()
    };
    let before = stage::until("two are let in, one is over the limit", || async {
        let all = states().await;
        let count = |state| ids.iter().filter(|id| all.get(*id) == Some(&state)).count();
        (count(ConnectionState::Accepted) == 2 && count(ConnectionState::Pending) == 1).then_some(all)
    })
    .await;
    let of = |state| ids.iter().find(|id| before.get(*id) == Some(&state)).unwrap().clone();
    // To turn the one away that waits would cut the others: not without the word.
    let (plan, _) = stage.reject(&spec, &of(ConnectionState::Pending), false).await;
    assert!(plan.is_empty(), "{plan:#?}");
    let refused = &plan.refusals[0];
    assert_eq!((refused.rule, refused.flag.as_deref()), (Rule::WouldSever, Some("--sever-connections")));
    let cut: Vec<&String> = ids.iter().filter(|id| refused.why.contains(*id)).collect();
    assert_eq!(cut.len(), 3, "it names itself and whom it would cut: {}", refused.why);
    assert_eq!(states().await, before);
    // With the word they all go, and the plan has said so.
    let (plan, report) = stage.reject(&spec, &of(ConnectionState::Accepted), true).await;
    assert!(plan.warnings.iter().any(|warning| warning.contains("as well")), "{:?}", plan.warnings);
    assert_done(&plan, &report);
    let after = states().await;
    assert!(ids.iter().all(|id| after.get(id) != Some(&ConnectionState::Accepted)), "{after:?}");
}

/// The colleagues' connections that are in this state, of those that asked.
async fn in_state(stage: &Stage, spec: &Spec, ids: &[String], state: ConnectionState) -> usize {
    let all = stage.connections(spec, "orders").await;
    all.iter().filter(|one| ids.contains(&one.id) && one.state == state).count()
}

fn ask(stage: &Stage, count: usize) -> Vec<String> {
    let ask = |_| stage.connect("orders", "acme-reader")["connection"].as_str().unwrap().to_owned();
    (0..count).map(ask).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_lets_in_nobody_who_was_not_decided_on() {
    let stage = Stage::open().await;
    let two = "allow: { acme: { max_connections: 2 } }";
    let spec = colleagues(two, "");
    stage.apply(&spec).await;
    let ids = ask(&stage, 3);
    stage.until_pending(&spec, "orders", 3).await;
    let one = Ask { connection: Some(ids[0].clone()), reject_others: false, again: false };
    let (_, plan, report) = stage.decide(&spec, &one).await;
    assert_done(&plan, &report);
    // The entry for its project has room for this one.
    let by_project = colleagues(two, "accept_by: project");
    stage.apply(&by_project).await;
    assert_eq!(in_state(&stage, &by_project, &ids, ConnectionState::Accepted).await, 1);
    stage.assert_settled(&by_project).await;
    // What automatic acceptance left room for is closed once people decide again.
    let open = colleagues("allow: { acme: { max_connections: 5 } }\n    acceptance: automatic", "");
    stage.apply(&open).await;
    stage::until("all three are in", || async {
        (in_state(&stage, &open, &ids, ConnectionState::Accepted).await == 3).then_some(())
    })
    .await;
    stage.apply(&by_project).await;
    let late = ask(&stage, 1);
    assert_eq!(in_state(&stage, &by_project, &late, ConnectionState::Pending).await, 1);
    assert_eq!(in_state(&stage, &by_project, &ids, ConnectionState::Accepted).await, 3);
    stage.assert_settled(&by_project).await;
}

/// A plan that is refused for want of the word, for the sake of these.
async fn assert_needs_the_word(stage: &Stage, spec: &Spec, ids: &[String]) {
    let plan = stage.plan(spec).await;
    assert!(plan.is_empty(), "{:#?}", plan.actions);
    let refused = plan.refusals.iter().find(|one| one.rule == Rule::WouldSever).expect("it is refused");
    assert!(ids.iter().all(|id| refused.why.contains(id)), "{}", refused.why);
}

#[tokio::test(flavor = "multi_thread")]
async fn reconciling_cuts_nobody_without_the_word() {
    let stage = Stage::open().await;
    let automatic = |room: u32, reconcile: bool| {
        let policy = format!("allow: {{ acme: {{ max_connections: {room} }} }}\n    acceptance: automatic");
        colleagues(&policy, &format!("reconcile_connections: {reconcile}"))
    };
    let spec = automatic(2, false);
    stage.apply(&spec).await;
    let ids = ask(&stage, 2);
    stage::until("both are in", || async {
        (in_state(&stage, &spec, &ids, ConnectionState::Accepted).await == 2).then_some(())
    })
    .await;
    // More room cuts nobody, less room does, and says whom.
    stage.apply(&automatic(3, true)).await;
    stage.apply(&automatic(4, true)).await;
    assert_needs_the_word(&stage, &automatic(1, true), &ids).await;
    // Without reconciling less room cuts nobody, also where one edit ends it; to reconcile then does.
    stage.apply(&automatic(1, false)).await;
    assert_eq!(in_state(&stage, &spec, &ids, ConnectionState::Accepted).await, 2);
    assert_needs_the_word(&stage, &automatic(1, true), &ids).await;
    let (plan, report) = stage.driver().apply(&automatic(1, true), SEVER).await;
    assert_eq!(plan.refusals, []);
    assert_done(&plan, &report);
    assert_eq!(in_state(&stage, &spec, &ids, ConnectionState::Accepted).await, 1);
    stage.assert_settled(&automatic(1, true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reject_does_not_stand_in_the_way_of_another_type() {
    let stage = Stage::open().await;
    let two = "allow: { acme: { max_connections: 2 } }";
    let spec = colleagues(two, "");
    stage.apply(&spec).await;
    let ids = ask(&stage, 2);
    let (plan, report) = stage.reject(&spec, &ids[0], false).await;
    assert_done(&plan, &report);
    // With nobody let in there is no list to switch: the decision does it.
    let by_project = colleagues(two, "accept_by: project");
    stage.apply(&by_project).await;
    let one = Ask { connection: Some(ids[1].clone()), reject_others: false, again: false };
    let (_, plan, report) = stage.decide(&by_project, &one).await;
    assert_done(&plan, &report);
    stage.apply(&spec).await;
    let (plan, report) = stage.reject(&spec, &ask(&stage, 1)[0], false).await;
    assert_done(&plan, &report);
    for edited in [by_project, colleagues(&format!("{two}\n    acceptance: automatic"), "")] {
        stage.apply(&edited).await;
        stage.assert_settled(&edited).await;
    }
    assert_eq!(in_state(&stage, &spec, &ids[1..], ConnectionState::Accepted).await, 1);
    assert_eq!(in_state(&stage, &spec, &ids[..1], ConnectionState::Rejected).await, 1);
}
