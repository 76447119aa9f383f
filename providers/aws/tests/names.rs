//! Targets behind a name that moves: added at once, taken away only when another is healthy, and never on an answer that
//! cannot be trusted.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod stage;

use std::time::Duration;

use privnet_core::conformance::Driver;
use privnet_core::plan::{Plan, PlanOptions};
use privnet_core::spec::Spec;
use privnet_core::{Purpose, World};
use privnet_sandbox::dns::Behaviour;
use stage::{Stage, assert_done, spec, until};

const NAME: &str = "orders.db.example";

fn file(more: &str) -> Spec {
    spec(&format!(
        "version: 1
deployment: names
services:
  - name: orders
    allow: {{ fivetran: {{}} }}
    aws:
      account: \"123456789012\"
      region: us-east-1
      vpc: vpc-0a1b2c3d4e5f60718
      subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
      {more}
      ports: [{{ listen: 5432, engine: postgres, to: {{ dns: {NAME} }} }}]
"
    ))
}

async fn targets(stage: &Stage, spec: &Spec) -> Vec<String> {
    let live = stage.live(spec, "target-group").await.unwrap();
    live.fields["targets"].as_list().unwrap().iter().map(ToString::to_string).collect()
}

fn waits(plan: &Plan, text: &str) -> bool {
    plan.waits.iter().any(|wait| wait.why.contains(text))
}

async fn until_healthy(stage: &Stage, spec: &Spec, count: usize) {
    until("the targets are healthy", || async {
        let world = stage.world(spec).await;
        let healthy =
            world.services["orders"].targets.iter().filter(|target| target.cloud_state == "healthy").count();
        (healthy >= count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_is_followed_without_losing_the_last_healthy_target() {
    let stage = Stage::open().await;
    let spec = file("");
    stage.set_name(NAME, &["10.0.0.25"]);
    stage.apply(&spec).await;
    assert_eq!(targets(&stage, &spec).await, ["10.0.0.25:5432"]);
    until_healthy(&stage, &spec, 1).await;

    stage.set_name(NAME, &["10.0.1.26"]);
    let plan = stage.apply(&spec).await;
    assert!(waits(&plan, "10.0.0.25:5432 stays until another target is healthy"), "{:#?}", plan.waits);
    let both = ["10.0.0.25:5432", "10.0.1.26:5432"];
    let now = targets(&stage, &spec).await;
    assert!(now == both || now == both[1..], "{now:?}");

    until_healthy(&stage, &spec, 2).await;
    stage.apply(&spec).await;
    assert_eq!(targets(&stage, &spec).await, ["10.0.1.26:5432"]);
    stage.assert_settled(&spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unhealthy_newcomer_takes_nobodys_place() {
    let stage = Stage::open().await;
    let spec = file("");
    stage.set_name(NAME, &["10.0.0.25"]);
    stage.apply(&spec).await;
    until_healthy(&stage, &spec, 1).await;
    // Addresses that end in 250 fail their checks.
    stage.set_name(NAME, &["10.0.1.250"]);
    stage.apply(&spec).await;
    let plan = until("the newcomer is unhealthy", || async {
        let plan = stage.plan(&spec).await;
        waits(&plan, "10.0.1.250:5432 of port 5432 is unhealthy").then_some(plan)
    })
    .await;
    assert!(plan.is_empty(), "{:#?}", plan.actions);
    assert!(waits(&plan, "10.0.0.25:5432 stays"), "{:#?}", plan.waits);
    assert_eq!(targets(&stage, &spec).await, ["10.0.0.25:5432", "10.0.1.250:5432"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_cannot_be_trusted_change_nothing_and_say_what_to_do() {
    let stage = Stage::open().await;
    let spec = file("");
    stage.set_name(NAME, &["10.0.0.25"]);
    stage.apply(&spec).await;
    for (answer, why) in [
        (&[][..], "resolves to no address"),
        (&["52.1.2.3"][..], "which is public"),
        (&["172.16.0.9"][..], "outside `target_ranges`"),
        (&["10.0.0.25", "172.16.0.9"][..], "outside `target_ranges`"),
    ] {
        stage.set_name(NAME, answer);
        let plan = stage.plan(&spec).await;
        assert!(plan.is_empty(), "{answer:?}: {:#?}", plan.actions);
        assert!(waits(&plan, why) && waits(&plan, "use a forwarder"), "{answer:?}: {:#?}", plan.waits);
    }
    stage.names().set_behaviour(NAME, Behaviour::Fail).unwrap();
    let plan = stage.plan(&spec).await;
    assert!(plan.is_empty() && waits(&plan, "cannot be resolved"), "{:#?} {:#?}", plan.actions, plan.waits);
    assert_eq!(targets(&stage, &spec).await, ["10.0.0.25:5432"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_service_whose_name_is_unknown_is_made_and_waits() {
    let stage = Stage::open().await;
    let spec = file("");
    let plan = stage.apply(&spec).await;
    assert!(waits(&plan, NAME), "{:#?}", plan.waits);
    stage.assert_settled(&spec).await;
    assert_eq!(targets(&stage, &spec).await, Vec::<String>::new());
    stage.set_name(NAME, &["10.0.0.25"]);
    stage.apply(&spec).await;
    assert_eq!(targets(&stage, &spec).await, ["10.0.0.25:5432"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn target_ranges_allow_what_lies_outside_the_vpc() {
    let stage = Stage::open().await;
    let spec = file("target_ranges: [172.16.0.0/12]");
    stage.set_name(NAME, &["172.16.0.9"]);
    stage.apply(&spec).await;
    assert_eq!(targets(&stage, &spec).await, ["172.16.0.9:5432@all"]);
    stage.assert_settled(&spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_gives_its_addresses_in_turn_keeps_all_of_them() {
    let stage = Stage::open().await;
    let spec = file("");
    stage.set_name(NAME, &["10.0.0.25", "10.0.1.26"]);
    stage.names().set_behaviour(NAME, Behaviour::Rotate).unwrap();
    stage.apply(&spec).await;
    assert_eq!(targets(&stage, &spec).await, ["10.0.0.25:5432", "10.0.1.26:5432"]);
    for _ in 0..3 {
        stage.assert_settled(&spec).await;
    }
}

/// A name that gives any one of its addresses may give the same one many times: a reader that is registered and healthy is looked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_whose_turn_does_not_come_keeps_its_place() {
    let stage = Stage::open().await;
    let spec = file("");
    let both = ["10.0.0.25", "10.0.1.26"];
    stage.set_name(NAME, &both);
    stage.apply(&spec).await;
    until_healthy(&stage, &spec, 2).await;
    stage.names().set_behaviour(NAME, Behaviour::Random(3)).unwrap();
    for round in 0..12 {
        let plan = stage.plan(&spec).await;
        assert!(plan.is_empty(), "round {round}: {:#?}", plan.actions);
    }
    // One that is really gone goes.
    stage.set_name(NAME, &both[..1]);
    stage.apply(&spec).await;
    assert_eq!(targets(&stage, &spec).await, ["10.0.0.25:5432"]);
}

/// Who looks again and again does not lose a reader to chance, whatever the seed; and one that is really gone goes in the end.
#[tokio::test(flavor = "multi_thread")]
async fn readers_at_random_keep_their_places_while_somebody_looks_again_and_again() {
    let readers = ["10.0.0.25", "10.0.1.26", "10.0.0.27", "10.0.1.28", "10.0.0.29"];
    for (seed, count) in [(1, 3), (2, 5)] {
        let (stage, spec) = (Stage::open().await, file(""));
        let readers = &readers[..count];
        stage.set_name(NAME, readers);
        stage.apply(&spec).await;
        until_healthy(&stage, &spec, count).await;
        stage.names().set_behaviour(NAME, Behaviour::Random(seed)).unwrap();
        let watch = stage.driver();
        for look in 0..40 {
            let (plan, ..) = watch.plan(&spec, PlanOptions::default()).await;
            assert!(plan.is_empty(), "seed {seed}, {count} readers, look {look}: {:#?}", plan.actions);
        }
        stage.set_name(NAME, &readers[1..]);
        let mut looks = 0;
        let plan = loop {
            let (plan, ..) = watch.plan(&spec, PlanOptions::default()).await;
            if !plan.is_empty() {
                break plan;
            }
            looks += 1;
            assert!(looks < 30, "it does not go");
        };
        assert!(looks >= 4, "it went after {looks} looks");
        let mut now: Vec<String> = readers[1..].iter().map(|ip| format!("{ip}:5432")).collect();
        now.sort();
        let change = &plan.actions[0].changes[0];
        let after: Vec<String> = change.to.as_list().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(after, now, "one goes, and no other");
    }
}

/// A run that asks once asks for longer where a name gives many addresses.
#[tokio::test(flavor = "multi_thread")]
async fn a_single_run_asks_a_reader_endpoint_more_often_the_more_readers_it_has() {
    let stage = Stage::open().await;
    let spec = file("");
    let readers = ["10.0.0.25", "10.0.1.26", "10.0.0.27"];
    stage.set_name(NAME, &readers);
    stage.apply(&spec).await;
    until_healthy(&stage, &spec, 3).await;
    stage.names().set_behaviour(NAME, Behaviour::Random(5)).unwrap();
    let mut lost = 0;
    for _ in 0..40 {
        lost += usize::from(!stage.plan(&spec).await.is_empty());
    }
    // By chance one in 90 loses one of three; with eight answers it was one in eight.
    assert!(lost <= 1, "{lost} of 40 runs would take a reader away");
}

/// Who comes again does not wait ten minutes for a target that is never healthy, while requests and other services wait with him.
#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_that_never_gets_healthy_holds_up_a_watch_for_its_patience_only() {
    let stage = Stage::open().await;
    let spec = file("");
    stage.set_name(NAME, &["10.0.0.25", "10.0.1.26"]);
    stage.apply(&spec).await;
    until_healthy(&stage, &spec, 2).await;
    // One goes, and one comes that fails its checks.
    stage.set_name(NAME, &["10.0.1.26", "10.0.1.250"]);
    let watch = Driver::patient(&stage, Duration::from_secs(60));
    let (_, report) = watch.apply(&spec, PlanOptions::default()).await;
    let failures: Vec<String> = report.failures().map(|failure| format!("{failure:?}")).collect();
    assert!(failures.len() == 1 && failures[0].contains("after 60 s"), "{failures:#?}");
    assert_eq!(targets(&stage, &spec).await, ["10.0.0.25:5432", "10.0.1.250:5432", "10.0.1.26:5432"]);
    // The next round does what is left: the one that stays serves.
    let (plan, report) = watch.apply(&spec, PlanOptions::default()).await;
    assert_done(&plan, &report);
    assert_eq!(targets(&stage, &spec).await, ["10.0.1.250:5432", "10.0.1.26:5432"]);
}

/// The vendor is told nothing of what is behind a name, so none is asked for, let alone waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_hand_over_asks_for_no_name() {
    let stage = Stage::open().await;
    let spec = file("");
    stage.set_name(NAME, &["10.0.0.25"]);
    stage.apply(&spec).await;
    stage.set_name(NAME, &["10.0.1.26"]);
    let (stage, spec) = (&stage, &spec);
    let seen = |purpose| async move { stage.driver().observe(spec, purpose).await.1 };
    let names = |world: &World| world.facts["aws/service/orders"]["names"].as_object().unwrap().len();
    let (told, planned) = (seen(Purpose::HandOver).await, seen(Purpose::Plan).await);
    assert_eq!((names(&told), names(&planned)), (0, 1));
    assert_eq!(told.live, planned.live);
}
