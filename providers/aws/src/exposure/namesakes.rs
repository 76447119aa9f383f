//! Endpoint services that another deployment made for a service of the same name. A deployment that gets another name in its file makes
//! everything anew, and leaves what consumers are connected to. Two deployments may have services of one name all the same, for two vendors
//! or stages, so it is said only while this one has not made its own, and refused only where both would serve the same targets to the same
//! principals.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{LaunchTemplate, ServiceConfiguration};
use aws_sdk_elasticloadbalancingv2::types::TargetGroup;
use futures::future::join_all;
use privnet_core::plan::{Refusal, Rule, SEVER};
use privnet_core::spec::aws::AwsForm;
use privnet_core::{Lowered, Ownership, Resource, Value};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::{Claimed, ExposureFacts};
use crate::balancing;
use crate::cloud::Cloud;
use crate::gather::registered;
use crate::kinds::{
    ALLOWED_PRINCIPALS, ENDPOINT_SERVICE, LAUNCH_TEMPLATE, TARGET_GROUP, endpoint_service, launch_template,
    target_group,
};
use crate::launch_templates;
use crate::lower::Lowering;
use crate::network::tags_of;
use crate::observe::{Snapshot, Wanted};
use crate::ownership;
use crate::privatelink;

/// An endpoint service of another deployment's service of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Namesake {
    /// The name that both have.
    pub(super) service: String,
    /// Its id.
    id: String,
    /// Whose it is.
    deployment: String,
    /// The load balancers that it serves.
    balancers: BTreeSet<String>,
    /// What it serves, and to whom; nothing where that could not be read.
    served: Option<Served>,
}

/// What an endpoint service serves, and to whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Served {
    principals: BTreeSet<String>,
    /// By listening port, the target group's fields that tell a service from others.
    ports: BTreeMap<String, BTreeMap<String, Value>>,
    /// The fingerprint of what forwarder machines run, where a port leads to some.
    forwarder: Option<String>,
}

/// Those of services that the file lists and this deployment has not made.
pub(super) fn of(
    described: &[ServiceConfiguration],
    services: &[Claimed],
    wanted: &Wanted<'_>,
) -> Vec<Namesake> {
    let makes_one = |form: &AwsForm| matches!(form, AwsForm::Made(_) | AwsForm::OnLoadBalancer(_));
    let made = services.iter().filter(|one| one.ownership == Ownership::Ours);
    let made: BTreeSet<&str> = made.map(|one| one.address.service.as_str()).collect();
    let listed = wanted.services.iter().filter(|(_, aws)| makes_one(&aws.form));
    let listed: BTreeSet<&str> = listed.map(|(service, _)| service.name.as_str()).collect();
    let is_new = |name: &str| listed.contains(name) && !made.contains(name);
    let others =
        described.iter().filter(|service| !endpoint_service::is_going(service)).filter_map(|service| {
            let tags = tags_of(service.tags());
            let (other, proof) = ownership::of_another(&tags, wanted.deployment)?;
            let name = proof.address.service;
            (proof.address.kind == ENDPOINT_SERVICE && is_new(&name)).then(|| Namesake {
                service: name,
                id: service.service_id().unwrap_or_default().to_owned(),
                deployment: other.to_owned(),
                balancers: service.network_load_balancer_arns().iter().cloned().collect(),
                served: None,
            })
        });
    others.collect()
}

/// Reads what those serve. Where that fails it is not known, and nothing is refused because of them.
pub(crate) async fn look_into(cloud: &Cloud<'_>, snapshot: &mut Snapshot<'_>) {
    if snapshot.exposure.namesakes.is_empty() {
        return;
    }
    let Ok(groups) = balancing::target_groups(cloud).await else { return };
    let there = &*snapshot;
    let others: BTreeSet<&str> = there.exposure.namesakes.iter().map(|one| one.deployment.as_str()).collect();
    let machines: BTreeMap<&str, Machines> =
        others.into_iter().map(|other| (other, Machines::new())).collect();
    let reads =
        there.exposure.namesakes.iter().map(|namesake| {
            served(cloud, there, namesake, &groups, machines.get(namesake.deployment.as_str()))
        });
    let read = join_all(reads).await;
    for (namesake, served) in snapshot.exposure.namesakes.iter_mut().zip(read) {
        namesake.served = served;
    }
}

async fn served(
    cloud: &Cloud<'_>,
    snapshot: &Snapshot<'_>,
    namesake: &Namesake,
    groups: &[TargetGroup],
    machines: Option<&Machines>,
) -> Option<Served> {
    let allowed = privatelink::principals(cloud, &namesake.id).await.ok()?;
    let behind = |group: &&TargetGroup| {
        group.load_balancer_arns().iter().any(|balancer| namesake.balancers.contains(balancer))
    };
    let behind: Vec<&TargetGroup> = groups.iter().filter(behind).collect();
    let arns = behind.iter().filter_map(|group| group.target_group_arn().map(str::to_owned)).collect();
    let tags = balancing::tags(cloud, &arns).await.ok()?;
    let mut ports = BTreeMap::new();
    let mut of_machines = false;
    for group in behind {
        let arn = group.target_group_arn()?;
        let tags = tags.get(arn)?;
        let Some(proof) = ownership::proof(tags, &namesake.deployment) else { continue };
        if proof.address.service != namesake.service || proof.address.kind != TARGET_GROUP {
            continue;
        }
        let health = registered(&balancing::target_health(cloud, arn).await.ok()?);
        let ranges = snapshot.vpc_ranges(group.vpc_id().unwrap_or_default());
        of_machines |= target_group::is_of_machines(tags);
        let likeness = target_group::likeness(group, tags, &health, &ranges);
        // Of two, one is about to go: then it is not known what is served.
        if ports.insert(proof.address.name, likeness).is_some() {
            return None;
        }
    }
    let principals = allowed.iter().filter_map(|one| one.principal().map(str::to_owned)).collect();
    if !of_machines {
        return Some(Served { principals, ports, forwarder: None });
    }
    let read = machines?.get_or_init(|| forwarders(cloud, &namesake.deployment)).await;
    let forwarder = read.as_ref()?.get(&namesake.service)?.clone();
    Some(Served { principals, ports, forwarder: Some(forwarder) })
}

/// What the forwarder machines of a deployment's services run, by service, or nothing where that may not be read: it is read once for all.
type Machines = OnceCell<Option<BTreeMap<String, String>>>;

/// Of services with one launch template: of two, it is not known which serves.
async fn forwarders(cloud: &Cloud<'_>, deployment: &str) -> Option<BTreeMap<String, String>> {
    let all = launch_templates::templates(cloud, deployment, &BTreeSet::new()).await.ok()?;
    let mut by_service: BTreeMap<String, Vec<&LaunchTemplate>> = BTreeMap::new();
    for template in &all {
        let proof = ownership::proof(&tags_of(template.tags()), deployment).map(|proof| proof.address);
        if let Some(of) = proof.filter(|of| of.kind == LAUNCH_TEMPLATE) {
            by_service.entry(of.service).or_default().push(template);
        }
    }
    by_service.retain(|_, templates| templates.len() == 1);
    let its: Vec<&LaunchTemplate> = by_service.values().flatten().copied().collect();
    let versions = launch_templates::all_versions(cloud, &its).await.ok()?;
    let runs = by_service.into_iter().filter_map(|(service, templates)| {
        let version = versions.get(templates.first()?.launch_template_id()?)?;
        Some((service, launch_template::runs(version)?))
    });
    Some(runs.collect())
}

/// Says which those are of a service, or refuses it.
pub(crate) fn lower(lowering: &Lowering<'_>, lowered: &mut Lowered) {
    let is_begun = lowering.world.live.of(lowering.name()).iter().any(privnet_core::Live::is_ours);
    for namesake in ExposureFacts::of(lowering.world, lowering.name()).namesakes {
        let same = namesake.served.as_ref().filter(|_| !is_begun);
        if same.is_some_and(|served| served.is_the_same(&lowered.resources)) {
            lowered.refusals.push(Refusal {
                address: lowered.intent.exposed.clone(),
                rule: Rule::HandOver,
                why: namesake.as_renamed(),
                flag: Some(SEVER.to_owned()),
            });
        } else {
            lowered.warnings.push(namesake.as_another(lowering.spec.deployment.as_str()));
        }
    }
}

impl Served {
    /// Whether it is what these resources would serve, and to the same principals.
    fn is_the_same(&self, wanted: &[Resource]) -> bool {
        let of_kind = |kind: &'static str| wanted.iter().filter(move |one| one.address.kind == kind);
        let texts = of_kind(ALLOWED_PRINCIPALS).filter_map(|one| one.fields.get("principals")?.as_list());
        let allowed: BTreeSet<&str> = texts.flatten().filter_map(Value::as_text).collect();
        let same_port = |group: &Resource| {
            let there = self.ports.get(&group.address.name);
            there.is_some_and(|there| target_group::is_alike(&group.fields, there))
        };
        let runs = of_kind(LAUNCH_TEMPLATE).find_map(|one| one.fields.get("forwarder")?.as_text());
        let ports = of_kind(TARGET_GROUP).count();
        ports > 0
            && ports == self.ports.len()
            && of_kind(TARGET_GROUP).all(same_port)
            && runs == self.forwarder.as_deref()
            && allowed == self.principals.iter().map(String::as_str).collect()
    }
}

impl Namesake {
    fn as_renamed(&self) -> String {
        let Self { service, id, deployment, .. } = self;
        format!(
            "the endpoint service {id} has the tags of the service `{service}` of the deployment `{deployment}`, and serves the same \
             targets on the same ports to the same principals: it looks as if the file's `deployment` was renamed. What the vendor was given \
             would change, and that one would be left with whoever is connected to it. Give the file `deployment: {deployment}` again; where \
             that one is to go, destroy it by its own file first; a second way to the same targets takes {SEVER}, which leaves it as it is"
        )
    }

    fn as_another(&self, deployment: &str) -> String {
        let Self { service, id, deployment: other, .. } = self;
        format!(
            "{service}: the endpoint service {id} has the tags of a service of this name of the deployment `{other}`, and `{deployment}` has \
             none yet: if the file's `deployment` was renamed, all is made anew beside it, and consumers stay with the old one; then give \
             the file its old `deployment` again, or destroy that one by its own file"
        )
    }
}
