//! The world of one place, as its snapshot shows it.

use std::collections::BTreeSet;

use privnet_core::accept::ConnectionState;
use privnet_core::spec::gcp::GcpAcceptBy;
use privnet_core::world::{Connections, Former, Target, TargetState};
use privnet_core::{Address, ServiceWorld, World};

use super::{places, strangers};
use crate::besides;
use crate::collection::Collection;
use crate::connections;
use crate::cut_short;
use crate::entry;
use crate::json::{flag, list, text};
use crate::kinds::{self, backend_service, service_attachment};
use crate::lists;
use crate::path;
use crate::policy;
use crate::snapshot::Snapshot;

/// What is there, of whom, and who is connected.
pub(super) fn world_of(snapshot: &Snapshot<'_>) -> World {
    let mut world = World { live: kinds::live(snapshot).into(), ..World::default() };
    for (service, _) in &snapshot.services {
        world.services.insert(service.name.to_string(), ServiceWorld::default());
    }
    let ours = || world.live.iter().filter(|live| live.is_ours()).map(|live| &live.address.service);
    for (service, gcp) in snapshot.services.iter().filter(|(_, gcp)| places::is_supplied(gcp)) {
        if service_attachment::names_itself(snapshot, service, gcp) {
            continue;
        }
        if ours().any(|of| *of == service.name.as_str()) {
            let former = Former { exposed: None, connections: Connections::NotExposed };
            world.former.insert(service.name.to_string(), former);
        }
    }
    for service in ours().cloned().collect::<BTreeSet<_>>() {
        world.services.entry(service).or_default();
    }
    add_connections(&mut world, snapshot);
    add_targets(&mut world, snapshot);
    strangers::hold(snapshot, &mut world);
    if let Ok(json) = serde_json::to_value(&snapshot.facts) {
        world.facts.insert(snapshot.place.key(), json);
    }
    world
}

fn add_connections(world: &mut World, snapshot: &Snapshot<'_>) {
    let kind = service_attachment::KIND.name;
    for (claim, json) in snapshot.claimed(Collection::ServiceAttachments, kind) {
        if claim.ownership == privnet_core::Ownership::Ours {
            expose(world, snapshot, &claim.address, json);
        }
    }
    for (address, json) in service_attachment::supplied(snapshot) {
        expose(world, snapshot, &address, json);
    }
}

/// Two generations can be there for a while: the connections of both count. Those of what was made before the file turned to what is there
/// already are apart.
fn expose(world: &mut World, snapshot: &Snapshot<'_>, address: &Address, attachment: &crate::json::Json) {
    let former =
        world.former.get_mut(&address.service).filter(|_| address.name != service_attachment::SUPPLIED);
    let (exposed, connections) = match former {
        Some(former) => (&mut former.exposed, &mut former.connections),
        None => {
            let seen = world.services.entry(address.service.clone()).or_default();
            (&mut seen.exposed, &mut seen.connections)
        }
    };
    let mut known = connections.known().to_vec();
    let gcp = snapshot.services.iter().find(|(service, _)| service.name.as_str() == address.service);
    let by = gcp.map_or(GcpAcceptBy::Endpoint, |(_, gcp)| policy::accept_by(gcp));
    let is_ours = address.name != service_attachment::SUPPLIED;
    let mut own = connections::of(attachment, by);
    for (connection, endpoint) in own.iter_mut().zip(list(attachment, "connectedEndpoints")) {
        if snapshot.decides {
            connection.besides = besides::of(attachment, endpoint, by, is_ours);
        }
        // A status says of whoever waits what a decision would come to.
        if snapshot.decides || connection.state == ConnectionState::Pending {
            connection.company = besides::company(attachment, endpoint, by, is_ours);
        }
    }
    if connections::takes_everybody(attachment) {
        let said = connections::said_of_one_that_takes_everybody(attachment, is_ours);
        world.notes.entry(address.service.clone()).or_default().insert(said);
    }
    // Of those that let in whole consumers by the file, see `unasked`.
    let goes = gcp.is_some_and(|(service, _)| service.remove);
    if !is_ours && (goes || by == GcpAcceptBy::Endpoint) {
        let reconciles = flag(attachment, lists::RECONCILES);
        let path = text(attachment, "selfLink").unwrap_or_default();
        let taken_out = lists::taken_out(path, &["accept"], reconciles);
        let said = entry::said_of_whole_consumers(&connections::entries(attachment), &taken_out);
        if let Some(said) = said {
            world.notes.entry(address.service.clone()).or_default().insert(said);
        }
    }
    let path = text(attachment, "selfLink").map(path::of).unwrap_or_default();
    if snapshot.left_reconciling.contains(&path) {
        own.iter_mut().for_each(|connection| cut_short::note(connection, &path));
    }
    known.extend(own);
    *connections = Connections::Known(known);
    *exposed = Some(address.clone());
}

fn add_targets(world: &mut World, snapshot: &Snapshot<'_>) {
    for (claim, json) in snapshot.claimed(Collection::BackendServices, backend_service::KIND.name) {
        let service = text(json, "selfLink").map(path::of).unwrap_or_default();
        let states = snapshot.health.get(&service).map(Vec::as_slice).unwrap_or_default();
        let Some(seen) = world.services.get_mut(&claim.address.service) else { continue };
        for state in states {
            let state = match state {
                Ok(state) => state,
                Err(why) => {
                    let cloud_state = format!("its health cannot be read: {why}");
                    let id = path::name(&service).to_owned();
                    seen.targets.push(Target { id, listen: None, state: TargetState::Unknown, cloud_state });
                    continue;
                }
            };
            let machine = text(state, "instance").map(path::name).or_else(|| text(state, "ipAddress"));
            let cloud_state = text(state, "healthState").unwrap_or("UNKNOWN");
            let state = match cloud_state {
                "HEALTHY" => TargetState::Healthy,
                "UNHEALTHY" => TargetState::Unhealthy,
                "DRAINING" => TargetState::Draining,
                _ => TargetState::Unknown,
            };
            let id = machine.unwrap_or("a target").to_owned();
            seen.targets.push(Target { id, listen: None, state, cloud_state: cloud_state.to_owned() });
        }
    }
}
