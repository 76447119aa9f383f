//! From the file's consumers to a policy on connections, and to the entries of an accept list. Pure.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::World;
use privnet_core::accept::{ConsumerPolicy, Identity, PresetVersion, ServicePolicy};
use privnet_core::spec::gcp::{GcpAcceptBy, GcpForm, GcpService};
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

/// How a service names whom it lets in.
pub(crate) fn accept_by(gcp: &GcpService) -> GcpAcceptBy {
    match &gcp.form {
        GcpForm::Made(made) => made.attachment.accept_by,
        GcpForm::OnForwardingRule(on) => on.attachment.accept_by,
        GcpForm::ServiceAttachment { accept_by, .. } => *accept_by,
        GcpForm::Removed => GcpAcceptBy::Endpoint,
    }
}

/// Whether the file says that an attachment reconciles its connections.
pub(crate) fn reconciles(gcp: &GcpService) -> bool {
    match &gcp.form {
        GcpForm::Made(made) => made.attachment.reconcile_connections,
        GcpForm::OnForwardingRule(on) => on.attachment.reconcile_connections,
        GcpForm::ServiceAttachment { .. } | GcpForm::Removed => false,
    }
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

/// The entries of everybody who is let in without being asked. GCP takes a project once, by id or by number: where the file has it
/// twice, the first name and the larger room stand.
pub(crate) fn automatic(spec: &Spec, service: &Service, by: GcpAcceptBy, world: &World) -> Automatic {
    let Automatic { mut nameless, mut several, .. } = Automatic::default();
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    for (name, allow) in &service.allow {
        let limit = i64::from(allow.max_connections.get());
        let gcp = spec.consumers.get(name).and_then(|consumer| consumer.gcp.as_ref());
        let own: BTreeMap<String, Entry> = match (gcp, by) {
            (Some(gcp), GcpAcceptBy::Project) => {
                let named = gcp.projects.iter().filter_map(|who| match who {
                    Who::Is(project) => Some(project),
                    Who::Anyone => None,
                });
                let entry = |project: &ProjectRef| Entry::Project { project: project.to_string(), limit };
                named.rev().map(|project| (id_of(project, world), entry(project))).collect()
            }
            (Some(gcp), GcpAcceptBy::Network) => {
                let names = gcp.networks.iter().map(ToString::to_string);
                names.map(|network| (network.clone(), Entry::Network { network, limit })).collect()
            }
            _ => BTreeMap::new(),
        };
        match own.len() {
            0 => nameless.push(name.to_string()),
            1 => {}
            count => several.push((name.to_string(), count, limit)),
        }
        for (id, entry) in own {
            match entries.get_mut(&id) {
                Some(there) => there.limit_to(there.room().max(entry.room()).unwrap_or_default()),
                None => drop(entries.insert(id, entry)),
            }
        }
    }
    Automatic { entries: entries.into_values().collect(), nameless, several }
}

/// A project's id, or its number where the id could not be found out.
fn id_of(project: &ProjectRef, world: &World) -> String {
    let id = match project {
        ProjectRef::Number(number) => facts::project_id(world, *number),
        _ => None,
    };
    id.unwrap_or_else(|| project.to_string())
}

#[cfg(test)]
mod properties;
