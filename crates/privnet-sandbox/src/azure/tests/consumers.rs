use super::super::default_world::STRANGER;
use super::*;
use crate::frame::KnownBy;

fn endpoints(arm: &Arm, service: &str) -> Vec<String> {
    let body = arm.get(&format!("{service}/privateEndpointConnections")).is(200).body;
    let list = body["value"].as_array().unwrap().iter();
    list.map(|c| c["properties"]["privateEndpoint"]["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_consumer_and_a_stranger_ask_a_hosted_server() {
    let mut arm = Arm::new();
    let server = format!("/subscriptions/{OWN}/resourceGroups/{GROUP}/providers/Microsoft.Sql/servers/crm");
    assert!(endpoints(&arm, &server).is_empty());
    arm.pass(9);
    assert_eq!(endpoints(&arm, &server).len(), 1);
    arm.pass(5);
    let all = endpoints(&arm, &server);
    assert_eq!(all.len(), 2);
    assert!(all.iter().any(|id| id == &format!("/subscriptions/{CONSUMER}/resourceGroups/rg-consumer/providers/Microsoft.Network/privateEndpoints/pe-crm")));
    assert!(all.iter().any(|id| id.contains(STRANGER)));
    arm.pass(1000);
    assert_eq!(endpoints(&arm, &server).len(), 2);
}

#[test]
fn a_service_is_asked_by_those_who_can_see_it() {
    let mut arm = with_service();
    let service = network("privateLinkServices", "svc");
    assert!(endpoints(&arm, &service).is_empty());
    arm.pass(30);
    let asked = endpoints(&arm, &service);
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].contains(CONSUMER));
    let mut open = service_body("lb", "fe", &[CONSUMER]);
    open["properties"]["accessMode"] = json!("Default");
    arm.make(&service, open);
    assert_eq!(endpoints(&arm, &service).len(), 2);
}

#[test]
fn a_further_request_comes_on_demand() {
    let mut arm = with_service();
    arm.pass(30);
    let service = network("privateLinkServices", "svc");
    let raised = arm.server.connect(&service, None, arm.now).unwrap();
    assert_eq!(raised["status"], "Pending");
    assert!(raised["endpoint"].as_str().unwrap().ends_with("/pe-svc-2"), "{raised}");
    assert_eq!(endpoints(&arm, &service).len(), 2);
    let alias = arm.get(&service).body["properties"]["alias"].as_str().unwrap().to_owned();
    assert!(arm.server.connect(&alias, Some(CONSUMER), arm.now).is_ok());
    let hidden = arm.server.connect("svc", Some("stranger"), arm.now).unwrap_err();
    assert!(hidden.contains("cannot be seen"), "{hidden}");
    assert!(arm.server.connect("svc", Some("nobody"), arm.now).unwrap_err().contains("consumer"));
    assert!(arm.server.connect("none", None, arm.now).is_err());
}

#[test]
fn a_tag_names_the_privnet_service() {
    let mut arm = Arm::new();
    arm.make(&network("loadBalancers", "lb"), balancer_body("lb", &["fe"]));
    let mut body = service_body("lb", "fe", &[CONSUMER]);
    body["tags"] = json!({"privnet:service": "onprem-sql"});
    arm.make(&network("privateLinkServices", "svc"), body);
    let raised = arm.server.connect("onprem-sql", None, arm.now).unwrap();
    assert!(
        raised["service"].as_str().unwrap().ends_with("/svc") && raised["state"] == "Pending",
        "{raised}"
    );
    // A name that a file gave goes before one that something else has.
    assert_eq!(arm.server.knows("onprem-sql", arm.now), Some(KnownBy::Mark));
    assert_eq!(arm.server.knows("crm", arm.now), Some(KnownBy::Name));
    assert_eq!(arm.server.knows("none", arm.now), None);
}

#[test]
fn requests_are_held_back_and_let_go() {
    let mut arm = Arm::new();
    let requests = crate::frame::Requests::open(arm.dir.path());
    requests.hold().unwrap();
    let server = format!("/subscriptions/{OWN}/resourceGroups/{GROUP}/providers/Microsoft.Sql/servers/crm");
    assert!(endpoints(&arm, &server).is_empty());
    arm.pass(1000);
    assert!(endpoints(&arm, &server).is_empty());
    arm.server.connect("crm", None, arm.now).unwrap();
    assert_eq!(endpoints(&arm, &server).len(), 1, "on demand they come");
    requests.release(arm.now).unwrap();
    assert_eq!(endpoints(&arm, &server).len(), 3);
}
