//! Tags of ELBv2's objects. Reading them is immediate: ELBv2 has no filters that could lag.
//!
//! Source: ELBv2 API reference of AddTags, RemoveTags, DescribeTags (20 resources a call), Tag.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::lookup::{listener, load_balancer, target_group, validation};
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};

/// A tag as requests write it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagInput {
    key: String,
    value: Option<String>,
}

/// The tags of a request, checked.
pub(super) fn checked(tags: &[TagInput]) -> Result<BTreeMap<String, String>, ApiError> {
    let mut out = BTreeMap::new();
    for tag in tags {
        let value = tag.value.clone().unwrap_or_default();
        let allowed = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+@-".contains(c);
        let fits = (1..=128).contains(&tag.key.chars().count()) && value.chars().count() <= 256;
        let reserved = tag.key.to_ascii_lowercase().starts_with("aws:");
        if !fits || reserved || !tag.key.chars().chain(value.chars()).all(allowed) {
            return Err(validation(format!("The tag '{}' = '{value}' is not valid", tag.key)));
        }
        if out.insert(tag.key.clone(), value).is_some() {
            let why = format!("Tag keys must be unique: '{}' is specified more than once", tag.key);
            return Err(ApiError::new("DuplicateTagKeys", why));
        }
    }
    if out.len() > 50 {
        return Err(ApiError::new("TooManyTags", "The limit of 50 tags is reached"));
    }
    Ok(out)
}

/// Writes checked tags to an object.
pub(super) fn write(tx: &mut Tx, call: &Call, arn: &str, tags: &BTreeMap<String, String>) {
    for (key, value) in tags {
        tx.tags.set(arn, key, value, call.now);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    resource_arns: Vec<String>,
    #[serde(default)]
    tags: Vec<TagInput>,
    #[serde(default)]
    tag_keys: Vec<String>,
}

impl Input {
    fn read(tx: &Tx, call: &Call) -> Result<Self, ApiError> {
        let input: Self = call.input()?;
        if input.resource_arns.len() > 20 {
            return Err(validation("Up to 20 resources can be specified in a single call"));
        }
        input.resource_arns.iter().try_for_each(|arn| exists(tx, call, arn))?;
        Ok(input)
    }
}

fn exists(tx: &Tx, call: &Call, arn: &str) -> Result<(), ApiError> {
    if arn.contains(":loadbalancer/") {
        load_balancer(tx, call, arn).map(drop)
    } else if arn.contains(":targetgroup/") {
        target_group(tx, call, arn).map(drop)
    } else if arn.contains(":listener/") {
        listener(tx, call, arn).map(drop)
    } else {
        Err(validation(format!("'{arn}' is not a valid resource ARN")))
    }
}

pub(super) fn add_tags(tx: &mut Tx, call: &Call) -> Reply {
    let input = Input::read(tx, call)?;
    let tags = checked(&input.tags)?;
    for arn in &input.resource_arns {
        let new = tags.keys().filter(|key| !tx.tags.of(arn).contains_key(key.as_str())).count();
        if tx.tags.of(arn).len() + new > 50 {
            return Err(ApiError::new("TooManyTags", "The limit of 50 tags is reached"));
        }
    }
    input.resource_arns.iter().for_each(|arn| write(tx, call, arn, &tags));
    Ok(json!({}))
}

pub(super) fn remove_tags(tx: &mut Tx, call: &Call) -> Reply {
    let input = Input::read(tx, call)?;
    for arn in &input.resource_arns {
        input.tag_keys.iter().for_each(|key| tx.tags.remove(arn, key, None, call.now));
    }
    Ok(json!({}))
}

pub(super) fn describe_tags(tx: &mut Tx, call: &Call) -> Reply {
    let input = Input::read(tx, call)?;
    let describe = |arn: &String| {
        let tags: Vec<Value> =
            tx.tags.of(arn).into_iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        json!({"ResourceArn": arn, "Tags": tags})
    };
    Ok(json!({"TagDescriptions": input.resource_arns.iter().map(describe).collect::<Vec<_>>()}))
}
