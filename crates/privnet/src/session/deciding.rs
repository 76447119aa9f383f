//! Decisions on connection requests: made, carried out, and looked at once more.

use privnet_core::accept::{self, Ask, Crowd, Decision};
use privnet_core::execute::Report;
use privnet_core::plan;
use privnet_core::world::ServiceWorld;
use privnet_core::{Desired, Purpose, World};

use super::{Executed, Planned, Session};
use crate::decided::told;

/// Decisions on pending requests, and what became of them.
#[derive(Debug)]
pub struct Decided {
    /// Each decision.
    pub decisions: Vec<Decision>,
    /// The plan that carries them out, and what it was made from; nothing is done in a dry run. What became of it is the [`report`](Self::report).
    pub executed: Planned,
    /// What became of the plan; absent in a dry run.
    pub report: Option<Report>,
    /// The consumers that have more connections than they may, since somebody else let in another one at the same moment.
    pub crowds: Vec<Crowd>,
}

impl Session {
    /// Decides on the pending requests by policy, and carries that out unless it is a `dry_run`.
    pub async fn accept_pending(&self, ask: &Ask, dry_run: bool) -> Decided {
        let (desired, world, unreachable) = self.observe(Purpose::Connections).await;
        let decisions = decide_all(&desired, &world, ask);
        let plan = plan::plan_decisions(&desired, &world, &self.kinds, &decisions);
        let executed = Planned { plan, desired, world, unreachable };
        let decided = Decided { decisions, executed, report: None, crowds: Vec::new() };
        if dry_run { decided } else { self.carry_out(decided).await }
    }

    /// Carries out decisions of this session, and reads once more whom they let in: two that decide at the same moment both find room.
    pub async fn carry_out(&self, decided: Decided) -> Decided {
        let Decided { decisions, executed, .. } = decided;
        let Executed { planned, report } = self.execute(executed).await;
        let crowds = self.crowds(&decisions, &planned, &report).await;
        Decided { decisions, executed: planned, report: Some(report), crowds }
    }

    /// What the policy says of the requests that were pending when this plan was made. Nothing is carried out.
    #[must_use]
    pub fn decisions(&self, planned: &Planned, ask: &Ask) -> Vec<Decision> {
        decide_all(&planned.desired, &planned.world, ask)
    }

    async fn crowds(&self, decisions: &[Decision], planned: &Planned, report: &Report) -> Vec<Crowd> {
        let told = told(decisions.to_vec(), &planned.plan, Some(report));
        let let_in: Vec<Decision> =
            told.into_iter().filter(|told| told.is_accepted()).map(|told| told.decision).collect();
        if let_in.is_empty() || self.is_cancelled() {
            return Vec::new();
        }
        let (desired, world, _) = self.observe(Purpose::Connections).await;
        let of_one = |(name, seen): (&String, &ServiceWorld)| {
            let intent = desired.services.get(name)?;
            Some(accept::crowds(&intent.policy, seen.connections.known(), &let_in))
        };
        world.services.iter().filter_map(of_one).flatten().collect()
    }
}

/// The decisions on all pending requests of services that are to stay.
fn decide_all(desired: &Desired, world: &World, ask: &Ask) -> Vec<Decision> {
    let staying = desired.services.values().filter(|intent| !intent.remove);
    let decisions = staying.filter_map(|intent| {
        let seen = world.services.get(&intent.name)?;
        Some(accept::decide(&intent.policy, seen.connections.known(), ask))
    });
    decisions.flatten().collect()
}
