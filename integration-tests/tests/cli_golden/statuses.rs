//! The exit statuses that scripts rely on, each reached; and what `--service`, `--prune` and a tombstone reach.

use serde_json::Value;

use super::script::{Script, code, text};
use super::{BILLING, HEAD, ORDERS, asked, connection, orders};

fn ends(script: &Script, line: &str, status: i32) -> String {
    let output = script.quietly(line);
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(code(&output), status, "{line}: {said}");
    said
}

/// Which services an object's actions are about.
fn services(plan: &Value) -> Vec<String> {
    let actions = plan["actions"].as_array().unwrap().iter();
    let mut names: Vec<String> =
        actions.map(|a| a["address"].as_str().unwrap().split('/').next().unwrap().to_owned()).collect();
    names.dedup();
    names
}

#[test]
fn each_status_is_reached() {
    let script = asked();
    // 0: done, or waiting for somebody; also with requests that are left.
    ends(&script, "--sandbox plan --detailed-exitcode", 0);
    ends(&script, "--sandbox accept-pending --yes --service orders", 0);
    script.pass(60);
    let fivetran = connection(&script, "fivetran");
    script.write("wrong.yaml", super::WRONG);
    // 2: only when asked for.
    script.write("two.yaml", &orders().replace("listen: 5432", "listen: 5432, port: 6432"));
    ends(&script, "--sandbox plan two.yaml", 0);
    ends(&script, "--sandbox plan two.yaml --detailed-exitcode", 2);
    // 3: a safety rule, which beats 2 and is not told by a plain plan.
    script.write("three.yaml", &orders().replace("listen: 5432", "listen: 5433"));
    ends(&script, "--sandbox plan three.yaml", 0);
    ends(&script, "--sandbox plan three.yaml --detailed-exitcode", 3);
    ends(&script, "--sandbox apply three.yaml --yes", 3);
    ends(&script, "--sandbox destroy aws.yaml --yes", 3);
    ends(&script, &format!("--sandbox reject aws.yaml --yes --connection {fivetran}"), 3);
    // 1: failed, partly failed, or timed out.
    ends(&script, "--sandbox reject aws.yaml --yes --connection vpce-0123", 1);
    script.write("acme.yaml", &super::for_acme());
    ends(&script, "--sandbox accept-pending acme.yaml --watch --yes --timeout 100ms", 1);
    let down = script.quietly_with("plan aws.yaml", &[("AWS_ENDPOINT_URL", "http://127.0.0.1:9")], None);
    assert_eq!(code(&down), 1, "{}", text(&down.stderr));
    // So is an endpoint of one's own that is none: nothing is wrong with the file.
    let gcp = "version: 1\ndeployment: shared\nservices:\n  - name: s\n    allow: { fivetran: {} }\n    gcp: { project: acme-data, region: \
               us-east4, existing: { service_attachment: shared-db } }\n";
    script.write("gcp.yaml", gcp);
    for (value, word) in [("nonsense", "is no URL"), ("http://example.com:1", "plain http")] {
        let variable = "PRIVNET_GCP_COMPUTE_URL";
        let wrong = script.quietly_with("plan gcp.yaml --output json", &[(variable, value)], None);
        let said = text(&wrong.stderr);
        assert_eq!(code(&wrong), 1, "{said}");
        let error: Value = serde_json::from_str(&said).unwrap();
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.starts_with(variable) && message.contains(word), "{said}");
        assert_eq!(error["error"]["kind"], "invalid");
        assert!(error["error"]["hints"][0].as_str().unwrap().contains(variable), "{said}");
    }
    // 64: bad usage, also without a terminal to ask on.
    ends(&script, "--sandbox plan aws.yaml --perhaps", 64);
    ends(&script, "--sandbox destroy aws.yaml --sever-connections", 64);
    ends(&script, "--sandbox apply aws.yaml --service nobody", 64);
    // 65: a bad file, in every command that reads one.
    for command in
        ["validate", "--sandbox plan", "--sandbox apply --yes", "--sandbox status", "--sandbox handoff"]
    {
        ends(&script, &format!("{command} wrong.yaml"), 65);
        ends(&script, &format!("{command} missing.yaml"), 65);
    }
}

/// A script that names one connection learns by the status whether it was let in; one that names none, that nothing failed.
#[test]
fn who_is_named_and_not_let_in_is_refused() {
    let script = asked();
    let (stranger, fivetran) = (connection(&script, ""), connection(&script, "fivetran"));
    for line in [
        format!("--sandbox accept-pending --yes --connection {stranger}"),
        format!("--sandbox accept-pending --dry-run --connection {stranger}"),
        format!("--sandbox accept-pending --yes --output json --connection {stranger}"),
    ] {
        let said = ends(&script, &line, 3);
        assert!(said.contains("no consumer of this service has this identity"), "{line}: {said}");
    }
    ends(&script, "--sandbox accept-pending --dry-run", 0);
    ends(&script, &format!("--sandbox accept-pending --yes --connection {fivetran}"), 0);
    script.pass(60);
    // The place is taken.
    let second = script.json("sandbox connect orders")["connection"].as_str().unwrap().to_owned();
    script.pass(10);
    let said = ends(&script, &format!("--sandbox accept-pending --yes --connection {second}"), 3);
    assert!(said.contains("max_connections"), "{said}");
    ends(&script, "--sandbox accept-pending --yes", 0);
}

/// Nobody asks for a decision where every endpoint of a consumer is let in at once, and nobody is let in to what goes.
#[test]
fn nobody_is_told_to_let_in_who_comes_by_himself_or_not_at_all() {
    let automatic =
        format!("{HEAD}{}", ORDERS.replace("    aws:\n", "    acceptance: automatic\n    aws:\n"));
    let script = Script::with(&[("aws.yaml", &automatic)]);
    let applied = ends(&script, "--sandbox apply --yes", 0);
    assert!(applied.contains("Next: `privnet handoff`") && !applied.contains("accept-pending"), "{applied}");
    script.write("aws.yaml", &format!("{automatic}{BILLING}"));
    let applied = ends(&script, "--sandbox apply --yes", 0);
    assert!(applied.contains("`privnet accept-pending --watch` lets its request in"), "{applied}");

    let tombstone =
        format!("{HEAD}{}", ORDERS.replace("- name: orders\n", "- name: orders\n    remove: true\n"));
    script.write("aws.yaml", &tombstone);
    let waited = ends(&script, "--sandbox accept-pending --watch --yes", 0);
    assert!(waited.contains("Nobody is to be let in") && !waited.contains("is connected"), "{waited}");
}

/// Where only a part is made of a service whose consumer is connected, nothing is to be handed over; for one that is still to come, it is.
#[test]
fn what_the_vendor_has_is_not_handed_over_again() {
    let script = asked();
    ends(&script, "--sandbox accept-pending --yes", 0);
    script.pass(60);
    let more =
        orders().replace("[10.0.0.25] } }]", "[10.0.0.25] } }, { listen: 6432, to: { ips: [10.0.0.25] } }]");
    script.write("aws.yaml", &more);
    let applied = ends(&script, "--sandbox apply --yes", 0);
    assert!(applied.contains("create listener/6432") && !applied.contains("Next: "), "{applied}");
    let two = "consumers: { acme: { aws: { principals: ['arn:aws:iam::210987654321:root'] } } }";
    script.write(
        "aws.yaml",
        &format!("{}{two}\n", more.replace("{ fivetran: {} }", "{ fivetran: {}, acme: {} }")),
    );
    let applied = ends(&script, "--sandbox apply --yes", 0);
    assert!(applied.contains("Next: `privnet handoff` prints"), "{applied}");
}

/// Two deployments may be at one resource: who is left by the one and let in by the other was let in, whichever file stands first.
#[test]
fn who_is_let_in_by_one_of_two_files_is_let_in() {
    let of = |deployment: &str, consumer: &str, part: &str| {
        format!(
            "version: 1\ndeployment: {deployment}\nconsumers:\n  acme: {{ azure: {{ subscriptions: [{consumer}] }} }}\nservices:\n  - name: \
             {deployment}\n    allow: {{ acme: {{}} }}\n    azure:\n      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee\n      hosted: {{ resource_id: \
             /subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers/Microsoft.Storage/storageAccounts/acmedatalake, \
             subresource: {part} }}\n"
        )
    };
    let other = of("one", "33333333-2222-3333-4444-555555555555", "blob");
    let own = of("two", "11111111-2222-3333-4444-555555555555", "dfs");
    for files in ["one.yaml two.yaml", "two.yaml one.yaml"] {
        let script = Script::with(&[("one.yaml", &other), ("two.yaml", &own)]);
        let asked = script.json("sandbox connect acmedatalake --as consumer")["connection"].clone();
        script.pass(10);
        let asked = asked.as_str().unwrap().rsplit('/').next().unwrap();
        let said = ends(&script, &format!("--sandbox accept-pending {files} --yes --connection {asked}"), 0);
        // Who was let in by the first is nobody whom the second decides on.
        assert!(said.contains("accepted") && said.contains("left") == files.starts_with("one"), "{said}");
        // To the other file it is a stranger, who is not let in because somebody else did.
        let waits =
            format!("--sandbox accept-pending one.yaml --watch --yes --timeout 100ms --connection {asked}");
        let said = ends(&script, &waits, 1);
        assert!(!said.contains("is connected"), "{said}");
        // The file that lets it in ends the wait, whichever looks first.
        let script = Script::with(&[("one.yaml", &other), ("two.yaml", &own)]);
        let asked = script.json("sandbox connect acmedatalake --as consumer")["connection"].clone();
        script.pass(10);
        let asked = asked.as_str().unwrap().rsplit('/').next().unwrap();
        let said =
            ends(&script, &format!("--sandbox accept-pending {files} --watch --yes --connection {asked}"), 0);
        assert!(said.contains("accepted") && said.contains("is connected"), "{said}");
    }
}

/// A service at which nobody could look is not one that nobody is awaited at, nor one that the file does not have.
#[test]
fn who_could_not_be_looked_at_is_told() {
    let elsewhere = orders().replace("123456789012", "210987654321");
    assert_ne!(elsewhere, orders());
    let script = Script::with(&[("aws.yaml", &elsewhere)]);
    let waited = ends(&script, "--sandbox accept-pending --watch --yes --timeout 100ms", 1);
    assert!(waited.contains("orders") && !waited.contains("Nobody is to be let in"), "{waited}");
    // Nor is nobody awaited there: but nobody is to be let in to what goes.
    let tombstone = elsewhere.replace("- name: orders\n", "- name: orders\n    remove: true\n");
    assert_ne!(tombstone, elsewhere);
    script.write("aws.yaml", &tombstone);
    for how in ["--watch", ""] {
        ends(&script, &format!("--sandbox accept-pending --yes {how}"), 0);
    }
    script.write("aws.yaml", &elsewhere);
    // A status says what there is; what was to be handed over is not there to be sent.
    for (command, status) in [("status", 0), ("handoff", 1)] {
        let said = ends(&script, &format!("--sandbox {command}"), status);
        assert!(said.contains("orders") && said.contains("210987654321"), "{command}: {said}");
    }
}

/// `--service` narrows everything: what is not named is neither made nor left nor refused.
#[test]
fn a_service_by_name_is_all_that_is_touched() {
    let script = Script::with(&[("aws.yaml", &format!("{}{BILLING}", orders()))]);
    let applied = script.json("--sandbox apply --yes --service billing");
    assert_eq!(services(&applied), ["billing"]);
    assert_eq!(services(&script.json("--sandbox plan")), ["orders"]);
    let both = script.json("--sandbox status --service orders billing");
    assert_eq!(both["services"].as_array().map(Vec::len), Some(2), "{both:#}");
    // A prune of one service is not one of the others.
    script.quietly("--sandbox apply --yes");
    script.write("aws.yaml", &orders());
    let pruned = script.json("--sandbox plan --prune --service orders");
    assert_eq!(services(&pruned), Vec::<String>::new(), "{pruned:#}");
    assert_eq!(services(&script.json("--sandbox plan --prune")), ["billing"]);
}

/// A tombstone keeps the location, so that what was there is found; it goes alone, and is kept while somebody is connected.
#[test]
fn a_tombstone_takes_its_service_and_no_other() {
    let script = Script::with(&[("aws.yaml", &format!("{}{BILLING}", orders()))]);
    ends(&script, "--sandbox apply --yes", 0);
    script.pass(60);
    ends(&script, "--sandbox accept-pending --yes --service billing", 0);
    script.pass(60);
    let tombstone = |name: &str, text: &str| {
        text.replacen(&format!("  - name: {name}\n"), &format!("  - name: {name}\n    remove: true\n"), 1)
    };
    script.write("aws.yaml", &format!("{HEAD}{}{BILLING}", tombstone("orders", ORDERS)));
    let planned = script.json("--sandbox plan");
    assert_eq!(services(&planned), ["orders"], "{planned:#}");
    ends(&script, "--sandbox apply --yes", 0);
    ends(&script, "--sandbox plan --detailed-exitcode", 0);
    script.write("aws.yaml", &format!("{}{}", orders(), tombstone("billing", BILLING)));
    let kept = ends(&script, "--sandbox plan --detailed-exitcode --service billing", 3);
    assert!(kept.contains("[would-sever]"), "{kept}");
    ends(&script, "--sandbox apply --yes --service billing --sever-connections", 0);
    script.write(
        "aws.yaml",
        &format!("{HEAD}{}{}", tombstone("orders", ORDERS), tombstone("billing", BILLING)),
    );
    let empty = script.json("--sandbox plan");
    assert_eq!(services(&empty), Vec::<String>::new(), "{empty:#}");
    // What it does not find may be elsewhere: that is no success without a word.
    let said: Vec<_> = empty["warnings"].as_array().unwrap().iter().filter_map(|one| one.as_str()).collect();
    for name in ["orders", "billing"] {
        let told = format!("{name}: nothing of it is in aws/123456789012/us-east-1");
        assert!(said.iter().any(|one| one.starts_with(&told)), "{empty:#}");
    }
}
