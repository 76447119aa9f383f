//! The order of a plan's actions.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::kind::{Change, Kind, KindTable, Replacement};
use crate::plan::references::refers;
use crate::plan::steps::Step;
use crate::plan::{Action, Op};
use crate::resource::{Address, Live, Resource};

/// When an action happens in relation to the others on the same things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timing {
    /// Makes or changes: after what it needs.
    Forward,
    /// Makes room for something of the same name: before that is made.
    Early,
    /// Clears away: after everything points elsewhere.
    Late,
    /// Changes what goes, for as long as it serves: nothing but its deletion waits for that.
    Meanwhile,
}

/// The resources with what they need before them. Where needs go in circles (a fault of a provider's lowering) the given
/// order breaks the circle: planning stays total.
pub(super) fn needed_first(resources: &[Resource]) -> Vec<&Resource> {
    let index: HashMap<&Address, usize> =
        resources.iter().enumerate().map(|(i, r)| (&r.address, i)).collect();
    let needs: Vec<Vec<usize>> = resources
        .iter()
        .map(|resource| {
            let needs = needs_of(resource, |_| true);
            needs.into_iter().filter_map(|need| index.get(need).copied()).collect()
        })
        .collect();
    topological(&needs).into_iter().filter_map(|i| resources.get(i)).collect()
}

/// Indexes in an order in which each comes after its `needs`, each of which is named once; deterministic; circles are broken at the
/// smallest index.
fn topological(needs: &[Vec<usize>]) -> Vec<usize> {
    let others = |index: usize| needs[index].iter().copied().filter(move |need| *need != index);
    let mut waits_for: Vec<usize> = (0..needs.len()).map(|index| others(index).count()).collect();
    let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); needs.len()];
    for index in 0..needs.len() {
        for need in others(index) {
            needed_by[need].push(index);
        }
    }
    let mut ready: BTreeSet<usize> = (0..needs.len()).filter(|&i| waits_for[i] == 0).collect();
    let mut rest: BTreeSet<usize> = (0..needs.len()).collect();
    let mut order = Vec::with_capacity(needs.len());
    while let Some(next) = ready.pop_first().or_else(|| rest.first().copied()) {
        rest.remove(&next);
        order.push(next);
        for &dependant in &needed_by[next] {
            waits_for[dependant] -= 1;
            if waits_for[dependant] == 0 && rest.contains(&dependant) {
                ready.insert(dependant);
            }
        }
    }
    order
}

/// Sets `after` in each action and sorts them accordingly.
pub(super) fn ordered(
    resources: &[Resource],
    live: &[Live],
    kinds: &KindTable,
    mut steps: Vec<Step>,
) -> Vec<Action> {
    let needs_of: HashMap<&Address, BTreeSet<&Address>> =
        resources.iter().map(|resource| (&resource.address, needed_first_of(resource, kinds))).collect();
    // Each is held against all others of its service: its needs are looked up once.
    let placed: Vec<Placed<'_>> =
        steps.iter().map(|step| Placed { step, needs: needs_of.get(&step.action.address) }).collect();
    let mut by_service: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, step) in steps.iter().enumerate() {
        by_service.entry(step.action.address.service.as_str()).or_default().push(index);
    }
    let by_id: BTreeMap<&str, &Live> = live.iter().map(|live| (live.id.as_str(), live)).collect();
    // Plans may be large: what is needed here only is kept small, and given up before the names are written.
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    for members in by_service.values() {
        for &later in members {
            for &earlier in members {
                let (one, other) = (&placed[later], &placed[earlier]);
                if later != earlier
                    && (comes_after(one, other, kinds) || is_let_go_by(one.step, other.step, &by_id, kinds))
                {
                    after[later].push(earlier);
                }
            }
        }
    }
    drop(placed);
    drop(needs_of);
    let order = topological(&after);
    let mut place = vec![0; steps.len()];
    for (position, &index) in order.iter().enumerate() {
        place[index] = position;
    }
    // What a broken circle would point forward to is dropped, so that the order is always possible.
    let befores: Vec<Vec<String>> = after
        .iter()
        .enumerate()
        .map(|(index, after)| {
            let before = after.iter().filter(|&&earlier| place[earlier] < place[index]);
            before.map(|&earlier| steps[earlier].action.id.clone()).collect()
        })
        .collect();
    // The steps are put in order where they are.
    for ((step, befores), place) in steps.iter_mut().zip(befores).zip(place) {
        step.action.after = befores;
        step.place = place;
    }
    steps.sort_unstable_by_key(|step| step.place);
    steps.into_iter().map(|step| step.action).collect()
}

/// What must be there before this resource is made. What it is bound to by first use is not: both may be made at once.
fn needed_first_of<'a>(resource: &'a Resource, kinds: &KindTable) -> BTreeSet<&'a Address> {
    let kind = kinds.get(&resource.scope, &resource.address.kind);
    let bound =
        |name: &str| kind.and_then(|kind| kind.field(name)).is_some_and(|field| field.change == Change::Bind);
    needs_of(resource, |name| !bound(name))
}

/// What a resource needs besides, and what those of its fields refer to that count.
fn needs_of(resource: &Resource, counts: impl Fn(&str) -> bool) -> BTreeSet<&Address> {
    let mut all: BTreeSet<&Address> = resource.needs.iter().collect();
    for (name, value) in &resource.fields {
        value.each_output(&mut |reference| {
            if counts(name) {
                all.insert(&reference.address);
            }
        });
    }
    all
}

/// A step with what its resource needs first; nothing is known of what the file does not want.
struct Placed<'a> {
    step: &'a Step,
    needs: Option<&'a BTreeSet<&'a Address>>,
}

impl Placed<'_> {
    fn needs(&self, other: &Step) -> bool {
        self.needs.is_some_and(|needs| needs.contains(&other.action.address))
    }
}

/// Whether `later` deletes something that what `earlier` changes still uses. The file does not want it any more, so no need tells
/// of it; only what is there does.
fn is_let_go_by(later: &Step, earlier: &Step, by_id: &BTreeMap<&str, &Live>, kinds: &KindTable) -> bool {
    let live = |step: &Step| step.action.live_id.as_deref().and_then(|id| by_id.get(id).copied());
    later.timing == Timing::Late
        && earlier.timing == Timing::Forward
        && matches!((live(later), live(earlier)), (Some(gone), Some(user)) if refers(kinds, user, gone))
}

/// Whether `later` must wait for `earlier`. Both are of one service.
fn comes_after(after: &Placed<'_>, before: &Placed<'_>, kinds: &KindTable) -> bool {
    let (later, earlier) = (after.step, before.step);
    if let Some(waits) = later.turn.zip(earlier.turn).and_then(|(later, earlier)| later.waits_for(earlier)) {
        return waits;
    }
    let rank = |step: &Step| match step.action.op {
        Op::Reject => None,
        _ => kinds.get(&step.action.scope, &step.action.address.kind).map(|kind| kind.teardown_rank),
    };
    match (later.timing, earlier.timing) {
        (Timing::Meanwhile, _) => false,
        (_, Timing::Meanwhile) => {
            later.action.op == Op::Delete && earlier.action.live_id == later.action.live_id
        }
        (Timing::Forward, Timing::Forward) => after.needs(earlier),
        (Timing::Forward, Timing::Early) => {
            let room = later.action.op == Op::Create || earlier.action.op == Op::Update;
            room && later.action.address == earlier.action.address
        }
        (Timing::Forward, Timing::Late) | (Timing::Early, Timing::Forward | Timing::Late) => false,
        (Timing::Early, Timing::Early) => rank(earlier) < rank(later),
        (Timing::Late, Timing::Early) => {
            let lets_go = earlier.action.op == Op::Update && earlier.action.live_id == later.action.live_id;
            lets_go || rank(earlier) < rank(later)
        }
        (Timing::Late, Timing::Late) => rank(earlier) < rank(later),
        // What goes first in a teardown uses what goes later: it is changed to do without before that goes.
        (Timing::Late, Timing::Forward) => {
            later.action.address == earlier.action.address
                || before.needs(later)
                || rank(earlier) < rank(later)
                || gives_way_to(later, earlier, kinds)
        }
    }
}

/// Whether `later` goes where `earlier`, one of its kind, is made beside it. The file may have turned from one to the other under
/// another address (a rule for another range): as in a replacement, what lets traffic through goes when the other is there, and
/// stays where the other cannot be made. Names of another family (`inbound/5432/…`, `database/…`) do not stand in for it.
///
/// Where its kind tells how well one serves, a change may be what brings the other back: a group that a run which was cut short had drained.
fn gives_way_to(later: &Step, earlier: &Step, kinds: &KindTable) -> bool {
    let (gone, made) = (&later.action, &earlier.action);
    let comes = |kind: &Kind| made.op == Op::Create || (made.op == Op::Update && kind.tells_how_it_serves());
    let first = |kind: &Kind| kind.replacement == Replacement::CreateFirst && comes(kind);
    gone.op == Op::Delete
        && gone.address.kind == made.address.kind
        && family(&gone.address.name) == family(&made.address.name)
        && kinds.get(&gone.scope, &gone.address.kind).is_some_and(first)
}

/// What a name begins with, where it has parts, and the port where that comes next (`inbound/5432/…`): what lets clients in to one port
/// does not wait for another's. What stands elsewhere for the same (`database/sg-2/…`) does.
fn family(name: &str) -> (&str, Option<&str>) {
    let Some((begin, rest)) = name.split_once('/') else { return ("", None) };
    let port = rest.split_once('/').map(|(port, _)| port);
    (begin, port.filter(|port| port.parse::<u16>().is_ok()))
}

#[cfg(test)]
mod tests {
    use super::family;

    #[test]
    fn what_stands_in_for_one_port_is_no_other_ports() {
        for (name, begin) in [
            ("5432", ("", None)),
            ("inbound/5432", ("inbound", None)),
            ("inbound/5432/10.0.0.0-8", ("inbound", Some("5432"))),
            ("database/sg-1/5432", ("database", None)),
            ("database/sg-2/5432/forwarder", ("database", None)),
        ] {
            assert_eq!(family(name), begin, "{name}");
        }
    }
}
