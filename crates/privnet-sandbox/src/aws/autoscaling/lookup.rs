//! Finding the caller's groups, and Auto Scaling's words when they are not there.

use crate::aws::call::Call;
use crate::aws::error::ApiError;
use crate::aws::world::{ScalingGroup, World, group_key};

/// Auto Scaling's word for nearly everything that a request can have wrong.
pub(super) fn invalid(why: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", why)
}

/// A group of the caller's, deleted or not as long as it is there.
pub(super) fn find<'w>(world: &'w World, call: &Call, name: &str) -> Result<&'w ScalingGroup, ApiError> {
    world.scaling_groups.get(&group_key(&call.scope, name)).ok_or_else(|| {
        invalid(format!("AutoScalingGroup name not found - AutoScalingGroup '{name}' not found"))
    })
}

/// A group of the caller's that may be changed.
pub(super) fn changeable(world: &World, call: &Call, name: &str) -> Result<ScalingGroup, ApiError> {
    let group = find(world, call, name)?;
    if group.deleted.is_some() {
        return Err(invalid("The AutoScaling group may not be modified while it is pending delete"));
    }
    Ok(group.clone())
}

/// Puts a changed group back.
pub(super) fn put(world: &mut World, group: ScalingGroup) {
    world.scaling_groups.insert(group_key(&group.scope, &group.name), group);
}
