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

    /// What a plan warns of: a port that looks like MySQL's and is checked as if anything might speak there.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        let unsaid = self.engine.is_none();
        let ending = spec::Engine::mysql_expected(self.engine, self.port).filter(|_| unsaid)?;
        Some(format!(
            "port {}: the file does not say what speaks at {}, and {} is MySQL's port: write `engine: mysql`. Without it each forwarder \
             opens a connection there every ten seconds and leaves in the middle of the handshake, for which MySQL and MariaDB block it \
             (max_connect_errors). Machines that are there are replaced by ones that finish the handshake{ending}",
            self.listen,
            self.at(),
            self.port
        ))
    }

    fn at(&self) -> String {
        match self.upstream {
            Upstream::Ip(address) => address.to_string(),
            Upstream::Dns(name) => name.to_string(),
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
    fn a_port_that_looks_like_mysqls_is_to_be_named() {
        let upstream = Upstream::Ip("10.0.0.1".parse().expect("an address"));
        let doubt = |listen, port, engine| {
            AskedPort { listen, port, engine, upstream: &upstream, health_port: None }.doubt()
        };
        for listen in [3306, 13_306] {
            let why = doubt(listen, 3306, None).expect("a warning");
            assert!(
                why.starts_with(&format!("port {listen}: ")) && why.contains("write `engine: mysql`"),
                "{why}"
            );
        }
        assert_eq!(doubt(3306, 5432, None), None, "the database's port tells, not the consumer's");
        assert_eq!(doubt(3306, 3306, Some(spec::Engine::Mysql)), None);
        assert_eq!(doubt(3306, 3306, Some(spec::Engine::Other)), None);
        assert_eq!(doubt(5432, 5432, None), None);
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
