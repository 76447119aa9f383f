//! Writes of the user's tags, and the proof of what was just made.

use std::time::{Duration, Instant};

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};
use privnet_core::execute::{Poll, Replay, Until};
use privnet_core::{Error, ErrorKind, Step};

use crate::balancing::{self, tag_list};
use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::ownership::{self, Retag, TagMap};

const CREATE_TAGS: Operation = Operation::ec2("CreateTags");
const DELETE_TAGS: Operation = Operation::ec2("DeleteTags");
const ADD_TAGS: Operation = Operation::elb("AddTags");
const REMOVE_TAGS: Operation = Operation::elb("RemoveTags");

/// How long tags of something new may take to show.
const TAGS_SHOW_WITHIN: Duration = Duration::from_secs(30);

/// Tags in the form that EC2's creating calls take.
pub(crate) fn specification(of: ResourceType, tags: &TagMap) -> TagSpecification {
    let tags = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
    TagSpecification::builder().resource_type(of).set_tags(Some(tags)).build()
}

/// Changes the tags of an EC2 resource.
pub(crate) async fn retag_ec2(cloud: &Cloud<'_>, id: &str, retag: &Retag) -> Result<(), Error> {
    let set: Vec<Tag> =
        retag.set.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
    if !set.is_empty() {
        cloud
            .call(CREATE_TAGS, id, Replay::Safe, || {
                cloud.reach.ec2.create_tags().resources(id).set_tags(Some(set.clone())).send()
            })
            .await?;
    }
    // A tag without a value is removed whatever its value is.
    let remove: Vec<Tag> = retag.remove.iter().map(|key| Tag::builder().key(key).build()).collect();
    if !remove.is_empty() {
        cloud
            .call(DELETE_TAGS, id, Replay::Safe, || {
                cloud.reach.ec2.delete_tags().resources(id).set_tags(Some(remove.clone())).send()
            })
            .await?;
    }
    Ok(())
}

/// Changes the tags of a load balancer, target group or listener.
pub(crate) async fn retag_elb(cloud: &Cloud<'_>, arn: &str, retag: &Retag) -> Result<(), Error> {
    let set = tag_list(&retag.set);
    if !set.is_empty() {
        cloud
            .call(ADD_TAGS, arn, Replay::Safe, || {
                cloud.reach.elb.add_tags().resource_arns(arn).set_tags(Some(set.clone())).send()
            })
            .await?;
    }
    if !retag.remove.is_empty() {
        cloud
            .call(REMOVE_TAGS, arn, Replay::Safe, || {
                cloud
                    .reach
                    .elb
                    .remove_tags()
                    .resource_arns(arn)
                    .set_tag_keys(Some(retag.remove.clone()))
                    .send()
            })
            .await?;
    }
    Ok(())
}

/// Reads the tags of what a creating call returned: Elastic Load Balancing returns a stranger's thing where all settings
/// are the same. Tags may show late, so having none is believed only after a while.
pub(crate) async fn demand_proof(
    cloud: &Cloud<'_>,
    arn: &str,
    name: &str,
    step: &Step<'_>,
) -> Result<TagMap, Error> {
    let started = Instant::now();
    let patience = cloud.context.paced(TAGS_SHOW_WITHIN);
    let until =
        Until { operation: "DescribeTags", subject: arn, what: "tagged", limit: TAGS_SHOW_WITHIN * 2 };
    let tags = cloud
        .context
        .until(until, || async {
            let tags = balancing::tags_of(cloud, arn).await?;
            let believed = !tags.is_empty() || started.elapsed() >= patience;
            Ok(if believed { Poll::Ready(tags) } else { Poll::Pending("no tags show yet".to_owned()) })
        })
        .await?;
    match ownership::proof_under_name(&tags, step.deployment, name) {
        Some(proof) if proof.address == step.action.address => Ok(tags),
        _ => {
            let message = format!(
                "something else is called {name}: {}",
                ownership::why_not(&tags, step.deployment, &step.action.address)
            );
            Err(Error::new(ErrorKind::Conflict, ADD_TAGS.name, arn, message))
        }
    }
}
