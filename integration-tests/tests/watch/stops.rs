//! How a watch ends: what has begun is finished or told, and the next run mends the rest.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use privnet_integration_tests::command::privnet;
use serde_json::Value;

use super::process::{Folder, PATIENCE, get};
use super::{SPEED, file};

/// The target group's name is in the state before it, and in its own ARN.
fn has_own_load_balancer(folder: &Folder) -> bool {
    // A file that cannot be read is one that somebody is about to make.
    let state: Value = serde_json::from_str(&folder.read("sandbox/aws.json")).unwrap_or_default();
    state["load_balancers"].to_string().contains("/pn-orders")
}

#[test]
fn sigterm_in_the_middle_of_an_apply_ends_it_in_order_and_the_next_watch_mends() {
    // Provisioning takes a minute, so that the signal falls into it.
    let folder = Folder::new(2.0);
    folder.write("orders.yaml", &file("orders", "fivetran", "{ ips: [10.0.0.25] }"));
    let mut watch = folder.watch("");
    watch.until("started", |line| line["event"] == "started");
    let started = Instant::now();
    while !has_own_load_balancer(&folder) {
        assert!(started.elapsed() < PATIENCE, "the load balancer never came");
        std::thread::sleep(Duration::from_millis(10));
    }
    let asked = Instant::now();
    watch.signal("-TERM");
    let round = watch.round("orders", "tells what became of it", |_| true);
    assert_eq!(round["outcome"], "interrupted", "{round:#}");
    let actions = round["actions"].as_array().unwrap();
    let of = |address: &str| actions.iter().find(|one| one["address"] == address).unwrap()["outcome"].clone();
    assert_eq!(of("orders/load-balancer/main"), "failed", "what was under way: {round:#}");
    assert_eq!(of("orders/endpoint-service/main"), "skipped", "{round:#}");
    let (code, last, said) = watch.end();
    assert_eq!((code, &last["why"]), (Some(0), &"terminated".into()), "{said}");
    assert!(said.contains("terminated: what has begun is being finished"), "{said}");
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());

    folder.clock(Some(SPEED));
    let mut watch = folder.watch("");
    watch.round("orders", "mends", |round| round["outcome"] == "mended");
    assert_eq!(watch.stop("-INT").0, Some(130));
    folder.demand("--sandbox plan --detailed-exitcode");
}

#[test]
fn a_watch_that_waits_ends_at_once() {
    for (signal, expected) in [("-TERM", 0), ("-INT", 130)] {
        let folder = Folder::new(1.0);
        folder.write("orders.yaml", &file("orders", "fivetran", "{ ips: [10.0.0.25] }"));
        let mut watch = folder.watch("--observe --interval 1h");
        watch.round("orders", "is looked at", |_| true);
        let asked = Instant::now();
        assert_eq!(watch.stop(signal).0, Some(expected));
        assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    }
}

/// Somebody reads the first line and no more: the deployments are looked at as ever, and a signal ends it.
#[test]
fn a_reader_who_does_not_read_stalls_nothing() {
    // So fast that it is looked at all the time.
    let folder = Folder::new(1_000.0);
    folder.write("orders.yaml", &file("orders", "fivetran", "{ ips: [10.0.0.25] }"));
    let mut command = privnet(folder.path());
    let words = "--sandbox watch --output json --observe --interval 10s --listen 127.0.0.1:0";
    command.args(words.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let started: Value = serde_json::from_str(&line).unwrap();
    let address = started["listen"].as_str().unwrap();
    line.clear();
    out.read_line(&mut line).unwrap();
    // A pipe holds 64 KiB, and no pipe here is larger: so many rounds do not fit into it.
    let rounds = 2 + 2 * 65_536 / line.len();
    let label = "privnet_rounds_total{deployment=\"orders\",outcome=\"differs\"} ";
    let begun = Instant::now();
    loop {
        let text = get(address, "/metrics").2;
        let seen = text.lines().find_map(|line| line.strip_prefix(label)?.parse::<usize>().ok()).unwrap();
        if seen >= rounds {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{seen} of {rounds} rounds: it waits for its reader");
        std::thread::sleep(Duration::from_millis(50));
    }
    let asked = Instant::now();
    let sent = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
}

/// A log collector that does not read holds up neither a round nor the end.
#[test]
fn a_log_that_nobody_reads_holds_up_nothing() {
    let folder = Folder::new(SPEED);
    folder.write("orders.yaml", &file("orders", "acme", "{ ips: [10.0.0.25] }"));
    let mut watch = folder.watch("orders.yaml -vvv --observe --interval 10s --listen 127.0.0.1:0");
    // Nobody reads its standard error before the end, and a pipe holds 64 KiB (pipe(7)).
    let (mut calls, mut rounds) = (0, 0);
    while calls < 1000 {
        let round = watch.round("orders", "is looked at again", |round| round["outcome"] == "differs");
        calls += round["calls"].as_u64().unwrap();
        rounds += 1;
    }
    let (status, _, said) = watch.stop("-TERM");
    assert_eq!(status, Some(0));
    assert!(said.len() > 60_000, "{rounds} rounds with {calls} calls logged {} bytes only", said.len());
}
