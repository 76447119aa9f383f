//! What goes to which stream, colour, readers that go away, the audit log, and what editors and shells get.

use std::process::Command;

use privnet_integration_tests::command::{binary, privnet};
use serde_json::Value;

use super::script::{Script, code, text};
use super::{asked, connection, orders};

const ESCAPE: &str = "\u{1b}[";

#[test]
fn colour_comes_when_asked_for_and_never_into_a_pipe_by_itself() {
    let script = Script::with(&[("aws.yaml", &orders()), ("wrong.yaml", "version: 2\n")]);
    let coloured = |line: &str, variables: &[(&str, &str)]| {
        let output = script.quietly_with(line, variables, None);
        (text(&output.stdout).contains(ESCAPE), text(&output.stderr).contains(ESCAPE))
    };
    assert_eq!(coloured("--sandbox plan aws.yaml", &[]), (false, false));
    assert_eq!(coloured("--sandbox plan aws.yaml", &[("NO_COLOR", "1")]), (false, false));
    assert_eq!(coloured("--sandbox plan aws.yaml", &[("CLICOLOR_FORCE", "1")]), (false, false));
    assert_eq!(coloured("--sandbox plan aws.yaml --color always", &[]), (true, false));
    assert_eq!(coloured("--sandbox plan aws.yaml --color always", &[("NO_COLOR", "1")]), (true, false));
    assert_eq!(coloured("--sandbox plan wrong.yaml --color always", &[]), (false, true));
    assert_eq!(coloured("--sandbox plan aws.yaml --color always --output json", &[]), (false, false));
    assert_eq!(coloured("--sandbox plan aws.yaml --color never", &[]), (false, false));
}

/// `script` gives the command a terminal: colour and progress are there, and `NO_COLOR` takes the colour away.
#[test]
fn a_terminal_gets_colour_and_no_color_is_honoured() {
    let script = Script::with(&[("aws.yaml", &orders())]);
    let on_terminal = |variable| on_terminal(&script, "--sandbox plan aws.yaml", variable);
    let coloured = "\u{1b}[32m+ create";
    let shown = on_terminal(None);
    assert!(shown.contains(coloured), "{shown:?}");
    let plain = on_terminal(Some(("NO_COLOR", "1")));
    assert!(plain.contains("+ create") && !plain.contains(coloured), "{plain:?}");
    let dumb = on_terminal(Some(("TERM", "dumb")));
    assert!(dumb.contains("+ create") && !dumb.contains('\u{1b}'), "{dumb:?}");
}

/// What a command shows on a terminal.
pub(crate) fn on_terminal(script: &Script, line: &str, variable: Option<(&str, &str)>) -> String {
    let line = format!("{} {line}", binary().display());
    let mut command = privnet(script.path());
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &line, "/dev/null"]).current_dir(script.path()).env_clear();
    terminal.envs(command.env("TERM", "xterm").get_envs().filter_map(|(k, v)| Some((k, v?))));
    terminal.envs(variable);
    text(&terminal.output().expect("util-linux's `script`").stdout)
}

/// Progress tells how far the whole plan is, and keeps to `--color` like everything else.
#[test]
fn progress_on_a_terminal_counts_and_is_painted_only_where_colour_is_wanted() {
    let script = Script::with(&[("aws.yaml", &orders())]);
    let dim = "\u{1b}[2m";
    let shown = on_terminal(&script, "--sandbox --color never apply --yes", None);
    // That all of them are done, the result says, too.
    let counted = |done: usize| shown.contains(&format!("{done} of 7 actions done"));
    assert!((1..7).any(counted) && shown.contains("✓ create"), "{shown:?}");
    assert!(!shown.contains(dim), "{shown:?}");
    // So is the plan: what progress is painted by is the time that stands before each line.
    let shown = on_terminal(&script, "--sandbox destroy --yes", None);
    assert!(shown.contains(&format!("{dim}  0s")), "{shown:?}");
}

#[test]
fn results_go_to_standard_output_and_all_else_to_standard_error() {
    let script = Script::with(&[("aws.yaml", &orders())]);
    let planned = script.quietly("--sandbox plan -vvv");
    assert!(text(&planned.stdout).contains("Plan: 7 to create"), "{}", text(&planned.stdout));
    assert!(!text(&planned.stdout).contains("DEBUG"), "{}", text(&planned.stdout));
    let applied = script.quietly("--sandbox apply --yes --output json -v");
    serde_json::from_slice::<Value>(&applied.stdout).expect("one object and nothing besides");
    let quiet = script.quietly("--sandbox plan -q");
    assert_eq!(text(&quiet.stderr), "");
    let missing = script.quietly("--sandbox plan missing.yaml");
    assert_eq!(text(&missing.stdout), "");
    let error = script.quietly("--sandbox plan missing.yaml --output json");
    let object: Value = serde_json::from_slice(&error.stderr).expect("an object on standard error");
    for field in ["kind", "code", "message", "causes", "hints"] {
        assert!(object["error"].get(field).is_some(), "{object:#}");
    }
}

/// Also where there is nothing to do, each request is a line of its own, with what it is about and nothing secret.
#[test]
fn each_request_is_logged_when_asked_for() {
    let script = asked();
    for (line, lines) in [("apply --yes -vv", None), ("apply --yes -vvv --output json", Some("json"))] {
        let output = script.quietly(&format!("--sandbox {line}"));
        let (out, said) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(code(&output), 0, "{said}");
        assert!(!out.contains("DescribeListeners"), "{out}");
        let answered: Vec<_> = said.lines().filter(|line| line.contains("answered")).collect();
        for name in ["GetCallerIdentity", "DescribeListeners", "DescribeVpcEndpointConnections"] {
            assert!(answered.iter().any(|line| line.contains(name)), "{name}: {said}");
        }
        assert!(!said.contains("AKIA") && !said.contains("Signature"), "{said}");
        if lines == Some("json") {
            let calls = serde_json::from_str::<Value>(&out).unwrap()["calls"].as_u64().unwrap();
            assert_eq!(answered.len() as u64, calls, "{said}");
            for line in answered {
                let object: Value =
                    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
                assert!(object["span"]["operation"].is_string(), "{object:#}");
            }
        }
    }
    assert_eq!(text(&script.quietly("--sandbox apply --yes -v").stderr).matches("answered").count(), 0);
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let script = Script::with(&[("aws.yaml", &orders())]);
    for line in ["schema", "completions bash", "man", "--help", "validate", "--sandbox plan", "sandbox world"]
    {
        let piped = format!("{{ {} {line}; echo status $? >&2; }} | head -c 1", binary().display());
        let mut terminal = Command::new("bash");
        terminal.args(["-c", &piped]).current_dir(script.path()).env("HOME", script.path());
        let output = terminal.env("PRIVNET_SANDBOX_DIR", script.at("sandbox")).output().unwrap();
        let said = text(&output.stderr);
        assert!(!said.contains("panicked"), "{line}: {said}");
        assert!(said.ends_with("status 0\n"), "{line}: {said}");
    }
}

#[test]
fn without_an_audit_log_nothing_is_accepted() {
    let script = asked();
    let folder = script.at("a-folder");
    std::fs::create_dir(&folder).unwrap();
    for line in [
        "--sandbox accept-pending --yes --audit-log a-folder",
        "--sandbox accept-pending --yes --watch --audit-log a-folder",
        "--sandbox accept-pending --yes --reject-others --audit-log a-folder",
        "--sandbox accept-pending --yes --audit-log aws.yaml/audit.jsonl",
    ] {
        let output = script.quietly(line);
        let said = text(&output.stdout);
        assert_eq!(code(&output), 1, "{line}: {said}{}", text(&output.stderr));
        assert!(said.contains("not accepted"), "{line}: {said}");
        assert!(!said.contains("would accept") && !said.contains("\naccepted"), "{line}: {said}");
        let decisions = script.quietly(&format!("{line} --output json"));
        assert!(!text(&decisions.stdout).contains("\"accepted\""), "{}", text(&decisions.stdout));
    }
    let stranger = connection(&script, "");
    let rejected =
        script.quietly(&format!("--sandbox reject --yes --connection {stranger} --audit-log a-folder"));
    assert_eq!(code(&rejected), 1, "{}", text(&rejected.stdout));
    let status = script.json("--sandbox status");
    let connections = status["services"][0]["connections"].as_array().unwrap();
    assert_eq!(connections.len(), 2, "{status:#}");
    assert!(connections.iter().all(|one| one["state"] == "pending"), "{status:#}");
}

#[test]
fn each_decision_is_in_the_audit_log() {
    let script = asked();
    let (fivetran, stranger) = (connection(&script, "fivetran"), connection(&script, ""));
    let done = script.quietly("--sandbox accept-pending --yes --reject-others --audit-log log/audit.jsonl");
    assert_eq!(code(&done), 0, "{}", text(&done.stderr));
    let log = std::fs::read_to_string(script.at("log/audit.jsonl")).unwrap();
    let mut lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(|line| line["decision"].to_string());
    assert_eq!(lines.len(), 2, "{log}");
    for line in &lines {
        assert_eq!((&line["deployment"], &line["service"]), (&"golden".into(), &"orders".into()));
        assert!(line["caller"].as_str().unwrap().contains("123456789012"), "{line:#}");
        assert!(line["time"].as_str().unwrap().contains('T') && line["why"].as_str().is_some(), "{line:#}");
    }
    assert_eq!((&lines[0]["connection"], &lines[0]["decision"]), (&fivetran.into(), &"accept".into()));
    assert_eq!(
        (&lines[0]["consumer"], &lines[0]["identity"]),
        (&"fivetran".into(), &"account:834469178297".into())
    );
    assert!(lines[0]["preset"].as_str().unwrap().starts_with("fivetran "), "{log}");
    assert_eq!((&lines[1]["connection"], &lines[1]["decision"]), (&stranger.into(), &"reject".into()));
    assert_eq!((&lines[1]["consumer"], &lines[1]["preset"]), (&Value::Null, &Value::Null));

    let default = std::fs::read_dir(script.at("sandbox")).unwrap();
    assert!(default.flatten().all(|entry| entry.file_name() != "audit.jsonl"), "--audit-log is the only one");
}

#[test]
fn editors_and_shells_get_what_they_read() {
    let script = Script::new();
    let schema: Value = serde_json::from_slice(&script.quietly("schema").stdout).unwrap();
    assert!(schema["properties"]["services"].is_object(), "{schema:#}");
    for (shell, sign) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef privnet"),
        ("fish", "complete -c privnet"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion"),
    ] {
        let output = script.quietly(&format!("completions {shell}"));
        let said = text(&output.stdout);
        assert!(said.contains(sign) && said.contains("accept-pending"), "{shell}: {said}");
        assert_eq!((code(&output), text(&output.stderr)), (0, String::new()));
    }
    let checked =
        Command::new("bash").args(["-nc", &text(&script.quietly("completions bash").stdout)]).output();
    assert!(checked.unwrap().status.success(), "bash reads its completions");
    let page = text(&script.quietly("man").stdout);
    for command in ["validate", "plan", "apply", "status", "accept\\-pending", "reject", "handoff", "destroy"]
    {
        assert!(page.contains(command), "{command} is not in the manual page");
    }
    assert!(text(&script.quietly("--version").stdout).starts_with("privnet "));
    let help = text(&script.quietly("--help").stdout);
    assert!(help.starts_with("Give a SaaS vendor"), "{help}");
    assert_eq!(text(&script.quietly("help").stdout), help);
    assert_eq!(text(&script.quietly("help plan").stdout), text(&script.quietly("plan --help").stdout));
}
