//! What every cloud block has: ports, targets, health checks and forwarders.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroU32;

use serde::Serialize;

use super::{HostName, Port, Resolver, Seconds};

/// The port that MySQL and MariaDB listen on if nobody says otherwise.
const MYSQL_PORT: u16 = 3306;

/// One port of a service, with the cloud's own kind of target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PortSpec<T> {
    /// The port that the consumer connects to.
    pub listen: Port,
    /// The port of the database; the same as `listen` unless the file says otherwise.
    pub port: Port,
    /// Where it leads.
    pub to: T,
    /// What speaks there, if the file says so.
    pub engine: Option<Engine>,
    /// The health check, if the file changes the default one.
    pub health_check: Option<HealthCheck>,
}

/// The database's wire protocol, for health checks that complete a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// PostgreSQL and what speaks its protocol.
    Postgres,
    /// MySQL, MariaDB. It blocks a host that probes it with half a handshake.
    Mysql,
    /// Microsoft SQL Server.
    Sqlserver,
    /// Oracle Database.
    Oracle,
    /// Something else: an open port is all that can be asked for.
    Other,
}

impl Engine {
    /// The word that the file uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Sqlserver => "sqlserver",
            Self::Oracle => "oracle",
            Self::Other => "other",
        }
    }

    /// What a warning about MySQL at a database's port ends with; nothing where no MySQL is to be expected: the file names another engine,
    /// or none and the port is not MySQL's own (3306, <https://www.iana.org/assignments/service-names-port-numbers>). For warnings alone:
    /// nothing that is made hangs on a guess.
    pub fn mysql_expected(said: Option<Self>, port: u16) -> Option<&'static str> {
        match said {
            Some(Self::Mysql) => Some(""),
            Some(_) => None,
            None => (port == MYSQL_PORT).then_some("; if this is no MySQL, say so with `engine: other`"),
        }
    }

    /// The same of the port that a health check asks beside a database's own: where it is another one, an agent is expected to answer there,
    /// but at MySQL's own port.
    pub fn mysql_asked(said: Option<Self>, port: u16, asked: u16) -> Option<&'static str> {
        if asked != port && asked != MYSQL_PORT {
            return None;
        }
        Self::mysql_expected(said, asked)
    }
}

/// How a load balancer finds out whether a target is healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HealthCheck {
    /// The port to check; absent: the traffic's own.
    pub port: Option<Port>,
    /// The path of an HTTP check; absent: a TCP check.
    pub http: Option<String>,
    /// Time between two checks.
    pub interval: Seconds,
    /// How many equal answers change the state.
    pub threshold: u32,
}

/// What a forwarder leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Upstream {
    /// A name that the forwarder resolves, and follows when it moves.
    Dns(HostName),
    /// A fixed private address.
    Ip(IpAddr),
}

/// The forwarder machines of a service. `S` is how the cloud names a subnet, `Z` a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Forwarder<S, Z: Ord> {
    /// Where the machines stand.
    pub subnets: Vec<S>,
    /// The zones to use.
    pub zones: Zones<Z>,
    /// How many machines; at least two.
    pub count: NonZeroU32,
    /// The machine size, in the cloud's words.
    pub size: String,
    /// The machine image, in the cloud's words; absent: the provider's choice, frozen within version 1.
    pub image: Option<String>,
    /// How long an old group keeps serving established sessions before it goes.
    pub drain: Seconds,
    /// Who resolves the upstream names.
    pub resolver: Resolver,
}

/// The zones that a group of machines uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Zones<Z: Ord> {
    /// All that the region (or the subnets) has.
    #[default]
    All,
    /// These; never empty.
    These(BTreeSet<Z>),
}

#[cfg(test)]
mod tests {
    use super::Engine;

    #[test]
    fn mysql_is_expected_where_it_is_asked_itself() {
        let asked = |said, port, asked| Engine::mysql_asked(said, port, asked).is_some();
        let mysql = Some(Engine::Mysql);
        assert!(asked(mysql, 13306, 13306) && asked(mysql, 13306, 3306) && asked(None, 3306, 3306));
        assert!(asked(None, 13306, 3306), "MySQL's own port, whatever the traffic's is");
        assert!(!asked(mysql, 3306, 8080), "an agent's");
        assert!(!asked(None, 13306, 13306) && !asked(Some(Engine::Other), 3306, 3306));
        assert!(!asked(Some(Engine::Postgres), 5432, 3306));
    }
}
