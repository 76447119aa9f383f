//! Decisions on connections: accepted, ambiguous, rejected, refused by AWS inside an answer of success.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's own functions: what fails there fails the test"
)]

mod stage;

use privnet_core::ErrorKind;
use privnet_core::accept::{Ask, ConnectionState, Verdict, Why};
use privnet_core::plan::{PlanOptions, Rule};
use privnet_core::world::Connections;
use stage::{Stage, assert_done, failure, file, service};

/// Fivetran's account, as everywhere in the local cloud.
const FIVETRAN: &str = "account:834469178297";

fn chosen(id: &str) -> Ask {
    Ask { connection: Some(id.to_owned()), reject_others: false, again: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consumer_is_let_in_and_the_stranger_is_left() {
    let stage = Stage::open().await;
    let spec = file("");
    stage.apply(&spec).await;
    let asked = stage.until_pending(&spec, "orders", 2).await;
    assert!(
        asked.iter().any(|c| c.who() == FIVETRAN) && asked.iter().any(|c| c.who() != FIVETRAN),
        "{asked:#?}"
    );

    let (decisions, plan, report) = stage.decide(&spec, &Ask::default()).await;
    assert_done(&plan, &report);
    assert_eq!(plan.actions.len(), 1);
    assert_eq!(decisions.iter().filter(|d| d.verdict == Verdict::Accepted && d.who == FIVETRAN).count(), 1);
    assert!(decisions.iter().any(|d| d.why == Why::Stranger && d.verdict == Verdict::Left));
    for connection in stage.connections(&spec, "orders").await {
        let wanted =
            if connection.who() == FIVETRAN { ConnectionState::Accepted } else { ConnectionState::Pending };
        assert_eq!(connection.state, wanted, "{connection:?}");
    }
    stage.assert_settled(&spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_than_room_are_ambiguous_until_one_is_chosen() {
    let stage = Stage::open().await;
    let spec = file("");
    stage.apply(&spec).await;
    stage.until_pending(&spec, "orders", 2).await;
    stage.connect("orders", "fivetran");
    let asked = stage.until_pending(&spec, "orders", 3).await;
    let mine = asked.iter().rfind(|c| c.who() == FIVETRAN).unwrap().id.clone();

    let (decisions, plan, _) = stage.decide(&spec, &Ask::default()).await;
    assert!(plan.actions.is_empty(), "{plan:#?}");
    assert_eq!(plan.refusals.iter().filter(|refusal| refusal.rule == Rule::Ambiguous).count(), 2);
    assert!(decisions.iter().all(|decision| decision.verdict == Verdict::Left));

    let (_, plan, report) = stage.decide(&spec, &chosen(&mine)).await;
    assert_done(&plan, &report);
    let live: Vec<_> = stage
        .connections(&spec, "orders")
        .await
        .into_iter()
        .filter(|c| c.state.may_be_live())
        .map(|c| c.id)
        .collect();
    assert_eq!(live, [mine]);
    let (decisions, ..) = stage.decide(&spec, &Ask::default()).await;
    assert!(
        decisions.iter().any(|decision| matches!(decision.why, Why::Full { max: 1, .. })),
        "{decisions:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_rejected_where_that_is_asked() {
    let stage = Stage::open().await;
    let spec = file("");
    stage.apply(&spec).await;
    stage.until_pending(&spec, "orders", 2).await;
    let (_, plan, report) =
        stage.decide(&spec, &Ask { connection: None, reject_others: true, again: false }).await;
    assert_done(&plan, &report);
    for connection in stage.connections(&spec, "orders").await {
        let wanted =
            if connection.who() == FIVETRAN { ConnectionState::Accepted } else { ConnectionState::Rejected };
        assert_eq!(connection.state, wanted, "{connection:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_connection_is_cut_only_when_that_is_said() {
    let stage = Stage::open().await;
    let spec = file("");
    stage.apply(&spec).await;
    stage.until_pending(&spec, "orders", 2).await;
    stage.decide(&spec, &Ask::default()).await;
    let live = stage.connections(&spec, "orders").await.into_iter().find(|c| c.who() == FIVETRAN).unwrap();

    let (plan, _) = stage.reject(&spec, &live.id, false).await;
    assert!(plan.actions.is_empty());
    assert_eq!(plan.refusals[0].rule, Rule::WouldSever);
    let (destroy, ..) =
        stage.driver().plan(&spec, PlanOptions { destroy: true, ..PlanOptions::default() }).await;
    assert!(destroy.actions.is_empty(), "{destroy:#?}");
    assert!(destroy.refusals.iter().any(|refusal| refusal.rule == Rule::WouldSever));

    let (plan, report) = stage.reject(&spec, &live.id, true).await;
    assert_done(&plan, &report);
    let now = stage.connections(&spec, "orders").await.into_iter().find(|c| c.id == live.id).unwrap();
    assert_eq!(now.state, ConnectionState::Rejected);
}

/// AWS answers 200 and lists the endpoint as unsuccessful: that is a failure, with its code.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_went_meanwhile_is_a_failure() {
    let stage = Stage::open().await;
    let spec = file("");
    stage.apply(&spec).await;
    let asked = stage.until_pending(&spec, "orders", 2).await;
    let mine = asked.iter().find(|c| c.who() == FIVETRAN).unwrap();
    let driver = stage.driver();
    let (desired, world) = driver.observe(&spec, privnet_core::Purpose::Connections).await;
    let decisions = privnet_core::accept::decide(
        &desired.services["orders"].policy,
        world.services["orders"].connections.known(),
        &chosen(&mine.id),
    );
    let plan = privnet_core::plan::plan_decisions(&desired, &world, &driver.kinds(), &decisions);
    assert_eq!(plan.actions.len(), 1);
    // Between the decision and its execution somebody turns the request away by hand.
    let service = mine.handle.split('/').next().unwrap();
    let answer =
        stage.ec2().reject_vpc_endpoint_connections().service_id(service).vpc_endpoint_ids(&mine.id).send();
    assert!(answer.await.unwrap().unsuccessful().is_empty());
    let report = driver.execute(&plan, &desired, &world).await;
    assert_eq!(failure(&report).kind(), ErrorKind::Conflict, "{:?}", failure(&report));
    let now = stage.connections(&spec, "orders").await.into_iter().find(|c| c.id == mine.id).unwrap();
    assert_eq!(now.state, ConnectionState::Rejected, "nobody was let in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_lets_in_once() {
    let stage = Stage::open().await;
    let spec = file("");
    stage.apply(&spec).await;
    stage.until_pending(&spec, "orders", 2).await;
    stage.fault("aws:AcceptVpcEndpointConnections:1:lost");
    let (_, plan, report) = stage.decide(&spec, &Ask::default()).await;
    assert_done(&plan, &report);
    let live = stage.connections(&spec, "orders").await.into_iter().filter(|c| c.state.may_be_live()).count();
    assert_eq!(live, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_cannot_be_read_are_taken_to_be_live() {
    let stage = Stage::open().await;
    let spec = file("");
    stage.apply(&spec).await;
    stage.fault("aws:DescribeVpcEndpointConnections:*:code=UnauthorizedOperation");
    let world = stage.world(&spec).await;
    let Connections::Unreadable { why } = &world.services["orders"].connections else {
        panic!("{:?}", world.services["orders"]);
    };
    assert!(why.contains("ec2:DescribeVpcEndpointConnections"), "the permission is named: {why}");

    let plan = stage.plan(&spec).await;
    assert!(plan.is_empty() && plan.refusals.is_empty(), "it is no reason to change anything: {plan:#?}");
    assert!(plan.warnings.iter().any(|warning| warning.contains("taken to be live")), "{:?}", plan.warnings);
    let (destroy, ..) =
        stage.driver().plan(&spec, PlanOptions { destroy: true, ..PlanOptions::default() }).await;
    assert!(destroy.actions.is_empty());
    assert!(
        destroy.refusals.iter().any(|refusal| refusal.rule == Rule::WouldSever),
        "{:#?}",
        destroy.refusals
    );
    stage.heal();
    let (destroy, ..) =
        stage.driver().plan(&spec, PlanOptions { destroy: true, ..PlanOptions::default() }).await;
    assert_eq!(destroy.refusals, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn destroy_turns_pending_requests_away_first() {
    let stage = Stage::open().await;
    let spec = file("");
    stage.apply(&spec).await;
    stage.until_pending(&spec, "orders", 2).await;
    let plan = stage.apply_with(&spec, PlanOptions { destroy: true, ..PlanOptions::default() }).await;
    assert_eq!(plan.summary.reject, 2, "{plan:#?}");
    assert_eq!(stage.live(&spec, "endpoint-service").await, None);
}

/// Two consumers with a place each: one does not take the other's.
#[tokio::test(flavor = "multi_thread")]
async fn only_names_the_endpoint() {
    let stage = Stage::open().await;
    let nobody = service("allow: { fivetran: { only: [vpce-0123456789abcdef0] } }", "");
    stage.apply(&nobody).await;
    stage.until_pending(&nobody, "orders", 2).await;
    let (decisions, plan, _) = stage.decide(&nobody, &Ask::default()).await;
    assert!(plan.actions.is_empty());
    assert!(decisions.iter().any(|decision| decision.why == Why::NotInOnly), "{decisions:#?}");
}
