//! What was read of a service's surroundings, as the facts that its plan rests on. Pure.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::Health;
use privnet_core::spec::azure::{AzureForm, AzureNatSubnet};
use privnet_core::spec::azure_ids::ArmId;

use super::interfaces;
use super::surroundings::{Around, image_of};
use crate::arm::{Json, at, items, same_id, text, text_map, texts};
use crate::facts::{Facts, Frontend, Subnet, Vnet, short_location};
use crate::fields;
use crate::kinds::{self, load_balancer, nat_subnet, private_link_service};
use crate::ownership;
use crate::snapshot::{Listed, Snapshot, nics_of};

/// What a plan must know for a service, of what was read.
pub(super) fn facts_of(snapshot: &Snapshot<'_>, (service, azure): Listed<'_>, around: &Around) -> Facts {
    let Around { nics, frontends, zones, images, .. } = around;
    let services = around.services().unwrap_or(&snapshot.services);
    let (place, link, frontend) = match &azure.form {
        AzureForm::Made(made) => (Some(&made.scope), Some(&made.link), None),
        AzureForm::OnFrontend(form) => (Some(&form.scope), Some(&form.link), Some(&form.frontend)),
        _ => (None, None, None),
    };
    let vnet = place.and_then(|place| {
        let key = place.vnet.key();
        snapshot.vnets.iter().find(|vnet| text(vnet, "id").is_some_and(|id| same_id(id, &key)))
    });
    let wanted = nics_of(azure);
    let nic = |nic: &Json| {
        let fact = interfaces::fact(snapshot, service.name.as_str(), nic, nics);
        Some((fields::id(text(nic, "id")?), fact))
    };
    Facts {
        group_gone: snapshot.is_gone,
        vnet: vnet.map(vnet_fact),
        nat_made_for: link.and_then(|link| match &link.nat_subnet {
            AzureNatSubnet::Existing(id) => nat_made_for(snapshot, id.name()),
            AzureNatSubnet::Create { .. } => None,
        }),
        frontend: frontend
            .and_then(|id| {
                let balancer = frontends.get(&id.key())?.as_ref()?;
                let made_for = made_for(snapshot.deployment, balancer);
                Some(Frontend { made_for, ..frontend_fact(balancer, &id.key()) })
            })
            .map(|fact| shared_with(fact, snapshot, service.name.as_str(), services, frontend)),
        nics: nics
            .iter()
            .filter(|nic| text(nic, "id").is_some_and(|id| wanted.contains(&fields::id(id))))
            .filter_map(nic)
            .collect(),
        zones: place
            .and_then(|place| zones.as_ref().ok()?.get(place.location.as_str()))
            .cloned()
            .unwrap_or_default(),
        zones_unseen: zones.as_ref().err().cloned(),
        image: image_of(azure).and_then(|image| images.get(&image).cloned()),
        services_of: services_of(snapshot, service.name.as_str(), services),
    }
}

fn vnet_fact(vnet: &Json) -> Vnet {
    let subnet = |subnet: &Json| {
        let mut prefixes = texts(subnet, "properties.addressPrefixes");
        prefixes.extend(text(subnet, "properties.addressPrefix").map(str::to_owned));
        prefixes.sort();
        prefixes.dedup();
        let policy = text(subnet, "properties.privateLinkServiceNetworkPolicies").unwrap_or("Enabled");
        Some((
            fields::id(text(subnet, "id")?),
            Subnet {
                prefixes,
                policies_on: !policy.eq_ignore_ascii_case("disabled"),
                is_broken: matches!(kinds::health(subnet), Health::Broken { .. }),
            },
        ))
    };
    Vnet {
        location: short_location(text(vnet, "location").unwrap_or_default()),
        ranges: texts(vnet, "properties.addressSpace.addressPrefixes"),
        subnets: items(vnet, "properties.subnets").iter().filter_map(subnet).collect(),
    }
}

/// Whether a frontend or a configuration has an address of the internet: one by name, or one of a prefix.
pub(super) fn is_public(part: &Json) -> bool {
    ["publicIPAddress", "publicIPPrefix"]
        .iter()
        .any(|address| text(part, &format!("properties.{address}.id")).is_some())
}

/// The virtual network of a configuration's subnet, by id in lower case.
pub(super) fn network_of(configuration: &Json) -> Option<String> {
    let subnet = fields::id(text(configuration, "properties.subnet.id")?);
    Some(subnet.rsplit_once("/subnets/")?.0.to_owned())
}

/// The service of this deployment that a load balancer is proven to have been made for.
pub(super) fn made_for(deployment: &str, balancer: &Json) -> Option<String> {
    let name = text(balancer, "name").unwrap_or_default();
    let claim = ownership::claim(deployment, name, &text_map(balancer, "tags"), &[])?;
    (claim.address.kind == load_balancer::KIND.name).then_some(claim.address.service)
}

/// The service of this deployment that the name of a NAT subnet proves to have been made for: subnets have no tags.
fn nat_made_for(snapshot: &Snapshot<'_>, name: &str) -> Option<String> {
    if !name.to_lowercase().starts_with("pn-") {
        return None;
    }
    let in_clear = ownership::service_in(name);
    let in_file = snapshot.in_file.iter().flatten().map(String::as_str);
    let mut services = in_clear.as_deref().into_iter().chain(snapshot.known_services()).chain(in_file);
    let has_name = |service: &&str| {
        ownership::generation_of(snapshot.deployment, &nat_subnet::address(service), name).is_some()
    };
    services.find(has_name).map(str::to_owned)
}

/// A frontend of a load balancer, by id in lower case.
pub(super) fn frontend_fact(balancer: &Json, id: &str) -> Frontend {
    let frontends = items(balancer, "properties.frontendIPConfigurations");
    let frontend = frontends.iter().find(|f| text(f, "id").is_some_and(|there| same_id(there, id)));
    // A pool by address names addresses in a virtual network; one by interface names interfaces.
    let by_address = |pool: &&Json| {
        let members = items(pool, "properties.loadBalancerBackendAddresses");
        members.iter().any(|m| {
            text(m, "properties.ipAddress").is_some()
                && text(m, "properties.networkInterfaceIPConfiguration.id").is_none()
        })
    };
    let pools = items(balancer, "properties.backendAddressPools").iter().filter(by_address);
    let rules = items(balancer, "properties.loadBalancingRules").iter();
    let own = rules.filter(|rule| {
        text(rule, "properties.frontendIPConfiguration.id").is_some_and(|there| same_id(there, id))
    });
    Frontend {
        location: text(balancer, "location").unwrap_or_default().to_owned(),
        sku: text(balancer, "sku.name").unwrap_or("Basic").to_owned(),
        is_there: frontend.is_some(),
        is_public: frontend.is_some_and(is_public),
        vnet: frontend.and_then(network_of),
        used_by: Vec::new(),
        proxy_headers: BTreeMap::new(),
        address_pools: pools.filter_map(|pool| text(pool, "name")).map(str::to_owned).collect(),
        ports: own
            .filter_map(|rule| at(rule, "properties.frontendPort")?.as_u64()?.try_into().ok())
            .collect(),
        made_for: None,
    }
}

/// A frontend with what other private link services have to do with it and its load balancer.
fn shared_with(
    mut fact: Frontend,
    snapshot: &Snapshot<'_>,
    service: &str,
    services: &[Json],
    frontend: Option<&ArmId>,
) -> Frontend {
    let Some(frontend) = frontend.map(ArmId::key) else { return fact };
    let balancer = load_balancer::of_part(&frontend);
    let address = private_link_service::address(service);
    for shown in services {
        let name = text(shown, "name").unwrap_or_default();
        let Some(id) = text(shown, "id") else { continue };
        let before: Vec<String> = items(shown, "properties.loadBalancerFrontendIpConfigurations")
            .iter()
            .filter_map(|one| text(one, "id").map(fields::id))
            .collect();
        let is_own = ownership::generation_of(snapshot.deployment, &address, name).is_some();
        if is_own || !before.iter().any(|one| load_balancer::of_part(one) == balancer) {
            continue;
        }
        if before.contains(&frontend) {
            fact.used_by.push(id.to_owned());
        }
        let header = at(shown, "properties.enableProxyProtocol").and_then(Json::as_bool).unwrap_or_default();
        fact.proxy_headers.insert(id.to_owned(), header);
    }
    fact
}

/// How many private link services stand before each load balancer, this service's own left out.
fn services_of(snapshot: &Snapshot<'_>, service: &str, services: &[Json]) -> BTreeMap<String, usize> {
    let address = private_link_service::address(service);
    let mut counts = BTreeMap::new();
    for shown in services {
        let name = text(shown, "name").unwrap_or_default();
        if ownership::generation_of(snapshot.deployment, &address, name).is_some() {
            continue;
        }
        let frontends = items(shown, "properties.loadBalancerFrontendIpConfigurations").iter();
        let balancers: BTreeSet<String> = frontends
            .filter_map(|frontend| text(frontend, "id"))
            .filter_map(|id| Some(fields::id(id).split_once("/frontendipconfigurations/")?.0.to_owned()))
            .collect();
        for balancer in balancers {
            *counts.entry(balancer).or_default() += 1;
        }
    }
    counts
}
