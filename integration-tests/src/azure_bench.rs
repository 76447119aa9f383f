//! The benchmark's part on Azure: a fresh apply against the longest chain of its requests and the provisioning that it waits for.

use crate::counted::AZURE;
use crate::fresh::Bench;
use crate::stage::Fail;

/// The longest chain of requests, each of which needs what the one before brought; `azure_speed` counts them in the record. What
/// shows that something is provisioned belongs to its provisioning.
const CHAIN: &[&str] = &[
    "observe: the lists and what the file names, all at once",
    "PUT subnet",
    "GET load balancer",
    "PUT load balancer",
    "PUT scale set",
    "GET private link service",
    "PUT private link service",
];

/// What the local cloud provisions one after the other, in its seconds: writes under one network, and under one load balancer.
const PROVISIONING: &[(&str, u32)] =
    &[("subnet", 3), ("load balancer", 4), ("scale set", 60), ("private link service", 12)];

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
    let bench = Bench {
        cloud: AZURE,
        title: "Azure",
        file: FILE,
        chain: CHAIN,
        waits_for: "provisioning",
        waits: PROVISIONING,
    };
    bench.fresh().await
}
