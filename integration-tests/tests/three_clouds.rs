//! One file with services of all three clouds: applied, accepted and destroyed in one go, the clouds side by side; and one cloud that
//! is down stops nobody but itself.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use privnet::{Ask, Event, Events, PlanOptions, Session, Spec, Verdict};
use privnet_core::plan::Rule;
use privnet_core::status::ServiceState;
use privnet_integration_tests::census::here;
use privnet_integration_tests::stage::{Stage, spec};
use privnet_sandbox::Sandbox;

const CLOUDS: [&str; 3] = ["aws", "azure", "gcp"];

fn file() -> Spec {
    let path = here().join("../examples/three-clouds.yaml");
    spec(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The cloud of each service.
fn clouds(session: &Session) -> BTreeMap<String, &'static str> {
    let cloud =
        |service: &privnet_core::spec::Service| (service.name.to_string(), service.cloud_name().as_str());
    session.spec().services.iter().map(cloud).collect()
}

/// Decides until every service has let its consumer in.
async fn accept_all(session: &Session) {
    let (started, mut accepted) = (Instant::now(), BTreeSet::new());
    while accepted.len() < 3 {
        assert!(started.elapsed() < Duration::from_secs(60), "only {accepted:?} were let in");
        let decided = session.accept_pending(&Ask::default(), false).await;
        assert!(decided.report.as_ref().is_some_and(privnet::Report::all_done), "{decided:?}");
        let new = decided.decisions.iter().filter(|decision| decision.verdict == Verdict::Accepted);
        accepted.extend(new.map(|decision| decision.service.clone()));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until_ready(session: &Session) {
    let started = Instant::now();
    loop {
        let (services, unreachable) = session.status().await;
        assert!(unreachable.is_empty(), "{unreachable:?}");
        if services.iter().all(|service| service.state == ServiceState::Ready) {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{services:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_file_lives_on_three_clouds() {
    let stage = Stage::open(None).await.unwrap();
    let seen: Arc<Mutex<Vec<(String, bool)>>> = Arc::default();
    let log = Arc::clone(&seen);
    let events = Events::new(move |event| match event {
        Event::Started { action, .. } => log.lock().unwrap().push((action, false)),
        Event::Done { action, .. } => log.lock().unwrap().push((action, true)),
        _ => {}
    });
    let session = stage.session_with(file(), |_| {}, |builder| builder.events(events)).unwrap();

    let applied = session.apply(PlanOptions::default()).await;
    let failures: Vec<String> = applied.report.failures().map(ToString::to_string).collect();
    assert!(applied.report.all_done() && applied.planned.plan.refusals.is_empty(), "{failures:?}");
    side_by_side(&session, &seen.lock().unwrap());
    let again = session.plan(PlanOptions::default()).await;
    assert!(again.plan.is_empty(), "{:#?}", again.plan.actions);

    accept_all(&session).await;
    until_ready(&session).await;
    let (handoffs, _) = session.handoff().await;
    assert_eq!(handoffs.iter().map(|handoff| handoff.cloud).collect::<BTreeSet<_>>(), CLOUDS.into());

    let refused = session.destroy(false).await;
    let cut: BTreeSet<_> =
        refused.planned.plan.refusals.iter().map(|refusal| refusal.address.service.as_str()).collect();
    assert_eq!(cut.len(), 3, "each has a live consumer: {:#?}", refused.planned.plan.refusals);
    assert!(refused.planned.plan.refusals.iter().all(|refusal| refusal.rule == Rule::WouldSever));
    let destroyed = session.destroy(true).await;
    let failures: Vec<String> = destroyed.report.failures().map(ToString::to_string).collect();
    assert!(destroyed.report.all_done(), "{failures:?} of {:#?}", destroyed.planned.plan.actions);
    assert!(session.destroy(true).await.planned.plan.is_empty());
}

/// No cloud waited for another one to be done.
fn side_by_side(session: &Session, seen: &[(String, bool)]) {
    let clouds = clouds(session);
    let of = |action: &str| {
        let address = action.split(' ').nth(1)?;
        clouds.get(address.split('/').next()?).copied()
    };
    let first = |cloud| seen.iter().position(|(action, done)| !done && of(action) == Some(cloud));
    let last = |cloud| seen.iter().rposition(|(action, done)| *done && of(action) == Some(cloud));
    for one in CLOUDS {
        for other in CLOUDS {
            let (began, ended) = (first(one).unwrap(), last(other).unwrap());
            assert!(one == other || began < ended, "{one} began after {other} had ended: {seen:#?}");
        }
    }
}

/// Somewhere that nobody listens.
fn nowhere() -> String {
    "http://127.0.0.1:1".to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloud_that_is_down_stops_no_other() {
    for down in CLOUDS {
        let stage = Stage::open(None).await.unwrap();
        let lame = stage
            .session_at(file(), |endpoints| match down {
                "aws" => endpoints.aws = nowhere(),
                "azure" => endpoints.azure = nowhere(),
                _ => endpoints.gcp = nowhere(),
            })
            .unwrap();
        let clouds = clouds(&lame);
        let executed = lame.apply(PlanOptions::default()).await;
        let plan = &executed.planned.plan;
        let failures: Vec<String> = executed.report.failures().map(ToString::to_string).collect();
        assert!(executed.report.all_done(), "{down} is down: {failures:?}");
        assert!(!executed.is_complete(), "{down} is down, and nothing was done there");
        let refused: BTreeSet<&str> =
            plan.refusals.iter().map(|refusal| clouds[&refusal.address.service]).collect();
        assert_eq!(refused, BTreeSet::from([down]), "{:#?}", plan.refusals);
        assert!(plan.refusals.iter().all(|refusal| refusal.rule == Rule::Unobserved), "{:#?}", plan.refusals);
        let done: BTreeSet<&str> =
            plan.actions.iter().map(|action| clouds[&action.address.service]).collect();
        let others: BTreeSet<&str> = CLOUDS.into_iter().filter(|cloud| *cloud != down).collect();
        assert_eq!(done, others, "{down} is down");

        // It is up again: the same command does the rest, and only that.
        let whole = stage.session_at(file(), |_| {}).unwrap();
        let rest = whole.apply(PlanOptions::default()).await;
        assert!(rest.is_complete());
        let done: BTreeSet<&str> =
            rest.planned.plan.actions.iter().map(|action| clouds[&action.address.service]).collect();
        assert_eq!(done, BTreeSet::from([down]));
    }
}

/// The requests of the consumers that the file names, by their services, once each service has two.
async fn two_each(session: &Session) -> BTreeMap<String, Vec<String>> {
    let started = Instant::now();
    loop {
        let decided = session.accept_pending(&Ask::default(), true).await;
        let mut asked: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for decision in decided.decisions.into_iter().filter(|decision| decision.consumer.is_some()) {
            asked.entry(decision.service).or_default().push(decision.connection);
        }
        if asked.len() == 3 && asked.values().all(|asked| asked.len() == 2) {
            return asked;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "only {asked:?} asked");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Two people each choose another request of the same consumer, and each finds room when they look: whoever is second is told that there
/// are more connections now than the file allows, and which.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_decide_at_the_same_moment_are_told_on_every_cloud() {
    let stage = Stage::open(None).await.unwrap();
    let session = stage.session(file(), &stage.url("aws")).unwrap();
    assert!(session.apply(PlanOptions::default()).await.report.all_done());
    let sandbox = Sandbox::open(stage.folder()).unwrap();
    for service in session.services() {
        sandbox.connect(service.name.as_str(), None).unwrap();
    }
    let asked = two_each(&session).await;
    for (service, two) in &asked {
        let chosen = |id: &String| Ask { connection: Some(id.clone()), ..Ask::default() };
        let first = session.accept_pending(&chosen(&two[0]), true).await;
        let second = session.accept_pending(&chosen(&two[1]), true).await;
        let first = session.carry_out(first).await;
        assert!(first.report.as_ref().is_some_and(privnet::Report::all_done), "{first:?}");
        assert_eq!(first.crowds, [], "there is room for one");
        let second = session.carry_out(second).await;
        let [crowd] = &second.crowds[..] else { panic!("{service}: {second:?}") };
        assert_eq!((&crowd.service, crowd.max), (service, 1));
        assert_eq!(BTreeSet::from_iter(&crowd.connections), BTreeSet::from_iter(two));
    }
}
