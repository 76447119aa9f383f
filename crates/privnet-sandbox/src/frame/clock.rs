//! Sandbox time: it runs faster than real time when told so, and goes on between processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::SandboxError;

/// How fast time passes in a folder that nobody set a speed for.
pub const DEFAULT_SPEED: f64 = 20.0;

/// Sandbox time: `sandbox_base + (real - real_base) * speed`, kept in `clock.json`.
///
/// Processes that share a folder share the clock: a change by one is seen by the others at their next look.
#[derive(Debug)]
pub struct Clock {
    path: PathBuf,
    /// The base as it was last on disk: it goes on when the file goes.
    seen: Mutex<Base>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Base {
    real: Timestamp,
    sandbox: Timestamp,
    speed: f64,
}

impl Base {
    fn at(&self, real: Timestamp) -> Timestamp {
        let elapsed = real.duration_since(self.real).as_secs_f64().max(0.0);
        let nanos = (elapsed * self.speed * 1e9) as i64;
        self.sandbox.checked_add(jiff::SignedDuration::from_nanos(nanos)).unwrap_or(Timestamp::MAX)
    }
}

impl Clock {
    /// Opens the folder's clock, or starts one at the present. With `speed`, time runs at that many times real time from now
    /// on; without it, at the speed that the folder has ([`DEFAULT_SPEED`] for a new one).
    pub fn open(dir: &Path, speed: Option<f64>) -> Result<Self, SandboxError> {
        fs::create_dir_all(dir).map_err(|e| SandboxError::io(format!("create {}", dir.display()), e))?;
        let path = dir.join("clock.json");
        let real = Timestamp::now();
        let stored = read(&path);
        let mut base = stored.unwrap_or(Base { real, sandbox: real, speed: DEFAULT_SPEED });
        let wanted = speed.filter(|s| s.is_finite() && *s > 0.0).unwrap_or(base.speed);
        if stored.is_none() || wanted.to_bits() != base.speed.to_bits() {
            base = Base { real, sandbox: base.at(real), speed: wanted };
            write(&path, &base)?;
        }
        Ok(Self { path, seen: Mutex::new(base) })
    }

    /// The sandbox's present.
    pub fn now(&self) -> Timestamp {
        self.base().at(Timestamp::now())
    }

    /// How many sandbox seconds pass in a real one.
    pub fn speed(&self) -> f64 {
        self.base().speed
    }

    /// Moves sandbox time forward at once, for every process that shares the folder.
    pub fn advance(&self, by: Duration) -> Result<(), SandboxError> {
        let mut base = self.base();
        let step = jiff::SignedDuration::try_from(by).unwrap_or(jiff::SignedDuration::MAX);
        base.sandbox = base.sandbox.checked_add(step).unwrap_or(Timestamp::MAX);
        write(&self.path, &base)?;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = base;
        Ok(())
    }

    /// The base as it is on disk now. It is read each time: a file's time of change is too coarse to tell two changes apart that
    /// follow at once, such as a new clock and its speed.
    fn base(&self) -> Base {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(base) = read(&self.path) {
            *seen = base;
        }
        *seen
    }
}

fn read(path: &Path) -> Option<Base> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn write(path: &Path, base: &Base) -> Result<(), SandboxError> {
    let io = |e| SandboxError::io(format!("write {}", path.display()), e);
    let text = serde_json::to_vec(base).map_err(|e| io(e.into()))?;
    super::store::replace_file(path, &text).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_between_processes_and_across_a_change_of_speed() {
        let dir = tempfile::tempdir().unwrap();
        let first = Clock::open(dir.path(), Some(1000.0)).unwrap();
        let before = first.now();
        std::thread::sleep(Duration::from_millis(20));
        let second = Clock::open(dir.path(), Some(1.0)).unwrap();
        let gone = second.now().duration_since(before).as_secs_f64();
        assert!(gone >= 20.0, "20 ms at speed 1000 are 20 s, not {gone}");
        assert!((first.speed() - 1.0).abs() < 1e-9, "the first process sees the new speed");
    }

    #[test]
    fn whoever_opens_a_folder_first_sets_no_other_speed() {
        let dir = tempfile::tempdir().unwrap();
        let looked = Clock::open(dir.path(), None).unwrap();
        assert!((looked.speed() - DEFAULT_SPEED).abs() < 1e-9);
        assert!((Clock::open(dir.path(), Some(3.0)).unwrap().speed() - 3.0).abs() < 1e-9);
    }

    #[test]
    fn many_open_a_new_clock_at_once() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            let open = || Clock::open(dir.path(), Some(7.0)).map(|clock| clock.speed());
            let opened: Vec<_> = (0..16).map(|_| scope.spawn(open)).collect();
            for clock in opened {
                let speed = clock.join().unwrap().unwrap();
                assert!((speed - 7.0).abs() < 1e-9);
            }
        });
        let left = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, 1, "nothing but the clock is left in the folder");
    }

    #[test]
    fn a_speed_that_is_set_at_once_is_seen_by_who_opened_before() {
        for _ in 0..50 {
            let dir = tempfile::tempdir().unwrap();
            let first = Clock::open(dir.path(), None).unwrap();
            Clock::open(dir.path(), Some(1000.0)).unwrap();
            assert!((first.speed() - 1000.0).abs() < 1e-9);
        }
    }

    #[test]
    fn advancing_is_seen_by_others() {
        let dir = tempfile::tempdir().unwrap();
        let one = Clock::open(dir.path(), None).unwrap();
        let two = Clock::open(dir.path(), None).unwrap();
        let before = two.now();
        one.advance(Duration::from_secs(600)).unwrap();
        assert!(two.now().duration_since(before).as_secs() >= 600);
    }
}
