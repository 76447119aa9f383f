//! The drift sweep on GCP: for every kind and every managed field, google-api-python-client changes it in the cloud; the next plan names
//! exactly that field, and apply restores it. A field without a row in `gcp/drift.py` fails the test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test, which says what it tried"
)]

use std::collections::BTreeSet;
use std::sync::Arc;

use privnet::{PlanOptions, Session, Spec};
use privnet_core::{Class, Op, Provider};
use privnet_gcp::{GcpProvider, GcpSettings};
use privnet_integration_tests::drift::Drift;
use privnet_integration_tests::gcp::validate;
use privnet_integration_tests::proxy::Proxy;
use privnet_integration_tests::stage::{Fail, Stage, spec};

const HEAD: &str = "
version: 1
deployment: drift
tags: { cost-center: '4711' }
consumers:
  acme: { gcp: { projects: [acme-reader] } }
defaults:
  gcp: { project: acme-data, region: us-east4, network: prod, subnet: ilb }
services:
  - name: orders
    allow: { acme: {} }
    acceptance: automatic
    gcp:
      propagated_connection_limit: 2
";

/// A machine, with a check by HTTP.
const MACHINE: &str = "      nat_subnets: [{ create: { cidr: 10.8.0.0/24 } }, { create: { cidr: 10.8.2.0/24 } }]
      ports: [{ listen: 5432, health_check: { port: 8080, http: /up }, to: { instances: [zones/us-east4-b/instances/db-1] } }]
";
/// What makes the accept list cut who is not in it.
const RECONCILING: &str = "      reconcile_connections: true\n";
/// Forwarders: what they are made of.
const FORWARDERS: &str = "      nat_subnets: [{ create: { cidr: 10.8.1.0/24 } }]
      forwarder: { subnets: [data], size: e2-small, zones: [us-east4-a, us-east4-b] }
      ports: [{ listen: 5432, engine: postgres, to: { forwarder: { ip: 10.90.0.3 } } }]
";

fn file(ports: &str) -> Result<Spec, Fail> {
    spec(&format!("{HEAD}{ports}"))
}

/// The fields that a plan names: the changes of updates, and the reasons of replacements.
fn named(plan: &privnet::Plan) -> BTreeSet<(String, String)> {
    let mut named = BTreeSet::new();
    for action in &plan.actions {
        match action.op {
            Op::Update => {
                named.extend(
                    action.changes.iter().map(|c| (action.address.kind.to_string(), c.field.to_string())),
                );
            }
            Op::Create => {
                let fields = action.reason.trim_end_matches(" cannot be changed in place").split(", ");
                named.extend(fields.map(|field| (action.address.kind.to_string(), field.to_owned())));
            }
            Op::Delete | Op::Accept | Op::Reject => {}
        }
    }
    named
}

/// The fields whose change comes with another's.
fn drawn_along(kind: &str, field: &str) -> &'static [(&'static str, &'static str)] {
    match (kind, field) {
        // Another check is made beside it. One of another protocol has no path.
        ("health-check", "protocol") => &[("health-check", "path"), ("backend-service", "health_check")],
        ("health-check", "port" | "path") => &[("backend-service", "health_check")],
        // Lists are not allowed when everybody is let in.
        ("service-attachment", "connection_preference") => &[("service-attachment", "consumers")],
        // It takes a new group, which the backends name.
        ("forwarder-group", "template") => &[("backend-service", "backends")],
        // A backend service of one sort does not become one of the other: what is in front of it turns to a new one.
        ("backend-service", "sort") => {
            &[("forwarding-rule", "backend_service"), ("service-attachment", "target")]
        }
        _ => &[],
    }
}

/// One provider, whose connections all rows share, and what it is led to.
struct Ground {
    proxy: Proxy,
    provider: GcpProvider,
    /// What was said in each row.
    records: tempfile::TempDir,
}

impl Ground {
    async fn new(stage: &Stage) -> Result<Self, Fail> {
        let proxy = Proxy::start(&stage.url("gcp"), Vec::new()).await?;
        let provider = GcpProvider::new(GcpSettings::sandbox(proxy.url()));
        Ok(Self { proxy, provider, records: tempfile::tempdir()? })
    }

    fn session(&self, stage: &Stage, spec: Spec) -> Result<Session, Fail> {
        self.proxy.turn_to(&stage.url("gcp"), Vec::new());
        let provider: Arc<dyn Provider> = Arc::new(self.provider.beside());
        stage.session_on(spec, vec![provider])
    }

    /// A stage on which a file is applied.
    async fn applied(&self, ports: &str) -> Result<Stage, Fail> {
        let stage = Stage::open(None).await?;
        let done = self.session(&stage, file(ports)?)?.apply(PlanOptions::default()).await;
        match done.report.failures().next() {
            Some(error) => Err(format!("apply: {error}").into()),
            None => Ok(stage),
        }
    }

    async fn one(
        &self,
        applied: &Stage,
        ports: &str,
        drift: &mut Drift,
        kind: &str,
        field: &str,
    ) -> Result<bool, Fail> {
        let record = self.records.path().join(format!("{kind}-{field}.jsonl"));
        let stage = Stage::open_with(Some(applied.folder()), |options| options.record = Some(record)).await?;
        if drift.change(&stage.url("gcp"), kind, field)?.is_none() {
            return Ok(false);
        }
        let session = self.session(&stage, file(ports)?)?;
        let planned = session.plan(PlanOptions::default()).await;
        let name = |(kind, field): &(&str, &str)| ((*kind).to_owned(), (*field).to_owned());
        let expected: BTreeSet<_> =
            drawn_along(kind, field).iter().chain([&(kind, field)]).map(name).collect();
        let found = named(&planned.plan);
        if found != expected || !planned.plan.refusals.is_empty() {
            return Err(format!("the plan names {found:?}; it refuses {:?}", planned.plan.refusals).into());
        }
        let executed = session.execute(planned).await;
        if let Some(error) = executed.report.failures().next() {
            return Err(format!("apply: {error}").into());
        }
        let again = session.plan(PlanOptions::default()).await;
        if !again.plan.is_empty() {
            return Err(format!("planning again gives {:?}", again.plan.actions).into());
        }
        Ok(true)
    }
}

/// The kinds that only forwarders have.
fn of_forwarders(kind: &str) -> bool {
    matches!(kind, "instance-template" | "forwarder-group")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_managed_field_is_watched_and_restored() {
    let first = Stage::open(None).await.unwrap();
    let ground = Ground::new(&first).await.unwrap();
    let reconciling = format!("{RECONCILING}{MACHINE}");
    let (machine, forwarders, cutting) = (
        ground.applied(MACHINE).await.unwrap(),
        ground.applied(FORWARDERS).await.unwrap(),
        ground.applied(&reconciling).await.unwrap(),
    );
    let mut drift = Drift::start("gcp/drift.py").unwrap();
    let (mut restored, mut immutable, mut failures) = (0, 0, Vec::new());
    for kind in ground.provider.handles().kinds {
        for field in kind.fields.iter().filter(|field| field.class != Class::Observed) {
            let (stage, ports) = match (kind.name, field.name) {
                (kind, _) if of_forwarders(kind) => (&forwarders, FORWARDERS),
                (_, "reconciled_consumers") => (&cutting, reconciling.as_str()),
                _ => (&machine, MACHINE),
            };
            match ground.one(stage, ports, &mut drift, kind.name, field.name).await {
                Ok(true) => restored += 1,
                Ok(false) => immutable += 1,
                Err(why) => failures.push(format!("{}.{}: {why}", kind.name, field.name)),
            }
        }
    }
    privnet_integration_tests::tell!(
        "drift sweep on GCP: {restored} fields restored, {immutable} cannot drift, {} failed",
        failures.len()
    );
    assert!(restored >= 30, "{restored} fields");
    assert!(failures.is_empty(), "{failures:#?}");
    // What was said on the way, by privnet and by the other client, keeps to the discovery document.
    let records: Vec<_> =
        std::fs::read_dir(ground.records.path()).unwrap().map(|one| one.unwrap().path()).collect();
    assert!(records.len() >= restored, "{} records", records.len());
    validate(&records, false).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_managed_is_not_minded() {
    let stage = Stage::open(None).await.unwrap();
    let ground = Ground::new(&stage).await.unwrap();
    let applied = ground.applied(MACHINE).await.unwrap();
    Drift::start("gcp/drift.py").unwrap().change(&applied.url("gcp"), "unmanaged", "").unwrap().unwrap();
    let plan =
        ground.session(&applied, file(MACHINE).unwrap()).unwrap().plan(PlanOptions::default()).await.plan;
    assert!(plan.is_empty() && plan.refusals.is_empty(), "{:?} {:?}", plan.actions, plan.refusals);
}
