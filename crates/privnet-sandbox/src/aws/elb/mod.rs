//! The ELBv2 actions.

mod attributes;
mod balancer_edits;
mod health;
mod limits;
mod listeners;
mod load_balancers;
mod lookup;
mod tagging;
mod target_groups;
mod targets;

pub(crate) use attributes::{listener_defaults, load_balancer_defaults, target_group_defaults};
pub(crate) use health::target_state;

use super::call::Handler;

pub(crate) fn handler(action: &str) -> Option<Handler> {
    Some(match action {
        "CreateLoadBalancer" => load_balancers::create,
        "DescribeLoadBalancers" => load_balancers::describe,
        "DeleteLoadBalancer" => load_balancers::delete,
        "SetSecurityGroups" => balancer_edits::set_security_groups,
        "SetSubnets" => balancer_edits::set_subnets,
        "SetIpAddressType" => balancer_edits::set_ip_address_type,
        "DescribeLoadBalancerAttributes" => attributes::describe_load_balancer,
        "ModifyLoadBalancerAttributes" => attributes::modify_load_balancer,
        "CreateTargetGroup" => target_groups::create,
        "DescribeTargetGroups" => target_groups::describe,
        "ModifyTargetGroup" => target_groups::modify,
        "DeleteTargetGroup" => target_groups::delete,
        "DescribeTargetGroupAttributes" => attributes::describe_target_group,
        "ModifyTargetGroupAttributes" => attributes::modify_target_group,
        "RegisterTargets" => targets::register,
        "DeregisterTargets" => targets::deregister,
        "DescribeTargetHealth" => health::describe,
        "CreateListener" => listeners::create,
        "DescribeListeners" => listeners::describe,
        "ModifyListener" => listeners::modify,
        "DeleteListener" => listeners::delete,
        "DescribeListenerAttributes" => attributes::describe_listener,
        "ModifyListenerAttributes" => attributes::modify_listener,
        "AddTags" => tagging::add_tags,
        "RemoveTags" => tagging::remove_tags,
        "DescribeTags" => tagging::describe_tags,
        "DescribeAccountLimits" => limits::describe,
        _ => return None,
    })
}
