//! The whole file.

use std::collections::{BTreeMap, BTreeSet};

use super::super::consumer::Consumer;
use super::super::grammar::FILE;
use super::super::model::{CloudName, Service, Spec};
use super::super::preset::preset;
use super::super::source::{Errors, Span};
use super::super::text::Text;
use super::super::tree::{NodeId, Tree};
use super::super::{ConsumerName, DeploymentName};
use super::consumers::{Defined, consumers, from_preset};
use super::read::{Block, Reader};
use super::service::{Scopes, Shared, service};

/// The most characters of a tag's key on EC2.
const LONGEST_EC2_KEY: usize = 127;
/// AWS takes 50 tags on a resource and privnet sets a few of its own.
const MOST_TAGS: usize = 40;

/// Builds the types. Gives `None` when something was malformed; the errors say what.
pub(in super::super) fn file(tree: &Tree, errors: &mut Errors<'_>) -> Option<Spec> {
    let mut reader = Reader { tree, errors };
    let block = Block::new(tree.root(), Span::default(), &FILE);
    let deployment: Option<DeploymentName> = reader.text(block, "deployment");
    let defined = consumers(&mut reader, tree.get(block.node, "consumers"));
    let mut shared =
        Shared { consumers: defined, defaults: tree.get(block.node, "defaults"), scopes: Scopes::default() };
    let nodes = tree.get(block.node, "services").map_or(&[][..], |id| tree.items(id));
    unique_names(&mut reader, nodes);
    let services: Vec<Service> =
        nodes.iter().filter_map(|id| service(&mut reader, &mut shared, *id)).collect();
    let tags = tags(&mut reader, block, nodes);
    if !reader.errors.is_empty() || services.len() != nodes.len() {
        return None;
    }
    Some(Spec {
        version: 1,
        deployment: deployment?,
        tags,
        consumers: used(shared.consumers, &services),
        services,
        defaults: clouds_with_defaults(tree, shared.defaults),
        source: reader.errors.source.name().to_owned(),
    })
}

const CLOUDS: [CloudName; 3] = [CloudName::Aws, CloudName::Azure, CloudName::Gcp];

fn clouds_with_defaults(tree: &Tree, defaults: Option<NodeId>) -> BTreeSet<CloudName> {
    let Some(defaults) = defaults else { return BTreeSet::new() };
    CLOUDS.into_iter().filter(|cloud| tree.get(defaults, cloud.as_str()).is_some()).collect()
}

fn unique_names(reader: &mut Reader<'_, '_>, nodes: &[NodeId]) {
    let mut first: BTreeMap<&str, u32> = BTreeMap::new();
    let tree = reader.tree;
    for id in nodes {
        let Some(name) = tree.get(*id, "name") else { continue };
        let (Some(text), span) = (tree.text(name), tree.node(name).span) else { continue };
        let line = reader.errors.source.place(span.start).line;
        match first.get(text) {
            Some(first) => {
                let message =
                    format!("the service `{text}` is declared twice; the first time in line {first}");
                reader.errors.add("duplicate-service", span, message);
            }
            None => {
                first.insert(text, line);
            }
        }
    }
}

/// What the file defines, and the presets that its services name.
fn used(defined: Defined, services: &[Service]) -> BTreeMap<ConsumerName, Consumer> {
    let mut all: BTreeMap<ConsumerName, Consumer> = defined
        .into_iter()
        .filter_map(|(name, consumer)| Some((ConsumerName::parse_text(&name).ok()?, consumer?)))
        .collect();
    for name in services.iter().flat_map(|service| service.allow.keys()) {
        if let (false, Some(preset)) = (all.contains_key(name), preset(name.as_str())) {
            all.insert(name.clone(), from_preset(preset));
        }
    }
    all
}

fn tags(reader: &mut Reader<'_, '_>, file: Block, services: &[NodeId]) -> BTreeMap<String, String> {
    let tree = reader.tree;
    let Some(map) = tree.get(file.node, "tags") else { return BTreeMap::new() };
    let entries = tree.entries(map);
    if let Some(entry) = entries.get(MOST_TAGS) {
        reader.errors.add("too-many", entry.span, format!("`tags` takes at most {MOST_TAGS} entries"));
    }
    let clouds: Vec<CloudName> = CLOUDS
        .into_iter()
        .filter(|cloud| services.iter().any(|id| tree.get(*id, cloud.as_str()).is_some()))
        .collect();
    let mut found = BTreeMap::new();
    let mut spelled: BTreeMap<String, &str> = BTreeMap::new();
    for entry in entries {
        let Some(value) = tree.text(entry.node) else { continue };
        // <https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources>: tag names are case-insensitive. Of two
        // spellings one would be set, and each plan would want the other.
        let other = spelled.insert(entry.key.to_lowercase(), &entry.key);
        if let Some(other) = other.filter(|_| clouds.contains(&CloudName::Azure)) {
            let message = format!(
                "the tags `{other}` and `{}` cannot both be set on Azure: tag names that differ only in case are one there",
                entry.key
            );
            reader.errors.add("tag-of-cloud", entry.span, message);
        }
        let problem = clouds.iter().find_map(|cloud| Some((*cloud, tag_problem(*cloud, &entry.key, value)?)));
        if let Some((cloud, (of_key, why))) = problem {
            let span = if of_key { entry.span } else { tree.node(entry.node).span };
            let message = format!("the tag `{}` cannot be set on {}: {why}", entry.key, full_name(cloud));
            reader.errors.add("tag-of-cloud", span, message);
        }
        found.insert(entry.key.clone(), value.to_owned());
    }
    found
}

fn full_name(cloud: CloudName) -> &'static str {
    match cloud {
        CloudName::Aws => "AWS",
        CloudName::Azure => "Azure",
        CloudName::Gcp => "GCP",
    }
}

/// What a cloud has against a tag, and whether it is the key (else the value).
fn tag_problem(cloud: CloudName, key: &str, value: &str) -> Option<(bool, &'static str)> {
    match cloud {
        CloudName::Aws => {
            let bad = |text: &str| !text.chars().all(|c| c.is_alphanumeric() || " _.:/=+-@".contains(c));
            let why = "only letters, digits, spaces and `_.:/=+-@` may be used";
            // <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Tag.html>: one less than elsewhere on AWS.
            if key.chars().count() > LONGEST_EC2_KEY {
                Some((true, "EC2 takes keys of at most 127 characters"))
            } else if bad(key) {
                Some((true, why))
            } else {
                bad(value).then_some((false, why))
            }
        }
        CloudName::Azure => {
            key.contains(|c| "<>%&\\?/".contains(c)).then_some((true, "the key has one of `<>%&\\?/`"))
        }
        CloudName::Gcp => {
            let bad = |text: &str| {
                let plain = |c: char| c.is_lowercase() || c.is_numeric() || c == '_' || c == '-';
                text.chars().count() > 63
                    || !text.chars().all(|c| plain(c) || (c.is_alphabetic() && !c.is_uppercase()))
            };
            let why = "labels have at most 63 lower-case letters, digits, `_` and `-`";
            if !key.starts_with(|c: char| c.is_lowercase()) {
                Some((true, "a label's key begins with a lower-case letter"))
            } else if bad(key) {
                Some((true, why))
            } else {
                bad(value).then_some((false, why))
            }
        }
    }
}
