//! The suite that every provider runs against its sandbox.
//!
//! It knows nothing of a cloud: it applies, interrupts, changes, accepts and destroys through the same functions as the
//! command does, and demands the invariants. Each check gets a fresh world.

mod checks;
mod driver;

use std::sync::Arc;

use async_trait::async_trait;

use crate::provider::Provider;
use crate::spec::Spec;

pub use checks::run;
pub use driver::{Driver, assert_done, until};

/// A file, and what a check calls it.
#[derive(Clone, Debug)]
pub struct Variant {
    /// What is different: `another port`.
    pub name: &'static str,
    /// The file.
    pub spec: Spec,
}

/// A cloud under test.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Puts the cloud back to its default world.
    async fn reset(&self);

    /// The provider, as it is when a new process starts.
    fn provider(&self) -> Arc<dyn Provider>;

    /// How much faster than real time the cloud's time passes.
    fn pace(&self) -> f64;

    /// A file with a service or two that consumers can connect to.
    fn base(&self) -> Spec;

    /// The same file with edits that must be carried out without refusal while nobody is connected.
    fn edits(&self) -> Vec<Variant>;

    /// Makes the consumer of the first service, and a stranger, ask for a connection, and returns once both are pending.
    async fn raise_requests(&self);

    /// Sees to it that no consumer asks by himself from now on, until the next reset. A cloud that deletes a service whoever is
    /// connected has nothing to do here.
    async fn hold_requests(&self) {}

    /// Everything in the cloud that was not there in the default world, by id, as the cloud's own client lists it.
    async fn census(&self) -> Vec<String>;
}
