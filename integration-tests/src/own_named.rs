//! What a deployment made is none of the user's own: a file that names it as there already is refused, by every command, and whoever the rule
//! of the service it was made for keeps out is not let in by another's.

#![allow(clippy::unwrap_used, reason = "test machinery")]

use serde_json::Value;

use crate::ground::{Ground, both};

/// How a file names it.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// The lines of a cloud's block.
    pub block: &'a str,
    /// Whether consumers connect to it: then nobody may be decided on by it.
    pub is_exposed: bool,
}

/// What of the local cloud's state stands behind this, up to the end of the text: the last part of an id.
///
/// # Panics
/// Where nothing does.
#[must_use]
pub fn made(ground: &Ground, cloud: &str, before: &str) -> String {
    let state = std::fs::read_to_string(ground.at("sandbox").join(format!("{cloud}.json"))).unwrap();
    let (_, rest) = state.split_once(before).unwrap_or_else(|| panic!("{before} is not in {state}"));
    rest.split('"').next().unwrap().to_owned()
}

/// Names what was made for the one service of a file by that service itself and by another one that
/// would let in a stranger.
///
/// # Panics
/// Where a command does anything about it.
pub fn is_refused(ground: &Ground, file: &str, own: &Own<'_>, (consumer, stranger): (&str, &str)) {
    let Own { block, is_exposed } = own;
    let before = ground.status();
    let (head, _) = file.split_once("  - name: orders\n").unwrap();
    let itself = format!("{head}  - name: orders\n    allow: {{ {consumer}: {{}} }}\n{block}");
    let another = format!("{file}  - name: copy\n    allow: {{ {stranger}: {{}} }}\n{block}");
    for (edited, service, whose) in
        [(&itself, "orders", "this service"), (&another, "copy", "the service `orders`")]
    {
        ground.edit(edited);
        let made_for = format!("which privnet made for {whose}");
        for line in ["plan --detailed-exitcode", "apply --yes --sever-connections", "destroy --yes"] {
            let said = both(&ground.must(&format!("--sandbox {line}"), 3));
            assert!(said.contains(&made_for), "{line}: {said}");
        }
        if !is_exposed {
            continue;
        }
        let decided = ground.run("--sandbox accept-pending --yes --output json");
        assert_eq!(decided.status.code(), Some(1), "{}", both(&decided));
        let said: Value = serde_json::from_slice(&decided.stdout).unwrap();
        let all = said["decisions"].as_array().unwrap();
        assert!(all.iter().all(|one| one["service"] != service), "{service}: {said:#}");
    }
    // Nor is it taken away from under the one that names it.
    let tombstone = another.replace("  - name: orders\n", "  - name: orders\n    remove: true\n");
    ground.edit(&tombstone);
    let said = both(&ground.must("--sandbox apply --yes --sever-connections", 3));
    assert!(said.contains("as there already, for the service `copy`"), "{said}");
    ground.edit(file);
    ground.must("--sandbox plan --detailed-exitcode", 0);
    let connections = |status: &Value| status["services"][0]["connections"].clone();
    assert_eq!(connections(&ground.status()), connections(&before), "somebody was decided on");
}
