//! Machines behind a load balancer: groups of forwarders that give way to the next, and interfaces of the user's that join and leave.

use privnet_core::plan::{Op, PlanOptions};
use privnet_core::spec::CloudService;
use privnet_core::spec::azure::AzureForm;
use serde_json::json;

use super::JOIN;
use crate::stage::{DIRECT, FORWARDED, GROUP, Stage, made};

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

/// Azure takes an interface behind one internal load balancer: a plan says so, also where that is one of another group.
#[tokio::test(flavor = "multi_thread")]
async fn an_interface_behind_another_internal_load_balancer_is_refused_at_plan() {
    let stage = Stage::open().await;
    let file = made(DIRECT, JOIN, "tags: { sandbox-consumers: none }");
    let nic = format!("{GROUP}/providers/Microsoft.Network/networkInterfaces/db-1-nic");
    let subnet = format!("{GROUP}/providers/Microsoft.Network/virtualNetworks/hub/subnets/db");
    let elsewhere = GROUP.replace("rg-data", "rg-apps");
    for group in [GROUP, &elsewhere] {
        let (status, answer) = stage
            .request("PUT", &format!("{group}?api-version=2021-04-01"), Some(&json!({"location": "eastus2"})))
            .await;
        assert!(status < 300, "{answer}");
        let balancer = format!("{group}/providers/Microsoft.Network/loadBalancers/theirs");
        let body = json!({"location": "eastus2", "sku": {"name": "Standard"}, "properties": {
            "frontendIPConfigurations": [{"name": "fe", "properties": {"subnet": {"id": subnet}}}],
            "backendAddressPools": [{"name": "pool"}]}});
        let (status, answer) =
            stage.request("PUT", &format!("{balancer}?api-version=2025-05-01"), Some(&body)).await;
        assert!(status < 300, "{answer}");
        let put_in = async |pools: serde_json::Value| {
            let path = "loadBalancerBackendAddressPools";
            stage
                .change(&nic, |body| {
                    body["properties"]["ipConfigurations"][0]["properties"][path] = pools.clone();
                })
                .await;
        };
        put_in(json!([{"id": format!("{balancer}/backendAddressPools/pool")}])).await;
        let refused = stage.plan(&file).await.refusals;
        let says = |refusal: &privnet_core::plan::Refusal| {
            refusal.address.kind == "nic-membership" && refusal.why.contains(&balancer.to_lowercase())
        };
        assert!(refused.iter().any(says), "{refused:?}");
        put_in(json!([])).await;
    }
    stage.apply(&file).await;
    stage.assert_settled(&file).await;
}

/// Another subnet is another load balancer: an interface is out of all pools of the one before it joins the other.
#[tokio::test(flavor = "multi_thread")]
async fn an_interface_of_two_ports_moves_to_another_load_balancer() {
    let stage = Stage::open().await;
    let quiet = "tags: { sandbox-consumers: none }";
    let two = format!("{DIRECT}, {}", DIRECT.replace("listen: 5432", "listen: 5433, port: 5433"));
    stage.apply(&made(&two, JOIN, quiet)).await;
    let mut moved = made(&two, JOIN, quiet);
    let CloudService::Azure(azure) = &mut moved.services[0].cloud else { panic!("of Azure") };
    let AzureForm::Made(form) = &mut azure.form else { panic!("privnet makes it") };
    form.load_balancer_subnet = format!("{}/subnets/db", form.scope.vnet).parse().unwrap();
    assert!(!stage.plan(&moved).await.refusals.is_empty(), "the hand-over changes");
    let sever = PlanOptions { sever_connections: true, ..PlanOptions::default() };
    let plan = stage.apply_with(&moved, sever).await;
    assert!(
        plan.actions.iter().any(|action| action.op == Op::Create && action.address.kind == "load-balancer")
    );
    stage.assert_settled(&moved).await;
}
