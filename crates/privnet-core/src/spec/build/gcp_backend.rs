//! The ports of a GCP block, and the one backend behind them.

use std::collections::BTreeSet;

use super::super::gcp::{GcpBackend, GcpDirect, GcpDirectPort, GcpForwarder, GcpLocation};
use super::super::gcp_ids::{GcpInstance, GcpInstanceGroup, GcpZone, ProjectId};
use super::super::grammar::gcp::{FORWARDER, PORT, TO};
use super::super::port::{PortSpec, Upstream};
use super::super::source::Span;
use super::ports::{self, HealthBounds, Listener};
use super::read::{Block, Reader};

/// Ports of one forwarding rule of a pass-through load balancer.
const MOST_PORTS: usize = 5;

/// `checkIntervalSec` 1 to 300, thresholds 1 to 10 (compute v1 HealthCheck).
const HEALTH: HealthBounds = HealthBounds { interval: (1, 300), threshold: (1, 10) };

/// A port with the target that the file gives it.
struct Candidate {
    listener: Listener,
    target: Target,
}

enum Target {
    Direct(GcpDirect),
    Forwarder(Upstream),
}

pub(super) fn backend(
    reader: &mut Reader<'_, '_>,
    block: Block,
    location: Option<&GcpLocation>,
    all_ports: bool,
) -> Option<GcpBackend> {
    let mut used = None;
    let mut candidates = Vec::new();
    for listener in ports::listeners(reader, block, &PORT, &HEALTH) {
        let Some(to) = reader.block(listener.block, "to", &TO) else { continue };
        if reader.get(to, "forwarder").is_some() {
            used = used.or(Some(reader.key_span(to, "forwarder")));
        }
        let Some(target) = target(reader, to, location) else { continue };
        candidates.push(Candidate { listener, target });
    }
    ports::forwarder_is_used(reader, block, used);
    if let (false, Some(surplus)) = (all_ports, candidates.get(MOST_PORTS)) {
        reader.errors.add_hint(
            "too-many-ports",
            surplus.listener.block.at,
            format!("a forwarding rule takes at most {MOST_PORTS} ports"),
            "make several services, or set `all_ports: true`",
        );
    }
    one_backend(reader, &candidates);
    let forwarder = reader.block(block, "forwarder", &FORWARDER).and_then(|machines| {
        zones_fit(reader, machines, location);
        let subnets = reader.list(machines, "subnets");
        ports::forwarder(reader, machines, subnets)
    });
    assemble(candidates, forwarder)
}

fn zones_fit(reader: &mut Reader<'_, '_>, machines: Block, location: Option<&GcpLocation>) {
    let Some(location) = location else { return };
    for (zone, span) in reader.items::<GcpZone>(machines, "zones") {
        if zone.region() != location.region.as_str() {
            let message = format!("{zone} is no zone of {}", location.region);
            reader.errors.add("other-region", span, message);
        }
    }
}

/// The load balancer has one backend and does not translate ports: the format's rule for GCP.
fn one_backend(reader: &mut Reader<'_, '_>, candidates: &[Candidate]) {
    let Some(first) = candidates.first() else { return };
    for candidate in candidates {
        let span = reader.span(candidate.listener.block, "to");
        match (&first.target, &candidate.target) {
            (Target::Forwarder(_), Target::Forwarder(_)) => {}
            (Target::Direct(one), Target::Direct(other)) if one == other => {}
            _ => {
                reader.errors.add_hint(
                    "one-backend",
                    span,
                    "this port leads elsewhere than the first one, and the load balancer has one backend",
                    "let all ports lead to the same, or use a forwarder for all, or make several services",
                );
            }
        }
        if let (Target::Direct(_), true) =
            (&candidate.target, candidate.listener.port != candidate.listener.listen)
        {
            let span = reader.span(candidate.listener.block, "port");
            let message = format!(
                "`port` {} differs from `listen` {}, and the load balancer does not translate ports",
                candidate.listener.port, candidate.listener.listen
            );
            let hint = "use the same port, or a forwarder";
            reader.errors.add_hint("port-differs", span, message, hint);
        }
    }
}

fn assemble(candidates: Vec<Candidate>, forwarder: Option<GcpForwarder>) -> Option<GcpBackend> {
    let mut direct: Option<GcpDirect> = None;
    let mut plain = Vec::new();
    let mut forwarded: Vec<PortSpec<Upstream>> = Vec::new();
    for Candidate { listener, target } in candidates {
        match target {
            Target::Direct(to) => {
                direct = Some(to);
                let Listener { listen, engine, health_check, .. } = listener;
                plain.push(GcpDirectPort { listen, engine, health_check });
            }
            Target::Forwarder(upstream) => forwarded.push(listener.leads(upstream)),
        }
    }
    match (direct, forwarder) {
        (Some(to), None) if forwarded.is_empty() => Some(GcpBackend::Direct { to, ports: plain }),
        (None, Some(forwarder)) if !forwarded.is_empty() => {
            Some(GcpBackend::Forwarder { forwarder, ports: forwarded })
        }
        _ => None,
    }
}

fn target(reader: &mut Reader<'_, '_>, to: Block, location: Option<&GcpLocation>) -> Option<Target> {
    if reader.get(to, "instances").is_some() {
        let items: Vec<(GcpInstance, Span)> = reader.items(to, "instances");
        for (instance, span) in &items {
            near(reader, *span, instance.project.as_ref(), instance.zone.region(), location);
        }
        // The project is the service's own; an instance has one spelling.
        let instances: BTreeSet<GcpInstance> =
            items.into_iter().map(|(instance, _)| GcpInstance { project: None, ..instance }).collect();
        return (!instances.is_empty()).then_some(Target::Direct(GcpDirect::Instances(instances)));
    }
    if let Some(group) = reader.text::<GcpInstanceGroup>(to, "instance_group") {
        let span = reader.span(to, "instance_group");
        near(reader, span, group.project.as_ref(), group.scope.region(), location);
        let group = GcpInstanceGroup { project: None, ..group };
        return Some(Target::Direct(GcpDirect::InstanceGroup(group)));
    }
    ports::upstream(reader, to).map(Target::Forwarder)
}

/// Machines must be in the service's project and region.
fn near(
    reader: &mut Reader<'_, '_>,
    span: Span,
    project: Option<&ProjectId>,
    region: &str,
    location: Option<&GcpLocation>,
) {
    let Some(location) = location else { return };
    if let Some(project) = project.filter(|project| **project != location.project) {
        let message = format!("it is in the project {project}, and the service in {}", location.project);
        reader.errors.add("other-project", span, message);
    }
    if region != location.region.as_str() {
        let message = format!("it is in the region {region}, and the service in {}", location.region);
        reader.errors.add("other-region", span, message);
    }
}
