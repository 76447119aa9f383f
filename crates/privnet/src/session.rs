//! A session: one file against its clouds.

mod builder;
mod deciding;
mod executed;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use futures::future::join_all;
use privnet_core::accept::{Connection, ConnectionState};
use privnet_core::astray::astray;
use privnet_core::execute::{Context, Executor};
use privnet_core::handoff::Handoff;
use privnet_core::plan::{self, Plan, PlanOptions, Refusal, Rule};
use privnet_core::provider::lower_all;
use privnet_core::spec::{CloudName, Service, Spec};
use privnet_core::status::{self, ServiceState, ServiceStatus};
use privnet_core::world::{Connections, ServiceWorld};
use privnet_core::{Address, Desired, Error, ErrorKind, KindTable, ObserveRequest, Provider, Purpose, World};
use tokio_util::sync::CancellationToken;

pub use builder::SessionBuilder;
pub use deciding::Decided;
pub use executed::Executed;
pub use waiting::{Waited, WaitedFor};

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
        plan.warnings.extend(self.not_pruned(options));
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

    /// A prune is of services that the file does not list: among those that it does there is none.
    fn not_pruned(&self, options: PlanOptions) -> Option<String> {
        let are_listed = self.only.iter().all(|name| self.spec.service(name).is_some());
        (options.prune && !self.only.is_empty() && are_listed).then(|| {
            "`--prune` takes away nothing here: it is about services that the file does not list, and `--service` leaves all of them out"
                .to_owned()
        })
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

    /// Carries out a plan of this session. [`Executed::is_complete`] tells whether all of it was done.
    pub async fn execute(&self, planned: Planned) -> Executed {
        let deployment = planned.desired.deployment.clone();
        let report = self.executor.run(&deployment, &planned.plan, &planned.world).await;
        Executed { planned, report }
    }

    /// Plans and carries out; [`Executed::is_complete`] as of [`execute`](Self::execute).
    pub async fn apply(&self, options: PlanOptions) -> Executed {
        self.execute(self.plan(options).await).await
    }

    /// Deletes all that the deployment owns in the file's scopes; [`Executed::is_complete`] as of [`execute`](Self::execute).
    pub async fn destroy(&self, sever_connections: bool) -> Executed {
        self.apply(PlanOptions { destroy: true, sever_connections, prune: false }).await
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
        let mut all = status::status(&desired, &world);
        let unseen = self.unseen(&world, &unreachable);
        all.extend(unseen.map(|(service, why)| ServiceStatus {
            name: service.name.to_string(),
            cloud: service.cloud_name().as_str(),
            state: ServiceState::Degraded,
            targets: Vec::new(),
            connections: Vec::new(),
            notes: why,
            of_place: Vec::new(),
        }));
        all.sort_by(|a, b| a.name.cmp(&b.name));
        (all, unreachable)
    }

    /// The services at which nobody could look although their cloud answered, such as those of an account that is not the one that is logged
    /// in, and why. What is not said of them would look as though the file had none.
    fn unseen<'a>(
        &'a self,
        world: &'a World,
        unreachable: &'a [Unreachable],
    ) -> impl Iterator<Item = (&'a Service, Vec<String>)> {
        let is_unseen = |service: &&Service| {
            let name = service.name.as_str();
            !world.services.contains_key(name) && !unreachable.iter().any(|down| down.services.contains(name))
        };
        // Thousands of services may be unseen, each for a reason of its own.
        let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for refusal in &world.refusals {
            reasons.entry(&refusal.address.service).or_default().push(refusal.why.clone());
        }
        self.services()
            .filter(is_unseen)
            .map(move |service| (service, reasons.get(service.name.as_str()).cloned().unwrap_or_default()))
    }

    /// What the vendor needs for each service, as it is now: names that move and operations under way are not waited for.
    pub async fn handoff(&self) -> (Vec<Handoff>, Vec<Unreachable>) {
        let (desired, world, unreachable) = self.observe(Purpose::HandOver).await;
        let astray = astray(&desired, &world);
        let seen = self.services().filter(|service| !service.remove).filter_map(|service| {
            let provider = self.provider_of(service)?;
            world.services.get(service.name.as_str())?;
            let mut handoff = provider.handoff(&self.spec, service, &world);
            if let Some(why) = astray.get(service.name.as_str()) {
                handoff.is_unseen = true;
                // What the file alone tells is told in any case.
                if handoff.missing.is_empty() {
                    handoff.missing.push(why.clone());
                }
            }
            Some(handoff)
        });
        let unseen = self.unseen(&world, &unreachable).filter(|(service, _)| !service.remove);
        let mut all: Vec<Handoff> = seen.collect();
        all.extend(unseen.map(|(service, missing)| Handoff {
            name: service.name.to_string(),
            cloud: service.cloud_name().as_str(),
            fields: BTreeMap::new(),
            missing,
            notes: Vec::new(),
            is_unseen: true,
        }));
        (all, unreachable)
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
        world.refuse_own_names();
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
