//! Which of Compute Engine's methods privnet ever calls: read off the provider's source, so that a new one is missed nowhere.

#![allow(clippy::unwrap_used, reason = "test machinery")]

use std::collections::{BTreeMap, BTreeSet};

use crate::census::here;

/// The methods that the provider's source calls, by the names of the discovery document: each call on a client, also within the macros
/// that have the client's name as their first argument.
///
/// # Panics
/// Where the source is not there, or reads otherwise.
#[must_use]
pub fn called_in_source() -> BTreeSet<String> {
    let source = here().join("../providers/gcp/src");
    let clients = std::fs::read_to_string(source.join("clients.rs")).unwrap();
    let types: BTreeMap<&str, String> = clients
        .lines()
        .filter_map(|line| {
            line.trim().strip_prefix("pub(crate) ")?.trim_end_matches(',').split_once(": compute::")
        })
        .map(|(client, kind)| (client, format!("{}{}", kind[..1].to_lowercase(), &kind[1..])))
        .collect();
    assert!(types.len() > 15, "{types:?}");
    let mut called = BTreeSet::new();
    let mut folders = vec![source];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                collect_calls(&std::fs::read_to_string(path).unwrap(), &types, &mut called);
            }
        }
    }
    called
}

fn collect_calls(text: &str, types: &BTreeMap<&str, String>, called: &mut BTreeSet<String>) {
    // Calls in one line: `c.firewalls.get()`, `cloud.clients.firewalls.get()`, `c.$client.get()`.
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ").replace(" .", ".").replace("( ", "(");
    let mut macros: BTreeMap<&str, String> = BTreeMap::new();
    let (mut defining, mut rest) = ("", text.as_str());
    while let Some(at) = rest.find(['.', '!']) {
        let (before, after) = rest.split_at(at);
        let word = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
        rest = &after[1..];
        if after.starts_with("! ") && word == "macro_rules" {
            defining = rest.trim_start().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
        } else if after.starts_with("!(") {
            let client = rest[1..].split([',', ')']).next().unwrap();
            if let (Some(verb), Some(collection)) = (macros.get(word), types.get(client)) {
                called.insert(format!("{collection}.{verb}"));
            }
        } else if ["c", "clients"].contains(&word) {
            let Some((client, call)) = rest.split_once('.') else { continue };
            let Some((verb, _)) = call.split_once("()") else { continue };
            if client == "$client" {
                macros.insert(defining, camel(verb));
            } else if let Some(collection) = types.get(client) {
                called.insert(format!("{collection}.{}", camel(verb)));
            }
        }
    }
}

/// `attach_network_endpoints` as the API writes it.
fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| format!("{all}{}{}", part[..1].to_uppercase(), &part[1..]))
}
