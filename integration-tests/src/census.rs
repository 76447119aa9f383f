//! What is in a local cloud, as a third-party client lists it: boto3 in a process of its own that answers one question a line.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The folder of this package.
#[must_use]
pub fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The Python of the project's own folder, which `integration-tests/setup-venv.sh` makes.
///
/// # Errors
/// When it is not there: the check is not skipped.
pub fn python() -> io::Result<PathBuf> {
    let python = here().join(".venv/bin/python");
    if python.exists() {
        return Ok(python);
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        "run integration-tests/setup-venv.sh first: these tests use boto3",
    ))
}

/// A process that takes a census whenever asked.
#[derive(Debug)]
pub struct Census {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Census {
    /// Starts the script (such as `aws/census.py`).
    ///
    /// # Errors
    /// When Python is not set up or does not start.
    pub fn start(script: impl AsRef<Path>) -> io::Result<Self> {
        Self::start_without(script, &[])
    }

    /// The same, leaving out sorts of things that an emulator has no call for.
    ///
    /// # Errors
    /// When Python is not set up or does not start.
    pub fn start_without(script: impl AsRef<Path>, left_out: &[&str]) -> io::Result<Self> {
        let mut child = Command::new(python()?)
            .arg(here().join(script))
            .args(left_out)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .spawn()?;
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        let ask = child.stdin.take().ok_or_else(broken)?;
        let answers = BufReader::new(child.stdout.take().ok_or_else(broken)?);
        Ok(Self { child, ask, answers })
    }

    /// Everything in the cloud at this URL, one line a thing, ids replaced by names.
    ///
    /// # Errors
    /// When the client fails.
    pub fn take(&mut self, url: &str) -> io::Result<BTreeSet<String>> {
        writeln!(self.ask, "{url}")?;
        self.ask.flush()?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let things: Vec<String> = serde_json::from_str(&line).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("the census said {line:?}: {error}"))
        })?;
        let count = things.len();
        let set: BTreeSet<String> = things.into_iter().collect();
        if set.len() == count {
            Ok(set)
        } else {
            Err(io::Error::other(format!("a thing stands twice: {line}")))
        }
    }
}

impl Drop for Census {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
