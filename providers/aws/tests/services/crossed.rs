//! A listener that is to turn back to a group which something else has checked, until that turns away as well.

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, ProtocolEnum, TargetDescription, TargetTypeEnum,
};
use privnet_core::plan::PlanOptions;
use privnet_core::{Live, Value};

use crate::own_balancer::on_own_balancer;
use crate::stage::{Stage, assert_done, until};
use crate::{OWN_BALANCER, VPC, file, made};

/// Slow enough to come in between.
const SLOW: f64 = 20.0;

fn forward(group: &str) -> Action {
    Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(group).build()
}

async fn turns(stage: &Stage, listener: &str, group: &str) {
    stage
        .elb()
        .modify_listener()
        .listener_arn(listener)
        .default_actions(forward(group))
        .send()
        .await
        .unwrap();
}

fn text<'a>(live: &'a Live, name: &str) -> &'a str {
    live.fields.get(name).and_then(Value::as_text).unwrap()
}

/// A group of a colleague's with a target.
async fn theirs(stage: &Stage) -> String {
    let elb = stage.elb();
    let request = elb.create_target_group().name("theirs").protocol(ProtocolEnum::Tcp).port(5432).vpc_id(VPC);
    let made = request.target_type(TargetTypeEnum::Ip).send().await.unwrap();
    let group = made.target_groups()[0].target_group_arn().unwrap().to_owned();
    let target = TargetDescription::builder().id("10.0.0.77").build();
    elb.register_targets().target_group_arn(&group).targets(target).send().await.unwrap();
    group
}

async fn until_healthy(stage: &Stage, group: &str) {
    until("it is healthy", || async {
        let health = stage.elb().describe_target_health().target_group_arn(group).send().await.unwrap();
        let all = health.target_health_descriptions();
        let is_healthy =
            all.iter().all(|one| one.target_health().unwrap().state().unwrap().as_str() == "healthy");
        is_healthy.then_some(())
    })
    .await;
}

/// While it is waited for, whatever names the group turns away from it: a listener of somebody else's, or this one by somebody's hand. Nobody
/// would check it any more, and nothing would come of waiting.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_goes_out_of_use_while_it_is_waited_for_is_named_again() {
    for by_hand in [false, true] {
        let stage = Stage::open().await;
        let spec = on_own_balancer(", ports: [{ listen: 7000, to: { ips: [10.0.0.25] } }]");
        stage.apply(&spec).await;
        let ours = stage.live(&spec, "listener").await.unwrap();
        let (theirs, wanted) = (theirs(&stage).await, text(&ours, "target_group").to_owned());
        turns(&stage, &ours.id, &theirs).await;
        until_healthy(&stage, &theirs).await;
        stage.set_speed(SLOW);
        let elb = stage.elb();
        let other = match by_hand {
            true => None,
            false => {
                let request = elb.create_listener().load_balancer_arn(OWN_BALANCER).port(7001);
                let request = request.protocol(ProtocolEnum::Tcp).default_actions(forward(&wanted));
                let made = request.send().await.unwrap();
                Some(made.listeners()[0].listener_arn().unwrap().to_owned())
            }
        };
        // A fault that never comes counts what is asked.
        stage.fault("aws:DescribeTargetHealth:100000:throttle");
        stage.plan(&spec).await;
        let by_a_plan = stage.counted();
        let takes_away = async {
            // Of the group that serves once, of the wanted one again and again.
            while stage.counted() < 2 * by_a_plan + 4 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            match &other {
                None => turns(&stage, &ours.id, &theirs).await,
                Some(other) => drop(elb.delete_listener().listener_arn(other).send().await.unwrap()),
            }
        };
        let driver = stage.driver();
        let ((plan, report), ()) = tokio::join!(driver.apply(&spec, PlanOptions::default()), takes_away);
        assert_eq!(
            plan.actions.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(),
            ["update legacy/listener/7000"]
        );
        assert_done(&plan, &report);
        stage.assert_settled(&spec).await;
    }
}

/// Each turns to the other's group.
#[tokio::test(flavor = "multi_thread")]
async fn two_listeners_that_somebody_crossed_are_put_right() {
    let stage = Stage::open().await;
    let port = |listen: u16| format!("{{ listen: {listen}, to: {{ ips: [10.0.0.{}] }} }}", listen % 100);
    let spec = file(&[made("orders", &format!("{}, {}", port(5432), port(5433)), "")]);
    stage.apply(&spec).await;
    let world = stage.world(&spec).await;
    let listeners: Vec<Live> =
        world.live.into_iter().filter(|live| live.address.kind == "listener").collect();
    for listener in &listeners {
        until_healthy(&stage, text(listener, "target_group")).await;
    }
    stage.set_speed(SLOW);
    turns(&stage, &listeners[0].id, text(&listeners[1], "target_group")).await;
    turns(&stage, &listeners[1].id, text(&listeners[0], "target_group")).await;
    until("both show", || async { (stage.plan(&spec).await.actions.len() == 2).then_some(()) }).await;
    stage.apply(&spec).await;
    stage.assert_settled(&spec).await;
}
