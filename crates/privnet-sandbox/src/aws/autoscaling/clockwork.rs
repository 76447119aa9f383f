//! What Auto Scaling groups do as time passes: each step at the time at which it was due, whenever somebody looks.

use jiff::Timestamp;

use super::{causes, launch, terminate, traffic};
use crate::aws::elb::target_state;
use crate::aws::world::{
    ATTACHING, Member, PENDING, REMOVED_SHOWS, SHUTTING_DOWN, ScalingGroup, VANISHING, World, after,
};
use crate::frame::Transaction;

/// More steps than this in one look would be a fault of the clockwork.
const STEPS: usize = 20_000;
/// How many deleted groups are remembered.
const PAST: usize = 50;

/// A step that is due.
#[derive(Debug, Clone)]
enum Step {
    /// See whether the group has what it should have.
    Look,
    /// A launched instance comes into service.
    InService(String),
    /// An instance's targets have drained.
    Drained(String),
    /// A terminated instance is gone.
    Gone(String),
    /// A target group that was attached gets the instances.
    Registered(String),
    /// A target group that was detached is forgotten.
    Removed(String),
    /// The group is gone.
    Vanished,
}

/// Brings all groups up to `now`.
pub(crate) fn tick(tx: &mut Transaction<World>, now: Timestamp) {
    for _ in 0..STEPS {
        let next = tx
            .scaling_groups
            .iter()
            .filter_map(|(key, group)| next(tx, group).map(|(at, step)| (at, key.clone(), step)))
            .min_by_key(|(at, ..)| *at);
        match next {
            Some((at, key, step)) if at <= now => take(tx, &key, &step, at),
            _ => break,
        }
    }
    check_health(tx, now);
}

/// The next step of a group, and when it is due.
fn next(world: &World, group: &ScalingGroup) -> Option<(Timestamp, Step)> {
    let mut steps = Vec::new();
    steps.extend(group.looks_at.map(|at| (at, Step::Look)));
    for (arn, attachment) in &group.attachments {
        if attachment.leaving.is_some() {
            let gone = traffic::detached_at(world, arn, attachment).unwrap_or(Timestamp::MAX);
            steps.push((after(gone, REMOVED_SHOWS), Step::Removed(arn.clone())));
        } else if !attachment.registered {
            steps.push((after(attachment.since, ATTACHING), Step::Registered(arn.clone())));
        }
    }
    steps.extend(group.members.values().filter_map(|member| next_of(world, group, member)));
    if let (Some(deleted), true) = (group.deleted, group.members.is_empty()) {
        steps.push((after(deleted, VANISHING), Step::Vanished));
    }
    steps.into_iter().min_by_key(|(at, _)| *at)
}

fn next_of(world: &World, group: &ScalingGroup, member: &Member) -> Option<(Timestamp, Step)> {
    let id = member.id.clone();
    match (member.leaving, member.stopping) {
        (Some(_), Some(stopping)) => Some((after(stopping, SHUTTING_DOWN), Step::Gone(id))),
        (Some(leaving), None) => {
            let drained = traffic::drained_at(world, group, &member.id).unwrap_or(leaving);
            // "Without waiting for all instances to be terminated": a forced deletion waits for no connection.
            let at = if group.deleted.is_some() { leaving } else { drained.max(leaving) };
            Some((at, Step::Drained(id)))
        }
        (None, _) if member.in_service.is_none() => {
            Some((after(member.launched, PENDING), Step::InService(id)))
        }
        _ => None,
    }
}

fn take(tx: &mut Transaction<World>, key: &str, step: &Step, at: Timestamp) {
    let Some(mut group) = tx.scaling_groups.get(key).cloned() else { return };
    let world: &mut World = tx;
    match step {
        Step::Look => look(world, &mut group, at),
        Step::InService(id) => come_into_service(world, &mut group, id, at),
        Step::Drained(id) => terminate::stop(world, &mut group, id, at),
        Step::Gone(id) => {
            if let Some(member) = group.members.remove(id) {
                group.finish(&member.activity, at);
            }
            group.wake(at);
        }
        Step::Registered(arn) => {
            if group.runs("AddToLoadBalancer") {
                let serving = group.staying().filter(|member| member.in_service.is_some());
                serving.for_each(|member| traffic::register(world, arn, &member.id, at));
            }
            if let Some(attachment) = group.attachments.get_mut(arn) {
                attachment.registered = true;
            }
        }
        Step::Removed(arn) => drop(group.attachments.remove(arn)),
        Step::Vanished => {
            world.scaling_groups.remove(key);
            world.tags.forget(&group.arn);
            remember(world, group);
            return;
        }
    }
    world.scaling_groups.insert(key.to_owned(), group);
}

fn remember(world: &mut World, group: ScalingGroup) {
    world.past_groups.insert(group.arn.clone(), group);
    if world.past_groups.len() > PAST {
        let oldest =
            world.past_groups.values().min_by_key(|group| group.deleted).map(|group| group.arn.clone());
        oldest.map(|arn| world.past_groups.remove(&arn));
    }
}

fn come_into_service(world: &mut World, group: &mut ScalingGroup, id: &str, at: Timestamp) {
    let Some(member) = group.members.get_mut(id) else { return };
    member.in_service = Some(at);
    let activity = member.activity.clone();
    group.finish(&activity, at);
    // What it replaces can go.
    group.wake(at);
    if group.runs("AddToLoadBalancer") {
        let attached = group.attachments.iter().filter(|(_, a)| a.leaving.is_none() && a.registered);
        attached.for_each(|(arn, _)| traffic::register(world, arn, id, at));
    }
}

/// Replaces what is unhealthy, launches what is missing, lets go what is too many.
fn look(world: &mut World, group: &mut ScalingGroup, at: Timestamp) {
    group.looks_at = None;
    if group.deleted.is_some() {
        let all: Vec<String> = group.staying().map(|member| member.id.clone()).collect();
        for id in all {
            let cause = causes::difference(group, at, group.staying().count(), 0);
            terminate::begin(world, group, &id, &cause, at);
        }
        return;
    }
    if group.runs("Terminate") && group.runs("ReplaceUnhealthy") {
        let unhealthy: Vec<String> =
            group.staying().filter(|member| member.unhealthy).map(|member| member.id.clone()).collect();
        for id in unhealthy {
            let runs = world.instances.get(&id).is_some_and(|instance| instance.terminated.is_none());
            terminate::begin(world, group, &id, &causes::unhealthy(at, runs), at);
        }
    }
    // Instances in a zone that the group has left are replaced before they go.
    let zones = group.zones.clone();
    let at_home =
        |group: &ScalingGroup| group.staying().filter(|member| zones.contains(&member.zone)).count();
    if group.runs("Launch") {
        while (at_home(group) as i64) < group.desired {
            let cause = causes::difference(group, at, group.staying().count(), group.desired);
            if !launch::launch(world, group, &cause, at) {
                group.looks_at = Some(group.retry_at(at));
                group.failures = group.failures.saturating_add(1);
                break;
            }
        }
    }
    if !group.runs("Terminate") {
        return;
    }
    shrink(world, group, at);
}

fn shrink(world: &mut World, group: &mut ScalingGroup, at: Timestamp) {
    let serving_at_home = group
        .staying()
        .filter(|member| member.in_service.is_some() && group.zones.contains(&member.zone))
        .count() as i64;
    let abroad: Vec<String> =
        group.staying().filter(|m| !group.zones.contains(&m.zone)).map(|m| m.id.clone()).collect();
    if serving_at_home >= group.desired {
        for id in &abroad {
            let cause = causes::difference(group, at, group.staying().count(), group.desired);
            terminate::begin(world, group, id, &cause, at);
        }
    }
    let surplus = |group: &ScalingGroup| {
        let at_home = group.staying().filter(|member| group.zones.contains(&member.zone)).count();
        (at_home as i64) > group.desired
    };
    while surplus(group) {
        let Some(id) = terminate::choose(group) else { break };
        let cause = causes::difference(group, at, group.staying().count(), group.desired);
        terminate::begin(world, group, &id, &cause, at);
    }
}

/// Marks instances that are gone, or that a target group finds unhealthy where the group asks for that.
fn check_health(tx: &mut Transaction<World>, now: Timestamp) {
    let mut found: Vec<(String, String)> = Vec::new();
    for (key, group) in tx.scaling_groups.iter() {
        if group.deleted.is_some() || !group.runs("HealthCheck") {
            continue;
        }
        let fails = |member: &&Member| !member.unhealthy && !is_healthy(tx, group, member, now);
        found.extend(group.staying().filter(fails).map(|member| (key.clone(), member.id.clone())));
    }
    for (key, id) in found {
        if let Some(group) = tx.scaling_groups.get_mut(&key) {
            if let Some(member) = group.members.get_mut(&id) {
                member.unhealthy = true;
            }
            group.wake(now);
        }
    }
}

fn is_healthy(world: &World, group: &ScalingGroup, member: &Member, now: Timestamp) -> bool {
    if world.instances.get(&member.id).is_none_or(|instance| instance.terminated.is_some()) {
        return false;
    }
    let Some(serving) = member.in_service else { return true };
    let asks_targets = group.health_check.split(',').any(|kind| kind == "ELB");
    if !asks_targets || now < after(serving, group.grace) {
        return true;
    }
    group.targets().all(|arn| target_state(world, arn, &member.id, now) != Some("unhealthy"))
}
