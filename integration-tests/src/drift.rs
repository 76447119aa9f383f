//! A colleague who changes things by hand: a third-party client in a process of its own, told of one field a line.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use privnet::Plan;
use privnet_core::plan::{FieldChange, Op};
use privnet_core::{Field, Kind, Value};

use crate::census::{here, python};
use crate::stage::Fail;

/// The kinds and fields that a plan names: the changes of updates, and the reasons of replacements. What else it would do stands beside
/// them, the kind with what is done in brackets.
#[must_use]
pub fn named(plan: &Plan) -> BTreeSet<(String, String)> {
    let made = plan.actions.iter().filter(|action| action.op == Op::Create);
    let replaced: BTreeSet<_> = made.map(|action| &action.address).collect();
    let mut named = BTreeSet::new();
    for action in &plan.actions {
        let kind = action.address.kind.to_string();
        match action.op {
            Op::Update => named.extend(action.changes.iter().map(|c| (kind.clone(), c.field.to_string()))),
            Op::Create => {
                let fields = action.reason.trim_end_matches(" cannot be changed in place").split(", ");
                named.extend(fields.map(|field| (kind.clone(), field.to_owned())));
            }
            // What is replaced goes: its successor has named why.
            Op::Delete if replaced.contains(&action.address) => {}
            Op::Delete | Op::Accept | Op::Reject => {
                named.insert((kind.clone(), format!("({})", action.op.as_str())));
            }
        }
    }
    named
}

/// As [`named`], but for what refers to a resource that the plan replaces, and to nothing else: that is as it was, and turns to the
/// successor because the replaced one's field is named.
#[must_use]
pub fn named_by_itself(plan: &Plan) -> BTreeSet<(String, String)> {
    let gone = plan.actions.iter().filter(|action| action.op == Op::Delete);
    let gone: BTreeSet<_> =
        gone.filter_map(|action| Some((&action.address, action.live_id.as_deref()?))).collect();
    let follows = |change: &FieldChange| match (&change.to, change.from.as_text()) {
        (Value::Output(to), Some(from)) => gone.contains(&(&to.address, from)),
        _ => false,
    };
    let mut plan = plan.clone();
    for action in &mut plan.actions {
        action.changes.retain(|change| !follows(change));
    }
    named(&plan)
}

/// The fields of these kinds, each `kind.field`: what a script has rows of.
#[must_use]
pub fn fields(kinds: &[Kind]) -> BTreeSet<String> {
    let of = |kind: &'static str| move |field: &Field| format!("{kind}.{}", field.name);
    kinds.iter().flat_map(|kind| kind.fields.iter().map(of(kind.name))).collect()
}

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
