//! A rule's create, update and delete.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_ec2::types::{ResourceType, SecurityGroupRule};
use privnet_core::execute::{Poll, Replay, Until};
use privnet_core::{Applied, Error, ErrorKind, Step};

use super::Ingress;
use super::proof::proof_by_tags;
use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::error::gone_is_fine;
use crate::fields::Fields;
use crate::kinds::{SECURITY_GROUP_RULE, created_as, live_id, outputs};
use crate::network::{self, filter, tags_of};
use crate::ownership::{self, TagMap};
use crate::tagging;

const AUTHORIZE: Operation = Operation::ec2("AuthorizeSecurityGroupIngress");
const REVOKE: Operation = Operation::ec2("RevokeSecurityGroupIngress");

const SHOWS_WITHIN: Duration = Duration::from_secs(120);

async fn rules_in(cloud: &Cloud<'_>, group: &str) -> Result<Vec<SecurityGroupRule>, Error> {
    let found = network::rules(cloud, &[filter("group-id", [group])]).await?;
    Ok(found.into_iter().filter(|rule| rule.group_id() == Some(group)).collect())
}

// Create.

pub(crate) async fn create(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let wanted = Ingress::from_fields(step.fields)?;
    let (name, tags) = created_as(step, &wanted.tags);
    let made = cloud
        .create(AUTHORIZE, &wanted.group, || {
            let request = cloud.reach.ec2.authorize_security_group_ingress().group_id(&wanted.group);
            let request = request.ip_permissions(wanted.permission(&name));
            request.tag_specifications(tagging::specification(ResourceType::SecurityGroupRule, &tags)).send()
        })
        .await;
    let note = match made {
        Ok(_) => None,
        Err(error) if error.kind() == ErrorKind::Conflict => Some("it was there already".to_owned()),
        Err(error) => return Err(error),
    };
    let rule = shown(cloud, &wanted).await?;
    let id = rule.security_group_rule_id().unwrap_or_default().to_owned();
    let is_ours = |source: &str, _: &str| source == wanted.source;
    let proved = proof_by_tags(&rule, step.deployment, &is_ours);
    // In a group of ours a rule without our tags is taken over; in the user's it is the user's.
    if proved.is_none() && step.action.address.name.starts_with("database/") {
        let message = format!("{} has this rule already ({id}), and it is not privnet's", wanted.group);
        return Err(Error::new(ErrorKind::Conflict, AUTHORIZE.name, id, message)
            .with_hint("run the same command again: the plan then leaves that rule alone"));
    }
    // A rule has no name of its own, so the two of a replacement may be one and the same: another run made it while this one was
    // planned. Taking it for the new one would end with it deleted as the old one.
    if proved.is_some_and(|proof| Some(proof.generation) != step.action.generation) {
        let message = format!("{} has this rule already ({id}): another run made it meanwhile", wanted.group);
        return Err(Error::new(ErrorKind::Conflict, AUTHORIZE.name, id, message)
            .with_hint("run the same command again: the plan then finds nothing to replace"));
    }
    converge(cloud, &id, &wanted, &tags).await?;
    Ok(Applied { outputs: outputs([("id", &id)]), note })
}

/// The rule, as soon as a read shows it.
async fn shown(cloud: &Cloud<'_>, wanted: &Ingress) -> Result<SecurityGroupRule, Error> {
    let until = Until {
        operation: AUTHORIZE.name,
        subject: &wanted.group,
        what: "shown with the rule",
        limit: SHOWS_WITHIN,
    };
    cloud
        .context
        .until(until, || async {
            let found = rules_in(cloud, &wanted.group).await?.into_iter();
            let mut same =
                found.filter(|rule| Ingress::of(rule).is_some_and(|there| there.allows_the_same(wanted)));
            Ok(same
                .next()
                .map_or_else(|| Poll::Pending("the rule does not show yet".to_owned()), Poll::Ready))
        })
        .await
}

// Update.

pub(crate) async fn update(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let wanted = Ingress::from_fields(step.fields)?;
    let id = live_id(step)?;
    let (_, tags) = created_as(step, &wanted.tags);
    converge(cloud, &id, &wanted, &tags).await?;
    Ok(Applied { outputs: outputs([("id", &id)]), note: None })
}

/// Writes the tags where they differ, and returns when a read shows them.
async fn converge(cloud: &Cloud<'_>, id: &str, wanted: &Ingress, tags: &TagMap) -> Result<(), Error> {
    let mut written = false;
    let until = Until { operation: AUTHORIZE.name, subject: id, what: "tagged", limit: SHOWS_WITHIN };
    loop {
        let there = cloud
            .context
            .until(until, || async {
                let rule = shown(cloud, wanted).await?;
                let there = ownership::managed_tags(&tags_of(rule.tags()));
                let done = there == wanted.tags;
                Ok(if done || !written {
                    Poll::Ready(there)
                } else {
                    Poll::Pending("the tags do not show yet".to_owned())
                })
            })
            .await?;
        if there == wanted.tags {
            return Ok(());
        }
        let mut retag = ownership::retag(&there, &wanted.tags);
        retag.set.extend(tags.clone());
        tagging::retag_ec2(cloud, id, &retag).await?;
        written = true;
    }
}

// Delete.

pub(crate) async fn delete(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let id = live_id(step)?;
    let nothing = BTreeMap::new();
    let there = step.live.map_or(&nothing, |live| &live.fields);
    revoke(cloud, &Fields::new(SECURITY_GROUP_RULE, there).text("group")?, &id).await
}

async fn revoke(cloud: &Cloud<'_>, group: &str, id: &str) -> Result<Applied, Error> {
    let sent = cloud
        .call(REVOKE, id, Replay::Safe, || {
            cloud.reach.ec2.revoke_security_group_ingress().group_id(group).security_group_rule_ids(id).send()
        })
        .await;
    gone_is_fine(sent.map(|_| ()))?;
    let until = Until { operation: REVOKE.name, subject: id, what: "gone", limit: SHOWS_WITHIN };
    cloud
        .context
        .until(until, || async {
            let there =
                rules_in(cloud, group).await?.iter().any(|rule| rule.security_group_rule_id() == Some(id));
            Ok(if there { Poll::Pending("still listed".to_owned()) } else { Poll::Ready(()) })
        })
        .await?;
    Ok(Applied::default())
}
