//! Security-group rules as they are read: one by one, and folded into permissions.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::listing::{Ask, Kind, Noun, one};
use super::tagging::shown;
use crate::aws::call::{Call, Tx};
use crate::aws::error::Reply;
use crate::aws::filter::Filters;
use crate::aws::world::{Rule, Source, World};

/// Rules in errors.
pub(super) const RULE: Noun = Noun {
    prefix: "sgr",
    what: "security group rule ID",
    missing: "InvalidSecurityGroupRuleId.NotFound",
    malformed: "InvalidSecurityGroupRuleId.Malformed",
};

/// The rules of a group in one direction.
pub(super) fn rules_of<'a>(world: &'a World, group: &'a str, egress: bool) -> impl Iterator<Item = &'a Rule> {
    world.rules.values().filter(move |rule| rule.group == group && rule.egress == egress)
}

/// A group's rules as `IpPermissions`: those of the same protocol and ports in one entry.
pub(super) fn permissions(world: &World, group: &str, egress: bool) -> Value {
    type Ports = (String, i64, i64);
    let mut entries: Vec<(Ports, Map<String, Value>)> = Vec::new();
    for rule in rules_of(world, group, egress) {
        let key = (rule.protocol.clone(), rule.from, rule.to);
        let at = entries.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            entries.push((key, empty_permission(rule)));
            entries.len() - 1
        });
        let (list, item) = source_entry(rule);
        if let Some(Value::Array(items)) = entries[at].1.get_mut(list) {
            items.push(item);
        }
    }
    entries.into_iter().map(|(_, entry)| Value::Object(entry)).collect()
}

fn empty_permission(rule: &Rule) -> Map<String, Value> {
    let mut entry = Map::new();
    entry.insert("IpProtocol".to_owned(), Value::from(rule.protocol.clone()));
    if rule.protocol != "-1" {
        entry.insert("FromPort".to_owned(), Value::from(rule.from));
        entry.insert("ToPort".to_owned(), Value::from(rule.to));
    }
    for list in ["UserIdGroupPairs", "IpRanges", "Ipv6Ranges", "PrefixListIds"] {
        entry.insert(list.to_owned(), Value::Array(Vec::new()));
    }
    entry
}

fn source_entry(rule: &Rule) -> (&'static str, Value) {
    let description = &rule.description;
    match &rule.source {
        Source::V4(cidr) => ("IpRanges", json!({"CidrIp": cidr, "Description": description})),
        Source::V6(cidr) => ("Ipv6Ranges", json!({"CidrIpv6": cidr, "Description": description})),
        Source::Group { id, account } => {
            ("UserIdGroupPairs", json!({"GroupId": id, "UserId": account, "Description": description}))
        }
        Source::PrefixList(id) => ("PrefixListIds", json!({"PrefixListId": id, "Description": description})),
    }
}

/// A rule by itself.
pub(super) fn show(tx: &Tx, call: &Call, rule: &Rule) -> Value {
    let mut out = json!({
        "SecurityGroupRuleId": rule.id,
        "SecurityGroupRuleArn": call.arn("ec2", &format!("security-group-rule/{}", rule.id)),
        "GroupId": rule.group,
        "GroupOwnerId": rule.scope.account,
        "IsEgress": rule.egress,
        "IpProtocol": rule.protocol,
        "FromPort": rule.from,
        "ToPort": rule.to,
        "Description": rule.description,
        "Tags": shown(tx, &rule.id),
    });
    let (name, value) = match &rule.source {
        Source::V4(cidr) => ("CidrIpv4", json!(cidr)),
        Source::V6(cidr) => ("CidrIpv6", json!(cidr)),
        Source::PrefixList(id) => ("PrefixListId", json!(id)),
        Source::Group { id, account } => {
            let vpc = tx.groups.get(id).map(|group| &group.vpc);
            ("ReferencedGroupInfo", json!({"GroupId": id, "UserId": account, "VpcId": vpc}))
        }
    };
    out[name] = value;
    out
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    #[serde(default)]
    security_group_rule_ids: Vec<String>,
    #[serde(default)]
    filters: Filters,
    max_results: Option<usize>,
    next_token: Option<String>,
}

pub(super) fn describe_security_group_rules(tx: &mut Tx, call: &Call) -> Reply {
    let Describe { security_group_rule_ids: ids, filters, max_results, next_token } = call.input()?;
    let ask = Ask { ids, filters, max_results, next_token };
    let kind = Kind {
        noun: &RULE,
        filters: &["group-id", "security-group-rule-id"],
        id: |rule: &Rule| &rule.id,
        created: |rule| Some(rule.created),
    };
    let mine = tx.rules.values().filter(|rule| rule.scope == call.scope);
    let page = kind.list(tx, call, &ask, mine, |rule, name| match name {
        "group-id" => one(&rule.group),
        _ => one(&rule.id),
    })?;
    let rules: Vec<Value> = page.items.iter().map(|rule| show(tx, call, rule)).collect();
    Ok(json!({"SecurityGroupRules": rules, "NextToken": page.next}))
}
