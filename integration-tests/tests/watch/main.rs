//! `privnet watch`, as a process on the local cloud.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "a test")]

mod files;
mod keep;
mod monitoring;
mod process;
mod soak;
mod stops;
mod unit;

/// A file for one service whose consumer asks only when told to, or for the preset whose consumer asks by itself.
pub(crate) fn file(deployment: &str, consumer: &str, to: &str) -> String {
    let consumers = match consumer {
        "acme" => "consumers: { acme: { aws: { principals: ['arn:aws:iam::210987654321:root'] } } }\n",
        _ => "",
    };
    format!(
        "version: 1
deployment: {deployment}
{consumers}services:
  - name: {deployment}
    allow: {{ {consumer}: {{}} }}
    aws:
      account: '123456789012'
      region: us-east-1
      vpc: vpc-0a1b2c3d4e5f60718
      subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
      ports: [{{ listen: 5432, engine: postgres, to: {to} }}]
"
    )
}

/// A file of which nothing can be read: no role of its account can be assumed.
pub(crate) fn broken() -> String {
    let role = "assume_role: { arn: 'arn:aws:iam::555555555555:role/nobody' }";
    file("broken", "acme", "{ ips: [10.0.0.25] }").replace("account: '123456789012'", role)
}

/// Fast enough that provisioning takes a second, slow enough that what is looked at does not pass by.
pub(crate) const SPEED: f64 = 200.0;
