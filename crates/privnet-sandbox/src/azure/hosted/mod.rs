//! Services that Azure hosts: their connections, each provider in its own way.

mod table;

use serde_json::{Map, Value, json};

use table::Tells;
pub(crate) use table::{Hosted, Reply, hosted_kind};

use super::connections::decision;
use super::error::ArmError;
use super::id::ResourceId;
use super::operation::{Begin, Effect};
use super::world::{Connection, Resource, State, Status, World, guid};
use jiff::Timestamp;

/// How long a hosted service needs to drop a connection, in sandbox seconds.
pub(crate) const REMOVAL_SECONDS: i64 = 8;

/// Subresources have to be the provider's; they match without case.
pub(crate) fn check_groups(service: &ResourceId, groups: &[String]) -> Result<(), ArmError> {
    let Some(kind) = hosted_kind(&service.kind()) else {
        return Err(ArmError::invalid(
            "PrivateLinkNotSupported",
            format!("Resource {service} does not support private endpoints."),
        ));
    };
    let known = |group: &String| kind.groups.iter().any(|known| known.eq_ignore_ascii_case(group));
    match groups.iter().find(|group| !known(group)) {
        None if groups.len() == 1 => Ok(()),
        bad => Err(ArmError::invalid(
            "InvalidPrivateLinkServiceGroupIds",
            format!(
                "Call to {} failed. The group ids {:?} are not valid; valid ones are {}.",
                kind.kind,
                bad.map_or(groups, std::slice::from_ref),
                kind.groups.join(", ")
            ),
        )),
    }
}

/// A connection as its provider renders it.
pub(crate) fn render(connection: &Connection) -> Value {
    let kind = hosted_kind(&connection.service.kind());
    let passing = kind.is_some_and(|kind| kind.passes_through);
    let status = match (connection.deciding, passing) {
        (Some(Status::Approved), true) => "Approving",
        (Some(Status::Rejected), true) => "Rejecting",
        _ => connection.status.text(),
    };
    let settled = kind.map_or("Succeeded", |kind| match kind.unapproved {
        Some(word) if connection.status != Status::Approved => word,
        _ => kind.settled,
    });
    let provisioning = match connection.state {
        State::Succeeded => settled,
        other => other.text(),
    };
    let mut state = json!({"status": status});
    state[kind.map_or("actionsRequired", |kind| kind.action)] = json!("None");
    if !connection.description.is_empty() {
        state["description"] = json!(connection.description);
    }
    let mut properties = json!({
        "privateEndpoint": {"id": connection.endpoint.to_string()},
        "privateLinkServiceConnectionState": state,
        "provisioningState": provisioning,
    });
    match kind.map_or(Tells::Nothing, |kind| kind.tells_groups) {
        Tells::All => properties["groupIds"] = json!(connection.groups),
        Tells::One => properties["groupId"] = json!(connection.groups.first()),
        Tells::Nothing => {}
    }
    let mut body = json!({"id": connection.id.to_string(), "properties": properties});
    if !kind.is_some_and(|kind| kind.nameless) {
        body["name"] = json!(connection.id.name());
        body["type"] = json!(connection.id.kind());
    }
    body
}

/// What a hosted service shows of itself, its connections included.
pub(crate) fn show(world: &World, resource: &Resource, properties: &mut Map<String, Value>) {
    if hosted_kind(&resource.id.kind()).is_some() {
        let mut list: Vec<Value> = world.connections_of(&resource.id).map(render).collect();
        // `ServerPrivateEndpointConnection`, `ManagedInstancePecProperty` and the vaults' `PrivateEndpointConnectionItem` have no name.
        if ["Microsoft.Sql/", "Microsoft.KeyVault/"].iter().any(|of| resource.id.kind().starts_with(of)) {
            list.iter_mut().filter_map(Value::as_object_mut).for_each(|one| {
                one.retain(|name, _| name == "id" || name == "properties");
            });
        }
        properties.insert("privateEndpointConnections".into(), Value::Array(list));
        properties.remove("provisioningState");
    }
}

/// The subresources that an endpoint can ask for.
pub(crate) fn link_resources(service: &ResourceId, kind: &Hosted) -> Vec<Value> {
    let resource = |group: &&str| {
        json!({
            "id": service.child("privateLinkResources", group).to_string(),
            "name": group,
            "type": format!("{}/privateLinkResources", service.kind()),
            "properties": {"groupId": group, "requiredMembers": [group], "requiredZoneNames": []},
        })
    };
    kind.groups.iter().map(resource).collect()
}

/// Starts what a PUT of a connection asks for; `None` as operation means that it is done.
pub(crate) fn decide(
    world: &mut World,
    key: &str,
    body: &Value,
    kind: &Hosted,
    now: Timestamp,
) -> Result<(Status, Option<String>), ArmError> {
    let (status, description) = decision(body)?;
    let Some(connection) = world.connections.get_mut(key) else {
        return Err(ArmError::new(
            404,
            "ResourceNotFound",
            format!("The private endpoint connection {key} was not found."),
        ));
    };
    if kind.pending_only && connection.status != Status::Pending {
        return Err(ArmError::invalid(
            "PrivateEndpointConnectionStatusNotPending",
            format!("The private endpoint connection status of {} is not pending.", connection.id.name()),
        ));
    }
    if let (Some((code, message)), Status::Rejected, Status::Approved) =
        (kind.rejected_is_final, connection.status, status)
    {
        return Err(ArmError::invalid(code, message));
    }
    if connection.deciding.is_some() {
        return Err(ArmError::new(
            409,
            "PrivateEndpointConnectionOperationInProgress",
            format!("Another operation on {} is in progress.", connection.id.name()),
        ));
    }
    connection.description = description;
    connection.etag = guid();
    if kind.decides_at_once() {
        connection.status = status;
        return Ok((status, None));
    }
    connection.deciding = Some(status);
    let before = connection.status;
    let id = connection.id.clone();
    let location = world.resource(&id).map(|service| service.location().to_owned()).unwrap_or_default();
    let effect = Effect::Decide(key.to_owned(), status, before);
    let name =
        format!("{}PrivateEndpointConnection", if status == Status::Approved { "Approve" } else { "Reject" });
    Ok((status, Some(world.begin(Begin { name, id: &id, location, seconds: 5, effect }, now))))
}
