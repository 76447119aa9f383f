//! A service that the file puts into another place than the one where it is.

use std::collections::BTreeMap;

use crate::plan::build::Draft;
use crate::plan::guard::{SEVER, refusal};
use crate::plan::{Refusal, Rule};
use crate::resource::Live;
use crate::world::{Elsewhere, ServiceIntent};

impl Draft<'_> {
    /// A service does not move to another place: what the vendor was given would change, and nothing that is there can follow.
    pub(super) fn moved(&self) -> Vec<Refusal> {
        let staying = |service: &&crate::world::ServiceIntent| {
            let turned = self.world.former.contains_key(&service.name);
            !service.remove && !self.options.destroy && !turned
        };
        let mut elsewhere: BTreeMap<&str, &Live> = BTreeMap::new();
        for live in self.world.live.iter().filter(|live| live.is_ours()) {
            let name = live.address.service.as_str();
            if self.desired.services.get(name).is_some_and(|service| service.scope != live.scope) {
                elsewhere.entry(name).or_insert(live);
            }
        }
        let moved = self.desired.services.values().filter(staying).filter_map(|service| {
            let elsewhere = elsewhere.get(service.name.as_str())?;
            let why = format!(
                "it is in {} and the file puts it into {}: its name would change, and who uses it would be cut; keep a tombstone \
                 (`remove: true`) with the old place under this name, and give the service in the new place another one",
                elsewhere.scope, service.scope
            );
            Some(refusal(&service.exposed, Rule::HandOver, why, None))
        });
        moved.collect()
    }

    /// One that is in a place that no service of the file names is another hand-over, too. Nothing follows it from there, and nothing of it
    /// is looked after any more: with the word a second one is made.
    pub(super) fn elsewhere(&self) -> Vec<Refusal> {
        if self.options.sever_connections {
            return Vec::new();
        }
        let staying = self.found_elsewhere().filter(|(intent, _)| !self.is_to_go(intent));
        let refused = staying.map(|(intent, Elsewhere { place, what })| {
            let why = format!(
                "it is in {place} already, as {what}, and the file puts it into {}: what the vendor was given would change, and that one would \
                 be left with whoever is connected to it. Give the file its old place again; to move it, keep a tombstone (`remove: true`) \
                 with the old place under this name, and give the service in the new place another one; where another file of this \
                 deployment has it there, one of the two takes another name; {SEVER} makes a second one and leaves that one as it is",
                intent.scope
            );
            refusal(&intent.exposed, Rule::HandOver, why, Some(SEVER))
        });
        refused.collect()
    }

    /// What is to go is there, and not where the file says: that it stays is told.
    pub(super) fn elsewhere_warnings(&self) -> Vec<String> {
        let going = self.found_elsewhere().filter(|(intent, _)| self.is_to_go(intent));
        let told = going.map(|(intent, Elsewhere { place, what })| {
            format!(
                "{}: it is in {place}, as {what}, and the file puts it into {}: nothing of it goes by this; give the file its old place again",
                intent.name, intent.scope
            )
        });
        told.collect()
    }

    fn found_elsewhere(&self) -> impl Iterator<Item = (&ServiceIntent, &Elsewhere)> {
        let found = self.world.elsewhere.iter();
        let listed = found.filter_map(|(name, found)| Some((self.desired.services.get(name)?, found)));
        // What of it is in a place that was read is told by what is there.
        listed.filter(|(intent, _)| !self.world.live.of(&intent.name).iter().any(Live::is_ours))
    }

    fn is_to_go(&self, intent: &ServiceIntent) -> bool {
        intent.remove || self.options.destroy
    }
}
