"""Takes a census of what is in a GCP project, and in the networks of its host project: for each URL read from standard input, one line
of JSON with everything that google-api-python-client lists there, in all regions and zones, a text for each thing with what somebody
can set on it, so that two runs can be compared.

It knows nothing of privnet: what it reports is what a stranger's client sees.
"""

import collections
import functools
import json
import sys
import warnings

import google.auth.credentials
import googleapiclient.discovery

PROJECT = "acme-data"
HOST = "acme-net"
REGION = "us-east4"
# What differs from run to run although nothing else does.
FLEETING = {"id", "creationTimestamp", "fingerprint", "labelFingerprint", "selfLinkWithId", "IPAddress", "gatewayAddress"}
FLEETING |= {"pscConnectionId", "connectedEndpoints", "pscServiceAttachmentId", "currentActions", "status", "kind"}
FLEETING |= {"size", "lastStartTimestamp", "networkIP"}
# A machine of a managed group has another name each time.
OF_A_MANAGED_MACHINE = {"zone", "machineType", "tags", "labels", "canIpForward", "networkInterfaces", "metadata"}
OF_NETWORKS = ("subnetworks", "firewalls")
COLLECTIONS = OF_NETWORKS + (
    "healthChecks", "backendServices", "forwardingRules", "serviceAttachments", "instanceGroupManagers",
    "networkEndpointGroups", "instances", "instanceTemplates",
)
GLOBAL = ("firewalls", "instanceTemplates")


@functools.cache
def client(url):
    warnings.simplefilter("ignore", ResourceWarning)
    return googleapiclient.discovery.build(
        "compute", "v1", credentials=google.auth.credentials.AnonymousCredentials(), static_discovery=True,
        client_options={"api_endpoint": f"{url}/compute/v1/"},
    )


@functools.cache
def collection_of(url, name):
    """The methods of one collection, which google-api-python-client makes anew, with their documentation, each time they are asked for."""
    return getattr(client(url), name)()


def pages(collection, method="list", key="items", **arguments):
    found, request = [], getattr(collection, method)(**arguments)
    while request is not None:
        answer = request.execute()
        found.extend(answer.get(key, []))
        request = getattr(collection, f"{method}_next")(request, answer)
    return found


def settled(thing):
    """The thing without what changes by itself."""
    if isinstance(thing, dict):
        return {key: settled(value) for key, value in sorted(thing.items()) if key not in FLEETING}
    if isinstance(thing, list):
        return [settled(value) for value in thing]
    return thing


def everywhere(collection, name, project):
    """All of a project, in whichever regions and zones."""
    found, request = [], collection.aggregatedList(project=project)
    while request is not None:
        answer = request.execute()
        for scoped in answer.get("items", {}).values():
            found.extend(scoped.get(name, []))
        request = collection.aggregatedList_next(request, answer)
    return found


def endpoints(negs, group):
    """The machines of a zonal network endpoint group."""
    place = {"project": PROJECT, "zone": group["zone"].rsplit("/", 1)[1], "networkEndpointGroup": group["name"]}
    members = pages(negs, "listNetworkEndpoints", **place, body={})
    return sorted(member["networkEndpoint"]["instance"] for member in members)


def whole(collection, name, thing):
    if name == "networkEndpointGroups":
        return thing | {"endpoints": endpoints(collection, thing)}
    keys = {item["key"] for item in thing.get("metadata", {}).get("items", [])}
    if name == "instances" and "created-by" in keys:
        return {key: value for key, value in thing.items() if key in OF_A_MANAGED_MACHINE}
    return thing


def everything(url):
    things = collections.Counter()
    for project, names in ((PROJECT, COLLECTIONS), (HOST, OF_NETWORKS)):
        for name in names:
            collection = collection_of(url, name)
            found = pages(collection, project=project) if name in GLOBAL else everywhere(collection, name, project)
            for thing in found:
                things[f"{name} {json.dumps(settled(whole(collection, name, thing)), sort_keys=True)}"] += 1
    return sorted(f"{count} {thing}" for thing, count in things.items())


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(everything(line.strip())), flush=True)
