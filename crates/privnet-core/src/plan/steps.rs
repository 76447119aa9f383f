//! The steps of a draft: one action each, with what the guard and the ordering want to know of it.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use crate::kind::{Change, Kind, KindTable};
use crate::plan::build::Draft;
use crate::plan::diff::Difference;
use crate::plan::order::Timing;
use crate::plan::room::Turn;
use crate::plan::{Action, ConnectionAction, FieldChange, FieldName, Op};
use crate::resource::{Generation, Health, Live, Resource};
use crate::value::Value;

/// An action in the making, with what the guard and the ordering want to know of it.
pub(super) struct Step {
    pub(super) action: Action,
    pub(super) timing: Timing,
    /// The differences behind a replacement or update.
    pub(super) differences: Vec<Difference>,
    /// For a delete: whether something takes its place.
    pub(super) replaced: bool,
    /// Its turn among those that share a room in which there is not enough for all.
    pub(super) turn: Option<Turn>,
    /// Its place in the plan, once the order is made.
    pub(super) place: usize,
}

impl Draft<'_> {
    pub(super) fn create(
        &mut self,
        resource: &Resource,
        fields: BTreeMap<FieldName, Value>,
        generation: Generation,
        because: &[Difference],
        locks: Vec<String>,
    ) {
        let reason = if because.is_empty() {
            "it is not there".to_owned()
        } else {
            let names: Vec<_> = because.iter().map(|difference| &*difference.change_of.field).collect();
            format!("{} cannot be changed in place", names.join(", "))
        };
        // Of a replacement, also what is there now of the fields that make it one.
        let there =
            |field: &FieldName| because.iter().find(|difference| difference.change_of.field == *field);
        let changes = fields.into_iter().map(|(field, to)| {
            let from = there(&field).map_or(Value::Null, |difference| difference.change_of.from.clone());
            FieldChange { field, from, to }
        });
        self.steps.push(Step {
            action: Action {
                id: format!("create {}@{generation}", resource.address),
                address: resource.address.clone(),
                op: Op::Create,
                reason,
                changes: changes.collect(),
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
            turn: None,
            place: 0,
        });
    }

    pub(super) fn update(
        &mut self,
        resource: &Resource,
        live: &Live,
        differences: Vec<Difference>,
        locks: Vec<String>,
    ) {
        let mut changes: Vec<_> = differences.iter().map(|difference| difference.change_of.clone()).collect();
        let mut reason = "it differs from the file".to_owned();
        if let Health::Broken { state } = &live.health {
            reason = format!("its state is `{state}`");
            let (from, to) = (Value::text(state), Value::text("ready"));
            changes.push(FieldChange { field: "state".into(), from, to });
        }
        if changes.is_empty() {
            self.unchanged += 1;
            return;
        }
        self.steps.push(update_step(resource, live, reason, changes, differences, locks));
    }

    pub(super) fn delete(
        &mut self,
        live: &Live,
        reason: &str,
        timing: Timing,
        replaced: bool,
        differences: &[Difference],
    ) {
        let generation = live.generation.map(|generation| format!("@{generation}")).unwrap_or_default();
        let mut id = format!("delete {}{generation}", live.address);
        // Two of one generation, one of them left over from a run that was cut short, are told apart by their ids.
        if !self.deletes.insert(id.clone()) {
            id = format!("{id} {}", live.id);
        }
        let locks = locks_of(self.kinds, live);
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
        self.steps.push(Step {
            action,
            timing,
            differences: differences.to_vec(),
            replaced,
            turn: None,
            place: 0,
        });
    }
}

pub(super) fn update_step(
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
    Step { action, timing: Timing::Forward, differences, replaced: false, turn: None, place: 0 }
}

/// A step in which what stays lets go of what must make room. It has a name of its own: its resource may be changed once more.
pub(super) fn letting_go(kinds: &KindTable, live: &Live, changes: Vec<FieldChange>) -> Step {
    let fields: Vec<&str> = changes.iter().map(|change| &*change.field).collect();
    let action = Action {
        id: format!("update {} {}", live.address, fields.join(" ")),
        address: live.address.clone(),
        op: Op::Update,
        reason: "it lets go of what makes room for something new".to_owned(),
        changes,
        after: Vec::new(),
        generation: live.generation,
        scope: live.scope.clone(),
        live_id: Some(live.id.clone()),
        connection: None,
        locks: locks_of(kinds, live),
    };
    Step { action, timing: Timing::Early, differences: Vec::new(), replaced: false, turn: None, place: 0 }
}

/// The fields that a create can give: what is bound by first use, to something that is not there yet, is nobody's to give.
pub(super) fn known_at_creation(
    kind: &Kind,
    mut fields: BTreeMap<FieldName, Value>,
) -> BTreeMap<FieldName, Value> {
    fields.retain(|name, value| {
        let mut known = true;
        value.each_output(&mut |_| known = false);
        known || kind.field(name).is_none_or(|field| field.change != Change::Bind)
    });
    fields
}

/// The names of what must not be written in parallel, from the kind's table.
pub(super) fn locks<N: Borrow<str> + Ord>(kind: &Kind, fields: &BTreeMap<N, Value>) -> Vec<String> {
    let named =
        kind.serialized_by.iter().filter_map(|field| fields.get(*field).filter(|value| !value.is_null()));
    named.map(|value| value.to_string().to_lowercase()).collect()
}

/// The same of what is there.
pub(super) fn locks_of(kinds: &KindTable, live: &Live) -> Vec<String> {
    kinds.get(&live.scope, &live.address.kind).map(|kind| locks(kind, &live.fields)).unwrap_or_default()
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
        state: connection.state,
        sever,
        along: connection.cut_along.clone(),
        // Who is turned away before all of the service goes: its lists go with it.
        besides: Vec::new(),
        entries: None,
        cut: Vec::new(),
        turned_away: Vec::new(),
    }
}
