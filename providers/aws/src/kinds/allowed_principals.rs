//! The allowed principals of an endpoint service: who may ask for a connection.
//!
//! On a service that privnet made every principal is its own. On a service of the user's only those are that bear
//! privnet's tags: permissions take tags
//! (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AllowedPrincipal.html>), but not in the call that adds
//! them, so that they are tagged right after. Adding a principal that is there changes nothing; taking one away
//! disconnects nobody.

mod change;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::AllowedPrincipal;
use privnet_core::plan::{Refusal, Rule};
use privnet_core::spec::Spec;
use privnet_core::spec::aws::AwsForm;
use privnet_core::{
    Address, Change, Error, Field, Health, Kind, Live, Lowered, Origin, Ownership, Replacement, Shape, Value,
};

use crate::exposure::{Claimed, ExposureFacts};
use crate::fields::Fields;
use crate::kinds::endpoint_service::SUPPLIED;
use crate::kinds::{ALLOWED_PRINCIPALS, ENDPOINT_SERVICE, endpoint_service, listener};
use crate::lower::Lowering;
use crate::network::tags_of;
use crate::observe::Snapshot;
use crate::ownership::{self, TagMap};
use crate::policy;

pub(crate) use change::{create, delete, update};

/// The name of the set on a service of privnet's own.
const OWN: &str = "main";

pub(crate) const KIND: Kind = Kind {
    name: ALLOWED_PRINCIPALS,
    title: "set of allowed principals",
    fields: &[
        Field::managed("service").on_change(Change::Replace),
        Field::managed("principals").shaped(Shape::Set).bounding_the_service(),
        Field::if_set("tags"),
        Field::observed("taggable"),
    ],
    replacement: Replacement::DeleteFirst,
    teardown_rank: 20,
    severs: false,
    serialized_by: &[],
    telling: &[],
};

/// The set's managed fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct AllowedPrincipals {
    service: String,
    principals: BTreeSet<String>,
    /// Absent where the permissions have no ids, so that they cannot be tagged.
    tags: Option<TagMap>,
}

impl AllowedPrincipals {
    fn to_fields(&self) -> BTreeMap<String, Value> {
        let mut fields = BTreeMap::from([
            ("service".to_owned(), Value::text(&self.service)),
            ("principals".to_owned(), Value::texts(&self.principals)),
        ]);
        if let Some(tags) = &self.tags {
            fields.insert("tags".to_owned(), Value::text_map(tags));
        }
        fields
    }

    fn from_fields(values: &BTreeMap<String, Value>) -> Result<Self, Error> {
        let fields = Fields::new(ALLOWED_PRINCIPALS, values);
        Ok(Self {
            service: fields.text("service")?,
            principals: fields.texts("principals")?,
            tags: values.contains_key("tags").then(|| fields.text_map("tags")).transpose()?,
        })
    }

    /// What these permissions amount to. Of tags that differ only those count that all have.
    fn of(service: &str, permissions: &[&AllowedPrincipal]) -> Self {
        let taggable = permissions.iter().all(|permission| permission.service_permission_id().is_some());
        let each = permissions.iter().map(|permission| ownership::managed_tags(&tags_of(permission.tags())));
        let shared = each.reduce(|shared, other| {
            shared.into_iter().filter(|(key, value)| other.get(key) == Some(value)).collect()
        });
        Self {
            service: service.to_owned(),
            principals: permissions.iter().filter_map(|p| p.principal().map(str::to_owned)).collect(),
            tags: taggable.then(|| shared.unwrap_or_default()),
        }
    }
}

/// The set on a service of privnet's own, or the one beside the principals of the user's own on his.
fn address(service: &str, of: &str) -> Address {
    Address::new(service, ALLOWED_PRINCIPALS, of)
}

/// The set on this service's own endpoint service.
pub(crate) fn of_own(service: &str) -> Address {
    address(service, OWN)
}

/// Whether a permission bears the tags that prove it ours, under the name that they give it, as part of this service.
fn is_tagged(permission: &AllowedPrincipal, deployment: &str, address: &Address) -> bool {
    ownership::proof_as_shown(&tags_of(permission.tags()), deployment)
        .is_some_and(|proof| proof.address == *address)
}

/// Whether privnet allowed one of them for this service, of its own or of the user's.
pub(crate) fn has_ours(all: &[AllowedPrincipal], deployment: &str, service: &str) -> bool {
    let of = [OWN, SUPPLIED].map(|of| address(service, of));
    all.iter().any(|permission| of.iter().any(|address| is_tagged(permission, deployment, address)))
}

/// The principals of a supplied service that are not this service's.
pub(crate) fn of_others(all: &[AllowedPrincipal], deployment: &str, service: &str) -> BTreeSet<String> {
    let address = address(service, SUPPLIED);
    let others = all.iter().filter(|permission| !is_tagged(permission, deployment, &address));
    others.filter_map(|permission| permission.principal().map(str::to_owned)).collect()
}

/// Whom the file's services want on endpoint services of the user's where they are allowed without the service's tags, in words: also where
/// all of it is taken down, since a run that lost an answer may have left them.
pub(crate) fn taken_for_yours(snapshot: &Snapshot<'_>, spec: &Spec) -> Vec<String> {
    let supplied =
        snapshot.exposure.services.iter().filter(|service| service.ownership == Ownership::Supplied);
    let told = supplied.filter_map(|claimed| {
        let name = claimed.address.service.as_str();
        let (service, aws) = snapshot.wanted.services.iter().find(|(one, _)| one.name.as_str() == name)?;
        let all = snapshot.exposure.principals.get(&claimed.id)?.as_ref().ok()?;
        let wanted = policy::principals(spec, service, &aws.location);
        let address = address(name, SUPPLIED);
        let others = all.iter().filter(|one| !is_tagged(one, snapshot.wanted.deployment, &address));
        let others = others.filter(|one| one.principal().is_some_and(|who| wanted.contains(who)));
        let (marked, yours): (Vec<&AllowedPrincipal>, Vec<_>) =
            others.partition(|one| ownership::is_claimed(&tags_of(one.tags())));
        let marked = marked.into_iter().map(|one| by_another(&claimed.id, one));
        let told: Vec<_> = marked.chain(by_you(&claimed.id, &yours)).collect();
        Some(told.into_iter().map(move |why| format!("{name}: {why}")))
    });
    told.flatten().collect()
}

/// Of principals on the user's endpoint service that have nobody's tags, in words.
fn by_you(service: &str, yours: &[&AllowedPrincipal]) -> Option<String> {
    let who: BTreeSet<&str> = yours.iter().filter_map(|one| one.principal()).collect();
    let who = (!who.is_empty()).then(|| who.into_iter().collect::<Vec<_>>().join(", "))?;
    Some(format!(
        "{who} is allowed already on {service}, without the tags of this service, so it is taken to be yours and stays; where a run of \
         privnet was cut short before it tagged it, take it away with `aws ec2 modify-vpc-endpoint-service-permissions`, and apply \
         again if it is still wanted"
    ))
}

/// Of a principal on the user's endpoint service that another deployment's tags, or another service's, are on, in words.
fn by_another(service: &str, there: &AllowedPrincipal) -> String {
    let principal = there.principal().unwrap_or_default();
    let whose = ownership::shown(&tags_of(there.tags()));
    format!(
        "{principal} is allowed on {service} by an entry of another one's: {whose}; it stays, and goes with that one: then apply again"
    )
}

/// Adds the principals to what the service wants.
pub(crate) fn lower(lowering: &Lowering<'_>, lowered: &mut Lowered) {
    let (of, origin) = match &lowering.aws.form {
        AwsForm::Made(_) | AwsForm::OnLoadBalancer(_) => (OWN, Origin::Owned),
        AwsForm::EndpointService(id) => {
            (SUPPLIED, Origin::AddedTo { to: format!("the endpoint service {id}") })
        }
        AwsForm::Removed => return,
    };
    let address = address(lowering.name(), of);
    let facts = ExposureFacts::of(lowering.world, lowering.name());
    if let Some(why) = facts.principals_unreadable {
        let why = format!("its allowed principals cannot be read: {why}");
        lowered.refusals.push(lowering.refusal(&address, Rule::Unobserved, why));
        return;
    }
    for consumer in policy::nameless(lowering.spec, lowering.service) {
        lowered.warnings.push(format!(
            "{}: `{consumer}` has no principal on AWS, so it cannot ask for a connection: give `consumers.{consumer}.aws.principals`",
            lowering.name()
        ));
    }
    let mut wanted = policy::principals(lowering.spec, lowering.service, &lowering.aws.location);
    if matches!(origin, Origin::AddedTo { .. }) {
        wanted.retain(|principal| !facts.allowed_by_user.contains(principal));
    }
    let live = lowering.world.at(&address);
    warn_of_removal(lowering, lowered, live, &wanted);
    let opening = (of == OWN).then(|| endpoint_service::opening(lowering)).flatten();
    if wanted.is_empty() {
        if let (Some(_), Some(live)) = (opening, live) {
            lowered.refusals.push(still_allowed(lowering, live));
        }
        return;
    }
    let service = match opening {
        Some(service) => Value::text(&service.id),
        None => Value::output(&lowering.address(ENDPOINT_SERVICE, of), "id"),
    };
    let mut fields =
        BTreeMap::from([("service".to_owned(), service), ("principals".to_owned(), Value::texts(&wanted))]);
    if live.is_none_or(|live| live.fields.get("taggable") != Some(&Value::Bool(false))) {
        fields.insert("tags".to_owned(), lowering.tags());
    }
    // Who is allowed finds a way that is open.
    let needs = listener::all(lowered);
    lowered.resources.push(lowering.resource(address, origin, fields, needs));
}

/// A list that nobody is to be on goes after everything else, and the service would be open to those on it until then.
fn still_allowed(lowering: &Lowering<'_>, live: &Live) -> Refusal {
    let why = "`acceptance: automatic` lets in whoever is allowed, the file names nobody, and somebody is on the list: apply it with \
               `acceptance: manual` first, which takes them off, or name a consumer with a principal";
    lowering.refusal(&live.address, Rule::Unsuitable, why.to_owned())
}

/// Whoever is taken off the list keeps the connection that he has.
fn warn_of_removal(
    lowering: &Lowering<'_>,
    lowered: &mut Lowered,
    live: Option<&Live>,
    wanted: &BTreeSet<String>,
) {
    let there = live.and_then(|live| live.fields.get("principals")?.as_list()).unwrap_or_default();
    let gone: Vec<_> =
        there.iter().filter_map(Value::as_text).filter(|principal| !wanted.contains(*principal)).collect();
    if !gone.is_empty() {
        lowered.warnings.push(format!(
            "{}: taking {} off the allowed principals disconnects nobody: cut a live connection with `privnet reject --connection ID \
             --sever-connections`",
            lowering.name(),
            gone.join(", ")
        ));
    }
}

/// Of endpoint services of the user's own that the file names no more for its services: whoever was let in there stays, and no later look
/// tells of him. A destroy says so, too.
pub(crate) fn left_behind(snapshot: &Snapshot<'_>, live: &[Live]) -> Vec<String> {
    let listed: BTreeMap<&str, &AwsForm> =
        snapshot.wanted.services.iter().map(|(service, aws)| (service.name.as_str(), &aws.form)).collect();
    let left = live.iter().filter(|live| live.is_ours()).filter_map(|live| {
        let name = live.address.service.as_str();
        let form = *listed.get(name)?;
        let named = match form {
            AwsForm::EndpointService(id) => Some(id.as_str()),
            AwsForm::Made(_) | AwsForm::OnLoadBalancer(_) | AwsForm::Removed => None,
        };
        let service = live.fields.get("service")?.as_text()?;
        if live.address != address(name, SUPPLIED) || Some(service) == named {
            return None;
        }
        let who = connected_to(snapshot, service);
        Some(format!(
            "{name}: what privnet allowed on {service} is taken off its allowed principals, which disconnects nobody: whoever was let in there \
             stays{who}, and nothing tells of him any more; `privnet reject --connection ID --sever-connections` by a file that names {service} \
             cuts him"
        ))
    });
    left.collect()
}

/// Who is connected to an endpoint service, in words; nothing where nobody is, or that is not known.
fn connected_to(snapshot: &Snapshot<'_>, service: &str) -> String {
    let known = snapshot.exposure.connections.as_ref().ok().and_then(|all| all.get(service));
    let live = known.into_iter().flatten().filter(|connection| connection.state.may_be_live());
    let live: Vec<String> =
        live.map(|connection| format!("{} ({})", connection.id, connection.who())).collect();
    if live.is_empty() { String::new() } else { format!(" (now connected: {})", live.join(", ")) }
}

/// The sets that are there: one for each endpoint service that allows somebody.
pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let services = &snapshot.exposure.services;
    let mut live: Vec<Live> = services.iter().filter_map(|service| live_of(snapshot, service)).collect();
    let known: BTreeSet<&str> =
        services.iter().filter(|service| service.is_usable()).map(|service| service.id.as_str()).collect();
    let others = snapshot.exposure.principals.iter().filter(|(id, _)| !known.contains(id.as_str()));
    live.extend(others.flat_map(|(id, all)| left_on(snapshot, id, all.as_deref().unwrap_or_default())));
    live
}

/// The sets that are ours on a service of the user's that the file does not name any more.
fn left_on(snapshot: &Snapshot<'_>, service: &str, all: &[AllowedPrincipal]) -> Vec<Live> {
    let mut ours: BTreeMap<Address, Vec<&AllowedPrincipal>> = BTreeMap::new();
    for permission in all {
        let proof = ownership::proof_as_shown(&tags_of(permission.tags()), snapshot.wanted.deployment);
        let is_left = |proof: &ownership::Proof| {
            proof.address.kind == ALLOWED_PRINCIPALS && proof.address.name == SUPPLIED
        };
        if let Some(proof) = proof.filter(is_left) {
            ours.entry(proof.address).or_default().push(permission);
        }
    }
    ours.into_iter().map(|(address, set)| set_of(snapshot, address, service, &set)).collect()
}

fn live_of(snapshot: &Snapshot<'_>, service: &Claimed) -> Option<Live> {
    // Whom a service allows that is not ours is nobody's business but its owner's.
    if !service.is_usable() {
        return None;
    }
    let all = snapshot.exposure.principals.get(&service.id)?.as_ref().ok()?;
    let of_supplied = service.ownership == Ownership::Supplied;
    let address = address(&service.address.service, if of_supplied { SUPPLIED } else { OWN });
    let is_ours = |permission: &&AllowedPrincipal| {
        !of_supplied || is_tagged(permission, snapshot.wanted.deployment, &address)
    };
    let ours: Vec<_> = all.iter().filter(is_ours).collect();
    if ours.is_empty() {
        return None;
    }
    Some(set_of(snapshot, address, &service.id, &ours))
}

/// Whose tags are looked at: those whom the file wants, where one of them is there. Who is not wanted goes, with whatever tags.
fn whose_tags<'p>(
    ours: &[&'p AllowedPrincipal],
    wanted: Option<&BTreeSet<String>>,
) -> Vec<&'p AllowedPrincipal> {
    let is_wanted = |permission: &&&AllowedPrincipal| {
        wanted.zip(permission.principal()).is_some_and(|(wanted, principal)| wanted.contains(principal))
    };
    let stay: Vec<_> = ours.iter().filter(is_wanted).copied().collect();
    if stay.is_empty() { ours.to_vec() } else { stay }
}

fn set_of(snapshot: &Snapshot<'_>, address: Address, service: &str, ours: &[&AllowedPrincipal]) -> Live {
    let wanted = snapshot.wanted.allowed.get(address.service.as_str());
    let tags = AllowedPrincipals::of(service, &whose_tags(ours, wanted)).tags;
    let typed = AllowedPrincipals { tags, ..AllowedPrincipals::of(service, ours) };
    let mut fields = typed.to_fields();
    fields.insert("taggable".to_owned(), typed.tags.is_some().into());
    Live {
        address,
        generation: None,
        scope: snapshot.reach.scope.clone(),
        id: live_id(service),
        ownership: Ownership::Ours,
        fields,
        outputs: BTreeMap::new(),
        health: Health::Ready,
    }
}

/// The set has no id of its own.
fn live_id(service: &str) -> String {
    format!("{service}/principals")
}

#[cfg(test)]
mod tests;
