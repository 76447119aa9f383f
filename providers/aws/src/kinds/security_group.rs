//! The load balancer's own security group, and the forwarder machines'. A network load balancer made without one can never gain one, so it always has one
//! (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-security-groups.html>).

mod users;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ec2::types::{IpPermission, IpRange, ResourceType, SecurityGroup};
use futures::future::try_join_all;
use privnet_core::execute::{Poll, Replay, Until};
use privnet_core::kind::Change;
use privnet_core::spec::Service;
use privnet_core::spec::aws::{AwsForm, AwsService};
use privnet_core::{
    Address, Applied, Error, ErrorKind, Field, Generation, Health, Kind, Live, Lowered, Origin, Ownership,
    Replacement, Step, Value,
};

use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::error::gone_is_fine;
use crate::fields::Fields;
use crate::kinds::{SECURITY_GROUP, created_as, live_id, outputs};
use crate::lower::Lowering;
use crate::network::{self, filter, tags_of};
use crate::observe::Snapshot;
use crate::ownership::{self, TagMap};
use crate::tagging;

const CREATE: Operation = Operation::ec2("CreateSecurityGroup");
const DELETE: Operation = Operation::ec2("DeleteSecurityGroup");
const AUTHORIZE_EGRESS: Operation = Operation::ec2("AuthorizeSecurityGroupEgress");

/// The rule that AWS gives each new group: everything may go out.
const ANYWHERE: &str = "0.0.0.0/0";
const ALL_PROTOCOLS: &str = "-1";

/// How long a change may take to show.
const SHOWS_WITHIN: Duration = Duration::from_secs(120);
/// Interfaces of a deleted load balancer linger.
const FREE_WITHIN: Duration = Duration::from_secs(900);

// The type.

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    vpc: String,
    open_outbound: bool,
    tags: TagMap,
}

impl Group {
    fn from_fields(values: &BTreeMap<String, Value>) -> Result<Self, Error> {
        let fields = Fields::new(SECURITY_GROUP, values);
        Ok(Self {
            vpc: fields.text("vpc")?,
            open_outbound: fields.flag("open_outbound")?,
            tags: fields.text_map("tags")?,
        })
    }

    fn to_fields(&self) -> BTreeMap<String, Value> {
        BTreeMap::from([
            ("vpc".to_owned(), Value::text(&self.vpc)),
            ("open_outbound".to_owned(), Value::Bool(self.open_outbound)),
            ("tags".to_owned(), Value::text_map(&self.tags)),
        ])
    }

    fn of(group: &SecurityGroup) -> Self {
        let open = |permission: &IpPermission| {
            permission.ip_protocol() == Some(ALL_PROTOCOLS)
                && permission.ip_ranges().iter().any(|range| range.cidr_ip() == Some(ANYWHERE))
        };
        Self {
            vpc: group.vpc_id().unwrap_or_default().to_owned(),
            open_outbound: group.ip_permissions_egress().iter().any(open),
            tags: ownership::managed_tags(&tags_of(group.tags())),
        }
    }
}

// The table.

pub(crate) const KIND: Kind = Kind {
    name: SECURITY_GROUP,
    title: "security group",
    fields: &[
        Field::managed("vpc").on_change(Change::ReplaceUnlessConnected),
        Field::managed("open_outbound"),
        Field::managed("tags"),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 70,
    severs: false,
    serialized_by: &[],
    telling: &[],
};

// Lower.

/// The name of the load balancer's group.
pub(crate) const BALANCER: &str = "main";

/// The address of the load balancer's group.
pub(crate) fn address(service: &str) -> Address {
    Address::new(service, SECURITY_GROUP, BALANCER)
}

/// The name of the forwarder machines' group.
pub(crate) const FORWARDERS: &str = "forwarder";

/// The address of the forwarder machines' group.
pub(crate) fn forwarders(service: &str) -> Address {
    Address::new(service, SECURITY_GROUP, FORWARDERS)
}

/// The groups of a service, with their VPCs.
fn groups<'a>(service: &str, aws: &'a AwsService) -> Vec<(Address, &'a str)> {
    let mut groups = Vec::new();
    if let AwsForm::Made(made) = &aws.form {
        groups.push((address(service), made.vpc.as_str()));
    }
    groups.extend(crate::forwarders::of(aws).map(|machines| (forwarders(service), machines.vpc)));
    groups
}

pub(crate) fn named(service: &Service, aws: &AwsService) -> Vec<Address> {
    groups(service.name.as_str(), aws).into_iter().map(|(address, _)| address).collect()
}

pub(crate) fn lower(lowering: &Lowering<'_>, lowered: &mut Lowered) {
    for (address, vpc) in groups(lowering.name(), lowering.aws) {
        let fields = BTreeMap::from([
            ("vpc".to_owned(), Value::text(vpc)),
            ("open_outbound".to_owned(), Value::Bool(true)),
            ("tags".to_owned(), lowering.tags()),
        ]);
        lowered.resources.push(lowering.resource(address, Origin::Owned, fields, BTreeSet::new()));
    }
}

// Observe.

pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let groups = snapshot.network.groups.iter().filter_map(|(group, claim)| {
        let id = group.group_id()?.to_owned();
        let ours = claim.ownership == Ownership::Ours;
        Some(Live {
            address: claim.address.clone(),
            generation: Some(claim.generation),
            scope: snapshot.reach.scope.clone(),
            fields: if ours { Group::of(group).to_fields() } else { BTreeMap::new() },
            outputs: outputs([("id", &id)]),
            id,
            ownership: claim.ownership.clone(),
            health: Health::Ready,
        })
    });
    groups.collect()
}

/// The group of this name, as a list shows it.
async fn find(cloud: &Cloud<'_>, name: &str, vpc: Option<&str>) -> Result<Option<SecurityGroup>, Error> {
    let mut filters = vec![filter("group-name", [name])];
    filters.extend(vpc.map(|vpc| filter("vpc-id", [vpc])));
    let found = network::security_groups(cloud, &filters).await?;
    let same =
        |group: &SecurityGroup| group.group_name() == Some(name) && (vpc.is_none() || group.vpc_id() == vpc);
    Ok(found.into_iter().find(same))
}

// Create.

pub(crate) async fn create(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let wanted = Group::from_fields(step.fields)?;
    let (name, tags) = created_as(step, &wanted.tags);
    let made = cloud
        .call(CREATE, &name, Replay::Safe, || {
            let request = cloud.reach.ec2.create_security_group().group_name(&name).vpc_id(&wanted.vpc);
            let Address { service, name: of, .. } = &step.action.address;
            let what = if of == FORWARDERS { "forwarders" } else { "load balancer" };
            let request = request.description(format!("privnet: {what} of {service}"));
            request.tag_specifications(tagging::specification(ResourceType::SecurityGroup, &tags)).send()
        })
        .await;
    let (id, note) = match made {
        Ok(made) => (made.group_id.unwrap_or_default(), None),
        Err(error) if error.kind() == ErrorKind::Conflict => (
            ours_of_that_name(cloud, step, &name, &wanted.vpc, error).await?,
            Some("it was there already".to_owned()),
        ),
        Err(error) => return Err(error),
    };
    converge(cloud, &id, &name, &wanted).await?;
    Ok(Applied { outputs: outputs([("id", &id)]), note })
}

/// What is there under our name, if it is ours; else the conflict.
async fn ours_of_that_name(
    cloud: &Cloud<'_>,
    step: &Step<'_>,
    name: &str,
    vpc: &str,
    conflict: Error,
) -> Result<String, Error> {
    let until = Until { operation: CREATE.name, subject: name, what: "shown", limit: SHOWS_WITHIN };
    let found = cloud
        .context
        .until(until, || async {
            Ok(match find(cloud, name, Some(vpc)).await? {
                Some(group) => Poll::Ready(group),
                None => Poll::Pending("not listed yet".to_owned()),
            })
        })
        .await?;
    let proof = ownership::proof_under_name(&tags_of(found.tags()), step.deployment, name);
    match (proof, found.group_id()) {
        (Some(proof), Some(id)) if proof.address == step.action.address => Ok(id.to_owned()),
        _ => Err(conflict.with_hint(format!(
            "something else is called {name}: {}",
            ownership::why_not(&tags_of(found.tags()), step.deployment, &step.action.address)
        ))),
    }
}

// Update.

pub(crate) async fn update(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let wanted = Group::from_fields(step.fields)?;
    let id = live_id(step)?;
    let generation = step.action.generation.unwrap_or(Generation::A);
    let name = ownership::cloud_name(step.deployment, &step.action.address, generation);
    converge(cloud, &id, &name, &wanted).await?;
    Ok(Applied { outputs: outputs([("id", &id)]), note: None })
}

/// Writes what differs, and returns when a read shows it.
async fn converge(cloud: &Cloud<'_>, id: &str, name: &str, wanted: &Group) -> Result<(), Error> {
    let mut written = false;
    let until =
        Until { operation: CREATE.name, subject: id, what: "as the file wants it", limit: SHOWS_WITHIN };
    loop {
        let shown = cloud
            .context
            .until(until, || async {
                Ok(match find(cloud, name, None).await?.filter(|group| group.group_id() == Some(id)) {
                    Some(group) if !written || Group::of(&group) == *wanted => Poll::Ready(Group::of(&group)),
                    Some(_) => Poll::Pending("the change does not show yet".to_owned()),
                    None => Poll::Pending("not listed yet".to_owned()),
                })
            })
            .await?;
        if shown == *wanted {
            return Ok(());
        }
        write(cloud, id, &shown, wanted).await?;
        written = true;
    }
}

async fn write(cloud: &Cloud<'_>, id: &str, shown: &Group, wanted: &Group) -> Result<(), Error> {
    if wanted.open_outbound && !shown.open_outbound {
        let everywhere = IpPermission::builder()
            .ip_protocol(ALL_PROTOCOLS)
            .ip_ranges(IpRange::builder().cidr_ip(ANYWHERE).build())
            .build();
        let opened = cloud
            .call(AUTHORIZE_EGRESS, id, Replay::Safe, || {
                cloud
                    .reach
                    .ec2
                    .authorize_security_group_egress()
                    .group_id(id)
                    .ip_permissions(everywhere.clone())
                    .send()
            })
            .await;
        match opened {
            Err(error) if error.kind() != ErrorKind::Conflict => return Err(error),
            _ => {}
        }
    }
    if shown.tags != wanted.tags {
        tagging::retag_ec2(cloud, id, &ownership::retag(&shown.tags, &wanted.tags)).await?;
    }
    Ok(())
}

// Delete.

/// The group goes when nothing uses it any more: interfaces of a deleted load balancer linger for minutes. A rule of somebody else's that
/// names it does not go by itself, nor does an interface of somebody else's.
pub(crate) async fn delete(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let id = live_id(step)?;
    let until = Until { operation: DELETE.name, subject: &id, what: "deleted", limit: FREE_WITHIN };
    cloud
        .context
        .until(until, || async {
            let interfaces = network::interfaces_of_group(cloud, &id).await?;
            if !interfaces.is_empty() {
                let others = users::of_others(&interfaces, step);
                if !others.is_empty() {
                    return Err(kept_by(&id, USED, &others));
                }
                let state = format!("{} network interface(s) still use it", interfaces.len());
                let ids: Vec<_> = interfaces.iter().filter_map(|one| one.network_interface_id()).collect();
                return Ok(Poll::InUse { by: Some(ids.join(", ")), state });
            }
            let sent = cloud
                .call(DELETE, &id, Replay::Safe, || {
                    cloud.reach.ec2.delete_security_group().group_id(&id).send()
                })
                .await;
            match sent {
                Err(error) if error.kind() == ErrorKind::InUse => {
                    match named_by_others(cloud, step.deployment, &id).await? {
                        others if others.is_empty() => {
                            Ok(Poll::InUse { by: None, state: error.message().to_owned() })
                        }
                        others => Err(kept_by(&id, KEPT, &others)),
                    }
                }
                other => gone_is_fine(other.map(|_| ())).map(Poll::Ready),
            }
        })
        .await?;
    gone(cloud, &id).await?;
    Ok(Applied::default())
}

/// The rules of somebody else's that name a group, in words. AWS keeps it for as long as they do
/// (<https://docs.aws.amazon.com/vpc/latest/userguide/deleting-security-groups.html>).
async fn named_by_others(cloud: &Cloud<'_>, deployment: &str, group: &str) -> Result<Vec<String>, Error> {
    let ways = ["ip-permission.group-id", "egress.ip-permission.group-id"];
    let found = try_join_all(
        ways.map(|way| async move { network::security_groups(cloud, &[filter(way, [group])]).await }),
    );
    // What is in another group of privnet's goes with that one.
    let found = found.await?.into_iter().flatten();
    let theirs = found.filter(|one| ownership::proof(&tags_of(one.tags()), deployment).is_none());
    let groups: BTreeSet<String> = theirs.filter_map(|one| one.group_id).collect();
    let others = network::rules_of(cloud, &groups).await?.into_iter().filter(|rule| {
        rule.group_id() != Some(group)
            && rule.referenced_group_info().and_then(|named| named.group_id()) == Some(group)
            // Our own goes before, and may show for a moment.
            && ownership::proof(&tags_of(rule.tags()), deployment).is_none()
    });
    let told =
        others.filter_map(|rule| Some(format!("{} of {}", rule.security_group_rule_id()?, rule.group_id()?)));
    Ok(told.collect())
}

fn kept_by(group: &str, why: &str, others: &[String]) -> Error {
    let others = others.join(", ");
    let mend = match why {
        USED => format!("give {others} another security group"),
        _ => format!("take {others} away if it is of no more use"),
    };
    Error::new(ErrorKind::InUse, DELETE.name, group, format!("{why}: {others}"))
        .with_hint(format!("that is not privnet's, so it stays: {mend}, and run the same command again"))
}

const KEPT: &str = "AWS keeps it while a rule of another security group names it";
const USED: &str = "AWS keeps it while something that is not privnet's carries it";

/// The groups of ours that AWS will not delete while something of somebody else's is as it is, and why: a load balancer carries it, or a
/// rule names it.
pub(crate) fn kept_by_others(snapshot: &Snapshot<'_>) -> BTreeMap<String, String> {
    let mut kept = users::carried(snapshot);
    for (group, why) in referred_to(snapshot) {
        match kept.get_mut(&group) {
            Some(already) => *already = format!("{already}; and {why}"),
            None => {
                kept.insert(group, why);
            }
        }
    }
    kept
}

/// The groups of ours that a rule of somebody else's names, as far as rules were read: those of the database groups that the file names.
fn referred_to(snapshot: &Snapshot<'_>) -> BTreeMap<String, String> {
    let groups = snapshot.network.groups.iter().filter(|(_, claim)| claim.ownership == Ownership::Ours);
    let ours: BTreeSet<&str> = groups.filter_map(|(group, _)| group.group_id()).collect();
    let mut named: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for rule in &snapshot.network.rules {
        let of = rule.group_id().filter(|of| !ours.contains(of));
        let group = rule.referenced_group_info().and_then(|named| named.group_id());
        let Some((of, group)) = of.zip(group.filter(|group| ours.contains(group))) else { continue };
        if ownership::proof(&tags_of(rule.tags()), snapshot.wanted.deployment).is_none() {
            let rule = format!("{} of {of}", rule.security_group_rule_id().unwrap_or_default());
            named.entry(group).or_default().insert(rule);
        }
    }
    let told = named.into_iter().map(|(group, rules)| {
        let rules = rules.into_iter().collect::<Vec<_>>().join(", ");
        let why = format!("{KEPT}: {rules} is not this deployment's, so it stays: take it away first if it is of no more use");
        (group.to_owned(), why)
    });
    told.collect()
}

async fn gone(cloud: &Cloud<'_>, id: &str) -> Result<(), Error> {
    let until = Until { operation: DELETE.name, subject: id, what: "gone", limit: SHOWS_WITHIN };
    cloud
        .context
        .until(until, || async {
            let found = network::security_groups(cloud, &[filter("group-id", [id])]).await?;
            let there = found.iter().any(|group| group.group_id() == Some(id));
            Ok(if there { Poll::Pending("still listed".to_owned()) } else { Poll::Ready(()) })
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_through_values() {
        let group = Group {
            vpc: "vpc-1".to_owned(),
            open_outbound: true,
            tags: TagMap::from([("a".to_owned(), "b".to_owned())]),
        };
        let fields = group.to_fields();
        assert_eq!(Group::from_fields(&fields).unwrap(), group);
        crate::kinds::tests::assert_in_table(&KIND, &fields);
    }
}
