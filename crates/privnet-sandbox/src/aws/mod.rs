//! The AWS sandbox: EC2 (2016-11-15), ELBv2 (2015-12-01), Auto Scaling (2011-01-01) and STS (2011-06-15) over the Query
//! protocol, on one endpoint.
//!
//! Which API a request is for is read from the scope of its signature, or else from `Version`. The account is the access
//! key's, the region the signature's. Requests are decoded and answers are written by the published shapes
//! (`model.json`); between them are handlers over one `world`.
//!
//! | module | is |
//! |---|---|
//! | `model`, `decode`, `xml`, `error` | the protocol |
//! | `call`, `filter`, `page`, `rates`, `tokens` | what every action shares |
//! | `world` | objects and their times; the default world |
//! | `ec2`, `elb`, `autoscaling`, `sts` | the actions |
//! | `consumers` | who raises connection requests |

mod autoscaling;
mod call;
mod consumers;
mod decode;
mod ec2;
mod elb;
mod error;
mod filter;
mod ids;
mod model;
mod page;
mod rates;
mod sts;
mod summary;
mod tokens;
mod world;
mod xml;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::frame::{
    Answer, Buckets, CloudServer, Exchange, Failure, KnownBy, Moment, Requests, SandboxError, Setup, Store,
};

use call::{Call, Handler, Signature, Tx};
use error::ApiError;
use model::Api;
use world::World;

/// The AWS sandbox over a folder.
#[derive(Debug)]
pub struct Aws {
    store: Store<World>,
    buckets: Buckets,
    setup: Setup,
}

impl Aws {
    /// Opens `aws.json` in the setup's folder.
    pub fn open(setup: &Setup) -> Result<Self, SandboxError> {
        Ok(Self { store: Store::open(&setup.dir, "aws")?, buckets: Buckets::default(), setup: setup.clone() })
    }

    fn dir(&self) -> PathBuf {
        self.setup.dir.clone()
    }

    /// Brings the world up to `now`.
    fn tick(&self, tx: &mut Tx, now: Timestamp) {
        consumers::tick(tx, &self.dir(), now, Requests::open(&self.setup.dir).since());
        autoscaling::tick(tx, now);
    }

    /// One request from form to reply. The error is for the API that the request turned out to be for.
    fn reply(&self, exchange: &Exchange, moment: Moment) -> Result<(Api, String, Value), (Api, ApiError)> {
        let request = Request::read(exchange);
        let api = request.api.unwrap_or(Api::Ec2);
        let fail = |error| (api, error);
        let handler = request.handler().map_err(fail)?;
        let signature = request.signature.clone().ok_or_else(|| fail(unsigned()))?;
        let input = decode::decode(api, &request.action, &request.form).map_err(fail)?;
        let run = |tx: &mut Tx| {
            // A stale answer is about the past; what comes to pass in it would be thrown away.
            if !moment.stale {
                self.tick(tx, moment.now);
            }
            let lag = SignedDuration::try_from(self.setup.list_lag).unwrap_or_default();
            let caller = sts::caller(tx, &signature);
            let call = Call {
                api,
                action: request.action.clone(),
                scope: world::Scope::new(&caller.account, &signature.region),
                caller,
                now: moment.now,
                lag,
                input,
            };
            self.run(tx, &call, handler)
        };
        let result = if moment.stale { self.store.transact_stale(run) } else { self.store.transact(run) };
        match result {
            Ok(Ok(reply)) => Ok((api, request.action, reply)),
            Ok(Err(error)) => Err(fail(error)),
            Err(error) => {
                tracing::error!(%error, "the AWS sandbox's state cannot be used");
                Err(fail(ApiError::new(internal(api), error.to_string())))
            }
        }
    }

    /// Rate, dry run, then the handler; a failure takes back what the handler changed.
    fn run(&self, tx: &mut Tx, call: &Call, handler: Handler) -> error::Reply {
        let (key, bucket) = rates::bucket(call);
        if self.setup.rate_limits && !self.buckets.take(&key, bucket, call.now) {
            return Err(throttled(call.api));
        }
        if call.input.get("DryRun") == Some(&Value::Bool(true)) {
            let why = "Request would have succeeded, but DryRun flag is set.";
            return Err(ApiError::new("DryRunOperation", why));
        }
        let before = tx.checkpoint();
        let reply = tokens::once(tx, call, handler);
        if reply.is_err() {
            tx.restore(before);
        }
        reply
    }
}

/// A request as far as it can be read without the world.
struct Request {
    signature: Option<Signature>,
    api: Option<Api>,
    action: String,
    form: Vec<(String, String)>,
}

impl Request {
    fn read(exchange: &Exchange) -> Self {
        // Parameters come in the body of a POST, or in the query of a GET.
        let text = if exchange.body.is_empty() { exchange.query.as_bytes() } else { &exchange.body };
        let mut form: Vec<(String, String)> = url::form_urlencoded::parse(text).into_owned().collect();
        let mut take = |name: &str| {
            let at = form.iter().position(|(key, _)| key == name)?;
            Some(form.remove(at).1)
        };
        let action = take("Action").unwrap_or_default();
        let version = take("Version");
        let signature = Signature::read(exchange);
        let by_scope = signature.as_ref().and_then(|signature| Api::from_scope(&signature.service));
        let api = by_scope.or_else(|| version.as_deref().and_then(Api::from_version));
        Self { signature, api, action, form }
    }

    fn handler(&self) -> Result<Handler, ApiError> {
        let found = match self.api {
            Some(Api::Ec2) => ec2::handler(&self.action),
            Some(Api::Elb) => elb::handler(&self.action),
            Some(Api::Scaling) => autoscaling::handler(&self.action),
            Some(Api::Sts) => sts::handler(&self.action),
            None => None,
        };
        found.ok_or_else(|| {
            let why = format!("The action {} is not valid for this web service.", self.action);
            ApiError::new("InvalidAction", why)
        })
    }
}

impl CloudServer for Aws {
    fn cloud(&self) -> &'static str {
        "aws"
    }

    fn action(&self, exchange: &Exchange) -> String {
        Request::read(exchange).action
    }

    fn is_read(&self, exchange: &Exchange) -> bool {
        self.action(exchange).starts_with("Describe")
    }

    fn answer(&self, exchange: &Exchange, moment: Moment) -> Answer {
        let request_id = uuid::Uuid::new_v4().to_string();
        let (api, action, reply) = match self.reply(exchange, moment) {
            Ok(reply) => reply,
            Err((api, error)) => return error.answer(api, &request_id),
        };
        match xml::document(api, &action, &reply, &request_id) {
            Ok(text) => Answer::xml(200, text).with_header("x-amzn-requestid", request_id),
            Err(error) => {
                tracing::error!(%error, "an answer is not as published");
                ApiError::new(internal(api), error.to_string()).answer(api, &request_id)
            }
        }
    }

    fn failure(&self, exchange: &Exchange, failure: &Failure) -> Answer {
        let api = Request::read(exchange).api.unwrap_or(Api::Ec2);
        let error = match failure {
            Failure::Throttled => throttled(api),
            Failure::Internal => ApiError::new(internal(api), "An internal error has occurred"),
            Failure::Code(code) => {
                ApiError::new(code.clone(), format!("{code}: asked for by a fault specification"))
            }
        };
        error.answer(api, &uuid::Uuid::new_v4().to_string())
    }

    fn describe_world(&self, now: Timestamp) -> Value {
        let read = self.store.transact(|tx| {
            self.tick(tx, now);
            summary::of(tx, now)
        });
        read.unwrap_or_else(|error| serde_json::json!({"error": error.to_string()}))
    }

    fn knows(&self, service: &str, now: Timestamp) -> Option<KnownBy> {
        self.store
            .transact(|tx| {
                self.tick(tx, now);
                consumers::knows(tx, service, now)
            })
            .ok()?
    }

    fn connect(&self, service: &str, consumer: Option<&str>, now: Timestamp) -> Result<Value, String> {
        let connected = self.store.transact(|tx| {
            self.tick(tx, now);
            consumers::connect(tx, service, consumer, now)
        });
        connected.unwrap_or_else(|error| Err(error.to_string()))
    }

    fn variables(&self, url: &str) -> Vec<(String, String)> {
        let (key, _) = world::ids::KEYS[0];
        [
            ("AWS_ENDPOINT_URL", url),
            ("AWS_ACCESS_KEY_ID", key),
            ("AWS_SECRET_ACCESS_KEY", world::ids::SECRET),
            ("AWS_REGION", "us-east-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }
}

fn unsigned() -> ApiError {
    ApiError::new("MissingAuthenticationToken", "Request is missing Authentication Token")
}

fn throttled(api: Api) -> ApiError {
    match api {
        Api::Ec2 => ApiError::new("RequestLimitExceeded", "Request limit exceeded."),
        _ => ApiError::new("Throttling", "Rate exceeded"),
    }
}

fn internal(api: Api) -> &'static str {
    if api == Api::Ec2 { "InternalError" } else { "InternalFailure" }
}
