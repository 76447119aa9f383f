//! The allowed principals of an endpoint service: who may ask for a connection.
//!
//! On a service that privnet made every principal is its own. On a service of the user's only those are that bear
//! privnet's tags: permissions take tags
//! (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AllowedPrincipal.html>), but not in the call that adds
//! them, so that they are tagged right after. Adding a principal that is there changes nothing; taking one away
//! disconnects nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ec2::types::{AddedPrincipal, AllowedPrincipal};
use futures::future::try_join_all;
use privnet_core::execute::{Poll, Replay, Until};
use privnet_core::plan::Rule;
use privnet_core::spec::Spec;
use privnet_core::spec::aws::AwsForm;
use privnet_core::{
    Address, Applied, Change, Error, ErrorKind, Field, Generation, Health, Kind, Live, Lowered, Origin,
    Ownership, Replacement, Shape, Step, Value,
};

use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::exposure::{Claimed, ExposureFacts};
use crate::fields::Fields;
use crate::kinds::endpoint_service::SUPPLIED;
use crate::kinds::{ALLOWED_PRINCIPALS, ENDPOINT_SERVICE, listener};
use crate::lower::Lowering;
use crate::network::tags_of;
use crate::observe::Snapshot;
use crate::ownership::{self, Retag, TagMap};
use crate::policy;
use crate::privatelink;
use crate::tagging;

/// The name of the set on a service of privnet's own.
const OWN: &str = "main";

const MODIFY: Operation = Operation::ec2("ModifyVpcEndpointServicePermissions");

/// How long a change may take until answers show it.
const SHOWN_WITHIN: Duration = Duration::from_secs(5 * 60);

pub(crate) const KIND: Kind = Kind {
    name: ALLOWED_PRINCIPALS,
    title: "set of allowed principals",
    fields: &[
        Field::managed("service").on_change(Change::Replace),
        Field::managed("principals").shaped(Shape::Set),
        Field::if_set("tags"),
        Field::observed("taggable"),
    ],
    replacement: Replacement::DeleteFirst,
    teardown_rank: 20,
    severs: false,
    serialized_by: &[],
    telling: &[],
};

/// The set's managed fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct AllowedPrincipals {
    service: String,
    principals: BTreeSet<String>,
    /// Absent where the permissions have no ids, so that they cannot be tagged.
    tags: Option<TagMap>,
}

impl AllowedPrincipals {
    fn to_fields(&self) -> BTreeMap<String, Value> {
        let mut fields = BTreeMap::from([
            ("service".to_owned(), Value::text(&self.service)),
            ("principals".to_owned(), Value::texts(&self.principals)),
        ]);
        if let Some(tags) = &self.tags {
            fields.insert("tags".to_owned(), Value::text_map(tags));
        }
        fields
    }

    fn from_fields(values: &BTreeMap<String, Value>) -> Result<Self, Error> {
        let fields = Fields::new(ALLOWED_PRINCIPALS, values);
        Ok(Self {
            service: fields.text("service")?,
            principals: fields.texts("principals")?,
            tags: values.contains_key("tags").then(|| fields.text_map("tags")).transpose()?,
        })
    }

    /// What these permissions amount to. Of tags that differ only those count that all have.
    fn of(service: &str, permissions: &[&AllowedPrincipal]) -> Self {
        let taggable = permissions.iter().all(|permission| permission.service_permission_id().is_some());
        let each = permissions.iter().map(|permission| ownership::managed_tags(&tags_of(permission.tags())));
        let shared = each.reduce(|shared, other| {
            shared.into_iter().filter(|(key, value)| other.get(key) == Some(value)).collect()
        });
        Self {
            service: service.to_owned(),
            principals: permissions.iter().filter_map(|p| p.principal().map(str::to_owned)).collect(),
            tags: taggable.then(|| shared.unwrap_or_default()),
        }
    }
}

/// The set on a service of privnet's own, or the one beside the principals of the user's own on his.
fn address(service: &str, of: &str) -> Address {
    Address::new(service, ALLOWED_PRINCIPALS, of)
}

/// Whether a permission bears the tags that prove it ours, under the name that they give it, as part of this service.
fn is_tagged(permission: &AllowedPrincipal, deployment: &str, address: &Address) -> bool {
    ownership::proof_as_shown(&tags_of(permission.tags()), deployment)
        .is_some_and(|proof| proof.address == *address)
}

/// Whether privnet allowed one of them for this service, of its own or of the user's.
pub(crate) fn has_ours(all: &[AllowedPrincipal], deployment: &str, service: &str) -> bool {
    let of = [OWN, SUPPLIED].map(|of| address(service, of));
    all.iter().any(|permission| of.iter().any(|address| is_tagged(permission, deployment, address)))
}

/// The principals of a supplied service that are not this service's.
pub(crate) fn of_others(all: &[AllowedPrincipal], deployment: &str, service: &str) -> BTreeSet<String> {
    let address = address(service, SUPPLIED);
    let others = all.iter().filter(|permission| !is_tagged(permission, deployment, &address));
    others.filter_map(|permission| permission.principal().map(str::to_owned)).collect()
}

/// Whom the file's services want on endpoint services of the user's where they are allowed without privnet's tags, in words: also where
/// all of it is taken down, since a run that lost an answer may have left them.
pub(crate) fn taken_for_yours(snapshot: &Snapshot<'_>, spec: &Spec) -> Vec<String> {
    let supplied =
        snapshot.exposure.services.iter().filter(|service| service.ownership == Ownership::Supplied);
    let told = supplied.filter_map(|claimed| {
        let name = claimed.address.service.as_str();
        let (service, aws) = snapshot.wanted.services.iter().find(|(one, _)| one.name.as_str() == name)?;
        let all = snapshot.exposure.principals.get(&claimed.id)?.as_ref().ok()?;
        let theirs = of_others(all, snapshot.wanted.deployment, name);
        let wanted = policy::principals(spec, service, &aws.location);
        let yours: Vec<String> = wanted.intersection(&theirs).cloned().collect();
        (!yours.is_empty()).then(|| {
            format!(
                "{name}: {} is allowed already on {}, without the tags of this service, so it is taken to be yours and stays; where a run of \
                 privnet was cut short before it tagged it, take it away with `aws ec2 modify-vpc-endpoint-service-permissions`, and apply \
                 again if it is still wanted",
                yours.join(", "),
                claimed.id
            )
        })
    });
    told.collect()
}

/// Adds the principals to what the service wants.
pub(crate) fn lower(lowering: &Lowering<'_>, lowered: &mut Lowered) {
    let (of, origin) = match &lowering.aws.form {
        AwsForm::Made(_) | AwsForm::OnLoadBalancer(_) => (OWN, Origin::Owned),
        AwsForm::EndpointService(id) => {
            (SUPPLIED, Origin::AddedTo { to: format!("the endpoint service {id}") })
        }
        AwsForm::Removed => return,
    };
    let address = address(lowering.name(), of);
    let facts = ExposureFacts::of(lowering.world, lowering.name());
    if let Some(why) = facts.principals_unreadable {
        let why = format!("its allowed principals cannot be read: {why}");
        lowered.refusals.push(lowering.refusal(&address, Rule::Unobserved, why));
        return;
    }
    for consumer in policy::nameless(lowering.spec, lowering.service) {
        lowered.warnings.push(format!(
            "{}: `{consumer}` has no principal on AWS, so it cannot ask for a connection: give `consumers.{consumer}.aws.principals`",
            lowering.name()
        ));
    }
    let mut wanted = policy::principals(lowering.spec, lowering.service, &lowering.aws.location);
    if matches!(origin, Origin::AddedTo { .. }) {
        wanted.retain(|principal| !facts.allowed_by_user.contains(principal));
    }
    let live = lowering.world.at(&address);
    warn_of_removal(lowering, lowered, live, &wanted);
    if wanted.is_empty() {
        return;
    }
    let service = Value::output(&lowering.address(ENDPOINT_SERVICE, of), "id");
    let mut fields =
        BTreeMap::from([("service".to_owned(), service), ("principals".to_owned(), Value::texts(&wanted))]);
    if live.is_none_or(|live| live.fields.get("taggable") != Some(&Value::Bool(false))) {
        fields.insert("tags".to_owned(), lowering.tags());
    }
    // Who is allowed finds a way that is open.
    let needs = listener::all(lowered);
    lowered.resources.push(lowering.resource(address, origin, fields, needs));
}

/// Whoever is taken off the list keeps the connection that he has.
fn warn_of_removal(
    lowering: &Lowering<'_>,
    lowered: &mut Lowered,
    live: Option<&Live>,
    wanted: &BTreeSet<String>,
) {
    let there = live.and_then(|live| live.fields.get("principals")?.as_list()).unwrap_or_default();
    let gone: Vec<_> =
        there.iter().filter_map(Value::as_text).filter(|principal| !wanted.contains(*principal)).collect();
    if !gone.is_empty() {
        lowered.warnings.push(format!(
            "{}: taking {} off the allowed principals disconnects nobody: cut a live connection with `privnet reject --connection ID \
             --sever-connections`",
            lowering.name(),
            gone.join(", ")
        ));
    }
}

/// The sets that are there: one for each endpoint service that allows somebody.
pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let services = &snapshot.exposure.services;
    let mut live: Vec<Live> = services.iter().filter_map(|service| live_of(snapshot, service)).collect();
    let known: BTreeSet<&str> =
        services.iter().filter(|service| service.is_usable()).map(|service| service.id.as_str()).collect();
    let others = snapshot.exposure.principals.iter().filter(|(id, _)| !known.contains(id.as_str()));
    live.extend(others.flat_map(|(id, all)| left_on(snapshot, id, all.as_deref().unwrap_or_default())));
    live
}

/// The sets that are ours on a service of the user's that the file does not name any more.
fn left_on(snapshot: &Snapshot<'_>, service: &str, all: &[AllowedPrincipal]) -> Vec<Live> {
    let mut ours: BTreeMap<Address, Vec<&AllowedPrincipal>> = BTreeMap::new();
    for permission in all {
        let proof = ownership::proof_as_shown(&tags_of(permission.tags()), snapshot.wanted.deployment);
        let is_left = |proof: &ownership::Proof| {
            proof.address.kind == ALLOWED_PRINCIPALS && proof.address.name == SUPPLIED
        };
        if let Some(proof) = proof.filter(is_left) {
            ours.entry(proof.address).or_default().push(permission);
        }
    }
    ours.into_iter().map(|(address, set)| set_of(snapshot, address, service, &set)).collect()
}

fn live_of(snapshot: &Snapshot<'_>, service: &Claimed) -> Option<Live> {
    // Whom a service allows that is not ours is nobody's business but its owner's.
    if !service.is_usable() {
        return None;
    }
    let all = snapshot.exposure.principals.get(&service.id)?.as_ref().ok()?;
    let of_supplied = service.ownership == Ownership::Supplied;
    let address = address(&service.address.service, if of_supplied { SUPPLIED } else { OWN });
    let is_ours = |permission: &&AllowedPrincipal| {
        !of_supplied || is_tagged(permission, snapshot.wanted.deployment, &address)
    };
    let ours: Vec<_> = all.iter().filter(is_ours).collect();
    if ours.is_empty() {
        return None;
    }
    Some(set_of(snapshot, address, &service.id, &ours))
}

fn set_of(snapshot: &Snapshot<'_>, address: Address, service: &str, ours: &[&AllowedPrincipal]) -> Live {
    let typed = AllowedPrincipals::of(service, ours);
    let mut fields = typed.to_fields();
    fields.insert("taggable".to_owned(), typed.tags.is_some().into());
    Live {
        address,
        generation: None,
        scope: snapshot.reach.scope.clone(),
        id: live_id(service),
        ownership: Ownership::Ours,
        fields,
        outputs: BTreeMap::new(),
        health: Health::Ready,
    }
}

/// The set has no id of its own.
fn live_id(service: &str) -> String {
    format!("{service}/principals")
}

pub(crate) async fn create(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let wanted = AllowedPrincipals::from_fields(step.fields)?;
    // On the user's service what is there already is his. On our own, adding what a run of the same file added changes nothing.
    let of_supplied = step.action.address.name == SUPPLIED;
    let there = if of_supplied {
        by_principal(privatelink::principals(cloud, &wanted.service).await?)
    } else {
        ByPrincipal::new()
    };
    change(cloud, step, &wanted, there, &BTreeSet::new(), &TagMap::new()).await
}

pub(crate) async fn update(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let wanted = AllowedPrincipals::from_fields(step.fields)?;
    let before =
        step.live.map(|live| AllowedPrincipals::from_fields(&live.fields)).transpose()?.unwrap_or_default();
    let gone = before.principals.difference(&wanted.principals).cloned().collect();
    let there = by_principal(privatelink::principals(cloud, &wanted.service).await?);
    change(cloud, step, &wanted, there, &gone, &before.tags.unwrap_or_default()).await
}

pub(crate) async fn delete(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let there = AllowedPrincipals::from_fields(step.fields)?;
    let nobody = AllowedPrincipals { service: there.service, ..AllowedPrincipals::default() };
    let removed = async {
        let now = by_principal(privatelink::principals(cloud, &nobody.service).await?);
        change(cloud, step, &nobody, now, &there.principals, &TagMap::new()).await
    };
    match removed.await {
        // With the service went whom it allowed.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Applied::default()),
        other => other,
    }
}

/// Adds who is wanted and not `there`, tags whom it added, takes away who is gone.
async fn change(
    cloud: &Cloud<'_>,
    step: &Step<'_>,
    wanted: &AllowedPrincipals,
    there: ByPrincipal,
    gone: &BTreeSet<String>,
    tags_before: &TagMap,
) -> Result<Applied, Error> {
    let service = wanted.service.as_str();
    let add: Vec<_> =
        wanted.principals.iter().filter(|principal| !there.contains_key(*principal)).cloned().collect();
    let remove: Vec<_> = gone.iter().filter(|principal| there.contains_key(*principal)).cloned().collect();
    let ours: BTreeSet<String> = there.keys().filter(|p| is_known(step, p)).chain(&add).cloned().collect();
    let (mut now, mut added) = (there, ByPrincipal::new());
    if !add.is_empty() || !remove.is_empty() {
        let list = |all: &[String]| (!all.is_empty()).then(|| all.to_vec());
        let answer = cloud
            .call(MODIFY, service, Replay::Safe, || {
                let request = cloud.reach.ec2.modify_vpc_endpoint_service_permissions().service_id(service);
                request
                    .set_add_allowed_principals(list(&add))
                    .set_remove_allowed_principals(list(&remove))
                    .send()
            })
            .await?;
        added.extend(answer.added_principals.unwrap_or_default().into_iter().filter_map(just_added));
        now.extend(added.clone());
    }
    let is_so = |now: &ByPrincipal| {
        wanted.principals.iter().all(|principal| now.contains_key(principal))
            && gone.iter().all(|principal| !now.contains_key(principal))
    };
    let to_tag: Vec<&String> =
        wanted.principals.iter().filter(|principal| ours.contains(*principal)).collect();
    // The answer mostly tells the ids; where it does not, a read does.
    if to_tag.iter().any(|principal| now.get(*principal).is_none_or(|p| p.service_permission_id().is_none()))
    {
        now = match shown(cloud, service, is_so).await {
            Ok(now) => now,
            Err(error) => return Err(taken_back(cloud, step, service, &added, error).await),
        };
    }
    let tagging = Tagging::new(step, wanted, tags_before);
    let ids = match tagging.write(cloud, &now, &to_tag).await {
        Ok(ids) => ids,
        Err(error) => return Err(taken_back(cloud, step, service, &added, error).await),
    };
    shown(cloud, service, |now| is_so(now) && tagging.shows(now, &ids)).await?;
    Ok(Applied::default())
}

/// On the user's service the tags are the proof: whom this run allowed and could not tag would be taken for the user's, and stay for
/// ever. On our own the service is the proof, and the next run tags what lacks it.
async fn taken_back(
    cloud: &Cloud<'_>,
    step: &Step<'_>,
    service: &str,
    added: &ByPrincipal,
    error: Error,
) -> Error {
    if step.action.address.name != SUPPLIED || added.is_empty() {
        return error;
    }
    let now = privatelink::principals(cloud, service).await.ok().map(by_principal);
    let is_tagged = |there: &AllowedPrincipal| is_tagged(there, step.deployment, &step.action.address);
    let untagged = untagged(added, &now.unwrap_or_default(), is_tagged);
    if untagged.is_empty() {
        return error;
    }
    let back = cloud
        .call(MODIFY, service, Replay::Safe, || {
            let request = cloud.reach.ec2.modify_vpc_endpoint_service_permissions().service_id(service);
            request.set_remove_allowed_principals(Some(untagged.clone())).send()
        })
        .await;
    let who = untagged.join(", ");
    error.with_hint(match back {
        Ok(_) => format!("{who} could not be tagged, so it was not left allowed on {service}"),
        Err(back) => format!("{who} is allowed on {service} without tags, and could not be taken back ({back}): take it away by hand"),
    })
}

/// Whom this run `added`, by AWS's own answer, and did not tag. Another run may allow the same at the same time: what AWS did not add for
/// this one, and what has our tags `now`, is that one's.
fn untagged(
    added: &ByPrincipal,
    now: &ByPrincipal,
    is_tagged: impl Fn(&AllowedPrincipal) -> bool,
) -> Vec<String> {
    // What does not show yet is not tagged either.
    let is_anothers = |principal: &String, permission: &AllowedPrincipal| {
        now.get(principal).is_some_and(|there| {
            let id = permission.service_permission_id();
            is_tagged(there) || (id.is_some() && there.service_permission_id() != id)
        })
    };
    let ours = added.iter().filter(|(principal, permission)| !is_anothers(principal, permission));
    ours.map(|(principal, _)| principal.clone()).collect()
}

/// A permission that was just added, by its principal.
fn just_added(added: AddedPrincipal) -> Option<(String, AllowedPrincipal)> {
    let principal = added.principal?;
    let permission = AllowedPrincipal::builder().set_service_permission_id(added.service_permission_id);
    Some((principal.clone(), permission.principal(principal).build()))
}

/// Whether the plan saw this principal as ours.
fn is_known(step: &Step<'_>, principal: &str) -> bool {
    let seen = step.live.and_then(|live| live.fields.get("principals")?.as_list()).unwrap_or_default();
    seen.iter().any(|known| known.as_text() == Some(principal))
}

type ByPrincipal = BTreeMap<String, AllowedPrincipal>;

fn by_principal(all: Vec<AllowedPrincipal>) -> ByPrincipal {
    all.into_iter().filter_map(|permission| Some((permission.principal()?.to_owned(), permission))).collect()
}

async fn shown(
    cloud: &Cloud<'_>,
    service: &str,
    is_so: impl Fn(&ByPrincipal) -> bool + Sync,
) -> Result<ByPrincipal, Error> {
    let until = Until {
        operation: "DescribeVpcEndpointServicePermissions",
        subject: service,
        what: "changed",
        limit: SHOWN_WITHIN,
    };
    let is_so = &is_so;
    cloud
        .context
        .until(until, || async move {
            let now = by_principal(privatelink::principals(cloud, service).await?);
            Ok(if is_so(&now) {
                Poll::Ready(now)
            } else {
                Poll::Pending("the change does not show yet".to_owned())
            })
        })
        .await
}

/// The tags that privnet's permissions are to have.
struct Tagging {
    all: TagMap,
    remove: Vec<String>,
}

impl Tagging {
    fn new(step: &Step<'_>, wanted: &AllowedPrincipals, before: &TagMap) -> Self {
        let user = wanted.tags.clone().unwrap_or_default();
        let all = ownership::all_tags(step.deployment, &step.action.address, Generation::A, &user);
        // A `Name` that was the user's becomes ours again: what is wanted is not removed.
        let mut remove = ownership::retag(before, &user).remove;
        remove.retain(|key| !all.contains_key(key));
        Self { all, remove }
    }

    fn is_right(&self, permission: &AllowedPrincipal) -> bool {
        let has = tags_of(permission.tags());
        self.all.iter().all(|(key, value)| has.get(key) == Some(value))
            && self.remove.iter().all(|key| !has.contains_key(key))
    }

    /// Tags the permissions of these principals, those that have ids and wrong tags; returns the ids.
    async fn write(
        &self,
        cloud: &Cloud<'_>,
        now: &ByPrincipal,
        principals: &[&String],
    ) -> Result<Vec<String>, Error> {
        let wrong =
            principals.iter().filter_map(|principal| now.get(*principal)).filter(|p| !self.is_right(p));
        let ids: Vec<String> = wrong.filter_map(|p| p.service_permission_id().map(str::to_owned)).collect();
        let retag = Retag { set: self.all.clone(), remove: self.remove.clone() };
        try_join_all(ids.iter().map(|id| tagging::retag_ec2(cloud, id, &retag))).await?;
        Ok(ids)
    }

    /// Whether these permissions show the right tags.
    fn shows(&self, now: &ByPrincipal, ids: &[String]) -> bool {
        ids.iter().all(|id| {
            now.values()
                .any(|permission| permission.service_permission_id() == Some(id) && self.is_right(permission))
        })
    }
}

#[cfg(test)]
mod tests;
