//! Operations that a run which was interrupted left behind: the cloud carries them out all the same, and what it shows meanwhile is
//! not what will be there.
//!
//! A request id comes back as the operation's `clientOperationId`, so the ids of a deployment begin with the same eight digits
//! (<https://cloud.google.com/compute/docs/reference/rest/v1/globalOperations>).

use std::collections::BTreeSet;

use futures::future::try_join_all;
use privnet_core::{Error, ErrorKind, name};

use crate::buckets::Group;
use crate::cloud::Cloud;
use crate::collection::{Sent, json};
use crate::json::{Json, text};
use crate::path;

/// What `aggregatedList` is asked for.
const UNFINISHED: &str = "status != DONE";

/// An id for one logical attempt: a UUID that tells whose it is by its first eight digits, and is random in the rest.
pub(crate) fn request_id(deployment: &str) -> String {
    let random = uuid::Uuid::new_v4().to_string();
    let rest = random.get(MARK..).unwrap_or_default();
    format!("{}{rest}", mark(deployment))
}

/// How many digits of an id tell whose it is.
const MARK: usize = 8;

fn mark(deployment: &str) -> String {
    name::hash8(&["request", deployment])
}

/// Waits until nothing runs in a project and the project of its networks that an earlier run of the deployment began. What came of
/// it, the lists show.
pub(crate) async fn settle(cloud: &Cloud<'_>, project: &str, host: &str) -> Result<(), Error> {
    let each = BTreeSet::from([project, host]).into_iter().map(|at| async move {
        let left = match unfinished(cloud, at).await {
            Err(error) if is_excused(at == project, &error) => {
                let hints = error.hints().join("; ");
                let what = "whether an earlier run's operations go on is not known";
                cloud.context.progress(format!("{what}: {error}; {hints}"));
                return Ok(Vec::new());
            }
            left => left?,
        };
        let wait = left.into_iter().map(|operation| async move {
            let subject = text(&operation, "targetLink").map(path::of).unwrap_or_default();
            cloud.context.progress(format!("an earlier run's operation on {subject} is still under way"));
            cloud.done(at, "operations.wait", &subject, operation).await
        });
        try_join_all(wait).await
    });
    try_join_all(each).await.map(drop)
}

/// Whether the operations may stay unknown: in the project of the networks, which belongs to others, the caller may have been given
/// no right to look at them, and nothing of ours need be there.
fn is_excused(is_own: bool, error: &Error) -> bool {
    !is_own && error.kind() == ErrorKind::Denied
}

/// The deployment's operations in a project that are not done: zonal, regional and global ones.
async fn unfinished(cloud: &Cloud<'_>, project: &str) -> Result<Vec<Json>, Error> {
    let mark = mark(cloud.deployment);
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let (operations, next) = cloud
            .call(Group::Read, project, "globalOperations.aggregatedList", project, || async {
                let list = cloud.clients.global_operations.aggregated_list().set_project(project);
                let list = list.set_filter(UNFINISHED).set_max_results(500_u32);
                let list = if token.is_empty() { list } else { list.set_page_token(&token) };
                let answer = Box::pin(list.send()).await?;
                let found = answer.items.into_values().flat_map(|scoped| scoped.operations);
                Ok((found.map(json).collect::<Sent<Vec<_>>>()?, answer.next_page_token))
            })
            .await?;
        all.extend(operations.into_iter().filter(|operation| is_ours(&mark, operation)));
        match next.filter(|next| !next.is_empty()) {
            Some(next) => token = next,
            None => return Ok(all),
        }
    }
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
        let (one, other) = (request_id("data"), request_id("data"));
        assert_ne!(one, other);
        assert_eq!(uuid::Uuid::parse_str(&one).expect("a UUID").get_version_num(), 4);
        let operation = serde_json::json!({ "clientOperationId": one });
        assert!(is_ours(&mark("data"), &operation) && !is_ours(&mark("data2"), &operation));
        assert!(!is_ours(&mark("data"), &serde_json::json!({ "name": "operation-1" })));
    }
}
