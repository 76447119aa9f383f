//! The draft of a plan: what is matched, what is made, changed and deleted.

use std::collections::{BTreeMap, BTreeSet};

use crate::kind::{Change, KindTable, Replacement};
use crate::plan::choose::{self, Choice, Standing};
use crate::plan::diff::Difference;
use crate::plan::order::{self, Timing};
use crate::plan::{
    Action, Addition, ConnectionAction, FieldChange, Left, Op, Plan, PlanOptions, Refusal, Rule, Summary,
    Wait, decisions,
};
use crate::resource::{Address, Generation, Health, Live, Origin, Ownership, Resource};
use crate::value::{OutputRef, Value};
use crate::world::{Connections, Desired, World};

/// An action in the making, with what the guard and the ordering want to know of it.
pub(super) struct Step {
    pub(super) action: Action,
    pub(super) timing: Timing,
    /// The differences behind a replacement or update.
    pub(super) differences: Vec<Difference>,
    /// For a delete: whether something takes its place.
    pub(super) replaced: bool,
    /// Its place in the plan, once the order is made.
    pub(super) place: usize,
}

pub(super) struct Draft<'a> {
    pub(super) desired: &'a Desired,
    pub(super) world: &'a World,
    pub(super) kinds: &'a KindTable,
    pub(super) options: PlanOptions,
    pub(super) steps: Vec<Step>,
    pub(super) refusals: Vec<Refusal>,
    /// Services that nothing is planned for.
    pub(super) blocked: BTreeSet<&'a str>,
    kept: BTreeMap<&'a Address, &'a Live>,
    left: Vec<Left>,
    unchanged: usize,
}

impl<'a> Draft<'a> {
    pub(super) fn new(
        desired: &'a Desired,
        world: &'a World,
        kinds: &'a KindTable,
        options: PlanOptions,
    ) -> Self {
        let mut refusals: Vec<Refusal> = world.refusals.iter().chain(&desired.refusals).cloned().collect();
        refusals.dedup();
        let mut blocked: BTreeSet<&str> = world
            .refusals
            .iter()
            .chain(&desired.refusals)
            .map(|refusal| refusal.address.service.as_str())
            .collect();
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
            refusals,
            blocked,
            kept: BTreeMap::new(),
            left: Vec::new(),
            unchanged: 0,
        }
    }

    /// Holds each desired resource against what is there.
    pub(super) fn match_resources(&mut self) {
        self.steps.reserve_exact(self.desired.resources.len());
        let mut standing = Standing::of(&self.world.live);
        let mut found: BTreeMap<&Address, Vec<&'a Live>> = BTreeMap::new();
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
                self.match_owned(resource, found, &mut standing);
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

    fn match_owned(&mut self, resource: &'a Resource, found: &[&'a Live], standing: &mut Standing<'a>) {
        let Some(kind) = self.kinds.get(&resource.scope, &resource.address.kind) else {
            let why = format!("no provider of this run knows the kind `{}`", resource.address.kind);
            self.refuse(&resource.address, Rule::Unsuitable, why, None);
            return;
        };
        let kept = &self.kept;
        let look = |reference: &OutputRef| -> Option<Value> {
            kept.get(&reference.address).and_then(|live| live.outputs.get(&reference.output)).cloned()
        };
        let choice = choose::choose(resource, kind, found, standing, &look);
        // Where all go, the first is the one in charge until its successor is there.
        let in_charge = usize::from(choice.keep.is_none());
        standing.discard(choice.surplus.iter().copied().skip(in_charge));
        if let Some(stranger) = choice.unproven
            && choice.keep.is_none()
            && (choice.surplus.is_empty() || stranger.generation == Some(choice.create_as))
        {
            let why = match &stranger.ownership {
                Ownership::Unproven { why } => {
                    format!("{} has the name that privnet would use, but {why}", stranger.id)
                }
                Ownership::Ours | Ownership::Supplied => String::new(),
            };
            self.refuse(&resource.address, Rule::NotOurs, why, None);
            return;
        }
        let fields =
            resource.fields.iter().map(|(name, value)| (name.clone(), value.resolved(&look))).collect();
        self.add_choice(resource, kind, fields, choice);
    }

    fn add_choice(
        &mut self,
        resource: &'a Resource,
        kind: &crate::kind::Kind,
        fields: BTreeMap<String, Value>,
        choice: Choice<'a>,
    ) {
        let locks = locks(kind, &fields);
        let delete_first = kind.replacement == Replacement::DeleteFirst;
        for live in &choice.surplus {
            let same_name = choice.keep.is_none() && live.generation.is_none_or(|g| g == choice.create_as);
            let early = choice.keep.is_none() && (delete_first || same_name);
            let reason =
                if choice.replaced_for.is_empty() { "left over from a replacement" } else { "replaced" };
            self.delete(
                live,
                reason,
                if early { Timing::Early } else { Timing::Late },
                true,
                &choice.replaced_for,
            );
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

    fn create(
        &mut self,
        resource: &Resource,
        fields: BTreeMap<String, Value>,
        generation: Generation,
        because: &[Difference],
        locks: Vec<String>,
    ) {
        let reason = if because.is_empty() {
            "it is not there".to_owned()
        } else {
            let names: Vec<_> =
                because.iter().map(|difference| difference.change_of.field.as_str()).collect();
            format!("{} cannot be changed in place", names.join(", "))
        };
        let changes =
            fields.into_iter().map(|(field, to)| FieldChange { field, from: Value::Null, to }).collect();
        self.steps.push(Step {
            action: Action {
                id: format!("create {}@{generation}", resource.address),
                address: resource.address.clone(),
                op: Op::Create,
                reason,
                changes,
                after: Vec::new(),
                generation: Some(generation),
                scope: resource.scope.clone(),
                live_id: None,
                connection: None,
                locks,
            },
            timing: Timing::Forward,
            differences: because.to_vec(),
            replaced: false,
            place: 0,
        });
    }

    fn update(&mut self, resource: &Resource, live: &Live, differences: Vec<Difference>, locks: Vec<String>) {
        let mut changes: Vec<_> = differences.iter().map(|difference| difference.change_of.clone()).collect();
        let mut reason = "it differs from the file".to_owned();
        if let Health::Broken { state } = &live.health {
            reason = format!("its state is `{state}`");
            let (from, to) = (Value::text(state), Value::text("ready"));
            changes.push(FieldChange { field: "state".to_owned(), from, to });
        }
        if changes.is_empty() {
            self.unchanged += 1;
            return;
        }
        self.steps.push(update_step(resource, live, reason, changes, differences, locks));
    }

    /// What is there and not desired: parts of listed services go; services that are not listed are left or pruned.
    pub(super) fn delete_undesired(&mut self) {
        let wanted: BTreeSet<&Address> =
            self.desired.resources.iter().map(|resource| &resource.address).collect();
        let mut left: BTreeMap<&str, Vec<Address>> = BTreeMap::new();
        for live in self.world.live.iter().filter(|live| live.is_ours() && !wanted.contains(&live.address)) {
            let service = live.address.service.as_str();
            let intent = self.desired.services.get(service);
            if self.blocked.contains(service) {
                continue;
            }
            let reason = match intent {
                _ if self.options.destroy => "destroy",
                Some(intent) if intent.remove => "the service is a tombstone (`remove: true`)",
                Some(_) => "the file does not want it any more",
                None if self.options.prune => "the file does not list the service (--prune)",
                None => {
                    left.entry(service).or_default().push(live.address.clone());
                    continue;
                }
            };
            self.delete(live, reason, Timing::Late, false, &[]);
        }
        self.left = left.into_iter().map(|(service, resources)| leave(service, resources)).collect();
    }

    /// What must make room at once takes with it what would keep it from going: its users that go as well.
    pub(super) fn hasten_users(&mut self) {
        let by_id: BTreeMap<&str, &Live> =
            self.world.live.iter().map(|live| (live.id.as_str(), live)).collect();
        let live_of = |step: &Step| step.action.live_id.as_deref().and_then(|id| by_id.get(id).copied());
        loop {
            let early = self.steps.iter().filter(|step| step.timing == Timing::Early);
            let going: Vec<&Live> = early.filter_map(live_of).collect();
            let late = self.steps.iter().enumerate().filter(|(_, step)| step.timing == Timing::Late);
            let users: Vec<usize> = late
                .filter(|(_, step)| {
                    live_of(step).is_some_and(|user| going.iter().any(|gone| refers(user, gone)))
                })
                .map(|(index, _)| index)
                .collect();
            if users.is_empty() {
                return;
            }
            for index in users {
                if let Some(step) = self.steps.get_mut(index) {
                    step.timing = Timing::Early;
                }
            }
        }
    }

    fn delete(
        &mut self,
        live: &Live,
        reason: &str,
        timing: Timing,
        replaced: bool,
        differences: &[Difference],
    ) {
        let generation = live.generation.map(|generation| format!("@{generation}")).unwrap_or_default();
        let mut id = format!("delete {}{generation}", live.address);
        if self.steps.iter().any(|step| step.action.id == id) {
            id = format!("{id} {}", live.id);
        }
        let locks = self
            .kinds
            .get(&live.scope, &live.address.kind)
            .map(|kind| locks(kind, &live.fields))
            .unwrap_or_default();
        let action = Action {
            id,
            address: live.address.clone(),
            op: Op::Delete,
            reason: reason.to_owned(),
            changes: Vec::new(),
            after: Vec::new(),
            generation: live.generation,
            scope: live.scope.clone(),
            live_id: Some(live.id.clone()),
            connection: None,
            locks,
        };
        self.steps.push(Step { action, timing, differences: differences.to_vec(), replaced, place: 0 });
    }

    pub(super) fn refuse(&mut self, address: &Address, rule: Rule, why: String, flag: Option<&str>) {
        self.refusals.push(Refusal { address: address.clone(), rule, why, flag: flag.map(str::to_owned) });
    }

    /// The plan: actions of refused services dropped, the rest in order.
    pub(super) fn finish(mut self) -> Plan {
        let refused: BTreeSet<&str> =
            self.refusals.iter().map(|refusal| refusal.address.service.as_str()).collect();
        let refused: BTreeSet<String> = refused.into_iter().map(str::to_owned).collect();
        self.steps.retain(|step| !refused.contains(&step.action.address.service));
        self.reject_before_delete();
        self.wait_for_the_busy();
        let actions = order::ordered(
            &self.desired.resources,
            &self.world.live,
            self.kinds,
            std::mem::take(&mut self.steps),
        );
        let summary = self.summary(&actions);
        let mut waits = self.desired.waits.clone();
        waits.retain(|wait| !refused.contains(&wait.service));
        waits.extend(self.connection_waits(&refused));
        waits.sort();
        waits.dedup();
        let mut warnings = self.desired.warnings.clone();
        warnings.extend(self.unreadable_warnings());
        warnings.extend(self.remaining_warnings(&actions));
        Plan {
            format: crate::plan::Format::default(),
            adds_to_yours: self.additions(),
            actions,
            waits,
            refusals: self.refusals,
            warnings,
            left: self.left,
            summary,
        }
    }

    /// A service with open requests cannot be deleted on some clouds: they are turned away first, each audited.
    fn reject_before_delete(&mut self) {
        let mut rejects = Vec::new();
        for (service, seen) in &self.world.services {
            let Some(exposed) = &seen.exposed else { continue };
            let goes = |step: &Step| {
                step.action.op == Op::Delete && step.action.address == *exposed && !step.replaced
            };
            let Some(delete) = self.steps.iter().find(|step| goes(step)) else { continue };
            let policy = self.desired.services.get(service).map(|intent| &intent.policy);
            let known = seen.connections.known().iter();
            let mut open: Vec<_> =
                known.filter(|connection| decisions::blocks_deletion(connection)).collect();
            open.sort_by_key(|connection| (connection.who(), connection.id.clone()));
            for connection in open {
                let mut action =
                    decisions::reject(exposed, connection, policy, self.options.sever_connections);
                action.scope = delete.action.scope.clone();
                action.live_id.clone_from(&delete.action.live_id);
                action.reason = "the service goes".to_owned();
                rejects.push(Step {
                    action,
                    timing: Timing::Early,
                    differences: Vec::new(),
                    replaced: false,
                    place: 0,
                });
            }
        }
        self.steps.extend(rejects);
    }

    /// What others need and is still on its way becomes an action that waits for it.
    fn wait_for_the_busy(&mut self) {
        let acted: BTreeSet<&Address> = self.steps.iter().map(|step| &step.action.address).collect();
        let forward = |address: &Address| {
            self.steps.iter().any(|step| step.timing == Timing::Forward && step.action.address == *address)
        };
        let mut busy = Vec::new();
        for resource in &self.desired.resources {
            let Some(live) = self.kept.get(&resource.address) else { continue };
            let Health::Busy { state } = &live.health else { continue };
            let needed = self.desired.resources.iter().any(|other| {
                other.address.service == resource.address.service
                    && forward(&other.address)
                    && other.all_needs().contains(&resource.address)
            });
            if needed && !acted.contains(&resource.address) {
                busy.push(update_step(
                    resource,
                    live,
                    format!("wait: its state is `{state}`"),
                    Vec::new(),
                    Vec::new(),
                    Vec::new(),
                ));
            }
        }
        self.unchanged = self.unchanged.saturating_sub(busy.len());
        self.steps.extend(busy);
    }

    fn connection_waits(&self, refused: &BTreeSet<String>) -> Vec<Wait> {
        let intents =
            self.desired.services.values().filter(|intent| !intent.remove && !refused.contains(&intent.name));
        intents
            .filter_map(|intent| {
                let seen = self.world.services.get(&intent.name)?;
                Some(decisions::waits_of(intent, &seen.connections))
            })
            .flatten()
            .collect()
    }

    fn unreadable_warnings(&self) -> Vec<String> {
        let unreadable = self.world.services.iter().filter_map(|(service, seen)| match &seen.connections {
            Connections::Unreadable { why } => {
                Some(format!("{service}: its connections cannot be read ({why}); they are taken to be live"))
            }
            Connections::Known(_) | Connections::NotExposed => None,
        });
        unreadable.collect()
    }

    /// A destroy takes nothing away from services that are not ours: the consumers that were let in there stay.
    fn remaining_warnings(&self, actions: &[Action]) -> Vec<String> {
        if !self.options.destroy {
            return Vec::new();
        }
        let remaining = self.desired.services.values().filter_map(|intent| {
            let seen = self.world.services.get(&intent.name)?;
            let goes = |exposed: &Address| actions.iter().any(|a| a.op == Op::Delete && a.address == *exposed);
            let ours = |exposed: &Address| self.world.at(exposed).is_some_and(Live::is_ours);
            let exposed = seen.exposed.as_ref()?;
            if goes(exposed) || ours(exposed) || self.blocked.contains(intent.name.as_str()) {
                return None;
            }
            let stay: Vec<&str> = seen
                .connections
                .known()
                .iter()
                .filter(|c| c.state.may_be_live() && intent.policy.consumer_of(c).is_some())
                .map(|c| c.id.as_str())
                .collect();
            (!stay.is_empty()).then(|| {
                format!(
                    "{}: {} connection(s) stay accepted: {}; `privnet reject --connection ID --sever-connections` ends one",
                    intent.name,
                    stay.len(),
                    stay.join(", ")
                )
            })
        });
        remaining.collect()
    }

    fn additions(&self) -> Vec<Addition> {
        let added = self.desired.resources.iter().filter_map(|resource| match &resource.origin {
            Origin::AddedTo { to } => Some(Addition { address: resource.address.clone(), to: to.clone() }),
            Origin::Owned | Origin::Supplied => None,
        });
        added.collect()
    }

    fn summary(&self, actions: &[Action]) -> Summary {
        let count = |op: Op| actions.iter().filter(|action| action.op == op).count();
        Summary {
            create: count(Op::Create),
            update: count(Op::Update),
            delete: count(Op::Delete),
            accept: count(Op::Accept),
            reject: count(Op::Reject),
            unchanged: self.unchanged,
        }
    }
}

fn update_step(
    resource: &Resource,
    live: &Live,
    reason: String,
    changes: Vec<FieldChange>,
    differences: Vec<Difference>,
    locks: Vec<String>,
) -> Step {
    let action = Action {
        id: format!("update {}", resource.address),
        address: resource.address.clone(),
        op: Op::Update,
        reason,
        changes,
        after: Vec::new(),
        generation: live.generation,
        scope: resource.scope.clone(),
        live_id: Some(live.id.clone()),
        connection: None,
        locks,
    };
    Step { action, timing: Timing::Forward, differences, replaced: false, place: 0 }
}

/// Whether `user` refers to `used`, by its id or an output.
pub(super) fn refers(user: &Live, used: &Live) -> bool {
    let mut found = false;
    let names: BTreeSet<&str> =
        used.outputs.values().filter_map(Value::as_text).chain([used.id.as_str()]).collect();
    for value in user.fields.values().filter(|_| user.id != used.id) {
        value.each_text(&mut |text| found |= names.contains(text));
    }
    found
}

/// The fields that a create can give: what is bound by first use, to something that is not there yet, is nobody's to give.
fn known_at_creation(
    kind: &crate::kind::Kind,
    mut fields: BTreeMap<String, Value>,
) -> BTreeMap<String, Value> {
    fields.retain(|name, value| {
        let mut known = true;
        value.each_output(&mut |_| known = false);
        known || kind.field(name).is_none_or(|field| field.change != Change::Bind)
    });
    fields
}

fn leave(service: &str, resources: Vec<Address>) -> Left {
    Left {
        service: service.to_owned(),
        resources,
        why: "the deployment owns it, but the file does not list it; use --prune, or list it with `remove: true`".to_owned(),
    }
}

/// The names of what must not be written in parallel, from the kind's table.
fn locks(kind: &crate::kind::Kind, fields: &BTreeMap<String, Value>) -> Vec<String> {
    let named =
        kind.serialized_by.iter().filter_map(|field| fields.get(*field).filter(|value| !value.is_null()));
    named.map(|value| value.to_string().to_lowercase()).collect()
}

/// What a connection action carries.
pub(super) fn connection_action(
    connection: &crate::accept::Connection,
    consumer: Option<&crate::accept::ConsumerPolicy>,
    sever: bool,
) -> ConnectionAction {
    ConnectionAction {
        id: connection.id.clone(),
        handle: connection.handle.clone(),
        consumer: consumer.map(|consumer| consumer.name.clone()),
        who: connection.who(),
        preset: consumer
            .and_then(|consumer| consumer.preset.as_ref())
            .map(|preset| format!("{} {}", preset.name, preset.version)),
        sever,
    }
}
