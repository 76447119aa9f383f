//! The metrics of a watch, each by deployment, in the OpenMetrics format
//! (<https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use privnet::watch::{FileChange, Round, RoundOutcome, WatchEvent};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    deployment: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    deployment: String,
    outcome: &'static str,
}

type Counters = Family<Of, Counter>;
type Gauges = Family<Of, Gauge>;
type Seconds = Family<Of, Gauge<f64, AtomicU64>>;

/// All metrics.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    pending: Gauges,
    ambiguous: Gauges,
    accepted: Counters,
    drift: Gauges,
    drift_found: Counters,
    refused: Gauges,
    calls: Counters,
    errors: Counters,
    file_good: Gauges,
    last_success: Seconds,
    round_seconds: Seconds,
    rounds: Family<Ended, Counter>,
    /// The differences that the last round of a deployment saw: one that is still there is not found again.
    known: Mutex<BTreeMap<String, BTreeSet<String>>>,
    strangers: Gauge,
    lost: Counter,
}

impl Metrics {
    /// Metrics at zero for these deployments: what was never seen is zero, not absent.
    pub(super) fn new<'a>(deployments: impl IntoIterator<Item = &'a String>) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("privnet"),
            pending: Family::default(),
            ambiguous: Family::default(),
            accepted: Family::default(),
            drift: Family::default(),
            drift_found: Family::default(),
            refused: Family::default(),
            calls: Family::default(),
            errors: Family::default(),
            file_good: Family::default(),
            last_success: Family::default(),
            round_seconds: Family::default(),
            rounds: Family::default(),
            known: Mutex::default(),
            strangers: Gauge::default(),
            lost: Counter::default(),
        };
        metrics.register();
        for name in deployments {
            metrics.begin(name);
        }
        metrics
    }

    /// All metrics of a deployment at zero.
    fn begin(&self, name: &str) {
        let of = Of { deployment: name.to_owned() };
        for gauge in [&self.pending, &self.ambiguous, &self.drift, &self.refused] {
            drop(gauge.get_or_create(&of));
        }
        for seconds in [&self.last_success, &self.round_seconds] {
            drop(seconds.get_or_create(&of));
        }
        self.file_good.get_or_create(&of).set(1);
        for counter in [&self.accepted, &self.drift_found, &self.calls, &self.errors] {
            drop(counter.get_or_create(&of));
        }
        for outcome in RoundOutcome::ALL {
            drop(self.rounds.get_or_create(&ended(name, outcome)));
        }
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        for (name, help, family) in [
            ("pending_requests", "Connection requests that wait for a decision", &self.pending),
            ("ambiguous_requests", "Connection requests that somebody must choose between", &self.ambiguous),
            ("drift", "Things that the last round found not as the file says", &self.drift),
            ("refused", "Things that a safety rule refused in the last round", &self.refused),
            (
                "file_good",
                "1 when the file as it is now is the one that is used, 0 when an earlier one is",
                &self.file_good,
            ),
        ] {
            registry.register(name, help, family.clone());
        }
        for (name, help, family) in [
            ("accepted", "Connection requests that were let in", &self.accepted),
            (
                "drift_found",
                "Things that were found not as the file says, each once as long as it lasts",
                &self.drift_found,
            ),
            ("calls", "Requests sent to clouds", &self.calls),
            (
                "errors",
                "Clouds, services, actions and decisions that could not be read or done",
                &self.errors,
            ),
        ] {
            registry.register(name, help, family.clone());
        }
        for (name, help, family) in [
            (
                "last_success_timestamp_seconds",
                "When the last round ended well, in Unix time",
                &self.last_success,
            ),
            ("round_seconds", "How long the last round took", &self.round_seconds),
        ] {
            registry.register(name, help, family.clone());
        }
        registry.register(
            "files_not_watched",
            "Files that are there and are not watched",
            self.strangers.clone(),
        );
        registry.register("lost_lines", "Messages that nobody read in time", self.lost.clone());
        registry.register("rounds", "Rounds, by how they ended", self.rounds.clone());
    }

    /// Takes in what happened.
    pub(super) fn see(&self, event: &WatchEvent) {
        match event {
            WatchEvent::Ended(round) => self.round(round),
            WatchEvent::File { deployment, change, .. } => {
                if *change == FileChange::Added {
                    self.begin(deployment);
                }
                let good = i64::from(!matches!(change, FileChange::Kept(_)));
                self.file_good.get_or_create(&Of { deployment: deployment.clone() }).set(good);
            }
            WatchEvent::Strangers(count) => {
                self.strangers.set(signed(*count));
            }
            _ => {}
        }
    }

    /// A message could not be told.
    pub(super) fn lost(&self) {
        self.lost.inc();
    }

    fn round(&self, round: &Round) {
        let of = Of { deployment: round.deployment.clone() };
        let outcome = round.outcome();
        self.rounds.get_or_create(&ended(&round.deployment, outcome)).inc();
        self.calls.get_or_create(&of).inc_by(round.calls);
        self.round_seconds.get_or_create(&of).set(round.took.as_secs_f64());
        self.accepted.get_or_create(&of).inc_by(wide(round.accepted()));
        if outcome == RoundOutcome::Interrupted {
            return;
        }
        self.errors.get_or_create(&of).inc_by(wide(round.errors()));
        // What could not be observed is not known to be gone.
        if round.unreachable.is_empty() && round.fault.is_none() {
            self.drift_found.get_or_create(&of).inc_by(wide(self.new_differences(round)));
            self.drift.get_or_create(&of).set(signed(round.plan.actions.len()));
            self.refused.get_or_create(&of).set(signed(round.plan.refusals.len()));
            // Nor is who could not be read known not to wait.
            if round.unread.is_empty() {
                self.pending.get_or_create(&of).set(signed(round.pending()));
                self.ambiguous.get_or_create(&of).set(signed(round.ambiguous()));
            }
        }
        if outcome != RoundOutcome::Failed {
            self.last_success.get_or_create(&of).set(round.at.as_duration().as_secs_f64());
        }
    }

    fn new_differences(&self, round: &Round) -> usize {
        let now: BTreeSet<String> = round.plan.actions.iter().map(|action| action.id.clone()).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // What was mended and is there again has come again.
        let lasting = if round.report.is_some() { BTreeSet::new() } else { now.clone() };
        let before = known.insert(round.deployment.clone(), lasting).unwrap_or_default();
        now.difference(&before).count()
    }

    /// All metrics in the text format.
    pub(super) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn ended(deployment: &str, outcome: RoundOutcome) -> Ended {
    Ended { deployment: deployment.to_owned(), outcome: outcome.as_str() }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
