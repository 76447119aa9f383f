//! Where nobody could see who is connected, or asks to be.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::astray::astray;
use privnet_core::world::Connections;

use crate::session::Planned;

impl Planned {
    /// The services of the file whose connections could not be read, or of which what consumers connect to is not to be found, and why not:
    /// nothing can be decided there. Those of a cloud that could
    /// not be observed at all, and those that the plan refuses, are told as that.
    #[must_use]
    pub fn unread(&self) -> Vec<(String, String)> {
        let mut unread: BTreeMap<&str, &str> = BTreeMap::new();
        for (service, seen) in &self.world.services {
            if let Connections::Unreadable { why } = &seen.connections
                && self.desired.services.contains_key(service)
            {
                unread.insert(service, why);
            }
        }
        // Whoever could not be looked at is not among what was seen; or is, with nothing, where its place is not there.
        for refusal in self.world.refusals.iter().filter(|refusal| !self.is_told(&refusal.address.service)) {
            let service = refusal.address.service.as_str();
            let seen = self.world.services.get(service);
            if seen.is_none_or(|seen| matches!(seen.connections, Connections::NotExposed)) {
                unread.entry(service).or_insert(&refusal.why);
            }
        }
        let mut all: BTreeMap<String, String> =
            unread.into_iter().map(|(service, why)| (service.to_owned(), why.to_owned())).collect();
        // Nor are there requests to something that is not to be found.
        for (service, why) in astray(&self.desired, &self.world) {
            if !self.is_told(&service) {
                all.entry(service).or_insert(why);
            }
        }
        all.into_iter().collect()
    }

    fn is_told(&self, service: &str) -> bool {
        self.unreachable.iter().any(|down| down.services.contains(service))
            || self.plan.refusals.iter().any(|refusal| refusal.address.service == service)
    }

    /// Whether the connections of any service were read.
    #[must_use]
    pub fn was_looked_at(&self) -> bool {
        let unread: BTreeSet<String> = self.unread().into_iter().map(|(service, _)| service).collect();
        let mut seen = self.world.services.iter();
        seen.any(|(service, seen)| {
            !matches!(seen.connections, Connections::Unreadable { .. }) && !unread.contains(service)
        })
    }
}
