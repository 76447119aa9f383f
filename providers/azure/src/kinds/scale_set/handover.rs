//! From one group of forwarders to the next: which groups there are beside each other; whether the new one is healthy, and how the old one
//! is drained, in a file of its own each.

mod drain;
mod health;

use privnet_core::{Error, Generation};

pub(super) use self::drain::{drain, is_drained, serve};
pub(crate) use self::health::{health_calls, healthy};
pub(super) use self::health::{until_as_good, until_healthy};
use crate::act::Act;
use crate::arm::{Json, Target, items, same_id, text, text_map};
use crate::kinds::{health, load_balancer, private_link_service};
use crate::{fields, ownership};

/// What groups are to ARM.
const GROUPS: &str = "Microsoft.Compute/virtualMachineScaleSets";

/// The group under the other name, where it is there and ours.
pub(super) struct Other {
    pub(super) id: String,
    /// It is being deleted: it serves nobody for long.
    pub(super) goes: bool,
}

/// Looks for the group under the other name.
pub(super) async fn other(act: &Act<'_>, mine: Generation) -> Result<Option<Other>, Error> {
    let name = ownership::cloud_name(act.step.deployment, &act.step.action.address, mine.other());
    let id = format!("{}/providers/{GROUPS}/{name}", act.group());
    let there = act.arm.find(act.context, &Target::of(&id)).await?;
    let there = there.filter(|there| act.check_ours(there).is_ok());
    Ok(there.map(|there| Other { id, goes: health(&there).is_going() }))
}

/// The id of the group under the other name, where it is there and ours, and stays.
pub(super) async fn other_generation(act: &Act<'_>, mine: Generation) -> Result<Option<String>, Error> {
    Ok(other(act, mine).await?.filter(|other| !other.goes).map(|other| other.id))
}

/// Whether a rule of privnet's leads to this pool.
pub(super) async fn is_led_to(act: &Act<'_>, pool: &str) -> Result<bool, Error> {
    let balancer = act.arm.find(act.context, &Target::of(balancer_of(pool))).await?;
    Ok(balancer.is_some_and(|balancer| leads_to(&balancer, pool)))
}

fn leads_to(balancer: &Json, pool: &str) -> bool {
    let leads =
        |rule: &Json| text(rule, "properties.backendAddressPool.id").is_some_and(|id| same_id(id, pool));
    load_balancer::own_rules(balancer).any(leads)
}

/// The service's other groups in this pool, in whatever subnets, that stay.
pub(super) async fn beside(act: &Act<'_>, group: &str, pool: &str) -> Result<Vec<String>, Error> {
    let listed = act.listed(GROUPS).await?;
    let is_beside = |there: &&Json| {
        let name = text(there, "name").unwrap_or_default();
        let claim = ownership::claim(act.step.deployment, name, &text_map(there, "tags"), &[]);
        let (service, kind) = (&act.step.action.address.service, &act.step.action.address.kind);
        claim.is_some_and(|claim| claim.address.service == *service && claim.address.kind == *kind)
            && !health(there).is_going()
            && same_id(fields::resolved(&super::read(there).pool), pool)
    };
    let ids = listed.iter().filter(is_beside).filter_map(|there| text(there, "id"));
    Ok(ids.filter(|id| !same_id(id, group)).map(str::to_owned).collect())
}

/// How many machines a group has, where they are in this pool.
pub(super) async fn machines_in_pool(act: &Act<'_>, group: &str, pool: &str) -> Result<Option<i64>, Error> {
    let there = act.arm.find(act.context, &Target::of(group)).await?.map(|there| super::read(&there));
    Ok(there.filter(|there| same_id(fields::resolved(&there.pool), pool)).map(|there| there.count))
}

/// Whether the one group is known to have been made before the other.
pub(super) async fn is_older(act: &Act<'_>, one: &str, other: &str) -> Result<bool, Error> {
    let (one, other) = (Target::of(one), Target::of(other));
    let (one, other) = (act.arm.find(act.context, &one).await?, act.arm.find(act.context, &other).await?);
    let made = |there: Option<Json>| there.as_ref().and_then(super::made);
    Ok(made(one).zip(made(other)).is_some_and(|(one, other)| one < other))
}

/// Whether the service still has its private link service before the load balancer of this pool, so that consumers may be on these machines.
pub(super) async fn is_exposed(act: &Act<'_>, pool: &str) -> Result<bool, Error> {
    let balancer = balancer_of(pool);
    let address = private_link_service::address(&act.step.action.address.service);
    let listed = act.listed("Microsoft.Network/privateLinkServices").await?;
    Ok(listed.iter().any(|service| {
        let name = text(service, "name").unwrap_or_default();
        let claim = ownership::claim(act.step.deployment, name, &text_map(service, "tags"), &[]);
        claim.is_some_and(|claim| claim.address == address) && stands_before(service, &balancer)
    }))
}

/// Whether a private link service stands before this load balancer.
fn stands_before(service: &Json, balancer: &str) -> bool {
    let mut frontends = items(service, "properties.loadBalancerFrontendIpConfigurations").iter();
    frontends.any(|one| text(one, "id").is_some_and(|id| load_balancer::of_part(id) == fields::id(balancer)))
}

/// Whether an id is of something inside this group.
fn is_of(id: &str, group: &str) -> bool {
    id.to_lowercase().starts_with(&format!("{}/", group.to_lowercase()))
}

/// The load balancer of a pool.
pub(crate) fn balancer_of(pool: &str) -> String {
    let at = pool.to_lowercase().find("/backendaddresspools/").unwrap_or(pool.len());
    pool.get(..at).unwrap_or(pool).to_owned()
}

#[cfg(test)]
mod tests;
