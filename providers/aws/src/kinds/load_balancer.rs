//! The internal network load balancer in front of the targets, or the one that the user supplied.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::{
    EnforceSecurityGroupInboundRulesOnPrivateLinkTrafficEnum as Enforce, IpAddressType,
    LoadBalancer as Described, LoadBalancerAttribute, LoadBalancerSchemeEnum, LoadBalancerTypeEnum,
};
use futures::future::{try_join, try_join4};
use privnet_core::accept::ConnectionState;
use privnet_core::execute::{Poll, Replay, Until};
use privnet_core::kind::{Change, Class, Shape};
use privnet_core::plan::Rule;
use privnet_core::spec::Service;
use privnet_core::spec::aws::{AwsForm, AwsMade, AwsService};
use privnet_core::{
    Address, Applied, Error, ErrorKind, Field, Health, Kind, Live, Lowered, Origin, Ownership, Replacement,
    Step, Value,
};

use crate::balancing::{self, Attributes, tag_list};
use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::error::gone_is_fine;
use crate::fields::Fields;
use crate::kinds::{LOAD_BALANCER, created_as, live_id, outputs, security_group};
use crate::lower::Lowering;
use crate::network;
use crate::observe::{Snapshot, supplied_load_balancer};
use crate::ownership::{self, TagMap};
use crate::snapshot::SeenLoadBalancer;
use crate::tagging;

const CREATE: Operation = Operation::elb("CreateLoadBalancer");
const DELETE: Operation = Operation::elb("DeleteLoadBalancer");
const MODIFY_ATTRIBUTES: Operation = Operation::elb("ModifyLoadBalancerAttributes");
const SET_SECURITY_GROUPS: Operation = Operation::elb("SetSecurityGroups");
const SET_SUBNETS: Operation = Operation::elb("SetSubnets");
const SET_IP_ADDRESS_TYPE: Operation = Operation::elb("SetIpAddressType");

/// As <https://docs.aws.amazon.com/elasticloadbalancing/latest/network/network-load-balancers.html> spells them.
const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";
const DELETION_PROTECTION: &str = "deletion_protection.enabled";

/// A network load balancer is provisioned in two to three minutes; ten have been seen.
const ACTIVE_WITHIN: Duration = Duration::from_secs(900);
/// A change makes it provision again.
const SHOWS_WITHIN: Duration = ACTIVE_WITHIN;
/// Its network interfaces linger after a deletion.
const GONE_WITHIN: Duration = Duration::from_secs(900);

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
        Field::managed("deletion_protection"),
        Field::if_set("enforce_inbound"),
        Field { name: "tags", class: Class::Managed, change: Change::Update, shape: Shape::Plain },
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 40,
    severs: true,
    serialized_by: &[],
};

// Lower.

/// The address of a service's load balancer, made or supplied.
pub(crate) fn address(service: &str) -> Address {
    Address::new(service, LOAD_BALANCER, "main")
}

pub(crate) fn named(service: &Service, aws: &AwsService) -> Option<Address> {
    matches!(aws.form, AwsForm::Made(_)).then(|| address(service.name.as_str()))
}

pub(crate) fn lower(lowering: &Lowering<'_>, lowered: &mut Lowered) {
    let address = address(lowering.name());
    let resource = match &lowering.aws.form {
        AwsForm::Made(made) => {
            check_subnets(lowering, made, &address, lowered);
            check_removal(lowering, made, &address, lowered);
            lowering.resource(address, Origin::Owned, wanted(lowering, made), BTreeSet::new())
        }
        AwsForm::OnLoadBalancer(on) => {
            check_supplied(lowering, &on.load_balancer.to_string(), &address, lowered);
            lowering.resource(address, Origin::Supplied, BTreeMap::new(), BTreeSet::new())
        }
        AwsForm::EndpointService(_) | AwsForm::Removed => return,
    };
    lowered.resources.push(resource);
}

fn wanted(lowering: &Lowering<'_>, made: &AwsMade) -> BTreeMap<String, Value> {
    let group = Value::output(&security_group::address(lowering.name()), "id");
    let settings = &made.load_balancer;
    let mut fields = BTreeMap::from([
        ("vpc".to_owned(), Value::text(made.vpc.as_str())),
        ("subnets".to_owned(), Value::texts(made.subnets.iter().map(|id| id.as_str()))),
        ("security_groups".to_owned(), Value::List(vec![group])),
        ("ip_address_type".to_owned(), Value::text(settings.ip_address_type.as_str())),
        ("cross_zone".to_owned(), Value::Bool(settings.cross_zone)),
        ("deletion_protection".to_owned(), Value::Bool(settings.deletion_protection)),
        ("tags".to_owned(), lowering.tags()),
    ]);
    if !hides_enforcement(lowering) {
        fields.insert("enforce_inbound".to_owned(), Value::Bool(settings.enforce_inbound.is_some()));
    }
    fields
}

/// Whether the load balancer is there and the API does not say what holds for PrivateLink traffic.
fn hides_enforcement(lowering: &Lowering<'_>) -> bool {
    let live = lowering.world.at(&address(lowering.name())).filter(|live| live.is_ours());
    live.is_some_and(|live| live.fields.get("enforce_inbound").is_none_or(Value::is_null))
}

/// The subnets must be in the VPC, at most one in each zone.
fn check_subnets(lowering: &Lowering<'_>, made: &AwsMade, address: &Address, lowered: &mut Lowered) {
    if !lowering.facts.network_read {
        return;
    }
    if lowering.facts.vpc_ranges.is_empty() {
        let why = format!("the VPC {} is not there (in {})", made.vpc, lowering.scope);
        lowered.refusals.push(lowering.refusal(address, Rule::Unsuitable, why));
        return;
    }
    let mut zones: BTreeMap<&str, &str> = BTreeMap::new();
    for id in &made.subnets {
        let why = match lowering.facts.subnets.get(id.as_str()) {
            None => Some(format!("the subnet {id} is not in {}", made.vpc)),
            Some(subnet) => zones.insert(&subnet.zone, id.as_str()).map(|other| {
                format!(
                    "{other} and {id} are both in {}: a load balancer takes one subnet of each zone",
                    subnet.zone
                )
            }),
        };
        if let Some(why) = why {
            lowered.refusals.push(lowering.refusal(address, Rule::Unsuitable, why));
        }
    }
}

/// AWS keeps the subnets of a load balancer while endpoints are attached to its service, and one that waits for a decision is.
fn check_removal(lowering: &Lowering<'_>, made: &AwsMade, address: &Address, lowered: &mut Lowered) {
    let seen = lowering.world.services.get(lowering.name());
    let waiting: Vec<&str> = seen
        .map(|seen| seen.connections.known())
        .unwrap_or_default()
        .iter()
        .filter(|connection| connection.state == ConnectionState::Pending)
        .map(|connection| connection.id.as_str())
        .collect();
    let live = if waiting.is_empty() { None } else { lowering.world.at(address) };
    let there = live.and_then(|live| live.fields.get("subnets")).and_then(Value::as_list).unwrap_or_default();
    let gone = there
        .iter()
        .filter_map(Value::as_text)
        .filter(|id| !made.subnets.iter().any(|kept| kept.as_str() == *id));
    let gone: Vec<&str> = gone.collect();
    if !gone.is_empty() {
        let why = format!(
            "{} cannot be taken away while endpoints are attached, and these wait for a decision: {}; reject them first \
             (`privnet reject --connection ID`)",
            gone.join(", "),
            waiting.join(", ")
        );
        lowered.refusals.push(lowering.refusal(address, Rule::WouldSever, why));
    }
}

fn check_supplied(lowering: &Lowering<'_>, arn: &str, address: &Address, lowered: &mut Lowered) {
    if !lowering.facts.network_read {
        return;
    }
    let Some(supplied) = &lowering.facts.supplied else {
        let why = format!("the load balancer {arn} is not there (in {})", lowering.scope);
        lowered.refusals.push(lowering.refusal(address, Rule::Unsuitable, why));
        return;
    };
    if supplied.scheme != "internal" {
        let why = format!(
            "{}: {arn} is {}: its targets can also be reached without PrivateLink",
            lowering.name(),
            supplied.scheme
        );
        lowered.warnings.push(why);
    }
    if let AwsForm::OnLoadBalancer(on) = &lowering.aws.form
        && on.ports.is_empty()
        && supplied.foreign_ports.is_empty()
    {
        let why = format!("{}: {arn} has no listener yet, and the file gives no `ports:`", lowering.name());
        lowered.warnings.push(why);
    }
}

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
    let Some(claim) = &seen.claim else {
        let named = snapshot
            .wanted
            .services
            .iter()
            .filter(|(_, aws)| supplied_load_balancer(aws).as_deref() == Some(arn));
        return named
            .map(|(service, _)| {
                live(address(service.name.as_str()), None, Ownership::Supplied, BTreeMap::new())
            })
            .collect();
    };
    let fields = match claim.ownership {
        Ownership::Ours => Balancer::of(&seen.described, &seen.attributes, &seen.tags).to_fields(),
        Ownership::Supplied | Ownership::Unproven { .. } => BTreeMap::new(),
    };
    vec![live(claim.address.clone(), Some(claim.generation), claim.ownership.clone(), fields)]
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

/// What is there, as reads show it, all of them at once. It must be listed too, for the list is what the next plan reads.
async fn read(cloud: &Cloud<'_>, arn: &str) -> Result<Option<(Described, Balancer, bool)>, Error> {
    let attributes =
        async { balancing::absent_is_none(balancing::load_balancer_attributes(cloud, arn).await) };
    let reads = try_join4(
        balancing::load_balancer(cloud, arn),
        attributes,
        balancing::tags_of(cloud, arn),
        is_listed(cloud, arn),
    );
    let (Some(described), Some(attributes), tags, listed) = reads.await? else { return Ok(None) };
    let balancer = Balancer::of(&described, &attributes, &tags);
    Ok(Some((described, balancer, listed)))
}

async fn is_listed(cloud: &Cloud<'_>, arn: &str) -> Result<bool, Error> {
    Ok(balancing::load_balancers(cloud)
        .await?
        .iter()
        .any(|balancer| balancer.load_balancer_arn() == Some(arn)))
}

/// Waits until it is active, and returns it.
async fn active(cloud: &Cloud<'_>, arn: &str) -> Result<(), Error> {
    let until =
        Until { operation: "DescribeLoadBalancers", subject: arn, what: "active", limit: ACTIVE_WITHIN };
    cloud
        .context
        .until(until, || async {
            let Some(described) = balancing::load_balancer(cloud, arn).await? else {
                return Ok(Poll::Pending("not described yet".to_owned()));
            };
            match health(&described) {
                Health::Ready => Ok(Poll::Ready(())),
                Health::Busy { state } => Ok(Poll::Pending(state)),
                Health::Broken { state } => {
                    let why =
                        described.state().and_then(|state| state.reason()).unwrap_or("AWS gives no reason");
                    let message = format!("it is {state}: {why}");
                    Err(Error::new(ErrorKind::Other, CREATE.name, arn, message)
                        .with_hint("delete it and run the same command again"))
                }
            }
        })
        .await
}

// Create.

pub(crate) async fn create(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let wanted = Balancer::from_fields(step.fields)?;
    let (name, tags) = created_as(step, &wanted.tags);
    let made = cloud
        .call(CREATE, &name, Replay::Safe, || {
            let request =
                cloud.reach.elb.create_load_balancer().name(&name).r#type(LoadBalancerTypeEnum::Network);
            let request = request.scheme(LoadBalancerSchemeEnum::Internal);
            let request = request.set_subnets(Some(wanted.subnets.iter().cloned().collect()));
            let request = request.set_security_groups(Some(wanted.security_groups.iter().cloned().collect()));
            let request = request.ip_address_type(IpAddressType::from(wanted.ip_address_type.as_str()));
            request.set_tags(Some(tag_list(&tags))).send()
        })
        .await;
    let (arn, note) = match made {
        Ok(made) => {
            let arn =
                made.load_balancers.unwrap_or_default().into_iter().find_map(|made| made.load_balancer_arn);
            (arn.unwrap_or_default(), None)
        }
        Err(error) if error.kind() == ErrorKind::Conflict => {
            (of_that_name(cloud, &name, error).await?, Some("it was there already".to_owned()))
        }
        Err(error) => return Err(error),
    };
    try_join(tagging::demand_proof(cloud, &arn, &name, step), active(cloud, &arn)).await?;
    if note.is_none() {
        // What a creating call does not take is written at once, without asking what a new one has.
        let unknown = Balancer {
            cross_zone: !wanted.cross_zone,
            deletion_protection: !wanted.deletion_protection,
            enforce_inbound: wanted.enforce_inbound.map(|on| !on),
            ..wanted.clone()
        };
        write(cloud, &arn, &unknown, &wanted).await?;
    }
    let dns_name = converge(cloud, &arn, &wanted, note.is_none()).await?;
    Ok(Applied { outputs: outputs([("arn", &arn), ("dns_name", &dns_name)]), note })
}

/// The ARN under a name that is taken, or the conflict where it cannot be seen.
async fn of_that_name(cloud: &Cloud<'_>, name: &str, conflict: Error) -> Result<String, Error> {
    let found = balancing::load_balancers(cloud).await?;
    let same = found.into_iter().find(|balancer| balancer.load_balancer_name() == Some(name));
    same.and_then(|balancer| balancer.load_balancer_arn).ok_or(conflict)
}

// Update.

pub(crate) async fn update(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let wanted = Balancer::from_fields(step.fields)?;
    let arn = live_id(step)?;
    active(cloud, &arn).await?;
    let dns_name = converge(cloud, &arn, &wanted, false).await?;
    Ok(Applied { outputs: outputs([("arn", &arn), ("dns_name", &dns_name)]), note: None })
}

/// Writes what differs, unless all is `written` already, and returns its DNS name when reads show it all, active again.
async fn converge(
    cloud: &Cloud<'_>,
    arn: &str,
    wanted: &Balancer,
    mut written: bool,
) -> Result<String, Error> {
    let until = Until {
        operation: "DescribeLoadBalancers",
        subject: arn,
        what: "as the file wants it",
        limit: SHOWS_WITHIN,
    };
    loop {
        let (described, shown) = cloud
            .context
            .until(until, || async {
                Ok(match read(cloud, arn).await? {
                    None => Poll::Pending("not described yet".to_owned()),
                    Some((described, shown, true))
                        if shown.is(wanted, written) && health(&described) == Health::Ready =>
                    {
                        Poll::Ready((described, shown))
                    }
                    Some((described, shown, _)) if shown.is(wanted, written) => {
                        Poll::Pending(state_of(&described))
                    }
                    Some((described, shown, _)) if !written => Poll::Ready((described, shown)),
                    Some((_, shown, _)) => {
                        Poll::Pending(format!("{} does not show yet", differing(&shown, wanted)))
                    }
                })
            })
            .await?;
        if shown.is(wanted, written) {
            return Ok(described.dns_name().unwrap_or_default().to_owned());
        }
        write(cloud, arn, &shown, wanted).await?;
        written = true;
    }
}

/// The names of the fields that differ.
fn differing(shown: &Balancer, wanted: &Balancer) -> String {
    let (shown, wanted) = (shown.to_fields(), wanted.to_fields());
    let differing = wanted.iter().filter(|(name, value)| shown.get(*name) != Some(value));
    differing.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
}

async fn write(cloud: &Cloud<'_>, arn: &str, shown: &Balancer, wanted: &Balancer) -> Result<(), Error> {
    if shown.vpc != wanted.vpc {
        let message = format!("it is in {}, not in {}", shown.vpc, wanted.vpc);
        return Err(Error::new(ErrorKind::Conflict, CREATE.name, arn, message));
    }
    let settings =
        try_join(write_attributes(cloud, arn, shown, wanted), write_groups(cloud, arn, shown, wanted));
    let addresses = async {
        // The address type first: a dual-stack one checks its subnets for IPv6.
        write_address_type(cloud, arn, shown, wanted).await?;
        write_subnets(cloud, arn, shown, wanted).await
    };
    let tags = async {
        if shown.tags == wanted.tags {
            return Ok(());
        }
        tagging::retag_elb(cloud, arn, &ownership::retag(&shown.tags, &wanted.tags)).await
    };
    let ((), ()) = settings.await?;
    try_join(addresses, tags).await?;
    Ok(())
}

async fn write_attributes(
    cloud: &Cloud<'_>,
    arn: &str,
    shown: &Balancer,
    wanted: &Balancer,
) -> Result<(), Error> {
    let changed = [
        (CROSS_ZONE, shown.cross_zone, wanted.cross_zone),
        (DELETION_PROTECTION, shown.deletion_protection, wanted.deletion_protection),
    ];
    let attributes: Vec<_> = changed
        .iter()
        .filter(|(_, shown, wanted)| shown != wanted)
        .map(|(key, _, wanted)| LoadBalancerAttribute::builder().key(*key).value(wanted.to_string()).build())
        .collect();
    if attributes.is_empty() {
        return Ok(());
    }
    cloud
        .call(MODIFY_ATTRIBUTES, arn, Replay::Safe, || {
            let request = cloud.reach.elb.modify_load_balancer_attributes().load_balancer_arn(arn);
            request.set_attributes(Some(attributes.clone())).send()
        })
        .await?;
    Ok(())
}

async fn write_groups(
    cloud: &Cloud<'_>,
    arn: &str,
    shown: &Balancer,
    wanted: &Balancer,
) -> Result<(), Error> {
    if shown.security_groups == wanted.security_groups && shown.enforce_inbound == wanted.enforce_inbound {
        return Ok(());
    }
    let enforce = wanted.enforce_inbound.map(|on| if on { Enforce::On } else { Enforce::Off });
    cloud
        .call(SET_SECURITY_GROUPS, arn, Replay::Safe, || {
            let request = cloud.reach.elb.set_security_groups().load_balancer_arn(arn);
            let request = request.set_security_groups(Some(wanted.security_groups.iter().cloned().collect()));
            request.set_enforce_security_group_inbound_rules_on_private_link_traffic(enforce.clone()).send()
        })
        .await?;
    Ok(())
}

async fn write_address_type(
    cloud: &Cloud<'_>,
    arn: &str,
    shown: &Balancer,
    wanted: &Balancer,
) -> Result<(), Error> {
    if shown.ip_address_type == wanted.ip_address_type {
        return Ok(());
    }
    cloud
        .call(SET_IP_ADDRESS_TYPE, arn, Replay::Safe, || {
            let request = cloud.reach.elb.set_ip_address_type().load_balancer_arn(arn);
            request.ip_address_type(IpAddressType::from(wanted.ip_address_type.as_str())).send()
        })
        .await?;
    Ok(())
}

/// Another subnet in a zone that is used takes two steps: away with the zone, then back with the other subnet.
async fn write_subnets(
    cloud: &Cloud<'_>,
    arn: &str,
    shown: &Balancer,
    wanted: &Balancer,
) -> Result<(), Error> {
    if shown.subnets == wanted.subnets {
        return Ok(());
    }
    let kept: BTreeSet<String> = shown.subnets.intersection(&wanted.subnets).cloned().collect();
    if kept != shown.subnets && kept != wanted.subnets && !kept.is_empty() {
        set_subnets(cloud, arn, &kept).await?;
        active(cloud, arn).await?;
    }
    set_subnets(cloud, arn, &wanted.subnets).await
}

async fn set_subnets(cloud: &Cloud<'_>, arn: &str, subnets: &BTreeSet<String>) -> Result<(), Error> {
    cloud
        .call(SET_SUBNETS, arn, Replay::Safe, || {
            let request = cloud.reach.elb.set_subnets().load_balancer_arn(arn);
            request.set_subnets(Some(subnets.iter().cloned().collect())).send()
        })
        .await?;
    Ok(())
}

// Delete.

/// An endpoint service that was just deleted may hold it for a moment; its interfaces linger after it.
pub(crate) async fn delete(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let arn = live_id(step)?;
    let until = Until { operation: DELETE.name, subject: &arn, what: "gone", limit: GONE_WITHIN };
    cloud
        .context
        .until(until, || async {
            let sent = cloud
                .call(DELETE, &arn, Replay::Safe, || {
                    cloud.reach.elb.delete_load_balancer().load_balancer_arn(&arn).send()
                })
                .await;
            match sent {
                Err(error) if error.code() == Some("ResourceInUse") => {
                    Ok(Poll::Pending(error.message().to_owned()))
                }
                other => gone_is_fine(other.map(|_| ())).map(Poll::Ready),
            }
        })
        .await?;
    let interfaces = interface_description(&arn);
    cloud
        .context
        .until(until, || async {
            if balancing::load_balancer(cloud, &arn).await?.is_some() || is_listed(cloud, &arn).await? {
                return Ok(Poll::Pending("still listed".to_owned()));
            }
            let left = network::interfaces_described(cloud, &interfaces).await?;
            Ok(match left.len() {
                0 => Poll::Ready(()),
                left => Poll::Pending(format!("{left} network interface(s) of it are still there")),
            })
        })
        .await?;
    Ok(Applied::default())
}

/// What the interfaces of a load balancer are described as: `ELB net/<name>/<id>`.
fn interface_description(arn: &str) -> String {
    format!("ELB {}", arn.split_once("loadbalancer/").map_or(arn, |(_, rest)| rest))
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

    #[test]
    fn interfaces_are_known_by_their_description() {
        let arn =
            "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/pn-x/0123456789abcdef";
        assert_eq!(interface_description(arn), "ELB net/pn-x/0123456789abcdef");
    }
}
