//! What a provider refuses until the word is said, beside what the tables refuse.

use std::collections::{BTreeMap, BTreeSet};

use super::cloud::{Cloud, Want, desired};
use super::rules::{applied, rules};
use crate::accept::ConnectionState;
use crate::plan::{PlanOptions, Refusal, Rule, SEVER};
use crate::resource::Address;
use crate::world::Desired;

const WORD: PlanOptions = PlanOptions { prune: false, sever_connections: true, destroy: false };

/// Two services, one of them with a consumer.
fn two() -> (Cloud, Want, Want) {
    let (first, second) = (Want::new("s"), Want::new("t"));
    let mut cloud = applied(&[first.clone(), second.clone()], Some(ConnectionState::Accepted));
    cloud.connections.remove("t");
    (cloud, first, second)
}

fn refused(desired: &mut Desired, kind: &'static str, name: &str, flag: Option<&str>) {
    desired.refusals.push(Refusal {
        address: Address::new("s", kind, name),
        rule: Rule::WouldSever,
        why: "the database's way closes".to_owned(),
        flag: flag.map(str::to_owned),
    });
}

#[test]
fn all_that_the_word_lifts_is_said_before_the_word() {
    let (cloud, first, second) = two();
    let first = Want { ports: BTreeMap::from([(3306, 3306)]), title: 1, ..first };
    let second = Want { tls: true, ..second };
    let mut desired = desired(&[first, second]);
    refused(&mut desired, "rule", "db", Some(SEVER));
    let plan = cloud.plan(&desired, PlanOptions::default());
    let of_tables = cloud.plan(&Desired { refusals: Vec::new(), ..desired.clone() }, PlanOptions::default());
    assert!(
        !of_tables.refusals.is_empty() && of_tables.refusals.iter().all(|one| one.address.service == "s")
    );
    assert_eq!(plan.refusals[0].why, "the database's way closes");
    assert_eq!(plan.refusals[1..], of_tables.refusals, "as if the provider had refused nothing");

    let touched: BTreeSet<&str> = plan.actions.iter().map(|action| action.address.service.as_str()).collect();
    assert_eq!(touched, BTreeSet::from(["t"]), "nothing of a refused service is done");
    let lifted = cloud.plan(&desired, WORD);
    assert!(lifted.refusals.is_empty(), "{:#?}", lifted.refusals);
    assert!(lifted.actions.iter().any(|action| action.address.service == "s"));
}

/// The refusal of a provider alone holds back a service whose tables have no objection.
#[test]
fn a_provider_holds_back_what_the_tables_allow() {
    let (cloud, first, second) = two();
    let first = Want { subnets: BTreeSet::from([1, 2, 3]), ..first };
    let mut desired = desired(&[first, second]);
    assert!(!cloud.plan(&desired, PlanOptions::default()).is_empty());
    refused(&mut desired, "rule", "db", Some(SEVER));
    let plan = cloud.plan(&desired, PlanOptions::default());
    assert_eq!((rules(&plan), plan.actions), (vec![(Rule::WouldSever, true)], Vec::new()));
}

/// Where no word helps, what words would be needed besides is not said, and the word lifts nothing.
#[test]
fn what_no_word_lifts_says_it_all() {
    let (cloud, first, second) = two();
    let first = Want { ports: BTreeMap::from([(3306, 3306)]), ..first };
    let mut desired = desired(&[first, second]);
    refused(&mut desired, "rule", "db", None);
    for options in [PlanOptions::default(), WORD] {
        let plan = cloud.plan(&desired, options);
        assert_eq!((rules(&plan), plan.actions), (vec![(Rule::WouldSever, false)], Vec::new()));
    }
}

#[test]
fn the_same_is_not_refused_twice() {
    let (cloud, first, second) = two();
    let first = Want { ports: BTreeMap::from([(3306, 3306)]), ..first };
    let mut desired = desired(&[first, second]);
    let tables = cloud.plan(&desired, PlanOptions::default()).refusals;
    let listener = Address::new("s", "listener", "5432");
    assert!(tables.iter().any(|one| one.address == listener), "{tables:#?}");
    refused(&mut desired, "listener", "5432", Some(SEVER));
    let plan = cloud.plan(&desired, PlanOptions::default());
    let of_it: Vec<_> = plan.refusals.iter().filter(|one| one.address == listener).collect();
    assert_eq!(of_it.len(), 1, "{of_it:#?}");
    assert_eq!(of_it[0].why, "the database's way closes");
    assert_eq!(plan.refusals.len(), tables.len());
}
