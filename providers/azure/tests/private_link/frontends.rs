//! A service before a frontend of the user's load balancer: a whole life, what is refused, and how a service turns to one.

use privnet_core::accept::Ask;
use privnet_core::conformance::Subject as _;
use privnet_core::plan::{Op, PlanOptions};
use serde_json::json;

use super::{JOIN, put, unversioned};
use crate::stage::{self, DIRECT, GROUP, Stage, assert_done, made, until};

#[tokio::test(flavor = "multi_thread")]
async fn supplied_things_are_used_and_left() {
    let stage = Stage::open().await;
    let first = made(DIRECT, JOIN, "");
    stage.apply(&first).await;
    let service = stage.live(&first, "private-link-service").await.unwrap().id;
    let balancer = stage.live(&first, "load-balancer").await.unwrap().id;
    let head = "version: 1
deployment: guest
consumers:
  acme: { azure: { subscriptions: [11111111-2222-3333-4444-555555555555] } }
services:
  - name: second
    allow: { acme: {} }
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
";
    let named = stage::spec(&format!("{head}      existing: {{ private_link_service: {service} }}\n"));
    stage.assert_settled(&named).await;
    let handoff = stage.provider().handoff(&named, &named.services[0], &stage.world(&named).await);
    assert_eq!((&handoff.fields["ports"], handoff.missing), (&json!([5432]), Vec::<String>::new()));
    assert_eq!(handoff.fields["location"], "eastus2");
    // The same deployment's own is none of the user's.
    let own = format!("{head}      existing: {{ private_link_service: {service} }}\n")
        .replace("deployment: guest", "deployment: stage");
    let plan = stage.plan(&stage::spec(&own)).await;
    assert!(plan.refusals[0].why.contains("made for the service `orders`"), "{:?}", plan.refusals);
    stage.until_pending(&named, "second", 1).await;
    let (_, plan, report) = stage.decide(&named, &Ask::default()).await;
    assert_done(&plan, &report);
    assert_eq!(plan.summary.accept, 1);
    let plan = stage.driver().plan(&named, PlanOptions { destroy: true, ..PlanOptions::default() }).await.0;
    assert!(plan.is_empty() && plan.refusals.is_empty());

    let frontend = format!("{balancer}/frontendIPConfigurations/main");
    let on = on_text(head, &frontend);
    let on = stage::spec(&on);
    let plan = stage.plan(&on).await;
    assert!(plan.refusals[0].why.contains("a frontend carries one"), "{:?}", plan.refusals);
    assert!(plan.is_empty());
    let wrong = stage::spec(&on_text(head, &format!("{balancer}/frontendIPConfigurations/other")));
    let plan = stage.plan(&wrong).await;
    assert!(plan.refusals[0].why.contains("no frontend `other`"), "{:?}", plan.refusals);
    assert!(
        stage.get(&format!("{GROUP}/providers/Microsoft.Network/virtualNetworks/hub")).await["id"]
            .is_string()
    );
}

/// A load balancer of the user's own with a machine behind it, whose frontends are in this subnet.
async fn own_balancer(stage: &Stage, name: &str, subnet: &str) -> String {
    let id = format!("{GROUP}/providers/Microsoft.Network/loadBalancers/{name}");
    let frontend = |name: &str| json!({"name": name, "properties": {"subnet": {"id": subnet}}});
    let body = json!({"location": "eastus2", "sku": {"name": "Standard"}, "tags": {"owner": "dba"}, "properties": {
        "frontendIPConfigurations": [frontend("one"), frontend("two")],
        "backendAddressPools": [{"name": "db"}],
        "probes": [{"name": "db", "properties": {"protocol": "Tcp", "port": 5432, "intervalInSeconds": 5, "numberOfProbes": 2}}],
        "loadBalancingRules": [{"name": "db", "properties": {
            "protocol": "Tcp", "frontendPort": 15432, "backendPort": 5432,
            "frontendIPConfiguration": {"id": format!("{id}/frontendIPConfigurations/one")},
            "backendAddressPool": {"id": format!("{id}/backendAddressPools/db")},
            "probe": {"id": format!("{id}/probes/db")}}}]}});
    put(stage, &id, &body).await;
    // Lists lag behind what is new, and what is compared later is a list.
    until("the load balancer is listed", || async {
        let listed = stage.everything().await;
        listed.iter().any(|one| one.eq_ignore_ascii_case(&id)).then_some(())
    })
    .await;
    id
}

pub(super) const GUEST: &str = "version: 1
deployment: guest
consumers:
  acme: { azure: { subscriptions: [11111111-2222-3333-4444-555555555555] } }
services:
  - name: second
    allow: { acme: {} }
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
";

/// A frontend that is named: the service is made before it, its consumer let in, and all of it taken away; the load balancer stays
/// as it was all the while.
#[tokio::test(flavor = "multi_thread")]
async fn a_frontend_that_is_named_lives_a_whole_life() {
    let stage = Stage::open().await;
    let subnet = format!("{GROUP}/providers/Microsoft.Network/virtualNetworks/hub/subnets/lb");
    let balancer = own_balancer(&stage, "dbs", &subnet).await;
    let before = (stage.everything().await, unversioned(stage.get(&balancer).await));
    let file = stage::spec(&on_text(GUEST, &format!("{balancer}/frontendIPConfigurations/one")));
    let plan = stage.apply(&file).await;
    let ops: Vec<_> = plan.actions.iter().map(|action| (action.op, action.address.kind.as_str())).collect();
    assert_eq!(ops, [(Op::Create, "private-link-service")]);
    stage.assert_settled(&file).await;
    let handoff = stage.provider().handoff(&file, &file.services[0], &stage.world(&file).await);
    assert_eq!((&handoff.fields["ports"], handoff.missing), (&json!([15432]), Vec::<String>::new()));
    stage.until_pending(&file, "second", 1).await;
    let (_, plan, report) = stage.decide(&file, &Ask::default()).await;
    assert_done(&plan, &report);
    assert_eq!(plan.summary.accept, 1);
    stage.assert_settled(&file).await;
    let destroy = PlanOptions { destroy: true, ..PlanOptions::default() };
    let (plan, _) = stage.driver().apply(&file, destroy).await;
    assert!(plan.is_empty() && !plan.refusals.is_empty(), "a live consumer is not cut: {plan:#?}");
    stage.apply_with(&file, PlanOptions { sever_connections: true, ..destroy }).await;
    assert_eq!((stage.everything().await, unversioned(stage.get(&balancer).await)), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_another_network_or_is_in_use_is_refused_at_plan() {
    let stage = Stage::open().await;
    let network = format!("{GROUP}/providers/Microsoft.Network/virtualNetworks/spoke");
    let body = json!({"location": "eastus2", "properties": {"addressSpace": {"addressPrefixes": ["10.9.0.0/16"]},
        "subnets": [{"name": "db", "properties": {"addressPrefix": "10.9.1.0/24"}}]}});
    put(&stage, &network, &body).await;
    let nic = format!("{GROUP}/providers/Microsoft.Network/networkInterfaces/spoke-nic");
    let configuration =
        json!({"name": "ip", "properties": {"subnet": {"id": format!("{network}/subnets/db")}}});
    put(&stage, &nic, &json!({"location": "eastus2", "properties": {"ipConfigurations": [configuration]}}))
        .await;
    let refusals = async |text: &privnet_core::spec::Spec, word: &str| {
        let plan = stage.plan(text).await;
        assert!(plan.is_empty() && plan.refusals.iter().any(|r| r.why.contains(word)), "{word}: {plan:#?}");
    };
    refusals(&made(&DIRECT.replace("db-1-nic", "spoke-nic"), JOIN, ""), "all members of a pool").await;

    let spoke = own_balancer(&stage, "spoke", &format!("{network}/subnets/db")).await;
    let on = |frontend: String| stage::spec(&on_text(GUEST, &frontend));
    refusals(&on(format!("{spoke}/frontendIPConfigurations/one")), "network of the frontend").await;

    let hub = format!("{GROUP}/providers/Microsoft.Network/virtualNetworks/hub/subnets/lb");
    let balancer = own_balancer(&stage, "dbs", &hub).await;
    let first = on(format!("{balancer}/frontendIPConfigurations/one"));
    stage.apply(&first).await;
    stage.assert_settled(&first).await;
    let other = |frontend: &str, more: &str| {
        let text = on_text(GUEST, &format!("{balancer}/frontendIPConfigurations/{frontend}"));
        stage::spec(&format!("{}{more}", text.replace("deployment: guest", "deployment: another")))
    };
    refusals(&other("one", ""), "a frontend carries one").await;
    refusals(&other("two", "      proxy_protocol: true\n"), "send the PROXY header or none does").await;
    assert!(stage.plan(&other("two", "")).await.refusals.is_empty(), "the other frontend is free");
    // Under another name it is the same one, whose frontend has it already.
    let renamed = on_text(
        &GUEST.replace("name: second", "name: third"),
        &format!("{balancer}/frontendIPConfigurations/one"),
    );
    refusals(&stage::spec(&renamed), "`second` was renamed").await;

    // What privnet made with the service's ports goes with them.
    let file = made(DIRECT, JOIN, "");
    stage.apply(&file).await;
    let own = stage.live(&file, "load-balancer").await.unwrap().id;
    let text = on_text(GUEST, &format!("{own}/frontendIPConfigurations/main"));
    let turned =
        text.replace("deployment: guest", "deployment: stage").replace("name: second", "name: orders");
    refusals(&stage::spec(&turned), "privnet made its load balancer for this service").await;
}

/// From a load balancer that privnet made to a frontend of the user's own: another hand-over, so only with the word; then nothing of
/// the first is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_turns_to_a_frontend_that_is_named() {
    let stage = Stage::open().await;
    let subnet = format!("{GROUP}/providers/Microsoft.Network/virtualNetworks/hub/subnets/lb");
    let balancer = own_balancer(&stage, "dbs", &subnet).await;
    let before = stage.everything().await;
    stage.apply(&made(DIRECT, JOIN, "")).await;
    let text = on_text(GUEST, &format!("{balancer}/frontendIPConfigurations/one"));
    let turned = stage::spec(
        &text.replace("deployment: guest", "deployment: stage").replace("name: second", "name: orders"),
    );
    let plan = stage.plan(&turned).await;
    assert!(plan.is_empty() && plan.refusals.iter().all(|r| r.flag.is_some()), "{plan:#?}");
    stage.apply_with(&turned, PlanOptions { sever_connections: true, ..PlanOptions::default() }).await;
    stage.assert_settled(&turned).await;
    stage.apply_with(&turned, PlanOptions { destroy: true, ..PlanOptions::default() }).await;
    assert_eq!(stage.everything().await, before);
}

fn on_text(head: &str, frontend: &str) -> String {
    format!(
        "{head}      resource_group: rg-data
      location: eastus2
      vnet: hub
      nat_subnet: {{ existing: nat }}
      existing: {{ load_balancer_frontend: {frontend} }}
"
    )
}
