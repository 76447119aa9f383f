//! Whose a rule in a group of the user's is: proof by its tags, its description and what it allows, and copies told apart.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::SecurityGroupRule;
use privnet_core::{Address, Ownership};

use super::Ingress;
use super::lower::{Leaving, database};
use crate::kinds::SECURITY_GROUP_RULE;
use crate::network::tags_of;
use crate::observe::Snapshot;
use crate::ownership::{self, Proof};

/// The security groups that are ours, by id.
pub(super) fn own_groups<'a>(snapshot: &'a Snapshot<'_>) -> BTreeMap<&'a str, &'a Address> {
    let groups = snapshot.network.groups.iter().filter(|(_, claim)| claim.ownership == Ownership::Ours);
    groups.filter_map(|(group, claim)| Some((group.group_id()?, &claim.address))).collect()
}

/// Whether a source is a group of ours that is this service's.
pub(super) fn is_of(own_groups: &BTreeMap<&str, &Address>) -> impl Fn(&str, &str) -> bool {
    |source, service| own_groups.get(source).is_some_and(|group| group.service == service)
}

/// Proof that a rule in a group of the user's is this deployment's: its tags, in the group that they name, under the name that it is
/// described by. All of that can be copied to another rule of that group: where several prove the same, the one is ours that is what
/// the tags say. One that somebody changed is still ours while it is the only one.
pub(crate) fn proof_in_yours(
    rule: &SecurityGroupRule,
    all: &[SecurityGroupRule],
    deployment: &str,
    is_ours: impl Fn(&str, &str) -> bool,
) -> Option<Proof> {
    let proof = proof_by_tags(rule, deployment, &is_ours)?;
    let is_another = |other: &&SecurityGroupRule| {
        other.security_group_rule_id() != rule.security_group_rule_id()
            && proof_by_tags(other, deployment, &is_ours).as_ref() == Some(&proof)
    };
    (is_at_home(rule, &proof, &is_ours) || !all.iter().any(|other| is_another(&other))).then_some(proof)
}

/// What the tags prove in the group that they name: a rule never goes to another. Descriptions are for people, and are edited or
/// lost; where one was, the shown name will do in a rule that is what the tags say.
pub(super) fn proof_by_tags(
    rule: &SecurityGroupRule,
    deployment: &str,
    is_ours: &impl Fn(&str, &str) -> bool,
) -> Option<Proof> {
    let tags = tags_of(rule.tags());
    let described = rule.description().unwrap_or_default();
    let in_this_group = |proof: &Proof| {
        let group = proof.address.name.strip_prefix("database/").and_then(|rest| rest.split('/').next());
        proof.address.kind == SECURITY_GROUP_RULE && group == rule.group_id()
    };
    ownership::proof_under_name(&tags, deployment, described).filter(in_this_group).or_else(|| {
        ownership::proof_under_shown_name(&tags, deployment).filter(|proof| is_at_home(rule, proof, is_ours))
    })
}

/// Whether a rule lets a group of ours in where its address says.
fn is_at_home(rule: &SecurityGroupRule, proof: &Proof, is_ours: &impl Fn(&str, &str) -> bool) -> bool {
    let service = proof.address.service.as_str();
    Ingress::of(rule).is_some_and(|ingress| {
        let is_it = |from| database(service, &ingress.group, ingress.port, from) == proof.address;
        (is_it(Leaving::Balancer) || is_it(Leaving::Forwarders)) && is_ours(&ingress.source, service)
    })
}

/// Rules in groups of the user's that bear our tags and our name and are not ours: what is to be known of each.
pub(crate) fn copies(snapshot: &Snapshot<'_>) -> Vec<String> {
    let (own_groups, deployment) = (own_groups(snapshot), snapshot.wanted.deployment);
    let all = &snapshot.network.rules;
    let copies = all.iter().filter_map(|rule| {
        let (id, group) = (rule.security_group_rule_id()?, rule.group_id()?);
        let tags = tags_of(rule.tags());
        let named = ownership::proof_under_name(&tags, deployment, rule.description()?)?;
        let is_ours =
            || proof_in_yours(rule, all, deployment, is_of(&own_groups)).is_some();
        (!own_groups.contains_key(group) && !is_ours()).then(|| {
            format!(
                "the rule {id} of {group} stays as it is: it has the tags and the description of {}, but is not what these say: if they are a \
                 copy, take the tags off; if privnet made it, delete it by hand",
                named.address
            )
        })
    });
    copies.collect()
}
