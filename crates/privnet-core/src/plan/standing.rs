//! How the generations of a resource stand in the world: which of them traffic goes through.
//!
//! It matters only where a replacement that was cut short left two and neither will do, since there are two names only: one must go
//! before a third can be made. Only services with two of something are looked at; mostly that is none.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::kind::{KindTable, Traffic};
use crate::plan::references::names;
use crate::resource::{Address, Health, Live};
use crate::world::World;

type Id<'a> = (&'a Address, &'a str);

/// What the choices before this one, and the whole world, say about single resources.
#[derive(Debug, Default)]
pub(super) struct Standing<'a> {
    places: HashMap<Id<'a>, Place>,
    /// The ids and outputs of what was not chosen so far.
    stale: BTreeSet<&'a str>,
}

/// Where one live resource stands.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Nothing new comes to it, or the other generation is in charge.
    idle: bool,
    /// What consumers connect to leads here.
    carries: bool,
    /// How many things that are not idle stand on it, directly or through others.
    uses: usize,
}

impl<'a> Standing<'a> {
    /// The world as it is; nothing is stale yet.
    pub(super) fn of(world: &'a World, kinds: &KindTable) -> Self {
        let mut seen: HashSet<&Address> = HashSet::new();
        let ours = || world.live.iter().filter(|live| live.is_ours());
        let doubled: BTreeSet<&str> = ours()
            .filter(|live| !seen.insert(&live.address))
            .map(|live| live.address.service.as_str())
            .collect();
        let mut groups: BTreeMap<(&str, &str), Vec<&Live>> = BTreeMap::new();
        for live in ours().filter(|live| doubled.contains(live.address.service.as_str())) {
            groups.entry((live.address.service.as_str(), live.scope.0.as_str())).or_default().push(live);
        }
        let places = groups
            .into_iter()
            .flat_map(|((service, _), members)| {
                let exposed = world.ours_of(service).and_then(|(exposed, _)| exposed);
                Graph::of(&members, kinds, exposed).places()
            })
            .collect();
        Self { places, stale: BTreeSet::new() }
    }

    /// These were not chosen, but for the last one of them that is still in charge.
    pub(super) fn discard(&mut self, kinds: &KindTable, surplus: impl Iterator<Item = &'a Live>) {
        surplus.for_each(|live| self.stale.extend(names(kinds, live)));
    }

    /// The smaller, the more traffic depends on it: first what is not idle, then what consumers are led to, what others use, what
    /// belongs to those chosen so far, and what most others use.
    pub(super) fn rank(&self, live: &Live) -> impl Ord + use<> {
        let place = self.place(live);
        (place.idle, !place.carries, place.uses == 0, self.refers_to_stale(live), Reverse(place.uses))
    }

    /// Whether nothing new comes to it, or the other generation is in charge.
    pub(super) fn is_idle(&self, live: &Live) -> bool {
        self.place(live).idle
    }

    /// Whether others use the one, and nobody the other yet.
    pub(super) fn is_used_rather(&self, one: &Live, other: &Live) -> bool {
        self.place(one).uses > 0 && self.place(other).uses == 0
    }

    /// Whether traffic depends on the one more than on the other, as far as it can be told.
    pub(super) fn serves_more(&self, one: &Live, other: &Live) -> bool {
        let serving = |live| {
            let place = self.place(live);
            (place.idle, !place.carries)
        };
        serving(one) < serving(other)
    }

    fn place(&self, live: &Live) -> Place {
        self.places.get(&(&live.address, live.id.as_str())).copied().unwrap_or_default()
    }

    fn refers_to_stale(&self, live: &Live) -> bool {
        let mut stale = false;
        for value in live.fields.values().filter(|_| !self.stale.is_empty()) {
            value.each_text(&mut |text| stale |= self.stale.contains(text));
        }
        stale
    }
}

/// One service in one place, and who uses whom in it.
struct Graph<'a, 'b> {
    members: &'b [&'a Live],
    idle: Vec<bool>,
    /// The users of each through which traffic goes.
    users: Vec<Vec<usize>>,
    exposed: Option<&'a Address>,
}

impl<'a, 'b> Graph<'a, 'b> {
    fn of(members: &'b [&'a Live], kinds: &KindTable, exposed: Option<&'a Address>) -> Self {
        let mut named: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, live) in members.iter().enumerate() {
            names(kinds, live).into_iter().for_each(|name| named.entry(name).or_default().push(index));
        }
        let mut users: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); members.len()];
        for (user, live) in members.iter().enumerate() {
            let kind = kinds.get(&live.scope, &live.address.kind);
            let goes = |name: &str| {
                kind.and_then(|kind| kind.field(name))
                    .is_none_or(|field| field.traffic != Traffic::GoesNowhere)
            };
            for value in live.fields.iter().filter(|(name, _)| goes(name)).map(|(_, value)| value) {
                value.each_text(&mut |text| {
                    let used = named.get(text).into_iter().flatten();
                    used.filter(|used| members[**used].id != live.id).for_each(|used| {
                        users[*used].insert(user);
                    });
                });
            }
        }
        let idle = members.iter().map(|live| is_idle(live, members, kinds)).collect();
        let users = users.into_iter().map(|users| users.into_iter().collect()).collect();
        Self { members, idle, users, exposed }
    }

    fn places(&self) -> Vec<(Id<'a>, Place)> {
        let places = self.members.iter().enumerate().map(|(index, live)| {
            let mut above: BTreeSet<usize> = BTreeSet::new();
            self.gather(index, &mut above);
            let leads = |one: usize| Some(&self.members[one].address) == self.exposed;
            let carries = !self.idle[index] && (leads(index) || above.iter().any(|user| leads(*user)));
            let place = Place { idle: self.idle[index], carries, uses: above.len() };
            ((&live.address, live.id.as_str()), place)
        });
        places.collect()
    }

    /// All that stand on one, as far as they are not idle. Where they stand on each other, each counts once.
    fn gather(&self, index: usize, above: &mut BTreeSet<usize>) {
        for user in self.users[index].iter().copied().filter(|user| *user != index && !self.idle[*user]) {
            if above.insert(user) {
                self.gather(user, above);
            }
        }
    }
}

/// How well one serves, and since when; nothing where its kind does not tell.
fn serves(live: &Live, kinds: &KindTable) -> Option<(i64, Option<i64>)> {
    let kind = kinds.get(&live.scope, &live.address.kind)?;
    let told = |traffic| {
        let field = kind.fields.iter().find(|field| field.traffic == traffic)?;
        live.fields.get(field.name)?.as_int()
    };
    Some((told(Traffic::Serves)?, told(Traffic::Since)))
}

/// Whether nothing new comes to one, or another generation is in charge: the one that serves better, and of equal ones the older.
fn is_idle(live: &Live, members: &[&Live], kinds: &KindTable) -> bool {
    if !works(live) {
        return true;
    }
    let Some(own) = serves(live, kinds) else { return false };
    let mut others = members.iter().filter(|other| other.address == live.address && other.id != live.id);
    own.0 == 0
        || others
            .by_ref()
            .filter(|other| works(other))
            .filter_map(|other| serves(other, kinds))
            .any(|other| other.0 > own.0 || (other.0 == own.0 && is_older(other.1, own.1)))
}

fn works(live: &Live) -> bool {
    !matches!(live.health, Health::Broken { .. } | Health::Going { .. })
}

/// Whether the one is known to be older than the other.
fn is_older(one: Option<i64>, other: Option<i64>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one < other)
}
