//! Tests of hosted services: what is read of them, and what is said.

use privnet_core::plan::{ConnectionAction, Op};
use serde_json::json;

use super::*;
use crate::arm::fake::{Script, context};
use crate::testing::hosted_spec;

fn hosted_of(service: &Service) -> AzureHosted {
    match &service.cloud {
        CloudService::Azure(azure) => match &azure.form {
            AzureForm::Hosted(hosted) => hosted.clone(),
            _ => unreachable!("the tests' services are hosted"),
        },
        _ => unreachable!("the tests' services are on Azure"),
    }
}

#[test]
fn a_subresource_matches_without_case_and_a_wrong_one_gets_the_right_ones() {
    let spec = hosted_spec(&[]);
    let service = &spec.services[0];
    let mut hosted = hosted_of(service);
    assert_eq!(problem(service, &hosted), None);
    assert_eq!(fields(&hosted)["subresource"], Value::text("sqlServer"));
    hosted.subresource = "blob".parse().unwrap();
    assert!(problem(service, &hosted).unwrap().why.ends_with("it has: sqlServer"));
    hosted.resource_id =
        hosted.resource_id.to_string().replace("Microsoft.Sql/servers", "Contoso.Db/things").parse().unwrap();
    assert!(
        problem(service, &hosted).unwrap().why.contains("az network private-endpoint-connection approve")
    );
}

#[tokio::test]
async fn connections_come_from_their_list_or_from_the_parent() {
    let spec = hosted_spec(&[]);
    let service = &spec.services[0];
    let mut hosted = hosted_of(service);
    let item = json!({"id": "/x/privateEndpointConnections/e-1", "properties": {
        "privateEndpoint": {"id": "/subscriptions/s1/resourceGroups/v/providers/Microsoft.Network/privateEndpoints/e"},
        "privateLinkServiceConnectionState": {"status": "Pending"}}});
    let (arm, script) = Script::arm(vec![(200, vec![], json!({"value": [item]}))]);
    let seen =
        observe(&arm, &context(), &Parts::of(&spec), service, &hosted, Purpose::Connections).await.unwrap();
    assert_eq!(seen.world.connections.known()[0].state, ConnectionState::Pending);
    assert_eq!(script.asked().len(), 1, "one request");
    assert!(script.asked()[0].ends_with("/servers/crm/privateEndpointConnections"));

    hosted.resource_id = hosted
        .resource_id
        .to_string()
        .replace("Microsoft.Sql/servers", "Microsoft.KeyVault/vaults")
        .parse()
        .unwrap();
    hosted.subresource = "vault".parse().unwrap();
    let (arm, script) =
        Script::arm(vec![(200, vec![], json!({"properties": {"privateEndpointConnections": [item]}}))]);
    let seen =
        observe(&arm, &context(), &Parts::of(&spec), service, &hosted, Purpose::Connections).await.unwrap();
    assert_eq!(seen.world.connections.known()[0].handle, "e-1");
    assert!(script.asked()[0].ends_with("/vaults/crm"));
}

/// Two providers' lists are arrays by themselves, and Power BI's resource may come as the one element of one.
#[tokio::test]
async fn arrays_by_themselves_are_read_where_a_provider_gives_them() {
    let spec = hosted_spec(&[]);
    let service = &spec.services[0];
    let group = format!("/subscriptions/{}/resourceGroups/rg-data/providers", crate::testing::SUBSCRIPTION);
    let item = json!({"id": "/x/privateEndpointConnections/e-1", "properties": {
        "privateEndpoint": {"id": "/subscriptions/s1/resourceGroups/v/providers/Microsoft.Network/privateEndpoints/e"},
        "privateLinkServiceConnectionState": {"status": "Pending"}}});
    let power = format!("{group}/Microsoft.PowerBI/privateLinkServicesForPowerBI/x");
    let whole = json!({"id": power.to_uppercase(), "properties": {"privateEndpointConnections": [item]}});
    let other = json!({"id": format!("{power}2"), "properties": {"privateEndpointConnections": []}});
    for (id, subresource, answer) in [
        (format!("{group}/Microsoft.Devices/IotHubs/x"), "iotHub", json!([item])),
        (format!("{group}/Microsoft.Devices/provisioningServices/x"), "iotDps", json!([item])),
        (power.clone(), "Tenant", json!([other, whole])),
        (power.clone(), "Tenant", whole.clone()),
    ] {
        let hosted =
            AzureHosted { resource_id: id.parse().unwrap(), subresource: subresource.parse().unwrap() };
        let (arm, _) = Script::arm(vec![(200, vec![], answer)]);
        let seen = observe(&arm, &context(), &Parts::of(&spec), service, &hosted, Purpose::Connections)
            .await
            .unwrap();
        assert_eq!(seen.world.connections.known()[0].handle, "e-1", "{id}");
    }
    let hosted = AzureHosted { resource_id: power.parse().unwrap(), subresource: "Tenant".parse().unwrap() };
    let (arm, _) = Script::arm(vec![(200, vec![], json!([other]))]);
    let seen = observe(&arm, &context(), &Parts::of(&spec), service, &hosted, Purpose::Connections).await;
    assert_eq!(seen.unwrap().refusal.unwrap().rule, Rule::Unobserved);
}

/// A provider that answers with a page of its own is one that could not be seen, and no reason to see nothing else.
#[tokio::test]
async fn one_that_answers_no_json_leaves_the_others_to_be_seen() {
    let spec = hosted_spec(&[]);
    let service = &spec.services[0];
    let hosted = hosted_of(service);
    let (arm, _) = Script::arm(vec![(404, vec![], json!("<html>not here</html>")); 20]);
    let seen = observe(&arm, &context(), &Parts::of(&spec), service, &hosted, Purpose::Connections).await;
    let seen = seen.unwrap();
    assert_eq!(seen.refusal.unwrap().rule, Rule::Unobserved);
    assert!(matches!(seen.world.connections, Connections::Unreadable { .. }));
}

/// What a row says of a decision's answer is what the user is told, and what the decision waits for.
#[tokio::test]
async fn every_row_is_decided_on_with_the_answer_that_it_says() {
    let spec = hosted_spec(&[]);
    for row in table::all() {
        let resource = format!(
            "/subscriptions/{}/resourceGroups/rg/providers/{}/x",
            crate::testing::SUBSCRIPTION,
            row.resource_type
        );
        let endpoint = "/subscriptions/s/resourceGroups/v/providers/Microsoft.Network/privateEndpoints/e";
        let shown = |status: &str| {
            json!({"id": format!("{resource}/privateEndpointConnections/e-1"), "properties": {
                "privateEndpoint": {"id": endpoint}, "provisioningState": "Succeeded",
                "privateLinkServiceConnectionState": {"status": status}}})
        };
        let operation = "https://management.azure.com/subscriptions/s/providers/Microsoft.Any/operations/o";
        let mut answers = vec![(200, vec![], shown("Pending"))];
        match row.answer {
            Answer::Done => answers.push((200, vec![], shown("Approved"))),
            Answer::Begun => answers.extend([
                (202, vec![("azure-asyncoperation", operation)], Json::Null),
                (200, vec![], json!({"status": "InProgress"})),
                (200, vec![], json!({"status": "Succeeded"})),
            ]),
        }
        answers.push((200, vec![], shown("Approved")));
        let (asked, (arm, script)) = (answers.len(), Script::arm(answers));
        let wanted = ConnectionAction {
            id: endpoint.to_owned(),
            handle: "e-1".to_owned(),
            consumer: None,
            who: String::new(),
            preset: None,
            state: ConnectionState::Pending,
            sever: false,
            along: Vec::new(),
            besides: Vec::new(),
            entries: None,
            cut: Vec::new(),
            turned_away: Vec::new(),
        };
        let target = decision_target(&resource, "e-1").unwrap();
        connection::decide(&arm, &context(), &target, &wanted, Op::Accept).await.unwrap();
        assert_eq!(script.asked().len(), asked, "{}: {:?}", row.resource_type, script.asked());

        let hosted = AzureHosted {
            resource_id: resource.parse().unwrap(),
            subresource: row.subresources[0].parse().unwrap(),
        };
        let notes = handoff(&spec.services[0], &hosted).notes;
        let slow = notes.iter().any(|note| note.contains("some minutes"));
        assert_eq!(slow, row.answer == Answer::Begun, "{}", row.resource_type);
    }
}

#[tokio::test]
async fn a_request_that_does_not_tell_its_part_is_shown_with_that() {
    let spec = hosted_spec(&[]);
    let service = &spec.services[0];
    let mut hosted = hosted_of(service);
    hosted.resource_id = hosted
        .resource_id
        .to_string()
        .replace("Microsoft.Sql/servers", "Microsoft.Storage/storageAccounts")
        .parse()
        .unwrap();
    hosted.subresource = "blob".parse().unwrap();
    let asks = |name: &str, more: Json| {
        let mut item = json!({"id": format!("/x/privateEndpointConnections/{name}"), "properties": {
            "privateEndpoint": {"id": format!("/subscriptions/s1/resourceGroups/v/providers/Microsoft.Network/privateEndpoints/{name}")},
            "privateLinkServiceConnectionState": {"status": "Pending"}}});
        item["properties"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        item
    };
    let items = [
        asks("untold", json!({})),
        asks("file", json!({"groupIds": ["file"]})),
        asks("blob", json!({"groupIds": ["BLOB"]})),
    ];
    let (arm, _) = Script::arm(vec![(200, vec![], json!({"value": items}))]);
    let seen =
        observe(&arm, &context(), &Parts::of(&spec), service, &hosted, Purpose::Connections).await.unwrap();
    let notes: Vec<_> =
        seen.world.connections.known().iter().map(|c| (c.handle.as_str(), c.note.is_some())).collect();
    assert_eq!(notes, [("untold", true), ("blob", false)], "one for another part is none of this service's");
    let note = seen.world.connections.known()[0].note.clone().unwrap();
    assert!(note.contains("does not tell which part it is for"), "{note}");
}

#[test]
fn who_reaches_several_parts_needs_room_at_each() {
    let acme = crate::testing::consumer_of(&["11111111-2222-3333-4444-555555555555"]);
    let mut spec = hosted_spec(&[("acme", acme)]);
    let part = |service: &Service, name: &str, part: &str| {
        let mut hosted = hosted_of(service);
        let id = hosted.resource_id.to_string();
        let id = id.replace("Microsoft.Sql/servers", "Microsoft.Storage/storageAccounts");
        hosted.resource_id = id.parse().unwrap();
        hosted.subresource = part.parse().unwrap();
        crate::testing::service(name, AzureForm::Hosted(hosted), &["acme"])
    };
    let (blob, dfs) = (part(&spec.services[0], "files", "BLOB"), part(&spec.services[0], "lake", "dfs"));
    let alone = blob.clone();
    spec.services = vec![blob, dfs];
    let crowd = |spec: &Spec| crowded(spec, &spec.services[0], &hosted_of(&spec.services[0]));
    let warning = crowd(&spec).unwrap();
    assert!(warning.starts_with("files: ") && warning.contains("acme (2 parts)"), "{warning}");
    for service in &mut spec.services {
        for allow in service.allow.values_mut() {
            allow.max_connections = std::num::NonZeroU32::new(2).unwrap();
        }
    }
    assert_eq!(crowd(&spec), None);
    spec.services = vec![alone.clone(), alone];
    assert_eq!(crowd(&spec), None, "the same part");
}

#[tokio::test]
async fn what_is_not_there_or_may_not_be_read_concerns_this_service_only() {
    let spec = hosted_spec(&[]);
    let service = &spec.services[0];
    let hosted = hosted_of(service);
    let (arm, _) =
        Script::arm(vec![(404, vec![], json!({"error": {"code": "ResourceNotFound", "message": "m"}}))]);
    let seen =
        observe(&arm, &context(), &Parts::of(&spec), service, &hosted, Purpose::Connections).await.unwrap();
    assert!(seen.live.is_none() && seen.refusal.is_none());
    for (purpose, is_said) in [(Purpose::Connections, true), (Purpose::Status, true), (Purpose::Plan, false)]
    {
        let gone = json!({"error": {"code": "ResourceGroupNotFound", "message": "no rg-data"}});
        let (arm, _) = Script::arm(vec![(404, vec![], gone)]);
        let seen = observe(&arm, &context(), &Parts::of(&spec), service, &hosted, purpose).await.unwrap();
        assert_eq!(seen.refusal.is_some(), is_said, "{purpose:?}");
    }
    let denied = json!({"error": {"code": "AuthorizationFailed", "message":
        "does not have authorization to perform action 'Microsoft.Sql/servers/privateEndpointConnections/read' over scope 'x'"}});
    let unknown = json!({"error": {"code": "SubscriptionNotFound", "message":
        "The subscription 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee' could not be found."}});
    let (arm, _) = Script::arm(vec![(404, vec![], unknown)]);
    let seen =
        observe(&arm, &context(), &Parts::of(&spec), service, &hosted, Purpose::Connections).await.unwrap();
    assert_eq!(seen.refusal.unwrap().rule, Rule::Unobserved);
    assert!(seen.world.connections.may_be_live(), "nobody knows who is connected");
    let (arm, _) = Script::arm(vec![(403, vec![], denied)]);
    let seen =
        observe(&arm, &context(), &Parts::of(&spec), service, &hosted, Purpose::Connections).await.unwrap();
    let refusal = seen.refusal.unwrap();
    assert_eq!(refusal.rule, Rule::Unobserved);
    assert!(refusal.why.contains("Microsoft.Sql/servers/privateEndpointConnections/read"));
    assert!(seen.world.connections.may_be_live());
}
