//! Plans, applies and accepts with the library, on the local cloud:
//!
//! ```text
//! cargo run -p privnet-examples --bin apply_and_accept -- examples/aws.yaml [RECORD]
//! ```
//!
//! What is said between the two goes into the file `RECORD`, as lines of JSON, where one is given.
//! On a real account it is the same with `Clouds::Real` and without the first half of `main`.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use privnet::{
    Ask, AuditFile, Clouds, Event, Events, PlanOptions, SandboxEndpoints, SessionBuilder, Verdict, WaitedFor,
    decode,
};
use privnet_sandbox::{Options, Sandbox};

#[tokio::main]
#[allow(clippy::print_stdout, reason = "a program's output")]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).unwrap_or_else(|| "examples/aws.yaml".to_owned());

    // The local cloud, in a folder that goes with this process, and fast.
    let folder = tempfile::tempdir()?;
    let mut options = Options::new(folder.path());
    options.speed = Some(100.0);
    options.record = std::env::args_os().nth(2).map(PathBuf::from);
    let sandbox = Sandbox::serve(&options).await?;
    let clouds = Clouds::Sandbox(SandboxEndpoints {
        aws: sandbox.url("aws").ok_or("the sandbox has no AWS")?.to_owned(),
        azure: sandbox.url("azure").ok_or("the sandbox has no Azure")?.to_owned(),
        gcp: sandbox.url("gcp").ok_or("the sandbox has no GCP")?.to_owned(),
        dns: sandbox.dns(),
        speed: sandbox.clock().speed(),
    });

    // A file is decoded whole: all its errors at once, each with its place.
    let spec = decode(&file, &std::fs::read_to_string(&file)?)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;

    // Decisions on connections are in the audit log before they are carried out.
    let audit = Arc::new(AuditFile::new(folder.path().join("audit.jsonl")));
    let session = SessionBuilder::new(spec, clouds, audit)
        .events(Events::new(|event| {
            if let Event::Done { action, .. } = event {
                println!("  done: {action}");
            }
        }))
        .build()?;

    // Look before doing: the plan is plain data.
    let planned = session.plan(PlanOptions::default()).await;
    println!("{} action(s), {} refusal(s)", planned.plan.actions.len(), planned.plan.refusals.len());
    if !planned.plan.refusals.is_empty() || !planned.unreachable.is_empty() {
        return Err("the plan is refused, or a cloud could not be observed".into());
    }
    let executed = session.execute(planned).await;
    if let Some(error) = executed.report.failures().next() {
        return Err(error.to_string().into());
    }
    // An action that was not begun is no failure, and what is refused or was not seen is no action.
    if !executed.is_complete() {
        return Err("not all of the plan was done".into());
    }

    // What the vendor needs; then its request comes, and a stranger's.
    let (handoffs, _) = session.handoff().await;
    println!("{}", serde_json::to_string_pretty(&handoffs)?);
    let waited = session
        .accept_until_connected(&Ask::default(), Duration::from_secs(60), |decided| {
            for decision in decided.decisions.iter().filter(|decision| decision.verdict == Verdict::Accepted)
            {
                println!("accepted {} of {}: {}", decision.connection, decision.who, decision.why);
            }
        })
        .await;
    sandbox.shutdown().await;
    match waited.end {
        WaitedFor::Connected => Ok(()),
        other => Err(format!("the consumer is not connected: {other:?}").into()),
    }
}
