//! Scaling activities, the newest first.
//!
//! Source: Auto Scaling API reference of DescribeScalingActivities, Activity.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::lookup::{find, invalid};
use crate::aws::call::{Call, Tx};
use crate::aws::error::Reply;
use crate::aws::page::page;
use crate::aws::world::{Activity, ScalingGroup, wire_time};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    #[serde(default)]
    activity_ids: Vec<String>,
    auto_scaling_group_name: Option<String>,
    #[serde(default)]
    include_deleted_groups: bool,
    #[serde(default)]
    filters: Vec<Filter>,
    max_records: Option<usize>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    name: String,
    #[serde(default)]
    values: Vec<String>,
}

impl Filter {
    fn matches(&self, activity: &Activity) -> bool {
        match self.name.as_str() {
            "Status" => self.values.contains(&activity.status),
            "StartTimeLowerBound" => self.values.iter().all(|bound| wire_time(activity.start) >= *bound),
            _ => self.values.iter().all(|bound| wire_time(activity.start) <= *bound),
        }
    }
}

pub(super) fn describe(tx: &mut Tx, call: &Call) -> Reply {
    let input: Describe = call.input()?;
    let known = ["StartTimeLowerBound", "StartTimeUpperBound", "Status"];
    if let Some(wrong) = input.filters.iter().find(|filter| !known.contains(&filter.name.as_str())) {
        return Err(invalid(format!(
            "Filter type {} is not correct. Allowed: {}",
            wrong.name,
            known.join(", ")
        )));
    }
    let name = input.auto_scaling_group_name.as_deref();
    let past =
        tx.past_groups.values().filter(|group| input.include_deleted_groups && group.scope == call.scope);
    let past: Vec<&ScalingGroup> = past.filter(|group| name.is_none_or(|name| group.name == name)).collect();
    if let Some(name) = name.filter(|_| past.is_empty()) {
        find(tx, call, name)?;
    }
    let there = tx.scaling_groups.values().filter(|group| group.scope == call.scope);
    let there = there.filter(|group| name.is_none_or(|name| group.name == name));
    let groups =
        there.map(|group| (group, "InService")).chain(past.into_iter().map(|group| (group, "Deleted")));
    let mut found: BTreeMap<String, Value> = BTreeMap::new();
    for (group, state) in groups {
        for (number, activity) in group.activities.iter().enumerate() {
            let wanted = input.activity_ids.is_empty() || input.activity_ids.contains(&activity.id);
            if wanted && input.filters.iter().all(|filter| filter.matches(activity)) {
                let key = format!("{:020} {:06}", i64::MAX - activity.start.as_second(), 999_999 - number);
                found.insert(format!("{key} {}", activity.id), show(group, activity, state));
            }
        }
    }
    let found: Vec<(String, Value)> = found.into_iter().collect();
    let size = Some(input.max_records.unwrap_or(100));
    let page = page(found, |(key, _)| key.clone(), call, size, input.next_token.as_deref())?;
    let shown: Vec<Value> = page.items.into_iter().map(|(_, activity)| activity).collect();
    Ok(json!({"Activities": shown, "NextToken": page.next}))
}

/// An activity as answers show it.
pub(super) fn show(group: &ScalingGroup, activity: &Activity, state: &str) -> Value {
    let progress = match activity.status.as_str() {
        "Successful" | "Failed" => 100,
        "PreInService" => 30,
        _ => 50,
    };
    json!({
        "ActivityId": activity.id,
        "AutoScalingGroupName": group.name,
        "AutoScalingGroupARN": group.arn,
        "AutoScalingGroupState": state,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": wire_time(activity.start),
        "EndTime": activity.end.map(wire_time),
        "StatusCode": activity.status,
        "StatusMessage": activity.message,
        "Progress": progress,
        "Details": activity.details,
    })
}
