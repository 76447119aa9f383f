//! The shape of each command's JSON: the fields that scripts rely on are there, with values of the right sort. More fields may come.

use serde_json::Value;

use super::script::{Script, code, text};
use super::{BILLING, asked, connection, orders};

/// What a value must be.
enum Shape {
    Text,
    /// Text or nothing.
    MayBeText,
    Number,
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    List(&'static Shape),
    Object(&'static [(&'static str, Shape)]),
    Any,
}

use Shape::{Any, Flag, List, MayBeText, Number, Object, Text, Word};

/// What is wrong, with its path.
fn wrong(shape: &Shape, value: &Value, path: &str) -> Vec<String> {
    let right = match shape {
        Any => true,
        Text => value.is_string(),
        MayBeText => value.is_string() || value.is_null(),
        Number => value.is_number(),
        Flag => value.is_boolean(),
        Word(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        List(each) => match value.as_array() {
            Some(members) => {
                let inner = members.iter().enumerate();
                return inner
                    .flat_map(|(at, member)| wrong(each, member, &format!("{path}[{at}]")))
                    .collect();
            }
            None => false,
        },
        Object(fields) => match value.as_object() {
            Some(members) => {
                return fields
                    .iter()
                    .flat_map(|(name, shape)| match members.get(*name) {
                        Some(member) => wrong(shape, member, &format!("{path}.{name}")),
                        None => vec![format!("{path}.{name} is not there")],
                    })
                    .collect();
            }
            None => false,
        },
    };
    if right { Vec::new() } else { vec![format!("{path} is {value}")] }
}

fn holds(shape: &Shape, value: &Value) {
    let wrong = wrong(shape, value, "");
    assert!(wrong.is_empty(), "{wrong:#?} in {value:#}");
}

const CHANGES: Shape = List(&Object(&[("field", Text), ("from", Any), ("to", Any)]));
const OPS: Shape = Word(&["create", "update", "delete", "accept", "reject"]);
const ERROR: Shape = Object(&[
    ("kind", Text),
    ("code", MayBeText),
    ("message", Text),
    ("causes", List(&Text)),
    ("hints", List(&Text)),
]);
const SUMMARY: Shape = Object(&[
    ("create", Number),
    ("update", Number),
    ("delete", Number),
    ("accept", Number),
    ("reject", Number),
    ("unchanged", Number),
]);
const PLAN: Shape = Object(&[
    ("format", Number),
    (
        "actions",
        List(&Object(&[
            ("address", Text),
            ("op", OPS),
            ("reason", Text),
            ("changes", CHANGES),
            ("after", List(&Text)),
        ])),
    ),
    ("waits", List(&Object(&[("for", Text), ("why", Text)]))),
    ("refusals", List(&Object(&[("address", Text), ("rule", Text), ("why", Text), ("flag", MayBeText)]))),
    ("warnings", List(&Text)),
    ("left", List(&Object(&[("service", Text), ("resources", List(&Text)), ("why", Text)]))),
    ("adds_to_yours", List(&Object(&[("address", Text), ("to", Text)]))),
    ("summary", SUMMARY),
]);
const EXECUTED: Shape = Object(&[
    ("actions", List(&Object(&[("outcome", Word(&["done", "failed", "skipped"]))]))),
    ("calls", Number),
    ("seconds", Number),
]);
const STATUS: Shape = Object(&[(
    "services",
    List(&Object(&[
        ("name", Text),
        ("cloud", Word(&["aws", "azure", "gcp"])),
        ("state", Word(&["ready", "waiting", "degraded", "absent"])),
        ("targets", List(&Object(&[("id", Text), ("state", Text), ("cloud_state", Text)]))),
        (
            "connections",
            List(&Object(&[
                ("id", Text),
                ("consumer", MayBeText),
                ("state", Text),
                ("cloud_state", Text),
                ("allowed", Flag),
                ("why", Text),
            ])),
        ),
    ])),
)]);
const DECISIONS: Shape = Object(&[(
    "decisions",
    List(&Object(&[
        ("service", Text),
        ("connection", Text),
        ("consumer", MayBeText),
        ("decision", Word(&["accepted", "left", "rejected"])),
        ("why", Text),
    ])),
)]);
const HANDOFF: Shape =
    Object(&[("services", List(&Object(&[("name", Text), ("cloud", Text), ("service_name", Text)])))]);
const VALIDATED: Shape = Object(&[(
    "files",
    List(&Object(&[
        ("file", Text),
        (
            "errors",
            List(&Object(&[
                ("code", Text),
                ("message", Text),
                ("line", Number),
                ("column", Number),
                ("hint", MayBeText),
            ])),
        ),
    ])),
)]);

/// Standard output is one object and nothing besides.
fn object(script: &Script, line: &str, end: i32) -> Value {
    let output = script.quietly(&format!("{line} --output json"));
    assert_eq!(code(&output), end, "{line}: {}{}", text(&output.stdout), text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// Standard error is one object.
fn error(script: &Script, line: &str, end: i32) -> Value {
    let output = script.quietly(&format!("{line} --output json"));
    assert_eq!(code(&output), end, "{line}: {}{}", text(&output.stdout), text(&output.stderr));
    let object: Value =
        serde_json::from_slice(&output.stderr).unwrap_or_else(|error| panic!("{line}: {error}"));
    holds(&ERROR, &object["error"]);
    object["error"].clone()
}

#[test]
fn each_command_has_its_shape() {
    let script = Script::with(&[("aws.yaml", &format!("{}{BILLING}", orders()))]);
    let plan = object(&script, "--sandbox plan", 0);
    holds(&PLAN, &plan);
    assert!(
        plan.to_string().contains("{\"known_after\":\"orders/"),
        "what is known after apply says of what"
    );
    holds(&EXECUTED, &object(&script, "--sandbox apply --yes", 0));
    script.write("aws.yaml", &orders());
    let left = object(&script, "--sandbox plan", 0);
    holds(&PLAN, &left);
    assert_eq!(left["left"][0]["service"], "billing");
    script.pass(60);
    let status = object(&script, "--sandbox status", 0);
    holds(&STATUS, &status);
    assert_eq!(status["services"][0]["connections"].as_array().map(Vec::len), Some(2), "{status:#}");
    for line in
        ["accept-pending --dry-run", "accept-pending --yes", "accept-pending --watch --yes --timeout 10m"]
    {
        holds(&DECISIONS, &object(&script, &format!("--sandbox {line}"), 0));
    }
    holds(&HANDOFF, &object(&script, "--sandbox handoff", 0));
    let followed = object(&script, "--sandbox sync-targets --yes", 0);
    holds(&PLAN, &followed);
    holds(&EXECUTED, &followed);
    script.pass(60);
    let refused = object(&script, "--sandbox destroy --yes", 3);
    holds(&PLAN, &refused);
    holds(&EXECUTED, &refused);
    assert_eq!(refused["refusals"][0]["flag"], "--sever-connections", "{refused:#}");
    let destroyed = object(&script, "--sandbox destroy --yes --sever-connections --service orders", 0);
    holds(&EXECUTED, &destroyed);
    assert!(destroyed["summary"]["delete"].as_u64() > Some(0), "{destroyed:#}");
}

#[test]
fn rejections_and_files_have_their_shapes() {
    let script = asked();
    let stranger = connection(&script, "");
    let rejected = object(&script, &format!("--sandbox reject --yes --connection {stranger}"), 0);
    holds(&PLAN, &rejected);
    holds(&EXECUTED, &rejected);
    assert_eq!(rejected["actions"][0]["op"], "reject");
    script.write("wrong.yaml", super::WRONG);
    for (line, end) in [("validate aws.yaml", 0), ("validate wrong.yaml aws.yaml", 65)] {
        holds(&VALIDATED, &object(&script, line, end));
    }
}

/// A failed action carries its error; an error of the command is an object too.
#[test]
fn failures_have_their_shape() {
    let script = asked();
    std::fs::create_dir(script.at("a-folder")).unwrap();
    let stranger = connection(&script, "");
    let line = format!("--sandbox reject --yes --audit-log a-folder --connection {stranger}");
    let failed = object(&script, &line, 1);
    assert_eq!(failed["actions"][0]["outcome"], "failed");
    holds(&ERROR, &failed["actions"][0]["error"]);
    assert_eq!(failed["actions"][0]["error"]["kind"], "audit", "{failed:#}");

    // What accept-pending says of a decision is why it failed; what to do about it is on standard error.
    for how in ["", " --watch"] {
        let line = format!("--sandbox accept-pending --yes --audit-log a-folder{how} --output json");
        let output = script.quietly(&line);
        assert_eq!(code(&output), 1, "{}", text(&output.stderr));
        let objects: Vec<Value> =
            text(&output.stderr).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let failed = &objects[0]["error"];
        holds(&ERROR, failed);
        assert_eq!(failed["kind"], "audit", "{failed:#}");
        assert!(failed["causes"].to_string().contains("not a regular file"), "{failed:#}");
        assert!(failed["hints"].to_string().contains("--audit-log FILE"), "{failed:#}");
        let kinds: Vec<&str> = objects.iter().map(|one| one["error"]["kind"].as_str().unwrap()).collect();
        let last: &[&str] = if how.is_empty() { &[] } else { &["failed"] };
        assert_eq!(kinds[1..], *last, "{}", text(&output.stderr));
    }
    // A script can tell that the time was over.
    script.write("acme.yaml", &super::for_acme());
    let late = "--sandbox accept-pending acme.yaml --watch --yes --timeout 100ms";
    assert_eq!(error(&script, late, 1)["kind"], "timed-out");

    assert_eq!(error(&script, "--sandbox plan missing.yaml", 65)["kind"], "file");
    assert_eq!(error(&script, "--sandbox apply --service nobody", 64)["kind"], "usage");
    assert_eq!(error(&script, "--sandbox apply --perhaps", 64)["kind"], "usage");
    assert_eq!(error(&script, "--sandbox destroy --sever-connections", 64)["kind"], "usage");
    assert_eq!(error(&script, "--sandbox reject --yes --connection vpce-0123", 1)["kind"], "not-found");
}
