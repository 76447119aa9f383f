//! The process `privnet` is killed by the system, at requests of its work, before or after the request's effect; and again in its
//! second run. Then the same command runs undisturbed: it must end in the same state, with an empty plan.

#![allow(clippy::unwrap_used, reason = "test machinery")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use privnet::PlanOptions;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;

use crate::census::Census;
use crate::command::privnet;
use crate::killed::Found;
use crate::proxy::{Fault, Proxy, is_read};
use crate::stage::{Fail, Stage, spec};
use crate::sweep::{Sample, same};

/// How many times a process is killed and its successor too.
const PAIRS: usize = 4;
/// How many times a point is tried until a process is killed at it.
const TRIES: usize = 4;
/// How many points are tried at once: most of the time of each is waiting, a real second between two looks at the cloud.
const AT_ONCE: usize = 12;
/// Provisioning takes a moment: what a cloud does in minutes is swept elsewhere, and a process waits a real second between two looks.
const SPEED: f64 = 50_000.0;

/// A cloud as a process finds it.
#[derive(Clone, Copy, Debug)]
pub struct Cloud {
    /// Its name, which is that of its folder of scripts and of its file.
    pub name: &'static str,
    /// The variables that lead a process to a URL.
    pub environment: fn(&str) -> Vec<(&'static str, String)>,
}

/// AWS, by the variables of its own SDK.
pub const AWS: Cloud = Cloud {
    name: "aws",
    environment: |url| {
        let key = [("AWS_ACCESS_KEY_ID", "AKIASANDBOX123456789"), ("AWS_SECRET_ACCESS_KEY", "sandbox")];
        key.into_iter()
            .chain([("AWS_ENDPOINT_URL", url)])
            .map(|(name, value)| (name, value.to_owned()))
            .collect()
    },
};

/// Azure, by privnet's own.
pub const AZURE: Cloud =
    Cloud { name: "azure", environment: |url| local("PRIVNET_AZURE_RESOURCE_MANAGER_URL", url) };

/// GCP, by privnet's own.
pub const GCP: Cloud = Cloud { name: "gcp", environment: |url| local("PRIVNET_GCP_COMPUTE_URL", url) };

fn local(variable: &'static str, url: &str) -> Vec<(&'static str, String)> {
    vec![(variable, url.to_owned()), ("PRIVNET_INSECURE_LOOPBACK_CREDENTIALS", "1".to_owned())]
}

/// At which requests a process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// At each one, before and after the effect in turn.
    Each,
    /// At each one that changes something, before and after the effect in turn.
    WritesInTurn,
}

/// What is done at each point.
#[derive(Debug)]
struct Work {
    /// Its name, for people.
    what: &'static str,
    cloud: Cloud,
    /// The file that was applied before; nothing where the work is the first.
    before: Option<String>,
    /// The file that it is done with.
    file: String,
    /// Whether it takes everything away.
    destroy: bool,
    at: At,
}

/// What a cloud's services live through, each step by processes that are killed.
#[derive(Debug)]
pub struct Life {
    /// The cloud.
    pub cloud: Cloud,
    /// The file that is applied, and taken away.
    pub file: String,
    /// An edit of it that replaces what was made.
    pub edited: String,
    /// Where the processes are killed.
    pub at: At,
}

impl Life {
    /// Everything is made.
    ///
    /// # Panics
    /// Where a point fails, or too few processes were killed.
    pub async fn apply(self) {
        let Self { cloud, file, at, .. } = self;
        sweep(Work { what: "an apply", cloud, before: None, file, destroy: false, at }).await;
    }

    /// What was made is replaced.
    ///
    /// # Panics
    /// As for `apply`.
    pub async fn replace(self) {
        let Self { cloud, file, edited, at } = self;
        let before = Some(file);
        sweep(Work { what: "a replacement", cloud, before, file: edited, destroy: false, at }).await;
    }

    /// Everything is taken away.
    ///
    /// # Panics
    /// As for `apply`.
    pub async fn destroy(self) {
        let Self { cloud, file, at, .. } = self;
        let before = Some(file.clone());
        sweep(Work { what: "a destroy", cloud, before, file, destroy: true, at }).await;
    }
}

/// The tests of such a life, which an expression gives: one for each step, since they go side by side.
#[macro_export]
macro_rules! kills {
    ($life:expr) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn an_apply_may_be_killed() {
            $life.apply().await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn a_replacement_may_be_killed() {
            $life.replace().await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn a_destroy_may_be_killed() {
            $life.destroy().await;
        }
    };
}

/// How a process ended.
#[derive(Debug)]
pub enum End {
    /// The system killed it.
    Killed,
    /// It ended with this status, and said this.
    By(ExitStatus, String),
}

impl End {
    /// What it said, where it succeeded.
    ///
    /// # Errors
    /// How it ended otherwise.
    pub fn succeeded(self, what: &str) -> Result<String, Fail> {
        match self {
            Self::By(status, said) if status.success() => Ok(said),
            other => Err(format!("{what} ended so: {other:?}").into()),
        }
    }
}

/// The file that the command is about, in the folder that it runs in.
pub const FILE: &str = "file.yaml";

/// Runs the command over [`FILE`] in a folder, with JSON as its output. A proxy may have it killed.
///
/// # Errors
/// When no process can be had.
pub async fn command(
    folder: &Path,
    environment: Vec<(&'static str, String)>,
    line: &[&str],
    proxy: Option<&Proxy>,
) -> Result<End, Fail> {
    let mut command = privnet(folder);
    command.args(line).args([FILE, "--output", "json"]).envs(environment);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut command = tokio::process::Command::from(command);
    let mut child = command.kill_on_drop(true).spawn()?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let killed = async {
        match proxy {
            Some(proxy) => proxy.kill().cancelled_owned().await,
            None => std::future::pending().await,
        }
    };
    // What it says is read while it runs: it would wait for a reader of a pipe that is full.
    let ended = async { tokio::join!(read(out), read(err), child.wait()) };
    let ended = tokio::select! {
        ended = ended => Some(ended),
        () = killed => None,
    };
    if let Some((out, err, status)) = ended {
        let said = [out?, err?].concat();
        return Ok(End::By(status?, String::from_utf8_lossy(&said).into_owned()));
    }
    // Nothing comes between the request and the signal: the process could go on meanwhile. One that was at its end already needs none.
    let _ = child.start_kill();
    let status = child.wait().await?;
    Ok(if status.code().is_none() { End::Killed } else { End::By(status, String::new()) })
}

/// Demands that a plan, or the report of a run, has no action.
///
/// # Errors
/// When it has one.
pub fn nothing_to_do(said: &str) -> Result<(), Fail> {
    let planned: serde_json::Value = serde_json::from_str(said)?;
    if planned["actions"].as_array().is_none_or(|actions| !actions.is_empty()) {
        return Err(format!("planning again gives {planned:#}").into());
    }
    Ok(())
}

/// A census, and the address that it asks: clients that are made once are asked for every point.
struct Counted {
    census: Census,
    door: Proxy,
}

impl Counted {
    /// What is in the cloud at this URL. The local cloud is served by these same threads.
    fn take(&mut self, url: &str) -> std::io::Result<BTreeSet<String>> {
        self.door.turn_to(url, Vec::new());
        tokio::task::block_in_place(|| self.census.take(&self.door.url()))
    }
}

struct Start {
    applied: Stage,
    work: Work,
    files: tempfile::TempDir,
}

impl Start {
    async fn of(work: Work) -> Result<Self, Fail> {
        let applied = Stage::open_with(None, |options| options.speed = Some(SPEED)).await?;
        if let Some(before) = &work.before {
            let session = applied.session_at(spec(before)?, |_| {})?;
            let done = session.apply(PlanOptions::default()).await;
            if !done.report.all_done() {
                return Err(format!("{:?}", done.report).into());
            }
        }
        let files = tempfile::tempdir()?;
        std::fs::write(files.path().join(FILE), &work.file)?;
        Ok(Self { applied, work, files })
    }

    async fn stage(&self) -> Result<Stage, Fail> {
        let from: Option<&Path> = self.work.before.as_ref().map(|_| self.applied.folder());
        Stage::open_with(from, |options| options.speed = Some(SPEED)).await
    }

    fn url(&self, stage: &Stage) -> String {
        stage.url(self.work.cloud.name)
    }

    fn line(&self) -> &'static [&'static str] {
        if self.work.destroy { &["destroy", "--yes"] } else { &["apply", "--yes"] }
    }

    /// The command against the cloud at this URL, which may kill it.
    async fn run(&self, url: &str, line: &[&str], proxy: Option<&Proxy>) -> Result<End, Fail> {
        command(self.files.path(), (self.work.cloud.environment)(url), line, proxy).await
    }

    /// One after the other, each process is killed at its point; the last one is not. It says how many were killed.
    async fn point(
        &self,
        points: &[(usize, Fault)],
        expected: &BTreeSet<String>,
        census: &Mutex<Counted>,
    ) -> Result<usize, Fail> {
        let (stage, killed) = self.killed(points).await?;
        let url = self.url(&stage);
        self.demand(&url, self.line(), "the run after it").await?;
        let empty: &[&str] = if self.work.destroy { self.line() } else { &["plan", "--detailed-exitcode"] };
        let planned = self.demand(&url, empty, "planning again").await?;
        nothing_to_do(&planned)?;
        same(&census.lock().await.take(&url)?, expected)?;
        Ok(killed)
    }

    /// Kills processes in a fresh world, until one is killed there: a run may look less often than the recorded one, when the cloud is ready
    /// sooner, and be over before its point. Then it is tried again at the last request that came.
    async fn killed(&self, points: &[(usize, Fault)]) -> Result<(Stage, usize), Fail> {
        let mut points = points.to_vec();
        let mut tries = 0;
        loop {
            let stage = self.stage().await?;
            let mut killed = 0;
            for (at, fault) in &mut points {
                let proxy = Proxy::start(&self.url(&stage), vec![(*at, *fault)]).await?;
                let end = self.run(&proxy.url(), self.line(), Some(&proxy)).await?;
                killed += usize::from(matches!(end, End::Killed));
                if !proxy.idle().is_empty() {
                    *at = proxy.actions().len().saturating_sub(1);
                }
            }
            tries += 1;
            if killed > 0 || tries == TRIES {
                return Ok((stage, killed));
            }
        }
    }

    async fn demand(&self, url: &str, line: &[&str], what: &str) -> Result<String, Fail> {
        self.run(url, line, None).await?.succeeded(what)
    }
}

/// All that comes from a pipe of a process.
async fn read(pipe: Option<impl tokio::io::AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    if let Some(mut pipe) = pipe {
        tokio::io::AsyncReadExt::read_to_end(&mut pipe, &mut all).await?;
    }
    Ok(all)
}

/// The points of a work with these requests: single ones, and pairs.
fn points(at: At, actions: &[String]) -> Vec<Vec<(usize, Fault)>> {
    let kinds = [Fault::KillBefore, Fault::KillAfter];
    let places: Vec<usize> = match at {
        At::Each => (0..actions.len()).collect(),
        At::WritesInTurn => (0..actions.len()).filter(|nth| !is_read(&actions[*nth])).collect(),
    };
    let mut points: Vec<Vec<(usize, Fault)>> =
        places.iter().enumerate().map(|(nth, place)| vec![(*place, kinds[nth % 2])]).collect();
    let mut sample = Sample(actions.len() as u64);
    points.extend((0..PAIRS).map(|_| {
        // The second run does what the first one left: fewer requests that change something, as many that look.
        [0; 2].map(|_| (places[sample.below(places.len())], kinds[sample.below(2)])).to_vec()
    }));
    points
}

fn named(points: &[(usize, Fault)], actions: &[String]) -> String {
    let action = |at: usize| actions.get(at).map_or("", String::as_str);
    let names: Vec<_> =
        points.iter().map(|(at, fault)| format!("{fault:?} at {at} {}", action(*at))).collect();
    names.join(" and ")
}

/// All points of a work; it says how many were tried.
async fn sweep(work: Work) {
    let (what, cloud, at) = (work.what, work.cloud.name, work.at);
    let census = Census::start(format!("{cloud}/census.py")).unwrap();
    let start = Arc::new(Start::of(work).await.unwrap());
    let stage = start.stage().await.unwrap();
    let proxy = Proxy::start(&start.url(&stage), Vec::new()).await.unwrap();
    let undisturbed = start.run(&proxy.url(), start.line(), Some(&proxy)).await.unwrap();
    assert!(matches!(&undisturbed, End::By(status, _) if status.success()), "{undisturbed:?}");
    let url = start.url(&stage);
    let mut counted = Counted { census, door: Proxy::start(&url, Vec::new()).await.unwrap() };
    let (expected, actions) = (Arc::new(counted.take(&url).unwrap()), proxy.actions());
    let census = Arc::new(Mutex::new(counted));

    let points = points(at, &actions);
    let (all, doors) = (points.len(), Arc::new(Semaphore::new(AT_ONCE)));
    assert!(all > PAIRS, "{actions:#?}");
    let mut running = JoinSet::new();
    for point in points {
        let (start, census, expected, doors) =
            (Arc::clone(&start), Arc::clone(&census), Arc::clone(&expected), Arc::clone(&doors));
        let name = named(&point, &actions);
        running.spawn(async move {
            let _door = doors.acquire().await.unwrap();
            let tried = start.point(&point, &expected, &census).await;
            (point.len(), tried.map_err(|why| format!("{name}: {why}")), name)
        });
    }
    let mut found = Found::default();
    while let Some(ended) = running.join_next().await {
        let (faults, tried, name) = ended.unwrap();
        found.note(faults, tried, name);
    }
    crate::tell!(
        "fault sweep on {cloud}, {what} by killed processes: {} requests, {} single points and {PAIRS} pairs tried, {}",
        actions.len(),
        all - PAIRS,
        found.told()
    );
    found.check(all).unwrap();
}
