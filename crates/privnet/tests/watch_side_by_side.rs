//! A watch over deployments side by side, on a cloud that hangs, breaks, or does neither.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
// A cloud of one's own is written with this crate alone.
use privnet::watch::{RoundOutcome, Watch, WatchEvent, WatchOptions};
use privnet::{
    Address, Applied, AuditEntry, AuditLog, Bucket, Call, CancellationToken, Clouds, Context, Error, Handled,
    Handoff, Limiter, Lowered, ObserveRequest, Provider, Replay, Scope, Service, ServiceIntent,
    ServicePolicy, SessionBuilder, Spec, Step, World, decode,
};

/// A cloud on which `slow` never answers, `broken` meets a fault of privnet, and everybody else asks five times.
#[derive(Default)]
struct Odd {
    asked: AtomicUsize,
}

/// What the cloud allows of its one account.
const RATE: f64 = 10.0;

#[async_trait]
impl Provider for Odd {
    fn handles(&self) -> Handled {
        Handled { cloud: "aws", kinds: &[] }
    }

    fn lower(&self, _: &Spec, service: &Service, _: &World) -> Lowered {
        let name = service.name.to_string();
        let policy = ServicePolicy { service: name.clone(), consumers: Vec::new(), shared: false };
        let exposed = Address::new(name.as_str(), "endpoint-service", "main");
        let intent = ServiceIntent {
            name,
            cloud: "aws",
            scope: Scope("aws".to_owned()),
            remove: false,
            policy,
            exposed,
            listens: BTreeSet::new(),
        };
        Lowered {
            intent,
            resources: Vec::new(),
            waits: Vec::new(),
            refusals: Vec::new(),
            warnings: Vec::new(),
        }
    }

    async fn observe(&self, request: ObserveRequest<'_>, context: &Context) -> Result<World, Error> {
        match request.spec.deployment.as_str() {
            "slow" => std::future::pending().await,
            "broken" => panic!("an index out of bounds"),
            _ => {}
        }
        let bucket = Bucket { key: "aws/123456789012/us-east-1/all".to_owned(), size: 5.0, per_second: RATE };
        for _ in 0..5 {
            let send = || async {
                self.asked.fetch_add(1, Ordering::Relaxed);
                Ok(())
            };
            context.call(Call { bucket: &bucket, replay: Replay::Safe }, send).await?;
        }
        Ok(World::default())
    }

    async fn apply(&self, _: Step<'_>, _: &Context) -> Result<Applied, Error> {
        Ok(Applied::default())
    }

    fn handoff(&self, _: &Spec, _: &Service, _: &World) -> Handoff {
        unreachable!("nobody asks for it")
    }
}

struct NoLog;

impl AuditLog for NoLog {
    fn write(&self, _: &AuditEntry) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        unreachable!("nothing is decided")
    }
}

fn text(deployment: &str) -> String {
    format!(
        "version: 1\ndeployment: {deployment}\nservices:
  - name: one
    allow: {{ fivetran: {{}} }}
    aws: {{ account: '123456789012', region: us-east-1, vpc: vpc-0a1b2c3d4e5f60718, subnets: [subnet-0aaaaaaaaaaaaaaa1],
           ports: [{{ listen: 5432, to: {{ ips: [10.0.0.25] }} }}] }}\n"
    )
}

fn watch_of(
    names: &[&str],
    cancel: &CancellationToken,
    see: impl Fn(&WatchEvent) + Send + Sync + 'static,
) -> Watch {
    watch_on(Arc::new(Odd::default()), None, names, cancel, see)
}

fn watch_on(
    cloud: Arc<Odd>,
    limiter: Option<Arc<Limiter>>,
    names: &[&str],
    cancel: &CancellationToken,
    see: impl Fn(&WatchEvent) + Send + Sync + 'static,
) -> Watch {
    let stop = cancel.clone();
    let open = move |spec| {
        let session = SessionBuilder::new(spec, Clouds::Real, Arc::new(NoLog))
            .providers(vec![Arc::clone(&cloud) as Arc<dyn Provider>])
            .cancel(stop.clone());
        match &limiter {
            Some(limiter) => session.limiter(Arc::clone(limiter)).build(),
            None => session.build(),
        }
    };
    let options = WatchOptions { interval: Duration::from_millis(40), ..WatchOptions::default() };
    let mut watch = Watch::new(options, open, see);
    for name in names {
        watch.add(name, None, text(name), decode(name, &text(name)).unwrap(), &[]).unwrap();
    }
    watch
}

#[tokio::test]
async fn one_that_hangs_and_one_that_breaks_delay_no_other() {
    let (cancel, told) = (CancellationToken::new(), Arc::new(Mutex::new(Vec::new())));
    let (stop, seen) = (cancel.clone(), Arc::clone(&told));
    let watch = watch_of(&["slow", "broken", "good"], &cancel, move |event| {
        let WatchEvent::Ended(round) = event else { return };
        let mut seen = seen.lock().unwrap();
        seen.push((round.deployment.clone(), round.outcome(), round.fault.clone()));
        // The order is the scheduler's: it ends when both have had their turns.
        let count = |name: &str| seen.iter().filter(|(deployment, ..)| deployment == name).count();
        if count("good") >= 8 && count("broken") >= 2 {
            stop.cancel();
        }
    });
    tokio::time::timeout(Duration::from_secs(60), watch.run(cancel)).await.expect("it does not end");
    let told = told.lock().unwrap();
    let of = |name: &'static str| told.iter().filter(move |(deployment, ..)| deployment == name);
    assert!(of("good").all(|(_, outcome, _)| *outcome == RoundOutcome::Agrees), "{told:?}");
    assert!(of("broken").all(|(_, outcome, fault)| {
        *outcome == RoundOutcome::Failed
            && fault.as_ref().is_some_and(|fault| fault.contains("out of bounds"))
    }));
    // What hangs is told when the watch ends, and nothing of it was begun.
    assert!(of("slow").all(|(_, outcome, _)| *outcome == RoundOutcome::Interrupted), "{told:?}");
    assert_eq!(of("slow").count(), 1, "{told:?}");
}

/// Four deployments of one account in one process: together they send what the account may, not four times as much.
#[tokio::test(start_paused = true)]
async fn deployments_of_one_account_keep_to_its_rate_together() {
    let seconds = 30.0;
    for (limiter, at_most) in [(Some(Arc::new(Limiter::new(1.0))), 1.05), (None, 4.2)] {
        let (cloud, cancel) = (Arc::new(Odd::default()), CancellationToken::new());
        let shared = limiter.is_some();
        let watch =
            watch_on(Arc::clone(&cloud), limiter, &["first", "second", "third", "fourth"], &cancel, |_| {});
        let watching = tokio::spawn(watch.run(cancel.clone()));
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        cancel.cancel();
        watching.await.unwrap();
        let rate = f64::from(u32::try_from(cloud.asked.load(Ordering::Relaxed)).unwrap()) / seconds / RATE;
        assert!(rate <= at_most && rate > 0.6 * at_most, "{rate} of the rate, shared: {shared}");
    }
}

#[tokio::test]
async fn a_deployment_is_watched_by_one_file() {
    let cancel = CancellationToken::new();
    let mut watch = watch_of(&["good"], &cancel, |_| {});
    let again = watch.add("copy.yaml", None, text("good"), decode("copy.yaml", &text("good")).unwrap(), &[]);
    let error = again.unwrap_err().to_string();
    assert_eq!(error, "the deployment `good` is declared by good and by copy.yaml");
}

/// A watch that looks for files waits for the first one; one that does not, and has none, has nothing to do.
#[tokio::test]
async fn a_watch_over_an_empty_folder_waits_for_files() {
    let options = WatchOptions {
        interval: Duration::from_millis(40),
        reread: Duration::from_millis(10),
        ..WatchOptions::default()
    };
    let watch = |cancel: &CancellationToken, see: Box<dyn Fn(&WatchEvent) + Send + Sync>| {
        let stop = cancel.clone();
        let open = move |spec| {
            let session = SessionBuilder::new(spec, Clouds::Real, Arc::new(NoLog));
            session.providers(vec![Arc::new(Odd::default())]).cancel(stop.clone()).build()
        };
        Watch::new(options, open, see)
    };
    let limit = Duration::from_secs(60);
    let cancel = CancellationToken::new();
    let none = watch(&cancel, Box::new(|_| {}));
    tokio::time::timeout(limit, none.run(cancel.clone())).await.expect("it waits for nothing");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("good.yaml");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (stop, told) = (cancel.clone(), Arc::clone(&seen));
    let see = move |event: &WatchEvent| match event {
        WatchEvent::File { deployment, change, .. } => {
            told.lock().unwrap().push(format!("{deployment} {}", change.as_str()));
        }
        WatchEvent::Ended(round) => {
            told.lock().unwrap().push(format!("{} {}", round.deployment, round.outcome().as_str()));
            stop.cancel();
        }
        _ => {}
    };
    let look = path.clone();
    let empty = watch(&cancel, Box::new(see))
        .look_for(&[], move || look.exists().then(|| look.clone()).into_iter().collect());
    let watching = tokio::spawn(empty.run(cancel.clone()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!watching.is_finished(), "it does not wait for a file");
    std::fs::write(&path, text("good")).unwrap();
    tokio::time::timeout(limit, watching).await.expect("it does not end").unwrap();
    assert_eq!(*seen.lock().unwrap(), ["good added", "good agrees"]);

    // Where none comes it ends when it is told to.
    let cancel = CancellationToken::new();
    let empty = watch(&cancel, Box::new(|_| {})).look_for(&[], Vec::new);
    let watching = tokio::spawn(empty.run(cancel.clone()));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!watching.is_finished(), "it does not wait for a file");
    cancel.cancel();
    tokio::time::timeout(limit, watching).await.expect("it does not end").unwrap();
}
