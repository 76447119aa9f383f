//! Machines that are asked elsewhere than those whose place they take: each is healthy by its own check.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod stage;

use privnet_core::ErrorKind;
use privnet_core::plan::{Op, Plan, PlanOptions};
use stage::{ONE, assert_live, connected, made};

/// Another machine where the first one is, which is asked elsewhere.
const BESIDE: &str = "{ listen: 5432, health_check: { port: 8008, http: /up }, to: { instances: [zones/us-east4-b/instances/db-9] } }";

/// What is done to groups of machines, in order.
fn of_groups(plan: &Plan) -> Vec<Op> {
    let own = plan.actions.iter().filter(|action| action.address.kind == "endpoint-group");
    own.map(|action| action.op).collect()
}

/// Each machine is healthy by its own check: a group that had both would wait for one of them for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_beside_that_is_asked_elsewhere_has_a_group_of_its_own() {
    let (before, after) = (made(ONE, "", ""), made(BESIDE, "", ""));
    let (stage, id) = connected(&before).await;
    stage.add_machine("us-east4-b", "db-9").await;
    // The same check goes over within the group.
    let same = made(&ONE.replace("db-1", "db-9"), "", "");
    assert_eq!(of_groups(&stage.plan(&same).await), [Op::Update]);
    let plan = stage.plan(&after).await;
    assert_eq!(of_groups(&plan), [Op::Create, Op::Delete], "{plan:#?}");
    // Cut short before the backend service turns, and after.
    for nth in [1, 2] {
        stage.fault(&format!("gcp:regionBackendServices.patch:{nth}+:code=forbidden"));
        let (_, report) = stage.driver().apply(&after, PlanOptions::default()).await;
        assert!(report.failures().any(|error| error.kind() == ErrorKind::Denied), "{report:#?}");
        stage.heal();
        assert_eq!(of_groups(&stage.plan(&after).await), [Op::Delete], "{nth}");
        // The way back keeps the group of before.
        assert_eq!(of_groups(&stage.plan(&before).await), [Op::Delete], "{nth}");
        assert_live(&stage, &after, &id).await;
    }
    stage.apply(&after).await;
    stage.assert_settled(&after).await;
    assert_live(&stage, &after, &id).await;
}

/// The machines that serve count as unhealthy until they have answered the other check: who would apply that is told.
#[tokio::test(flavor = "multi_thread")]
async fn that_another_check_is_turned_to_under_somebody_is_said() {
    let asks = |check: &str| ONE.replace("to:", &format!("health_check: {{ {check} }}, to:"));
    let (before, after) = (made(ONE, "", ""), made(&asks("port: 8008, http: /up"), "", ""));
    let said = |plan: &Plan| {
        let found = plan.warnings.iter().filter(|one| one.contains("count as unhealthy"));
        found.cloned().collect::<Vec<_>>()
    };
    let stage = stage::Stage::open_with(|options| options.hold_requests = true).await;
    stage.apply(&before).await;
    assert_eq!(said(&stage.plan(&after).await), Vec::<String>::new(), "nobody is connected");
    let (stage, id) = connected(&before).await;
    assert_eq!(said(&stage.plan(&before).await), Vec::<String>::new());
    // How often it is asked is changed in place.
    let slower = made(&asks("interval: 20s"), "", "");
    assert_eq!(said(&stage.plan(&slower).await), Vec::<String>::new());
    // Another sort of machines has a backend service of its own, which gets its traffic when they are healthy.
    let group = "{ listen: 5432, health_check: { port: 8008 }, to: { instance_group: zones/us-east4-a/instanceGroups/db-group } }";
    assert_eq!(said(&stage.plan(&made(group, "", "")).await), Vec::<String>::new());
    let told = said(&stage.apply(&after).await);
    assert!(told.len() == 1 && told[0].contains("at once (http on port 8008, /up)"), "{told:?}");
    assert_eq!(said(&stage.plan(&after).await), Vec::<String>::new());
    assert_live(&stage, &after, &id).await;
}

/// A file that is corrected after a check which found nobody healthy: what serves is none of the machines that this one finds healthy.
#[tokio::test(flavor = "multi_thread")]
async fn a_third_check_does_not_throw_out_what_serves() {
    let asked = |port: &str, zone: &str, machine: &str| {
        let to = format!("zones/us-east4-{zone}/instances/{machine}");
        let ports =
            format!("{{ listen: 5432, health_check: {{ port: {port} }}, to: {{ instances: [{to}] }} }}");
        made(&ports, "", "")
    };
    let (stage, id) = connected(&asked("5432", "b", "db-1")).await;
    stage.power("us-east4-c", "db-2", false).await;
    let second = asked("8008", "c", "db-2");
    let timed_out = |report: &privnet_core::execute::Report| {
        report.failures().any(|error| error.kind() == ErrorKind::TimedOut)
    };
    let (_, report) = stage.driver().apply(&second, PlanOptions::default()).await;
    assert!(timed_out(&report), "{report:#?}");
    // The local cloud's machines answer on every port or on none: this one answers where neither check of the edits asks.
    stage.power("us-east4-b", "db-1", false).await;
    stage.power("us-east4-a", "db-3", false).await;
    let third = asked("8009", "a", "db-3");
    let (_, report) = stage.driver().apply(&third, PlanOptions::default()).await;
    assert!(timed_out(&report), "{report:#?}");
    let backend = stage.live(&third, "backend-service").await.unwrap();
    assert_eq!(backend.fields["backends"].as_list().map(<[_]>::len), Some(3), "{backend:#?}");
    stage.power("us-east4-a", "db-3", true).await;
    stage.apply(&third).await;
    stage.assert_settled(&third).await;
    assert_live(&stage, &third, &id).await;
}
