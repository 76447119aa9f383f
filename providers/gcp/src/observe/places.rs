//! What several places see of one service: what is its own place's to say, what was made for it before, and what lies in a network that
//! several projects share.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::spec::gcp::{GcpForm, GcpService};
use privnet_core::spec::{CloudService, Service};
use privnet_core::world::{Former, Held};
use privnet_core::{ServiceWorld, World};

use super::Seen;
use crate::collection::Collection;
use crate::json::text;
use crate::kinds::{firewall, nat_subnet};
use crate::ownership;
use crate::path;
use crate::snapshot::{Place, Snapshot};

/// The projects of which nothing failed to be read.
pub(super) fn read_whole(named: &[String], seen: &[Vec<Seen>]) -> BTreeSet<String> {
    let failed = |seen: &[Seen]| seen.iter().any(|seen| seen.failure.is_some());
    let each = || named.iter().zip(seen);
    let broken: BTreeSet<&String> =
        each().filter(|(_, seen)| failed(seen)).map(|(project, _)| project).collect();
    each().map(|(project, _)| project).filter(|project| !broken.contains(project)).cloned().collect()
}

/// What several places see of a service is as its own place sees it: that alone knows what the file says of the service, and has all that a
/// global thing of it is for.
pub(super) fn own_places_prevail(seen: &mut [Seen], homes: &BTreeMap<String, Place>) {
    let mut own: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (service, home) in homes {
        let Some(at_home) = seen.iter().find(|seen| seen.place.as_ref() == Some(home)) else { continue };
        let live = at_home.world.live.iter().filter(|live| live.address.service == *service);
        own.insert(service, live.map(|live| live.id.clone()).collect());
    }
    for other in seen {
        let Some(place) = other.place.clone() else { continue };
        let strange = |service: &String| homes.get(service).filter(|home| **home != place);
        other.world.live.retain(|live| {
            let known = strange(&live.address.service).and_then(|_| own.get(live.address.service.as_str()));
            !known.is_some_and(|known| known.contains(&live.id))
        });
        // Both list what the region has.
        let same = |home: &&Place| home.project == place.project && home.region == place.region;
        other.world.services.retain(|service, _| {
            strange(service).filter(same).is_none() || !own.contains_key(service.as_str())
        });
    }
}

/// What was made for a service that the file turned to an attachment which is there already may lie elsewhere than that.
pub(super) fn set_former_aside(seen: &mut Seen, homes: &BTreeMap<String, Place>, services: &[&Service]) {
    let turned = services.iter().filter(|service| match &service.cloud {
        CloudService::Gcp(gcp) => is_supplied(gcp),
        _ => false,
    });
    for service in turned.map(|service| service.name.as_str()) {
        if seen.place.is_none() || seen.place.as_ref() == homes.get(service) {
            continue;
        }
        let made = seen.world.services.remove(service);
        // What is left where it is gone already belongs to it.
        if let Some(ServiceWorld { exposed, connections, .. }) = made
            && seen.world.live.iter().any(|live| live.is_ours() && live.address.service == service)
        {
            seen.world.former.insert(service.to_owned(), Former { exposed, connections });
        }
    }
}

/// Whether what consumers connect to is the user's own.
pub(super) fn is_supplied(gcp: &GcpService) -> bool {
    matches!(gcp.form, GcpForm::ServiceAttachment { .. })
}

/// Networks may be those of several projects. What lies in one of a service that the file does not list goes only where the service's own
/// project was read: otherwise its attachment may be there, with consumers who come in by this.
pub(super) fn hold_what_others_may_use(
    world: &mut World,
    owners: &BTreeMap<String, String>,
    whole: &BTreeSet<String>,
    homes: &BTreeMap<String, Place>,
) {
    let ours = world.live.iter().filter(|live| live.is_ours() && !homes.contains_key(&live.address.service));
    let doubtful = ours.filter_map(|live| {
        let project = owners.get(&live.id).filter(|project| !whole.contains(*project))?;
        let service = &live.address.service;
        let why = format!(
            "it is of `{service}`, whose own project {project} is not one that this file names and that could be read: a service attachment \
             may be there, with consumers who come in by this. List `{service}` with `remove: true`, `project: {project}` and the \
             `host_project` of its network: then all of it goes"
        );
        Some((live.id.clone(), Held { why, with_parts: false }))
    });
    world.held = doubtful.collect();
}

/// Whose service the things of ours in networks are of, by path: of that of their own project, if they do not say.
pub(super) fn owners(snapshot: &Snapshot<'_>) -> BTreeMap<String, String> {
    let kinds =
        [(Collection::Subnetworks, nat_subnet::KIND.name), (Collection::Firewalls, firewall::KIND.name)];
    let claims = kinds.into_iter().flat_map(|(collection, kind)| snapshot.claimed(collection, kind));
    let ours = claims.filter(|(claim, _)| claim.ownership == privnet_core::Ownership::Ours);
    let each = ours.filter_map(|(_, json)| {
        let id = path::of(text(json, "selfLink")?);
        let own = || path::after(&id, "projects").map(str::to_owned);
        let project = ownership::project(json).or_else(own)?;
        Some((id, project))
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use privnet_core::accept::Connection;
    use privnet_core::world::Connections;
    use privnet_core::{Address, Health, Live, Ownership, Value};

    use super::*;

    fn place(project: &str, region: &str, host: &str) -> Place {
        Place { project: project.to_owned(), region: region.to_owned(), host: host.to_owned() }
    }

    /// What a place sees of a service's rule for probers, and of its connections.
    fn seen(place: &Place, serves: i64, connections: &[Connection]) -> Seen {
        let address = Address::new("orders", firewall::KIND.name, firewall::PROBERS);
        let live = Live {
            generation: None,
            scope: place.scope(),
            id: "projects/h/global/firewalls/probers".to_owned(),
            ownership: Ownership::Ours,
            fields: [("serves".to_owned(), Value::Int(serves))].into(),
            outputs: BTreeMap::new(),
            health: Health::Ready,
            address: address.clone(),
        };
        let connections = Connections::Known(connections.to_vec());
        let service = ServiceWorld { connections, exposed: Some(address), ..ServiceWorld::default() };
        let services = BTreeMap::from([("orders".to_owned(), service)]);
        let world = World { live: vec![live], services, ..World::default() };
        Seen { world, place: Some(place.clone()), ..Seen::default() }
    }

    #[test]
    fn what_several_places_see_is_as_its_own_place_sees_it() {
        let home = place("p", "r", "h");
        let homes = BTreeMap::from([("orders".to_owned(), home.clone())]);
        for (other, both_list_it) in
            [(place("p", "r", "a"), true), (place("p", "a", "h"), false), (place("a", "r", "h"), false)]
        {
            let mut all = [seen(&other, 0, &[]), seen(&home, 1, &[])];
            own_places_prevail(&mut all, &homes);
            assert!(all[0].world.live.is_empty() && all[1].world.live.len() == 1, "{other:?}");
            assert_eq!(all[0].world.services.is_empty(), both_list_it, "{other:?}");
            assert!(all[1].world.services.contains_key("orders"));
        }
        // Of what its own place does not have, and where that could not be read, the others tell.
        let mut all = [seen(&place("p", "a", "h"), 0, &[]), Seen::default()];
        own_places_prevail(&mut all, &homes);
        assert!(all[0].world.live.len() == 1 && !all[0].world.services.is_empty());
    }

    #[test]
    fn what_lies_in_a_network_goes_where_its_own_project_was_read() {
        let named = ["p", "p", "q"].map(str::to_owned);
        let failed = || {
            let error = privnet_core::Error::new(privnet_core::ErrorKind::Denied, "list", "p", "no");
            Seen { failure: Some(error), ..Seen::default() }
        };
        let read = [vec![Seen::default(), failed()], vec![Seen::default()], vec![Seen::default()]];
        let whole = read_whole(&named, &read);
        assert_eq!(whole, BTreeSet::from(["q".to_owned()]), "of p one place failed");
        let held = |owner: &str, listed: bool| {
            let at = place("q", "r", "h");
            let mut world = seen(&at, 1, &[]).world;
            let id = world.live[0].id.clone();
            let homes = listed.then(|| ("orders".to_owned(), at)).into_iter().collect();
            hold_what_others_may_use(&mut world, &[(id.clone(), owner.to_owned())].into(), &whole, &homes);
            world.held.contains_key(&id)
        };
        assert!(held("p", false) && held("elsewhere", false));
        assert!(!held("q", false) && !held("p", true));
    }
}
