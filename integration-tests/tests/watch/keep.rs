//! What a watch mends, decides, reports and leaves.

use privnet_integration_tests::query::{Api, element, query};
use privnet_integration_tests::records::record_of;
use privnet_sandbox::{Options, Sandbox};
use serde_json::Value;

use super::process::Folder;
use super::{SPEED, broken, file};

const IPS: &str = "{ ips: [10.0.0.25] }";

fn agrees(round: &Value) -> bool {
    round["outcome"] == "agrees"
}

/// Somebody else deregisters the service's only target.
fn take_target_away(folder: &Folder) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut options = Options::new(folder.path().join("sandbox"));
    options.record = record_of(folder.path());
    let serving = runtime.block_on(Sandbox::serve(&options)).unwrap();
    let url = serving.url("aws").unwrap();
    let groups = query(url, Api::Elb, "DescribeTargetGroups", &[]).unwrap();
    let own = groups.split("<member>").find(|group| group.contains("<TargetGroupName>pn-orders")).unwrap();
    let arn = element(own, "", "TargetGroupArn").unwrap();
    let target =
        [("TargetGroupArn", arn), ("Targets.member.1.Id", "10.0.0.25"), ("Targets.member.1.Port", "5432")];
    query(url, Api::Elb, "DeregisterTargets", &target).unwrap();
    runtime.block_on(serving.shutdown());
}

/// The connections of a service, by state.
fn connections(folder: &Folder, name: &str) -> Vec<Value> {
    let status = folder.json(&format!("--sandbox status {name}"));
    status["services"][0]["connections"].as_array().unwrap_or_else(|| panic!("{status:#}")).clone()
}

#[test]
fn a_file_is_applied_its_consumer_let_in_and_drift_mended() {
    let folder = Folder::new(SPEED);
    folder.write("orders.yaml", &file("orders", "fivetran", IPS));
    let mut watch = folder.watch("orders.yaml --interval 30s");
    let first = watch.round("orders", "is made", |round| round["outcome"] == "mended");
    assert_eq!(first["actions"][0]["outcome"], "done", "{first:#}");
    assert!(first["calls"].as_u64() > Some(10) && first["summary"]["create"].as_u64() > Some(4), "{first:#}");

    // The vendor asks, and a stranger does: one is let in, by the audit log first.
    let accepted = |round: &Value| round["decisions"].to_string().contains("\"carried_out\":true");
    let round = watch.round("orders", "lets the vendor in", accepted);
    let log = folder.read("sandbox/audit.jsonl");
    let entry: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!((&entry["decision"], &entry["consumer"]), (&"accept".into(), &"fivetran".into()), "{log}");
    let stranger = |round: &Value| {
        let decisions = round["decisions"].as_array().unwrap();
        decisions.iter().any(|d| d["decision"] == "left" && d["consumer"].is_null()) && agrees(round)
    };
    let left = watch.round("orders", "leaves the stranger", stranger);
    assert_eq!(left["pending"], 1, "{left:#}\n{round:#}");

    // Somebody takes the target away: the difference is found and mended, and nothing else is touched.
    take_target_away(&folder);
    let mended = watch.round("orders", "mends it", |round| round["outcome"] == "mended");
    let actions = mended["actions"].as_array().unwrap();
    assert!(
        actions.iter().all(|action| action["op"] == "update" && action["outcome"] == "done"),
        "{mended:#}"
    );
    watch.round("orders", "agrees again", agrees);
    let (code, last, said) = watch.stop("-TERM");
    assert_eq!((code, &last["why"]), (Some(0), &"terminated".into()), "{said}");
    folder.demand("--sandbox plan orders.yaml --detailed-exitcode");
    assert_eq!(folder.read("sandbox/audit.jsonl").lines().count(), 1, "one decision, one line");
}

#[test]
fn observing_changes_and_decides_nothing() {
    let folder = Folder::new(SPEED);
    folder.write("orders.yaml", &file("orders", "fivetran", IPS));
    let mut watch = folder.watch("--observe --interval 10s");
    let empty = watch.round("orders", "differs", |round| round["outcome"] == "differs");
    assert!(
        empty["summary"]["create"].as_u64() > Some(4) && empty["actions"][0]["outcome"].is_null(),
        "{empty:#}"
    );
    watch.round("orders", "differs still", |round| round["outcome"] == "differs");
    assert_eq!(folder.json("--sandbox status")["services"][0]["state"], "absent");

    folder.demand("--sandbox apply --yes");
    let would = |round: &Value| {
        let decisions = round["decisions"].as_array().unwrap();
        decisions.iter().any(|d| d["decision"] == "accepted" && d["carried_out"] == false)
    };
    let round = watch.round("orders", "would let the vendor in", would);
    assert_eq!((&round["outcome"], &round["observe"]), (&"differs".into(), &true.into()), "{round:#}");
    watch.round("orders", "would still", would);
    assert_eq!(watch.stop("-TERM").0, Some(0));
    assert!(connections(&folder, "orders.yaml").iter().all(|one| one["state"] == "pending"));
    assert_eq!(folder.read("sandbox/audit.jsonl"), "", "nothing was decided");
}

#[test]
fn an_ambiguous_request_is_left_and_told() {
    let folder = Folder::new(SPEED);
    folder.write("orders.yaml", &file("orders", "fivetran", IPS));
    folder.demand("--sandbox apply --yes");
    folder.clock(None).advance(std::time::Duration::from_secs(60)).unwrap();
    folder.demand("sandbox connect orders");
    let mut watch = folder.watch("--interval 10s");
    let told = watch.round("orders", "is ambiguous", |round| round["outcome"] == "refused");
    assert_eq!((&told["ambiguous"], &told["pending"]), (&2.into(), &3.into()), "{told:#}");
    assert!(told["decisions"].to_string().contains("ask the vendor which is yours"), "{told:#}");
    watch.round("orders", "is ambiguous still", |round| round["ambiguous"] == 2);
    assert_eq!(watch.stop("-INT").0, Some(130));
    assert!(connections(&folder, "orders.yaml").iter().all(|one| one["state"] == "pending"));
}

#[test]
fn without_an_audit_log_nobody_is_let_in() {
    let folder = Folder::new(SPEED);
    folder.write("orders.yaml", &file("orders", "fivetran", IPS));
    folder.demand("--sandbox apply --yes");
    folder.clock(None).advance(std::time::Duration::from_secs(60)).unwrap();
    std::fs::create_dir(folder.path().join("log")).unwrap();
    let mut watch = folder.watch("--interval 10s --audit-log log");
    let failed = watch.round("orders", "cannot write", |round| round["outcome"] == "failed");
    assert!(failed["errors"].as_u64() > Some(0) && failed["pending"] == 2, "{failed:#}");
    assert!(failed["decisions"].to_string().contains("could not be written to the audit log"), "{failed:#}");
    watch.round("orders", "cannot write still", |round| round["outcome"] == "failed");
    assert_eq!(watch.stop("-TERM").0, Some(0));
    assert!(connections(&folder, "orders.yaml").iter().all(|one| one["state"] == "pending"));
}

/// An edit that would sever a live consumer, and one for somebody else's account: told, and nothing is done.
#[test]
fn what_a_safety_rule_refuses_is_told_and_left() {
    let folder = Folder::new(SPEED);
    folder.write("orders.yaml", &file("orders", "fivetran", IPS));
    let mut watch = folder.watch("--interval 10s");
    watch.round("orders", "lets the vendor in", |round| {
        round["decisions"].to_string().contains("\"carried_out\":true")
    });
    let severing = file("orders", "fivetran", IPS).replace("listen: 5432", "listen: 6432");
    folder.write("orders.yaml", &severing);
    assert_eq!(watch.file("taken")["file"], "orders.yaml");
    let refused = watch.round("orders", "is refused", |round| round["outcome"] == "refused");
    assert_eq!(refused["refusals"][0]["rule"], "would-sever", "{refused:#}");
    assert_eq!(refused["actions"], serde_json::json!([]), "{refused:#}");
    folder.write("orders.yaml", &file("orders", "fivetran", IPS).replace("123456789012", "210987654321"));
    let refused = watch
        .round("orders", "is another account's", |round| round["refusals"][0]["rule"] == "wrong-account");
    assert_eq!(refused["actions"], serde_json::json!([]), "{refused:#}");
    // A service that is taken out of the file is left.
    let two = file("orders", "fivetran", IPS).replace("name: orders", "name: other").replace("5432", "5433");
    folder.write("orders.yaml", &two);
    let left = watch.round("orders", "leaves the service", |round| round["left"][0]["service"] == "orders");
    assert!(left["actions"].as_array().unwrap().iter().all(|action| action["op"] != "delete"), "{left:#}");
    assert_eq!(watch.stop("-TERM").0, Some(0));
    folder.write("orders.yaml", &file("orders", "fivetran", IPS));
    let live = connections(&folder, "orders.yaml");
    assert!(live.iter().any(|one| one["state"] == "accepted"), "{live:#?}");
}

/// One deployment's cloud cannot be read: it is looked at less and less often, and the other one as often as ever. That neither waits for
/// the other is shown in `crates/privnet/tests/watch_side_by_side.rs`.
#[test]
fn a_deployment_that_fails_delays_no_other() {
    let folder = Folder::new(SPEED);
    folder.write("orders.yaml", &file("orders", "fivetran", IPS));
    folder.write("broken.yaml", &broken());
    folder.demand("--sandbox apply --yes orders.yaml");
    let mut watch = folder.watch("--interval 20s");
    let started = watch.until("started", |line| line["event"] == "started");
    assert_eq!(started["interval_seconds"], 20.0, "as it was given");
    // The local cloud's time passes faster, and so do the looks at it.
    let interval = 20.0 / SPEED;
    let (mut pauses, mut rounds) = (Vec::new(), 0);
    while pauses.len() < 6 || rounds < 6 {
        let line = watch.until("a round", |line| line["event"] == "round");
        let next = line["next_seconds"].as_f64().unwrap();
        if line["deployment"] == "broken" {
            assert_eq!(line["outcome"], "failed", "{line:#}");
            assert!(line["errors"].as_u64() > Some(0), "{line:#}");
            pauses.push(next);
        } else {
            assert_ne!(line["outcome"], "failed", "{line:#}");
            assert!(next <= interval, "{next} > {interval}");
            rounds += 1;
        }
    }
    // 32 intervals, of which at least half is drawn, against one.
    assert!(pauses[5] > 4.0 * pauses[0] && pauses[5] >= 16.0 * interval, "{pauses:?}");
    assert_eq!(watch.stop("-TERM").0, Some(0));
}
