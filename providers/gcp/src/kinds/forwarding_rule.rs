//! The internal forwarding rule: address and ports of the load balancer
//! (<https://cloud.google.com/load-balancing/docs/forwarding-rule-concepts>). Only global access, labels and description can be
//! changed in place.

mod served;

use std::collections::BTreeSet;
use std::time::Duration;

use privnet_core::execute::{Poll, Until};
use privnet_core::plan::{Refusal, Rule, SEVER};
use privnet_core::spec::gcp::{GcpAddress, GcpForm, GcpMade};
use privnet_core::{
    Address, Applied, Change, Error, ErrorKind, Field, Generation, Kind, Live, Origin, Replacement, Shape,
    Value,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::act::Act;
use crate::cloud::Write;
use crate::collection::{At, Collection};
use crate::fields::{self, Fields};
use crate::handover;
use crate::json::{Json, flag, text, texts};
use crate::kinds::{backend_service, firewall, service_attachment};
use crate::lower::Lowering;
use crate::ownership::{self, Labels};
use crate::path;
use crate::snapshot::Snapshot;

/// The name in addresses of a forwarding rule of the user's.
pub(crate) const SUPPLIED: &str = "supplied";
/// Stands among the ports for every port: from some to all nobody loses one, from all to some somebody may.
const ALL: &str = "ALL";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ForwardingRule {
    pub(crate) backend_service: Value,
    pub(crate) network: String,
    pub(crate) subnet: String,
    /// With `ALL` among them: every port.
    #[serde(default)]
    pub(crate) ports: BTreeSet<String>,
    #[serde(default)]
    pub(crate) ip_address: Option<String>,
    pub(crate) global_access: bool,
    #[serde(default)]
    pub(crate) labels: Labels,
}

pub(crate) const KIND: Kind = Kind {
    name: "forwarding-rule",
    title: "forwarding rule",
    fields: &[
        Field::managed("backend_service").on_change(Change::Replace),
        Field::managed("network").on_change(Change::Refuse).bounding_the_service(),
        Field::managed("subnet").on_change(Change::Refuse),
        Field::managed("ports")
            .on_change(Change::ReplaceUnlessConnected)
            .shaped(Shape::Set)
            .bounding_the_service(),
        Field::if_set("ip_address").on_change(Change::Refuse),
        Field::managed("global_access").on_change(Change::GrowUnlessConnected),
        Field::managed("labels"),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 20,
    severs: true,
    serialized_by: &[],
    telling: &["ip_address"],
};

pub(crate) fn lower(lowering: &mut Lowering<'_>) {
    if matches!(lowering.gcp.form, GcpForm::OnForwardingRule(_)) {
        let address = lowering.address(KIND.name, SUPPLIED);
        check_hand_over(lowering);
        check_supplied_access(lowering, &address);
        lowering.want(address, Origin::Supplied, Fields::new(), BTreeSet::new());
        return;
    }
    let Some(made) = lowering.made() else { return };
    let backend = lowering.address(backend_service::KIND.name, "main");
    let address = lowering.address(KIND.name, "main");
    let ports = ports(lowering, made, &address);
    let typed = ForwardingRule {
        backend_service: Value::output(&backend, "path"),
        network: lowering.network(made.network.as_str()),
        subnet: lowering.subnet(made.subnet.as_str()),
        ports,
        ip_address: match made.ip_address {
            GcpAddress::Auto => None,
            GcpAddress::Ip(ip) => Some(ip.to_string()),
        },
        global_access: made.global_access,
        labels: lowering.spec.tags.clone(),
    };
    check_hand_over(lowering);
    check_fixed_address(lowering, made, &address, &typed);
    check_global_access(lowering, made, &typed);
    served::check(lowering, made);
    // Nobody is sent through it, and nothing of before goes, while those rules do not let them through.
    let rules =
        [firewall::CLIENTS, firewall::PROBERS].map(|name| lowering.address(firewall::KIND.name, name));
    lowering.want(address, Origin::Owned, fields::of(&typed), BTreeSet::from(rules));
}

/// The ports of the rule. One for all of them keeps those of the rule that it takes the place of.
fn ports(lowering: &Lowering<'_>, made: &GcpMade, address: &Address) -> BTreeSet<String> {
    if !made.all_ports {
        return firewall::listens(&made.backend).map(|port| port.to_string()).collect();
    }
    let all = BTreeSet::from([ALL.to_owned()]);
    let rules = lowering.world.live.ours_at(address);
    let mut there =
        rules.filter_map(|live| Some(fields::typed::<ForwardingRule>(KIND.name, &live.fields).ok()?.ports));
    match there.next() {
        Some(ports) if ports != all && there.all(|other| other != all) => &ports | &all,
        _ => all,
    }
}

/// Two rules cannot have one address: with a fixed one there is no second rule to go over to.
fn check_fixed_address(
    lowering: &mut Lowering<'_>,
    made: &GcpMade,
    address: &Address,
    wanted: &ForwardingRule,
) {
    let Some(live) = lowering.world.at(address) else { return };
    let Ok(there) = fields::typed::<ForwardingRule>(KIND.name, &live.fields) else { return };
    if wanted.ip_address.is_none() || wanted.ip_address != there.ip_address {
        return;
    }
    if let Some(what) = made_anew(lowering, made, &there, wanted) {
        lowering.refuse(format!(
            "{what} of a forwarding rule with a fixed `ip_address` cannot be changed without a gap: take `ip_address` out of the file as \
             well, or destroy the service first"
        ));
    }
}

/// What of an edit takes another rule than the one that is there.
fn made_anew(
    lowering: &Lowering<'_>,
    made: &GcpMade,
    there: &ForwardingRule,
    wanted: &ForwardingRule,
) -> Option<&'static str> {
    if there.ports != wanted.ports {
        Some("the ports")
    } else if backend_service::turns(lowering, &there.backend_service, &made.backend) {
        Some("the sort of machines (instances, an instance group, forwarders) behind the address")
    } else if there.subnet != wanted.subnet {
        Some("the subnet")
    } else if wanted.ip_address.is_some() && there.ip_address != wanted.ip_address {
        Some("the address")
    } else {
        None
    }
}

/// An attachment turns only to a rule with the same global access as the one that it has
/// (<https://cloud.google.com/vpc/docs/manage-private-service-connect-services>).
fn check_global_access(lowering: &mut Lowering<'_>, made: &GcpMade, wanted: &ForwardingRule) {
    if attached_access(lowering).is_none_or(|there| there == wanted.global_access) {
        return;
    }
    let Some(there) = attached(lowering) else {
        let other = !wanted.global_access;
        lowering.refuse(format!(
            "a service attachment turns only to a forwarding rule with the same global access as the one that it has, which is not \
             privnet's: write `global_access: {other}` into the file"
        ));
        return;
    };
    if let Some(what) = made_anew(lowering, made, &there, wanted) {
        lowering.refuse(format!(
            "{what} and `global_access` cannot be changed at once: a service attachment turns only to a forwarding rule with the same global access. Change `global_access` alone first, apply, then the rest"
        ));
    }
}

/// The same where the file turns from a rule of ours to one of the user's, at this address.
fn check_supplied_access(lowering: &mut Lowering<'_>, address: &Address) {
    let supplied = lowering.world.at(address);
    let supplied = supplied.and_then(|live| fields::typed::<ForwardingRule>(KIND.name, &live.fields).ok());
    let (Some(there), Some(supplied)) = (attached_access(lowering), supplied) else { return };
    if there == supplied.global_access {
        return;
    }
    let (has, other) = if supplied.global_access { ("has", "has not") } else { ("has no", "has") };
    let what_to_do = match attached(lowering) {
        Some(_) => format!(
            "Take the earlier file with `global_access: {}`, apply it, then this one",
            supplied.global_access
        ),
        None => {
            "Neither of them is privnet's: change the global access of one, or name another one".to_owned()
        }
    };
    lowering.refuse(format!(
        "the forwarding rule of the file {has} global access and the one of the service attachment {other}: an attachment turns only to a \
         forwarding rule with the same. {what_to_do}"
    ));
}

/// The file names another forwarding rule that is there, or one in place of what privnet makes, or the other way: the attachment keeps its name, but
/// whoever uses it would come out elsewhere.
fn check_hand_over(lowering: &mut Lowering<'_>) {
    let attachment = lowering.address(service_attachment::KIND.name, "main");
    let Some(live) = lowering.world.at(&attachment).filter(|live| live.is_ours()) else { return };
    let Some(there) = live.fields.get("target").and_then(Value::as_text) else { return };
    let supplied = lowering.world.at(&lowering.address(KIND.name, SUPPLIED)).map(|live| live.id.as_str());
    let what = match &lowering.gcp.form {
        GcpForm::OnForwardingRule(on) if supplied.is_some_and(|named| !path::same(named, there)) => {
            format!("the forwarding rule `{}`", on.forwarding_rule)
        }
        GcpForm::Made(_) if !is_own(lowering, there) && !was_turned_away(lowering) => {
            "a load balancer of privnet's".to_owned()
        }
        _ => return,
    };
    let why = format!(
        "the file puts {what} in the place of {there}: what the vendor was given would lead elsewhere, and who uses it may be cut"
    );
    let flag = Some(SEVER.to_owned());
    lowering.lowered.refusals.push(Refusal { address: attachment, rule: Rule::HandOver, why, flag });
}

/// Whether a forwarding rule of this path is the service's own, by its name: a list may be late to show it.
fn is_own(lowering: &Lowering<'_>, path: &str) -> bool {
    let (deployment, address) = (lowering.spec.deployment.as_str(), lowering.address(KIND.name, "main"));
    let named = |letter| ownership::cloud_name(deployment, &address, letter) == path::name(path);
    [Generation::A, Generation::B].into_iter().any(named)
}

/// Whether a rule of the service's own stands beside and nobody is connected: somebody turned the attachment away from it, and it is turned back.
fn was_turned_away(lowering: &Lowering<'_>) -> bool {
    let address = lowering.address(KIND.name, "main");
    let is_there = lowering.world.live.ours_at(&address).next().is_some();
    let seen = lowering.world.services.get(lowering.service.name.as_str());
    is_there && !seen.is_some_and(|seen| seen.connections.may_be_live())
}

/// Whether the rule that the service's attachment has, whoever's that is, has global access.
fn attached_access(lowering: &Lowering<'_>) -> Option<bool> {
    let attachment = lowering.address(service_attachment::KIND.name, "main");
    lowering.world.at(&attachment)?.fields.get("global_access")?.as_bool()
}

/// The rule of ours that the service's attachment has.
fn attached(lowering: &Lowering<'_>) -> Option<ForwardingRule> {
    let attachment = lowering.address(service_attachment::KIND.name, "main");
    let target = lowering.world.at(&attachment)?.fields.get("target")?.as_text()?;
    let own = lowering.world.live.of(lowering.service.name.as_str());
    let rule = own.iter().find(|live| live.is_ours() && live.id == target)?;
    fields::typed(KIND.name, &rule.fields).ok()
}

pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let ip = |json: &Json| fields::outputs([("ip_address", text(json, "IPAddress").unwrap_or_default())]);
    let mut live =
        super::live_of(snapshot, Collection::ForwardingRules, &KIND, |json| fields::of(&read(json)), ip);
    for (service, gcp) in &snapshot.services {
        let GcpForm::OnForwardingRule(on) = &gcp.form else { continue };
        // Of what this deployment made, a tombstone names what goes: that is seen as what it is.
        let is_own = |json: &&Json| service.remove && snapshot.maker(KIND.name, json).is_some();
        let there = snapshot.by_name(Collection::ForwardingRules, on.forwarding_rule.as_str());
        if let Some(json) = there.filter(|json| !is_own(json)) {
            let address = Address::new(service.name.as_str(), KIND.name, SUPPLIED);
            live.push(super::supplied(snapshot, address, json, fields::of(&read(json))));
        }
    }
    live
}

fn read(json: &Json) -> ForwardingRule {
    let link = |key| text(json, key).map(path::of).unwrap_or_default();
    ForwardingRule {
        backend_service: text(json, "backendService").map_or(Value::Null, |url| Value::text(path::of(url))),
        network: link("network"),
        subnet: link("subnetwork"),
        ports: if flag(json, "allPorts") {
            BTreeSet::from([ALL.to_owned()])
        } else {
            texts(json, "ports").into_iter().collect()
        },
        ip_address: text(json, "IPAddress").map(str::to_owned),
        global_access: flag(json, "allowGlobalAccess"),
        labels: ownership::managed_labels(json),
    }
}

pub(crate) async fn create(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: ForwardingRule = fields::typed(KIND.name, act.step.fields)?;
    let at = act.new_regional(Collection::ForwardingRules);
    let (deployment, address, generation) = (act.step.deployment, act.address(), act.generation());
    let mut body = json!({ "name": at.name, "loadBalancingScheme": "INTERNAL", "IPProtocol": "TCP",
        "description": ownership::marker_with_keys(deployment, address, generation, &wanted.labels),
        "labels": ownership::all_labels(&Json::Null, deployment, address, generation, &wanted.labels),
        "backendService": fields::resolved(&wanted.backend_service), "network": wanted.network,
        "subnetwork": wanted.subnet, "allowGlobalAccess": wanted.global_access });
    if wanted.ports.contains(ALL) {
        body["allPorts"] = json!(true);
    } else {
        body["ports"] = json!(wanted.ports);
    }
    if let Some(ip) = &wanted.ip_address {
        body["IPAddress"] = json!(ip);
    }
    // Where another generation is there, consumers go through that one until the attachment turns to this one.
    Ok(yields(&act.create(&at, &body).await?))
}

fn yields(json: &Json) -> Applied {
    let mut applied = super::applied(json);
    applied.outputs.extend(fields::outputs([("ip_address", text(json, "IPAddress").unwrap_or_default())]));
    applied
}

/// Deletes it. Where another generation has taken its place, established sessions still go through this one.
pub(crate) async fn delete(act: &Act<'_>) -> Result<Applied, Error> {
    let at = act.there(Collection::ForwardingRules)?;
    let successor = At { name: act.other_name(), ..at.clone() };
    if act.cloud.get(&successor).await?.is_some() {
        handover::let_sessions_end(act, &at.name).await?;
    }
    act.delete(&at).await
}

pub(crate) async fn update(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: ForwardingRule = fields::typed(KIND.name, act.step.fields)?;
    let at = act.there(Collection::ForwardingRules)?;
    // Labels before the list of their keys: what is cut short then shows as a difference still.
    set_labels(act, &at, &wanted.labels).await?;
    let keys =
        ownership::marker_with_keys(act.step.deployment, act.address(), act.generation(), &wanted.labels);
    let found = act
        .merge(&at, |latest| {
            let same = flag(latest, "allowGlobalAccess") == wanted.global_access
                && text(latest, "description") == Some(keys.as_str());
            Ok((!same).then(|| {
                json!({ "description": keys, "allowGlobalAccess": wanted.global_access,
                    "fingerprint": text(latest, "fingerprint") })
            }))
        })
        .await?;
    Ok(yields(&found))
}

async fn set_labels(act: &Act<'_>, at: &At, user: &Labels) -> Result<(), Error> {
    let until = Until {
        operation: "forwardingRules.setLabels",
        subject: &at.name,
        what: "labelled",
        limit: Duration::from_secs(120),
    };
    act.cloud
        .context
        .until(until, || async {
            let latest = act.read(at).await?;
            let all =
                ownership::all_labels(&latest, act.step.deployment, act.address(), act.generation(), user);
            if ownership::labels(&latest) == all {
                return Ok(Poll::Ready(()));
            }
            let body = json!({ "labels": all, "labelFingerprint": text(&latest, "labelFingerprint") });
            match act.cloud.write(at, Write::SetLabels(&body)).await {
                Ok(()) => Ok(Poll::Pending("not shown yet".to_owned())),
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    Ok(Poll::Pending("changed meanwhile".to_owned()))
                }
                Err(error) => Err(error),
            }
        })
        .await
}
