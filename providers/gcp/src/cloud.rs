//! Google Cloud within one run: its clients, its rates, errors converted, operations awaited.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use google_cloud_compute_v1::model;
use privnet_core::execute::{Call, Context, Poll, Replay, Until};
use privnet_core::{Error, ErrorKind};
use tracing::Instrument as _;

use crate::buckets::{Group, bucket};
use crate::clients::{Clients, RawError};
use crate::collection::{self, At, Collection, Page, Sent, whole};
use crate::error;
use crate::json::{Json, text};
use crate::operations::{self, Errand};
use crate::path;

/// No operation takes longer. Generous: a local cloud that runs a thousand times faster still needs real seconds under load.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// The clients, and the run that uses them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cloud<'a> {
    pub(crate) clients: &'a Clients,
    pub(crate) context: &'a Context,
    /// Whose requests these are: their ids say so.
    pub(crate) deployment: &'a str,
    /// What they are for, which their ids say too.
    pub(crate) errand: Errand,
}

/// What a write wants to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Write<'a> {
    Insert(&'a Json),
    /// A JSON merge patch, sent as it stands where it has an empty list.
    Patch(&'a Json),
    /// Takes the place of the whole resource.
    Replace(&'a Json),
    SetLabels(&'a Json),
    Attach(&'a [Json]),
    Detach(&'a [Json]),
    Delete,
}

impl Write<'_> {
    fn verb(self) -> &'static str {
        match self {
            Self::Insert(_) => "insert",
            Self::Patch(_) => "patch",
            Self::Replace(_) => "update",
            Self::SetLabels(_) => "setLabels",
            Self::Attach(_) => "attachNetworkEndpoints",
            Self::Detach(_) => "detachNetworkEndpoints",
            Self::Delete => "delete",
        }
    }
}

impl<'a> Cloud<'a> {
    /// Google Cloud for ordinary requests.
    pub(crate) fn new(clients: &'a Clients, context: &'a Context, deployment: &'a str) -> Self {
        Self { clients, context, deployment, errand: Errand::Ordinary }
    }
}

impl Cloud<'_> {
    /// Sends a request in a project, under its rate. Every write has a request id, so that it may be sent again.
    pub(crate) async fn call<T, F, Fut>(
        &self,
        group: Group,
        project: &str,
        method: &str,
        subject: &str,
        mut send: F,
    ) -> Result<T, Error>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Sent<T>>,
    {
        let bucket = bucket(project, group);
        let call = Call { bucket: &bucket, replay: Replay::Safe };
        let span = tracing::debug_span!("gcp", method, subject);
        self.context
            .call(call, || {
                let sent = Box::pin(send());
                async move { sent.await.map_err(|error| error::convert(method, subject, error)) }
            })
            .instrument(span)
            .await
    }

    /// All that a project has of a collection, by path, and the regions and zones that did not answer.
    pub(crate) async fn list(
        &self,
        collection: Collection,
        project: &str,
    ) -> Result<(Vec<Json>, BTreeSet<String>), Error> {
        let page =
            |token: String| async move { collection::page(self.clients, collection, project, &token).await };
        let (mut all, unreachable) = self.pages(&collection.list_method(), project, page).await?;
        // Regions come in no order.
        all.sort_by_cached_key(|item| text(item, "selfLink").map(path::of));
        Ok((all, unreachable))
    }

    /// All pages of a list of a project; `page` asks for the one of a token. And the regions and zones that did not answer.
    pub(crate) async fn pages<F, Fut>(
        &self,
        method: &str,
        project: &str,
        page: F,
    ) -> Result<(Vec<Json>, BTreeSet<String>), Error>
    where
        F: Fn(String) -> Fut,
        Fut: Future<Output = Sent<Page>>,
    {
        let (mut all, mut unreachable, mut token) = (Vec::new(), BTreeSet::new(), String::new());
        let mut read = BTreeSet::new();
        loop {
            let found = self.call(Group::Read, project, method, project, || page(token.clone())).await?;
            all.extend(found.items);
            unreachable.extend(found.unreachable.iter().map(|place| path::name(place).to_owned()));
            match found.next.filter(|next| !next.is_empty()) {
                Some(next) if read.insert(next.clone()) => token = next,
                Some(_) => return Err(error::repeated_page(method, project)),
                None => return Ok((all, unreachable)),
            }
        }
    }

    /// A resource, if it is there.
    pub(crate) async fn get(&self, at: &At) -> Result<Option<Json>, Error> {
        let method = at.collection.method("get");
        let sent =
            self.call(Group::Read, &at.project, &method, &at.name, || collection::get(self.clients, at));
        match sent.await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes, and waits until the operation is done. While something that it needs is not ready, or something that goes still
    /// uses it, it is tried again, each time with a request id of its own.
    pub(crate) async fn write(&self, at: &At, write: Write<'_>) -> Result<(), Error> {
        let method = at.collection.method(write.verb());
        let until = Until {
            operation: &method,
            subject: &at.name,
            what: "accepted",
            limit: Duration::from_secs(300),
        };
        self.context
            .until(until, || async {
                match self.attempt(at, write, &method).await {
                    Ok(()) => Ok(Poll::Ready(())),
                    Err(error) if patient(&error, write) => Ok(not_yet(&error)),
                    Err(error) => Err(error),
                }
            })
            .await
    }

    /// One logical attempt: the request, under one id however often it is sent, and its operation.
    async fn attempt(&self, at: &At, write: Write<'_>, method: &str) -> Result<(), Error> {
        let id = operations::request_id(self.deployment, self.errand);
        let operation = match write {
            Write::Patch(body) if has_empty_list(body) => self.patch_raw(at, &id, body, method).await?,
            _ => {
                self.call(Group::Write, &at.project, method, &at.name, || send(self.clients, at, &id, write))
                    .await?
            }
        };
        self.finish(&at.project, method, &at.name, operation).await
    }

    async fn patch_raw(&self, at: &At, id: &str, body: &Json, method: &str) -> Result<Json, Error> {
        let bucket = bucket(&at.project, Group::Write);
        let path = at.path();
        let call = Call { bucket: &bucket, replay: Replay::Safe };
        self.context
            .call(call, || async {
                self.clients.patch(&path, id, body).await.map_err(|error| match error {
                    RawError::Answered(status, body) => {
                        error::answered(method, &at.name, status, &body, None)
                    }
                    RawError::Unreadable(status) => error::unreadable(method, &at.name, status),
                    RawError::Unsent(cause) => {
                        Error::new(ErrorKind::Unavailable, method, &at.name, "no answer from Google Cloud")
                            .with_cause(cause)
                    }
                    RawError::Credentials(cause) => Error::new(
                        ErrorKind::Unauthenticated,
                        method,
                        &at.name,
                        "there are no usable Google credentials",
                    )
                    .with_cause(cause),
                })
            })
            .instrument(tracing::debug_span!("gcp", method, subject = at.name))
            .await
    }

    /// Waits for an operation under our own time limit; one that failed is an error.
    pub(crate) async fn finish(
        &self,
        project: &str,
        method: &str,
        subject: &str,
        operation: Json,
    ) -> Result<(), Error> {
        let latest = self.done(project, method, subject, operation).await?;
        error::failed_operation(method, subject, &latest).map_or(Ok(()), Err)
    }

    /// Waits until an operation is done, whatever came of it.
    pub(crate) async fn done(
        &self,
        project: &str,
        method: &str,
        subject: &str,
        operation: Json,
    ) -> Result<Json, Error> {
        if text(&operation, "status") == Some("DONE") {
            return Ok(operation);
        }
        let until = Until { operation: method, subject, what: "done", limit: LONGEST };
        self.context
            .until(until, || async {
                let now = self
                    .call(Group::Operation, project, "operations.wait", subject, || {
                        wait(self.clients, project, &operation)
                    })
                    .await?;
                let status = text(&now, "status").unwrap_or("PENDING").to_owned();
                Ok(if status == "DONE" { Poll::Ready(now) } else { Poll::Pending(status) })
            })
            .await
    }
}

/// Whether this will pass.
fn patient(error: &Error, write: Write<'_>) -> bool {
    match error.kind() {
        ErrorKind::NotReady => true,
        ErrorKind::InUse => matches!(write, Write::Delete),
        _ => false,
    }
}

/// What is waited for, in Google's words, which name what uses it: `… is already being used by '…'`.
fn not_yet(error: &Error) -> Poll<()> {
    let state = error.message().to_owned();
    if error.kind() != ErrorKind::InUse {
        return Poll::Pending(state);
    }
    let by = state.split_once("used by '").and_then(|(_, user)| user.split_once('\''));
    Poll::InUse { by: by.map(|(user, _)| user.to_owned()), state }
}

fn has_empty_list(body: &Json) -> bool {
    let members = body.as_object().into_iter().flat_map(|object| object.values());
    members.into_iter().any(|value| value.as_array().is_some_and(Vec::is_empty))
}

async fn send(c: &Clients, at: &At, id: &str, write: Write<'_>) -> Sent<Json> {
    match write {
        Write::Insert(body) => collection::insert(c, at, id, body).await,
        Write::Delete => collection::delete(c, at, id).await,
        Write::Patch(body) => patch(c, at, id, body).await,
        Write::Replace(body) => replace(c, at, id, body).await,
        Write::SetLabels(body) => {
            let set = c.forwarding_rules.set_labels().set_project(&at.project).set_region(&at.place);
            let set = set.set_resource(&at.name).set_request_id(id);
            let body = collection::model::<model::RegionSetLabelsRequest>(body)?;
            whole(Box::pin(set.set_body(body).send()).await?)
        }
        Write::Attach(members) => {
            let attach = c.network_endpoint_groups.attach_network_endpoints().set_project(&at.project);
            let attach = attach.set_zone(&at.place).set_network_endpoint_group(&at.name).set_request_id(id);
            let body = serde_json::json!({ "networkEndpoints": members });
            let body = collection::model::<model::NetworkEndpointGroupsAttachEndpointsRequest>(&body)?;
            whole(Box::pin(attach.set_body(body).send()).await?)
        }
        Write::Detach(members) => {
            let detach = c.network_endpoint_groups.detach_network_endpoints().set_project(&at.project);
            let detach = detach.set_zone(&at.place).set_network_endpoint_group(&at.name).set_request_id(id);
            let body = serde_json::json!({ "networkEndpoints": members });
            let body = collection::model::<model::NetworkEndpointGroupsDetachEndpointsRequest>(&body)?;
            whole(Box::pin(detach.set_body(body).send()).await?)
        }
    }
}

async fn patch(c: &Clients, at: &At, id: &str, body: &Json) -> Sent<Json> {
    let (project, place, name) = (at.project.as_str(), at.place.as_str(), at.name.as_str());
    macro_rules! regional {
        ($client:ident, $set:ident, $model:ident) => {{
            let patch =
                c.$client.patch().set_project(project).set_region(place).$set(name).set_request_id(id);
            whole(Box::pin(patch.set_body(collection::model::<model::$model>(body)?).send()).await?)
        }};
    }
    match at.collection {
        Collection::BackendServices => regional!(backend_services, set_backend_service, BackendService),
        Collection::ForwardingRules => regional!(forwarding_rules, set_forwarding_rule, ForwardingRule),
        Collection::ServiceAttachments => {
            regional!(service_attachments, set_service_attachment, ServiceAttachment)
        }
        Collection::GroupManagers => {
            regional!(group_managers, set_instance_group_manager, InstanceGroupManager)
        }
        Collection::Firewalls => {
            let patch = c.firewalls.patch().set_project(project).set_firewall(name).set_request_id(id);
            whole(Box::pin(patch.set_body(collection::model::<model::Firewall>(body)?).send()).await?)
        }
        Collection::Subnetworks
        | Collection::HealthChecks
        | Collection::NetworkEndpointGroups
        | Collection::InstanceTemplates => Err(unwritable("patch")),
    }
}

async fn replace(c: &Clients, at: &At, id: &str, body: &Json) -> Sent<Json> {
    let (project, name) = (at.project.as_str(), at.name.as_str());
    match at.collection {
        Collection::HealthChecks => {
            let update = c.health_checks.update().set_project(project).set_region(&at.place);
            let update = update.set_health_check(name).set_request_id(id);
            whole(Box::pin(update.set_body(collection::model::<model::HealthCheck>(body)?).send()).await?)
        }
        _ => Err(unwritable("update")),
    }
}

/// A call that the API does not have: a fault of ours.
fn unwritable(verb: &str) -> google_cloud_gax::error::Error {
    google_cloud_gax::error::Error::binding(format!("there is no `{verb}` for this collection"))
}

async fn wait(c: &Clients, project: &str, operation: &Json) -> Sent<Json> {
    let name = text(operation, "name").unwrap_or_default();
    let place = |key: &str| text(operation, key).map(|url| path::name(url).to_owned());
    match (place("zone"), place("region")) {
        (Some(zone), _) => {
            let wait = c.zone_operations.wait().set_project(project).set_zone(zone).set_operation(name);
            whole(Box::pin(wait.send()).await?)
        }
        (None, Some(region)) => {
            let wait = c.region_operations.wait().set_project(project).set_region(region).set_operation(name);
            whole(Box::pin(wait.send()).await?)
        }
        (None, None) => {
            whole(Box::pin(c.global_operations.wait().set_project(project).set_operation(name).send()).await?)
        }
    }
}

#[cfg(test)]
mod tests;
