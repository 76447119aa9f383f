use super::*;

#[test]
fn requests_need_a_token_and_a_version() {
    let arm = Arm::new();
    let mut exchange = Arm::exchange("GET", &network("virtualNetworks", "hub"), None);
    exchange.headers.clear();
    let reply = arm.send(&exchange);
    reply.refused(401, "AuthenticationFailed");
    assert!(reply.header("www-authenticate").is_some());
    arm.get(&format!("{}?x=1", network("virtualNetworks", "hub"))).refused(400, "MissingApiVersionParameter");
    arm.get(&format!("{}?api-version=nonsense", network("virtualNetworks", "hub")))
        .refused(400, "InvalidApiVersionParameter");
    for version in ["2018-08-01", "2024-05-01", "2099-01-01-preview"] {
        arm.get(&format!("{}?api-version={version}", network("virtualNetworks", "hub"))).is(200);
    }
}

#[test]
fn what_is_not_there_is_named_as_arm_names_it() {
    let arm = Arm::new();
    arm.get(&network("loadBalancers", "none")).refused(404, "ResourceNotFound");
    arm.get(&subnet("none")).refused(404, "NotFound");
    arm.get(&network("loadBalancers", "none").replace(GROUP, "rg-none"))
        .refused(404, "ResourceGroupNotFound");
    arm.get(&network("loadBalancers", "none").replace(OWN, "00000000-0000-0000-0000-000000000000"))
        .refused(404, "SubscriptionNotFound");
    arm.get(&network("unheardOf", "x")).refused(404, "ResourceNotFound");
    arm.put(&network("unheardOf", "x"), json!({"location": "eastus2"})).refused(404, "InvalidResourceType");
    arm.delete(&network("loadBalancers", "none")).is(204);
}

#[test]
fn names_and_types_match_without_case() {
    let arm = Arm::new();
    let reply = arm
        .get(&format!(
            "/SUBSCRIPTIONS/{}/resourcegroups/RG-DATA/providers/microsoft.network/VIRTUALNETWORKS/Hub",
            OWN.to_uppercase()
        ))
        .is(200);
    assert_eq!(reply.body["id"], json!(network("virtualNetworks", "hub")));
    assert_eq!(reply.header("etag"), reply.body["etag"].as_str());
}

#[test]
fn lists_come_in_pages() {
    let mut arm = Arm::new();
    for index in 0..120 {
        arm.put(
            &network("networkSecurityGroups", &format!("nsg-{index:03}")),
            json!({"location": "eastus2"}),
        )
        .is(201);
        arm.pass(1);
    }
    let list = format!(
        "/subscriptions/{OWN}/providers/Microsoft.Network/networkSecurityGroups?api-version=2024-05-01"
    );
    let first = arm.get(&list).is(200);
    assert_eq!(first.body["value"].as_array().unwrap().len(), 100);
    let next = first.body["nextLink"].as_str().unwrap();
    let second = arm.get(next.strip_prefix("http://127.0.0.1:4567").unwrap()).is(200);
    assert_eq!(second.body["value"].as_array().unwrap().len(), 20);
    assert!(second.body.get("nextLink").is_none());
}

#[test]
fn something_new_is_missing_from_lists_for_a_while() {
    let mut arm = Arm::with(|setup| setup.list_lag = std::time::Duration::from_secs(5));
    let list = format!(
        "/subscriptions/{OWN}/resourceGroups/{GROUP}/providers/Microsoft.Network/networkSecurityGroups"
    );
    arm.put(&network("networkSecurityGroups", "nsg"), json!({"location": "eastus2"})).is(201);
    assert_eq!(arm.get(&list).body["value"], json!([]));
    arm.get(&network("networkSecurityGroups", "nsg")).is(200);
    arm.pass(6);
    assert_eq!(arm.get(&list).body["value"].as_array().unwrap().len(), 1);
}

#[test]
fn a_caller_that_is_too_fast_is_told_when_to_come_back() {
    let mut arm = Arm::new();
    let target = network("virtualNetworks", "hub");
    for _ in 0..250 {
        arm.get(&target).is(200);
    }
    let reply = arm.get(&target);
    reply.refused(429, "SubscriptionRequestsThrottled");
    assert_eq!(reply.header("retry-after"), Some("1"));
    arm.pass(1);
    let reply = arm.get(&target).is(200);
    assert_eq!(reply.header("x-ms-ratelimit-remaining-subscription-global-reads"), Some("24"));
    let free = Arm::with(|setup| setup.rate_limits = false);
    for _ in 0..300 {
        free.get(&target).is(200);
    }
}

#[test]
fn etags_guard_writes() {
    let mut arm = Arm::new();
    let target = network("networkSecurityGroups", "nsg");
    let made = arm.make(&target, json!({"location": "eastus2"}));
    let mut exchange =
        Arm::exchange("PUT", &target, Some(&json!({"location": "eastus2", "tags": {"a": "b"}})));
    exchange.headers.insert("if-match", "W/\"something\"".parse().unwrap());
    let reply = arm.send(&exchange);
    reply.refused(412, "PreconditionFailed");
    assert_eq!(reply.body["error"]["details"][0]["code"], "PreconditionFailedEtagMismatch");
    exchange.headers.insert("if-match", made.body["etag"].as_str().unwrap().parse().unwrap());
    let reply = arm.send(&exchange).is(200);
    assert_ne!(reply.body["etag"], made.body["etag"]);
    exchange.headers.remove("if-match");
    exchange.headers.insert("if-none-match", "*".parse().unwrap());
    arm.send(&exchange).refused(412, "PreconditionFailed");
}

#[test]
fn links_begin_as_the_request_did_or_as_the_public_cloud() {
    let arm = Arm::new();
    let mut exchange =
        Arm::exchange("PUT", &network("networkSecurityGroups", "nsg"), Some(&json!({"location": "eastus2"})));
    exchange.scheme = "https".into();
    exchange.host = "localhost:99".into();
    let reply = arm.send(&exchange).is(201);
    assert!(reply.header("azure-asyncoperation").unwrap().starts_with("https://localhost:99/subscriptions/"));
    exchange.path = exchange.path.replace("nsg", "other");
    exchange.scheme = "http".into();
    exchange.host = "management.azure.com".into();
    let reply = arm.send(&exchange).is(201);
    assert!(
        reply
            .header("azure-asyncoperation")
            .unwrap()
            .starts_with("https://management.azure.com/subscriptions/")
    );
}

#[test]
fn groups_are_made_listed_and_deleted_with_what_is_in_them() {
    let mut arm = Arm::new();
    let group = format!("/subscriptions/{OWN}/resourcegroups/rg-new");
    arm.put(&group, json!({"location": "East US 2"})).is(201);
    arm.send(&Arm::exchange("HEAD", &group, None)).is(204);
    let inside = network("networkSecurityGroups", "nsg").replace(GROUP, "rg-new");
    arm.make(&inside, json!({"location": "eastus2", "tags": {"privnet-deployment": "d"}}));
    let found = arm.get(&format!(
        "/subscriptions/{OWN}/resources?api-version=2022-09-01&$filter=tagName%20eq%20'privnet-deployment'%20and%20tagValue%20eq%20'd'"
    ));
    assert_eq!(found.body["value"].as_array().unwrap().len(), 1, "{}", found.body);
    let reply = arm.delete(&group).is(202);
    arm.follow(&reply, "location").is(202);
    arm.pass(31);
    arm.follow(&reply, "location").is(200);
    arm.get(&group).refused(404, "ResourceGroupNotFound");
    arm.get(&inside).is(404);
}

#[test]
fn a_fault_can_let_an_accepted_operation_fail() {
    let mut arm = Arm::new();
    let target = network("networkSecurityGroups", "nsg");
    let exchange = Arm::exchange("PUT", &target, Some(&json!({"location": "eastus2"})));
    arm.now = arm.server.now();
    let raw = arm.server.failure(&exchange, &Failure::Code("async.InternalServerError".into()));
    let reply = Reply { status: raw.status, body: serde_json::from_slice(&raw.body).unwrap(), raw };
    assert_eq!(reply.status, 201);
    arm.pass(60);
    let poll = arm.follow(&reply, "azure-asyncoperation").is(200);
    assert_eq!(
        (&poll.body["status"], &poll.body["error"]["code"]),
        (&json!("Failed"), &json!("InternalServerError"))
    );
    assert_eq!(arm.get(&target).state(), "Failed");
    arm.make(&target, json!({"location": "eastus2"}));
    assert_eq!(arm.get(&target).state(), "Succeeded");
    let refused = arm.server.failure(&exchange, &Failure::Code("RetryableError".into()));
    assert_eq!(refused.status, 429);
}

#[test]
fn the_described_world_has_the_documented_ids() {
    let arm = Arm::new();
    let world = arm.server.describe_world(arm.now);
    assert_eq!(world["subscription"], OWN);
    assert_eq!(world["consumers"][0]["subscription"], CONSUMER);
    let networks = world["resources"]["Microsoft.Network/virtualNetworks"].as_array().unwrap();
    assert!(networks.contains(&json!(network("virtualNetworks", "hub"))), "{networks:?}");
    assert!(arm.server.variables("http://x").iter().any(|(name, _)| name == "AZURE_TENANT_ID"));
}

/// Clients read, change and write: an answer that is written back is accepted and changes nothing.
#[test]
fn what_was_answered_can_be_written_back() {
    let mut arm = with_service();
    arm.make(
        &network("publicIPAddresses", "pip"),
        json!({"location": "eastus2", "sku": {"name": "Standard"}}),
    );
    let rule = json!({"name": "a", "properties": {"protocol": "Tcp", "access": "Allow", "direction": "Inbound", "priority": 100,
        "sourceAddressPrefix": "*", "destinationAddressPrefix": "*", "sourcePortRange": "*", "destinationPortRange": "1433"}});
    arm.make(
        &network("networkSecurityGroups", "nsg"),
        json!({"location": "eastus2", "properties": {"securityRules": [rule]}}),
    );
    let targets = [
        network("virtualNetworks", "hub"),
        subnet("db"),
        network("loadBalancers", "lb"),
        format!("{}/backendAddressPools/pool", network("loadBalancers", "lb")),
        network("networkInterfaces", "db-1-nic"),
        network("publicIPAddresses", "pip"),
        network("networkSecurityGroups", "nsg"),
        format!("{}/securityRules/a", network("networkSecurityGroups", "nsg")),
        network("privateLinkServices", "svc"),
    ];
    for target in targets {
        let before = arm.get(&target).is(200).body;
        arm.put(&target, before.clone()).is(200);
        arm.pass(30);
        let mut after = arm.get(&target).is(200).body;
        let plain = |body: &mut Value| {
            let mut text = body.to_string();
            while let Some(at) = text.find("W/") {
                text.replace_range(at..at + 41, "");
            }
            text
        };
        let connections = |body: &mut Value| body["properties"]["privateEndpointConnections"] = Value::Null;
        let mut before = before;
        connections(&mut before);
        connections(&mut after);
        assert_eq!(plain(&mut before), plain(&mut after), "{target}");
    }
}

#[test]
fn tags_are_checked() {
    let arm = Arm::new();
    let with = |tags: Value| {
        arm.put(&network("networkSecurityGroups", "nsg"), json!({"location": "eastus2", "tags": tags}))
    };
    with(json!({"a/b": "c"})).refused(400, "InvalidTagNameCharacters");
    with(json!({"a": "c".repeat(257)})).refused(400, "InvalidTagValueLength");
    with(json!({"privnet:service": "c"})).is(201);
}

#[test]
fn what_comes_to_a_load_balancer_changes_its_etag() {
    let mut arm = Arm::new();
    arm.make(&network("loadBalancers", "lb"), balancer_body("lb", &["fe"]));
    let before = arm.get(&network("loadBalancers", "lb")).body["etag"].clone();
    let subnet_before = arm.get(&subnet("nat")).body["etag"].clone();
    arm.make(&network("privateLinkServices", "svc"), service_body("lb", "fe", &[]));
    let after = arm.get(&network("loadBalancers", "lb")).body["etag"].clone();
    assert_ne!(before, after);
    assert_ne!(subnet_before, arm.get(&subnet("nat")).body["etag"]);
    arm.make(&network("privateLinkServices", "svc"), service_body("lb", "fe", &[]));
    assert_eq!(after, arm.get(&network("loadBalancers", "lb")).body["etag"]);
}
