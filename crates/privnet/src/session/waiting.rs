//! Decisions again and again, until whoever is waited for is connected.

use std::time::{Duration, Instant};

use privnet_core::accept::{Ask, Decision};
use privnet_core::plan::Rule;

use super::{Decided, Planned, Session};

impl Session {
    /// Decides again and again until every consumer of every service is connected (or the one connection that `ask` names),
    /// somebody must choose, something else must be seen to by a person, or the time is over. `see` is told of each round.
    pub async fn accept_until_connected(
        &self,
        ask: &Ask,
        timeout: Duration,
        mut see: impl FnMut(&Decided),
    ) -> Waited {
        let started = Instant::now();
        let pause = self.context.paced(Duration::from_secs(10));
        let timeout = if timeout == Duration::MAX { timeout } else { timeout.max(pause) };
        let mut ask = ask.clone();
        loop {
            let decided = self.accept_pending(&ask, false).await;
            // Whoever is turned away from now on was turned away by somebody who knew. Where nothing could be looked at, nothing is known
            // yet; where some could, the rest is not waited for: rather is nobody let in again than one who was turned away since.
            ask.again &= !decided.executed.was_looked_at();
            // More of a consumer's connections than it may have are for somebody to look at.
            let failed = decided.report.as_ref().is_some_and(|report| !report.all_done())
                || !decided.crowds.is_empty();
            let ambiguous = decided.decisions.iter().any(Decision::is_ambiguous);
            let refused = decided.decisions.iter().any(Decision::is_refused);
            let unreachable = !decided.executed.unreachable.is_empty();
            let changed = !decided.executed.plan.actions.is_empty();
            // To turn this one away would cut others: that does not pass by itself.
            let would_sever = decided.executed.plan.refusals.iter().any(|one| one.rule == Rule::WouldSever);
            see(&decided);
            let end = if self.context.is_cancelled() {
                Some(WaitedFor::Cancelled)
            } else if failed || unreachable {
                Some(WaitedFor::Failed)
            } else if ask.connection.is_none() && self.services().all(|service| service.remove) {
                Some(WaitedFor::Nobody)
            } else if !changed && self.is_connected(&decided.executed, &ask) {
                // The consumer may still ask while another one cannot be turned away.
                Some(if would_sever { WaitedFor::Refused } else { WaitedFor::Connected })
            } else if ambiguous {
                Some(WaitedFor::Ambiguous)
            } else if refused {
                Some(WaitedFor::Refused)
            } else {
                (started.elapsed() >= timeout).then_some(WaitedFor::TimedOut)
            };
            if let Some(end) = end {
                return Waited { end, last: decided };
            }
            let left = timeout.saturating_sub(started.elapsed()).max(Duration::from_millis(1));
            tokio::select! {
                () = tokio::time::sleep(pause.min(left)) => {}
                () = self.cancel.cancelled() => {}
            }
        }
    }

    /// Whether what was waited for is there: the connection that is named, where it may be, or else one for each consumer of each service of
    /// the file. One that could not be looked at is not served.
    fn is_connected(&self, planned: &Planned, ask: &Ask) -> bool {
        let staying = self.services().filter(|service| !service.remove);
        let mut looked_at = staying.map(|service| {
            let name = service.name.as_str();
            let known = planned.world.services.get(name).map(|seen| seen.connections.known());
            planned.desired.services.get(name).zip(known)
        });
        match &ask.connection {
            Some(id) => looked_at
                .flatten()
                .flat_map(|(intent, known)| known.iter().map(|connection| (&intent.policy, connection)))
                // Somebody else's is not let in by this file, whoever let it in.
                .any(|(policy, connection)| {
                    connection.is_named(id) && connection.state.may_be_live() && policy.admits(connection)
                }),
            None => looked_at.all(|seen| seen.is_some_and(|(intent, known)| intent.policy.is_served(known))),
        }
    }
}

/// How a wait for connections ended.
#[derive(Debug)]
pub struct Waited {
    /// Why it ended.
    pub end: WaitedFor,
    /// The last round.
    pub last: Decided,
}

/// Why a wait for connections ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitedFor {
    /// Every consumer of every service is connected, or the connection that was named is in.
    Connected,
    /// No service of the file stays: nobody is to be let in.
    Nobody,
    /// More requests match than there is room: somebody must choose.
    Ambiguous,
    /// Something that a person must see to is in the way of every decision on a connection.
    Refused,
    /// The time is over.
    TimedOut,
    /// Something failed.
    Failed,
    /// The user interrupted.
    Cancelled,
}
