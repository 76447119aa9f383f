//! The sweep on the local cloud: every request in every way.

use std::collections::BTreeSet;
use std::path::Path;

use privnet::{PlanOptions, Session};
use privnet_integration_tests::census::Census;
use privnet_integration_tests::proxy::{Fault, Proxy};
use privnet_integration_tests::stage::{Fail, Stage, spec};
use privnet_integration_tests::sweep::{Fired, Sample, do_work, mend, same};

use super::{Tally, Work, default_file, named};

/// How many pairs of spoiled requests are tried besides.
const PAIRS: usize = 24;

/// The state that the work starts from.
struct Start {
    applied: Stage,
    work: Work,
}

impl Start {
    async fn of(work: Work) -> Result<Self, Fail> {
        let applied = Stage::open(None).await?;
        if work != Work::Apply {
            let session = applied.session(spec(&default_file(5432))?, &applied.url("aws"))?;
            let done = session.apply(PlanOptions::default()).await;
            if !done.report.all_done() {
                return Err(format!("{:?}", done.report).into());
            }
        }
        Ok(Self { applied, work })
    }

    fn folder(&self) -> Option<&Path> {
        (self.work != Work::Apply).then(|| self.applied.folder())
    }

    fn session(&self, stage: &Stage, url: &str) -> Result<Session, Fail> {
        stage.session(spec(&default_file(self.work.port()))?, url)
    }
}

/// The state after undisturbed work, and the names of its requests.
async fn undisturbed(start: &Start, census: &mut Census) -> Result<(BTreeSet<String>, Vec<String>), Fail> {
    let stage = Stage::open(start.folder()).await?;
    let proxy = Proxy::start(&stage.url("aws"), Vec::new()).await?;
    do_work(&start.session(&stage, &proxy.url())?, start.work.options(), &proxy).await;
    Ok((census.take(&stage.url("aws"))?, proxy.actions()))
}

/// One point: the work with these faults, then the same work again.
async fn point(
    start: &Start,
    faults: Vec<(usize, Fault)>,
    expected: &BTreeSet<String>,
    census: &mut Census,
    fired: &mut Fired,
) -> Result<(), Fail> {
    let stage = Stage::open(start.folder()).await?;
    let count = faults.len();
    let proxy = Proxy::start(&stage.url("aws"), faults).await?;
    do_work(&start.session(&stage, &proxy.url())?, start.work.options(), &proxy).await;
    fired.note(count, &proxy);
    drop(proxy);
    mend(&start.session(&stage, &stage.url("aws"))?, start.work.options()).await?;
    same(&census.take(&stage.url("aws"))?, expected)
}

/// All points of one work.
async fn sweep(work: Work) {
    let mut census = Census::start("aws/census.py").unwrap();
    let start = Start::of(work).await.unwrap();
    let (expected, actions) = undisturbed(&start, &mut census).await.unwrap();
    let mut points: Vec<Vec<(usize, Fault)>> = Vec::new();
    for at in 0..actions.len() {
        points.extend(Fault::ALL.map(|fault| vec![(at, fault)]));
    }
    let singles = points.len();
    assert!(singles > 0 && singles == actions.len() * Fault::ALL.len(), "a point for each request and fault");
    let mut sample = Sample(work as u64 + 1);
    points.extend((0..PAIRS).map(|_| sample.pair(actions.len())));
    let (mut fired, mut failures) = (Fired::default(), Vec::new());
    for faults in points {
        let name = named(work, &faults, &actions);
        if let Err(why) = point(&start, faults, &expected, &mut census, &mut fired).await {
            failures.push(format!("{name}: {why}"));
        }
    }
    let what = format!("{work:?} on the local cloud");
    Tally { what, requests: actions.len(), singles, pairs: PAIRS, fired: fired.told(), failures }.conclude();
    fired.check().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_an_apply_may_be_spoiled() {
    sweep(Work::Apply).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_a_replacement_may_be_spoiled() {
    sweep(Work::Replace).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_a_destroy_may_be_spoiled() {
    sweep(Work::Destroy).await;
}
