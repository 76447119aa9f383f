//! The checks.

#![allow(clippy::panic, reason = "the suite is a test: it fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::{Driver, Subject, assert_done};
use crate::accept::{Ask, ConnectionState, Verdict};
use crate::execute::Report;
use crate::kind::{Class, KindTable, Shape};
use crate::plan::{self, Plan, PlanOptions, Rule};
use crate::provider::Purpose;
use crate::resource::{Live, Scope};
use crate::spec::Spec;
use crate::value::{OutputRef, Value};
use crate::world::{Desired, World};

const PLAIN: PlanOptions = PlanOptions { prune: false, sever_connections: false, destroy: false };
const DESTROY: PlanOptions = PlanOptions { destroy: true, ..PLAIN };
const DESTROY_ALL: PlanOptions = PlanOptions { sever_connections: true, ..DESTROY };

/// Runs every check. Returns their names, for a test to print.
///
/// # Panics
/// At the first check that fails.
pub async fn run(subject: &dyn Subject) -> Vec<&'static str> {
    kinds_are_complete(subject).await;
    apply_converges_and_destroy_leaves_nothing(subject).await;
    an_interruption_anywhere_is_mended(subject).await;
    edits_converge_and_come_back(subject).await;
    concurrent_applies_make_one_of_each(subject).await;
    only_the_consumer_is_let_in(subject).await;
    vec![
        "kinds are complete",
        "apply converges and destroy leaves nothing",
        "an interruption anywhere is mended",
        "edits converge and come back",
        "concurrent applies make one of each",
        "only the consumer is let in, and is not cut without the word",
    ]
}

fn demand_done(what: &str, plan: &Plan, report: &Report) {
    assert!(plan.refusals.is_empty(), "{what}: refused: {:?}", plan.refusals);
    assert_done(plan, report);
}

async fn demand_empty(what: &str, subject: &dyn Subject, spec: &Spec) {
    let driver = Driver::new(subject);
    let (plan, desired, mut world) = driver.plan(spec, PLAIN).await;
    assert!(
        plan.is_empty() && plan.refusals.is_empty(),
        "{what}: planning again gives {:#?} {:#?}",
        plan.actions,
        plan.refusals
    );
    reverse_sets(&mut world, &driver.kinds());
    let turned = plan::plan(&desired, &world, &driver.kinds(), PLAIN);
    assert!(turned.is_empty(), "{what}: the order of a set gives {:#?}", turned.actions);
}

/// Shows the members of each set in the other order.
fn reverse_sets(world: &mut World, kinds: &KindTable) {
    for live in world.live.iter_mut() {
        let kind = kinds.get(&live.scope, &live.address.kind);
        let fields = kind.into_iter().flat_map(|kind| kind.fields);
        for field in fields.filter(|field| matches!(field.shape, Shape::Set | Shape::SetIgnoreCase)) {
            if let Some(members) = live.fields.get(field.name).and_then(Value::as_list) {
                let turned: Vec<Value> = members.iter().rev().cloned().collect();
                live.fields.insert(field.name.to_owned(), Value::list(turned));
            }
        }
    }
}

async fn apply(what: &str, subject: &dyn Subject, spec: &Spec) -> Plan {
    let (plan, report) = Driver::new(subject).apply(spec, PLAIN).await;
    demand_done(what, &plan, &report);
    demand_empty(what, subject, spec).await;
    plan
}

async fn destroy(what: &str, subject: &dyn Subject, spec: &Spec, options: PlanOptions) {
    // A consumer that asks between the plan and its end would keep the service, and only the next run would end it.
    subject.hold_requests().await;
    let (plan, report) = Driver::new(subject).apply(spec, options).await;
    demand_done(what, &plan, &report);
    let left = subject.census().await;
    assert!(left.is_empty(), "{what}: destroy left {left:?}");
    let (again, ..) = Driver::new(subject).plan(spec, options).await;
    assert!(again.is_empty(), "{what}: destroying again would do {:#?}", again.actions);
}

async fn kinds_are_complete(subject: &dyn Subject) {
    subject.reset().await;
    let driver = Driver::new(subject);
    let kinds = driver.kinds();
    let (_, desired, _) = driver.plan(&subject.base(), PLAIN).await;
    demand_desired_known(&kinds, &desired);
    apply("kinds", subject, &subject.base()).await;
    let (_, world) = driver.observe(&subject.base(), Purpose::Plan).await;
    demand_live_known(&kinds, &desired, &world);
    demand_names(&kinds, &desired, &world);
}

fn demand_desired_known(kinds: &KindTable, desired: &Desired) {
    let addresses: BTreeSet<_> = desired.resources.iter().map(|resource| &resource.address).collect();
    assert_eq!(addresses.len(), desired.resources.len(), "an address stands twice");
    for resource in &desired.resources {
        let kind = kinds.get(&resource.scope, &resource.address.kind);
        let kind = kind.unwrap_or_else(|| panic!("{}: the kind is not in the table", resource.address));
        for field in resource.fields.keys() {
            assert!(
                kind.field(field).is_some(),
                "{}: the field `{field}` is not in the table",
                resource.address
            );
        }
        for field in kind.fields.iter().filter(|field| field.class == Class::Managed) {
            let there = resource.fields.contains_key(field.name)
                || resource.origin == crate::resource::Origin::Supplied;
            assert!(there, "{}: the managed field `{}` is not lowered", resource.address, field.name);
        }
        for need in resource.all_needs() {
            assert!(addresses.contains(&need), "{} needs {need}, which is not desired", resource.address);
        }
    }
}

fn demand_live_known(kinds: &KindTable, desired: &Desired, world: &World) {
    for live in world.live.iter().filter(|live| live.is_ours()) {
        let Some(kind) = kinds.get(&live.scope, &live.address.kind) else {
            panic!("{}: the kind is not in the table", live.address)
        };
        for field in live.fields.keys() {
            assert!(
                kind.field(field).is_some(),
                "{}: the observed field `{field}` is not in the table",
                live.address
            );
        }
    }
    for resource in &desired.resources {
        let Some(live) = world.at(&resource.address) else {
            panic!("{} was applied and is not observed", resource.address)
        };
        let mut references = Vec::new();
        for other in &desired.resources {
            for value in other.fields.values() {
                value.each_output(&mut |reference| references.push(reference.clone()));
            }
        }
        for reference in references.iter().filter(|reference| reference.address == resource.address) {
            assert!(
                live.outputs.contains_key(&*reference.output),
                "{reference} is referred to and not observed"
            );
        }
    }
}

/// What a plan takes for a reference is one: a text that names something names nothing else, and whoever is given what an output
/// only tells is given its name as well.
fn demand_names(kinds: &KindTable, desired: &Desired, world: &World) {
    let telling = |scope: &Scope, kind: &str| kinds.get(scope, kind).map_or(&[][..], |kind| kind.telling);
    let mut named: BTreeMap<&str, &Live> = BTreeMap::new();
    for live in world.live.iter().filter(|live| live.is_ours()) {
        let telling = telling(&live.scope, &live.address.kind);
        for name in telling {
            assert!(live.outputs.contains_key(*name), "{}: it has no output `{name}`", live.address);
        }
        let naming = live.outputs.iter().filter(|(name, _)| !telling.contains(&name.as_str()));
        for (output, text) in naming.filter_map(|(name, value)| Some((name, value.as_text()?))) {
            // Kinds that are parts of one thing share its id.
            let other = named.insert(text, live).filter(|other| other.id != live.id);
            assert!(
                other.is_none(),
                "`{output}` of {} is {text}, as of {}: it names neither, so the kind's table has it under `telling`",
                live.address,
                other.map(|other| other.address.to_string()).unwrap_or_default()
            );
        }
    }
    for resource in &desired.resources {
        let mut references = Vec::new();
        resource.fields.values().for_each(|value| value.each_output(&mut |one| references.push(one)));
        let names = |one: &OutputRef| !telling(&resource.scope, &one.address.kind).contains(&&*one.output);
        for reference in &references {
            let named = references.iter().any(|one| one.address == reference.address && names(one));
            assert!(named, "{}: {reference} does not name what it refers to", resource.address);
        }
    }
}

async fn apply_converges_and_destroy_leaves_nothing(subject: &dyn Subject) {
    subject.reset().await;
    let plan = apply("fresh apply", subject, &subject.base()).await;
    assert!(!plan.is_empty(), "a fresh apply does something");
    destroy("destroy", subject, &subject.base(), DESTROY).await;
}

/// Stops before each action in turn: the next run ends where an uninterrupted one does.
async fn an_interruption_anywhere_is_mended(subject: &dyn Subject) {
    subject.reset().await;
    let spec = subject.base();
    apply("uninterrupted", subject, &spec).await;
    let expected = kinds_in(subject, &spec).await;
    subject.reset().await;
    let (whole, ..) = Driver::new(subject).plan(&spec, PLAIN).await;
    for stop in 0..whole.actions.len() {
        subject.reset().await;
        let driver = Driver::new(subject);
        let (mut plan, desired, world) = driver.plan(&spec, PLAIN).await;
        plan.actions.truncate(stop);
        driver.execute(&plan, &desired, &world).await;
        let what = format!("after {stop} action(s)");
        apply(&what, subject, &spec).await;
        assert_eq!(kinds_in(subject, &spec).await, expected, "{what}: not the same end");
    }
    let (mut plan, desired, world) = Driver::new(subject).plan(&spec, DESTROY).await;
    let half = plan.actions.len() / 2;
    plan.actions.truncate(half);
    Driver::new(subject).execute(&plan, &desired, &world).await;
    destroy("a destroy that was interrupted", subject, &spec, DESTROY).await;
}

/// How many of each kind are observed as ours.
async fn kinds_in(subject: &dyn Subject, spec: &Spec) -> Vec<String> {
    let (_, world) = Driver::new(subject).observe(spec, Purpose::Plan).await;
    let mut kinds: Vec<String> =
        world.live.iter().filter(|l| l.is_ours()).map(|l| l.address.to_string()).collect();
    kinds.sort();
    kinds
}

async fn edits_converge_and_come_back(subject: &dyn Subject) {
    subject.reset().await;
    let base = subject.base();
    apply("base", subject, &base).await;
    for edit in subject.edits() {
        let plan = apply(edit.name, subject, &edit.spec).await;
        assert!(!plan.is_empty(), "{}: the edit does something", edit.name);
        apply(&format!("{}, taken back", edit.name), subject, &base).await;
    }
    destroy("after edits", subject, &base, DESTROY).await;
}

async fn concurrent_applies_make_one_of_each(subject: &dyn Subject) {
    subject.reset().await;
    let spec = subject.base();
    apply("alone", subject, &spec).await;
    let expected = kinds_in(subject, &spec).await;
    subject.reset().await;
    let runs = (0..8).map(|_| async {
        let driver = Driver::new(subject);
        driver.apply(&spec, PLAIN).await
    });
    let ended = join_all(runs).await;
    assert!(ended.iter().any(|(_, report)| report.all_done()), "none of eight applies at once succeeded");
    apply("after eight at once", subject, &spec).await;
    assert_eq!(
        kinds_in(subject, &spec).await,
        expected,
        "eight applies at once did not end with one of each"
    );
    destroy("after eight at once", subject, &spec, DESTROY).await;
}

async fn only_the_consumer_is_let_in(subject: &dyn Subject) {
    subject.reset().await;
    let spec = subject.base();
    apply("before requests", subject, &spec).await;
    subject.raise_requests().await;
    let driver = Driver::new(subject);
    let (decisions, plan, report) = driver.decide(&spec, &Ask::default()).await;
    let accepted: Vec<_> = decisions.iter().filter(|d| d.verdict == Verdict::Accepted).cloned().collect();
    assert!(!accepted.is_empty(), "the consumer's request is let in: {decisions:#?}");
    assert!(accepted.len() < decisions.len(), "the stranger's request is left: {decisions:#?}");
    demand_done("accept", &plan, &report);
    let (_, world) = driver.observe(&spec, Purpose::Connections).await;
    for connection in world.services.values().flat_map(|seen| seen.connections.known()) {
        let ours = accepted.iter().any(|decision| decision.connection == connection.id);
        let live = connection.state == ConnectionState::Accepted;
        assert_eq!(ours, live, "{} is {}", connection.id, connection.cloud_state);
    }
    demand_empty("after acceptance", subject, &spec).await;

    let (refused, ..) = driver.plan(&spec, DESTROY).await;
    assert!(
        refused.refusals.iter().any(|refusal| refusal.rule == Rule::WouldSever),
        "destroy must not cut: {refused:#?}"
    );
    destroy("destroy with the word", subject, &spec, DESTROY_ALL).await;
}
