//! A transport that leads to a local endpoint only.

use std::sync::Arc;

use azure_core::http::{AsyncRawResponse, HttpClient, Request, Transport, Url};
use privnet_core::{Error, ErrorKind};

/// Sends every request to one scheme, host and port, whatever its URL says.
///
/// The pipeline above it works on the cloud's own `https` URLs, so that the policies of production, the bearer token's
/// insistence on TLS among them, are the ones that run; and nothing can lead past the endpoint.
#[derive(Debug)]
struct Redirect {
    to: Url,
    inner: Arc<dyn HttpClient>,
}

/// A transport to `to`. The environment's proxies are not used: they would lead away from it.
///
/// # Errors
/// When no client can be made.
pub(crate) fn redirect(to: Url) -> Result<Transport, Error> {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
    let client = client.map_err(|cause| {
        Error::new(ErrorKind::Other, "settings", to.as_str(), "no HTTP client can be made").with_cause(cause)
    })?;
    Ok(Transport::new(Arc::new(Redirect { to, inner: Arc::new(client) })))
}

#[async_trait::async_trait]
impl HttpClient for Redirect {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut url = self.to.clone();
        url.set_path(request.url().path());
        url.set_query(request.url().query());
        let mut led = request.clone();
        *led.url_mut() = url;
        self.inner.execute_request(&led).await
    }
}
