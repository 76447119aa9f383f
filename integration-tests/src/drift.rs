//! A colleague who changes things by hand: a third-party client in a process of its own, told of one field a line.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::census::{here, python};
use crate::stage::Fail;

/// The process that changes things.
#[derive(Debug)]
pub struct Drift {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Drift {
    /// Starts the script (such as `azure/drift.py`).
    ///
    /// # Errors
    /// When Python is not set up or does not start.
    pub fn start(script: impl AsRef<Path>) -> Result<Self, Fail> {
        let mut child = Command::new(python()?)
            .arg(here().join(script))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let ask = child.stdin.take().ok_or("no standard input")?;
        let answers = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        Ok(Self { child, ask, answers })
    }

    fn ask(&mut self, url: &str, kind: &str, field: &str) -> Result<serde_json::Value, Fail> {
        writeln!(self.ask, "{}", serde_json::json!({"url": url, "kind": kind, "field": field}))?;
        self.ask.flush()?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).map_err(|_| format!("{kind}.{field}: the script ended: {line:?}").into())
    }

    /// The rows that the script has, each `kind.field`.
    ///
    /// # Errors
    /// When it lists none.
    pub fn rows(&mut self) -> Result<BTreeSet<String>, Fail> {
        let answer = self.ask("http://127.0.0.1:9", "rows", "all")?;
        let rows = answer["rows"].as_array().ok_or("the script lists no rows")?;
        Ok(rows.iter().filter_map(|row| row.as_str().map(str::to_owned)).collect())
    }

    /// Changes a field; `Ok(None)` where the API cannot, which is said on standard output.
    ///
    /// # Errors
    /// When the field has no row, or the change failed.
    #[allow(clippy::print_stdout, reason = "what a sweep tried")]
    pub fn change(&mut self, url: &str, kind: &str, field: &str) -> Result<Option<()>, Fail> {
        let answer = self.ask(url, kind, field)?;
        if let Some(why) = answer["immutable"].as_str() {
            println!("{kind}.{field}: cannot drift: {why}");
            return Ok(None);
        }
        if let Some(why) = answer["missing"].as_str() {
            return Err(why.into());
        }
        Ok(Some(()))
    }
}

impl Drop for Drift {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
