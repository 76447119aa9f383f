//! privnet on GCP: Private Service Connect service attachments before internal load balancers, on the official client.
//!
//! | module | is |
//! |---|---|
//! | `settings`, `clients`, `caller` | how Google Cloud is reached, and as whom |
//! | `collection`, `cloud`, `buckets`, `error` | one request: its typed call, its rate, its operation, its errors |
//! | `ownership` | markers and labels as proof, and the user's labels |
//! | `observe`, `operations`, `snapshot`, `facts` | what is read, in which order, and what a plan is told |
//! | `lower`, `kinds`, `act` | what the file becomes; for each kind its table, lower, live, create, update |
//! | `forwarders`, `image`, `handover` | what forwarder machines run and are made from, and how traffic goes from old backends to new |
//! | `connections`, `entry`, `lists`, `policy`, `decide` | who is connected, accept and reject lists, and decisions |
//! | `handoff` | what the vendor needs |

mod act;
mod besides;
mod buckets;
mod caller;
mod clients;
mod cloud;
mod collection;
mod connections;
mod cut_short;
mod decide;
mod entry;
mod error;
mod facts;
mod fields;
mod forwarders;
mod handoff;
mod handover;
mod image;
mod json;
mod keeping;
mod kinds;
mod lists;
mod lower;
mod observe;
mod operations;
mod ownership;
mod path;
mod policy;
mod settings;
mod snapshot;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use privnet_core::execute::Context;
use privnet_core::handoff::Handoff;
use privnet_core::plan::Op;
use privnet_core::spec::{CloudService, Service, Spec};
use privnet_core::{Applied, Error, Handled, Lowered, ObserveRequest, Provider, Step, World};
use tokio::sync::OnceCell;

use crate::act::Act;
use crate::clients::Clients;
use crate::cloud::Cloud;
use crate::decide::Wanted;

pub use crate::settings::{Endpoint, GcpSettings};

/// The first part of this provider's scopes.
pub(crate) const CLOUD: &str = "gcp";

/// Google Cloud. An observation comes before any action: it learns how each service lets consumers in.
#[derive(Debug)]
pub struct GcpProvider {
    settings: GcpSettings,
    clients: Arc<OnceCell<Clients>>,
    /// What the file says of each service that decisions need.
    wanted: Mutex<BTreeMap<String, Wanted>>,
    /// Decisions change an attachment one after the other: at once, each would find that the other was faster.
    turns: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl GcpProvider {
    /// A provider with these settings. Nothing is read or sent yet.
    #[must_use]
    pub fn new(settings: GcpSettings) -> Self {
        Self { settings, clients: Arc::default(), wanted: Mutex::default(), turns: Mutex::default() }
    }

    /// Another provider that has seen nothing yet, over the same connections: each set of clients reads the machine's certificates
    /// anew, which costs a process that makes many providers more than its requests do.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self {
            settings: self.settings.clone(),
            clients: Arc::clone(&self.clients),
            wanted: Mutex::default(),
            turns: Mutex::default(),
        }
    }

    /// The clients.
    pub(crate) async fn clients(&self) -> Result<&Clients, Error> {
        self.clients.get_or_try_init(|| Clients::new(&self.settings)).await
    }

    /// Remembers what decisions on connections will need of the file.
    pub(crate) fn remember(&self, services: &[&Service]) {
        let mut known = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        for service in services {
            let CloudService::Gcp(gcp) = &service.cloud else { continue };
            known.insert(service.name.to_string(), Wanted::of(gcp));
        }
    }

    /// Whose turn it is to decide on connections of an attachment, which may be that of several services.
    fn turn(&self, step: &Step<'_>) -> Arc<tokio::sync::Mutex<()>> {
        let attachment = step.action.live_id.as_ref().unwrap_or(&step.action.address.service);
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(attachment.clone()).or_default())
    }

    /// What the file says of the service that an action is about.
    fn wanted(&self, step: &Step<'_>) -> Wanted {
        let known = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&step.action.address.service).copied().unwrap_or_default()
    }
}

#[async_trait]
impl Provider for GcpProvider {
    fn handles(&self) -> Handled {
        Handled { cloud: CLOUD, kinds: kinds::ALL }
    }

    fn lower(&self, spec: &Spec, service: &Service, world: &World) -> Lowered {
        lower::lower(spec, service, world)
    }

    async fn observe(&self, request: ObserveRequest<'_>, context: &Context) -> Result<World, Error> {
        observe::observe(self, request, context).await
    }

    async fn apply(&self, step: Step<'_>, context: &Context) -> Result<Applied, Error> {
        let cloud = Cloud::new(self.clients().await?, context, step.deployment);
        let act = Act { cloud, step };
        let done = match step.action.op {
            Op::Accept | Op::Reject => {
                let turn = self.turn(&step);
                let _mine = turn.lock().await;
                Box::pin(decide::decide(&act, self.wanted(&step))).await
            }
            Op::Create | Op::Update | Op::Delete => Box::pin(kinds::apply(&act)).await,
        };
        done.map_err(|error| error.about(step.action.address.to_string()))
    }

    fn handoff(&self, _spec: &Spec, service: &Service, world: &World) -> Handoff {
        handoff::handoff(service, world)
    }
}
