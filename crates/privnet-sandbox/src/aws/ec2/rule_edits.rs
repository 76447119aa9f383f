//! Security-group rules as they are changed.
//!
//! Sources: API reference of Authorize/RevokeSecurityGroupIngress and …Egress, ModifySecurityGroupRules; "Error codes":
//! `InvalidPermission.Duplicate`, `InvalidPermission.NotFound`, `RulesPerSecurityGroupLimitExceeded`.

use ipnet::{Ipv4Net, Ipv6Net};
use serde::Deserialize;
use serde_json::{Value, json};

use super::groups::{GROUP, find};
use super::rules::{RULE, rules_of, show};
use super::tagging::{TagSpecification, specified, write};
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::ids::fresh;
use crate::aws::world::{Rule, Source};

/// The default quota of rules in one direction of a group: enforced for IPv4 and IPv6 apart, so that a rule whose source is neither counts
/// for both (<https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups>).
const RULES_PER_GROUP: usize = 60;

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Edit {
    group_id: Option<String>,
    ip_permissions: Vec<Permission>,
    security_group_rule_ids: Vec<String>,
    tag_specifications: Vec<TagSpecification>,
    // The short form: one rule without the structure.
    ip_protocol: Option<String>,
    from_port: Option<i64>,
    to_port: Option<i64>,
    cidr_ip: Option<String>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "PascalCase", default)]
struct Permission {
    ip_protocol: Option<String>,
    from_port: Option<i64>,
    to_port: Option<i64>,
    user_id_group_pairs: Vec<Pair>,
    ip_ranges: Vec<Range4>,
    ipv6_ranges: Vec<Range6>,
    prefix_list_ids: Vec<PrefixList>,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "PascalCase")]
struct Pair {
    group_id: Option<String>,
    user_id: Option<String>,
    description: Option<String>,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "PascalCase")]
struct Range4 {
    cidr_ip: String,
    description: Option<String>,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "PascalCase")]
struct Range6 {
    cidr_ipv6: String,
    description: Option<String>,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "PascalCase")]
struct PrefixList {
    prefix_list_id: String,
    description: Option<String>,
}

impl Edit {
    fn group(&self) -> Result<&str, ApiError> {
        let missing = || {
            ApiError::new("MissingParameter", "The request must contain the parameter groupName or groupId")
        };
        self.group_id.as_deref().ok_or_else(missing)
    }

    /// The rules that are meant, in one shape whichever form they came in.
    fn rules(&self, tx: &Tx, call: &Call, group: &str, egress: bool) -> Result<Vec<Rule>, ApiError> {
        let mut permissions = self.ip_permissions.clone();
        if let Some(cidr_ip) = self.cidr_ip.clone() {
            permissions.push(Permission {
                ip_protocol: self.ip_protocol.clone(),
                from_port: self.from_port,
                to_port: self.to_port,
                ip_ranges: vec![Range4 { cidr_ip, description: None }],
                ..Permission::default()
            });
        }
        let mut rules = Vec::new();
        for permission in &permissions {
            let (protocol, from, to) = ports(permission)?;
            for (source, description) in sources(tx, call, permission)? {
                rules.push(Rule {
                    scope: call.scope.clone(),
                    id: fresh("sgr"),
                    group: group.to_owned(),
                    egress,
                    protocol: protocol.clone(),
                    from,
                    to,
                    source,
                    description,
                    created: call.now,
                });
            }
        }
        Ok(rules)
    }
}

fn ports(permission: &Permission) -> Result<(String, i64, i64), ApiError> {
    let given = permission.ip_protocol.as_deref().ok_or_else(|| {
        ApiError::new("MissingParameter", "The request must contain the parameter ipProtocol")
    })?;
    let protocol = match given {
        "6" | "tcp" => "tcp",
        "17" | "udp" => "udp",
        "1" | "icmp" => "icmp",
        "58" | "icmpv6" => "icmpv6",
        "-1" | "all" => return Ok(("-1".to_owned(), -1, -1)),
        other => return Err(ApiError::bad_value("IpProtocol", other, "Unknown protocol.")),
    };
    let (Some(from), Some(to)) = (permission.from_port, permission.to_port) else {
        let why = "Must specify both from and to ports with TCP/UDP.";
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!("Invalid value '{given}' for IP protocol. {why}"),
        ));
    };
    let in_range = |port: i64| (-1..=65_535).contains(&port);
    if !in_range(from) || !in_range(to) || (from > to && protocol.len() == 3) {
        let why = format!("Invalid value '{from}-{to}' for portRange.");
        return Err(ApiError::new("InvalidParameterValue", why));
    }
    Ok((protocol.to_owned(), from, to))
}

fn sources(tx: &Tx, call: &Call, from: &Permission) -> Result<Vec<(Source, Option<String>)>, ApiError> {
    let mut out = Vec::new();
    for range in &from.ip_ranges {
        out.push((Source::V4(cidr4(&range.cidr_ip)?), range.description.clone()));
    }
    for range in &from.ipv6_ranges {
        out.push((Source::V6(cidr6(&range.cidr_ipv6)?), range.description.clone()));
    }
    for pair in &from.user_id_group_pairs {
        let id = pair.group_id.as_deref().ok_or_else(|| {
            ApiError::new("MissingParameter", "The request must contain the parameter groupId")
        })?;
        out.push((group_source(tx, call, id, pair.user_id.as_deref())?, pair.description.clone()));
    }
    for list in &from.prefix_list_ids {
        out.push((Source::PrefixList(list.prefix_list_id.clone()), list.description.clone()));
    }
    if out.is_empty() {
        let why = "The request must contain a source or destination of the permission";
        return Err(ApiError::new("MissingParameter", why));
    }
    for (_, description) in &out {
        if description.as_ref().is_some_and(|text| text.chars().count() > 255) {
            return Err(ApiError::new(
                "InvalidParameterValue",
                "Rule descriptions have at most 255 characters",
            ));
        }
    }
    Ok(out)
}

/// A range must be written with its host bits clear, as the console and the API demand.
fn cidr4(text: &str) -> Result<String, ApiError> {
    match text.parse::<Ipv4Net>() {
        Ok(net) if net.trunc() == net => Ok(net.to_string()),
        _ => Err(ApiError::new("InvalidParameterValue", format!("CIDR block {text} is malformed"))),
    }
}

fn cidr6(text: &str) -> Result<String, ApiError> {
    match text.parse::<Ipv6Net>() {
        Ok(net) if net.trunc() == net => Ok(net.to_string()),
        _ => Err(ApiError::new("InvalidParameterValue", format!("CIDR block {text} is malformed"))),
    }
}

fn group_source(tx: &Tx, call: &Call, id: &str, account: Option<&str>) -> Result<Source, ApiError> {
    let account = account.unwrap_or(&call.scope.account).to_owned();
    let there = tx
        .groups
        .get(id)
        .is_some_and(|group| group.scope.account == account && group.scope.region == call.scope.region);
    if there { Ok(Source::Group { id: id.to_owned(), account }) } else { Err(GROUP.error(id)) }
}

pub(super) fn authorize_ingress(tx: &mut Tx, call: &Call) -> Reply {
    authorize(tx, call, false)
}

pub(super) fn authorize_egress(tx: &mut Tx, call: &Call) -> Reply {
    authorize(tx, call, true)
}

fn authorize(tx: &mut Tx, call: &Call, egress: bool) -> Reply {
    let input: Edit = call.input()?;
    let group = find(tx, call, input.group()?)?;
    let tags = specified(&input.tag_specifications, "security-group-rule")?;
    let rules = input.rules(tx, call, &group.id, egress)?;
    if rules.is_empty() {
        return Err(ApiError::new(
            "MissingParameter",
            "Either 'ipPermissions' or a short rule must be given",
        ));
    }
    for (n, rule) in rules.iter().enumerate() {
        let twice = rules[..n].iter().any(|other| other.same_as(rule));
        if twice || tx.rules.values().any(|other| other.same_as(rule)) {
            let why = format!(
                "the specified rule \"peer: {:?}, {}, from port: {}, to port: {}, ALLOW\" already exists",
                rule.source, rule.protocol, rule.from, rule.to
            );
            return Err(ApiError::new("InvalidPermission.Duplicate", why));
        }
    }
    let there: Vec<&Rule> = rules_of(tx, &group.id, egress).chain(&rules).collect();
    let other_than = |of: fn(&Source) -> bool| there.iter().filter(|rule| !of(&rule.source)).count();
    let v4 = other_than(|source| matches!(source, Source::V6(_)));
    let v6 = other_than(|source| matches!(source, Source::V4(_)));
    if v4.max(v6) > RULES_PER_GROUP {
        let why = "The maximum number of rules per security group has been reached.";
        return Err(ApiError::new("RulesPerSecurityGroupLimitExceeded", why));
    }
    for rule in &rules {
        tx.rules.insert(rule.id.clone(), rule.clone());
        write(tx, call, &rule.id, &tags);
    }
    let shown: Vec<Value> = rules.iter().map(|rule| show(tx, call, rule)).collect();
    Ok(json!({"Return": true, "SecurityGroupRules": shown}))
}

pub(super) fn revoke_ingress(tx: &mut Tx, call: &Call) -> Reply {
    revoke(tx, call, false)
}

pub(super) fn revoke_egress(tx: &mut Tx, call: &Call) -> Reply {
    revoke(tx, call, true)
}

fn revoke(tx: &mut Tx, call: &Call, egress: bool) -> Reply {
    let input: Edit = call.input()?;
    let group = find(tx, call, input.group()?)?;
    let mut gone: Vec<String> = Vec::new();
    for id in &input.security_group_rule_ids {
        let found = tx.rules.get(id).filter(|rule| rule.group == group.id && rule.egress == egress);
        gone.push(found.map(|rule| rule.id.clone()).ok_or_else(|| RULE.error(id))?);
    }
    for wanted in input.rules(tx, call, &group.id, egress)? {
        let found = tx.rules.values().find(|rule| rule.same_as(&wanted));
        let missing = || {
            let why = "The specified rule does not exist in this security group.";
            ApiError::new("InvalidPermission.NotFound", why)
        };
        gone.push(found.map(|rule| rule.id.clone()).ok_or_else(missing)?);
    }
    let mut revoked = Vec::new();
    for id in gone {
        revoked.extend(tx.rules.get(&id).map(show_revoked));
        tx.rules.remove(&id);
        tx.tags.forget(&id);
    }
    Ok(json!({"Return": true, "RevokedSecurityGroupRules": revoked}))
}

fn show_revoked(rule: &Rule) -> Value {
    let mut out = json!({
        "SecurityGroupRuleId": rule.id,
        "GroupId": rule.group,
        "IsEgress": rule.egress,
        "IpProtocol": rule.protocol,
        "FromPort": rule.from,
        "ToPort": rule.to,
        "Description": rule.description,
    });
    let (name, value) = match &rule.source {
        Source::V4(cidr) => ("CidrIpv4", cidr),
        Source::V6(cidr) => ("CidrIpv6", cidr),
        Source::PrefixList(id) => ("PrefixListId", id),
        Source::Group { id, .. } => ("ReferencedGroupId", id),
    };
    out[name] = Value::from(value.as_str());
    out
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Modify {
    group_id: String,
    security_group_rules: Vec<Update>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Update {
    security_group_rule_id: String,
    security_group_rule: Option<NewRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NewRule {
    ip_protocol: Option<String>,
    from_port: Option<i64>,
    to_port: Option<i64>,
    cidr_ipv4: Option<String>,
    cidr_ipv6: Option<String>,
    prefix_list_id: Option<String>,
    referenced_group_id: Option<String>,
    description: Option<String>,
}

pub(super) fn modify_security_group_rules(tx: &mut Tx, call: &Call) -> Reply {
    let input: Modify = call.input()?;
    let group = find(tx, call, &input.group_id)?;
    for update in input.security_group_rules {
        let id = update.security_group_rule_id;
        let old = tx.rules.get(&id).filter(|rule| rule.group == group.id).cloned();
        let old = old.ok_or_else(|| RULE.error(&id))?;
        let Some(new) = update.security_group_rule else { continue };
        let rule = changed(tx, call, &old, new)?;
        if tx.rules.values().any(|other| other.id != id && other.same_as(&rule)) {
            return Err(ApiError::new("InvalidPermission.Duplicate", "the specified rule already exists"));
        }
        tx.rules.insert(id, rule);
    }
    Ok(json!({"Return": true}))
}

/// The whole rule is replaced; the kind of its source cannot change.
fn changed(tx: &Tx, call: &Call, old: &Rule, new: NewRule) -> Result<Rule, ApiError> {
    let permission = Permission {
        ip_protocol: new.ip_protocol,
        from_port: new.from_port,
        to_port: new.to_port,
        ..Permission::default()
    };
    let (protocol, from, to) = ports(&permission)?;
    let source = match (new.cidr_ipv4, new.cidr_ipv6, new.prefix_list_id, new.referenced_group_id) {
        (Some(cidr), None, None, None) => Source::V4(cidr4(&cidr)?),
        (None, Some(cidr), None, None) => Source::V6(cidr6(&cidr)?),
        (None, None, Some(id), None) => Source::PrefixList(id),
        (None, None, None, Some(id)) => group_source(tx, call, &id, None)?,
        _ => return Err(ApiError::new("InvalidParameterCombination", "A rule has exactly one source")),
    };
    if std::mem::discriminant(&source) != std::mem::discriminant(&old.source) {
        let why = "You may not change the type of the source of a rule";
        return Err(ApiError::new("InvalidParameterValue", why));
    }
    Ok(Rule { protocol, from, to, source, description: new.description, ..old.clone() })
}
