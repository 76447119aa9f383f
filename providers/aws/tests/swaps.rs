//! What takes the place of something is there before the other goes, and nobody is cut: another load balancer under an endpoint
//! service, another range that may come in.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's own functions: what fails there fails the test"
)]

mod stage;

use std::collections::BTreeSet;
use std::time::Duration;

use privnet_core::accept::Ask;
use privnet_core::conformance::Driver;
use privnet_core::execute::Outcome;
use privnet_core::plan::{Op, PlanOptions, Rule};
use privnet_core::spec::Spec;
use privnet_core::{ErrorKind, Live};
use stage::{Stage, failure, file, spec, until};

const SUPPLIED_BALANCER: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/db/0123456789abcdef";

/// The same service on a load balancer of the user's.
fn on_supplied() -> Spec {
    spec(&format!(
        "version: 1
deployment: stage
services:
  - name: orders
    allow: {{ fivetran: {{}} }}
    aws: {{ account: \"123456789012\", region: us-east-1, existing: {{ load_balancer: \"{SUPPLIED_BALANCER}\" }} }}
"
    ))
}

async fn balancers(stage: &Stage, service: &str) -> BTreeSet<String> {
    let answer =
        stage.ec2().describe_vpc_endpoint_service_configurations().service_ids(service).send().await.unwrap();
    answer.service_configurations()[0].network_load_balancer_arns().iter().cloned().collect()
}

async fn service_id(stage: &Stage, spec: &Spec) -> String {
    stage.live(spec, "endpoint-service").await.expect("it is there").id
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_moves_to_another_load_balancer_and_keeps_its_name() {
    let stage = Stage::open().await;
    stage.apply(&on_supplied()).await;
    let id = service_id(&stage, &on_supplied()).await;
    assert_eq!(balancers(&stage, &id).await, BTreeSet::from([SUPPLIED_BALANCER.to_owned()]));
    let made = file("");
    stage.apply(&made).await;
    stage.assert_settled(&made).await;
    assert_eq!(service_id(&stage, &made).await, id, "the hand-over is kept");
    let now = balancers(&stage, &id).await;
    assert!(now.len() == 1 && !now.contains(SUPPLIED_BALANCER), "{now:?}");
}

/// It takes the word: who is connected goes through the old one. Where AWS does not let that go while endpoints are attached, it is said with who they are; both serve meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_load_balancer_that_is_held_is_reported_and_nobody_is_cut() {
    let stage = Stage::open().await;
    stage.apply(&on_supplied()).await;
    let id = service_id(&stage, &on_supplied()).await;
    stage.until_pending(&on_supplied(), "orders", 2).await;
    let (_, _, report) = stage.decide(&on_supplied(), &Ask::default()).await;
    assert!(report.all_done());
    let made = file("");
    let refused = stage.plan(&made).await;
    assert!(refused.refusals.iter().any(|refusal| refusal.rule == Rule::WouldSever), "{refused:#?}");
    // Sources conflict on whether AWS allows it; here it does not.
    stage.fault("aws:ModifyVpcEndpointServiceConfiguration:2+:code=ExistingVpcEndpointConnections");
    let word = PlanOptions { sever_connections: true, ..PlanOptions::default() };
    let (_, report) = stage.driver().apply(&made, word).await;
    let error = failure(&report);
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::InUse, Some("ExistingVpcEndpointConnections")),
        "{error:?}"
    );
    assert!(error.message().contains("account:834469178297"), "{error:?}");
    assert!(error.hints().iter().any(|hint| hint.contains("--sever-connections")), "{error:?}");
    assert_eq!(balancers(&stage, &id).await.len(), 2, "the new one is there beside the old one");
    let live = stage.connections(&made, "orders").await.into_iter().filter(|c| c.state.may_be_live()).count();
    assert_eq!(live, 1);

    // Once it is allowed, the same command goes on where that one stopped.
    stage.heal();
    let live = stage.connections(&made, "orders").await.into_iter().find(|c| c.state.may_be_live()).unwrap();
    let (_, report) = stage.reject(&made, &live.id, true).await;
    assert!(report.all_done());
    stage.apply(&made).await;
    stage.assert_settled(&made).await;
    assert_eq!((service_id(&stage, &made).await, balancers(&stage, &id).await.len()), (id, 1));
}

/// Whatever fails on the way, the same command ends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_stops_anywhere_is_finished_by_the_next_run() {
    let calls =
        ["ModifyVpcEndpointServiceConfiguration", "ModifyVpcEndpointServicePermissions", "CreateTags"];
    for call in calls {
        for mode in ["lost", "code=InternalError", "reset", "throttle"] {
            for nth in 1..=2 {
                let stage = Stage::open().await;
                let mut before = on_supplied();
                before.tags.insert("team".to_owned(), "data".to_owned());
                stage.apply(&before).await;
                let id = service_id(&stage, &before).await;
                let mut after = stage::service(
                    "allow: { fivetran: {}, dbt-cloud: {} }",
                    "private_dns_name: db.corp.example",
                );
                after.tags.insert("team".to_owned(), "ops".to_owned());
                stage.fault(&format!("aws:{call}:{nth}:{mode}"));
                let (plan, report) = stage.driver().apply(&after, PlanOptions::default()).await;
                assert_eq!(plan.refusals, []);
                stage.heal();
                if !report.all_done() {
                    stage.apply(&after).await;
                }
                stage.assert_settled(&after).await;
                assert_eq!(service_id(&stage, &after).await, id, "{call} {nth} {mode}");
                assert_eq!(balancers(&stage, &id).await.len(), 1, "{call} {nth} {mode}");
            }
        }
    }
}

/// What is enforced for clients that come from these ranges.
fn enforced(ranges: &str) -> Spec {
    file(&format!("enforce_inbound: {{ cidrs: [{ranges}] }}"))
}

/// The ranges that the load balancer's security group lets in.
async fn let_in(stage: &Stage, spec: &Spec) -> BTreeSet<String> {
    let live = stage.world(spec).await.live.into_iter();
    let rules = live.filter(|live| live.address.kind == "security-group-rule");
    rules.filter_map(|rule| Some(rule.fields.get("source")?.as_text()?.to_owned())).collect()
}

async fn is_enforced(stage: &Stage, spec: &Spec) -> Option<privnet_core::Value> {
    stage.live(spec, "load-balancer").await?.fields.get("enforce_inbound").cloned()
}

const NO_NEW_RULE: &str = "aws:AuthorizeSecurityGroupIngress:*:code=UnauthorizedOperation";

/// Enforcement with nothing let in would keep everybody out.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_enforced_before_clients_are_let_in() {
    let stage = Stage::open().await;
    let open = file("");
    stage.apply(&open).await;
    let closed = enforced("10.0.0.0/8");
    stage.fault(NO_NEW_RULE);
    let (plan, report) = stage.driver().apply(&closed, PlanOptions::default()).await;
    let balancer = plan.actions.iter().position(|action| action.address.kind == "load-balancer").unwrap();
    assert!(matches!(report.outcomes[balancer], Outcome::Skipped { .. }), "{:#?}", report.outcomes);
    assert_eq!(is_enforced(&stage, &closed).await, Some(privnet_core::Value::Bool(false)));
    stage.heal();
    stage.apply(&closed).await;
    stage.assert_settled(&closed).await;
    assert_eq!(is_enforced(&stage, &closed).await, Some(privnet_core::Value::Bool(true)));
    // And the other way round: what is let in goes when nothing is enforced any more.
    let plan = stage.apply(&open).await;
    let gone = plan.actions.iter().find(|action| action.op == Op::Delete).unwrap();
    assert_eq!(gone.after, ["update orders/load-balancer/main"], "{plan:#?}");
    stage.assert_settled(&open).await;
}

/// Clients that come from both ranges are let in all the time, whatever fails.
#[tokio::test(flavor = "multi_thread")]
async fn a_range_goes_when_the_one_in_its_place_lets_clients_in() {
    let stage = Stage::open().await;
    let narrow = enforced("10.0.0.0/16");
    stage.apply(&narrow).await;
    let wide = enforced("10.0.0.0/8");
    stage.fault(NO_NEW_RULE);
    let (_, report) = stage.driver().apply(&wide, PlanOptions::default()).await;
    assert_eq!(failure(&report).kind(), ErrorKind::Denied);
    assert_eq!(let_in(&stage, &wide).await, BTreeSet::from(["10.0.0.0/16".to_owned()]));
    stage.heal();
    stage.apply(&wide).await;
    stage.assert_settled(&wide).await;
    assert_eq!(let_in(&stage, &wide).await, BTreeSet::from(["10.0.0.0/8".to_owned()]));
}

/// A group takes 60 rules: where it is full of ranges that go, some go before the rest can be made; and none in whose place a wider one
/// comes before that is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_group_is_swapped_for_other_ranges() {
    let stage = Stage::open().await;
    let ranges = |net: u8, last: &str| {
        let all = (1..60).map(|nth| format!("10.{net}.{nth}.0/24"));
        all.chain([last.to_owned()]).collect::<Vec<_>>().join(", ")
    };
    stage.apply(&enforced(&ranges(1, "10.9.0.0/24"))).await;
    let after = enforced(&ranges(2, "10.9.0.0/16"));
    let plan = stage.apply(&after).await;
    stage.assert_settled(&after).await;
    let there = let_in(&stage, &after).await;
    assert!(there.len() == 60 && there.contains("10.9.0.0/16"), "{there:?}");
    let action = |id: &str| plan.actions.iter().find(|action| action.id.starts_with(id)).unwrap();
    let wider = action("create orders/security-group-rule/inbound/5432/10.9.0.0/16");
    let narrow = action("delete orders/security-group-rule/inbound/5432/10.9.0.0/24");
    assert!(narrow.after.contains(&wider.id), "{narrow:#?}");
    assert!(!narrow.reason.contains("it goes before"), "{narrow:#?}");

    // Where nothing else goes, the narrow one must: the plan says what that costs.
    let plan = stage.plan(&enforced(&ranges(2, "10.9.0.0/20"))).await;
    let gone = rules(&plan, "delete").next().unwrap();
    assert!(
        gone.reason.contains("it goes before orders/security-group-rule/inbound/5432/10.9.0.0/20"),
        "{gone:#?}"
    );
    // For more than there is room for nothing goes.
    let plan = stage.plan(&enforced(&ranges(2, "10.9.0.0/17, 10.9.128.0/17"))).await;
    let gone = rules(&plan, "delete").next().unwrap();
    assert_eq!(rules(&plan, "create").count(), 2);
    assert!(rules(&plan, "create").all(|made| gone.after.contains(&made.id)), "{gone:#?}");
}

/// What a plan does so with the service's rules.
fn rules<'a>(
    plan: &'a privnet_core::Plan,
    what: &str,
) -> impl Iterator<Item = &'a privnet_core::plan::Action> {
    let begin = format!("{what} orders/security-group-rule");
    plan.actions.iter().filter(move |action| action.id.starts_with(&begin))
}

/// Who may come from elsewhere too is named: accepted, its connections would get no answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_whose_ranges_are_not_let_in_is_named() {
    let stage = Stage::open().await;
    let told = |plan: &privnet_core::Plan| {
        plan.warnings
            .iter()
            .any(|warning| warning.contains("fivetran may come from 10.0.0.0/8, and `enforce_inbound`"))
    };
    assert!(told(&stage.plan(&enforced("10.0.0.0/16")).await));
    assert!(!told(&stage.plan(&enforced("10.0.0.0/8")).await));
    assert!(!told(&stage.plan(&enforced("10.0.0.0/9, 10.128.0.0/9")).await), "both halves are all of it");
    assert!(!told(&stage.plan(&file("")).await));
}

/// A service with these addresses and this drain time.
fn draining(addresses: &str, drain: &str) -> Spec {
    leading_to(&format!("ips: [{addresses}]"), drain)
}

fn leading_to(targets: &str, drain: &str) -> Spec {
    spec(&format!(
        "version: 1
deployment: stage
services:
  - name: orders
    allow: {{ fivetran: {{}} }}
    aws:
      account: \"123456789012\"
      region: us-east-1
      vpc: vpc-0a1b2c3d4e5f60718
      subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
      drain: {drain}
      ports: [{{ listen: 5432, engine: postgres, to: {{ {targets} }} }}]
"
    ))
}

/// Sessions on the old targets keep the time that held when they were opened, also where the same edit shortens it.
#[tokio::test(flavor = "multi_thread")]
async fn targets_that_leave_have_the_old_drain() {
    let stage = Stage::open().await;
    stage.apply(&draining("10.0.0.25", "300s")).await;
    let after = draining("10.0.0.26", "0s");
    stage.fault("aws:ModifyTargetGroupAttributes:*:code=UnauthorizedOperation");
    let (_, report) = stage.driver().apply(&after, PlanOptions::default()).await;
    assert_eq!(failure(&report).kind(), ErrorKind::Denied);
    // The delay is written when nobody drains any more.
    let group = stage.live(&after, "target-group").await.unwrap();
    assert_eq!(group.fields["drain"], privnet_core::Value::Int(300));
    let health = stage.elb().describe_target_health().target_group_arn(&group.id).send().await.unwrap();
    let there: Vec<_> =
        health.target_health_descriptions().iter().filter_map(|one| one.target()?.id()).collect();
    assert_eq!(there, ["10.0.0.26"]);
    stage.heal();
    stage.apply(&after).await;
    stage.assert_settled(&after).await;
}

/// Who comes again does not wait for an hour until they have left, while requests and other services wait with him.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_drain_holds_up_a_watch_for_its_patience_only() {
    let stage = Stage::open().await;
    let drain = |live: Live| live.fields["drain"].clone();
    stage.apply(&draining("10.0.0.25, 10.0.0.26", "3600s")).await;
    let after = draining("10.0.0.26", "60s");
    until("the one that stays is healthy", || async {
        let world = stage.world(&after).await;
        let targets = &world.services["orders"].targets;
        targets.iter().all(|target| target.cloud_state == "healthy").then_some(())
    })
    .await;
    // An hour takes six minutes.
    stage.set_speed(10.0);
    let (_, report) =
        Driver::patient(&stage, Duration::from_secs(1)).apply(&after, PlanOptions::default()).await;
    let why = failure(&report);
    assert!(
        why.kind() == ErrorKind::TimedOut && why.message().contains("rid of targets that drain"),
        "{why}"
    );
    let group = stage.live(&after, "target-group").await.unwrap();
    assert_eq!(
        drain(group),
        privnet_core::Value::Int(3600),
        "sessions keep the time that they were promised"
    );
    // A later round goes on.
    stage.advance(Duration::from_secs(3600));
    stage.set_speed(1_000.0);
    stage.apply(&after).await;
    assert_eq!(drain(stage.live(&after, "target-group").await.unwrap()), privnet_core::Value::Int(60));
    stage.assert_settled(&after).await;
}

/// A group that gave way keeps its sessions for their time, however many runs were cut short or had no patience before: one that was
/// stopped between the listener's turn and the drain too.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_gives_way_drains_over_as_many_runs_as_it_takes() {
    let stage = Stage::open().await;
    let before = draining("10.0.0.25", "3600s");
    stage.apply(&before).await;
    let old = stage.live(&before, "target-group").await.unwrap().id;
    let after = leading_to("instances: [i-0123456789abcdef0]", "3600s");
    stage.fault("aws:DeregisterTargets:*:code=UnauthorizedOperation");
    let (_, report) = stage.driver().apply(&after, PlanOptions::default()).await;
    assert_eq!(failure(&report).kind(), ErrorKind::Denied);
    let states = || async {
        let health = stage.elb().describe_target_health().target_group_arn(&old).send().await.unwrap();
        let all = health.target_health_descriptions().iter();
        all.map(|one| one.target_health().unwrap().state().unwrap().as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(states().await, ["unused"], "the listener turned, and nothing drains yet");
    stage.heal();
    // An hour takes six minutes.
    stage.set_speed(10.0);
    for _ in 0..2 {
        let (_, report) =
            Driver::patient(&stage, Duration::from_secs(1)).apply(&after, PlanOptions::default()).await;
        let why = failure(&report);
        assert!(
            why.kind() == ErrorKind::TimedOut && why.message().contains("not drained after 1 s"),
            "{why}"
        );
        assert_eq!(states().await, ["draining"]);
    }
    stage.advance(Duration::from_secs(3600));
    stage.set_speed(1_000.0);
    stage.apply(&after).await;
    stage.assert_settled(&after).await;
}
