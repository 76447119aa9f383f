//! The process itself is killed by the system while it works on moto, at a sample of the requests that change something.

use privnet_integration_tests::census::Census;
use privnet_integration_tests::kills::{AWS, End, FILE, command, nothing_to_do};
use privnet_integration_tests::moto::Copy;
use privnet_integration_tests::proxy::{Fault, Proxy, is_read};
use privnet_integration_tests::stage::Fail;
use privnet_integration_tests::sweep::{Faults, Recorded, Sample, same};

use super::moto::Start;
use super::{Work, named};

/// How many processes are killed in each work.
const POINTS: usize = 3;

/// A work on moto by processes.
struct Killed {
    start: Start,
    folder: tempfile::TempDir,
    line: &'static [&'static str],
}

impl Killed {
    async fn of(work: Work) -> Result<Self, Fail> {
        let (start, folder) = (Start::of(work).await?, tempfile::tempdir()?);
        std::fs::write(folder.path().join(FILE), start.file(work.port())?)?;
        let line: &[&str] = match work {
            Work::Destroy => &["destroy", "--yes", "--sever-connections"],
            Work::Apply | Work::Replace => &["apply", "--yes"],
        };
        Ok(Self { start, folder, line })
    }

    async fn run(&self, url: &str, line: &[&str], proxy: Option<&Proxy>) -> Result<End, Fail> {
        command(self.folder.path(), (AWS.environment)(url), line, proxy).await
    }

    /// The process is killed, and the same command runs again: it ends as if nothing had been, with nothing left to do.
    /// Nothing where the request never came: how often a state is asked for differs from run to run.
    async fn point(&self, faults: Faults) -> Result<Option<Copy>, Fail> {
        let world = self.start.moto.copy()?;
        let proxy = Proxy::start_at(&world.url, faults).await?;
        match self.run(&proxy.url(), self.line, Some(&proxy)).await? {
            End::Killed => {}
            End::By(..) => return Ok(None),
        }
        self.run(&world.url, self.line, None).await?.succeeded("the run after it")?;
        let empty: &[&str] =
            if self.line[0] == "destroy" { self.line } else { &["plan", "--detailed-exitcode"] };
        nothing_to_do(&self.run(&world.url, empty, None).await?.succeeded("planning again")?)?;
        Ok(Some(world))
    }
}

async fn sweep(work: Work) {
    let killed = Killed::of(work).await.unwrap();
    let mut census = Census::start_without("aws/census.py", &["notifications"]).unwrap();
    let world = killed.start.moto.copy().unwrap();
    let proxy = Proxy::start(&world.url, Vec::new()).await.unwrap();
    killed.run(&proxy.url(), killed.line, None).await.unwrap().succeeded("undisturbed work").unwrap();
    let (expected, recorded) = (census.take(&world.url).unwrap(), Recorded(proxy.requests()));

    let writes: Vec<usize> = (0..recorded.0.len()).filter(|at| !is_read(&recorded.0[*at].action)).collect();
    let mut sample = Sample(work as u64 + 31);
    let mut killed_at = 0;
    for nth in 0..POINTS * 3 {
        let fault = [Fault::KillBefore, Fault::KillAfter][nth % 2];
        let faults = vec![recorded.spoil(writes[sample.below(writes.len())], fault).unwrap()];
        let name = named(work, &faults);
        let tried = killed.point(faults).await.unwrap_or_else(|why| panic!("{name}: {why}"));
        let Some(world) = tried else { continue };
        killed_at += 1;
        same(&census.take(&world.url).unwrap(), &expected).unwrap_or_else(|why| panic!("{name}: {why}"));
        if killed_at == POINTS {
            break;
        }
    }
    assert_eq!(killed_at, POINTS, "so many processes were killed");
    privnet_integration_tests::tell!(
        "fault sweep, {work:?} on moto by killed processes: {} requests, {POINTS} of {} writes tried",
        recorded.0.len(),
        writes.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_on_moto_may_be_killed() {
    sweep(Work::Apply).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_on_moto_may_be_killed() {
    sweep(Work::Replace).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destroy_on_moto_may_be_killed() {
    sweep(Work::Destroy).await;
}
