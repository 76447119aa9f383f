//! A script of commands and what each said, so that a snapshot shows what people and programs see.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use privnet_integration_tests::command::privnet;
use privnet_sandbox::frame::Clock;
use serde_json::Value;

/// How fast time passes: provisioning takes half a second, and what lingers for an hour is there for the whole test.
const SPEED: f64 = 300.0;

/// A folder with files and a local cloud, and the transcript of what was run in it.
pub(crate) struct Script {
    folder: tempfile::TempDir,
    transcript: String,
}

impl Script {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Clock::open(&folder.path().join("sandbox"), Some(SPEED)).unwrap();
        Self { folder, transcript: String::new() }
    }

    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let script = Self::new();
        for (name, text) in files {
            script.write(name, text);
        }
        script
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.at(name), text).unwrap();
    }

    /// Lets sandbox time pass at once.
    pub(crate) fn pass(&self, seconds: u64) {
        let clock = Clock::open(&self.at("sandbox"), None).unwrap();
        clock.advance(Duration::from_secs(seconds)).unwrap();
    }

    /// Runs a command and writes down what it said; its arguments are those between spaces.
    pub(crate) fn run(&mut self, line: &str) -> Output {
        self.run_with(line, &[], None)
    }

    /// The same with variables and standard input.
    pub(crate) fn run_with(&mut self, line: &str, variables: &[(&str, &str)], input: Option<&str>) -> Output {
        let output = self.quietly_with(line, variables, input);
        let shown: String = variables.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        let _ = writeln!(self.transcript, "$ {shown}privnet {line}");
        self.note(&output);
        output
    }

    /// Runs a command that is not written down.
    pub(crate) fn quietly(&self, line: &str) -> Output {
        self.quietly_with(line, &[], None)
    }

    pub(crate) fn quietly_with(&self, line: &str, variables: &[(&str, &str)], input: Option<&str>) -> Output {
        let mut child = privnet(self.path())
            .args(line.split_whitespace())
            .envs(variables.iter().copied())
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if let Some(input) = input {
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        }
        child.wait_with_output().unwrap()
    }

    /// Runs a command whose standard output is one JSON object.
    pub(crate) fn json(&self, line: &str) -> Value {
        let output = self.quietly(&format!("{line} --output json"));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{line}: {error}: {}{}", text(&output.stdout), text(&output.stderr))
        })
    }

    fn note(&mut self, output: &Output) {
        let stdout = in_order(&text(&output.stdout));
        self.transcript.push_str(&stdout);
        if !stdout.is_empty() && !stdout.ends_with('\n') {
            self.transcript.push_str("⏎\n");
        }
        for line in text(&output.stderr).lines() {
            let _ = writeln!(self.transcript, "[stderr] {line}");
        }
        let _ = writeln!(self.transcript, "→ {}\n", code(output));
    }

    /// The transcript with what differs from run to run replaced.
    pub(crate) fn transcript(&self) -> String {
        let here = self.path().display().to_string();
        redact(&self.transcript.replace(&here, "HERE"))
    }
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Connections come in the order of their ids, which are random: here they come in the order of what is said of them.
pub(crate) fn in_order(text: &str) -> String {
    if let Ok(mut json) = serde_json::from_str::<Value>(text) {
        sort_connections(&mut json);
        return format!("{json:#}\n");
    }
    let lines: Vec<&str> = text.lines().collect();
    let (mut out, mut blocks, mut at) = (Vec::new(), Vec::new(), 0);
    while at < lines.len() {
        let plain = lines[at].trim_start();
        let of_connection = ["connection ", "left vpce-", "would ", "accepted ", "rejected "]
            .iter()
            .any(|start| plain.starts_with(start));
        if of_connection && at + 1 < lines.len() {
            blocks.push(format!("{}\n{}", lines[at], lines[at + 1]));
            at += 2;
            continue;
        }
        out.extend(sorted(&mut blocks));
        out.push(lines[at].to_owned());
        at += 1;
    }
    out.extend(sorted(&mut blocks));
    if out.is_empty() { String::new() } else { format!("{}\n", out.join("\n")) }
}

fn sorted(blocks: &mut Vec<String>) -> Vec<String> {
    blocks.sort_by_key(|block| redact(block));
    std::mem::take(blocks)
}

fn sort_connections(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if let (true, Value::Array(list)) =
                    (name == "connections" || name == "decisions", &mut *member)
                {
                    list.sort_by_key(|one| redact(&one.to_string()));
                }
                sort_connections(member);
            }
        }
        Value::Array(members) => members.iter_mut().for_each(sort_connections),
        _ => {}
    }
}

/// Ids that the local cloud drew, seconds and numbers of calls become words. The default world's own ids stay.
pub(crate) fn redact(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let end = rest[start..].find(|c: char| !c.is_ascii_hexdigit()).map_or(rest.len(), |end| start + end);
        let run = &rest[start..end];
        out.push_str(&rest[..start]);
        let drawn = run.len() >= 16 && (out.ends_with('-') || out.ends_with('/')) && !is_fixed(run);
        out.push_str(if drawn { "ID" } else { run });
        rest = &rest[end..];
    }
    out.push_str(rest);
    out.lines().map(without_numbers).collect::<Vec<_>>().join("\n")
}

/// Ids of the default world: long runs of one digit, or the alphabet.
fn is_fixed(id: &str) -> bool {
    let repeated = id.as_bytes().windows(6).any(|window| window.iter().all(|byte| *byte == window[0]));
    repeated
        || id.contains("0123456789abcdef")
        || ["0a1b2c3d4e5f60718", "fedcba9876543210", "abcdef0123456789"].contains(&id)
}

fn without_numbers(line: &str) -> String {
    for name in ["\"calls\": ", "\"seconds\": "] {
        if let Some(at) = line.find(name) {
            let comma = if line.ends_with(',') { "," } else { "" };
            return format!("{}{name}N{comma}", &line[..at]);
        }
    }
    match (line.rfind(" in "), line.ends_with(" calls") || line.ends_with(" call")) {
        (Some(at), true) => format!("{} in N s, N calls", &line[..at]),
        _ => line.to_owned(),
    }
}
