//! How far a plan is: pure.

use std::collections::BTreeSet;

use privnet::Event;

use crate::render::count;

/// So many of the actions under way are named.
const NAMED: usize = 3;

/// How many actions of a plan are done, and what is under way.
#[derive(Debug, Default)]
pub(super) struct Tally {
    total: usize,
    done: usize,
    failed: usize,
    under_way: BTreeSet<String>,
}

impl Tally {
    /// Of a plan of so many actions.
    pub(super) fn of(total: usize) -> Self {
        Self { total, ..Self::default() }
    }

    pub(super) fn see(&mut self, event: &Event) {
        match event {
            Event::Started { action } => {
                self.under_way.insert(action.clone());
            }
            Event::Done { action, .. } => {
                self.under_way.remove(action);
                self.done += 1;
            }
            Event::Failed { action, .. } => {
                self.under_way.remove(action);
                self.failed += 1;
            }
            _ => {}
        }
    }

    /// In a few words.
    pub(super) fn short(&self) -> String {
        let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        format!("{} of {} done{failed}", self.done, count(self.total, "action"))
    }

    /// With what is under way, where that is known.
    pub(super) fn line(&self) -> String {
        let named: Vec<&str> = self.under_way.iter().take(NAMED).map(String::as_str).collect();
        let more = match self.under_way.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        match named[..] {
            [] => self.short(),
            _ => format!("{}; under way: {}{more}", self.short(), named.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use privnet::ErrorKind;

    use super::*;

    #[test]
    fn tells_what_is_done_and_what_is_under_way() {
        let mut tally = Tally::of(12);
        assert_eq!(tally.line(), "0 of 12 actions done");
        for action in ["a", "b", "c", "d", "e", "f"] {
            tally.see(&Event::Started { action: action.to_owned() });
        }
        tally.see(&Event::Done { action: "a".to_owned(), note: None });
        assert_eq!(tally.line(), "1 of 12 actions done; under way: b, c, d and 2 more");
        let error = "no".to_owned();
        tally.see(&Event::Failed { action: "b".to_owned(), kind: ErrorKind::Denied, error });
        tally.see(&Event::Skipped { action: "g".to_owned(), why: String::new() });
        assert_eq!(tally.line(), "1 of 12 actions done, 1 failed; under way: c, d, e and 1 more");
    }
}
