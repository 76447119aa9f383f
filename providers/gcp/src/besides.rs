//! What a decision does to an attachment's lists besides, in words: for its plan, its report and the audit log; and whether it would
//! do anything else by the time that it is carried out. Pure.

use std::collections::BTreeSet;

use privnet_core::accept::{Aside, Besides, Company, ConnectionState, Takes};
use privnet_core::plan::ConnectionAction;
use privnet_core::spec::gcp::GcpAcceptBy;

use crate::collection::{At, Collection};
use crate::connections::{self, Along};
use crate::entry::{self, Entry};
use crate::json::{Json, flag, text, texts};
use crate::keeping::MOST_REJECTED;
use crate::lists::{self, RECONCILES, Refused};
use crate::path;

/// What decisions on this endpoint would do, as the attachment is now, and what refuses them; whatever else keeps one from being carried
/// out is said when it is. `is_ours`: whether privnet made the attachment.
pub(crate) fn of(attachment: &Json, endpoint: &Json, by: GcpAcceptBy, is_ours: bool) -> Besides {
    let at = At::of(Collection::ServiceAttachments, text(attachment, "selfLink").unwrap_or_default());
    let state = connections::state(endpoint);
    let yours = (!is_ours).then_some(attachment);
    // What cannot be decided now changes nothing: if it can later, that was not said.
    let (mut accepting, mut rejecting) = (nothing(), nothing());
    if matches!(state, ConnectionState::Pending | ConnectionState::Rejected) {
        let action = action(attachment, endpoint, state, by);
        accepting = aside(lists::let_in(&at, attachment, &action, by), yours, |change| {
            let mut said = of_accepting(attachment, endpoint, change, by);
            said.extend(outlasting(attachment, endpoint, by).filter(|_| !is_ours));
            (said, entries(attachment, endpoint, change))
        });
    }
    if state == ConnectionState::Pending || state.may_be_live() {
        let change = lists::turned_away(&at, attachment, endpoint, by, state.may_be_live());
        rejecting = aside(change, yours, |change| {
            let said = of_rejecting(attachment, endpoint, change, by);
            (said, entries(attachment, endpoint, change))
        });
        let along = Along::of(attachment, endpoint, by);
        if let Some((message, hint)) = along.lets_in(&connections::psc_id(endpoint)) {
            rejecting = Aside { refused: Some(format!("{message}: {hint}")), ..nothing() };
        }
        if rejecting.refused.is_none() {
            rejecting.turned_away = along.waiting;
            rejecting.bereft = along.bereft;
        }
        if state == ConnectionState::Pending {
            rejecting.takes = takes(&at, attachment, endpoint, by);
        }
    }
    Besides { accepting, rejecting }
}

/// The entry of the reject list that it takes to turn away this endpoint, where there is none for it yet.
fn takes(at: &At, attachment: &Json, endpoint: &Json, by: GcpAcceptBy) -> Option<Takes> {
    let rejected = texts(attachment, "consumerRejectLists");
    let entry = connections::rejecting(attachment, endpoint, by)?;
    if rejected.iter().any(|url| path::same(url, entry.subject())) {
        return None;
    }
    let hint = Refused::Full.hint(None).unwrap_or_default();
    Some(Takes {
        list: format!("{}/{}/{}", at.project, at.place, at.name),
        entries: BTreeSet::from([entry.subject().to_owned()]),
        room: MOST_REJECTED.saturating_sub(rejected.len()),
        full: format!(
            "the reject list has no room for it beside those that are turned away with it: GCP allows {MOST_REJECTED} entries: {hint}"
        ),
    })
}

/// Who would be let in together with this endpoint, as the attachment is now: a plan refuses that unless they are all let in by it.
pub(crate) fn company(attachment: &Json, endpoint: &Json, by: GcpAcceptBy, is_ours: bool) -> Company {
    let state = connections::state(endpoint);
    if !matches!(state, ConnectionState::Pending | ConnectionState::Rejected) {
        return Company::default();
    }
    let others = lists::company(attachment, endpoint, by);
    let alone = (!is_ours).then(|| lists::by_endpoint_alone(attachment)).flatten();
    let alone = alone.unwrap_or_else(|| {
        "set `accept_by: endpoint` and apply, and it names this endpoint alone".to_owned()
    });
    let instead = format!("the accept list would name its whole {}; {alone}", entry::word(by));
    if others.is_empty() { Company::default() } else { Company { others, instead } }
}

fn nothing() -> Aside {
    Aside { entries: Some(BTreeSet::new()), ..Aside::default() }
}

/// What a decision by this change does besides. What is known before refuses it; what else keeps it from being carried out may be another
/// decision's, made before it.
fn aside(
    change: Result<Option<Json>, Refused>,
    yours: Option<&Json>,
    of: impl Fn(&Json) -> (Vec<String>, BTreeSet<String>),
) -> Aside {
    match change {
        Ok(Some(change)) => {
            let (said, entries) = of(&change);
            Aside { said, entries: Some(entries), ..Aside::default() }
        }
        Err(why) if why.is_known_before() => {
            let said = why.hint(yours).map_or_else(|| why.to_string(), |hint| format!("{why}: {hint}"));
            Aside { refused: Some(said), ..nothing() }
        }
        _ => nothing(),
    }
}

/// What this change does to entries of the reject list that was not said when the decision was made: somebody has changed the lists
/// since then. What was said and is done already, by whoever else, is no matter.
pub(crate) fn unsaid(
    attachment: &Json,
    endpoint: &Json,
    change: &Json,
    connection: &ConnectionAction,
) -> BTreeSet<String> {
    let Some(said) = &connection.entries else { return BTreeSet::new() };
    entries(attachment, endpoint, change).difference(said).cloned().collect()
}

/// The entries that go from the reject list and come to it, but for the endpoint's own, which the decision is about.
fn entries(attachment: &Json, endpoint: &Json, change: &Json) -> BTreeSet<String> {
    let (gone, new) = rejects_changed(attachment, change);
    let others = |changed: Vec<Entry>| changed.into_iter().filter(|entry| !is_own(entry, endpoint));
    let off = others(gone).map(|entry| format!("{} off the reject list", entry.subject()));
    let on = others(new).map(|entry| format!("{} on the reject list", entry.subject()));
    off.chain(on).collect()
}

/// Whether an entry is this endpoint's own, and nobody else's.
fn is_own(entry: &Entry, endpoint: &Json) -> bool {
    entry.by() == GcpAcceptBy::Endpoint && connections::stands_for(entry, endpoint)
}

/// Letting an endpoint in, together with whoever comes along.
fn action(attachment: &Json, endpoint: &Json, state: ConnectionState, by: GcpAcceptBy) -> ConnectionAction {
    ConnectionAction {
        id: connections::psc_id(endpoint),
        handle: connections::handle(endpoint),
        consumer: None,
        who: String::new(),
        preset: None,
        state,
        sever: false,
        along: lists::company(attachment, endpoint, by).into_iter().collect(),
        besides: Vec::new(),
        entries: None,
        cut: Vec::new(),
        turned_away: Vec::new(),
    }
}

fn of_accepting(attachment: &Json, endpoint: &Json, change: &Json, by: GcpAcceptBy) -> Vec<String> {
    let (gone, new) = rejects_changed(attachment, change);
    let (word, mut said) = (entry::word(by), Vec::new());
    let gone: Vec<Entry> = gone.into_iter().filter(|entry| !is_own(entry, endpoint)).collect();
    if !gone.is_empty() {
        let why = match gone.iter().any(|entry| entry.by() != by) {
            true => format!(": its entries must be of the accept list's type, by {word}"),
            false => String::new(),
        };
        said.push(format!(
            "it takes {} off the attachment's reject list{why}. Whoever asks from there later waits for a decision, and is not turned away at once",
            named(&gone)
        ));
    }
    said.extend(kept_out(&new));
    said
}

/// That the entry of an acceptance stays when the endpoint is gone: of an attachment of the user's nothing takes it away.
fn outlasting(attachment: &Json, endpoint: &Json, by: GcpAcceptBy) -> Option<String> {
    let entry = connections::entry_for(endpoint, by).filter(|entry| entry.by() != GcpAcceptBy::Endpoint)?;
    let path = path::of(text(attachment, "selfLink").unwrap_or_default());
    Some(format!(
        "the accept list, which is yours, keeps the entry for {} when this endpoint is gone: whoever asks next from there is let in then with \
         nobody deciding, until you take it out, {}. With `accept_by: endpoint` the entry is this endpoint's alone",
        entry.subject(),
        lists::taken_out(&path, &["accept"], flag(attachment, RECONCILES))
    ))
}

fn of_rejecting(attachment: &Json, endpoint: &Json, change: &Json, by: GcpAcceptBy) -> Vec<String> {
    let (_, new) = rejects_changed(attachment, change);
    let (own, others): (Vec<Entry>, Vec<Entry>) =
        new.into_iter().partition(|entry| connections::stands_for(entry, endpoint));
    let mut said = Vec::new();
    if let Some(entry) = own.first().filter(|entry| entry.by() != GcpAcceptBy::Endpoint) {
        let waiting = Along::of(attachment, endpoint, by).waiting.into_iter().collect::<Vec<_>>().join(", ");
        let turns = match waiting.is_empty() {
            true => "turns away whoever asks from there later".to_owned(),
            false => format!("turns {waiting} away as well, and whoever asks from there later"),
        };
        said.push(format!(
            "to reject it puts its {} on the reject list, which {turns}",
            entry::word(entry.by())
        ));
    }
    if flag(change, RECONCILES) && !flag(attachment, RECONCILES) {
        said.extend(kept_out(&others));
    }
    said
}

/// Entries by which others stay turned away.
fn kept_out(new: &[Entry]) -> Option<String> {
    let wide = new.iter().any(|entry| entry.by() != GcpAcceptBy::Endpoint);
    let later = if wide { ", which turns away whoever asks from there later, too" } else { "" };
    let entries = named(new);
    (!new.is_empty()).then(|| {
        format!("so that whoever was turned away stays so, it puts {entries} on the attachment's reject list{later}")
    })
}

fn named(entries: &[Entry]) -> String {
    entries.iter().map(Entry::subject).collect::<Vec<_>>().join(", ")
}

/// The entries that go from the reject list, and those that come.
fn rejects_changed(attachment: &Json, change: &Json) -> (Vec<Entry>, Vec<Entry>) {
    let before = texts(attachment, "consumerRejectLists");
    if change.get("consumerRejectLists").is_none() {
        return (Vec::new(), Vec::new());
    }
    let after = texts(change, "consumerRejectLists");
    let beside = |one: &[String], other: &[String]| {
        let other: BTreeSet<String> = other.iter().map(|text| path::of(text)).collect();
        one.iter().filter(|text| !other.contains(&path::of(text))).map(|text| Entry::rejected(text)).collect()
    };
    (beside(&before, &after), beside(&after, &before))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PATH: &str = "projects/p-2/regions/r/forwardingRules/72";

    fn endpoint(nth: u32, status: &str) -> Json {
        json!({ "endpoint": format!("https://x/projects/p-{nth}/regions/r/forwardingRules/7{nth}"),
            "pscConnectionId": format!("900{nth}"), "status": status })
    }

    /// Nobody but these is connected; the lists are these.
    fn said(endpoints: &[Json], accept: &[&str], reject: &[&str], by: GcpAcceptBy) -> Besides {
        let accept: Vec<Json> =
            accept.iter().map(|one| json!({ "projectIdOrNum": one, "connectionLimit": 1 })).collect();
        let attachment = json!({ "selfLink": "https://x/projects/p/regions/r/serviceAttachments/a", "fingerprint": "f",
            "connectedEndpoints": endpoints, "consumerAcceptLists": accept, "consumerRejectLists": reject });
        of(&attachment, &endpoints[0], by, true)
    }

    #[test]
    fn an_entry_that_outlasts_its_endpoint_is_said_of_an_attachment_of_the_users() {
        let waits = endpoint(1, "PENDING");
        let attachment = json!({ "selfLink": "https://x/projects/p/regions/r/serviceAttachments/a", "fingerprint": "f",
            "connectedEndpoints": [waits] });
        let said = |by, is_ours| of(&attachment, &waits, by, is_ours).accepting.said.join("\n");
        let by_project = said(GcpAcceptBy::Project, false);
        for words in
            ["keeps the entry for p-1 when", "update a --project p --region r", "`accept_by: endpoint`"]
        {
            assert!(by_project.contains(words), "{by_project}");
        }
        for (by, is_ours) in [(GcpAcceptBy::Project, true), (GcpAcceptBy::Endpoint, false)] {
            assert_eq!(said(by, is_ours), "", "{by:?}");
        }
    }

    #[test]
    fn what_an_acceptance_takes_off_the_reject_list_and_puts_on_it_is_said() {
        let (waits, away) = (endpoint(1, "PENDING"), endpoint(2, "REJECTED"));
        let both = [waits.clone(), away];
        // Nobody is behind these.
        let dropped = said(std::slice::from_ref(&waits), &[], &["p-8", "p-9"], GcpAcceptBy::Endpoint)
            .accepting
            .said
            .join("\n");
        assert!(dropped.contains("takes p-8, p-9 off") && dropped.contains("type, by endpoint"), "{dropped}");
        // Somebody is behind this one, and stays out with the whole project.
        let wide = said(&both, &[], &[PATH], GcpAcceptBy::Project).accepting.said;
        assert!(wide.len() == 2 && wide[0].contains(PATH), "{wide:?}");
        assert!(
            wide[1].contains("puts p-2 on") && wide[1].contains("whoever asks from there later"),
            "{wide:?}"
        );
        let [mut beside, mut alone] = [(&both[..], &["p-2"][..]), (&both[..1], &[][..])]
            .map(|(all, reject)| said(all, &[], reject, GcpAcceptBy::Project));
        let room = |one: &mut Besides| one.rejecting.takes.take().map(|takes| takes.room);
        assert_eq!((room(&mut beside), room(&mut alone)), (Some(63), Some(64)));
        assert_eq!(beside, alone);
    }

    #[test]
    fn what_keeps_a_decision_from_being_carried_out_is_known_when_it_is_planned() {
        let (endpoint_, project) = (GcpAcceptBy::Endpoint, GcpAcceptBy::Project);
        let refused = |of: Aside| of.refused.unwrap_or_default();
        let full: Vec<String> =
            (0..64).map(|nth| format!("projects/p-9/regions/r/forwardingRules/{nth}")).collect();
        let full: Vec<&str> = full.iter().map(String::as_str).collect();
        let waits = [endpoint(1, "PENDING")];
        let no_room = said(&waits, &[], &full, endpoint_);
        assert!(
            refused(no_room.rejecting).contains("the reject list is full")
                && no_room.accepting.refused.is_none()
        );
        let other_type = said(&waits, &["p-8"], &[], endpoint_);
        assert!(refused(other_type.accepting).ends_with("set `accept_by: project` and apply"));
        assert!(other_type.rejecting.refused.is_none(), "a list of the other type turns it away as well");
        let again = [endpoint(1, "REJECTED"), endpoint(2, "ACCEPTED")];
        assert!(refused(said(&again, &[], &[], endpoint_).accepting).contains("which cuts 9002"));
        // Another one that was turned away would come in with it, or could wait again.
        let others = [endpoint(1, "REJECTED"), endpoint(2, "REJECTED")];
        assert!(refused(said(&others, &["p-2"], &[], project).accepting).contains("lets in 9002 as well"));
        let mut live = endpoint(2, "ACCEPTED");
        live["pscConnectionId"] = json!("9012");
        let [own, other] = others;
        let three = said(&[own, other, live], &["p-2"], &[], project);
        assert!(refused(three.accepting).contains("would decide anew on 9002"));
        // Another one that was turned away would come in when this one is cut.
        let cut = [endpoint(1, "ACCEPTED"), endpoint(2, "REJECTED")];
        assert!(
            refused(said(&cut, &["p-1", "p-2"], &[], project).rejecting).contains("which would let in 9002")
        );
        assert!(said(&cut, &["p-1"], &[], project).rejecting.refused.is_none());
    }

    /// No apply alters the lists of the user's own, so that what it would take is said at once.
    #[test]
    fn what_is_in_the_way_in_lists_of_the_users_is_to_be_taken_out_by_hand() {
        let mut other = endpoint(1, "REJECTED");
        other["pscConnectionId"] = json!("9011");
        other["endpoint"] = json!("https://x/projects/p-1/regions/r/forwardingRules/79");
        let attachment = json!({ "selfLink": "https://x/projects/p/regions/r/serviceAttachments/a", "fingerprint": "f",
            "connectedEndpoints": [endpoint(1, "REJECTED"), other],
            "consumerAcceptLists": [{ "projectIdOrNum": "p-8", "connectionLimit": 1 }], "consumerRejectLists": ["p-1"] });
        let refused = |by, is_ours| {
            of(&attachment, &attachment["connectedEndpoints"][0], by, is_ours)
                .accepting
                .refused
                .unwrap_or_default()
        };
        for by in [GcpAcceptBy::Project, GcpAcceptBy::Endpoint] {
            let yours = refused(by, false);
            for words in [
                "p-8 out of its accept list and p-1 out of its reject list",
                "a --project p --region r",
                "--consumer-reject-list",
            ] {
                assert!(yours.contains(words), "{yours}");
            }
            assert!(!refused(by, true).contains("gcloud"), "{by:?}");
        }
    }

    #[test]
    fn whom_a_reject_keeps_out_besides_is_said() {
        let by = GcpAcceptBy::Project;
        let rejecting = |endpoints: &[Json], accept: &[&str]| said(endpoints, accept, &[], by).rejecting.said;
        let alone = rejecting(&[endpoint(1, "PENDING")], &[]).join("\n");
        assert!(alone.ends_with(
            "puts its project on the reject list, which turns away whoever asks from there later"
        ));
        // To cut a live one the attachment reconciles: who was turned away is kept out by an entry, too.
        let all = [endpoint(1, "ACCEPTED"), endpoint(2, "REJECTED")];
        let both = rejecting(&all, &["p-1"]);
        assert!(
            both.len() == 2 && both[1].contains("puts p-2 on") && both[1].contains("later, too"),
            "{both:?}"
        );
        let endpoints = said(&all, &[], &[], GcpAcceptBy::Endpoint).rejecting.said;
        assert!(endpoints.len() == 1 && endpoints[0].ends_with("reject list"), "{endpoints:?}");
    }
}
