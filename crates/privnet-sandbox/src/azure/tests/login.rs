use super::super::default_world::TENANT;
use super::*;

fn form(target: &str, body: &str) -> Exchange {
    let mut exchange = Arm::exchange("POST", target, None);
    exchange.headers.clear();
    exchange.query = String::new();
    exchange.body = body.as_bytes().to_vec();
    exchange
}

#[test]
fn service_principals_get_tokens_of_both_versions() {
    let arm = Arm::new();
    let v2 = arm
        .send(&form(
            &format!("/{TENANT}/oauth2/v2.0/token"),
            "grant_type=client_credentials&client_id=x&client_secret=y&scope=https%3A%2F%2Fmanagement.azure.com%2F.default",
        ))
        .is(200);
    assert_eq!(v2.body["expires_in"], 3600);
    assert_eq!(v2.body["access_token"].as_str().unwrap().split('.').count(), 3);
    let v1 = arm
        .send(&form(
            &format!("/{TENANT}/oauth2/token"),
            "grant_type=client_credentials&client_id=x&client_assertion=y&resource=https%3A%2F%2Fmanagement.azure.com%2F",
        ))
        .is(200);
    assert_eq!(v1.body["expires_in"], "3600");
    let none = arm.send(&form(
        &format!("/{TENANT}/oauth2/v2.0/token"),
        "grant_type=client_credentials&client_id=x&scope=s",
    ));
    assert_eq!((none.status, &none.body["error"]), (401, &json!("invalid_client")));
    let lost = arm.send(&form(
        "/nowhere/oauth2/v2.0/token",
        "grant_type=client_credentials&client_id=x&client_secret=y&scope=s",
    ));
    assert!(lost.body["error_description"].as_str().unwrap().starts_with("AADSTS90002"));
}

#[test]
fn discovery_leads_to_the_token_endpoint() {
    let arm = Arm::new();
    let found = arm.get(&format!(
        "/common/discovery/instance?api-version=1.1&authorization_endpoint=http://127.0.0.1:4567/{TENANT}/oauth2/v2.0/authorize"
    ));
    let next = found.body["tenant_discovery_endpoint"]
        .as_str()
        .unwrap()
        .strip_prefix("http://127.0.0.1:4567")
        .unwrap();
    let endpoint = arm.get(next).is(200).body["token_endpoint"].clone();
    assert_eq!(endpoint, json!(format!("http://127.0.0.1:4567/{TENANT}/oauth2/v2.0/token")));
    let cloud = arm.get("/metadata/endpoints?api-version=2022-09-01").is(200).body;
    assert_eq!(cloud["authentication"]["loginEndpoint"], "http://127.0.0.1:4567");
    assert_eq!(cloud["resourceManager"], "http://127.0.0.1:4567/");
}

#[test]
fn managed_identities_need_their_header() {
    let arm = Arm::new();
    let target = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F";
    arm.get(target).is(400);
    let mut exchange = Arm::exchange("GET", target, None);
    exchange.headers.insert("metadata", "true".parse().unwrap());
    let token = arm.send(&exchange).is(200).body;
    assert_eq!(
        (&token["token_type"], &token["resource"]),
        (&json!("Bearer"), &json!("https://management.azure.com/"))
    );
}
