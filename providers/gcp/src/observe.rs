//! Reads the cloud: every place of the file at the same time. Where one fails its services are refused, and the others go on.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{BoxFuture, join_all};
use privnet_core::execute::Context;
use privnet_core::plan::{Refusal, Rule};
use privnet_core::spec::gcp::{GcpForm, GcpService};
use privnet_core::spec::gcp_ids::ProjectRef;
use privnet_core::spec::{CloudService, Service, Spec, Who};
use privnet_core::world::{Connections, Target, TargetState};
use privnet_core::{Address, Error, ObserveRequest, Scope, ServiceWorld, World};

use crate::GcpProvider;
use crate::buckets::Group;
use crate::cloud::Cloud;
use crate::collection::{Collection, json};
use crate::connections;
use crate::facts;
use crate::json::text;
use crate::kinds::{self, backend_service, service_attachment};
use crate::path;
use crate::snapshot::{self, Place, Snapshot};

/// Everything with our name or proof, what the file names, connections and facts.
pub(crate) async fn observe(
    provider: &GcpProvider,
    request: ObserveRequest<'_>,
    context: &Context,
) -> Result<World, Error> {
    let clients = provider.clients().await?;
    let cloud = Cloud { clients, context };
    provider.remember(request.services);
    let mut places: BTreeMap<Place, Vec<(&Service, &GcpService)>> = BTreeMap::new();
    for service in request.services {
        if let CloudService::Gcp(gcp) = &service.cloud {
            places.entry(Place::of(gcp)).or_default().push((service, gcp));
        }
    }
    let homes: BTreeMap<&str, Scope> = places
        .iter()
        .flat_map(|(place, services)| {
            services.iter().map(|(service, _)| (service.name.as_str(), place.scope()))
        })
        .collect();
    let deployment = request.spec.deployment.as_str();
    let mut reads: Vec<BoxFuture<'_, Seen>> = Vec::with_capacity(places.len());
    for (place, services) in places {
        reads.push(Box::pin(observe_place(cloud, deployment, place, services, request)));
    }
    let numbers = numbers(cloud, request.spec);
    let (worlds, numbers, caller) = futures::future::join3(join_all(reads), numbers, clients.caller()).await;
    let (mut world, mut failure) = (World::default(), None);
    let some = worlds.iter().any(|seen| seen.failure.is_none());
    for seen in worlds {
        take_in(&mut world, seen.world);
        failure = failure.or(seen.failure);
    }
    // Where nothing at all can be read it is not a place that fails, but the cloud.
    if let Some(error) = failure.filter(|_| !some) {
        return Err(error);
    }
    // What is global is seen from every region of its project; its own is that of its service.
    for live in world.live.iter_mut().filter(|live| live.id.contains("/global/")) {
        if let Some(home) = homes.get(live.address.service.as_str()) {
            live.scope = home.clone();
        }
    }
    if let Some(caller) = caller {
        world.callers.extend(world.searched.iter().map(|scope| (scope.clone(), caller.to_owned())));
    }
    if let Ok(json) = serde_json::to_value(numbers) {
        world.facts.insert(facts::PROJECTS.to_owned(), json);
    }
    Ok(world)
}

/// What was seen of a place; with a failure, only the refusals of its services.
struct Seen {
    world: World,
    failure: Option<Error>,
}

/// Two regions of a project both list what is global: it counts once.
fn take_in(world: &mut World, mut seen: World) {
    let there: BTreeSet<&str> = world.live.iter().map(|live| live.id.as_str()).collect();
    seen.live.retain(|live| !there.contains(live.id.as_str()));
    let known: Vec<String> = world.services.keys().cloned().collect();
    for service in known {
        // What only has a part in this place was seen there as nothing, or as more.
        if seen.services.get(&service).is_some_and(|other| other.exposed.is_none()) {
            seen.services.remove(&service);
        }
    }
    world.merge(seen);
}

/// The ids of projects that consumers are named by with a number. Where the caller may not look at a project the number alone
/// must do.
async fn numbers(cloud: Cloud<'_>, spec: &Spec) -> BTreeMap<String, String> {
    let consumers = spec.consumers.values().filter_map(|consumer| consumer.gcp.as_ref());
    let numbers: BTreeSet<String> = consumers
        .flat_map(|gcp| &gcp.projects)
        .filter_map(|who| match who {
            Who::Is(ProjectRef::Number(number)) => Some(number.to_string()),
            _ => None,
        })
        .collect();
    let read = numbers.into_iter().map(|number| async move {
        let answer = cloud
            .call(Group::Read, &number, "projects.get", &number, || async {
                json(Box::pin(cloud.clients.projects.get().set_project(&number).send()).await?)
            })
            .await;
        Some((number.clone(), text(&answer.ok()?, "name")?.to_owned()))
    });
    join_all(read).await.into_iter().flatten().collect()
}

async fn observe_place<'a>(
    cloud: Cloud<'a>,
    deployment: &'a str,
    place: Place,
    services: Vec<(&'a Service, &'a GcpService)>,
    request: ObserveRequest<'a>,
) -> Seen {
    let scope = place.scope();
    let (mut world, failure) =
        match snapshot::read(&cloud, deployment, place, services.clone(), request.purpose).await {
            Ok(snapshot) => (world_of(&snapshot), None),
            Err(error) => {
                let refusals = services.iter().map(|(service, _)| unobserved(service, &error)).collect();
                (World { refusals, ..World::default() }, Some(error))
            }
        };
    world.searched.insert(scope);
    Seen { world, failure }
}

fn unobserved(service: &Service, error: &Error) -> Refusal {
    let mut why = error.to_string();
    for hint in error.hints() {
        why.push_str("; ");
        why.push_str(hint);
    }
    let address = Address::new(service.name.as_str(), service_attachment::KIND.name, "main");
    Refusal { address, rule: Rule::Unobserved, why, flag: None }
}

fn world_of(snapshot: &Snapshot<'_>) -> World {
    let mut world = World { live: kinds::live(snapshot), ..World::default() };
    for (service, _) in &snapshot.services {
        world.services.insert(service.name.to_string(), ServiceWorld::default());
    }
    for live in world.live.iter().filter(|live| live.is_ours()) {
        world.services.entry(live.address.service.clone()).or_default();
    }
    add_connections(&mut world, snapshot);
    add_targets(&mut world, snapshot);
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
    for (service, gcp) in &snapshot.services {
        let GcpForm::ServiceAttachment { name, .. } = &gcp.form else { continue };
        if let Some(json) = snapshot.by_name(Collection::ServiceAttachments, name.as_str()) {
            let address = Address::new(service.name.as_str(), kind, service_attachment::SUPPLIED);
            expose(world, snapshot, &address, json);
        }
    }
}

/// Two generations can be there for a while: the connections of both count.
fn expose(world: &mut World, snapshot: &Snapshot<'_>, address: &Address, attachment: &crate::json::Json) {
    let seen = world.services.entry(address.service.clone()).or_default();
    let mut known = seen.connections.known().to_vec();
    known.extend(connections::of(attachment, addresses(snapshot, attachment)));
    seen.connections = Connections::Known(known);
    seen.exposed = Some(address.clone());
}

/// The addresses of an attachment's NAT subnets, where these were read. Four of each range are the cloud's own.
fn addresses(snapshot: &Snapshot<'_>, attachment: &crate::json::Json) -> Option<i64> {
    let ranges = crate::json::texts(attachment, "natSubnets").into_iter().map(|url| {
        let path = path::of(&url);
        let subnet = snapshot.facts.subnets.values().find(|subnet| subnet.path == path)?;
        let range: ipnet::Ipv4Net = subnet.cidr.parse().ok()?;
        Some((1_i64 << (32 - range.prefix_len())) - 4)
    });
    ranges.sum()
}

fn add_targets(world: &mut World, snapshot: &Snapshot<'_>) {
    for (claim, json) in snapshot.claimed(Collection::BackendServices, backend_service::KIND.name) {
        let service = text(json, "selfLink").map(path::of).unwrap_or_default();
        let states = snapshot.health.get(&service).map(Vec::as_slice).unwrap_or_default();
        let Some(seen) = world.services.get_mut(&claim.address.service) else { continue };
        for state in states {
            let machine = text(state, "instance").map(path::name).or_else(|| text(state, "ipAddress"));
            let cloud_state = text(state, "healthState").unwrap_or("UNKNOWN");
            let state = match cloud_state {
                "HEALTHY" => TargetState::Healthy,
                "UNHEALTHY" => TargetState::Unhealthy,
                "DRAINING" => TargetState::Draining,
                _ => TargetState::Unknown,
            };
            let id = machine.unwrap_or("a target").to_owned();
            seen.targets.push(Target { id, state, cloud_state: cloud_state.to_owned() });
        }
    }
}
