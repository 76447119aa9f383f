//! Zones of a load balancer in which nothing would answer on a port: without cross-zone traffic each node sends to targets of its own zone
//! only, and a consumer's endpoint in a zone without one is cut
//! (<https://repost.aws/knowledge-center/elb-dns-cross-zone-balance-configuration>). The owner of a service is not told in which zones a
//! consumer has its endpoints: it may be any.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use privnet_core::plan::{Refusal, Rule, SEVER};
use privnet_core::spec::aws::{AwsForm, AwsPort, AwsTarget};
use privnet_core::{Lowered, Value};

use crate::facts::{Registered, ServiceFacts};
use crate::forwarders;
use crate::kinds::{load_balancer, target_group};
use crate::lower::Lowering;
use crate::reach::live_consumers;
use crate::snapshot::ports;
use crate::targets::{self, ALL_ZONES, TargetId, TargetType, Wanted};

/// Refuses what would take a live consumer's zone its targets: `cross_zone` turned off where a zone has none that is healthy, and where
/// it is off already, the last target of a zone taken away.
pub(crate) fn check(lowering: &Lowering<'_>, lowered: &mut Lowered) {
    let facts = &lowering.facts;
    let address = load_balancer::address(lowering.name());
    let (settings, crossed, zones) = match &lowering.aws.form {
        AwsForm::Made(made) => {
            let live = lowering.world.at(&address).filter(|live| live.is_ours());
            let Some(live) = live.filter(|_| !made.load_balancer.cross_zone) else { return };
            let subnets = made.subnets.iter().filter_map(|id| facts.subnets.get(id.as_str()));
            let zones: BTreeSet<String> = subnets.map(|subnet| subnet.zone.clone()).collect();
            (&made.targets, live.fields.get("cross_zone") == Some(&Value::Bool(true)), zones)
        }
        AwsForm::OnLoadBalancer(on) => {
            let Some(supplied) = facts.supplied.as_ref().filter(|supplied| !supplied.cross_zone) else {
                return;
            };
            (&on.targets, false, supplied.zones.keys().cloned().collect())
        }
        AwsForm::EndpointService(_) | AwsForm::Removed => return,
    };
    let Some(consumers) = live_consumers(lowering) else { return };
    let ranges = settings.target_ranges.as_ref();
    let cut = ports(lowering.aws).iter().filter_map(|port| {
        let without = if crossed {
            unserved(lowering, port, ranges, &zones)
        } else {
            lost(lowering, port, ranges, &zones)
        };
        let without: Vec<String> = without.into_iter().collect();
        (!without.is_empty()).then(|| format!("port {} in {}", port.port.listen, without.join(", ")))
    });
    let cut: Vec<String> = cut.collect();
    if cut.is_empty() {
        return;
    }
    let cut = cut.join(", for ");
    let why = if crossed {
        format!(
            "with `cross_zone: false` each zone has its own targets only, and there is no healthy one for {cut}: that would cut {consumers}, \
             if it comes in there; give each zone a target first, and turn `cross_zone` off when it is healthy"
        )
    } else {
        format!(
            "the load balancer's nodes do not send across zones, and the file leaves no target, or none for sure, for {cut}: that would cut \
             {consumers}, if it comes in there; leave each zone a target, and forwarders a `count` of one for each zone"
        )
    };
    let flag = Some(SEVER.to_owned());
    lowered.refusals.push(Refusal { flag, ..lowering.refusal(&address, Rule::WouldSever, why) });
}

/// The zones in which nothing would answer on a port, if each node sent to targets of its own zone only: what is registered there is not
/// healthy now, or goes, or its zone is not known.
fn unserved(
    lowering: &Lowering<'_>,
    port: &AwsPort,
    ranges: Option<&BTreeSet<IpNet>>,
    zones: &BTreeSet<String>,
) -> BTreeSet<String> {
    let facts = &lowering.facts;
    let wanted = targets::wanted(port, facts, ranges);
    let of_forwarders = targets::type_of(port) == TargetType::Forwarders;
    let stays = |there: &Registered| match of_forwarders {
        true => facts.machines.contains_key(&there.id),
        false => wanted.targets.contains(&TargetId::of(there, &facts.vpc_ranges)),
    };
    let mut served: BTreeSet<String> = served(port, facts, stays).into_iter().flatten().collect();
    if of_forwarders {
        let surely = forwarders::zones_surely(lowering);
        served.retain(|zone| surely.contains(zone));
    }
    if served.contains(ALL_ZONES) { BTreeSet::new() } else { zones.difference(&served).cloned().collect() }
}

/// The zones in which something answers on a port, and for which the file gives no target any more. A target that comes is taken to work:
/// listeners turn, and old targets go, when new ones are healthy. What a name no longer resolves to is not the file's doing, and to go
/// on sending there would be the worse cut; where the port led to instances or forwarders before, that it leads to a name is.
fn lost(
    lowering: &Lowering<'_>,
    port: &AwsPort,
    ranges: Option<&BTreeSet<IpNet>>,
    zones: &BTreeSet<String>,
) -> BTreeSet<String> {
    let facts = &lowering.facts;
    let wanted = targets::wanted(port, facts, ranges);
    let stay: Option<BTreeSet<String>> = match &port.port.to {
        AwsTarget::Dns(_) if follows_name(lowering, port) => return BTreeSet::new(),
        AwsTarget::Forwarder(_) => Some(forwarders::zones_surely(lowering)),
        AwsTarget::Ips(_) | AwsTarget::Instances(_) | AwsTarget::Alb(_) | AwsTarget::Dns(_) => {
            let told: BTreeMap<TargetId, &String> = registered(port, facts)
                .filter_map(|there| Some((TargetId::of(there, &facts.vpc_ranges), there.zone.as_ref()?)))
                .collect();
            let zones = targets::zones(&wanted, facts).into_iter();
            zones.map(|(target, zone)| zone.or_else(|| told.get(&target).copied().cloned())).collect()
        }
    };
    taken_away(&served(port, facts, |_| true), stay.as_ref(), zones)
}

/// Whether a port that leads to a name may have led to it before, as far as what is there tells: its members are addresses.
fn follows_name(lowering: &Lowering<'_>, port: &AwsPort) -> bool {
    let address = target_group::address(lowering.name(), &port.port.listen.to_string());
    let mut there = lowering.world.live.ours_at(&address);
    there.any(target_group::has_addresses)
}

/// The zones that are served now and will not be. Where nobody tells the zone of what stays, it may be any, and none is taken away as far
/// as can be told; where nobody tells the zone of what serves now (an instance that the file no longer names), each may be.
pub(crate) fn taken_away(
    now: &BTreeSet<Option<String>>,
    stay: Option<&BTreeSet<String>>,
    zones: &BTreeSet<String>,
) -> BTreeSet<String> {
    let everywhere = Some(ALL_ZONES.to_owned());
    let Some(stay) = stay.filter(|stay| !stay.contains(ALL_ZONES)) else { return BTreeSet::new() };
    let is_served = |zone: &&String| {
        [None, everywhere.clone(), Some((*zone).clone())].iter().any(|one| now.contains(one))
    };
    zones.difference(stay).filter(is_served).cloned().collect()
}

/// What is registered for a port.
fn registered<'a>(port: &AwsPort, facts: &'a ServiceFacts) -> impl Iterator<Item = &'a Registered> + use<'a> {
    facts.registered.get(&port.port.listen.to_string()).into_iter().flatten()
}

/// The zones of the healthy targets of a port that are counted, as far as they are known.
fn served(
    port: &AwsPort,
    facts: &ServiceFacts,
    counts: impl Fn(&Registered) -> bool,
) -> BTreeSet<Option<String>> {
    let there = registered(port, facts);
    let serving: Vec<&Registered> = there.filter(|target| target.is_healthy() && counts(target)).collect();
    let ids = serving.iter().map(|target| TargetId::of(target, &facts.vpc_ranges));
    let known = targets::zones(&Wanted { targets: ids.collect(), ..Wanted::default() }, facts);
    let zone = |there: &Registered| {
        let told = facts.machines.get(&there.id).or(there.zone.as_ref());
        told.cloned().or_else(|| known.get(&TargetId::of(there, &facts.vpc_ranges))?.clone())
    };
    serving.into_iter().map(zone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|one| (*one).to_owned()).collect()
    }

    #[test]
    fn a_zone_is_taken_away_that_something_serves_now_and_nothing_will() {
        let zones = texts(&["a", "b"]);
        let now = |all: &[Option<&str>]| all.iter().map(|zone| zone.map(str::to_owned)).collect();
        let away = |all: &[Option<&str>], stay: Option<&[&str]>| {
            taken_away(&now(all), stay.map(texts).as_ref(), &zones)
        };
        assert_eq!(away(&[Some("a"), Some("b")], Some(&["a"])), texts(&["b"]));
        assert_eq!(away(&[Some("a")], Some(&["a"])), texts(&[]), "nobody was served there");
        assert_eq!(
            away(&[Some("a"), None], Some(&["a"])),
            texts(&["b"]),
            "an instance whose zone nobody tells"
        );
        assert_eq!(away(&[Some(ALL_ZONES)], Some(&["a"])), texts(&["b"]));
        assert_eq!(away(&[Some("a"), Some("b")], Some(&["a", ALL_ZONES])), texts(&[]));
        assert_eq!(
            away(&[Some("a"), Some("b")], None),
            texts(&[]),
            "addresses whose zones nobody tells, as IPv6 ones"
        );
    }
}
