//! The regional health check of a service
//! (<https://cloud.google.com/compute/docs/reference/rest/v1/regionHealthChecks>).

use std::collections::BTreeSet;
use std::time::Duration;

use privnet_core::execute::{Poll, Until};
use privnet_core::spec::gcp::GcpBackend;
use privnet_core::spec::{Engine, HealthCheck as SpecCheck};
use privnet_core::{Address, Applied, Change, Error, Field, Kind, Live, Origin, Replacement};
use privnet_forwarder::AskedPort;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::act::Act;
use crate::cloud::Write;
use crate::collection::Collection;
use crate::fields::{self, Fields};
use crate::forwarders;
use crate::json::{Json, number, text};
use crate::kinds::backend_service;
use crate::lower::Lowering;
use crate::snapshot::Snapshot;

/// The defaults of `version: 1`.
const INTERVAL: i64 = 10;
const THRESHOLD: i64 = 3;
const TIMEOUT: i64 = 5;
/// What a forwarder's agent answers to for all of its ports together: a backend service has one check, so a machine counts as healthy
/// when it reaches every database. Where none does, the load balancer sends to all of them
/// (<https://cloud.google.com/load-balancing/docs/internal/int-netlb-traffic-distribution>), so that one database's outage cuts nobody from another.
const AGENT_PATH: &str = "/all";

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
        // Where machines of before answer, they are asked until they have gone.
        Field::managed("protocol").on_change(Change::Replace),
        Field::managed("port").on_change(Change::Replace),
        Field::managed("path").on_change(Change::Replace),
        Field::managed("interval"),
        Field::managed("timeout"),
        Field::managed("threshold"),
        Field::managed("recovery"),
    ],
    replacement: Replacement::CreateFirst,
    // After the groups: while it is there, it tells that their machines of before may not answer where another one asks.
    teardown_rank: 45,
    severs: false,
    serialized_by: &[],
    telling: &[],
};

/// The check of a service, in view of what is asked now.
pub(crate) fn wanted(lowering: &Lowering<'_>, backend: &GcpBackend) -> HealthCheck {
    let address = lowering.address(KIND.name, "main");
    let there = lowering.world.live.ours_at(&address);
    let ports = there.filter_map(|live| live.fields.get("port")?.as_int());
    let asked: Vec<u16> = ports.filter_map(|port| port.try_into().ok()).collect();
    of(backend, &asked)
}

/// Whether a check is there that asks elsewhere, or in another way, than the one that is wanted.
pub(crate) fn turns(lowering: &Lowering<'_>) -> bool {
    let Some(made) = lowering.made() else { return false };
    let wanted = wanted(lowering, &made.backend);
    let address = lowering.address(KIND.name, "main");
    let there = lowering.world.live.ours_at(&address);
    let mut there = there.filter_map(|live| fields::typed::<HealthCheck>(KIND.name, &live.fields).ok());
    let asks = |check: &HealthCheck| (check.protocol.clone(), check.port, check.path.clone());
    there.any(|there| asks(&there) != asks(&wanted))
}

/// What groups of machines come after: another check, where it turns to one. By the times at which both were made it is known then that a
/// group was never asked by the check of before.
pub(crate) fn before_its_machines(lowering: &Lowering<'_>) -> BTreeSet<Address> {
    turns(lowering).then(|| lowering.address(KIND.name, "main")).into_iter().collect()
}

/// The check of a backend: a backend service has one, so it is that of the first port which says something, else one of the first
/// port: by TCP, or of forwarders by HTTP of the agent, which tells of all ports. There it stays on the port of the agent's that is `asked`.
fn of(backend: &GcpBackend, asked: &[u16]) -> HealthCheck {
    let all: Vec<(u16, Option<&SpecCheck>)> = match backend {
        GcpBackend::Direct { ports, .. } => {
            ports.iter().map(|port| (port.listen.get(), port.health_check.as_ref())).collect()
        }
        GcpBackend::Forwarder { ports, .. } => {
            ports.iter().map(|port| (port.listen.get(), port.health_check.as_ref())).collect()
        }
    };
    let found = all.iter().find(|(_, check)| check.is_some()).or_else(|| all.first()).copied();
    let agent = match (backend, found) {
        (GcpBackend::Forwarder { ports, .. }, Some((listen, _))) => {
            Some(forwarders::health_port(ports, listen, asked))
        }
        _ => None,
    };
    let (first, check) = found.unwrap_or((0, None));
    let listen = i64::from(agent.unwrap_or(first));
    // A forwarder's own port speaks HTTP; one that the file names speaks what the file says.
    let by_agent = agent.is_some() && check.is_none_or(|check| check.port.is_none());
    let http = check.and_then(|check| check.http.clone()).or_else(|| by_agent.then(|| AGENT_PATH.to_owned()));
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
    let typed = wanted(lowering, &made.backend);
    warn(lowering, &made.backend, &typed);
    say_what_turning_does(lowering, &made.backend, &typed);
    let address = lowering.address(KIND.name, "main");
    lowering.want(address, Origin::Owned, fields::of(&typed), BTreeSet::new());
}

/// A backend service that stays turns to another check at once, under whoever is connected: that is said before it is done. One that is made
/// anew gets its traffic only when its machines have answered.
fn say_what_turning_does(lowering: &mut Lowering<'_>, backend: &GcpBackend, typed: &HealthCheck) {
    let name = lowering.service.name.as_str();
    let is_under_somebody =
        lowering.world.may_be_connected(name) && backend_service::stays(lowering, backend);
    if !is_under_somebody || !turns(lowering) {
        return;
    }
    let HealthCheck { protocol, port, path, .. } = typed;
    lowering.lowered.warnings.push(format!(
        "{name}: somebody is connected, and the load balancer turns to another health check at once ({protocol} on port {port}{}{path}): until \
         the machines have answered it, all of them count as unhealthy, and new sessions go to any of them, whether it works or not",
        if path.is_empty() { "" } else { ", " }
    ));
}

/// Says what one check for all ports cannot see, and what it does to MySQL.
fn warn(lowering: &mut Lowering<'_>, backend: &GcpBackend, typed: &HealthCheck) {
    let name = &lowering.service.name;
    let given = match backend {
        GcpBackend::Direct { ports, .. } => ports.iter().filter(|port| port.health_check.is_some()).count(),
        GcpBackend::Forwarder { ports, .. } => {
            ports.iter().filter(|port| port.health_check.is_some()).count()
        }
    };
    if given > 1 {
        lowering.lowered.warnings.push(format!(
            "{name}: GCP's load balancer has one health check for all ports; the one of port {} is used",
            typed.port
        ));
    }
    let doubts: Vec<String> = match backend {
        GcpBackend::Direct { ports, .. } => {
            let asked = u16::try_from(typed.port).unwrap_or_default();
            let listens = ports.iter().find(|port| port.listen.get() == asked);
            let checked = listens.or_else(|| ports.iter().find(|port| port.health_check.is_some()));
            let mysql = checked.and_then(|port| Engine::mysql_asked(port.engine, port.listen.get(), asked));
            // One by HTTP ends in the midst of the handshake as well, and never gets its answer
            // (<https://dev.mysql.com/doc/refman/8.4/en/host-cache.html>).
            let how = typed.protocol.to_uppercase();
            let told = mysql.map(|ending| {
                format!(
                    "{how} health checks of MySQL's port {asked} count as interrupted handshakes, for which MySQL blocks a host \
                     (max_connect_errors); give `health_check: {{ port, http }}` of an agent beside it{ending}"
                )
            });
            told.into_iter().collect()
        }
        GcpBackend::Forwarder { ports, .. } => {
            ports.iter().filter_map(|port| AskedPort::of(port, &port.to).doubt()).collect()
        }
    };
    lowering.lowered.warnings.extend(doubts.into_iter().map(|doubt| format!("{name}: {doubt}")));
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

/// The port that a check asks.
pub(crate) fn port(json: &Json) -> i64 {
    read(json).port
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
    // The whole check: what a colleague added to its other parts goes as well.
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
