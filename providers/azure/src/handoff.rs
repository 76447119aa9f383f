//! What the vendor needs to connect.

use std::collections::BTreeMap;

use privnet_core::handoff::Handoff;
use privnet_core::spec::azure::AzureForm;
use privnet_core::spec::{CloudService, Engine, Service, Spec};
use privnet_core::{Live, Value, World};
use serde_json::{Value as Json, json};

use crate::kinds::private_link_service;
use crate::{facts, hosted};

/// The timeout that Private Link itself has: no setting of load balancer or service raises it
/// (<https://learn.microsoft.com/azure/private-link/private-link-service-overview#limitations>).
const IDLE: &str = "Azure Private Link drops connections that are idle for 4 to 5 minutes: have the connector send TCP keepalives \
                    more often than that";

/// Where the values for the vendor's Terraform stand: its `service`, `region` and `config_map`.
const FIVETRAN: &str = "fivetran_private_link";
/// Fivetran's word for a source behind Azure Private Link, and the two keys that its `config_map` must have
/// (fivetran/terraform-provider-fivetran, `open-api-spec.json`, `source_azure_private_link_config_V1`).
const FIVETRAN_SERVICE: &str = "SOURCE_AZURE";
const FIVETRAN_ID: &str = "connection_service_id";
const FIVETRAN_SUBRESOURCE: &str = "sub_resource_name";
/// Subresources as Fivetran spells them (the same description; `dfs` from
/// <https://fivetran.com/docs/destinations/connection-options/azure-private-link>).
const FIVETRAN_SUBRESOURCES: [&str; 8] =
    ["blob", "dfs", "managedInstance", "MongoDB", "namespace", "postgresqlServer", "sql", "sqlServer"];
/// The locations of Azure in which Fivetran processes data
/// (<https://fivetran.com/docs/rest-api/private-links-management>, read 2026-11).
const FIVETRAN_REGIONS: [&str; 11] = [
    "australiaeast",
    "canadacentral",
    "centralindia",
    "centralus",
    "eastus",
    "eastus2",
    "japaneast",
    "southeastasia",
    "uaenorth",
    "uksouth",
    "westeurope",
];

/// The hand-over of one service.
pub(crate) fn of(_spec: &Spec, service: &Service, world: &World) -> Handoff {
    let mut handoff = Handoff {
        name: service.name.to_string(),
        cloud: "azure",
        fields: BTreeMap::new(),
        missing: Vec::new(),
        notes: Vec::new(),
        is_unseen: false,
    };
    let CloudService::Azure(azure) = &service.cloud else { return handoff };
    if let AzureForm::Hosted(form) = &azure.form {
        let mut handoff = hosted::handoff(service, form);
        handoff.fields.insert(FIVETRAN.to_owned(), hosted_for_fivetran(&handoff));
        handoff.notes.push(IDLE.to_owned());
        return handoff;
    }
    let address = private_link_service::address(service.name.as_str());
    let live = world.at(&address);
    match live {
        Some(live) => {
            handoff.fields.insert("service_id".to_owned(), json!(live.id));
            handoff.fields.insert(FIVETRAN.to_owned(), for_fivetran(live, the_engine(&azure.form)));
            match live.outputs.get("alias").and_then(Value::as_text) {
                Some(alias) => {
                    handoff.fields.insert("alias".to_owned(), json!(alias));
                }
                None => handoff.missing.push("the alias: the service is not ready yet".to_owned()),
            }
        }
        None => handoff.missing.push(match world.why_not_taken(&address) {
            Some(why) => format!("the service id and alias: {why}"),
            None if matches!(azure.form, AzureForm::PrivateLinkService(_)) => {
                "the service id and alias: the private link service that the file names was not found"
                    .to_owned()
            }
            None => "the service id and alias: run `privnet apply`".to_owned(),
        }),
    }
    let ports: Vec<u16> = match &azure.form {
        AzureForm::Made(made) => made.ports.iter().map(|port| port.listen.get()).collect(),
        AzureForm::OnFrontend(_) | AzureForm::PrivateLinkService(_) => {
            let facts = facts::of(world, service.name.as_str()).and_then(|facts| facts.frontend);
            facts.map(|frontend| frontend.ports).unwrap_or_default()
        }
        _ => Vec::new(),
    };
    if ports.is_empty() {
        handoff.missing.push(
            "the ports: no rule of the load balancer's frontend can be read (Microsoft.Network/loadBalancers/read), or it has none"
                .to_owned(),
        );
    } else {
        handoff.fields.insert("ports".to_owned(), json!(ports));
    }
    let location = match &azure.form {
        AzureForm::Made(made) => Some(made.scope.location.as_str()),
        AzureForm::OnFrontend(form) => Some(form.scope.location.as_str()),
        _ => live.and_then(|live| live.fields.get("location")).and_then(Value::as_text),
    };
    if let Some(location) = location {
        handoff.fields.insert("location".to_owned(), json!(location));
    }
    handoff.notes.push(IDLE.to_owned());
    handoff
}

/// The values for the vendor's Terraform, of what Azure hosts. Its location is not known, nor where the vendor processes the data.
fn hosted_for_fivetran(handoff: &Handoff) -> Json {
    let subresource = handoff.fields.get("subresource").and_then(Json::as_str).unwrap_or_default();
    let known = FIVETRAN_SUBRESOURCES.iter().find(|known| known.eq_ignore_ascii_case(subresource));
    json!({"service": FIVETRAN_SERVICE, "config_map": {
        FIVETRAN_ID: handoff.fields.get("resource_id"),
        FIVETRAN_SUBRESOURCE: known.copied().unwrap_or(subresource)}})
}

/// The same of a private link service. It has no subresource, yet the vendor demands one, by which it finds the name's zone: its
/// own test names that of the database behind it (`resource_private_link_e2e_test.go`). Where this does not tell, the user does.
fn for_fivetran(service: &Live, engine: Option<Engine>) -> Json {
    let mut arguments = json!({"service": FIVETRAN_SERVICE, "config_map": {FIVETRAN_ID: service.id}});
    match engine {
        Some(Engine::Postgres) => arguments["config_map"][FIVETRAN_SUBRESOURCE] = json!("postgresqlServer"),
        Some(Engine::Sqlserver) => arguments["config_map"][FIVETRAN_SUBRESOURCE] = json!("sqlServer"),
        _ => {
            arguments["asked"] = json!({FIVETRAN_SUBRESOURCE: "The subresource name that Fivetran takes for a private link \
                service before this database, such as postgresqlServer or sqlServer"});
        }
    }
    arguments["remarks"] = json!({FIVETRAN_SUBRESOURCE: "Fivetran demands one also for a private link service, which has none: \
        confirm it with Fivetran"});
    let location = service.fields.get("location").and_then(Value::as_text).unwrap_or_default();
    if FIVETRAN_REGIONS.contains(&location) {
        arguments["region"] = json!(format!("AZURE_{}", location.to_uppercase()));
    }
    arguments
}

/// The database's protocol, where all ports have the same.
fn the_engine(form: &AzureForm) -> Option<Engine> {
    let AzureForm::Made(made) = form else { return None };
    let mut engines = made.ports.iter().map(|port| port.engine);
    let first = engines.next()??;
    engines.all(|other| other == Some(first)).then_some(first)
}
