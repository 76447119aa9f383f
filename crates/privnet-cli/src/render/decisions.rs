//! Decisions on connection requests.

use std::fmt::Write as _;

use privnet::{Decision, Verdict};

use super::{Paint, Style};

/// A decision, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) decision: Decision,
    pub(crate) fate: Fate,
}

/// What became of a decision.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fate {
    /// It is only said what would be done.
    Considered,
    /// It was carried out; or nothing was to be done.
    Done,
    /// It could not be carried out, and this is why.
    Failed(String),
}

/// All decisions for people.
pub(crate) fn decisions_text(decisions: &[Told], paint: Paint) -> String {
    if decisions.is_empty() {
        return "No connection request is pending.\n".to_owned();
    }
    let mut out = String::new();
    for Told { decision, fate } in decisions {
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
        let _ = writeln!(
            out,
            "{} {} on {}: {consumer} ({})",
            paint.on(style, word),
            decision.connection,
            decision.service,
            decision.who
        );
        let why = match fate {
            Fate::Failed(why) => why.clone(),
            Fate::Considered | Fate::Done => decision.why.to_string(),
        };
        let _ = writeln!(out, "  {}", paint.on(Style::Dim, why));
    }
    out
}
