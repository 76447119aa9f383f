//! The sandbox's own name server: what the world's database names resolve to, changed at will.
//!
//! The names live in `dns.json`, so that `sandbox dns` in one process changes what another one serves.

mod names;
mod server;

pub use names::{Behaviour, Name, Names};
pub(crate) use server::serve;

/// How long resolvers may keep an answer, in seconds. Short, as for RDS endpoints, so that fail-overs show at once.
pub const TTL: u32 = 5;
