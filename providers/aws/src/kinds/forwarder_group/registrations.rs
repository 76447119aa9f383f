//! Machines that somebody took off a target group which their group is attached to. Auto Scaling registers a machine when it starts, or when
//! its group is attached (<https://docs.aws.amazon.com/autoscaling/ec2/userguide/attach-load-balancer-asg.html>), and not again: nobody
//! would send to it any more.

use std::collections::BTreeSet;

use aws_sdk_autoscaling::types::AutoScalingGroup;
use aws_sdk_elasticloadbalancingv2::types::TargetDescription;
use privnet_core::execute::Replay;
use privnet_core::{Error, Live, Ownership};

use super::{Group, machines};
use crate::auto_scaling;
use crate::balancing;
use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::facts::Registered;
use crate::gather;
use crate::observe::Snapshot;

const REGISTER: Operation = Operation::elb("RegisterTargets");

/// A machine and the port that it is not registered for, as plans show it.
fn shown(machine: &str, port: i32) -> String {
    format!("{machine}:{port}")
}

/// The machines in service that a target group of ours which they are attached to does not list, or takes off.
pub(super) fn missing(snapshot: &Snapshot<'_>, group: &AutoScalingGroup) -> BTreeSet<String> {
    let serving = machines::in_service(group);
    let attached = |arn: &str| group.target_group_arns().iter().any(|one| one == arn);
    let groups = snapshot.balancing.target_groups.iter().filter(|seen| {
        seen.claim.ownership == Ownership::Ours && seen.described.target_group_arn().is_some_and(attached)
    });
    let lacking = groups.flat_map(|seen| {
        let port = seen.described.port().unwrap_or_default();
        let listed = staying(&gather::registered(&seen.health));
        let lacking: Vec<_> = serving.difference(&listed).map(|machine| shown(machine, port)).collect();
        lacking
    });
    lacking.collect()
}

fn staying(registered: &[Registered]) -> BTreeSet<String> {
    registered.iter().filter(|target| !target.is_taken_off()).map(|target| target.id.clone()).collect()
}

/// Whether machines of a group that is there are to be registered for this port.
pub(crate) fn is_missing_for(live: &Live, listen: &str) -> bool {
    let of_port = |one: &String| one.rsplit_once(':').is_some_and(|(_, port)| port == listen);
    Group::from_fields(&live.fields).is_ok_and(|there| there.unregistered.iter().any(of_port))
}

/// Registers those of the `missing` that are still in service and not registered.
pub(super) async fn make(
    cloud: &Cloud<'_>,
    name: &str,
    target_groups: &BTreeSet<String>,
    missing: &BTreeSet<String>,
) -> Result<(), Error> {
    if missing.is_empty() {
        return Ok(());
    }
    let Some(group) = auto_scaling::group(cloud, name).await? else { return Ok(()) };
    let serving = machines::in_service(&group);
    for arn in target_groups {
        let Some(described) = balancing::target_group(cloud, arn).await? else { continue };
        let port = described.port().unwrap_or_default();
        let listed = staying(&gather::registered(&balancing::target_health(cloud, arn).await?));
        let new = serving.difference(&listed).filter(|machine| missing.contains(&shown(machine, port)));
        let new: Vec<_> = new.map(|machine| TargetDescription::builder().id(machine).build()).collect();
        if new.is_empty() {
            continue;
        }
        let send = || {
            let request = cloud.reach.elb.register_targets().target_group_arn(arn);
            request.set_targets(Some(new.clone())).send()
        };
        cloud.call(REGISTER, arn, Replay::Safe, send).await?;
    }
    Ok(())
}
