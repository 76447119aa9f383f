//! The sweep on moto, a third party's emulator: what holds on the local cloud is not a matter of how the local cloud was written.
//!
//! moto answers the calls for connections with HTTP 500: they are unreadable there, and a destroy needs the word to sever.

use std::collections::BTreeSet;

use privnet::{PlanOptions, Session};
use privnet_integration_tests::census::Census;
use privnet_integration_tests::moto::Moto;
use privnet_integration_tests::proxy::{Fault, Proxy};
use privnet_integration_tests::stage::{Fail, Stage, spec};
use privnet_integration_tests::sweep::{Fired, Sample, do_work, mend, same};

use super::{Tally, Work, file, named};

const PAIRS: usize = 8;

/// moto in the state that the work starts from; a copy of it is made for each point.
struct Start {
    moto: Moto,
    /// For its name server and its pace; its own cloud is not used.
    stage: Stage,
    work: Work,
}

impl Start {
    async fn of(work: Work) -> Result<Self, Fail> {
        let start = Self { moto: Moto::start()?, stage: Stage::open(None).await?, work };
        if work != Work::Apply {
            let session = start.session(5432, start.moto.url())?;
            let done = session.apply(PlanOptions::default()).await;
            if !done.report.all_done() {
                return Err(format!("{:?}", done.report).into());
            }
        }
        Ok(start)
    }

    fn session(&self, port: u16, url: &str) -> Result<Session, Fail> {
        let world = &self.moto.world;
        let vpc = world["vpc"].as_str().ok_or("no VPC")?;
        let group = world["group"].as_str().ok_or("no group")?;
        self.stage.session(spec(&file(port, vpc, &world["subnets"].to_string(), group))?, url)
    }

    fn options(&self) -> PlanOptions {
        let sever_connections = self.work == Work::Destroy;
        PlanOptions { sever_connections, ..self.work.options() }
    }

    /// The state after undisturbed work, and the names of its requests.
    async fn undisturbed(&self, census: &mut Census) -> Result<(BTreeSet<String>, Vec<String>), Fail> {
        let copy = self.moto.copy()?;
        let proxy = Proxy::start(&copy.url, Vec::new()).await?;
        let done = self.session(self.work.port(), &proxy.url())?.apply(self.options()).await;
        if !done.report.all_done() || done.planned.plan.is_empty() {
            return Err(format!("{:?} {:?}", done.planned.plan.refusals, done.report).into());
        }
        Ok((census.take(&copy.url)?, proxy.actions()))
    }

    async fn point(
        &self,
        faults: Vec<(usize, Fault)>,
        expected: &BTreeSet<String>,
        census: &mut Census,
        fired: &mut Fired,
    ) -> Result<(), Fail> {
        let copy = self.moto.copy()?;
        let count = faults.len();
        let proxy = Proxy::start(&copy.url, faults).await?;
        do_work(&self.session(self.work.port(), &proxy.url())?, self.options(), &proxy).await;
        fired.note(count, &proxy);
        drop(proxy);
        mend(&self.session(self.work.port(), &copy.url)?, self.options()).await?;
        same(&census.take(&copy.url)?, expected)
    }
}

/// Which faults are tried at a request: one, each in its turn, or all where there is time.
fn faults_at(at: usize) -> Vec<Fault> {
    if std::env::var_os("PRIVNET_SWEEP").is_some_and(|value| value == "all") {
        return Fault::ALL.to_vec();
    }
    vec![Fault::ALL[at % Fault::ALL.len()]]
}

async fn sweep(work: Work) {
    let mut census = Census::start_without("aws/census.py", &["notifications"]).unwrap();
    let start = Start::of(work).await.unwrap();
    let (expected, actions) = start.undisturbed(&mut census).await.unwrap();
    let mut points: Vec<Vec<(usize, Fault)>> = Vec::new();
    for at in 0..actions.len() {
        points.extend(faults_at(at).into_iter().map(|fault| vec![(at, fault)]));
    }
    let singles = points.len();
    assert!(singles >= actions.len() && singles > Fault::ALL.len(), "a point for each request");
    let mut sample = Sample(work as u64 + 11);
    points.extend((0..PAIRS).map(|_| sample.pair(actions.len())));
    let (mut fired, mut failures) = (Fired::default(), Vec::new());
    for faults in points {
        let name = named(work, &faults, &actions);
        if let Err(why) = start.point(faults, &expected, &mut census, &mut fired).await {
            failures.push(format!("{name}: {why}"));
        }
    }
    let what = format!("{work:?} on moto");
    Tally { what, requests: actions.len(), singles, pairs: PAIRS, fired: fired.told(), failures }.conclude();
    fired.check().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_an_apply_on_moto_may_be_spoiled() {
    sweep(Work::Apply).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_a_replacement_on_moto_may_be_spoiled() {
    sweep(Work::Replace).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_a_destroy_on_moto_may_be_spoiled() {
    sweep(Work::Destroy).await;
}
