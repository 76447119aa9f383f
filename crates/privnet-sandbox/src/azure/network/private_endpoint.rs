//! Private endpoints: the consumer's side of a connection.
//!
//! Recorded: a PUT takes about a minute, and a manual request to a hosted service is `Pending` even within one subscription, while a
//! private link service approves endpoints of its own subscription by itself.

use serde_json::{Map, Value, json};

use super::service_access::{ServiceAccess, service_of_alias};
use super::{default, take_list, tidy_children};
use crate::azure::addresses::assign;
use crate::azure::error::ArmError;
use crate::azure::hosted;
use crate::azure::id::ResourceId;
use crate::azure::kind::{Children, Kind, Put, Work, linked};
use crate::azure::world::{Resource, State, Status, World, guid};

/// `Microsoft.Network/privateEndpoints`.
pub(crate) struct PrivateEndpoints;

const AUTOMATIC: &str = "privateLinkServiceConnections";
const MANUAL: &str = "manualPrivateLinkServiceConnections";

const fn requests(property: &'static str) -> Children {
    Children { property, segment: property, model: None, noun: "PrivateLinkServiceConnection", seconds: 60 }
}

static CHILDREN: [Children; 2] = [requests(AUTOMATIC), requests(MANUAL)];

impl Kind for PrivateEndpoints {
    fn kind(&self) -> &'static str {
        "Microsoft.Network/privateEndpoints"
    }

    fn model(&self) -> &'static str {
        "network.PrivateEndpoint"
    }

    fn noun(&self) -> &'static str {
        "PrivateEndpoint"
    }

    fn children(&self) -> &'static [Children] {
        &CHILDREN
    }

    fn complete(
        &self,
        put: &Put<'_>,
        draft: &mut Resource,
        made: &mut Vec<Resource>,
    ) -> Result<Work, ArmError> {
        let mut properties = draft.body.remove("properties").unwrap_or_else(|| json!({}));
        put.link(draft, &mut properties, "subnet", "Microsoft.Network/virtualNetworks/subnets")?;
        let network = linked(&properties["subnet"]).and_then(|subnet| put.world.resource(&subnet));
        if network.is_none_or(|network| network.location() != draft.location()) {
            let subnet = properties["subnet"]["id"].as_str().unwrap_or("null").to_owned();
            return Err(ArmError::dangling(&subnet, put.id));
        }
        let mut lists: Vec<(&str, Vec<Value>)> =
            [AUTOMATIC, MANUAL].iter().map(|name| (*name, take_list(&mut properties, name))).collect();
        if lists.iter().map(|(_, list)| list.len()).sum::<usize>() != 1 {
            return Err(ArmError::invalid(
                "PrivateEndpointMustHaveOnePrivateLinkServiceConnection",
                format!("Private endpoint {} must have exactly one private link service connection.", put.id),
            ));
        }
        for (name, list) in &mut lists {
            tidy_children(list, put.id, name)?;
            for request in list.iter_mut() {
                self.complete_request(put, request, *name == MANUAL)?;
            }
        }
        for (name, list) in lists {
            properties[name] = Value::Array(list);
        }
        default(&mut properties, "customNetworkInterfaceName", "");
        default(&mut properties, "ipConfigurations", json!([]));
        default(&mut properties, "customDnsConfigs", json!([]));
        let nic = interface_of(put, draft, &properties)?;
        properties["networkInterfaces"] = json!([{"id": nic.id.to_string()}]);
        made.push(nic);
        draft.body.insert("properties".into(), properties);
        Ok(Work::Accepted(if put.old.is_some() { 5 } else { 60 }, State::Updating))
    }

    fn may_go(&self, _world: &World, _resource: &Resource) -> Result<(), ArmError> {
        Ok(())
    }

    fn removal_seconds(&self) -> i64 {
        20
    }

    fn show(&self, world: &World, resource: &Resource, properties: &mut Map<String, Value>) {
        let Some(connection) = world.connections.values().find(|c| c.endpoint.key() == resource.id.key())
        else {
            return;
        };
        for name in [AUTOMATIC, MANUAL] {
            for request in properties.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten() {
                let said = &request["properties"]["privateLinkServiceConnectionState"]["description"];
                // What waits is said to wait until the endpoint is there (recorded).
                let waits = connection.status == Status::Pending && resource.state == State::Updating;
                let description = if waits { said.clone() } else { json!(connection.description) };
                request["properties"]["privateLinkServiceConnectionState"] = json!({
                    "status": connection.status.text(), "description": description, "actionsRequired": "None"});
            }
        }
    }
}

/// The connection that a request asks for, before it is raised.
pub(crate) struct Wanted {
    /// The service.
    pub(crate) service: ResourceId,
    /// Approved at once, or waiting.
    pub(crate) status: Status,
}

impl PrivateEndpoints {
    fn complete_request(&self, put: &Put<'_>, request: &mut Value, manual: bool) -> Result<(), ArmError> {
        let name = request["name"].as_str().unwrap_or_default().to_owned();
        let properties = &mut request["properties"];
        if let Some(old) = put.old {
            // The state and the service of a request are not the writer's to change.
            let known = [AUTOMATIC, MANUAL].iter().find_map(|list| old.child(list, &name));
            let same = known.is_some_and(|known| {
                known["properties"]["privateLinkServiceId"] == properties["privateLinkServiceId"]
            });
            if !same {
                return Err(ArmError::invalid(
                    "PrivateLinkServiceConnectionCannotBeChanged",
                    format!(
                        "The connections of private endpoint {} cannot be changed after it was created.",
                        put.id
                    ),
                ));
            }
            properties["privateLinkServiceConnectionState"] = known
                .map(|known| known["properties"]["privateLinkServiceConnectionState"].clone())
                .unwrap_or_default();
            return Ok(());
        }
        let wanted = wanted(put, properties, manual)?;
        if properties["privateLinkServiceId"].as_str().is_some_and(|text| text.starts_with('/')) {
            properties["privateLinkServiceId"] = json!(wanted.service.to_string());
        }
        let description = if wanted.status == Status::Pending { "Awaiting Approval" } else { "" };
        properties["privateLinkServiceConnectionState"] = json!({
            "status": wanted.status.text(), "description": description, "actionsRequired": "None"});
        Ok(())
    }

    /// What a settled draft asks for.
    pub(crate) fn wanted_by(put: &Put<'_>, draft: &Resource) -> Option<(Wanted, Vec<String>, String)> {
        let (list, request) =
            [AUTOMATIC, MANUAL].iter().find_map(|list| Some((*list, draft.list(list).first()?)))?;
        let properties = &request["properties"];
        let wanted = wanted(put, properties, list == MANUAL).ok()?;
        Some((
            wanted,
            groups_of(properties),
            properties["requestMessage"].as_str().unwrap_or_default().to_owned(),
        ))
    }
}

fn groups_of(properties: &Value) -> Vec<String> {
    let list = properties["groupIds"].as_array().cloned().unwrap_or_default();
    list.iter().filter_map(|group| group.as_str().map(str::to_owned)).collect()
}

fn wanted(put: &Put<'_>, properties: &Value, manual: bool) -> Result<Wanted, ArmError> {
    let text = properties["privateLinkServiceId"].as_str().unwrap_or_default();
    let dangling = || ArmError::dangling(text, put.id);
    let service = match ResourceId::parse(text) {
        Some(id) => put.world.resource(&id).ok_or_else(dangling)?,
        None => service_of_alias(put.world, text).ok_or_else(dangling)?,
    };
    let own = service.id.subscription.eq_ignore_ascii_case(&put.id.subscription);
    let status = if service.is("Microsoft.Network/privateLinkServices") {
        if service.state != State::Succeeded {
            return Err(ArmError::not_provisioned(
                text,
                put.id,
                service.state.text(),
                "PutPrivateLinkServiceOperation",
            ));
        }
        match ServiceAccess::of(service, &put.id.subscription) {
            ServiceAccess::Approved => Status::Approved,
            ServiceAccess::Asks => Status::Pending,
            ServiceAccess::Hidden => return Err(dangling()),
        }
    } else {
        hosted::check_groups(&service.id, &groups_of(properties))?;
        if own && !manual { Status::Approved } else { Status::Pending }
    };
    if status == Status::Pending && !manual {
        return Err(ArmError::new(
            403,
            "LinkedAuthorizationFailed",
            format!(
                "The client has permission to perform action 'Microsoft.Network/privateEndpoints/write' on scope '{}', however the \
                 linked subscription '{}' does not let it approve the connection. Use a manual request.",
                put.id, service.id.subscription
            ),
        ));
    }
    Ok(Wanted { service: service.id.clone(), status })
}

fn interface_of(put: &Put<'_>, draft: &Resource, properties: &Value) -> Result<Resource, ArmError> {
    let known = put.old.and_then(|old| linked(&old.properties()["networkInterfaces"][0]));
    if let Some(nic) = known.as_ref().and_then(|id| put.world.resource(id)) {
        return Ok(nic.clone());
    }
    let custom =
        properties["customNetworkInterfaceName"].as_str().filter(|name| !name.is_empty()).map(str::to_owned);
    let name = custom.unwrap_or_else(|| format!("{}.nic.{}", put.id.name(), guid()));
    let id =
        ResourceId::top(&put.id.subscription, &put.id.group, "Microsoft.Network/networkInterfaces", &name);
    let config = format!("privateEndpointIpConfig.{}", guid());
    let by = id.child("ipConfigurations", &config).to_string();
    let mut inside =
        json!({"subnet": properties["subnet"], "primary": true, "privateIPAddressVersion": "IPv4"});
    assign(
        &Put { world: put.world, old: None, id: &id, now: put.now },
        &mut inside,
        None,
        &by,
        &mut Vec::new(),
    )?;
    let body = json!({"location": draft.location(), "kind": "Regular", "properties": {
        "ipConfigurations": [{"name": config, "properties": inside}],
        "dnsSettings": {"dnsServers": [], "appliedDnsServers": []}, "enableAcceleratedNetworking": false,
        "enableIPForwarding": false, "disableTcpStateTracking": false, "nicType": "Standard", "auxiliaryMode": "None",
        "auxiliarySku": "None"}});
    let mut nic = Resource::new(id, body.as_object().cloned().unwrap_or_default(), put.now);
    nic.managed_by = Some(put.id.to_string());
    Ok(nic)
}

/// Writes into an endpoint that the provider has removed its connection.
pub(crate) fn remove_of_endpoint(world: &mut World, endpoint: &ResourceId, description: &str) {
    let Some(resource) = world.resources.get_mut(&endpoint.key()) else { return };
    let Some(properties) = resource.body.get_mut("properties") else { return };
    for name in [AUTOMATIC, MANUAL] {
        for request in properties.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten() {
            request["properties"]["privateLinkServiceConnectionState"] = json!({"status": Status::Disconnected.text(), "description": description, "actionsRequired": "None"});
        }
    }
    resource.etag = guid();
}
