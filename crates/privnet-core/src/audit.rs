//! The audit log's entries: every decision on a connection is written before it is carried out.

use std::error::Error as StdError;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When it was decided.
    pub time: Timestamp,
    /// Who runs privnet, as the cloud reports it.
    pub caller: String,
    /// The deployment.
    pub deployment: String,
    /// The service.
    pub service: String,
    /// The endpoint's id.
    pub connection: String,
    /// The consumer it matches, if any.
    pub consumer: Option<String>,
    /// Who the cloud says it is.
    pub identity: String,
    /// `accept` or `reject`.
    pub decision: String,
    /// Why.
    pub why: String,
    /// The preset behind the consumer's identities, as `name version`.
    pub preset: Option<String>,
}

/// Where decisions are written. A decision that cannot be written is not carried out.
pub trait AuditLog: Send + Sync {
    /// Writes one entry durably.
    ///
    /// # Errors
    /// Whatever kept it from being written.
    fn write(&self, entry: &AuditEntry) -> Result<(), Box<dyn StdError + Send + Sync>>;
}
