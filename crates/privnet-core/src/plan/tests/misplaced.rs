//! What somebody took from the place that it was made for: its place is filled anew, and it goes with the word where somebody is connected.

use super::cloud::{Cloud, Want, desired, kinds};
use super::rules::{applied, rules};
use crate::accept::ConnectionState;
use crate::plan::{Op, Plan, PlanOptions, Rule, plan};
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
    planned_as(cloud, want, Some(&listener("5432")), options)
}

fn planned_as(cloud: &Cloud, want: &Want, proof: Option<&Address>, options: PlanOptions) -> Plan {
    let desired = desired(std::slice::from_ref(want));
    let mut world = cloud.world(&desired);
    let there = cloud.live.iter().filter(|live| live.address == listener("9000"));
    world.misplaced = there.map(|live| (live.id.clone(), proof.cloned())).collect();
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
        // Nothing else is to do then: a plan that finds that says it again, and is empty.
        let again = planned(&cloud, &Want::new("s"), PLAIN);
        assert!(again.is_empty() && again.refusals.is_empty(), "{again:#?}");
        assert!(again.warnings.iter().any(told), "{:?}", again.warnings);
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

/// What somebody put beside those of the file: without any proof, or with a copy of one.
#[test]
fn what_stands_beside_stays_and_holds_nothing_up() {
    let cloud = moved(Some(ConnectionState::Accepted), true);
    let more = Want { ports: [(5432, 5432), (5433, 5432)].into(), ..Want::new("s") };
    for proof in [None, Some(listener("5432"))] {
        for (want, wanted) in [(Want::new("s"), 0), (more.clone(), 1)] {
            let plan = planned_as(&cloud, &want, proof.as_ref(), PLAIN);
            assert_eq!(rules(&plan), [], "{plan:#?}");
            let made = plan.actions.iter().filter(|action| action.address == listener("5433")).count();
            assert_eq!(made, wanted, "{plan:#?}");
            assert!(plan.actions.iter().all(|action| action.op != Op::Delete), "{plan:#?}");
            assert!(plan.warnings.iter().any(|said| said.starts_with("s/listener/9000: copy stays")));
        }
        assert_eq!(ids(&planned_as(&cloud, &Want::new("s"), proof.as_ref(), SEVER)), [BOTH[1]]);
        let nobody = planned_as(&moved(None, true), &Want::new("s"), proof.as_ref(), PLAIN);
        assert_eq!(ids(&nobody), [BOTH[1]]);
    }
}

/// One whose place the file has no more is refused: its port is taken out, and that is an edit like any other.
#[test]
fn a_port_that_is_taken_out_is_refused_where_its_listener_was_moved() {
    let cloud = moved(Some(ConnectionState::Accepted), false);
    let plan = planned(&cloud, &Want { ports: [(5433, 5432)].into(), ..Want::new("s") }, PLAIN);
    assert!(plan.is_empty() && rules(&plan).contains(&(Rule::WouldSever, true)), "{plan:#?}");
}
