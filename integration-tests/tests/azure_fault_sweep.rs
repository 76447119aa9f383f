//! The fault sweep on Azure: each request of an apply, a replacement, a destroy, an acceptance, a rejection and an approval of what Azure
//! hosts is spoiled in turn, in each way, and at sampled pairs; and each write, and the first question about health of each sort, is also
//! accepted and fails at the end of its operation. Then the same command runs again. It must end in the same state, with an empty plan, and
//! a census by azure-mgmt-* must find exactly what it finds after an undisturbed run. Faults without effect are counted apart. The process
//! itself is killed by the system at each request, too. Three works are spoiled only where they are about what no other one does: the policy
//! of a subnet of the user's, the removal of a connection of SQL's, and of one that was turned away before its service goes.
//!
//! The number of points tried equals the number of recorded requests times the number of faults (an older answer only where there is
//! one), and of recorded writes times the number of late failures; the test prints them. Which request is spoiled is said by its name and by
//! how many of this name came before: what goes at once comes in another order in each run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test, which says what it tried"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use privnet::{PlanOptions, Session};
use privnet_core::accept::{Ask, Verdict};
use privnet_integration_tests::census::Census;
use privnet_integration_tests::kills::{AZURE, At, Life};
use privnet_integration_tests::proxy::{Fault, Place, Proxy, Request};
use privnet_integration_tests::stage::{Fail, Stage, spec};
use privnet_integration_tests::sweep::{Faults, Fired, Recorded, Sample, mend, same, spoiled};
use privnet_sandbox::Sandbox;

/// How many pairs of spoiled requests are tried besides.
const PAIRS: usize = 24;
/// How an operation ends that was accepted: `Canceled` is that of `CanceledAndSupersededDueToAnotherOperation`.
const LATE: [&str; 2] = ["InternalServerError", "Canceled"];

/// A service over forwarders and a machine of the user's own. Nobody asks for a connection: who asks, and when, is not part of it.
fn file(target: &str) -> String {
    format!(
        "
version: 1
deployment: sweep
tags: {{ cost-center: '4711', sandbox-consumers: none }}
consumers:
  acme: {{ azure: {{ subscriptions: [11111111-2222-3333-4444-555555555555] }} }}
services:
  - name: orders
    allow: {{ acme: {{}} }}
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      resource_group: rg-data
      location: eastus2
      vnet: hub
      load_balancer_subnet: lb
      nat_subnet: {{ create: {{ cidr: 10.1.9.0/28 }} }}
      forwarder: {{ subnets: [fwd], size: Standard_D2s_v5 }}
      join_nics: true
      ports:
        - {{ listen: 1433, engine: sqlserver, to: {{ forwarder: {{ ip: {target} }} }} }}
        - {{ listen: 5432, engine: postgres, to: {{ nics: [db-1-nic] }} }}
"
    )
}

/// A service in a subnet of the user's whose policy is switched off for it, as the opt-in says. It waits for its machine, which is not joined.
const PLAIN: &str = "
version: 1
deployment: sweep
tags: { sandbox-consumers: none }
consumers:
  acme: { azure: { subscriptions: [11111111-2222-3333-4444-555555555555] } }
services:
  - name: orders
    allow: { acme: {} }
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      resource_group: rg-data
      location: eastus2
      vnet: hub
      load_balancer_subnet: lb
      nat_subnet: { existing: nat-policed }
      disable_subnet_policies: true
      ports: [{ listen: 5432, engine: postgres, to: { nics: [db-1-nic] } }]
";

/// What is done at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Apply,
    Replace,
    Destroy,
    /// Lets in a consumer whose request is pending, and not a stranger's.
    Accept,
    /// Turns away the consumer that was let in, with the word.
    Reject,
    /// As `Accept`, on a database that Azure hosts.
    Approve,
    /// As `Reject`, on a database that Azure hosts: it removes who was let in.
    Remove,
    /// Makes a service in a subnet whose policy must go: only that is spoiled.
    Policy,
    /// Destroys a service that turned a consumer away, who must go before it: only that is spoiled.
    Clear,
}

/// A database that Azure hosts: its consumer and a stranger ask by themselves.
const HOSTED: &str = "
version: 1
deployment: sweep
consumers:
  acme: { azure: { subscriptions: [11111111-2222-3333-4444-555555555555] } }
services:
  - name: orders
    allow: { acme: {} }
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      hosted: { resource_id: /subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers/Microsoft.Sql/servers/crm, subresource: sqlServer }
";

impl Work {
    /// Whether connections are decided on, and nothing is made.
    fn decides(self) -> bool {
        matches!(self, Self::Accept | Self::Reject | Self::Approve | Self::Remove)
    }

    /// Whether it is about what Azure hosts.
    fn is_hosted(self) -> bool {
        matches!(self, Self::Approve | Self::Remove)
    }

    /// Whether it begins in an empty world.
    fn begins(self) -> bool {
        matches!(self, Self::Apply | Self::Policy)
    }

    fn file(self) -> String {
        match self {
            Self::Approve | Self::Remove => HOSTED.to_owned(),
            Self::Policy | Self::Clear => PLAIN.to_owned(),
            _ => file(self.target()),
        }
    }

    /// What is there when the work begins.
    fn before(self) -> String {
        if self == Self::Clear { self.file() } else { file(Self::Apply.target()) }
    }

    /// What alone is spoiled, of works whose other requests are as those of the others.
    fn about(self) -> Option<&'static str> {
        match self {
            Self::Policy => Some("/subnets/nat-policed"),
            Self::Clear => Some("/privateEndpointConnections/"),
            _ => None,
        }
    }

    fn options(self) -> PlanOptions {
        PlanOptions { destroy: matches!(self, Self::Destroy | Self::Clear), ..PlanOptions::default() }
    }

    /// The database behind the forwarders: another one makes another group of them.
    fn target(self) -> &'static str {
        if self == Self::Replace { "172.16.4.21" } else { "172.16.4.20" }
    }
}

/// What is spoiled: requests on their way, and a write's operation after it was accepted: the nth of its sort.
#[derive(Clone, Debug, Default)]
struct Point {
    on_the_way: Faults,
    late: Option<(String, usize, &'static str)>,
}

impl Point {
    fn named(&self) -> String {
        let faults = self.on_the_way.iter().map(|(place, fault)| match place {
            Place::Nth(name, nth) | Place::Again(name, nth) => {
                format!("{fault:?} at {name}, the {nth}th from 0")
            }
            Place::At(at) => format!("{fault:?} at {at}"),
        });
        let late = self.late.iter().map(|(sort, nth, code)| format!("late {code} at {sort}, the {nth}th"));
        faults.chain(late).collect::<Vec<_>>().join(" and ")
    }
}

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
            let session = applied.session(spec(&work.before())?, &applied.url("aws"))?;
            let done = session.apply(PlanOptions::default()).await;
            if !done.report.all_done() {
                return Err(format!("{:?}", done.report).into());
            }
        }
        let asked = work.decides() || work == Work::Clear;
        let connection = if asked { ask_for_connections(&applied, work).await? } else { String::new() };
        let script = if work.decides() { "azure/connections.py" } else { "azure/census.py" };
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
        if matches!(self.work, Work::Reject | Work::Remove) {
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

/// The consumer and a stranger ask for a connection; the consumer's, which is let in where it is to be turned away.
async fn ask_for_connections(applied: &Stage, work: Work) -> Result<String, Fail> {
    if !work.is_hosted() {
        let sandbox = Sandbox::open(applied.folder())?;
        sandbox.connect("orders", Some("consumer"))?;
        sandbox.connect("orders", Some("stranger")).ok();
    }
    // The visibility list hides a private link service from the stranger; what Azure hosts anybody may ask for.
    let expected = if work.is_hosted() { 2 } else { 1 };
    let session = applied.session(spec(&work.file())?, &applied.url("aws"))?;
    for _ in 0..400 {
        let (services, _) = session.status().await;
        let connections: Vec<_> = services.into_iter().flat_map(|service| service.connections).collect();
        let own = connections.iter().find(|one| one.id.contains("11111111-2222"));
        if let Some(own) = own.filter(|_| connections.len() >= expected) {
            let id = own.id.clone();
            let report = match work {
                Work::Reject | Work::Remove => session.accept_pending(&Ask::default(), false).await.report,
                Work::Clear => {
                    let planned = session.plan_rejection(&id, false).await.ok_or("nobody is turned away")?;
                    Some(session.execute(planned).await.report)
                }
                _ => return Ok(id),
            };
            let decided = report.is_some_and(|report| report.all_done() && !report.outcomes.is_empty());
            return if decided { Ok(id) } else { Err("the consumer was not decided on".into()) };
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("nobody's request arrived".into())
}

/// The points of work with these requests: each in each way, each write with each late failure, and pairs.
fn points(work: Work, recorded: &Recorded) -> Vec<Point> {
    let requests = &recorded.0;
    let on_the_way = |on_the_way| Point { on_the_way, late: None };
    let about = |at: &usize| work.about().is_none_or(|part| requests[*at].action.contains(part));
    let chosen: Vec<usize> = (0..requests.len()).filter(about).collect();
    let older = chosen.iter().filter(|at| requests[**at].again).count();
    let pairs = if work.about().is_none() { PAIRS } else { 0 };
    let each = chosen.iter().flat_map(|at| Fault::ALL.map(|fault| recorded.spoil(*at, fault)));
    let mut points: Vec<Point> = each.flatten().map(|fault| on_the_way(vec![fault])).collect();
    let singles = points.len();
    let writes: Vec<usize> = chosen.iter().copied().filter(|at| may_fail_late(work, requests, *at)).collect();
    for at in &writes {
        let (sort, nth) = (sort_of(&requests[*at].action), nth_of_its_sort(requests, *at));
        points.extend(LATE.map(|code| Point { late: Some((sort.clone(), nth, code)), ..Point::default() }));
    }
    assert!(!chosen.is_empty() && !writes.is_empty());
    assert_eq!(singles, chosen.len() * (Fault::ALL.len() - 1) + older);
    privnet_integration_tests::tell!(
        "fault sweep on Azure, {work:?}: {} of {} requests, {older} of them with an older answer, in {} ways = {singles} points; {} writes \
         × {} late failures; and {pairs} pairs",
        chosen.len(),
        requests.len(),
        Fault::ALL.len(),
        writes.len(),
        LATE.len(),
    );
    let mut sample = Sample(work as u64 + 1);
    points.extend((0..pairs).map(|_| on_the_way(recorded.pair(&mut sample))));
    points
}

/// The sorts of faults that must have had their effect: an older answer only where a request has one.
fn sorts(points: &[Point]) -> BTreeSet<Fault> {
    points.iter().flat_map(|point| &point.on_the_way).map(|(_, fault)| *fault).collect()
}

/// What the local cloud calls a request.
fn sort_of(action: &str) -> String {
    let (method, path) = action.split_once(' ').unwrap_or_default();
    let mut parts = path.rsplit_once("/providers/").map_or(path, |(_, rest)| rest).split('/');
    let provider = parts.next().unwrap_or_default().to_owned();
    format!("{method} {}", parts.step_by(2).fold(provider, |kind, part| format!("{kind}/{part}")))
}

/// Which of its sort a request is: runs differ in how often they look, not in what they write.
fn nth_of_its_sort(requests: &[Request], at: usize) -> usize {
    let own = sort_of(&requests[at].action);
    requests[..=at].iter().filter(|request| sort_of(&request.action) == own).count()
}

/// Whether a request has an operation that may fail: writes, and questions about health. How often these are asked differs between
/// runs, so it is the first of them. SQL refuses to turn away who was let in, and so begins nothing.
fn may_fail_late(work: Work, requests: &[Request], at: usize) -> bool {
    let is = |method: &str| requests[at].action.starts_with(method);
    (is("PUT ") && work != Work::Remove)
        || is("DELETE ")
        || (is("POST ") && nth_of_its_sort(requests, at) == 1)
}

/// All points of one work.
async fn sweep(work: Work) {
    let mut sweep = Sweep::of(work).await.unwrap();
    let (expected, recorded) = sweep.undisturbed().await.unwrap();
    let points = points(work, &recorded);
    let (mut fired, mut failures) = (Fired::default(), Vec::new());
    for point in &points {
        if let Err(why) = sweep.point(point, &expected, &mut fired).await {
            failures.push(format!("{work:?}, {}: {why}", point.named()));
        }
    }
    privnet_integration_tests::tell!(
        "fault sweep on Azure, {work:?}: {} tried, {} passed; {}; {} operations failed, none of {:?}",
        points.len(),
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
