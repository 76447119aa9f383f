//! Which of a resource's generations is kept.

use std::collections::BTreeMap;

use crate::kind::{Change, Kind, Replacement};
use crate::plan::diff::{self, Difference};
use crate::plan::standing::Standing;
use crate::resource::{Generation, Health, Live, Ownership, Resource};
use crate::value::{OutputRef, Value};

/// What is to become of the resource at one address.
#[derive(Debug)]
pub(super) struct Choice<'a> {
    /// The one that is kept and, if need be, changed in place.
    pub(super) keep: Option<&'a Live>,
    /// Its differences that are mended in place; where it is replaced, those that its successor has besides.
    pub(super) updates: Vec<Difference>,
    /// The differences because of which the one that is there is replaced.
    pub(super) replaced_for: Vec<Difference>,
    /// The generation that a create uses.
    pub(super) create_as: Generation,
    /// Those that go.
    pub(super) surplus: Vec<&'a Live>,
    /// Something of our name without our proof.
    pub(super) unproven: Option<&'a Live>,
}

/// Chooses among what is there at the resource's address.
pub(super) fn choose<'a>(
    desired: &Resource,
    kind: &Kind,
    found: &[&'a Live],
    standing: &Standing<'_>,
    look: &dyn Fn(&OutputRef) -> Option<Value>,
) -> Choice<'a> {
    let unproven = found.iter().copied().find(|live| matches!(live.ownership, Ownership::Unproven { .. }));
    let mut ours: Vec<&Live> = found.iter().copied().filter(|live| live.is_ours()).collect();
    ours.sort_by_key(|live| (live.generation, live.id.clone()));
    let judged: BTreeMap<&str, Vec<Difference>> =
        ours.iter().map(|live| (live.id.as_str(), diff::differences(desired, kind, live, look))).collect();
    let replacing = |live: &Live| {
        judged.get(live.id.as_str()).map_or(0, |found| found.iter().filter(|d| needs_replacement(d)).count())
    };
    let broken = |live: &Live| matches!(live.health, Health::Broken { .. });

    // The best: as it should be or changeable to it, working, the one that traffic goes through, closest to what is wanted; then by
    // letter, so that the choice is the same in each run. Where two are left from an interrupted replacement and neither will do, this
    // keeps the one that serves until its successor is there.
    ours.sort_by_cached_key(|live| {
        let differences = replacing(live);
        (differences > 0, broken(live), standing.rank(live), differences, live.generation, live.id.clone())
    });
    // What is being deleted is not there to be kept.
    let (going, staying): (Vec<&Live>, Vec<&Live>) =
        ours.into_iter().partition(|live| live.health.is_going());
    let best = staying.first().copied();
    let surplus: Vec<&Live> = staying.iter().skip(1).chain(&going).copied().collect();
    let Some(best) = best else {
        // There may be no room for a second one, of whatever name, before it has gone.
        let create_as = going.first().and_then(|live| live.generation).unwrap_or(Generation::A);
        return Choice {
            keep: None,
            updates: Vec::new(),
            replaced_for: Vec::new(),
            create_as,
            surplus,
            unproven,
        };
    };
    let (replaced_for, updates): (Vec<_>, Vec<_>) =
        judged.get(best.id.as_str()).cloned().unwrap_or_default().into_iter().partition(needs_replacement);
    if replaced_for.is_empty() {
        let create_as = best.generation.unwrap_or(Generation::A);
        return Choice { keep: Some(best), updates, replaced_for, create_as, surplus, unproven };
    }
    let mut gone = vec![best];
    gone.extend(surplus);
    let create_as = match kind.replacement {
        Replacement::CreateFirst => best.generation.map_or(Generation::A, Generation::other),
        Replacement::DeleteFirst => best.generation.unwrap_or(Generation::A),
    };
    Choice { keep: None, updates, replaced_for, create_as, surplus: gone, unproven }
}

/// Whether a difference cannot be mended in place.
pub(super) fn needs_replacement(difference: &Difference) -> bool {
    match difference.change {
        Change::Update | Change::UpdateUnlessConnected => false,
        Change::Replace | Change::ReplaceUnlessConnected | Change::Refuse | Change::Bind => true,
        // Members that are missing are added; the guard refuses to take one away.
        Change::Grow | Change::GrowUnlessConnected => false,
    }
}
