"""Starts a sandbox of its own for a test, and the official clients that talk to it."""

import os
import pathlib
import subprocess
import tempfile
import time

import requests
from azure.identity import ClientSecretCredential
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.sql import SqlManagementClient

ROOT = pathlib.Path(__file__).resolve().parents[2]
OWN = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
CONSUMER = "11111111-2222-3333-4444-555555555555"
STRANGER = "99999999-8888-7777-6666-555555555555"
GROUP = "rg-data"
LOCATION = "eastus2"


def command():
    """What serves a sandbox: a program that is built already, or cargo."""
    built = os.environ.get("PRIVNET_SANDBOX_SERVE")
    if built:
        return [built]
    return "cargo run -q -p privnet-sandbox --no-default-features --features azure --example serve --".split()


class Sandbox:
    """A sandbox in a folder of its own, with time running faster."""

    def __init__(self, speed=40, faults=(), lag=0):
        self.folder = tempfile.TemporaryDirectory()
        self.speed = speed
        # What is said is held to the packages' models after the tests.
        records = pathlib.Path(os.environ.get("PRIVNET_RECORDS", self.folder.name))
        self.record = records / f"{pathlib.Path(self.folder.name).name}.jsonl"
        arguments = ["--dir", self.folder.name, "--speed", str(speed), "--lag", str(lag), "--record", str(self.record)]
        for fault in faults:
            arguments += ["--fault", fault]
        self.process = subprocess.Popen(command() + arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.variables = {}
        for line in self.process.stdout:
            if line.strip() == "ready":
                break
            name, _, value = line.strip().partition("=")
            self.variables[name] = value
        if "AZURE_HTTPS_URL" not in self.variables:
            self.close()
            raise RuntimeError("the sandbox did not start, or it was built without the feature `azure`")
        self.url = self.variables["AZURE_HTTPS_URL"]
        self.http_url = self.variables["AZURE_URL"]
        self.ca = self.variables["AZURE_CA_PEM"]

    def close(self):
        self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()
        self.folder.cleanup()

    def credential(self):
        """azure-identity's service principal, against the sandbox's own authority."""
        return ClientSecretCredential(
            self.variables["AZURE_TENANT_ID"],
            self.variables["AZURE_CLIENT_ID"],
            self.variables["AZURE_CLIENT_SECRET"],
            authority=self.url,
            disable_instance_discovery=True,
            connection_verify=self.ca,
        )

    def client(self, kind, subscription=OWN):
        """An official client, unchanged; HTTPS with the sandbox's CA."""
        return kind(
            self.credential(),
            subscription,
            base_url=self.url,
            credential_scopes=[f"{self.url}/.default"],
            connection_verify=self.ca,
            polling_interval=0.1,
        )

    def network(self, subscription=OWN):
        return self.client(NetworkManagementClient, subscription)

    def compute(self):
        return self.client(ComputeManagementClient)

    def sql(self):
        return self.client(SqlManagementClient)

    def resources(self):
        return self.client(ResourceManagementClient)

    def send(self, method, path, body=None, headers=None):
        """One plain request over HTTP."""
        headers = {"Authorization": "Bearer test", **(headers or {})}
        url = path if path.startswith("http") else self.http_url + path
        return requests.request(method, url, json=body, headers=headers, timeout=30, allow_redirects=False)

    def pass_time(self, seconds):
        """Waits until that many seconds have passed in the sandbox."""
        time.sleep(seconds / self.speed)

    def until(self, probe, seconds=300):
        """The first result of `probe` that is true, within that much sandbox time."""
        deadline = time.monotonic() + seconds / self.speed + 5
        while time.monotonic() < deadline:
            found = probe()
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError("it did not come to pass")


def network_id(kind, name, group=GROUP, subscription=OWN):
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/{kind}/{name}"


def census(sandbox):
    """Everything of the user's subscription that a deployment could leave behind."""
    network, compute = sandbox.network(), sandbox.compute()
    found = [resource.id for resource in sandbox.resources().resources.list()]
    for network_resource in network.virtual_networks.list_all():
        found += [subnet.id for subnet in network_resource.subnets]
    for service in network.private_link_services.list_by_subscription():
        found += [connection.id for connection in service.private_endpoint_connections]
    found += [scale_set.id for scale_set in compute.virtual_machine_scale_sets.list_all()]
    return sorted(set(found))
