//! VPC firewall rules, and what they let through.

use ipnet::Ipv4Net;
use serde_json::{Value, json};

use super::super::body::{Body, Object};
use super::super::call::Call;
use super::super::error::{ApiError, Failure};
use super::super::link;
use super::super::world::World;
use super::Made;

const FIELD: &str = "resource.network";

pub(super) fn insert(world: &World, call: &Call, body: Object) -> Result<Made, Failure> {
    Ok(Made { body: complete(world, call, body)?, ..Made::default() })
}

pub(super) fn change(world: &World, call: &Call, old: &Object, new: Object) -> Result<Object, Failure> {
    let new = complete(world, call, new)?;
    super::immutable(old, &new, &["network", "direction"])?;
    Ok(new)
}

fn complete(world: &World, call: &Call, mut body: Object) -> Result<Object, ApiError> {
    body.default_to("network", "global/networks/default");
    let network = body.text("network").unwrap_or_default().to_owned();
    let (network, _) = world.refer(&call.project, FIELD, &network, &["networks"])?;
    if !network.starts_with(&format!("projects/{}/", call.project)) {
        return Err(ApiError::field(FIELD, &network, "The network must be in the firewall rule's project."));
    }
    body.insert("network".to_owned(), link::url(&network).into());
    body.default_to("direction", "INGRESS");
    body.default_to("priority", 1000);
    body.default_to("disabled", false);
    body.default_to("logConfig", json!({ "enable": false }));
    let priority = body.int("priority").unwrap_or_default();
    if !(0..=65535).contains(&priority) {
        return Err(ApiError::field(
            "resource.priority",
            &priority.to_string(),
            "Must be between 0 and 65535.",
        ));
    }
    if body.has("allowed") == body.has("denied") {
        return Err(ApiError::invalid(
            "Exactly one of 'resource.allowed' and 'resource.denied' must be specified.",
        ));
    }
    let name = if body.has("allowed") { "allowed" } else { "denied" };
    check_rules(name, body.items(name))?;
    sides(&mut body)?;
    for field in ["sourceRanges", "destinationRanges"] {
        for range in body.texts(field) {
            if range.parse::<ipnet::IpNet>().is_err() && range.parse::<std::net::IpAddr>().is_err() {
                return Err(ApiError::field(
                    &format!("resource.{field}[0]"),
                    &range,
                    "Must be a valid CIDR address range.",
                ));
            }
        }
    }
    Ok(body)
}

fn sides(body: &mut Object) -> Result<(), ApiError> {
    let sources = ["sourceRanges", "sourceTags", "sourceServiceAccounts"];
    if body.text("direction") == Some("EGRESS") {
        if let Some(field) = sources.iter().find(|field| body.has(field) && **field != "sourceRanges") {
            return Err(ApiError::field(
                &format!("resource.{field}"),
                "",
                "Sources cannot be specified for EGRESS rules.",
            ));
        }
        if !body.has("destinationRanges") {
            body.insert("destinationRanges".to_owned(), json!(["0.0.0.0/0"]));
        }
    } else if !sources.iter().any(|field| body.has(field)) {
        body.insert("sourceRanges".to_owned(), json!(["0.0.0.0/0"]));
    }
    if body.has("sourceServiceAccounts") && (body.has("sourceTags") || body.has("targetTags")) {
        return Err(ApiError::invalid("Service accounts and tags cannot be mixed in one rule."));
    }
    Ok(())
}

fn check_rules(name: &str, rules: &[Value]) -> Result<(), ApiError> {
    const PROTOCOLS: [&str; 8] = ["tcp", "udp", "icmp", "esp", "ah", "sctp", "ipip", "all"];
    for (index, rule) in rules.iter().enumerate() {
        let at = format!("resource.{name}[{index}]");
        let empty = Object::new();
        let rule = rule.as_object().unwrap_or(&empty);
        let protocol =
            rule.text("IPProtocol").ok_or_else(|| ApiError::required(&format!("{at}.IPProtocol")))?;
        if !PROTOCOLS.contains(&protocol) && protocol.parse::<u8>().is_err() {
            return Err(ApiError::field(&format!("{at}.IPProtocol"), protocol, "Unknown protocol."));
        }
        for port in rule.texts("ports") {
            if ports(&port).is_none() {
                return Err(ApiError::field(
                    &format!("{at}.ports[0]"),
                    &port,
                    "Must be a port or a range of ports.",
                ));
            }
        }
    }
    Ok(())
}

fn ports(text: &str) -> Option<(u16, u16)> {
    match text.split_once('-') {
        Some((from, to)) => Some((from.parse().ok()?, to.parse().ok()?)).filter(|(from, to)| from <= to),
        None => text.parse().ok().map(|port| (port, port)),
    }
}

/// TCP traffic from a range to an address and port of an instance.
pub(crate) struct Traffic<'a> {
    pub(crate) network: &'a str,
    pub(crate) from: Ipv4Net,
    pub(crate) to: std::net::Ipv4Addr,
    pub(crate) port: u16,
    pub(crate) tags: &'a [String],
}

/// Since when an INGRESS rule lets all of that traffic in; `None` when none does, or one of a higher rank forbids it.
///
/// A rule's destination is compared with the packet's: for a pass-through load balancer that is the forwarding rule's
/// address, which is why a rule for the machine's own address misses it.
pub(crate) fn open_since(world: &World, traffic: &Traffic<'_>) -> Option<jiff::Timestamp> {
    let mut best: Option<(i64, bool, jiff::Timestamp)> = None;
    for (_, record) in world.resources.iter().filter(|(path, _)| path.contains("/firewalls/")) {
        let rule = &record.body;
        let ready = record
            .busy
            .as_deref()
            .and_then(|path| world.operations.get(path))
            .is_none_or(|op| op.kind != "insert");
        if !ready || rule.flag("disabled") || !covers(rule, traffic) {
            continue;
        }
        let (priority, allows) = (rule.int("priority").unwrap_or(1000), rule.has("allowed"));
        // At the same priority a deny rule wins.
        if best.is_none_or(|(rank, allowed, _)| (priority, allows) < (rank, allowed)) {
            best = Some((priority, allows, record.created));
        }
    }
    best.filter(|(_, allows, _)| *allows).map(|(_, _, since)| since)
}

fn covers(rule: &Object, traffic: &Traffic<'_>) -> bool {
    let name = if rule.has("allowed") { "allowed" } else { "denied" };
    let ranges = |field| {
        rule.texts(field).into_iter().filter_map(|text| text.parse::<Ipv4Net>().ok()).collect::<Vec<_>>()
    };
    let targets = rule.texts("targetTags");
    rule.text("network") == Some(traffic.network)
        && rule.text("direction") == Some("INGRESS")
        && ranges("sourceRanges").iter().any(|range| range.contains(&traffic.from))
        && (!rule.has("destinationRanges")
            || ranges("destinationRanges").iter().any(|range| range.contains(&traffic.to)))
        && (targets.is_empty() || targets.iter().any(|tag| traffic.tags.contains(tag)))
        && !rule.has("targetServiceAccounts")
        && rule.items(name).iter().filter_map(Value::as_object).any(|entry| {
            let listed = entry.texts("ports");
            matches!(entry.text("IPProtocol"), Some("tcp" | "6" | "all"))
                && (listed.is_empty()
                    || listed
                        .iter()
                        .filter_map(|text| ports(text))
                        .any(|(from, to)| (from..=to).contains(&traffic.port)))
        })
}
