//! Ctrl-C: nothing hangs, the status is 130, and the same command mends what was begun.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use privnet_integration_tests::command::privnet;
use privnet_sandbox::frame::Clock;
use serde_json::Value;

use super::script::{Script, code, text};
use super::{asked, connection, for_acme, orders};

/// Sends the signal that Ctrl-C sends, once the process handles it.
fn interrupt(child: &Child) {
    until_it_handles_interruptions(child);
    // A shell has `kill`; the program of that name is not on every machine.
    let sent = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    assert!(sent.success());
}

/// Waits until the process handles an interruption itself: before that the system ends it.
fn until_it_handles_interruptions(child: &Child) {
    let started = Instant::now();
    while !handles_interruptions(child) {
        assert!(started.elapsed() < Duration::from_secs(20), "it never handles an interruption");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Its mask of signals that are caught, of which SIGINT is the second (proc(5), signal(7)).
fn handles_interruptions(child: &Child) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & 0b10 != 0
}

/// Waits for its end, with a limit far above what it takes.
fn end(child: &mut Child) -> i32 {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        if started.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("it hangs");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn start(script: &Script, line: &str) -> Child {
    let mut command = privnet(script.path());
    command.args(line.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// The same in a terminal, which asks.
fn start_in_terminal(script: &Script, line: &str) -> Child {
    let binary = privnet_integration_tests::command::binary().display().to_string();
    let mut terminal = Command::new("script");
    // The command takes the shell's place: some shells end with the signal too, and could not tell the status.
    let line = format!("exec {binary} {line}");
    terminal.args(["-qec", &line, "/dev/null"]).current_dir(script.path()).env("HOME", script.path());
    terminal.env("PRIVNET_SANDBOX_DIR", script.at("sandbox")).env("TERM", "xterm");
    terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

/// Waits until the local cloud's state says so.
fn until(script: &Script, holds: impl Fn(&Value) -> bool) {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(30) {
        let state = std::fs::read(script.at("sandbox/aws.json")).unwrap_or_default();
        if serde_json::from_slice(&state).is_ok_and(|state| holds(&state)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the local cloud never came to it");
}

fn has_own_load_balancer(state: &Value) -> bool {
    state["load_balancers"].to_string().contains("/pn-orders")
}

#[test]
fn an_interrupted_apply_ends_at_once_and_the_next_one_mends() {
    let script = Script::with(&[("aws.yaml", &orders())]);
    // Provisioning takes a minute, so that the interruption falls into it.
    Clock::open(&script.at("sandbox"), Some(2.0)).unwrap();
    let mut child = start(&script, "--sandbox apply --yes");
    until(&script, has_own_load_balancer);
    let interrupted = Instant::now();
    interrupt(&child);
    assert_eq!(end(&mut child), 130);
    assert!(interrupted.elapsed() < Duration::from_secs(10), "{:?}", interrupted.elapsed());
    let (mut said, mut shown) = (String::new(), String::new());
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    child.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
    assert!(said.contains("interrupted: what has begun is being finished"), "{said}");
    assert!(shown.contains("failed create orders/load-balancer/main"), "what was begun is reported: {shown}");
    // By itself or among others, as those were skipped for the same reason or for another: that is a matter of when the signal came.
    let (_, skipped) = shown.split_once("skipped ").expect("what was not begun is told");
    assert!(skipped.contains("create orders/endpoint-service/main@a"), "{shown}");
    assert!(!shown.contains("failed create orders/endpoint-service"), "{shown}");
    assert!(shown.ends_with("\nhint: run the command again: it goes on from here\n"), "{shown}");

    Clock::open(&script.at("sandbox"), Some(300.0)).unwrap();
    let status = text(&script.quietly("--sandbox status").stdout);
    assert!(
        status.contains("degraded") && status.contains("partly made: "),
        "what is there is told: {status}"
    );
    let mended = script.quietly("--sandbox apply --yes");
    assert_eq!(code(&mended), 0, "{}{}", text(&mended.stdout), text(&mended.stderr));
    let empty = script.quietly("--sandbox plan --detailed-exitcode");
    assert_eq!(code(&empty), 0, "{}", text(&empty.stdout));
}

/// Looking changes nothing, so there is nothing to finish: the user does not wait for answers that nobody needs.
#[test]
fn a_look_at_the_cloud_ends_at_once() {
    let script = Script::with(&[("aws.yaml", &orders())]);
    let mut server = start(&script, "sandbox serve --latency 8s --output json");
    let variables = served(&mut server);
    for line in [
        "plan --detailed-exitcode --out plan.json",
        "status",
        "handoff",
        "reject --yes --connection vpce-1",
        "apply --yes",
    ] {
        let mut command = privnet(script.path());
        command.args(line.split_whitespace()).envs(variables.clone()).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        until_it_handles_interruptions(&child);
        // Then it looks.
        std::thread::sleep(Duration::from_millis(500));
        let interrupted = Instant::now();
        interrupt(&child);
        assert_eq!(end(&mut child), 130, "{line}");
        assert!(interrupted.elapsed() < Duration::from_secs(5), "{line}: {:?}", interrupted.elapsed());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains("stopped while looking at the cloud"), "{line}: {said}");
    }
    assert!(!script.at("plan.json").exists(), "a plan of what was not seen is not saved");
    interrupt(&server);
    assert_eq!(end(&mut server), 0);
}

/// The variables that point privnet at a server that was just started.
fn served(server: &mut Child) -> Vec<(String, String)> {
    let mut out = BufReader::new(server.stdout.take().unwrap());
    let mut shown = String::new();
    while serde_json::from_str::<Value>(&shown).is_err() {
        assert!(out.read_line(&mut shown).unwrap() > 0, "{shown}");
    }
    let serving: Value = serde_json::from_str(&shown).unwrap();
    let variables = serving["clouds"]["aws"]["variables"].as_object().unwrap();
    variables.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

#[test]
fn an_interrupted_watch_ends_at_once() {
    let script = asked();
    script.quietly("--sandbox apply --yes");
    script.write("acme.yaml", &super::for_acme());
    assert_eq!(code(&script.quietly("--sandbox apply --yes acme.yaml")), 0);
    Clock::open(&script.at("sandbox"), Some(1.0)).unwrap();
    let mut child = start(&script, "--sandbox accept-pending --watch --yes acme.yaml --output json");
    until_it_handles_interruptions(&child);
    // Then it looks, and waits.
    std::thread::sleep(Duration::from_secs(1));
    let interrupted = Instant::now();
    interrupt(&child);
    assert_eq!(end(&mut child), 130);
    assert!(interrupted.elapsed() < Duration::from_secs(5), "{:?}", interrupted.elapsed());
    let mut shown = String::new();
    child.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
    let object: Value = serde_json::from_str(&shown).unwrap();
    assert!(object["decisions"].is_array(), "{object:#}");
}

#[test]
fn a_prompt_is_answered_by_ctrl_c_too() {
    let script = Script::with(&[("aws.yaml", &orders())]);
    let (mut child, mut said) = until_it_asks(&script, "--sandbox apply aws.yaml");
    let mut out = child.stdout.take().unwrap();
    // The terminal turns this byte into the signal.
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"\x03").unwrap();
    out.read_to_end(&mut said).unwrap();
    assert_eq!(end(&mut child), 130, "{}", text(&said));
    assert!(text(&said).contains("nothing was done"), "{}", text(&said));
    assert_eq!(code(&script.quietly("--sandbox plan --detailed-exitcode")), 2, "nothing was made");
}

/// Starts a command in a terminal, and waits until it asks.
fn until_it_asks(script: &Script, line: &str) -> (Child, Vec<u8>) {
    let mut child = start_in_terminal(script, line);
    let out = child.stdout.as_mut().unwrap();
    let mut said = Vec::new();
    while !text(&said).contains("[y/N]") {
        let mut some = [0; 4096];
        let read = out.read(&mut some).unwrap();
        assert!(read > 0, "it never asked: {}", text(&said));
        said.extend_from_slice(&some[..read]);
    }
    (child, said)
}

/// The same saved plan is not what is left to do: nobody is told to carry it out again.
#[test]
fn a_saved_plan_that_was_stopped_is_made_anew() {
    let script = Script::with(&[("aws.yaml", &orders())]);
    assert_eq!(code(&script.quietly("--sandbox plan -q --out plan.json")), 0);
    // Provisioning takes a minute, so that the interruption falls into it.
    Clock::open(&script.at("sandbox"), Some(2.0)).unwrap();
    let mut child = start(&script, "--sandbox apply --plan plan.json --yes");
    until(&script, has_own_load_balancer);
    interrupt(&child);
    assert_eq!(end(&mut child), 130);
    let (mut told, mut shown) = (String::new(), String::new());
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    child.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
    assert!(told.contains("make and look at a new one: privnet plan --out FILE"), "{told}");
    assert!(shown.contains("actions done in") && !shown.contains("run the command again"), "{shown}");
    Clock::open(&script.at("sandbox"), Some(300.0)).unwrap();
    assert_eq!(code(&script.quietly("--sandbox apply --plan plan.json --yes")), 3);
}

/// What somebody looked at is done as it was shown, or not at all: while he looked, another was let in, and there is no room any more.
#[test]
fn what_changed_while_a_person_was_asked_is_not_done() {
    let script = asked();
    let own = connection(&script, "fivetran");
    let rival = script.json("sandbox connect orders")["connection"].as_str().unwrap().to_owned();
    script.pass(60);
    // Another port to listen on cuts nobody: nobody is connected yet.
    script.write("less.yaml", &orders().replace("listen: 5432", "listen: 6432"));
    let lines = [
        format!("--sandbox accept-pending aws.yaml --connection {own}"),
        "--sandbox apply less.yaml".to_owned(),
        format!("--sandbox reject aws.yaml --connection {rival}"),
    ];
    let asking: Vec<_> = lines.iter().map(|line| until_it_asks(&script, line)).collect();
    let accepted = script.quietly(&format!("--sandbox accept-pending aws.yaml --connection {rival} --yes"));
    assert_eq!(code(&accepted), 0, "{}", text(&accepted.stderr));
    for ((mut child, mut said), line) in asking.into_iter().zip(lines) {
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"y\n").unwrap();
        child.stdout.take().unwrap().read_to_end(&mut said).unwrap();
        assert_eq!(end(&mut child), 3, "{line}: {}", text(&said));
        assert!(text(&said).contains("has changed since this was shown"), "{line}: {}", text(&said));
    }
    let after = script.json("--sandbox status aws.yaml");
    let all = after["services"][0]["connections"].as_array().unwrap().iter();
    let live: Vec<_> =
        all.filter(|one| one["state"] == "accepted").map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(live, [rival.as_str()], "{after:#}");
}

/// What waits for one endpoint is not content with another behind the same account.
#[test]
fn a_wait_for_one_endpoint_ends_with_that_one() {
    let script = asked();
    let own = connection(&script, "fivetran");
    let wait = |line: &str| {
        let output = script.quietly(&format!("--sandbox accept-pending --watch --yes {line}"));
        (code(&output), text(&output.stdout) + &text(&output.stderr))
    };
    let (status, said) = wait(&format!("--connection {own} --timeout 5m aws.yaml"));
    assert!(status == 0 && said.contains(&format!("{own} is connected.")), "{said}");
    let (status, said) = wait("--connection vpce-0aaaaaaaaaaaaaaaa --timeout 300ms aws.yaml");
    assert!(status == 1 && said.contains("vpce-0aaaaaaaaaaaaaaaa is not connected"), "{said}");
    let only = "allow: { fivetran: { only: [vpce-0aaaaaaaaaaaaaaaa] } }";
    script.write("only.yaml", &orders().replace("allow: { fivetran: {} }", only));
    let (status, said) = wait("--timeout 300ms only.yaml");
    assert!(status == 1 && said.contains("not every consumer is connected"), "{said}");
    // Of several files the one that has it ends the command: the consumer of the other one never asks.
    script.write("acme.yaml", &for_acme().replace("name: orders", "name: invoices"));
    assert_eq!(code(&script.quietly("--sandbox apply acme.yaml --yes")), 0);
    let (status, said) = wait(&format!("--connection {own} --timeout 5m acme.yaml aws.yaml"));
    assert!(status == 0 && said.contains(&format!("{own} is connected.")), "{said}");
}

#[test]
fn what_was_decided_in_one_file_is_said_where_the_next_one_ends_the_command() {
    let script = asked();
    script.write("acme.yaml", &for_acme().replace("name: orders", "name: invoices"));
    assert_eq!(code(&script.quietly("--sandbox apply acme.yaml --yes")), 0);
    let id =
        script.json("sandbox connect invoices --as 210987654321")["connection"].as_str().unwrap().to_owned();
    script.pass(60);
    let mut child = start_in_terminal(&script, "--sandbox accept-pending aws.yaml acme.yaml");
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"y\nn\n").unwrap();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(end(&mut child), 1, "{said}");
    let told = said.lines().filter(|line| line.contains("accepted") && line.contains(" on orders: fivetran"));
    assert_eq!(told.count(), 1, "{said}");
    assert!(said.contains("nothing was done") && said.contains("it ended at acme.yaml"), "{said}");

    // A connection that is named may be of any of the files.
    let line = format!("--sandbox accept-pending aws.yaml acme.yaml --connection {id} --yes");
    let accepted = script.quietly(&line);
    assert_eq!(code(&accepted), 0, "{}", text(&accepted.stderr));
    assert!(text(&accepted.stdout).contains(&format!("accepted {id} on invoices: acme")));
}

#[test]
fn a_server_tells_where_it_is_and_ends_by_ctrl_c() {
    let script = Script::new();
    let mut child =
        start(&script, "sandbox serve --speed 50 --output json --record record.jsonl --latency 5ms");
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut shown = String::new();
    while serde_json::from_str::<Value>(&shown).is_err() {
        assert!(out.read_line(&mut shown).unwrap() > 0, "{shown}");
    }
    let serving: Value = serde_json::from_str(&shown).unwrap();
    let variables = serving["clouds"]["aws"]["variables"].as_object().unwrap();
    assert_eq!(variables["AWS_ENDPOINT_URL"], serving["clouds"]["aws"]["url"]);
    assert!(serving["clouds"]["aws"]["url"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    assert_eq!(serving["speed"], 50.0);

    // privnet without --sandbox reaches it by these variables, as any AWS tool does.
    script.write("aws.yaml", &orders());
    let planned = privnet(script.path())
        .args(["plan", "--detailed-exitcode"])
        .envs(variables.iter().map(|(name, value)| (name, value.as_str().unwrap())))
        .output()
        .unwrap();
    assert_eq!(code(&planned), 2, "{}", text(&planned.stderr));
    let record = std::fs::read_to_string(script.at("record.jsonl")).unwrap();
    for line in record.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        for field in ["time", "cloud", "method", "path", "action", "body", "status", "response"] {
            assert!(line.get(field).is_some(), "{line:#}");
        }
    }
    assert!(record.contains("DescribeVpcEndpointServiceConfigurations"), "{record}");
    interrupt(&child);
    assert_eq!(end(&mut child), 0);
}

/// What a server prints is for a shell to read, from its first line to its last.
#[test]
fn what_a_server_prints_is_for_a_shell() {
    let script = Script::new();
    let mut child = start(&script, "sandbox serve");
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut printed = Vec::new();
    for line in lines.map_while(Result::ok) {
        printed.push(line);
        if printed.last().is_some_and(|line| line.starts_with("# DNS")) {
            break;
        }
    }
    let wrong = |line: &&String| !(line.is_empty() || line.starts_with("# ") || line.starts_with("export "));
    assert_eq!(printed.iter().find(wrong), None);
    let asked = format!("{}\necho $AWS_ENDPOINT_URL", printed.join("\n"));
    let read = Command::new("sh").args(["-euc", &asked]).output().unwrap();
    assert!(read.status.success() && text(&read.stdout).starts_with("http://127.0.0.1:"), "{read:?}");
    interrupt(&child);
    assert_eq!(end(&mut child), 0);
}
