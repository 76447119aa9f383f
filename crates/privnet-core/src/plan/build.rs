//! The draft of a plan: each desired resource is held against what is there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::kind::{Kind, KindTable, Replacement};
use crate::plan::choose::{self, Choice};
use crate::plan::follow;
use crate::plan::guard::SEVER;
use crate::plan::order::{self, Timing};
use crate::plan::standing::Standing;
use crate::plan::steps::{Step, known_at_creation, locks};
use crate::plan::{FieldName, Left, PlanOptions, Refusal, Rule};
use crate::resource::{Address, Live, Origin, Ownership, Resource};
use crate::value::{OutputRef, Value};
use crate::world::{Desired, World};

pub(super) struct Draft<'a> {
    pub(super) desired: &'a Desired,
    pub(super) world: &'a World,
    pub(super) kinds: &'a KindTable,
    pub(super) options: PlanOptions,
    pub(super) steps: Vec<Step>,
    /// The ids of the deletions among the steps.
    pub(super) deletes: BTreeSet<String>,
    pub(super) refusals: Vec<Refusal>,
    /// Services that nothing is planned for, whatever word is said.
    pub(super) blocked: BTreeSet<&'a str>,
    /// Looked up only, as every hash map here: its order would be another one each time.
    pub(super) kept: HashMap<&'a Address, &'a Live>,
    /// What traffic goes through, where a replacement was cut short.
    pub(super) standing: Standing<'a>,
    pub(super) left: Vec<Left>,
    /// What stays until the user says the word, while all else goes on: in words.
    pub(super) spared: Vec<String>,
    pub(super) unchanged: usize,
}

/// What to do about something of another's under a name that is needed.
const RENAME: &str = "rename or delete it, or give this deployment another name";

impl<'a> Draft<'a> {
    pub(super) fn new(
        desired: &'a Desired,
        world: &'a World,
        kinds: &'a KindTable,
        options: PlanOptions,
    ) -> Self {
        // What only a provider can see to cut somebody, in view of its facts, is lifted by the same word as what the tables say. So what
        // the tables say is said beside it: the word would lift that, too. A service with any refusal gets no action in the end.
        let severs = |refusal: &Refusal| refusal.flag.as_deref() == Some(SEVER);
        let found = world.refusals.iter().chain(&desired.refusals);
        let found = found.filter(|refusal| !options.sever_connections || !severs(refusal));
        let mut refusals: Vec<Refusal> = found.clone().cloned().collect();
        refusals.dedup();
        let hopeless = found.filter(|refusal| !severs(refusal));
        let mut blocked: BTreeSet<&str> = hopeless.map(|refusal| refusal.address.service.as_str()).collect();
        for intent in desired.services.values().filter(|intent| !world.services.contains_key(&intent.name)) {
            if blocked.insert(&intent.name) {
                refusals.push(Refusal {
                    address: intent.exposed.clone(),
                    rule: Rule::Unobserved,
                    why: "the service could not be observed, so nothing is planned for it".to_owned(),
                    flag: None,
                });
            }
        }
        Self {
            desired,
            world,
            kinds,
            options,
            steps: Vec::new(),
            deletes: BTreeSet::new(),
            refusals,
            blocked,
            kept: HashMap::new(),
            standing: Standing::default(),
            left: Vec::new(),
            spared: Vec::new(),
            unchanged: 0,
        }
    }

    /// Holds each desired resource against what is there.
    pub(super) fn match_resources(&mut self) {
        self.steps.reserve_exact(self.desired.resources.len());
        self.standing = Standing::of(self.world, self.kinds);
        let mut found: HashMap<&Address, Vec<&'a Live>> = HashMap::new();
        for live in &self.world.live {
            found.entry(&live.address).or_default().push(live);
        }
        for resource in order::needed_first(&self.desired.resources) {
            if self.blocked.contains(resource.address.service.as_str()) {
                continue;
            }
            let found = found.get(&resource.address).map_or(&[][..], Vec::as_slice);
            if resource.origin == Origin::Supplied {
                self.match_supplied(resource, found);
            } else {
                self.match_owned(resource, found);
            }
        }
    }

    fn match_supplied(&mut self, resource: &'a Resource, found: &[&'a Live]) {
        match found.iter().find(|live| live.ownership == Ownership::Supplied) {
            Some(live) => {
                self.kept.insert(&resource.address, live);
            }
            None => self.refuse(
                &resource.address,
                Rule::Unsuitable,
                "the file names it, but it is not there".to_owned(),
                None,
            ),
        }
    }

    fn match_owned(&mut self, resource: &'a Resource, found: &[&'a Live]) {
        let Some(kind) = self.kinds.get(&resource.scope, &resource.address.kind) else {
            let why = format!("no provider of this run knows the kind `{}`", resource.address.kind);
            self.refuse(&resource.address, Rule::Unsuitable, why, None);
            return;
        };
        let kept = &self.kept;
        let look = |reference: &OutputRef| -> Option<Value> {
            kept.get(&reference.address).and_then(|live| live.outputs.get(&*reference.output)).cloned()
        };
        let choice = choose::choose(resource, kind, found, &self.standing, &look);
        // Where all go, the first is the one in charge until its successor is there; what is being deleted is in charge of nothing.
        let in_charge = usize::from(!choice.replaced_for.is_empty());
        self.standing.discard(self.kinds, choice.surplus.iter().copied().skip(in_charge));
        if let Some(stranger) = choice.unproven
            && choice.keep.is_none()
            && (choice.surplus.is_empty() || stranger.generation == Some(choice.create_as))
        {
            let why = match &stranger.ownership {
                Ownership::Unproven { why, mend } => {
                    let mend = mend.as_deref().unwrap_or(RENAME);
                    format!("{} has the name that privnet would use, but {why}: {mend}", stranger.id)
                }
                Ownership::Ours | Ownership::Supplied => String::new(),
            };
            self.refuse(&resource.address, Rule::NotOurs, why, None);
            return;
        }
        let named = |name: &String| {
            kind.field(name)
                .map_or_else(|| FieldName::from(name.clone()), |field| FieldName::from(field.name))
        };
        let fields =
            resource.fields.iter().map(|(name, value)| (named(name), value.resolved(&look))).collect();
        let meanwhile = follow::meanwhile(resource, kind, &choice, &self.standing, &look);
        self.add_choice(resource, kind, fields, choice);
        if let Some((live, changes)) = meanwhile {
            self.follow_meanwhile(live, changes);
        }
    }

    fn add_choice(
        &mut self,
        resource: &'a Resource,
        kind: &Kind,
        fields: BTreeMap<FieldName, Value>,
        choice: Choice<'a>,
    ) {
        let locks = locks(kind, &fields);
        let delete_first = kind.replacement == Replacement::DeleteFirst;
        // What an update would cut, a successor that differs in it cuts as well.
        let mut guarded = choice.replaced_for.clone();
        if !guarded.is_empty() {
            guarded.extend(choice.updates.iter().filter(|difference| difference.may_cut()).cloned());
        }
        for live in &choice.surplus {
            let same_name = choice.keep.is_none() && live.generation.is_none_or(|g| g == choice.create_as);
            let early = choice.keep.is_none() && (delete_first || same_name);
            let reason = match choice.keep {
                _ if live.health.is_going() => "it is being deleted",
                _ if !choice.replaced_for.is_empty() => "replaced",
                // The two of a replacement differ in their letters: this one somebody added.
                Some(kept) if kept.generation == live.generation => "there is another one of it",
                _ => "left over from a replacement",
            };
            self.delete(live, reason, if early { Timing::Early } else { Timing::Late }, true, &guarded);
        }
        match choice.keep {
            Some(live) => {
                self.kept.insert(&resource.address, live);
                self.update(resource, live, choice.updates, locks);
            }
            None => {
                let fields = known_at_creation(kind, fields);
                self.create(resource, fields, choice.create_as, &choice.replaced_for, locks);
            }
        }
    }

    pub(super) fn refuse(&mut self, address: &Address, rule: Rule, why: String, flag: Option<&str>) {
        self.refusals.push(Refusal { address: address.clone(), rule, why, flag: flag.map(str::to_owned) });
    }
}
