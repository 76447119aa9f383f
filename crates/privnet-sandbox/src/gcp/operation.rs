//! Long-running operations: PENDING, RUNNING, DONE, by the clock; their effect comes at their end.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::body::Object;
use super::error::{ApiError, OperationError};
use super::link::{self, Scope};
use super::world::{Effect, Operation, World, after, stable_hash, stamp};

/// How long an operation is PENDING before it runs, in milliseconds.
const PENDING_MS: i64 = 300;

/// How many operations are kept; the public API forgets them too, after two weeks.
const KEPT: usize = 3000;

/// An operation to start.
pub(crate) struct Start<'a> {
    pub(crate) project: &'a str,
    pub(crate) scope: &'a Scope,
    /// `operationType`.
    pub(crate) kind: &'a str,
    pub(crate) target: &'a str,
    pub(crate) target_id: u64,
    /// How long it takes.
    pub(crate) seconds: i64,
    pub(crate) effects: Vec<Effect>,
    pub(crate) error: Option<OperationError>,
    pub(crate) request_id: Option<String>,
}

/// Starts an operation and answers its path. Its target is not ready until it is done.
pub(crate) fn start(world: &mut World, start: Start<'_>, now: Timestamp) -> String {
    forget(world);
    let id = world.fresh_id();
    let name = format!(
        "operation-{}-{:013x}-{:08x}-{:08x}",
        now.as_millisecond(),
        id >> 12,
        (stable_hash(start.target) >> 32) as u32,
        id as u32,
    );
    let path = link::join(start.project, start.scope, "operations", &name);
    if start.error.is_none()
        && let Some(record) = world.resources.get_mut(start.target)
    {
        record.busy = Some(path.clone());
    }
    let operation = Operation {
        id,
        name,
        project: start.project.to_owned(),
        scope: start.scope.clone(),
        kind: start.kind.to_owned(),
        target: start.target.to_owned(),
        target_id: start.target_id,
        inserted: now,
        ends: after(now, start.seconds),
        error: start.error,
        request_id: start.request_id,
        effects: start.effects,
    };
    world.operations.insert(path.clone(), operation);
    world.running.push(path.clone());
    path
}

/// Forgets the oldest operations that have ended, when there are too many.
fn forget(world: &mut World) {
    if world.operations.len() < KEPT {
        return;
    }
    let running: std::collections::BTreeSet<&String> = world.running.iter().collect();
    let mut ended: Vec<(Timestamp, String)> = world
        .operations
        .iter()
        .filter(|(path, _)| !running.contains(path))
        .map(|(path, operation)| (operation.inserted, path.clone()))
        .collect();
    ended.sort();
    for (_, path) in ended.into_iter().take(KEPT / 10) {
        world.operations.remove(&path);
    }
}

/// The operation as the API shows it at that time.
pub(crate) fn render(operation: &Operation, now: Timestamp) -> Value {
    let path = link::join(&operation.project, &operation.scope, "operations", &operation.name);
    let mut shown = json!({
        "kind": "compute#operation",
        "id": operation.id.to_string(),
        "name": operation.name,
        "operationType": operation.kind,
        "targetLink": link::url(&operation.target),
        "targetId": operation.target_id.to_string(),
        "user": "user@example.com",
        "insertTime": stamp(operation.inserted),
        "startTime": stamp(operation.inserted),
        "selfLink": link::url(&path),
    });
    let scope = link::url(&format!("projects/{}/{}", operation.project, operation.scope.segment()));
    match &operation.scope {
        Scope::Region(_) => shown["region"] = json!(scope),
        Scope::Zone(_) => shown["zone"] = json!(scope),
        Scope::Global => {}
    }
    if let Some(id) = &operation.request_id {
        shown["clientOperationId"] = json!(id);
    }
    let waited = now.duration_since(operation.inserted).as_millis() as i64;
    let (status, progress) = match () {
        () if now >= operation.ends => ("DONE", 100),
        () if waited < PENDING_MS => ("PENDING", 0),
        () => ("RUNNING", 0),
    };
    shown["status"] = json!(status);
    shown["progress"] = json!(progress);
    if status == "DONE" {
        shown["endTime"] = json!(stamp(operation.ends));
        if let Some(error) = &operation.error {
            let (code, message) = error.http();
            shown["error"] = json!({ "errors": [{ "code": error.code, "message": error.message }] });
            shown["httpErrorStatusCode"] = json!(code);
            shown["httpErrorMessage"] = json!(message);
        }
    }
    shown
}

/// The operation that a request id began, within a project.
pub(crate) fn of_request<'a>(world: &'a World, project: &str, request_id: &str) -> Option<&'a Operation> {
    let start = format!("projects/{project}/");
    let asked = |(path, operation): &(&String, &Operation)| {
        path.starts_with(&start) && operation.request_id.as_deref() == Some(request_id)
    };
    world.operations.iter().find(asked).map(|(_, operation)| operation)
}

/// A request id has to be a UUID, and not the zero one.
pub(crate) fn check_request_id(text: &str) -> Result<(), ApiError> {
    match uuid::Uuid::parse_str(text) {
        Ok(id) if !id.is_nil() => Ok(()),
        _ => Err(ApiError::field(
            "requestId",
            text,
            "The request ID must be a valid UUID; the zero UUID is not supported.",
        )),
    }
}

/// The operation at a path (its last segment is a name or an id), and its path by name.
pub(crate) fn find<'a>(world: &'a World, path: &str) -> Result<(String, &'a Operation), ApiError> {
    if let Some(found) = world.operations.get(path) {
        return Ok((path.to_owned(), found));
    }
    let name = link::last(path);
    let parent = path.strip_suffix(name).unwrap_or(path);
    world
        .operations
        .iter()
        .find(|(path, operation)| path.starts_with(parent) && operation.id.to_string() == name)
        .map(|(path, operation)| (path.clone(), operation))
        .ok_or_else(|| ApiError::not_found(path))
}

/// An operation as a list shows it.
pub(crate) fn object(operation: &Operation, now: Timestamp) -> Object {
    super::body::object(&render(operation, now))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn example(error: Option<OperationError>) -> (World, String, Timestamp) {
        let mut world = World::default();
        let now = Timestamp::UNIX_EPOCH;
        let target = "projects/acme-data/global/networks/prod";
        let path = start(
            &mut world,
            Start {
                project: "acme-data",
                scope: &Scope::Region("us-east4".into()),
                kind: "patch",
                target,
                target_id: 7,
                seconds: 10,
                effects: Vec::new(),
                error,
                request_id: None,
            },
            now,
        );
        (world, path, now)
    }

    #[test]
    fn goes_from_pending_to_done() {
        let (world, path, now) = example(None);
        let at =
            |ms: i64| render(world.operations.get(&path).unwrap(), now + SignedDuration::from_millis(ms));
        assert_eq!((&at(0)["status"], at(0)["progress"].as_i64()), (&json!("PENDING"), Some(0)));
        assert_eq!(at(500)["status"], "RUNNING");
        assert!(at(500).get("endTime").is_none());
        let done = at(10_000);
        assert_eq!((&done["status"], done["progress"].as_i64()), (&json!("DONE"), Some(100)));
        assert!(done.get("endTime").is_some() && done.get("error").is_none());
        assert_eq!(done["region"], link::url("projects/acme-data/regions/us-east4"));
        assert!(world.resources.get("projects/acme-data/global/networks/prod").unwrap().busy.is_some());
    }

    #[test]
    fn a_failed_one_is_done_with_an_error() {
        let (world, path, now) = example(Some(OperationError::in_use("network", "a", "b")));
        assert!(world.resources.get("projects/acme-data/global/networks/prod").unwrap().busy.is_none());
        let operation = world.operations.get(&path).unwrap();
        assert!(render(operation, now).get("error").is_none());
        let done = render(operation, after(now, 10));
        assert_eq!(done["error"]["errors"][0]["code"], "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE");
        assert_eq!(
            (&done["httpErrorStatusCode"], &done["httpErrorMessage"]),
            (&json!(400), &json!("BAD REQUEST"))
        );
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let (mut world, first, now) = example(None);
        world.running.clear();
        for number in 0..KEPT {
            let start = Start {
                project: "acme-data",
                scope: &Scope::Global,
                kind: "patch",
                target: "x",
                target_id: 1,
                seconds: 1,
                effects: Vec::new(),
                error: None,
                request_id: None,
            };
            super::start(&mut world, start, after(now, 1 + number as i64));
            world.running.clear();
        }
        assert!(world.operations.len() <= KEPT && !world.operations.contains_key(&first));
    }

    #[test]
    fn request_ids_are_uuids() {
        assert!(check_request_id("7f8cbb1c-5f33-4a2b-8ad6-1b7c2f0f1b11").is_ok());
        for text in ["x", "00000000-0000-0000-0000-000000000000", ""] {
            assert_eq!(check_request_id(text).unwrap_err().status, 400, "{text}");
        }
    }
}
