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
//! // Not only that every action is done: of a cloud that is down, and of what is refused, there is none.
//! assert!(executed.is_complete());
//! # Ok(())
//! # }
//! ```
//!
//! What failed is an [`Error`] with an [`ErrorKind`] to decide by, what a safety rule refuses a [`Refusal`] with its [`Rule`]:
//!
//! ```
//! use privnet::{ErrorKind, Executed, Refusal};
//!
//! /// Whether the same may go through later, with nobody's help.
//! fn may_pass(executed: &Executed) -> bool {
//!     let (plan, unreachable) = (&executed.planned.plan, &executed.planned.unreachable);
//!     // A refusal takes somebody; but for those of services whose cloud is down, which are refused for that.
//!     let is_down = |refusal: &Refusal| unreachable.iter().any(|down| down.services.contains(&refusal.address.service));
//!     let down = unreachable.iter().map(|down| &down.error);
//!     let mut errors = down.chain(executed.report.failures());
//!     plan.refusals.iter().all(is_down)
//!         && errors.all(|error| matches!(error.kind(), ErrorKind::Throttled | ErrorKind::Unavailable))
//! }
//! # use privnet::{Address, Desired, Plan, Planned, Report, Rule, Unreachable, World};
//! # let planned = Planned { plan: Plan::default(), desired: Desired::default(), world: World::default(), unreachable: Vec::new() };
//! # let report = Report { outcomes: Vec::new(), calls: 0, elapsed: std::time::Duration::ZERO, cancelled: false };
//! # let mut executed = Executed { planned, report };
//! # assert!(may_pass(&executed));
//! # let address = Address::new("orders", "service", "main");
//! # executed.planned.plan.refusals.push(Refusal { address, rule: Rule::Unobserved, why: "aws is down".to_owned(), flag: None });
//! # assert!(!may_pass(&executed));
//! # let error = privnet::Error::new(ErrorKind::Unavailable, "list", "aws", "no answer");
//! # executed.planned.unreachable.push(Unreachable { cloud: "aws", services: ["orders".to_owned()].into(), error });
//! # assert!(may_pass(&executed));
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
pub use report::{error_json, executed_json};
pub use saved::SavedPlan;
pub use session::{Decided, Executed, Planned, Session, SessionBuilder, Unreachable, Waited, WaitedFor};

// What these take, return and are made of: whoever uses this crate names no other.
pub use privnet_core::accept::{
    Ask, Connection, ConnectionState, ConsumerPolicy, Crowd, Decision, Identity, ServicePolicy, Verdict, Why,
};
pub use privnet_core::audit::{AuditEntry, AuditLog};
pub use privnet_core::execute::{
    Bucket, Call, Context, Event, Events, Limiter, Outcome, Replay, Report, Settings,
};
pub use privnet_core::handoff::Handoff;
pub use privnet_core::plan::{
    Action, Addition, ConnectionAction, FieldChange, Left, Op, Plan, PlanOptions, Refusal, Rule, Summary,
    Wait,
};
pub use privnet_core::provider::{Applied, Handled, Lowered, ObserveRequest, Provider, Purpose, Step};
pub use privnet_core::resource::{Address, Generation, Health, Live, Origin, Ownership, Resource, Scope};
pub use privnet_core::spec::{
    Acceptance, Allow, CloudName, CloudService, Consumer, FileError, Place, Service, Spec, decode,
};
pub use privnet_core::status::{ConnectionStatus, ServiceState, ServiceStatus};
pub use privnet_core::value::{OutputRef, Value};
pub use privnet_core::world::{
    Connections, Desired, Former, Held, ServiceIntent, ServiceWorld, Target, TargetState, World,
};
pub use privnet_core::{Error, ErrorKind, Kind};
pub use tokio_util::sync::CancellationToken;

/// The rest of what these are made of: what a file says of each cloud, and how kinds of resources are described.
pub use privnet_core;
