"""gcloud, unchanged, carries out the vendor's steps 1 to 11 on the sandbox. Skipped, loudly, where it is not installed."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import discovery_check
from sandbox import Sandbox

GCLOUD = shutil.which("gcloud")
if GCLOUD is None:
    print("SKIPPED: gcloud is not installed, so nothing is proved about it here", file=sys.stderr)


@unittest.skipIf(GCLOUD is None, "gcloud is not installed")
class Gcloud(unittest.TestCase):
    def setUp(self):
        self.sandbox = Sandbox()
        self.addCleanup(self.sandbox.close)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        quiet = {
            # A configuration of its own: no account and no project of whoever runs this.
            "CLOUDSDK_CONFIG": folder.name,
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
        }
        self.environment = os.environ | self.sandbox.variables | quiet

    def run_gcloud(self, text):
        return subprocess.run(
            [GCLOUD, "compute", *text.split(), "--format=json"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def gcloud(self, text):
        done = self.run_gcloud(text)
        self.assertEqual(done.returncode, 0, f"gcloud compute {text}\n{done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def test_steps_1_to_11(self):
        for step in [
            "network-endpoint-groups create neg --network prod --subnet ilb --network-endpoint-type gce-vm-ip --zone us-east4-b",
            "network-endpoint-groups update neg --zone us-east4-b --add-endpoint=instance=db-1",
            "health-checks create tcp hc --region us-east4 --check-interval=60s --port=5432",
            "backend-services create bs --region=us-east4 --health-checks=hc --health-checks-region=us-east4"
            " --load-balancing-scheme=INTERNAL",
            "backend-services add-backend bs --region=us-east4 --network-endpoint-group=neg"
            " --network-endpoint-group-zone=us-east4-b",
            "networks subnets create rules --network prod --region us-east4 --range=10.8.0.0/24",
            "forwarding-rules create fr --backend-service=bs --region us-east4 --load-balancing-scheme=INTERNAL"
            " --ports=5432 --subnet=rules --network=prod",
            "networks subnets create nat --network prod --region us-east4 --range=10.8.1.0/24"
            " --purpose=PRIVATE_SERVICE_CONNECT",
            "firewall-rules create from-nat --direction=INGRESS --priority=1000 --network=prod --action=ALLOW"
            " --rules=tcp:5432 --source-ranges=10.8.0.0/24,10.8.1.0/24",
            "firewall-rules create from-probers --direction=INGRESS --priority=1000 --network=prod --action=ALLOW"
            " --rules=tcp:5432 --source-ranges=35.191.0.0/16,130.211.0.0/22",
            "service-attachments create sa --producer-forwarding-rule=fr --connection-preference=ACCEPT_MANUAL"
            " --region=us-east4 --nat-subnets nat",
        ]:
            self.gcloud(step)
        self.sandbox.pass_time(200)
        health = self.gcloud("backend-services get-health bs --region us-east4")
        self.assertEqual(health[0]["status"]["healthStatus"][0]["healthState"], "HEALTHY")
        shown = self.gcloud("service-attachments describe sa --region us-east4")
        self.assertEqual({e["status"] for e in shown["connectedEndpoints"]}, {"PENDING"})
        # The vendor's own note has an underscore, which no project id can have.
        refused = self.run_gcloud("service-attachments update sa --region us-east4 --consumer-accept-list=fivetran_donkeys=2")
        self.assertNotEqual(refused.returncode, 0)
        self.gcloud("service-attachments update sa --region us-east4 --consumer-accept-list=fivetran-donkeys=2")
        shown = self.gcloud("service-attachments describe sa --region us-east4")
        states = {e["endpoint"].split("/")[6]: e["status"] for e in shown["connectedEndpoints"]}
        self.assertEqual(states, {"fivetran-donkeys": "ACCEPTED", "mallory-labs": "PENDING"})
        for step in [
            "service-attachments delete sa --region us-east4",
            "forwarding-rules delete fr --region us-east4",
            "backend-services delete bs --region us-east4",
            "network-endpoint-groups delete neg --zone us-east4-b",
            "health-checks delete hc --region us-east4",
            "firewall-rules delete from-nat from-probers",
            "networks subnets delete nat rules --region us-east4",
        ]:
            self.gcloud(step)
        self.check_record()

    def test_lists(self):
        names = lambda text: sorted(item["name"] for item in self.gcloud(text))
        self.assertEqual(names("service-attachments list"), ["shared-db"])
        self.assertEqual(names("instances list --filter=zone:us-east4-b"), ["db-1", "db-hosted"])
        self.assertEqual(names("networks subnets list --regions us-east4"), ["data", "ilb", "nat-shared-db", "nat-spare"])
        self.assertEqual(names("forwarding-rules list"), ["shared-db"])
        self.assertEqual(self.gcloud("images describe-from-family debian-12 --project debian-cloud")["family"], "debian-12")
        self.check_record()

    def check_record(self):
        problems, seen = discovery_check.check([self.sandbox.record])
        # What is gcloud's own: it writes booleans as Python does, and sends a parameter that has gone since.
        own = ("unknown parameter returnPartialSuccess", "='True' is no boolean")
        problems = [problem for problem in problems if not problem.endswith(own)]
        self.assertEqual(problems, [])
        self.assertTrue(seen)


if __name__ == "__main__":
    unittest.main()
