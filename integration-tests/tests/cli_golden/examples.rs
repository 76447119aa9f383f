//! Each file in `examples/` does what it says, by the command, on the local cloud: apply, an empty plan, acceptance, status, hand-over,
//! and a destroy that leaves nothing. A file that is added is run too. The README's own file is a right one.

use std::path::{Path, PathBuf};

use privnet_integration_tests::census::here;
use serde_json::Value;

use super::script::{Script, code, text};

/// The example files whose names begin so.
fn files(begin: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(here().join("../examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(begin))
        .collect();
    files.sort();
    files
}

/// A file's life; each command's end is demanded.
fn live_through(file: &Path) {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let text_of = std::fs::read_to_string(file).unwrap();
    let script = Script::with(&[(name.as_str(), text_of.as_str())]);
    let run = |line: &str, ends: &[i32]| {
        let output = script.quietly(&format!("{line} {name}"));
        let (said, end) = (format!("{}{}", text(&output.stdout), text(&output.stderr)), code(&output));
        assert!(ends.contains(&end), "{name}: {line} → {end}: {said}");
        said
    };
    run("validate", &[0]);
    // Where everything is there already and only decided on, there is nothing to do.
    run("--sandbox plan --detailed-exitcode", &[0, 2]);
    run("--sandbox apply --yes", &[0]);
    run("--sandbox plan --detailed-exitcode", &[0]);
    script.pass(120);
    run("--sandbox plan --detailed-exitcode", &[0]);
    run("--sandbox accept-pending --yes", &[0]);
    script.pass(60);
    run("--sandbox plan --detailed-exitcode", &[0]);
    let status: Value = serde_json::from_str(&run("--sandbox status --output json", &[0])).unwrap();
    let services = status["services"].as_array().unwrap();
    assert!(!services.is_empty(), "{name}");
    for service in services {
        let state = service["state"].as_str().unwrap();
        assert!(["ready", "waiting"].contains(&state), "{name}: {service:#}");
    }
    let handoff: Value = serde_json::from_str(&run("--sandbox handoff --output json", &[0])).unwrap();
    assert_eq!(handoff["services"].as_array().map(Vec::len), Some(services.len()), "{name}");
    let terraform = run("--sandbox handoff --as fivetran-tf", &[0]);
    let links = terraform.matches("resource \"fivetran_private_link\" ").count();
    assert_eq!(links, services.len(), "{name}: {terraform}");

    if text_of.contains("deletion_protection: true") {
        let kept = run("--sandbox destroy --yes --sever-connections", &[3]);
        assert!(kept.contains("[protected]") && kept.contains("nothing was done"), "{kept}");
        script.write(&name, &text_of.replace("deletion_protection: true", "deletion_protection: false"));
        run("--sandbox apply --yes", &[0]);
    }
    run("--sandbox destroy --yes --sever-connections", &[0]);
    let again: Value = serde_json::from_str(&run("--sandbox destroy --yes --output json", &[0])).unwrap();
    assert_eq!(again["actions"], Value::Array(Vec::new()), "{name}: something was left");
}

fn all_of(begin: &str, at_least: usize) {
    let files = files(begin);
    assert!(files.len() >= at_least, "{files:?}");
    files.iter().for_each(|file| live_through(file));
}

#[test]
fn the_examples_for_aws() {
    all_of("aws", 4);
}

#[test]
fn the_examples_for_azure() {
    all_of("azure", 3);
}

/// Those of other names.
#[test]
fn all_other_examples() {
    let others = files("").into_iter().filter(|file| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        !name.starts_with("aws") && !name.starts_with("azure")
    });
    others.for_each(|file| live_through(&file));
}

#[test]
fn the_file_in_the_readme_is_right() {
    let readme = std::fs::read_to_string(here().join("../README.md")).unwrap();
    let blocks = readme.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut checked = 0;
    for block in blocks {
        let script = Script::with(&[("readme.yaml", block)]);
        let output = script.quietly("validate readme.yaml");
        assert_eq!(code(&output), 0, "{}", text(&output.stdout));
        checked += 1;
    }
    assert!(checked > 0, "the README shows a file");
}
