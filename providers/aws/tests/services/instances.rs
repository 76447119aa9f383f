//! Instances that do not run: what is registered and stopped is told, and what AWS would not register is refused.

use privnet_core::plan::Rule;

use super::{Stage, file, made, stage::until};

const INSTANCE: &str = "i-0123456789abcdef0";
const PORT: &str = "{ listen: 5432, engine: postgres, to: { instances: [i-0123456789abcdef0] } }";

async fn terminated(stage: &Stage) {
    stage.ec2().terminate_instances().instance_ids(INSTANCE).send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_whose_only_instance_is_terminated_is_told() {
    let stage = Stage::open().await;
    let spec = file(&[made("orders", PORT, "")]);
    stage.apply(&spec).await;
    terminated(&stage).await;
    let plan = until("the plan tells of it", || async {
        let plan = stage.plan(&spec).await;
        let told = |why: &str| why.contains(INSTANCE) && why.contains("terminated state");
        plan.waits.iter().any(|wait| wait.on == "you" && told(&wait.why)).then_some(plan)
    })
    .await;
    assert!(plan.is_empty() && plan.refusals.is_empty(), "{plan:#?}");
}

/// AWS would not register it, when everything before it is made.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_port_to_a_terminated_instance_is_refused() {
    let stage = Stage::open().await;
    terminated(&stage).await;
    let plan = stage.plan(&file(&[made("orders", PORT, "")])).await;
    assert!(plan.is_empty(), "{:#?}", plan.actions);
    let refusal = &plan.refusals[0];
    assert_eq!(refusal.rule, Rule::Unsuitable);
    assert!(refusal.why.contains(INSTANCE) && refusal.why.contains("name another one"), "{}", refusal.why);
}

/// One that is taken off and stopped for maintenance holds nothing up.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_that_does_not_run_is_left_out_and_told() {
    let stage = Stage::open().await;
    terminated(&stage).await;
    let both = PORT.replace(INSTANCE, "i-0123456789abcdef0, i-0bad0bad0bad0bad0");
    let spec = file(&[made("orders", &both, "")]);
    let plan = stage.plan(&spec).await;
    assert!(plan.refusals.is_empty() && !plan.is_empty(), "{:#?}", plan.refusals);
    let told = |why: &str| why.contains(INSTANCE) && why.contains("left out until then");
    assert!(plan.waits.iter().any(|wait| wait.on == "you" && told(&wait.why)), "{:#?}", plan.waits);
    stage.apply(&spec).await;
    let again = stage.plan(&spec).await;
    assert!(again.is_empty() && again.refusals.is_empty(), "{again:#?}");
}
