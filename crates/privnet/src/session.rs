//! A session: one file against its clouds.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use privnet_core::accept::{self, Ask, Connection, ConnectionState, Decision, Verdict};
use privnet_core::audit::AuditLog;
use privnet_core::execute::{Context, Events, Executor, Limiter, Report, Settings};
use privnet_core::handoff::Handoff;
use privnet_core::plan::{self, Plan, PlanOptions, Refusal, Rule};
use privnet_core::provider::lower_all;
use privnet_core::spec::{CloudName, Service, Spec};
use privnet_core::status::{self, ServiceStatus};
use privnet_core::world::{Connections, ServiceWorld};
use privnet_core::{Address, Desired, Error, ErrorKind, KindTable, ObserveRequest, Provider, Purpose, World};
use tokio_util::sync::CancellationToken;

use crate::clouds::{Clouds, CloudsError};

/// Everything that a session needs to know besides the file.
pub struct SessionBuilder {
    spec: Spec,
    clouds: Clouds,
    audit: Arc<dyn AuditLog>,
    events: Events,
    cancel: CancellationToken,
    settings: Settings,
    limiter: Option<Arc<Limiter>>,
    parallelism: usize,
    only: BTreeSet<String>,
    providers: Option<Vec<Arc<dyn Provider>>>,
}

/// One file against its clouds.
pub struct Session {
    spec: Spec,
    providers: Vec<Arc<dyn Provider>>,
    kinds: KindTable,
    context: Context,
    cancel: CancellationToken,
    executor: Executor,
    only: BTreeSet<String>,
}

/// A plan, and what it was made from.
#[derive(Debug)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// What was wanted.
    pub desired: Desired,
    /// What was seen.
    pub world: World,
    /// Clouds that could not be observed: their services are refused in the plan, the others are planned.
    pub unreachable: Vec<Unreachable>,
}

/// A cloud that could not be observed.
#[derive(Debug)]
pub struct Unreachable {
    /// Which.
    pub cloud: &'static str,
    /// The services of the file that are there.
    pub services: BTreeSet<String>,
    /// Why.
    pub error: Error,
}

/// A plan that was carried out.
#[derive(Debug)]
pub struct Executed {
    /// The plan, and what it was made from.
    pub planned: Planned,
    /// What became of each action.
    pub report: Report,
}

/// Decisions on pending requests, and what became of them.
#[derive(Debug)]
pub struct Decided {
    /// Each decision.
    pub decisions: Vec<Decision>,
    /// The plan that carries them out, and what became of it (nothing in a dry run).
    pub executed: Planned,
    /// What became of the plan; absent in a dry run.
    pub report: Option<Report>,
}

impl SessionBuilder {
    /// A session for this file, writing decisions to `audit`.
    pub fn new(spec: Spec, clouds: Clouds, audit: Arc<dyn AuditLog>) -> Self {
        let settings = Settings { pace: clouds.pace(), ..Settings::default() };
        Self {
            spec,
            clouds,
            audit,
            events: Events::none(),
            cancel: CancellationToken::new(),
            settings,
            limiter: None,
            parallelism: 16,
            only: BTreeSet::new(),
            providers: None,
        }
    }

    /// Tells this of progress.
    #[must_use]
    pub fn events(mut self, events: Events) -> Self {
        self.events = events;
        self
    }

    /// Stops when this is cancelled: nothing new is begun, and what was begun is reported. A look at the cloud ends at once, with each
    /// cloud among the unreachable ones.
    #[must_use]
    pub fn cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Keeps to the request rates together with all other sessions that get this: clouds count by account, region and API, not by
    /// file. A session that is not told has rates of its own. Its pace must be the clouds' ([`Clouds::pace`]).
    #[must_use]
    pub fn limiter(mut self, limiter: Arc<Limiter>) -> Self {
        self.limiter = Some(limiter);
        self
    }

    /// At most this many actions at once; 16 unless told.
    #[must_use]
    pub fn parallelism(mut self, parallelism: usize) -> Self {
        self.parallelism = parallelism;
        self
    }

    /// Waits at most so long for what becomes healthy by itself, such as new forwarders, and fails then; what was begun goes on when the
    /// session is used again. For a [watch](crate::watch), which has requests to decide meanwhile. As long as it takes unless told.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = Some(patience);
        self
    }

    /// Only these services, by name; all unless told.
    #[must_use]
    pub fn services(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.only = names.into_iter().collect();
        self
    }

    /// These providers instead of those of the clouds: for tests and for clouds of one's own.
    #[must_use]
    pub fn providers(mut self, providers: Vec<Arc<dyn Provider>>) -> Self {
        self.providers = Some(providers);
        self
    }

    /// The session.
    ///
    /// # Errors
    /// [`CloudsError`] where the file uses a cloud that this build does not have, or an endpoint that is not safe.
    pub fn build(self) -> Result<Session, CloudsError> {
        let providers = match self.providers {
            Some(providers) => providers,
            None => self.clouds.providers(&self.spec)?,
        };
        let kinds = KindTable::new(providers.iter().map(|provider| provider.handles()));
        let cancel = self.cancel.clone();
        let limiter = self.limiter.unwrap_or_else(|| Arc::new(Limiter::new(self.settings.pace)));
        let context = Context::sharing(limiter, self.settings, self.events, self.cancel);
        let executor = Executor::new(providers.clone(), context.clone(), self.audit, self.parallelism);
        Ok(Session { spec: self.spec, providers, kinds, context, cancel, executor, only: self.only })
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("deployment", &self.spec.deployment).finish_non_exhaustive()
    }
}

impl Session {
    /// The file.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The services that take part.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.spec.services.iter().filter(|service| self.takes_part(service.name.as_str()))
    }

    fn takes_part(&self, service: &str) -> bool {
        self.only.is_empty() || self.only.contains(service)
    }

    /// Observes, and plans how the cloud becomes what the file says.
    pub async fn plan(&self, options: PlanOptions) -> Planned {
        let (mut desired, world, unreachable) = self.observe(Purpose::Plan).await;
        if options.destroy {
            // What the file wants is of no matter to its end; what was observed still is.
            desired.resources.clear();
            desired.waits.clear();
            desired.refusals.clear();
            desired.warnings.clear();
        }
        let mut plan = plan::plan(&desired, &world, &self.kinds, options);
        if options.destroy {
            plan.waits.clear();
        }
        plan.warnings.extend(self.not_looked_at());
        plan.refusals.extend(self.nowhere_to_delete(options));
        Planned { plan, desired, world, unreachable }
    }

    /// Where a file once had services, and now has none, is not looked at: what is left there is not shown.
    fn not_looked_at(&self) -> Vec<String> {
        let used =
            |cloud: &CloudName| self.spec.services.iter().any(|service| service.cloud_name() == *cloud);
        let idle = self.spec.defaults.iter().filter(|cloud| !used(cloud));
        let mut warnings: Vec<String> = idle
            .map(|cloud| {
                format!(
                    "`defaults` has {cloud}, and no service is there: nothing was looked at in {cloud}, and what the deployment may have \
                     there stays. A service with `remove: true` keeps its place until what it had is gone"
                )
            })
            .collect();
        if self.spec.services.is_empty() && warnings.is_empty() {
            warnings.push(
                "the file has no service: nothing was looked at, and what the deployment may have in a cloud stays".to_owned(),
            );
        }
        warnings
    }

    /// A file without a service names no place: what was not looked for is not said to be gone.
    fn nowhere_to_delete(&self, options: PlanOptions) -> Option<Refusal> {
        (self.spec.services.is_empty() && (options.destroy || options.prune)).then(|| Refusal {
            address: Address::new(self.spec.deployment.as_str(), "deployment", "main"),
            rule: Rule::Unobserved,
            why: "the file has no service, so nothing was searched and nothing is deleted: list what is to go with `remove: true`, \
                  which keeps its place, and apply"
                .to_owned(),
            flag: None,
        })
    }

    /// Observes, and plans how load balancers follow names that moved: what [`Session::plan`] plans, narrowed to the changes of
    /// targets. An address that is gone goes in a later run, when another target is healthy.
    pub async fn plan_targets(&self) -> Planned {
        let planned = self.plan(PlanOptions::default()).await;
        Planned { plan: plan::only_targets(planned.plan, &self.kinds), ..planned }
    }

    /// Whether the same are connected, and wait, as when this was planned. What a person took time to look at, or what was planned before
    /// another file's work, may cut by now who was not there then.
    pub async fn meets_the_same(&self, planned: &Planned) -> bool {
        // Who is connected at places that the file does not name any more is read for a whole plan only.
        if !planned.world.former.is_empty() {
            return false;
        }
        let (_, world, unreachable) = self.observe(Purpose::Connections).await;
        let same = |(name, seen): (&String, &ServiceWorld)| {
            world.services.get(name).is_some_and(|now| are_the_same(&seen.connections, &now.connections))
        };
        unreachable.is_empty() && planned.world.services.iter().all(same)
    }

    /// Carries out a plan of this session.
    pub async fn execute(&self, planned: Planned) -> Executed {
        let deployment = planned.desired.deployment.clone();
        let report = self.executor.run(&deployment, &planned.plan, &planned.world).await;
        Executed { planned, report }
    }

    /// Plans and carries out.
    pub async fn apply(&self, options: PlanOptions) -> Executed {
        self.execute(self.plan(options).await).await
    }

    /// Deletes all that the deployment owns in the file's scopes.
    pub async fn destroy(&self, sever_connections: bool) -> Executed {
        self.apply(PlanOptions { destroy: true, sever_connections, prune: false }).await
    }

    /// Decides on the pending requests by policy, and carries that out unless it is a `dry_run`.
    pub async fn accept_pending(&self, ask: &Ask, dry_run: bool) -> Decided {
        let (desired, world, unreachable) = self.observe(Purpose::Connections).await;
        let decisions = decide_all(&desired, &world, ask);
        let plan = plan::plan_decisions(&desired, &world, &self.kinds, &decisions);
        let executed = Planned { plan, desired, world, unreachable };
        if dry_run {
            return Decided { decisions, executed, report: None };
        }
        let Executed { planned, report } = self.execute(executed).await;
        Decided { decisions, executed: planned, report: Some(report) }
    }

    /// What the policy says of the requests that were pending when this plan was made. Nothing is carried out.
    #[must_use]
    pub fn decisions(&self, planned: &Planned, ask: &Ask) -> Vec<Decision> {
        decide_all(&planned.desired, &planned.world, ask)
    }

    /// How many requests this session has sent so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.context.calls()
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    pub(crate) async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Decides again and again until every consumer of every service is connected (or the one connection that `ask` names),
    /// somebody must choose, or the time is over. `see` is told of each round.
    pub async fn accept_until_connected(
        &self,
        ask: &Ask,
        timeout: Duration,
        mut see: impl FnMut(&Decided),
    ) -> Waited {
        let started = Instant::now();
        let pause = self.context.paced(Duration::from_secs(10));
        let timeout = if timeout == Duration::MAX { timeout } else { timeout.max(pause) };
        let mut ask = ask.clone();
        loop {
            let decided = self.accept_pending(&ask, false).await;
            // Whoever is turned away from now on was turned away by somebody who knew. Where nothing could be looked at, nothing is known
            // yet; where some could, the rest is not waited for: rather is nobody let in again than one who was turned away since.
            ask.again &= !decided.executed.was_looked_at();
            let failed = decided.report.as_ref().is_some_and(|report| !report.all_done());
            let ambiguous = decided.decisions.iter().any(Decision::is_ambiguous);
            let unreachable = !decided.executed.unreachable.is_empty();
            let changed = decided.decisions.iter().any(|decision| decision.verdict != Verdict::Left);
            see(&decided);
            let end = if self.context.is_cancelled() {
                Some(WaitedFor::Cancelled)
            } else if failed || unreachable {
                Some(WaitedFor::Failed)
            } else if !changed && is_connected(&decided.executed, &ask) {
                Some(WaitedFor::Connected)
            } else if ambiguous {
                Some(WaitedFor::Ambiguous)
            } else {
                (started.elapsed() >= timeout).then_some(WaitedFor::TimedOut)
            };
            if let Some(end) = end {
                return Waited { end, last: decided };
            }
            let left = timeout.saturating_sub(started.elapsed()).max(Duration::from_millis(1));
            tokio::select! {
                () = tokio::time::sleep(pause.min(left)) => {}
                () = self.cancel.cancelled() => {}
            }
        }
    }

    /// Plans the rejection of one connection; `None` where no service has it. A live one is refused without `sever`. Where some service
    /// could not be looked at, nobody knows whether it has it: that is an empty plan.
    pub async fn plan_rejection(&self, connection: &str, sever: bool) -> Option<Planned> {
        let (desired, world, unreachable) = self.observe(Purpose::Connections).await;
        let plan = plan::plan_rejection(&desired, &world, &self.kinds, connection, sever);
        let found = plan.is_some();
        let planned = Planned { plan: plan.unwrap_or_default(), desired, world, unreachable };
        (found || !planned.unreachable.is_empty() || !planned.unread().is_empty()).then_some(planned)
    }

    /// What there is of each service, who is connected, and what waits for whom.
    pub async fn status(&self) -> (Vec<ServiceStatus>, Vec<Unreachable>) {
        let (desired, world, unreachable) = self.observe(Purpose::Status).await;
        (status::status(&desired, &world), unreachable)
    }

    /// What the vendor needs for each service, as it is now: names that move and operations under way are not waited for.
    pub async fn handoff(&self) -> (Vec<Handoff>, Vec<Unreachable>) {
        let (_, world, unreachable) = self.observe(Purpose::HandOver).await;
        let handoffs = self.services().filter(|service| !service.remove).filter_map(|service| {
            let provider = self.provider_of(service)?;
            world
                .services
                .contains_key(service.name.as_str())
                .then(|| provider.handoff(&self.spec, service, &world))
        });
        (handoffs.collect(), unreachable)
    }

    fn provider_of(&self, service: &Service) -> Option<&Arc<dyn Provider>> {
        let cloud = service.cloud_name().as_str();
        self.providers.iter().find(|provider| provider.handles().cloud == cloud)
    }

    /// Observes all clouds at once and lowers the file against what was seen. A cloud that cannot be reached refuses its own
    /// services and no others.
    async fn observe(&self, purpose: Purpose) -> (Desired, World, Vec<Unreachable>) {
        let observations =
            join_all(self.providers.iter().map(|provider| self.observe_one(provider, purpose))).await;
        let mut world = World::default();
        let mut unreachable = Vec::new();
        for (cloud, observation) in observations {
            match observation {
                Ok(seen) => world.merge(seen),
                Err(error) => {
                    let there = self.services().filter(|service| service.cloud_name().as_str() == cloud);
                    let services = there.map(|service| service.name.to_string()).collect();
                    unreachable.push(Unreachable { cloud, services, error });
                }
            }
        }
        for down in &unreachable {
            for service in &down.services {
                world.refusals.push(Refusal {
                    address: Address::new(service, "service", "main"),
                    rule: Rule::Unobserved,
                    why: format!("{} could not be observed: {}", down.cloud, down.error),
                    flag: None,
                });
            }
        }
        if !self.only.is_empty() {
            world.live.retain(|live| self.takes_part(&live.address.service));
            world.services.retain(|service, _| self.takes_part(service));
            world.former.retain(|service, _| self.takes_part(service));
            world.refusals.retain(|refusal| self.takes_part(&refusal.address.service));
        }
        let desired = lower_all(&self.spec, self.services(), &self.providers, &world);
        (desired, world, unreachable)
    }

    async fn observe_one(
        &self,
        provider: &Arc<dyn Provider>,
        purpose: Purpose,
    ) -> (&'static str, Result<World, Error>) {
        let cloud = provider.handles().cloud;
        let services: Vec<&Service> =
            self.services().filter(|service| service.cloud_name().as_str() == cloud).collect();
        if services.is_empty() {
            return (cloud, Ok(World::default()));
        }
        let request = ObserveRequest { spec: &self.spec, services: &services, purpose };
        // Reads only: where the user stops, they are dropped.
        let seen = tokio::select! {
            biased;
            () = self.cancel.cancelled() => {
                Err(Error::new(ErrorKind::Cancelled, "observe", cloud, "interrupted while looking"))
            }
            seen = provider.observe(request, &self.context) => seen,
        };
        (cloud, seen)
    }
}

/// How a wait for connections ended.
#[derive(Debug)]
pub struct Waited {
    /// Why it ended.
    pub end: WaitedFor,
    /// The last round.
    pub last: Decided,
}

/// Why a wait for connections ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitedFor {
    /// Every consumer of every service is connected, or the connection that was named is in.
    Connected,
    /// More requests match than there is room: somebody must choose.
    Ambiguous,
    /// The time is over.
    TimedOut,
    /// Something failed.
    Failed,
    /// The user interrupted.
    Cancelled,
}

/// The decisions on all pending requests of services that are to stay.
fn decide_all(desired: &Desired, world: &World, ask: &Ask) -> Vec<Decision> {
    let staying = desired.services.values().filter(|intent| !intent.remove);
    let decisions = staying.filter_map(|intent| {
        let seen = world.services.get(&intent.name)?;
        Some(accept::decide(&intent.policy, seen.connections.known(), ask))
    });
    decisions.flatten().collect()
}

/// Whether these are the same connections, in the same states.
fn are_the_same(one: &Connections, other: &Connections) -> bool {
    let states = |known: &[Connection]| -> BTreeSet<(String, ConnectionState)> {
        known.iter().map(|connection| (connection.handle.clone(), connection.state)).collect()
    };
    match (one, other) {
        (Connections::Known(one), Connections::Known(other)) => states(one) == states(other),
        (Connections::NotExposed, Connections::NotExposed)
        | (Connections::Unreadable { .. }, Connections::Unreadable { .. }) => true,
        // What cannot be read now is not what was read: somebody may have come in.
        _ => false,
    }
}

/// Whether what was waited for is there: the connection that is named, or else one for each consumer of each service.
fn is_connected(planned: &Planned, ask: &Ask) -> bool {
    let staying = || planned.desired.services.values().filter(|intent| !intent.remove);
    let seen = |name: &str| planned.world.services.get(name).map(|seen| seen.connections.known());
    match &ask.connection {
        Some(id) => staying()
            .filter_map(|intent| seen(&intent.name))
            .flatten()
            .any(|connection| connection.is(id) && connection.state.may_be_live()),
        None => {
            staying().all(|intent| seen(&intent.name).is_some_and(|known| intent.policy.is_served(known)))
        }
    }
}
