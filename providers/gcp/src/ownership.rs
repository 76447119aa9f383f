//! Whose a thing is: the marker in a description that proves it, or labels where the kind has them.
//!
//! Of the kinds here only forwarding rules take labels
//! (<https://cloud.google.com/compute/docs/labeling-resources>); everywhere else the derived name and a marker in
//! `description`, both written by the call that creates, are the proof.

use std::collections::BTreeMap;

use privnet_core::name::{self, NameRule};
use privnet_core::{Address, Generation, Ownership};

use crate::json::{Json, text};

/// RFC 1035.
const NAMES: NameRule = NameRule { max: 63 };
const MARKER: &str = "Managed by privnet:";
/// The word of a marker that names the project of the service.
const PROJECT: &str = "project";
/// What privnet's own labels begin with.
const PREFIX: &str = "privnet-";
/// Parts of the proof, as keys of the marker and, with the prefix, of labels.
const PARTS: [&str; 5] = ["deployment", "service", "kind", "name", "generation"];
/// The most labels of one resource.
const MOST_LABELS: usize = 64;

/// Labels of one resource, or the user's tags.
pub(crate) type Labels = BTreeMap<String, String>;

/// The name in the cloud.
pub(crate) fn cloud_name(deployment: &str, address: &Address, generation: Generation) -> String {
    name::derived(deployment, address, generation, NAMES)
}

fn generation_of(deployment: &str, address: &Address, name: &str) -> Option<Generation> {
    [Generation::A, Generation::B].into_iter().find(|g| cloud_name(deployment, address, *g) == name)
}

/// The parts of the proof with their values.
fn parts(deployment: &str, address: &Address, generation: Generation) -> Labels {
    let values = [
        deployment.to_owned(),
        address.service.clone(),
        address.kind.to_string(),
        address.name.clone(),
        generation.letter().to_string(),
    ];
    PARTS.iter().map(|part| (*part).to_owned()).zip(values).collect()
}

/// The description that proves a resource ours.
pub(crate) fn marker(deployment: &str, address: &Address, generation: Generation) -> String {
    let parts = parts(deployment, address, generation);
    let words = PARTS.iter().filter_map(|part| Some(format!("{part}={}", parts.get(*part)?)));
    format!("{MARKER} {}", words.collect::<Vec<_>>().join(" "))
}

/// The same of what lies in another project's network, with the project of its service: its place does not tell that.
pub(crate) fn marker_from(
    deployment: &str,
    address: &Address,
    generation: Generation,
    project: &str,
) -> String {
    format!("{} {PROJECT}={project}", marker(deployment, address, generation))
}

/// The project of its service that something says in its marker.
pub(crate) fn project(resource: &Json) -> Option<String> {
    words(resource).remove(PROJECT)
}

/// The same, with the keys of the user's labels: a label that leaves the file goes, one that somebody else set stays.
pub(crate) fn marker_with_keys(
    deployment: &str,
    address: &Address,
    generation: Generation,
    user: &Labels,
) -> String {
    let keys: Vec<&str> = user.keys().map(String::as_str).collect();
    format!("{} labels={}", marker(deployment, address, generation), keys.join(","))
}

/// The labels that prove a resource ours.
pub(crate) fn proof_labels(deployment: &str, address: &Address, generation: Generation) -> Labels {
    let parts = parts(deployment, address, generation);
    parts.into_iter().map(|(key, value)| (format!("{PREFIX}{key}"), value)).collect()
}

/// Whose a thing is, as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) address: Address,
    pub(crate) generation: Generation,
    pub(crate) ownership: Ownership,
}

/// Whose this resource is: ours by name and proof; unproven where it only has the name of one of `addresses`; nothing where it
/// does not concern this deployment. Proof of another kind than `kind` is none.
pub(crate) fn claim(deployment: &str, kind: &str, resource: &Json, addresses: &[Address]) -> Option<Claim> {
    let name = text(resource, "name")?;
    if let Some(address) = proof(resource, deployment)
        && address.kind == kind
        && let Some(generation) = generation_of(deployment, &address, name)
    {
        return Some(Claim { address, generation, ownership: Ownership::Ours });
    }
    addresses.iter().filter(|address| address.kind == kind).find_map(|address| {
        let generation = generation_of(deployment, address, name)?;
        let ownership = unproven(resource);
        Some(Claim { address: address.clone(), generation, ownership })
    })
}

/// Whether this resource is provably the one at this address.
pub(crate) fn is_ours(deployment: &str, address: &Address, resource: &Json) -> bool {
    proof(resource, deployment).is_some_and(|proved| proved == *address)
}

/// Whether this resource says that it is of this deployment, as whatever.
pub(crate) fn is_of(deployment: &str, resource: &Json) -> bool {
    proof(resource, deployment).is_some()
}

/// Why a resource is not proved ours, in words.
pub(crate) fn why_not(resource: &Json) -> String {
    let (why, mend) = instead(resource);
    format!(
        "{why}: {}",
        mend.as_deref().unwrap_or("rename or delete it, or give this deployment another name")
    )
}

/// Whose a resource of our name is that does not prove itself ours.
fn unproven(resource: &Json) -> Ownership {
    let (why, mend) = instead(resource);
    Ownership::Unproven { why, mend }
}

/// What a resource says of itself instead, and what to do about that, where it is not the name or the proof alone.
fn instead(resource: &Json) -> (String, Option<String>) {
    let said = said(resource);
    let Some(deployment) = said.get("deployment") else {
        return ("it has no marker of privnet".to_owned(), None);
    };
    let service = said.get("service").map_or("", String::as_str);
    let why = format!("it says that it is of the service `{service}` of the deployment `{deployment}`");
    let mend =
        "where that is a service that this file no longer lists, `--prune` or its tombstone takes it down";
    (why, Some(mend.to_owned()))
}

fn proof(resource: &Json, deployment: &str) -> Option<Address> {
    let said = said(resource);
    (said.get("deployment")? == deployment).then_some(())?;
    Some(Address::new(said.get("service")?, said.get("kind")?, said.get("name")?))
}

/// What a resource says of whose it is: by labels where it has any, else by its description.
fn said(resource: &Json) -> Labels {
    let labels = labels(resource);
    let by_label: Labels = PARTS
        .iter()
        .filter_map(|part| Some(((*part).to_owned(), labels.get(&format!("{PREFIX}{part}"))?.clone())))
        .collect();
    if by_label.is_empty()
        && resource.get("loadBalancingScheme").is_none_or(|_| resource.get("IPAddress").is_none())
    {
        return words(resource);
    }
    by_label
}

/// The words of a marker.
fn words(resource: &Json) -> Labels {
    let description = text(resource, "description").unwrap_or_default();
    let Some(rest) = description.strip_prefix(MARKER) else { return Labels::new() };
    let pairs = rest.split_whitespace().filter_map(|word| word.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The labels of a resource.
pub(crate) fn labels(resource: &Json) -> Labels {
    let entries = resource.get("labels").and_then(Json::as_object);
    let entries = entries.into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn managed_keys(resource: &Json) -> Vec<String> {
    let words = words(resource);
    let keys = words.get("labels").map(String::as_str).unwrap_or_default();
    keys.split(',').filter(|key| !key.is_empty()).map(str::to_owned).collect()
}

/// The user's labels that privnet set here and that are still there.
pub(crate) fn managed_labels(resource: &Json) -> Labels {
    let labels = labels(resource);
    let keys = managed_keys(resource).into_iter();
    keys.filter_map(|key| Some((key.clone(), labels.get(&key)?.clone()))).collect()
}

/// All labels that a resource is to have: what somebody else set, proof, and the user's.
pub(crate) fn all_labels(
    there: &Json,
    deployment: &str,
    address: &Address,
    generation: Generation,
    user: &Labels,
) -> Labels {
    let mut labels = labels(there);
    for key in managed_keys(there) {
        labels.remove(&key);
    }
    labels.extend(proof_labels(deployment, address, generation));
    labels.extend(user.clone());
    labels
}

/// Why these tags of the user's cannot be labels, if they cannot.
pub(crate) fn unsuitable(user: &Labels) -> Option<String> {
    let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let starts = |key: &str| key.starts_with(|c: char| c.is_ascii_lowercase());
    let rule = "GCP's labels have lower-case letters, digits, `_` and `-`, at most 63";
    if let Some(key) = user.keys().find(|key| key.starts_with(PREFIX)) {
        return Some(format!("the tag name `{key}` is reserved"));
    }
    if let Some(key) = user.keys().find(|key| key.len() > 63 || !starts(key) || !key.chars().all(ok)) {
        return Some(format!("the tag name `{key}` cannot be a label: {rule}, a letter first"));
    }
    if let Some((key, _)) = user.iter().find(|(_, value)| value.len() > 63 || !value.chars().all(ok)) {
        return Some(format!("the value of the tag `{key}` cannot be a label's: {rule}"));
    }
    let most = MOST_LABELS - PARTS.len();
    (user.len() > most)
        .then(|| format!("GCP allows {MOST_LABELS} labels, of which privnet needs {}", PARTS.len()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn address() -> Address {
        Address::new("events", "health-check", "main")
    }

    #[test]
    fn the_marker_proves_with_the_name_and_not_without() {
        let name = cloud_name("data", &address(), Generation::B);
        let ours = json!({ "name": name, "description": marker("data", &address(), Generation::B) });
        let claimed = claim("data", "health-check", &ours, &[]).expect("a claim");
        assert_eq!((claimed.address, claimed.generation), (address(), Generation::B));
        assert_eq!(claimed.ownership, Ownership::Ours);
        let moved = json!({ "name": "other", "description": marker("data", &address(), Generation::B) });
        assert_eq!(claim("data", "health-check", &moved, &[address()]), None);
        let bare = json!({ "name": name, "description": "by hand" });
        let claimed = claim("data", "health-check", &bare, &[address()]).expect("a claim");
        assert!(matches!(claimed.ownership, Ownership::Unproven { .. }));
        assert_eq!(claim("data2", "health-check", &ours, &[]), None);
    }

    #[test]
    fn what_lies_in_another_projects_network_says_of_which_project_it_is() {
        let rule = |description: String| json!({ "name": cloud_name("data", &address(), Generation::A), "description": description });
        let (own, shared) = (
            rule(marker("data", &address(), Generation::A)),
            rule(marker_from("data", &address(), Generation::A, "p-1")),
        );
        assert_eq!((project(&own), project(&shared)), (None, Some("p-1".to_owned())));
        assert!(is_ours("data", &address(), &own) && is_ours("data", &address(), &shared));
    }

    #[test]
    fn others_labels_stay_and_what_left_the_file_goes() {
        let rule = Address::new("events", "forwarding-rule", "main");
        let user = |pairs: &[(&str, &str)]| -> Labels {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let mine = user(&[("a", "1"), ("b", "2")]);
        let mut labels = all_labels(&Json::Null, "data", &rule, Generation::A, &mine);
        labels.insert("theirs".to_owned(), "x".to_owned());
        let there = json!({ "name": cloud_name("data", &rule, Generation::A), "IPAddress": "10.0.0.1", "labels": labels,
            "description": marker_with_keys("data", &rule, Generation::A, &mine) });
        assert_eq!(claim("data", "forwarding-rule", &there, &[]).expect("ours").ownership, Ownership::Ours);
        assert_eq!(managed_labels(&there), mine);
        let next = all_labels(&there, "data", &rule, Generation::A, &user(&[("a", "3")]));
        assert_eq!(next.get("a").map(String::as_str), Some("3"));
        assert!(!next.contains_key("b") && next.contains_key("theirs"));
    }

    #[test]
    fn tags_that_cannot_be_labels_are_refused() {
        let one = |key: &str, value: &str| Labels::from([(key.to_owned(), value.to_owned())]);
        assert_eq!(unsuitable(&one("cost-center", "4711")), None);
        assert!(unsuitable(&one("Cost Center", "1")).is_some());
        assert!(unsuitable(&one("a", "Value")).is_some());
        assert!(unsuitable(&one("privnet-x", "1")).is_some());
    }
}
