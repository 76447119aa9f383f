//! A plan narrowed to the targets of load balancers: what following moved names is.

use std::collections::BTreeSet;

use crate::kind::KindTable;
use crate::plan::{Action, FieldChange, Op, Plan, Summary};
use crate::resource::Scope;

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
    let mut known = true;
    change.to.each_output(&mut |_| known = false);
    marked && known
}
