//! What no list shows of our own: the endpoints of a group, the health of a backend service, and why an attachment reconciles.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join_all, try_join_all};
use privnet_core::spec::gcp::GcpForm;
use privnet_core::{Address, Error, ErrorKind, Ownership};

use super::Snapshot;
use crate::buckets::Group;
use crate::cloud::Cloud;
use crate::collection::{Collection, Sent, is_answer, json, whole};
use crate::error;
use crate::json::{Json, flag, list, text};
use crate::kinds;
use crate::lists::RECONCILES;
use crate::operations;
use crate::path;
use crate::policy;

/// What a machine is that answers its health check.
pub(crate) const HEALTHY: &str = "HEALTHY";

/// The endpoints of a group.
pub(crate) async fn endpoints_of(cloud: &Cloud<'_>, group: &str) -> Result<Vec<Json>, Error> {
    let part = |word| path::after(group, word).unwrap_or_default();
    let (project, zone, name) = (part("projects"), part("zones"), path::name(group));
    let (mut all, mut token, mut read) = (Vec::new(), String::new(), BTreeSet::new());
    let method = "networkEndpointGroups.listNetworkEndpoints";
    loop {
        let (items, next) = cloud
            .call(Group::Read, project, method, name, || async {
                let list =
                    cloud.clients.network_endpoint_groups.list_network_endpoints().set_project(project);
                let list = list.set_zone(zone).set_network_endpoint_group(name).set_max_results(500_u32);
                let list = list.set_body(
                    google_cloud_compute_v1::model::NetworkEndpointGroupsListEndpointsRequest::new(),
                );
                let list = if token.is_empty() { list } else { list.set_page_token(&token) };
                let answer = Box::pin(list.send()).await?;
                is_answer(answer.kind.as_deref())?;
                let found = answer.items.into_iter().filter_map(|item| item.network_endpoint);
                Ok((found.map(json).collect::<Sent<Vec<_>>>()?, answer.next_page_token))
            })
            .await?;
        all.extend(items);
        match next.filter(|next| !next.is_empty()) {
            Some(next) if read.insert(next.clone()) => token = next,
            Some(_) => return Err(error::repeated_page(method, name)),
            None => return Ok(all),
        }
    }
}

pub(super) async fn endpoints(
    cloud: &Cloud<'_>,
    snapshot: &Snapshot<'_>,
) -> Result<BTreeMap<String, Vec<Json>>, Error> {
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
pub(super) async fn reconciling(
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
pub(super) async fn health(
    cloud: &Cloud<'_>,
    snapshot: &Snapshot<'_>,
) -> BTreeMap<String, Vec<Result<Json, String>>> {
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

/// Of our groups that a run which was cut short left two of, those of which a machine is healthy, and what cannot be read: which of the two
/// serves shows in nothing else. What is there once is not asked about.
pub(super) async fn healthy(
    cloud: &Cloud<'_>,
    snapshot: &Snapshot<'_>,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let pairs = there_twice(snapshot);
    let twice: BTreeSet<&String> = pairs.iter().flatten().collect();
    let behind = snapshot.claimed(Collection::BackendServices, kinds::backend_service::KIND.name);
    let asked = behind.iter().flat_map(|(_, json)| {
        let service = text(json, "selfLink").map(path::of).unwrap_or_default();
        let groups = list(json, "backends").iter().filter_map(|backend| text(backend, "group"));
        let twice = groups.filter(|group| twice.contains(&path::of(group)));
        twice.map(move |group| (service.clone(), group)).collect::<Vec<_>>()
    });
    let read = asked.map(|(service, group)| async move { (group, health_of(cloud, &service, group).await) });
    let (mut healthy, mut unknown, mut unread) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (group, answer) in join_all(read).await {
        let group = path::of(group);
        match answer {
            Ok(states) if states.iter().any(|state| text(state, "healthState") == Some(HEALTHY)) => {
                healthy.insert(group);
            }
            Ok(_) => {}
            Err(error) => {
                let what = format!(
                    "whether {group} is healthy is not known, so that the older of two counts as serving"
                );
                unknown.insert(operations::unknown(&what, &error));
                unread.insert(group);
            }
        }
    }
    // Of two of which one is not known, what is known of the other says nothing.
    for pair in pairs.iter().filter(|pair| pair.iter().any(|group| unread.contains(group))) {
        healthy.retain(|group| !pair.contains(group));
    }
    (healthy, unknown)
}

/// The groups of machines that are ours and there twice, by path, those of an address together.
fn there_twice(snapshot: &Snapshot<'_>) -> Vec<Vec<String>> {
    let kinds = [
        (Collection::NetworkEndpointGroups, kinds::endpoint_group::KIND.name, "selfLink"),
        (Collection::GroupManagers, kinds::forwarder_group::KIND.name, "instanceGroup"),
    ];
    let mut all: BTreeMap<Address, Vec<String>> = BTreeMap::new();
    for (collection, kind, link) in kinds {
        let ours = snapshot.claimed(collection, kind).into_iter();
        for (claim, json) in ours.filter(|(claim, _)| claim.ownership == Ownership::Ours) {
            all.entry(claim.address).or_default().extend(text(json, link).map(path::of));
        }
    }
    all.into_values().filter(|groups| groups.len() > 1).collect()
}

/// What the health check finds at the machines of one backend.
pub(crate) async fn health_of(cloud: &Cloud<'_>, service: &str, group: &str) -> Result<Vec<Json>, Error> {
    let part = |word| path::after(service, word).unwrap_or_default();
    let (project, region, name) = (part("projects"), part("regions"), path::name(service));
    let answer = cloud
        .call(Group::Read, project, "regionBackendServices.getHealth", name, || async {
            let body = google_cloud_compute_v1::model::ResourceGroupReference::new().set_group(group);
            let get = cloud.clients.backend_services.get_health().set_project(project).set_region(region);
            whole(Box::pin(get.set_backend_service(name).set_body(body).send()).await?)
        })
        .await?;
    Ok(list(&answer, "healthStatus").to_vec())
}
