//! One process that keeps the clouds in agreement with many files.
//!
//! Each deployment has a task, a session and a [`Clock`] of its own: one that is slow, or fails, delays no other. A round plans
//! like `apply`, without `--prune` and without `--sever-connections`, carries the plan out, and decides on pending requests like
//! `accept-pending`. A name that moved is a difference like any other, and follows the same rules: nothing goes before what
//! takes its place is healthy. What a safety rule refuses is told, and nothing is done about it.
//!
//! Files are read again and again; [`WatchedFile`] says what a change leads to. A bad one is told, and the last good text is kept.
//! Where the watch knows how to look for files ([`Watch::look_for`]) those that come later are watched, too.

mod clock;
mod file;
mod newcomers;
mod round;
mod task;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use privnet_core::spec::Spec;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clouds::CloudsError;
use crate::session::Session;

pub use clock::{Clock, Ended, Rhythm};
pub use file::{Kept, Reading, Step, WatchedFile};
use newcomers::{Arrival, Newcomers};
pub use round::{Round, RoundOutcome};

/// How a watch goes about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WatchOptions {
    /// The longest time from the begin of one look at a deployment to the begin of the next, at pace 1.
    pub interval: Duration,
    /// The longest pause after failures, at pace 1.
    pub longest_pause: Duration,
    /// Only look: nothing is changed, nothing is decided.
    pub observe: bool,
    /// How much faster than real time the clouds' time passes ([`Clouds::pace`](crate::Clouds::pace)): intervals are
    /// divided by it.
    pub pace: f64,
    /// How often files are looked at, in real time. A change counts when two looks in a row show it.
    pub reread: Duration,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            longest_pause: Duration::from_secs(15 * 60),
            observe: false,
            pace: 1.0,
            reread: Duration::from_secs(1),
        }
    }
}

impl WatchOptions {
    /// The clouds' rhythm in real time.
    fn rhythm(&self) -> Rhythm {
        let paced = |real: Duration| real.div_f64(self.pace.max(0.001)).max(Duration::from_millis(1));
        Rhythm { interval: paced(self.interval), longest: paced(self.longest_pause) }
    }
}

/// What a watch tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum WatchEvent {
    /// A look at a deployment begins.
    Began {
        /// The deployment.
        deployment: String,
    },
    /// A look at a deployment is over.
    Ended(Box<Round>),
    /// A file changed.
    File {
        /// The deployment.
        deployment: String,
        /// The file.
        file: String,
        /// What that leads to.
        change: FileChange,
    },
    /// A file that came later is not watched.
    Unwatched {
        /// The file.
        file: String,
        /// Why.
        why: Kept,
    },
    /// How many files are there that are not watched; told when that changes.
    Strangers(usize),
}

/// What the change of a file leads to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FileChange {
    /// It came after the watch had begun, and is watched from now on.
    Added,
    /// It is gone by from now on.
    Taken,
    /// It is again what is gone by.
    Back,
    /// The text of before is kept.
    Kept(Kept),
}

impl FileChange {
    /// The word as JSON output has it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Taken => "taken",
            Self::Back => "back",
            Self::Kept(_) => "kept",
        }
    }
}

/// A deployment to be watched.
#[derive(Debug)]
struct Deployment {
    file: WatchedFile,
    /// Absent where it cannot be read again, such as standard input.
    path: Option<std::path::PathBuf>,
    session: Session,
}

type Open = dyn Fn(Spec) -> Result<Session, CloudsError> + Send + Sync;
type See = dyn Fn(&WatchEvent) + Send + Sync;
type LookFor = dyn Fn() -> Vec<PathBuf> + Send + Sync;

/// A watch over deployments.
///
/// ```no_run
/// # async fn example(cancel: privnet::CancellationToken) -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
///
/// use privnet::watch::{Watch, WatchEvent, WatchOptions};
/// use privnet::{AuditFile, Clouds, SessionBuilder, decode};
///
/// let text = std::fs::read_to_string("aws.yaml")?;
/// let spec = decode("aws.yaml", &text).map_err(|errors| format!("{} error(s)", errors.len()))?;
/// let stop = cancel.clone();
/// let open = move |spec| {
///     SessionBuilder::new(spec, Clouds::Real, Arc::new(AuditFile::new("audit.jsonl"))).cancel(stop.clone()).build()
/// };
/// let see = |event: &WatchEvent| {
///     if let WatchEvent::Ended(round) = event {
///         println!("{}: {}", round.deployment, round.outcome().as_str());
///     }
/// };
/// let mut watch = Watch::new(WatchOptions::default(), open, see);
/// watch.add("aws.yaml", Some("aws.yaml".into()), text, spec, &[])?;
/// watch.run(cancel).await; // until it is cancelled
/// # Ok(())
/// # }
/// ```
pub struct Watch {
    options: WatchOptions,
    open: Arc<Open>,
    see: Arc<See>,
    look_for: Option<Arc<LookFor>>,
    /// The services that the watch of a file that comes later is limited to; all, where it names none.
    services: Vec<String>,
    deployments: Vec<Deployment>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("deployments", &self.deployments).finish_non_exhaustive()
    }
}

/// Two watched files declare the same deployment: each would undo what the other does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The deployment is watched already.
    #[error("the deployment `{deployment}` is declared by {first} and by {second}")]
    Twice {
        /// Which.
        deployment: String,
        /// The file that was added first.
        first: String,
        /// The other one.
        second: String,
    },
    /// A session cannot be made.
    #[error("no session can be made for it")]
    Clouds(#[from] CloudsError),
}

impl Watch {
    /// A watch over nothing yet. `open` makes the session for a file, whenever its text is a new one; its sessions must be
    /// cancelled by the token that [`run`](Self::run) gets. `see` is told of everything; it must return soon.
    pub fn new(
        options: WatchOptions,
        open: impl Fn(Spec) -> Result<Session, CloudsError> + Send + Sync + 'static,
        see: impl Fn(&WatchEvent) + Send + Sync + 'static,
    ) -> Self {
        let (open, see) = (Arc::new(open), Arc::new(see));
        Self { options, open, see, look_for: None, services: Vec::new(), deployments: Vec::new() }
    }

    /// Looks for files, too, as often as files are read again: those that this finds and that are not watched are, from when they
    /// are right. Who is watched stays so. `services` limits the watch of these files as in [`add`](Self::add); one that has none of
    /// them is nobody's business, until it has one.
    #[must_use]
    pub fn look_for(
        mut self,
        services: &[String],
        files: impl Fn() -> Vec<PathBuf> + Send + Sync + 'static,
    ) -> Self {
        self.look_for = Some(Arc::new(files));
        self.services = services.to_vec();
        self
    }

    /// Watches this file, too. `path` is where it is read again; `services` limits the watch to some of its services (empty: all).
    ///
    /// # Errors
    /// When its deployment is watched already, or no session can be made for it.
    pub fn add(
        &mut self,
        name: &str,
        path: Option<std::path::PathBuf>,
        text: impl Into<String>,
        spec: Spec,
        services: &[String],
    ) -> Result<(), WatchError> {
        let deployment = spec.deployment.as_str();
        if let Some(other) =
            self.deployments.iter().find(|d| d.session.spec().deployment.as_str() == deployment)
        {
            let first = other.file.name().to_owned();
            return Err(WatchError::Twice {
                deployment: deployment.to_owned(),
                first,
                second: name.to_owned(),
            });
        }
        let file = WatchedFile::new(name, text, &spec, services);
        self.deployments.push(Deployment { file, path, session: (self.open)(spec)? });
        Ok(())
    }

    /// Watches until `cancel` is cancelled. What has begun by then is finished or told. A watch over nothing that does not
    /// [look for files](Self::look_for) either ends at once; one that does waits for the first.
    ///
    /// # Panics
    /// When `see` or `open` does: a deployment is never left unwatched in silence. A fault of privnet within a round does not
    /// panic: it is told as the round's [`fault`](Round::fault).
    pub async fn run(mut self, cancel: CancellationToken) {
        let deployments = std::mem::take(&mut self.deployments);
        let watched = deployments
            .iter()
            .map(|one| (one.session.spec().deployment.to_string(), one.file.name().to_owned()))
            .collect();
        let mut files = Files { watched, newcomers: Newcomers::limited_to(&self.services) };
        let count = u32::try_from(deployments.len()).unwrap_or(u32::MAX);
        let mut tasks = JoinSet::new();
        for (index, deployment) in (0..count).zip(deployments) {
            let clock = Clock::new(self.options.rhythm(), index, count);
            tasks.spawn(self.task(deployment, clock).run(cancel.clone()));
        }
        // Where files are looked for, there may be none yet.
        while !tasks.is_empty() || (self.look_for.is_some() && !cancel.is_cancelled()) {
            tokio::select! {
                biased;
                Some(ended) = tasks.join_next() => {
                    if let Err(error) = ended && let Ok(panic) = error.try_into_panic() {
                        std::panic::resume_unwind(panic);
                    }
                }
                () = cancel.cancelled(), if tasks.is_empty() => return,
                () = tokio::time::sleep(self.options.reread), if self.look_for.is_some() && !cancel.is_cancelled() => {
                    for deployment in self.arrivals(&mut files).await {
                        let clock = Clock::new(self.options.rhythm(), 0, 1);
                        tasks.spawn(self.task(deployment, clock).run(cancel.clone()));
                    }
                }
            }
        }
    }

    fn task(&self, deployment: Deployment, clock: Clock) -> task::Task {
        task::Task {
            options: self.options,
            open: Arc::clone(&self.open),
            see: Arc::clone(&self.see),
            deployment,
            clock,
            started: tokio::time::Instant::now(),
        }
    }

    /// Looks for files that are not watched; the deployments of those that are from now on.
    async fn arrivals(&self, files: &mut Files) -> Vec<Deployment> {
        let Some(look_for) = self.look_for.clone() else { return Vec::new() };
        let found = tokio::task::spawn_blocking(move || look_for()).await.unwrap_or_default();
        let watched: BTreeSet<&str> = files.watched.values().map(String::as_str).collect();
        let mut readings = Vec::new();
        for path in found {
            let name = path.display().to_string();
            if !watched.contains(name.as_str()) {
                readings.push((name, task::read(&path).await));
            }
        }
        let before = files.newcomers.left();
        let arrivals = files.newcomers.look(readings, &files.watched);
        // Who is told of one that is not watched finds it counted already. One that is right counts until it is watched.
        let right = arrivals.iter().filter(|arrival| matches!(arrival, Arrival::Right { .. })).count();
        let left = files.newcomers.left().saturating_sub(right);
        if left != before {
            (self.see)(&WatchEvent::Strangers(left));
        }
        let new = arrivals.into_iter().filter_map(|arrival| self.arrived(arrival, files)).collect();
        if files.newcomers.left() != left {
            (self.see)(&WatchEvent::Strangers(files.newcomers.left()));
        }
        new
    }

    fn arrived(&self, arrival: Arrival, files: &mut Files) -> Option<Deployment> {
        let (name, text, spec) = match arrival {
            Arrival::Right { name, text, spec } => (name, text, spec),
            Arrival::Left { name, why } => {
                self.unwatched(name, why);
                return None;
            }
        };
        let deployment = spec.deployment.to_string();
        let file = WatchedFile::new(name.as_str(), text, &spec, &self.services);
        let session = match (self.open)(*spec) {
            Ok(session) => session,
            Err(error) => {
                self.unwatched(name, Kept::Unusable(error.to_string()));
                return None;
            }
        };
        tracing::info!(deployment, file = name, "a new file is watched");
        files.newcomers.forget(&name);
        files.watched.insert(deployment.clone(), name.clone());
        let path = Some(PathBuf::from(&name));
        (self.see)(&WatchEvent::File { deployment, file: name, change: FileChange::Added });
        Some(Deployment { file, path, session })
    }

    fn unwatched(&self, file: String, why: Kept) {
        tracing::warn!(file, %why, "a new file is not watched");
        (self.see)(&WatchEvent::Unwatched { file, why });
    }
}

/// Which files are watched, by deployment, and what is known of the others.
struct Files {
    watched: BTreeMap<String, String>,
    newcomers: Newcomers,
}
