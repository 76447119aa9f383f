//! Machines that somebody took off their target group: they are registered again, and a port that stays without any is told.

use aws_sdk_elasticloadbalancingv2::types::TargetDescription;
use privnet_core::plan::{Op, Plan};
use privnet_core::spec::Spec;
use privnet_core::world::TargetState;

use super::{Stage, groups, served, sized, until};

const NO_TARGET: &str = "port 5432 has no target: who comes in there gets no answer";

async fn target_group(stage: &Stage, spec: &Spec) -> String {
    stage.live(spec, "target-group").await.unwrap().id
}

/// The machines that a target group lists and that are not on their way out.
async fn listed(stage: &Stage, arn: &str) -> Vec<String> {
    let health = stage.elb().describe_target_health().target_group_arn(arn).send().await.unwrap();
    let all = health.target_health_descriptions().iter().filter(|one| {
        one.target_health().and_then(|health| health.state()).is_none_or(|state| state.as_str() != "draining")
    });
    all.filter_map(|one| one.target()?.id().map(str::to_owned)).collect()
}

async fn deregister(stage: &Stage, arn: &str, ids: &[String]) {
    let targets = ids.iter().map(|id| TargetDescription::builder().id(id).build()).collect();
    let request = stage.elb().deregister_targets().target_group_arn(arn).set_targets(Some(targets));
    request.send().await.unwrap();
}

fn told(plan: &Plan) -> Vec<&str> {
    plan.waits.iter().filter(|wait| wait.on == "you").map(|wait| wait.why.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_that_somebody_took_off_are_registered_again() {
    let stage = Stage::open().await;
    let spec = sized("t3.small");
    stage.apply(&spec).await;
    served(&stage, &spec).await;
    let arn = target_group(&stage, &spec).await;
    let all = listed(&stage, &arn).await;
    assert_eq!(all.len(), 2);
    for gone in [&all[..1], &all[..]] {
        deregister(&stage, &arn, gone).await;
        let plan = until("what is missing shows", || async {
            let plan = stage.plan(&spec).await;
            (!plan.is_empty()).then_some(plan)
        })
        .await;
        let actions: Vec<_> =
            plan.actions.iter().map(|action| (action.op, action.address.to_string())).collect();
        assert_eq!(actions, [(Op::Update, "ledger/forwarder-group/main".to_owned())], "{plan:#?}");
        assert!(!told(&plan).contains(&NO_TARGET), "the apply mends it: {:#?}", plan.waits);
        stage.apply(&spec).await;
        let mut now = listed(&stage, &arn).await;
        now.sort();
        let mut before = all.clone();
        before.sort();
        assert_eq!(now, before);
        stage.assert_settled(&spec).await;
    }
    served(&stage, &spec).await;
    let world = stage.world(&spec).await;
    assert!(world.services["ledger"].targets.iter().all(|target| target.state == TargetState::Healthy));
}

/// Where no machine is in service nothing can be registered.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_whose_machines_are_not_in_service_is_told() {
    let stage = Stage::open().await;
    let spec = sized("t3.small");
    stage.apply(&spec).await;
    let arn = target_group(&stage, &spec).await;
    let all = listed(&stage, &arn).await;
    let group = groups(&stage).await.remove(0);
    let name = group.auto_scaling_group_name().unwrap();
    // Nobody replaces them, so that it stays so.
    let suspend = stage.auto_scaling().suspend_processes().auto_scaling_group_name(name);
    suspend.scaling_processes("Launch").send().await.unwrap();
    stage.ec2().terminate_instances().set_instance_ids(Some(all.clone())).send().await.unwrap();
    let plan = until("no machine is in service", || async {
        let plan = stage.plan(&spec).await;
        told(&plan).contains(&NO_TARGET).then_some(plan)
    })
    .await;
    assert_eq!(plan.refusals, []);
}
