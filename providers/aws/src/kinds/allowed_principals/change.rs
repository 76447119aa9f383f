//! Allowing principals, tagging whom this run allowed, and taking them away.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ec2::types::{AddedPrincipal, AllowedPrincipal};
use futures::future::try_join_all;
use privnet_core::execute::{Poll, Replay, Until};
use privnet_core::{Applied, Error, ErrorKind, Generation, Step};

use super::{AllowedPrincipals, by_another, is_tagged};
use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::kinds::endpoint_service::SUPPLIED;
use crate::network::tags_of;
use crate::ownership::{self, Retag, TagMap};
use crate::privatelink;
use crate::tagging;

const MODIFY: Operation = Operation::ec2("ModifyVpcEndpointServicePermissions");

/// How long a change may take until answers show it.
const SHOWN_WITHIN: Duration = Duration::from_secs(5 * 60);

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
    let is_theirs = |principal: &String| now.get(principal).is_some_and(|there| is_anothers(step, there));
    let (theirs, to_tag): (Vec<&String>, _) = to_tag.into_iter().partition(|principal| is_theirs(principal));
    let untouched = wanted.principals.iter().filter(|principal| !ours.contains(*principal));
    let note = not_ours(step, service, &now, theirs.into_iter().chain(untouched));
    let tagging = Tagging::new(step, wanted, tags_before);
    let ids = match tagging.write(cloud, &now, &to_tag).await {
        Ok(ids) => ids,
        Err(error) => return Err(taken_back(cloud, step, service, &added, error).await),
    };
    shown(cloud, service, |now| is_so(now) && tagging.shows(now, &ids)).await?;
    Ok(Applied { note, ..Applied::default() })
}

/// Whether a permission on the user's service bears the tags of another service, or of another deployment's: one that its run added
/// since this one was planned.
fn is_anothers(step: &Step<'_>, there: &AllowedPrincipal) -> bool {
    let tags = tags_of(there.tags());
    step.action.address.name == SUPPLIED
        && ownership::is_claimed(&tags)
        && !is_tagged(there, step.deployment, &step.action.address)
}

/// Who is wanted and was allowed by somebody else since this was planned: that is not this service's, and goes when the other one's goes.
fn not_ours<'p>(
    step: &Step<'_>,
    service: &str,
    now: &ByPrincipal,
    principals: impl Iterator<Item = &'p String>,
) -> Option<String> {
    if step.action.address.name != SUPPLIED {
        return None;
    }
    let told = principals.filter_map(|principal| {
        // Another run of the same file may have allowed it meanwhile: that is this service's.
        let there = now.get(principal).filter(|there| !is_tagged(there, step.deployment, &step.action.address))?;
        Some(if is_anothers(step, there) {
            by_another(service, there)
        } else {
            format!("{principal} was allowed on {service} meanwhile, without the tags of this service, so it is taken to be yours")
        })
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| told.join("; "))
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
pub(super) fn untagged(
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

pub(super) type ByPrincipal = BTreeMap<String, AllowedPrincipal>;

pub(super) fn by_principal(all: Vec<AllowedPrincipal>) -> ByPrincipal {
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
