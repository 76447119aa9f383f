//! Endpoint services as they are read and deleted; [`super::service_edits`] makes and changes them.

use serde::Deserialize;
use serde_json::{Value, json};

use super::listing::{Ask, Kind, Noun, one};
use super::tagging::shown;
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::filter::Filters;
use crate::aws::ids::dns_suffix;
use crate::aws::world::{Service, World, after};

/// How long after it was asked for a verification looks at the TXT record, in seconds of sandbox time.
const VERIFICATION_TAKES: i64 = 15;

/// Endpoint services in errors.
pub(super) const SERVICE: Noun = Noun {
    prefix: "vpce-svc",
    what: "VpcEndpointService Id",
    missing: "InvalidVpcEndpointServiceId.NotFound",
    malformed: "InvalidVpcEndpointServiceId.Malformed",
};

/// A service of the caller's that is not being deleted.
pub(super) fn find(world: &World, call: &Call, id: &str) -> Result<Service, ApiError> {
    let found = world.services.get(id).filter(|s| s.scope == call.scope && s.deleted.is_none());
    found.cloned().ok_or_else(|| SERVICE.error(id))
}

/// A service as its owner sees it.
pub(super) fn show(tx: &Tx, call: &Call, service: &Service) -> Value {
    let zones = service.zones();
    let zone_ids: Vec<&str> = zones.iter().filter_map(|zone| zone_id(tx, service, zone)).collect();
    let base = format!("{}.{}.vpce.{}", service.id, service.scope.region, dns_suffix(&service.scope.region));
    let regions: Vec<Value> = service
        .regions
        .iter()
        .map(|(region, since)| {
            let ready = call.now >= after(*since, 10);
            json!({"Region": region, "ServiceState": if ready { "Available" } else { "Pending" }})
        })
        .collect();
    let dns = service.private_dns.as_ref();
    json!({
        "ServiceType": [{"ServiceType": "Interface"}],
        "ServiceId": service.id,
        "ServiceName": service.name(),
        "ServiceState": service.state(call.now),
        "AvailabilityZones": zones,
        "AvailabilityZoneIds": zone_ids,
        "AcceptanceRequired": service.acceptance,
        "ManagesVpcEndpoints": false,
        "NetworkLoadBalancerArns": service.load_balancers.keys().collect::<Vec<_>>(),
        "SupportedIpAddressTypes": service.ip_types,
        "BaseEndpointDnsNames": [base],
        "PrivateDnsName": dns.map(|dns| &dns.name),
        "PrivateDnsNameConfiguration": dns.map(|dns| json!({
            "State": dns.state, "Type": "TXT", "Value": dns.value, "Name": dns.record,
        })),
        "Tags": shown(tx, &service.id),
        "SupportedRegions": regions,
        "RemoteAccessEnabled": service.regions.len() > 1,
    })
}

/// The id of a zone of the service's region, as its owner's account names it.
pub(super) fn zone_id<'a>(world: &'a World, service: &Service, zone: &str) -> Option<&'a str> {
    let found = world.subnets.values().find(|s| s.zone == zone && s.scope == service.scope);
    found.map(|subnet| subnet.zone_id.as_str())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    #[serde(default)]
    service_ids: Vec<String>,
    #[serde(default)]
    filters: Filters,
    max_results: Option<usize>,
    next_token: Option<String>,
}

pub(super) fn describe(tx: &mut Tx, call: &Call) -> Reply {
    let Describe { service_ids: ids, filters, max_results, next_token } = call.input()?;
    let ask = Ask { ids, filters, max_results, next_token };
    let kind = Kind {
        noun: &SERVICE,
        filters: &[
            "service-name",
            "service-id",
            "service-state",
            "supported-ip-address-types",
            "supported-region",
        ],
        id: |service: &Service| &service.id,
        created: |service| Some(service.created),
    };
    let mine = tx.services.values().filter(|s| s.scope == call.scope && s.state(call.now).is_some());
    let page = kind.list(tx, call, &ask, mine, |service, name| match name {
        "service-name" => one(service.name()),
        "service-id" => one(&service.id),
        "service-state" => service.state(call.now).map(one).unwrap_or_default(),
        "supported-region" => service.regions.keys().cloned().collect(),
        _ => service.ip_types.iter().cloned().collect(),
    })?;
    let services: Vec<Value> = page.items.iter().map(|service| show(tx, call, service)).collect();
    Ok(json!({"ServiceConfigurations": services, "NextToken": page.next}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    service_ids: Vec<String>,
}

/// Answers HTTP 200 even when nothing was deleted: failures are in `Unsuccessful`.
pub(super) fn delete(tx: &mut Tx, call: &Call) -> Reply {
    let input: Delete = call.input()?;
    let mut unsuccessful = Vec::new();
    for id in &input.service_ids {
        if let Err(error) = delete_one(tx, call, id) {
            unsuccessful.push(error.unsuccessful(id));
        }
    }
    Ok(json!({"Unsuccessful": unsuccessful}))
}

fn delete_one(tx: &mut Tx, call: &Call, id: &str) -> Result<(), ApiError> {
    let service = find(tx, call, id).map_err(|_| {
        let why = format!("The VpcEndpointService Id '{id}' does not exist");
        ApiError::new("InvalidVpcEndpointService.NotFound", why)
    })?;
    if tx.connections_of(id, call.now).any(|endpoint| endpoint.holds_service(call.now)) {
        let why = "Service has existing active VPC Endpoint connections!";
        return Err(ApiError::new("ExistingVpcEndpointConnections", why));
    }
    tx.notifications.retain(|_, n| n.service.as_deref() != Some(id));
    service.permissions.values().for_each(|permission| tx.tags.forget(&permission.id));
    if let Some(service) = tx.services.get_mut(id) {
        service.deleted = Some(call.now);
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StartVerification {
    service_id: String,
}

pub(super) fn start_verification(tx: &mut Tx, call: &Call) -> Reply {
    let input: StartVerification = call.input()?;
    find(tx, call, &input.service_id)?;
    let dns = tx.services.get_mut(&input.service_id).and_then(|service| service.private_dns.as_mut());
    let Some(dns) = dns else {
        let why = format!("{} has no private DNS name to verify", input.service_id);
        return Err(ApiError::new("InvalidParameter", why));
    };
    if dns.state != "verified" {
        "pendingVerification".clone_into(&mut dns.state);
        dns.looks_at = Some(after(call.now, VERIFICATION_TAKES));
    }
    Ok(json!({"ReturnValue": true}))
}
