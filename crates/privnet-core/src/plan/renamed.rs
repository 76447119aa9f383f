//! A service of the file that is none other than one which the file does not list any more: its name was edited.
//!
//! What is there is found by names, so under another name all is made anew, and the old one is left: the vendor would have to be given the
//! new one. What tells that it is the same service is what it serves, to whom and where, as its kinds' tables mark that
//! ([`Likeness`]). It is said only where all of it agrees: a service that goes while another one comes is an edit like any other.

use std::collections::{BTreeMap, BTreeSet};

use crate::kind::{Kind, Likeness, canonical};
use crate::plan::build::Draft;
use crate::plan::guard::{SEVER, refusal};
use crate::plan::{Refusal, Rule};
use crate::resource::{Address, Live, Origin, Ownership, Resource};
use crate::value::{OutputRef, Value};
use crate::world::ServiceIntent;

/// The marked fields of something, each in its canonical form.
type Marks = BTreeMap<&'static str, Value>;

/// What is compared of a service: its resources that have marks, by kind and name. A replacement that was cut short left two of one.
type Likenesses<'a> = BTreeMap<(&'a str, &'a str), Vec<Marks>>;

impl Draft<'_> {
    /// Another name is another hand-over. What else stands in the way of the new one is mostly what is left of the old one: to choose another
    /// range for that would be to make a second way unasked, so it is not said beside this.
    pub(super) fn renamed(&mut self) -> Vec<Refusal> {
        if self.options.sever_connections || self.left.is_empty() {
            return Vec::new();
        }
        let mut renamed = self.taken_for_another();
        for refusal in &mut renamed {
            let of_it = |other: &Refusal| other.address.service == refusal.address.service;
            let (of_it, others): (Vec<Refusal>, _) =
                std::mem::take(&mut self.refusals).into_iter().partition(of_it);
            self.refusals = others;
            if !of_it.is_empty() {
                refusal.why.push_str("; more stands in its way then, which a plan with that word tells");
            }
            // The word would lift other services' refusals, and be in vain for this one.
            if of_it.iter().any(|other| other.flag.is_none()) {
                refusal.flag = None;
            }
        }
        renamed
    }

    fn taken_for_another(&self) -> Vec<Refusal> {
        let new = self.wholly_new();
        if new.is_empty() {
            return Vec::new();
        }
        let mut left: BTreeMap<&str, Vec<&Live>> =
            self.left.iter().map(|left| (left.service.as_str(), Vec::new())).collect();
        for live in self.world.live.iter().filter(|live| live.is_ours()) {
            left.entry(&live.address.service).and_modify(|parts| parts.push(live));
        }
        let left: Vec<(&str, &Vec<&Live>, Likenesses<'_>)> =
            left.iter().map(|(name, parts)| (*name, parts, self.of_live(parts))).collect();
        let mut wanted: BTreeMap<&str, Vec<&Resource>> =
            new.iter().map(|intent| (intent.name.as_str(), Vec::new())).collect();
        for resource in &self.desired.resources {
            wanted.entry(&resource.address.service).and_modify(|parts| parts.push(resource));
        }
        let supplied = self.supplied(&new);
        let found = new.into_iter().filter_map(|intent| {
            let parts = wanted.get(intent.name.as_str())?;
            let exposed = &intent.exposed;
            // What the file names of the user's own is handed over under its own name, and stays what it is.
            let makes_it = |part: &Resource| part.address == *exposed && part.origin != Origin::Supplied;
            if !parts.iter().any(|part| makes_it(part)) {
                return None;
            }
            let wanted = self.of_wanted(parts, &supplied)?;
            let was_handed_over = |live: &&Live| {
                live.scope == intent.scope
                    && !live.health.is_going()
                    && live.address.kind == exposed.kind
                    && live.address.name == exposed.name
            };
            let same = |(_, parts, there): &&(&str, &Vec<&Live>, Likenesses<'_>)| {
                parts.iter().any(was_handed_over) && are_alike(&wanted, there)
            };
            let (old, _, _) = left.iter().find(same)?;
            Some(refusal(exposed, Rule::HandOver, in_words(old), Some(SEVER)))
        });
        found.collect()
    }

    /// The services of the file of which nothing is there. One of which that is not known is refused for that.
    fn wholly_new(&self) -> Vec<&ServiceIntent> {
        let unsure = |refusal: &&Refusal| !matches!(refusal.rule, Rule::Unsuitable | Rule::NotOurs);
        let mut not_new: BTreeSet<&str> =
            self.refusals.iter().filter(unsure).map(|refusal| refusal.address.service.as_str()).collect();
        let ours = self.world.live.iter().filter(|live| live.is_ours());
        not_new.extend(ours.map(|live| live.address.service.as_str()));
        let intents = self.desired.services.values();
        intents.filter(|intent| !intent.remove && !not_new.contains(intent.name.as_str())).collect()
    }

    /// What the file names of the user's own: the new services may refer to that, and what is there has its name.
    fn supplied(&self, new: &[&ServiceIntent]) -> BTreeMap<&Address, &Live> {
        let new: BTreeSet<&str> = new.iter().map(|intent| intent.name.as_str()).collect();
        let supplied = self.world.live.iter().filter(|live| live.ownership == Ownership::Supplied);
        let of_them = supplied.filter(|live| new.contains(live.address.service.as_str()));
        of_them.map(|live| (&live.address, live)).collect()
    }

    /// What a new service is to be known by; nothing where it cannot be told what it serves.
    fn of_wanted<'a>(
        &self,
        parts: &[&'a Resource],
        supplied: &BTreeMap<&Address, &Live>,
    ) -> Option<Likenesses<'a>> {
        let look = |reference: &OutputRef| {
            supplied.get(&reference.address)?.outputs.get(&*reference.output).cloned()
        };
        let (mut all, mut tells) = (Likenesses::new(), false);
        for part in parts.iter().filter(|part| part.origin != Origin::Supplied) {
            let Some(kind) = self.kinds.get(&part.scope, &part.address.kind).filter(|kind| has_marks(kind))
            else {
                continue;
            };
            let mut marks = Marks::new();
            for field in kind.fields.iter().filter(|field| field.likeness != Likeness::None) {
                let Some(value) = part.fields.get(field.name).map(|value| value.resolved(&look)) else {
                    continue;
                };
                if !is_known(&value) {
                    continue;
                }
                // Of nothing there may be many: where a name leads nowhere yet, it is not known what is served.
                if value.is_null() || value.as_list().is_some_and(<[Value]>::is_empty) {
                    return None;
                }
                tells |= field.likeness == Likeness::Target;
                marks.insert(field.name, canonical(&value, field.shape));
            }
            all.entry((part.address.kind.as_str(), part.address.name.as_str())).or_default().push(marks);
        }
        tells.then_some(all)
    }

    fn of_live<'a>(&self, parts: &[&'a Live]) -> Likenesses<'a> {
        let mut all = Likenesses::new();
        for part in parts {
            let Some(kind) = self.kinds.get(&part.scope, &part.address.kind).filter(|kind| has_marks(kind))
            else {
                continue;
            };
            let marked = kind.fields.iter().filter(|field| field.likeness != Likeness::None);
            let marks = marked
                .filter_map(|field| Some((field.name, canonical(part.fields.get(field.name)?, field.shape))));
            let name = (part.address.kind.as_str(), part.address.name.as_str());
            all.entry(name).or_default().push(marks.collect());
        }
        all
    }
}

fn has_marks(kind: &Kind) -> bool {
    kind.fields.iter().any(|field| field.likeness != Likeness::None)
}

/// Whether a value is made of no names that are yet to be: those differ, whatever is served.
fn is_known(value: &Value) -> bool {
    let mut known = true;
    value.each_output(&mut |_| known = false);
    known
}

/// Whether both have the same parts, and each of those that are wanted is there with the same marks.
fn are_alike(wanted: &Likenesses<'_>, there: &Likenesses<'_>) -> bool {
    let has = |marks: &Marks, other: &Marks| marks.iter().all(|(name, value)| other.get(name) == Some(value));
    wanted.len() == there.len()
        && wanted.iter().zip(there).all(|((name, wanted), (other, there))| {
            name == other && wanted.iter().all(|marks| there.iter().any(|other| has(marks, other)))
        })
}

fn in_words(old: &str) -> String {
    format!(
        "it looks as if `{old}` was renamed: the file does not list that any more, and this serves the same targets on the same ports in \
         the same place. What the vendor was given would change, and `{old}` would be left with whoever is connected to it. Keep the name \
         `{old}`; where it is to go, list it beside this one with `remove: true`; a second way to the same targets takes {SEVER}, which \
         leaves `{old}` as it is"
    )
}
