//! Endpoint services that look like ours: copies of tags, strangers on our load balancer, ours without its proof.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};
use privnet_core::ErrorKind;
use privnet_core::plan::{Op, PlanOptions, Rule};

use crate::stage::{Stage, failure, file, spec, until};
use crate::{DESTROY, FIVETRAN, SUPPLIED, SUPPLIED_BALANCER, existing, principals, service_id};

const TAKEN_BALANCER: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/shared/fedcba9876543210";

#[tokio::test(flavor = "multi_thread")]
async fn a_load_balancer_that_has_a_service_is_refused_at_plan() {
    let stage = Stage::open().await;
    let taken = existing(&format!("load_balancer: \"{TAKEN_BALANCER}\""), "allow: { fivetran: {} }");
    let plan = stage.plan(&taken).await;
    assert!(plan.actions.is_empty(), "{plan:#?}");
    let refusal = plan.refusals.iter().find(|refusal| refusal.rule == Rule::NotOurs).expect("a refusal");
    assert!(refusal.why.contains(SUPPLIED) && refusal.why.contains("existing"), "{refusal:?}");
}

/// Between plan and apply somebody else makes a service on the load balancer: it is not taken over.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_on_our_load_balancer_is_not_adopted() {
    let stage = Stage::open().await;
    let on_balancer = existing(&format!("load_balancer: \"{SUPPLIED_BALANCER}\""), "allow: { fivetran: {} }");
    let driver = stage.driver();
    let (plan, desired, world) = driver.plan(&on_balancer, PlanOptions::default()).await;
    let made =
        stage.ec2().create_vpc_endpoint_service_configuration().network_load_balancer_arns(SUPPLIED_BALANCER);
    let stranger = made.send().await.unwrap().service_configuration.unwrap().service_id.unwrap();
    let report = driver.execute(&plan, &desired, &world).await;
    let error = failure(&report);
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
    assert!(error.message().contains(&stranger) && error.hints()[0].contains("existing"), "{error:?}");
    assert!(principals(&stage, &stranger).await.is_empty());
}

/// An endpoint service of somebody else's on another load balancer, with the tags of ours that are `kept`.
async fn copy_of(stage: &Stage, ours: &str, kept: impl Fn(&Tag) -> bool) -> String {
    let described =
        stage.ec2().describe_vpc_endpoint_service_configurations().service_ids(ours).send().await.unwrap();
    let copied = described.service_configurations()[0].tags().iter().filter(|tag| kept(tag));
    let tags = TagSpecification::builder()
        .resource_type(ResourceType::VpcEndpointService)
        .set_tags(Some(copied.cloned().collect()));
    let copy =
        stage.ec2().create_vpc_endpoint_service_configuration().network_load_balancer_arns(SUPPLIED_BALANCER);
    let copy = copy.tag_specifications(tags.build()).send().await.unwrap();
    let copy = copy.service_configuration.unwrap().service_id.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    copy
}

/// Tags alone can be copied.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_alike_is_left_alone() {
    let stage = Stage::open().await;
    let spec = file("");
    stage.apply(&spec).await;
    let ours = service_id(&stage, &spec).await;
    let copy = copy_of(&stage, &ours, |tag| tag.key() != Some("Name")).await;
    stage.assert_settled(&spec).await;
    stage.apply_with(&spec, DESTROY).await;
    let left =
        stage.ec2().describe_vpc_endpoint_service_configurations().service_ids(&copy).send().await.unwrap();
    assert_eq!(left.service_configurations().len(), 1);
}

/// Nor does it become ours when ours is gone: nobody is let in there, and it is not taken down.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_alike_with_the_name_outlives_ours() {
    let stage = Stage::open().await;
    let spec = file("");
    stage.apply(&spec).await;
    let ours = service_id(&stage, &spec).await;
    let copy = copy_of(&stage, &ours, |_| true).await;
    stage.apply_with(&spec, DESTROY).await;
    let plan = stage.apply_with(&spec, DESTROY).await;
    assert!(plan.warnings.iter().any(|warning| warning.contains(&copy)), "{plan:#?}");
    let left =
        stage.ec2().describe_vpc_endpoint_service_configurations().service_ids(&copy).send().await.unwrap();
    assert_eq!(left.service_configurations().len(), 1);
    let plan = stage.plan(&spec).await;
    assert!(
        plan.refusals.iter().any(|refusal| refusal.why.contains("if its tags are a copy")),
        "{:?}",
        plan.refusals
    );
}

/// The name that is shown is a tag as well: a copy of all of them does not take the place of ours, which has a live consumer.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_alike_with_the_name_takes_nobodys_place() {
    let stage = Stage::open().await;
    let spec = file("");
    stage.apply(&spec).await;
    let ours = service_id(&stage, &spec).await;
    stage.until_pending(&spec, "orders", 1).await;
    stage.decide(&spec, &privnet_core::accept::Ask::default()).await;
    let connected = stage.connections(&spec, "orders").await;
    assert!(connected.iter().any(|connection| connection.state.may_be_live()), "{connected:?}");
    let allowed = principals(&stage, &ours).await;
    assert!(allowed.contains(FIVETRAN));
    let copy = copy_of(&stage, &ours, |_| true).await;
    // Whom its owner allows bears the tags of ours too, and is none of privnet's.
    let theirs = "arn:aws:iam::555566667777:root";
    let permissions =
        stage.ec2().describe_vpc_endpoint_service_permissions().service_id(&ours).send().await.unwrap();
    let tags = permissions.allowed_principals()[0].tags().to_vec();
    let added = stage
        .ec2()
        .modify_vpc_endpoint_service_permissions()
        .service_id(&copy)
        .add_allowed_principals(theirs);
    let added = added.send().await.unwrap();
    let permission = added.added_principals()[0].service_permission_id().unwrap();
    stage.ec2().create_tags().resources(permission).set_tags(Some(tags)).send().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    stage.assert_settled(&spec).await;
    stage.apply(&spec).await;
    assert_eq!(principals(&stage, &ours).await, allowed);
    assert_eq!(principals(&stage, &copy).await, BTreeSet::from([theirs.to_owned()]));
    stage.apply_with(&spec, PlanOptions { sever_connections: true, ..DESTROY }).await;
    let left = stage.ec2().describe_vpc_endpoint_service_configurations().send().await.unwrap();
    let left: Vec<_> = left.service_configurations().iter().filter_map(|left| left.service_id()).collect();
    assert!(left.contains(&copy.as_str()) && !left.contains(&ours.as_str()), "{left:?}");
    assert_eq!(principals(&stage, &copy).await, BTreeSet::from([theirs.to_owned()]));
}

/// Without the file only its shown name proves an endpoint service on a load balancer of the user's. Where that is gone, nobody knows who
/// is connected through privnet's listeners: they stay, also with the word.
#[tokio::test(flavor = "multi_thread")]
async fn listeners_stay_under_an_endpoint_service_that_is_not_proven() {
    let stage = Stage::open().await;
    let on_balancer = spec(&format!(
        "version: 1
deployment: stage
services:
  - name: orders
    allow: {{ fivetran: {{}} }}
    aws:
      account: \"123456789012\"
      region: us-east-1
      vpc: vpc-0a1b2c3d4e5f60718
      existing: {{ load_balancer: \"{SUPPLIED_BALANCER}\" }}
      ports: [{{ listen: 6432, port: 5432, engine: postgres, to: {{ ips: [10.0.0.25] }} }}]
"
    ));
    stage.apply(&on_balancer).await;
    let id = service_id(&stage, &on_balancer).await;
    let name = aws_sdk_ec2::types::Tag::builder().key("Name").build();
    stage.ec2().delete_tags().resources(&id).tags(name).send().await.unwrap();
    let tombstone = spec(
        "version: 1
deployment: stage
services: [{ name: orders, remove: true, aws: { account: \"123456789012\", region: us-east-1 } }]
",
    );
    let mut another = file("");
    another.services[0].name = "others".parse().unwrap();
    let sever = PlanOptions { sever_connections: true, ..PlanOptions::default() };
    let refused = until("the tag is gone", || async {
        let plan = stage.driver().plan(&tombstone, sever).await.0;
        (!plan.refusals.is_empty()).then_some(plan)
    })
    .await;
    assert!(refused.is_empty(), "{refused:#?}");
    assert!(
        refused.refusals[0].why.contains(&id) && refused.refusals[0].why.contains("`Name`"),
        "{refused:#?}"
    );
    let pruned = stage.driver().plan(&another, PlanOptions { prune: true, ..sever }).await.0;
    assert!(pruned.refusals.is_empty(), "{pruned:#?}");
    assert!(pruned.actions.iter().all(|action| action.op != Op::Delete), "{pruned:#?}");
    let told = |said: &String| said.starts_with("orders: it stays") && said.contains(&id);
    assert!(pruned.warnings.iter().any(told), "{pruned:#?}");
    // A file that names the load balancer proves it with the other tags alone; without them it is a stranger's.
    let destroy = PlanOptions { destroy: true, ..sever };
    assert_eq!(stage.driver().plan(&on_balancer, destroy).await.0.refusals, []);
    let tag = Tag::builder().key("privnet:deployment").build();
    stage.ec2().delete_tags().resources(&id).tags(tag).send().await.unwrap();
    let destroyed = stage.driver().plan(&on_balancer, destroy).await.0;
    assert!(destroyed.is_empty(), "{destroyed:#?}");
    assert!(
        destroyed.refusals[0].rule == Rule::NotOurs && destroyed.refusals[0].why.contains(&id),
        "{destroyed:#?}"
    );
}

/// The same holds of a load balancer of privnet's own: AWS would keep that, and nobody would get through it.
#[tokio::test(flavor = "multi_thread")]
async fn a_load_balancer_of_ours_that_a_stranger_serves_keeps_its_listeners() {
    let stage = Stage::open().await;
    let made = file("");
    stage.apply(&made).await;
    let id = service_id(&stage, &made).await;
    let proof = ["Name", "privnet:deployment"].map(|key| Tag::builder().key(key).build());
    stage.ec2().delete_tags().resources(&id).set_tags(Some(proof.to_vec())).send().await.unwrap();
    let sever = PlanOptions { sever_connections: true, ..DESTROY };
    let refused = until("the tags are gone", || async {
        let plan = stage.driver().plan(&made, sever).await.0;
        (!plan.refusals.is_empty()).then_some(plan)
    })
    .await;
    assert!(refused.is_empty() && refused.refusals[0].why.contains(&id), "{refused:#?}");
    // A file that does not list it is told that it stays, whoever prunes or destroys.
    let mut another = made.clone();
    another.services[0].name = "others".parse().unwrap();
    another.services[0].remove = true;
    for options in [sever, PlanOptions { prune: true, destroy: false, ..sever }] {
        let plan = stage.driver().plan(&another, options).await.0;
        assert!(plan.actions.is_empty() && plan.refusals.is_empty(), "{plan:#?}");
        let told =
            plan.warnings.iter().filter(|said| said.starts_with("orders: it stays") && said.contains(&id));
        assert_eq!(told.count(), 1, "{plan:#?}");
    }
}

/// A run stopped before it allowed anybody on the endpoint service that it made on a load balancer of the user's, and then the file names
/// another one, or an endpoint service that is there: nothing proves that one any more. It stays, and whoever takes all down is told of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_and_is_not_proven_when_the_file_turned_is_told_by_a_destroy() {
    let stage = Stage::open().await;
    let on_balancer = existing(&format!("load_balancer: \"{SUPPLIED_BALANCER}\""), "allow: { fivetran: {} }");
    stage.fault("aws:ModifyVpcEndpointServicePermissions:*:code=UnauthorizedOperation");
    let (_, report) = stage.driver().apply(&on_balancer, PlanOptions::default()).await;
    assert_eq!(failure(&report).kind(), ErrorKind::Denied, "{report:?}");
    stage.heal();
    let id = service_id(&stage, &on_balancer).await;
    let told = |plan: &privnet_core::Plan| {
        let says = |warning: &&String| {
            warning.contains(&id) && warning.contains("if privnet made it, delete it by hand")
        };
        plan.warnings.iter().filter(says).count()
    };
    let supplied = existing(&format!("endpoint_service: {SUPPLIED}"), "allow: { fivetran: {} }");
    let sever = PlanOptions { sever_connections: true, ..DESTROY };
    for turned in [&file(""), &supplied] {
        let plan = stage.apply_with(turned, sever).await;
        assert_eq!(told(&plan), 1, "{plan:#?}");
    }
    let left =
        stage.ec2().describe_vpc_endpoint_service_configurations().service_ids(&id).send().await.unwrap();
    assert_eq!(left.service_configurations().len(), 1);
    // Where another one is wanted in its place that is refused; where none is, it is said.
    assert!(stage.plan(&file("")).await.refusals.iter().any(|refusal| refusal.why.contains(&id)));
    assert_eq!(told(&stage.plan(&supplied).await), 1);
    // The file that names its load balancer takes it down, and says nothing.
    let plan = stage.apply_with(&on_balancer, sever).await;
    assert_eq!(told(&plan), 0, "{plan:#?}");
    let left = stage.ec2().describe_vpc_endpoint_service_configurations().send().await.unwrap();
    assert!(left.service_configurations().iter().all(|one| one.service_id() != Some(&id)));
}
