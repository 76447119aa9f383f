//! The chain of a fresh apply on AWS: the requests that must follow one another, whatever else goes on beside them.

use std::time::Duration;

use crate::proxy::{Exchange, is_read};

/// The longest chain of requests of a fresh apply, each of which needs what the one before brought; what stands in one round goes at
/// once. Apart from the reads that show each write, and from waiting for the load balancer, for healthy targets and for the endpoint
/// service: what else is set on the load balancer is set while that is provisioned. The third looks for the service in the account's other
/// regions. The last round is there because no call that allows principals takes tags
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVpcEndpointServicePermissions.html>).
pub const CHAIN: [&[&str]; 8] = [
    &["GetCallerIdentity"],
    &[
        "DescribeRegions",
        "DescribeLoadBalancers",
        "DescribeTargetGroups",
        "DescribeSecurityGroups",
        "DescribeVpcEndpointServiceConfigurations",
    ],
    &["DescribeVpcEndpointServiceConfigurations"],
    &["CreateSecurityGroup"],
    &["CreateLoadBalancer"],
    &["CreateListener", "CreateVpcEndpointServiceConfiguration"],
    &["ModifyVpcEndpointServicePermissions"],
    &["CreateTags"],
];

/// The chain in words.
#[must_use]
pub fn described() -> String {
    CHAIN.map(|round| round.join(", ")).join(" → ")
}

/// Holds the chain against the record of a fresh apply: each round is there and begins after the one before has ended, and every
/// write that is not in it is done beside it, before the listener.
///
/// # Errors
/// What is not so, in words.
pub fn check(exchanges: &[Exchange]) -> Result<(), String> {
    let mut before: Option<Duration> = None;
    for (at, round) in CHAIN.iter().enumerate() {
        // A call that an earlier round has too is there again: that is the first one after that round.
        let is_again = |action: &str| CHAIN.iter().take(at).any(|earlier| earlier.contains(&action));
        let goes_on = |one: &Exchange| !is_again(&one.action) || Some(one.began) >= before;
        let first = |action: &&str| exchanges.iter().find(|one| one.action == **action && goes_on(one));
        let seen: Vec<&Exchange> = round.iter().filter_map(first).collect();
        if seen.len() != round.len() {
            return Err(format!("of {round:?} only {} are in the record", seen.len()));
        }
        let began = seen.iter().map(|exchange| exchange.began).min();
        if began < before {
            return Err(format!("{round:?} began before the round before it had ended"));
        }
        before = seen.iter().map(|exchange| exchange.ended).max();
    }
    let began = |action: &str| exchanges.iter().find(|e| e.action == action).map(|e| e.began);
    let listener = began("CreateListener");
    let beside = exchanges.iter().filter(|exchange| !is_read(&exchange.action));
    let beside =
        beside.filter(|exchange| !CHAIN.iter().any(|round| round.contains(&exchange.action.as_str())));
    match beside.into_iter().find(|exchange| Some(exchange.ended) > listener) {
        Some(late) => Err(format!("{} is written after the listener, and not in the chain", late.action)),
        None => Ok(()),
    }
}
