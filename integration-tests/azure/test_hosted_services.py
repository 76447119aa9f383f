"""Connections of services that Azure hosts: azure-mgmt-sql for SQL, azure-mgmt-resource for the other providers."""

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.network import models as net
from azure.mgmt.sql import models as sql

from arm_sandbox import CONSUMER, GROUP, LOCATION, OWN, STRANGER


def owner(connection):
    return connection.properties.private_endpoint.id.split("/")[2]


def decision(status):
    return sql.PrivateEndpointConnection(
        properties=sql.PrivateEndpointConnectionProperties(
            private_link_service_connection_state=sql.PrivateLinkServiceConnectionStateProperty(
                status=status, description="by policy"
            )
        )
    )


def test_a_sql_servers_connections(sandbox):
    client = sandbox.sql()
    calls = client.private_endpoint_connections

    def both():
        listed = list(calls.list_by_server(GROUP, "crm"))
        return len(listed) == 2 and {owner(connection): connection for connection in listed}

    asked = sandbox.until(both)
    assert set(asked) == {CONSUMER, STRANGER}
    consumer, stranger = asked[CONSUMER], asked[STRANGER]
    assert consumer.properties.provisioning_state == "Ready"
    assert consumer.properties.private_link_service_connection_state.status == "Pending"
    approved = calls.begin_create_or_update(GROUP, "crm", consumer.name, decision("Approved")).result()
    assert approved.properties.private_link_service_connection_state.status == "Approved"
    with pytest.raises(HttpResponseError) as caught:
        calls.begin_create_or_update(GROUP, "crm", consumer.name, decision("Approved")).result()
    assert (caught.value.status_code, caught.value.error.code) == (400, "PrivateEndpointConnectionStatusNotPending")
    calls.begin_create_or_update(GROUP, "crm", stranger.name, decision("Rejected")).result()
    calls.begin_delete(GROUP, "crm", stranger.name).result()
    assert [connection.name for connection in calls.list_by_server(GROUP, "crm")] == [consumer.name]
    with pytest.raises(ResourceNotFoundError):
        calls.get(GROUP, "crm", stranger.name)
    server = client.servers.get(GROUP, "crm")
    assert [connection.id for connection in server.properties.private_endpoint_connections] == [consumer.id]
    assert [group.properties.group_id for group in client.private_link_resources.list_by_server(GROUP, "crm")] == ["sqlServer"]


PROVIDERS = [
    ("Microsoft.DBforMySQL/flexibleServers", "shop", "mysqlServer", "2023-12-30", False),
    ("Microsoft.DBforPostgreSQL/flexibleServers", "billing", "postgresqlServer", "2024-08-01", True),
    ("Microsoft.KeyVault/vaults", "acme-keys", "vault", "2023-07-01", False),
    ("Microsoft.ServiceBus/namespaces", "acme-bus", "namespace", "2022-10-01-preview", True),
    ("Microsoft.DocumentDB/databaseAccounts", "acme-cosmos", "Sql", "2024-05-15", True),
    ("Microsoft.Web/sites", "acme-portal", "sites", "2023-12-01", True),
    ("Microsoft.Storage/storageAccounts", "acmedatalake", "blob", "2023-05-01", True),
    ("Microsoft.Search/searchServices", "acme-search", "searchService", "2023-11-01", True),
]


@pytest.mark.parametrize("kind,name,group,version,lists", PROVIDERS, ids=[row[0] for row in PROVIDERS])
def test_each_provider_in_its_way(sandbox, kind, name, group, version, lists):
    service = f"/subscriptions/{OWN}/resourceGroups/{GROUP}/providers/{kind}/{name}"
    subnet = (
        f"/subscriptions/{CONSUMER}/resourceGroups/rg-consumer/providers/Microsoft.Network/virtualNetworks/"
        "consumer-vnet/subnets/endpoints"
    )
    request = net.PrivateLinkServiceConnection(
        name="request",
        properties=net.PrivateLinkServiceConnectionProperties(private_link_service_id=service, group_ids=[group.upper()]),
    )
    body = net.PrivateEndpoint(
        location=LOCATION,
        properties=net.PrivateEndpointProperties(
            subnet=net.Subnet(id=subnet), manual_private_link_service_connections=[request]
        ),
    )
    consumer = sandbox.network(CONSUMER)
    endpoint = consumer.private_endpoints.begin_create_or_update("rg-consumer", "vendor", body).result()

    resources = sandbox.resources().resources
    parent = resources.get_by_id(service, api_version=version)
    (mine,) = [
        connection
        for connection in parent.properties["privateEndpointConnections"]
        if connection["properties"]["privateEndpoint"]["id"] == endpoint.id
    ]
    answer = sandbox.send("GET", f"{service}/privateEndpointConnections?api-version={version}")
    assert (answer.status_code == 200) == lists, answer.text
    if lists:
        assert mine["id"] in [connection["id"] for connection in answer.json()["value"]]

    def status():
        return resources.get_by_id(mine["id"], api_version=version).properties["privateLinkServiceConnectionState"]["status"]

    assert status() == "Pending"
    decided = {"properties": {"privateLinkServiceConnectionState": {"status": "Approved", "description": "by policy"}}}
    sandbox.send("PUT", f"{mine['id']}?api-version={version}", decided).raise_for_status()
    sandbox.until(lambda: status() == "Approved")
    theirs = consumer.private_endpoints.get("rg-consumer", "vendor")
    state = theirs.properties.manual_private_link_service_connections[0].properties.private_link_service_connection_state
    assert state.status == "Approved"
    resources.begin_delete_by_id(mine["id"], api_version=version).result()
    assert sandbox.send("GET", f"{mine['id']}?api-version={version}").status_code == 404
