//! Properties that hold for every file, every state, and every point of interruption.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::cloud::{Cloud, Want, connection, desired, kinds};
use crate::accept::ConnectionState;
use crate::plan::{Plan, PlanOptions, plan};
use crate::value::Value;

const SEVER: PlanOptions = PlanOptions { prune: false, sever_connections: true, destroy: false };

fn wants() -> impl Strategy<Value = Vec<Want>> {
    let ports = prop::collection::btree_map(prop::sample::select(vec![1433u16, 3306, 5432]), 1u16..4, 1..4);
    let subnets = prop::collection::btree_set(1u8..4, 1..4);
    let one = (1u8..3, subnets, ports, 0u8..2, prop::bool::weighted(0.1), prop::option::of(1u8..3));
    prop::collection::vec(one, 1..4).prop_map(|services| {
        let named =
            services.into_iter().enumerate().map(|(index, (vpc, subnets, ports, title, remove, size))| {
                Want {
                    name: format!("s{index}"),
                    vpc,
                    subnets,
                    ports,
                    title,
                    remove,
                    tls: title == 1,
                    header: title == 1,
                    size,
                    check: vpc,
                    at: title + 1,
                }
            });
        named.collect()
    })
}

/// Services that differ from each other in what may change while consumers are connected.
fn serving() -> impl Strategy<Value = Vec<Want>> {
    let one = (prop::collection::vec(1u16..5, 2), 1u8..5, 1u8..3, 1u8..3);
    prop::collection::vec(one, 2).prop_map(|services| {
        let named = services.into_iter().enumerate().map(|(index, (ports, size, check, at))| Want {
            ports: [1433, 5432].into_iter().zip(ports).collect(),
            size: Some(size),
            check,
            at,
            ..Want::new(&format!("s{index}"))
        });
        named.collect()
    })
}

fn whole(plan: &Plan) -> usize {
    plan.actions.len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// After an apply, planning again gives nothing; the order in which the cloud lists things, and members of sets, is no difference.
    #[test]
    fn an_apply_converges(first in wants(), second in wants()) {
        let mut cloud = Cloud::default();
        for wants in [first, second] {
            let desired = desired(&wants);
            let plan = cloud.plan(&desired, SEVER);
            let grow: Vec<_> = plan.refusals.iter().map(|refusal| refusal.address.service.clone()).collect();
            prop_assert!(grow.is_empty(), "{:?}", plan.refusals);
            cloud.apply(&plan, whole(&plan));
            let again = cloud.plan(&desired, SEVER);
            prop_assert!(again.is_empty(), "{:#?}", again.actions);
            cloud.live.reverse();
            cloud.reverse_sets();
            prop_assert!(cloud.plan(&desired, SEVER).is_empty());
        }
    }

    /// A run that stops after any number of actions is mended by the next one: the same end, nothing left over.
    #[test]
    fn a_crash_is_mended(first in wants(), second in wants(), stop in 0usize..40, again in 0usize..40) {
        let mut cloud = Cloud::default();
        let start = desired(&first);
        let plan = cloud.plan(&start, SEVER);
        cloud.apply(&plan, whole(&plan));
        let target = desired(&second);
        let mut straight = cloud.clone();
        let plan = straight.plan(&target, SEVER);
        straight.apply(&plan, whole(&plan));
        for stop in [stop, again] {
            let plan = cloud.plan(&target, SEVER);
            cloud.apply(&plan, stop.min(whole(&plan)));
        }
        let plan = cloud.plan(&target, SEVER);
        cloud.apply(&plan, whole(&plan));
        prop_assert!(cloud.plan(&target, SEVER).is_empty());
        prop_assert_eq!(cloud.shape(), straight.shape());
    }

    /// A crash in one change, then another edit of the file: it still converges.
    #[test]
    fn an_edit_after_a_crash_converges(edits in prop::collection::vec((wants(), 0usize..40), 1..5)) {
        let mut cloud = Cloud::default();
        let mut last = None;
        for (wants, stop) in edits {
            let desired = desired(&wants);
            let plan = cloud.plan(&desired, SEVER);
            cloud.apply(&plan, stop.min(whole(&plan)));
            last = Some(desired);
        }
        let desired = last.unwrap();
        let plan = cloud.plan(&desired, SEVER);
        cloud.apply(&plan, whole(&plan));
        prop_assert!(cloud.plan(&desired, SEVER).is_empty());
    }

    /// While consumers are connected, edits that cut nobody never take away what serves, wherever runs stop, each in the middle of what
    /// it does, and however often the file is corrected meanwhile; and they end where a straight apply does.
    #[test]
    fn what_serves_stays_over_crashes_and_edits(
        first in serving(),
        edits in prop::collection::vec((serving(), 0usize..14), 1..7),
    ) {
        let mut cloud = Cloud::default();
        let start = desired(&first);
        let plan = cloud.plan(&start, PlanOptions::default());
        cloud.apply(&plan, whole(&plan));
        for want in &first {
            cloud.connections.insert(want.name.clone(), vec![connection("vpce-1", ConnectionState::Accepted)]);
        }
        let mut last = start;
        for (wants, stop) in edits {
            last = desired(&wants);
            let plan = cloud.plan(&last, PlanOptions::default());
            prop_assert!(plan.refusals.is_empty(), "{:#?}", plan.refusals);
            cloud.apply_partly(&plan, stop);
        }
        let plan = cloud.plan(&last, PlanOptions::default());
        prop_assert!(plan.refusals.is_empty(), "{:#?}", plan.refusals);
        cloud.apply_partly(&plan, whole(&plan));
        let again = cloud.plan(&last, PlanOptions::default());
        prop_assert!(again.is_empty(), "{:#?}", again.actions);
        let mut straight = Cloud::default();
        let plan = straight.plan(&last, PlanOptions::default());
        straight.apply(&plan, whole(&plan));
        prop_assert_eq!(cloud.shape(), straight.shape());
    }

    /// Destroy leaves nothing, whatever was there and wherever it stopped.
    #[test]
    fn destroy_leaves_nothing(wants in wants(), stop in 0usize..40) {
        let mut cloud = Cloud::default();
        let start = desired(&wants);
        let plan = cloud.plan(&start, SEVER);
        cloud.apply(&plan, stop.min(whole(&plan)));
        let mut nothing = start;
        nothing.resources.clear();
        let plan = cloud.plan(&nothing, PlanOptions { destroy: true, ..SEVER });
        cloud.apply(&plan, whole(&plan));
        prop_assert!(cloud.live.is_empty());
    }

    /// Every action comes after things that stand before it: there is no circle.
    #[test]
    fn no_circle(first in wants(), second in wants(), stop in 0usize..40) {
        let mut cloud = Cloud::default();
        let start = desired(&first);
        let plan = cloud.plan(&start, SEVER);
        cloud.apply(&plan, stop.min(whole(&plan)));
        let plan = cloud.plan(&desired(&second), SEVER);
        let mut seen = BTreeSet::new();
        for action in &plan.actions {
            for before in &action.after {
                prop_assert!(seen.contains(before), "{} comes after {before}", action.id);
            }
            prop_assert!(seen.insert(action.id.clone()), "{} stands twice", action.id);
        }
    }

    /// A saved plan reads back equal, and planning twice gives the same plan.
    #[test]
    fn a_saved_plan_reads_back_equal(first in wants(), second in wants()) {
        let mut cloud = Cloud::default();
        let start = desired(&first);
        let plan_one = cloud.plan(&start, SEVER);
        cloud.apply(&plan_one, whole(&plan_one));
        let target = desired(&second);
        for options in [PlanOptions::default(), SEVER] {
            let plan = cloud.plan(&target, options);
            let json = serde_json::to_string(&plan).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Plan>(&json).unwrap(), &plan);
            prop_assert_eq!(cloud.plan(&target, options), plan);
        }
    }

    /// Planning is total: whatever nonsense is observed and referred to, it returns.
    #[test]
    fn planning_is_total(wants in wants(), picks in prop::collection::vec((0usize..40, 0usize..40, 0u8..6), 0..20)) {
        let mut cloud = Cloud::default();
        let mut wanted = desired(&wants);
        let first = cloud.plan(&wanted, SEVER);
        cloud.apply(&first, whole(&first));
        let mut world = cloud.world(&wanted);
        for (one, two, how) in picks {
            let live = world.live.len().max(1);
            let resources = wanted.resources.len().max(1);
            match how {
                0 => { let copy = world.live.get(one % live).cloned(); world.live.extend(copy); }
                1 => { if let Some(live) = world.live.iter_mut().nth(one % live) { live.outputs.clear(); } }
                2 => { if let Some(live) = world.live.iter_mut().nth(one % live) { live.fields = BTreeMap::new(); } }
                3 => {
                    let address = wanted.resources.get(two % resources).map(|r| r.address.clone());
                    if let (Some(address), Some(r)) = (address, wanted.resources.get_mut(one % resources)) {
                        r.fields.insert("lb".to_owned(), Value::output(&address, "id"));
                    }
                }
                4 => { world.services.pop_first(); }
                _ => { if let Some(live) = world.live.iter_mut().nth(one % live) { live.address.kind = "unheard-of".into(); } }
            }
        }
        let plan = plan(&wanted, &world, &kinds(), SEVER);
        prop_assert_eq!(serde_json::from_str::<Plan>(&serde_json::to_string(&plan).unwrap()).unwrap(), plan);
    }
}
