//! The drift sweep on Azure: for every kind and every managed field, azure-mgmt-* changes it in the cloud; the next plan names
//! exactly that field and does nothing else, and apply restores it. A field without a row in `azure/drift.py` fails the test, also one
//! that is only read, and so does one that the plan does not mind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test, which says what it tried"
)]

use std::collections::BTreeSet;

use privnet::{PlanOptions, Session, Spec};
use privnet_core::{Class, Provider as _};
use privnet_integration_tests::drift::{Drift, fields, named};
use privnet_integration_tests::stage::{Fail, Stage, spec};

/// A service over forwarders and a machine of the user's own, in zones that are named; and one whose NAT subnet is the user's.
fn file() -> Result<Spec, Fail> {
    spec(
        "
version: 1
deployment: drift
tags: { cost-center: '4711', sandbox-consumers: none }
consumers:
  acme: { azure: { subscriptions: [11111111-2222-3333-4444-555555555555] } }
defaults:
  azure:
    subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
    resource_group: rg-data
    location: eastus2
    vnet: hub
    load_balancer_subnet: lb
services:
  - name: orders
    allow: { acme: {} }
    azure:
      nat_subnet: { create: { cidr: 10.1.9.0/28 } }
      nat_addresses: 2
      fqdns: [orders.example.com]
      forwarder: { subnets: [fwd], size: Standard_D2s_v5, zones: ['1', '2'], drain: 60s }
      join_nics: true
      ports:
        - { listen: 1433, engine: sqlserver, to: { forwarder: { ip: 172.16.4.20 } } }
        - { listen: 5432, engine: postgres, to: { nics: [db-1-nic] } }
  - name: billing
    allow: { acme: {} }
    azure:
      nat_subnet: { existing: nat-policed }
      disable_subnet_policies: true
      join_nics: true
      ports: [{ listen: 5432, engine: postgres, to: { nics: [db-2-nic] } }]
",
    )
}

/// How the next plan tells of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// An update or a replacement names it.
    Named,
    /// The resource is not there any more, and is made again.
    Missing,
    /// It cannot be put back without cutting consumers, and the plan refuses to.
    Refused,
}

fn told(kind: &str, field: &str) -> Told {
    match (kind, field) {
        // Another frontend address is another hand-over; Azure never takes NAT addresses back, nor an interface that a colleague put behind
        // another internal load balancer.
        ("load-balancer", "subnet")
        | ("private-link-service", "nat_addresses")
        | ("nic-membership", "pool") => Told::Refused,
        // A membership is nothing but its interface and that pool: without one it is gone.
        ("nic-membership", _) => Told::Missing,
        _ => Told::Named,
    }
}

fn session(stage: &Stage) -> Result<Session, Fail> {
    stage.session(file()?, &stage.url("aws"))
}

async fn one(applied: &Stage, drift: &mut Drift, kind: &str, field: &str) -> Result<Option<Told>, Fail> {
    let stage = Stage::open(Some(applied.folder())).await?;
    if drift.change(&stage.url("azure"), kind, field)?.is_none() {
        return Ok(None);
    }
    let session = session(&stage)?;
    let planned = session.plan(PlanOptions::default()).await;
    let (found, told) = (named(&planned.plan), told(kind, field));
    let refusals = &planned.plan.refusals;
    if told == Told::Refused {
        let why = refusals.iter().find(|refusal| refusal.address.kind == kind).map(|refusal| &refusal.why);
        let says = why.is_some_and(|why| why.contains(field));
        return if says { Ok(Some(told)) } else { Err(format!("{found:?}, {refusals:?}").into()) };
    }
    let what = if told == Told::Missing { "it is not there" } else { field };
    if found != BTreeSet::from([(kind.to_owned(), what.to_owned())]) || !refusals.is_empty() {
        return Err(format!("the plan names {found:?}; it refuses {refusals:?}").into());
    }
    let executed = session.execute(planned).await;
    if let Some(error) = executed.report.failures().next() {
        return Err(format!("apply: {error}").into());
    }
    let again = session.plan(PlanOptions::default()).await;
    if !again.plan.is_empty() || !again.plan.refusals.is_empty() {
        return Err(format!("planning again gives {:?} {:?}", again.plan.actions, again.plan.refusals).into());
    }
    Ok(Some(told))
}

async fn applied() -> Result<Stage, Fail> {
    let stage = Stage::open(None).await?;
    let done = session(&stage)?.apply(PlanOptions::default()).await;
    if let Some(error) = done.report.failures().next() {
        return Err(format!("apply: {error}").into());
    }
    let again = session(&stage)?.plan(PlanOptions::default()).await;
    if !again.plan.is_empty() {
        return Err(format!("planning again gives {:?}", again.plan.actions).into());
    }
    Ok(stage)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_managed_field_is_watched_and_restored() {
    let applied = applied().await.unwrap();
    let mut drift = Drift::start("azure/drift.py").unwrap();
    let provider = privnet_azure::AzureProvider::new(privnet_azure::AzureSettings::default());
    let (mut restored, mut refused, mut immutable, mut failures) = (0, 0, 0, Vec::new());
    let kinds = provider.handles().kinds;
    let rows = drift.rows().unwrap();
    assert_eq!(fields(kinds), rows, "each field has a row, and each row is of a field");
    for kind in kinds {
        for field in kind.fields {
            match one(&applied, &mut drift, kind.name, field.name).await {
                Ok(Some(_)) if field.class == Class::Observed => {
                    failures.push(format!("{}.{} is compared", kind.name, field.name));
                }
                Ok(Some(Told::Refused)) => refused += 1,
                Ok(Some(_)) => restored += 1,
                Ok(None) => immutable += 1,
                Err(why) => failures.push(format!("{}.{}: {why}", kind.name, field.name)),
            }
        }
    }
    privnet_integration_tests::tell!(
        "drift sweep on Azure: {restored} fields restored, {refused} refused in words, {immutable} cannot drift, {} failed",
        failures.len()
    );
    assert!(failures.is_empty(), "{failures:#?}");
    // A change that ARM refuses is none: were all refused, nothing would have been tried.
    assert_eq!((restored, refused, immutable), (27, 3, 25));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_managed_is_not_minded() {
    let stage = applied().await.unwrap();
    Drift::start("azure/drift.py").unwrap().change(&stage.url("azure"), "unmanaged", "").unwrap().unwrap();
    let plan = session(&stage).unwrap().plan(PlanOptions::default()).await.plan;
    assert!(plan.is_empty() && plan.refusals.is_empty(), "{:?} {:?}", plan.actions, plan.refusals);
}
