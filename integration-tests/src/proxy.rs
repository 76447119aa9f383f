//! A proxy in front of a local cloud that spoils one request: the sandbox itself knows nothing of it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, OnceCell};
use tokio_util::sync::CancellationToken;

/// What happens to the request in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A server error, without the effect.
    FailBefore,
    /// The effect, but the connection is closed without an answer.
    Lost,
    /// The connection is closed before the request is passed on.
    Reset,
    /// "Too many requests", in the words of the protocol.
    Throttle,
    /// A read is answered as it was the last time; a write goes through.
    Stale,
    /// The process that sent it is killed before the effect.
    KillBefore,
    /// The process that sent it is killed after the effect.
    KillAfter,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 7] = [
        Self::FailBefore,
        Self::Lost,
        Self::Reset,
        Self::Throttle,
        Self::Stale,
        Self::KillBefore,
        Self::KillAfter,
    ];
}

/// Which request is spoiled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The nth of all, counted from 0.
    At(usize),
    /// The nth of this name, counted from 0: what goes at once comes in another order in each run.
    Nth(String, usize),
    /// The nth of this name that was answered before in the same words: an older answer can be given again.
    Again(String, usize),
}

impl Place {
    /// Whether the last of these requests is the one.
    fn is_last(&self, requests: &[Request]) -> bool {
        let Some(last) = requests.last() else { return false };
        match self {
            Self::At(at) => requests.len() == at + 1,
            Self::Nth(name, nth) => last.action == *name && of_name(requests, name).count() == nth + 1,
            Self::Again(name, nth) => {
                let again = || of_name(requests, name).filter(|request| request.again);
                last.action == *name && last.again && again().count() == nth + 1
            }
        }
    }

    /// The last place of this kind that these requests have: for a run that sends fewer of them.
    #[must_use]
    pub fn last_in(&self, requests: &[Request]) -> Self {
        match self {
            Self::At(_) => Self::At(requests.len().saturating_sub(1)),
            Self::Nth(name, _) => Self::Nth(name.clone(), of_name(requests, name).count().saturating_sub(1)),
            Self::Again(name, _) => {
                let again = of_name(requests, name).filter(|request| request.again).count();
                Self::Again(name.clone(), again.saturating_sub(1))
            }
        }
    }
}

fn of_name<'a>(requests: &'a [Request], name: &'a str) -> impl Iterator<Item = &'a Request> {
    requests.iter().filter(move |request| request.action == name)
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its name: the protocol's action, or method and path.
    pub action: String,
    /// Whether it is a read that was answered before in the same words.
    pub again: bool,
}

/// Why a fault had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Idle {
    /// The run was over, or killed, before it sent so many requests.
    NotReached,
    /// A stale answer at a write, or at a read that was not answered before in the same words.
    NothingStale,
}

/// A request that was passed on and answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Its name, as in [`Proxy::actions`].
    pub action: String,
    /// When it came, since the proxy began.
    pub began: Duration,
    /// When its answer was there.
    pub ended: Duration,
}

/// A proxy that is being served on loopback. Dropping it stops it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

/// What the proxy does now; exchanges that have begun go on with what it did before.
#[derive(Debug)]
struct Shared {
    script: Mutex<Arc<Script>>,
    gate: Option<Gate>,
}

/// Where the first write of each of several proxies waits for those of the others.
#[derive(Debug)]
struct Gate {
    barrier: Arc<Barrier>,
    open: OnceCell<()>,
}

/// How long the others are waited for: one that fails before it writes does not keep them for ever.
const GATE: Duration = Duration::from_secs(90);

impl Gate {
    async fn pass(&self) {
        let together = || async {
            let _ = tokio::time::timeout(GATE, self.barrier.wait()).await;
        };
        self.open.get_or_init(together).await;
    }
}

#[derive(Debug)]
struct Script {
    upstream: String,
    faults: Vec<(Place, Fault)>,
    /// The faults at requests that came, by their place in the list: what kept each from having its effect, if anything did.
    tried: Mutex<BTreeMap<usize, Option<Idle>>>,
    answers: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
    requests: Mutex<Vec<Request>>,
    exchanges: Mutex<Vec<Exchange>>,
    started: Instant,
    kill: CancellationToken,
}

impl Script {
    fn new(upstream: &str, faults: Vec<(Place, Fault)>) -> Arc<Self> {
        Arc::new(Self {
            upstream: upstream.trim_start_matches("http://").trim_end_matches('/').to_owned(),
            faults,
            tried: Mutex::default(),
            answers: Mutex::default(),
            requests: Mutex::default(),
            exchanges: Mutex::default(),
            started: Instant::now(),
            kill: CancellationToken::new(),
        })
    }
}

impl Proxy {
    /// Serves a proxy to `upstream` (`http://127.0.0.1:PORT`) that spoils these requests, counted from 0.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(upstream: &str, faults: Vec<(usize, Fault)>) -> io::Result<Self> {
        Self::start_at(upstream, counted(faults)).await
    }

    /// The same with other ways to say which request.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start_at(upstream: &str, faults: Vec<(Place, Fault)>) -> io::Result<Self> {
        Self::start_with(upstream, faults, None).await
    }

    /// Serves a proxy that spoils nothing, and holds writes until as many proxies as the barrier is for have one.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start_behind(upstream: &str, barrier: Arc<Barrier>) -> io::Result<Self> {
        Self::start_with(upstream, Vec::new(), Some(Gate { barrier, open: OnceCell::new() })).await
    }

    async fn start_with(upstream: &str, faults: Vec<(Place, Fault)>, gate: Option<Gate>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { script: Mutex::new(Script::new(upstream, faults)), gate });
        let stop = CancellationToken::new();
        let (accepting, serving) = (stop.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = accepting.cancelled() => return,
                };
                if let Ok((client, _)) = accepted {
                    let shared = Arc::clone(&serving);
                    tokio::spawn(async move { while matches!(shared.exchange(&client).await, Ok(true)) {} });
                }
            }
        });
        Ok(Self { address, shared, stop })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Begins anew at the same address: requests go to `upstream` and are counted from 0, and these are spoiled. So clients that are
    /// made once can be used for many points.
    pub fn turn_to(&self, upstream: &str, faults: Vec<(Place, Fault)>) {
        *self.shared.script.lock().unwrap_or_else(PoisonError::into_inner) = Script::new(upstream, faults);
    }

    /// The faults that had no effect, by their place in the list: a point of a sweep shows something only where its faults had
    /// theirs. Of two faults at one request the first one has it.
    #[must_use]
    pub fn idle(&self) -> BTreeMap<usize, Idle> {
        let script = self.shared.script();
        let tried = script.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let why = |at: &usize| tried.get(at).copied().unwrap_or(Some(Idle::NotReached));
        (0..script.faults.len()).filter_map(|at| Some((at, why(&at)?))).collect()
    }

    /// Each request that it has seen.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.script().requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The name of each request that it has seen: the protocol's action, or method and path.
    #[must_use]
    pub fn actions(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.action).collect()
    }

    /// Each request that was answered, in the order of the answers.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.shared.script().exchanges.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Is cancelled when the process is to be killed.
    #[must_use]
    pub fn kill(&self) -> CancellationToken {
        self.shared.script().kill.clone()
    }
}

/// Faults at requests that are counted from 0.
fn counted(faults: Vec<(usize, Fault)>) -> Vec<(Place, Fault)> {
    faults.into_iter().map(|(at, fault)| (Place::At(at), fault)).collect()
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    fn script(&self) -> Arc<Script> {
        Arc::clone(&self.script.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One request and its answer; whether the connection goes on.
    async fn exchange(&self, client: &TcpStream) -> io::Result<bool> {
        let Some(request) = read_message(client, true).await? else { return Ok(false) };
        if let Some(gate) = self.gate.as_ref().filter(|_| !is_read(&action_of(&request))) {
            gate.pass().await;
        }
        self.script().exchange(client, request).await
    }
}

impl Script {
    async fn exchange(&self, client: &TcpStream, request: Vec<u8>) -> io::Result<bool> {
        let action = action_of(&request);
        let key = key_of(&request);
        let before = self.answers.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let before = before.filter(|_| is_read(&action));
        let fault = self.fault_at(Request { action: action.clone(), again: before.is_some() });
        match fault {
            Some(Fault::Reset) => return Ok(false),
            Some(Fault::KillBefore) => {
                self.kill.cancel();
                return Ok(false);
            }
            Some(Fault::FailBefore) => {
                write_all(client, b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await?;
                return Ok(true);
            }
            Some(Fault::Throttle) => {
                write_all(client, &throttled(&request)).await?;
                return Ok(true);
            }
            Some(Fault::Lost | Fault::KillAfter | Fault::Stale) | None => {}
        }
        if let (Some(Fault::Stale), Some(before)) = (fault, before) {
            write_all(client, &before).await?;
            return Ok(true);
        }
        let began = self.started.elapsed();
        let answer = self.pass_on(&request).await?;
        let exchange = Exchange { action, began, ended: self.started.elapsed() };
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
        match fault {
            Some(Fault::Lost) => return Ok(false),
            Some(Fault::KillAfter) => {
                self.kill.cancel();
                return Ok(false);
            }
            _ => {}
        }
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(key, answer.clone());
        write_all(client, &answer).await?;
        Ok(true)
    }

    /// Notes that a request came; the fault at it.
    fn fault_at(&self, request: Request) -> Option<Fault> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let again = request.again;
        requests.push(request);
        let nth = self.faults.iter().position(|(place, _)| place.is_last(&requests))?;
        let fault = self.faults.get(nth)?.1;
        let idle = (fault == Fault::Stale && !again).then_some(Idle::NothingStale);
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).insert(nth, idle);
        Some(fault)
    }

    async fn pass_on(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        let upstream = TcpStream::connect(&self.upstream).await?;
        write_all(&upstream, request).await?;
        read_message(&upstream, false).await?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
    }
}

/// Whether a request of this name reads only.
#[must_use]
pub fn is_read(action: &str) -> bool {
    let reading = ["/wait", "/getHealth", "/listNetworkEndpoints"];
    action.starts_with("Describe")
        || action.starts_with("Get")
        || action.starts_with("GET ")
        || (action.starts_with("POST ") && reading.iter().any(|end| action.ends_with(end)))
}

/// The action of a Query request, or method and path. An operation has another id in each run, and the same name.
fn action_of(request: &[u8]) -> String {
    let body = String::from_utf8_lossy(without_head(request));
    let action = body.split('&').find_map(|pair| pair.strip_prefix("Action="));
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let line = line.split('?').next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    action.map_or_else(|| without_operation(&line), str::to_owned)
}

/// The path of an operation, without its id.
fn without_operation(line: &str) -> String {
    let mut parts: Vec<&str> = line.split('/').collect();
    // Compute Engine's are called `operation-…`.
    parts.iter_mut().filter(|part| part.starts_with("operation-")).for_each(|part| *part = "operation");
    // `operations`, `operationResults`, `privateEndpointConnectionAzureAsyncOperation`: providers have their own words.
    let operations = |part: &&str| {
        let part = part.to_lowercase();
        ["operations", "operationresults", "asyncoperation"].iter().any(|end| part.ends_with(end))
    };
    let of_azure = line.contains("/locations/");
    if let Some(id) =
        parts.iter().position(operations).filter(|_| of_azure).and_then(|at| parts.get_mut(at + 1))
    {
        *id = "ID";
    }
    parts.join("/")
}

/// What a request asks for: its first line and its body. Two reads with the same are the same read.
fn key_of(request: &[u8]) -> Vec<u8> {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    [line, without_head(request)].concat()
}

fn without_head(message: &[u8]) -> &[u8] {
    message.windows(4).position(|window| window == b"\r\n\r\n").map_or(&[], |end| &message[end + 4..])
}

/// "Too many requests" as EC2, the other Query services, Azure Resource Manager or Google's APIs say it.
fn throttled(request: &[u8]) -> Vec<u8> {
    let body = String::from_utf8_lossy(without_head(request));
    let path = action_of(request);
    let (status, kind, said) = if body.contains("Version=2016-11-15") {
        let xml = "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message>\
                   </Error></Errors><RequestID>00000000-0000-0000-0000-000000000000</RequestID></Response>";
        ("503 Service Unavailable", "text/xml", xml)
    } else if body.contains("Action=") {
        let xml = "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message>\
                   </Error><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>";
        ("400 Bad Request", "text/xml", xml)
    } else if path.contains(" /subscriptions/") {
        let json = r#"{"error":{"code":"SubscriptionRequestsThrottled","message":"Number of requests for subscription exceeded the limit. Please try again after '1' seconds."}}"#;
        ("429 Too Many Requests\r\nRetry-After: 1", "application/json", json)
    } else {
        let json = r#"{"error":{"code":429,"message":"Too many requests","errors":[{"message":"Too many requests","domain":"usageLimits","reason":"rateLimitExceeded"}]}}"#;
        ("429 Too Many Requests", "application/json", json)
    };
    format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{said}", said.len())
        .into_bytes()
}

/// Reads one HTTP/1.1 message with its body (by length, in chunks, or for answers until the end). `None` at the end.
async fn read_message(stream: &TcpStream, request: bool) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    let head_end = loop {
        if let Some(end) = message.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if !read_some(stream, &mut message).await? {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&message[..head_end]).to_ascii_lowercase();
    let header =
        |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).map(str::to_owned);
    if let Some(length) = header("content-length:").and_then(|length| length.parse::<usize>().ok()) {
        while message.len() < head_end + length {
            if !read_some(stream, &mut message).await? {
                break;
            }
        }
    } else if header("transfer-encoding:").is_some_and(|encoding| encoding.contains("chunked")) {
        while !message.ends_with(b"0\r\n\r\n") {
            if !read_some(stream, &mut message).await? {
                break;
            }
        }
    } else if !request && !head.starts_with("http/1.1 204") {
        while read_some(stream, &mut message).await? {}
    }
    Ok(Some(message))
}

async fn read_some(stream: &TcpStream, into: &mut Vec<u8>) -> io::Result<bool> {
    let mut chunk = vec![0; 16 * 1024];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut chunk) {
            Ok(0) => return Ok(false),
            Ok(read) => {
                into.extend_from_slice(&chunk[..read]);
                return Ok(true);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
