//! The sweep on moto, a third party's emulator: what holds on the local cloud is not a matter of how the local cloud was written.
//!
//! moto answers the calls for connections with HTTP 500: they are unreadable there, and a destroy needs the word to sever.

use privnet::{PlanOptions, Session};
use privnet_integration_tests::census::Census;
use privnet_integration_tests::moto::{Copy, Moto};
use privnet_integration_tests::proxy::{Fault, is_read};
use privnet_integration_tests::stage::{Fail, Stage, spec};

use super::points::{Ground, Sweep};
use super::{Work, file};

const PAIRS: usize = 8;
/// The faults that are tried in turn at reads.
const IN_TURN: [Fault; 6] =
    [Fault::FailBefore, Fault::Lost, Fault::Reset, Fault::Throttle, Fault::KillBefore, Fault::KillAfter];

/// moto in the state that a work starts from; a copy of it is made for each point.
pub(super) struct Start {
    pub(super) moto: Moto,
    /// For its name server and its pace; its own cloud is not used.
    stage: Stage,
    work: Work,
}

impl Start {
    pub(super) async fn of(work: Work) -> Result<Self, Fail> {
        let start = Self { moto: Moto::start()?, stage: Stage::open(None).await?, work };
        if work != Work::Apply {
            let session = start.session_at(5432, start.moto.url())?;
            let done = session.apply(PlanOptions::default()).await;
            if !done.report.all_done() {
                return Err(format!("{:?}", done.report).into());
            }
        }
        Ok(start)
    }

    /// The file for a database on this port.
    pub(super) fn file(&self, port: u16) -> Result<String, Fail> {
        let world = &self.moto.world;
        let vpc = world["vpc"].as_str().ok_or("no VPC")?;
        let group = world["group"].as_str().ok_or("no group")?;
        Ok(file(port, vpc, &world["subnets"].to_string(), group))
    }

    fn session_at(&self, port: u16, url: &str) -> Result<Session, Fail> {
        self.stage.session(spec(&self.file(port)?)?, url)
    }
}

impl Ground for Start {
    type World = Copy;

    async fn world(&self) -> Result<Copy, Fail> {
        Ok(self.moto.copy()?)
    }

    fn url(&self, world: &Copy) -> String {
        world.url.clone()
    }

    fn session(&self, _world: &Copy, url: &str) -> Result<Session, Fail> {
        self.session_at(self.work.port(), url)
    }

    fn options(&self) -> PlanOptions {
        let sever_connections = self.work == Work::Destroy;
        PlanOptions { sever_connections, ..self.work.options() }
    }

    /// What changes something in each way: before and after the effect are two things there. A read, of which nothing is left behind, in one,
    /// each in its turn, and by a stale answer wherever there is an older one; or in each, where there is time.
    fn ways(&self, at: usize, action: &str) -> Vec<Fault> {
        let all = std::env::var_os("PRIVNET_SWEEP").is_some_and(|value| value == "all");
        if all || !is_read(action) {
            return Fault::ALL.to_vec();
        }
        vec![IN_TURN[at % IN_TURN.len()], Fault::Stale]
    }
}

async fn sweep(work: Work) {
    let start = Start::of(work).await.unwrap();
    // It has no call for them.
    let census = Census::start_without("aws/census.py", &["notifications"]).unwrap();
    let (on, pairs, seed) = ("moto", PAIRS, work as u64 + 11);
    Sweep { ground: &start, work, census, on, pairs, seed }.tried().await;
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
