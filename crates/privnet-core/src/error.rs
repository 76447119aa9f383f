//! What can go wrong in a cloud, in one closed set that every provider converts to once.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// The kinds of failure that callers decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The thing is not there.
    NotFound,
    /// It is there already, or somebody else changed it meanwhile.
    Conflict,
    /// The caller lacks a permission.
    Denied,
    /// There are no credentials, or they are not accepted.
    Unauthenticated,
    /// A limit of the account is reached.
    Quota,
    /// Too many requests; later it will go through.
    Throttled,
    /// The cloud does not take this value.
    Invalid,
    /// Something else still uses it.
    InUse,
    /// It is not ready yet.
    NotReady,
    /// No answer, or the service is down; whether the request had its effect is unknown.
    Unavailable,
    /// The run was interrupted.
    Cancelled,
    /// A time limit of ours ran out.
    TimedOut,
    /// A decision could not be written to the audit log.
    Audit,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// The kind as JSON output and logs spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::Unauthenticated => "unauthenticated",
            Self::Quota => "quota",
            Self::Throttled => "throttled",
            Self::Invalid => "invalid",
            Self::InUse => "in-use",
            Self::NotReady => "not-ready",
            Self::Unavailable => "unavailable",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed-out",
            Self::Audit => "audit",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure in a cloud. Its `Display` leaves out the cause; print the chain once, at the edge.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    operation: String,
    subject: String,
    message: String,
    code: Option<String>,
    request_id: Option<String>,
    hints: Vec<String>,
    retry_after: Option<Duration>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure of `operation` (the cloud's name for it, such as `CreateListener`) on `subject` (an address or id).
    pub fn new(
        kind: ErrorKind,
        operation: impl Into<String>,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            operation: operation.into(),
            subject: subject.into(),
            message: message.into(),
            code: None,
            request_id: None,
            hints: Vec::new(),
            retry_after: None,
            cause: None,
        }))
    }

    /// The same with the cloud's error code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// The same with the cloud's request id.
    #[must_use]
    pub fn with_request_id(mut self, id: Option<String>) -> Self {
        self.0.request_id = id;
        self
    }

    /// The same with one more thing to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// The same with the time after which the cloud wants to be asked again.
    #[must_use]
    pub fn with_retry_after(mut self, after: Option<Duration>) -> Self {
        self.0.retry_after = after;
        self
    }

    /// The same with its cause.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The same about another subject: providers learn the address later than the id.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.0.subject = subject.into();
        self
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The cloud's name for what was tried.
    #[must_use]
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// What it was tried on.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The cloud's message, or ours.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The cloud's error code.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The cloud's request id.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// After what time the cloud wants to be asked again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What to do next.
    #[must_use]
    pub fn hints(&self) -> &[String] {
        &self.0.hints
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}: {}", self.0.operation, self.0.subject, self.0.message)?;
        if let Some(code) = &self.0.code {
            write!(f, " ({code})")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as _)
    }
}

/// The messages of a chain of causes, outermost first, without the error itself and without repetitions: many a library's error says its
/// cause itself, and then gives it as its source.
#[must_use]
pub fn causes(error: &dyn StdError) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !causes.last().is_some_and(|said| said.contains(&text)) {
            causes.push(text);
        }
        next = cause.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error that says its cause itself, as those of Google's login do.
    #[derive(Debug)]
    struct Said {
        text: &'static str,
        source: Option<Box<Said>>,
    }

    impl fmt::Display for Said {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.text)
        }
    }

    impl StdError for Said {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            self.source.as_deref().map(|source| source as _)
        }
    }

    #[test]
    fn a_cause_that_is_said_already_is_not_said_again() {
        let said = |text, source| Said { text, source: Option::map(source, Box::new) };
        let refused = said("connection refused", None);
        let token = said("no token", Some(refused));
        let headers = said("no headers: no token", Some(token));
        let error =
            Error::new(ErrorKind::Unauthenticated, "list", "acme", "no credentials").with_cause(headers);
        assert_eq!(causes(&error), ["no headers: no token", "connection refused"]);
    }
}
