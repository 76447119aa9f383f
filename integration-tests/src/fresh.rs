//! The benchmark's part for a fresh apply on a cloud that provisions: against the longest chain of its requests and what it waits for.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use privnet::PlanOptions;

use crate::proxy::is_read;
use crate::rounds::{Cloud, through};
use crate::stage::{Fail, Stage};

const LATENCY: Duration = Duration::from_millis(50);
/// Sandbox seconds in a real one: an apply takes a quarter of a minute, and 50 ms are felt.
const SPEED: f64 = 5.0;

/// What is applied, and what it cannot be faster than.
#[derive(Debug)]
pub struct Bench {
    /// The cloud.
    pub cloud: Cloud,
    /// Its name, for people.
    pub title: &'static str,
    /// The file.
    pub file: &'static str,
    /// The longest chain of requests, each of which needs what the one before brought.
    pub chain: &'static [&'static str],
    /// What the local cloud takes its time for, one after the other, in a word.
    pub waits_for: &'static str,
    /// How long each takes, in the local cloud's seconds.
    pub waits: &'static [(&'static str, u32)],
}

impl Bench {
    /// A fresh apply, as text with its figures.
    ///
    /// # Errors
    /// When the local cloud cannot be served, or the apply fails.
    pub async fn fresh(&self) -> Result<String, Fail> {
        let stage = Stage::open_with(None, |options| {
            options.latency = LATENCY;
            options.speed = Some(SPEED);
        })
        .await?;
        let (proxy, session) = through(self.cloud, &stage, self.file).await?;
        let started = Instant::now();
        let done = session.apply(PlanOptions::default()).await;
        let ours = started.elapsed().as_secs_f64();
        if let Some(error) = done.report.failures().next() {
            return Err(error.to_string().into());
        }
        let actions = proxy.actions();
        let reads = actions.iter().filter(|action| is_read(action)).count();
        self.told(ours, (actions.len(), reads))
    }

    fn told(&self, ours: f64, (requests, reads): (usize, usize)) -> Result<String, Fail> {
        let Self { title, chain, waits_for, waits, .. } = self;
        let rounds = LATENCY.as_secs_f64() * f64::from(u32::try_from(chain.len())?);
        let waited = f64::from(waits.iter().map(|(_, seconds)| seconds).sum::<u32>()) / SPEED;
        let mut text = format!(
            "fresh apply on {title}, {} ms on each request, time at {SPEED} times\n  {ours:.2} s, {requests} requests, {reads} of them reads\n",
            LATENCY.as_millis(),
        );
        writeln!(text, "  the chain: {} rounds, {rounds:.2} s: {}", chain.len(), chain.join(" → "))?;
        let each: Vec<String> = waits.iter().map(|(what, seconds)| format!("{what} {seconds} s")).collect();
        writeln!(text, "  {waits_for}: {waited:.2} s: {} of the local cloud's time", each.join(" → "))?;
        let ratio = ours / (rounds + waited);
        writeln!(text, "  privnet takes {ratio:.2} of chain and {waits_for} (aim: 1.10)")?;
        Ok(text)
    }
}
