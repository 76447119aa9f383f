//! Whether a group is healthy, as the load balancer tells it.

use std::collections::BTreeSet;
use std::time::Duration;

use privnet_core::execute::{Poll, Until};
use privnet_core::{Error, ErrorKind};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{balancer_of, is_of};
use crate::act::Act;
use crate::arm::{Json, Target, items, same_id, text};
use crate::kinds::load_balancer;

/// How long new machines may take to boot and to become healthy.
const HEALTHY: Duration = Duration::from_secs(20 * 60);

/// How long a group has to answer nothing, at each look, before it counts as dead: three of the load balancer's checks. One look may come upon
/// a moment of no account, and whoever is connected to a group that is let go is cut.
const SILENT: Duration = Duration::from_secs(30);

fn healthy_in_time<'a>(act: &Act<'_>, group: &'a str) -> Until<'a> {
    let limit = act.context.patience(HEALTHY);
    Until { operation: "POST loadBalancingRules/health", subject: group, what: "healthy", limit }
}

/// Waits until the load balancer calls this many machines of a group healthy on every rule of the pool: with fewer of them than are to
/// carry the traffic, the old group does not go. But where that (`dead`) answers no rule while the new one answers some, and does so for a while,
/// it carries nothing.
pub(in crate::kinds::scale_set) async fn until_healthy(
    act: &Act<'_>,
    pool: &str,
    group: &str,
    machines: i64,
    dead: Option<&str>,
) -> Result<(), Error> {
    let balancer = balancer_of(pool);
    let until = healthy_in_time(act, group);
    let balancer = &balancer;
    let silence = &Mutex::new(Silence::default());
    let enough = act.context.paced(SILENT);
    let ask = || async move {
        let wanted = usize::try_from(machines).unwrap_or_default().max(1);
        let rules = health_by_rule(act, balancer, pool).await?;
        let answers = |group: &str| rules.iter().any(|(_, seen)| healthy(seen, group) > 0);
        let is_silent = dead.is_some_and(|dead| !answers(dead)) && answers(group);
        let lasts = silence.lock().await.lasts(is_silent, Instant::now(), enough);
        if lasts {
            return Ok(Poll::Ready(()));
        }
        for (rule, seen) in rules {
            let healthy = healthy(&seen, group);
            if healthy < wanted {
                return Ok(Poll::Pending(format!("{rule} has {healthy} of {machines} machines healthy")));
            }
        }
        Ok(Poll::Ready(()))
    };
    act.context.until(until, ask).await.map_err(|error| match error.kind() {
        ErrorKind::TimedOut => {
            error.with_hint(
                "a machine is healthy when its database answers it, and its image must hold nft and python3 (its console output says what is \
                 missing); the old group stays until all are: see `privnet status`. Where a single machine does not come up, \
                 delete the new group and run the same command again",
            )
        }
        _ => error,
    })
}

/// The looks at which a group answered nothing while its successor did, one after the other.
#[derive(Debug, Default)]
pub(super) struct Silence {
    since: Option<Instant>,
    looks: u32,
}

impl Silence {
    /// Whether it has lasted long enough, with this look, and was seen often enough for that.
    pub(super) fn lasts(&mut self, is_silent: bool, now: Instant, enough: Duration) -> bool {
        if !is_silent {
            *self = Self::default();
            return false;
        }
        self.looks += 1;
        let since = *self.since.get_or_insert(now);
        self.looks >= 3 && now.duration_since(since) >= enough
    }
}

/// Waits until no rule is answered by the group that goes alone. Where none of those that stay answers one either, nobody is on it.
pub(in crate::kinds::scale_set) async fn until_as_good(
    act: &Act<'_>,
    pool: &str,
    stay: &[String],
    goes: &str,
) -> Result<(), Error> {
    let balancer = balancer_of(pool);
    let until = healthy_in_time(act, goes);
    let balancer = &balancer;
    let ask = || async move {
        for (rule, seen) in health_by_rule(act, balancer, pool).await? {
            if is_answered_alone(&seen, stay, goes) {
                return Ok(Poll::Pending(format!("{rule} is answered by {goes} alone")));
            }
        }
        Ok(Poll::Ready(()))
    };
    act.context.until(until, ask).await
}

/// Whether a rule's health shows machines up of the group that goes, and none of those that stay.
pub(super) fn is_answered_alone(health: &Json, stay: &[String], goes: &str) -> bool {
    healthy(health, goes) > 0 && stay.iter().all(|group| healthy(health, group) == 0)
}

/// What the load balancer says of the machines behind each of privnet's rules of the pool, by the rule's name.
async fn health_by_rule(act: &Act<'_>, balancer: &str, pool: &str) -> Result<Vec<(String, Json)>, Error> {
    let shown = act.arm.get(act.context, &Target::of(balancer)).await?;
    let mut rules = Vec::new();
    for (name, health) in health_calls(&shown, pool) {
        rules.push((name, act.arm.post(act.context, &health).await?));
    }
    Ok(rules)
}

/// The calls that tell the health of the machines behind each of privnet's rules of a pool, by the rule's name. What somebody else's rules
/// ask is his matter: privnet's machines may never answer it.
pub(crate) fn health_calls(balancer: &Json, pool: &str) -> Vec<(String, Target)> {
    let id = text(balancer, "id").unwrap_or_default();
    let leads =
        |rule: &&Json| text(rule, "properties.backendAddressPool.id").is_some_and(|id| same_id(id, pool));
    let rules = load_balancer::own_rules(balancer).filter(leads);
    let names = rules.map(|rule| text(rule, "name").unwrap_or_default());
    names
        .map(|name| (name.to_owned(), Target::of(format!("{id}/loadBalancingRules/{name}/health"))))
        .collect()
}

/// How many machines of this group a rule's health shows as up.
pub(crate) fn healthy(health: &Json, group: &str) -> usize {
    let up = items(health, "loadBalancerBackendAddresses").iter().filter_map(|member| {
        // The id comes as text, or in an object.
        let id = text(member, "networkInterfaceIPConfigurationId")
            .or(text(member, "networkInterfaceIPConfigurationId.id"))?;
        let up = text(member, "state").is_some_and(|state| state.eq_ignore_ascii_case("up"));
        (up && is_of(id, group)).then(|| id.to_lowercase())
    });
    up.collect::<BTreeSet<_>>().len()
}
