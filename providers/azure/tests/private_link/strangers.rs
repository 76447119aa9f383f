//! Somebody else's private link services and rules on a load balancer of ours: nothing of theirs is taken away or changed.

use privnet_core::conformance::Subject as _;
use privnet_core::plan::{PlanOptions, Rule};
use serde_json::json;

use super::groups::make_groups;
use super::{JOIN, delete, put, unversioned};
use crate::stage::{self, DIRECT, GROUP, Stage, made};

/// A private link service of the user's own before this frontend. Answers its id.
pub(super) async fn put_link_before(stage: &Stage, frontend: &str) -> String {
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

/// A file of another deployment, whose service goes to the other machine with NAT addresses from this subnet.
fn guest(deployment: &str, subnet: &str) -> privnet_core::spec::Spec {
    stage::spec(&format!(
        "version: 1
deployment: {deployment}
consumers:
  acme: {{ azure: {{ subscriptions: [11111111-2222-3333-4444-555555555555] }} }}
services:
  - name: second
    allow: {{ acme: {{}} }}
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      resource_group: rg-data
      location: eastus2
      vnet: hub
      load_balancer_subnet: lb
      nat_subnet: {{ existing: {subnet} }}
      ports: [{}]
      {JOIN}
",
        DIRECT.replace("db-1-nic", "db-2-nic")
    ))
}

/// The subnet that privnet made for NAT addresses does not become the user's by being named, neither for its own service nor for another one
/// of the deployment: it goes from under what uses it. Another deployment may use it, and it stays then, with all that would go before it.
#[tokio::test(flavor = "multi_thread")]
async fn a_nat_subnet_of_privnets_is_not_the_users_and_stays_under_others() {
    let stage = Stage::open().await;
    stage.hold_requests().await;
    let before = stage.everything().await;
    let file = made(DIRECT, JOIN, "");
    stage.apply(&file).await;
    let subnet = stage.live(&file, "nat-subnet").await.unwrap().id;
    let named = made(DIRECT, &format!("{JOIN}\nnat_subnet: {{ existing: {subnet} }}"), "");
    let own =
        ["for this service", "leave `create: { cidr: 10.1.9.0/28 }` as it was, or name one of your own"];
    let others = ["for the service `orders`", "takes it away with it: name one of your own"];
    for (spec, words) in [(&named, own), (&guest("stage", &subnet), others)] {
        let plan = stage.plan(spec).await;
        let says = |r: &privnet_core::plan::Refusal| {
            r.rule == Rule::Unsuitable && r.flag.is_none() && words.iter().all(|word| r.why.contains(word))
        };
        assert!(plan.is_empty() && plan.refusals.len() == 1 && says(&plan.refusals[0]), "{plan:#?}");
    }

    let guest = guest("guest", &subnet);
    stage.apply(&guest).await;
    stage.assert_settled(&guest).await;
    stage.assert_settled(&file).await;
    let there = stage.everything().await;
    let link = stage.live(&guest, "private-link-service").await.unwrap().id;
    let destroy = PlanOptions { destroy: true, ..PlanOptions::default() };
    for options in [destroy, PlanOptions { sever_connections: true, ..destroy }] {
        let (plan, _) = stage.driver().apply(&file, options).await;
        let says = |r: &privnet_core::plan::Refusal| {
            r.rule == Rule::Unsuitable && r.flag.is_none() && r.why.contains(&link) && r.why.contains(&subnet)
        };
        assert!(plan.is_empty() && plan.refusals.iter().any(says), "{options:?}: {plan:#?}");
    }
    assert_eq!(stage.everything().await, there);
    stage.apply_with(&guest, destroy).await;
    stage.apply_with(&file, destroy).await;
    assert_eq!(stage.everything().await, before);
}
