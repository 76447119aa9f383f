//! The executor: walks a plan concurrently and chooses nothing.
//!
//! An action starts when all that it comes `after` is done and nobody holds its locks. A failure skips what depends on it and
//! nothing else. Ctrl-C (the context's cancellation) starts nothing new; what has begun is finished or reported.

mod context;
mod events;
mod limiter;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt};

use crate::audit::{AuditEntry, AuditLog};
use crate::error::{Error, ErrorKind};
use crate::plan::{Action, FieldChange, Op, Plan};
use crate::provider::{Applied, Provider, Step};
use crate::resource::{Address, Live};
use crate::value::{OutputRef, Value};
use crate::world::World;

pub use context::{Call, Context, Poll, Replay, Settings, Until, still_used};
pub use events::{Event, Events};
pub use limiter::{Bucket, Limiter};

/// How an action ended.
#[derive(Debug)]
pub enum Outcome {
    /// It is done, and an own read has shown it.
    Done {
        /// What happened besides.
        note: Option<String>,
    },
    /// It failed.
    Failed(Error),
    /// It was not begun: something it comes after failed, or the run was interrupted.
    Skipped {
        /// Why.
        why: String,
    },
}

/// What became of a plan.
#[derive(Debug)]
pub struct Report {
    /// The outcome of each action, in the plan's order.
    pub outcomes: Vec<Outcome>,
    /// How many requests were sent, those for observing included.
    pub calls: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Whether it was interrupted.
    pub cancelled: bool,
}

impl Report {
    /// Whether every action is done. A plan may have none because a cloud could not be observed, or because it is refused: whether the
    /// cloud is as the file says is for whoever knows the plan, too (`privnet::Executed::is_complete`).
    #[must_use]
    pub fn all_done(&self) -> bool {
        self.outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done { .. }))
    }

    /// The failures.
    pub fn failures(&self) -> impl Iterator<Item = &Error> {
        self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Failed(error) => Some(error),
            Outcome::Done { .. } | Outcome::Skipped { .. } => None,
        })
    }
}

/// Carries out plans with these providers.
#[derive(Clone)]
pub struct Executor {
    providers: Vec<Arc<dyn Provider>>,
    context: Context,
    audit: Arc<dyn AuditLog>,
    parallelism: usize,
}

impl Executor {
    /// An executor that runs at most `parallelism` actions at once.
    #[must_use]
    pub fn new(
        providers: Vec<Arc<dyn Provider>>,
        context: Context,
        audit: Arc<dyn AuditLog>,
        parallelism: usize,
    ) -> Self {
        Self { providers, context, audit, parallelism: parallelism.max(1) }
    }

    /// Carries out the plan that was made from this world.
    pub async fn run(&self, deployment: &str, plan: &Plan, world: &World) -> Report {
        let started = Instant::now();
        let mut walk = Walk::new(plan);
        let succeeded = succeeded(plan, world);
        let mut outputs: BTreeMap<Address, BTreeMap<String, Value>> = BTreeMap::new();
        let mut running = FuturesUnordered::new();
        let deletes = plan.actions.iter().filter(|action| action.op == Op::Delete);
        let goes: BTreeSet<(&Address, Option<&str>)> =
            deletes.map(|delete| (&delete.address, delete.live_id.as_deref())).collect();
        loop {
            let free = self.parallelism.saturating_sub(running.len());
            for index in walk.startable(plan, free, self.context.is_cancelled()) {
                let Some(action) = plan.actions.get(index) else { continue };
                let ready = Ready::new(action, world, &outputs);
                self.context.event(Event::Started { action: action.id.clone() });
                let situation = Situation {
                    spares: !plan.severs && world.may_be_connected(&action.address.service),
                    has_successor: succeeded.contains(&action.address),
                };
                running.push(async move {
                    (index, self.carry_out(deployment, action, ready, world, situation).await)
                });
            }
            let Some((index, result)) = running.next().await else { break };
            let Some(action) = plan.actions.get(index) else { continue };
            // What is changed once more before it goes is nothing that others are pointed to: its successor is.
            let is_left =
                action.op == Op::Update && goes.contains(&(&action.address, action.live_id.as_deref()));
            if let Ok(applied) = &result
                && !is_left
            {
                outputs.insert(action.address.clone(), applied.outputs.clone());
            }
            self.report_event(action, &result);
            walk.finished(plan, index, result);
        }
        let cancelled = self.context.is_cancelled();
        let outcomes = walk.outcomes(plan, cancelled);
        for (action, outcome) in plan.actions.iter().zip(&outcomes) {
            if let Outcome::Skipped { why } = outcome {
                self.context.event(Event::Skipped { action: action.id.clone(), why: why.clone() });
            }
        }
        Report { outcomes, calls: self.context.calls(), elapsed: started.elapsed(), cancelled }
    }

    fn report_event(&self, action: &Action, result: &Result<Applied, Error>) {
        let id = action.id.clone();
        self.context.event(match result {
            Ok(applied) => Event::Done { action: id, note: applied.note.clone() },
            Err(error) => Event::Failed { action: id, kind: error.kind(), error: error.to_string() },
        });
    }

    async fn carry_out(
        &self,
        deployment: &str,
        action: &Action,
        ready: Ready<'_>,
        world: &World,
        situation: Situation,
    ) -> Result<Applied, Error> {
        if let Some(unknown) = &ready.unresolved {
            let message = format!("it needs {unknown}, which the step before did not bring");
            return Err(Error::new(
                ErrorKind::Other,
                action.op.as_str(),
                action.address.to_string(),
                message,
            ));
        }
        let cloud = action.scope.0.split('/').next().unwrap_or_default();
        let provider =
            self.providers.iter().find(|provider| provider.handles().cloud == cloud).ok_or_else(|| {
                let message = format!("no provider for `{cloud}` takes part in this run");
                Error::new(ErrorKind::Other, action.op.as_str(), action.address.to_string(), message)
            })?;
        if matches!(action.op, Op::Accept | Op::Reject) {
            self.write_audit(deployment, action, world)?;
        }
        let Ready { fields, changes, live, .. } = &ready;
        let Situation { spares, has_successor } = situation;
        let step = Step { deployment, action, fields, changes, live: *live, spares, has_successor };
        provider.apply(step, &self.context.within(&action.id)).await
    }

    /// No log, no acceptance. Whoever is cut or turned away along has a line as well.
    fn write_audit(&self, deployment: &str, action: &Action, world: &World) -> Result<(), Error> {
        let Some(connection) = &action.connection else { return Ok(()) };
        let mut why = vec![action.reason.clone()];
        why.extend(connection.besides.iter().cloned());
        let own = AuditEntry {
            time: jiff::Timestamp::now(),
            caller: world.callers.get(&action.scope).cloned().unwrap_or_else(|| "unknown".to_owned()),
            deployment: deployment.to_owned(),
            service: action.address.service.clone(),
            connection: connection.id.clone(),
            consumer: connection.consumer.clone(),
            identity: connection.who.clone(),
            decision: action.op.as_str().to_owned(),
            why: why.join("; "),
            preset: connection.preset.clone(),
        };
        let cut = connection.cut.iter().map(|other| (other, "cut"));
        let all = cut.chain(connection.turned_away.iter().map(|other| (other, "turned away")));
        let along = all.map(|(other, what)| AuditEntry {
            connection: other.id.clone(),
            consumer: other.consumer.clone(),
            identity: other.who.clone(),
            why: format!("{what} along with {}: {}", connection.id, action.reason),
            preset: other.preset.clone(),
            ..own.clone()
        });
        let along: Vec<AuditEntry> = along.collect();
        [own].iter().chain(&along).try_for_each(|entry| self.audit.write(entry)).map_err(|cause| {
            Error::new(
                ErrorKind::Audit,
                action.op.as_str(),
                connection.id.clone(),
                "the decision could not be written to the audit log, so it was not carried out",
            )
            .with_hint("give a writable file with --audit-log FILE")
            .with_cause(cause)
        })
    }
}

/// What an action is told of the plan that it is part of.
#[derive(Clone, Copy)]
struct Situation {
    spares: bool,
    has_successor: bool,
}

/// The addresses at which something goes and something of ours is all the same when the plan is done.
fn succeeded<'a>(plan: &'a Plan, world: &'a World) -> BTreeSet<&'a Address> {
    let deletes = || plan.actions.iter().filter(|action| action.op == Op::Delete);
    let goes: BTreeSet<&Address> = deletes().map(|action| &action.address).collect();
    if goes.is_empty() {
        return goes;
    }
    let gone: BTreeSet<(&Address, Option<&str>)> =
        deletes().map(|action| (&action.address, action.live_id.as_deref())).collect();
    let made = plan.actions.iter().filter(|action| action.op == Op::Create).map(|action| &action.address);
    let stays = |live: &&Live| live.is_ours() && !gone.contains(&(&live.address, Some(live.id.as_str())));
    let staying = world.live.iter().filter(stays).map(|live| &live.address);
    made.chain(staying).filter(|address| goes.contains(address)).collect()
}

/// An action's fields with every reference resolved.
struct Ready<'a> {
    fields: BTreeMap<String, Value>,
    changes: Vec<FieldChange>,
    live: Option<&'a Live>,
    unresolved: Option<OutputRef>,
}

impl<'a> Ready<'a> {
    fn new(action: &Action, world: &'a World, outputs: &BTreeMap<Address, BTreeMap<String, Value>>) -> Self {
        let look = |reference: &OutputRef| outputs.get(&reference.address)?.get(&*reference.output).cloned();
        let live = action
            .live_id
            .as_ref()
            .and_then(|id| world.live.iter().find(|live| live.id == *id && live.address == action.address));
        let mut fields = live.map(|live| live.fields.clone()).unwrap_or_default();
        let mut unresolved = None;
        let mut changes = Vec::with_capacity(action.changes.len());
        for change in &action.changes {
            let to = change.to.resolved(&look);
            to.each_output(&mut |reference| unresolved = Some(reference.clone()));
            fields.insert(change.field.to_string(), to.clone());
            changes.push(FieldChange { field: change.field.clone(), from: change.from.clone(), to });
        }
        Self { fields, changes, live, unresolved }
    }
}

/// Where a run stands.
struct Walk {
    states: Vec<State>,
    held: BTreeSet<String>,
}

enum State {
    Waiting,
    Running,
    Ended(Outcome),
}

impl Walk {
    fn new(plan: &Plan) -> Self {
        Self { states: plan.actions.iter().map(|_| State::Waiting).collect(), held: BTreeSet::new() }
    }

    /// Marks as running, and returns, up to `free` actions that can start now. Skips what can never start.
    fn startable(&mut self, plan: &Plan, free: usize, cancelled: bool) -> Vec<usize> {
        let index_of = crate::plan::by_id(plan);
        let mut start = Vec::new();
        for (index, action) in plan.actions.iter().enumerate() {
            if !matches!(self.states.get(index), Some(State::Waiting)) {
                continue;
            }
            let before: Vec<usize> =
                action.after.iter().filter_map(|id| index_of.get(id.as_str()).copied()).collect();
            if let Some(failed) = before.iter().find(|&&b| self.stands_in_the_way(b)) {
                let name = plan.actions.get(*failed).map(|action| action.id.clone()).unwrap_or_default();
                self.end(
                    index,
                    Outcome::Skipped { why: format!("it comes after `{name}`, which was not done") },
                );
                continue;
            }
            let done = |b: &usize| matches!(self.states.get(*b), Some(State::Ended(Outcome::Done { .. })));
            let free_locks = action.locks.iter().all(|lock| !self.held.contains(lock));
            if !cancelled && start.len() < free && before.iter().all(done) && free_locks {
                self.held.extend(action.locks.iter().cloned());
                if let Some(state) = self.states.get_mut(index) {
                    *state = State::Running;
                }
                start.push(index);
            }
        }
        start
    }

    fn stands_in_the_way(&self, index: usize) -> bool {
        matches!(self.states.get(index), Some(State::Ended(Outcome::Failed(_) | Outcome::Skipped { .. })))
    }

    fn finished(&mut self, plan: &Plan, index: usize, result: Result<Applied, Error>) {
        if let Some(action) = plan.actions.get(index) {
            for lock in &action.locks {
                self.held.remove(lock);
            }
        }
        let outcome = match result {
            Ok(applied) => Outcome::Done { note: applied.note },
            Err(error) => Outcome::Failed(error),
        };
        self.end(index, outcome);
    }

    fn end(&mut self, index: usize, outcome: Outcome) {
        if let Some(state) = self.states.get_mut(index) {
            *state = State::Ended(outcome);
        }
    }

    fn outcomes(self, plan: &Plan, cancelled: bool) -> Vec<Outcome> {
        let why =
            if cancelled { "interrupted before it began" } else { "what it comes after cannot be done" };
        let ended = self.states.into_iter().map(|state| match state {
            State::Ended(outcome) => outcome,
            State::Waiting | State::Running => Outcome::Skipped { why: why.to_owned() },
        });
        ended.take(plan.actions.len()).collect()
    }
}
