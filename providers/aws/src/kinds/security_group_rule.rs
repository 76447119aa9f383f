//! Rules of security groups: what may come in to the load balancer and to the forwarders, and what may go on to a database.
//!
//! A rule's address says all of what it allows, so nothing of it ever changes but its tags: another rule is another address.

mod change;
mod lower;
mod proof;

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, SecurityGroupRule, UserIdGroupPair};
use ipnet::IpNet;
use privnet_core::kind::{Change, Shape};
use privnet_core::{Address, Error, Field, Generation, Health, Kind, Live, Ownership, Replacement, Value};

use crate::fields::Fields;
use crate::kinds::{SECURITY_GROUP_RULE, outputs, security_group};
use crate::network::tags_of;
use crate::observe::Snapshot;
use crate::ownership::{self, TagMap};

use lower::{OWN, inbound, to_forwarders};
use proof::{is_of, own_groups};

pub(crate) use change::{create, delete, update};
pub(crate) use lower::{
    around_forwarders, inbound_to_balancer, let_in_now, lower, open_to_balancer, opened, to_databases,
    ways_that_close,
};
pub(crate) use proof::{copies, proof_in_yours};

const TCP: &str = "tcp";
/// The default quota of inbound rules of a group, for IPv4 and IPv6 each
/// (<https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups>). Where it was raised and
/// there are more, no turns are taken.
const RULES_PER_GROUP: usize = 60;

// The type.

#[derive(Clone, Debug, PartialEq, Eq)]
struct Ingress {
    /// The group that it is in.
    group: String,
    /// The range or security group that may come in.
    source: String,
    port: i64,
    tags: TagMap,
}

impl Ingress {
    fn from_fields(values: &BTreeMap<String, Value>) -> Result<Self, Error> {
        let fields = Fields::new(SECURITY_GROUP_RULE, values);
        Ok(Self {
            group: fields.text("group")?,
            source: fields.text("source")?,
            port: fields.number("port")?,
            tags: fields.text_map("tags")?,
        })
    }

    fn to_fields(&self) -> BTreeMap<String, Value> {
        BTreeMap::from([
            ("group".to_owned(), Value::text(&self.group)),
            ("source".to_owned(), Value::text(&self.source)),
            ("port".to_owned(), Value::Int(self.port)),
            ("tags".to_owned(), Value::text_map(&self.tags)),
        ])
    }

    /// A rule that lets one source in to one TCP port; others are not of this type.
    fn of(rule: &SecurityGroupRule) -> Option<Self> {
        let group_source = rule.referenced_group_info().and_then(|info| info.group_id());
        let source = rule.cidr_ipv4().or(rule.cidr_ipv6()).or(group_source)?;
        let port = rule.from_port()?;
        let single = rule.is_egress() == Some(false)
            && rule.ip_protocol() == Some(TCP)
            && rule.to_port() == Some(port);
        single.then(|| Self {
            group: rule.group_id().unwrap_or_default().to_owned(),
            source: source.to_owned(),
            port: i64::from(port),
            tags: ownership::managed_tags(&tags_of(rule.tags())),
        })
    }

    fn allows_the_same(&self, other: &Self) -> bool {
        (&self.group, &self.source, self.port) == (&other.group, &other.source, other.port)
    }

    /// In the form that calls take.
    fn permission(&self, description: &str) -> IpPermission {
        let port = i32::try_from(self.port).unwrap_or_default();
        let permission = IpPermission::builder().ip_protocol(TCP).from_port(port).to_port(port);
        let permission = match self.source.parse::<IpNet>() {
            Ok(IpNet::V4(range)) => permission
                .ip_ranges(IpRange::builder().cidr_ip(range.to_string()).description(description).build()),
            Ok(IpNet::V6(range)) => permission.ipv6_ranges(
                Ipv6Range::builder().cidr_ipv6(range.to_string()).description(description).build(),
            ),
            Err(_) => permission.user_id_group_pairs(
                UserIdGroupPair::builder().group_id(&self.source).description(description).build(),
            ),
        };
        permission.build()
    }
}

// The table.

pub(crate) const KIND: Kind = Kind {
    name: SECURITY_GROUP_RULE,
    title: "security group rule",
    fields: &[
        Field::managed("group").on_change(Change::Replace).shared_by_at_most(RULES_PER_GROUP),
        Field::managed("source").on_change(Change::Replace).shaped(Shape::Range),
        Field::managed("port").on_change(Change::Replace),
        Field::managed("tags"),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 60,
    // Established connections are tracked and go on
    // (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html>).
    severs: false,
    serialized_by: &[],
    telling: &[],
};

// Observe.

pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let own_groups = own_groups(snapshot);
    let rules = snapshot.network.rules.iter().filter_map(|rule| {
        let id = rule.security_group_rule_id()?.to_owned();
        let (address, generation) = match own_groups.get(rule.group_id()?) {
            // A child of an owned parent is owned, whoever made it.
            Some(group) => (
                own_rule(rule, group, &own_groups)?,
                ownership::proof(&tags_of(rule.tags()), snapshot.wanted.deployment).map(|p| p.generation),
            ),
            None => {
                let proof = proof_in_yours(
                    rule,
                    &snapshot.network.rules,
                    snapshot.wanted.deployment,
                    is_of(&own_groups),
                )?;
                (proof.address, Some(proof.generation))
            }
        };
        Some(Live {
            address,
            generation: Some(generation.unwrap_or(Generation::A)),
            scope: snapshot.reach.scope.clone(),
            fields: fields_of(rule),
            outputs: outputs([("id", &id)]),
            id,
            ownership: Ownership::Ours,
            health: Health::Ready,
        })
    });
    rules.collect()
}

/// The address of a rule in a group of ours. What goes out is the group's own matter.
fn own_rule(
    rule: &SecurityGroupRule,
    group: &Address,
    own_groups: &BTreeMap<&str, &Address>,
) -> Option<Address> {
    if rule.is_egress() == Some(true) {
        return None;
    }
    let service = group.service.as_str();
    let ingress = Ingress::of(rule).and_then(|ingress| {
        if group.name == security_group::FORWARDERS {
            let balancer = security_group::address(service);
            let own = own_groups.get(ingress.source.as_str()).is_some_and(|source| **source == balancer);
            let source = if own { OWN } else { ingress.source.as_str() };
            return Some(to_forwarders(service, ingress.port, source));
        }
        ingress.source.parse::<IpNet>().ok()?;
        Some(inbound(service, ingress.port, &ingress.source))
    });
    // What is nothing that the file could want goes.
    let other = || {
        Some(Address::new(service, SECURITY_GROUP_RULE, format!("other/{}", rule.security_group_rule_id()?)))
    };
    ingress.or_else(other)
}

/// What a rule that the file could not have wanted still has is the group that it takes room in.
fn fields_of(rule: &SecurityGroupRule) -> BTreeMap<String, Value> {
    let group = || BTreeMap::from([("group".to_owned(), Value::text(rule.group_id().unwrap_or_default()))]);
    Ingress::of(rule).map_or_else(group, |ingress| ingress.to_fields())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_through_values() {
        let rule = Ingress {
            group: "sg-1".to_owned(),
            source: "10.0.0.0/8".to_owned(),
            port: 5432,
            tags: TagMap::from([("a".to_owned(), "b".to_owned())]),
        };
        let fields = rule.to_fields();
        assert_eq!(Ingress::from_fields(&fields).unwrap(), rule);
        crate::kinds::tests::assert_in_table(&KIND, &fields);
    }

    #[test]
    fn a_source_is_a_range_or_a_group() {
        let rule = |source: &str| Ingress {
            group: "sg-1".into(),
            source: source.into(),
            port: 1,
            tags: TagMap::new(),
        };
        assert_eq!(rule("10.0.0.0/8").permission("d").ip_ranges().len(), 1);
        assert_eq!(rule("fd00::/8").permission("d").ipv6_ranges().len(), 1);
        assert_eq!(rule("sg-2").permission("d").user_id_group_pairs().len(), 1);
    }
}
