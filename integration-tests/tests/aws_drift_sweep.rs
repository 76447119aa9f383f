//! The drift sweep: for every kind and every managed field, boto3 changes it in the cloud; the next plan names exactly that
//! field, and apply restores it. A field without a row in `aws/drift.py` fails the test.
//!
//! What privnet and the local cloud say to each other meanwhile is recorded and held to botocore's service models: the sweep puts
//! everything right that can be wrong, so that with a whole life around it no operation of the provider is left out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test, which says what it tried"
)]

use std::collections::BTreeSet;
use std::path::Path;

use privnet::{Ask, PlanOptions, Session, Spec};
use privnet_core::{Class, Op, Provider as _};
use privnet_integration_tests::aws_records as records;
use privnet_integration_tests::drift::{Drift, fields, named_by_itself};
use privnet_integration_tests::stage::{Fail, Stage, spec};
use privnet_sandbox::frame::Clock;

const FILE: &str = "
version: 1
deployment: drift
tags: { cost-center: '4711' }
services:
  - name: orders
    allow: { fivetran: {} }
    aws:
      account: '123456789012'
      region: us-east-1
      vpc: vpc-0a1b2c3d4e5f60718
      subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
      database_security_groups: [sg-0ddddddddddddddd4]
      tcp_idle_timeout: 400s
      private_dns_name: orders.example.com
      supported_regions: [us-east-1, eu-west-1]
      notification: { sns_topic: 'arn:aws:sns:us-east-1:123456789012:privnet-connections', events: [Connect, Accept] }
      forwarder: { subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2], size: t3.small, drain: 60s }
      ports:
        - { listen: 5432, engine: postgres, to: { ips: [10.0.0.25] } }
        - { listen: 5434, engine: postgres, to: { forwarder: { ip: 172.16.4.20 } } }
        - { listen: 5433, port: 5432, engine: postgres, to: { ips: [10.0.0.25] },
            tls: { certificate: 'arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012' } }
";

fn file() -> Result<Spec, Fail> {
    spec(FILE)
}

/// The same later on: no tags any more, then other machines too.
fn later() -> Result<[Spec; 2], Fail> {
    let untagged = FILE.replace("tags: { cost-center: '4711' }\n", "");
    Ok([spec(&untagged)?, spec(&untagged.replace("t3.small", "t3.medium"))?])
}

const SCRIPT: &str = "aws/drift.py";

/// The same with both address families, without an idle timeout.
fn dual_stack() -> Result<Spec, Fail> {
    spec(
        "
version: 1
deployment: drift
services:
  - name: orders
    allow: { fivetran: {} }
    aws:
      account: '123456789012'
      region: us-east-1
      vpc: vpc-0a1b2c3d4e5f60718
      subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
      ip_address_type: dualstack
      ports: [{ listen: 5432, engine: postgres, to: { instances: [i-0123456789abcdef0] } }]
",
    )
}

/// A file on a stage, for many changes.
struct Applied {
    spec: Spec,
    stage: Stage,
}

impl Applied {
    async fn of(spec: Spec, record: &Path) -> Result<Self, Fail> {
        let stage = Stage::open_with(None, |options| options.record = Some(record.to_owned())).await?;
        let session = stage.session(spec.clone(), &stage.url("aws"))?;
        let done = session.apply(PlanOptions::default()).await;
        match done.report.failures().next() {
            Some(error) => Err(format!("apply: {error}").into()),
            None => Ok(Self { spec, stage }),
        }
    }

    fn session(&self) -> Result<Session, Fail> {
        self.stage.session(self.spec.clone(), &self.stage.url("aws"))
    }
}

/// Edits that change several fields at once, each of which the plan names: AWS takes the certificate and the policy of a listener that
/// is not TLS any more. A listener that moved is another one, in whose place one is missing.
const SEVERAL: &[(&str, &[(&str, &str)])] = &[
    ("tls_ends", &[("listener", "protocol"), ("listener", "certificate"), ("listener", "ssl_policy")]),
    ("listener_moves", &[("listener", "it is not there"), ("listener", "(delete)")]),
];

/// Changes a field, or several, on a copy of what was applied; whether that could be changed, was named and restored.
async fn one(
    applied: &Applied,
    drift: &mut Drift,
    (kind, field): (&str, &str),
    expected: &[(&str, &str)],
    record: &Path,
) -> Result<bool, Fail> {
    let theirs = Stage::open(Some(applied.stage.folder())).await?;
    if drift.change(&theirs.url("aws"), kind, field)?.is_none() {
        return Ok(false);
    }
    // What boto3 says is not recorded: it shows nothing about privnet.
    let stage =
        Stage::open_with(Some(theirs.folder()), |options| options.record = Some(record.to_owned())).await?;
    let session = stage.session(applied.spec.clone(), &stage.url("aws"))?;
    let planned = session.plan(PlanOptions::default()).await;
    let expected: BTreeSet<_> =
        expected.iter().map(|(kind, field)| ((*kind).to_owned(), (*field).to_owned())).collect();
    let found = named_by_itself(&planned.plan);
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

/// A stage on which the file is applied, its private DNS name verified by the record that the hand-over asks for.
async fn applied(record: &Path) -> Result<Applied, Fail> {
    let applied = Applied::of(file()?, record).await?;
    let session = applied.session()?;
    let (handoffs, _) = session.handoff().await;
    let dns = handoffs[0].fields.get("private_dns_record").ok_or("the hand-over has no record")?;
    let text = |part: &str| dns[part].as_str().unwrap_or_default().to_owned();
    let name = format!("{}.orders.example.com", text("name"));
    let names = privnet_sandbox::Sandbox::open(applied.stage.folder())?.names()?;
    for name in [name, text("name")] {
        names.set_text(&name, &[text("value")])?;
    }
    let verified = session.apply(PlanOptions::default()).await;
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    let again = session.plan(PlanOptions::default()).await;
    if !verified.report.all_done() || !again.plan.is_empty() {
        return Err(format!("planning again gives {:?}; the record is {dns}", again.plan.actions).into());
    }
    reject_all(&session).await?;
    Ok(applied)
}

/// Turns the requests away that the local cloud's consumers have raised meanwhile: they would keep zones from being taken away.
async fn reject_all(session: &Session) -> Result<(), Fail> {
    let (services, _) = session.status().await;
    for connection in services.iter().flat_map(|service| &service.connections) {
        let planned = session.plan_rejection(&connection.id, true).await.ok_or("the connection is gone")?;
        if let Some(error) = session.execute(planned).await.report.failures().next() {
            return Err(format!("reject: {error}").into());
        }
    }
    Ok(())
}

/// The rest of a life: the file changes, a consumer is let in, and everything is taken down. Slower than the rest, so that machines are
/// seen while they start.
async fn end(applied: &Applied, record: &Path) -> Result<(), Fail> {
    let stage = Stage::open_with(Some(applied.stage.folder()), |options| {
        options.speed = Some(100.0);
        options.record = Some(record.to_owned());
    })
    .await?;
    let [untagged, other_machines] = later()?;
    let session = stage.session(other_machines, &stage.url("aws"))?;
    for session in [&stage.session(untagged, &stage.url("aws"))?, &session] {
        if let Some(error) = session.apply(PlanOptions::default()).await.report.failures().next() {
            return Err(format!("the file as it is later: {error}").into());
        }
    }
    privnet_sandbox::Sandbox::open(stage.folder())?.connect("orders", Some("fivetran"))?;
    // A list has it after its lag.
    Clock::open(stage.folder(), None)?.advance(std::time::Duration::from_secs(5))?;
    let decided = session.accept_pending(&Ask::default(), false).await;
    if !decided.decisions.iter().any(|decision| decision.verdict == privnet::Verdict::Accepted) {
        return Err(format!("nobody was let in: {:?}", decided.decisions).into());
    }
    let options = PlanOptions { destroy: true, sever_connections: true, ..PlanOptions::default() };
    match session.apply(options).await.report.failures().next() {
        Some(error) => Err(format!("destroy: {error}").into()),
        None => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_managed_field_is_watched_and_restored() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let everything = applied(&record).await.unwrap();
    let dual_stack = Applied::of(dual_stack().unwrap(), &record).await.unwrap();
    let mut drift = Drift::start(SCRIPT).unwrap();
    let provider = privnet_aws::AwsProvider::new(privnet_aws::AwsSettings::default());
    let (mut restored, mut immutable, mut failures) = (0, 0, Vec::new());
    let kinds = provider.handles().kinds;
    let rows = drift.rows().unwrap();
    assert_eq!(fields(kinds), rows, "each field has a row, and each row is of a field");
    for kind in kinds {
        for field in kind.fields {
            // A listener that becomes TLS loses an idle timeout of its own.
            let of_two = matches!(
                (kind.name, field.name),
                ("endpoint-service", "ip_address_types") | ("listener", "protocol")
            );
            let applied = if of_two { &dual_stack } else { &everything };
            let own = (kind.name, field.name);
            match one(applied, &mut drift, own, &[own], &record).await {
                Ok(true) if field.class == Class::Observed => {
                    failures.push(format!("{}.{} is compared", kind.name, field.name));
                }
                Ok(true) => restored += 1,
                Ok(false) => immutable += 1,
                Err(why) => failures.push(format!("{}.{}: {why}", kind.name, field.name)),
            }
        }
    }
    for (what, expected) in SEVERAL {
        match one(&everything, &mut drift, ("several", what), expected, &record).await {
            Ok(changed) => assert!(changed, "{what}"),
            Err(why) => failures.push(format!("{what}: {why}")),
        }
    }
    privnet_integration_tests::tell!(
        "drift sweep: {restored} fields restored, {immutable} cannot drift, {} failed",
        failures.len()
    );
    assert!(failures.is_empty(), "{failures:#?}");
    // A change that the API refuses is none: were all refused, nothing would have been tried.
    assert_eq!((restored, immutable), (48, 31));

    end(&everything, &record).await.unwrap();
    privnet_integration_tests::tell!("drift sweep: {}", records::check(&record).unwrap());
    let validated = records::actions(&record).unwrap();
    let sent = records::named_in_source().unwrap();
    let missed: Vec<&String> = sent.difference(&validated).collect();
    assert!(missed.is_empty(), "{missed:#?} are never held to the models");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_managed_is_not_minded() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let mut drift = Drift::start(SCRIPT).unwrap();
    for (applied, what) in [
        (applied(&record).await.unwrap(), "all"),
        (Applied::of(dual_stack().unwrap(), &record).await.unwrap(), "idle_timeout"),
    ] {
        drift.change(&applied.stage.url("aws"), "unmanaged", what).unwrap().unwrap();
        let plan = applied.session().unwrap().plan(PlanOptions::default()).await.plan;
        assert!(
            plan.is_empty() && plan.refusals.is_empty(),
            "{what}: {:?} {:?}",
            plan.actions,
            plan.refusals
        );
        // What was edited is still known to be ours: all that an apply finds, a destroy takes away.
        let options = PlanOptions { destroy: true, sever_connections: true, ..PlanOptions::default() };
        let plan = applied.session().unwrap().plan(options).await.plan;
        let gone = plan.actions.iter().filter(|action| action.op == Op::Delete);
        let rules =
            gone.filter(|action| action.address.to_string().contains("/security-group-rule/database/"));
        assert_eq!(rules.count(), if what == "all" { 2 } else { 0 }, "{:?}", plan.actions);
    }
}
