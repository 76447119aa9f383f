//! Operations: get, wait, list, delete.

use super::*;

#[test]
fn an_operation_can_be_waited_for_listed_and_deleted() {
    let mut sandbox = Sandbox::new();
    let (_, begun) =
        sandbox.ask("POST", &format!("{R}/healthChecks"), json!({ "name": "hc", "type": "TCP" }));
    let name = begun["name"].as_str().unwrap().to_owned();
    assert_eq!(begun["operationType"], "insert");
    assert_eq!(begun["region"], "https://www.googleapis.com/compute/v1/projects/acme-data/regions/us-east4");
    assert!(begun["targetLink"].as_str().unwrap().ends_with("/regions/us-east4/healthChecks/hc"));
    let wait = format!("{R}/operations/{name}/wait");
    let (status, waited) = sandbox.ask("POST", &wait, Value::Null);
    assert_eq!((status, &waited["selfLink"]), (200, &begun["selfLink"]));
    sandbox.pass(10);
    assert_eq!(sandbox.ask("POST", &wait, Value::Null).1["status"], "DONE");
    let listed = sandbox.get(&format!("{R}/operations?filter=operationType%3Dinsert"));
    assert_eq!(listed["items"][0]["name"], name.as_str());
    let everywhere = sandbox.get("projects/acme-data/aggregated/operations");
    assert_eq!(everywhere["items"]["regions/us-east4"]["operations"][0]["name"], name.as_str());
    let (status, _) = sandbox.ask("DELETE", &format!("{R}/operations/{name}"), Value::Null);
    assert_eq!(status, 200);
    assert_eq!(sandbox.refused("GET", &format!("{R}/operations/{name}"), Value::Null).0, 404);
    assert_eq!(sandbox.refused("GET", &format!("{Z}/operations/{name}"), Value::Null).0, 404);
}

#[test]
fn a_stale_read_is_one_change_behind() {
    let mut sandbox = Sandbox::new();
    sandbox.done("POST", &format!("{R}/healthChecks"), json!({ "name": "hc", "type": "TCP" }));
    sandbox.done("DELETE", &format!("{R}/healthChecks/hc"), Value::Null);
    let exchange = Sandbox::exchange("GET", &format!("{R}/healthChecks/hc"), &Value::Null);
    let fresh = sandbox.cloud.answer(&exchange, Moment::at(sandbox.now));
    let stale = sandbox.cloud.answer(&exchange, Moment { now: sandbox.now, stale: true });
    assert_eq!((fresh.status, stale.status), (404, 200));
}

#[test]
fn a_read_of_a_settled_world_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let cloud = Gcp::open(&Setup::new(dir.path())).unwrap();
    let exchange = Sandbox::exchange("GET", "projects/acme-data/global/networks", &Value::Null);
    let answer = cloud.answer(&exchange, Moment::at("2026-03-01T12:00:00Z".parse().unwrap()));
    assert_eq!(answer.status, 200);
    assert!(!dir.path().join("gcp.json").exists());
}

#[test]
fn a_wait_is_held_until_the_operation_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let clock = crate::frame::Clock::open(dir.path(), Some(50.0)).unwrap();
    let cloud = Gcp::open(&Setup::new(dir.path())).unwrap();
    let ask = |method: &str, target: &str, body: &Value| -> Value {
        let answer = cloud.answer(&Sandbox::exchange(method, target, body), Moment::at(clock.now()));
        serde_json::from_slice(&answer.body).unwrap()
    };
    let begun = ask("POST", &format!("{R}/healthChecks"), &json!({ "name": "hc", "type": "TCP" }));
    assert_eq!(begun["status"], "PENDING");
    let name = begun["name"].as_str().unwrap();
    assert_eq!(ask("GET", &format!("{R}/operations/{name}"), &Value::Null)["progress"], 0);
    assert_eq!(ask("POST", &format!("{R}/operations/{name}/wait"), &Value::Null)["status"], "DONE");
    let missing = ask("POST", &format!("{R}/operations/none/wait"), &Value::Null);
    assert_eq!(missing["error"]["code"], 404);
}
