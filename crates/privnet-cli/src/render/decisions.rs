//! Decisions on connection requests.

use privnet::{ConnectionState, Crowd, Decision, Fate, Told, Verdict};
use serde_json::{Value, json};

use super::{Paint, Style, who};

/// All decisions for people.
pub(crate) fn decisions_text(decisions: &[Told], paint: Paint) -> String {
    decisions.iter().map(|told| decision_text(told, paint)).collect()
}

/// That nothing was decided: what could not be looked at is not said to have no requests.
pub(crate) fn nothing_pending_text(all_seen: bool, any_seen: bool) -> &'static str {
    match (all_seen, any_seen) {
        (true, _) => "No connection request is pending.\n",
        (false, true) => "No connection request is pending where that could be looked at.\n",
        (false, false) => "",
    }
}

/// A service whose connections could not be read: nobody is let in there, and that is said.
pub(crate) fn unread_text((service, why): &(String, String)) -> String {
    format!("{service}: its connections cannot be read ({why}); nothing was decided there")
}

/// The same for programs.
pub(crate) fn unread_json((service, why): &(String, String)) -> Value {
    json!({"service": service, "why": why})
}

/// The consumers with more connections than they may have.
pub(crate) fn crowds_text(crowds: &[Crowd], paint: Paint) -> String {
    let line = |crowd: &Crowd| format!("{} {crowd}\n", paint.on(Style::Bad, "too many"));
    crowds.iter().map(line).collect()
}

/// The same for programs.
pub(crate) fn crowd_json(Crowd { service, consumer, max, connections }: &Crowd) -> Value {
    json!({"service": service, "consumer": consumer, "max_connections": max, "connections": connections})
}

/// One decision for people.
pub(crate) fn decision_text(told: &Told, paint: Paint) -> String {
    let Told { decision, fate } = told;
    let why = match fate {
        Fate::Failed(why) => why.clone(),
        Fate::Considered | Fate::Done => decision.why.to_string(),
    };
    let more = note(told).into_iter().chain(besides(decision, fate));
    let more: String = more.map(|what| format!("  {what}\n")).collect();
    format!("{}  {}\n{more}", headline(told, paint), paint.on(Style::Dim, why))
}

/// One that could not be carried out, where the error says why.
pub(crate) fn failed_decision_text(told: &Told, paint: Paint) -> String {
    let note = told.decision.note.iter().map(|note| format!("  {note}\n"));
    headline(told, paint) + &note.collect::<String>()
}

/// What is done about whom.
fn headline(Told { decision, fate }: &Told, paint: Paint) -> String {
    let (word, style) = match (decision.verdict, fate) {
        (Verdict::Left, _) => ("left", Style::Change),
        (Verdict::Accepted, Fate::Failed(_)) => ("not accepted", Style::Bad),
        (Verdict::Rejected, Fate::Failed(_)) => ("not rejected", Style::Bad),
        (Verdict::Accepted, Fate::Done) => ("accepted", Style::Good),
        (Verdict::Accepted, Fate::Considered) => ("would accept", Style::Good),
        (Verdict::Rejected, Fate::Done) => ("rejected", Style::Bad),
        (Verdict::Rejected, Fate::Considered) => ("would reject", Style::Bad),
    };
    let consumer = decision.consumer.as_deref().unwrap_or("a stranger");
    format!(
        "{} {} on {}: {consumer} ({})\n",
        paint.on(style, word),
        decision.connection,
        decision.service,
        who(&decision.who, &decision.connection)
    )
}

/// What a person should know of the connection. Of one that had been decided on before, that is what was so until it was let in.
fn note(told: &Told) -> Option<&String> {
    let Told { decision, .. } = told;
    let was_decided_on = decision.state != ConnectionState::Pending;
    decision.note.as_ref().filter(|_| !(was_decided_on && told.is_accepted()))
}

/// What a decision does besides; of one that could not be carried out, nothing.
fn besides<'a>(decision: &'a Decision, fate: &Fate) -> &'a [String] {
    match fate {
        Fate::Failed(_) => &[],
        Fate::Considered | Fate::Done => &decision.besides.said,
    }
}

/// For programs, a decision that could not be carried out is a request that was left, and why.
pub(crate) fn decision_json(told: &Told) -> Value {
    let Told { decision, fate } = told;
    let (verdict, why) = match fate {
        Fate::Failed(why) => (Verdict::Left, why.clone()),
        Fate::Considered | Fate::Done => (decision.verdict, decision.why.to_string()),
    };
    let mut json = json!({
        "service": decision.service,
        "connection": decision.connection,
        "consumer": decision.consumer,
        "identity": decision.who,
        "decision": verdict,
        "why": why,
    });
    if let Some(note) = note(told) {
        json["note"] = json!(note);
    }
    let besides = besides(decision, fate);
    if !besides.is_empty() {
        json["besides"] = json!(besides);
    }
    json
}
