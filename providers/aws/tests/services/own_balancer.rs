//! A load balancer of the user's own: privnet's ports come and go there, and everything else on it stays.

use aws_sdk_elasticloadbalancingv2::types::ProtocolEnum;
use privnet_core::plan::{Op, PlanOptions, Rule};
use privnet_core::spec::aws::AwsForm;
use privnet_core::spec::{CloudService, Spec};

use crate::stage::{Stage, spec};
use crate::{DESTROY, IPS, OWN_BALANCER, VPC, everybody_asked, file, ids, location, made};

pub(crate) fn on_own_balancer(ports: &str) -> Spec {
    spec(&format!(
        "version: 1
deployment: services
defaults: {{ aws: {{ {}, vpc: {VPC} }} }}
services:
  - name: legacy
    allow: {{ fivetran: {{}} }}
    aws: {{ existing: {{ load_balancer: \"{OWN_BALANCER}\" }} {ports} }}
",
        location()
    ))
}

pub(crate) async fn listener_ports(stage: &Stage, balancer: &str) -> Vec<i32> {
    let listeners = stage.elb().describe_listeners().load_balancer_arn(balancer).send().await.unwrap();
    let mut ports: Vec<i32> = listeners.listeners().iter().filter_map(|listener| listener.port()).collect();
    ports.sort_unstable();
    ports
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_are_added_to_the_users_load_balancer_and_taken_away_again() {
    let stage = Stage::open().await;
    let before = listener_ports(&stage, OWN_BALANCER).await;
    let spec = on_own_balancer(", ports: [{ listen: 7000, to: { ips: [10.0.0.25] } }]");
    let plan = stage.apply(&spec).await;
    let added: Vec<_> = plan.adds_to_yours.iter().map(|addition| addition.address.kind.as_str()).collect();
    assert_eq!(added, ["listener"]);
    assert!(!plan.actions.iter().any(|action| action.address.kind == "load-balancer"), "{:#?}", plan.actions);
    stage.assert_settled(&spec).await;
    assert_eq!(listener_ports(&stage, OWN_BALANCER).await, [before.clone(), vec![7000]].concat());

    everybody_asked(&stage, &spec, "legacy").await;
    stage.apply_with(&spec, DESTROY).await;
    assert_eq!(listener_ports(&stage, OWN_BALANCER).await, before);
}

/// A tombstone, and a file without the service, do not say which load balancer it was: what privnet added there is found by its target
/// groups. What the user has there stays.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_added_to_the_users_load_balancer_goes_with_the_service() {
    let tombstone = format!("  - {{ name: legacy, remove: true, aws: {{ {} }} }}\n", location());
    for (file, prune) in [(file(&[tombstone]), false), (file(&[made("other", IPS, "")]), true)] {
        let stage = Stage::open().await;
        let before = listener_ports(&stage, OWN_BALANCER).await;
        let spec = on_own_balancer(", ports: [{ listen: 7000, to: { ips: [10.0.0.25] } }]");
        stage.apply(&spec).await;
        everybody_asked(&stage, &spec, "legacy").await;
        let options = PlanOptions { prune, sever_connections: true, destroy: false };
        let plan = stage.apply_with(&file, options).await;
        assert!(ids(&plan, Op::Delete).iter().any(|id| id.contains("listener")), "{plan:#?}");
        assert_eq!(listener_ports(&stage, OWN_BALANCER).await, before);
        let left = stage.world(&file).await.live.into_iter().filter(|live| live.address.service == "legacy");
        assert_eq!(left.map(|live| live.address.to_string()).collect::<Vec<_>>(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_the_users_load_balancer_has_is_refused() {
    let stage = Stage::open().await;
    let taken = listener_ports(&stage, OWN_BALANCER).await[0];
    let spec = on_own_balancer(&format!(", ports: [{{ listen: {taken}, to: {{ ips: [10.0.0.25] }} }}]"));
    let plan = stage.plan(&spec).await;
    assert!(
        plan.refusals.iter().any(|r| r.rule == Rule::NotOurs && r.why.contains("not privnet's")),
        "{:#?}",
        plan.refusals
    );
    assert!(plan.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_beside_a_supplied_load_balancer_must_be_its_own() {
    let stage = Stage::open().await;
    let mut there = on_own_balancer(", ports: [{ listen: 7000, to: { ips: [10.0.0.25] } }]");
    for elsewhere in ["vpc-00000000000000000", "vpc-007b2c3d4e5f60718"] {
        let CloudService::Aws(aws) = &mut there.services[0].cloud else { panic!("it is on AWS") };
        let AwsForm::OnLoadBalancer(on) = &mut aws.form else { panic!("it is on a load balancer") };
        on.vpc = Some(elsewhere.parse().unwrap());
        let plan = stage.plan(&there).await;
        assert!(plan.is_empty() && plan.refusals.iter().any(|r| r.why.contains(elsewhere)), "{plan:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supplied_load_balancer_that_is_not_there_is_refused() {
    let stage = Stage::open().await;
    let missing = OWN_BALANCER.replace("0123456789abcdef", "0000000000000000");
    let spec = spec(&format!(
        "version: 1
deployment: services
services:
  - name: legacy
    allow: {{ fivetran: {{}} }}
    aws: {{ {}, existing: {{ load_balancer: \"{missing}\" }} }}
",
        location()
    ));
    let plan = stage.plan(&spec).await;
    assert!(plan.is_empty());
    assert!(
        plan.refusals.iter().any(|r| r.rule == Rule::Unsuitable && r.why.contains("is not there")),
        "{:#?}",
        plan.refusals
    );
}

/// Beside it stands a listener of the user's with copies of all of its tags. The first destroy takes ours; after that the copy is the only
/// one with these tags, and it is still the user's.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_destroy_takes_no_copied_listener_for_ours() {
    let stage = Stage::open().await;
    let elb = stage.elb();
    let before = elb.describe_listeners().load_balancer_arn(OWN_BALANCER).send().await.unwrap();
    let theirs = before.listeners()[0].default_actions()[0].clone();
    let spec = on_own_balancer(", ports: [{ listen: 7000, to: { ips: [10.0.0.25] } }]");
    stage.apply(&spec).await;
    everybody_asked(&stage, &spec, "legacy").await;
    let ours = stage.live(&spec, "listener").await.unwrap().id;
    let tags =
        elb.describe_tags().resource_arns(&ours).send().await.unwrap().tag_descriptions()[0].tags().to_vec();
    let copy = elb.create_listener().load_balancer_arn(OWN_BALANCER).port(7001).protocol(ProtocolEnum::Tcp);
    let copy = copy.default_actions(theirs).set_tags(Some(tags)).send().await.unwrap();
    let copy = copy.listeners()[0].listener_arn().unwrap().to_owned();
    let described = async || {
        let all = elb.describe_listeners().listener_arns(&copy).send().await.ok()?;
        all.listeners().first().cloned()
    };
    let as_made = described().await.expect("the copy");

    let first = stage.apply_with(&spec, DESTROY).await;
    assert!(
        ids(&first, Op::Delete).iter().any(|id| id.starts_with("delete legacy/listener/7000")),
        "{first:#?}"
    );
    let second = stage.apply_with(&spec, DESTROY).await;
    assert!(second.is_empty(), "{second:#?}");
    assert_eq!(described().await, Some(as_made));
    assert_eq!(listener_ports(&stage, OWN_BALANCER).await.iter().filter(|port| **port == 7000).count(), 0);
}
