//! A target group that the machines of a group leave. While a listener leads there consumers are on them, and the successor's first checks
//! take minutes: so they are taken off by its own deletion, which comes when the listener has turned.

use std::collections::BTreeSet;

use aws_sdk_autoscaling::types::AutoScalingGroup;
use privnet_core::{Error, ErrorKind};

use super::change::detach;
use super::{Group, is_going};
use crate::auto_scaling;
use crate::balancing;
use crate::cloud::Cloud;
use crate::ownership;

/// The target groups that the machines leave later: a load balancer uses each, and another one of the same port takes its place.
pub(super) async fn later(
    cloud: &Cloud<'_>,
    deployment: &str,
    there: &Group,
    wanted: &Group,
) -> Result<BTreeSet<String>, Error> {
    let mut used = Vec::new();
    for arn in there.target_groups.difference(&wanted.target_groups) {
        let described = balancing::target_group(cloud, arn).await?;
        let Some(described) = described.filter(|one| !one.load_balancer_arns().is_empty()) else { continue };
        let tags = balancing::tags_of(cloud, arn).await?;
        let name = described.target_group_name().unwrap_or_default();
        if let Some(proof) = ownership::proof_under_name(&tags, deployment, name) {
            let successor = ownership::cloud_name(deployment, &proof.address, proof.generation.other());
            used.push((arn.clone(), successor));
        }
    }
    if used.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut joined = BTreeSet::new();
    for arn in &wanted.target_groups {
        let described = balancing::target_group(cloud, arn).await?;
        joined.extend(described.and_then(|described| described.target_group_name));
    }
    let gives_way = used.into_iter().filter(|(_, successor)| joined.contains(successor));
    Ok(gives_way.map(|(arn, _)| arn).collect())
}

/// Takes the deployment's machines off a target group that goes. Its own deletion gives their sessions the time, and sees that nobody is
/// registered any more.
pub(crate) async fn leave(cloud: &Cloud<'_>, deployment: &str, target_group: &str) -> Result<(), Error> {
    let all = match auto_scaling::groups(cloud, deployment, &BTreeSet::new()).await {
        // Whose files ask for no machines needs no permission to look for them.
        Err(error) if error.kind() == ErrorKind::Denied => return Ok(()),
        all => all?,
    };
    let attached =
        |group: &&AutoScalingGroup| group.target_group_arns().iter().any(|arn| arn == target_group);
    for group in all.iter().filter(attached).filter(|group| !is_going(group)) {
        let name = group.auto_scaling_group_name().unwrap_or_default();
        let tags = auto_scaling::tags_of(group.tags());
        if ownership::proof_under_name(&tags, deployment, name).is_some() {
            detach(cloud, deployment, name, &BTreeSet::from([target_group.to_owned()])).await?;
        }
    }
    Ok(())
}
