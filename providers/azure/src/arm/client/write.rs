//! Writes: each under the ETag of what was read, or where nothing is; begun again when another came between; done when an own read shows it.

use std::time::Duration;

use azure_core::http::Method;
use privnet_core::execute::{Context, Poll, Until};
use privnet_core::{Error, ErrorKind};

use super::send::{Only, Out, asked};
use super::{Arm, Target};
use crate::arm::error::{self, is_gone};
use crate::arm::{Json, json};

/// The longest that one write may take, retries included.
pub(super) const LIMIT: Duration = Duration::from_secs(45 * 60);

/// What a write wants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Write {
    /// What is there is as it should be; it only has to become ready.
    Keep,
    /// This is to be there.
    Put(Json),
}

impl Arm {
    /// Makes or changes a resource: reads it, lets `build` say what it should be, writes that under the ETag that was read,
    /// waits for the operation and until an own read shows it ready. Begins again when another write came between.
    ///
    /// # Errors
    /// What `build` or ARM answered.
    pub(crate) async fn write(
        &self,
        context: &Context,
        target: &Target,
        build: &(dyn Fn(Option<&Json>) -> Result<Write, Error> + Sync),
    ) -> Result<Json, Error> {
        let until = Until { operation: "PUT", subject: &target.path, what: "ready", limit: LIMIT };
        let attempt = || async move {
            let done = match self.write_once(context, target, build).await {
                Ok(written) => self.until_ready(context, target, !written).await,
                Err(error) => Err(error),
            };
            self.or_later(context, done).await
        };
        context.until(until, attempt).await
    }

    /// Writes a resource as [`Arm::write`] does, and waits for the operation: whether it is as it should be then is the caller's to see,
    /// in words of its own.
    ///
    /// # Errors
    /// What `build` or ARM answered.
    pub(crate) async fn put_as_read(
        &self,
        context: &Context,
        target: &Target,
        build: &(dyn Fn(Option<&Json>) -> Result<Write, Error> + Sync),
    ) -> Result<(), Error> {
        let until = Until { operation: "PUT", subject: &target.path, what: "written", limit: LIMIT };
        let attempt = || async move {
            let done = self.write_once(context, target, build).await.map(|_| ());
            self.or_later(context, done).await
        };
        context.until(until, attempt).await
    }

    /// What an attempt came to; one that another write came between, or that was too early, is made again.
    async fn or_later<T>(&self, context: &Context, done: Result<T, Error>) -> Result<Poll<T>, Error> {
        match done {
            Ok(done) => Ok(Poll::Ready(done)),
            Err(error) if error::comes_later(&error) => Ok(self.later(context, &error).await),
            Err(error) => Err(error),
        }
    }

    /// Reads and writes once, and waits for the operation. Whether there was something to write.
    async fn write_once(
        &self,
        context: &Context,
        target: &Target,
        build: &(dyn Fn(Option<&Json>) -> Result<Write, Error> + Sync),
    ) -> Result<bool, Error> {
        let there = match self.read(context, target).await {
            Ok(answer) => Some(answer),
            Err(error) if is_gone(&error) => None,
            Err(error) => return Err(error),
        };
        match build(there.as_ref().map(|answer| &answer.body))? {
            Write::Keep => Ok(false),
            Write::Put(body) => {
                let etag = there
                    .as_ref()
                    .and_then(|answer| answer.etag.as_deref().or(json::text(&answer.body, "etag")));
                self.put(context, target, &body, etag.map_or(Only::Always, Only::Unchanged)).await?;
                Ok(true)
            }
        }
    }

    /// Makes a resource that was not there when the plan was made: `If-None-Match: *` takes the place of the read before the
    /// write. Where something is there after all, or another write came between, it goes on as [`Arm::write`].
    ///
    /// Only for types where that header, or the resource's name, keeps others' things from being overwritten.
    ///
    /// # Errors
    /// What `build` or ARM answered.
    pub(crate) async fn make(
        &self,
        context: &Context,
        target: &Target,
        build: &(dyn Fn(Option<&Json>) -> Result<Write, Error> + Sync),
    ) -> Result<Json, Error> {
        if let Write::Put(body) = build(None)?
            && self.put_unless_beaten(context, target, &body, Only::New).await?
        {
            return self.ready(context, target).await;
        }
        self.write(context, target, build).await
    }

    /// Changes a resource as [`Arm::write`] does. Where the last look at the cloud showed it, it is written under the ETag that it had
    /// then, in the place of one more read. Where it has changed since, so that something of others' may have come, or was as it should be
    /// even then, it is read again.
    ///
    /// # Errors
    /// What `build` or ARM answered.
    pub(crate) async fn change(
        &self,
        context: &Context,
        target: &Target,
        build: &(dyn Fn(Option<&Json>) -> Result<Write, Error> + Sync),
    ) -> Result<Json, Error> {
        let seen = self.looked.take(&target.path);
        let changed = if let Some(seen) = &seen
            && let Some(etag) = json::text(seen, "etag")
            && let Write::Put(body) = build(Some(seen))?
            && self.put_unless_beaten(context, target, &body, Only::Unchanged(etag)).await?
        {
            self.ready(context, target).await?
        } else {
            self.write(context, target, build).await?
        };
        self.looked.saw([&changed]);
        Ok(changed)
    }

    /// Writes a resource as it is given; not where another write came between.
    async fn put_unless_beaten(
        &self,
        context: &Context,
        target: &Target,
        body: &Json,
        only: Only<'_>,
    ) -> Result<bool, Error> {
        match self.put(context, target, body, only).await {
            Ok(()) => Ok(true),
            Err(error) if error::comes_later(&error) => {
                self.rest(context, error.retry_after()).await;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes a resource as it is given and waits for the operation.
    async fn put(
        &self,
        context: &Context,
        target: &Target,
        body: &Json,
        only: Only<'_>,
    ) -> Result<(), Error> {
        let asked = asked("PUT", target);
        let url = self.url(target)?;
        let out = Out { method: Method::Put, url: &url, body: Some(body), only };
        let answer = self.send(context, &out, &asked, target).await?;
        self.finish(context, answer, target, &asked).await.map(|_| ())
    }

    /// Waits until an own read shows that a resource is ready. Not there just after a write is "not yet".
    ///
    /// # Errors
    /// What ARM answered; `Other` where the resource has failed.
    pub(crate) async fn ready(&self, context: &Context, target: &Target) -> Result<Json, Error> {
        self.until_ready(context, target, false).await
    }

    async fn until_ready(&self, context: &Context, target: &Target, was_there: bool) -> Result<Json, Error> {
        let until = Until { operation: "GET", subject: &target.path, what: "ready", limit: LIMIT };
        let ask = || async move {
            let Some(found) = self.find(context, target).await? else {
                // Of what was left as it was, that is somebody else's deletion: whoever wrote begins again.
                return if was_there {
                    let what = "it was there, and has gone since";
                    Err(Error::new(ErrorKind::NotReady, asked("GET", target).operation, &target.path, what))
                } else {
                    Ok(Poll::Pending("not there yet".to_owned()))
                };
            };
            match json::text(&found, "properties.provisioningState") {
                None | Some("Succeeded" | "Ready") => Ok(Poll::Ready(found)),
                Some(state @ ("Failed" | "Canceled")) => {
                    let message = format!("its provisioning state is `{state}`");
                    Err(Error::new(ErrorKind::Other, asked("PUT", target).operation, &target.path, message)
                        .with_code(state)
                        .with_hint("run the same command again: it writes the resource once more"))
                }
                Some(state) => Ok(Poll::Pending(state.to_owned())),
            }
        };
        context.until(until, ask).await
    }
}
