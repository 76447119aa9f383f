//! Saved plans: a plan together with the text of the file that it was made from.
//!
//! Applying one plans again, from that text and with what it says was allowed, and demands the same actions, the same refusals and the same
//! word about live consumers. So a stale plan does nothing, nor does one in which any of that was edited. It is not signed: whoever may
//! write the file may put another whole plan in its place, and that is carried out like one of the user's own. What it waits for, warns
//! of and leaves is for people, and is not compared.

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
    /// Whether live consumers may be cut: as the plan itself says, or nothing is done.
    pub sever_connections: bool,
}

impl SavedPlan {
    /// What the user allowed when the plan was made.
    #[must_use]
    pub fn options(&self) -> PlanOptions {
        PlanOptions { prune: self.prune, sever_connections: self.sever_connections, destroy: false }
    }

    /// Whether a plan made now does the same, by the same word. What is only waited for or warned about may have changed meanwhile.
    #[must_use]
    pub fn is_still(&self, now: &Plan) -> bool {
        // The same actions may cut somebody or spare him: which of the two is in the plan beside them.
        self.plan.does_what(now) && self.plan.severs == now.severs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_not_put_in_afterwards() {
        let saved = |severs: bool, sever_connections: bool| SavedPlan {
            plan: Plan { severs, ..Plan::default() },
            file: "aws.yaml".to_owned(),
            text: String::new(),
            services: Vec::new(),
            prune: false,
            sever_connections,
        };
        for (severs, asked, same) in
            [(false, false, true), (true, true, true), (false, true, false), (true, false, false)]
        {
            let saved = saved(severs, asked);
            let now = Plan { severs: saved.options().sever_connections, ..Plan::default() };
            assert_eq!(saved.is_still(&now), same, "{severs} {asked}");
        }
    }
}
