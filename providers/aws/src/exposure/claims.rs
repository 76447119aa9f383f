//! Which endpoint services are privnet's or named by the file, and how those that only look like it are told apart.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{AllowedPrincipal, ServiceConfiguration};
use privnet_core::spec::aws::AwsForm;
use privnet_core::{Address, Generation, Ownership};

use super::Claimed;
use crate::kinds::endpoint_service::{self, SUPPLIED};
use crate::kinds::{self, allowed_principals};
use crate::network::tags_of;
use crate::observe::{Snapshot, Wanted};
use crate::ownership::{self, TagMap};

/// What the file's services go by, looked up for each endpoint service of the account.
pub(super) struct Listed<'a> {
    deployment: &'a str,
    /// The endpoint services that the file names, with the services that name them.
    supplied: BTreeMap<&'a str, Vec<&'a str>>,
    /// The load balancers that the file names, with the services that name them.
    balancers: BTreeMap<String, Vec<&'a str>>,
    /// The names of the load balancers that privnet makes, with the service of each.
    names: BTreeMap<String, &'a str>,
}

impl<'a> Listed<'a> {
    pub(super) fn new(wanted: &'a Wanted<'a>) -> Self {
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
pub(super) fn claims(service: &ServiceConfiguration, listed: &Listed<'_>) -> Vec<Claimed> {
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
                let why = format!("it serves the load balancer {balancer}, and {}", ownership::shown(&tags));
                let mend = format!(
                    "if privnet made it, give it back privnet's tags, `Name` among them, or delete it by hand; else take it off the load \
                     balancer, or name it with `existing: {{endpoint_service: {id}}}`"
                );
                let unproven = Ownership::Unproven { why, mend: Some(mend) };
                claims.push(claimed(of, "main", Some(Generation::A), unproven));
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
pub(super) fn set_look_alikes_apart(services: &mut [Claimed], listed: &Listed<'_>) {
    let mut proven: BTreeMap<Address, usize> = BTreeMap::new();
    for service in services.iter().filter(|service| service.ownership == Ownership::Ours) {
        *proven.entry(service.address.clone()).or_default() += 1;
    }
    for service in services.iter_mut().filter(|service| service.ownership == Ownership::Ours) {
        let is_alone = proven.get(&service.address) == Some(&1);
        if !is_alone && !serves_own(&service.described, &service.address.service, listed) {
            let why = "another endpoint service has the same tags, and this one does not serve the load balancer of the service";
            let mend = "take privnet's tags off the one that is not privnet's";
            service.ownership = Ownership::Unproven { why: why.to_owned(), mend: Some(mend.to_owned()) };
        }
    }
}

/// Whether nothing but its tags, the shown name among them, tells that a service is ours: it serves a load balancer that is neither privnet's
/// nor named by the file.
pub(super) fn is_unsure(service: &Claimed, listed: &Listed<'_>) -> bool {
    service.ownership == Ownership::Ours && !serves_own(&service.described, &service.address.service, listed)
}

/// Tags are copied from one service to another, principals are not: what privnet made has allowed somebody whom it marked as its own. So does
/// one that it made for a load balancer which the file does not name any more.
pub(super) fn set_copies_apart(
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
        let why =
            format!("it has privnet's tags, but serves a load balancer that is not privnet's, and {why}");
        let mend = "if its tags are a copy, take them off; if privnet made it, delete it by hand";
        service.ownership = Ownership::Unproven { why, mend: Some(mend.to_owned()) };
    }
}

/// The endpoint services that have the tags of a service of which none is proven to be ours, with what is to be known of each.
pub(crate) fn not_proven<'a>(snapshot: &'a Snapshot<'_>) -> Vec<(&'a Claimed, String)> {
    let all = &snapshot.exposure.services;
    let proven: BTreeSet<&Address> =
        all.iter().filter(|service| service.ownership == Ownership::Ours).map(|one| &one.address).collect();
    let others = all.iter().filter(|service| !proven.contains(&service.address));
    let title = kinds::endpoint_service::KIND.title;
    let told = others.filter_map(|service| {
        Some((service, service.ownership.why_it_stays(title, &service.id, &service.address)?))
    });
    told.collect()
}
