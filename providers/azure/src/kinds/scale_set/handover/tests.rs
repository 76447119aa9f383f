use std::time::Duration;

use privnet_core::Step;
use privnet_core::plan::{Action, Op};
use serde_json::json;
use tokio::time::Instant;

use super::drain::{mark, marked, would_leave_none};
use super::health::{Silence, is_answered_alone};
use super::*;
use crate::arm::set;

fn balancer() -> Json {
    let member = |group: &str| {
        json!({"name": group, "properties": {"networkInterfaceIPConfiguration":
        {"id": format!("/g/virtualMachineScaleSets/{group}/virtualMachines/0/networkInterfaces/nic/ipConfigurations/ip")}}})
    };
    json!({"properties": {"backendAddressPools": [{"id": "/LB/backendAddressPools/forwarder",
        "properties": {"loadBalancerBackendAddresses": [member("old"), member("new")]}}]}})
}

fn deletion(address: privnet_core::Address) -> Action {
    Action {
        id: "delete".to_owned(),
        address,
        op: Op::Delete,
        reason: String::new(),
        changes: Vec::new(),
        after: Vec::new(),
        generation: Some(Generation::A),
        scope: crate::scope::of("s", "rg"),
        live_id: None,
        connection: None,
        locks: Vec::new(),
    }
}

fn step<'a>(action: &'a Action, fields: &'a fields::Fields) -> Step<'a> {
    Step { deployment: "data", action, fields, changes: &[], live: None, spares: false, has_successor: false }
}

/// At each look this many machines of the old group are up, and this many of the new one's two: how many looks a wait for the new one takes.
async fn looks(seen: &[(usize, usize)]) -> usize {
    let pool = "/lb/backendAddressPools/forwarder";
    let balancer = json!({"id": "/lb", "properties": {"loadBalancingRules": [{"name": "r", "properties": {
        "frontendIPConfiguration": {"id": "/lb/frontendIPConfigurations/main"}, "backendAddressPool": {"id": pool}}}]}});
    let health = |old: usize, new: usize| {
        let members = [("old", old), ("new", new)].into_iter().flat_map(|(group, up)| {
            (0..2).map(move |nth| {
                let id = format!("/g/virtualMachineScaleSets/{group}/virtualMachines/{nth}/networkInterfaces/nic/ipConfigurations/ip");
                json!({"networkInterfaceIPConfigurationId": id, "state": if nth < up { "Up" } else { "Down" }})
            })
        });
        json!({"loadBalancerBackendAddresses": members.collect::<Vec<_>>()})
    };
    let answers = seen
        .iter()
        .flat_map(|(old, new)| [(200, Vec::new(), balancer.clone()), (200, Vec::new(), health(*old, *new))]);
    let (arm, script) = crate::arm::fake::Script::arm(answers.collect());
    let context = crate::arm::fake::context();
    let (action, fields) = (deletion(super::super::address("orders", "old")), fields::Fields::new());
    let act = Act { arm: &arm, context: &context, step: step(&action, &fields) };
    let (old, new) = ("/g/virtualMachineScaleSets/old", "/g/virtualMachineScaleSets/new");
    until_healthy(&act, pool, new, 2, Some(old)).await.unwrap();
    script.asked().len() / 2
}

/// A look may come upon a moment in which the old group answers nothing: whoever is connected to it would be cut.
#[tokio::test]
async fn a_group_is_not_dead_for_one_look() {
    assert_eq!(looks(&[(0, 1), (2, 1), (0, 1), (2, 2)]).await, 4);
    assert!(looks(&[(0, 1); 200]).await >= 3, "one that stays silent does not wait for all of the new one");
}

#[test]
fn silence_lasts_where_nothing_came_between() {
    let (start, enough) = (Instant::now(), Duration::from_secs(30));
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut silence = Silence::default();
    let mut seen = |is_silent, seconds| silence.lasts(is_silent, at(seconds), enough);
    assert!(!seen(true, 0) && !seen(true, 40), "twice is not often");
    assert!(!seen(false, 45) && !seen(true, 50) && !seen(true, 60) && !seen(true, 79), "30 s are not over");
    assert!(seen(true, 80));
}

#[test]
fn only_the_old_group_is_drained() {
    let mut shown = balancer();
    let pool = "/lb/backendaddresspools/forwarder";
    assert!(!is_drained(&shown, pool, "/g/virtualMachineScaleSets/old"));
    assert!(mark(&mut shown, pool, "/g/virtualMachineScaleSets/old", "Down"));
    assert!(is_drained(&shown, pool, "/G/virtualMachineScaleSets/old"));
    assert!(!is_drained(&shown, pool, "/g/virtualMachineScaleSets/new"));
    assert!(!is_drained(&shown, pool, "/g/virtualMachineScaleSets/ol"), "a prefix is not the group");
    assert_eq!(balancer_of(pool), "/lb");
}

/// Two runs, each of which drains the other's group: the second one finds its own drained and stops.
#[test]
fn the_last_that_serves_is_not_drained() {
    let pool = "/lb/backendaddresspools/forwarder";
    let (old, new) = ("/g/virtualMachineScaleSets/old", "/g/virtualMachineScaleSets/new");
    let of = |groups: &[&str]| groups.iter().map(|group| (*group).to_owned()).collect::<Vec<_>>();
    let drained = marked(&balancer(), pool, new, "Down");
    assert!(!would_leave_none(&drained, pool, &of(&[new])), "no rule leads there");
    let mut led_to = drained;
    set(
        &mut led_to,
        "properties.loadBalancingRules",
        json!([{"properties": {"frontendIPConfiguration": {"id": "/lb/frontendIPConfigurations/main"},
            "backendAddressPool": {"id": "/LB/backendAddressPools/forwarder"}}}]),
    );
    assert!(would_leave_none(&led_to, pool, &of(&[new])));
    assert!(!would_leave_none(&led_to, pool, &of(&[old, new])));
    assert!(!would_leave_none(&marked(&led_to, pool, new, "None"), pool, &of(&[new])));
}

/// Where the plan read the subscription's list, that is the one whose lag each action waits for: another one may not show yet what was made
/// a moment ago, and an old group would go without a drain.
#[tokio::test]
async fn groups_beside_are_looked_for_where_their_making_was_waited_for() {
    let address = super::super::address("orders", "old");
    let beside_it = super::super::address("orders", "new");
    let name = ownership::cloud_name("data", &beside_it, Generation::A);
    let group = |scope: &str, id: &str| {
        let tags = ownership::all_tags(
            &std::collections::BTreeMap::new(),
            "data",
            &beside_it,
            Generation::A,
            &std::collections::BTreeMap::new(),
        );
        let configuration = json!({"properties": {"loadBalancerBackendAddressPools": [{"id": "/lb/backendAddressPools/forwarder"}]}});
        json!({"id": format!("/subscriptions/s/resourceGroups/{scope}/providers/{GROUPS}/{id}"), "name": id, "tags": tags, "properties": {
            "virtualMachineProfile": {"networkProfile": {"networkInterfaceConfigurations": [
                {"properties": {"ipConfigurations": [configuration]}}]}}}})
    };
    let all = json!({"value": [group("rg", &name), group("other", &name)]});
    let answers = vec![(200, Vec::new(), all.clone()), (200, Vec::new(), all)];
    let (arm, script) = crate::arm::fake::Script::arm(answers);
    let context = crate::arm::fake::context();
    let everywhere = format!("/subscriptions/s/providers/{GROUPS}");
    arm.list(&context, &Target::of(&everywhere)).await.unwrap();
    let (action, fields) = (deletion(address), fields::Fields::new());
    let act = Act { arm: &arm, context: &context, step: step(&action, &fields) };
    let found = beside(&act, "/old", "/lb/backendaddresspools/forwarder").await.unwrap();
    assert_eq!(found, [format!("/subscriptions/s/resourceGroups/rg/providers/{GROUPS}/{name}")]);
    assert_eq!(script.asked()[1], format!("GET {everywhere}"));
}

#[test]
fn who_stands_before_another_load_balancer_does_not_expose_these_machines() {
    let before = |id: &str| json!({"properties": {"loadBalancerFrontendIpConfigurations": [{"id": id}]}});
    assert!(stands_before(&before("/LB/frontendIPConfigurations/main"), "/lb"));
    assert!(!stands_before(&before("/lb-b/frontendIPConfigurations/main"), "/lb"));
    assert!(!stands_before(&json!({"properties": {}}), "/lb"));
    assert!(!stands_before(&json!({"properties": {}}), ""), "machines in no pool serve nobody");
}

#[test]
fn health_counts_for_the_group_that_it_is_of() {
    let nic = |machine: usize| {
        format!(
            "/g/virtualMachineScaleSets/new/virtualMachines/{machine}/networkInterfaces/nic/ipConfigurations/ip"
        )
    };
    let member = |id: Json, state: &str| json!({"networkInterfaceIPConfigurationId": id, "state": state});
    let of = |members: Vec<Json>| json!({"loadBalancerBackendAddresses": members});
    let (one, two) = (member(json!(nic(1)), "Up"), member(json!({"id": nic(2)}), "up"));
    let both = of(vec![one.clone(), two]);
    assert_eq!(healthy(&both, "/g/virtualmachinescalesets/new"), 2);
    assert_eq!(healthy(&both, "/g/virtualMachineScaleSets/old"), 0);
    assert_eq!(healthy(&of(vec![one.clone(), one.clone()]), "/g/virtualMachineScaleSets/new"), 1);
    let sick = member(json!(nic(2)), "Down");
    assert_eq!(healthy(&of(vec![one, sick]), "/g/virtualMachineScaleSets/new"), 1);
    assert_eq!(healthy(&json!({"up": 1}), "/g/virtualMachineScaleSets/new"), 0);
    let (new, old) = ("/g/virtualMachineScaleSets/new", ["/g/virtualMachineScaleSets/old".to_owned()]);
    assert!(is_answered_alone(&both, &old, new));
    assert!(!is_answered_alone(&both, &old, "/g/virtualMachineScaleSets/third"), "it answers nothing");
    assert!(!is_answered_alone(&both, &[old[0].clone(), new.to_owned()], new));
}
