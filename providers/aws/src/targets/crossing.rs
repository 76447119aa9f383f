//! In which zones targets are, and what does not arrive where a load balancer's nodes do not send across zones.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{ALL_ZONES, TargetId, Wanted};
use crate::facts::{ServiceFacts, SuppliedLoadBalancer};

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
    use crate::targets::address;
    use crate::targets::tests::facts;

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
