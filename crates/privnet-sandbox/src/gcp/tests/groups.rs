//! Instances, templates, unmanaged and managed groups.

use super::*;

fn template(name: &str) -> Value {
    json!({
        "name": name,
        "properties": {
            "machineType": "e2-small", "canIpForward": true,
            "disks": [{ "boot": true, "autoDelete": true, "initializeParams": { "sourceImage": "projects/debian-cloud/global/images/family/debian-12" } }],
            "networkInterfaces": [{ "subnetwork": format!("{R}/subnetworks/ilb") }],
            "metadata": { "items": [{ "key": "user-data", "value": "#cloud-config" }] },
            "tags": { "items": ["forwarder"] },
        },
    })
}

fn with_template(sandbox: &mut Sandbox) -> String {
    sandbox.done("POST", "projects/acme-data/global/instanceTemplates", template("t"));
    "projects/acme-data/global/instanceTemplates/t".to_owned()
}

#[test]
fn templates_are_checked() {
    let mut sandbox = Sandbox::new();
    for (pointer, value) in [
        ("/properties/machineType", json!("zones/us-east4-a/machineTypes/e2-small")),
        ("/properties/machineType", json!("e9-tiny")),
        (
            "/properties/disks/0/initializeParams/sourceImage",
            json!("projects/debian-cloud/global/images/family/debian-3"),
        ),
        ("/properties/networkInterfaces/0/subnetwork", json!(format!("{R}/subnetworks/none"))),
        ("/properties/networkInterfaces", json!([])),
        ("/properties", Value::Null),
    ] {
        let mut wrong = template("t");
        *wrong.pointer_mut(pointer).unwrap() = value;
        let refused = sandbox.refused("POST", "projects/acme-data/global/instanceTemplates", wrong.clone());
        assert!(matches!(refused.0, 400 | 404), "{wrong}");
    }
}

#[test]
fn a_regional_group_comes_up_over_time() {
    let mut sandbox = Sandbox::new();
    let template = with_template(&mut sandbox);
    let path = format!("{R}/instanceGroupManagers");
    sandbox.done("POST", &path, json!({ "name": "fwd", "baseInstanceName": "fwd", "instanceTemplate": template, "targetSize": 2,
        "distributionPolicy": { "zones": [{ "zone": "zones/us-east4-a" }, { "zone": "zones/us-east4-b" }] } }));
    let shown = sandbox.get(&format!("{path}/fwd"));
    assert_eq!(
        (&shown["status"]["isStable"], &shown["currentActions"]["creating"]),
        (&json!(false), &json!(2))
    );
    let managed = |sandbox: &mut Sandbox| {
        sandbox.ask("POST", &format!("{path}/fwd/listManagedInstances"), Value::Null).1["managedInstances"]
            .clone()
    };
    assert_eq!(managed(&mut sandbox)[0]["currentAction"], "CREATING");
    sandbox.pass(60);
    let machines = managed(&mut sandbox);
    let zones: Vec<&str> = machines
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["instance"].as_str().unwrap().split('/').nth(8).unwrap())
        .collect();
    assert_eq!(zones, ["us-east4-a", "us-east4-b"]);
    assert!(
        machines
            .as_array()
            .unwrap()
            .iter()
            .all(|m| m["instanceStatus"] == "RUNNING" && m["currentAction"] == "NONE")
    );
    assert_eq!(sandbox.get(&format!("{path}/fwd"))["status"]["isStable"], true);
    let group = sandbox.get(&format!("{R}/instanceGroups/fwd"));
    assert_eq!(group["size"], 2);
    let (_, listed) = sandbox.ask(
        "POST",
        &format!("{R}/instanceGroups/fwd/listInstances"),
        json!({ "instanceState": "RUNNING" }),
    );
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let instance = machines[0]["instance"].as_str().unwrap().split("/compute/v1/").nth(1).unwrap().to_owned();
    let shown = sandbox.get(&instance);
    assert_eq!((&shown["tags"]["items"][0], &shown["canIpForward"]), (&json!("forwarder"), &json!(true)));
    // Somebody deletes a machine: the group makes another.
    sandbox.done("DELETE", &instance, Value::Null);
    sandbox.pass(60);
    let after = managed(&mut sandbox);
    assert_eq!(after.as_array().unwrap().len(), 2);
    assert!(
        after
            .as_array()
            .unwrap()
            .iter()
            .all(|m| m["instance"] != shown["selfLink"] && m["instanceStatus"] == "RUNNING")
    );
    assert_eq!(sandbox.refused("DELETE", &template, Value::Null).1, "resourceInUseByAnotherResource");
}

#[test]
fn a_zonal_group_is_resized_changed_and_deleted() {
    let mut sandbox = Sandbox::new();
    let template = with_template(&mut sandbox);
    let path = format!("{Z}/instanceGroupManagers");
    sandbox.done(
        "POST",
        &path,
        json!({ "name": "fwd", "versions": [{ "instanceTemplate": template }], "targetSize": 1 }),
    );
    sandbox.done("POST", &format!("{path}/fwd/resize?size=3"), Value::Null);
    sandbox.pass(60);
    assert_eq!(sandbox.get(&format!("{Z}/instanceGroups/fwd"))["size"], 3);
    sandbox.done("POST", &format!("{path}/fwd/resize?size=1"), Value::Null);
    sandbox.pass(90);
    assert_eq!(sandbox.get(&format!("{Z}/instanceGroups/fwd"))["size"], 1);
    sandbox.done("POST", "projects/acme-data/global/instanceTemplates", self::template("t2"));
    let change = json!({ "versions": [{ "instanceTemplate": "global/instanceTemplates/t2" }] });
    sandbox.done("PATCH", &format!("{path}/fwd"), change);
    let shown = sandbox.get(&format!("{path}/fwd"));
    assert!(shown["instanceTemplate"].as_str().unwrap().ends_with("/t2"));
    let instances = sandbox.get(&format!("{Z}/instances?filter=name%20eq%20%22fwd-.*%22"));
    let link = instances["items"][0]["selfLink"].clone();
    sandbox.done("POST", &format!("{path}/fwd/recreateInstances"), json!({ "instances": [link] }));
    sandbox.pass(60);
    assert_eq!(
        sandbox.refused("DELETE", &format!("{Z}/instanceGroups/fwd"), Value::Null).1,
        "resourceInUseByAnotherResource"
    );
    sandbox.done("DELETE", &format!("{path}/fwd"), Value::Null);
    assert_eq!(sandbox.refused("GET", &format!("{Z}/instanceGroups/fwd"), Value::Null).0, 404);
    assert!(sandbox.get(&format!("{Z}/instances?filter=name%20eq%20%22fwd-.*%22")).get("items").is_none());
}

#[test]
fn a_group_that_is_a_backend_stays() {
    let mut sandbox = Sandbox::new();
    let template = with_template(&mut sandbox);
    sandbox.done(
        "POST",
        &format!("{R}/instanceGroupManagers"),
        json!({ "name": "fwd", "instanceTemplate": template, "targetSize": 2 }),
    );
    sandbox.done(
        "POST",
        &format!("{R}/healthChecks"),
        json!({ "name": "hc", "type": "HTTP", "httpHealthCheck": { "port": 9000 } }),
    );
    sandbox.done(
        "POST",
        &format!("{R}/backendServices"),
        json!({
            "name": "bs", "loadBalancingScheme": "INTERNAL", "healthChecks": [format!("{R}/healthChecks/hc")],
            "backends": [{ "group": format!("{R}/instanceGroups/fwd") }],
        }),
    );
    let refused = sandbox.refused("DELETE", &format!("{R}/instanceGroupManagers/fwd"), Value::Null);
    assert_eq!(refused.1, "resourceInUseByAnotherResource");
    sandbox.done("POST", &format!("{R}/forwardingRules"), json!({
        "name": "fr", "loadBalancingScheme": "INTERNAL", "ports": ["3306"], "subnetwork": format!("{R}/subnetworks/ilb"),
        "backendService": format!("{R}/backendServices/bs"),
    }));
    sandbox.done("POST", "projects/acme-data/global/firewalls", json!({
        "name": "hc", "network": "global/networks/prod", "allowed": [{ "IPProtocol": "tcp", "ports": ["9000"] }],
        "sourceRanges": ["35.191.0.0/16", "130.211.0.0/22"], "targetTags": ["forwarder"],
    }));
    sandbox.pass(120);
    let group = json!({ "group": format!("{R}/instanceGroups/fwd") });
    let (_, health) = sandbox.ask("POST", &format!("{R}/backendServices/bs/getHealth"), group);
    let states = health["healthStatus"].as_array().unwrap();
    assert!(states.len() == 2 && states.iter().all(|state| state["healthState"] == "HEALTHY"), "{health}");
}

#[test]
fn unmanaged_groups_take_machines_of_their_zone() {
    let mut sandbox = Sandbox::new();
    let path = format!("{Z}/instanceGroups");
    sandbox.done("POST", &path, json!({ "name": "g" }));
    let machine = json!({ "instances": [{ "instance": format!("{Z}/instances/db-1") }] });
    sandbox.done("POST", &format!("{path}/g/addInstances"), machine.clone());
    let shown = sandbox.get(&format!("{path}/g"));
    assert_eq!(shown["size"], 1);
    assert!(shown["subnetwork"].as_str().unwrap().ends_with("/subnetworks/ilb"));
    assert_eq!(sandbox.refused("POST", &format!("{path}/g/addInstances"), machine.clone()).0, 400);
    let hosted = json!({ "instances": [{ "instance": format!("{Z}/instances/db-hosted") }] });
    assert_eq!(sandbox.refused("POST", &format!("{path}/g/addInstances"), hosted).0, 400, "another network");
    sandbox.done(
        "POST",
        &format!("{path}/g/setNamedPorts"),
        json!({ "namedPorts": [{ "name": "pg", "port": 5432 }] }),
    );
    sandbox.done("POST", &format!("{path}/g/removeInstances"), machine.clone());
    assert_eq!(sandbox.refused("POST", &format!("{path}/g/removeInstances"), machine).0, 400);
    sandbox.done("DELETE", &format!("{path}/g"), Value::Null);
}

#[test]
fn an_instance_boots_stops_and_starts() {
    let mut sandbox = Sandbox::new();
    let body = json!({
        "name": "vm", "machineType": "zones/us-east4-b/machineTypes/e2-small",
        "disks": [{ "boot": true, "initializeParams": { "sourceImage": "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64" } }],
        "networkInterfaces": [{ "subnetwork": "regions/us-east4/subnetworks/data" }],
    });
    let (_, begun) = sandbox.ask("POST", &format!("{Z}/instances"), body);
    assert_eq!(begun["operationType"], "insert");
    let path = format!("{Z}/instances/vm");
    assert_eq!(sandbox.get(&path)["status"], "PROVISIONING");
    sandbox.pass(4);
    assert_eq!(sandbox.get(&path)["status"], "STAGING");
    sandbox.pass(10);
    let shown = sandbox.get(&path);
    assert_eq!(
        (&shown["status"], &shown["networkInterfaces"][0]["networkIP"]),
        (&json!("RUNNING"), &json!("10.7.1.2"))
    );
    sandbox.done("POST", &format!("{path}/stop"), Value::Null);
    assert_eq!(sandbox.get(&path)["status"], "TERMINATED");
    sandbox.done("POST", &format!("{path}/start"), Value::Null);
    sandbox.pass(10);
    assert_eq!(sandbox.get(&path)["status"], "RUNNING");
    let fingerprint = sandbox.get(&path)["tags"]["fingerprint"].clone();
    sandbox.done("POST", &format!("{path}/setTags"), json!({ "items": ["db"], "fingerprint": fingerprint }));
    assert_eq!(sandbox.get(&path)["tags"]["items"], json!(["db"]));
    sandbox.done("DELETE", &path, Value::Null);
    for wrong in [
        json!({ "machineType": "zones/us-east4-a/machineTypes/e2-small" }),
        json!({ "machineType": "zones/us-east4-b/machineTypes/none" }),
    ] {
        let mut body = json!({ "name": "vm2", "disks": [{ "boot": true }], "networkInterfaces": [{ "subnetwork": "regions/us-east4/subnetworks/data" }] });
        body["machineType"] = wrong["machineType"].clone();
        assert!(matches!(sandbox.refused("POST", &format!("{Z}/instances"), body).0, 400 | 404));
    }
}
