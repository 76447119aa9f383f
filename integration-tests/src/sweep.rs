//! What fault sweeps share: the work through a proxy, the same work again, sampled pairs, and the count of what was tried.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use privnet::{PlanOptions, Session};

use crate::proxy::{Fault, Idle, Place, Proxy, Request};
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
    // The second run found nothing to do: that is what planning once more would show.
    if again.planned.plan.is_empty() {
        return Ok(());
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

/// The faults of a point, and where each is.
pub type Faults = Vec<(Place, Fault)>;

/// The requests of undisturbed work.
#[derive(Debug)]
pub struct Recorded(pub Vec<Request>);

impl Recorded {
    /// How many of them were answered before in the same words: the others have no older answer that could be given again.
    #[must_use]
    pub fn older(&self) -> usize {
        self.0.iter().filter(|request| request.again).count()
    }

    /// The request at this place, so named that another run's is the same. A stale answer can be given only where there is an older one.
    #[must_use]
    pub fn spoil(&self, at: usize, fault: Fault) -> Option<(Place, Fault)> {
        let (request, before) = (self.0.get(at)?, self.0.get(..at)?);
        let before = before.iter().filter(|other| other.action == request.action);
        let name = request.action.clone();
        let place = match fault {
            Fault::Stale if !request.again => return None,
            Fault::Stale => Place::Again(name, before.filter(|other| other.again).count()),
            _ => Place::Nth(name, before.count()),
        };
        Some((place, fault))
    }

    /// Two faults at two different requests.
    pub fn pair(&self, sample: &mut Sample) -> Faults {
        loop {
            let pair = sample.pair(self.0.len()).into_iter().map(|(at, fault)| self.spoil(at, fault));
            if let Some(pair) = pair.collect() {
                return pair;
            }
        }
    }
}

/// How many times a point is tried until its fault has its effect.
const TRIES: usize = 4;

/// Spoils work in a fresh world, until the fault has its effect there; of a pair, one of them: the first may end the run. A run may look
/// less often than the recorded one, when the cloud is ready sooner: then its last request of that name is spoiled.
///
/// # Errors
/// When the work cannot be tried.
pub async fn spoiled<W, P: Borrow<Proxy>>(
    mut faults: Faults,
    fired: &mut Fired,
    run: impl AsyncFn(Faults) -> Result<(W, P), Fail>,
) -> Result<W, Fail> {
    let mut tries = 0;
    loop {
        let (world, proxy) = run(faults.clone()).await?;
        let proxy: &Proxy = proxy.borrow();
        let idle = proxy.idle();
        tries += 1;
        if idle.len() < faults.len() || tries == TRIES {
            fired.note_point(&faults, &idle);
            return Ok(world);
        }
        fired.again += 1;
        let requests = proxy.requests();
        for (at, (place, _)) in faults.iter_mut().enumerate() {
            if idle.get(&at) == Some(&Idle::NotReached) {
                *place = place.last_in(&requests);
            }
        }
    }
}

/// Which faults of a sweep had their effect. A point whose fault had none shows nothing: it is counted apart, with its reason.
#[derive(Debug, Default)]
pub struct Fired {
    faults: usize,
    singles: usize,
    /// Single points whose fault had no effect in any of the tries.
    without_effect: usize,
    /// Points none of whose faults had an effect: they show nothing, and have passed nothing.
    idle_points: usize,
    /// How many times a point was tried again.
    again: usize,
    effects: BTreeSet<Fault>,
    idle: BTreeMap<Idle, usize>,
}

impl Fired {
    /// Of how many single points that were tried again one may have no effect: on a machine that is busy a cloud may be ready before it
    /// is looked at, however often that is tried.
    const ONE_IN: usize = 100;

    /// Notes what became of a point's faults in the last of its tries.
    fn note_point(&mut self, faults: &[(Place, Fault)], idle: &BTreeMap<usize, Idle>) {
        self.faults += faults.len();
        self.idle_points += usize::from(idle.len() == faults.len());
        if faults.len() == 1 {
            self.singles += 1;
            self.without_effect += idle.len();
        }
        for (at, (_, fault)) in faults.iter().enumerate() {
            match idle.get(&at) {
                Some(why) => *self.idle.entry(*why).or_default() += 1,
                None => _ = self.effects.insert(*fault),
            }
        }
    }

    /// How many of the points that were tried passed: those of a fault with an effect after which all was as it should be.
    #[must_use]
    pub fn passed(&self, tried: usize, failures: usize) -> usize {
        tried.saturating_sub(failures + self.idle_points)
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
        if self.idle_points > 0 {
            words += &format!("; {} points showed nothing, and count as not passed", self.idle_points);
        }
        if self.again > 0 {
            words += &format!("; {} times a point was tried again", self.again);
        }
        words
    }

    /// Demands of points that were tried until they had their effect that they had it, and that each of these sorts of faults had.
    ///
    /// # Errors
    /// When they had not.
    pub fn check_each(&self, sorts: &BTreeSet<Fault>) -> Result<(), Fail> {
        if self.singles == 0 || self.without_effect * Self::ONE_IN > self.singles {
            return Err(
                format!("{} of {} single points had no effect", self.without_effect, self.singles).into()
            );
        }
        match sorts.iter().find(|sort| !self.effects.contains(sort)) {
            Some(sort) => Err(format!("{sort:?} never had its effect").into()),
            None => Ok(()),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_whose_faults_had_no_effect_has_not_passed() {
        let place = || Place::Nth("CreateListener".to_owned(), 0);
        let mut fired = Fired::default();
        fired.note_point(&[(place(), Fault::Lost)], &BTreeMap::new());
        fired.note_point(&[(place(), Fault::Lost)], &BTreeMap::from([(0, Idle::NotReached)]));
        let pair = [(place(), Fault::Lost), (place(), Fault::Stale)];
        fired.note_point(&pair, &BTreeMap::from([(1, Idle::NothingStale)]));
        assert_eq!(fired.passed(3, 0), 2);
        assert!(fired.told().contains("1 points showed nothing"), "{}", fired.told());
    }
}
