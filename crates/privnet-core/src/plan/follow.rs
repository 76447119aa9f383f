//! Following moved names: what a plan does for it while the one that serves gives way to another, and a plan narrowed to the targets of
//! load balancers.

use std::collections::BTreeSet;

use crate::kind::{Kind, KindTable};
use crate::plan::build::Draft;
use crate::plan::choose::{Choice, needs_replacement};
use crate::plan::diff;
use crate::plan::order::Timing;
use crate::plan::standing::Standing;
use crate::plan::steps::{Step, locks_of};
use crate::plan::{Action, FieldChange, Op, Plan, Summary};
use crate::resource::{Live, Resource, Scope};
use crate::value::{OutputRef, Value};

/// The one that serves until another takes its place, and how its targets follow names until then. That other one may never be
/// healthy, and the first run may be long ago.
pub(super) fn meanwhile<'a>(
    resource: &Resource,
    kind: &Kind,
    choice: &Choice<'a>,
    standing: &Standing<'_>,
    look: &dyn Fn(&OutputRef) -> Option<Value>,
) -> Option<(&'a Live, Vec<FieldChange>)> {
    let serving = match choice.keep {
        None => choice.surplus.first(),
        Some(kept) => choice.surplus.iter().find(|live| standing.is_used_rather(live, kept)),
    };
    let serving = serving.copied().filter(|live| !live.health.is_going())?;
    let (replaced_for, changes): (Vec<_>, Vec<_>) =
        diff::differences(resource, kind, serving, look).into_iter().partition(needs_replacement);
    let field = |change: &FieldChange| kind.field(&change.field);
    let leaves_targets = |change: &FieldChange| field(change).is_some_and(|field| field.leaves_targets);
    if replaced_for.is_empty() || !replaced_for.iter().all(|one| leaves_targets(&one.change_of)) {
        return None;
    }
    let changes = changes.into_iter().map(|one| one.change_of);
    let follows =
        |change: &FieldChange| field(change).is_some_and(|field| field.follows_names) && is_known(change);
    let changes: Vec<FieldChange> = changes.filter(follows).collect();
    (!changes.is_empty()).then_some((serving, changes))
}

impl Draft<'_> {
    /// Has what goes follow names until then. The step has a name of its own, beside that of what stays.
    pub(super) fn follow_meanwhile(&mut self, live: &Live, changes: Vec<FieldChange>) {
        let generation = live.generation.map(|generation| format!("@{generation}")).unwrap_or_default();
        let action = Action {
            id: format!("update {}{generation}", live.address),
            address: live.address.clone(),
            op: Op::Update,
            reason: "it serves until another one takes its place".to_owned(),
            changes,
            after: Vec::new(),
            generation: live.generation,
            scope: live.scope.clone(),
            live_id: Some(live.id.clone()),
            connection: None,
            locks: locks_of(self.kinds, live),
        };
        self.steps.push(Step {
            action,
            timing: Timing::Meanwhile,
            differences: Vec::new(),
            replaced: false,
            turn: None,
            place: 0,
        });
    }
}

/// The same plan with the actions that change nothing but which targets a load balancer has: changes in place of the fields that
/// the kinds mark as [following names](crate::Field::following_names). What else the plan would do is left, and said as a warning;
/// what it refuses stays refused.
#[must_use]
pub fn only_targets(plan: Plan, kinds: &KindTable) -> Plan {
    let all = plan.actions.len();
    let mut narrower = 0;
    let mut actions: Vec<Action> = Vec::new();
    for mut action in plan.actions {
        if action.op != Op::Update {
            continue;
        }
        let changes = action.changes.len();
        action.changes.retain(|change| follows(kinds, &action.scope, &action.address.kind, change));
        if !action.changes.is_empty() {
            narrower += usize::from(action.changes.len() < changes);
            actions.push(action);
        }
    }
    let left = all - actions.len() + narrower;
    let ids: BTreeSet<String> = actions.iter().map(|action| action.id.clone()).collect();
    for action in &mut actions {
        action.after.retain(|id| ids.contains(id));
    }
    let mut warnings = plan.warnings;
    if left > 0 {
        let (things, are) = if left == 1 { ("thing", "is") } else { ("things", "are") };
        warnings.push(format!(
            "{left} more {things} {are} not as the file says; only targets were looked at: `privnet plan` shows the rest, `privnet apply` does it"
        ));
    }
    let summary = Summary { update: actions.len(), unchanged: plan.summary.unchanged, ..Summary::default() };
    Plan { actions, warnings, summary, left: Vec::new(), adds_to_yours: Vec::new(), ..plan }
}

/// Whether a change is one of targets, with all that it needs at hand.
fn follows(kinds: &KindTable, scope: &Scope, kind: &str, change: &FieldChange) -> bool {
    let marked = kinds
        .get(scope, kind)
        .and_then(|kind| kind.field(&change.field))
        .is_some_and(|field| field.follows_names);
    marked && is_known(change)
}

/// Whether what is wanted is known before anything is done.
fn is_known(change: &FieldChange) -> bool {
    let mut known = true;
    change.to.each_output(&mut |_| known = false);
    known
}
