//! What an acceptance leaves in the list of an attachment of the user's: whoever asks next by it is let in with nobody deciding, so it is told of.

use privnet_core::accept::{Ask, ConnectionState};
use privnet_core::plan::PlanOptions;
use privnet_core::spec::Spec;

use super::stage::{Stage, assert_done, with_policy};
use super::{attachment, state};

const DESTROY: PlanOptions = PlanOptions { prune: false, sever_connections: false, destroy: true };
const SHARED: &str = "existing: { service_attachment: shared-db }";

/// An attachment of the user's by whose list this vendor was let in, and its connection.
async fn let_in(spec: &Spec) -> (Stage, String) {
    let stage = Stage::open().await;
    let id = stage.connect("shared-db", "fivetran-donkeys")["connection"].as_str().unwrap().to_owned();
    let (_, plan, report) = stage.decide(spec, &Ask::default()).await;
    assert_done(&plan, &report);
    let besides = &plan.actions[0].connection.as_ref().unwrap().besides;
    assert!(besides.iter().any(|said| said.contains("keeps the entry for fivetran-donkeys")), "{besides:?}");
    (stage, id)
}

/// What a plan with these options, and a status, say of the list.
async fn said(stage: &Stage, spec: &Spec, options: PlanOptions, words: &str) -> Vec<bool> {
    let plan = stage.driver().plan(spec, options).await.0;
    assert!(plan.is_empty() && plan.refusals.is_empty(), "{plan:#?}");
    let world = stage.world(spec).await;
    let notes = world.notes.get("orders").into_iter().flatten();
    vec![
        plan.warnings.iter().any(|one| one.contains(words)),
        notes.into_iter().any(|one| one.contains(words)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_lets_in_the_next_one_is_told_of() {
    let spec = with_policy("allow: { fivetran: {} }", &format!("accept_by: project\n{SHARED}"), "");
    let (stage, id) = let_in(&spec).await;
    let words = "room for fivetran-donkeys: whoever asks next";
    // Its own connection takes the room.
    assert_eq!(said(&stage, &spec, PlanOptions::default(), words).await, [false; 2]);
    let there = attachment(&stage, "shared-db").await;
    let own = there
        .connected_endpoints
        .iter()
        .find(|one| one.psc_connection_id.is_some_and(|own| own.to_string() == id));
    stage.leave(own.unwrap().endpoint.as_ref().unwrap()).await;
    for options in [PlanOptions::default(), DESTROY] {
        assert_eq!(said(&stage, &spec, options, words).await, [true; 2], "{options:?}");
    }
    let gcloud =
        "service-attachments update shared-db --project acme-data --region us-east4 --consumer-accept-list";
    assert_eq!(said(&stage, &spec, DESTROY, gcloud).await, [true; 2]);
    // So it is: the cloud lets the next one in.
    let next = stage.connect("shared-db", "fivetran-donkeys")["connection"].as_str().unwrap().to_owned();
    assert_eq!(state(&stage, &spec, &next).await, ConnectionState::Accepted);
}

/// A tombstone of an attachment of the user's made nothing, and tells of whoever was let in there.
#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_tells_who_stays_and_whom_the_list_lets_in() {
    let by_project = format!("accept_by: project\n{SHARED}");
    let (stage, id) = let_in(&with_policy("allow: { fivetran: {} }", &by_project, "")).await;
    for block in [SHARED, &by_project] {
        let gone = with_policy("remove: true", block, "");
        for options in [PlanOptions::default(), DESTROY] {
            let plan = stage.driver().plan(&gone, options).await.0;
            let about = |words: &str| plan.warnings.iter().any(|one| one.contains(words));
            assert!(
                about("stay accepted") && about(&id) && !about("nothing of it is in"),
                "{:#?}",
                plan.warnings
            );
            assert_eq!(said(&stage, &gone, options, "fivetran-donkeys by itself").await, [true; 2]);
        }
        let (plan, report) = stage.driver().apply(&gone, DESTROY).await;
        assert!(plan.is_empty() && report.outcomes.is_empty(), "{plan:#?}");
        assert_eq!(state(&stage, &gone, &id).await, ConnectionState::Accepted);
    }
}
