//! What nobody creates: projects, regions, zones, machine types and public images; and the quotas of projects.

use serde_json::{Value, json};

use super::super::body::{Body, Object};
use super::super::call::Call;
use super::super::error::ApiError;
use super::super::link::{self, Parts};
use super::super::world::{Project, World, mix, stable_hash, stamp};
use super::super::{list, view};

/// The regions and their zones.
pub(crate) const REGIONS: [(&str, &[&str]); 2] =
    [("us-east4", &["a", "b", "c"]), ("us-central1", &["a", "b", "c", "f"])];

/// Machine types: name, CPUs, memory in MiB, whether they share a core.
const MACHINE_TYPES: [(&str, u32, u32, bool); 9] = [
    ("e2-micro", 2, 1024, true),
    ("e2-small", 2, 2048, true),
    ("e2-medium", 2, 4096, true),
    ("e2-standard-2", 2, 8192, false),
    ("e2-standard-4", 4, 16384, false),
    ("n2-standard-2", 2, 8192, false),
    ("n2-standard-4", 4, 16384, false),
    ("t2d-standard-1", 1, 4096, false),
    ("c3-standard-4", 4, 16384, false),
];

/// Whether there is such a region or zone.
pub(crate) fn has_place(kind: &str, name: &str) -> bool {
    match kind {
        "region" => REGIONS.iter().any(|(region, _)| *region == name),
        _ => zones().any(|(_, zone)| zone == name),
    }
}

/// Every region's zones: region and full name.
pub(crate) fn zones() -> impl Iterator<Item = (&'static str, String)> {
    REGIONS.iter().flat_map(|(region, letters)| {
        letters.iter().map(move |letter| (*region, format!("{region}-{letter}")))
    })
}

/// Whether there is such a machine type.
pub(crate) fn has_machine_type(name: &str) -> bool {
    MACHINE_TYPES.iter().any(|(known, ..)| *known == name)
        // Custom machine types are made up of their numbers.
        || name.split("custom-").nth(1).is_some_and(|rest| rest.split('-').take(2).all(|part| part.parse::<u32>().is_ok()))
}

/// The read methods of projects, regions, zones and machine types.
pub(crate) fn read(world: &World, call: &Call) -> Result<Value, ApiError> {
    let project = &world.projects[&call.project];
    let missing = |path: &str| ApiError::not_found(path);
    match (call.method.collection(), call.method.verb()) {
        ("projects", "get") => Ok(show_project(&call.project, project).into()),
        ("projects", "getXpnHost") => Ok(match &project.host {
            Some(host) => Value::Object(show_project(host, &world.projects[host])),
            None => json!({ "kind": "compute#project" }),
        }),
        ("projects", _) => Ok(attached_projects(world, call)),
        ("regions", "get") => {
            let path = format!("projects/{}/regions/{}", call.project, call.parameter("region"));
            let found = regions(world, &call.project)
                .into_iter()
                .find(|region| region["selfLink"] == link::url(&path).as_str());
            found.map(Value::Object).ok_or_else(|| missing(&path))
        }
        ("zones", "get") => {
            let path = format!("projects/{}/zones/{}", call.project, call.parameter("zone"));
            let found = all_zones(&call.project)
                .into_iter()
                .find(|zone| zone["selfLink"] == link::url(&path).as_str());
            found.map(Value::Object).ok_or_else(|| missing(&path))
        }
        ("machineTypes", "get") => {
            let name = call.parameter("machineType");
            let zone = call.parameter("zone");
            let found = MACHINE_TYPES.iter().find(|(known, ..)| *known == name);
            let path = format!("projects/{}/zones/{zone}/machineTypes/{name}", call.project);
            found
                .map(|found| show_machine_type(&call.project, zone, found).into())
                .ok_or_else(|| missing(&path))
        }
        _ => list::answer(world, call),
    }
}

/// The items of a list of regions, zones or machine types.
pub(crate) fn items(world: &World, call: &Call) -> Vec<(String, Object)> {
    let found = match call.method.collection() {
        "regions" => regions(world, &call.project),
        "zones" => all_zones(&call.project),
        _ => zones()
            .filter(|(_, zone)| call.method.verb() == "aggregatedList" || zone == call.parameter("zone"))
            .flat_map(|(_, zone)| {
                MACHINE_TYPES
                    .iter()
                    .map(|found| show_machine_type(&call.project, &zone, found))
                    .collect::<Vec<_>>()
            })
            .collect(),
    };
    found
        .into_iter()
        .map(|item| (item.text("selfLink").map(link::path).unwrap_or_default().to_owned(), item))
        .collect()
}

fn epoch() -> String {
    stamp(super::super::default_world::epoch())
}

fn show_project(id: &str, project: &Project) -> Object {
    let mut shown = super::super::body::object(&json!({
        "kind": "compute#project",
        // The discovery document: not the project's id, just an id of Compute Engine's own.
        "id": (1_000_000_000_000_000_000 + mix(project.number) % 8_000_000_000_000_000_000).to_string(),
        "name": id,
        "creationTimestamp": epoch(),
        "selfLink": link::url(&format!("projects/{id}")),
        "commonInstanceMetadata": { "kind": "compute#metadata", "fingerprint": "g0Wg5nw9m0E=" },
        "defaultServiceAccount": format!("{}-compute@developer.gserviceaccount.com", project.number),
        "defaultNetworkTier": "PREMIUM",
        "vmDnsSetting": "ZONAL_ONLY",
        "cloudArmorTier": "CA_STANDARD",
        "quotas": quotas(project, &["NETWORKS", "FIREWALLS", "SERVICE_ATTACHMENTS", "INSTANCE_TEMPLATES"]),
    }));
    if project.role == "host" {
        shown.insert("xpnProjectStatus".to_owned(), json!("HOST"));
    }
    shown
}

fn quotas(project: &Project, metrics: &[&str]) -> Value {
    metrics
        .iter()
        .map(|metric| json!({ "metric": metric, "limit": project.quota as f64, "usage": 0.0 }))
        .collect()
}

fn attached_projects(world: &World, call: &Call) -> Value {
    let attached =
        world.projects.iter().filter(|(_, project)| project.host.as_deref() == Some(&call.project));
    let resources: Vec<Value> = attached.map(|(id, _)| json!({ "id": id, "type": "PROJECT" })).collect();
    json!({ "kind": "compute#projectsGetXpnResources", "resources": resources })
}

fn regions(world: &World, project: &str) -> Vec<Object> {
    let show = |(region, letters): &(&str, &[&str])| {
        let path = format!("projects/{project}/regions/{region}");
        let zones: Vec<String> = letters
            .iter()
            .map(|letter| link::url(&format!("projects/{project}/zones/{region}-{letter}")))
            .collect();
        super::super::body::object(&json!({
            "kind": "compute#region",
            "id": (stable_hash(region) % 9000 + 1000).to_string(),
            "creationTimestamp": epoch(),
            "name": region,
            "description": region,
            "status": "UP",
            "zones": zones,
            "quotas": quotas(&world.projects[project], &["SERVICE_ATTACHMENTS", "INSTANCES"]),
            "selfLink": link::url(&path),
            "supportsPzs": false,
        }))
    };
    REGIONS.iter().map(show).collect()
}

fn all_zones(project: &str) -> Vec<Object> {
    zones()
        .map(|(region, zone)| {
            super::super::body::object(&json!({
                "kind": "compute#zone",
                "id": (stable_hash(&zone) % 9000 + 1000).to_string(),
                "creationTimestamp": epoch(),
                "name": zone,
                "description": zone,
                "status": "UP",
                "region": link::url(&format!("projects/{project}/regions/{region}")),
                "selfLink": link::url(&format!("projects/{project}/zones/{zone}")),
                "availableCpuPlatforms": ["Intel Broadwell", "Intel Cascade Lake"],
                "supportsPzs": false,
            }))
        })
        .collect()
}

fn show_machine_type(project: &str, zone: &str, found: &(&str, u32, u32, bool)) -> Object {
    let (name, cpus, memory, shared) = found;
    super::super::body::object(&json!({
        "kind": "compute#machineType",
        "id": (stable_hash(name) % 900_000 + 100_000).to_string(),
        "creationTimestamp": epoch(),
        "name": name,
        "description": format!("{cpus} vCPUs, {memory} MB RAM"),
        "guestCpus": cpus,
        "memoryMb": memory,
        "imageSpaceGb": 0,
        "maximumPersistentDisks": 128,
        "maximumPersistentDisksSizeGb": "263168",
        "zone": zone,
        "isSharedCpu": shared,
        "architecture": "X86_64",
        "selfLink": link::url(&format!("projects/{project}/zones/{zone}/machineTypes/{name}")),
    }))
}

/// The newest image of a family that is not deprecated.
pub(crate) fn image_of_family(world: &World, call: &Call) -> Result<Value, ApiError> {
    let family = call.parameter("family");
    let newest = world
        .collection(&call.project, "images")
        .filter(|(_, record, _)| {
            record.body.text("family") == Some(family) && !record.body.contains_key("deprecated")
        })
        .max_by_key(|(_, record, _)| record.created);
    match newest {
        Some((path, record, _)) => Ok(Value::Object(view::resource(world, path, record, call))),
        None => Err(ApiError::not_found(&format!("projects/{}/global/images/family/{family}", call.project))),
    }
}

/// 403 when the project has as many of that kind as it may have.
pub(crate) fn within_quota(world: &World, call: &Call) -> Result<(), ApiError> {
    let limit = world.projects[&call.project].quota;
    let count = world.collection(&call.project, call.collection()).count() as u64;
    if count < limit {
        return Ok(());
    }
    let mut metric = String::new();
    for letter in call.collection().chars() {
        if letter.is_ascii_uppercase() {
            metric.push('_');
        }
        metric.push(letter.to_ascii_uppercase());
    }
    let place = match super::region(call) {
        "" => "globally".to_owned(),
        region => format!("in region {region}"),
    };
    Err(ApiError::quota(&metric, limit, &place))
}

/// 403 unless `project` may use the network resource at `path`: its own, or one of its Shared VPC host project.
pub(crate) fn may_use(world: &World, project: &str, path: &str) -> Result<(), ApiError> {
    let owner = Parts::parse(path).map(|parts| parts.project).unwrap_or_default();
    let host = world.projects.get(project).and_then(|project| project.host.as_deref());
    if owner == project || host == Some(owner.as_str()) {
        return Ok(());
    }
    let collection = if path.contains("/subnetworks/") { "subnetworks" } else { "networks" };
    Err(ApiError::forbidden(&format!("compute.{collection}.use"), path))
}
