//! Edits after which a live consumer would no longer come through to a database: its endpoint stays, and its next session gets no answer.

use std::collections::BTreeSet;

use ipnet::IpNet;
use privnet_core::plan::{Refusal, Rule, SEVER};
use privnet_core::spec::ConsumerName;
use privnet_core::spec::aws::AwsMade;
use privnet_core::world::Connections;
use privnet_core::{Address, Live, Lowered, Value};

use crate::kinds::{load_balancer, security_group_rule};
use crate::lower::Lowering;
use crate::policy;

/// Who is connected, in words; nothing where nobody is.
pub(crate) fn live_consumers(lowering: &Lowering<'_>) -> Option<String> {
    let (_, connections) = lowering.world.ours_of(lowering.name())?;
    if let Connections::Unreadable { why } = connections {
        return Some(format!("its connections, which cannot be read ({why}) and are taken to be live"));
    }
    let live = connections.known().iter().filter(|connection| connection.state.may_be_live());
    let live: Vec<String> = live.map(|c| format!("{} ({})", c.id, c.who())).collect();
    (!live.is_empty()).then(|| live.join(", "))
}

/// A rule in a database's group that would go while sessions still come in by its port.
pub(crate) fn check_databases(lowering: &Lowering<'_>, made: &AwsMade, lowered: &mut Lowered) {
    let Some(consumers) = live_consumers(lowering) else { return };
    for closing in security_group_rule::ways_that_close(lowering, made, lowered) {
        let way = closing.way;
        let why = if closing.another_stays {
            format!(
                "{way}, and leaves `database_security_groups`: new sessions of {consumers} to a database that is in no other group of the \
                 file would get no answer",
            )
        } else {
            format!(
                "{way}, and no other group of `database_security_groups` does: new sessions of {consumers} would get no answer, unless a \
                 rule of your own lets them in",
            )
        };
        lowered.refusals.push(severs(lowering, &closing.address, why));
    }
}

/// Ranges that the inbound rules would let in no more, or for the first time not all of them.
pub(crate) fn check_inbound(lowering: &Lowering<'_>, ranges: &BTreeSet<IpNet>, lowered: &mut Lowered) {
    let Some(consumers) = live_consumers(lowering) else { return };
    let balancer = load_balancer::address(lowering.name());
    let here = |live: &&Live| live.is_ours() && live.scope == lowering.scope;
    let Some(live) = lowering.world.at(&balancer).filter(here) else { return };
    let wanted = IpNet::aggregate(&ranges.iter().copied().collect());
    let lets_in = |range: &IpNet| wanted.iter().any(|wanted| wanted.contains(range));
    // Where AWS does not tell, it is taken to be as the rules are.
    let enforces = live.fields.get("enforce_inbound") != Some(&Value::Bool(false));
    if enforces && security_group_rule::let_in_now(lowering).iter().all(lets_in) {
        return;
    }
    let unsure = unsure(lowering, &lets_in);
    if unsure.is_empty() {
        return;
    }
    let unsure: Vec<String> = unsure.into_iter().collect();
    let why = format!(
        "with these ranges in `enforce_inbound`, {} is not surely let in, while this is live: {consumers}; say where it comes from \
         (`cidrs` of the consumer), and let all of that in",
        unsure.join(", ")
    );
    lowered.refusals.push(severs(lowering, &balancer, why));
}

/// Whoever is connected and may be kept out: where that cannot be read, whoever may be.
fn unsure(lowering: &Lowering<'_>, lets_in: &impl Fn(&IpNet) -> bool) -> BTreeSet<String> {
    let of =
        |name: &ConsumerName| not_surely_let_in(lowering, name, lets_in).map(|why| format!("{name} {why}"));
    let Some((_, Connections::Known(known))) = lowering.world.ours_of(lowering.name()) else {
        return lowering.service.allow.keys().filter_map(of).collect();
    };
    let policy = policy::of(lowering.spec, lowering.service);
    let mut unsure = BTreeSet::new();
    for connection in known.iter().filter(|connection| connection.state.may_be_live()) {
        let consumers = policy.consumers.iter().filter(|c| !c.identities.is_disjoint(&connection.identities));
        let names: BTreeSet<&str> = consumers.map(|consumer| consumer.name.as_str()).collect();
        if names.is_empty() {
            unsure.insert(format!("{} (`allow` does not name it)", connection.id));
        }
        unsure.extend(
            lowering.service.allow.keys().filter(|name| names.contains(name.as_str())).filter_map(of),
        );
    }
    unsure
}

/// Why a consumer may be kept out; nothing where all that it comes from is let in.
fn not_surely_let_in(
    lowering: &Lowering<'_>,
    name: &ConsumerName,
    lets_in: &impl Fn(&IpNet) -> bool,
) -> Option<String> {
    let consumer = lowering.spec.consumers.get(name)?.aws.as_ref()?;
    if consumer.cidrs.is_empty() {
        return Some("(nothing says from where it comes)".to_owned());
    }
    let outside: Vec<String> =
        consumer.cidrs.iter().filter(|range| !lets_in(range)).map(ToString::to_string).collect();
    (!outside.is_empty()).then(|| format!("(it comes from {})", outside.join(", ")))
}

fn severs(lowering: &Lowering<'_>, address: &Address, why: String) -> Refusal {
    Refusal { flag: Some(SEVER.to_owned()), ..lowering.refusal(address, Rule::WouldSever, why) }
}
