//! From the words of a file to what is forwarded: the same for all clouds, so that what is printed is what the machines get.

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::IpNet;
use privnet_core::spec::{self, PortSpec, Seconds, Upstream};

use crate::{Destination, Engine, Forwarder, PortMap, RenderError, Resolver, Settings, health_ports_beside};

/// One port of a file that leads to forwarders.
#[derive(Clone, Copy, Debug)]
pub struct AskedPort<'a> {
    /// The port that the load balancer sends to.
    pub listen: u16,
    /// The database's port.
    pub port: u16,
    /// What speaks there, if the file says so.
    pub engine: Option<spec::Engine>,
    /// Where the database is.
    pub upstream: &'a Upstream,
    /// The health port that the machines which are there serve for it, if that is known: it stays, whatever ports come beside it, and
    /// no port that comes may have its number.
    pub health_port: Option<u16>,
}

impl<'a> AskedPort<'a> {
    /// The port of a service, whatever the cloud, that leads to `upstream`.
    #[must_use]
    pub fn of<T>(port: &PortSpec<T>, upstream: &'a Upstream) -> Self {
        Self {
            listen: port.listen.get(),
            port: port.port.get(),
            engine: port.engine,
            upstream,
            health_port: None,
        }
    }
}

impl Forwarder {
    /// What a file asks for. `drain` is how long sessions stay on an address that a name no longer gives; `probe_sources` is where the
    /// cloud's health checks come from; none: from whoever reaches the machine.
    ///
    /// # Errors
    /// As [`Forwarder::new`]; and [`RenderError::ListensOnServed`] where a port is listened on that is a live health port.
    pub fn asked(
        ports: &[AskedPort<'_>],
        resolver: &spec::Resolver,
        drain: Seconds,
        probe_sources: Vec<IpNet>,
    ) -> Result<Self, RenderError> {
        let listens: Vec<u16> = ports.iter().map(|port| port.listen).collect();
        let served: BTreeMap<u16, u16> =
            ports.iter().filter_map(|port| Some((port.listen, port.health_port?))).collect();
        // One that is served already and has such a number was given it by hand: that is mended.
        let comes =
            |number: &u16| ports.iter().any(|port| port.listen == *number && port.health_port.is_none());
        if let Some((&serves, &listen)) = served.iter().find(|(_, served)| comes(served)) {
            return Err(RenderError::ListensOnServed { listen, serves });
        }
        let maps =
            ports.iter().zip(health_ports_beside(&listens, &served)).map(|(port, health_port)| PortMap {
                listen: port.listen,
                destination: match port.upstream {
                    Upstream::Ip(address) => Destination::Address(*address),
                    Upstream::Dns(name) => Destination::Name(name.to_string()),
                },
                port: port.port,
                engine: port.engine.map_or(Engine::Other, Engine::from),
                health_port,
            });
        let resolver = match resolver {
            spec::Resolver::System => Resolver::System,
            spec::Resolver::Servers(servers) => Resolver::Servers(servers.clone()),
        };
        let drain = Duration::from_secs(drain.get().into());
        Self::new(maps.collect(), Settings { resolver, drain, probe_sources, ..Settings::default() })
    }

    /// The health port behind a listening port.
    #[must_use]
    pub fn health_port(&self, listen: u16) -> Option<u16> {
        self.ports.iter().find(|map| map.listen == listen).map(|map| map.health_port)
    }
}

impl From<spec::Engine> for Engine {
    fn from(engine: spec::Engine) -> Self {
        match engine {
            spec::Engine::Postgres => Self::Postgres,
            spec::Engine::Mysql => Self::Mysql,
            spec::Engine::Sqlserver => Self::Sqlserver,
            spec::Engine::Oracle => Self::Oracle,
            spec::Engine::Other => Self::Other,
        }
    }
}

impl From<Engine> for spec::Engine {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Postgres => Self::Postgres,
            Engine::Mysql => Self::Mysql,
            Engine::Sqlserver => Self::Sqlserver,
            Engine::Oracle => Self::Oracle,
            Engine::Other => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(ports: &[(u16, Option<u16>)]) -> Result<Forwarder, RenderError> {
        let upstream = Upstream::Ip("10.0.0.1".parse().expect("an address"));
        let ports: Vec<AskedPort<'_>> = ports
            .iter()
            .map(|(listen, health_port)| AskedPort {
                listen: *listen,
                port: 5432,
                engine: None,
                upstream: &upstream,
                health_port: *health_port,
            })
            .collect();
        let drain = Seconds(300);
        Forwarder::asked(&ports, &spec::Resolver::System, drain, Vec::new())
    }

    #[test]
    fn a_live_health_port_is_no_port_to_listen_on() {
        let refused = asked(&[(5432, Some(25_432)), (25_432, None)]);
        assert_eq!(refused, Err(RenderError::ListensOnServed { listen: 25_432, serves: 5432 }));
        assert!(asked(&[(5432, Some(25_433)), (25_432, None)]).is_ok());
        assert!(asked(&[(5432, None), (25_432, None)]).is_ok());
        // A number that somebody gave a port that is served already is mended.
        assert!(asked(&[(5432, Some(5432))]).is_ok());
    }
}
