//! privnet on Azure: Private Link Service, and approvals on services that Azure hosts.
//!
//! One room each: `arm` is the client, `kinds` what is made, `hosted` what Azure hosts, `observe` reads, `lower` and
//! `policy` are pure, `connection` decides on requests.

mod act;
mod arm;
mod connection;
mod credential;
mod facts;
mod fields;
mod handoff;
mod hosted;
mod image;
mod kinds;
mod lower;
mod observe;
mod ownership;
mod policy;
mod provider;
mod scope;
mod settings;
mod snapshot;
#[cfg(test)]
mod testing;

pub use provider::AzureProvider;
pub use settings::{AzureSettings, Cloud, Endpoint};
