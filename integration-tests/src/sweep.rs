//! What fault sweeps share: the work through a proxy, the same work again, sampled pairs, and the count of what was tried.

use std::collections::{BTreeMap, BTreeSet};

use privnet::{PlanOptions, Session};

use crate::proxy::{Fault, Idle, Proxy};
use crate::stage::Fail;

/// Does the work through a proxy, until it is done or killed.
pub async fn do_work(session: &Session, options: PlanOptions, proxy: &Proxy) {
    let kill = proxy.kill();
    tokio::select! {
        _ = session.apply(options) => {}
        () = kill.cancelled() => {}
    }
}

/// The same work again, undisturbed: it succeeds, and planning it once more gives nothing.
///
/// # Errors
/// When it does not.
pub async fn mend(session: &Session, options: PlanOptions) -> Result<(), Fail> {
    let again = session.apply(options).await;
    if let Some(error) = again.report.failures().next() {
        return Err(format!("the second run failed: {error}").into());
    }
    if !again.planned.plan.refusals.is_empty() || !again.planned.unreachable.is_empty() {
        let refusals = &again.planned.plan.refusals;
        return Err(format!("the second run: {refusals:?} {:?}", again.planned.unreachable).into());
    }
    let empty = session.plan(options).await;
    if !empty.plan.is_empty() || !empty.plan.refusals.is_empty() {
        return Err(format!("planning again gives {:?} {:?}", empty.plan.actions, empty.plan.refusals).into());
    }
    Ok(())
}

/// Compares two censuses.
///
/// # Errors
/// What one has and the other has not.
pub fn same(found: &BTreeSet<String>, expected: &BTreeSet<String>) -> Result<(), Fail> {
    if found == expected {
        return Ok(());
    }
    let (more, less): (Vec<_>, Vec<_>) =
        (found.difference(expected).collect(), expected.difference(found).collect());
    Err(format!("the census finds too much: {more:#?}\nand too little: {less:#?}").into())
}

/// Which faults of a sweep had their effect. A point whose fault had none shows nothing: it is counted apart, with its reason.
#[derive(Debug, Default)]
pub struct Fired {
    faults: usize,
    singles: usize,
    /// Single points whose request never came: the run sent fewer than the undisturbed one.
    not_reached: usize,
    idle: BTreeMap<Idle, usize>,
}

impl Fired {
    /// How large a part of the single points may come too late. A run sends a few requests more or fewer than another, since it looks
    /// again until the cloud is ready.
    const LATE: usize = 4;

    /// Notes what became of a point's faults.
    pub fn note(&mut self, faults: usize, proxy: &Proxy) {
        let idle = proxy.idle();
        self.faults += faults;
        if faults == 1 {
            self.singles += 1;
            self.not_reached += idle.values().filter(|why| **why == Idle::NotReached).count();
        }
        for why in idle.into_values() {
            *self.idle.entry(why).or_default() += 1;
        }
    }

    /// How many faults had their effect, and how many had none for which reason.
    #[must_use]
    pub fn told(&self) -> String {
        let idle: usize = self.idle.values().sum();
        let mut words = format!("{} of {} faults had their effect", self.faults - idle, self.faults);
        for (why, count) in &self.idle {
            words += &match why {
                Idle::NotReached => format!(", {count} came after the last request of the run"),
                Idle::NothingStale => format!(", {count} had no older answer to give"),
            };
        }
        words
    }

    /// Demands that most single points were reached.
    ///
    /// # Errors
    /// When they were not.
    pub fn check(&self) -> Result<(), Fail> {
        if self.singles == 0 || self.not_reached * Self::LATE > self.singles {
            return Err(
                format!("{} of {} single points were never reached", self.not_reached, self.singles).into()
            );
        }
        Ok(())
    }
}

/// A small generator, so that the sampled pairs are the same in every run.
#[derive(Debug)]
pub struct Sample(pub u64);

impl Sample {
    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % end.max(1)
    }

    /// Two faults at two different ones of so many requests.
    pub fn pair(&mut self, requests: usize) -> Vec<(usize, Fault)> {
        let mut one = || {
            let at = self.below(requests);
            let fault = Fault::ALL.get(self.below(Fault::ALL.len())).copied();
            (at, fault.unwrap_or(Fault::Lost))
        };
        let (first, mut second) = (one(), one());
        if second.0 == first.0 {
            second.0 = (second.0 + 1) % requests.max(1);
        }
        vec![first, second]
    }
}
