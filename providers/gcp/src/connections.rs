//! Who is connected to a service attachment: what its answer tells. Pure.

use std::collections::BTreeSet;

use privnet_core::accept::{Connection, ConnectionState, Identity};

use crate::entry::Entry;
use crate::json::{Json, list, number, text};
use crate::path;

/// All connections of an attachment; `addresses` is how many its NAT subnets have, where that is known.
pub(crate) fn of(attachment: &Json, addresses: Option<i64>) -> Vec<Connection> {
    let listed = entries(attachment);
    let endpoints = list(attachment, "connectedEndpoints");
    let nat = addresses.and_then(|addresses| nearly_exhausted(endpoints, addresses));
    let of = |endpoint: &Json| {
        let mut connection = connection(endpoint, &listed);
        let together = together(endpoint, &listed, endpoints);
        let notes = [connection.note.take(), together, nat.clone()];
        let notes: Vec<String> = notes.into_iter().flatten().collect();
        connection.note = (!notes.is_empty()).then(|| notes.join("; "));
        connection
    };
    endpoints.iter().map(of).collect()
}

/// The live endpoints that an entry of the accept list lets in together with this one, by id: an entry for a project or a network
/// stands for all of its endpoints.
pub(crate) fn siblings(endpoint: &Json, listed: &[Entry], endpoints: &[Json]) -> Vec<String> {
    let own = psc_id(endpoint);
    let of_one_entry = |entry: &Entry, other: &Json| match entry {
        Entry::Project { project, .. } => is_project(endpoint, project) && is_project(other, project),
        Entry::Network { network, .. } => {
            let is = |of: &Json| self::network(of).is_some_and(|found| path::same(&found, network));
            is(endpoint) && is(other)
        }
        Entry::Endpoint { .. } => false,
    };
    endpoints
        .iter()
        .filter(|other| state(other).may_be_live() && psc_id(other) != own)
        .filter(|other| listed.iter().any(|entry| of_one_entry(entry, other)))
        .map(psc_id)
        .collect()
}

/// Whether an endpoint is in this project, by id or number.
pub(crate) fn is_project(endpoint: &Json, project: &str) -> bool {
    let urls = ["endpoint", "endpointWithId"].into_iter().filter_map(|key| text(endpoint, key));
    urls.filter_map(|url| path::after(url, "projects")).any(|found| found == project)
}

fn together(endpoint: &Json, listed: &[Entry], endpoints: &[Json]) -> Option<String> {
    let others = siblings(endpoint, listed, endpoints);
    (!others.is_empty()).then(|| {
        format!("its entry stands for its whole consumer: to reject it cuts {} as well", others.join(", "))
    })
}

/// Each endpoint, and each connection that is propagated from one, takes an address
/// (<https://cloud.google.com/vpc/docs/about-vpc-hosted-services#nat-subnets>).
fn nearly_exhausted(endpoints: &[Json], addresses: i64) -> Option<String> {
    let live = endpoints.iter().filter(|endpoint| state(endpoint).may_be_live());
    let used: i64 = live.map(|endpoint| 1 + number(endpoint, "propagatedConnectionCount").unwrap_or(0)).sum();
    (used > 0 && used * 10 >= addresses * 8).then(|| {
        format!(
            "the NAT subnets have {} of {addresses} addresses left: add one to `nat_subnets`",
            (addresses - used).max(0)
        )
    })
}

/// The entries of the accept list.
pub(crate) fn entries(attachment: &Json) -> Vec<Entry> {
    list(attachment, "consumerAcceptLists").iter().filter_map(Entry::of).collect()
}

/// The connected endpoint of this `PSC_CONNECTION_ID`.
pub(crate) fn endpoint<'a>(attachment: &'a Json, id: &str) -> Option<&'a Json> {
    list(attachment, "connectedEndpoints").iter().find(|endpoint| psc_id(endpoint) == id)
}

/// The path that an accept list names it by: with the numeric id, so that a new endpoint of the same name is another.
pub(crate) fn handle(endpoint: &Json) -> String {
    let url = text(endpoint, "endpointWithId").or_else(|| text(endpoint, "endpoint"));
    path::of(url.unwrap_or_default())
}

/// The project that the endpoint is in.
pub(crate) fn project(endpoint: &Json) -> Option<String> {
    let url = text(endpoint, "endpoint").or_else(|| text(endpoint, "endpointWithId"))?;
    path::after(url, "projects").map(str::to_owned)
}

/// The path of the consumer's network.
pub(crate) fn network(endpoint: &Json) -> Option<String> {
    text(endpoint, "consumerNetwork").map(path::of)
}

/// The state that the cloud's word stands for (<https://cloud.google.com/vpc/docs/about-vpc-hosted-services#connection-statuses>).
pub(crate) fn state(endpoint: &Json) -> ConnectionState {
    match text(endpoint, "status") {
        Some("PENDING") => ConnectionState::Pending,
        Some("ACCEPTED") => ConnectionState::Accepted,
        Some("NEEDS_ATTENTION") => ConnectionState::NeedsAttention,
        Some("REJECTED") => ConnectionState::Rejected,
        Some("CLOSED") => ConnectionState::Closed,
        _ => ConnectionState::Changing,
    }
}

fn psc_id(endpoint: &Json) -> String {
    let id = endpoint.get("pscConnectionId");
    id.and_then(|id| id.as_str().map(str::to_owned).or_else(|| id.as_u64().map(|id| id.to_string())))
        .unwrap_or_default()
}

fn connection(endpoint: &Json, listed: &[Entry]) -> Connection {
    let state = state(endpoint);
    Connection {
        id: psc_id(endpoint),
        handle: handle(endpoint),
        identities: identities(endpoint),
        state,
        cloud_state: text(endpoint, "status").unwrap_or("UNKNOWN").to_owned(),
        since: None,
        note: note(endpoint, state, listed),
    }
}

fn identities(endpoint: &Json) -> BTreeSet<Identity> {
    let urls = ["endpoint", "endpointWithId"].into_iter().filter_map(|key| text(endpoint, key));
    let projects = urls.filter_map(|url| path::after(url, "projects"));
    let mut identities: BTreeSet<Identity> =
        projects.map(|project| Identity::new("project", project)).collect();
    identities.extend(network(endpoint).map(|network| Identity::new("network", &network)));
    identities
}

fn note(endpoint: &Json, state: ConnectionState, listed: &[Entry]) -> Option<String> {
    match state {
        ConnectionState::NeedsAttention => Some(
            "it is let in, but does not work: often the NAT subnets have no address left (add one to `nat_subnets`), or the consumer's network is at its limit"
                .to_owned(),
        ),
        ConnectionState::Closed => {
            Some("it is closed for good: the consumer must delete its endpoint and make a new one".to_owned())
        }
        ConnectionState::Pending => over_limit(endpoint, listed),
        _ => None,
    }
}

fn over_limit(endpoint: &Json, listed: &[Entry]) -> Option<String> {
    let network = network(endpoint);
    let limit = listed.iter().find_map(|entry| match entry {
        Entry::Project { project, limit } if is_project(endpoint, project) => Some(*limit),
        Entry::Network { network: listed, limit } if Some(listed) == network.as_ref() => Some(*limit),
        _ => None,
    })?;
    Some(format!("its consumer is let in, but has its limit of {limit} connection(s) already"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[allow(clippy::needless_pass_by_value, reason = "a literal, at each call")]
    fn attachment(status: &str, accept: Json) -> Json {
        json!({ "consumerAcceptLists": accept, "connectedEndpoints": [{
            "endpoint": "https://www.googleapis.com/compute/v1/projects/fivetran-donkeys/regions/r/forwardingRules/ep",
            "endpointWithId": "https://www.googleapis.com/compute/v1/projects/323456789012/regions/r/forwardingRules/17",
            "consumerNetwork": "https://www.googleapis.com/compute/v1/projects/fivetran-donkeys/global/networks/n",
            "pscConnectionId": "12345678901234567890", "status": status }] })
    }

    #[test]
    fn projects_are_known_by_id_and_number() {
        let found = of(&attachment("PENDING", json!([])), None);
        assert_eq!(found[0].id, "12345678901234567890");
        assert_eq!(found[0].handle, "projects/323456789012/regions/r/forwardingRules/17");
        let named: Vec<_> = found[0].identities.iter().map(ToString::to_string).collect();
        assert_eq!(
            named,
            [
                "network:projects/fivetran-donkeys/global/networks/n",
                "project:323456789012",
                "project:fivetran-donkeys"
            ]
        );
        assert!(found[0].note.is_none());
    }

    #[test]
    fn states_are_explained() {
        let listed = json!([{ "projectIdOrNum": "fivetran-donkeys", "connectionLimit": 1 }]);
        assert!(
            of(&attachment("PENDING", listed), None)[0]
                .note
                .as_deref()
                .is_some_and(|n| n.contains("limit of 1"))
        );
        let closed = &of(&attachment("CLOSED", json!([])), None)[0];
        assert!(closed.note.is_some() && !closed.state.may_be_live());
        let attention = &of(&attachment("NEEDS_ATTENTION", json!([])), None)[0];
        assert!(attention.note.is_some() && attention.state.may_be_live());
        assert!(of(&attachment("SOMETHING_NEW", json!([])), None)[0].state.may_be_live());
    }
    #[test]
    fn who_would_be_cut_along_is_named() {
        let mut two =
            attachment("ACCEPTED", json!([{ "projectIdOrNum": "323456789012", "connectionLimit": 2 }]));
        let mut other = two["connectedEndpoints"][0].clone();
        other["pscConnectionId"] = json!("77");
        two["connectedEndpoints"].as_array_mut().expect("a list").push(other);
        let notes: Vec<_> = of(&two, None).into_iter().filter_map(|connection| connection.note).collect();
        assert!(notes.len() == 2 && notes[0].contains("cuts 77 as well"), "{notes:?}");
        two["consumerAcceptLists"] = json!([]);
        assert!(of(&two, None).iter().all(|connection| connection.note.is_none()));
    }

    #[test]
    fn addresses_that_run_out_are_told_in_time() {
        let one = attachment("ACCEPTED", json!([]));
        assert!(of(&one, Some(252))[0].note.is_none());
        assert!(of(&one, Some(1))[0].note.as_deref().is_some_and(|note| note.contains("0 of 1")));
        let mut many = attachment("ACCEPTED", json!([]));
        many["connectedEndpoints"][0]["propagatedConnectionCount"] = json!(3);
        assert!(of(&many, Some(5))[0].note.as_deref().is_some_and(|note| note.contains("1 of 5")));
    }
}
