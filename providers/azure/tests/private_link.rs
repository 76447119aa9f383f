//! Private link services on the local cloud: made, found again, decided on, changed, destroyed.

mod stage;

use privnet_core::accept::{Ask, ConnectionState};
use privnet_core::conformance::Subject as _;
use privnet_core::plan::{Op, PlanOptions, Rule};
use serde_json::json;
use stage::{DIRECT, FORWARDED, GROUP, Stage, assert_done, made, until};

const JOIN: &str = "join_nics: true";

#[tokio::test(flavor = "multi_thread")]
async fn a_forwarded_service_is_made_once_and_nothing_is_left_to_do() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    let file = made(FORWARDED, "", "tags: { owner: me }");
    let plan = stage.apply(&file).await;
    let kinds: Vec<_> = plan.actions.iter().map(|action| action.address.kind.as_str()).collect();
    assert_eq!(kinds.len(), 5, "{kinds:?}");
    assert_eq!(plan.adds_to_yours.len(), 1);
    stage.assert_settled(&file).await;
    let service = stage.live(&file, "private-link-service").await.unwrap();
    let shown = stage.get(&service.id).await;
    assert_eq!(shown["properties"]["accessMode"], "Restricted");
    assert_eq!(
        shown["properties"]["visibility"]["subscriptions"],
        json!(["11111111-2222-3333-4444-555555555555"])
    );
    assert_eq!(shown["properties"]["autoApproval"]["subscriptions"], json!([]));
    assert_eq!(shown["tags"]["owner"], "me");
    let world = stage.world(&file).await;
    let handoff = stage.provider().handoff(&file, &file.services[0], &world);
    assert_eq!(handoff.fields["service_id"], service.id.as_str());
    assert!(handoff.fields["alias"].as_str().unwrap().ends_with(".azure.privatelinkservice"));
    assert_eq!(handoff.fields["ports"], json!([1433]));
    stage.apply_with(&file, PlanOptions { destroy: true, ..PlanOptions::default() }).await;
    assert_eq!(stage.everything().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consumer_is_accepted_rejected_and_guarded() {
    let stage = Stage::open().await;
    let file = made(DIRECT, JOIN, "");
    stage.apply(&file).await;
    let pending = stage.until_pending(&file, "orders", 1).await;
    assert!(pending[0].id.contains("11111111"), "{pending:?}");
    let (_, plan, report) = stage.decide(&file, &Ask::default()).await;
    assert_done(&plan, &report);
    let accepted = stage.connections(&file, "orders").await;
    assert_eq!(accepted[0].state, ConnectionState::Accepted);
    stage.assert_settled(&file).await;
    let destroy = PlanOptions { destroy: true, ..PlanOptions::default() };
    let (plan, _) = stage.driver().apply(&file, destroy).await;
    assert!(plan.is_empty() && !plan.refusals.is_empty(), "a live consumer is not cut: {plan:#?}");
    let other_port = made(&DIRECT.replace("listen: 5432", "listen: 5432, port: 5433"), JOIN, "");
    let refused = stage.plan(&other_port).await.refusals;
    assert!(
        refused.iter().any(|r| r.why.contains("listens")),
        "the database's port is changed in place, and not under a consumer: {refused:?}"
    );
    let moved = made(&DIRECT.replace("5432", "5433"), JOIN, "");
    assert!(
        !stage.plan(&moved).await.refusals.is_empty(),
        "the port that the consumer uses is not taken away"
    );
    let (plan, report) = stage.reject(&file, &accepted[0].id, true).await;
    assert_done(&plan, &report);
    stage.connect("orders", "consumer");
    stage.until_pending(&file, "orders", 1).await;
    stage.apply_with(&file, destroy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn automatic_acceptance_is_the_clouds() {
    let stage = Stage::open().await;
    let mut file = made(DIRECT, JOIN, "");
    file.services[0].acceptance = privnet_core::spec::Acceptance::Automatic;
    stage.apply(&file).await;
    until("the cloud lets the consumer in", || async {
        let all = stage.connections(&file, "orders").await;
        all.iter().any(|c| c.state == ConnectionState::Accepted).then_some(())
    })
    .await;
    stage.assert_settled(&file).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_forwarder_goes_by_a_second_group() {
    let stage = Stage::open().await;
    let file = made(FORWARDED, "", "");
    stage.apply(&file).await;
    let other = made(&FORWARDED.replace("172.16.4.20", "172.16.4.21"), "", "");
    let plan = stage.apply(&other).await;
    let ops: Vec<_> = plan.actions.iter().map(|a| (a.op, a.address.kind.as_str())).collect();
    assert_eq!(ops, [(Op::Create, "scale-set"), (Op::Delete, "scale-set")]);
    stage.assert_settled(&other).await;
    let group = stage.live(&other, "scale-set").await.unwrap();
    assert!(group.id.ends_with("-b"), "{}", group.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_by_hand_is_put_right() {
    let stage = Stage::open().await;
    let file = made(FORWARDED, "nat_addresses: 2\nfqdns: [db.example.com]", "tags: { owner: me }");
    stage.apply(&file).await;
    let id_of = async |kind: &str| stage.live(&file, kind).await.unwrap().id;
    let service = id_of("private-link-service").await;
    let balancer = id_of("load-balancer").await;
    let group = id_of("network-security-group").await;
    for (id, path, value) in [
        (&service, "/properties/visibility/subscriptions", json!(["*"])),
        (&service, "/properties/fqdns", json!([])),
        (&service, "/properties/accessMode", json!("Default")),
        (&service, "/tags/owner", json!("you")),
        (&balancer, "/properties/probes/0/properties/intervalInSeconds", json!(60)),
        (&balancer, "/properties/loadBalancingRules/0/properties/idleTimeoutInMinutes", json!(10)),
        (&balancer, "/properties/loadBalancingRules/0/properties/backendPort", json!(1434)),
        (&balancer, "/properties/probes/0/properties/requestPath", json!("/other")),
        (&balancer, "/tags/owner", json!("you")),
        (&group, "/properties/securityRules/0/properties/sourceAddressPrefix", json!("*")),
        (&group, "/properties/securityRules/0/properties/sourcePortRange", json!("1024-65535")),
        (&group, "/properties/securityRules/1/properties/destinationAddressPrefix", json!("10.1.2.0/24")),
        (&group, "/properties/securityRules", json!([])),
        (&group, "/tags/owner", json!("you")),
        (&service, "/properties/enableProxyProtocol", json!(true)),
    ] {
        stage
            .change(id, |body| *body.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value.clone())
            .await;
        let plan = stage.apply(&file).await;
        assert_eq!(plan.actions.len(), 1, "{path}: {:?}", plan.actions);
        stage.assert_settled(&file).await;
    }
    let machines = id_of("scale-set").await;
    stage.change(&machines, |body| body["tags"]["privnet:drain"] = json!("1")).await;
    assert_eq!(stage.apply(&file).await.summary.update, 1);
    stage.change(&machines, |body| body["sku"]["capacity"] = json!(1)).await;
    let plan = stage.apply(&file).await;
    assert_eq!((plan.summary.create, plan.summary.delete), (1, 1), "a group is replaced, not resized");
    stage.assert_settled(&file).await;
    stage.change(&service, |body| body["tags"]["policy"] = json!("theirs")).await;
    stage.assert_settled(&file).await;
    let grown = made(FORWARDED, "nat_addresses: 3\nfqdns: [db.example.com]", "tags: { owner: me }");
    stage.apply(&grown).await;
    stage.assert_settled(&grown).await;
    assert_eq!(stage.get(&service).await["tags"]["policy"], "theirs");
    let plan = stage.plan(&file).await;
    assert_eq!(plan.refusals.len(), 1, "{:?}", plan.refusals);
    assert!(plan.refusals[0].why.contains("only grow"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_interruption_is_mended_by_the_same_command() {
    let stage = Stage::open().await;
    for fault in [
        "azure:PUT Microsoft.Network/virtualNetworks/subnets:1:lost",
        "azure:PUT Microsoft.Network/loadBalancers:1:lost",
        "azure:PUT Microsoft.Network/loadBalancers:1:code=async.InternalServerError",
        "azure:PUT Microsoft.Network/privateLinkServices:1:lost",
        "azure:PUT Microsoft.Network/privateLinkServices:1:code=async.CanceledAndSupersededDueToAnotherOperation",
        "azure:PUT Microsoft.Network/privateLinkServices:1:code=async.InternalServerError",
        "azure:PUT Microsoft.Compute/virtualMachineScaleSets:1:code=async.InternalServerError",
    ] {
        let before = stage.everything().await;
        let file = made(FORWARDED, "", "");
        stage.fault(fault);
        let (_, report) = stage.driver().apply(&file, PlanOptions::default()).await;
        stage.heal();
        if !report.all_done() {
            stage.apply(&file).await;
        }
        stage.assert_settled(&file).await;
        stage.apply_with(&file, PlanOptions { destroy: true, ..PlanOptions::default() }).await;
        assert_eq!(stage.everything().await, before, "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_applies_make_one_of_each() {
    let stage = Stage::open().await;
    let before = stage.everything().await.len();
    let file = made(FORWARDED, "", "");
    let runs = (0..8).map(|_| async { stage.driver().apply(&file, PlanOptions::default()).await });
    for (_, report) in futures::future::join_all(runs).await {
        assert!(report.all_done(), "{:#?}", report.failures().collect::<Vec<_>>());
    }
    stage.assert_settled(&file).await;
    assert_eq!(stage.everything().await.len(), before + 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_refused_at_plan() {
    let stage = Stage::open().await;
    let policed = made(DIRECT, &format!("nat_subnet: {{ existing: nat-policed }}\n{JOIN}"), "");
    let plan = stage.plan(&policed).await;
    assert!(
        plan.refusals[0].why.contains("--private-link-service-network-policies Disabled"),
        "{:?}",
        plan.refusals
    );
    let lifted = made(
        DIRECT,
        &format!("nat_subnet: {{ existing: nat-policed }}\ndisable_subnet_policies: true\n{JOIN}"),
        "",
    );
    let plan = stage.apply(&lifted).await;
    assert!(plan.adds_to_yours.iter().any(|addition| addition.address.kind == "subnet-policy"));
    stage.assert_settled(&lifted).await;
    stage.apply_with(&lifted, PlanOptions { destroy: true, ..PlanOptions::default() }).await;
    for (block, word) in [
        (format!("vnet: nowhere\n{JOIN}"), "is not there"),
        (format!("location: westus\n{JOIN}"), "not in westus"),
        (format!("load_balancer_subnet: nowhere\n{JOIN}"), "not in the virtual network"),
    ] {
        let text = made_with(&block);
        let plan = stage.plan(&text).await;
        assert!(plan.refusals.iter().any(|r| r.why.contains(word)), "{block}: {:?}", plan.refusals);
    }
    let unjoined = made(DIRECT, "", "");
    let plan = stage.apply(&unjoined).await;
    assert!(plan.waits.iter().any(|wait| wait.on == "you"), "{:?}", plan.waits);
    stage.assert_settled(&unjoined).await;
}

/// The direct file with lines of its head replaced.
fn made_with(block: &str) -> privnet_core::spec::Spec {
    let mut head = vec![
        ("location", "location: eastus2".to_owned()),
        ("vnet", "vnet: hub".to_owned()),
        ("load_balancer_subnet", "load_balancer_subnet: lb".to_owned()),
    ];
    let mut rest = Vec::new();
    for line in block.lines() {
        match head.iter_mut().find(|(key, _)| line.split(':').next() == Some(*key)) {
            Some(found) => found.1 = line.to_owned(),
            None => rest.push(line.to_owned()),
        }
    }
    let lines: String =
        head.into_iter().map(|(_, line)| line).chain(rest).map(|line| format!("      {line}\n")).collect();
    stage::spec(&format!(
        "version: 1
deployment: stage
consumers:
  acme: {{ azure: {{ subscriptions: [11111111-2222-3333-4444-555555555555] }} }}
services:
  - name: orders
    allow: {{ acme: {{}} }}
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      resource_group: rg-data
      nat_subnet: {{ create: {{ cidr: 10.1.9.0/28 }} }}
      ports: [{DIRECT}]
{lines}"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_alike_is_never_touched() {
    let stage = Stage::open().await;
    let file = made(DIRECT, JOIN, "");
    stage.apply(&file).await;
    let service = stage.live(&file, "load-balancer").await.unwrap().id;
    stage.change(&service, |body| body["tags"] = json!({})).await;
    let plan = stage.plan(&file).await;
    assert!(plan.refusals.iter().any(|r| r.rule == privnet_core::plan::Rule::NotOurs), "{:?}", plan.refusals);
    assert!(plan.is_empty());
}

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

/// Makes a network, an interface or a load balancer of the user's own.
async fn put(stage: &Stage, path: &str, body: &serde_json::Value) {
    let (status, answer) = stage.request("PUT", &format!("{path}?api-version=2025-05-01"), Some(body)).await;
    assert!(status < 300, "{path}: {answer}");
    until("it is made", || async {
        let state = stage.get(path).await["properties"]["provisioningState"].as_str().map(str::to_owned);
        (state.as_deref() == Some("Succeeded")).then_some(())
    })
    .await;
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
    id
}

/// A resource without its ETags, which change with whatever refers to it.
fn unversioned(mut shown: serde_json::Value) -> serde_json::Value {
    match &mut shown {
        serde_json::Value::Object(map) => {
            map.remove("etag");
            map.values_mut().for_each(|value| *value = unversioned(value.take()));
        }
        serde_json::Value::Array(list) => {
            list.iter_mut().for_each(|value| *value = unversioned(value.take()));
        }
        _ => {}
    }
    shown
}

const GUEST: &str = "version: 1
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

/// A tombstone of what the file had turned to something that is there takes what was made before, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_of_a_service_that_turned_removes_what_was_made() {
    let stage = Stage::open().await;
    // Who asks between the look and the deletion holds it up.
    stage.hold_requests().await;
    let before = stage.everything().await;
    stage.apply(&made(DIRECT, JOIN, "")).await;
    let mut tombstone = stage::hosted("Microsoft.Sql/servers/crm", "sqlServer");
    tombstone.services[0].remove = true;
    let plan = stage.apply(&tombstone).await;
    assert_eq!(plan.summary.delete, 4, "{:?}", plan.actions);
    assert_eq!(stage.everything().await, before);
    stage.assert_settled(&tombstone).await;
}

/// A service that turned leaves nothing behind, also where the run that took it away was interrupted at its last part.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_a_service_that_turned_goes_with_the_same_command() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    stage.apply(&made(FORWARDED, "", "")).await;
    let turned = stage::hosted("Microsoft.Sql/servers/crm", "sqlServer");
    let plan = stage.plan(&turned).await;
    assert!(plan.is_empty(), "{plan:#?}");
    let rules: Vec<_> = plan.refusals.iter().map(|r| (r.rule, r.flag.is_some())).collect();
    assert_eq!(rules, [(privnet_core::plan::Rule::HandOver, true)], "{:?}", plan.refusals);
    stage.fault("azure:DELETE Microsoft.Network/virtualNetworks/subnets:1:code=403.AuthorizationFailed");
    let sever = PlanOptions { sever_connections: true, ..PlanOptions::default() };
    let (_, report) = stage.driver().apply(&turned, sever).await;
    assert!(!report.all_done());
    stage.heal();
    let left = stage.everything().await;
    assert!(left != before && !left.iter().any(|id| id.contains("privateLinkServices")), "{left:#?}");
    stage.apply(&turned).await;
    assert_eq!(stage.everything().await, before);
    stage.assert_settled(&turned).await;
    // A subscription that may not be searched is said to be that.
    stage.fault("azure:GET Microsoft.Network/virtualNetworks:1:code=403.AuthorizationFailed");
    let plan = stage.plan(&turned).await;
    assert!(plan.is_empty() && plan.warnings.iter().any(|w| w.contains("cannot be seen")), "{plan:#?}");
}

/// What is made without zones has none for good, so that a list that fails is not an empty one.
#[tokio::test(flavor = "multi_thread")]
async fn zones_that_cannot_be_read_are_not_taken_for_none() {
    let stage = Stage::open().await;
    let file = made(FORWARDED, "", "");
    stage.fault("azure:GET subscriptions/locations:*:code=AuthorizationFailed");
    let plan = stage.plan(&file).await;
    assert!(plan.is_empty(), "{plan:#?}");
    let whys: Vec<_> = plan.refusals.iter().map(|refusal| refusal.why.as_str()).collect();
    assert!(
        whys.len() == 1 && whys[0].contains("Microsoft.Resources/subscriptions/locations/read"),
        "{whys:?}"
    );
    stage.heal();
    // What passes is tried again, and what the caller did wrong is an error of the plan.
    stage.fault("azure:GET subscriptions/locations:1:fail");
    stage.apply(&file).await;
    let zones = async |id: &str, at: &str| stage.get(id).await.pointer(at).cloned().unwrap_or_default();
    let group = stage.live(&file, "scale-set").await.unwrap().id;
    let balancer = stage.live(&file, "load-balancer").await.unwrap().id;
    let all = json!(["1", "2", "3"]);
    assert_eq!(zones(&group, "/zones").await, all);
    assert_eq!(zones(&balancer, "/properties/frontendIPConfigurations/0/zones").await, all);
    stage.fault("azure:GET subscriptions/locations:*:code=InvalidRequestFormat");
    assert!(!stage.try_apply(&file, PlanOptions::default()).await);
    stage.heal();
    // A new group of machines stands where the old one does, also where the role was narrowed meanwhile.
    stage.fault("azure:GET subscriptions/locations:*:code=AuthorizationFailed");
    let changed = made(&FORWARDED.replace("172.16.4.20", "172.16.4.21"), "", "");
    let plan = stage.apply(&changed).await;
    assert!(plan.warnings.iter().any(|text| text.contains("locations/read")), "{:?}", plan.warnings);
    let next = stage.live(&changed, "scale-set").await.unwrap().id;
    assert!(next.ends_with("-b") && zones(&next, "/zones").await == all, "{next}");
    stage.assert_settled(&changed).await;
    // A load balancer may seem to have its private link service for a while after that has gone.
    stage.heal();
    stage.fault("azure:DELETE Microsoft.Network/loadBalancers:1-2:code=CannotDeleteLoadBalancerWithPrivateLinkService");
    stage.apply_with(&changed, PlanOptions { destroy: true, ..PlanOptions::default() }).await;
}

/// Deletes something by hand, and waits until it is gone.
async fn delete(stage: &Stage, path: &str) {
    let path = format!("{path}?api-version=2025-05-01");
    let (status, answer) = stage.request("DELETE", &path, None).await;
    assert!(status < 300, "{path}: {answer}");
    until("it is gone", || async { (stage.request("GET", &path, None).await.0 == 404).then_some(()) }).await;
}

/// A private link service stands on what privnet made for the service before this file, and is not proven to be privnet's: no word
/// takes anything away.
async fn is_refused_with_every_word(
    stage: &Stage,
    turned: &privnet_core::spec::Spec,
    rule: Rule,
    link: &str,
) {
    let before = stage.everything().await;
    for destroy in [false, true] {
        for sever_connections in [false, true] {
            let options = PlanOptions { destroy, sever_connections, ..PlanOptions::default() };
            let (plan, _) = stage.driver().apply(turned, options).await;
            assert!(plan.is_empty(), "{options:?}: {plan:#?}");
            let says =
                plan.refusals.iter().any(|r| r.rule == rule && r.flag.is_none() && r.why.contains(link));
            assert!(says && plan.refusals.len() == 1, "{options:?}: {:#?}", plan.refusals);
        }
    }
    assert_eq!(stage.everything().await, before);
    let former = &stage.world(turned).await.former["orders"];
    assert!(former.exposed.is_none() && former.connections.may_be_live(), "{former:?}");
}

fn turned_to(link: &str) -> privnet_core::spec::Spec {
    let text = format!("{GUEST}      existing: {{ private_link_service: {link} }}\n");
    stage::spec(
        &text.replace("deployment: guest", "deployment: stage").replace("name: second", "name: orders"),
    )
}

/// The private link service lost its tags, and the load balancer and the machines did not: whoever is connected is not cut.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_leaves_what_a_service_without_its_tags_stands_on() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    let file = made(FORWARDED, "", "");
    stage.apply(&file).await;
    stage.until_pending(&file, "orders", 1).await;
    let (_, plan, report) = stage.decide(&file, &Ask::default()).await;
    assert_done(&plan, &report);
    let link = stage.live(&file, "private-link-service").await.unwrap().id;
    let tags = stage.get(&link).await["tags"].clone();
    stage.change(&link, |body| body["tags"] = json!({})).await;
    let turned = stage::hosted("Microsoft.Sql/servers/crm", "sqlServer");
    is_refused_with_every_word(&stage, &turned, Rule::NotOurs, &link).await;
    is_refused_with_every_word(&stage, &turned_to(&link), Rule::NotOurs, &link).await;
    let unproven = |live: &privnet_core::Live| {
        live.id == link && matches!(live.ownership, privnet_core::Ownership::Unproven { .. })
    };
    assert!(stage.world(&turned).await.live.iter().any(unproven));
    // With the tags, it is ours again, and goes with the word.
    stage.change(&link, |body| body["tags"] = tags.clone()).await;
    stage.apply_with(&turned, PlanOptions { sever_connections: true, ..PlanOptions::default() }).await;
    assert_eq!(stage.everything().await, before);
}

/// The user put a private link service of his own in the place of privnet's, before privnet's load balancer, and names it.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_leaves_what_a_service_of_the_users_own_stands_on() {
    let stage = Stage::open().await;
    stage.hold_requests().await;
    let before = stage.everything().await;
    let file = made(DIRECT, JOIN, "");
    stage.apply(&file).await;
    let balancer = stage.live(&file, "load-balancer").await.unwrap().id;
    delete(&stage, &stage.live(&file, "private-link-service").await.unwrap().id).await;
    let link = put_link_before(&stage, &format!("{balancer}/frontendIPConfigurations/main")).await;
    let asked = stage.connect("mine", "consumer");
    is_refused_with_every_word(&stage, &turned_to(&link), Rule::Unsuitable, &link).await;
    let hosted = stage::hosted("Microsoft.Sql/servers/crm", "sqlServer");
    is_refused_with_every_word(&stage, &hosted, Rule::Unsuitable, &link).await;
    // Once it is gone, so does the rest.
    delete(&stage, asked["connection"].as_str().unwrap()).await;
    delete(&stage, &link).await;
    stage.apply(&hosted).await;
    assert_eq!(stage.everything().await, before);
}

/// A private link service of the user's own before this frontend. Answers its id.
async fn put_link_before(stage: &Stage, frontend: &str) -> String {
    put_link_in(stage, GROUP, frontend).await
}

/// The same in this resource group.
async fn put_link_in(stage: &Stage, group: &str, frontend: &str) -> String {
    let link = format!("{group}/providers/Microsoft.Network/privateLinkServices/mine");
    let acme = json!({"subscriptions": ["11111111-2222-3333-4444-555555555555"]});
    let subnet = format!("{GROUP}/providers/Microsoft.Network/virtualNetworks/hub/subnets/nat");
    let body = json!({"location": "eastus2", "properties": {
        "ipConfigurations": [{"name": "nat", "properties": {"primary": true, "subnet": {"id": subnet}}}],
        "loadBalancerFrontendIpConfigurations": [{"id": frontend}],
        "visibility": acme, "autoApproval": acme}});
    put(stage, &link, &body).await;
    link
}

/// The user put a private link service of his own before the load balancer of a service in its made form: what it stands on does not
/// go, with no word, and neither does a port of it. All else goes on.
#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_elses_service_stands_on_is_not_taken_away() {
    let stage = Stage::open().await;
    stage.hold_requests().await;
    let before = stage.everything().await;
    let file = made(DIRECT, JOIN, "");
    stage.apply(&file).await;
    let balancer = stage.live(&file, "load-balancer").await.unwrap().id;
    stage
        .change(&balancer, |body| {
            let frontends = body["properties"]["frontendIPConfigurations"].as_array_mut().unwrap();
            let subnet = frontends[0]["properties"]["subnet"].clone();
            frontends.push(json!({"name": "theirs", "properties": {"subnet": subnet}}));
            // Their rule leads to a pool of privnet's, so that a port of it would take something from them.
            let rules = body["properties"]["loadBalancingRules"].as_array_mut().unwrap();
            rules.push(rule_of_theirs(&balancer, "port-5432", "port-5432"));
        })
        .await;
    let mut link = put_link_before(&stage, &format!("{balancer}/frontendIPConfigurations/theirs")).await;
    stage.assert_settled(&file).await;
    let there = stage.everything().await;
    let refused = async |spec: &privnet_core::spec::Spec, destroy: bool, words: &[&str]| {
        for sever_connections in [false, true] {
            let options = PlanOptions { destroy, sever_connections, ..PlanOptions::default() };
            let (plan, _) = stage.driver().apply(spec, options).await;
            let says = |r: &privnet_core::plan::Refusal| {
                r.flag.is_none() && words.iter().all(|word| r.why.contains(word))
            };
            assert!(plan.is_empty() && plan.refusals.iter().any(says), "{options:?}: {plan:#?}");
        }
    };
    refused(&file, true, &[&link, &balancer, "Delete that private link service"]).await;
    let other_port = made(&DIRECT.replace("listen: 5432", "listen: 5433"), JOIN, "");
    refused(&other_port, false, &[&link, "`theirs`", "`port-5432`"]).await;
    assert_eq!(stage.everything().await, there);
    let tagged = made(DIRECT, JOIN, "tags: { team: data }");
    assert!(!stage.apply(&tagged).await.is_empty(), "what takes nothing away is done");

    // In the place of ours, none of ours can be made.
    delete(&stage, &link).await;
    delete(&stage, &stage.live(&file, "private-link-service").await.unwrap().id).await;
    link = put_link_before(&stage, &format!("{balancer}/frontendIPConfigurations/main")).await;
    refused(&tagged, false, &[&link, "A frontend carries one"]).await;
    refused(&tagged, true, &[&link]).await;
    delete(&stage, &link).await;
    refused(&tagged, true, &["`theirs`", &balancer, "Delete them"]).await;
    stage
        .change(&balancer, |body| {
            body["properties"]["loadBalancingRules"]
                .as_array_mut()
                .unwrap()
                .retain(|rule| rule["name"] != "theirs");
        })
        .await;
    stage.apply(&tagged).await;
    stage.apply_with(&tagged, PlanOptions { destroy: true, ..PlanOptions::default() }).await;
    assert_eq!(stage.everything().await, before);
}

/// The stranger's private link service may be in another resource group of the subscription, also where the file names one only.
#[tokio::test(flavor = "multi_thread")]
async fn what_stands_before_our_load_balancer_in_another_group_is_seen() {
    let stage = Stage::open().await;
    stage.hold_requests().await;
    make_groups(&stage, &["rg-2"]).await;
    let file = made(DIRECT, JOIN, "");
    stage.apply(&file).await;
    let balancer = stage.live(&file, "load-balancer").await.unwrap().id;
    stage
        .change(&balancer, |body| {
            let frontends = body["properties"]["frontendIPConfigurations"].as_array_mut().unwrap();
            let subnet = frontends[0]["properties"]["subnet"].clone();
            frontends.push(json!({"name": "theirs", "properties": {"subnet": subnet}}));
        })
        .await;
    let theirs = format!("{balancer}/frontendIPConfigurations/theirs");
    let link = put_link_in(&stage, &GROUP.replace("rg-data", "rg-2"), &theirs).await;
    let there = stage.everything().await;
    for sever_connections in [false, true] {
        let options = PlanOptions { destroy: true, sever_connections, ..PlanOptions::default() };
        let (plan, _) = stage.driver().apply(&file, options).await;
        let says = |r: &privnet_core::plan::Refusal| r.flag.is_none() && r.why.contains(&link);
        assert!(plan.is_empty() && plan.refusals.iter().any(says), "{plan:#?}");
    }
    assert_eq!(stage.everything().await, there);
    // It goes through ports of its own, so that one of privnet's may turn into another.
    let other_port = made(&DIRECT.replace("listen: 5432", "listen: 5433"), JOIN, "");
    assert!(!stage.apply(&other_port).await.is_empty());
    stage.assert_settled(&other_port).await;
}

/// A rule on the frontend `theirs` of a load balancer, which leads to a pool and asks a probe of these names.
fn rule_of_theirs(balancer: &str, pool: &str, probe: &str) -> serde_json::Value {
    json!({"name": "theirs", "properties": {
        "protocol": "Tcp", "frontendPort": 9000, "backendPort": 9001, "idleTimeoutInMinutes": 17, "loadDistribution": "SourceIP",
        "frontendIPConfiguration": {"id": format!("{balancer}/frontendIPConfigurations/theirs")},
        "backendAddressPool": {"id": format!("{balancer}/backendAddressPools/{pool}")},
        "probe": {"id": format!("{balancer}/probes/{probe}")}}})
}

/// Somebody has put a frontend, a pool with a machine, a probe, a rule and NAT rules for a scale set's machines of their own on the load balancer that privnet made: the
/// plans of that service go on, and what is theirs stays as it was, byte for byte. The load balancer does not go while it is there.
#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_rule_on_a_load_balancer_of_ours_stays_as_it_is() {
    let stage = Stage::open().await;
    stage.hold_requests().await;
    let before = stage.everything().await;
    let file = made(DIRECT, JOIN, "");
    stage.apply(&file).await;
    let balancer = stage.live(&file, "load-balancer").await.unwrap().id;
    let add = |name: &'static str, what: serde_json::Value| {
        move |body: &mut serde_json::Value| {
            body["properties"][name].as_array_mut().unwrap().push(what.clone());
        }
    };
    stage
        .change(&balancer, |body| {
            let subnet = body["properties"]["frontendIPConfigurations"][0]["properties"]["subnet"].clone();
            add("frontendIPConfigurations", json!({"name": "theirs", "properties": {"subnet": subnet}}))(
                body,
            );
            add("backendAddressPools", json!({"name": "theirs"}))(body);
            let asks = json!({"protocol": "Tcp", "port": 9001, "intervalInSeconds": 5, "probeThreshold": 1});
            add("probes", json!({"name": "theirs", "properties": asks}))(body);
            add("loadBalancingRules", rule_of_theirs(&balancer, "theirs", "theirs"))(body);
            let shells = json!({"protocol": "Tcp", "frontendPortRangeStart": 2200, "frontendPortRangeEnd": 2299, "backendPort": 22,
                "frontendIPConfiguration": {"id": format!("{balancer}/frontendIPConfigurations/theirs")}});
            add("inboundNatPools", json!({"name": "shells", "properties": shells}))(body);
        })
        .await;
    let theirs_is_joined = |body: &mut serde_json::Value| {
        let pools =
            &mut body["properties"]["ipConfigurations"][0]["properties"]["loadBalancerBackendAddressPools"];
        let mut all = pools.as_array().cloned().unwrap_or_default();
        all.push(json!({"id": format!("{balancer}/backendAddressPools/theirs")}));
        *pools = json!(all);
    };
    let nic = format!("{GROUP}/providers/Microsoft.Network/networkInterfaces/db-2-nic");
    stage.change(&nic, theirs_is_joined).await;
    let theirs = async || {
        let shown = unversioned(stage.get(&balancer).await);
        let parts = [
            ("frontendIPConfigurations", "theirs"),
            ("backendAddressPools", "theirs"),
            ("probes", "theirs"),
            ("loadBalancingRules", "theirs"),
            ("inboundNatPools", "shells"),
        ];
        parts.map(|(part, name)| {
            let parts = shown["properties"][part].as_array().unwrap();
            serde_json::to_string(parts.iter().find(|part| part["name"] == name).unwrap()).unwrap()
        })
    };
    let there = theirs().await;
    stage.assert_settled(&file).await;

    // Another port in place of the one that was: the only one whose rule may change is privnet's own.
    let other_port = made(&DIRECT.replace("listen: 5432", "listen: 5433"), JOIN, "tags: { team: data }");
    let plan = stage.apply(&other_port).await;
    assert!(plan.actions.iter().any(|action| action.address.kind == "load-balancer"), "{plan:#?}");
    let says = |warning: &String| warning.contains(&balancer) && warning.contains("`theirs`, `shells`");
    assert!(plan.warnings.iter().any(says), "{:?}", plan.warnings);
    stage.assert_settled(&other_port).await;
    assert_eq!(theirs().await, there);
    let shown = stage.get(&balancer).await;
    let ports: Vec<_> = shown["properties"]["loadBalancingRules"].as_array().unwrap().iter().collect();
    assert_eq!(
        ports.iter().filter(|rule| rule["properties"]["frontendPort"] == 5433).count(),
        1,
        "{ports:#?}"
    );
    assert_eq!(ports.len(), 2, "{ports:#?}");

    // No word takes it away, and a file that would take a name of theirs is refused.
    for sever_connections in [false, true] {
        let options = PlanOptions { destroy: true, sever_connections, ..PlanOptions::default() };
        let (plan, _) = stage.driver().apply(&other_port, options).await;
        let says = |r: &privnet_core::plan::Refusal| {
            r.rule == Rule::Unsuitable
                && r.flag.is_none()
                && r.why.contains(&balancer)
                && r.why.contains("`theirs`")
        };
        assert!(plan.is_empty() && plan.refusals.iter().all(says), "{:#?}", plan.refusals);
        assert_eq!(plan.refusals.len(), 1);
    }
    assert_eq!(theirs().await, there);
    let renamed = rule_of_theirs(&balancer, "theirs", "theirs");
    stage
        .change(&balancer, |body| {
            let rules = body["properties"]["loadBalancingRules"].as_array_mut().unwrap();
            rules.retain(|rule| rule["name"] != "theirs");
            let mut renamed = renamed.clone();
            renamed["name"] = json!("PORT-6000");
            rules.push(renamed);
        })
        .await;
    let taken = stage.plan(&made(&DIRECT.replace("listen: 5432", "listen: 6000"), JOIN, "")).await;
    assert!(taken.is_empty() && taken.refusals[0].why.contains("`port-6000`"), "{:#?}", taken.refusals);

    // Once theirs are gone, so does the rest.
    let gone = async |list: &str, name: &str| {
        let without = |body: &mut serde_json::Value| {
            body["properties"][list].as_array_mut().unwrap().retain(|rule| rule["name"] != name);
        };
        stage.change(&balancer, without).await;
    };
    gone("loadBalancingRules", "PORT-6000").await;
    let (held, _) =
        stage.driver().apply(&other_port, PlanOptions { destroy: true, ..PlanOptions::default() }).await;
    assert!(held.is_empty() && held.refusals[0].why.contains("the rule(s) `shells`"), "{:#?}", held.refusals);
    gone("inboundNatPools", "shells").await;
    stage.apply_with(&other_port, PlanOptions { destroy: true, ..PlanOptions::default() }).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_removes_what_an_interrupted_destroy_left() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    let file = made(FORWARDED, "", "");
    stage.apply(&file).await;
    stage.fault("azure:DELETE Microsoft.Network/virtualNetworks/subnets:1:code=403.AuthorizationFailed");
    let destroy = PlanOptions { destroy: true, ..PlanOptions::default() };
    let (_, report) = stage.driver().apply(&file, destroy).await;
    assert!(!report.all_done());
    stage.heal();
    let tombstone = stage::spec(
        "version: 1
deployment: stage
services:
  - name: orders
    remove: true
    azure: { subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee, resource_group: rg-data, location: eastus2 }
",
    );
    stage.apply(&tombstone).await;
    assert_eq!(stage.everything().await, before);
    stage.assert_settled(&tombstone).await;
}

/// A subnet has no tags, and when all else of its service is gone nothing but its own name says whose it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_nat_subnet_that_is_all_that_is_left_of_an_unlisted_service_is_found_by_its_name() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    let file = made(DIRECT, JOIN, "");
    stage.fault("azure:PUT Microsoft.Network/loadBalancers:*:code=403.AuthorizationFailed");
    let (_, report) = stage.driver().apply(&file, PlanOptions::default()).await;
    assert!(!report.all_done());
    stage.heal();
    let mut other = file.clone();
    other.services[0].name = "billing".parse().unwrap();
    let plan = stage.plan(&other).await;
    assert_eq!(plan.left.len(), 1, "{plan:#?}");
    assert_eq!((plan.left[0].service.as_str(), plan.left[0].resources.len()), ("orders", 1));
    other.services[0].remove = true;
    let privnet_core::spec::CloudService::Azure(azure) = &mut other.services[0].cloud else { unreachable!() };
    azure.form = privnet_core::spec::azure::AzureForm::Removed { resource_group: "rg-data".parse().unwrap() };
    stage.apply_with(&other, PlanOptions { prune: true, ..PlanOptions::default() }).await;
    assert_eq!(stage.everything().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_left_the_file_is_left_until_pruned() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    let file = made(DIRECT, JOIN, "");
    stage.apply(&file).await;
    let text = format!("{:?}", file.services[0].name);
    assert!(text.contains("orders"));
    let mut other = file.clone();
    other.services[0].name = "billing".parse().unwrap();
    // Another service would want the same range; here only what is left counts.
    let plan = stage.plan(&other).await;
    assert_eq!(plan.left.len(), 1);
    assert_eq!(plan.left[0].service, "orders");
    assert_eq!(plan.left[0].resources.len(), 4, "{:?}", plan.left[0].resources);
    other.services[0].remove = true;
    let privnet_core::spec::CloudService::Azure(azure) = &mut other.services[0].cloud else { unreachable!() };
    azure.form = privnet_core::spec::azure::AzureForm::Removed { resource_group: "rg-data".parse().unwrap() };
    stage.apply_with(&other, PlanOptions { prune: true, ..PlanOptions::default() }).await;
    assert_eq!(stage.everything().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_the_health_of_each_machine() {
    let stage = Stage::open().await;
    let file = made(FORWARDED, "", "");
    stage.apply(&file).await;
    until("both machines are healthy", || async {
        let world = stage.driver().observe(&file, privnet_core::Purpose::Status).await.1;
        let targets = &world.services["orders"].targets;
        let healthy = targets.iter().filter(|t| t.state == privnet_core::world::TargetState::Healthy).count();
        (targets.len() == 2 && healthy == 2).then_some(())
    })
    .await;
    let (desired, _) = stage.driver().observe(&file, privnet_core::Purpose::Status).await;
    assert_eq!(desired.waits, []);
    // The local cloud calls machines with this tag unhealthy.
    let sick = made(FORWARDED, "", "tags: { sandbox-health: down }");
    stage.apply(&sick).await;
    let waits = until("what is sick is told of", || async {
        let (desired, _) = stage.driver().observe(&sick, privnet_core::Purpose::Status).await;
        (desired.waits.len() == 2).then_some(desired.waits)
    })
    .await;
    for wait in waits {
        let told = wait.why.starts_with("the forwarder 10.1.") && wait.why.contains(":1433 is Down");
        assert!(told && wait.why.contains("nft and python3"), "{wait:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_reads_by_pages_and_not_by_services() {
    let stage = Stage::open().await;
    let one = made(FORWARDED, "", "");
    let mut many = one.clone();
    for index in 0..40 {
        let mut more = one.services[0].clone();
        more.name = format!("orders-{index}").parse().unwrap();
        many.services.push(more);
    }
    let calls = async |spec: &privnet_core::spec::Spec| {
        let driver = stage.driver();
        let (desired, world) = driver.observe(spec, privnet_core::Purpose::Plan).await;
        driver.execute(&privnet_core::Plan::default(), &desired, &world).await.calls
    };
    let (first, second) = (calls(&one).await, calls(&many).await);
    assert_eq!(first, second);
    assert!(first <= 8, "{first}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_an_error() {
    let stage = Stage::open().await;
    let file = made(FORWARDED, "", "");
    stage.fault("azure:PUT Microsoft.Network/loadBalancers:1:code=400.InvalidRequestFormat");
    let (_, report) = stage.driver().apply(&file, PlanOptions::default()).await;
    let text = format!("{report:?}");
    assert!(
        text.contains("InvalidRequestFormat") && !text.contains("Bearer") && !text.contains("ssh-ed25519"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_group_stays_until_the_new_one_is_healthy() {
    let stage = Stage::open_at(1_500.0).await;
    stage.apply(&made(FORWARDED, "", "")).await;
    let changed = FORWARDED.replace("172.16.4.20", "172.16.4.21");
    // The local cloud calls machines with this tag unhealthy: all, or one of them, with which the other would carry everything alone.
    for health in ["down", "one-down"] {
        let sick = made(&changed, "", &format!("tags: {{ sandbox-health: {health} }}"));
        let (_, report) = stage.driver().apply(&sick, PlanOptions::default()).await;
        assert!(
            report.failures().any(|error| error.kind() == privnet_core::ErrorKind::TimedOut),
            "{report:?}"
        );
        let groups =
            stage.world(&sick).await.live.iter().filter(|live| live.address.kind == "scale-set").count();
        assert_eq!(groups, 2, "the old one is still there");
    }
    let well = made(&changed, "", "");
    stage.apply(&well).await;
    stage.assert_settled(&well).await;
    assert!(stage.live(&well, "scale-set").await.unwrap().id.ends_with("-b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_was_interrupted_can_be_taken_back() {
    let stage = Stage::open_at(1_500.0).await;
    let first = made(FORWARDED, "", "");
    stage.apply(&first).await;
    let second = made(&FORWARDED.replace("172.16.4.20", "172.16.4.21"), "", "");
    stage.fault("azure:DELETE Microsoft.Compute/virtualMachineScaleSets:*:code=403.AuthorizationFailed");
    let (_, report) = stage.driver().apply(&second, PlanOptions::default()).await;
    assert!(!report.all_done());
    stage.heal();
    let plan = stage.apply(&first).await;
    let ops: Vec<_> = plan.actions.iter().map(|action| action.op).filter(|op| *op != Op::Update).collect();
    assert_eq!(ops, [Op::Delete]);
    assert!(
        stage.live(&first, "scale-set").await.unwrap().id.ends_with("-a"),
        "the first one is in charge again"
    );
    stage.assert_settled(&first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interface_that_was_taken_out_by_hand_is_joined_again() {
    let stage = Stage::open().await;
    let file = made(DIRECT, JOIN, "");
    stage.apply(&file).await;
    let nic = format!("{GROUP}/providers/Microsoft.Network/networkInterfaces/db-1-nic");
    stage
        .change(&nic, |body| {
            body["properties"]["ipConfigurations"][0]["properties"]["loadBalancerBackendAddressPools"] =
                json!([]);
        })
        .await;
    let plan = stage.apply(&file).await;
    let ops: Vec<_> = plan.actions.iter().map(|action| (action.op, action.address.kind.as_str())).collect();
    assert_eq!(ops, [(Op::Create, "nic-membership")]);
    stage.assert_settled(&file).await;
}

/// What comes to an interface between the plan and the write that joins it stays.
#[tokio::test(flavor = "multi_thread")]
async fn what_came_to_an_interface_after_the_plan_stays() {
    let stage = Stage::open().await;
    let file = made(DIRECT, JOIN, "tags: { sandbox-consumers: none }");
    let driver = stage.driver();
    let (plan, desired, world) = driver.plan(&file, PlanOptions::default()).await;
    let nic = format!("{GROUP}/providers/Microsoft.Network/networkInterfaces/db-1-nic");
    let mine = |body: &mut serde_json::Value| {
        body["tags"] = json!({"mine": "new"});
        body["properties"]["enableIPForwarding"] = json!(true);
    };
    stage.change(&nic, mine).await;
    let report = driver.execute(&plan, &desired, &world).await;
    assert!(report.all_done(), "{report:?}");
    let shown = stage.get(&nic).await;
    assert_eq!(
        (&shown["tags"]["mine"], &shown["properties"]["enableIPForwarding"]),
        (&json!("new"), &json!(true))
    );
    stage.assert_settled(&file).await;
}

/// Without `join_nics` nobody but the user alters an interface: the pool stays until the user has taken it out.
#[tokio::test(flavor = "multi_thread")]
async fn an_interface_that_the_user_joined_is_the_users_to_take_out() {
    let stage = Stage::open().await;
    // Nobody asks for a connection, which would be waited for, too.
    let quiet = "tags: { sandbox-consumers: none }";
    let both = made(&format!("{FORWARDED}, {DIRECT}"), "", quiet);
    let waited = stage.apply(&both).await.waits;
    assert!(waited.iter().any(|wait| wait.why.contains("must be put into the pool")), "{waited:?}");
    let nic = format!("{GROUP}/providers/Microsoft.Network/networkInterfaces/db-1-nic");
    let balancer = stage.live(&both, "load-balancer").await.unwrap().id;
    let pools = "/properties/ipConfigurations/0/properties/loadBalancerBackendAddressPools";
    let joined = json!([{"id": format!("{balancer}/backendAddressPools/port-5432")}]);
    let put_in = async |pools_of: serde_json::Value| {
        stage
            .change(&nic, |body| {
                body["properties"]["ipConfigurations"][0]["properties"]["loadBalancerBackendAddressPools"] =
                    pools_of.clone();
            })
            .await;
    };
    put_in(joined.clone()).await;
    let about_interfaces = async |file: &privnet_core::spec::Spec| {
        let waits = stage.plan(file).await.waits;
        waits.into_iter().filter(|wait| wait.on == "you").map(|wait| wait.why).collect::<Vec<_>>()
    };
    assert_eq!(about_interfaces(&both).await, Vec::<String>::new());

    let without = made(FORWARDED, "", quiet);
    let plan = stage.apply(&without).await;
    let kinds: Vec<_> = plan.actions.iter().map(|action| action.address.kind.as_str()).collect();
    assert_eq!(kinds, ["load-balancer"]);
    stage.assert_settled(&without).await;
    assert!(
        stage.get(&nic).await.pointer(pools).unwrap()[0]["id"].is_string(),
        "it is where the user put it"
    );
    let waited = about_interfaces(&without).await;
    assert!(
        waited.len() == 1 && waited[0].contains("address-pool remove --nic-name db-1-nic -g rg-data"),
        "{waited:?}"
    );

    // Another pool of the user's keeps the spelling that it was made with.
    stage
        .change(&balancer, |body| {
            let pools = body["properties"]["backendAddressPools"].as_array_mut().unwrap();
            pools.push(json!({"name": "Extra"}));
        })
        .await;
    let extra = json!({"id": format!("{balancer}/backendAddressPools/Extra")});
    put_in(json!([joined[0].clone(), extra])).await;
    stage.assert_settled(&without).await;

    put_in(json!([])).await;
    stage.apply(&without).await;
    stage.assert_settled(&without).await;
    let left = stage.get(&balancer).await;
    assert_eq!(left["properties"]["backendAddressPools"].as_array().unwrap().len(), 1, "the pool has gone");
    assert_eq!(about_interfaces(&without).await, Vec::<String>::new());
}

/// Services over machines of the user's own, by name and resource group.
fn in_groups(services: &[(&str, &str)]) -> privnet_core::spec::Spec {
    in_groups_with(services, |network, _| format!("existing: {network}/subnets/nat"))
}

/// The same with NAT subnets as this says, of the network and the service's place in the list.
fn in_groups_with(
    services: &[(&str, &str)],
    subnet: impl Fn(&str, usize) -> String,
) -> privnet_core::spec::Spec {
    let network = format!("{GROUP}/providers/Microsoft.Network/virtualNetworks/hub");
    let services: String = services
        .iter()
        .enumerate()
        .map(|(nth, (name, group))| {
            let port = DIRECT.replace("listen: 5432", &format!("listen: 5432, port: {}", 5432 + nth));
            let subnet = subnet(&network, nth);
            format!(
                "  - name: {name}
    allow: {{ acme: {{}} }}
    azure: {{ resource_group: {group}, nat_subnet: {{ {subnet} }}, join_nics: true, ports: [{port}] }}
"
            )
        })
        .collect();
    stage::spec(&format!(
        "version: 1
deployment: stage
consumers:
  acme: {{ azure: {{ subscriptions: [11111111-2222-3333-4444-555555555555] }} }}
defaults:
  azure:
    subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
    location: eastus2
    vnet: {network}
    load_balancer_subnet: {network}/subnets/lb
services:
{services}"
    ))
}

async fn make_groups(stage: &Stage, names: &[&str]) {
    for name in names {
        let path = GROUP.replace("rg-data", name).replace("resourceGroups", "resourcegroups");
        let body = json!({"location": "eastus2"});
        let (status, answer) =
            stage.request("PUT", &format!("{path}?api-version=2021-04-01"), Some(&body)).await;
        assert!(status < 300, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_groups_are_read_by_the_subscriptions_pages() {
    let stage = Stage::open().await;
    make_groups(&stage, &["rg-2", "rg-3", "rg-4"]).await;
    let all = [("one", "rg-data"), ("two", "rg-2"), ("three", "rg-3"), ("four", "rg-4")];
    let (two, four) = (in_groups(&all[..2]), in_groups(&all));
    stage.apply(&four).await;
    stage.assert_settled(&four).await;
    let calls = async |spec: &privnet_core::spec::Spec| {
        let driver = stage.driver();
        let (desired, world) = driver.observe(spec, privnet_core::Purpose::Plan).await;
        driver.execute(&privnet_core::Plan::default(), &desired, &world).await.calls
    };
    let (first, second) = (calls(&two).await, calls(&four).await);
    assert_eq!(first, second, "nothing is read by groups");
    assert!(first <= 8, "{first}");
    // A role on the groups alone: the subscription's lists may not be read.
    stage.fault("azure:GET Microsoft.Network/privateLinkServices:1-2:code=403.AuthorizationFailed");
    let by_groups = calls(&four).await;
    stage.heal();
    // That matters to a plan that takes something away, and is said there once.
    let said = |warning: &String| warning.contains("in other resource groups") && warning.contains("403");
    for (destroy, times) in [(false, 0), (true, 1)] {
        stage.fault("azure:GET Microsoft.Network/privateLinkServices:1-2:code=403.AuthorizationFailed");
        let (plan, ..) = stage.driver().plan(&four, PlanOptions { destroy, ..PlanOptions::default() }).await;
        stage.heal();
        assert!(plan.is_empty() != destroy && plan.refusals.is_empty(), "{plan:#?}");
        assert_eq!(
            plan.warnings.iter().filter(|warning| said(warning)).count(),
            times,
            "{:?}",
            plan.warnings
        );
    }
    assert!(by_groups > second, "{by_groups}");
    // Where another list alone is denied, others' services are seen all the same.
    stage.fault("azure:GET Microsoft.Compute/virtualMachineScaleSets:1:code=403.AuthorizationFailed");
    let plan = stage.plan(&four).await;
    stage.heal();
    assert!(plan.is_empty() && !plan.warnings.iter().any(said), "{plan:#?}");
    // One group that is not there refuses its own service.
    let missing = in_groups(&[all[0], ("two", "rg-2"), ("five", "rg-5")]);
    let plan = stage.plan(&missing).await;
    let refused: Vec<_> = plan.refusals.iter().map(|refusal| refusal.address.service.as_str()).collect();
    assert_eq!(refused, ["five"], "{:?}", plan.refusals);
    stage.apply_with(&four, PlanOptions { destroy: true, ..PlanOptions::default() }).await;
}

/// The names of two subnets of one network tell their services in clear, and each is where its own service is.
#[tokio::test(flavor = "multi_thread")]
async fn services_in_two_groups_make_their_subnets_in_one_network() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    make_groups(&stage, &["rg-2"]).await;
    let both = in_groups_with(&[("orders", "rg-data"), ("billing", "rg-2")], |_, nth| {
        format!("create: {{ cidr: 10.1.{}.0/28 }}", 100 + nth)
    });
    stage.apply(&both).await;
    stage.assert_settled(&both).await;
    // A file that does not know of the other one's group leaves its subnet to it.
    let one = in_groups_with(&[("orders", "rg-data")], |_, nth| {
        format!("create: {{ cidr: 10.1.{}.0/28 }}", 100 + nth)
    });
    assert_eq!(stage.plan(&one).await.left, []);
    stage.apply_with(&both, PlanOptions { destroy: true, ..PlanOptions::default() }).await;
    assert_eq!(stage.everything().await, before);
}

/// What is proven to be of a service in a group that the file does not name is seen where the subscription is read.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_moves_to_another_group_is_refused_and_not_cut() {
    let stage = Stage::open().await;
    make_groups(&stage, &["rg-2", "rg-3"]).await;
    let before = in_groups(&[("one", "rg-data"), ("orders", "rg-2")]);
    stage.apply(&before).await;
    stage.until_pending(&before, "orders", 1).await;
    let (_, plan, report) = stage.decide(&before, &Ask::default()).await;
    assert_done(&plan, &report);
    let after = in_groups(&[("one", "rg-data"), ("orders", "rg-3")]);
    let plan = stage.plan(&after).await;
    assert!(plan.is_empty(), "{:?}", plan.actions);
    assert!(
        plan.refusals.len() == 1 && plan.refusals[0].why.contains("/rg-2 and the file puts it into"),
        "{:?}",
        plan.refusals
    );
    let destroy = PlanOptions { destroy: true, ..PlanOptions::default() };
    let plan = stage.driver().plan(&after, destroy).await.0;
    assert!(
        plan.refusals
            .iter()
            .any(|refusal| refusal.rule == Rule::WouldSever && refusal.address.service == "orders"),
        "who is connected at the old place is not cut: {:?} {:?}",
        plan.refusals,
        plan.actions
    );
}

/// The only service of a file that moves to another group is seen where it was, by its private link service: the move is refused, and
/// `destroy` takes away what is there, but nothing of a service that the file does not list.
#[tokio::test(flavor = "multi_thread")]
async fn a_lone_service_that_moves_to_another_group_is_refused_and_found() {
    let stage = Stage::open().await;
    stage.hold_requests().await;
    make_groups(&stage, &["rg-2", "rg-3"]).await;
    stage.apply(&in_groups(&[("orders", "rg-2"), ("other", "rg-2")])).await;
    let after = in_groups(&[("orders", "rg-3")]);
    let plan = stage.plan(&after).await;
    assert!(plan.is_empty() && plan.left.is_empty(), "{plan:#?}");
    assert!(
        plan.refusals.len() == 1 && plan.refusals[0].why.contains("/rg-2 and the file puts it into"),
        "{:?}",
        plan.refusals
    );
    stage.apply_with(&after, PlanOptions { destroy: true, ..PlanOptions::default() }).await;
    let subscription = GROUP.split("/resourceGroups").next().unwrap();
    for kind in ["Network/privateLinkServices", "Network/loadBalancers"] {
        let listed = stage.get(&format!("{subscription}/providers/Microsoft.{kind}")).await;
        let names: Vec<_> =
            listed["value"].as_array().unwrap().iter().map(|one| one["name"].to_string()).collect();
        assert!(names.len() == 1 && names[0].contains("pn-other-"), "{names:?}");
    }
}
