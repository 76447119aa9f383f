//! Listeners.
//!
//! Sources: ELBv2 API reference of CreateListener, ModifyListener, DescribeListeners, DeleteListener; NLB user guide
//! "Listeners" (which protocols a target group may have) and "TLS listeners".

use serde::Deserialize;
use serde_json::{Value, json};

use super::lookup::{invalid, listener, load_balancer, no_listener, target_group, validation};
use super::tagging::{TagInput, checked, write};
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::ids::hex;
use crate::aws::page::page;
use crate::aws::world::{AlsoTo, Listener, LoadBalancer};

/// How many listeners a network load balancer may have.
const QUOTA: usize = 50;
/// The policy of a TLS listener that names none.
const DEFAULT_POLICY: &str = "ELBSecurityPolicy-2016-08";

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Input {
    load_balancer_arn: String,
    listener_arn: String,
    protocol: Option<String>,
    port: Option<i64>,
    ssl_policy: Option<String>,
    certificates: Option<Vec<Certificate>>,
    default_actions: Option<Vec<Action>>,
    alpn_policy: Option<Vec<String>>,
    tags: Vec<TagInput>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Certificate {
    certificate_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Action {
    #[serde(rename = "Type")]
    kind: String,
    target_group_arn: Option<String>,
    forward_config: Option<ForwardConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ForwardConfig {
    #[serde(default)]
    target_groups: Vec<ForwardTo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ForwardTo {
    target_group_arn: Option<String>,
    weight: Option<i64>,
}

/// The largest weight of a target group (TargetGroupTuple).
const HEAVIEST: i64 = 999;

/// The groups that the actions forward to, with their weights: one, or several by `ForwardConfig` (Action).
fn forwarded(actions: &[Action]) -> Result<Vec<(String, Option<i64>)>, ApiError> {
    let [action] = actions else { return Err(validation("Exactly one default action must be specified")) };
    if action.kind != "forward" {
        return Err(invalid(format!(
            "Network Load Balancers do not support actions of type '{}'",
            action.kind
        )));
    }
    let config = action.forward_config.as_ref().map(|config| config.target_groups.as_slice());
    let config: Vec<(String, Option<i64>)> = config
        .unwrap_or_default()
        .iter()
        .filter_map(|to| Some((to.target_group_arn.clone()?, to.weight)))
        .collect();
    if config.iter().any(|(_, weight)| weight.is_some_and(|weight| !(0..=HEAVIEST).contains(&weight))) {
        return Err(validation(format!("The weight of a target group must be between 0 and {HEAVIEST}")));
    }
    let twice =
        config.iter().enumerate().any(|(at, (arn, _))| config[..at].iter().any(|(other, _)| other == arn));
    match (&action.target_group_arn, config.as_slice()) {
        _ if twice => Err(validation("A target group must be specified once only")),
        (Some(arn), []) => Ok(vec![(arn.clone(), None)]),
        (Some(arn), [(one, weight)]) if one == arn => Ok(vec![(arn.clone(), *weight)]),
        (None, [_, ..]) => Ok(config),
        _ => Err(validation("A forward action needs a target group, or several by its ForwardConfig alone")),
    }
}

/// Sets where a listener forwards to. A group that it had before is checked on as before.
fn forward(
    listener: &mut Listener,
    to: Vec<(String, Option<i64>)>,
    old: Option<&Listener>,
    now: jiff::Timestamp,
) {
    let mut all = to.into_iter().map(|(target_group, weight)| {
        let attached = old.and_then(|old| old.forwards_since(&target_group)).unwrap_or(now);
        AlsoTo { target_group, weight, attached }
    });
    if let Some(first) = all.next() {
        (listener.target_group, listener.weight, listener.attached) =
            (first.target_group, first.weight, first.attached);
    }
    listener.also = all.collect();
}

pub(super) fn create(tx: &mut Tx, call: &Call) -> Reply {
    let input: Input = call.input()?;
    let balancer = load_balancer(tx, call, &input.load_balancer_arn)?.clone();
    let (Some(protocol), Some(port)) = (input.protocol.clone(), input.port) else {
        return Err(validation("A protocol and a port must be specified"));
    };
    let tags = checked(&input.tags)?;
    let suffix = balancer.suffix();
    let mut new = Listener {
        scope: call.scope.clone(),
        arn: call.arn("elasticloadbalancing", &format!("listener/{suffix}/{}", hex(16))),
        load_balancer: balancer.arn.clone(),
        attributes: attributes_of(&protocol),
        protocol,
        port,
        target_group: String::new(),
        certificates: Vec::new(),
        ssl_policy: None,
        alpn: Vec::new(),
        created: call.now,
        attached: call.now,
        weight: None,
        also: Vec::new(),
    };
    forward(&mut new, forwarded(input.default_actions.as_deref().unwrap_or_default())?, None, call.now);
    set_tls(&mut new, &input);
    check(tx, call, &new)?;
    if let Some(existing) = tx.listeners_of(&balancer.arn).find(|l| l.port == port) {
        return if same_settings(existing, &new) {
            Ok(json!({"Listeners": [show(existing)]}))
        } else {
            let why =
                format!("A listener already exists on this port for this load balancer '{}'", balancer.arn);
            Err(ApiError::new("DuplicateListener", why))
        };
    }
    if tx.listeners_of(&balancer.arn).count() >= QUOTA {
        return Err(ApiError::new("TooManyListeners", "The maximum number of listeners is reached"));
    }
    write(tx, call, &new.arn, &tags);
    let shown = show(&new);
    tx.listeners.insert(new.arn.clone(), new);
    Ok(json!({"Listeners": [shown]}))
}

fn attributes_of(protocol: &str) -> std::collections::BTreeMap<String, String> {
    if protocol == "TCP" { super::listener_defaults() } else { std::collections::BTreeMap::new() }
}

fn set_tls(listener: &mut Listener, input: &Input) {
    if let Some(certificates) = &input.certificates {
        listener.certificates = certificates.iter().filter_map(|c| c.certificate_arn.clone()).collect();
    }
    if let Some(policy) = &input.ssl_policy {
        listener.ssl_policy = Some(policy.clone());
    }
    if let Some(alpn) = &input.alpn_policy {
        listener.alpn.clone_from(alpn);
    }
    if listener.protocol == "TLS" && listener.ssl_policy.is_none() {
        listener.ssl_policy = Some(DEFAULT_POLICY.to_owned());
    }
}

fn same_settings(one: &Listener, other: &Listener) -> bool {
    let also = |listener: &Listener| -> Vec<(String, Option<i64>)> {
        listener.also.iter().map(|also| (also.target_group.clone(), also.weight)).collect()
    };
    if (one.weight, also(one)) != (other.weight, also(other)) {
        return false;
    }
    (&one.protocol, one.port, &one.target_group, &one.certificates, &one.ssl_policy, &one.alpn)
        == (
            &other.protocol,
            other.port,
            &other.target_group,
            &other.certificates,
            &other.ssl_policy,
            &other.alpn,
        )
}

/// Whether a listener can be as it is: protocol, certificates, target group.
fn check(tx: &Tx, call: &Call, new: &Listener) -> Result<(), ApiError> {
    let balancer = load_balancer(tx, call, &new.load_balancer)?;
    if !matches!(new.protocol.as_str(), "TCP" | "TLS" | "UDP" | "TCP_UDP") {
        return Err(ApiError::new(
            "UnsupportedProtocol",
            format!(
                "Protocol '{}' is not supported by load balancers of type '{}'",
                new.protocol, balancer.kind
            ),
        ));
    }
    check_tls(tx, new)?;
    check_group(tx, call, new, balancer, &new.target_group)?;
    new.also.iter().try_for_each(|also| check_group(tx, call, new, balancer, &also.target_group))
}

/// Whether a listener can forward to a group.
fn check_group(
    tx: &Tx,
    call: &Call,
    new: &Listener,
    balancer: &LoadBalancer,
    group: &str,
) -> Result<(), ApiError> {
    let group = target_group(tx, call, group)?;
    let fits = match new.protocol.as_str() {
        "TLS" => matches!(group.protocol.as_str(), "TCP" | "TLS"),
        "TCP" => matches!(group.protocol.as_str(), "TCP" | "TCP_UDP"),
        "UDP" => matches!(group.protocol.as_str(), "UDP" | "TCP_UDP"),
        other => group.protocol == other,
    };
    if !fits {
        let why = format!(
            "Listener protocol '{}' is not supported with a target group with the protocol '{}'",
            new.protocol, group.protocol
        );
        return Err(ApiError::new("IncompatibleProtocols", why));
    }
    if group.vpc != balancer.vpc {
        let why = format!(
            "The target group '{}' is not in the VPC '{}' of the load balancer",
            group.arn, balancer.vpc
        );
        return Err(invalid(why));
    }
    if tx.listeners_to(&group.arn).any(|other| other.load_balancer != new.load_balancer) {
        let why = format!(
            "The following target groups cannot be associated with more than one load balancer: {}",
            group.arn
        );
        return Err(ApiError::new("TargetGroupAssociationLimit", why));
    }
    Ok(())
}

fn check_tls(tx: &Tx, new: &Listener) -> Result<(), ApiError> {
    if new.protocol != "TLS" {
        if !new.certificates.is_empty() || new.ssl_policy.is_some() || !new.alpn.is_empty() {
            return Err(invalid(format!(
                "Certificates, SSL policy and ALPN are not supported for '{}' listeners",
                new.protocol
            )));
        }
        return Ok(());
    }
    let [certificate] = new.certificates.as_slice() else {
        return Err(validation("A certificate must be specified for TLS listeners"));
    };
    if !tx.certificates.contains(certificate) {
        return Err(ApiError::new("CertificateNotFound", format!("Certificate '{certificate}' not found")));
    }
    if new.ssl_policy.as_ref().is_some_and(|policy| !policy.starts_with("ELBSecurityPolicy-")) {
        return Err(ApiError::new("SSLPolicyNotFound", "The SSL policy does not exist"));
    }
    Ok(())
}

fn show(listener: &Listener) -> Value {
    let also = listener.also.iter().map(|also| (&also.target_group, also.weight));
    let groups: Vec<Value> = std::iter::once((&listener.target_group, listener.weight))
        .chain(also)
        .map(|(arn, weight)| json!({"TargetGroupArn": arn, "Weight": weight}))
        .collect();
    let certificates: Option<Vec<Value>> = (!listener.certificates.is_empty())
        .then(|| listener.certificates.iter().map(|arn| json!({"CertificateArn": arn})).collect());
    json!({
        "ListenerArn": listener.arn,
        "LoadBalancerArn": listener.load_balancer,
        "Port": listener.port,
        "Protocol": listener.protocol,
        "Certificates": certificates,
        "SslPolicy": listener.ssl_policy,
        "DefaultActions": [{
            "Type": "forward",
            "TargetGroupArn": listener.also.is_empty().then_some(&listener.target_group),
            "ForwardConfig": {"TargetGroups": groups},
        }],
        "AlpnPolicy": (!listener.alpn.is_empty()).then_some(&listener.alpn),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    load_balancer_arn: Option<String>,
    #[serde(default)]
    listener_arns: Vec<String>,
    marker: Option<String>,
    page_size: Option<usize>,
}

pub(super) fn describe(tx: &mut Tx, call: &Call) -> Reply {
    let input: Describe = call.input()?;
    let mut found: Vec<&Listener> = match &input.load_balancer_arn {
        Some(arn) if input.listener_arns.is_empty() => {
            load_balancer(tx, call, arn)?;
            tx.listeners_of(arn).filter(|listener| call.listed(listener.created)).collect()
        }
        None if !input.listener_arns.is_empty() => {
            let one = |arn: &String| listener(tx, call, arn);
            input.listener_arns.iter().map(one).collect::<Result<_, _>>()?
        }
        _ => return Err(validation("You must specify either listener ARNs or a load balancer ARN")),
    };
    found.sort_by(|a, b| a.arn.cmp(&b.arn));
    let key = |l: &&Listener| l.arn.clone();
    let page = page(found, key, call, input.page_size, input.marker.as_deref())?;
    let shown: Vec<Value> = page.items.iter().map(|l| show(l)).collect();
    Ok(json!({"Listeners": shown, "NextMarker": page.next}))
}

pub(super) fn modify(tx: &mut Tx, call: &Call) -> Reply {
    let input: Input = call.input()?;
    let old = listener(tx, call, &input.listener_arn)?.clone();
    let mut new = old.clone();
    if let Some(port) = input.port {
        new.port = port;
    }
    if let Some(protocol) = &input.protocol {
        if *protocol != old.protocol {
            new.attributes = attributes_of(protocol);
            new.certificates.clear();
            new.ssl_policy = None;
            new.alpn.clear();
        }
        new.protocol.clone_from(protocol);
    }
    if let Some(actions) = &input.default_actions {
        forward(&mut new, forwarded(actions)?, Some(&old), call.now);
    }
    set_tls(&mut new, &input);
    check(tx, call, &new)?;
    if tx.listeners_of(&old.load_balancer).any(|l| l.arn != old.arn && l.port == new.port) {
        let why =
            format!("A listener already exists on this port for this load balancer '{}'", old.load_balancer);
        return Err(ApiError::new("DuplicateListener", why));
    }
    let shown = show(&new);
    tx.listeners.insert(new.arn.clone(), new);
    Ok(json!({"Listeners": [shown]}))
}

pub(super) fn delete(tx: &mut Tx, call: &Call) -> Reply {
    let input: Input = call.input()?;
    listener(tx, call, &input.listener_arn).map_err(|_| no_listener(&input.listener_arn))?;
    tx.listeners.remove(&input.listener_arn);
    tx.tags.forget(&input.listener_arn);
    Ok(json!({}))
}
