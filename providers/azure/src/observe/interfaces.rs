//! The interfaces that ports lead to, and the load balancers that they are behind already.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use privnet_core::Error;
use privnet_core::execute::Context;

use super::known::{is_public, made_for, network_of};
use crate::arm::{Arm, Json, Target, is_foreign, items, same_id, text};
use crate::facts::{Behind, Nic, short_location};
use crate::fields;
use crate::kinds::load_balancer;
use crate::ownership;
use crate::snapshot::{Snapshot, nics_of};

/// An interface, as a fact for a service, of all that were read.
pub(super) fn fact(snapshot: &Snapshot<'_>, service: &str, nic: &Json, all: &[Json]) -> Nic {
    let configurations = items(nic, "properties.ipConfigurations");
    Nic {
        location: short_location(text(nic, "location").unwrap_or_default()),
        is_public: configurations.iter().any(is_public),
        vnet: configurations.iter().find_map(network_of),
        pools: pools_of(nic).collect(),
        machine: machine_of(nic),
        behind: balancers_of(nic, all)
            .into_iter()
            .filter(|id| !is_own(snapshot, service, id))
            .filter_map(|id| Some((behind(snapshot, &id)?, id)))
            .map(|(behind, id)| (id, behind))
            .collect(),
    }
}

/// The pools of an interface, by id in lower case.
fn pools_of(nic: &Json) -> impl Iterator<Item = String> {
    let configurations = items(nic, "properties.ipConfigurations").iter();
    let pools = configurations.flat_map(|c| items(c, "properties.loadBalancerBackendAddressPools"));
    pools.filter_map(|pool| text(pool, "id").map(fields::id))
}

fn machine_of(nic: &Json) -> Option<String> {
    text(nic, "properties.virtualMachine.id").map(fields::id)
}

/// The load balancers in whose pools an interface is, or another one of its machine, by id in lower case.
fn balancers_of(nic: &Json, all: &[Json]) -> BTreeSet<String> {
    let machine = machine_of(nic);
    let others = all.iter().filter(|other| machine.is_some() && machine_of(other) == machine);
    others.chain([nic]).flat_map(pools_of).map(|pool| load_balancer::of_part(&pool)).collect()
}

/// Whether a load balancer has one of the names that the service's own has.
fn is_own(snapshot: &Snapshot<'_>, service: &str, id: &str) -> bool {
    let name = id.rsplit('/').next().unwrap_or_default();
    crate::scope::of_id(id) == snapshot.scope
        && ownership::generation_of(snapshot.deployment, &load_balancer::address(service), name).is_some()
}

/// What is known of a load balancer; nothing where it is not there any more.
fn behind(snapshot: &Snapshot<'_>, id: &str) -> Option<Behind> {
    let known = |balancer: &Json| Behind {
        // Each of its frontends is in a subnet, or has a public address.
        is_internal: Some(
            items(balancer, "properties.frontendIPConfigurations")
                .iter()
                .any(|frontend| network_of(frontend).is_some()),
        ),
        made_for: made_for(snapshot.deployment, balancer),
    };
    let has_id = |balancer: &&Json| text(balancer, "id").is_some_and(|there| same_id(there, id));
    match snapshot.further_balancers.get(id) {
        Some(further) => Some(further.as_ref().map(known).unwrap_or_default()),
        None => snapshot.load_balancers.iter().find(has_id).map(known),
    }
}

/// The load balancers of other groups that the interfaces of the file are behind; those of the group itself were read with it.
///
/// # Errors
/// What ARM answered, where that is neither "not there" nor "not yours".
pub(super) async fn read_balancers(
    arm: &Arm,
    context: &Context,
    snapshot: &Snapshot<'_>,
    nics: &[Json],
) -> Result<BTreeMap<String, Option<Json>>, Error> {
    let named: BTreeSet<String> = snapshot.listed.iter().flat_map(|(_, azure)| nics_of(azure)).collect();
    let of_file = nics.iter().filter(|nic| text(nic, "id").is_some_and(|id| named.contains(&fields::id(id))));
    let wanted: BTreeSet<String> = of_file.flat_map(|nic| balancers_of(nic, nics)).collect();
    let elsewhere = wanted.into_iter().filter(|id| crate::scope::of_id(id) != snapshot.scope);
    let reads = elsewhere.map(|id| async move {
        match arm.find(context, &Target::of(&id)).await {
            Err(error) if is_foreign(&error) => Ok(Some((id, None))),
            found => Ok::<_, Error>(found?.map(|balancer| (id, Some(balancer)))),
        }
    });
    Ok(try_join_all(reads).await?.into_iter().flatten().collect())
}
