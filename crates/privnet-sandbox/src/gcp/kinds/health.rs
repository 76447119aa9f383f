//! The health of backends: computed, as everything, from what there is and since when.
//!
//! A machine is healthy when it answers, a health check probes it, and firewall rules let Google's probers in
//! (35.191.0.0/16 and 130.211.0.0/22, from "Health check concepts"), for as long as the check's threshold takes. Probes
//! of a pass-through load balancer go to the forwarding rule's address: without a rule nothing is probed.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::body::{Body, Object};
use super::super::call::Call;
use super::super::error::ApiError;
use super::super::link;
use super::super::world::{Member, World, after};
use super::firewall::{self, Traffic};
use super::{health_check, instance};

const PROBERS: [&str; 2] = ["35.191.0.0/16", "130.211.0.0/22"];

/// What the probes of one forwarding rule find at one machine.
pub(crate) struct State {
    rule: String,
    rule_address: String,
    instance: String,
    address: String,
    port: Option<u16>,
    healthy: bool,
}

impl State {
    /// As the API writes it.
    pub(crate) fn shown(&self) -> &'static str {
        if self.healthy { "HEALTHY" } else { "UNHEALTHY" }
    }
}

/// `getHealth` of one group of a backend service.
pub(crate) fn of_group(world: &World, call: &Call) -> Result<Value, ApiError> {
    let service = call.target(world);
    let record = world.get(&service)?;
    let reference = call.body.text("group").ok_or_else(|| ApiError::required("resource.group"))?;
    let (group, found) = world.refer(
        &call.project,
        "resource.group",
        reference,
        &["networkEndpointGroups", "instanceGroups"],
    )?;
    let url = link::url(&group);
    if !record.body.items("backends").iter().any(|backend| backend["group"] == url.as_str()) {
        return Err(ApiError::field(
            "resource.group",
            reference,
            "The group is not a backend of the backend service.",
        ));
    }
    let mut answer = json!({ "kind": "compute#backendServiceGroupHealth" });
    let states: Vec<Value> = found
        .members
        .iter()
        .flat_map(|member| states(world, &service, member, call.now))
        .map(|state| {
            let mut shown = json!({
                "instance": link::url(&state.instance),
                "ipAddress": state.address,
                "healthState": state.shown(),
                "forwardingRule": link::url(&state.rule),
                "forwardingRuleIp": state.rule_address,
            });
            if let Some(port) = state.port {
                shown["port"] = json!(port);
            }
            shown
        })
        .collect();
    if !states.is_empty() {
        answer["healthStatus"] = json!(states);
    }
    Ok(answer)
}

/// The backend services that a group is a backend of.
pub(crate) fn services_of(world: &World, group: &str) -> Vec<String> {
    let url = link::url(group);
    world
        .resources
        .iter()
        .filter(|(path, record)| {
            path.contains("/backendServices/")
                && record.body.items("backends").iter().any(|backend| backend["group"] == url.as_str())
        })
        .map(|(path, _)| path.clone())
        .collect()
}

/// The states of a machine behind a backend service, one for each forwarding rule.
pub(crate) fn states(world: &World, service: &str, member: &Member, now: Timestamp) -> Vec<State> {
    let (Some(machine), Some(backend)) =
        (world.resources.get(&member.instance), world.resources.get(service))
    else {
        return Vec::new();
    };
    let Some((network, _, primary)) = instance::interface(machine) else { return Vec::new() };
    let check = backend
        .body
        .texts("healthChecks")
        .into_iter()
        .next()
        .and_then(|url| world.resources.get(link::path(&url)));
    let Some(check) = check else { return Vec::new() };
    let address = member.address.clone().unwrap_or_else(|| primary.to_owned());
    let tags = instance::tags(machine);
    let url = link::url(service);
    let rules = world.resources.iter().filter(|(path, rule)| {
        path.contains("/forwardingRules/") && rule.body.text("backendService") == Some(url.as_str())
    });
    rules
        .filter_map(|(path, rule)| {
            let rule_address = rule.body.text("IPAddress")?;
            let port =
                health_check::port(&check.body).or_else(|| rule.body.texts("ports").first()?.parse().ok());
            let open =
                port.and_then(|port| open_since(world, network, rule_address.parse().ok()?, port, &tags));
            let answers = instance::answers_since(machine);
            let since = open.zip(answers).map(|(open, answers)| {
                let first = [open, answers, member.since, rule.created].into_iter().max().unwrap_or(open);
                after(first, rise(&check.body))
            });
            let running = instance::status(world, machine, now) == "RUNNING";
            Some(State {
                rule: path.clone(),
                rule_address: rule_address.to_owned(),
                instance: member.instance.clone(),
                address: address.clone(),
                port,
                healthy: running && since.is_some_and(|since| now >= since),
            })
        })
        .collect()
}

fn rise(check: &Object) -> i64 {
    check.int("checkIntervalSec").unwrap_or(5) * check.int("healthyThreshold").unwrap_or(2)
}

fn open_since(world: &World, network: &str, to: Ipv4Addr, port: u16, tags: &[String]) -> Option<Timestamp> {
    let mut latest = None;
    for range in PROBERS {
        let from: Ipv4Net = range.parse().ok()?;
        let since = firewall::open_since(world, &Traffic { network, from, to, port, tags })?;
        latest = latest.max(Some(since));
    }
    latest
}
