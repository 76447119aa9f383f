//! The benchmark's part on GCP: a fresh apply against the longest chain of its requests and the operations that it waits for.

use crate::counted::GCP;
use crate::fresh::Bench;
use crate::stage::Fail;

/// The longest chain of requests, each of which needs what the one before brought; `gcp_speed` counts them in the record. What waits for
/// an operation and shows its end belongs to the operation.
const CHAIN: &[&str] = &[
    "observe: globalOperations.aggregatedList",
    "observe: all lists at once",
    "networkEndpointGroups.insert",
    "networkEndpointGroups.attachNetworkEndpoints",
    "regionBackendServices.insert",
    "forwardingRules.insert",
    "serviceAttachments.insert",
];

/// How long the operations of the chain take on the local cloud (crates/privnet-sandbox/src/gcp), in its seconds.
const OPERATIONS: &[(&str, u32)] = &[
    ("group", 8),
    ("its endpoints", 5),
    ("backend service", 8),
    ("forwarding rule", 12),
    ("attachment", 20),
];

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
    let bench = Bench {
        cloud: GCP,
        title: "GCP",
        file: FILE,
        chain: CHAIN,
        waits_for: "operations",
        waits: OPERATIONS,
    };
    bench.fresh().await
}
