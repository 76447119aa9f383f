//! What the forwarder machines of a service run, and what the load balancer needs to know of them. Pure.

use privnet_core::spec::gcp::{GcpBackend, GcpForwarder, GcpMade};
use privnet_core::spec::{Engine, PortSpec, Resolver, Upstream};
use privnet_forwarder::{CloudLimit, Destination, Forwarder, PortMap, Settings, health_ports};

use crate::kinds::firewall::PROBER_RANGES;

/// The image where the file names none. It has cloud-init, nftables and Python, and gets its updates from Canonical's mirror in
/// Google Cloud.
const IMAGE: &str = "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64";
/// Google's image projects that cannot do the work, and why
/// (<https://cloud.google.com/compute/docs/images/os-details>).
const UNFIT: [(&str, &str); 2] = [
    ("debian-cloud", "Google's Debian images have no cloud-init"),
    ("cos-cloud", "Container-Optimized OS has no Python"),
];

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
    let resolver = match &forwarder.resolver {
        Resolver::System => privnet_forwarder::Resolver::System,
        Resolver::Servers(servers) => privnet_forwarder::Resolver::Servers(servers.clone()),
    };
    let probe_sources = PROBER_RANGES.iter().filter_map(|range| range.parse().ok()).collect();
    let settings = Settings { resolver, probe_sources, ..Settings::default() };
    let rendered = Forwarder::new(maps(ports), settings).map_err(|why| why.to_string())?.render();
    let user_data = rendered.user_data(CloudLimit::Gcp).map_err(|why| why.to_string())?.to_owned();
    Ok(Program { user_data, fingerprint: rendered.fingerprint })
}

fn maps(ports: &[PortSpec<Upstream>]) -> Vec<PortMap> {
    let listens: Vec<u16> = ports.iter().map(|port| port.listen.get()).collect();
    let maps = ports.iter().zip(health_ports(&listens)).map(|(port, health_port)| PortMap {
        listen: port.listen.get(),
        destination: match &port.to {
            Upstream::Ip(address) => Destination::Address(*address),
            Upstream::Dns(name) => Destination::Name(name.to_string()),
        },
        port: port.port.get(),
        engine: engine(port.engine),
        health_port,
    });
    maps.collect()
}

/// The HTTP port on which a forwarder tells whether a listening port works.
pub(crate) fn health_port(ports: &[PortSpec<Upstream>], listen: u16) -> u16 {
    let maps = maps(ports);
    maps.iter().find(|map| map.listen == listen).map_or(listen, |map| map.health_port)
}

/// The image, as a path.
pub(crate) fn image(forwarder: &GcpForwarder, project: &str) -> String {
    match forwarder.image.as_deref() {
        None => IMAGE.to_owned(),
        Some(named) if named.contains("projects/") => crate::path::of(named),
        Some(named) => crate::path::global(project, "images", named.trim_start_matches("global/images/")),
    }
}

/// Why the machines' image cannot do the work, where that is known.
pub(crate) fn unfit(image: &str) -> Option<String> {
    let project = crate::path::after(image, "projects")?;
    let (_, why) = UNFIT.iter().find(|(unfit, _)| *unfit == project)?;
    Some(format!(
        "the image {image} cannot be a forwarder's: {why}; take one with cloud-init, nftables and Python 3, such as {IMAGE}"
    ))
}

/// How many machines of `count` the group of this index gets, of so many groups.
pub(crate) fn share(count: u32, groups: usize, index: usize) -> i64 {
    let groups = u32::try_from(groups.max(1)).unwrap_or(1);
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    i64::from((count / groups + u32::from(index < count % groups)).max(1))
}

fn engine(engine: Option<Engine>) -> privnet_forwarder::Engine {
    match engine {
        Some(Engine::Postgres) => privnet_forwarder::Engine::Postgres,
        Some(Engine::Mysql) => privnet_forwarder::Engine::Mysql,
        Some(Engine::Sqlserver) => privnet_forwarder::Engine::Sqlserver,
        Some(Engine::Oracle) => privnet_forwarder::Engine::Oracle,
        Some(Engine::Other) | None => privnet_forwarder::Engine::Other,
    }
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

    #[test]
    fn images_without_the_tools_are_refused() {
        assert!(unfit(IMAGE).is_none());
        assert!(unfit("projects/debian-cloud/global/images/family/debian-12").is_some());
        assert!(unfit("projects/cos-cloud/global/images/family/cos-stable").is_some());
    }
}
