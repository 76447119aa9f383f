//! privnet as a library: a session that plans, applies and accepts private connections, and a [`watch`] that keeps many in order.
//!
//! A [`Session`] holds one file against its clouds. Everything that the command `privnet` does goes through it:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use privnet::{AuditFile, Clouds, PlanOptions, SessionBuilder, decode};
//!
//! let text = std::fs::read_to_string("aws.yaml")?;
//! let spec = decode("aws.yaml", &text).map_err(|errors| format!("{} error(s) in the file", errors.len()))?;
//! let session = SessionBuilder::new(spec, Clouds::Real, Arc::new(AuditFile::new("audit.jsonl"))).build()?;
//! let planned = session.plan(PlanOptions::default()).await;
//! println!("{} action(s)", planned.plan.actions.len());
//! let executed = session.execute(planned).await;
//! assert!(executed.report.all_done());
//! # Ok(())
//! # }
//! ```

mod audit_file;
mod clouds;
mod decided;
#[cfg(any(feature = "azure", feature = "gcp"))]
mod endpoints;
pub mod fivetran_tf;
pub mod forwarder;
mod report;
mod saved;
mod session;
mod unread;
pub mod watch;

pub use audit_file::{AuditFile, AuditFileError};
pub use clouds::{Clouds, CloudsError, SandboxEndpoints};
pub use decided::{Fate, Told, told};
pub use privnet_core::accept::{Ask, Crowd, Decision, Verdict, Why};
pub use privnet_core::execute::{Event, Events, Limiter, Outcome, Report, Settings};
pub use privnet_core::plan::{Plan, PlanOptions};
pub use privnet_core::spec::{FileError, Spec, decode};
pub use report::{error_json, executed_json};
pub use saved::SavedPlan;
pub use session::{Decided, Executed, Planned, Session, SessionBuilder, Unreachable, Waited, WaitedFor};
