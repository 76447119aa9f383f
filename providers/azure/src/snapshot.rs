//! What was read of one resource group, and what the file wants to know of it.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::spec::Service;
use privnet_core::spec::azure::{AzureForm, AzureService, AzureTarget};
use privnet_core::{Address, Scope};

use crate::arm::{Json, items, text, text_map};
use crate::fields;
use crate::kinds;
use crate::ownership::{self, Claim};

/// A service of the file with its Azure part.
pub(crate) type Listed<'a> = (&'a Service, &'a AzureService);

/// What was read of one resource group.
#[derive(Debug)]
pub(crate) struct Snapshot<'a> {
    /// The unit of ownership.
    pub(crate) deployment: &'a str,
    /// The group.
    pub(crate) scope: Scope,
    /// Whether there is no such group, and so nothing in it.
    pub(crate) is_gone: bool,
    /// The file's services in the group.
    pub(crate) listed: Vec<Listed<'a>>,
    /// Private link services.
    pub(crate) services: Vec<Json>,
    pub(crate) load_balancers: Vec<Json>,
    pub(crate) security_groups: Vec<Json>,
    pub(crate) scale_sets: Vec<Json>,
    /// The groups of machines of which a load balancer says that they answer, by id in lower case: asked where there are two of one.
    pub(crate) answering: BTreeSet<String>,
    /// The virtual networks that are concerned, wherever they are.
    pub(crate) vnets: Vec<Json>,
    /// The load balancers of other groups that interfaces of the file are behind, by id in lower case; nothing: it may not be read.
    pub(crate) further_balancers: BTreeMap<String, Option<Json>>,
    /// The services of the deployment: the file's, and those that something of ours names.
    pub(crate) known: BTreeSet<String>,
    /// The services of the file, wherever they are, that own nothing in the form that they have now.
    pub(crate) turned: BTreeSet<String>,
    /// All services of the file, wherever they are, where others are to be found by names alone.
    pub(crate) in_file: Option<BTreeSet<String>>,
    /// The addresses that the deployment has names for.
    pub(crate) addresses: Vec<Address>,
}

impl<'a> Snapshot<'a> {
    /// An empty one for these services.
    pub(crate) fn new(deployment: &'a str, scope: Scope, listed: Vec<Listed<'a>>) -> Self {
        let known = listed.iter().map(|(service, _)| service.name.to_string()).collect();
        let addresses = listed
            .iter()
            .flat_map(|(service, azure)| kinds::named(service.name.as_str(), &forwarder_subnets(azure)))
            .collect();
        Self {
            deployment,
            scope,
            is_gone: false,
            listed,
            services: Vec::new(),
            load_balancers: Vec::new(),
            security_groups: Vec::new(),
            scale_sets: Vec::new(),
            answering: BTreeSet::new(),
            vnets: Vec::new(),
            further_balancers: BTreeMap::new(),
            known,
            turned: BTreeSet::new(),
            in_file: None,
            addresses,
        }
    }

    /// Whose a resource of this kind is; nothing where it does not concern this deployment.
    pub(crate) fn claim(&self, resource: &Json, kind: &str) -> Option<Claim> {
        let name = text(resource, "name")?;
        let claim = ownership::claim(self.deployment, name, &text_map(resource, "tags"), &self.addresses)?;
        (claim.address.kind == kind).then_some(claim)
    }

    /// The services of the deployment that are known of.
    pub(crate) fn known_services(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(String::as_str)
    }

    /// The service that the derived name of something without tags has in clear, where the file lists it nowhere: of one that it lists, its
    /// own place tells.
    pub(crate) fn unlisted_in(&self, name: &str) -> Option<String> {
        let in_file = self.in_file.as_ref()?;
        ownership::service_in(name).filter(|service| !in_file.contains(service))
    }

    /// Takes note of services that the file does not list, from the proofs of what was read.
    pub(crate) fn learn_services(&mut self) {
        let all = [&self.services, &self.load_balancers, &self.security_groups, &self.scale_sets];
        let mut names = BTreeSet::new();
        for resource in all.into_iter().flatten() {
            let name = text(resource, "name").unwrap_or_default();
            if let Some(claim) = ownership::claim(self.deployment, name, &text_map(resource, "tags"), &[]) {
                names.insert(claim.address.service);
            }
        }
        self.known.extend(names);
    }

    /// The virtual networks that the file names, by id in lower case.
    pub(crate) fn networks_of_file(&self) -> BTreeSet<String> {
        let named = self.listed.iter().filter_map(|(_, azure)| match &azure.form {
            AzureForm::Made(made) => Some(made.scope.vnet.key()),
            AzureForm::OnFrontend(form) => Some(form.scope.vnet.key()),
            _ => None,
        });
        named.collect()
    }

    /// The virtual networks that the file or something of ours names, by id in lower case.
    pub(crate) fn networks(&self) -> BTreeSet<String> {
        let mut ids = self.networks_of_file();
        for service in &self.services {
            if self.claim(service, kinds::private_link_service::KIND.name).is_some() {
                ids.insert(kinds::private_link_service::read(service).vnet);
            }
        }
        for balancer in &self.load_balancers {
            if self.claim(balancer, kinds::load_balancer::KIND.name).is_some() {
                ids.extend(self.vnet_of(balancer));
            }
        }
        ids.retain(|id| !id.is_empty());
        ids
    }

    /// The virtual network of a load balancer's frontend, by id in lower case.
    pub(crate) fn vnet_of(&self, balancer: &Json) -> Option<String> {
        let frontends = items(balancer, "properties.frontendIPConfigurations");
        let subnet = frontends.iter().find_map(|frontend| text(frontend, "properties.subnet.id"))?;
        Some(fields::id(subnet).rsplit_once("/subnets/")?.0.to_owned())
    }

    /// Whether a tombstone is among the services: then a NAT subnet may be left in a network that nothing names.
    pub(crate) fn has_tombstone(&self) -> bool {
        self.listed.iter().any(|(_, azure)| matches!(azure.form, AzureForm::Removed { .. }))
    }

    /// Whether nothing but tombstones is among the services.
    pub(crate) fn has_only_tombstones(&self) -> bool {
        self.listed.iter().all(|(_, azure)| matches!(azure.form, AzureForm::Removed { .. }))
    }

    /// Whether the file has a service in the form that privnet makes.
    pub(crate) fn makes(&self, service: &str) -> bool {
        self.listed.iter().any(|(listed, azure)| {
            listed.name.as_str() == service && !listed.remove && matches!(azure.form, AzureForm::Made(_))
        })
    }

    /// Whether the file leaves it to the user which interfaces are in a service's pools: then nobody else takes one out, either.
    pub(crate) fn user_joins(&self, service: &str) -> bool {
        self.listed.iter().any(|(listed, azure)| {
            listed.name.as_str() == service && matches!(&azure.form, AzureForm::Made(made) if !made.join_nics)
        })
    }
}

fn forwarder_subnets(azure: &AzureService) -> Vec<String> {
    let AzureForm::Made(made) = &azure.form else { return Vec::new() };
    let subnets = made.forwarder.iter().flat_map(|forwarder| &forwarder.subnets);
    subnets.map(|subnet| subnet.name().to_lowercase()).collect()
}

/// The network interfaces that a service's ports lead to.
pub(crate) fn nics_of(azure: &AzureService) -> BTreeSet<String> {
    let AzureForm::Made(made) = &azure.form else { return BTreeSet::new() };
    let nics = made.ports.iter().filter_map(|port| match &port.to {
        AzureTarget::Nics(nics) => Some(nics),
        AzureTarget::Forwarder(_) => None,
    });
    nics.flatten().map(|nic| nic.key()).collect()
}
