//! A port that turns from other targets to forwarders, or back: not before the new ones are healthy.

use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::{Listener, Tag, TargetDescription};
use privnet_core::accept::Ask;
use privnet_core::conformance::Driver;
use privnet_core::plan::PlanOptions;
use privnet_core::spec::Spec;
use privnet_core::world::TargetState;
use privnet_core::{ErrorKind, Plan};

use crate::stage::{self, Stage, assert_done, until};
use crate::{DESTROY, PORT, TWO_ZONES, groups, served, sized, text_with, with};

/// The port leads to an instance.
pub(crate) fn direct() -> Spec {
    with("", "{ listen: 5432, engine: postgres, to: { instances: [i-0123456789abcdef0] } }", "")
}

/// Waits until the instance is healthy.
pub(crate) async fn until_direct(stage: &Stage) {
    until("the instance is healthy", || async {
        let world = stage.world(&direct()).await;
        let targets = &world.services["ledger"].targets;
        targets.iter().any(|target| target.state == TargetState::Healthy).then_some(())
    })
    .await;
}

async fn listener(stage: &Stage, spec: &Spec) -> Listener {
    let arn = stage.live(spec, "listener").await.expect("a listener").id;
    let found = stage.elb().describe_listeners().listener_arns(arn).send().await.unwrap();
    found.listeners()[0].clone()
}

/// To other targets and back again: the listener turns first, then the machines go. Consumers stay connected, and the listener never
/// leads to a group of which the load balancer has not said that it is healthy: read from what was said.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_turns_to_other_targets_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let stage = Stage::open_with(|options| options.record = Some(record.clone())).await;
    let forwarded = sized("t3.small");
    stage.apply(&direct()).await;
    until_direct(&stage).await;
    stage.until_pending(&direct(), "ledger", 2).await;
    let (_, plan, report) = stage.decide(&direct(), &Ask::default()).await;
    assert_done(&plan, &report);
    for spec in [&forwarded, &direct()] {
        let before = std::fs::read_to_string(&record).unwrap().lines().count();
        let plan = stage.apply(spec).await;
        stage.assert_settled(spec).await;
        if let Some(gone) =
            plan.actions.iter().find(|action| action.id.starts_with("delete ledger/forwarder-group"))
        {
            assert!(gone.after.iter().any(|id| id == "update ledger/listener/5432"), "{gone:#?}");
        }
        let text = std::fs::read_to_string(&record).unwrap();
        turned_when_healthy(text.lines().skip(before), if spec == &forwarded { 2 } else { 1 });
    }
    assert_eq!(groups(&stage).await.len(), 0);
    assert!(stage.ec2().describe_launch_templates().send().await.unwrap().launch_templates().is_empty());
    stage.apply_with(&direct(), DESTROY).await;
}

/// What a plan says of those that are registered and are no machines.
fn strangers(plan: &Plan) -> Vec<&String> {
    plan.warnings.iter().filter(|warning| warning.contains("is no machine of the forwarder group")).collect()
}

/// Before the port turns, its targets serve whoever is connected: nobody is told to take these away. Who is among the machines is told.
#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_among_the_machines_is_called_none_of_them() {
    let forwarded = sized("t3.small");
    let to_address = with("", "{ listen: 5432, engine: postgres, to: { ips: [10.0.0.25] } }", "");
    for before in [direct(), to_address] {
        let stage = Stage::open().await;
        stage.apply(&before).await;
        let plan = stage.plan(&forwarded).await;
        assert!(!plan.actions.is_empty());
        assert_eq!(strangers(&plan), Vec::<&String>::new(), "{plan:#?}");
    }

    let stage = Stage::open().await;
    stage.apply(&forwarded).await;
    served(&stage, &forwarded).await;
    assert_eq!(strangers(&stage.plan(&forwarded).await), Vec::<&String>::new());
    let group = stage.live(&forwarded, "target-group").await.expect("a target group").id;
    let stranger = TargetDescription::builder().id("i-0123456789abcdef0").build();
    stage.elb().register_targets().target_group_arn(group).targets(stranger).send().await.unwrap();
    let plan = stage.plan(&forwarded).await;
    let told = strangers(&plan);
    assert!(
        told.len() == 1 && told[0].contains("i-0123456789abcdef0 is registered for port 5432"),
        "{plan:#?}"
    );
}

/// Demands of what was said: the listener first named the new group without a weight, then so many of its targets were all
/// healthy, then the listener led there alone.
pub(crate) fn turned_when_healthy<'a>(record: impl Iterator<Item = &'a str>, count: usize) {
    let said: Vec<serde_json::Value> = record.map(|line| serde_json::from_str(line).unwrap()).collect();
    let modified: Vec<usize> = (0..said.len()).filter(|at| said[*at]["action"] == "ModifyListener").collect();
    let [tried, turned] = modified[..] else { panic!("{} changes of the listener", modified.len()) };
    let body = said[tried]["body"].as_str().unwrap();
    assert!(
        body.contains("TargetGroups.member.1.Weight=1") && body.contains("TargetGroups.member.2.Weight=0"),
        "{body}"
    );
    let (_, group) = said[turned]["body"].as_str().unwrap().split_once("TargetGroupArn=").unwrap();
    let group = group.split('&').next().unwrap();
    let asked = |one: &&serde_json::Value| {
        one["action"] == "DescribeTargetHealth"
            && one["body"].as_str().is_some_and(|body| body.contains(group))
    };
    let last = said[..turned].iter().rev().find(asked).expect("nobody asked for its health");
    let answer = last["response"].as_str().unwrap();
    let states: Vec<&str> =
        answer.split("<State>").skip(1).filter_map(|rest| rest.split('<').next()).collect();
    assert_eq!(states, vec!["healthy"; count], "{answer}");
}

/// Machines whose databases do not answer: everything goes where it went before, the error tells what AWS says of each, and when the
/// cause is mended the same command turns the port.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_does_not_turn_to_machines_that_are_not_healthy() {
    let stage = Stage::open().await;
    stage.apply(&direct()).await;
    until_direct(&stage).await;
    let led_to =
        listener(&stage, &direct()).await.default_actions()[0].target_group_arn().unwrap().to_owned();

    // The new groups are made with the local cloud's switch: nothing that is registered with them answers.
    let forwarder = format!("forwarder: {{ {TWO_ZONES}, size: t3.small, drain: 60s }}");
    let text = |tags: &str| stage::spec(&text_with(&forwarder, PORT, "").replace("{ team: data }", tags));
    let sick = text("{ team: data, sandbox-health: down }");
    let (_, report) = stage.driver().apply(&sick, PlanOptions::default()).await;
    let error = stage::failure(&report);
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    let said = error.to_string();
    assert!(said.contains("unhealthy (Target.FailedHealthChecks: Health checks failed)"), "{said}");
    assert!(error.hints().iter().any(|hint| hint.contains("nft and python3")), "{:?}", error.hints());
    let action = listener(&stage, &sick).await.default_actions()[0].clone();
    assert_eq!(action.target_group_arn(), Some(led_to.as_str()), "everything goes where it went");
    assert_eq!(action.forward_config().unwrap().target_groups().len(), 1);

    // The user gives up: nothing of it stays.
    stage.apply(&direct()).await;
    stage.assert_settled(&direct()).await;
    assert_eq!(groups(&stage).await.len(), 0);

    // Or mends it, whoever had the switch: the same command turns the port.
    let (_, report) = stage.driver().apply(&sick, PlanOptions::default()).await;
    assert!(!report.all_done());
    for group in groups(&stage).await {
        let machines =
            group.instances().iter().filter_map(|one| one.instance_id().map(str::to_owned)).collect();
        let up = aws_sdk_ec2::types::Tag::builder().key("sandbox-health").value("up").build();
        stage.ec2().create_tags().set_resources(Some(machines)).tags(up).send().await.unwrap();
    }
    for group in stage.elb().describe_target_groups().send().await.unwrap().target_groups() {
        let up = Tag::builder().key("sandbox-health").value("up").build();
        stage
            .elb()
            .add_tags()
            .resource_arns(group.target_group_arn().unwrap())
            .tags(up)
            .send()
            .await
            .unwrap();
    }
    let mended = text("{ team: data, sandbox-health: up }");
    stage.apply(&mended).await;
    stage.assert_settled(&mended).await;
    let action = listener(&stage, &mended).await.default_actions()[0].clone();
    assert_ne!(action.target_group_arn(), Some(led_to.as_str()));
}

/// A watch has other work than to wait twenty minutes for machines: its round ends, everything goes where it went, and the next round goes
/// on with the same check.
#[tokio::test(flavor = "multi_thread")]
async fn who_comes_again_does_not_wait_for_the_machines() {
    let stage = Stage::open().await;
    stage.apply(&direct()).await;
    until_direct(&stage).await;
    let led_to = listener(&stage, &direct()).await.default_actions()[0].target_group_arn().map(str::to_owned);
    let forwarder = format!("forwarder: {{ {TWO_ZONES}, size: t3.small, drain: 60s }}");
    let text = |tags: &str| stage::spec(&text_with(&forwarder, PORT, "").replace("{ team: data }", tags));
    let sick = text("{ team: data, sandbox-health: down }");
    for round in 0..2 {
        let driver = Driver::patient(&stage, Duration::from_secs(60));
        let (_, report) = driver.apply(&sick, PlanOptions::default()).await;
        let error = stage::failure(&report);
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{round}: {error}");
        assert!(error.to_string().contains("after 60 s"), "{round}: {error}");
        let action = listener(&stage, &sick).await.default_actions()[0].clone();
        let tuples = action.forward_config().unwrap().target_groups().to_vec();
        let weights: Vec<_> = tuples.iter().map(|one| (one.target_group_arn(), one.weight())).collect();
        assert_eq!(weights.len(), 2, "{round}: it is still tried: {weights:?}");
        assert!(weights.contains(&(led_to.as_deref(), Some(1))), "{round}: {weights:?}");
        assert!(
            weights.iter().all(|(arn, weight)| *arn == led_to.as_deref() || *weight == Some(0)),
            "{weights:?}"
        );
    }
    // Whoever gives up is rid of it.
    stage.apply(&direct()).await;
    stage.assert_settled(&direct()).await;
}

/// Where the listener may not name the new group at all, nothing was turned, and everything goes where it went.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_may_not_try_a_group_stays_as_it_was() {
    let stage = Stage::open().await;
    stage.apply(&direct()).await;
    until_direct(&stage).await;
    let before = listener(&stage, &direct()).await;
    stage.fault("aws:ModifyListener:1+:code=AccessDenied");
    let (_, report) = stage.driver().apply(&sized("t3.small"), PlanOptions::default()).await;
    assert_eq!(stage::failure(&report).kind(), ErrorKind::Denied);
    assert_eq!(listener(&stage, &direct()).await, before);
    stage.heal();
    stage.apply(&sized("t3.small")).await;
    stage.assert_settled(&sized("t3.small")).await;
}

/// Interrupted while a group is tried out: the listener names both then, and whichever way the user goes on nothing of it stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_was_broken_off_goes_on_or_goes_back() {
    for spec in [sized("t3.small"), direct()] {
        let stage = Stage::open().await;
        stage.apply(&direct()).await;
        until_direct(&stage).await;
        // The second change of the listener is the turn itself.
        stage.fault("aws:ModifyListener:2:code=AccessDenied");
        let (_, report) = stage.driver().apply(&sized("t3.small"), PlanOptions::default()).await;
        assert!(!report.all_done());
        stage.heal();
        let action = listener(&stage, &direct()).await.default_actions()[0].clone();
        assert_eq!(action.forward_config().unwrap().target_groups().len(), 2);
        let plan = stage.apply(&spec).await;
        assert!(plan.actions.iter().any(|one| one.id == "update ledger/listener/5432"), "{plan:#?}");
        stage.assert_settled(&spec).await;
        let action = listener(&stage, &spec).await.default_actions()[0].clone();
        assert_eq!(action.forward_config().unwrap().target_groups().len(), 1);
    }
}
