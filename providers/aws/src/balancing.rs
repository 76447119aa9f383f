//! Reads of Elastic Load Balancing: load balancers, target groups, listeners, and what each of them has.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::{
    Listener, LoadBalancer, Tag, TargetGroup, TargetHealthDescription,
};
use futures::future::try_join_all;
use privnet_core::{Error, ErrorKind};

use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::network::Pages;
use crate::ownership::TagMap;

const DESCRIBE_LOAD_BALANCERS: Operation = Operation::elb("DescribeLoadBalancers");
const DESCRIBE_LOAD_BALANCER_ATTRIBUTES: Operation = Operation::elb("DescribeLoadBalancerAttributes");
const DESCRIBE_TARGET_GROUPS: Operation = Operation::elb("DescribeTargetGroups");
const DESCRIBE_TARGET_GROUP_ATTRIBUTES: Operation = Operation::elb("DescribeTargetGroupAttributes");
const DESCRIBE_TARGET_HEALTH: Operation = Operation::elb("DescribeTargetHealth");
const DESCRIBE_LISTENERS: Operation = Operation::elb("DescribeListeners");
const DESCRIBE_LISTENER_ATTRIBUTES: Operation = Operation::elb("DescribeListenerAttributes");
const DESCRIBE_TAGS: Operation = Operation::elb("DescribeTags");

/// The most entries of one page.
const PAGE: i32 = 400;
/// The most resources of one `DescribeTags`.
const TAGGED_AT_ONCE: usize = 20;

/// The attributes of a load balancer, target group or listener.
pub(crate) type Attributes = BTreeMap<String, String>;

/// All load balancers. There is no filter by tag, and a look-up by names fails whole when one is missing.
pub(crate) async fn load_balancers(cloud: &Cloud<'_>) -> Result<Vec<LoadBalancer>, Error> {
    let (mut all, mut marker) = (Vec::new(), Pages::default());
    loop {
        let page = cloud
            .read(DESCRIBE_LOAD_BALANCERS, &cloud.reach.scope.0, || {
                cloud.reach.elb.describe_load_balancers().page_size(PAGE).set_marker(marker.token()).send()
            })
            .await?;
        all.extend(page.load_balancers.unwrap_or_default());
        if !marker.turn(DESCRIBE_LOAD_BALANCERS, &cloud.reach.scope.0, page.next_marker)? {
            return Ok(all);
        }
    }
}

/// The load balancer of this ARN, if it is there.
pub(crate) async fn load_balancer(cloud: &Cloud<'_>, arn: &str) -> Result<Option<LoadBalancer>, Error> {
    let answer = cloud
        .read(DESCRIBE_LOAD_BALANCERS, arn, || {
            cloud.reach.elb.describe_load_balancers().load_balancer_arns(arn).send()
        })
        .await;
    let found = absent_is_none(answer)?.and_then(|answer| answer.load_balancers).unwrap_or_default();
    Ok(found.into_iter().find(|balancer| balancer.load_balancer_arn() == Some(arn)))
}

/// The load balancer's attributes.
pub(crate) async fn load_balancer_attributes(cloud: &Cloud<'_>, arn: &str) -> Result<Attributes, Error> {
    let answer = cloud
        .read(DESCRIBE_LOAD_BALANCER_ATTRIBUTES, arn, || {
            cloud.reach.elb.describe_load_balancer_attributes().load_balancer_arn(arn).send()
        })
        .await?;
    let attributes = answer.attributes.unwrap_or_default().into_iter();
    Ok(attributes
        .filter_map(|attribute| Some((attribute.key?, attribute.value.unwrap_or_default())))
        .collect())
}

/// All target groups.
pub(crate) async fn target_groups(cloud: &Cloud<'_>) -> Result<Vec<TargetGroup>, Error> {
    let (mut all, mut marker) = (Vec::new(), Pages::default());
    loop {
        let page = cloud
            .read(DESCRIBE_TARGET_GROUPS, &cloud.reach.scope.0, || {
                cloud.reach.elb.describe_target_groups().page_size(PAGE).set_marker(marker.token()).send()
            })
            .await?;
        all.extend(page.target_groups.unwrap_or_default());
        if !marker.turn(DESCRIBE_TARGET_GROUPS, &cloud.reach.scope.0, page.next_marker)? {
            return Ok(all);
        }
    }
}

/// The target group of this ARN, if it is there.
pub(crate) async fn target_group(cloud: &Cloud<'_>, arn: &str) -> Result<Option<TargetGroup>, Error> {
    let answer = cloud
        .read(DESCRIBE_TARGET_GROUPS, arn, || {
            cloud.reach.elb.describe_target_groups().target_group_arns(arn).send()
        })
        .await;
    let found = absent_is_none(answer)?.and_then(|answer| answer.target_groups).unwrap_or_default();
    Ok(found.into_iter().find(|group| group.target_group_arn() == Some(arn)))
}

/// The target group's attributes.
pub(crate) async fn target_group_attributes(cloud: &Cloud<'_>, arn: &str) -> Result<Attributes, Error> {
    let answer = cloud
        .read(DESCRIBE_TARGET_GROUP_ATTRIBUTES, arn, || {
            cloud.reach.elb.describe_target_group_attributes().target_group_arn(arn).send()
        })
        .await?;
    let attributes = answer.attributes.unwrap_or_default().into_iter();
    Ok(attributes
        .filter_map(|attribute| Some((attribute.key?, attribute.value.unwrap_or_default())))
        .collect())
}

/// What is registered in a target group, and how it is.
pub(crate) async fn target_health(
    cloud: &Cloud<'_>,
    arn: &str,
) -> Result<Vec<TargetHealthDescription>, Error> {
    let answer = cloud
        .read(DESCRIBE_TARGET_HEALTH, arn, || {
            cloud.reach.elb.describe_target_health().target_group_arn(arn).send()
        })
        .await?;
    Ok(answer.target_health_descriptions.unwrap_or_default())
}

/// The listeners of a load balancer; none where it is gone.
pub(crate) async fn listeners(cloud: &Cloud<'_>, load_balancer: &str) -> Result<Vec<Listener>, Error> {
    let (mut all, mut marker) = (Vec::new(), Pages::default());
    loop {
        let answer = cloud
            .read(DESCRIBE_LISTENERS, load_balancer, || {
                let request = cloud.reach.elb.describe_listeners().load_balancer_arn(load_balancer);
                request.page_size(PAGE).set_marker(marker.token()).send()
            })
            .await;
        let Some(page) = absent_is_none(answer)? else { return Ok(all) };
        all.extend(page.listeners.unwrap_or_default());
        if !marker.turn(DESCRIBE_LISTENERS, load_balancer, page.next_marker)? {
            return Ok(all);
        }
    }
}

/// The listener's attributes.
pub(crate) async fn listener_attributes(cloud: &Cloud<'_>, arn: &str) -> Result<Attributes, Error> {
    let answer = cloud
        .read(DESCRIBE_LISTENER_ATTRIBUTES, arn, || {
            cloud.reach.elb.describe_listener_attributes().listener_arn(arn).send()
        })
        .await?;
    let attributes = answer.attributes.unwrap_or_default().into_iter();
    Ok(attributes
        .filter_map(|attribute| Some((attribute.key?, attribute.value.unwrap_or_default())))
        .collect())
}

/// The tags of these load balancers, target groups or listeners. One that is gone has none.
pub(crate) async fn tags(
    cloud: &Cloud<'_>,
    arns: &BTreeSet<String>,
) -> Result<BTreeMap<String, TagMap>, Error> {
    let arns: Vec<String> = arns.iter().cloned().collect();
    let reads = arns.chunks(TAGGED_AT_ONCE).map(|arns| tags_at_once(cloud, arns));
    Ok(try_join_all(reads).await?.into_iter().flatten().collect())
}

/// The tags of one.
pub(crate) async fn tags_of(cloud: &Cloud<'_>, arn: &str) -> Result<TagMap, Error> {
    let found = tags(cloud, &BTreeSet::from([arn.to_owned()])).await?;
    Ok(found.into_values().next().unwrap_or_default())
}

/// At most twenty. The call fails whole when one of them went meanwhile: then each is asked for by itself.
async fn tags_at_once(cloud: &Cloud<'_>, arns: &[String]) -> Result<Vec<(String, TagMap)>, Error> {
    let answer = cloud
        .read(DESCRIBE_TAGS, &cloud.reach.scope.0, || {
            cloud.reach.elb.describe_tags().set_resource_arns(Some(arns.to_vec())).send()
        })
        .await;
    match absent_is_none(answer)? {
        Some(answer) => {
            let found = answer.tag_descriptions.unwrap_or_default().into_iter();
            Ok(found
                .filter_map(|of| Some((of.resource_arn?, tag_map(&of.tags.unwrap_or_default()))))
                .collect())
        }
        None if arns.len() <= 1 => Ok(Vec::new()),
        None => {
            let singles = arns.chunks(1).map(|one| Box::pin(tags_at_once(cloud, one)));
            Ok(try_join_all(singles).await?.into_iter().flatten().collect())
        }
    }
}

fn tag_map(tags: &[Tag]) -> TagMap {
    let pairs = tags
        .iter()
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())));
    pairs.collect()
}

/// Tags in the form that creating calls take.
pub(crate) fn tag_list(tags: &TagMap) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// What is not there is nothing rather than an error.
pub(crate) fn absent_is_none<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
