//! The instances of groups.
//!
//! Sources: Auto Scaling API reference of DescribeAutoScalingInstances, TerminateInstanceInAutoScalingGroup, SetInstanceHealth.

use serde::Deserialize;
use serde_json::{Value, json};

use super::activities;
use super::lookup::{invalid, put};
use super::settings::show_template;
use super::{causes, terminate};
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::page::page;
use crate::aws::world::{Member, ScalingGroup, World, after};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    #[serde(default)]
    instance_ids: Vec<String>,
    max_records: Option<usize>,
    next_token: Option<String>,
}

/// Instances that are in no group are left out, not refused.
pub(super) fn describe(tx: &mut Tx, call: &Call) -> Reply {
    let input: Describe = call.input()?;
    let mine = tx.scaling_groups.values().filter(|group| group.scope == call.scope);
    let mut found: Vec<(&ScalingGroup, &Member)> = mine
        .flat_map(|group| group.members.values().map(move |member| (group, member)))
        .filter(|(_, member)| input.instance_ids.is_empty() || input.instance_ids.contains(&member.id))
        .collect();
    found.sort_by(|(_, a), (_, b)| a.id.cmp(&b.id));
    let size = Some(input.max_records.unwrap_or(50).min(50));
    let page = page(found, |(_, member)| member.id.clone(), call, size, input.next_token.as_deref())?;
    let shown: Vec<Value> = page.items.iter().map(|(group, member)| show(group, member)).collect();
    Ok(json!({"AutoScalingInstances": shown, "NextToken": page.next}))
}

/// Here health is written in capitals, other than in DescribeAutoScalingGroups.
fn show(group: &ScalingGroup, member: &Member) -> Value {
    json!({
        "InstanceId": member.id,
        "InstanceType": member.instance_type,
        "AutoScalingGroupName": group.name,
        "AvailabilityZone": member.zone,
        "LifecycleState": member.state(),
        "HealthStatus": if member.unhealthy { "UNHEALTHY" } else { "HEALTHY" },
        "LaunchTemplate": show_template(&member.template),
        "ProtectedFromScaleIn": member.protected,
    })
}

/// The group of an instance that is not on its way out.
fn group_of(world: &World, call: &Call, instance: &str) -> Result<ScalingGroup, ApiError> {
    let found = world.group_of(instance).filter(|group| group.scope == call.scope);
    found.cloned().ok_or_else(|| {
        invalid(format!("Instance Id not found - No managed instance found for instance ID {instance}"))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Terminate {
    instance_id: Option<String>,
    #[serde(default)]
    instance_ids: Vec<String>,
    should_decrement_desired_capacity: bool,
}

pub(super) fn terminate(tx: &mut Tx, call: &Call) -> Reply {
    let input: Terminate = call.input()?;
    let several = input.instance_id.is_none();
    let ids: Vec<String> = input.instance_id.into_iter().chain(input.instance_ids).collect();
    if ids.is_empty() {
        return Err(invalid("An instance id is required"));
    }
    let mut shown = Vec::new();
    for id in ids {
        let mut group = group_of(tx, call, &id)?;
        if group.members.get(&id).is_some_and(|member| member.leaving.is_some()) {
            let why = format!("Instance {id} is already being terminated");
            return Err(ApiError::new("ScalingActivityInProgress", why));
        }
        if input.should_decrement_desired_capacity {
            if group.desired <= group.min {
                let why = format!(
                    "Currently, desiredSize equals minSize ({}). Terminating instance without replacement will violate \
                     group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's \
                     min size.",
                    group.min
                );
                return Err(invalid(why));
            }
            group.desired -= 1;
        }
        let cause = causes::asked(call.now, &id);
        let activity = terminate::begin(tx, &mut group, &id, &cause, call.now);
        let found = group.activities.iter().find(|known| Some(&known.id) == activity.as_ref());
        shown.extend(found.map(|found| activities::show(&group, found, "InService")));
        group.why.clear();
        group.wake(call.now);
        put(tx, group);
    }
    if several { Ok(json!({"Activities": shown})) } else { Ok(json!({"Activity": shown.pop()})) }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SetHealth {
    instance_id: String,
    health_status: String,
    #[serde(default = "yes")]
    should_respect_grace_period: bool,
}

fn yes() -> bool {
    true
}

pub(super) fn set_health(tx: &mut Tx, call: &Call) -> Reply {
    let input: SetHealth = call.input()?;
    if !matches!(input.health_status.as_str(), "Healthy" | "Unhealthy") {
        return Err(invalid(format!("Invalid health status: {}", input.health_status)));
    }
    let mut group = group_of(tx, call, &input.instance_id)?;
    let grace = group.grace;
    if let Some(member) = group.members.get_mut(&input.instance_id) {
        let early = member.in_service.is_none_or(|since| call.now < after(since, grace));
        if !(input.should_respect_grace_period && early && grace > 0) {
            member.unhealthy = input.health_status == "Unhealthy";
        }
    }
    group.wake(call.now);
    put(tx, group);
    Ok(Value::Null)
}
