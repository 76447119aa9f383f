//! What a load balancer that privnet made carries for somebody else: rules on frontends that are not privnet's, and the pools and
//! probes that only these rules use. All of it stays as it is.

use serde::{Deserialize, Serialize};

use super::{FRONTEND, is_occupied};
use crate::arm::{Json, items, same_id, text};

/// Somebody else's part of a load balancer. Names are unique in each list, without case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Others {
    /// Rules of every sort on frontends that are not privnet's, by name.
    #[serde(default)]
    pub(crate) rules: Vec<String>,
    /// Those of them that are load balancing rules: a rule of privnet's cannot have such a name as well.
    #[serde(default)]
    pub(crate) balancing: Vec<String>,
    /// Pools that others' rules lead to, and privnet's own do not.
    #[serde(default)]
    pub(crate) pools: Vec<String>,
    /// Probes that others' rules ask, and privnet's own do not.
    #[serde(default)]
    pub(crate) probes: Vec<String>,
    /// Pools that others' rules lead to, and privnet's own too.
    #[serde(default)]
    pub(crate) shared_pools: Vec<String>,
    /// Probes that others' rules ask, and privnet's own too.
    #[serde(default)]
    pub(crate) shared_probes: Vec<String>,
    /// Pools that no rule leads to, and machines are in all the same: they go with the last of these, whosever they are.
    #[serde(default)]
    pub(crate) occupied: Vec<String>,
}

impl Others {
    /// Whether it carries nothing for anybody else.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Their rules, in words; nothing where there are none.
    pub(crate) fn named_rules(&self) -> Option<String> {
        (!self.rules.is_empty()).then(|| format!("the rule(s) `{}`", self.rules.join("`, `")))
    }

    /// Whether a pool is theirs alone.
    pub(crate) fn has_pool(&self, name: &str) -> bool {
        is_among(&self.pools, name)
    }

    /// Whether a probe is theirs alone.
    pub(super) fn has_probe(&self, name: &str) -> bool {
        is_among(&self.probes, name)
    }

    /// Whether a part of theirs has the name that a rule of privnet's and its probe would have.
    pub(super) fn takes_name(&self, rule: &str) -> bool {
        is_among(&self.balancing, rule) || self.has_probe(rule)
    }

    /// Whether a rule of theirs leads to the pool of this name.
    pub(super) fn uses_pool(&self, name: &str) -> bool {
        self.has_pool(name) || is_among(&self.shared_pools, name)
    }

    /// Whether a rule of theirs asks the probe of this name.
    pub(super) fn uses_probe(&self, name: &str) -> bool {
        self.has_probe(name) || is_among(&self.shared_probes, name)
    }
}

/// What carries traffic besides load balancing rules, and so uses frontends and pools too
/// (<https://learn.microsoft.com/azure/load-balancer/components>). A NAT pool is one rule for each machine of a scale set
/// (`InboundNatPoolPropertiesFormat`: a frontend and a range of its ports).
const MORE_RULES: [&str; 3] =
    ["properties.inboundNatRules", "properties.inboundNatPools", "properties.outboundRules"];

/// Reads it.
pub(crate) fn of(balancer: &Json) -> Others {
    let rules = || items(balancer, "properties.loadBalancingRules").iter();
    let more = || MORE_RULES.iter().flat_map(|sort| items(balancer, sort));
    let (own, theirs): (Vec<&Json>, Vec<&Json>) = rules().partition(|rule| is_own(rule));
    let balancing = theirs.iter().filter_map(|rule| text(rule, "name")).map(str::to_owned).collect();
    let theirs: Vec<&Json> = theirs.into_iter().chain(more()).collect();
    let names = |part: &str, uses: fn(&Json, &str) -> bool, ours_too: bool| {
        let parts = items(balancer, part).iter().filter(|part| {
            let id = text(part, "id").unwrap_or_default();
            let used = |by: &[&Json]| by.iter().any(|rule| uses(rule, id));
            !id.is_empty() && used(&theirs) && used(&own) == ours_too
        });
        parts.filter_map(|part| text(part, "name")).map(str::to_owned).collect()
    };
    let elsewhere = theirs.iter().filter(|rule| frontends(rule).any(|frontend| !is_ours(frontend)));
    Others {
        rules: elsewhere.filter_map(|rule| text(rule, "name")).map(str::to_owned).collect(),
        balancing,
        pools: names("properties.backendAddressPools", leads_to, false),
        probes: names("properties.probes", asks, false),
        shared_pools: names("properties.backendAddressPools", leads_to, true),
        shared_probes: names("properties.probes", asks, true),
        occupied: items(balancer, "properties.backendAddressPools")
            .iter()
            .filter(|pool| {
                let id = text(pool, "id").unwrap_or_default();
                is_occupied(pool) && !own.iter().chain(&theirs).any(|rule| leads_to(rule, id))
            })
            .filter_map(|pool| text(pool, "name"))
            .map(str::to_owned)
            .collect(),
    }
}

/// Whether a load balancing rule is on privnet's frontend.
pub(super) fn is_own(rule: &Json) -> bool {
    frontends(rule).all(is_ours)
}

/// The load balancing rules on privnet's frontend.
pub(crate) fn own_rules(balancer: &Json) -> impl Iterator<Item = &Json> {
    items(balancer, "properties.loadBalancingRules").iter().filter(|rule| is_own(rule))
}

/// Whether one of these names is this one: ARM's match without case.
fn is_among(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The frontends of a rule, by id: an outbound rule may have several.
fn frontends(rule: &Json) -> impl Iterator<Item = &str> {
    let one = text(rule, "properties.frontendIPConfiguration.id");
    let several = items(rule, "properties.frontendIPConfigurations").iter().filter_map(|f| text(f, "id"));
    one.into_iter().chain(several)
}

fn is_ours(frontend: &str) -> bool {
    frontend.rsplit('/').next().is_some_and(|name| name.eq_ignore_ascii_case(FRONTEND))
}

/// Whether a rule leads to the pool of this id.
pub(super) fn leads_to(rule: &Json, pool: &str) -> bool {
    let one = text(rule, "properties.backendAddressPool.id");
    let mut several = items(rule, "properties.backendAddressPools").iter().filter_map(|p| text(p, "id"));
    one.is_some_and(|id| same_id(id, pool)) || several.any(|id| same_id(id, pool))
}

fn asks(rule: &Json, probe: &str) -> bool {
    text(rule, "properties.probe.id").is_some_and(|id| same_id(id, probe))
}
