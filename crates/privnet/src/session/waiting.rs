//! Decisions again and again, until whoever is waited for is connected.

use std::time::{Duration, Instant};

use privnet_core::accept::{Ask, Decision, Verdict};

use super::{Decided, Planned, Session};

impl Session {
    /// Decides again and again until every consumer of every service is connected (or the one connection that `ask` names),
    /// somebody must choose, or the time is over. `see` is told of each round.
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
            let unreachable = !decided.executed.unreachable.is_empty();
            let changed = decided.decisions.iter().any(|decision| decision.verdict != Verdict::Left);
            see(&decided);
            let end = if self.context.is_cancelled() {
                Some(WaitedFor::Cancelled)
            } else if failed || unreachable {
                Some(WaitedFor::Failed)
            } else if !changed && ask.connection.is_none() && nobody_is_awaited(&decided.executed) {
                Some(WaitedFor::Nobody)
            } else if !changed && is_connected(&decided.executed, &ask) {
                Some(WaitedFor::Connected)
            } else if ambiguous {
                Some(WaitedFor::Ambiguous)
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
pub enum WaitedFor {
    /// Every consumer of every service is connected, or the connection that was named is in.
    Connected,
    /// No service stays of those that were looked at: nobody is to be let in.
    Nobody,
    /// More requests match than there is room: somebody must choose.
    Ambiguous,
    /// The time is over.
    TimedOut,
    /// Something failed.
    Failed,
    /// The user interrupted.
    Cancelled,
}

/// Whether no service that stays is among those that are looked at: a file of tombstones has nobody to wait for.
fn nobody_is_awaited(planned: &Planned) -> bool {
    planned.desired.services.values().all(|intent| intent.remove)
}

/// Whether what was waited for is there: the connection that is named, or else one for each consumer of each service.
fn is_connected(planned: &Planned, ask: &Ask) -> bool {
    let staying = || planned.desired.services.values().filter(|intent| !intent.remove);
    let seen = |name: &str| planned.world.services.get(name).map(|seen| seen.connections.known());
    match &ask.connection {
        Some(id) => staying()
            .filter_map(|intent| seen(&intent.name))
            .flatten()
            .any(|connection| connection.is(id) && connection.state.may_be_live()),
        None => {
            staying().all(|intent| seen(&intent.name).is_some_and(|known| intent.policy.is_served(known)))
        }
    }
}
