//! The default world: fixed ids, as the README beside this file lists them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::id::{ResourceId, group_key};
use super::world::{Connection, Group, Resource, State, Status, World};
use crate::frame::Table;

/// The user's subscription.
pub(crate) const OWN: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
/// The vendor's subscription.
pub(crate) const CONSUMER: &str = "11111111-2222-3333-4444-555555555555";
/// Somebody else's subscription.
pub(crate) const STRANGER: &str = "99999999-8888-7777-6666-555555555555";
/// The tenant that issues tokens.
pub(crate) const TENANT: &str = "77777777-1111-2222-3333-444444444444";
/// The resource group of the examples.
pub(crate) const GROUP: &str = "rg-data";
/// Where everything is.
pub(crate) const LOCATION: &str = "eastus2";

/// A consumer of the default world.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Consumer {
    /// What `connect --as` calls it.
    pub(crate) name: &'static str,
    /// Its subscription.
    pub(crate) subscription: &'static str,
    /// Its resource group.
    pub(crate) group: &'static str,
    /// How long after a service is ready its request arrives, in sandbox seconds.
    pub(crate) delay: i64,
}

/// Who raises requests by themselves.
pub(crate) const CONSUMERS: [Consumer; 2] = [
    Consumer { name: "consumer", subscription: CONSUMER, group: "rg-consumer", delay: 8 },
    Consumer { name: "stranger", subscription: STRANGER, group: "rg-stranger", delay: 12 },
];

/// The subscriptions with their display names.
pub(crate) const SUBSCRIPTIONS: [(&str, &str); 3] =
    [(OWN, "Acme Data"), (CONSUMER, "Vendor (consumer)"), (STRANGER, "Stranger")];

/// When the default world was made: before every sandbox.
fn epoch() -> Timestamp {
    Timestamp::from_second(1_767_225_600).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Stable GUIDs, so that two fresh sandboxes are the same.
fn fixed_guid(text: &str) -> String {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(text.as_bytes());
    let bytes: [u8; 16] = std::array::from_fn(|index| digest.get(index).copied().unwrap_or_default());
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

fn resource(subscription: &str, group: &str, kind: &str, name: &str, body: &Value) -> Resource {
    let id = ResourceId::top(subscription, group, kind, name);
    let mut map = body.as_object().cloned().unwrap_or_default();
    map.insert("location".into(), json!(LOCATION));
    let mut resource = Resource::new(id.clone(), map, epoch());
    resource.etag = fixed_guid(&format!("etag {id}"));
    resource.guid = fixed_guid(&format!("guid {id}"));
    resource
}

fn subnet(name: &str, prefix: &str, policies: &str) -> Value {
    json!({"name": name, "properties": {
        "addressPrefix": prefix, "delegations": [], "ipamPoolPrefixAllocations": [], "defaultOutboundAccess": false,
        "privateEndpointNetworkPolicies": "Disabled", "privateLinkServiceNetworkPolicies": policies}})
}

fn network(space: &str, subnets: &[Value]) -> Value {
    json!({"properties": {
        "addressSpace": {"addressPrefixes": [space], "ipamPoolPrefixAllocations": []}, "subnets": subnets,
        "virtualNetworkPeerings": [], "enableDdosProtection": false, "privateEndpointVNetPolicies": "Disabled"}})
}

fn subnet_id(name: &str) -> String {
    ResourceId::top(OWN, GROUP, "Microsoft.Network/virtualNetworks", "hub").child("subnets", name).to_string()
}

/// The network interface of a database machine.
fn interface(name: &str, address: &str) -> Resource {
    let machine =
        ResourceId::top(OWN, GROUP, "Microsoft.Compute/virtualMachines", name.trim_end_matches("-nic"));
    let body = json!({"kind": "Regular", "properties": {
        "ipConfigurations": [{"name": "ipconfig1", "properties": {
            "privateIPAddress": address, "privateIPAllocationMethod": "Static", "privateIPAddressVersion": "IPv4",
            "primary": true, "subnet": {"id": subnet_id("db")}}}],
        "dnsSettings": {"dnsServers": [], "appliedDnsServers": []}, "enableAcceleratedNetworking": false,
        "enableIPForwarding": false, "disableTcpStateTracking": false, "nicType": "Standard", "auxiliaryMode": "None",
        "auxiliarySku": "None", "primary": true, "virtualMachine": {"id": machine.to_string()}}});
    resource(OWN, GROUP, "Microsoft.Network/networkInterfaces", name, &body)
}

fn machine(name: &str) -> Resource {
    let nic = ResourceId::top(OWN, GROUP, "Microsoft.Network/networkInterfaces", &format!("{name}-nic"));
    let body = json!({"zones": ["1"], "properties": {
        "vmId": fixed_guid(name), "hardwareProfile": {"vmSize": "Standard_D4s_v5"},
        "osProfile": {"computerName": name, "adminUsername": "azureuser"},
        "storageProfile": {"osDisk": {"osType": "Linux", "createOption": "FromImage"}},
        "networkProfile": {"networkInterfaces": [{"id": nic.to_string(), "properties": {"primary": true}}]}}});
    resource(OWN, GROUP, "Microsoft.Compute/virtualMachines", name, &body)
}

/// The hosted services: type, name and what they show of themselves.
fn hosted() -> Vec<Resource> {
    let rows = [
        (
            "Microsoft.Sql/servers",
            "crm",
            json!({"kind": "v12.0", "properties": {"state": "Ready", "version": "12.0",
            "administratorLogin": "sqladmin", "fullyQualifiedDomainName": "crm.database.windows.net",
            "publicNetworkAccess": "Disabled"}}),
        ),
        (
            "Microsoft.Sql/managedInstances",
            "erp",
            json!({"sku": {"name": "GP_Gen5"}, "properties": {"state": "Ready",
            "fullyQualifiedDomainName": "erp.a1b2c3.database.windows.net"}}),
        ),
        (
            "Microsoft.DBforMySQL/flexibleServers",
            "shop",
            json!({"sku": {"name": "Standard_D2ds_v4", "tier": "GeneralPurpose"},
            "properties": {"state": "Ready", "version": "8.0.21",
            "fullyQualifiedDomainName": "shop.mysql.database.azure.com"}}),
        ),
        (
            "Microsoft.DBforPostgreSQL/flexibleServers",
            "billing",
            json!({"sku": {"name": "Standard_D2ds_v5",
            "tier": "GeneralPurpose"}, "properties": {"state": "Ready", "version": "16",
            "fullyQualifiedDomainName": "billing.postgres.database.azure.com"}}),
        ),
        (
            "Microsoft.Storage/storageAccounts",
            "acmedatalake",
            json!({"kind": "StorageV2", "sku": {"name": "Standard_ZRS",
            "tier": "Standard"}, "properties": {"primaryLocation": LOCATION, "publicNetworkAccess": "Disabled"}}),
        ),
        (
            "Microsoft.KeyVault/vaults",
            "acme-keys",
            json!({"properties": {"tenantId": TENANT, "sku": {"family": "A",
            "name": "standard"}, "vaultUri": "https://acme-keys.vault.azure.net/"}}),
        ),
        (
            "Microsoft.DocumentDB/databaseAccounts",
            "acme-cosmos",
            json!({"kind": "GlobalDocumentDB", "properties":
            {"databaseAccountOfferType": "Standard", "documentEndpoint": "https://acme-cosmos.documents.azure.com:443/"}}),
        ),
        (
            "Microsoft.ServiceBus/namespaces",
            "acme-bus",
            json!({"sku": {"name": "Premium", "tier": "Premium"}, "properties":
            {"serviceBusEndpoint": "https://acme-bus.servicebus.windows.net:443/", "status": "Active"}}),
        ),
        (
            "Microsoft.Search/searchServices",
            "acme-search",
            json!({"sku": {"name": "basic"}, "properties": {"status": "running",
            "publicNetworkAccess": "disabled"}}),
        ),
        (
            "Microsoft.Web/sites",
            "acme-portal",
            json!({"kind": "app", "properties": {"state": "Running",
            "defaultHostName": "acme-portal.azurewebsites.net"}}),
        ),
    ];
    rows.into_iter().map(|(kind, name, body)| resource(OWN, GROUP, kind, name, &body)).collect()
}

/// A colleague's endpoint on the storage account, approved long ago: not one that a policy may touch.
fn colleague() -> Connection {
    let service = ResourceId::top(OWN, GROUP, "Microsoft.Storage/storageAccounts", "acmedatalake");
    Connection {
        id: service.child("privateEndpointConnections", "pe-reporting-2f1d9f7c-5a0c-4c58-9d7e-3f6f5b1c2a10"),
        service,
        endpoint: ResourceId::top(OWN, GROUP, "Microsoft.Network/privateEndpoints", "pe-reporting"),
        location: LOCATION.to_owned(),
        link: 536_870_913,
        groups: vec!["blob".to_owned()],
        status: Status::Approved,
        deciding: None,
        description: "Auto-Approved".to_owned(),
        state: State::Succeeded,
        etag: fixed_guid("colleague"),
        raised: epoch(),
    }
}

/// The default world.
pub(crate) fn world() -> World {
    let hub = network(
        "10.1.0.0/16",
        &[
            subnet("lb", "10.1.1.0/24", "Enabled"),
            subnet("fwd", "10.1.2.0/24", "Enabled"),
            subnet("db", "10.1.3.0/24", "Enabled"),
            subnet("nat", "10.1.8.0/27", "Disabled"),
            subnet("nat-policed", "10.1.8.32/27", "Enabled"),
        ],
    );
    let mut all = vec![
        resource(OWN, GROUP, "Microsoft.Network/virtualNetworks", "hub", &hub),
        interface("db-1-nic", "10.1.3.4"),
        interface("db-2-nic", "10.1.3.5"),
        machine("db-1"),
        machine("db-2"),
    ];
    all.extend(hosted());
    let mut groups = vec![(OWN, GROUP)];
    for consumer in &CONSUMERS {
        groups.push((consumer.subscription, consumer.group));
        let body = network("10.200.0.0/16", &[subnet("endpoints", "10.200.0.0/20", "Enabled")]);
        let name = format!("{}-vnet", consumer.name);
        all.push(resource(
            consumer.subscription,
            consumer.group,
            "Microsoft.Network/virtualNetworks",
            &name,
            &body,
        ));
    }
    let group = |(subscription, name): (&str, &str)| {
        let group = Group {
            subscription: subscription.to_owned(),
            name: name.to_owned(),
            location: LOCATION.to_owned(),
            tags: json!({}),
            deleting: false,
        };
        (group_key(subscription, name), group)
    };
    let colleague = colleague();
    World {
        groups: groups.into_iter().map(group).collect(),
        resources: all.into_iter().map(|resource| (resource.id.key(), resource)).collect(),
        connections: [(colleague.id.key(), colleague)].into_iter().collect(),
        operations: Table::default(),
        requested: BTreeSet::new(),
        first_use: None,
    }
}
