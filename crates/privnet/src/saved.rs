//! Saved plans: a plan together with the text of the file that it was made from.
//!
//! Applying one plans again, from that text, and demands the identical plan. So a stale plan, or one that somebody edited, does
//! nothing.

use privnet_core::Plan;
use privnet_core::plan::PlanOptions;
use serde::{Deserialize, Serialize};

/// A plan as `privnet plan --out` writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPlan {
    /// The plan.
    #[serde(flatten)]
    pub plan: Plan,
    /// The file's name, for messages.
    pub file: String,
    /// The file's text.
    pub text: String,
    /// The services that were planned; empty: all.
    pub services: Vec<String>,
    /// Whether services that the file does not list are deleted.
    pub prune: bool,
    /// Whether live consumers may be cut.
    pub sever_connections: bool,
}

impl SavedPlan {
    /// What the user allowed when the plan was made.
    #[must_use]
    pub fn options(&self) -> PlanOptions {
        PlanOptions { prune: self.prune, sever_connections: self.sever_connections, destroy: false }
    }

    /// Whether a plan made now does the same. What is only waited for or warned about may have changed meanwhile.
    #[must_use]
    pub fn is_still(&self, now: &Plan) -> bool {
        self.plan.does_what(now)
    }
}
