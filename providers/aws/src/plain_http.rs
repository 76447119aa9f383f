//! Plain http is spoken to this machine alone: on the way to another one anybody could read what the answer holds, and use a token.
//!
//! The SDK takes endpoints from variables, from profiles, and for each service apart. So what is looked at is where each request goes,
//! those for credentials among them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use url::{Host, Url};

/// Where machines and containers get their credentials: answered on the host itself, by plain http only
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-imds-credentials.html>,
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>).
const METADATA: [&str; 5] =
    ["169.254.169.254", "fd00:ec2::254", "169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// A request that would go to another machine by plain http.
#[derive(Debug, thiserror::Error)]
#[error("{endpoint} is plain http, which is accepted for loopback only")]
pub(crate) struct PlainHttp {
    /// Where it would go.
    endpoint: String,
}

/// The variable that names the authorities' certificates, in place of the machine's own.
const CERTIFICATES: &str = "SSL_CERT_FILE";

/// A file of certificates that holds none: the SDK's client panics where it finds no authority to trust.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{CERTIFICATES} names {}, in which there is no certificate (PEM) to be read", file.display())]
pub(crate) struct NoCertificates {
    /// What the variable names.
    file: PathBuf,
}

impl NoCertificates {
    fn found() -> Option<Self> {
        // Those of a folder would be trusted besides.
        let file = std::env::var_os(CERTIFICATES).filter(|_| std::env::var_os("SSL_CERT_DIR").is_none())?;
        let file = PathBuf::from(file);
        let begins = b"-----BEGIN CERTIFICATE-----";
        let holds = std::fs::read(&file).is_ok_and(|text| text.windows(begins.len()).any(|at| at == begins));
        (!holds).then_some(Self { file })
    }
}

/// The timeouts for connecting and for reading.
type Timeouts = (Option<Duration>, Option<Duration>);

/// The SDK's own client, that sends nothing by plain http to another machine.
#[derive(Debug, Default)]
pub(crate) struct GuardedClient {
    /// What was made, so that connections are used again.
    made: Mutex<BTreeMap<Timeouts, SharedHttpConnector>>,
}

impl HttpClient for GuardedClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let timeouts = (settings.connect_timeout(), settings.read_timeout());
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let (of_tls, sleep) = (settings.clone(), components.sleep_impl());
            let usual: Box<dyn FnOnce() -> SharedHttpConnector + Send> = Box::new(move || {
                let mut builder =
                    Connector::builder().connector_settings(of_tls).proxy_config(ProxyConfig::from_env());
                builder.set_sleep_impl(sleep);
                match NoCertificates::found() {
                    Some(none) => SharedHttpConnector::new(Trustless(none)),
                    None => SharedHttpConnector::new(
                        builder.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build(),
                    ),
                }
            });
            let mut plain = Connector::builder()
                .connector_settings(settings.clone())
                .proxy_config(ProxyConfig::disabled());
            plain.set_sleep_impl(components.sleep_impl());
            // Without TLS: what is sent to this machine in the clear depends on nobody's certificates.
            SharedHttpConnector::new(Guarded { usual: LazyLock::new(usual), plain: plain.build_http() })
        };
        made.entry(timeouts).or_insert_with(make).clone()
    }
}

/// Speaks to nobody, for it can trust nobody.
#[derive(Debug)]
struct Trustless(NoCertificates);

impl HttpConnector for Trustless {
    fn call(&self, _request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Err(ConnectorError::user(self.0.clone().into())))
    }
}

#[derive(Debug)]
struct Guarded {
    /// Made when it is first needed: it reads all the authorities' certificates of the machine.
    usual: LazyLock<SharedHttpConnector, Box<dyn FnOnce() -> SharedHttpConnector + Send>>,
    /// By no proxy: `HTTP_PROXY` would have what is meant for this machine cross the network.
    plain: Connector,
}

impl HttpConnector for Guarded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match refused(request.uri()) {
            Some(refused) => HttpConnectorFuture::ready(Err(ConnectorError::user(refused.into()))),
            None if is_plain(request.uri()) => self.plain.call(request),
            None => self.usual.call(request),
        }
    }
}

fn is_plain(uri: &str) -> bool {
    uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"))
}

/// Why nothing is sent there, if nothing is.
fn refused(uri: &str) -> Option<PlainHttp> {
    let Ok(url) = Url::parse(uri) else {
        return is_plain(uri).then(|| PlainHttp { endpoint: uri.to_owned() });
    };
    if url.scheme() != "http" || url.host().is_some_and(|host| answers_here(&host)) {
        return None;
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(PlainHttp { endpoint: format!("http://{}{port}", url.host_str().unwrap_or_default()) })
}

/// Whether the host is this machine, or answers on it for credentials.
fn answers_here(host: &Host<&str>) -> bool {
    let address = match host {
        Host::Domain(name) => return name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(address) => IpAddr::V4(*address),
        Host::Ipv6(address) => IpAddr::V6(*address),
    };
    address.is_loopback()
        || METADATA.iter().any(|metadata| metadata.parse::<IpAddr>().is_ok_and(|known| known == address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_goes_to_this_machine_only() {
        for fine in [
            "https://ec2.us-east-1.amazonaws.com/",
            "http://127.0.0.1:4566/",
            "http://127.8.8.8/",
            "http://[::1]:4566/",
            "http://LOCALHOST:4566/",
            "http://169.254.169.254/latest/api/token",
            "http://169.254.170.2/v2/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
        ] {
            assert!(refused(fine).is_none(), "{fine}");
        }
        for (elsewhere, named) in [
            ("http://192.0.2.1:9/", "http://192.0.2.1:9"),
            ("HTTP://ec2.us-east-1.amazonaws.com/", "http://ec2.us-east-1.amazonaws.com"),
            ("http://127.0.0.1@example.com/", "http://example.com"),
            ("http://localhost.example.com/", "http://localhost.example.com"),
            ("http://169.254.169.253/", "http://169.254.169.253"),
            ("http://[::2]:80/", "http://[::2]"),
            ("http://localhost:99999/", "http://localhost:99999/"),
        ] {
            assert_eq!(
                refused(elsewhere).map(|refused| refused.endpoint).as_deref(),
                Some(named),
                "{elsewhere}"
            );
        }
    }
}
