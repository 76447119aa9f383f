//! Ports, health checks and forwarders, which all clouds have.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use super::super::grammar::HEALTH;
use super::super::leaf;
use super::super::port::{Engine, Forwarder, HealthCheck, PortSpec, Upstream, Zones};
use super::super::shape::MapShape;
use super::super::source::Span;
use super::super::text::Text;
use super::super::{HostName, Port, Seconds};
use super::read::{Block, Reader};

/// What a cloud takes for a health check: seconds between checks, and equal answers that change the state.
pub(super) struct HealthBounds {
    pub(super) interval: (u32, u32),
    pub(super) threshold: (u32, u32),
}

/// A port before its target is known.
pub(super) struct Listener {
    pub(super) block: Block,
    pub(super) listen: Port,
    pub(super) port: Port,
    pub(super) engine: Option<Engine>,
    pub(super) health_check: Option<HealthCheck>,
}

impl Listener {
    pub(super) fn leads<T>(self, to: T) -> PortSpec<T> {
        let Self { listen, port, engine, health_check, .. } = self;
        PortSpec { listen, port, to, engine, health_check }
    }
}

/// The ports of a service, without those whose `listen` is malformed or taken.
pub(super) fn listeners(
    reader: &mut Reader<'_, '_>,
    block: Block,
    shape: &'static MapShape,
    bounds: &HealthBounds,
) -> Vec<Listener> {
    let tree = reader.tree;
    let items = reader.get(block, "ports").map_or(&[][..], |id| tree.items(id));
    let mut taken: BTreeMap<Port, u32> = BTreeMap::new();
    let mut found = Vec::new();
    for id in items {
        let port = Block::new(*id, tree.node(*id).span, shape);
        let Some(listen) = port_number(reader, port, "listen") else { continue };
        let span = reader.span(port, "listen");
        let line = reader.errors.source.place(span.start).line;
        if let Some(first) = taken.get(&listen) {
            let message = format!("port {listen} is listened on twice; the first time in line {first}");
            reader.errors.add("duplicate-listen", span, message);
            continue;
        }
        taken.insert(listen, line);
        found.push(Listener {
            block: port,
            listen,
            port: port_number(reader, port, "port").unwrap_or(listen),
            engine: reader.word(port, "engine").and_then(engine),
            health_check: health_check(reader, port, bounds),
        });
    }
    found
}

fn port_number(reader: &Reader<'_, '_>, block: Block, key: &str) -> Option<Port> {
    Port::new(u16::try_from(reader.number(block, key)?).ok()?)
}

fn engine(word: &str) -> Option<Engine> {
    [Engine::Postgres, Engine::Mysql, Engine::Sqlserver, Engine::Oracle, Engine::Other]
        .into_iter()
        .find(|engine| engine.as_str() == word)
}

fn health_check(reader: &mut Reader<'_, '_>, port: Block, bounds: &HealthBounds) -> Option<HealthCheck> {
    let block = reader.block(port, "health_check", &HEALTH)?;
    let interval = reader.seconds(block, "interval", 10, bounds.interval);
    let threshold = reader.number(block, "threshold").unwrap_or(3);
    let (least, most) = bounds.threshold;
    if !(least..=most).contains(&threshold) {
        let span = reader.span(block, "threshold");
        reader.errors.add("out-of-range", span, format!("`threshold` must be {least} to {most} here"));
    }
    Some(HealthCheck {
        port: port_number(reader, block, "port"),
        http: reader.word(block, "http").map(str::to_owned),
        interval,
        threshold,
    })
}

/// What `to: { forwarder: … }` leads to.
pub(super) fn upstream(reader: &Reader<'_, '_>, to: Block) -> Option<Upstream> {
    let block = reader.block(to, "forwarder", to.shape)?;
    if let Some(name) = reader.text::<HostName>(block, "dns") {
        return Some(Upstream::Dns(name));
    }
    let address = leaf::target_address(reader.word(block, "ip")?).ok()?;
    Some(Upstream::Ip(address))
}

/// What is the same in all clouds' forwarders; subnets and zones are the cloud's own.
pub(super) fn forwarder<S, Z: Text + Ord>(
    reader: &mut Reader<'_, '_>,
    block: Block,
    subnets: Vec<S>,
) -> Option<Forwarder<S, Z>> {
    let drain = reader.seconds(block, "drain", 300, (0, 3600));
    let zones: BTreeSet<Z> = reader.set(block, "zones");
    let size = reader.word(block, "size")?.to_owned();
    if subnets.is_empty() {
        return None;
    }
    Some(Forwarder {
        subnets,
        zones: if zones.is_empty() { Zones::All } else { Zones::These(zones) },
        count: NonZeroU32::new(reader.number(block, "count").unwrap_or(2))?,
        size,
        image: reader.word(block, "image").map(str::to_owned),
        drain: Seconds(drain.get()),
        resolver: reader.resolver(block, "resolver"),
    })
}

/// Machines are declared exactly when a port leads to them.
pub(super) fn forwarder_is_used(reader: &mut Reader<'_, '_>, block: Block, used: Option<Span>) {
    let declared = reader.get(block, "forwarder").is_some();
    match used {
        Some(span) if !declared && !block.shape.is_misspelt(reader.tree.entries(block.node), "forwarder") => {
            reader.errors.add_hint(
                "no-forwarder",
                span,
                "the port leads to a forwarder, and the service declares no machines for one",
                "add `forwarder: { subnets: […], size: … }` to the cloud's block",
            );
        }
        // A port that was not understood may be the one that leads there.
        None if declared && !ports_are_wrong(reader, block) => {
            let span = reader.key_span(block, "forwarder");
            reader.errors.add_hint(
                "unused-forwarder",
                span,
                "no port leads to the forwarder",
                "use it with `to: { forwarder: { dns: … } }`, or leave it out",
            );
        }
        _ => {}
    }
}

fn ports_are_wrong(reader: &Reader<'_, '_>, block: Block) -> bool {
    let within = reader.get(block, "ports").map(|id| reader.tree.node(id).span);
    within.is_some_and(|span| reader.errors.any_within(span))
        || block.shape.is_misspelt(reader.tree.entries(block.node), "ports")
}

/// Reports the keys of the block itself that have no meaning in its form. Location keys always may stand.
pub(super) fn only_keys(
    reader: &mut Reader<'_, '_>,
    block: Block,
    location: &MapShape,
    allowed: &[&str],
    code: &'static str,
    because: &str,
) {
    for entry in reader.tree.entries(block.node) {
        let known = block.shape.keys.iter().any(|key| key.name == entry.key);
        let fits =
            location.keys.iter().any(|key| key.name == entry.key) || allowed.contains(&entry.key.as_str());
        if known && !fits {
            reader.errors.add(code, entry.span, format!("`{}` cannot stand here: {because}", entry.key));
        }
    }
}
