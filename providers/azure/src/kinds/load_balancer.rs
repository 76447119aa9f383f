//! The internal Standard load balancer: frontend, pools, probes and rules are one resource, since ARM writes them in one PUT.
//!
//! Pools are NIC-based: private link services refuse load balancers with pools by address
//! (`PrivateLinkServiceIsNotSupportedForIPBasedLoadBalancer`).

mod body;
mod others;
mod probe;

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::spec::azure::AzureTarget;
use privnet_core::{
    Address, Applied, Change, Error, ErrorKind, Field, Kind, Live, Origin, Replacement, Shape, Value,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::body::{all_pools, read, shape};
pub(crate) use self::others::{Others, of as others_of, own_rules};
use super::{applied, health, nic_membership, outputs};
use crate::act::Act;
use crate::arm::{Json, Target, Write, is_gone, items, same_id, set, text};
use crate::fields::{self, Fields};
use crate::lower::Lowering;
use crate::snapshot::Snapshot;

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
        Field::observed("vnet").bounding_the_service(),
        Field::managed("subnet").on_change(Change::Refuse).shaped(Shape::IgnoreCase),
        Field::observed("zones"),
        Field::managed("pools").shaped(Shape::Set),
        Field::managed("probes").shaped(Shape::Set),
        Field::managed("rules").shaped(Shape::Set),
        Field::managed("listens")
            .on_change(Change::GrowUnlessConnected)
            .shaped(Shape::Set)
            .bounding_the_service(),
        Field::observed("others"),
        Field::managed("tags"),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 3,
    severs: true,
    serialized_by: &["vnet"],
    telling: &[],
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
    pools.extend(others_there(lowering).into_iter().flat_map(|(_, others)| others.occupied));
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
        probes.push(probe::of(port, health));
        let name = port_name(port.listen.get());
        listens.push(Listen { port: port.listen.get().into(), rule: name.clone(), pool, to: target.into() });
        rules.push(Rule::new(name));
    }
    mind_others(lowering, &pools, &listens);
    probe::say_what_turning_does(lowering, &probes);
    let wanted = LoadBalancer {
        location: made.scope.location.to_string(),
        vnet: fields::id(&made.scope.vnet.to_string()),
        subnet: fields::id(&made.load_balancer_subnet.to_string()),
        zones: lowering.zones_for(&address(lowering.name()), "zones").unwrap_or_default(),
        pools: pools.into_iter().collect(),
        probes,
        rules,
        listens,
        others: Others::default(),
        tags: lowering.tags(),
    };
    lowering.want(address(lowering.name()), Origin::Owned, fields::of(&wanted), BTreeSet::new());
}

/// What this service's load balancers that are there carry for others, each with its id.
fn others_there(lowering: &Lowering<'_>) -> Vec<(String, Others)> {
    let ours = lowering.live_of(KIND.name).filter(|live| live.is_ours());
    let others = ours.filter_map(|live| {
        Some((live.id.clone(), fields::typed::<LoadBalancer>(KIND.name, &live.fields).ok()?.others))
    });
    others.collect()
}

/// What somebody else has put on a load balancer of ours is said, and keeps the names that it has: a rule of ours under one of them
/// would take its place, and lead whoever goes through it elsewhere.
fn mind_others(lowering: &mut Lowering<'_>, pools: &BTreeSet<String>, listens: &[Listen]) {
    for (id, others) in others_there(lowering) {
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

/// What is there.
pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let of = |balancer: &Json| {
        let claim = snapshot.claim(balancer, KIND.name)?;
        let id = text(balancer, "id")?;
        let mut read = read(balancer);
        read.others.forget_gone(balancer, snapshot);
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

/// Makes or changes it.
pub(crate) async fn write(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: LoadBalancer = fields::typed(KIND.name, act.step.fields)?;
    let id = match &act.step.action.live_id {
        Some(id) => id.clone(),
        None => format!("{}/providers/Microsoft.Network/loadBalancers/{}", act.group(), act.name()),
    };
    let target = Target::of(&id);
    let planned = act.step.live.and_then(|live| fields::typed::<LoadBalancer>(KIND.name, &live.fields).ok());
    let build = |body: &mut Json| {
        // The rules are written as one list: what the plan does not know would go with it, and cut whoever comes in there.
        if let Some(added) = body::added_since(body, planned.as_ref(), &wanted) {
            let message = format!(
                "its port {} leads to {}:{} since this plan was made, which knows nothing of that and would take it away",
                added.port, added.pool, added.to
            );
            return Err(act.overtaken(message));
        }
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
