use serde_json::json;

use super::*;
use crate::arm::fake::{Script, context};
use crate::observe::known::frontend_fact;

const GROUPS: &str = "/subscriptions/s/resourceGroups";

fn ids(groups: usize) -> BTreeSet<String> {
    (0..groups)
        .map(|group| format!("{GROUPS}/g{group}/providers/Microsoft.Network/networkInterfaces/n"))
        .collect()
}

#[tokio::test]
async fn many_groups_are_read_by_the_pages_of_their_subscription() {
    let page = || (200, vec![], json!({"value": [{"id": "x"}]}));
    let read = |answers, groups| async move {
        let (arm, script) = Script::arm(answers);
        let found = read_groups(&arm, &context(), "networkInterfaces", &ids(groups)).await.unwrap();
        (script.asked(), found.len())
    };
    let of = |place: &str| format!("GET {place}/providers/Microsoft.Network/networkInterfaces");
    let (asked, found) = read(vec![page(); FEW], FEW).await;
    assert_eq!((asked[0].as_str(), asked.len(), found), (of(&format!("{GROUPS}/g0")).as_str(), FEW, FEW));
    let (asked, found) = read(vec![page()], 200).await;
    assert_eq!((asked, found), (vec![of("/subscriptions/s")], 1));
    // A role that is given on the groups alone.
    let denied = (403, vec![], json!({"error": {"code": "AuthorizationFailed", "message": "m"}}));
    let answers = [vec![denied], vec![page(); FEW + 1]].concat();
    let (asked, found) = read(answers, FEW + 1).await;
    assert_eq!((asked.len(), found), (FEW + 2, FEW + 1));
}

#[test]
fn an_address_of_a_prefix_is_public_too() {
    let id = "/s/loadBalancers/x/frontendIPConfigurations/main";
    let fact = |address: Json| {
        let frontend = json!({"id": id, "name": "main", "properties": address});
        frontend_fact(&json!({"properties": {"frontendIPConfigurations": [frontend]}}), id).is_public
    };
    assert!(!fact(json!({"subnet": {"id": "/s/virtualNetworks/v/subnets/x"}})));
    assert!(fact(json!({"publicIPAddress": {"id": "/s/publicIPAddresses/a"}})));
    assert!(fact(json!({"publicIpPrefix": {"id": "/s/publicIPPrefixes/p"}})));
}
