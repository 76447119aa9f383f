//! What somebody took from the place that it was made for: its place is filled anew, and it goes with the word where somebody is connected.

use super::cloud::{Cloud, Want, desired, kinds};
use super::rules::{applied, rules};
use crate::accept::ConnectionState;
use crate::plan::{Plan, PlanOptions, Rule, plan};
use crate::resource::Address;

const PLAIN: PlanOptions = PlanOptions { prune: false, sever_connections: false, destroy: false };
const SEVER: PlanOptions = PlanOptions { sever_connections: true, ..PLAIN };

fn listener(port: &str) -> Address {
    Address::new("s", "listener", port)
}

/// A cloud whose listener of port 5432 is on port 9000 by now; the other one, where there is one, is on its own.
fn moved(state: Option<ConnectionState>, copied: bool) -> Cloud {
    let mut cloud = applied(&[Want::new("s")], state);
    let at = cloud.live.iter().position(|live| live.address == listener("5432")).expect("it is there");
    let mut elsewhere = cloud.live[at].clone();
    elsewhere.address = listener("9000");
    if copied {
        elsewhere.id = "copy".to_owned();
        cloud.live.push(elsewhere);
    } else {
        cloud.live[at] = elsewhere;
    }
    cloud
}

fn planned(cloud: &Cloud, want: &Want, options: PlanOptions) -> Plan {
    let desired = desired(std::slice::from_ref(want));
    let mut world = cloud.world(&desired);
    let there = cloud.live.iter().filter(|live| live.address == listener("9000"));
    world.misplaced = there.map(|live| (live.id.clone(), listener("5432"))).collect();
    plan(&desired, &world, &kinds(), options)
}

fn ids(plan: &Plan) -> Vec<&str> {
    plan.actions.iter().map(|action| action.id.as_str()).collect()
}

const BOTH: [&str; 2] = ["create s/listener/5432@a", "delete s/listener/9000@a"];

#[test]
fn its_place_is_filled_anew_and_it_stays_until_the_word() {
    for state in [ConnectionState::Accepted, ConnectionState::NeedsAttention, ConnectionState::Changing] {
        let mut cloud = moved(Some(state), false);
        assert_eq!(ids(&planned(&cloud, &Want::new("s"), SEVER)), BOTH);
        let plan = planned(&cloud, &Want::new("s"), PLAIN);
        assert_eq!((rules(&plan), ids(&plan)), (vec![], vec![BOTH[0]]), "{plan:#?}");
        let told =
            |warning: &String| warning.starts_with("s/listener/9000") && warning.contains("would cut 1");
        assert!(plan.warnings.iter().any(told), "{:?}", plan.warnings);
        cloud.apply(&plan, 1);
        let again = planned(&cloud, &Want::new("s"), PLAIN);
        assert_eq!((rules(&again), ids(&again)), (vec![(Rule::WouldSever, true)], vec![]), "{again:#?}");
        assert_eq!(again.refusals[0].address, listener("9000"));
        assert!(again.refusals[0].why.contains("s/listener/5432"), "{}", again.refusals[0].why);
        let forced = planned(&cloud, &Want::new("s"), SEVER);
        assert_eq!(ids(&forced), [BOTH[1]]);
    }
}

#[test]
fn with_nobody_connected_it_goes_at_once() {
    for state in [None, Some(ConnectionState::Pending)] {
        let plan = planned(&moved(state, false), &Want::new("s"), PLAIN);
        assert_eq!((rules(&plan), ids(&plan)), (vec![], BOTH.to_vec()), "{plan:#?}");
    }
}

/// Beside another edit that cuts, and one that takes something else away, all of it waits.
#[test]
fn nothing_is_done_by_halves() {
    let cloud = moved(Some(ConnectionState::Accepted), false);
    let edits = [
        Want { subnets: [1].into(), ..Want::new("s") },
        Want { ports: [(5432, 5433)].into(), ..Want::new("s") },
        Want { title: 1, ..Want::new("s") },
    ];
    for want in edits {
        let plan = planned(&cloud, &want, PLAIN);
        assert!(plan.is_empty() && !plan.refusals.is_empty(), "{want:?}: {plan:#?}");
    }
    let destroy = PlanOptions { destroy: true, ..PLAIN };
    let none = Want { remove: true, ..Want::new("s") };
    for plan in [planned(&cloud, &none, PLAIN), planned(&cloud, &none, destroy)] {
        assert!(plan.is_empty() && !plan.refusals.is_empty(), "{plan:#?}");
    }
}

#[test]
fn a_copy_beside_the_one_in_its_place_is_refused() {
    let cloud = moved(Some(ConnectionState::Accepted), true);
    let plan = planned(&cloud, &Want::new("s"), PLAIN);
    assert_eq!((rules(&plan), ids(&plan)), (vec![(Rule::WouldSever, true)], vec![]), "{plan:#?}");
    assert_eq!(ids(&planned(&moved(None, true), &Want::new("s"), PLAIN)), [BOTH[1]]);
}
