//! The kinds of resources, each in a file of its own with the same sections in the same order: the struct, the table, what a
//! service wants, what is there, and how it is made, changed and deleted. A large one has a folder with a file for each section. Here is only the
//! table and who does what.

pub(crate) mod backend_service;
pub(crate) mod endpoint_group;
pub(crate) mod firewall;
pub(crate) mod forwarder_group;
pub(crate) mod forwarding_rule;
pub(crate) mod health_check;
pub(crate) mod instance_template;
pub(crate) mod nat_subnet;
pub(crate) mod service_attachment;

use privnet_core::plan::Op;
use privnet_core::spec::gcp::{GcpForm, GcpNatSubnet, GcpService};
use privnet_core::{Address, Applied, Error, ErrorKind, Health, Kind, Live, Ownership};

use crate::act::Act;
use crate::collection::Collection;
use crate::facts::Facts;
use crate::fields::Fields;
use crate::forwarders;
use crate::json::{Json, text};
use crate::lower::Lowering;
use crate::path;
use crate::snapshot::{Place, Snapshot};

/// All kinds of this provider.
pub(crate) const ALL: &[Kind] = &[
    nat_subnet::KIND,
    firewall::KIND,
    health_check::KIND,
    endpoint_group::KIND,
    instance_template::KIND,
    forwarder_group::KIND,
    backend_service::KIND,
    forwarding_rule::KIND,
    service_attachment::KIND,
];

/// Everything that a service wants.
pub(crate) fn lower(lowering: &mut Lowering<'_>) {
    nat_subnet::lower(lowering);
    firewall::lower(lowering);
    health_check::lower(lowering);
    endpoint_group::lower(lowering);
    instance_template::lower(lowering);
    forwarder_group::lower(lowering);
    backend_service::lower(lowering);
    forwarding_rule::lower(lowering);
    service_attachment::lower(lowering);
}

/// Everything that is there.
pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let mut live = nat_subnet::live(snapshot);
    live.extend(firewall::live(snapshot));
    live.extend(health_check::live(snapshot));
    live.extend(endpoint_group::live(snapshot));
    live.extend(instance_template::live(snapshot));
    live.extend(forwarder_group::live(snapshot));
    live.extend(backend_service::live(snapshot));
    live.extend(forwarding_rule::live(snapshot));
    live.extend(service_attachment::live(snapshot));
    live
}

/// The addresses that a service could have a name for in the cloud.
pub(crate) fn named(service: &str, gcp: &GcpService, facts: &Facts) -> Vec<Address> {
    let one = |kind: &Kind, name: &str| Address::new(service, kind.name, name);
    let mut named = vec![
        one(&firewall::KIND, firewall::CLIENTS),
        one(&firewall::KIND, firewall::PROBERS),
        one(&health_check::KIND, "main"),
        one(&backend_service::KIND, "main"),
        one(&forwarding_rule::KIND, "main"),
        one(&service_attachment::KIND, "main"),
    ];
    let subnets = match &gcp.form {
        GcpForm::Made(made) => made.attachment.nat_subnets.as_slice(),
        GcpForm::OnForwardingRule(on) => on.attachment.nat_subnets.as_slice(),
        GcpForm::ServiceAttachment { .. } | GcpForm::Removed => &[],
    };
    named.extend(subnets.iter().filter_map(|subnet| match subnet {
        GcpNatSubnet::Create { cidr } => Some(one(&nat_subnet::KIND, &nat_subnet::name_of(cidr))),
        GcpNatSubnet::Existing(_) => None,
    }));
    let groups = endpoint_group::wanted(gcp, &Place::of(gcp), facts);
    named.extend(groups.keys().map(|name| one(&endpoint_group::KIND, name)));
    let forwarders = match &gcp.form {
        GcpForm::Made(made) => forwarders::of(made),
        _ => None,
    };
    for subnet in forwarders.iter().flat_map(|(forwarder, _)| &forwarder.subnets) {
        named.push(one(&instance_template::KIND, subnet.as_str()));
        named.push(one(&forwarder_group::KIND, subnet.as_str()));
    }
    named
}

/// What of a collection is ours or has our name, with the fields that `fields` reads of it and the outputs that `outputs` adds
/// to its path.
pub(crate) fn live_of(
    snapshot: &Snapshot<'_>,
    collection: Collection,
    kind: &Kind,
    fields: impl Fn(&Json) -> Fields,
    outputs: impl Fn(&Json) -> Fields,
) -> Vec<Live> {
    let claimed = snapshot.claimed(collection, kind.name).into_iter();
    claimed
        .map(|(claim, json)| {
            let id = text(json, "selfLink").map(path::of).unwrap_or_default();
            let mut all = path_output(&id);
            all.extend(outputs(json));
            Live {
                address: claim.address,
                generation: Some(claim.generation),
                scope: snapshot.place.scope(),
                id,
                ownership: claim.ownership,
                fields: fields(json),
                outputs: all,
                health: Health::Ready,
            }
        })
        .collect()
}

/// Something of the user's that the file names.
pub(crate) fn supplied(snapshot: &Snapshot<'_>, address: Address, json: &Json, fields: Fields) -> Live {
    let id = text(json, "selfLink").map(path::of).unwrap_or_default();
    Live {
        address,
        generation: None,
        scope: snapshot.place.scope(),
        outputs: path_output(&id),
        id,
        ownership: Ownership::Supplied,
        fields,
        health: Health::Ready,
    }
}

/// The output that every kind has.
pub(crate) fn path_output(id: &str) -> Fields {
    crate::fields::outputs([("path", id)])
}

/// What an action that made or changed something yields.
pub(crate) fn applied(resource: &Json) -> Applied {
    let id = text(resource, "selfLink").map(path::of).unwrap_or_default();
    Applied { outputs: path_output(&id), note: None }
}

/// Carries out a create, update or delete.
pub(crate) async fn apply(act: &Act<'_>) -> Result<Applied, Error> {
    let kind = act.address().kind.as_str();
    macro_rules! of {
        ($module:ident, $delete:expr) => {
            match act.step.action.op {
                Op::Create => $module::create(act).await,
                Op::Update => $module::update(act).await,
                Op::Delete => $delete.await,
                Op::Accept | Op::Reject => Err(unknown(act)),
            }
        };
    }
    match kind {
        k if k == nat_subnet::KIND.name => of!(nat_subnet, delete(act, Collection::Subnetworks)),
        k if k == firewall::KIND.name => of!(firewall, delete(act, Collection::Firewalls)),
        k if k == health_check::KIND.name => of!(health_check, delete(act, Collection::HealthChecks)),
        k if k == instance_template::KIND.name => {
            of!(instance_template, delete(act, Collection::InstanceTemplates))
        }
        k if k == backend_service::KIND.name => {
            of!(backend_service, delete(act, Collection::BackendServices))
        }
        // These see to it before that nobody is cut by the way.
        k if k == endpoint_group::KIND.name => of!(endpoint_group, endpoint_group::delete(act)),
        k if k == forwarder_group::KIND.name => of!(forwarder_group, forwarder_group::delete(act)),
        k if k == forwarding_rule::KIND.name => of!(forwarding_rule, forwarding_rule::delete(act)),
        k if k == service_attachment::KIND.name => of!(service_attachment, service_attachment::delete(act)),
        _ => Err(unknown(act)),
    }
}

/// Deletes what was observed, at once.
async fn delete(act: &Act<'_>, collection: Collection) -> Result<Applied, Error> {
    act.delete(&act.there(collection)?).await
}

fn unknown(act: &Act<'_>) -> Error {
    let message = format!("nothing of the sort is ever done to a {}", act.address().kind);
    act.error(ErrorKind::Other, message)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_and_field_stands_once() {
        let names: BTreeSet<_> = ALL.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), ALL.len());
        for kind in ALL {
            let fields: BTreeSet<_> = kind.fields.iter().map(|field| field.name).collect();
            assert_eq!(fields.len(), kind.fields.len(), "{}", kind.name);
        }
    }
}
