//! A load balancer's create, update and delete.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::{
    EnforceSecurityGroupInboundRulesOnPrivateLinkTrafficEnum as Enforce, IpAddressType,
    LoadBalancer as Described, LoadBalancerAttribute, LoadBalancerSchemeEnum, LoadBalancerTypeEnum,
};
use futures::future::{try_join, try_join4};
use privnet_core::execute::{Poll, Replay, Until};
use privnet_core::{Applied, Error, ErrorKind, Health, Step};

use super::{Balancer, CROSS_ZONE, DELETION_PROTECTION, health, state_of};
use crate::balancing::{self, tag_list};
use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::error::gone_is_fine;
use crate::kinds::{created_as, endpoint_service, live_id, outputs};
use crate::network;
use crate::ownership;
use crate::tagging;

const CREATE: Operation = Operation::elb("CreateLoadBalancer");
const DELETE: Operation = Operation::elb("DeleteLoadBalancer");
const MODIFY_ATTRIBUTES: Operation = Operation::elb("ModifyLoadBalancerAttributes");
const SET_SECURITY_GROUPS: Operation = Operation::elb("SetSecurityGroups");
const SET_SUBNETS: Operation = Operation::elb("SetSubnets");
const SET_IP_ADDRESS_TYPE: Operation = Operation::elb("SetIpAddressType");

/// A network load balancer is provisioned in two to three minutes; ten have been seen.
const ACTIVE_WITHIN: Duration = Duration::from_secs(900);
/// A change makes it provision again.
const SHOWS_WITHIN: Duration = ACTIVE_WITHIN;
/// Its network interfaces linger after a deletion.
const GONE_WITHIN: Duration = Duration::from_secs(900);

/// What is there, as reads show it, all of them at once. It must be listed too, for the list is what the next plan reads.
async fn read(cloud: &Cloud<'_>, arn: &str) -> Result<Option<(Described, Balancer, bool)>, Error> {
    let attributes =
        async { balancing::absent_is_none(balancing::load_balancer_attributes(cloud, arn).await) };
    let reads = try_join4(
        balancing::load_balancer(cloud, arn),
        attributes,
        balancing::tags_of(cloud, arn),
        is_listed(cloud, arn),
    );
    let (Some(described), Some(attributes), tags, listed) = reads.await? else { return Ok(None) };
    let balancer = Balancer::of(&described, &attributes, &tags);
    Ok(Some((described, balancer, listed)))
}

async fn is_listed(cloud: &Cloud<'_>, arn: &str) -> Result<bool, Error> {
    Ok(balancing::load_balancers(cloud)
        .await?
        .iter()
        .any(|balancer| balancer.load_balancer_arn() == Some(arn)))
}

/// Waits until it is active, and returns it.
async fn active(cloud: &Cloud<'_>, arn: &str) -> Result<(), Error> {
    let until =
        Until { operation: "DescribeLoadBalancers", subject: arn, what: "active", limit: ACTIVE_WITHIN };
    cloud
        .context
        .until(until, || async {
            let Some(described) = balancing::load_balancer(cloud, arn).await? else {
                return Ok(Poll::Pending("not described yet".to_owned()));
            };
            match health(&described) {
                Health::Ready => Ok(Poll::Ready(())),
                Health::Busy { state } | Health::Going { state } => Ok(Poll::Pending(state)),
                Health::Broken { state } => {
                    let why =
                        described.state().and_then(|state| state.reason()).unwrap_or("AWS gives no reason");
                    let message = format!("it is {state}: {why}");
                    Err(Error::new(ErrorKind::Other, CREATE.name, arn, message)
                        .with_hint("delete it and run the same command again"))
                }
            }
        })
        .await
}

// Create.

pub(crate) async fn create(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let wanted = Balancer::from_fields(step.fields)?;
    let (name, tags) = created_as(step, &wanted.tags);
    let made = cloud
        .create(CREATE, &name, || {
            let request =
                cloud.reach.elb.create_load_balancer().name(&name).r#type(LoadBalancerTypeEnum::Network);
            let request = request.scheme(LoadBalancerSchemeEnum::Internal);
            let request = request.set_subnets(Some(wanted.subnets.iter().cloned().collect()));
            let request = request.set_security_groups(Some(wanted.security_groups.iter().cloned().collect()));
            let request = request.ip_address_type(IpAddressType::from(wanted.ip_address_type.as_str()));
            request.set_tags(Some(tag_list(&tags))).send()
        })
        .await;
    let (arn, note) = match made {
        Ok(made) => {
            let arn =
                made.load_balancers.unwrap_or_default().into_iter().find_map(|made| made.load_balancer_arn);
            (arn.unwrap_or_default(), None)
        }
        Err(error) if error.kind() == ErrorKind::Conflict => {
            (of_that_name(cloud, &name, error).await?, Some("it was there already".to_owned()))
        }
        Err(error) => return Err(error),
    };
    try_join(tagging::demand_proof(cloud, &arn, &name, step), active(cloud, &arn)).await?;
    if note.is_none() {
        // What a creating call does not take is written at once, without asking what a new one has.
        let unknown = Balancer {
            cross_zone: !wanted.cross_zone,
            deletion_protection: !wanted.deletion_protection,
            enforce_inbound: wanted.enforce_inbound.map(|on| !on),
            ..wanted.clone()
        };
        write(cloud, &arn, &unknown, &wanted).await?;
    }
    let dns_name = converge(cloud, &arn, &wanted, note.is_none()).await?;
    Ok(Applied { outputs: outputs([("arn", &arn), ("dns_name", &dns_name)]), note })
}

/// The ARN under a name that is taken, or the conflict where it cannot be seen.
async fn of_that_name(cloud: &Cloud<'_>, name: &str, conflict: Error) -> Result<String, Error> {
    let found = balancing::load_balancers(cloud).await?;
    let same = found.into_iter().find(|balancer| balancer.load_balancer_name() == Some(name));
    same.and_then(|balancer| balancer.load_balancer_arn).ok_or(conflict)
}

// Update.

pub(crate) async fn update(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let wanted = Balancer::from_fields(step.fields)?;
    let arn = live_id(step)?;
    active(cloud, &arn).await?;
    if step.changes_field("ip_address_type") && wanted.ip_address_type == "ipv4" {
        endpoint_service::leave_ipv6(cloud, step, &arn).await?;
    }
    let dns_name = converge(cloud, &arn, &wanted, false).await?;
    Ok(Applied { outputs: outputs([("arn", &arn), ("dns_name", &dns_name)]), note: None })
}

/// Writes what differs, unless all is `written` already, and returns its DNS name when reads show it all, active again.
async fn converge(
    cloud: &Cloud<'_>,
    arn: &str,
    wanted: &Balancer,
    mut written: bool,
) -> Result<String, Error> {
    let until = Until {
        operation: "DescribeLoadBalancers",
        subject: arn,
        what: "as the file wants it",
        limit: SHOWS_WITHIN,
    };
    loop {
        let (described, shown) = cloud
            .context
            .until(until, || async {
                Ok(match read(cloud, arn).await? {
                    None => Poll::Pending("not described yet".to_owned()),
                    Some((described, shown, true))
                        if shown.is(wanted, written) && health(&described) == Health::Ready =>
                    {
                        Poll::Ready((described, shown))
                    }
                    Some((described, shown, _)) if shown.is(wanted, written) => {
                        Poll::Pending(state_of(&described))
                    }
                    Some((described, shown, _)) if !written => Poll::Ready((described, shown)),
                    Some((_, shown, _)) => {
                        Poll::Pending(format!("{} does not show yet", differing(&shown, wanted)))
                    }
                })
            })
            .await?;
        if shown.is(wanted, written) {
            return Ok(described.dns_name().unwrap_or_default().to_owned());
        }
        write(cloud, arn, &shown, wanted).await?;
        written = true;
    }
}

/// The names of the fields that differ.
fn differing(shown: &Balancer, wanted: &Balancer) -> String {
    let (shown, wanted) = (shown.to_fields(), wanted.to_fields());
    let differing = wanted.iter().filter(|(name, value)| shown.get(*name) != Some(value));
    differing.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
}

async fn write(cloud: &Cloud<'_>, arn: &str, shown: &Balancer, wanted: &Balancer) -> Result<(), Error> {
    if shown.vpc != wanted.vpc {
        let message = format!("it is in {}, not in {}", shown.vpc, wanted.vpc);
        return Err(Error::new(ErrorKind::Conflict, CREATE.name, arn, message));
    }
    let settings =
        try_join(write_attributes(cloud, arn, shown, wanted), write_groups(cloud, arn, shown, wanted));
    let addresses = async {
        // The address type first: a dual-stack one checks its subnets for IPv6.
        write_address_type(cloud, arn, shown, wanted).await?;
        write_subnets(cloud, arn, shown, wanted).await
    };
    let tags = async {
        if shown.tags == wanted.tags {
            return Ok(());
        }
        tagging::retag_elb(cloud, arn, &ownership::retag(&shown.tags, &wanted.tags)).await
    };
    let ((), ()) = settings.await?;
    try_join(addresses, tags).await?;
    Ok(())
}

async fn write_attributes(
    cloud: &Cloud<'_>,
    arn: &str,
    shown: &Balancer,
    wanted: &Balancer,
) -> Result<(), Error> {
    let changed = [
        (CROSS_ZONE, shown.cross_zone, wanted.cross_zone),
        (DELETION_PROTECTION, shown.deletion_protection, wanted.deletion_protection),
    ];
    let attributes: Vec<_> = changed
        .iter()
        .filter(|(_, shown, wanted)| shown != wanted)
        .map(|(key, _, wanted)| LoadBalancerAttribute::builder().key(*key).value(wanted.to_string()).build())
        .collect();
    if attributes.is_empty() {
        return Ok(());
    }
    cloud
        .call(MODIFY_ATTRIBUTES, arn, Replay::Safe, || {
            let request = cloud.reach.elb.modify_load_balancer_attributes().load_balancer_arn(arn);
            request.set_attributes(Some(attributes.clone())).send()
        })
        .await?;
    Ok(())
}

async fn write_groups(
    cloud: &Cloud<'_>,
    arn: &str,
    shown: &Balancer,
    wanted: &Balancer,
) -> Result<(), Error> {
    if shown.security_groups == wanted.security_groups && shown.enforce_inbound == wanted.enforce_inbound {
        return Ok(());
    }
    let enforce = wanted.enforce_inbound.map(|on| if on { Enforce::On } else { Enforce::Off });
    cloud
        .call(SET_SECURITY_GROUPS, arn, Replay::Safe, || {
            let request = cloud.reach.elb.set_security_groups().load_balancer_arn(arn);
            let request = request.set_security_groups(Some(wanted.security_groups.iter().cloned().collect()));
            request.set_enforce_security_group_inbound_rules_on_private_link_traffic(enforce.clone()).send()
        })
        .await?;
    Ok(())
}

async fn write_address_type(
    cloud: &Cloud<'_>,
    arn: &str,
    shown: &Balancer,
    wanted: &Balancer,
) -> Result<(), Error> {
    if shown.ip_address_type == wanted.ip_address_type {
        return Ok(());
    }
    cloud
        .call(SET_IP_ADDRESS_TYPE, arn, Replay::Safe, || {
            let request = cloud.reach.elb.set_ip_address_type().load_balancer_arn(arn);
            request.ip_address_type(IpAddressType::from(wanted.ip_address_type.as_str())).send()
        })
        .await?;
    Ok(())
}

/// Another subnet in a zone that is used takes two steps: away with the zone, then back with the other subnet.
async fn write_subnets(
    cloud: &Cloud<'_>,
    arn: &str,
    shown: &Balancer,
    wanted: &Balancer,
) -> Result<(), Error> {
    if shown.subnets == wanted.subnets {
        return Ok(());
    }
    let kept: BTreeSet<String> = shown.subnets.intersection(&wanted.subnets).cloned().collect();
    if kept != shown.subnets && kept != wanted.subnets && !kept.is_empty() {
        set_subnets(cloud, arn, &kept).await?;
        active(cloud, arn).await?;
    }
    set_subnets(cloud, arn, &wanted.subnets).await
}

async fn set_subnets(cloud: &Cloud<'_>, arn: &str, subnets: &BTreeSet<String>) -> Result<(), Error> {
    cloud
        .call(SET_SUBNETS, arn, Replay::Safe, || {
            let request = cloud.reach.elb.set_subnets().load_balancer_arn(arn);
            request.set_subnets(Some(subnets.iter().cloned().collect())).send()
        })
        .await?;
    Ok(())
}

// Delete.

/// An endpoint service that was just deleted may hold it for a moment; its interfaces linger after it.
pub(crate) async fn delete(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let arn = live_id(step)?;
    let until = Until { operation: DELETE.name, subject: &arn, what: "gone", limit: GONE_WITHIN };
    cloud
        .context
        .until(until, || async {
            let sent = cloud
                .call(DELETE, &arn, Replay::Safe, || {
                    cloud.reach.elb.delete_load_balancer().load_balancer_arn(&arn).send()
                })
                .await;
            match sent {
                Err(error) if error.code() == Some("ResourceInUse") => {
                    Ok(Poll::InUse { by: None, state: error.message().to_owned() })
                }
                other => gone_is_fine(other.map(|_| ())).map(Poll::Ready),
            }
        })
        .await?;
    let interfaces = interface_description(&arn);
    cloud
        .context
        .until(until, || async {
            if balancing::load_balancer(cloud, &arn).await?.is_some() || is_listed(cloud, &arn).await? {
                return Ok(Poll::Pending("still listed".to_owned()));
            }
            let left = network::interfaces_described(cloud, &interfaces).await?;
            Ok(match left.len() {
                0 => Poll::Ready(()),
                left => Poll::Pending(format!("{left} network interface(s) of it are still there")),
            })
        })
        .await?;
    Ok(Applied::default())
}

/// What the interfaces of a load balancer are described as: `ELB net/<name>/<id>`.
fn interface_description(arn: &str) -> String {
    format!("ELB {}", arn.split_once("loadbalancer/").map_or(arn, |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_known_by_their_description() {
        let arn =
            "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/pn-x/0123456789abcdef";
        assert_eq!(interface_description(arn), "ELB net/pn-x/0123456789abcdef");
    }
}
