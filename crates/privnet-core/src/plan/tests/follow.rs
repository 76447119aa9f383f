//! What is left of a plan when only targets are followed.

use super::cloud::{Cloud, Want, desired, kinds};
use crate::plan::{Op, Plan, PlanOptions, Rule, only_targets};
use crate::value::Value;
use crate::world::Desired;

fn applied(wants: &[Want]) -> Cloud {
    let mut cloud = Cloud::default();
    let plan = cloud.plan(&desired(wants), PlanOptions::default());
    cloud.apply(&plan, plan.actions.len());
    cloud
}

/// The same with a name that moved.
fn moved(wants: &[Want]) -> Desired {
    let mut desired = desired(wants);
    for resource in desired.resources.iter_mut().filter(|resource| resource.address.kind == "tg") {
        resource.fields.insert("targets".to_owned(), Value::texts(["10.0.0.2"]));
    }
    desired
}

fn followed(cloud: &Cloud, desired: &Desired) -> Plan {
    only_targets(cloud.plan(desired, PlanOptions::default()), &kinds())
}

#[test]
fn a_moved_name_is_followed_and_then_there_is_nothing_to_do() {
    let mut cloud = applied(&[Want::new("s")]);
    let desired = moved(&[Want::new("s")]);
    let plan = followed(&cloud, &desired);
    assert_eq!(plan, Plan { adds_to_yours: Vec::new(), ..cloud.plan(&desired, PlanOptions::default()) });
    assert_eq!((plan.actions.len(), plan.summary.update), (1, 1));
    cloud.apply(&plan, 1);
    assert!(cloud.plan(&desired, PlanOptions::default()).is_empty());
}

#[test]
fn everything_else_is_left_to_apply() {
    let mut cloud = applied(&[Want::new("s")]);
    let mut more = Want::new("s");
    more.ports.insert(3306, 3306);
    more.subnets.insert(3);
    let desired = moved(&[more]);
    let whole = cloud.plan(&desired, PlanOptions::default());
    let plan = followed(&cloud, &desired);
    let ops: Vec<_> = plan.actions.iter().map(|action| (action.op, action.address.to_string())).collect();
    assert_eq!(ops, [(Op::Update, "s/tg/5432".to_owned())]);
    let left = whole.actions.len() - 1;
    assert!(left > 1 && plan.warnings.last().unwrap().starts_with(&format!("{left} more things are")));
    assert_eq!((plan.summary.create, plan.summary.delete), (0, 0));
    // It stands on its own: nothing waits for an action that was left.
    cloud.apply(&plan, 1);
    assert!(followed(&cloud, &desired).is_empty());
}

/// A resource that differs in more than its targets gets its targets, and keeps the rest for `apply`.
#[test]
fn an_action_is_narrowed_to_its_targets() {
    let cloud = applied(&[Want::new("s")]);
    let desired = moved(&[Want::new("s")]);
    let mut whole = cloud.plan(&desired, PlanOptions::default());
    let mut other = whole.actions[0].changes[0].clone();
    other.field = "port".into();
    whole.actions[0].changes.insert(0, other);
    whole.actions[0].after.push("create s/lb/main@b".to_owned());
    let plan = only_targets(whole, &kinds());
    let fields: Vec<_> = plan.actions[0].changes.iter().map(|change| &*change.field).collect();
    assert_eq!(fields, ["targets"]);
    assert_eq!(plan.actions[0].after, Vec::<String>::new());
    assert!(plan.warnings[0].starts_with("1 more thing is"), "{:?}", plan.warnings);
}

/// What is not there yet is not made, and a service that is not listed is not deleted, whatever the user allows.
#[test]
fn nothing_is_made_and_nothing_deleted() {
    let desired_now = moved(&[Want::new("s")]);
    assert!(followed(&Cloud::default(), &desired_now).is_empty());
    let cloud = applied(&[Want::new("s"), Want::new("gone")]);
    let all = PlanOptions { prune: true, sever_connections: true, destroy: false };
    let plan = only_targets(cloud.plan(&desired_now, all), &kinds());
    assert_eq!(plan.actions.len(), 1, "{:#?}", plan.actions);
    assert!(plan.left.is_empty());
}

#[test]
fn a_refused_service_is_left_alone() {
    let mut cloud = applied(&[Want::new("s"), Want::new("other")]);
    let stranger = cloud.live.iter_mut().find(|live| live.address.kind == "lb").unwrap();
    stranger.ownership = crate::resource::Ownership::Unproven { why: "it has no tag".to_owned(), mend: None };
    let plan = followed(&cloud, &moved(&[Want::new("s"), Want::new("other")]));
    let refused: Vec<_> = plan.refusals.iter().map(|refusal| refusal.rule).collect();
    assert_eq!(refused, [Rule::NotOurs]);
    let services: Vec<_> = plan.actions.iter().map(|action| action.address.service.as_str()).collect();
    assert_eq!(services, ["other"]);
}

/// A service whose targets are to be asked something else, by a group that is made beside the one that serves.
fn asked_else(at: u8) -> Desired {
    desired(&[Want { check: 2, at, ..Want::new("s") }])
}

fn ids(plan: &Plan) -> Vec<&str> {
    plan.actions.iter().map(|action| action.id.as_str()).collect()
}

/// The group that serves follows names until the one with the other check is in its place, whose turn does not wait for that.
#[test]
fn what_gives_way_for_its_check_follows_names_until_then() {
    let mut cloud = applied(&[Want::new("s")]);
    assert!(!ids(&cloud.plan(&asked_else(1), PlanOptions::default())).contains(&"update s/tg/5432@a"));
    let whole = cloud.plan(&asked_else(2), PlanOptions::default());
    let action = |id: &str| whole.action(id).unwrap_or_else(|| panic!("{id}: {whole:#?}"));
    let old = action("update s/tg/5432@a");
    let fields: Vec<_> = old.changes.iter().map(|change| &*change.field).collect();
    assert_eq!((fields, old.after.len()), (vec!["targets"], 0));
    assert!(action("delete s/tg/5432@a").after.contains(&old.id));
    assert_eq!(action("update s/listener/5432").after, ["create s/tg/5432@b"]);
    assert!(action("create s/tg/5432@b").after.is_empty());
    let plan = followed(&cloud, &asked_else(2));
    assert_eq!(ids(&plan), ["update s/tg/5432@a"]);
    cloud.apply(&plan, 1);
    assert!(followed(&cloud, &asked_else(2)).is_empty());

    // A run that stopped when the new one was there: both follow.
    let whole = cloud.plan(&asked_else(2), PlanOptions::default());
    let made = whole.actions.iter().position(|action| action.id == "create s/tg/5432@b").unwrap();
    cloud.apply(&whole, made + 1);
    let plan = followed(&cloud, &asked_else(3));
    assert_eq!(ids(&plan), ["update s/tg/5432", "update s/tg/5432@a"]);
    cloud.apply(&plan, 2);
    let rest = cloud.plan(&asked_else(3), PlanOptions::default());
    assert_eq!(ids(&rest), ["update s/listener/5432", "delete s/tg/5432@a"]);
    // Once it is in its place the other one is no more than left over.
    cloud.apply(&rest, 1);
    assert_eq!(ids(&followed(&cloud, &asked_else(4))), ["update s/tg/5432"]);
}

/// Another port has other targets: the old group goes as it is.
#[test]
fn what_gives_way_for_more_than_its_check_keeps_its_targets() {
    let cloud = applied(&[Want::new("s")]);
    let more = Want { ports: [(5432, 3306)].into(), check: 2, at: 2, ..Want::new("s") };
    assert!(followed(&cloud, &desired(&[more])).is_empty());
}
