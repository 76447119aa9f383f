"""Takes a census of the private endpoint connections in an Azure subscription: for each URL read from standard input, one line of JSON
with every connection of every private link service that azure-mgmt-network lists there, and of every server that azure-mgmt-sql lists,
as a text: whose it is, and its state.
"""

import json
import sys

from subscription import GROUP, Subscription, name_of


def connections(subscription):
    for service in subscription.network.private_link_services.list_by_subscription():
        for connection in service.properties.private_endpoint_connections or []:
            inside = connection.properties
            state = inside.private_link_service_connection_state.status
            yield [service.name, inside.private_endpoint.id.split("/")[2], name_of(inside.private_endpoint.id), state]
    for server in subscription.sql.servers.list():
        for connection in subscription.sql.private_endpoint_connections.list_by_server(GROUP, server.name):
            inside = connection.properties
            endpoint = inside.private_endpoint.id
            state = inside.private_link_service_connection_state.status
            yield [server.name, endpoint.split("/")[2], name_of(endpoint), state]


def main():
    for line in sys.stdin:
        print(json.dumps([json.dumps(one) for one in connections(Subscription(line.strip()))]), flush=True)


if __name__ == "__main__":
    main()
