"""Takes a census of the private endpoint connections of what Azure hosts: for each URL read from standard input, one line of JSON with every
connection that the resources of the kinds below show of themselves, by azure-mgmt-resource, as a text: whose it is, and its state.
"""

import json
import sys

from azure.mgmt.resource.resources import ResourceManagementClient
from subscription import GROUP, OWN, GivenToken, name_of

SERVICES = [
    ("Microsoft.DBforMySQL/flexibleServers", "shop", "2023-12-30"),
    ("Microsoft.ServiceBus/namespaces", "acme-bus", "2022-10-01-preview"),
    ("Microsoft.Web/sites", "acme-portal", "2023-12-01"),
    ("Microsoft.Storage/storageAccounts", "acmedatalake", "2023-05-01"),
]


def connections(resources):
    for kind, name, version in SERVICES:
        service = f"/subscriptions/{OWN}/resourceGroups/{GROUP}/providers/{kind}/{name}"
        for connection in resources.get_by_id(service, api_version=version).properties["privateEndpointConnections"]:
            inside = connection["properties"]
            endpoint, state = inside["privateEndpoint"]["id"], inside["privateLinkServiceConnectionState"]
            yield [name, endpoint.split("/")[2], name_of(endpoint), state["status"], inside["provisioningState"]]


def main():
    for line in sys.stdin:
        client = ResourceManagementClient(object(), OWN, base_url=line.strip(), authentication_policy=GivenToken())
        print(json.dumps([json.dumps(one) for one in connections(client.resources)]), flush=True)


if __name__ == "__main__":
    main()
