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
        let live = at_home.world.live.of(service).iter();
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
            && seen.world.live.of(service).iter().any(|live| live.is_ours())
        {
            seen.world.former.insert(service.to_owned(), Former { exposed, connections });
        }
    }
}

/// Whether what consumers connect to is the user's own.
pub(super) fn is_supplied(gcp: &GcpService) -> bool {
    matches!(gcp.form, GcpForm::ServiceAttachment { .. })
}

/// Of things of ours in networks, by path, the project that their markers say their service is of: those that lie in its own networks
/// say none, nor do those in another project's whose marker somebody shortened.
pub(super) type Said = BTreeMap<String, Option<String>>;

/// What the things of ours in networks say.
pub(super) fn said(snapshot: &Snapshot<'_>) -> Said {
    let kinds =
        [(Collection::Subnetworks, nat_subnet::KIND.name), (Collection::Firewalls, firewall::KIND.name)];
    let claims = kinds.into_iter().flat_map(|(collection, kind)| snapshot.claimed(collection, kind));
    let ours = claims.filter(|(claim, _)| claim.ownership == privnet_core::Ownership::Ours);
    ours.filter_map(|(_, json)| Some((path::of(text(json, "selfLink")?), ownership::project(json)))).collect()
}

/// Of which project's services the things of ours in networks are, by path. One that does not say so is of the project in which it lies, unless
/// the rest of its service is seen in another one, and not there.
pub(super) fn owners(
    world: &World,
    said: &Said,
    homes: &BTreeMap<String, Place>,
) -> BTreeMap<String, String> {
    let project = |id: &str| path::after(id, "projects").map(str::to_owned);
    let ours = || world.live.iter().filter(|live| live.is_ours());
    let mut seen: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for live in ours().filter(|live| !said.contains_key(&live.id)) {
        seen.entry(&live.address.service).or_default().extend(project(&live.id));
    }
    let each = ours().filter_map(|live| {
        if let Some(project) = said.get(&live.id)? {
            return Some((live.id.clone(), project.clone()));
        }
        let (service, here) = (live.address.service.as_str(), project(&live.id)?);
        let seen = seen.get(service).filter(|seen| !seen.contains(&here));
        let home = homes.get(service).map(|home| &home.project);
        let at_home = seen.zip(home).filter(|(seen, home)| seen.contains(*home)).map(|(_, home)| home);
        let alone = || seen.filter(|seen| seen.len() == 1)?.first();
        Some((live.id.clone(), at_home.or_else(alone).cloned().unwrap_or(here)))
    });
    each.collect()
}

/// Networks may be those of several projects. What lies in one of a service in another project than the file says, or of one that the file does not
/// list, goes only where the service's own project was read: otherwise its attachment may be there, with consumers who come in by this.
pub(super) fn hold_what_others_may_use(
    world: &mut World,
    said: &Said,
    owners: &BTreeMap<String, String>,
    whole: &BTreeSet<String>,
    homes: &BTreeMap<String, Place>,
) {
    let doubtful = world.live.iter().filter(|live| live.is_ours()).filter_map(|live| {
        let service = &live.address.service;
        let is_home = |project: &&String| homes.get(service).is_some_and(|home| home.project == **project);
        let project =
            owners.get(&live.id).filter(|project| !is_home(project) && !whole.contains(*project))?;
        let why = match said.get(&live.id) {
            Some(Some(_)) => format!(
                "it is of `{service}`, whose own project {project} is not one that this file names for it and that could be read: a service \
                 attachment may be there, with consumers who come in by this. List `{service}` with `remove: true`, `project: {project}` and \
                 the `host_project` of its network: then all of it goes"
            ),
            _ => format!(
                "it is of `{service}`, and does not say of which project that is: of {project}, where it lies, or of another one, if its \
                 marker was changed. A service attachment may be there, with consumers who come in by this. List `{service}` with `remove: true`, \
                 `host_project: {project}`, and as `project` the one that its service attachment is in, or {project} where it has none any \
                 more: then all of it goes"
            ),
        };
        Some((live.id.clone(), Held { why, with_parts: false }))
    });
    let doubtful: Vec<(String, Held)> = doubtful.collect();
    for (id, held) in doubtful {
        // What is held for more than that stays so.
        world.held.entry(id).or_insert(held);
    }
}

/// What is global, and what is in the project of the networks, is seen from several places: its own is that of its service. Of a service that is
/// in another project than the file says, what lies in networks that both have is there, so that the move is noticed.
pub(super) fn set_scopes(
    world: &mut World,
    owners: &BTreeMap<String, String>,
    homes: &BTreeMap<String, Place>,
) {
    for live in world.live.iter_mut() {
        let Some(home) = homes.get(&live.address.service) else { continue };
        match owners.get(&live.id).filter(|project| **project != home.project) {
            Some(project) => {
                let region = path::region(&live.id).unwrap_or(&home.region).to_owned();
                live.scope = Place { project: project.clone(), region, host: home.host.clone() }.scope();
            }
            None if home.has(&live.id) => live.scope = home.scope(),
            None => {}
        }
    }
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
        let world = World { live: vec![live].into(), services, ..World::default() };
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

    /// A service's own subnet, and the same one as what another service's file names.
    #[test]
    fn what_is_seen_as_two_services_is_both() {
        let own = seen(&place("q", "r", "h"), 1, &[]).world;
        let named = Live {
            address: Address::new("aside", nat_subnet::KIND.name, "n"),
            ownership: Ownership::Supplied,
            ..own.live[0].clone()
        };
        let mut world = World { live: vec![named].into(), ..World::default() };
        for again in [own.clone(), own] {
            super::super::take_in(&mut world, again);
            let services: Vec<&str> = world.live.iter().map(|live| live.address.service.as_str()).collect();
            assert_eq!((services.len(), services.contains(&"orders")), (2, true), "{services:?}");
        }
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
            let said = [(id.clone(), Some(owner.to_owned()))].into();
            let owners = owners(&world, &said, &homes);
            hold_what_others_may_use(&mut world, &said, &owners, &whole, &homes);
            world.held.contains_key(&id)
        };
        assert!(held("p", false) && held("elsewhere", false) && held("p", true));
        assert!(!held("q", false) && !held("q", true));
    }

    #[test]
    fn what_does_not_say_its_project_is_of_where_the_rest_of_its_service_is() {
        let (home, id) = (place("q", "r", "h"), "projects/h/global/firewalls/clients");
        let owner = |rest: &[&str], listed: bool| {
            let mut world = seen(&home, 1, &[]).world;
            let rule = world.live[0].clone();
            let attachment = |project: &&str| Live {
                id: format!("projects/{project}/regions/r/serviceAttachments/a"),
                ..rule.clone()
            };
            world.live =
                rest.iter().map(attachment).chain([Live { id: id.to_owned(), ..rule.clone() }]).collect();
            let homes = listed.then(|| ("orders".to_owned(), home.clone())).into_iter().collect();
            let owners = owners(&world, &[(id.to_owned(), None)].into(), &homes);
            set_scopes(&mut world, &owners, &homes);
            let scope = world.live.last().map(|live| live.scope.0.clone()).unwrap_or_default();
            assert!(!listed || scope == format!("gcp/{}/r", owners[id]), "{scope}");
            owners[id].clone()
        };
        assert_eq!((owner(&["p"], false), owner(&[], false)), ("p".to_owned(), "h".to_owned()));
        // The rest is where it lies too, or in several: it stays with those.
        assert_eq!((owner(&["p", "h"], false), owner(&["p", "q"], false)), ("h".to_owned(), "h".to_owned()));
        assert_eq!((owner(&["p", "q"], true), owner(&[], true)), ("q".to_owned(), "h".to_owned()));
    }
}
