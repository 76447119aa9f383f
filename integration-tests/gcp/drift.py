"""Changes one field of one thing in a GCP project with google-api-python-client, as a colleague in the console would.

For each line of JSON on standard input (`{"url", "kind", "field"}`) one line on standard output: `{"changed": true}`, or
`{"immutable": "why"}` where the API itself has no way to change that field of something that exists. A field that is not in
the table is an error: whoever adds one to privnet adds its row here.
"""

import functools
import json
import sys
import time

from census import PROJECT, REGION, client, pages

IN_REGION = {"project": PROJECT, "region": REGION}
ZONES = ("us-east4-a", "us-east4-b", "us-east4-c")
# Somebody else's, in the same network.
INSTANCE_GROUP = f"projects/{PROJECT}/zones/us-east4-a/instanceGroups/db-group"
CREATE_ONLY = "Compute Engine has no call that changes it"
MARKER = "service=orders kind={} "


def until(read, count):
    """What is read once so many are there."""
    for _ in range(2000):
        found = read()
        if len(found) == count:
            return found
        time.sleep(0.005)
    raise TimeoutError(f"{len(found)} instead of {count}: {found}")


class Drift:
    """Finds privnet's things by their descriptions, and changes them."""

    def __init__(self, url):
        self.c = client(url)

    def finish(self, request):
        operation = request.execute()
        while operation["status"] != "DONE":
            time.sleep(0.005)
            if "zone" in operation:
                place = {"zone": operation["zone"].rsplit("/", 1)[1]}
                operation = self.c.zoneOperations().wait(project=PROJECT, operation=operation["name"], **place).execute()
            elif "region" in operation:
                operation = self.c.regionOperations().wait(**IN_REGION, operation=operation["name"]).execute()
            else:
                operation = self.c.globalOperations().wait(project=PROJECT, operation=operation["name"]).execute()
        if "error" in operation:
            raise RuntimeError(operation["error"])

    def find(self, collection, kind, name=None, **place):
        marker = MARKER.format(kind) + (f"name={name} " if name else "")
        found = pages(getattr(self.c, collection)(), project=PROJECT, **place)
        return next(thing for thing in found if marker in thing.get("description", ""))

    def firewall(self, which="clients", **change):
        rule = self.find("firewalls", "firewall-rule", which)
        self.finish(self.c.firewalls().patch(project=PROJECT, firewall=rule["name"], body={"name": rule["name"]} | change))

    def check(self, change):
        """The whole check: a colleague's client sends it whole too."""
        check = self.find("regionHealthChecks", "health-check", region=REGION)
        body = {key: value for key, value in check.items() if key not in ("id", "creationTimestamp", "selfLink", "kind")}
        change(body)
        self.finish(self.c.regionHealthChecks().update(**IN_REGION, healthCheck=check["name"], body=body))

    def backend(self, **change):
        service = self.find("regionBackendServices", "backend-service", region=REGION)
        body = {"fingerprint": service["fingerprint"]} | change
        self.finish(self.c.regionBackendServices().patch(**IN_REGION, backendService=service["name"], body=body))

    def rule(self):
        rules = pages(self.c.forwardingRules(), **IN_REGION)
        return next(rule for rule in rules if rule.get("labels", {}).get("privnet-service") == "orders")

    def attachment(self, **change):
        there = self.find("serviceAttachments", "service-attachment", region=REGION)
        kept = {key: there[key] for key in ("name", "enableProxyProtocol", "fingerprint")}
        self.finish(self.c.serviceAttachments().patch(**IN_REGION, serviceAttachment=there["name"], body=kept | change))

    def one_nat_subnet(self):
        """One of them is taken away, which the API allows while nobody is connected, nor waits."""
        ours = functools.partial(self.find, "serviceAttachments", "service-attachment", region=REGION)
        # The vendor and a stranger ask by themselves.
        endpoints = until(lambda: ours().get("connectedEndpoints", []), 2)
        for endpoint in endpoints:
            project, region, _, name = endpoint["endpoint"].split("/projects/")[1].replace("regions/", "").split("/")
            self.c.forwardingRules().delete(project=project, region=region, forwardingRule=name).execute()
        until(lambda: ours().get("connectedEndpoints", []), 0)
        subnets = ours()["natSubnets"]
        assert len(subnets) == 2, subnets
        self.attachment(natSubnets=subnets[:1])

    def other_check(self):
        body = {"name": "somebodys", "type": "TCP", "tcpHealthCheck": {"port": 5432}}
        self.finish(self.c.regionHealthChecks().insert(**IN_REGION, body=body))
        return f"projects/{PROJECT}/regions/{REGION}/healthChecks/somebodys"

    def endpoints(self):
        for zone in ZONES:
            for group in pages(self.c.networkEndpointGroups(), project=PROJECT, zone=zone):
                if MARKER.format("endpoint-group") in group.get("description", ""):
                    body = {"networkEndpoints": [{"instance": "db-1"}]}
                    place = {"project": PROJECT, "zone": zone, "networkEndpointGroup": group["name"]}
                    return self.finish(self.c.networkEndpointGroups().detachNetworkEndpoints(**place, body=body))

    def manager(self, **change):
        manager = self.find("regionInstanceGroupManagers", "forwarder-group", region=REGION)
        name = manager["name"]
        self.finish(self.c.regionInstanceGroupManagers().patch(**IN_REGION, instanceGroupManager=name, body=change))

    def other_template(self):
        there = self.find("instanceTemplates", "instance-template")
        self.finish(self.c.instanceTemplates().insert(project=PROJECT, body={"name": "somebodys", "properties": there["properties"]}))
        return f"projects/{PROJECT}/global/instanceTemplates/somebodys"

    def labels(self, **more):
        rule = self.rule()
        body = {"labels": rule["labels"] | more, "labelFingerprint": rule["labelFingerprint"]}
        self.finish(self.c.forwardingRules().setLabels(**IN_REGION, resource=rule["name"], body=body))

    def unmanaged(self):
        """What privnet does not look after, on each kind that has such a thing."""
        self.firewall(logConfig={"enable": True})
        self.check(lambda body: body.update(logConfig={"enable": True}))
        self.backend(timeoutSec=77)
        self.labels(team="theirs")

    def global_access(self):
        rule = self.rule()
        body = {"allowGlobalAccess": True}
        self.finish(self.c.forwardingRules().patch(**IN_REGION, forwardingRule=rule["name"], body=body))


def tcp(field, value):
    return lambda drift: drift.check(lambda body: body.__setitem__(field, value))


def http_path(body):
    body["httpHealthCheck"]["requestPath"] = "/other"


def http_port(body):
    body["httpHealthCheck"]["port"] = 8081


def to_tcp(body):
    body.pop("httpHealthCheck")
    body |= {"type": "TCP", "tcpHealthCheck": {"port": 8080, "portSpecification": "USE_FIXED_PORT"}}


TABLE = {
    ("nat-subnet", "network"): CREATE_ONLY,
    ("nat-subnet", "cidr"): CREATE_ONLY + " for a subnet with this purpose",
    ("firewall-rule", "network"): CREATE_ONLY,
    ("firewall-rule", "sources"): lambda d: d.firewall(sourceRanges=["0.0.0.0/0"]),
    ("firewall-rule", "ports"): lambda d: d.firewall(allowed=[{"IPProtocol": "tcp", "ports": ["1-65535"]}]),
    ("firewall-rule", "probed_ports"): lambda d: d.firewall("probers", allowed=[{"IPProtocol": "tcp", "ports": ["9999"]}]),
    ("firewall-rule", "destinations"): lambda d: d.firewall(destinationRanges=["10.7.0.10/32"]),
    ("firewall-rule", "target_tags"): lambda d: d.firewall(targetTags=["somebodys"]),
    ("firewall-rule", "priority"): lambda d: d.firewall(priority=10),
    ("firewall-rule", "disabled"): lambda d: d.firewall(disabled=True),
    ("health-check", "protocol"): lambda d: d.check(to_tcp),
    ("health-check", "port"): lambda d: d.check(http_port),
    ("health-check", "path"): lambda d: d.check(http_path),
    ("health-check", "interval"): tcp("checkIntervalSec", 60),
    ("health-check", "timeout"): tcp("timeoutSec", 1),
    ("health-check", "threshold"): tcp("unhealthyThreshold", 9),
    ("health-check", "recovery"): tcp("healthyThreshold", 9),
    ("endpoint-group", "network"): CREATE_ONLY,
    ("endpoint-group", "subnet"): CREATE_ONLY,
    ("endpoint-group", "zone"): CREATE_ONLY,
    ("endpoint-group", "endpoints"): lambda d: d.endpoints(),
    ("endpoint-group", "machines"): "they are the endpoints, wanted in their place where another check asks those that come",
    ("instance-template", "subnet"): CREATE_ONLY,
    ("instance-template", "size"): CREATE_ONLY,
    ("instance-template", "image"): CREATE_ONLY,
    ("instance-template", "tag"): CREATE_ONLY,
    ("instance-template", "forwarder"): CREATE_ONLY,
    ("forwarder-group", "template"): lambda d: d.manager(versions=[{"instanceTemplate": d.other_template()}]),
    ("forwarder-group", "zones"): CREATE_ONLY,
    ("forwarder-group", "count"): lambda d: d.manager(targetSize=3),
    ("backend-service", "health_check"): lambda d: d.backend(healthChecks=[d.other_check()]),
    ("backend-service", "sort"): lambda d: d.backend(backends=[{"group": INSTANCE_GROUP, "balancingMode": "CONNECTION"}]),
    ("backend-service", "backends"): lambda d: d.backend(backends=[]),
    ("backend-service", "drain"): lambda d: d.backend(connectionDraining={"drainingTimeoutSec": 0}),
    ("forwarding-rule", "backend_service"): "the API's setTarget is for other schemes",
    ("forwarding-rule", "network"): CREATE_ONLY,
    ("forwarding-rule", "subnet"): CREATE_ONLY,
    ("forwarding-rule", "ports"): CREATE_ONLY,
    ("forwarding-rule", "ip_address"): CREATE_ONLY,
    ("forwarding-rule", "global_access"): lambda d: d.global_access(),
    ("forwarding-rule", "labels"): lambda d: d.labels(**{"cost-center": "drifted"}),
    ("service-attachment", "target"): lambda d: d.attachment(targetService=f"projects/{PROJECT}/regions/{REGION}/forwardingRules/shared-db"),
    ("service-attachment", "nat_subnets"): lambda d: d.one_nat_subnet(),
    ("service-attachment", "connection_preference"): lambda d: d.attachment(connectionPreference="ACCEPT_AUTOMATIC", consumerAcceptLists=[], consumerRejectLists=[]),
    ("service-attachment", "proxy_protocol"): lambda d: d.attachment(enableProxyProtocol=True),
    ("service-attachment", "reconcile_connections"): lambda d: d.attachment(reconcileConnections=True),
    ("service-attachment", "domain_names"): CREATE_ONLY,
    ("service-attachment", "propagated_connection_limit"): lambda d: d.attachment(propagatedConnectionLimit=7),
    ("service-attachment", "consumers"): lambda d: d.attachment(consumerAcceptLists=[{"projectIdOrNum": "mallory-labs", "connectionLimit": 5}]),
    ("service-attachment", "reconciled_consumers"): lambda d: d.attachment(consumerAcceptLists=[{"projectIdOrNum": "acme-reader", "connectionLimit": 9}]),
    ("service-attachment", "connected"): "who is connected follows from the list and from the consumers: only the plan's wish to cut somebody sets it",
    ("service-attachment", "rejected"): "people's decisions write it: only the plan's wish to keep somebody out sets it",
    ("unmanaged", ""): lambda d: d.unmanaged(),
}


def answer(asked):
    change = TABLE.get((asked["kind"], asked["field"]))
    if change is None:
        return {"missing": f"{asked['kind']}.{asked['field']} has no row in gcp/drift.py"}
    if isinstance(change, str):
        return {"immutable": change}
    change(Drift(asked["url"]))
    return {"changed": True}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
