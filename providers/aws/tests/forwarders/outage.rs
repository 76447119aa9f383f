//! A database that is down: no machine is healthy then, an old one no more than a new one, and which of them works shows when it is back.

use aws_sdk_elasticloadbalancingv2::types::Tag;
use privnet_core::ErrorKind;
use privnet_core::accept::Ask;
use privnet_core::plan::PlanOptions;
use privnet_core::spec::Spec;
use privnet_core::world::TargetState;

use crate::turns::{direct, until_direct};
use crate::{Stage, assert_done, groups, only_group, served, sized, stage, until};

const SEVER: PlanOptions = PlanOptions { prune: false, sever_connections: true, destroy: false };

/// Everything behind the target groups that are there answers, or does not.
async fn switch(stage: &Stage, to: &str) {
    let elb = stage.elb();
    for group in elb.describe_target_groups().send().await.unwrap().target_groups() {
        let tag = Tag::builder().key("sandbox-health").value(to).build();
        let request = elb.add_tags().resource_arns(group.target_group_arn().unwrap());
        request.tags(tag).send().await.unwrap();
    }
}

/// Somebody is connected, and the database goes down.
async fn down(stage: &Stage, spec: &Spec) {
    stage.until_pending(spec, "ledger", 2).await;
    let (_, plan, report) = stage.decide(spec, &Ask::default()).await;
    assert_done(&plan, &report);
    switch(stage, "down").await;
    until("nothing is healthy", || async {
        let world = stage.world(spec).await;
        let targets = &world.services["ledger"].targets;
        targets.iter().all(|target| target.state == TargetState::Unhealthy).then_some(())
    })
    .await;
}

/// A service whose machines served a consumer until its database went down.
async fn in_outage(before: &Spec) -> Stage {
    let stage = Stage::open().await;
    stage.apply(before).await;
    served(&stage, before).await;
    down(&stage, before).await;
    stage
}

/// Both groups stay, over as many runs as the user likes, until the new machines are seen to work.
#[tokio::test(flavor = "multi_thread")]
async fn machines_that_served_stay_while_no_new_one_is_seen_to_work() {
    let before = sized("t3.small");
    let stage = in_outage(&before).await;
    let old = only_group(&stage).await.auto_scaling_group_name().unwrap().to_owned();
    let after = sized("t3.medium");
    for _ in 0..2 {
        let (_, report) = stage.driver().apply(&after, PlanOptions::default()).await;
        let error = stage::failure(&report);
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(error.hints().iter().any(|hint| hint.contains("--sever-connections")), "{error:?}");
        let there = groups(&stage).await;
        let stays = there.iter().find(|group| group.auto_scaling_group_name() == Some(&*old)).unwrap();
        assert!(there.len() == 2 && !stays.target_group_arns().is_empty(), "{there:#?}");
    }
    switch(&stage, "up").await;
    stage.apply(&after).await;
    stage.assert_settled(&after).await;
    assert_ne!(only_group(&stage).await.auto_scaling_group_name(), Some(&*old));
}

/// Back to the file of before: what was tried meanwhile took nobody's place, and goes although nothing is healthy.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_tried_while_the_database_is_down_can_be_taken_back() {
    let before = sized("t3.small");
    let stage = in_outage(&before).await;
    let old = only_group(&stage).await.auto_scaling_group_name().unwrap().to_owned();
    let (_, report) = stage.driver().apply(&sized("t3.medium"), PlanOptions::default()).await;
    assert_eq!(stage::failure(&report).kind(), ErrorKind::TimedOut);
    assert_eq!(groups(&stage).await.len(), 2);
    stage.apply(&before).await;
    stage.assert_settled(&before).await;
    assert_eq!(only_group(&stage).await.auto_scaling_group_name(), Some(&*old));
}

/// The word is for who knows that the old ones are worth nothing.
#[tokio::test(flavor = "multi_thread")]
async fn machines_that_do_not_answer_go_with_the_word() {
    let before = sized("t3.small");
    let stage = in_outage(&before).await;
    let after = sized("t3.medium");
    stage.apply_with(&after, SEVER).await;
    stage.assert_settled(&after).await;
    only_group(&stage).await;
}

/// A port that is turned meanwhile: what did not answer before either is no reason to turn to what never did.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_does_not_turn_unseen_while_the_database_is_down() {
    let stage = Stage::open().await;
    stage.apply(&direct()).await;
    until_direct(&stage).await;
    down(&stage, &direct()).await;
    let led_to = || async {
        let arn = stage.live(&direct(), "listener").await.unwrap().id;
        let found = stage.elb().describe_listeners().listener_arns(arn).send().await.unwrap();
        found.listeners()[0].default_actions()[0].target_group_arn().unwrap().to_owned()
    };
    let old = led_to().await;
    let text = crate::text_with(
        "",
        "{ listen: 5432, port: 5433, engine: postgres, to: { instances: [i-0bad0bad0bad0bad0] } }",
        "",
    );
    let another = stage::spec(&text);
    let (_, report) = stage.driver().apply(&another, PlanOptions::default()).await;
    assert_eq!(stage::failure(&report).kind(), ErrorKind::TimedOut, "{:?}", stage::failure(&report));
    assert_eq!(led_to().await, old, "everything goes where it went");
    stage.apply_with(&another, SEVER).await;
    assert_ne!(led_to().await, old);
}
