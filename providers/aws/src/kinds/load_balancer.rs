//! The internal network load balancer in front of the targets, or the one that the user supplied.

mod change;
mod lower;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::LoadBalancer as Described;
use privnet_core::kind::{Change, Shape};
use privnet_core::{Address, Error, Field, Health, Kind, Live, Ownership, Replacement, Value};

use crate::balancing::Attributes;
use crate::fields::Fields;
use crate::kinds::{LOAD_BALANCER, outputs};
use crate::observe::{Snapshot, supplied_load_balancer};
use crate::ownership::{self, TagMap};
use crate::snapshot::SeenLoadBalancer;

pub(crate) use change::{create, delete, update};
pub(crate) use lower::{address, lower, named};

/// As <https://docs.aws.amazon.com/elasticloadbalancing/latest/network/network-load-balancers.html> spells them.
const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";
const DELETION_PROTECTION: &str = "deletion_protection.enabled";

// The type.

#[derive(Clone, Debug, PartialEq, Eq)]
struct Balancer {
    vpc: String,
    subnets: BTreeSet<String>,
    security_groups: BTreeSet<String>,
    ip_address_type: String,
    cross_zone: bool,
    deletion_protection: bool,
    /// Whether the security group's inbound rules hold for PrivateLink traffic too. Nothing where the API does not say: then
    /// it is set once, when the load balancer is made, and cannot be compared.
    enforce_inbound: Option<bool>,
    tags: TagMap,
}

impl Balancer {
    fn from_fields(values: &BTreeMap<String, Value>) -> Result<Self, Error> {
        let fields = Fields::new(LOAD_BALANCER, values);
        Ok(Self {
            vpc: fields.text("vpc")?,
            subnets: fields.texts("subnets")?,
            security_groups: fields.texts("security_groups")?,
            ip_address_type: fields.text("ip_address_type")?,
            cross_zone: fields.flag("cross_zone")?,
            deletion_protection: fields.flag("deletion_protection")?,
            enforce_inbound: fields.flag_if_any("enforce_inbound")?,
            tags: fields.text_map("tags")?,
        })
    }

    fn to_fields(&self) -> BTreeMap<String, Value> {
        BTreeMap::from([
            ("vpc".to_owned(), Value::text(&self.vpc)),
            ("subnets".to_owned(), Value::texts(&self.subnets)),
            ("security_groups".to_owned(), Value::texts(&self.security_groups)),
            ("ip_address_type".to_owned(), Value::text(&self.ip_address_type)),
            ("cross_zone".to_owned(), Value::Bool(self.cross_zone)),
            ("deletion_protection".to_owned(), Value::Bool(self.deletion_protection)),
            ("enforce_inbound".to_owned(), Value::from(self.enforce_inbound)),
            ("tags".to_owned(), Value::text_map(&self.tags)),
        ])
    }

    /// Whether it is what is wanted; what the API does not say is taken to be so once it was `written`.
    fn is(&self, wanted: &Self, written: bool) -> bool {
        let unsaid = written && self.enforce_inbound.is_none();
        let said = if unsaid { wanted.enforce_inbound } else { self.enforce_inbound };
        Self { enforce_inbound: said, ..self.clone() } == *wanted
    }

    fn of(described: &Described, attributes: &Attributes, tags: &TagMap) -> Self {
        let on = |name: &str| attributes.get(name).is_some_and(|value| value == "true");
        let zones = described.availability_zones().iter();
        Self {
            vpc: described.vpc_id().unwrap_or_default().to_owned(),
            subnets: zones.filter_map(|zone| zone.subnet_id().map(str::to_owned)).collect(),
            security_groups: described.security_groups().iter().cloned().collect(),
            ip_address_type: described.ip_address_type().map_or("ipv4", |kind| kind.as_str()).to_owned(),
            cross_zone: on(CROSS_ZONE),
            deletion_protection: on(DELETION_PROTECTION),
            enforce_inbound: enforces(described),
            tags: ownership::managed_tags(tags),
        }
    }
}

fn enforces(described: &Described) -> Option<bool> {
    let said = described.enforce_security_group_inbound_rules_on_private_link_traffic();
    said.map(|said| !said.eq_ignore_ascii_case("off"))
}

// The table.

pub(crate) const KIND: Kind = Kind {
    name: LOAD_BALANCER,
    title: "load balancer",
    fields: &[
        Field::managed("vpc").on_change(Change::ReplaceUnlessConnected),
        Field::managed("subnets").on_change(Change::GrowUnlessConnected).shaped(Shape::Set),
        Field::managed("security_groups").shaped(Shape::Set),
        Field::managed("ip_address_type"),
        Field::managed("cross_zone"),
        Field::managed("deletion_protection").protecting(),
        Field::if_set("enforce_inbound"),
        Field::managed("tags"),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 40,
    severs: true,
    serialized_by: &[],
    telling: &["dns_name"],
};

// Observe.

pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    snapshot.balancing.load_balancers.iter().flat_map(|seen| live_of(snapshot, seen)).collect()
}

/// One load balancer; a supplied one once for each service that names it.
fn live_of(snapshot: &Snapshot<'_>, seen: &SeenLoadBalancer) -> Vec<Live> {
    let Some(arn) = seen.described.load_balancer_arn() else { return Vec::new() };
    let live = |address: Address, generation, ownership: Ownership, fields| Live {
        address,
        generation,
        scope: snapshot.reach.scope.clone(),
        id: arn.to_owned(),
        ownership,
        fields,
        outputs: outputs([("arn", arn), ("dns_name", seen.described.dns_name().unwrap_or_default())]),
        health: health(&seen.described),
    };
    let named = || {
        let services = snapshot.wanted.services.iter();
        let named = services.filter(|(_, aws)| supplied_load_balancer(aws).as_deref() == Some(arn));
        named.map(|(service, _)| {
            live(address(service.name.as_str()), None, Ownership::Supplied, BTreeMap::new())
        })
    };
    let Some(claim) = &seen.claim else { return named().collect() };
    let fields = match claim.ownership {
        Ownership::Ours => Balancer::of(&seen.described, &seen.attributes, &seen.tags).to_fields(),
        Ownership::Supplied | Ownership::Unproven { .. } => BTreeMap::new(),
    };
    let mut all = vec![live(claim.address.clone(), Some(claim.generation), claim.ownership.clone(), fields)];
    // What is ours is nobody's to name: that both are here is refused.
    all.extend(named().filter(|_| claim.ownership == Ownership::Ours));
    all
}

fn state_of(described: &Described) -> String {
    let code = described.state().and_then(|state| state.code());
    code.map_or("active", |code| code.as_str()).to_lowercase()
}

fn health(described: &Described) -> Health {
    match state_of(described).as_str() {
        // `active_impaired` takes traffic; it lacks what it needs to grow.
        "active" | "active_impaired" => Health::Ready,
        "failed" => Health::Broken { state: "failed".to_owned() },
        state => Health::Busy { state: state.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_through_values() {
        let balancer = Balancer {
            vpc: "vpc-1".to_owned(),
            subnets: BTreeSet::from(["subnet-1".to_owned(), "subnet-2".to_owned()]),
            security_groups: BTreeSet::from(["sg-1".to_owned()]),
            ip_address_type: "ipv4".to_owned(),
            cross_zone: true,
            deletion_protection: false,
            enforce_inbound: Some(false),
            tags: TagMap::from([("a".to_owned(), "b".to_owned())]),
        };
        let fields = balancer.to_fields();
        assert_eq!(Balancer::from_fields(&fields).unwrap(), balancer);
        crate::kinds::tests::assert_in_table(&KIND, &fields);
    }
}
