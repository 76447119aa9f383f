//! The private link service: what consumers' private endpoints connect to
//! (<https://learn.microsoft.com/azure/private-link/private-link-service-overview>).
//!
//! Visibility, auto-approval and access mode are always written: their defaults are disputed.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::accept::ConnectionState;
use privnet_core::spec::azure::{AzureAccessMode, AzureNatSubnet};
use privnet_core::{
    Address, Applied, Change, Error, ErrorKind, Field, Kind, Live, Origin, Ownership, Replacement, Shape,
    Value,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{applied, health, load_balancer, nat_subnet, outputs};
use crate::act::Act;
use crate::arm::{Json, Target, at, items, set, text, text_map, texts};
use crate::fields::Fields;
use crate::lower::Lowering;
use crate::snapshot::Snapshot;
use crate::{connection, facts, fields, ownership};

/// A private link service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PrivateLinkService {
    /// Its location.
    pub(crate) location: String,
    /// The virtual network of its NAT addresses, by id in lower case.
    pub(crate) vnet: String,
    /// The load balancer of its frontend, by id in lower case.
    pub(crate) load_balancer: Value,
    /// The frontend that it stands before, by id in lower case.
    pub(crate) frontend: Value,
    /// The subnet of its NAT addresses, by id in lower case.
    pub(crate) nat_subnet: Value,
    /// How many NAT addresses.
    pub(crate) nat_addresses: i64,
    /// The subscriptions that may ask, in lower case.
    #[serde(default)]
    pub(crate) visibility: Vec<String>,
    /// The subscriptions that are let in by the cloud, in lower case.
    #[serde(default)]
    pub(crate) auto_approval: Vec<String>,
    /// `Restricted`: the visibility list limits access. `Default`: it does not.
    pub(crate) access_mode: String,
    /// Whether the PROXY v2 header is sent to targets.
    pub(crate) proxy_protocol: bool,
    /// Names that consumers may use for it.
    #[serde(default)]
    pub(crate) fqdns: Vec<String>,
    /// The user's tags.
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
}

/// Its table. What a private link service was made with it keeps: another frontend or NAT subnet is another service, with
/// another id and alias.
pub(crate) const KIND: Kind = Kind {
    name: "private-link-service",
    title: "private link service",
    fields: &[
        Field::managed("location").on_change(Change::Refuse).shaped(Shape::IgnoreCase),
        Field::observed("vnet"),
        Field::observed("load_balancer"),
        Field::managed("frontend").on_change(Change::Refuse).shaped(Shape::IgnoreCase).naming_targets(),
        Field::managed("nat_subnet")
            .on_change(Change::Refuse)
            .shaped(Shape::IgnoreCase)
            .bounding_the_service(),
        Field::managed("nat_addresses").on_change(Change::Grow),
        Field::managed("visibility").shaped(Shape::SetIgnoreCase).bounding_the_service(),
        Field::managed("auto_approval").shaped(Shape::SetIgnoreCase),
        Field::managed("access_mode").shaped(Shape::IgnoreCase),
        // Databases that do not expect the header, or wait for it, would take no session any more.
        Field::managed("proxy_protocol").on_change(Change::UpdateUnlessConnected),
        Field::managed("fqdns").shaped(Shape::SetIgnoreCase),
        Field::managed("tags"),
    ],
    // Two cannot be on one frontend at a time, and whoever is connected must make a new endpoint whichever comes first.
    replacement: Replacement::DeleteFirst,
    teardown_rank: 0,
    severs: true,
    serialized_by: &["vnet", "load_balancer"],
    telling: &["alias"],
};

/// Its address.
pub(crate) fn address(service: &str) -> Address {
    Address::new(service, KIND.name, "main")
}

/// What a service wants.
pub(crate) fn lower(lowering: &mut Lowering<'_>) {
    let (Some(link), Some(scope)) = (lowering.link(), lowering.place()) else { return };
    let name = lowering.name();
    let nat_subnet = match &link.nat_subnet {
        AzureNatSubnet::Create { .. } => nat_subnet::id_of(name),
        AzureNatSubnet::Existing(id) => Value::text(fields::id(&id.to_string())),
    };
    let (balancer, frontend) = match lowering.supplied_frontend() {
        Some(id) => (Value::text(load_balancer::of_part(&id.key())), Value::text(id.key())),
        None => (load_balancer::id_of(name), Value::output(&load_balancer::address(name), "frontend")),
    };
    let lists = lowering.lists();
    let wanted = PrivateLinkService {
        location: scope.location.to_string(),
        vnet: fields::id(&scope.vnet.to_string()),
        load_balancer: balancer,
        frontend,
        nat_subnet,
        nat_addresses: link.nat_addresses.into(),
        visibility: lists.visibility.into_iter().collect(),
        auto_approval: lists.auto_approval.into_iter().collect(),
        access_mode: match link.access_mode {
            AzureAccessMode::Restricted => "Restricted".to_owned(),
            AzureAccessMode::Default => "Default".to_owned(),
        },
        proxy_protocol: link.proxy_protocol,
        fqdns: link.fqdns.iter().map(ToString::to_string).collect(),
        tags: lowering.tags(),
    };
    let mut needs = BTreeSet::new();
    if lowering.policy_to_disable().is_some() {
        needs.insert(super::subnet_policy::address(name));
    }
    lowering.want(address(name), Origin::Owned, fields::of(&wanted), needs);
}

/// What is there.
pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let of = |service: &Json| {
        let claim = snapshot.claim(service, KIND.name)?;
        let mut live = live_of(service, claim.address)?;
        live.generation = Some(claim.generation);
        live.ownership = claim.ownership;
        Some(live)
    };
    snapshot.services.iter().filter_map(of).collect()
}

/// One that the user supplied, or the base of one that is ours.
pub(crate) fn live_of(service: &Json, address: Address) -> Option<Live> {
    let id = text(service, "id")?;
    Some(Live {
        address,
        generation: None,
        scope: crate::scope::of_id(id),
        id: id.to_owned(),
        ownership: Ownership::Supplied,
        fields: fields::of(&read(service)),
        outputs: outputs_of(service, id),
        health: health(service),
    })
}

fn outputs_of(service: &Json, id: &str) -> Fields {
    let mut all = outputs([("id", fields::id(id))]);
    if let Some(alias) = text(service, "properties.alias") {
        all.insert("alias".to_owned(), Value::text(alias));
    }
    all
}

pub(crate) fn read(service: &Json) -> PrivateLinkService {
    let configurations = items(service, "properties.ipConfigurations");
    let primary = |c: &&Json| at(c, "properties.primary").and_then(Json::as_bool) == Some(true);
    let nat_subnet = configurations
        .iter()
        .find(primary)
        .or(configurations.first())
        .and_then(|c| text(c, "properties.subnet.id"))
        .map(fields::id)
        .unwrap_or_default();
    let frontends = items(service, "properties.loadBalancerFrontendIpConfigurations");
    let frontend = frontends.first().and_then(|f| text(f, "id")).map(fields::id).unwrap_or_default();
    let lower = |path: &str| texts(service, path).into_iter().map(|text| text.to_lowercase()).collect();
    PrivateLinkService {
        location: facts::short_location(text(service, "location").unwrap_or_default()),
        vnet: nat_subnet.rsplit_once("/subnets/").map(|(vnet, _)| vnet.to_owned()).unwrap_or_default(),
        load_balancer: Value::text(load_balancer::of_part(&frontend)),
        frontend: Value::text(frontend),
        nat_subnet: Value::text(nat_subnet),
        nat_addresses: i64::try_from(configurations.len()).unwrap_or(i64::MAX),
        visibility: lower("properties.visibility.subscriptions"),
        auto_approval: lower("properties.autoApproval.subscriptions"),
        access_mode: text(service, "properties.accessMode").unwrap_or("Default").to_owned(),
        proxy_protocol: at(service, "properties.enableProxyProtocol")
            .and_then(Json::as_bool)
            .unwrap_or(false),
        fqdns: texts(service, "properties.fqdns"),
        tags: ownership::managed_tags(&text_map(service, "tags")),
    }
}

/// The body with its fields as wanted. NAT addresses are only ever added.
fn shape(body: &mut Json, wanted: &PrivateLinkService) {
    let there = read(body);
    if body.get("location").is_none() {
        set(body, "location", json!(wanted.location));
        set(
            body,
            "properties.loadBalancerFrontendIpConfigurations",
            json!([{"id": fields::resolved(&wanted.frontend)}]),
        );
    }
    let mut configurations = items(body, "properties.ipConfigurations").to_vec();
    let used: BTreeSet<String> =
        configurations.iter().filter_map(|c| text(c, "name")).map(str::to_lowercase).collect();
    let wanted_count = usize::try_from(wanted.nat_addresses).unwrap_or(1);
    let free = (1..).map(|n| format!("nat-{n}")).filter(|name| !used.contains(name));
    let missing = wanted_count.saturating_sub(configurations.len());
    for name in free.take(missing) {
        let primary = configurations.is_empty();
        configurations.push(json!({"name": name, "properties": {
            "primary": primary, "privateIPAllocationMethod": "Dynamic", "privateIPAddressVersion": "IPv4",
            "subnet": {"id": fields::resolved(&wanted.nat_subnet)}}}));
    }
    if missing > 0 {
        set(body, "properties.ipConfigurations", json!(configurations));
    }
    let lower_sorted = |list: &[String]| list.iter().map(|text| text.to_lowercase()).collect::<BTreeSet<_>>();
    for (path, old, new) in [
        ("properties.visibility.subscriptions", &there.visibility, &wanted.visibility),
        ("properties.autoApproval.subscriptions", &there.auto_approval, &wanted.auto_approval),
        ("properties.fqdns", &there.fqdns, &wanted.fqdns),
    ] {
        if at(body, path).is_none() || lower_sorted(old) != lower_sorted(new) {
            set(body, path, json!(new));
        }
    }
    set(body, "properties.accessMode", json!(wanted.access_mode));
    set(body, "properties.enableProxyProtocol", json!(wanted.proxy_protocol));
}

/// Makes or changes it.
pub(crate) async fn write(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: PrivateLinkService = fields::typed(KIND.name, act.step.fields)?;
    let id = match &act.step.action.live_id {
        Some(id) => id.clone(),
        None => format!("{}/providers/Microsoft.Network/privateLinkServices/{}", act.group(), act.name()),
    };
    let target = Target::of(&id);
    let build = |body: &mut Json| {
        shape(body, &wanted);
        Ok(())
    };
    let made = act.write(&target, &wanted.tags, &build).await?;
    act.until_listed(&target, true).await?;
    Ok(applied(outputs_of(&made, &id)))
}

/// Deletes it. Connections that were turned away still keep it from going
/// (`PrivateLinkServiceWithPrivateEndpointConnectionsCannotBeDeleted`): they are removed; one that is live or waits is not,
/// since nobody decided on it.
pub(crate) async fn delete(act: &Act<'_>) -> Result<Applied, Error> {
    let target = Target::of(act.live_id()?);
    if let Some(there) = act.arm.find(act.context, &target).await? {
        act.check_ours(&there)?;
        let connections: Vec<_> = items(&there, "properties.privateEndpointConnections")
            .iter()
            .filter_map(connection::parse)
            .collect();
        for open in &connections {
            if !matches!(open.state, ConnectionState::Rejected | ConnectionState::Closed) {
                let message =
                    format!("{} ({}) is {} and was not decided on", open.id, open.who(), open.cloud_state);
                return Err(act.error(ErrorKind::InUse, message).with_hint("run the same command again"));
            }
        }
        for gone in &connections {
            let path = format!("{}/privateEndpointConnections/{}", target.path, gone.handle);
            act.arm.delete(act.context, &Target::of(path)).await?;
        }
    }
    act.delete(&target).await?;
    Ok(Applied::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> PrivateLinkService {
        PrivateLinkService {
            location: "eastus2".to_owned(),
            vnet: "/v".to_owned(),
            load_balancer: Value::text("/lb"),
            frontend: Value::text("/lb/frontendipconfigurations/main"),
            nat_subnet: Value::text("/v/subnets/nat"),
            nat_addresses: 2,
            visibility: vec!["s1".to_owned()],
            auto_approval: Vec::new(),
            access_mode: "Restricted".to_owned(),
            proxy_protocol: true,
            fqdns: vec!["db.example".to_owned()],
            tags: BTreeMap::new(),
        }
    }

    #[test]
    fn reads_back_what_it_writes() {
        let mut body = json!({});
        shape(&mut body, &wanted());
        assert_eq!(read(&body), wanted());
        assert_eq!(fields::typed::<PrivateLinkService>("k", &fields::of(&wanted())).unwrap(), wanted());
        assert!(fields::of(&wanted()).keys().all(|name| KIND.field(name).is_some()));
        assert_eq!(body["properties"]["autoApproval"], json!({"subscriptions": []}), "always explicit");
    }

    #[test]
    fn nat_addresses_are_added_and_never_taken() {
        let mut body = json!({"location": "x", "properties": {"ipConfigurations": [
            {"name": "nat-2", "properties": {"primary": true, "subnet": {"id": "/v/subnets/nat"}}}]}});
        shape(&mut body, &wanted());
        let names: Vec<_> =
            items(&body, "properties.ipConfigurations").iter().filter_map(|c| text(c, "name")).collect();
        assert_eq!(names, ["nat-2", "nat-1"]);
        let mut fewer = wanted();
        fewer.nat_addresses = 1;
        shape(&mut body, &fewer);
        assert_eq!(items(&body, "properties.ipConfigurations").len(), 2);
    }
}
