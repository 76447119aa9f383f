//! Listeners that a colleague moved, copied or tagged otherwise: consumers come in by the port that is there, and none of them goes under a
//! live one without the word.

use aws_sdk_elasticloadbalancingv2::types::{Action, ActionTypeEnum, ProtocolEnum, Tag};
use privnet_core::Live;
use privnet_core::plan::{Op, Plan, PlanOptions, Rule};
use privnet_core::spec::Spec;

use crate::own_balancer::{listener_ports, on_own_balancer};
use crate::stage::{Stage, until};
use crate::{IPS, OWN_BALANCER, accepted, everybody_asked, file, ids, made};

const SEVER: PlanOptions = PlanOptions { sever_connections: true, destroy: false, prune: false };
const TWO: &str = "{ listen: 5432, engine: postgres, to: { ips: [10.0.0.25] } }, \
                   { listen: 5433, engine: postgres, to: { ips: [10.0.0.26] } }";

/// The same database, elsewhere.
const OTHER_IPS: &str = "{ listen: 5432, engine: postgres, to: { ips: [10.0.0.27] } }";

fn orders(ports: &str) -> Spec {
    file(&[made("orders", ports, "")])
}

async fn applied(spec: &Spec, connected: bool) -> Stage {
    let stage = Stage::open().await;
    stage.apply(spec).await;
    match connected {
        true => accepted(&stage, spec, spec.services[0].name.as_str()).await,
        false => everybody_asked(&stage, spec, spec.services[0].name.as_str()).await,
    }
    stage
}

async fn on_port(stage: &Stage, spec: &Spec, port: i64) -> Live {
    let is_it = |live: &Live| {
        live.address.kind == "listener"
            && live.fields.get("port").and_then(privnet_core::Value::as_int) == Some(port)
    };
    stage.world(spec).await.live.into_iter().find(is_it).expect("a listener on that port")
}

fn field<'a>(live: &'a Live, name: &str) -> &'a str {
    live.fields[name].as_text().unwrap()
}

async fn moves(stage: &Stage, listener: &Live, port: i32) {
    stage.elb().modify_listener().listener_arn(&listener.id).port(port).send().await.unwrap();
}

/// Makes another one on this port, which sends where that one does.
async fn copies(stage: &Stage, listener: &Live, port: i32, with_tags: bool) {
    let elb = stage.elb();
    let found = elb.describe_tags().resource_arns(&listener.id).send().await.unwrap();
    let tags = with_tags.then(|| found.tag_descriptions()[0].tags().to_vec());
    let forward =
        Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(field(listener, "target_group"));
    let request = elb.create_listener().load_balancer_arn(field(listener, "load_balancer")).port(port);
    let request = request.protocol(ProtocolEnum::Tcp).default_actions(forward.build());
    request.set_tags(tags).send().await.unwrap();
}

async fn tags(stage: &Stage, listener: &Live, key: &str, value: &str) {
    let tag = Tag::builder().key(key).value(value).build();
    stage.elb().add_tags().resource_arns(&listener.id).tags(tag).send().await.unwrap();
}

/// The first plan that tells of a listener that stays, which does nothing about it.
async fn spared(stage: &Stage, spec: &Spec, said: &str) -> Plan {
    until("the listener is told of", || async {
        let plan = stage.plan(spec).await;
        let told = |warning: &String| {
            warning.starts_with("orders/listener/9000: ")
                && warning.contains("would cut 1")
                && warning.contains(said)
        };
        plan.warnings.iter().any(told).then_some(plan)
    })
    .await
}

/// The first plan that has something to say.
async fn changed(stage: &Stage, spec: &Spec) -> Plan {
    until("the change shows", || async {
        let plan = stage.plan(spec).await;
        (!plan.is_empty() || !plan.refusals.is_empty()).then_some(plan)
    })
    .await
}

fn refused(plan: &Plan) -> Vec<(Rule, String, bool)> {
    let said = plan.refusals.iter();
    said.map(|one| (one.rule, one.address.to_string(), one.flag.is_some())).collect()
}

fn would_sever(address: &str) -> Vec<(Rule, String, bool)> {
    vec![(Rule::WouldSever, address.to_owned(), true)]
}

async fn balancer(stage: &Stage, spec: &Spec) -> String {
    stage.live(spec, "load-balancer").await.unwrap().id
}

/// With copies of privnet's tags as without them.
#[tokio::test(flavor = "multi_thread")]
async fn another_port_under_a_live_consumer_goes_with_the_word_alone() {
    for with_tags in [true, false] {
        let spec = orders(IPS);
        let stage = applied(&spec, true).await;
        copies(&stage, &on_port(&stage, &spec, 5432).await, 9000, with_tags).await;
        let said = if with_tags { "orders/listener/5432 is in its place" } else { "privnet did not make it" };
        let plan = spared(&stage, &spec, said).await;
        assert!(plan.is_empty() && plan.refusals.is_empty(), "{plan:#?}");
        let balancer = balancer(&stage, &spec).await;
        // What else is wanted goes on: a database that moves is followed.
        let spec = orders(OTHER_IPS);
        stage.apply(&spec).await;
        assert_eq!(listener_ports(&stage, &balancer).await, [5432, 9000]);
        assert!(spared(&stage, &spec, said).await.is_empty());

        stage.apply_with(&spec, SEVER).await;
        assert_eq!(listener_ports(&stage, &balancer).await, [5432]);
        stage.assert_settled(&spec).await;
    }
}

/// A colleague may also have put a fresh one in its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_moved_listener_under_a_live_consumer_goes_with_the_word_alone() {
    let spec = orders(IPS);
    let stage = applied(&spec, true).await;
    let ours = on_port(&stage, &spec, 5432).await;
    moves(&stage, &ours, 9000).await;
    copies(&stage, &ours, 5432, false).await;
    let plan = spared(&stage, &spec, "orders/listener/5432 is in its place").await;
    assert!(plan.is_empty() && plan.refusals.is_empty(), "{plan:#?}");
    stage.apply_with(&spec, SEVER).await;
    stage.assert_settled(&spec).await;
}

/// Its own port is served again at once: that cuts nobody. Whoever comes in by the other one goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_moved_listener_is_made_anew_and_stays_where_it_is_until_the_word() {
    let spec = orders(IPS);
    let stage = applied(&spec, true).await;
    let balancer = balancer(&stage, &spec).await;
    moves(&stage, &on_port(&stage, &spec, 5432).await, 9000).await;
    let plan = changed(&stage, &spec).await;
    assert_eq!(
        plan.actions.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(),
        ["create orders/listener/5432@a"]
    );
    let told =
        |warning: &String| warning.starts_with("orders/listener/9000: ") && warning.contains("would cut 1");
    assert!(plan.warnings.iter().any(told), "{:#?}", plan.warnings);
    stage.apply(&spec).await;
    assert_eq!(listener_ports(&stage, &balancer).await, [5432, 9000]);
    stage.assert_settled(&spec).await;
    spared(&stage, &spec, "orders/listener/5432 is in its place").await;
    let plan = stage.apply_with(&spec, SEVER).await;
    assert_eq!(ids(&plan, Op::Delete), ["delete orders/listener/9000@a".to_owned()].into());
    assert_eq!(listener_ports(&stage, &balancer).await, [5432]);
    stage.assert_settled(&spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_is_connected_a_moved_listener_is_put_right_at_once() {
    let on_own = on_own_balancer(", ports: [{ listen: 7000, to: { ips: [10.0.0.25] } }]");
    for (spec, service, port) in [(orders(IPS), "orders", 5432), (on_own, "legacy", 7000)] {
        let stage = applied(&spec, false).await;
        let ours = on_port(&stage, &spec, port.into()).await;
        moves(&stage, &ours, 9000).await;
        let plan = changed(&stage, &spec).await;
        assert_eq!(
            ids(&plan, Op::Create),
            [format!("create {service}/listener/{port}@a")].into(),
            "{plan:#?}"
        );
        assert_eq!(ids(&plan, Op::Delete), [format!("delete {service}/listener/9000@a")].into(), "{plan:#?}");
        stage.apply(&spec).await;
        stage.assert_settled(&spec).await;
        let there = listener_ports(&stage, field(&ours, "load_balancer")).await;
        assert!(there.contains(&port) && !there.contains(&9000), "{there:?}");
    }
}

/// Its tags go on to name the port that it was made for, which nothing depends on.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_on_the_place_of_another_one_serves_that_ones_port() {
    let spec = orders(TWO);
    let stage = applied(&spec, true).await;
    let gone = on_port(&stage, &spec, 5433).await;
    stage.elb().delete_listener().listener_arn(&gone.id).send().await.unwrap();
    moves(&stage, &on_port(&stage, &spec, 5432).await, 5433).await;
    changed(&stage, &spec).await;
    stage.apply(&spec).await;
    stage.assert_settled(&spec).await;
    let there = on_port(&stage, &spec, 5433).await;
    assert_eq!(there.fields["target_group"], gone.fields["target_group"]);
}

/// It is on its port, and that port's: a service is not held up by what a colleague writes on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_whose_tags_name_another_port_is_its_own_ports() {
    let spec = orders(TWO);
    let stage = applied(&spec, true).await;
    tags(&stage, &on_port(&stage, &spec, 5432).await, "privnet:name", "5433").await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    stage.assert_settled(&spec).await;
}

/// There the tags alone say whose it is: the refusal says which one is to be put back.
#[tokio::test(flavor = "multi_thread")]
async fn on_the_users_load_balancer_an_altered_tag_is_to_be_put_back() {
    let spec = on_own_balancer(", ports: [{ listen: 7000, to: { ips: [10.0.0.25] } }]");
    let stage = applied(&spec, true).await;
    let ours = on_port(&stage, &spec, 7000).await;
    tags(&stage, &ours, "privnet:name", "7001").await;
    let plan = changed(&stage, &spec).await;
    assert_eq!(refused(&plan), [(Rule::NotOurs, "legacy/listener/7000".to_owned(), false)], "{plan:#?}");
    assert!(plan.refusals[0].why.contains("`privnet:name` back to `7000`"), "{plan:#?}");
    assert!(!plan.refusals[0].why.contains("prune"), "{plan:#?}");
    tags(&stage, &ours, "privnet:name", "7000").await;
    until("it is settled", || async { stage.plan(&spec).await.refusals.is_empty().then_some(()) }).await;
    stage.assert_settled(&spec).await;
}

/// Once another one is in its place nobody would know it for privnet's: it waits for the word, or is put back.
#[tokio::test(flavor = "multi_thread")]
async fn on_the_users_load_balancer_a_moved_listener_waits_for_the_word() {
    let spec = on_own_balancer(", ports: [{ listen: 7000, to: { ips: [10.0.0.25] } }]");
    let stage = applied(&spec, true).await;
    let ours = on_port(&stage, &spec, 7000).await;
    moves(&stage, &ours, 9000).await;
    let plan = changed(&stage, &spec).await;
    assert_eq!(refused(&plan), would_sever("legacy/listener/9000"), "{plan:#?}");
    assert!(plan.is_empty() && plan.refusals[0].why.contains("from port 7000 to 9000"), "{plan:#?}");
    stage.apply_with(&spec, SEVER).await;
    stage.assert_settled(&spec).await;
    let there = listener_ports(&stage, OWN_BALANCER).await;
    assert!(there.contains(&7000) && !there.contains(&9000), "{there:?}");
}

/// On another one's port it is neither that one nor gone.
#[tokio::test(flavor = "multi_thread")]
async fn on_the_users_load_balancer_a_listener_takes_no_other_ones_place() {
    let two = TWO.replace("543", "700");
    let spec = on_own_balancer(&format!(", ports: [{two}]"));
    let stage = applied(&spec, true).await;
    let gone = on_port(&stage, &spec, 7003).await;
    let ours = on_port(&stage, &spec, 7002).await;
    stage.elb().delete_listener().listener_arn(&gone.id).send().await.unwrap();
    moves(&stage, &ours, 7003).await;
    let plan = changed(&stage, &spec).await;
    let not_ours =
        |plan: &Plan| refused(plan).contains(&(Rule::NotOurs, "legacy/listener/7003".to_owned(), false));
    assert!(plan.is_empty() && not_ours(&plan), "{plan:#?}");
    let (forced, _, _) = stage.driver().plan(&spec, SEVER).await;
    assert!(forced.is_empty() && not_ours(&forced), "{forced:#?}");
    moves(&stage, &ours, 7002).await;
    until("it is back", || async { stage.plan(&spec).await.refusals.is_empty().then_some(()) }).await;
    stage.apply(&spec).await;
    stage.assert_settled(&spec).await;
}
