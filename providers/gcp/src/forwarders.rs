//! What the forwarder machines of a service run, and what the load balancer needs to know of them. Pure.

use privnet_core::spec::gcp::{GcpBackend, GcpForwarder, GcpMade};
use privnet_core::spec::{PortSpec, Upstream};
use privnet_forwarder::{AskedPort, CloudLimit, Forwarder, health_ports, probers};

/// What the machines are to run.
pub(crate) struct Program {
    /// cloud-init's user data.
    pub(crate) user_data: String,
    /// What it is known by.
    pub(crate) fingerprint: String,
}

/// The forwarders of a service, where it has any.
pub(crate) fn of(made: &GcpMade) -> Option<(&GcpForwarder, &[PortSpec<Upstream>])> {
    match &made.backend {
        GcpBackend::Forwarder { forwarder, ports } => Some((forwarder, ports)),
        GcpBackend::Direct { .. } => None,
    }
}

/// The program of the machines.
///
/// # Errors
/// What the file asks for and forwarders cannot do, in words.
pub(crate) fn program(forwarder: &GcpForwarder, ports: &[PortSpec<Upstream>]) -> Result<Program, String> {
    let asked: Vec<AskedPort<'_>> = ports.iter().map(|port| AskedPort::of(port, &port.to)).collect();
    let asked = Forwarder::asked(&asked, &forwarder.resolver, forwarder.drain, probers::ranges(probers::GCP))
        .map_err(|why| why.to_string())?;
    let rendered = asked.render();
    let user_data = rendered.user_data(CloudLimit::Gcp).map_err(|why| why.to_string())?.to_owned();
    Ok(Program { user_data, fingerprint: rendered.fingerprint })
}

/// The HTTP port on which a forwarder is asked: one of those that are `asked` now, where it is one of its own still, since each of them
/// answers for all and the machines of before answer there too; otherwise that of a listening port.
pub(crate) fn health_port(ports: &[PortSpec<Upstream>], listen: u16, asked: &[u16]) -> u16 {
    let listens: Vec<u16> = ports.iter().map(|port| port.listen.get()).collect();
    let own = health_ports(&listens);
    if let Some(kept) = asked.iter().find(|port| own.contains(port)) {
        return *kept;
    }
    let mut both = listens.iter().zip(own);
    both.find(|(one, _)| **one == listen).map_or(listen, |(_, health)| health)
}

/// How many machines of `count` the group of this index gets, of so many groups.
pub(crate) fn share(count: u32, groups: usize, index: usize) -> i64 {
    let groups = u32::try_from(groups.max(1)).unwrap_or(1);
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    i64::from((count / groups + u32::from(index < count % groups)).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_shared_out_and_none_is_lost() {
        let all: Vec<i64> = (0..3).map(|index| share(5, 3, index)).collect();
        assert_eq!(all, [2, 2, 1]);
        assert_eq!(share(2, 3, 2), 1, "a group has one machine at least");
    }
}
