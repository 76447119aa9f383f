//! Security groups.
//!
//! Sources: API reference of CreateSecurityGroup, DeleteSecurityGroup, DescribeSecurityGroups; EC2's "Error codes" page.

use serde::Deserialize;
use serde_json::{Value, json};

use super::listing::{Ask, Kind, Noun, one};
use super::rules::{permissions, rules_of};
use super::tagging::{TagSpecification, shown, specified, write};
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::filter::Filters;
use crate::aws::ids::fresh;
use crate::aws::world::{Group, Rule, Source, World};

/// Security groups in errors.
pub(super) const GROUP: Noun = Noun {
    prefix: "sg",
    what: "security group",
    missing: "InvalidGroup.NotFound",
    malformed: "InvalidGroupId.Malformed",
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    group_name: String,
    description: String,
    vpc_id: Option<String>,
    #[serde(default)]
    tag_specifications: Vec<TagSpecification>,
}

pub(super) fn create_security_group(tx: &mut Tx, call: &Call) -> Reply {
    let input: Create = call.input()?;
    check_text("GroupName", &input.group_name)?;
    check_text("GroupDescription", &input.description)?;
    if input.group_name.to_ascii_lowercase().starts_with("sg-") {
        let why = "Group names may not be in the format sg-*.";
        return Err(ApiError::bad_value("groupName", &input.group_name, why));
    }
    let Some(vpc) = input.vpc_id else {
        // The sandbox's accounts have no default VPC.
        return Err(ApiError::new("VPCIdNotSpecified", "No default VPC for this user"));
    };
    if tx.vpcs.get(&vpc).is_none_or(|found| found.scope != call.scope) {
        return Err(ApiError::not_found("InvalidVpcID.NotFound", "vpc ID", &vpc));
    }
    let tags = specified(&input.tag_specifications, "security-group")?;
    if tx.groups.values().any(|group| group.vpc == vpc && group.name == input.group_name) {
        let why = format!("The security group '{}' already exists for VPC '{vpc}'", input.group_name);
        return Err(ApiError::new("InvalidGroup.Duplicate", why));
    }
    let id = fresh("sg");
    let group = Group {
        scope: call.scope.clone(),
        id: id.clone(),
        name: input.group_name,
        description: input.description,
        vpc,
        created: call.now,
    };
    tx.groups.insert(id.clone(), group);
    let everything = Rule {
        scope: call.scope.clone(),
        id: fresh("sgr"),
        group: id.clone(),
        egress: true,
        protocol: "-1".to_owned(),
        from: -1,
        to: -1,
        source: Source::V4("0.0.0.0/0".to_owned()),
        description: None,
        created: call.now,
    };
    tx.rules.insert(everything.id.clone(), everything);
    write(tx, call, &id, &tags);
    Ok(json!({"GroupId": id, "SecurityGroupArn": arn(call, &id), "Tags": shown(tx, &id)}))
}

/// Names and descriptions: up to 255 of a fixed set of characters.
fn check_text(parameter: &str, text: &str) -> Result<(), ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
    if text.is_empty() || text.chars().count() > 255 || !text.chars().all(allowed) {
        let why = "Character sets beyond ASCII are not supported, and the length is 1 to 255.";
        return Err(ApiError::bad_value(parameter, text, why));
    }
    Ok(())
}

fn arn(call: &Call, id: &str) -> String {
    call.arn("ec2", &format!("security-group/{id}"))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    #[serde(default)]
    group_ids: Vec<String>,
    #[serde(default)]
    group_names: Vec<String>,
    #[serde(default)]
    filters: Filters,
    max_results: Option<usize>,
    next_token: Option<String>,
}

const FILTERS: [&str; 13] = [
    "description",
    "egress.ip-permission.cidr",
    "egress.ip-permission.group-id",
    "group-id",
    "group-name",
    "ip-permission.cidr",
    "ip-permission.from-port",
    "ip-permission.group-id",
    "ip-permission.protocol",
    "ip-permission.to-port",
    "owner-id",
    "vpc-id",
    "tag-value",
];

pub(super) fn describe_security_groups(tx: &mut Tx, call: &Call) -> Reply {
    let Describe { group_ids: ids, group_names, filters, max_results, next_token } = call.input()?;
    if !group_names.is_empty() {
        let why = "Group names are for default VPCs; use the filter group-name";
        return Err(ApiError::new("InvalidParameterCombination", why));
    }
    let ask = Ask { ids, filters, max_results, next_token };
    let kind = Kind {
        noun: &GROUP,
        filters: &FILTERS,
        id: |group: &Group| &group.id,
        created: |group| Some(group.created),
    };
    let mine = tx.groups.values().filter(|group| group.scope == call.scope);
    let page = kind.list(tx, call, &ask, mine, |group, name| field(tx, group, name))?;
    let groups: Vec<Value> = page.items.iter().map(|group| show(tx, call, group)).collect();
    Ok(json!({"SecurityGroups": groups, "NextToken": page.next}))
}

fn field(tx: &Tx, group: &Group, name: &str) -> Vec<String> {
    let of_rules = |egress: bool, value: &dyn Fn(&Rule) -> Option<String>| -> Vec<String> {
        rules_of(tx, &group.id, egress).filter_map(value).collect()
    };
    let cidr = |rule: &Rule| match &rule.source {
        Source::V4(cidr) => Some(cidr.clone()),
        _ => None,
    };
    let source = |rule: &Rule| match &rule.source {
        Source::Group { id, .. } => Some(id.clone()),
        _ => None,
    };
    match name {
        "description" => one(&group.description),
        "egress.ip-permission.cidr" => of_rules(true, &cidr),
        "group-id" => one(&group.id),
        "group-name" => one(&group.name),
        "ip-permission.cidr" => of_rules(false, &cidr),
        "ip-permission.from-port" => of_rules(false, &|rule| Some(rule.from.to_string())),
        "ip-permission.to-port" => of_rules(false, &|rule| Some(rule.to.to_string())),
        "ip-permission.protocol" => of_rules(false, &|rule| Some(rule.protocol.clone())),
        "egress.ip-permission.group-id" => of_rules(true, &source),
        "ip-permission.group-id" => of_rules(false, &source),
        "owner-id" => one(&group.scope.account),
        "vpc-id" => one(&group.vpc),
        _ => Vec::new(),
    }
}

fn show(tx: &Tx, call: &Call, group: &Group) -> Value {
    json!({
        "GroupId": group.id,
        "GroupName": group.name,
        "Description": group.description,
        "OwnerId": group.scope.account,
        "VpcId": group.vpc,
        "SecurityGroupArn": arn(call, &group.id),
        "IpPermissions": permissions(tx, &group.id, false),
        "IpPermissionsEgress": permissions(tx, &group.id, true),
        "Tags": shown(tx, &group.id),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    group_id: Option<String>,
}

pub(super) fn delete_security_group(tx: &mut Tx, call: &Call) -> Reply {
    let input: Delete = call.input()?;
    let id = input.group_id.ok_or_else(|| {
        ApiError::new("MissingParameter", "The request must contain the parameter groupName or groupId")
    })?;
    let group = find(tx, call, &id)?;
    if group.name == "default" {
        let why = format!("the specified group: \"{id}\" name: \"default\" cannot be deleted by a user");
        return Err(ApiError::new("CannotDelete", why));
    }
    let held = tx.interfaces.values().any(|i| i.exists(call.now) && i.groups.contains(&id));
    let referred = tx.rules.values().any(|rule| {
        rule.group != id && matches!(&rule.source, Source::Group { id: other, .. } if *other == id)
    });
    if held || referred {
        return Err(ApiError::new("DependencyViolation", format!("resource {id} has a dependent object")));
    }
    let rules: Vec<String> = tx.rules.values().filter(|r| r.group == id).map(|r| r.id.clone()).collect();
    for rule in rules {
        tx.rules.remove(&rule);
        tx.tags.forget(&rule);
    }
    tx.groups.remove(&id);
    tx.tags.forget(&id);
    Ok(json!({"Return": true, "GroupId": id}))
}

/// A group of the caller's.
pub(super) fn find(world: &World, call: &Call, id: &str) -> Result<Group, ApiError> {
    let found = world.groups.get(id).filter(|group| group.scope == call.scope);
    found.cloned().ok_or_else(|| GROUP.error(id))
}
