//! A local cloud for privnet: EC2 and ELBv2, ARM, and GCP compute over HTTP on loopback, with consumers that raise
//! connection requests.
//!
//! | module | is |
//! |---|---|
//! | [`frame`] | what every cloud needs: clock, store, faults, recorder, HTTP |
//! | [`dns`] | the sandbox's own name server |
//! | [`aws`] | EC2 and ELBv2 Query protocols, STS (feature `aws`) |
//! | [`azure`] | Azure Resource Manager (feature `azure`) |
//! | [`gcp`] | GCP compute REST (feature `gcp`) |
//! | [`Sandbox`] | a folder with all of them: serve it, reset it, raise a connection request |
//!
//! Nothing here is shared with the providers, on purpose: a misunderstanding on both sides must not pass a test.

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "azure")]
pub mod azure;
mod clouds;
pub mod dns;
pub mod frame;
#[cfg(feature = "gcp")]
pub mod gcp;
mod sandbox;

pub use frame::{Options, Running, SandboxError};
pub use sandbox::Sandbox;

/// Keeps the README's example compiling.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
