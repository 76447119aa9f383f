//! What was read of one place, and in which order: all lists of its project at once, then the endpoints of our own groups.
//!
//! Lists are those of whole projects. What is ours in another region than the file's is seen too: a service that moved has left
//! something behind there, and shares what is global with it.

mod beside;
mod lists;
mod own;

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::spec::Service;
use privnet_core::spec::gcp::GcpService;
use privnet_core::{Address, Error, Ownership, Purpose, Scope};

use crate::cloud::Cloud;
use crate::collection::Collection;
use crate::facts::{Facts, Subnet, Taken};
use crate::json::{Json, list, text};
use crate::kinds;
use crate::ownership::{self, Claim};
use crate::path;

pub(crate) use beside::{Beside, beside, direct, machine_path};
pub(crate) use lists::{Lists, lists, not_reached};
pub(crate) use own::{HEALTHY, endpoints_of, health_of};
use own::{endpoints, health, healthy, reconciling};

/// A project and region, and the project of its networks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) project: String,
    pub(crate) region: String,
    pub(crate) host: String,
}

impl Place {
    /// Where a service is.
    pub(crate) fn of(gcp: &GcpService) -> Self {
        Self {
            project: gcp.location.project.to_string(),
            region: gcp.location.region.to_string(),
            host: gcp.location.host_project.to_string(),
        }
    }

    /// Whether this path is in the place, or global in one of its projects.
    pub(crate) fn has(&self, path: &str) -> bool {
        let project = path::after(path, "projects");
        [Some(self.project.as_str()), Some(self.host.as_str())].contains(&project)
            && path::region(path).is_none_or(|region| region == self.region)
    }

    /// Its scope.
    pub(crate) fn scope(&self) -> Scope {
        Scope(format!("{}/{}/{}", crate::CLOUD, self.project, self.region))
    }

    /// The key of its facts.
    pub(crate) fn key(&self) -> String {
        crate::facts::key(&self.project, &self.region, &self.host)
    }
}

/// What of the lists is in one place.
type Listed<'a> = BTreeMap<Collection, Vec<&'a Json>>;

/// What was read of a place.
pub(crate) struct Snapshot<'a> {
    pub(crate) deployment: &'a str,
    pub(crate) place: Place,
    pub(crate) services: Vec<(&'a Service, &'a GcpService)>,
    lists: Listed<'a>,
    /// What is in projects whose networks the file does not name: what is ours there can only go.
    aside: Listed<'a>,
    /// The endpoints of our groups, by the group's path.
    pub(crate) endpoints: BTreeMap<String, Vec<Json>>,
    /// The health of our backend services' backends, by the service's path, or why it cannot be read; only for `status`.
    pub(crate) health: BTreeMap<String, Vec<Result<Json, String>>>,
    /// Of our groups of machines that are there twice, those of which a machine is healthy, by path; only for a plan.
    pub(crate) healthy: BTreeSet<String>,
    pub(crate) facts: Facts,
    /// The attachments that a decision which was cut short left reconciling; not for a plan.
    pub(crate) left_reconciling: BTreeSet<String>,
    /// What could not be found out, and why.
    pub(crate) unknown: BTreeSet<String>,
    /// Whether connections are decided on by what was read.
    pub(crate) decides: bool,
    named: Vec<Address>,
}

impl<'a> Snapshot<'a> {
    /// The lists alone, with what is global where that counts for the place.
    fn bare(deployment: &'a str, place: Place, lists: &'a Lists, global: bool) -> Self {
        Self {
            deployment,
            services: Vec::new(),
            lists: of_region(&lists.all, &place.region, global),
            aside: of_region(&lists.aside, &place.region, global),
            place,
            endpoints: BTreeMap::new(),
            health: BTreeMap::new(),
            healthy: BTreeSet::new(),
            facts: Facts::default(),
            left_reconciling: BTreeSet::new(),
            unknown: BTreeSet::new(),
            decides: false,
            named: Vec::new(),
        }
    }

    /// All that was listed of a collection.
    pub(crate) fn all(&self, collection: Collection) -> &[&'a Json] {
        self.lists.get(&collection).map_or(&[], Vec::as_slice)
    }

    /// What of a collection is ours, or has our name, as resources of this kind.
    pub(crate) fn claimed(&self, collection: Collection, kind: &str) -> Vec<(Claim, &'a Json)> {
        let claim = |resource| ownership::claim(self.deployment, kind, resource, &self.named);
        let claimed = |resource: &&'a Json| Some((claim(resource)?, *resource));
        let aside = self.aside.get(&collection).into_iter().flatten().filter_map(claimed);
        let ours = aside.filter(|(claim, _)| claim.ownership == Ownership::Ours);
        self.all(collection).iter().filter_map(claimed).chain(ours).collect()
    }

    /// The service of this deployment that something of this kind was made for, where that is proven.
    pub(crate) fn maker(&self, kind: &str, resource: &Json) -> Option<String> {
        let claim = ownership::claim(self.deployment, kind, resource, &self.named);
        claim.filter(|claim| claim.ownership == Ownership::Ours).map(|claim| claim.address.service)
    }

    /// The resource of this name.
    pub(crate) fn by_name(&self, collection: Collection, name: &str) -> Option<&'a Json> {
        self.all(collection).iter().copied().find(|resource| text(resource, "name") == Some(name))
    }
}

/// What of these is in a region, or global where that counts for it.
fn of_region<'a>(lists: &'a BTreeMap<Collection, Vec<Json>>, region: &str, global: bool) -> Listed<'a> {
    let here = |collection: Collection, item: &Json| {
        let path = text(item, "selfLink").map(path::of).unwrap_or_default();
        match collection {
            Collection::Firewalls | Collection::InstanceTemplates => global,
            Collection::NetworkEndpointGroups => {
                path::after(&path, "zones").is_some() && path::region(&path) == Some(region)
            }
            _ => path::after(&path, "regions") == Some(region),
        }
    };
    let each = lists.iter().map(|(collection, items)| {
        (*collection, items.iter().filter(|item| here(*collection, item)).collect())
    });
    each.collect()
}

/// A place of the file, from the lists of its project.
pub(crate) async fn of_place<'a>(
    cloud: &Cloud<'a>,
    place: Place,
    services: Vec<(&'a Service, &'a GcpService)>,
    lists: &'a Lists,
    beside: Option<Beside>,
    purpose: Purpose,
) -> Result<Snapshot<'a>, Error> {
    lists.unreachable(&place.project, &place.region)?;
    let bare = Snapshot::bare(cloud.deployment, place, lists, true);
    let mut facts = listed(bare.deployment, &bare.lists);
    if let Some(Beside { machines, groups, images }) = beside {
        facts = Facts { read: true, taken: taken(lists), machines, groups, images, ..facts };
    }
    let named =
        services.iter().flat_map(|(service, gcp)| kinds::named(service.name.as_str(), gcp, &facts)).collect();
    let mut snapshot = Snapshot { services, named, facts, ..bare };
    snapshot.endpoints = endpoints(cloud, &snapshot).await?;
    snapshot.decides = purpose == Purpose::Connections;
    match purpose {
        Purpose::Status => snapshot.health = health(cloud, &snapshot).await,
        Purpose::Plan => (snapshot.healthy, snapshot.unknown) = healthy(cloud, &snapshot).await,
        Purpose::HandOver | Purpose::Connections => {}
    }
    if matches!(purpose, Purpose::Status | Purpose::Connections) {
        for (attachment, left) in reconciling(cloud, &snapshot).await? {
            match left {
                Ok(false) => {}
                Ok(true) => _ = snapshot.left_reconciling.insert(attachment),
                Err(unknown) => _ = snapshot.unknown.insert(unknown),
            }
        }
    }
    Ok(snapshot)
}

/// A region that the file does not name: what is ours there can only go.
pub(crate) fn elsewhere<'a>(deployment: &'a str, place: Place, lists: &'a Lists) -> Snapshot<'a> {
    Snapshot::bare(deployment, place, lists, false)
}

/// A region with what is global.
#[cfg(test)]
pub(crate) fn everywhere<'a>(deployment: &'a str, place: Place, lists: &'a Lists) -> Snapshot<'a> {
    Snapshot::bare(deployment, place, lists, true)
}

/// The facts that are in the lists.
fn listed(deployment: &str, lists: &Listed<'_>) -> Facts {
    let all = |collection| lists.get(&collection).map_or(&[][..], Vec::as_slice);
    let subnet = |json: &&Json| {
        let link = |key| text(json, key).map(path::of).unwrap_or_default();
        let word = |key| text(json, key).unwrap_or_default().to_owned();
        let subnet = Subnet {
            path: link("selfLink"),
            cidr: word("ipCidrRange"),
            network: link("network"),
            purpose: word("purpose"),
            made_for: made_for(deployment, json),
        };
        (word("name"), subnet)
    };
    let mut nat_users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for attachment in all(Collection::ServiceAttachments) {
        let user = text(attachment, "selfLink").map(path::of).unwrap_or_default();
        for subnet in list(attachment, "natSubnets").iter().filter_map(Json::as_str) {
            nat_users.entry(path::of(subnet)).or_default().push(user.clone());
        }
    }
    let subnets = all(Collection::Subnetworks).iter().map(subnet).collect();
    Facts { subnets, nat_users, ..Facts::default() }
}

/// The service of this deployment that a subnet is proven to have been made for.
fn made_for(deployment: &str, subnet: &Json) -> Option<String> {
    let claim = ownership::claim(deployment, kinds::nat_subnet::KIND.name, subnet, &[])?;
    Some(claim.address.service)
}

/// The ranges that the host project's subnets have, in all regions.
fn taken(lists: &Lists) -> Vec<Taken> {
    let subnets = lists.all.get(&Collection::Subnetworks).into_iter().flatten();
    let ranges = subnets.flat_map(|json| {
        let link = |key| text(json, key).map(path::of).unwrap_or_default();
        let (network, subnet) = (link("network"), link("selfLink"));
        let all = std::iter::once(json).chain(list(json, "secondaryIpRanges"));
        all.filter_map(move |range| {
            let cidr = text(range, "ipCidrRange")?.to_owned();
            Some(Taken { network: network.clone(), subnet: subnet.clone(), cidr })
        })
    });
    ranges.collect()
}
