//! Target groups of a group: attached, detached, and the instances that are registered with them.
//!
//! Sources: Auto Scaling API reference of Attach/Detach/DescribeLoadBalancerTargetGroups and …TrafficSources,
//! TrafficSourceState.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::lookup::{changeable, find, invalid, put};
use crate::aws::call::{Call, Tx};
use crate::aws::elb::target_state;
use crate::aws::error::{ApiError, Reply};
use crate::aws::page::page;
use crate::aws::world::{Attachment, ScalingGroup, Target, World, after};

/// A traffic source as requests name it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SourceInput {
    identifier: String,
    #[serde(rename = "Type")]
    kind: Option<String>,
}

/// The target groups among traffic sources; other sources do not exist here.
pub(super) fn target_groups_of(sources: &[SourceInput]) -> Result<Vec<String>, ApiError> {
    let arn = |source: &SourceInput| match source.kind.as_deref() {
        None | Some("elbv2") => Ok(source.identifier.clone()),
        Some(other) => Err(invalid(format!(
            "The traffic source {} of the type {other} does not exist",
            source.identifier
        ))),
    };
    sources.iter().map(arn).collect()
}

/// Refuses target groups that a group cannot have: they are there, for instances, and in its VPC.
pub(super) fn check(tx: &Tx, call: &Call, group: &ScalingGroup, arns: &[String]) -> Result<(), ApiError> {
    for arn in arns {
        let found = tx.target_groups.get(arn).filter(|found| found.scope == call.scope);
        let Some(found) = found else {
            let why = "Provided Target Groups may not be valid. Please ensure they exist and try again.";
            return Err(invalid(why));
        };
        if found.target_type != "instance" {
            let why = format!(
                "Target group {arn} has the target type {}: instances of an Auto Scaling group need the type instance.",
                found.target_type
            );
            return Err(invalid(why));
        }
        let vpc = group.subnets.first().and_then(|id| tx.subnets.get(id)).map(|subnet| &subnet.vpc);
        if vpc.is_some_and(|vpc| *vpc != found.vpc) {
            let why =
                format!("Target group {arn} and the subnets of the group belong to different networks.");
            return Err(invalid(why));
        }
    }
    Ok(())
}

/// Registers an instance, unless it is registered or its group is gone.
pub(super) fn register(world: &mut World, arn: &str, instance: &str, at: Timestamp) {
    let Some(group) = world.target_groups.get_mut(arn) else { return };
    let port = group.port;
    let fresh = Target { id: instance.to_owned(), port, zone: None, registered: at, leaving: None };
    match group.targets.iter_mut().find(|target| target.id == instance && target.port == port) {
        Some(target) if target.leaving.is_none() => {}
        // One that drains begins anew.
        Some(target) => *target = fresh,
        None => group.targets.push(fresh),
    }
}

/// Deregisters an instance; it drains.
pub(super) fn deregister(world: &mut World, arn: &str, instance: &str, at: Timestamp) {
    let meant = |target: &Target| target.id == instance && target.leaving.is_none();
    if !world.target_groups.get(arn).is_some_and(|group| group.targets.iter().any(meant)) {
        return;
    }
    if let Some(group) = world.target_groups.get_mut(arn) {
        group.targets.iter_mut().filter(|target| meant(target)).for_each(|target| target.leaving = Some(at));
        let drain = group.drain();
        group.targets.retain(|t| t.leaving.is_none_or(|leaving| at < after(leaving, drain) || leaving == at));
    }
}

/// When an instance has drained in all target groups of its group; `None` when it drains in none.
pub(super) fn drained_at(world: &World, group: &ScalingGroup, instance: &str) -> Option<Timestamp> {
    let of_one = |arn: &String| {
        let found = world.target_groups.get(arn)?;
        let targets = found.targets.iter().filter(|target| target.id == instance);
        targets.filter_map(|target| Some(after(target.leaving?, found.drain()))).max()
    };
    group.attachments.keys().filter_map(of_one).max()
}

/// When all instances have drained in a target group that was detached.
pub(super) fn detached_at(world: &World, arn: &str, attachment: &Attachment) -> Option<Timestamp> {
    let drain = world.target_groups.get(arn).map_or(0, crate::aws::world::TargetGroup::drain);
    Some(after(attachment.leaving?, drain))
}

fn attach(tx: &mut Tx, call: &Call, name: &str, arns: Vec<String>, as_source: bool) -> Reply {
    at_most_ten(&arns)?;
    let mut group = changeable(tx, call, name)?;
    check(tx, call, &group, &arns)?;
    for arn in arns {
        let known = group.attachments.get(&arn).is_some_and(|attachment| attachment.leaving.is_none());
        if !known {
            let fresh = Attachment {
                since: call.now,
                at_creation: false,
                as_source,
                registered: false,
                leaving: None,
            };
            group.attachments.insert(arn, fresh);
        }
    }
    put(tx, group);
    Ok(json!({}))
}

fn detach(tx: &mut Tx, call: &Call, name: &str, arns: &[String], as_source: bool) -> Reply {
    at_most_ten(arns)?;
    let mut group = changeable(tx, call, name)?;
    for arn in arns {
        let known = |a: &&mut Attachment| a.leaving.is_none() && (as_source || !a.as_source);
        let attached = group.attachments.get_mut(arn).filter(known);
        let Some(attachment) = attached else {
            let why = format!("Trying to remove Target Groups that are not part of the group: {arn}");
            return Err(invalid(why));
        };
        attachment.leaving = Some(call.now);
    }
    let members: Vec<String> = group.members.keys().cloned().collect();
    put(tx, group);
    for arn in arns {
        members.iter().for_each(|member| deregister(tx, arn, member, call.now));
    }
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TargetGroups {
    auto_scaling_group_name: String,
    #[serde(rename = "TargetGroupARNs")]
    target_groups: Vec<String>,
}

pub(super) fn attach_target_groups(tx: &mut Tx, call: &Call) -> Reply {
    let input: TargetGroups = call.input()?;
    attach(tx, call, &input.auto_scaling_group_name, input.target_groups, false)
}

pub(super) fn detach_target_groups(tx: &mut Tx, call: &Call) -> Reply {
    let input: TargetGroups = call.input()?;
    detach(tx, call, &input.auto_scaling_group_name, &input.target_groups, false)
}

fn at_most_ten(arns: &[String]) -> Result<(), ApiError> {
    match arns.len() {
        1..=10 => Ok(()),
        n => Err(invalid(format!(
            "Between 1 and 10 target groups or traffic sources can be specified, not {n}"
        ))),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sources {
    auto_scaling_group_name: String,
    traffic_sources: Vec<SourceInput>,
}

pub(super) fn attach_sources(tx: &mut Tx, call: &Call) -> Reply {
    let input: Sources = call.input()?;
    attach(tx, call, &input.auto_scaling_group_name, target_groups_of(&input.traffic_sources)?, true)
}

pub(super) fn detach_sources(tx: &mut Tx, call: &Call) -> Reply {
    let input: Sources = call.input()?;
    detach(tx, call, &input.auto_scaling_group_name, &target_groups_of(&input.traffic_sources)?, true)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    auto_scaling_group_name: String,
    traffic_source_type: Option<String>,
    max_records: Option<usize>,
    next_token: Option<String>,
}

/// A target group's state: `InService` when it came with the group, or when ELB health checks are on and find one instance
/// healthy.
fn state(tx: &Tx, group: &ScalingGroup, arn: &str, attachment: &Attachment, now: Timestamp) -> &'static str {
    if let Some(gone) = detached_at(tx, arn, attachment) {
        return if now < gone { "Removing" } else { "Removed" };
    }
    let asks = group.health_check.split(',').any(|kind| kind == "ELB");
    let healthy = |id: &String| target_state(tx, arn, id, now) == Some("healthy");
    match () {
        () if attachment.at_creation => "InService",
        () if !attachment.registered => "Adding",
        () if asks && group.members.keys().any(healthy) => "InService",
        () => "Added",
    }
}

/// ARNs with their states.
type States = Vec<(String, &'static str)>;

/// The states of all traffic sources, or of those that the calls about target groups know; with the token of the next page.
fn states(
    tx: &Tx,
    call: &Call,
    input: &Describe,
    sources: bool,
) -> Result<(States, Option<String>), ApiError> {
    let group = find(tx, call, &input.auto_scaling_group_name)?;
    let all: States = group
        .attachments
        .iter()
        .filter(|(_, attachment)| sources || !attachment.as_source)
        .map(|(arn, attachment)| (arn.clone(), state(tx, group, arn, attachment, call.now)))
        .filter(|_| input.traffic_source_type.as_deref().is_none_or(|kind| kind == "elbv2"))
        .collect();
    let size = Some(input.max_records.unwrap_or(100));
    let page = page(all, |(arn, _)| arn.clone(), call, size, input.next_token.as_deref())?;
    Ok((page.items, page.next))
}

pub(super) fn describe_target_groups(tx: &mut Tx, call: &Call) -> Reply {
    let (states, next) = states(tx, call, &call.input()?, false)?;
    let show = |(arn, state): &(String, &str)| json!({"LoadBalancerTargetGroupARN": arn, "State": state});
    let shown: Vec<Value> = states.iter().map(show).collect();
    Ok(json!({"LoadBalancerTargetGroups": shown, "NextToken": next}))
}

pub(super) fn describe_sources(tx: &mut Tx, call: &Call) -> Reply {
    let (states, next) = states(tx, call, &call.input()?, true)?;
    let show = |(arn, state): &(String, &str)| json!({"TrafficSource": arn, "Identifier": arn, "Type": "elbv2", "State": state});
    let shown: Vec<Value> = states.iter().map(show).collect();
    Ok(json!({"TrafficSources": shown, "NextToken": next}))
}
