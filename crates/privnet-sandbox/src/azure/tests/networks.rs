use super::*;

#[test]
fn a_network_is_made_as_recorded() {
    let mut arm = Arm::new();
    let target = network("virtualNetworks", "vnet1");
    let body = json!({"location": "eastus2", "properties": {"addressSpace": {"addressPrefixes": ["10.9.0.0/16"]},
        "enableVmProtection": false, "subnets": [{"name": "subnet1", "properties": {"addressPrefix": "10.9.0.0/24"}}]}});
    let reply = arm.put(&target, body).is(201);
    assert_eq!(reply.state(), "Updating");
    assert_eq!(reply.header("azure-asyncnotification"), Some("Enabled"));
    assert_eq!(reply.header("etag"), None);
    let one = &reply.body["properties"]["subnets"][0];
    assert_eq!(one["properties"]["provisioningState"], "Updating");
    assert_eq!(one["properties"]["privateLinkServiceNetworkPolicies"], "Enabled");
    assert_eq!(one["etag"], reply.body["etag"]);
    assert_eq!(arm.follow(&reply, "azure-asyncoperation").raw.body, br#"{"status":"InProgress"}"#);
    arm.pass(8);
    assert_eq!(arm.follow(&reply, "azure-asyncoperation").raw.body, br#"{"status":"Succeeded"}"#);
    let settled = arm.get(&target).is(200);
    assert_eq!(settled.state(), "Succeeded");
    assert_ne!(settled.body["etag"], reply.body["etag"]);
}

#[test]
fn subnets_are_written_by_themselves() {
    let mut arm = Arm::new();
    let reply = arm.put(
        &subnet("new"),
        json!({"properties": {"addressprefix": "10.1.20.0/28",
        "PrivateLinkServiceNetworkPolicies": "disabled"}}),
    );
    assert_eq!((reply.status, reply.state()), (201, "Updating"), "{}", reply.body);
    assert_eq!(reply.body["properties"]["privateLinkServiceNetworkPolicies"], "Disabled");
    arm.pass(4);
    assert_eq!(arm.get(&subnet("new")).state(), "Succeeded");
    // A PUT of the network without its subnets keeps them.
    let tags = json!({"location": "eastus2", "tags": {"a": "b"},
        "properties": {"addressSpace": {"addressPrefixes": ["10.1.0.0/16"]}}});
    arm.make(&network("virtualNetworks", "hub"), tags);
    assert_eq!(arm.get(&subnet("new")).status, 200);
    let reply = arm.delete(&subnet("new")).is(202);
    assert!(reply.raw.body.is_empty());
    arm.follow(&reply, "location").is(202);
    arm.pass(10);
    arm.follow(&reply, "location").is(204);
    arm.get(&subnet("new")).is(404);
    arm.delete(&subnet("new")).is(204);
}

#[test]
fn bad_subnets_are_refused() {
    let arm = Arm::new();
    let bad =
        |name: &str, prefix: &str| arm.put(&subnet(name), json!({"properties": {"addressPrefix": prefix}}));
    bad("x", "10.2.0.0/24").refused(400, "NetcfgSubnetRangeOutsideVnet");
    bad("x", "10.1.1.128/25").refused(400, "NetcfgSubnetRangesOverlap");
    bad("x", "10.1.1.1/24").refused(400, "InvalidCIDRNotation");
    bad("db", "10.1.40.0/24").refused(400, "InUsePrefixCannotBeDeleted");
    arm.delete(&subnet("db")).refused(400, "InUseSubnetCannotBeDeleted");
    arm.delete(&network("virtualNetworks", "hub")).refused(400, "InUseSubnetCannotBeDeleted");
    let typo = arm.put(&subnet("x"), json!({"properties": {"adressPrefix": "10.1.40.0/24"}}));
    typo.refused(400, "InvalidRequestFormat");
    arm.put(
        &network("virtualNetworks", "none/subnets/x"),
        json!({"properties": {"addressPrefix": "10.1.40.0/24"}}),
    )
    .refused(404, "ParentResourceNotFound");
}

#[test]
fn a_nic_is_done_at_once_and_its_pools_take_an_operation() {
    let mut arm = Arm::new();
    arm.make(&network("loadBalancers", "lb"), balancer_body("lb", &["fe"]));
    let target = network("networkInterfaces", "nic");
    let body = |pools: Value| {
        json!({"location": "eastus2", "properties": {"ipConfigurations": [{"name": "ipconfig1", "properties": {
            "subnet": {"id": subnet("fwd")}, "loadBalancerBackendAddressPools": pools}}]}})
    };
    let reply = arm.put(&target, body(json!([]))).is(201);
    assert_eq!(reply.state(), "Succeeded");
    assert_eq!(reply.header("azure-asyncoperation"), None);
    assert_eq!(reply.body["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"], "10.1.2.4");
    let pool = json!([{"id": format!("{}/BACKENDADDRESSPOOLS/pool", network("loadBalancers", "lb"))}]);
    let reply = arm.put(&target, body(pool)).is(200);
    assert_eq!(reply.state(), "Updating");
    assert!(reply.header("azure-asyncoperation").is_some());
    arm.pass(5);
    let lb = arm.get(&network("loadBalancers", "lb"));
    let pool = &lb.body["properties"]["backendAddressPools"][0];
    assert_eq!(
        pool["properties"]["backendIPConfigurations"][0]["id"],
        json!(format!("{target}/ipConfigurations/ipconfig1"))
    );
    assert_eq!(pool["id"], json!(format!("{}/backendAddressPools/pool", network("loadBalancers", "lb"))));
    // Read, change, write: computed properties come back and do no harm.
    arm.put(&network("loadBalancers", "lb"), lb.body).is(200);
    arm.pass(5);
    arm.delete(&network("loadBalancers", "lb")).is(202);
    arm.pass(15);
    let left = arm.get(&target);
    assert_eq!(
        left.body["properties"]["ipConfigurations"][0]["properties"]["loadBalancerBackendAddressPools"],
        json!([])
    );
    arm.delete(&network("networkInterfaces", "db-1-nic")).refused(400, "NicInUse");
}

#[test]
fn a_users_own_nic_can_join_a_pool() {
    let mut arm = Arm::new();
    arm.make(&network("loadBalancers", "lb"), balancer_body("lb", &["fe"]));
    let target = network("networkInterfaces", "db-1-nic");
    let mut body = arm.get(&target).is(200).body;
    body["properties"]["ipConfigurations"][0]["properties"]["loadBalancerBackendAddressPools"] =
        json!([{"id": format!("{}/backendAddressPools/pool", network("loadBalancers", "lb"))}]);
    let done = arm.make(&target, body);
    assert!(
        done.body["properties"]["virtualMachine"]["id"].as_str().unwrap().ends_with("/virtualMachines/db-1")
    );
    let rule = format!("{}/loadBalancingRules/r1433", network("loadBalancers", "lb"));
    let asked = arm.post(&format!("{rule}/health"), json!({})).is(202);
    arm.pass(3);
    let health = arm.follow(&asked, "location").is(200).body;
    assert_eq!((&health["up"], &health["down"]), (&json!(1), &json!(0)), "{health}");
    assert_eq!(health["loadBalancerBackendAddresses"][0]["ipAddress"], "10.1.3.4");
    let mut tagged = arm.get(&target).body;
    tagged["tags"] = json!({"sandbox-health": "down"});
    arm.make(&target, tagged);
    let asked = arm.post(&format!("{rule}/health"), json!({})).is(202);
    arm.pass(3);
    let health = arm.follow(&asked, "location").body;
    assert_eq!(health["loadBalancerBackendAddresses"][0]["state"], "Down");
}

#[test]
fn an_interface_is_behind_one_internal_load_balancer() {
    let mut arm = Arm::new();
    arm.make(&network("loadBalancers", "one"), balancer_body("one", &["fe"]));
    arm.make(&network("loadBalancers", "two"), balancer_body("two", &["fe"]));
    let outside = json!({"location": "eastus2", "sku": {"name": "Standard"}, "properties": {}});
    arm.make(&network("publicIPAddresses", "outside"), outside);
    let mut public = balancer_body("public", &["fe"]);
    public["properties"]["frontendIPConfigurations"][0]["properties"] =
        json!({"publicIPAddress": {"id": network("publicIPAddresses", "outside")}});
    arm.make(&network("loadBalancers", "public"), public);
    let target = network("networkInterfaces", "db-1-nic");
    let shown = arm.get(&target).is(200).body;
    let in_pools = |nic: &Value, balancers: &[&str]| {
        let pool = |name: &&str| json!({"id": network("loadBalancers", name) + "/backendAddressPools/pool"});
        let mut nic = nic.clone();
        nic["properties"]["ipConfigurations"][0]["properties"]["loadBalancerBackendAddressPools"] =
            balancers.iter().map(pool).collect();
        nic
    };
    arm.put(&target, in_pools(&shown, &["one", "two"])).refused(400, "AnotherInternalLoadBalancerExists");
    arm.make(&target, in_pools(&shown, &["one", "public"]));
    arm.put(&target, in_pools(&shown, &["one", "public", "two"]))
        .refused(400, "AnotherInternalLoadBalancerExists");
    // It moves in one write.
    arm.make(&target, in_pools(&shown, &["two"]));
}

#[test]
fn static_addresses_are_checked() {
    let arm = Arm::new();
    let nic = |address: &str| {
        let body = json!({"location": "eastus2", "properties": {"ipConfigurations": [{"name": "c", "properties": {
            "subnet": {"id": subnet("db")}, "privateIPAllocationMethod": "Static", "privateIPAddress": address}}]}});
        arm.put(&network("networkInterfaces", "nic"), body)
    };
    nic("10.1.9.9").refused(400, "PrivateIPAddressNotInSubnet");
    nic("10.1.3.3").refused(400, "PrivateIPAddressInReservedRange");
    nic("10.1.3.4").refused(400, "PrivateIPAddressIsAllocated");
    nic("10.1.3.77").is(201);
}

#[test]
fn load_balancers_answer_as_recorded() {
    let mut arm = Arm::new();
    let target = network("loadBalancers", "lb");
    let reply = arm.put(&target, balancer_body("lb", &["fe"])).is(201);
    assert_eq!(reply.state(), "Succeeded");
    assert!(reply.header("azure-asyncoperation").is_some());
    arm.pass(5);
    let body = arm.get(&target).body;
    assert_eq!(body["etag"], reply.body["etag"]);
    assert_eq!(body["sku"], json!({"name": "Standard", "tier": "Regional"}));
    let probe = &body["properties"]["probes"][0]["properties"];
    assert_eq!(
        (&probe["intervalInSeconds"], &probe["numberOfProbes"], &probe["probeThreshold"]),
        (&json!(15), &json!(2), &json!(1))
    );
    let rule = &body["properties"]["loadBalancingRules"][0]["properties"];
    assert_eq!(
        (&rule["idleTimeoutInMinutes"], &rule["enableTcpReset"], &rule["loadDistribution"]),
        (&json!(4), &json!(false), &json!("Default"))
    );
    let frontend = &body["properties"]["frontendIPConfigurations"][0]["properties"];
    assert_eq!(
        (&frontend["privateIPAddress"], &frontend["privateIPAllocationMethod"]),
        (&json!("10.1.1.4"), &json!("Dynamic"))
    );
    let pool = arm.put(&format!("{target}/backendAddressPools/second"), json!({"name": "second"})).is(201);
    assert_eq!(pool.state(), "Updating");
    arm.pass(4);
    assert_eq!(arm.get(&format!("{target}/backendAddressPools/second")).state(), "Succeeded");
    assert_eq!(arm.get(&format!("{target}/backendAddressPools")).body["value"].as_array().unwrap().len(), 2);
}

#[test]
fn bad_load_balancers_are_refused() {
    let mut arm = Arm::new();
    let target = network("loadBalancers", "lb");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = balancer_body("lb", &["fe"]);
        change(&mut body["properties"]);
        body
    };
    let rules = "loadBalancingRules";
    arm.put(&target, with(&|p| p["frontendIPConfigurations"] = json!([])))
        .refused(400, "InvalidResourceReference");
    arm.put(
        &target,
        with(&|p| p[rules][0]["properties"]["probe"]["id"] = json!(network("loadBalancers", "lb/probes/no"))),
    )
    .refused(400, "InvalidResourceReference");
    arm.put(&target, with(&|p| p["probes"][0]["properties"]["requestPath"] = Value::Null))
        .refused(400, "ProbeRequestPathMissing");
    arm.put(&target, with(&|p| p["probes"][0]["properties"]["protocol"] = json!("Icmp")))
        .refused(400, "InvalidRequestFormat");
    let twice = with(&|p| {
        let mut second = p[rules][0].clone();
        second["name"] = json!("r5432");
        second["properties"]["frontendPort"] = json!(5432);
        p[rules].as_array_mut().unwrap().push(second);
    });
    arm.put(&target, twice).refused(400, "RulesUseSameBackendPortProtocolAndPool");
    arm.make(&target, balancer_body("lb", &["fe"]));
    let mut basic = balancer_body("lb", &["fe"]);
    basic["sku"] = json!({"name": "Basic"});
    arm.put(&target, basic).refused(400, "LoadBalancerSkuCannotBeChanged");
    let mut elsewhere = balancer_body("lb", &["fe"]);
    elsewhere["location"] = json!("westeurope");
    arm.put(&target, elsewhere).refused(409, "InvalidResourceLocation");
}

#[test]
fn security_groups_have_their_default_rules_and_stay_while_used() {
    let mut arm = Arm::new();
    let target = network("networkSecurityGroups", "nsg");
    let rule = |name: &str, priority: u32| {
        json!({"name": name, "properties": {"protocol": "Tcp", "access": "Allow", "direction": "Inbound", "priority": priority,
            "sourceAddressPrefix": "10.1.8.0/27", "destinationAddressPrefix": "*", "sourcePortRange": "*",
            "destinationPortRange": "1433"}})
    };
    let made =
        arm.make(&target, json!({"location": "eastus2", "properties": {"securityRules": [rule("a", 100)]}}));
    assert_eq!(made.body["properties"]["defaultSecurityRules"].as_array().unwrap().len(), 6);
    arm.put(&format!("{target}/securityRules/b"), rule("b", 100)).refused(400, "SecurityRuleConflict");
    arm.put(&format!("{target}/securityRules/b"), rule("b", 99)).refused(400, "SecurityRuleInvalidPriority");
    arm.make(&format!("{target}/securityRules/b"), rule("b", 110));
    let body =
        json!({"properties": {"addressPrefix": "10.1.2.0/24", "networkSecurityGroup": {"id": target}}});
    arm.make(&subnet("fwd"), body);
    arm.delete(&target).refused(400, "InUseNetworkSecurityGroupCannotBeDeleted");
    assert_eq!(arm.get(&target).body["properties"]["subnets"][0]["id"], json!(subnet("fwd")));
}
