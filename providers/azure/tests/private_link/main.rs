//! Private link services on the local cloud: made, found again, decided on, changed, destroyed.

mod frontends;
mod groups;
mod interfaces;
mod left;
#[path = "../stage/mod.rs"]
mod stage;
mod strangers;
mod turns;

use privnet_core::accept::{Ask, ConnectionState};
use privnet_core::conformance::Subject as _;
use privnet_core::plan::PlanOptions;
use serde_json::json;
use stage::{DIRECT, FORWARDED, Stage, assert_done, made, until};

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

/// The same service, whose machines are asked on another port.
fn asked_elsewhere() -> privnet_core::spec::Spec {
    made(&DIRECT.replace("engine: postgres", "health_check: { port: 9 }"), JOIN, "")
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
    let plan = stage.plan(&asked_elsewhere()).await;
    let told = plan
        .warnings
        .iter()
        .any(|warning| warning.contains("turns to another health check at once (port 5432: TCP on port 9)"));
    assert!(told && plan.refusals.is_empty(), "{plan:#?}");
    let oftener = made(&DIRECT.replace("engine: postgres", "health_check: { interval: 20s }"), JOIN, "");
    let said = stage.plan(&oftener).await.warnings;
    assert!(!said.iter().any(|warning| warning.contains("another health check")), "the same one: {said:#?}");
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
    let said = stage.plan(&asked_elsewhere()).await.warnings;
    assert!(!said.iter().any(|warning| warning.contains("another health check")), "nobody is: {said:#?}");
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
