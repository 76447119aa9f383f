//! What the vendor needs to connect. Pure.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::handoff::Handoff;
use privnet_core::spec::gcp::{GcpBackend, GcpForm, GcpNatSubnet, GcpService};
use privnet_core::spec::{Acceptance, CloudService, Service};
use privnet_core::{Address, Value, World};
use serde_json::{Value as Json, json};

use crate::kinds::firewall;
use crate::kinds::service_attachment::{KIND, SUPPLIED};

/// What is known of the ports of a load balancer of the user's.
const PORTS: &str = "ports: those of the forwarding rule; privnet does not manage them";
/// Where the values for the vendor's Terraform stand: its `service`, `region` and `config_map`.
const FIVETRAN: &str = "fivetran_private_link";
/// Fivetran's word for a source behind Private Service Connect, and the one key of its `config_map`
/// (fivetran/terraform-provider-fivetran, `open-api-spec.json`, `source_gcp_private_link_config_V1`).
const FIVETRAN_SERVICE: &str = "SOURCE_GCP";
const FIVETRAN_KEY: &str = "private_connection_service_id";
/// The regions of Google Cloud in which Fivetran processes data
/// (<https://fivetran.com/docs/rest-api/private-links-management>, read 2026-11).
const FIVETRAN_REGIONS: [&str; 11] = [
    "asia-northeast1",
    "asia-south1",
    "asia-southeast1",
    "asia-southeast2",
    "australia-southeast1",
    "europe-west2",
    "europe-west3",
    "northamerica-northeast1",
    "us-central1",
    "us-east4",
    "us-west1",
];

/// The hand-over of a service.
pub(crate) fn handoff(service: &Service, world: &World) -> Handoff {
    let name = service.name.as_str();
    let mut handoff = Handoff {
        name: name.to_owned(),
        cloud: crate::CLOUD,
        fields: BTreeMap::new(),
        missing: Vec::new(),
        notes: Vec::new(),
        is_unseen: false,
    };
    let CloudService::Gcp(gcp) = &service.cloud else { return handoff };
    if service.remove || gcp.form == GcpForm::Removed {
        handoff.missing.push("everything: the file removes this service (`remove: true`)".to_owned());
        return handoff;
    }
    add_what_the_file_says(&mut handoff, service, gcp);
    let supplied = matches!(gcp.form, GcpForm::ServiceAttachment { .. });
    let address = Address::new(name, KIND.name, if supplied { SUPPLIED } else { "main" });
    match world.at(&address) {
        Some(live) => {
            handoff.fields.insert("service_attachment".to_owned(), json!(live.id));
            handoff.fields.insert(FIVETRAN.to_owned(), for_fivetran(&live.id, gcp.location.region.as_str()));
            let names = live.fields.get("domain_names").and_then(Value::as_list).unwrap_or_default();
            let names: Vec<&str> = names.iter().filter_map(Value::as_text).collect();
            if !names.is_empty() {
                handoff.fields.insert("domain_names".to_owned(), json!(names));
            }
        }
        None if supplied => handoff
            .missing
            .push("service_attachment: the service attachment that the file names was not found".to_owned()),
        None => handoff.missing.push(match world.why_not_taken(&address) {
            Some(why) => format!("service_attachment: {why}"),
            None => "service_attachment: there is no service attachment yet; run `privnet apply`".to_owned(),
        }),
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
        GcpForm::OnForwardingRule(on) => {
            handoff.notes.push(PORTS.to_owned());
            let ranges = on.attachment.nat_subnets.iter().map(|subnet| match subnet {
                GcpNatSubnet::Create { cidr } => cidr.to_string(),
                GcpNatSubnet::Existing(name) => format!("the range of `{name}`"),
            });
            handoff.notes.push(firewall::let_in(&ranges.collect::<Vec<_>>(), on));
        }
        GcpForm::ServiceAttachment { .. } => handoff.notes.push(PORTS.to_owned()),
        GcpForm::Removed => {}
    }
}

/// The values for the vendor's Terraform. The region is where the vendor processes the data: the service's own, where the vendor has
/// that one, is a first guess.
fn for_fivetran(attachment: &str, region: &str) -> Json {
    let mut arguments = json!({ "service": FIVETRAN_SERVICE, "config_map": { FIVETRAN_KEY: attachment } });
    if FIVETRAN_REGIONS.contains(&region) {
        arguments["region"] = json!(format!("GCP_{}", region.to_uppercase().replace('-', "_")));
    }
    arguments
}
