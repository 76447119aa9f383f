//! privnet's security group on something of somebody else's: the plan of a destroy tells it, and the destroy does not wait for it.

use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::{LoadBalancerSchemeEnum, LoadBalancerTypeEnum};
use privnet_core::ErrorKind;
use privnet_core::plan::PlanOptions;

use super::{DESTROY, IPS, Stage, everybody_asked, file, made, stage::failure, stage::until};

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_a_colleagues_load_balancer_carries_is_told_and_not_waited_for() {
    let stage = Stage::open().await;
    let spec = file(&[made("orders", IPS, "")]);
    stage.apply(&spec).await;
    everybody_asked(&stage, &spec, "orders").await;
    let group = stage.live(&spec, "security-group").await.unwrap().id;
    let request = stage.elb().create_load_balancer().name("theirs").subnets("subnet-0aaaaaaaaaaaaaaa1");
    let request = request.r#type(LoadBalancerTypeEnum::Network).scheme(LoadBalancerSchemeEnum::Internal);
    let theirs = request.security_groups(&group).send().await.unwrap();
    let theirs = theirs.load_balancers()[0].load_balancer_arn().unwrap().to_owned();

    let plan = stage.driver().plan(&spec, DESTROY).await.0;
    let told = |plan: &privnet_core::Plan| {
        plan.warnings.iter().any(|one| one.contains("security-group/main") && one.contains(&theirs))
    };
    assert!(told(&plan), "{:#?}", plan.warnings);
    let kept = stage.plan(&spec).await;
    assert!(!told(&kept), "nothing is to go: {:#?}", kept.warnings);

    // At the pace of the clock itself a wait of fifteen minutes would be one.
    let (plan, report) = stage.driver().apply(&spec, DESTROY).await;
    let error = failure(&report);
    assert_eq!(error.kind(), ErrorKind::InUse, "{plan:#?} {error:?}");
    assert!(error.message().contains("net/theirs/"), "{error:?}");
    assert!(error.hints().iter().any(|hint| hint.contains("another security group")), "{error:?}");

    stage.elb().delete_load_balancer().load_balancer_arn(&theirs).send().await.unwrap();
    until("its interfaces have gone", || async {
        stage.advance(Duration::from_secs(60));
        let (plan, report) = stage.driver().apply(&spec, DESTROY).await;
        (plan.is_empty() || report.all_done()).then_some(())
    })
    .await;
    let left = stage.driver().plan(&spec, PlanOptions { destroy: true, ..PlanOptions::default() }).await.0;
    assert!(left.is_empty(), "{left:#?}");
}
