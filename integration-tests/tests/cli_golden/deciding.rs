//! What `accept-pending` says on standard error: each end that is no success, once, and in JSON as well.

use serde_json::Value;

use super::script::{Script, code, text};
use super::{asked, connection, for_acme, orders};

/// What a command ends with and says on each stream.
fn said(script: &Script, line: &str) -> (i32, String, String) {
    let output = script.quietly(&format!("--sandbox accept-pending {line}"));
    (code(&output), text(&output.stdout), text(&output.stderr))
}

/// The errors on standard error, each an object.
fn errors(script: &Script, line: &str) -> Vec<(String, String)> {
    let (_, _, said) = said(script, &format!("{line} --output json"));
    let field = |error: &Value, name: &str| error["error"][name].as_str().unwrap().to_owned();
    let errors = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    errors.map(|error| (field(&error, "kind"), field(&error, "message"))).collect()
}

#[test]
fn each_end_that_is_no_success_is_told_on_standard_error() {
    let script = asked();
    let stranger = connection(&script, "");
    script.json("sandbox connect orders");
    script.pass(10);
    script.write("elsewhere.yaml", &orders().replace("123456789012", "210987654321"));
    let cases = [
        (
            format!("--yes aws.yaml --connection {stranger}"),
            3,
            "refused",
            format!("{stranger} is not let in"),
        ),
        ("--yes aws.yaml".to_owned(), 3, "refused", "orders: somebody must choose".to_owned()),
        ("--dry-run aws.yaml".to_owned(), 3, "refused", "orders: somebody must choose".to_owned()),
        (
            "--yes elsewhere.yaml".to_owned(),
            1,
            "unobserved",
            "orders: its connections cannot be read".to_owned(),
        ),
    ];
    for (line, status, kind, what) in cases {
        let (ended, out, told) = said(&script, &line);
        assert_eq!(ended, status, "{line}: {out}{told}");
        assert_eq!(told.matches("error: ").count(), 1, "{line}: {told}");
        assert!(told.contains(&what) && !out.contains(&what), "{line}: {out}{told}");
        let errors = errors(&script, &line);
        assert_eq!(errors.len(), 1, "{line}: {errors:?}");
        assert!(errors[0].0 == kind && errors[0].1.starts_with(&what), "{line}: {errors:?}");
    }
    // Why they could not be read is a result of no decision, and is told with that error.
    let (_, out, told) = said(&script, "--yes elsewhere.yaml");
    assert!(
        !out.contains("210987654321") && told.matches("the file is for the account").count() == 1,
        "{out}{told}"
    );
}

/// The decision is the result; why it failed is the error, and nobody is told twice.
#[test]
fn a_decision_that_failed_says_why_once() {
    let script = asked();
    std::fs::create_dir(script.at("a-folder")).unwrap();
    for how in ["--yes", "--yes --watch"] {
        let line = format!("{how} aws.yaml --audit-log a-folder");
        let decided = script.quietly(&format!("--sandbox accept-pending {line} --output json"));
        let decided: Value = serde_json::from_slice(&decided.stdout).unwrap();
        let all = decided["decisions"].as_array().unwrap().iter();
        let why =
            all.filter(|one| one["consumer"] == "fivetran").map(|one| one["why"].as_str().unwrap()).next();
        let (status, out, told) = said(&script, &line);
        assert_eq!(status, 1, "{out}{told}");
        assert!(out.contains("not accepted ") && !out.contains(why.unwrap()), "{line}: {out}");
        assert_eq!(told.matches(why.unwrap()).count(), 1, "{line}: {told}");
    }
}

/// Of several files each says how its wait ended; so many times as it was written, a time is told.
#[test]
fn each_file_says_how_its_wait_ended() {
    let script = asked();
    script.write("acme.yaml", &for_acme().replace("name: orders", "name: invoices"));
    assert_eq!(code(&script.quietly("--sandbox apply acme.yaml --yes")), 0);
    let (status, out, told) = said(&script, "--watch --yes --timeout 0s acme.yaml");
    assert_eq!(status, 1, "{out}{told}");
    assert!(told.contains("error: timed out after 0s: not every consumer is connected\n"), "{told}");
    // Who asks is let in, which takes a look more than that.
    assert_eq!(said(&script, "--yes aws.yaml").0, 0);
    script.pass(60);
    let (status, out, told) = said(&script, "--watch --yes --timeout 300ms acme.yaml aws.yaml");
    assert_eq!(status, 1, "{out}{told}");
    assert!(told.contains("error: acme.yaml: timed out after 300ms: not every"), "{told}");
    assert!(out.ends_with("aws.yaml: Every consumer is connected.\n"), "{out}");
}

/// One that never asked may yet come, so it is waited for; that it did not is told.
#[test]
fn a_wait_for_who_never_came_says_so() {
    let script = asked();
    let stranger = connection(&script, "");
    let (status, _, told) =
        said(&script, "--watch --yes --timeout 0s aws.yaml --connection vpce-0aaaaaaaaaaaaaaaa");
    assert_eq!(status, 1, "{told}");
    assert!(
        told.contains("vpce-0aaaaaaaaaaaaaaaa is not connected, and no such connection was seen\n"),
        "{told}"
    );
    let (status, _, told) =
        said(&script, &format!("--watch --yes --timeout 0s aws.yaml --connection {stranger}"));
    assert_eq!(status, 1, "{told}");
    assert!(told.contains(&format!("{stranger} is not connected\n")), "{told}");
    let line =
        "--sandbox accept-pending --watch --yes --timeout 1s aws.yaml --connection vpce-0aaaaaaaaaaaaaaaa";
    let shown = super::streams::on_terminal(&script, line, None);
    assert!(shown.contains("waiting for vpce-0aaaaaaaaaaaaaaaa; Ctrl-C ends it"), "{shown:?}");
}
