//! One request and its answer: its headers, what is asked of it, how long ARM wants to rest, and which URLs of an answer are followed.

use std::time::Duration;

use azure_core::http::headers::{ETAG, HeaderName, IF_MATCH, RETRY_AFTER};
use azure_core::http::{Method, PipelineSendOptions, Request, Url};
use azure_core::time::OffsetDateTime;
use privnet_core::execute::{Bucket, Call, Context, Poll, Replay};
use privnet_core::{Error, ErrorKind};
use tracing::Instrument as _;

use super::{Arm, Target};
use crate::arm::Json;
use crate::arm::error::{self, Asked, Failed};

const ASYNC_OPERATION: HeaderName = HeaderName::from_static("azure-asyncoperation");
const IF_NONE_MATCH: HeaderName = HeaderName::from_static("if-none-match");
const LOCATION: HeaderName = HeaderName::from_static("location");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
/// The longest that ARM is waited for when it says `Retry-After`: Microsoft.Compute counts some requests over half an hour, and so may ask for
/// many minutes (<https://learn.microsoft.com/troubleshoot/azure/virtual-machines/troubleshooting-throttling-errors>).
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(15 * 60);

/// An answer that is a success.
#[derive(Debug)]
pub(in crate::arm) struct Answer {
    pub(in crate::arm) status: u16,
    pub(in crate::arm) body: Json,
    pub(in crate::arm) etag: Option<String>,
    pub(in crate::arm) operation: Option<String>,
    pub(in crate::arm) location: Option<String>,
    pub(in crate::arm) retry_after: Option<Duration>,
    pub(in crate::arm) request_id: Option<String>,
}

/// One request, before it is sent.
pub(super) struct Out<'a> {
    pub(super) method: Method,
    pub(super) url: &'a Url,
    pub(super) body: Option<&'a Json>,
    pub(super) only: Only<'a>,
}

/// What must be so for a request to have its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Only<'a> {
    /// Nothing.
    Always,
    /// What is there has this ETag.
    Unchanged(&'a str),
    /// Nothing is there.
    New,
}

impl Arm {
    /// What is tried again: after the rest that ARM asked for.
    pub(super) async fn later<T>(&self, context: &Context, error: &Error) -> Poll<T> {
        self.rest(context, error.retry_after()).await;
        Poll::Pending(error.code().unwrap_or("beaten by another write").to_owned())
    }

    pub(super) async fn send(
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
        // Asking how a write fares is part of that write, which is begun anew as a whole.
        let read = asked.operation.starts_with("GET ");
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
        let body = parsed(body.as_ref());
        let retry_after =
            header(&RETRY_AFTER).and_then(|after| asked_to_rest(&after, OffsetDateTime::now_utc()));
        let request_id = header(&REQUEST_ID);
        if !(200..300).contains(&status) {
            let body = body.as_ref();
            return Err(error::of_answer(asked, &Failed { status, body, request_id, retry_after, read }));
        }
        let Some(body) = body else { return Err(error::of_no_json(asked, status, request_id)) };
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
    pub(in crate::arm) async fn rest(&self, context: &Context, asked: Option<Duration>) {
        if let Some(asked) = asked {
            let asked = context.patience(asked);
            context.tell_of_rest(asked);
            context.rest(asked).await;
        }
    }

    pub(super) fn url(&self, target: &Target) -> Result<Url, Error> {
        let mut url = self.base.clone();
        url.set_path(&target.path);
        url.set_query(Some(&format!("api-version={}", target.version)));
        if url.path().len() < 2 {
            return Err(Error::new(ErrorKind::Invalid, "URL", &target.path, "it is no resource id"));
        }
        Ok(url)
    }

    /// A URL that ARM gave, if it leads to ARM: the token is shown to nobody else.
    pub(super) fn follow(&self, text: &str, asked: &Asked) -> Result<Url, Error> {
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

/// What an answer says: nothing where it is empty, and none where it is no JSON. Some services begin it with a byte order mark, which
/// Azure's own clients take away, too (<https://github.com/Azure/azure-sdk-for-go/blob/main/sdk/azcore/runtime/response.go>).
fn parsed(body: &[u8]) -> Option<Json> {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body).trim_ascii();
    if body.is_empty() { Some(Json::Null) } else { serde_json::from_slice(body).ok() }
}

pub(super) fn asked(method: &str, target: &Target) -> Asked {
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
mod tests {
    use super::*;

    #[test]
    fn a_rest_is_asked_for_in_seconds_or_until_a_date() {
        let now = azure_core::time::parse_rfc3339("2026-11-26T04:50:00Z").unwrap();
        for (text, seconds) in [
            ("17", Some(17)),
            (" 0 ", Some(0)),
            ("Thu, 26 Nov 2026 04:50:30 GMT", Some(30)),
            ("Thu, 26 Nov 2026 04:49:30 GMT", Some(0)),
            // A clock that is wrong, or a server that is, holds nobody up for hours.
            ("899", Some(899)),
            ("86400", Some(900)),
            ("Fri, 27 Nov 2026 04:50:00 GMT", Some(900)),
            ("soon", None),
            ("-5", None),
        ] {
            assert_eq!(asked_to_rest(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
