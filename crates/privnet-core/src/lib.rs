//! The core of privnet: file, plan, policy and execution.
//!
//! ```text
//! file ──decode──▶ Spec ──lower──▶ desired resources ─┐
//!                                                     ├─ plan() ─▶ Plan ─▶ render | execute ─▶ Report
//! cloud ─observe─▶ live resources, connections, facts ┘
//! ```
//!
//! The core calls no cloud, and knows no HTTP, no files and no terminal; the file's grammar alone names clouds. Providers implement [`provider::Provider`];
//! everything that decides ([`mod@plan`], [`accept`], [`status`]) is a pure function over plain data, and
//! [`execute`] carries out what was decided without choosing anything itself.

pub mod accept;
mod admitted;
pub mod astray;
pub mod audit;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod error;
pub mod execute;
pub mod handoff;
pub mod kind;
mod lives;
pub mod name;
mod named_twice;
mod own_named;
pub mod plan;
pub mod provider;
pub mod resource;
pub mod spec;
pub mod status;
pub mod value;
pub mod world;

pub use error::{Error, ErrorKind};
pub use kind::{Change, Class, Field, Kind, KindTable, Likeness, Replacement, Shape, Traffic};
pub use lives::Lives;
pub use own_named::own_name;
pub use plan::{Action, Op, Plan, plan};
pub use provider::{Applied, Handled, Lowered, ObserveRequest, Provider, Purpose, Step};
pub use resource::{Address, Generation, Health, Live, Origin, Ownership, Resource, Scope};
pub use value::{OutputRef, Value};
pub use world::{Desired, ServiceIntent, ServiceWorld, World};
