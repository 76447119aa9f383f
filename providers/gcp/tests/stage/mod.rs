//! A local cloud with a file on it: the provider's own pipeline, and the user's own client beside it.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(unreachable_pub, reason = "a module of several test programs")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the stage of tests: what fails here fails the test"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use google_cloud_auth::credentials::anonymous;
use google_cloud_compute_v1::client as compute;
use google_cloud_compute_v1::model::ServiceAttachment;
use privnet_core::Provider;
use privnet_core::accept::{Ask, Connection, ConnectionState, Decision};
use privnet_core::conformance::{Driver, Subject, Variant};
pub use privnet_core::conformance::{assert_done, until};
use privnet_core::execute::{Context, Events, Report, Settings};
use privnet_core::plan::{Plan, PlanOptions};
use privnet_core::spec::{Spec, decode};
use privnet_core::{Error, Live, ObserveRequest, Purpose, World};
use privnet_gcp::{GcpProvider, GcpSettings};
use privnet_sandbox::frame::{Clock, Fault};
use privnet_sandbox::{Options, Running, Sandbox};
use tokio_util::sync::CancellationToken;

/// How fast time passes.
const SPEED: f64 = 1_000.0;
pub const PROJECT: &str = "acme-data";
pub const REGION: &str = "us-east4";
/// Where everything is looked for.
const PROJECTS: [&str; 3] = [PROJECT, "acme-net", "acme-tiny"];
/// One machine.
pub const ONE: &str = "{ listen: 5432, to: { instances: [zones/us-east4-b/instances/db-1] } }";

pub struct Stage {
    folder: tempfile::TempDir,
    running: Running,
    provider: GcpProvider,
}

/// A client of the user's own.
macro_rules! client {
    ($stage:expr, $name:ident) => {
        compute::$name::builder()
            .with_endpoint($stage.url())
            .with_credentials(anonymous::Builder::new().build())
            .build()
            .await
            .unwrap()
    };
}

/// What is said is held to Google's own description after the tests. A test that reads a record of its own reads the one that is kept.
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

    /// A stage with the state of another one, changed as text, at the same time: what was done there is done.
    pub async fn copy_of(other: &Self, change: impl Fn(&str) -> String) -> Self {
        let read = |name: &str| std::fs::read_to_string(other.folder.path().join(name)).unwrap();
        let (state, clock) = (read("gcp.json"), read("clock.json"));
        Self::open_with(|options| {
            std::fs::write(options.dir.join("gcp.json"), change(&state)).unwrap();
            std::fs::write(options.dir.join("clock.json"), clock).unwrap();
        })
        .await
    }

    pub async fn open_with(change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new(folder.path());
        options.speed = Some(SPEED);
        options.rate_limits = false;
        change(&mut options);
        keep_record(&mut options);
        let running = Sandbox::serve(&options).await.unwrap();
        let provider = GcpProvider::new(GcpSettings::sandbox(running.url("gcp").unwrap()));
        Self { folder, running, provider }
    }

    /// A new process.
    pub fn driver(&self) -> Driver {
        Driver::new(self)
    }

    pub fn url(&self) -> String {
        self.running.url("gcp").unwrap().to_owned()
    }

    pub async fn attachments(&self) -> compute::ServiceAttachments {
        client!(self, ServiceAttachments)
    }

    /// The labels of the machines that say they are this service's, by the machine's name.
    pub async fn machines_of(&self, service: &str) -> BTreeMap<String, HashMap<String, String>> {
        let list = client!(self, Instances).aggregated_list().set_project(PROJECT);
        let all = list.send().await.unwrap().items.into_values().flat_map(|scoped| scoped.instances);
        let own = all.filter(|one| one.labels.get("privnet-service").is_some_and(|own| own == service));
        own.map(|one| (one.name.unwrap(), one.labels)).collect()
    }

    /// A NAT subnet that somebody else adds to an attachment.
    pub async fn add_nat_subnet(&self, attachment: &str, subnet: &str) {
        let path = format!("projects/{PROJECT}/regions/{REGION}/subnetworks/{subnet}");
        self.edit_attachment(attachment, |there| there.nat_subnets.push(path)).await;
    }

    /// Somebody else changes an attachment.
    pub async fn edit_attachment(&self, name: &str, change: impl FnOnce(&mut ServiceAttachment)) {
        let client = self.attachments().await;
        let get = || client.get().set_project(PROJECT).set_region(REGION).set_service_attachment(name);
        let mut there = get().send().await.unwrap();
        let before = there.fingerprint.clone();
        change(&mut there);
        let patch = client.patch().set_project(PROJECT).set_region(REGION).set_service_attachment(name);
        patch.set_body(there).send().await.unwrap();
        let changed = || async { (get().send().await.unwrap().fingerprint != before).then_some(()) };
        until("the attachment is changed", changed).await;
    }

    /// Its owner makes an attachment reconcile its connections.
    pub async fn reconcile(&self, attachment: &str) {
        let client = self.attachments().await;
        let get = client.get().set_project(PROJECT).set_region(REGION).set_service_attachment(attachment);
        let there = get.send().await.unwrap().set_reconcile_connections(true);
        let patch = client.patch().set_project(PROJECT).set_region(REGION).set_service_attachment(attachment);
        patch.set_body(there).send().await.unwrap();
        until("it reconciles", || async {
            let get = client.get().set_project(PROJECT).set_region(REGION).set_service_attachment(attachment);
            (get.send().await.unwrap().reconcile_connections == Some(true)).then_some(())
        })
        .await;
    }

    /// Somebody has an attachment let in whoever asks: its lists go with that. The official client leaves empty lists out.
    pub async fn take_everybody(&self, attachment: &str) {
        let path = format!("projects/{PROJECT}/regions/{REGION}/serviceAttachments/{attachment}");
        let url = format!("{}/compute/v1/{path}", self.url());
        let read = || async { self.attachment(attachment).await };
        let there = serde_json::to_value(read().await).unwrap();
        let body = serde_json::json!({ "name": attachment, "fingerprint": there["fingerprint"], "enableProxyProtocol": false,
            "reconcileConnections": there["reconcileConnections"], "connectionPreference": "ACCEPT_AUTOMATIC",
            "consumerAcceptLists": [], "consumerRejectLists": [] });
        let patch = reqwest::Client::new().patch(url).header("content-type", "application/json");
        let answer = patch.body(body.to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        let changed = || async {
            let preference = read().await.connection_preference?;
            (preference.name() == Some("ACCEPT_AUTOMATIC")).then_some(())
        };
        until("it takes everybody", changed).await;
    }

    /// Somebody takes off all that is behind a backend service, of this path. The official client leaves empty lists out.
    pub async fn empty_backend(&self, path: &str) {
        let (url, client) = (format!("{}/compute/v1/{path}", self.url()), reqwest::Client::new());
        let read = || async {
            let answer = client.get(&url).send().await.unwrap().text().await.unwrap();
            serde_json::from_str::<serde_json::Value>(&answer).unwrap()
        };
        let body = serde_json::json!({ "fingerprint": read().await["fingerprint"], "backends": [] });
        let patch = client.patch(&url).header("content-type", "application/json");
        let answer = patch.body(body.to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        let is_empty =
            || async { read().await["backends"].as_array().is_none_or(Vec::is_empty).then_some(()) };
        until("nothing is behind it", is_empty).await;
    }

    /// The attachment of this name.
    pub async fn attachment(&self, name: &str) -> ServiceAttachment {
        let get = self.attachments().await.get().set_project(PROJECT).set_region(REGION);
        get.set_service_attachment(name).send().await.unwrap()
    }

    /// The same of one that was read before, while it can be listed only.
    pub async fn reconcile_unread(&self, there: google_cloud_compute_v1::model::ServiceAttachment) {
        let (client, name) = (self.attachments().await, there.name.clone().unwrap());
        let patch = client.patch().set_project(PROJECT).set_region(REGION).set_service_attachment(&name);
        patch.set_body(there.set_reconcile_connections(true)).send().await.unwrap();
        until("it reconciles", || async {
            let all = client.list().set_project(PROJECT).set_region(REGION).send().await.unwrap().items;
            let own = all.into_iter().find(|one| one.name.as_ref() == Some(&name))?;
            (own.reconcile_connections == Some(true)).then_some(())
        })
        .await;
    }

    /// A consumer deletes its endpoint, of this URL.
    pub async fn leave(&self, endpoint: &str) {
        let client = client!(self, ForwardingRules);
        let after = |word: &str| endpoint.split('/').skip_while(|part| *part != word).nth(1).unwrap();
        let (project, region, name) = (after("projects"), after("regions"), after("forwardingRules"));
        client
            .delete()
            .set_project(project)
            .set_region(region)
            .set_forwarding_rule(name)
            .send()
            .await
            .unwrap();
        until("the endpoint is gone", || async {
            let get = client.get().set_project(project).set_region(region).set_forwarding_rule(name);
            get.send().await.is_err().then_some(())
        })
        .await;
    }

    /// Somebody else opens a firewall rule wide.
    pub async fn open_firewall(&self, name: &str) {
        let client = client!(self, Firewalls);
        let all = google_cloud_compute_v1::model::firewall::Allowed::new().set_ip_protocol("all");
        let mut there = client.get().set_project(PROJECT).set_firewall(name).send().await.unwrap();
        there.allowed.push(all);
        there.source_tags.push("web".to_owned());
        client.patch().set_project(PROJECT).set_firewall(name).set_body(there).send().await.unwrap();
        until("the rule is open", || async {
            let there = client.get().set_project(PROJECT).set_firewall(name).send().await.unwrap();
            (there.allowed.len() > 1).then_some(())
        })
        .await;
    }

    /// Somebody else switches a firewall rule off.
    pub async fn disable_firewall(&self, name: &str) {
        let client = client!(self, Firewalls);
        let get = || client.get().set_project(PROJECT).set_firewall(name);
        let off = get().send().await.unwrap().set_disabled(true);
        client.patch().set_project(PROJECT).set_firewall(name).set_body(off).send().await.unwrap();
        until("the rule is off", || async {
            (get().send().await.unwrap().disabled == Some(true)).then_some(())
        })
        .await;
    }

    /// Somebody starts or stops a machine.
    pub async fn power(&self, zone: &str, name: &str, on: bool) {
        let client = client!(self, Instances);
        macro_rules! send {
            ($request:expr) => {
                $request.set_project(PROJECT).set_zone(zone).set_instance(name).send().await.unwrap()
            };
        }
        if on {
            send!(client.start());
        } else {
            send!(client.stop());
        }
        until("the machine is as it should be", || async {
            let status = send!(client.get()).status.unwrap();
            (status.name() == Some(if on { "RUNNING" } else { "TERMINATED" })).then_some(())
        })
        .await;
    }

    /// Somebody makes a machine in this zone.
    pub async fn add_machine(&self, zone: &str, name: &str) {
        let client = client!(self, Instances);
        let subnet = format!("projects/{PROJECT}/regions/{REGION}/subnetworks/ilb");
        let image = "projects/debian-cloud/global/images/family/debian-12";
        let body = serde_json::json!({ "name": name, "machineType": format!("zones/{zone}/machineTypes/e2-small"),
            "disks": [{ "boot": true, "initializeParams": { "sourceImage": image } }],
            "networkInterfaces": [{ "subnetwork": subnet }] });
        let body: google_cloud_compute_v1::model::Instance = serde_json::from_value(body).unwrap();
        client.insert().set_project(PROJECT).set_zone(zone).set_body(body).send().await.unwrap();
        until("the machine runs", || async {
            let get =
                client.get().set_project(PROJECT).set_zone(zone).set_instance(name).send().await.ok()?;
            (get.status?.name() == Some("RUNNING")).then_some(())
        })
        .await;
    }

    /// Everything of the kinds that privnet makes, in all regions and in the host project too, whole, but for what changes with the time: fingerprints, and who is connected.
    pub async fn everything(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        macro_rules! take {
            ($items:expr) => {
                all.extend($items.into_iter().map(|item| settled(serde_json::to_value(item).unwrap())));
            };
        }
        macro_rules! everywhere {
            ($project:ident, $name:ident, $items:ident) => {
                let list = client!(self, $name).aggregated_list().set_project($project);
                take!(list.send().await.unwrap().items.into_values().flat_map(|scoped| scoped.$items));
            };
        }
        for project in PROJECTS {
            everywhere!(project, Subnetworks, subnetworks);
            everywhere!(project, HealthChecks, health_checks);
            everywhere!(project, BackendServices, backend_services);
            everywhere!(project, ForwardingRules, forwarding_rules);
            everywhere!(project, ServiceAttachments, service_attachments);
            everywhere!(project, InstanceGroupManagers, instance_group_managers);
            everywhere!(project, NetworkEndpointGroups, network_endpoint_groups);
            take!(client!(self, InstanceTemplates).list().set_project(project).send().await.unwrap().items);
            take!(client!(self, Firewalls).list().set_project(project).send().await.unwrap().items);
        }
        all
    }

    /// Makes calls fail from now on: `gcp:serviceAttachments.insert:1:lost`.
    pub fn fault(&self, spec: &str) {
        self.running.faults().add(spec.parse::<Fault>().unwrap());
    }

    pub fn heal(&self) {
        self.running.faults().clear();
    }

    /// Time passes this fast from now on.
    pub fn set_speed(&self, speed: f64) {
        Clock::open(self.folder.path(), Some(speed)).unwrap();
    }

    /// Lets this much time pass in the cloud.
    pub fn advance(&self, seconds: u64) {
        Clock::open(self.folder.path(), None).unwrap().advance(Duration::from_secs(seconds)).unwrap();
    }

    /// Observes for a plan, where that may fail.
    pub async fn try_observe(&self, spec: &Spec) -> Result<World, Error> {
        let settings = Settings { pace: self.pace(), ..Settings::default() };
        let context = Context::new(settings, Events::none(), CancellationToken::new());
        let services: Vec<_> = spec.services.iter().collect();
        let request = ObserveRequest { spec, services: &services, purpose: Purpose::Plan };
        self.provider.beside().observe(request, &context).await
    }

    /// A consumer asks for a connection.
    pub fn connect(&self, service: &str, consumer: &str) -> serde_json::Value {
        Sandbox::open(self.folder.path()).unwrap().connect(service, Some(consumer)).unwrap()
    }

    /// Applies, and demands that all of it was done.
    pub async fn apply(&self, spec: &Spec) -> Plan {
        self.apply_with(spec, PlanOptions::default()).await
    }

    pub async fn apply_with(&self, spec: &Spec, options: PlanOptions) -> Plan {
        let (plan, report) = self.driver().apply(spec, options).await;
        assert_eq!(plan.refusals, []);
        assert_done(&plan, &report);
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
        Arc::new(self.provider.beside())
    }

    fn pace(&self) -> f64 {
        self.running.clock().speed()
    }

    fn base(&self) -> Spec {
        made(ONE, "", "")
    }

    fn edits(&self) -> Vec<Variant> {
        Vec::new()
    }

    async fn raise_requests(&self) {}

    async fn census(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A thing without what changes by itself.
fn settled(mut thing: serde_json::Value) -> String {
    if let Some(members) = thing.as_object_mut() {
        let passing = ["fingerprint", "labelFingerprint", "connectedEndpoints", "status", "currentActions"];
        members.retain(|key, _| !passing.contains(&key.as_str()));
    }
    thing.to_string()
}

/// A file with one service of these ports, with these lines in its block and these at the top. The subnet for NAT is made unless
/// the block has its own.
pub fn made(ports: &str, block: &str, top: &str) -> Spec {
    with_policy("allow: { fivetran: {} }", &format!("ports: [{ports}]\n{block}"), top)
}

/// The same with other words about who may connect.
pub fn with_policy(policy: &str, block: &str, top: &str) -> Spec {
    let nat = if block.contains("nat_subnets") || block.contains("service_attachment") {
        ""
    } else {
        "nat_subnets: [{ create: { cidr: 10.8.0.0/24 } }]\n"
    };
    let lines: String = format!("{nat}{block}").lines().map(|line| format!("      {line}\n")).collect();
    spec(&format!(
        "version: 1
deployment: stage
{top}
defaults:
  gcp: {{ project: acme-data, region: us-east4, network: prod, subnet: ilb }}
services:
  - name: orders
    {policy}
    gcp:
{lines}"
    ))
}

pub fn spec(text: &str) -> Spec {
    decode("stage.yaml", text).unwrap_or_else(|errors| panic!("{errors:#?}\n{text}"))
}

/// A service with a live connection.
pub async fn connected(spec: &Spec) -> (Stage, String) {
    let stage = Stage::open().await;
    stage.apply(spec).await;
    stage.until_pending(spec, "orders", 2).await;
    let (_, plan, report) = stage.decide(spec, &Ask::default()).await;
    assert_done(&plan, &report);
    let live = stage.connections(spec, "orders").await;
    let id = live.iter().find(|one| one.state == ConnectionState::Accepted).unwrap().id.clone();
    (stage, id)
}

/// It is connected still.
pub async fn assert_live(stage: &Stage, spec: &Spec, id: &str) {
    let live = stage.connections(spec, "orders").await;
    assert!(live.iter().any(|one| one.id == id && one.state == ConnectionState::Accepted), "{live:#?}");
}
