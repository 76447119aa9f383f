//! A private link service of the user's own: it is looked at, its connections are decided on, and it is never altered.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::plan::{Refusal, Rule};
use privnet_core::spec::azure_ids::ArmId;
use privnet_core::spec::{Acceptance, Service, Spec};
use privnet_core::{Live, Lowered, Origin, Ownership, Resource, Value, World};

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
    let supplied = |live: &&Live| live.address == address && live.ownership == Ownership::Supplied;
    if let Some(live) = world.live.iter().find(supplied) {
        check_acceptance(spec, service, live, &mut lowered);
    }
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

/// Whether it decides as the file says. Whoever is in its list of automatic approvals is let in by Azure itself, every endpoint of the
/// subscription, with nobody asked: <https://learn.microsoft.com/azure/private-link/private-link-service-overview#control-service-exposure>.
fn check_acceptance(spec: &Spec, service: &Service, live: &Live, lowered: &mut Lowered) {
    let id = &live.id;
    let there = live.fields.get("auto_approval").and_then(Value::as_list).unwrap_or_default();
    let there: BTreeSet<String> =
        there.iter().filter_map(Value::as_text).map(str::to_ascii_lowercase).collect();
    let wanted: BTreeSet<String> =
        policy::lists(spec, service).auto_approval.iter().map(|one| one.to_ascii_lowercase()).collect();
    let named = |some: &mut dyn Iterator<Item = &String>| some.cloned().collect::<Vec<_>>().join(", ");
    let unasked = named(&mut there.difference(&wanted));
    let unnamed = named(&mut wanted.difference(&there));
    match service.acceptance {
        Acceptance::Manual if !there.is_empty() => lowered.refusals.push(Refusal {
            address: live.address.clone(),
            rule: Rule::Unsuitable,
            why: format!(
                "the private link service {id} approves every endpoint of {unasked} by itself, but the file wants `acceptance: manual`; \
                 privnet never alters what is yours: empty its list of automatic approvals, or say `acceptance: automatic`"
            ),
            flag: None,
        }),
        Acceptance::Automatic if !unasked.is_empty() => lowered.refusals.push(Refusal {
            address: live.address.clone(),
            rule: Rule::Unsuitable,
            why: format!(
                "the private link service {id} approves every endpoint of {unasked} by itself, and no consumer of this service is that \
                 subscription; privnet never alters what is yours: take it out of its `autoApproval`, or name it as a consumer"
            ),
            flag: None,
        }),
        Acceptance::Manual | Acceptance::Automatic => {}
    }
    if !unnamed.is_empty() {
        lowered.warnings.push(format!(
            "{}: the private link service {id} does not approve {unnamed} by itself, which privnet does not alter: requests wait for \
             `privnet accept-pending` although the file says `acceptance: automatic`",
            service.name
        ));
    }
}

#[cfg(test)]
mod tests {
    use privnet_core::spec::CloudService;
    use privnet_core::spec::azure::AzureForm;
    use privnet_core::{Address, Health, Scope};

    use super::*;

    const LINK: &str = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg/providers/Microsoft.Network/privateLinkServices/mine";
    const ACME: &str = "11111111-2222-3333-4444-555555555555";
    const OTHER: &str = "99999999-2222-3333-4444-555555555555";

    /// What comes of a service that lets in `ACME`, on a private link service that approves these by itself.
    fn lowered(acceptance: &str, approves: &[&str]) -> Lowered {
        let text = format!(
            "version: 1
deployment: stage
consumers: {{ acme: {{ azure: {{ subscriptions: [{ACME}] }} }} }}
services:
  - name: orders
    allow: {{ acme: {{}} }}
    acceptance: {acceptance}
    azure: {{ subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee, existing: {{ private_link_service: {LINK} }} }}
"
        );
        let spec = privnet_core::spec::decode("stage.yaml", &text).unwrap();
        let service = &spec.services[0];
        let CloudService::Azure(azure) = &service.cloud else { panic!("another cloud") };
        let AzureForm::PrivateLinkService(id) = &azure.form else { panic!("another form") };
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
        lower(&spec, service, id, &World { live: vec![live], ..World::default() })
    }

    #[test]
    fn who_is_let_in_by_azure_itself_is_who_the_file_says() {
        let upper = ACME.to_uppercase();
        for (acceptance, approves, refused, warned) in [
            ("manual", &[][..], false, false),
            ("manual", &[ACME], true, false),
            ("manual", &[OTHER], true, false),
            ("automatic", &[ACME], false, false),
            ("automatic", &[upper.as_str()], false, false),
            ("automatic", &[], false, true),
            ("automatic", &[ACME, OTHER], true, false),
        ] {
            let lowered = lowered(acceptance, approves);
            let warned_of = lowered.warnings.iter().any(|warning| warning.contains("requests wait"));
            let of = format!("{acceptance} {approves:?}: {:?} {:?}", lowered.refusals, lowered.warnings);
            assert_eq!((!lowered.refusals.is_empty(), warned_of), (refused, warned), "{of}");
        }
    }
}
