//! Connections of endpoint services, as their owner sees and decides them.
//!
//! Sources: API reference of DescribeVpcEndpointConnections, Accept/RejectVpcEndpointConnections. The wire spells states in
//! camel case (`pendingAcceptance`), the published model does not.

use serde::Deserialize;
use serde_json::{Value, json};

use super::listing::one;
use super::services::{SERVICE, find};
use super::tagging::shown;
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::filter::Filters;
use crate::aws::page::page;
use crate::aws::world::{Endpoint, wire_time};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    #[serde(default)]
    filters: Filters,
    max_results: Option<usize>,
    next_token: Option<String>,
}

/// `vpc-endpoint-id` is published, but the real server refuses it.
const FILTERS: [&str; 5] =
    ["ip-address-type", "service-id", "vpc-endpoint-owner", "vpc-endpoint-region", "vpc-endpoint-state"];

pub(super) fn describe(tx: &mut Tx, call: &Call) -> Reply {
    let input: Describe = call.input()?;
    input.filters.check(&FILTERS, true)?;
    let mut found: Vec<&Endpoint> = tx
        .endpoints
        .values()
        .filter(|endpoint| endpoint.state(call.now).is_some() && call.listed(endpoint.created))
        .filter(|endpoint| tx.services.get(&endpoint.service).is_some_and(|s| s.scope == call.scope))
        .collect();
    found.retain(|endpoint| {
        input.filters.matches(tx, call, &endpoint.connection, |name| match name {
            "ip-address-type" => one(&endpoint.ip_type),
            "service-id" => one(&endpoint.service),
            "vpc-endpoint-owner" => one(&endpoint.scope.account),
            "vpc-endpoint-region" => one(&endpoint.scope.region),
            _ => endpoint.seen(tx, call.now).map(one).unwrap_or_default(),
        })
    });
    let key = |endpoint: &&Endpoint| endpoint.id.clone();
    let page = page(found, key, call, input.max_results, input.next_token.as_deref())?;
    let connections: Vec<Value> = page.items.iter().map(|endpoint| show(tx, call, endpoint)).collect();
    Ok(json!({"VpcEndpointConnections": connections, "NextToken": page.next}))
}

fn show(tx: &Tx, call: &Call, endpoint: &Endpoint) -> Value {
    json!({
        "ServiceId": endpoint.service,
        "VpcEndpointId": endpoint.id,
        "VpcEndpointOwner": endpoint.scope.account,
        "VpcEndpointState": endpoint.seen(tx, call.now),
        "CreationTimestamp": wire_time(endpoint.created),
        "NetworkLoadBalancerArns": endpoint.load_balancers,
        "IpAddressType": endpoint.ip_type,
        "VpcEndpointConnectionId": endpoint.connection,
        "Tags": shown(tx, &endpoint.connection),
        "VpcEndpointRegion": endpoint.scope.region,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Decide {
    service_id: String,
    vpc_endpoint_ids: Vec<String>,
}

pub(super) fn accept(tx: &mut Tx, call: &Call) -> Reply {
    decide(tx, call, |endpoint, now| match endpoint.state(now) {
        Some("pendingAcceptance") => {
            endpoint.accepted = Some(now);
            Ok(())
        }
        state => Err(wrong_state(endpoint, state)),
    })
}

pub(super) fn reject(tx: &mut Tx, call: &Call) -> Reply {
    decide(tx, call, |endpoint, now| match endpoint.state(now) {
        Some("pendingAcceptance" | "pending" | "available") => {
            endpoint.rejected = Some(now);
            Ok(())
        }
        state => Err(wrong_state(endpoint, state)),
    })
}

fn wrong_state(endpoint: &Endpoint, state: Option<&str>) -> ApiError {
    let why = format!("VPC endpoint {} is in the wrong state: {}", endpoint.id, state.unwrap_or("deleted"));
    ApiError::new("InvalidState", why)
}

/// Decides each endpoint by itself: what fails is in `Unsuccessful`, with HTTP 200.
fn decide(
    tx: &mut Tx,
    call: &Call,
    change: impl Fn(&mut Endpoint, jiff::Timestamp) -> Result<(), ApiError>,
) -> Reply {
    let input: Decide = call.input()?;
    find(tx, call, &input.service_id).map_err(|_| SERVICE.error(&input.service_id))?;
    let mut unsuccessful = Vec::new();
    for id in &input.vpc_endpoint_ids {
        let is_there = tx.connections_of(&input.service_id, call.now).any(|endpoint| endpoint.id == *id);
        let outcome = match tx.endpoints.get_mut(id).filter(|_| is_there) {
            Some(endpoint) => change(endpoint, call.now),
            None => {
                let why = format!("The Vpc Endpoint Id '{id}' does not exist");
                Err(ApiError::new("InvalidVpcEndpointId.NotFound", why))
            }
        };
        if let Err(error) = outcome {
            unsuccessful.push(error.unsuccessful(id));
        }
    }
    Ok(json!({"Unsuccessful": unsuccessful}))
}
