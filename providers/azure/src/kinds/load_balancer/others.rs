//! What a load balancer that privnet made carries for somebody else: rules on frontends that are not privnet's, and the pools and
//! probes that only these rules use. All of it stays as it is.

use serde::{Deserialize, Serialize};

use super::{FRONTEND, is_occupied};
use crate::arm::{Json, items, same_id, text};
use crate::ownership;
use crate::snapshot::Snapshot;

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

    /// Forgets the machines of groups that are there no more. Lists are read side by side: of a group that goes meanwhile the load balancer
    /// may show the machines, and the list of groups nothing. Nothing takes these out of their pool, which would stay with nobody in it
    /// until the run after this one.
    pub(super) fn forget_gone(&mut self, balancer: &Json, snapshot: &Snapshot<'_>) {
        self.occupied.retain(|name| {
            let mut pools = items(balancer, "properties.backendAddressPools").iter();
            let pool =
                pools.find(|pool| text(pool, "name").is_some_and(|own| own.eq_ignore_ascii_case(name)));
            let machines = pool.map_or(&[][..], |pool| items(pool, "properties.backendIPConfigurations"));
            machines.iter().any(|machine| !is_of_gone(machine, balancer, snapshot))
        });
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

/// Whether a machine is of a group of the same service's that is not listed: its name tells, for a group that is gone has no tags. Of
/// other groups the lists do not tell that they have gone.
fn is_of_gone(machine: &Json, balancer: &Json, snapshot: &Snapshot<'_>) -> bool {
    let id = text(machine, "id").unwrap_or_default().to_lowercase();
    let Some((place, rest)) = id.split_once("/virtualmachinescalesets/") else { return false };
    let name = rest.split('/').next().unwrap_or_default();
    let group = format!("{place}/virtualmachinescalesets/{name}");
    let service = ownership::service_in(name);
    service.is_some()
        && service == text(balancer, "name").and_then(ownership::service_in)
        && crate::scope::of_id(&group) == snapshot.scope
        && !snapshot.scale_sets.iter().any(|there| text(there, "id").is_some_and(|id| same_id(id, &group)))
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use privnet_core::{Address, Generation};
    use serde_json::json;

    use super::*;
    use crate::fields;
    use crate::kinds::load_balancer::{self, LoadBalancer};

    const GROUP: &str =
        "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachineScaleSets";

    /// The pools that count as occupied, of a load balancer whose pool without a rule has these groups' machines, where these are listed.
    fn occupied(machines: &[&str], listed: &[&str]) -> Vec<String> {
        let address = load_balancer::address("orders");
        let tags = ownership::all_tags(&BTreeMap::new(), "data", &address, Generation::A, &BTreeMap::new());
        let name = ownership::cloud_name("data", &address, Generation::A);
        let id =
            format!("/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/loadBalancers/{name}");
        let machine = |group: &&str| json!({"id": format!("{group}/virtualMachines/0/networkInterfaces/nic/ipConfigurations/ip")});
        let machines: Vec<Json> = machines.iter().map(machine).collect();
        let pool = json!({"id": format!("{id}/backendAddressPools/forwarder"), "name": "forwarder",
            "properties": {"backendIPConfigurations": machines}});
        let mut snapshot = Snapshot::new("data", crate::scope::of("s", "rg"), Vec::new());
        snapshot.load_balancers = vec![
            json!({"id": id, "name": name, "tags": tags, "properties": {"backendAddressPools": [pool]}}),
        ];
        snapshot.scale_sets = listed.iter().map(|id| json!({"id": id})).collect();
        let live = load_balancer::live(&snapshot);
        fields::typed::<LoadBalancer>("k", &live[0].fields).unwrap().others.occupied
    }

    #[test]
    fn machines_of_a_group_that_went_while_the_lists_were_read_hold_no_pool() {
        let named = |service: &str, generation| {
            let address = Address::new(service, "scale-set", "fwd");
            format!("{GROUP}/{}", ownership::cloud_name("data", &address, generation))
        };
        let (own, other) = (named("orders", Generation::A), named("orders", Generation::B));
        let theirs = format!("{GROUP}/theirs");
        assert_eq!(occupied(&[&own], &[]), [""; 0]);
        assert_eq!(occupied(&[&own, &other], &[&theirs]), [""; 0]);
        // One that is there goes with an action of its own, after which the pool goes too.
        assert_eq!(occupied(&[&own], &[&own.to_uppercase()]), ["forwarder"]);
        assert_eq!(occupied(&[&own, &other], &[&other]), ["forwarder"]);
        // What somebody else's are is not told by lists of privnet's things.
        assert_eq!(occupied(&[&theirs], &[]), ["forwarder"]);
        assert_eq!(occupied(&[&own, &theirs], &[]), ["forwarder"]);
        assert_eq!(occupied(&[&named("billing", Generation::A)], &[]), ["forwarder"]);
        let elsewhere = own.replace("/rg/", "/rg-2/");
        assert_eq!(occupied(&[&elsewhere], &[]), ["forwarder"]);
    }
}
