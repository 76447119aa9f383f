//! What a cloud of the sandbox is.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::exchange::{Answer, Exchange};

/// What a cloud is opened with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The folder of the state.
    pub dir: PathBuf,
    /// How long a new object or tag is missing from lists and tag-filtered reads, in sandbox time.
    pub list_lag: Duration,
    /// Whether the documented request rates are enforced.
    pub rate_limits: bool,
}

impl Setup {
    /// The ordinary setup for a folder: a lag of one second, rates enforced.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), list_lag: Duration::from_secs(1), rate_limits: true }
    }
}

/// When, and how fresh, a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Sandbox time.
    pub now: Timestamp,
    /// Answer from the state of one write ago; only ever set for reads.
    pub stale: bool,
}

impl Moment {
    /// A fresh answer at that time.
    pub fn at(now: Timestamp) -> Self {
        Self { now, stale: false }
    }
}

/// A failure that the frame wants answered in the cloud's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The caller was too fast.
    Throttled,
    /// The cloud failed (HTTP 500 or the cloud's like of it).
    Internal,
    /// The error code that a fault specification names.
    Code(String),
}

/// By what a cloud knows a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KnownBy {
    /// Its id or name in the cloud.
    Name,
    /// A tag, label or marker of the tool that made it.
    Mark,
}

/// A cloud: synchronous, and pure over (its world, the exchange, the moment).
///
/// All states are computed from stored times when they are read. Consumers that raise connection requests do so at the start
/// of each transaction, as far as time has passed.
pub trait CloudServer: Send + Sync + 'static {
    /// `aws`, `azure` or `gcp`: the name in fault specifications, records and state files.
    fn cloud(&self) -> &'static str;

    /// What the request asks for, as fault specifications name it: an AWS action, `METHOD type`, `METHOD collection`.
    fn action(&self, exchange: &Exchange) -> String;

    /// Whether the request only reads: such a one can be answered stale.
    fn is_read(&self, exchange: &Exchange) -> bool;

    /// Answers one request, in one transaction.
    fn answer(&self, exchange: &Exchange, moment: Moment) -> Answer;

    /// The cloud's form of a failure for this request; it must have no effect.
    fn failure(&self, exchange: &Exchange, failure: &Failure) -> Answer;

    /// This answer as it is while a region or zone does not answer. What is no list over many places, and every answer of a cloud that has
    /// no such lists, stays as it is.
    fn without_place(&self, answer: Answer, _place: &str) -> Answer {
        answer
    }

    /// The fixed ids of the default world, and what is in the world now.
    fn describe_world(&self, now: Timestamp) -> Value;

    /// By what a service is known here, if it is: several clouds may have one of that name.
    fn knows(&self, service: &str, now: Timestamp) -> Option<KnownBy>;

    /// Raises a further connection request.
    ///
    /// `service` is the cloud's id or name of a service, or the privnet service named in its tags, labels or marker.
    /// `consumer` is the cloud's id of who asks (account, subscription, project); without it, the default consumer.
    /// The answer describes the new connection; the error says in words why there is none.
    fn connect(&self, service: &str, consumer: Option<&str>, now: Timestamp) -> Result<Value, String>;

    /// The environment variables that point this cloud's clients at `url`.
    fn variables(&self, url: &str) -> Vec<(String, String)>;

    /// How clients are pointed at `url` that no variable can point anywhere: lines of Python, under `#` for their words.
    fn in_code(&self, _url: &str) -> Vec<String> {
        Vec::new()
    }
}
