//! What the sweeps in this process share: the points of a work, each in a world of its own, and a census after each.

use std::collections::BTreeSet;

use privnet::{PlanOptions, Session};
use privnet_integration_tests::census::Census;
use privnet_integration_tests::proxy::{Fault, Place, Proxy};
use privnet_integration_tests::stage::Fail;
use privnet_integration_tests::sweep::{Faults, Fired, Recorded, Sample, do_work, mend, same, spoiled};

use super::{Tally, Work, named};

/// What a work starts from, on some cloud.
pub(super) trait Ground {
    /// A copy of it.
    type World;

    async fn world(&self) -> Result<Self::World, Fail>;
    fn url(&self, world: &Self::World) -> String;
    /// A session for the work's file, with AWS at this URL.
    fn session(&self, world: &Self::World, url: &str) -> Result<Session, Fail>;
    fn options(&self) -> PlanOptions;
    /// The ways in which the request of this name at this place is spoiled.
    fn ways(&self, at: usize, action: &str) -> Vec<Fault>;
}

/// A work on a cloud, and what comes of it undisturbed.
pub(super) struct Sweep<'a, G: Ground> {
    pub ground: &'a G,
    pub work: Work,
    pub census: Census,
    /// Such as `the local cloud`.
    pub on: &'static str,
    pub pairs: usize,
    /// What makes this sweep's pairs others than those of the next.
    pub seed: u64,
}

impl<G: Ground> Sweep<'_, G> {
    /// The work with these faults in a world of its own.
    async fn run(&self, faults: Faults) -> Result<(G::World, Proxy), Fail> {
        let world = self.ground.world().await?;
        let proxy = Proxy::start_at(&self.ground.url(&world), faults).await?;
        do_work(&self.ground.session(&world, &proxy.url())?, self.ground.options(), &proxy).await;
        Ok((world, proxy))
    }

    /// One point: the work with these faults, then the same work again.
    async fn point(
        &mut self,
        faults: Faults,
        expected: &BTreeSet<String>,
        fired: &mut Fired,
    ) -> Result<(), Fail> {
        let world = spoiled(faults, fired, async |faults| self.run(faults).await).await?;
        let url = self.ground.url(&world);
        mend(&self.ground.session(&world, &url)?, self.ground.options()).await?;
        same(&self.census.take(&url)?, expected)
    }

    /// All points.
    pub(super) async fn tried(mut self) {
        let (world, proxy) = self.run(Vec::new()).await.unwrap();
        // What is done has nothing left to do; the work is done here, or it is not undisturbed.
        let url = self.ground.url(&world);
        let again = self.ground.session(&world, &url).unwrap().plan(self.ground.options()).await;
        assert!(again.plan.is_empty() && again.plan.refusals.is_empty(), "{:?}", again.plan);
        let (expected, recorded) = (self.census.take(&url).unwrap(), Recorded(proxy.requests()));
        drop((world, proxy));

        let count = recorded.0.len();
        let mut sorts = BTreeSet::new();
        let mut points: Vec<Faults> = Vec::new();
        for (at, request) in recorded.0.iter().enumerate() {
            let ways = self.ground.ways(at, &request.action);
            sorts.extend(ways.iter().copied());
            points.extend(ways.into_iter().filter_map(|fault| Some(vec![recorded.spoil(at, fault)?])));
        }
        let singles = points.len();
        let places = points.iter().flatten().map(|(place, _)| place);
        let spoiled: BTreeSet<_> = places.filter(|place| matches!(place, Place::Nth(..))).collect();
        assert!(count > 0, "nothing was asked for");
        assert_eq!(spoiled.len(), count, "a point at each request");
        let mut sample = Sample(self.seed);
        points.extend((0..self.pairs).map(|_| recorded.pair(&mut sample)));
        let (mut fired, mut failures) = (Fired::default(), Vec::new());
        for faults in points {
            let name = named(self.work, &faults);
            if let Err(why) = self.point(faults, &expected, &mut fired).await {
                failures.push(format!("{name}: {why}"));
            }
        }
        let what = format!("{:?} on {}", self.work, self.on);
        let told = format!("{} of {count} requests have an older answer; {}", recorded.older(), fired.told());
        let pairs = self.pairs;
        let passed = fired.passed(singles + pairs, failures.len());
        Tally { what, requests: count, singles, pairs, passed, fired: told, failures }.conclude();
        fired.check_each(&sorts).unwrap();
    }
}
