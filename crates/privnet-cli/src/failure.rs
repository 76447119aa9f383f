//! Errors as the command shows them: what happened, why, and what to do next.

use std::error::Error as StdError;

use privnet_core::error::causes;
use serde_json::{Value, json};

use crate::exit::Exit;

/// A command that could not do its work.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// `usage`, `file`, `io`, or a cloud error's kind.
    pub(crate) kind: String,
    /// A stable code, where there is one.
    pub(crate) code: Option<String>,
    /// What happened.
    pub(crate) message: String,
    /// The same for people, where they see more than `message` and `causes`: errors of files with their lines.
    pub(crate) shown: Option<Vec<privnet::FileError>>,
    /// Why, outermost first.
    pub(crate) causes: Vec<String>,
    /// The cloud's id of the request that failed, where there was one.
    pub(crate) request_id: Option<String>,
    /// What to do next.
    pub(crate) hints: Vec<String>,
    /// How the process ends.
    pub(crate) exit: Exit,
}

impl Failure {
    fn new(kind: &str, message: impl Into<String>, exit: Exit) -> Self {
        Self {
            kind: kind.to_owned(),
            code: None,
            message: message.into(),
            shown: None,
            causes: Vec::new(),
            request_id: None,
            hints: Vec::new(),
            exit,
        }
    }

    /// The same where something had ended already: an error in one file hides no worse end of another.
    pub(crate) fn or_worse(self, exit: Exit) -> Self {
        Self { exit: self.exit.worse(exit), ..self }
    }

    /// The command line cannot be carried out.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new("usage", message, Exit::Usage)
    }

    /// A file cannot be read or is not right.
    pub(crate) fn file(message: impl Into<String>) -> Self {
        Self::new("file", message, Exit::File)
    }

    /// Something on this machine failed.
    pub(crate) fn io(message: impl Into<String>, cause: &dyn StdError) -> Self {
        let mut failure = Self::new("io", message, Exit::Failed);
        failure.causes = std::iter::once(cause.to_string()).chain(causes(cause)).collect();
        failure
    }

    /// The user stopped it.
    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self::new("interrupted", message, Exit::Interrupted)
    }

    /// A safety rule refuses.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new("refused", message, Exit::Refused)
    }

    /// Something is not there or did not work.
    pub(crate) fn failed(kind: &str, message: impl Into<String>) -> Self {
        Self::new(kind, message, Exit::Failed)
    }

    /// An action that failed in the cloud, or before it.
    pub(crate) fn of_action(id: &str, error: &privnet_core::Error) -> Self {
        let mut failure = Self::failed(error.kind().as_str(), format!("{id}: {error}"));
        failure.code = error.code().map(str::to_owned);
        failure.causes = causes(error);
        failure.request_id = error.request_id().map(str::to_owned);
        failure.hints = error.hints().to_vec();
        failure
    }

    /// The same with one more thing to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same with a cause.
    pub(crate) fn because(mut self, cause: &dyn StdError) -> Self {
        self.causes.push(cause.to_string());
        self.causes.extend(causes(cause));
        self
    }

    /// The object of `--output json`.
    pub(crate) fn json(&self) -> Value {
        let mut json = json!({"error": {
            "kind": self.kind,
            "code": self.code,
            "message": self.message,
            "causes": self.causes,
            "hints": self.hints,
        }});
        if let Some(id) = &self.request_id {
            json["error"]["request_id"] = json!(id);
        }
        json
    }
}

impl From<privnet::CloudsError> for Failure {
    fn from(error: privnet::CloudsError) -> Self {
        let hint = error.hint();
        let failure = match error {
            privnet::CloudsError::NoProvider(_) => Self::file(error.to_string()),
            // Nothing is wrong with the file, nor with the command line.
            privnet::CloudsError::PlainHttp { .. } | privnet::CloudsError::NoPlace { .. } => {
                Self::failed(privnet_core::ErrorKind::Invalid.as_str(), error.to_string())
            }
        };
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<privnet_sandbox::SandboxError> for Failure {
    fn from(error: privnet_sandbox::SandboxError) -> Self {
        let bad_usage = matches!(error, privnet_sandbox::SandboxError::BadFault { .. });
        let exit = if bad_usage { Exit::Usage } else { Exit::Failed };
        let mut failure = Self::new(if bad_usage { "usage" } else { "sandbox" }, error.to_string(), exit);
        failure.causes = causes(&error);
        failure
    }
}
