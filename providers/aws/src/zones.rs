//! Zones of a load balancer in which nothing would answer on a port: without cross-zone traffic each node sends to targets of its own zone
//! only, and a consumer's endpoint in a zone without one is cut
//! (<https://repost.aws/knowledge-center/elb-dns-cross-zone-balance-configuration>). The owner of a service is not told in which zones a
//! consumer has its endpoints: it may be any.

use std::collections::BTreeSet;

use ipnet::IpNet;
use privnet_core::plan::{Refusal, Rule, SEVER};
use privnet_core::spec::aws::{AwsForm, AwsPort, AwsTarget};
use privnet_core::{Lowered, Value};

use crate::facts::{Registered, ServiceFacts};
use crate::forwarders;
use crate::kinds::load_balancer;
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
            unserved(port, facts, ranges, &zones)
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
            "the load balancer's nodes do not send across zones, and the file takes away the last target for {cut}: that would cut \
             {consumers}, if it comes in there; leave each zone a target"
        )
    };
    let flag = Some(SEVER.to_owned());
    lowered.refusals.push(Refusal { flag, ..lowering.refusal(&address, Rule::WouldSever, why) });
}

/// The zones in which nothing would answer on a port, if each node sent to targets of its own zone only: what is registered there is not
/// healthy now, or goes, or its zone is not known.
fn unserved(
    port: &AwsPort,
    facts: &ServiceFacts,
    ranges: Option<&BTreeSet<IpNet>>,
    zones: &BTreeSet<String>,
) -> BTreeSet<String> {
    let wanted = targets::wanted(port, facts, ranges);
    let stays = |there: &Registered| match targets::type_of(port) {
        TargetType::Forwarders => facts.machines.contains_key(&there.id),
        _ => wanted.targets.contains(&TargetId::of(there, &facts.vpc_ranges)),
    };
    let served = served(port, facts, stays);
    if served.contains(ALL_ZONES) { BTreeSet::new() } else { zones.difference(&served).cloned().collect() }
}

/// The zones in which something answers on a port, and for which the file gives no target any more. A target that comes is taken to work:
/// listeners turn, and old targets go, when new ones are healthy. What a name no longer resolves to is not the file's doing, and to go
/// on sending there would be the worse cut.
fn lost(
    lowering: &Lowering<'_>,
    port: &AwsPort,
    ranges: Option<&BTreeSet<IpNet>>,
    zones: &BTreeSet<String>,
) -> BTreeSet<String> {
    let facts = &lowering.facts;
    let wanted = targets::wanted(port, facts, ranges);
    let stay: BTreeSet<String> = match &port.port.to {
        AwsTarget::Dns(_) => return BTreeSet::new(),
        AwsTarget::Forwarder(_) => {
            let subnets = forwarders::of(lowering.aws).map(|machines| machines.subnets(facts));
            let subnets = subnets.into_iter().flatten();
            subnets.filter_map(|id| Some(facts.subnets.get(&id)?.zone.clone())).collect()
        }
        AwsTarget::Ips(_) | AwsTarget::Instances(_) | AwsTarget::Alb(_) => {
            targets::zones(&wanted, facts).into_values().flatten().collect()
        }
    };
    if stay.contains(ALL_ZONES) {
        return BTreeSet::new();
    }
    let now = served(port, facts, |_| true);
    let is_lost = |zone: &&String| now.contains(*zone) || now.contains(ALL_ZONES);
    zones.difference(&stay).filter(is_lost).cloned().collect()
}

/// The zones of the healthy targets of a port that are counted.
fn served(port: &AwsPort, facts: &ServiceFacts, counts: impl Fn(&Registered) -> bool) -> BTreeSet<String> {
    let there = facts.registered.get(&port.port.listen.to_string()).into_iter().flatten();
    let serving: Vec<&Registered> = there.filter(|target| target.is_healthy() && counts(target)).collect();
    let ids = serving.iter().map(|target| TargetId::of(target, &facts.vpc_ranges));
    let known = targets::zones(&Wanted { targets: ids.collect(), ..Wanted::default() }, facts);
    let zone = |there: &Registered| {
        let told = facts.machines.get(&there.id).or(there.zone.as_ref());
        told.cloned().or_else(|| known.get(&TargetId::of(there, &facts.vpc_ranges))?.clone())
    };
    serving.into_iter().filter_map(zone).collect()
}
