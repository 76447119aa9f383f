use super::*;

#[test]
fn a_service_is_made_as_recorded() {
    let mut arm = Arm::new();
    arm.make(&network("loadBalancers", "lb"), balancer_body("lb", &["fe"]));
    let target = network("privateLinkServices", "svc");
    let mut body = service_body("lb", "fe", &[CONSUMER]);
    // ARM answers the canonical spelling of what it was given in another.
    body["properties"]["loadBalancerFrontendIpConfigurations"][0]["id"] =
        json!(format!("{}/frontendIpConfigurations/fe", network("loadBalancers", "lb")));
    let reply = arm.put(&target, body).is(201);
    let properties = &reply.body["properties"];
    assert_eq!(reply.state(), "Updating");
    assert_eq!(
        properties["loadBalancerFrontendIpConfigurations"][0]["id"],
        json!(format!("{}/frontendIPConfigurations/fe", network("loadBalancers", "lb")))
    );
    let alias = properties["alias"].as_str().unwrap();
    assert!(alias.starts_with("svc.") && alias.ends_with(".eastus2.azure.privatelinkservice"), "{alias}");
    assert_eq!(properties["ipConfigurations"][0]["properties"]["provisioningState"], "Succeeded");
    assert_eq!((&properties["fqdns"], &properties["privateEndpointConnections"]), (&json!([]), &json!([])));
    assert_eq!(properties["enableProxyProtocol"], false);
    let nic = properties["networkInterfaces"][0]["id"].as_str().unwrap();
    assert_eq!(
        arm.get(nic).is(200).body["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"],
        "10.1.8.4"
    );
    arm.delete(nic).refused(400, "NicInUse");
    arm.pass(13);
    let settled = arm.get(&target);
    assert_eq!((settled.state(), &settled.body["properties"]["alias"]), ("Succeeded", &properties["alias"]));
    arm.delete(&network("loadBalancers", "lb"))
        .refused(400, "CannotDeleteLoadBalancerWithPrivateLinkService");
    arm.delete(&subnet("nat")).refused(400, "InUseSubnetCannotBeDeleted");
    arm.put(&subnet("nat"), json!({"properties": {"addressPrefix": "10.1.8.0/27"}}))
        .refused(400, "PrivateLinkServiceNetworkPoliciesCannotBeEnabledOnPrivateLinkServiceSubnet");
    let gone = arm.delete(&target).is(202);
    arm.pass(13);
    arm.follow(&gone, "location").is(204);
    arm.get(nic).is(404);
    arm.delete(&network("loadBalancers", "lb")).is(202);
}

#[test]
fn bad_services_are_refused() {
    let mut arm = Arm::new();
    arm.make(&network("loadBalancers", "lb"), balancer_body("lb", &["fe"]));
    let target = network("privateLinkServices", "svc");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = service_body("lb", "fe", &[CONSUMER]);
        change(&mut body["properties"]);
        arm.put(&target, body)
    };
    let either =
        "EitherOneLoadBalancerFrontendIpConfigurationOrDestinationIPAddressRequiredOnPrivateLinkService";
    with(&|p| p["destinationIPAddress"] = json!("10.1.3.4")).refused(400, either);
    with(&|p| p["loadBalancerFrontendIpConfigurations"] = json!([])).refused(400, either);
    with(&|p| p["ipConfigurations"][0]["properties"]["subnet"]["id"] = json!(subnet("nat-policed")))
        .refused(400, "PrivateLinkServiceCannotBeCreatedInSubnetThatHasNetworkPoliciesEnabled");
    with(&|p| p["autoApproval"]["subscriptions"] = json!([OWN]))
        .refused(400, "PrivateLinkServiceAutoApprovalNotWithinVisibility");
    with(&|p| p["visibility"]["subscriptions"] = json!(["fivetran"])).refused(400, "InvalidSubscriptionId");
    with(&|p| p["accessMode"] = json!("Open")).refused(400, "InvalidRequestFormat");
    with(&|p| {
        p["loadBalancerFrontendIpConfigurations"][0]["id"] =
            json!(network("loadBalancers", "lb/frontendIPConfigurations/x"));
    })
    .refused(400, "InvalidResourceReference");
    let nine: Vec<Value> = (0..9)
        .map(|n| json!({"name": format!("nat-{n}"), "properties": {"subnet": {"id": subnet("nat")}}}))
        .collect();
    with(&|p| p["ipConfigurations"] = json!(nine))
        .refused(400, "PrivateLinkServiceIpConfigurationsOutOfRange");
    arm.put(&network("privateLinkServices", "-bad-"), json!({"location": "eastus2"}))
        .refused(400, "InvalidResourceName");
}

#[test]
fn services_need_standard_load_balancers_with_nics_behind() {
    let mut arm = Arm::new();
    let mut basic = balancer_body("lb", &["fe"]);
    basic["sku"] = json!({"name": "Basic"});
    arm.make(&network("loadBalancers", "lb"), basic);
    arm.put(&network("privateLinkServices", "svc"), service_body("lb", "fe", &[]))
        .refused(400, "PrivateLinkServiceNotSupportedOnBasicLoadBalancer");
    let mut plain = balancer_body("lb2", &["fe"]);
    plain["properties"]["backendAddressPools"][0]["properties"]["loadBalancerBackendAddresses"] = json!([{"name": "db",
        "properties": {"ipAddress": "10.1.3.4", "virtualNetwork": {"id": network("virtualNetworks", "hub")}}}]);
    arm.make(&network("loadBalancers", "lb2"), plain.clone());
    arm.put(&network("privateLinkServices", "svc"), service_body("lb2", "fe", &[]))
        .refused(400, "PrivateLinkServiceIsNotSupportedForIPBasedLoadBalancer");
    arm.make(&network("loadBalancers", "lb2"), balancer_body("lb2", &["fe"]));
    arm.make(&network("privateLinkServices", "svc"), service_body("lb2", "fe", &[]));
    arm.put(&network("loadBalancers", "lb2"), plain)
        .refused(400, "PrivateLinkServiceIsNotSupportedForIPBasedLoadBalancer");
}

#[test]
fn a_load_balancer_takes_eight_services() {
    let mut arm = Arm::new();
    let names: Vec<String> =
        (0..9).map(|n| if n == 0 { "fe".to_owned() } else { format!("fe{n}") }).collect();
    let frontends: Vec<&str> = names.iter().map(String::as_str).collect();
    arm.make(&network("loadBalancers", "lb"), balancer_body("lb", &frontends));
    for (n, frontend) in frontends.iter().take(8).enumerate() {
        arm.make(&network("privateLinkServices", &format!("svc{n}")), service_body("lb", frontend, &[]));
    }
    arm.put(&network("privateLinkServices", "svc8"), service_body("lb", "fe8", &[]))
        .refused(400, "MaximumNumberOfPrivateLinkServicesPerLoadBalancerReached");
}

#[test]
fn what_a_service_keeps_for_its_life_is_kept() {
    let mut arm = Arm::new();
    arm.make(&network("loadBalancers", "lb"), balancer_body("lb", &["fe", "fe2"]));
    let target = network("privateLinkServices", "svc");
    arm.make(&target, service_body("lb", "fe", &[]));
    arm.put(&target, service_body("lb", "fe2", &[]))
        .refused(400, "PrivateLinkServicePropertyCannotBeChanged");
    let mut more = service_body("lb", "fe", &[]);
    more["properties"]["ipConfigurations"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "nat-1", "properties": {"subnet": {"id": subnet("nat")}}}));
    let grown = arm.make(&target, more);
    assert_eq!(grown.body["properties"]["ipConfigurations"].as_array().unwrap().len(), 2);
    arm.put(&target, service_body("lb", "fe", &[]))
        .refused(400, "PrivateLinkServiceIpConfigurationCannotBeRemoved");
}

#[test]
fn a_connection_is_decided_and_removed() {
    let mut arm = with_service();
    arm.pass(20);
    let target = network("privateLinkServices", "svc");
    let pending = arm.get(&format!("{target}/privateEndpointConnections")).is(200).body["value"][0].clone();
    let id = pending["id"].as_str().unwrap().to_owned();
    assert!(pending["name"].as_str().unwrap().starts_with("pe-svc."), "{pending}");
    assert_eq!(pending["properties"]["privateLinkServiceConnectionState"]["status"], "Pending");
    assert!(pending["properties"]["linkIdentifier"].as_str().unwrap().parse::<u32>().is_ok());
    assert_eq!(pending["properties"]["privateEndpointLocation"], "eastus2");
    let approve = json!({"name": pending["name"], "properties": {
        "privateLinkServiceConnectionState": {"status": "approved", "description": "ours"}}});
    let reply = arm.put(&id, approve).is(200);
    assert_eq!(reply.state(), "Updating");
    assert!(reply.header("azure-asyncoperation").is_some());
    arm.put(&id, json!({"properties": {"privateLinkServiceConnectionState": {"status": "Rejected"}}}))
        .refused(409, "AnotherOperationInProgress");
    arm.pass(6);
    let done = arm.get(&id).is(200);
    assert_eq!(done.state(), "Succeeded");
    assert_eq!(done.body["properties"]["privateLinkServiceConnectionState"]["status"], "Approved");
    let endpoint = pending["properties"]["privateEndpoint"]["id"].as_str().unwrap().to_owned();
    let theirs = |arm: &Arm| {
        let body = arm.get(&endpoint).is(200).body;
        body["properties"]["manualPrivateLinkServiceConnections"][0]["properties"]["privateLinkServiceConnectionState"]["status"]
            .clone()
    };
    assert_eq!(theirs(&arm), "Approved");
    arm.delete(&target).refused(400, "PrivateLinkServiceWithPrivateEndpointConnectionsCannotBeDeleted");
    arm.put(&id, json!({"properties": {"privateLinkServiceConnectionState": {"status": "Perhaps"}}}))
        .refused(400, "InvalidPrivateLinkServiceConnectionState");
    arm.delete(&id).is(202);
    arm.pass(7);
    arm.get(&id).is(404);
    arm.delete(&id).is(204);
    assert_eq!(theirs(&arm), "Disconnected");
    arm.delete(&target).is(202);
}

#[test]
fn a_decision_that_fails_late_is_taken_back() {
    let mut arm = with_service();
    arm.pass(20);
    let list = format!("{}/privateEndpointConnections", network("privateLinkServices", "svc"));
    let id = arm.get(&list).body["value"][0]["id"].as_str().unwrap().to_owned();
    let body = json!({"properties": {"privateLinkServiceConnectionState": {"status": "Approved"}}});
    let exchange = Arm::exchange("PUT", &id, Some(&body));
    let raw = arm.server.failure(&exchange, &Failure::Code("async.InternalServerError".into()));
    assert_eq!(raw.status, 200);
    arm.now = arm.server.now();
    arm.pass(60);
    let left = arm.get(&id).is(200).body;
    assert_eq!(left["properties"]["privateLinkServiceConnectionState"]["status"], "Pending");
}
