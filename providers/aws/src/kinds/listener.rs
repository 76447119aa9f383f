//! A listener for each port: TCP, or TLS with a certificate.

mod change;
mod turn;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::Listener as Described;
use privnet_core::kind::{Change, Shape};
use privnet_core::plan::{Refusal, Rule, SEVER};
use privnet_core::spec::aws::{AwsForm, AwsPort, AwsService, AwsTargets};
use privnet_core::{
    Address, Error, Field, Generation, Health, Kind, Live, Lowered, Origin, Ownership, Replacement, Value,
};

use crate::balancing::Attributes;
use crate::facts::ClaimedPort;
use crate::fields::Fields;
use crate::forwarders;
use crate::kinds::{LISTENER, forwarder_group, load_balancer, outputs, security_group_rule, target_group};
use crate::lower::Lowering;
use crate::observe::{Snapshot, supplied_load_balancer};
use crate::ownership::{self, NAME, Proof, TagMap};
use crate::snapshot::{SeenListener, SeenLoadBalancer};

pub(crate) use change::{create, delete, update};

/// As <https://docs.aws.amazon.com/elasticloadbalancing/latest/network/update-idle-timeout.html> spells it. TLS listeners do
/// not have it: theirs is always 350 s.
const IDLE_TIMEOUT: &str = "tcp.idle_timeout.seconds";
/// The idle timeout that TLS listeners have, and TCP listeners where nothing else is set.
const FIXED_IDLE_TIMEOUT: i64 = 350;
/// The tag of a listener that privnet gave another one: attributes are read one by one, so only where there is something to know.
/// Where the file says nothing, and never said anything else, nobody looks after the time that AWS gives.
const IDLE_TAG: &str = "privnet:idle-timeout";
/// The policy of `version: 1`: TLS 1.2 and 1.3
/// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/describe-ssl-policies.html>).
const SSL_POLICY: &str = "ELBSecurityPolicy-TLS13-1-2-2021-06";

// The type.

#[derive(Clone, Debug, PartialEq, Eq)]
struct Listener {
    load_balancer: String,
    port: i64,
    protocol: String,
    certificate: Option<String>,
    ssl_policy: Option<String>,
    target_group: String,
    /// Further groups that it forwards to: none but while a new one is tried out.
    also_forwards_to: BTreeSet<String>,
    /// In seconds; absent for TLS, and where the file leaves it to AWS.
    idle_timeout: Option<i64>,
    tags: TagMap,
}

impl Listener {
    fn from_fields(values: &BTreeMap<String, Value>) -> Result<Self, Error> {
        let fields = Fields::new(LISTENER, values);
        let protocol = fields.text("protocol")?;
        // What belongs to the other protocol goes with a change of the protocol.
        let tls = protocol == "TLS";
        let idle_timeout = values.get("idle_timeout").filter(|value| !value.is_null() && !tls);
        let of_tls = |name: &str| Ok::<_, Error>(fields.text_if_any(name)?.filter(|_| tls));
        Ok(Self {
            load_balancer: fields.text("load_balancer")?,
            port: fields.number("port")?,
            protocol,
            certificate: of_tls("certificate")?,
            ssl_policy: of_tls("ssl_policy")?,
            target_group: fields.text("target_group")?,
            also_forwards_to: fields.texts("also_forwards_to")?,
            idle_timeout: idle_timeout.map(|_| fields.number("idle_timeout")).transpose()?,
            tags: fields.text_map("tags")?,
        })
    }

    fn to_fields(&self) -> BTreeMap<String, Value> {
        let mut fields = BTreeMap::from([
            ("load_balancer".to_owned(), Value::text(&self.load_balancer)),
            ("port".to_owned(), Value::Int(self.port)),
            ("protocol".to_owned(), Value::text(&self.protocol)),
            ("target_group".to_owned(), Value::text(&self.target_group)),
            ("also_forwards_to".to_owned(), Value::texts(self.also_forwards_to.iter())),
            ("tags".to_owned(), Value::text_map(&self.tags)),
        ]);
        let of_tls = [("certificate", &self.certificate), ("ssl_policy", &self.ssl_policy)];
        fields.extend(
            of_tls.into_iter().filter_map(|(name, has)| Some((name.to_owned(), Value::text(has.as_ref()?)))),
        );
        if let Some(seconds) = self.idle_timeout {
            fields.insert("idle_timeout".to_owned(), Value::Int(seconds));
        }
        fields
    }

    /// Whether it is what is wanted; of the idle timeout only where one is wanted.
    fn is(&self, wanted: &Self) -> bool {
        Self { idle_timeout: wanted.idle_timeout.and(self.idle_timeout), ..self.clone() } == *wanted
    }

    /// What is described; `attributes` are absent where nobody looked.
    fn of(described: &Described, attributes: Option<&Attributes>, tags: &TagMap) -> Self {
        let protocol = described.protocol().map_or("TCP", |protocol| protocol.as_str()).to_owned();
        let tls = protocol == "TLS";
        let (target_group, also_forwards_to) = forwards_to(described);
        let certificate =
            described.certificates().first().and_then(|certificate| certificate.certificate_arn());
        Self {
            load_balancer: described.load_balancer_arn().unwrap_or_default().to_owned(),
            port: described.port().map(i64::from).unwrap_or_default(),
            certificate: certificate.filter(|_| tls).map(str::to_owned),
            ssl_policy: described.ssl_policy().filter(|_| tls).map(str::to_owned),
            target_group,
            also_forwards_to,
            // One that does not say has what AWS gives.
            idle_timeout: attributes.filter(|_| !tls).map(|attributes| {
                attributes
                    .get(IDLE_TIMEOUT)
                    .and_then(|value| value.parse().ok())
                    .unwrap_or(FIXED_IDLE_TIMEOUT)
            }),
            tags: ownership::managed_tags(tags),
            protocol,
        }
    }
}

/// The group that a listener sends to, in either way that the API says so, and further ones. Where there are several it is the first
/// one with a weight: a group without one gets nothing.
fn forwards_to(described: &Described) -> (String, BTreeSet<String>) {
    let Some(action) = described.default_actions().first() else { return Default::default() };
    let tuples = action.forward_config().map(|config| config.target_groups()).unwrap_or_default();
    let main = tuples.iter().find(|tuple| tuple.weight() != Some(0)).or_else(|| tuples.first());
    let main = action.target_group_arn().or_else(|| main?.target_group_arn()).unwrap_or_default().to_owned();
    let all = tuples.iter().filter_map(|tuple| tuple.target_group_arn());
    let also = all.filter(|arn| *arn != main).map(str::to_owned).collect();
    (main, also)
}

/// The group that a listener's connections go to.
pub(crate) fn led_to(described: &Described) -> String {
    forwards_to(described).0
}

/// Whether the file says how long listeners keep idle sessions.
pub(crate) fn asks_for_its_own_time(aws: &AwsService) -> bool {
    let targets = match &aws.form {
        AwsForm::Made(made) => &made.targets,
        AwsForm::OnLoadBalancer(on) => &on.targets,
        AwsForm::EndpointService(_) | AwsForm::Removed => return false,
    };
    targets.tcp_idle_timeout.is_some()
}

/// Whether privnet gave a listener of these tags a time of its own: then it is looked after from there on, also when the file
/// goes back to the default.
pub(crate) fn had_its_own_time(tags: &TagMap) -> bool {
    tags.contains_key(IDLE_TAG)
}

// The table.

pub(crate) const KIND: Kind = Kind {
    name: LISTENER,
    title: "listener",
    fields: &[
        Field::managed("load_balancer").on_change(Change::Replace),
        Field::managed("port").on_change(Change::Replace),
        // Clients that speak TLS do not reach a TCP listener, and the other way round.
        Field::managed("protocol").on_change(Change::UpdateUnlessConnected),
        // A listener that is not to speak TLS has neither, as its protocol says.
        Field::if_set("certificate"),
        Field::if_set("ssl_policy"),
        Field::managed("target_group"),
        // A group without a weight is only checked.
        Field::managed("also_forwards_to").shaped(Shape::Set).without_traffic(),
        Field::if_set("idle_timeout"),
        Field::managed("tags"),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 30,
    severs: true,
    serialized_by: &[],
    telling: &[],
};

// Lower.

/// The address of the listener of a port.
pub(crate) fn address(service: impl Into<String>, listen: &str) -> Address {
    Address::new(service, LISTENER, listen)
}

/// The listeners that were lowered: the way in is open when they are there.
pub(crate) fn all(lowered: &Lowered) -> BTreeSet<Address> {
    let listeners = lowered.resources.iter().filter(|resource| resource.address.kind == LISTENER);
    listeners.map(|listener| listener.address.clone()).collect()
}

pub(crate) fn lower(lowering: &Lowering<'_>, lowered: &mut Lowered) {
    let (settings, ports, origin) = match &lowering.aws.form {
        AwsForm::Made(made) => (&made.targets, &made.ports, Origin::Owned),
        AwsForm::OnLoadBalancer(on) => {
            let to = format!("the load balancer {}", on.load_balancer);
            (&on.targets, &on.ports, Origin::AddedTo { to })
        }
        AwsForm::EndpointService(_) | AwsForm::Removed => return,
    };
    for port in ports {
        lower_port(lowering, settings, port, &origin, lowered);
    }
}

fn lower_port(
    lowering: &Lowering<'_>,
    settings: &AwsTargets,
    port: &AwsPort,
    origin: &Origin,
    lowered: &mut Lowered,
) {
    let listen = port.port.listen.to_string();
    let address = address(lowering.name(), &listen);
    let number = i64::from(port.port.listen.get());
    if let Some(why) = taken(lowering, &address, number) {
        lowered.refusals.push(lowering.refusal(&address, Rule::NotOurs, why));
        return;
    }
    if matches!(origin, Origin::AddedTo { .. }) {
        lowered.refusals.extend(moved_away(lowering, &address));
    }
    let idle = idle_timeout(lowering, settings, &address);
    if port.tls.is_some() && idle.is_some_and(|idle| idle != FIXED_IDLE_TIMEOUT) {
        lowered.warnings.push(format!(
            "{}: port {listen} speaks TLS, whose idle timeout is always {FIXED_IDLE_TIMEOUT} s; `tcp_idle_timeout` holds for TCP ports only",
            lowering.name()
        ));
    }
    let mut fields = BTreeMap::from([
        ("load_balancer".to_owned(), Value::output(&load_balancer::address(lowering.name()), "arn")),
        ("port".to_owned(), Value::Int(number)),
        ("protocol".to_owned(), Value::text(if port.tls.is_some() { "TLS" } else { "TCP" })),
        ("target_group".to_owned(), Value::output(&target_group::address(lowering.name(), &listen), "arn")),
        ("also_forwards_to".to_owned(), Value::texts([""; 0])),
        ("tags".to_owned(), lowering.tags()),
    ]);
    if let Some(certificate) = &port.tls {
        fields.insert("certificate".to_owned(), Value::text(certificate.to_string()));
        fields.insert("ssl_policy".to_owned(), Value::text(SSL_POLICY));
    }
    fields.extend(
        idle.filter(|_| port.tls.is_none()).map(|idle| ("idle_timeout".to_owned(), Value::Int(idle))),
    );
    // The way to the databases is open before traffic, and health checks, go there.
    let mut needs = security_group_rule::to_databases(lowered);
    // So are the machines there that it will lead to.
    if forwarders::asked_port(port).is_some() {
        needs.insert(forwarder_group::address(lowering.name()));
    }
    lowered.resources.push(lowering.resource(address, origin.clone(), fields, needs));
}

/// Why a port of the user's own load balancer is not privnet's to serve, if it is not. There the tags alone say whose a listener is.
fn taken(lowering: &Lowering<'_>, address: &Address, number: i64) -> Option<String> {
    let supplied = lowering.facts.supplied.as_ref()?;
    let listen = &address.name;
    let named = if supplied.foreign_ports.contains(&number) {
        let of_it = supplied
            .claimed_ports
            .get(&number)
            .filter(|named| named.service == address.service && named.name != *listen);
        let Some(named) = of_it else {
            return Some(format!(
                "the load balancer has a listener on port {listen} that is not privnet's: give another `listen:`, or leave the port out"
            ));
        };
        &named.name
    } else {
        let mut there = lowering.world.live.ours_at(address);
        &there.find_map(|live| lowering.world.misplaced.get(&live.id)?.as_ref())?.name
    };
    Some(format!(
        "the load balancer has a listener on port {listen} whose tags say that privnet made it for port {named}: where it was made for \
         port {listen}, put its tag `{NAME}` back to `{listen}`; where somebody moved it, put it back to port {named}; else give another \
         `listen:`, or leave the port out"
    ))
}

/// On the user's own load balancer a listener that somebody moved is not known any more once there is another one in its place, so that it
/// goes with that one's making: not while somebody may come in by it.
fn moved_away(lowering: &Lowering<'_>, address: &Address) -> Option<Refusal> {
    let world = lowering.world;
    let mut own = world.live.of(lowering.name()).iter().filter(|live| live.address != *address);
    let moved =
        own.find(|live| world.misplaced.get(&live.id).is_some_and(|place| place.as_ref() == Some(address)))?;
    let why = format!(
        "somebody moved the listener {} from port {} to {}, and whoever comes in there would be cut: put it back to port {}, or a new one \
         is made there and this one goes",
        moved.id, address.name, moved.address.name, address.name
    );
    let refusal =
        Refusal { flag: Some(SEVER.to_owned()), ..lowering.refusal(&moved.address, Rule::WouldSever, why) };
    world.may_be_connected(lowering.name()).then_some(refusal)
}

/// The idle timeout that the file says; where it says none any more, the one that AWS gives.
fn idle_timeout(lowering: &Lowering<'_>, settings: &AwsTargets, address: &Address) -> Option<i64> {
    let said = settings.tcp_idle_timeout.map(|said| i64::from(said.get()));
    let is_looked_after =
        lowering.world.at(address).is_some_and(|live| live.fields.contains_key("idle_timeout"));
    said.or_else(|| is_looked_after.then_some(FIXED_IDLE_TIMEOUT))
}

// Observe.

pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let balancers = snapshot.balancing.load_balancers.iter();
    let pairs =
        balancers.flat_map(|balancer| balancer.listeners.iter().map(move |listener| (balancer, listener)));
    pairs.filter_map(|(balancer, listener)| live_of(snapshot, balancer, listener)).collect()
}

fn live_of(snapshot: &Snapshot<'_>, balancer: &SeenLoadBalancer, seen: &SeenListener) -> Option<Live> {
    let arn = seen.described.listener_arn()?.to_owned();
    let (service, proof) = made_for(snapshot, balancer, seen)?;
    Some(Live {
        // Consumers come in by its port, whatever its tags name: they may have been copied from another one, and it may have been moved.
        address: address(service, &seen.described.port()?.to_string()),
        generation: Some(proof.map_or(Generation::A, |proof| proof.generation)),
        scope: snapshot.reach.scope.clone(),
        ownership: Ownership::Ours,
        fields: Listener::of(&seen.described, seen.attributes.as_ref(), &seen.tags).to_fields(),
        outputs: outputs([("arn", &arn)]),
        id: arn,
        health: Health::Ready,
    })
}

/// The service that a listener of ours is of, and its proof where its tags are one.
fn made_for<'a>(
    snapshot: &'a Snapshot<'_>,
    balancer: &'a SeenLoadBalancer,
    seen: &SeenListener,
) -> Option<(Cow<'a, str>, Option<Proof>)> {
    match &balancer.claim {
        // A child of an owned parent is owned, whoever made it.
        Some(claim) if claim.ownership == Ownership::Ours => {
            let service = &claim.address.service;
            let proof = proof_of(seen, snapshot.wanted.deployment);
            Some((service.into(), proof.filter(|proof| proof.address.service == *service)))
        }
        Some(_) => None,
        None => {
            let proof = proof_in_yours(snapshot, balancer, seen)?;
            Some((proof.address.service.clone().into(), Some(proof)))
        }
    }
}

/// Listeners of ours on another port than the one that their tags name, by ARN, and what these name: somebody moved them, or their
/// tags are copies. And those of privnet's own load balancers whose tags name none of the service's: somebody else put them there.
pub(crate) fn misplaced(snapshot: &Snapshot<'_>) -> BTreeMap<String, Option<Address>> {
    let balancers = snapshot.balancing.load_balancers.iter();
    let pairs = balancers.flat_map(|balancer| balancer.listeners.iter().map(move |seen| (balancer, seen)));
    let misplaced = pairs.filter_map(|(balancer, seen)| {
        let (_, proof) = made_for(snapshot, balancer, seen)?;
        let named = proof.map(|proof| proof.address);
        let port = seen.described.port()?.to_string();
        let is_at_home = named.as_ref().is_some_and(|named| named.name == port);
        (!is_at_home).then(|| Some((seen.described.listener_arn()?.to_owned(), named)))?
    });
    misplaced.collect()
}

fn proof_of(seen: &SeenListener, deployment: &str) -> Option<Proof> {
    ownership::proof(&seen.tags, deployment).filter(|proof| proof.address.kind == LISTENER)
}

/// What its tags name of this deployment, proven or not.
pub(crate) fn claimed(seen: &SeenListener, deployment: &str) -> Option<ClaimedPort> {
    let address = proof_of(seen, deployment)?.address;
    Some(ClaimedPort { service: address.service, name: address.name })
}

/// Proof that a listener of the user's own load balancer is this deployment's: its tags, on the port that they name, where it is at home.
/// Tags are copied from one listener to another; what cannot be is that it forwards to a target group of ours, which one load balancer
/// alone can use (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-target-groups.html>). One that
/// somebody turned elsewhere is still ours on the load balancer that the file names, unless another one with its tags forwards to ours.
pub(crate) fn proof_in_yours(
    snapshot: &Snapshot<'_>,
    balancer: &SeenLoadBalancer,
    seen: &SeenListener,
) -> Option<Proof> {
    let proof = proof_on_port(balancer, seen, snapshot.wanted.deployment)?;
    is_at_home(snapshot, balancer, seen, &proof).then_some(proof)
}

/// What the tags prove of a listener of the user's own load balancer, on the port that they name. On another port, where somebody may
/// have moved it, they could be a copy: then the shown name must be right, and the one on that port be missing.
fn proof_on_port(balancer: &SeenLoadBalancer, seen: &SeenListener, deployment: &str) -> Option<Proof> {
    let is_on_it = |seen: &SeenListener, proof: &Proof| {
        seen.described.port().is_some_and(|port| port.to_string() == proof.address.name)
    };
    let proof = proof_of(seen, deployment)?;
    if is_on_it(seen, &proof) {
        return Some(proof);
    }
    let another_is = balancer.listeners.iter().any(|other| {
        proof_of(other, deployment)
            .is_some_and(|theirs| theirs.address == proof.address && is_on_it(other, &theirs))
    });
    (!another_is && ownership::proof_as_shown(&seen.tags, deployment).is_some()).then_some(proof)
}

fn is_at_home(
    snapshot: &Snapshot<'_>,
    balancer: &SeenLoadBalancer,
    seen: &SeenListener,
    proof: &Proof,
) -> bool {
    let service = &proof.address.service;
    let is_named = || {
        let arn = balancer.described.load_balancer_arn();
        let mut listed = snapshot.wanted.services.iter();
        listed.any(|(one, aws)| one.name.as_str() == service && supplied_load_balancer(aws).as_deref() == arn)
    };
    let another_does = || {
        let mut others = snapshot.balancing.load_balancers.iter().flat_map(|balancer| &balancer.listeners);
        others.any(|other| {
            proof_of(other, snapshot.wanted.deployment).as_ref() == Some(proof)
                && forwards_to_ours(snapshot, other, service)
        })
    };
    // What was made for a service forwards to a target group of its own, which goes after it: without one this is a copy that was left.
    let has_groups = || {
        let mut groups = snapshot.balancing.target_groups.iter();
        groups
            .any(|group| group.claim.ownership == Ownership::Ours && group.claim.address.service == *service)
    };
    forwards_to_ours(snapshot, seen, service) || (is_named() && has_groups() && !another_does())
}

/// Whether it forwards to a target group of ours that is this service's.
fn forwards_to_ours(snapshot: &Snapshot<'_>, seen: &SeenListener, service: &str) -> bool {
    let (main, also) = forwards_to(&seen.described);
    let ours =
        snapshot.balancing.target_groups.iter().filter(|group| {
            group.claim.ownership == Ownership::Ours && group.claim.address.service == service
        });
    let mut arns = ours.filter_map(|group| group.described.target_group_arn());
    arns.any(|arn| arn == main || also.contains(arn))
}

/// Listeners of the user's own load balancers that bear our tags and are not ours: what is to be known of each.
pub(crate) fn copies(snapshot: &Snapshot<'_>) -> Vec<String> {
    let deployment = snapshot.wanted.deployment;
    let yours = snapshot.balancing.load_balancers.iter().filter(|balancer| balancer.claim.is_none());
    let pairs = yours.flat_map(|balancer| balancer.listeners.iter().map(move |seen| (balancer, seen)));
    let copies = pairs.filter_map(|(balancer, seen)| {
        let proof = proof_on_port(balancer, seen, deployment)?;
        let arn = seen.described.listener_arn()?;
        (!is_at_home(snapshot, balancer, seen, &proof)).then(|| {
            format!(
                "the listener {arn} stays as it is: it has the tags of {}, but forwards to no target group of it, and is not on the load \
                 balancer that the file names, or another one with these tags does forward there: if its tags are a copy, take them off; if \
                 privnet made it, delete it by hand",
                proof.address
            )
        })
    });
    copies.collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::types::{
        Action, ActionTypeEnum, ForwardActionConfig, TargetGroupTuple,
    };

    use super::*;

    fn listener(tls: bool) -> Listener {
        Listener {
            load_balancer: "lb".to_owned(),
            port: 5432,
            protocol: if tls { "TLS" } else { "TCP" }.to_owned(),
            certificate: tls.then(|| "cert".to_owned()),
            ssl_policy: tls.then(|| SSL_POLICY.to_owned()),
            target_group: "tg".to_owned(),
            also_forwards_to: BTreeSet::new(),
            idle_timeout: (!tls).then_some(350),
            tags: TagMap::from([("a".to_owned(), "b".to_owned())]),
        }
    }

    #[test]
    fn round_trips_through_values() {
        for listener in [listener(true), listener(false)] {
            let fields = listener.to_fields();
            assert_eq!(Listener::from_fields(&fields).unwrap(), listener);
        }
        let mut all = listener(true).to_fields();
        all.extend(listener(false).to_fields());
        crate::kinds::tests::assert_in_table(&KIND, &all);
    }

    #[test]
    fn what_tls_brought_goes_with_it() {
        let mut fields = listener(true).to_fields();
        fields.insert("protocol".to_owned(), Value::text("TCP"));
        assert_eq!(
            Listener::from_fields(&fields).unwrap(),
            Listener { idle_timeout: None, ..listener(false) }
        );
    }

    #[test]
    fn groups_are_seen_in_either_form_of_an_action() {
        let seen = |action| forwards_to(&Described::builder().default_actions(action).build());
        assert_eq!(seen(change::forward("tg")), ("tg".to_owned(), BTreeSet::new()));
        let (main, also) = seen(change::forward_and_check("old", "new"));
        assert_eq!((main.as_str(), also), ("old", BTreeSet::from(["new".to_owned()])));
        // Whichever of them stands first: the one without a weight gets nothing.
        let tuple =
            |arn: &str, weight| TargetGroupTuple::builder().target_group_arn(arn).weight(weight).build();
        let config =
            ForwardActionConfig::builder().target_groups(tuple("new", 0)).target_groups(tuple("old", 7));
        let action = Action::builder().r#type(ActionTypeEnum::Forward).forward_config(config.build()).build();
        assert_eq!(seen(action).0, "old");
    }
}
