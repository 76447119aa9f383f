//! The fault sweep: each request of an apply, a replacement and a destroy is spoiled in turn, and at sampled pairs; then the same
//! command runs again. It must end in the same state, with an empty plan, and a census by boto3 must find exactly what it finds
//! after an undisturbed run.
//!
//! | module | the cloud | what is spoiled |
//! |---|---|---|
//! | `sandbox` | the local cloud | each request in each way; a kill is the end of the run in this process |
//! | `moto` | a third party's emulator | each request that changes something in each way; each read in one, the ways in turn, and by a stale answer where there is one; with `PRIVNET_SWEEP=all` in each way |
//! | `moto_kills` | moto | the process `privnet` is killed by the system at a sample of the requests that change something |
//! | `kills` | the local cloud | the process `privnet` is killed by the system at each request, also twice in a row |
//!
//! A stale answer is the one that the same read had before: a write has none, nor a read that asks for the first time. Each test prints
//! how many requests there are, how many of them have an older answer, and how many points were tried and passed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test, which says what it tried"
)]

mod kills;
mod moto;
mod moto_kills;
mod points;
mod sandbox;

use privnet::PlanOptions;
use privnet_integration_tests::proxy::{Fault, Place};

/// What is done at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Apply,
    Replace,
    Destroy,
}

impl Work {
    fn options(self) -> PlanOptions {
        PlanOptions { destroy: self == Self::Destroy, ..PlanOptions::default() }
    }

    /// The port of the database: another one makes a replacement.
    fn port(self) -> u16 {
        if self == Self::Replace { 6432 } else { 5432 }
    }
}

/// A file for a service whose database listens on `port`, in a network.
fn file(port: u16, vpc: &str, subnets: &str, group: &str) -> String {
    format!(
        "
version: 1
deployment: sweep
tags: {{ cost-center: '4711' }}
services:
  - name: orders
    allow: {{ fivetran: {{}} }}
    aws:
      account: '123456789012'
      region: us-east-1
      vpc: {vpc}
      subnets: {subnets}
      database_security_groups: [{group}]
      ports: [{{ listen: 5432, port: {port}, engine: postgres, to: {{ ips: [10.0.0.25] }} }}]
"
    )
}

/// The same in the local cloud's default world.
fn default_file(port: u16) -> String {
    let subnets = "[subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]";
    file(port, "vpc-0a1b2c3d4e5f60718", subnets, "sg-0ddddddddddddddd4")
}

/// The points that failed, and how many there were.
struct Tally {
    what: String,
    requests: usize,
    singles: usize,
    pairs: usize,
    passed: usize,
    /// What became of the faults.
    fired: String,
    failures: Vec<String>,
}

impl Tally {
    /// Says what was tried, and fails when a point did.
    fn conclude(self) {
        let Self { what, requests, singles, pairs, passed, fired, failures } = self;
        privnet_integration_tests::tell!(
            "fault sweep, {what}: {requests} requests, {singles} single points and {pairs} pairs tried, {passed} passed; {fired}"
        );
        assert!(
            failures.is_empty(),
            "{} failures, the first: {:#?}",
            failures.len(),
            &failures[..failures.len().min(5)]
        );
    }
}

/// What a point is, for people.
fn named(work: Work, faults: &[(Place, Fault)]) -> String {
    let names: Vec<_> = faults.iter().map(|(place, fault)| format!("{fault:?} at {place:?}")).collect();
    format!("{work:?}, {}", names.join(" and "))
}
