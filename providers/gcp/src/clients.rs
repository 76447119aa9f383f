//! The official clients, made when the provider is first used and kept.
//!
//! Their own retries are off: rates, retries and cancellation are the core's matter
//! ([`Context::call`](privnet_core::execute::Context::call)). Their pollers are not used: they ignore their time limit, do
//! not repeat a poll that got no answer, and call a failed operation a success.

use std::sync::Arc;
use std::time::Duration;

use google_cloud_auth::credentials::{self, CacheableResource, Credentials};
use google_cloud_compute_v1::client as compute;
use google_cloud_gax::client_builder::Error as BuildError;
use google_cloud_gax::retry_policy::NeverRetry;
use hyper_util::client::proxy::matcher::Matcher;
use privnet_core::{Error, ErrorKind};
use tokio::sync::OnceCell;

use crate::caller::Who;
use crate::collection::is_answer;
use crate::settings::{Endpoint, GcpSettings};

/// Google's own endpoint.
const GOOGLE: &str = "https://compute.googleapis.com";
/// The scope of everything that this provider does.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// The longest time for one answer; `wait` is held by the server for two minutes.
const ATTEMPT: Duration = Duration::from_secs(150);

/// A client for each collection, and what a request needs that is sent without one.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    pub(crate) all_backend_services: compute::BackendServices,
    pub(crate) all_group_managers: compute::InstanceGroupManagers,
    pub(crate) all_health_checks: compute::HealthChecks,
    pub(crate) backend_services: compute::RegionBackendServices,
    pub(crate) firewalls: compute::Firewalls,
    pub(crate) forwarding_rules: compute::ForwardingRules,
    pub(crate) global_operations: compute::GlobalOperations,
    pub(crate) health_checks: compute::RegionHealthChecks,
    pub(crate) group_managers: compute::RegionInstanceGroupManagers,
    pub(crate) images: compute::Images,
    pub(crate) instance_groups: compute::InstanceGroups,
    pub(crate) instance_templates: compute::InstanceTemplates,
    pub(crate) instances: compute::Instances,
    pub(crate) network_endpoint_groups: compute::NetworkEndpointGroups,
    pub(crate) projects: compute::Projects,
    pub(crate) region_operations: compute::RegionOperations,
    pub(crate) service_attachments: compute::ServiceAttachments,
    pub(crate) subnetworks: compute::Subnetworks,
    pub(crate) zone_operations: compute::ZoneOperations,
    raw: reqwest::Client,
    credentials: Credentials,
    endpoint: String,
    who: Who,
    caller: Arc<OnceCell<Option<String>>>,
}

/// Makes one client with the settings of all.
macro_rules! client {
    ($name:ident, $credentials:expr, $endpoint:expr) => {
        compute::$name::builder()
            .with_endpoint($endpoint)
            .with_credentials($credentials.clone())
            .with_retry_policy(NeverRetry)
            .with_attempt_timeout(ATTEMPT)
            .build()
            .await
            .map_err(|error| cannot(&error))?
    };
}

impl Clients {
    /// All clients. Nothing is sent.
    pub(crate) async fn new(settings: &GcpSettings) -> Result<Self, Error> {
        let endpoint = settings.endpoint.as_ref().map_or(GOOGLE, Endpoint::url).to_owned();
        let mut raw = reqwest::Client::builder().timeout(ATTEMPT).redirect(reqwest::redirect::Policy::none());
        let (credentials, who) = match &settings.endpoint {
            Some(Endpoint::Local { .. }) => {
                refuse_proxies(&endpoint, &Matcher::from_system())?;
                raw = raw.no_proxy();
                (credentials::anonymous::Builder::new().build(), Who::Nobody)
            }
            Some(Endpoint::Other { .. }) | None => {
                let who = Who::of_environment();
                (default_credentials(&who)?, who)
            }
        };
        let raw = raw.build().map_err(|cause| {
            Error::new(ErrorKind::Other, "connect", "Google Cloud", "the HTTP client cannot be made")
                .with_cause(cause)
        })?;
        let (c, e) = (&credentials, endpoint.as_str());
        Ok(Self {
            all_backend_services: client!(BackendServices, c, e),
            all_group_managers: client!(InstanceGroupManagers, c, e),
            all_health_checks: client!(HealthChecks, c, e),
            backend_services: client!(RegionBackendServices, c, e),
            firewalls: client!(Firewalls, c, e),
            forwarding_rules: client!(ForwardingRules, c, e),
            global_operations: client!(GlobalOperations, c, e),
            health_checks: client!(RegionHealthChecks, c, e),
            group_managers: client!(RegionInstanceGroupManagers, c, e),
            images: client!(Images, c, e),
            instance_groups: client!(InstanceGroups, c, e),
            instance_templates: client!(InstanceTemplates, c, e),
            instances: client!(Instances, c, e),
            network_endpoint_groups: client!(NetworkEndpointGroups, c, e),
            projects: client!(Projects, c, e),
            region_operations: client!(RegionOperations, c, e),
            service_attachments: client!(ServiceAttachments, c, e),
            subnetworks: client!(Subnetworks, c, e),
            zone_operations: client!(ZoneOperations, c, e),
            raw,
            credentials,
            endpoint,
            who,
            caller: Arc::default(),
        })
    }

    /// Who calls, where that can be found out. It is asked once.
    pub(crate) async fn caller(&self) -> Option<&str> {
        let caller = self.caller.get_or_init(|| self.who.name(&self.raw, &self.credentials)).await;
        caller.as_deref()
    }

    /// Sends a PATCH as it stands. The client leaves empty lists out of what it sends, so that it cannot clear one.
    ///
    /// # Errors
    /// Status and body of an answer that is none of success; no status where there was no answer.
    pub(crate) async fn patch(
        &self,
        path: &str,
        request_id: &str,
        body: &serde_json::Value,
    ) -> Result<serde_json::Value, RawError> {
        let url = format!("{}/compute/v1/{path}?requestId={request_id}", self.endpoint);
        let headers = match self.credentials.headers(http::Extensions::new()).await {
            Ok(CacheableResource::New { data, .. }) => data,
            Ok(CacheableResource::NotModified) => http::HeaderMap::new(),
            Err(error) => return Err(RawError::Credentials(Box::new(error))),
        };
        let body = body.to_string();
        let request = self.raw.patch(url).headers(headers);
        let request = request.header(http::header::CONTENT_TYPE, "application/json").body(body);
        // The URL holds a project's name only, but an error of the client would repeat it: it is left out.
        let answer = request.send().await.map_err(|error| RawError::Unsent(error.without_url()))?;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.map_err(|error| RawError::Unsent(error.without_url()))?;
        let body: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
        let kind = body.as_ref().and_then(|body| body.get("kind")?.as_str());
        match (200..300).contains(&status) {
            true if is_answer(kind).is_ok() => Ok(body.unwrap_or_default()),
            true => Err(RawError::Unreadable(status)),
            false if status == 404 && body.is_none() => Err(RawError::Unreadable(status)),
            false => Err(RawError::Answered(status, body.unwrap_or_default())),
        }
    }
}

/// How a request without a client failed.
pub(crate) enum RawError {
    /// There are no usable credentials.
    Credentials(Box<dyn std::error::Error + Send + Sync>),
    /// There was no answer.
    Unsent(reqwest::Error),
    /// The answer was none of Compute Engine's.
    Unreadable(u16),
    /// The answer was an error.
    Answered(u16, serde_json::Value),
}

/// The official client takes the proxies of the environment, and there is no way to tell it not to: before a request for a local
/// cloud could leave by one, nothing is sent at all. `proxies` reads the environment as the client does.
fn refuse_proxies(local: &str, proxies: &Matcher) -> Result<(), Error> {
    let led_away = match local.parse::<http::Uri>() {
        Ok(url) => proxies.intercept(&url).is_some(),
        Err(_) => true,
    };
    if !led_away {
        return Ok(());
    }
    let message = "a proxy of the environment would take the requests that are meant for the local cloud";
    Err(Error::new(ErrorKind::Invalid, "connect", local, message)
        .with_hint("unset HTTP_PROXY and ALL_PROXY, or set NO_PROXY=127.0.0.1"))
}

fn default_credentials(who: &Who) -> Result<Credentials, Error> {
    let found = credentials::Builder::default();
    let found = if who.has_its_own_scopes() { found } else { found.with_scopes([SCOPE]) };
    found.build().map_err(|cause| {
        Error::new(
            ErrorKind::Unauthenticated,
            "connect",
            "Google Cloud",
            "there are no usable Google credentials",
        )
        .with_hint("run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS")
        .with_cause(cause)
    })
}

fn cannot(error: &BuildError) -> Error {
    Error::new(ErrorKind::Other, "connect", "Google Cloud", format!("the client cannot be made: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_for_a_local_cloud_is_given_to_a_proxy() {
        let local = "http://127.0.0.1:4580";
        let none = Matcher::builder().build();
        assert!(refuse_proxies(local, &none).is_ok());
        let all = Matcher::builder().all("http://proxy.example:3128").build();
        assert!(refuse_proxies(local, &all).is_err());
        let http = Matcher::builder().http("http://proxy.example:3128").build();
        assert!(refuse_proxies(local, &http).is_err());
        let not_here = Matcher::builder().http("http://proxy.example:3128").no("127.0.0.1").build();
        assert!(refuse_proxies(local, &not_here).is_ok());
    }
}
