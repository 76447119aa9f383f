//! The benchmark's part on GCP: a fresh apply against the longest chain of its requests and the operations that it waits for.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use privnet::PlanOptions;

use crate::gcp::Called;
use crate::proxy::Proxy;
use crate::stage::{Fail, Stage, spec};

const LATENCY: Duration = Duration::from_millis(50);
/// Sandbox seconds in a real one: an apply takes a quarter of a minute, and 50 ms are felt.
const SPEED: f64 = 5.0;

/// The longest chain of requests, each of which needs what the one before brought; `gcp_speed` counts them in the record. What waits for
/// an operation and shows its end belongs to the operation.
const CHAIN: [&str; 7] = [
    "observe: all lists at once",
    "networkEndpointGroups.insert",
    "networkEndpointGroups.get",
    "networkEndpointGroups.attachNetworkEndpoints",
    "regionBackendServices.insert",
    "forwardingRules.insert",
    "serviceAttachments.insert",
];

/// How long the operations of the chain take on the local cloud (crates/privnet-sandbox/src/gcp), in its seconds.
const OPERATIONS: [(&str, u32); 5] =
    [("group", 8), ("its endpoints", 5), ("backend service", 8), ("forwarding rule", 12), ("attachment", 20)];

const FILE: &str = "version: 1
deployment: bench
consumers:
  acme: { gcp: { projects: [acme-reader] } }
services:
  - name: orders
    allow: { acme: {} }
    gcp:
      project: acme-data
      region: us-east4
      network: prod
      subnet: ilb
      nat_subnets: [{ create: { cidr: 10.8.0.0/24 } }]
      ports: [{ listen: 5432, engine: postgres, to: { instances: [zones/us-east4-b/instances/db-1] } }]
";

/// A fresh apply, as text with its figures.
///
/// # Errors
/// When the local cloud cannot be served, or the apply fails.
pub async fn fresh() -> Result<String, Fail> {
    let stage = Stage::open_with(None, |options| {
        options.latency = LATENCY;
        options.speed = Some(SPEED);
    })
    .await?;
    let proxy = Proxy::start(&stage.url("gcp"), Vec::new()).await?;
    let session = stage.session_at(spec(FILE)?, |endpoints| endpoints.gcp = proxy.url())?;
    let started = Instant::now();
    let done = session.apply(PlanOptions::default()).await;
    let ours = started.elapsed().as_secs_f64();
    if let Some(error) = done.report.failures().next() {
        return Err(error.to_string().into());
    }
    let chain = LATENCY.as_secs_f64() * f64::from(u32::try_from(CHAIN.len())?);
    let operations = f64::from(OPERATIONS.iter().map(|(_, seconds)| seconds).sum::<u32>()) / SPEED;
    let calls: Vec<Called> = proxy
        .actions()
        .iter()
        .filter_map(|action| action.split_once(' ').and_then(|(method, path)| Called::of(method, path)))
        .collect();
    let writes = calls.iter().filter(|called| called.writes()).count();
    let mut text = format!(
        "fresh apply on GCP, {} ms on each request, time at {SPEED} times\n  {ours:.2} s, {} requests, {writes} of them writes\n",
        LATENCY.as_millis(),
        calls.len()
    );
    writeln!(text, "  the chain: {} rounds, {chain:.2} s: {}", CHAIN.len(), CHAIN.join(" → "))?;
    let waits: Vec<String> = OPERATIONS.iter().map(|(what, seconds)| format!("{what} {seconds} s")).collect();
    writeln!(text, "  operations: {operations:.2} s: {} of the local cloud's time", waits.join(" → "))?;
    writeln!(text, "  privnet takes {:.2} of chain and operations (aim: 1.10)", ours / (chain + operations))?;
    Ok(text)
}
