"""Takes a census of what is in a GCP project: for each URL read from standard input, one line of JSON with everything that
google-api-python-client lists there, a text for each thing with what somebody can set on it, so that two runs can be compared.

It knows nothing of privnet: what it reports is what a stranger's client sees.
"""

import functools
import json
import sys
import warnings

import google.auth.credentials
import googleapiclient.discovery

PROJECT = "acme-data"
REGION = "us-east4"
# What differs from run to run although nothing else does.
FLEETING = {"id", "creationTimestamp", "fingerprint", "labelFingerprint", "selfLinkWithId", "IPAddress", "gatewayAddress"}
FLEETING |= {"pscConnectionId", "connectedEndpoints", "pscServiceAttachmentId", "currentActions", "status", "kind"}
COLLECTIONS = {
    "subnetworks": "region", "regionHealthChecks": "region", "regionBackendServices": "region", "forwardingRules": "region",
    "serviceAttachments": "region", "regionInstanceGroupManagers": "region", "firewalls": "global",
    "instanceTemplates": "global",
}


@functools.cache
def client(url):
    warnings.simplefilter("ignore", ResourceWarning)
    return googleapiclient.discovery.build(
        "compute", "v1", credentials=google.auth.credentials.AnonymousCredentials(), static_discovery=True,
        client_options={"api_endpoint": f"{url}/compute/v1/"},
    )


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


def groups(compute):
    """The zonal network endpoint groups, with their endpoints."""
    for zone in ("us-east4-a", "us-east4-b", "us-east4-c"):
        negs = compute.networkEndpointGroups()
        for group in pages(negs, project=PROJECT, zone=zone):
            members = pages(
                negs, "listNetworkEndpoints", project=PROJECT, zone=zone, networkEndpointGroup=group["name"], body={},
            )
            yield group | {"endpoints": sorted(member["networkEndpoint"]["instance"] for member in members)}


def everything(url):
    compute = client(url)
    things = []
    for name, scope in COLLECTIONS.items():
        place = {"region": REGION} if scope == "region" else {}
        for thing in pages(getattr(compute, name)(), project=PROJECT, **place):
            things.append(f"{name} {json.dumps(settled(thing), sort_keys=True)}")
    for group in groups(compute):
        group.pop("size", None)
        things.append(f"networkEndpointGroups {json.dumps(settled(group), sort_keys=True)}")
    return sorted(things)


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(everything(line.strip())), flush=True)
