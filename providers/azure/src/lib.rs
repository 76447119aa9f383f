//! privnet on Azure: Private Link Service, and approvals on services that Azure hosts.

mod arm;
mod credential;
mod settings;

pub use settings::{AzureSettings, Cloud, Endpoint};
