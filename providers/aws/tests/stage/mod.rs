//! A local cloud with a file on it: the provider's own pipeline, and the user's own client beside it.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(unreachable_pub, reason = "a module of several test programs")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the stage of tests: what fails here fails the test"
)]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_sdk_ec2::config::{BehaviorVersion, Region, SharedCredentialsProvider};
use privnet_aws::{AwsProvider, AwsSettings, Endpoint};
use privnet_core::Provider;
use privnet_core::accept::{Ask, Connection, Decision};
use privnet_core::conformance::{Driver, Subject, Variant};
pub use privnet_core::conformance::{assert_done, until};
use privnet_core::execute::Report;
use privnet_core::plan::{Plan, PlanOptions};
use privnet_core::spec::{Spec, decode};
use privnet_core::{Live, Purpose, World};
use privnet_sandbox::frame::{Clock, Fault};
use privnet_sandbox::{Options, Running, Sandbox};

/// How fast time passes.
const SPEED: f64 = 1_000.0;

pub struct Stage {
    folder: tempfile::TempDir,
    running: Running,
}

/// A client of the user's own.
macro_rules! client {
    ($stage:expr, $sdk:ident) => {{
        let (key, secret) = ($stage.variable("AWS_ACCESS_KEY_ID"), $stage.variable("AWS_SECRET_ACCESS_KEY"));
        let credentials = Credentials::new(key, secret, None, None, "test");
        let config = $sdk::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url($stage.running.url("aws").unwrap())
            .credentials_provider(SharedCredentialsProvider::new(credentials));
        $sdk::Client::from_conf(config.build())
    }};
}

/// What is said is held to AWS's own description after the tests. A test that reads a record of its own reads the one that is kept.
fn keep_record(options: &mut Options) {
    let Some(all) = std::env::var_os("PRIVNET_RECORDS") else { return };
    let name = options.dir.file_name().unwrap().to_string_lossy().into_owned();
    let kept = std::path::Path::new(&all).join(name + ".jsonl");
    match &options.record {
        None => options.record = Some(kept),
        Some(own) => {
            std::fs::File::create(&kept).unwrap();
            std::os::unix::fs::symlink(kept, own).unwrap();
        }
    }
}

impl Stage {
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    /// The same in the state that another one is in now.
    pub async fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
            }
        }
        Self::open_in(folder, |_| {}).await
    }

    /// The same with other options.
    pub async fn open_with(change: impl FnOnce(&mut Options)) -> Self {
        Self::open_in(tempfile::tempdir().unwrap(), change).await
    }

    async fn open_in(folder: tempfile::TempDir, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new(folder.path());
        options.speed = Some(SPEED);
        options.rate_limits = false;
        change(&mut options);
        keep_record(&mut options);
        let running = Sandbox::serve(&options).await.unwrap();
        Self { folder, running }
    }

    /// A new process.
    pub fn driver(&self) -> Driver {
        Driver::new(self)
    }

    fn variable(&self, name: &str) -> String {
        let found = self.running.variables("aws").iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone()).unwrap_or_else(|| panic!("the sandbox gives no {name}"))
    }

    /// Time passes so fast from now on.
    pub fn set_speed(&self, speed: f64) {
        Clock::open(self.folder.path(), Some(speed)).unwrap();
    }

    /// So much of it passes at once.
    pub fn advance(&self, by: Duration) {
        self.running.clock().advance(by).unwrap();
    }

    /// The client of the user's own tools.
    pub fn ec2(&self) -> aws_sdk_ec2::Client {
        client!(self, aws_sdk_ec2)
    }

    /// The same for load balancers.
    pub fn elb(&self) -> aws_sdk_elasticloadbalancingv2::Client {
        client!(self, aws_sdk_elasticloadbalancingv2)
    }

    /// The same for groups of machines.
    pub fn auto_scaling(&self) -> aws_sdk_autoscaling::Client {
        client!(self, aws_sdk_autoscaling)
    }

    /// Makes calls fail from now on: `aws:CreateTags:1:lost`.
    pub fn fault(&self, spec: &str) {
        self.running.faults().add(spec.parse::<Fault>().unwrap());
    }

    /// How many calls of its action the fault that was set has counted.
    pub fn counted(&self) -> usize {
        self.running.faults().counted().first().map_or(0, |count| usize::try_from(*count).unwrap())
    }

    pub fn heal(&self) {
        self.running.faults().clear();
    }

    /// Makes a TXT record.
    pub fn set_text(&self, name: &str, text: &str) {
        let names = Sandbox::open(self.folder.path()).unwrap().names().unwrap();
        names.set_text(name, &[text.to_owned()]).unwrap();
    }

    /// What a name answers from now on.
    pub fn set_name(&self, name: &str, addresses: &[&str]) {
        let addresses: Vec<std::net::IpAddr> = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
        Sandbox::open(self.folder.path()).unwrap().set_name(name, &addresses).unwrap();
    }

    /// The sandbox's names, for rotation and failures.
    pub fn names(&self) -> privnet_sandbox::dns::Names {
        Sandbox::open(self.folder.path()).unwrap().names().unwrap()
    }

    /// A consumer asks for a connection.
    pub fn connect(&self, service: &str, consumer: &str) -> serde_json::Value {
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
            let pending =
                all.iter().filter(|c| c.state == privnet_core::accept::ConnectionState::Pending).count();
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
        let endpoint = Endpoint {
            url: self.running.url("aws").unwrap().to_owned(),
            access_key_id: self.variable("AWS_ACCESS_KEY_ID"),
            secret_access_key: self.variable("AWS_SECRET_ACCESS_KEY"),
        };
        Arc::new(AwsProvider::new(AwsSettings { endpoint: Some(endpoint), dns: Some(self.running.dns()) }))
    }

    fn pace(&self) -> f64 {
        self.running.clock().speed()
    }

    fn base(&self) -> Spec {
        file("")
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

/// A file with one service of its own, and these further lines in its AWS block.
pub fn file(lines: &str) -> Spec {
    service("allow: { fivetran: {} }", lines)
}

/// The same with other words about who may connect.
pub fn service(policy: &str, lines: &str) -> Spec {
    let more: String = lines.lines().map(|line| format!("      {line}\n")).collect();
    spec(&format!(
        "version: 1
deployment: stage
defaults:
  aws:
    account: \"123456789012\"
    region: us-east-1
    vpc: vpc-0a1b2c3d4e5f60718
    subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
services:
  - name: orders
    {policy}
    aws:
      ports: [{{ listen: 5432, engine: postgres, to: {{ instances: [i-0123456789abcdef0] }} }}]
{more}"
    ))
}

pub fn spec(text: &str) -> Spec {
    decode("stage.yaml", text).unwrap_or_else(|errors| panic!("{errors:#?}\n{text}"))
}
