use super::*;

fn endpoint(subscription: &str, group: &str, name: &str) -> String {
    format!(
        "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/privateEndpoints/{name}"
    )
}

fn body(subnet: &str, list: &str, service: &str, groups: &[&str]) -> Value {
    json!({"location": "eastus2", "properties": {"subnet": {"id": subnet}, list: [{"name": "c", "properties": {
        "privateLinkServiceId": service, "groupIds": groups, "requestMessage": "please"}}]}})
}

fn consumers_subnet() -> String {
    format!(
        "/subscriptions/{CONSUMER}/resourceGroups/rg-consumer/providers/Microsoft.Network/virtualNetworks/consumer-vnet/subnets/endpoints"
    )
}

const MANUAL: &str = "manualPrivateLinkServiceConnections";
const AUTOMATIC: &str = "privateLinkServiceConnections";

fn status(reply: &Reply, list: &str) -> String {
    let state =
        &reply.body["properties"][list][0]["properties"]["privateLinkServiceConnectionState"]["status"];
    state.as_str().unwrap_or_default().to_owned()
}

#[test]
fn endpoints_of_the_own_subscription_are_approved() {
    let mut arm = with_service();
    let service = network("privateLinkServices", "svc");
    let target = endpoint(OWN, GROUP, "mine");
    let reply = arm.put(&target, body(&subnet("fwd"), AUTOMATIC, &service, &[])).is(201);
    assert_eq!(reply.state(), "Updating");
    arm.pass(61);
    let made = arm.get(&target).is(200);
    assert_eq!((made.state(), status(&made, AUTOMATIC).as_str()), ("Succeeded", "Approved"));
    let mine =
        arm.get(&service).body["properties"]["privateEndpointConnections"].as_array().unwrap().iter().any(
            |c| {
                c["properties"]["privateEndpoint"]["id"] == json!(target)
                    && c["properties"]["privateLinkServiceConnectionState"]["status"] == "Approved"
            },
        );
    assert!(mine);
    arm.delete(&target).is(202);
    arm.pass(21);
    let left = arm.get(&format!("{service}/privateEndpointConnections")).body;
    assert!(!left.to_string().contains("/mine"), "{left}");
}

#[test]
fn endpoints_from_elsewhere_ask_by_id_or_alias() {
    let mut arm = with_service();
    let service = network("privateLinkServices", "svc");
    let alias = arm.get(&service).body["properties"]["alias"].as_str().unwrap().to_owned();
    let target = endpoint(CONSUMER, "rg-consumer", "theirs");
    arm.put(&target, body(&consumers_subnet(), AUTOMATIC, &service, &[]))
        .refused(403, "LinkedAuthorizationFailed");
    arm.put(&target, body(&consumers_subnet(), MANUAL, &alias, &[])).is(201);
    arm.pass(61);
    let made = arm.get(&target);
    assert_eq!(status(&made, MANUAL), "Pending");
    // The same again changes nothing; another service cannot be put in.
    arm.put(&target, body(&consumers_subnet(), MANUAL, &alias, &[])).is(200);
    arm.pass(10);
    arm.put(&target, body(&consumers_subnet(), MANUAL, &service, &[]))
        .refused(400, "PrivateLinkServiceConnectionCannotBeChanged");
    let stranger = endpoint(super::super::default_world::STRANGER, "rg-stranger", "x");
    let theirs = consumers_subnet()
        .replace(CONSUMER, super::super::default_world::STRANGER)
        .replace("consumer", "stranger");
    arm.put(&stranger, body(&theirs, MANUAL, &alias, &[])).refused(400, "InvalidResourceReference");
}

#[test]
fn automatic_approval_is_by_subscription() {
    let mut arm = Arm::new();
    arm.make(&network("loadBalancers", "lb"), balancer_body("lb", &["fe"]));
    let mut service = service_body("lb", "fe", &[CONSUMER]);
    service["properties"]["autoApproval"]["subscriptions"] = json!([CONSUMER]);
    arm.make(&network("privateLinkServices", "svc"), service);
    let target = endpoint(CONSUMER, "rg-consumer", "theirs");
    arm.put(&target, body(&consumers_subnet(), AUTOMATIC, &network("privateLinkServices", "svc"), &[]))
        .is(201);
    assert_eq!(status(&arm.get(&target), AUTOMATIC), "Approved");
}

#[test]
fn endpoints_of_hosted_services_need_their_subresource() {
    let mut arm = Arm::new();
    let server = format!("/subscriptions/{OWN}/resourceGroups/{GROUP}/providers/Microsoft.Sql/servers/crm");
    let target = endpoint(OWN, GROUP, "mine");
    arm.put(&target, body(&subnet("fwd"), MANUAL, &server, &["blob"]))
        .refused(400, "InvalidPrivateLinkServiceGroupIds");
    arm.put(&target, body(&subnet("fwd"), MANUAL, &server, &["SQLSERVER"])).is(201);
    // Recorded: a manual request waits even within one subscription.
    assert_eq!(status(&arm.get(&target), MANUAL), "Pending");
    arm.pass(61);
    let other = endpoint(OWN, GROUP, "other");
    arm.put(&other, body(&subnet("fwd"), AUTOMATIC, &server, &["sqlServer"])).is(201);
    assert_eq!(status(&arm.get(&other), AUTOMATIC), "Approved");
}

#[test]
fn visibility_can_be_asked_for() {
    let mut arm = with_service();
    let alias = arm.get(&network("privateLinkServices", "svc")).body["properties"]["alias"].clone();
    let mut visible = |subscription: &str| {
        let target = format!(
            "/subscriptions/{subscription}/providers/Microsoft.Network/locations/eastus2/checkPrivateLinkServiceVisibility"
        );
        let asked = arm.post(&target, json!({"privateLinkServiceAlias": alias})).is(202);
        arm.pass(2);
        arm.follow(&asked, "location").is(200).body["visible"].clone()
    };
    assert_eq!((visible(CONSUMER), visible(OWN)), (json!(true), json!(true)));
    assert_eq!(visible(super::super::default_world::STRANGER), false);
    let list = |subscription: &str| {
        arm.get(&format!(
            "/subscriptions/{subscription}/providers/Microsoft.Network/locations/eastus2/autoApprovedPrivateLinkServices"
        ))
        .is(200)
        .body["value"]
            .clone()
    };
    assert_eq!(list(CONSUMER), json!([]));
    assert_eq!(list(OWN)[0]["privateLinkService"], alias);
}
