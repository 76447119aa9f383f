//! A group of forwarder machines in one subnet: a scale set whose interfaces forward IP and have no public address.
//!
//! A change makes a new group, waits until the load balancer calls it healthy, drains the old one and deletes it; the cloud's own
//! rollouts are never used. Machines have no identity and no login: ARM insists on a key for the administrator, so one is
//! drawn whose private half nobody ever had.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::spec::Zones;
use privnet_core::{
    Address, Change, Field, Kind, Live, Origin, Ownership, Replacement, Shape, Traffic, Value,
};
use privnet_forwarder::CloudLimit;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{health, load_balancer, network_security_group, outputs};
use crate::arm::{Json, at, items, set, text, text_map, texts};
use crate::lower::Lowering;
use crate::snapshot::Snapshot;
use crate::{facts, fields, image, ownership};

mod change;
mod handover;

pub(crate) use self::change::{create, delete, update};
pub(crate) use self::handover::{balancer_of, health_calls, healthy};

/// What the machines run is not returned by ARM: its fingerprint stands in this tag.
const FORWARDER_TAG: &str = "privnet:forwarder";
/// How long an old group keeps established sessions, for the run that deletes it.
const DRAIN_TAG: &str = "privnet:drain";

/// A group of forwarders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScaleSet {
    pub(crate) location: String,
    /// The load balancer of the pool, by id in lower case: nobody else writes to it meanwhile.
    pub(crate) load_balancer: Value,
    /// The subnet, by id in lower case.
    pub(crate) subnet: String,
    /// The zones that the file asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) zones: Vec<String>,
    /// The zones where the file says all, when it is made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) all_zones: Vec<String>,
    /// How many machines.
    pub(crate) count: i64,
    /// The machines' size.
    pub(crate) size: String,
    /// The machines' image: `publisher:offer:sku:version`, or a resource id in lower case.
    pub(crate) image: String,
    /// The fingerprint of what they run.
    pub(crate) forwarder: String,
    /// Whether their interfaces pass on what is not addressed to them: without it nothing is forwarded.
    pub(crate) ip_forwarding: bool,
    /// Whether they have public addresses.
    pub(crate) public_address: bool,
    /// Their network security group, by id in lower case.
    pub(crate) security_group: Value,
    /// Their pool, by id in lower case.
    pub(crate) pool: Value,
    /// Seconds that established sessions are kept when the group goes.
    pub(crate) drain: i64,
    /// Whether the load balancer sends it no new connections.
    pub(crate) draining: bool,
    /// What they run, when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) custom_data: Option<String>,
    /// The user's tags.
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
}

/// Its table.
pub(crate) const KIND: Kind = Kind {
    name: "scale-set",
    title: "group of forwarders",
    fields: &[
        Field::managed("location").on_change(Change::Replace).shaped(Shape::IgnoreCase),
        Field::telling("load_balancer", Traffic::GoesNowhere),
        Field::managed("subnet").on_change(Change::Replace).shaped(Shape::IgnoreCase),
        Field::if_set("zones").on_change(Change::Replace).shaped(Shape::Set),
        Field::observed("all_zones"),
        Field::managed("count").on_change(Change::Replace),
        Field::managed("size").on_change(Change::Replace).shaped(Shape::IgnoreCase),
        Field::managed("image").on_change(Change::Replace).shaped(Shape::IgnoreCase),
        Field::managed("forwarder").on_change(Change::Replace).naming_targets(),
        Field::managed("ip_forwarding").on_change(Change::Replace),
        Field::managed("public_address").on_change(Change::Replace),
        Field::managed("security_group").on_change(Change::Replace).shaped(Shape::IgnoreCase),
        Field::managed("pool").on_change(Change::Replace).shaped(Shape::IgnoreCase).without_traffic(),
        Field::managed("drain"),
        Field::managed("draining"),
        Field::telling("serves", Traffic::Serves),
        Field::telling("since", Traffic::Since),
        Field::observed("custom_data"),
        Field::managed("tags"),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 2,
    severs: true,
    serialized_by: &["load_balancer"],
    telling: &[],
};

/// Its address: one for each subnet.
pub(crate) fn address(service: &str, subnet: &str) -> Address {
    Address::new(service, KIND.name, subnet.to_lowercase())
}

/// What a service wants.
pub(crate) fn lower(lowering: &mut Lowering<'_>) {
    let Some(made) = lowering.made() else { return };
    let Some(forwarder) = &made.forwarder else { return };
    let rendered = match lowering.rendered() {
        Some(Ok(rendered)) => rendered,
        Some(Err(why)) => return lowering.refuse(&address(lowering.name(), "main"), why),
        None => return,
    };
    let user_data = match rendered.user_data(CloudLimit::Azure) {
        Ok(user_data) => user_data.to_owned(),
        Err(why) => return lowering.refuse(&address(lowering.name(), "main"), why.to_string()),
    };
    let groups = u32::try_from(forwarder.subnets.len().max(1)).unwrap_or(1);
    for (index, subnet) in (0..).zip(&forwarder.subnets) {
        let (zones, all_zones) = match &forwarder.zones {
            Zones::All => {
                let all = lowering.zones_for(&address(lowering.name(), subnet.name()), "all_zones");
                (Vec::new(), all.unwrap_or_default())
            }
            Zones::These(zones) => (zones.iter().map(ToString::to_string).collect(), Vec::new()),
        };
        let count = forwarder.count.get() / groups + u32::from(index < forwarder.count.get() % groups);
        let wanted = ScaleSet {
            location: made.scope.location.to_string(),
            load_balancer: load_balancer::id_of(lowering.name()),
            subnet: fields::id(&subnet.to_string()),
            zones,
            all_zones,
            count: count.max(1).into(),
            size: forwarder.size.clone(),
            image: image_name(forwarder.image.as_deref().unwrap_or(image::DEFAULT)),
            forwarder: rendered.fingerprint.clone(),
            ip_forwarding: true,
            public_address: false,
            security_group: network_security_group::id_of(lowering.name()),
            pool: load_balancer::pool_of(lowering.name(), load_balancer::FORWARDERS),
            drain: forwarder.drain.get().into(),
            draining: false,
            custom_data: Some(user_data.clone()),
            tags: lowering.tags(),
        };
        lowering.want(
            address(lowering.name(), subnet.name()),
            Origin::Owned,
            fields::of(&wanted),
            BTreeSet::new(),
        );
    }
}

/// An image in the one form in which plans compare it.
fn image_name(image: &str) -> String {
    if image.starts_with('/') { fields::id(image) } else { image.to_owned() }
}

/// What is there.
pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let of = |set: &Json| {
        let claim = snapshot.claim(set, KIND.name)?;
        let id = text(set, "id")?;
        let mut read = read(set);
        let pool = fields::resolved(&read.pool);
        read.draining =
            snapshot.load_balancers.iter().any(|balancer| handover::is_drained(balancer, pool, id));
        let mut fields = fields::of(&read);
        let answers = snapshot.answering.contains(&fields::id(id));
        fields.extend(traffic(set, read.draining, answers));
        Some(Live {
            address: claim.address,
            generation: Some(claim.generation),
            scope: snapshot.scope.clone(),
            id: id.to_owned(),
            ownership: claim.ownership,
            fields,
            outputs: outputs([("id", fields::id(id))]),
            health: health(set),
        })
    };
    snapshot.scale_sets.iter().filter_map(of).collect()
}

/// When a group was made: `timeCreated` of the properties
/// (Azure/azure-rest-api-specs, `ComputeRP/stable/2024-11-01/virtualMachineScaleSet.json`, `VirtualMachineScaleSetProperties`).
fn made(set: &Json) -> Option<jiff::Timestamp> {
    text(set, "properties.timeCreated")?.parse().ok()
}

/// How well a group serves: not at all once it is drained, better where a machine of it is known to answer; and when it was made.
fn traffic(set: &Json, draining: bool, answers: bool) -> fields::Fields {
    let since = made(set).map(jiff::Timestamp::as_millisecond).into();
    let serves = Value::Int(if draining { 0 } else { 1 + i64::from(answers) });
    fields::Fields::from([("serves".to_owned(), serves), ("since".to_owned(), since)])
}

/// The pools of groups of one address that are beside each other, each with the ids of these groups in lower case: a run that was cut short
/// left two, and a plan wants to know which of them answers.
pub(crate) fn doubled(snapshot: &Snapshot<'_>) -> BTreeMap<String, BTreeSet<String>> {
    let mut by_address: BTreeMap<Address, BTreeMap<String, String>> = BTreeMap::new();
    for set in &snapshot.scale_sets {
        let claim = snapshot.claim(set, KIND.name).filter(|claim| claim.ownership == Ownership::Ours);
        let (Some(claim), Some(id)) = (claim, text(set, "id")) else { continue };
        let pool = fields::resolved(&read(set).pool).to_owned();
        by_address.entry(claim.address).or_default().insert(fields::id(id), pool);
    }
    let mut doubled: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (id, pool) in by_address.into_values().filter(|groups| groups.len() > 1).flatten() {
        doubled.entry(pool).or_default().insert(id);
    }
    doubled
}

const PROFILE: &str = "properties.virtualMachineProfile";

fn read(group: &Json) -> ScaleSet {
    let profile = at(group, PROFILE).unwrap_or(&Json::Null);
    let nics = items(profile, "networkProfile.networkInterfaceConfigurations");
    let nic = nics.first().unwrap_or(&Json::Null);
    let configurations = items(nic, "properties.ipConfigurations");
    let configuration = configurations.first().unwrap_or(&Json::Null);
    let id_at = |json: &Json, path: &str| text(json, path).map(fields::id).unwrap_or_default();
    let subnet = id_at(configuration, "properties.subnet.id");
    let pools = items(configuration, "properties.loadBalancerBackendAddressPools");
    let pool = pools.first().map(|pool| id_at(pool, "id")).unwrap_or_default();
    let image = at(profile, "storageProfile.imageReference").unwrap_or(&Json::Null);
    let image = match text(image, "id") {
        Some(id) => fields::id(id),
        None => ["publisher", "offer", "sku", "version"]
            .map(|part| text(image, part).unwrap_or_default())
            .join(":"),
    };
    let tags = text_map(group, "tags");
    let zones = texts(group, "zones");
    ScaleSet {
        location: facts::short_location(text(group, "location").unwrap_or_default()),
        load_balancer: Value::text(load_balancer::of_part(&pool)),
        subnet,
        all_zones: zones.clone(),
        zones,
        count: at(group, "sku.capacity").and_then(Json::as_i64).unwrap_or_default(),
        size: text(group, "sku.name").unwrap_or_default().to_owned(),
        image,
        forwarder: ownership::get(&tags, FORWARDER_TAG).unwrap_or_default().to_owned(),
        ip_forwarding: at(nic, "properties.enableIPForwarding").and_then(Json::as_bool).unwrap_or(false),
        public_address: nics.iter().any(|nic| {
            let has =
                |c: &Json| at(c, "properties.publicIPAddressConfiguration").is_some_and(|p| !p.is_null());
            items(nic, "properties.ipConfigurations").iter().any(has)
        }),
        security_group: Value::text(id_at(nic, "properties.networkSecurityGroup.id")),
        pool: Value::text(pool),
        drain: ownership::get(&tags, DRAIN_TAG).and_then(|drain| drain.parse().ok()).unwrap_or_default(),
        draining: false,
        custom_data: None,
        tags: ownership::managed_tags(&tags),
    }
}

fn body(wanted: &ScaleSet) -> Json {
    let zones = if wanted.zones.is_empty() { &wanted.all_zones } else { &wanted.zones };
    let custom_data = wanted.custom_data.as_deref().unwrap_or_default();
    let image = match wanted.image.split(':').collect::<Vec<_>>().as_slice() {
        [publisher, offer, sku, version] => {
            json!({"publisher": publisher, "offer": offer, "sku": sku, "version": version})
        }
        _ => json!({"id": wanted.image}),
    };
    let user = "privnet";
    let key = json!({"path": format!("/home/{user}/.ssh/authorized_keys"), "keyData": nobodys_key()});
    let configuration = json!({"name": "ip", "properties": {
        "primary": true, "subnet": {"id": wanted.subnet},
        "loadBalancerBackendAddressPools": [{"id": fields::resolved(&wanted.pool)}]}});
    let nic = json!({"name": "nic", "properties": {
        "primary": true, "enableIPForwarding": wanted.ip_forwarding,
        "networkSecurityGroup": {"id": fields::resolved(&wanted.security_group)}, "ipConfigurations": [configuration]}});
    let mut body = json!({
        "location": wanted.location,
        "sku": {"name": wanted.size, "tier": "Standard", "capacity": wanted.count},
        "properties": {
            "orchestrationMode": "Uniform", "overprovision": false, "upgradePolicy": {"mode": "Manual"},
            "virtualMachineProfile": {
                "osProfile": {
                    "computerNamePrefix": "pn-fwd", "adminUsername": user,
                    "customData": azure_core::base64::encode(custom_data),
                    "linuxConfiguration": {"disablePasswordAuthentication": true, "ssh": {"publicKeys": [key]}}},
                "storageProfile": {
                    "imageReference": image,
                    "osDisk": {"createOption": "FromImage", "managedDisk": {"storageAccountType": "StandardSSD_LRS"}}},
                "networkProfile": {"networkInterfaceConfigurations": [nic]}}}});
    if !zones.is_empty() {
        set(&mut body, "zones", json!(zones));
    }
    body
}

/// An Ed25519 public key in OpenSSH's form (RFC 8709) of random bytes: there is no private half.
fn nobodys_key() -> String {
    let mut blob = Vec::with_capacity(51);
    for part in [&b"ssh-ed25519"[..], &rand::random::<[u8; 32]>()] {
        blob.extend(u32::try_from(part.len()).unwrap_or_default().to_be_bytes());
        blob.extend(part);
    }
    format!("ssh-ed25519 {} nobody", azure_core::base64::encode(blob))
}

/// The group's tags besides those that every resource has.
fn own_tags(wanted: &ScaleSet) -> BTreeMap<String, String> {
    BTreeMap::from([
        (FORWARDER_TAG.to_owned(), wanted.forwarder.clone()),
        (DRAIN_TAG.to_owned(), wanted.drain.to_string()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arm::merge_text_map;

    fn wanted() -> ScaleSet {
        ScaleSet {
            location: "eastus2".to_owned(),
            load_balancer: Value::text("/lb"),
            subnet: "/v/subnets/fwd".to_owned(),
            zones: vec!["1".to_owned(), "2".to_owned()],
            all_zones: Vec::new(),
            count: 2,
            size: "Standard_D2s_v5".to_owned(),
            image: image::DEFAULT.to_owned(),
            forwarder: "0123456789abcdef".to_owned(),
            ip_forwarding: true,
            public_address: false,
            security_group: Value::text("/nsg"),
            pool: Value::text("/lb/backendaddresspools/forwarder"),
            drain: 300,
            draining: false,
            custom_data: Some("#cloud-config".to_owned()),
            tags: BTreeMap::new(),
        }
    }

    #[test]
    fn reads_back_what_it_writes() {
        let wanted = wanted();
        let mut made = body(&wanted);
        set(&mut made, "tags", merge_text_map(&own_tags(&wanted)));
        let expected = ScaleSet { custom_data: None, all_zones: wanted.zones.clone(), ..wanted.clone() };
        assert_eq!(read(&made), expected);
        assert_eq!(fields::typed::<ScaleSet>("k", &fields::of(&wanted)).unwrap(), wanted);
        assert!(fields::of(&wanted).keys().all(|name| KIND.field(name).is_some()));
    }

    #[test]
    fn machines_forward_and_have_no_public_address_and_no_login() {
        let made = body(&wanted());
        let text = made.to_string();
        assert!(text.contains("\"enableIPForwarding\":true") && !text.to_lowercase().contains("publicip"));
        assert_eq!(
            made["properties"]["virtualMachineProfile"]["osProfile"]["linuxConfiguration"]["disablePasswordAuthentication"],
            true
        );
        let (one, two) = (nobodys_key(), nobodys_key());
        assert_ne!(one, two);
        let blob = azure_core::base64::decode(one.split(' ').nth(1).unwrap()).unwrap();
        assert_eq!((blob.len(), &blob[4..15]), (51, &b"ssh-ed25519"[..]));
    }
}
