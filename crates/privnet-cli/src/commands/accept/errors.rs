//! What went wrong with decisions: for standard error. What was decided is the result, and why a decision failed is told here alone.

use std::collections::BTreeSet;
use std::time::Duration;

use privnet::{Action, Ask, Crowd, ErrorKind, Outcome, Plan, Report, Rule, Told, Verdict, WaitedFor};

use super::Ended;
use crate::args::spelled;
use crate::failure::Failure;
use crate::render::{Paint, decision_text, failed_decision_text};

/// What went wrong, behind the result: whoever reads nothing but standard error is told of each end that is no success, and why a decision
/// failed is told there alone.
pub(super) fn errors(ended: &[Ended], missed: bool, left: Option<&Failure>) -> Vec<Failure> {
    let mut errors: Vec<Failure> = Vec::new();
    for file in ended {
        errors.extend(file.failures.iter().cloned());
        if missed {
            errors.extend(file.unread.iter().map(unread_failure));
        }
        errors.extend(file.refusals.iter().cloned());
    }
    // What is in the way of it was said.
    if ended.iter().all(|file| file.refusals.is_empty()) {
        errors.extend(left.cloned());
    }
    errors
}

fn unread_failure((service, why): &(String, String)) -> Failure {
    let message = format!("{service}: its connections cannot be read; nothing was decided there");
    Failure { causes: vec![why.clone()], ..Failure::failed("unobserved", message) }
}

/// Whoever names one connection asks for it alone: that it is left is then no success.
pub(super) fn who_is_named_and_left(ended: &[Ended], ask: &Ask) -> Option<Failure> {
    let id = ask.connection.as_deref()?;
    let decisions = ended.iter().flat_map(|file| &file.decisions).map(|told| &told.decision);
    let mut own = decisions.filter(|decision| decision.is_named(id)).peekable();
    let is_left = own.peek().is_some() && own.all(|decision| decision.verdict == Verdict::Left);
    is_left.then(|| Failure::refused(format!("{id} is not let in: its decision says why")))
}

/// The actions of decisions that were tried and failed.
fn tried<'a>(
    plan: &'a Plan,
    report: Option<&'a Report>,
) -> impl Iterator<Item = (&'a Action, &'a privnet::Error)> {
    let outcomes = report.map(|report| report.outcomes.as_slice()).unwrap_or_default();
    plan.actions.iter().zip(outcomes).filter_map(|(action, outcome)| match outcome {
        Outcome::Failed(error) => Some((action, error)),
        Outcome::Done { .. } | Outcome::Skipped { .. } => None,
    })
}

/// Why decisions could not be carried out: an error for each that was tried. One that was not is told by its decision. So are the consumers
/// that have more connections than they may.
pub(super) fn failures(plan: &Plan, report: Option<&Report>, crowds: &[Crowd]) -> Vec<Failure> {
    let tried = tried(plan, report).map(|(action, error)| Failure::of_action(&action.id, error));
    tried.chain(crowds.iter().map(|crowd| Failure::failed("failed", crowd.to_string()))).collect()
}

/// What a safety rule refuses, once for each service: the decisions say of whom, and why.
pub(super) fn refusals(plan: &Plan) -> Vec<Failure> {
    let all = plan.refusals.iter();
    let all: BTreeSet<(&str, bool)> =
        all.map(|refusal| (refusal.address.service.as_str(), refusal.rule == Rule::Ambiguous)).collect();
    let said = all.into_iter().map(|(service, is_ambiguous)| match is_ambiguous {
        true => Failure::refused(format!("{service}: somebody must choose")).hint("use --connection ID"),
        false => Failure::refused(format!(
            "{service}: what is in the way of a request, as its decision says, does not pass by itself"
        )),
    });
    said.collect()
}

/// Decisions that were carried out, for people. The error says why one failed, and nobody is told twice.
pub(super) fn carried_out_text(
    decisions: &[Told],
    plan: &Plan,
    report: Option<&Report>,
    paint: Paint,
) -> String {
    let tried = tried(plan, report).filter_map(|(action, _)| action.connection.as_ref());
    let failed: BTreeSet<&str> = tried.map(|connection| connection.handle.as_str()).collect();
    let text = |told: &Told| match failed.contains(told.decision.handle.as_str()) {
        true => failed_decision_text(told, paint),
        false => decision_text(told, paint),
    };
    decisions.iter().map(text).collect()
}

/// What a wait came to; an error where that is not what was waited for.
pub(super) fn how_it_ended(
    end: WaitedFor,
    ask: &Ask,
    timeout: Duration,
    was_seen: bool,
) -> Result<String, Failure> {
    let named = ask.connection.as_deref();
    match end {
        WaitedFor::Connected => {
            let all = || "Every consumer is connected.".to_owned();
            Ok(named.map_or_else(all, |id| format!("{id} is connected.")))
        }
        WaitedFor::Nobody => Ok("Nobody is to be let in: no service that is asked for stays.".to_owned()),
        WaitedFor::Ambiguous => {
            Err(Failure::refused("stopped: somebody must choose").hint("use --connection ID"))
        }
        WaitedFor::Refused => {
            Err(Failure::refused("stopped: what is in the way of it, above, does not pass by itself"))
        }
        WaitedFor::TimedOut => {
            let all = || "not every consumer is connected".to_owned();
            let unseen = if was_seen { "" } else { ", and no such connection was seen" };
            let who = named.map_or_else(all, |id| format!("{id} is not connected{unseen}"));
            let message = format!("timed out after {}: {who}", spelled(timeout));
            Err(Failure::failed(ErrorKind::TimedOut.as_str(), message))
        }
        WaitedFor::Failed => Err(Failure::failed("failed", "stopped by a failure, which is said above")),
        WaitedFor::Cancelled => Err(Failure::interrupted("stopped while waiting for connection requests")),
        // Nobody is known to be connected.
        _ => Err(Failure::failed("failed", "stopped")),
    }
}

#[cfg(test)]
mod tests {
    use privnet::{Address, Refusal};

    use super::*;

    /// Whom two let in at once is no decision's error, and is one of the command.
    #[test]
    fn a_crowd_is_an_error() {
        let crowd = Crowd {
            service: "orders".to_owned(),
            consumer: "fivetran".to_owned(),
            max: 1,
            connections: vec!["vpce-1".to_owned(), "vpce-2".to_owned()],
        };
        let failures = failures(&Plan::default(), None, &[crowd]);
        assert_eq!((failures.len(), failures[0].kind.as_str()), (1, "failed"));
        assert!(failures[0].message.contains("vpce-1, vpce-2"), "{failures:?}");
    }

    #[test]
    fn each_service_says_once_that_somebody_must_choose() {
        let refusal = |service: &str, rule| Refusal {
            address: Address::new(service, "endpoint-service", "main"),
            rule,
            why: "vpce-1 would be cut as well".to_owned(),
            flag: None,
        };
        let refusals = vec![
            refusal("orders", Rule::Ambiguous),
            refusal("orders", Rule::Ambiguous),
            refusal("billing", Rule::Ambiguous),
            refusal("billing", Rule::WouldSever),
        ];
        let said = super::refusals(&Plan { refusals, ..Plan::default() });
        let said: Vec<&str> = said.iter().map(|failure| failure.message.as_str()).collect();
        let other = "billing: what is in the way of a request, as its decision says, does not pass by itself";
        assert_eq!(said, [other, "billing: somebody must choose", "orders: somebody must choose"]);
    }
}
