//! The service attachment: what consumers connect to (<https://cloud.google.com/vpc/docs/about-vpc-hosted-services>).
//!
//! It is always `ACCEPT_MANUAL`. With `acceptance: manual` its accept list starts empty and is written by decisions on
//! connections; an apply leaves no room in it but for who is let in already. With `automatic` it is the consumers of the file.

mod change;
mod lower;

use std::collections::BTreeSet;

use privnet_core::spec::Service;
use privnet_core::spec::gcp::{GcpForm, GcpService};
use privnet_core::{Address, Change, Field, Kind, Live, Replacement, Shape, Value};
use serde::{Deserialize, Serialize};

use crate::collection::Collection;
use crate::connections;
use crate::entry::Entry;
use crate::fields::{self, Fields};
use crate::json::{Json, flag, number, text, texts};
use crate::path;
use crate::snapshot::Snapshot;

pub(crate) use change::{create, delete, update};
pub(crate) use lower::lower;

/// The name in addresses of an attachment of the user's.
pub(crate) const SUPPLIED: &str = "supplied";
const PREFERENCE: &str = "ACCEPT_MANUAL";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attachment {
    pub(crate) target: Value,
    pub(crate) nat_subnets: Vec<Value>,
    pub(crate) connection_preference: String,
    pub(crate) proxy_protocol: bool,
    pub(crate) reconcile_connections: bool,
    #[serde(default)]
    pub(crate) domain_names: BTreeSet<String>,
    #[serde(default)]
    pub(crate) propagated_connection_limit: Option<i64>,
    /// Entries, where the file decides them and taking one away cuts nobody.
    #[serde(default)]
    pub(crate) consumers: Option<BTreeSet<String>>,
    /// The same where taking one away cuts its connections.
    #[serde(default)]
    pub(crate) reconciled_consumers: Option<BTreeSet<String>>,
    /// Who is connected, by id; wanted only where a change would cut somebody: those who stay.
    #[serde(default)]
    pub(crate) connected: Option<BTreeSet<String>>,
    /// The reject list; wanted only where what else changes would make it forget somebody.
    #[serde(default)]
    pub(crate) rejected: Option<BTreeSet<String>>,
    /// Whether the forwarding rule that it has, whoever's that is, has global access.
    #[serde(default)]
    pub(crate) global_access: Option<bool>,
    /// How many addresses the NAT subnets have, where that is known.
    #[serde(default)]
    pub(crate) addresses: Option<i64>,
    /// How many of them are taken.
    #[serde(default)]
    pub(crate) addresses_taken: Option<i64>,
}

pub(crate) const KIND: Kind = Kind {
    name: "service-attachment",
    title: "service attachment",
    fields: &[
        Field::managed("target").naming_targets(),
        Field::managed("nat_subnets").on_change(Change::Grow).shaped(Shape::Set).bounding_the_service(),
        Field::managed("connection_preference"),
        // It is for new connections alone: those that are there stay as they are.
        Field::managed("proxy_protocol"),
        Field::managed("reconcile_connections"),
        Field::managed("domain_names").on_change(Change::Refuse).shaped(Shape::Set),
        Field::if_set("propagated_connection_limit"),
        Field::if_set("consumers").shaped(Shape::Set),
        Field::if_set("reconciled_consumers").shaped(Shape::Set),
        Field::if_set("connected").on_change(Change::GrowUnlessConnected).shaped(Shape::Set),
        Field::if_set("rejected").shaped(Shape::Set),
        Field::observed("global_access"),
        Field::observed("addresses"),
        Field::observed("addresses_taken"),
    ],
    // Two attachments cannot share a NAT subnet.
    replacement: Replacement::DeleteFirst,
    teardown_rank: 10,
    severs: true,
    serialized_by: &[],
    telling: &[],
};

pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let mut live = super::live_of(
        snapshot,
        Collection::ServiceAttachments,
        &KIND,
        |json| fields::of(&seen(snapshot, json)),
        |_| Fields::new(),
    );
    for (address, json) in supplied(snapshot) {
        live.push(super::supplied(snapshot, address, json, fields::of(&seen(snapshot, json))));
    }
    live
}

/// The attachments that the file names as there already. Of what this deployment made, a tombstone names what goes: that is seen as what it is.
pub(crate) fn supplied<'a>(snapshot: &Snapshot<'a>) -> Vec<(Address, &'a Json)> {
    let named = snapshot.services.iter().filter_map(|(service, gcp)| {
        let GcpForm::ServiceAttachment { name, .. } = &gcp.form else { return None };
        let json = snapshot.by_name(Collection::ServiceAttachments, name.as_str())?;
        let is_own = service.remove && snapshot.maker(KIND.name, json).is_some();
        (!is_own).then(|| (Address::new(service.name.as_str(), KIND.name, SUPPLIED), json))
    });
    named.collect()
}

/// Whether a tombstone names as there already what was made for that very service.
pub(crate) fn names_itself(snapshot: &Snapshot<'_>, service: &Service, gcp: &GcpService) -> bool {
    let GcpForm::ServiceAttachment { name, .. } = &gcp.form else { return false };
    let there = snapshot.by_name(Collection::ServiceAttachments, name.as_str());
    let maker = there.and_then(|json| snapshot.maker(KIND.name, json));
    service.remove && maker.as_deref() == Some(service.name.as_str())
}

/// An attachment with what else was read of its forwarding rule and NAT subnets.
fn seen(snapshot: &Snapshot<'_>, json: &Json) -> Attachment {
    let rule = text(json, "targetService").map(path::of);
    let rules = snapshot.by_name(Collection::ForwardingRules, rule.as_deref().map_or("", path::name));
    let rule = rules.filter(|there| text(there, "selfLink").map(path::of) == rule);
    let global_access = rule.map(|rule| flag(rule, "allowGlobalAccess"));
    Attachment { global_access, addresses: addresses(snapshot, json), ..read(json) }
}

/// The addresses of an attachment's NAT subnets, where these were read. Four of each range are the cloud's own.
fn addresses(snapshot: &Snapshot<'_>, attachment: &Json) -> Option<i64> {
    let ranges = texts(attachment, "natSubnets").into_iter().map(|url| {
        let path = path::of(&url);
        let subnet = snapshot.facts.subnets.values().find(|subnet| subnet.path == path)?;
        let range: ipnet::Ipv4Net = subnet.cidr.parse().ok()?;
        Some((1_i64 << (32 - range.prefix_len())) - 4)
    });
    ranges.sum()
}

fn read(json: &Json) -> Attachment {
    let listed: BTreeSet<String> = connections::entries(json).iter().map(Entry::spelled).collect();
    let connected = connections::bare(json).into_iter().filter(|connection| connection.state.may_be_live());
    Attachment {
        target: text(json, "targetService").map_or(Value::Null, |url| Value::text(path::of(url))),
        nat_subnets: texts(json, "natSubnets").iter().map(|url| Value::text(path::of(url))).collect(),
        connection_preference: text(json, "connectionPreference").unwrap_or_default().to_owned(),
        proxy_protocol: flag(json, "enableProxyProtocol"),
        reconcile_connections: flag(json, "reconcileConnections"),
        domain_names: texts(json, "domainNames").into_iter().collect(),
        propagated_connection_limit: number(json, "propagatedConnectionLimit"),
        consumers: Some(listed.clone()),
        reconciled_consumers: Some(listed),
        connected: Some(connected.map(|connection| connection.id).collect()),
        rejected: Some(rejected(json).into_iter().collect()),
        global_access: None,
        addresses: None,
        addresses_taken: Some(connections::addresses_taken(json)),
    }
}

/// The reject list, in one spelling: the cloud shows URLs where it was given paths.
fn rejected(json: &Json) -> Vec<String> {
    connections::rejects(json).iter().map(|entry| entry.subject().to_owned()).collect()
}

/// Whether somebody has set an attachment to let in whoever asks: its lists begin to count when that is set back.
pub(crate) fn takes_everybody(live: &Attachment) -> bool {
    live.connection_preference != PREFERENCE
}

/// Entries of a list as fields spell them.
fn parsed(spelled: Option<&BTreeSet<String>>) -> Vec<Entry> {
    spelled.into_iter().flatten().filter_map(|entry| Entry::parse(entry)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_read_survives_the_plans_fields() {
        let json = json!({ "targetService": "https://x/projects/p/regions/r/forwardingRules/f",
            "natSubnets": ["https://x/projects/p/regions/r/subnetworks/s"], "connectionPreference": "ACCEPT_MANUAL",
            "enableProxyProtocol": true, "reconcileConnections": true, "domainNames": ["a.b."],
            "propagatedConnectionLimit": 3, "consumerAcceptLists": [{ "projectIdOrNum": "p-1", "connectionLimit": 2 }] });
        let typed = read(&json);
        assert_eq!(fields::typed::<Attachment>(KIND.name, &fields::of(&typed)).expect("the same"), typed);
        assert_eq!(typed.consumers, Some(BTreeSet::from(["project:p-1=2".to_owned()])));
        for field in fields::of(&typed).keys() {
            assert!(KIND.field(field).is_some(), "{field}");
        }
    }
}
