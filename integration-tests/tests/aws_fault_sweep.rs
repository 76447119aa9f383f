//! The fault sweep: each request of an apply, a replacement and a destroy is spoiled in turn, in each way, and at sampled
//! pairs; then the same command runs again. It must end in the same state, with an empty plan, and a census by boto3 must
//! find exactly what it finds after an undisturbed run.
//!
//! The number of points tried equals the number of recorded requests times the number of faults; the test prints both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test, which says what it tried"
)]

use std::collections::BTreeSet;
use std::path::Path;

use privnet::{PlanOptions, Spec};
use privnet_integration_tests::census::Census;
use privnet_integration_tests::proxy::{Fault, Proxy};
use privnet_integration_tests::stage::{Fail, Stage, spec};

const HEAD: &str = "
version: 1
deployment: sweep
tags: { cost-center: '4711' }
defaults:
  aws:
    account: '123456789012'
    region: us-east-1
    vpc: vpc-0a1b2c3d4e5f60718
    subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
services:
";

fn file(port: u16) -> Result<Spec, Fail> {
    let service = format!(
        "  - name: orders
    allow: {{ fivetran: {{}} }}
    aws:
      database_security_groups: [sg-0ddddddddddddddd4]
      ports: [{{ listen: 5432, port: {port}, engine: postgres, to: {{ ips: [10.0.0.25] }} }}]
"
    );
    spec(&format!("{HEAD}{service}"))
}

/// What is done at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Apply,
    Replace,
    Destroy,
}

impl Work {
    fn options(self) -> PlanOptions {
        PlanOptions { destroy: self == Self::Destroy, ..PlanOptions::default() }
    }

    fn spec(self) -> Result<Spec, Fail> {
        file(if self == Self::Replace { 6432 } else { 5432 })
    }
}

/// The folders of the states that the work starts from.
struct Start {
    applied: Stage,
}

impl Start {
    fn from(&self, work: Work) -> Option<&Path> {
        (work != Work::Apply).then(|| self.applied.folder())
    }
}

/// Does the work through a proxy; `Ok(false)` when the process was killed meanwhile.
async fn do_work(stage: &Stage, work: Work, proxy: &Proxy) -> Result<bool, Fail> {
    let session = stage.session(work.spec()?, &proxy.url())?;
    let kill = proxy.kill();
    tokio::select! {
        _ = session.apply(work.options()) => Ok(true),
        () = kill.cancelled() => Ok(false),
    }
}

/// The state after undisturbed work, and the names of its requests.
async fn undisturbed(
    start: &Start,
    work: Work,
    census: &mut Census,
) -> Result<(BTreeSet<String>, Vec<String>), Fail> {
    let stage = Stage::open(start.from(work)).await?;
    let proxy = Proxy::start(&stage.url("aws"), Vec::new()).await?;
    do_work(&stage, work, &proxy).await?;
    Ok((census.take(&stage.url("aws"))?, proxy.actions()))
}

/// One point: the work with these faults, then the same work again.
async fn point(
    start: &Start,
    work: Work,
    faults: Vec<(usize, Fault)>,
    expected: &BTreeSet<String>,
    census: &mut Census,
) -> Result<(), Fail> {
    let stage = Stage::open(start.from(work)).await?;
    let proxy = Proxy::start(&stage.url("aws"), faults).await?;
    do_work(&stage, work, &proxy).await?;
    drop(proxy);

    let session = stage.session(work.spec()?, &stage.url("aws"))?;
    let again = session.apply(work.options()).await;
    if let Some(error) = again.report.failures().next() {
        return Err(format!("the second run failed: {error}").into());
    }
    if !again.planned.plan.refusals.is_empty() || !again.planned.unreachable.is_empty() {
        return Err(format!(
            "the second run: {:?} {:?}",
            again.planned.plan.refusals, again.planned.unreachable
        )
        .into());
    }
    let empty = session.plan(work.options()).await;
    if !empty.plan.is_empty() {
        return Err(format!("planning again gives {:?}", empty.plan.actions).into());
    }
    let found = census.take(&stage.url("aws"))?;
    if found != *expected {
        let (more, less): (Vec<_>, Vec<_>) =
            (found.difference(expected).collect(), expected.difference(&found).collect());
        return Err(format!("the census finds too much: {more:#?}\nand too little: {less:#?}").into());
    }
    Ok(())
}

/// A small generator, so that the sampled pairs are the same in every run.
struct Sample(u64);

impl Sample {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end.max(1)
    }
}

/// All points of one work.
async fn sweep(work: Work) {
    let mut census = Census::start("aws/census.py").unwrap();
    let applied = Stage::open(None).await.unwrap();
    let session = applied.session(file(5432).unwrap(), &applied.url("aws")).unwrap();
    let done = session.apply(PlanOptions::default()).await;
    assert!(done.report.all_done(), "{:?}", done.report);
    let start = Start { applied };

    let (expected, actions) = undisturbed(&start, work, &mut census).await.unwrap();
    let mut points: Vec<Vec<(usize, Fault)>> = Vec::new();
    for at in 0..actions.len() {
        points.extend(Fault::ALL.map(|fault| vec![(at, fault)]));
    }
    let singles = points.len();
    assert!(singles > 0 && singles == actions.len() * Fault::ALL.len(), "a point for each request and fault");
    let mut sample = Sample(work as u64 + 1);
    for _ in 0..24 {
        let pair = [0; 2].map(|_| (sample.below(actions.len()), Fault::ALL[sample.below(Fault::ALL.len())]));
        points.push(pair.to_vec());
    }
    let (tried, mut failures) = (points.len(), Vec::new());
    for faults in points {
        if let Err(why) = point(&start, work, faults.clone(), &expected, &mut census).await {
            let names: Vec<_> =
                faults.iter().map(|(at, fault)| format!("{fault:?} at {at} {}", actions[*at])).collect();
            failures.push(format!("{work:?}, {}: {why}", names.join(" and ")));
        }
    }
    println!(
        "fault sweep, {work:?}: {} requests, {singles} single points and {} pairs tried, {} passed",
        actions.len(),
        tried - singles,
        tried - failures.len()
    );
    assert!(
        failures.is_empty(),
        "{} failures, the first: {:#?}",
        failures.len(),
        &failures[..failures.len().min(5)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_an_apply_may_be_spoiled() {
    sweep(Work::Apply).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_a_replacement_may_be_spoiled() {
    sweep(Work::Replace).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_a_destroy_may_be_spoiled() {
    sweep(Work::Destroy).await;
}
