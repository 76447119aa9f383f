//! What was read of one account and region besides endpoint services, and the facts that follow from it.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::types::AutoScalingGroup;
use aws_sdk_ec2::types::{
    Image, Instance, LaunchTemplate, LaunchTemplateVersion, SecurityGroup, SecurityGroupRule, Subnet, Vpc,
};
use aws_sdk_elasticloadbalancingv2::types::{
    Listener, LoadBalancer, LoadBalancerTypeEnum, TargetGroup, TargetHealthDescription,
};
use futures::future::{try_join, try_join3, try_join4};
use futures::stream::{StreamExt, TryStreamExt};
use privnet_core::spec::aws::{AwsForm, AwsService, AwsTarget};
use privnet_core::{Error, ErrorKind};

use crate::auto_scaling;
use crate::balancing::{self, Attributes};
use crate::cloud::Cloud;
use crate::forwarders;
use crate::kinds::{self, listener};
use crate::launch_templates;
use crate::network::{self, filter};
use crate::observe::{Wanted, supplied_load_balancer};
use crate::ownership::{self, Claim, TagMap};

/// How many things are read at once; the rate is the limiter's matter.
const AT_ONCE: usize = 40;
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
    Ok(Balancing { load_balancers, target_groups, applications })
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
        if supplied.contains(&arn) {
            return Some((described, arn, tags, None));
        }
        let claim = wanted.names.claim(wanted.deployment, described.load_balancer_name()?, &tags);
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

/// The ports of a service, whatever its form.
pub(crate) fn ports(aws: &AwsService) -> &[privnet_core::spec::aws::AwsPort] {
    match &aws.form {
        AwsForm::Made(made) => &made.ports,
        AwsForm::OnLoadBalancer(on) => &on.ports,
        AwsForm::EndpointService(_) | AwsForm::Removed => &[],
    }
}
