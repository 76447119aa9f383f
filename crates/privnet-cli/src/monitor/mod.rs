//! What a watch shows to monitoring: metrics, and whether it lives and is ready.

mod http;
mod metrics;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use privnet::watch::{FileChange, RoundOutcome, WatchEvent};

pub(crate) use http::Server;
use metrics::Metrics;

/// A round that takes longer hangs: the longest that a cloud's operations are waited for is an hour.
const HANGS: Duration = Duration::from_secs(2 * 3600);

/// Is told of everything that a watch does, and answers for it.
#[derive(Debug)]
pub(crate) struct Monitor {
    metrics: Metrics,
    deployments: Mutex<BTreeMap<String, Seen>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Since when a round is under way.
    running: Option<Instant>,
    /// Whether a round has ended well.
    ready: bool,
}

/// The answer to a probe.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    /// Whether all is well.
    pub(crate) well: bool,
    /// Why, for people.
    pub(crate) text: String,
}

impl Monitor {
    /// A monitor of these deployments, none of which was looked at yet.
    pub(crate) fn new(deployments: impl IntoIterator<Item = String>) -> Self {
        let deployments: BTreeMap<String, Seen> =
            deployments.into_iter().map(|name| (name, Seen::default())).collect();
        let metrics = Metrics::new(deployments.keys());
        Self { metrics, deployments: Mutex::new(deployments) }
    }

    /// Takes in what happened.
    pub(crate) fn see(&self, event: &WatchEvent) {
        self.metrics.see(event);
        let mut deployments = self.deployments.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            WatchEvent::Began { deployment } => {
                deployments.entry(deployment.clone()).or_default().running = Some(Instant::now());
            }
            WatchEvent::Ended(round) => {
                let seen = deployments.entry(round.deployment.clone()).or_default();
                let bad = matches!(round.outcome(), RoundOutcome::Failed | RoundOutcome::Interrupted);
                *seen = Seen { running: None, ready: seen.ready || !bad };
            }
            WatchEvent::File { deployment, change: FileChange::Added, .. } => {
                deployments.entry(deployment.clone()).or_default();
            }
            _ => {}
        }
    }

    /// A message could not be told.
    pub(crate) fn lost(&self) {
        self.metrics.lost();
    }

    /// The metrics in the OpenMetrics text format.
    pub(crate) fn metrics(&self) -> Result<String, std::fmt::Error> {
        self.metrics.text()
    }

    /// Whether no round hangs at this moment.
    pub(crate) fn healthy(&self, now: Instant) -> Probe {
        let hanging = |seen: &Seen| seen.running.is_some_and(|since| now.duration_since(since) > HANGS);
        self.probe(hanging, "a round has been under way for more than two hours")
    }

    /// Whether each deployment was looked at, with success, since the watch began.
    pub(crate) fn ready(&self) -> Probe {
        // A folder that holds no file, where one was mounted: a probe must not call that well.
        if self.deployments.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            return Probe { well: false, text: "no deployment is watched\n".to_owned() };
        }
        self.probe(|seen| !seen.ready, "no round has ended well yet")
    }

    fn probe(&self, ails: impl Fn(&Seen) -> bool, why: &str) -> Probe {
        let deployments = self.deployments.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (name, _) in deployments.iter().filter(|(_, seen)| ails(seen)) {
            let _ = writeln!(text, "{name}: {why}");
        }
        let well = text.is_empty();
        Probe { well, text: if well { "ok\n".to_owned() } else { text } }
    }
}

#[cfg(test)]
mod tests {
    use privnet::Plan;
    use privnet::watch::Round;

    use super::*;

    /// A round in which nothing happened.
    fn round(deployment: &str) -> Round {
        Round {
            deployment: deployment.to_owned(),
            file: format!("{deployment}.yaml"),
            at: jiff::Timestamp::now(),
            observed_only: false,
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

    #[test]
    fn ready_is_who_was_looked_at() {
        let monitor = Monitor::new(["a".to_owned(), "b".to_owned()]);
        assert!(monitor.healthy(Instant::now()).well);
        assert_eq!(monitor.ready().text, "a: no round has ended well yet\nb: no round has ended well yet\n");
        let text = monitor.metrics().unwrap();
        for name in
            ["pending_requests", "accepted_total", "ambiguous_requests", "drift_found_total", "calls_total"]
        {
            assert!(text.contains(&format!("privnet_{name}{{deployment=\"a\"}} 0")), "{name}: {text}");
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn unhealthy_is_who_hangs_by_name_and_for_as_long_as_he_does() {
        let monitor = Monitor::new(["a".to_owned(), "b".to_owned()]);
        let began = Instant::now();
        monitor.see(&WatchEvent::Began { deployment: "b".to_owned() });
        assert!(monitor.healthy(began + HANGS).well, "the longest that a round may take");
        let later = Instant::now() + HANGS + Duration::from_secs(1);
        let probe = monitor.healthy(later);
        assert!(!probe.well);
        assert_eq!(probe.text, "b: a round has been under way for more than two hours\n");
        monitor.see(&WatchEvent::Ended(Box::new(round("b"))));
        assert!(monitor.healthy(later).well);
    }
}
