//! What can go wrong with the sandbox itself (a cloud's own errors are answers, not these).

use std::path::PathBuf;

/// A failure of the sandbox itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// A file or socket could not be used.
    #[error("cannot {what}")]
    Io {
        /// What was tried, in words, with its path or address.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A state file is not what this version writes.
    #[error("{} is not a state file of this sandbox; `sandbox reset` starts over", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The parser's reason.
        source: serde_json::Error,
    },
    /// A fault specification that cannot be read.
    #[error(
        "`{spec}` is not a fault: {why} (expected CLOUD:ACTION:COUNT:MODE, as in aws:CreateListener:3:lost)"
    )]
    BadFault {
        /// What was given.
        spec: String,
        /// The part that is wrong.
        why: &'static str,
    },
    /// No cloud of this build could raise a request for the service.
    #[error("no connection request for `{service}`: {}", answers.join("; "))]
    NoSuchService {
        /// What was asked for.
        service: String,
        /// What each cloud said.
        answers: Vec<String>,
    },
    /// Several clouds have a service of that name.
    #[error("`{service}` could be a service in {}: give the cloud's own id of it", clouds.join(" or "))]
    SeveralServices {
        /// What was asked for.
        service: String,
        /// The clouds.
        clouds: Vec<&'static str>,
    },
    /// A certificate for the HTTPS listener could not be made.
    #[error("cannot make a certificate for the HTTPS listener: {0}")]
    Certificate(String),
}

impl SandboxError {
    /// Wraps a system error with what was tried.
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }
}
