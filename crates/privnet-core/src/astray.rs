//! Where what consumers connect to is not to be found, although that is not for want of an apply: nobody's request could be seen there, and
//! it is not said that there is none. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::resource::{Address, Live, Origin, Ownership};
use crate::world::{Connections, Desired, ServiceIntent, World};

/// The services of the file, but for its tombstones, of which what consumers connect to is not there although the file names it, or is not
/// proved to be privnet's; and which of it, in words. What is refused, or cannot be read, is told as that.
#[must_use]
pub fn astray(desired: &Desired, world: &World) -> BTreeMap<String, String> {
    let refused: BTreeSet<&str> =
        world.refusals.iter().map(|refusal| refusal.address.service.as_str()).collect();
    let is_unseen = |intent: &&ServiceIntent| {
        let seen = world.services.get(&intent.name).map(|seen| &seen.connections);
        !intent.remove
            && matches!(seen, Some(Connections::NotExposed))
            && !refused.contains(intent.name.as_str())
    };
    let asked: Vec<&ServiceIntent> = desired.services.values().filter(is_unseen).collect();
    // One look at what there is: a file may have thousands of services.
    let exposed: BTreeMap<&str, &Address> =
        asked.iter().map(|intent| (intent.name.as_str(), &intent.exposed)).collect();
    let is_it = |address: &Address| {
        exposed.get(address.service.as_str()).is_some_and(|exposed| exposed.kind == address.kind)
    };
    let named = desired.resources.iter().filter(|resource| resource.origin == Origin::Supplied);
    let named: BTreeSet<&str> = named
        .map(|resource| &resource.address)
        .filter(|address| is_it(address))
        .map(|address| address.service.as_str())
        .collect();
    let found = asked.into_iter().filter_map(|intent| {
        let there = || world.live.of(&intent.name).iter().filter(|live| is_it(&live.address));
        let is_named = named.contains(intent.name.as_str());
        let serves = |live: &&Live| match live.ownership {
            Ownership::Supplied => true,
            Ownership::Ours => !is_named,
            Ownership::Unproven { .. } => false,
        };
        if there().any(|live| serves(&live)) {
            return None;
        }
        let why = match is_named {
            true => NOT_THERE.to_owned(),
            false => there().find_map(unproven)?,
        };
        Some((intent.name.clone(), why))
    });
    found.collect()
}

/// What the file names for consumers to connect to is not there.
pub const NOT_THERE: &str =
    "what the file names for its consumers to connect to is not there: look at the id in the file";

/// That something has the name of what consumers connect to, and why it is not taken for it.
fn unproven(live: &Live) -> Option<String> {
    let Ownership::Unproven { why, mend } = &live.ownership else { return None };
    let mend = mend.as_deref().unwrap_or("if privnet made it, put its proof back as it was");
    Some(format!(
        "what consumers connect to is not proved to be privnet's: {} stands in its place, but {why}: {mend}",
        live.id
    ))
}

impl World {
    /// Why something that has the name of this is not taken for it, where that is all that is there of it.
    #[must_use]
    pub fn why_not_taken(&self, address: &Address) -> Option<String> {
        let mut there = self.live.of(&address.service).iter().filter(|live| live.address == *address);
        there.find_map(unproven).filter(|_| self.at(address).is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::ServicePolicy;
    use crate::plan::{Refusal, Rule};
    use crate::resource::{Health, Resource, Scope};
    use crate::world::ServiceWorld;

    fn at(name: &str) -> Address {
        Address::new("orders", "svc", name)
    }

    /// A service whose file names what consumers connect to, or does not.
    fn desired(named: bool, remove: bool) -> Desired {
        let scope = Scope("toy/1".to_owned());
        let policy = ServicePolicy { service: "orders".to_owned(), consumers: Vec::new(), shared: false };
        let intent = ServiceIntent {
            name: "orders".to_owned(),
            cloud: "toy",
            scope: scope.clone(),
            remove,
            policy,
            exposed: at("main"),
            listens: BTreeSet::new(),
        };
        let (name, origin) = if named { ("yours", Origin::Supplied) } else { ("main", Origin::Owned) };
        let resource =
            Resource { address: at(name), scope, origin, fields: BTreeMap::new(), needs: BTreeSet::new() };
        Desired {
            services: [("orders".to_owned(), intent)].into(),
            resources: vec![resource],
            ..Desired::default()
        }
    }

    fn world(live: &[(&str, Ownership)], connections: Connections) -> World {
        let of = |(name, ownership): &(&str, Ownership)| Live {
            address: at(name),
            generation: None,
            scope: Scope("toy/1".to_owned()),
            id: format!("svc-{name}"),
            ownership: ownership.clone(),
            fields: BTreeMap::new(),
            outputs: BTreeMap::new(),
            health: Health::Ready,
        };
        let seen = ServiceWorld { connections, ..ServiceWorld::default() };
        World {
            live: live.iter().map(of).collect(),
            services: [("orders".to_owned(), seen)].into(),
            ..World::default()
        }
    }

    #[test]
    fn what_is_named_and_not_there_and_what_is_not_proved_is_told() {
        let unproven = || Ownership::Unproven { why: "it has no tag".to_owned(), mend: None };
        let nothing = || Connections::NotExposed;
        let told = |named, world: &World| astray(&desired(named, false), world).remove("orders");
        assert_eq!(told(true, &world(&[], nothing())).as_deref(), Some(NOT_THERE));
        // What privnet made before the file named another one is not that one.
        assert!(told(true, &world(&[("main", Ownership::Ours)], nothing())).is_some());
        assert_eq!(told(true, &world(&[("yours", Ownership::Supplied)], nothing())), None);
        // What was not made yet is nobody's mistake.
        assert_eq!(told(false, &world(&[], nothing())), None);
        let lost = world(&[("main", unproven())], nothing());
        let why = told(false, &lost).unwrap();
        assert!(why.contains("svc-main stands in its place, but it has no tag"), "{why}");
        assert_eq!(lost.why_not_taken(&at("main")), Some(why));
        assert_eq!(told(false, &world(&[("main", unproven()), ("main", Ownership::Ours)], nothing())), None);
        assert!(astray(&desired(true, true), &world(&[], nothing())).is_empty(), "a tombstone");
    }

    #[test]
    fn what_cannot_be_read_or_is_refused_is_told_as_that() {
        let unreadable = Connections::Unreadable { why: "denied".to_owned() };
        assert!(astray(&desired(true, false), &world(&[], unreadable)).is_empty());
        let mut refused = world(&[], Connections::NotExposed);
        refused.refusals.push(Refusal {
            address: at("main"),
            rule: Rule::Unobserved,
            why: "denied".to_owned(),
            flag: None,
        });
        assert!(astray(&desired(true, false), &refused).is_empty());
    }
}
