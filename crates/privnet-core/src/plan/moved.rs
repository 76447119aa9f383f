//! A service that the file puts into another place than the one where it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::build::Draft;
use crate::plan::guard::{SEVER, refusal};
use crate::plan::{Action, Op, Refusal, Rule};
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

    /// One that is in a place that was not read with the rest is another hand-over, too. Nothing follows it from there, and nothing of it is
    /// looked after any more: with the word a second one is made.
    pub(super) fn elsewhere(&self) -> Vec<Refusal> {
        let staying = self.looked_for().filter(|(intent, _)| !self.is_to_go(intent));
        let refused = staying.filter_map(|(intent, seen)| {
            let Elsewhere::Found { place, what, is_listed } = seen else { return None };
            if self.options.sever_connections && !is_listed {
                return None;
            }
            let mut why = format!(
                "it is in {place} already, as {what}, and the file puts it into {}: what the vendor was given would change, and that one would \
                 be left with whoever is connected to it. Give the file its old place again; to move it, keep a tombstone (`remove: true`) \
                 with the old place under this name, and give the service in the new place another one; where another file of this \
                 deployment has it there, one of the two takes another name",
                intent.scope
            );
            // What the file has in that place is read with it, and then neither of the two is the one that it means.
            if !is_listed {
                why.push_str(&format!(
                    ". {SEVER} makes a second one and leaves that one as it is: no other service of the file may be in {place} then"
                ));
            }
            Some(refusal(&intent.exposed, Rule::HandOver, why, (!is_listed).then_some(SEVER)))
        });
        refused.collect()
    }

    /// What is to go is there, and not where the file says: that it stays is told. So is what could not be seen, where it matters.
    pub(super) fn elsewhere_warnings(&self, actions: &[Action]) -> Vec<String> {
        let made: BTreeSet<&str> = actions
            .iter()
            .filter(|action| action.op == Op::Create)
            .map(|action| action.address.service.as_str())
            .collect();
        let mut told = Vec::new();
        let mut unseen: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (intent, seen) in self.looked_for() {
            let name = intent.name.as_str();
            match seen {
                Elsewhere::Found { place, what, .. } if self.is_to_go(intent) => told.push(format!(
                    "{name}: it is in {place}, as {what}, and the file puts it into {}: nothing of it goes by this. Unless another file \
                     of this deployment has it there, give the file its old place again",
                    intent.scope
                )),
                Elsewhere::Unseen { why } if self.is_to_go(intent) || made.contains(name) => {
                    unseen.entry(why).or_default().push(name);
                }
                Elsewhere::Found { .. } | Elsewhere::Unseen { .. } => {}
            }
        }
        told.extend(unseen.into_iter().map(|(why, names)| {
            format!(
                "{}: whether it is in another place already is not seen: {why}. Where its place in the file was changed, the old one stays as \
                 it is, and nothing is done to it",
                names.join(", ")
            )
        }));
        told
    }

    fn looked_for(&self) -> impl Iterator<Item = (&ServiceIntent, &Elsewhere)> {
        let seen = self.world.elsewhere.iter();
        let listed = seen.filter_map(|(name, seen)| Some((self.desired.services.get(name)?, seen)));
        // What consumers connect to where the file puts it is the one that is meant. Parts alone may be left of one that went, or of a run that
        // was cut short: the word is said again then.
        listed.filter(|(intent, _)| {
            let handed_over = |live: &Live| {
                live.is_ours() && live.scope == intent.scope && live.address.kind == intent.exposed.kind
            };
            !self.world.live.of(&intent.name).iter().any(handed_over)
        })
    }

    fn is_to_go(&self, intent: &ServiceIntent) -> bool {
        intent.remove || self.options.destroy
    }
}
