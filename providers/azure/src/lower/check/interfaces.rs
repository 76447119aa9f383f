//! The interfaces that ports lead to: where they are, and behind what they are already.

use std::collections::BTreeSet;

use privnet_core::spec::azure::{AzureForm, AzureMade, AzureTarget};
use privnet_core::spec::azure_ids::ArmId;
use privnet_core::spec::{CloudService, Service};

use super::super::Lowering;
use crate::facts::{self, Behind, Nic};
use crate::kinds::{load_balancer, nic_membership};
use crate::snapshot::nics_of;

/// Looks for interfaces that cannot be in the service's pools.
pub(super) fn all(lowering: &mut Lowering<'_>, made: &AzureMade) {
    let mut reached: BTreeSet<(String, u16)> = BTreeSet::new();
    for port in &made.ports {
        let AzureTarget::Nics(nics) = &port.to else { continue };
        for nic in nics {
            let pool = load_balancer::port_name(port.listen.get());
            let address = nic_membership::address(lowering.name(), &pool, &nic.to_string());
            if !reached.insert((nic.key(), port.port.get())) {
                let why = format!(
                    "two ports lead to port {} of {nic}: Azure's load balancer allows one rule for each port of a machine",
                    port.port
                );
                lowering.refuse(&address, why);
            }
            let why = match lowering.facts.nics.get(&nic.key()) {
                None => format!("the network interface {nic} is not there, or may not be read"),
                Some(seen) if seen.location != made.scope.location.as_str() => {
                    format!(
                        "the network interface {nic} is in {}, not in {}",
                        seen.location, made.scope.location
                    )
                }
                Some(seen) if seen.vnet.as_ref().is_some_and(|vnet| *vnet != made.scope.vnet.key()) => {
                    format!(
                        "the network interface {nic} is in the virtual network {}, not in {}: all members of a pool are in the load \
                     balancer's network",
                        seen.vnet.as_deref().unwrap_or_default(),
                        made.scope.vnet
                    )
                }
                Some(seen) if seen.is_public => format!(
                    "the network interface {nic} has a public address: take it away, or name another interface"
                ),
                Some(seen) => match in_another(lowering, made, nic, seen) {
                    Some(why) => why,
                    None => continue,
                },
            };
            lowering.refuse(&address, why);
        }
    }
}

/// What Azure says of an interface behind two.
const ONE_ONLY: &str = "and Azure takes a machine and its interfaces behind one internal load balancer only (AnotherInternalLoadBalancerExists)";

/// Why an interface cannot join, where it is behind another internal load balancer, or another service of the file wants it too. One that
/// is in a pool of the service already was let in by Azure
/// (<https://learn.microsoft.com/troubleshoot/azure/load-balancer/load-balancer-common-deployment-errors>).
fn in_another(lowering: &mut Lowering<'_>, made: &AzureMade, nic: &ArmId, seen: &Nic) -> Option<String> {
    if is_in_own_pool(lowering, seen) {
        return None;
    }
    for (balancer, behind) in &seen.behind {
        if behind.is_internal.is_none() {
            lowering.warn(format!(
                "the network interface {nic}, or another one of its machine, is behind the load balancer {balancer}, which may not be read: \
                 if it is an internal one, Azure refuses {nic} (AnotherInternalLoadBalancerExists)"
            ));
        }
    }
    // Who takes it out of the other pool, where the file leaves that to the user, is told so with what is waited for.
    let internal = seen.behind.iter().find(|(_, behind)| behind.is_internal == Some(true));
    if let Some((balancer, behind)) = internal.filter(|_| made.join_nics) {
        return Some(format!(
            "the network interface {nic}, or another one of its machine, is behind the internal load balancer {balancer} already, \
             {ONE_ONLY}: {}",
            way_out(balancer, behind)
        ));
    }
    let other = made.join_nics.then(|| earlier_with(lowering, &nic.key(), seen))??;
    Some(format!(
        "the service `{other}` leads to the network interface {nic} too, or to another one of its machine; each service has a load \
         balancer of its own, {ONE_ONLY}: give one service the ports of both"
    ))
}

/// What helps.
fn way_out(balancer: &str, behind: &Behind) -> String {
    match &behind.made_for {
        Some(service) => format!(
            "privnet made that one for the service `{service}`: give that service this port too, or let it leave the interface first"
        ),
        None => format!(
            "take it out of that one's pools (`az network nic ip-config address-pool remove`), or put the service before that load \
             balancer: `existing: {{ load_balancer_frontend: {balancer}/frontendIPConfigurations/<NAME> }}`"
        ),
    }
}

/// Whether it is in a pool of the service's own load balancer.
fn is_in_own_pool(lowering: &Lowering<'_>, seen: &Nic) -> bool {
    let mut own = lowering.live_of(load_balancer::KIND.name).filter(|live| live.is_ours());
    own.any(|live| seen.pools.iter().any(|pool| load_balancer::of_part(pool).eq_ignore_ascii_case(&live.id)))
}

/// A service that stands before this one in the file and wants the same interface, or another one of the same machine.
fn earlier_with(lowering: &Lowering<'_>, nic: &str, seen: &Nic) -> Option<String> {
    let earlier =
        lowering.spec.services.iter().take_while(|service| service.name.as_str() != lowering.name());
    let wants = |service: &&Service| {
        let CloudService::Azure(azure) = &service.cloud else { return false };
        if service.remove || !matches!(azure.form, AzureForm::Made(_)) {
            return false;
        }
        let theirs = nics_of(azure);
        theirs.contains(nic)
            || seen.machine.is_some() && {
                let of = |nic: &String| facts::machine_of(lowering.world, service.name.as_str(), nic);
                theirs.iter().any(|nic| of(nic) == seen.machine.as_deref())
            }
    };
    earlier.into_iter().find(wants).map(|service| service.name.to_string())
}
