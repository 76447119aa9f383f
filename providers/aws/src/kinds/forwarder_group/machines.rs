//! The machines of a group: started, registered, healthy, drained.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_autoscaling::types::{AutoScalingGroup, LifecycleState};
use privnet_core::execute::{Poll, Until};
use privnet_core::{Error, ErrorKind};

use super::is_going;
use crate::auto_scaling;
use crate::balancing;
use crate::cloud::Cloud;
use crate::facts::Registered;
use crate::gather;
use crate::snapshot::NAME_PREFIX;

/// How long machines may take to start and to be registered.
const STARTED_WITHIN: Duration = Duration::from_secs(15 * 60);
/// How long new machines may take to boot, to reach their databases and to pass their checks.
const HEALTHY_WITHIN: Duration = Duration::from_secs(20 * 60);
/// Auto Scaling tries again and elsewhere; after so many failures in a row nothing is to be hoped for.
const FAILURES: usize = 3;

/// What is demanded of the machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// In service, and registered with every target group.
    Registered,
    /// Also healthy for every load balancer that sends to them.
    Healthy,
}

/// Waits until all machines of a group are as demanded.
pub(super) async fn until(cloud: &Cloud<'_>, name: &str, demand: Demand) -> Result<(), Error> {
    let (what, limit) = match demand {
        Demand::Registered => ("started and registered", STARTED_WITHIN),
        Demand::Healthy => ("healthy", cloud.context.patience(HEALTHY_WITHIN)),
    };
    let until = Until { operation: "DescribeAutoScalingGroups", subject: name, what, limit };
    let ended = cloud.context.until(until, || look(cloud, name, demand)).await;
    ended.map_err(|error| match (error.kind(), demand) {
        (ErrorKind::TimedOut, Demand::Healthy) => error.with_hint(
            "a machine is healthy when its database answers it, and its image must hold nft and python3 (its console output says what is \
             missing); the old group stays until then: see `privnet status`; where no machine can be healthy and the sessions are of no matter, \
             `--sever-connections` does not wait while the old ones are not healthy either",
        ),
        _ => error,
    })
}

async fn look(cloud: &Cloud<'_>, name: &str, demand: Demand) -> Result<Poll<()>, Error> {
    let Some(group) = auto_scaling::group(cloud, name).await? else {
        return Ok(Poll::Pending("not listed yet".to_owned()));
    };
    if is_going(&group) {
        let message = "somebody deletes the group meanwhile";
        return Err(Error::new(ErrorKind::Conflict, "DescribeAutoScalingGroups", name, message));
    }
    let serving = in_service(&group);
    let wanted = usize::try_from(group.desired_capacity().unwrap_or_default()).unwrap_or_default();
    if serving.len() < wanted {
        let state = format!("{} of {wanted} machines are in service", serving.len());
        return match auto_scaling::failure(cloud, name).await? {
            Some(failure) if failure.times >= FAILURES => {
                let message = format!("its machines cannot be started: {}", failure.why);
                Err(Error::new(ErrorKind::Other, "DescribeScalingActivities", name, message).with_hint(
                    "Auto Scaling goes on trying; mend the cause or change `forwarder`, and run the same command again",
                ))
            }
            Some(failure) => Ok(Poll::Pending(format!("{state}; {}", failure.why))),
            None => Ok(Poll::Pending(state)),
        };
    }
    for arn in group.target_group_arns() {
        if let Some(state) = lacking(cloud, arn, &serving, demand).await? {
            return Ok(Poll::Pending(state));
        }
    }
    Ok(Poll::Ready(()))
}

/// What a target group lacks of what is demanded. One that no load balancer sends to is not checked by anybody.
async fn lacking(
    cloud: &Cloud<'_>,
    arn: &str,
    serving: &BTreeSet<String>,
    demand: Demand,
) -> Result<Option<String>, Error> {
    let Some(described) = balancing::target_group(cloud, arn).await? else { return Ok(None) };
    let registered = gather::registered(&balancing::target_health(cloud, arn).await?);
    let checked = demand == Demand::Healthy && !described.load_balancer_arns().is_empty();
    let port = described.port().unwrap_or_default();
    Ok(serving.iter().find_map(|id| {
        let target = registered.iter().find(|target| target.id == *id && !target.is_taken_off());
        match target {
            None => Some(format!("{id} is not registered for port {port} yet")),
            Some(target) if checked && !target.is_healthy() => {
                let why = target.reason.as_deref().unwrap_or("no reason given");
                Some(format!("{id} is {} for port {port}: {why}", target.state))
            }
            Some(_) => None,
        }
    }))
}

/// Whether consumers are served by any machine of a group. Where none is healthy nothing is lost with it.
pub(super) async fn are_serving(cloud: &Cloud<'_>, group: &AutoScalingGroup) -> Result<bool, Error> {
    let members: BTreeSet<&str> = group.instances().iter().filter_map(|one| one.instance_id()).collect();
    for arn in group.target_group_arns() {
        let health = balancing::absent_is_none(balancing::target_health(cloud, arn).await)?;
        let registered = gather::registered(&health.unwrap_or_default());
        if registered.iter().any(|target| target.is_healthy() && members.contains(target.id.as_str())) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The machines that run.
pub(super) fn in_service(group: &AutoScalingGroup) -> BTreeSet<String> {
    let serving =
        group.instances().iter().filter(|one| one.lifecycle_state() == Some(&LifecycleState::InService));
    serving.filter_map(|one| one.instance_id().map(str::to_owned)).collect()
}

/// The target groups that a group's machines leave.
pub(super) async fn left_in(cloud: &Cloud<'_>, group: &AutoScalingGroup) -> Result<BTreeSet<String>, Error> {
    let members: BTreeSet<&str> = group.instances().iter().filter_map(|one| one.instance_id()).collect();
    let mut left = BTreeSet::new();
    for described in balancing::target_groups(cloud).await? {
        let ours = described.target_group_name().is_some_and(|name| name.starts_with(NAME_PREFIX));
        let Some(arn) = described.target_group_arn().filter(|_| ours) else { continue };
        let health = balancing::absent_is_none(balancing::target_health(cloud, arn).await)?;
        let registered = gather::registered(&health.unwrap_or_default());
        if registered.iter().any(|target| target.is_leaving() && members.contains(target.id.as_str())) {
            left.insert(arn.to_owned());
        }
    }
    Ok(left)
}

/// Waits while established sessions have their time: at most so long, and not longer than the load balancer keeps them.
pub(super) async fn drained(
    cloud: &Cloud<'_>,
    group: &AutoScalingGroup,
    groups: &BTreeSet<String>,
    drain: Duration,
) -> Result<(), Error> {
    let name = group.auto_scaling_group_name().unwrap_or_default();
    let members: BTreeSet<&str> = group.instances().iter().filter_map(|one| one.instance_id()).collect();
    let end = tokio::time::Instant::now() + cloud.context.paced(drain);
    // The time itself ends the wait. How long one look takes is no matter of it.
    let limit = drain + Duration::from_secs(3600);
    let until = Until { operation: "DescribeTargetHealth", subject: name, what: "drained", limit };
    let members = &members;
    cloud
        .context
        .until(until, || async move {
            let mut left = 0;
            for arn in groups {
                let health = balancing::absent_is_none(balancing::target_health(cloud, arn).await)?;
                let registered = gather::registered(&health.unwrap_or_default());
                let ours = |target: &&Registered| members.contains(target.id.as_str());
                left += registered.iter().filter(ours).count();
            }
            let over = tokio::time::Instant::now() >= end;
            Ok(match left {
                0 => Poll::Ready(()),
                _ if over => Poll::Ready(()),
                left => Poll::Pending(format!(
                    "{left} target(s) keep their sessions for up to {} s",
                    drain.as_secs()
                )),
            })
        })
        .await
}
