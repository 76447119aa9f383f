//! Operations that a run which was interrupted left behind: the cloud carries them out all the same, and what it shows meanwhile is
//! not what will be there.
//!
//! A request id comes back as the operation's `clientOperationId`, so the ids of a deployment begin with the same eight digits
//! (<https://cloud.google.com/compute/docs/reference/rest/v1/globalOperations>).

use std::collections::BTreeSet;

use futures::future::try_join_all;
use privnet_core::{Error, ErrorKind, name};

use crate::cloud::Cloud;
use crate::collection::{At, aggregated};
use crate::json::{Json, number, text};
use crate::path;
use crate::snapshot;

/// What `aggregatedList` is asked for.
const UNFINISHED: &str = "status != DONE";

/// The scope of what is in no region.
const GLOBAL: &str = "global";

/// What a request is for, where its id must tell that later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// It need not.
    Ordinary,
    /// It may make an attachment reconcile its connections, for as long as one decision takes.
    Reconcile,
}

/// An id for one logical attempt: a UUID that tells whose it is by its first eight digits, and by its last eight if it is for something
/// that must be put back; the rest is random.
pub(crate) fn request_id(deployment: &str, errand: Errand) -> String {
    let random = uuid::Uuid::new_v4().to_string();
    let (begin, end) = (mark(deployment), random.len() - MARK);
    match errand {
        Errand::Ordinary => format!("{begin}{}", random.get(MARK..).unwrap_or_default()),
        Errand::Reconcile => {
            format!("{begin}{}{}", random.get(MARK..end).unwrap_or_default(), reconcile_mark(deployment))
        }
    }
}

fn reconcile_mark(deployment: &str) -> String {
    name::hash8(&["reconcile for a decision", deployment])
}

/// How many digits of an id tell whose it is.
const MARK: usize = 8;

fn mark(deployment: &str) -> String {
    name::hash8(&["request", deployment])
}

/// What is not known of the operations after those that could be seen are done.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Of which project that is not known, and why.
    pub(crate) unknown: Option<String>,
    /// Regions and zones that did not answer: there some may go on.
    pub(crate) unreachable: BTreeSet<String>,
}

/// Waits until nothing runs in a project and the project of its networks that an earlier run of the deployment began. What came of
/// it, the lists show.
pub(crate) async fn settle(cloud: &Cloud<'_>, project: &str, host: &str) -> Result<Settled, Error> {
    let mark = &mark(cloud.deployment);
    let each = BTreeSet::from([project, host]).into_iter().map(|at| async move {
        let (left, unreachable) = match listed(cloud, at, UNFINISHED, |one| is_ours(mark, one)).await {
            Err(error) if is_excused(at == project, &error) => {
                let what = format!("whether an earlier run's operations go on in {at} is not known");
                return Ok(Settled { unknown: Some(unknown(&what, &error)), ..Settled::default() });
            }
            left => left?,
        };
        // What is global is nowhere else: without it no service is known whole.
        if unreachable.contains(GLOBAL) {
            return Err(snapshot::not_reached(at, GLOBAL));
        }
        try_join_all(left.into_iter().map(|operation| finished(cloud, at, operation))).await?;
        Ok(Settled { unknown: None, unreachable })
    });
    let mut settled = Settled::default();
    for Settled { unknown, unreachable } in try_join_all(each).await? {
        // It is said of the project of the networks alone.
        settled.unknown = settled.unknown.or(unknown);
        settled.unreachable.extend(unreachable);
    }
    Ok(settled)
}

/// Waits until nothing runs that an earlier request of the deployment began on this resource. All else of the deployment goes on.
pub(crate) async fn settle_one(cloud: &Cloud<'_>, at: &At) -> Result<(), Error> {
    let (mark, path) = (&mark(cloud.deployment), at.path());
    let of_it = |one: &Json| is_ours(mark, one) && is_on(&path, one);
    let (left, unreachable) = listed(cloud, &at.project, UNFINISHED, of_it).await?;
    if unreachable.contains(&at.place) {
        return Err(snapshot::not_reached(&at.project, &at.place));
    }
    try_join_all(left.into_iter().map(|operation| finished(cloud, &at.project, operation))).await.map(drop)
}

/// Waits for an operation that an earlier request began, whatever comes of it.
async fn finished(cloud: &Cloud<'_>, project: &str, operation: Json) -> Result<(), Error> {
    let subject = text(&operation, "targetLink").map(path::of).unwrap_or_default();
    cloud.context.progress(format!("an earlier run's operation on {subject} is still under way"));
    cloud.done(project, "operations.wait", &subject, operation).await.map(drop)
}

/// What is not known, and why; the error's hints name the permission where one is wanting.
pub(crate) fn unknown(what: &str, error: &Error) -> String {
    error.hints().iter().fold(format!("{what}: {error}"), |said, hint| format!("{said}; {hint}"))
}

/// Whether the operations may stay unknown: in the project of the networks, which belongs to others, the caller may have been given
/// no right to look at them, and nothing of ours need be there.
fn is_excused(is_own: bool, error: &Error) -> bool {
    !is_own && error.kind() == ErrorKind::Denied
}

/// Whether an attachment reconciles its connections because a decision of this deployment's switched that on and was cut short: whatever
/// changed it last says by its id that it did so, and nobody has changed it since. Google keeps operations for some two weeks. Where the operations may not be read, what is
/// said of that.
pub(crate) async fn left_reconciling(
    cloud: &Cloud<'_>,
    attachment: &Json,
) -> Result<Result<bool, String>, Error> {
    let path = text(attachment, "selfLink").map(path::of).unwrap_or_default();
    let (Some(project), Some(id)) = (path::after(&path, "projects"), number(attachment, "id")) else {
        return Ok(Ok(false));
    };
    let what = || format!("why {path} reconciles its connections is not known, and taken to be meant");
    match listed(cloud, project, &format!("targetId = {id}"), |one| is_on(&path, one)).await {
        Err(error) if error.kind() == ErrorKind::Denied => Ok(Err(unknown(&what(), &error))),
        all => {
            let (all, unreachable) = all?;
            match path::region(&path).filter(|region| unreachable.contains(*region)) {
                Some(region) => Ok(Err(format!("{}: {}", what(), snapshot::not_reached(project, region)))),
                None => Ok(Ok(was_left_reconciling(cloud.deployment, &all))),
            }
        }
    }
}

/// Whether an operation is on the resource of this path.
fn is_on(path: &str, operation: &Json) -> bool {
    text(operation, "targetLink").is_some_and(|url| path::same(url, path))
}

fn was_left_reconciling(deployment: &str, operations: &[Json]) -> bool {
    let had_an_effect = |operation: &&Json| operation.get("error").is_none();
    let begun = |operation: &&Json| text(operation, "insertTime")?.parse::<jiff::Timestamp>().ok();
    let last = operations.iter().filter(had_an_effect).max_by_key(begun);
    let (begins, ends) = (mark(deployment), reconcile_mark(deployment));
    let id = last.and_then(|last| text(last, "clientOperationId"));
    id.is_some_and(|id| id.starts_with(&begins) && id.ends_with(&ends))
}

/// The operations in a project that pass this filter, and are wanted: zonal, regional and global ones; and the scopes that did not answer.
async fn listed(
    cloud: &Cloud<'_>,
    project: &str,
    filter: &str,
    is_wanted: impl Fn(&Json) -> bool,
) -> Result<(Vec<Json>, BTreeSet<String>), Error> {
    let page = |token: String| {
        let list = cloud.clients.global_operations.aggregated_list().set_project(project);
        let list = list.set_filter(filter).set_max_results(500_u32);
        let list = if token.is_empty() { list } else { list.set_page_token(token) };
        async move { Ok(aggregated!(Box::pin(list.send()).await?, operations)) }
    };
    let (mut all, unreachable) = cloud.pages("globalOperations.aggregatedList", project, page).await?;
    all.retain(is_wanted);
    Ok((all, unreachable))
}

fn is_ours(mark: &str, operation: &Json) -> bool {
    text(operation, "clientOperationId").is_some_and(|id| id.starts_with(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_project_of_the_networks_may_hide_its_operations() {
        let error = |kind| Error::new(kind, "globalOperations.aggregatedList", "acme-net", "no");
        assert!(is_excused(false, &error(ErrorKind::Denied)));
        assert!(!is_excused(true, &error(ErrorKind::Denied)));
        assert!(!is_excused(false, &error(ErrorKind::Unavailable)));
    }

    #[test]
    fn an_id_tells_whose_it_is_and_is_a_uuid() {
        let (one, other) = (request_id("data", Errand::Ordinary), request_id("data", Errand::Ordinary));
        assert_ne!(one, other);
        assert_eq!(uuid::Uuid::parse_str(&one).expect("a UUID").get_version_num(), 4);
        let operation = serde_json::json!({ "clientOperationId": one });
        assert!(is_ours(&mark("data"), &operation) && !is_ours(&mark("data2"), &operation));
        assert!(!is_ours(&mark("data"), &serde_json::json!({ "name": "operation-1" })));
    }

    #[test]
    fn only_what_changed_it_last_can_have_left_it_reconciling() {
        let done = |id: String, at: &str| serde_json::json!({ "clientOperationId": id, "insertTime": at, "status": "DONE" });
        // Times of operations are in Google's own zone, which has summer time.
        let ours = done(request_id("data", Errand::Reconcile), "2026-11-01T01:30:00.000-07:00");
        let theirs = |at| done("a-console-gives-none".to_owned(), at);
        let left = |all: &[Json]| was_left_reconciling("data", all);
        assert!(left(&[theirs("2026-11-01T01:29:00.000-07:00"), ours.clone()]));
        assert!(!left(&[ours.clone(), theirs("2026-11-01T01:10:00.000-08:00")]), "they said what they want");
        let ordinary = done(request_id("data", Errand::Ordinary), "2026-11-01T01:31:00.000-07:00");
        assert!(!left(&[ours.clone(), ordinary]), "it was put back");
        let mut failed = theirs("2026-11-01T01:10:00.000-08:00");
        failed["error"] = serde_json::json!({ "errors": [{ "code": "CONDITION_NOT_MET" }] });
        assert!(left(&[ours.clone(), failed]));
        assert!(!was_left_reconciling("data2", &[ours]) && !left(&[]));
        let id = request_id("data", Errand::Reconcile);
        assert!(uuid::Uuid::parse_str(&id).is_ok_and(|id| id.get_version_num() == 4));
    }
}
