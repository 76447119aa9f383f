//! Two groups of machines that a run which was cut short left, and a file that then wants a third: the one that serves stays until that answers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod stage;

use privnet_core::execute::Report;
use privnet_core::plan::{Op, Plan, PlanOptions};
use privnet_core::spec::Spec;
use privnet_core::{ErrorKind, Live};
use stage::{ONE, Stage, assert_live, connected, made};

/// This machine, beside the first one and asked elsewhere.
fn beside(machine: &str) -> Spec {
    let ports = format!(
        "{{ listen: 5432, health_check: {{ port: 8008, http: /up }}, to: {{ instances: [zones/us-east4-b/instances/{machine}] }} }}"
    );
    made(&ports, "", "")
}

/// Forwarders of this size.
fn forwarders(size: &str) -> Spec {
    let block = format!("forwarder: {{ subnets: [data], size: {size}, zones: [us-east4-a] }}");
    made("{ listen: 5432, engine: postgres, to: { forwarder: { ip: 10.90.0.3 } } }", &block, "")
}

/// What becomes of groups of a kind, in order.
fn of_groups(plan: &Plan, kind: &str) -> Vec<(Op, String)> {
    let own = plan.actions.iter().filter(|action| action.address.kind == kind);
    own.map(|action| (action.op, action.generation.unwrap().to_string())).collect()
}

/// How well the groups of a kind serve, by their letters.
async fn serving(stage: &Stage, spec: &Spec, kind: &str) -> Vec<(String, i64)> {
    let mut all: Vec<Live> = stage.world(spec).await.live.into_iter().collect();
    all.retain(|live| live.address.kind == kind);
    let mut all: Vec<_> = all
        .into_iter()
        .map(|live| (live.generation.unwrap().to_string(), live.fields["serves"].as_int().unwrap()))
        .collect();
    all.sort();
    all
}

fn is(report: &Report, kind: ErrorKind) -> bool {
    report.failures().any(|error| error.kind() == kind)
}

fn letters(all: &[(Op, &str)]) -> Vec<(Op, String)> {
    all.iter().map(|(op, letter)| (*op, (*letter).to_owned())).collect()
}

fn levels(all: &[(&str, i64)]) -> Vec<(String, i64)> {
    all.iter().map(|(letter, serves)| ((*letter).to_owned(), *serves)).collect()
}

const NEG: &str = "endpoint-group";
const FORWARDERS: &str = "forwarder-group";

/// The correction of a file whose machine never answered: that one goes for the third, and what serves stays, though no check that is asked
/// now finds it healthy.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_never_answered_makes_room_for_the_next() {
    let before = made(ONE, "", "");
    let (stage, id) = connected(&before).await;
    for machine in ["db-9", "db-10"] {
        stage.add_machine("us-east4-b", machine).await;
        stage.power("us-east4-b", machine, false).await;
    }
    let (second, third) = (beside("db-9"), beside("db-10"));
    let (_, report) = stage.driver().apply(&second, PlanOptions::default()).await;
    assert!(is(&report, ErrorKind::TimedOut), "{report:#?}");
    // The local cloud's machines answer on every port or on none: this one answers where nobody asks any more.
    stage.power("us-east4-b", "db-1", false).await;
    assert_eq!(serving(&stage, &third, NEG).await, levels(&[("a", 1), ("b", 1)]));
    let (plan, report) = stage.driver().apply(&third, PlanOptions::default()).await;
    assert_eq!(plan.refusals, []);
    assert_eq!(of_groups(&plan, NEG), letters(&[(Op::Delete, "b"), (Op::Create, "b"), (Op::Delete, "a")]));
    // It got as far as the third one, and what served is there.
    assert!(is(&report, ErrorKind::TimedOut), "{report:#?}");
    assert_eq!(serving(&stage, &third, NEG).await, levels(&[("a", 1), ("b", 1)]));
    let there = stage
        .world(&third)
        .await
        .live
        .into_iter()
        .find(|live| live.address.kind == NEG && live.generation.unwrap().to_string() == "b");
    assert!(there.unwrap().fields["machines"].to_string().contains("db-10"));
    stage.power("us-east4-b", "db-10", true).await;
    let plan = stage.apply(&third).await;
    assert_eq!(of_groups(&plan, NEG), letters(&[(Op::Delete, "a")]));
    stage.assert_settled(&third).await;
    assert_live(&stage, &third, &id).await;
}

/// A file that goes back to the check of before, when the machine of before does not answer any more: what serves by the later check stays, in
/// the first run and in each that follows, though it came after both checks.
#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_to_an_earlier_check_cuts_nobody() {
    let before = made(ONE, "", "");
    let (stage, id) = connected(&before).await;
    stage.add_machine("us-east4-b", "db-9").await;
    let second = beside("db-9");
    stage.fault("gcp:networkEndpointGroups.delete:1+:code=forbidden");
    let (_, report) = stage.driver().apply(&second, PlanOptions::default()).await;
    assert!(is(&report, ErrorKind::Denied), "{report:#?}");
    stage.heal();
    stage.power("us-east4-b", "db-1", false).await;
    for run in ["the first", "the second"] {
        let (_, report) = stage.driver().apply(&before, PlanOptions::default()).await;
        assert!(is(&report, ErrorKind::TimedOut), "{run}: {report:#?}");
        let there = serving(&stage, &before, NEG).await;
        assert_eq!(there.len(), 2, "{run}: {there:?}");
        // It answers where nobody asks any more: the local cloud's machines answer on every port or on none.
        stage.power("us-east4-b", "db-9", false).await;
    }
    stage.power("us-east4-b", "db-1", true).await;
    stage.apply(&before).await;
    stage.assert_settled(&before).await;
    assert_live(&stage, &before, &id).await;
}

/// The one that is healthy serves, also where it is the younger: the older one goes as it would have gone in the run that was cut short.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_answers_stays_until_the_next_one_does() {
    let before = made(ONE, "", "");
    let (stage, id) = connected(&before).await;
    for machine in ["db-9", "db-10"] {
        stage.add_machine("us-east4-b", machine).await;
    }
    let (second, third) = (beside("db-9"), beside("db-10"));
    // The second change of the backend service would have let go of the one of before.
    stage.fault("gcp:regionBackendServices.patch:2+:code=forbidden");
    let (_, report) = stage.driver().apply(&second, PlanOptions::default()).await;
    assert!(is(&report, ErrorKind::Denied), "{report:#?}");
    stage.heal();
    stage.power("us-east4-b", "db-1", false).await;
    stage::until("the second one answers", || async {
        (serving(&stage, &third, NEG).await == levels(&[("a", 1), ("b", 2)])).then_some(())
    })
    .await;
    let plan = stage.apply(&third).await;
    assert_eq!(of_groups(&plan, NEG), letters(&[(Op::Delete, "a"), (Op::Create, "a"), (Op::Delete, "b")]));
    stage.assert_settled(&third).await;
    assert_live(&stage, &third, &id).await;
}

/// The same of forwarders: a run is not held up by the older ones where those are dead.
#[tokio::test(flavor = "multi_thread")]
async fn forwarders_that_answer_serve_whichever_came_first() {
    let before = forwarders("e2-small");
    let (stage, id) = connected(&before).await;
    let old = stage.machines_of("orders").await;
    stage.fault("gcp:regionBackendServices.patch:2+:code=forbidden");
    let (_, report) = stage.driver().apply(&forwarders("e2-medium"), PlanOptions::default()).await;
    assert!(is(&report, ErrorKind::Denied), "{report:#?}");
    stage.heal();
    for machine in old.keys() {
        stage.power("us-east4-a", machine, false).await;
    }
    let third = forwarders("e2-standard-2");
    stage::until("only the younger answer", || async {
        (serving(&stage, &third, FORWARDERS).await == levels(&[("a", 1), ("b", 2)])).then_some(())
    })
    .await;
    let plan = stage.apply(&third).await;
    let order = [(Op::Delete, "a"), (Op::Create, "a"), (Op::Delete, "b")];
    assert_eq!(of_groups(&plan, FORWARDERS), letters(&order));
    stage.assert_settled(&third).await;
    assert_live(&stage, &third, &id).await;
}

/// Where it cannot be read which is healthy, the older one counts as serving, and that is said.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_asked_is_said() {
    let before = forwarders("e2-small");
    let (stage, _) = connected(&before).await;
    stage.fault("gcp:regionBackendServices.patch:2+:code=forbidden");
    let (_, report) = stage.driver().apply(&forwarders("e2-medium"), PlanOptions::default()).await;
    assert!(is(&report, ErrorKind::Denied), "{report:#?}");
    stage.heal();
    stage.fault("gcp:regionBackendServices.getHealth:1+:code=forbidden");
    let third = forwarders("e2-standard-2");
    assert_eq!(serving(&stage, &third, FORWARDERS).await, levels(&[("a", 1), ("b", 1)]));
    let plan = stage.plan(&third).await;
    assert_eq!(of_groups(&plan, FORWARDERS)[0], (Op::Delete, "b".to_owned()), "{plan:#?}");
    let said = plan.warnings.iter().filter(|warning| warning.contains("the older of two counts as serving"));
    assert_eq!(said.count(), 2, "{:?}", plan.warnings);
}
