//! Connection notifications.
//!
//! Source: API reference of CreateVpcEndpointConnectionNotification: one topic for a service or an endpoint, events among
//! Accept, Connect, Delete, Reject.

use serde::Deserialize;
use serde_json::{Value, json};

use super::listing::one;
use super::services::find;
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::filter::Filters;
use crate::aws::ids::fresh;
use crate::aws::page::page;
use crate::aws::world::Notification;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    service_id: Option<String>,
    vpc_endpoint_id: Option<String>,
    connection_notification_arn: String,
    connection_events: Vec<String>,
}

pub(super) fn create(tx: &mut Tx, call: &Call) -> Reply {
    let input: Create = call.input()?;
    match (&input.service_id, &input.vpc_endpoint_id) {
        (Some(service), None) => find(tx, call, service).map(drop)?,
        (None, Some(endpoint)) if tx.endpoints.get(endpoint).is_some_and(|e| e.scope == call.scope) => {}
        (None, Some(endpoint)) => {
            return Err(ApiError::not_found("InvalidVpcEndpointId.NotFound", "Vpc Endpoint Id", endpoint));
        }
        _ => {
            let why = "Exactly one of ServiceId and VpcEndpointId must be given";
            return Err(ApiError::new("InvalidParameterCombination", why));
        }
    }
    check_topic(tx, &input.connection_notification_arn)?;
    let events = checked_events(&input.connection_events)?;
    let same = |n: &Notification| {
        (&n.service, &n.endpoint, &n.topic)
            == (&input.service_id, &input.vpc_endpoint_id, &input.connection_notification_arn)
    };
    if tx.notifications.values().any(same) {
        let why = "A connection notification for this topic already exists";
        return Err(ApiError::new("ConnectionNotificationAlreadyExists", why));
    }
    let notification = Notification {
        scope: call.scope.clone(),
        id: fresh("vpce-nfn"),
        service: input.service_id,
        endpoint: input.vpc_endpoint_id,
        topic: input.connection_notification_arn,
        events,
        created: call.now,
    };
    tx.notifications.insert(notification.id.clone(), notification.clone());
    Ok(json!({"ConnectionNotification": show(&notification)}))
}

fn check_topic(tx: &Tx, topic: &str) -> Result<(), ApiError> {
    if tx.topics.contains(topic) {
        return Ok(());
    }
    let why =
        format!("The SNS topic {topic} does not exist or does not allow publishing by vpce.amazonaws.com");
    Err(ApiError::new("InvalidParameter", why))
}

fn checked_events(events: &[String]) -> Result<Vec<String>, ApiError> {
    let known = |event: &String| matches!(event.as_str(), "Accept" | "Connect" | "Delete" | "Reject");
    if let Some(event) = events.iter().find(|event| !known(event)) {
        return Err(ApiError::new("InvalidParameter", format!("Invalid connection event: {event}")));
    }
    if events.is_empty() {
        return Err(ApiError::new("MissingParameter", "At least one connection event is required"));
    }
    let mut events = events.to_vec();
    events.sort();
    events.dedup();
    Ok(events)
}

fn show(notification: &Notification) -> Value {
    json!({
        "ConnectionNotificationId": notification.id,
        "ServiceId": notification.service,
        "VpcEndpointId": notification.endpoint,
        "ConnectionNotificationType": "Topic",
        "ConnectionNotificationArn": notification.topic,
        "ConnectionEvents": notification.events,
        "ConnectionNotificationState": "Enabled",
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    connection_notification_id: Option<String>,
    #[serde(default)]
    filters: Filters,
    max_results: Option<usize>,
    next_token: Option<String>,
}

const FILTERS: [&str; 6] = [
    "connection-notification-arn",
    "connection-notification-id",
    "connection-notification-state",
    "connection-notification-type",
    "service-id",
    "vpc-endpoint-id",
];

pub(super) fn describe(tx: &mut Tx, call: &Call) -> Reply {
    let input: Describe = call.input()?;
    input.filters.check(&FILTERS, false)?;
    if let Some(id) = &input.connection_notification_id {
        own(tx, call, id)?;
    }
    let wanted = |n: &Notification| match &input.connection_notification_id {
        Some(wanted) => *wanted == n.id,
        None => call.listed(n.created),
    };
    let mut found: Vec<&Notification> =
        tx.notifications.values().filter(|n| n.scope == call.scope && wanted(n)).collect();
    found.retain(|n| {
        input.filters.matches(tx, call, &n.id, |name| match name {
            "connection-notification-arn" => one(&n.topic),
            "connection-notification-id" => one(&n.id),
            "connection-notification-state" => one("Enabled"),
            "connection-notification-type" => one("Topic"),
            "service-id" => n.service.iter().cloned().collect(),
            _ => n.endpoint.iter().cloned().collect(),
        })
    });
    let key = |n: &&Notification| n.id.clone();
    let page = page(found, key, call, input.max_results, input.next_token.as_deref())?;
    let shown: Vec<Value> = page.items.iter().map(|n| show(n)).collect();
    Ok(json!({"ConnectionNotificationSet": shown, "NextToken": page.next}))
}

fn own(tx: &Tx, call: &Call, id: &str) -> Result<Notification, ApiError> {
    let found = tx.notifications.get(id).filter(|n| n.scope == call.scope);
    found.cloned().ok_or_else(|| {
        let why = format!("The connection notification '{id}' does not exist");
        ApiError::new("InvalidConnectionNotification", why)
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Modify {
    connection_notification_id: String,
    connection_notification_arn: Option<String>,
    connection_events: Option<Vec<String>>,
}

pub(super) fn modify(tx: &mut Tx, call: &Call) -> Reply {
    let input: Modify = call.input()?;
    let mut notification = own(tx, call, &input.connection_notification_id)?;
    if let Some(topic) = input.connection_notification_arn {
        check_topic(tx, &topic)?;
        notification.topic = topic;
    }
    if let Some(events) = &input.connection_events {
        notification.events = checked_events(events)?;
    }
    tx.notifications.insert(notification.id.clone(), notification);
    Ok(json!({"ReturnValue": true}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    connection_notification_ids: Vec<String>,
}

pub(super) fn delete(tx: &mut Tx, call: &Call) -> Reply {
    let input: Delete = call.input()?;
    let mut unsuccessful = Vec::new();
    for id in &input.connection_notification_ids {
        match own(tx, call, id) {
            Ok(_) => {
                tx.notifications.remove(id);
            }
            Err(error) => unsuccessful.push(error.unsuccessful(id)),
        }
    }
    Ok(json!({"Unsuccessful": unsuccessful}))
}
