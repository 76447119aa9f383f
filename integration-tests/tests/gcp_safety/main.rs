//! The promises of safety on GCP, as the command keeps them: no secret anywhere, nobody cut without the word, several at once without
//! doubles, every source of credentials, and each state of a connection explained.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod connections;
mod credentials;
mod severing;
mod together;

use privnet_integration_tests::ground::{Ground, both};
use serde_json::Value;

const HEAD: &str = "version: 1
deployment: safety
tags: { cost-center: '4711' }
consumers:
  acme: { gcp: { projects: [acme-reader] } }
defaults:
  gcp: { project: acme-data, region: us-east4, network: prod, subnet: ilb }
services:
";

/// A service of a machine of the user's own. Nobody of its consumers asks by himself.
fn machine() -> String {
    format!(
        "{HEAD}  - name: orders
    allow: {{ acme: {{}} }}
    gcp:
      nat_subnets: [{{ create: {{ cidr: 10.8.0.0/24 }} }}]
      ports: [{{ listen: 5432, engine: postgres, to: {{ instances: [zones/us-east4-b/instances/db-1] }} }}]
"
    )
}

/// The same, and one over forwarders.
fn orders() -> String {
    format!(
        "{}  - name: billing
    allow: {{ acme: {{}} }}
    gcp:
      nat_subnets: [{{ create: {{ cidr: 10.8.1.0/24 }} }}]
      forwarder: {{ subnets: [data], size: e2-small, zones: [us-east4-a, us-east4-b] }}
      ports: [{{ listen: 3306, engine: mysql, to: {{ forwarder: {{ ip: 10.90.0.3 }} }} }}]
",
        machine()
    )
}

/// A folder with this as `gcp.yaml`, and a local cloud.
fn ground(file: &str) -> Ground {
    Ground::new("gcp.yaml", file)
}

/// Closes an endpoint, as the cloud does of its own accord: the sandbox's state says so then.
fn close(ground: &Ground, connection: &str) {
    let path = ground.at("sandbox/gcp.json");
    let mut state: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let endpoints = state["endpoints"].as_object_mut().unwrap();
    let id = connection.parse::<u64>().unwrap();
    let own = endpoints.values_mut().find(|one| one["connection"] == id);
    own.unwrap()["decision"] = Value::from("Closed");
    std::fs::write(&path, state.to_string()).unwrap();
}
