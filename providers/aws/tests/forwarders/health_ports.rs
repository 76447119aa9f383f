//! Machines that are there are asked where they answer, whatever ports come and go beside theirs.

use aws_sdk_elasticloadbalancingv2::types::TargetGroup;
use privnet_core::Plan;
use privnet_core::plan::{PlanOptions, Rule};
use privnet_core::spec::Spec;

use super::{Stage, TWO_ZONES, assert_done, served, with};

const SEVER: PlanOptions = PlanOptions { prune: false, sever_connections: true, destroy: false };

/// A service of these listening ports.
fn listening(ports: &[u16]) -> Spec {
    let machines = format!("forwarder: {{ {TWO_ZONES}, size: t3.small, drain: 60s }}");
    let port = |listen: &u16| {
        format!(
            "{{ listen: {listen}, port: 5432, engine: postgres, to: {{ forwarder: {{ ip: 172.16.4.20 }} }} }}"
        )
    };
    with(&machines, &ports.iter().map(port).collect::<Vec<_>>().join(", "), "")
}

/// The service's target group of a port.
async fn group(stage: &Stage, spec: &Spec, listen: u16) -> TargetGroup {
    let live = stage.world(spec).await.live.into_iter();
    let mut own = live
        .filter(|live| live.address.kind == "target-group" && live.address.name == listen.to_string())
        .map(|live| live.id);
    let request = stage.elb().describe_target_groups().target_group_arns(own.next().unwrap());
    request.send().await.unwrap().target_groups.unwrap().remove(0)
}

/// Where the load balancer asks for a port's health.
async fn asked(stage: &Stage, spec: &Spec, listen: u16) -> String {
    group(stage, spec, listen).await.health_check_port.unwrap()
}

/// The changes of target groups that are there.
fn changed(plan: &Plan) -> Vec<&str> {
    let ids = plan.actions.iter().map(|action| action.id.as_str());
    ids.filter(|id| id.starts_with("update ledger/target-group/")).collect()
}

/// 5432 and 15432 want the same health port. A target that is not healthy loses its sessions, and old machines do not answer anywhere else.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_comes_or_goes_moves_nobodys_health_port() {
    let stage = Stage::open().await;
    let first = listening(&[15_432]);
    stage.apply(&first).await;
    served(&stage, &first).await;
    assert_eq!(asked(&stage, &first, 15_432).await, "25432");

    let both = listening(&[15_432, 5432]);
    let plan = stage.apply(&both).await;
    assert_eq!(changed(&plan), Vec::<&str>::new(), "{plan:#?}");
    assert_eq!(asked(&stage, &both, 15_432).await, "25432");
    assert_eq!(asked(&stage, &both, 5432).await, "25433");
    stage.assert_settled(&both).await;

    // One that was changed by hand is no health port that anybody serves.
    let arn = group(&stage, &both, 15_432).await.target_group_arn.unwrap();
    let request = stage.elb().modify_target_group().target_group_arn(arn);
    request.health_check_port("25999").send().await.unwrap();
    let plan = stage.apply(&both).await;
    assert_eq!(changed(&plan), Vec::<&str>::new(), "{plan:#?}");
    assert!(
        plan.actions.iter().any(|action| action.id.starts_with("create ledger/target-group/15432@")),
        "{plan:#?}"
    );
    assert_eq!(asked(&stage, &both, 15_432).await, "25432");

    let second = listening(&[5432]);
    let (plan, report) = stage.driver().apply(&second, SEVER).await;
    assert_done(&plan, &report);
    assert_eq!(changed(&plan), Vec::<&str>::new(), "{plan:#?}");
    assert_eq!(asked(&stage, &second, 5432).await, "25433");
    stage.assert_settled(&second).await;
}

/// New machines could not answer for 5432 where the old ones do, and the target group is changed before there are any.
#[tokio::test(flavor = "multi_thread")]
async fn a_live_health_port_is_not_listened_on() {
    let stage = Stage::open().await;
    let first = listening(&[5432]);
    stage.apply(&first).await;
    served(&stage, &first).await;
    assert_eq!(asked(&stage, &first, 5432).await, "25432");

    let (plan, _, _) = stage.driver().plan(&listening(&[5432, 25_432]), SEVER).await;
    assert_eq!(plan.actions, [], "{plan:#?}");
    assert_eq!(plan.refusals.len(), 1, "{plan:#?}");
    assert_eq!(plan.refusals[0].rule, Rule::Unsuitable);
    let why = &plan.refusals[0].why;
    assert!(
        why.contains("port 25432") && why.contains("health of port 5432") && why.contains("`listen:`"),
        "{why}"
    );
    assert_eq!(asked(&stage, &first, 5432).await, "25432");

    // Another number will do, and so will that one where nobody is asked there any more.
    let beside = listening(&[5432, 25_433]);
    stage.apply(&beside).await;
    stage.assert_settled(&beside).await;
    let (plan, report) = stage.driver().apply(&listening(&[25_432]), SEVER).await;
    assert_done(&plan, &report);
}

/// Who has both from the beginning has machines that answer beside both.
#[tokio::test(flavor = "multi_thread")]
async fn both_at_once_are_two_ports_like_any_others() {
    let stage = Stage::open().await;
    let both = listening(&[5432, 25_432]);
    stage.apply(&both).await;
    assert_eq!(asked(&stage, &both, 5432).await, "25433");
    stage.assert_settled(&both).await;
}
