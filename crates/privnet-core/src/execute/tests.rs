//! The executor: order, concurrency, locks, failures, interruption, the audit log; and the calls and polls of a context.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::accept::ConnectionState;
use crate::audit::{AuditEntry, AuditLog};
use crate::handoff::Handoff;
use crate::plan::{ConnectionAction, CutAlong, Op};
use crate::provider::{Applied, Handled, Lowered, ObserveRequest, Step};
use crate::resource::Scope;
use crate::spec::{Service, Spec};

/// Notes what it is asked to do; fails where it is told to.
#[derive(Default)]
struct Fake {
    log: Mutex<Vec<String>>,
    fails: Vec<&'static str>,
    running: AtomicUsize,
    most: AtomicUsize,
    cancel_at: Option<(&'static str, CancellationToken)>,
}

#[async_trait]
impl Provider for Fake {
    fn handles(&self) -> Handled {
        Handled { cloud: "toy", kinds: &[] }
    }

    fn lower(&self, _: &Spec, _: &Service, _: &World) -> Lowered {
        unreachable!("the executor does not lower")
    }

    async fn observe(&self, _: ObserveRequest<'_>, _: &Context) -> Result<World, Error> {
        unreachable!("the executor does not observe")
    }

    async fn apply(&self, step: Step<'_>, _: &Context) -> Result<Applied, Error> {
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        let fields: Vec<_> = step.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.log.lock().unwrap().push(format!("{} {}", step.action.id, fields.join(",")).trim().to_owned());
        if let Some((at, cancel)) = &self.cancel_at
            && step.action.id == *at
        {
            cancel.cancel();
        }
        if self.fails.contains(&step.action.id.as_str()) {
            return Err(Error::new(ErrorKind::Invalid, "Do", step.action.id.clone(), "no"));
        }
        let id = format!("id-of-{}", step.action.address.name);
        Ok(Applied { outputs: BTreeMap::from([("id".to_owned(), Value::text(id))]), note: None })
    }

    fn handoff(&self, _: &Spec, _: &Service, _: &World) -> Handoff {
        unreachable!("the executor hands nothing over")
    }
}

#[derive(Default)]
struct Log {
    entries: Mutex<Vec<AuditEntry>>,
    broken: bool,
    /// How many entries it has room for, where that is few.
    takes: Option<usize>,
}

impl AuditLog for Log {
    fn write(&self, entry: &AuditEntry) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let full = self.takes.is_some_and(|takes| self.entries.lock().unwrap().len() >= takes);
        if self.broken || full {
            return Err("disk full".into());
        }
        self.entries.lock().unwrap().push(entry.clone());
        Ok(())
    }
}

fn action(name: &str, after: &[&str]) -> Action {
    Action {
        id: name.to_owned(),
        address: Address::new("s", "thing", name),
        op: Op::Create,
        reason: String::new(),
        changes: Vec::new(),
        after: after.iter().map(|id| (*id).to_owned()).collect(),
        generation: None,
        scope: Scope("toy/1".to_owned()),
        live_id: None,
        connection: None,
        locks: Vec::new(),
    }
}

fn plan(actions: Vec<Action>) -> Plan {
    Plan { actions, ..Plan::default() }
}

fn context(cancel: &CancellationToken) -> Context {
    Context::new(Settings { pace: 1000.0, ..Settings::default() }, Events::none(), cancel.clone())
}

async fn run(
    fake: &Arc<Fake>,
    plan: &Plan,
    parallelism: usize,
    audit: Arc<Log>,
    cancel: &CancellationToken,
) -> Report {
    let provider: Arc<dyn Provider> = fake.clone();
    let executor = Executor::new(vec![provider], context(cancel), audit, parallelism);
    executor.run("d", plan, &World::default()).await
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done { .. } => "done",
        Outcome::Failed(_) => "failed",
        Outcome::Skipped { .. } => "skipped",
    }
}

#[tokio::test]
async fn what_comes_after_gets_what_came_before() {
    let fake = Arc::new(Fake::default());
    let mut second = action("second", &["first"]);
    let reference = Value::output(&Address::new("s", "thing", "first"), "id");
    second.changes = vec![FieldChange { field: "of".into(), from: Value::Null, to: reference }];
    let report =
        run(&fake, &plan(vec![action("first", &[]), second]), 4, Arc::default(), &CancellationToken::new())
            .await;
    assert!(report.all_done());
    assert_eq!(*fake.log.lock().unwrap(), ["first", "second of=id-of-first"]);
}

#[tokio::test]
async fn a_failure_skips_what_depends_on_it_and_nothing_else() {
    let fake = Arc::new(Fake { fails: vec!["a"], ..Fake::default() });
    let plan = plan(vec![
        action("a", &[]),
        action("b", &["a"]),
        action("c", &["b"]),
        action("d", &[]),
        action("e", &["d"]),
    ]);
    let report = run(&fake, &plan, 4, Arc::default(), &CancellationToken::new()).await;
    let words: Vec<_> = report.outcomes.iter().map(word).collect();
    assert_eq!(words, ["failed", "skipped", "skipped", "done", "done"]);
    assert_eq!(report.failures().count(), 1);
}

/// Who listens decides by the kind of a failure, and tells a look at the cloud from what an action does.
#[tokio::test]
async fn what_is_told_says_what_it_is_about() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&told);
    let events = Events::new(move |event| hear.lock().unwrap().push(event));
    let context = Context::new(Settings::default(), events, CancellationToken::new());
    context.progress("looking");
    context.within("a").progress("waiting");
    let provider: Arc<dyn Provider> = Arc::new(Fake { fails: vec!["a"], ..Fake::default() });
    let executor = Executor::new(vec![provider], context, Arc::new(Log::default()), 1);
    executor.run("d", &plan(vec![action("a", &[])]), &World::default()).await;
    let action = || "a".to_owned();
    let failed = |event: &Event| matches!(event, Event::Failed { kind: ErrorKind::Invalid, .. });
    let told = told.lock().unwrap();
    assert_eq!(told[0], Event::Observing { text: "looking".to_owned() });
    assert_eq!(told[1], Event::Progress { action: action(), text: "waiting".to_owned() });
    assert_eq!(told[2], Event::Started { action: action() });
    assert!(failed(&told[3]) && told.len() == 4, "{told:?}");
}

#[tokio::test]
async fn as_many_at_once_as_allowed_and_never_two_with_one_lock() {
    let many: Vec<_> = (0..12).map(|index| action(&format!("n{index}"), &[])).collect();
    let fake = Arc::new(Fake::default());
    run(&fake, &plan(many.clone()), 3, Arc::default(), &CancellationToken::new()).await;
    assert_eq!(fake.most.load(Ordering::SeqCst), 3);

    let locked = many.into_iter().map(|mut action| {
        action.locks = vec!["vnet-1".to_owned()];
        action
    });
    let fake = Arc::new(Fake::default());
    let report = run(&fake, &plan(locked.collect()), 3, Arc::default(), &CancellationToken::new()).await;
    assert!(report.all_done());
    assert_eq!(fake.most.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_interruption_starts_nothing_new_and_reports_the_rest() {
    let cancel = CancellationToken::new();
    let fake = Arc::new(Fake { cancel_at: Some(("a", cancel.clone())), ..Fake::default() });
    let plan = plan(vec![action("a", &[]), action("b", &["a"]), action("c", &[])]);
    let report = run(&fake, &plan, 1, Arc::default(), &cancel).await;
    assert!(report.cancelled);
    let words: Vec<_> = report.outcomes.iter().map(word).collect();
    assert_eq!(words, ["done", "skipped", "skipped"]);
}

fn acceptance() -> Plan {
    let mut accept = action("accept", &[]);
    accept.op = Op::Accept;
    accept.connection = Some(Box::new(ConnectionAction {
        id: "vpce-1".to_owned(),
        handle: "vpce-1".to_owned(),
        consumer: Some("fivetran".to_owned()),
        who: "account:1".to_owned(),
        preset: None,
        state: ConnectionState::Pending,
        sever: false,
        along: Vec::new(),
        besides: vec!["and this".to_owned()],
        entries: None,
        cut: Vec::new(),
        turned_away: Vec::new(),
    }));
    plan(vec![accept])
}

#[tokio::test]
async fn a_decision_is_in_the_log_before_it_is_carried_out() {
    let (fake, log) = (Arc::new(Fake::default()), Arc::new(Log::default()));
    let report = run(&fake, &acceptance(), 1, log.clone(), &CancellationToken::new()).await;
    assert!(report.all_done());
    let entries = log.entries.lock().unwrap();
    assert_eq!((entries[0].connection.as_str(), entries[0].decision.as_str()), ("vpce-1", "accept"));
    assert!(entries[0].why.ends_with("; and this"), "{}", entries[0].why);
}

#[tokio::test]
async fn whoever_is_cut_or_turned_away_along_has_a_line_too() {
    let mut rejection = acceptance();
    rejection.actions[0].op = Op::Reject;
    let connection = rejection.actions[0].connection.as_mut().unwrap();
    connection.cut = vec![CutAlong {
        id: "vpce-2".to_owned(),
        consumer: None,
        who: "account:2".to_owned(),
        preset: Some("one 1".to_owned()),
    }];
    connection.turned_away = vec![CutAlong { id: "vpce-3".to_owned(), ..connection.cut[0].clone() }];
    // Whatever comes of it.
    for fails in [Vec::new(), vec!["accept"]] {
        let (fake, log) = (Arc::new(Fake { fails, ..Fake::default() }), Arc::new(Log::default()));
        run(&fake, &rejection, 1, log.clone(), &CancellationToken::new()).await;
        let entries = log.entries.lock().unwrap();
        let told: Vec<_> =
            entries.iter().map(|one| (one.connection.as_str(), one.decision.as_str())).collect();
        assert_eq!(told, [("vpce-1", "reject"), ("vpce-2", "reject"), ("vpce-3", "reject")]);
        assert!(entries[2].why.starts_with("turned away along with vpce-1: "), "{}", entries[2].why);
        let other = &entries[1];
        assert!(other.why.starts_with("cut along with vpce-1: "), "{}", other.why);
        assert_eq!((other.identity.as_str(), other.preset.as_deref()), ("account:2", Some("one 1")));
        assert_eq!(other.consumer, None);
    }
    let (fake, log) = (Arc::new(Fake::default()), Arc::new(Log { takes: Some(1), ..Log::default() }));
    let report = run(&fake, &rejection, 1, log, &CancellationToken::new()).await;
    assert_eq!(report.failures().next().unwrap().kind(), ErrorKind::Audit);
    assert!(fake.log.lock().unwrap().is_empty(), "the cloud was not asked");
}

#[tokio::test]
async fn no_log_no_acceptance() {
    let (fake, log) = (Arc::new(Fake::default()), Arc::new(Log { broken: true, ..Log::default() }));
    let report = run(&fake, &acceptance(), 1, log, &CancellationToken::new()).await;
    assert_eq!(report.failures().next().unwrap().kind(), ErrorKind::Audit);
    assert!(fake.log.lock().unwrap().is_empty(), "the cloud was not asked");
}

fn bucket() -> Bucket {
    Bucket { key: "k".to_owned(), size: 100.0, per_second: 100.0 }
}

/// Sends a request that fails `times` with this kind, and counts how often it was sent.
async fn sent(kind: ErrorKind, times: usize, replay: Replay) -> (usize, bool) {
    let count = AtomicUsize::new(0);
    let bucket = bucket();
    let answer = context(&CancellationToken::new())
        .call(Call { bucket: &bucket, replay }, || {
            let nth = count.fetch_add(1, Ordering::SeqCst);
            async move { if nth < times { Err(Error::new(kind, "Do", "it", "no")) } else { Ok(()) } }
        })
        .await;
    (count.into_inner(), answer.is_ok())
}

#[tokio::test]
async fn sends_again_only_where_that_is_safe() {
    assert_eq!(sent(ErrorKind::Throttled, 3, Replay::Never).await, (4, true), "throttled means: no effect");
    assert_eq!(sent(ErrorKind::Unavailable, 2, Replay::Safe).await, (3, true));
    assert_eq!(sent(ErrorKind::Unavailable, 2, Replay::Never).await, (1, false));
    assert_eq!(sent(ErrorKind::Invalid, 2, Replay::Safe).await, (1, false));
    assert_eq!(sent(ErrorKind::Throttled, 1000, Replay::Safe).await, (13, false), "bounded");
}

/// The clouds count by account, region and API: who shares a limiter sends no more together than one alone, and learns from the others.
#[tokio::test(start_paused = true)]
async fn contexts_that_share_a_limiter_keep_to_the_rate_together() {
    let bucket = Bucket { key: "k".to_owned(), size: 2.0, per_second: 10.0 };
    let context = |limiter: &Arc<Limiter>| {
        let (events, cancel) = (Events::none(), CancellationToken::new());
        Context::sharing(Arc::clone(limiter), Settings::default(), events, cancel)
    };
    let time_for_60_calls = |one: Context, other: Context| {
        let bucket = bucket.clone();
        async move {
            let started = tokio::time::Instant::now();
            let send = |context: Context| {
                let bucket = bucket.clone();
                async move {
                    for _ in 0..30 {
                        let call = Call { bucket: &bucket, replay: Replay::Safe };
                        context.call(call, || async { Ok(()) }).await.unwrap();
                    }
                }
            };
            tokio::join!(send(one), send(other));
            started.elapsed().as_secs_f64()
        }
    };
    let shared = Arc::new(Limiter::new(1.0));
    let together = time_for_60_calls(context(&shared), context(&shared)).await;
    assert!((together - 5.8).abs() < 0.1, "{together}");
    let alone = || context(&Arc::new(Limiter::new(1.0)));
    let apart = time_for_60_calls(alone(), alone()).await;
    assert!((apart - 2.8).abs() < 0.1, "{apart}");
}

/// Who asks again too early is throttled for longer.
#[tokio::test(start_paused = true)]
async fn a_cloud_is_left_alone_for_as_long_as_it_asks() {
    let minutes = |count: u64| Duration::from_secs(60 * count);
    let asked = async |patience: Option<Duration>| {
        let said = Arc::new(Mutex::new(Vec::new()));
        let hear = Arc::clone(&said);
        let events = Events::new(move |event| {
            if let Event::Observing { text } = event {
                hear.lock().unwrap().push(text);
            }
        });
        let settings = Settings { patience, ..Settings::default() };
        let context = Context::new(settings, events, CancellationToken::new());
        let bucket = Bucket { key: "k".to_owned(), size: 10.0, per_second: 10.0 };
        let (started, sent) = (tokio::time::Instant::now(), std::cell::Cell::new(0));
        let answer = context
            .call(Call { bucket: &bucket, replay: Replay::Safe }, || async {
                sent.set(sent.get() + 1);
                let throttled = Error::new(ErrorKind::Throttled, "GET", "it", "too many requests");
                if sent.get() == 1 { Err(throttled.with_retry_after(Some(minutes(10)))) } else { Ok(()) }
            })
            .await;
        let said = said.lock().unwrap().join("\n");
        (answer.is_ok(), sent.get(), started.elapsed() >= minutes(10), said.contains("waiting 600 s"))
    };
    assert_eq!(asked(None).await, (true, 2, true, true));
    assert_eq!(asked(Some(minutes(11))).await, (true, 2, true, true));
    assert_eq!(asked(Some(minutes(5))).await, (false, 1, false, false), "the next look asks again");
}

#[tokio::test(start_paused = true)]
async fn what_is_ready_is_seen_within_two_seconds_or_a_tenth() {
    for ready_after in [3.0, 30.0, 130.0, 400.0] {
        let context = Context::new(Settings::default(), Events::none(), CancellationToken::new());
        let until =
            Until { operation: "Describe", subject: "it", what: "active", limit: Duration::from_secs(600) };
        let started = tokio::time::Instant::now();
        let seen = context
            .until(until, || async {
                let passed = started.elapsed().as_secs_f64();
                Ok(if passed >= ready_after {
                    Poll::Ready(passed)
                } else {
                    Poll::Pending("provisioning".to_owned())
                })
            })
            .await
            .unwrap();
        assert!(seen - ready_after <= f64::max(2.0, ready_after / 10.0), "{ready_after} was seen at {seen}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends() {
    let context = Context::new(Settings::default(), Events::none(), CancellationToken::new());
    let until =
        Until { operation: "Describe", subject: "it", what: "active", limit: Duration::from_secs(60) };
    let ended = context
        .until(until, || async { Ok(Poll::<()>::Pending("failed over".to_owned())) })
        .await
        .unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::TimedOut);
    assert!(ended.to_string().contains("failed over"));
    assert!(ended.hints()[0].starts_with("run the same command again"), "{:?}", ended.hints());
    // What something else keeps, another run finds kept.
    for (by, told) in
        [(Some("the rule r"), "it is still used by the rule r:"), (None, "something still uses it:")]
    {
        let in_use = || Poll::<()>::InUse { by: by.map(str::to_owned), state: "in use".to_owned() };
        let ended = context.until(until, || async { Ok(in_use()) }).await.unwrap_err();
        assert_eq!((ended.kind(), ended.hints().len()), (ErrorKind::TimedOut, 1));
        assert!(
            ended.hints()[0].starts_with(&format!("{told} take it off there first")),
            "{:?}",
            ended.hints()
        );
    }
}

/// On a busy machine one answer may take longer than all of the time: what is there is found all the same.
#[tokio::test(start_paused = true)]
async fn one_slow_answer_is_no_end_of_a_wait() {
    let context = Context::new(Settings::default(), Events::none(), CancellationToken::new());
    let until = Until { operation: "Describe", subject: "it", what: "there", limit: Duration::from_secs(60) };
    let asked = std::cell::Cell::new(0);
    let found = context
        .until(until, || async {
            asked.set(asked.get() + 1);
            tokio::time::sleep(Duration::from_secs(100)).await;
            Ok(if asked.get() < 4 { Poll::Pending("not known yet".to_owned()) } else { Poll::Ready(()) })
        })
        .await;
    assert!(found.is_ok() && asked.get() == 4, "{found:?} after {}", asked.get());
}
