//! What the works are held to: every call of the provider's that changes something is in one of them, and each begins what it is there for.

use std::collections::{BTreeMap, BTreeSet};

use privnet::PlanOptions;
use privnet_core::plan::Op;
use privnet_core::{Change, Class, Provider as _};
use privnet_integration_tests::azure_source::changes_in_source;
use privnet_integration_tests::proxy::Request;

use super::Sweep;
use super::points::sort_of;
use super::works::Work;

const SUBNET: &str = "Microsoft.Network/virtualNetworks/subnets";
const SECURITY_GROUP: &str = "Microsoft.Network/networkSecurityGroups";
const BALANCER: &str = "Microsoft.Network/loadBalancers";
const GROUP: &str = "Microsoft.Compute/virtualMachineScaleSets";
const INTERFACE: &str = "Microsoft.Network/networkInterfaces";
const SERVICE: &str = "Microsoft.Network/privateLinkServices";
const CONNECTION: &str = "Microsoft.Network/privateLinkServices/privateEndpointConnections";

/// The place in the provider's source where it decides on a connection, of whatever sort.
const DECIDES: &str = "connection decide: arm.put_as_read";

impl Work {
    /// The places of the provider's source that it is there for, of those that change something, each with the type of what is changed
    /// there. It begins each of them.
    fn begins_at(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Apply => &[
                ("kinds/nat_subnet write: arm.make", SUBNET),
                ("kinds/network_security_group write: act.write", SECURITY_GROUP),
                ("kinds/load_balancer write: act.write", BALANCER),
                ("kinds/scale_set/change create: arm.make", GROUP),
                ("kinds/nic_membership put: arm.change", INTERFACE),
                ("kinds/private_link_service write: act.write", SERVICE),
            ],
            Self::Replace => &[
                ("kinds/scale_set/change create: arm.make", GROUP),
                ("kinds/scale_set/handover/drain write_balancer: arm.write", BALANCER),
                ("kinds/scale_set/change delete: act.delete_only", GROUP),
            ],
            Self::Destroy => &[
                ("kinds/private_link_service delete: act.delete", SERVICE),
                ("kinds/nic_membership put: arm.change", INTERFACE),
                ("kinds/scale_set/change delete: act.delete_only", GROUP),
                ("kinds/load_balancer delete: act.delete", BALANCER),
                ("kinds/network_security_group delete: act.delete", SECURITY_GROUP),
                ("kinds/nat_subnet delete: arm.delete", SUBNET),
            ],
            Self::InPlace => &[
                ("kinds/network_security_group write: act.write", SECURITY_GROUP),
                ("kinds/load_balancer write: act.write", BALANCER),
                ("kinds/scale_set/change update: act.write", GROUP),
                // A group comes back from its drain.
                ("kinds/scale_set/handover/drain write_balancer: arm.write", BALANCER),
                ("kinds/nic_membership put: arm.change", INTERFACE),
                ("kinds/private_link_service write: act.write", SERVICE),
            ],
            Self::Unforward => &[
                ("kinds/load_balancer write: act.write", BALANCER),
                ("kinds/nic_membership put: arm.change", INTERFACE),
                // The pool of who has left goes.
                ("kinds/load_balancer prune: arm.write", BALANCER),
                ("kinds/scale_set/change delete: act.delete_only", GROUP),
                ("kinds/network_security_group delete: act.delete", SECURITY_GROUP),
            ],
            Self::Resume => &[("kinds/nat_subnet write: arm.write", SUBNET)],
            Self::Accept | Self::Reject => &[(DECIDES, CONNECTION)],
            Self::Approve => &[(DECIDES, "Microsoft.Sql/servers/privateEndpointConnections")],
            Self::Remove => &[
                (DECIDES, "Microsoft.Sql/servers/privateEndpointConnections"),
                ("connection decide: arm.delete", "Microsoft.Sql/servers/privateEndpointConnections"),
            ],
            Self::ApproveOthers => &[
                (DECIDES, "Microsoft.DBforMySQL/flexibleServers/privateEndpointConnections"),
                (DECIDES, "Microsoft.ServiceBus/namespaces/privateEndpointConnections"),
                (DECIDES, "Microsoft.Web/sites/privateEndpointConnections"),
                (DECIDES, "Microsoft.Storage/storageAccounts/privateEndpointConnections"),
            ],
            Self::RejectOther => &[(DECIDES, "Microsoft.Web/sites/privateEndpointConnections")],
            Self::Policy => &[("kinds/subnet_policy write: arm.write", SUBNET)],
            Self::Clear => &[("kinds/private_link_service delete: arm.delete", CONNECTION)],
        }
    }

    /// Demands of its requests that it began all that it is there for, each place at least one of them; and that it spoils each of
    /// these, and that actions only ask.
    pub(super) fn check_begun(self, requests: &[Request]) {
        let methods = changes_in_source();
        let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
        for (place, kind) in self.begins_at() {
            let method = methods.get(*place).unwrap_or_else(|| panic!("the source has no {place}"));
            *wanted.entry(format!("{method} {kind}").to_lowercase()).or_default() += 1;
        }
        let spoiled = self.spoils(requests);
        for (sort, places) in wanted {
            let begun = spoiled.iter().filter(|at| sort_of(&requests[**at].action).to_lowercase() == sort);
            assert!(begun.count() >= places, "{self:?} does not begin {sort} {places} times: {requests:#?}");
        }
        let acts = requests.iter().filter(|request| request.action.starts_with("POST "));
        let mut unknown = acts.filter(|request| !request.action.ends_with("/health"));
        assert_eq!(unknown.next(), None, "it may change something");
    }
}

/// What is never begun is never spoiled. What Azure hosts is decided on in one place of the source for all its types, of which those are swept
/// that the local cloud has and that answer in ways of their own. The rest answer as another does: SQL's managed instances as its servers,
/// PostgreSQL as MySQL, vaults and Cosmos DB as private link services, Search as Storage.
#[test]
fn every_call_that_changes_something_is_in_one_of_the_works() {
    let places: BTreeSet<String> = changes_in_source().into_keys().collect();
    let begun = Work::ALL.iter().flat_map(|work| work.begins_at()).map(|(place, _)| (*place).to_owned());
    assert_eq!(begun.collect::<BTreeSet<_>>(), places);
}

/// What is changed in place is one request for several fields: the works change each of them that the kinds' tables have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_that_is_changed_in_place_is_changed_by_a_work() {
    let in_place = [Change::Update, Change::UpdateUnlessConnected, Change::Grow, Change::GrowUnlessConnected];
    let provider = privnet_azure::AzureProvider::new(privnet_azure::AzureSettings::default());
    let kinds = provider.handles().kinds.iter();
    let fields = kinds.flat_map(|kind| kind.fields.iter().map(move |field| (kind.name, field)));
    let wanted: BTreeSet<(String, String)> = fields
        .filter(|(_, field)| field.class != Class::Observed && in_place.contains(&field.change))
        .map(|(kind, field)| (kind.to_owned(), field.name.to_owned()))
        .collect();
    let mut named = BTreeSet::new();
    for (work, made) in [(Work::InPlace, "nic-membership"), (Work::Resume, "private-link-service")] {
        let sweep = Sweep::of(work).await.unwrap();
        let session = sweep.session(&sweep.applied, sweep.applied.url("azure")).unwrap();
        let planned = session.plan(PlanOptions::default()).await;
        assert!(planned.plan.refusals.is_empty(), "{:?}", planned.plan.refusals);
        let (updates, others): (Vec<_>, Vec<_>) =
            planned.plan.actions.iter().partition(|action| action.op == Op::Update);
        for action in updates {
            let kind = action.address.kind.to_string();
            named.extend(action.changes.iter().map(|change| (kind.clone(), change.field.to_string())));
        }
        // Nothing is replaced: that is another work's.
        let others: Vec<_> = others.iter().map(|action| (action.op, action.address.kind.as_str())).collect();
        assert_eq!(others, [(Op::Create, made)]);
    }
    assert_eq!(named, wanted);
}
