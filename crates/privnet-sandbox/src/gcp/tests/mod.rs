//! Tests of the cloud as a whole: every request goes through the server, and every answer is checked against the API
//! description.
#![allow(clippy::needless_pass_by_value, reason = "a JSON literal is written where it is used")]

mod acceptance;
mod groups;
mod lists;
mod load_balancing;
mod networks;
mod operations;
mod requests;
mod surface;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::api::API;
use super::call::PREFIX;
use super::check;
use super::server::Gcp;
use crate::frame::{CloudServer, Exchange, Failure, Moment, Setup};

/// A sandbox of its own, whose time passes when it is told to.
struct Sandbox {
    cloud: Gcp,
    now: Timestamp,
    dir: tempfile::TempDir,
}

const P: &str = "projects/acme-data";
const R: &str = "projects/acme-data/regions/us-east4";
const Z: &str = "projects/acme-data/zones/us-east4-b";

impl Sandbox {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cloud = Gcp::open(&Setup::new(dir.path())).unwrap().without_holding();
        Self { cloud, now: "2026-03-01T12:00:00Z".parse().unwrap(), dir }
    }

    fn exchange(method: &str, target: &str, body: &Value) -> Exchange {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Exchange {
            method: method.to_owned(),
            path: format!("{PREFIX}{path}"),
            query: query.to_owned(),
            body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
            scheme: "http".to_owned(),
            host: "127.0.0.1".to_owned(),
            ..Exchange::default()
        }
    }

    /// One request: status and body. An answer of 200 has to be of the documented type.
    fn ask(&mut self, method: &str, target: &str, body: Value) -> (u16, Value) {
        let exchange = Self::exchange(method, target, &body);
        let answer = self.cloud.answer(&exchange, Moment::at(self.now));
        let value: Value = serde_json::from_slice(&answer.body).unwrap();
        if answer.status == 200 {
            let path = target.split('?').next().unwrap();
            let route = API.route(method, path).unwrap();
            check::answer(route.method, &value).unwrap();
        }
        (answer.status, value)
    }

    /// A read that succeeds.
    fn get(&mut self, target: &str) -> Value {
        let (status, value) = self.ask("GET", target, Value::Null);
        assert_eq!(status, 200, "{target}: {value}");
        value
    }

    /// A refusal: status, reason and message.
    fn refused(&mut self, method: &str, target: &str, body: Value) -> (u16, String, String) {
        let (status, value) = self.ask(method, target, body);
        assert_ne!(status, 200, "{method} {target} was not refused: {value}");
        assert_eq!(value["error"]["code"], status);
        assert_eq!(value["error"]["errors"][0]["domain"], "global");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (status, text(&value["error"]["errors"][0]["reason"]), text(&value["error"]["message"]))
    }

    fn pass(&mut self, seconds: i64) {
        self.now = self.now.saturating_add(SignedDuration::from_secs(seconds)).unwrap();
    }

    /// A mutation to its end: the operation, DONE, whether it failed or not.
    fn end(&mut self, method: &str, target: &str, body: Value) -> Value {
        let (status, begun) = self.ask(method, target, body);
        assert_eq!(status, 200, "{method} {target}: {begun}");
        assert_ne!(begun["status"], "DONE");
        let link = begun["selfLink"].as_str().unwrap().split("/compute/v1/").nth(1).unwrap().to_owned();
        for _ in 0..120 {
            self.pass(1);
            let operation = self.get(&link);
            if operation["status"] == "DONE" {
                return operation;
            }
        }
        panic!("{method} {target} does not end");
    }

    /// A mutation that succeeds.
    fn done(&mut self, method: &str, target: &str, body: Value) -> Value {
        let operation = self.end(method, target, body);
        assert!(operation.get("error").is_none(), "{method} {target}: {operation}");
        operation
    }

    /// The resources of one service over `db-1`, up to the forwarding rule.
    fn producer(&mut self) {
        self.done("POST", &format!("{Z}/networkEndpointGroups"), json!({
            "name": "neg", "networkEndpointType": "GCE_VM_IP", "network": format!("{P}/global/networks/prod"),
            "subnetwork": format!("{R}/subnetworks/ilb"),
        }));
        self.done(
            "POST",
            &format!("{Z}/networkEndpointGroups/neg/attachNetworkEndpoints"),
            json!({
                "networkEndpoints": [{ "instance": "db-1" }],
            }),
        );
        self.done(
            "POST",
            &format!("{R}/healthChecks"),
            json!({
                "name": "hc", "type": "TCP", "checkIntervalSec": 10, "tcpHealthCheck": { "port": 5432 },
            }),
        );
        self.done("POST", &format!("{R}/backendServices"), json!({
            "name": "bs", "loadBalancingScheme": "INTERNAL", "protocol": "TCP",
            "healthChecks": [format!("{R}/healthChecks/hc")],
            "backends": [{ "group": format!("{Z}/networkEndpointGroups/neg"), "balancingMode": "CONNECTION" }],
        }));
        self.done("POST", &format!("{R}/forwardingRules"), json!({
            "name": "fr", "loadBalancingScheme": "INTERNAL", "IPProtocol": "TCP", "ports": ["5432"],
            "backendService": format!("{R}/backendServices/bs"), "subnetwork": format!("{R}/subnetworks/ilb"),
            "network": format!("{P}/global/networks/prod"), "labels": { "team": "data" },
        }));
    }

    /// A service attachment of that name over the producer's rule, with a NAT subnetwork of its own.
    fn attachment(&mut self, name: &str, range: &str, more: Value) {
        self.done("POST", &format!("{R}/subnetworks"), json!({
            "name": format!("nat-{name}"), "network": format!("{P}/global/networks/prod"), "ipCidrRange": range,
            "purpose": "PRIVATE_SERVICE_CONNECT",
        }));
        let mut body = json!({
            "name": name, "connectionPreference": "ACCEPT_MANUAL", "targetService": format!("{R}/forwardingRules/fr"),
            "natSubnets": [format!("{R}/subnetworks/nat-{name}")], "reconcileConnections": false,
        });
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        self.done("POST", &format!("{R}/serviceAttachments"), body);
    }

    /// Changes an attachment as a careful client does.
    fn patch_attachment(&mut self, name: &str, mut change: Value) -> Value {
        let path = format!("{R}/serviceAttachments/{name}");
        let current = self.get(&path);
        for field in ["name", "fingerprint", "enableProxyProtocol"] {
            if change.get(field).is_none() {
                change[field] = current[field].clone();
            }
        }
        self.done("PATCH", &path, change);
        self.get(&path)
    }

    /// An attachment's endpoints: consumer's project and status, in order.
    fn endpoints(&mut self, name: &str) -> Vec<(String, String)> {
        let shown = self.get(&format!("{R}/serviceAttachments/{name}"));
        let listed = shown["connectedEndpoints"].as_array().cloned().unwrap_or_default();
        listed
            .iter()
            .map(|endpoint| {
                let project = endpoint["endpoint"].as_str().unwrap().split('/').nth(6).unwrap();
                (project.to_owned(), endpoint["status"].as_str().unwrap().to_owned())
            })
            .collect()
    }

    fn failure(&mut self, method: &str, target: &str, body: Value, code: &str) -> (u16, Value) {
        let exchange = Self::exchange(method, target, &body);
        let answer = self.cloud.failure(&exchange, &Failure::Code(code.to_owned()));
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }
}
