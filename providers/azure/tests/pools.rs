//! A pool of somebody's on a load balancer that privnet made, with machines and without a rule: it stays, and is no difference for ever.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod stage;

use serde_json::json;
use stage::{FORWARDED, GROUP, Stage, made, until};

#[tokio::test(flavor = "multi_thread")]
async fn machines_in_a_pool_without_a_rule_are_no_difference() {
    let stage = Stage::open().await;
    let file = made(FORWARDED, "", "");
    stage.apply(&file).await;
    let balancer = stage.live(&file, "load-balancer").await.unwrap().id;
    stage
        .change(&balancer, |body| {
            body["properties"]["backendAddressPools"].as_array_mut().unwrap().push(json!({"name": "theirs"}));
        })
        .await;
    let mut body = stage.get(&stage.live(&file, "scale-set").await.unwrap().id).await;
    let path = "/properties/virtualMachineProfile/networkProfile/networkInterfaceConfigurations/0/properties/ipConfigurations/0\
                /properties/loadBalancerBackendAddressPools";
    *body.pointer_mut(path).unwrap() = json!([{"id": format!("{balancer}/backendAddressPools/theirs")}]);
    for own in ["id", "name", "tags", "etag"] {
        body.as_object_mut().unwrap().remove(own);
    }
    let theirs = format!("{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/theirs");
    let (status, answer) =
        stage.request("PUT", &format!("{theirs}?api-version=2024-11-01"), Some(&body)).await;
    assert!(status < 300, "{answer}");
    until("their machines are in the pool", || async {
        let shown = stage.get(&balancer).await;
        let pools = shown["properties"]["backendAddressPools"].as_array().unwrap().clone();
        let of = pools.iter().find(|pool| pool["name"] == "theirs").unwrap().clone();
        of["properties"]["backendIPConfigurations"].as_array().is_some_and(|m| !m.is_empty()).then_some(())
    })
    .await;
    stage.assert_settled(&file).await;
    let more = "{ listen: 3306, engine: mysql, to: { forwarder: { ip: 172.16.4.30 } } }";
    let both = made(&format!("{FORWARDED}, {more}"), "", "");
    stage.apply(&both).await;
    stage.assert_settled(&both).await;
    let shown = stage.get(&balancer).await;
    let pools = shown["properties"]["backendAddressPools"].as_array().unwrap();
    assert!(pools.iter().any(|pool| pool["name"] == "theirs"), "{pools:?}");
}
