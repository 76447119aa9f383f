//! What a name's answers make of a port's targets. A name's addresses move (a failover of a database). Adding an address is always an
//! action; taking one away only when no sample has it and another target is healthy. Where the answers cannot be trusted nothing is
//! done, and the user is told what to do.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{TargetId, Wanted, address};
use crate::facts::{Awaited, Registered, ResolvedName, Sample, ServiceFacts};

/// The addresses that are registered and stay. An instance is of the port as it was before it led to a name, and no group has both.
fn kept(registered: &[Registered], facts: &ServiceFacts) -> BTreeSet<TargetId> {
    let is_address = |target: &&Registered| target.id.parse::<IpAddr>().is_ok();
    let staying = registered.iter().filter(|target| !target.is_leaving()).filter(is_address);
    staying.map(|target| TargetId::of(target, &facts.vpc_ranges)).collect()
}

/// The same addresses with the port that the mapping leads to now.
pub(super) fn kept_with(registered: &[Registered], port: i64, facts: &ServiceFacts) -> BTreeSet<TargetId> {
    kept(registered, facts).into_iter().map(|target| TargetId { port, ..target }).collect()
}

/// The targets of a name.
pub(super) fn resolved(
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::targets::tests::{facts, there};

    fn name(samples: &[Result<&[&str], &str>]) -> ResolvedName {
        let samples = samples.iter().map(|sample| match sample {
            Ok(ips) => Sample::Addresses(ips.iter().map(|ip| ip.parse().unwrap()).collect()),
            Err(why) => Sample::Failed((*why).to_owned()),
        });
        ResolvedName { samples: samples.collect(), ..ResolvedName::of("db.example", "system") }
    }

    fn resolve(samples: &[Result<&[&str], &str>], registered: &[Registered]) -> (Vec<String>, usize) {
        let facts = facts();
        let wanted = resolved(&name(samples), registered, &facts.vpc_ranges, 5432, &facts);
        (wanted.targets.iter().map(ToString::to_string).collect(), wanted.waits.len())
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
}
