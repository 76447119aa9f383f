//! The fault sweep on GCP: each request of an apply, a replacement, a destroy, an apply of forwarders, one that changes them, one that
//! takes them away and one that has more of them and another interval between checks, a change of labels that takes a machine away, an
//! acceptance and a cut is spoiled in each of seven ways in turn, each operation fails in turn after HTTP 200, and pairs are sampled; then
//! the same command runs again. It must end in the same state, with an empty plan, and a census by
//! google-api-python-client must find exactly what it finds after an undisturbed run. A fault is tried until it has its effect; that
//! more than one in a hundred of a sort never has is a failure too. The process itself is killed by the system at each request, too.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test, which says what it tried"
)]

mod works;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use privnet::{PlanOptions, Session, Spec};
use privnet_core::Provider;
use privnet_gcp::{GcpProvider, GcpSettings};
use privnet_integration_tests::census::Census;
use privnet_integration_tests::gcp::Called;
use privnet_integration_tests::gcp_source::called_in_source;
use privnet_integration_tests::gcp_twin::with_a_twin;
use privnet_integration_tests::kills::{At, GCP, Life};
use privnet_integration_tests::proxy::{Fault, Proxy};
use privnet_integration_tests::stage::{Fail, Stage, spec};
use privnet_integration_tests::sweep::{Faults, Fired, Recorded, Sample, mend, same, spoiled};
use privnet_sandbox::Sandbox;
use works::Work;

/// What goes wrong at a point.
#[derive(Clone, Debug)]
enum Spoilt {
    Requests(Faults),
    /// The nth operation of a method fails.
    Operation(String, usize),
}

/// One proxy, and one provider on it whose connections all points share.
struct Ground {
    proxy: Proxy,
    provider: GcpProvider,
    applied: Stage,
    /// A colleague's connection, where a decision is made on one.
    connection: String,
}

impl Ground {
    /// The ground of a work.
    async fn new(work: Work) -> Result<Self, Fail> {
        let applied = with_a_twin().await;
        let proxy = Proxy::start(&applied.url("gcp"), Vec::new()).await?;
        let provider = GcpProvider::new(GcpSettings::sandbox(proxy.url()));
        let mut ground = Self { proxy, provider, applied, connection: String::new() };
        if let Some(first) = work.begins_with() {
            let session = ground.session(&ground.applied, spec(&first)?)?;
            if let Some(error) = session.apply(PlanOptions::default()).await.report.failures().next() {
                return Err(error.to_string().into());
            }
        }
        if work.decides() {
            let asked = Sandbox::open(ground.applied.folder())?.connect("orders", Some("acme-reader"))?;
            ground.connection = asked["connection"].as_str().ok_or("it has no id")?.to_owned();
        }
        let session = ground.session(&ground.applied, work.spec()?)?;
        if work == Work::Cut && Work::Accept.carry_out(&session, "").await {
            return Err("nobody was let in".into());
        }
        Ok(ground)
    }

    /// A new process.
    fn session(&self, stage: &Stage, spec: Spec) -> Result<Session, Fail> {
        let provider: Arc<dyn Provider> = Arc::new(self.provider.beside());
        stage.session_on(spec, vec![provider])
    }

    fn from(&self, work: Work) -> Option<&Path> {
        work.begins_with().map(|_| self.applied.folder())
    }

    /// Does the work; a process that is killed meanwhile has ended.
    async fn work(&self, stage: &Stage, work: Work, faults: Faults) -> Result<(), Fail> {
        self.proxy.turn_to(&stage.url("gcp"), faults);
        let session = self.session(stage, work.spec()?)?;
        let kill = self.proxy.kill();
        tokio::select! {
            _ = work.carry_out(&session, &self.connection) => {}
            () = kill.cancelled() => {}
        }
        Ok(())
    }

    /// A stage on which the work was spoiled by these.
    async fn run(&self, work: Work, faults: Faults) -> Result<(Stage, &Proxy), Fail> {
        let stage = Stage::open(self.from(work)).await?;
        self.work(&stage, work, faults).await?;
        Ok((stage, &self.proxy))
    }

    /// One point: the work with this spoilt, then the same work again.
    async fn point(
        &self,
        work: Work,
        spoilt: &Spoilt,
        expected: &BTreeSet<String>,
        census: &mut Census,
        fired: &mut Fired,
    ) -> Result<(), Fail> {
        let stage = match spoilt {
            Spoilt::Requests(faults) => {
                spoiled(faults.clone(), fired, async |faults| self.run(work, faults).await).await?
            }
            Spoilt::Operation(method, nth) => {
                let stage = Stage::open(self.from(work)).await?;
                let fault = format!("gcp:{method}:{nth}:code=QUOTA_EXCEEDED");
                stage.running().faults().add(fault.parse()?);
                // The run may mend by itself what failed: what counts is that it did.
                self.work(&stage, work, Vec::new()).await?;
                if stage.running().faults().counted().iter().any(|count| *count < *nth as u64) {
                    return Err("the operation did not fail".into());
                }
                stage.running().faults().clear();
                stage
            }
        };
        self.proxy.turn_to(&stage.url("gcp"), Vec::new());
        let session = self.session(&stage, work.spec()?)?;
        if work.decides() {
            if work.carry_out(&session, &self.connection).await {
                return Err("the second decision failed".into());
            }
            // It needs no apply to be whole.
            same(&census.take(&self.proxy.url())?, expected)?;
        }
        mend(&session, work.options()).await?;
        same(&census.take(&self.proxy.url())?, expected)
    }
}

/// The operations that these requests begin, by method, counted from 1.
fn operations(actions: &[String]) -> Vec<Spoilt> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for action in actions {
        let (method, path) = action.split_once(' ').unwrap();
        if let Some(called) = Called::of(method, path).filter(Called::writes) {
            *counts.entry(called.method()).or_default() += 1;
        }
    }
    counts
        .into_iter()
        .flat_map(|(method, count)| (1..=count).map(move |nth| Spoilt::Operation(method.clone(), nth)))
        .collect()
}

/// All points of one work.
async fn sweep(work: Work) {
    let mut census = Census::start("gcp/census.py").unwrap();
    let ground = Ground::new(work).await.unwrap();
    let stage = Stage::open(ground.from(work)).await.unwrap();
    ground.work(&stage, work, Vec::new()).await.unwrap();
    let (actions, recorded) = (ground.proxy.actions(), Recorded(ground.proxy.requests()));
    let expected = census.take(&ground.proxy.url()).unwrap();
    drop(stage);

    let (mut points, mut sorts): (Vec<Spoilt>, BTreeSet<Fault>) = Default::default();
    for at in 0..actions.len() {
        let faults = Work::faults(&recorded, at);
        assert!(!faults.is_empty(), "a point for each request");
        sorts.extend(faults.iter().flatten().map(|(_, fault)| *fault));
        points.extend(faults.into_iter().map(Spoilt::Requests));
    }
    let singles = points.len();
    let failing = operations(&actions);
    assert!(failing.len() >= work.operations(), "{actions:#?}");
    for method in work.changes() {
        let begins = |one: &Spoilt| matches!(one, Spoilt::Operation(begun, _) if begun == method);
        assert!(failing.iter().any(begins), "{work:?} has no {method}: {actions:#?}");
    }
    points.extend(failing.iter().cloned());
    let mut sample = Sample(work as u64 + 1);
    for _ in 0..work.pairs() {
        points.push(Spoilt::Requests(recorded.pair(&mut sample)));
    }
    let (tried, mut fired, mut failures) = (points.len(), Fired::default(), Vec::new());
    for spoilt in points {
        if let Err(why) = ground.point(work, &spoilt, &expected, &mut census, &mut fired).await {
            let what = match &spoilt {
                Spoilt::Requests(faults) => faults
                    .iter()
                    .map(|(place, fault)| format!("{fault:?} at {place:?}"))
                    .collect::<Vec<_>>()
                    .join(" and "),
                Spoilt::Operation(method, nth) => format!("operation {nth} of {method} fails"),
            };
            println!("{work:?}, {what}: {why}");
            failures.push(format!("{work:?}, {what}: {why}"));
        }
    }
    privnet_integration_tests::tell!(
        "fault sweep on GCP, {work:?}: {} requests, {} with an older answer, {singles} single points, {} failed operations and {} pairs tried, {} passed; {}",
        actions.len(),
        recorded.older(),
        failing.len(),
        work.pairs(),
        fired.passed(tried, failures.len()),
        fired.told()
    );
    assert!(
        failures.is_empty(),
        "{} failures, the first: {:#?}",
        failures.len(),
        &failures[..failures.len().min(5)]
    );
    fired.check_each(&sorts).unwrap();
}

/// What is never begun is never spoiled.
#[test]
fn every_call_that_changes_something_is_in_one_of_the_works() {
    let is_write = |method: &String| {
        let (collection, verb) = method.split_once('.').unwrap();
        Called { collection: collection.to_owned(), verb: verb.to_owned() }.writes()
    };
    let called: BTreeSet<String> = called_in_source().into_iter().filter(is_write).collect();
    let begun = Work::ALL.iter().flat_map(|work| work.changes()).map(|method| (*method).to_owned());
    assert_eq!(begun.collect::<BTreeSet<_>>(), called);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_an_apply_of_forwarders_may_be_spoiled() {
    sweep(Work::Forwarders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_a_change_of_labels_without_a_machine_may_be_spoiled() {
    sweep(Work::Labels).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_an_acceptance_may_be_spoiled() {
    sweep(Work::Accept).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_a_change_of_forwarders_may_be_spoiled() {
    sweep(Work::Reforward).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_that_takes_forwarders_away_may_be_spoiled() {
    sweep(Work::Unforward).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_a_change_in_place_may_be_spoiled() {
    sweep(Work::InPlace).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_a_cut_may_be_spoiled() {
    sweep(Work::Cut).await;
}

fn life() -> Life {
    Life { cloud: GCP, file: Work::Apply.file(), edited: Work::Replace.file(), at: At::Each }
}

privnet_integration_tests::kills!(life());
