//! The service attachment: what consumers connect to (<https://cloud.google.com/vpc/docs/about-vpc-hosted-services>).
//!
//! It is always `ACCEPT_MANUAL`. With `acceptance: manual` its accept list starts empty and is written by decisions on
//! connections; an apply leaves no room in it but for who is let in already. With `automatic` it is the consumers of the file.

use std::collections::BTreeSet;

use privnet_core::accept::Connection;
use privnet_core::plan::{FieldChange, Wait};
use privnet_core::spec::Acceptance;
use privnet_core::spec::gcp::{GcpAcceptBy, GcpAttachment, GcpForm, GcpNatSubnet};
use privnet_core::{
    Address, Applied, Change, Error, ErrorKind, Field, Kind, Live, Origin, Replacement, Shape, Value,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::act::Act;
use crate::collection::{At, Collection};
use crate::connections;
use crate::entry::{self, Entry};
use crate::fields::{self, Fields};
use crate::handover;
use crate::json::{Json, flag, number, text, texts};
use crate::keeping::{self, MOST_REJECTED, Rejects};
use crate::kinds::{firewall, forwarding_rule, nat_subnet};
use crate::lists;
use crate::lower::Lowering;
use crate::path;
use crate::policy;
use crate::snapshot::Snapshot;

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
        Field::managed("target"),
        Field::managed("nat_subnets").on_change(Change::Grow).shaped(Shape::Set),
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

pub(crate) fn lower(lowering: &mut Lowering<'_>) {
    if matches!(lowering.gcp.form, GcpForm::ServiceAttachment { .. }) {
        let address = lowering.address(KIND.name, SUPPLIED);
        say_whether_addresses_run_out(lowering, &address, "add a NAT subnet to the attachment");
        lowering.want(address, Origin::Supplied, Fields::new(), BTreeSet::new());
        return;
    }
    let Some((settings, _)) = lowering.attachment() else { return };
    let rule = if lowering.made().is_some() { "main" } else { forwarding_rule::SUPPLIED };
    let rule = lowering.address(forwarding_rule::KIND.name, rule);
    let subnets = nat_subnet::addresses(lowering);
    let address = lowering.address(KIND.name, "main");
    say_whether_addresses_run_out(lowering, &address, "add a subnet to `nat_subnets`");
    let others = somebody_elses_subnets(lowering, &address);
    let settings = settings.clone();
    let there = lowering
        .world
        .at(&address)
        .and_then(|live| fields::typed::<Attachment>(KIND.name, &live.fields).ok());
    let (consumers, reconciled_consumers) = consumers(lowering, there.as_ref(), &settings);
    let listed = consumers.as_ref().or(reconciled_consumers.as_ref());
    let beside = there.map(|there| beside(lowering, &there, &settings, listed)).unwrap_or_default();
    let typed = Attachment {
        target: Value::output(&rule, "path"),
        nat_subnets: subnets.iter().map(|subnet| Value::output(subnet, "path")).chain(others).collect(),
        connection_preference: PREFERENCE.to_owned(),
        proxy_protocol: settings_of(lowering).is_some_and(|settings| settings.proxy_protocol),
        reconcile_connections: settings_of(lowering).is_some_and(|settings| settings.reconcile_connections),
        domain_names: settings_of(lowering)
            .map(|settings| settings.domain_names.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        propagated_connection_limit: settings_of(lowering)
            .and_then(|settings| settings.propagated_connection_limit.map(i64::from)),
        consumers,
        reconciled_consumers,
        connected: beside.connected,
        rejected: beside.rejected,
        global_access: None,
        addresses: None,
        addresses_taken: None,
    };
    // A range that is added lets nobody through until the clients' rule does.
    let clients = lowering.made().map(|_| lowering.address(firewall::KIND.name, firewall::CLIENTS));
    lowering.want(address, Origin::Owned, fields::of(&typed), clients.into_iter().collect());
}

/// Says in time that the NAT subnets have no address left for further connections, and what to do about it.
fn say_whether_addresses_run_out(lowering: &mut Lowering<'_>, address: &Address, what_to_do: &str) {
    let live = lowering.world.at(address).map(|live| fields::typed::<Attachment>(KIND.name, &live.fields));
    let Some(Attachment { addresses: Some(all), addresses_taken: Some(taken), .. }) =
        live.and_then(Result::ok)
    else {
        return;
    };
    if nearly_exhausted(taken, all) {
        lowering.lowered.waits.push(Wait {
            on: "you".to_owned(),
            why: format!(
                "the NAT subnets have {} of {all} addresses left, and each connection takes one: {what_to_do}",
                (all - taken).max(0)
            ),
            service: lowering.service.name.to_string(),
        });
    }
}

/// Whether a fifth or less is left.
fn nearly_exhausted(taken: i64, all: i64) -> bool {
    taken > 0 && taken * 10 >= all * 8
}

/// NAT subnets that are neither the file's nor ours. No subnet can be taken from an attachment, so they stay, and that is said; what
/// the file says of the rest is done.
fn somebody_elses_subnets(lowering: &mut Lowering<'_>, address: &Address) -> Vec<Value> {
    let live = lowering.world.at(address).and_then(|live| live.fields.get("nat_subnets")?.as_list());
    let (settings, ours) = (settings_of(lowering), nat_subnet::KIND.name);
    let named: BTreeSet<String> = settings
        .iter()
        .flat_map(|settings| &settings.nat_subnets)
        .filter_map(|subnet| match subnet {
            GcpNatSubnet::Existing(name) => Some(lowering.subnet(name.as_str())),
            GcpNatSubnet::Create { .. } => None,
        })
        .collect();
    let is_ours = |path: &str| {
        lowering.world.live.iter().any(|live| live.id == path && live.address.kind == ours && live.is_ours())
    };
    let paths = live.unwrap_or_default().iter().filter_map(Value::as_text);
    let found: Vec<String> =
        paths.filter(|path| !named.contains(*path) && !is_ours(path)).map(str::to_owned).collect();
    for path in &found {
        let name = path::name(path);
        let open = if lowering.made().is_some() {
            ", and the firewall rule for clients lets in whom Google gives an address of it"
        } else {
            ""
        };
        lowering.lowered.warnings.push(format!(
            "{}: the attachment has the NAT subnet `{name}` too, which is not in the file. No subnet can be taken from an attachment: \
             it stays{open}; write `{{ existing: {name} }}` into `nat_subnets` to say that it is meant",
            lowering.service.name
        ));
    }
    found.into_iter().map(Value::text).collect()
}

fn settings_of<'a>(lowering: &'a Lowering<'_>) -> Option<&'a GcpAttachment> {
    lowering.attachment().map(|(settings, _)| settings)
}

type Listed = Option<BTreeSet<String>>;

/// The accept list that the file decides, as one of the two fields. A manual one is nobody's but the decisions': who was decided on
/// stays in it, by entries of the file's type, and nobody else has room.
fn consumers(
    lowering: &mut Lowering<'_>,
    live: Option<&Attachment>,
    settings: &GcpAttachment,
) -> (Listed, Listed) {
    let by = settings.accept_by;
    if lowering.service.acceptance == Acceptance::Manual {
        return (live.and_then(|live| decided_on(live, by, lowering)), None);
    }
    if by == GcpAcceptBy::Endpoint {
        lowering.refuse("`accept_by: endpoint` cannot be automatic: an endpoint is known only once it has asked. Use `project` or `network`");
        return (None, None);
    }
    let policy::Automatic { entries, nameless, several } =
        policy::automatic(lowering.spec, lowering.service, by, lowering.world);
    let (name, word) = (lowering.service.name.clone(), entry::word(by));
    for consumer in nameless {
        lowering.refuse(format!("the consumer `{consumer}` has no {word} that could be let in"));
    }
    for (consumer, count, limit) in several {
        lowering.lowered.warnings.push(format!(
            "{name}: `{consumer}` has {count} {word}s, which GCP counts one by one: each of them may have {limit} connection(s)"
        ));
    }
    let wanted: BTreeSet<String> = entries.iter().map(Entry::spelled).collect();
    if settings.reconcile_connections { (None, Some(wanted)) } else { (Some(wanted), None) }
}

/// A manual list where it is not as it should be.
fn decided_on(live: &Attachment, by: GcpAcceptBy, lowering: &Lowering<'_>) -> Listed {
    let wanted = keeping::manual(&parsed(live.consumers.as_ref()), by, connections_of(lowering)?);
    let wanted: BTreeSet<String> = wanted.iter().map(Entry::spelled).collect();
    (live.consumers.as_ref() != Some(&wanted)).then_some(wanted)
}

/// What a change of the accept list, or of reconciling, has beside it.
#[derive(Default)]
struct Beside {
    /// Who stays, where somebody would be cut.
    connected: Listed,
    /// The reject list, where it must change so that whoever was turned away stays so.
    rejected: Listed,
}

/// What goes with this change of the list or of reconciling. It is said too whom the lists would forget. An attachment that is to stop
/// reconciling does so before its lists change: then they cut nobody, and let nobody in again.
fn beside(
    lowering: &mut Lowering<'_>,
    live: &Attachment,
    settings: &GcpAttachment,
    listed: Option<&BTreeSet<String>>,
) -> Beside {
    let edited = listed.filter(|listed| live.consumers.as_ref() != Some(*listed));
    let entries = parsed(edited.or(live.consumers.as_ref()));
    let before: Vec<String> = live.rejected.iter().flatten().cloned().collect();
    let Some(connections) = connections_of(lowering) else { return Beside::default() };
    let switched_on = settings.reconcile_connections && !live.reconcile_connections;
    let by = keeping::listed_by(&entries, &before, settings.accept_by);
    let Rejects { entries: kept, forgotten } =
        keeping::rejects_beside(&entries, by, &before, connections, switched_on);
    say_whom_the_lists_forget(lowering, settings.accept_by, &before, &kept);
    let rejected: BTreeSet<String> = kept.iter().cloned().collect();
    let rejected = (live.rejected.as_ref() != Some(&rejected)).then_some(rejected);
    if !settings.reconcile_connections || (edited.is_none() && !switched_on) {
        return Beside { connected: None, rejected };
    }
    let again = keeping::let_in_again(&entries, &kept, connections);
    let cut = keeping::cut(&entries, &kept, connections);
    refuse_who_was_turned_away(lowering, forgotten, again);
    let stay = live.connected.as_ref().filter(|_| !cut.is_empty());
    Beside { connected: stay.map(|there| there.difference(&cut).cloned().collect()), rejected }
}

/// Refuses what would have people wait again who were turned away, or let them in.
fn refuse_who_was_turned_away(
    lowering: &mut Lowering<'_>,
    forgotten: BTreeSet<String>,
    again: BTreeSet<String>,
) {
    let named = |ids: BTreeSet<String>| ids.into_iter().collect::<Vec<_>>().join(", ");
    let until = "Until the consumer has deleted those endpoints, it takes `reconcile_connections: false`, with which all else of the edit is done";
    if !forgotten.is_empty() {
        lowering.refuse(format!(
            "with `reconcile_connections` those who were turned away would wait again, and no entry of the reject list can keep them out \
             that stands for nobody else: {}. {until}",
            named(forgotten)
        ));
    }
    if !again.is_empty() {
        lowering.refuse(format!(
            "with `reconcile_connections` the new accept list would let in what was turned away: {}. {until}",
            named(again)
        ));
    }
}

/// Says what a change of the list's type makes of the reject list.
fn say_whom_the_lists_forget(
    lowering: &mut Lowering<'_>,
    by: GcpAcceptBy,
    rejected: &[String],
    kept: &[String],
) {
    let beside = |one: &[String], other: &[String]| {
        let alone: Vec<&str> = one.iter().filter(|text| !other.contains(text)).map(String::as_str).collect();
        alone.join(", ")
    };
    let (gone, new) = (beside(rejected, kept), beside(kept, rejected));
    if kept.len() > MOST_REJECTED {
        lowering.refuse(format!(
            "whoever was turned away is to stay so, which takes {} entries of the attachment's reject list: GCP allows {MOST_REJECTED}. Wait \
             until the consumers have deleted endpoints that were turned away, or take entries from the list",
            kept.len()
        ));
    }
    if gone.is_empty() {
        if !new.is_empty() {
            lowering.lowered.warnings.push(format!(
                "{}: since connections are decided on anew, whoever was turned away is kept out by new entries of the reject list: {new}; \
                 what else they name is turned away from now on, later requests too",
                lowering.service.name
            ));
        }
        return;
    }
    let new = if new.is_empty() {
        new
    } else {
        format!(", and puts those on it who are turned away by them: {new}")
    };
    let (name, word) = (&lowering.service.name, entry::word(by));
    lowering.lowered.warnings.push(format!(
        "{name}: an attachment's lists have entries of one type, so that `accept_by: {word}` clears {gone} from its reject list{new}: reject \
         again whoever asks and must not come in"
    ));
}

fn parsed(spelled: Option<&BTreeSet<String>>) -> Vec<Entry> {
    spelled.into_iter().flatten().filter_map(|entry| Entry::parse(entry)).collect()
}

/// The service's connections, where they are known.
fn connections_of<'a>(lowering: &Lowering<'a>) -> Option<&'a [Connection]> {
    Some(lowering.world.services.get(lowering.service.name.as_str())?.connections.known())
}

pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let mut live = super::live_of(
        snapshot,
        Collection::ServiceAttachments,
        &KIND,
        |json| fields::of(&seen(snapshot, json)),
        |_| Fields::new(),
    );
    for (service, gcp) in &snapshot.services {
        let GcpForm::ServiceAttachment { name, .. } = &gcp.form else { continue };
        if let Some(json) = snapshot.by_name(Collection::ServiceAttachments, name.as_str()) {
            let address = Address::new(service.name.as_str(), KIND.name, SUPPLIED);
            live.push(super::supplied(snapshot, address, json, fields::of(&seen(snapshot, json))));
        }
    }
    live
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

pub(crate) async fn create(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: Attachment = fields::typed(KIND.name, act.step.fields)?;
    let at = act.new_regional(Collection::ServiceAttachments);
    let mut body = changeable(&wanted);
    body["name"] = json!(at.name);
    body["description"] = json!(act.marker());
    if !wanted.domain_names.is_empty() {
        body["domainNames"] = json!(wanted.domain_names);
    }
    body["consumerAcceptLists"] = json!(decided(&wanted).unwrap_or_default());
    Ok(super::applied(&act.create(&at, &body).await?))
}

/// What can be changed in place.
fn changeable(wanted: &Attachment) -> Json {
    let subnets: Vec<&str> = wanted.nat_subnets.iter().map(fields::resolved).collect();
    let mut body = json!({ "targetService": fields::resolved(&wanted.target), "natSubnets": subnets,
        "connectionPreference": wanted.connection_preference, "enableProxyProtocol": wanted.proxy_protocol,
        "reconcileConnections": wanted.reconcile_connections });
    if let Some(limit) = wanted.propagated_connection_limit {
        body["propagatedConnectionLimit"] = json!(limit);
    }
    body
}

/// The accept list, where the file decides it.
fn decided(wanted: &Attachment) -> Option<Vec<Json>> {
    let spelled = wanted.consumers.as_ref().or(wanted.reconciled_consumers.as_ref())?;
    Some(spelled.iter().filter_map(|entry| Entry::parse(entry)).map(|entry| entry.json()).collect())
}

pub(crate) async fn update(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: Attachment = fields::typed(KIND.name, act.step.fields)?;
    let at = act.there(Collection::ServiceAttachments)?;
    let target = act.step.changes.iter().find(|change| change.field == "target");
    if let Some(old) = target.and_then(|change| change.from.as_text()) {
        handover::until_rule_is_healthy(act, old, fields::resolved(&wanted.target)).await?;
    }
    let changes_lists = ["consumers", "reconciled_consumers", "rejected"];
    if !wanted.reconcile_connections && changes_lists.iter().any(|field| act.step.changes_field(field)) {
        // Whether one change of both would still decide anew by the lists, Google does not say. What is refused then is so before.
        let off = act.merge(&at, |latest| {
            let Some(off) = lists::reconciling_no_more(&at, latest) else { return Ok(None) };
            let mut then = latest.clone();
            then[lists::RECONCILES] = json!(false);
            change(act, &at, &wanted, &then).map(|_| Some(off))
        });
        off.await?;
    }
    let found = act.merge(&at, |latest| change(act, &at, &wanted, latest)).await?;
    Ok(super::applied(&found))
}

/// What the plan makes of an attachment that is like this by now; nothing where it is as it should be.
///
/// # Errors
/// Where that would do anything to somebody which the plan did not say.
fn change(act: &Act<'_>, at: &At, wanted: &Attachment, latest: &Json) -> Result<Option<Json>, Error> {
    let field = ["consumers", "reconciled_consumers"].into_iter().find(|field| act.step.changes_field(field));
    let listed = match field {
        Some("consumers") => wanted.consumers.as_ref(),
        Some(_) => wanted.reconciled_consumers.as_ref(),
        None => None,
    };
    let rejects = act.step.changes.iter().find(|change| change.field == "rejected");
    let there = read(latest);
    let wanted = Attachment { nat_subnets: subnets_beside(act, &there, wanted), ..wanted.clone() };
    let list_differs = listed.is_some() && there.consumers.as_ref() != listed;
    let rejected = rejected(latest);
    let kept = rejects.map_or_else(|| rejected.clone(), |change| as_planned(&rejected, change));
    if !list_differs && kept == rejected && same(&there, &wanted) {
        return Ok(None);
    }
    let mut body = changeable(&wanted);
    body["name"] = json!(at.name);
    body["fingerprint"] = json!(text(latest, "fingerprint"));
    let entries = parsed(listed.filter(|_| list_differs).or(there.consumers.as_ref()));
    if list_differs {
        listed_as_planned(act, field, &there)?;
        body["consumerAcceptLists"] = entries.iter().map(Entry::json).collect();
    }
    if kept != rejected {
        of_one_type(act, &entries, &kept)?;
        body["consumerRejectLists"] = json!(kept);
    }
    let all = connections::bare(latest);
    let switched_on = wanted.reconcile_connections && !there.reconcile_connections;
    // Somebody's decision may have switched it on since the plan.
    let is_decided = list_differs || kept != rejected;
    if switched_on || (is_decided && there.reconcile_connections) {
        all_stay_away(act, &keeping::not_kept_out(&rejected, &kept, &all, switched_on))?;
        all_stay_away(act, &keeping::let_in_again(&entries, &kept, &all))?;
        cut_as_planned(act, &keeping::cut(&entries, &kept, &all))?;
    }
    Ok(Some(body))
}

/// The NAT subnets that are wanted, and what somebody has added since the plan was made: it stays, as what was added before does.
fn subnets_beside(act: &Act<'_>, there: &Attachment, wanted: &Attachment) -> Vec<Value> {
    let change = act.step.changes.iter().find(|change| change.field == "nat_subnets");
    let known = change.map(|change| &change.from).or_else(|| act.step.live?.fields.get("nat_subnets"));
    let is_new = |subnet: &&Value| {
        !wanted.nat_subnets.contains(subnet)
            && !known.and_then(Value::as_list).is_some_and(|known| known.contains(subnet))
    };
    wanted.nat_subnets.iter().chain(there.nat_subnets.iter().filter(is_new)).cloned().collect()
}

/// Fails where the accept list that is to be written is not the one that the plan read: somebody decided meanwhile.
fn listed_as_planned(act: &Act<'_>, field: Option<&str>, there: &Attachment) -> Result<(), Error> {
    let change = act.step.changes.iter().find(|change| field.is_some_and(|field| change.field == field));
    let from = change.and_then(|change| change.from.as_list()).unwrap_or_default();
    let read: BTreeSet<&str> = from.iter().filter_map(Value::as_text).collect();
    if there.consumers.iter().flatten().map(String::as_str).eq(read) {
        return Ok(());
    }
    let message = "somebody has changed the accept list since the plan was made";
    Err(act
        .error(ErrorKind::Conflict, message)
        .with_hint("run the command again: the new plan says what is to change now"))
}

/// The reject list with what the plan adds to it and takes from it. What somebody else did to it since then stays.
fn as_planned(there: &[String], change: &FieldChange) -> Vec<String> {
    let goes = |entry: &String| has(&change.from, entry) && !has(&change.to, entry);
    let planned = change.to.as_list().unwrap_or_default().iter().filter_map(Value::as_text);
    let new = planned.filter(|entry| !has(&change.from, entry) && !there.iter().any(|one| one == entry));
    there.iter().filter(|entry| !goes(entry)).cloned().chain(new.map(str::to_owned)).collect()
}

/// Fails where somebody put an entry on the reject list that is not of the type which the lists are to have.
fn of_one_type(act: &Act<'_>, accept: &[Entry], rejected: &[String]) -> Result<(), Error> {
    let by = keeping::listed_by(accept, rejected, GcpAcceptBy::Endpoint);
    let Some(other) = rejected.iter().find(|text| Entry::rejected(text).by() != by) else { return Ok(()) };
    let message = format!(
        "{other} is on the reject list since the plan was made: its entries are to be by {}",
        entry::word(by)
    );
    Err(act.error(ErrorKind::Conflict, message).with_hint("run the command again"))
}

/// Fails where somebody would be cut whom the plan did not name: who came since it was made.
fn cut_as_planned(act: &Act<'_>, cut: &BTreeSet<String>) -> Result<(), Error> {
    let change = act.step.changes.iter().find(|change| change.field == "connected");
    let named = |id: &String| change.is_some_and(|change| has(&change.from, id) && !has(&change.to, id));
    let unnamed: Vec<&str> = cut.iter().filter(|id| !named(id)).map(String::as_str).collect();
    since_the_plan(act, &unnamed)
}

/// Fails where somebody who was turned away would wait again, or come in: the plan would have kept them out, or been refused.
fn all_stay_away(act: &Act<'_>, back: &BTreeSet<String>) -> Result<(), Error> {
    if back.is_empty() {
        return Ok(());
    }
    let ids = back.iter().cloned().collect::<Vec<_>>().join(", ");
    let message = format!("this would have {ids} back, turned away since the plan was made");
    Err(act.error(ErrorKind::Conflict, message).with_hint("run the command again"))
}

/// Deletes it. GCP itself deletes one that has consumers, and somebody may have come in while the plan was read and confirmed: so it is
/// looked at again, and only those are cut whom the plan knew. All else of the service goes after it.
pub(crate) async fn delete(act: &Act<'_>) -> Result<Applied, Error> {
    let at = act.there(Collection::ServiceAttachments)?;
    let known = act.step.live.and_then(|live| live.fields.get("connected"));
    let seen = act.merge(&at, |latest| {
        let live = read(latest).connected.unwrap_or_default();
        let unnamed = live.iter().filter(|id| !known.is_some_and(|known| has(known, id)));
        since_the_plan(act, &unnamed.map(String::as_str).collect::<Vec<_>>()).map(|()| None)
    });
    match seen.await {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => act.delete(&at).await,
    }
}

fn has(list: &Value, id: &str) -> bool {
    list.as_list().is_some_and(|members| members.iter().any(|member| member.as_text() == Some(id)))
}

fn since_the_plan(act: &Act<'_>, unnamed: &[&str]) -> Result<(), Error> {
    if unnamed.is_empty() {
        return Ok(());
    }
    let message = format!("this would cut {}, let in since the plan was made", unnamed.join(", "));
    let hint = "run the command again: the new plan names whom it would cut, and cuts nobody without --sever-connections";
    Err(act.error(ErrorKind::Conflict, message).with_hint(hint))
}

/// Whether what can be changed in place, but for the accept list, is as it should be.
fn same(there: &Attachment, wanted: &Attachment) -> bool {
    let subnets = |of: &Attachment| of.nat_subnets.iter().cloned().collect::<BTreeSet<_>>();
    there.target == wanted.target
        && subnets(there) == subnets(wanted)
        && there.connection_preference == wanted.connection_preference
        && there.proxy_protocol == wanted.proxy_protocol
        && there.reconcile_connections == wanted.reconcile_connections
        && (wanted.propagated_connection_limit.is_none()
            || there.propagated_connection_limit == wanted.propagated_connection_limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_run_out_are_told_in_time() {
        assert!(!nearly_exhausted(1, 252) && !nearly_exhausted(201, 252) && nearly_exhausted(202, 252));
        assert!(nearly_exhausted(1, 1) && nearly_exhausted(4, 5) && !nearly_exhausted(0, 0));
    }

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
