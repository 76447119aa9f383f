//! Reads of EC2 Auto Scaling: the groups of forwarder machines.

use std::collections::BTreeSet;

use aws_sdk_autoscaling::types::{
    Activity, AutoScalingGroup, Filter, ScalingActivityStatusCode, TagDescription,
};
use privnet_core::{Error, ErrorKind};

use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::network::Pages;
use crate::ownership::TagMap;

const DESCRIBE_GROUPS: Operation = Operation::auto_scaling("DescribeAutoScalingGroups");
const DESCRIBE_ACTIVITIES: Operation = Operation::auto_scaling("DescribeScalingActivities");

/// The most entries of one page
/// (<https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html>).
const PAGE: i32 = 100;
/// The most names of one look-up: what fits a page.
const NAMES_AT_ONCE: usize = 100;

/// The tags of a group.
pub(crate) fn tags_of(tags: &[TagDescription]) -> TagMap {
    let pairs = tags
        .iter()
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())));
    pairs.collect()
}

/// The groups that carry a deployment's tag, and those of these names. A name that is not there is no error.
pub(crate) async fn groups(
    cloud: &Cloud<'_>,
    deployment: &str,
    names: &BTreeSet<String>,
) -> Result<Vec<AutoScalingGroup>, Error> {
    let tagged = Filter::builder().name("tag:privnet:deployment").values(deployment).build();
    let mut all = pages(cloud, deployment, &[], Some(&tagged)).await?;
    let names: Vec<String> = names.iter().cloned().collect();
    for some in names.chunks(NAMES_AT_ONCE) {
        all.extend(pages(cloud, deployment, some, None).await?);
    }
    let mut seen = BTreeSet::new();
    all.retain(|group| group.auto_scaling_group_name().is_some_and(|name| seen.insert(name.to_owned())));
    Ok(all)
}

/// The group of this name, if it is there.
pub(crate) async fn group(cloud: &Cloud<'_>, name: &str) -> Result<Option<AutoScalingGroup>, Error> {
    let found = pages(cloud, name, &[name.to_owned()], None).await?;
    Ok(found.into_iter().find(|group| group.auto_scaling_group_name() == Some(name)))
}

async fn pages(
    cloud: &Cloud<'_>,
    subject: &str,
    names: &[String],
    filter: Option<&Filter>,
) -> Result<Vec<AutoScalingGroup>, Error> {
    let (mut all, mut token) = (Vec::new(), Pages::default());
    loop {
        let page = cloud
            .read(DESCRIBE_GROUPS, subject, || {
                let request = cloud.reach.auto_scaling.describe_auto_scaling_groups().max_records(PAGE);
                let request = request.set_filters(filter.map(|filter| vec![filter.clone()]));
                let request =
                    request.set_auto_scaling_group_names((!names.is_empty()).then(|| names.to_vec()));
                request.set_next_token(token.token()).send()
            })
            .await?;
        all.extend(page.auto_scaling_groups.unwrap_or_default());
        if !token.turn(DESCRIBE_GROUPS, subject, page.next_token)? {
            return Ok(all);
        }
    }
}

/// Why the group's latest attempts to start machines failed, in AWS's words; nothing where the latest did not fail.
pub(crate) async fn failure(cloud: &Cloud<'_>, name: &str) -> Result<Option<Failure>, Error> {
    let answer = cloud
        .read(DESCRIBE_ACTIVITIES, name, || {
            let request = cloud.reach.auto_scaling.describe_scaling_activities();
            request.auto_scaling_group_name(name).max_records(10).send()
        })
        .await;
    let activities: Vec<Activity> = match answer {
        Ok(answer) => answer.activities.unwrap_or_default(),
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    // The newest comes first.
    let failed = |one: &&Activity| one.status_code() == Some(&ScalingActivityStatusCode::Failed);
    let times = activities.iter().take_while(failed).count();
    let newest = activities.first().filter(failed);
    Ok(newest.map(|one| Failure {
        times,
        why: one.status_message().or(one.description()).unwrap_or("AWS gives no reason").to_owned(),
    }))
}

/// Attempts to start a machine that failed one after the other.
pub(crate) struct Failure {
    /// How many.
    pub(crate) times: usize,
    /// Why the newest did.
    pub(crate) why: String,
}
