//! What the vendor needs to connect. Pure.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::handoff::Handoff;
use privnet_core::spec::aws::{AwsForm, AwsPort, AwsService, AwsTarget};
use privnet_core::spec::aws_ids::Region;
use privnet_core::spec::{Acceptance, CloudService, Service, Spec};
use privnet_core::{Address, Live, Value, World};
use serde_json::{Map, Value as Json, json};

use crate::facts::ServiceFacts;
use crate::kinds::ENDPOINT_SERVICE;
use crate::kinds::endpoint_service::{SUPPLIED, record_name};

/// Where the values for the vendor's Terraform stand: its `service`, `region` and `config_map`.
const FIVETRAN: &str = "fivetran_private_link";
/// Fivetran's word for a source behind AWS PrivateLink, and the one key of its `config_map`
/// (<https://fivetran.com/docs/rest-api/api-reference/private-links>).
const FIVETRAN_SERVICE: &str = "SOURCE_AWS";
const FIVETRAN_KEY: &str = "connection_service_name";
/// The regions of AWS in which Fivetran processes data
/// (<https://fivetran.com/docs/rest-api/private-links-management>, read 2026-11).
const FIVETRAN_REGIONS: [&str; 12] = [
    "ap-northeast-1",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-west-1",
    "eu-west-2",
    "us-east-1",
    "us-east-2",
    "us-gov-west-1",
    "us-west-2",
];

/// The hand-over of a service.
pub(crate) fn handoff(_spec: &Spec, service: &Service, world: &World) -> Handoff {
    let name = service.name.as_str();
    let mut handoff = Handoff {
        name: name.to_owned(),
        cloud: crate::CLOUD,
        fields: BTreeMap::new(),
        missing: Vec::new(),
        notes: Vec::new(),
        is_unseen: false,
    };
    let CloudService::Aws(aws) = &service.cloud else { return handoff };
    if service.remove || aws.form == AwsForm::Removed {
        handoff.missing.push("everything: the file removes this service (`remove: true`)".to_owned());
        return handoff;
    }
    add_what_the_file_says(&mut handoff, service, aws);
    let of = if matches!(aws.form, AwsForm::EndpointService(_)) { SUPPLIED } else { "main" };
    let address = Address::new(name, ENDPOINT_SERVICE, of);
    match world.at(&address) {
        Some(live) => {
            let facts = ServiceFacts::of(world, name);
            add_what_is_there(&mut handoff, aws, live, &facts);
        }
        None if of == SUPPLIED => {
            handoff
                .missing
                .push("service_name: the endpoint service that the file names was not found".to_owned());
        }
        None => handoff.missing.push(match world.why_not_taken(&address) {
            Some(why) => format!("service_name: {why}"),
            None => "service_name: there is no endpoint service yet; run `privnet apply`".to_owned(),
        }),
    }
    handoff
}

fn add_what_the_file_says(handoff: &mut Handoff, service: &Service, aws: &AwsService) {
    let region = &aws.location.region;
    handoff.fields.insert("region".to_owned(), json!(region.as_str()));
    let acceptance = match service.acceptance {
        Acceptance::Manual => "manual",
        Acceptance::Automatic => "automatic",
    };
    handoff.fields.insert("acceptance".to_owned(), json!(acceptance));
    let ports: &[AwsPort] = match &aws.form {
        AwsForm::Made(made) => &made.ports,
        AwsForm::OnLoadBalancer(on) => &on.ports,
        AwsForm::EndpointService(_) | AwsForm::Removed => &[],
    };
    if ports.is_empty() {
        handoff.notes.push(
            "ports: those of the load balancer's own listeners; privnet does not manage them".to_owned(),
        );
        return;
    }
    let listen: BTreeSet<u16> = ports.iter().map(|port| port.port.listen.get()).collect();
    handoff.fields.insert("ports".to_owned(), json!(listen));
    handoff.fields.insert("sources".to_owned(), Json::Array(ports.iter().map(source).collect()));
}

/// What is behind a port, as far as the vendor must know it: it may ask for the database's own name, for TLS.
fn source(port: &AwsPort) -> Json {
    let mut source = Map::new();
    source.insert("port".to_owned(), json!(port.port.listen.get()));
    if let Some(engine) = port.port.engine {
        source.insert("engine".to_owned(), json!(engine.as_str()));
    }
    if let AwsTarget::Dns(name) = &port.port.to {
        source.insert("host".to_owned(), json!(name.as_str()));
    }
    if port.tls.is_some() {
        source.insert("tls".to_owned(), json!(true));
    }
    Json::Object(source)
}

fn add_what_is_there(handoff: &mut Handoff, aws: &AwsService, live: &Live, facts: &ServiceFacts) {
    handoff.fields.insert("service_id".to_owned(), json!(live.id));
    let text = |field: &str| live.fields.get(field).and_then(Value::as_text);
    match text("service_name") {
        Some(name) => {
            handoff.fields.insert("service_name".to_owned(), json!(name));
            handoff.fields.insert(FIVETRAN.to_owned(), for_fivetran(name, &aws.location.region));
        }
        None => handoff.missing.push("service_name: AWS does not show it yet".to_owned()),
    }
    add_zones(handoff, live, facts);
    add_regions(handoff, live);
    add_names(handoff, live);
}

/// The values for the vendor's Terraform. The region is where the vendor processes the data: the service's own, where the
/// vendor has that one, is a first guess.
fn for_fivetran(service_name: &str, region: &Region) -> Json {
    let mut arguments = json!({ "service": FIVETRAN_SERVICE, "config_map": { FIVETRAN_KEY: service_name } });
    if let (Some(known), Some(object)) =
        (FIVETRAN_REGIONS.iter().find(|known| **known == region.as_str()), arguments.as_object_mut())
    {
        object.insert("region".to_owned(), json!(format!("AWS_{}", known.to_uppercase().replace('-', "_"))));
    }
    arguments
}

/// Zones by the ids that all accounts share: the names differ from account to account.
fn add_zones(handoff: &mut Handoff, live: &Live, facts: &ServiceFacts) {
    let texts = |field: &str| {
        let members = live.fields.get(field).and_then(Value::as_list).unwrap_or_default();
        members.iter().filter_map(Value::as_text).collect::<BTreeSet<_>>()
    };
    let ids = texts("zone_ids");
    if !ids.is_empty() {
        handoff.fields.insert("az_ids".to_owned(), json!(ids));
        return;
    }
    let id_of = |zone: &str| {
        facts.subnets.values().find(|subnet| subnet.zone == zone).map(|subnet| subnet.zone_id.as_str())
    };
    let zones = texts("zones");
    let known: Option<BTreeSet<&str>> =
        zones.iter().map(|zone| id_of(zone).filter(|id| !id.is_empty())).collect();
    match known {
        Some(ids) if !ids.is_empty() => {
            handoff.fields.insert("az_ids".to_owned(), json!(ids));
        }
        _ => handoff.missing.push("az_ids: AWS does not show the ids of the service's zones".to_owned()),
    }
}

fn add_regions(handoff: &mut Handoff, live: &Live) {
    let Some(states) = live.fields.get("region_states").and_then(Value::as_map) else { return };
    let words = states.iter().map(|(region, state)| (region.as_str(), state.as_text().unwrap_or("unknown")));
    let (ready, waiting): (Vec<_>, Vec<_>) =
        words.partition(|(_, state)| state.eq_ignore_ascii_case("available"));
    let ready: Vec<_> = ready.into_iter().map(|(region, _)| region).collect();
    if ready.len() > 1 {
        handoff.notes.push("the endpoint may be in any of `regions`".to_owned());
    }
    if !ready.is_empty() {
        handoff.fields.insert("regions".to_owned(), json!(ready));
    }
    for (region, state) in waiting {
        handoff.notes.push(format!("consumers in {region} must wait: it is {state} there"));
    }
}

/// Under which names the service is reached: the private one once it is verified, and AWS's own.
fn add_names(handoff: &mut Handoff, live: &Live) {
    let text = |field: &str| live.fields.get(field).and_then(Value::as_text);
    let host = text("host");
    let Some(private) = text("private_dns_name") else {
        if let Some(host) = host {
            handoff.fields.insert("host".to_owned(), json!(host));
        }
        return;
    };
    handoff.fields.insert("private_dns_name".to_owned(), json!(private));
    let record = live.fields.get("private_dns_record").and_then(Value::as_map);
    let part = |part: &str| record.and_then(|record| record.get(part)).and_then(Value::as_text);
    if part("state").is_some_and(|state| state.eq_ignore_ascii_case("verified")) {
        handoff.fields.insert("host".to_owned(), json!(private));
        return;
    }
    if let Some(host) = host {
        handoff.fields.insert("host".to_owned(), json!(host));
    }
    match (part("name"), part("value")) {
        (Some(name), Some(value)) => {
            let kind = part("type").unwrap_or("TXT");
            let name = record_name(name, private);
            let state = part("state").unwrap_or("unknown");
            let record = json!({ "name": name, "type": kind, "value": value, "state": state });
            handoff.fields.insert("private_dns_record".to_owned(), record);
            handoff.missing.push(format!(
                "private_dns_name: {private} does not work yet ({state}); it needs the record {name} {kind} \"{value}\" in its public zone"
            ));
        }
        _ => handoff
            .missing
            .push(format!("private_dns_name: {private} does not work yet; AWS shows no record for it")),
    }
}

#[cfg(test)]
mod tests;
