//! The fault sweep on GCP: each request of an apply, a replacement, a destroy, an apply of forwarders, one that changes them, one that
//! takes them away and one that has more of them and another interval between checks, a change of labels, an acceptance and a cut is
//! spoiled in each of seven ways in turn, each operation fails in turn after HTTP 200, and
//! pairs are sampled; then the same command runs again. It must end in the same state, with an empty plan, and a census by
//! google-api-python-client must find exactly what it finds after an undisturbed run. A fault is tried until it has its effect; that
//! more than one in a hundred of a sort never has is a failure too. The process itself is killed by the system at each request, too.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test, which says what it tried"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use privnet::{Ask, PlanOptions, Session, Spec};
use privnet_core::Provider;
use privnet_gcp::{GcpProvider, GcpSettings};
use privnet_integration_tests::census::Census;
use privnet_integration_tests::gcp::Called;
use privnet_integration_tests::kills::{At, GCP, Life};
use privnet_integration_tests::proxy::{Fault, Proxy};
use privnet_integration_tests::stage::{Fail, Stage, spec};
use privnet_integration_tests::sweep::{Faults, Fired, Recorded, Sample, mend, same, spoiled};
use privnet_sandbox::Sandbox;

const HEAD: &str = "
version: 1
deployment: sweep
tags: { cost-center: '4711' }
consumers:
  acme: { gcp: { projects: [acme-reader] } }
defaults:
  gcp: { project: acme-data, region: us-east4, network: prod, subnet: ilb }
services:
  - name: orders
    # Nobody asks by himself: what is counted in the end does not depend on who came when.
    allow: { acme: {} }
    gcp:
      nat_subnets: [{ create: { cidr: 10.8.0.0/24 } }]
";

/// A machine on one port.
const MACHINE: &str = "      ports: [{ listen: 5432, engine: postgres, to: { instances: [zones/us-east4-b/instances/db-1] } }]\n";
/// Another machine, on another port: a group, the rule and the attachment's target change.
const ANOTHER: &str = "      ports: [{ listen: 5433, engine: postgres, to: { instances: [zones/us-east4-c/instances/db-2] } }]\n";
/// Forwarders: a template and a managed group.
const FORWARDERS: &str =
    "      forwarder: { subnets: [data], size: e2-small, zones: [us-east4-a, us-east4-b] }
      ports: [{ listen: 5432, engine: postgres, to: { forwarder: { ip: 10.90.0.3 } } }]\n";
/// The same on machines of another size, and one more of them: another template and another group.
const OTHER_FORWARDERS: &str =
    "      forwarder: { subnets: [data], size: e2-medium, count: 3, zones: [us-east4-a, us-east4-b] }
      ports: [{ listen: 5432, engine: postgres, to: { forwarder: { ip: 10.90.0.3 } } }]\n";

/// The same machines, one more of them and checked less often: both are changed in place.
const MORE_FORWARDERS: &str =
    "      forwarder: { subnets: [data], size: e2-small, count: 3, zones: [us-east4-a, us-east4-b] }
      ports: [{ listen: 5432, engine: postgres, health_check: { interval: 20s }, to: { forwarder: { ip: 10.90.0.3 } } }]\n";

/// What is done at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Apply,
    Replace,
    Destroy,
    Forwarders,
    /// The forwarders become others.
    Reforward,
    /// A machine takes the place of the forwarders.
    Unforward,
    /// There are more of the forwarders, and they are checked less often.
    InPlace,
    Labels,
    Accept,
    /// A live connection is cut.
    Cut,
}

impl Work {
    fn options(self) -> PlanOptions {
        PlanOptions { destroy: self == Self::Destroy, ..PlanOptions::default() }
    }

    /// What the request at this place is spoiled by: each fault in turn. One without an older answer has no stale one.
    fn faults(recorded: &Recorded, at: usize) -> Vec<Faults> {
        let spoiled = |fault: &Fault| Some(vec![recorded.spoil(at, *fault)?]);
        Fault::ALL.iter().filter_map(spoiled).collect()
    }

    fn spec(self) -> Result<Spec, Fail> {
        spec(&self.file())
    }

    fn file(self) -> String {
        match self {
            Self::Apply | Self::Destroy | Self::Accept | Self::Cut | Self::Unforward => {
                format!("{HEAD}{MACHINE}")
            }
            Self::Reforward => format!("{HEAD}{OTHER_FORWARDERS}"),
            Self::InPlace => format!("{HEAD}{MORE_FORWARDERS}"),
            Self::Replace => format!("{HEAD}{ANOTHER}"),
            Self::Forwarders => format!("{HEAD}{FORWARDERS}"),
            Self::Labels => format!("{HEAD}{MACHINE}").replace("'4711'", "'4712', team: data"),
        }
    }

    /// How many operations it begins at least.
    fn operations(self) -> usize {
        match self {
            Self::Apply | Self::Replace | Self::Destroy | Self::Forwarders => 8,
            Self::Reforward | Self::Unforward => 5,
            // A cut switches reconciling on and off.
            Self::Labels | Self::Cut | Self::InPlace => 2,
            Self::Accept => 1,
        }
    }

    /// How many pairs are tried.
    fn pairs(self) -> usize {
        match self {
            Self::Apply | Self::Replace | Self::Destroy => 24,
            Self::Forwarders | Self::Labels | Self::Accept | Self::Cut => 6,
            Self::Reforward | Self::Unforward | Self::InPlace => 4,
        }
    }

    /// What is there before it.
    fn begins_with(self) -> Option<Self> {
        match self {
            Self::Apply | Self::Forwarders => None,
            Self::Reforward | Self::Unforward | Self::InPlace => Some(Self::Forwarders),
            Self::Replace | Self::Destroy | Self::Labels | Self::Accept | Self::Cut => Some(Self::Apply),
        }
    }

    /// Whether it decides on a colleague's connection.
    fn decides(self) -> bool {
        matches!(self, Self::Accept | Self::Cut)
    }

    /// Does it; whether something failed. A cut is one of this connection.
    async fn carry_out(self, session: &Session, connection: &str) -> bool {
        if self == Self::Cut {
            let Some(planned) = session.plan_rejection(connection, true).await else { return true };
            return session.execute(planned).await.report.failures().next().is_some();
        }
        if self == Self::Accept {
            let decided = session.accept_pending(&Ask::default(), false).await;
            return decided.report.is_none_or(|report| report.failures().next().is_some());
        }
        session.apply(self.options()).await.report.failures().next().is_some()
    }
}

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
        let applied = Stage::open(None).await?;
        let proxy = Proxy::start(&applied.url("gcp"), Vec::new()).await?;
        let provider = GcpProvider::new(GcpSettings::sandbox(proxy.url()));
        let mut ground = Self { proxy, provider, applied, connection: String::new() };
        if let Some(first) = work.begins_with() {
            let session = ground.session(&ground.applied, first.spec()?)?;
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
async fn every_request_of_a_change_of_labels_may_be_spoiled() {
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
