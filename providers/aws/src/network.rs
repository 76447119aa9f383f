//! Reads of EC2's networking: security groups and their rules, subnets, VPCs, instances.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{
    Filter, Instance, NetworkInterface, SecurityGroup, SecurityGroupRule, Subnet, Tag, Vpc,
};
use futures::future::try_join_all;
use privnet_core::{Error, ErrorKind};

use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::ownership::TagMap;

const DESCRIBE_SECURITY_GROUPS: Operation = Operation::ec2("DescribeSecurityGroups");
const DESCRIBE_RULES: Operation = Operation::ec2("DescribeSecurityGroupRules");
const DESCRIBE_SUBNETS: Operation = Operation::ec2("DescribeSubnets");
const DESCRIBE_VPCS: Operation = Operation::ec2("DescribeVpcs");
const DESCRIBE_INSTANCES: Operation = Operation::ec2("DescribeInstances");
const DESCRIBE_INTERFACES: Operation = Operation::ec2("DescribeNetworkInterfaces");

/// The most values of one filter (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html>).
const FILTER_VALUES: usize = 200;
/// Entries of one page.
const PAGE: i32 = 1000;

/// A filter of EC2.
pub(crate) fn filter(name: &str, values: impl IntoIterator<Item = impl Into<String>>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.into_iter().map(Into::into).collect())).build()
}

/// The tags of an EC2 resource.
pub(crate) fn tags_of(tags: &[Tag]) -> TagMap {
    let pairs = tags
        .iter()
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())));
    pairs.collect()
}

/// The ids in pieces that one filter takes.
fn pieces(ids: &BTreeSet<String>) -> Vec<Vec<String>> {
    let all: Vec<String> = ids.iter().cloned().collect();
    all.chunks(FILTER_VALUES).map(<[String]>::to_vec).collect()
}

/// The pages of a list: which comes next, and which there were.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    next: Option<String>,
    read: BTreeSet<String>,
}

impl Pages {
    /// The token of the page to ask for.
    pub(crate) fn token(&self) -> Option<String> {
        self.next.clone()
    }

    /// Takes the token of the page after the one that was read; whether there is one.
    ///
    /// # Errors
    /// When it is that of a page that was read already: such a list has no end, and what is on its other pages is not known.
    pub(crate) fn turn(
        &mut self,
        operation: Operation,
        subject: &str,
        next: Option<String>,
    ) -> Result<bool, Error> {
        self.next = next.filter(|next| !next.is_empty());
        match &self.next {
            Some(next) if !self.read.insert(next.clone()) => {
                let message =
                    "the list leads back to a page that was read already, so that its end is not known";
                Err(Error::new(ErrorKind::Other, operation.name, subject, message))
            }
            next => Ok(next.is_some()),
        }
    }
}

/// All security groups that pass the filters. A filter that names what is not there is no error, an id is.
pub(crate) async fn security_groups(
    cloud: &Cloud<'_>,
    filters: &[Filter],
) -> Result<Vec<SecurityGroup>, Error> {
    let (mut all, mut token) = (Vec::new(), Pages::default());
    loop {
        let page = cloud
            .read(DESCRIBE_SECURITY_GROUPS, &cloud.reach.scope.0, || {
                let request = cloud.reach.ec2.describe_security_groups().max_results(PAGE);
                request.set_filters(Some(filters.to_vec())).set_next_token(token.token()).send()
            })
            .await?;
        all.extend(page.security_groups.unwrap_or_default());
        if !token.turn(DESCRIBE_SECURITY_GROUPS, &cloud.reach.scope.0, page.next_token)? {
            return Ok(all);
        }
    }
}

/// All security group rules that pass the filters.
pub(crate) async fn rules(cloud: &Cloud<'_>, filters: &[Filter]) -> Result<Vec<SecurityGroupRule>, Error> {
    let (mut all, mut token) = (Vec::new(), Pages::default());
    loop {
        let page = cloud
            .read(DESCRIBE_RULES, &cloud.reach.scope.0, || {
                let request = cloud.reach.ec2.describe_security_group_rules().max_results(PAGE);
                request.set_filters(Some(filters.to_vec())).set_next_token(token.token()).send()
            })
            .await?;
        all.extend(page.security_group_rules.unwrap_or_default());
        if !token.turn(DESCRIBE_RULES, &cloud.reach.scope.0, page.next_token)? {
            return Ok(all);
        }
    }
}

/// The rules of these groups.
pub(crate) async fn rules_of(
    cloud: &Cloud<'_>,
    groups: &BTreeSet<String>,
) -> Result<Vec<SecurityGroupRule>, Error> {
    let pieces = pieces(groups);
    let reads =
        pieces.iter().map(|ids| async move { rules(cloud, &[filter("group-id", ids.clone())]).await });
    let found: Vec<_> = try_join_all(reads).await?.into_iter().flatten().collect();
    Ok(found.into_iter().filter(|rule| rule.group_id().is_some_and(|id| groups.contains(id))).collect())
}

/// The subnets of these VPCs. All of them: an address's zone is that of the subnet that it lies in.
pub(crate) async fn subnets(cloud: &Cloud<'_>, vpcs: &BTreeSet<String>) -> Result<Vec<Subnet>, Error> {
    let reads = pieces(vpcs).into_iter().map(|vpcs| async move {
        let (mut all, mut token) = (Vec::new(), Pages::default());
        loop {
            let page = cloud
                .read(DESCRIBE_SUBNETS, &cloud.reach.scope.0, || {
                    let request = cloud.reach.ec2.describe_subnets().filters(filter("vpc-id", vpcs.clone()));
                    request.max_results(PAGE).set_next_token(token.token()).send()
                })
                .await?;
            all.extend(page.subnets.unwrap_or_default());
            if !token.turn(DESCRIBE_SUBNETS, &cloud.reach.scope.0, page.next_token)? {
                return Ok::<_, Error>(all);
            }
        }
    });
    let found = try_join_all(reads).await?.into_iter().flatten();
    Ok(found.filter(|subnet| subnet.vpc_id().is_some_and(|vpc| vpcs.contains(vpc))).collect())
}

/// The VPCs of these ids that are there.
pub(crate) async fn vpcs(cloud: &Cloud<'_>, ids: &BTreeSet<String>) -> Result<BTreeMap<String, Vpc>, Error> {
    let reads = pieces(ids).into_iter().map(|ids| async move {
        let answer = cloud
            .read(DESCRIBE_VPCS, &cloud.reach.scope.0, || {
                cloud.reach.ec2.describe_vpcs().filters(filter("vpc-id", ids.clone())).send()
            })
            .await?;
        Ok::<_, Error>(answer.vpcs.unwrap_or_default())
    });
    let found = try_join_all(reads).await?.into_iter().flatten();
    let by_id = found.filter_map(|vpc| Some((vpc.vpc_id()?.to_owned(), vpc)));
    Ok(by_id.filter(|(id, _)| ids.contains(id)).collect())
}

/// The instances of these ids that are there.
pub(crate) async fn instances(
    cloud: &Cloud<'_>,
    ids: &BTreeSet<String>,
) -> Result<BTreeMap<String, Instance>, Error> {
    let reads = pieces(ids).into_iter().map(|ids| async move {
        let answer = cloud
            .read(DESCRIBE_INSTANCES, &cloud.reach.scope.0, || {
                cloud.reach.ec2.describe_instances().filters(filter("instance-id", ids.clone())).send()
            })
            .await?;
        Ok::<_, Error>(answer.reservations.unwrap_or_default())
    });
    let found = try_join_all(reads).await?.into_iter().flatten();
    let instances = found.flat_map(|reservation| reservation.instances.unwrap_or_default());
    let by_id = instances.filter_map(|instance| Some((instance.instance_id()?.to_owned(), instance)));
    Ok(by_id.filter(|(id, _)| ids.contains(id)).collect())
}

/// The network interfaces that use this security group.
pub(crate) async fn interfaces_of_group(
    cloud: &Cloud<'_>,
    group: &str,
) -> Result<Vec<NetworkInterface>, Error> {
    let mut found = interfaces(cloud, group, &filter("group-id", [group])).await?;
    found.retain(|interface| interface.groups().iter().any(|g| g.group_id() == Some(group)));
    Ok(found)
}

/// The ids of the network interfaces with this description.
pub(crate) async fn interfaces_described(cloud: &Cloud<'_>, description: &str) -> Result<Vec<String>, Error> {
    let found = interfaces(cloud, description, &filter("description", [description])).await?;
    let such = found.iter().filter(|interface| interface.description() == Some(description));
    Ok(such.filter_map(|interface| interface.network_interface_id().map(str::to_owned)).collect())
}

async fn interfaces(
    cloud: &Cloud<'_>,
    subject: &str,
    filter: &Filter,
) -> Result<Vec<NetworkInterface>, Error> {
    let (mut all, mut token) = (Vec::new(), Pages::default());
    loop {
        let page = cloud
            .read(DESCRIBE_INTERFACES, subject, || {
                let request =
                    cloud.reach.ec2.describe_network_interfaces().filters(filter.clone()).max_results(PAGE);
                request.set_next_token(token.token()).send()
            })
            .await?;
        all.extend(page.network_interfaces.unwrap_or_default());
        if !token.turn(DESCRIBE_INTERFACES, subject, page.next_token)? {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_leads_back_to_itself_is_no_list() {
        let turn = |pages: &mut Pages, token: Option<&str>| {
            pages.turn(DESCRIBE_RULES, "sg-1", token.map(str::to_owned))
        };
        let mut pages = Pages::default();
        assert_eq!(pages.token(), None);
        assert!(turn(&mut pages, Some("a")).unwrap() && turn(&mut pages, Some("b")).unwrap());
        assert_eq!(pages.token().as_deref(), Some("b"));
        assert!(!turn(&mut pages, Some("")).unwrap() && !turn(&mut pages, None).unwrap());
        let error = turn(&mut pages, Some("a")).unwrap_err();
        assert!(error.to_string().contains("leads back to a page"), "{error}");
    }
}
