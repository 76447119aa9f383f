//! A private link service of the user's own: it is looked at, its connections are decided on, and it is never altered.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::spec::azure_ids::ArmId;
use privnet_core::spec::{Service, Spec};
use privnet_core::{Live, Lowered, Origin, Resource, Value, World};

use crate::kinds::private_link_service;
use crate::policy;

/// What a service on such a one lowers to.
pub(super) fn lower(spec: &Spec, service: &Service, id: &ArmId, world: &World) -> Lowered {
    let address = private_link_service::address(service.name.as_str());
    let scope = crate::scope::of(id.subscription().as_str(), id.resource_group().as_str());
    let mut lowered = super::empty(spec, service, scope.clone(), address.clone());
    if service.remove {
        return lowered;
    }
    lowered.warnings.extend(policy::nameless(spec, service));
    let notes = world.notes.get(service.name.as_str()).into_iter().flatten();
    lowered.warnings.extend(notes.map(|note| format!("{}: {note}", service.name)));
    let resource = Resource {
        address,
        scope,
        origin: Origin::Supplied,
        fields: BTreeMap::new(),
        needs: BTreeSet::new(),
    };
    lowered.resources.push(resource);
    lowered
}

/// Whom Azure lets in by itself: a file with such a service is manual always, and the list of automatic approvals is the user's own, so it
/// is said and not altered. Whoever is in it is let in with nobody asked, every endpoint of the subscription:
/// <https://learn.microsoft.com/azure/private-link/private-link-service-overview#control-service-exposure>.
pub(crate) fn let_in_by_azure(spec: &Spec, service: &Service, live: &Live) -> Vec<String> {
    let id = &live.id;
    let consumers: BTreeSet<String> =
        policy::lists(spec, service).visibility.iter().map(|one| one.to_ascii_lowercase()).collect();
    let there = live.fields.get("auto_approval").and_then(Value::as_list).unwrap_or_default();
    let each = there.iter().filter_map(Value::as_text).map(|approved| {
        let bound = "so that neither `max_connections` nor `only` holds for it, and no decision is in the audit log";
        if approved == "*" {
            format!("the private link service {id} approves everybody who sees it by itself, {bound}")
        } else if consumers.contains(&approved.to_ascii_lowercase()) {
            format!(
                "the private link service {id} approves every endpoint of {approved} by itself, {bound}; take the subscription out of the \
                 automatic approvals there, for privnet to decide on each"
            )
        } else {
            format!(
                "the private link service {id} approves every endpoint of {approved} by itself, which is no consumer in this file: nobody is \
                 asked"
            )
        }
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use privnet_core::{Address, Health, Ownership, Scope};

    use super::*;

    const LINK: &str = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg/providers/Microsoft.Network/privateLinkServices/mine";
    const ACME: &str = "11111111-2222-3333-4444-555555555555";
    const OTHER: &str = "99999999-2222-3333-4444-555555555555";

    /// What is said of a service that lets in `ACME`, on a private link service that approves these by itself.
    fn said(approves: &[&str]) -> Vec<String> {
        let text = format!(
            "version: 1
deployment: stage
consumers: {{ acme: {{ azure: {{ subscriptions: [{ACME}] }} }} }}
services:
  - name: orders
    allow: {{ acme: {{}} }}
    azure: {{ subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee, existing: {{ private_link_service: {LINK} }} }}
"
        );
        let spec = privnet_core::spec::decode("stage.yaml", &text).unwrap();
        let service = &spec.services[0];
        let live = Live {
            address: Address::new("orders", private_link_service::KIND.name, "main"),
            generation: None,
            scope: Scope(String::new()),
            id: LINK.to_owned(),
            ownership: Ownership::Supplied,
            fields: BTreeMap::from([("auto_approval".to_owned(), Value::texts(approves))]),
            outputs: BTreeMap::new(),
            health: Health::Ready,
        };
        let_in_by_azure(&spec, service, &live)
    }

    #[test]
    fn who_is_let_in_by_azure_itself_is_said() {
        let upper = ACME.to_uppercase();
        for (approves, wanted) in [
            (&[][..], &[][..]),
            (&[ACME], &["max_connections"]),
            (&[upper.as_str()], &["max_connections"]),
            (&[OTHER], &["no consumer"]),
            (&["*"], &["everybody"]),
            (&[ACME, OTHER], &["max_connections", "no consumer"]),
        ] {
            let said = said(approves);
            assert_eq!(said.len(), wanted.len(), "{said:?}");
            assert!(said.iter().zip(wanted).all(|(said, wanted)| said.contains(wanted)), "{said:?}");
        }
    }
}
