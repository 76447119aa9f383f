//! The sweep on the local cloud: every request in every way.

use privnet::{PlanOptions, Session};
use privnet_integration_tests::census::Census;
use privnet_integration_tests::proxy::Fault;
use privnet_integration_tests::stage::{Fail, Stage, spec};

use super::points::{Ground, Sweep};
use super::{Work, default_file};

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
}

impl Ground for Start {
    type World = Stage;

    async fn world(&self) -> Result<Stage, Fail> {
        let from = (self.work != Work::Apply).then(|| self.applied.folder());
        Stage::open(from).await
    }

    fn url(&self, world: &Stage) -> String {
        world.url("aws")
    }

    fn session(&self, world: &Stage, url: &str) -> Result<Session, Fail> {
        world.session(spec(&default_file(self.work.port()))?, url)
    }

    fn options(&self) -> PlanOptions {
        self.work.options()
    }

    fn ways(&self, _at: usize, _action: &str) -> Vec<Fault> {
        Fault::ALL.to_vec()
    }
}

async fn sweep(work: Work) {
    let census = Census::start("aws/census.py").unwrap();
    let start = Start::of(work).await.unwrap();
    let (on, pairs, seed) = ("the local cloud", PAIRS, work as u64 + 1);
    Sweep { ground: &start, work, census, on, pairs, seed }.tried().await;
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
