//! What carries a security group of ours and is somebody else's: AWS keeps the group for as long as that does
//! (<https://docs.aws.amazon.com/vpc/latest/userguide/deleting-security-groups.html>).

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::NetworkInterface;
use privnet_core::{Address, Generation, Ownership, Step};

use super::{BALANCER, USED};
use crate::kinds::LOAD_BALANCER;
use crate::observe::Snapshot;
use crate::ownership;

/// How the description of a load balancer's interface begins: `ELB net/NAME/ID`
/// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/network-load-balancers.html>).
const OF_BALANCER: &str = "ELB ";

/// The groups of ours that a load balancer carries which is not this deployment's, and why they stay, in words.
pub(super) fn carried(snapshot: &Snapshot<'_>) -> BTreeMap<String, String> {
    let ours: BTreeSet<&str> = snapshot
        .balancing
        .load_balancers
        .iter()
        .filter(|one| one.claim.as_ref().is_some_and(|claim| claim.ownership == Ownership::Ours))
        .filter_map(|one| one.described.load_balancer_arn())
        .collect();
    let groups = snapshot.network.groups.iter().filter(|(_, claim)| claim.ownership == Ownership::Ours);
    let carried = groups.filter_map(|(group, _)| {
        let id = group.group_id()?;
        let by = snapshot.balancing.carrying.get(id)?.iter().filter(|arn| !ours.contains(arn.as_str()));
        let by: Vec<&str> = by.map(String::as_str).collect();
        let by = (!by.is_empty()).then(|| by.join(", "))?;
        let why = format!(
            "{USED}: {by} is not this deployment's, so it stays: give it another security group first"
        );
        Some((id.to_owned(), why))
    });
    carried.collect()
}

/// The interfaces that are surely not of this deployment's load balancer of the service nor, for its machines' group, of a machine: these
/// go by themselves.
pub(super) fn of_others(interfaces: &[NetworkInterface], step: &Step<'_>) -> Vec<String> {
    let Address { service, name, .. } = &step.action.address;
    let balancer = Address::new(service, LOAD_BALANCER, "main");
    let own = [Generation::A, Generation::B].map(|generation| {
        format!("{OF_BALANCER}net/{}/", ownership::cloud_name(step.deployment, &balancer, generation))
    });
    let is_others = |interface: &&NetworkInterface| {
        let description = interface.description().unwrap_or_default();
        let is_own = own.iter().any(|own| description.starts_with(own));
        !is_own && (name == BALANCER || description.starts_with(OF_BALANCER))
    };
    let told = interfaces.iter().filter(is_others).filter_map(|interface| {
        let id = interface.network_interface_id()?;
        let of = interface.attachment().and_then(|attachment| attachment.instance_id());
        let of = interface.description().filter(|text| !text.is_empty()).or(of);
        Some(of.map_or_else(|| id.to_owned(), |of| format!("{id} ({of})")))
    });
    told.collect()
}
