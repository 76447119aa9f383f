//! The Auto Scaling actions, and what groups do as time passes.

mod activities;
mod causes;
mod clockwork;
mod group_edits;
mod groups;
mod instances;
mod launch;
mod lookup;
mod settings;
mod tags;
mod terminate;
mod traffic;

pub(crate) use clockwork::tick;

use super::call::Handler;

pub(crate) fn handler(action: &str) -> Option<Handler> {
    Some(match action {
        "CreateAutoScalingGroup" => groups::create,
        "DescribeAutoScalingGroups" => groups::describe,
        "DeleteAutoScalingGroup" => groups::delete,
        "UpdateAutoScalingGroup" => group_edits::update,
        "SetDesiredCapacity" => group_edits::set_desired_capacity,
        "SuspendProcesses" => group_edits::suspend,
        "ResumeProcesses" => group_edits::resume,
        "AttachLoadBalancerTargetGroups" => traffic::attach_target_groups,
        "DetachLoadBalancerTargetGroups" => traffic::detach_target_groups,
        "DescribeLoadBalancerTargetGroups" => traffic::describe_target_groups,
        "AttachTrafficSources" => traffic::attach_sources,
        "DetachTrafficSources" => traffic::detach_sources,
        "DescribeTrafficSources" => traffic::describe_sources,
        "CreateOrUpdateTags" => tags::create_or_update,
        "DeleteTags" => tags::delete,
        "DescribeTags" => tags::describe,
        "DescribeScalingActivities" => activities::describe,
        "DescribeAutoScalingInstances" => instances::describe,
        "TerminateInstanceInAutoScalingGroup" => instances::terminate,
        "SetInstanceHealth" => instances::set_health,
        _ => return None,
    })
}
