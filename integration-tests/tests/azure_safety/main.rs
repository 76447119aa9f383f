//! The promises of safety on Azure, as the command keeps them: no secret anywhere, look-alikes untouched, nobody cut without the
//! word, several at once without doubles, and every source of credentials.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod credentials;
mod lookalikes;
mod metadata_address;
mod permissions;
mod severing;
mod together;

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use privnet_integration_tests::command::privnet;
use privnet_sandbox::frame::Clock;
use serde_json::Value;

/// How fast time passes.
const SPEED: f64 = 300.0;

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
        - { listen: 5432, engine: postgres, to: { nics: [db-1-nic] } }
"
    .to_owned()
}

/// A folder with `azure.yaml` and a local cloud.
struct Ground {
    folder: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("azure.yaml"), orders()).unwrap();
        Clock::open(&folder.path().join("sandbox"), Some(SPEED)).unwrap();
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path().join("azure.yaml"), text).unwrap();
    }

    fn pass(&self, seconds: u64) {
        let clock = Clock::open(&self.path().join("sandbox"), None).unwrap();
        clock.advance(Duration::from_secs(seconds)).unwrap();
    }

    fn run(&self, line: &str) -> Output {
        privnet(self.path()).args(line.split_whitespace()).output().unwrap()
    }

    /// Runs what must come to this status.
    fn must(&self, line: &str, status: i32) -> Output {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(status), "{line}: {}", both(&output));
        output
    }

    fn status(&self) -> Value {
        serde_json::from_slice(&self.must("--sandbox status --output json", 0).stdout).unwrap()
    }
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
