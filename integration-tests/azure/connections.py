"""Takes a census of the private endpoint connections in an Azure subscription: for each URL read from standard input, one line of JSON
with every connection of every private link service that azure-mgmt-network lists there, as a text: whose it is, and its state.
"""

import json
import sys

from subscription import Subscription, name_of


def connections(subscription):
    for service in subscription.network.private_link_services.list_by_subscription():
        for connection in service.properties.private_endpoint_connections or []:
            inside = connection.properties
            state = inside.private_link_service_connection_state.status
            yield [service.name, inside.private_endpoint.id.split("/")[2], name_of(inside.private_endpoint.id), state]


def main():
    for line in sys.stdin:
        print(json.dumps([json.dumps(one) for one in connections(Subscription(line.strip()))]), flush=True)


if __name__ == "__main__":
    main()
