//! What users overlook is told, and is no success: files that are left out, places that nobody looked at, a disk that is full.

use std::process::Command;

use privnet_integration_tests::command::binary;

use super::script::{Script, code, text};
use super::{HEAD, ORDERS, orders};

/// What a command says on both streams, and that it ends so.
fn ends(script: &Script, line: &str, status: i32) -> String {
    let output = script.quietly(line);
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(code(&output), status, "{line}: {said}");
    said
}

/// A file without a service names no place: what is left there is neither deleted nor said to be gone.
#[test]
fn the_last_service_of_a_file_is_not_lost_in_silence() {
    let script = Script::with(&[("aws.yaml", &orders())]);
    ends(&script, "--sandbox apply --yes", 0);
    script.write("aws.yaml", &HEAD.replace("services:", "services: []"));
    let planned = ends(&script, "--sandbox plan", 0);
    assert!(planned.contains("nothing was looked at in aws"), "{planned}");
    for line in ["--sandbox apply --prune --yes", "--sandbox destroy --yes"] {
        let refused = ends(&script, line, 3);
        assert!(refused.contains("`remove: true`"), "{line}: {refused}");
    }
    script.write("aws.yaml", "version: 1\ndeployment: golden\nservices: []\n");
    assert!(ends(&script, "--sandbox destroy --yes", 3).contains("Searched: nothing"));
    assert!(ends(&script, "--sandbox plan", 0).contains("the file has no service"));
    // What it had is there all the same, and another cloud's place is told beside a service.
    let gcp = "  gcp: { project: acme-data, region: us-east4, network: prod, subnet: ilb }\n";
    script.write("aws.yaml", &orders().replace("services:\n", &format!("{gcp}services:\n")));
    let planned = ends(&script, "--sandbox plan --detailed-exitcode", 0);
    assert!(planned.contains("nothing was looked at in gcp"), "{planned}");
}

/// A tombstone is done when nothing is left, and nobody is told to hand over what is gone.
#[test]
fn what_was_removed_is_called_so() {
    let script = Script::with(&[("aws.yaml", &orders())]);
    assert!(ends(&script, "--sandbox apply --yes", 0).contains("Next: "));
    script.write("aws.yaml", &orders().replace("- name: orders\n", "- name: orders\n    remove: true\n"));
    let status = ends(&script, "--sandbox status", 0);
    assert!(status.contains("to be removed") && status.contains("resource(s) are there"), "{status}");
    let removed = ends(&script, "--sandbox apply --yes", 0);
    assert!(!removed.contains("Next: "), "{removed}");
    let status = ends(&script, "--sandbox status", 0);
    assert!(status.contains("removed, as the file says") && !status.contains("privnet apply"), "{status}");
}

/// What is the user's own stays, with whom privnet let in there: also a destroy says who that is, since no later look does.
#[test]
fn who_stays_at_an_endpoint_service_of_ones_own_is_told() {
    let own = "  - name: orders
    allow: { fivetran: {} }
    aws: { existing: { endpoint_service: vpce-svc-0eeeeeeeeeeeeeee5 } }
";
    let script = Script::with(&[("aws.yaml", &format!("{HEAD}{own}"))]);
    ends(&script, "--sandbox apply --yes", 0);
    script.pass(60);
    ends(&script, "--sandbox accept-pending --yes", 0);
    script.pass(60);
    let connected = super::connection(&script, "fivetran");
    let tombstone = own.replace("- name: orders\n", "- name: orders\n    remove: true\n");
    script.write("aws.yaml", &format!("{HEAD}{tombstone}"));
    let stays = format!("{connected} (account:834469178297)");
    for line in ["--sandbox plan", "--sandbox destroy --yes"] {
        let said = ends(&script, line, 0);
        assert!(said.contains("- delete allowed-principals/supplied"), "{line}: {said}");
        let told = said.lines().find(|line| line.contains("whoever was let in there stays (now connected: "));
        assert!(told.is_some_and(|told| told.contains(&stays)), "{line}: {said}");
    }
}

#[test]
fn files_that_are_left_out_are_told() {
    let script = Script::with(&[("a.yaml", &orders()), ("compose.yaml", "services: {}\n")]);
    script.write("b.yaml", &orders().replace("deployment:", "deploymet:"));
    script.write("c.yaml", &orders().replace("version:", " version:"));
    let wide: Vec<u8> = orders().encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(script.at("d.yaml"), wide).unwrap();
    for line in ["validate", "--sandbox status", "render forwarder"] {
        let output = script.quietly(line);
        let told = text(&output.stderr);
        for name in ["b.yaml", "c.yaml", "d.yaml"] {
            assert!(told.contains(&format!("warning: {name} is left out: ")), "{line}: {told}");
        }
        assert!(!told.contains("compose.yaml"), "{line}: {told}");
    }
    std::fs::remove_file(script.at("a.yaml")).unwrap();
    assert!(ends(&script, "validate", 64).contains("d.yaml is left out: it is not UTF-8 text"));
}

#[test]
fn a_file_that_cannot_be_read_hides_nothing_of_the_others() {
    let script = Script::with(&[("good.yaml", &orders()), ("bad.yaml", super::WRONG)]);
    std::fs::create_dir(script.at("folder.yaml")).unwrap();
    let line = "validate good.yaml bad.yaml folder.yaml none.yaml";
    let said = ends(&script, line, 65);
    for part in ["cannot read folder.yaml", "cannot read none.yaml", "bad.yaml:5"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let files = script.json(line)["files"].clone();
    let found: Vec<_> = files
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (file["file"].as_str().unwrap(), !file["errors"].as_array().unwrap().is_empty()))
        .collect();
    assert_eq!(found, [("good.yaml", false), ("bad.yaml", true), ("folder.yaml", true), ("none.yaml", true)]);
}

/// A name that only a file has is found beside files that cannot be read; where it is not, it may be in one of these.
#[test]
fn a_file_that_cannot_be_read_hides_no_name_of_the_others() {
    let shared = "version: 1
deployment: shared
consumers: { acme: { gcp: { projects: [acme-reader] } } }
services:
  - name: reports
    allow: { acme: {} }
    gcp: { project: acme-data, region: us-east4, existing: { service_attachment: shared-db } }
";
    let script = Script::with(&[("good.yaml", shared), ("bad.yaml", super::WRONG)]);
    let asked = ends(&script, "sandbox connect reports --as acme-reader", 0);
    assert!(asked.contains("asks for"), "{asked}");
    let unknown = ends(&script, "sandbox connect nothing", 1);
    assert!(unknown.contains("bad.yaml could not be read, so its names are not known"), "{unknown}");
    script.write("worse.yaml", super::WRONG);
    let unknown = ends(&script, "sandbox connect nothing", 1);
    let hints: Vec<_> = unknown.lines().filter(|line| line.contains("could not be read")).collect();
    assert_eq!(hints, ["hint: bad.yaml, worse.yaml could not be read, so their names are not known"]);
    std::fs::remove_file(script.at("bad.yaml")).unwrap();
    std::fs::remove_file(script.at("worse.yaml")).unwrap();
    assert!(!ends(&script, "sandbox connect nothing", 1).contains("could not be read"));
}

/// A service by name is one that the file lists, and a prune is of the others: the word is not passed over in silence.
#[test]
fn a_prune_of_a_service_by_name_says_that_it_does_nothing() {
    let script = Script::with(&[("aws.yaml", &orders())]);
    let said = "warning `--prune` takes away nothing here";
    for line in ["plan", "apply --yes"] {
        assert!(ends(&script, &format!("--sandbox {line} --prune --service orders"), 0).contains(said));
        assert!(!ends(&script, &format!("--sandbox {line} --service orders"), 0).contains(said));
        assert!(!ends(&script, &format!("--sandbox {line} --prune"), 0).contains(said));
    }
}

#[test]
fn a_file_behind_service_is_told_to_be_one() {
    let script = Script::with(&[("privnet.yaml", &orders()), ("other.yaml", &orders())]);
    let said = ends(&script, "--sandbox plan --service orders other.yaml", 64);
    assert!(said.contains("put FILE before --service, or write --service=NAME"), "{said}");
    ends(&script, "--sandbox plan --service=orders other.yaml", 0);
    ends(&script, "--sandbox plan other.yaml --service orders", 0);
}

/// A script that finds half a result must not take it for the whole, and nothing is done that could not be shown.
#[test]
fn a_full_disk_is_no_success() {
    let script = Script::with(&[("aws.yaml", &format!("{HEAD}{ORDERS}"))]);
    for line in [
        "schema",
        "man",
        "--help",
        "validate",
        "render forwarder --output json",
        "--sandbox plan",
        "--sandbox plan --output json",
        "--sandbox status",
        "--sandbox handoff",
        "--sandbox apply --yes",
    ] {
        let full = format!("{} {line} > /dev/full", binary().display());
        let mut shell = Command::new("bash");
        shell.args(["-c", &full]).current_dir(script.path()).env("HOME", script.path());
        let output = shell.env("PRIVNET_SANDBOX_DIR", script.at("sandbox")).output().unwrap();
        assert_eq!(code(&output), 1, "{line}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains("could not be written"), "{line}: {}", text(&output.stderr));
    }
    assert_eq!(script.json("--sandbox plan")["summary"]["create"], 7, "nothing was done");
}
