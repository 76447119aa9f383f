//! Which live resources refer to which.
//!
//! A reference is a text in a field that is the other's id, or an output that names it. An output that only tells something of it
//! (the version of a template is `2`, as every other one's) is none, and nothing refers to what is of another service or place: the
//! order of a plan is made within one.

use std::collections::{BTreeSet, HashMap};

use crate::kind::{Change, Class, Field, Kind, KindTable, Shape, Traffic};
use crate::plan::build::Draft;
use crate::plan::order::Timing;
use crate::plan::steps::{Step, letting_go};
use crate::plan::{FieldChange, Op};
use crate::resource::{Address, Live};
use crate::value::Value;

/// Live resources, by address and id: kinds may share an id.
pub(super) type Named<'a> = BTreeSet<(&'a Address, &'a str)>;

/// The texts that name a live resource.
pub(super) fn names<'a>(kinds: &KindTable, live: &'a Live) -> BTreeSet<&'a str> {
    let telling = kinds.get(&live.scope, &live.address.kind).map_or(&[][..], |kind| kind.telling);
    let naming = live.outputs.iter().filter(|(output, _)| !telling.contains(&output.as_str()));
    naming.filter_map(|(_, value)| value.as_text()).chain([live.id.as_str()]).collect()
}

/// Whether both are of one service and place, so that one may refer to the other.
pub(super) fn are_together(one: &Live, other: &Live) -> bool {
    one.address.service == other.address.service && one.scope == other.scope
}

/// Whether `user` refers to `used`, in whatever field.
pub(super) fn refers(kinds: &KindTable, user: &Live, used: &Live) -> bool {
    are_together(user, used) && !fields_that_name(user, used, &names(kinds, used)).is_empty()
}

/// The fields of `user` in which `used` is named.
fn fields_that_name<'a>(user: &'a Live, used: &Live, names: &BTreeSet<&str>) -> Vec<(&'a str, &'a Value)> {
    // Kinds may share an id: one that is part of another is not a user of itself.
    let all = user.fields.iter().filter(|_| user.id != used.id);
    all.filter(|(_, value)| holds(value, names)).map(|(name, value)| (name.as_str(), value)).collect()
}

fn holds(value: &Value, names: &BTreeSet<&str>) -> bool {
    let mut found = false;
    value.each_text(&mut |text| found |= names.contains(text));
    found
}

/// How something that stays holds what goes before its successor is there.
pub(super) struct Hold<'a> {
    /// Traffic goes through the reference.
    pub(super) with_traffic: bool,
    /// What is left of the fields when it lets go; nothing where it cannot.
    pub(super) let_go: Option<Vec<(&'static Field, &'a Value, Value)>>,
}

/// How `user` holds `used`, if it refers to it. It lets go where it has others in the same list: those stay.
pub(super) fn hold<'a>(kinds: &KindTable, user: &'a Live, used: &Live) -> Option<Hold<'a>> {
    if !are_together(user, used) {
        return None;
    }
    let names = names(kinds, used);
    let kind = kinds.get(&user.scope, &user.address.kind);
    // What the cloud binds or only shows is nobody's to change: it does not hold anything.
    let is_held = |field: &Option<&'static Field>| {
        field.is_none_or(|field| field.class != Class::Observed && field.change != Change::Bind)
    };
    let held: Vec<(Option<&'static Field>, &Value)> = fields_that_name(user, used, &names)
        .into_iter()
        .map(|(name, value)| (kind.and_then(|kind| kind.field(name)), value))
        .filter(|(field, _)| is_held(field))
        .collect();
    if held.is_empty() {
        return None;
    }
    let goes = |field: &Option<&Field>| field.is_none_or(|field| field.traffic != Traffic::GoesNowhere);
    let with_traffic = held.iter().any(|(field, _)| goes(field));
    let let_go = held.into_iter().map(|(field, value)| {
        let field = field.filter(|field| is_changed_in_place(field))?;
        let rest: Vec<Value> =
            value.as_list()?.iter().filter(|member| !holds(member, &names)).cloned().collect();
        let may_be_empty = field.traffic == Traffic::GoesNowhere;
        (may_be_empty || !rest.is_empty()).then(|| (field, value, Value::list(rest)))
    });
    Some(Hold { with_traffic, let_go: let_go.collect() })
}

fn is_changed_in_place(field: &Field) -> bool {
    let in_place = matches!(field.change, Change::Update | Change::GrowUnlessConnected);
    in_place && matches!(field.shape, Shape::Set | Shape::SetIgnoreCase)
}

impl Draft<'_> {
    /// What goes before its successor is there is let go first by what stays: a listener that only has it checked, a backend service
    /// that was to turn to it. The cloud would not delete it otherwise.
    pub(super) fn let_go(&mut self) {
        let early = self.early();
        let is_early = |live: &&Live| early.contains(&(&live.address, live.id.as_str()));
        let mut going: HashMap<&str, Vec<&Live>> = HashMap::new();
        // Most plans have none.
        for live in self.world.live.iter().filter(|_| !early.is_empty()).filter(is_early) {
            going.entry(&live.address.service).or_default().push(live);
        }
        let (mut steps, mut named): (Vec<Step>, BTreeSet<String>) = (Vec::new(), BTreeSet::new());
        for user in self.world.live.iter().filter(|_| !early.is_empty()) {
            let Some(going) = going.get(user.address.service.as_str()) else { continue };
            if !user.is_ours() || is_early(&user) {
                continue;
            }
            let mut changes: Vec<FieldChange> = Vec::new();
            for used in going {
                let let_go = hold(self.kinds, user, used).and_then(|hold| hold.let_go);
                for (field, from, to) in let_go.into_iter().flatten() {
                    match changes.iter_mut().find(|change| change.field == field.name) {
                        Some(change) => change.to = in_both(&change.to, &to),
                        None => {
                            changes.push(FieldChange { field: field.name.into(), from: from.clone(), to });
                        }
                    }
                }
            }
            if !changes.is_empty() {
                let mut step = letting_go(self.kinds, user, changes);
                // Two of one address, left by a run that was cut short, are told apart by their ids.
                if !named.insert(step.action.id.clone()) {
                    step.action.id = format!("{} {}", step.action.id, user.id);
                }
                steps.push(step);
            }
        }
        self.steps.extend(steps);
    }

    /// What is deleted before its successor is there.
    pub(super) fn early(&self) -> Named<'_> {
        let early =
            self.steps.iter().filter(|step| step.timing == Timing::Early && step.action.op == Op::Delete);
        early.filter_map(|step| Some((&step.action.address, step.action.live_id.as_deref()?))).collect()
    }
}

fn in_both(one: &Value, other: &Value) -> Value {
    let (Some(one), Some(other)) = (one.as_list(), other.as_list()) else { return other.clone() };
    Value::list(one.iter().filter(|member| other.contains(member)).cloned())
}

/// Whether an early deletion of a kind is one that others may stand on: of what has one place only it always is early.
pub(super) fn is_untimely(step: &Step, kind: &Kind) -> bool {
    step.timing == Timing::Early
        && step.action.op == Op::Delete
        && kind.replacement == crate::kind::Replacement::CreateFirst
}
