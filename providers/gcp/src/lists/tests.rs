//! Whom decisions let in and turn away, and whom they leave as they are.

use super::*;

fn endpoint() -> Json {
    json!({ "endpoint": "https://x/projects/p-1/regions/r/forwardingRules/ep",
        "endpointWithId": "https://x/projects/p-1/regions/r/forwardingRules/17",
        "consumerNetwork": "https://x/projects/p-1/global/networks/n", "pscConnectionId": "9", "status": "ACCEPTED" })
}

fn at() -> At {
    At::of(crate::collection::Collection::ServiceAttachments, "projects/p/regions/r/serviceAttachments/a")
}

#[test]
fn others_entries_stay() {
    let of = |project: &str, limit| Entry::Project { project: project.to_owned(), limit };
    let mut entries = vec![of("theirs", 5)];
    assert!(add(&mut entries, of("p-1", 3), &endpoint()));
    assert!(!add(&mut entries, of("p-1", 1), &endpoint()), "a limit is never lowered");
    assert!(add(&mut entries, of("p-1", 4), &endpoint()));
    assert_eq!(entries, [of("theirs", 5), of("p-1", 4)]);
    let mut by_number = endpoint();
    by_number["endpointWithId"] = json!("https://x/projects/4711/regions/r/forwardingRules/17");
    let mut entries = vec![of("4711", 2)];
    assert!(!add(&mut entries, of("p-1", 2), &by_number), "the number names the same project");
}

#[test]
fn a_live_one_is_cut_by_reconciling_and_others_stay() {
    let latest = json!({ "reconcileConnections": false, "enableProxyProtocol": true, "fingerprint": "f",
        "consumerRejectLists": [], "connectedEndpoints": [endpoint()],
        "consumerAcceptLists": [{ "endpointUrl": "projects/p-1/regions/r/forwardingRules/17", "connectionLimit": 1 },
            { "endpointUrl": "projects/p-2/regions/r/forwardingRules/18", "connectionLimit": 1 }] });
    let body = turned_away(&at(), &latest, &endpoint(), GcpAcceptBy::Endpoint, true);
    let body = body.expect("there is room").expect("a change");
    assert_eq!(body["consumerAcceptLists"].as_array().map(Vec::len), Some(1));
    assert_eq!(body["consumerRejectLists"], json!(["projects/p-1/regions/r/forwardingRules/17"]));
    assert_eq!((&body["reconcileConnections"], &body["enableProxyProtocol"]), (&json!(true), &json!(true)));
}

#[test]
fn a_full_reject_list_drops_nobody() {
    let full = |count: usize| {
        let rejected: Vec<String> =
            (0..count).map(|nth| format!("projects/p-9/regions/r/forwardingRules/{nth}")).collect();
        json!({ "fingerprint": "f", "connectedEndpoints": [endpoint()], "consumerRejectLists": rejected })
    };
    let away = |count| turned_away(&at(), &full(count), &endpoint(), GcpAcceptBy::Endpoint, false);
    assert_eq!(away(64), Err(Refused::Full));
    let body = away(63).expect("there is room").expect("a change");
    assert_eq!(body["consumerRejectLists"].as_array().map(Vec::len), Some(64));
}

#[test]
fn a_full_accept_list_takes_nobody_else_in() {
    let full = |count: usize| {
        let entry = |nth: usize| json!({ "endpointUrl": format!("projects/p-9/regions/r/forwardingRules/{nth}"), "connectionLimit": 1 });
        let accepted: Vec<Json> = (0..count).map(entry).collect();
        let mut own = endpoint();
        own["status"] = json!("PENDING");
        json!({ "fingerprint": "f", "connectedEndpoints": [own], "consumerAcceptLists": accepted })
    };
    let waits = ConnectionAction { state: ConnectionState::Pending, ..wanted() };
    let accept = |count| let_in(&at(), &full(count), &waits, GcpAcceptBy::Endpoint);
    assert_eq!(accept(5000), Err(Refused::Crowded));
    let body = accept(4999).expect("there is room").expect("a change");
    assert_eq!(body["consumerAcceptLists"].as_array().map(Vec::len), Some(5000));
}

fn wanted() -> ConnectionAction {
    ConnectionAction {
        id: "9".to_owned(),
        handle: "9".to_owned(),
        consumer: None,
        who: String::new(),
        preset: None,
        state: ConnectionState::Rejected,
        sever: false,
        along: Vec::new(),
        besides: Vec::new(),
        entries: None,
        cut: Vec::new(),
        turned_away: Vec::new(),
    }
}

/// An endpoint of the project p-1 that was turned away, and others.
fn turned_away_with(others: &[Json], accept: &Json) -> Json {
    let mut own = endpoint();
    own["status"] = json!("REJECTED");
    let all: Vec<&Json> = std::iter::once(&own).chain(others).collect();
    json!({ "fingerprint": "f", "connectedEndpoints": all, "consumerAcceptLists": accept,
        "consumerRejectLists": ["p-1", "p-2"] })
}

fn other(project: &str, status: &str) -> Json {
    json!({ "endpoint": format!("https://x/projects/{project}/regions/r/forwardingRules/other"),
        "pscConnectionId": "10", "status": status })
}

#[test]
fn who_was_turned_away_while_it_was_decided_on_together_stays_so() {
    let mut latest = turned_away_with(&[other("p-1", "REJECTED")], &json!([]));
    latest[RECONCILES] = json!(true);
    latest["connectedEndpoints"][0]["status"] = json!("PENDING");
    let wanted =
        ConnectionAction { state: ConnectionState::Pending, along: vec!["10".to_owned()], ..wanted() };
    let along = let_in(&at(), &latest, &wanted, GcpAcceptBy::Project);
    assert_eq!(along, Err(Refused::Forgets { others: vec!["10".to_owned()] }));
}

#[test]
fn a_reject_list_that_would_be_too_long_is_an_error() {
    let mut siblings: Vec<Json> = (0..65).map(|_| other("p-1", "REJECTED")).collect();
    for (nth, sibling) in siblings.iter_mut().enumerate() {
        let path = format!("https://x/projects/p-1/regions/r/forwardingRules/1{nth:03}");
        (sibling["pscConnectionId"], sibling["endpoint"]) = (json!(format!("1{nth:03}")), json!(path));
    }
    let by_endpoint = |siblings: &[Json]| {
        let latest = turned_away_with(siblings, &json!([]));
        let_in(&at(), &latest, &wanted(), GcpAcceptBy::Endpoint)
    };
    assert_eq!(by_endpoint(&siblings), Err(Refused::Many { rejected: 65 }));
    let body = by_endpoint(&siblings[1..]).expect("there is room").expect("a change");
    assert_eq!(body["consumerRejectLists"].as_array().map(Vec::len), Some(64));
}

/// Somebody may set it so after the plan, which would have refused it.
#[test]
fn nobody_is_decided_on_where_whoever_asks_is_let_in() {
    let mut latest = turned_away_with(&[], &json!([]));
    latest["connectionPreference"] = json!("ACCEPT_AUTOMATIC");
    assert_eq!(let_in(&at(), &latest, &wanted(), GcpAcceptBy::Project), Err(Refused::Everybody));
    for live in [false, true] {
        let away = turned_away(&at(), &latest, &endpoint(), GcpAcceptBy::Project, live);
        assert_eq!(away, Err(Refused::Everybody));
    }
}

#[test]
fn who_was_turned_away_with_its_project_can_be_let_in_again() {
    let by_project = |latest: &Json| let_in(&at(), latest, &wanted(), GcpAcceptBy::Project);
    let latest = turned_away_with(&[other("p-2", "REJECTED")], &json!([]));
    // Who waited when that was decided, and was turned away since then, is not.
    let waited = ConnectionAction { state: ConnectionState::Pending, ..wanted() };
    assert_eq!(let_in(&at(), &latest, &waited, GcpAcceptBy::Project), Err(Refused::TurnedAway));
    let body = by_project(&latest).expect("allowed").expect("a change");
    assert_eq!(body["consumerRejectLists"], json!(["p-2"]));
    assert_eq!(body[RECONCILES], json!(true), "GCP decides on nobody anew otherwise");
    // Its sibling would come in too, or instead of it; somebody whom no entry lets in would be cut.
    let sibling = by_project(&turned_away_with(&[other("p-1", "REJECTED")], &json!([])));
    assert_eq!(sibling, Err(Refused::Undecided { others: vec!["10".to_owned()] }));
    let unlisted = by_project(&turned_away_with(&[other("p-3", "ACCEPTED")], &json!([])));
    assert_eq!(unlisted, Err(Refused::Cuts { others: vec!["10".to_owned()] }));
    let entry = json!([{ "projectIdOrNum": "p-3", "connectionLimit": 2 }]);
    let again = by_project(&turned_away_with(&[other("p-3", "REJECTED")], &entry));
    assert_eq!(again, Err(Refused::LetsIn { others: vec!["10".to_owned()] }));
    assert!(by_project(&turned_away_with(&[other("p-3", "ACCEPTED")], &entry)).is_ok());
}

/// An entry for one endpoint stands for that alone; one for a project for all who wait, and for those who are decided on anew.
#[test]
fn who_would_come_in_together_is_told() {
    let mut waits = endpoint();
    waits["status"] = json!("PENDING");
    let with = |others: &[(&str, &str)], reconciles: bool, rejected: &[&str]| {
        let other = |(nth, (project, status)): (usize, &(&str, &str))| {
            let mut other = other(project, status);
            other["pscConnectionId"] = json!(format!("1{nth}"));
            other["endpoint"] =
                json!(format!("https://x/projects/{project}/regions/r/forwardingRules/other-{nth}"));
            other
        };
        let all: Vec<Json> =
            std::iter::once(waits.clone()).chain(others.iter().enumerate().map(other)).collect();
        json!({ "connectedEndpoints": all, "consumerRejectLists": rejected, RECONCILES: reconciles })
    };
    let along = |latest: &Json, by| {
        company(latest, &latest["connectedEndpoints"][0], by).into_iter().collect::<Vec<_>>()
    };
    let (project, by_endpoint) = (GcpAcceptBy::Project, GcpAcceptBy::Endpoint);
    let all =
        [("p-1", "PENDING"), ("p-2", "PENDING"), ("p-1", "ACCEPTED"), ("p-1", "REJECTED"), ("p-1", "CLOSED")];
    assert_eq!(along(&with(&all, false, &[]), project), ["10"]);
    assert_eq!(along(&with(&all, true, &[]), project), ["10", "13"]);
    assert_eq!(along(&with(&all, true, &[]), by_endpoint), [""; 0]);
    // Of somebody who is on the list for projects: the entry goes, for this one.
    let mut away = with(&all[3..], false, &["p-1"]);
    away["connectedEndpoints"][0]["status"] = json!("REJECTED");
    assert_eq!(along(&away, project), ["10"]);
    assert_eq!(along(&with(&all[1..3], true, &[]), project), [""; 0], "who is in is in");
}

/// One that does not reconcile cuts nobody by that.
#[test]
fn what_is_taken_out_of_a_list_that_reconciles_is_told_to_cut() {
    let attachment = "projects/p/regions/r/serviceAttachments/a";
    for (lists, reconciles, cuts) in [
        (&["accept"][..], true, true),
        (&["accept", "reject"], true, true),
        (&["reject"], true, false),
        (&["accept"], false, false),
    ] {
        let said = taken_out(attachment, lists, reconciles);
        assert_eq!(said.contains("whoever is in by an entry that you take out is cut then"), cuts, "{said}");
    }
}
