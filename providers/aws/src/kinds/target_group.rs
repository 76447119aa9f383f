//! A target group for each listening port: what is behind the load balancer, and how its health is found out.

mod change;
mod delete;
mod lower;
mod members;
mod time_to_end;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::TargetGroup as Described;
use ipnet::IpNet;
use privnet_core::kind::{Change, Likeness, Shape, canonical};
use privnet_core::{Error, Field, Health, Kind, Live, Ownership, Replacement, Value};

use crate::balancing::Attributes;
use crate::facts::Registered;
use crate::fields::Fields;
use crate::gather::registered;
use crate::kinds::{TARGET_GROUP, outputs};
use crate::observe::Snapshot;
use crate::ownership::{self, TagMap};
use crate::targets::{TargetId, TargetType};

pub(crate) use change::{create, update};
pub(crate) use delete::delete;
pub(crate) use lower::{address, asked_for_health, has_addresses, lower, named};
pub(crate) use time_to_end::give;

/// As <https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html> spells them.
const PRESERVE_CLIENT_IP: &str = "preserve_client_ip.enabled";
const PROXY_PROTOCOL: &str = "proxy_protocol_v2.enabled";
const DRAIN: &str = "deregistration_delay.timeout_seconds";
const TERMINATE: &str = "deregistration_delay.connection_termination.enabled";

/// The tag of a group whose members are a forwarder group's machines.
const MEMBERS_TAG: &str = "privnet:members";

/// Whether a group of these tags has a forwarder group's machines as its members.
pub(crate) fn is_of_machines(tags: &TagMap) -> bool {
    tags.get(MEMBERS_TAG).is_some_and(|members| members == TargetType::Forwarders.as_str())
}

// The type.

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    protocol: String,
    port: i64,
    vpc: String,
    target_type: String,
    ip_address_type: String,
    health_check: Check,
    preserve_client_ip: bool,
    proxy_protocol: bool,
    /// How long a target that goes keeps its sessions, in seconds.
    drain: i64,
    /// Whether sessions are ended when that time is over.
    terminate_after_drain: bool,
    /// The load balancer that uses it.
    load_balancer: Option<String>,
    /// What is registered; nothing where the machines of a forwarder group come and go by themselves.
    targets: Option<BTreeSet<TargetId>>,
    tags: TagMap,
}

/// How health is found out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Check {
    protocol: String,
    port: String,
    path: Option<String>,
    interval: i64,
    timeout: i64,
    healthy: i64,
    unhealthy: i64,
}

impl Check {
    /// What is asked. Targets may answer one and not another, and one that does not loses its sessions
    /// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#unhealthy-target-connection-termination>).
    fn question(&self) -> Value {
        let mut entries = BTreeMap::from([
            ("protocol".to_owned(), Value::text(&self.protocol)),
            ("port".to_owned(), Value::text(&self.port)),
        ]);
        entries.extend(self.path.as_ref().map(|path| ("path".to_owned(), Value::text(path))));
        Value::map(entries)
    }

    /// How often, for how long, and how many answers alike change the state.
    fn timing(&self) -> Value {
        Value::map(BTreeMap::from([
            ("interval".to_owned(), Value::Int(self.interval)),
            ("timeout".to_owned(), Value::Int(self.timeout)),
            ("healthy".to_owned(), Value::Int(self.healthy)),
            ("unhealthy".to_owned(), Value::Int(self.unhealthy)),
        ]))
    }

    fn from_fields(values: &BTreeMap<String, Value>) -> Result<Self, Error> {
        let empty = BTreeMap::new();
        let entries = |name: &str| values.get(name).and_then(Value::as_map).unwrap_or(&empty);
        let question = Fields::new("health-check", entries("health_check"));
        let timing = Fields::new("health-check", entries("health_check_timing"));
        Ok(Self {
            protocol: question.text("protocol")?,
            port: question.text("port")?,
            path: question.text_if_any("path")?,
            interval: timing.number("interval")?,
            timeout: timing.number("timeout")?,
            healthy: timing.number("healthy")?,
            unhealthy: timing.number("unhealthy")?,
        })
    }

    fn of(described: &Described) -> Self {
        let number = |value: Option<i32>| value.map(i64::from).unwrap_or_default();
        let protocol =
            described.health_check_protocol().map_or("TCP", |protocol| protocol.as_str()).to_owned();
        Self {
            port: where_asked(
                described.health_check_port().unwrap_or(TRAFFIC_PORT),
                described.port().map(i64::from),
            ),
            // A TCP check has no path, whatever is remembered from before.
            path: described.health_check_path().filter(|_| protocol != "TCP").map(str::to_owned),
            interval: number(described.health_check_interval_seconds()),
            timeout: number(described.health_check_timeout_seconds()),
            healthy: number(described.healthy_threshold_count()),
            unhealthy: number(described.unhealthy_threshold_count()),
            protocol,
        }
    }
}

/// The API's word for "the port that traffic goes to".
const TRAFFIC_PORT: &str = "traffic-port";

/// Where targets are asked, in one word for the one port that has two: the group's own.
fn where_asked(port: &str, of_group: Option<i64>) -> String {
    let is_own = of_group.is_some_and(|own| own.to_string() == port);
    if is_own { TRAFFIC_PORT } else { port }.to_owned()
}

impl Group {
    fn from_fields(values: &BTreeMap<String, Value>) -> Result<Self, Error> {
        let fields = Fields::new(TARGET_GROUP, values);
        Ok(Self {
            protocol: fields.text("protocol")?,
            port: fields.number("port")?,
            vpc: fields.text("vpc")?,
            target_type: fields.text("target_type")?,
            ip_address_type: fields.text("ip_address_type")?,
            health_check: Check::from_fields(values)?,
            preserve_client_ip: fields.flag("preserve_client_ip")?,
            proxy_protocol: fields.flag("proxy_protocol")?,
            drain: fields.number("drain")?,
            terminate_after_drain: fields.flag("terminate_after_drain")?,
            load_balancer: fields.text_if_any("load_balancer")?,
            targets: match values.get("targets") {
                None => None,
                Some(_) => {
                    Some(fields.texts("targets")?.iter().filter_map(|text| TargetId::parse(text)).collect())
                }
            },
            tags: fields.text_map("tags")?,
        })
    }

    fn to_fields(&self) -> BTreeMap<String, Value> {
        let targets = self
            .targets
            .as_ref()
            .map(|targets| ("targets".to_owned(), Value::texts(targets.iter().map(ToString::to_string))));
        let mut fields = BTreeMap::from([
            ("protocol".to_owned(), Value::text(&self.protocol)),
            ("port".to_owned(), Value::Int(self.port)),
            ("vpc".to_owned(), Value::text(&self.vpc)),
            ("target_type".to_owned(), Value::text(&self.target_type)),
            ("ip_address_type".to_owned(), Value::text(&self.ip_address_type)),
            ("health_check".to_owned(), self.health_check.question()),
            ("health_check_timing".to_owned(), self.health_check.timing()),
            ("preserve_client_ip".to_owned(), Value::Bool(self.preserve_client_ip)),
            ("proxy_protocol".to_owned(), Value::Bool(self.proxy_protocol)),
            ("drain".to_owned(), Value::Int(self.drain)),
            ("terminate_after_drain".to_owned(), Value::Bool(self.terminate_after_drain)),
            ("load_balancer".to_owned(), self.load_balancer.clone().into()),
            ("tags".to_owned(), Value::text_map(&self.tags)),
        ]);
        fields.extend(targets);
        fields
    }

    fn of(
        described: &Described,
        attributes: &Attributes,
        tags: &TagMap,
        health: &[Registered],
        vpc_ranges: &BTreeSet<IpNet>,
    ) -> Self {
        let on = |name: &str| attributes.get(name).is_some_and(|value| value == "true");
        let forwarders = TargetType::Forwarders.as_str();
        let of_machines = is_of_machines(tags);
        let target_type = described.target_type().map_or("instance", |kind| kind.as_str());
        let target_type = if of_machines { forwarders } else { target_type }.to_owned();
        let staying = health.iter().filter(|target| !target.is_leaving());
        Self {
            protocol: described.protocol().map_or("TCP", |protocol| protocol.as_str()).to_owned(),
            port: described.port().map(i64::from).unwrap_or_default(),
            vpc: described.vpc_id().unwrap_or_default().to_owned(),
            ip_address_type: described.ip_address_type().map_or("ipv4", |kind| kind.as_str()).to_owned(),
            health_check: Check::of(described),
            preserve_client_ip: on(PRESERVE_CLIENT_IP) || target_type == TargetType::Alb.as_str(),
            proxy_protocol: on(PROXY_PROTOCOL),
            drain: attributes.get(DRAIN).and_then(|value| value.parse().ok()).unwrap_or_default(),
            terminate_after_drain: on(TERMINATE),
            load_balancer: described.load_balancer_arns().first().cloned(),
            targets: Some(staying.map(|target| TargetId::of(target, vpc_ranges)).collect()),
            tags: ownership::managed_tags(tags),
            target_type,
        }
    }
}

// The table.

pub(crate) const KIND: Kind = Kind {
    name: TARGET_GROUP,
    title: "target group",
    fields: &[
        Field::managed("protocol").on_change(Change::Replace),
        Field::managed("port").on_change(Change::Replace).bounding_the_service(),
        Field::managed("vpc").on_change(Change::ReplaceUnlessConnected).bounding_the_service(),
        Field::managed("target_type").on_change(Change::Replace).bounding_the_service(),
        Field::managed("ip_address_type").on_change(Change::Replace),
        // Targets that answer one check and not another would lose their sessions: another group has the other one, and the listener
        // turns to it when it is healthy.
        Field::managed("health_check").on_change(Change::Replace).leaving_targets(),
        Field::managed("health_check_timing"),
        Field::managed("preserve_client_ip"),
        // A database that does not expect the header takes no new session from whoever is connected, nor one that waits for it.
        Field::managed("proxy_protocol").on_change(Change::UpdateUnlessConnected),
        Field::managed("drain"),
        Field::managed("terminate_after_drain"),
        Field::managed("load_balancer").on_change(Change::Bind).without_traffic(),
        // A forwarder group's machines come and go by themselves; of every other port the file says the targets.
        Field::if_set("targets").shaped(Shape::Set).following_names().naming_targets(),
        Field::managed("tags"),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 50,
    severs: true,
    serialized_by: &[],
    telling: &[],
};

/// The fields that tell a service from others.
fn telling() -> impl Iterator<Item = &'static Field> {
    KIND.fields.iter().filter(|field| field.likeness != Likeness::None)
}

/// Whether a group that is wanted has the same targets as one that is there, on the same port and in the same VPC. Where none are known
/// yet that cannot be told. What machines of forwarders send to, their template says.
pub(crate) fn is_alike(wanted: &BTreeMap<String, Value>, there: &BTreeMap<String, Value>) -> bool {
    let known = |value: &Value| value.as_list().is_none_or(|members| !members.is_empty());
    let same = |field: &Field| match (wanted.get(field.name), there.get(field.name)) {
        (None, _) => true,
        (Some(wanted), Some(there)) => {
            known(wanted) && canonical(wanted, field.shape) == canonical(there, field.shape)
        }
        (Some(_), None) => false,
    };
    telling().all(same)
}

// Observe.

/// What tells a group of another deployment's service from others.
pub(crate) fn likeness(
    described: &Described,
    tags: &TagMap,
    health: &[Registered],
    vpc_ranges: &BTreeSet<IpNet>,
) -> BTreeMap<String, Value> {
    let mut fields = Group::of(described, &Attributes::new(), tags, health, vpc_ranges).to_fields();
    fields.retain(|name, _| telling().any(|field| field.name == name));
    fields
}

pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let groups = snapshot.balancing.target_groups.iter().filter_map(|seen| {
        let arn = seen.described.target_group_arn()?.to_owned();
        let fields = match seen.claim.ownership {
            Ownership::Ours => {
                let ranges = snapshot.vpc_ranges(seen.described.vpc_id().unwrap_or_default());
                let health = registered(&seen.health);
                Group::of(&seen.described, &seen.attributes, &seen.tags, &health, &ranges).to_fields()
            }
            Ownership::Supplied | Ownership::Unproven { .. } => BTreeMap::new(),
        };
        Some(Live {
            address: seen.claim.address.clone(),
            generation: Some(seen.claim.generation),
            scope: snapshot.reach.scope.clone(),
            ownership: seen.claim.ownership.clone(),
            fields,
            outputs: outputs([("arn", &arn)]),
            id: arn,
            health: Health::Ready,
        })
    });
    groups.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_through_values() {
        let group = Group {
            protocol: "TCP".to_owned(),
            port: 5432,
            vpc: "vpc-1".to_owned(),
            target_type: "ip".to_owned(),
            ip_address_type: "ipv4".to_owned(),
            health_check: Check {
                protocol: "HTTP".to_owned(),
                port: TRAFFIC_PORT.to_owned(),
                path: Some("/".to_owned()),
                interval: 10,
                timeout: 10,
                healthy: 3,
                unhealthy: 3,
            },
            preserve_client_ip: false,
            proxy_protocol: true,
            drain: 300,
            terminate_after_drain: true,
            load_balancer: Some("arn".to_owned()),
            targets: Some(BTreeSet::from([TargetId::parse("10.0.0.1:5432").unwrap()])),
            tags: TagMap::from([("a".to_owned(), "b".to_owned())]),
        };
        let fields = group.to_fields();
        assert_eq!(Group::from_fields(&fields).unwrap(), group);
        crate::kinds::tests::assert_in_table(&KIND, &fields);
    }
}
