//! What is being deleted when the plan is made: it is never taken for what is wanted, and nothing is refused for its sake.

use super::cloud::{Cloud, Want, desired};
use super::rules::{applied, rules};
use crate::accept::ConnectionState;
use crate::plan::{Plan, PlanOptions};
use crate::resource::Health;

const PLAIN: PlanOptions = PlanOptions { prune: false, sever_connections: false, destroy: false };

fn of_size(size: u8) -> Want {
    Want { size: Some(size), ..Want::new("s") }
}

fn is_going(cloud: &mut Cloud, kind: &str, letter: char) {
    let mut of_kind = cloud.live.iter_mut().filter(|live| {
        live.address.kind == kind && live.generation.is_some_and(|generation| generation.letter() == letter)
    });
    of_kind.next().expect("it is there").health = Health::Going { state: "Deleting".to_owned() };
}

fn ids(plan: &Plan) -> Vec<&str> {
    plan.actions.iter().map(|action| action.id.as_str()).collect()
}

/// A destroy that was stopped: the file as it was makes anew what is on its way out, when it has gone.
#[test]
fn what_is_being_deleted_is_made_anew_when_it_has_gone() {
    let mut cloud = applied(&[of_size(1)], Some(ConnectionState::Accepted));
    is_going(&mut cloud, "fleet", 'a');
    let target = desired(&[of_size(1)]);
    let plan = cloud.plan(&target, PLAIN);
    assert!(plan.refusals.is_empty(), "{:#?}", plan.refusals);
    assert_eq!(ids(&plan), ["delete s/fleet/main@a", "create s/fleet/main@a"]);
    assert!(plan.actions[0].reason.contains("being deleted"));
    assert_eq!(plan.actions[1].after, ["delete s/fleet/main@a"]);
    cloud.apply(&plan, plan.actions.len());
    assert!(cloud.plan(&target, PLAIN).is_empty());
}

/// A replacement was stopped while the old one was being deleted, and the file went back: the new one is replaced, whatever the old one is like.
#[test]
fn the_old_one_of_a_replacement_does_not_come_back() {
    let mut cloud = applied(&[of_size(1)], Some(ConnectionState::Accepted));
    let plan = cloud.plan(&desired(&[of_size(2)]), PLAIN);
    let until = plan.actions.iter().position(|action| action.id == "delete s/fleet/main@a");
    cloud.apply(&plan, until.expect("the old fleet goes"));
    is_going(&mut cloud, "fleet", 'a');
    let as_it_was = cloud.plan(&desired(&[of_size(2)]), PLAIN);
    assert_eq!(ids(&as_it_was), ["delete s/fleet/main@a", "delete s/template/main@a"]);
    let target = desired(&[of_size(1)]);
    let plan = cloud.plan(&target, PLAIN);
    assert!(plan.refusals.is_empty(), "{:#?}", plan.refusals);
    let at = |id: &str| {
        ids(&plan).iter().position(|found| *found == id).unwrap_or_else(|| panic!("{id}: {plan:#?}"))
    };
    assert!(at("delete s/fleet/main@a") < at("create s/fleet/main@a"));
    assert!(at("create s/fleet/main@a") < at("delete s/fleet/main@b"));
    cloud.apply(&plan, plan.actions.len());
    assert!(cloud.plan(&target, PLAIN).is_empty());
}

/// Without a successor the same deletion is refused while somebody is connected: of what is going there is nothing left to refuse.
#[test]
fn no_word_is_asked_for_what_goes_anyway() {
    let mut cloud = applied(&[Want::new("s")], Some(ConnectionState::Accepted));
    let gone = Want { remove: true, ..Want::new("s") };
    assert!(!rules(&cloud.plan(&desired(std::slice::from_ref(&gone)), PLAIN)).is_empty());
    let all: Vec<(String, char)> = cloud
        .live
        .iter()
        .map(|live| (live.address.kind.to_string(), live.generation.map_or('a', |letter| letter.letter())))
        .collect();
    for live in &mut cloud.live {
        live.health = Health::Going { state: "Deleting".to_owned() };
    }
    let plan = cloud.plan(&desired(&[gone]), PLAIN);
    assert!(plan.refusals.is_empty(), "{:#?}", plan.refusals);
    assert!(
        ids(&plan).iter().all(|id| id.starts_with("delete ")),
        "no decision is carried out on what goes: {plan:#?}"
    );
    assert_eq!(plan.actions.len(), all.len());
}
