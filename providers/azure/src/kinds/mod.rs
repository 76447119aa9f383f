//! The kinds of resources, each in a file of its own with the same sections in the same order: the struct, the table, what a
//! service wants, what is there, and how it is made, changed and deleted. A large one has a folder with a file for each section. Here is only the
//! table and who does what.

pub(crate) mod load_balancer;
pub(crate) mod nat_subnet;
pub(crate) mod network_security_group;
pub(crate) mod nic_membership;
pub(crate) mod private_link_service;
pub(crate) mod scale_set;
pub(crate) mod subnet_policy;

use privnet_core::execute::Context;
use privnet_core::plan::Op;
use privnet_core::{Address, Applied, Error, ErrorKind, Health, Kind, Live, Step, Value};

use crate::act::Act;
use crate::arm::{Arm, Json, Target, text};
use crate::fields::Fields;
use crate::hosted;
use crate::lower::Lowering;
use crate::snapshot::Snapshot;

/// All kinds of this provider.
pub(crate) const ALL: &[Kind] = &[
    nat_subnet::KIND,
    subnet_policy::KIND,
    network_security_group::KIND,
    load_balancer::KIND,
    scale_set::KIND,
    nic_membership::KIND,
    private_link_service::KIND,
    hosted::KIND,
];

/// Everything that a service wants.
pub(crate) fn lower(lowering: &mut Lowering<'_>) {
    nat_subnet::lower(lowering);
    subnet_policy::lower(lowering);
    network_security_group::lower(lowering);
    load_balancer::lower(lowering);
    // Of what waits for one lock the first in the plan goes first: an interface joins in seconds, a group is healthy in minutes.
    nic_membership::lower(lowering);
    scale_set::lower(lowering);
    private_link_service::lower(lowering);
}

/// Everything that is there.
pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let mut live = nat_subnet::live(snapshot);
    live.extend(network_security_group::live(snapshot));
    live.extend(load_balancer::live(snapshot));
    live.extend(scale_set::live(snapshot));
    live.extend(nic_membership::live(snapshot));
    live.extend(private_link_service::live(snapshot));
    live
}

/// The addresses that a service could have a name for in the cloud, whatever it wants now.
pub(crate) fn named(service: &str, subnets: &[String]) -> Vec<Address> {
    let one = |kind: &'static str, name: &str| Address::new(service, kind, name);
    let mut named = vec![
        one(nat_subnet::KIND.name, "main"),
        one(network_security_group::KIND.name, "forwarder"),
        one(load_balancer::KIND.name, "main"),
        one(private_link_service::KIND.name, "main"),
    ];
    named.extend(subnets.iter().map(|subnet| one(scale_set::KIND.name, subnet)));
    named
}

/// Where a decision on a connection to this resource is written.
pub(crate) fn decision_target(kind: &str, resource: &str, handle: &str) -> Option<Target> {
    if kind == hosted::KIND.name {
        return hosted::decision_target(resource, handle);
    }
    (kind == private_link_service::KIND.name)
        .then(|| Target::of(format!("{resource}/privateEndpointConnections/{handle}")))
}

/// Carries out a create, update or delete.
///
/// # Errors
/// What the cloud answered.
pub(crate) async fn apply(arm: &Arm, step: Step<'_>, context: &Context) -> Result<Applied, Error> {
    let act = Act { arm, context, step };
    let kind = step.action.address.kind.as_str();
    let delete = step.action.op == Op::Delete;
    match (kind, delete) {
        (k, false) if k == nat_subnet::KIND.name => nat_subnet::write(&act).await,
        (k, true) if k == nat_subnet::KIND.name => nat_subnet::delete(&act).await,
        (k, false) if k == subnet_policy::KIND.name => subnet_policy::write(&act).await,
        (k, false) if k == network_security_group::KIND.name => network_security_group::write(&act).await,
        (k, true) if k == network_security_group::KIND.name => network_security_group::delete(&act).await,
        (k, false) if k == load_balancer::KIND.name => load_balancer::write(&act).await,
        (k, true) if k == load_balancer::KIND.name => load_balancer::delete(&act).await,
        (k, false) if k == scale_set::KIND.name && step.action.op == Op::Create => {
            scale_set::create(&act).await
        }
        (k, false) if k == scale_set::KIND.name => scale_set::update(&act).await,
        (k, true) if k == scale_set::KIND.name => scale_set::delete(&act).await,
        (k, false) if k == nic_membership::KIND.name => nic_membership::write(&act).await,
        (k, true) if k == nic_membership::KIND.name => nic_membership::delete(&act).await,
        (k, false) if k == private_link_service::KIND.name => private_link_service::write(&act).await,
        (k, true) if k == private_link_service::KIND.name => private_link_service::delete(&act).await,
        _ => Err(act.error(ErrorKind::Other, format!("nothing of the sort is ever done to a {kind}"))),
    }
}

/// Whether a resource works, from its provisioning state.
pub(crate) fn health(resource: &Json) -> Health {
    match text(resource, "properties.provisioningState") {
        None | Some("Succeeded" | "Ready") => Health::Ready,
        Some(state @ ("Failed" | "Canceled")) => Health::Broken { state: state.to_owned() },
        Some(state) if state.eq_ignore_ascii_case("Deleting") => Health::Going { state: state.to_owned() },
        Some(state) => Health::Busy { state: state.to_owned() },
    }
}

/// What others may refer to.
pub(crate) fn outputs<const N: usize>(pairs: [(&str, String); N]) -> Fields {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), Value::text(value))).collect()
}

/// What an action that made or changed something yields.
pub(crate) fn applied(outputs: Fields) -> Applied {
    Applied { outputs, note: None }
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
            assert!(kind.serialized_by.iter().all(|field| fields.contains(field)), "{}", kind.name);
        }
    }

    #[test]
    fn what_refers_goes_before_what_it_refers_to() {
        let rank = |kind: &Kind| kind.teardown_rank;
        assert!(rank(&private_link_service::KIND) < rank(&nat_subnet::KIND));
        assert!(rank(&private_link_service::KIND) < rank(&scale_set::KIND));
        assert!(rank(&scale_set::KIND) < rank(&load_balancer::KIND));
        assert!(rank(&nic_membership::KIND) < rank(&load_balancer::KIND));
        assert!(rank(&scale_set::KIND) < rank(&network_security_group::KIND));
    }
}
