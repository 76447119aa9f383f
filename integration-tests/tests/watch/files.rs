//! Files that change under a watch.

use super::process::{Folder, get};
use super::{SPEED, file};

const IPS: &str = "{ ips: [10.0.0.25] }";

#[test]
fn a_bad_edit_keeps_the_last_good_one_and_a_good_one_is_taken() {
    let folder = Folder::new(SPEED);
    let good = file("orders", "fivetran", IPS);
    folder.write("orders.yaml", &good);
    let mut watch = folder.watch("--interval 20s");
    watch.round("orders", "is made", |round| round["outcome"] == "mended");

    folder.write("orders.yaml", &good.replace("listen: 5432", "listen: 99999"));
    let kept = watch.file("kept");
    assert_eq!((&kept["deployment"], &kept["code"]), (&"orders".into(), &"wrong".into()), "{kept:#}");
    assert!(kept["errors"][0]["line"].as_u64() > Some(5), "{kept:#}");
    watch.round("orders", "goes on with the last good one", |round| round["outcome"] == "agrees");

    folder.write("orders.yaml", &file("renamed", "fivetran", IPS));
    let kept = watch.file("kept");
    assert_eq!(kept["code"], "other-deployment", "{kept:#}");
    assert!(kept["why"].as_str().unwrap().contains("`renamed`"), "{kept:#}");

    folder.remove("orders.yaml");
    assert_eq!(watch.file("kept")["code"], "gone");
    watch.round("orders", "goes on without the file", |round| round["outcome"] == "agrees");

    folder.write("orders.yaml", &good);
    assert_eq!(watch.file("back")["file"], "orders.yaml");
    folder.write("orders.yaml", &good.replace("10.0.0.25", "10.0.0.25, 10.0.1.26"));
    watch.file("taken");
    let mended = watch.round("orders", "does what the edit says", |round| round["outcome"] == "mended");
    assert!(mended["actions"].to_string().contains("10.0.1.26"), "{mended:#}");
    assert_eq!(watch.stop("-TERM").0, Some(0));
}

/// Two files of one deployment would undo each other's work: neither at the start nor by an edit.
#[test]
fn a_deployment_is_watched_once() {
    let folder = Folder::new(SPEED);
    folder.write("a.yaml", &file("orders", "fivetran", IPS));
    folder.write("b.yaml", &file("orders", "fivetran", IPS));
    let refused = folder.run("--sandbox watch a.yaml b.yaml");
    assert_eq!(refused.status.code(), Some(65), "{}", String::from_utf8_lossy(&refused.stderr));
    folder.write("b.yaml", &file("billing", "acme", IPS).replace("5432", "5433"));
    let mut watch = folder.watch("a.yaml b.yaml --interval 20s --observe");
    watch.round("billing", "is looked at", |_| true);
    folder.write("b.yaml", &file("orders", "fivetran", IPS));
    assert_eq!(watch.file("kept")["code"], "other-deployment");
    watch.round("billing", "is watched on", |_| true);
    assert_eq!(watch.stop("-TERM").0, Some(0));
}

/// Without FILE a watch is over the folder: what comes later is watched, and what cannot be is told.
#[test]
fn a_file_that_comes_later_is_watched() {
    let folder = Folder::new(SPEED);
    folder.write("orders.yaml", &file("orders", "fivetran", IPS));
    let mut watch = folder.watch("--interval 20s --observe --listen 127.0.0.1:0");
    let started = watch.until("started", |line| line["event"] == "started");
    let address = started["listen"].as_str().unwrap().to_owned();
    watch.round("orders", "is looked at", |_| true);

    let billing = file("billing", "acme", IPS).replace("5432", "5433");
    folder.write("billing.yaml", &billing.replace("listen: 5433", "listen: 99999"));
    let left = watch.file("unwatched");
    assert_eq!((&left["file"], &left["code"]), (&"billing.yaml".into(), &"wrong".into()), "{left:#}");
    assert!(left["deployment"].is_null() && left["errors"][0]["line"].as_u64() > Some(5), "{left:#}");
    let metrics = get(&address, "/metrics").2;
    assert!(metrics.contains("\nprivnet_files_not_watched 1\n"), "{metrics}");

    folder.write("billing.yaml", &billing);
    let added = watch.file("added");
    assert_eq!(
        (&added["file"], &added["deployment"]),
        (&"billing.yaml".into(), &"billing".into()),
        "{added:#}"
    );
    watch.round("billing", "is looked at", |round| round["outcome"] == "differs");
    let metrics = get(&address, "/metrics").2;
    assert!(metrics.contains("\nprivnet_files_not_watched 0\n"), "{metrics}");
    assert!(metrics.contains("privnet_file_good{deployment=\"billing\"} 1\n"), "{metrics}");

    // From then on it is a file like any other, and a copy of it is not watched.
    folder.write("copy.yaml", &billing);
    let twice = watch.file("unwatched");
    assert_eq!((&twice["file"], &twice["code"]), (&"copy.yaml".into(), &"twice".into()), "{twice:#}");
    assert!(twice["why"].as_str().unwrap().contains("billing.yaml"), "{twice:#}");
    folder.remove("billing.yaml");
    assert_eq!(watch.file("kept")["code"], "gone");
    folder.write("billing.yaml", &billing);
    assert_eq!(watch.file("back")["deployment"], "billing");
    assert_eq!(watch.stop("-TERM").0, Some(0));
}

/// A folder without a file is one whose first file comes later: a supervisor that starts the watch before is not told of bad usage.
#[test]
fn a_watch_begins_in_an_empty_folder() {
    let folder = Folder::new(SPEED);
    let mut watch = folder.watch("--interval 20s --observe --service orders");
    let started = watch.until("started", |line| line["event"] == "started");
    assert_eq!(started["deployments"], serde_json::json!([]), "{started:#}");
    assert_eq!(started["services"], serde_json::json!(["orders"]), "{started:#}");
    folder.write("orders.yaml", &file("orders", "fivetran", IPS));
    assert_eq!(watch.file("added")["deployment"], "orders");
    watch.round("orders", "is looked at", |round| round["outcome"] == "differs");
    assert_eq!(watch.stop("-TERM").0, Some(0));

    folder.remove("orders.yaml");
    for (line, said) in [
        ("--sandbox watch", "no file of a deployment yet: those that come are watched: a look"),
        // Who mistypes a name sees it here.
        (
            "--sandbox watch --service ordres",
            "those that come are watched when they have the service ordres: a look",
        ),
    ] {
        let first = first_line(&folder, line);
        assert!(first.contains(said), "{line}: {first}");
    }
}

/// What a watch says first on standard error.
fn first_line(folder: &Folder, line: &str) -> String {
    let mut watch = privnet_integration_tests::command::privnet(folder.path());
    let watch = watch.args(line.split_whitespace()).stderr(std::process::Stdio::piped());
    let mut watch = watch.spawn().unwrap();
    let mut said = String::new();
    let errors = watch.stderr.as_mut().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(errors), &mut said).unwrap();
    let sent = std::process::Command::new("kill").args(["-INT", &watch.id().to_string()]).status();
    assert!(sent.unwrap().success());
    assert_eq!(watch.wait().unwrap().code(), Some(130));
    said
}

/// One that was there from the beginning and cannot be read may be meant: it is told and counted, until it can be.
#[test]
fn a_file_that_cannot_be_read_is_counted() {
    let folder = Folder::new(SPEED);
    folder.write("orders.yaml", &file("orders", "fivetran", IPS));
    std::fs::write(folder.path().join("billing.yaml"), b"version: 1\ndeployment: caf\xe9\n").unwrap();
    let mut watch = folder.watch("--interval 20s --observe --listen 127.0.0.1:0");
    let started = watch.until("started", |line| line["event"] == "started");
    let address = started["listen"].as_str().unwrap().to_owned();
    let left = watch.file("unwatched");
    assert_eq!((&left["file"], &left["code"]), (&"billing.yaml".into(), &"unreadable".into()), "{left:#}");
    let metrics = get(&address, "/metrics").2;
    assert!(metrics.contains("\nprivnet_files_not_watched 1\n"), "{metrics}");
    // What is watched, and cannot be read any more, is watched on.
    std::fs::write(folder.path().join("orders.yaml"), b"caf\xe9").unwrap();
    assert_eq!(watch.file("kept")["code"], "unreadable");
    folder.write("billing.yaml", &file("billing", "acme", IPS).replace("5432", "5433"));
    assert_eq!(watch.file("added")["deployment"], "billing");
    let metrics = get(&address, "/metrics").2;
    assert!(metrics.contains("\nprivnet_files_not_watched 0\n"), "{metrics}");
    assert_eq!(watch.stop("-TERM").0, Some(0));
}

/// A named pipe that nobody writes to holds up nothing: neither the start nor a deployment.
#[test]
fn a_pipe_is_no_file_to_watch() {
    let folder = Folder::new(SPEED);
    let pipe = |name: &str| {
        let made = std::process::Command::new("mkfifo").arg(folder.path().join(name)).status().unwrap();
        assert!(made.success());
    };
    pipe("pipe.yaml");
    let refused = folder.run("--sandbox watch pipe.yaml");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(65), "{said}");
    assert!(said.contains("pipe.yaml is no regular file") && said.contains("hint:"), "{said}");
    let refused = folder.run("--sandbox watch .");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("without FILE"), "{refused:?}");

    // Among the files of a folder it is passed over.
    folder.write("orders.yaml", &file("orders", "fivetran", IPS));
    let mut watch = folder.watch("--interval 20s --observe");
    watch.round("orders", "is looked at", |_| true);
    folder.remove("orders.yaml");
    pipe("orders.yaml");
    let kept = watch.file("kept");
    assert_eq!(kept["code"], "unreadable", "{kept:#}");
    watch.round("orders", "is looked at by the last good text", |_| true);
    folder.remove("orders.yaml");
    folder.write("orders.yaml", &file("orders", "fivetran", IPS));
    assert_eq!(watch.file("back")["deployment"], "orders");
    assert_eq!(watch.stop("-TERM").0, Some(0));
}

#[test]
fn a_watch_of_some_services_keeps_to_them() {
    let folder = Folder::new(SPEED);
    let both = |second: &str| {
        let other = file("orders", "acme", IPS)
            .replace("name: orders", &format!("name: {second}"))
            .replace("5432", "5433");
        let (_, service) = other.split_once("services:\n").unwrap();
        file("orders", "acme", IPS) + service
    };
    folder.write("orders.yaml", &both("second"));
    let mut watch = folder.watch("--observe --service second --interval 20s");
    let round = watch.round("orders", "is looked at", |_| true);
    let actions = round["actions"].as_array().unwrap();
    assert!(actions.iter().all(|a| a["address"].as_str().unwrap().starts_with("second/")), "{round:#}");
    folder.write("orders.yaml", &both("third"));
    assert_eq!(watch.file("kept")["code"], "no-such-service");
    assert_eq!(watch.stop("-TERM").0, Some(0));
    assert_eq!(folder.run("--sandbox watch --service nobody").status.code(), Some(64));
}

/// Without FILE a watch of some services is over the files that have one of them, also over those that come later.
#[test]
fn a_watch_of_some_services_is_over_the_files_that_have_them() {
    let folder = Folder::new(SPEED);
    folder.write("orders.yaml", &file("orders", "acme", IPS));
    folder.write("reports.yaml", &file("reports", "acme", IPS).replace("5432", "5434"));
    let mut watch = folder.watch("--observe --service orders --interval 20s --listen 127.0.0.1:0");
    let started = watch.until("started", |line| line["event"] == "started");
    assert_eq!(started["deployments"], serde_json::json!([{"deployment": "orders", "file": "orders.yaml"}]));
    watch.round("orders", "is looked at", |round| round["outcome"] == "differs");

    // One that comes later and has none of them is passed over, and nobody is woken for it.
    let late = file("late", "acme", IPS).replace("5432", "5433");
    folder.write("late.yaml", &late);
    folder.write("wrong.yaml", "version: 2\ndeployment: wrong\n");
    assert_eq!(watch.file("unwatched")["file"], "wrong.yaml");
    let metrics = get(started["listen"].as_str().unwrap(), "/metrics").2;
    assert!(metrics.contains("\nprivnet_files_not_watched 1\n"), "{metrics}");
    assert!(!metrics.contains("late") && !metrics.contains("reports"), "{metrics}");

    // When it has one it is watched, for that one alone, and as long as it has it.
    let (_, service) = late.split_once("services:\n").unwrap();
    let both = late.clone() + &service.replace("name: late", "name: orders").replace("5433", "5435");
    folder.write("late.yaml", &both);
    assert_eq!(watch.file("added")["deployment"], "late");
    let round = watch.round("late", "is looked at", |_| true);
    let actions = round["actions"].as_array().unwrap();
    assert!(!actions.is_empty(), "{round:#}");
    assert!(actions.iter().all(|a| a["address"].as_str().unwrap().starts_with("orders/")), "{round:#}");
    folder.write("late.yaml", &late);
    let kept = watch.file("kept");
    assert_eq!((&kept["deployment"], &kept["code"]), (&"late".into(), &"no-such-service".into()), "{kept:#}");
    assert_eq!(watch.stop("-TERM").0, Some(0));
}
