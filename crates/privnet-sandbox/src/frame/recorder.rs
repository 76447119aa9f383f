//! A record of what was said: one redacted JSON line for each exchange.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::json;

use super::error::SandboxError;
use super::exchange::{Answer, Exchange};

/// Appends exchanges to a file. Headers are never written; secrets in queries, bodies and answers are replaced.
#[derive(Debug)]
pub struct Recorder {
    file: Mutex<File>,
}

/// Names whose values are secret, wherever they occur as a form field, query parameter, JSON property or XML element.
const SECRETS: [&str; 16] = [
    "SecretAccessKey",
    "SessionToken",
    "ExternalId",
    "X-Amz-Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "access_token",
    "client_secret",
    "client_assertion",
    "assertion",
    "refresh_token",
    "subject_token",
    "adminPassword",
    "administratorLoginPassword",
    "password",
    "sshPrivateKey",
];

impl Recorder {
    /// Opens the record for appending.
    pub fn open(path: &Path) -> Result<Self, SandboxError> {
        let io = |e| SandboxError::io(format!("open the record {}", path.display()), e);
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(io)?;
        Ok(Self { file: Mutex::new(file) })
    }

    /// Writes one line. `answer` is absent when the connection was closed without one.
    ///
    /// A record that cannot be written does not stop the cloud: it is logged.
    pub fn write(
        &self,
        cloud: &str,
        action: &str,
        exchange: &Exchange,
        answer: Option<&Answer>,
        now: Timestamp,
    ) {
        let line = json!({
            "time": now.to_string(),
            "cloud": cloud,
            "method": exchange.method,
            "path": redact(&exchange.target()),
            "action": action,
            "body": redact(&exchange.text()),
            "status": answer.map(|a| a.status),
            "response": answer.map(|a| redact(&a.text())),
        });
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // One write for the whole line, so that processes that append to one record do not cut each other's lines.
        if let Err(error) = file.write_all(format!("{line}\n").as_bytes()) {
            tracing::error!(%error, "the record could not be written");
        }
    }
}

/// Replaces the values of secret names in a form, query, JSON or XML text.
fn redact(text: &str) -> String {
    let mut out = text.to_owned();
    // Most texts hold no secret name, and long ones are the rule: one cheap look before the careful one.
    let lower = text.to_ascii_lowercase();
    for name in SECRETS.iter().filter(|name| lower.contains(&name.to_ascii_lowercase())) {
        let mut from = 0;
        while let Some((start, end)) = next_value(&out, name, from) {
            out.replace_range(start..end, "REDACTED");
            from = start + "REDACTED".len();
        }
    }
    out
}

/// Where the next value of `name` lies, at or after `from`.
fn next_value(text: &str, name: &str, from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    loop {
        let found = at + find_without_case(text.get(at..)?, name)?;
        let after = found + name.len();
        let rest = &text[after..];
        let open = text[..found].chars().next_back();
        let bounds = if rest.starts_with('=') && open.is_none_or(|c| "?&.".contains(c)) {
            Some((after + 1, rest.find('&').map_or(text.len(), |i| after + i)))
        } else if rest.starts_with('>') && open == Some('<') {
            rest.find("</").map(|i| (after + 1, after + i))
        } else if rest.starts_with('"') && open == Some('"') {
            json_string(text, after + 1)
        } else {
            None
        };
        match bounds {
            Some((start, end)) if start < end => return Some((start, end)),
            _ => at = after,
        }
    }
}

/// The text between the quotes of a JSON string that follows a colon at `from`.
fn json_string(text: &str, from: usize) -> Option<(usize, usize)> {
    let rest = text.get(from..)?;
    let colon = rest.find(|c: char| !c.is_whitespace()).filter(|i| rest[*i..].starts_with(':'))? + 1;
    let quote = colon + rest[colon..].find(|c: char| !c.is_whitespace())?;
    if !rest[quote..].starts_with('"') {
        return None;
    }
    let start = quote + 1;
    let mut escaped = false;
    for (i, c) in rest[start..].char_indices() {
        match c {
            '"' if !escaped => return Some((from + start, from + start + i)),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

fn find_without_case(text: &str, name: &str) -> Option<usize> {
    text.as_bytes().windows(name.len()).position(|w| w.eq_ignore_ascii_case(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_in_every_form_and_the_rest_stays() {
        assert_eq!(
            redact("Action=AssumeRole&ExternalId=canary&RoleArn=a"),
            "Action=AssumeRole&ExternalId=REDACTED&RoleArn=a"
        );
        assert_eq!(
            redact("<SecretAccessKey>canary</SecretAccessKey><A>b</A>"),
            "<SecretAccessKey>REDACTED</SecretAccessKey><A>b</A>"
        );
        assert_eq!(
            redact(r#"{"adminPassword": "ca\"nary","x":1}"#),
            r#"{"adminPassword": "REDACTED","x":1}"#
        );
        assert_eq!(redact("/?X-Amz-Signature=canary"), "/?X-Amz-Signature=REDACTED");
        assert_eq!(redact("no password here"), "no password here");
    }

    #[test]
    fn a_line_has_the_documented_fields_and_no_header() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        let mut exchange = Exchange { method: "POST".into(), path: "/".into(), ..Exchange::default() };
        exchange.headers.insert("authorization", "canary".parse().unwrap());
        let recorder = Recorder::open(&path).unwrap();
        recorder.write("aws", "A", &exchange, Some(&Answer::empty(200)), Timestamp::UNIX_EPOCH);
        recorder.write("aws", "A", &exchange, None, Timestamp::UNIX_EPOCH);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("canary"));
        let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        for field in ["time", "cloud", "method", "path", "action", "body", "status", "response"] {
            assert!(lines[0].get(field).is_some(), "{field}");
        }
        assert!(lines[1]["status"].is_null());
    }
}
