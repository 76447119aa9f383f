//! The Azure block.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;

use super::super::azure::{
    AzureAccessMode, AzureForm, AzureForwarder, AzureHosted, AzureLink, AzureMade, AzureNatSubnet,
    AzureOnFrontend, AzurePort, AzureScope, AzureService, AzureTarget,
};
use super::super::azure_ids::{
    ArmId, AzureLocationName, AzureName, ResourceGroupName, Subresource, SubscriptionId,
};
use super::super::grammar::azure::{CREATE, EXISTING, FORWARDER, HOSTED, NAT_SUBNET, PORT, TO};
use super::super::model::Acceptance;
use super::super::shape::MapShape;
use super::super::source::Span;
use super::super::text::Text;
use super::super::tree::NodeId;
use super::ports::{self, HealthBounds};
use super::read::{Block, Reader};
use super::service::{Outer, Scopes};

const NETWORK: &str = "Microsoft.Network";
/// Azure keeps five addresses of each subnet.
const KEPT_ADDRESSES: u32 = 5;
/// Private link services on one load balancer.
const MOST_ON_LOAD_BALANCER: usize = 8;

/// `intervalInSeconds` is at least 5; `probeThreshold` has no documented upper limit, the format's is 100.
const HEALTH: HealthBounds = HealthBounds { interval: (5, 3600), threshold: (1, 100) };

/// What the services on Azure of a file share.
#[derive(Default)]
pub(super) struct Shared {
    /// Ranges to make in each virtual network, with their lines.
    ranges: BTreeMap<String, Vec<(Ipv4Net, u32)>>,
    /// How many services stand on each load balancer that exists.
    on_load_balancer: BTreeMap<String, usize>,
}

pub(super) fn service(
    reader: &mut Reader<'_, '_>,
    scopes: &mut Scopes,
    block: Block,
    location_keys: &'static MapShape,
    outer: &Outer<'_>,
) -> Option<AzureService> {
    let subscription: Option<SubscriptionId> = reader.need_text(block, "subscription");
    let form = if outer.removed {
        removed(reader, block, subscription.as_ref())
    } else if let Some(hosted) = reader.block(block, "hosted", &HOSTED) {
        let mine = MapShape { what: "", keys: &[], exactly_one: &[], elsewhere: &[] };
        let because = "`hosted` excludes the rest but `subscription`";
        ports::only_keys(reader, block, &mine, &["hosted", "subscription"], "with-hosted", because);
        once_hosted(reader, scopes, hosted, subscription.as_ref())
    } else if let Some(existing) = reader.block(block, "existing", &EXISTING) {
        self::existing(reader, scopes, block, existing, location_keys, subscription.as_ref())
    } else {
        made(reader, scopes, block, subscription.as_ref())
    };
    if let Some(form) = form.as_ref().filter(|_| !outer.removed) {
        decided_by_hand(reader, form, outer);
    }
    Some(AzureService { subscription: subscription?, form: form? })
}

/// What is yours is not altered, so its own auto-approval is not either; and what Azure hosts has none.
fn decided_by_hand(reader: &mut Reader<'_, '_>, form: &AzureForm, outer: &Outer<'_>) {
    let message = match form {
        _ if outer.acceptance == Acceptance::Manual => return,
        AzureForm::Hosted(_) => "what Azure hosts has no list of who is let in by itself",
        AzureForm::PrivateLinkService(_) => {
            "the private link service exists, and its own list of who is let in by itself is not altered"
        }
        AzureForm::Made(_) | AzureForm::OnFrontend(_) | AzureForm::Removed { .. } => return,
    };
    let hint = "leave `acceptance` out: `privnet accept-pending` or `privnet watch` lets in who is allowed";
    reader.errors.add_hint("automatic-elsewhere", outer.acceptance_at, message, hint);
}

/// A tombstone. Hosted and existing services own nothing, so they have no resource group to search; who was let in there is looked at. The
/// same resource may stand under another service's name as well: it may have been renamed.
fn removed(
    reader: &mut Reader<'_, '_>,
    block: Block,
    subscription: Option<&SubscriptionId>,
) -> Option<AzureForm> {
    if let Some(hosted) = reader.block(block, "hosted", &HOSTED) {
        return self::hosted(reader, hosted, subscription).map(AzureForm::Hosted);
    }
    if let Some(existing) = reader.block(block, "existing", &EXISTING)
        && reader.get(existing, "private_link_service").is_some()
    {
        return link_service(reader, existing, subscription).map(AzureForm::PrivateLinkService);
    }
    let resource_group = reader.need_text(block, "resource_group")?;
    Some(AzureForm::Removed { resource_group })
}

fn once_hosted(
    reader: &mut Reader<'_, '_>,
    scopes: &mut Scopes,
    block: Block,
    subscription: Option<&SubscriptionId>,
) -> Option<AzureForm> {
    let hosted = self::hosted(reader, block, subscription)?;
    let id = format!("{}#{}", hosted.resource_id.key(), hosted.subresource.as_str().to_lowercase());
    scopes.once(reader, "the hosted resource", &id, block.at);
    Some(AzureForm::Hosted(hosted))
}

fn hosted(
    reader: &mut Reader<'_, '_>,
    hosted: Block,
    subscription: Option<&SubscriptionId>,
) -> Option<AzureHosted> {
    let resource_id: ArmId = reader.text(hosted, "resource_id")?;
    let span = reader.span(hosted, "resource_id");
    same_subscription(reader, &resource_id, span, subscription);
    if resource_id.is_a("Microsoft.Network/privateLinkServices") {
        reader.errors.add_hint(
            "not-hosted",
            span,
            "a private link service is not hosted by Azure",
            "name it with `existing: { private_link_service: … }`",
        );
    }
    let subresource: Subresource = reader.text(hosted, "subresource")?;
    Some(AzureHosted { resource_id, subresource })
}

fn existing(
    reader: &mut Reader<'_, '_>,
    scopes: &mut Scopes,
    block: Block,
    existing: Block,
    location_keys: &MapShape,
    subscription: Option<&SubscriptionId>,
) -> Option<AzureForm> {
    if reader.get(existing, "private_link_service").is_some() {
        let because = "the private link service exists, and what is yours is not altered";
        ports::only_keys(reader, block, location_keys, &["existing"], "with-existing", because);
        let id = link_service(reader, existing, subscription)?;
        scopes.once(reader, "the private link service", &id.key(), existing.at);
        return Some(AzureForm::PrivateLinkService(id));
    }
    let allowed = [
        "existing",
        "nat_subnet",
        "nat_addresses",
        "disable_subnet_policies",
        "fqdns",
        "access_mode",
        "proxy_protocol",
    ];
    let because = "the load balancer exists, and what is yours is not altered";
    ports::only_keys(reader, block, location_keys, &allowed, "with-existing", because);
    let scope = scope(reader, block, subscription);
    let link = link(reader, scopes, block, scope.as_ref());
    let kind = "Microsoft.Network/loadBalancers/frontendIPConfigurations";
    let frontend = supplied(reader, existing, "load_balancer_frontend", kind, subscription)?;
    scopes.once(reader, "the frontend", &frontend.key(), existing.at);
    if let Some(load_balancer) = frontend.parent() {
        let count = scopes.azure.on_load_balancer.entry(load_balancer.key()).or_default();
        *count += 1;
        if *count == MOST_ON_LOAD_BALANCER + 1 {
            let message = format!(
                "a load balancer carries at most {MOST_ON_LOAD_BALANCER} private link services; this is one more on `{}`",
                load_balancer.name()
            );
            reader.errors.add("full-load-balancer", existing.at, message);
        }
    }
    Some(AzureForm::OnFrontend(Box::new(AzureOnFrontend { scope: scope?, frontend, link: link? })))
}

fn link_service(
    reader: &mut Reader<'_, '_>,
    existing: Block,
    subscription: Option<&SubscriptionId>,
) -> Option<ArmId> {
    supplied(reader, existing, "private_link_service", "Microsoft.Network/privateLinkServices", subscription)
}

/// The id of something that exists, of that type and in the service's subscription.
fn supplied(
    reader: &mut Reader<'_, '_>,
    block: Block,
    key: &str,
    kind: &str,
    subscription: Option<&SubscriptionId>,
) -> Option<ArmId> {
    let id: ArmId = reader.text(block, key)?;
    let span = reader.span(block, key);
    of_type(reader, &id, span, kind);
    same_subscription(reader, &id, span, subscription);
    Some(id)
}

fn of_type(reader: &mut Reader<'_, '_>, id: &ArmId, span: Span, kind: &str) {
    if !id.is_a(kind) {
        let message = format!("this is a `{}`, and a `{kind}` belongs here", id.resource_type());
        reader.errors.add("wrong-resource-type", span, message);
    }
}

fn same_subscription(
    reader: &mut Reader<'_, '_>,
    id: &ArmId,
    span: Span,
    subscription: Option<&SubscriptionId>,
) {
    if let Some(subscription) = subscription
        && id.subscription() != subscription
    {
        let message = format!(
            "the resource is in the subscription {}, and the service in {subscription}",
            id.subscription()
        );
        reader.errors.add("other-subscription", span, message);
    }
}

fn made(
    reader: &mut Reader<'_, '_>,
    scopes: &mut Scopes,
    block: Block,
    subscription: Option<&SubscriptionId>,
) -> Option<AzureForm> {
    let scope = scope(reader, block, subscription);
    let frontend = reader.need(block, "load_balancer_subnet");
    reader.need(block, "ports");
    let link = link(reader, scopes, block, scope.as_ref());
    let load_balancer_subnet = frontend.and_then(|id| subnet(reader, id, scope.as_ref()));
    let (ports, forwarder) = ports_and_forwarder(reader, block, scope.as_ref(), subscription);
    Some(AzureForm::Made(Box::new(AzureMade {
        scope: scope?,
        load_balancer_subnet: load_balancer_subnet?,
        ports,
        forwarder,
        join_nics: reader.flag(block, "join_nics", false),
        link: link?,
    })))
}

fn scope(
    reader: &mut Reader<'_, '_>,
    block: Block,
    subscription: Option<&SubscriptionId>,
) -> Option<AzureScope> {
    let resource_group: Option<ResourceGroupName> = reader.need_text(block, "resource_group");
    let location: Option<AzureLocationName> = reader.need_text(block, "location");
    let vnet = reader.need(block, "vnet")?;
    let (resource_group, location, subscription) = (resource_group?, location?, subscription?);
    let id = in_group(reader, vnet, "virtualNetworks", subscription, &resource_group)?;
    Some(AzureScope { resource_group, location, vnet: id })
}

/// A resource by its name in the resource group, or by its id.
fn in_group(
    reader: &mut Reader<'_, '_>,
    node: NodeId,
    kind: &str,
    subscription: &SubscriptionId,
    group: &ResourceGroupName,
) -> Option<ArmId> {
    let text = reader.tree.text(node)?;
    if let Ok(name) = AzureName::parse_text(text) {
        return Some(ArmId::new(subscription.clone(), group.clone(), NETWORK, &[(kind, name.as_str())]));
    }
    let id = ArmId::parse_text(text).ok()?;
    let span = reader.tree.node(node).span;
    of_type(reader, &id, span, &format!("{NETWORK}/{kind}"));
    same_subscription(reader, &id, span, Some(subscription));
    Some(id)
}

/// A subnet of the service's virtual network, by its name or id.
fn subnet(reader: &mut Reader<'_, '_>, node: NodeId, scope: Option<&AzureScope>) -> Option<ArmId> {
    let (text, vnet) = (reader.tree.text(node)?, &scope?.vnet);
    if let Ok(name) = AzureName::parse_text(text) {
        return Some(vnet.child("subnets", name.as_str()));
    }
    let id = ArmId::parse_text(text).ok()?;
    let span = reader.tree.node(node).span;
    of_type(reader, &id, span, "Microsoft.Network/virtualNetworks/subnets");
    if id.parent().is_none_or(|parent| parent.key() != vnet.key()) {
        let message = format!("the subnet is not in the virtual network `{}`", vnet.name());
        reader.errors.add("other-network", span, message);
    }
    Some(id)
}

fn link(
    reader: &mut Reader<'_, '_>,
    scopes: &mut Scopes,
    block: Block,
    scope: Option<&AzureScope>,
) -> Option<AzureLink> {
    let node = reader.need(block, "nat_subnet");
    let nat_addresses = reader.number(block, "nat_addresses").and_then(|n| u8::try_from(n).ok()).unwrap_or(1);
    node?;
    let nat = reader.block(block, "nat_subnet", &NAT_SUBNET)?;
    let nat_subnet = nat_subnet(reader, scopes, nat, scope, nat_addresses);
    Some(AzureLink {
        nat_subnet: nat_subnet?,
        nat_addresses,
        disable_subnet_policies: reader.flag(block, "disable_subnet_policies", false),
        fqdns: reader.list(block, "fqdns"),
        access_mode: match reader.word(block, "access_mode") {
            Some("default") => AzureAccessMode::Default,
            _ => AzureAccessMode::Restricted,
        },
        proxy_protocol: reader.flag(block, "proxy_protocol", false),
    })
}

fn nat_subnet(
    reader: &mut Reader<'_, '_>,
    scopes: &mut Scopes,
    nat: Block,
    scope: Option<&AzureScope>,
    addresses: u8,
) -> Option<AzureNatSubnet> {
    if let Some(id) = reader.get(nat, "existing") {
        return subnet(reader, id, scope).map(AzureNatSubnet::Existing);
    }
    let create = reader.block(nat, "create", &CREATE)?;
    let cidr: Ipv4Net = reader.text(create, "cidr")?;
    let span = reader.span(create, "cidr");
    let room = 1_u32.checked_shl(32 - u32::from(cidr.prefix_len())).unwrap_or(u32::MAX);
    if room.saturating_sub(KEPT_ADDRESSES) < u32::from(addresses) {
        let message = format!("{cidr} has no room for {addresses} addresses: Azure keeps {KEPT_ADDRESSES}");
        reader.errors.add("small-range", span, message);
    }
    let ranges = scopes.azure.ranges.entry(scope?.vnet.key()).or_default();
    disjoint(reader, ranges, cidr, span);
    Some(AzureNatSubnet::Create { cidr })
}

/// Two subnets of one network cannot overlap.
pub(super) fn disjoint(
    reader: &mut Reader<'_, '_>,
    ranges: &mut Vec<(Ipv4Net, u32)>,
    cidr: Ipv4Net,
    span: Span,
) {
    let overlaps = |other: &Ipv4Net| other.contains(&cidr) || cidr.contains(other);
    if let Some((other, line)) = ranges.iter().find(|(other, _)| overlaps(other)) {
        let message = format!("{cidr} overlaps {other} of line {line} in the same network");
        reader.errors.add("overlapping-ranges", span, message);
    }
    ranges.push((cidr, reader.errors.source.place(span.start).line));
}

fn ports_and_forwarder(
    reader: &mut Reader<'_, '_>,
    block: Block,
    scope: Option<&AzureScope>,
    subscription: Option<&SubscriptionId>,
) -> (Vec<AzurePort>, Option<AzureForwarder>) {
    let mut used = None;
    let mut ports = Vec::new();
    for listener in ports::listeners(reader, block, &PORT, &HEALTH) {
        let Some(to) = reader.block(listener.block, "to", &TO) else { continue };
        if reader.get(to, "forwarder").is_some() {
            used = used.or(Some(reader.key_span(to, "forwarder")));
        }
        if let Some(target) = target(reader, to, scope, subscription) {
            ports.push(listener.leads(target));
        }
    }
    ports::forwarder_is_used(reader, block, used);
    let forwarder = reader.block(block, "forwarder", &FORWARDER).and_then(|machines| {
        let nodes = reader.get(machines, "subnets").map_or(&[][..], |id| reader.tree.items(id));
        let subnets = nodes.iter().filter_map(|id| subnet(reader, *id, scope)).collect();
        ports::forwarder(reader, machines, subnets)
    });
    (ports, forwarder)
}

fn target(
    reader: &mut Reader<'_, '_>,
    to: Block,
    scope: Option<&AzureScope>,
    subscription: Option<&SubscriptionId>,
) -> Option<AzureTarget> {
    let Some(list) = reader.get(to, "nics") else {
        return ports::upstream(reader, to).map(AzureTarget::Forwarder);
    };
    let (scope, subscription) = (scope?, subscription?);
    let mut nics: Vec<ArmId> = Vec::new();
    for node in reader.tree.items(list) {
        nics.extend(in_group(reader, *node, "networkInterfaces", subscription, &scope.resource_group));
    }
    (!nics.is_empty()).then_some(AzureTarget::Nics(nics))
}
