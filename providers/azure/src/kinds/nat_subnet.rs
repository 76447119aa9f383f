//! The subnet of a private link service's NAT addresses, made in the user's virtual network.
//!
//! Subnets have no tags: the derived name, which has a hash of deployment and service in it, is the proof.

use std::collections::BTreeSet;

use privnet_core::spec::azure::AzureNatSubnet;
use privnet_core::{
    Address, Applied, Change, Error, ErrorKind, Field, Health, Kind, Live, Origin, Ownership, Replacement,
    Shape, Value,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{applied, health, outputs};
use crate::act::Act;
use crate::arm::{Json, Target, Write, items, set, text, texts};
use crate::lower::Lowering;
use crate::snapshot::Snapshot;
use crate::{fields, ownership};

/// A NAT subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NatSubnet {
    /// The virtual network, by id in lower case.
    pub(crate) vnet: String,
    /// Its range.
    pub(crate) cidr: String,
    /// Network policies for private link services: `Disabled`, else no NAT address can be taken
    /// (<https://learn.microsoft.com/azure/private-link/disable-private-link-service-network-policy>).
    pub(crate) policy: String,
}

/// Its table.
pub(crate) const KIND: Kind = Kind {
    name: "nat-subnet",
    title: "NAT subnet",
    fields: &[
        Field::managed("vnet").on_change(Change::Refuse).shaped(Shape::IgnoreCase),
        Field::managed("cidr").on_change(Change::Refuse).bounding_the_service(),
        Field::managed("policy").shaped(Shape::IgnoreCase),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 1,
    severs: true,
    serialized_by: &["vnet"],
    telling: &[],
};

/// Its address.
pub(crate) fn address(service: &str) -> Address {
    Address::new(service, KIND.name, "main")
}

/// What a service wants.
pub(crate) fn lower(lowering: &mut Lowering<'_>) {
    let Some(link) = lowering.link() else { return };
    let AzureNatSubnet::Create { cidr } = &link.nat_subnet else { return };
    let Some(scope) = lowering.place() else { return };
    let vnet = &scope.vnet;
    let wanted = NatSubnet {
        vnet: fields::id(&vnet.to_string()),
        cidr: cidr.to_string(),
        policy: "Disabled".to_owned(),
    };
    let origin = Origin::AddedTo { to: format!("the virtual network {} ({vnet})", vnet.name()) };
    lowering.want(address(lowering.name()), origin, fields::of(&wanted), BTreeSet::new());
}

/// What is there.
pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let mut found = Vec::new();
    for vnet in &snapshot.vnets {
        let vnet_id = fields::id(text(vnet, "id").unwrap_or_default());
        for subnet in items(vnet, "properties.subnets") {
            let (Some(name), Some(id)) = (text(subnet, "name"), text(subnet, "id")) else { continue };
            // One that is used has the rest of its service beside it, maybe where nobody looks now.
            let named = snapshot.unlisted_in(name).filter(|_| !is_used(subnet));
            let services: BTreeSet<&str> = snapshot.known_services().chain(named.as_deref()).collect();
            for service in services {
                let address = address(service);
                let Some(generation) = ownership::generation_of(snapshot.deployment, &address, name) else {
                    continue;
                };
                found.push(Live {
                    address,
                    generation: Some(generation),
                    scope: snapshot.scope.clone(),
                    id: id.to_owned(),
                    ownership: Ownership::Ours,
                    fields: fields::of(&read(&vnet_id, subnet)),
                    outputs: outputs([("id", fields::id(id))]),
                    health: health(subnet),
                });
            }
        }
    }
    found
}

/// Whether something has an address of it.
fn is_used(subnet: &Json) -> bool {
    ["properties.ipConfigurations", "properties.privateLinkServices"]
        .iter()
        .any(|users| !items(subnet, users).is_empty())
}

fn read(vnet: &str, subnet: &Json) -> NatSubnet {
    let listed = texts(subnet, "properties.addressPrefixes");
    let cidr =
        text(subnet, "properties.addressPrefix").map(str::to_owned).unwrap_or_else(|| listed.join(","));
    let policy = text(subnet, "properties.privateLinkServiceNetworkPolicies").unwrap_or("Enabled").to_owned();
    NatSubnet { vnet: vnet.to_owned(), cidr, policy }
}

/// Makes or changes it.
pub(crate) async fn write(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: NatSubnet = fields::typed(KIND.name, act.step.fields)?;
    let id = match &act.step.action.live_id {
        Some(id) => id.clone(),
        None => format!("{}/subnets/{}", wanted.vnet, act.name()),
    };
    let target = Target::of(&id);
    let build = |there: Option<&Json>| {
        let mut body = there.cloned().unwrap_or_else(|| json!({}));
        match text(&body, "properties.addressPrefix") {
            // Its name is the proof; its range cannot be another one's.
            Some(cidr) if cidr != wanted.cidr => {
                let message = format!("the subnet has the range {cidr}, not {}", wanted.cidr);
                return Err(act.error(ErrorKind::Conflict, message));
            }
            Some(_) => {}
            None if there.is_none() => set(&mut body, "properties.addressPrefix", json!(wanted.cidr)),
            None => {}
        }
        set(&mut body, "properties.privateLinkServiceNetworkPolicies", json!(wanted.policy));
        let broken = there.is_some_and(|there| matches!(health(there), Health::Broken { .. }));
        Ok(if there == Some(&body) && !broken { Write::Keep } else { Write::Put(body) })
    };
    // What has a derived name is ours, so that a new one needs no look before.
    let made = match act.step.action.live_id {
        Some(_) => act.arm.write(act.context, &target, &build).await?,
        None => act.arm.make(act.context, &target, &build).await?,
    };
    act.until_listed(&target, true).await?;
    let id = fields::id(text(&made, "id").unwrap_or(&id));
    Ok(applied(outputs([("id", id)])))
}

/// Deletes it.
pub(crate) async fn delete(act: &Act<'_>) -> Result<Applied, Error> {
    let target = Target::of(act.live_id()?);
    act.arm.delete(act.context, &target).await?;
    act.until_listed(&target, false).await?;
    Ok(Applied::default())
}

/// A reference to the NAT subnet that a service makes.
pub(crate) fn id_of(service: &str) -> Value {
    Value::output(&address(service), "id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes() {
        let subnet = json!({"properties": {"addressPrefixes": ["10.1.9.0/28"], "privateLinkServiceNetworkPolicies": "Disabled"}});
        let read = read("/v", &subnet);
        assert_eq!(read.cidr, "10.1.9.0/28");
        assert_eq!(fields::typed::<NatSubnet>("k", &fields::of(&read)).unwrap(), read);
        assert!(fields::of(&read).keys().all(|name| KIND.field(name).is_some()));
    }
}
