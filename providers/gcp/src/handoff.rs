//! What the vendor needs to connect. Pure.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::handoff::Handoff;
use privnet_core::spec::gcp::{GcpBackend, GcpForm, GcpService};
use privnet_core::spec::{Acceptance, CloudService, Service};
use privnet_core::{Address, Value, World};
use serde_json::json;

use crate::kinds::service_attachment::{KIND, SUPPLIED};

/// The hand-over of a service.
pub(crate) fn handoff(service: &Service, world: &World) -> Handoff {
    let name = service.name.as_str();
    let mut handoff = Handoff {
        name: name.to_owned(),
        cloud: crate::CLOUD,
        fields: BTreeMap::new(),
        missing: Vec::new(),
        notes: Vec::new(),
    };
    let CloudService::Gcp(gcp) = &service.cloud else { return handoff };
    if service.remove || gcp.form == GcpForm::Removed {
        handoff.missing.push("everything: the file removes this service (`remove: true`)".to_owned());
        return handoff;
    }
    add_what_the_file_says(&mut handoff, service, gcp);
    let supplied = matches!(gcp.form, GcpForm::ServiceAttachment { .. });
    match world.at(&Address::new(name, KIND.name, if supplied { SUPPLIED } else { "main" })) {
        Some(live) => {
            handoff.fields.insert("service_attachment".to_owned(), json!(live.id));
            let names = live.fields.get("domain_names").and_then(Value::as_list).unwrap_or_default();
            let names: Vec<&str> = names.iter().filter_map(Value::as_text).collect();
            if !names.is_empty() {
                handoff.fields.insert("domain_names".to_owned(), json!(names));
            }
        }
        None if supplied => handoff
            .missing
            .push("service_attachment: the service attachment that the file names was not found".to_owned()),
        None => handoff
            .missing
            .push("service_attachment: there is no service attachment yet; run `privnet apply`".to_owned()),
    }
    if service.acceptance == Acceptance::Manual {
        handoff.notes.push(
            "ask the vendor for the PSC_CONNECTION_ID of its endpoint, and name it in `only:` or with --connection"
                .to_owned(),
        );
    }
    handoff
}

fn add_what_the_file_says(handoff: &mut Handoff, service: &Service, gcp: &GcpService) {
    let mut insert = |key: &str, value: serde_json::Value| handoff.fields.insert(key.to_owned(), value);
    insert("region", json!(gcp.location.region.as_str()));
    insert("project", json!(gcp.location.project.as_str()));
    let acceptance = match service.acceptance {
        Acceptance::Manual => "manual",
        Acceptance::Automatic => "automatic",
    };
    insert("acceptance", json!(acceptance));
    match &gcp.form {
        GcpForm::Made(made) => {
            let ports: BTreeSet<u16> = match &made.backend {
                GcpBackend::Direct { ports, .. } => ports.iter().map(|port| port.listen.get()).collect(),
                GcpBackend::Forwarder { ports, .. } => ports.iter().map(|port| port.listen.get()).collect(),
            };
            insert("ports", json!(ports));
            if !made.global_access {
                handoff.notes.push(format!(
                    "clients must be in {}: global access is off (`global_access: true` turns it on)",
                    gcp.location.region
                ));
            }
        }
        GcpForm::OnForwardingRule(_) | GcpForm::ServiceAttachment { .. } => {
            handoff
                .notes
                .push("ports: those of the forwarding rule; privnet does not manage them".to_owned());
        }
        GcpForm::Removed => {}
    }
}
