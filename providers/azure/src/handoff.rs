//! What the vendor needs to connect.

use std::collections::BTreeMap;

use privnet_core::handoff::Handoff;
use privnet_core::spec::azure::AzureForm;
use privnet_core::spec::{CloudService, Service, Spec};
use privnet_core::{Value, World};
use serde_json::json;

use crate::kinds::private_link_service;
use crate::{facts, hosted};

/// The timeout that Private Link itself has: no setting of load balancer or service raises it
/// (<https://learn.microsoft.com/azure/private-link/private-link-service-overview#limitations>).
const IDLE: &str = "Azure Private Link drops connections that are idle for 4 to 5 minutes: have the connector send TCP keepalives \
                    more often than that";

/// The hand-over of one service.
pub(crate) fn of(_spec: &Spec, service: &Service, world: &World) -> Handoff {
    let mut handoff = Handoff {
        name: service.name.to_string(),
        cloud: "azure",
        fields: BTreeMap::new(),
        missing: Vec::new(),
        notes: Vec::new(),
    };
    let CloudService::Azure(azure) = &service.cloud else { return handoff };
    if let AzureForm::Hosted(form) = &azure.form {
        let mut handoff = hosted::handoff(service, form);
        handoff.notes.push(IDLE.to_owned());
        return handoff;
    }
    match world.at(&private_link_service::address(service.name.as_str())) {
        Some(live) => {
            handoff.fields.insert("service_id".to_owned(), json!(live.id));
            match live.outputs.get("alias").and_then(Value::as_text) {
                Some(alias) => {
                    handoff.fields.insert("alias".to_owned(), json!(alias));
                }
                None => handoff.missing.push("the alias: the service is not ready yet".to_owned()),
            }
        }
        None => handoff.missing.push("the service id and alias: run `privnet apply`".to_owned()),
    }
    let ports: Vec<u16> = match &azure.form {
        AzureForm::Made(made) => made.ports.iter().map(|port| port.listen.get()).collect(),
        AzureForm::OnFrontend(_) => {
            let facts = facts::of(world, service.name.as_str()).and_then(|facts| facts.frontend);
            facts.map(|frontend| frontend.ports).unwrap_or_default()
        }
        _ => Vec::new(),
    };
    if !ports.is_empty() {
        handoff.fields.insert("ports".to_owned(), json!(ports));
    }
    let location = match &azure.form {
        AzureForm::Made(made) => Some(&made.scope.location),
        AzureForm::OnFrontend(form) => Some(&form.scope.location),
        _ => None,
    };
    if let Some(location) = location {
        handoff.fields.insert("location".to_owned(), json!(location.as_str()));
    }
    handoff.notes.push(IDLE.to_owned());
    handoff
}
