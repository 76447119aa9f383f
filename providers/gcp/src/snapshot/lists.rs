//! The lists of a project and of the project of its networks: what is asked for, what did not answer, and what may lie in networks that
//! the file does not name.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join_all, try_join_all};
use privnet_core::{Error, ErrorKind, Purpose};

use crate::cloud::Cloud;
use crate::collection::Collection;
use crate::json::{Json, list, text};
use crate::operations;
use crate::ownership;
use crate::path;

/// What a project and the project of its networks have of each collection, and the regions and zones that did not answer.
#[derive(Default)]
pub(crate) struct Lists {
    pub(super) all: BTreeMap<Collection, Vec<Json>>,
    /// What other projects have of those that belong to a network: an earlier file may have named that.
    pub(super) aside: BTreeMap<Collection, Vec<Json>>,
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

pub(crate) fn not_reached(project: &str, place: &str) -> Error {
    let message = format!("Google Cloud does not reach {place} at the moment");
    Error::new(ErrorKind::Unavailable, "aggregatedList", project, message)
}

#[cfg(test)]
mod tests {
    use privnet_core::{Address, Generation};
    use serde_json::json;

    use super::*;
    use crate::kinds;

    #[test]
    fn what_stands_in_another_projects_network_says_so() {
        let made = |kind: &'static str, more: Json| {
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
