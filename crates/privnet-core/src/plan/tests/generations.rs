//! Two generations of which neither will do: the one that serves stays until the third one is there.

use std::collections::BTreeMap;

use super::cloud::{Cloud, Want, desired};
use super::rules::{applied, rules};
use crate::accept::ConnectionState;
use crate::plan::{Op, Plan, PlanOptions, Rule};
use crate::value::Value;

const PLAIN: PlanOptions = PlanOptions { prune: false, sever_connections: false, destroy: false };
const WORD: PlanOptions = PlanOptions { sever_connections: true, ..PLAIN };

fn to_port(port: u16) -> Want {
    Want { ports: BTreeMap::from([(5432, port)]), ..Want::new("s") }
}

fn of_size(name: &str, size: u8) -> Want {
    Want { size: Some(size), ..Want::new(name) }
}

/// Applies up to the action of this id, and begins that.
fn apply_until(cloud: &mut Cloud, wants: &[Want], stop: &str) {
    let plan = cloud.plan(&desired(wants), PLAIN);
    let at = plan.actions.iter().position(|action| action.id == stop);
    cloud.apply_partly(&plan, at.unwrap_or_else(|| panic!("{stop} is not in {plan:#?}")));
}

fn ids(plan: &Plan) -> Vec<&str> {
    plan.actions.iter().map(|action| action.id.as_str()).collect()
}

/// A listener that has a group checked sends it nothing: that one makes room, and the listener lets go of it first.
#[test]
fn a_group_that_is_only_checked_goes_before_the_one_that_serves() {
    let mut cloud = applied(&[to_port(5432)], Some(ConnectionState::Accepted));
    let plan = cloud.plan(&desired(&[to_port(5433)]), PLAIN);
    cloud.apply(&plan, plan.actions.len());
    apply_until(&mut cloud, &[to_port(5434)], "update s/listener/5432");

    let target = desired(&[to_port(5435)]);
    let plan = cloud.plan(&target, PLAIN);
    assert!(plan.refusals.is_empty(), "{:#?}", plan.refusals);
    let order = [
        "update s/listener/5432 also",
        "delete s/tg/5432@a",
        "create s/tg/5432@a",
        "update s/listener/5432",
        "delete s/tg/5432@b",
    ];
    assert_eq!(ids(&plan), order);
    cloud.apply_partly(&plan, plan.actions.len());
    assert!(cloud.plan(&target, PLAIN).is_empty());
}

/// A template is version 2 as every other one: no fleet goes because somebody else's template does, nor one of another template.
#[test]
fn what_has_the_same_version_does_not_go_with_it() {
    let both = |size| [of_size("s", size), of_size("t", 1)];
    let mut cloud = applied(&both(1), Some(ConnectionState::Accepted));
    let plan = cloud.plan(&desired(&both(2)), PLAIN);
    assert_eq!(plan.actions[0].id, "create s/template/main@b");
    cloud.apply_partly(&plan, 0);
    cloud.apply(&plan, 1);

    let plan = cloud.plan(&desired(&both(3)), PLAIN);
    let order = [
        "delete s/template/main@b",
        "create s/template/main@b",
        "create s/fleet/main@b",
        "delete s/fleet/main@a",
        "delete s/template/main@a",
    ];
    assert_eq!(ids(&plan), order);
    cloud.apply_partly(&plan, plan.actions.len());
    assert!(cloud.plan(&desired(&both(3)), PLAIN).is_empty());
}

/// A fleet that is drained goes first, whatever its letter; the one that serves stays, and so does its template.
#[test]
fn a_drained_fleet_makes_room() {
    for stop in ["delete s/fleet/main@a", "create s/fleet/main@b"] {
        let mut cloud = applied(&[of_size("s", 1)], Some(ConnectionState::Accepted));
        apply_until(&mut cloud, &[of_size("s", 2)], stop);
        let (serving, idle) = if stop.starts_with("delete") { ("b", "a") } else { ("a", "b") };
        let plan = cloud.plan(&desired(&[of_size("s", 3)]), PLAIN);
        let goes = |kind: &str, letter: &str| format!("delete s/{kind}/main@{letter}");
        let order = [
            goes("fleet", idle),
            goes("template", idle),
            format!("create s/template/main@{idle}"),
            format!("create s/fleet/main@{idle}"),
            goes("fleet", serving),
            goes("template", serving),
        ];
        assert_eq!(ids(&plan), order, "{stop}");
        cloud.apply_partly(&plan, plan.actions.len());
    }
}

/// Where it cannot be told which of two serves, neither goes without the word; where nobody is connected it does not matter.
#[test]
fn what_may_serve_does_not_make_room_without_the_word() {
    let mut cloud = applied(&[of_size("s", 1)], Some(ConnectionState::Accepted));
    apply_until(&mut cloud, &[of_size("s", 2)], "create s/fleet/main@b");
    for fleet in cloud.live.iter_mut().filter(|live| live.address.kind == "fleet") {
        fleet.fields.insert("since".to_owned(), Value::Null);
    }
    let target = desired(&[of_size("s", 3)]);
    let plan = cloud.plan(&target, PLAIN);
    assert!(plan.is_empty(), "{:#?}", plan.actions);
    assert!(rules(&plan).contains(&(Rule::WouldSever, true)), "{:#?}", plan.refusals);
    let why = &plan.refusals.iter().find(|refusal| refusal.address.kind == "fleet").unwrap().why;
    assert!(why.contains("it serves, as far as can be told") && why.contains("vpce-1"), "{why}");

    assert!(cloud.plan(&target, WORD).actions.iter().any(|action| action.op == Op::Delete));
    cloud.connections.clear();
    let plan = cloud.plan(&target, PLAIN);
    assert!(plan.refusals.is_empty(), "{:#?}", plan.refusals);
    cloud.apply(&plan, plan.actions.len());
    assert!(cloud.plan(&target, PLAIN).is_empty());
}

/// Two runs that were cut short left two fleets, and both hold what makes room for something new: each lets go by an action of its own.
#[test]
fn two_that_let_go_of_the_same_have_actions_of_their_own() {
    let one = |vpc: u8, ports: &[(u16, u16)]| Want {
        vpc,
        subnets: [1].into(),
        ports: ports.iter().copied().collect(),
        ..Want::new("s0")
    };
    let sized = |size: u8, want: Want| Want { size: Some(size), ..want };
    let second =
        Want { title: 1, tls: true, header: true, check: 2, at: 2, ..one(2, &[(1433, 1), (5432, 2)]) };
    let edits = [
        (sized(2, one(1, &[(5432, 1)])), 8),
        (sized(1, second), 10),
        (one(1, &[(1433, 1)]), 5),
        (Want { check: 2, ..one(2, &[(1433, 2), (5432, 1)]) }, 3),
    ];
    let mut cloud = Cloud::default();
    let mut last = desired(&[]);
    for (want, stop) in edits {
        last = desired(&[want]);
        let plan = cloud.plan(&last, WORD);
        let unique: std::collections::BTreeSet<&str> =
            plan.actions.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(unique.len(), plan.actions.len(), "{:#?}", plan.actions);
        cloud.apply(&plan, stop.min(plan.actions.len()));
    }
    let plan = cloud.plan(&last, WORD);
    cloud.apply(&plan, plan.actions.len());
    assert!(cloud.plan(&last, WORD).is_empty());
}
