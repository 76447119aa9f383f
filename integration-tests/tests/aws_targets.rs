//! Names that move, followed by `sync-targets` and by a watch: what they do is read from the local cloud's record of what was said.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use privnet::watch::{Watch, WatchEvent, WatchOptions};
use privnet::{
    AuditFile, Clouds, Executed, Plan, PlanOptions, Planned, SandboxEndpoints, Session, SessionBuilder, Spec,
};
use privnet_core::Op;
use privnet_core::accept::{Ask, Verdict};
use privnet_integration_tests::command::privnet;
use privnet_integration_tests::stage::{Fail, SPEED, Stage, spec};
use privnet_sandbox::Sandbox;
use privnet_sandbox::dns::Behaviour;
use privnet_sandbox::frame::Clock;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

const NAME: &str = "orders.db.example";
const RECORD: &str = "record.jsonl";
const OLD: &str = "10.0.0.25";
const NEW: &str = "10.0.1.26";
const THIRD: &str = "10.0.0.27";
/// The default of `drain`, in seconds.
const DRAIN: f64 = 300.0;
/// No test waits for anything longer than this.
const PATIENCE: Duration = Duration::from_secs(60);
/// What every wait says whose answer cannot be trusted.
const HINT: &str = "run privnet inside the VPC, set `resolver:`, or use a forwarder";

fn text(more: &str) -> String {
    format!(
        "version: 1
deployment: names
services:
  - name: orders
    allow: {{ fivetran: {{}} }}
    aws:
      account: '123456789012'
      region: us-east-1
      vpc: vpc-0a1b2c3d4e5f60718
      subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
      ports:
        - {{ listen: 5432, engine: postgres, to: {{ dns: {NAME} }} }}
{more}"
    )
}

fn file() -> Result<Spec, Fail> {
    spec(&text(""))
}

/// A local cloud on which the file is applied and serves one healthy address, or more.
struct Followed {
    stage: Stage,
    record: tempfile::TempDir,
}

/// One exchange of the record.
struct Said {
    time: jiff::Timestamp,
    action: String,
    body: String,
    response: String,
}

impl Said {
    /// Each target of a DescribeTargetHealth answer, with its state.
    fn health(&self) -> Vec<(String, String)> {
        let between = |text: &str, tag: &str| -> Option<String> {
            let (_, rest) = text.split_once(&format!("<{tag}>"))?;
            Some(rest.split_once(&format!("</{tag}>"))?.0.to_owned())
        };
        let members = self.response.split("</member>");
        members.filter_map(|member| Some((between(member, "Id")?, between(member, "State")?))).collect()
    }

    fn shows(&self, address: &str, state: &str) -> bool {
        self.action == "DescribeTargetHealth"
            && self.health().contains(&(address.to_owned(), state.to_owned()))
    }

    fn changes(&self, action: &str, address: &str) -> bool {
        self.action == action && self.body.contains(&format!("={address}&"))
    }

    /// A parameter of the request.
    fn of_body(&self, name: &str) -> String {
        let start = format!("{name}=");
        let found = self.body.split('&').find_map(|part| part.strip_prefix(&start));
        found.unwrap_or_else(|| panic!("no {name} in {}", self.body)).to_owned()
    }

    /// The value of an attribute in the answer.
    fn attribute(&self, key: &str) -> String {
        let members = self.response.split("</member>");
        let found = members.filter_map(|member| {
            member.contains(&format!("<Key>{key}</Key>")).then_some(())?;
            let (_, rest) = member.split_once("<Value>")?;
            Some(rest.split_once("</Value>")?.0.to_owned())
        });
        found.last().unwrap_or_default()
    }

    fn writes(&self) -> bool {
        !["Describe", "Get"].iter().any(|start| self.action.starts_with(start))
    }
}

impl Followed {
    async fn with(addresses: &[&str], behaviour: Behaviour) -> Result<Self, Fail> {
        Self::at(SPEED, addresses, behaviour).await
    }

    async fn at(speed: f64, addresses: &[&str], behaviour: Behaviour) -> Result<Self, Fail> {
        let record = tempfile::tempdir()?;
        let path = record.path().join(RECORD);
        let stage = Stage::open_with(None, |options| {
            options.record = Some(path);
            options.speed = Some(SPEED);
        })
        .await?;
        let followed = Self { stage, record };
        followed.set(addresses, behaviour)?;
        let executed = followed.session()?.apply(PlanOptions::default()).await;
        demand_done(&executed);
        followed.until_healthy(addresses).await?;
        followed.until_let_in().await?;
        // What was set up fast is looked at at this speed.
        Clock::open(followed.stage.folder(), Some(speed))?;
        Ok(followed)
    }

    fn session(&self) -> Result<Session, Fail> {
        self.stage.session(file()?, &self.stage.url("aws"))
    }

    fn set(&self, addresses: &[&str], behaviour: Behaviour) -> Result<(), Fail> {
        let addresses: Vec<IpAddr> = addresses.iter().map(|ip| ip.parse()).collect::<Result<_, _>>()?;
        let names = Sandbox::open(self.stage.folder())?.names()?;
        names.set(NAME, &addresses)?;
        Ok(names.set_behaviour(NAME, behaviour)?)
    }

    async fn plan(&self) -> Result<Planned, Fail> {
        Ok(self.session()?.plan_targets().await)
    }

    /// One run of `sync-targets`; its plan.
    async fn follow(&self) -> Result<Plan, Fail> {
        let session = self.session()?;
        let executed = session.execute(session.plan_targets().await).await;
        demand_done(&executed);
        for action in &executed.planned.plan.actions {
            assert_eq!(action.op, Op::Update, "{action:#?}");
            assert!(action.changes.iter().all(|change| change.field == "targets"), "{action:#?}");
        }
        Ok(executed.planned.plan)
    }

    /// The consumer's request is decided, so that a watch has nothing to do.
    async fn until_let_in(&self) -> Result<(), Fail> {
        let (session, started) = (self.session()?, Instant::now());
        loop {
            let decided = session.accept_pending(&Ask::default(), false).await;
            if decided.decisions.iter().any(|decision| decision.verdict == Verdict::Accepted) {
                return Ok(());
            }
            assert!(started.elapsed() < PATIENCE, "nobody asks for a connection");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn until_healthy(&self, addresses: &[&str]) -> Result<(), Fail> {
        let session = self.session()?;
        let started = Instant::now();
        loop {
            let (services, _) = session.status().await;
            let json = serde_json::to_value(&services)?;
            let healthy = |address: &&&str| {
                let targets = json[0]["targets"].as_array();
                targets.is_some_and(|targets| {
                    targets.iter().any(|target| {
                        target["id"].as_str().is_some_and(|id| id.contains(**address))
                            && target["state"] == "healthy"
                    })
                })
            };
            if addresses.iter().filter(healthy).count() == addresses.len() {
                return Ok(());
            }
            assert!(started.elapsed() < PATIENCE, "{addresses:?} are not healthy: {json:#}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn record(&self) -> Result<Vec<Said>, Fail> {
        let mut all = Vec::new();
        let text = std::fs::read_to_string(self.record.path().join(RECORD))?;
        // While somebody writes, the last line may be there in part.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            let line: Value = serde_json::from_str(line)?;
            let field = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            all.push(Said {
                time: field("time").parse()?,
                action: field("action"),
                body: field("body") + "&",
                response: field("response"),
            });
        }
        Ok(all)
    }

    /// What is registered and stays, by the last answer about it.
    fn registered(&self) -> Result<BTreeSet<String>, Fail> {
        let record = self.record()?;
        let last = record.iter().rev().find(|said| said.action == "DescribeTargetHealth");
        let health = last.ok_or("nobody asked for the targets")?.health();
        Ok(health.into_iter().filter(|(_, state)| state != "draining").map(|(id, _)| id).collect())
    }

    /// Nothing is planned, nothing written, and the user is told what to do.
    async fn assert_left_alone(&self, why: &str) -> Result<(), Fail> {
        let before = self.record()?.iter().filter(|said| said.writes()).count();
        let plan = self.follow().await?;
        assert!(plan.is_empty() && plan.refusals.is_empty(), "{plan:#?}");
        assert!(plan.waits.iter().any(|w| w.why.contains(why) && w.why.contains(HINT)), "{:#?}", plan.waits);
        assert_eq!(self.record()?.iter().filter(|said| said.writes()).count(), before);
        assert_eq!(self.registered()?, BTreeSet::from([OLD.to_owned()]));
        Ok(())
    }
}

fn demand_done(executed: &Executed) {
    assert!(executed.planned.plan.refusals.is_empty(), "{:#?}", executed.planned.plan.refusals);
    assert!(executed.planned.unreachable.is_empty(), "{:#?}", executed.planned.unreachable);
    assert!(executed.report.all_done(), "{:#?}", executed.report);
}

/// There was a healthy target at each moment that somebody looked.
fn assert_always_served(record: &[Said]) {
    let looks: Vec<_> = record.iter().filter(|said| said.action == "DescribeTargetHealth").collect();
    assert!(looks.len() > 3, "nobody looked");
    for look in looks {
        let health = look.health();
        assert!(health.iter().any(|(_, state)| state == "healthy"), "{health:?}: {}", look.response);
    }
}

/// No established session was reset: each target that was deregistered from `start` on had, by the last answer about its group's
/// attributes, its time to drain; it was seen draining, and at no look within that time was it anything else; and nothing that cuts
/// sessions was written meanwhile.
fn assert_no_session_reset(record: &[Said], start: usize) {
    let is_gone = |(at, said): &(usize, &Said)| *at >= start && said.action == "DeregisterTargets";
    let gone: Vec<(usize, &Said)> = record.iter().enumerate().filter(is_gone).collect();
    assert!(!gone.is_empty(), "nothing was deregistered");
    for (at, deregistered) in gone {
        let (group, target) =
            (deregistered.of_body("TargetGroupArn"), deregistered.of_body("Targets.member.1.Id"));
        assert!(!deregistered.body.contains("Targets.member.2."), "one by one: {}", deregistered.body);
        let about = |said: &&Said| said.body.contains(&format!("TargetGroupArn={group}&"));
        let attributes = |said: &&Said| said.action.ends_with("TargetGroupAttributes") && about(said);
        let known = record[..at].iter().rev().find(attributes).expect("nobody read how long it drains");
        let drain = known.attribute("deregistration_delay.timeout_seconds");
        let drain: f64 = drain.parse().unwrap_or_else(|_| panic!("{drain:?}: {}", known.response));
        assert!(
            (drain - DRAIN).abs() < f64::EPSILON,
            "the file's `drain` is {DRAIN} s, and it has {drain} s"
        );
        let within = |said: &&Said| said.time.duration_since(deregistered.time).as_secs_f64() < drain;
        let meanwhile: Vec<&Said> = record[at + 1..].iter().take_while(within).collect();
        let looks: Vec<_> = meanwhile
            .iter()
            .filter(|said| said.action == "DescribeTargetHealth")
            .filter(|said| about(said))
            .collect();
        assert!(!looks.is_empty(), "nobody looked while {target} drained");
        for look in looks {
            assert!(look.shows(&target, "draining"), "{target} does not drain: {:?}", look.health());
        }
        let cuts = [
            "DeleteListener",
            "DeleteTargetGroup",
            "ModifyTargetGroupAttributes",
            "ModifyListener",
            "DeleteLoadBalancer",
        ];
        let cut = meanwhile.iter().find(|said| cuts.contains(&said.action.as_str()));
        assert!(cut.is_none(), "{:?} while {target} drained", cut.map(|said| &said.action));
    }
}

fn first(record: &[Said], what: &str, is: impl Fn(&Said) -> bool) -> usize {
    record.iter().position(is).unwrap_or_else(|| panic!("never: {what}"))
}

/// While it lives, somebody looks at the targets all the time, and leaves the machine to others in between.
struct Onlooker {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Onlooker {
    fn of(followed: &Followed) -> Result<Self, Fail> {
        let session = followed.session()?;
        let stop = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                session.status().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Ok(Self { stop, task })
    }

    async fn leave(self) -> Result<(), Fail> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.task.await?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_is_followed_in_two_runs_with_a_healthy_target_at_every_moment() -> Result<(), Fail> {
    let followed = Followed::with(&[OLD], Behaviour::All).await?;
    let start = followed.record()?.len();
    let onlooker = Onlooker::of(&followed)?;

    followed.set(&[NEW], Behaviour::All)?;
    let plan = followed.follow().await?;
    assert_eq!(plan.actions.len(), 1, "{plan:#?}");
    let stays = format!("{OLD}:5432 stays until another target is healthy");
    assert!(plan.waits.iter().any(|wait| wait.why.contains(&stays)), "{:#?}", plan.waits);
    followed.until_healthy(&[NEW]).await?;
    // It drains for five minutes, in which the onlooker is to look: they are not too short for a machine that is busy.
    Clock::open(followed.stage.folder(), Some(100.0))?;
    let plan = followed.follow().await?;
    assert_eq!(plan.actions.len(), 1, "{plan:#?}");
    assert!(followed.follow().await?.is_empty());
    onlooker.leave().await?;
    assert_eq!(followed.registered()?, BTreeSet::from([NEW.to_owned()]));

    let record = &followed.record()?[start..];
    assert_always_served(record);
    let registered = first(record, "registered", |said| said.changes("RegisterTargets", NEW));
    let healthy = first(record, "healthy", |said| said.shows(NEW, "healthy"));
    let deregistered = first(record, "deregistered", |said| said.changes("DeregisterTargets", OLD));
    assert!(registered < healthy && healthy < deregistered, "{registered} {healthy} {deregistered}");
    // Its sessions have their time: it drains, it is not cut.
    assert_no_session_reset(&followed.record()?, start);
    let written: Vec<_> =
        record.iter().filter(|said| said.writes()).map(|said| said.action.as_str()).collect();
    assert_eq!(written, ["RegisterTargets", "DeregisterTargets"], "and nothing besides");
    Ok(())
}

/// A watch does the same by itself, within two intervals of the cloud's time, by default and longer. Where the cloud itself needs longer
/// to find the new target healthy than a short interval has room for, that time comes on top, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_follows_a_failover_within_two_intervals() -> Result<(), Fail> {
    // All run side by side. What this machine takes for its own part counts as the cloud's time, so time is not too fast where there is
    // little room.
    let all = [(45, 2.5), (60, 2.0), (120, 5.0), (240, 8.0), (1800, 60.0)];
    let all = all.map(|(interval, pace)| tokio::spawn(failover_under_a_watch(interval, pace)));
    for one in all {
        let (interval, took, checked) = one.await??;
        privnet_integration_tests::tell!(
            "interval {interval} s: followed after {took:.0} s ({checked:.0} s of checks)"
        );
        let room = if interval >= 60.0 { 0.0 } else { checked };
        assert!(
            took <= 2.0 * interval + room,
            "interval {interval} s: followed after {took} s ({checked} s of checks)"
        );
    }
    Ok(())
}

/// The interval, how long the failover took to be followed, and how long of that the cloud checked the new target; in the cloud's seconds.
async fn failover_under_a_watch(seconds: u32, pace: f64) -> Result<(f64, f64, f64), Fail> {
    let interval = Duration::from_secs(seconds.into());
    let followed = Followed::at(pace, &[OLD], Behaviour::All).await?;
    let clouds = Clouds::Sandbox(SandboxEndpoints {
        aws: followed.stage.url("aws"),
        azure: followed.stage.url("azure"),
        gcp: followed.stage.url("gcp"),
        dns: followed.stage.running().dns(),
        speed: pace,
    });
    let audit = followed.stage.folder().join("audit.jsonl");
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let open = move |spec| {
        let audit = Arc::new(AuditFile::new(&audit));
        SessionBuilder::new(spec, clouds.clone(), audit).cancel(stop.clone()).build()
    };
    let (send, mut rounds) = tokio::sync::mpsc::unbounded_channel();
    let see = move |event: &WatchEvent| {
        if let WatchEvent::Ended(round) = event {
            let _ = send.send(round.next);
        }
    };
    let mut watch = Watch::new(WatchOptions { interval, pace, ..WatchOptions::default() }, open, see);
    watch.add("test.yaml", None, text(""), file()?, &[])?;
    let watching = tokio::spawn(watch.run(cancel.clone()));
    // The move comes right after a look that nothing follows from: the longest way to the next one.
    while rounds.recv().await.ok_or("no round")? < interval.div_f64(2.0 * pace) {}
    let (start, onlooker) = (followed.record()?.len(), Onlooker::of(&followed)?);
    let moved = followed.stage.running().clock().now();
    let dns = privnet(followed.stage.folder())
        .args(["sandbox", "dns", NAME, NEW])
        .env("PRIVNET_SANDBOX_DIR", followed.stage.folder())
        .output()?;
    assert!(dns.status.success(), "{}", String::from_utf8_lossy(&dns.stderr));
    let started = Instant::now();
    while !followed.record()?[start..].iter().any(|said| said.changes("DeregisterTargets", OLD)) {
        // It may take two intervals, which is up to a real minute.
        assert!(started.elapsed() < 2 * PATIENCE, "interval {seconds} s: it was never followed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    rounds.recv().await.ok_or("no round")?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    cancel.cancel();
    watching.await?;
    onlooker.leave().await?;

    let record = &followed.record()?[start..];
    assert_always_served(record);
    let registered = first(record, "registered", |said| said.changes("RegisterTargets", NEW));
    let healthy = first(record, "healthy", |said| said.shows(NEW, "healthy"));
    let deregistered = first(record, "deregistered", |said| said.changes("DeregisterTargets", OLD));
    assert!(registered < healthy && healthy < deregistered, "{registered} {healthy} {deregistered}");
    // Its sessions have their time: it drains and is not cut, and nothing else was written.
    assert_no_session_reset(&followed.record()?, start);
    let written: Vec<_> =
        record.iter().filter(|said| said.writes()).map(|said| said.action.as_str()).collect();
    assert_eq!(written, ["RegisterTargets", "DeregisterTargets"]);
    let since = |at: usize, from| record[at].time.duration_since(from).as_secs_f64();
    Ok((interval.as_secs_f64(), since(deregistered, moved), since(healthy, record[registered].time)))
}

/// A reader endpoint gives one of its addresses at a time: none is taken for gone.
#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_come_in_turn_all_stay() -> Result<(), Fail> {
    for addresses in [&[OLD, NEW][..], &[OLD, NEW, THIRD]] {
        let followed = Followed::with(addresses, Behaviour::Rotate).await?;
        let before = followed.record()?.iter().filter(|said| said.writes()).count();
        for _ in 0..4 {
            let plan = followed.follow().await?;
            assert!(plan.is_empty(), "{plan:#?}");
        }
        assert_eq!(followed.record()?.iter().filter(|said| said.writes()).count(), before);
        assert_eq!(followed.registered()?, addresses.iter().map(|ip| (*ip).to_owned()).collect());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_out_of_range_changes_nothing() -> Result<(), Fail> {
    let followed = Followed::with(&[OLD], Behaviour::All).await?;
    followed.set(&["172.16.0.9"], Behaviour::All)?;
    followed.assert_left_alone("outside `target_ranges`").await?;
    followed.set(&[OLD, "172.16.0.9"], Behaviour::All)?;
    followed.assert_left_alone("outside `target_ranges`").await?;
    followed.set(&["52.1.2.3"], Behaviour::All)?;
    followed.assert_left_alone("which is public").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolver_that_fails_changes_nothing() -> Result<(), Fail> {
    let followed = Followed::with(&[OLD], Behaviour::All).await?;
    followed.set(&[NEW], Behaviour::Fail)?;
    followed.assert_left_alone("cannot be resolved").await?;
    Sandbox::open(followed.stage.folder())?.names()?.remove(NAME)?;
    followed.assert_left_alone("there is no such name").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_answer_changes_nothing() -> Result<(), Fail> {
    let followed = Followed::with(&[OLD], Behaviour::All).await?;
    followed.set(&[], Behaviour::All)?;
    followed.assert_left_alone("resolves to no address").await?;
    // When the name is itself again, there is nothing to mend.
    followed.set(&[OLD], Behaviour::All)?;
    let planned = followed.plan().await?;
    assert!(planned.plan.is_empty() && !planned.plan.waits.iter().any(|wait| wait.why.contains(NAME)));
    Ok(())
}

/// Of several addresses one goes and one comes; the one that stays serves meanwhile, so one run does it.
#[tokio::test(flavor = "multi_thread")]
async fn several_addresses_move_one_by_one() -> Result<(), Fail> {
    let followed = Followed::with(&[OLD, NEW], Behaviour::All).await?;
    let start = followed.record()?.len();
    followed.set(&[NEW, THIRD], Behaviour::All)?;
    let plan = followed.follow().await?;
    assert_eq!(plan.actions.len(), 1, "{plan:#?}");
    followed.until_healthy(&[NEW, THIRD]).await?;
    assert!(followed.follow().await?.is_empty());
    assert_eq!(followed.registered()?, BTreeSet::from([NEW.to_owned(), THIRD.to_owned()]));
    let record = &followed.record()?[start..];
    assert_always_served(record);
    let registered = first(record, "registered", |said| said.changes("RegisterTargets", THIRD));
    let deregistered = first(record, "deregistered", |said| said.changes("DeregisterTargets", OLD));
    assert!(registered < deregistered);
    assert!(
        !record.iter().any(|said| said.changes("DeregisterTargets", NEW)),
        "the one that stays is not touched"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_flaps_never_loses_its_healthy_target() -> Result<(), Fail> {
    let followed = Followed::with(&[OLD], Behaviour::All).await?;
    let start = followed.record()?.len();
    let onlooker = Onlooker::of(&followed)?;
    for round in 0..8 {
        followed.set(if round % 2 == 0 { &[NEW] } else { &[OLD] }, Behaviour::All)?;
        followed.follow().await?;
    }
    followed.set(&[NEW], Behaviour::All)?;
    let started = Instant::now();
    while !followed.follow().await?.is_empty() || followed.registered()?.len() > 1 {
        assert!(started.elapsed() < PATIENCE, "it does not come to rest");
    }
    onlooker.leave().await?;
    assert_eq!(followed.registered()?, BTreeSet::from([NEW.to_owned()]));
    assert_always_served(&followed.record()?[start..]);
    Ok(())
}

/// A folder with a file and a local cloud, for the command itself.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Result<Self, Fail> {
        let folder = tempfile::tempdir()?;
        Clock::open(&folder.path().join("sandbox"), Some(1_000.0))?;
        std::fs::write(folder.path().join("aws.yaml"), text(""))?;
        Ok(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, line: &str) -> Result<Output, Fail> {
        let stdin = std::process::Stdio::null();
        Ok(privnet(self.path()).args(line.split_whitespace()).stdin(stdin).output()?)
    }

    /// Runs a command that gives one object; the object and the exit status.
    fn json(&self, line: &str) -> Result<(Value, Option<i32>), Fail> {
        let output = self.run(&format!("{line} --output json"))?;
        let object = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("{line}: {error}: {}", String::from_utf8_lossy(&output.stderr)))?;
        Ok((object, output.status.code()))
    }
}

#[test]
fn the_command_ends_and_speaks_as_apply_does() -> Result<(), Fail> {
    let folder = Folder::new()?;
    folder.run(&format!("sandbox dns {NAME} {OLD}"))?;
    let (applied, code) = folder.json("--sandbox apply --yes")?;
    assert_eq!(code, Some(0), "{applied:#}");
    let (nothing, code) = folder.json("--sandbox sync-targets aws.yaml")?;
    assert_eq!((&nothing["actions"], code), (&serde_json::json!([]), Some(0)), "{nothing:#}");
    Clock::open(&folder.path().join("sandbox"), None)?.advance(Duration::from_secs(120))?;

    // Without a terminal and without --yes nothing is done.
    folder.run(&format!("sandbox dns {NAME} {NEW}"))?;
    assert_eq!(folder.run("--sandbox sync-targets")?.status.code(), Some(64));
    assert_eq!(folder.run("--sandbox sync-targets --service nobody --yes")?.status.code(), Some(64));
    let (first, code) = folder.json("--sandbox sync-targets --yes --service orders")?;
    assert_eq!(code, Some(0), "{first:#}");
    let action = &first["actions"][0];
    assert_eq!((&action["outcome"], &action["op"]), (&"done".into(), &"update".into()), "{first:#}");
    assert_eq!(action["changes"][0]["field"], "targets", "{first:#}");
    assert!(first["calls"].as_u64() > Some(0) && first["seconds"].is_number(), "{first:#}");
    Clock::open(&folder.path().join("sandbox"), None)?.advance(Duration::from_secs(120))?;
    let second = folder.run("--sandbox sync-targets --yes")?;
    assert_eq!(second.status.code(), Some(0));
    let shown = String::from_utf8_lossy(&second.stdout).into_owned();
    assert!(shown.contains("1 of 1 action done"), "{shown}");
    assert!(!shown.contains("handoff"), "{shown}");

    // What else the file wants is left, and said.
    let more = "        - { listen: 3306, to: { ips: [10.0.0.25] } }\n";
    std::fs::write(folder.path().join("aws.yaml"), text(more))?;
    let (rest, code) = folder.json("--sandbox sync-targets --yes")?;
    assert_eq!((&rest["actions"], code), (&serde_json::json!([]), Some(0)), "{rest:#}");
    assert!(rest["warnings"].to_string().contains("`privnet apply` does it"), "{rest:#}");

    // What a safety rule refuses is refused here too.
    std::fs::write(folder.path().join("aws.yaml"), text("").replace("123456789012", "210987654321"))?;
    let (refused, code) = folder.json("--sandbox sync-targets --yes")?;
    assert_eq!(code, Some(3), "{refused:#}");
    std::fs::write(folder.path().join("aws.yaml"), "version: 2\n")?;
    assert_eq!(folder.run("--sandbox sync-targets --yes aws.yaml")?.status.code(), Some(65));
    Ok(())
}
