//! The internal Standard load balancer: frontend, pools, probes and rules are one resource, since ARM writes them in one PUT.
//!
//! Pools are NIC-based: private link services refuse load balancers with pools by address
//! (`PrivateLinkServiceIsNotSupportedForIPBasedLoadBalancer`).

mod others;

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::spec::PortSpec;
use privnet_core::spec::azure::AzureTarget;
use privnet_core::{
    Address, Applied, Change, Error, ErrorKind, Field, Kind, Live, Origin, Replacement, Shape, Value,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

pub(crate) use self::others::{Others, of as others_of, own_rules};
use super::{applied, health, nic_membership, outputs};
use crate::act::Act;
use crate::arm::{Json, Target, Write, at, is_gone, items, same_id, set, text, text_map};
use crate::fields::Fields;
use crate::lower::Lowering;
use crate::snapshot::Snapshot;
use crate::{facts, fields, ownership};

/// The name of its frontend.
pub(crate) const FRONTEND: &str = "main";
/// The name of the forwarders' pool.
pub(crate) const FORWARDERS: &str = "forwarder";
/// The idle timeout of its rules. Private Link's own, of 4 to 5 minutes, cannot be raised.
const IDLE_MINUTES: i64 = 4;

/// A load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LoadBalancer {
    /// Its location.
    pub(crate) location: String,
    /// The virtual network of its frontend, by id in lower case.
    pub(crate) vnet: String,
    /// The subnet of its frontend, by id in lower case.
    pub(crate) subnet: String,
    /// The zones of its frontend when it is made.
    #[serde(default)]
    pub(crate) zones: Vec<String>,
    /// The names of its pools.
    #[serde(default)]
    pub(crate) pools: Vec<String>,
    #[serde(default)]
    pub(crate) probes: Vec<Probe>,
    #[serde(default)]
    pub(crate) rules: Vec<Rule>,
    /// What consumers connect to: apart from the rules, for one that goes cuts whoever uses it.
    #[serde(default)]
    pub(crate) listens: Vec<Listen>,
    /// What it carries for somebody else, which stays as it is.
    #[serde(default, skip_serializing_if = "Others::is_none")]
    pub(crate) others: Others,
    /// The user's tags.
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
}

/// A health probe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Probe {
    pub(crate) name: String,
    /// `Http`, `Tcp`.
    pub(crate) protocol: String,
    pub(crate) port: i64,
    /// The path of an HTTP probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    /// Seconds between two probes.
    pub(crate) interval: i64,
    /// How many equal answers change the state.
    pub(crate) threshold: i64,
}

/// The port that consumers connect to, the rule that it is of, and the machines and their port that it leads to. Azure has one rule
/// for each port of a frontend, so that no successor can be made first: who is connected would be led elsewhere at once, and to a pool
/// that is new nobody at all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Listen {
    pub(crate) port: i64,
    pub(crate) rule: String,
    /// The pool, by name.
    pub(crate) pool: String,
    pub(crate) to: i64,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) name: String,
    /// The probe, by name.
    pub(crate) probe: String,
    /// Minutes after which an idle connection goes.
    pub(crate) idle_minutes: i64,
    /// What is the same in every rule, and how Azure would have it: `Tcp`.
    pub(crate) protocol: String,
    /// Whether machines see the frontend's address: no.
    pub(crate) floating_ip: bool,
    /// Which machine a client gets: `Default`, by all of address, port and protocol.
    pub(crate) distribution: String,
    /// Whether both sides are told when an idle connection goes: yes.
    pub(crate) tcp_reset: bool,
}

impl Rule {
    /// A rule of ours, whose name is its probe's too.
    fn new(name: String) -> Self {
        Self {
            probe: name.clone(),
            name,
            idle_minutes: IDLE_MINUTES,
            protocol: "Tcp".to_owned(),
            floating_ip: false,
            distribution: "Default".to_owned(),
            tcp_reset: true,
        }
    }
}

/// Its table.
pub(crate) const KIND: Kind = Kind {
    name: "load-balancer",
    title: "load balancer",
    fields: &[
        Field::managed("location").on_change(Change::Refuse).shaped(Shape::IgnoreCase),
        Field::observed("vnet"),
        Field::managed("subnet").on_change(Change::Refuse).shaped(Shape::IgnoreCase),
        Field::observed("zones"),
        Field::managed("pools").shaped(Shape::Set),
        Field::managed("probes").shaped(Shape::Set),
        Field::managed("rules").shaped(Shape::Set),
        Field::managed("listens").on_change(Change::GrowUnlessConnected).shaped(Shape::Set),
        Field::observed("others"),
        Field::managed("tags"),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 3,
    severs: true,
    serialized_by: &["vnet"],
};

/// Its address.
pub(crate) fn address(service: &str) -> Address {
    Address::new(service, KIND.name, "main")
}

/// The name of what belongs to a port: its rule, its probe, its pool.
pub(crate) fn port_name(listen: u16) -> String {
    format!("port-{listen}")
}

/// The listening port of what has this name, if it is one of a port.
fn port_of(name: &str) -> Option<u16> {
    name.strip_prefix("port-")?.parse().ok()
}

/// Where a load balancer that is there asks forwarders for their health, by listening port.
pub(crate) fn asked_for_health(live: &Live) -> BTreeMap<u16, u16> {
    let Ok(there) = fields::typed::<LoadBalancer>(KIND.name, &live.fields) else { return BTreeMap::new() };
    let of = |listen: &Listen| {
        let probe =
            there.probes.iter().find(|probe| probe.name == listen.rule && probe.protocol == "Http")?;
        Some((port_of(&listen.rule)?, u16::try_from(probe.port).ok()?))
    };
    there.listens.iter().filter(|listen| listen.pool == FORWARDERS).filter_map(of).collect()
}

/// What a service wants.
pub(crate) fn lower(lowering: &mut Lowering<'_>) {
    let Some(made) = lowering.made() else { return };
    // A pool goes when the last one has left it; whom the user put in, the user takes out.
    let left = nic_membership::left_by_the_user(lowering, made);
    let mut pools: BTreeSet<String> = left.into_iter().map(|left| left.pool).collect();
    let (mut probes, mut rules, mut listens) = (Vec::new(), Vec::new(), Vec::new());
    for port in &made.ports {
        let (pool, target, health) = match &port.to {
            AzureTarget::Forwarder(_) => {
                let listen = port.listen.get();
                (FORWARDERS.to_owned(), listen, lowering.health_port(listen))
            }
            AzureTarget::Nics(_) => (port_name(port.listen.get()), port.port.get(), None),
        };
        pools.insert(pool.clone());
        probes.push(probe(port, health));
        let name = port_name(port.listen.get());
        listens.push(Listen { port: port.listen.get().into(), rule: name.clone(), pool, to: target.into() });
        rules.push(Rule::new(name));
    }
    mind_others(lowering, &pools, &listens);
    let wanted = LoadBalancer {
        location: made.scope.location.to_string(),
        vnet: fields::id(&made.scope.vnet.to_string()),
        subnet: fields::id(&made.load_balancer_subnet.to_string()),
        zones: lowering.zones().to_vec(),
        pools: pools.into_iter().collect(),
        probes,
        rules,
        listens,
        others: Others::default(),
        tags: lowering.tags(),
    };
    lowering.want(address(lowering.name()), Origin::Owned, fields::of(&wanted), BTreeSet::new());
}

/// What somebody else has put on a load balancer of ours is said, and keeps the names that it has: a rule of ours under one of them
/// would take its place, and lead whoever goes through it elsewhere.
fn mind_others(lowering: &mut Lowering<'_>, pools: &BTreeSet<String>, listens: &[Listen]) {
    let ours = lowering.live_of(KIND.name).filter(|live| live.is_ours());
    let there: Vec<(&str, Others)> = ours
        .filter_map(|live| {
            Some((live.id.as_str(), fields::typed::<LoadBalancer>(KIND.name, &live.fields).ok()?.others))
        })
        .collect();
    for (id, others) in there {
        if let Some(rules) = others.named_rules() {
            lowering.warn(format!(
                "the load balancer {id}, which privnet made, has {rules} of somebody else's on a frontend that is not \
                 privnet's: what they alone are and use stays as it is, pools and probes that privnet's rules use too change with the file, \
                 and the load balancer does not go while they are there"
            ));
        }
        let rule = listens.iter().map(|listen| &listen.rule).find(|rule| others.takes_name(rule));
        if let Some(name) = rule.or_else(|| pools.iter().find(|pool| others.has_pool(pool))) {
            let why = format!(
                "somebody else's rules on the load balancer {id} are called `{name}`, or use a probe or a pool of this name, which \
                 privnet's own part for this port would have: give theirs another name, or use another `listen`"
            );
            lowering.refuse(&address(lowering.name()), why);
        }
    }
}

/// The probe of a port. A forwarder is asked at its own health port, which is never the database's.
fn probe(port: &PortSpec<AzureTarget>, forwarder: Option<u16>) -> Probe {
    let name = port_name(port.listen.get());
    let check = port.health_check.as_ref();
    let interval = check.map_or(10, |check| i64::from(check.interval.get()));
    let threshold = check.map_or(3, |check| i64::from(check.threshold));
    let http = check.and_then(|check| check.http.clone());
    let (protocol, number, path) = match (forwarder, http) {
        (Some(health), _) => ("Http", health, Some("/".to_owned())),
        (None, Some(path)) => ("Http", check.and_then(|c| c.port).unwrap_or(port.port).get(), Some(path)),
        (None, None) => ("Tcp", check.and_then(|c| c.port).unwrap_or(port.port).get(), None),
    };
    Probe { name, protocol: protocol.to_owned(), port: number.into(), path, interval, threshold }
}

/// What is there.
pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let of = |balancer: &Json| {
        let claim = snapshot.claim(balancer, KIND.name)?;
        let id = text(balancer, "id")?;
        let read = read(balancer);
        Some(Live {
            address: claim.address,
            generation: Some(claim.generation),
            scope: snapshot.scope.clone(),
            id: id.to_owned(),
            ownership: claim.ownership,
            outputs: outputs_of(id, &all_pools(balancer)),
            fields: fields::of(&read),
            health: health(balancer),
        })
    };
    snapshot.load_balancers.iter().filter_map(of).collect()
}

fn outputs_of(id: &str, pools: &[String]) -> Fields {
    let id = fields::id(id);
    let mut all =
        outputs([("id", id.clone()), ("frontend", format!("{id}/frontendipconfigurations/{FRONTEND}"))]);
    all.extend(pools.iter().map(|pool| {
        (pool_output(pool), Value::text(fields::id(&format!("{id}/backendaddresspools/{pool}"))))
    }));
    all
}

/// The output that has the id of a pool.
pub(crate) fn pool_output(pool: &str) -> String {
    format!("pool-{pool}")
}

/// The names of its pools, others' among them.
fn all_pools(balancer: &Json) -> Vec<String> {
    let pools = items(balancer, "properties.backendAddressPools").iter();
    pools.filter_map(|pool| text(pool, "name")).map(str::to_owned).collect()
}

/// The frontend that is privnet's.
fn frontend_of(balancer: &Json) -> Option<&Json> {
    let mut frontends = items(balancer, "properties.frontendIPConfigurations").iter();
    frontends.find(|one| text(one, "name").is_some_and(|name| name.eq_ignore_ascii_case(FRONTEND)))
}

fn read(balancer: &Json) -> LoadBalancer {
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

/// The body with its parts as wanted; parts that are as wanted keep what else is set in them.
fn shape(body: &mut Json, id: &str, wanted: &LoadBalancer) {
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

/// Makes or changes it.
pub(crate) async fn write(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: LoadBalancer = fields::typed(KIND.name, act.step.fields)?;
    let id = match &act.step.action.live_id {
        Some(id) => id.clone(),
        None => format!("{}/providers/Microsoft.Network/loadBalancers/{}", act.group(), act.name()),
    };
    let target = Target::of(&id);
    let build = |body: &mut Json| {
        shape(body, &id, &wanted);
        Ok(())
    };
    act.write(&target, &wanted.tags, &build).await?;
    act.until_listed(&target, true).await?;
    Ok(applied(outputs_of(&id, &wanted.pools)))
}

/// Deletes it.
pub(crate) async fn delete(act: &Act<'_>) -> Result<Applied, Error> {
    act.delete(&Target::of(act.live_id()?)).await?;
    Ok(Applied::default())
}

/// The load balancer of one of its parts, by id in lower case: of a frontend, or of a pool.
pub(crate) fn of_part(part: &str) -> String {
    let part = fields::id(part);
    let at = ["/frontendipconfigurations/", "/backendaddresspools/"].iter().find_map(|word| part.find(word));
    at.and_then(|at| part.get(..at)).unwrap_or_default().to_owned()
}

/// A reference to a service's load balancer.
pub(crate) fn id_of(service: &str) -> Value {
    Value::output(&address(service), "id")
}

/// A reference to one of a service's pools.
pub(crate) fn pool_of(service: &str, pool: &str) -> Value {
    Value::output(&address(service), pool_output(pool))
}

/// Whether a machine is in a pool.
fn is_occupied(pool: &Json) -> bool {
    !items(pool, "properties.backendIPConfigurations").is_empty()
}

/// Takes a pool away that a machine has left: when it was the last one, and no rule leads there any more.
///
/// # Errors
/// What ARM answered; a load balancer that is gone has no pool.
pub(crate) async fn prune(act: &Act<'_>, pool: &str) -> Result<(), Error> {
    let Some((balancer, _)) = pool.split_once("/backendaddresspools/") else { return Ok(()) };
    let target = Target::of(balancer);
    if act.arm.find(act.context, &target).await?.is_none() {
        return Ok(());
    }
    let build = |there: Option<&Json>| {
        let Some(there) = there else {
            return Err(act.error(ErrorKind::NotFound, "the load balancer is gone"));
        };
        let mut body = there.clone();
        let others = others_of(there);
        let used = |pool: &Json| {
            let id = text(pool, "id").unwrap_or_default();
            own_rules(there).any(|rule| others::leads_to(rule, id))
                || text(pool, "name").is_some_and(|name| others.uses_pool(name))
        };
        let pools = items(there, "properties.backendAddressPools");
        let is_left =
            |p: &&Json| !text(p, "id").is_some_and(|id| same_id(id, pool)) || is_occupied(p) || used(p);
        let left: Vec<Json> = pools.iter().filter(is_left).cloned().collect();
        if left.len() == pools.len() {
            return Ok(Write::Keep);
        }
        set(&mut body, "properties.backendAddressPools", json!(left));
        Ok(Write::Put(body))
    };
    match act.arm.write(act.context, &target, &build).await {
        Err(error) if is_gone(&error) => Ok(()),
        done => done.map(|_| ()),
    }
}

/// The machines in a pool as the load balancer shows them, each with its administrative state.
pub(crate) fn members<'a>(balancer: &'a Json, pool: &str) -> Vec<&'a Json> {
    let pools = items(balancer, "properties.backendAddressPools").iter();
    let of_pool = pools.filter(|p| text(p, "id").is_some_and(|id| same_id(id, pool)));
    of_pool.flat_map(|p| items(p, "properties.loadBalancerBackendAddresses")).collect()
}

#[cfg(test)]
mod tests {
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
