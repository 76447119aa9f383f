//! Instance templates: they cannot be changed.

use serde_json::{Value, json};

use super::super::body::{Body, Object, object};
use super::super::call::Call;
use super::super::error::{ApiError, Failure};
use super::super::link;
use super::super::world::World;
use super::{Made, catalog, instance};

pub(super) fn insert(world: &World, call: &Call, mut body: Object) -> Result<Made, Failure> {
    let mut properties =
        body.get("properties").map(object).ok_or_else(|| ApiError::required("resource.properties"))?;
    let machine = properties
        .text("machineType")
        .ok_or_else(|| ApiError::required("resource.properties.machineType"))?;
    if machine.contains('/') || !catalog::has_machine_type(machine) {
        return Err(ApiError::field(
            "resource.properties.machineType",
            machine,
            "Must be the name of a machine type.",
        )
        .into());
    }
    if properties.items("disks").is_empty() {
        return Err(
            ApiError::field("resource.properties.disks", "", "At least one disk must be specified.").into()
        );
    }
    instance::check_images(world, call, properties.items("disks"), "resource.properties.disks")?;
    properties.insert(
        "networkInterfaces".to_owned(),
        interfaces(world, call, properties.items("networkInterfaces"))?,
    );
    properties.default_to("canIpForward", false);
    body.insert("properties".to_owned(), Value::Object(properties));
    Ok(Made { body, ..Made::default() })
}

/// The interfaces' networks as URLs; a template takes any subnetwork that its project may use.
fn interfaces(world: &World, call: &Call, given: &[Value]) -> Result<Value, ApiError> {
    let mut made = Vec::new();
    for (index, nic) in given.iter().enumerate() {
        let mut nic = object(nic);
        let at = |name: &str| format!("resource.properties.networkInterfaces[{index}].{name}");
        for (name, collection) in [("network", "networks"), ("subnetwork", "subnetworks")] {
            let Some(reference) = nic.text(name).map(str::to_owned) else { continue };
            let (path, record) = world.refer(&call.project, &at(name), &reference, &[collection])?;
            catalog::may_use(world, &call.project, &path)?;
            if name == "subnetwork" {
                let network = record.body.text("network").unwrap_or_default().to_owned();
                nic.insert("network".to_owned(), network.into());
            }
            nic.insert(name.to_owned(), link::url(&path).into());
        }
        if !nic.has("network") {
            return Err(ApiError::required(&at("subnetwork")));
        }
        nic.insert("name".to_owned(), json!(format!("nic{index}")));
        nic.insert("kind".to_owned(), json!("compute#networkInterface"));
        made.push(Value::Object(nic));
    }
    match made.is_empty() {
        true => Err(ApiError::required("resource.properties.networkInterfaces")),
        false => Ok(Value::Array(made)),
    }
}
