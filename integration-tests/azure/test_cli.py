"""The Azure CLI on the sandbox: a registered cloud, a service principal, and the commands of both forms.

The CLI pins other versions of the clients than the tests' own: setup-venv.sh gives it a folder of its own, at the versions of
azure-cli.lock. PRIVNET_AZ names another one.
"""

import concurrent.futures
import json
import os
import pathlib
import subprocess

import pytest

from arm_sandbox import CONSUMER, GROUP, OWN, ROOT, Sandbox

AZ = os.environ.get("PRIVNET_AZ") or str(ROOT / "integration-tests/.venv-az/bin/az")
PRIVNET = pathlib.Path(os.environ.get("PRIVNET_PROGRAMS") or ROOT / "target/debug") / "privnet"


@pytest.fixture(scope="module")
def sandbox():
    """One for all tests here: each call of the CLI takes more than a second. They keep to services of their own."""
    running = Sandbox()
    yield running
    running.close()


@pytest.fixture(scope="module")
def az(sandbox, tmp_path_factory):
    """The CLI, logged in."""
    assert os.access(AZ, os.X_OK), f"there is no {AZ}: run integration-tests/setup-venv.sh"
    home = tmp_path_factory.mktemp("az")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AZURE_CONFIG_DIR": str(home / "azure"),
        "AZURE_CORE_COLLECT_TELEMETRY": "no",
        "AZURE_CORE_INSTANCE_DISCOVERY": sandbox.variables["AZURE_CORE_INSTANCE_DISCOVERY"],
        "REQUESTS_CA_BUNDLE": sandbox.ca,
    }

    def run(*arguments):
        command = [AZ, *arguments, "--output", "json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr[-2000:]}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    run("cloud", "register", "-n", "Sandbox", "--endpoint-resource-manager", sandbox.url)
    run("cloud", "set", "-n", "Sandbox")
    variables = sandbox.variables
    run(
        "login", "--service-principal", "-u", variables["AZURE_CLIENT_ID"], "-p", variables["AZURE_CLIENT_SECRET"],
        "--tenant", variables["AZURE_TENANT_ID"],
    )
    run("account", "set", "-s", OWN)
    run.environment = environment
    return run


def test_both_forms_by_the_command_line(az, sandbox):
    assert [subnet["name"] for subnet in az("network", "vnet", "subnet", "list", "-g", GROUP, "--vnet-name", "hub")][:2] == ["lb", "fwd"]
    subnet = ("-g", GROUP, "--vnet-name", "hub", "-n", "cli-nat")

    def asked():
        listed = az("network", "private-endpoint-connection", "list", "-g", GROUP, "-n", "crm", "--type", "Microsoft.Sql/servers")
        return [c for c in listed if c["properties"]["privateEndpoint"]["id"].split("/")[2] == CONSUMER]

    (connection,) = sandbox.until(asked)
    # Both wait for their operations, and the CLI looks every 30 seconds: at the same time.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        making = pool.submit(
            az, "network", "vnet", "subnet", "create", *subnet,
            "--address-prefixes", "10.1.9.0/28", "--private-link-service-network-policies", "Disabled",
        )
        az("network", "private-endpoint-connection", "approve", "--id", connection["id"], "--description", "by hand")
        made = making.result()
    assert (made["provisioningState"], made["privateLinkServiceNetworkPolicies"]) == ("Succeeded", "Disabled")
    shown = az("network", "private-endpoint-connection", "show", "--id", connection["id"])
    assert shown["properties"]["privateLinkServiceConnectionState"]["status"] == "Approved"
    az("network", "vnet", "subnet", "delete", *subnet, "--no-wait")
    sandbox.until(lambda: "cli-nat" not in [one.name for one in sandbox.network().subnets.list(GROUP, "hub")])


FILE = f"""
version: 1
deployment: by-cli
consumers:
  acme: {{ azure: {{ subscriptions: [{CONSUMER}] }} }}
services:
  - name: erp
    allow: {{ acme: {{}} }}
    azure:
      subscription: {OWN}
      hosted: {{ resource_id: /subscriptions/{OWN}/resourceGroups/{GROUP}/providers/Microsoft.Sql/managedInstances/erp, subresource: managedInstance }}
"""


def test_the_command_privnet_goes_by_its_login(az, sandbox, tmp_path):
    """Who has logged in with the CLI needs to tell privnet nothing: it asks `az` for a token, once a run."""
    assert PRIVNET.exists(), f"there is no {PRIVNET}: build it, or set PRIVNET_PROGRAMS"
    (tmp_path / "azure.yaml").write_text(FILE)
    calls = tmp_path / "calls"
    (tmp_path / "bin").mkdir()
    counted = tmp_path / "bin/az"
    counted.write_text(f'#!/bin/sh\necho "$@" >>"{calls}"\nexec "{AZ}" "$@"\n')
    counted.chmod(0o755)
    environment = az.environment | {
        "PATH": f"{tmp_path}/bin:{az.environment['PATH']}",
        "PRIVNET_AZURE_RESOURCE_MANAGER_URL": sandbox.url,
        "AZURE_AUTHORITY_HOST": sandbox.url,
        "SSL_CERT_FILE": sandbox.ca,
        # A managed identity comes before the CLI: nobody is asked for one outside this machine.
        "IDENTITY_ENDPOINT": "http://127.0.0.1:1",
        "IDENTITY_HEADER": "none",
    }

    def privnet(*arguments):
        command = [PRIVNET, "--audit-log", "audit.jsonl", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    service = f"/subscriptions/{OWN}/resourceGroups/{GROUP}/providers/Microsoft.Sql/managedInstances/erp"
    privnet("sandbox", "connect", service, "--as", "consumer", "--dir", sandbox.folder.name)
    shown = json.loads(privnet("accept-pending", "--yes", "--output", "json", "azure.yaml"))
    accepted = [one for one in shown["decisions"] if one["decision"] == "accepted"]
    assert [one["connection"].split("/")[2] for one in accepted] == [CONSUMER], shown
    asked = calls.read_text().splitlines()
    assert asked == [f"account get-access-token -o json --scope {sandbox.url}/.default"], asked
    log = (tmp_path / "audit.jsonl").read_text()
    assert sandbox.variables["AZURE_CLIENT_ID"] in log, log
