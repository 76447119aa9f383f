//! A target group's end.

use std::time::Duration;

use futures::future::try_join;
use privnet_core::execute::{Poll, Replay, Until};
use privnet_core::{Applied, Error, ErrorKind, Generation, Step, Value};

use super::change::{SHOWS_WITHIN, is_listed};
use super::members::deregister;
use super::{Described, time_to_end};
use crate::balancing;
use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::error::gone_is_fine;
use crate::facts::Registered;
use crate::gather;
use crate::kinds::{forwarder_group, live_id};
use crate::ownership;
use crate::targets::TargetType;

const DELETE: Operation = Operation::elb("DeleteTargetGroup");

const GONE_WITHIN: Duration = Duration::from_secs(300);

/// Targets whose sessions a load balancer still carries are drained before the group goes. Machines that stayed in it until its listener
/// had turned are taken off. Both have the longer of the times that this group and the one in its place give.
pub(crate) async fn delete(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let arn = live_id(step)?;
    let drain = match step.has_successor {
        true => time_to_end::given(cloud, step.deployment, &arn).await?,
        false => time_to_end::left(cloud, &arn).await?,
    };
    if may_have_machines(step) {
        forwarder_group::leave(cloud, step.deployment, &arn).await?;
    }
    if carries_sessions(cloud, step, &arn).await? {
        drained(cloud, &arn, drain).await?;
    }
    let until = Until { operation: DELETE.name, subject: &arn, what: "gone", limit: GONE_WITHIN };
    cloud
        .context
        .until(until, || async {
            let sent = cloud
                .call(DELETE, &arn, Replay::Safe, || {
                    cloud.reach.elb.delete_target_group().target_group_arn(&arn).send()
                })
                .await;
            match sent {
                Err(error) if error.kind() == ErrorKind::InUse => {
                    return Ok(Poll::InUse { by: None, state: error.message().to_owned() });
                }
                other => gone_is_fine(other.map(|_| ()))?,
            }
            let (described, listed) =
                try_join(balancing::target_group(cloud, &arn), is_listed(cloud, &arn)).await?;
            let there = described.is_some() || listed;
            Ok(if there { Poll::Pending("still listed".to_owned()) } else { Poll::Ready(()) })
        })
        .await?;
    Ok(Applied::default())
}

/// Whether machines of ours may be attached to the group: somebody may have taken off the tag that says so, but not made it one of
/// addresses.
fn may_have_machines(step: &Step<'_>) -> bool {
    let target_type = step.live.and_then(|live| live.fields.get("target_type")).and_then(Value::as_text);
    target_type.is_none_or(|told| {
        [TargetType::Forwarders, TargetType::Instance].iter().any(|one| one.as_str() == told)
    })
}

/// Whether a load balancer carries sessions on its targets. No listener names the group any more where an earlier run turned the
/// listener and stopped: then targets drain, or the group that took its place is used.
async fn carries_sessions(cloud: &Cloud<'_>, step: &Step<'_>, arn: &str) -> Result<bool, Error> {
    let balancer = step.live.and_then(|live| live.fields.get("load_balancer")).and_then(Value::as_text);
    if let Some(balancer) = balancer {
        return Ok(balancing::load_balancer(cloud, balancer).await?.is_some());
    }
    let health = balancing::absent_is_none(balancing::target_health(cloud, arn).await)?.unwrap_or_default();
    let registered = gather::registered(&health);
    if registered.is_empty() || registered.iter().any(Registered::is_leaving) {
        return Ok(!registered.is_empty());
    }
    let mine = step.action.generation.unwrap_or(Generation::A);
    let successor = ownership::cloud_name(step.deployment, &step.action.address, mine.other());
    let used = |group: &Described| {
        group.target_group_name() == Some(&successor) && !group.load_balancer_arns().is_empty()
    };
    Ok(balancing::target_groups(cloud).await?.iter().any(used))
}

/// Deregisters everything and waits until its sessions had their time. Who comes again waits for his patience: the next run goes on.
async fn drained(cloud: &Cloud<'_>, arn: &str, drain: Duration) -> Result<(), Error> {
    let limit = cloud.context.patience(drain + SHOWS_WITHIN);
    let until = Until { operation: "DescribeTargetHealth", subject: arn, what: "drained", limit };
    cloud
        .context
        .until(until, || async {
            let health =
                balancing::absent_is_none(balancing::target_health(cloud, arn).await)?.unwrap_or_default();
            let registered = gather::registered(&health);
            let staying: Vec<_> =
                health.iter().zip(&registered).filter(|(_, target)| !target.is_leaving()).collect();
            if !staying.is_empty() {
                let targets = staying.iter().filter_map(|(health, _)| health.target().cloned()).collect();
                deregister(cloud, arn, targets).await?;
            }
            Ok(match registered.len() {
                0 => Poll::Ready(()),
                left => Poll::Pending(format!(
                    "{left} target(s) keep their sessions for up to {} s",
                    drain.as_secs()
                )),
            })
        })
        .await
        .map_err(|error| {
            error
                .with_hint("nothing new comes to them, and the group goes when their sessions had their time")
        })
}
