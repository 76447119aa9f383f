//! Reads the cloud: every place of the file at the same time. Where one fails its services are refused, and the others go on.

mod places;
mod strangers;
mod unasked;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use privnet_core::accept::Connection;
use privnet_core::execute::Context;
use privnet_core::plan::{Refusal, Rule};
use privnet_core::spec::gcp::GcpService;
use privnet_core::spec::gcp_ids::ProjectRef;
use privnet_core::spec::{CloudService, ConsumerName, Service, Spec, Who};
use privnet_core::world::{Connections, Target};
use privnet_core::{Address, Error, Live, ObserveRequest, Purpose, World};

use crate::GcpProvider;
use crate::buckets::Group;
use crate::cloud::Cloud;
use crate::collection::whole;
use crate::connections;
use crate::cut_short;
use crate::facts;
use crate::json::text;
use crate::kinds::service_attachment;
use crate::operations::{self, Settled};
use crate::path;
use crate::policy;
use crate::snapshot::{self, Beside, Lists, Place};
use places::Said;
use world::world_of;

/// Everything with our name or proof, what the file names, connections and facts.
pub(crate) async fn observe(
    provider: &GcpProvider,
    request: ObserveRequest<'_>,
    context: &Context,
) -> Result<World, Error> {
    let clients = provider.clients().await?;
    let cloud = Cloud::new(clients, context, request.spec.deployment.as_str());
    provider.remember(request.services);
    let mut places: BTreeMap<Place, Vec<(&Service, &GcpService)>> = BTreeMap::new();
    for service in request.services {
        if let CloudService::Gcp(gcp) = &service.cloud {
            places.entry(Place::of(gcp)).or_default().push((service, gcp));
        }
    }
    let homes: BTreeMap<String, Place> = places
        .iter()
        .flat_map(|(place, services)| {
            services.iter().map(|(service, _)| (service.name.to_string(), place.clone()))
        })
        .collect();
    let mut projects: BTreeMap<(String, String), Vec<OfPlace<'_>>> = BTreeMap::new();
    for (place, services) in places {
        let key = (place.project.clone(), place.host.clone());
        projects.entry(key).or_default().push((place, services));
    }
    let named: Vec<String> = projects.keys().map(|(project, _)| project.clone()).collect();
    let mut hosts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (project, host) in projects.keys() {
        hosts.entry(project.clone()).or_default().insert(host.clone());
    }
    let reads = projects.into_iter().map(|((project, host), places)| {
        let hosts = hosts.get(&project).cloned().unwrap_or_default();
        observe_project(cloud, project, host, hosts, places, request.purpose)
    });
    let numbers = numbers(cloud, request.spec, request.services);
    let (read, (numbers, unknown), caller) =
        futures::future::join3(join_all(reads), numbers, clients.caller()).await;
    let (mut world, mut failure) = (World::default(), None);
    let (worlds, not_reached): (Vec<Vec<Seen>>, Vec<_>) = read.into_iter().unzip();
    let whole = places::read_whole(&named, &worlds);
    let mut worlds: Vec<Seen> = worlds.into_iter().flatten().collect();
    let said: Said = worlds.iter().flat_map(|seen| seen.said.clone()).collect();
    places::own_places_prevail(&mut worlds, &homes);
    worlds.iter_mut().for_each(|seen| places::set_former_aside(seen, &homes, request.services));
    worlds.extend(not_reached.into_iter().flatten().next().and_then(|error| in_doubt(error, &worlds)));
    // A region that is none of the file's for one project of networks can be a place of the file for another, and is read whole there.
    worlds.sort_by_key(|seen| seen.elsewhere);
    let some = worlds.iter().any(|seen| seen.failure.is_none());
    for seen in worlds {
        take_in(&mut world, seen.world);
        failure = failure.or(seen.failure);
    }
    // Where nothing at all can be read it is not a place that fails, but the cloud.
    if let Some(error) = failure.filter(|_| !some) {
        return Err(error);
    }
    let owners = places::owners(&world, &said, &homes);
    places::hold_what_others_may_use(&mut world, &said, &owners, &whole, &homes);
    places::set_scopes(&mut world, &owners, &homes);
    // Where Google names everybody by number as well, no id is needed.
    let unknown = if all_are_named_by_number(&world) { BTreeSet::new() } else { unknown };
    for scope in world.searched.iter().filter(|_| !unknown.is_empty()) {
        world.unknown.entry(scope.clone()).or_default().extend(unknown.iter().cloned());
    }
    if let Some(caller) = caller {
        world.callers.extend(world.searched.iter().map(|scope| (scope.clone(), caller.to_owned())));
    }
    if let Ok(json) = serde_json::to_value(numbers) {
        world.facts.insert(facts::PROJECTS.to_owned(), json);
    }
    for service in request.services {
        let policy = policy::of(request.spec, service, &world);
        unasked::say(&mut world, service, &policy);
        let Some(seen) = world.services.get_mut(service.name.as_str()) else { continue };
        if let Connections::Known(known) = &mut seen.connections {
            for connection in known {
                cut_short::say_what_ends_it(connection, &policy);
                connections::say_that_a_number_is_all_that_is_known(connection, &policy);
            }
        }
    }
    Ok(world)
}

/// Whether somebody is connected, or wants to be, and each is named by a project's number, whatever else.
fn all_are_named_by_number(world: &World) -> bool {
    let mut all = world.services.values().flat_map(|seen| seen.connections.known()).peekable();
    all.peek().is_some()
        && all.all(|one| connections::projects(one).iter().any(|project| connections::is_number(project)))
}

/// A place with its services.
type OfPlace<'a> = (Place, Vec<(&'a Service, &'a GcpService)>);

/// What was seen of a place; with a failure, only the refusals of its services.
#[derive(Default)]
struct Seen {
    world: World,
    /// Where, if that was read.
    place: Option<Place>,
    /// What things of ours in networks say of whose they are.
    said: Said,
    /// In a region that is none of the file's: only lists were read.
    elsewhere: bool,
    failure: Option<Error>,
}

/// Several places list what is global, or in the project of their networks: it counts once. What a service has in two regions, it has:
/// those who are connected to either are connected to it.
fn take_in(world: &mut World, mut seen: World) {
    // What another service's file names by mistake is its own service's as well.
    let key = |live: &Live| (live.id.clone(), live.address.clone());
    let there: BTreeSet<(String, Address)> = world.live.iter().map(key).collect();
    seen.live.retain(|live| !there.contains(&key(live)));
    for (service, known) in &mut world.services {
        let Some(other) = seen.services.remove(service) else { continue };
        match (&known.exposed, &other.exposed) {
            // What only has a part in this place was seen there as nothing, or as more.
            (_, None) => {}
            (None, Some(_)) => *known = other,
            (Some(_), Some(_)) => {
                let mut both = known.connections.known().to_vec();
                let is_new = |one: &&Connection| both.iter().all(|known| known.id != one.id);
                let new: Vec<Connection> = other.connections.known().iter().filter(is_new).cloned().collect();
                both.extend(new);
                known.connections = Connections::Known(both);
                let new = other.targets.into_iter().filter(|target| !known.targets.contains(target));
                let new: Vec<Target> = new.collect();
                known.targets.extend(new);
            }
        }
    }
    world.merge(seen);
}

/// The ids of projects that consumers are named by with a number, and of which it is not known, and why. Where the caller may not look
/// at a project the number alone must do.
async fn numbers(
    cloud: Cloud<'_>,
    spec: &Spec,
    services: &[&Service],
) -> (BTreeMap<String, String>, BTreeSet<String>) {
    let allowed: BTreeSet<&ConsumerName> = services.iter().flat_map(|service| service.allow.keys()).collect();
    let consumers = allowed.into_iter().filter_map(|name| spec.consumers.get(name)?.gcp.as_ref());
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
                whole(Box::pin(cloud.clients.projects.get().set_project(&number).send()).await?)
            })
            .await;
        let id = answer.map(|project| text(&project, "name").map(str::to_owned));
        (number, id)
    });
    let (mut ids, mut unknown) = (BTreeMap::new(), BTreeSet::new());
    for (number, id) in join_all(read).await {
        match id {
            Ok(id) => ids.extend(id.map(|id| (number, id))),
            Err(error) => {
                let what = format!(
                    "which project has the number {number} is not known, so that a consumer whom Google names by that project's id is \
                     taken for a stranger; where you know the id, write it into the file"
                );
                unknown.insert(operations::unknown(&what, &error));
            }
        }
    }
    (ids, unknown)
}

/// The places of a project, and what is ours in its other regions; and why some region is not known whole, if one is not.
async fn observe_project<'a>(
    cloud: Cloud<'a>,
    project: String,
    host: String,
    hosts: BTreeSet<String>,
    places: Vec<OfPlace<'a>>,
    purpose: Purpose,
) -> (Vec<Seen>, Option<Error>) {
    let lists = async {
        let settled = match purpose {
            Purpose::Plan => operations::settle(&cloud, &project, &host).await?,
            Purpose::Status | Purpose::HandOver | Purpose::Connections => Settled::default(),
        };
        let mut lists = snapshot::lists(&cloud, &project, &host, &hosts, purpose).await?;
        lists.unknown.extend(settled.unknown);
        // Where something of an earlier run may go on, nothing is known whole.
        lists.not_reaching(settled.unreachable);
        Ok::<_, Error>(lists)
    };
    let beside = places.iter().map(|(place, services)| snapshot::beside(&cloud, place, services, purpose));
    let (lists, beside) = futures::future::join(lists, join_all(beside)).await;
    let lists = match lists {
        Ok(read) => read,
        Err(error) => return (vec![unread(&places, error)], None),
    };
    let named: BTreeSet<String> = places.iter().map(|(place, _)| place.region.clone()).collect();
    let read = places
        .into_iter()
        .zip(beside)
        .map(|(place, beside)| observe_place(cloud, place, &lists, beside, purpose));
    let mut seen = join_all(read).await;
    for Seen { world, .. } in &mut seen {
        for scope in world.searched.clone() {
            world.unknown.entry(scope).or_default().extend(lists.unknown.iter().cloned());
        }
    }
    let not_reached = lists.unreachable_anywhere(&project).err();
    if let Some(error) = &not_reached {
        cloud.context.progress(format!("{}: what may be there is left as it is", error.message()));
    }
    seen.extend(elsewhere(cloud.deployment, (&project, &host), &named, &lists));
    (seen, not_reached)
}

/// What is ours in regions that the file does not name; of one that does not answer whole, only that nothing is done to its services.
fn elsewhere(
    deployment: &str,
    (project, host): (&str, &str),
    named: &BTreeSet<String>,
    lists: &Lists,
) -> Vec<Seen> {
    let of_region = |region: &String| {
        let place = Place { project: project.to_owned(), region: region.clone(), host: host.to_owned() };
        let searched = BTreeSet::from([place.scope()]);
        let snapshot = snapshot::elsewhere(deployment, place.clone(), lists);
        let (world, said) = (World { searched, ..world_of(&snapshot) }, places::said(&snapshot));
        match lists.unreachable(project, region) {
            Ok(()) => Seen { world, place: Some(place), said, elsewhere: true, failure: None },
            Err(error) => left_alone(world.services.keys(), error),
        }
    };
    lists.regions(deployment).difference(named).map(of_region).collect()
}

/// While a region does not answer, a service of which only global things are seen may have its attachment there, with consumers:
/// nothing is done to it.
fn in_doubt(not_reached: Error, seen: &[Seen]) -> Option<Seen> {
    let (mut ours, mut settled) = (BTreeSet::new(), BTreeSet::new());
    for world in seen.iter().map(|seen| &seen.world) {
        settled.extend(world.refusals.iter().map(|refusal| &refusal.address.service));
        let placed = world.live.iter().filter(|live| path::region(&live.id).is_some());
        settled.extend(placed.map(|live| &live.address.service));
        ours.extend(world.live.iter().filter(|live| live.is_ours()).map(|live| &live.address.service));
    }
    let mut doubtful = ours.difference(&settled).peekable();
    doubtful.peek()?;
    Some(left_alone(doubtful.copied(), not_reached.with_hint("the rest of the service may be there")))
}

/// Services of which not all can be read, in regions that the file does not name: nothing is done to them.
fn left_alone<'a>(services: impl Iterator<Item = &'a String>, error: Error) -> Seen {
    let refusals = services.map(|service| unobserved(service, &error)).collect();
    let world = World { refusals, ..World::default() };
    Seen { world, elsewhere: true, failure: Some(error), ..Seen::default() }
}

async fn observe_place<'a>(
    cloud: Cloud<'a>,
    (place, services): OfPlace<'a>,
    lists: &'a Lists,
    beside: Result<Option<Beside>, Error>,
    purpose: Purpose,
) -> Seen {
    let read =
        async { snapshot::of_place(&cloud, place.clone(), services.clone(), lists, beside?, purpose).await };
    match read.await {
        Ok(snapshot) => {
            let unknown = BTreeMap::from([(place.scope(), snapshot.unknown.clone())]);
            let searched = BTreeSet::from([place.scope()]);
            let world = World { searched, unknown, ..world_of(&snapshot) };
            Seen { world, said: places::said(&snapshot), place: Some(place), ..Seen::default() }
        }
        Err(error) => unread(&[(place, services)], error),
    }
}

/// Places that cannot be read: nothing is done to their services.
fn unread(places: &[OfPlace<'_>], error: Error) -> Seen {
    let services = places.iter().flat_map(|(_, services)| services);
    let world = World {
        refusals: services.map(|(service, _)| unobserved(service.name.as_str(), &error)).collect(),
        searched: places.iter().map(|(place, _)| place.scope()).collect(),
        ..World::default()
    };
    Seen { world, failure: Some(error), ..Seen::default() }
}

fn unobserved(service: &str, error: &Error) -> Refusal {
    let mut why = error.to_string();
    for hint in error.hints() {
        why.push_str("; ");
        why.push_str(hint);
    }
    let address = Address::new(service, service_attachment::KIND.name, "main");
    Refusal { address, rule: Rule::Unobserved, why, flag: None }
}

#[cfg(test)]
mod tests {
    use privnet_core::Generation;
    use serde_json::json;

    use super::*;
    use crate::collection::Collection;
    use crate::json::Json;
    use crate::ownership;

    const PROJECT: &str = "acme-data";

    /// Something that this deployment made for a service, below this path of the project.
    fn made(collection: Collection, kind: &'static str, service: &str, place: &str) -> (Collection, Json) {
        let address = Address::new(service, kind, "main");
        let name = ownership::cloud_name("stage", &address, Generation::A);
        let path = format!("projects/{PROJECT}/{place}/{}/{name}", collection.word());
        let marker = ownership::marker("stage", &address, Generation::A);
        (collection, json!({ "name": name, "selfLink": path, "description": marker }))
    }

    fn lists(items: Vec<(Collection, Json)>, unreachable: &[&str]) -> Lists {
        let mut all: BTreeMap<Collection, Vec<Json>> = BTreeMap::new();
        for (collection, item) in items {
            all.entry(collection).or_default().push(item);
        }
        Lists::read(all, unreachable)
    }

    fn attachment(service: &str, region: &str) -> (Collection, Json) {
        made(
            Collection::ServiceAttachments,
            service_attachment::KIND.name,
            service,
            &format!("regions/{region}"),
        )
    }

    fn refused(seen: &[Seen]) -> Vec<&str> {
        let refusals = seen.iter().flat_map(|seen| &seen.world.refusals);
        refusals.map(|refusal| refusal.address.service.as_str()).collect()
    }

    #[test]
    fn a_region_that_does_not_answer_whole_is_no_world() {
        let named = BTreeSet::from(["us-east4".to_owned()]);
        let items = || vec![attachment("old", "us-central1"), attachment("here", "us-east4")];
        let all = elsewhere("stage", (PROJECT, PROJECT), &named, &lists(items(), &[]));
        assert_eq!((all.len(), refused(&all).len()), (1, 0));
        assert!(all[0].world.services["old"].exposed.is_some() && all[0].world.live.len() == 1);
        // One of its zones is enough.
        for place in ["us-central1", "us-central1-a"] {
            let seen = elsewhere("stage", (PROJECT, PROJECT), &named, &lists(items(), &[place]));
            assert_eq!(refused(&seen), ["old"]);
            assert!(seen[0].world.live.is_empty() && seen[0].world.services.is_empty());
            assert!(seen[0].world.searched.is_empty());
        }
        let seen = elsewhere("stage", (PROJECT, PROJECT), &named, &lists(items(), &["us-west1"]));
        assert_eq!((refused(&seen).len(), seen[0].world.live.len()), (0, 1));
    }

    #[test]
    fn what_is_global_alone_is_left_while_its_region_may_be_one_that_does_not_answer() {
        let place =
            Place { project: PROJECT.to_owned(), region: "us-east4".to_owned(), host: PROJECT.to_owned() };
        let firewall =
            |service| made(Collection::Firewalls, crate::kinds::firewall::KIND.name, service, "global");
        let items = || vec![attachment("here", "us-east4"), firewall("here"), firewall("gone")];
        let here = |lists: &Lists| {
            let snapshot = snapshot::everywhere("stage", place.clone(), lists);
            let seen = [Seen { world: world_of(&snapshot), ..Seen::default() }];
            lists.unreachable_anywhere(PROJECT).err().and_then(|error| in_doubt(error, &seen))
        };
        assert!(here(&lists(items(), &[])).is_none());
        assert!(here(&lists(items(), &["global"])).is_none());
        let doubt = here(&lists(items(), &["us-central1"]));
        assert_eq!(refused(&[doubt.expect("its attachment may be in us-central1")]), ["gone"]);
        assert!(here(&lists(vec![attachment("here", "us-east4")], &["us-central1"])).is_none());
    }
}
