//! The promises of safety on Azure, as the command keeps them: no secret anywhere, look-alikes untouched, nobody cut without the
//! word, several at once without doubles, and every source of credentials.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod credentials;
mod lookalikes;
mod metadata_address;
mod nowhere;
mod permissions;
mod severing;
mod together;
mod turning;

use privnet_integration_tests::ground::both;

/// A service over forwarders and a machine of the user's own.
fn orders() -> String {
    "version: 1
deployment: safety
tags: { cost-center: '4711' }
consumers:
  acme: { azure: { subscriptions: [11111111-2222-3333-4444-555555555555] } }
  other: { azure: { subscriptions: [22222222-2222-3333-4444-555555555555] } }
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
      nat_addresses: 2
      forwarder: { subnets: [fwd], size: Standard_D2s_v5 }
      join_nics: true
      ports:
        - { listen: 1433, engine: sqlserver, to: { forwarder: { ip: 172.16.4.20 } } }
        - { listen: 3306, engine: mysql, to: { forwarder: { ip: 172.16.4.30 } } }
        - { listen: 5432, engine: postgres, to: { nics: [db-1-nic] } }
"
    .to_owned()
}
