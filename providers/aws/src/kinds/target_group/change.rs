//! A target group's create and update.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::{
    ProtocolEnum, TargetGroupAttribute, TargetGroupIpAddressTypeEnum, TargetTypeEnum,
};
use futures::future::{try_join, try_join3, try_join4, try_join5};
use ipnet::IpNet;
use privnet_core::execute::{Poll, Replay, Until};
use privnet_core::{Applied, Error, ErrorKind, Step};

use super::{Check, DRAIN, Group, MEMBERS_TAG, PRESERVE_CLIENT_IP, PROXY_PROTOCOL, TERMINATE, members};
use crate::balancing::{self, tag_list};
use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::facts::Registered;
use crate::gather;
use crate::kinds::{created_as, live_id, outputs};
use crate::network;
use crate::ownership;
use crate::tagging;
use crate::targets::{TargetId, TargetType};

const CREATE: Operation = Operation::elb("CreateTargetGroup");
const MODIFY: Operation = Operation::elb("ModifyTargetGroup");
pub(super) const MODIFY_ATTRIBUTES: Operation = Operation::elb("ModifyTargetGroupAttributes");

pub(super) const SHOWS_WITHIN: Duration = Duration::from_secs(180);

/// What is there, as reads show it.
pub(super) struct Shown {
    pub(super) group: Group,
    pub(super) registered: Vec<Registered>,
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

pub(super) async fn is_listed(cloud: &Cloud<'_>, arn: &str) -> Result<bool, Error> {
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
    converge(cloud, &arn, &wanted, &ranges, false).await?;
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
    converge(cloud, &arn, &wanted, &ranges, step.spares).await?;
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
    spares: bool,
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
        write(cloud, arn, &shown, wanted, ranges, spares).await?;
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
    spares: bool,
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
    let targets = members::write(cloud, arn, shown, wanted, ranges, spares);
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
    } else if wanted.drain > there.drain && leaves(there, wanted) {
        // What leaves in the same edit has the longer time.
        let in_turn = async {
            attributes.await?;
            targets.await
        };
        try_join3(check, in_turn, tags).await?;
    } else {
        try_join4(check, attributes, targets, tags).await?;
    }
    Ok(())
}

/// Whether a target leaves.
fn leaves(there: &Group, wanted: &Group) -> bool {
    there
        .targets
        .as_ref()
        .zip(wanted.targets.as_ref())
        .is_some_and(|(there, wanted)| !there.is_subset(wanted))
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
