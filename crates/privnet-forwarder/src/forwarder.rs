//! What to forward: port maps and settings, checked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnet::IpNet;
use serde::Serialize;

use crate::error::RenderError;
use crate::names;

/// One forwarded port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortMap {
    /// The TCP port that the load balancer sends to.
    pub listen: u16,
    /// Where the database is.
    pub destination: Destination,
    /// The database's TCP port.
    pub port: u16,
    /// What speaks there: it decides how health is checked.
    pub engine: Engine,
    /// The HTTP port that answers 200 to `/` while this map works, and to `/all` while all of the machine do. See [`health_ports`].
    pub health_port: u16,
}

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// At an address that does not change. IPv4 only.
    Address(IpAddr),
    /// Behind a DNS name that the agent follows. The name is whole: no search domains.
    Name(String),
}

/// What speaks at the destination. Each is checked by a complete exchange of its own protocol, so that checks neither fill the
/// database's log nor count as interrupted connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// PostgreSQL: an `SSLRequest`, and the TLS handshake where the server offers it.
    Postgres,
    /// MySQL and MariaDB: the whole handshake as the user `privnet_health`. "Access denied" is a healthy answer and never counts
    /// towards `max_connect_errors`; an account of that name without password or privileges keeps it out of the server's log.
    Mysql,
    /// SQL Server: TDS `PRELOGIN`.
    Sqlserver,
    /// Oracle: a TNS ping to the listener.
    Oracle,
    /// Anything else: a TCP connection.
    Other,
}

/// Whom the agent asks for names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Resolver {
    /// The name servers of `/etc/resolv.conf`, read again at each question.
    #[default]
    System,
    /// This DNS server.
    Address(IpAddr),
    /// These DNS servers, at most three, by turns until one answers.
    Servers(Vec<IpAddr>),
}

impl Resolver {
    /// The servers that are named; none for the system's.
    pub(crate) fn servers(&self) -> &[IpAddr] {
        match self {
            Self::System => &[],
            Self::Address(address) => std::slice::from_ref(address),
            Self::Servers(servers) => servers,
        }
    }
}

/// Whether a machine has other duties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Machine {
    /// A forwarder and nothing else. What is not a map of ours is not forwarded at all, and a map's port is forwarded whatever address
    /// the packet was sent to: GCP's pass-through load balancer delivers packets for the forwarding rule's address, not the machine's.
    #[default]
    Dedicated,
    /// A machine that does other things too. Only connections to the machine's own addresses are forwarded, and what others
    /// forward is left alone.
    Shared,
}

/// How a forwarder works. `Settings::default()` is right for a machine of a forwarder group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whom to ask for names.
    pub resolver: Resolver,
    /// How long established connections stay on an address that a name no longer gives, before they are cut. At most an hour; whole
    /// seconds. Default 300 s.
    pub drain: Duration,
    /// How often each destination is checked, however many probers ask. 1 to 60 s, whole seconds. Default 10 s.
    pub check_every: Duration,
    /// Who may ask the health ports; empty means everybody who reaches the machine. IPv4 only.
    pub probe_sources: Vec<IpNet>,
    /// Allows port 22 to be forwarded. Nobody can then log in to the machine by SSH. Default false.
    pub take_ssh_port: bool,
    /// Whether the machine has other duties. Default dedicated.
    pub machine: Machine,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            resolver: Resolver::System,
            drain: Duration::from_secs(300),
            check_every: Duration::from_secs(10),
            probe_sources: Vec::new(),
            take_ssh_port: false,
            machine: Machine::Dedicated,
        }
    }
}

/// Port maps and settings that were checked: they can be rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarder {
    pub(crate) ports: Vec<PortMap>,
    pub(crate) settings: Settings,
}

impl Forwarder {
    /// Checks port maps and settings. The order of the maps and of the probe sources does not matter.
    ///
    /// # Errors
    /// The first mistake that is found: see [`RenderError`]. Whether user data fits a cloud is asked later, of
    /// [`crate::Rendered::user_data`].
    pub fn new(mut ports: Vec<PortMap>, mut settings: Settings) -> Result<Self, RenderError> {
        if ports.is_empty() {
            return Err(RenderError::NoPorts);
        }
        ports.sort_by_key(|map| map.listen);
        for map in &ports {
            check_map(map, settings.take_ssh_port)?;
        }
        check_distinct(&ports)?;
        check_settings(&settings)?;
        settings.probe_sources = settings.probe_sources.iter().map(IpNet::trunc).collect();
        settings.probe_sources = IpNet::aggregate(&settings.probe_sources);
        settings.probe_sources.sort();
        Ok(Self { ports, settings })
    }

    /// The maps, by listening port.
    #[must_use]
    pub fn ports(&self) -> &[PortMap] {
        &self.ports
    }
}

/// The range of health ports: outside that of ephemeral ports.
const HEALTH: std::ops::Range<u16> = 20_000..30_000;

/// A health port for each listening port: outside the range of ephemeral ports, away from the listening ports, and the same for a port
/// whatever its neighbours are (but for collisions, where the higher listening port yields). The answer is in the order asked.
#[must_use]
pub fn health_ports(listens: &[u16]) -> Vec<u16> {
    health_ports_beside(listens, &BTreeMap::new())
}

/// As [`health_ports`], but a listening port keeps the health port that machines serve for it already, and a newcomer yields: a load
/// balancer that asks them elsewhere would take them for dead. What no longer can be (two with one, one that is listened on
/// now) is given anew.
#[must_use]
pub fn health_ports_beside(listens: &[u16], served: &BTreeMap<u16, u16>) -> Vec<u16> {
    let sorted: BTreeSet<u16> = listens.iter().copied().collect();
    let mut taken = sorted.clone();
    let mut chosen: BTreeMap<u16, u16> = BTreeMap::new();
    let claims: Vec<(u16, u16)> =
        sorted.iter().filter_map(|listen| Some((*listen, *served.get(listen)?))).collect();
    for (listen, port) in &claims {
        let alone = claims.iter().filter(|(_, claimed)| claimed == port).count() == 1;
        if alone && HEALTH.contains(port) && taken.insert(*port) {
            chosen.insert(*listen, *port);
        }
    }
    for &listen in &sorted {
        if chosen.contains_key(&listen) {
            continue;
        }
        let size = HEALTH.end - HEALTH.start;
        let wanted = listen % size;
        // 65,535 ports cannot all be listened on and spared at once; then the wanted one stands, and `Forwarder::new` refuses it.
        let free =
            (0..size).map(|step| HEALTH.start + (wanted + step) % size).find(|port| !taken.contains(port));
        let port = free.unwrap_or(HEALTH.start + wanted);
        taken.insert(port);
        chosen.insert(listen, port);
    }
    listens.iter().filter_map(|listen| chosen.get(listen).copied()).collect()
}

fn check_map(map: &PortMap, take_ssh_port: bool) -> Result<(), RenderError> {
    let listen = map.listen;
    for (what, port) in [("listen", listen), ("port", map.port), ("health port", map.health_port)] {
        if port == 0 {
            return Err(RenderError::ZeroPort { listen, what });
        }
    }
    if (listen == 22 && !take_ssh_port) || map.health_port == 22 {
        return Err(RenderError::SshPort);
    }
    match &map.destination {
        Destination::Address(address @ IpAddr::V6(_)) => {
            Err(RenderError::NotIpv4 { listen, address: *address })
        }
        Destination::Address(IpAddr::V4(address)) if !usable(*address) => {
            Err(RenderError::UnusableAddress { listen, address: IpAddr::V4(*address) })
        }
        Destination::Address(_) => Ok(()),
        Destination::Name(name) => {
            names::check(name).map_err(|reason| RenderError::BadName { listen, name: name.clone(), reason })
        }
    }
}

fn check_distinct(ports: &[PortMap]) -> Result<(), RenderError> {
    let mut taken = BTreeSet::new();
    for map in ports {
        if !taken.insert(map.listen) {
            return Err(RenderError::DuplicateListen(map.listen));
        }
    }
    for map in ports {
        if !taken.insert(map.health_port) {
            return Err(RenderError::HealthPortTaken(map.health_port));
        }
    }
    Ok(())
}

fn check_settings(settings: &Settings) -> Result<(), RenderError> {
    let servers = settings.resolver.servers();
    if let Some(address) = servers.iter().find(|address| address.is_unspecified() || address.is_multicast()) {
        return Err(RenderError::UnusableResolver(*address));
    }
    if servers.len() > 3 || matches!(&settings.resolver, Resolver::Servers(list) if list.is_empty()) {
        return Err(RenderError::ResolverCount(servers.len()));
    }
    if let Some(range) = settings.probe_sources.iter().find(|range| matches!(range, IpNet::V6(_))) {
        return Err(RenderError::ProbeSourceNotIpv4(*range));
    }
    let every = settings.check_every.as_secs();
    if !(1..=60).contains(&every) {
        return Err(RenderError::CheckInterval(every));
    }
    let drain = settings.drain.as_secs();
    if drain > 3600 { Err(RenderError::Drain(drain)) } else { Ok(()) }
}

/// The agent refuses the same addresses in DNS answers.
fn usable(address: Ipv4Addr) -> bool {
    let reserved = address.octets()[0] == 0 || address.octets()[0] >= 240;
    !(address.is_loopback() || address.is_multicast() || address.is_link_local() || reserved)
}

#[cfg(test)]
#[path = "forwarder_tests.rs"]
mod tests;
