//! What is read beside the lists: machines, instance groups and images of the user's, as the file names them.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use privnet_core::spec::Service;
use privnet_core::spec::gcp::{GcpBackend, GcpDirect, GcpForm, GcpService};
use privnet_core::{Error, Purpose};

use super::Place;
use super::lists::not_reached;
use crate::cloud::Cloud;
use crate::collection::aggregated;
use crate::facts::Machine;
use crate::image::{self, Seen};
use crate::json::{Json, list, text};
use crate::kinds;
use crate::path;

/// Fails where what is at this path is not known for want of an answer of its place.
fn answered(unreachable: &BTreeSet<String>, path: &str) -> Result<(), Error> {
    let project = path::after(path, "projects").unwrap_or_default();
    let mut places = path::after(path, "zones").into_iter().chain(path::region(path));
    places.find(|place| unreachable.contains(*place)).map_or(Ok(()), |place| Err(not_reached(project, place)))
}

/// What a place's services need besides the lists.
pub(crate) struct Beside {
    pub(super) machines: BTreeMap<String, Machine>,
    pub(super) groups: Vec<String>,
    pub(super) images: BTreeMap<String, Seen>,
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
