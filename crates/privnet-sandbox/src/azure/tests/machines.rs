//! Single machines on network interfaces that are there.

use super::*;

fn machine(name: &str) -> String {
    format!("/subscriptions/{OWN}/resourceGroups/{GROUP}/providers/Microsoft.Compute/virtualMachines/{name}")
}

fn nic(name: &str) -> String {
    network("networkInterfaces", name)
}

fn with_interfaces(names: &[&str]) -> Arm {
    let mut arm = Arm::new();
    for name in names {
        let config = json!({"name": "ip", "properties": {"subnet": {"id": subnet("db")}}});
        arm.make(&nic(name), json!({"location": "eastus2", "properties": {"ipConfigurations": [config]}}));
    }
    arm
}

fn body(interfaces: &[Value]) -> Value {
    json!({"location": "eastus2", "zones": ["1"], "properties": {
        "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
        "storageProfile": {"imageReference":
            {"publisher": "Debian", "offer": "debian-12", "sku": "12-gen2", "version": "latest"}},
        "osProfile": {"computerName": "db-3", "adminUsername": "privnet", "customData": "aGVsbG8=",
            "linuxConfiguration": {"disablePasswordAuthentication": true, "ssh": {"publicKeys": [
                {"path": "/home/privnet/.ssh/authorized_keys", "keyData": "ssh-ed25519 AAAA"}]}}},
        "networkProfile": {"networkInterfaces": interfaces}}})
}

fn on(name: &str) -> Value {
    json!({"id": nic(name)})
}

fn power(arm: &Arm, name: &str) -> String {
    let view = arm.get(&format!("{}/instanceView", machine(name))).is(200).body;
    view["statuses"][1]["code"].as_str().unwrap().to_owned()
}

#[test]
fn machines_of_the_default_world_are_read() {
    let mut arm = Arm::new();
    let vm = machine("db-1");
    let shown = arm.get(&format!("{vm}?api-version=2024-07-01&$expand=instanceView")).is(200).body;
    assert_eq!(shown["properties"]["instanceView"]["statuses"][1]["code"], "PowerState/running");
    assert_eq!(shown["properties"]["networkProfile"]["networkInterfaces"][0]["id"], json!(nic("db-1-nic")));
    arm.make(&vm, shown);
    arm.delete(&vm).is(202);
    arm.pass(31);
    arm.get(&vm).refused(404, "ResourceNotFound");
    arm.delete(&nic("db-1-nic")).is(202);
}

#[test]
fn a_machine_takes_its_interface_and_lets_go_of_it() {
    let mut arm = with_interfaces(&["db-3-nic"]);
    let before = arm.get(&nic("db-3-nic")).body;
    assert!(before["properties"].get("virtualMachine").is_none());
    let made = arm.put(&machine("db-3"), body(&[on("db-3-nic")])).is(201);
    assert_eq!((made.state(), power(&arm, "db-3").as_str()), ("Creating", "PowerState/starting"));
    let system = &made.body["properties"]["osProfile"];
    assert!(system.get("customData").is_none() && !made.body.to_string().contains("$digest"), "{system}");
    assert_eq!(made.body["properties"]["storageProfile"]["osDisk"]["osType"], "Linux");
    let taken = arm.get(&nic("db-3-nic")).body;
    assert_eq!(taken["properties"]["virtualMachine"]["id"], json!(machine("db-3")));
    assert_eq!(taken["properties"]["primary"], true);
    assert_ne!(taken["etag"], before["etag"]);
    arm.pass(41);
    let done = arm.get(&machine("db-3"));
    assert_eq!((done.state(), power(&arm, "db-3").as_str()), ("Succeeded", "PowerState/running"));
    let id = done.body["properties"]["vmId"].clone();
    // What was read is written back; secrets are not there to be said again.
    let again = arm.make(&machine("db-3"), done.body).body;
    assert_eq!(again["properties"]["vmId"], id);
    arm.delete(&nic("db-3-nic")).refused(400, "NicInUse");
    assert!(arm.get(machine("").trim_end_matches('/')).is(200).body.to_string().contains("/db-3\""));
    arm.delete(&machine("db-3")).is(202);
    assert_eq!(arm.get(&machine("db-3")).state(), "Deleting");
    arm.delete(&nic("db-3-nic")).refused(400, "NicInUse");
    arm.pass(31);
    arm.get(&machine("db-3")).is(404);
    assert!(arm.get(&nic("db-3-nic")).body["properties"].get("virtualMachine").is_none());
    arm.delete(&nic("db-3-nic")).is(202);
}

#[test]
fn an_interface_goes_with_its_machine_where_that_says_so() {
    let mut arm = with_interfaces(&["kept", "gone"]);
    let with = |name: &str, properties: Value| json!({"id": nic(name), "properties": properties});
    let both = [with("kept", json!({"primary": true})), with("gone", json!({"deleteOption": "Delete"}))];
    arm.make(&machine("db-3"), body(&both));
    assert_eq!(arm.get(&nic("gone")).body["properties"]["primary"], false);
    arm.delete(&machine("db-3")).is(202);
    arm.pass(31);
    arm.get(&nic("kept")).is(200);
    arm.get(&nic("gone")).is(404);
}

#[test]
fn what_cannot_be_made_is_refused() {
    let mut arm = with_interfaces(&["one", "two"]);
    let refused = |change: &dyn Fn(&mut Value), status, code| {
        let mut wanted = body(&[on("one")]);
        change(&mut wanted);
        arm.put(&machine("db-3"), wanted).refused(status, code);
    };
    let interfaces = |list: Value| {
        move |b: &mut Value| b["properties"]["networkProfile"]["networkInterfaces"] = list.clone()
    };
    refused(&interfaces(json!([on("nowhere")])), 400, "InvalidResourceReference");
    refused(&interfaces(json!([])), 400, "InvalidParameter");
    refused(&interfaces(json!([on("db-1-nic")])), 400, "NicInUse");
    refused(
        &interfaces(json!([on("one"), on("two")])),
        400,
        "VirtualMachineMustHaveOneNetworkInterfaceAsPrimary",
    );
    refused(&|b| b["location"] = json!("westus"), 400, "InvalidResourceReference");
    refused(&|b| b["zones"] = json!(["4"]), 400, "InvalidAvailabilityZone");
    refused(&|b| b["properties"]["hardwareProfile"] = json!({}), 400, "InvalidParameter");
    refused(&|b| drop(b["properties"]["osProfile"].take()), 400, "InvalidParameter");
    refused(&|b| drop(b["properties"]["storageProfile"].take()), 400, "InvalidParameter");
    refused(
        &|b| b["properties"]["storageProfile"]["imageReference"]["sku"] = json!("none"),
        404,
        "PlatformImageNotFound",
    );
    refused(&|b| b["properties"]["nonsense"] = json!(1), 400, "BadRequest");
    assert!(arm.get(&nic("one")).body["properties"].get("virtualMachine").is_none(), "nothing was taken");
    arm.make(&machine("db-3"), body(&[on("one")]));
    let refused = |change: &dyn Fn(&mut Value), status, code| {
        let mut wanted = body(&[on("one")]);
        change(&mut wanted);
        arm.put(&machine("db-3"), wanted).refused(status, code);
    };
    refused(
        &interfaces(json!([on("two")])),
        400,
        "AddingOrDeletingNetworkInterfacesOnARunningVirtualMachineNotSupported",
    );
    refused(
        &|b| b["properties"]["osProfile"]["adminUsername"] = json!("root"),
        409,
        "PropertyChangeNotAllowed",
    );
    refused(
        &|b| b["properties"]["osProfile"]["customData"] = json!("b3RoZXI="),
        409,
        "PropertyChangeNotAllowed",
    );
    assert!(arm.get(&nic("two")).body["properties"].get("virtualMachine").is_none(), "nothing was taken");
}
