use super::*;
use crate::arm::fake::{Script, Scripted, context};

const ID: &str = "/subscriptions/S1/resourceGroups/v/providers/Microsoft.Network/privateEndpoints/e";

fn item(status: &str) -> Json {
    json!({
        "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Sql/servers/x/privateEndpointConnections/e-guid",
        "properties": {
            "privateEndpoint": {"id": ID},
            "privateLinkServiceConnectionState": {"status": status, "description": "please\u{1b}[31m", "actionsRequired": "None"},
            "provisioningState": "Ready"
        }
    })
}

fn target() -> Target {
    Target::with_version(
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Sql/servers/x/privateEndpointConnections/e-guid",
        "1",
    )
}

fn wanted(sever: bool) -> ConnectionAction {
    ConnectionAction {
        id: ID.to_lowercase(),
        handle: "e-guid".to_owned(),
        consumer: Some("acme".to_owned()),
        who: "subscription:s1".to_owned(),
        preset: None,
        state: ConnectionState::Pending,
        sever,
        along: Vec::new(),
        besides: Vec::new(),
        entries: None,
        cut: Vec::new(),
        turned_away: Vec::new(),
    }
}

async fn run(answers: Vec<Scripted>, op: Op, sever: bool) -> (Result<Applied, Error>, Script) {
    let (arm, script) = Script::arm(answers);
    (decide(&arm, &context(), &target(), &wanted(sever), op).await, script)
}

fn ok(body: Json) -> Scripted {
    (200, vec![], body)
}

#[test]
fn a_connection_is_its_endpoint_and_not_its_name() {
    let connection = parse(&item("Pending")).unwrap();
    assert_eq!((connection.id.as_str(), connection.handle.as_str()), (ID, "e-guid"));
    assert_eq!(connection.identities, BTreeSet::from([subscription("s1"), endpoint(ID)]));
    assert_eq!(connection.note.as_deref(), Some("the request says: please[31m"));
    assert_eq!(parse(&json!({})), None);
}

#[test]
fn states_in_the_clouds_words() {
    for (word, state) in [
        ("Pending", ConnectionState::Pending),
        ("approved", ConnectionState::Accepted),
        ("Rejected", ConnectionState::Rejected),
        ("Disconnected", ConnectionState::Closed),
        ("Approving", ConnectionState::Changing),
        ("Whatever", ConnectionState::Changing),
    ] {
        assert_eq!(parse(&item(word)).unwrap().state, state, "{word}");
    }
}

/// Storage spells it in the singular.
#[test]
fn what_the_cloud_asks_for_is_read_in_either_spelling() {
    for name in ["actionsRequired", "actionRequired"] {
        let mut asks = item("Approved");
        set(&mut asks, &format!("properties.privateLinkServiceConnectionState.{name}"), json!("Recreate"));
        let parsed = parse(&asks).unwrap();
        assert_eq!(parsed.state, ConnectionState::NeedsAttention, "{name}");
        assert!(parsed.note.unwrap().contains("Recreate"), "{name}");
    }
}

#[tokio::test]
async fn a_pending_request_is_read_again_approved_and_waited_for() {
    let answers = vec![
        ok(item("Pending")),
        (202, vec![("location", "https://management.azure.com/op")], json!({"operation": "Approve"})),
        (202, vec![], Json::Null),
        ok(Json::Null),
        ok(item("Approving")),
        ok(item("Approving")),
        ok(item("Approved")),
    ];
    let (done, script) = run(answers, Op::Accept, false).await;
    done.unwrap();
    let body = &script.seen()[1].2;
    assert_eq!(text(body, STATUS), Some("Approved"));
    assert_eq!(text(body, ENDPOINT), Some(ID), "what else is there stays");
}

/// App Service's connection says `Pending` of its provisioning for as long as it is rejected
/// (Azure CLI's recording test_private_endpoint_connection_webapp.yaml).
#[tokio::test]
async fn a_decision_is_done_when_the_status_shows_it_whatever_else_the_provider_says() {
    let with = |status: &str, provisioning: &str| {
        let mut shown = item(status);
        set(&mut shown, PROVISIONING, json!(provisioning));
        shown
    };
    let answers = vec![
        ok(with("Pending", "Pending")),
        (202, vec![("location", "https://management.azure.com/op")], Json::Null),
        ok(Json::Null),
        ok(with("Rejecting", "Pending")),
        ok(with("Rejected", "Pending")),
    ];
    run(answers, Op::Reject, false).await.0.unwrap();
    let answers = vec![
        ok(with("Pending", "Pending")),
        (202, vec![("location", "https://management.azure.com/op")], Json::Null),
        ok(Json::Null),
        ok(with("Pending", "Failed")),
    ];
    let error = run(answers, Op::Reject, false).await.0.unwrap_err();
    assert!(error.to_string().contains("its provisioning state is `Failed`"), "{error}");
    // What was written here and failed is not done, though the status repeats it: also where it was begun again since.
    let canceled = json!({"error": {"code": "Canceled", "message": "m"}});
    for first in [vec![ok(Json::Null)], vec![(409, vec![], canceled), ok(with("Approved", "Canceled"))]] {
        let begun = (202, vec![("location", "https://management.azure.com/op")], Json::Null);
        let answers =
            [vec![ok(with("Pending", "Succeeded")), begun], first, vec![ok(with("Approved", "Canceled"))]];
        let error = run(answers.concat(), Op::Accept, false).await.0.unwrap_err();
        assert!(error.to_string().contains("its provisioning state is `Canceled`"), "{error}");
    }
}

#[tokio::test]
async fn what_was_decided_meanwhile_is_read_again() {
    let not_pending = (
        400,
        vec![],
        json!({"error": {"code": "PrivateEndpointConnectionStatusNotPending", "message": "m"}}),
    );
    let (done, _) = run(
        vec![ok(item("Pending")), not_pending.clone(), ok(item("Approved")), ok(item("Approved"))],
        Op::Accept,
        false,
    )
    .await;
    done.unwrap();
    let (done, _) =
        run(vec![ok(item("Pending")), not_pending, ok(item("Rejected"))], Op::Accept, false).await;
    assert_eq!(done.unwrap_err().code(), Some("PrivateEndpointConnectionStatusNotPending"));
}

#[tokio::test]
async fn approving_twice_writes_nothing() {
    let (done, script) =
        run(vec![ok(item("Approved")), ok(item("Approved")), ok(item("Approved"))], Op::Accept, false).await;
    done.unwrap();
    assert!(script.asked().iter().all(|asked| asked.starts_with("GET")));
}

#[tokio::test]
async fn another_endpoint_under_the_same_name_is_not_let_in() {
    let mut other = item("Pending");
    set(&mut other, ENDPOINT, json!("/subscriptions/evil/x"));
    let (done, _) = run(vec![ok(other)], Op::Accept, false).await;
    assert_eq!(done.unwrap_err().kind(), ErrorKind::Conflict);
}

/// The name of a connection may come to be another endpoint's while the decision is carried out.
#[tokio::test]
async fn a_decision_is_not_done_that_shows_at_another_endpoints_connection() {
    let other = |status: &str| {
        let mut other = item(status);
        set(&mut other, ENDPOINT, json!("/subscriptions/evil/x"));
        ok(other)
    };
    for (op, status) in [(Op::Accept, "Approved"), (Op::Reject, "Rejected")] {
        let (done, _) = run(vec![ok(item("Pending")), other(status), other(status)], op, false).await;
        assert_eq!(done.unwrap_err().kind(), ErrorKind::Conflict);
    }
}

#[tokio::test]
async fn what_a_provider_removes_when_it_is_turned_away_is_turned_away() {
    let gone = || (404, vec![], json!({"error": {"code": "ResourceNotFound", "message": "m"}}));
    let note = |done: Result<Applied, Error>| done.unwrap().note;
    let answers = vec![ok(item("Pending")), ok(item("Rejected")), gone()];
    let (done, _) = run(answers, Op::Reject, false).await;
    assert_eq!(note(done).as_deref(), Some("the connection was removed"));
    // Or so quickly that its operation is not known either.
    let location = vec![("location", "https://management.azure.com/op")];
    let mut answers = vec![ok(item("Pending")), (202, location, Json::Null)];
    answers.extend(std::iter::repeat_with(gone).take(7));
    let (done, _) = run(answers, Op::Reject, false).await;
    assert_eq!(note(done).as_deref(), Some("the connection was removed"));
    // Nobody turned away what had gone before, and what was to be let in is not.
    let (done, _) = run(vec![gone()], Op::Reject, false).await;
    assert_eq!(done.unwrap_err().kind(), ErrorKind::NotFound);
    let (done, _) = run(vec![ok(item("Pending")), ok(item("Approved")), gone()], Op::Accept, false).await;
    assert_eq!(done.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_live_connection_is_cut_only_in_words() {
    let (done, _) = run(vec![ok(item("Approved"))], Op::Reject, false).await;
    assert_eq!(done.unwrap_err().kind(), ErrorKind::InUse);
    let answers =
        vec![ok(item("Approved")), ok(item("Rejected")), ok(item("Rejected")), ok(item("Rejected"))];
    run(answers, Op::Reject, true).await.0.unwrap();
}

#[tokio::test]
async fn a_rejected_request_is_not_let_in_later() {
    let (done, _) = run(vec![ok(item("Rejected"))], Op::Accept, false).await;
    assert_eq!(done.unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn only_connections_of_the_subresource_count() {
    let mut one = item("Pending");
    assert!(leads_to(&one, "blob"), "where nothing is said, any");
    set(&mut one, "properties.groupIds", json!(["Blob"]));
    assert!(leads_to(&one, "blob") && !leads_to(&one, "dfs"));
    let mut one = item("Pending");
    set(&mut one, "properties.groupId", json!("searchService"));
    assert!(names_its_part(&one) && leads_to(&one, "searchservice") && !leads_to(&one, "other"));
    set(&mut one, "properties.groupId", json!(""));
    assert!(!names_its_part(&one) && leads_to(&one, "other"), "nothing is said");
}
