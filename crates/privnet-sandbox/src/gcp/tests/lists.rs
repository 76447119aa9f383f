//! Lists: pages, filters, order, aggregation.

use super::*;

fn names(list: &Value) -> Vec<String> {
    list["items"]
        .as_array()
        .cloned()
        .unwrap_or_default()
        .iter()
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn pages_cover_everything_once() {
    let mut sandbox = Sandbox::new();
    let all = names(&sandbox.get(&format!("{R}/subnetworks")));
    assert_eq!(all, ["data", "ilb", "nat-shared-db", "nat-spare"]);
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let page = sandbox.get(&format!("{R}/subnetworks?maxResults=3&pageToken={token}"));
        seen.extend(names(&page));
        match page.get("nextPageToken") {
            Some(next) => token = next.as_str().unwrap().replace('=', "%3D"),
            None => break,
        }
    }
    assert_eq!(seen, all);
    assert_eq!(sandbox.refused("GET", &format!("{R}/subnetworks?pageToken=abc"), Value::Null).1, "invalid");
    assert_eq!(sandbox.refused("GET", &format!("{R}/subnetworks?maxResults=501"), Value::Null).1, "invalid");
    let other = sandbox.get(&format!("{R}/subnetworks?maxResults=1"))["nextPageToken"]
        .as_str()
        .unwrap()
        .replace('=', "%3D");
    let elsewhere = format!("projects/acme-data/global/networks?pageToken={other}");
    assert_eq!(sandbox.refused("GET", &elsewhere, Value::Null).1, "invalid");
}

#[test]
fn filters_and_order_are_honoured() {
    let mut sandbox = Sandbox::new();
    let some = sandbox.get(&format!("{R}/subnetworks?filter=purpose%3DPRIVATE_SERVICE_CONNECT"));
    assert_eq!(names(&some), ["nat-shared-db", "nat-spare"]);
    let some = sandbox.get(&format!("{R}/subnetworks?filter=name%20eq%20%22nat-.*e%22"));
    assert_eq!(names(&some), ["nat-spare"]);
    assert_eq!(sandbox.refused("GET", &format!("{R}/subnetworks?filter=name"), Value::Null).1, "invalid");
    assert_eq!(sandbox.refused("GET", &format!("{R}/subnetworks?orderBy=size"), Value::Null).1, "invalid");
    let none = sandbox.get(&format!("{R}/addresses"));
    assert!(none.get("items").is_none());
    assert_eq!(none["kind"], "compute#addressList");
}

#[test]
fn the_newest_come_first_when_asked() {
    let mut sandbox = Sandbox::new();
    for name in ["b", "c", "a"] {
        sandbox.done("POST", &format!("{R}/healthChecks"), json!({ "name": name, "type": "TCP" }));
    }
    let listed = sandbox.get(&format!("{R}/healthChecks?orderBy=creationTimestamp%20desc"));
    assert_eq!(names(&listed), ["a", "c", "b", "shared-db"]);
}

#[test]
fn aggregated_lists_are_maps_of_scopes() {
    let mut sandbox = Sandbox::new();
    let listed = sandbox.get("projects/acme-data/aggregated/subnetworks");
    assert_eq!(listed["items"]["regions/us-central1"]["subnetworks"][0]["name"], "ilb");
    let listed = sandbox.get("projects/acme-data/aggregated/serviceAttachments");
    assert_eq!(listed["items"]["regions/us-east4"]["serviceAttachments"][0]["name"], "shared-db");
    assert_eq!(listed["items"]["regions/us-central1"]["warning"]["code"], "NO_RESULTS_ON_PAGE");
    let listed = sandbox.get("projects/acme-data/aggregated/instances?filter=name%3Ddb-2");
    assert_eq!(listed["items"]["zones/us-east4-c"]["instances"][0]["name"], "db-2");
    for collection in [
        "addresses",
        "backendServices",
        "forwardingRules",
        "healthChecks",
        "instanceGroups",
        "instanceGroupManagers",
        "instanceTemplates",
        "machineTypes",
        "networkEndpointGroups",
    ] {
        sandbox.get(&format!("projects/acme-data/aggregated/{collection}"));
    }
    let usable = sandbox.get("projects/acme-data/aggregated/subnetworks/listUsable");
    assert_eq!(usable["items"].as_array().unwrap().len(), 5);
}

#[test]
fn images_are_found_by_family() {
    let mut sandbox = Sandbox::new();
    let image = sandbox.get("projects/debian-cloud/global/images/family/debian-12");
    assert_eq!(image["name"], "debian-12-bookworm-v20251215");
    assert_eq!(names(&sandbox.get("projects/debian-cloud/global/images")).len(), 3);
    assert_eq!(
        sandbox.refused("GET", "projects/debian-cloud/global/images/family/debian-3", Value::Null).0,
        404
    );
}
