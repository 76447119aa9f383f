//! `privnet watch`: keeps clouds in agreement with files until it is stopped.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use privnet::watch::{Round, Watch, WatchError, WatchEvent, WatchOptions};
use tokio_util::sync::CancellationToken;

use super::Shell;
use crate::args::Which;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::monitor::{Monitor, Server};
use crate::output::Output;
use crate::progress::Progress;
use crate::render::{Changed, Watching, headline, round_text, watch_json};

/// How many actions of one deployment are carried out at once.
const PARALLELISM: usize = 16;

/// How the command was asked to go about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) interval: Duration,
    pub(crate) observe: bool,
    pub(crate) listen: Option<SocketAddr>,
}

pub(crate) async fn run(shell: &Shell, which: &Which, manner: Manner) -> Result<Exit, Failure> {
    let paths = files::find(which, Path::new("."))?;
    let sources = files::read(&paths)?;
    let specs = files::decode_or_fail(&sources)?;
    files::check_services(which, &specs)?;
    let deployments: Vec<(String, String)> = specs
        .iter()
        .zip(&sources)
        .map(|(spec, source)| (spec.deployment.to_string(), source.name.clone()))
        .collect();

    let server = match manner.listen {
        Some(address) => Some(Server::bind(address).await?),
        None => None,
    };
    let monitor = Arc::new(Monitor::new(deployments.iter().map(|(name, _)| name.clone())));
    let teller = Teller {
        output: shell.output,
        progress: shell.progress.clone(),
        every_round: shell.global.verbose > 0,
        monitor: Arc::clone(&monitor),
        told: Mutex::default(),
    };
    let options = WatchOptions {
        interval: manner.interval,
        observe: manner.observe,
        pace: shell.world.pace(),
        ..WatchOptions::default()
    };
    let sessions = shell.world.sessions(which.services.clone(), PARALLELISM, shell.progress.events());
    let mut watch = Watch::new(options, sessions, move |event| teller.see(event));
    for ((path, source), spec) in paths.iter().zip(&sources).zip(specs) {
        let again: Option<PathBuf> = (path != Path::new("-")).then(|| path.clone());
        watch.add(&source.name, again, source.text.as_str(), spec, &which.services).map_err(failure)?;
    }
    let watching = Watching {
        deployments: &deployments,
        interval: manner.interval.div_f64(options.pace),
        observe: manner.observe,
        listen: server.as_ref().map(Server::address),
    };
    begin(shell, &watching);

    let stop = CancellationToken::new();
    let serving = server.map(|server| tokio::spawn(server.serve(monitor, stop.clone())));
    watch.run(shell.world.cancel.clone()).await;
    stop.cancel();
    if let Some(serving) = serving {
        let _ = serving.await;
    }
    let terminated = shell.world.is_terminated();
    end(shell, terminated);
    Ok(if terminated { Exit::Done } else { Exit::Interrupted })
}

fn failure(error: WatchError) -> Failure {
    match error {
        WatchError::Clouds(error) => error.into(),
        WatchError::Twice { .. } => Failure::file(error.to_string()),
    }
}

fn begin(shell: &Shell, watching: &Watching<'_>) {
    if shell.output.is_json() {
        shell.output.line(&watching.json(Timestamp::now()));
    } else if !shell.global.quiet {
        shell.output.remark(&watching.text());
    }
}

fn end(shell: &Shell, terminated: bool) {
    let why = if terminated { "terminated" } else { "interrupted" };
    if shell.output.is_json() {
        let time = Timestamp::now().to_string();
        shell.output.line(&serde_json::json!({"event": "stopped", "time": time, "why": why}));
    } else if !shell.global.quiet {
        shell.output.remark("stopped; the next watch or apply goes on from here");
    }
}

/// Tells of a watch: to standard output and to the monitor.
struct Teller {
    output: Output,
    progress: Progress,
    every_round: bool,
    monitor: Arc<Monitor>,
    /// How each deployment was last told to stand.
    told: Mutex<BTreeMap<String, String>>,
}

impl Teller {
    fn see(&self, event: &WatchEvent) {
        self.monitor.see(event);
        match event {
            WatchEvent::Began { .. } => {}
            WatchEvent::Ended(round) if self.output.is_json() => self.output.line(&watch_json(round)),
            WatchEvent::Ended(round) => self.round(round),
            WatchEvent::File { deployment, file, change } => {
                let changed = Changed { deployment, file, change };
                if self.output.is_json() {
                    self.output.line(&changed.json(Timestamp::now()));
                } else {
                    self.say(&changed.text(Timestamp::now(), self.output.paint()));
                }
            }
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
            self.say(&format!("{}{}{standing}", headline(round, paint), text.happened));
        }
    }

    fn say(&self, text: &str) {
        self.progress.aside(|| self.output.raw(text.as_bytes()));
    }
}
