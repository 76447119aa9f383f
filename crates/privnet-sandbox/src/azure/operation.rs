//! Long operations: how they begin, end, cancel each other, and what polling them answers.
//!
//! Recorded: `Azure-AsyncOperation` answers exactly `{"status":"InProgress"}` and then `{"status":"Succeeded"}`; a deletion's
//! `Location` ends in 204. A write that another write overtakes ends as `Canceled` with
//! `CanceledAndSupersededDueToAnotherOperation`; one that comes too late answers 409 `AnotherOperationInProgress`
//! (both worded as in public reports of Terraform and cloud-provider-azure users).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::ArmError;
use super::id::ResourceId;
use super::world::{State, Status, World, child_key, guid, later};

/// What happens to the world when an operation ends well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Effect {
    /// The target, or its child (`subnets/lb`), is settled.
    Settle(Option<String>),
    /// The target goes.
    Remove,
    /// A child goes: collection property, segment and name.
    RemoveChild(String, String, String),
    /// These machines of a scale set go.
    RemoveInstances(Vec<String>),
    /// A connection gets its status; the second one is what it had before.
    Decide(String, Status, Status),
    /// A connection goes, and its endpoint is disconnected.
    RemoveConnection(String),
    /// A resource group goes with all that is in it.
    RemoveGroup(String),
    /// Nothing but an answer: it was computed when the operation began.
    Answer(Value),
}

/// How it ended, or will end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    /// Well.
    Succeeded,
    /// With an error after it had been accepted.
    Failed(String, String),
    /// Overtaken by another write (its name and id).
    Canceled(String),
}

/// A long operation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Operation {
    /// Its GUID.
    pub(crate) id: String,
    /// `PutSubnetOperation`.
    pub(crate) name: String,
    /// The top resource's (or group's) key.
    pub(crate) target: String,
    /// The subscription in its URL.
    pub(crate) subscription: String,
    /// The provider in its URL.
    pub(crate) namespace: String,
    /// The location in its URL.
    pub(crate) location: String,
    /// When it was accepted.
    pub(crate) started: Timestamp,
    /// When it ends.
    pub(crate) ends: Timestamp,
    /// How it ends.
    pub(crate) end: End,
    /// What it does then.
    pub(crate) effect: Effect,
    /// Whether it has ended.
    pub(crate) done: bool,
    /// Where the finished thing is read, for `Location` of a PUT.
    pub(crate) result: Option<String>,
}

/// The operation that a request starts.
#[derive(Debug, Clone)]
pub(crate) struct Begin<'a> {
    /// `PutSubnetOperation`.
    pub(crate) name: String,
    /// The resource that it works on.
    pub(crate) id: &'a ResourceId,
    /// Where that is.
    pub(crate) location: String,
    /// How long it takes, in sandbox seconds.
    pub(crate) seconds: i64,
    /// What it does at its end.
    pub(crate) effect: Effect,
}

impl World {
    /// Starts an operation and returns its id.
    pub(crate) fn begin(&mut self, begin: Begin<'_>, now: Timestamp) -> String {
        let id = guid();
        let operation = Operation {
            id: id.clone(),
            name: begin.name,
            target: begin.id.owner().key(),
            subscription: begin.id.subscription.clone(),
            namespace: begin.id.namespace.clone(),
            location: begin.location,
            started: now,
            ends: later(now, begin.seconds),
            end: End::Succeeded,
            effect: begin.effect,
            done: false,
            result: Some(begin.id.to_string()),
        };
        self.operations.insert(id.clone(), operation);
        id
    }

    /// Makes room for a write on a resource: a write that is going on there is overtaken while it is in its first half,
    /// and wins afterwards. A deletion always wins.
    pub(crate) fn claim(
        &mut self,
        key: &str,
        name: &str,
        base: &str,
        now: Timestamp,
    ) -> Result<(), ArmError> {
        let Some(running) = self.running_on(key) else { return Ok(()) };
        let deleting =
            matches!(running.effect, Effect::Remove | Effect::RemoveChild(..) | Effect::RemoveGroup(_));
        let half = later(running.started, running.ends.duration_since(running.started).as_secs() / 2);
        if deleting || now >= half || !name.starts_with("Put") || matches!(running.effect, Effect::Decide(..))
        {
            return Err(in_progress(running, base));
        }
        let (id, by) = (running.id.clone(), name.to_owned());
        if let Some(running) = self.operations.get_mut(&id) {
            running.done = true;
            running.ends = now;
            running.end = End::Canceled(by);
        }
        let effect = self.operations.get(&id).map(|running| running.effect.clone());
        if let (Some(Effect::Settle(child)), Some(resource)) = (effect, self.resources.get_mut(key)) {
            match child {
                Some(child) => {
                    resource.child_states.insert(child, State::Failed);
                }
                None => resource.state = State::Failed,
            }
        }
        Ok(())
    }

    /// Ends what is due. Without anything due the world is not touched.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        let mut due: Vec<(Timestamp, String)> = self
            .operations
            .values()
            .filter(|operation| !operation.done && operation.ends <= now)
            .map(|operation| (operation.ends, operation.id.clone()))
            .collect();
        due.sort();
        for (_, id) in due {
            self.finish(&id);
        }
        let old = later(now, -24 * 3600);
        self.operations.retain(|_, operation| !operation.done || operation.ends > old);
    }

    /// Whether [`World::settle`] would change anything.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.operations.values().any(|operation| !operation.done && operation.ends <= now)
    }

    fn finish(&mut self, id: &str) {
        let Some(operation) = self.operations.get_mut(id) else { return };
        operation.done = true;
        let (target, effect, end) =
            (operation.target.clone(), operation.effect.clone(), operation.end.clone());
        match end {
            End::Succeeded => self.apply(&target, effect),
            End::Failed(..) | End::Canceled(_) => self.undo(&target, &effect),
        }
    }

    fn apply(&mut self, target: &str, effect: Effect) {
        match effect {
            Effect::Settle(child) => self.mark(target, child.as_deref(), State::Succeeded),
            Effect::Remove => self.remove_resource(target),
            Effect::RemoveChild(property, segment, name) => {
                if let Some(resource) = self.resources.get_mut(target) {
                    if let Some(list) = resource
                        .body
                        .get_mut("properties")
                        .and_then(|p| p.get_mut(&property))
                        .and_then(Value::as_array_mut)
                    {
                        list.retain(|child| !super::world::named(child, &name));
                    }
                    resource.child_states.remove(&child_key(&segment, &name));
                    resource.etag = guid();
                }
            }
            Effect::RemoveInstances(ids) => {
                if let Some(resource) = self.resources.get_mut(target) {
                    resource.instances.retain(|instance| !ids.contains(&instance.id));
                }
            }
            Effect::Decide(key, status, _) => {
                if let Some(connection) = self.connections.get_mut(&key) {
                    connection.status = status;
                    connection.deciding = None;
                    connection.state = State::Succeeded;
                    connection.etag = guid();
                }
            }
            Effect::RemoveConnection(key) => self.remove_connection(&key),
            Effect::RemoveGroup(key) => self.remove_group(&key),
            Effect::Answer(_) => {}
        }
    }

    /// A failed operation leaves a failed resource, and what was to be deleted stays.
    fn undo(&mut self, target: &str, effect: &Effect) {
        match effect {
            Effect::Settle(child) => self.mark(target, child.as_deref(), State::Failed),
            Effect::Remove => self.mark(target, None, State::Failed),
            Effect::RemoveGroup(key) => {
                if let Some(group) = self.groups.get_mut(key) {
                    group.deleting = false;
                }
            }
            Effect::RemoveChild(_, segment, name) => {
                self.mark(target, Some(&child_key(segment, name)), State::Failed);
            }
            Effect::RemoveInstances(ids) => {
                if let Some(resource) = self.resources.get_mut(target) {
                    let going = resource.instances.iter_mut().filter(|instance| ids.contains(&instance.id));
                    going.for_each(|instance| instance.deleting = false);
                }
            }
            Effect::Decide(key, _, before) => {
                if let Some(connection) = self.connections.get_mut(key) {
                    connection.status = *before;
                    connection.deciding = None;
                    connection.state = State::Succeeded;
                }
            }
            Effect::RemoveConnection(key) => {
                if let Some(connection) = self.connections.get_mut(key) {
                    connection.deciding = None;
                    connection.state = State::Succeeded;
                }
            }
            Effect::Answer(_) => {}
        }
    }

    /// Sets a state. The ETag changes only when the state does, as recorded of load balancers.
    fn mark(&mut self, target: &str, child: Option<&str>, state: State) {
        let Some(resource) = self.resources.get_mut(target) else { return };
        match child {
            Some(child) => {
                if state == State::Succeeded {
                    resource.child_states.remove(child);
                } else {
                    resource.child_states.insert(child.to_owned(), state);
                }
                resource.etag = guid();
            }
            None if resource.state != state => {
                resource.state = state;
                if state == State::Succeeded {
                    resource.child_states.clear();
                }
                resource.etag = guid();
            }
            None => {}
        }
    }
}

/// 409: somebody else writes.
fn in_progress(running: &Operation, base: &str) -> ArmError {
    ArmError::new(
        409,
        "AnotherOperationInProgress",
        format!(
            "Another operation on this or dependent resource is in progress. To retrieve status of the operation use uri: {}.",
            running.url(base, "operations", "2024-05-01")
        ),
    )
}

impl Operation {
    /// The URL that it is polled at: `operations` or `operationResults`.
    pub(crate) fn url(&self, base: &str, collection: &str, version: &str) -> String {
        format!(
            "{base}/subscriptions/{}/providers/{}/locations/{}/{collection}/{}?api-version={version}&t={}",
            self.subscription,
            self.namespace,
            self.location,
            self.id,
            self.started.as_millisecond()
        )
    }

    /// Its status word.
    pub(crate) fn status(&self) -> &'static str {
        match (&self.end, self.done) {
            (_, false) => "InProgress",
            (End::Succeeded, true) => "Succeeded",
            (End::Failed(..), true) => "Failed",
            (End::Canceled(_), true) => "Canceled",
        }
    }

    /// Its error, when it did not end well.
    pub(crate) fn error(&self) -> Option<ArmError> {
        match &self.end {
            _ if !self.done => None,
            End::Succeeded => None,
            End::Failed(code, message) => Some(ArmError::new(500, code, message)),
            End::Canceled(by) => {
                let mut error = ArmError::new(409, "Canceled", "Operation was canceled.");
                error.details.push((
                    "CanceledAndSupersededDueToAnotherOperation".to_owned(),
                    format!(
                        "Operation {} ({}) was canceled and superseded by operation {by}.",
                        self.name, self.id
                    ),
                ));
                Some(error)
            }
        }
    }

    /// What `Azure-AsyncOperation` answers. The compute provider tells times, the network provider the word alone.
    pub(crate) fn poll(&self) -> Value {
        let mut body = json!({"status": self.status()});
        if !self.namespace.eq_ignore_ascii_case("Microsoft.Network") {
            body["name"] = json!(self.id);
            body["startTime"] = json!(self.started.to_string());
            if self.done {
                body["endTime"] = json!(self.ends.to_string());
            }
        }
        if let Some(error) = self.error() {
            body["error"] = error.object();
        }
        body
    }
}
