//! Names that move, followed by `sync-targets` and by a watch: what they do is read from the local cloud's record of what was said.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod command;
mod followed;
mod said;
mod watching;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use privnet::Spec;
use privnet_integration_tests::stage::{Fail, spec};
use privnet_sandbox::Sandbox;
use privnet_sandbox::dns::Behaviour;
use privnet_sandbox::frame::Clock;

use followed::{Followed, Onlooker};
use said::{assert_always_served, assert_no_session_reset, first};

const NAME: &str = "orders.db.example";
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
