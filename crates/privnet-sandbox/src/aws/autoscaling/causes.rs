//! The words of scaling activities: what they are about, and why.
//!
//! Source: Auto Scaling user guide, "Verify a scaling activity for an Auto Scaling group" and "Troubleshooting" (their examples).

use jiff::Timestamp;
use serde_json::json;

use crate::aws::world::{Activity, ScalingGroup};

/// Why a group's instances go when it is deleted.
pub(super) const DELETED: &str = "a user request deleted the AutoScalingGroup.";

/// A time as causes write it.
fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The cause of a difference between desired and actual capacity.
pub(super) fn difference(group: &ScalingGroup, at: Timestamp, from: usize, to: i64) -> String {
    let at = time(at);
    let (what, change) = if to > i64::try_from(from).unwrap_or(i64::MAX) {
        ("an instance was started", "increasing")
    } else {
        ("an instance was taken out of service", "shrinking")
    };
    let why = if group.why.is_empty() { String::new() } else { format!("At {at} {}  ", group.why) };
    format!(
        "{why}At {at} {what} in response to a difference between desired and actual capacity, {change} the capacity \
         from {from} to {to}."
    )
}

/// The cause when a health check failed.
pub(super) fn unhealthy(at: Timestamp, is_running: bool) -> String {
    let why = if is_running {
        "an ELB system health check failure."
    } else {
        "an EC2 health check indicating it has been terminated or stopped."
    };
    format!("At {} an instance was taken out of service in response to {why}", time(at))
}

/// The cause when somebody terminated an instance through its group.
pub(super) fn asked(at: Timestamp, instance: &str) -> String {
    format!("At {} instance {instance} was taken out of service in response to a user request.", time(at))
}

/// An activity that begins.
pub(super) fn activity(
    description: String,
    cause: &str,
    status: &str,
    at: Timestamp,
    subnet: &str,
    zone: &str,
) -> Activity {
    Activity {
        id: uuid::Uuid::new_v4().to_string(),
        description,
        cause: cause.chars().take(1023).collect(),
        start: at,
        end: None,
        status: status.to_owned(),
        message: None,
        details: json!({"Subnet ID": subnet, "Availability Zone": zone}).to_string(),
    }
}
