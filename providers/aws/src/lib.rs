//! privnet on AWS: PrivateLink endpoint services behind network load balancers, on the official SDK.
//!
//! | module | is |
//! |---|---|
//! | `clients` | how accounts and regions are reached; the caller's identity before any other call |
//! | `cloud`, `buckets`, `error` | one request: its rate, its errors converted |
//! | `forwarders`, `image` | the machines that a service asks for, what cannot be of them, and what is not known of their image |
//! | `ownership` | tags as proof, and the user's tags |
//! | `observe`, `snapshot`, `network`, `balancing`, `auto_scaling`, `launch_templates`, `names` | what is read, and in which order |
//! | `absences` | which addresses of a name are gone, and which only not its turn |
//! | `gather`, `facts`, `lower` | what a plan is told, and what the file becomes |
//! | `kinds` | one file for each kind: its table, lower, observe, create, update, delete |
//! | `reach`, `zones`, `taking_over` | what would cut a consumer, and when targets may take over from others |
//! | `exposure`, `privatelink` | endpoint services, whom they allow, who is connected |
//! | `connections`, `policy`, `handoff` | decisions on connections, who may connect, and what the vendor needs |

mod absences;
mod auto_scaling;
mod balancing;
mod buckets;
mod clients;
mod cloud;
mod connections;
mod cuts;
mod error;
mod exposure;
mod facts;
mod fields;
mod forwarders;
mod gather;
mod handoff;
mod image;
mod kinds;
mod launch_templates;
mod lower;
mod names;
mod network;
mod observe;
mod ownership;
mod plain_http;
mod policy;
mod privatelink;
mod reach;
mod snapshot;
mod tagging;
mod taking_over;
mod targets;
mod whole;
mod zones;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use privnet_core::execute::Context;
use privnet_core::handoff::Handoff;
use privnet_core::plan::Op;
use privnet_core::spec::{Service, Spec};
use privnet_core::{
    Applied, Error, ErrorKind, Handled, Lowered, ObserveRequest, Provider, Scope, Step, World,
};

use crate::clients::{Connector, Reach};
use crate::cloud::Cloud;

pub use crate::clients::{AwsSettings, Endpoint};

/// The first part of this provider's scopes.
pub(crate) const CLOUD: &str = "aws";

/// AWS. An observation comes before any action: it finds out which credentials reach which service.
#[derive(Debug)]
pub struct AwsProvider {
    connector: Connector,
    dns: Option<std::net::SocketAddr>,
    /// By which credentials each service of each scope was observed; the empty name stands for the scope's others.
    reached: Mutex<BTreeMap<(Scope, String), Arc<Reach>>>,
    /// What the names of targets did not answer with, for whoever looks again and again.
    absences: names::Memory,
}

impl AwsProvider {
    /// A provider with these settings. Nothing is read or sent yet.
    #[must_use]
    pub fn new(settings: AwsSettings) -> Self {
        Self {
            dns: settings.dns,
            connector: Connector::new(settings),
            reached: Mutex::default(),
            absences: names::Memory::default(),
        }
    }

    /// Remembers by which credentials a service is reached.
    fn remember(&self, service: &str, reach: &Arc<Reach>) {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        reached.insert((reach.scope.clone(), service.to_owned()), Arc::clone(reach));
        reached.entry((reach.scope.clone(), String::new())).or_insert_with(|| Arc::clone(reach));
    }

    /// The credentials for a service, or for another one of its scope where the file does not list it.
    fn recall(&self, scope: &Scope, service: &str) -> Option<Arc<Reach>> {
        let reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        let own = reached.get(&(scope.clone(), service.to_owned()));
        own.or_else(|| reached.get(&(scope.clone(), String::new()))).cloned()
    }
}

#[async_trait]
impl Provider for AwsProvider {
    fn handles(&self) -> Handled {
        Handled { cloud: CLOUD, kinds: kinds::KINDS }
    }

    fn lower(&self, spec: &Spec, service: &Service, world: &World) -> Lowered {
        lower::lower(spec, service, world)
    }

    async fn observe(&self, request: ObserveRequest<'_>, context: &Context) -> Result<World, Error> {
        observe::observe(self, request, context).await
    }

    async fn apply(&self, step: Step<'_>, context: &Context) -> Result<Applied, Error> {
        let address = &step.action.address;
        let reach = self.recall(&step.action.scope, &address.service).ok_or_else(|| {
            let message = format!("{} was not observed in this run", step.action.scope);
            Error::new(ErrorKind::Other, step.action.op.as_str(), address.to_string(), message)
        })?;
        if step.action.op == Op::Create && address.kind == kinds::ENDPOINT_SERVICE {
            self.connector.looks.forget();
        }
        kinds::apply(&Cloud { reach: &reach, context }, &step)
            .await
            .map_err(|error| error.about(address.to_string()))
    }

    fn handoff(&self, spec: &Spec, service: &Service, world: &World) -> Handoff {
        handoff::handoff(spec, service, world)
    }
}
