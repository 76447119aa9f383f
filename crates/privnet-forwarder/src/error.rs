//! Why a forwarder cannot be rendered.

use std::net::IpAddr;

/// A mistake in the port maps or settings. Each message says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// There is nothing to forward.
    #[error("no port maps: give at least one port to forward")]
    NoPorts,
    /// Port 0 cannot be listened on or connected to.
    #[error("port map {listen}: {what} is 0; give a port from 1 to 65535")]
    ZeroPort {
        /// The map's listening port.
        listen: u16,
        /// Which of its ports it is.
        what: &'static str,
    },
    /// Two maps listen on the same port.
    #[error("port {0} is listened on twice: give each map a listening port of its own")]
    DuplicateListen(u16),
    /// A health port is used twice, or is also forwarded.
    #[error("health port {0} is used twice or also forwarded: take the ports that `health_ports` gives")]
    HealthPortTaken(u16),
    /// A port would be listened on by whose number the machines that are there are asked for the health of another.
    #[error(
        "the forwarders that are there answer on port {listen} for the health of port {serves}, and would be taken for dead if they were \
         asked elsewhere: give the port that comes another number under `listen:`"
    )]
    ListensOnServed {
        /// The port that comes.
        listen: u16,
        /// The listening port whose health is asked there.
        serves: u16,
    },
    /// Port 22 is the machine's own.
    #[error(
        "port 22 is the machine's own SSH: give the port another number under `listen:`, and the database's own under `port:`"
    )]
    SshPort,
    /// Kernel NAT of the IPv4 table cannot reach it.
    #[error(
        "port map {listen}: {address} is IPv6; forwarders speak IPv4 only: give the database's IPv4 address"
    )]
    NotIpv4 {
        /// The map's listening port.
        listen: u16,
        /// The address that was given.
        address: IpAddr,
    },
    /// Loopback, multicast, link-local, broadcast or unspecified.
    #[error(
        "port map {listen}: {address} cannot be a database's address: give the address by which the network reaches it"
    )]
    UnusableAddress {
        /// The map's listening port.
        listen: u16,
        /// The address that was given.
        address: IpAddr,
    },
    /// A destination's name that DNS cannot hold, or that needs a search domain.
    #[error(
        "port map {listen}: `{name}` is not a full DNS name ({reason}): give it whole, as in `db.corp.example`"
    )]
    BadName {
        /// The map's listening port.
        listen: u16,
        /// The name that was given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A resolver that no packet can reach.
    #[error("{0} cannot be a resolver's address: give the address of a DNS server")]
    UnusableResolver(IpAddr),
    /// None, or more than the agent would ask.
    #[error("{0} resolvers: give one to three, or use the system's")]
    ResolverCount(usize),
    /// IPv6 ranges cannot match in the IPv4 table.
    #[error("probe source {0} is IPv6; forwarders speak IPv4 only: leave it out")]
    ProbeSourceNotIpv4(ipnet::IpNet),
    /// A check so often would be a load, so seldom would be no check.
    #[error("a health check every {0} s: choose 1 to 60 s")]
    CheckInterval(u64),
    /// Longer than any load balancer waits.
    #[error("a drain of {0} s: choose at most 3600 s")]
    Drain(u64),
    /// The user data does not fit.
    #[error(
        "the user data is {size} bytes and {cloud} takes {limit}: use fewer ports on a forwarder (several services), or names that are shorter"
    )]
    TooLarge {
        /// The cloud.
        cloud: &'static str,
        /// What was rendered, in bytes as the cloud counts them.
        size: usize,
        /// What the cloud takes, in the same bytes.
        limit: usize,
    },
}
