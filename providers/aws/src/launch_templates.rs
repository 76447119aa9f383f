//! Reads of EC2's launch templates and images.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{Image, LaunchTemplate, LaunchTemplateVersion};
use futures::stream::{StreamExt, TryStreamExt};
use privnet_core::Error;

use crate::balancing::absent_is_none;
use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::network::{Pages, filter};

const DESCRIBE_TEMPLATES: Operation = Operation::ec2("DescribeLaunchTemplates");
const DESCRIBE_VERSIONS: Operation = Operation::ec2("DescribeLaunchTemplateVersions");
const DESCRIBE_IMAGES: Operation = Operation::ec2("DescribeImages");

/// Entries of one page (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLaunchTemplates.html>).
const PAGE: i32 = 200;
/// How many templates are read at once; the rate is the limiter's matter.
const AT_ONCE: usize = 40;

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
    let (mut all, mut token) = (Vec::new(), Pages::default());
    loop {
        let page = cloud
            .read(DESCRIBE_TEMPLATES, &cloud.reach.scope.0, || {
                let request =
                    cloud.reach.ec2.describe_launch_templates().filters(filter(by, values.to_vec()));
                request.max_results(PAGE).set_next_token(token.token()).send()
            })
            .await?;
        all.extend(page.launch_templates.unwrap_or_default());
        if !token.turn(DESCRIBE_TEMPLATES, &cloud.reach.scope.0, page.next_token)? {
            return Ok(all);
        }
    }
}

/// What a version says beside the template that it belongs to.
type Versions = BTreeMap<i64, LaunchTemplateVersion>;

/// The versions of these templates, by the template's id, the first one first.
///
/// Without an id EC2 lists the latest and the default versions of all templates, by pages
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLaunchTemplateVersions.html>), and those are mostly all that a
/// template of privnet's has. What the pages leave out of a template that has more, or in an account of many others', is read by itself.
pub(crate) async fn all_versions(
    cloud: &Cloud<'_>,
    templates: &[&LaunchTemplate],
) -> Result<BTreeMap<String, Vec<LaunchTemplateVersion>>, Error> {
    let mut by_pages = ByPages::of(templates);
    let mut token = Pages::default();
    while by_pages.is_worth_a_page() {
        let page = cloud
            .read(DESCRIBE_VERSIONS, &cloud.reach.scope.0, || {
                let request = cloud.reach.ec2.describe_launch_template_versions();
                let request = request.versions("$Latest").versions("$Default");
                // As all of privnet's are: most of what others made before metadata by token was usual is left out.
                let request = request.filters(filter("http-tokens", ["required"]));
                request.max_results(PAGE).set_next_token(token.token()).send()
            })
            .await?;
        by_pages.take(page.launch_template_versions.unwrap_or_default());
        if !token.turn(DESCRIBE_VERSIONS, &cloud.reach.scope.0, page.next_token)? {
            break;
        }
    }
    let (mut all, rest) = by_pages.split();
    let alone = rest.into_iter().map(|id| async move {
        let versions = versions(cloud, &id).await?;
        Ok::<_, Error>((id, versions))
    });
    let alone: Vec<_> = futures::stream::iter(alone).buffered(AT_ONCE).try_collect().await?;
    all.extend(alone);
    Ok(all)
}

/// The versions of some templates, as far as pages showed them.
struct ByPages {
    /// How many versions each template has had, where its list says so, and those that were seen.
    templates: BTreeMap<String, (Option<i64>, Versions)>,
    /// How many more pages are cheaper than reading each template by itself.
    pages: usize,
}

impl ByPages {
    fn of(templates: &[&LaunchTemplate]) -> Self {
        let each = templates.iter().filter_map(|template| {
            let id = template.launch_template_id()?.to_owned();
            Some((id, (template.latest_version_number(), Versions::new())))
        });
        let templates: BTreeMap<_, _> = each.collect();
        // Of a single one its own read tells more and is no longer. An account may hold thousands of somebody else's.
        let pages = templates.len() / 2;
        Self { templates, pages }
    }

    /// Whether a template whose versions can be among those of the pages still lacks some.
    fn is_worth_a_page(&self) -> bool {
        let lacks = |(latest, seen): &(Option<i64>, Versions)| {
            latest.is_some_and(|latest| latest <= SHOWN_BY_PAGES && !is_whole(latest, seen))
        };
        self.pages > 0 && self.templates.values().any(lacks)
    }

    fn take(&mut self, page: Vec<LaunchTemplateVersion>) {
        self.pages = self.pages.saturating_sub(1);
        for version in page {
            let of = version.launch_template_id().and_then(|id| self.templates.get_mut(id));
            if let (Some((_, seen)), Some(number)) = (of, version.version_number()) {
                seen.insert(number, version);
            }
        }
    }

    /// The versions of the templates all of which were seen, and the other templates.
    fn split(self) -> (BTreeMap<String, Vec<LaunchTemplateVersion>>, Vec<String>) {
        let (mut whole, mut rest) = (BTreeMap::new(), Vec::new());
        for (id, (latest, seen)) in self.templates {
            if latest.is_some_and(|latest| is_whole(latest, &seen)) {
                whole.insert(id, seen.into_values().collect());
            } else {
                rest.push(id);
            }
        }
        (whole, rest)
    }
}

/// The most versions of one template that pages of the latest and the default ones show.
const SHOWN_BY_PAGES: i64 = 2;

/// Whether these are all the versions of a template whose latest one has this number: the rest may be deleted, or not shown.
fn is_whole(latest: i64, seen: &Versions) -> bool {
    seen.keys().copied().eq(1..=latest)
}

/// The versions of a template, the first one first; none where it is gone.
pub(crate) async fn versions(cloud: &Cloud<'_>, id: &str) -> Result<Vec<LaunchTemplateVersion>, Error> {
    let (mut all, mut token) = (Vec::new(), Pages::default());
    loop {
        let answer = cloud
            .read(DESCRIBE_VERSIONS, id, || {
                let request = cloud.reach.ec2.describe_launch_template_versions().launch_template_id(id);
                request.max_results(PAGE).set_next_token(token.token()).send()
            })
            .await;
        let Some(page) = absent_is_none(answer)? else { return Ok(all) };
        all.extend(page.launch_template_versions.unwrap_or_default());
        if !token.turn(DESCRIBE_VERSIONS, id, page.next_token)? {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn template(id: &str, latest: i64) -> LaunchTemplate {
        LaunchTemplate::builder().launch_template_id(id).latest_version_number(latest).build()
    }

    fn version(id: &str, number: i64) -> LaunchTemplateVersion {
        LaunchTemplateVersion::builder().launch_template_id(id).version_number(number).build()
    }

    #[test]
    fn what_the_pages_do_not_show_whole_is_read_alone() {
        let all = [template("lt-1", 2), template("lt-2", 3), template("lt-3", 1), template("lt-4", 2)];
        let mut by_pages = ByPages::of(&all.iter().collect::<Vec<_>>());
        assert!(by_pages.is_worth_a_page());
        let shown =
            [("lt-1", 2), ("lt-1", 1), ("lt-1", 1), ("lt-2", 1), ("lt-2", 3), ("lt-3", 1), ("lt-4", 2)];
        by_pages.take(
            shown.map(|(id, number)| version(id, number)).into_iter().chain([version("lt-9", 1)]).collect(),
        );
        let (whole, rest) = by_pages.split();
        let numbers =
            |id: &str| whole[id].iter().filter_map(|version| version.version_number()).collect::<Vec<_>>();
        assert_eq!((numbers("lt-1"), numbers("lt-3"), whole.len()), (vec![1, 2], vec![1], 2));
        assert_eq!(rest, ["lt-2", "lt-4"], "its second version may be the one that machines are made from");
    }

    #[test]
    fn pages_end_when_nothing_is_missing_or_others_have_too_many() {
        let [first, second] = [template("lt-1", 1), template("lt-2", 1)];
        assert!(!ByPages::of(&[]).is_worth_a_page() && !ByPages::of(&[&first]).is_worth_a_page());
        let mut found = ByPages::of(&[&first, &second, &template("lt-3", 1), &template("lt-4", 1)]);
        found.take(["lt-1", "lt-2", "lt-3", "lt-4"].map(|id| version(id, 1)).to_vec());
        assert!(!found.is_worth_a_page());
        let mut others = ByPages::of(&[&first, &second]);
        others.take(vec![version("lt-9", 1)]);
        assert!(!others.is_worth_a_page());
        let [third, fourth] = [template("lt-1", 3), template("lt-2", 7)];
        assert!(!ByPages::of(&[&third, &fourth]).is_worth_a_page(), "pages cannot show them whole");
    }
}
