//! What a cloud must do for the core: six functions, of which three are pure.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use crate::admitted;
use crate::error::Error;
use crate::execute::Context;
use crate::handoff::Handoff;
use crate::kind::Kind;
use crate::plan::{Action, FieldChange, Refusal, Wait};
use crate::resource::{Live, Resource};
use crate::spec::{Service, Spec};
use crate::value::Value;
use crate::world::{Desired, ServiceIntent, World};

/// What one service lowers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lowered {
    /// The service as the plan sees it.
    pub intent: ServiceIntent,
    /// Its resources; none for a tombstone.
    pub resources: Vec<Resource>,
    /// What must be waited for, as far as the facts tell.
    pub waits: Vec<Wait>,
    /// What cannot be done in view of the facts. Any of them keeps the whole service from being changed.
    pub refusals: Vec<Refusal>,
    /// What a user should know.
    pub warnings: Vec<String>,
}

/// What an observation is for: what is not needed is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Everything that a plan compares.
    Plan,
    /// Also the health of targets.
    Status,
    /// What the vendor is told: nothing that takes time is waited for.
    HandOver,
    /// Only services and their connections.
    Connections,
}

/// What to observe.
#[derive(Clone, Copy, Debug)]
pub struct ObserveRequest<'a> {
    /// The file.
    pub spec: &'a Spec,
    /// Its services on this cloud that take part, tombstones among them.
    pub services: &'a [&'a Service],
    /// What for.
    pub purpose: Purpose,
}

/// One action with everything that its provider needs.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The unit of ownership.
    pub deployment: &'a str,
    /// The action.
    pub action: &'a Action,
    /// All managed fields as they shall be, every reference resolved. For a delete, as they are.
    pub fields: &'a BTreeMap<String, Value>,
    /// What changes, every reference resolved.
    pub changes: &'a [FieldChange],
    /// What was observed of it: for updates, deletes and decisions.
    pub live: Option<&'a Live>,
    /// Whether a consumer may be connected whom the user did not allow to be cut: what serves gives way to what is seen to work, also while
    /// neither does at this moment.
    pub spares: bool,
    /// For a delete: whether something of ours is at the same address when the plan is done. Otherwise nothing there stands in for it.
    pub has_successor: bool,
}

impl Step<'_> {
    /// Whether this field is among the changes.
    #[must_use]
    pub fn changes_field(&self, name: &str) -> bool {
        self.changes.iter().any(|change| change.field == name)
    }
}

/// What an action yielded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// What others may refer to.
    pub outputs: BTreeMap<String, Value>,
    /// What happened besides, for people: "it was there already".
    pub note: Option<String>,
}

/// What a provider says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Handled {
    /// `aws`, `azure` or `gcp`: the first part of its scopes.
    pub cloud: &'static str,
    /// Its kinds.
    pub kinds: &'static [Kind],
}

/// A cloud. Object-safe; everything that decides is in the core.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Which cloud this is, and its kinds.
    fn handles(&self) -> Handled;

    /// What a service lowers to, in view of the facts that [`observe`](Provider::observe) brought. Pure.
    fn lower(&self, spec: &Spec, service: &Service, world: &World) -> Lowered;

    /// Reads the cloud: everything with our name or proof, what the file names, connections and facts.
    ///
    /// # Errors
    /// When nothing could be read at all (credentials, network). What concerns single services is a refusal in the world.
    async fn observe(&self, request: ObserveRequest<'_>, context: &Context) -> Result<World, Error>;

    /// Carries out one action and returns when an own read shows it. Running it again after any interruption, at any
    /// point, must be safe.
    ///
    /// # Errors
    /// What the cloud answered, about the action's address.
    async fn apply(&self, step: Step<'_>, context: &Context) -> Result<Applied, Error>;

    /// What the vendor needs to connect. Pure.
    fn handoff(&self, spec: &Spec, service: &Service, world: &World) -> Handoff;
}

/// Lowers all services that were observed, in view of what was seen.
#[must_use]
pub fn lower_all<'a>(
    spec: &Spec,
    services: impl IntoIterator<Item = &'a Service>,
    providers: &[std::sync::Arc<dyn Provider>],
    world: &World,
) -> Desired {
    let mut desired = Desired { deployment: spec.deployment.to_string(), ..Desired::default() };
    let mut excerpts = BTreeSet::new();
    for service in services {
        let Some(seen) = world.services.get(service.name.as_str()) else { continue };
        let cloud = service.cloud_name().as_str();
        let Some(provider) = providers.iter().find(|provider| provider.handles().cloud == cloud) else {
            continue;
        };
        let lowered = provider.lower(spec, service, world);
        desired.resources.extend(lowered.resources);
        desired.waits.extend(lowered.waits);
        desired.refusals.extend(lowered.refusals);
        desired.warnings.extend(lowered.warnings);
        desired.warnings.extend(admitted::warnings(service, &lowered.intent, &seen.connections));
        excerpts.extend(admitted::excerpts(spec, service));
        desired.services.insert(lowered.intent.name.clone(), lowered.intent);
    }
    desired.warnings.extend(excerpts);
    desired
}
