//! A group of forwarder machines: an Auto Scaling group over at least two zones, registered with the target groups of the ports
//! that lead to it.
//!
//! It replaces failed machines only: its health is EC2's, not the load balancer's, or a database that is down would end every
//! forwarder. A change makes a new group, waits until the load balancer calls its machines healthy, drains the old one and deletes it;
//! instance refreshes are never used.

mod change;
mod leaving;
mod machines;
mod registrations;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::types::AutoScalingGroup as Described;
use privnet_core::kind::{Change, Shape, Traffic};
use privnet_core::spec::Service;
use privnet_core::spec::aws::AwsService;
use privnet_core::{
    Address, Error, Field, Health, Kind, Live, Lowered, Origin, Ownership, Replacement, Value,
};

use crate::facts::Registered;
use crate::fields::Fields;
use crate::forwarders;
use crate::gather::registered;
use crate::kinds::{FORWARDER_GROUP, launch_template, outputs, security_group_rule, target_group};
use crate::lower::Lowering;
use crate::observe::Snapshot;
use crate::ownership::{self, TagMap};

pub(crate) use change::{create, delete, update};
pub(crate) use leaving::leave;
pub(crate) use registrations::is_missing_for;

/// How long an old group keeps established sessions, for the run that deletes it.
const DRAIN_TAG: &str = "privnet:drain";
/// The API's word for the health of the machines themselves
/// (<https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-health-checks.html>).
const MACHINES_ONLY: &str = "EC2";

// The type.

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    launch_template: String,
    template_version: String,
    subnets: BTreeSet<String>,
    /// How many machines. Somebody else's limits around it show as text.
    count: Value,
    health_check: String,
    target_groups: BTreeSet<String>,
    /// The processes that somebody suspended: the replacement of failed machines may be among them.
    suspended: BTreeSet<String>,
    /// The machines in service that are in no list of a target group which they are attached to: `i-0123456789abcdef0:5432`.
    unregistered: BTreeSet<String>,
    /// How long established sessions are kept when the group goes, in seconds.
    drain: i64,
    /// The load balancers that send to it.
    load_balancers: BTreeSet<String>,
    tags: TagMap,
}

impl Group {
    fn from_fields(values: &BTreeMap<String, Value>) -> Result<Self, Error> {
        let fields = Fields::new(FORWARDER_GROUP, values);
        Ok(Self {
            launch_template: fields.text("launch_template")?,
            template_version: fields.text("template_version")?,
            subnets: fields.texts("subnets")?,
            count: values.get("count").cloned().unwrap_or(Value::Null),
            health_check: fields.text("health_check")?,
            target_groups: fields.texts("target_groups")?,
            suspended: fields.texts("suspended")?,
            unregistered: fields.texts("unregistered")?,
            drain: fields.number("drain")?,
            load_balancers: fields.texts("load_balancers")?,
            tags: fields.text_map("tags")?,
        })
    }

    fn to_fields(&self) -> BTreeMap<String, Value> {
        BTreeMap::from([
            ("launch_template".to_owned(), Value::text(&self.launch_template)),
            ("template_version".to_owned(), Value::text(&self.template_version)),
            ("subnets".to_owned(), Value::texts(&self.subnets)),
            ("count".to_owned(), self.count.clone()),
            ("health_check".to_owned(), Value::text(&self.health_check)),
            ("target_groups".to_owned(), Value::texts(&self.target_groups)),
            ("suspended".to_owned(), Value::texts(&self.suspended)),
            ("unregistered".to_owned(), Value::texts(&self.unregistered)),
            ("drain".to_owned(), Value::Int(self.drain)),
            ("load_balancers".to_owned(), Value::texts(&self.load_balancers)),
            ("tags".to_owned(), Value::text_map(&self.tags)),
        ])
    }

    fn of(described: &Described, tags: &TagMap) -> Self {
        let template = described.launch_template();
        let subnets = described.vpc_zone_identifier().unwrap_or_default().split(',').map(str::trim);
        let suspended = described.suspended_processes().iter();
        Self {
            launch_template: template
                .and_then(|template| template.launch_template_id())
                .unwrap_or_default()
                .to_owned(),
            template_version: template.and_then(|template| template.version()).unwrap_or_default().to_owned(),
            subnets: subnets.filter(|subnet| !subnet.is_empty()).map(str::to_owned).collect(),
            count: count(described),
            health_check: described.health_check_type().unwrap_or_default().to_owned(),
            target_groups: described.target_group_arns().iter().cloned().collect(),
            suspended: suspended.filter_map(|one| one.process_name().map(str::to_owned)).collect(),
            unregistered: BTreeSet::new(),
            drain: tags.get(DRAIN_TAG).and_then(|drain| drain.parse().ok()).unwrap_or_default(),
            load_balancers: BTreeSet::new(),
            tags: ownership::managed_tags(tags),
        }
    }

    fn machines(&self) -> i32 {
        self.count.as_int().and_then(|count| i32::try_from(count).ok()).unwrap_or_default()
    }
}

fn count(described: &Described) -> Value {
    let number = |value: Option<i32>| i64::from(value.unwrap_or_default());
    let [least, now, most] =
        [described.min_size(), described.desired_capacity(), described.max_size()].map(number);
    if least == now && now == most {
        Value::Int(now)
    } else {
        Value::text(format!("{now}, from {least} to {most}"))
    }
}

/// Whether the group is on its way out: the API says so in a status, and says nothing otherwise.
fn is_going(described: &Described) -> bool {
    described.status().is_some_and(|status| status.to_lowercase().contains("delete"))
}

// The table.

pub(crate) const KIND: Kind = Kind {
    name: FORWARDER_GROUP,
    title: "group of forwarders",
    fields: &[
        Field::managed("launch_template").on_change(Change::Replace),
        Field::managed("template_version").on_change(Change::Replace),
        Field::managed("subnets").on_change(Change::Replace).shaped(Shape::Set),
        Field::managed("count").on_change(Change::Replace),
        Field::managed("health_check"),
        Field::managed("target_groups").shaped(Shape::Set).without_traffic(),
        Field::managed("suspended").shaped(Shape::Set),
        // Auto Scaling registers a machine when it starts, or is attached, and never again.
        Field::managed("unregistered").shaped(Shape::Set),
        Field::managed("drain"),
        Field::telling("load_balancers", Traffic::GoesNowhere),
        Field::telling("serves", Traffic::Serves),
        Field::telling("since", Traffic::Since),
        Field::managed("tags"),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 45,
    // Its sessions are drained. Where consumers would be cut for good a listener goes as well, and that is refused.
    severs: false,
    serialized_by: &[],
    telling: &[],
};

// Lower.

/// The address of a service's group.
pub(crate) fn address(service: &str) -> Address {
    Address::new(service, FORWARDER_GROUP, "main")
}

pub(crate) fn named(service: &Service, aws: &AwsService) -> Option<Address> {
    forwarders::of(aws).map(|_| address(service.name.as_str()))
}

pub(crate) fn lower(lowering: &Lowering<'_>, lowered: &mut Lowered) {
    let Some(machines) = forwarders::of(lowering.aws) else { return };
    let template = launch_template::address(lowering.name());
    let groups = machines
        .ports
        .iter()
        .map(|port| Value::output(&target_group::address(lowering.name(), &port.listen.to_string()), "arn"));
    let fields = BTreeMap::from([
        ("launch_template".to_owned(), Value::output(&template, "id")),
        ("template_version".to_owned(), Value::output(&template, "version")),
        ("subnets".to_owned(), Value::texts(machines.subnets(&lowering.facts))),
        ("count".to_owned(), Value::Int(machines.asked.count.get().into())),
        ("health_check".to_owned(), Value::text(MACHINES_ONLY)),
        ("target_groups".to_owned(), Value::list(groups)),
        ("suspended".to_owned(), Value::list([])),
        ("unregistered".to_owned(), Value::list([])),
        ("drain".to_owned(), Value::Int(machines.asked.drain.get().into())),
        ("tags".to_owned(), lowering.tags()),
    ]);
    // The way in and on is open before the machines are asked whether they are well.
    let needs = security_group_rule::around_forwarders(lowered);
    let address = address(lowering.name());
    lowered.resources.push(lowering.resource(address, Origin::Owned, fields, needs));
}

/// Whether a group that is there has this many machines, in these subnets: what is not so is another group.
pub(crate) fn stands_so(live: &Live, count: i64, subnets: &BTreeSet<String>) -> bool {
    Group::from_fields(&live.fields)
        .is_ok_and(|there| there.count == Value::Int(count) && there.subnets == *subnets)
}

// Observe.

pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let groups = snapshot.machines.groups.iter().filter_map(|seen| {
        let name = seen.described.auto_scaling_group_name()?.to_owned();
        let fields = match seen.claim.ownership {
            Ownership::Ours => {
                let group = Group::of(&seen.described, &seen.tags);
                let load_balancers = snapshot.balancers_of(&group.target_groups, &seen.claim.address.service);
                let unregistered = registrations::missing(snapshot, &seen.described);
                let mut fields = Group { load_balancers, unregistered, ..group }.to_fields();
                fields.extend(traffic(snapshot, &seen.described));
                fields
            }
            Ownership::Supplied | Ownership::Unproven { .. } => BTreeMap::new(),
        };
        Some(Live {
            address: seen.claim.address.clone(),
            generation: Some(seen.claim.generation),
            scope: snapshot.reach.scope.clone(),
            fields,
            outputs: outputs([("name", &name)]),
            id: name,
            ownership: seen.claim.ownership.clone(),
            health: health(&seen.described),
        })
    });
    groups.collect()
}

/// How well a group serves: not at all once it is taken off its target groups, better while a machine of it is healthy; and when it was
/// made.
fn traffic(snapshot: &Snapshot<'_>, described: &Described) -> BTreeMap<String, Value> {
    let attached = described.target_group_arns();
    let seen = snapshot.balancing.target_groups.iter();
    let mut registered = seen
        .filter(|group| {
            group.described.target_group_arn().is_some_and(|arn| attached.iter().any(|a| a == arn))
        })
        .flat_map(|group| registered(&group.health));
    let own = |target: &Registered| {
        described.instances().iter().any(|one| one.instance_id() == Some(target.id.as_str()))
    };
    let serves = match attached.is_empty() {
        true => 0,
        false if registered.any(|target| target.is_healthy() && own(&target)) => 2,
        false => 1,
    };
    let since = described.created_time().and_then(|made| made.to_millis().ok());
    BTreeMap::from([("serves".to_owned(), Value::Int(serves)), ("since".to_owned(), since.into())])
}

/// One that is being deleted is not there any more for whoever needs it.
fn health(described: &Described) -> Health {
    match described.status().filter(|_| is_going(described)) {
        Some(status) => Health::Broken { state: status.to_owned() },
        None => Health::Ready,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> Group {
        Group {
            launch_template: "lt-1".to_owned(),
            template_version: "2".to_owned(),
            subnets: BTreeSet::from(["subnet-1".to_owned(), "subnet-2".to_owned()]),
            count: Value::Int(2),
            health_check: MACHINES_ONLY.to_owned(),
            target_groups: BTreeSet::from(["tg".to_owned()]),
            suspended: BTreeSet::new(),
            unregistered: BTreeSet::from(["i-1:5432".to_owned()]),
            drain: 300,
            load_balancers: BTreeSet::from(["lb".to_owned()]),
            tags: TagMap::from([("a".to_owned(), "b".to_owned())]),
        }
    }

    #[test]
    fn round_trips_through_values() {
        let fields = group().to_fields();
        assert_eq!(Group::from_fields(&fields).unwrap(), group());
        crate::kinds::tests::assert_in_table(&KIND, &fields);
    }

    #[test]
    fn a_count_is_a_number_only_where_all_three_are_it() {
        let described = |least, now, most| {
            Described::builder().min_size(least).desired_capacity(now).max_size(most).build()
        };
        assert_eq!(count(&described(2, 2, 2)), Value::Int(2));
        assert_eq!(count(&described(1, 2, 5)), Value::text("2, from 1 to 5"));
    }

    #[test]
    fn a_group_that_is_being_deleted_does_not_work() {
        let going = Described::builder().status("Delete in progress").build();
        assert!(is_going(&going) && matches!(health(&going), Health::Broken { .. }));
        assert_eq!(health(&Described::builder().build()), Health::Ready);
    }
}
