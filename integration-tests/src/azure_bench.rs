//! The benchmark's part on Azure: a fresh apply against the longest chain of its requests and the provisioning that it waits for.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use privnet::PlanOptions;

use crate::proxy::{Proxy, is_read};
use crate::stage::{Fail, Stage, spec};

const LATENCY: Duration = Duration::from_millis(50);
/// Sandbox seconds in a real one: an apply takes a quarter of a minute, and 50 ms are felt.
const SPEED: f64 = 5.0;

/// The longest chain of requests, each of which needs what the one before brought; `azure_speed` counts them in the record. What
/// shows that something is provisioned belongs to its provisioning.
const CHAIN: [&str; 7] = [
    "observe: the lists and what the file names, all at once",
    "PUT subnet",
    "GET load balancer",
    "PUT load balancer",
    "PUT scale set",
    "GET private link service",
    "PUT private link service",
];

/// What the local cloud provisions one after the other, in its seconds: writes under one network, and under one load balancer.
const PROVISIONING: [(&str, u32); 4] =
    [("subnet", 3), ("load balancer", 4), ("scale set", 60), ("private link service", 12)];

const FILE: &str = "version: 1
deployment: bench
tags: { sandbox-consumers: none }
consumers:
  acme: { azure: { subscriptions: [11111111-2222-3333-4444-555555555555] } }
services:
  - name: orders
    allow: { acme: {} }
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      resource_group: rg-data
      location: eastus2
      vnet: hub
      load_balancer_subnet: lb
      nat_subnet: { create: { cidr: 10.1.9.0/28 } }
      forwarder: { subnets: [fwd], size: Standard_D2s_v5 }
      ports: [{ listen: 1433, engine: sqlserver, to: { forwarder: { ip: 172.16.4.20 } } }]
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
    let proxy = Proxy::start(&stage.url("azure"), Vec::new()).await?;
    let session = stage.session_at(spec(FILE)?, |endpoints| endpoints.azure = proxy.url())?;
    let started = Instant::now();
    let done = session.apply(PlanOptions::default()).await;
    let ours = started.elapsed().as_secs_f64();
    if let Some(error) = done.report.failures().next() {
        return Err(error.to_string().into());
    }
    let chain = LATENCY.as_secs_f64() * f64::from(u32::try_from(CHAIN.len())?);
    let provisioning = f64::from(PROVISIONING.iter().map(|(_, seconds)| seconds).sum::<u32>()) / SPEED;
    let actions = proxy.actions();
    let reads = actions.iter().filter(|action| is_read(action)).count();
    let mut text = format!(
        "fresh apply on Azure, {} ms on each request, time at {SPEED} times\n  {ours:.2} s, {} requests, {reads} of them reads\n",
        LATENCY.as_millis(),
        actions.len()
    );
    writeln!(text, "  the chain: {} rounds, {chain:.2} s: {}", CHAIN.len(), CHAIN.join(" → "))?;
    let waits: Vec<String> =
        PROVISIONING.iter().map(|(what, seconds)| format!("{what} {seconds} s")).collect();
    writeln!(text, "  provisioning: {provisioning:.2} s: {} of the local cloud's time", waits.join(" → "))?;
    writeln!(
        text,
        "  privnet takes {:.2} of chain and provisioning (aim: 1.10)",
        ours / (chain + provisioning)
    )?;
    Ok(text)
}
