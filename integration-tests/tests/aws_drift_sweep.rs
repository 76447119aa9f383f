//! The drift sweep: for every kind and every managed field, boto3 changes it in the cloud; the next plan names exactly that
//! field, and apply restores it. A field without a row in `aws/drift.py` fails the test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test, which says what it tried"
)]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use privnet::{PlanOptions, Spec};
use privnet_core::{Class, Op, Provider as _};
use privnet_integration_tests::census::{here, python};
use privnet_integration_tests::stage::{Fail, Stage, spec};

fn file() -> Result<Spec, Fail> {
    spec(
        "
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
",
    )
}

/// The process that changes things.
struct Drift {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Drift {
    fn start() -> Result<Self, Fail> {
        let mut child = Command::new(python()?)
            .arg(here().join("aws/drift.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let ask = child.stdin.take().ok_or("no standard input")?;
        let answers = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        Ok(Self { child, ask, answers })
    }

    /// Changes a field. `Ok(None)` where the API cannot.
    fn change(&mut self, url: &str, kind: &str, field: &str) -> Result<Option<()>, Fail> {
        writeln!(self.ask, "{}", serde_json::json!({"url": url, "kind": kind, "field": field}))?;
        self.ask.flush()?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let answer: serde_json::Value =
            serde_json::from_str(&line).map_err(|_| format!("{kind}.{field}: the script ended: {line:?}"))?;
        if let Some(why) = answer["immutable"].as_str() {
            println!("{kind}.{field}: cannot drift: {why}");
            return Ok(None);
        }
        if let Some(why) = answer["missing"].as_str() {
            return Err(why.into());
        }
        Ok(Some(()))
    }
}

impl Drop for Drift {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The fields that a plan names: the changes of updates, and the reasons of replacements.
fn named(plan: &privnet::Plan) -> BTreeSet<(String, String)> {
    let mut named = BTreeSet::new();
    for action in &plan.actions {
        match action.op {
            Op::Update => {
                named.extend(
                    action.changes.iter().map(|c| (action.address.kind.clone(), c.field.to_string())),
                );
            }
            Op::Create => {
                let fields = action.reason.trim_end_matches(" cannot be changed in place").split(", ");
                named.extend(fields.map(|field| (action.address.kind.clone(), field.to_owned())));
            }
            Op::Delete | Op::Accept | Op::Reject => {}
        }
    }
    named
}

/// What the cloud itself changes along with a field.
fn drawn_along(kind: &str, field: &str) -> &'static [&'static str] {
    match (kind, field) {
        // A listener that is not TLS any more has no certificate and no policy, and gets the idle timeout of TCP.
        ("listener", "protocol") => &["certificate", "ssl_policy", "idle_timeout"],
        // Another name begins with a verification of its own.
        ("endpoint-service", "private_dns_name") => &["private_dns_verification"],
        // A principal that somebody else added has none of our tags.
        ("allowed-principals", "principals") => &["tags"],
        _ => &[],
    }
}

async fn one(applied: &Stage, drift: &mut Drift, kind: &str, field: &str) -> Result<bool, Fail> {
    let stage = Stage::open(Some(applied.folder())).await?;
    if drift.change(&stage.url("aws"), kind, field)?.is_none() {
        return Ok(false);
    }
    let session = stage.session(file()?, &stage.url("aws"))?;
    let planned = session.plan(PlanOptions::default()).await;
    let own = |field: &str| (kind.to_owned(), field.to_owned());
    let also = drawn_along(kind, field).iter().map(|other| own(other));
    let expected: BTreeSet<_> = also.chain([own(field)]).collect();
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

/// A stage on which the file is applied, its private DNS name verified by the record that the hand-over asks for.
async fn applied() -> Result<Stage, Fail> {
    let stage = Stage::open(None).await?;
    let session = stage.session(file()?, &stage.url("aws"))?;
    let done = session.apply(PlanOptions::default()).await;
    if let Some(error) = done.report.failures().next() {
        return Err(format!("apply: {error}").into());
    }
    let (handoffs, _) = session.handoff().await;
    let record = handoffs[0].fields.get("private_dns_record").ok_or("the hand-over has no record")?;
    let text = |part: &str| record[part].as_str().unwrap_or_default().to_owned();
    let name = format!("{}.orders.example.com", text("name"));
    let names = privnet_sandbox::Sandbox::open(stage.folder())?.names()?;
    for name in [name, text("name")] {
        names.set_text(&name, &[text("value")])?;
    }
    let verified = session.apply(PlanOptions::default()).await;
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    let again = session.plan(PlanOptions::default()).await;
    if !verified.report.all_done() || !again.plan.is_empty() {
        return Err(format!("planning again gives {:?}; the record is {record}", again.plan.actions).into());
    }
    reject_all(&session).await?;
    Ok(stage)
}

/// Turns the requests away that the local cloud's consumers have raised meanwhile: they would keep zones from being taken away.
async fn reject_all(session: &privnet::Session) -> Result<(), Fail> {
    let (services, _) = session.status().await;
    for connection in services.iter().flat_map(|service| &service.connections) {
        let planned = session.plan_rejection(&connection.id, true).await.ok_or("the connection is gone")?;
        if let Some(error) = session.execute(planned).await.report.failures().next() {
            return Err(format!("reject: {error}").into());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_managed_field_is_watched_and_restored() {
    let applied = applied().await.unwrap();
    let mut drift = Drift::start().unwrap();
    let provider = privnet_aws::AwsProvider::new(privnet_aws::AwsSettings::default());
    let (mut restored, mut immutable, mut failures) = (0, 0, Vec::new());
    for kind in provider.handles().kinds {
        for field in kind.fields.iter().filter(|field| field.class != Class::Observed) {
            match one(&applied, &mut drift, kind.name, field.name).await {
                Ok(true) => restored += 1,
                Ok(false) => immutable += 1,
                Err(why) => failures.push(format!("{}.{}: {why}", kind.name, field.name)),
            }
        }
    }
    privnet_integration_tests::tell!(
        "drift sweep: {restored} fields restored, {immutable} cannot drift, {} failed",
        failures.len()
    );
    assert!(failures.is_empty(), "{failures:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_managed_is_not_minded() {
    let stage = applied().await.unwrap();
    let session = stage.session(file().unwrap(), &stage.url("aws")).unwrap();
    Drift::start().unwrap().change(&stage.url("aws"), "unmanaged", "").unwrap();
    let plan = session.plan(PlanOptions::default()).await.plan;
    assert!(plan.is_empty() && plan.refusals.is_empty(), "{:?} {:?}", plan.actions, plan.refusals);
}
