//! How often in a row each address of a name was absent from its answers, over the looks of one process. Pure.
//!
//! A name that moved gives its new address from then on. A name that gives its addresses in turn or at random (a reader endpoint) leaves
//! each of them out most of the time: there an address is gone only when it was absent so often that chance does not explain it.
//! A new process knows nothing of earlier answers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::facts::{ResolvedName, Sample};

/// A healthy address is gone when it was absent from so many answers in a row, at least.
pub(crate) const GONE: usize = 8;
/// The chance to take a reader for gone that is there, for a run that asks once and has no memory, and for one that looks again and again.
const ONCE: f64 = 1.0 / 256.0;
const AGAIN_AND_AGAIN: f64 = 1e-9;

/// What is known of a name's answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Absences {
    /// Whether an earlier look of this process asked, or a later one will: what one does not count the next one counts.
    again: bool,
    /// By address, those that were seen or are registered.
    absent: BTreeMap<IpAddr, usize>,
    /// How many answers came since an address was absent and came back; none: none did.
    came_back: Option<usize>,
}

/// How many answers a name is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// An address is gone after so many answers in a row without it.
    pub(crate) absent: usize,
    /// One look waits for no more answers that are copies of none before.
    pub(crate) samples: usize,
    /// Whether the name gives different answers all the time, not once.
    pub(crate) rotates: bool,
}

impl Absences {
    /// In how many answers in a row an address was absent.
    pub(crate) fn of(&self, address: &IpAddr) -> usize {
        self.absent.get(address).copied().unwrap_or_default()
    }

    /// Whoever asks looks again and again.
    pub(crate) fn look_again(&mut self) {
        self.again = true;
    }

    /// Whether he does.
    pub(crate) fn are_looked_for_again(&self) -> bool {
        self.again
    }

    /// Adds the first samples of a look.
    pub(crate) fn add_all(&mut self, name: &ResolvedName, registered: &BTreeSet<IpAddr>) {
        for (number, sample) in name.samples.iter().enumerate() {
            self.add(sample, registered, name.copies.contains(&number));
        }
    }

    /// Adds one answer. One that `may_be_old`, a cached copy of the answer before it, says of nothing that it is absent once more. One that
    /// failed or is empty makes all that came before it worthless.
    pub(crate) fn add(&mut self, sample: &Sample, registered: &BTreeSet<IpAddr>, may_be_old: bool) {
        let seen = match sample {
            Sample::Addresses(seen) if !seen.is_empty() => seen,
            Sample::Addresses(_) | Sample::Failed(_) => {
                self.absent.clear();
                return;
            }
        };
        self.came_back = self.came_back.map(|answers| answers + usize::from(!may_be_old));
        if seen.iter().any(|address| self.of(address) > 0) {
            self.came_back = Some(0);
        }
        for address in registered.union(seen) {
            self.absent.entry(*address).or_default();
        }
        for (address, absent) in &mut self.absent {
            if seen.contains(address) {
                *absent = 0;
            } else if !may_be_old {
                *absent += 1;
            }
        }
    }

    /// What is demanded of a name, in view of a look's samples so far.
    pub(crate) fn demand(&self, name: &ResolvedName, registered: &BTreeSet<IpAddr>) -> Demand {
        let answers: BTreeSet<&BTreeSet<IpAddr>> = name.answers().collect();
        let rotates = self.came_back.is_some() || answers.len() > 1;
        if !rotates {
            return Demand { absent: GONE, samples: GONE, rotates };
        }
        let members = registered.union(&name.seen()).count();
        let each = answers.iter().map(|answer| answer.len()).min().unwrap_or_default();
        if self.again {
            // The rest is for later looks.
            Demand { absent: answers_without(members, each, AGAIN_AND_AGAIN), samples: GONE, rotates }
        } else {
            let absent = answers_without(members, each, ONCE);
            Demand { absent, samples: absent, rotates }
        }
    }

    /// A look is over. An address that is neither registered nor given is forgotten: when it comes again it is new. And a name that kept
    /// still for as long as an address must be absent no longer rotates.
    pub(crate) fn end(&mut self, name: &ResolvedName, registered: &BTreeSet<IpAddr>) {
        self.again = true;
        let seen = name.seen();
        self.absent.retain(|address, _| registered.contains(address) || seen.contains(address));
        let demand = self.demand(name, registered);
        self.came_back = self.came_back.filter(|answers| *answers < demand.absent);
    }
}

/// How many answers in a row leave out a given one of `members` by chance no more often than `chance`, when each gives `each` of them.
fn answers_without(members: usize, each: usize, chance: f64) -> usize {
    let portion = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    let left_out = (1.0 - portion(each.max(1)) / portion(members.max(2))).clamp(0.0, 0.999);
    let mut odds = 1.0;
    let mut answers = 0;
    while odds > chance {
        odds *= left_out;
        answers += 1;
    }
    answers.max(GONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(addresses: &[&str]) -> BTreeSet<IpAddr> {
        addresses.iter().map(|ip| ip.parse().unwrap()).collect()
    }

    fn name(samples: &[&[&str]]) -> ResolvedName {
        let samples = samples.iter().map(|addresses| Sample::Addresses(set(addresses))).collect();
        ResolvedName { samples, copies: BTreeSet::from([0]), ..ResolvedName::of("db.example", "system") }
    }

    fn look(absences: &mut Absences, samples: &[&[&str]], registered: &[&str]) -> Demand {
        let (name, registered) = (name(samples), set(registered));
        absences.add_all(&name, &registered);
        let demand = absences.demand(&name, &registered);
        absences.end(&name, &registered);
        demand
    }

    const A: &str = "10.0.0.1";
    const B: &str = "10.0.0.2";
    const C: &str = "10.0.0.3";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn absences_add_up_over_looks_and_one_sight_ends_them() {
        let mut absences = Absences::default();
        assert_eq!(look(&mut absences, &[&[B], &[B]], &[A]).absent, GONE);
        assert_eq!(absences.of(&ip(A)), 1, "the first answer may be a copy");
        look(&mut absences, &[&[B], &[B], &[B]], &[A, B]);
        assert_eq!(absences.of(&ip(A)), 3);
        let fresh = ResolvedName { copies: BTreeSet::new(), ..name(&[&[B], &[B]]) };
        absences.add_all(&fresh, &set(&[A, B]));
        assert_eq!(absences.of(&ip(A)), 5, "and when the one before it has expired, it is none");
        look(&mut absences, &[&[A, B], &[A, B]], &[A, B]);
        assert_eq!(absences.of(&ip(A)), 0);
    }

    #[test]
    fn what_failed_or_is_empty_makes_earlier_absences_worthless() {
        for bad in [Sample::Failed("refused".to_owned()), Sample::Addresses(BTreeSet::new())] {
            let mut absences = Absences::default();
            look(&mut absences, &[&[B], &[B], &[B]], &[A]);
            absences.add(&bad, &set(&[A]), false);
            assert_eq!(absences.of(&ip(A)), 0, "{bad:?}");
        }
    }

    #[test]
    fn an_address_that_comes_back_makes_a_name_rotate_until_it_keeps_still() {
        let mut absences = Absences::default();
        look(&mut absences, &[&[A], &[A]], &[A, B]);
        let demand = look(&mut absences, &[&[B], &[B]], &[A, B]);
        assert_eq!(demand, Demand { absent: 30, samples: GONE, rotates: true });
        let mut looks = 0;
        while look(&mut absences, &[&[B], &[B], &[B]], &[A, B]).rotates {
            looks += 1;
            assert!(looks < 20);
        }
        assert!(absences.of(&ip(A)) >= 30, "it kept still as long as an address must be absent");
    }

    #[test]
    fn a_name_that_moved_does_not_rotate() {
        let mut absences = Absences::default();
        look(&mut absences, &[&[A], &[A]], &[A]);
        for _ in 0..4 {
            let demand = look(&mut absences, &[&[B], &[B]], &[A, B]);
            assert_eq!(demand, Demand { absent: GONE, samples: GONE, rotates: false });
        }
        // It is deregistered and forgotten: moving back is another move.
        look(&mut absences, &[&[B], &[B]], &[B]);
        assert!(!look(&mut absences, &[&[A], &[A]], &[B]).rotates);
    }

    #[test]
    fn the_more_addresses_a_name_has_the_more_answers_must_leave_one_out() {
        let demands = [2, 3, 5, 15].map(|members| answers_without(members, 1, AGAIN_AND_AGAIN));
        assert_eq!(demands, [30, 52, 93, 301]);
        let once = [2, 3, 5].map(|members| answers_without(members, 1, ONCE));
        assert_eq!(once, [8, 14, 25]);
        assert_eq!(answers_without(10, 8, AGAIN_AND_AGAIN), 13, "eight of ten in each answer");
        // Two different answers in one look are enough to be careful.
        let mut absences = Absences::default();
        assert_eq!(look(&mut absences, &[&[A], &[B]], &[A, B, C]).absent, 14);
    }

    #[test]
    fn no_number_of_readers_makes_a_single_look_take_fewer_answers_than_chance_demands() {
        for (readers, demanded) in [(6, 31), (7, 36), (15, 81), (39, 214)] {
            let many: Vec<String> = (1..=readers).map(|last| format!("10.0.1.{last}")).collect();
            let many: Vec<&str> = many.iter().map(String::as_str).collect();
            let demand = look(&mut Absences::default(), &[&many[..1], &many[1..2]], &many);
            assert_eq!(demand, Demand { absent: demanded, samples: demanded, rotates: true });
            let left_out = (1.0 - 1.0 / f64::from(readers)).powi(i32::try_from(demanded).unwrap());
            assert!(left_out <= ONCE, "{readers} readers: {left_out}");
        }
    }

    #[test]
    fn who_will_look_again_does_not_take_the_chance_of_a_single_look() {
        let mut absences = Absences::default();
        absences.look_again();
        let demand = look(&mut absences, &[&[A], &[B]], &[A, B, C]);
        assert_eq!(demand, Demand { absent: 52, samples: GONE, rotates: true });
    }

    #[test]
    fn copies_of_an_answer_count_once_however_many_they_are() {
        let mut absences = Absences::default();
        let held = ResolvedName { copies: (1..9).collect(), ..name(&[&[B][..]; 9]) };
        absences.add_all(&held, &set(&[A, B]));
        assert_eq!(absences.of(&ip(A)), 1);
    }
}
