//! What was read of endpoint services in one account and region: which are privnet's or named by the file, whom they
//! allow, whom they notify, and who is connected.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use aws_sdk_ec2::types::{
    AllowedPrincipal, ConnectionNotification, ServiceConfiguration, VpcEndpointConnection,
};
use futures::future::{join, join_all, try_join};
use privnet_core::accept::Connection;
use privnet_core::spec::aws::AwsForm;
use privnet_core::world::Connections;
use privnet_core::{Address, Error, Generation, Ownership, Purpose, ServiceWorld, World};
use serde::{Deserialize, Serialize};

use crate::cloud::Cloud;
use crate::connections;
use crate::kinds::endpoint_service::{self, SUPPLIED};
use crate::kinds::{self, allowed_principals};
use crate::names;
use crate::network::tags_of;
use crate::observe::{Snapshot, Wanted};
use crate::ownership::{self, TagMap};
use crate::privatelink;

/// What was read of endpoint services in one account and region.
pub(crate) struct Exposure {
    /// Those that concern this deployment.
    pub(crate) services: Vec<Claimed>,
    /// Whom each of them allows, by service id, or why that cannot be read. Empty where it was not asked for. Services of the user's
    /// that the file does not name any more are here too, where they still allow somebody for us.
    pub(crate) principals: BTreeMap<String, Result<Vec<AllowedPrincipal>, String>>,
    /// Whom to notify of what, or why that cannot be read.
    pub(crate) notifications: Result<Vec<ConnectionNotification>, String>,
    /// Who is connected, by service id, or why that cannot be read.
    pub(crate) connections: Result<BTreeMap<String, Vec<Connection>>, String>,
    /// In which region the endpoint of each connection is, where AWS says so.
    pub(crate) regions: BTreeMap<String, String>,
    /// Endpoint services that are neither ours nor named by the file, by the load balancer that they serve.
    pub(crate) strangers: BTreeMap<String, String>,
    /// Endpoint services of services that the file lists and this deployment has not made, by another deployment's tags: in words.
    pub(crate) namesakes: Vec<String>,
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
    let (described, tagged) = try_join(privatelink::services(cloud), tagged).await?;
    let permissions_hidden = tagged.is_none();
    let tagged = tagged.unwrap_or_default();
    let mut services: Vec<Claimed> = described.iter().flat_map(|service| claims(service, &listed)).collect();
    set_look_alikes_apart(&mut services, &listed);
    let unsure =
        services.iter().filter(|service| is_unsure(service, &listed)).map(|service| service.id.clone());
    let looked_into = principals(cloud, unsure.collect()).await;
    set_copies_apart(&mut services, &listed, &looked_into);
    let namesakes = namesakes(&described, &services, wanted);
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
        let ours = by_service.into_iter().filter(|(id, _)| ids.contains(id));
        let seen = |found: &VpcEndpointConnection| connections::seen(found, &cloud.reach.region);
        ours.map(|(id, found)| (id, found.iter().filter_map(seen).collect())).collect()
    });
    Ok(Exposure {
        services,
        strangers,
        namesakes,
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

/// What the file's services go by, looked up for each endpoint service of the account.
struct Listed<'a> {
    deployment: &'a str,
    /// The endpoint services that the file names, with the services that name them.
    supplied: BTreeMap<&'a str, Vec<&'a str>>,
    /// The load balancers that the file names, with the services that name them.
    balancers: BTreeMap<String, Vec<&'a str>>,
    /// The names of the load balancers that privnet makes, with the service of each.
    names: BTreeMap<String, &'a str>,
}

impl<'a> Listed<'a> {
    fn new(wanted: &'a Wanted<'a>) -> Self {
        let mut listed = Self {
            deployment: wanted.deployment,
            supplied: BTreeMap::new(),
            balancers: BTreeMap::new(),
            names: BTreeMap::new(),
        };
        for (service, aws) in &wanted.services {
            let name = service.name.as_str();
            match &aws.form {
                AwsForm::EndpointService(id) => listed.supplied.entry(id.as_str()).or_default().push(name),
                AwsForm::OnLoadBalancer(on) => {
                    listed.balancers.entry(on.load_balancer.to_string()).or_default().push(name);
                }
                AwsForm::Made(_) => {
                    listed
                        .names
                        .extend(balancer_names(wanted.deployment, name).map(|balancer| (balancer, name)));
                }
                AwsForm::Removed => {}
            }
        }
        listed
    }

    /// The services whose load balancer this is, by name or by the file: a load balancer has one endpoint service only.
    fn services_on(&self, balancer: &str) -> Vec<&'a str> {
        let made = self.names.get(name_of(balancer)).copied();
        made.into_iter().chain(self.balancers.get(balancer).into_iter().flatten().copied()).collect()
    }
}

/// The name within a load balancer's ARN.
fn name_of(balancer: &str) -> &str {
    balancer.split('/').nth(2).unwrap_or_default()
}

/// The two names that a service's load balancer may have.
fn balancer_names(deployment: &str, service: &str) -> [String; 2] {
    let address = Address::new(service, kinds::LOAD_BALANCER, "main");
    [Generation::A, Generation::B].map(|generation| ownership::cloud_name(deployment, &address, generation))
}

/// As what an endpoint service concerns this deployment; mostly nothing, or once.
fn claims(service: &ServiceConfiguration, listed: &Listed<'_>) -> Vec<Claimed> {
    let Some(id) = service.service_id() else { return Vec::new() };
    if endpoint_service::is_going(service) {
        return Vec::new();
    }
    let claimed = |of: &str, name: &str, generation, ownership| Claimed {
        described: service.clone(),
        id: id.to_owned(),
        address: Address::new(of, kinds::ENDPOINT_SERVICE, name),
        generation,
        ownership,
    };
    let tags = tags_of(service.tags());
    let ours = proof(service, &tags, listed);
    let named = listed.supplied.get(id).into_iter().flatten();
    let mut claims: Vec<_> = named.map(|of| claimed(of, SUPPLIED, None, Ownership::Supplied)).collect();
    for balancer in service.network_load_balancer_arns() {
        for of in listed.services_on(balancer) {
            if ours.as_ref().is_none_or(|proof| proof.address.service != of) {
                let why = format!(
                    "it serves the load balancer {balancer}, and {}; or name it with `existing: {{endpoint_service: {id}}}`",
                    ownership::why_not(&tags)
                );
                claims.push(claimed(of, "main", Some(Generation::A), Ownership::Unproven { why }));
            }
        }
    }
    claims.extend(ours.map(|proof| {
        claimed(&proof.address.service, &proof.address.name, Some(proof.generation), Ownership::Ours)
    }));
    claims
}

/// Proof that this deployment made the service. It has no name of its own, so besides the tags it must bear the shown
/// name, or serve a load balancer that is the deployment's by name or by the file: tags alone can be copied.
fn proof(service: &ServiceConfiguration, tags: &TagMap, listed: &Listed<'_>) -> Option<ownership::Proof> {
    let proof =
        ownership::proof(tags, listed.deployment).filter(|p| p.address.kind == kinds::ENDPOINT_SERVICE)?;
    let is_named = ownership::proof_as_shown(tags, listed.deployment).is_some();
    (is_named || serves_own(service, &proof.address.service, listed)).then_some(proof)
}

/// Whether it serves a load balancer that is the service's by name or by the file.
fn serves_own(endpoint_service: &ServiceConfiguration, service: &str, listed: &Listed<'_>) -> bool {
    let own_balancers = balancer_names(listed.deployment, service);
    endpoint_service.network_load_balancer_arns().iter().any(|arn| {
        own_balancers.iter().any(|name| name == name_of(arn))
            || listed.balancers.get(arn).is_some_and(|services| services.contains(&service))
    })
}

/// The shown name can be copied with the tags. What cannot is the load balancer, which has one endpoint service only: where
/// several prove the same address, those are ours that serve its load balancer, and no other is changed or deleted.
fn set_look_alikes_apart(services: &mut [Claimed], listed: &Listed<'_>) {
    let mut proven: BTreeMap<Address, usize> = BTreeMap::new();
    for service in services.iter().filter(|service| service.ownership == Ownership::Ours) {
        *proven.entry(service.address.clone()).or_default() += 1;
    }
    for service in services.iter_mut().filter(|service| service.ownership == Ownership::Ours) {
        let is_alone = proven.get(&service.address) == Some(&1);
        if !is_alone && !serves_own(&service.described, &service.address.service, listed) {
            let why = "another endpoint service has the same tags, and this one does not serve the load balancer of the service: \
                       take privnet's tags off the one that is not privnet's";
            service.ownership = Ownership::Unproven { why: why.to_owned() };
        }
    }
}

/// A deployment that gets another name in its file makes everything anew, and leaves what consumers are connected to. Two deployments may
/// have services of one name all the same, so it is said only while this one has not made its own.
fn namesakes(described: &[ServiceConfiguration], services: &[Claimed], wanted: &Wanted<'_>) -> Vec<String> {
    let deployment = wanted.deployment;
    let is_new = |name: &str| {
        let makes_one = |form: &AwsForm| matches!(form, AwsForm::Made(_) | AwsForm::OnLoadBalancer(_));
        wanted.services.iter().any(|(one, aws)| one.name.as_str() == name && makes_one(&aws.form))
            && !services.iter().any(|one| one.ownership == Ownership::Ours && one.address.service == name)
    };
    let others = described.iter().filter(|service| !endpoint_service::is_going(service)).filter_map(|service| {
        let tags = tags_of(service.tags());
        let (other, proof) = ownership::of_another(&tags, deployment)?;
        let name = proof.address.service;
        (proof.address.kind == kinds::ENDPOINT_SERVICE && is_new(&name)).then(|| {
            format!(
                "{name}: the endpoint service {} has the tags of a service of this name of the deployment `{other}`, and `{deployment}` has \
                 none yet: if the file's `deployment` was renamed, all is made anew beside it, and consumers stay with the old one; then give \
                 the file its old `deployment` again, or destroy that one by its own file",
                service.service_id().unwrap_or_default()
            )
        })
    });
    others.collect()
}

/// Whether nothing but its tags, the shown name among them, tells that a service is ours: it serves a load balancer that is neither privnet's
/// nor named by the file.
fn is_unsure(service: &Claimed, listed: &Listed<'_>) -> bool {
    service.ownership == Ownership::Ours && !serves_own(&service.described, &service.address.service, listed)
}

/// Tags are copied from one service to another, principals are not: what privnet made has allowed somebody whom it marked as its own. So does
/// one that it made for a load balancer which the file does not name any more.
fn set_copies_apart(
    services: &mut [Claimed],
    listed: &Listed<'_>,
    principals: &BTreeMap<String, Result<Vec<AllowedPrincipal>, String>>,
) {
    for service in services.iter_mut().filter(|service| is_unsure(service, listed)) {
        let why = match principals.get(&service.id) {
            Some(Ok(all))
                if allowed_principals::has_ours(all, listed.deployment, &service.address.service) =>
            {
                continue;
            }
            Some(Err(why)) => format!("whom it allows cannot be read ({why})"),
            _ => "it allows nobody whom privnet marked as its own".to_owned(),
        };
        let why = format!(
            "it has privnet's tags, but serves a load balancer that is not privnet's, and {why}: if its tags are a copy, take them off; if \
             privnet made it, delete it by hand"
        );
        service.ownership = Ownership::Unproven { why };
    }
}

/// The endpoint services that have the tags of a service of which none is proven to be ours, with what is to be known of each.
pub(crate) fn not_proven<'a>(snapshot: &'a Snapshot<'_>) -> Vec<(&'a Claimed, String)> {
    let all = &snapshot.exposure.services;
    let proven: BTreeSet<&Address> =
        all.iter().filter(|service| service.ownership == Ownership::Ours).map(|one| &one.address).collect();
    let others = all.iter().filter(|service| !proven.contains(&service.address));
    let told = others.filter_map(|service| match &service.ownership {
        Ownership::Unproven { why } => {
            Some((service, format!("the endpoint service {} stays as it is: {why}", service.id)))
        }
        _ => None,
    });
    told.collect()
}

/// Who is connected to each service that was found. Targets are filled in by `observe`.
pub(crate) fn service_worlds(snapshot: &Snapshot<'_>) -> Vec<(String, ServiceWorld)> {
    let mut worlds: BTreeMap<String, ServiceWorld> = BTreeMap::new();
    // What privnet made comes first: where the file has turned to another service, that one is still to be taken down, and who is
    // connected to the other one is not cut by that.
    let (ours, supplied): (Vec<_>, Vec<_>) = snapshot
        .exposure
        .services
        .iter()
        .filter(|s| s.is_usable())
        .partition(|s| s.ownership == Ownership::Ours);
    let made: BTreeSet<&str> = ours.iter().map(|service| service.address.service.as_str()).collect();
    let supplied = supplied.into_iter().filter(|service| !made.contains(service.address.service.as_str()));
    for service in ours.iter().copied().chain(supplied) {
        let world = worlds.entry(service.address.service.clone()).or_default();
        world.exposed.get_or_insert_with(|| service.address.clone());
        world.connections = match (
            &snapshot.exposure.connections,
            std::mem::replace(&mut world.connections, Connections::NotExposed),
        ) {
            (Err(why), _) => Connections::Unreadable { why: why.clone() },
            (Ok(by_service), before) => {
                let mut all = before.known().to_vec();
                all.extend(by_service.get(&service.id).into_iter().flatten().cloned());
                Connections::Known(all)
            }
        };
    }
    worlds.into_iter().collect()
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
    let written = by_service.into_iter();
    written
        .filter_map(|(name, facts)| Some((ExposureFacts::key(name), serde_json::to_value(facts).ok()?)))
        .collect()
}
