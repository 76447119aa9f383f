//! The members of a target group: who is new is healthy before who is old goes.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::TargetDescription;
use ipnet::IpNet;
use privnet_core::Error;
use privnet_core::execute::{Poll, Replay, Until};

use super::Group;
use super::change::Shown;
use crate::balancing;
use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::facts::Registered;
use crate::gather;
use crate::taking_over::Serving;
use crate::targets::TargetId;

const REGISTER: Operation = Operation::elb("RegisterTargets");
const DEREGISTER: Operation = Operation::elb("DeregisterTargets");

/// A new target passes its first checks within the threshold times the interval; registering itself takes up to a minute or two.
const HEALTHY_WITHIN: Duration = Duration::from_secs(600);

/// Registers what is new, waits until it is healthy, and only then deregisters what is old, which drains. Where nothing serves there is
/// nothing to wait for: while consumers are connected (`spares`) that is where the load balancer asks nothing here, for where nothing is
/// healthy it sends to all, and what is not healthy now may be so again when its database is.
pub(super) async fn write(
    cloud: &Cloud<'_>,
    arn: &str,
    shown: &Shown,
    wanted: &Group,
    ranges: &BTreeSet<IpNet>,
    spares: bool,
) -> Result<(), Error> {
    let (Some(wanted), Some(there)) = (&wanted.targets, &shown.group.targets) else { return Ok(()) };
    let new: BTreeSet<&TargetId> = wanted.difference(there).collect();
    let old: BTreeSet<&TargetId> = there.difference(wanted).collect();
    if !new.is_empty() {
        let targets: Vec<_> = new.iter().map(|target| described(target)).collect();
        cloud
            .call(REGISTER, arn, Replay::Safe, || {
                let request = cloud.reach.elb.register_targets().target_group_arn(arn);
                request.set_targets(Some(targets.clone())).send()
            })
            .await?;
    }
    if old.is_empty() {
        return Ok(());
    }
    let is_serving = shown.registered.iter().any(|there| there.is_healthy() || (spares && there.is_asked()));
    // An earlier run may have registered the new ones and waited in vain: then one of those that stay must be healthy.
    let successors = if new.is_empty() { wanted.iter().collect() } else { new };
    if is_serving && !successors.is_empty() {
        let balancer = shown.group.load_balancer.as_deref();
        let serving = Serving::of(cloud, balancer, arn, &shown.registered).await?;
        let is_used = balancer.is_some();
        healthy(cloud, arn, &Heirs { successors, all: wanted, serving, is_used }, ranges).await?;
    }
    deregister(cloud, arn, old.iter().map(|target| described(target)).collect()).await
}

fn described(target: &TargetId) -> TargetDescription {
    let port = i32::try_from(target.port).ok();
    TargetDescription::builder()
        .id(&target.id)
        .set_port(port)
        .set_availability_zone(target.zone.clone())
        .build()
}

pub(super) async fn deregister(
    cloud: &Cloud<'_>,
    arn: &str,
    targets: Vec<TargetDescription>,
) -> Result<(), Error> {
    cloud
        .call(DEREGISTER, arn, Replay::Safe, || {
            let request = cloud.reach.elb.deregister_targets().target_group_arn(arn);
            request.set_targets(Some(targets.clone())).send()
        })
        .await?;
    Ok(())
}

/// What takes over from targets that go.
struct Heirs<'a> {
    /// The targets of which one must take connections.
    successors: BTreeSet<&'a TargetId>,
    /// All that stay.
    all: &'a BTreeSet<TargetId>,
    /// What serves until then.
    serving: Serving,
    /// Whether a load balancer sends to the group.
    is_used: bool,
}

/// Waits until one of the successors takes connections, and no zone would be cut; until then the old ones stay. Where the listener turns
/// to another group meanwhile nobody asks these any more, and nothing new comes to the old ones.
async fn healthy(
    cloud: &Cloud<'_>,
    arn: &str,
    heirs: &Heirs<'_>,
    ranges: &BTreeSet<IpNet>,
) -> Result<(), Error> {
    let until = Until {
        operation: "DescribeTargetHealth",
        subject: arn,
        what: "healthy on its new targets",
        limit: cloud.context.patience(HEALTHY_WITHIN),
    };
    cloud
        .context
        .until(until, || async {
            let registered = gather::registered(&balancing::target_health(cloud, arn).await?);
            let of = |is: &dyn Fn(&TargetId) -> bool| -> Vec<&Registered> {
                registered.iter().filter(|there| is(&TargetId::of(there, ranges))).collect()
            };
            let ours = of(&|id| heirs.successors.contains(id));
            if ours.iter().any(|target| target.is_healthy()) {
                let stay = of(&|id| heirs.all.contains(id));
                let lacking = heirs.serving.lacking(cloud, &stay, &registered).await?;
                return Ok(lacking.map_or(Poll::Ready(()), Poll::Pending));
            }
            if heirs.is_used && !ours.is_empty() && ours.iter().all(|target| target.state == "unused") {
                let group = balancing::target_group(cloud, arn).await?;
                if group.is_some_and(|group| group.load_balancer_arns().is_empty()) {
                    return Ok(Poll::Ready(()));
                }
            }
            let states: Vec<_> =
                ours.iter().map(|target| format!("{} is {}", target.id, target.state)).collect();
            Ok(Poll::Pending(if states.is_empty() {
                "not registered yet".to_owned()
            } else {
                states.join(", ")
            }))
        })
        .await
        .map_err(|error| {
            error.with_hint(
                "the old targets are still registered; see that the new ones answer their health checks; `--sever-connections` does not wait \
                 where none of those that are registered is healthy",
            )
        })
}
