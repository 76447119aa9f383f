//! Machines: they come up over time.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::body::{Body, Object, object};
use super::super::call::Call;
use super::super::error::{ApiError, Failure};
use super::super::link;
use super::super::view;
use super::super::world::{Effect, Record, World, after, stable_hash, stamp};
use super::{Made, address, catalog, subnetwork};

/// How long a machine is PROVISIONING, and then STAGING, in seconds.
const PROVISIONING: i64 = 3;
const STAGING: i64 = 5;
/// How long it takes to boot and answer, from its start.
const BOOT: i64 = 25;

pub(super) fn insert(world: &World, call: &Call, mut body: Object) -> Result<Made, Failure> {
    let zone = link::last(&call.scope.segment()).to_owned();
    let machine = body.text("machineType").ok_or_else(|| ApiError::required("resource.machineType"))?;
    body.insert("machineType".to_owned(), machine_type(&call.project, &zone, machine)?.into());
    if body.items("disks").is_empty() {
        return Err(ApiError::field("resource.disks", "", "At least one disk must be specified.").into());
    }
    check_images(world, call, body.items("disks"), "resource.disks")?;
    view::check_labels(body.get("labels").unwrap_or(&Value::Null))?;
    body.insert("networkInterfaces".to_owned(), interfaces(world, call, body.items("networkInterfaces"))?);
    Ok(Made { body: complete(body), ..Made::default() })
}

/// What every machine has.
pub(crate) fn complete(mut body: Object) -> Object {
    body.default_to("canIpForward", false);
    body.default_to("deletionProtection", false);
    body.default_to("cpuPlatform", "Intel Broadwell");
    body.default_to("tags", json!({}));
    body.default_to("metadata", json!({ "kind": "compute#metadata" }));
    body.default_to(
        "scheduling",
        json!({ "onHostMaintenance": "MIGRATE", "automaticRestart": true, "preemptible": false }),
    );
    let fingerprint = format!("{:016x}", stable_hash(&body["tags"].to_string()));
    if let Some(Value::Object(tags)) = body.get_mut("tags") {
        use base64::Engine as _;
        let bytes = &fingerprint.as_bytes()[..8];
        tags.insert("fingerprint".to_owned(), base64::engine::general_purpose::URL_SAFE.encode(bytes).into());
    }
    body
}

/// The URL of a machine type that is given by URL.
fn machine_type(project: &str, zone: &str, reference: &str) -> Result<String, ApiError> {
    let wrong = |why: &str| ApiError::field("resource.machineType", reference, why);
    let (before, name) =
        reference.rsplit_once("/machineTypes/").ok_or_else(|| wrong("The URL is malformed."))?;
    if link::last(before) != zone {
        return Err(wrong(&format!("The machine type must be in zone '{zone}'.")));
    }
    match catalog::has_machine_type(name) {
        true => Ok(link::url(&format!("projects/{project}/zones/{zone}/machineTypes/{name}"))),
        false => Err(ApiError::not_found(&format!("projects/{project}/zones/{zone}/machineTypes/{name}"))),
    }
}

/// The images that disks are made from have to be there.
pub(super) fn check_images(world: &World, call: &Call, disks: &[Value], field: &str) -> Result<(), ApiError> {
    for (index, disk) in disks.iter().enumerate() {
        let Some(image) = disk.get("initializeParams").and_then(|params| params.get("sourceImage")?.as_str())
        else {
            continue;
        };
        let at = format!("{field}[{index}].initializeParams.sourceImage");
        let family = image.rsplit_once("/images/family/");
        let Some((project, name)) = family.or_else(|| image.rsplit_once("/images/")) else {
            return Err(ApiError::field(&at, image, "The URL is malformed."));
        };
        let project = project.strip_suffix("/global").unwrap_or(project);
        let project = world.project_id(link::last(project)).unwrap_or_else(|| call.project.clone());
        let found = world.collection(&project, "images").any(|(path, record, _)| match family {
            Some(_) => record.body.text("family") == Some(name),
            None => link::last(path) == name,
        });
        if !found {
            return Err(ApiError::not_found(&format!("projects/{project}/global/images/{name}")));
        }
    }
    Ok(())
}

/// Network interfaces with their networks and addresses.
pub(super) fn interfaces(world: &World, call: &Call, given: &[Value]) -> Result<Value, ApiError> {
    if given.is_empty() {
        return Err(ApiError::field(
            "resource.networkInterfaces",
            "",
            "At least one network interface is required.",
        ));
    }
    let mut made = Vec::new();
    for (index, nic) in given.iter().enumerate() {
        let mut nic = object(nic);
        let at = format!("resource.networkInterfaces[{index}].subnetwork");
        let reference = nic.text("subnetwork").ok_or_else(|| ApiError::required(&at))?.to_owned();
        let (path, network, purpose) = subnetwork::refer(world, call, &at, &reference)?;
        if purpose != "PRIVATE" {
            return Err(ApiError::field(
                &at,
                &reference,
                &format!("A subnetwork of purpose {purpose} takes no machines."),
            ));
        }
        let ip = address::take(world, &path, &at.replace("subnetwork", "networkIP"), nic.text("networkIP"))?;
        nic.insert("network".to_owned(), network.into());
        nic.insert("subnetwork".to_owned(), link::url(&path).into());
        nic.insert("networkIP".to_owned(), ip.to_string().into());
        nic.insert("name".to_owned(), format!("nic{index}").into());
        nic.insert("kind".to_owned(), "compute#networkInterface".into());
        nic.default_to("stackType", "IPV4_ONLY");
        nic.insert("fingerprint".to_owned(), "s3Vp0n0b7Xg=".into());
        made.push(Value::Object(nic));
    }
    Ok(Value::Array(made))
}

pub(super) fn check_delete(record: &Record, path: &str) -> Result<(), ApiError> {
    if record.body.flag("deletionProtection") {
        return Err(ApiError::invalid(format!(
            "Resource cannot be deleted if it's protected against deletion. Resource: '{path}'"
        )));
    }
    Ok(())
}

/// `setTags`, `start` and `stop`.
pub(super) fn custom(world: &World, call: &Call, path: &str) -> Result<Vec<Effect>, Failure> {
    let mark = |mark: &str, clear: &str| {
        vec![Effect::Mark { path: path.to_owned(), mark: mark.to_owned(), clear: Some(clear.to_owned()) }]
    };
    match call.method.verb() {
        "start" => Ok(mark("started", "stopped")),
        "stop" => Ok(mark("stopped", "started")),
        _ => {
            let mut body = world.get(path)?.body.clone();
            let current = body.get("tags").and_then(|tags| tags.get("fingerprint")).cloned();
            if call.body.get("fingerprint") != current.as_ref() {
                return Err(ApiError::condition_not_met("fingerprint").into());
            }
            body.insert("tags".to_owned(), json!({ "items": call.body.items("items") }));
            Ok(vec![Effect::Body { path: path.to_owned(), body: complete(body) }])
        }
    }
}

fn started(record: &Record) -> Timestamp {
    record.marks.get("started").copied().unwrap_or(record.created)
}

/// The machine's status at that time.
pub(crate) fn status(world: &World, record: &Record, now: Timestamp) -> &'static str {
    let running = record.busy.as_deref().and_then(|path| world.operations.get(path));
    if running.is_some_and(|operation| matches!(operation.kind.as_str(), "delete" | "stop")) {
        return "STOPPING";
    }
    if record.marks.contains_key("stopped") {
        return "TERMINATED";
    }
    let start = started(record);
    match () {
        () if now < after(start, PROVISIONING) => "PROVISIONING",
        () if now < after(start, PROVISIONING + STAGING) => "STAGING",
        () => "RUNNING",
    }
}

/// Since when the machine answers, if it does or will.
pub(crate) fn answers_since(record: &Record) -> Option<Timestamp> {
    (!record.marks.contains_key("stopped")).then(|| after(started(record), BOOT))
}

/// The first interface: network's URL, subnetwork's URL, address.
pub(crate) fn interface(record: &Record) -> Option<(&str, &str, &str)> {
    let nic = record.body.items("networkInterfaces").first()?.as_object()?;
    Some((nic.text("network")?, nic.text("subnetwork")?, nic.text("networkIP")?))
}

/// The network tags.
pub(crate) fn tags(record: &Record) -> Vec<String> {
    record.body.get("tags").and_then(Value::as_object).map(|tags| tags.texts("items")).unwrap_or_default()
}

pub(crate) fn show(world: &World, record: &Record, now: Timestamp, shown: &mut Object) {
    shown.insert("status".to_owned(), json!(status(world, record, now)));
    shown.insert("lastStartTimestamp".to_owned(), json!(stamp(started(record))));
    if let Some(at) = record.marks.get("stopped") {
        shown.insert("lastStopTimestamp".to_owned(), json!(stamp(*at)));
    }
}
