//! The world of a new sandbox: fixed ids, which the examples and the README of this folder use.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::body::object;
use super::kinds::instance;
use super::link::{self, Scope};
use super::world::{Member, Project, World};
use crate::frame::Table;

/// The producer: whose databases are published.
pub(crate) const PRODUCER: &str = "acme-data";
/// The producer's Shared VPC host project.
pub(crate) const HOST: &str = "acme-net";
/// The vendor's project.
pub(crate) const CONSUMER: &str = "fivetran-donkeys";
/// Somebody whom nobody has invited.
pub(crate) const STRANGER: &str = "mallory-labs";
/// A colleague's project; it connects when told to.
pub(crate) const COLLEAGUE: &str = "acme-reader";
/// A project that may have two resources of each kind.
pub(crate) const TIGHT: &str = "acme-tiny";

/// When everything in the default world was made: 2026-01-05 09:00 UTC.
pub(crate) fn epoch() -> Timestamp {
    Timestamp::from_second(1_767_603_600).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Builds the default world.
pub(crate) fn build() -> World {
    let mut world = World {
        counter: 0,
        projects: projects(),
        resources: Table::default(),
        operations: Table::default(),
        running: Vec::new(),
        endpoints: BTreeMap::new(),
        arrivals: Vec::new(),
        raised: BTreeMap::new(),
    };
    networks(&mut world);
    machines(&mut world);
    legacy(&mut world);
    images(&mut world);
    world
}

fn projects() -> BTreeMap<String, Project> {
    let project = |number: u64, role: &str| Project {
        number,
        role: role.to_owned(),
        host: None,
        quota: 5000,
        arrives_after: None,
    };
    [
        (PRODUCER, Project { host: Some(HOST.to_owned()), ..project(123_456_789_012, "producer") }),
        (HOST, project(223_456_789_012, "host")),
        (CONSUMER, Project { arrives_after: Some(25), ..project(323_456_789_012, "consumer") }),
        (STRANGER, Project { arrives_after: Some(15), ..project(423_456_789_012, "stranger") }),
        (COLLEAGUE, project(523_456_789_012, "colleague")),
        (TIGHT, Project { quota: 2, ..project(623_456_789_012, "tight") }),
        ("debian-cloud", project(461_097_360_154, "images")),
        ("ubuntu-os-cloud", project(99_136_033_045, "images")),
        ("cos-cloud", project(1_009_910_231_093, "images")),
    ]
    .into_iter()
    .map(|(id, project)| (id.to_owned(), project))
    .collect()
}

fn put(world: &mut World, project: &str, scope: &Scope, collection: &str, name: &str, body: Value) -> String {
    let path = link::join(project, scope, collection, name);
    let id = world.fresh_id();
    let Value::Object(mut body) = body else { return path };
    body.insert("name".to_owned(), name.into());
    let place = link::url(&format!("projects/{project}/{}", scope.segment()));
    match scope {
        Scope::Region(_) => body.insert("region".to_owned(), place.into()),
        Scope::Zone(_) => body.insert("zone".to_owned(), place.into()),
        Scope::Global => None,
    };
    world.put(&path, id, body, epoch());
    path
}

fn network(world: &mut World, project: &str, name: &str) -> String {
    let body = json!({
        "autoCreateSubnetworks": false,
        "networkFirewallPolicyEnforcementOrder": "AFTER_CLASSIC_FIREWALL",
        "routingConfig": { "routingMode": "REGIONAL", "bgpBestPathSelectionMode": "LEGACY" },
    });
    put(world, project, &Scope::Global, "networks", name, body)
}

fn subnetwork(world: &mut World, network: &str, region: &str, name: &str, range: &str, purpose: &str) {
    let project = network.split('/').nth(1).unwrap_or_default().to_owned();
    let gateway = range.rsplit_once('.').map(|(start, _)| format!("{start}.1")).unwrap_or_default();
    let body = json!({
        "network": link::url(network),
        "ipCidrRange": range,
        "gatewayAddress": gateway,
        "purpose": purpose,
        "privateIpGoogleAccess": false,
        "privateIpv6GoogleAccess": "DISABLE_GOOGLE_ACCESS",
        "allowSubnetCidrRoutesOverlap": false,
        "stackType": "IPV4_ONLY",
    });
    put(world, &project, &Scope::Region(region.to_owned()), "subnetworks", name, body);
}

fn networks(world: &mut World) {
    let prod = network(world, PRODUCER, "prod");
    subnetwork(world, &prod, "us-east4", "ilb", "10.7.0.0/24", "PRIVATE");
    subnetwork(world, &prod, "us-east4", "data", "10.7.1.0/24", "PRIVATE");
    subnetwork(world, &prod, "us-east4", "nat-shared-db", "10.7.8.0/28", "PRIVATE_SERVICE_CONNECT");
    subnetwork(world, &prod, "us-east4", "nat-spare", "10.7.9.0/24", "PRIVATE_SERVICE_CONNECT");
    subnetwork(world, &prod, "us-central1", "ilb", "10.9.0.0/24", "PRIVATE");
    let shared = network(world, HOST, "shared");
    subnetwork(world, &shared, "us-east4", "ilb", "10.20.0.0/24", "PRIVATE");
    let tiny = network(world, TIGHT, "prod");
    subnetwork(world, &tiny, "us-east4", "ilb", "10.7.0.0/24", "PRIVATE");
    for (project, octet) in [(CONSUMER, 100), (STRANGER, 101), (COLLEAGUE, 102)] {
        let own = network(world, project, "consumer");
        for (index, region) in ["us-east4", "us-central1"].iter().enumerate() {
            subnetwork(world, &own, region, "consumer", &format!("10.{octet}.{}.0/22", index * 4), "PRIVATE");
        }
    }
}

/// A machine: zone, name, subnetwork's path, address, tags.
fn machine(
    world: &mut World,
    zone: &str,
    name: &str,
    subnetwork: &str,
    address: &str,
    tags: &[&str],
) -> String {
    let network = world.resources.get(subnetwork).and_then(|record| record.body.get("network").cloned());
    let body = json!({
        "machineType": link::url(&format!("projects/{PRODUCER}/zones/{zone}/machineTypes/e2-standard-4")),
        "networkInterfaces": [{
            "kind": "compute#networkInterface", "name": "nic0", "network": network,
            "subnetwork": link::url(subnetwork), "networkIP": address, "stackType": "IPV4_ONLY",
            "fingerprint": "s3Vp0n0b7Xg=",
        }],
        "disks": [{ "boot": true, "autoDelete": true, "index": 0, "type": "PERSISTENT", "mode": "READ_WRITE", "deviceName": name }],
        "tags": { "items": tags },
        "labels": { "team": "data" },
    });
    let body = Value::Object(instance::complete(object(&body)));
    put(world, PRODUCER, &Scope::Zone(zone.to_owned()), "instances", name, body)
}

fn machines(world: &mut World) {
    let subnet = |project: &str, region: &str, name: &str| {
        format!("projects/{project}/regions/{region}/subnetworks/{name}")
    };
    machine(world, "us-east4-b", "db-1", &subnet(PRODUCER, "us-east4", "ilb"), "10.7.0.10", &[]);
    machine(world, "us-east4-c", "db-2", &subnet(PRODUCER, "us-east4", "data"), "10.7.1.10", &["db"]);
    machine(world, "us-central1-a", "db-central", &subnet(PRODUCER, "us-central1", "ilb"), "10.9.0.10", &[]);
    machine(world, "us-east4-b", "db-hosted", &subnet(HOST, "us-east4", "ilb"), "10.20.0.10", &[]);
}

/// What was there before: an instance group behind a load balancer, published to a colleague (step 8 of the vendor's
/// instructions begins here).
fn legacy(world: &mut World) {
    let region = Scope::Region("us-east4".to_owned());
    let ilb = format!("projects/{PRODUCER}/regions/us-east4/subnetworks/ilb");
    let instance = machine(world, "us-east4-a", "db-3", &ilb, "10.7.0.11", &["shared-db"]);
    let group = put(
        world,
        PRODUCER,
        &Scope::Zone("us-east4-a".to_owned()),
        "instanceGroups",
        "db-group",
        json!({ "description": "" }),
    );
    if let Some(record) = world.resources.get_mut(&group) {
        record.members.push(Member { instance, address: None, port: None, since: epoch() });
    }
    let network = link::url(&format!("projects/{PRODUCER}/global/networks/prod"));
    put(
        world,
        PRODUCER,
        &Scope::Global,
        "firewalls",
        "shared-db-health",
        json!({
            "network": network, "direction": "INGRESS", "priority": 1000, "disabled": false, "logConfig": { "enable": false },
            "sourceRanges": ["35.191.0.0/16", "130.211.0.0/22", "10.7.8.0/28", "10.7.0.0/24"],
            "targetTags": ["shared-db"], "allowed": [{ "IPProtocol": "tcp", "ports": ["5432"] }],
        }),
    );
    let check = put(
        world,
        PRODUCER,
        &region,
        "healthChecks",
        "shared-db",
        json!({
            "type": "TCP", "checkIntervalSec": 10, "timeoutSec": 5, "healthyThreshold": 2, "unhealthyThreshold": 2,
            "tcpHealthCheck": { "port": 5432, "proxyHeader": "NONE" },
        }),
    );
    let service = put(
        world,
        PRODUCER,
        &region,
        "backendServices",
        "shared-db",
        json!({
            "loadBalancingScheme": "INTERNAL", "protocol": "TCP", "sessionAffinity": "NONE", "timeoutSec": 30,
            "connectionDraining": { "drainingTimeoutSec": 0 }, "healthChecks": [link::url(&check)],
            "backends": [{ "group": link::url(&group), "balancingMode": "CONNECTION" }],
        }),
    );
    let rule = put(
        world,
        PRODUCER,
        &region,
        "forwardingRules",
        "shared-db",
        json!({
            "loadBalancingScheme": "INTERNAL", "IPProtocol": "TCP", "IPAddress": "10.7.0.5", "ports": ["5432"],
            "backendService": link::url(&service), "network": network, "subnetwork": link::url(&ilb), "networkTier": "PREMIUM",
        }),
    );
    put(
        world,
        PRODUCER,
        &region,
        "serviceAttachments",
        "shared-db",
        json!({
            "description": "shared by hand, for our own analysts", "connectionPreference": "ACCEPT_MANUAL",
            "targetService": link::url(&rule), "enableProxyProtocol": false, "reconcileConnections": false,
            "natSubnets": [link::url(&format!("projects/{PRODUCER}/regions/us-east4/subnetworks/nat-shared-db"))],
            "consumerAcceptLists": [{ "projectIdOrNum": COLLEAGUE, "connectionLimit": 2 }],
        }),
    );
    let attachment = format!("projects/{PRODUCER}/regions/us-east4/serviceAttachments/shared-db");
    let _ = super::consumer::raise(world, COLLEAGUE, &attachment, epoch());
}

fn images(world: &mut World) {
    for (project, name, family, license, old) in [
        ("debian-cloud", "debian-12-bookworm-v20250910", "debian-12", "debian-12-bookworm", true),
        ("debian-cloud", "debian-12-bookworm-v20251215", "debian-12", "debian-12-bookworm", false),
        ("debian-cloud", "debian-13-trixie-v20251215", "debian-13", "debian-13-trixie", false),
        (
            "ubuntu-os-cloud",
            "ubuntu-2404-noble-amd64-v20251210",
            "ubuntu-2404-lts-amd64",
            "ubuntu-2404-lts",
            false,
        ),
        (
            "ubuntu-os-cloud",
            "ubuntu-2404-noble-arm64-v20251210",
            "ubuntu-2404-lts-arm64",
            "ubuntu-2404-lts",
            false,
        ),
        ("ubuntu-os-cloud", "ubuntu-2204-jammy-v20251201", "ubuntu-2204-lts", "ubuntu-2204-lts", false),
        ("cos-cloud", "cos-stable-121-18867-294-5", "cos-stable", "cos", false),
        // An image of the producer's own, made of Ubuntu's: it has that one's license, and no family.
        (PRODUCER, "golden-forwarder", "", "ubuntu-2404-lts", false),
    ] {
        let arm = family.ends_with("arm64");
        let licensor = if project == PRODUCER { "ubuntu-os-cloud" } else { project };
        let mut body = json!({
            "description": name, "status": "READY", "architecture": if arm { "ARM64" } else { "X86_64" },
            "diskSizeGb": "10", "archiveSizeBytes": "1423123456", "sourceType": "RAW",
            "licenses": [link::url(&format!("projects/{licensor}/global/licenses/{license}"))],
            "guestOsFeatures": [{ "type": "UEFI_COMPATIBLE" }, { "type": "VIRTIO_SCSI_MULTIQUEUE" }],
            "storageLocations": ["us"],
        });
        if !family.is_empty() {
            body["family"] = json!(family);
        }
        if old {
            body["deprecated"] = json!({ "state": "DEPRECATED" });
        }
        put(world, project, &Scope::Global, "images", name, body);
    }
}

/// The fixed ids, for `privnet sandbox world`.
pub(crate) fn describe(world: &World) -> Value {
    let projects: serde_json::Map<String, Value> = world
        .projects
        .iter()
        .map(|(id, project)| (id.clone(), json!({ "number": project.number.to_string(), "role": project.role, "host_project": project.host })))
        .collect();
    let mut resources: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for path in world.resources.keys() {
        if let Some(parts) = link::Parts::parse(path) {
            resources.entry(parts.collection).or_default().push(path);
        }
    }
    let endpoints: Vec<Value> = world
        .endpoints
        .iter()
        .map(|(path, endpoint)| {
            json!({
                "connection": endpoint.connection.to_string(), "consumer": endpoint.project, "endpoint": path,
                "service": endpoint.attachment, "status": super::connection::status(world, path),
            })
        })
        .collect();
    json!({ "api_revision": super::api::API.revision, "projects": projects, "regions": ["us-east4", "us-central1"], "resources": resources, "endpoints": endpoints })
}
