//! `/metrics`, `/healthz` and `/readyz` on a loopback port.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{Monitor, Probe};
use crate::failure::Failure;

/// The format's own type (OpenMetrics 1.0, "Protocol Negotiation").
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
/// Whoever has not sent a request by then is gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// More connections than a few scrapers make wait.
const AT_ONCE: usize = 16;

/// A server that is bound, and not serving yet.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Binds the address, which is a loopback one.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, Failure> {
        let failed = |cause: std::io::Error| {
            Failure::io(format!("cannot listen on {address}"), &cause)
                .hint("another watch may have the port: give another one with --listen")
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is cancelled.
    pub(crate) async fn serve(self, monitor: Arc<Monitor>, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    let monitor = Arc::clone(&monitor);
                    tokio::spawn(async move {
                        one(stream, &monitor).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    // Out of file descriptors: a loop without a pause would make it worse.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn one(stream: TcpStream, monitor: &Monitor) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = answer(request.method(), request.uri().path(), monitor, Instant::now());
        async move { Ok::<_, Infallible>(response) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection for metrics ended");
    }
}

fn answer(method: &Method, path: &str, monitor: &Monitor, now: Instant) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n");
    }
    match path {
        "/metrics" => match monitor.metrics() {
            Ok(metrics) => response(StatusCode::OK, OPENMETRICS, metrics),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n"),
        },
        "/healthz" => probe(monitor.healthy(now)),
        "/readyz" => probe(monitor.ready()),
        _ => text(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n"),
    }
}

fn probe(probe: Probe) -> Response<Full<Bytes>> {
    let status = if probe.well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    response(status, TEXT, probe.text)
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    response(status, TEXT, text.to_owned())
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use privnet::watch::WatchEvent;

    use super::*;

    #[test]
    fn only_what_is_there_is_answered() {
        let monitor = Monitor::new(["a".to_owned()]);
        let now = Instant::now();
        let status = |method: &Method, path: &str| answer(method, path, &monitor, now).status().as_u16();
        assert_eq!(status(&Method::GET, "/metrics"), 200);
        assert_eq!(status(&Method::GET, "/healthz"), 200);
        assert_eq!(status(&Method::GET, "/readyz"), 503, "nothing was looked at yet");
        assert_eq!(status(&Method::GET, "/"), 404);
        assert_eq!(status(&Method::POST, "/metrics"), 405);
    }

    #[test]
    fn a_round_that_hangs_is_no_longer_healthy() {
        let monitor = Monitor::new(["a".to_owned()]);
        monitor.see(&WatchEvent::Began { deployment: "a".to_owned() });
        let status = |now| answer(&Method::GET, "/healthz", &monitor, now).status().as_u16();
        assert_eq!(status(Instant::now()), 200);
        assert_eq!(status(Instant::now() + Duration::from_secs(2 * 3600 + 1)), 503);
    }
}
