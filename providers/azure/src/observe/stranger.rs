//! Private link services that stand before a load balancer which privnet made for a service, and that are not proven to be that service's:
//! somebody may go through them, so that what they stand on is not taken away. Of a service that has turned since, nothing is. And rules
//! of somebody else's on such a load balancer, on frontends of their own; and their private link services whose addresses come from a NAT subnet
//! that privnet made.

use std::collections::BTreeSet;

use privnet_core::accept::Connection;
use privnet_core::plan::{Refusal, Rule};
use privnet_core::world::{Connections, Held};
use privnet_core::{Live, Ownership, World};

use crate::arm::{Json, items, text, text_map};
use crate::fields;
use crate::kinds::{load_balancer, nat_subnet, private_link_service};
use crate::ownership::{self, Claim};
use crate::snapshot::Snapshot;

/// One of them.
pub(super) struct Stranger {
    /// The service that turned.
    service: String,
    refusal: Refusal,
    connections: Vec<Connection>,
}

/// Those before the load balancers of a group, among the private link services that were listed.
pub(super) fn before(snapshot: &Snapshot<'_>, links: &[Json]) -> Vec<Stranger> {
    let turned = pairs(snapshot, links).into_iter().filter(|pair| snapshot.turned.contains(&pair.service));
    turned
        .map(|pair| {
            let (rule, why) = pair.taking_away_would_cut(snapshot);
            let why = format!("{why}; or leave this service in the file in the form that it had");
            let address = private_link_service::address(&pair.service);
            Stranger {
                refusal: Refusal { address, rule, why, flag: None },
                connections: super::connections_of(pair.link),
                service: pair.service,
            }
        })
        .collect()
}

/// Holds the load balancers of services that have not turned, as far as others' private link services stand before them. Where ours is
/// not before it any more, and another one is in its place, none of ours can be made either.
pub(super) fn hold(snapshot: &Snapshot<'_>, links: &[Json], world: &mut World) {
    for pair in pairs(snapshot, links) {
        // Both of this deployment's go by the same plans.
        if snapshot.turned.contains(&pair.service) || pair.is_of_deployment(snapshot) {
            continue;
        }
        let (rule, why) = pair.taking_away_would_cut(snapshot);
        let has_own = snapshot.services.iter().any(|link| is_of(snapshot, link, &pair.service));
        let wants_one = snapshot.makes(&pair.service) && !has_own;
        if wants_one && rule == Rule::Unsuitable && pair.is_at(load_balancer::FRONTEND) {
            let why =
                format!("{why}. A frontend carries one, so that none of privnet's can be made before it");
            let address = private_link_service::address(&pair.service);
            world.refusals.push(Refusal { address, rule, why: why.clone(), flag: None });
        }
        // One before another frontend goes through ports of its own.
        let with_parts = pair.is_at(load_balancer::FRONTEND);
        hold_also(world, pair.balancer, Held { why, with_parts });
    }
}

/// Holds the load balancers that carry rules of somebody else's on frontends that are not privnet's.
pub(super) fn hold_with_rules(snapshot: &Snapshot<'_>, world: &mut World) {
    for balancer in &snapshot.load_balancers {
        let claim = snapshot.claim(balancer, load_balancer::KIND.name);
        let is_ours = claim.is_some_and(|claim| claim.ownership == Ownership::Ours);
        let others = load_balancer::others_of(balancer);
        let (Some(id), Some(rules)) = (text(balancer, "id").filter(|_| is_ours), others.named_rules()) else {
            continue;
        };
        let shared = &others.shared_pools;
        let lead = (!shared.is_empty()).then(|| {
            format!(
                ". They lead to privnet's own pool(s) `{}`, so that its ports stay, too",
                shared.join("`, `")
            )
        });
        let why = format!(
            "the load balancer {id}, which privnet made for this service, has {rules} of somebody else's on a frontend that is not \
             privnet's: taking it away would cut whoever goes through them{}. Delete them, or put them on a load balancer of your own",
            lead.unwrap_or_default()
        );
        hold_also(world, id, Held { why, with_parts: !shared.is_empty() });
    }
}

/// Holds the NAT subnets in which others' private link services have their addresses: Azure deletes no subnet that is in use, and what goes before
/// it would be gone by then.
pub(super) fn hold_nat_subnets(snapshot: &Snapshot<'_>, links: &[Json], world: &mut World) {
    let is_subnet = |live: &&Live| live.is_ours() && live.address.kind == nat_subnet::KIND.name;
    let subnets: Vec<String> = world.live.iter().filter(is_subnet).map(|live| live.id.clone()).collect();
    for link in links {
        // What is this deployment's goes by the same plans.
        if claim(snapshot, link).is_some_and(|claim| claim.ownership == Ownership::Ours) {
            continue;
        }
        let addresses = items(link, "properties.ipConfigurations").iter();
        let used: BTreeSet<String> =
            addresses.filter_map(|one| text(one, "properties.subnet.id").map(fields::id)).collect();
        for subnet in subnets.iter().filter(|subnet| used.contains(&fields::id(subnet))) {
            let why = format!(
                "the private link service {} is not what privnet made for this service, and it takes its NAT addresses from the subnet \
                 {subnet}, which privnet made for this service: Azure deletes no subnet that is in use. Delete that private link service, \
                 or give it a subnet of your own",
                text(link, "id").unwrap_or_default()
            );
            hold_also(world, subnet, Held { why, with_parts: false });
        }
    }
}

/// Holds something for one reason more.
fn hold_also(world: &mut World, id: &str, held: Held) {
    match world.held.get_mut(id) {
        None => {
            world.held.insert(id.to_owned(), held);
        }
        Some(known) => {
            known.why = format!("{}; {}", known.why, held.why);
            known.with_parts |= held.with_parts;
        }
    }
}

/// A private link service that is not proven to be a service's, before a load balancer that privnet made for that one.
struct Pair<'a> {
    service: String,
    balancer: &'a str,
    link: &'a Json,
}

fn pairs<'a>(snapshot: &'a Snapshot<'_>, links: &'a [Json]) -> Vec<Pair<'a>> {
    let mut found = Vec::new();
    for balancer in &snapshot.load_balancers {
        let claim = snapshot.claim(balancer, load_balancer::KIND.name);
        // One that has lost its tags counts as well: what is behind it may still have them, and go.
        let Some(service) = claim.map(|claim| claim.address.service) else { continue };
        let Some(balancer) = text(balancer, "id") else { continue };
        let strangers =
            links.iter().filter(|link| stands_before(link, balancer) && !is_of(snapshot, link, &service));
        found.extend(strangers.map(|link| Pair { service: service.clone(), balancer, link }));
    }
    found
}

impl Pair<'_> {
    fn is_of_deployment(&self, snapshot: &Snapshot<'_>) -> bool {
        claim(snapshot, self.link).is_some_and(|claim| claim.ownership == Ownership::Ours)
    }

    /// Whether it stands before the frontend of this name.
    fn is_at(&self, frontend: &str) -> bool {
        let id = fields::id(&format!("{}/frontendIPConfigurations/{frontend}", self.balancer));
        frontends(self.link).any(|found| fields::id(found) == id)
    }

    /// Why what it stands on is not taken away, and what to do.
    fn taking_away_would_cut(&self, snapshot: &Snapshot<'_>) -> (Rule, String) {
        let id = text(self.link, "id").unwrap_or_default();
        let name = text(self.link, "name").unwrap_or_default();
        let address = private_link_service::address(&self.service);
        let (rule, what) = match ownership::generation_of(snapshot.deployment, &address, name) {
            Some(_) => (Rule::NotOurs, "has the name that privnet would use, but not the tags that prove it"),
            None => (Rule::Unsuitable, "is not what privnet made for it"),
        };
        let why = format!(
            "the private link service {id} {what}, and it stands before the load balancer {}, which privnet made for this service: \
             taking that away would cut whoever goes through it. Delete that private link service, or put one before a load balancer \
             of your own in its place",
            self.balancer
        );
        (rule, why)
    }
}

/// Keeps their connections as those of what was made, and refuses what would be done to it. Where nothing of ours is left of a
/// service, nothing of it goes.
pub(super) fn keep(strangers: Vec<Stranger>, world: &mut World) {
    for stranger in strangers {
        let Some(former) = world.former.get_mut(&stranger.service) else { continue };
        let mut known = former.connections.known().to_vec();
        known.extend(stranger.connections);
        former.connections = Connections::Known(known);
        world.refusals.push(stranger.refusal);
    }
}

fn stands_before(link: &Json, balancer: &str) -> bool {
    let balancer = fields::id(balancer);
    frontends(link).any(|id| load_balancer::of_part(id) == balancer)
}

/// The frontends that a private link service stands before, by id.
fn frontends(link: &Json) -> impl Iterator<Item = &str> {
    let frontends = items(link, "properties.loadBalancerFrontendIpConfigurations").iter();
    frontends.filter_map(|frontend| text(frontend, "id"))
}

/// Whether a private link service is proven to be this service's.
fn is_of(snapshot: &Snapshot<'_>, link: &Json, service: &str) -> bool {
    claim(snapshot, link)
        .is_some_and(|claim| claim.ownership == Ownership::Ours && claim.address.service == service)
}

fn claim(snapshot: &Snapshot<'_>, link: &Json) -> Option<Claim> {
    let name = text(link, "name").unwrap_or_default();
    ownership::claim(snapshot.deployment, name, &text_map(link, "tags"), &[])
}
