//! How the load balancer finds out which machines work, and what another way of asking does to whoever is connected.

use privnet_core::spec::PortSpec;
use privnet_core::spec::azure::AzureTarget;

use super::{KIND, LoadBalancer, Probe, port_name};
use crate::fields;
use crate::lower::Lowering;

/// The probe of a port. A forwarder is asked at its own health port, which is never the database's.
pub(super) fn of(port: &PortSpec<AzureTarget>, forwarder: Option<u16>) -> Probe {
    let name = port_name(port.listen.get());
    let check = port.health_check.as_ref();
    let interval = check.map_or(10, |check| i64::from(check.interval.get()));
    let threshold = check.map_or(3, |check| i64::from(check.threshold));
    let http = check.and_then(|check| check.http.clone());
    let (protocol, number, path) = match (forwarder, http) {
        (Some(health), _) => ("Http", health, Some("/".to_owned())),
        (None, Some(path)) => ("Http", check.and_then(|c| c.port).unwrap_or(port.port).get(), Some(path)),
        (None, None) => ("Tcp", check.and_then(|c| c.port).unwrap_or(port.port).get(), None),
    };
    Probe { name, protocol: protocol.to_owned(), port: number.into(), path, interval, threshold }
}

/// A rule of Azure's has one probe, which turns under whoever is connected: that is said before it is done. Where all probes fail,
/// established sessions go on, and new ones reach nobody
/// (<https://learn.microsoft.com/azure/load-balancer/load-balancer-custom-probe-overview>).
pub(super) fn say_what_turning_does(lowering: &mut Lowering<'_>, wanted: &[Probe]) {
    if !lowering.may_be_connected() {
        return;
    }
    let ours = lowering.live_of(KIND.name).filter(|live| live.is_ours());
    let there = ours.filter_map(|live| fields::typed::<LoadBalancer>(KIND.name, &live.fields).ok());
    let there: Vec<Probe> = there.flat_map(|balancer| balancer.probes).collect();
    let asks = |probe: &Probe| (probe.protocol.to_lowercase(), probe.port, probe.path.clone());
    let turning = wanted
        .iter()
        .filter(|probe| there.iter().any(|old| old.name == probe.name && asks(old) != asks(probe)));
    let shown: Vec<String> = turning
        .map(|Probe { name, protocol, port, path, .. }| {
            let path = path.as_ref().map(|path| format!(", {path}")).unwrap_or_default();
            format!("{}: {} on port {port}{path}", name.replace('-', " "), protocol.to_uppercase())
        })
        .collect();
    if !shown.is_empty() {
        lowering.warn(format!(
            "somebody is connected, and the load balancer turns to another health check at once ({}): machines that do not answer it get no \
             new session, and where none of them does no new session comes through at all",
            shown.join("; ")
        ));
    }
}
