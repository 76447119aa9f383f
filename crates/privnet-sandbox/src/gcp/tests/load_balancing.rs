//! NEGs, instance groups, health checks, backend services, forwarding rules: references, limits, health.

use super::*;

fn health(sandbox: &mut Sandbox) -> Vec<String> {
    let (status, answer) = sandbox.ask(
        "POST",
        &format!("{R}/backendServices/bs/getHealth"),
        json!({ "group": format!("{Z}/networkEndpointGroups/neg") }),
    );
    assert_eq!(status, 200, "{answer}");
    let states = answer["healthStatus"].as_array().cloned().unwrap_or_default();
    states.iter().map(|state| state["healthState"].as_str().unwrap().to_owned()).collect()
}

fn firewall(sandbox: &mut Sandbox, name: &str, more: Value) {
    let mut body = json!({
        "name": name, "network": "global/networks/prod", "allowed": [{ "IPProtocol": "tcp", "ports": ["5432"] }],
        "sourceRanges": ["35.191.0.0/16", "130.211.0.0/22"],
    });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    sandbox.done("POST", "projects/acme-data/global/firewalls", body);
}

#[test]
fn a_backend_is_healthy_once_probes_get_through() {
    let mut sandbox = Sandbox::new();
    sandbox.producer();
    sandbox.pass(300);
    assert_eq!(health(&mut sandbox), ["UNHEALTHY"], "no rule lets the probers in");
    // The documents' mistake: the machine's own address as the destination misses what comes for the rule's address.
    firewall(&mut sandbox, "narrow", json!({ "destinationRanges": ["10.7.0.10/32"] }));
    sandbox.pass(300);
    assert_eq!(health(&mut sandbox), ["UNHEALTHY"]);
    firewall(&mut sandbox, "half", json!({ "sourceRanges": ["35.191.0.0/16"] }));
    sandbox.pass(300);
    assert_eq!(health(&mut sandbox), ["UNHEALTHY"], "one of the two ranges is not enough");
    firewall(&mut sandbox, "whole", json!({}));
    assert_eq!(health(&mut sandbox), ["UNHEALTHY"], "a threshold of checks has to pass first");
    sandbox.pass(30);
    assert_eq!(health(&mut sandbox), ["HEALTHY"]);
    firewall(
        &mut sandbox,
        "denied",
        json!({ "allowed": null, "denied": [{ "IPProtocol": "all" }], "priority": 10 }),
    );
    assert_eq!(health(&mut sandbox), ["UNHEALTHY"]);
}

#[test]
fn nothing_is_probed_without_a_forwarding_rule() {
    let mut sandbox = Sandbox::new();
    sandbox.producer();
    sandbox.done("DELETE", &format!("{R}/forwardingRules/fr"), Value::Null);
    assert!(health(&mut sandbox).is_empty());
    let other = json!({ "group": "projects/acme-data/zones/us-east4-a/instanceGroups/db-group" });
    assert_eq!(sandbox.refused("POST", &format!("{R}/backendServices/bs/getHealth"), other).1, "invalid");
}

#[test]
fn endpoints_are_attached_listed_and_detached() {
    let mut sandbox = Sandbox::new();
    sandbox.producer();
    let neg = format!("{Z}/networkEndpointGroups/neg");
    let list = |sandbox: &mut Sandbox| {
        sandbox.ask("POST", &format!("{neg}/listNetworkEndpoints"), json!({ "healthStatus": "SHOW" })).1
    };
    let shown = list(&mut sandbox);
    assert_eq!(shown["items"][0]["networkEndpoint"]["ipAddress"], "10.7.0.10");
    assert_eq!(shown["items"][0]["healths"][0]["healthState"], "UNHEALTHY");
    assert_eq!(sandbox.get(&neg)["size"], 1);
    let attach = format!("{neg}/attachNetworkEndpoints");
    for (wrong, status) in [
        (json!({ "networkEndpoints": [{ "instance": "db-2" }] }), 404),
        (
            json!({ "networkEndpoints": [{ "instance": "projects/acme-data/zones/us-east4-c/instances/db-2" }] }),
            400,
        ),
        (json!({ "networkEndpoints": [{ "instance": "db-hosted" }] }), 400),
        (json!({ "networkEndpoints": [{ "instance": "db-1", "port": 5432 }] }), 400),
        (json!({ "networkEndpoints": [{ "instance": "db-1", "ipAddress": "10.7.0.99" }] }), 400),
        (json!({ "networkEndpoints": [] }), 400),
    ] {
        assert_eq!(sandbox.refused("POST", &attach, wrong.clone()).0, status, "{wrong}");
    }
    sandbox.done("POST", &attach, json!({ "networkEndpoints": [{ "instance": "db-1" }] }));
    assert_eq!(sandbox.get(&neg)["size"], 1, "attached once more, it is there once");
    let detach = json!({ "networkEndpoints": [{ "instance": "db-1", "ipAddress": "10.7.0.10" }] });
    sandbox.done("POST", &format!("{neg}/detachNetworkEndpoints"), detach.clone());
    assert!(list(&mut sandbox).get("items").is_none());
    assert_eq!(sandbox.refused("POST", &format!("{neg}/detachNetworkEndpoints"), detach).1, "invalid");
}

#[test]
fn a_neg_of_addresses_has_a_subnetwork_and_no_port() {
    let mut sandbox = Sandbox::new();
    let path = format!("{Z}/networkEndpointGroups");
    let subnetwork = format!("{R}/subnetworks/ilb");
    for wrong in [
        json!({ "name": "n", "networkEndpointType": "GCE_VM_IP", "network": "global/networks/prod" }),
        json!({ "name": "n", "networkEndpointType": "GCE_VM_IP", "subnetwork": subnetwork, "defaultPort": 1 }),
        json!({ "name": "n", "networkEndpointType": "GCE_VM_IP", "subnetwork": format!("{R}/subnetworks/nat-spare") }),
        json!({ "name": "n", "networkEndpointType": "GCE_VM_IP", "subnetwork": "projects/acme-data/regions/us-central1/subnetworks/ilb" }),
        json!({ "name": "n", "networkEndpointType": "gce-vm-ip", "subnetwork": subnetwork }),
    ] {
        assert_eq!(sandbox.refused("POST", &path, wrong.clone()).0, 400, "{wrong}");
    }
}

#[test]
fn what_is_used_cannot_be_deleted() {
    let mut sandbox = Sandbox::new();
    sandbox.producer();
    sandbox.attachment("sa", "10.8.0.0/24", json!({}));
    for (path, noun) in [
        (format!("{R}/forwardingRules/fr"), "forwarding_rule"),
        (format!("{R}/backendServices/bs"), "backend_service"),
        (format!("{R}/healthChecks/hc"), "health_check"),
        (format!("{Z}/networkEndpointGroups/neg"), "network_endpoint_group"),
        (format!("{R}/subnetworks/nat-sa"), "subnetwork"),
        (format!("{R}/subnetworks/ilb"), "subnetwork"),
    ] {
        let refused = sandbox.refused("DELETE", &path, Value::Null);
        assert_eq!((refused.0, refused.1.as_str()), (400, "resourceInUseByAnotherResource"));
        assert!(
            refused.2.starts_with(&format!("The {noun} resource '{path}' is already being used by '")),
            "{}",
            refused.2
        );
    }
    for path in [
        "serviceAttachments/sa",
        "forwardingRules/fr",
        "backendServices/bs",
        "healthChecks/hc",
        "subnetworks/nat-sa",
    ] {
        sandbox.done("DELETE", &format!("{R}/{path}"), Value::Null);
    }
    sandbox.done("DELETE", &format!("{Z}/networkEndpointGroups/neg"), Value::Null);
}

#[test]
fn a_backend_service_is_put_whole_and_patched_in_part() {
    let mut sandbox = Sandbox::new();
    sandbox.producer();
    let path = format!("{R}/backendServices/bs");
    let shown = sandbox.get(&path);
    assert_eq!(shown["backends"][0]["balancingMode"], "CONNECTION");
    assert_eq!(sandbox.refused("PATCH", &path, json!({ "timeoutSec": 60 })).1, "conditionNotMet");
    let change =
        json!({ "fingerprint": shown["fingerprint"], "connectionDraining": { "drainingTimeoutSec": 300 } });
    assert_eq!(sandbox.done("PATCH", &path, change)["operationType"], "patch");
    let shown = sandbox.get(&path);
    assert_eq!(shown["connectionDraining"]["drainingTimeoutSec"], 300);
    assert_eq!(shown["backends"].as_array().unwrap().len(), 1);
    // As gcloud's add-backend does: read, change, put.
    let mut whole = shown;
    whole["description"] = json!("changed");
    assert_eq!(sandbox.done("PUT", &path, whole.clone())["operationType"], "update");
    assert_eq!(sandbox.get(&path)["description"], "changed");
    assert_eq!(sandbox.refused("PUT", &path, whole).1, "conditionNotMet", "somebody was faster");
    let bare = json!({
        "name": "bs", "fingerprint": sandbox.get(&path)["fingerprint"], "loadBalancingScheme": "INTERNAL",
        "healthChecks": [format!("{R}/healthChecks/hc")],
    });
    sandbox.done("PUT", &path, bare);
    let shown = sandbox.get(&path);
    assert!(shown.get("backends").is_none() && shown.get("description").is_none(), "a PUT replaces");
}

#[test]
fn a_change_is_seen_when_its_operation_ends() {
    let mut sandbox = Sandbox::new();
    sandbox.producer();
    let path = format!("{R}/backendServices/bs");
    let fingerprint = sandbox.get(&path)["fingerprint"].clone();
    let change = json!({ "fingerprint": fingerprint, "timeoutSec": 77 });
    sandbox.ask("PATCH", &path, change.clone());
    assert_eq!(sandbox.get(&path)["timeoutSec"], 30);
    assert_eq!(sandbox.refused("PATCH", &path, change).1, "resourceNotReady");
    sandbox.pass(30);
    assert_eq!(sandbox.get(&path)["timeoutSec"], 77);
}

#[test]
fn backends_are_of_one_kind_and_one_network() {
    let mut sandbox = Sandbox::new();
    sandbox.producer();
    sandbox.done("POST", &format!("{Z}/networkEndpointGroups"), json!({
        "name": "hosted", "networkEndpointType": "GCE_VM_IP", "subnetwork": "projects/acme-net/regions/us-east4/subnetworks/ilb",
    }));
    let path = format!("{R}/backendServices");
    let service = |backends: Value| json!({ "name": "x", "loadBalancingScheme": "INTERNAL", "healthChecks": [format!("{R}/healthChecks/hc")], "backends": backends });
    let neg = format!("{Z}/networkEndpointGroups/neg");
    for wrong in [
        service(
            json!([{ "group": neg }, { "group": "projects/acme-data/zones/us-east4-a/instanceGroups/db-group" }]),
        ),
        service(json!([{ "group": neg }, { "group": format!("{Z}/networkEndpointGroups/hosted") }])),
        service(json!([{ "group": neg }, { "group": neg }])),
        service(json!([{ "group": neg, "balancingMode": "UTILIZATION" }])),
        service(json!([{ "group": neg, "balancingMode": "SOMETIMES" }])),
        json!({ "name": "x", "loadBalancingScheme": "INTERNAL" }),
        json!({ "name": "x", "healthChecks": [format!("{R}/healthChecks/hc")] }),
    ] {
        assert_eq!(sandbox.refused("POST", &path, wrong.clone()).0, 400, "{wrong}");
    }
}

#[test]
fn forwarding_rules_have_at_most_five_ports_and_few_changes() {
    let mut sandbox = Sandbox::new();
    sandbox.producer();
    let path = format!("{R}/forwardingRules");
    let rule = |more: Value| {
        let mut body = json!({
            "name": "x", "loadBalancingScheme": "INTERNAL", "backendService": format!("{R}/backendServices/bs"),
            "subnetwork": format!("{R}/subnetworks/ilb"),
        });
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    };
    for wrong in [
        json!({ "ports": ["1", "2", "3", "4", "5", "6"] }),
        json!({ "ports": ["1"], "allPorts": true }),
        json!({}),
        json!({ "ports": ["0"] }),
        json!({ "ports": ["1"], "subnetwork": format!("{R}/subnetworks/nat-spare") }),
        json!({ "ports": ["1"], "IPAddress": "10.7.0.10" }),
        json!({ "ports": ["1"], "IPProtocol": "UDP" }),
        json!({ "ports": ["1"], "network": "projects/acme-net/global/networks/shared" }),
        json!({ "ports": ["1"], "labels": { "Upper": "x" } }),
    ] {
        assert_eq!(sandbox.refused("POST", &path, rule(wrong.clone())).0, 400, "{wrong}");
    }
    let shown = sandbox.get(&format!("{path}/fr"));
    assert!(shown["selfLinkWithId"].as_str().unwrap().ends_with(shown["id"].as_str().unwrap()));
    sandbox.done("PATCH", &format!("{path}/fr"), json!({ "allowGlobalAccess": true, "description": "d" }));
    assert_eq!(sandbox.get(&format!("{path}/fr"))["allowGlobalAccess"], true);
    for wrong in
        [json!({ "ports": ["5433"] }), json!({ "backendService": "x" }), json!({ "IPAddress": "10.7.0.99" })]
    {
        assert_eq!(sandbox.refused("PATCH", &format!("{path}/fr"), wrong.clone()).1, "invalid", "{wrong}");
    }
    let fingerprint = sandbox.get(&format!("{path}/fr"))["labelFingerprint"].clone();
    let labels =
        |fingerprint: &Value| json!({ "labels": { "team": "core" }, "labelFingerprint": fingerprint });
    assert_eq!(
        sandbox.refused("POST", &format!("{path}/fr/setLabels"), labels(&json!("AAAA"))).1,
        "conditionNotMet"
    );
    sandbox.done("POST", &format!("{path}/fr/setLabels"), labels(&fingerprint));
    assert_eq!(sandbox.get(&format!("{path}/fr"))["labels"]["team"], "core");
}

#[test]
fn health_checks_are_checked() {
    let mut sandbox = Sandbox::new();
    let path = format!("{R}/healthChecks");
    for wrong in [
        json!({ "name": "x" }),
        json!({ "name": "x", "type": "TCP", "httpHealthCheck": { "port": 1 } }),
        json!({ "name": "x", "type": "TCP", "timeoutSec": 10, "checkIntervalSec": 5 }),
        json!({ "name": "x", "type": "TCP", "healthyThreshold": 11 }),
        json!({ "name": "x", "type": "TCP", "tcpHealthCheck": { "port": 70000 } }),
    ] {
        assert_eq!(sandbox.refused("POST", &path, wrong.clone()).0, 400, "{wrong}");
    }
    sandbox.done("POST", &path, json!({ "name": "x", "type": "TCP", "tcpHealthCheck": { "port": 5432 } }));
    sandbox.done(
        "PATCH",
        &format!("{path}/x"),
        json!({ "type": "HTTP", "httpHealthCheck": { "port": 8080 }, "checkIntervalSec": 10 }),
    );
    let shown = sandbox.get(&format!("{path}/x"));
    assert_eq!(
        (&shown["httpHealthCheck"]["port"], &shown["httpHealthCheck"]["requestPath"]),
        (&json!(8080), &json!("/"))
    );
    assert!(shown.get("tcpHealthCheck").is_none());
}
