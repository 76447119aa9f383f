//! Decisions on connection requests, and what became of each.

use privnet_core::accept::{Decision, Verdict};
use privnet_core::execute::{Outcome, Report};
use privnet_core::plan::{Plan, Refusal, Rule};

/// A decision, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The decision.
    pub decision: Decision,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a decision.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It is only said what would be done.
    Considered,
    /// It was carried out; or nothing was to be done.
    Done,
    /// It could not be carried out, and this is why.
    Failed(String),
}

impl Told {
    /// Whether the connection was let in: a connection is accepted only when its action was done.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.decision.verdict == Verdict::Accepted && self.fate == Fate::Done
    }

    /// Whether the request still waits.
    #[must_use]
    pub fn still_waits(&self) -> bool {
        self.decision.verdict == Verdict::Left || self.fate != Fate::Done
    }
}

/// What became of decisions whose plan was carried out; without a report nothing was.
#[must_use]
pub fn told(decisions: Vec<Decision>, plan: &Plan, report: Option<&Report>) -> Vec<Told> {
    let fate = |decision: &Decision| match (refused(decision, plan), report) {
        (Some(why), _) => Fate::Failed(why),
        (None, Some(report)) => fate_of(decision, plan, report),
        (None, None) => Fate::Considered,
    };
    decisions.into_iter().map(|decision| Told { fate: fate(&decision), decision }).collect()
}

/// Why a decision is not in the plan: to turn this one away would cut others, whom the plan says.
fn refused(decision: &Decision, plan: &Plan) -> Option<String> {
    let start = format!("{} (", decision.connection);
    let own = |refusal: &&Refusal| {
        refusal.rule == Rule::WouldSever
            && refusal.address.service == decision.service
            && refusal.why.starts_with(&start)
    };
    let is_rejected = decision.verdict == Verdict::Rejected;
    is_rejected.then(|| plan.refusals.iter().find(own).map(|refusal| refusal.why.clone())).flatten()
}

fn fate_of(decision: &Decision, plan: &Plan, report: &Report) -> Fate {
    let own = plan.actions.iter().zip(&report.outcomes).find(|(action, _)| {
        action.connection.as_ref().is_some_and(|connection| connection.handle == decision.handle)
    });
    match own {
        Some((_, Outcome::Failed(error))) => Fate::Failed(error.to_string()),
        Some((_, Outcome::Skipped { why })) => Fate::Failed(why.clone()),
        Some((_, Outcome::Done { .. })) | None => Fate::Done,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use privnet_core::Address;
    use privnet_core::accept::{Aside, ConnectionState, Why};

    use super::*;

    /// Who is not turned away, because others would be cut with him, is not said to be.
    #[test]
    fn a_rejection_that_is_refused_is_none() {
        let decision = |connection: &str| Decision {
            service: "orders".to_owned(),
            connection: connection.to_owned(),
            handle: connection.to_owned(),
            resource: None,
            consumer: None,
            preset: None,
            who: "project:other".to_owned(),
            state: ConnectionState::Pending,
            verdict: Verdict::Rejected,
            why: Why::RejectOthers,
            besides: Aside::default(),
            note: None,
        };
        let why = "1 (project:other) is PENDING, but to reject it cuts 2 as well".to_owned();
        let address = Address::new("orders", "service-attachment", "main");
        let refusal = Refusal { address, rule: Rule::WouldSever, why: why.clone(), flag: None };
        let plan = Plan { refusals: vec![refusal], ..Plan::default() };
        let report = Report { outcomes: Vec::new(), calls: 0, elapsed: Duration::ZERO, cancelled: false };
        for report in [Some(&report), None] {
            let told = told(vec![decision("1")], &plan, report);
            assert!(told[0].fate == Fate::Failed(why.clone()) && told[0].still_waits(), "{told:?}");
        }
        assert_eq!(told(vec![decision("11")], &plan, None)[0].fate, Fate::Considered);
    }
}
