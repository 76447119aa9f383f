//! Private link services that stand before a load balancer which privnet made for a service that has turned since, and that are not
//! proven to be that service's: somebody may go through them, so that what they stand on is not taken away.

use privnet_core::accept::Connection;
use privnet_core::plan::{Refusal, Rule};
use privnet_core::world::Connections;
use privnet_core::{Ownership, World};

use crate::arm::{Json, items, text, text_map};
use crate::fields;
use crate::kinds::{load_balancer, private_link_service};
use crate::ownership;
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
    let mut found = Vec::new();
    for balancer in &snapshot.load_balancers {
        let claim = snapshot.claim(balancer, load_balancer::KIND.name);
        // One that has lost its tags counts as well: what is behind it may still have them, and go.
        let Some(service) = claim.map(|claim| claim.address.service) else { continue };
        let Some(id) = text(balancer, "id").filter(|_| snapshot.turned.contains(&service)) else { continue };
        let strangers =
            links.iter().filter(|link| stands_before(link, id) && !is_of(snapshot, link, &service));
        found.extend(strangers.map(|link| Stranger {
            refusal: refusal(snapshot, &service, link, id),
            connections: super::connections_of(link),
            service: service.clone(),
        }));
    }
    found
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
    let frontends = items(link, "properties.loadBalancerFrontendIpConfigurations").iter();
    frontends.filter_map(|frontend| text(frontend, "id")).any(|id| load_balancer::of_part(id) == balancer)
}

/// Whether a private link service is proven to be this service's.
fn is_of(snapshot: &Snapshot<'_>, link: &Json, service: &str) -> bool {
    let name = text(link, "name").unwrap_or_default();
    let claim = ownership::claim(snapshot.deployment, name, &text_map(link, "tags"), &[]);
    claim.is_some_and(|claim| claim.ownership == Ownership::Ours && claim.address.service == service)
}

fn refusal(snapshot: &Snapshot<'_>, service: &str, link: &Json, balancer: &str) -> Refusal {
    let address = private_link_service::address(service);
    let id = text(link, "id").unwrap_or_default();
    let name = text(link, "name").unwrap_or_default();
    let (rule, what) = match ownership::generation_of(snapshot.deployment, &address, name) {
        Some(_) => (Rule::NotOurs, "has the name that privnet would use, but not the tags that prove it"),
        None => (Rule::Unsuitable, "is not what privnet made for it"),
    };
    let why = format!(
        "the private link service {id} {what}, and it stands before the load balancer {balancer}, which privnet made for this \
         service: taking that away would cut whoever goes through it. Delete that private link service, or put one before a load \
         balancer of your own in its place; or leave this service in the file in the form that it had"
    );
    Refusal { address, rule, why, flag: None }
}
