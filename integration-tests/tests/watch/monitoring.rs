//! Metrics and probes on a loopback port.

use super::process::{Folder, get};
use super::{SPEED, broken, file};

/// The value of a metric.
fn value(text: &str, name: &str, labels: &str) -> f64 {
    let start = format!("privnet_{name}{{{labels}}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {start}in\n{text}"))
}

#[test]
fn metrics_are_scraped_over_loopback() {
    let folder = Folder::new(SPEED);
    folder.write("orders.yaml", &file("orders", "fivetran", "{ ips: [10.0.0.25] }"));
    folder.write("broken.yaml", &broken());
    let mut watch = folder.watch("--interval 20s --listen 127.0.0.1:0");
    let started = watch.until("started", |line| line["event"] == "started");
    let address = started["listen"].as_str().unwrap().to_owned();
    assert_eq!(get(&address, "/healthz").0, 200);
    watch.round("orders", "lets the vendor in", |round| {
        round["decisions"].to_string().contains("\"carried_out\":true")
    });
    watch.round("broken", "fails", |round| round["outcome"] == "failed");
    let at = watch.round("orders", "agrees", |round| round["outcome"] == "agrees" && round["pending"] == 1);

    let (status, head, text) = get(&address, "/metrics");
    assert_eq!(status, 200);
    assert!(
        head.to_lowercase().contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{head}"
    );
    assert!(text.ends_with("# EOF\n"), "{text}");
    let orders = "deployment=\"orders\"";
    assert!(value(&text, "accepted_total", orders) >= 1.0);
    assert!(value(&text, "pending_requests", orders) >= 1.0, "the stranger");
    assert!(value(&text, "drift_found_total", orders) > 4.0, "what was made was found missing");
    assert!(value(&text, "calls_total", orders) >= at["calls"].as_f64().unwrap());
    assert!(value(&text, "last_success_timestamp_seconds", orders) > 1.7e9);
    for (name, expected) in
        [("ambiguous_requests", 0.0), ("drift", 0.0), ("errors_total", 0.0), ("file_good", 1.0)]
    {
        assert_eq!(value(&text, name, orders), expected, "{name}");
    }
    let broken = "deployment=\"broken\"";
    assert!(value(&text, "errors_total", broken) >= 1.0);
    assert!(value(&text, "rounds_total", &format!("{broken},outcome=\"failed\"")) >= 1.0);
    assert_eq!(value(&text, "last_success_timestamp_seconds", broken), 0.0);

    // Ready is who could be looked at; each that could not is named.
    let (status, _, why) = get(&address, "/readyz");
    assert_eq!((status, why.contains("broken"), why.contains("orders")), (503, true, false), "{why}");
    assert_eq!((get(&address, "/healthz").0, get(&address, "/").0), (200, 404));

    folder.write("orders.yaml", "version: 2\n");
    watch.file("kept");
    assert_eq!(value(&get(&address, "/metrics").2, "file_good", orders), 0.0);

    // The port is taken: the second watch says so at once.
    let second = folder.run(&format!("--sandbox watch broken.yaml --listen {address}"));
    assert_eq!(second.status.code(), Some(1), "{}", String::from_utf8_lossy(&second.stderr));
    let elsewhere = folder.run("--sandbox watch broken.yaml --listen 0.0.0.0:9464");
    assert_eq!(elsewhere.status.code(), Some(64));
    assert_eq!(watch.stop("-TERM").0, Some(0));
}
