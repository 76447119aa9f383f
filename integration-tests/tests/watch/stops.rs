//! How a watch ends: what has begun is finished or told, and the next run mends the rest.

use std::time::{Duration, Instant};

use super::process::{Folder, PATIENCE};
use super::{SPEED, file};

#[test]
fn sigterm_in_the_middle_of_an_apply_ends_it_in_order_and_the_next_watch_mends() {
    // Provisioning takes a minute, so that the signal falls into it.
    let folder = Folder::new(2.0);
    folder.write("orders.yaml", &file("orders", "fivetran", "{ ips: [10.0.0.25] }"));
    let mut watch = folder.watch("");
    watch.until("started", |line| line["event"] == "started");
    let started = Instant::now();
    while !folder.read("sandbox/aws.json").contains("/pn-orders") {
        assert!(started.elapsed() < PATIENCE, "the load balancer never came");
        std::thread::sleep(Duration::from_millis(10));
    }
    let asked = Instant::now();
    watch.signal("-TERM");
    let round = watch.round("orders", "tells what became of it", |_| true);
    assert_eq!(round["outcome"], "interrupted", "{round:#}");
    let outcomes: Vec<_> = round["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|action| action["outcome"].as_str().unwrap())
        .collect();
    assert!(outcomes.contains(&"failed") && outcomes.contains(&"skipped"), "{round:#}");
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
