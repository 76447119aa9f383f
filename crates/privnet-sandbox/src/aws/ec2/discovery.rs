//! Endpoint services as consumers see them: only those that allow the caller.

use serde::Deserialize;
use serde_json::{Value, json};

use super::listing::one;
use super::services::zone_id;
use super::tagging::shown;
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::filter::Filters;
use crate::aws::ids::dns_suffix;
use crate::aws::page::page;
use crate::aws::world::{Service, World};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    #[serde(default)]
    service_names: Vec<String>,
    #[serde(default)]
    service_regions: Vec<String>,
    #[serde(default)]
    filters: Filters,
    max_results: Option<usize>,
    next_token: Option<String>,
}

const FILTERS: [&str; 5] =
    ["owner", "service-name", "service-region", "service-type", "supported-ip-address-types"];

/// Whether an account can see a service and ask for a connection: its owner's account can, and those allowed.
pub(super) fn visible(service: &Service, account: &str) -> bool {
    service.scope.account == account || service.allows(account).is_some()
}

/// The service of that name, as far as the caller can see it.
pub(super) fn by_name<'a>(world: &'a World, call: &Call, name: &str, region: &str) -> Option<&'a Service> {
    world.services.values().find(|service| {
        service.name() == name
            && service.state(call.now) == Some("Available")
            && visible(service, &call.scope.account)
            && service.scope.region == region
    })
}

/// The error for a service that is not there, or not for the caller: AWS does not tell which.
pub(super) fn no_such_service(name: &str) -> ApiError {
    ApiError::new("InvalidServiceName", format!("The Vpc Endpoint Service '{name}' does not exist"))
}

pub(super) fn describe(tx: &mut Tx, call: &Call) -> Reply {
    let input: Describe = call.input()?;
    input.filters.check(&FILTERS, true)?;
    let in_region = |service: &&Service| {
        if input.service_regions.is_empty() {
            service.scope.region == call.scope.region
        } else {
            input.service_regions.contains(&service.scope.region)
                && service.regions.contains_key(&call.scope.region)
        }
    };
    let mut found: Vec<&Service> = tx
        .services
        .values()
        .filter(|service| service.state(call.now) == Some("Available"))
        .filter(|service| visible(service, &call.scope.account))
        .filter(in_region)
        .collect();
    if let Some(name) = input.service_names.iter().find(|name| !found.iter().any(|s| s.name() == **name)) {
        return Err(no_such_service(name));
    }
    found.retain(|s| input.service_names.is_empty() || input.service_names.contains(&s.name()));
    found.retain(|service| {
        input.filters.matches(tx, call, &service.id, |name| match name {
            "owner" => one(&service.scope.account),
            "service-name" => one(service.name()),
            "service-region" => one(&service.scope.region),
            "service-type" => one("Interface"),
            _ => service.ip_types.iter().cloned().collect(),
        })
    });
    found.sort_by_key(|service| service.name());
    let page = page(found, |s| s.name(), call, input.max_results, input.next_token.as_deref())?;
    let names: Vec<String> = page.items.iter().map(|service| service.name()).collect();
    let details: Vec<Value> = page.items.iter().map(|service| show(tx, call, service)).collect();
    Ok(json!({"ServiceNames": names, "ServiceDetails": details, "NextToken": page.next}))
}

fn show(tx: &Tx, call: &Call, service: &Service) -> Value {
    let dns = service.private_dns.as_ref();
    let region = &service.scope.region;
    let own = service.scope.account == call.scope.account;
    let zones = service.zones();
    let zone_ids: Vec<&str> = zones.iter().filter_map(|zone| zone_id(tx, service, zone)).collect();
    json!({
        "ServiceName": service.name(),
        "ServiceId": service.id,
        "ServiceType": [{"ServiceType": "Interface"}],
        "ServiceRegion": region,
        "AvailabilityZones": zones,
        "AvailabilityZoneIds": zone_ids,
        "Owner": service.scope.account,
        "BaseEndpointDnsNames": [format!("{}.{region}.vpce.{}", service.id, dns_suffix(region))],
        "PrivateDnsName": dns.map(|dns| &dns.name),
        "PrivateDnsNames": dns.map(|dns| json!([{"PrivateDnsName": dns.name}])),
        "PrivateDnsNameVerificationState": dns.map(|dns| &dns.state),
        "VpcEndpointPolicySupported": false,
        "AcceptanceRequired": service.acceptance,
        "ManagesVpcEndpoints": false,
        "SupportedIpAddressTypes": service.ip_types,
        // Tags are the owner's; consumers do not see them.
        "Tags": if own { shown(tx, &service.id) } else { json!([]) },
    })
}
