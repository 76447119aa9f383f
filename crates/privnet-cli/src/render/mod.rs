//! From data to text: pure functions, so that tests can look at what people see.

mod decisions;
mod failures;
mod forwarder;
mod handoff;
mod plan;
mod status;
mod watch;

use std::borrow::Cow;
use std::fmt;

pub(crate) use decisions::{
    crowd_json, crowds_text, decision_json, decision_text, decisions_text, failed_decision_text,
    nothing_pending_text, unread_json, unread_text,
};
pub(crate) use failures::{failure_text, file_error_json, file_errors_text};
pub(crate) use forwarder::forwarder_text;
pub(crate) use handoff::handoff_text;
pub(crate) use plan::{GoesOn, Word, executed_text, plan_text, rejection_text, warnings_text};
pub(crate) use status::status_text;
pub(crate) use watch::{
    Changed, Unwatched, Watching, headline, lost_json, lost_text, round_text, watch_json,
};

/// Whether text is painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// With ANSI colours.
    Colour,
    /// Without.
    Plain,
}

/// The few styles that output uses.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Style {
    Bold,
    Dim,
    Good,
    Change,
    Bad,
}

impl Paint {
    /// `text` in a style.
    pub(crate) fn on<T: fmt::Display>(self, style: Style, text: T) -> String {
        let code = match style {
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Good => "32",
            Style::Change => "33",
            Style::Bad => "31",
        };
        match self {
            Self::Colour => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::Plain => text.to_string(),
        }
    }
}

/// Who a connection belongs to, for people: without an identity that is the connection's own id, which stands beside it. Azure's endpoints
/// are known by a path of a line and a half.
pub(crate) fn who<'a>(identities: &'a str, connection: &str) -> Cow<'a, str> {
    let is_its_id =
        |one: &str| one.split_once(':').is_some_and(|(_, id)| id.eq_ignore_ascii_case(connection));
    let others: Vec<_> = identities.split(", ").filter(|one| !is_its_id(one)).collect();
    if others.is_empty() { Cow::Borrowed(identities) } else { Cow::Owned(others.join(", ")) }
}

/// `1 thing`, `2 things`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::who;

    #[test]
    fn an_id_is_not_said_twice() {
        let both = "endpoint:/subscriptions/1/pe, subscription:1";
        assert_eq!(who(both, "/Subscriptions/1/PE"), "subscription:1");
        assert_eq!(who(both, "orders.1"), both);
        assert_eq!(
            who("endpoint:/subscriptions/1/pe", "/subscriptions/1/pe"),
            "endpoint:/subscriptions/1/pe"
        );
        assert_eq!(who("an unknown consumer", "vpce-1"), "an unknown consumer");
    }
}
