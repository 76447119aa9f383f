//! Consumers: what the file defines, over what presets know.

use std::collections::BTreeMap;

use super::super::ConsumerName;
use super::super::azure_ids::ArmId;
use super::super::consumer::{AwsConsumer, AzureConsumer, Consumer, GcpConsumer, Who};
use super::super::gcp_ids::{NetworkPath, ProjectRef};
use super::super::grammar::{CONSUMER, CONSUMER_AWS, CONSUMER_AZURE, CONSUMER_GCP};
use super::super::preset::{Preset, preset, presets};
use super::super::shape::suggest;
use super::super::source::Span;
use super::super::text::Text;
use super::super::tree::{Entry, NodeId};
use super::read::{Block, Reader};

/// The consumers that the file defines. A definition that failed is there too, as `None`, so that services
/// which use it do not complain.
pub(super) type Defined = BTreeMap<String, Option<Consumer>>;

pub(super) fn consumers(reader: &mut Reader<'_, '_>, map: Option<NodeId>) -> Defined {
    let tree = reader.tree;
    let entries = map.map_or(&[][..], |id| tree.entries(id));
    entries.iter().map(|entry| (entry.key.clone(), consumer(reader, entry))).collect()
}

/// The consumer that a preset gives by itself.
pub(super) fn from_preset(preset: &Preset) -> Consumer {
    Consumer {
        preset: Some(preset.reference()),
        aws: preset.aws.clone(),
        azure: preset.azure.clone(),
        gcp: preset.gcp.clone(),
        place: None,
    }
}

fn consumer(reader: &mut Reader<'_, '_>, entry: &Entry) -> Option<Consumer> {
    ConsumerName::parse_text(&entry.key).ok()?;
    let block = Block::new(entry.node, entry.span, &CONSUMER);
    let base = base(reader, block, entry)?;
    let place = Some(reader.errors.source.place(entry.span.start));
    let mut consumer = match base {
        Some(preset) => Consumer { place, ..from_preset(preset) },
        None => Consumer { preset: None, aws: None, azure: None, gcp: None, place },
    };
    let mut whole = true;
    if let Some(block) = reader.block(block, "aws", &CONSUMER_AWS) {
        let aws = consumer.aws.get_or_insert_default();
        merge_aws(reader, block, aws);
        whole &= reader.get(block, "principals").is_none() || !aws.principals.is_empty();
    }
    if let Some(block) = reader.block(block, "azure", &CONSUMER_AZURE) {
        let azure = consumer.azure.get_or_insert_default();
        merge_azure(reader, block, azure);
        whole &= reader.get(block, "subscriptions").is_none() || !azure.subscriptions.is_empty();
    }
    if let Some(block) = reader.block(block, "gcp", &CONSUMER_GCP) {
        let gcp = consumer.gcp.get_or_insert_default();
        merge_gcp(reader, block, gcp);
        whole &= reader.get(block, "projects").is_none() || !gcp.projects.is_empty();
        whole &= reader.get(block, "networks").is_none() || !gcp.networks.is_empty();
    }
    // A list of which nothing could be read has been reported.
    whole.then_some(consumer)
}

/// The preset that a definition is based on: `Some(None)` for none, `None` for an error.
fn base(reader: &mut Reader<'_, '_>, block: Block, entry: &Entry) -> Option<Option<&'static Preset>> {
    let Some(name) = reader.word(block, "preset").map(str::to_owned) else {
        if preset(&entry.key).is_some() {
            let name = &entry.key;
            reader.errors.add_hint(
                "preset-redefined",
                entry.span,
                format!("`{name}` is the name of a preset"),
                format!(
                    "to change some of it write `preset: {name}`; for another consumer take another name"
                ),
            );
            return None;
        }
        let entries = reader.tree.entries(block.node);
        if !entries.is_empty() && !entries.iter().any(|e| CONSUMER.keys.iter().any(|key| key.name == e.key)) {
            return None;
        }
        if entries.is_empty() {
            let message = format!("the consumer `{}` is not known to any cloud", entry.key);
            reader.errors.add_hint(
                "empty-consumer",
                entry.span,
                message,
                "give it a `preset`, or `aws`, `azure` or `gcp`",
            );
        }
        return Some(None);
    };
    let span = reader.span(block, "preset");
    let Some(found) = preset(&name) else {
        let names: Vec<&str> = presets().map(|preset| preset.name.as_str()).collect();
        let hint = suggest(&name, &names, "the presets are");
        reader.errors.add_hint("unknown-preset", span, format!("there is no preset `{name}`"), hint);
        return None;
    };
    if preset(&entry.key).is_some() && entry.key != name {
        let message = format!("`{}` is a preset itself; it cannot stand for `{name}`", entry.key);
        reader.errors.add_hint("preset-redefined", span, message, "take another name for the consumer");
        return None;
    }
    Some(Some(found))
}

fn merge_aws(reader: &mut Reader<'_, '_>, block: Block, aws: &mut AwsConsumer) {
    if let Some(principals) = reader.who(block, "principals") {
        aws.principals = principals;
    }
    if let Some(cidrs) = reader.optional_set(block, "cidrs") {
        aws.cidrs = cidrs;
    }
}

fn merge_azure(reader: &mut Reader<'_, '_>, block: Block, azure: &mut AzureConsumer) {
    if let Some(subscriptions) = reader.who(block, "subscriptions") {
        azure.subscriptions = subscriptions;
    }
    if reader.get(block, "endpoints").is_some() {
        let endpoints: Vec<(ArmId, Span)> = reader.items(block, "endpoints");
        for (id, span) in &endpoints {
            private_endpoint(reader, id, *span);
        }
        azure.endpoints = endpoints.into_iter().map(|(id, _)| id).collect();
    }
}

/// The id must be that of a private endpoint.
pub(super) fn private_endpoint(reader: &mut Reader<'_, '_>, id: &ArmId, span: Span) -> bool {
    let fits = id.is_a("Microsoft.Network/privateEndpoints");
    if !fits {
        let message = format!("this is a `{}`, not a private endpoint", id.resource_type());
        reader.errors.add_hint(
            "wrong-resource-type",
            span,
            message,
            "an endpoint's id ends in `/providers/Microsoft.Network/privateEndpoints/NAME`",
        );
    }
    fits
}

fn merge_gcp(reader: &mut Reader<'_, '_>, block: Block, gcp: &mut GcpConsumer) {
    if let Some(projects) = reader.who::<ProjectRef>(block, "projects") {
        gcp.projects = projects;
    }
    if reader.get(block, "networks").is_none() {
        return;
    }
    let networks: Vec<(NetworkPath, Span)> = reader.items(block, "networks");
    for (network, span) in &networks {
        if gcp.projects.contains(&Who::Is(ProjectRef::Id(network.project.clone()))) {
            let message = format!("the project `{}` is in `projects` already", network.project);
            reader.errors.add_hint(
                "both-lists",
                *span,
                message,
                "name a project or its networks: an attachment takes one type of consumer at a time",
            );
        }
    }
    gcp.networks = networks.into_iter().map(|(network, _)| network).collect();
}
