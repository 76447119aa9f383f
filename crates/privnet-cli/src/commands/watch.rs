//! `privnet watch`: keeps clouds in agreement with files until it is stopped.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use privnet::Spec;
use privnet::watch::{Round, Watch, WatchError, WatchEvent, WatchOptions};
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, Shell};
use crate::args::Which;
use crate::errors::Errors;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files::{self, LeftOut, Source};
use crate::lines::Lines;
use crate::monitor::{Monitor, Server};
use crate::output::Output;
use crate::progress::Progress;
use crate::render::{Changed, Unwatched, Watching, headline, lost_json, lost_text, round_text, watch_json};

/// How many actions of one deployment are carried out at once.
const PARALLELISM: usize = 16;

/// So long a round waits for new machines to become healthy: requests are to be decided, and other services mended, meanwhile. The next
/// round goes on with them.
const HEALTHY_WITHIN: Duration = Duration::from_secs(60);

/// How the command was asked to go about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) interval: Duration,
    pub(crate) observe: bool,
    pub(crate) listen: Option<SocketAddr>,
}

pub(crate) async fn run(shell: &Shell, which: &Which, manner: Manner) -> Result<Exit, Failure> {
    let watched = here(shell, which)?;
    let deployments: Vec<(String, String)> =
        watched.iter().map(|(_, source, spec)| (spec.deployment.to_string(), source.name.clone())).collect();
    let server = match manner.listen {
        Some(address) => Some(Server::bind(address).await?),
        None => None,
    };
    let monitor = Arc::new(Monitor::new(deployments.iter().map(|(name, _)| name.clone())));
    let lines = Arc::new(lines(shell.output, shell.progress.clone()));
    let teller = Teller {
        output: shell.output,
        lines: Arc::clone(&lines),
        every_round: shell.global.verbose > 0,
        monitor: Arc::clone(&monitor),
        told: Mutex::default(),
    };
    let watch = watch_over(shell, which, &manner, watched, teller)?;
    let watching = Watching {
        deployments: &deployments,
        interval: manner.interval,
        observe: manner.observe,
        services: &which.services,
        listen: server.as_ref().map(Server::address),
    };
    begin(shell, &lines, &watching);

    let stop = CancellationToken::new();
    let serving = server.map(|server| tokio::spawn(server.serve(monitor, stop.clone())));
    watch.run(shell.world.cancel.clone()).await;
    stop.cancel();
    if let Some(serving) = serving {
        let _ = serving.await;
    }
    let terminated = shell.world.is_terminated();
    end(shell, &lines, terminated);
    Ok(if terminated { Exit::Done } else { Exit::Interrupted })
}

/// The files to begin with.
fn here(shell: &Shell, which: &Which) -> Result<Vec<Watched>, Failure> {
    let found = files::find_if_any(which, Path::new("."))?;
    for left_out in found.left_out.iter().filter(|left_out| !left_out.is_unreadable()) {
        shell.errors.remark(&left_out.warning());
    }
    files::demand_regular(&found.paths)?;
    let sources = files::read(&found.paths)?;
    let specs = files::decode_or_fail(&sources)?;
    if !specs.is_empty() {
        // The first file that comes may have them.
        files::check_services(which, &specs)?;
    }
    let all = found.paths.into_iter().zip(sources).zip(specs);
    let mut watched: Vec<Watched> = all.map(|((path, source), spec)| (path, source, spec)).collect();
    if which.files.is_empty() {
        // As of those that come later.
        watched.retain(|(_, _, spec)| has_a_service(spec, &which.services));
    }
    Ok(watched)
}

/// The watch over these files; without FILE also over those that come later.
fn watch_over(
    shell: &Shell,
    which: &Which,
    manner: &Manner,
    watched: Vec<Watched>,
    teller: Teller,
) -> Result<Watch, Failure> {
    let options = WatchOptions {
        interval: manner.interval,
        observe: manner.observe,
        pace: shell.world.pace(),
        ..WatchOptions::default()
    };
    let builders = shell.world.builders(which.services.clone(), PARALLELISM, shell.progress.events());
    let sessions = move |spec| builders(spec).patience(HEALTHY_WITHIN).build();
    let mut watch = Watch::new(options, sessions, move |event| teller.see(event));
    if which.files.is_empty() {
        watch = watch.look_for(&which.services, newcomers(which.clone(), shell.errors.clone()));
    }
    for (path, source, spec) in watched {
        let again = Some(path).filter(|path| path != Path::new("-"));
        watch.add(&source.name, again, source.text, spec, &which.services).map_err(failure)?;
    }
    Ok(watch)
}

/// The files that are here at each look. What is left out of them is told once: again only when it is so for another reason. One that cannot be
/// read may be meant: the watch looks into it like into any other, tells of it and counts it.
fn newcomers(which: Which, errors: Errors) -> impl Fn() -> Vec<PathBuf> + Send + Sync + 'static {
    let here = move || {
        let found = files::look(&which, Path::new(".")).unwrap_or_default();
        let (unreadable, left_out): (Vec<_>, Vec<_>) =
            found.left_out.into_iter().partition(LeftOut::is_unreadable);
        let paths = found.paths.into_iter().chain(unreadable.into_iter().map(|left_out| left_out.path));
        (paths.collect::<Vec<_>>(), left_out)
    };
    // What was there from the beginning was told then.
    let told = Mutex::new(here().1);
    move || {
        let (paths, found) = here();
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        for left_out in found.iter().filter(|left_out| !told.contains(left_out)) {
            errors.remark(&left_out.warning());
        }
        *told = found;
        paths
    }
}

/// A file to watch: where it is, what it is called and says, and what that means.
type Watched = (PathBuf, Source, Spec);

/// Whether a file has one of these services; if none is named each has.
fn has_a_service(spec: &Spec, services: &[String]) -> bool {
    services.is_empty() || services.iter().any(|name| spec.service(name).is_some())
}

fn failure(error: WatchError) -> Failure {
    match error {
        WatchError::Clouds(error) => error.into(),
        other => Failure::file(other.to_string()),
    }
}

/// What is said on standard output is written by a thread of its own: a reader who does not read delays no deployment.
fn lines(output: Output, progress: Progress) -> Lines {
    // Progress stands in the way on a terminal only.
    let shared = std::io::stdout().is_terminal();
    let write = move |bytes: &[u8]| {
        if shared {
            progress.aside(|| output.raw(bytes));
        } else {
            output.raw(bytes);
        }
    };
    let lost = move |count| {
        let (now, json) = (Timestamp::now(), output.is_json());
        if json { line(&lost_json(count, now)) } else { lost_text(count, now, output.paint()).into_bytes() }
    };
    Lines::new(write, lost)
}

fn line(object: &serde_json::Value) -> Vec<u8> {
    format!("{object}\n").into_bytes()
}

fn begin(shell: &Shell, lines: &Lines, watching: &Watching<'_>) {
    if shell.output.is_json() {
        lines.put(line(&watching.json(Timestamp::now())));
    } else if !shell.global.quiet {
        shell.errors.remark(&watching.text());
    }
}

fn end(shell: &Shell, lines: &Lines, terminated: bool) {
    let why = if terminated { "terminated" } else { "interrupted" };
    let mut last = Vec::new();
    if shell.output.is_json() {
        let time = Timestamp::now().to_string();
        last = line(&serde_json::json!({"event": "stopped", "time": time, "why": why}));
    }
    lines.end(last, PATIENCE);
    if !shell.output.is_json() && !shell.global.quiet {
        shell.errors.remark("stopped; the next watch or apply goes on from here");
    }
}

/// Tells of a watch: to standard output and to the monitor.
struct Teller {
    output: Output,
    lines: Arc<Lines>,
    every_round: bool,
    monitor: Arc<Monitor>,
    /// How each deployment was last told to stand.
    told: Mutex<BTreeMap<String, String>>,
}

impl Teller {
    fn see(&self, event: &WatchEvent) {
        self.monitor.see(event);
        match event {
            WatchEvent::Ended(round) if self.output.is_json() => self.put(line(&watch_json(round))),
            WatchEvent::Ended(round) => self.round(round),
            WatchEvent::File { deployment, file, change } => {
                let changed = Changed { deployment, file, change };
                self.put(if self.output.is_json() {
                    line(&changed.json(Timestamp::now()))
                } else {
                    changed.text(Timestamp::now(), self.output.paint()).into_bytes()
                });
            }
            WatchEvent::Unwatched { file, why } => {
                let unwatched = Unwatched { file, why };
                self.put(if self.output.is_json() {
                    line(&unwatched.json(Timestamp::now()))
                } else {
                    unwatched.text(Timestamp::now(), self.output.paint()).into_bytes()
                });
            }
            _ => {}
        }
    }

    /// A round is told when something happened in it, and when things stand otherwise than before.
    fn round(&self, round: &Round) {
        let paint = self.output.paint();
        let text = round_text(round, paint);
        // The outcome belongs to how things stand, but for "mended", which agrees from then on.
        let calm = privnet::watch::RoundOutcome::Agrees.as_str();
        let word = if text.happened.is_empty() { round.outcome().as_str() } else { calm };
        let stands = format!("{word}\n{}", text.standing);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let as_before =
            told.insert(round.deployment.clone(), stands.clone()).is_some_and(|last| last == stands);
        let standing = if as_before && !self.every_round { "" } else { text.standing.as_str() };
        if self.every_round || !as_before || !text.happened.is_empty() {
            self.put(format!("{}{}{standing}", headline(round, paint), text.happened).into_bytes());
        }
    }

    fn put(&self, message: Vec<u8>) {
        if !self.lines.put(message) {
            self.monitor.lost();
        }
    }
}
