//! Endpoint services, allowed principals and notifications: made, changed, found again, and taken down.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's own functions: what fails there fails the test"
)]

mod stage;

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};
use privnet_core::ErrorKind;
use privnet_core::plan::{Op, PlanOptions, Rule};
use privnet_core::spec::{Spec, presets_in};
use stage::{Stage, failure, file, service, spec, until};

const SUPPLIED: &str = "vpce-svc-0eeeeeeeeeeeeeee5";
const SUPPLIED_BALANCER: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/db/0123456789abcdef";
const TAKEN_BALANCER: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/shared/fedcba9876543210";
const FIVETRAN: &str = "arn:aws:iam::834469178297:root";
const DESTROY: PlanOptions = PlanOptions { prune: false, sever_connections: false, destroy: true };

/// A file on something of the user's.
fn existing(what: &str, policy: &str) -> Spec {
    spec(&format!(
        "version: 1
deployment: stage
services:
  - name: orders
    {policy}
    aws: {{ account: \"123456789012\", region: us-east-1, existing: {{ {what} }} }}
"
    ))
}

async fn principals(stage: &Stage, service: &str) -> BTreeSet<String> {
    let answer =
        stage.ec2().describe_vpc_endpoint_service_permissions().service_id(service).send().await.unwrap();
    answer.allowed_principals().iter().filter_map(|p| p.principal().map(str::to_owned)).collect()
}

async fn service_id(stage: &Stage, spec: &Spec) -> String {
    stage.live(spec, "endpoint-service").await.expect("it is there").id
}

fn changed(plan: &privnet_core::Plan) -> BTreeSet<String> {
    plan.actions
        .iter()
        .flat_map(|a| a.changes.iter().map(|c| format!("{}.{}", a.address.kind, c.field)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn principals_follow_the_file_and_drift_is_mended() {
    let stage = Stage::open().await;
    let one = file("");
    stage.apply(&one).await;
    stage.assert_settled(&one).await;
    let id = service_id(&stage, &one).await;
    assert_eq!(principals(&stage, &id).await, BTreeSet::from([FIVETRAN.to_owned()]));

    // On a service of its own every principal is privnet's: one that was added by hand goes again.
    let stray = "arn:aws:iam::999988887777:root";
    let add =
        stage.ec2().modify_vpc_endpoint_service_permissions().service_id(&id).add_allowed_principals(stray);
    add.send().await.unwrap();
    let plan = until("the stray principal is seen", || async {
        let plan = stage.plan(&one).await;
        (!plan.is_empty()).then_some(plan)
    })
    .await;
    assert_eq!(changed(&plan), BTreeSet::from(["allowed-principals.principals".to_owned()]));
    assert!(plan.warnings.iter().any(|w| w.contains(stray) && w.contains("disconnects nobody")), "{plan:#?}");
    stage.apply(&one).await;
    assert_eq!(principals(&stage, &id).await, BTreeSet::from([FIVETRAN.to_owned()]));

    // Another consumer.
    let two = service("allow: { fivetran: {}, dbt-cloud: {} }", "");
    stage.apply(&two).await;
    stage.assert_settled(&two).await;
    assert_eq!(principals(&stage, &id).await.len(), 2);
    stage.apply(&one).await;
    stage.assert_settled(&one).await;
    assert_eq!(service_id(&stage, &one).await, id, "the hand-over is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_name_is_asked_for_and_waited_for() {
    let stage = Stage::open().await;
    let named = file("private_dns_name: db.corp.example");
    stage.apply(&named).await;
    let plan = stage.plan(&named).await;
    assert!(plan.is_empty(), "{plan:#?}");
    let wait =
        plan.waits.iter().find(|wait| wait.why.contains("db.corp.example")).expect("a wait for the record");
    assert!(wait.on == "you" && wait.why.contains("TXT"), "{wait:?}");
    let handoff = {
        let driver = stage.driver();
        let (_, world) = driver.observe(&named, privnet_core::Purpose::Plan).await;
        use privnet_core::conformance::Subject as _;
        stage.provider().handoff(&named, &named.services[0], &world)
    };
    assert!(handoff.fields.contains_key("private_dns_record"), "{handoff:?}");
    assert_eq!(handoff.fields["az_ids"].as_array().unwrap().len(), 2);
    assert!(
        handoff.fields["service_name"]
            .as_str()
            .unwrap()
            .starts_with("com.amazonaws.vpce.us-east-1.vpce-svc-")
    );

    // AWS does not find the record: that is somebody's to do, and no reason for another apply.
    until("the verification has failed", || async {
        let live = stage.live(&named, "endpoint-service").await.unwrap();
        let record = live.fields["private_dns_record"].as_map().unwrap().clone();
        (record["state"] == privnet_core::Value::text("failed")).then_some(())
    })
    .await;
    stage.assert_settled(&named).await;

    // Once it is there, apply asks AWS to look again.
    let record = &handoff.fields["private_dns_record"];
    stage.set_text(record["name"].as_str().unwrap(), record["value"].as_str().unwrap());
    let plan = stage.apply(&named).await;
    assert_eq!(changed(&plan), BTreeSet::from(["endpoint-service.private_dns_verification".to_owned()]));
    until("the name is verified", || async {
        let plan = stage.plan(&named).await;
        assert!(plan.is_empty(), "{plan:#?}");
        (!plan.waits.iter().any(|wait| wait.why.contains("TXT"))).then_some(())
    })
    .await;

    // Out of the file, off the service.
    let plain = file("");
    let plan = stage.apply(&plain).await;
    assert_eq!(changed(&plan), BTreeSet::from(["endpoint-service.private_dns_name".to_owned()]));
    stage.assert_settled(&plain).await;
    assert_eq!(
        stage.live(&plain, "endpoint-service").await.unwrap().fields["private_dns_name"],
        privnet_core::Value::Null
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_changed_in_place() {
    let stage = Stage::open().await;
    let plain = file("");
    stage.apply(&plain).await;
    let id = service_id(&stage, &plain).await;
    let topic = "arn:aws:sns:us-east-1:123456789012:privnet-connections";
    let more = service(
        "allow: { fivetran: {} }\n    acceptance: automatic",
        &format!(
            "ip_address_type: ipv4\nsupported_regions: [us-east-1, eu-west-1]\nnotification: {{ sns_topic: \"{topic}\", events: [Accept, Connect] }}"
        ),
    );
    let plan = stage.apply(&more).await;
    assert_eq!(service_id(&stage, &more).await, id);
    assert!(changed(&plan).contains("endpoint-service.acceptance_required"), "{plan:#?}");
    assert!(changed(&plan).contains("endpoint-service.supported_regions"));
    assert!(plan.warnings.iter().any(|warning| warning.contains("automatic")));
    stage.assert_settled(&more).await;

    let other = service(
        "allow: { fivetran: {} }",
        &format!(
            "supported_regions: [us-east-1]\nnotification: {{ sns_topic: \"{topic}\", events: [Reject] }}"
        ),
    );
    let plan = stage.apply(&other).await;
    assert!(changed(&plan).contains("connection-notification.events"), "{plan:#?}");
    stage.assert_settled(&other).await;

    let plan = stage.apply(&plain).await;
    assert!(
        plan.actions.iter().any(|a| a.op == Op::Delete && a.address.kind == "connection-notification"),
        "{plan:#?}"
    );
    stage.assert_settled(&plain).await;
    stage.apply_with(&plain, DESTROY).await;
    assert!(stage.world(&plain).await.live.is_empty());
}

/// To both families and back: the endpoint service leaves IPv6 before its load balancer does, and not under a live consumer.
#[tokio::test(flavor = "multi_thread")]
async fn ipv6_comes_and_goes() {
    let stage = Stage::open().await;
    let (ipv4, both) = (file("ip_address_type: ipv4"), file("ip_address_type: dualstack"));
    for spec in [&ipv4, &both, &ipv4, &both] {
        stage.apply(spec).await;
        stage.assert_settled(spec).await;
    }
    stage.until_pending(&both, "orders", 1).await;
    stage.decide(&both, &privnet_core::accept::Ask::default()).await;
    let plan = stage.plan(&ipv4).await;
    assert!(plan.actions.is_empty(), "{plan:#?}");
    assert!(plan.refusals.iter().any(|refusal| refusal.rule == Rule::WouldSever), "{:#?}", plan.refusals);
    stage.apply_with(&ipv4, PlanOptions { sever_connections: true, ..PlanOptions::default() }).await;
    stage.assert_settled(&ipv4).await;
}

/// With the service goes what is part of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_with_everything_is_taken_down() {
    let stage = Stage::open().await;
    let full = file(
        "private_dns_name: db.corp.example
supported_regions: [eu-west-1]
notification: { sns_topic: \"arn:aws:sns:us-east-1:123456789012:privnet-connections\", events: [Connect] }",
    );
    stage.apply(&full).await;
    stage.assert_settled(&full).await;
    let plan = stage.apply_with(&full, DESTROY).await;
    assert!(plan.actions.iter().any(|action| action.address.kind == "connection-notification"), "{plan:#?}");
    assert!(stage.world(&full).await.live.is_empty());
}

/// Zones that the load balancer gains reach the service only when it is associated again, and no consumer is cut.
#[tokio::test(flavor = "multi_thread")]
async fn zones_added_later_reach_the_service() {
    let stage = Stage::open().await;
    let two = file("");
    stage.apply(&two).await;
    let id = service_id(&stage, &two).await;
    stage.until_pending(&two, "orders", 2).await;
    stage.decide(&two, &privnet_core::accept::Ask::default()).await;
    let three =
        file("subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2, subnet-0ccccccccccccccc3]");
    let plan = stage.apply(&three).await;
    assert!(changed(&plan).contains("endpoint-service.zones"), "{plan:#?}");
    let live = stage.live(&three, "endpoint-service").await.unwrap();
    assert_eq!((live.id.as_str(), live.fields["zones"].as_list().unwrap().len()), (id.as_str(), 3));
    stage.assert_settled(&three).await;
    let connected = stage.connections(&three, "orders").await;
    assert_eq!(
        connected.iter().filter(|c| c.state.may_be_live()).count(),
        1,
        "the consumer stayed: {connected:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_lost_or_failed_create_ends_with_one_service() {
    for fault in ["lost", "fail", "reset", "throttle"] {
        let stage = Stage::open().await;
        let spec = file("");
        stage.fault(&format!("aws:CreateVpcEndpointServiceConfiguration:1:{fault}"));
        let (_, report) = stage.driver().apply(&spec, PlanOptions::default()).await;
        if !report.all_done() {
            stage.apply(&spec).await;
        }
        stage.assert_settled(&spec).await;
        let all = stage.ec2().describe_vpc_endpoint_service_configurations().send().await.unwrap();
        assert_eq!(all.service_configurations().len(), 2, "the colleague's and ours, after `{fault}`");
    }
}

/// The token of a service that went must not yield it again.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_destroyed_can_be_made_again() {
    let stage = Stage::open().await;
    let on_balancer = existing(&format!("load_balancer: \"{SUPPLIED_BALANCER}\""), "allow: { fivetran: {} }");
    stage.apply(&on_balancer).await;
    let first = service_id(&stage, &on_balancer).await;
    stage.apply_with(&on_balancer, DESTROY).await;
    stage.apply(&on_balancer).await;
    stage.assert_settled(&on_balancer).await;
    let second = service_id(&stage, &on_balancer).await;
    assert_ne!(first, second);
}

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
    stage.apply_with(&spec, DESTROY).await;
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

/// Whom privnet allows on the user's service and cannot tag would be taken for the user's from then on.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_stays_allowed_on_a_supplied_service_without_proof_whose_that_is() {
    let stage = Stage::open().await;
    let supplied = existing(&format!("endpoint_service: {SUPPLIED}"), "allow: { fivetran: {} }");
    let colleagues = principals(&stage, SUPPLIED).await;
    stage.fault("aws:CreateTags:*:code=UnauthorizedOperation");
    let (_, report) = stage.driver().apply(&supplied, PlanOptions::default()).await;
    let error = failure(&report);
    assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
    assert!(error.hints().iter().any(|hint| hint.contains("was not left allowed")), "{error:?}");
    assert_eq!(principals(&stage, SUPPLIED).await, colleagues);

    // Where he cannot be taken back either, that is said.
    stage.fault("aws:ModifyVpcEndpointServicePermissions:2+:code=UnauthorizedOperation");
    let (_, report) = stage.driver().apply(&supplied, PlanOptions::default()).await;
    assert!(failure(&report).hints().iter().any(|hint| hint.contains("by hand")), "{report:?}");
    stage.heal();
    let plan = stage.plan(&supplied).await;
    assert!(plan.warnings.iter().any(|warning| warning.contains("allowed already")), "{plan:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supplied_service_gets_principals_and_keeps_everything_else() {
    let stage = Stage::open().await;
    let supplied = existing(&format!("endpoint_service: {SUPPLIED}"), "allow: { fivetran: {} }");
    let before = stage
        .ec2()
        .describe_vpc_endpoint_service_configurations()
        .service_ids(SUPPLIED)
        .send()
        .await
        .unwrap();
    let colleagues = principals(&stage, SUPPLIED).await;
    let plan = stage.plan(&supplied).await;
    assert_eq!(plan.adds_to_yours.len(), 1, "{plan:#?}");
    stage.apply(&supplied).await;
    stage.assert_settled(&supplied).await;
    let all = principals(&stage, SUPPLIED).await;
    assert!(all.contains(FIVETRAN) && all.is_superset(&colleagues));

    // The colleague's live consumer stands in nobody's way, and nobody is ever turned away there.
    let asked = stage.connections(&supplied, "orders").await;
    assert!(asked.iter().any(|connection| connection.state.may_be_live()), "{asked:?}");
    stage.connect(SUPPLIED, "stranger");
    let (_, plan, _) = stage
        .decide(&supplied, &privnet_core::accept::Ask { connection: None, reject_others: true, again: false })
        .await;
    assert!(plan.actions.iter().all(|action| action.op != Op::Reject), "{plan:#?}");

    stage.apply_with(&supplied, DESTROY).await;
    assert_eq!(principals(&stage, SUPPLIED).await, colleagues);
    let after = stage
        .ec2()
        .describe_vpc_endpoint_service_configurations()
        .service_ids(SUPPLIED)
        .send()
        .await
        .unwrap();
    assert_eq!(before.service_configurations(), after.service_configurations());
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
}

/// A tombstone, a file without the service and one that makes it say nothing of the user's endpoint service: whom privnet allowed there
/// is found by the tags. Whom the user allows stays, and the colleague's live consumer stands in nobody's way.
#[tokio::test(flavor = "multi_thread")]
async fn whom_privnet_allowed_goes_with_the_service() {
    let tombstone = spec(
        "version: 1
deployment: stage
services: [{ name: orders, remove: true, aws: { account: \"123456789012\", region: us-east-1 } }]
",
    );
    let mut another = file("");
    another.services[0].name = "others".parse().unwrap();
    for (next, prune) in [(tombstone, false), (another, true), (file(""), false)] {
        let stage = Stage::open().await;
        let colleagues = principals(&stage, SUPPLIED).await;
        let supplied = existing(&format!("endpoint_service: {SUPPLIED}"), "allow: { fivetran: {} }");
        stage.apply(&supplied).await;
        assert!(principals(&stage, SUPPLIED).await.contains(FIVETRAN));
        until("the tags show", || async {
            let plan = stage.driver().plan(&next, PlanOptions { prune, ..PlanOptions::default() }).await.0;
            let gone = plan.actions.iter().any(|action| action.op == Op::Delete);
            gone.then_some(())
        })
        .await;
        stage.apply_with(&next, PlanOptions { prune, ..PlanOptions::default() }).await;
        assert_eq!(principals(&stage, SUPPLIED).await, colleagues);
    }
}

/// What cannot be looked for is not said to be gone.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_look_for_tags_is_told_what_stays() {
    let stage = Stage::open().await;
    let orders = file("");
    let told = |plan: &privnet_core::Plan| {
        plan.warnings.iter().any(|warning| warning.contains("`ec2:DescribeTags`"))
    };
    assert!(!told(&stage.plan(&orders).await));
    stage.fault("aws:DescribeTags:*:code=UnauthorizedOperation");
    assert!(told(&stage.plan(&orders).await));
    // Also where all goes: who stays allowed is no end of it.
    let destroy = PlanOptions { destroy: true, ..PlanOptions::default() };
    assert!(told(&stage.driver().plan(&orders, destroy).await.0));
}

/// The presets are data of privnet's own: when a vendor's account changes there, the next plan says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_preset_is_a_difference() {
    const DATA: &str = include_str!("../../../crates/privnet-core/presets/consumers.yaml");
    let stage = Stage::open().await;
    let mut spec = file("");
    stage.apply(&spec).await;
    let later = presets_in(&DATA.replace("834469178297", "555566667777")).unwrap();
    spec.consumers.get_mut(&"fivetran".parse().unwrap()).unwrap().aws.clone_from(&later["fivetran"].aws);
    let plan = stage.plan(&spec).await;
    assert_eq!(changed(&plan), BTreeSet::from(["allowed-principals.principals".to_owned()]), "{plan:#?}");
    stage.apply(&spec).await;
    stage.assert_settled(&spec).await;
    let id = service_id(&stage, &spec).await;
    assert_eq!(
        principals(&stage, &id).await,
        BTreeSet::from([FIVETRAN.replace("834469178297", "555566667777")])
    );
}

/// Regions that left the file stay, and that is said.
#[tokio::test(flavor = "multi_thread")]
async fn regions_that_left_the_file_stay_and_are_named() {
    let stage = Stage::open().await;
    stage.apply(&file("supported_regions: [us-east-1, eu-west-1]")).await;
    let plan = stage.plan(&file("")).await;
    assert!(plan.is_empty(), "{plan:#?}");
    assert!(plan.warnings.iter().any(|warning| warning.contains("eu-west-1")), "{:#?}", plan.warnings);
    let plan = stage.apply(&file("supported_regions: [us-east-1]")).await;
    assert_eq!(changed(&plan), BTreeSet::from(["endpoint-service.supported_regions".to_owned()]));
    assert!(!stage.plan(&file("")).await.warnings.iter().any(|warning| warning.contains("eu-west-1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_user_allows_on_his_service_stays_his() {
    let stage = Stage::open().await;
    let add = stage
        .ec2()
        .modify_vpc_endpoint_service_permissions()
        .service_id(SUPPLIED)
        .add_allowed_principals(FIVETRAN);
    add.send().await.unwrap();
    let supplied =
        existing(&format!("endpoint_service: {SUPPLIED}"), "allow: { fivetran: {}, dbt-cloud: {} }");
    let plan = until("the principal is seen as the user's", || async {
        let plan = stage.plan(&supplied).await;
        plan.warnings.iter().any(|warning| warning.contains("is allowed already")).then_some(plan)
    })
    .await;
    assert!(!format!("{:?}", plan.actions).contains(FIVETRAN), "{plan:#?}");
    stage.apply(&supplied).await;
    stage.assert_settled(&supplied).await;
    stage.apply_with(&supplied, DESTROY).await;
    assert!(principals(&stage, SUPPLIED).await.contains(FIVETRAN));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supplied_service_without_acceptance_is_refused() {
    let stage = Stage::open().await;
    let modify = stage
        .ec2()
        .modify_vpc_endpoint_service_configuration()
        .service_id(SUPPLIED)
        .acceptance_required(false);
    modify.send().await.unwrap();
    let manual = existing(&format!("endpoint_service: {SUPPLIED}"), "allow: { fivetran: {} }");
    let plan = stage.plan(&manual).await;
    assert!(plan.actions.is_empty());
    assert!(plan.refusals.iter().any(|refusal| refusal.why.contains("acceptance: manual")), "{plan:#?}");
    let automatic = existing(
        &format!("endpoint_service: {SUPPLIED}"),
        "allow: { fivetran: {} }\n    acceptance: automatic",
    );
    assert_eq!(stage.plan(&automatic).await.refusals, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supplied_service_that_is_not_there_is_refused() {
    let stage = Stage::open().await;
    let missing = existing("endpoint_service: vpce-svc-00000000000000000", "allow: { fivetran: {} }");
    let plan = stage.plan(&missing).await;
    assert!(plan.actions.is_empty());
    assert!(plan.refusals.iter().any(|refusal| refusal.rule == Rule::Unsuitable), "{plan:#?}");
}

/// The user's tags follow the file; those that others set stay.
#[tokio::test(flavor = "multi_thread")]
async fn tags_follow_the_file_on_services_and_permissions() {
    let stage = Stage::open().await;
    let with = |tags: &str| {
        let mut spec = file("");
        let entries = tags.split_whitespace().filter_map(|pair| pair.split_once('='));
        spec.tags = entries.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        spec
    };
    stage.apply(&with("team=data cost=1")).await;
    let id = service_id(&stage, &with("")).await;
    let tag = Tag::builder().key("theirs").value("x").build();
    stage.ec2().create_tags().resources(&id).tags(tag).send().await.unwrap();
    stage.apply(&with("team=ops")).await;
    stage.assert_settled(&with("team=ops")).await;
    let described =
        stage.ec2().describe_vpc_endpoint_service_configurations().service_ids(&id).send().await.unwrap();
    let tags: BTreeSet<_> =
        described.service_configurations()[0].tags().iter().filter_map(|t| t.key()).collect();
    assert!(tags.contains("theirs") && tags.contains("team") && !tags.contains("cost"), "{tags:?}");
    let permissions =
        stage.ec2().describe_vpc_endpoint_service_permissions().service_id(&id).send().await.unwrap();
    let tags = permissions.allowed_principals()[0].tags();
    assert!(tags.iter().any(|tag| tag.key() == Some("team") && tag.value() == Some("ops")), "{tags:?}");
    assert!(tags.iter().all(|tag| tag.key() != Some("cost")), "{tags:?}");
}

/// A `Name` of the user's is shown in place of ours; once it is out of the file ours is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_the_users_goes_with_its_tag() {
    let stage = Stage::open().await;
    let mut named = file("");
    named.tags.insert("Name".to_owned(), "mine".to_owned());
    stage.apply(&named).await;
    stage.apply(&file("")).await;
    stage.assert_settled(&file("")).await;
    let id = service_id(&stage, &file("")).await;
    let permissions =
        stage.ec2().describe_vpc_endpoint_service_permissions().service_id(&id).send().await.unwrap();
    for permission in permissions.allowed_principals() {
        let name = permission.tags().iter().find(|tag| tag.key() == Some("Name"));
        let name = name.and_then(|tag| tag.value()).expect("a name");
        assert_ne!(name, "mine");
    }
}

/// A request that comes between plan and deletion keeps the service: AWS lists it as unsuccessful, and that is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_request_keeps_the_service_until_the_next_run() {
    let stage = Stage::open().await;
    let spec = file("");
    stage.apply(&spec).await;
    stage.until_pending(&spec, "orders", 2).await;
    let driver = stage.driver();
    let (plan, desired, world) = driver.plan(&spec, DESTROY).await;
    stage.connect("orders", "stranger");
    let report = driver.execute(&plan, &desired, &world).await;
    let error = failure(&report);
    assert_eq!(error.kind(), ErrorKind::InUse, "{error:?}");
    assert!(
        error.message().contains("meanwhile") && error.hints()[0].contains("run the same command again"),
        "{error:?}"
    );
    stage.apply_with(&spec, DESTROY).await;
    assert!(stage.world(&spec).await.live.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_that_cannot_be_read_are_no_obstacle_where_none_is_wanted() {
    let stage = Stage::open().await;
    let plain = file("");
    stage.apply(&plain).await;
    stage.fault("aws:DescribeVpcEndpointConnectionNotifications:*:code=UnauthorizedOperation");
    stage.assert_settled(&plain).await;
    let wanted =
        file("notification: { sns_topic: \"arn:aws:sns:us-east-1:123456789012:t\", events: [Accept] }");
    let plan = stage.plan(&wanted).await;
    assert!(plan.actions.is_empty() && plan.refusals.iter().any(|r| r.rule == Rule::Unobserved), "{plan:#?}");
}

/// Another region is another hand-over; nothing is written in either.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_does_not_move_to_another_region() {
    let stage = Stage::open().await;
    let two = |orders: &str| {
        spec(&format!(
            "version: 1
deployment: stage
services:
  - name: stays
    allow: {{ fivetran: {{}} }}
    aws: {{ account: \"123456789012\", region: us-east-1, existing: {{ endpoint_service: {SUPPLIED} }} }}
  - name: orders
    allow: {{ fivetran: {{}} }}
    aws:
      account: \"123456789012\"
      ports: [{{ listen: 5432, to: {{ ips: [10.0.0.25] }} }}]
{orders}"
        ))
    };
    let here = two("      region: us-east-1
      vpc: vpc-0a1b2c3d4e5f60718
      subnets: [subnet-0aaaaaaaaaaaaaaa1]
");
    stage.apply(&here).await;
    let there = two("      region: eu-west-1
      vpc: vpc-001b2c3d4e5f60718
      subnets: [subnet-001aaaaaaaaaaaaa1]
");
    let plan = stage.plan(&there).await;
    assert!(plan.actions.is_empty(), "{plan:#?}");
    assert!(
        plan.refusals.iter().any(|r| r.rule == Rule::HandOver && r.why.contains("tombstone")),
        "{plan:#?}"
    );
    stage.assert_settled(&here).await;
}
