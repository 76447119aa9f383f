//! What privnet made for a service before the file turned it to something that is there already (`hosted`, or `existing` with a
//! private link service). Such a service has no resource group of its own any more, so the whole subscription is searched, by pages.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::execute::Context;
use privnet_core::plan::{Refusal, Rule};
use privnet_core::spec::azure::AzureForm;
use privnet_core::spec::{CloudService, Service, Spec};
use privnet_core::{Error, Generation, ObserveRequest, Ownership, Scope, World, own_name};

use super::stranger;
use crate::arm::{Arm, Json, Target, concerns_everything, in_words, items, text, text_map};
use crate::kinds::{self, nat_subnet, private_link_service};
use crate::snapshot::Snapshot;
use crate::{facts, ownership};

/// Whether a service of this form owns nothing itself, and names no resource group in which an earlier form's things would be found.
pub(super) fn may_be_of(form: &AzureForm) -> bool {
    match form {
        AzureForm::Hosted(_) | AzureForm::PrivateLinkService(_) => true,
        AzureForm::Made(_) | AzureForm::OnFrontend(_) | AzureForm::Removed { .. } => false,
    }
}

/// Whether what a service names is the user's own, or hosted by Azure.
pub(super) fn is_supplied(service: &Service) -> bool {
    matches!(&service.cloud, CloudService::Azure(azure) if may_be_of(&azure.form))
}

/// The services of the file that have such a form.
pub(super) fn of_file(spec: &Spec) -> BTreeSet<String> {
    let turned = spec.services.iter().filter(|service| is_supplied(service));
    turned.map(|service| service.name.to_string()).collect()
}

/// What a subscription has of these services. Where it may not be searched, that is kept as a fact.
///
/// # Errors
/// What concerns everything: no credentials, no network.
pub(super) async fn of_subscription(
    arm: &Arm,
    context: &Context,
    spec: &Spec,
    subscription: &str,
    services: BTreeSet<&str>,
) -> Result<World, Error> {
    let mut world = World::default();
    let list = |kind: &str| {
        let target = Target::of(format!("/subscriptions/{subscription}/providers/{kind}"));
        async move { arm.list(context, &target).await }
    };
    let lists = futures::try_join!(
        list("Microsoft.Network/privateLinkServices"),
        list("Microsoft.Network/loadBalancers"),
        list("Microsoft.Network/networkSecurityGroups"),
        list("Microsoft.Compute/virtualMachineScaleSets"),
        list("Microsoft.Network/virtualNetworks"),
    );
    let (links, balancers, groups, machines, networks) = match lists {
        Ok(lists) => lists,
        Err(error) if concerns_everything(&error) => return Err(error),
        Err(error) => {
            facts::keep_unsearched(&mut world, subscription, &in_words(&error));
            return Ok(world);
        }
    };
    world.searched.insert(Scope(format!("azure/{}", subscription.to_lowercase())));
    let names = names(spec.deployment.as_str(), &services);
    let mut found = Found { spec, services, names, snapshots: BTreeMap::new() };
    found.sort(&links, |snapshot| &mut snapshot.services);
    found.sort(&balancers, |snapshot| &mut snapshot.load_balancers);
    found.sort(&groups, |snapshot| &mut snapshot.security_groups);
    found.sort(&machines, |snapshot| &mut snapshot.scale_sets);
    found.sort_networks(&networks);
    let mut strangers = Vec::new();
    for snapshot in found.snapshots.into_values() {
        let mut part = World { live: kinds::live(&snapshot).into(), ..World::default() };
        super::add_services(&snapshot, &mut part);
        stranger::hold_with_rules(&snapshot, &mut part);
        stranger::hold_nat_subnets(&snapshot, &links, &mut part);
        world.merge(part);
        strangers.extend(stranger::before(&snapshot, &links));
    }
    // What is left of a service may be in several groups.
    stranger::keep(strangers, &mut world);
    Ok(world)
}

/// The names in the cloud that these services have, in lower case.
fn names(deployment: &str, services: &BTreeSet<&str>) -> BTreeSet<String> {
    let addresses = services.iter().flat_map(|service| kinds::named(service, &[]));
    let both = addresses.flat_map(|address| {
        [Generation::A, Generation::B].map(|letter| ownership::cloud_name(deployment, &address, letter))
    });
    both.map(|name| name.to_lowercase()).collect()
}

/// What was found, by resource group.
struct Found<'a> {
    spec: &'a Spec,
    services: BTreeSet<&'a str>,
    /// Their names in the cloud, in lower case: a set, since a subscription may have many things and the file many services.
    names: BTreeSet<String>,
    snapshots: BTreeMap<Scope, Snapshot<'a>>,
}

impl<'a> Found<'a> {
    fn snapshot(&mut self, scope: Scope) -> &mut Snapshot<'a> {
        let (spec, services) = (self.spec, &self.services);
        self.snapshots.entry(scope).or_insert_with_key(|scope| {
            let mut snapshot = Snapshot::new(spec.deployment.as_str(), scope.clone(), Vec::new());
            snapshot.turned = services.iter().map(|service| (*service).to_owned()).collect();
            snapshot.known = snapshot.turned.clone();
            snapshot.addresses = services.iter().flat_map(|service| kinds::named(service, &[])).collect();
            snapshot
        })
    }

    /// Keeps what proves to be of these services, and what has a name of theirs.
    fn sort(&mut self, listed: &[Json], part: for<'s> fn(&'s mut Snapshot<'a>) -> &'s mut Vec<Json>) {
        for item in listed {
            let proven = owner(self.spec.deployment.as_str(), item)
                .is_some_and(|owner| self.services.contains(owner.as_str()));
            let named = || text(item, "name").is_some_and(|name| self.names.contains(&name.to_lowercase()));
            let Some(id) = text(item, "id").filter(|_| proven || named()) else { continue };
            let scope = crate::scope::of_id(id);
            part(self.snapshot(scope)).push(item.clone());
        }
    }

    /// Keeps the networks that have a subnet of these services.
    fn sort_networks(&mut self, networks: &[Json]) {
        let deployment = self.spec.deployment.as_str();
        for network in networks {
            let Some(id) = text(network, "id") else { continue };
            let named = |service: &str| {
                let address = nat_subnet::address(service);
                let subnets = items(network, "properties.subnets").iter();
                let mut names = subnets.filter_map(|subnet| text(subnet, "name"));
                names.any(|name| ownership::generation_of(deployment, &address, name).is_some())
            };
            if self.services.iter().any(|service| named(service)) {
                self.snapshot(crate::scope::of_id(id)).vnets.push(network.clone());
            }
        }
    }
}

/// The service of this deployment that a resource is of, by name and proof.
pub(super) fn owner(deployment: &str, resource: &Json) -> Option<String> {
    let name = text(resource, "name")?;
    let claim = ownership::claim(deployment, name, &text_map(resource, "tags"), &[])?;
    (claim.ownership == Ownership::Ours).then_some(claim.address.service)
}

/// Why a private link service that the file names is none of the user's own: this deployment made it.
pub(super) fn own(request: ObserveRequest<'_>, service: &Service, named: &Json) -> Option<Refusal> {
    // Under a tombstone's name it goes.
    if service.remove {
        return None;
    }
    let maker = owner(request.spec.deployment.as_str(), named)?;
    let why = own_name(text(named, "id").unwrap_or_default(), &maker, service.name.as_str());
    let address = private_link_service::address(service.name.as_str());
    Some(Refusal { address, rule: Rule::Unsuitable, why, flag: None })
}

/// Each resource and each refusal once, though both its group and its subscription were read.
pub(super) fn once(world: &mut World) {
    let mut seen = BTreeSet::new();
    world.live.retain(|one| seen.insert((one.address.clone(), one.id.to_lowercase(), one.generation)));
    let mut said = BTreeSet::new();
    world.refusals.retain(|one| said.insert((one.address.clone(), one.rule, one.why.clone())));
}
