//! From one set of backends to the next: the old one stays until the new one is healthy, and established sessions get their time.

use std::time::Duration;

use privnet_core::execute::{Poll, Until};
use privnet_core::{Address, Error, ErrorKind, Generation};

use crate::act::Act;
use crate::collection::{At, Collection};
use crate::connections;
use crate::json::{Json, list, text};
use crate::kinds;
use crate::ownership;
use crate::path;
use crate::snapshot;

/// How long what is new may take to become healthy.
const HEALTHY: Duration = Duration::from_secs(20 * 60);

/// What the health check finds at one machine through one forwarding rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The group, by path.
    pub(crate) group: String,
    /// The forwarding rule, by path.
    pub(crate) rule: String,
    /// The machine, by path.
    pub(crate) machine: String,
    pub(crate) healthy: bool,
}

/// What a machine that the health check looks at is to a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It stays, or comes.
    New,
    /// It goes.
    Old,
    /// It has nothing to do with it.
    Beside,
}

impl Part {
    /// Of a change that is about all of them.
    pub(crate) fn new_if(is_new: bool) -> Self {
        if is_new { Self::New } else { Self::Old }
    }
}

/// Waits until something of what is `New` is healthy behind these backend services. There is nothing to wait for where nothing of the old
/// is healthy either: then no session can be kept. What `served` before anything was changed counts as healthy all the time, since another
/// health check may find it dead that it is not.
pub(crate) async fn until_healthy(
    act: &Act<'_>,
    backend_services: &[At],
    served: bool,
    part: impl Fn(&Seen) -> Part,
) -> Result<(), Error> {
    let subject = backend_services.last().map_or("", |at| at.name.as_str());
    let until = Until {
        operation: "regionBackendServices.getHealth",
        subject,
        what: "healthy",
        limit: act.cloud.context.patience(HEALTHY),
    };
    let part = &part;
    let ask = || async move {
        let mut seen = Vec::new();
        for backend_service in backend_services {
            seen.extend(health(act, backend_service).await?);
        }
        Ok(if may_go_over(&seen, served, part) {
            Poll::Ready(())
        } else {
            Poll::Pending("nothing of what is new is healthy yet".to_owned())
        })
    };
    act.cloud.context.until(until, ask).await.map_err(|error| match error.kind() {
        ErrorKind::TimedOut => {
            error.with_hint(
                "what is there stays until what is new is healthy; see `privnet status`. Where it cannot become so, an apply of the earlier file takes it back. A forwarder machine is healthy when its database answers \
                 it, and its image must hold nft and python3 (its serial console says what is missing)",
            )
        }
        _ => error,
    })
}

/// Before consumers are sent through another forwarding rule: waits until something behind it is healthy, or nothing behind the one that
/// they come through. A rule without a regional backend service (one for a proxy) has no health that could be asked for: the one of before counts
/// as serving then, and a new one is taken as it is.
pub(crate) async fn until_rule_is_healthy(act: &Act<'_>, old: &str, new: &str) -> Result<(), Error> {
    let rule = |path| At::of(Collection::ForwardingRules, path);
    let (there, next) = (act.cloud.get(&rule(old)).await?, act.cloud.get(&rule(new)).await?);
    let Some(behind_new) = next.as_ref().and_then(behind) else { return Ok(()) };
    let behind_old = there.as_ref().and_then(behind);
    let served = serves_unasked(there.as_ref());
    let mut services: Vec<At> = behind_old.into_iter().filter(|at| *at != behind_new).collect();
    services.push(behind_new);
    until_healthy(act, &services, served, |seen| Part::new_if(path::same(&seen.rule, new))).await
}

/// Whether a rule is there of which no health can be asked: consumers may well be served through it.
fn serves_unasked(rule: Option<&Json>) -> bool {
    rule.is_some_and(|rule| behind(rule).is_none())
}

/// The regional backend service of a forwarding rule.
fn behind(rule: &Json) -> Option<At> {
    let regional = text(rule, "backendService").filter(|url| path::after(url, "regions").is_some());
    regional.map(|url| At::of(Collection::BackendServices, &path::of(url)))
}

fn may_go_over(seen: &[Seen], served: bool, part: &dyn Fn(&Seen) -> Part) -> bool {
    let is_healthy = |wanted: Part| seen.iter().any(|seen| seen.healthy && part(seen) == wanted);
    is_healthy(Part::New) || !(served || is_healthy(Part::Old))
}

/// What the health check finds at all backends; nothing where the backend service is gone.
pub(crate) async fn health(act: &Act<'_>, backend_service: &At) -> Result<Vec<Seen>, Error> {
    let Some(there) = act.cloud.get(backend_service).await? else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for group in list(&there, "backends").iter().filter_map(|backend| text(backend, "group")) {
        let states = snapshot::health_of(&act.cloud, &backend_service.path(), group).await?;
        all.extend(states.iter().map(|state| seen(group, state)));
    }
    Ok(all)
}

fn seen(group: &str, state: &Json) -> Seen {
    let link = |key| text(state, key).map(path::of).unwrap_or_default();
    Seen {
        group: path::of(group),
        rule: link("forwardingRule"),
        machine: link("instance"),
        healthy: text(state, "healthState") == Some(snapshot::HEALTHY),
    }
}

/// Before something goes that the backend service has let go of: leaves established sessions their time, where anybody is connected.
pub(crate) async fn let_sessions_end(act: &Act<'_>, subject: &str) -> Result<(), Error> {
    if !is_anybody_connected(act).await? {
        return Ok(());
    }
    // Sessions may be from the one of before, whose time counts too.
    match backend_services(act).await?.iter().map(kinds::backend_service::drain).max() {
        Some(time) => drain(act, subject, time).await,
        None => Ok(()),
    }
}

/// The service's backend service, and the one that takes its place, where that is there too.
async fn backend_services(act: &Act<'_>) -> Result<Vec<Json>, Error> {
    generations(act, kinds::backend_service::KIND.name, Collection::BackendServices).await
}

/// Those of the service's backend services that have this group, by path.
pub(crate) async fn backend_services_with(act: &Act<'_>, group: &str) -> Result<Vec<Json>, Error> {
    let mut all = backend_services(act).await?;
    all.retain(|there| has(there, group));
    Ok(all)
}

/// Where backend services are.
pub(crate) fn places(backend_services: &[Json]) -> Vec<At> {
    let paths = backend_services.iter().filter_map(|there| text(there, "selfLink"));
    paths.map(|path| At::of(Collection::BackendServices, &path::of(path))).collect()
}

/// Whether a backend service sends to a group.
fn has(backend_service: &Json, group: &str) -> bool {
    let backends = list(backend_service, "backends");
    backends
        .iter()
        .filter_map(|backend| text(backend, "group"))
        .any(|there| path::same(&path::of(there), group))
}

async fn is_anybody_connected(act: &Act<'_>) -> Result<bool, Error> {
    let there =
        generations(act, kinds::service_attachment::KIND.name, Collection::ServiceAttachments).await?;
    let endpoints = there.iter().flat_map(|there| list(there, "connectedEndpoints"));
    Ok(endpoints.into_iter().any(|endpoint| connections::state(endpoint).may_be_live()))
}

/// Whether one of these groups may answer where it is not asked any more: the service's health check is there twice, since the one of before
/// goes when the machines that it was for have gone, and the group is not known to have come after the later one. Where it is the earlier
/// one that asks now, what came last may well answer the later one.
pub(crate) async fn may_answer_elsewhere(
    act: &Act<'_>,
    asks: &str,
    groups: impl Iterator<Item = &str>,
) -> Result<bool, Error> {
    let checks = checks(act).await?;
    if checks.len() < 2 {
        return Ok(false);
    }
    if !is_the_later(asks, &checks) {
        return Ok(true);
    }
    for group in groups {
        // What cannot be read is not known to be younger.
        let there = match group_at(group) {
            Some(at) => act.cloud.get(&at).await.unwrap_or_default(),
            None => None,
        };
        if !is_younger(there.as_ref(), &checks) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Where it shows when a group of machines was made: a group of forwarders is made with what manages it, and has its name. Nothing where the
/// group is one of the user's own.
fn group_at(group: &str) -> Option<At> {
    let is_zonal = path::after(group, "zones").is_some();
    match (path::after(group, "networkEndpointGroups"), path::after(group, "instanceGroups")) {
        (Some(_), _) if is_zonal => Some(At::of(Collection::NetworkEndpointGroups, group)),
        (_, Some(_)) if !is_zonal => Some(At::of(Collection::GroupManagers, group)),
        _ => None,
    }
}

/// Whether a group is known to have been made after all of these checks: it was never asked by another one.
fn is_younger(group: Option<&Json>, checks: &[Json]) -> bool {
    let group = group.and_then(made);
    group.is_some() && checks.iter().all(|check| made(check).is_some_and(|check| Some(check) <= group))
}

/// Whether one of these backend services asks by the later of two health checks: what served by the one of before may not answer there.
pub(crate) async fn are_asked_anew(act: &Act<'_>, backend_services: &[Json]) -> Result<bool, Error> {
    let checks = checks(act).await?;
    Ok(backend_services.iter().any(|there| asks_by_the_later(there, &checks)))
}

/// Whether a backend service asks by the later of two checks; by the earlier of them, or by the only one, it asks as ever.
fn asks_by_the_later(backend_service: &Json, checks: &[Json]) -> bool {
    let mut asked = list(backend_service, "healthChecks").iter().filter_map(Json::as_str);
    asked.any(|check| is_the_later(check, checks))
}

/// Whether this is the later one of two checks.
fn is_the_later(check: &str, checks: &[Json]) -> bool {
    let [one, other] = checks else { return false };
    let later = if made(one) > made(other) { one } else { other };
    text(later, "selfLink").is_some_and(|later| path::same(&path::of(check), &path::of(later)))
}

fn made(json: &Json) -> Option<jiff::Timestamp> {
    text(json, "creationTimestamp")?.parse().ok()
}

async fn checks(act: &Act<'_>) -> Result<Vec<Json>, Error> {
    generations(act, kinds::health_check::KIND.name, Collection::HealthChecks).await
}

/// The service's one resource of a kind, and the one that takes its place, where that is there too.
async fn generations(act: &Act<'_>, kind: &'static str, collection: Collection) -> Result<Vec<Json>, Error> {
    let address = Address::new(act.address().service.as_str(), kind, "main");
    let (project, region) = act.place();
    let mut found = Vec::new();
    for generation in [Generation::A, Generation::B] {
        let at = At {
            collection,
            project: project.to_owned(),
            place: region.to_owned(),
            name: ownership::cloud_name(act.step.deployment, &address, generation),
        };
        found.extend(act.cloud.get(&at).await?);
    }
    Ok(found)
}

async fn drain(act: &Act<'_>, subject: &str, time: Duration) -> Result<(), Error> {
    let end = tokio::time::Instant::now() + act.cloud.context.paced(time);
    let until = Until { operation: "drain", subject, what: "drained", limit: time + Duration::from_secs(60) };
    let ask = || async move {
        let over = tokio::time::Instant::now() >= end;
        Ok(if over {
            Poll::Ready(())
        } else {
            Poll::Pending(format!("established sessions have {} s", time.as_secs()))
        })
    };
    act.cloud.context.until(until, ask).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seen(group: &str, healthy: bool) -> Seen {
        Seen { group: group.to_owned(), rule: String::new(), machine: String::new(), healthy }
    }

    #[test]
    fn the_old_goes_only_when_the_new_is_healthy_or_it_is_of_no_use_itself() {
        let part = |seen: &Seen| match seen.group.as_str() {
            "new" => Part::New,
            "old" => Part::Old,
            _ => Part::Beside,
        };
        let may_go_over = |seen: &[Seen], served| may_go_over(seen, served, &part);
        assert!(!may_go_over(&[seen("old", true), seen("new", false)], false));
        assert!(!may_go_over(&[seen("old", true)], false), "nothing is known of the new one yet");
        assert!(may_go_over(&[seen("old", true), seen("new", false), seen("new", true)], true));
        assert!(may_go_over(&[seen("old", false), seen("new", false)], false));
        assert!(
            !may_go_over(&[seen("old", false), seen("new", false)], true),
            "another check found it healthy"
        );
        assert!(may_go_over(&[], false));
        let beside = [seen("old", false), seen("new", false), seen("another zone's", true)];
        assert!(may_go_over(&beside, false), "what is healthy beside them loses nothing");
        assert!(!may_go_over(&[seen("old", true), seen("another zone's", true)], false));
    }

    #[test]
    fn a_rule_of_which_no_health_can_be_asked_counts_as_serving() {
        let regional = json!({ "backendService": "https://c/projects/p/regions/r/backendServices/b" });
        let proxy = json!({ "target": "https://c/projects/p/regions/r/targetTcpProxies/t" });
        let global = json!({ "backendService": "https://c/projects/p/global/backendServices/b" });
        let served = [None, Some(&regional), Some(&proxy), Some(&global)].map(serves_unasked);
        assert_eq!(served, [false, false, true, true]);
    }

    #[test]
    fn the_later_of_two_checks_asks_anew() {
        let check = |name: &str, made: &str| {
            json!({ "selfLink": format!("https://c/projects/p/regions/r/healthChecks/{name}"),
                "creationTimestamp": made })
        };
        let by = |name: &str| json!({ "healthChecks": [format!("https://d/projects/p/regions/r/healthChecks/{name}")] });
        // The letter does not tell which is the later, nor do the words of times in different zones.
        let (a, b) =
            (check("a", "2026-01-01T09:00:00.000-08:00"), check("b", "2026-01-01T12:00:00.000+00:00"));
        let both = [a.clone(), b];
        assert!(asks_by_the_later(&by("a"), &both));
        assert!(!asks_by_the_later(&by("b"), &both) && !asks_by_the_later(&by("c"), &both));
        assert!(!asks_by_the_later(&by("a"), &[a]), "the only one");
    }

    #[test]
    fn a_group_that_came_after_all_checks_was_asked_by_no_other() {
        let at = |made: &str| json!({ "creationTimestamp": made });
        let checks = [at("2026-01-01T09:00:00.000-08:00"), at("2026-01-01T12:00:00.000+00:00")];
        assert!(is_younger(Some(&at("2026-01-01T17:00:00.000+00:00")), &checks));
        assert!(!is_younger(Some(&at("2026-01-01T16:59:59.999+00:00")), &checks));
        assert!(!is_younger(Some(&json!({})), &checks) && !is_younger(None, &checks));
        assert!(!is_younger(Some(&at("2026-01-01T18:00:00.000+00:00")), &[json!({})]));
        let place = |group: &str| group_at(group).map(|at| at.path());
        let zonal = "projects/p/zones/z/networkEndpointGroups/g";
        assert_eq!(place(zonal).as_deref(), Some(zonal));
        let manager = "projects/p/regions/r/instanceGroupManagers/g";
        assert_eq!(place("projects/p/regions/r/instanceGroups/g").as_deref(), Some(manager));
        assert_eq!(place("projects/p/zones/z/instanceGroups/g"), None);
    }

    #[test]
    fn a_group_is_asked_of_where_it_is_a_backend() {
        let group = "projects/p/zones/z/networkEndpointGroups/g";
        let with = |group: &str| json!({ "backends": [{ "group": format!("https://c/{group}") }] });
        assert!(has(&with(group), group) && !has(&with("projects/p/zones/z/instanceGroups/g"), group));
        assert!(!has(&json!({}), group));
    }
}
