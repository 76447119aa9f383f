//! One stream of progress for the terminal, the library's caller and the log.

use std::fmt;
use std::sync::Arc;

use crate::error::ErrorKind;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The cloud is being looked at.
    Observing {
        /// What is done or waited for.
        text: String,
    },
    /// An action was begun.
    Started {
        /// Its id in the plan.
        action: String,
    },
    /// An action goes on.
    Progress {
        /// Its id in the plan.
        action: String,
        /// What it does or waits for.
        text: String,
    },
    /// An action is done.
    Done {
        /// Its id in the plan.
        action: String,
        /// What happened besides.
        note: Option<String>,
    },
    /// An action failed.
    Failed {
        /// Its id in the plan.
        action: String,
        /// What callers decide by.
        kind: ErrorKind,
        /// The error without its causes; the report has the whole.
        error: String,
    },
    /// An action was not begun.
    Skipped {
        /// Its id in the plan.
        action: String,
        /// Why.
        why: String,
    },
    /// The cloud asked to go slower.
    Throttled {
        /// Which limit.
        bucket: String,
    },
}

/// Where events go.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Calls `see` for each event. It must return soon: the run waits for it.
    pub fn new(see: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(see))
    }

    /// Nobody listens.
    #[must_use]
    pub fn none() -> Self {
        Self::new(|_| {})
    }

    pub(super) fn send(&self, event: Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}
