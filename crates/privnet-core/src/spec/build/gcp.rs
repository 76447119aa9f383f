//! The GCP block.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::super::gcp::{
    GcpAcceptBy, GcpAddress, GcpAttachment, GcpForm, GcpLocation, GcpMade, GcpNatSubnet, GcpOnForwardingRule,
    GcpService,
};
use super::super::gcp_ids::{GcpName, GcpRegion, ProjectId, RegionalRef};
use super::super::grammar::azure::CREATE;
use super::super::grammar::gcp::{EXISTING, NAT_SUBNET};
use super::super::model::Acceptance;
use super::super::shape::MapShape;
use super::azure::disjoint;
use super::gcp_backend::backend;
use super::ports;
use super::read::{Block, Reader};
use super::service::{Outer, Scopes};

/// What the services on GCP of a file share.
#[derive(Default)]
pub(super) struct Shared {
    /// Ranges to make in each network, with their lines.
    ranges: BTreeMap<String, Vec<(Ipv4Net, u32)>>,
    /// NAT subnets that exist, with the line that names each.
    nat_subnets: BTreeMap<String, u32>,
}

pub(super) fn service(
    reader: &mut Reader<'_, '_>,
    scopes: &mut Scopes,
    block: Block,
    location_keys: &'static MapShape,
    outer: &Outer<'_>,
) -> Option<GcpService> {
    let location = location(reader, block);
    if outer.removed {
        let form = removed(reader, block, location.as_ref());
        return Some(GcpService { location: location?, form: form? });
    }
    let accept_by = accept_by(reader, block, outer);
    let form = match reader.block(block, "existing", &EXISTING) {
        Some(existing) if reader.get(existing, "service_attachment").is_some() => {
            let allowed = ["existing", "accept_by"];
            let because = "the service attachment exists; only its accept list is altered";
            ports::only_keys(reader, block, location_keys, &allowed, "with-existing", because);
            decided_by_hand(reader, outer);
            let name = supplied(reader, Some(scopes), existing, "service_attachment", location.as_ref());
            name.map(|name| GcpForm::ServiceAttachment { name, accept_by })
        }
        Some(existing) => {
            on_forwarding_rule(reader, scopes, (block, existing), location_keys, location.as_ref(), accept_by)
        }
        None => made(reader, scopes, block, location.as_ref(), accept_by),
    };
    Some(GcpService { location: location?, form: form? })
}

/// A tombstone. Of an attachment that is there nothing was made: who was let in there is looked at. The same one may stand under another
/// service's name as well: it may have been renamed.
fn removed(reader: &mut Reader<'_, '_>, block: Block, location: Option<&GcpLocation>) -> Option<GcpForm> {
    let existing = reader.block(block, "existing", &EXISTING);
    match existing.filter(|existing| reader.get(*existing, "service_attachment").is_some()) {
        Some(existing) => {
            let accept_by = named_by(reader, block).unwrap_or(GcpAcceptBy::Endpoint);
            let name = supplied(reader, None, existing, "service_attachment", location);
            name.map(|name| GcpForm::ServiceAttachment { name, accept_by })
        }
        None => Some(GcpForm::Removed),
    }
}

fn location(reader: &mut Reader<'_, '_>, block: Block) -> Option<GcpLocation> {
    let project: Option<ProjectId> = reader.need_text(block, "project");
    let region: Option<GcpRegion> = reader.need_text(block, "region");
    let project = project?;
    let host_project = reader.text(block, "host_project").unwrap_or_else(|| project.clone());
    Some(GcpLocation { project, region: region?, host_project, network: reader.text(block, "network") })
}

/// What entries of the accept list name, checked against the consumers.
fn accept_by(reader: &mut Reader<'_, '_>, block: Block, outer: &Outer<'_>) -> GcpAcceptBy {
    let span = reader.span(block, "accept_by");
    let automatic = outer.acceptance == Acceptance::Automatic;
    let by_default = if automatic { GcpAcceptBy::Project } else { GcpAcceptBy::Endpoint };
    let accept_by = named_by(reader, block).unwrap_or(by_default);
    if automatic && accept_by == GcpAcceptBy::Endpoint {
        reader.errors.add_hint(
            "endpoint-automatic",
            span,
            "automatic acceptance cannot go by endpoint: an endpoint can be listed only after its request exists",
            "use `accept_by: project`, or `acceptance: manual`",
        );
    }
    for (consumer, allow, place) in outer.consumers {
        let Some(gcp) = &consumer.gcp else { continue };
        if accept_by != GcpAcceptBy::Endpoint && !allow.only.is_empty() && !automatic {
            let message = "`only` has no effect unless acceptance goes by endpoint";
            reader.errors.add_hint("only-by-list", *place, message, "leave out `accept_by`");
        }
        let missing = match accept_by {
            GcpAcceptBy::Network if gcp.networks.is_empty() => "networks",
            GcpAcceptBy::Project if gcp.projects.is_empty() => "projects",
            _ => continue,
        };
        let message = format!("acceptance goes by {}, and this consumer has no `{missing}`", &missing[..7]);
        reader.errors.add("consumer-without-list", *place, message);
    }
    accept_by
}

/// What the file says that entries of the accept list name.
fn named_by(reader: &mut Reader<'_, '_>, block: Block) -> Option<GcpAcceptBy> {
    match reader.word(block, "accept_by") {
        Some("endpoint") => Some(GcpAcceptBy::Endpoint),
        Some("network") => Some(GcpAcceptBy::Network),
        Some("project") => Some(GcpAcceptBy::Project),
        _ => None,
    }
}

/// Of an attachment that is there the accept list is altered by decisions alone.
fn decided_by_hand(reader: &mut Reader<'_, '_>, outer: &Outer<'_>) {
    if outer.acceptance == Acceptance::Manual {
        return;
    }
    let message = "the service attachment exists, and its own list of who is let in by itself is not altered";
    let hint = "leave `acceptance` out: `privnet accept-pending` or `privnet watch` lets in who is allowed";
    reader.errors.add_hint("automatic-elsewhere", outer.acceptance_at, message, hint);
}

/// The name of something that exists, in the service's project and region; with `scopes` it is that of one service.
fn supplied(
    reader: &mut Reader<'_, '_>,
    scopes: Option<&mut Scopes>,
    existing: Block,
    key: &str,
    location: Option<&GcpLocation>,
) -> Option<GcpName> {
    let found: RegionalRef = reader.text(existing, key)?;
    let span = reader.span(existing, key);
    let collection = if key == "forwarding_rule" { "forwardingRules" } else { "serviceAttachments" };
    if let Some(given) = found.collection.as_deref().filter(|given| *given != collection) {
        let message = format!("this is one of `{given}`, and one of `{collection}` belongs here");
        reader.errors.add("wrong-resource-type", span, message);
    }
    let location = location?;
    if let Some(project) = found.project.as_ref().filter(|project| **project != location.project) {
        let message = format!("it is in the project {project}, and the service in {}", location.project);
        reader.errors.add("other-project", span, message);
    }
    if let Some(region) = found.region.as_ref().filter(|region| **region != location.region) {
        let message = format!("it is in the region {region}, and the service in {}", location.region);
        reader.errors.add("other-region", span, message);
    }
    let id = format!("{}/{}/{collection}/{}", location.project, location.region, found.name);
    let what = if key == "forwarding_rule" { "the forwarding rule" } else { "the service attachment" };
    if let Some(scopes) = scopes {
        scopes.once(reader, what, &id, existing.at);
    }
    Some(found.name)
}

fn on_forwarding_rule(
    reader: &mut Reader<'_, '_>,
    scopes: &mut Scopes,
    (block, existing): (Block, Block),
    location_keys: &MapShape,
    location: Option<&GcpLocation>,
    accept_by: GcpAcceptBy,
) -> Option<GcpForm> {
    let allowed = [
        "existing",
        "nat_subnets",
        "domain_names",
        "accept_by",
        "reconcile_connections",
        "propagated_connection_limit",
        "proxy_protocol",
    ];
    let because = "the forwarding rule exists, and what is yours is not altered";
    ports::only_keys(reader, block, location_keys, &allowed, "with-existing", because);
    let network = reader.need_text(block, "network");
    let attachment = attachment(reader, scopes, block, location, accept_by);
    let forwarding_rule = supplied(reader, Some(scopes), existing, "forwarding_rule", location)?;
    let attachment = attachment?;
    Some(GcpForm::OnForwardingRule(Box::new(GcpOnForwardingRule {
        network: network?,
        forwarding_rule,
        attachment,
    })))
}

fn made(
    reader: &mut Reader<'_, '_>,
    scopes: &mut Scopes,
    block: Block,
    location: Option<&GcpLocation>,
    accept_by: GcpAcceptBy,
) -> Option<GcpForm> {
    let network = reader.need_text(block, "network");
    let subnet = reader.need_text::<GcpName>(block, "subnet");
    reader.need(block, "ports");
    let attachment = attachment(reader, scopes, block, location, accept_by);
    if let (Some(subnet), Some(attachment)) = (&subnet, &attachment) {
        let same = |nat: &GcpNatSubnet| matches!(nat, GcpNatSubnet::Existing(name) if name == subnet);
        if attachment.nat_subnets.iter().any(same) {
            let span = reader.key_span(block, "nat_subnets");
            let message = format!("`{subnet}` is the forwarding rule's subnet; NAT needs one of its own");
            reader.errors.add_hint(
                "nat-subnet-shared",
                span,
                message,
                "the two must be disjoint: a NAT subnet has the purpose PRIVATE_SERVICE_CONNECT",
            );
        }
    }
    let all_ports = reader.flag(block, "all_ports", false);
    let backend = backend(reader, block, location, all_ports);
    let ip_address = match reader.word(block, "ip_address").and_then(|text| text.parse::<Ipv4Addr>().ok()) {
        Some(address) => GcpAddress::Ip(address),
        None => GcpAddress::Auto,
    };
    Some(GcpForm::Made(Box::new(GcpMade {
        network: network?,
        subnet: subnet?,
        ip_address,
        global_access: reader.flag(block, "global_access", false),
        all_ports,
        backend: backend?,
        attachment: attachment?,
    })))
}

fn attachment(
    reader: &mut Reader<'_, '_>,
    scopes: &mut Scopes,
    block: Block,
    location: Option<&GcpLocation>,
    accept_by: GcpAcceptBy,
) -> Option<GcpAttachment> {
    let list = reader.need(block, "nat_subnets");
    let network: Option<GcpName> = reader.text(block, "network");
    let mut nat_subnets = Vec::new();
    for node in list.map_or(&[][..], |id| reader.tree.items(id)) {
        let entry = Block::new(*node, reader.tree.node(*node).span, &NAT_SUBNET);
        nat_subnets.extend(nat_subnet(reader, scopes, entry, location, network.as_ref()));
    }
    let attachment = GcpAttachment {
        nat_subnets,
        domain_names: reader.list(block, "domain_names"),
        accept_by,
        reconcile_connections: reader.flag(block, "reconcile_connections", false),
        proxy_protocol: reader.flag(block, "proxy_protocol", false),
        propagated_connection_limit: reader.number(block, "propagated_connection_limit"),
    };
    (!attachment.nat_subnets.is_empty()).then_some(attachment)
}

fn nat_subnet(
    reader: &mut Reader<'_, '_>,
    scopes: &mut Scopes,
    entry: Block,
    location: Option<&GcpLocation>,
    network: Option<&GcpName>,
) -> Option<GcpNatSubnet> {
    if let Some(name) = reader.text::<GcpName>(entry, "existing") {
        let span = reader.span(entry, "existing");
        let location = location?;
        let key = format!("{}/{}/{name}", location.host_project, location.region);
        let line = reader.errors.source.place(span.start).line;
        match scopes.gcp.nat_subnets.get(&key) {
            Some(first) => {
                let message = format!("the NAT subnet `{name}` is used in line {first} already");
                let hint = "a NAT subnet serves one service attachment; make another one";
                reader.errors.add_hint("nat-subnet-shared", span, message, hint);
            }
            None => {
                scopes.gcp.nat_subnets.insert(key, line);
            }
        }
        return Some(GcpNatSubnet::Existing(name));
    }
    let create = reader.block(entry, "create", &CREATE)?;
    let cidr: Ipv4Net = reader.text(create, "cidr")?;
    let span = reader.span(create, "cidr");
    let key = format!("{}/{}", location?.host_project, network?);
    disjoint(reader, scopes.gcp.ranges.entry(key).or_default(), cidr, span);
    Some(GcpNatSubnet::Create { cidr })
}
