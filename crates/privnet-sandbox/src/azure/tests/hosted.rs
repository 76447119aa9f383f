use super::*;

fn hosted(kind: &str, name: &str) -> String {
    format!("/subscriptions/{OWN}/resourceGroups/{GROUP}/providers/{kind}/{name}")
}

fn decide(status: &str) -> Value {
    json!({"properties": {"privateLinkServiceConnectionState": {"status": status, "description": "by test"}}})
}

/// A pending connection of the consumer with a hosted service.
fn pending(arm: &Arm, service: &str) -> String {
    let raised = arm.server.connect(service, None, arm.now).unwrap();
    raised["connection"].as_str().unwrap().to_owned()
}

fn status(arm: &Arm, id: &str) -> String {
    let body = arm.get(id).is(200).body;
    body["properties"]["privateLinkServiceConnectionState"]["status"].as_str().unwrap().to_owned()
}

#[test]
fn a_sql_server_decides_once() {
    let mut arm = Arm::new();
    let server = hosted("Microsoft.Sql/servers", "crm");
    let id = pending(&arm, "crm");
    assert!(id.contains("/crm/privateEndpointConnections/pe-crm-"), "{id}");
    assert_eq!(arm.get(&id).state(), "Ready");
    let reply = arm.put(&id, decide("Approved")).is(202);
    assert_eq!(reply.body["operation"], "ApprovePrivateEndpointConnection");
    assert!(reply.header("location").is_some() && reply.header("azure-asyncoperation").is_some());
    assert_eq!(status(&arm, &id), "Pending");
    assert_eq!(arm.follow(&reply, "azure-asyncoperation").body["status"], "InProgress");
    arm.follow(&reply, "location").is(202);
    arm.pass(6);
    assert_eq!(arm.follow(&reply, "azure-asyncoperation").body["status"], "Succeeded");
    assert_eq!(arm.follow(&reply, "location").is(200).body["id"], json!(id));
    assert_eq!(status(&arm, &id), "Approved");
    arm.put(&id, decide("Rejected")).refused(400, "PrivateEndpointConnectionStatusNotPending");
    let gone = arm.delete(&id).is(202);
    assert_eq!(gone.body["operation"], "DropPrivateEndpointConnection");
    arm.pass(9);
    arm.get(&id).is(404);
    let of_parent = arm.get(&server).is(200).body["properties"]["privateEndpointConnections"].clone();
    assert!(of_parent.as_array().unwrap().iter().all(|c| c["id"] != json!(id)));
    assert_eq!(
        arm.get(&format!("{server}/privateLinkResources")).body["value"][0]["properties"]["groupId"],
        "sqlServer"
    );
}

#[test]
fn mysql_lists_through_the_parent_as_recorded() {
    let mut arm = Arm::new();
    let server = hosted("Microsoft.DBforMySQL/flexibleServers", "shop");
    let id = pending(&arm, "shop");
    arm.get(&format!("{server}/privateEndpointConnections")).refused(404, "InvalidResourceType");
    let listed = arm.get(&server).body["properties"]["privateEndpointConnections"][0].clone();
    assert_eq!(listed["id"], json!(id));
    assert!(listed.get("name").is_none());
    assert_eq!(listed["properties"]["groupIds"], json!(["mysqlServer"]));
    let reply = arm.put(&id, decide("Approved")).is(202);
    assert_eq!(reply.body["operation"], "ApprovePrivateEndpointConnectionManagementOperation");
    arm.pass(6);
    arm.put(&id, decide("Rejected")).is(202);
    arm.pass(6);
    assert_eq!(status(&arm, &id), "Rejected");
    let vault = pending(&arm, "acme-keys");
    arm.get(&format!("{}/privateEndpointConnections", hosted("Microsoft.KeyVault/vaults", "acme-keys")))
        .is(404);
    let vaults = arm.get(&hosted("Microsoft.KeyVault/vaults", "acme-keys")).body;
    let listed = &vaults["properties"]["privateEndpointConnections"][0];
    assert!(listed["id"] == json!(vault) && listed.get("name").is_none(), "{listed}");
    assert_eq!(arm.get(&vault).is(200).state(), "Succeeded");
}

#[test]
fn each_provider_answers_in_its_way() {
    let mut arm = Arm::new();
    let storage = pending(&arm, "acmedatalake");
    assert_eq!(
        arm.put(&storage, decide("Approved")).is(200).body["properties"]["privateLinkServiceConnectionState"]
            ["status"],
        "Approved"
    );
    let state = &arm.get(&storage).body["properties"]["privateLinkServiceConnectionState"];
    assert!(state["actionRequired"] == "None" && state.get("actionsRequired").is_none(), "{state}");
    arm.delete(&storage).is(200);

    let bus = pending(&arm, "acme-bus");
    let reply = arm.put(&bus, decide("Approved")).is(202);
    assert_eq!((reply.header("azure-asyncoperation"), reply.raw.body.len()), (None, 0));
    assert_eq!(reply.header("retry-after"), Some("1"));
    arm.pass(6);
    arm.follow(&reply, "location").is(200);

    let site = pending(&arm, "acme-portal");
    let reply = arm.put(&site, decide("Rejected")).is(202);
    assert!(reply.header("azure-asyncoperation").is_some() && reply.header("location").is_some());
    assert_eq!(status(&arm, &site), "Rejecting");
    arm.pass(6);
    assert_eq!(status(&arm, &site), "Rejected");
    assert_eq!(arm.get(&site).state(), "Pending", "it says so for as long as it is rejected");
    arm.put(&site, decide("Approved")).is(202);
    arm.pass(6);
    assert_eq!((status(&arm, &site).as_str(), arm.get(&site).state()), ("Approved", "Succeeded"));

    let search = pending(&arm, "acme-search");
    arm.put(&search, decide("Rejected")).is(200);
    arm.put(&search, decide("Approved")).refused(400, "OperationNotAllowed");

    let cosmos = pending(&arm, "acme-cosmos");
    arm.put(&cosmos, decide("Rejected")).is(200);
    arm.pass(6);
    arm.put(&cosmos, decide("Approved")).refused(400, "BadRequest");
}

#[test]
fn a_colleague_is_there_already() {
    let arm = Arm::new();
    let list = arm.get(&format!(
        "{}/privateEndpointConnections",
        hosted("Microsoft.Storage/storageAccounts", "acmedatalake")
    ));
    assert_eq!(
        list.body["value"][0]["properties"]["privateLinkServiceConnectionState"]["status"],
        "Approved"
    );
    let all = arm.get(&format!("/subscriptions/{OWN}/providers/Microsoft.Sql/servers")).is(200);
    assert_eq!(all.body["value"].as_array().unwrap().len(), 1);
    arm.delete(&hosted("Microsoft.Sql/servers", "crm")).refused(405, "MethodNotAllowed");
}
