//! The process itself is killed by the system, at each request of its work, before or after the request's effect in turn; and again
//! in its second run. Then the same command runs undisturbed.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use privnet::PlanOptions;
use privnet_integration_tests::census::Census;
use privnet_integration_tests::command::privnet;
use privnet_integration_tests::proxy::{Fault, Proxy};
use privnet_integration_tests::stage::{Fail, Stage, spec};
use privnet_integration_tests::sweep::Sample;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;

use super::sandbox::same;
use super::{Tally, Work, default_file, named};

/// How many times a process is killed and its successor too.
const PAIRS: usize = 4;
/// How many points are tried at once: most of the time of each is waiting, a real second between two looks at the cloud.
const AT_ONCE: usize = 12;
/// Provisioning takes a moment: what a cloud does in minutes is swept elsewhere, and a process waits a real second between two looks.
const SPEED: f64 = 50_000.0;

struct Start {
    applied: Stage,
    work: Work,
    files: tempfile::TempDir,
}

/// How a process ended.
#[derive(Debug)]
enum End {
    Killed,
    By(ExitStatus, String),
}

impl Start {
    async fn of(work: Work) -> Result<Self, Fail> {
        let applied = Stage::open_with(None, |options| options.speed = Some(SPEED)).await?;
        if work != Work::Apply {
            let session = applied.session(spec(&default_file(5432))?, &applied.url("aws"))?;
            let done = session.apply(PlanOptions::default()).await;
            if !done.report.all_done() {
                return Err(format!("{:?}", done.report).into());
            }
        }
        let files = tempfile::tempdir()?;
        std::fs::write(files.path().join("aws.yaml"), default_file(work.port()))?;
        Ok(Self { applied, work, files })
    }

    async fn stage(&self) -> Result<Stage, Fail> {
        let from: Option<&Path> = (self.work != Work::Apply).then(|| self.applied.folder());
        Stage::open_with(from, |options| options.speed = Some(SPEED)).await
    }

    fn line(&self) -> &'static [&'static str] {
        match self.work {
            Work::Apply | Work::Replace => &["apply", "--yes"],
            Work::Destroy => &["destroy", "--yes"],
        }
    }

    /// The command against the cloud at this URL, which may kill it.
    async fn run(&self, url: &str, line: &[&str], proxy: Option<&Proxy>) -> Result<End, Fail> {
        let mut command = privnet(self.files.path());
        command.args(line).args(["aws.yaml", "--output", "json"]).env("AWS_ENDPOINT_URL", url);
        command.env("AWS_ACCESS_KEY_ID", "AKIASANDBOX123456789").env("AWS_SECRET_ACCESS_KEY", "sandbox");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut command = tokio::process::Command::from(command);
        let child = command.kill_on_drop(true).spawn()?;
        let pid = child.id().ok_or("the process is gone already")?;
        let killed = async {
            match proxy {
                Some(proxy) => proxy.kill().cancelled_owned().await,
                None => std::future::pending().await,
            }
        };
        let ended = child.wait_with_output();
        tokio::pin!(ended);
        tokio::select! {
            output = &mut ended => {
                let output = output?;
                let said = [output.stdout, output.stderr].concat();
                return Ok(End::By(output.status, String::from_utf8_lossy(&said).into_owned()));
            }
            () = killed => {}
        }
        // A shell has `kill`; the program of that name is not on every machine. A process that was at its end already needs no killing.
        let kill = format!("kill -KILL {pid}");
        tokio::process::Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status().await?;
        let output = ended.await?;
        Ok(if output.status.code().is_none() { End::Killed } else { End::By(output.status, String::new()) })
    }

    /// One after the other, each process is killed at its point; the last one is not.
    async fn point(
        &self,
        points: &[(usize, Fault)],
        expected: &BTreeSet<String>,
        census: &Mutex<Census>,
    ) -> Result<usize, Fail> {
        let stage = self.stage().await?;
        let mut killed = 0;
        for point in points {
            let proxy = Proxy::start(&stage.url("aws"), vec![*point]).await?;
            let end = self.run(&proxy.url(), self.line(), Some(&proxy)).await?;
            killed += usize::from(matches!(end, End::Killed));
        }
        let url = stage.url("aws");
        self.demand(&url, self.line(), "the run after it").await?;
        let empty: &[&str] = match self.work {
            Work::Apply | Work::Replace => &["plan", "--detailed-exitcode"],
            Work::Destroy => self.line(),
        };
        let planned = self.demand(&url, empty, "planning again").await?;
        let planned: serde_json::Value = serde_json::from_str(&planned)?;
        if planned["actions"].as_array().is_none_or(|actions| !actions.is_empty()) {
            return Err(format!("planning again gives {planned:#}").into());
        }
        // The local cloud is served by these same threads.
        let mut census = census.lock().await;
        same(&tokio::task::block_in_place(|| census.take(&url))?, expected)?;
        Ok(killed)
    }

    async fn demand(&self, url: &str, line: &[&str], what: &str) -> Result<String, Fail> {
        match self.run(url, line, None).await? {
            End::By(status, said) if status.success() => Ok(said),
            other => Err(format!("{what} ended so: {other:?}").into()),
        }
    }
}

/// The points of a work: one at each request, before and after the effect in turn, and pairs.
fn points(work: Work, requests: usize) -> Vec<Vec<(usize, Fault)>> {
    let kinds = [Fault::KillBefore, Fault::KillAfter];
    let mut points: Vec<_> = (0..requests).map(|at| vec![(at, kinds[at % 2])]).collect();
    let mut sample = Sample(work as u64 + 21);
    points.extend((0..PAIRS).map(|_| {
        // The second run does what the first one left: fewer requests that change something, as many that look.
        [0; 2].map(|_| (sample.below(requests), kinds[sample.below(2)])).to_vec()
    }));
    points
}

async fn sweep(work: Work) {
    let census = Arc::new(Mutex::new(Census::start("aws/census.py").unwrap()));
    let start = Arc::new(Start::of(work).await.unwrap());
    let stage = start.stage().await.unwrap();
    let proxy = Proxy::start(&stage.url("aws"), Vec::new()).await.unwrap();
    let undisturbed = start.run(&proxy.url(), start.line(), Some(&proxy)).await.unwrap();
    assert!(matches!(&undisturbed, End::By(status, _) if status.success()), "{undisturbed:?}");
    let (expected, actions) =
        (Arc::new(census.lock().await.take(&stage.url("aws")).unwrap()), proxy.actions());

    let points = points(work, actions.len());
    let (all, doors) = (points.len(), Arc::new(Semaphore::new(AT_ONCE)));
    let mut running = JoinSet::new();
    for point in points {
        let (start, census, expected, doors) =
            (Arc::clone(&start), Arc::clone(&census), Arc::clone(&expected), Arc::clone(&doors));
        let name = named(work, &point, &actions);
        running.spawn(async move {
            let _door = doors.acquire().await.unwrap();
            start.point(&point, &expected, &census).await.map_err(|why| format!("{name}: {why}"))
        });
    }
    let (mut killed, mut failures) = (0, Vec::new());
    while let Some(ended) = running.join_next().await {
        match ended.unwrap() {
            Ok(times) => killed += times,
            Err(why) => failures.push(why),
        }
    }
    assert!(killed >= all - PAIRS, "{killed} of {all} points killed a process");
    let fired = format!("{killed} processes were killed");
    let what = format!("{work:?} by killed processes");
    Tally { what, requests: actions.len(), singles: all - PAIRS, pairs: PAIRS, fired, failures }.conclude();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_may_be_killed() {
    sweep(Work::Apply).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_may_be_killed() {
    sweep(Work::Replace).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destroy_may_be_killed() {
    sweep(Work::Destroy).await;
}
