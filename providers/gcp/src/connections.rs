//! Who is connected to a service attachment: what its answer tells. Pure.

use std::collections::BTreeSet;

use privnet_core::accept::{Connection, ConnectionState, Identity};

use crate::entry::Entry;
use crate::json::{Json, list, text};
use crate::path;

/// All connections of an attachment.
pub(crate) fn of(attachment: &Json) -> Vec<Connection> {
    let listed = entries(attachment);
    list(attachment, "connectedEndpoints").iter().map(|endpoint| connection(endpoint, &listed)).collect()
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
    let (project, network) = (project(endpoint), network(endpoint));
    let limit = listed.iter().find_map(|entry| match entry {
        Entry::Project { project: listed, limit } if Some(listed) == project.as_ref() => Some(*limit),
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
        let found = of(&attachment("PENDING", json!([])));
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
            of(&attachment("PENDING", listed))[0].note.as_deref().is_some_and(|n| n.contains("limit of 1"))
        );
        let closed = &of(&attachment("CLOSED", json!([])))[0];
        assert!(closed.note.is_some() && !closed.state.may_be_live());
        let attention = &of(&attachment("NEEDS_ATTENTION", json!([])))[0];
        assert!(attention.note.is_some() && attention.state.may_be_live());
        assert!(of(&attachment("SOMETHING_NEW", json!([])))[0].state.may_be_live());
    }
}
