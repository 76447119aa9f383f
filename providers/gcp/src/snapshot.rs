//! What was read of one place, and in which order: all lists of its project at once, then the endpoints of our own groups.
//!
//! Lists are those of whole projects. What is ours in another region than the file's is seen too: a service that moved has left
//! something behind there, and shares what is global with it.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join_all, try_join_all};
use privnet_core::spec::Service;
use privnet_core::spec::gcp::{GcpBackend, GcpDirect, GcpForm, GcpService};
use privnet_core::{Address, Error, ErrorKind, Ownership, Purpose, Scope};

use crate::buckets::Group;
use crate::cloud::Cloud;
use crate::collection::{Collection, Sent, aggregated, json};
use crate::facts::{Facts, Machine, Subnet, Taken};
use crate::image::{self, Seen};
use crate::json::{Json, flag, list, text};
use crate::kinds;
use crate::lists::RECONCILES;
use crate::operations;
use crate::ownership::{self, Claim};
use crate::path;
use crate::policy;

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
            facts: Facts::default(),
            left_reconciling: BTreeSet::new(),
            unknown: BTreeSet::new(),
            decides: false,
            named: Vec::new(),
        }
    }

    /// All that was listed of a collection.
    fn all(&self, collection: Collection) -> &[&'a Json] {
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

    /// The resource of this name.
    pub(crate) fn by_name(&self, collection: Collection, name: &str) -> Option<&'a Json> {
        self.all(collection).iter().copied().find(|resource| text(resource, "name") == Some(name))
    }
}

/// What a project and the project of its networks have of each collection, and the regions and zones that did not answer.
#[derive(Default)]
pub(crate) struct Lists {
    all: BTreeMap<Collection, Vec<Json>>,
    /// What other projects have of those that belong to a network: an earlier file may have named that.
    aside: BTreeMap<Collection, Vec<Json>>,
    unreachable: BTreeSet<String>,
    /// What could not be listed and stops nothing, and why.
    pub(crate) unknown: BTreeSet<String>,
}

/// What belongs to a network, and is in that one's project.
const OF_NETWORKS: [Collection; 2] = [Collection::Subnetworks, Collection::Firewalls];

/// Lists what a project and the project of its networks have. `hosts` are all projects of networks that the file names for it: what an
/// earlier file had made in another one's network is looked for too.
pub(crate) async fn lists(
    cloud: &Cloud<'_>,
    project: &str,
    host: &str,
    hosts: &BTreeSet<String>,
    purpose: Purpose,
) -> Result<Lists, Error> {
    let wanted: &[Collection] = match purpose {
        Purpose::Connections => &[Collection::ServiceAttachments],
        Purpose::Plan | Purpose::Status | Purpose::HandOver => &[
            Collection::Subnetworks,
            Collection::Firewalls,
            Collection::HealthChecks,
            Collection::NetworkEndpointGroups,
            Collection::BackendServices,
            Collection::ForwardingRules,
            Collection::ServiceAttachments,
            Collection::InstanceTemplates,
            Collection::GroupManagers,
        ],
    };
    let read = wanted.iter().map(|collection| async {
        let project = if OF_NETWORKS.contains(collection) { host } else { project };
        Ok((*collection, cloud.list(*collection, project).await?))
    });
    let of_networks = |project: String| async move {
        let read = OF_NETWORKS.map(|collection| cloud.list(collection, &project));
        let read = OF_NETWORKS.into_iter().zip(join_all(read).await).collect::<Vec<_>>();
        (project, read)
    };
    let own = (purpose != Purpose::Connections && !hosts.contains(project)).then(|| project.to_owned());
    let (read, own) = futures::future::join(try_join_all(read), join_all(own.map(of_networks))).await;
    let mut lists = Lists::default();
    for (collection, (items, unreachable)) in read? {
        lists.all.insert(collection, items);
        lists.not_reaching(unreachable);
    }
    let former = match purpose {
        Purpose::Connections => BTreeSet::new(),
        Purpose::Plan | Purpose::Status | Purpose::HandOver => {
            lists.former_hosts(cloud.deployment, project, hosts)
        }
    };
    let former = join_all(former.into_iter().map(of_networks)).await;
    for (project, read) in own.into_iter().chain(former) {
        for (collection, read) in read {
            lists.put_aside(collection, &project, read)?;
        }
    }
    Ok(lists)
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

impl Lists {
    /// Takes in what belongs to networks that the file does not name. Who may not look there may use the networks that it does name.
    fn put_aside(
        &mut self,
        collection: Collection,
        project: &str,
        read: Result<(Vec<Json>, BTreeSet<String>), Error>,
    ) -> Result<(), Error> {
        match read {
            Err(error) if error.kind() == ErrorKind::Denied => {
                let what =
                    format!("whether an earlier file's {} are in {project} is not known", collection.word());
                self.unknown.insert(operations::unknown(&what, &error));
            }
            // So Google answers of a project that was deleted (<https://github.com/mondoohq/mql/issues/1599>), and of one that the caller
            // cannot see (<https://github.com/hashicorp/terraform/issues/4031>).
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.unknown.insert(format!(
                    "Google finds no project {project}, whose networks an earlier file used: where it was deleted, nothing lies there any \
                     more; where these credentials cannot see it, what may lie there stays"
                ));
            }
            read => {
                let (items, unreachable) = read?;
                self.aside.entry(collection).or_default().extend(items);
                self.not_reaching(unreachable);
            }
        }
        Ok(())
    }

    /// Regions and zones that did not answer, to this question or to another one.
    pub(crate) fn not_reaching(&mut self, unreachable: BTreeSet<String>) {
        self.unreachable.extend(unreachable);
    }

    /// The projects of networks in which something of ours stands, and that the file does not name.
    fn former_hosts(&self, deployment: &str, project: &str, hosts: &BTreeSet<String>) -> BTreeSet<String> {
        let of = |collection| self.all.get(&collection).into_iter().flatten();
        let placed = of(Collection::ForwardingRules).chain(of(Collection::NetworkEndpointGroups));
        let is_ours = |item: &&Json| ownership::is_of(deployment, item);
        let networks = placed.filter(is_ours).filter_map(|item| text(item, "network"));
        let attachments = of(Collection::ServiceAttachments).filter(is_ours);
        let subnets = attachments.flat_map(|item| list(item, "natSubnets").iter().filter_map(Json::as_str));
        let owners =
            networks.chain(subnets).filter_map(|url| path::after(url, "projects").map(str::to_owned));
        owners.filter(|owner| owner != project && !hosts.contains(owner)).collect()
    }

    /// The regions that have something of this deployment's.
    pub(crate) fn regions(&self, deployment: &str) -> BTreeSet<String> {
        let all = self.all.values().chain(self.aside.values()).flatten();
        let items = all.filter(|item| ownership::is_of(deployment, item));
        let paths = items.filter_map(|item| text(item, "selfLink").map(path::of));
        paths.filter_map(|path| path::region(&path).map(str::to_owned)).collect()
    }

    /// Why a region is not known whole, if it is not.
    pub(crate) fn unreachable(&self, project: &str, region: &str) -> Result<(), Error> {
        let here = |place: &&String| {
            place.as_str() == region || place.strip_prefix(region).is_some_and(|rest| rest.starts_with('-'))
        };
        self.unreachable.iter().find(here).map_or(Ok(()), |place| Err(not_reached(project, place)))
    }

    /// Why it is not known what is in all the world's regions, if it is not. What is global (`global` is a scope too) is read
    /// from lists of its own.
    pub(crate) fn unreachable_anywhere(&self, project: &str) -> Result<(), Error> {
        let place = self.unreachable.iter().find(|place| place.as_str() != "global");
        place.map_or(Ok(()), |place| Err(not_reached(project, place)))
    }

    /// Lists as they were read.
    #[cfg(test)]
    pub(crate) fn read(all: BTreeMap<Collection, Vec<Json>>, unreachable: &[&str]) -> Self {
        let unreachable = unreachable.iter().map(|place| (*place).to_owned()).collect();
        Self { all, unreachable, ..Self::default() }
    }
}

/// Fails where what is at this path is not known for want of an answer of its place.
fn answered(unreachable: &BTreeSet<String>, path: &str) -> Result<(), Error> {
    let project = path::after(path, "projects").unwrap_or_default();
    let mut places = path::after(path, "zones").into_iter().chain(path::region(path));
    places.find(|place| unreachable.contains(*place)).map_or(Ok(()), |place| Err(not_reached(project, place)))
}

pub(crate) fn not_reached(project: &str, place: &str) -> Error {
    let message = format!("Google Cloud does not reach {place} at the moment");
    Error::new(ErrorKind::Unavailable, "aggregatedList", project, message)
}

/// What a place's services need besides the lists.
pub(crate) struct Beside {
    machines: BTreeMap<String, Machine>,
    groups: Vec<String>,
    images: BTreeMap<String, Seen>,
}

/// Reads what a place's services name of the user's own.
pub(crate) async fn beside(
    cloud: &Cloud<'_>,
    place: &Place,
    services: &[(&Service, &GcpService)],
    purpose: Purpose,
) -> Result<Option<Beside>, Error> {
    if purpose == Purpose::Connections {
        return Ok(None);
    }
    let (machines, groups, images) = futures::future::try_join3(
        machines(cloud, services, place),
        groups(cloud, services, place),
        images(cloud, services),
    )
    .await?;
    Ok(Some(Beside { machines, groups, images }))
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
    let mut facts = listed(&bare.lists);
    if let Some(Beside { machines, groups, images }) = beside {
        facts = Facts { read: true, taken: taken(lists), machines, groups, images, ..facts };
    }
    let named =
        services.iter().flat_map(|(service, gcp)| kinds::named(service.name.as_str(), gcp, &facts)).collect();
    let mut snapshot = Snapshot { services, named, facts, ..bare };
    snapshot.endpoints = endpoints(cloud, &snapshot).await?;
    snapshot.decides = purpose == Purpose::Connections;
    if purpose == Purpose::Status {
        snapshot.health = health(cloud, &snapshot).await;
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
fn listed(lists: &Listed<'_>) -> Facts {
    let all = |collection| lists.get(&collection).map_or(&[][..], Vec::as_slice);
    let subnet = |json: &&Json| {
        let link = |key| text(json, key).map(path::of).unwrap_or_default();
        let word = |key| text(json, key).unwrap_or_default().to_owned();
        let subnet = Subnet {
            path: link("selfLink"),
            cidr: word("ipCidrRange"),
            network: link("network"),
            purpose: word("purpose"),
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

/// The targets that a service names.
pub(crate) fn direct(gcp: &GcpService) -> Option<&GcpDirect> {
    match &gcp.form {
        GcpForm::Made(made) => match &made.backend {
            GcpBackend::Direct { to, .. } => Some(to),
            GcpBackend::Forwarder { .. } => None,
        },
        _ => None,
    }
}

/// The path of a machine that the file names.
pub(crate) fn machine_path(project: &str, machine: &privnet_core::spec::gcp_ids::GcpInstance) -> String {
    let project = machine.project.as_ref().map_or(project, |project| project.as_str());
    path::zonal(project, machine.zone.as_str(), "instances", machine.name.as_str())
}

/// The most names in one filter.
const NAMES_IN_A_FILTER: usize = 25;

/// The machines that the file names: one list for each project.
async fn machines(
    cloud: &Cloud<'_>,
    services: &[(&Service, &GcpService)],
    place: &Place,
) -> Result<BTreeMap<String, Machine>, Error> {
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, gcp) in services {
        let Some(GcpDirect::Instances(instances)) = direct(gcp) else { continue };
        for path in instances.iter().map(|instance| machine_path(&place.project, instance)) {
            let project = path::after(&path, "projects").unwrap_or_default().to_owned();
            wanted.entry(project).or_default().insert(path);
        }
    }
    let mut found = BTreeMap::new();
    for (project, paths) in wanted {
        let (all, unreachable) = list_machines(cloud, &project, &paths).await?;
        for json in all {
            let path = text(&json, "selfLink").map(path::of).unwrap_or_default();
            if paths.contains(&path) {
                found.insert(path, machine(&json));
            }
        }
        let mut missing = paths.iter().filter(|path| !found.contains_key(*path));
        missing.try_for_each(|path| answered(&unreachable, path))?;
    }
    Ok(found)
}

async fn list_machines(
    cloud: &Cloud<'_>,
    project: &str,
    paths: &BTreeSet<String>,
) -> Result<(Vec<Json>, BTreeSet<String>), Error> {
    let names: BTreeSet<&str> = paths.iter().map(|path| path::name(path)).collect();
    let filter = (names.len() <= NAMES_IN_A_FILTER).then(|| {
        let each: Vec<String> = names.iter().map(|name| format!("(name = \"{name}\")")).collect();
        each.join(" OR ")
    });
    let page = |token: String| {
        let list = cloud.clients.instances.aggregated_list().set_project(project).set_max_results(500_u32);
        let list = if token.is_empty() { list } else { list.set_page_token(token) };
        let list = list.set_or_clear_filter(filter.clone());
        async move { Ok(aggregated!(Box::pin(list.send()).await?, instances)) }
    };
    cloud.pages("instances.aggregatedList", project, page).await
}

fn machine(json: &Json) -> Machine {
    let first = list(json, "networkInterfaces").first().unwrap_or(&Json::Null);
    let link = |key| text(first, key).map(path::of).unwrap_or_default();
    Machine {
        zone: text(json, "zone").map(path::name).unwrap_or_default().to_owned(),
        network: link("network"),
        subnet: link("subnetwork"),
        status: text(json, "status").unwrap_or_default().to_owned(),
    }
}

/// The instance groups that the file names.
async fn groups(
    cloud: &Cloud<'_>,
    services: &[(&Service, &GcpService)],
    place: &Place,
) -> Result<Vec<String>, Error> {
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, gcp) in services {
        let Some(GcpDirect::InstanceGroup(group)) = direct(gcp) else { continue };
        let path = kinds::backend_service::group_path(place, group);
        let project = path::after(&path, "projects").unwrap_or_default().to_owned();
        wanted.entry(project).or_default().insert(path);
    }
    let mut found = Vec::new();
    for (project, paths) in &wanted {
        let page = |token: String| {
            let list = cloud.clients.instance_groups.aggregated_list().set_project(project);
            let list = list.set_max_results(500_u32);
            let list = if token.is_empty() { list } else { list.set_page_token(token) };
            async move { Ok(aggregated!(Box::pin(list.send()).await?, instance_groups)) }
        };
        let (all, unreachable) = cloud.pages("instanceGroups.aggregatedList", project, page).await?;
        found.extend(all.iter().filter_map(|group| text(group, "selfLink").map(path::of)));
        let mut missing = paths.iter().filter(|path| !found.contains(path));
        missing.try_for_each(|path| answered(&unreachable, path))?;
    }
    Ok(found)
}

/// The images that forwarders are made from.
async fn images(
    cloud: &Cloud<'_>,
    services: &[(&Service, &GcpService)],
) -> Result<BTreeMap<String, Seen>, Error> {
    let named: BTreeSet<String> = services.iter().filter_map(|(_, gcp)| image::of_service(gcp)).collect();
    let look = |image: String| async move { Ok((image.clone(), image::look(cloud, &image).await?)) };
    Ok(try_join_all(named.into_iter().map(look)).await?.into_iter().collect())
}

/// The endpoints of a group.
pub(crate) async fn endpoints_of(cloud: &Cloud<'_>, group: &str) -> Result<Vec<Json>, Error> {
    let part = |word| path::after(group, word).unwrap_or_default();
    let (project, zone, name) = (part("projects"), part("zones"), path::name(group));
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let (items, next) = cloud
            .call(Group::Read, project, "networkEndpointGroups.listNetworkEndpoints", name, || async {
                let list =
                    cloud.clients.network_endpoint_groups.list_network_endpoints().set_project(project);
                let list = list.set_zone(zone).set_network_endpoint_group(name).set_max_results(500_u32);
                let list = list.set_body(
                    google_cloud_compute_v1::model::NetworkEndpointGroupsListEndpointsRequest::new(),
                );
                let list = if token.is_empty() { list } else { list.set_page_token(&token) };
                let answer = Box::pin(list.send()).await?;
                let found = answer.items.into_iter().filter_map(|item| item.network_endpoint);
                Ok((found.map(json).collect::<Sent<Vec<_>>>()?, answer.next_page_token))
            })
            .await?;
        all.extend(items);
        match next.filter(|next| !next.is_empty()) {
            Some(next) => token = next,
            None => return Ok(all),
        }
    }
}

async fn endpoints(cloud: &Cloud<'_>, snapshot: &Snapshot<'_>) -> Result<BTreeMap<String, Vec<Json>>, Error> {
    let kind = kinds::endpoint_group::KIND.name;
    let groups = snapshot.claimed(Collection::NetworkEndpointGroups, kind).into_iter();
    let paths: BTreeSet<String> =
        groups.filter_map(|(_, json)| Some(path::of(text(json, "selfLink")?))).collect();
    let read = paths.into_iter().map(|group| async move {
        match endpoints_of(cloud, &group).await {
            // Somebody deleted it meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok((group, Vec::new())),
            other => other.map(|endpoints| (group, endpoints)),
        }
    });
    Ok(try_join_all(read).await?.into_iter().collect())
}

/// The attachments of the file that reconcile although it does not say so, and whether that is because a decision was cut short.
async fn reconciling(
    cloud: &Cloud<'_>,
    snapshot: &Snapshot<'_>,
) -> Result<Vec<(String, Result<bool, String>)>, Error> {
    let own = snapshot.claimed(Collection::ServiceAttachments, kinds::service_attachment::KIND.name);
    let of_service = |name: &str| {
        let own =
            own.iter().find(|(claim, _)| claim.address.service == name && claim.ownership == Ownership::Ours);
        own.map(|(_, json)| *json)
    };
    let quiet = snapshot.services.iter().filter(|(_, gcp)| !policy::reconciles(gcp));
    let attachments = quiet.filter_map(|(service, gcp)| match &gcp.form {
        GcpForm::ServiceAttachment { name, .. } => {
            snapshot.by_name(Collection::ServiceAttachments, name.as_str())
        }
        _ => of_service(service.name.as_str()),
    });
    let read = attachments.filter(|json| flag(json, RECONCILES)).map(|json| async move {
        let attachment = text(json, "selfLink").map(path::of).unwrap_or_default();
        Ok((attachment, operations::left_reconciling(cloud, json).await?))
    });
    try_join_all(read).await
}

/// What the health checks say of our backend services, or why that cannot be read.
async fn health(cloud: &Cloud<'_>, snapshot: &Snapshot<'_>) -> BTreeMap<String, Vec<Result<Json, String>>> {
    let ours = snapshot.claimed(Collection::BackendServices, kinds::backend_service::KIND.name);
    let asked = ours.iter().flat_map(|(_, json)| {
        let service = text(json, "selfLink").map(path::of).unwrap_or_default();
        list(json, "backends")
            .iter()
            .filter_map(move |backend| Some((service.clone(), text(backend, "group")?.to_owned())))
    });
    let read = asked.map(|(service, group)| async move {
        let answer = health_of(cloud, &service, &group).await;
        let states = match answer {
            Ok(states) => states.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error.to_string())],
        };
        (service, states)
    });
    let mut found: BTreeMap<String, Vec<Result<Json, String>>> = BTreeMap::new();
    for (service, states) in join_all(read).await {
        found.entry(service).or_default().extend(states);
    }
    found
}

/// What the health check finds at the machines of one backend.
pub(crate) async fn health_of(cloud: &Cloud<'_>, service: &str, group: &str) -> Result<Vec<Json>, Error> {
    let part = |word| path::after(service, word).unwrap_or_default();
    let (project, region, name) = (part("projects"), part("regions"), path::name(service));
    let answer = cloud
        .call(Group::Read, project, "regionBackendServices.getHealth", name, || async {
            let body = google_cloud_compute_v1::model::ResourceGroupReference::new().set_group(group);
            let get = cloud.clients.backend_services.get_health().set_project(project).set_region(region);
            json(Box::pin(get.set_backend_service(name).set_body(body).send()).await?)
        })
        .await?;
    Ok(list(&answer, "healthStatus").to_vec())
}

#[cfg(test)]
mod tests {
    use privnet_core::Generation;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_stands_in_another_projects_network_says_so() {
        let made = |kind: &str, more: Json| {
            let address = Address::new("orders", kind, "main");
            let mut item = json!({ "name": ownership::cloud_name("stage", &address, Generation::A),
                "description": ownership::marker("stage", &address, Generation::A) });
            for (key, value) in more.as_object().into_iter().flatten() {
                item[key] = value.clone();
            }
            item
        };
        let network =
            |project: &str| json!({ "network": format!("https://x/projects/{project}/global/networks/n") });
        let attachment = made(
            kinds::service_attachment::KIND.name,
            json!({ "natSubnets": ["https://x/projects/net-2/regions/r/subnetworks/s"] }),
        );
        let groups =
            ["net-1", "own", "net-3"].map(|project| made(kinds::endpoint_group::KIND.name, network(project)));
        let lists = Lists::read(
            BTreeMap::from([
                (Collection::NetworkEndpointGroups, groups.into()),
                (Collection::ServiceAttachments, vec![attachment]),
                (Collection::ForwardingRules, vec![network("somebodys")]),
            ]),
            &[],
        );
        let named = BTreeSet::from(["net-3".to_owned()]);
        let found: Vec<_> = lists.former_hosts("stage", "own", &named).into_iter().collect();
        assert_eq!(found, ["net-1", "net-2"]);
        assert!(lists.former_hosts("other", "own", &named).is_empty());
    }
}
