//! The pipeline in the suite's hands.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Subject;
use crate::accept::{Ask, Connection, Decision, decide};
use crate::audit::{AuditEntry, AuditLog};
use crate::execute::{Context, Events, Executor, Outcome, Report, Settings};
use crate::kind::KindTable;
use crate::plan::{Plan, PlanOptions, plan, plan_decisions, plan_rejection};
use crate::provider::{ObserveRequest, Provider, Purpose, lower_all};
use crate::spec::Spec;
use crate::world::{Desired, ServiceIntent, World};

/// Accepts every entry: the suite looks at the cloud.
struct NoLog;

impl AuditLog for NoLog {
    fn write(&self, _: &AuditEntry) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }
}

/// One process: a provider that remembers nothing of earlier ones.
pub struct Driver {
    providers: Vec<Arc<dyn Provider>>,
    context: Context,
}

impl Driver {
    /// A new process on this cloud.
    pub fn new(subject: &dyn Subject) -> Self {
        Self::with(subject, None)
    }

    /// The same, which waits so long for what becomes healthy by itself.
    pub fn patient(subject: &dyn Subject, patience: Duration) -> Self {
        Self::with(subject, Some(patience))
    }

    fn with(subject: &dyn Subject, patience: Option<Duration>) -> Self {
        let poll = Duration::from_secs(1);
        let settings = Settings { pace: subject.pace(), poll, patience, ..Settings::default() };
        let context = Context::new(settings, Events::none(), CancellationToken::new());
        Self { providers: vec![subject.provider()], context }
    }

    /// Observes and lowers.
    ///
    /// # Panics
    /// When the cloud cannot be observed: the suite is a test.
    #[allow(clippy::panic, reason = "the suite is a test")]
    pub async fn observe(&self, spec: &Spec, purpose: Purpose) -> (Desired, World) {
        let services: Vec<_> = spec.services.iter().collect();
        let mut world = World::default();
        for provider in &self.providers {
            let request = ObserveRequest { spec, services: &services, purpose };
            match provider.observe(request, &self.context).await {
                Ok(seen) => world.merge(seen),
                Err(error) => panic!("observe: {error} {:?}", crate::error::causes(&error)),
            }
        }
        world.refuse_own_names();
        (lower_all(spec, &spec.services, &self.providers, &world), world)
    }

    /// Plans.
    pub async fn plan(&self, spec: &Spec, options: PlanOptions) -> (Plan, Desired, World) {
        let (mut desired, world) = self.observe(spec, Purpose::Plan).await;
        if options.destroy {
            desired.resources.clear();
            desired.waits.clear();
            desired.refusals.clear();
            desired.warnings.clear();
        }
        (plan(&desired, &world, &self.kinds(), options), desired, world)
    }

    /// Carries out a plan.
    pub async fn execute(&self, plan: &Plan, desired: &Desired, world: &World) -> Report {
        let executor = Executor::new(self.providers.clone(), self.context.clone(), Arc::new(NoLog), 8);
        executor.run(&desired.deployment, plan, world).await
    }

    /// Plans and carries out.
    pub async fn apply(&self, spec: &Spec, options: PlanOptions) -> (Plan, Report) {
        let (plan, desired, world) = self.plan(spec, options).await;
        let report = self.execute(&plan, &desired, &world).await;
        (plan, report)
    }

    /// Decides by each service's policy, as `accept-pending` does, and carries it out.
    pub async fn decide(&self, spec: &Spec, ask: &Ask) -> (Vec<Decision>, Plan, Report) {
        let (desired, world) = self.observe(spec, Purpose::Connections).await;
        let known = |intent: &ServiceIntent| {
            world.services.get(&intent.name).map(|seen| seen.connections.known()).unwrap_or_default()
        };
        let services = desired.services.values();
        let decisions: Vec<Decision> =
            services.flat_map(|intent| decide(&intent.policy, known(intent), ask)).collect();
        let plan = plan_decisions(&desired, &world, &self.kinds(), &decisions);
        let report = self.execute(&plan, &desired, &world).await;
        (decisions, plan, report)
    }

    /// Rejects one connection, with or without the word that a live one may be cut.
    ///
    /// # Panics
    /// Where no service has it.
    #[allow(clippy::expect_used, reason = "the suite is a test")]
    pub async fn reject(&self, spec: &Spec, id: &str, sever: bool) -> (Plan, Report) {
        let (desired, world) = self.observe(spec, Purpose::Connections).await;
        let plan =
            plan_rejection(&desired, &world, &self.kinds(), id, sever).expect("the connection is there");
        let report = self.execute(&plan, &desired, &world).await;
        (plan, report)
    }

    /// A service's connections, of whatever state.
    pub async fn connections(&self, spec: &Spec, service: &str) -> Vec<Connection> {
        let (_, world) = self.observe(spec, Purpose::Connections).await;
        world.services.get(service).map(|seen| seen.connections.known().to_vec()).unwrap_or_default()
    }

    /// Demands that nothing is left to do.
    ///
    /// # Panics
    /// Where something is.
    pub async fn assert_settled(&self, spec: &Spec) {
        let (plan, ..) = self.plan(spec, PlanOptions::default()).await;
        assert!(plan.is_empty() && plan.refusals.is_empty(), "{:#?}", (plan.actions, plan.refusals));
    }

    /// The kinds that take part.
    #[must_use]
    pub fn kinds(&self) -> KindTable {
        KindTable::new(self.providers.iter().map(|provider| provider.handles()))
    }
}

/// No test waits for anything longer than this.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until there is an answer.
///
/// # Panics
/// Where there is none for a minute.
pub async fn until<T, Fut: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> Fut) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "not so after {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Demands that every action of a plan was done.
///
/// # Panics
/// At the first that was not, with its error and what caused that.
#[allow(clippy::panic, reason = "the suite is a test")]
pub fn assert_done(plan: &Plan, report: &Report) {
    for (action, outcome) in plan.actions.iter().zip(&report.outcomes) {
        match outcome {
            Outcome::Done { .. } => {}
            Outcome::Failed(error) => {
                panic!("{} failed: {error} {:?}", action.id, crate::error::causes(error))
            }
            Outcome::Skipped { why } => panic!("{} was skipped: {why}", action.id),
        }
    }
}
