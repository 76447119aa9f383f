//! The agent that runs on the machine, and its configuration.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::forwarder::{Destination, Engine, Forwarder};

/// The agent, as it is written and as machines get it.
pub(crate) const SOURCE: &str = include_str!("../agent/privnet_forwarder.py");

/// The agent's configuration file.
#[derive(Serialize)]
struct Config<'a> {
    drain: u64,
    every: u64,
    #[serde(skip_serializing_if = "<[IpAddr]>::is_empty")]
    resolvers: &'a [IpAddr],
    ports: Vec<Port<'a>>,
}

#[derive(Serialize)]
struct Port<'a> {
    listen: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    port: u16,
    engine: Engine,
    health: u16,
}

/// The configuration as JSON, a line for each port.
pub(crate) fn config(forwarder: &Forwarder) -> String {
    let settings = &forwarder.settings;
    let ports = forwarder.ports.iter().map(|map| {
        let (address, name) = match &map.destination {
            Destination::Address(address) => (Some(address.to_string()), None),
            Destination::Name(name) => (None, Some(name.trim_end_matches('.'))),
        };
        Port {
            listen: map.listen,
            address,
            name,
            port: map.port,
            engine: map.engine,
            health: map.health_port,
        }
    });
    let config = Config {
        drain: settings.drain.as_secs(),
        every: settings.check_every.as_secs(),
        resolvers: settings.resolver.servers(),
        ports: ports.collect(),
    };
    // Numbers and text only: this cannot fail, and an empty file would make the agent refuse to start.
    let text = serde_json::to_string(&config).unwrap_or_default();
    text.replace(":[{", ":[\n{").replace("},{", "},\n{") + "\n"
}

/// The ports that an agent of this configuration listens on.
pub(crate) fn listens_of(config: &str) -> Option<BTreeSet<u16>> {
    #[derive(Deserialize)]
    struct Listening {
        ports: Vec<ListeningPort>,
    }
    #[derive(Deserialize)]
    struct ListeningPort {
        listen: u16,
    }
    let read: Listening = serde_json::from_str(config).ok()?;
    Some(read.ports.into_iter().map(|port| port.listen).collect())
}
