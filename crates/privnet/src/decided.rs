//! Decisions on connection requests, and what became of each.

use privnet_core::accept::{Decision, Verdict};
use privnet_core::execute::{Outcome, Report};
use privnet_core::plan::Plan;

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
    let fate =
        |decision: &Decision| report.map_or(Fate::Considered, |report| fate_of(decision, plan, report));
    decisions.into_iter().map(|decision| Told { fate: fate(&decision), decision }).collect()
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
