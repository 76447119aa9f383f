//! The pipeline in the suite's hands.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Subject;
use crate::audit::{AuditEntry, AuditLog};
use crate::execute::{Context, Events, Executor, Report, Settings};
use crate::kind::KindTable;
use crate::plan::{Plan, PlanOptions, plan};
use crate::provider::{ObserveRequest, Provider, Purpose, lower_all};
use crate::spec::Spec;
use crate::world::{Desired, World};

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
        let settings = Settings { pace: subject.pace(), poll: Duration::from_secs(1), ..Settings::default() };
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
        (lower_all(spec, &spec.services, &self.providers, &world), world)
    }

    /// Plans.
    pub async fn plan(&self, spec: &Spec, options: PlanOptions) -> (Plan, Desired, World) {
        let (mut desired, world) = self.observe(spec, Purpose::Plan).await;
        if options.destroy {
            desired.resources.clear();
            desired.refusals.clear();
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

    /// The kinds that take part.
    #[must_use]
    pub fn kinds(&self) -> KindTable {
        KindTable::new(self.providers.iter().map(|provider| provider.handles()))
    }
}
