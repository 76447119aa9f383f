//! Rules of security groups: what may come in to the load balancer and to the forwarders, and what may go on to a database.
//!
//! A rule's address says all of what it allows, so nothing of it ever changes but its tags: another rule is another address.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ec2::types::{
    IpPermission, IpRange, Ipv6Range, ResourceType, SecurityGroupRule, UserIdGroupPair,
};
use ipnet::IpNet;
use privnet_core::execute::{Poll, Replay, Until};
use privnet_core::kind::{Change, Shape};
use privnet_core::plan::Rule as SafetyRule;
use privnet_core::spec::aws::{AwsForm, AwsMade};
use privnet_core::{
    Address, Applied, Error, ErrorKind, Field, Generation, Health, Kind, Live, Lowered, Origin, Ownership,
    Replacement, Step, Value,
};

use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::error::gone_is_fine;
use crate::fields::Fields;
use crate::forwarders;
use crate::kinds::{SECURITY_GROUP, SECURITY_GROUP_RULE, created_as, live_id, outputs, security_group};
use crate::lower::Lowering;
use crate::network::{self, filter, tags_of};
use crate::observe::Snapshot;
use crate::ownership::{self, Proof, TagMap};
use crate::policy;
use crate::reach;
use crate::tagging;

const AUTHORIZE: Operation = Operation::ec2("AuthorizeSecurityGroupIngress");
const REVOKE: Operation = Operation::ec2("RevokeSecurityGroupIngress");

const TCP: &str = "tcp";
/// The default quota of inbound rules of a group, for IPv4 and IPv6 each
/// (<https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups>). Where it was raised and
/// there are more, no turns are taken.
const RULES_PER_GROUP: usize = 60;
const SHOWS_WITHIN: Duration = Duration::from_secs(120);

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

// Lower.

fn inbound(service: &str, port: i64, range: &str) -> Address {
    Address::new(service, SECURITY_GROUP_RULE, format!("inbound/{port}/{range}"))
}

/// Where connections to a database come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Leaving {
    Balancer,
    Forwarders,
}

impl Leaving {
    /// The name of the security group that they come from.
    fn group(self) -> &'static str {
        match self {
            Self::Balancer => security_group::BALANCER,
            Self::Forwarders => security_group::FORWARDERS,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Balancer => "the load balancer",
            Self::Forwarders => "the forwarders",
        }
    }
}

fn database(service: &str, group: &str, port: i64, from: Leaving) -> Address {
    let suffix = if from == Leaving::Forwarders { "/forwarder" } else { "" };
    Address::new(service, SECURITY_GROUP_RULE, format!("database/{group}/{port}{suffix}"))
}

/// How a port that a database group opens to one of the service's groups is called among the facts.
pub(crate) fn opened(group: &str, port: i64, to: &str) -> String {
    format!("{group}/{port}/{to}")
}

/// A rule that lets a load balancer in to the forwarders: its group, or where it has none a range that its nodes are in.
fn to_forwarders(service: &str, port: i64, source: &str) -> Address {
    Address::new(service, SECURITY_GROUP_RULE, format!("forwarder/{port}/{source}"))
}

/// The port on which a rule that is there lets a load balancer in to the forwarders.
pub(crate) fn open_to_balancer(live: &Live) -> Option<u16> {
    let (port, _source) = live.address.name.strip_prefix("forwarder/")?.split_once('/')?;
    port.parse().ok()
}

/// How the group of the service's own load balancer is called as a source.
const OWN: &str = "balancer";

/// The rules that must be there before the load balancer lets in nothing else.
pub(crate) fn inbound_to_balancer(lowered: &Lowered) -> BTreeSet<Address> {
    named(lowered, &["inbound/"])
}

/// The rules that must be there before a target can be healthy.
pub(crate) fn to_databases(lowered: &Lowered) -> BTreeSet<Address> {
    named(lowered, &["database/"])
}

/// The rules on both sides of the forwarders.
pub(crate) fn around_forwarders(lowered: &Lowered) -> BTreeSet<Address> {
    named(lowered, &["database/", "forwarder/"])
}

fn named(lowered: &Lowered, prefixes: &[&str]) -> BTreeSet<Address> {
    let rules = lowered.resources.iter().filter(|resource| resource.address.kind == SECURITY_GROUP_RULE);
    rules
        .map(|resource| resource.address.clone())
        .filter(|address| prefixes.iter().any(|prefix| address.name.starts_with(prefix)))
        .collect()
}

fn fields(lowering: &Lowering<'_>, group: Value, source: Value, port: i64) -> BTreeMap<String, Value> {
    BTreeMap::from([
        ("group".to_owned(), group),
        ("source".to_owned(), source),
        ("port".to_owned(), Value::Int(port)),
        ("tags".to_owned(), lowering.tags()),
    ])
}

pub(crate) fn lower(lowering: &Lowering<'_>, lowered: &mut Lowered) {
    lower_forwarders(lowering, lowered);
    let AwsForm::Made(made) = &lowering.aws.form else { return };
    let own = Value::output(&security_group::address(lowering.name()), "id");
    for range in made.load_balancer.enforce_inbound.iter().flatten() {
        for port in &made.ports {
            let (listen, range) = (i64::from(port.port.listen.get()), range.trunc().to_string());
            let address = inbound(lowering.name(), listen, &range);
            let fields = fields(lowering, own.clone(), Value::text(range), listen);
            lowered.resources.push(lowering.resource(address, Origin::Owned, fields, BTreeSet::new()));
        }
    }
    if let Some(ranges) = &made.load_balancer.enforce_inbound {
        lowered.warnings.extend(policy::kept_out(lowering.spec, lowering.service, ranges));
        reach::check_inbound(lowering, ranges, lowered);
    }
    lower_databases(lowering, made, lowered);
    reach::check_databases(lowering, made, lowered);
}

/// What may come in to the forwarders: the load balancer alone, on the ports and on their health ports.
fn lower_forwarders(lowering: &Lowering<'_>, lowered: &mut Lowered) {
    let machines = forwarders::beside_what_is_there(lowering);
    let Some(forwarder) = machines.and_then(|machines| machines.forwarder().ok()) else { return };
    let group = Value::output(&security_group::forwarders(lowering.name()), "id");
    let ports = forwarder.ports().iter().flat_map(|map| [map.listen, map.health_port]);
    let sources = balancer_sources(lowering);
    for port in ports.map(i64::from) {
        for (name, source) in &sources {
            let address = to_forwarders(lowering.name(), port, name);
            let fields = fields(lowering, group.clone(), source.clone(), port);
            lowered.resources.push(lowering.resource(address, Origin::Owned, fields, BTreeSet::new()));
        }
    }
}

/// Where the load balancer's connections come from, with a name for each: its security groups, or its subnets' ranges where the
/// user's own load balancer has no group.
fn balancer_sources(lowering: &Lowering<'_>) -> Vec<(String, Value)> {
    if matches!(lowering.aws.form, AwsForm::Made(_)) {
        return vec![(OWN.to_owned(), Value::output(&security_group::address(lowering.name()), "id"))];
    }
    let Some(supplied) = &lowering.facts.supplied else { return Vec::new() };
    let ranges = supplied.zones.values().filter_map(|subnet| lowering.facts.subnets.get(subnet)?.cidr);
    let sources: Vec<String> = if supplied.security_groups.is_empty() {
        ranges.map(|range| range.trunc().to_string()).collect()
    } else {
        supplied.security_groups.iter().cloned().collect()
    };
    sources.into_iter().map(|source| (source.clone(), Value::text(source))).collect()
}

/// The database ports, and from where each is reached: from the load balancer those that it sends on itself, from the forwarders theirs.
fn leaving(made: &AwsMade) -> BTreeSet<(Leaving, i64)> {
    let leaving = made.ports.iter().map(|port| {
        let from =
            if forwarders::asked_port(port).is_some() { Leaving::Forwarders } else { Leaving::Balancer };
        (from, i64::from(port.port.port.get()))
    });
    leaving.collect()
}

/// A rule that goes although its port stays.
pub(crate) struct Closing {
    /// Its address.
    pub(crate) address: Address,
    /// What it does, in words.
    pub(crate) way: String,
    /// Whether another group of the file lets the same in: only the user knows which databases are in which group.
    pub(crate) another_stays: bool,
}

/// The rules that are there and go although their port stays.
pub(crate) fn ways_that_close(lowering: &Lowering<'_>, made: &AwsMade, lowered: &Lowered) -> Vec<Closing> {
    let mut closing = Vec::new();
    for (from, port) in leaving(made) {
        let is_way = |address: &Address| {
            let group = address.name.strip_prefix("database/").and_then(|rest| rest.split('/').next());
            group.is_some_and(|group| *address == database(lowering.name(), group, port, from))
        };
        let stays: BTreeSet<&Address> =
            lowered.resources.iter().map(|resource| &resource.address).filter(|a| is_way(a)).collect();
        let opened_by_others =
            |group: &str| lowering.facts.opened_by_others.contains_key(&opened(group, port, from.group()));
        let another_stays = !stays.is_empty()
            || made.database_security_groups.iter().any(|group| opened_by_others(group.as_str()));
        // What lies in another place belongs to a service that would move, which is refused by itself.
        let ours = lowering
            .world
            .live
            .iter()
            .filter(|live| live.is_ours() && live.scope == lowering.scope && is_way(&live.address));
        for live in ours.filter(|live| !stays.contains(&live.address)) {
            let group = live.fields.get("group").and_then(Value::as_text).unwrap_or_default();
            // Somebody else's rule does the same.
            if !opened_by_others(group) {
                let way = format!("{group} lets {} in to port {port}", from.title());
                closing.push(Closing { address: live.address.clone(), way, another_stays });
            }
        }
    }
    closing
}

/// The ranges that the rules let in to the load balancer today.
pub(crate) fn let_in_now(lowering: &Lowering<'_>) -> BTreeSet<IpNet> {
    let own = lowering.world.live.iter().filter(|live| {
        live.address.kind == SECURITY_GROUP_RULE
            && live.address.service == lowering.name()
            && live.address.name.starts_with("inbound/")
    });
    own.filter_map(|live| live.fields.get("source")?.as_text()?.parse().ok()).collect()
}

/// What may go on to the databases.
fn lower_databases(lowering: &Lowering<'_>, made: &AwsMade, lowered: &mut Lowered) {
    let leaving = leaving(made);
    for group in made.database_security_groups.iter().map(|id| id.as_str()) {
        if lowering.facts.network_read && !lowering.facts.database_groups.contains_key(group) {
            let why = format!("the database security group {group} is not there (in {})", lowering.scope);
            let address = database(lowering.name(), group, 0, Leaving::Balancer);
            let refusal = lowering.refusal(&address, SafetyRule::Unsuitable, why);
            lowered.refusals.push(refusal);
            continue;
        }
        for &(from, port) in &leaving {
            if let Some(rule) = lowering.facts.opened_by_others.get(&opened(group, port, from.group())) {
                lowered.warnings.push(format!(
                    "{}: {group} lets {} in to port {port} by {rule} already, which is not privnet's and stays",
                    lowering.name(),
                    from.title()
                ));
                continue;
            }
            let address = database(lowering.name(), group, port, from);
            let to = format!("the security group {group}");
            let source = Address::new(lowering.name(), SECURITY_GROUP, from.group());
            let fields = fields(lowering, Value::text(group), Value::output(&source, "id"), port);
            lowered.resources.push(lowering.resource(
                address,
                Origin::AddedTo { to },
                fields,
                BTreeSet::new(),
            ));
        }
    }
}

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

/// The security groups that are ours, by id.
fn own_groups<'a>(snapshot: &'a Snapshot<'_>) -> BTreeMap<&'a str, &'a Address> {
    let groups = snapshot.network.groups.iter().filter(|(_, claim)| claim.ownership == Ownership::Ours);
    groups.filter_map(|(group, claim)| Some((group.group_id()?, &claim.address))).collect()
}

/// Whether a source is a group of ours that is this service's.
fn is_of(own_groups: &BTreeMap<&str, &Address>) -> impl Fn(&str, &str) -> bool {
    |source, service| own_groups.get(source).is_some_and(|group| group.service == service)
}

/// Proof that a rule in a group of the user's is this deployment's: its tags, in the group that they name, under the name that it is
/// described by. All of that can be copied to another rule of that group: where several prove the same, the one is ours that is what
/// the tags say. One that somebody changed is still ours while it is the only one.
pub(crate) fn proof_in_yours(
    rule: &SecurityGroupRule,
    all: &[SecurityGroupRule],
    deployment: &str,
    is_ours: impl Fn(&str, &str) -> bool,
) -> Option<Proof> {
    let proof = proof_by_tags(rule, deployment, &is_ours)?;
    let is_another = |other: &&SecurityGroupRule| {
        other.security_group_rule_id() != rule.security_group_rule_id()
            && proof_by_tags(other, deployment, &is_ours).as_ref() == Some(&proof)
    };
    (is_at_home(rule, &proof, &is_ours) || !all.iter().any(|other| is_another(&other))).then_some(proof)
}

/// What the tags prove in the group that they name: a rule never goes to another. Descriptions are for people, and are edited or
/// lost; where one was, the shown name will do in a rule that is what the tags say.
fn proof_by_tags(
    rule: &SecurityGroupRule,
    deployment: &str,
    is_ours: &impl Fn(&str, &str) -> bool,
) -> Option<Proof> {
    let tags = tags_of(rule.tags());
    let described = rule.description().unwrap_or_default();
    let in_this_group = |proof: &Proof| {
        let group = proof.address.name.strip_prefix("database/").and_then(|rest| rest.split('/').next());
        proof.address.kind == SECURITY_GROUP_RULE && group == rule.group_id()
    };
    ownership::proof_under_name(&tags, deployment, described).filter(in_this_group).or_else(|| {
        ownership::proof_under_shown_name(&tags, deployment).filter(|proof| is_at_home(rule, proof, is_ours))
    })
}

/// Whether a rule lets a group of ours in where its address says.
fn is_at_home(rule: &SecurityGroupRule, proof: &Proof, is_ours: &impl Fn(&str, &str) -> bool) -> bool {
    let service = proof.address.service.as_str();
    Ingress::of(rule).is_some_and(|ingress| {
        let is_it = |from| database(service, &ingress.group, ingress.port, from) == proof.address;
        (is_it(Leaving::Balancer) || is_it(Leaving::Forwarders)) && is_ours(&ingress.source, service)
    })
}

/// Rules in groups of the user's that bear our tags and our name and are not ours: what is to be known of each.
pub(crate) fn copies(snapshot: &Snapshot<'_>) -> Vec<String> {
    let (own_groups, deployment) = (own_groups(snapshot), snapshot.wanted.deployment);
    let all = &snapshot.network.rules;
    let copies = all.iter().filter_map(|rule| {
        let (id, group) = (rule.security_group_rule_id()?, rule.group_id()?);
        let tags = tags_of(rule.tags());
        let named = ownership::proof_under_name(&tags, deployment, rule.description()?)?;
        let is_ours =
            || proof_in_yours(rule, all, deployment, is_of(&own_groups)).is_some();
        (!own_groups.contains_key(group) && !is_ours()).then(|| {
            format!(
                "the rule {id} of {group} stays as it is: it has the tags and the description of {}, but is not what these say: if they are a \
                 copy, take the tags off; if privnet made it, delete it by hand",
                named.address
            )
        })
    });
    copies.collect()
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

async fn rules_in(cloud: &Cloud<'_>, group: &str) -> Result<Vec<SecurityGroupRule>, Error> {
    let found = network::rules(cloud, &[filter("group-id", [group])]).await?;
    Ok(found.into_iter().filter(|rule| rule.group_id() == Some(group)).collect())
}

// Create.

pub(crate) async fn create(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let wanted = Ingress::from_fields(step.fields)?;
    let (name, tags) = created_as(step, &wanted.tags);
    let made = cloud
        .create(AUTHORIZE, &wanted.group, || {
            let request = cloud.reach.ec2.authorize_security_group_ingress().group_id(&wanted.group);
            let request = request.ip_permissions(wanted.permission(&name));
            request.tag_specifications(tagging::specification(ResourceType::SecurityGroupRule, &tags)).send()
        })
        .await;
    let note = match made {
        Ok(_) => None,
        Err(error) if error.kind() == ErrorKind::Conflict => Some("it was there already".to_owned()),
        Err(error) => return Err(error),
    };
    let rule = shown(cloud, &wanted).await?;
    let id = rule.security_group_rule_id().unwrap_or_default().to_owned();
    let is_ours = |source: &str, _: &str| source == wanted.source;
    let proved = proof_by_tags(&rule, step.deployment, &is_ours);
    // In a group of ours a rule without our tags is taken over; in the user's it is the user's.
    if proved.is_none() && step.action.address.name.starts_with("database/") {
        let message = format!("{} has this rule already ({id}), and it is not privnet's", wanted.group);
        return Err(Error::new(ErrorKind::Conflict, AUTHORIZE.name, id, message)
            .with_hint("run the same command again: the plan then leaves that rule alone"));
    }
    // A rule has no name of its own, so the two of a replacement may be one and the same: another run made it while this one was
    // planned. Taking it for the new one would end with it deleted as the old one.
    if proved.is_some_and(|proof| Some(proof.generation) != step.action.generation) {
        let message = format!("{} has this rule already ({id}): another run made it meanwhile", wanted.group);
        return Err(Error::new(ErrorKind::Conflict, AUTHORIZE.name, id, message)
            .with_hint("run the same command again: the plan then finds nothing to replace"));
    }
    converge(cloud, &id, &wanted, &tags).await?;
    Ok(Applied { outputs: outputs([("id", &id)]), note })
}

/// The rule, as soon as a read shows it.
async fn shown(cloud: &Cloud<'_>, wanted: &Ingress) -> Result<SecurityGroupRule, Error> {
    let until = Until {
        operation: AUTHORIZE.name,
        subject: &wanted.group,
        what: "shown with the rule",
        limit: SHOWS_WITHIN,
    };
    cloud
        .context
        .until(until, || async {
            let found = rules_in(cloud, &wanted.group).await?.into_iter();
            let mut same =
                found.filter(|rule| Ingress::of(rule).is_some_and(|there| there.allows_the_same(wanted)));
            Ok(same
                .next()
                .map_or_else(|| Poll::Pending("the rule does not show yet".to_owned()), Poll::Ready))
        })
        .await
}

// Update.

pub(crate) async fn update(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let wanted = Ingress::from_fields(step.fields)?;
    let id = live_id(step)?;
    let (_, tags) = created_as(step, &wanted.tags);
    converge(cloud, &id, &wanted, &tags).await?;
    Ok(Applied { outputs: outputs([("id", &id)]), note: None })
}

/// Writes the tags where they differ, and returns when a read shows them.
async fn converge(cloud: &Cloud<'_>, id: &str, wanted: &Ingress, tags: &TagMap) -> Result<(), Error> {
    let mut written = false;
    let until = Until { operation: AUTHORIZE.name, subject: id, what: "tagged", limit: SHOWS_WITHIN };
    loop {
        let there = cloud
            .context
            .until(until, || async {
                let rule = shown(cloud, wanted).await?;
                let there = ownership::managed_tags(&tags_of(rule.tags()));
                let done = there == wanted.tags;
                Ok(if done || !written {
                    Poll::Ready(there)
                } else {
                    Poll::Pending("the tags do not show yet".to_owned())
                })
            })
            .await?;
        if there == wanted.tags {
            return Ok(());
        }
        let mut retag = ownership::retag(&there, &wanted.tags);
        retag.set.extend(tags.clone());
        tagging::retag_ec2(cloud, id, &retag).await?;
        written = true;
    }
}

// Delete.

pub(crate) async fn delete(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let id = live_id(step)?;
    let nothing = BTreeMap::new();
    let there = step.live.map_or(&nothing, |live| &live.fields);
    revoke(cloud, &Fields::new(SECURITY_GROUP_RULE, there).text("group")?, &id).await
}

async fn revoke(cloud: &Cloud<'_>, group: &str, id: &str) -> Result<Applied, Error> {
    let sent = cloud
        .call(REVOKE, id, Replay::Safe, || {
            cloud.reach.ec2.revoke_security_group_ingress().group_id(group).security_group_rule_ids(id).send()
        })
        .await;
    gone_is_fine(sent.map(|_| ()))?;
    let until = Until { operation: REVOKE.name, subject: id, what: "gone", limit: SHOWS_WITHIN };
    cloud
        .context
        .until(until, || async {
            let there =
                rules_in(cloud, group).await?.iter().any(|rule| rule.security_group_rule_id() == Some(id));
            Ok(if there { Poll::Pending("still listed".to_owned()) } else { Poll::Ready(()) })
        })
        .await?;
    Ok(Applied::default())
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
