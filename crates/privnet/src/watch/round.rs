//! One look at a deployment: what differs is mended, what is pending is decided. Or, observing, only told.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use privnet_core::accept::{Ask, Crowd, Decision, Verdict};
use privnet_core::execute::Report;
use privnet_core::plan::{Plan, PlanOptions, Rule, pending_wait};

use super::clock::Ended;
use crate::decided::{Told, told};
use crate::session::{Decided, Executed, Planned, Session, Unreachable};

/// What a round came to, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RoundOutcome {
    /// The cloud agrees with the file.
    Agrees,
    /// It did not, and does now; or a request was decided.
    Mended,
    /// It does not, and was only looked at.
    Differs,
    /// A safety rule refuses something, or somebody must choose; nothing was done about that.
    Refused,
    /// Something could not be read or done.
    Failed,
    /// The watch is being stopped.
    Interrupted,
}

impl RoundOutcome {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Agrees, Self::Mended, Self::Differs, Self::Refused, Self::Failed, Self::Interrupted];

    /// The word as JSON output and metrics have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Mended => "mended",
            Self::Differs => "differs",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One look at a deployment.
#[derive(Debug)]
pub struct Round {
    /// The deployment.
    pub deployment: String,
    /// Its file.
    pub file: String,
    /// When it ended.
    pub at: Timestamp,
    /// Whether it was only looked at.
    pub observed_only: bool,
    /// What differs, is waited for, refused, left.
    pub plan: Plan,
    /// What became of the plan; absent where nothing was tried.
    pub report: Option<Report>,
    /// The decisions on pending requests.
    pub decisions: Vec<Told>,
    /// Clouds that could not be observed.
    pub unreachable: Vec<Unreachable>,
    /// Services whose connections could not be read, and why: nobody is let in there.
    pub unread: Vec<(String, String)>,
    /// Consumers with more connections than they may have, since somebody else let in another one at the same moment as this round.
    pub crowds: Vec<Crowd>,
    /// A fault of privnet itself that ended the round.
    pub fault: Option<String>,
    /// How many requests were sent.
    pub calls: u64,
    /// How long it took.
    pub took: Duration,
    /// How long it is until the next one.
    pub next: Duration,
    /// Whether the watch was being stopped.
    pub interrupted: bool,
}

impl Round {
    /// How many requests wait for a decision now.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.decisions.iter().filter(|told| told.still_waits()).count()
    }

    /// How many requests this round let in.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.decisions.iter().filter(|told| told.is_accepted()).count()
    }

    /// How many requests wait for somebody to choose.
    #[must_use]
    pub fn ambiguous(&self) -> usize {
        self.decisions.iter().filter(|told| is_ambiguous(&told.decision)).count()
    }

    /// Whether something is in the way of a decision that somebody must see to.
    fn refused(&self) -> bool {
        self.decisions.iter().any(|told| told.decision.is_refused())
    }

    /// How many things could not be read or done: clouds, services, actions, decisions.
    #[must_use]
    pub fn errors(&self) -> usize {
        let unobserved = self.plan.refusals.iter().filter(|refusal| refusal.rule == Rule::Unobserved).count();
        // The services of a cloud that is down are refused too; those count once.
        let unobserved = if self.unreachable.is_empty() { unobserved } else { self.unreachable.len() };
        let failed = self.report.as_ref().map_or(0, |report| report.failures().count());
        let undecided =
            self.decisions.iter().filter(|told| matches!(told.fate, crate::Fate::Failed(_))).count();
        let told = self.unread.len() + self.crowds.len() + usize::from(self.fault.is_some());
        unobserved + failed + undecided + told
    }

    /// What it came to.
    #[must_use]
    pub fn outcome(&self) -> RoundOutcome {
        if self.interrupted {
            RoundOutcome::Interrupted
        } else if self.errors() > 0 || self.report.as_ref().is_some_and(|report| !report.all_done()) {
            RoundOutcome::Failed
        } else if !self.plan.refusals.is_empty() || self.ambiguous() > 0 || self.refused() {
            RoundOutcome::Refused
        } else if self.report.is_some() || self.accepted() > 0 {
            RoundOutcome::Mended
        } else if self.plan.is_empty() && !self.decisions.iter().any(would_act) {
            RoundOutcome::Agrees
        } else {
            RoundOutcome::Differs
        }
    }

    /// How it ended for the deployment's clock.
    pub(super) fn ended(&self) -> Ended {
        match self.outcome() {
            RoundOutcome::Failed => Ended::Badly,
            _ if self.report.is_some() || self.accepted() > 0 => Ended::Changed,
            _ => Ended::Well,
        }
    }

    /// A round in which nothing was seen yet.
    pub(super) fn blank(deployment: &str, file: &str, observe: bool) -> Self {
        Self {
            deployment: deployment.to_owned(),
            file: file.to_owned(),
            at: Timestamp::now(),
            observed_only: observe,
            plan: Plan::default(),
            report: None,
            decisions: Vec::new(),
            unreachable: Vec::new(),
            unread: Vec::new(),
            crowds: Vec::new(),
            fault: None,
            calls: 0,
            took: Duration::ZERO,
            next: Duration::ZERO,
            interrupted: false,
        }
    }
}

fn is_ambiguous(decision: &Decision) -> bool {
    decision.is_ambiguous()
}

fn would_act(told: &Told) -> bool {
    told.decision.verdict != Verdict::Left
}

/// One round. With `observe` the cloud is read and nothing else happens: no action, no decision, no line in the audit log.
pub(super) async fn round(session: &Session, file: &str, observe: bool) -> Round {
    let (started, calls) = (Instant::now(), session.calls());
    let mut round = Round::blank(session.spec().deployment.as_str(), file, observe);
    // Reads only: they are dropped where the watch is stopped. The look ends by itself then, as a failure, in the same moment: a round
    // that was stopped is none that failed.
    let planned = tokio::select! {
        biased;
        () = session.cancelled() => None,
        planned = session.plan(PlanOptions::default()) => Some(planned),
    };
    if let Some(planned) = planned {
        act(session, planned, &mut round).await;
    }
    round.interrupted = session.is_cancelled();
    round.calls = session.calls() - calls;
    round.took = started.elapsed();
    round.at = Timestamp::now();
    round
}

async fn act(session: &Session, planned: Planned, round: &mut Round) {
    let observe = round.observed_only;
    let decisions = session.decisions(&planned, &Ask::default());
    let planned = if observe || planned.plan.is_empty() || session.is_cancelled() {
        planned
    } else {
        let Executed { planned, report } = session.execute(planned).await;
        round.report = Some(report);
        planned
    };
    round.unread = planned.unread();
    round.plan = planned.plan;
    forget_pending(&mut round.plan, &decisions);
    round.unreachable = planned.unreachable;
    // What was in the way of a decision, this round may have mended.
    let mended = round.report.is_some();
    let acts = decisions
        .iter()
        .any(|decision| decision.verdict != Verdict::Left || (mended && decision.is_refused()));
    if observe || !acts || session.is_cancelled() {
        round.decisions = told(decisions, &Plan::default(), None);
        return;
    }
    // The requests are read again and decided anew: what was seen is from before the plan was carried out.
    let Decided { decisions, executed, report, crowds } =
        session.accept_pending(&Ask::default(), false).await;
    round.decisions = told(decisions, &executed.plan, report.as_ref());
    round.crowds = crowds;
    look_again(round, executed);
}

/// What could not be read when the requests were read again: what was decided on is not all that waits. What is told already is not told twice.
fn look_again(round: &mut Round, again: Planned) {
    let is_told = |service: &str, why: &str| {
        round.unread.iter().any(|(told, _)| told == service)
            || round.unreachable.iter().any(|down| down.services.contains(service))
            || round.plan.refusals.iter().any(|told| {
                // What is not there, or not ours, is said in other words where only connections are looked at.
                let is_it = matches!(told.rule, Rule::Unsuitable | Rule::NotOurs | Rule::WrongAccount);
                told.address.service == service && (is_it || told.why == why)
            })
    };
    let unread = again.unread().into_iter().filter(|(service, why)| !is_told(service, why));
    let unread: Vec<_> = unread.collect();
    round.unread.extend(unread);
    let known: Vec<&str> = round.unreachable.iter().map(|down| down.cloud).collect();
    let more: Vec<_> = again.unreachable.into_iter().filter(|down| !known.contains(&down.cloud)).collect();
    round.unreachable.extend(more);
}

/// The decisions say more of the pending requests than the plan, and decide on them.
fn forget_pending(plan: &mut Plan, decisions: &[Decision]) {
    plan.waits.retain(|wait| {
        let own: Vec<Decision> = decisions.iter().filter(|d| d.service == wait.service).cloned().collect();
        pending_wait(&wait.service, &own).as_ref() != Some(wait)
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use privnet_core::plan::Refusal;
    use privnet_core::{Address, Desired, Error, ErrorKind, World};

    use super::*;

    /// A service of which nothing could be read.
    fn unread(service: &str, why: &str) -> Planned {
        let mut again = Planned {
            plan: Plan::default(),
            desired: Desired::default(),
            world: World::default(),
            unreachable: Vec::new(),
        };
        again.world.refusals.push(refusal(service, why));
        again
    }

    fn refusal(service: &str, why: &str) -> Refusal {
        let address = Address::new(service, "service", "main");
        Refusal { address, rule: Rule::Unobserved, why: why.to_owned(), flag: None }
    }

    /// Where the first look saw a request, and the second could not look, nothing is known of it: that is no round that went well.
    #[test]
    fn what_the_second_look_could_not_read_is_told() {
        let mut round = Round::blank("data", "data.yaml", false);
        look_again(&mut round, unread("orders", "denied"));
        assert_eq!(round.unread, [("orders".to_owned(), "denied".to_owned())]);
        assert_eq!((round.errors(), round.outcome()), (1, RoundOutcome::Failed));
        look_again(&mut round, unread("orders", "denied again"));
        assert_eq!(round.errors(), 1, "it is told once");
        // What the plan refuses is told by that.
        let mut round = Round::blank("data", "data.yaml", false);
        round
            .plan
            .refusals
            .push(Refusal { rule: Rule::WrongAccount, ..refusal("orders", "another account") });
        look_again(&mut round, unread("orders", "another account"));
        assert_eq!((round.errors(), round.outcome()), (0, RoundOutcome::Refused));
        // What it refuses for another reason says nothing of who could not be read.
        let mut round = Round::blank("data", "data.yaml", false);
        round
            .plan
            .refusals
            .push(Refusal { rule: Rule::WouldSever, ..refusal("orders", "another port would cut vpce-1") });
        look_again(&mut round, unread("orders", "denied"));
        assert_eq!((round.errors(), round.outcome()), (1, RoundOutcome::Failed));
    }

    /// A cloud that is down when requests are read again is told beside one that was down before.
    #[test]
    fn a_cloud_that_goes_down_within_a_round_is_told() {
        let down = |cloud| Unreachable {
            cloud,
            services: BTreeSet::new(),
            error: Error::new(ErrorKind::Unavailable, "list", cloud, "no answer"),
        };
        let mut round = Round::blank("data", "data.yaml", false);
        round.unreachable.push(down("aws"));
        let again = Planned { unreachable: vec![down("aws"), down("gcp")], ..unread("orders", "no answer") };
        look_again(&mut round, again);
        let clouds: Vec<&str> = round.unreachable.iter().map(|down| down.cloud).collect();
        assert_eq!(clouds, ["aws", "gcp"]);
    }

    #[test]
    fn two_that_were_let_in_at_once_are_a_failure() {
        let mut round = Round::blank("data", "data.yaml", false);
        assert_eq!((round.errors(), round.outcome()), (0, RoundOutcome::Agrees));
        round.crowds.push(Crowd {
            service: "orders".to_owned(),
            consumer: "fivetran".to_owned(),
            max: 1,
            connections: vec!["vpce-1".to_owned(), "vpce-2".to_owned()],
        });
        assert_eq!((round.errors(), round.outcome()), (1, RoundOutcome::Failed));
    }
}
