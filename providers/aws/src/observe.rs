//! What is read of AWS: each account and region by itself, all of them at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::{BoxFuture, join, join_all, try_join, try_join3};
use privnet_core::execute::Context;
use privnet_core::plan::{Refusal, Rule};
use privnet_core::spec::CloudService;
use privnet_core::spec::aws::{AwsForm, AwsLocation, AwsService};
use privnet_core::spec::{Service, Spec};
use privnet_core::world::{Connections, Elsewhere, Former};
use privnet_core::{Address, Error, Live, ObserveRequest, Ownership, Purpose, Scope, ServiceWorld, World};

use crate::AwsProvider;
use crate::clients::Reach;
use crate::cloud::Cloud;
use crate::connections::{self, Exposure};
use crate::exposure;
use crate::facts::ServiceFacts;
use crate::kinds::{self, security_group};
use crate::names;
use crate::ownership::Names;
use crate::policy;
use crate::snapshot::{self, Balancing, Machines, Network};

/// What the file wants to know of one account and region.
pub(crate) struct Wanted<'a> {
    /// The unit of ownership.
    pub(crate) deployment: &'a str,
    /// The services there that the file lists, tombstones among them.
    pub(crate) services: Vec<(&'a Service, &'a AwsService)>,
    /// The names that the deployment would use for them.
    pub(crate) names: Names,
    /// Whom they allow to ask for a connection, by service.
    pub(crate) allowed: BTreeMap<&'a str, BTreeSet<String>>,
    /// The regions of the account that services of the file name, others than these among them.
    pub(crate) regions: BTreeSet<&'a str>,
    /// What for.
    pub(crate) purpose: Purpose,
}

/// What was read of one account and region.
pub(crate) struct Snapshot<'a> {
    /// What was wanted.
    pub(crate) wanted: &'a Wanted<'a>,
    /// Where.
    pub(crate) reach: &'a Reach,
    /// Security groups, rules, subnets, VPCs, instances.
    pub(crate) network: Network,
    /// Load balancers, target groups, listeners.
    pub(crate) balancing: Balancing,
    /// Forwarder machines: Auto Scaling groups and launch templates.
    pub(crate) machines: Machines,
    /// Endpoint services, who is allowed, and who is connected.
    pub(crate) exposure: Exposure,
    /// Services of the file that are not here, and what a look at other regions brought.
    pub(crate) elsewhere: BTreeMap<String, Elsewhere>,
}

/// A service that the file lists, and its AWS block.
type Listed<'a> = (&'a Service, &'a AwsService);

/// Observes what the request asks for.
pub(crate) async fn observe(
    provider: &AwsProvider,
    request: ObserveRequest<'_>,
    context: &Context,
) -> Result<World, Error> {
    let services: Vec<_> =
        request.services.iter().filter_map(|service| Some((*service, aws_of(service)?))).collect();
    let reached = reach_all(provider, &services, context).await;
    let mut world = World::default();
    let mut places: BTreeMap<Scope, (Arc<Reach>, Vec<Listed<'_>>)> = BTreeMap::new();
    let mut first_error = None;
    let mut any = false;
    for ((service, aws), result) in services.into_iter().zip(reached) {
        match result {
            Ok(reach) => {
                any = true;
                if let Some(refusal) = wrong_account(service, aws, &reach) {
                    world.refusals.push(refusal);
                    continue;
                }
                provider.remember(service.name.as_str(), &reach);
                places
                    .entry(reach.scope.clone())
                    .or_insert_with(|| (reach, Vec::new()))
                    .1
                    .push((service, aws));
            }
            Err(why) => {
                world.refusals.push(unobserved(service, &why));
                first_error = first_error.or(Some(why));
            }
        }
    }
    if let (false, Some(why)) = (any, first_error) {
        return Err(why.into_error());
    }
    let listed: Vec<_> = match request.purpose {
        // What is behind a name is nothing that the vendor is told.
        Purpose::Connections | Purpose::HandOver => Vec::new(),
        Purpose::Plan | Purpose::Status => {
            places.values().flat_map(|(_, services)| services.clone()).collect()
        }
    };
    let resolved = names::resolve(provider.dns, &listed, &provider.absences, context);
    let mut reads: Vec<BoxFuture<'_, World>> = Vec::with_capacity(places.len());
    for (reach, services) in places.values() {
        reads.push(Box::pin(observe_place(request, reach, services, context)));
    }
    let (resolved, seen) = join(resolved, join_all(reads)).await;
    for part in seen {
        world.merge(part);
    }
    add_names(&mut world, resolved);
    // That takes minutes, and only a change can come of it.
    if request.purpose == Purpose::Plan {
        names::look_again(provider.dns, &listed, &provider.absences, &mut world, context).await;
    }
    if request.purpose != Purpose::Connections {
        connections::look_for_records(provider.dns, &mut world).await;
    }
    Ok(world)
}

fn aws_of(service: &Service) -> Option<&AwsService> {
    match &service.cloud {
        CloudService::Aws(aws) => Some(aws),
        CloudService::Azure(_) | CloudService::Gcp(_) => None,
    }
}

/// An error that several services may share.
#[derive(Clone)]
struct Shared(Arc<Error>);

impl Shared {
    fn into_error(self) -> Error {
        match Arc::try_unwrap(self.0) {
            Ok(error) => error,
            Err(shared) => {
                let mut copy =
                    Error::new(shared.kind(), shared.operation(), shared.subject(), shared.message())
                        .with_request_id(shared.request_id().map(str::to_owned));
                if let Some(code) = shared.code() {
                    copy = copy.with_code(code);
                }
                shared.hints().iter().fold(copy, |copy, hint| copy.with_hint(hint))
            }
        }
    }
}

/// Reaches each service's account, each way there once.
async fn reach_all(
    provider: &AwsProvider,
    services: &[(&Service, &AwsService)],
    context: &Context,
) -> Vec<Result<Arc<Reach>, Shared>> {
    let ways: BTreeSet<AwsLocation> = services.iter().map(|(_, aws)| way_to(aws)).collect();
    let ways: Vec<AwsLocation> = ways.into_iter().collect();
    let mut reaches: Vec<BoxFuture<'_, Result<Arc<Reach>, Error>>> = Vec::with_capacity(ways.len());
    for way in &ways {
        reaches.push(Box::pin(provider.connector.reach(way, context)));
    }
    let reaches = join_all(reaches).await;
    let by_way: BTreeMap<AwsLocation, Result<Arc<Reach>, Shared>> = ways
        .into_iter()
        .zip(reaches.into_iter().map(|result| result.map_err(|error| Shared(Arc::new(error)))))
        .collect();
    let of = |aws: &AwsService| by_way.get(&way_to(aws)).cloned();
    services.iter().filter_map(|(_, aws)| of(aws)).collect()
}

fn way_to(aws: &AwsService) -> AwsLocation {
    AwsLocation { account: None, ..aws.location.clone() }
}

fn refusal(service: &Service, rule: Rule, why: String) -> Refusal {
    Refusal {
        address: Address::new(service.name.as_str(), kinds::ENDPOINT_SERVICE, "main"),
        rule,
        why,
        flag: None,
    }
}

fn unobserved(service: &Service, error: &Shared) -> Refusal {
    refusal(service, Rule::Unobserved, in_words(&error.0))
}

/// An error with its hints, as the reason of a refusal.
fn in_words(error: &Error) -> String {
    let mut why = error.to_string();
    for hint in error.hints() {
        why.push_str("; ");
        why.push_str(hint);
    }
    why
}

/// The file may say which account it is for; nothing but its identity is read of another one.
fn wrong_account(service: &Service, aws: &AwsService, reach: &Reach) -> Option<Refusal> {
    let wanted = aws.location.account.as_ref()?;
    (wanted.as_str() != reach.account).then(|| {
        let why = format!(
            "the file is for the account {wanted}, but the credentials belong to {} ({}); use another profile or role",
            reach.account, reach.caller
        );
        refusal(service, Rule::WrongAccount, why)
    })
}

/// Why whom an earlier file allowed may be left.
const HIDDEN: &str = "whom privnet allowed on an endpoint service that the file does not name any more cannot be looked for, and stays \
                      allowed: the caller lacks the permission `ec2:DescribeTags`";

/// Observes one account and region. Where that fails its services are refused, and the others go on.
async fn observe_place(
    request: ObserveRequest<'_>,
    reach: &Reach,
    services: &[(&Service, &AwsService)],
    context: &Context,
) -> World {
    let deployment = request.spec.deployment.as_str();
    let names = Names::new(deployment, services.iter().flat_map(|(service, aws)| kinds::named(service, aws)));
    let allowed = services.iter().map(|(service, aws)| {
        (service.name.as_str(), policy::principals(request.spec, service, &aws.location))
    });
    let allowed = allowed.collect();
    let in_account = |aws: &&AwsService| {
        aws.location.account.as_ref().is_none_or(|account| account.as_str() == reach.account)
    };
    let regions = request.spec.services.iter().filter_map(aws_of).filter(in_account);
    let regions = regions.map(|aws| aws.location.region.as_str()).collect();
    let purpose = request.purpose;
    let wanted = Wanted { deployment, services: services.to_vec(), names, allowed, regions, purpose };
    let cloud = Cloud { reach, context };
    let mut world = match read(&cloud, &wanted).await {
        Ok(snapshot) => world_of(&snapshot, request.spec),
        Err(error) => {
            let shared = Shared(Arc::new(error));
            let refusals = services.iter().map(|(service, _)| unobserved(service, &shared)).collect();
            World { refusals, ..World::default() }
        }
    };
    world.callers.insert(reach.scope.clone(), reach.caller.clone());
    world
}

async fn read<'a>(cloud: &Cloud<'a>, wanted: &'a Wanted<'a>) -> Result<Snapshot<'a>, Error> {
    let infrastructure = async {
        if wanted.purpose == Purpose::Connections {
            return Ok((Network::default(), Balancing::default(), Machines::default()));
        }
        try_join3(
            snapshot::network(cloud, wanted),
            snapshot::balancing(cloud, wanted),
            snapshot::machines(cloud, wanted),
        )
        .await
    };
    let exposure = connections::read(cloud, wanted);
    let ((network, balancing, machines), exposure) = try_join(infrastructure, exposure).await?;
    let mut snapshot = Snapshot {
        wanted,
        reach: cloud.reach,
        network,
        balancing,
        machines,
        exposure,
        elsewhere: BTreeMap::new(),
    };
    exposure::namesakes::look_into(cloud, &mut snapshot).await;
    snapshot.elsewhere = exposure::elsewhere::look(cloud, wanted, &snapshot.exposure).await;
    Ok(snapshot)
}

/// Services whose listeners stand on a load balancer that an endpoint service serves which is neither ours nor named by the file: who
/// is connected to that one would be cut, whatever makes the listeners go. By name, and why.
fn held_by_strangers(snapshot: &Snapshot<'_>, live: &[Live]) -> BTreeMap<String, String> {
    let listeners = live.iter().filter(|live| live.is_ours() && live.address.kind == kinds::LISTENER);
    let held = listeners.filter_map(|listener| {
        let balancer = listener.fields.get("load_balancer")?.as_text()?;
        let stranger = snapshot.exposure.strangers.get(balancer)?;
        let why = format!(
            "{} stands on the load balancer {balancer}, which the endpoint service {stranger} serves, and that one is not \
             privnet's: who is connected to it would be cut. Give it back privnet's tags, `Name` among them, if privnet made it; else \
             take it off the load balancer, or name it with `existing: {{endpoint_service: {stranger}}}`",
            listener.id
        );
        Some((listener.address.service.clone(), why))
    });
    held.collect()
}

fn world_of(snapshot: &Snapshot<'_>, spec: &Spec) -> World {
    let mut world = World { live: kinds::live(snapshot).into(), ..World::default() };
    world.misplaced = kinds::listener::misplaced(snapshot);
    let mut told = Vec::new();
    for (held, why) in held_by_strangers(snapshot, &world.live) {
        match spec.services.iter().find(|service| service.name.as_str() == held) {
            Some(service) => world.refusals.push(refusal(service, Rule::NotOurs, why)),
            // What the file does not list is no reason to refuse anything, and is nothing to prune either: that it stays is said.
            None => {
                world.live.retain(|live| live.address.service != held);
                if snapshot.wanted.purpose == Purpose::Plan {
                    told.push(format!("{held}: it stays, with all that privnet made for it: {why}"));
                }
            }
        }
    }
    for (claimed, why) in exposure::not_proven(snapshot) {
        match spec.services.iter().find(|service| service.name.as_str() == claimed.address.service) {
            // What is wanted there says so itself.
            Some(service) if service.remove => world.refusals.push(refusal(service, Rule::NotOurs, why)),
            Some(service) if !is_supplied(service) => {}
            // Nothing is wanted in its place that would be refused because of it.
            Some(_) | None => told.push(why),
        }
    }
    told.extend(kinds::listener::copies(snapshot));
    told.extend(kinds::security_group_rule::copies(snapshot));
    if snapshot.wanted.purpose == Purpose::Plan {
        told.extend(kinds::allowed_principals::taken_for_yours(snapshot, spec));
        told.extend(kinds::allowed_principals::left_behind(snapshot, &world.live));
        world.kept_by_others = security_group::kept_by_others(snapshot);
        world.elsewhere = snapshot.elsewhere.clone();
    }
    if !told.is_empty() {
        world.unknown.entry(snapshot.reach.scope.clone()).or_default().extend(told);
    }
    world.searched.insert(snapshot.reach.scope.clone());
    if snapshot.wanted.purpose == Purpose::Plan {
        let hidden = snapshot.exposure.permissions_hidden.then(|| HIDDEN.to_owned());
        let unknown = hidden.into_iter().chain(hidden_machines(snapshot));
        world.unknown.entry(snapshot.reach.scope.clone()).or_default().extend(unknown);
    }
    for (service, _) in &snapshot.wanted.services {
        world.services.insert(service.name.to_string(), ServiceWorld::default());
    }
    for live in world.live.iter().filter(|live| live.is_ours()) {
        world.services.entry(live.address.service.clone()).or_default();
    }
    let (worlds, former) = connections::service_worlds(snapshot);
    world.services.extend(worlds);
    world.former = former;
    // Where it is gone already and something is left beside it, whoever is connected is at what the file names.
    for (service, aws) in &snapshot.wanted.services {
        let made = |live: &Live| live.is_ours() && live.address.name != kinds::endpoint_service::SUPPLIED;
        if matches!(aws.form, AwsForm::EndpointService(_))
            && world.live.of(service.name.as_str()).iter().any(made)
        {
            let nothing = || Former { exposed: None, connections: Connections::NotExposed };
            world.former.entry(service.name.to_string()).or_insert_with(nothing);
        }
    }
    for (service, seen) in &mut world.services {
        seen.targets = snapshot.targets_of(service);
    }
    for (service, aws) in &snapshot.wanted.services {
        let facts = snapshot.facts_of(service, aws);
        if let Ok(json) = serde_json::to_value(facts) {
            world.facts.insert(ServiceFacts::key(service.name.as_str()), json);
        }
    }
    world.facts.extend(connections::facts(snapshot));
    world
}

/// Forwarder machines that somebody else's role made and this one may not look for: their security group, and what is registered of them.
fn hidden_machines(snapshot: &Snapshot<'_>) -> Vec<String> {
    let Some(error) = &snapshot.machines.hidden else { return Vec::new() };
    let theirs = snapshot.network.groups.iter().filter(|(_, claim)| {
        let of = security_group::forwarders(&claim.address.service);
        claim.ownership == Ownership::Ours && claim.address == of
    });
    let told = theirs.map(|(group, claim)| {
        let service = claim.address.service.as_str();
        let machines: BTreeSet<String> = snapshot.machines_registered(service);
        let machines = if machines.is_empty() {
            String::new()
        } else {
            format!(": {}", machines.into_iter().collect::<Vec<_>>().join(", "))
        };
        format!(
            "{service}: forwarder machines in the security group {} cannot be looked for, and stay where there are any{machines}; {}",
            group.group_id().unwrap_or_default(),
            in_words(error)
        )
    });
    told.collect()
}

/// The names were resolved while the cloud was read.
fn add_names(
    world: &mut World,
    mut resolved: BTreeMap<String, BTreeMap<String, crate::facts::ResolvedName>>,
) {
    for (service, names) in std::mem::take(&mut resolved) {
        let key = ServiceFacts::key(&service);
        if !world.facts.contains_key(&key) {
            continue;
        }
        let facts = ServiceFacts { names, ..ServiceFacts::of(world, &service) };
        if let Ok(json) = serde_json::to_value(facts) {
            world.facts.insert(key, json);
        }
    }
}

/// Whether a service is an endpoint service of the user's own.
fn is_supplied(service: &Service) -> bool {
    aws_of(service).is_some_and(|aws| matches!(aws.form, AwsForm::EndpointService(_)))
}

/// Whether a service's load balancer is the user's own.
pub(crate) fn supplied_load_balancer(aws: &AwsService) -> Option<String> {
    match &aws.form {
        AwsForm::OnLoadBalancer(on) => Some(on.load_balancer.to_string()),
        AwsForm::Made(_) | AwsForm::EndpointService(_) | AwsForm::Removed => None,
    }
}
