//! Probes and rules, with their defaults as recorded.

use serde_json::Value;

use super::super::{default, take_list};
use crate::azure::error::ArmError;
use crate::azure::id::ResourceId;
use crate::azure::kind::{Put, linked};
use crate::azure::world::Resource;

/// Checks and completes the probes of a draft.
pub(super) fn complete_probes(balancer: &ResourceId, properties: &mut Value) -> Result<(), ArmError> {
    let mut probes = take_list(properties, "probes");
    for probe in &mut probes {
        let id = balancer.child("probes", probe["name"].as_str().unwrap_or_default());
        let properties = &mut probe["properties"];
        let bad = |code: &str, why: &str| Err(ArmError::invalid(code, format!("Probe {id} {why}.")));
        if !properties["port"].as_i64().is_some_and(|port| (1..=65535).contains(&port)) {
            return bad("ProbePortOutOfRange", "must have a port from 1 to 65535");
        }
        default(properties, "protocol", "Tcp");
        let http = properties["protocol"] != "Tcp";
        let path = properties["requestPath"].as_str().is_some_and(|path| !path.is_empty());
        if http && !path {
            return bad("ProbeRequestPathMissing", "must have a requestPath for its protocol");
        }
        if !http && path {
            return bad("ProbeRequestPathNotAllowed", "must not have a requestPath for protocol Tcp");
        }
        default(properties, "intervalInSeconds", 15);
        default(properties, "numberOfProbes", 2);
        default(properties, "probeThreshold", 1);
        if properties["intervalInSeconds"].as_i64().is_some_and(|seconds| seconds < 5) {
            return bad("ProbeIntervalOutOfRange", "must have an interval of at least 5 seconds");
        }
    }
    properties["probes"] = Value::Array(probes);
    Ok(())
}

/// What a rule tells of itself, as recorded; the last two are in no published model.
const RULE_FLAGS: [&str; 4] =
    ["enableFloatingIP", "enableTcpReset", "allowBackendPortConflict", "enableDestinationServiceEndpoint"];

/// Checks and completes the rules of a draft.
pub(super) fn complete_rules(
    put: &Put<'_>,
    draft: &Resource,
    properties: &mut Value,
) -> Result<(), ArmError> {
    for kind in ["loadBalancingRules", "inboundNatRules", "outboundRules", "inboundNatPools"] {
        let mut rules = take_list(properties, kind);
        for rule in &mut rules {
            let id = put.id.child(kind, rule["name"].as_str().unwrap_or_default());
            let rule = &mut rule["properties"];
            let of = |segment: &str| format!("Microsoft.Network/loadBalancers/{segment}");
            put.link(draft, rule, "frontendIPConfiguration", &of("frontendIPConfigurations"))?;
            put.links(draft, rule, "frontendIPConfigurations", &of("frontendIPConfigurations"))?;
            put.links(draft, rule, "backendAddressPools", &of("backendAddressPools"))?;
            put.link(draft, rule, "backendAddressPool", &of("backendAddressPools"))?;
            put.link(draft, rule, "probe", &of("probes"))?;
            // One pool of the newer list is the pool of the older property too.
            if rule.get("backendAddressPool").is_none()
                && rule["backendAddressPools"].as_array().is_some_and(|l| l.len() == 1)
            {
                rule["backendAddressPool"] = rule["backendAddressPools"][0].clone();
            }
            if let Some(map) = rule.as_object_mut() {
                map.retain(|_, value| !value.is_null());
            }
            if kind == "loadBalancingRules" {
                complete_rule(&id, rule)?;
            } else if kind.starts_with("inboundNat") {
                default(rule, "idleTimeoutInMinutes", 4);
                for name in RULE_FLAGS {
                    default(rule, name, false);
                }
            }
        }
        if kind == "loadBalancingRules" {
            check_ports(put.id, &rules)?;
        }
        properties[kind] = Value::Array(rules);
    }
    Ok(())
}

fn complete_rule(id: &ResourceId, rule: &mut Value) -> Result<(), ArmError> {
    let bad =
        |code: &str, why: &str| Err(ArmError::invalid(code, format!("Load balancing rule {id} {why}.")));
    if linked(&rule["frontendIPConfiguration"]).is_none() {
        return bad(
            "LoadBalancingRuleMustHaveFrontendIPConfiguration",
            "must reference a frontend IP configuration",
        );
    }
    let Some(protocol) = rule["protocol"].as_str().map(str::to_owned) else {
        return bad("LoadBalancingRuleProtocolMissing", "must have a protocol");
    };
    for port in ["frontendPort", "backendPort"] {
        let least = i64::from(protocol != "All");
        if !rule[port].as_i64().is_some_and(|number| (least..=65535).contains(&number)) {
            return bad(
                "LoadBalancingRulePortOutOfRange",
                &format!("must have a {port} from {least} to 65535"),
            );
        }
    }
    default(rule, "idleTimeoutInMinutes", 4);
    for name in RULE_FLAGS {
        default(rule, name, false);
    }
    default(rule, "loadDistribution", "Default");
    default(rule, "disableOutboundSnat", false);
    if !rule["idleTimeoutInMinutes"].as_i64().is_some_and(|minutes| (4..=100).contains(&minutes)) {
        return bad(
            "LoadBalancingRuleIdleTimeoutOutOfRange",
            "must have an idle timeout from 4 to 100 minutes",
        );
    }
    Ok(())
}

/// Two rules may share neither a frontend's port nor, without floating IP, a pool's.
fn check_ports(balancer: &ResourceId, rules: &[Value]) -> Result<(), ArmError> {
    let id = |rule: &Value| balancer.child("loadBalancingRules", rule["name"].as_str().unwrap_or_default());
    for (index, rule) in rules.iter().enumerate() {
        for other in rules.iter().take(index) {
            let (a, b) = (&rule["properties"], &other["properties"]);
            let same = |name: &str| a[name] == b[name];
            if same("frontendIPConfiguration") && same("frontendPort") && same("protocol") {
                return Err(ArmError::invalid(
                    "RulesUseSameFrontendPortProtocolAndIPConfig",
                    format!(
                        "Load balancing rules {} and {} use the same protocol and frontend port.",
                        id(other),
                        id(rule)
                    ),
                ));
            }
            let floating = a["enableFloatingIP"] == true || b["enableFloatingIP"] == true;
            let pooled = linked(&a["backendAddressPool"]).is_some() && same("backendAddressPool");
            if pooled && !floating && same("backendPort") && same("protocol") {
                return Err(ArmError::invalid(
                    "RulesUseSameBackendPortProtocolAndPool",
                    format!(
                        "Load balancing rules {} and {} with floating IP disabled use the same protocol {} and backend port \
                         {}, and must not be used with the same backend address pool {}.",
                        id(other),
                        id(rule),
                        a["protocol"].as_str().unwrap_or_default(),
                        a["backendPort"],
                        a["backendAddressPool"]["id"].as_str().unwrap_or_default()
                    ),
                ));
            }
        }
    }
    Ok(())
}
