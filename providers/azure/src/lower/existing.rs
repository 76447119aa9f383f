//! A private link service of the user's own: it is looked at, its connections are decided on, and it is never altered.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::plan::{Refusal, Rule};
use privnet_core::spec::azure_ids::ArmId;
use privnet_core::spec::{Service, Spec};
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

/// Whether it leaves the decision to privnet: a file with such a service is manual always. Whoever is in its list of automatic approvals is
/// let in by Azure itself, every endpoint of the subscription, with nobody asked:
/// <https://learn.microsoft.com/azure/private-link/private-link-service-overview#control-service-exposure>.
fn check_acceptance(spec: &Spec, service: &Service, live: &Live, lowered: &mut Lowered) {
    let (id, name) = (&live.id, &service.name);
    let lower = |one: &str| one.to_ascii_lowercase();
    let consumers: BTreeSet<String> =
        policy::lists(spec, service).visibility.iter().map(|one| lower(one)).collect();
    let there = live.fields.get("auto_approval").and_then(Value::as_list).unwrap_or_default();
    let there: BTreeSet<String> = there.iter().filter_map(Value::as_text).map(lower).collect();
    let named = |some: Vec<&String>| some.into_iter().cloned().collect::<Vec<_>>().join(", ");
    let (unasked, others): (Vec<_>, Vec<_>) =
        there.iter().partition(|one| *one == "*" || consumers.contains(*one));
    if !unasked.is_empty() {
        lowered.refusals.push(Refusal {
            address: live.address.clone(),
            rule: Rule::Unsuitable,
            why: format!(
                "the private link service {id} approves every endpoint of {} by itself, so that neither `max_connections` nor `only` holds; \
                 privnet never alters what is yours: take it out of the automatic approvals there",
                named(unasked)
            ),
            flag: None,
        });
    }
    if !others.is_empty() {
        lowered.warnings.push(format!(
            "{name}: the private link service {id} approves every endpoint of {} by itself, who is no consumer in this file: nobody is asked",
            named(others)
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
    fn lowered(approves: &[&str]) -> Lowered {
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
    fn who_is_let_in_by_azure_itself_is_said_and_refused_where_he_is_a_consumer() {
        let upper = ACME.to_uppercase();
        for (approves, refused, warned) in [
            (&[][..], false, false),
            (&[ACME], true, false),
            (&[upper.as_str()], true, false),
            (&[OTHER], false, true),
            (&["*"], true, false),
            (&[ACME, OTHER], true, true),
        ] {
            let lowered = lowered(approves);
            let told = lowered.warnings.iter().any(|one| one.contains("nobody is asked"));
            assert_eq!((!lowered.refusals.is_empty(), told), (refused, warned), "{approves:?}: {lowered:?}");
        }
    }
}
