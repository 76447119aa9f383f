//! Without cross-zone traffic an instance that leaves the file may be the last one of its zone: which zone that is nobody asks AWS any more.

use privnet_core::plan::{Plan, Rule};
use privnet_core::spec::Spec;
use privnet_core::world::TargetState;

use crate::stage::{Stage, until};
use crate::{accepted, file, made};

/// Machines of another service, for there are instances of the user's in one zone only.
fn machines() -> String {
    let forwarder =
        ", forwarder: { subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2], size: t3.small }";
    made("ledger", "{ listen: 6432, port: 5432, to: { forwarder: { ip: 172.16.4.20 } } }", forwarder)
}

fn to_instances(ids: &[&str]) -> Spec {
    let port = format!("{{ listen: 5432, engine: postgres, to: {{ instances: [{}] }} }}", ids.join(", "));
    file(&[machines(), made("orders", &port, ", cross_zone: false")])
}

fn is_refused(plan: &Plan, zone: &str) -> bool {
    plan.refusals.iter().any(|one| one.rule == Rule::WouldSever && one.why.contains(zone))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_instance_of_a_zone_does_not_leave_a_consumer_there() {
    let stage = Stage::open().await;
    let alone = file(&[machines()]);
    stage.apply(&alone).await;
    accepted(&stage, &alone, "ledger").await;
    let groups = stage.auto_scaling().describe_auto_scaling_groups().send().await.unwrap();
    let members = groups.auto_scaling_groups()[0].instances();
    let in_zone = |zone: &str| {
        let found = members.iter().find(|one| one.availability_zone() == Some(zone)).unwrap();
        found.instance_id().unwrap().to_owned()
    };
    let (first, second) = (in_zone("us-east-1a"), in_zone("us-east-1b"));
    let both = to_instances(&[&first, &second]);
    stage.apply(&both).await;
    until("both are healthy", || async {
        let world = stage.world(&both).await;
        let targets = &world.services["orders"].targets;
        (targets.iter().filter(|one| one.state == TargetState::Healthy).count() == 2).then_some(())
    })
    .await;

    // With nobody connected it is the user's matter.
    let one = to_instances(&[&first]);
    assert_eq!(stage.plan(&one).await.refusals, []);
    accepted(&stage, &both, "orders").await;
    for (left, cut, stays) in [(&first, "us-east-1b", "us-east-1a"), (&second, "us-east-1a", "us-east-1b")] {
        let plan = stage.plan(&to_instances(&[left])).await;
        assert!(is_refused(&plan, cut) && !is_refused(&plan, stays), "{plan:#?}");
        assert!(!plan.actions.iter().any(|action| action.address.service == "orders"), "{plan:#?}");
    }
    // Another one in the same zone takes its place.
    let another = to_instances(&["i-0123456789abcdef0", &second]);
    assert_eq!(stage.plan(&another).await.refusals, []);
    stage.apply(&another).await;
    stage.assert_settled(&another).await;
}
