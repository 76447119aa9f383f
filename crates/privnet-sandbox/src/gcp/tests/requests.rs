//! What is refused before any resource is looked at, and what a repeated request does.

use super::*;

#[test]
fn errors_are_as_recorded() {
    let mut sandbox = Sandbox::new();
    let (status, body) = sandbox.ask("GET", "projects/acme-data/global/networks/none", Value::Null);
    assert_eq!(status, 404);
    let message = "The resource 'projects/acme-data/global/networks/none' was not found";
    assert_eq!(
        body,
        json!({ "error": { "code": 404, "message": message, "errors": [{ "message": message, "domain": "global", "reason": "notFound" }] } })
    );
}

#[test]
fn unknown_fields_parameters_and_methods_are_refused() {
    let mut sandbox = Sandbox::new();
    let body = json!({ "name": "n", "autoCreateSubnetworks": false, "speed": 3 });
    let refused = sandbox.refused("POST", "projects/acme-data/global/networks", body);
    assert_eq!(refused.0, 400);
    assert!(refused.2.starts_with("Invalid JSON payload received. Unknown name \"speed\""));
    let refused = sandbox.refused("GET", "projects/acme-data/global/networks?color=red", Value::Null);
    assert!(refused.2.contains("Unknown name \"color\""));
    assert_eq!(sandbox.refused("GET", "projects/acme-data/global/routers", Value::Null).0, 404);
    assert_eq!(sandbox.refused("GET", "projects/acme_data/global/networks", Value::Null).0, 400);
    assert_eq!(
        sandbox.refused("GET", "projects/acme-data/global/networks?maxResults=many", Value::Null).0,
        400
    );
}

#[test]
fn bodies_that_cannot_be_read_are_refused() {
    let sandbox = Sandbox::new();
    let mut exchange = Sandbox::exchange("POST", "projects/acme-data/global/networks", &json!({}));
    exchange.body = b"{".to_vec();
    let answer = sandbox.cloud.answer(&exchange, Moment::at(sandbox.now));
    assert_eq!(answer.status, 400);
    exchange.headers.insert("authorization", "Basic xyz".parse().unwrap());
    assert_eq!(sandbox.cloud.answer(&exchange, Moment::at(sandbox.now)).status, 401);
}

#[test]
fn a_repeated_request_id_is_ignored() {
    let mut sandbox = Sandbox::new();
    let target = "projects/acme-data/global/networks?requestId=7f8cbb1c-5f33-4a2b-8ad6-1b7c2f0f1b11";
    let first = sandbox.done("POST", target, json!({ "name": "n", "autoCreateSubnetworks": false }));
    assert_eq!(first["clientOperationId"], "7f8cbb1c-5f33-4a2b-8ad6-1b7c2f0f1b11");
    let (status, second) =
        sandbox.ask("POST", target, json!({ "name": "n", "autoCreateSubnetworks": false }));
    assert_eq!((status, &second["name"], &second["status"]), (200, &first["name"], &json!("DONE")));
    // Even when what it made has gone: the trap of deterministic ids.
    sandbox.done("DELETE", "projects/acme-data/global/networks/n", Value::Null);
    let (status, third) = sandbox.ask("POST", target, json!({ "name": "n", "autoCreateSubnetworks": false }));
    assert_eq!((status, &third["name"]), (200, &first["name"]));
    assert_eq!(sandbox.refused("GET", "projects/acme-data/global/networks/n", Value::Null).0, 404);
    let refused = sandbox.refused("DELETE", "projects/acme-data/global/networks/n?requestId=1", Value::Null);
    assert!(refused.2.contains("valid UUID"));
}

#[test]
fn names_are_taken_once() {
    let mut sandbox = Sandbox::new();
    let refused = sandbox.refused(
        "POST",
        "projects/acme-data/global/networks",
        json!({ "name": "prod", "autoCreateSubnetworks": false }),
    );
    assert_eq!((refused.0, refused.1.as_str()), (409, "alreadyExists"));
    assert_eq!(refused.2, "The resource 'projects/acme-data/global/networks/prod' already exists");
}

#[test]
fn quotas_run_out() {
    let mut sandbox = Sandbox::new();
    let network = |name: &str| json!({ "name": name, "autoCreateSubnetworks": false });
    sandbox.done("POST", "projects/acme-tiny/global/networks", network("one"));
    let refused = sandbox.refused("POST", "projects/acme-tiny/global/networks", network("two"));
    assert_eq!((refused.0, refused.1.as_str()), (403, "quotaExceeded"));
    assert!(refused.2.contains("NETWORKS"));
}

#[test]
fn too_many_requests_are_refused_for_a_while() {
    let mut sandbox = Sandbox::new();
    let patch =
        |sandbox: &mut Sandbox| sandbox.ask("DELETE", "projects/acme-data/global/networks/none", Value::Null);
    let refused = (0..1600).map(|_| patch(&mut sandbox)).find(|(status, _)| *status == 403);
    let (_, body) = refused.expect("the bucket runs out");
    assert_eq!(body["error"]["errors"][0]["reason"], "rateLimitExceeded");
    sandbox.pass(10);
    assert_eq!(patch(&mut sandbox).0, 404);
}

#[test]
fn faults_answer_as_google_does() {
    let mut sandbox = Sandbox::new();
    let target = "projects/acme-data/global/networks";
    let body = json!({ "name": "n", "autoCreateSubnetworks": false });
    let (status, answer) = sandbox.failure("POST", target, body.clone(), "quotaExceeded");
    assert_eq!((status, &answer["error"]["errors"][0]["reason"]), (403, &json!("quotaExceeded")));
    sandbox.get(target);
    let (status, operation) = sandbox.failure("POST", target, body, "QUOTA_EXCEEDED");
    assert_eq!((status, &operation["kind"]), (200, &json!("compute#operation")));
    sandbox.pass(30);
    let path = operation["selfLink"].as_str().unwrap().split("/compute/v1/").nth(1).unwrap().to_owned();
    let done = sandbox.get(&path);
    assert_eq!(
        (&done["status"], &done["error"]["errors"][0]["code"]),
        (&json!("DONE"), &json!("QUOTA_EXCEEDED"))
    );
    assert_eq!(sandbox.refused("GET", "projects/acme-data/global/networks/n", Value::Null).0, 404);
}
