//! The promises of safety on GCP, as the command keeps them: no secret anywhere, nobody cut without the word, several at once without
//! doubles, every source of credentials, and each state of a connection explained.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod together;

/// A service over forwarders and one of a machine of the user's own. Nobody asks by himself.
fn orders() -> String {
    "version: 1
deployment: safety
tags: { cost-center: '4711' }
consumers:
  acme: { gcp: { projects: [acme-reader] } }
defaults:
  gcp: { project: acme-data, region: us-east4, network: prod, subnet: ilb }
services:
  - name: orders
    allow: { acme: {} }
    gcp:
      nat_subnets: [{ create: { cidr: 10.8.0.0/24 } }]
      ports: [{ listen: 5432, engine: postgres, to: { instances: [zones/us-east4-b/instances/db-1] } }]
  - name: billing
    allow: { acme: {} }
    gcp:
      nat_subnets: [{ create: { cidr: 10.8.1.0/24 } }]
      forwarder: { subnets: [data], size: e2-small, zones: [us-east4-a, us-east4-b] }
      ports: [{ listen: 3306, engine: mysql, to: { forwarder: { ip: 10.90.0.3 } } }]
"
    .to_owned()
}
