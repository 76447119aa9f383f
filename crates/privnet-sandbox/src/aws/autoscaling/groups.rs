//! Auto Scaling groups: made, listed, deleted.
//!
//! Sources: Auto Scaling API reference of CreateAutoScalingGroup, DescribeAutoScalingGroups, DeleteAutoScalingGroup, Filter.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::causes;
use super::lookup::{find, invalid, put};
use super::settings::{Settings, show_template};
use super::tags::{self, TagInput};
use super::traffic::{self, SourceInput};
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::filter::Filters;
use crate::aws::page::page;
use crate::aws::world::{Attachment, Member, ScalingGroup, TemplateRef, group_key, wire_time};

/// How many groups an account may have in a region.
const QUOTA: usize = 500;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    #[serde(flatten)]
    settings: Settings,
    #[serde(default, rename = "TargetGroupARNs")]
    target_groups: Vec<String>,
    #[serde(default)]
    traffic_sources: Vec<SourceInput>,
    #[serde(default)]
    load_balancer_names: Vec<String>,
    #[serde(default)]
    tags: Vec<TagInput>,
}

pub(super) fn create(tx: &mut Tx, call: &Call) -> Reply {
    let input: Create = call.input()?;
    let name = input.settings.auto_scaling_group_name.clone();
    check_name(&name)?;
    check_new(tx, call, &name)?;
    let mut group = empty(call, &name);
    input.settings.apply(tx, call, &mut group)?;
    group.why = format!(
        "a user request created an AutoScalingGroup changing the desired capacity from 0 to {}.",
        group.desired
    );
    if let Some(name) = input.load_balancer_names.first() {
        let why = format!(
            "Provided Load Balancers may not be valid. Please ensure they exist and try again. ({name})"
        );
        return Err(invalid(why));
    }
    let sources = traffic::target_groups_of(&input.traffic_sources)?;
    traffic::check(tx, call, &group, &input.target_groups)?;
    traffic::check(tx, call, &group, &sources)?;
    for (arns, as_source) in [(sources, true), (input.target_groups, false)] {
        for arn in arns {
            let attachment =
                Attachment { since: call.now, at_creation: true, as_source, registered: true, leaving: None };
            group.attachments.insert(arn, attachment);
        }
    }
    let tags = tags::checked(&input.tags, Some(&name))?;
    tags::write(tx, call, &mut group, &tags)?;
    group.wake(call.now);
    put(tx, group);
    Ok(Value::Null)
}

fn check_name(name: &str) -> Result<(), ApiError> {
    if name.is_empty()
        || name.chars().count() > 255
        || name.contains(':')
        || name.chars().any(char::is_control)
    {
        let why = format!("Invalid AutoScalingGroup name '{name}': 1 to 255 characters without a colon");
        return Err(invalid(why));
    }
    Ok(())
}

fn check_new(tx: &Tx, call: &Call, name: &str) -> Result<(), ApiError> {
    if let Some(existing) = tx.scaling_groups.get(&group_key(&call.scope, name)) {
        let pending = if existing.deleted.is_some() {
            " and is pending delete.  Please wait until Autoscaling completes the deletion process before creating \
             another group with the same name."
        } else {
            ""
        };
        let why = format!(
            "AutoScalingGroup by this name already exists - A group with the name {name} already exists{pending}"
        );
        return Err(ApiError::new("AlreadyExists", why));
    }
    if tx.scaling_groups.values().filter(|group| group.scope == call.scope).count() >= QUOTA {
        let why = format!("The maximum number of Auto Scaling groups, {QUOTA}, is reached");
        return Err(ApiError::new("LimitExceeded", why));
    }
    Ok(())
}

fn empty(call: &Call, name: &str) -> ScalingGroup {
    let id = uuid::Uuid::new_v4();
    ScalingGroup {
        scope: call.scope.clone(),
        name: name.to_owned(),
        arn: call.arn("autoscaling", &format!("autoScalingGroup:{id}:autoScalingGroupName/{name}")),
        template: TemplateRef { id: String::new(), name: String::new(), version: None },
        min: 0,
        max: 0,
        desired: 0,
        subnets: Vec::new(),
        zones: Vec::new(),
        attachments: BTreeMap::new(),
        health_check: "EC2".to_owned(),
        grace: 0,
        protect_new: false,
        termination_policies: vec!["Default".to_owned()],
        deletion_protection: None,
        settings: BTreeMap::new(),
        propagate: BTreeMap::new(),
        suspended: BTreeMap::new(),
        members: BTreeMap::new(),
        activities: Vec::new(),
        created: call.now,
        deleted: None,
        looks_at: None,
        failures: 0,
        why: String::new(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    #[serde(default)]
    auto_scaling_group_names: Vec<String>,
    #[serde(default = "yes")]
    include_instances: bool,
    #[serde(default)]
    filters: Filters,
    max_records: Option<usize>,
    next_token: Option<String>,
}

fn yes() -> bool {
    true
}

/// Names that nothing has are left out, not refused.
pub(super) fn describe(tx: &mut Tx, call: &Call) -> Reply {
    let input: Describe = call.input()?;
    input.filters.check(&["tag-value"], true).map_err(|error| invalid(error.message))?;
    let mut found: Vec<&ScalingGroup> =
        tx.scaling_groups.values().filter(|group| group.scope == call.scope).collect();
    if input.auto_scaling_group_names.is_empty() {
        found.retain(|group| call.listed(group.created));
    } else {
        found.retain(|group| input.auto_scaling_group_names.contains(&group.name));
    }
    found.retain(|group| {
        input.filters.matches(tx, call, &group.arn, |_| {
            tx.tags.seen(&group.arn, call.now, call.lag).into_values().map(str::to_owned).collect()
        })
    });
    let key = |group: &&ScalingGroup| group.name.clone();
    let page = page(found, key, call, input.max_records, input.next_token.as_deref())?;
    let groups: Vec<Value> =
        page.items.iter().map(|group| show(tx, group, input.include_instances)).collect();
    Ok(json!({"AutoScalingGroups": groups, "NextToken": page.next}))
}

fn show(tx: &Tx, group: &ScalingGroup, with_instances: bool) -> Value {
    let suspended = |(process, since): (&String, &jiff::Timestamp)| {
        let reason = format!("User suspended at {}", wire_time(*since));
        json!({"ProcessName": process, "SuspensionReason": reason})
    };
    let instances = || group.members.values().map(|member| show_instance(tx, member)).collect::<Vec<_>>();
    let target_groups: Vec<&String> =
        group.targets().filter(|arn| group.attachments.get(*arn).is_some_and(|a| !a.as_source)).collect();
    let sources: Vec<Value> =
        group.targets().map(|arn| json!({"Identifier": arn, "Type": "elbv2"})).collect();
    let zone_ids: Vec<&String> = group
        .zones
        .iter()
        .filter_map(|zone| tx.subnets.values().find(|s| s.scope == group.scope && s.zone == *zone))
        .map(|subnet| &subnet.zone_id)
        .collect();
    let mut shown = json!({
        "AutoScalingGroupName": group.name,
        "AutoScalingGroupARN": group.arn,
        "LaunchTemplate": show_template(&group.template),
        "MinSize": group.min,
        "MaxSize": group.max,
        "DesiredCapacity": group.desired,
        "DefaultCooldown": 300,
        "AvailabilityZones": group.zones,
        "AvailabilityZoneIds": zone_ids,
        "LoadBalancerNames": [],
        "TargetGroupARNs": target_groups,
        "TrafficSources": sources,
        "HealthCheckType": group.health_check,
        "HealthCheckGracePeriod": group.grace,
        "Instances": with_instances.then(instances),
        "CreatedTime": wire_time(group.created),
        "SuspendedProcesses": group.suspended.iter().map(suspended).collect::<Vec<_>>(),
        "VPCZoneIdentifier": group.subnets.join(","),
        "EnabledMetrics": [],
        "Status": group.deleted.map(|_| "Delete in progress"),
        "Tags": tags::show(tx, group),
        "TerminationPolicies": group.termination_policies,
        "NewInstancesProtectedFromScaleIn": group.protect_new,
        "DeletionProtection": group.deletion_protection.as_deref().unwrap_or("none"),
        "ServiceLinkedRoleARN": format!(
            "arn:{}:iam::{}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
            crate::aws::ids::partition(&group.scope.region),
            group.scope.account
        ),
        "CapacityRebalance": false,
    });
    for (name, value) in &group.settings {
        shown[name] = value.clone();
    }
    shown
}

/// An instance as its group shows it.
fn show_instance(tx: &Tx, member: &Member) -> Value {
    let zone_id = tx.instances.get(&member.id).and_then(|i| tx.subnets.get(&i.subnet)).map(|s| &s.zone_id);
    json!({
        "InstanceId": member.id,
        "InstanceType": member.instance_type,
        "AvailabilityZone": member.zone,
        "AvailabilityZoneId": zone_id,
        "LifecycleState": member.state(),
        "HealthStatus": if member.unhealthy { "Unhealthy" } else { "Healthy" },
        "LaunchTemplate": show_template(&member.template),
        "ProtectedFromScaleIn": member.protected,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    auto_scaling_group_name: String,
    #[serde(default)]
    force_delete: bool,
}

pub(super) fn delete(tx: &mut Tx, call: &Call) -> Reply {
    let input: Delete = call.input()?;
    let mut group = find(tx, call, &input.auto_scaling_group_name)?.clone();
    match group.deletion_protection.as_deref() {
        Some("prevent-all-deletion") => return Err(protected(&group.name)),
        Some("prevent-force-deletion") if input.force_delete => return Err(protected(&group.name)),
        _ => {}
    }
    if !input.force_delete && group.is_busy() {
        let why = "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.";
        return Err(ApiError::new("ScalingActivityInProgress", why));
    }
    if !input.force_delete && !group.members.is_empty() {
        let why = "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance \
                   request(s) still in the group.";
        return Err(ApiError::new("ResourceInUse", why));
    }
    if group.deleted.is_none() {
        group.deleted = Some(call.now);
        group.desired = 0;
        group.why = causes::DELETED.to_owned();
        group.wake(call.now);
        put(tx, group);
    }
    Ok(Value::Null)
}

fn protected(name: &str) -> ApiError {
    ApiError::new(
        "ResourceInUse",
        format!(
            "The Auto Scaling group {name} has deletion protection; change it before the group can be deleted."
        ),
    )
}
