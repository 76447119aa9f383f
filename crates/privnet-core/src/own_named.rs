//! What a file names as there already, though this deployment made it: it would be one service's to make and take away, and another's to
//! leave alone; and whoever the rule of the one keeps out, that of the other could let in.

use std::collections::BTreeMap;

use crate::plan::{Refusal, Rule};
use crate::resource::{Address, Live, Ownership};
use crate::world::{Held, World};

impl World {
    /// Refuses the services that name what this deployment made: nothing is planned for them and nobody is let in by their rule. What they
    /// name is not taken away, with no word.
    pub fn refuse_own_names(&mut self) {
        for (address, id, maker) in self.own_named() {
            let service = &address.service;
            let is_said = |refusal: &Refusal| {
                refusal.address.service == *service
                    && refusal.rule == Rule::Unsuitable
                    && refusal.flag.is_none()
            };
            if !self.refusals.iter().any(is_said) {
                let why = own_name(&id, &maker, service);
                self.refusals.push(Refusal {
                    address: address.clone(),
                    rule: Rule::Unsuitable,
                    why,
                    flag: None,
                });
            }
            let why = format!(
                "the file names {id} as there already, for the service `{service}`: take that out of the file first"
            );
            self.services.remove(service);
            self.former.remove(service);
            self.held.entry(id).or_insert(Held { why, with_parts: false });
        }
    }

    /// Under which address something of ours is named, its id as it was found, and the service that it was made for.
    fn own_named(&self) -> Vec<(Address, String, String)> {
        let key = |live: &Live| (live.address.kind.to_string(), live.id.to_lowercase());
        let supplied: BTreeMap<_, &Address> = self
            .live
            .iter()
            .filter(|live| live.ownership == Ownership::Supplied)
            .map(|live| (key(live), &live.address))
            .collect();
        if supplied.is_empty() {
            return Vec::new();
        }
        let ours = self.live.iter().filter(|live| live.is_ours());
        let found = ours.filter_map(|live| {
            let address = *supplied.get(&key(live))?;
            Some((address.clone(), live.id.clone(), live.address.service.clone()))
        });
        found.collect()
    }
}

/// Why what a file names is none of the user's own.
#[must_use]
pub fn own_name(id: &str, maker: &str, service: &str) -> String {
    let for_whom =
        if maker == service { "this service".to_owned() } else { format!("the service `{maker}`") };
    format!(
        "`existing` names {id}, which privnet made for {for_whom}: leave that service as it was, or name one of your own"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Health, Scope};
    use crate::world::ServiceWorld;

    fn live(service: &str, name: &str, id: &str, ownership: Ownership) -> Live {
        Live {
            address: Address::new(service, "attachment", name),
            generation: None,
            scope: Scope("toy/1".to_owned()),
            id: id.to_owned(),
            ownership,
            fields: BTreeMap::new(),
            outputs: BTreeMap::new(),
            health: Health::Ready,
        }
    }

    fn world(live: Vec<Live>) -> World {
        let services = live.iter().map(|live| (live.address.service.clone(), ServiceWorld::default()));
        World { services: services.collect(), live: live.into(), ..World::default() }
    }

    #[test]
    fn what_the_deployment_made_is_none_of_the_users_own() {
        // Ids are compared without case: Azure spells them as it likes.
        let mut seen = world(vec![
            live("billing", "yours", "PN-orders-A", Ownership::Supplied),
            live("orders", "main", "pn-orders-a", Ownership::Ours),
            live("other", "yours", "theirs", Ownership::Supplied),
        ]);
        seen.refuse_own_names();
        let [refusal] = &*seen.refusals else { panic!("{:?}", seen.refusals) };
        assert_eq!((refusal.address.service.as_str(), refusal.rule), ("billing", Rule::Unsuitable));
        assert!(refusal.why.contains("the service `orders`") && refusal.flag.is_none(), "{refusal:?}");
        assert!(!seen.services.contains_key("billing"), "nobody is let in by its rule");
        assert!(seen.services.contains_key("orders") && seen.services.contains_key("other"));
        assert!(seen.held["pn-orders-a"].why.contains("`billing`"));
        // It is said once.
        seen.refuse_own_names();
        assert_eq!(seen.refusals.len(), 1);
    }

    #[test]
    fn a_service_does_not_name_what_was_made_for_it() {
        let mut seen = world(vec![
            live("orders", "yours", "pn-orders-a", Ownership::Supplied),
            live("orders", "main", "pn-orders-a", Ownership::Ours),
        ]);
        seen.refuse_own_names();
        assert!(seen.refusals[0].why.contains("this service"), "{:?}", seen.refusals);
        assert!(seen.held.contains_key("pn-orders-a"));
    }
}
