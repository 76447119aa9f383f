//! Room for what is to be made: where a cloud takes only so many of a kind beside each other, some of what goes must go before the
//! rest can be made. Where there is room for all, everything is made before anything goes.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use crate::kind::{Change, Field, Kind, Shape};
use crate::plan::Op;
use crate::plan::build::Draft;
use crate::plan::order::Timing;
use crate::plan::steps::Step;
use crate::resource::{Live, Scope};
use crate::value::Value;

/// When a step's turn is among those that share a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    room: usize,
    number: usize,
}

impl Turn {
    /// Whether this one waits for the other; absent where they share no room.
    pub(super) fn waits_for(self, other: Self) -> Option<bool> {
        (self.room == other.room).then_some(self.number > other.number)
    }
}

/// What shares one room: its place, the kind, the value that they have in common, and whether they are of IPv6, which is counted apart.
type Room<'a> = (&'a Scope, &'static str, &'a Value, bool);

impl Draft<'_> {
    /// Gives turns to what shares a room in which there is not enough for all that is to be made beside what goes.
    /// What goes before what lets the same through is there says so.
    pub(super) fn make_room(&mut self) {
        // Plans may be large, and mostly nothing goes.
        if !self.steps.iter().any(|step| step.timing == Timing::Late) {
            return;
        }
        let mut taken: BTreeMap<Room<'_>, usize> = BTreeMap::new();
        for live in &self.world.live {
            if let Some((room, _)) =
                self.room_of(&live.scope, &live.address.kind, |name| live.fields.get(name))
            {
                *taken.entry(room).or_default() += 1;
            }
        }
        let by_id: BTreeMap<&str, &Live> =
            self.world.live.iter().map(|live| (live.id.as_str(), live)).collect();
        let mut sharing: BTreeMap<(&str, Room<'_>), Sharing> = BTreeMap::new();
        for (index, step) in self.steps.iter().enumerate() {
            let action = &step.action;
            let live = action.live_id.as_deref().and_then(|id| by_id.get(id).copied());
            let found = match action.op {
                Op::Create => self.room_of(&action.scope, &action.address.kind, |name| given(step, name)),
                Op::Delete if step.timing == Timing::Late => {
                    self.room_of(&action.scope, &action.address.kind, |name| live?.fields.get(name))
                }
                _ => None,
            };
            let Some((room, most)) = found else { continue };
            let sharing = sharing.entry((action.address.service.as_str(), room)).or_default();
            let there = taken.get(&room).copied().unwrap_or_default();
            sharing.free = most.checked_sub(there);
            if action.op == Op::Create { sharing.made.push(index) } else { sharing.gone.push(index) }
        }
        let mut turns: Vec<(usize, Turn)> = Vec::new();
        let mut gaps: Vec<(usize, String)> = Vec::new();
        for (room, (_, sharing)) in
            sharing.iter().filter(|(_, sharing)| sharing.is_helped_by_turns()).enumerate()
        {
            let stands_in = |gone: usize, made: usize| {
                let (gone, made) = (self.steps.get(gone), self.steps.get(made));
                let live = gone.and_then(|step| by_id.get(step.action.live_id.as_deref()?));
                let kind =
                    gone.and_then(|step| self.kinds.get(&step.action.scope, &step.action.address.kind));
                match (live, made, kind) {
                    (Some(live), Some(made), Some(kind)) => overlap(kind, live, made),
                    _ => true,
                }
            };
            let its = sharing.turns(&stands_in);
            for (gone, number) in its.iter().filter(|(index, _)| sharing.gone.contains(index)) {
                let later = |one: &&(usize, usize)| one.1 > *number && sharing.made.contains(&one.0);
                let made = its.iter().filter(later).find(|(made, _)| stands_in(*gone, *made));
                let made = made.and_then(|(made, _)| self.steps.get(*made));
                gaps.extend(made.map(|made| {
                    let (before, fail) =
                        (&made.action.address, "new connections that both let in fail meanwhile");
                    (
                        *gone,
                        format!(
                            "; it goes before {before} is there, for which there is no room beside it: {fail}"
                        ),
                    )
                }));
            }
            turns.extend(its.into_iter().map(|(index, number)| (index, Turn { room, number })));
        }
        for (index, turn) in turns {
            if let Some(step) = self.steps.get_mut(index) {
                step.turn = Some(turn);
                if step.action.op == Op::Delete {
                    step.timing = Timing::Early;
                }
            }
        }
        for (index, gap) in gaps {
            if let Some(step) = self.steps.get_mut(index) {
                step.action.reason.push_str(&gap);
            }
        }
    }

    /// The room that something of this kind takes, and how many it holds.
    fn room_of<'a>(
        &self,
        scope: &'a Scope,
        kind: &str,
        field: impl Fn(&str) -> Option<&'a Value>,
    ) -> Option<(Room<'a>, usize)> {
        let kind = self.kinds.get(scope, kind)?;
        let (limited, most) = kind.fields.iter().find_map(|field| Some((field, field.most?)))?;
        // What it will be in may not be there yet: then there is room.
        let value = field(limited.name).filter(|value| value.as_text().is_some())?;
        let range = kind.fields.iter().find(|field| field.shape == Shape::Range);
        let range = range.and_then(|range| field(range.name)?.as_text()?.parse::<IpNet>().ok());
        Some(((scope, kind.name, value, matches!(range, Some(IpNet::V6(_)))), most))
    }
}

/// What a step gives a field.
fn given<'a>(step: &'a Step, name: &str) -> Option<&'a Value> {
    step.action.changes.iter().find(|change| *change.field == *name).map(|change| &change.to)
}

/// Whether what is made lets through some of what the other one does, so that this stays until that is there. What is not known may be.
fn overlap(kind: &Kind, gone: &Live, made: &Step) -> bool {
    let tells_apart = |field: &&Field| field.change == Change::Replace;
    kind.fields.iter().filter(tells_apart).all(|field| {
        let (Some(there), Some(wanted)) = (gone.fields.get(field.name), given(made, field.name)) else {
            return true;
        };
        let range =
            |value: &Value| value.as_text()?.parse::<IpNet>().ok().filter(|_| field.shape == Shape::Range);
        match (range(there), range(wanted)) {
            (Some(one), Some(other)) => one.contains(&other) || other.contains(&one),
            _ => there == wanted,
        }
    })
}

/// The steps that share a room.
#[derive(Debug, Default)]
struct Sharing {
    /// How many more it takes; nothing where there is more than the cloud's default allows: then the user has more room than is known.
    free: Option<usize>,
    /// What is made in it.
    made: Vec<usize>,
    /// What goes out of it.
    gone: Vec<usize>,
}

impl Sharing {
    /// Whether there is not enough room for all that is made, but for what is to be in it at last. Else nothing goes for what cannot come.
    fn is_helped_by_turns(&self) -> bool {
        let made = self.made.len();
        self.free.is_some_and(|free| made > free && made <= free + self.gone.len())
    }

    /// The turns of what is made and of what must go for it. What goes when all is made has none.
    ///
    /// First as much is made as there is room for. Then so many go as were made, of those that let nothing through that still is to
    /// be made; where there is no such one, the one whose successors lack least.
    fn turns(&self, stands_in: &dyn Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
        let successors = |gone: &usize| -> BTreeSet<usize> {
            self.made.iter().copied().filter(|made| stands_in(*gone, *made)).collect()
        };
        let mut going: Vec<(usize, BTreeSet<usize>)> =
            self.gone.iter().map(|gone| (*gone, successors(gone))).collect();
        let mut to_make: BTreeSet<usize> = self.made.iter().copied().collect();
        let (mut free, mut number) = (self.free.unwrap_or_default(), 0);
        let mut turns = Vec::new();
        while !to_make.is_empty() {
            while free > 0
                && let Some(next) = next_of(&going, &to_make)
            {
                to_make.remove(&next);
                going.iter_mut().for_each(|(_, successors)| {
                    successors.remove(&next);
                });
                turns.push((next, number));
                free -= 1;
            }
            going.sort_by_key(|(_, successors)| successors.len());
            let ready = going.iter().filter(|(_, successors)| successors.is_empty()).count();
            let made = self.made.len() - to_make.len();
            let goes = ready.min(made).min(to_make.len()).max(1).min(going.len());
            if goes == 0 || to_make.is_empty() {
                break;
            }
            turns.extend(going.drain(..goes).map(|(gone, _)| (gone, number + 1)));
            free += goes;
            number += 2;
        }
        // What finds no room is tried last: the cloud says why not.
        turns.extend(to_make.into_iter().map(|left| (left, number)));
        turns
    }
}

/// What is made next: a successor of what lacks least, so that this may go.
fn next_of(going: &[(usize, BTreeSet<usize>)], to_make: &BTreeSet<usize>) -> Option<usize> {
    let lacking = going.iter().map(|(_, successors)| successors).filter(|successors| !successors.is_empty());
    let nearest = lacking.min_by_key(|successors| successors.len()).and_then(BTreeSet::first);
    nearest.or_else(|| to_make.first()).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What happens in turn, `true` for what is made.
    fn happens(
        free: usize,
        made: usize,
        gone: usize,
        pairs: &BTreeSet<(usize, usize)>,
    ) -> Vec<(usize, bool, usize)> {
        let sharing =
            Sharing { free: Some(free), made: (100..100 + made).collect(), gone: (0..gone).collect() };
        let turns = sharing.turns(&|gone, made| pairs.contains(&(gone, made)));
        let mut all: Vec<_> =
            turns.into_iter().map(|(index, number)| (number, index >= 100, index)).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn a_full_room_is_emptied_in_growing_steps() {
        let order = happens(0, 4, 4, &BTreeSet::new());
        let ways: Vec<bool> = order.iter().map(|(_, is_made, _)| *is_made).collect();
        assert_eq!(ways, [false, true, false, true, false, false, true, true]);
    }

    #[test]
    fn what_has_a_successor_goes_after_it() {
        // The first has one that is made; the second's place is taken by nobody.
        let order = happens(0, 1, 2, &BTreeSet::from([(0, 100)]));
        assert_eq!(order.iter().map(|one| one.2).collect::<Vec<_>>(), [1, 100]);
        let order = happens(1, 2, 2, &BTreeSet::from([(0, 101), (1, 100)]));
        assert_eq!(order.iter().map(|one| one.2).collect::<Vec<_>>(), [101, 0, 100]);
    }

    #[test]
    fn nothing_goes_for_what_cannot_come() {
        let sharing = |free, made: usize, gone: usize| Sharing {
            free,
            made: (100..100 + made).collect(),
            gone: (0..gone).collect(),
        };
        // A wide range turns into more than there is room for; a quota was raised; there is room for all.
        for needless in [sharing(Some(0), 16, 1), sharing(None, 1, 1), sharing(Some(2), 2, 2)] {
            assert!(!needless.is_helped_by_turns(), "{needless:?}");
        }
        assert!(sharing(Some(0), 1, 1).is_helped_by_turns() && sharing(Some(1), 3, 2).is_helped_by_turns());
    }

    proptest! {
        #[test]
        fn the_room_is_never_overfull_and_all_is_made(
            free in 0usize..6,
            made in 1usize..12,
            gone in 0usize..12,
            pairs in proptest::collection::btree_set((0usize..12, 100usize..112), 0..10),
        ) {
            let order = happens(free, made, gone, &pairs);
            let all: BTreeSet<usize> = order.iter().map(|one| one.2).collect();
            prop_assert_eq!(all.len(), order.len(), "each has one turn");
            prop_assert_eq!(all.iter().filter(|index| **index >= 100).count(), made);
            let mut room = free;
            let mut done: BTreeSet<usize> = BTreeSet::new();
            let mut left = gone;
            for (at, (number, is_made, index)) in order.iter().enumerate() {
                if *is_made {
                    // It stands over its room only where nothing is left that could go.
                    prop_assert!(room > 0 || left == 0, "{order:?}");
                    room = room.saturating_sub(1);
                } else {
                    left -= 1;
                    room += 1;
                    let lacks = |gone: usize| pairs.iter().filter(|(one, made)| *one == gone && *made < 100 + self::made(&order) && !done.contains(made)).count();
                    let others = (0..gone).filter(|other| !done.contains(other));
                    let same_turn = order.iter().filter(|one| one.0 == *number).count();
                    prop_assert!(lacks(*index) == 0 || same_turn == 1 && others.map(lacks).min() == Some(lacks(*index)), "{at}: {order:?}");
                }
                done.insert(*index);
            }
        }
    }

    fn made(order: &[(usize, bool, usize)]) -> usize {
        order.iter().filter(|one| one.1).count()
    }
}
