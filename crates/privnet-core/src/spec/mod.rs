//! The file: what a user declares, as types that hold only what the format allows.
//!
//! [`Spec`] is the file after presets are resolved and `defaults` are merged into each service. Every id and
//! name in it has been parsed, and combinations that the format forbids have no representation: a service is
//! made here, attached to something that exists, only watched, or a tombstone, and each of these forms
//! carries its own settings and no others.
//!
//! The cloud modules ([`aws`], [`azure`], [`gcp`]) hold plain data. What the clouds do with it is the
//! providers' matter.

pub mod aws;
mod aws_arns;
pub mod aws_ids;
pub mod azure;
pub mod azure_ids;
mod build;
mod consumer;
mod decode;
mod error;
pub mod gcp;
pub mod gcp_ids;
mod grammar;
mod leaf;
mod model;
mod names;
mod net;
mod port;
mod preset;
mod schema;
mod shape;
mod source;
mod text;
mod tree;

pub use consumer::{AwsConsumer, AzureConsumer, Consumer, GcpConsumer, PresetRef, Who};
pub use decode::{decode, decode_many};
pub use error::{FileError, render_all};
pub use model::{Acceptance, Allow, CloudName, CloudService, Place, Service, Spec, Tags};
pub use names::{ConsumerName, DeploymentName, HostName, ServiceName};
pub use net::{Port, Resolver, Seconds};
pub use port::{Engine, Forwarder, HealthCheck, PortSpec, Upstream, Zones};
pub use preset::{Evidence, Preset, preset, presets, presets_in};
pub use schema::schema;
pub use text::{Text, TextProblem, TextRule};
