//! A service that is in a place that no service of the file names, and not where the file puts it.

use super::cloud::{Cloud, Want, desired, kinds};
use crate::plan::{Plan, PlanOptions, Refusal, Rule, SEVER, plan};
use crate::world::Elsewhere;

const WITH_THE_WORD: PlanOptions = PlanOptions { prune: false, sever_connections: true, destroy: false };
const DESTROY: PlanOptions = PlanOptions { prune: false, sever_connections: false, destroy: true };

fn found(is_listed: bool) -> Elsewhere {
    Elsewhere::Found { place: "toyland-2".to_owned(), what: "the service svc-7".to_owned(), is_listed }
}

/// A plan of `orders` and `stays`, of which `orders` was looked for at other places.
fn planned(cloud: &Cloud, orders: Want, seen: Elsewhere, options: PlanOptions) -> Plan {
    let mut wanted = desired(&[orders, Want::new("stays")]);
    if options.destroy {
        wanted.resources.clear();
    }
    let mut world = cloud.world(&wanted);
    world.elsewhere.insert("orders".to_owned(), seen);
    plan(&wanted, &world, &kinds(), options)
}

#[test]
fn it_is_made_anew_with_the_word_only() {
    let cloud = Cloud::default();
    let plan = planned(&cloud, Want::new("orders"), found(false), PlanOptions::default());
    let [Refusal { address, rule: Rule::HandOver, why, flag: Some(flag) }] = plan.refusals.as_slice() else {
        panic!("{:#?}", plan.refusals)
    };
    assert_eq!((address.to_string().as_str(), flag.as_str()), ("orders/svc/main", SEVER));
    for said in ["it is in toyland-2 already, as the service svc-7", "its old place again", "`remove: true`"]
    {
        assert!(why.contains(said), "{why}");
    }
    assert!(!plan.is_empty() && plan.actions.iter().all(|action| action.address.service == "stays"));
    let plan = planned(&cloud, Want::new("orders"), found(false), WITH_THE_WORD);
    assert!(plan.refusals.is_empty() && plan.actions.iter().any(|one| one.address.service == "orders"));
}

/// Parts may be left here of one that went: until what is handed over is here, the word is said again.
#[test]
fn the_word_is_needed_until_what_is_handed_over_is_here() {
    let mut cloud = Cloud::default();
    let begun = planned(&cloud, Want::new("orders"), found(false), WITH_THE_WORD);
    let made =
        begun.actions.iter().position(|action| action.address.to_string() == "orders/svc/main").unwrap();
    let mut half = cloud.clone();
    half.apply(&begun, made);
    assert!(half.live.iter().any(|live| live.address.service == "orders"), "something is there");
    let plan = planned(&half, Want::new("orders"), found(false), PlanOptions::default());
    assert_eq!(plan.refusals.len(), 1, "{:#?}", plan.refusals);
    cloud.apply(&begun, made + 1);
    let plan = planned(&cloud, Want::new("orders"), found(false), PlanOptions::default());
    assert!(plan.refusals.is_empty(), "{:#?}", plan.refusals);
}

#[test]
fn a_destroy_and_a_tombstone_say_that_it_stays() {
    let cloud = Cloud::default();
    let tombstone = Want { remove: true, ..Want::new("orders") };
    for (want, options) in [(Want::new("orders"), DESTROY), (tombstone, PlanOptions::default())] {
        let plan = planned(&cloud, want, found(false), options);
        assert!(plan.refusals.is_empty(), "{:#?}", plan.refusals);
        let told = |said: &String| said.starts_with("orders: it is in toyland-2, as the service svc-7");
        assert_eq!(plan.warnings.iter().filter(|said| told(said)).count(), 1, "{:#?}", plan.warnings);
    }
}

/// The file has something else in that place: a look at all of it would find two of one name.
#[test]
fn no_word_makes_a_second_one_where_the_file_would_find_the_first() {
    for options in [PlanOptions::default(), WITH_THE_WORD] {
        let plan = planned(&Cloud::default(), Want::new("orders"), found(true), options);
        let [Refusal { rule: Rule::HandOver, why, flag: None, .. }] = plan.refusals.as_slice() else {
            panic!("{:#?}", plan.refusals)
        };
        assert!(!why.contains(SEVER), "{why}");
    }
}

/// It is told where something is made, and where something is to go: whoever finds nothing there would take it for gone.
#[test]
fn what_could_not_be_seen_is_told_where_it_matters() {
    let told = |orders: Want, options| {
        let unseen = Elsewhere::Unseen { why: "toyland-2: no answer".to_owned() };
        let plan = planned(&Cloud::default(), orders, unseen, options);
        assert!(plan.refusals.is_empty(), "{:#?}", plan.refusals);
        let said = |said: &&String| {
            said.starts_with("orders: whether it is in another place already is not seen: toyland-2")
        };
        plan.warnings.iter().filter(said).count()
    };
    assert_eq!(told(Want::new("orders"), PlanOptions::default()), 1);
    assert_eq!(told(Want::new("orders"), DESTROY), 1);
    assert_eq!(told(Want { remove: true, ..Want::new("orders") }, PlanOptions::default()), 1);
}
