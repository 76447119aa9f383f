//! Managed instance groups, zonal and regional: machines that come up over time, and come back when they are deleted.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::body::{Body, Object, object};
use super::super::call::Call;
use super::super::error::{ApiError, Failure};
use super::super::link::{self, Scope};
use super::super::world::{Effect, Member, Record, World};
use super::super::{list, references};
use super::{Made, catalog, instance};

pub(super) fn insert(world: &World, call: &Call, mut body: Object) -> Result<Made, Failure> {
    let name = body.text("name").unwrap_or_default().to_owned();
    let base = name.chars().take(58).collect::<String>();
    body.default_to("baseInstanceName", base.trim_end_matches('-'));
    templates(world, call, &mut body)?;
    if let Scope::Region(region) = &call.scope {
        let given: Vec<String> =
            distribution(&body).into_iter().map(|url| link::last(&url).to_owned()).collect();
        let mut zones = Vec::new();
        for zone in given {
            if !catalog::has_place("zone", &zone) || link::region_of(&zone) != region {
                return Err(ApiError::field(
                    "resource.distributionPolicy.zones",
                    &zone,
                    &format!("The zone must be in region '{region}'."),
                )
                .into());
            }
            zones.push(zone);
        }
        if zones.is_empty() {
            zones = catalog::zones().filter(|(of, _)| of == region).take(3).map(|(_, zone)| zone).collect();
        }
        let zones: Vec<Value> = zones
            .iter()
            .map(|zone| json!({ "zone": link::url(&format!("projects/{}/zones/{zone}", call.project)) }))
            .collect();
        body.insert("distributionPolicy".to_owned(), json!({ "zones": zones, "targetShape": "EVEN" }));
    }
    body.default_to("updatePolicy", json!({}));
    if let Some(Value::Object(policy)) = body.get_mut("updatePolicy") {
        policy.default_to("type", "OPPORTUNISTIC");
        policy.default_to("minimalAction", "REPLACE");
        policy.default_to("replacementMethod", "SUBSTITUTE");
        policy.default_to("maxSurge", json!({ "fixed": 1, "calculated": 1 }));
        policy.default_to("maxUnavailable", json!({ "fixed": 1, "calculated": 1 }));
    }
    body.default_to(
        "instanceLifecyclePolicy",
        json!({ "forceUpdateOnRepair": "NO", "defaultActionOnFailure": "REPAIR" }),
    );
    body.default_to("listManagedInstancesResults", "PAGELESS");
    let group = format!("{}/{name}", call.parent().replace("instanceGroupManagers", "instanceGroups"));
    body.insert("instanceGroup".to_owned(), link::url(&group).into());
    Ok(Made { body, ..Made::default() })
}

/// `instanceTemplate` and `versions` say the same thing; the server keeps both.
fn templates(world: &World, call: &Call, body: &mut Object) -> Result<(), ApiError> {
    let versions = body.items("versions").to_vec();
    let first =
        versions.first().and_then(|version| version.get("instanceTemplate")?.as_str()).map(str::to_owned);
    let given = body.text("instanceTemplate").map(str::to_owned);
    if versions.len() > 1 {
        return Err(ApiError::field("resource.versions", "", "The sandbox has groups of one version."));
    }
    let reference = given.or(first).ok_or_else(|| ApiError::required("resource.instanceTemplate"))?;
    let (path, _) =
        world.refer(&call.project, "resource.instanceTemplate", &reference, &["instanceTemplates"])?;
    body.insert("instanceTemplate".to_owned(), link::url(&path).into());
    let mut version = versions.first().map(object).unwrap_or_default();
    version.insert("instanceTemplate".to_owned(), link::url(&path).into());
    version.insert("targetSize".to_owned(), json!({ "calculated": body.int("targetSize").unwrap_or(0) }));
    body.insert("versions".to_owned(), json!([version]));
    Ok(())
}

pub(super) fn distribution(body: &Object) -> Vec<String> {
    let zones = body.get("distributionPolicy").and_then(|policy| policy.get("zones")?.as_array());
    zones.into_iter().flatten().filter_map(|zone| zone.get("zone")?.as_str().map(str::to_owned)).collect()
}

/// The instance group that comes with a manager.
pub(super) fn put_group(world: &mut World, call: &Call, manager: &str) {
    let path = group_of(manager);
    let id = world.fresh_id();
    let name = link::last(&path).to_owned();
    let described = format!(
        "This instance group is controlled by Instance Group Manager '{name}'. To modify instances in this group, use the Instance Group Manager API."
    );
    let mut body = object(&json!({ "name": name, "description": described }));
    super::super::view::place(&mut body, call);
    world.put(&path, id, body, call.now);
}

pub(super) fn group_of(manager: &str) -> String {
    manager.replace("/instanceGroupManagers/", "/instanceGroups/")
}

pub(super) fn members<'a>(world: &'a World, manager: &str) -> &'a [Member] {
    world.resources.get(&group_of(manager)).map_or(&[], |record| &record.members)
}

/// Refuses while the group is a backend; the machines and the group go with their manager.
pub(super) fn check_delete(world: &World, manager: &str) -> Result<Vec<Effect>, ApiError> {
    let group = group_of(manager);
    if let Some(user) = references::user(world, &group) {
        return Err(ApiError::in_use("instance_group_manager", manager, &user));
    }
    let mut effects: Vec<Effect> = members(world, manager)
        .iter()
        .map(|member| Effect::Remove { path: member.instance.clone() })
        .collect();
    effects.push(Effect::Remove { path: group });
    Ok(effects)
}

pub(super) fn change(world: &World, call: &Call, old: &Object, mut new: Object) -> Result<Object, Failure> {
    // A new template, whether it is given as such or as a version, replaces the old one.
    let differs = |field: &str| old.get(field) != new.get(field);
    if differs("versions") && !differs("instanceTemplate") {
        new.remove("instanceTemplate");
    } else if differs("instanceTemplate") {
        new.remove("versions");
    }
    templates(world, call, &mut new)?;
    for kept in ["instanceGroup", "distributionPolicy"] {
        if let Some(value) = old.get(kept) {
            new.insert(kept.to_owned(), value.clone());
        }
    }
    super::immutable(old, &new, &["baseInstanceName"])?;
    Ok(new)
}

/// `resize`, `setInstanceTemplate`, `recreateInstances` and `deleteInstances`.
pub(super) fn custom(world: &World, call: &Call, path: &str) -> Result<Vec<Effect>, Failure> {
    let record = world.get(path)?;
    let mut body = record.body.clone();
    match call.method.verb() {
        "resize" => {
            let size = call
                .query("size")
                .and_then(|size| size.parse::<i64>().ok())
                .filter(|size| (0..=1000).contains(size));
            body.insert("targetSize".to_owned(), json!(size.ok_or_else(|| ApiError::required("size"))?));
            templates(world, call, &mut body)?;
        }
        "setInstanceTemplate" => {
            let template =
                call.body.text("instanceTemplate").ok_or_else(|| ApiError::required("instanceTemplate"))?;
            body.insert("instanceTemplate".to_owned(), template.into());
            body.remove("versions");
            templates(world, call, &mut body)?;
        }
        verb => {
            let mut effects = Vec::new();
            for (index, reference) in call.body.texts("instances").iter().enumerate() {
                let (instance, _) =
                    world.refer(&call.project, &format!("instances[{index}]"), reference, &["instances"])?;
                if !members(world, path).iter().any(|member| member.instance == instance) {
                    return Err(ApiError::field(
                        &format!("instances[{index}]"),
                        reference,
                        "The instance is not in the group.",
                    )
                    .into());
                }
                effects.push(Effect::Remove { path: instance });
            }
            if verb == "deleteInstances" {
                let size = body.int("targetSize").unwrap_or(0) - i64::try_from(effects.len()).unwrap_or(0);
                body.insert("targetSize".to_owned(), json!(size.max(0)));
                templates(world, call, &mut body)?;
            } else {
                return Ok(effects);
            }
            effects.push(Effect::Body { path: path.to_owned(), body });
            return Ok(effects);
        }
    }
    Ok(vec![Effect::Body { path: path.to_owned(), body }])
}

fn action(world: &World, record: Option<&Record>, now: Timestamp) -> &'static str {
    match record.map(|record| instance::status(world, record, now)) {
        None | Some("PROVISIONING" | "STAGING") => "CREATING",
        Some("STOPPING") => "DELETING",
        Some(_) => "NONE",
    }
}

pub(crate) fn show(world: &World, path: &str, record: &Record, now: Timestamp, shown: &mut Object) {
    let actions: Vec<&str> = members(world, path)
        .iter()
        .map(|member| action(world, world.resources.get(&member.instance), now))
        .collect();
    let wanted = usize::try_from(record.body.int("targetSize").unwrap_or(0)).unwrap_or(0);
    let count = |kind: &str| actions.iter().filter(|action| **action == kind).count();
    // Machines that have not been begun are being created too.
    let creating = count("CREATING") + wanted.saturating_sub(actions.len());
    shown.insert("instanceGroup".to_owned(), link::url(&group_of(path)).into());
    shown.insert(
        "currentActions".to_owned(),
        json!({
            "none": count("NONE"), "creating": creating, "creatingWithoutRetries": 0, "deleting": count("DELETING"),
            "abandoning": 0, "recreating": 0, "refreshing": 0, "restarting": 0, "resuming": 0, "starting": 0,
            "stopping": 0, "suspending": 0, "verifying": 0,
        }),
    );
    let stable = record.busy.is_none() && creating == 0 && count("DELETING") == 0;
    shown.insert(
        "status".to_owned(),
        json!({ "isStable": stable, "versionTarget": { "isReached": stable }, "stateful": { "hasStatefulConfig": false } }),
    );
}

pub(super) fn list_managed(world: &World, call: &Call) -> Result<Value, ApiError> {
    let path = call.target(world);
    let record = world.get(&path)?;
    let template = record.body.text("instanceTemplate").unwrap_or_default();
    let items = members(world, &path).iter().map(|member| {
        let machine = world.resources.get(&member.instance);
        let made_from =
            machine.and_then(|machine| made_from(&machine.body)).unwrap_or_else(|| template.to_owned());
        let mut item = object(&json!({
            "instance": link::url(&member.instance),
            "name": link::last(&member.instance),
            "currentAction": action(world, machine, call.now),
            "targetStatus": "RUNNING",
            "version": { "instanceTemplate": made_from },
        }));
        if let Some(machine) = machine {
            item.insert("id".to_owned(), machine.id.to_string().into());
            item.insert("instanceStatus".to_owned(), instance::status(world, machine, call.now).into());
        }
        (member.instance.clone(), item)
    });
    list::managed(call, items.collect())
}

fn made_from(body: &Object) -> Option<String> {
    let items = body.get("metadata")?.get("items")?.as_array()?;
    let entry = items.iter().find(|item| item["key"] == "instance-template")?;
    entry["value"].as_str().map(str::to_owned)
}

/// Machines never fail to come up here, unless they are made to by a fault: the list is there and empty.
pub(super) fn list_errors(world: &World, call: &Call) -> Result<Value, ApiError> {
    world.get(&call.target(world))?;
    Ok(json!({}))
}
