//! Which endpoints a service attachment lets in.
//!
//! From "About controlling access to published services" and the description of `reconcileConnections`: the reject list
//! beats the accept list; `ACCEPT_MANUAL` accepts who is listed, up to the entry's limit; a change of the lists decides
//! pending endpoints only, unless connections are reconciled, when it decides all of them; the limit of an entry that
//! names an endpoint means nothing. An accepted endpoint for which there is no NAT address left needs attention.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::body::{Body, Object};
use super::link;
use super::world::{Decision, Endpoint, World};

/// How an entry of the lists names consumers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Consumer {
    /// A project's id.
    Project(String),
    /// A network's path.
    Network(String),
    /// `projects/p/regions/r/forwardingRules/<numeric id>`.
    Endpoint(String),
}

impl Consumer {
    fn matches(&self, path: &str, id: Option<u64>, endpoint: &Endpoint) -> bool {
        match self {
            Self::Project(project) => *project == endpoint.project,
            Self::Network(network) => *network == endpoint.network,
            Self::Endpoint(wanted) => id.is_some_and(|id| *wanted == with_id(path, id)),
        }
    }
}

/// An attachment's policy.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) automatic: bool,
    pub(crate) accept: Vec<(Consumer, u32)>,
    pub(crate) reject: Vec<Consumer>,
}

impl Policy {
    /// Reads it from an attachment's body; what cannot be read (which validation does not let in) matches nobody.
    pub(crate) fn read(world: &World, body: &Object) -> Self {
        let accept = body.items("consumerAcceptLists").iter().filter_map(|entry| {
            let entry = entry.as_object()?;
            let limit = u32::try_from(entry.int("connectionLimit").unwrap_or(0)).unwrap_or(u32::MAX);
            let consumer = if let Some(project) = entry.text("projectIdOrNum") {
                Consumer::Project(world.project_id(project).unwrap_or_else(|| project.to_owned()))
            } else if let Some(network) = entry.text("networkUrl") {
                Consumer::Network(link::path(network).to_owned())
            } else {
                Consumer::Endpoint(link::path(entry.text("endpointUrl")?).to_owned())
            };
            Some((consumer, limit))
        });
        let reject = body.texts("consumerRejectLists").into_iter().map(|text| {
            if !text.contains('/') {
                Consumer::Project(world.project_id(&text).unwrap_or(text))
            } else if text.contains("/networks/") {
                Consumer::Network(link::path(&text).to_owned())
            } else {
                Consumer::Endpoint(link::path(&text).to_owned())
            }
        });
        Self {
            automatic: body.text("connectionPreference") == Some("ACCEPT_AUTOMATIC"),
            accept: accept.collect(),
            reject: reject.collect(),
        }
    }
}

/// The path of a forwarding rule by its id.
pub(crate) fn with_id(path: &str, id: u64) -> String {
    path.rsplit_once('/').map_or_else(String::new, |(parent, _)| format!("{parent}/{id}"))
}

/// The endpoints of an attachment, in the order in which they came.
pub(crate) fn of<'a>(world: &'a World, attachment: &str) -> Vec<(&'a String, &'a Endpoint)> {
    let Some(record) = world.resources.get(attachment) else { return Vec::new() };
    let mut found: Vec<_> = world
        .endpoints
        .iter()
        .filter(|(_, endpoint)| endpoint.attachment == attachment && endpoint.attachment_id == record.id)
        .collect();
    found.sort_by_key(|(_, endpoint)| endpoint.order);
    found
}

/// Applies an attachment's policy to its endpoints.
pub(crate) fn reconcile(world: &mut World, attachment: &str) {
    let Some(record) = world.resources.get(attachment) else { return };
    let policy = Policy::read(world, &record.body);
    let all = record.body.flag("reconcileConnections");
    let mut endpoints: Vec<(String, Endpoint)> =
        of(world, attachment).into_iter().map(|(path, endpoint)| (path.clone(), endpoint.clone())).collect();
    // Who is in keeps its place before those who wait.
    endpoints.sort_by_key(|(_, endpoint)| (endpoint.decision != Decision::Accepted, endpoint.order));
    let mut used = vec![0_u32; policy.accept.len()];
    for (path, endpoint) in endpoints {
        let id = world.resources.get(&path).map(|record| record.id);
        // What is closed is closed for good.
        let settled = endpoint.decision == Decision::Closed
            || (!all && matches!(endpoint.decision, Decision::Accepted | Decision::Rejected));
        let entry = policy.accept.iter().position(|(consumer, _)| consumer.matches(&path, id, &endpoint));
        let decision = if settled {
            endpoint.decision
        } else if policy.reject.iter().any(|consumer| consumer.matches(&path, id, &endpoint)) {
            Decision::Rejected
        } else if policy.automatic {
            Decision::Accepted
        } else {
            match entry {
                Some(index) if has_room(&policy.accept[index], used[index]) => Decision::Accepted,
                _ => Decision::Pending,
            }
        };
        if let (Decision::Accepted, Some(index)) = (decision, entry) {
            used[index] += 1;
        }
        if let Some(stored) = world.endpoints.get_mut(&path) {
            stored.decision = decision;
        }
    }
}

fn has_room((consumer, limit): &(Consumer, u32), used: u32) -> bool {
    matches!(consumer, Consumer::Endpoint(_)) || used < *limit
}

/// The attachment is gone: its endpoints are closed for good.
pub(crate) fn close(world: &mut World, attachment: &str, attachment_id: u64) {
    for endpoint in world.endpoints.values_mut() {
        if endpoint.attachment == attachment && endpoint.attachment_id == attachment_id {
            endpoint.decision = Decision::Closed;
        }
    }
}

/// The status of an endpoint, as both sides see it.
pub(crate) fn status(world: &World, path: &str) -> Option<&'static str> {
    let endpoint = world.endpoints.get(path)?;
    let nat = match endpoint.decision {
        Decision::Accepted => nat_addresses(world, &endpoint.attachment, &of(world, &endpoint.attachment)),
        _ => NatAddresses::new(),
    };
    Some(status_with(path, endpoint, &nat))
}

fn status_with(path: &str, endpoint: &Endpoint, nat: &NatAddresses) -> &'static str {
    match endpoint.decision {
        Decision::Pending => "PENDING",
        Decision::Rejected => "REJECTED",
        Decision::Closed => "CLOSED",
        Decision::Accepted if nat.contains_key(path) => "ACCEPTED",
        Decision::Accepted => "NEEDS_ATTENTION",
    }
}

/// NAT addresses by the path of the endpoint.
type NatAddresses = BTreeMap<String, Vec<Ipv4Addr>>;

/// The NAT addresses of an attachment's accepted endpoints, in the order in which they came, as far as there are any.
fn nat_addresses(world: &World, attachment: &str, endpoints: &[(&String, &Endpoint)]) -> NatAddresses {
    let Some(record) = world.resources.get(attachment) else { return NatAddresses::new() };
    let each = usize::try_from(record.body.int("natIpsPerEndpoint").unwrap_or(1)).unwrap_or(1).max(1);
    let subnets = record.body.texts("natSubnets");
    let mut free = subnets.iter().flat_map(|subnet| usable(world, link::path(subnet)));
    let accepted = endpoints.iter().filter(|(_, endpoint)| endpoint.decision == Decision::Accepted);
    accepted
        .map_while(|(path, _)| {
            let addresses: Vec<Ipv4Addr> = free.by_ref().take(each).collect();
            (addresses.len() == each).then(|| ((*path).clone(), addresses))
        })
        .collect()
}

/// A subnetwork's addresses without the four that Google keeps: first, second, last but one, last.
pub(crate) fn usable(world: &World, subnetwork: &str) -> impl Iterator<Item = Ipv4Addr> + use<> {
    let range = world
        .resources
        .get(subnetwork)
        .and_then(|record| record.body.text("ipCidrRange")?.parse::<ipnet::Ipv4Net>().ok());
    let (first, last) =
        range.map_or((0, 0), |range| (u32::from(range.network()) + 2, u32::from(range.broadcast()) - 1));
    (first..last).map(Ipv4Addr::from)
}

/// `connectedEndpoints`. NAT addresses are shown when asked for.
pub(crate) fn connected(world: &World, attachment: &str, show_nat: bool) -> Vec<Value> {
    let endpoints = of(world, attachment);
    let nat = nat_addresses(world, attachment, &endpoints);
    endpoints
        .iter()
        .map(|(path, endpoint)| {
            let id = world.resources.get(path.as_str()).map_or(0, |record| record.id);
            let mut shown = json!({
                "status": status_with(path, endpoint, &nat),
                "pscConnectionId": endpoint.connection.to_string(),
                "endpoint": link::url(path),
                "endpointWithId": link::url(&with_id(path, id)),
                "consumerNetwork": link::url(&endpoint.network),
                "propagatedConnectionCount": 0,
            });
            if show_nat && let Some(addresses) = nat.get(*path) {
                shown["natIps"] = json!(addresses);
            }
            shown
        })
        .collect()
}
