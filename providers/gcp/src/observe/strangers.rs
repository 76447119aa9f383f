//! Service attachments that are not proven to be this deployment's, on forwarding rules that privnet made: somebody may go through them, so that
//! what they stand on is not taken away. Google does not delete a rule that has one, either
//! (<https://cloud.google.com/vpc/docs/manage-private-service-connect-services>), and what goes before it would be gone by then.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::world::Held;
use privnet_core::{Ownership, World};

use crate::collection::Collection;
use crate::json::{Json, text};
use crate::kinds::{forwarding_rule, service_attachment};
use crate::path;
use crate::snapshot::Snapshot;

/// Holds the forwarding rules under such attachments, and the backend services behind those.
pub(super) fn hold(snapshot: &Snapshot<'_>, world: &mut World) {
    let claimed = snapshot.claimed(Collection::ServiceAttachments, service_attachment::KIND.name);
    let (ours, unproven): (Vec<_>, Vec<_>) =
        claimed.into_iter().partition(|(claim, _)| claim.ownership == Ownership::Ours);
    // What is this deployment's goes by the same plans.
    let ours: BTreeSet<String> = ours.into_iter().map(|(_, json)| path_of(json)).collect();
    let unproven: BTreeSet<String> = unproven.into_iter().map(|(_, json)| path_of(json)).collect();
    let mut on: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for json in snapshot.all(Collection::ServiceAttachments) {
        let attachment = path_of(json);
        if let Some(target) = text(json, "targetService").filter(|_| !ours.contains(&attachment)) {
            on.entry(path::of(target)).or_default().push(attachment);
        }
    }
    // A rule that lost its proof counts as well: what is behind it may still have its own, and go.
    for (_, rule) in snapshot.claimed(Collection::ForwardingRules, forwarding_rule::KIND.name) {
        let id = path_of(rule);
        let Some(strangers) = on.get(&id) else { continue };
        let said: Vec<String> =
            strangers.iter().map(|stranger| why(stranger, unproven.contains(stranger), &id)).collect();
        let held = Held { why: said.join("; "), with_parts: true };
        let behind = text(rule, "backendService").map(path::of);
        for id in behind.into_iter().chain([id]) {
            world.held.insert(id, held.clone());
        }
    }
}

/// Why a rule is not taken away from under this attachment, and what to do.
fn why(attachment: &str, has_our_name: bool, rule: &str) -> String {
    let what = if has_our_name {
        "has the name that privnet would use, but not the marker that proves it"
    } else {
        "is not what privnet made for it"
    };
    format!(
        "the service attachment {attachment} {what}, and it stands on the forwarding rule {rule}, which privnet made for this service: \
         taking that away would cut whoever goes through it, and Google does not do it. Delete that service attachment, or put one on a \
         forwarding rule of your own in its place"
    )
}

fn path_of(json: &Json) -> String {
    text(json, "selfLink").map(path::of).unwrap_or_default()
}
