"""Recorded exchanges with the public API against the checker and the sandbox. Skipped, loudly, where there are none.

PRIVNET_RECORDINGS names a folder that has `gcp/*__http.log`: golden logs of k8s-config-connector (Apache-2.0), in which
ids are placeholders.
"""

import json
import os
import pathlib
import re
import sys
import unittest

import discovery_check
from sandbox import ROOT, Sandbox

FOLDER = pathlib.Path(os.environ.get("PRIVNET_RECORDINGS", ROOT.parent / "shared" / "recordings")) / "gcp"
LOGS = sorted(FOLDER.glob("*__http.log"))
if not LOGS:
    print("SKIPPED: no recordings of the public API, so nothing is compared with them", file=sys.stderr)

FILLED = {"projectId": "acme-data", "operationID": "operation-1", "projectNumber": "123456789012"}
# What a recording has and the discovery document does not: the recorder's placeholder for an id.
PLACEHOLDER = "targetId"


def exchanges():
    for log in LOGS:
        text = re.sub(r"\$\{(\w+)\}", lambda found: FILLED.get(found[1], found[1].lower()), log.read_text())
        for part in text.split("\n---\n"):
            blocks = part.strip().split("\n\n")
            method, url = blocks[0].split("\n")[0].split(" ")
            if "compute.googleapis.com" not in url:
                continue
            answer = next(i for i, block in enumerate(blocks) if re.match(r"\d{3} ", block))
            body = "\n\n".join(blocks[1:answer])
            response = json.loads("\n\n".join(blocks[answer + 1 :]) or "{}")
            response.pop(PLACEHOLDER, None)
            yield {
                "cloud": "gcp",
                "method": method,
                "path": url.split("compute.googleapis.com")[1],
                "body": body,
                "status": int(blocks[answer].split(" ")[0]),
                "response": json.dumps(response),
            }


@unittest.skipUnless(LOGS, "no recordings")
class Recordings(unittest.TestCase):
    def test_the_checker_takes_what_the_public_api_says(self):
        checker = discovery_check.Checker()
        for line in exchanges():
            checker.exchange(line)
        self.assertEqual(checker.problems, [])
        self.assertGreater(sum(checker.seen.values()), 50)

    def test_the_sandbox_answers_with_the_same_members(self):
        recorded = {}
        for line in exchanges():
            response = json.loads(line["response"])
            kind = response.get("kind") or ("error" if "error" in response else None)
            failed = "failed " if kind == "compute#operation" and "error" in response else ""
            done = f"{failed}{kind} {response.get('status', '')}".strip()
            recorded.setdefault(done, set()).update(response if kind != "error" else response["error"])
        sandbox = Sandbox()
        self.addCleanup(sandbox.close)
        client = sandbox.client()
        operation = client.networks().insert(project="acme-data", body={"name": "n", "autoCreateSubnetworks": False}).execute()
        sandbox.pass_time(60)
        done = client.globalOperations().get(project="acme-data", operation=operation["name"]).execute()
        network = client.networks().get(project="acme-data", network="n").execute()
        subnetwork = client.subnetworks().get(project="acme-data", region="us-east4", subnetwork="ilb").execute()
        refused = client.networks().delete(project="acme-data", network="prod").execute()
        sandbox.pass_time(60)
        refused = client.globalOperations().get(project="acme-data", operation=refused["name"]).execute()
        here = {"targetId"}
        optional = {"enableUlaInternalIpv6", "internalIpv6Range", "networkProfile", "region", "zone", "enableFlowLogs", "logConfig", "purpose"}
        for kind, ours in [
            ("compute#operation DONE", done),
            ("failed compute#operation DONE", refused),
            ("compute#network", network),
            ("compute#subnetwork", subnetwork),
        ]:
            self.assertEqual(recorded[kind] - set(ours) - optional, set(), f"{kind}: recorded, but not here")
            self.assertEqual(set(ours) - recorded[kind] - optional - here, set(), f"{kind}: here, but not recorded")


if __name__ == "__main__":
    unittest.main()
