//! Projects, networks, subnetworks, firewalls, addresses.

use super::*;

#[test]
fn a_project_has_a_number_in_its_service_account_only() {
    let mut sandbox = Sandbox::new();
    let project = sandbox.get("projects/acme-data");
    assert_eq!(project["name"], "acme-data");
    assert_ne!(project["id"], "123456789012", "the id of Compute Engine is not the project number");
    assert_eq!(project["defaultServiceAccount"], "123456789012-compute@developer.gserviceaccount.com");
    assert_eq!(sandbox.get("projects/123456789012")["name"], "acme-data");
    assert_eq!(sandbox.get("projects/acme-data/getXpnHost")["name"], "acme-net");
    assert_eq!(sandbox.get("projects/acme-net")["xpnProjectStatus"], "HOST");
    let attached = sandbox.get("projects/acme-net/getXpnResources");
    assert_eq!(attached["resources"][0]["id"], "acme-data");
    assert_eq!(sandbox.refused("GET", "projects/nobody", Value::Null).0, 404);
}

#[test]
fn regions_zones_and_machine_types_are_there() {
    let mut sandbox = Sandbox::new();
    assert_eq!(sandbox.get("projects/acme-data/regions/us-east4")["zones"].as_array().unwrap().len(), 3);
    assert_eq!(sandbox.get("projects/acme-data/zones/us-east4-b")["status"], "UP");
    assert_eq!(sandbox.get("projects/acme-data/zones")["items"].as_array().unwrap().len(), 7);
    assert_eq!(sandbox.get("projects/acme-data/zones/us-east4-b/machineTypes/e2-small")["memoryMb"], 2048);
    assert_eq!(sandbox.refused("GET", "projects/acme-data/zones/us-east4-z", Value::Null).1, "notFound");
    let refused = sandbox.refused("GET", "projects/acme-data/regions/mars/subnetworks", Value::Null);
    assert_eq!((refused.0, refused.1.as_str()), (400, "invalid"));
    assert!(refused.2.contains("Unknown region"));
}

#[test]
fn a_network_in_use_is_deleted_by_an_operation_that_fails() {
    let mut sandbox = Sandbox::new();
    sandbox.done(
        "POST",
        "projects/acme-data/global/networks",
        json!({ "name": "n", "autoCreateSubnetworks": false }),
    );
    sandbox.done("POST", "projects/acme-data/global/firewalls", json!({
        "name": "f", "network": "global/networks/n", "allowed": [{ "IPProtocol": "tcp", "ports": ["22"] }],
        "sourceRanges": ["10.0.0.0/8"],
    }));
    let failed = sandbox.end("DELETE", "projects/acme-data/global/networks/n", Value::Null);
    assert_eq!(failed["error"]["errors"][0]["code"], "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE");
    assert_eq!(
        failed["error"]["errors"][0]["message"],
        "The network resource 'projects/acme-data/global/networks/n' is already being used by 'projects/acme-data/global/firewalls/f'"
    );
    assert_eq!(
        (&failed["httpErrorStatusCode"], &failed["httpErrorMessage"]),
        (&json!(400), &json!("BAD REQUEST"))
    );
    sandbox.done("DELETE", "projects/acme-data/global/firewalls/f", Value::Null);
    sandbox.done("DELETE", "projects/acme-data/global/networks/n", Value::Null);
    assert_eq!(sandbox.refused("GET", "projects/acme-data/global/networks/n", Value::Null).0, 404);
}

fn subnetwork(name: &str, range: &str) -> Value {
    json!({ "name": name, "network": "global/networks/prod", "ipCidrRange": range, "purpose": "PRIVATE_SERVICE_CONNECT" })
}

#[test]
fn overlapping_ranges_fail_in_the_operation() {
    let mut sandbox = Sandbox::new();
    let failed = sandbox.end("POST", &format!("{R}/subnetworks"), subnetwork("n", "10.7.0.128/25"));
    let message = failed["error"]["errors"][0]["message"].as_str().unwrap();
    assert_eq!(
        message,
        "Invalid IPCidrRange: 10.7.0.128/25 conflicts with existing subnetwork 'ilb' in region 'us-east4'."
    );
    assert_eq!(sandbox.refused("GET", &format!("{R}/subnetworks/n"), Value::Null).0, 404);
    // Another network may have the same range.
    sandbox.done(
        "POST",
        "projects/acme-data/global/networks",
        json!({ "name": "other", "autoCreateSubnetworks": false }),
    );
    let mut same = subnetwork("n", "10.7.0.128/25");
    same["network"] = json!("global/networks/other");
    sandbox.done("POST", &format!("{R}/subnetworks"), same);
}

#[test]
fn ranges_are_checked_at_once() {
    let mut sandbox = Sandbox::new();
    for range in ["10.8.0.1/24", "10.8.0.0/30", "10.8.0.0", "x", "10.0.0.0/3"] {
        let refused = sandbox.refused("POST", &format!("{R}/subnetworks"), subnetwork("n", range));
        assert_eq!((refused.0, refused.1.as_str()), (400, "invalid"), "{range}");
    }
}

#[test]
fn a_subnetwork_is_as_recorded() {
    let mut sandbox = Sandbox::new();
    sandbox.done("POST", &format!("{R}/subnetworks"), subnetwork("nat", "10.8.0.0/24"));
    let shown = sandbox.get(&format!("{R}/subnetworks/nat"));
    assert_eq!(shown["gatewayAddress"], "10.8.0.1");
    assert_eq!(shown["privateIpv6GoogleAccess"], "DISABLE_GOOGLE_ACCESS");
    assert_eq!(
        shown["network"],
        "https://www.googleapis.com/compute/v1/projects/acme-data/global/networks/prod"
    );
    assert_eq!(shown["purpose"], "PRIVATE_SERVICE_CONNECT");
    assert!(shown.get("enableFlowLogs").is_none());
}

#[test]
fn a_subnetwork_takes_changes_with_a_fingerprint_only() {
    let mut sandbox = Sandbox::new();
    let path = format!("{R}/subnetworks/ilb");
    let fingerprint = sandbox.get(&path)["fingerprint"].clone();
    for patch in [
        json!({ "logConfig": { "enable": true } }),
        json!({ "logConfig": { "enable": true }, "fingerprint": "AAAAAAAAAAA=" }),
    ] {
        assert_eq!(sandbox.refused("PATCH", &path, patch).1, "conditionNotMet");
    }
    let operation =
        sandbox.done("PATCH", &path, json!({ "logConfig": { "enable": true }, "fingerprint": fingerprint }));
    assert_eq!(operation["operationType"], "compute.subnetworks.patch");
    let shown = sandbox.get(&path);
    assert_eq!(shown["enableFlowLogs"], true);
    assert_eq!(shown["gatewayAddress"], "10.7.0.1");
    assert_ne!(shown["fingerprint"], fingerprint);
    for patch in [json!({ "purpose": "PRIVATE_SERVICE_CONNECT" }), json!({ "description": "x" })] {
        let mut patch = patch;
        patch["fingerprint"] = shown["fingerprint"].clone();
        assert_eq!(sandbox.refused("PATCH", &path, patch).1, "invalid");
    }
}

#[test]
fn an_unready_resource_cannot_be_used() {
    let mut sandbox = Sandbox::new();
    let (status, _) = sandbox.ask(
        "POST",
        "projects/acme-data/global/networks",
        json!({ "name": "n", "autoCreateSubnetworks": false }),
    );
    assert_eq!(status, 200);
    let mut body = subnetwork("s", "10.8.0.0/24");
    body["network"] = json!("global/networks/n");
    assert_eq!(sandbox.refused("POST", &format!("{R}/subnetworks"), body.clone()).1, "resourceNotReady");
    assert_eq!(
        sandbox.refused("DELETE", "projects/acme-data/global/networks/n", Value::Null).1,
        "resourceNotReady"
    );
    sandbox.pass(30);
    sandbox.done("POST", &format!("{R}/subnetworks"), body);
}

#[test]
fn another_projects_network_is_for_its_service_projects() {
    let mut sandbox = Sandbox::new();
    let neg = |subnetwork: &str| json!({ "name": "neg", "networkEndpointType": "GCE_VM_IP", "subnetwork": subnetwork });
    let theirs = "projects/fivetran-donkeys/regions/us-east4/subnetworks/consumer";
    let refused = sandbox.refused("POST", &format!("{Z}/networkEndpointGroups"), neg(theirs));
    assert_eq!((refused.0, refused.1.as_str()), (403, "forbidden"));
    sandbox.done(
        "POST",
        &format!("{Z}/networkEndpointGroups"),
        neg("projects/acme-net/regions/us-east4/subnetworks/ilb"),
    );
}

#[test]
fn firewalls_have_defaults_and_rules() {
    let mut sandbox = Sandbox::new();
    let path = "projects/acme-data/global/firewalls";
    sandbox.done("POST", path, json!({
        "name": "f", "network": "global/networks/prod", "allowed": [{ "IPProtocol": "tcp", "ports": ["5432", "6000-6010"] }],
    }));
    let shown = sandbox.get(&format!("{path}/f"));
    assert_eq!(
        (&shown["direction"], &shown["priority"], &shown["disabled"]),
        (&json!("INGRESS"), &json!(1000), &json!(false))
    );
    assert_eq!(shown["sourceRanges"], json!(["0.0.0.0/0"]));
    // From the discovery document: a patch of a firewall demands its name.
    assert_eq!(sandbox.refused("PATCH", &format!("{path}/f"), json!({ "priority": 900 })).1, "required");
    sandbox.done("PATCH", &format!("{path}/f"), json!({ "name": "f", "sourceRanges": ["10.8.0.0/24"] }));
    assert_eq!(sandbox.get(&format!("{path}/f"))["sourceRanges"], json!(["10.8.0.0/24"]));
    for wrong in [
        json!({ "name": "g", "network": "global/networks/prod" }),
        json!({ "name": "g", "network": "global/networks/none", "allowed": [{ "IPProtocol": "tcp" }] }),
        json!({ "name": "g", "network": "global/networks/prod", "allowed": [{ "IPProtocol": "tpc" }] }),
        json!({ "name": "g", "network": "global/networks/prod", "allowed": [{ "IPProtocol": "tcp", "ports": ["x"] }] }),
        json!({ "name": "g", "network": "global/networks/prod", "allowed": [{ "IPProtocol": "tcp" }], "sourceRanges": ["10.0.0.0/33"] }),
        json!({ "name": "g", "network": "global/networks/prod", "allowed": [{ "IPProtocol": "tcp" }], "priority": 70000 }),
        json!({ "name": "g", "network": "global/networks/prod", "direction": "SIDEWAYS", "allowed": [{ "IPProtocol": "tcp" }] }),
    ] {
        assert!(matches!(sandbox.refused("POST", path, wrong.clone()).0, 400 | 404), "{wrong}");
    }
}

#[test]
fn addresses_are_reserved_and_used() {
    let mut sandbox = Sandbox::new();
    sandbox.producer();
    let path = format!("{R}/addresses");
    let subnetwork = format!("{R}/subnetworks/ilb");
    sandbox.done(
        "POST",
        &path,
        json!({ "name": "a", "addressType": "INTERNAL", "subnetwork": subnetwork, "address": "10.7.0.77" }),
    );
    let shown = sandbox.get(&format!("{path}/a"));
    assert_eq!(
        (&shown["status"], &shown["address"], &shown["purpose"]),
        (&json!("RESERVED"), &json!("10.7.0.77"), &json!("GCE_ENDPOINT"))
    );
    for taken in ["10.7.0.77", "10.7.0.10", "10.7.0.0", "10.9.0.1"] {
        let again =
            json!({ "name": "b", "addressType": "INTERNAL", "subnetwork": subnetwork, "address": taken });
        assert_eq!(sandbox.refused("POST", &path, again).0, 400, "{taken}");
    }
    sandbox.done("POST", &format!("{R}/forwardingRules"), json!({
        "name": "fixed", "loadBalancingScheme": "INTERNAL", "ports": ["5433"], "IPAddress": format!("{path}/a"),
        "backendService": format!("{R}/backendServices/bs"), "subnetwork": subnetwork,
    }));
    assert_eq!(sandbox.get(&format!("{R}/forwardingRules/fixed"))["IPAddress"], "10.7.0.77");
    let shown = sandbox.get(&format!("{path}/a"));
    assert_eq!(shown["status"], "IN_USE");
    assert!(shown["users"][0].as_str().unwrap().ends_with("/forwardingRules/fixed"));
    assert_eq!(
        sandbox.refused("DELETE", &format!("{path}/a"), Value::Null).1,
        "resourceInUseByAnotherResource"
    );
}
