//! One action on its way to the cloud: what every kind's create, update and delete have in common.

use std::time::Duration;

use privnet_core::execute::{Poll, Until};
use privnet_core::{Address, Applied, Error, ErrorKind, Generation, Step};

use crate::cloud::{Cloud, Write};
use crate::collection::{At, Collection};
use crate::fields::Fields;
use crate::json::Json;
use crate::operations::Errand;
use crate::ownership;

/// An action.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Act<'a> {
    pub(crate) cloud: Cloud<'a>,
    pub(crate) step: Step<'a>,
}

/// Nothing is visible later than this after its operation is done.
const SEEN: Duration = Duration::from_secs(300);

impl<'a> Act<'a> {
    /// The same, by requests for this.
    pub(crate) fn on(self, errand: Errand) -> Act<'a> {
        Act { cloud: Cloud { errand, ..self.cloud }, ..self }
    }
}

impl Act<'_> {
    pub(crate) fn address(&self) -> &Address {
        &self.step.action.address
    }

    pub(crate) fn generation(&self) -> Generation {
        self.step.action.generation.unwrap_or(Generation::A)
    }

    /// The name in the cloud that this action makes.
    pub(crate) fn name(&self) -> String {
        ownership::cloud_name(self.step.deployment, self.address(), self.generation())
    }

    /// The name of the resource's other generation.
    pub(crate) fn other_name(&self) -> String {
        ownership::cloud_name(self.step.deployment, self.address(), self.generation().other())
    }

    /// The description that proves it ours.
    pub(crate) fn marker(&self) -> String {
        ownership::marker(self.step.deployment, self.address(), self.generation())
    }

    /// The same of what lies in a network of this project: where that is not the service's own, it says which one is.
    pub(crate) fn marker_in(&self, project: &str) -> String {
        match self.place().0 {
            own if own == project => self.marker(),
            own => ownership::marker_from(self.step.deployment, self.address(), self.generation(), own),
        }
    }

    /// The project and region of the action's scope.
    pub(crate) fn place(&self) -> (&str, &str) {
        let mut parts = self.step.action.scope.0.split('/').skip(1);
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    }

    /// A resource of the region that this action makes.
    pub(crate) fn new_regional(&self, collection: Collection) -> At {
        let (project, region) = self.place();
        At { collection, project: project.to_owned(), place: region.to_owned(), name: self.name() }
    }

    /// The resource that was observed.
    pub(crate) fn there(&self, collection: Collection) -> Result<At, Error> {
        let id = self.step.action.live_id.as_deref().or_else(|| self.step.live.map(|live| live.id.as_str()));
        let id =
            id.ok_or_else(|| self.error(ErrorKind::Other, "the action does not say what it is done to"))?;
        Ok(At::of(collection, id))
    }

    /// An error about this action.
    pub(crate) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, self.step.action.op.as_str(), self.address().to_string(), message)
    }

    /// Makes a resource, or finds the one that an earlier or parallel run made, and returns it once it can be read.
    pub(crate) async fn create(&self, at: &At, body: &Json) -> Result<Json, Error> {
        match self.cloud.write(at, Write::Insert(body)).await {
            Err(error) if error.kind() == ErrorKind::Conflict => self.shown_or_made(at, Some(body)).await,
            other => {
                other?;
                self.shown(at).await
            }
        }
    }

    /// Makes a resource. One that is there already must be ours.
    pub(crate) async fn insert(&self, at: &At, body: &Json) -> Result<(), Error> {
        match self.cloud.write(at, Write::Insert(body)).await {
            Err(error) if error.kind() == ErrorKind::Conflict => {
                self.shown_or_made(at, Some(body)).await.map(drop)
            }
            other => other,
        }
    }

    /// A resource that was made, once it can be read.
    pub(crate) async fn shown(&self, at: &At) -> Result<Json, Error> {
        self.shown_or_made(at, None).await
    }

    /// A resource, once it can be read. While it is not there it is made of `body`: what had its name may have gone meanwhile.
    async fn shown_or_made(&self, at: &At, body: Option<&Json>) -> Result<Json, Error> {
        let method = at.collection.method("get");
        let until = Until { operation: &method, subject: &at.name, what: "there", limit: SEEN };
        self.cloud
            .context
            .until(until, || async {
                match self.cloud.get(at).await {
                    Ok(Some(found)) => self.ours(at, found).map(Poll::Ready),
                    Ok(None) => {
                        if let Some(body) = body {
                            match self.cloud.write(at, Write::Insert(body)).await {
                                // Somebody still makes it, or it still goes.
                                Err(error) if error.kind() == ErrorKind::Conflict => {}
                                other => other?,
                            }
                        }
                        Ok(Poll::Pending("not there yet".to_owned()))
                    }
                    Err(error) if error.kind() == ErrorKind::NotReady => {
                        Ok(Poll::Pending("not ready".to_owned()))
                    }
                    Err(error) => Err(error),
                }
            })
            .await
    }

    fn ours(&self, at: &At, found: Json) -> Result<Json, Error> {
        if ownership::is_ours(self.step.deployment, self.address(), &found) {
            return Ok(found);
        }
        let why = ownership::why_not(&found);
        Err(self.error(
            ErrorKind::Conflict,
            format!("{} has the name that privnet would use, but {why}", at.path()),
        ))
    }

    /// Reads a resource that must be there.
    pub(crate) async fn read(&self, at: &At) -> Result<Json, Error> {
        let found = self.cloud.get(at).await?;
        found.ok_or_else(|| self.error(ErrorKind::NotFound, format!("{} is not there any more", at.path())))
    }

    /// Changes a resource by what `change` makes of its latest state, again whenever somebody else was faster. Nothing to
    /// change: nothing is sent.
    pub(crate) async fn merge(
        &self,
        at: &At,
        change: impl Fn(&Json) -> Result<Option<Json>, Error>,
    ) -> Result<Json, Error> {
        let method = at.collection.method("patch");
        let until = Until { operation: &method, subject: &at.name, what: "changed", limit: SEEN };
        self.cloud
            .context
            .until(until, || async {
                let latest = match self.read(at).await {
                    Err(error) if error.kind() == ErrorKind::NotReady => {
                        return Ok(Poll::Pending("not ready".to_owned()));
                    }
                    other => other?,
                };
                let Some(body) = change(&latest)? else { return Ok(Poll::Ready(latest)) };
                match self.cloud.write(at, Write::Patch(&body)).await {
                    Ok(()) => self.read(at).await.map(Poll::Ready),
                    Err(error) if error.kind() == ErrorKind::Conflict => {
                        Ok(Poll::Pending("changed by somebody else meanwhile".to_owned()))
                    }
                    Err(error) => Err(error),
                }
            })
            .await
    }

    /// Deletes a resource, and returns once it cannot be read any more. One that is gone already is success.
    pub(crate) async fn delete(&self, at: &At) -> Result<Applied, Error> {
        match self.cloud.write(at, Write::Delete).await {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Applied { outputs: Fields::new(), note: Some("it was gone already".to_owned()) });
            }
            Err(error) => return Err(error),
        }
        let method = at.collection.method("delete");
        let until = Until { operation: &method, subject: &at.name, what: "gone", limit: SEEN };
        self.cloud
            .context
            .until(until, || async {
                match self.cloud.get(at).await {
                    Ok(None) => Ok(Poll::Ready(())),
                    Ok(Some(_)) => Ok(Poll::Pending("still there".to_owned())),
                    Err(error) if error.kind() == ErrorKind::NotReady => {
                        Ok(Poll::Pending("going".to_owned()))
                    }
                    Err(error) => Err(error),
                }
            })
            .await?;
        Ok(Applied::default())
    }
}
