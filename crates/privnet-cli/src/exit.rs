//! Exit statuses that scripts rely on.

use std::process::ExitCode;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Done, or waiting for somebody.
    Done,
    /// There are changes: only from `plan --detailed-exitcode`.
    Changes,
    /// Refused by a safety rule.
    Refused,
    /// Failed, partly failed, or timed out.
    Failed,
    /// Bad usage.
    Usage,
    /// Bad file.
    File,
    /// Interrupted.
    Interrupted,
}

impl Exit {
    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Changes => 2,
            Self::Refused => 3,
            Self::Usage => 64,
            Self::File => 65,
            Self::Interrupted => 130,
        }
    }

    /// Of two files' ends, the one to exit with: an interruption before a failure before a refusal.
    pub(crate) fn worse(self, other: Self) -> Self {
        self.max(other)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
