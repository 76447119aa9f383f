//! Attributes of load balancers, target groups and listeners: their defaults, and which values they take.
//!
//! Sources: ELBv2 API reference of LoadBalancerAttribute, TargetGroupAttribute, ListenerAttribute; NLB user guide.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::lookup::{invalid, listener, load_balancer, target_group};
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};

type Attributes = BTreeMap<String, String>;

fn attributes(pairs: &[(&str, &str)]) -> Attributes {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A new network load balancer's attributes.
pub(crate) fn load_balancer_defaults() -> Attributes {
    attributes(&[
        ("access_logs.s3.bucket", ""),
        ("access_logs.s3.enabled", "false"),
        ("access_logs.s3.prefix", ""),
        ("deletion_protection.enabled", "false"),
        ("dns_record.client_routing_policy", "any_availability_zone"),
        ("ipv6.deny_all_igw_traffic", "false"),
        ("load_balancing.cross_zone.enabled", "false"),
        ("secondary_ips.auto_assigned.per_subnet", "0"),
        ("zonal_shift.config.enabled", "false"),
    ])
}

/// A new target group's attributes. Client addresses are kept by default, but not for IP targets over TCP and TLS.
pub(crate) fn target_group_defaults(target_type: &str, protocol: &str) -> Attributes {
    let keeps_client = !(target_type == "ip" && matches!(protocol, "TCP" | "TLS"));
    attributes(&[
        ("deregistration_delay.connection_termination.enabled", "false"),
        ("deregistration_delay.timeout_seconds", "300"),
        ("load_balancing.cross_zone.enabled", "use_load_balancer_configuration"),
        ("preserve_client_ip.enabled", if keeps_client { "true" } else { "false" }),
        ("proxy_protocol_v2.enabled", "false"),
        ("stickiness.enabled", "false"),
        ("stickiness.type", "source_ip"),
        ("target_group_health.dns_failover.minimum_healthy_targets.count", "1"),
        ("target_group_health.dns_failover.minimum_healthy_targets.percentage", "off"),
        ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1"),
        ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off"),
        ("target_health_state.unhealthy.connection_termination.enabled", "true"),
        ("target_health_state.unhealthy.draining_interval_seconds", "0"),
    ])
}

/// A new TCP listener's attributes; TLS listeners have none.
pub(crate) fn listener_defaults() -> Attributes {
    attributes(&[("tcp.idle_timeout.seconds", "350")])
}

fn is_flag(value: &str) -> bool {
    matches!(value, "true" | "false")
}

fn is_between(value: &str, low: i64, high: i64) -> bool {
    value.parse::<i64>().is_ok_and(|number| (low..=high).contains(&number))
}

/// Whether an attribute takes a value.
fn takes(key: &str, value: &str) -> bool {
    match key {
        "access_logs.s3.bucket" | "access_logs.s3.prefix" => true,
        "deregistration_delay.timeout_seconds" => is_between(value, 0, 3600),
        "dns_record.client_routing_policy" => matches!(
            value,
            "any_availability_zone" | "availability_zone_affinity" | "partial_availability_zone_affinity"
        ),
        "load_balancing.cross_zone.enabled" => is_flag(value) || value == "use_load_balancer_configuration",
        "secondary_ips.auto_assigned.per_subnet" => is_between(value, 0, 7),
        "stickiness.type" => value == "source_ip",
        "target_health_state.unhealthy.draining_interval_seconds" => is_between(value, 0, 360_000),
        "tcp.idle_timeout.seconds" => is_between(value, 60, 6000),
        key if key.ends_with(".count") => value == "off" || is_between(value, 1, 1000),
        key if key.ends_with(".percentage") => value == "off" || is_between(value, 1, 100),
        _ => is_flag(value),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    key: Option<String>,
    value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    #[serde(alias = "LoadBalancerArn", alias = "TargetGroupArn", alias = "ListenerArn")]
    arn: String,
    #[serde(default)]
    attributes: Vec<Attribute>,
}

fn show(attributes: &Attributes) -> Value {
    let list: Vec<Value> =
        attributes.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    json!({"Attributes": list})
}

/// Writes what is asked for into the attributes that there are, all or nothing.
fn merged(old: &Attributes, input: &Input) -> Result<Attributes, ApiError> {
    let mut new = old.clone();
    if input.attributes.is_empty() {
        return Err(invalid("At least one attribute must be specified"));
    }
    for attribute in &input.attributes {
        let key = attribute.key.clone().unwrap_or_default();
        let value = attribute.value.clone().unwrap_or_default();
        if !old.contains_key(&key) {
            return Err(invalid(format!("The attribute key '{key}' is not recognized or not supported")));
        }
        if !takes(&key, &value) {
            return Err(invalid(format!("The value '{value}' of the attribute '{key}' is not valid")));
        }
        new.insert(key, value);
    }
    Ok(new)
}

pub(super) fn describe_load_balancer(tx: &mut Tx, call: &Call) -> Reply {
    let input: Input = call.input()?;
    Ok(show(&load_balancer(tx, call, &input.arn)?.attributes))
}

pub(super) fn modify_load_balancer(tx: &mut Tx, call: &Call) -> Reply {
    let input: Input = call.input()?;
    let new = merged(&load_balancer(tx, call, &input.arn)?.attributes, &input)?;
    if new.get("load_balancing.cross_zone.enabled").is_some_and(|value| !is_flag(value)) {
        return Err(invalid("A load balancer's load_balancing.cross_zone.enabled is true or false"));
    }
    if let Some(balancer) = tx.load_balancers.get_mut(&input.arn) {
        balancer.attributes.clone_from(&new);
    }
    Ok(show(&new))
}

pub(super) fn describe_target_group(tx: &mut Tx, call: &Call) -> Reply {
    let input: Input = call.input()?;
    Ok(show(&target_group(tx, call, &input.arn)?.attributes))
}

pub(super) fn modify_target_group(tx: &mut Tx, call: &Call) -> Reply {
    let input: Input = call.input()?;
    let group = target_group(tx, call, &input.arn)?;
    let new = merged(&group.attributes, &input)?;
    // UDP needs the client's address; TCP may do without it.
    let needs_client = matches!(group.protocol.as_str(), "UDP" | "TCP_UDP");
    if needs_client && new.get("preserve_client_ip.enabled").is_some_and(|value| value == "false") {
        return Err(invalid("Client IP preservation cannot be disabled for UDP and TCP_UDP target groups"));
    }
    if let Some(group) = tx.target_groups.get_mut(&input.arn) {
        group.attributes.clone_from(&new);
    }
    Ok(show(&new))
}

pub(super) fn describe_listener(tx: &mut Tx, call: &Call) -> Reply {
    let input: Input = call.input()?;
    Ok(show(&listener(tx, call, &input.arn)?.attributes))
}

pub(super) fn modify_listener(tx: &mut Tx, call: &Call) -> Reply {
    let input: Input = call.input()?;
    let new = merged(&listener(tx, call, &input.arn)?.attributes, &input)?;
    if let Some(listener) = tx.listeners.get_mut(&input.arn) {
        listener.attributes.clone_from(&new);
    }
    Ok(show(&new))
}
