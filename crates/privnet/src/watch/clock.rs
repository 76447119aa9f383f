//! When a deployment is looked at next: pure, so that its laws are tested without waiting.
//!
//! Times are [`Duration`]s since the watch began; random draws come from outside, in `0.0..1.0`.

use std::time::Duration;

/// How often a deployment is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// The longest time from the begin of one round to the begin of the next, when rounds end well and are shorter.
    pub interval: Duration,
    /// The longest pause after failures, or the interval where that is longer.
    pub longest: Duration,
}

/// How a round ended, as far as the clock is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything was read, and there was nothing to do. A refusal by a safety rule is no failure: trying sooner or later changes
    /// nothing about it.
    Well,
    /// Something was done, and often something follows from it: a new target becomes healthy, and the old one can go.
    Changed,
    /// Something could not be read or done.
    Badly,
}

/// The clock of one deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    rhythm: Rhythm,
    failures: u32,
    lookout: Lookout,
    due: Duration,
}

/// Whether the consequences of a change are looked out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lookout {
    /// Nothing was changed lately.
    Idle,
    /// Something was, then.
    Since(Duration),
    /// It was looked out for its whole time, and to its end something was changed. Two programs that undo each other's work are not to
    /// do so all the time: a calm round comes first.
    Spent,
}

/// A round begins at 0.7 to 0.8 of the interval, so that deployments that began together drift apart, and none is looked at
/// less often than was asked for: a look may take until its name was asked twice, and what it does counts from then.
const EARLIEST: f64 = 0.7;
const LATEST: f64 = 0.8;
/// A pause after failures is drawn from its upper half.
const SHORTEST_PAUSE: f64 = 0.5;
/// After a change the next look comes after an eighth of the time that has passed since, so that what takes its time is seen within
/// an eighth of it; at least this part of the interval.
const SOON: f64 = 0.15;
const PART: u32 = 8;
/// The looking out is over when its pauses are this part of the interval, after two intervals: what comes then begins it anew, once a
/// round was calm.
const OVER: u32 = 4;
/// Between two rounds there is at least this part of the interval, however long they take; at most twice as much.
const BREATH: f64 = 0.1;
/// No interval is longer: a watch that looks once a week is none.
const LONGEST_INTERVAL: Duration = Duration::from_secs(7 * 24 * 3600);
/// Deployments of one process begin this far apart, or closer together where the interval has no room for that.
const APART: Duration = Duration::from_secs(1);

impl Clock {
    /// The clock of deployment `index` of `count`: the first begins at once, the others after it, never together.
    #[must_use]
    pub fn new(rhythm: Rhythm, index: u32, count: u32) -> Self {
        let interval = rhythm.interval.min(LONGEST_INTERVAL);
        let rhythm = Rhythm { interval, longest: rhythm.longest.min(LONGEST_INTERVAL) };
        let apart = APART.min(interval / count.max(1));
        Self { rhythm, failures: 0, lookout: Lookout::Idle, due: apart * index }
    }

    /// When the next round begins.
    #[must_use]
    pub fn due(&self) -> Duration {
        self.due
    }

    /// How many rounds in a row ended badly.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// A round that began at `began` is over at `now`.
    ///
    /// After the first failure the next round comes no later than otherwise: most failures are gone by then. Each further one
    /// doubles the pause, up to the rhythm's longest.
    pub fn ended(&mut self, began: Duration, now: Duration, ended: Ended, draw: f64) {
        let draw = draw.clamp(0.0, 1.0);
        let interval = self.rhythm.interval;
        match ended {
            Ended::Well | Ended::Changed => {
                self.failures = 0;
                let jitter = EARLIEST + (LATEST - EARLIEST) * draw;
                let next = began + interval.mul_f64(jitter);
                self.due = next.max(now + interval.mul_f64(BREATH * (1.0 + draw)));
                // A change while an earlier one is looked out for does not begin anew.
                self.lookout = match (self.lookout, ended) {
                    (Lookout::Idle, Ended::Changed) => Lookout::Since(now),
                    (Lookout::Spent, Ended::Well) => Lookout::Idle,
                    (lookout, _) => lookout,
                };
                if let Lookout::Since(changed) = self.lookout {
                    let pause = (now.saturating_sub(changed) / PART).max(interval.mul_f64(SOON));
                    self.due = self.due.min(now + pause.mul_f64(jitter));
                    if pause >= interval / OVER {
                        self.lookout = if ended == Ended::Changed { Lookout::Spent } else { Lookout::Idle };
                    }
                }
            }
            Ended::Badly => {
                self.failures = self.failures.saturating_add(1);
                let doublings = (self.failures - 1).min(16);
                let pause = interval.saturating_mul(1 << doublings).min(self.rhythm.longest.max(interval));
                self.due = now + pause.mul_f64(SHORTEST_PAUSE + (1.0 - SHORTEST_PAUSE) * draw);
            }
        }
    }

    /// The file changed: the next round begins now, and what failed before may have been the file's fault.
    pub fn wake(&mut self, now: Duration) {
        self.failures = 0;
        self.lookout = Lookout::Idle;
        self.due = now;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
        range.prop_map(Duration::from_millis)
    }

    /// A rhythm, and rounds: how long each took, whether it ended well, what was drawn.
    fn rounds() -> impl Strategy<Value = (Rhythm, Vec<(Duration, Ended, f64)>)> {
        let ended = prop_oneof![Just(Ended::Well), Just(Ended::Changed), Just(Ended::Badly)];
        let rhythm = (millis(1..600_000), millis(1..3_600_000))
            .prop_map(|(interval, longest)| Rhythm { interval, longest });
        (rhythm, prop::collection::vec((millis(0..900_000), ended, 0.0..1.0), 1..60))
    }

    proptest! {
        /// Nothing is forgotten, nothing runs hot: each pause is within its bounds, whatever happened before.
        #[test]
        fn every_pause_is_within_its_bounds((rhythm, rounds) in rounds()) {
            let mut clock = Clock::new(rhythm, 0, 1);
            let mut failures = 0;
            for (took, ended, draw) in rounds {
                let began = clock.due();
                let now = began + took;
                clock.ended(began, now, ended, draw);
                prop_assert!(clock.due() >= now);
                if ended != Ended::Badly {
                    failures = 0;
                    // Never less often than asked for, but for the breath after a round that takes the interval or more.
                    let latest = (began + rhythm.interval).max(now + rhythm.interval.mul_f64(2.0 * BREATH));
                    prop_assert!(clock.due() <= latest, "{:?} > {latest:?}", clock.due());
                    prop_assert!(clock.due() - now >= rhythm.interval.mul_f64(BREATH * 0.99));
                } else {
                    failures += 1;
                    let pause = clock.due() - now;
                    prop_assert!(pause <= rhythm.longest.max(rhythm.interval));
                    prop_assert!(pause >= rhythm.interval.mul_f64(SHORTEST_PAUSE));
                }
                prop_assert_eq!(clock.failures(), failures);
            }
        }

        /// Without changes the interval is kept, also from below.
        #[test]
        fn a_calm_deployment_is_looked_at_once_an_interval((rhythm, rounds) in rounds()) {
            let mut clock = Clock::new(rhythm, 0, 1);
            for (took, _, draw) in rounds {
                let began = clock.due();
                clock.ended(began, began + took, Ended::Well, draw);
                prop_assert!(clock.due() - began >= rhythm.interval.mul_f64(EARLIEST));
            }
        }

        /// What follows from a change is seen within about an eighth of the time it takes, or a bit more of the interval; whoever
        /// changes something in each round does not get more looks for it.
        #[test]
        fn after_a_change_it_looks_again_soon_and_then_less_often(
            (rhythm, rounds) in rounds(), again in prop_oneof![Just(Ended::Well), Just(Ended::Changed)],
        ) {
            let mut clock = Clock::new(rhythm, 0, 1);
            let first = clock.due();
            clock.ended(first, first, Ended::Changed, 0.5);
            for (_, _, draw) in &rounds {
                let now = clock.due();
                let since = now - first;
                clock.ended(now, now, again, *draw);
                if since / PART >= rhythm.interval / OVER {
                    break;
                }
                let pause = clock.due() - now;
                prop_assert!(pause <= (since / PART).max(rhythm.interval.mul_f64(SOON)));
                prop_assert!(pause >= (since / PART).mul_f64(EARLIEST * 0.99));
            }
        }

        /// When a change was looked out for, a later one is looked out for, too.
        #[test]
        fn a_later_change_is_looked_out_for_like_the_first((rhythm, rounds) in rounds(), draw in 0.0..1.0_f64) {
            let mut clock = Clock::new(rhythm, 0, 1);
            let first = clock.due();
            clock.ended(first, first, Ended::Changed, 0.5);
            for (_, _, draw) in rounds.iter().cycle() {
                let now = clock.due();
                clock.ended(now, now, Ended::Well, *draw);
                if now - first >= rhythm.interval * (PART / OVER) {
                    break;
                }
            }
            let now = clock.due();
            clock.ended(now, now, Ended::Changed, draw);
            prop_assert!(clock.due() - now <= rhythm.interval.mul_f64(SOON));
        }

        /// Two programs that undo each other's work do so no more than once in about a round, but for the first look-out.
        #[test]
        fn a_change_in_every_round_is_not_followed_without_end((rhythm, rounds) in rounds()) {
            let mut clock = Clock::new(rhythm, 0, 1);
            let begun = clock.due();
            let mut looks = 0;
            for (_, _, draw) in rounds.iter().cycle() {
                let now = clock.due();
                if now - begun >= rhythm.interval * 100 {
                    break;
                }
                looks += 1;
                clock.ended(now, now, Ended::Changed, *draw);
            }
            prop_assert!(looks <= 100 * 100 / 70 + 1 + 2 * 10, "{looks} looks in 100 intervals");
        }

        /// Each failure in a row makes the pause longer, until it is the longest; one success ends that.
        #[test]
        fn pauses_grow_with_failures_and_one_success_ends_that(
            (rhythm, rounds) in rounds(), draw in 0.0..1.0_f64,
        ) {
            let mut clock = Clock::new(rhythm, 0, 1);
            let mut last = Duration::ZERO;
            for _ in &rounds {
                let now = clock.due();
                clock.ended(now, now, Ended::Badly, draw);
                let pause = clock.due() - now;
                prop_assert!(pause >= last);
                last = pause;
            }
            let now = clock.due();
            clock.ended(now, now, Ended::Well, draw);
            prop_assert!(clock.due() - now <= rhythm.interval);
            prop_assert_eq!(clock.failures(), 0);
        }

        /// Deployments that begin together, with the same rounds, are at different times from then on.
        #[test]
        fn deployments_are_never_in_step(
            (rhythm, rounds) in rounds(), index in 0..20_u32, draws in prop::collection::vec(0.0..1.0_f64, 60),
        ) {
            prop_assume!(rhythm.interval >= Duration::from_millis(100));
            let mut one = Clock::new(rhythm, index, 21);
            let mut other = Clock::new(rhythm, index + 1, 21);
            prop_assert_ne!(one.due(), other.due());
            for ((took, ended, draw), own) in rounds.iter().zip(&draws) {
                prop_assume!((draw - own).abs() > 1e-3);
                for (clock, draw) in [(&mut one, draw), (&mut other, own)] {
                    let began = clock.due();
                    clock.ended(began, began + *took, *ended, *draw);
                }
                prop_assert_ne!(one.due(), other.due());
            }
        }
    }

    #[test]
    fn a_new_file_is_looked_at_now() {
        let rhythm = Rhythm { interval: Duration::from_secs(60), longest: Duration::from_secs(900) };
        let mut clock = Clock::new(rhythm, 0, 1);
        assert_eq!(clock.due(), Duration::ZERO);
        for _ in 0..100 {
            let now = clock.due();
            clock.ended(now, now, Ended::Badly, 1.0);
        }
        let now = clock.due() - Duration::from_secs(900);
        clock.wake(now);
        assert_eq!((clock.due(), clock.failures()), (now, 0));
    }

    #[test]
    fn many_deployments_begin_within_the_first_interval() {
        let rhythm = Rhythm { interval: Duration::from_secs(60), longest: Duration::from_secs(900) };
        let last = Clock::new(rhythm, 599, 600);
        assert!(last.due() < rhythm.interval && last.due() > Duration::from_secs(59));
        assert_eq!(Clock::new(rhythm, 2, 3).due(), Duration::from_secs(2));
    }
}
