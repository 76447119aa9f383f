//! Reads of EC2's launch templates and images.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{Image, LaunchTemplate, LaunchTemplateVersion};
use privnet_core::Error;

use crate::balancing::absent_is_none;
use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::network::{filter, next_page};

const DESCRIBE_TEMPLATES: Operation = Operation::ec2("DescribeLaunchTemplates");
const DESCRIBE_VERSIONS: Operation = Operation::ec2("DescribeLaunchTemplateVersions");
const DESCRIBE_IMAGES: Operation = Operation::ec2("DescribeImages");

/// Entries of one page (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLaunchTemplates.html>).
const PAGE: i32 = 200;

/// The templates that carry a deployment's tag, and those of these names. A filter that names what is not there is no error.
pub(crate) async fn templates(
    cloud: &Cloud<'_>,
    deployment: &str,
    names: &BTreeSet<String>,
) -> Result<Vec<LaunchTemplate>, Error> {
    let mut all = pages(cloud, "tag:privnet:deployment", &[deployment.to_owned()]).await?;
    let names: Vec<String> = names.iter().cloned().collect();
    // The most values of one filter (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html>).
    for some in names.chunks(200) {
        all.extend(pages(cloud, "launch-template-name", some).await?);
    }
    let mut seen = BTreeSet::new();
    all.retain(|template| template.launch_template_id().is_some_and(|id| seen.insert(id.to_owned())));
    Ok(all)
}

/// The template of this name, as a list shows it.
pub(crate) async fn template(cloud: &Cloud<'_>, name: &str) -> Result<Option<LaunchTemplate>, Error> {
    let found = pages(cloud, "launch-template-name", &[name.to_owned()]).await?;
    Ok(found.into_iter().find(|template| template.launch_template_name() == Some(name)))
}

async fn pages(cloud: &Cloud<'_>, by: &str, values: &[String]) -> Result<Vec<LaunchTemplate>, Error> {
    let (mut all, mut token) = (Vec::new(), None);
    loop {
        let page = cloud
            .read(DESCRIBE_TEMPLATES, &cloud.reach.scope.0, || {
                let request =
                    cloud.reach.ec2.describe_launch_templates().filters(filter(by, values.to_vec()));
                request.max_results(PAGE).set_next_token(token.clone()).send()
            })
            .await?;
        all.extend(page.launch_templates.unwrap_or_default());
        token = next_page(token.as_ref(), page.next_token);
        if token.is_none() {
            return Ok(all);
        }
    }
}

/// The versions of a template, the first one first; none where it is gone.
pub(crate) async fn versions(cloud: &Cloud<'_>, id: &str) -> Result<Vec<LaunchTemplateVersion>, Error> {
    let (mut all, mut token) = (Vec::new(), None);
    loop {
        let answer = cloud
            .read(DESCRIBE_VERSIONS, id, || {
                let request = cloud.reach.ec2.describe_launch_template_versions().launch_template_id(id);
                request.max_results(PAGE).set_next_token(token.clone()).send()
            })
            .await;
        let Some(page) = absent_is_none(answer)? else { return Ok(all) };
        all.extend(page.launch_template_versions.unwrap_or_default());
        token = next_page(token.as_ref(), page.next_token);
        if token.is_none() {
            all.sort_by_key(|version: &LaunchTemplateVersion| version.version_number().unwrap_or(i64::MAX));
            return Ok(all);
        }
    }
}

/// The AMI behind the parameter that a version of a template names
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLaunchTemplateVersions.html>, `ResolveAlias`).
pub(crate) async fn resolved_image(
    cloud: &Cloud<'_>,
    id: &str,
    version: i64,
) -> Result<Option<String>, Error> {
    let answer = cloud
        .read(DESCRIBE_VERSIONS, id, || {
            let request = cloud.reach.ec2.describe_launch_template_versions().launch_template_id(id);
            request.versions(version.to_string()).resolve_alias(true).send()
        })
        .await?;
    let found = answer.launch_template_versions.unwrap_or_default().into_iter().next();
    let image = found.and_then(|version| version.launch_template_data).and_then(|data| data.image_id);
    Ok(image.filter(|image| image.starts_with("ami-")))
}

/// The images of these ids that are there. A filter that names what is not there is no error.
pub(crate) async fn images(
    cloud: &Cloud<'_>,
    ids: &BTreeSet<String>,
) -> Result<BTreeMap<String, Image>, Error> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let answer = cloud
        .read(DESCRIBE_IMAGES, &cloud.reach.scope.0, || {
            cloud.reach.ec2.describe_images().filters(filter("image-id", ids.clone())).send()
        })
        .await?;
    let found = answer.images.unwrap_or_default().into_iter();
    Ok(found.filter_map(|image| Some((image.image_id()?.to_owned(), image))).collect())
}
