//! A group lets an instance go: deregistered first, terminated when its targets have drained.

use jiff::Timestamp;

use super::causes;
use super::traffic::{deregister, drained_at};
use crate::aws::world::{Member, ScalingGroup, World};

/// Begins to let an instance go; the activity's id.
pub(super) fn begin(
    world: &mut World,
    group: &mut ScalingGroup,
    instance: &str,
    cause: &str,
    at: Timestamp,
) -> Option<String> {
    let member = group.members.get(instance).filter(|member| member.leaving.is_none())?;
    let (zone, launching) = (member.zone.clone(), member.activity.clone());
    let subnet = world.instances.get(instance).map(|i| i.subnet.clone()).unwrap_or_default();
    // A launch that was not finished is over.
    group.finish(&launching, at);
    let arns: Vec<String> = group.attachments.keys().cloned().collect();
    arns.iter().for_each(|arn| deregister(world, arn, instance, at));
    let draining = drained_at(world, group, instance).is_some_and(|until| until > at);
    let status = if draining { "WaitingForELBConnectionDraining" } else { "InProgress" };
    let about = format!("Terminating EC2 instance: {instance}");
    let activity = causes::activity(about, cause, status, at, &subnet, &zone);
    let id = activity.id.clone();
    group.begin(activity);
    if let Some(member) = group.members.get_mut(instance) {
        member.leaving = Some(at);
        member.activity.clone_from(&id);
    }
    Some(id)
}

/// Tells EC2 to terminate an instance that is on its way out.
pub(super) fn stop(world: &mut World, group: &mut ScalingGroup, instance: &str, at: Timestamp) {
    world.terminate_instance(instance, at);
    if let Some(member) = group.members.get_mut(instance) {
        member.stopping = Some(at);
        let id = member.activity.clone();
        if let Some(activity) = group.activities.iter_mut().find(|activity| activity.id == id) {
            "InProgress".clone_into(&mut activity.status);
        }
    }
}

/// Which instance goes when there is one too many: the fullest zone's, by the group's termination policy.
pub(super) fn choose(group: &ScalingGroup) -> Option<String> {
    let in_zone = |zone: &str| group.staying().filter(|member| member.zone == zone).count();
    let newest_first = group.termination_policies.first().is_some_and(|policy| policy == "NewestInstance");
    let version = |member: &Member| -> i64 {
        member.template.version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
    };
    let order = |member: &&Member| {
        let age = member.launched.as_second();
        // The default policy looks for the oldest template first, then for the oldest instance.
        if newest_first { (0, -age) } else { (version(member), age) }
    };
    let candidates: Vec<&Member> = group.staying().filter(|member| !member.protected).collect();
    let fullest = candidates.iter().map(|member| in_zone(&member.zone)).max()?;
    let from = candidates.into_iter().filter(|member| in_zone(&member.zone) == fullest);
    from.min_by_key(order).map(|member| member.id.clone())
}
