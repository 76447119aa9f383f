//! Whom the accept list of an attachment of the user's lets in with nobody asked. An acceptance by project or network leaves an entry there that
//! outlasts the endpoint, and nothing proves it to be privnet's: so it stays, and is told of. Pure.

use privnet_core::accept::{Connection, Identity, ServicePolicy};
use privnet_core::spec::gcp::{GcpAcceptBy, GcpForm};
use privnet_core::spec::{CloudService, Service};
use privnet_core::{Address, World};

use crate::entry::Entry;
use crate::fields;
use crate::kinds::service_attachment::{self, Attachment};
use crate::lists;

/// Says it of a service whose attachment is the user's and whose consumers are let in by whole projects or networks. Of one that decides on each
/// endpoint, and of a tombstone, all such entries are told of.
pub(super) fn say(world: &mut World, service: &Service, policy: &ServicePolicy) {
    let CloudService::Gcp(gcp) = &service.cloud else { return };
    let GcpForm::ServiceAttachment { accept_by, .. } = &gcp.form else { return };
    if *accept_by == GcpAcceptBy::Endpoint || service.remove {
        return;
    }
    let kind = service_attachment::KIND.name;
    let address = Address::new(service.name.as_str(), kind, service_attachment::SUPPLIED);
    let Some(live) = world.at(&address) else { return };
    let Ok(there) = fields::typed::<Attachment>(kind, &live.fields) else { return };
    let known = world.services.get(service.name.as_str()).map(|seen| seen.connections.known());
    let open = open(&there, policy, known.unwrap_or_default());
    if !open.is_empty() {
        let taken_out = lists::taken_out(&live.id, &["accept"], there.reconcile_connections);
        let said = said(&open, &taken_out);
        world.notes.entry(service.name.to_string()).or_default().insert(said);
    }
}

/// The projects and networks of the file's consumers that the list has room for: nobody is connected by their entry, or fewer than it lets in.
fn open(there: &Attachment, policy: &ServicePolicy, known: &[Connection]) -> Vec<String> {
    if service_attachment::takes_everybody(there) {
        return Vec::new();
    }
    let entries = there.consumers.iter().flatten().filter_map(|spelled| Entry::parse(spelled));
    let open = entries.filter(|entry| {
        let Some((who, room)) = identity(entry).zip(entry.room()) else { return false };
        let own = policy.consumers.iter().any(|consumer| consumer.identities.contains(&who));
        let turned_away = there.rejected.iter().flatten().any(|subject| subject == entry.subject());
        let live = known.iter().filter(|one| one.state.may_be_live() && one.identities.contains(&who));
        own && !turned_away && live.count() < room
    });
    open.map(|entry| entry.subject().to_owned()).collect()
}

/// Whom an entry for more than one endpoint names.
fn identity(entry: &Entry) -> Option<Identity> {
    match entry {
        Entry::Project { project, .. } => Some(Identity::new("project", project)),
        Entry::Network { network, .. } => Some(Identity::new("network", network)),
        Entry::Endpoint { .. } => None,
    }
}

fn said(open: &[String], taken_out: &str) -> String {
    format!(
        "its accept list has room for {}: whoever asks next from there is let in at once, with nobody deciding. The attachment is yours, and \
         nothing proves an entry to be privnet's, so that it stays: take out what is not meant, {taken_out}. Once no project or network is in it, \
         `accept_by: endpoint` lets in single endpoints",
        open.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use privnet_core::accept::ConsumerPolicy;
    use serde_json::json;

    use super::*;
    use crate::connections;

    /// Whom a list with these entries lets in unasked, of the project `p-1`, which has so many endpoints of this state.
    fn told(limit: i64, status: &str, count: usize, rejected: &[&str]) -> Vec<String> {
        let endpoints: Vec<_> = (0..count)
            .map(|nth| {
                json!({ "endpoint": format!("https://x/projects/p-1/regions/r/forwardingRules/7{nth}"),
                    "pscConnectionId": format!("900{nth}"), "status": status })
            })
            .collect();
        let identities = BTreeSet::from([Identity::new("project", "p-1")]);
        let consumer = ConsumerPolicy {
            name: "one".to_owned(),
            identities,
            max_connections: 9,
            only: BTreeSet::new(),
            preset: None,
        };
        let policy = ServicePolicy { service: "s".to_owned(), consumers: vec![consumer], shared: true };
        // The other entry is of nobody in the file.
        let fields = json!({ "target": "t", "nat_subnets": [], "connection_preference": "ACCEPT_MANUAL", "proxy_protocol": false,
            "reconcile_connections": false, "rejected": rejected,
            "consumers": [format!("project:p-1={limit}"), "project:p-2=3", "endpoint:projects/p-1/regions/r/forwardingRules/5"] });
        let there: Attachment = serde_json::from_value(fields).expect("an attachment");
        open(&there, &policy, &connections::bare(&json!({ "connectedEndpoints": endpoints })))
    }

    #[test]
    fn an_entry_of_the_files_with_room_for_another_is_told_of() {
        assert_eq!(told(1, "ACCEPTED", 0, &[]), ["p-1"]);
        assert_eq!(told(2, "ACCEPTED", 1, &[]), ["p-1"]);
        assert_eq!(told(1, "REJECTED", 1, &[]), ["p-1"]);
        for full in [
            told(1, "ACCEPTED", 1, &[]),
            told(1, "NEEDS_ATTENTION", 1, &[]),
            told(1, "ACCEPTED", 0, &["p-1"]),
        ] {
            assert!(full.is_empty(), "{full:?}");
        }
        let said = said(&["p-1".to_owned()], "by hand");
        for words in ["room for p-1: whoever asks next", "take out what is not meant, by hand."] {
            assert!(said.contains(words), "{said}");
        }
    }
}
