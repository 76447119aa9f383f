//! The file as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;

use serde::Serialize;

use super::aws::{AwsForm, AwsService};
use super::azure::{AzureForm, AzureService};
use super::consumer::Consumer;
use super::gcp::{GcpBackend, GcpForm, GcpService};
use super::{ConsumerName, DeploymentName, PortSpec, ServiceName};

/// Tags (or labels) that the user wants on everything that takes them.
pub type Tags = BTreeMap<String, String>;

/// A decoded file: presets are resolved and `defaults` are merged into the services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spec {
    /// The version of the format; always 1.
    pub version: u32,
    /// The unit of ownership.
    pub deployment: DeploymentName,
    /// Tags for everything that takes tags or labels.
    pub tags: Tags,
    /// The consumers that the file defines, and the presets that its services name.
    pub consumers: BTreeMap<ConsumerName, Consumer>,
    /// The services, in the file's order.
    pub services: Vec<Service>,
    /// The clouds that `defaults` give a place in.
    pub defaults: BTreeSet<CloudName>,
    /// The name of the file, for messages.
    pub source: String,
}

impl Spec {
    /// The service of that name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name.as_str() == name)
    }
}

/// One private path: who may use it, and what it leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Its name within the deployment.
    pub name: ServiceName,
    /// Who may connect; empty only in a tombstone or with `allow_anyone`.
    pub allow: BTreeMap<ConsumerName, Allow>,
    /// Who decides on a request.
    pub acceptance: Acceptance,
    /// The wildcard `*` may be used. Never together with automatic acceptance.
    pub allow_anyone: bool,
    /// A tombstone: what the service had is to be removed. [`CloudService`] then holds its location only.
    pub remove: bool,
    /// What it is made of.
    pub cloud: CloudService,
    /// Where the file declares it.
    pub place: Place,
}

impl Service {
    /// The cloud that the service is in.
    pub fn cloud_name(&self) -> CloudName {
        match self.cloud {
            CloudService::Aws(_) => CloudName::Aws,
            CloudService::Azure(_) => CloudName::Azure,
            CloudService::Gcp(_) => CloudName::Gcp,
        }
    }
}

/// What a consumer may have on one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Allow {
    /// How many of its connections may be accepted.
    pub max_connections: NonZeroU32,
    /// The endpoints that the vendor named, as written: AWS VPC endpoint ids, Azure endpoint resource ids (to
    /// be matched without case), GCP `PSC_CONNECTION_ID`s. Empty: any endpoint of the consumer.
    pub only: BTreeSet<String>,
}

/// Who decides on a connection request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Acceptance {
    /// `accept-pending` and `watch`, by policy.
    #[default]
    Manual,
    /// The cloud, by the list of consumers.
    Automatic,
}

/// The cloud's part of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CloudService {
    /// AWS PrivateLink.
    Aws(AwsService),
    /// Azure Private Link.
    Azure(AzureService),
    /// GCP Private Service Connect.
    Gcp(GcpService),
}

impl CloudService {
    /// The ports whose targets the file gives; none where what is behind a service is somebody else's matter.
    #[must_use]
    pub fn listens(&self) -> BTreeSet<u16> {
        fn of<T>(ports: &[PortSpec<T>]) -> BTreeSet<u16> {
            ports.iter().map(|port| port.listen.get()).collect()
        }
        match self {
            Self::Aws(aws) => {
                let ports = match &aws.form {
                    AwsForm::Made(made) => &made.ports[..],
                    AwsForm::OnLoadBalancer(on) => &on.ports,
                    AwsForm::EndpointService(_) | AwsForm::Removed => &[],
                };
                ports.iter().map(|port| port.port.listen.get()).collect()
            }
            Self::Azure(azure) => match &azure.form {
                AzureForm::Made(made) => of(&made.ports),
                _ => BTreeSet::new(),
            },
            Self::Gcp(gcp) => match &gcp.form {
                GcpForm::Made(made) => match &made.backend {
                    GcpBackend::Direct { ports, .. } => ports.iter().map(|port| port.listen.get()).collect(),
                    GcpBackend::Forwarder { ports, .. } => of(ports),
                },
                _ => BTreeSet::new(),
            },
        }
    }
}

/// A cloud, by the word that the file uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CloudName {
    /// Amazon Web Services.
    Aws,
    /// Microsoft Azure.
    Azure,
    /// Google Cloud.
    Gcp,
}

impl CloudName {
    /// The word that the file uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
        }
    }
}

impl fmt::Display for CloudName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place in the file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}
