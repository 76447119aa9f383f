//! Brings a managed group to its size: begins machines that are missing, ends those that are too many.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::body::{Body, Object, object};
use super::super::link::{self, Parts, Scope};
use super::super::operation::{self, Start};
use super::super::world::{Effect, Member, World, after, mix};
use super::manager::{distribution, group_of, members};
use super::{address, instance};

/// Machines of a group are begun one after the other, this many seconds apart.
const STAGGER: i64 = 1;

/// Makes a group have as many machines as it should: begins the missing ones, ends the surplus.
pub(crate) fn balance(world: &mut World, manager: &str, at: Timestamp) {
    let Some(record) = world.resources.get(manager) else { return };
    let wanted = usize::try_from(record.body.int("targetSize").unwrap_or(0)).unwrap_or(0);
    let group = group_of(manager);
    let resources = &world.resources;
    let present: Vec<Member> = members(world, manager)
        .iter()
        .filter(|member| resources.contains_key(&member.instance))
        .cloned()
        .collect();
    let (stay, surplus) = present.split_at(wanted.min(present.len()));
    let (mut stay, surplus) = (stay.to_vec(), surplus.to_vec());
    for member in surplus {
        end(world, &member.instance, at);
    }
    for number in stay.len()..wanted {
        let offset = i64::try_from(number).unwrap_or(0) * STAGGER;
        match begin(world, manager, number, after(at, offset)) {
            Some(member) => stay.push(member),
            None => break,
        }
    }
    if let Some(group) = world.resources.get_mut(&group) {
        group.members = stay;
    }
}

/// A machine of a group has been deleted by somebody: the group makes another.
pub(crate) fn lost(world: &mut World, instance: &str, at: Timestamp) {
    let groups: Vec<String> = world
        .resources
        .iter()
        .filter(|(path, record)| {
            path.contains("/instanceGroups/")
                && record.members.iter().any(|member| member.instance == instance)
        })
        .map(|(path, _)| path.clone())
        .collect();
    for group in groups {
        let manager = group.replace("/instanceGroups/", "/instanceGroupManagers/");
        if world.resources.contains_key(&manager) {
            balance(world, &manager, at);
        } else if let Some(record) = world.resources.get_mut(&group) {
            record.members.retain(|member| member.instance != instance);
        }
    }
}

fn end(world: &mut World, instance: &str, at: Timestamp) {
    let Some(parts) = Parts::parse(instance) else { return };
    let Some(id) = world.resources.get(instance).map(|record| record.id) else { return };
    let effects = vec![Effect::Remove { path: instance.to_owned() }];
    let start = Start {
        project: &parts.project,
        scope: &parts.scope,
        kind: "delete",
        target: instance,
        target_id: id,
        seconds: 40,
        effects,
        error: None,
        request_id: None,
    };
    operation::start(world, start, at);
}

fn begin(world: &mut World, manager: &str, number: usize, at: Timestamp) -> Option<Member> {
    let parts = Parts::parse(manager)?;
    let record = world.resources.get(manager)?;
    let (body, template) =
        (record.body.clone(), record.body.text("instanceTemplate").map(link::path)?.to_owned());
    let zones: Vec<String> = match &parts.scope {
        Scope::Zone(zone) => vec![zone.clone()],
        _ => distribution(&body).iter().map(|url| link::last(url).to_owned()).collect(),
    };
    let zone = zones.get(number % zones.len().max(1))?.clone();
    let properties = world.resources.get(&template)?.body.get("properties").map(object)?;
    let id = world.fresh_id();
    let name = format!("{}-{}", body.text("baseInstanceName")?, suffix(id));
    let scope = Scope::Zone(zone.clone());
    let path = link::join(&parts.project, &scope, "instances", &name);
    let place = link::url(&format!("projects/{}/zones/{zone}", parts.project));
    let mut machine = object(&json!({ "name": name, "zone": place }));
    for (field, value) in properties {
        machine.insert(field, value);
    }
    let kind = machine.text("machineType").unwrap_or_default().to_owned();
    machine.insert("machineType".to_owned(), format!("{place}/machineTypes/{kind}").into());
    addresses(world, &zone, &mut machine)?;
    let metadata = machine.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        let mut items = metadata.items("items").to_vec();
        items.push(json!({ "key": "created-by", "value": link::url(manager) }));
        items.push(json!({ "key": "instance-template", "value": link::url(&template) }));
        metadata.insert("items".to_owned(), json!(items));
    }
    world.put(&path, id, instance::complete(machine), at);
    let start = Start {
        project: &parts.project,
        scope: &scope,
        kind: "insert",
        target: &path,
        target_id: id,
        seconds: 10,
        effects: Vec::new(),
        error: None,
        request_id: None,
    };
    operation::start(world, start, at);
    Some(Member { instance: path, address: None, port: None, since: at })
}

fn addresses(world: &World, zone: &str, machine: &mut Object) -> Option<()> {
    let mut nics = Vec::new();
    for nic in machine.items("networkInterfaces") {
        let mut nic = object(nic);
        let subnetwork = match nic.text("subnetwork") {
            Some(url) => link::path(url).to_owned(),
            None => first_subnetwork(world, nic.text("network")?, link::region_of(zone))?,
        };
        nic.insert("networkIP".to_owned(), address::free(world, &subnetwork)?.to_string().into());
        nic.insert("subnetwork".to_owned(), link::url(&subnetwork).into());
        nic.default_to("stackType", "IPV4_ONLY");
        nics.push(Value::Object(nic));
    }
    machine.insert("networkInterfaces".to_owned(), json!(nics));
    Some(())
}

fn first_subnetwork(world: &World, network: &str, region: &str) -> Option<String> {
    let here = format!("/regions/{region}/subnetworks/");
    world
        .resources
        .iter()
        .find(|(path, record)| path.contains(&here) && record.body.text("network") == Some(network))
        .map(|(path, _)| path.clone())
}

/// Four letters and digits, as managed groups add to their base name.
fn suffix(id: u64) -> String {
    const LETTERS: &[u8] = b"0123456789bcdfghjklmnpqrstvwxz";
    let mut rest = mix(id);
    let mut out = String::new();
    for _ in 0..4 {
        out.push(char::from(LETTERS[(rest % LETTERS.len() as u64) as usize]));
        rest /= LETTERS.len() as u64;
    }
    out
}
