//! Subnets of NAT addresses: purpose `PRIVATE_SERVICE_CONNECT`, used by one attachment only
//! (<https://cloud.google.com/vpc/docs/about-vpc-hosted-services#psc-subnets>). Nothing of one can be changed in place.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use privnet_core::spec::gcp::{GcpForm, GcpNatSubnet};
use privnet_core::{Address, Applied, Change, Error, Field, Kind, Live, Origin, Replacement, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::act::Act;
use crate::collection::{At, Collection};
use crate::fields::{self, Fields};
use crate::json::{Json, text};
use crate::kinds::service_attachment;
use crate::lower::{Lowering, in_the_network};
use crate::path;
use crate::snapshot::Snapshot;

/// The purpose of such a subnet.
const PURPOSE: &str = "PRIVATE_SERVICE_CONNECT";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NatSubnet {
    pub(crate) network: String,
    pub(crate) cidr: String,
}

pub(crate) const KIND: Kind = Kind {
    name: "nat-subnet",
    title: "NAT subnet",
    fields: &[
        Field::managed("network").on_change(Change::Refuse),
        Field::managed("cidr").on_change(Change::Refuse).bounding_the_service(),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 60,
    severs: false,
    serialized_by: &[],
    telling: &[],
};

/// The name in addresses of a subnet with this range.
pub(crate) fn name_of(cidr: &Ipv4Net) -> String {
    cidr.to_string().replace('/', "-")
}

/// The addresses of a service's NAT subnets.
pub(crate) fn addresses(lowering: &Lowering<'_>) -> Vec<Address> {
    let subnets =
        lowering.attachment().map(|(attachment, _)| attachment.nat_subnets.as_slice()).unwrap_or_default();
    let name = |subnet: &GcpNatSubnet| match subnet {
        GcpNatSubnet::Create { cidr } => name_of(cidr),
        GcpNatSubnet::Existing(name) => name.to_string(),
    };
    subnets.iter().map(|subnet| lowering.address(KIND.name, name(subnet))).collect()
}

/// The ranges of a service's NAT subnets, as far as they are known: those of the file, and those that its attachment has besides. No subnet
/// can be taken from an attachment, so whoever has an address of one goes on coming from there.
pub(crate) fn ranges(lowering: &Lowering<'_>) -> BTreeSet<String> {
    let subnets =
        lowering.attachment().map(|(attachment, _)| attachment.nat_subnets.as_slice()).unwrap_or_default();
    let range = |subnet: &GcpNatSubnet| match subnet {
        GcpNatSubnet::Create { cidr } => Some(cidr.to_string()),
        GcpNatSubnet::Existing(name) => Some(lowering.facts.subnets.get(name.as_str())?.cidr.clone()),
    };
    subnets.iter().filter_map(range).chain(attached(lowering)).collect()
}

/// The ranges of the subnets that the service's attachment has.
fn attached(lowering: &Lowering<'_>) -> Vec<String> {
    let attachment = lowering.address(service_attachment::KIND.name, "main");
    let there = lowering.world.at(&attachment).and_then(|live| live.fields.get("nat_subnets")?.as_list());
    let paths: BTreeSet<&str> = there.unwrap_or_default().iter().filter_map(Value::as_text).collect();
    let known = lowering.facts.subnets.values().filter(|subnet| paths.contains(subnet.path.as_str()));
    known.map(|subnet| subnet.cidr.clone()).collect()
}

pub(crate) fn lower(lowering: &mut Lowering<'_>) {
    let Some((attachment, network)) = lowering.attachment() else { return };
    let network = lowering.network(network);
    let subnets = attachment.nat_subnets.clone();
    let to = in_the_network(&network);
    for (address, subnet) in addresses(lowering).into_iter().zip(subnets) {
        match subnet {
            GcpNatSubnet::Create { cidr } => {
                let typed = NatSubnet { network: network.clone(), cidr: cidr.to_string() };
                lowering.want(address, to.clone(), fields::of(&typed), BTreeSet::new());
            }
            GcpNatSubnet::Existing(_) => {
                lowering.want(address, Origin::Supplied, Fields::new(), BTreeSet::new());
            }
        }
    }
}

pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let mut live = super::live_of(
        snapshot,
        Collection::Subnetworks,
        &KIND,
        |json| fields::of(&read(json)),
        |_| Fields::new(),
    );
    for (service, gcp) in &snapshot.services {
        let attachment = match &gcp.form {
            GcpForm::Made(made) => &made.attachment,
            GcpForm::OnForwardingRule(on) => &on.attachment,
            GcpForm::ServiceAttachment { .. } | GcpForm::Removed => continue,
        };
        for subnet in &attachment.nat_subnets {
            let GcpNatSubnet::Existing(name) = subnet else { continue };
            if let Some(json) = snapshot.by_name(Collection::Subnetworks, name.as_str()) {
                let address = Address::new(service.name.as_str(), KIND.name, name.as_str());
                live.push(super::supplied(snapshot, address, json, fields::of(&read(json))));
            }
        }
    }
    live
}

fn read(json: &Json) -> NatSubnet {
    NatSubnet {
        network: text(json, "network").map(path::of).unwrap_or_default(),
        cidr: text(json, "ipCidrRange").unwrap_or_default().to_owned(),
    }
}

pub(crate) async fn create(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: NatSubnet = fields::typed(KIND.name, act.step.fields)?;
    let host = path::after(&wanted.network, "projects").unwrap_or_default().to_owned();
    let at = At { project: host, ..act.new_regional(Collection::Subnetworks) };
    let body = json!({ "name": at.name, "description": act.marker_in(&at.project), "network": wanted.network,
        "ipCidrRange": wanted.cidr, "purpose": PURPOSE });
    Ok(super::applied(&act.create(&at, &body).await?))
}

pub(crate) async fn update(act: &Act<'_>) -> Result<Applied, Error> {
    let at = act.there(Collection::Subnetworks)?;
    Ok(super::applied(&act.read(&at).await?))
}
