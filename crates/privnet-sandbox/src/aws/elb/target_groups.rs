//! Target groups.
//!
//! Sources: ELBv2 API reference of CreateTargetGroup, ModifyTargetGroup, DescribeTargetGroups, DeleteTargetGroup.

use serde::Deserialize;
use serde_json::{Value, json};

use super::lookup::{check_name, invalid, load_balancer, no_target_group, target_group, validation};
use super::tagging::{TagInput, checked, write};
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::ids::hex;
use crate::aws::page::page;
use crate::aws::world::{HealthCheck, TargetGroup, World};

/// How many target groups an account may have in a region.
pub(super) const QUOTA: usize = 3000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    name: String,
    protocol: Option<String>,
    port: Option<i64>,
    vpc_id: Option<String>,
    target_type: Option<String>,
    ip_address_type: Option<String>,
    #[serde(default)]
    tags: Vec<TagInput>,
    #[serde(flatten)]
    check: CheckInput,
}

/// The health-check part of create and modify.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct CheckInput {
    health_check_protocol: Option<String>,
    health_check_port: Option<String>,
    health_check_path: Option<String>,
    health_check_enabled: Option<bool>,
    health_check_interval_seconds: Option<i64>,
    health_check_timeout_seconds: Option<i64>,
    healthy_threshold_count: Option<i64>,
    unhealthy_threshold_count: Option<i64>,
    matcher: Option<Matcher>,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "PascalCase")]
struct Matcher {
    http_code: Option<String>,
}

fn is_http(protocol: &str) -> bool {
    matches!(protocol, "HTTP" | "HTTPS")
}

impl CheckInput {
    /// What is given over what was, with the defaults of network load balancers.
    fn over(&self, old: Option<&HealthCheck>) -> Result<HealthCheck, ApiError> {
        let protocol = self.health_check_protocol.clone().or(old.map(|old| old.protocol.clone()));
        let protocol = protocol.unwrap_or_else(|| "TCP".to_owned());
        if !is_http(&protocol) && protocol != "TCP" {
            return Err(invalid(format!("Health check protocol '{protocol}' is not supported")));
        }
        let http = is_http(&protocol);
        let kept = |value: Option<String>, old: Option<String>, default: &str| {
            http.then(|| value.or(old).unwrap_or_else(|| default.to_owned()))
        };
        let codes = self.matcher.clone().and_then(|matcher| matcher.http_code);
        if !http && (self.health_check_path.is_some() || codes.is_some()) {
            return Err(invalid(
                "Health check path and matcher need a health check protocol of HTTP or HTTPS",
            ));
        }
        let number = |value: Option<i64>, old: Option<i64>, default: i64| value.or(old).unwrap_or(default);
        let check = HealthCheck {
            port: self
                .health_check_port
                .clone()
                .or(old.map(|old| old.port.clone()))
                .unwrap_or_else(|| "traffic-port".to_owned()),
            path: kept(self.health_check_path.clone(), old.and_then(|old| old.path.clone()), "/"),
            codes: kept(codes, old.and_then(|old| old.codes.clone()), "200-399"),
            interval: number(self.health_check_interval_seconds, old.map(|old| old.interval), 30),
            timeout: number(
                self.health_check_timeout_seconds,
                old.map(|old| old.timeout),
                if http { 6 } else { 10 },
            ),
            healthy: number(self.healthy_threshold_count, old.map(|old| old.healthy), 5),
            unhealthy: number(self.unhealthy_threshold_count, old.map(|old| old.unhealthy), 2),
            protocol,
        };
        self.validated(check)
    }

    fn validated(&self, check: HealthCheck) -> Result<HealthCheck, ApiError> {
        let port_ok = check.port == "traffic-port" || check.port.parse::<u16>().is_ok_and(|port| port > 0);
        if !port_ok {
            return Err(validation(format!(
                "Health check port '{}' must be 'traffic-port' or a port",
                check.port
            )));
        }
        if check.timeout > check.interval {
            let why = "Health check timeout must be smaller than or equal to the health check interval";
            return Err(validation(why));
        }
        if self.health_check_enabled == Some(false) {
            return Err(validation("Health checks cannot be disabled for target types other than lambda"));
        }
        if check.path.as_ref().is_some_and(|path| !path.starts_with('/')) {
            return Err(validation("Health check path must begin with a '/' character"));
        }
        Ok(check)
    }
}

pub(super) fn create(tx: &mut Tx, call: &Call) -> Reply {
    let input: Create = call.input()?;
    check_name("Target group", &input.name)?;
    let target_type = input.target_type.clone().unwrap_or_else(|| "instance".to_owned());
    let (Some(protocol), Some(port), Some(vpc)) = (input.protocol, input.port, input.vpc_id) else {
        return Err(validation("A protocol, a port and a VPC ID must be specified"));
    };
    if target_type == "lambda"
        || !matches!(protocol.as_str(), "TCP" | "TLS" | "UDP" | "TCP_UDP" | "HTTP" | "HTTPS")
    {
        return Err(invalid(format!("This sandbox has no target groups of {target_type} and {protocol}")));
    }
    if target_type == "alb" && protocol != "TCP" {
        return Err(invalid("Target groups of type 'alb' must use the protocol 'TCP'"));
    }
    if tx.vpcs.get(&vpc).is_none_or(|found| found.scope != call.scope) {
        return Err(validation(format!("The VPC ID '{vpc}' is not found")));
    }
    let tags = checked(&input.tags)?;
    let group = TargetGroup {
        scope: call.scope.clone(),
        arn: call.arn("elasticloadbalancing", &format!("targetgroup/{}/{}", input.name, hex(16))),
        name: input.name,
        port,
        vpc,
        ip_type: input.ip_address_type.unwrap_or_else(|| "ipv4".to_owned()),
        check: input.check.over(None)?,
        attributes: super::target_group_defaults(&target_type, &protocol),
        targets: Vec::new(),
        created: call.now,
        protocol,
        target_type,
    };
    if let Some(existing) =
        tx.target_groups.values().find(|tg| tg.scope == call.scope && tg.name == group.name)
    {
        return if same_settings(existing, &group) {
            Ok(json!({"TargetGroups": [show(tx, existing)]}))
        } else {
            let why = format!(
                "A target group with the same name '{}' exists, but with different settings",
                group.name
            );
            Err(ApiError::new("DuplicateTargetGroupName", why))
        };
    }
    if tx.target_groups.values().filter(|tg| tg.scope == call.scope).count() >= QUOTA {
        return Err(ApiError::new("TooManyTargetGroups", "The quota of target groups is reached"));
    }
    write(tx, call, &group.arn, &tags);
    let shown = show(tx, &group);
    tx.target_groups.insert(group.arn.clone(), group);
    Ok(json!({"TargetGroups": [shown]}))
}

fn same_settings(one: &TargetGroup, other: &TargetGroup) -> bool {
    (&one.protocol, one.port, &one.vpc, &one.target_type, &one.ip_type, &one.check)
        == (&other.protocol, other.port, &other.vpc, &other.target_type, &other.ip_type, &other.check)
}

/// A target group as answers show it.
fn show(world: &World, group: &TargetGroup) -> Value {
    let mut balancers: Vec<&str> = world.listeners_to(&group.arn).map(|l| l.load_balancer.as_str()).collect();
    balancers.sort_unstable();
    balancers.dedup();
    let check = &group.check;
    json!({
        "TargetGroupArn": group.arn,
        "TargetGroupName": group.name,
        "Protocol": group.protocol,
        "Port": group.port,
        "VpcId": group.vpc,
        "HealthCheckProtocol": check.protocol,
        "HealthCheckPort": check.port,
        "HealthCheckEnabled": true,
        "HealthCheckIntervalSeconds": check.interval,
        "HealthCheckTimeoutSeconds": check.timeout,
        "HealthyThresholdCount": check.healthy,
        "UnhealthyThresholdCount": check.unhealthy,
        "HealthCheckPath": check.path,
        "Matcher": check.codes.as_ref().map(|codes| json!({"HttpCode": codes})),
        "LoadBalancerArns": balancers,
        "TargetType": group.target_type,
        "IpAddressType": group.ip_type,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    load_balancer_arn: Option<String>,
    #[serde(default)]
    target_group_arns: Vec<String>,
    #[serde(default)]
    names: Vec<String>,
    marker: Option<String>,
    page_size: Option<usize>,
}

pub(super) fn describe(tx: &mut Tx, call: &Call) -> Reply {
    let input: Describe = call.input()?;
    let given =
        [input.load_balancer_arn.is_some(), !input.target_group_arns.is_empty(), !input.names.is_empty()];
    if given.iter().filter(|given| **given).count() > 1 {
        return Err(validation(
            "Only one of load balancer ARN, target group ARNs and names can be specified",
        ));
    }
    let mut found: Vec<&TargetGroup> =
        tx.target_groups.values().filter(|tg| tg.scope == call.scope).collect();
    if let Some(arn) = input.target_group_arns.iter().find(|arn| !found.iter().any(|tg| tg.arn == **arn)) {
        return Err(no_target_group(arn));
    }
    if let Some(name) = input.names.iter().find(|name| !found.iter().any(|tg| tg.name == **name)) {
        return Err(ApiError::new("TargetGroupNotFound", format!("Target groups '[{name}]' not found")));
    }
    if let Some(arn) = &input.load_balancer_arn {
        load_balancer(tx, call, arn)?;
        found.retain(|tg| tx.listeners_to(&tg.arn).any(|listener| listener.load_balancer == *arn));
    } else {
        let all = !given[1] && !given[2];
        found.retain(|tg| {
            (all && call.listed(tg.created))
                || input.target_group_arns.contains(&tg.arn)
                || input.names.contains(&tg.name)
        });
    }
    let key = |tg: &&TargetGroup| tg.arn.clone();
    let page = page(found, key, call, input.page_size, input.marker.as_deref())?;
    let shown: Vec<Value> = page.items.iter().map(|tg| show(tx, tg)).collect();
    Ok(json!({"TargetGroups": shown, "NextMarker": page.next}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Modify {
    target_group_arn: String,
    #[serde(flatten)]
    check: CheckInput,
}

pub(super) fn modify(tx: &mut Tx, call: &Call) -> Reply {
    let input: Modify = call.input()?;
    let check = input.check.over(Some(&target_group(tx, call, &input.target_group_arn)?.check))?;
    if let Some(group) = tx.target_groups.get_mut(&input.target_group_arn) {
        group.check = check;
    }
    let shown = show(tx, target_group(tx, call, &input.target_group_arn)?);
    Ok(json!({"TargetGroups": [shown]}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    target_group_arn: String,
}

/// Deleting one that is not there succeeds.
pub(super) fn delete(tx: &mut Tx, call: &Call) -> Reply {
    let Delete { target_group_arn: arn } = call.input()?;
    match target_group(tx, call, &arn) {
        Ok(_) => {}
        Err(error) if error.code == "TargetGroupNotFound" => return Ok(json!({})),
        Err(error) => return Err(error),
    }
    if tx.listeners_to(&arn).next().is_some() {
        let why = format!("Target group '{arn}' is currently in use by a listener or a rule");
        return Err(ApiError::new("ResourceInUse", why));
    }
    tx.target_groups.remove(&arn);
    tx.tags.forget(&arn);
    Ok(json!({}))
}
