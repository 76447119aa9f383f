"""google-api-python-client carries out the vendor's steps 1 to 11 on the sandbox, lets the vendor in, and clears up.

The steps are those of Fivetran's "Google Cloud Private Service Connect" instructions, without their mistakes: disjoint
ranges, firewall rules for both of them and for the health-check ranges, the one port instead of all.
"""

import unittest
import uuid

import googleapiclient.errors

import discovery_check
from sandbox import PROJECT, REGION, ZONE, OperationFailed, Sandbox, census, finish

NETWORK = f"projects/{PROJECT}/global/networks/prod"
REGIONAL = f"projects/{PROJECT}/regions/{REGION}"
ZONAL = f"projects/{PROJECT}/zones/{ZONE}"
IN_REGION = {"project": PROJECT, "region": REGION}
IN_ZONE = {"project": PROJECT, "zone": ZONE}


class Life(unittest.TestCase):
    """One sandbox for each test; what was said is checked at its end."""

    def setUp(self):
        self.sandbox = Sandbox()
        self.addCleanup(self.sandbox.close)
        self.client = self.sandbox.client()
        self.addCleanup(self.client.close)

    def tearDown(self):
        problems, seen = discovery_check.check([self.sandbox.record])
        self.assertEqual(problems, [])
        self.assertTrue(seen)

    def finish(self, request):
        return finish(self.client, request)

    def publish(self):
        """Steps 1 to 10, and 11 as far as the service attachment."""
        c, finish = self.client, self.finish
        neg = {"name": "neg", "networkEndpointType": "GCE_VM_IP", "network": NETWORK, "subnetwork": f"{REGIONAL}/subnetworks/ilb"}
        finish(c.networkEndpointGroups().insert(**IN_ZONE, body=neg))
        endpoints = {"networkEndpoints": [{"instance": "db-1"}]}
        finish(c.networkEndpointGroups().attachNetworkEndpoints(**IN_ZONE, networkEndpointGroup="neg", body=endpoints))
        check = {"name": "hc", "type": "TCP", "checkIntervalSec": 60, "tcpHealthCheck": {"port": 5432}}
        finish(c.regionHealthChecks().insert(**IN_REGION, body=check))
        service = {"name": "bs", "loadBalancingScheme": "INTERNAL", "healthChecks": [f"{REGIONAL}/healthChecks/hc"]}
        finish(c.regionBackendServices().insert(**IN_REGION, body=service))
        service = c.regionBackendServices().get(**IN_REGION, backendService="bs").execute()
        service["backends"] = [{"group": f"{ZONAL}/networkEndpointGroups/neg"}]
        finish(c.regionBackendServices().update(**IN_REGION, backendService="bs", body=service))
        finish(c.subnetworks().insert(**IN_REGION, body={"name": "rules", "network": NETWORK, "ipCidrRange": "10.8.0.0/24"}))
        rule = {
            "name": "fr",
            "loadBalancingScheme": "INTERNAL",
            "backendService": f"{REGIONAL}/backendServices/bs",
            "ports": ["5432"],
            "subnetwork": f"{REGIONAL}/subnetworks/rules",
            "network": NETWORK,
        }
        finish(c.forwardingRules().insert(**IN_REGION, body=rule, requestId=str(uuid.uuid4())))
        nat = {"name": "nat", "network": NETWORK, "ipCidrRange": "10.8.1.0/24", "purpose": "PRIVATE_SERVICE_CONNECT"}
        finish(c.subnetworks().insert(**IN_REGION, body=nat))
        for name, ranges in {
            "from-nat": ["10.8.1.0/24"],
            "from-rules": ["10.8.0.0/24"],
            "from-probers": ["35.191.0.0/16", "130.211.0.0/22"],
        }.items():
            allowed = [{"IPProtocol": "tcp", "ports": ["5432"]}]
            body = {"name": name, "network": NETWORK, "direction": "INGRESS", "sourceRanges": ranges, "allowed": allowed}
            finish(c.firewalls().insert(project=PROJECT, body=body))
        attachment = {
            "name": "sa",
            "description": "Producer for my resource in region",
            "targetService": f"{REGIONAL}/forwardingRules/fr",
            "connectionPreference": "ACCEPT_MANUAL",
            "natSubnets": [f"{REGIONAL}/subnetworks/nat"],
            "reconcileConnections": False,
        }
        finish(c.serviceAttachments().insert(**IN_REGION, body=attachment))

    def attachment(self):
        return self.client.serviceAttachments().get(**IN_REGION, serviceAttachment="sa").execute()

    def endpoint(self, project):
        found = [e for e in self.attachment().get("connectedEndpoints", []) if f"/{project}/" in e["endpoint"]]
        return found[0] if found else None

    def patch(self, change):
        current = self.attachment()
        kept = {name: current[name] for name in ("name", "enableProxyProtocol", "fingerprint")}
        self.finish(self.client.serviceAttachments().patch(**IN_REGION, serviceAttachment="sa", body=kept | change))

    def clear_up(self):
        c = self.client
        self.finish(c.serviceAttachments().delete(**IN_REGION, serviceAttachment="sa"))
        self.finish(c.forwardingRules().delete(**IN_REGION, forwardingRule="fr"))
        self.finish(c.regionBackendServices().delete(**IN_REGION, backendService="bs"))
        self.finish(c.networkEndpointGroups().delete(**IN_ZONE, networkEndpointGroup="neg"))
        self.finish(c.regionHealthChecks().delete(**IN_REGION, healthCheck="hc"))
        for name in ("from-nat", "from-rules", "from-probers"):
            self.finish(c.firewalls().delete(project=PROJECT, firewall=name))
        for name in ("nat", "rules"):
            self.finish(c.subnetworks().delete(**IN_REGION, subnetwork=name))

    def test_steps_1_to_11(self):
        before = census(self.client)
        self.publish()
        self.sandbox.pass_time(200)
        group = {"group": f"{ZONAL}/networkEndpointGroups/neg"}
        health = self.client.regionBackendServices().getHealth(**IN_REGION, backendService="bs", body=group).execute()
        self.assertEqual([state["healthState"] for state in health["healthStatus"]], ["HEALTHY"])
        vendor, stranger = self.endpoint("fivetran-donkeys"), self.endpoint("mallory-labs")
        self.assertEqual((vendor["status"], stranger["status"]), ("PENDING", "PENDING"))
        self.assertTrue(vendor["pscConnectionId"].isdigit())
        # The vendor gives its PSC_CONNECTION_ID; that one endpoint is let in.
        self.patch({"consumerAcceptLists": [{"endpointUrl": vendor["endpointWithId"], "connectionLimit": 1}]})
        self.assertEqual(self.endpoint("fivetran-donkeys")["status"], "ACCEPTED")
        self.assertEqual(self.endpoint("mallory-labs")["status"], "PENDING")
        shown = self.client.serviceAttachments().get(**IN_REGION, serviceAttachment="sa", showNatIps=True).execute()
        addresses = [e["natIps"] for e in shown["connectedEndpoints"] if "natIps" in e]
        self.assertEqual(addresses, [["10.8.1.2"]])
        rule = vendor["endpoint"].split("/")
        theirs = self.client.forwardingRules().get(project=rule[6], region=rule[8], forwardingRule=rule[10]).execute()
        self.assertEqual(theirs["pscConnectionStatus"], "ACCEPTED")
        self.clear_up()
        theirs = self.client.forwardingRules().get(project=rule[6], region=rule[8], forwardingRule=rule[10]).execute()
        self.assertEqual(theirs["pscConnectionStatus"], "CLOSED")
        self.assertEqual(census(self.client), before)

    def test_step_8_begins_with_a_rule_that_is_there(self):
        attachment = {
            "name": "sa",
            "producerForwardingRule": f"{REGIONAL}/forwardingRules/shared-db",
            "connectionPreference": "ACCEPT_MANUAL",
            "natSubnets": [f"{REGIONAL}/subnetworks/nat-spare"],
            "consumerAcceptLists": [{"projectIdOrNum": "fivetran-donkeys", "connectionLimit": 2}],
        }
        self.finish(self.client.serviceAttachments().insert(**IN_REGION, body=attachment))
        self.assertTrue(self.attachment()["targetService"].endswith("/forwardingRules/shared-db"))
        self.sandbox.pass_time(60)
        self.assertEqual(self.endpoint("fivetran-donkeys")["status"], "ACCEPTED")
        self.finish(self.client.serviceAttachments().delete(**IN_REGION, serviceAttachment="sa"))

    def test_another_vpc_can_be_the_consumer(self):
        self.publish()
        c, theirs = self.client, {"project": "acme-reader", "region": REGION}
        subnetwork = f"projects/acme-reader/regions/{REGION}/subnetworks/consumer"
        address = {"name": "ip", "addressType": "INTERNAL", "subnetwork": subnetwork}
        finish(c, c.addresses().insert(**theirs, body=address), project="acme-reader")
        rule = {
            "name": "to-sa",
            "IPAddress": f"projects/acme-reader/regions/{REGION}/addresses/ip",
            "network": "projects/acme-reader/global/networks/consumer",
            "target": f"{REGIONAL}/serviceAttachments/sa",
        }
        finish(c, c.forwardingRules().insert(**theirs, body=rule), project="acme-reader")
        self.assertEqual(self.endpoint("acme-reader")["status"], "PENDING")
        self.patch({"consumerAcceptLists": [{"projectIdOrNum": "523456789012", "connectionLimit": 1}]})
        self.assertEqual(self.endpoint("acme-reader")["status"], "ACCEPTED")
        self.patch({"reconcileConnections": True, "consumerAcceptLists": []})
        self.assertEqual(self.endpoint("acme-reader")["status"], "PENDING")

    def test_forwarders_come_up_in_a_managed_group(self):
        c = self.client
        image = c.images().getFromFamily(project="debian-cloud", family="debian-12").execute()
        template = {
            "name": "fwd",
            "properties": {
                "machineType": "e2-small",
                "canIpForward": True,
                "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": image["selfLink"]}}],
                "networkInterfaces": [{"subnetwork": f"{REGIONAL}/subnetworks/ilb"}],
                "metadata": {"items": [{"key": "user-data", "value": "#cloud-config"}]},
            },
        }
        self.finish(c.instanceTemplates().insert(project=PROJECT, body=template))
        zones = [{"zone": f"projects/{PROJECT}/zones/{REGION}-{letter}"} for letter in "ab"]
        group = {
            "name": "fwd",
            "baseInstanceName": "fwd",
            "instanceTemplate": f"projects/{PROJECT}/global/instanceTemplates/fwd",
            "targetSize": 2,
            "distributionPolicy": {"zones": zones},
        }
        self.finish(c.regionInstanceGroupManagers().insert(**IN_REGION, body=group))
        managers = c.regionInstanceGroupManagers()
        listed = managers.listManagedInstances(**IN_REGION, instanceGroupManager="fwd").execute()["managedInstances"]
        # On a busy machine they may be there before the question is.
        self.assertLessEqual({machine["currentAction"] for machine in listed}, {"CREATING", "NONE"})
        self.assertEqual(len(listed), 2)
        self.sandbox.pass_time(60)
        listed = managers.listManagedInstances(**IN_REGION, instanceGroupManager="fwd").execute()["managedInstances"]
        self.assertEqual({machine["instanceStatus"] for machine in listed}, {"RUNNING"})
        self.assertTrue(managers.get(**IN_REGION, instanceGroupManager="fwd").execute()["status"]["isStable"])
        self.finish(managers.resize(**IN_REGION, instanceGroupManager="fwd", size=3))
        self.finish(managers.delete(**IN_REGION, instanceGroupManager="fwd"))
        self.finish(c.instanceTemplates().delete(project=PROJECT, instanceTemplate="fwd"))

    def test_refusals_reach_the_client(self):
        c = self.client
        with self.assertRaises(OperationFailed) as failed:
            self.finish(c.networks().delete(project=PROJECT, network="prod"))
        self.assertEqual(failed.exception.code, "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE")
        with self.assertRaises(OperationFailed) as failed:
            body = {"name": "x", "network": NETWORK, "ipCidrRange": "10.7.0.0/25"}
            self.finish(c.subnetworks().insert(**IN_REGION, body=body))
        self.assertIn("conflicts with existing subnetwork 'ilb'", failed.exception.operation["error"]["errors"][0]["message"])
        for status, reason, request in [
            (404, "notFound", c.networks().get(project=PROJECT, network="none")),
            (409, "alreadyExists", c.networks().insert(project=PROJECT, body={"name": "prod", "autoCreateSubnetworks": False})),
            (412, "conditionNotMet", c.subnetworks().patch(**IN_REGION, subnetwork="ilb", body={"fingerprint": "AAAA"})),
            (400, "resourceInUseByAnotherResource", c.forwardingRules().delete(**IN_REGION, forwardingRule="shared-db")),
            (400, "invalid", c.networks().list(project=PROJECT, filter="name ~ x")),
            (403, "forbidden", self.foreign_subnetwork()),
        ]:
            with self.assertRaises(googleapiclient.errors.HttpError) as refused:
                request.execute()
            self.assertEqual((refused.exception.status_code, refused.exception.error_details[0]["reason"]), (status, reason))

    def foreign_subnetwork(self):
        subnetwork = f"projects/fivetran-donkeys/regions/{REGION}/subnetworks/consumer"
        body = {"name": "x", "networkEndpointType": "GCE_VM_IP", "subnetwork": subnetwork}
        return self.client.networkEndpointGroups().insert(**IN_ZONE, body=body)

    def test_everything_can_be_read(self):
        c = self.client
        c.projects().get(project=PROJECT).execute()
        c.projects().getXpnHost(project=PROJECT).execute()
        c.projects().getXpnResources(project="acme-net").execute()
        self.assertEqual(len(c.zones().list(project=PROJECT).execute()["items"]), 7)
        c.zones().get(project=PROJECT, zone=ZONE).execute()
        c.regions().list(project=PROJECT).execute()
        c.regions().get(**IN_REGION).execute()
        c.machineTypes().list(**IN_ZONE).execute()
        c.machineTypes().get(**IN_ZONE, machineType="e2-small").execute()
        for collection in (c.addresses(), c.forwardingRules(), c.regionBackendServices(), c.regionHealthChecks()):
            collection.list(**IN_REGION).execute()
        for collection in (c.serviceAttachments(), c.subnetworks(), c.regionInstanceGroups(), c.regionOperations()):
            collection.list(**IN_REGION).execute()
        for collection in (c.instances(), c.instanceGroups(), c.networkEndpointGroups(), c.zoneOperations()):
            collection.list(**IN_ZONE).execute()
        for collection in (c.firewalls(), c.networks(), c.images(), c.instanceTemplates(), c.healthChecks(), c.globalOperations()):
            collection.list(project=PROJECT).execute()
        body = {"instanceState": "ALL"}
        c.instanceGroups().listInstances(project=PROJECT, zone="us-east4-a", instanceGroup="db-group", body=body).execute()
        c.subnetworks().listUsable(project=PROJECT).execute()
        page = c.subnetworks().list(**IN_REGION, maxResults=1, filter='name eq "nat-.*"').execute()
        self.assertEqual([item["name"] for item in page["items"]], ["nat-shared-db"])
        request = c.subnetworks().list(**IN_REGION, maxResults=1, filter='name eq "nat-.*"')
        page = c.subnetworks().list_next(request, page).execute()
        self.assertEqual([item["name"] for item in page["items"]], ["nat-spare"])

    def test_a_repeated_request_is_answered_by_the_same_operation(self):
        body = {"name": "n", "autoCreateSubnetworks": False}
        request_id = str(uuid.uuid4())
        first = self.client.networks().insert(project=PROJECT, body=body, requestId=request_id).execute()
        second = self.client.networks().insert(project=PROJECT, body=body, requestId=request_id).execute()
        self.assertEqual(first["name"], second["name"])


if __name__ == "__main__":
    unittest.main()
