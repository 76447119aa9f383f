//! Connections on private link services: raising, deciding, removing. Hosted services' own ways are in [`super::hosted`].
//!
//! Recorded and documented: a PUT of a connection answers 200 (official clients refuse 201) with an operation, a DELETE 202;
//! a connection's name is `<endpoint>.<guid>`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::error::ArmError;
use super::hosted;
use super::id::ResourceId;
use super::network::remove_of_endpoint;
use super::operation::{Begin, Effect};
use super::world::{Connection, State, Status, World, guid};

/// A request of a private endpoint, as the service gets it.
pub(crate) struct Request {
    /// The service.
    pub(crate) service: ResourceId,
    /// The endpoint.
    pub(crate) endpoint: ResourceId,
    /// Where the endpoint is.
    pub(crate) location: String,
    /// Subresources of a hosted service.
    pub(crate) groups: Vec<String>,
    /// The consumer's message.
    pub(crate) message: String,
    /// Approved at once, or waiting.
    pub(crate) status: Status,
}

impl World {
    /// Adds a connection to a service.
    pub(crate) fn raise(&mut self, request: Request, now: Timestamp) -> String {
        let own = request.service.is("Microsoft.Network/privateLinkServices");
        let name = format!("{}{}{}", request.endpoint.name(), if own { '.' } else { '-' }, guid());
        let id = request.service.child("privateEndpointConnections", &name);
        let key = id.key();
        let description =
            if request.status == Status::Approved { "Auto-approved".to_owned() } else { request.message };
        let connection = Connection {
            id,
            service: request.service,
            endpoint: request.endpoint,
            location: request.location,
            // TLV 0xEE carries 32 bits.
            link: u64::from(rand::random::<u32>() | 1),
            groups: request.groups,
            status: request.status,
            deciding: None,
            description,
            state: State::Succeeded,
            etag: guid(),
            raised: now,
        };
        self.connections.insert(key.clone(), connection);
        key
    }

    /// Removes a connection from the provider's side: the endpoint stays, disconnected.
    pub(crate) fn remove_connection(&mut self, key: &str) {
        if let Some(connection) = self.connections.get(key).cloned() {
            self.connections.remove(key);
            remove_of_endpoint(self, &connection.endpoint, "The connection was removed by the provider.");
        }
    }
}

/// A connection of a private link service as its owner sees it.
pub(crate) fn render_connection(connection: &Connection) -> Value {
    json!({
        "name": connection.id.name(),
        "id": connection.id.to_string(),
        "etag": format!("W/\"{}\"", connection.etag),
        "type": "Microsoft.Network/privateLinkServices/privateEndpointConnections",
        "properties": {
            "provisioningState": connection.state.text(),
            "privateEndpoint": {"id": connection.endpoint.to_string()},
            "privateLinkServiceConnectionState": {
                "status": connection.status.text(), "description": connection.description, "actionsRequired": ""},
            "linkIdentifier": connection.link.to_string(),
            "privateEndpointLocation": connection.location,
        },
    })
}

/// The status and description that a body asks for.
pub(crate) fn decision(body: &Value) -> Result<(Status, String), ArmError> {
    let state = &body["properties"]["privateLinkServiceConnectionState"];
    let text = state["status"].as_str().unwrap_or_default();
    match Status::parse(text) {
        Some(status @ (Status::Approved | Status::Rejected)) => {
            Ok((status, state["description"].as_str().unwrap_or_default().to_owned()))
        }
        Some(Status::Pending) => Err(ArmError::invalid(
            "PrivateEndpointConnectionStatusCannotBePending",
            "A private endpoint connection cannot be set to Pending.",
        )),
        _ => Err(ArmError::invalid(
            "InvalidPrivateLinkServiceConnectionState",
            format!("The connection state '{text}' is not one of Approved and Rejected."),
        )),
    }
}

/// Decides on a connection of a private link service; returns the operation.
pub(crate) fn decide(world: &mut World, key: &str, body: &Value, now: Timestamp) -> Result<String, ArmError> {
    let (status, description) = decision(body)?;
    let Some(connection) = world.connections.get_mut(key) else {
        return Err(ArmError::new(404, "NotFound", format!("Resource {key} not found.")));
    };
    let before = std::mem::replace(&mut connection.status, status);
    connection.description = description;
    connection.state = State::Updating;
    connection.etag = guid();
    let id = connection.id.clone();
    let location = world.resource(&id).map(|service| service.location().to_owned()).unwrap_or_default();
    let begin = Begin {
        name: "PutPrivateEndpointConnectionOperation".to_owned(),
        id: &id,
        location,
        seconds: 5,
        effect: Effect::Decide(key.to_owned(), status, before),
    };
    Ok(world.begin(begin, now))
}

/// Starts the removal of a connection; returns the operation.
pub(crate) fn remove(world: &mut World, key: &str, now: Timestamp) -> Option<String> {
    let connection = world.connections.get_mut(key)?;
    connection.state = State::Deleting;
    let id = connection.id.clone();
    let location = world.resource(&id).map(|service| service.location().to_owned()).unwrap_or_default();
    let seconds =
        if id.namespace.eq_ignore_ascii_case("Microsoft.Network") { 6 } else { hosted::REMOVAL_SECONDS };
    let begin = Begin {
        name: "DeletePrivateEndpointConnectionOperation".to_owned(),
        id: &id,
        location,
        seconds,
        effect: Effect::RemoveConnection(key.to_owned()),
    };
    Some(world.begin(begin, now))
}
