//! Finding the caller's objects by ARN, and the errors when they are not there.

use crate::aws::call::Call;
use crate::aws::error::ApiError;
use crate::aws::world::{Listener, LoadBalancer, TargetGroup, World};

/// ELBv2's word for a request that contradicts itself or the world.
pub(super) fn invalid(why: impl Into<String>) -> ApiError {
    ApiError::new("InvalidConfigurationRequest", why)
}

/// ELBv2's word for a parameter that cannot be.
pub(super) fn validation(why: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", why)
}

pub(super) fn no_load_balancer(arn: &str) -> ApiError {
    if !arn.contains(":loadbalancer/") {
        return validation(format!("'{arn}' is not a valid load balancer ARN"));
    }
    ApiError::new("LoadBalancerNotFound", format!("Load balancer '{arn}' not found"))
}

pub(super) fn no_target_group(arn: &str) -> ApiError {
    if !arn.contains(":targetgroup/") {
        return validation(format!("'{arn}' is not a valid target group ARN"));
    }
    ApiError::new("TargetGroupNotFound", format!("Target group '{arn}' not found"))
}

pub(super) fn no_listener(arn: &str) -> ApiError {
    if !arn.contains(":listener/") {
        return validation(format!("'{arn}' is not a valid listener ARN"));
    }
    ApiError::new("ListenerNotFound", format!("Listener '{arn}' not found"))
}

pub(super) fn load_balancer<'a>(
    world: &'a World,
    call: &Call,
    arn: &str,
) -> Result<&'a LoadBalancer, ApiError> {
    world.load_balancers.get(arn).filter(|lb| lb.scope == call.scope).ok_or_else(|| no_load_balancer(arn))
}

pub(super) fn target_group<'a>(
    world: &'a World,
    call: &Call,
    arn: &str,
) -> Result<&'a TargetGroup, ApiError> {
    world.target_groups.get(arn).filter(|tg| tg.scope == call.scope).ok_or_else(|| no_target_group(arn))
}

pub(super) fn listener<'a>(world: &'a World, call: &Call, arn: &str) -> Result<&'a Listener, ApiError> {
    world.listeners.get(arn).filter(|l| l.scope == call.scope).ok_or_else(|| no_listener(arn))
}

/// The name rules that load balancers and target groups share.
pub(super) fn check_name(what: &str, name: &str) -> Result<(), ApiError> {
    if name.is_empty() || name.len() > 32 {
        return Err(validation(format!("{what} name '{name}' cannot be longer than '32' characters")));
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        let why = "can only contain characters that are alphanumeric characters and hyphens(-)";
        return Err(validation(format!("{what} name '{name}' {why}")));
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Err(validation(format!("{what} name '{name}' cannot begin or end with a hyphen")));
    }
    Ok(())
}
