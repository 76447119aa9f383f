//! Where privnet ever changes something on Azure: read off the provider's source, so that a new place is missed nowhere.

#![allow(clippy::unwrap_used, reason = "test machinery")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::census::here;

/// What changes something, as the client's source has it. A POST is an action, and those of privnet's only ask (`Arm::post`).
const METHODS: [(&str, &str); 3] = [("Put", "PUT"), ("Patch", "PATCH"), ("Delete", "DELETE")];

/// A function of the provider's, without its tests and comments, in one line.
struct Function {
    /// Its file, from the provider's `src` on, without the ending.
    file: String,
    name: String,
    text: String,
}

/// The places of the provider's source that change something, each with the method of its request: `kinds/nat_subnet write: arm.make`. They
/// are the calls of the client's functions that write or delete, and of those that an action has for it; such a function is one that
/// sends a request of these methods, or calls another one.
///
/// # Panics
/// Where the source is not there, or reads otherwise.
#[must_use]
pub fn changes_in_source() -> BTreeMap<String, &'static str> {
    let functions = functions();
    check_senders(&functions);
    let is_client = |function: &&Function| function.file.starts_with("arm/") || function.file == "act";
    let changing = changing(&functions.iter().filter(is_client).collect::<Vec<_>>());
    let mut places = BTreeMap::new();
    for function in functions.iter().filter(|function| !is_client(function)) {
        for (receiver, called) in calls(&function.text) {
            if let Some(method) = changing.get(called) {
                let place = format!("{} {}: {receiver}.{called}", function.file, function.name);
                assert!(places.insert(place, *method).is_none(), "{} twice in {}", called, function.name);
            }
        }
    }
    places
}

/// Each request is sent by one function, and names its method where it is made: otherwise the rest would read nothing off.
fn check_senders(functions: &[Function]) {
    let count =
        |words: &str| functions.iter().map(|function| function.text.matches(words).count()).sum::<usize>();
    assert_eq!(count("pipeline.send("), 1, "one function sends");
    let named: usize = METHODS
        .iter()
        .map(|(method, _)| sent(method))
        .chain([sent("Get"), sent("Post")])
        .map(|sent| count(&sent))
        .sum();
    assert_eq!(count("= Out {"), named, "each request names its method");
    assert!(named > 5, "{named}");
}

fn sent(method: &str) -> String {
    format!("= Out {{ method: Method::{method},")
}

/// The functions of the client that change something, by name, and how.
fn changing(client: &[&Function]) -> BTreeMap<String, &'static str> {
    let mut changing: BTreeMap<String, &'static str> = BTreeMap::new();
    loop {
        let known = changing.len();
        for function in client {
            let own = METHODS
                .iter()
                .filter(|(method, _)| function.text.contains(&sent(method)))
                .map(|(_, name)| *name);
            let others = calls(&function.text).filter_map(|(_, called)| changing.get(called).copied());
            let methods: BTreeSet<&'static str> = own.chain(others).collect();
            assert!(methods.len() < 2, "{} of {} sends {methods:?}", function.name, function.file);
            if let Some(method) = methods.first() {
                let before = changing.insert(function.name.clone(), method);
                assert!(
                    before.is_none_or(|before| before == *method),
                    "two functions are called {}",
                    function.name
                );
            }
        }
        if changing.len() == known {
            return changing;
        }
    }
}

/// The methods that a function calls, each with the last word of what it is called on.
fn calls(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices('.').filter_map(move |(at, _)| {
        let (before, after) = (text.get(..at)?, text.get(at + 1..)?);
        let receiver = before.rsplit(|c| !is_word(c)).next()?;
        let (called, rest) = after.split_at(after.find(|c| !is_word(c))?);
        rest.starts_with('(').then_some((receiver, called))
    })
}

fn functions() -> Vec<Function> {
    let source = here().join("../providers/azure/src");
    let (mut all, mut folders) = (Vec::new(), vec![source.clone()]);
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name != "tests.rs") {
                collect(&source, &path, &mut all);
            }
        }
    }
    assert!(all.len() > 100, "{}", all.len());
    all
}

fn collect(source: &Path, path: &Path, into: &mut Vec<Function>) {
    let file = path.strip_prefix(source).unwrap().with_extension("");
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    // A call in one line: `act.arm.write(act.context, …)`.
    let text = format!(" {}", words.join(" ").replace(" .", "."));
    for function in text.split(" fn ").skip(1) {
        let end = function.find(['(', '<']).unwrap();
        into.push(Function {
            file: file.to_string_lossy().into_owned(),
            name: function[..end].to_owned(),
            text: function.to_owned(),
        });
    }
}
