//! The quotas of an account.

use serde_json::json;

use super::{load_balancers, target_groups};
use crate::aws::call::{Call, Tx};
use crate::aws::error::Reply;

pub(super) fn describe(_: &mut Tx, _: &Call) -> Reply {
    let limits = [
        ("network-load-balancers", load_balancers::QUOTA),
        ("target-groups", target_groups::QUOTA),
        ("listeners-per-network-load-balancer", 50),
        ("targets-per-network-load-balancer", 3000),
        ("targets-per-availability-zone-per-network-load-balancer", 500),
        ("target-groups-per-action-on-network-load-balancer", 1),
        ("certificates-per-network-load-balancer", 25),
    ];
    let show = |(name, max): &(&str, usize)| json!({"Name": name, "Max": max.to_string()});
    Ok(json!({"Limits": limits.iter().map(show).collect::<Vec<_>>()}))
}
