//! Records of what privnet and the local cloud say to each other on AWS, held to AWS's own description of its APIs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::census::{here, python};
use crate::stage::Fail;

/// Sends every exchange of a record through botocore's service models. Returns the summary.
///
/// # Errors
/// When a request or an answer does not fit, or nothing was recorded.
pub fn check(record: &Path) -> Result<String, Fail> {
    let checked = Command::new(python()?).arg(here().join("aws/botocore_check.py")).arg(record).output()?;
    let said = String::from_utf8_lossy(&checked.stdout);
    if !checked.status.success() {
        return Err(format!("{said}{}", String::from_utf8_lossy(&checked.stderr)).into());
    }
    Ok(said.lines().last().unwrap_or_default().to_owned())
}

/// The actions of a record, as permissions name them.
///
/// # Errors
/// When it cannot be read.
pub fn actions(record: &Path) -> Result<BTreeSet<String>, Fail> {
    let mut actions = BTreeSet::new();
    for line in std::fs::read_to_string(record)?.lines() {
        let exchange: serde_json::Value = serde_json::from_str(line)?;
        let body = exchange["body"].to_string();
        let versions =
            [("2015-12-01", "elasticloadbalancing"), ("2011-01-01", "autoscaling"), ("2011-06-15", "sts")];
        let api = versions.iter().find(|(version, _)| body.contains(&format!("Version={version}")));
        let api = api.map_or("ec2", |(_, api)| api);
        actions.insert(format!("{api}:{}", exchange["action"].as_str().ok_or("a line without an action")?));
    }
    Ok(actions)
}

/// The parameters that name what an action of ELBv2 is on.
const ON: [&str; 4] = ["LoadBalancerArn", "ListenerArn", "TargetGroupArn", "ResourceArns.member.1"];

/// What of load balancing a record's writes are on: the action as permissions name it, and the ARN. What is only made has no ARN yet.
///
/// # Errors
/// When it cannot be read.
pub fn balancing_writes(record: &Path) -> Result<BTreeSet<(String, String)>, Fail> {
    let mut writes = BTreeSet::new();
    for line in std::fs::read_to_string(record)?.lines() {
        let exchange: serde_json::Value = serde_json::from_str(line)?;
        let (Some(action), Some(body)) = (exchange["action"].as_str(), exchange["body"].as_str()) else {
            continue;
        };
        if !body.contains("Version=2015-12-01") || action.starts_with("Describe") {
            continue;
        }
        let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
        let on = pairs
            .filter(|(name, _)| ON.contains(name))
            .map(|(_, arn)| arn.replace("%3A", ":").replace("%2F", "/"));
        writes.extend(on.map(|arn| (format!("elasticloadbalancing:{action}"), arn)));
    }
    Ok(writes)
}

/// The actions that the provider's source names: each that it can send.
///
/// # Errors
/// When the source cannot be read, or names none.
pub fn named_in_source() -> Result<BTreeSet<String>, Fail> {
    let mut named = BTreeSet::new();
    let mut folders: Vec<PathBuf> = vec![here().join("../providers/aws/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                named.extend(operations(&std::fs::read_to_string(path)?));
            }
        }
    }
    if named.is_empty() { Err("the source names no operation".into()) } else { Ok(named) }
}

/// The operations of one file, as permissions name them.
fn operations(source: &str) -> BTreeSet<String> {
    let makers = [("ec2", "ec2"), ("elb", "elasticloadbalancing"), ("auto_scaling", "autoscaling")];
    let of = |(maker, api): (&str, &str)| {
        let begin = format!("Operation::{maker}(\"");
        let names = source.split(begin.as_str()).skip(1).filter_map(|rest| rest.split('"').next());
        names.map(|name| format!("{api}:{name}")).collect::<Vec<_>>()
    };
    makers.into_iter().flat_map(of).collect()
}
