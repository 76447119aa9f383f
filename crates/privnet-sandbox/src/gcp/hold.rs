//! `operations.wait` holds the request until the operation is done or its deadline comes.
//!
//! The public API's deadline is two minutes, after which it answers the operation as it is. Here it is two minutes of
//! sandbox time, and two real seconds at most, so that a sandbox that is told to stop does.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::frame::Clock;

const SANDBOX_DEADLINE: SignedDuration = SignedDuration::from_mins(2);
const REAL_DEADLINE: Duration = Duration::from_secs(2);
/// How long it sleeps at a time: another process may set the clock meanwhile.
const SLICE: Duration = Duration::from_millis(100);

/// A request that is held.
pub(crate) struct Hold<'a> {
    clock: &'a Clock,
    asked: Timestamp,
    began: Timestamp,
    real: Instant,
}

impl<'a> Hold<'a> {
    /// Begins to hold a request that came at `asked`.
    pub(crate) fn begin(clock: &'a Clock, asked: Timestamp) -> Self {
        Self { clock, asked, began: clock.now(), real: Instant::now() }
    }

    /// The sandbox's time now, for this request.
    pub(crate) fn now(&self) -> Timestamp {
        self.asked.saturating_add(self.passed()).unwrap_or(self.asked)
    }

    fn passed(&self) -> SignedDuration {
        self.clock.now().duration_since(self.began)
    }

    /// Sleeps on towards `ends`; `false` when a deadline has come.
    pub(crate) fn sleep_towards(&self, ends: Timestamp) -> bool {
        if self.passed() >= SANDBOX_DEADLINE || self.real.elapsed() >= REAL_DEADLINE {
            return false;
        }
        let left = ends.duration_since(self.now()).as_secs_f64().max(0.0) / self.clock.speed();
        let left = Duration::try_from_secs_f64(left).unwrap_or(SLICE);
        std::thread::sleep(left.clamp(Duration::from_millis(1), SLICE));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(speed: f64, seconds: i64) -> (bool, Duration) {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::open(dir.path(), Some(speed)).unwrap();
        let asked: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let ends = asked + SignedDuration::from_secs(seconds);
        let (hold, real) = (Hold::begin(&clock, asked), Instant::now());
        while hold.now() < ends {
            if !hold.sleep_towards(ends) {
                return (false, real.elapsed());
            }
        }
        (true, real.elapsed())
    }

    #[test]
    fn it_ends_when_the_operation_does() {
        let (done, took) = held(100.0, 20);
        assert!(done && took >= Duration::from_millis(190) && took < Duration::from_secs(2), "{took:?}");
    }

    #[test]
    fn it_does_not_outlast_its_deadline() {
        let (done, took) = held(1000.0, 500);
        assert!(!done && took < Duration::from_secs(1), "two minutes at that speed: {took:?}");
        let (done, took) = held(1.0, 60);
        assert!(!done && took < Duration::from_secs(3), "{took:?}");
    }
}
