//! From one group of forwarders to the next: whether the new one is healthy, and how the old one is drained.

use std::collections::BTreeSet;
use std::time::Duration;

use privnet_core::execute::{Poll, Until};
use privnet_core::{Error, ErrorKind, Generation};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::act::Act;
use crate::arm::{Json, Target, Write, items, same_id, set, text, text_map};
use crate::kinds::{health, load_balancer, private_link_service};
use crate::{fields, ownership};

/// How long new machines may take to boot and to become healthy.
const HEALTHY: Duration = Duration::from_secs(20 * 60);

/// How long a group has to answer nothing, at each look, before it counts as dead: three of the load balancer's checks. One look may come upon
/// a moment of no account, and whoever is connected to a group that is let go is cut.
const SILENT: Duration = Duration::from_secs(30);

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

fn healthy_in_time<'a>(act: &Act<'_>, group: &'a str) -> Until<'a> {
    let limit = act.context.patience(HEALTHY);
    Until { operation: "POST loadBalancingRules/health", subject: group, what: "healthy", limit }
}

/// Waits until the load balancer calls this many machines of a group healthy on every rule of the pool: with fewer of them than are to
/// carry the traffic, the old group does not go. But where that (`dead`) answers no rule while the new one answers some, and does so for a while,
/// it carries nothing.
pub(super) async fn until_healthy(
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
struct Silence {
    since: Option<Instant>,
    looks: u32,
}

impl Silence {
    /// Whether it has lasted long enough, with this look, and was seen often enough for that.
    fn lasts(&mut self, is_silent: bool, now: Instant, enough: Duration) -> bool {
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
pub(super) async fn until_as_good(
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
fn is_answered_alone(health: &Json, stay: &[String], goes: &str) -> bool {
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

/// Takes new connections away from a group, and gives established ones their time. Tells where the load balancer does not keep
/// the state, so that new ones still came until the end.
///
/// Two documents of Microsoft's differ on what `Down` does to established TCP connections: the feature's own page says that they persist
/// (<https://learn.microsoft.com/azure/load-balancer/admin-state-overview>, of 2026-01), the description of the enum says "reset existing
/// connections" (Azure/azure-rest-api-specs, `LoadBalancerBackendAddressAdminState`). The page tells TCP from UDP and is the newer
/// one, so it is followed. If the other is right, a session ends when the drain begins instead of when it is over; without a
/// drain new sessions would come until the machines go, and end with them.
pub(super) async fn drain(
    act: &Act<'_>,
    pool: &str,
    group: &str,
    successors: &[String],
    seconds: i64,
) -> Result<Option<String>, Error> {
    let build = |there: &Json| {
        // Another run may be draining the successor in favour of this one: both together would leave nobody who serves.
        if would_leave_none(there, pool, successors) {
            let message =
                format!("{}, which was to take over, is drained, by another run", successors.join(" and "));
            return Err(act.overtaken(message));
        }
        Ok(marked(there, pool, group, "Down"))
    };
    let shown = write_balancer(act, pool, &build).await?;
    if !load_balancer::members(&shown, pool).iter().any(|member| member_of(member, group)) {
        return Ok(None);
    }
    let seconds = u64::try_from(seconds).unwrap_or_default();
    let end = Instant::now() + act.context.paced(Duration::from_secs(seconds));
    let limit = Duration::from_secs(seconds + 60);
    let until = Until { operation: "drain", subject: group, what: "drained", limit };
    let ask = || async move {
        let over = Instant::now() >= end;
        Ok(if over {
            Poll::Ready(())
        } else {
            Poll::Pending(format!("established sessions have {seconds} s"))
        })
    };
    act.context.until(until, ask).await?;
    let kept = is_drained(&shown, pool, group);
    let lost = "the load balancer did not keep the administrative state: new connections came until the end";
    Ok((!kept).then(|| lost.to_owned()))
}

/// Takes a group out of a drain.
pub(super) async fn serve(act: &Act<'_>, pool: &str, group: &str) -> Result<(), Error> {
    write_balancer(act, pool, &|there| Ok(marked(there, pool, group, "None"))).await.map(|_| ())
}

/// Writes the load balancer of a pool as `change` has it, and gives it as it is then.
async fn write_balancer(
    act: &Act<'_>,
    pool: &str,
    change: &(dyn Fn(&Json) -> Result<Json, Error> + Sync),
) -> Result<Json, Error> {
    let build = |there: Option<&Json>| {
        let Some(there) = there else {
            return Err(act.error(ErrorKind::NotFound, "the load balancer is not there"));
        };
        let body = change(there)?;
        Ok(if body == *there { Write::Keep } else { Write::Put(body) })
    };
    act.arm.write(act.context, &Target::of(balancer_of(pool)), &build).await
}

/// Whether consumers come to this pool, and what is to serve them is drained.
fn would_leave_none(balancer: &Json, pool: &str, successors: &[String]) -> bool {
    leads_to(balancer, pool) && successors.iter().all(|successor| is_drained(balancer, pool, successor))
}

/// The load balancer with this administrative state of a group's members
/// (<https://learn.microsoft.com/azure/load-balancer/admin-state-overview>).
fn marked(balancer: &Json, pool: &str, group: &str, state: &str) -> Json {
    let mut body = balancer.clone();
    mark(&mut body, pool, group, state);
    body
}

fn mark(balancer: &mut Json, pool: &str, group: &str, state: &str) -> bool {
    let mut found = false;
    let mut pools = items(balancer, "properties.backendAddressPools").to_vec();
    for of_pool in pools.iter_mut().filter(|p| text(p, "id").is_some_and(|id| same_id(id, pool))) {
        let mut members = items(of_pool, "properties.loadBalancerBackendAddresses").to_vec();
        for member in members.iter_mut().filter(|member| member_of(member, group)) {
            set(member, "properties.adminState", json!(state));
            found = true;
        }
        if found {
            set(of_pool, "properties.loadBalancerBackendAddresses", json!(members));
        }
    }
    if found {
        set(balancer, "properties.backendAddressPools", json!(pools));
    }
    found
}

/// Whether every member of a group is out of service.
pub(super) fn is_drained(balancer: &Json, pool: &str, group: &str) -> bool {
    let members = load_balancer::members(balancer, pool);
    let mut own = members.into_iter().filter(|member| member_of(member, group)).peekable();
    own.peek().is_some()
        && own.all(|member| {
            text(member, "properties.adminState").is_some_and(|state| state.eq_ignore_ascii_case("down"))
        })
}

fn member_of(member: &Json, group: &str) -> bool {
    text(member, "properties.networkInterfaceIPConfiguration.id").is_some_and(|id| is_of(id, group))
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
mod tests {
    use privnet_core::Step;
    use privnet_core::plan::{Action, Op};

    use super::*;

    fn balancer() -> Json {
        let member = |group: &str| {
            json!({"name": group, "properties": {"networkInterfaceIPConfiguration":
            {"id": format!("/g/virtualMachineScaleSets/{group}/virtualMachines/0/networkInterfaces/nic/ipConfigurations/ip")}}})
        };
        json!({"properties": {"backendAddressPools": [{"id": "/LB/backendAddressPools/forwarder",
            "properties": {"loadBalancerBackendAddresses": [member("old"), member("new")]}}]}})
    }

    fn deletion(address: privnet_core::Address) -> Action {
        Action {
            id: "delete".to_owned(),
            address,
            op: Op::Delete,
            reason: String::new(),
            changes: Vec::new(),
            after: Vec::new(),
            generation: Some(Generation::A),
            scope: crate::scope::of("s", "rg"),
            live_id: None,
            connection: None,
            locks: Vec::new(),
        }
    }

    fn step<'a>(action: &'a Action, fields: &'a fields::Fields) -> Step<'a> {
        Step {
            deployment: "data",
            action,
            fields,
            changes: &[],
            live: None,
            spares: false,
            has_successor: false,
        }
    }

    /// At each look this many machines of the old group are up, and this many of the new one's two: how many looks a wait for the new one takes.
    async fn looks(seen: &[(usize, usize)]) -> usize {
        let pool = "/lb/backendAddressPools/forwarder";
        let balancer = json!({"id": "/lb", "properties": {"loadBalancingRules": [{"name": "r", "properties": {
            "frontendIPConfiguration": {"id": "/lb/frontendIPConfigurations/main"}, "backendAddressPool": {"id": pool}}}]}});
        let health = |old: usize, new: usize| {
            let members = [("old", old), ("new", new)].into_iter().flat_map(|(group, up)| {
                (0..2).map(move |nth| {
                    let id = format!("/g/virtualMachineScaleSets/{group}/virtualMachines/{nth}/networkInterfaces/nic/ipConfigurations/ip");
                    json!({"networkInterfaceIPConfigurationId": id, "state": if nth < up { "Up" } else { "Down" }})
                })
            });
            json!({"loadBalancerBackendAddresses": members.collect::<Vec<_>>()})
        };
        let answers = seen.iter().flat_map(|(old, new)| {
            [(200, Vec::new(), balancer.clone()), (200, Vec::new(), health(*old, *new))]
        });
        let (arm, script) = crate::arm::fake::Script::arm(answers.collect());
        let context = crate::arm::fake::context();
        let (action, fields) = (deletion(super::super::address("orders", "old")), fields::Fields::new());
        let act = Act { arm: &arm, context: &context, step: step(&action, &fields) };
        let (old, new) = ("/g/virtualMachineScaleSets/old", "/g/virtualMachineScaleSets/new");
        until_healthy(&act, pool, new, 2, Some(old)).await.unwrap();
        script.asked().len() / 2
    }

    /// A look may come upon a moment in which the old group answers nothing: whoever is connected to it would be cut.
    #[tokio::test]
    async fn a_group_is_not_dead_for_one_look() {
        assert_eq!(looks(&[(0, 1), (2, 1), (0, 1), (2, 2)]).await, 4);
        assert!(
            looks(&[(0, 1); 200]).await >= 3,
            "one that stays silent does not wait for all of the new one"
        );
    }

    #[test]
    fn silence_lasts_where_nothing_came_between() {
        let (start, enough) = (Instant::now(), Duration::from_secs(30));
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut silence = Silence::default();
        let mut seen = |is_silent, seconds| silence.lasts(is_silent, at(seconds), enough);
        assert!(!seen(true, 0) && !seen(true, 40), "twice is not often");
        assert!(
            !seen(false, 45) && !seen(true, 50) && !seen(true, 60) && !seen(true, 79),
            "30 s are not over"
        );
        assert!(seen(true, 80));
    }

    #[test]
    fn only_the_old_group_is_drained() {
        let mut shown = balancer();
        let pool = "/lb/backendaddresspools/forwarder";
        assert!(!is_drained(&shown, pool, "/g/virtualMachineScaleSets/old"));
        assert!(mark(&mut shown, pool, "/g/virtualMachineScaleSets/old", "Down"));
        assert!(is_drained(&shown, pool, "/G/virtualMachineScaleSets/old"));
        assert!(!is_drained(&shown, pool, "/g/virtualMachineScaleSets/new"));
        assert!(!is_drained(&shown, pool, "/g/virtualMachineScaleSets/ol"), "a prefix is not the group");
        assert_eq!(balancer_of(pool), "/lb");
    }

    /// Two runs, each of which drains the other's group: the second one finds its own drained and stops.
    #[test]
    fn the_last_that_serves_is_not_drained() {
        let pool = "/lb/backendaddresspools/forwarder";
        let (old, new) = ("/g/virtualMachineScaleSets/old", "/g/virtualMachineScaleSets/new");
        let of = |groups: &[&str]| groups.iter().map(|group| (*group).to_owned()).collect::<Vec<_>>();
        let drained = marked(&balancer(), pool, new, "Down");
        assert!(!would_leave_none(&drained, pool, &of(&[new])), "no rule leads there");
        let mut led_to = drained;
        set(
            &mut led_to,
            "properties.loadBalancingRules",
            json!([{"properties": {"frontendIPConfiguration": {"id": "/lb/frontendIPConfigurations/main"},
                "backendAddressPool": {"id": "/LB/backendAddressPools/forwarder"}}}]),
        );
        assert!(would_leave_none(&led_to, pool, &of(&[new])));
        assert!(!would_leave_none(&led_to, pool, &of(&[old, new])));
        assert!(!would_leave_none(&marked(&led_to, pool, new, "None"), pool, &of(&[new])));
    }

    /// Where the plan read the subscription's list, that is the one whose lag each action waits for: another one may not show yet what was made
    /// a moment ago, and an old group would go without a drain.
    #[tokio::test]
    async fn groups_beside_are_looked_for_where_their_making_was_waited_for() {
        let address = super::super::address("orders", "old");
        let beside_it = super::super::address("orders", "new");
        let name = ownership::cloud_name("data", &beside_it, Generation::A);
        let group = |scope: &str, id: &str| {
            let tags = ownership::all_tags(
                &std::collections::BTreeMap::new(),
                "data",
                &beside_it,
                Generation::A,
                &std::collections::BTreeMap::new(),
            );
            let configuration = json!({"properties": {"loadBalancerBackendAddressPools": [{"id": "/lb/backendAddressPools/forwarder"}]}});
            json!({"id": format!("/subscriptions/s/resourceGroups/{scope}/providers/{GROUPS}/{id}"), "name": id, "tags": tags, "properties": {
                "virtualMachineProfile": {"networkProfile": {"networkInterfaceConfigurations": [
                    {"properties": {"ipConfigurations": [configuration]}}]}}}})
        };
        let all = json!({"value": [group("rg", &name), group("other", &name)]});
        let answers = vec![(200, Vec::new(), all.clone()), (200, Vec::new(), all)];
        let (arm, script) = crate::arm::fake::Script::arm(answers);
        let context = crate::arm::fake::context();
        let everywhere = format!("/subscriptions/s/providers/{GROUPS}");
        arm.list(&context, &Target::of(&everywhere)).await.unwrap();
        let (action, fields) = (deletion(address), fields::Fields::new());
        let act = Act { arm: &arm, context: &context, step: step(&action, &fields) };
        let found = beside(&act, "/old", "/lb/backendaddresspools/forwarder").await.unwrap();
        assert_eq!(found, [format!("/subscriptions/s/resourceGroups/rg/providers/{GROUPS}/{name}")]);
        assert_eq!(script.asked()[1], format!("GET {everywhere}"));
    }

    #[test]
    fn who_stands_before_another_load_balancer_does_not_expose_these_machines() {
        let before = |id: &str| json!({"properties": {"loadBalancerFrontendIpConfigurations": [{"id": id}]}});
        assert!(stands_before(&before("/LB/frontendIPConfigurations/main"), "/lb"));
        assert!(!stands_before(&before("/lb-b/frontendIPConfigurations/main"), "/lb"));
        assert!(!stands_before(&json!({"properties": {}}), "/lb"));
        assert!(!stands_before(&json!({"properties": {}}), ""), "machines in no pool serve nobody");
    }

    #[test]
    fn health_counts_for_the_group_that_it_is_of() {
        let nic = |machine: usize| {
            format!(
                "/g/virtualMachineScaleSets/new/virtualMachines/{machine}/networkInterfaces/nic/ipConfigurations/ip"
            )
        };
        let member = |id: Json, state: &str| json!({"networkInterfaceIPConfigurationId": id, "state": state});
        let of = |members: Vec<Json>| json!({"loadBalancerBackendAddresses": members});
        let (one, two) = (member(json!(nic(1)), "Up"), member(json!({"id": nic(2)}), "up"));
        let both = of(vec![one.clone(), two]);
        assert_eq!(healthy(&both, "/g/virtualmachinescalesets/new"), 2);
        assert_eq!(healthy(&both, "/g/virtualMachineScaleSets/old"), 0);
        assert_eq!(healthy(&of(vec![one.clone(), one.clone()]), "/g/virtualMachineScaleSets/new"), 1);
        let sick = member(json!(nic(2)), "Down");
        assert_eq!(healthy(&of(vec![one, sick]), "/g/virtualMachineScaleSets/new"), 1);
        assert_eq!(healthy(&json!({"up": 1}), "/g/virtualMachineScaleSets/new"), 0);
        let (new, old) = ("/g/virtualMachineScaleSets/new", ["/g/virtualMachineScaleSets/old".to_owned()]);
        assert!(is_answered_alone(&both, &old, new));
        assert!(!is_answered_alone(&both, &old, "/g/virtualMachineScaleSets/third"), "it answers nothing");
        assert!(!is_answered_alone(&both, &[old[0].clone(), new.to_owned()], new));
    }
}
