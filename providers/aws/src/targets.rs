//! What a port's targets shall be, in view of the facts. Pure.
//!
//! A name's addresses move (a failover of a database). Adding an address is always an action; taking one away only when no sample
//! has it and another target is healthy. Where the answers cannot be trusted nothing is done, and the user is told what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use privnet_core::spec::aws::{AwsPort, AwsTarget};

use crate::facts::{Awaited, Registered, ResolvedName, Sample, ServiceFacts, SuppliedLoadBalancer};

/// The zone of an address outside the VPC: reached from every zone of the load balancer
/// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetDescription.html>).
pub(crate) const ALL_ZONES: &str = "all";

/// The type of a target group's members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetType {
    /// Addresses.
    Ip,
    /// Instances.
    Instance,
    /// The machines of a forwarder group. To the API they are instances; one list is never changed into the other.
    Forwarders,
    /// An application load balancer.
    Alb,
}

impl TargetType {
    /// The word in plans: the API's, but for forwarders.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Instance => "instance",
            Self::Forwarders => "forwarders",
            Self::Alb => "alb",
        }
    }
}

/// One target as plans show it: `10.0.1.5:5432`, `10.9.0.1:5432@all`, `i-0123456789abcdef0:5432`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TargetId {
    /// The address, instance or load balancer.
    pub(crate) id: String,
    /// Its port.
    pub(crate) port: i64,
    /// Its zone, where one must be given.
    pub(crate) zone: Option<String>,
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.id.parse::<std::net::Ipv6Addr>().is_ok() {
            write!(f, "[{}]:{}", self.id, self.port)?;
        } else {
            write!(f, "{}:{}", self.id, self.port)?;
        }
        self.zone.as_ref().map_or(Ok(()), |zone| write!(f, "@{zone}"))
    }
}

impl TargetId {
    /// What [`Display`](fmt::Display) wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (rest, zone) = match text.rsplit_once('@') {
            Some((rest, zone)) => (rest, Some(zone.to_owned())),
            None => (text, None),
        };
        let (id, port) = rest.rsplit_once(':')?;
        let id = id.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Self { id, port: port.parse().ok()?, zone })
    }

    /// What is registered, in the form that the file's targets have: within the VPC's ranges AWS finds the zone by itself,
    /// and shows it.
    pub(crate) fn of(registered: &Registered, vpc_ranges: &BTreeSet<IpNet>) -> Self {
        let inside =
            registered.id.parse().is_ok_and(|ip: IpAddr| vpc_ranges.iter().any(|range| range.contains(&ip)));
        let is_address = registered.id.parse::<IpAddr>().is_ok();
        let told = |zone: &&String| zone.as_str() == ALL_ZONES || (!inside && !vpc_ranges.is_empty());
        let zone = registered.zone.as_ref().filter(|zone| is_address && told(zone)).cloned();
        Self { id: registered.id.clone(), port: registered.port, zone }
    }
}

/// What a port's targets shall be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The targets.
    pub(crate) targets: BTreeSet<TargetId>,
    /// What is waited for.
    pub(crate) waits: Vec<String>,
    /// What cannot be done.
    pub(crate) refusals: Vec<String>,
    /// What a user should know.
    pub(crate) warnings: Vec<String>,
}

/// The type of the members that a port leads to.
pub(crate) fn type_of(port: &AwsPort) -> TargetType {
    match &port.port.to {
        AwsTarget::Ips(_) | AwsTarget::Dns(_) => TargetType::Ip,
        AwsTarget::Instances(_) => TargetType::Instance,
        AwsTarget::Forwarder(_) => TargetType::Forwarders,
        AwsTarget::Alb(_) => TargetType::Alb,
    }
}

/// The targets of a port. `target_ranges` is where addresses of a name may lie; absent: the VPC's ranges.
pub(crate) fn wanted(
    port: &AwsPort,
    facts: &ServiceFacts,
    target_ranges: Option<&BTreeSet<IpNet>>,
) -> Wanted {
    let number = i64::from(port.port.port.get());
    let plain = |id: String| TargetId { id, port: number, zone: None };
    match &port.port.to {
        AwsTarget::Ips(ips) => Wanted {
            targets: ips.iter().map(|ip| address(*ip, number, facts)).collect(),
            ..Wanted::default()
        },
        AwsTarget::Instances(ids) => {
            let mut wanted =
                Wanted { targets: ids.iter().map(|id| plain(id.to_string())).collect(), ..Wanted::default() };
            let missing =
                ids.iter().filter(|id| facts.network_read && !facts.instances.contains_key(id.as_str()));
            wanted.refusals = missing.map(|id| format!("the instance {id} is not there")).collect();
            wanted
        }
        AwsTarget::Alb(arn) => {
            let arn = arn.to_string();
            let refusals = match facts.applications.get(&arn) {
                None => facts.network_read.then(|| format!("the application load balancer {arn} is not there")),
                // <https://docs.aws.amazon.com/elasticloadbalancing/latest/network/application-load-balancer-target.html>
                Some(listening) => (!listening.contains_key(&number)).then(|| {
                    format!(
                        "the application load balancer {arn} has no listener on port {number}, and AWS takes it as a target on the port \
                         of a listener only: give that as `port:`"
                    )
                }),
            };
            Wanted {
                targets: BTreeSet::from([plain(arn)]),
                refusals: refusals.into_iter().collect(),
                ..Wanted::default()
            }
        }
        AwsTarget::Dns(_) => {
            let listen = port.port.listen.to_string();
            let registered = facts.registered.get(&listen).map(Vec::as_slice).unwrap_or_default();
            let ranges = target_ranges.unwrap_or(&facts.vpc_ranges);
            match facts.names.get(&listen) {
                Some(name) => resolved(name, registered, ranges, number, facts),
                None => Wanted { targets: kept_with(registered, number, facts), ..Wanted::default() },
            }
        }
        AwsTarget::Forwarder(_) => Wanted::default(),
    }
}

/// An address; outside the VPC it carries its zone.
fn address(ip: IpAddr, port: i64, facts: &ServiceFacts) -> TargetId {
    let inside = facts.vpc_ranges.is_empty() || facts.vpc_ranges.iter().any(|range| range.contains(&ip));
    TargetId { id: ip.to_string(), port, zone: (!inside).then(|| ALL_ZONES.to_owned()) }
}

/// What is registered and stays.
fn kept(registered: &[Registered], facts: &ServiceFacts) -> BTreeSet<TargetId> {
    let staying = registered.iter().filter(|target| !target.is_leaving());
    staying.map(|target| TargetId::of(target, &facts.vpc_ranges)).collect()
}

/// The same addresses with the port that the mapping leads to now.
fn kept_with(registered: &[Registered], port: i64, facts: &ServiceFacts) -> BTreeSet<TargetId> {
    kept(registered, facts).into_iter().map(|target| TargetId { port, ..target }).collect()
}

/// The targets of a name.
fn resolved(
    name: &ResolvedName,
    registered: &[Registered],
    ranges: &BTreeSet<IpNet>,
    port: i64,
    facts: &ServiceFacts,
) -> Wanted {
    let addresses = match trusted(name, ranges) {
        Ok(addresses) => addresses,
        Err(why) => {
            let hint = "run privnet inside the VPC, set `resolver:`, or use a forwarder; until then the targets stay as they are";
            let waits = vec![format!("{} (asked: {}): {why}; {hint}", name.name, name.resolver)];
            return Wanted { targets: kept_with(registered, port, facts), waits, ..Wanted::default() };
        }
    };
    let mut targets: BTreeSet<TargetId> = addresses.iter().map(|ip| address(*ip, port, facts)).collect();
    let mut waits = Vec::new();
    let another_is_healthy = registered
        .iter()
        .any(|target| target.is_healthy() && targets.contains(&TargetId::of(target, &facts.vpc_ranges)));
    // What is registered with another port is of the mapping as it was: its group serves until the listener turns.
    let of_this_port = |there: &TargetId| there.port == port && !targets.contains(there);
    for gone in kept(registered, facts).into_iter().filter(of_this_port).collect::<Vec<_>>() {
        let awaited = gone.id.parse().ok().and_then(|ip: IpAddr| name.awaited.get(&ip));
        if !another_is_healthy {
            waits.push(format!(
                "{gone} stays until another target is healthy, though {} no longer resolves to it",
                name.name
            ));
        } else if let Some(awaited) = awaited {
            waits.extend(awaited_why(&gone, &name.name, awaited));
        } else {
            continue;
        }
        targets.insert(gone);
    }
    Wanted { targets, waits, ..Wanted::default() }
}

/// Why a target stays that too few answers left out, where it is worth telling.
fn awaited_why(gone: &TargetId, name: &str, awaited: &Awaited) -> Option<String> {
    let Awaited { absent, demanded, in_turn, holds } = awaited;
    if !in_turn {
        let lacking = u64::try_from(demanded.saturating_sub(*absent)).unwrap_or(u64::MAX);
        let minutes = lacking.saturating_mul(*holds).div_ceil(60);
        return Some(format!(
            "{gone} stays: {name} no longer resolves to it, but it is healthy, and {absent} answer(s) of {demanded} are without it; one holds \
             for {holds} s, and a copy of it does not count, which is too long for one run: `privnet watch` counts over its looks, and takes \
             it out in about {minutes} min; one that fails its health checks goes at once"
        ));
    }
    // Whose turn has not come for a while is nothing to tell of.
    (absent * 2 >= *demanded).then(|| {
        format!(
            "{gone} stays: {name} gives its addresses in turn, and one is gone when {demanded} answers in a row are without it"
        )
    })
}

/// All addresses of all samples, if every answer can be trusted.
fn trusted(name: &ResolvedName, ranges: &BTreeSet<IpNet>) -> Result<BTreeSet<IpAddr>, String> {
    let mut all = BTreeSet::new();
    for sample in &name.samples {
        match sample {
            Sample::Failed(why) => return Err(format!("it cannot be resolved: {why}")),
            Sample::Addresses(addresses) if addresses.is_empty() => {
                return Err("it resolves to no address".to_owned());
            }
            Sample::Addresses(addresses) => all.extend(addresses),
        }
    }
    if all.is_empty() {
        return Err("it was not asked for".to_owned());
    }
    let inside = |ip: &IpAddr| !is_public(*ip) && ranges.iter().any(|range| range.contains(ip));
    match all.iter().find(|ip| !inside(ip)) {
        Some(outside) if is_public(*outside) => Err(format!(
            "it resolves to {outside}, which is public: a load balancer takes private targets only"
        )),
        Some(outside) => Err(format!(
            "it resolves to {outside}, which is outside `target_ranges` (by default the VPC's ranges)"
        )),
        None => Ok(all),
    }
}

/// Whether an address is publicly routable: what a target group never takes
/// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-register-targets.html>).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && (ip.octets()[1] & 0b1100_0000) == 64;
            !(ip.is_private() || shared)
        }
        // Addresses of a VPC's own IPv6 range are global, and yet targets.
        IpAddr::V6(_) => false,
    }
}

/// The zones that a port's targets are in, as far as they are known: by target.
pub(crate) fn zones(wanted: &Wanted, facts: &ServiceFacts) -> BTreeMap<TargetId, Option<String>> {
    let zone_of = |target: &TargetId| -> Option<String> {
        if let Some(zone) = &target.zone {
            return Some(zone.clone());
        }
        if let Some(instance) = facts.instances.get(&target.id) {
            return Some(instance.zone.clone());
        }
        let ip: IpAddr = target.id.parse().ok()?;
        let inside = |subnet: &&crate::facts::Subnet| subnet.cidr.is_some_and(|cidr| cidr.contains(&ip));
        facts.subnets.values().find(inside).map(|subnet| subnet.zone.clone())
    };
    wanted.targets.iter().map(|target| (target.clone(), zone_of(target))).collect()
}

/// Whether a load balancer's nodes send across zones, and if not, whose it is to turn that on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crossing {
    /// They do.
    On,
    /// The file says no.
    OffByFile,
    /// The user's own load balancer does not.
    OffByYou,
}

impl Crossing {
    /// What the file says of a load balancer of privnet's.
    pub(crate) fn of_file(cross_zone: bool) -> Self {
        if cross_zone { Self::On } else { Self::OffByFile }
    }

    /// What the user's own is seen to do; of one that is not there nothing is said.
    pub(crate) fn of_supplied(supplied: Option<&SuppliedLoadBalancer>) -> Self {
        if supplied.is_none_or(|there| there.cross_zone) { Self::On } else { Self::OffByYou }
    }

    /// How it is turned on. The file has no key for what is the user's own.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::On | Self::OffByFile => "set `cross_zone: true`",
            Self::OffByYou => "turn cross-zone load balancing on at your load balancer",
        }
    }
}

/// What is wrong with targets in zones that the load balancer does not have, when its nodes do not send across zones:
/// a refusal where nothing could ever arrive, else warnings.
pub(crate) fn check_zones(
    listen: &str,
    wanted: &mut Wanted,
    facts: &ServiceFacts,
    balancer_zones: &BTreeSet<String>,
    crossing: Crossing,
) {
    if crossing == Crossing::On || balancer_zones.is_empty() || wanted.targets.is_empty() {
        return;
    }
    let zones = zones(wanted, facts);
    let reachable = |zone: &Option<String>| {
        zone.as_ref().is_none_or(|zone| zone == ALL_ZONES || balancer_zones.contains(zone))
    };
    let balancer: Vec<_> = balancer_zones.iter().map(String::as_str).collect();
    let turn_on = crossing.advice();
    let advice = format!("{turn_on}, or give the load balancer a subnet in each of the targets' zones");
    if !zones.values().any(reachable) {
        wanted.refusals.push(format!(
            "no target of port {listen} is in a zone of the load balancer ({}), and its nodes do not send across zones: {advice}",
            balancer.join(", ")
        ));
        return;
    }
    for (target, zone) in zones.iter().filter(|(_, zone)| !reachable(zone)) {
        let zone = zone.as_deref().unwrap_or("an unknown zone");
        wanted.warnings.push(format!("{target} is in {zone}, where the load balancer has no node: {advice}"));
    }
    let served: BTreeSet<&String> = zones.values().flatten().collect();
    let everywhere = zones.values().any(|zone| zone.as_deref().is_none_or(|zone| zone == ALL_ZONES));
    for zone in balancer_zones.iter().filter(|zone| !everywhere && !served.contains(zone)) {
        wanted.warnings.push(format!(
            "port {listen} has no target in {zone}: a consumer in that zone gets no answer; {turn_on}, or give that zone a target"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(all: &[&str]) -> BTreeSet<IpNet> {
        all.iter().map(|range| range.parse().unwrap()).collect()
    }

    fn facts() -> ServiceFacts {
        ServiceFacts { vpc_ranges: ranges(&["10.0.0.0/16"]), ..ServiceFacts::default() }
    }

    fn name(samples: &[Result<&[&str], &str>]) -> ResolvedName {
        let samples = samples.iter().map(|sample| match sample {
            Ok(ips) => Sample::Addresses(ips.iter().map(|ip| ip.parse().unwrap()).collect()),
            Err(why) => Sample::Failed((*why).to_owned()),
        });
        ResolvedName { samples: samples.collect(), ..ResolvedName::of("db.example", "system") }
    }

    fn there(id: &str, state: &str) -> Registered {
        Registered { id: id.to_owned(), port: 5432, zone: None, state: state.to_owned(), reason: None }
    }

    fn resolve(samples: &[Result<&[&str], &str>], registered: &[Registered]) -> (Vec<String>, usize) {
        let facts = facts();
        let wanted = resolved(&name(samples), registered, &facts.vpc_ranges, 5432, &facts);
        (wanted.targets.iter().map(ToString::to_string).collect(), wanted.waits.len())
    }

    #[test]
    fn targets_read_back() {
        for text in ["10.0.1.5:5432", "10.9.0.1:5432@all", "[fd00::1]:1@us-east-1a", "i-0123456789abcdef0:80"]
        {
            assert_eq!(TargetId::parse(text).unwrap().to_string(), text);
        }
        let arn =
            "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/x/0123456789abcdef:443";
        assert_eq!(TargetId::parse(arn).unwrap().port, 443);
    }

    #[test]
    fn a_zone_is_told_only_outside_the_vpc() {
        let with = |id: &str, zone: &str| Registered { zone: Some(zone.to_owned()), ..there(id, "healthy") };
        let of = |registered: &Registered| TargetId::of(registered, &ranges(&["10.0.0.0/16"])).to_string();
        assert_eq!(of(&with("10.0.1.5", "us-east-1a")), "10.0.1.5:5432");
        assert_eq!(of(&with("10.9.1.5", "all")), "10.9.1.5:5432@all");
        assert_eq!(of(&with("10.9.1.5", "us-east-1a")), "10.9.1.5:5432@us-east-1a");
        assert_eq!(of(&with("i-1", "us-east-1a")), "i-1:5432");
        assert_eq!(address("10.9.1.5".parse().unwrap(), 1, &facts()).to_string(), "10.9.1.5:1@all");
    }

    #[test]
    fn a_new_address_is_added_and_the_old_one_stays_until_another_is_healthy() {
        let old = [there("10.0.1.5", "healthy")];
        assert_eq!(
            resolve(&[Ok(&["10.0.1.6"]), Ok(&["10.0.1.6"])], &old),
            (vec!["10.0.1.5:5432".into(), "10.0.1.6:5432".into()], 1)
        );
        let both = [there("10.0.1.5", "healthy"), there("10.0.1.6", "initial")];
        assert_eq!(resolve(&[Ok(&["10.0.1.6"]), Ok(&["10.0.1.6"])], &both).1, 1);
        let ready = [there("10.0.1.5", "unhealthy"), there("10.0.1.6", "healthy")];
        assert_eq!(
            resolve(&[Ok(&["10.0.1.6"]), Ok(&["10.0.1.6"])], &ready),
            (vec!["10.0.1.6:5432".into()], 0)
        );
    }

    /// The mapping goes to another port: a new group would send half of the sessions to the old one.
    #[test]
    fn what_is_registered_with_another_port_is_not_carried_over() {
        let old = [Registered { port: 5431, ..there("10.0.1.5", "healthy") }];
        assert_eq!(resolve(&[Ok(&["10.0.1.5"]), Ok(&["10.0.1.5"])], &old), (vec!["10.0.1.5:5432".into()], 0));
    }

    #[test]
    fn an_address_of_any_sample_is_there() {
        let both = [there("10.0.1.5", "healthy"), there("10.0.1.6", "healthy")];
        let (targets, waits) = resolve(&[Ok(&["10.0.1.5"]), Ok(&["10.0.1.6"])], &both);
        assert_eq!((targets.len(), waits), (2, 0));
    }

    /// Which name, how long its answers hold, and what to run.
    #[test]
    fn a_healthy_address_of_a_name_whose_answers_hold_long_stays_and_that_is_said() {
        let both = [there("10.0.1.5", "healthy"), there("10.0.1.6", "healthy")];
        let awaited = Awaited { absent: 1, demanded: 8, in_turn: false, holds: 300 };
        let name = ResolvedName {
            awaited: BTreeMap::from([("10.0.1.5".parse().unwrap(), awaited)]),
            ..name(&[Ok(&["10.0.1.6"]), Ok(&["10.0.1.6"])])
        };
        let facts = facts();
        let wanted = resolved(&name, &both, &facts.vpc_ranges, 5432, &facts);
        assert_eq!(wanted.targets.len(), 2);
        let [why] = &wanted.waits[..] else { panic!("{:?}", wanted.waits) };
        for told in [
            "10.0.1.5:5432 stays: db.example no longer resolves to it",
            "1 answer(s) of 8",
            "holds for 300 s",
            "`privnet watch` counts over its looks, and takes it out in about 35 min",
        ] {
            assert!(why.contains(told), "{told}: {why}");
        }
    }

    #[test]
    fn an_answer_that_cannot_be_trusted_changes_nothing() {
        let old = [there("10.0.1.5", "healthy"), there("10.0.1.9", "draining")];
        for samples in [
            [Ok(&[][..]), Ok(&["10.0.1.6"][..])],
            [Ok(&["10.0.1.6"][..]), Err("refused")],
            [Ok(&["10.0.1.6"][..]), Ok(&["10.7.0.1"][..])],
            [Ok(&["52.1.2.3"][..]), Ok(&["10.0.1.6"][..])],
        ] {
            assert_eq!(resolve(&samples, &old), (vec!["10.0.1.5:5432".into()], 1), "{samples:?}");
        }
    }

    #[test]
    fn advice_names_a_key_only_where_the_file_takes_it() {
        let told = |crossing: Crossing| {
            let mut wanted = Wanted {
                targets: [address("10.0.1.1".parse().unwrap(), 1, &facts())].into(),
                ..Wanted::default()
            };
            let subnet = crate::facts::Subnet {
                zone: "z1".to_owned(),
                zone_id: String::new(),
                cidr: Some("10.0.1.0/24".parse().unwrap()),
            };
            let facts = ServiceFacts { subnets: [("s1".to_owned(), subnet)].into(), ..facts() };
            let zones = ["z1", "z2"].map(str::to_owned).into();
            check_zones("1", &mut wanted, &facts, &zones, crossing);
            wanted.warnings.join("; ")
        };
        assert!(told(Crossing::OffByFile).contains("set `cross_zone: true`"));
        let yours = told(Crossing::OffByYou);
        assert!(yours.contains("z2") && yours.contains("at your load balancer"), "{yours}");
        assert!(!yours.contains("`cross_zone"), "{yours}");
    }

    #[test]
    fn zones_matter_only_without_cross_zone() {
        let mut facts = facts();
        let subnet = |zone: &str, cidr: &str| crate::facts::Subnet {
            zone: zone.to_owned(),
            zone_id: String::new(),
            cidr: Some(cidr.parse().unwrap()),
        };
        facts.subnets.insert("s1".into(), subnet("z1", "10.0.1.0/24"));
        facts.subnets.insert("s2".into(), subnet("z2", "10.0.2.0/24"));
        let targets = |ips: &[&str]| Wanted {
            targets: ips.iter().map(|ip| address(ip.parse().unwrap(), 1, &facts)).collect(),
            ..Wanted::default()
        };
        let check = |ips: &[&str], cross| {
            let mut wanted = targets(ips);
            let crossing = Crossing::of_file(cross);
            check_zones("1", &mut wanted, &facts, &BTreeSet::from(["z1".to_owned()]), crossing);
            (wanted.refusals.len(), wanted.warnings.len())
        };
        assert_eq!(check(&["10.0.2.1"], true), (0, 0));
        assert_eq!(check(&["10.0.2.1"], false), (1, 0));
        assert_eq!(check(&["10.0.1.1", "10.0.2.1"], false), (0, 1));
        assert_eq!(check(&["10.0.1.1"], false), (0, 0));
        assert_eq!(check(&["10.9.1.1"], false), (0, 0), "an address outside is reached from all zones");
    }
}
