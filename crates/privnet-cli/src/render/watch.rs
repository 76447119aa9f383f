//! What `privnet watch` tells: text for people, one object a line for programs.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use privnet::watch::{FileChange, Kept, Round, RoundOutcome};
use privnet::{Outcome, error_json, executed_json};
use serde_json::{Value, json};

use super::plan::{
    error_text, helpful_flag, left_behind, note_text, one_action, refused, undone, waits, warnings,
};
use super::{
    Paint, Style, count, crowd_json, crowds_text, decision_json, decision_text, file_error_json,
    file_errors_text,
};

/// The begin of a watch.
pub(crate) struct Watching<'a> {
    /// Each deployment and its file.
    pub(crate) deployments: &'a [(String, String)],
    /// The longest time between two looks.
    pub(crate) interval: Duration,
    /// Whether it only looks.
    pub(crate) observe: bool,
    /// The services that it is limited to; all where there is none.
    pub(crate) services: &'a [String],
    /// Where metrics are served.
    pub(crate) listen: Option<std::net::SocketAddr>,
}

impl Watching<'_> {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let files: Vec<_> = self.deployments.iter().map(|(name, file)| format!("{name} ({file})")).collect();
        let seconds = self.interval.as_secs_f64();
        let what = match files[..] {
            // A name that no file will ever have is seen here, or nowhere.
            [] => format!(
                "this folder, which has no file of a deployment yet: those that come are watched{}",
                match self.services {
                    [] => String::new(),
                    names => format!(" when they have the service {}", names.join(" or ")),
                }
            ),
            _ => files.join(", "),
        };
        let mut text = format!("watching {what}: a look at least every {seconds} s; Ctrl-C ends it");
        if self.observe {
            text.push_str("\nonly looking: nothing is changed, nothing is decided");
        }
        if let Some(listen) = self.listen {
            let _ = write!(text, "\nserving http://{listen}/metrics, /healthz and /readyz");
        }
        text
    }

    /// For programs.
    pub(crate) fn json(&self, now: Timestamp) -> Value {
        let deployments: Vec<_> =
            self.deployments.iter().map(|(name, file)| json!({"deployment": name, "file": file})).collect();
        json!({
            "event": "started",
            "time": now.to_string(),
            "deployments": deployments,
            "interval_seconds": self.interval.as_secs_f64(),
            "observe": self.observe,
            "services": self.services,
            "listen": self.listen.map(|listen| listen.to_string()),
        })
    }
}

/// The text of a round: what happened in it, and how things stand after it.
pub(crate) struct RoundText {
    /// Told each time.
    pub(crate) happened: String,
    /// Told when it is not what it was.
    pub(crate) standing: String,
}

/// A round for people.
pub(crate) fn round_text(round: &Round, paint: Paint) -> RoundText {
    let mut happened = String::new();
    if let Some(report) = &round.report {
        for (action, outcome) in round.plan.actions.iter().zip(&report.outcomes) {
            if let Outcome::Done { note } = outcome {
                one_action(&mut happened, action, &action.address.to_string(), false, paint);
                note_text(&mut happened, action, note.as_deref(), paint);
            } else {
                undone(&mut happened, action, outcome, paint);
            }
        }
    }
    let (decided, standing): (Vec<_>, Vec<_>) = round
        .decisions
        .iter()
        .partition(|told| told.is_accepted() || matches!(told.fate, privnet::Fate::Failed(_)));
    happened.extend(decided.into_iter().map(|told| decision_text(told, paint)));
    let mut text = standing_text(round, paint);
    text.extend(standing.into_iter().map(|told| decision_text(told, paint)));
    RoundText { happened: indented(&happened), standing: indented(&text) }
}

/// How things stand after a round, but for requests.
fn standing_text(round: &Round, paint: Paint) -> String {
    let (mut out, plan) = (String::new(), &round.plan);
    if round.report.is_none() {
        for action in &plan.actions {
            one_action(&mut out, action, &action.address.to_string(), false, paint);
        }
    }
    for down in &round.unreachable {
        error_text(&mut out, &format!("{} could not be observed", down.cloud), &down.error, paint);
    }
    if let Some(fault) = &round.fault {
        let _ = writeln!(out, "{} {fault}", paint.on(Style::Bad, "failed"));
    }
    for (service, why) in &round.unread {
        let _ = writeln!(out, "{service}: its connections cannot be read ({why}); nothing is decided there");
    }
    out.push_str(&crowds_text(&round.crowds, paint));
    for refusal in &plan.refusals {
        refused(&mut out, refusal, paint);
        if let Some(flag) = helpful_flag(plan, refusal) {
            let hint = paint.on(Style::Change, "hint:");
            let _ = writeln!(out, "  {hint} a watch never does that: privnet apply {} {flag}", round.file);
        }
    }
    for left in &plan.left {
        left_behind(&mut out, left, paint);
    }
    warnings(&mut out, plan, paint);
    waits(&mut out, plan, paint);
    out
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "  {line}");
        all
    })
}

/// The line over a round's text.
pub(crate) fn headline(round: &Round, paint: Paint) -> String {
    let (outcome, file) = (round.outcome(), &round.file);
    let style = match outcome {
        RoundOutcome::Agrees | RoundOutcome::Mended => Style::Good,
        RoundOutcome::Differs | RoundOutcome::Refused | RoundOutcome::Interrupted => Style::Change,
        RoundOutcome::Failed => Style::Bad,
    };
    let what = match outcome {
        RoundOutcome::Agrees => format!("agrees with {file}"),
        RoundOutcome::Mended => format!("mended: {}", tally(round)),
        RoundOutcome::Differs => format!("differs from {file}; nothing was done"),
        RoundOutcome::Refused => format!("refused: somebody must look at it{}", and_done(round)),
        RoundOutcome::Failed => format!("failed{}", and_done(round)),
        RoundOutcome::Interrupted => format!("stopped{}", and_done(round)),
    };
    let (what, name) = (paint.on(style, what), paint.on(Style::Bold, &round.deployment));
    let calls = count(usize::try_from(round.calls).unwrap_or(usize::MAX), "call");
    let next = round.next.as_secs_f64();
    let digits = usize::from(next < 10.0);
    let numbers = format!("{:.1} s, {calls}; again in {next:.digits$} s", round.took.as_secs_f64());
    format!("{} {name} {what} {}\n", stamp(round.at), paint.on(Style::Dim, format!("({numbers})")))
}

fn and_done(round: &Round) -> String {
    if round.report.is_some() || round.accepted() > 0 { format!("; {}", tally(round)) } else { String::new() }
}

fn tally(round: &Round) -> String {
    let mut parts = Vec::new();
    if let Some(report) = &round.report {
        let done = report.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Done { .. })).count();
        parts.push(format!("{done} of {} done", count(round.plan.actions.len(), "action")));
    }
    if round.accepted() > 0 {
        parts.push(format!("{} let in", count(round.accepted(), "request")));
    }
    parts.join(", ")
}

/// To the second, as logs have it.
fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A round for programs: the plan's object with what became of it, and what else the round was.
pub(crate) fn watch_json(round: &Round) -> Value {
    let mut object = match &round.report {
        Some(report) => executed_json(&round.plan, report),
        None => serde_json::to_value(&round.plan).unwrap_or(Value::Null),
    };
    let errors: Vec<_> = round.unreachable.iter().map(|down| error_json(&down.error)).collect();
    let unread: Vec<_> =
        round.unread.iter().map(|(service, why)| json!({"service": service, "why": why})).collect();
    let decisions: Vec<_> = round
        .decisions
        .iter()
        .map(|told| {
            let mut decision = decision_json(told);
            decision["carried_out"] = json!(told.fate == privnet::Fate::Done && !told.still_waits());
            decision
        })
        .collect();
    let more = json!({
        "event": "round",
        "time": round.at.to_string(),
        "deployment": round.deployment,
        "file": round.file,
        "outcome": round.outcome().as_str(),
        "observe": round.observed_only,
        "decisions": decisions,
        "unreachable": errors,
        "unread": unread,
        "crowds": round.crowds.iter().map(crowd_json).collect::<Vec<_>>(),
        "fault": round.fault,
        "pending": round.pending(),
        "ambiguous": round.ambiguous(),
        "errors": round.errors(),
        "calls": round.calls,
        "seconds": seconds(round.took),
        "next_seconds": seconds(round.next),
    });
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

/// A file that changed.
pub(crate) struct Changed<'a> {
    /// The deployment.
    pub(crate) deployment: &'a str,
    /// The file.
    pub(crate) file: &'a str,
    /// What that leads to.
    pub(crate) change: &'a FileChange,
}

impl Changed<'_> {
    /// For people.
    pub(crate) fn text(&self, now: Timestamp, paint: Paint) -> String {
        let name = paint.on(Style::Bold, self.deployment);
        let head = |style, what: &str| format!("{} {name} {}\n", stamp(now), paint.on(style, what));
        match self.change {
            FileChange::Added => head(Style::Good, &format!("{} is new and is watched", self.file)),
            FileChange::Taken => head(Style::Good, &format!("{} changed and is taken", self.file)),
            FileChange::Back => head(Style::Good, &format!("{} is again the one that is used", self.file)),
            FileChange::Kept(kept) => {
                let mut text =
                    head(Style::Bad, &format!("{} is not taken, the last good one is kept", self.file));
                text.push_str(&why_text(kept, paint));
                text
            }
            other => head(Style::Change, &format!("{}: {}", self.file, other.as_str())),
        }
    }

    /// For programs.
    pub(crate) fn json(&self, now: Timestamp) -> Value {
        let mut object = json!({
            "event": "file",
            "time": now.to_string(),
            "deployment": self.deployment,
            "file": self.file,
            "change": self.change.as_str(),
        });
        if let FileChange::Kept(kept) = self.change {
            say_why(&mut object, kept);
        }
        object
    }
}

/// A file that is there and not watched: one that came later, or could not be read from the start.
pub(crate) struct Unwatched<'a> {
    /// The file.
    pub(crate) file: &'a str,
    /// Why.
    pub(crate) why: &'a Kept,
}

impl Unwatched<'_> {
    /// For people.
    pub(crate) fn text(&self, now: Timestamp, paint: Paint) -> String {
        let (name, what) = (paint.on(Style::Bold, self.file), paint.on(Style::Bad, "is not watched"));
        format!("{} {name} {what}\n{}", stamp(now), why_text(self.why, paint))
    }

    /// For programs.
    pub(crate) fn json(&self, now: Timestamp) -> Value {
        let mut object = json!({
            "event": "file",
            "time": now.to_string(),
            "deployment": null,
            "file": self.file,
            "change": "unwatched",
        });
        say_why(&mut object, self.why);
        object
    }
}

fn why_text(kept: &Kept, paint: Paint) -> String {
    let mut why = format!("{kept}\n");
    if let Kept::Wrong(errors) = kept {
        why = file_errors_text(errors, paint);
    }
    let _ = writeln!(why, "{} {}", paint.on(Style::Change, "hint:"), kept.hint());
    indented(&why)
}

fn say_why(object: &mut Value, kept: &Kept) {
    object["code"] = json!(kept.code());
    object["why"] = json!(kept.to_string());
    object["hint"] = json!(kept.hint());
    if let Kept::Wrong(errors) = kept {
        object["errors"] = errors.iter().map(file_error_json).collect();
    }
}

/// Messages that nobody read in time, for people.
pub(crate) fn lost_text(lost: u64, now: Timestamp, paint: Paint) -> String {
    let messages = count(usize::try_from(lost).unwrap_or(usize::MAX), "message");
    let what = format!("{messages} got lost here: nobody read them in time");
    format!("{} {}\n", stamp(now), paint.on(Style::Bad, what))
}

/// Lines that nobody read in time, for programs.
pub(crate) fn lost_json(lost: u64, now: Timestamp) -> Value {
    json!({"event": "lost", "time": now.to_string(), "lines": lost})
}
