//! Changes to groups that are there.
//!
//! Sources: Auto Scaling API reference of UpdateAutoScalingGroup, SetDesiredCapacity, SuspendProcesses, ResumeProcesses.

use serde::Deserialize;
use serde_json::Value;

use super::lookup::{changeable, invalid, put};
use super::settings::Settings;
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::world::ScalingGroup;

pub(super) fn update(tx: &mut Tx, call: &Call) -> Reply {
    let settings: Settings = call.input()?;
    let mut group = changeable(tx, call, &settings.auto_scaling_group_name)?;
    settings.apply(tx, call, &mut group)?;
    group.wake(call.now);
    put(tx, group);
    Ok(Value::Null)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SetDesired {
    auto_scaling_group_name: String,
    desired_capacity: i64,
}

pub(super) fn set_desired_capacity(tx: &mut Tx, call: &Call) -> Reply {
    let input: SetDesired = call.input()?;
    let mut group = changeable(tx, call, &input.auto_scaling_group_name)?;
    let wanted = input.desired_capacity;
    if wanted > group.max {
        let max = group.max;
        let why = format!(
            "New SetDesiredCapacity value {wanted} is above max value {max} for the AutoScalingGroup."
        );
        return Err(invalid(why));
    }
    if wanted < group.min {
        let min = group.min;
        let why = format!(
            "New SetDesiredCapacity value {wanted} is below min value {min} for the AutoScalingGroup."
        );
        return Err(invalid(why));
    }
    group.why = format!(
        "a user request explicitly set group desired capacity changing the desired capacity from {} to {wanted}.",
        group.desired
    );
    group.desired = wanted;
    group.wake(call.now);
    put(tx, group);
    Ok(Value::Null)
}

/// The processes of a group.
const PROCESSES: [&str; 9] = [
    "AZRebalance",
    "AddToLoadBalancer",
    "AlarmNotification",
    "HealthCheck",
    "InstanceRefresh",
    "Launch",
    "ReplaceUnhealthy",
    "ScheduledActions",
    "Terminate",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Processes {
    auto_scaling_group_name: String,
    #[serde(default)]
    scaling_processes: Vec<String>,
}

impl Processes {
    /// The group, and the processes that are meant: all, when none is named.
    fn read(tx: &Tx, call: &Call) -> Result<(ScalingGroup, Vec<String>), ApiError> {
        let input: Self = call.input()?;
        let group = changeable(tx, call, &input.auto_scaling_group_name)?;
        if let Some(wrong) = input.scaling_processes.iter().find(|name| !PROCESSES.contains(&name.as_str())) {
            return Err(invalid(format!("'{wrong}' is not a valid process type")));
        }
        let named = if input.scaling_processes.is_empty() {
            PROCESSES.iter().map(|name| (*name).to_owned()).collect()
        } else {
            input.scaling_processes
        };
        Ok((group, named))
    }
}

pub(super) fn suspend(tx: &mut Tx, call: &Call) -> Reply {
    let (mut group, processes) = Processes::read(tx, call)?;
    processes.into_iter().for_each(|process| {
        group.suspended.entry(process).or_insert(call.now);
    });
    put(tx, group);
    Ok(Value::Null)
}

pub(super) fn resume(tx: &mut Tx, call: &Call) -> Reply {
    let (mut group, processes) = Processes::read(tx, call)?;
    group.suspended.retain(|process, _| !processes.contains(process));
    group.wake(call.now);
    put(tx, group);
    Ok(Value::Null)
}
