//! A local cloud with a file on it: the provider's own pipeline, and the user's own requests beside it.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what a test rests on must be there")]
#![allow(unreachable_pub, reason = "a module of several test programs")]

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use privnet_azure::{AzureProvider, AzureSettings};
use privnet_core::Provider;
use privnet_core::accept::{Ask, Connection, ConnectionState, Decision};
use privnet_core::conformance::{Driver, Subject, Variant};
pub use privnet_core::conformance::{assert_done, until};
use privnet_core::execute::Report;
use privnet_core::plan::{Plan, PlanOptions};
use privnet_core::spec::{Spec, decode};
use privnet_core::{Live, Purpose, World};
use privnet_sandbox::frame::Fault;
use privnet_sandbox::{Options, Running, Sandbox};
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// How fast time passes.
const SPEED: f64 = 300.0;
/// The default world's subscription and resource group.
pub const GROUP: &str = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data";
/// The default world's consumer.
pub const CONSUMER: &str = "subscription:11111111-2222-3333-4444-555555555555";

pub struct Stage {
    folder: tempfile::TempDir,
    running: Running,
}

/// Where what is said is kept, to be held to Azure's own models after the tests.
fn record_of(folder: &std::path::Path) -> Option<std::path::PathBuf> {
    let all = std::env::var_os("PRIVNET_RECORDS").filter(|all| !all.is_empty())?;
    let name = folder.file_name()?.to_string_lossy().into_owned();
    Some(std::path::Path::new(&all).join(name + ".jsonl"))
}

impl Stage {
    pub async fn open() -> Self {
        Self::open_at(SPEED).await
    }

    /// One whose time passes this fast.
    pub async fn open_at(speed: f64) -> Self {
        Self::open_with(speed, Duration::from_secs(1)).await
    }

    /// One whose lists lag, too.
    pub async fn open_with(speed: f64, lag: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new(folder.path());
        options.speed = Some(speed);
        options.rate_limits = false;
        options.list_lag = lag;
        options.record = record_of(folder.path());
        let running = Sandbox::serve(&options).await.unwrap();
        Self { folder, running }
    }

    /// A new process.
    pub fn driver(&self) -> Driver {
        Driver::new(self)
    }

    /// Makes calls fail from now on.
    pub fn fault(&self, spec: &str) {
        self.running.faults().add(spec.parse::<Fault>().unwrap());
    }

    pub fn heal(&self) {
        self.running.faults().clear();
    }

    /// A request of the user's own tools.
    pub async fn request(&self, method: &str, path: &str, body: Option<&Json>) -> (u16, Json) {
        let url = self.running.url("azure").unwrap();
        let host = url.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
        let body = body.map(Json::to_string).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer test\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        // Bodies come whole or in one chunk.
        let json =
            body.find(['{', '[']).and_then(|at| body.rfind(['}', ']']).and_then(|end| body.get(at..=end)));
        (status, json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or(Json::Null))
    }

    pub async fn get(&self, path: &str) -> Json {
        let (status, body) = self.request("GET", &format!("{path}?api-version=2025-05-01"), None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Changes a resource by hand, and waits until that is done.
    pub async fn change(&self, path: &str, change: impl Fn(&mut Json)) {
        let mut body = self.get(path).await;
        change(&mut body);
        let (status, answer) =
            self.request("PUT", &format!("{path}?api-version=2025-05-01"), Some(&body)).await;
        assert!(status < 300, "{path}: {answer}");
        until("a change by hand is done", || async {
            let state = self.get(path).await["properties"]["provisioningState"].as_str().map(str::to_owned);
            (state.as_deref() == Some("Succeeded")).then_some(())
        })
        .await;
    }

    /// The ids of everything in the group of these kinds, and of the network's subnets.
    pub async fn everything(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for kind in [
            "Microsoft.Network/privateLinkServices",
            "Microsoft.Network/loadBalancers",
            "Microsoft.Network/networkSecurityGroups",
            "Microsoft.Compute/virtualMachineScaleSets",
        ] {
            let listed = self.get(&format!("{GROUP}/providers/{kind}")).await;
            ids.extend(
                listed["value"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter_map(|item| item["id"].as_str().map(str::to_owned)),
            );
        }
        let network = self.get(&format!("{GROUP}/providers/Microsoft.Network/virtualNetworks/hub")).await;
        let subnets = network["properties"]["subnets"].as_array().unwrap();
        ids.extend(subnets.iter().filter_map(|subnet| subnet["id"].as_str().map(str::to_owned)));
        for nic in ["db-1-nic", "db-2-nic"] {
            let nic = self.get(&format!("{GROUP}/providers/Microsoft.Network/networkInterfaces/{nic}")).await;
            for configuration in nic["properties"]["ipConfigurations"].as_array().unwrap() {
                let pools =
                    configuration["properties"]["loadBalancerBackendAddressPools"].as_array().cloned();
                ids.extend(pools.into_iter().flatten().map(|pool| format!("{}#{}", nic["id"], pool["id"])));
            }
        }
        ids
    }

    /// A consumer asks for a connection.
    pub fn connect(&self, service: &str, consumer: &str) -> Json {
        Sandbox::open(self.folder.path()).unwrap().connect(service, Some(consumer)).unwrap()
    }

    /// Applies, and demands that all of it was done.
    pub async fn apply(&self, spec: &Spec) -> Plan {
        self.apply_with(spec, PlanOptions::default()).await
    }

    /// Plans and carries out, and demands that all of it was done. While a destroy runs no consumer asks: the cloud would keep the
    /// service for him, and only the next run would end it.
    pub async fn apply_with(&self, spec: &Spec, options: PlanOptions) -> Plan {
        if options.destroy {
            self.running.hold_requests().unwrap();
        }
        let (plan, report) = self.driver().apply(spec, options).await;
        assert_eq!(plan.refusals, []);
        assert_done(&plan, &report);
        if options.destroy {
            self.running.release_requests().unwrap();
        }
        plan
    }

    /// Applies; whether all of it was done. The suite's driver panics when the cloud cannot be observed.
    pub async fn try_apply(&self, spec: &Spec, options: PlanOptions) -> bool {
        let driver = self.driver();
        match AssertUnwindSafe(driver.apply(spec, options)).catch_unwind().await {
            Ok((plan, report)) => plan.refusals.is_empty() && report.all_done(),
            Err(_) => false,
        }
    }

    pub async fn plan(&self, spec: &Spec) -> Plan {
        self.driver().plan(spec, PlanOptions::default()).await.0
    }

    /// Nothing is left to do.
    pub async fn assert_settled(&self, spec: &Spec) {
        self.driver().assert_settled(spec).await;
    }

    pub async fn world(&self, spec: &Spec) -> World {
        self.driver().observe(spec, Purpose::Plan).await.1
    }

    pub async fn live(&self, spec: &Spec, kind: &str) -> Option<Live> {
        self.world(spec).await.live.into_iter().find(|live| live.address.kind == kind)
    }

    pub async fn connections(&self, spec: &Spec, service: &str) -> Vec<Connection> {
        self.driver().connections(spec, service).await
    }

    /// Waits for this many connections of a service that wait for a decision.
    pub async fn until_pending(&self, spec: &Spec, service: &str, count: usize) -> Vec<Connection> {
        until("requests are pending", || async {
            let all = self.connections(spec, service).await;
            let pending = all.iter().filter(|c| c.state == ConnectionState::Pending).count();
            (pending >= count).then_some(all)
        })
        .await
    }

    /// Decides by policy and carries it out.
    pub async fn decide(&self, spec: &Spec, ask: &Ask) -> (Vec<Decision>, Plan, Report) {
        self.driver().decide(spec, ask).await
    }

    /// Rejects one connection.
    pub async fn reject(&self, spec: &Spec, id: &str, sever: bool) -> (Plan, Report) {
        self.driver().reject(spec, id, sever).await
    }
}

#[async_trait]
impl Subject for Stage {
    async fn reset(&self) {
        Sandbox::reset(self.folder.path()).unwrap();
    }

    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(AzureProvider::new(AzureSettings::sandbox(self.running.url("azure").unwrap(), "test")))
    }

    fn pace(&self) -> f64 {
        self.running.clock().speed()
    }

    fn base(&self) -> Spec {
        hosted("Microsoft.Sql/servers/crm", "sqlServer")
    }

    fn edits(&self) -> Vec<Variant> {
        Vec::new()
    }

    async fn raise_requests(&self) {}

    async fn hold_requests(&self) {
        self.running.hold_requests().unwrap();
    }

    async fn census(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The error of the only failure.
pub fn failure(report: &Report) -> &privnet_core::Error {
    report.failures().next().expect("a failure")
}

/// A file with one hosted service.
pub fn hosted(resource: &str, subresource: &str) -> Spec {
    spec(&format!(
        "version: 1
deployment: stage
consumers:
  acme: {{ azure: {{ subscriptions: [11111111-2222-3333-4444-555555555555] }} }}
services:
  - name: orders
    allow: {{ acme: {{}} }}
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      hosted: {{ resource_id: {GROUP}/providers/{resource}, subresource: {subresource} }}
"
    ))
}

/// A forwarder's port.
pub const FORWARDED: &str = "{ listen: 1433, engine: sqlserver, to: { forwarder: { ip: 172.16.4.20 } } }";
/// A port of the user's own machine.
pub const DIRECT: &str = "{ listen: 5432, engine: postgres, to: { nics: [/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers/Microsoft.Network/networkInterfaces/db-1-nic] } }";

/// A file with one private link service of these ports, these lines in its block, and these at the top.
pub fn made(ports: &str, block: &str, top: &str) -> Spec {
    let mut lines = vec!["nat_subnet: { create: { cidr: 10.1.9.0/28 } }"];
    if ports.contains("forwarder:") {
        lines.push("forwarder: { subnets: [fwd], size: Standard_D2s_v5 }");
    }
    lines.retain(|line| !block.contains(line.split(':').next().unwrap()));
    lines.extend(block.lines());
    let lines: String = lines.iter().map(|line| format!("      {line}\n")).collect();
    spec(&format!(
        "version: 1
deployment: stage
{top}
consumers:
  acme: {{ azure: {{ subscriptions: [11111111-2222-3333-4444-555555555555] }} }}
services:
  - name: orders
    allow: {{ acme: {{}} }}
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      resource_group: rg-data
      location: eastus2
      vnet: hub
      load_balancer_subnet: lb
      ports: [{ports}]
{lines}"
    ))
}

pub fn spec(text: &str) -> Spec {
    decode("stage.yaml", text).unwrap_or_else(|errors| panic!("{errors:#?}\n{text}"))
}
