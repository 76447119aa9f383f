//! What providers call clouds through: rates, retries, polls, progress and cancellation in one place.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind};
use crate::execute::{Bucket, Event, Events, Limiter};

/// How a run behaves in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How much faster than real time the cloud's time passes: 1 for a real cloud, a sandbox's speed for a sandbox. Waits
    /// between polls and retries are divided by it, rates multiplied.
    pub pace: f64,
    /// The first pause between two polls, at pace 1.
    pub poll: Duration,
    /// How often a request that was throttled is sent again.
    pub throttle_retries: u32,
    /// How often a request that got no answer is sent again, where that is safe.
    pub unavailable_retries: u32,
    /// The longest time to wait for what becomes healthy by itself, at pace 1; absent: as long as it takes. Who looks again later
    /// anyhow has other work meanwhile.
    pub patience: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pace: 1.0,
            poll: Duration::from_secs(1),
            throttle_retries: 12,
            unavailable_retries: 5,
            patience: None,
        }
    }
}

/// Whether a request may be sent again when nobody knows whether it had its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Reads, and writes whose second time changes nothing.
    Safe,
    /// Only when it surely had no effect.
    Never,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The limit that it counts against.
    pub bucket: &'a Bucket,
    /// Whether it may be sent again.
    pub replay: Replay,
}

/// What a poll found.
#[derive(Debug)]
pub enum Poll<T> {
    /// It is there.
    Ready(T),
    /// Not yet; the text says what is there instead.
    Pending(String),
    /// Not yet: something else still uses it, and may do so for good.
    InUse {
        /// What uses it, where the cloud says that.
        by: Option<String>,
        /// The cloud's words.
        state: String,
    },
}

/// What to do where something is kept by what uses it: the same command again only waits for that again.
#[must_use]
pub fn still_used(by: Option<&str>) -> String {
    let by =
        by.map_or_else(|| "something still uses it".to_owned(), |by| format!("it is still used by {by}"));
    format!("{by}: take it off there first, then run the same command again")
}

/// What is polled for.
#[derive(Clone, Copy, Debug)]
pub struct Until<'a> {
    /// The cloud's name for the call that shows it.
    pub operation: &'a str,
    /// What it is about.
    pub subject: &'a str,
    /// What is waited for, in words: `active`.
    pub what: &'a str,
    /// The longest time, at pace 1.
    pub limit: Duration,
}

/// The one way from a provider to a cloud.
#[derive(Clone, Debug)]
pub struct Context {
    shared: Arc<Shared>,
    action: Arc<str>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    limiter: Arc<Limiter>,
    events: Events,
    cancel: CancellationToken,
    calls: AtomicU64,
}

/// No pause is shorter: a sandbox that runs very fast is not to be polled without end.
const SHORTEST: Duration = Duration::from_millis(5);

/// How long a cloud asks to be left alone before that is said.
const LONG_REST: Duration = Duration::from_secs(20);

/// No limit is shortened to less: a sandbox that runs a thousand times faster does so on a machine that does not.
const SHORTEST_LIMIT: Duration = Duration::from_secs(5);

/// How often is asked at least, however long one answer takes: on a machine that is busy, one may use up all of the time.
const ASKED_AT_LEAST: u32 = 4;

impl Context {
    /// A context of its own counts and rates.
    #[must_use]
    pub fn new(settings: Settings, events: Events, cancel: CancellationToken) -> Self {
        Self::sharing(Arc::new(Limiter::new(settings.pace)), settings, events, cancel)
    }

    /// A context of its own counts, with the rates of others: the limits of a cloud are for an account, whoever sends.
    #[must_use]
    pub fn sharing(
        limiter: Arc<Limiter>,
        settings: Settings,
        events: Events,
        cancel: CancellationToken,
    ) -> Self {
        let shared = Shared { settings, limiter, events, cancel, calls: AtomicU64::new(0) };
        Self { shared: Arc::new(shared), action: Arc::from("") }
    }

    /// The same for one action of a plan: progress is reported under its id.
    #[must_use]
    pub fn within(&self, action: &str) -> Self {
        Self { shared: Arc::clone(&self.shared), action: Arc::from(action) }
    }

    /// How many requests were sent so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    /// Whether the user wants to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancel.is_cancelled()
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.shared.settings
    }

    /// So long, or less where the run has no such patience.
    #[must_use]
    pub fn patience(&self, limit: Duration) -> Duration {
        self.shared.settings.patience.map_or(limit, |patience| patience.min(limit))
    }

    /// Tells what goes on.
    pub fn progress(&self, text: impl Into<String>) {
        let text = text.into();
        self.event(match &*self.action {
            "" => Event::Observing { text },
            action => Event::Progress { action: action.to_owned(), text },
        });
    }

    pub(super) fn event(&self, event: Event) {
        self.shared.events.send(event);
    }

    /// This long at pace 1, shorter on a sandbox that runs faster.
    #[must_use]
    pub fn paced(&self, real: Duration) -> Duration {
        real.div_f64(self.shared.settings.pace.max(0.001)).max(SHORTEST)
    }

    /// Waits this long at pace 1, or until the user wants to stop: what is asked next tells of that.
    pub async fn rest(&self, real: Duration) {
        tokio::select! {
            () = tokio::time::sleep(self.paced(real)) => {}
            () = self.shared.cancel.cancelled() => {}
        }
    }

    /// Sends a request: waits for its turn, and sends it again when it was throttled, or when it got no answer and may be
    /// repeated.
    ///
    /// # Errors
    /// The last answer.
    pub async fn call<T, F, Fut>(&self, call: Call<'_>, mut send: F) -> Result<T, Error>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let (mut throttled, mut unavailable) = (0, 0);
        loop {
            self.shared.limiter.acquire(call.bucket).await;
            self.shared.calls.fetch_add(1, Ordering::Relaxed);
            let sent = Instant::now();
            let answer = send().await;
            self.log(call.bucket, sent, answer.as_ref().err());
            let error = match answer {
                Ok(answer) => {
                    self.shared.limiter.went_through(call.bucket);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let again = match error.kind() {
                ErrorKind::Throttled if throttled < self.shared.settings.throttle_retries => {
                    throttled += 1;
                    self.shared.limiter.throttled(call.bucket);
                    self.event(Event::Throttled { bucket: call.bucket.key.clone() });
                    throttled
                }
                ErrorKind::Unavailable
                    if call.replay == Replay::Safe
                        && unavailable < self.shared.settings.unavailable_retries =>
                {
                    unavailable += 1;
                    unavailable
                }
                _ => return Err(error),
            };
            if self.pause(error.retry_after(), again).await.is_err() {
                return Err(error);
            }
        }
    }

    /// One line for each request that was answered or got no answer. What was asked for is in the provider's span around it;
    /// neither headers nor bodies are anywhere.
    fn log(&self, bucket: &Bucket, sent: Instant, error: Option<&Error>) {
        let milliseconds = sent.elapsed().as_millis();
        let (bucket, action) = (bucket.key.as_str(), &*self.action);
        match error {
            None => tracing::debug!(bucket, action, milliseconds, "answered"),
            Some(error) => tracing::debug!(bucket, action, milliseconds, %error, "failed"),
        }
    }

    /// Exponential, with full jitter, at most 20 s; at least what the cloud asked for. `Err` when cancelled meanwhile, and where the cloud
    /// asks for more than the run's patience: to ask again before would only make it longer.
    async fn pause(&self, asked: Option<Duration>, attempt: u32) -> Result<(), ()> {
        if let Some(asked) = asked {
            if self.patience(asked) < asked {
                return Err(());
            }
            self.tell_of_rest(asked);
        }
        let ceiling =
            Duration::from_millis(500).saturating_mul(1 << attempt.min(6)).min(Duration::from_secs(20));
        tracing::trace!(attempt, action = &*self.action, "sent again after a pause");
        let drawn = ceiling.mul_f64(rand::rng().random_range(0.3..1.0));
        let pause = self.paced(drawn).max(asked.map_or(Duration::ZERO, |asked| self.paced(asked)));
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.shared.cancel.cancelled() => Err(()),
        }
    }

    /// Says that the cloud asks to be left alone, where that takes so long that somebody may wonder.
    pub fn tell_of_rest(&self, asked: Duration) {
        if asked >= LONG_REST {
            self.progress(format!(
                "waiting {} s: the cloud asks to be left alone for so long",
                asked.as_secs()
            ));
        }
    }

    /// Asks until it is there. The pause between two questions starts at the settings' and grows with the time that has passed, to a
    /// twentieth of it: what is ready is seen within a tenth of the time it took, with room for the questions' own time.
    ///
    /// # Errors
    /// What a question answered with, `TimedOut` after the limit, or `Cancelled`.
    pub async fn until<T, F, Fut>(&self, until: Until<'_>, mut ask: F) -> Result<T, Error>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<Poll<T>, Error>>,
    {
        let started = Instant::now();
        let limit = self.paced(until.limit).max(until.limit.min(SHORTEST_LIMIT));
        let first = self.paced(self.shared.settings.poll);
        let (mut told, mut asked) = (String::new(), 0);
        loop {
            asked += 1;
            let (state, hint) = match ask().await? {
                Poll::Ready(found) => return Ok(found),
                Poll::Pending(state) => (state, None),
                Poll::InUse { by, state } => (state, Some(still_used(by.as_deref()))),
            };
            if state != told {
                // An action's own name says what it is about.
                self.progress(if self.action.is_empty() {
                    format!("waiting for {} to be {}: {state}", until.subject, until.what)
                } else {
                    format!("waiting to be {}: {state}", until.what)
                });
                told.clone_from(&state);
            }
            let passed = started.elapsed();
            if passed >= limit && asked >= ASKED_AT_LEAST {
                let message = format!("not {} after {} s; it is: {state}", until.what, until.limit.as_secs());
                let again = || "run the same command again: it goes on where this run stopped".to_owned();
                return Err(Error::new(ErrorKind::TimedOut, until.operation, until.subject, message)
                    .with_hint(hint.unwrap_or_else(again)));
            }
            let left = limit.saturating_sub(passed).max(if passed < limit { SHORTEST } else { first });
            let pause = first.max(passed / 20).min(left);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.shared.cancel.cancelled() => {
                    let message = format!("interrupted while waiting to be {}; it is: {state}", until.what);
                    return Err(Error::new(ErrorKind::Cancelled, until.operation, until.subject, message)
                        .with_hint("what was begun goes on in the cloud; run the same command again"));
                }
            }
        }
    }
}
