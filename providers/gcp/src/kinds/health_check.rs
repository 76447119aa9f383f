//! The regional health check of a service
//! (<https://cloud.google.com/compute/docs/reference/rest/v1/regionHealthChecks>).

use std::collections::BTreeSet;
use std::time::Duration;

use privnet_core::execute::{Poll, Until};
use privnet_core::spec::gcp::{GcpBackend, GcpDirectPort};
use privnet_core::{Applied, Error, Field, Kind, Live, Origin, Replacement};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::act::Act;
use crate::cloud::Write;
use crate::collection::Collection;
use crate::fields::{self, Fields};
use crate::json::{Json, number, text};
use crate::lower::Lowering;
use crate::snapshot::Snapshot;

/// The defaults of `version: 1`.
const INTERVAL: i64 = 10;
const THRESHOLD: i64 = 3;
const TIMEOUT: i64 = 5;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HealthCheck {
    /// `tcp` or `http`.
    pub(crate) protocol: String,
    pub(crate) port: i64,
    /// Of an HTTP check; empty otherwise.
    pub(crate) path: String,
    pub(crate) interval: i64,
    pub(crate) timeout: i64,
    pub(crate) threshold: i64,
    pub(crate) recovery: i64,
}

pub(crate) const KIND: Kind = Kind {
    name: "health-check",
    title: "health check",
    fields: &[
        Field::managed("protocol"),
        Field::managed("port"),
        Field::managed("path"),
        Field::managed("interval"),
        Field::managed("timeout"),
        Field::managed("threshold"),
        Field::managed("recovery"),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 40,
    severs: false,
    serialized_by: &[],
};

/// The check of these ports: a backend service has one, so it is that of the first port which says something, else a TCP
/// check of the first port.
pub(crate) fn wanted(ports: &[GcpDirectPort]) -> HealthCheck {
    let port = ports.iter().find(|port| port.health_check.is_some()).or_else(|| ports.first());
    let check = port.and_then(|port| port.health_check.as_ref());
    let listen = port.map_or(0, |port| i64::from(port.listen.get()));
    let http = check.and_then(|check| check.http.clone());
    let interval = check.map_or(INTERVAL, |check| i64::from(check.interval.get()));
    let threshold = check.map_or(THRESHOLD, |check| i64::from(check.threshold));
    HealthCheck {
        protocol: if http.is_some() { "http" } else { "tcp" }.to_owned(),
        port: check.and_then(|check| check.port).map_or(listen, |port| i64::from(port.get())),
        path: http.unwrap_or_default(),
        interval,
        timeout: TIMEOUT.min(interval),
        threshold,
        recovery: threshold,
    }
}

pub(crate) fn lower(lowering: &mut Lowering<'_>) {
    let Some(made) = lowering.made() else { return };
    let GcpBackend::Direct { ports, .. } = &made.backend else { return };
    let typed = wanted(ports);
    if ports.iter().filter(|port| port.health_check.is_some()).count() > 1 {
        lowering.lowered.warnings.push(format!(
            "{}: GCP's load balancer has one health check for all ports; the one of port {} is used",
            lowering.service.name, typed.port
        ));
    }
    if let Some(mysql) = ports.iter().find(|port| {
        port.engine == Some(privnet_core::spec::Engine::Mysql)
            && typed.protocol == "tcp"
            && typed.port == i64::from(port.listen.get())
    }) {
        lowering.lowered.warnings.push(format!(
            "{}: TCP health checks of MySQL's port {} count as interrupted handshakes, for which MySQL blocks a host (max_connect_errors); give `health_check: {{ port, http }}` of an agent beside it",
            lowering.service.name, mysql.listen
        ));
    }
    let address = lowering.address(KIND.name, "main");
    lowering.want(address, Origin::Owned, fields::of(&typed), BTreeSet::new());
}

pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    super::live_of(
        snapshot,
        Collection::HealthChecks,
        &KIND,
        |json| fields::of(&read(json)),
        |_| Fields::new(),
    )
}

fn read(json: &Json) -> HealthCheck {
    let protocol = text(json, "type").unwrap_or_default().to_lowercase();
    let inner = json.get(format!("{protocol}HealthCheck")).unwrap_or(&Json::Null);
    let seconds = |key, default| number(json, key).unwrap_or(default);
    HealthCheck {
        port: number(inner, "port").unwrap_or(80),
        path: if protocol == "http" { text(inner, "requestPath").unwrap_or("/") } else { "" }.to_owned(),
        protocol,
        interval: seconds("checkIntervalSec", 5),
        timeout: seconds("timeoutSec", 5),
        threshold: seconds("unhealthyThreshold", 2),
        recovery: seconds("healthyThreshold", 2),
    }
}

fn body(name: &str, description: &str, wanted: &HealthCheck) -> Json {
    let mut body = json!({ "name": name, "description": description, "checkIntervalSec": wanted.interval,
        "timeoutSec": wanted.timeout, "unhealthyThreshold": wanted.threshold, "healthyThreshold": wanted.recovery });
    if wanted.protocol == "http" {
        body["type"] = json!("HTTP");
        body["httpHealthCheck"] =
            json!({ "portSpecification": "USE_FIXED_PORT", "port": wanted.port, "requestPath": wanted.path });
    } else {
        body["type"] = json!("TCP");
        body["tcpHealthCheck"] = json!({ "portSpecification": "USE_FIXED_PORT", "port": wanted.port });
    }
    body
}

pub(crate) async fn create(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: HealthCheck = fields::typed(KIND.name, act.step.fields)?;
    let at = act.new_regional(Collection::HealthChecks);
    let body = body(&at.name, &act.marker(), &wanted);
    Ok(super::applied(&act.create(&at, &body).await?))
}

pub(crate) async fn update(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: HealthCheck = fields::typed(KIND.name, act.step.fields)?;
    let at = act.there(Collection::HealthChecks)?;
    let latest = act.read(&at).await?;
    if read(&latest) == wanted {
        return Ok(super::applied(&latest));
    }
    // The whole check: a PATCH cannot take the other protocol's part away.
    let body = body(&at.name, text(&latest, "description").unwrap_or_default(), &wanted);
    act.cloud.write(&at, Write::Replace(&body)).await?;
    let method = at.collection.method("get");
    let until =
        Until { operation: &method, subject: &at.name, what: "changed", limit: Duration::from_secs(120) };
    let found = act
        .cloud
        .context
        .until(until, || async {
            let found = act.read(&at).await?;
            Ok(if read(&found) == wanted {
                Poll::Ready(found)
            } else {
                Poll::Pending("as before".to_owned())
            })
        })
        .await?;
    Ok(super::applied(&found))
}
