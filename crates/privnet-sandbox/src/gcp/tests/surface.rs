//! The rest of the surface: every method that is served answers, in its documented form.

use std::collections::BTreeSet;

use super::*;

/// Paths of things that are there after `prepared`, one for each parameter of a path.
fn path_of(template: &str) -> String {
    let filled = |name: &str, collection: &str| match (name, collection) {
        ("project", "images") => "debian-cloud",
        ("project", _) => "acme-data",
        ("region", _) => "us-east4",
        ("zone", _) => "us-east4-b",
        ("network", _) => "prod",
        ("subnetwork", _) => "ilb",
        ("firewall", _) => "shared-db-health",
        ("machineType", _) => "e2-small",
        ("image", _) => "debian-13-trixie-v20251215",
        ("family", _) => "debian-13",
        ("instance", _) => "db-1",
        ("instanceGroup" | "instanceGroupManager", _) => "mig",
        ("instanceTemplate", _) => "t",
        ("networkEndpointGroup", _) => "neg",
        ("address", _) => "ip",
        ("healthCheck", _) => "hc",
        (_, _) => "shared-db",
    };
    let images = template.contains("/images");
    let parts = template.split('/').map(|part| {
        match part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => filled(name, if images { "images" } else { "" }).to_owned(),
            None => part.to_owned(),
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

fn template(name: &str) -> Value {
    json!({ "name": name, "properties": {
        "machineType": "e2-small", "networkInterfaces": [{ "subnetwork": format!("{R}/subnetworks/ilb") }],
        "disks": [{ "initializeParams": { "sourceImage": "projects/debian-cloud/global/images/family/debian-12" } }],
    }})
}

fn prepared() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.producer();
    for place in [P.to_owned() + "/global", R.to_owned()] {
        sandbox.done("POST", &format!("{place}/instanceTemplates"), template("t"));
    }
    for place in [R, Z] {
        let body = json!({ "name": "mig", "instanceTemplate": format!("{P}/global/instanceTemplates/t"), "targetSize": 1 });
        sandbox.done("POST", &format!("{place}/instanceGroupManagers"), body);
    }
    sandbox.done("POST", &format!("{P}/global/healthChecks"), json!({ "name": "hc", "type": "HTTPS" }));
    let address =
        json!({ "name": "ip", "addressType": "INTERNAL", "subnetwork": format!("{R}/subnetworks/data") });
    sandbox.done("POST", &format!("{R}/addresses"), address);
    sandbox.pass(60);
    sandbox
}

#[test]
fn every_read_answers() {
    let mut sandbox = prepared();
    let (_, operation) = sandbox.ask("DELETE", &format!("{P}/global/networks/prod"), Value::Null);
    let operation = operation["name"].as_str().unwrap().to_owned();
    let mut asked = BTreeSet::new();
    for (id, http, template) in API.reads() {
        let mut path = path_of(template);
        if template.contains("{operation}") {
            path = format!(
                "{P}/global/operations/{operation}{}",
                if template.ends_with("/wait") { "/wait" } else { "" }
            );
        }
        let body = match id {
            "instanceGroups.listInstances" | "regionInstanceGroups.listInstances" => {
                json!({ "instanceState": "ALL" })
            }
            "networkEndpointGroups.listNetworkEndpoints" => json!({ "healthStatus": "SHOW" }),
            "regionBackendServices.getHealth" => {
                json!({ "group": "zones/us-east4-a/instanceGroups/db-group" })
            }
            _ => Value::Null,
        };
        let (status, answer) = sandbox.ask(http, &path, body);
        // There are no global backend services here.
        let expected = if id == "backendServices.get" { 404 } else { 200 };
        assert_eq!(status, expected, "{id} {path}: {answer}");
        asked.insert(id);
    }
    assert!(asked.len() > 70, "{}", asked.len());
}

#[test]
fn smaller_mutations_have_their_effect() {
    let mut sandbox = prepared();
    let subnetwork = "projects/acme-data/regions/us-central1/subnetworks/ilb".to_owned();
    sandbox.done("POST", &format!("{subnetwork}/expandIpCidrRange"), json!({ "ipCidrRange": "10.8.0.0/15" }));
    assert_eq!(sandbox.get(&subnetwork)["ipCidrRange"], "10.8.0.0/15");
    for wrong in ["10.9.0.0/24", "10.6.0.0/15", "10.0.0.0/8"] {
        let body = json!({ "ipCidrRange": wrong });
        let (status, answer) = sandbox.ask("POST", &format!("{subnetwork}/expandIpCidrRange"), body);
        let failed = status == 400 || {
            sandbox.pass(30);
            let path = answer["selfLink"].as_str().unwrap().split("/compute/v1/").nth(1).unwrap().to_owned();
            sandbox.get(&path).get("error").is_some()
        };
        assert!(failed, "{wrong}");
    }
    sandbox.done(
        "POST",
        &format!("{subnetwork}/setPrivateIpGoogleAccess"),
        json!({ "privateIpGoogleAccess": true }),
    );
    assert_eq!(sandbox.get(&subnetwork)["privateIpGoogleAccess"], true);
    let machine = format!("{Z}/instances/db-1");
    let labels =
        json!({ "labels": { "a": "b" }, "labelFingerprint": sandbox.get(&machine)["labelFingerprint"] });
    sandbox.done("POST", &format!("{machine}/setLabels"), labels);
    assert_eq!(sandbox.get(&machine)["labels"], json!({ "a": "b" }));
    let labels = json!({ "labels": { "a": "b" }, "labelFingerprint": sandbox.get(&format!("{R}/addresses/ip"))["labelFingerprint"] });
    sandbox.done("POST", &format!("{R}/addresses/ip/setLabels"), labels);
    sandbox.done("DELETE", &format!("{R}/addresses/ip"), Value::Null);
    let target = json!({ "target": format!("{R}/serviceAttachments/shared-db") });
    assert_eq!(sandbox.refused("POST", &format!("{R}/forwardingRules/fr/setTarget"), target).1, "invalid");
    let network = format!("{P}/global/networks/prod");
    assert_eq!(
        sandbox.done("PATCH", &network, json!({ "routingConfig": { "routingMode": "GLOBAL" } }))["operationType"],
        "updateNetwork"
    );
    assert_eq!(
        sandbox.get(&network)["routingConfig"],
        json!({ "routingMode": "GLOBAL", "bgpBestPathSelectionMode": "LEGACY" })
    );
    let check = format!("{P}/global/healthChecks/hc");
    sandbox.done("PUT", &check, json!({ "name": "hc", "type": "TCP" }));
    assert!(sandbox.get(&check).get("httpsHealthCheck").is_none());
    sandbox.done("DELETE", &check, Value::Null);
    let firewall = format!("{P}/global/firewalls/shared-db-health");
    let body = json!({ "name": "shared-db-health", "network": "global/networks/prod", "denied": [{ "IPProtocol": "all" }] });
    sandbox.done("PUT", &firewall, body);
    let shown = sandbox.get(&firewall);
    assert!(shown.get("allowed").is_none() && shown.get("targetTags").is_none());
}

#[test]
fn a_regional_group_is_changed_like_a_zonal_one() {
    let mut sandbox = prepared();
    sandbox.done("POST", &format!("{R}/instanceTemplates"), template("t2"));
    let manager = format!("{R}/instanceGroupManagers/mig");
    let body = json!({ "instanceTemplate": format!("{R}/instanceTemplates/t2") });
    sandbox.done("POST", &format!("{manager}/setInstanceTemplate"), body);
    assert!(sandbox.get(&manager)["instanceTemplate"].as_str().unwrap().ends_with("/t2"));
    sandbox.done("POST", &format!("{manager}/resize?size=2"), Value::Null);
    sandbox.pass(60);
    let (_, listed) = sandbox.ask("POST", &format!("{manager}/listManagedInstances"), Value::Null);
    let machines = listed["managedInstances"].as_array().unwrap().clone();
    let made_from: Vec<&str> =
        machines.iter().map(|m| m["version"]["instanceTemplate"].as_str().unwrap()).collect();
    assert!(
        made_from[0].ends_with("/t") && made_from[1].ends_with("/t2"),
        "an old machine keeps its template"
    );
    sandbox.done(
        "POST",
        &format!("{manager}/recreateInstances"),
        json!({ "instances": [machines[0]["instance"]] }),
    );
    sandbox.done(
        "POST",
        &format!("{manager}/deleteInstances"),
        json!({ "instances": [machines[1]["instance"]] }),
    );
    sandbox.pass(60);
    assert_eq!(sandbox.get(&manager)["targetSize"], 1);
    let (_, listed) = sandbox.ask("POST", &format!("{manager}/listManagedInstances"), Value::Null);
    let machines = listed["managedInstances"].as_array().unwrap();
    assert_eq!(machines.len(), 1);
    assert!(
        machines[0]["version"]["instanceTemplate"].as_str().unwrap().ends_with("/t2"),
        "made anew from the new template"
    );
    let ports = json!({ "namedPorts": [{ "name": "pg", "port": 5432 }], "fingerprint": null });
    sandbox.done("POST", &format!("{R}/instanceGroups/mig/setNamedPorts"), ports);
    sandbox.done("PATCH", &manager, json!({ "targetSize": 3, "description": "d" }));
    sandbox.pass(60);
    assert_eq!(sandbox.get(&format!("{R}/instanceGroups/mig"))["size"], 3);
    sandbox.done("DELETE", &manager, Value::Null);
    sandbox.done("DELETE", &format!("{R}/instanceTemplates/t2"), Value::Null);
}
