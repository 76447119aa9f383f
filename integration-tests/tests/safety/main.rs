//! The promises of safety, as the command keeps them: no secret anywhere, nothing but the sandbox with `--sandbox`, look-alikes
//! untouched, nobody cut without the word, and several at once without doubles.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod lookalikes;
mod reach;
mod secrets;
mod severing;
mod together;

use privnet_integration_tests::ground::{Ground, both};

const HEAD: &str = "version: 1
deployment: safety
tags: { cost-center: '4711' }
defaults:
  aws:
    account: '123456789012'
    region: us-east-1
    vpc: vpc-0a1b2c3d4e5f60718
    subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
services:
";

const ORDERS: &str = "  - name: orders
    allow: { fivetran: {} }
    aws:
      database_security_groups: [sg-0ddddddddddddddd4]
      ports:
        - { listen: 5432, engine: postgres, to: { ips: [10.0.0.25] } }
        - { listen: 5433, engine: postgres, to: { ips: [10.0.0.26] } }
";

fn orders() -> String {
    format!("{HEAD}{ORDERS}")
}

/// A folder with that as `aws.yaml`, and a local cloud.
fn ground() -> Ground {
    Ground::new("aws.yaml", &orders())
}
