use super::*;

pub(super) fn set(name: &str) -> String {
    format!(
        "/subscriptions/{OWN}/resourceGroups/{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/{name}"
    )
}

pub(super) fn body(capacity: u32, data: &str) -> Value {
    json!({"location": "eastus2", "sku": {"name": "Standard_D2s_v5", "capacity": capacity}, "zones": ["1", "2", "3"],
    "properties": {"orchestrationMode": "Uniform", "upgradePolicy": {"mode": "Manual"}, "overprovision": false,
    "virtualMachineProfile": {
        "osProfile": {"computerNamePrefix": "fwd", "adminUsername": "privnet", "customData": data,
            "linuxConfiguration": {"disablePasswordAuthentication": true, "ssh": {"publicKeys": [
                {"path": "/home/privnet/.ssh/authorized_keys", "keyData": "ssh-ed25519 AAAA"}]}}},
        "storageProfile": {"imageReference": {"publisher": "Debian", "offer": "debian-12", "sku": "12-gen2", "version": "latest"}},
        "networkProfile": {"networkInterfaceConfigurations": [{"name": "nic", "properties": {
            "primary": true, "enableIPForwarding": true, "ipConfigurations": [{"name": "ip", "properties": {
                "subnet": {"id": subnet("fwd")},
                "loadBalancerBackendAddressPools": [{"id": format!("{}/backendAddressPools/pool", network("loadBalancers", "lb"))}]
            }}]}}]}}}})
}

fn with_set() -> Arm {
    let mut arm = Arm::new();
    arm.make(&network("loadBalancers", "lb"), balancer_body("lb", &["fe"]));
    arm.put(&set("fwd"), body(3, "aGVsbG8=")).is(201);
    arm
}

fn health(arm: &mut Arm) -> Value {
    let rule = format!("{}/loadBalancingRules/r1433/health", network("loadBalancers", "lb"));
    let asked = arm.post(&rule, json!({})).is(202);
    assert_eq!(asked.header("azure-asyncoperation"), None);
    arm.pass(3);
    arm.follow(&asked, "location").is(200).body
}

#[test]
fn machines_spread_over_zones_and_become_healthy() {
    let mut arm = with_set();
    let made = arm.get(&set("fwd"));
    assert_eq!(made.state(), "Creating");
    let system = &made.body["properties"]["virtualMachineProfile"]["osProfile"];
    assert!(system.get("customData").is_none() && !made.body.to_string().contains("$digest"), "{system}");
    assert_eq!(health(&mut arm)["up"], 0);
    arm.pass(61);
    assert_eq!(arm.get(&set("fwd")).state(), "Succeeded");
    let machines = arm.get(&format!("{}/virtualMachines", set("fwd"))).body["value"].clone();
    let zones: Vec<&str> =
        machines.as_array().unwrap().iter().map(|m| m["zones"][0].as_str().unwrap()).collect();
    assert_eq!(zones, ["1", "2", "3"]);
    assert_eq!(machines[0]["properties"]["latestModelApplied"], true);
    let nics = arm.get(&format!("{}/networkInterfaces", set("fwd"))).body["value"].clone();
    assert_eq!(nics.as_array().unwrap().len(), 3);
    assert_eq!(nics[0]["properties"]["enableIPForwarding"], true);
    let config = &nics[0]["properties"]["ipConfigurations"][0]["properties"];
    assert_eq!(config["privateIPAddress"], "10.1.2.4");
    assert!(config.get("publicIPAddress").is_none());
    arm.pass(20);
    let now = health(&mut arm);
    assert_eq!((&now["up"], &now["down"]), (&json!(3), &json!(0)), "{now}");
    assert!(
        now["loadBalancerBackendAddresses"][0]["networkInterfaceIPConfigurationId"]
            .as_str()
            .unwrap()
            .contains("/virtualMachines/0/")
    );
}

#[test]
fn what_a_scale_set_uses_stays() {
    let mut arm = with_set();
    arm.pass(61);
    arm.delete(&network("loadBalancers", "lb")).refused(400, "LoadBalancerInUseByVirtualMachineScaleSet");
    arm.delete(&subnet("fwd")).refused(400, "InUseSubnetCannotBeDeleted");
    let gone = arm.delete(&set("fwd")).is(202);
    assert_eq!(arm.get(&set("fwd")).state(), "Deleting");
    arm.pass(61);
    arm.follow(&gone, "location").is(200);
    let poll = arm.follow(&gone, "azure-asyncoperation").body;
    assert!(poll["status"] == "Succeeded" && poll["endTime"].is_string(), "{poll}");
    arm.delete(&network("loadBalancers", "lb")).is(202);
}

#[test]
fn machines_keep_their_model_until_they_are_upgraded() {
    let mut arm = with_set();
    arm.pass(61);
    let mut changed = body(3, "Ynll");
    changed["tags"] = json!({"a": "b"});
    arm.put(&set("fwd"), changed).is(200);
    arm.pass(30);
    let one = format!("{}/virtualMachines/0", set("fwd"));
    assert_eq!(arm.get(&one).body["properties"]["latestModelApplied"], false);
    arm.post(&format!("{}/manualupgrade", set("fwd")), json!({"instanceIds": ["0"]})).is(202);
    arm.pass(31);
    assert_eq!(arm.get(&one).body["properties"]["latestModelApplied"], true);
    arm.post(&format!("{}/delete", set("fwd")), json!({"instanceIds": ["1"]})).is(202);
    arm.pass(31);
    assert_eq!(arm.get(&set("fwd")).body["sku"]["capacity"], 2);
    arm.get(&format!("{}/virtualMachines/1", set("fwd"))).is(404);
    let patched = arm.send(&Arm::exchange("PATCH", &set("fwd"), Some(&json!({"sku": {"capacity": 4}}))));
    assert_eq!(patched.status, 200, "{}", patched.body);
    arm.pass(61);
    let machines =
        arm.get(&format!("{}/virtualMachines?api-version=2024-07-01&$expand=instanceView", set("fwd"))).body;
    assert_eq!(machines["value"].as_array().unwrap().len(), 4);
    assert_eq!(
        machines["value"][0]["properties"]["instanceView"]["statuses"][1]["code"],
        "PowerState/running"
    );
}

#[test]
fn bad_scale_sets_are_refused() {
    let mut arm = Arm::new();
    arm.make(&network("loadBalancers", "lb"), balancer_body("lb", &["fe"]));
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = body(2, "aGVsbG8=");
        change(&mut body);
        arm.put(&set("fwd"), body)
    };
    let system = |body: &mut Value| body["properties"]["virtualMachineProfile"]["osProfile"].take();
    with(&|b| {
        b["properties"]["virtualMachineProfile"]["osProfile"]["linuxConfiguration"]["ssh"] =
            json!({"publicKeys": []});
    })
    .refused(400, "InvalidParameter");
    with(&|b| b["properties"]["virtualMachineProfile"]["osProfile"]["customData"] = json!("not base64!"))
        .refused(400, "InvalidParameter");
    with(&|b| b["properties"]["virtualMachineProfile"]["osProfile"]["customData"] = json!("A".repeat(87384)))
        .refused(400, "InvalidParameter");
    with(&|b| drop(system(b))).refused(400, "InvalidParameter");
    with(&|b| b["zones"] = json!(["4"])).refused(400, "InvalidAvailabilityZone");
    with(&|b| b["properties"]["nonsense"] = json!(1)).refused(400, "BadRequest");
    with(&|b| b["sku"]["capacity"] = Value::Null).refused(400, "InvalidParameter");
}

#[test]
fn flexible_sets_have_ordinary_machines() {
    let mut arm = Arm::new();
    arm.make(&network("loadBalancers", "lb"), balancer_body("lb", &["fe"]));
    let mut flexible = body(2, "aGVsbG8=");
    flexible["properties"]["orchestrationMode"] = json!("Flexible");
    arm.put(&set("fwd"), flexible.clone()).refused(400, "InvalidParameter");
    flexible["properties"]["platformFaultDomainCount"] = json!(1);
    flexible["properties"]["virtualMachineProfile"]["networkProfile"]["networkApiVersion"] =
        json!("2020-11-01");
    arm.make(&set("fwd"), flexible);
    let group = format!("/subscriptions/{OWN}/resourceGroups/{GROUP}/providers");
    let machines =
        arm.get(&format!("{group}/Microsoft.Compute/virtualMachines")).is(200).body["value"].clone();
    let mine: Vec<&Value> = machines
        .as_array()
        .unwrap()
        .iter()
        .filter(|machine| machine["properties"]["virtualMachineScaleSet"]["id"] == json!(set("fwd")))
        .collect();
    assert_eq!(mine.len(), 2, "{machines}");
    let (machine, nic) = (
        mine[0]["id"].as_str().unwrap(),
        mine[0]["properties"]["networkProfile"]["networkInterfaces"][0]["id"].as_str().unwrap(),
    );
    let shown = arm.get(nic).is(200);
    assert_eq!(shown.body["properties"]["virtualMachine"]["id"], json!(machine));
    assert!(arm.get(&format!("{group}/Microsoft.Network/networkInterfaces")).body.to_string().contains(nic));
    assert_eq!(health(&mut arm)["up"], 2);
    arm.delete(machine).is(202);
    arm.pass(31);
    arm.get(machine).is(404);
    assert_eq!(arm.get(&set("fwd")).body["sku"]["capacity"], 1);
}

#[test]
fn the_administrative_state_overrides_the_probe_and_goes_with_its_machine() {
    let mut arm = with_set();
    arm.pass(120);
    let balancer = network("loadBalancers", "lb");
    let set_first = |arm: &mut Arm, state: &str| {
        let mut body = arm.get(&balancer).body;
        let entries =
            &mut body["properties"]["backendAddressPools"][0]["properties"]["loadBalancerBackendAddresses"];
        entries[0]["properties"]["adminState"] = json!(state);
        arm.make(&balancer, body);
    };
    set_first(&mut arm, "Down");
    let shown = arm.get(&balancer).body["properties"]["backendAddressPools"][0]["properties"].clone();
    assert_eq!(shown["loadBalancerBackendAddresses"][0]["properties"]["adminState"], "Down");
    assert!(!shown.to_string().contains("$since"));
    let now = health(&mut arm);
    assert_eq!((&now["up"], &now["down"]), (&json!(2), &json!(1)), "{now}");
    assert_eq!(now["loadBalancerBackendAddresses"][0]["reason"], "Down_Admin");
    set_first(&mut arm, "None");
    assert_eq!(health(&mut arm)["up"], 3);

    // Another machine in the same place is not down.
    set_first(&mut arm, "Down");
    arm.delete(&set("fwd")).is(202);
    arm.pass(61);
    assert_eq!(
        arm.get(&balancer).body["properties"]["backendAddressPools"][0]["properties"]["loadBalancerBackendAddresses"],
        json!([])
    );
    arm.put(&set("fwd"), body(3, "aGVsbG8=")).is(201);
    arm.pass(120);
    assert_eq!(health(&mut arm)["up"], 3);
}
