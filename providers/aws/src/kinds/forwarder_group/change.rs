//! A forwarder group's create, update and delete.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_autoscaling::types::{AutoScalingGroup, LaunchTemplateSpecification, Tag};
use privnet_core::execute::{Poll, Replay, Until};
use privnet_core::{Applied, Error, ErrorKind, Generation, Step};

use super::leaving;
use super::machines::{self, Demand};
use super::registrations;
use super::{DRAIN_TAG, Group, is_going};
use crate::auto_scaling;
use crate::balancing;
use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::error::gone_is_fine;
use crate::kinds::{created_as, live_id, outputs, target_group};
use crate::ownership::{self, TagMap};

const CREATE: Operation = Operation::auto_scaling("CreateAutoScalingGroup");
const UPDATE: Operation = Operation::auto_scaling("UpdateAutoScalingGroup");
const DELETE: Operation = Operation::auto_scaling("DeleteAutoScalingGroup");
const ATTACH: Operation = Operation::auto_scaling("AttachLoadBalancerTargetGroups");
const DETACH: Operation = Operation::auto_scaling("DetachLoadBalancerTargetGroups");
const RESUME: Operation = Operation::auto_scaling("ResumeProcesses");
const SET_TAGS: Operation = Operation::auto_scaling("CreateOrUpdateTags");
const DELETE_TAGS: Operation = Operation::auto_scaling("DeleteTags");

const SHOWS_WITHIN: Duration = Duration::from_secs(180);
/// Machines that are ended, and the group until it is gone.
const GONE_WITHIN: Duration = Duration::from_secs(20 * 60);
/// The most target groups of one call
/// (<https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_AttachLoadBalancerTargetGroups.html>).
const ATTACHED_AT_ONCE: usize = 10;

// Create.

/// Makes it. Where another generation is there, consumers go through that one: the new one is done when it is healthy.
pub(crate) async fn create(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let wanted = Group::from_fields(step.fields)?;
    let (name, tags) = created_as(step, &wanted.tags);
    let until = Until { operation: CREATE.name, subject: &name, what: "made", limit: GONE_WITHIN };
    let note = cloud.context.until(until, || attempt(cloud, step, &name, &wanted, &tags)).await?;
    converge(cloud, step.deployment, &name, &wanted).await?;
    let demand = match other_generation(cloud, step).await? {
        Some(other) if gives_way_to_healthy(cloud, step, &other).await? => Demand::Healthy,
        Some(_) | None => Demand::Registered,
    };
    machines::until(cloud, &name, demand).await?;
    Ok(Applied { outputs: outputs([("name", &name)]), note })
}

/// Asks for it. One of our name that is still being deleted is waited for; a stranger's is a conflict.
async fn attempt(
    cloud: &Cloud<'_>,
    step: &Step<'_>,
    name: &str,
    wanted: &Group,
    tags: &TagMap,
) -> Result<Poll<Option<String>>, Error> {
    let template = LaunchTemplateSpecification::builder()
        .launch_template_id(&wanted.launch_template)
        .version(&wanted.template_version)
        .build();
    let subnets: Vec<&str> = wanted.subnets.iter().map(String::as_str).collect();
    let groups: Vec<String> = wanted.target_groups.iter().cloned().collect();
    let made = cloud
        .create(CREATE, name, || {
            let request = cloud.reach.auto_scaling.create_auto_scaling_group().auto_scaling_group_name(name);
            let request = request.launch_template(template.clone()).vpc_zone_identifier(subnets.join(","));
            let count = wanted.machines();
            let request = request.min_size(count).max_size(count).desired_capacity(count);
            let request = request.health_check_type(&wanted.health_check);
            let request = request.set_target_group_arns(Some(groups.clone()));
            request.set_tags(Some(all_tags(name, tags, wanted.drain))).send()
        })
        .await;
    let conflict = match made {
        Ok(_) => return Ok(Poll::Ready(None)),
        Err(error) if error.kind() == ErrorKind::Conflict => error,
        Err(error) => return Err(error),
    };
    let Some(there) = auto_scaling::group(cloud, name).await? else {
        return Ok(Poll::Pending("one of this name is there, but not listed yet".to_owned()));
    };
    let tags = auto_scaling::tags_of(there.tags());
    match ownership::proof_under_name(&tags, step.deployment, name) {
        Some(proof) if proof.address == step.action.address => {}
        _ => {
            let hint = format!(
                "something else is called {name}: {}",
                ownership::why_not(&tags, step.deployment, &step.action.address)
            );
            return Err(conflict.with_hint(hint));
        }
    }
    if is_going(&there) {
        return Ok(Poll::Pending("the one before is still being deleted".to_owned()));
    }
    Ok(Poll::Ready(Some("it was there already".to_owned())))
}

/// The group's tags in the form that calls take. Machines get them too, but for the drain, which is the group's own.
fn all_tags(name: &str, tags: &TagMap, drain: i64) -> Vec<Tag> {
    let own = tag(name, DRAIN_TAG, Some(&drain.to_string()), false);
    tags.iter().map(|(key, value)| tag(name, key, Some(value), true)).chain([own]).collect()
}

fn tag(name: &str, key: &str, value: Option<&str>, propagate: bool) -> Tag {
    Tag::builder()
        .resource_id(name)
        .resource_type("auto-scaling-group")
        .key(key)
        .set_value(value.map(str::to_owned))
        .propagate_at_launch(propagate)
        .build()
}

/// The group under the other name, where it is there, ours, and not on its way out.
async fn other_generation(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Option<AutoScalingGroup>, Error> {
    let mine = step.action.generation.unwrap_or(Generation::A);
    let name = ownership::cloud_name(step.deployment, &step.action.address, mine.other());
    let there = auto_scaling::group(cloud, &name).await?.filter(|there| !is_going(there));
    Ok(there.filter(|there| {
        let tags = auto_scaling::tags_of(there.tags());
        ownership::proof_under_name(&tags, step.deployment, &name).is_some()
    }))
}

// Update.

/// Changes it in place. One that is being deleted is made again when it is gone.
pub(crate) async fn update(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let name = live_id(step)?;
    if auto_scaling::group(cloud, &name).await?.is_none_or(|there| is_going(&there)) {
        return create(cloud, step).await;
    }
    let wanted = Group::from_fields(step.fields)?;
    converge(cloud, step.deployment, &name, &wanted).await?;
    if let Some(live) = step.live {
        let missing = Group::from_fields(&live.fields)?.unregistered;
        registrations::make(cloud, &name, &wanted.target_groups, &missing).await?;
    }
    machines::until(cloud, &name, Demand::Registered).await?;
    Ok(Applied { outputs: outputs([("name", &name)]), note: None })
}

/// Writes what differs, and returns when a read shows it. Target groups that are left later stay.
async fn converge(cloud: &Cloud<'_>, deployment: &str, name: &str, wanted: &Group) -> Result<(), Error> {
    // The load balancers are not the group's to write.
    let mut wanted = Group { load_balancers: BTreeSet::new(), ..wanted.clone() };
    let mut written = false;
    let until =
        Until { operation: UPDATE.name, subject: name, what: "as the file wants it", limit: SHOWS_WITHIN };
    loop {
        let shown = cloud
            .context
            .until(until, || async {
                let there = auto_scaling::group(cloud, name).await?;
                let there = there.map(|there| Group::of(&there, &auto_scaling::tags_of(there.tags())));
                Ok(match there {
                    None => Poll::Pending("not listed yet".to_owned()),
                    Some(there) if there == wanted || !written => Poll::Ready(there),
                    Some(there) => {
                        Poll::Pending(format!("{} does not show yet", differing(&there, &wanted).join(", ")))
                    }
                })
            })
            .await?;
        if !written {
            wanted.target_groups.extend(leaving::later(cloud, deployment, &shown, &wanted).await?);
        }
        if shown == wanted {
            return Ok(());
        }
        write(cloud, deployment, name, &shown, &wanted).await?;
        written = true;
    }
}

/// The names of the fields that differ.
fn differing(there: &Group, wanted: &Group) -> Vec<String> {
    let (there, wanted): (BTreeMap<_, _>, BTreeMap<_, _>) = (there.to_fields(), wanted.to_fields());
    wanted
        .iter()
        .filter(|(name, value)| there.get(*name) != Some(value))
        .map(|(name, _)| name.clone())
        .collect()
}

async fn write(
    cloud: &Cloud<'_>,
    deployment: &str,
    name: &str,
    there: &Group,
    wanted: &Group,
) -> Result<(), Error> {
    let fixed = |group: &Group| {
        let Group { launch_template, template_version, subnets, count, .. } = group.clone();
        (launch_template, template_version, subnets, count)
    };
    if fixed(there) != fixed(wanted) {
        let message = format!("it is there, but {} differ", differing(there, wanted).join(", "));
        return Err(Error::new(ErrorKind::Conflict, UPDATE.name, name, message)
            .with_hint("run the same command again: the plan then replaces it"));
    }
    let new: Vec<String> = wanted.target_groups.difference(&there.target_groups).cloned().collect();
    for some in new.chunks(ATTACHED_AT_ONCE) {
        let send = || {
            let request = cloud.reach.auto_scaling.attach_load_balancer_target_groups();
            request.auto_scaling_group_name(name).set_target_group_arns(Some(some.to_vec())).send()
        };
        cloud.call(ATTACH, name, Replay::Safe, send).await?;
    }
    let old: BTreeSet<String> = there.target_groups.difference(&wanted.target_groups).cloned().collect();
    detach(cloud, deployment, name, &old).await?;
    if there.health_check != wanted.health_check {
        let send = || {
            let request = cloud.reach.auto_scaling.update_auto_scaling_group().auto_scaling_group_name(name);
            request.health_check_type(&wanted.health_check).send()
        };
        cloud.call(UPDATE, name, Replay::Safe, send).await?;
    }
    if !there.suspended.is_empty() {
        let processes: Vec<String> = there.suspended.iter().cloned().collect();
        let send = || {
            let request = cloud.reach.auto_scaling.resume_processes().auto_scaling_group_name(name);
            request.set_scaling_processes(Some(processes.clone())).send()
        };
        cloud.call(RESUME, name, Replay::Safe, send).await?;
    }
    retag(cloud, name, there, wanted).await
}

/// Takes the machines off target groups. Whose place another one takes keeps their sessions as long as that one does.
pub(super) async fn detach(
    cloud: &Cloud<'_>,
    deployment: &str,
    name: &str,
    groups: &BTreeSet<String>,
) -> Result<(), Error> {
    target_group::give(cloud, deployment, groups).await?;
    let groups: Vec<String> = groups.iter().cloned().collect();
    for some in groups.chunks(ATTACHED_AT_ONCE) {
        let sent = cloud
            .call(DETACH, name, Replay::Safe, || {
                let request = cloud.reach.auto_scaling.detach_load_balancer_target_groups();
                request.auto_scaling_group_name(name).set_target_group_arns(Some(some.to_vec())).send()
            })
            .await;
        gone_is_fine(sent.map(|_| ()))?;
    }
    Ok(())
}

async fn retag(cloud: &Cloud<'_>, name: &str, there: &Group, wanted: &Group) -> Result<(), Error> {
    let retag = ownership::retag(&there.tags, &wanted.tags);
    let mut set = Vec::new();
    if there.tags != wanted.tags {
        set.extend(retag.set.iter().map(|(key, value)| tag(name, key, Some(value), true)));
    }
    if there.drain != wanted.drain {
        set.push(tag(name, DRAIN_TAG, Some(&wanted.drain.to_string()), false));
    }
    if !set.is_empty() {
        let send = || cloud.reach.auto_scaling.create_or_update_tags().set_tags(Some(set.clone())).send();
        cloud.call(SET_TAGS, name, Replay::Safe, send).await?;
    }
    let gone: Vec<Tag> = retag.remove.iter().map(|key| tag(name, key, None, true)).collect();
    if there.tags != wanted.tags && !gone.is_empty() {
        let send = || cloud.reach.auto_scaling.delete_tags().set_tags(Some(gone.clone())).send();
        cloud.call(DELETE_TAGS, name, Replay::Safe, send).await?;
    }
    Ok(())
}

// Delete.

/// Drains and deletes it. Where it is replaced, only when its successor is healthy.
pub(crate) async fn delete(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let name = live_id(step)?;
    let Some(there) = auto_scaling::group(cloud, &name).await? else { return Ok(Applied::default()) };
    let tags = auto_scaling::tags_of(there.tags());
    if ownership::proof_under_name(&tags, step.deployment, &name).is_none() {
        let message =
            format!("it is left alone: {}", ownership::why_not(&tags, step.deployment, &step.action.address));
        return Err(Error::new(ErrorKind::Conflict, DELETE.name, &name, message));
    }
    if !is_going(&there) {
        let seen = Group::from_fields(step.fields)?;
        let drain = time_to_end(cloud, step, seen.drain).await?;
        // An earlier run may have taken the group off and stopped: what its sessions were promised holds.
        let left = match seen.target_groups.is_empty() {
            true => machines::left_in(cloud, &there).await?,
            false => seen.target_groups.clone(),
        };
        if is_reached(cloud, &seen.load_balancers).await? {
            give_way(cloud, step, &there).await?;
            machines::drained(cloud, &there, &left, drain).await?;
        } else if seen.target_groups.is_empty() {
            machines::drained(cloud, &there, &left, drain).await?;
        }
        let sent = cloud
            .call(DELETE, &name, Replay::Safe, || {
                let request = cloud.reach.auto_scaling.delete_auto_scaling_group();
                request.auto_scaling_group_name(&name).force_delete(true).send()
            })
            .await;
        gone_is_fine(sent.map(|_| ()))?;
    }
    let until = Until { operation: DELETE.name, subject: &name, what: "gone", limit: GONE_WITHIN };
    cloud
        .context
        .until(until, || async {
            Ok(match auto_scaling::group(cloud, &name).await? {
                None => Poll::Ready(()),
                Some(there) => {
                    Poll::Pending(format!("{} machine(s) are being ended", there.instances().len()))
                }
            })
        })
        .await?;
    Ok(Applied::default())
}

/// The time that the sessions on it have. A file that gives its machines a longer one makes new machines: those that go have it, too.
async fn time_to_end(cloud: &Cloud<'_>, step: &Step<'_>, own: i64) -> Result<Duration, Error> {
    let successor = other_generation(cloud, step).await?;
    let tags = successor.map(|successor| auto_scaling::tags_of(successor.tags())).unwrap_or_default();
    let theirs = tags.get(DRAIN_TAG).and_then(|drain| drain.parse().ok()).unwrap_or_default();
    Ok(Duration::from_secs(u64::try_from(own.max(theirs)).unwrap_or_default()))
}

/// Whether a load balancer that sent to the group is still there, so that consumers may be on its machines.
async fn is_reached(cloud: &Cloud<'_>, balancers: &BTreeSet<String>) -> Result<bool, Error> {
    for arn in balancers {
        if balancing::load_balancer(cloud, arn).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a group goes for a healthy one only. With its databases down none is healthy, an old one no more than a new one: while
/// consumers are connected it stays until the new one is seen to work.
async fn gives_way_to_healthy(
    cloud: &Cloud<'_>,
    step: &Step<'_>,
    there: &AutoScalingGroup,
) -> Result<bool, Error> {
    let is_attached = !there.target_group_arns().is_empty();
    let may_serve = step.spares && is_attached && !machines::in_service(there).is_empty();
    Ok(may_serve || machines::are_serving(cloud, there).await?)
}

/// Whether a group was made after another one; taken to be so where AWS does not say when.
fn is_newer(group: &AutoScalingGroup, than: &AutoScalingGroup) -> bool {
    let (made, before) = (group.created_time(), than.created_time());
    made.zip(before).is_none_or(|(made, before)| made > before)
}

/// Waits for the successor, and takes new connections away from the group.
async fn give_way(cloud: &Cloud<'_>, step: &Step<'_>, there: &AutoScalingGroup) -> Result<(), Error> {
    let name = there.auto_scaling_group_name().unwrap_or_default();
    let successor = other_generation(cloud, step).await?;
    if let Some(successor) = &successor
        && let Some(name) = successor.auto_scaling_group_name()
    {
        // One that was made after the other, and makes room or is left over, took nobody's place before it was healthy.
        let waits = if is_newer(successor, there) {
            gives_way_to_healthy(cloud, step, there).await?
        } else {
            machines::are_serving(cloud, there).await?
        };
        if waits {
            machines::until(cloud, name, Demand::Healthy).await?;
        }
    }
    detach(cloud, step.deployment, name, &there.target_group_arns().iter().cloned().collect()).await
}
