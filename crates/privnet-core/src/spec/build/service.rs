//! One service: who may use it, and the rules between consumers and clouds.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use super::super::aws_ids::VpcEndpointId;
use super::super::azure_ids::ArmId;
use super::super::consumer::{AzureConsumer, Consumer};
use super::super::gcp_ids::PscConnectionId;
use super::super::grammar::{ALLOW, AWS, AWS_LOCATION, AZURE, AZURE_LOCATION, GCP, GCP_LOCATION, SERVICE};
use super::super::model::{Acceptance, Allow, CloudName, CloudService, Service};
use super::super::preset::{preset, presets};
use super::super::shape::{MapShape, suggest};
use super::super::source::Span;
use super::super::text::{Text, TextProblem};
use super::super::tree::{Entry, NodeId};
use super::super::{ConsumerName, ServiceName};
use super::consumers::{Defined, from_preset, private_endpoint};
use super::read::{Block, Reader};
use super::{aws, azure, gcp};

/// What the services of a file share.
pub(super) struct Shared {
    pub(super) consumers: Defined,
    pub(super) defaults: Option<NodeId>,
    pub(super) scopes: Scopes,
}

/// What only one service of a file may have, with where it was first declared.
#[derive(Default)]
pub(super) struct Scopes {
    pub(super) azure: azure::Shared,
    pub(super) gcp: gcp::Shared,
    pub(super) existing: BTreeMap<String, u32>,
}

impl Scopes {
    /// Something that exists can carry one service only.
    pub(super) fn once(&mut self, reader: &mut Reader<'_, '_>, what: &str, id: &str, span: Span) {
        let line = reader.errors.source.place(span.start).line;
        match self.existing.get(id) {
            Some(first) => {
                let message = format!("{what} is named twice; the first time in line {first}");
                reader.errors.add("existing-twice", span, message);
            }
            None => {
                self.existing.insert(id.to_owned(), line);
            }
        }
    }
}

/// What the cloud's part needs to know of the service.
pub(super) struct Outer<'s> {
    pub(super) acceptance: Acceptance,
    /// Where that is said.
    pub(super) acceptance_at: Span,
    pub(super) removed: bool,
    /// The allowed consumers as they are known, with the place of each.
    pub(super) consumers: &'s [(Consumer, Allow, Span)],
}

pub(super) fn service(reader: &mut Reader<'_, '_>, shared: &mut Shared, node: NodeId) -> Option<Service> {
    let tree = reader.tree;
    let name_entry = tree.entry(node, "name");
    let at = name_entry.map_or(tree.node(node).span, |entry| entry.span);
    let block = Block::new(node, at, &SERVICE);
    let acceptance = match reader.word(block, "acceptance") {
        Some("automatic") => Acceptance::Automatic,
        _ => Acceptance::Manual,
    };
    let allow_anyone = reader.flag(block, "allow_anyone", false);
    let remove = reader.flag(block, "remove", false);
    if allow_anyone && acceptance == Acceptance::Automatic {
        reader.errors.add_hint(
            "anyone-automatic",
            reader.key_span(block, "allow_anyone"),
            "`allow_anyone` cannot stand together with automatic acceptance",
            "that would let in every customer of the cloud; accept by hand",
        );
    }
    let (cloud_name, cloud_entry) = [CloudName::Aws, CloudName::Azure, CloudName::Gcp]
        .into_iter()
        .find_map(|cloud| Some((cloud, tree.entry(node, cloud.as_str())?)))?;
    let known = allowed(reader, shared, block, cloud_name, (acceptance, allow_anyone, remove));
    if !remove && tree.get(node, "allow").is_none_or(|id| tree.entries(id).is_empty()) {
        let span = reader.key_span(block, "allow");
        if !SERVICE.is_misspelt(tree.entries(node), "allow") {
            let hint = "name a consumer, such as `allow: { fivetran: {} }`";
            reader.errors.add_hint("nobody-allowed", span, "the service allows nobody", hint);
        }
    }
    let acceptance_at = reader.key_span(block, "acceptance");
    let outer = Outer { acceptance, acceptance_at, removed: remove, consumers: &known.listed };
    let cloud = cloud(reader, shared, cloud_name, cloud_entry, &outer);
    Some(Service {
        name: ServiceName::parse_text(tree.text(tree.get(node, "name")?)?).ok()?,
        allow: known.allow,
        acceptance,
        allow_anyone,
        remove,
        cloud: cloud?,
        place: reader.errors.source.place(name_entry?.span.start),
    })
}

fn cloud(
    reader: &mut Reader<'_, '_>,
    shared: &mut Shared,
    name: CloudName,
    entry: &Entry,
    outer: &Outer<'_>,
) -> Option<CloudService> {
    let defaults = shared.defaults.and_then(|id| reader.tree.get(id, name.as_str()));
    let block = |shape: &'static MapShape| Block { node: entry.node, defaults, at: entry.span, shape };
    match name {
        CloudName::Aws => {
            let block = block(&AWS);
            aws::service(reader, &mut shared.scopes, block, &AWS_LOCATION, outer).map(CloudService::Aws)
        }
        CloudName::Azure => {
            let block = block(&AZURE);
            azure::service(reader, &mut shared.scopes, block, &AZURE_LOCATION, outer).map(CloudService::Azure)
        }
        CloudName::Gcp => {
            let block = block(&GCP);
            gcp::service(reader, &mut shared.scopes, block, &GCP_LOCATION, outer).map(CloudService::Gcp)
        }
    }
}

#[derive(Default)]
struct Allowed {
    allow: BTreeMap<ConsumerName, Allow>,
    listed: Vec<(Consumer, Allow, Span)>,
}

fn allowed(
    reader: &mut Reader<'_, '_>,
    shared: &Shared,
    service: Block,
    cloud: CloudName,
    (acceptance, allow_anyone, removed): (Acceptance, bool, bool),
) -> Allowed {
    let tree = reader.tree;
    let mut found = Allowed::default();
    for entry in tree.get(service.node, "allow").map_or(&[][..], |id| tree.entries(id)) {
        if entry.key == "*" {
            // The key's own form has been reported; how it is meant to be written is more helpful.
            reader.errors.say_instead(
                "wildcard-consumer",
                entry.span,
                "`*` is no consumer",
                "define a consumer that has `*` in a list, and set `allow_anyone: true`",
            );
            continue;
        }
        let Ok(name) = ConsumerName::parse_text(&entry.key) else { continue };
        let block = Block::new(entry.node, entry.span, &ALLOW);
        let consumer = known_consumer(reader, shared, entry);
        let allow = Allow {
            max_connections: NonZeroU32::new(reader.number(block, "max_connections").unwrap_or(1))
                .unwrap_or(NonZeroU32::MIN),
            only: only(reader, block, cloud, consumer.as_ref()),
        };
        if !allow.only.is_empty() && acceptance == Acceptance::Automatic {
            reader.errors.add_hint(
                "only-automatic",
                reader.key_span(block, "only"),
                "`only` has no effect with automatic acceptance: the cloud lets in every endpoint of the consumer",
                "use `acceptance: manual`",
            );
        }
        if let Some(consumer) = consumer {
            usable(reader, &consumer, entry, cloud, allow_anyone);
            // A tombstone lets nobody in.
            if cloud == CloudName::Azure && acceptance == Acceptance::Automatic && !removed {
                whole_subscriptions(reader, &consumer, entry);
            }
            found.listed.push((consumer, allow.clone(), entry.span));
        }
        found.allow.insert(name, allow);
    }
    found
}

/// The consumer of that name, defined or preset; reports a name that is neither.
fn known_consumer(reader: &mut Reader<'_, '_>, shared: &Shared, entry: &Entry) -> Option<Consumer> {
    if let Some(defined) = shared.consumers.get(&entry.key) {
        return defined.clone();
    }
    if let Some(preset) = preset(&entry.key) {
        return Some(from_preset(preset));
    }
    let defined = shared.consumers.keys().map(String::as_str);
    let names: BTreeSet<&str> = defined.chain(presets().map(|preset| preset.name.as_str())).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let hint = suggest(&entry.key, &names, "defined or preset are");
    let message = format!("no consumer is named `{}`", entry.key);
    reader.errors.add_hint("unknown-consumer", entry.span, message, hint);
    None
}

/// The consumer can be named in the cloud, and its wildcard only where that is asked for.
fn usable(
    reader: &mut Reader<'_, '_>,
    consumer: &Consumer,
    entry: &Entry,
    cloud: CloudName,
    allow_anyone: bool,
) {
    let (known, anyone) = match cloud {
        CloudName::Aws => {
            let aws = consumer.aws.as_ref();
            (aws.is_some_and(|aws| !aws.principals.is_empty()), aws.is_some_and(|aws| aws.anyone()))
        }
        CloudName::Azure => {
            let azure = consumer.azure.as_ref();
            (
                azure.is_some_and(|azure| !azure.visible_to().is_empty()),
                azure.is_some_and(|azure| azure.anyone()),
            )
        }
        CloudName::Gcp => {
            let gcp = consumer.gcp.as_ref();
            let named = gcp.is_some_and(|gcp| !gcp.projects.is_empty() || !gcp.networks.is_empty());
            (named, gcp.is_some_and(|gcp| gcp.anyone()))
        }
    };
    let name = &entry.key;
    if !known {
        let (list, word) = match cloud {
            CloudName::Aws => ("principals", "principal"),
            CloudName::Azure => ("subscriptions", "subscription"),
            CloudName::Gcp => ("projects", "project"),
        };
        let preset = consumer.preset.as_ref().and_then(|reference| preset(&reference.name));
        let ask = preset.and_then(|p| p.ask_azure.clone()).filter(|_| cloud == CloudName::Azure);
        let hint = ask.unwrap_or_else(|| {
            format!("ask the vendor for its {word}, and give it under `consumers: {{ {name}: {{ {cloud}: {{ {list}: […] }} }} }}`")
        });
        let message = format!("the consumer `{name}` has no {cloud} {word}");
        reader.errors.add_hint("consumer-without-cloud", entry.span, message, hint);
    }
    if anyone && !allow_anyone {
        reader.errors.add_hint(
            "anyone-not-allowed",
            entry.span,
            format!("the consumer `{name}` is `*`, and the service does not say `allow_anyone: true`"),
            "name the consumer's own accounts, or say that anyone may ask",
        );
    }
}

/// Azure lets in whole subscriptions by itself, and no endpoint by name: a consumer of whom endpoints alone are known is let in by hand.
fn whole_subscriptions(reader: &mut Reader<'_, '_>, consumer: &Consumer, entry: &Entry) {
    if !consumer.azure.as_ref().is_some_and(AzureConsumer::by_endpoints_alone) {
        return;
    }
    let name = &entry.key;
    reader.errors.add_hint(
        "endpoints-automatic",
        entry.span,
        format!("of the consumer `{name}` only `endpoints` are known, and automatic acceptance lets in whole subscriptions"),
        "use `acceptance: manual`, or name the subscription if every endpoint of it may come in",
    );
}

/// The endpoints that the vendor named, each in the cloud's own form.
fn only(
    reader: &mut Reader<'_, '_>,
    block: Block,
    cloud: CloudName,
    consumer: Option<&Consumer>,
) -> std::collections::BTreeSet<String> {
    let tree = reader.tree;
    let mut found = std::collections::BTreeSet::new();
    for id in reader.get(block, "only").map_or(&[][..], |id| tree.items(id)) {
        let Some(text) = tree.text(*id) else { continue };
        let span = tree.node(*id).span;
        let parsed: Result<(), TextProblem> = match cloud {
            CloudName::Aws => VpcEndpointId::parse_text(text).map(|_| ()),
            CloudName::Azure => ArmId::parse_text(text).map(|id| azure_only(reader, &id, span, consumer)),
            CloudName::Gcp => PscConnectionId::parse_text(text).map(|_| ()),
        };
        if let Err(problem) = parsed {
            let what = match cloud {
                CloudName::Aws => VpcEndpointId::RULE.what,
                CloudName::Azure => "the id of an Azure private endpoint",
                CloudName::Gcp => PscConnectionId::RULE.what,
            };
            let message = format!("`only`: `{text}` is not {what}: it {}", problem.why);
            reader.errors.push("wrong-endpoint", span, message, problem.hint);
        }
        found.insert(text.to_owned());
    }
    found
}

fn azure_only(reader: &mut Reader<'_, '_>, id: &ArmId, span: Span, consumer: Option<&Consumer>) {
    let fits = private_endpoint(reader, id, span);
    let Some(azure) = consumer.and_then(|consumer| consumer.azure.as_ref()) else { return };
    if fits && !azure.anyone() && !azure.visible_to().contains(id.subscription().as_str()) {
        reader.errors.add(
            "endpoint-elsewhere",
            span,
            "the endpoint lies in none of the consumer's subscriptions, so it can never be accepted",
        );
    }
}
