//! A plan that was carried out.

use privnet_core::execute::Report;

use super::Planned;

/// A plan that was carried out.
#[derive(Debug)]
pub struct Executed {
    /// The plan, and what it was made from.
    pub planned: Planned,
    /// What became of each action.
    pub report: Report,
}

impl Executed {
    /// Whether all of it was planned and done: every cloud was observed, nothing was refused, and every action is done. What is only waited
    /// for, such as a consumer's request, is no part of it.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.planned.unreachable.is_empty() && self.planned.plan.refusals.is_empty() && self.report.all_done()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use privnet_core::execute::Outcome;
    use privnet_core::plan::{Plan, Refusal, Rule};
    use privnet_core::{Address, Desired, Error, ErrorKind, World};

    use super::*;
    use crate::session::Unreachable;

    fn executed(outcomes: Vec<Outcome>) -> Executed {
        let planned = Planned {
            plan: Plan::default(),
            desired: Desired::default(),
            world: World::default(),
            unreachable: Vec::new(),
        };
        let report = Report { outcomes, calls: 0, elapsed: Duration::ZERO, cancelled: false };
        Executed { planned, report }
    }

    /// A cloud that is down and a rule that refuses leave a plan without an action, of which all is done.
    #[test]
    fn a_plan_of_which_nothing_could_be_done_is_not_complete() {
        assert!(executed(Vec::new()).is_complete());
        assert!(executed(vec![Outcome::Done { note: None }]).is_complete());
        let error = || Error::new(ErrorKind::Unavailable, "observe", "aws", "no answer");
        let mut down = executed(Vec::new());
        down.planned.unreachable.push(Unreachable {
            cloud: "aws",
            services: BTreeSet::from(["orders".to_owned()]),
            error: error(),
        });
        let mut refused = executed(Vec::new());
        refused.planned.plan.refusals.push(Refusal {
            address: Address::new("orders", "endpoint-service", "main"),
            rule: Rule::Unobserved,
            why: "nobody could look".to_owned(),
            flag: None,
        });
        for empty in [down, refused] {
            assert!(empty.report.all_done() && !empty.is_complete(), "{empty:?}");
        }
        assert!(!executed(vec![Outcome::Failed(error())]).is_complete());
        assert!(!executed(vec![Outcome::Skipped { why: "interrupted".to_owned() }]).is_complete());
    }
}
