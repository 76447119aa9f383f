//! The cloud as the frame sees it.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::Value;

use super::api::API;
use super::call::{Call, PREFIX};
use super::error::{ApiError, OperationError};
use super::hold::Hold;
use super::link::{self, Scope};
use super::list;
use super::operation::{self, Start};
use super::world::World;
use super::{batch, consumer, default_world, kinds, metadata, settle, token};
use crate::frame::{
    Answer, Bucket, Buckets, Clock, CloudServer, Exchange, Failure, KnownBy, Moment, Requests, SandboxError,
    Setup, Store, Transaction,
};

/// Mutations of a project in a region: 1500 a minute, from "Rate quotas" of the Compute Engine API.
const MUTATIONS: Bucket = Bucket::new(1500.0, 25.0);
/// Reads of a project in a region: 1500 a minute and more for lists; one bucket for both.
const READS: Bucket = Bucket::new(3000.0, 50.0);

/// GCP compute v1.
#[derive(Debug)]
pub struct Gcp {
    store: Store<World>,
    buckets: Option<Buckets>,
    /// The last time that a request came with: a failed operation that a fault asks for begins then.
    seen: Mutex<Timestamp>,
    /// What `wait` looks at while it holds a request; without one it answers at once.
    clock: Option<Clock>,
    requests: Requests,
}

impl Gcp {
    /// Opens the world in the setup's folder.
    pub fn open(setup: &Setup) -> Result<Self, SandboxError> {
        Ok(Self {
            store: Store::open(&setup.dir, "gcp")?,
            buckets: setup.rate_limits.then(Buckets::default),
            seen: Mutex::new(default_world::epoch()),
            clock: Some(Clock::open(&setup.dir, None)?),
            requests: Requests::open(&setup.dir),
        })
    }

    /// The same, but `wait` answers at once: for tests that pass time themselves.
    #[cfg(test)]
    pub(super) fn without_holding(mut self) -> Self {
        self.clock = None;
        self
    }

    fn see(&self, now: Timestamp) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    fn answered(&self, exchange: &Exchange, moment: Moment) -> Result<Value, ApiError> {
        credentials(exchange)?;
        let first = self.answered_once(exchange, moment, self.buckets.as_ref())?;
        let waits = exchange.method == "POST" && exchange.path.ends_with("/wait") && !moment.stale;
        let Some(clock) = self.clock.as_ref().filter(|_| waits) else { return Ok(first) };
        let (hold, mut answer) = (Hold::begin(clock, moment.now), first);
        while answer["status"] != "DONE" && hold.sleep_towards(self.end_of(&answer)) {
            answer = self.answered_once(exchange, Moment::at(hold.now()), None)?;
        }
        Ok(answer)
    }

    /// When the operation ends that is shown; at once, if it is not there any more.
    fn end_of(&self, shown: &Value) -> Timestamp {
        let path = shown["selfLink"].as_str().map(link::path).unwrap_or_default();
        let found = self.store.transact(|world| operation::find(world, path).map(|(_, found)| found.ends));
        found.ok().and_then(Result::ok).unwrap_or(Timestamp::MIN)
    }

    fn answered_once(
        &self,
        exchange: &Exchange,
        moment: Moment,
        buckets: Option<&Buckets>,
    ) -> Result<Value, ApiError> {
        let run = |world: &mut Transaction<World>| run(world, exchange, moment, buckets, &self.requests);
        let answer = if moment.stale { self.store.transact_stale(run) } else { self.store.transact(run) };
        answer.unwrap_or_else(|error| {
            tracing::error!(%error, "the GCP world cannot be used");
            Err(ApiError::named("backendError"))
        })
    }
}

/// Answers a request within a transaction; a read of a settled world leaves it unchanged.
fn run(
    world: &mut Transaction<World>,
    exchange: &Exchange,
    moment: Moment,
    buckets: Option<&Buckets>,
    requests: &Requests,
) -> Result<Value, ApiError> {
    let now = moment.now;
    // A lagging replica has not heard of what is due.
    if !moment.stale && settle::is_due(world, now, requests) {
        settle::settle(world, now, requests);
    }
    let call = Call::read(world, exchange, now)?;
    let reads = is_read(exchange);
    if let Some(buckets) = buckets {
        let (name, bucket) = if reads { ("read", READS) } else { ("mutate", MUTATIONS) };
        let key = format!("{} {} {name}", call.project, kinds::region(&call));
        if !buckets.take(&key, bucket, now) {
            return Err(ApiError::rate_limit(&format!("compute.googleapis.com/{name}_requests_per_region")));
        }
    }
    if reads { kinds::read(world, &call) } else { kinds::write(world, &call) }
}

/// Anybody may call, with any bearer token or none; a token that is there but is none is refused.
fn credentials(exchange: &Exchange) -> Result<(), ApiError> {
    match exchange.header("authorization") {
        Some(text) if text.strip_prefix("Bearer ").is_none_or(|token| token.trim().is_empty()) => {
            Err(ApiError::unauthenticated())
        }
        _ => Ok(()),
    }
}

fn relative(exchange: &Exchange) -> &str {
    exchange.path.strip_prefix(PREFIX).unwrap_or(&exchange.path).trim_end_matches('/')
}

fn is_read(exchange: &Exchange) -> bool {
    const READING: [&str; 5] =
        ["wait", "getHealth", "listInstances", "listNetworkEndpoints", "listManagedInstances"];
    exchange.method == "GET"
        || API
            .route(&exchange.method, relative(exchange))
            .is_some_and(|route| READING.contains(&route.method.verb()))
}

fn error(error: &ApiError) -> Answer {
    Answer::json(error.status, &error.body())
}

impl CloudServer for Gcp {
    fn cloud(&self) -> &'static str {
        "gcp"
    }

    fn action(&self, exchange: &Exchange) -> String {
        match API.route(&exchange.method, relative(exchange)) {
            Some(route) => route.method.id.clone(),
            None => format!("{} {}", exchange.method, exchange.path),
        }
    }

    fn is_read(&self, exchange: &Exchange) -> bool {
        is_read(exchange)
    }

    fn answer(&self, exchange: &Exchange, moment: Moment) -> Answer {
        self.see(moment.now);
        if let Some(answer) = token::answer(exchange).or_else(|| metadata::answer(exchange)) {
            return answer;
        }
        if batch::PATHS.contains(&exchange.path.as_str()) {
            return batch::answer(exchange, |inner| self.answer(inner, moment));
        }
        match self.answered(exchange, moment) {
            Ok(body) => Answer::json(200, &body),
            Err(why) => error(&why),
        }
    }

    /// A code in capitals (`QUOTA_EXCEEDED`) is that of an operation: the request is answered with HTTP 200 and an
    /// operation that fails. Another one is the reason of an HTTP error.
    fn failure(&self, exchange: &Exchange, failure: &Failure) -> Answer {
        let code = match failure {
            Failure::Throttled => {
                return error(&ApiError::rate_limit("compute.googleapis.com/mutate_requests"));
            }
            Failure::Internal => return error(&ApiError::named("backendError")),
            Failure::Code(code) => code,
        };
        let capitals = code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        if !capitals || is_read(exchange) {
            return error(&ApiError::named(code));
        }
        let now = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = self.store.transact(|world| fail_later(world, exchange, code, now));
        match failed {
            Ok(Ok(body)) => Answer::json(200, &body),
            Ok(Err(why)) => error(&why),
            Err(_) => error(&ApiError::named("backendError")),
        }
    }

    fn without_place(&self, answer: Answer, place: &str) -> Answer {
        let Ok(mut body) = serde_json::from_slice(&answer.body) else { return answer };
        list::without_place(&mut body, place);
        Answer { body: body.to_string().into_bytes(), ..answer }
    }

    fn describe_world(&self, now: Timestamp) -> Value {
        let described = self.store.transact(|world| {
            if settle::is_due(world, now, &self.requests) {
                settle::settle(world, now, &self.requests);
            }
            default_world::describe(world)
        });
        described.unwrap_or_else(|error| Value::String(error.to_string()))
    }

    fn knows(&self, service: &str, now: Timestamp) -> Option<KnownBy> {
        let known = self.store.transact(|world| {
            if settle::is_due(world, now, &self.requests) {
                settle::settle(world, now, &self.requests);
            }
            consumer::knows(world, service)
        });
        known.ok()?
    }

    fn connect(&self, service: &str, consumer: Option<&str>, now: Timestamp) -> Result<Value, String> {
        let connected = self.store.transact(|world| {
            if settle::is_due(world, now, &self.requests) {
                settle::settle(world, now, &self.requests);
            }
            consumer::connect(world, service, consumer, now)
        });
        connected.map_err(|error| error.to_string())?
    }

    fn variables(&self, url: &str) -> Vec<(String, String)> {
        let set = |name: &str, value: String| (name.to_owned(), value);
        vec![
            set("PRIVNET_GCP_COMPUTE_URL", url.to_owned()),
            set("PRIVNET_INSECURE_LOOPBACK_CREDENTIALS", "1".to_owned()),
            set("CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE", format!("{url}{PREFIX}")),
            set("CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "true".to_owned()),
            set("CLOUDSDK_CORE_PROJECT", default_world::PRODUCER.to_owned()),
            set("GOOGLE_COMPUTE_CUSTOM_ENDPOINT", format!("{url}{PREFIX}")),
            set("GOOGLE_OAUTH_ACCESS_TOKEN", "sandbox".to_owned()),
            set("GOOGLE_CLOUD_PROJECT", default_world::PRODUCER.to_owned()),
        ]
    }

    fn in_code(&self, url: &str) -> Vec<String> {
        vec![
            "# google-api-python-client reads no variable that names the endpoint. In Python:".to_owned(),
            "import googleapiclient.discovery".to_owned(),
            format!(
                "compute = googleapiclient.discovery.build(\"compute\", \"v1\", client_options={{\"api_endpoint\": \"{url}{PREFIX}\"}})"
            ),
        ]
    }
}

/// An operation that fails and changes nothing.
fn fail_later(world: &mut World, exchange: &Exchange, code: &str, now: Timestamp) -> Result<Value, ApiError> {
    let call = Call::read(world, exchange, now)?;
    let mut target = call.target(world);
    if call.method.verb() == "insert" {
        let name = call.body.get("name").and_then(Value::as_str).unwrap_or_default();
        target = format!("{}/{name}", call.parent());
    }
    let target_id = world.fresh_id();
    let scope: &Scope = &call.scope;
    let start = Start {
        project: &call.project,
        scope,
        kind: call.method.verb(),
        target: &target,
        target_id,
        seconds: 4,
        effects: Vec::new(),
        error: Some(OperationError::named(code)),
        request_id: call.query("requestId").map(str::to_owned),
    };
    let path = operation::start(world, start, now);
    world
        .operations
        .get(&path)
        .map(|found| operation::render(found, now))
        .ok_or_else(|| ApiError::not_found(&path))
}
