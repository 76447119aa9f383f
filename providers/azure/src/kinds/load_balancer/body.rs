//! A load balancer as ARM has it: how what is wanted is read from a body, and set in one, with what else is there left as it is.

use serde_json::json;

use super::others::{self, of as others_of, own_rules};
use super::{FRONTEND, Listen, LoadBalancer, Probe, Rule, is_occupied};
use crate::arm::{Json, at, items, set, text, text_map};
use crate::{facts, fields, ownership};

/// The names of its pools, others' among them.
pub(super) fn all_pools(balancer: &Json) -> Vec<String> {
    let pools = items(balancer, "properties.backendAddressPools").iter();
    pools.filter_map(|pool| text(pool, "name")).map(str::to_owned).collect()
}

/// The frontend that is privnet's.
fn frontend_of(balancer: &Json) -> Option<&Json> {
    let mut frontends = items(balancer, "properties.frontendIPConfigurations").iter();
    frontends.find(|one| text(one, "name").is_some_and(|name| name.eq_ignore_ascii_case(FRONTEND)))
}

/// What is wanted of it, as it is there.
pub(super) fn read(balancer: &Json) -> LoadBalancer {
    let frontend = frontend_of(balancer);
    let others = others_of(balancer);
    let subnet = frontend.and_then(|f| text(f, "properties.subnet.id")).map(fields::id).unwrap_or_default();
    let number = |json: &Json, path: &str| at(json, path).and_then(Json::as_i64).unwrap_or_default();
    let flag = |json: &Json, path: &str| at(json, path).and_then(Json::as_bool).unwrap_or_default();
    let named = |json: &Json, path: &str| {
        text(json, path).and_then(|id| id.rsplit('/').next()).unwrap_or_default().to_owned()
    };
    let probe = |probe: &Json| Probe {
        name: named(probe, "name"),
        protocol: text(probe, "properties.protocol").unwrap_or_default().to_owned(),
        port: number(probe, "properties.port"),
        path: text(probe, "properties.requestPath").map(str::to_owned),
        interval: number(probe, "properties.intervalInSeconds"),
        // `numberOfProbes` is what older versions called it, and no longer has an effect.
        threshold: number(probe, "properties.probeThreshold"),
    };
    let rule = |rule: &Json| Rule {
        name: named(rule, "name"),
        probe: named(rule, "properties.probe.id"),
        idle_minutes: number(rule, "properties.idleTimeoutInMinutes"),
        protocol: text(rule, "properties.protocol").unwrap_or_default().to_owned(),
        floating_ip: flag(rule, "properties.enableFloatingIP"),
        distribution: text(rule, "properties.loadDistribution").unwrap_or("Default").to_owned(),
        tcp_reset: flag(rule, "properties.enableTcpReset"),
    };
    let listen = |rule: &Json| Listen {
        port: number(rule, "properties.frontendPort"),
        rule: named(rule, "name"),
        pool: named(rule, "properties.backendAddressPool.id"),
        to: number(rule, "properties.backendPort"),
    };
    let mut pools = all_pools(balancer);
    pools.retain(|pool| !others.has_pool(pool));
    pools.sort();
    let probes = items(balancer, "properties.probes").iter().map(probe);
    LoadBalancer {
        location: facts::short_location(text(balancer, "location").unwrap_or_default()),
        vnet: subnet.rsplit_once("/subnets/").map(|(vnet, _)| vnet.to_owned()).unwrap_or_default(),
        subnet,
        zones: frontend.map(|f| crate::arm::texts(f, "zones")).unwrap_or_default(),
        pools,
        probes: probes.filter(|probe| !others.has_probe(&probe.name)).collect(),
        rules: own_rules(balancer).map(rule).collect(),
        listens: own_rules(balancer).map(listen).collect(),
        others,
        tags: ownership::managed_tags(&text_map(balancer, "tags")),
    }
}

/// What consumers may come in by that was not there when the plan was made, and is not wanted by it either.
pub(super) fn added_since(
    body: &Json,
    planned: Option<&LoadBalancer>,
    wanted: &LoadBalancer,
) -> Option<Listen> {
    let known = |listen: &Listen| {
        wanted.listens.contains(listen) || planned.is_some_and(|planned| planned.listens.contains(listen))
    };
    read(body).listens.into_iter().find(|listen| !known(listen))
}

/// The body with its parts as wanted; parts that are as wanted keep what else is set in them.
pub(super) fn shape(body: &mut Json, id: &str, wanted: &LoadBalancer) {
    let there = read(body);
    if body.get("location").is_none() {
        set(body, "location", json!(wanted.location));
        set(body, "sku", json!({"name": "Standard", "tier": "Regional"}));
    }
    if frontend_of(body).is_none() {
        let mut frontend = json!({"name": FRONTEND, "properties": {
            "privateIPAllocationMethod": "Dynamic", "privateIPAddressVersion": "IPv4", "subnet": {"id": wanted.subnet}}});
        if !wanted.zones.is_empty() {
            set(&mut frontend, "zones", json!(wanted.zones));
        }
        let theirs = items(body, "properties.frontendIPConfigurations").iter().cloned();
        let all = theirs.chain([frontend]).collect();
        set(body, "properties.frontendIPConfigurations", all);
    }
    let old = items(body, "properties.backendAddressPools");
    let stays = |pool: &&Json| {
        let name = text(pool, "name").unwrap_or_default();
        // A pool that is no longer wanted goes with the last machine that leaves it.
        wanted.pools.iter().any(|w| w == name) || is_occupied(pool) || there.others.uses_pool(name)
    };
    let mut pools: Vec<Json> = old.iter().filter(stays).cloned().collect();
    let new = wanted.pools.iter().filter(|name| !old.iter().any(|pool| text(pool, "name") == Some(name)));
    pools.extend(new.map(|name| json!({"name": name})));
    if sorted(&there.pools) != sorted(&wanted.pools) {
        set(body, "properties.backendAddressPools", json!(pools));
    }
    if sorted(&there.probes) != sorted(&wanted.probes) {
        let theirs = items(body, "properties.probes").iter().filter(|probe| {
            let name = text(probe, "name").unwrap_or_default();
            let is_wanted = wanted.probes.iter().any(|wanted| wanted.name.eq_ignore_ascii_case(name));
            there.others.uses_probe(name) && !is_wanted
        });
        let all = theirs.cloned().chain(wanted.probes.iter().map(probe_body)).collect();
        set(body, "properties.probes", all);
    }
    if sorted(&there.rules) != sorted(&wanted.rules) || sorted(&there.listens) != sorted(&wanted.listens) {
        let of = |listen: &Listen| wanted.rules.iter().find(|rule| rule.name == listen.rule);
        let rules = wanted.listens.iter().filter_map(|listen| Some(rule_body(id, of(listen)?, listen)));
        let theirs =
            items(body, "properties.loadBalancingRules").iter().filter(|rule| !others::is_own(rule)).cloned();
        let all = theirs.chain(rules).collect();
        set(body, "properties.loadBalancingRules", all);
    }
}

fn sorted<T: Ord + Clone>(list: &[T]) -> Vec<T> {
    let mut list = list.to_vec();
    list.sort();
    list
}

fn probe_body(probe: &Probe) -> Json {
    let mut body = json!({"name": probe.name, "properties": {
        "protocol": probe.protocol, "port": probe.port, "intervalInSeconds": probe.interval,
        "numberOfProbes": probe.threshold, "probeThreshold": probe.threshold}});
    if let Some(path) = &probe.path {
        set(&mut body, "properties.requestPath", json!(path));
    }
    body
}

fn rule_body(id: &str, rule: &Rule, listen: &Listen) -> Json {
    json!({"name": rule.name, "properties": {
        "protocol": rule.protocol, "frontendPort": listen.port, "backendPort": listen.to, "enableTcpReset": rule.tcp_reset,
        "enableFloatingIP": rule.floating_ip, "loadDistribution": rule.distribution, "idleTimeoutInMinutes": rule.idle_minutes,
        "frontendIPConfiguration": {"id": format!("{id}/frontendIPConfigurations/{FRONTEND}")},
        "backendAddressPool": {"id": format!("{id}/backendAddressPools/{}", listen.pool)},
        "probe": {"id": format!("{id}/probes/{}", rule.probe)}}})
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{KIND, Others};
    use super::*;

    fn wanted() -> LoadBalancer {
        let probe = |name: &str, path: Option<&str>| Probe {
            name: name.to_owned(),
            protocol: if path.is_some() { "Http" } else { "Tcp" }.to_owned(),
            port: 25432,
            path: path.map(str::to_owned),
            interval: 10,
            threshold: 3,
        };
        LoadBalancer {
            location: "eastus2".to_owned(),
            vnet: "/s/vnets/hub".to_owned(),
            subnet: "/s/vnets/hub/subnets/lb".to_owned(),
            zones: vec!["1".to_owned()],
            pools: vec!["forwarder".to_owned()],
            probes: vec![probe("port-5432", Some("/")), probe("port-1433", None)],
            rules: vec![Rule::new("port-5432".to_owned())],
            listens: vec![Listen {
                port: 5432,
                rule: "port-5432".to_owned(),
                pool: "forwarder".to_owned(),
                to: 5432,
            }],
            others: Others::default(),
            tags: BTreeMap::new(),
        }
    }

    #[test]
    fn reads_back_what_it_writes() {
        let wanted = wanted();
        let mut body = json!({});
        shape(&mut body, "/s/lb/x", &wanted);
        assert_eq!(read(&body), wanted);
        assert_eq!(fields::typed::<LoadBalancer>("k", &fields::of(&wanted)).unwrap(), wanted);
        assert!(fields::of(&wanted).keys().all(|name| KIND.field(name).is_some()));
    }

    #[test]
    fn a_port_that_the_plan_does_not_know_is_seen() {
        let mut more = wanted();
        let listen = Listen { port: 3306, rule: "port-3306".to_owned(), ..more.listens[0].clone() };
        more.listens.push(listen.clone());
        more.rules.push(Rule::new("port-3306".to_owned()));
        let mut body = json!({});
        shape(&mut body, "/s/lb/x", &more);
        assert_eq!(added_since(&body, Some(&wanted()), &wanted()), Some(listen.clone()));
        assert_eq!(added_since(&body, None, &wanted()), Some(listen));
        // The plan takes it away, or wants it.
        assert_eq!(added_since(&body, Some(&more), &wanted()), None);
        assert_eq!(added_since(&body, None, &more), None);
        assert_eq!(added_since(&json!({}), None, &wanted()), None);
    }

    #[test]
    fn what_is_as_wanted_is_left_as_it_is() {
        let mut body = json!({});
        shape(&mut body, "/s/lb/x", &wanted());
        set(&mut body, "properties.inboundNatRules", json!([{"name": "mine"}]));
        let before = body.clone();
        shape(&mut body, "/s/lb/x", &wanted());
        assert_eq!(body, before);
        let mut more = wanted();
        more.pools.push("port-1".to_owned());
        shape(&mut body, "/s/lb/x", &more);
        assert_eq!(body["properties"]["inboundNatRules"], before["properties"]["inboundNatRules"]);
        assert_eq!(items(&body, "properties.backendAddressPools").len(), 2);
    }
}
