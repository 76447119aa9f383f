use super::*;

fn prefix(prefix: &str) -> Value {
    json!({"properties": {"addressPrefix": prefix}})
}

#[test]
fn a_write_overtakes_one_that_has_just_begun() {
    let mut arm = Arm::new();
    let first = arm.put(&subnet("one"), prefix("10.1.20.0/28")).is(201);
    let second = arm.put(&subnet("two"), prefix("10.1.20.16/28")).is(201);
    let poll = arm.follow(&first, "azure-asyncoperation").is(200);
    assert_eq!((&poll.body["status"], &poll.body["error"]["code"]), (&json!("Canceled"), &json!("Canceled")));
    assert_eq!(poll.body["error"]["details"][0]["code"], "CanceledAndSupersededDueToAnotherOperation");
    arm.pass(5);
    assert_eq!(arm.follow(&second, "azure-asyncoperation").body["status"], "Succeeded");
    assert_eq!((arm.get(&subnet("one")).state(), arm.get(&subnet("two")).state()), ("Failed", "Succeeded"));
    arm.make(&subnet("one"), prefix("10.1.20.0/28"));
    assert_eq!(arm.get(&subnet("one")).state(), "Succeeded");
}

#[test]
fn a_write_that_comes_late_has_to_wait() {
    let mut arm = Arm::new();
    let first = arm.put(&subnet("one"), prefix("10.1.20.0/28")).is(201);
    arm.pass(2);
    let late = arm.put(&subnet("two"), prefix("10.1.20.16/28"));
    late.refused(409, "AnotherOperationInProgress");
    assert!(late.body["error"]["message"].as_str().unwrap().contains("http://127.0.0.1:4567/subscriptions/"));
    arm.get(&subnet("two")).is(404);
    arm.pass(2);
    assert_eq!(arm.follow(&first, "azure-asyncoperation").body["status"], "Succeeded");
    arm.put(&subnet("two"), prefix("10.1.20.16/28")).is(201);
}

#[test]
fn what_refers_to_something_unsettled_is_retryable() {
    let arm = Arm::new();
    arm.put(&subnet("one"), prefix("10.1.20.0/28")).is(201);
    let body = json!({"location": "eastus2", "properties": {"ipConfigurations": [{"name": "c", "properties": {
        "subnet": {"id": subnet("one")}}}]}});
    let reply = arm.put(&network("networkInterfaces", "nic"), body);
    reply.refused(429, "RetryableError");
    assert_eq!(reply.body["error"]["details"][0]["code"], "ReferencedResourceNotProvisioned");
    assert!(reply.header("retry-after").is_some());
}

#[test]
fn services_of_one_load_balancer_are_written_one_after_the_other() {
    let mut arm = Arm::new();
    arm.make(&network("loadBalancers", "lb"), balancer_body("lb", &["fe", "fe2"]));
    arm.put(&network("privateLinkServices", "a"), service_body("lb", "fe", &[])).is(201);
    arm.put(&network("privateLinkServices", "b"), service_body("lb", "fe2", &[]))
        .refused(429, "RetryableError");
    arm.put(&network("loadBalancers", "lb"), balancer_body("lb", &["fe", "fe2"]))
        .refused(429, "RetryableError");
    arm.pass(13);
    arm.put(&network("privateLinkServices", "b"), service_body("lb", "fe2", &[])).is(201);
}

#[test]
fn a_deletion_is_not_overtaken_and_can_be_asked_for_twice() {
    let mut arm = Arm::new();
    let target = network("networkSecurityGroups", "nsg");
    arm.make(&target, json!({"location": "eastus2"}));
    let first = arm.delete(&target).is(202);
    assert_eq!(arm.get(&target).state(), "Deleting");
    let second = arm.delete(&target).is(202);
    assert_eq!(first.header("location"), second.header("location"));
    arm.put(&target, json!({"location": "eastus2"})).refused(409, "AnotherOperationInProgress");
    arm.pass(11);
    assert_eq!(arm.follow(&first, "azure-asyncoperation").body, json!({"status": "Succeeded"}));
    arm.follow(&first, "location").is(204);
    arm.get(&target).refused(404, "ResourceNotFound");
}
