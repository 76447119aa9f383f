//! What was read of endpoint services in one account and region: which are privnet's or named by the file, whom they
//! allow, whom they notify, and who is connected.

mod claims;
pub(crate) mod elsewhere;
pub(crate) mod namesakes;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use aws_sdk_ec2::types::{
    AllowedPrincipal, ConnectionNotification, ServiceConfiguration, VpcEndpointConnection,
};
use futures::future::{join, join_all, try_join};
use privnet_core::accept::Connection;
use privnet_core::spec::aws::AwsForm;
use privnet_core::world::{Connections, Former};
use privnet_core::{Address, Error, Generation, Ownership, Purpose, ServiceWorld, World};
use serde::{Deserialize, Serialize};

use crate::cloud::Cloud;
use crate::connections;
use crate::kinds::allowed_principals;
use crate::kinds::endpoint_service;
use crate::names;
use crate::observe::{Snapshot, Wanted};
use crate::privatelink;

use claims::{Listed, claims, is_unsure, set_copies_apart, set_look_alikes_apart};
use elsewhere::Regions;
use namesakes::Namesake;

pub(crate) use claims::not_proven;

/// What was read of endpoint services in one account and region.
pub(crate) struct Exposure {
    /// Those that concern this deployment.
    pub(crate) services: Vec<Claimed>,
    /// Whom each of them allows, by service id, or why that cannot be read. Empty where it was not asked for. Services of the user's
    /// that the file does not name any more are here too, where they still allow somebody for us.
    pub(crate) principals: BTreeMap<String, Result<Vec<AllowedPrincipal>, String>>,
    /// Whom to notify of what, or why that cannot be read.
    pub(crate) notifications: Result<Vec<ConnectionNotification>, String>,
    /// Who is connected, by service id, or why that cannot be read: to those of which it is read whom they allow.
    pub(crate) connections: Result<BTreeMap<String, Vec<Connection>>, String>,
    /// In which region the endpoint of each connection is, where AWS says so.
    pub(crate) regions: BTreeMap<String, String>,
    /// Endpoint services that are neither ours nor named by the file, by the load balancer that they serve.
    pub(crate) strangers: BTreeMap<String, String>,
    /// Endpoint services of services that the file lists and this deployment has not made, by another deployment's tags.
    pub(crate) namesakes: Vec<Namesake>,
    /// The account's other regions, where something may have to be looked for in them.
    pub(crate) other_regions: Regions,
    /// Whether permissions cannot be looked for by their tags.
    pub(crate) permissions_hidden: bool,
}

/// An endpoint service that concerns this deployment, as what, and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Claimed {
    /// As it is described.
    pub(crate) described: ServiceConfiguration,
    /// Its id.
    pub(crate) id: String,
    /// As what.
    pub(crate) address: Address,
    /// Under which of the two letters it was made.
    pub(crate) generation: Option<Generation>,
    /// Whose.
    pub(crate) ownership: Ownership,
}

impl Claimed {
    /// Whether consumers of the service at its address use it.
    pub(crate) fn is_usable(&self) -> bool {
        !matches!(self.ownership, Ownership::Unproven { .. })
    }
}

/// Reads endpoint services, permissions, notifications and connections. Only the first of these must succeed.
pub(crate) async fn read(cloud: &Cloud<'_>, wanted: &Wanted<'_>) -> Result<Exposure, Error> {
    let listed = Listed::new(wanted);
    let only_connections = wanted.purpose == Purpose::Connections;
    let tagged = async {
        if only_connections {
            return Ok(Some(BTreeSet::new()));
        }
        privatelink::tagged_permissions(cloud, wanted.deployment).await
    };
    let here = try_join(privatelink::services(cloud), tagged);
    let (here, other_regions) = join(here, elsewhere::regions(cloud, wanted)).await;
    let (described, tagged) = here?;
    let permissions_hidden = tagged.is_none();
    let tagged = tagged.unwrap_or_default();
    let mut services: Vec<Claimed> = described.iter().flat_map(|service| claims(service, &listed)).collect();
    set_look_alikes_apart(&mut services, &listed);
    let unsure =
        services.iter().filter(|service| is_unsure(service, &listed)).map(|service| service.id.clone());
    let looked_into = principals(cloud, unsure.collect()).await;
    set_copies_apart(&mut services, &listed, &looked_into);
    let namesakes = match wanted.purpose {
        Purpose::Plan => namesakes::of(&described, &services, wanted),
        Purpose::Status | Purpose::HandOver | Purpose::Connections => Vec::new(),
    };
    let ids: BTreeSet<String> = services.iter().filter(|s| s.is_usable()).map(|s| s.id.clone()).collect();
    // One that is going has nobody connected any more: it may be ours, of a run that was cut short.
    let strangers = described
        .iter()
        .filter(|service| !endpoint_service::is_going(service))
        .filter_map(|service| Some((service.service_id().filter(|id| !ids.contains(*id))?, service)))
        .flat_map(|(id, service)| {
            service.network_load_balancer_arns().iter().map(move |arn| (arn.clone(), id.to_owned()))
        })
        .collect();
    if ids.is_empty() && tagged.is_empty() {
        return Ok(Exposure {
            services,
            strangers,
            namesakes,
            other_regions,
            permissions_hidden,
            principals: BTreeMap::new(),
            notifications: Ok(Vec::new()),
            connections: Ok(BTreeMap::new()),
            regions: BTreeMap::new(),
        });
    }
    let principals = async {
        if only_connections {
            return BTreeMap::new();
        }
        let unread = ids.iter().filter(|id| !looked_into.contains_key(*id)).cloned().collect();
        let mut all = principals(cloud, unread).await;
        all.extend(looked_into.into_iter().filter(|(id, _)| ids.contains(id)));
        let found: BTreeSet<&str> = all
            .values()
            .flatten()
            .flatten()
            .filter_map(|permission| permission.service_permission_id())
            .collect();
        if tagged.iter().any(|id| !found.contains(id.as_str())) {
            let others = described.iter().filter_map(|service| service.service_id());
            let others = others.filter(|id| !ids.contains(*id)).map(str::to_owned).collect();
            all.extend(principals(cloud, others).await);
        }
        all
    };
    let notifications =
        async { if only_connections { Ok(Vec::new()) } else { privatelink::notifications(cloud).await } };
    let connected = privatelink::connections(cloud, None);
    let (principals, (notifications, connected)) = join(principals, join(notifications, connected)).await;
    let of = |connection: &VpcEndpointConnection| {
        let (id, region) = (connection.vpc_endpoint_id()?, connection.vpc_endpoint_region()?);
        Some((id.to_owned(), region.to_owned()))
    };
    let regions = connected.iter().flat_map(BTreeMap::values).flatten().filter_map(of).collect();
    let connections = connected.map(|by_service| {
        let is_of_concern = |id: &String| ids.contains(id) || principals.contains_key(id);
        let ours = by_service.into_iter().filter(|(id, _)| is_of_concern(id));
        let seen = |found: &VpcEndpointConnection| connections::seen(found, &cloud.reach.region);
        ours.map(|(id, found)| (id, found.iter().filter_map(seen).collect())).collect()
    });
    Ok(Exposure {
        services,
        strangers,
        namesakes,
        other_regions,
        permissions_hidden,
        principals,
        notifications: notifications.map_err(|error| in_words(&error)),
        connections: connections.map_err(|error| in_words(&error)),
        regions,
    })
}

/// Whom each of these services allows.
async fn principals(
    cloud: &Cloud<'_>,
    services: BTreeSet<String>,
) -> BTreeMap<String, Result<Vec<AllowedPrincipal>, String>> {
    let reads = services.into_iter().map(|id| async move {
        let answer = privatelink::principals(cloud, &id).await;
        (id, answer.map_err(|error| in_words(&error)))
    });
    join_all(reads).await.into_iter().collect()
}

/// An error with its hints in one line.
fn in_words(error: &Error) -> String {
    error.hints().iter().fold(error.to_string(), |words, hint| format!("{words}; {hint}"))
}

/// Who is connected to each service that was found, and to what privnet made of those whose file names another endpoint service by now:
/// that is still to be taken down, and who is connected to the other one is not cut by that. Targets are filled in by `observe`.
pub(crate) fn service_worlds(
    snapshot: &Snapshot<'_>,
) -> (BTreeMap<String, ServiceWorld>, BTreeMap<String, Former>) {
    let mut worlds: BTreeMap<String, ServiceWorld> = BTreeMap::new();
    let mut former: BTreeMap<String, Former> = BTreeMap::new();
    let wanted = snapshot.wanted.services.iter();
    let turned: BTreeSet<&str> = wanted
        .filter(|(_, aws)| matches!(aws.form, AwsForm::EndpointService(_)))
        .map(|(service, _)| service.name.as_str())
        .collect();
    let (ours, supplied): (Vec<_>, Vec<_>) = snapshot
        .exposure
        .services
        .iter()
        .filter(|s| s.is_usable())
        .partition(|s| s.ownership == Ownership::Ours);
    // Beside what privnet made and the file wants, another one is what the file named before.
    let made: BTreeSet<&str> = ours.iter().map(|service| service.address.service.as_str()).collect();
    let supplied = supplied.into_iter().filter(|service| {
        let name = service.address.service.as_str();
        turned.contains(name) || !made.contains(name)
    });
    for service in ours.iter().copied().chain(supplied) {
        let name = &service.address.service;
        let (exposed, connections) = if service.ownership == Ownership::Ours && turned.contains(name.as_str())
        {
            let nothing = || Former { exposed: None, connections: Connections::NotExposed };
            let former = former.entry(name.clone()).or_insert_with(nothing);
            (&mut former.exposed, &mut former.connections)
        } else {
            let world = worlds.entry(name.clone()).or_default();
            (&mut world.exposed, &mut world.connections)
        };
        exposed.get_or_insert_with(|| service.address.clone());
        let before = std::mem::replace(connections, Connections::NotExposed);
        *connections = with_those_of(snapshot, service, &before);
    }
    (worlds, former)
}

/// The connections of this service beside those of another one of the same name.
fn with_those_of(snapshot: &Snapshot<'_>, service: &Claimed, before: &Connections) -> Connections {
    match &snapshot.exposure.connections {
        Err(why) => Connections::Unreadable { why: why.clone() },
        Ok(by_service) => {
            let mut all = before.known().to_vec();
            all.extend(by_service.get(&service.id).into_iter().flatten().cloned());
            Connections::Known(all)
        }
    }
}

/// Looks for the records that prove private DNS names whose verification failed: asking AWS to look again before the record is
/// there would only fail again.
pub(crate) async fn look_for_records(dns: Option<SocketAddr>, world: &mut World) {
    let failed =
        world.live.iter_mut().filter(|live| live.is_ours()).filter_map(endpoint_service::failed_record);
    let looks = failed.map(|(name, value, record)| async move {
        if names::holds_text(dns, &name, &value).await {
            endpoint_service::mark_seen(record);
        }
    });
    join_all(looks).await;
}

/// What lowering needs to know of a service's exposure, under a key of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ExposureFacts {
    /// Why it is not known whom the service allows.
    pub(crate) principals_unreadable: Option<String>,
    /// Why it is not known whom the service notifies.
    pub(crate) notifications_unreadable: Option<String>,
    /// Principals of the user's own on a supplied service.
    pub(crate) allowed_by_user: BTreeSet<String>,
    /// The live connections, by the region that their endpoints are in.
    pub(crate) live_from: BTreeMap<String, BTreeSet<String>>,
    /// Another deployment's endpoint services for a service of this name.
    pub(crate) namesakes: Vec<Namesake>,
}

impl ExposureFacts {
    fn key(service: &str) -> String {
        format!("aws/exposure/{service}")
    }

    /// The facts of a service; the default where there are none.
    pub(crate) fn of(world: &World, service: &str) -> Self {
        let found = world.facts.get(&Self::key(service));
        found.and_then(|json| Self::deserialize(json).ok()).unwrap_or_default()
    }
}

/// The facts of this side.
pub(crate) fn facts(snapshot: &Snapshot<'_>) -> Vec<(String, serde_json::Value)> {
    let exposure = &snapshot.exposure;
    let mut by_service: BTreeMap<&str, ExposureFacts> = BTreeMap::new();
    for service in exposure.services.iter().filter(|s| s.is_usable()) {
        let facts = by_service.entry(&service.address.service).or_default();
        let connections = exposure.connections.iter().filter_map(|by_service| by_service.get(&service.id));
        for connection in connections.flatten().filter(|connection| connection.state.may_be_live()) {
            if let Some(region) = exposure.regions.get(&connection.id) {
                facts.live_from.entry(region.clone()).or_default().insert(connection.id.clone());
            }
        }
        facts.notifications_unreadable = exposure.notifications.as_ref().err().cloned();
        match exposure.principals.get(&service.id) {
            Some(Err(why)) => facts.principals_unreadable = Some(why.clone()),
            Some(Ok(all)) if service.ownership == Ownership::Supplied => {
                facts.allowed_by_user =
                    allowed_principals::of_others(all, snapshot.wanted.deployment, &service.address.service);
            }
            Some(Ok(_)) | None => {}
        }
    }
    for namesake in &exposure.namesakes {
        by_service.entry(&namesake.service).or_default().namesakes.push(namesake.clone());
    }
    let written = by_service.into_iter();
    written
        .filter_map(|(name, facts)| Some((ExposureFacts::key(name), serde_json::to_value(facts).ok()?)))
        .collect()
}
