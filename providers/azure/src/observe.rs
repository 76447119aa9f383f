//! What is read of Azure: the resource groups of each subscription, each hosted service and each private link service of the user's
//! own by itself, all of them at once. Groups are read by pages, not by services, and several of them by the subscription's pages.

mod existing;
mod former;
mod health;
mod interfaces;
mod known;
mod lists;
mod stranger;
mod surroundings;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{BoxFuture, join_all};
use privnet_core::accept::Connection;
use privnet_core::execute::Context;
use privnet_core::plan::{Refusal, Rule};
use privnet_core::spec::azure::{AzureForm, AzureHosted};
use privnet_core::spec::{CloudService, Service};
use privnet_core::world::{Connections, Former};
use privnet_core::{Error, ObserveRequest, Ownership, Purpose, Scope, ServiceWorld, World};

use self::lists::{Lists, Read, read_groups, read_lists};
use crate::arm::{Arm, Json, concerns_everything, in_words, is_gone, is_group_gone, items, same_id, text};
use crate::kinds::private_link_service;
use crate::snapshot::{Listed, Snapshot};
use crate::{connection, hosted, kinds};

/// Observes what the request asks for.
///
/// # Errors
/// Where nothing could be read at all; what concerns single services is a refusal in the world.
pub(crate) async fn world(arm: &Arm, request: ObserveRequest<'_>, context: &Context) -> Result<World, Error> {
    let parts_of_hosted = hosted::Parts::of(request.spec);
    let mut reads: Vec<BoxFuture<'_, Result<World, Error>>> = Vec::new();
    let mut groups: BTreeMap<Scope, Vec<Listed<'_>>> = BTreeMap::new();
    let mut existing: BTreeMap<&str, existing::Groups<'_>> = BTreeMap::new();
    let mut world = World::default();
    let mut turned: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for service in request.services {
        let CloudService::Azure(azure) = &service.cloud else { continue };
        let subscription = azure.subscription.as_str();
        if request.purpose == Purpose::Plan && former::may_be_of(&azure.form) {
            turned.entry(subscription).or_default().insert(service.name.as_str());
        }
        let mut group = |group: &str| {
            groups.entry(crate::scope::of(subscription, group)).or_default().push((service, azure));
        };
        match &azure.form {
            AzureForm::Hosted(form) => {
                let purpose = request.purpose;
                reads.push(Box::pin(of_hosted(arm, context, &parts_of_hosted, service, form, purpose)));
            }
            AzureForm::PrivateLinkService(id) => {
                let scope = crate::scope::of(id.subscription().as_str(), id.resource_group().as_str());
                let groups = existing.entry(id.subscription().as_str()).or_default();
                groups.entry(scope).or_default().push((service, id));
            }
            AzureForm::Made(made) => group(made.scope.resource_group.as_str()),
            AzureForm::OnFrontend(form) => group(form.scope.resource_group.as_str()),
            AzureForm::Removed { resource_group } => group(resource_group.as_str()),
        }
    }
    for groups in existing.into_values() {
        reads.push(Box::pin(existing::of_subscription(arm, context, request, groups)));
    }
    let mut subscriptions: BTreeMap<String, Vec<Snapshot<'_>>> = BTreeMap::new();
    for (scope, listed) in groups {
        let subscription = crate::scope::subscription(&scope);
        let mut snapshot = Snapshot::new(request.spec.deployment.as_str(), scope, listed);
        snapshot.turned = former::of_file(request.spec);
        snapshot.in_file =
            Some(request.spec.services.iter().map(|service| service.name.to_string()).collect());
        subscriptions.entry(subscription).or_default().push(snapshot);
    }
    for snapshots in subscriptions.into_values() {
        reads.push(Box::pin(of_groups(arm, context, snapshots, request.purpose)));
    }
    for (subscription, services) in turned {
        reads.push(Box::pin(former::of_subscription(arm, context, request.spec, subscription, services)));
    }
    let (parts, caller) = futures::future::join(join_all(reads), arm.caller()).await;
    for part in parts {
        world.merge(part?);
    }
    former::once(&mut world);
    if let Some(caller) = caller {
        world.callers.extend(world.searched.iter().map(|scope| (scope.clone(), caller.clone())));
    }
    Ok(world)
}

async fn of_hosted(
    arm: &Arm,
    context: &Context,
    parts: &hosted::Parts<'_>,
    service: &Service,
    form: &AzureHosted,
    purpose: Purpose,
) -> Result<World, Error> {
    let seen = hosted::observe(arm, context, parts, service, form, purpose).await?;
    let mut world = World::default();
    world.live.extend(seen.live);
    world.services.insert(service.name.to_string(), seen.world);
    // Of what the file does not want any more, nothing depends on who is connected.
    world.refusals.extend(seen.refusal.filter(|_| !service.remove));
    world.searched.insert(hosted::scope(form));
    Ok(world)
}

/// The resource groups of one subscription: all that the file names around them is read once for all of them, in the same round as
/// their lists.
async fn of_groups(
    arm: &Arm,
    context: &Context,
    mut snapshots: Vec<Snapshot<'_>>,
    purpose: Purpose,
) -> Result<World, Error> {
    let around = async {
        if purpose == Purpose::Connections {
            return Ok(None);
        }
        surroundings::of_file(arm, context, &snapshots).await.map(Some)
    };
    let (read, around) = futures::join!(read_groups(arm, context, &snapshots, purpose), around);
    let Read { mut lists, mut others, everywhere } = read?;
    for (snapshot, lists) in snapshots.iter_mut().zip(&mut lists) {
        snapshot.is_gone = lists.as_ref().is_err_and(is_group_gone);
        // Who asks for connections is told that the service has no place; else there is nothing, and lowering says what that means.
        let may_be_empty = purpose != Purpose::Connections || snapshot.has_only_tombstones();
        if snapshot.is_gone && may_be_empty {
            *lists = Ok(Lists::default());
        }
    }
    let mut around = if lists.iter().any(Result::is_ok) { around? } else { None };
    if let Some(around) = around.as_mut() {
        around.take_services(everywhere);
    }
    let mut world = World::default();
    if purpose == Purpose::Plan
        && let Some(around) = &around
    {
        say_unseen(around, &snapshots, &mut world);
        others.extend(read_left(arm, context, &snapshots, around, &others).await?);
    }
    for (scope, shown) in others {
        if let Some((moved, shown)) = moved_from(&snapshots, scope, shown) {
            snapshots.push(moved);
            lists.push(Ok(shown));
        }
    }
    let each = snapshots.into_iter().zip(lists);
    let reads =
        each.map(|(snapshot, lists)| of_group(arm, context, snapshot, lists, around.as_ref(), purpose));
    for part in join_all(reads).await {
        world.merge(part?);
    }
    Ok(world)
}

/// Where the subscription's private link services may not be read, that is said where something is done: others' may stand before load balancers of ours, and a
/// service may have been left in another group.
fn say_unseen(around: &surroundings::Around, snapshots: &[Snapshot<'_>], world: &mut World) {
    let (Some(why), Some(first)) = (around.unseen(), snapshots.first()) else { return };
    let subscription = crate::scope::subscription(&first.scope);
    let said = format!(
        "whether private link services in other resource groups of the subscription {subscription} stand before load balancers of these \
         services, or are these services' own from before they moved here, cannot be seen: {why}"
    );
    for snapshot in snapshots {
        world.unseen.entry(snapshot.scope.clone()).or_default().insert(said.clone());
    }
}

/// The lists of groups that the file does not name, and in which a private link service of one of its services stands: it was moved, and
/// more than that one may be left there.
async fn read_left(
    arm: &Arm,
    context: &Context,
    snapshots: &[Snapshot<'_>],
    around: &surroundings::Around,
    known: &BTreeMap<Scope, Lists>,
) -> Result<BTreeMap<Scope, Lists>, Error> {
    let mut left: BTreeMap<Scope, Lists> = BTreeMap::new();
    for link in around.services().into_iter().flatten().filter(|link| is_of_file(snapshots, link)) {
        let Some(scope) = text(link, "id").map(crate::scope::of_id) else { continue };
        if snapshots.iter().all(|snapshot| snapshot.scope != scope) && !known.contains_key(&scope) {
            left.entry(scope).or_default()[0].push(link.clone());
        }
    }
    for (scope, lists) in &mut left {
        // A part of it would be destroyed without the rest, which nothing finds again.
        *lists = read_lists(arm, context, crate::scope::path(scope), Purpose::Plan).await?;
    }
    Ok(left)
}

/// Whether something is proven to be of a service that the file lists in one of these groups.
fn is_of_file(snapshots: &[Snapshot<'_>], item: &Json) -> bool {
    let Some(first) = snapshots.first() else { return false };
    let mut listed = snapshots.iter().flat_map(|snapshot| &snapshot.listed);
    former::owner(first.deployment, item)
        .is_some_and(|owner| listed.any(|(service, _)| service.name.as_str() == owner))
}

/// A group that the file does not name, where something is proven to be of a service that it puts into another one: that, and nothing
/// of the group's other services.
fn moved_from<'a>(snapshots: &[Snapshot<'a>], scope: Scope, shown: Lists) -> Option<(Snapshot<'a>, Lists)> {
    let first = snapshots.first()?;
    let shown = shown.map(|mut list| {
        list.retain(|item| is_of_file(snapshots, item));
        list
    });
    if shown.iter().all(Vec::is_empty) {
        return None;
    }
    let mut snapshot = Snapshot::new(first.deployment, scope, Vec::new());
    snapshot.turned.clone_from(&first.turned);
    Some((snapshot, shown))
}

async fn of_group(
    arm: &Arm,
    context: &Context,
    mut snapshot: Snapshot<'_>,
    lists: Result<Lists, Error>,
    around: Option<&surroundings::Around>,
    purpose: Purpose,
) -> Result<World, Error> {
    let mut world = World::default();
    world.searched.insert(snapshot.scope.clone());
    if snapshot.is_gone {
        world.absent.insert(snapshot.scope.clone());
    }
    match lists {
        Ok(lists) => {
            [snapshot.services, snapshot.load_balancers, snapshot.security_groups, snapshot.scale_sets] =
                lists;
        }
        Err(error) => {
            let services: Vec<&Service> = snapshot.listed.iter().map(|(service, _)| *service).collect();
            refuse_or_fail(&mut world, &services, error)?;
            return Ok(world);
        }
    }
    snapshot.learn_services();
    if let Some(around) = around {
        surroundings::learn(arm, context, &mut snapshot, around, &mut world).await?;
    }
    if purpose == Purpose::Plan {
        health::read_answering(arm, context, &mut snapshot, &mut world).await?;
    }
    world.live.extend(kinds::live(&snapshot));
    add_services(&snapshot, &mut world);
    if purpose == Purpose::Plan {
        // What turned is refused here, too: its subscription may not be open to a search.
        stranger::keep(stranger::before(&snapshot, &snapshot.services), &mut world);
        // Those of other groups are seen where the whole subscription's were read.
        let everywhere = around.and_then(surroundings::Around::services).unwrap_or(&snapshot.services);
        stranger::hold(&snapshot, everywhere, &mut world);
        stranger::hold_with_rules(&snapshot, &mut world);
        stranger::hold_nat_subnets(&snapshot, everywhere, &mut world);
    }
    if purpose == Purpose::Status {
        health::read_targets(arm, context, &snapshot, &mut world).await?;
    }
    Ok(world)
}

/// Each service with its connections: those of the file, and those that something of ours names.
fn add_services(snapshot: &Snapshot<'_>, world: &mut World) {
    for service in snapshot.known_services() {
        if !snapshot.turned.contains(service) {
            world.services.entry(service.to_owned()).or_default();
        }
    }
    let left = world.live.iter().filter(|live| live.ownership == Ownership::Ours);
    let left =
        left.map(|live| live.address.service.clone()).filter(|service| snapshot.turned.contains(service));
    for service in left.collect::<BTreeSet<_>>() {
        world.former.insert(service, Former { exposed: None, connections: Connections::NotExposed });
    }
    let exposed: Vec<(String, privnet_core::Address, String)> = world
        .live
        .iter()
        .filter(|live| {
            live.address.kind == private_link_service::KIND.name && live.ownership == Ownership::Ours
        })
        .map(|live| (live.address.service.clone(), live.address.clone(), live.id.clone()))
        .collect();
    for (service, address, id) in exposed {
        let shown =
            snapshot.services.iter().find(|shown| text(shown, "id").is_some_and(|shown| same_id(shown, &id)));
        let more = shown.map(connections_of).unwrap_or_default();
        let (exposed, connections) = match world.former.get_mut(&service) {
            Some(former) => (&mut former.exposed, &mut former.connections),
            None => {
                let seen = world.services.entry(service).or_default();
                (&mut seen.exposed, &mut seen.connections)
            }
        };
        *exposed = Some(address);
        let mut known = connections.known().to_vec();
        known.extend(more);
        *connections = Connections::Known(known);
    }
}

/// The connections that a private link service shows.
fn connections_of(service: &Json) -> Vec<Connection> {
    items(service, "properties.privateEndpointConnections").iter().filter_map(connection::parse).collect()
}

/// Whether it is the place of what the file names that is not there, for somebody who asks of its state or of who is connected: that is told as
/// it is. In a plan the core says that what is named is not there.
pub(crate) fn has_no_place(error: &Error, purpose: Purpose) -> bool {
    is_group_gone(error) && matches!(purpose, Purpose::Connections | Purpose::Status)
}

/// What concerns these services only is a refusal; what concerns everything (no credentials, no network) is an error.
fn refuse_or_fail(world: &mut World, services: &[&Service], error: Error) -> Result<(), Error> {
    if concerns_everything(&error) {
        return Err(error);
    }
    let rule = if is_gone(&error) { Rule::Unsuitable } else { Rule::Unobserved };
    for service in services {
        let address = private_link_service::address(service.name.as_str());
        // Of what is the user's own, nothing depends on who is connected once the file does not want it any more.
        let is_in_the_way = !service.remove || !former::is_supplied(service);
        world.refusals.extend(is_in_the_way.then(|| Refusal {
            address,
            rule,
            why: in_words(&error),
            flag: None,
        }));
        let connections = if is_gone(&error) {
            Connections::NotExposed
        } else {
            Connections::Unreadable { why: error.to_string() }
        };
        world
            .services
            .insert(service.name.to_string(), ServiceWorld { connections, ..ServiceWorld::default() });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
