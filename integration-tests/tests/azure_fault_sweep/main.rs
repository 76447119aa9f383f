//! The fault sweep on Azure: each request of an apply, a replacement, a destroy, an acceptance, a rejection, and of approvals and rejections of
//! what Azure hosts is spoiled in turn, in each way, and at sampled pairs; and each write, and the first question about health of each sort,
//! is also accepted and fails at the end of its operation. Then the same command runs again. It must end in the same state, with an empty plan, and
//! a census by azure-mgmt-* must find exactly what it finds after an undisturbed run. Faults without effect are counted apart. The process
//! itself is killed by the system at each request, too. Some works are spoiled only where they are about what no other one does: changes in
//! place, forwarders that give way to a machine, the policy of a subnet of the user's and of one of privnet's, the removal of a connection of
//! SQL's, and of one that was turned away before its service goes. Every call of the provider's that changes something is in one of the works,
//! and every field that is changed in place.
//!
//! The number of points tried equals the number of requests that are spoiled times the number of faults (an older answer only where there is
//! one; where what is there is changed, reads are spoiled by that alone), and of their writes times the number of late failures; the test prints
//! them. Which request is spoiled is said by its name and by how many of this name came before: what goes at once comes in another order in each
//! run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test, which says what it tried"
)]

mod files;
mod law;
mod points;
mod works;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use points::{Point, points, sorts};
use privnet::{PlanOptions, Session};
use privnet_core::accept::{Ask, Verdict};
use privnet_integration_tests::census::Census;
use privnet_integration_tests::kills::{AZURE, At, Life};
use privnet_integration_tests::proxy::Proxy;
use privnet_integration_tests::stage::{Fail, Stage, spec};
use privnet_integration_tests::sweep::{Faults, Fired, Recorded, mend, same, spoiled};
use works::Work;

struct Sweep {
    work: Work,
    applied: Stage,
    census: Census,
    /// The connection that is turned away.
    connection: String,
    late: Late,
}

impl Sweep {
    async fn of(work: Work) -> Result<Self, Fail> {
        let applied = Stage::open(None).await?;
        if !work.begins() && !work.is_hosted() {
            let (faults, fails) = (applied.running().faults(), work.fails_before());
            if let Some(fault) = fails {
                faults.add(fault.parse()?);
            }
            let session = applied.session(spec(&work.before())?, &applied.url("aws"))?;
            let done = session.apply(PlanOptions::default()).await;
            faults.clear();
            if done.report.all_done() == fails.is_some() {
                return Err(format!("{:?}", done.report).into());
            }
        }
        let connection = work.prepare(&applied).await?;
        let script = match work {
            Work::ApproveOthers | Work::RejectOther => "azure/hosted.py",
            _ if work.decides() => "azure/connections.py",
            _ => "azure/census.py",
        };
        let census = Census::start(script)?;
        Ok(Self { work, applied, census, connection, late: Late::default() })
    }

    fn folder(&self) -> Option<&Path> {
        (!self.work.begins()).then(|| self.applied.folder())
    }

    fn session(&self, stage: &Stage, azure: String) -> Result<Session, Fail> {
        stage.session_at(spec(&self.work.file())?, |endpoints| endpoints.azure = azure)
    }

    /// Does the work; whether all of it was done.
    async fn run(&self, session: &Session) -> bool {
        if self.work.cuts() {
            // Who was removed is not there any more; the census tells whether that is so.
            let Some(planned) = session.plan_rejection(&self.connection, true).await else {
                return self.work == Work::Remove;
            };
            return planned.unreachable.is_empty()
                && planned.plan.refusals.is_empty()
                && session.execute(planned).await.report.all_done();
        }
        if self.work.decides() {
            let decided = session.accept_pending(&Ask::default(), false).await;
            return decided.executed.unreachable.is_empty()
                && decided.report.is_some_and(|report| report.all_done());
        }
        session.apply(self.work.options()).await.report.all_done()
    }

    /// The same work again, undisturbed: it succeeds, and nothing is left to do.
    async fn mend(&self, session: &Session) -> Result<(), Fail> {
        if !self.work.decides() {
            return mend(session, self.work.options()).await;
        }
        if !self.run(session).await {
            return Err("the second run failed".into());
        }
        let left = session.accept_pending(&Ask::default(), true).await.decisions;
        match left.iter().find(|decision| decision.verdict != Verdict::Left) {
            Some(more) => Err(format!("deciding again gives {more:?}").into()),
            None => Ok(()),
        }
    }

    /// A copy of what the work starts from. What is said at one point is said at hundreds: the records of other tests have it.
    async fn stage(&self) -> Result<Stage, Fail> {
        Stage::open_unrecorded(self.folder()).await
    }

    /// The state after undisturbed work, and its requests.
    async fn undisturbed(&mut self) -> Result<(BTreeSet<String>, Recorded), Fail> {
        let stage = self.stage().await?;
        let proxy = Proxy::start(&stage.url("azure"), Vec::new()).await?;
        if !self.run(&self.session(&stage, proxy.url())?).await {
            return Err("the undisturbed work was not done".into());
        }
        Ok((self.census.take(&stage.url("azure"))?, Recorded(proxy.requests())))
    }

    /// A stage on which the work was spoiled by these.
    async fn spoiled_by(&self, faults: Faults) -> Result<(Stage, Proxy), Fail> {
        let stage = self.stage().await?;
        let proxy = Proxy::start_at(&stage.url("azure"), faults).await?;
        let (session, kill) = (self.session(&stage, proxy.url())?, proxy.kill());
        tokio::select! {
            _ = self.run(&session) => {}
            () = kill.cancelled() => {}
        }
        Ok((stage, proxy))
    }

    /// A stage on which a write's operation failed after it was accepted.
    async fn failed_late(&mut self, sort: &str, nth: usize, code: &str) -> Result<Stage, Fail> {
        let stage = self.stage().await?;
        stage.running().faults().add(format!("azure:{sort}:{nth}:code=async.{code}").parse()?);
        self.run(&self.session(&stage, stage.url("azure"))?).await;
        stage.running().faults().clear();
        // The run may mend by itself what failed: what counts is that it did.
        self.late.note(ended_badly(stage.folder())?, sort);
        Ok(stage)
    }

    /// One point: the work with these faults, then the same work again.
    async fn point(
        &mut self,
        point: &Point,
        expected: &BTreeSet<String>,
        fired: &mut Fired,
    ) -> Result<(), Fail> {
        let stage = match &point.late {
            Some((sort, nth, code)) => self.failed_late(sort, *nth, code).await?,
            None => {
                spoiled(point.on_the_way.clone(), fired, async |faults| self.spoiled_by(faults).await).await?
            }
        };
        self.mend(&self.session(&stage, stage.url("azure"))?).await?;
        same(&self.census.take(&stage.url("azure"))?, expected)
    }
}

/// Which writes had an operation that could fail.
#[derive(Debug, Default)]
struct Late {
    failed: usize,
    without: BTreeSet<String>,
}

impl Late {
    fn note(&mut self, failed: bool, sort: &str) {
        self.failed += usize::from(failed);
        if !failed {
            self.without.insert(sort.to_owned());
        }
    }
}

/// Whether an operation of the local cloud whose state is in this folder ended with an error.
fn ended_badly(folder: &Path) -> Result<bool, Fail> {
    let state: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("azure.json"))?)?;
    let operations = state["operations"].as_object().ok_or("the local cloud shows no operations")?;
    Ok(operations.values().any(|one| one["end"] != "Succeeded"))
}

/// All points of one work.
async fn sweep(work: Work) {
    let began = Instant::now();
    let mut sweep = Sweep::of(work).await.unwrap();
    let (expected, recorded) = sweep.undisturbed().await.unwrap();
    work.check_begun(&recorded.0);
    let points = points(work, &recorded);
    let (mut fired, mut failures) = (Fired::default(), Vec::new());
    for point in &points {
        if let Err(why) = sweep.point(point, &expected, &mut fired).await {
            failures.push(format!("{work:?}, {}: {why}", point.named()));
        }
    }
    privnet_integration_tests::tell!(
        "fault sweep on Azure, {work:?}: {} tried in {} s, {} passed; {}; {} operations failed, none of {:?}",
        points.len(),
        began.elapsed().as_secs(),
        fired.passed(points.len(), failures.len()),
        fired.told(),
        sweep.late.failed,
        sweep.late.without
    );
    assert!(
        failures.is_empty(),
        "{} failures, the first: {:#?}",
        failures.len(),
        &failures[..failures.len().min(5)]
    );
    fired.check_each(&sorts(&points)).unwrap();
    // What is written at once has no operation.
    assert_eq!(sweep.late.without, BTreeSet::new());
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
async fn every_request_of_an_acceptance_may_be_spoiled() {
    sweep(Work::Accept).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_a_rejection_may_be_spoiled() {
    sweep(Work::Reject).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_an_approval_may_be_spoiled() {
    sweep(Work::Approve).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_a_removal_may_be_spoiled() {
    sweep(Work::Remove).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_an_approval_by_other_providers_may_be_spoiled() {
    sweep(Work::ApproveOthers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_a_rejection_by_another_provider_may_be_spoiled() {
    sweep(Work::RejectOther).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_about_what_is_changed_in_place_may_be_spoiled() {
    sweep(Work::InPlace).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_about_what_forwarders_leave_may_be_spoiled() {
    sweep(Work::Unforward).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_about_a_subnet_may_be_spoiled_that_an_apply_goes_on_with() {
    sweep(Work::Resume).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_about_a_subnets_policy_may_be_spoiled() {
    sweep(Work::Policy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_about_who_was_turned_away_may_be_spoiled_before_the_service_goes() {
    sweep(Work::Clear).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_a_destroy_may_be_spoiled() {
    sweep(Work::Destroy).await;
}

/// What is killed. Forwarders that are replaced go at once: a process waits real seconds for the sessions of old ones.
fn life() -> Life {
    let file = |work: Work| work.file().replace("size: Standard_D2s_v5", "size: Standard_D2s_v5, drain: 0s");
    Life { cloud: AZURE, file: file(Work::Apply), edited: file(Work::Replace), at: At::Each }
}

privnet_integration_tests::kills!(life());
