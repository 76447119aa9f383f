//! What every cloud of the sandbox needs: time, a world on disk, faults, a recorder, and HTTP on loopback.
//!
//! A cloud is a [`CloudServer`]: synchronous, and pure over (world, exchange, now). Nothing runs in the background: every
//! state is computed from stored times when it is read, so that time also passes between processes. The frame does the rest:
//! latency, faults, recording, closing a connection without an answer.

mod buckets;
mod clock;
mod cloud;
mod credentials;
mod error;
mod exchange;
mod faults;
mod http_server;
mod recorder;
mod requests;
mod serve;
mod store;
mod table;
#[cfg(test)]
mod tests;
#[cfg(any(feature = "azure", feature = "gcp"))]
mod tls;

pub use buckets::{Bucket, Buckets};
pub use clock::{Clock, DEFAULT_SPEED};
pub use cloud::{CloudServer, Failure, KnownBy, Moment, Setup};
pub use error::SandboxError;
pub use exchange::{Answer, Exchange};
pub use faults::{Fault, FaultMode, Faults};
pub use recorder::Recorder;
pub use requests::Requests;
pub use serve::{Options, Running, serve};
pub(crate) use store::reset;
pub use store::{Checkpoint, Store, Transaction};
pub use table::Table;
