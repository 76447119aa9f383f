//! What a service wants to be let in where: to its load balancer, to its forwarders, to its databases.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use privnet_core::plan::Rule as SafetyRule;
use privnet_core::spec::aws::{AwsForm, AwsMade};
use privnet_core::{Address, Live, Lowered, Origin, Value};

use crate::forwarders;
use crate::kinds::{SECURITY_GROUP, SECURITY_GROUP_RULE, security_group};
use crate::lower::Lowering;
use crate::policy;
use crate::reach;

pub(super) fn inbound(service: &str, port: i64, range: &str) -> Address {
    Address::new(service, SECURITY_GROUP_RULE, format!("inbound/{port}/{range}"))
}

/// Where connections to a database come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Leaving {
    Balancer,
    Forwarders,
}

impl Leaving {
    /// The name of the security group that they come from.
    fn group(self) -> &'static str {
        match self {
            Self::Balancer => security_group::BALANCER,
            Self::Forwarders => security_group::FORWARDERS,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Balancer => "the load balancer",
            Self::Forwarders => "the forwarders",
        }
    }
}

pub(super) fn database(service: &str, group: &str, port: i64, from: Leaving) -> Address {
    let suffix = if from == Leaving::Forwarders { "/forwarder" } else { "" };
    Address::new(service, SECURITY_GROUP_RULE, format!("database/{group}/{port}{suffix}"))
}

/// How a port that a database group opens to one of the service's groups is called among the facts.
pub(crate) fn opened(group: &str, port: i64, to: &str) -> String {
    format!("{group}/{port}/{to}")
}

/// A rule that lets a load balancer in to the forwarders: its group, or where it has none a range that its nodes are in.
pub(super) fn to_forwarders(service: &str, port: i64, source: &str) -> Address {
    Address::new(service, SECURITY_GROUP_RULE, format!("forwarder/{port}/{source}"))
}

/// The port on which a rule that is there lets a load balancer in to the forwarders.
pub(crate) fn open_to_balancer(live: &Live) -> Option<u16> {
    let (port, _source) = live.address.name.strip_prefix("forwarder/")?.split_once('/')?;
    port.parse().ok()
}

/// How the group of the service's own load balancer is called as a source.
pub(super) const OWN: &str = "balancer";

/// The rules that must be there before the load balancer lets in nothing else.
pub(crate) fn inbound_to_balancer(lowered: &Lowered) -> BTreeSet<Address> {
    named(lowered, &["inbound/"])
}

/// The rules that must be there before a target can be healthy.
pub(crate) fn to_databases(lowered: &Lowered) -> BTreeSet<Address> {
    named(lowered, &["database/"])
}

/// The rules on both sides of the forwarders.
pub(crate) fn around_forwarders(lowered: &Lowered) -> BTreeSet<Address> {
    named(lowered, &["database/", "forwarder/"])
}

fn named(lowered: &Lowered, prefixes: &[&str]) -> BTreeSet<Address> {
    let rules = lowered.resources.iter().filter(|resource| resource.address.kind == SECURITY_GROUP_RULE);
    rules
        .map(|resource| resource.address.clone())
        .filter(|address| prefixes.iter().any(|prefix| address.name.starts_with(prefix)))
        .collect()
}

fn fields(lowering: &Lowering<'_>, group: Value, source: Value, port: i64) -> BTreeMap<String, Value> {
    BTreeMap::from([
        ("group".to_owned(), group),
        ("source".to_owned(), source),
        ("port".to_owned(), Value::Int(port)),
        ("tags".to_owned(), lowering.tags()),
    ])
}

pub(crate) fn lower(lowering: &Lowering<'_>, lowered: &mut Lowered) {
    lower_forwarders(lowering, lowered);
    let AwsForm::Made(made) = &lowering.aws.form else { return };
    let own = Value::output(&security_group::address(lowering.name()), "id");
    for range in made.load_balancer.enforce_inbound.iter().flatten() {
        for port in &made.ports {
            let (listen, range) = (i64::from(port.port.listen.get()), range.trunc().to_string());
            let address = inbound(lowering.name(), listen, &range);
            let fields = fields(lowering, own.clone(), Value::text(range), listen);
            lowered.resources.push(lowering.resource(address, Origin::Owned, fields, BTreeSet::new()));
        }
    }
    if let Some(ranges) = &made.load_balancer.enforce_inbound {
        lowered.warnings.extend(policy::kept_out(lowering.spec, lowering.service, ranges));
        reach::check_inbound(lowering, ranges, lowered);
    }
    lower_databases(lowering, made, lowered);
    reach::check_databases(lowering, made, lowered);
}

/// What may come in to the forwarders: the load balancer alone, on the ports and on their health ports.
fn lower_forwarders(lowering: &Lowering<'_>, lowered: &mut Lowered) {
    let machines = forwarders::beside_what_is_there(lowering);
    let Some(forwarder) = machines.and_then(|machines| machines.forwarder().ok()) else { return };
    let group = Value::output(&security_group::forwarders(lowering.name()), "id");
    let ports = forwarder.ports().iter().flat_map(|map| [map.listen, map.health_port]);
    let sources = balancer_sources(lowering);
    for port in ports.map(i64::from) {
        for (name, source) in &sources {
            let address = to_forwarders(lowering.name(), port, name);
            let fields = fields(lowering, group.clone(), source.clone(), port);
            lowered.resources.push(lowering.resource(address, Origin::Owned, fields, BTreeSet::new()));
        }
    }
}

/// Where the load balancer's connections come from, with a name for each: its security groups, or its subnets' ranges where the
/// user's own load balancer has no group.
fn balancer_sources(lowering: &Lowering<'_>) -> Vec<(String, Value)> {
    if matches!(lowering.aws.form, AwsForm::Made(_)) {
        return vec![(OWN.to_owned(), Value::output(&security_group::address(lowering.name()), "id"))];
    }
    let Some(supplied) = &lowering.facts.supplied else { return Vec::new() };
    let ranges = supplied.zones.values().filter_map(|subnet| lowering.facts.subnets.get(subnet)?.cidr);
    let sources: Vec<String> = if supplied.security_groups.is_empty() {
        ranges.map(|range| range.trunc().to_string()).collect()
    } else {
        supplied.security_groups.iter().cloned().collect()
    };
    sources.into_iter().map(|source| (source.clone(), Value::text(source))).collect()
}

/// The database ports, and from where each is reached: from the load balancer those that it sends on itself and where it asks for their
/// health, from the forwarders theirs.
fn leaving(made: &AwsMade) -> BTreeSet<(Leaving, i64)> {
    let leaving = made.ports.iter().flat_map(|port| {
        let to = i64::from(port.port.port.get());
        if forwarders::asked_port(port).is_some() {
            return vec![(Leaving::Forwarders, to)];
        }
        let asked = port.port.health_check.as_ref().and_then(|check| check.port);
        let asked = asked.map(|port| (Leaving::Balancer, i64::from(port.get())));
        asked.into_iter().chain([(Leaving::Balancer, to)]).collect()
    });
    leaving.collect()
}

/// A rule that goes although its port stays.
pub(crate) struct Closing {
    /// Its address.
    pub(crate) address: Address,
    /// What it does, in words.
    pub(crate) way: String,
    /// Whether another group of the file lets the same in: only the user knows which databases are in which group.
    pub(crate) another_stays: bool,
}

/// The rules that are there and go although their port stays.
pub(crate) fn ways_that_close(lowering: &Lowering<'_>, made: &AwsMade, lowered: &Lowered) -> Vec<Closing> {
    let mut closing = Vec::new();
    for (from, port) in leaving(made) {
        let is_way = |address: &Address| {
            let group = address.name.strip_prefix("database/").and_then(|rest| rest.split('/').next());
            group.is_some_and(|group| *address == database(lowering.name(), group, port, from))
        };
        let stays: BTreeSet<&Address> =
            lowered.resources.iter().map(|resource| &resource.address).filter(|a| is_way(a)).collect();
        let opened_by_others =
            |group: &str| lowering.facts.opened_by_others.contains_key(&opened(group, port, from.group()));
        let another_stays = !stays.is_empty()
            || made.database_security_groups.iter().any(|group| opened_by_others(group.as_str()));
        // What lies in another place belongs to a service that would move, which is refused by itself.
        let own = lowering.world.live.of(lowering.name());
        let ours =
            own.iter().filter(|live| live.is_ours() && live.scope == lowering.scope && is_way(&live.address));
        for live in ours.filter(|live| !stays.contains(&live.address)) {
            let group = live.fields.get("group").and_then(Value::as_text).unwrap_or_default();
            // Somebody else's rule does the same.
            if !opened_by_others(group) {
                let way = format!("{group} lets {} in to port {port}", from.title());
                closing.push(Closing { address: live.address.clone(), way, another_stays });
            }
        }
    }
    closing
}

/// The ranges that the rules let in to the load balancer today.
pub(crate) fn let_in_now(lowering: &Lowering<'_>) -> BTreeSet<IpNet> {
    let own =
        lowering.world.live.of(lowering.name()).iter().filter(|live| {
            live.address.kind == SECURITY_GROUP_RULE && live.address.name.starts_with("inbound/")
        });
    own.filter_map(|live| live.fields.get("source")?.as_text()?.parse().ok()).collect()
}

/// What may go on to the databases.
fn lower_databases(lowering: &Lowering<'_>, made: &AwsMade, lowered: &mut Lowered) {
    let leaving = leaving(made);
    for group in made.database_security_groups.iter().map(|id| id.as_str()) {
        if lowering.facts.network_read && !lowering.facts.database_groups.contains_key(group) {
            let why = format!("the database security group {group} is not there (in {})", lowering.scope);
            let address = database(lowering.name(), group, 0, Leaving::Balancer);
            let refusal = lowering.refusal(&address, SafetyRule::Unsuitable, why);
            lowered.refusals.push(refusal);
            continue;
        }
        for &(from, port) in &leaving {
            if let Some(rule) = lowering.facts.opened_by_others.get(&opened(group, port, from.group())) {
                lowered.warnings.push(format!(
                    "{}: {group} lets {} in to port {port} by {rule} already, which is not privnet's and stays",
                    lowering.name(),
                    from.title()
                ));
                continue;
            }
            let address = database(lowering.name(), group, port, from);
            let to = format!("the security group {group}");
            let source = Address::new(lowering.name(), SECURITY_GROUP, from.group());
            let fields = fields(lowering, Value::text(group), Value::output(&source, "id"), port);
            lowered.resources.push(lowering.resource(
                address,
                Origin::AddedTo { to },
                fields,
                BTreeSet::new(),
            ));
        }
    }
}
