//! HTTP/1 on loopback: turns a request into an [`Exchange`], and an [`Answer`] or a closed connection into what the client sees.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::cloud::{CloudServer, Failure, Moment};
use super::exchange::{Answer, Exchange};
use super::faults::{FaultMode, Faults};
use super::recorder::Recorder;

/// What the listeners of one sandbox share.
pub(crate) struct Shared {
    pub(crate) clock: Arc<Clock>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) latency: Duration,
}

/// Why a connection is closed without an answer. hyper drops the connection when a service fails.
#[derive(Debug, thiserror::Error)]
#[error("closed without an answer")]
struct Hangup;

/// Serves one connection until the client closes it or the sandbox stops.
pub(crate) async fn serve_connection<I>(
    io: I,
    scheme: &'static str,
    cloud: Arc<dyn CloudServer>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| handle(request, scheme, cloud.clone(), shared.clone()));
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.half_close(false);
    let connection = builder.serve_connection(TokioIo::new(io), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

async fn handle(
    request: Request<Incoming>,
    scheme: &'static str,
    cloud: Arc<dyn CloudServer>,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, Hangup> {
    let exchange = read_exchange(request, scheme).await?;
    if !shared.latency.is_zero() {
        tokio::time::sleep(shared.latency).await;
    }
    let task = tokio::task::spawn_blocking(move || exchange_answer(&exchange, &*cloud, &shared));
    match task.await {
        Ok(Some(answer)) => Ok(response(answer)),
        Ok(None) => Err(Hangup),
        Err(error) => {
            tracing::error!(%error, "a cloud failed while it answered");
            Ok(response(Answer::empty(500)))
        }
    }
}

/// One exchange from fault to record; `None` closes the connection.
fn exchange_answer(exchange: &Exchange, cloud: &dyn CloudServer, shared: &Shared) -> Option<Answer> {
    let action = cloud.action(exchange);
    let fault = shared.faults.draw(cloud.cloud(), &action, &exchange.path);
    let now = shared.clock.now();
    let fresh = Moment::at(now);
    let answer = match fault {
        None => Some(cloud.answer(exchange, fresh)),
        Some(FaultMode::Fail) => Some(cloud.failure(exchange, &Failure::Internal)),
        Some(FaultMode::Throttle) => Some(cloud.failure(exchange, &Failure::Throttled)),
        Some(FaultMode::Code(code)) => Some(cloud.failure(exchange, &Failure::Code(code))),
        Some(FaultMode::Reset) => None,
        Some(FaultMode::Lost) => {
            // The effect happens; its answer is what gets lost.
            let _lost = cloud.answer(exchange, fresh);
            None
        }
        Some(FaultMode::Unreachable(place)) => {
            Some(cloud.without_place(cloud.answer(exchange, fresh), &place))
        }
        Some(FaultMode::Stale) => {
            Some(cloud.answer(exchange, Moment { stale: cloud.is_read(exchange), ..fresh }))
        }
    };
    if let Some(recorder) = &shared.recorder {
        recorder.write(cloud.cloud(), &action, exchange, answer.as_ref(), now);
    }
    answer
}

async fn read_exchange(request: Request<Incoming>, scheme: &'static str) -> Result<Exchange, Hangup> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Hangup)?.to_bytes().to_vec();
    let host = parts
        .headers
        .get(http::header::HOST)
        .and_then(|value| value.to_str().ok())
        .or(parts.uri.authority().map(http::uri::Authority::as_str))
        .unwrap_or("127.0.0.1")
        .to_owned();
    Ok(Exchange {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
        scheme: scheme.to_owned(),
        host,
    })
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut builder = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        builder = builder.header(name, value);
    }
    builder.body(Full::new(Bytes::from(answer.body))).unwrap_or_else(|error| {
        tracing::error!(%error, "a cloud answered something that is not HTTP");
        let mut broken = Response::new(Full::new(Bytes::new()));
        *broken.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        broken
    })
}
