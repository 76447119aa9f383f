//! What was read of one account and region besides endpoint services, and the facts that follow from it.

mod balancing;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::types::AutoScalingGroup;
use aws_sdk_ec2::types::{
    Image, Instance, LaunchTemplate, LaunchTemplateVersion, SecurityGroup, SecurityGroupRule, Subnet, Vpc,
};
use aws_sdk_elasticloadbalancingv2::types::{Listener, LoadBalancer, TargetGroup, TargetHealthDescription};
use futures::future::{try_join, try_join3, try_join4};
use privnet_core::spec::aws::{AwsForm, AwsService, AwsTarget};
use privnet_core::{Error, ErrorKind};

use crate::auto_scaling;
use crate::balancing::Attributes;
use crate::cloud::Cloud;
use crate::forwarders;
use crate::kinds;
use crate::launch_templates;
use crate::network::{self, filter};
use crate::observe::Wanted;
use crate::ownership::{Claim, TagMap};

pub(crate) use balancing::balancing;

/// What every derived name begins with.
pub(crate) const NAME_PREFIX: &str = "pn-";

/// EC2's part.
#[derive(Default)]
pub(crate) struct Network {
    /// Security groups that could be privnet's by name, with whose they are.
    pub(crate) groups: Vec<(SecurityGroup, Claim)>,
    /// The rules of those groups, of the database groups that the file names, and of our tags elsewhere.
    pub(crate) rules: Vec<SecurityGroupRule>,
    /// The database security groups that the file names, by id.
    pub(crate) database_groups: BTreeMap<String, SecurityGroup>,
    /// The subnets of the VPCs that the file names.
    pub(crate) subnets: Vec<Subnet>,
    /// VPCs that the file names, by id.
    pub(crate) vpcs: BTreeMap<String, Vpc>,
    /// Instances that the file names, by id.
    pub(crate) instances: BTreeMap<String, Instance>,
    /// Whether any of this was read.
    pub(crate) was_read: bool,
}

/// Elastic Load Balancing's part.
#[derive(Default)]
pub(crate) struct Balancing {
    /// Load balancers of ours or of our names, and those that the file names.
    pub(crate) load_balancers: Vec<SeenLoadBalancer>,
    /// Target groups of ours or of our names.
    pub(crate) target_groups: Vec<SeenTargetGroup>,
    /// The application load balancers that the file names and that are there, with the protocol of each port that they listen on.
    pub(crate) applications: BTreeMap<String, BTreeMap<i64, String>>,
    /// The load balancers that carry a security group, whosever they are, by the group.
    pub(crate) carrying: BTreeMap<String, BTreeSet<String>>,
}

/// A load balancer and what belongs to it.
pub(crate) struct SeenLoadBalancer {
    /// As it is described.
    pub(crate) described: LoadBalancer,
    /// Whose it is; absent for one that the user supplied.
    pub(crate) claim: Option<Claim>,
    /// Its tags.
    pub(crate) tags: TagMap,
    /// Its attributes; empty where it is somebody else's.
    pub(crate) attributes: Attributes,
    /// Its listeners; none where it is somebody else's.
    pub(crate) listeners: Vec<SeenListener>,
}

/// A listener and what belongs to it.
pub(crate) struct SeenListener {
    /// As it is described.
    pub(crate) described: Listener,
    /// Its tags.
    pub(crate) tags: TagMap,
    /// Its attributes; absent where there was nothing to know.
    pub(crate) attributes: Option<Attributes>,
}

/// A target group and what belongs to it.
pub(crate) struct SeenTargetGroup {
    /// As it is described.
    pub(crate) described: TargetGroup,
    /// Whose it is.
    pub(crate) claim: Claim,
    /// Its tags.
    pub(crate) tags: TagMap,
    /// Its attributes; empty where it is somebody else's.
    pub(crate) attributes: Attributes,
    /// What is registered; nothing where it is somebody else's.
    pub(crate) health: Vec<TargetHealthDescription>,
}

/// The forwarder machines' part.
#[derive(Default)]
pub(crate) struct Machines {
    /// Auto Scaling groups of ours or of our names.
    pub(crate) groups: Vec<SeenGroup>,
    /// Launch templates of ours or of our names.
    pub(crate) templates: Vec<SeenTemplate>,
    /// Images that the file names by their ids, by id.
    pub(crate) images: BTreeMap<String, Image>,
    /// Why groups and templates could not be looked for, where the file asks for none.
    pub(crate) hidden: Option<Error>,
}

/// An Auto Scaling group.
pub(crate) struct SeenGroup {
    /// As it is described.
    pub(crate) described: AutoScalingGroup,
    /// Whose it is.
    pub(crate) claim: Claim,
    /// Its tags.
    pub(crate) tags: TagMap,
}

/// A launch template and its versions.
pub(crate) struct SeenTemplate {
    /// As it is described.
    pub(crate) described: LaunchTemplate,
    /// Whose it is.
    pub(crate) claim: Claim,
    /// Its tags.
    pub(crate) tags: TagMap,
    /// Its versions; none where it is somebody else's.
    pub(crate) versions: Vec<LaunchTemplateVersion>,
}

/// Reads the forwarder machines' part.
pub(crate) async fn machines(cloud: &Cloud<'_>, wanted: &Wanted<'_>) -> Result<Machines, Error> {
    let asked: Vec<_> = wanted.services.iter().filter_map(|(_, aws)| forwarders::of(aws)).collect();
    let images = asked.iter().map(forwarders::Machines::image).filter(|image| image.starts_with("ami-"));
    let images: BTreeSet<String> = images.collect();
    let group_names = wanted.names.of_kind(kinds::FORWARDER_GROUP);
    let template_names = wanted.names.of_kind(kinds::LAUNCH_TEMPLATE);
    let reads = try_join3(
        auto_scaling::groups(cloud, wanted.deployment, &group_names),
        launch_templates::templates(cloud, wanted.deployment, &template_names),
        launch_templates::images(cloud, &images),
    );
    let (groups, templates, images) = match reads.await {
        Ok(read) => read,
        // Whoever asks for no forwarders need not be allowed to look for them. Another role may have made some.
        Err(error) if error.kind() == ErrorKind::Denied && asked.is_empty() => {
            return Ok(Machines { hidden: Some(error), ..Machines::default() });
        }
        Err(error) => return Err(error),
    };
    let groups = groups.into_iter().filter_map(|described| {
        let tags = auto_scaling::tags_of(described.tags());
        let claim = wanted.names.claim(wanted.deployment, described.auto_scaling_group_name()?, &tags)?;
        Some(SeenGroup { described, claim, tags })
    });
    let templates = templates.into_iter().filter_map(|described| {
        let tags = network::tags_of(described.tags());
        let claim = wanted.names.claim(wanted.deployment, described.launch_template_name()?, &tags)?;
        Some((described, claim, tags))
    });
    let templates: Vec<_> = templates.collect();
    let ours = templates.iter().filter(|(_, claim, _)| claim.ownership == privnet_core::Ownership::Ours);
    let ours: Vec<_> = ours.map(|(described, _, _)| described).collect();
    let mut versions = launch_templates::all_versions(cloud, &ours).await?;
    let templates = templates.into_iter().map(|(described, claim, tags)| {
        let versions = described.launch_template_id().and_then(|id| versions.remove(id)).unwrap_or_default();
        SeenTemplate { described, claim, tags, versions }
    });
    let templates = templates.collect();
    Ok(Machines { groups: groups.collect(), templates, images, hidden: None })
}

/// Reads EC2's part.
pub(crate) async fn network(cloud: &Cloud<'_>, wanted: &Wanted<'_>) -> Result<Network, Error> {
    let mentioned = Mentioned::of(wanted);
    let ours = async {
        let all =
            network::security_groups(cloud, &[filter("group-name", [format!("{NAME_PREFIX}*")])]).await?;
        Ok::<_, Error>(claimed_groups(wanted, all))
    };
    let named = async {
        if mentioned.groups.is_empty() {
            return Ok(Vec::new());
        }
        network::security_groups(cloud, &[filter("group-id", mentioned.groups.clone())]).await
    };
    let by_tag = [filter("tag:privnet:deployment", [wanted.deployment])];
    let places = try_join4(
        network::subnets(cloud, &mentioned.vpcs),
        network::vpcs(cloud, &mentioned.vpcs),
        network::instances(cloud, &mentioned.instances),
        network::rules(cloud, &by_tag),
    );
    let ((groups, named), (subnets, vpcs, instances, tagged)) =
        try_join(try_join(ours, named), places).await?;
    let named = named.into_iter().filter_map(|group| Some((group.group_id()?.to_owned(), group)));
    let database_groups: BTreeMap<_, _> = named.filter(|(id, _)| mentioned.groups.contains(id)).collect();
    let looked_into: BTreeSet<String> = groups
        .iter()
        .filter(|(_, claim)| claim.ownership == privnet_core::Ownership::Ours)
        .filter_map(|(group, _)| group.group_id().map(str::to_owned))
        .chain(database_groups.keys().cloned())
        .collect();
    let mut rules = network::rules_of(cloud, &looked_into).await?;
    let seen: BTreeSet<_> =
        rules.iter().filter_map(|rule| rule.security_group_rule_id().map(str::to_owned)).collect();
    // Our rules in groups that the file no longer names are found by their tag.
    rules.extend(
        tagged.into_iter().filter(|rule| rule.security_group_rule_id().is_some_and(|id| !seen.contains(id))),
    );
    Ok(Network { groups, rules, database_groups, subnets, vpcs, instances, was_read: true })
}

fn claimed_groups(wanted: &Wanted<'_>, all: Vec<SecurityGroup>) -> Vec<(SecurityGroup, Claim)> {
    let claimed = all.into_iter().filter_map(|group| {
        let tags = network::tags_of(group.tags());
        let claim = wanted.names.claim(wanted.deployment, group.group_name()?, &tags)?;
        Some((group, claim))
    });
    claimed.collect()
}

/// The ids in the file.
#[derive(Default)]
struct Mentioned {
    vpcs: BTreeSet<String>,
    instances: BTreeSet<String>,
    groups: BTreeSet<String>,
}

impl Mentioned {
    fn of(wanted: &Wanted<'_>) -> Self {
        let mut ids = Self::default();
        for (_, aws) in &wanted.services {
            let ports = match &aws.form {
                AwsForm::Made(made) => {
                    ids.vpcs.insert(made.vpc.to_string());
                    ids.groups.extend(made.database_security_groups.iter().map(ToString::to_string));
                    &made.ports
                }
                AwsForm::OnLoadBalancer(on) => {
                    ids.vpcs.extend(on.vpc.iter().map(ToString::to_string));
                    &on.ports
                }
                AwsForm::EndpointService(_) | AwsForm::Removed => continue,
            };
            for port in ports {
                if let AwsTarget::Instances(instances) = &port.port.to {
                    ids.instances.extend(instances.iter().map(ToString::to_string));
                }
            }
        }
        ids
    }
}

/// The ports of a service, whatever its form.
pub(crate) fn ports(aws: &AwsService) -> &[privnet_core::spec::aws::AwsPort] {
    match &aws.form {
        AwsForm::Made(made) => &made.ports,
        AwsForm::OnLoadBalancer(on) => &on.ports,
        AwsForm::EndpointService(_) | AwsForm::Removed => &[],
    }
}
