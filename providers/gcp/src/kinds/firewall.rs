//! Firewall rules: one for the clients (the NAT ranges and the load balancer's), one for the probers of health checks.
//!
//! Neither has a destination: traffic of a pass-through load balancer arrives for the forwarding rule's address, so that a rule
//! for a machine's own would miss it.

use std::collections::BTreeSet;

use privnet_core::spec::gcp::{GcpBackend, GcpForm, GcpNatSubnet, GcpOnForwardingRule};
use privnet_core::{Applied, Change, Error, Field, Kind, Live, Replacement, Shape, Traffic, Value};
use privnet_forwarder::probers;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::act::Act;
use crate::collection::{At, Collection};
use crate::fields::{self, Fields};
use crate::json::{Json, flag, list, number, text, texts};
use crate::kinds::{backend_service, health_check, instance_template, nat_subnet};
use crate::lower::{Lowering, in_the_network};
use crate::path;
use crate::snapshot::Snapshot;

/// The rule for clients.
pub(crate) const CLIENTS: &str = "clients";
/// The rule for probers.
pub(crate) const PROBERS: &str = "probers";
/// The field of the probers' ports. It is another one than that of the clients': where the probers ask elsewhere, machines of before are
/// asked where they answer until they have gone, by a rule of their own, while ports of clients are opened and shut in place.
const PROBED: &str = "probed_ports";
const PRIORITY: i64 = 1000;
/// Sources of a rule that are no ranges, which widen it.
const SOURCES: [(&str, &str); 2] = [("sourceTags", "tag"), ("sourceServiceAccounts", "account")];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Firewall {
    pub(crate) network: String,
    pub(crate) sources: BTreeSet<String>,
    /// Empty: all. Of the rule for probers they are `PROBED` among the fields.
    #[serde(default, alias = "probed_ports")]
    pub(crate) ports: BTreeSet<String>,
    #[serde(default)]
    pub(crate) destinations: BTreeSet<String>,
    #[serde(default)]
    pub(crate) target_tags: BTreeSet<String>,
    pub(crate) priority: i64,
    pub(crate) disabled: bool,
}

pub(crate) const KIND: Kind = Kind {
    name: "firewall-rule",
    title: "firewall rule",
    fields: &[
        Field::managed("network").on_change(Change::Replace),
        Field::managed("sources").shaped(Shape::Set),
        // Each rule has one of the two.
        Field::if_set("ports").shaped(Shape::Set),
        Field::if_set(PROBED).on_change(Change::Replace).shaped(Shape::Set),
        Field::managed("destinations").shaped(Shape::Set),
        // Those of forwarders instead of all machines, or the other way: those of before are let through until they have gone.
        Field::managed("target_tags").on_change(Change::Replace).shaped(Shape::Set),
        Field::managed("priority"),
        Field::managed("disabled"),
        // Nothing refers to a firewall rule: of two that a run which was cut short left, this tells which one lets through what is asked.
        Field::telling("serves", Traffic::Serves),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 50,
    severs: true,
    serialized_by: &[],
    telling: &[],
};

pub(crate) fn lower(lowering: &mut Lowering<'_>) {
    let Some(made) = lowering.made() else {
        say_who_lets_the_clients_in(lowering);
        return;
    };
    let network = lowering.network(made.network.as_str());
    let all_ports = made.all_ports;
    let served: BTreeSet<String> = listens(&made.backend).map(|port| port.to_string()).collect();
    let checked = health_check::wanted(lowering, &made.backend).port.to_string();
    let target_tags: BTreeSet<String> = match made.backend {
        GcpBackend::Direct { .. } => BTreeSet::new(),
        GcpBackend::Forwarder { .. } => BTreeSet::from([instance_template::tag(
            lowering.spec.deployment.as_str(),
            lowering.service.name.as_str(),
        )]),
    };
    let mut sources = nat_subnet::ranges(lowering);
    sources.extend(lowering.facts.subnets.get(made.subnet.as_str()).map(|subnet| subnet.cidr.clone()));
    let rule = |sources: BTreeSet<String>, ports: BTreeSet<String>| Firewall {
        network: network.clone(),
        sources,
        ports,
        destinations: BTreeSet::new(),
        target_tags: target_tags.clone(),
        priority: PRIORITY,
        disabled: false,
    };
    let clients = rule(sources, if all_ports { BTreeSet::new() } else { served });
    let probers =
        rule(probers::GCP.iter().map(|range| (*range).to_owned()).collect(), BTreeSet::from([checked]));
    let to = in_the_network(&network);
    for (name, typed) in [(CLIENTS, clients), (PROBERS, probers)] {
        let address = lowering.address(KIND.name, name);
        lowering.want(address, to.clone(), told(name, fields::of(&typed)), BTreeSet::new());
    }
}

/// To a load balancer of the user's no rule of ours leads: machines of his own are not opened by the way. Said of each range that is new.
fn say_who_lets_the_clients_in(lowering: &mut Lowering<'_>) {
    let GcpForm::OnForwardingRule(on) = &lowering.gcp.form else { return };
    let made: Vec<String> = nat_subnet::addresses(lowering)
        .into_iter()
        .zip(&on.attachment.nat_subnets)
        .filter(|(address, _)| lowering.world.at(address).is_none())
        .filter_map(|(_, subnet)| match subnet {
            GcpNatSubnet::Create { cidr } => Some(cidr.to_string()),
            GcpNatSubnet::Existing(_) => None,
        })
        .collect();
    if !made.is_empty() {
        lowering.lowered.warnings.push(format!("{}: {}", lowering.service.name, let_in(&made, on)));
    }
}

/// What the user is to do, so that consumers reach a load balancer of his
/// (<https://cloud.google.com/vpc/docs/configure-private-service-connect-producer>).
pub(crate) fn let_in(ranges: &[String], on: &GcpOnForwardingRule) -> String {
    format!(
        "let {} reach the machines behind the forwarding rule `{}` (behind a proxy, its proxy-only subnet): privnet makes no firewall rule for a load balancer of yours",
        ranges.join(", "),
        on.forwarding_rule
    )
}

/// The fields of the rule of this name.
fn told(name: &str, mut fields: Fields) -> Fields {
    if name == PROBERS
        && let Some(ports) = fields.remove("ports")
    {
        fields.insert(PROBED.to_owned(), ports);
    }
    fields
}

/// The ports that consumers connect to.
pub(crate) fn listens(backend: &GcpBackend) -> Box<dyn Iterator<Item = privnet_core::spec::Port> + '_> {
    match backend {
        GcpBackend::Direct { ports, .. } => Box::new(ports.iter().map(|port| port.listen)),
        GcpBackend::Forwarder { ports, .. } => Box::new(ports.iter().map(|port| port.listen)),
    }
}

pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let fields = |json: &Json| fields::of(&read(json));
    let live = super::live_of(snapshot, Collection::Firewalls, &KIND, fields, |_| Fields::new());
    let asked = asked(snapshot);
    let each = live.into_iter().map(|rule| {
        let mut fields = told(&rule.address.name, rule.fields);
        let serves = serves(&rule.address.service, &fields, &asked);
        fields.insert("serves".to_owned(), Value::Int(i64::from(serves)));
        Live { fields, ..rule }
    });
    each.collect()
}

/// The services and the ports at which the checks of their backend services ask.
fn asked(snapshot: &Snapshot<'_>) -> BTreeSet<(String, i64)> {
    let services = snapshot.claimed(Collection::BackendServices, backend_service::KIND.name).into_iter();
    let each = services.flat_map(|(claim, json)| {
        let checks = list(json, "healthChecks").iter().filter_map(Json::as_str);
        let checks = checks.filter_map(|url| snapshot.by_name(Collection::HealthChecks, path::name(url)));
        checks.map(move |check| (claim.address.service.clone(), health_check::port(check)))
    });
    each.collect()
}

/// Whether a rule of a service lets through what comes now: any clients, or probers at a port where a check asks.
fn serves(service: &str, fields: &Fields, asked: &BTreeSet<(String, i64)>) -> bool {
    let Some(probed) = fields.get(PROBED).and_then(Value::as_list) else { return true };
    let asks = |port: &str| asked.iter().any(|(of, at)| of == service && *at.to_string() == *port);
    // Without ports it is for all of them.
    probed.is_empty() || probed.iter().filter_map(Value::as_text).any(asks)
}

fn read(json: &Json) -> Firewall {
    let allowed = list(json, "allowed");
    let (tcp, others): (Vec<&Json>, Vec<&Json>) =
        allowed.iter().partition(|rule| text(rule, "IPProtocol") == Some("tcp"));
    // A rule without ports stands for all of them.
    let all_beside = tcp.len() > 1 && tcp.iter().any(|rule| list(rule, "ports").is_empty());
    let protocols = others.iter().filter_map(|rule| text(rule, "IPProtocol"));
    // What somebody opened besides stands among the ports and sources, where it is never wanted.
    let mut ports: BTreeSet<String> = protocols.map(|protocol| format!("protocol {protocol}")).collect();
    ports.extend(all_beside.then(|| "all ports of tcp".to_owned()));
    ports.extend(tcp.iter().flat_map(|rule| texts(rule, "ports")));
    let mut sources: BTreeSet<String> = texts(json, "sourceRanges").into_iter().collect();
    for (key, what) in SOURCES {
        sources.extend(texts(json, key).iter().map(|source| format!("{what} {source}")));
    }
    Firewall {
        network: text(json, "network").map(path::of).unwrap_or_default(),
        sources,
        ports,
        destinations: texts(json, "destinationRanges").into_iter().collect(),
        target_tags: texts(json, "targetTags").into_iter().collect(),
        priority: number(json, "priority").unwrap_or(PRIORITY),
        disabled: flag(json, "disabled"),
    }
}

fn body(name: &str, wanted: &Firewall) -> Json {
    let mut allowed = json!({ "IPProtocol": "tcp" });
    if let (false, Some(rule)) = (wanted.ports.is_empty(), allowed.as_object_mut()) {
        rule.insert("ports".to_owned(), json!(wanted.ports));
    }
    json!({ "name": name, "network": wanted.network, "direction": "INGRESS", "allowed": [allowed],
        "sourceRanges": wanted.sources, "priority": wanted.priority, "disabled": wanted.disabled })
}

pub(crate) async fn create(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: Firewall = fields::typed(KIND.name, act.step.fields)?;
    let project = path::after(&wanted.network, "projects").unwrap_or_default().to_owned();
    let at = At { collection: Collection::Firewalls, project, place: String::new(), name: act.name() };
    let mut body = body(&at.name, &wanted);
    body["description"] = json!(act.marker_in(&at.project));
    if !wanted.target_tags.is_empty() {
        body["targetTags"] = json!(wanted.target_tags);
    }
    Ok(super::applied(&act.create(&at, &body).await?))
}

pub(crate) async fn update(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: Firewall = fields::typed(KIND.name, act.step.fields)?;
    let at = act.there(Collection::Firewalls)?;
    let found = act
        .merge(&at, |latest| {
            if read(latest) == wanted {
                return Ok(None);
            }
            let mut body = body(&at.name, &wanted);
            // What somebody added is taken away again: an empty list clears.
            body["destinationRanges"] = json!(wanted.destinations);
            body["targetTags"] = json!(wanted.target_tags);
            for (key, _) in SOURCES.iter().filter(|(key, _)| !list(latest, key).is_empty()) {
                body[*key] = json!([]);
            }
            Ok(Some(body))
        })
        .await?;
    Ok(super::applied(&found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_probers_are_a_field_of_their_own() {
        let rule = json!({ "allowed": [{ "IPProtocol": "tcp", "ports": ["8008"] }] });
        for (name, field, other) in [(CLIENTS, "ports", PROBED), (PROBERS, PROBED, "ports")] {
            let fields = told(name, fields::of(&read(&rule)));
            assert!(fields.contains_key(field) && !fields.contains_key(other), "{name}: {fields:?}");
            assert!(KIND.field(field).is_some());
            assert_eq!(fields::typed::<Firewall>(KIND.name, &fields).expect("the same"), read(&rule));
        }
    }

    #[test]
    fn the_probers_rule_in_force_is_the_one_of_the_port_that_is_asked() {
        let asked = BTreeSet::from([("orders".to_owned(), 5432), ("other".to_owned(), 8008)]);
        let rule = |name: &str, port: &str| {
            let tcp = json!({ "allowed": [{ "IPProtocol": "tcp", "ports": [port] }] });
            serves("orders", &told(name, fields::of(&read(&tcp))), &asked)
        };
        assert!(rule(PROBERS, "5432") && rule(CLIENTS, "5432") && rule(CLIENTS, "8008"));
        assert!(!rule(PROBERS, "8008"), "only another service asks there");
    }

    #[test]
    fn what_somebody_opened_besides_is_seen() {
        let read = |more: Json, tags: Json| {
            read(&json!({ "network": "projects/p/global/networks/n", "sourceTags": tags,
                "allowed": [{ "IPProtocol": "tcp", "ports": ["5432"] }, more] }))
        };
        let words = |found: &BTreeSet<String>| found.iter().cloned().collect::<Vec<_>>().join(", ");
        let found = read(json!({ "IPProtocol": "all" }), json!(["web"]));
        assert_eq!(
            (words(&found.ports).as_str(), words(&found.sources).as_str()),
            ("5432, protocol all", "tag web")
        );
        assert_eq!(words(&read(json!({ "IPProtocol": "tcp" }), json!([])).ports), "5432, all ports of tcp");
        let own = read(json!({ "IPProtocol": "tcp", "ports": ["5433"] }), json!([]));
        assert_eq!(words(&own.ports), "5432, 5433");
    }
}
