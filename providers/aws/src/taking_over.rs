//! Whether new targets can take over from those that serve: one of them is healthy, and where nodes send to targets of their own zone
//! only, one in each zone that is served now and stays served.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::Error;

use crate::balancing::{self, absent_is_none};
use crate::cloud::Cloud;
use crate::facts::Registered;
use crate::network;
use crate::targets::ALL_ZONES;
use crate::zones::taken_away;

/// As <https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#target-group-cross-zone> spells it:
/// a target group may say another thing than its load balancer.
pub(crate) const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";

/// The zones of registered targets as far as they are told, by id.
type Zones = BTreeMap<String, String>;

/// What serves before others take over.
pub(crate) struct Serving {
    /// The zones of the load balancer, where its nodes send to targets of their own zone only; none where they send to all.
    apart: BTreeSet<String>,
    /// The zones of what was healthy then.
    now: BTreeSet<Option<String>>,
}

impl Serving {
    /// What of these targets serves through a load balancer. `group` is the one that shall serve.
    pub(crate) async fn of(
        cloud: &Cloud<'_>,
        balancer: Option<&str>,
        group: &str,
        targets: &[Registered],
    ) -> Result<Self, Error> {
        let apart = match balancer {
            Some(balancer) => apart(cloud, balancer, group).await?,
            None => BTreeSet::new(),
        };
        let healthy: Vec<&Registered> = targets.iter().filter(|target| target.is_healthy()).collect();
        let zones = if apart.is_empty() { Zones::new() } else { zones_of(cloud, &healthy).await? };
        Ok(Self { apart, now: healthy.iter().map(|target| zones.get(&target.id).cloned()).collect() })
    }

    /// Whether zones are served each by itself.
    pub(crate) fn is_apart(&self) -> bool {
        !self.apart.is_empty()
    }

    /// What these targets lack for taking over, in words; nothing where they can. What serves `by_now` is held as what served before: it
    /// may have come back from an outage meanwhile.
    pub(crate) async fn lacking(
        &self,
        cloud: &Cloud<'_>,
        targets: &[&Registered],
        by_now: &[Registered],
    ) -> Result<Option<String>, Error> {
        if !self.is_apart() {
            return Ok(None);
        }
        let by_now: Vec<&Registered> = by_now.iter().filter(|target| target.is_healthy()).collect();
        let all: Vec<&Registered> = targets.iter().chain(&by_now).copied().collect();
        let zones = zones_of(cloud, &all).await?;
        let mut now = self.now.clone();
        now.extend(by_now.iter().map(|target| zones.get(&target.id).cloned()));
        let there: Vec<(Option<String>, bool)> =
            targets.iter().map(|target| (zones.get(&target.id).cloned(), target.is_healthy())).collect();
        let cut: Vec<String> = cut(&self.apart, &now, &there).into_iter().collect();
        Ok((!cut.is_empty()).then(|| {
            format!(
                "none that is healthy in {}, and the load balancer's nodes do not send across zones",
                cut.join(", ")
            )
        }))
    }
}

/// The zones of the load balancer that are served `now`, for which something is `there` that is to serve, and nothing of it healthy. What is
/// nowhere to be found for a zone was refused by the plan, or asked for in words.
fn cut(
    apart: &BTreeSet<String>,
    now: &BTreeSet<Option<String>>,
    there: &[(Option<String>, bool)],
) -> BTreeSet<String> {
    let anywhere = |zone: &Option<String>| zone.as_deref().is_none_or(|zone| zone == ALL_ZONES);
    let everywhere = there.iter().any(|(zone, _)| anywhere(zone));
    let named: BTreeSet<&String> = there.iter().filter_map(|(zone, _)| zone.as_ref()).collect();
    let meant = apart.iter().filter(|zone| everywhere || named.contains(zone)).cloned().collect();
    let healthy: Option<BTreeSet<String>> =
        there.iter().filter(|(_, healthy)| *healthy).map(|(zone, _)| zone.clone()).collect();
    taken_away(now, healthy.as_ref(), &meant)
}

/// The zones of a load balancer whose nodes send to targets of their own zone only; none where they send to those of all.
async fn apart(cloud: &Cloud<'_>, balancer: &str, group: &str) -> Result<BTreeSet<String>, Error> {
    let own = absent_is_none(balancing::target_group_attributes(cloud, group).await)?.unwrap_or_default();
    let crosses = match own.get(CROSS_ZONE).map(String::as_str) {
        Some("true") => true,
        Some("false") => false,
        _ => {
            let attributes = absent_is_none(balancing::load_balancer_attributes(cloud, balancer).await)?;
            attributes.is_none_or(|all| all.get(CROSS_ZONE).is_some_and(|value| value == "true"))
        }
    };
    if crosses {
        return Ok(BTreeSet::new());
    }
    let found = balancing::load_balancer(cloud, balancer).await?;
    let zones = found.into_iter().flat_map(|found| found.availability_zones.unwrap_or_default());
    Ok(zones.filter_map(|zone| zone.zone_name).collect())
}

/// Of an address AWS shows the zone, of an instance EC2.
async fn zones_of(cloud: &Cloud<'_>, targets: &[&Registered]) -> Result<Zones, Error> {
    let told = targets.iter().filter_map(|target| Some((target.id.clone(), target.zone.clone()?)));
    let mut zones: Zones = told.collect();
    let untold = targets.iter().map(|target| &target.id).filter(|id| id.starts_with("i-"));
    let instances: BTreeSet<String> = untold.filter(|id| !zones.contains_key(*id)).cloned().collect();
    for (id, instance) in network::instances(cloud, &instances).await? {
        let zone = instance.placement.and_then(|placement| placement.availability_zone);
        zones.extend(zone.map(|zone| (id, zone)));
    }
    Ok(zones)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Option<String> {
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// What of `z1` and `z2` is cut. Of targets that are there, a `+` says that one is healthy.
    fn of(now: &[&str], there: &[&str]) -> Vec<String> {
        let apart = ["z1", "z2"].map(str::to_owned).into();
        let now = now.iter().map(|name| zone(name)).collect();
        let there: Vec<_> =
            there.iter().map(|name| (zone(name.trim_end_matches('+')), name.ends_with('+'))).collect();
        cut(&apart, &now, &there).into_iter().collect()
    }

    #[test]
    fn a_zone_keeps_what_serves_it_until_what_is_there_for_it_is_healthy() {
        let none: [&str; 0] = [];
        assert_eq!(of(&["z1", "z2"], &["z1+", "z2"]), ["z2"]);
        assert_eq!(of(&["z1", "z2"], &["z1+", "z2", "z2+"]), none);
        assert_eq!(of(&["z1"], &["z1+", "z2"]), none, "nothing served z2");
        assert_eq!(of(&["z1", "z2"], &["z1+"]), none, "nothing is meant to serve z2");
        assert_eq!(of(&["z3"], &["z3"]), none, "where the load balancer has no node");
        assert_eq!(of(&["z1", "z2"], &["z1+", "all"]), ["z2"]);
        assert_eq!(of(&["z1", "z2"], &["z1", "all+"]), none);
        assert_eq!(of(&["all"], &["z1+", "z2"]), ["z2"]);
    }

    #[test]
    fn what_nobody_tells_the_zone_of_may_be_in_any() {
        let none: [&str; 0] = [];
        assert_eq!(of(&[""], &["z1+", "z2"]), ["z2"]);
        assert_eq!(of(&["z1", "z2"], &["z1", "+"]), none);
        assert_eq!(of(&["z1", "z2"], &["z1+", ""]), ["z2"]);
    }
}
