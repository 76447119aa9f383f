//! Elastic Load Balancing's part.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::{Listener, LoadBalancer, LoadBalancerTypeEnum, TargetGroup};
use futures::future::{try_join, try_join3};
use futures::stream::{StreamExt, TryStreamExt};
use privnet_core::Error;
use privnet_core::spec::aws::AwsTarget;

use super::{Balancing, NAME_PREFIX, SeenListener, SeenLoadBalancer, SeenTargetGroup, ports};
use crate::balancing::{self, Attributes};
use crate::cloud::Cloud;
use crate::kinds::listener;
use crate::observe::{Wanted, supplied_load_balancer};
use crate::ownership::{self, TagMap};

/// How many things are read at once; the rate is the limiter's matter.
const AT_ONCE: usize = 40;

/// Reads Elastic Load Balancing's part: everything by pages, tags by twenties, then what belongs to each of ours.
pub(crate) async fn balancing(cloud: &Cloud<'_>, wanted: &Wanted<'_>) -> Result<Balancing, Error> {
    let supplied: BTreeSet<String> =
        wanted.services.iter().filter_map(|(_, aws)| supplied_load_balancer(aws)).collect();
    let (balancers, groups) =
        try_join(balancing::load_balancers(cloud), balancing::target_groups(cloud)).await?;
    let named = named_applications(wanted);
    let applications = balancers
        .iter()
        .filter(|b| b.r#type() == Some(&LoadBalancerTypeEnum::Application))
        .filter_map(|b| b.load_balancer_arn().filter(|arn| named.contains(*arn)).map(str::to_owned))
        .collect();
    let carrying = carrying(&balancers);
    let groups: Vec<_> =
        groups.into_iter().filter(|group| has_our_prefix(group.target_group_name())).collect();
    // Listeners of ours may stand on a load balancer that the file does not name any more: our target groups tell which.
    let serving: BTreeSet<&str> =
        groups.iter().flat_map(|group| group.load_balancer_arns()).map(String::as_str).collect();
    let balancers: Vec<_> = balancers
        .into_iter()
        .filter(|b| {
            has_our_prefix(b.load_balancer_name())
                || b.load_balancer_arn().is_some_and(|a| supplied.contains(a) || serving.contains(a))
        })
        .collect();
    let arns = balancers.iter().filter_map(|b| b.load_balancer_arn());
    let arns =
        arns.chain(groups.iter().filter_map(|group| group.target_group_arn())).map(str::to_owned).collect();
    let tags = balancing::tags(cloud, &arns).await?;
    let used = used_by_ours(wanted, &groups, &tags);
    let (load_balancers, target_groups, applications) = try_join3(
        seen_load_balancers(cloud, wanted, (&supplied, &used), balancers, &tags),
        seen_target_groups(cloud, wanted, groups, &tags),
        listening(cloud, applications),
    )
    .await?;
    Ok(Balancing { load_balancers, target_groups, applications, carrying })
}

/// Which load balancers carry a security group.
fn carrying(balancers: &[LoadBalancer]) -> BTreeMap<String, BTreeSet<String>> {
    let mut carrying: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (balancer, arn) in balancers.iter().filter_map(|one| Some((one, one.load_balancer_arn()?))) {
        for group in balancer.security_groups() {
            carrying.entry(group.clone()).or_default().insert(arn.to_owned());
        }
    }
    carrying
}

/// The application load balancers that the file names as targets.
fn named_applications(wanted: &Wanted<'_>) -> BTreeSet<String> {
    let all = wanted.services.iter().flat_map(|(_, aws)| ports(aws));
    all.filter_map(|port| match &port.port.to {
        AwsTarget::Alb(arn) => Some(arn.to_string()),
        _ => None,
    })
    .collect()
}

/// The ports that application load balancers listen on, and in which protocol.
async fn listening(
    cloud: &Cloud<'_>,
    arns: Vec<String>,
) -> Result<BTreeMap<String, BTreeMap<i64, String>>, Error> {
    let reads = arns.into_iter().map(|arn| async move {
        let listeners = balancing::absent_is_none(balancing::listeners(cloud, &arn).await)?;
        let on = |listener: &Listener| {
            Some((i64::from(listener.port()?), listener.protocol()?.as_str().to_owned()))
        };
        Ok::<_, Error>((arn, listeners.unwrap_or_default().iter().filter_map(on).collect()))
    });
    futures::stream::iter(reads).buffered(AT_ONCE).try_collect().await
}

/// The load balancers that send to target groups of ours.
fn used_by_ours(
    wanted: &Wanted<'_>,
    groups: &[TargetGroup],
    tags: &BTreeMap<String, TagMap>,
) -> BTreeSet<String> {
    let is_ours = |group: &&TargetGroup| {
        let tags = group.target_group_arn().and_then(|arn| tags.get(arn));
        let (tags, name) = (tags.cloned().unwrap_or_default(), group.target_group_name().unwrap_or_default());
        ownership::proof_under_name(&tags, wanted.deployment, name).is_some()
    };
    groups.iter().filter(is_ours).flat_map(|group| group.load_balancer_arns().iter().cloned()).collect()
}

fn has_our_prefix(name: Option<&str>) -> bool {
    name.is_some_and(|name| name.starts_with(NAME_PREFIX))
}

/// The load balancers that are ours or of our names, those that the file names, and of the others those that are used by ours.
async fn seen_load_balancers(
    cloud: &Cloud<'_>,
    wanted: &Wanted<'_>,
    (supplied, used): (&BTreeSet<String>, &BTreeSet<String>),
    all: Vec<LoadBalancer>,
    tags: &BTreeMap<String, TagMap>,
) -> Result<Vec<SeenLoadBalancer>, Error> {
    let concerned = all.into_iter().filter_map(|described| {
        let arn = described.load_balancer_arn()?.to_owned();
        let tags = tags.get(&arn).cloned().unwrap_or_default();
        let claim = wanted.names.claim(wanted.deployment, described.load_balancer_name()?, &tags);
        if supplied.contains(&arn) {
            // The user's own may have a name like ours; one that this deployment made is not the user's own.
            let ours = claim.filter(|claim| claim.ownership == privnet_core::Ownership::Ours);
            return Some((described, arn, tags, ours));
        }
        (claim.is_some() || used.contains(&arn)).then_some((described, arn, tags, claim))
    });
    let reads = concerned.map(|(described, arn, tags, claim)| async move {
        let foreign = claim.as_ref().is_some_and(|claim| claim.ownership != privnet_core::Ownership::Ours);
        let (attributes, listeners) = if foreign {
            (Attributes::new(), Vec::new())
        } else {
            try_join(load_balancer_attributes(cloud, &arn), balancing::listeners(cloud, &arn)).await?
        };
        Ok::<_, Error>((
            SeenLoadBalancer { described, claim, tags, attributes, listeners: Vec::new() },
            listeners,
        ))
    });
    let read: Vec<_> = futures::stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    with_listeners(cloud, wanted, read).await
}

/// A load balancer that goes meanwhile has no attributes any more.
async fn load_balancer_attributes(cloud: &Cloud<'_>, arn: &str) -> Result<Attributes, Error> {
    let answer = balancing::load_balancer_attributes(cloud, arn).await;
    Ok(balancing::absent_is_none(answer)?.unwrap_or_default())
}

/// Adds tags and attributes to the listeners: tags of all of them by twenties. Attributes can be read one by one only, so they are
/// where there is something to know: the file asks for a time of its own, or privnet once set one.
async fn with_listeners(
    cloud: &Cloud<'_>,
    wanted: &Wanted<'_>,
    read: Vec<(SeenLoadBalancer, Vec<Listener>)>,
) -> Result<Vec<SeenLoadBalancer>, Error> {
    let arns: BTreeSet<String> = read
        .iter()
        .flat_map(|(_, listeners)| listeners)
        .filter_map(|l| l.listener_arn().map(str::to_owned))
        .collect();
    let tags = balancing::tags(cloud, &arns).await?;
    let asked: BTreeSet<&str> = wanted
        .services
        .iter()
        .filter(|(_, aws)| listener::asks_for_its_own_time(aws))
        .map(|(service, _)| service.name.as_str())
        .collect();
    let of_service = read.iter().flat_map(|(balancer, listeners)| {
        let service = balancer.claim.as_ref().map(|claim| claim.address.service.as_str());
        listeners.iter().filter_map(move |one| Some((one.listener_arn()?.to_owned(), service)))
    });
    let telling = of_service.filter(|(arn, service)| {
        let tags = tags.get(arn);
        let proved = tags.and_then(|tags| ownership::proof(tags, wanted.deployment));
        let service = proved.as_ref().map(|proof| proof.address.service.as_str()).or(*service);
        service.is_some_and(|service| asked.contains(service)) || tags.is_some_and(listener::had_its_own_time)
    });
    let telling: Vec<String> = telling.map(|(arn, _)| arn).collect();
    let reads = telling.into_iter().map(|arn| async move {
        let answer = balancing::listener_attributes(cloud, &arn).await;
        Ok::<_, Error>((arn, balancing::absent_is_none(answer)?.unwrap_or_default()))
    });
    let attributes: BTreeMap<_, _> = futures::stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    let seen = read.into_iter().map(|(mut balancer, listeners)| {
        let listeners = listeners.into_iter().map(|described| {
            let arn = described.listener_arn().unwrap_or_default();
            let tags = tags.get(arn).cloned().unwrap_or_default();
            let attributes = attributes.get(arn).cloned();
            SeenListener { described, tags, attributes }
        });
        balancer.listeners = listeners.collect();
        balancer
    });
    Ok(seen.collect())
}

async fn seen_target_groups(
    cloud: &Cloud<'_>,
    wanted: &Wanted<'_>,
    all: Vec<TargetGroup>,
    tags: &BTreeMap<String, TagMap>,
) -> Result<Vec<SeenTargetGroup>, Error> {
    let concerned = all.into_iter().filter_map(|described| {
        let arn = described.target_group_arn()?.to_owned();
        let tags = tags.get(&arn).cloned().unwrap_or_default();
        let claim = wanted.names.claim(wanted.deployment, described.target_group_name()?, &tags)?;
        Some((described, arn, tags, claim))
    });
    let reads = concerned.map(|(described, arn, tags, claim)| async move {
        let (attributes, health) = if claim.ownership == privnet_core::Ownership::Ours {
            let both = try_join(
                balancing::target_group_attributes(cloud, &arn),
                balancing::target_health(cloud, &arn),
            );
            balancing::absent_is_none(both.await)?.unwrap_or_default()
        } else {
            Default::default()
        };
        Ok::<_, Error>(SeenTargetGroup { described, claim, tags, attributes, health })
    });
    futures::stream::iter(reads).buffered(AT_ONCE).try_collect().await
}
