//! From the file's consumers to a policy on connections, and to the entries of an accept list. Pure.

use std::collections::BTreeSet;

use privnet_core::World;
use privnet_core::accept::{ConsumerPolicy, Identity, PresetVersion, ServicePolicy};
use privnet_core::spec::gcp::{GcpAcceptBy, GcpForm};
use privnet_core::spec::gcp_ids::ProjectRef;
use privnet_core::spec::{Allow, CloudService, Consumer, Service, Spec, Who};

use crate::entry::Entry;
use crate::facts;

/// Who may connect to a service.
pub(crate) fn of(spec: &Spec, service: &Service, world: &World) -> ServicePolicy {
    let consumers = service
        .allow
        .iter()
        .map(|(name, allow)| consumer(name.as_str(), spec.consumers.get(name), allow, world))
        .collect();
    let shared = matches!(&service.cloud, CloudService::Gcp(gcp) if matches!(gcp.form, GcpForm::ServiceAttachment { .. }));
    ServicePolicy { service: service.name.to_string(), consumers, shared }
}

/// One consumer. One that cannot be named on GCP has no identity: nothing matches it. The same holds for `*`, which lets
/// anybody ask and nobody in.
fn consumer(name: &str, defined: Option<&Consumer>, allow: &Allow, world: &World) -> ConsumerPolicy {
    let gcp = defined.and_then(|consumer| consumer.gcp.as_ref());
    let mut identities = BTreeSet::new();
    for project in gcp.into_iter().flat_map(|gcp| &gcp.projects) {
        let Who::Is(project) = project else { continue };
        identities.insert(Identity::new("project", &project.to_string()));
        if let ProjectRef::Number(number) = project {
            identities.extend(facts::project_id(world, *number).map(|id| Identity::new("project", &id)));
        }
    }
    for network in gcp.into_iter().flat_map(|gcp| &gcp.networks) {
        identities.insert(Identity::new("network", &network.to_string()));
    }
    let preset = defined.and_then(|consumer| consumer.preset.as_ref());
    ConsumerPolicy {
        name: name.to_owned(),
        identities,
        max_connections: allow.max_connections.get(),
        only: allow.only.clone(),
        preset: preset
            .map(|preset| PresetVersion { name: preset.name.clone(), version: preset.version.clone() }),
    }
}

/// Whom the cloud is to let in without asking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Automatic {
    pub(crate) entries: BTreeSet<Entry>,
    /// The consumers that have no name of this type.
    pub(crate) nameless: Vec<String>,
    /// The consumers with several names, how many, and the most connections of each.
    pub(crate) several: Vec<(String, usize, i64)>,
}

/// The entries of everybody who is let in without being asked.
pub(crate) fn automatic(spec: &Spec, service: &Service, by: GcpAcceptBy) -> Automatic {
    let Automatic { mut entries, mut nameless, mut several } = Automatic::default();
    for (name, allow) in &service.allow {
        let limit = i64::from(allow.max_connections.get());
        let gcp = spec.consumers.get(name).and_then(|consumer| consumer.gcp.as_ref());
        let before = entries.len();
        match (gcp, by) {
            (Some(gcp), GcpAcceptBy::Project) => {
                entries.extend(gcp.projects.iter().filter_map(|who| match who {
                    Who::Is(project) => Some(Entry::Project { project: project.to_string(), limit }),
                    Who::Anyone => None,
                }));
            }
            (Some(gcp), GcpAcceptBy::Network) => entries.extend(
                gcp.networks.iter().map(|network| Entry::Network { network: network.to_string(), limit }),
            ),
            _ => {}
        }
        match entries.len() - before {
            0 => nameless.push(name.to_string()),
            1 => {}
            count => several.push((name.to_string(), count, limit)),
        }
    }
    Automatic { entries, nameless, several }
}

#[cfg(test)]
mod properties;
