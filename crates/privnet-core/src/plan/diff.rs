//! The differences between a desired resource and a live one, in canonical form.

use crate::kind::{Change, Class, Kind, Shape, canonical};
use crate::plan::FieldChange;
use crate::resource::{Live, Resource};
use crate::value::{OutputRef, Value};

/// A field that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// The field, what is there, and what is wanted.
    pub(super) change_of: FieldChange,
    /// What it leads to.
    pub(super) change: Change,
    /// The members that would go, where it matters whether a list only grows.
    pub(super) taken_away: Vec<Value>,
}

impl Difference {
    /// Whether an update of it may cut whoever is connected.
    pub(super) fn may_cut(&self) -> bool {
        match self.change {
            Change::UpdateUnlessConnected => true,
            Change::GrowUnlessConnected => !self.taken_away.is_empty(),
            _ => false,
        }
    }
}

/// All differences, in the order of the kind's table.
pub(super) fn differences(
    desired: &Resource,
    kind: &Kind,
    live: &Live,
    look: &dyn Fn(&OutputRef) -> Option<Value>,
) -> Vec<Difference> {
    let mut found = Vec::new();
    for field in kind.fields {
        let wanted = match (field.class, desired.fields.get(field.name)) {
            (Class::Observed, _) | (Class::ManagedIfSet, None) => continue,
            (_, wanted) => wanted.map_or(Value::Null, |wanted| wanted.resolved(look)),
        };
        let there = live.fields.get(field.name).cloned().unwrap_or(Value::Null);
        if field.change == Change::Bind && is_nothing(&there) {
            continue;
        }
        let (a, b) = (canonical(&there, field.shape), canonical(&wanted, field.shape));
        if a == b || (is_nothing(&a) && is_nothing(&b)) {
            continue;
        }
        let taken_away = match field.change {
            Change::Grow | Change::GrowUnlessConnected | Change::ReplaceUnlessConnected => missing(&a, &b),
            _ => Vec::new(),
        };
        let (from, to) = if matches!(field.shape, Shape::Set) { (a, b) } else { (there, wanted) };
        let change_of = FieldChange { field: field.name.into(), from, to };
        found.push(Difference { change_of, change: field.change, taken_away });
    }
    found
}

/// Nothing, an empty list and an empty map are the same to every cloud.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::List(members) => members.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        _ => false,
    }
}

/// What is in `there` and not in `wanted`: members of lists; of two numbers the larger one that would shrink; what is on and would be
/// turned off.
fn missing(there: &Value, wanted: &Value) -> Vec<Value> {
    match (there, wanted) {
        (Value::List(there), Value::List(wanted)) => {
            there.iter().filter(|member| !wanted.contains(member)).cloned().collect()
        }
        (Value::List(there), Value::Null) => there.to_vec(),
        (Value::Int(there), Value::Int(wanted)) if there > wanted => vec![Value::Int(*there)],
        (Value::Bool(true), Value::Bool(false)) => vec![Value::Bool(true)],
        _ => Vec::new(),
    }
}
