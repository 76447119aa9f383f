//! How long the sessions on a group that goes have to end in. A group that stays is given the time of the file before a target leaves
//! it; one that gives way to another has the longer of its own and the other's.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::{TargetGroup as Described, TargetGroupAttribute};
use privnet_core::Error;
use privnet_core::execute::{Poll, Replay, Until};

use super::DRAIN;
use super::change::{MODIFY_ATTRIBUTES, SHOWS_WITHIN};
use crate::balancing;
use crate::cloud::Cloud;
use crate::ownership;

/// The time that a group gives by itself, in seconds; nothing where it is gone.
async fn own(cloud: &Cloud<'_>, arn: &str) -> Result<Option<i64>, Error> {
    let attributes = balancing::absent_is_none(balancing::target_group_attributes(cloud, arn).await)?;
    Ok(attributes.map(|all| all.get(DRAIN).and_then(|time| time.parse().ok()).unwrap_or_default()))
}

/// The time of a group that is taken down, and nothing comes in its place.
pub(super) async fn left(cloud: &Cloud<'_>, arn: &str) -> Result<Duration, Error> {
    Ok(seconds(own(cloud, arn).await?.unwrap_or_default()))
}

/// The time of a group whose targets leave it. Where another one of ours takes its place and gives a longer one, that is written first, so
/// that the load balancer keeps the sessions as long: also for who goes on where a run was cut short.
pub(super) async fn given(cloud: &Cloud<'_>, deployment: &str, arn: &str) -> Result<Duration, Error> {
    let Some(had) = own(cloud, arn).await? else { return Ok(Duration::ZERO) };
    let theirs = match successor(cloud, deployment, arn).await? {
        Some(successor) => own(cloud, &successor).await?.unwrap_or_default(),
        None => 0,
    };
    if theirs > had {
        write(cloud, arn, theirs).await?;
    }
    Ok(seconds(had.max(theirs)))
}

/// The same for all that machines are taken off.
pub(crate) async fn give(
    cloud: &Cloud<'_>,
    deployment: &str,
    groups: &BTreeSet<String>,
) -> Result<(), Error> {
    for arn in groups {
        given(cloud, deployment, arn).await?;
    }
    Ok(())
}

fn seconds(time: i64) -> Duration {
    Duration::from_secs(u64::try_from(time).unwrap_or_default())
}

/// The group under the other name, where both are there and ours.
async fn successor(cloud: &Cloud<'_>, deployment: &str, arn: &str) -> Result<Option<String>, Error> {
    let groups = balancing::target_groups(cloud).await?;
    let Some(going) = groups.iter().find(|group| group.target_group_arn() == Some(arn)) else {
        return Ok(None);
    };
    let Some(proof) = proof_of(cloud, deployment, going).await? else { return Ok(None) };
    let name = ownership::cloud_name(deployment, &proof.address, proof.generation.other());
    let Some(other) = groups.iter().find(|group| group.target_group_name() == Some(&name)) else {
        return Ok(None);
    };
    let is_ours = proof_of(cloud, deployment, other).await?.is_some();
    Ok(other.target_group_arn().filter(|_| is_ours).map(str::to_owned))
}

async fn proof_of(
    cloud: &Cloud<'_>,
    deployment: &str,
    group: &Described,
) -> Result<Option<ownership::Proof>, Error> {
    let tags = balancing::tags_of(cloud, group.target_group_arn().unwrap_or_default()).await?;
    Ok(ownership::proof_under_name(&tags, deployment, group.target_group_name().unwrap_or_default()))
}

/// Writes a time, and returns when a read shows it.
async fn write(cloud: &Cloud<'_>, arn: &str, time: i64) -> Result<(), Error> {
    let attribute = TargetGroupAttribute::builder().key(DRAIN).value(time.to_string()).build();
    cloud
        .call(MODIFY_ATTRIBUTES, arn, Replay::Safe, || {
            let request = cloud.reach.elb.modify_target_group_attributes().target_group_arn(arn);
            request.attributes(attribute.clone()).send()
        })
        .await?;
    let until = Until {
        operation: MODIFY_ATTRIBUTES.name,
        subject: arn,
        what: "as long with its sessions as the group in its place",
        limit: SHOWS_WITHIN,
    };
    cloud
        .context
        .until(until, || async {
            Ok(match own(cloud, arn).await? {
                Some(shown) if shown < time => {
                    Poll::Pending(format!("it still gives sessions {shown} s, not {time} s"))
                }
                Some(_) | None => Poll::Ready(()),
            })
        })
        .await
}
