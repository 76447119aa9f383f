"""Starts a sandbox of its own for a test, and the official client that talks to it."""

import json
import os
import pathlib
import subprocess
import tempfile
import time
import warnings

import google.auth.credentials
import googleapiclient.discovery

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROJECT = "acme-data"
REGION = "us-east4"
ZONE = "us-east4-b"


def command():
    """What serves a sandbox: a program that is built already, or cargo."""
    built = os.environ.get("PRIVNET_SANDBOX_SERVE")
    if built:
        return [built]
    return "cargo run -q -p privnet-sandbox --no-default-features --features gcp --example serve --".split()


class Sandbox:
    """A sandbox in a folder of its own; `record` is the file of its exchanges."""

    def __init__(self, speed=60, faults=()):
        self.folder = tempfile.TemporaryDirectory()
        self.record = pathlib.Path(self.folder.name) / "record.jsonl"
        arguments = ["--dir", self.folder.name, "--speed", str(speed), "--record", str(self.record)]
        for fault in faults:
            arguments += ["--fault", fault]
        # The client keeps its connections; nothing here minds that they are closed by the sandbox's end.
        warnings.simplefilter("ignore", ResourceWarning)
        self.process = subprocess.Popen(command() + arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.speed = speed
        self.variables = {}
        for line in self.process.stdout:
            if line.strip() == "ready":
                break
            name, _, value = line.strip().partition("=")
            self.variables[name] = value
        self.url = self.variables.get("GCP_URL")
        if self.url is None:
            self.close()
            raise RuntimeError("no GCP sandbox was started: was it built with the feature gcp?")

    def close(self):
        self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()
        self.folder.cleanup()

    def client(self, credentials=None):
        """google-api-python-client, unchanged, with anonymous credentials unless told otherwise."""
        return googleapiclient.discovery.build(
            "compute",
            "v1",
            credentials=credentials or google.auth.credentials.AnonymousCredentials(),
            client_options={"api_endpoint": f"{self.url}/compute/v1/"},
            static_discovery=True,
            cache_discovery=False,
        )

    def pass_time(self, seconds):
        """Waits until that many seconds have passed in the sandbox."""
        time.sleep(seconds / self.speed)

    def lines(self):
        return [json.loads(text) for text in self.record.read_text().splitlines()]


class OperationFailed(Exception):
    """An operation that was answered with HTTP 200 and failed."""

    def __init__(self, operation):
        super().__init__(operation["error"])
        self.operation = operation
        self.code = operation["error"]["errors"][0]["code"]


def finish(client, request, project=PROJECT, limit=60):
    """Carries out a mutation and waits for its operation, as the documents tell clients to."""
    operation = request.execute()
    deadline = time.monotonic() + limit
    while operation["status"] != "DONE":
        if time.monotonic() > deadline:
            raise TimeoutError(operation["selfLink"])
        time.sleep(0.02)
        name = operation["name"]
        if "zone" in operation:
            zone = operation["zone"].rsplit("/", 1)[1]
            call = client.zoneOperations().wait(project=project, zone=zone, operation=name)
        elif "region" in operation:
            region = operation["region"].rsplit("/", 1)[1]
            call = client.regionOperations().wait(project=project, region=region, operation=name)
        else:
            call = client.globalOperations().wait(project=project, operation=name)
        operation = call.execute()
    if "error" in operation:
        raise OperationFailed(operation)
    return operation


def census(client, project=PROJECT):
    """Everything of a project that a privnet deployment could leave behind: collection and name, sorted."""
    found = []
    collections = {
        "addresses": client.addresses(),
        "backendServices": client.backendServices(),
        "forwardingRules": client.forwardingRules(),
        "healthChecks": client.healthChecks(),
        "instanceGroupManagers": client.instanceGroupManagers(),
        "instanceGroups": client.instanceGroups(),
        "instanceTemplates": client.instanceTemplates(),
        "instances": client.instances(),
        "networkEndpointGroups": client.networkEndpointGroups(),
        "serviceAttachments": client.serviceAttachments(),
        "subnetworks": client.subnetworks(),
    }
    for name, collection in collections.items():
        request = collection.aggregatedList(project=project)
        while request is not None:
            answer = request.execute()
            for scope, listed in answer.get("items", {}).items():
                found += [f"{scope}/{name}/{item['name']}" for item in listed.get(name, [])]
            request = collection.aggregatedList_next(request, answer)
    for name, collection in {"firewalls": client.firewalls(), "networks": client.networks()}.items():
        request = collection.list(project=project)
        while request is not None:
            answer = request.execute()
            found += [f"global/{name}/{item['name']}" for item in answer.get("items", [])]
            request = collection.list_next(request, answer)
    return sorted(found)
