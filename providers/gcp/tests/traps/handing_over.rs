//! Under a live consumer what serves stays until what takes its place is healthy, by the record of what was said.

use std::path::Path;

use privnet_core::ErrorKind;
use privnet_core::Purpose;
use privnet_core::accept::ConnectionState;
use privnet_core::plan::{Op, PlanOptions};
use privnet_core::spec::Spec;
use privnet_core::world::TargetState;
use serde_json::Value as Json;

use super::stage::{self, ONE, Stage, assert_done, made};
use super::{FORWARDED, FORWARDERS};

const GROUP: &str = "{ listen: 5432, to: { instance_group: zones/us-east4-a/instanceGroups/db-group } }";
/// The same, asked elsewhere than where one machine is by default.
const CHECKED: &str = "{ listen: 5432, health_check: { port: 8008, http: /up }, to: { instance_group: zones/us-east4-a/instanceGroups/db-group } }";
/// Another machine, asked elsewhere.
const OTHER: &str = "{ listen: 5432, health_check: { port: 8008, http: /up }, to: { instances: [zones/us-east4-c/instances/db-2] } }";
const TWO: &str =
    "{ listen: 5432, to: { instances: [zones/us-east4-b/instances/db-1, zones/us-east4-c/instances/db-2] } }";

/// One exchange of a record.
struct Said {
    method: String,
    path: String,
    body: String,
    answer: Json,
}

fn said(record: &Path) -> Vec<Said> {
    let text = std::fs::read_to_string(record).unwrap();
    // What is being written yet is not read.
    let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    let parsed = whole.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let word = |line: &Json, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let each = parsed.map(|line| {
        let path = word(&line, "path").split('?').next().unwrap_or_default().to_owned();
        let answer = serde_json::from_str(line["response"].as_str().unwrap_or_default()).unwrap_or_default();
        Said { method: word(&line, "method"), path, body: word(&line, "body"), answer }
    });
    each.collect()
}

/// A service of this machine, or these, with a live connection, and a record of what is said.
async fn connected(folder: &Path, spec: &Spec) -> (Stage, String) {
    let record = folder.join("record.jsonl");
    let stage = Stage::open_with(|options| options.record = Some(record)).await;
    stage.apply(spec).await;
    until_healthy(&stage, spec).await;
    stage.until_pending(spec, "orders", 2).await;
    let (_, plan, report) = stage.decide(spec, &privnet_core::accept::Ask::default()).await;
    assert_done(&plan, &report);
    let live = stage.connections(spec, "orders").await;
    let id = live.iter().find(|one| one.state == ConnectionState::Accepted).unwrap().id.clone();
    (stage, id)
}

/// All machines answer.
async fn until_healthy(stage: &Stage, spec: &Spec) {
    stage::until("all are healthy", || async {
        let world = stage.driver().observe(spec, Purpose::Status).await.1;
        let targets = &world.services["orders"].targets;
        let healthy = targets.iter().all(|target| target.state == TargetState::Healthy);
        (healthy && !targets.is_empty()).then_some(())
    })
    .await;
}

async fn assert_live(stage: &Stage, spec: &Spec, id: &str) {
    let live = stage.connections(spec, "orders").await;
    assert!(live.iter().any(|one| one.id == id && one.state == ConnectionState::Accepted), "{live:#?}");
}

/// The attachment turned once, to a rule behind which something was healthy by then. Returns when, as a place in the record.
fn assert_turned_when_healthy(said: &[Said]) -> usize {
    let turns = |one: &Said| {
        one.method == "PATCH"
            && one.path.contains("/serviceAttachments/")
            && one.body.contains("targetService")
    };
    let at: Vec<usize> = (0..said.len()).filter(|&at| turns(&said[at])).collect();
    assert_eq!(at.len(), 1, "it turns once");
    let body: Json = serde_json::from_str(&said[at[0]].body).unwrap();
    let rule = body["targetService"].as_str().unwrap().rsplit('/').next().unwrap();
    let healthy = said[..at[0]].iter().filter(|one| one.path.ends_with("/getHealth")).any(|one| {
        let states = one.answer["healthStatus"].as_array();
        states.into_iter().flatten().any(|state| {
            let through = state["forwardingRule"].as_str().unwrap_or_default();
            through.ends_with(&format!("/{rule}")) && state["healthState"] == "HEALTHY"
        })
    });
    assert!(healthy, "nothing behind {rule} was healthy when the attachment turned to it");
    at[0]
}

/// Whichever sort takes the place of which: the attachment turns when the new is healthy, and neither what lets traffic through to the
/// machines of before nor what asks them is touched until then.
#[tokio::test(flavor = "multi_thread")]
async fn another_sort_of_machines_takes_over_when_it_is_healthy() {
    let forwarded = (FORWARDED, FORWARDERS);
    let (one, group) = ((ONE, ""), (GROUP, ""));
    for (from, to) in [(one, group), (one, (CHECKED, "")), (one, forwarded), (group, forwarded)] {
        let folder = tempfile::tempdir().unwrap();
        let [before, after] = [from, to].map(|(ports, block)| made(ports, block, ""));
        let (stage, id) = connected(folder.path(), &before).await;
        let begin = said(&folder.path().join("record.jsonl")).len();
        stage.apply(&after).await;
        let said = said(&folder.path().join("record.jsonl"));
        let turned = begin + assert_turned_when_healthy(&said[begin..]);
        let touched = said[begin..turned].iter().find(|one| {
            let changes = ["PUT", "PATCH", "DELETE"].contains(&one.method.as_str());
            let kinds = ["/firewalls/", "/healthChecks/", "/backendServices/", "/forwardingRules/"];
            changes && kinds.iter().any(|kind| one.path.contains(kind))
        });
        assert!(touched.is_none(), "{from:?} → {to:?}: {:?}", touched.map(|one| &one.path));
        stage.assert_settled(&after).await;
        assert_live(&stage, &after, &id).await;
    }
}

/// The run that made the new rule may have ended before the attachment turned: the next one waits no less.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_an_earlier_run_made_is_gone_over_to_when_it_is_healthy() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (made(ONE, "", ""), made(FORWARDED, FORWARDERS, ""));
    let (stage, id) = connected(folder.path(), &before).await;
    stage.fault("gcp:serviceAttachments.patch:1+:code=forbidden");
    let (_, report) = stage.driver().apply(&after, PlanOptions::default()).await;
    assert!(report.failures().any(|error| error.kind() == ErrorKind::Denied), "{report:#?}");
    stage.heal();
    let begin = said(&folder.path().join("record.jsonl")).len();
    let plan = stage.apply(&after).await;
    assert!(!plan.actions.iter().any(|one| one.op == Op::Create), "{plan:#?}");
    assert_turned_when_healthy(&said(&folder.path().join("record.jsonl"))[begin..]);
    stage.assert_settled(&after).await;
    assert_live(&stage, &after, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_machine_does_not_go_while_those_that_stay_are_dead() {
    let folder = tempfile::tempdir().unwrap();
    let (two, one) = (made(TWO, "", ""), made(ONE, "", ""));
    let (stage, id) = connected(folder.path(), &two).await;
    stage.power("us-east4-b", "db-1", false).await;
    let (_, report) = stage.driver().apply(&one, PlanOptions::default()).await;
    assert!(report.failures().any(|error| error.kind() == ErrorKind::TimedOut), "{report:#?}");
    let backend = stage.live(&one, "backend-service").await.unwrap();
    assert_eq!(backend.fields["backends"].as_list().map(<[_]>::len), Some(2), "{backend:#?}");
    stage.power("us-east4-b", "db-1", true).await;
    stage.apply(&one).await;
    stage.assert_settled(&one).await;
    assert_live(&stage, &one, &id).await;
}

/// Once another check is there, it tells nothing of the machines of before: that of the run which was cut short does not throw them out.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_check_finds_dead_stays_in_the_next_run_too() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (made(ONE, "", ""), made(OTHER, "", ""));
    let (stage, id) = connected(folder.path(), &before).await;
    stage.power("us-east4-c", "db-2", false).await;
    for _ in 0..2 {
        let (_, report) = stage.driver().apply(&after, PlanOptions::default()).await;
        assert!(report.failures().any(|error| error.kind() == ErrorKind::TimedOut), "{report:#?}");
        let backend = stage.live(&after, "backend-service").await.unwrap();
        assert_eq!(backend.fields["backends"].as_list().map(<[_]>::len), Some(2), "{backend:#?}");
        // The local cloud's machines answer on every port or on none.
        stage.power("us-east4-b", "db-1", false).await;
    }
    stage.power("us-east4-c", "db-2", true).await;
    stage.apply(&after).await;
    stage.assert_settled(&after).await;
    assert_live(&stage, &after, &id).await;
}

/// The earlier file takes back what another check finds dead: the machines of before are asked by their own check before anything goes.
#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_asks_the_machines_of_before_where_they_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (made(ONE, "", ""), made(OTHER, "", ""));
    let (stage, id) = connected(folder.path(), &before).await;
    stage.power("us-east4-c", "db-2", false).await;
    let (_, report) = stage.driver().apply(&after, PlanOptions::default()).await;
    assert!(report.failures().any(|error| error.kind() == ErrorKind::TimedOut), "{report:#?}");
    let record = folder.path().join("record.jsonl");
    let begin = said(&record).len();
    stage.apply(&before).await;
    let said = said(&record);
    let turns =
        said[begin..].iter().filter(|one| one.method == "PATCH" && one.path.contains("/backendServices/"));
    let bodies = turns.map(|one| serde_json::from_str::<Json>(&one.body).unwrap());
    let had: Vec<_> = bodies
        .map(|body| (body["healthChecks"][0].clone(), body["backends"].as_array().map(Vec::len)))
        .collect();
    // With the check of before first both, then the one.
    assert_eq!(had.iter().map(|(_, backends)| *backends).collect::<Vec<_>>(), [Some(2), Some(1)], "{had:?}");
    assert_eq!(had[0].0, had[1].0);
    stage.assert_settled(&before).await;
    assert_live(&stage, &before, &id).await;
}

/// Of two rules for probers, neither of which will do, the one that is not asked through makes room for the next.
#[tokio::test(flavor = "multi_thread")]
async fn the_probers_rule_in_force_stays_whatever_its_letter() {
    let stage = Stage::open().await;
    let asked = |port: &str| {
        let check = format!(" health_check: {{ port: {port}, http: /up }}, to:");
        made(&ONE.replace(" to:", &check), "", "")
    };
    stage.apply(&made(ONE, "", "")).await;
    let in_force = asked("8008");
    stage.apply(&in_force).await;
    stage.fault("gcp:regionBackendServices.patch:1+:code=forbidden");
    let (_, report) = stage.driver().apply(&asked("8009"), PlanOptions::default()).await;
    assert!(report.failures().any(|error| error.kind() == ErrorKind::Denied), "{report:#?}");
    stage.heal();
    let rules = stage.world(&in_force).await.live.into_iter().filter(|live| live.address.name == "probers");
    let rules: Vec<(i64, String)> =
        rules.map(|live| (live.fields["serves"].as_int().unwrap(), live.id)).collect();
    assert_eq!(rules.iter().map(|(serves, _)| serves).sum::<i64>(), 1, "{rules:?}");
    assert_eq!(rules.len(), 2);
    let next = asked("9009");
    let plan = stage.apply(&next).await;
    let own: Vec<_> = plan.actions.iter().filter(|one| one.address.name == "probers").collect();
    let idle = rules.iter().find(|(serves, _)| *serves == 0).map(|(_, id)| id.as_str());
    assert_eq!(own.iter().map(|one| one.op).collect::<Vec<_>>(), [Op::Delete, Op::Create, Op::Delete]);
    assert_eq!(own[0].live_id.as_deref(), idle);
    stage.assert_settled(&next).await;
}

/// Where the probers ask elsewhere, machines of before are asked where they answer; a port more opens the clients' rule in place.
#[tokio::test(flavor = "multi_thread")]
async fn another_check_has_a_rule_of_its_own_and_another_port_has_not() {
    let folder = tempfile::tempdir().unwrap();
    let one = ONE.replace(" to:", " health_check: { port: 8008, http: /up }, to:");
    let more = format!("{one}, {}", ONE.replace("5432", "5433"));
    let [before, checked, more] = [ONE, &one, &more].map(|ports| made(ports, "", ""));
    let (stage, id) = connected(folder.path(), &before).await;
    let ops = |plan: &privnet_core::plan::Plan, name: &str| -> Vec<Op> {
        let own = plan.actions.iter().filter(|one| one.address.name == name);
        own.filter(|one| one.address.kind == "firewall-rule").map(|one| one.op).collect()
    };
    let plan = stage.apply(&checked).await;
    assert_eq!((ops(&plan, "probers"), ops(&plan, "clients")), (vec![Op::Create, Op::Delete], vec![]));
    let plan = stage.apply(&more).await;
    assert_eq!((ops(&plan, "probers"), ops(&plan, "clients")), (vec![], vec![Op::Update]));
    stage.assert_settled(&more).await;
    assert_live(&stage, &more, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn global_access_does_not_change_with_what_takes_another_rule() {
    let stage = Stage::open().await;
    stage.apply(&made(ONE, "", "")).await;
    let global = "global_access: true
";
    for (ports, block) in [
        (ONE.replace("5432", "5433"), global.to_owned()),
        (FORWARDED.to_owned(), format!("{FORWARDERS}\n{global}")),
        (ONE.to_owned(), format!("{global}ip_address: 10.7.0.77")),
    ] {
        let plan = stage.plan(&made(&ports, &block, "")).await;
        assert!(plan.is_empty(), "{:#?}", plan.actions);
        assert!(plan.refusals.iter().any(|one| one.why.contains("`global_access` alone first")), "{plan:#?}");
    }
    let alone = made(ONE, global, "");
    stage.apply(&alone).await;
    stage.assert_settled(&alone).await;
    let supplied =
        stage::with_policy("allow: { fivetran: {} }", "existing: { forwarding_rule: shared-db }", "");
    let plan = stage.plan(&supplied).await;
    assert!(plan.is_empty(), "{:#?}", plan.actions);
    assert!(plan.refusals.iter().any(|one| one.why.contains("has no global access")), "{plan:#?}");
    stage.apply(&made(&ONE.replace("5432", "5433"), global, "")).await;
}

/// Each port of the agent's tells of all of them, and the machines of before do not listen on those that are new.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_before_the_others_does_not_move_the_health_check() {
    let folder = tempfile::tempdir().unwrap();
    let (before, first) = (
        made(FORWARDED, FORWARDERS, ""),
        made(
            &format!(
                "{{ listen: 3306, engine: mysql, to: {{ forwarder: {{ ip: 10.90.0.4 }} }} }}, {FORWARDED}"
            ),
            FORWARDERS,
            "",
        ),
    );
    let (stage, id) = connected(folder.path(), &before).await;
    let plan = stage.apply(&first).await;
    let moved = |kind: &str, name: &str| {
        plan.actions.iter().any(|one| one.address.kind == kind && one.address.name == name)
    };
    assert!(moved("firewall-rule", "clients") && moved("forwarding-rule", "main"), "{plan:#?}");
    assert!(!moved("firewall-rule", "probers") && !moved("health-check", "main"), "{plan:#?}");
    stage.assert_settled(&first).await;
    assert_live(&stage, &first, &id).await;
}

/// A rule that cannot be changed holds all back that relies on it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_firewall_rule_does_not_let_through_takes_nothing_over() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (made(ONE, "", ""), made(FORWARDED, FORWARDERS, ""));
    let (stage, id) = connected(folder.path(), &before).await;
    stage.fault("gcp:firewalls.insert:1+:code=forbidden");
    let begin = said(&folder.path().join("record.jsonl")).len();
    let (_, report) = stage.driver().apply(&after, PlanOptions::default()).await;
    assert!(report.failures().any(|error| error.kind() == ErrorKind::Denied), "{report:#?}");
    let said = said(&folder.path().join("record.jsonl"));
    let touched = said[begin..].iter().find(|one| {
        one.method == "DELETE"
            || one.method == "PATCH"
            || one.path.ends_with("/forwardingRules") && one.method == "POST"
    });
    assert!(touched.is_none(), "{:?}", touched.map(|one| (&one.method, &one.path)));
    stage.heal();
    stage.apply(&after).await;
    stage.assert_settled(&after).await;
    assert_live(&stage, &after, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_address_has_no_second_sort_of_machines() {
    let stage = Stage::open().await;
    let fixed = |ports: &str, block: &str| made(ports, &format!("ip_address: 10.7.0.77\n{block}"), "");
    stage.apply(&fixed(ONE, "")).await;
    let plan = stage.plan(&fixed(FORWARDED, FORWARDERS)).await;
    assert!(plan.is_empty(), "{:#?}", plan.actions);
    assert!(plan.refusals.iter().any(|one| one.why.contains("the sort of machines")), "{:#?}", plan.refusals);
}
