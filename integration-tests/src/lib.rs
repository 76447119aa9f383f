//! What the tests across crates share: a stage with a local cloud, moto, a proxy that injects faults, a census by a third-party client.

pub mod azure_bench;
pub mod census;
pub mod command;
pub mod drift;
pub mod gcp;
pub mod moto;
pub mod proxy;
pub mod query;
pub mod stage;
pub mod sweep;
