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

/// Waits until something of what is `new` is healthy behind these backend services. There is nothing to wait for where nothing of the old
/// is healthy either: then no session can be kept. What `served` before anything was changed counts as healthy all the time, since another
/// health check may find it dead that it is not.
pub(crate) async fn until_healthy(
    act: &Act<'_>,
    backend_services: &[At],
    served: bool,
    new: impl Fn(&Seen) -> bool,
) -> Result<(), Error> {
    let subject = backend_services.last().map_or("", |at| at.name.as_str());
    let until = Until {
        operation: "regionBackendServices.getHealth",
        subject,
        what: "healthy",
        limit: act.cloud.context.patience(HEALTHY),
    };
    let new = &new;
    let ask = || async move {
        let mut seen = Vec::new();
        for backend_service in backend_services {
            seen.extend(health(act, backend_service).await?);
        }
        Ok(if may_go_over(&seen, served, new) {
            Poll::Ready(())
        } else {
            Poll::Pending("nothing of what is new is healthy yet".to_owned())
        })
    };
    act.cloud.context.until(until, ask).await.map_err(|error| match error.kind() {
        ErrorKind::TimedOut => {
            error.with_hint(
                "what is there stays until what is new is healthy; see `privnet status`. A forwarder machine is healthy when its database answers \
                 it, and its image must hold nft and python3 (its serial console says what is missing)",
            )
        }
        _ => error,
    })
}

/// Before consumers are sent through another forwarding rule: waits until something behind it is healthy, or nothing behind the one that
/// they come through. A rule without a regional backend service (one for a proxy) has no health that could be asked for.
pub(crate) async fn until_rule_is_healthy(act: &Act<'_>, old: &str, new: &str) -> Result<(), Error> {
    let (behind_old, behind_new) = (behind(act, old).await?, behind(act, new).await?);
    let Some(behind_new) = behind_new else { return Ok(()) };
    let mut services: Vec<At> = behind_old.into_iter().filter(|at| *at != behind_new).collect();
    services.push(behind_new);
    until_healthy(act, &services, false, |seen| path::same(&seen.rule, new)).await
}

/// The backend service of a forwarding rule.
async fn behind(act: &Act<'_>, rule: &str) -> Result<Option<At>, Error> {
    let rule = act.cloud.get(&At::of(Collection::ForwardingRules, rule)).await?;
    let url = rule.as_ref().and_then(|rule| text(rule, "backendService"));
    let regional = url.filter(|url| path::after(url, "regions").is_some());
    Ok(regional.map(|url| At::of(Collection::BackendServices, &path::of(url))))
}

fn may_go_over(seen: &[Seen], served: bool, new: &dyn Fn(&Seen) -> bool) -> bool {
    let (new, old): (Vec<_>, Vec<_>) = seen.iter().partition(|seen| new(seen));
    new.iter().any(|seen| seen.healthy) || !(served || old.iter().any(|seen| seen.healthy))
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
        healthy: text(state, "healthState") == Some("HEALTHY"),
    }
}

/// Before something goes that the backend service has let go of: leaves established sessions their time, where anybody is connected.
pub(crate) async fn let_sessions_end(act: &Act<'_>, subject: &str) -> Result<(), Error> {
    if !is_anybody_connected(act).await? {
        return Ok(());
    }
    match backend_service(act).await? {
        Some(there) => drain(act, subject, kinds::backend_service::drain(&there)).await,
        None => Ok(()),
    }
}

/// Where the service's backend service is, and what it is like, if there is one.
pub(crate) async fn backend_service(act: &Act<'_>) -> Result<Option<Json>, Error> {
    either(act, kinds::backend_service::KIND.name, Collection::BackendServices).await
}

async fn is_anybody_connected(act: &Act<'_>) -> Result<bool, Error> {
    let there = either(act, kinds::service_attachment::KIND.name, Collection::ServiceAttachments).await?;
    let endpoints = there.iter().flat_map(|there| list(there, "connectedEndpoints"));
    Ok(endpoints.into_iter().any(|endpoint| connections::state(endpoint).may_be_live()))
}

/// Whether the service's health check is there twice: the one of before goes when the machines that it was for have gone.
pub(crate) async fn are_two_checks(act: &Act<'_>) -> Result<bool, Error> {
    Ok(generations(act, kinds::health_check::KIND.name, Collection::HealthChecks).await?.len() > 1)
}

/// The service's one resource of a kind, under either of its names.
async fn either(act: &Act<'_>, kind: &str, collection: Collection) -> Result<Option<Json>, Error> {
    Ok(generations(act, kind, collection).await?.into_iter().next())
}

/// The service's one resource of a kind, and the one that takes its place, where that is there too.
async fn generations(act: &Act<'_>, kind: &str, collection: Collection) -> Result<Vec<Json>, Error> {
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
    use super::*;

    fn seen(group: &str, healthy: bool) -> Seen {
        Seen { group: group.to_owned(), rule: String::new(), machine: String::new(), healthy }
    }

    #[test]
    fn the_old_goes_only_when_the_new_is_healthy_or_it_is_of_no_use_itself() {
        let new = |seen: &Seen| seen.group == "new";
        let may_go_over = |seen: &[Seen], served| may_go_over(seen, served, &new);
        assert!(!may_go_over(&[seen("old", true), seen("new", false)], false));
        assert!(!may_go_over(&[seen("old", true)], false), "nothing is known of the new one yet");
        assert!(may_go_over(&[seen("old", true), seen("new", false), seen("new", true)], true));
        assert!(may_go_over(&[seen("old", false), seen("new", false)], false));
        assert!(
            !may_go_over(&[seen("old", false), seen("new", false)], true),
            "another check found it healthy"
        );
        assert!(may_go_over(&[], false));
    }
}
