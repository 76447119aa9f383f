//! Tags of Auto Scaling groups, with the mark whether new instances get them.
//!
//! Source: Auto Scaling API reference of CreateOrUpdateTags, DeleteTags, DescribeTags, Tag, Filter.

use serde::Deserialize;
use serde_json::{Value, json};

use super::lookup::{changeable, find, invalid, put};
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::filter::Filters;
use crate::aws::page::page;
use crate::aws::world::ScalingGroup;

/// A tag as requests write it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagInput {
    resource_id: Option<String>,
    resource_type: Option<String>,
    key: String,
    value: Option<String>,
    propagate_at_launch: Option<bool>,
}

/// A tag that may be set.
pub(super) struct Checked {
    group: String,
    key: String,
    value: Option<String>,
    propagate: bool,
}

/// The tags of a request, checked. When a group is made its tags need not name it.
pub(super) fn checked(tags: &[TagInput], of: Option<&str>) -> Result<Vec<Checked>, ApiError> {
    let mut out: Vec<Checked> = Vec::new();
    for tag in tags {
        if tag.resource_type.as_deref().is_some_and(|kind| kind != "auto-scaling-group") {
            let kind = tag.resource_type.clone().unwrap_or_default();
            return Err(invalid(format!(
                "Not a valid resource type: {kind}. Valid type: auto-scaling-group"
            )));
        }
        let group = match (of, &tag.resource_id) {
            (Some(name), Some(id)) if id != name => {
                return Err(invalid(format!(
                    "Tag resource ID '{id}' does not match the group name '{name}'"
                )));
            }
            (Some(name), _) => name.to_owned(),
            (None, Some(id)) => id.clone(),
            (None, None) => return Err(invalid("Tag resource ID is required")),
        };
        let value_fits = tag.value.as_ref().is_none_or(|value| value.chars().count() <= 256);
        if !(1..=128).contains(&tag.key.chars().count()) || !value_fits {
            return Err(invalid(format!("The tag '{}' is too long, or has an empty key", tag.key)));
        }
        if tag.key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid(format!("'{}': keys that begin with aws: are reserved", tag.key)));
        }
        if out.iter().any(|other| other.group == group && other.key == tag.key) {
            return Err(invalid(format!("The tag key '{}' is specified more than once", tag.key)));
        }
        let propagate = tag.propagate_at_launch.unwrap_or(false);
        out.push(Checked { group, key: tag.key.clone(), value: tag.value.clone(), propagate });
    }
    Ok(out)
}

/// Writes checked tags to a group, which the caller puts back.
pub(super) fn write(
    tx: &mut Tx,
    call: &Call,
    group: &mut ScalingGroup,
    tags: &[Checked],
) -> Result<(), ApiError> {
    for tag in tags {
        let value = tag.value.clone().unwrap_or_default();
        tx.tags.set(&group.arn, &tag.key, &value, call.now);
        group.propagate.insert(tag.key.clone(), tag.propagate);
    }
    if group.propagate.len() > 50 {
        return Err(ApiError::new("LimitExceeded", "The limit of 50 tags for a group is reached"));
    }
    Ok(())
}

/// A group's tags as answers show them.
pub(super) fn show(tx: &Tx, group: &ScalingGroup) -> Vec<Value> {
    let all = tx.tags.of(&group.arn);
    all.into_iter().map(|(key, value)| show_one(group, key, value)).collect()
}

fn show_one(group: &ScalingGroup, key: &str, value: &str) -> Value {
    json!({
        "ResourceId": group.name,
        "ResourceType": "auto-scaling-group",
        "Key": key,
        "Value": value,
        "PropagateAtLaunch": group.propagate.get(key).copied().unwrap_or(false),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    tags: Vec<TagInput>,
}

pub(super) fn create_or_update(tx: &mut Tx, call: &Call) -> Reply {
    let input: Input = call.input()?;
    for tag in checked(&input.tags, None)? {
        let mut group = changeable(tx, call, &tag.group)?;
        write(tx, call, &mut group, &[tag])?;
        put(tx, group);
    }
    Ok(Value::Null)
}

/// Deleting one that is not there succeeds; with a value, only a tag of that value goes.
pub(super) fn delete(tx: &mut Tx, call: &Call) -> Reply {
    let input: Input = call.input()?;
    for tag in checked(&input.tags, None)? {
        let mut group = find(tx, call, &tag.group)?.clone();
        tx.tags.remove(&group.arn, &tag.key, tag.value.as_deref(), call.now);
        if !tx.tags.of(&group.arn).contains_key(tag.key.as_str()) {
            group.propagate.remove(&tag.key);
        }
        put(tx, group);
    }
    Ok(Value::Null)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    #[serde(default)]
    filters: Filters,
    max_records: Option<usize>,
    next_token: Option<String>,
}

pub(super) fn describe(tx: &mut Tx, call: &Call) -> Reply {
    let input: Describe = call.input()?;
    let known = ["auto-scaling-group", "key", "propagate-at-launch", "value"];
    input.filters.check(&known, false).map_err(|error| invalid(error.message))?;
    let mut found: Vec<(&ScalingGroup, &str, &str)> = Vec::new();
    for group in tx.scaling_groups.values().filter(|group| group.scope == call.scope) {
        for (key, value) in tx.tags.seen(&group.arn, call.now, call.lag) {
            let propagates = group.propagate.get(key).copied().unwrap_or(false);
            let matches = input.filters.matches(tx, call, &group.arn, |name| match name {
                "auto-scaling-group" => vec![group.name.clone()],
                "key" => vec![key.to_owned()],
                "value" => vec![value.to_owned()],
                _ => vec![propagates.to_string()],
            });
            if matches {
                found.push((group, key, value));
            }
        }
    }
    let key = |(group, key, _): &(&ScalingGroup, &str, &str)| format!("{} {key}", group.name);
    found.sort_by_key(key);
    let page = page(found, key, call, input.max_records, input.next_token.as_deref())?;
    let tags: Vec<Value> = page.items.iter().map(|(group, key, value)| show_one(group, key, value)).collect();
    Ok(json!({"Tags": tags, "NextToken": page.next}))
}
