//! What people see of `privnet watch`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use privnet_integration_tests::command::privnet;
use privnet_sandbox::frame::{Clock, Requests};

use super::orders;
use super::script::{Script, in_order, redact};

/// Runs a watch until its standard output has had this many lines that begin a message, then stops it. What it said, redacted.
fn watched(script: &Script, line: &str, messages: usize) -> String {
    let mut command = privnet(script.path());
    command.args(line.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut said, mut seen) = (format!("$ privnet {line}\n"), 0);
    // The text of a message comes in one write with its first line.
    while seen < messages {
        let line = lines.next().unwrap_or_else(|| panic!("it ended after\n{said}")).unwrap();
        seen += usize::from(!line.starts_with(' '));
        said.push_str(&message(&line));
    }
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    for line in lines.map_while(Result::ok).take_while(|line| line.starts_with(' ')) {
        said.push_str(&message(&line));
    }
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    for line in err.lines() {
        said.push_str(&format!("[stderr] {line}\n"));
    }
    let (said, status) = (in_order(&said), child.wait().unwrap());
    redact(&format!("{said}→ {}", status.code().unwrap_or(-1)))
}

/// A line without its time and its numbers.
fn message(line: &str) -> String {
    let Some((_, rest)) = line.split_once("Z ").filter(|_| !line.starts_with(' ')) else {
        return format!("{line}\n");
    };
    match rest.rsplit_once(" (") {
        Some((rest, numbers)) if numbers.contains("; again in ") => {
            format!("TIME {rest} (N s, N calls; again in N s)\n")
        }
        _ => format!("TIME {rest}\n"),
    }
}

#[test]
fn a_watch_tells_what_it_does_and_how_things_stand() {
    let script = Script::with(&[("aws.yaml", &orders())]);
    let observed = watched(&script, "--sandbox watch --observe --interval 60s", 1);
    // Nobody asks before that watch has ended: it looks again at once, and what it says of the next look depends on who asked.
    let requests = Requests::open(&script.at("sandbox"));
    requests.hold().unwrap();
    let made = watched(&script, "--sandbox watch aws.yaml", 1);
    requests.release(Clock::open(&script.at("sandbox"), None).unwrap().now()).unwrap();
    script.pass(60);
    let would = watched(&script, "--sandbox watch --observe", 1);
    let decided = watched(&script, "--sandbox watch", 1);
    script.write("aws.yaml", &orders().replace("123456789012", "210987654321"));
    let refused = watched(&script, "--sandbox watch aws.yaml", 1);
    insta::assert_snapshot!("a_watch", [observed, made, would, decided, refused].join("\n\n"));
}

#[test]
fn a_quiet_watch_says_nothing_but_results() {
    let script = Script::with(&[("aws.yaml", &orders())]);
    let said = watched(&script, "--sandbox watch -q --observe", 1);
    // Nor that it was told to stop: standard error is for errors then.
    assert!(!said.contains("[stderr]"), "{said}");
    assert!(said.contains("TIME golden differs from aws.yaml"), "{said}");
}
