//! Requests: one at a time through the pipeline, each under the core's rates and retries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_core::http::headers::{ETAG, HeaderName, IF_MATCH, RETRY_AFTER};
use azure_core::http::policies::auth::BearerTokenAuthorizationPolicy;
use azure_core::http::{
    ClientOptions, Method, Pipeline, PipelineSendOptions, Request, RetryOptions, Transport, Url,
};
use azure_core::time::OffsetDateTime;
use privnet_core::execute::{Bucket, Call, Context, Poll, Replay, Until};
use privnet_core::{Error, ErrorKind};
use tracing::Instrument as _;

use super::error::{self, Asked, Failed, is_gone};
use super::looked::Looked;
use super::{Json, json, versions};
use crate::credential::{Chain, GivenToken, who};
use crate::settings::AzureSettings;

const ASYNC_OPERATION: HeaderName = HeaderName::from_static("azure-asyncoperation");
const IF_NONE_MATCH: HeaderName = HeaderName::from_static("if-none-match");
const LOCATION: HeaderName = HeaderName::from_static("location");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
/// The longest that ARM is waited for when it says `Retry-After`: Microsoft.Compute counts some requests over half an hour, and so may ask for
/// many minutes (<https://learn.microsoft.com/troubleshoot/azure/virtual-machines/troubleshooting-throttling-errors>).
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(15 * 60);
/// The longest that one write may take, retries included.
const LIMIT: Duration = Duration::from_secs(45 * 60);
/// The longest that an action is asked for again because a write came between.
const ANSWERED: Duration = Duration::from_secs(180);
/// How long something may still seem to be in use after its last user has gone.
const IN_USE_LAG: Duration = Duration::from_secs(180);
/// How often it is tried at least, however long one answer takes: on a slow machine a few answers may use up all of that time.
const IN_USE_TRIES: u32 = 4;

/// What a request is about: the path of a resource, and the api-version that its type has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The path: a resource's id, or the id of a collection.
    pub(crate) path: String,
    /// The api-version.
    pub(crate) version: String,
}

impl Target {
    /// A resource or collection with the version of its type.
    pub(crate) fn of(path: impl Into<String>) -> Self {
        let path = path.into();
        Self { version: versions::of(&path).to_owned(), path }
    }

    /// The same path with another version.
    pub(crate) fn with_version(path: impl Into<String>, version: &str) -> Self {
        Self { path: path.into(), version: version.to_owned() }
    }

    fn subscription(&self) -> &str {
        let mut parts = self.path.split('/').skip_while(|part| !part.eq_ignore_ascii_case("subscriptions"));
        parts.nth(1).unwrap_or("tenant")
    }

    /// The resource type, for messages.
    fn kind(&self) -> String {
        let Some((_, rest)) = self.path.rsplit_once("/providers/") else { return self.path.clone() };
        let mut parts = rest.split('/');
        let provider = parts.next().unwrap_or_default().to_owned();
        parts.step_by(2).fold(provider, |kind, part| format!("{kind}/{part}"))
    }
}

/// What a write wants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Write {
    /// What is there is as it should be; it only has to become ready.
    Keep,
    /// This is to be there.
    Put(Json),
}

/// The client of one cloud.
#[derive(Debug)]
pub(crate) struct Arm {
    pipeline: Pipeline,
    base: Url,
    /// The host of a local endpoint, whose own URLs are followed too.
    local: Option<Url>,
    credential: Arc<dyn TokenCredential>,
    scope: String,
    /// What it has read so far, as far as writes go by it.
    pub(crate) looked: Looked,
}

/// An answer that is a success.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Json,
    pub(super) etag: Option<String>,
    pub(super) operation: Option<String>,
    pub(super) location: Option<String>,
    pub(super) retry_after: Option<Duration>,
    pub(super) request_id: Option<String>,
}

/// One request, before it is sent.
struct Out<'a> {
    method: Method,
    url: &'a Url,
    body: Option<&'a Json>,
    only: Only<'a>,
}

/// What must be so for a request to have its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Only<'a> {
    /// Nothing.
    Always,
    /// What is there has this ETag.
    Unchanged(&'a str),
    /// Nothing is there.
    New,
}

impl Arm {
    /// A client with these settings.
    ///
    /// # Errors
    /// When a URL in the settings is none.
    pub(crate) fn new(settings: &AzureSettings) -> Result<Self, Error> {
        let base = parse(settings.cloud.resource_manager())?;
        let (credential, local) = match &settings.endpoint {
            Some(endpoint) => (GivenToken::credential(&endpoint.token), Some(parse(&endpoint.url)?)),
            None => (Chain::credential(settings.cloud.clone()), None),
        };
        let transport = local.clone().map(super::transport::redirect).transpose()?;
        Ok(Self::over(base, local, credential, settings.cloud.scope(), transport))
    }

    pub(crate) fn over(
        base: Url,
        local: Option<Url>,
        credential: Arc<dyn TokenCredential>,
        scope: String,
        transport: Option<Transport>,
    ) -> Self {
        let options = ClientOptions { retry: RetryOptions::none(), transport, ..ClientOptions::default() };
        let bearer = Arc::new(BearerTokenAuthorizationPolicy::new(Arc::clone(&credential), [scope.clone()]));
        let pipeline = Pipeline::new(
            option_env!("CARGO_PKG_NAME"),
            option_env!("CARGO_PKG_VERSION"),
            options,
            Vec::new(),
            vec![bearer],
            None,
        );
        Self { pipeline, base, local, credential, scope, looked: Looked::default() }
    }

    /// Who the caller is, as far as its token tells.
    pub(crate) async fn caller(&self) -> Option<String> {
        if self.local.is_some() {
            return Some("the token of a local endpoint".to_owned());
        }
        let token = self.credential.get_token(&[self.scope.as_str()], None).await.ok()?;
        who(token.token.secret())
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// What ARM answered; `NotFound` where it is not there.
    pub(crate) async fn get(&self, context: &Context, target: &Target) -> Result<Json, Error> {
        Ok(self.read(context, target).await?.body)
    }

    /// Reads a resource that may not be there.
    ///
    /// # Errors
    /// What ARM answered.
    pub(crate) async fn find(&self, context: &Context, target: &Target) -> Result<Option<Json>, Error> {
        match self.get(context, target).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads all pages of a collection.
    ///
    /// # Errors
    /// What ARM answered.
    pub(crate) async fn list(&self, context: &Context, target: &Target) -> Result<Vec<Json>, Error> {
        let asked = asked("GET", target);
        let mut url = Some(self.url(target)?);
        let mut all = Vec::new();
        while let Some(page) = url {
            let out = Out { method: Method::Get, url: &page, body: None, only: Only::Always };
            let answer = self.send(context, &out, &asked, target).await?;
            all.extend(json::items(&answer.body, "value").iter().cloned());
            url = match json::text(&answer.body, "nextLink") {
                Some(next) => Some(self.follow(next, &asked)?),
                None => None,
            };
        }
        self.looked.listed(&target.path);
        Ok(all)
    }

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
            match self.write_once(context, target, build).await {
                Ok(done) => Ok(Poll::Ready(done)),
                Err(error) if error::comes_later(&error) => Ok(self.later(context, &error).await),
                Err(error) => Err(error),
            }
        };
        context.until(until, attempt).await
    }

    /// What is tried again: after the rest that ARM asked for.
    async fn later<T>(&self, context: &Context, error: &Error) -> Poll<T> {
        self.rest(context, error.retry_after()).await;
        Poll::Pending(error.code().unwrap_or("beaten by another write").to_owned())
    }

    async fn write_once(
        &self,
        context: &Context,
        target: &Target,
        build: &(dyn Fn(Option<&Json>) -> Result<Write, Error> + Sync),
    ) -> Result<Json, Error> {
        let there = match self.read(context, target).await {
            Ok(answer) => Some(answer),
            Err(error) if is_gone(&error) => None,
            Err(error) => return Err(error),
        };
        match build(there.as_ref().map(|answer| &answer.body))? {
            Write::Keep => return self.until_ready(context, target, true).await,
            Write::Put(body) => {
                let etag = there
                    .as_ref()
                    .and_then(|answer| answer.etag.as_deref().or(json::text(&answer.body, "etag")));
                self.put(context, target, &body, etag.map_or(Only::Always, Only::Unchanged)).await?;
            }
        }
        self.ready(context, target).await
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

    /// Calls an action of a resource and gives its result, be it at once or at the end of an operation. Where a write came between,
    /// it asks again, for a while: actions here only read, and who shows a status waits for them.
    ///
    /// # Errors
    /// What ARM answered.
    pub(crate) async fn post(&self, context: &Context, target: &Target) -> Result<Json, Error> {
        let until = Until { operation: "POST", subject: &target.path, what: "answered", limit: ANSWERED };
        let attempt = || async move {
            match self.post_once(context, target).await {
                Ok(answer) => Ok(Poll::Ready(answer)),
                Err(error) if error::comes_later(&error) => Ok(self.later(context, &error).await),
                Err(error) => Err(error),
            }
        };
        context.until(until, attempt).await
    }

    async fn post_once(&self, context: &Context, target: &Target) -> Result<Json, Error> {
        let asked = asked("POST", target);
        let url = self.url(target)?;
        let out = Out { method: Method::Post, url: &url, body: None, only: Only::Always };
        let answer = self.send(context, &out, &asked, target).await?;
        self.finish(context, answer, target, &asked).await
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

    /// Deletes a resource and waits until it is gone. Not there is success.
    ///
    /// # Errors
    /// What ARM answered.
    pub(crate) async fn delete(&self, context: &Context, target: &Target) -> Result<(), Error> {
        let until = Until { operation: "DELETE", subject: &target.path, what: "gone", limit: LIMIT };
        let started = tokio::time::Instant::now();
        let lag = context.paced(IN_USE_LAG);
        let tried = AtomicU32::new(0);
        let tried = &tried;
        let attempt = || async move {
            let patient = tried.fetch_add(1, Ordering::Relaxed) + 1 < IN_USE_TRIES || started.elapsed() < lag;
            match self.delete_once(context, target).await {
                Ok(()) => Ok(Poll::Ready(())),
                Err(error) if is_gone(&error) => Ok(Poll::Ready(())),
                Err(error) if error::comes_later(&error) || (error.kind() == ErrorKind::InUse && patient) => {
                    Ok(self.later(context, &error).await)
                }
                Err(error) => Err(error),
            }
        };
        context.until(until, attempt).await
    }

    async fn delete_once(&self, context: &Context, target: &Target) -> Result<(), Error> {
        let asked = asked("DELETE", target);
        let url = self.url(target)?;
        let out = Out { method: Method::Delete, url: &url, body: None, only: Only::Always };
        let answer = self.send(context, &out, &asked, target).await?;
        self.finish(context, answer, target, &asked).await?;
        let until = Until { operation: "DELETE", subject: &target.path, what: "gone", limit: LIMIT };
        let ask = || async move {
            Ok(match self.find(context, target).await? {
                None => Poll::Ready(()),
                Some(found) => Poll::Pending(
                    json::text(&found, "properties.provisioningState").unwrap_or("still there").to_owned(),
                ),
            })
        };
        context.until(until, ask).await
    }

    async fn read(&self, context: &Context, target: &Target) -> Result<Answer, Error> {
        let url = self.url(target)?;
        let out = Out { method: Method::Get, url: &url, body: None, only: Only::Always };
        self.send(context, &out, &asked("GET", target), target).await
    }

    /// Reads a URL that ARM gave: of an operation, or of its result.
    pub(super) async fn poll(
        &self,
        context: &Context,
        url: &str,
        asked: &Asked,
        target: &Target,
    ) -> Result<Answer, Error> {
        let url = self.follow(url, asked)?;
        let out = Out { method: Method::Get, url: &url, body: None, only: Only::Always };
        self.send(context, &out, asked, target).await
    }

    async fn send(
        &self,
        context: &Context,
        out: &Out<'_>,
        asked: &Asked,
        target: &Target,
    ) -> Result<Answer, Error> {
        let bucket = bucket(target.subscription(), out.method);
        // Every request here may be sent again: PUT and DELETE have the same effect twice, and the actions only read.
        let call = Call { bucket: &bucket, replay: Replay::Safe };
        // The path alone: a query may hold a continuation that is nobody's to see.
        let span = tracing::debug_span!("azure", method = out.method.as_str(), path = out.url.path());
        context.call(call, || self.send_once(out, asked)).instrument(span).await
    }

    async fn send_once(&self, out: &Out<'_>, asked: &Asked) -> Result<Answer, Error> {
        let mut request = Request::new(out.url.clone(), out.method);
        request.insert_header("accept", "application/json");
        match out.only {
            Only::Always => {}
            Only::Unchanged(etag) => request.insert_header(IF_MATCH, etag.to_owned()),
            Only::New => request.insert_header(IF_NONE_MATCH, "*"),
        }
        if let Some(body) = out.body {
            request.set_json(body).map_err(|error| error::of_transport(asked, &error))?;
            request.insert_header("content-type", "application/json");
        }
        let options = PipelineSendOptions { skip_checks: true, ..PipelineSendOptions::default() };
        let sent =
            self.pipeline.send(&azure_core::http::Context::default(), &mut request, Some(options)).await;
        let (status, headers, body) = sent.map_err(|error| error::of_transport(asked, &error))?.deconstruct();
        let status = u16::from(status);
        let header = |name: &HeaderName| headers.get_optional_str(name).map(str::to_owned);
        let body: Json = serde_json::from_slice(body.as_ref()).unwrap_or(Json::Null);
        let retry_after =
            header(&RETRY_AFTER).and_then(|after| asked_to_rest(&after, OffsetDateTime::now_utc()));
        let request_id = header(&REQUEST_ID);
        if !(200..300).contains(&status) {
            return Err(error::of_answer(
                asked,
                &Failed { status, body: Some(&body), request_id, retry_after },
            ));
        }
        Ok(Answer {
            status,
            body,
            etag: header(&ETAG),
            operation: header(&ASYNC_OPERATION),
            location: header(&LOCATION),
            retry_after,
            request_id,
        })
    }

    /// Waits as long as ARM asked to be left alone, or as the run has patience, or until the user wants to stop.
    pub(super) async fn rest(&self, context: &Context, asked: Option<Duration>) {
        if let Some(asked) = asked {
            let asked = context.patience(asked);
            context.tell_of_rest(asked);
            context.rest(asked).await;
        }
    }

    fn url(&self, target: &Target) -> Result<Url, Error> {
        let mut url = self.base.clone();
        url.set_path(&target.path);
        url.set_query(Some(&format!("api-version={}", target.version)));
        if url.path().len() < 2 {
            return Err(Error::new(ErrorKind::Invalid, "URL", &target.path, "it is no resource id"));
        }
        Ok(url)
    }

    /// A URL that ARM gave, if it leads to ARM: the token is shown to nobody else.
    fn follow(&self, text: &str, asked: &Asked) -> Result<Url, Error> {
        let refuse = |why: &str| {
            Error::new(
                ErrorKind::Other,
                &asked.operation,
                &asked.subject,
                format!("the answer leads elsewhere: {why}"),
            )
        };
        let mut url = Url::parse(text).map_err(|_| refuse("to no URL"))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let home = self.base.host_str().unwrap_or_default();
        let local = self
            .local
            .as_ref()
            .is_some_and(|local| local.host_str() == url.host_str() && local.port() == url.port());
        if local || host.eq_ignore_ascii_case(home) {
            let mut same = self.base.clone();
            same.set_path(url.path());
            same.set_query(url.query());
            return Ok(same);
        }
        if host.to_ascii_lowercase().ends_with(&format!(".{}", home.to_ascii_lowercase()))
            && url.scheme() == "https"
        {
            url.set_fragment(None);
            return Ok(url);
        }
        Err(refuse(&host))
    }
}

/// How long ARM asks to be left alone: a number of seconds, or the time until when
/// (<https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>), within [`LONGEST_RETRY_AFTER`]; what is over is no time at all.
fn asked_to_rest(text: &str, now: OffsetDateTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER));
    }
    let until = azure_core::time::parse_rfc7231(text).ok()?;
    Some(Duration::try_from(until - now).unwrap_or_default().min(LONGEST_RETRY_AFTER))
}

fn parse(url: &str) -> Result<Url, Error> {
    Url::parse(url)
        .map_err(|cause| Error::new(ErrorKind::Invalid, "settings", url, "it is no URL").with_cause(cause))
}

fn asked(method: &str, target: &Target) -> Asked {
    Asked { operation: format!("{method} {}", target.kind()), subject: target.path.clone() }
}

/// ARM's rates for one subscription and principal
/// (<https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling>).
fn bucket(subscription: &str, method: Method) -> Bucket {
    let (class, size, per_second) = match method {
        Method::Put | Method::Post | Method::Patch => ("write", 200.0, 10.0),
        Method::Delete => ("delete", 200.0, 10.0),
        _ => ("read", 250.0, 25.0),
    };
    Bucket { key: format!("azure/{}/{class}", subscription.to_lowercase()), size, per_second }
}

#[cfg(test)]
mod tests;
