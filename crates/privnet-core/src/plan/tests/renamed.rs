//! A service whose name was edited is known by what it serves; one that serves something else is another.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::cloud::{Cloud, Want, connection, desired};
use crate::accept::ConnectionState;
use crate::plan::{Op, Plan, PlanOptions, Refusal, Rule, SEVER};
use crate::resource::{Health, Origin};
use crate::value::Value;
use crate::world::Desired;

const WITH_THE_WORD: PlanOptions = PlanOptions { prune: false, sever_connections: true, destroy: false };
const PRUNED: PlanOptions = PlanOptions { prune: true, sever_connections: false, destroy: false };

fn applied(wants: &[Want]) -> Cloud {
    let mut cloud = Cloud::default();
    let plan = cloud.plan(&desired(wants), PlanOptions::default());
    assert!(plan.refusals.is_empty(), "{:#?}", plan.refusals);
    cloud.apply(&plan, plan.actions.len());
    cloud
}

/// The services that are refused because they look like others.
fn renamed(plan: &Plan) -> BTreeSet<String> {
    let hand_over = plan.refusals.iter().filter(|one| one.rule == Rule::HandOver);
    hand_over.map(|one| one.address.service.clone()).collect()
}

fn wants(name: &'static str) -> impl Strategy<Value = Want> {
    let ports = prop::collection::btree_map(prop::sample::select(vec![1433u16, 3306, 5432]), 1u16..3, 1..3);
    (1u8..3, ports, 1u8..3, prop::option::of(1u8..3), 0u8..2, prop::bool::ANY).prop_map(
        move |(vpc, ports, at, size, title, tls)| Want {
            vpc,
            ports,
            at,
            size,
            title,
            tls,
            ..Want::new(name)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A service of the same targets as one that is not listed any more is refused, with whatever settings; one of others never is. With the
    /// word it is made, and the other one is left, as it is where they have nothing in common.
    #[test]
    fn the_same_targets_are_refused_and_others_never(old in wants("old"), new in wants("new"), stays in wants("stays")) {
        let cloud = applied(&[old.clone(), stays.clone()]);
        let same = (old.vpc, &old.ports, old.at) == (new.vpc, &new.ports, new.at);
        let edited = desired(&[new, stays]);
        let plan = cloud.plan(&edited, PlanOptions::default());
        prop_assert_eq!(renamed(&plan), same.then(|| "new".to_owned()).into_iter().collect());
        prop_assert_eq!(plan.is_empty(), same);
        prop_assert_eq!(plan.left.len(), 1);
        let mut with_the_word = cloud;
        let plan = with_the_word.plan(&edited, WITH_THE_WORD);
        prop_assert!(plan.refusals.is_empty() && plan.left.len() == 1, "{:#?}", plan.refusals);
        prop_assert!(plan.actions.iter().all(|action| action.op == Op::Create && action.address.service == "new"));
        // One that a run which was cut short began is there: the next run without the word finishes it.
        with_the_word.apply(&plan, 1);
        let rest = with_the_word.plan(&edited, PlanOptions::default());
        prop_assert!(rest.refusals.is_empty(), "{:#?}", rest.refusals);
        with_the_word.apply(&rest, rest.actions.len());
        prop_assert!(with_the_word.plan(&edited, PlanOptions::default()).is_empty());
    }
}

#[test]
fn a_refusal_says_what_to_do() {
    let cloud = applied(&[Want::new("orders")]);
    let plan = cloud.plan(&desired(&[Want::new("orders2")]), PlanOptions::default());
    let [Refusal { address, rule: Rule::HandOver, why, flag: Some(flag) }] = plan.refusals.as_slice() else {
        panic!("{:#?}", plan.refusals)
    };
    assert_eq!((address.to_string().as_str(), flag.as_str()), ("orders2/svc/main", SEVER));
    assert!(!why.contains("more stands in its way"), "{why}");
    for said in ["`orders` was renamed", "Keep the name `orders`", "`remove: true`"] {
        assert!(why.contains(said), "{why}");
    }
}

/// Who says in words that the old one goes knows that there are two.
#[test]
fn a_tombstone_and_prune_say_that_the_old_one_goes() {
    let cloud = applied(&[Want::new("orders")]);
    let tombstone = Want { remove: true, ..Want::new("orders") };
    let listed = cloud.plan(&desired(&[Want::new("orders2"), tombstone]), PlanOptions::default());
    let pruned = cloud.plan(&desired(&[Want::new("orders2")]), PRUNED);
    for plan in [listed, pruned] {
        assert!(plan.refusals.is_empty() && plan.left.is_empty(), "{:#?}", plan.refusals);
        assert!(plan.summary.create > 0 && plan.summary.delete > 0);
    }
    // What somebody is connected to does not go for that.
    let mut connected = cloud;
    connected.connections.insert("orders".to_owned(), vec![connection("vpce-1", ConnectionState::Accepted)]);
    let plan = connected.plan(&desired(&[Want::new("orders2")]), PRUNED);
    assert!(plan.refusals.iter().all(|one| one.address.service == "orders"), "{:#?}", plan.refusals);
}

#[test]
fn what_is_not_sure_is_not_refused() {
    let cloud = applied(&[Want::new("orders")]);
    let edited = |change: &dyn Fn(&mut Cloud, &mut Desired)| {
        let (mut cloud, mut wanted) = (cloud.clone(), desired(&[Want::new("orders2")]));
        change(&mut cloud, &mut wanted);
        renamed(&cloud.plan(&wanted, PlanOptions::default()))
    };
    assert!(!edited(&|_, _| {}).is_empty());
    let without_targets = |fields: &mut BTreeMap<String, Value>| {
        if fields.contains_key("targets") {
            fields.insert("targets".to_owned(), Value::list([]));
        }
    };
    let nowhere = edited(&|cloud, wanted| {
        cloud.live.iter_mut().for_each(|live| without_targets(&mut live.fields));
        wanted.resources.iter_mut().for_each(|part| without_targets(&mut part.fields));
    });
    assert!(nowhere.is_empty(), "both lead nowhere");
    let elsewhere = edited(&|cloud, _| {
        cloud.live.iter_mut().for_each(|live| live.scope.0 = "toy/2".to_owned());
    });
    assert!(elsewhere.is_empty(), "in another place");
    let going = edited(&|cloud, _| {
        let svc = cloud.live.iter_mut().find(|live| live.address.kind == "svc").unwrap();
        svc.health = Health::Going { state: "Deleting".to_owned() };
    });
    assert!(going.is_empty(), "what was handed over is being deleted");
    let gone = edited(&|cloud, _| cloud.live.retain(|live| live.address.kind != "svc"));
    assert!(gone.is_empty(), "what was handed over is gone");
    let less = edited(&|cloud, _| cloud.live.retain(|live| live.address.kind != "tg"));
    assert!(less.is_empty(), "what it served is not known");
    let supplied = edited(&|_, wanted| {
        let svc = wanted.resources.iter_mut().find(|part| part.address.kind == "svc").unwrap();
        svc.origin = Origin::Supplied;
    });
    assert!(supplied.is_empty(), "what is handed over is the user's own");
}

/// What is left of the old one stands in the way of the new one: that is no second thing to mend.
#[test]
fn what_stands_in_the_way_because_of_it_is_not_said_beside_it() {
    let cloud = applied(&[Want::new("orders")]);
    let mut wanted = desired(&[Want::new("orders2")]);
    let overlap = |rule| Refusal {
        address: wanted.services["orders2"].exposed.clone(),
        rule,
        why: "the range overlaps".to_owned(),
        flag: None,
    };
    let (unsuitable, unobserved) = (overlap(Rule::Unsuitable), overlap(Rule::Unobserved));
    wanted.refusals = vec![unsuitable.clone()];
    let plan = cloud.plan(&wanted, PlanOptions::default());
    assert_eq!(plan.refusals.len(), 1, "{:#?}", plan.refusals);
    assert_eq!(renamed(&plan).len(), 1);
    assert!(plan.refusals[0].why.contains("more stands in its way then"), "{}", plan.refusals[0].why);
    assert_eq!(plan.refusals[0].flag, None, "a word that would be in vain is not asked for");
    assert_eq!(cloud.plan(&wanted, WITH_THE_WORD).refusals, [unsuitable]);
    wanted.refusals = vec![unobserved.clone()];
    assert_eq!(cloud.plan(&wanted, PlanOptions::default()).refusals, [unobserved], "it may be there");
}
