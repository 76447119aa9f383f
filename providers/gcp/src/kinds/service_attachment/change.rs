//! How an attachment is made, changed and deleted: nobody is let in or cut whom the plan did not name.

use std::collections::BTreeSet;

use privnet_core::plan::FieldChange;
use privnet_core::spec::gcp::GcpAcceptBy;
use privnet_core::{Applied, Error, ErrorKind, Value};
use serde_json::json;

use super::{Attachment, KIND, parsed, read, rejected, takes_everybody};
use crate::act::Act;
use crate::collection::{At, Collection};
use crate::connections;
use crate::entry::{self, Entry};
use crate::fields;
use crate::handover;
use crate::json::{Json, text};
use crate::keeping;
use crate::kinds;
use crate::lists;

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
    Ok(kinds::applied(&act.create(&at, &body).await?))
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
    let changes_lists = ["consumers", "reconciled_consumers", "rejected", "connection_preference"];
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
    Ok(kinds::applied(&found))
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
    // The lists count again where somebody let everybody in.
    let restored = takes_everybody(&there);
    // Somebody's decision may have switched it on since the plan.
    let is_decided = list_differs || kept != rejected || restored;
    if switched_on || (is_decided && there.reconcile_connections) {
        all_stay_away(act, &keeping::not_kept_out(&rejected, &kept, &all, switched_on || restored))?;
        all_stay_away(act, &keeping::let_in_again(&entries, &kept, &all))?;
        cut_as_planned(act, &keeping::cut(&entries, &kept, &all))?;
    }
    if restored {
        restored_as_planned(act)?;
    }
    Ok(Some(body))
}

/// Fails where somebody had the attachment let in whoever asks since the plan was made. Its lists went with that: a plan that knows of it
/// puts whoever may stay on them, and another would leave all of them without an entry, to be cut by the next decision that reconciles.
fn restored_as_planned(act: &Act<'_>) -> Result<(), Error> {
    if act.step.changes_field("connection_preference") {
        return Ok(());
    }
    let message = "somebody has had the attachment let in whoever asks (`ACCEPT_AUTOMATIC`) since the plan was made, and its lists went with that";
    let hint = "run the command again: the new plan sets it back, and puts whoever came in and may stay on its accept list";
    Err(act.error(ErrorKind::Conflict, message).with_hint(hint))
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
