//! A target group's create, update and delete.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::{
    ProtocolEnum, TargetDescription, TargetGroupAttribute, TargetGroupIpAddressTypeEnum, TargetTypeEnum,
};
use futures::future::{try_join, try_join3, try_join4, try_join5};
use ipnet::IpNet;
use privnet_core::execute::{Poll, Replay, Until};
use privnet_core::{Applied, Error, ErrorKind, Generation, Step, Value};

use super::{Check, DRAIN, Described, Group, MEMBERS_TAG, PRESERVE_CLIENT_IP, PROXY_PROTOCOL, TERMINATE};
use crate::balancing::{self, tag_list};
use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::error::gone_is_fine;
use crate::facts::Registered;
use crate::gather;
use crate::kinds::{created_as, forwarder_group, live_id, outputs};
use crate::network;
use crate::ownership;
use crate::tagging;
use crate::taking_over::Serving;
use crate::targets::{TargetId, TargetType};

const CREATE: Operation = Operation::elb("CreateTargetGroup");
const DELETE: Operation = Operation::elb("DeleteTargetGroup");
const MODIFY: Operation = Operation::elb("ModifyTargetGroup");
const MODIFY_ATTRIBUTES: Operation = Operation::elb("ModifyTargetGroupAttributes");
const REGISTER: Operation = Operation::elb("RegisterTargets");
const DEREGISTER: Operation = Operation::elb("DeregisterTargets");

const SHOWS_WITHIN: Duration = Duration::from_secs(180);
/// A new target passes its first checks within the threshold times the interval; registering itself takes up to a minute or two.
const HEALTHY_WITHIN: Duration = Duration::from_secs(600);
const GONE_WITHIN: Duration = Duration::from_secs(300);

/// What is there, as reads show it.
struct Shown {
    group: Group,
    registered: Vec<Registered>,
    listed: bool,
}

/// All reads at once. It must be listed too, for the list is what the next plan reads.
async fn read(cloud: &Cloud<'_>, arn: &str, ranges: &BTreeSet<IpNet>) -> Result<Option<Shown>, Error> {
    let attributes =
        async { balancing::absent_is_none(balancing::target_group_attributes(cloud, arn).await) };
    let health = async { balancing::absent_is_none(balancing::target_health(cloud, arn).await) };
    let reads = try_join5(
        balancing::target_group(cloud, arn),
        attributes,
        balancing::tags_of(cloud, arn),
        health,
        is_listed(cloud, arn),
    );
    let (Some(described), Some(attributes), tags, Some(health), listed) = reads.await? else {
        return Ok(None);
    };
    let registered = gather::registered(&health);
    Ok(Some(Shown {
        group: Group::of(&described, &attributes, &tags, &registered, ranges),
        registered,
        listed,
    }))
}

async fn is_listed(cloud: &Cloud<'_>, arn: &str) -> Result<bool, Error> {
    Ok(balancing::target_groups(cloud).await?.iter().any(|group| group.target_group_arn() == Some(arn)))
}

/// The ranges of the group's VPC: they say which targets carry a zone.
async fn ranges_of(cloud: &Cloud<'_>, vpc: &str) -> Result<BTreeSet<IpNet>, Error> {
    let found = network::vpcs(cloud, &BTreeSet::from([vpc.to_owned()])).await?;
    Ok(found.get(vpc).map(gather::ranges).unwrap_or_default())
}

// Create.

pub(crate) async fn create(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let wanted = Group::from_fields(step.fields)?;
    let (name, mut tags) = created_as(step, &wanted.tags);
    let target_type = match wanted.target_type.as_str() {
        forwarders if forwarders == TargetType::Forwarders.as_str() => {
            tags.insert(MEMBERS_TAG.to_owned(), forwarders.to_owned());
            TargetTypeEnum::Instance
        }
        other => TargetTypeEnum::from(other),
    };
    let port = i32::try_from(wanted.port).unwrap_or_default();
    let made = cloud
        .call(CREATE, &name, Replay::Safe, || {
            let request = cloud.reach.elb.create_target_group().name(&name);
            let request = request.protocol(ProtocolEnum::from(wanted.protocol.as_str())).port(port);
            let request = request.vpc_id(&wanted.vpc).target_type(target_type.clone());
            let family = TargetGroupIpAddressTypeEnum::from(wanted.ip_address_type.as_str());
            let request = request
                .set_ip_address_type((wanted.target_type == TargetType::Ip.as_str()).then_some(family));
            let check = &wanted.health_check;
            let request = request.health_check_protocol(ProtocolEnum::from(check.protocol.as_str()));
            let request = request.health_check_port(&check.port).set_health_check_path(check.path.clone());
            let request = request.health_check_interval_seconds(small(check.interval));
            let request = request.health_check_timeout_seconds(small(check.timeout));
            let request = request.healthy_threshold_count(small(check.healthy));
            request.unhealthy_threshold_count(small(check.unhealthy)).set_tags(Some(tag_list(&tags))).send()
        })
        .await;
    let (arn, note) = match made {
        Ok(made) => {
            let arn =
                made.target_groups.unwrap_or_default().into_iter().find_map(|made| made.target_group_arn);
            (arn.unwrap_or_default(), None)
        }
        Err(error) if error.kind() == ErrorKind::Conflict => {
            (of_that_name(cloud, &name, error).await?, Some("it was there already".to_owned()))
        }
        Err(error) => return Err(error),
    };
    let (ranges, _) =
        try_join(ranges_of(cloud, &wanted.vpc), tagging::demand_proof(cloud, &arn, &name, step)).await?;
    converge(cloud, &arn, &wanted, &ranges).await?;
    Ok(Applied { outputs: outputs([("arn", &arn)]), note })
}

fn small(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

async fn of_that_name(cloud: &Cloud<'_>, name: &str, conflict: Error) -> Result<String, Error> {
    let found = balancing::target_groups(cloud).await?;
    let same = found.into_iter().find(|group| group.target_group_name() == Some(name));
    same.and_then(|group| group.target_group_arn).ok_or(conflict)
}

// Update.

pub(crate) async fn update(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let mut wanted = Group::from_fields(step.fields)?;
    // What is not to change is left alone: the machines of a forwarder group may have changed since the plan.
    wanted.targets = wanted.targets.filter(|_| step.changes_field("targets"));
    let arn = live_id(step)?;
    let ranges = ranges_of(cloud, &wanted.vpc).await?;
    converge(cloud, &arn, &wanted, &ranges).await?;
    Ok(Applied { outputs: outputs([("arn", &arn)]), note: None })
}

/// Whether all is as wanted. The load balancer is bound by the listener, not here.
fn is_as_wanted(shown: &Group, wanted: &Group) -> bool {
    let targets = wanted.targets.clone().or_else(|| shown.targets.clone());
    *shown == Group { load_balancer: shown.load_balancer.clone(), targets, ..wanted.clone() }
}

/// Writes what differs, and returns when reads show it.
async fn converge(
    cloud: &Cloud<'_>,
    arn: &str,
    wanted: &Group,
    ranges: &BTreeSet<IpNet>,
) -> Result<(), Error> {
    let mut written = false;
    let until = Until {
        operation: "DescribeTargetGroups",
        subject: arn,
        what: "as the file wants it",
        limit: SHOWS_WITHIN,
    };
    loop {
        let shown = cloud
            .context
            .until(until, || async {
                Ok(match read(cloud, arn, ranges).await? {
                    None => Poll::Pending("not described yet".to_owned()),
                    Some(shown) if is_as_wanted(&shown.group, wanted) => {
                        if shown.listed {
                            Poll::Ready(shown)
                        } else {
                            Poll::Pending("not listed yet".to_owned())
                        }
                    }
                    Some(shown) if !written => Poll::Ready(shown),
                    Some(shown) => {
                        Poll::Pending(format!("{} does not show yet", differing(&shown.group, wanted)))
                    }
                })
            })
            .await?;
        if is_as_wanted(&shown.group, wanted) {
            return Ok(());
        }
        write(cloud, arn, &shown, wanted, ranges).await?;
        written = true;
    }
}

fn differing(shown: &Group, wanted: &Group) -> String {
    let (shown, wanted) = (shown.to_fields(), wanted.to_fields());
    let differing =
        wanted.iter().filter(|(name, value)| *name != "load_balancer" && shown.get(*name) != Some(value));
    differing.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
}

async fn write(
    cloud: &Cloud<'_>,
    arn: &str,
    shown: &Shown,
    wanted: &Group,
    ranges: &BTreeSet<IpNet>,
) -> Result<(), Error> {
    let there = &shown.group;
    let fixed =
        |group: &Group| (group.port, group.vpc.clone(), group.target_type.clone(), group.protocol.clone());
    if fixed(there) != fixed(wanted) {
        let message = "it is there with another port, VPC, protocol or type, which cannot be changed";
        return Err(Error::new(ErrorKind::Conflict, CREATE.name, arn, message));
    }
    let tags = async {
        if there.tags == wanted.tags {
            return Ok(());
        }
        tagging::retag_elb(cloud, arn, &ownership::retag(&there.tags, &wanted.tags)).await
    };
    let check = write_check(cloud, arn, &there.health_check, &wanted.health_check);
    let attributes = write_attributes(cloud, arn, there, wanted);
    let targets = write_targets(cloud, arn, shown, wanted, ranges);
    if wanted.drain < there.drain {
        // Sessions on a target that leaves keep the time that they were promised.
        let in_turn = async {
            targets.await?;
            // One that was taken out may be shown for a moment as it was before.
            let out = |target: &Registered| {
                let id = TargetId::of(target, ranges);
                let was = shown.group.targets.as_ref().is_some_and(|was| was.contains(&id));
                was && wanted.targets.as_ref().is_some_and(|stay| !stay.contains(&id))
            };
            left(cloud, arn, there.drain, out).await?;
            attributes.await
        };
        try_join3(check, in_turn, tags).await?;
    } else {
        try_join4(check, attributes, targets, tags).await?;
    }
    Ok(())
}

/// Waits until no target drains any more. Who comes again waits for his patience: the next run goes on.
async fn left(
    cloud: &Cloud<'_>,
    arn: &str,
    drain: i64,
    out: impl Fn(&Registered) -> bool,
) -> Result<(), Error> {
    let drain = Duration::from_secs(u64::try_from(drain).unwrap_or_default());
    let limit = cloud.context.patience(drain + SHOWS_WITHIN);
    let until =
        Until { operation: "DescribeTargetHealth", subject: arn, what: "rid of targets that drain", limit };
    cloud
        .context
        .until(until, || async {
            let registered = gather::registered(&balancing::target_health(cloud, arn).await?);
            Ok(match registered.iter().filter(|target| target.is_leaving() || out(target)).count() {
                0 => Poll::Ready(()),
                leaving => Poll::Pending(format!(
                    "{leaving} target(s) keep their sessions for up to {} s",
                    drain.as_secs()
                )),
            })
        })
        .await
        .map_err(|error| {
            error.with_hint("the shorter drain time is written when they are gone, so that their sessions keep the old one")
        })
}

async fn write_check(cloud: &Cloud<'_>, arn: &str, there: &Check, wanted: &Check) -> Result<(), Error> {
    if there == wanted {
        return Ok(());
    }
    cloud
        .call(MODIFY, arn, Replay::Safe, || {
            let request = cloud.reach.elb.modify_target_group().target_group_arn(arn);
            let request = request.health_check_protocol(ProtocolEnum::from(wanted.protocol.as_str()));
            let request = request.health_check_port(&wanted.port).set_health_check_path(wanted.path.clone());
            let request = request.health_check_interval_seconds(small(wanted.interval));
            let request = request.health_check_timeout_seconds(small(wanted.timeout));
            let request = request.healthy_threshold_count(small(wanted.healthy));
            request.unhealthy_threshold_count(small(wanted.unhealthy)).send()
        })
        .await?;
    Ok(())
}

async fn write_attributes(cloud: &Cloud<'_>, arn: &str, there: &Group, wanted: &Group) -> Result<(), Error> {
    let values = |group: &Group| {
        [
            (PRESERVE_CLIENT_IP, group.preserve_client_ip.to_string()),
            (PROXY_PROTOCOL, group.proxy_protocol.to_string()),
            (DRAIN, group.drain.to_string()),
            (TERMINATE, group.terminate_after_drain.to_string()),
        ]
    };
    let attributes: Vec<_> = values(wanted)
        .into_iter()
        .zip(values(there))
        .filter(|(wanted, there)| wanted != there)
        .map(|((key, value), _)| TargetGroupAttribute::builder().key(key).value(value).build())
        .collect();
    if attributes.is_empty() {
        return Ok(());
    }
    cloud
        .call(MODIFY_ATTRIBUTES, arn, Replay::Safe, || {
            let request = cloud.reach.elb.modify_target_group_attributes().target_group_arn(arn);
            request.set_attributes(Some(attributes.clone())).send()
        })
        .await?;
    Ok(())
}

/// Registers what is new, waits until it is healthy, and only then deregisters what is old, which drains.
async fn write_targets(
    cloud: &Cloud<'_>,
    arn: &str,
    shown: &Shown,
    wanted: &Group,
    ranges: &BTreeSet<IpNet>,
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
    let is_serving = shown.registered.iter().any(Registered::is_healthy);
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

async fn deregister(cloud: &Cloud<'_>, arn: &str, targets: Vec<TargetDescription>) -> Result<(), Error> {
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
                "the old targets are still registered; see that the new ones answer their health checks",
            )
        })
}

// Delete.

/// Targets whose sessions a load balancer still carries are drained before the group goes. Machines that stayed in it until its listener
/// had turned are taken off.
pub(crate) async fn delete(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let arn = live_id(step)?;
    if may_have_machines(step) {
        forwarder_group::leave(cloud, step.deployment, &arn).await?;
    }
    let drain =
        step.live.and_then(|live| live.fields.get("drain")).and_then(Value::as_int).unwrap_or_default();
    if carries_sessions(cloud, step, &arn).await? {
        drained(cloud, &arn, Duration::from_secs(u64::try_from(drain).unwrap_or_default())).await?;
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
                    return Ok(Poll::Pending(error.message().to_owned()));
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
