//! Starts the listeners of all clouds, and stops them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::clock::Clock;
use super::cloud::{CloudServer, Setup};
use super::error::SandboxError;
use super::faults::Faults;
use super::http_server::{Shared, serve_connection};
use super::recorder::Recorder;
use super::requests::Requests;

/// How a sandbox is served.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of the state.
    pub dir: PathBuf,
    /// The first port: AWS; then Azure, GCP, Azure over HTTPS, DNS (UDP), and GCP over HTTPS follow. 0 takes free ports.
    pub port: u16,
    /// Waited before each request is looked at, in real time.
    pub latency: Duration,
    /// Sandbox seconds in a real one; `None` keeps what the folder has ([`super::DEFAULT_SPEED`] for a new one).
    pub speed: Option<f64>,
    /// Where exchanges are recorded.
    pub record: Option<PathBuf>,
    /// Fault specifications; see [`super::Fault`].
    pub faults: Vec<String>,
    /// How long a new object or tag is missing from lists and tag-filtered reads, in sandbox time.
    pub list_lag: Duration,
    /// Whether the documented request rates are enforced.
    pub rate_limits: bool,
    /// Whether consumers are kept from asking by themselves from the start; see [`super::Requests`].
    pub hold_requests: bool,
    /// Whether application default credentials of the sandbox's own are written into the folder and named among the variables. They
    /// hold this server's address: of several servers of one folder only one may.
    pub credentials: bool,
}

impl Options {
    /// Free ports, no latency, no faults, no record, a list lag of one second, rates enforced.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let setup = Setup::new(dir);
        Self {
            dir: setup.dir,
            port: 0,
            latency: Duration::ZERO,
            speed: None,
            record: None,
            faults: Vec::new(),
            list_lag: setup.list_lag,
            rate_limits: setup.rate_limits,
            hold_requests: false,
            credentials: false,
        }
    }

    /// The part of the options that the clouds are opened with.
    pub fn setup(&self) -> Setup {
        Setup { dir: self.dir.clone(), list_lag: self.list_lag, rate_limits: self.rate_limits }
    }
}

/// A sandbox that is being served, on loopback only. Dropping it stops the listeners without waiting.
#[derive(Debug)]
pub struct Running {
    urls: BTreeMap<&'static str, String>,
    variables: BTreeMap<&'static str, Vec<(String, String)>>,
    in_code: BTreeMap<&'static str, Vec<String>>,
    dns: SocketAddr,
    https: BTreeMap<&'static str, (String, PathBuf)>,
    clock: Arc<Clock>,
    requests: Requests,
    faults: Arc<Faults>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Running {
    /// A cloud's base URL without a slash at the end; `None` when this build does not have the cloud.
    pub fn url(&self, cloud: &str) -> Option<&str> {
        self.urls.get(cloud).map(String::as_str)
    }

    /// The environment variables that point a cloud's clients at this sandbox.
    pub fn variables(&self, cloud: &str) -> &[(String, String)] {
        self.variables.get(cloud).map_or(&[], Vec::as_slice)
    }

    /// How a cloud's clients are pointed at this sandbox that no variable can point: lines of Python, under `#` for their words.
    pub fn in_code(&self, cloud: &str) -> &[String] {
        self.in_code.get(cloud).map_or(&[], Vec::as_slice)
    }

    /// The clouds that are served.
    pub fn clouds(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.urls.keys().copied()
    }

    /// A cloud over HTTPS, for clients that refuse plain HTTP: its base URL, and the PEM file of the CA to trust. AWS's do not.
    pub fn https(&self, cloud: &str) -> Option<(&str, &std::path::Path)> {
        self.https.get(cloud).map(|(url, pem)| (url.as_str(), pem.as_path()))
    }

    /// Azure over HTTPS; see [`https`](Self::https).
    pub fn azure_https(&self) -> Option<(&str, &std::path::Path)> {
        self.https("azure")
    }

    /// The sandbox's name server (UDP).
    pub fn dns(&self) -> SocketAddr {
        self.dns
    }

    /// The sandbox's clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Holds back the requests that consumers raise by themselves, until they are released or the folder is reset. What is
    /// there stays, and a request on demand goes on working.
    pub fn hold_requests(&self) -> Result<(), SandboxError> {
        self.requests.hold()
    }

    /// Lets consumers ask again; those whose time came meanwhile ask at once.
    pub fn release_requests(&self) -> Result<(), SandboxError> {
        self.requests.release(self.clock.now())
    }

    /// The faults; more can be added while it runs.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Stops: no new connections, requests that have begun are answered.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Serves the clouds on loopback until the result is shut down or dropped.
///
/// `clouds` have to be opened with [`Options::setup`] of the same options. Must be called within a tokio runtime.
pub async fn serve(clouds: &[Arc<dyn CloudServer>], options: &Options) -> Result<Running, SandboxError> {
    let clock = Arc::new(Clock::open(&options.dir, options.speed)?);
    let faults = Arc::new(Faults::parse(&options.faults)?);
    let requests = Requests::open(&options.dir);
    if options.hold_requests {
        requests.hold()?;
    }
    let recorder = options.record.as_deref().map(Recorder::open).transpose()?;
    let shared =
        Arc::new(Shared { clock: clock.clone(), faults: faults.clone(), recorder, latency: options.latency });
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let mut running = Running {
        urls: BTreeMap::new(),
        variables: BTreeMap::new(),
        in_code: BTreeMap::new(),
        dns: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        https: BTreeMap::new(),
        clock,
        requests,
        faults,
        stop: stop.clone(),
        tasks: tasks.clone(),
    };
    for cloud in clouds {
        let (name, offset) = (cloud.cloud(), port_offset(cloud.cloud()));
        let (listener, address) = listen(port(options, offset)).await?;
        let url = format!("http://{address}");
        let mut variables = cloud.variables(&url);
        // A proxy of the user's would be asked for this machine, too.
        variables.extend(["NO_PROXY", "no_proxy"].map(|name| (name.to_owned(), LOOPBACK.to_owned())));
        if name == "gcp" && options.credentials {
            let file = super::credentials::write(&options.dir, &url)?;
            variables.push(("GOOGLE_APPLICATION_CREDENTIALS".to_owned(), file.display().to_string()));
        }
        running.variables.insert(name, variables);
        running.in_code.insert(name, cloud.in_code(&url));
        running.urls.insert(name, url);
        tasks.spawn(accept(listener, cloud.clone(), shared.clone(), stop.clone(), tasks.clone()));
    }
    #[cfg(any(feature = "azure", feature = "gcp"))]
    for cloud in clouds {
        serve_https(cloud, options, &shared, &mut running).await?;
    }
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port(options, DNS_OFFSET)))
        .await
        .map_err(|e| SandboxError::io("listen for DNS on loopback", e))?;
    running.dns = socket.local_addr().map_err(|e| SandboxError::io("read the DNS port", e))?;
    tasks.spawn(crate::dns::serve(socket, crate::dns::Names::open(&options.dir)?, stop));
    Ok(running)
}

const DNS_OFFSET: u16 = 4;
/// What is reached without a proxy.
const LOOPBACK: &str = "127.0.0.1,localhost";

/// Azure and GCP over HTTPS too: credentials that are worth something are sent nowhere else.
#[cfg(any(feature = "azure", feature = "gcp"))]
async fn serve_https(
    cloud: &Arc<dyn CloudServer>,
    options: &Options,
    shared: &Arc<Shared>,
    running: &mut Running,
) -> Result<(), SandboxError> {
    let name = cloud.cloud();
    let offset = match name {
        "azure" => 3,
        "gcp" => 5,
        _ => return Ok(()),
    };
    let authority = super::tls::Authority::open(&options.dir)?;
    let acceptor = authority.acceptor()?;
    let (listener, address) = listen(port(options, offset)).await?;
    // Clients may run in another folder than the server.
    let pem = std::path::absolute(authority.pem_path())
        .map_err(|e| SandboxError::io("find the CA's certificate", e))?;
    let url = format!("https://{address}");
    if name == "azure" {
        let variables = running.variables.entry(name).or_default();
        variables.retain(|(name, _)| name != "AZURE_AUTHORITY_HOST");
        variables.push(("AZURE_AUTHORITY_HOST".into(), url.clone()));
        variables.push(("ARM_METADATA_HOSTNAME".into(), address.to_string()));
        variables.push(("REQUESTS_CA_BUNDLE".into(), pem.display().to_string()));
        variables.push(("SSL_CERT_FILE".into(), pem.display().to_string()));
        running.in_code.insert(name, cloud.in_code(&url));
    }
    running.https.insert(name, (url, pem));
    let (cloud, shared, stop, tasks) =
        (cloud.clone(), shared.clone(), running.stop.clone(), running.tasks.clone());
    let spawner = tasks.clone();
    tasks.spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            let Ok((stream, _)) = accepted else { continue };
            let _ = stream.set_nodelay(true);
            let (acceptor, cloud, shared, stop) =
                (acceptor.clone(), cloud.clone(), shared.clone(), stop.clone());
            spawner.spawn(async move {
                match acceptor.accept(stream).await {
                    Ok(stream) => serve_connection(stream, "https", cloud, shared, stop).await,
                    Err(error) => tracing::debug!(%error, "a TLS handshake failed"),
                }
            });
        }
    });
    Ok(())
}

/// Each cloud has its own place after the first port, so that a port does not move when a build has fewer clouds.
fn port_offset(cloud: &str) -> u16 {
    match cloud {
        "aws" => 0,
        "azure" => 1,
        _ => 2,
    }
}

fn port(options: &Options, offset: u16) -> u16 {
    if options.port == 0 { 0 } else { options.port.saturating_add(offset) }
}

async fn listen(port: u16) -> Result<(TcpListener, SocketAddr), SandboxError> {
    let io = |e| SandboxError::io(format!("listen on 127.0.0.1:{port}"), e);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(io)?;
    let address = listener.local_addr().map_err(io)?;
    Ok((listener, address))
}

async fn accept(
    listener: TcpListener,
    cloud: Arc<dyn CloudServer>,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                // Small answers must not wait for the client's acknowledgement.
                let _ = stream.set_nodelay(true);
                tasks.spawn(serve_connection(stream, "http", cloud.clone(), shared.clone(), stop.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}
