//! Decisions on connection requests.

use std::fmt::Write as _;

use privnet::{Decision, Verdict};

use super::{Paint, Style};

/// All decisions for people. `carried_out` says whether they were, or only would be.
pub(crate) fn decisions_text(decisions: &[Decision], carried_out: bool, paint: Paint) -> String {
    if decisions.is_empty() {
        return "No connection request is pending.\n".to_owned();
    }
    let mut out = String::new();
    for decision in decisions {
        let (word, style) = match (decision.verdict, carried_out) {
            (Verdict::Accepted, true) => ("accepted", Style::Good),
            (Verdict::Accepted, false) => ("would accept", Style::Good),
            (Verdict::Rejected, true) => ("rejected", Style::Bad),
            (Verdict::Rejected, false) => ("would reject", Style::Bad),
            (Verdict::Left, _) => ("left", Style::Change),
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
        let _ = writeln!(out, "  {}", paint.on(Style::Dim, &decision.why));
    }
    out
}
