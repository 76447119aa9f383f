//! ARM as a client sees it, with time in the test's hand.

#![allow(clippy::needless_pass_by_value, reason = "bodies are written in place")]

mod basics;
mod concurrency;
mod consumers;
mod endpoints;
mod hosted;
mod https;
mod login;
mod machines;
mod networks;
mod nonsense;
mod scale_sets;
mod services;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::AzureServer;
use super::default_world::{CONSUMER, GROUP, OWN};
use crate::frame::{Answer, CloudServer, Exchange, Failure, Moment, Setup};

/// A sandbox whose time stands still unless it is told to pass.
struct Arm {
    server: AzureServer,
    now: Timestamp,
    dir: tempfile::TempDir,
}

/// An answer, unpacked.
struct Reply {
    status: u16,
    body: Value,
    raw: Answer,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.raw
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    #[track_caller]
    fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.body);
    }

    #[track_caller]
    fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    fn state(&self) -> &str {
        self.body["properties"]["provisioningState"].as_str().unwrap_or_default()
    }
}

impl Arm {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut setup = Setup::new(dir.path());
        setup.list_lag = std::time::Duration::ZERO;
        change(&mut setup);
        let server = AzureServer::open(&setup).unwrap();
        Self { server, now: "2026-11-21T10:00:00Z".parse().unwrap(), dir }
    }

    fn pass(&mut self, seconds: i64) {
        self.now = super::world::later(self.now, seconds);
    }

    fn exchange(method: &str, target: &str, body: Option<&Value>) -> Exchange {
        let (path, query) = target.split_once('?').unwrap_or((target, "api-version=2024-05-01"));
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", "Bearer token".parse().unwrap());
        Exchange {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            headers,
            body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default(),
            scheme: "http".into(),
            host: "127.0.0.1:4567".into(),
        }
    }

    fn send(&self, exchange: &Exchange) -> Reply {
        let raw = self.server.answer(exchange, Moment::at(self.now));
        let body = serde_json::from_slice(&raw.body).unwrap_or(Value::Null);
        Reply { status: raw.status, body, raw }
    }

    fn get(&self, target: &str) -> Reply {
        self.send(&Self::exchange("GET", target, None))
    }

    fn put(&self, target: &str, body: Value) -> Reply {
        self.send(&Self::exchange("PUT", target, Some(&body)))
    }

    fn delete(&self, target: &str) -> Reply {
        self.send(&Self::exchange("DELETE", target, None))
    }

    fn post(&self, target: &str, body: Value) -> Reply {
        self.send(&Self::exchange("POST", target, Some(&body)))
    }

    /// PUT, and time until it is settled.
    #[track_caller]
    fn make(&mut self, target: &str, body: Value) -> Reply {
        let reply = self.put(target, body);
        assert!(matches!(reply.status, 200 | 201), "{} {}", reply.status, reply.body);
        self.pass(90);
        self.get(target).is(200)
    }

    /// Follows a URL of an answer.
    fn follow(&self, reply: &Reply, header: &str) -> Reply {
        let url = reply.header(header).unwrap_or_else(|| panic!("no {header}: {:?}", reply.raw.headers));
        self.get(url.strip_prefix("http://127.0.0.1:4567").unwrap())
    }
}

fn network(kind: &str, name: &str) -> String {
    format!("/subscriptions/{OWN}/resourceGroups/{GROUP}/providers/Microsoft.Network/{kind}/{name}")
}

fn subnet(name: &str) -> String {
    network("virtualNetworks", "hub/subnets/") + name
}

fn balancer_body(name: &str, frontends: &[&str]) -> Value {
    let id = network("loadBalancers", name);
    let frontends: Vec<Value> = frontends
        .iter()
        .map(|frontend| json!({"name": frontend, "properties": {"subnet": {"id": subnet("lb")}}}))
        .collect();
    json!({"location": "eastus2", "sku": {"name": "Standard"}, "properties": {
        "frontendIPConfigurations": frontends,
        "backendAddressPools": [{"name": "pool"}],
        "probes": [{"name": "health", "properties": {"protocol": "Http", "port": 8080, "requestPath": "/1433"}}],
        "loadBalancingRules": [{"name": "r1433", "properties": {
            "frontendIPConfiguration": {"id": format!("{id}/frontendIPConfigurations/fe")},
            "backendAddressPool": {"id": format!("{id}/backendAddressPools/pool")},
            "probe": {"id": format!("{id}/probes/health")},
            "protocol": "Tcp", "frontendPort": 1433, "backendPort": 1433}}]}})
}

fn service_body(balancer: &str, frontend: &str, visible: &[&str]) -> Value {
    json!({"location": "eastus2", "properties": {
        "ipConfigurations": [{"name": "nat-0", "properties": {"subnet": {"id": subnet("nat")}, "primary": true}}],
        "loadBalancerFrontendIpConfigurations":
            [{"id": format!("{}/frontendIPConfigurations/{frontend}", network("loadBalancers", balancer))}],
        "visibility": {"subscriptions": visible}, "autoApproval": {"subscriptions": []}, "accessMode": "Restricted"}})
}

/// A world with a load balancer `lb` and a service `svc` that the consumer can see.
fn with_service() -> Arm {
    let mut arm = Arm::new();
    arm.make(&network("loadBalancers", "lb"), balancer_body("lb", &["fe"]));
    arm.put(&network("privateLinkServices", "svc"), service_body("lb", "fe", &[CONSUMER])).is(201);
    arm.pass(13);
    arm
}
