//! A local cloud on which a name is followed, and somebody who looks on.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use privnet::{Executed, Plan, PlanOptions, Planned, Session};
use privnet_core::Op;
use privnet_core::accept::{Ask, Verdict};
use privnet_integration_tests::stage::{Fail, SPEED, Stage};
use privnet_sandbox::Sandbox;
use privnet_sandbox::dns::Behaviour;
use privnet_sandbox::frame::Clock;
use serde_json::Value;

use crate::said::Said;
use crate::{HINT, NAME, OLD, PATIENCE, file};

const RECORD: &str = "record.jsonl";

/// A local cloud on which the file is applied and serves one healthy address, or more.
pub(crate) struct Followed {
    pub(crate) stage: Stage,
    pub(crate) record: tempfile::TempDir,
}

impl Followed {
    pub(crate) async fn with(addresses: &[&str], behaviour: Behaviour) -> Result<Self, Fail> {
        Self::at(SPEED, addresses, behaviour).await
    }

    pub(crate) async fn at(speed: f64, addresses: &[&str], behaviour: Behaviour) -> Result<Self, Fail> {
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

    pub(crate) fn session(&self) -> Result<Session, Fail> {
        self.stage.session(file()?, &self.stage.url("aws"))
    }

    pub(crate) fn set(&self, addresses: &[&str], behaviour: Behaviour) -> Result<(), Fail> {
        let addresses: Vec<IpAddr> = addresses.iter().map(|ip| ip.parse()).collect::<Result<_, _>>()?;
        let names = Sandbox::open(self.stage.folder())?.names()?;
        names.set(NAME, &addresses)?;
        Ok(names.set_behaviour(NAME, behaviour)?)
    }

    pub(crate) async fn plan(&self) -> Result<Planned, Fail> {
        Ok(self.session()?.plan_targets().await)
    }

    /// One run of `sync-targets`; its plan.
    pub(crate) async fn follow(&self) -> Result<Plan, Fail> {
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
    pub(crate) async fn until_let_in(&self) -> Result<(), Fail> {
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

    pub(crate) async fn until_healthy(&self, addresses: &[&str]) -> Result<(), Fail> {
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

    pub(crate) fn record(&self) -> Result<Vec<Said>, Fail> {
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
    pub(crate) fn registered(&self) -> Result<BTreeSet<String>, Fail> {
        let record = self.record()?;
        let last = record.iter().rev().find(|said| said.action == "DescribeTargetHealth");
        let health = last.ok_or("nobody asked for the targets")?.health();
        Ok(health.into_iter().filter(|(_, state)| state != "draining").map(|(id, _)| id).collect())
    }

    /// Nothing is planned, nothing written, and the user is told what to do.
    pub(crate) async fn assert_left_alone(&self, why: &str) -> Result<(), Fail> {
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

/// While it lives, somebody looks at the targets all the time, and leaves the machine to others in between.
pub(crate) struct Onlooker {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Onlooker {
    pub(crate) fn of(followed: &Followed) -> Result<Self, Fail> {
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

    pub(crate) async fn leave(self) -> Result<(), Fail> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.task.await?)
    }
}
