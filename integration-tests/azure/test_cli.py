"""The Azure CLI on the sandbox: a registered cloud, a service principal, and the commands of both forms.

The CLI is large and not among the pinned requirements: it is looked for as `az`, or where PRIVNET_AZ says, and its absence is
told loudly.
"""

import json
import os
import shutil
import subprocess
import warnings

import pytest

from arm_sandbox import CONSUMER, GROUP, OWN

AZ = os.environ.get("PRIVNET_AZ") or shutil.which("az")


@pytest.fixture
def az(sandbox, tmp_path):
    if not AZ:
        message = "NOT TRIED WITH THE AZURE CLI: there is no `az` (set PRIVNET_AZ)"
        warnings.warn(message, stacklevel=1)  # told in the summary of a quiet run too
        pytest.skip(message)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AZURE_CONFIG_DIR": str(tmp_path / "azure"),
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
    return run


def test_both_forms_by_the_command_line(az, sandbox):
    assert [subnet["name"] for subnet in az("network", "vnet", "subnet", "list", "-g", GROUP, "--vnet-name", "hub")][:2] == ["lb", "fwd"]
    made = az(
        "network", "vnet", "subnet", "create", "-g", GROUP, "--vnet-name", "hub", "-n", "cli-nat",
        "--address-prefixes", "10.1.9.0/28", "--private-link-service-network-policies", "Disabled",
    )
    assert (made["provisioningState"], made["privateLinkServiceNetworkPolicies"]) == ("Succeeded", "Disabled")

    def asked():
        listed = az("network", "private-endpoint-connection", "list", "-g", GROUP, "-n", "crm", "--type", "Microsoft.Sql/servers")
        return [c for c in listed if c["properties"]["privateEndpoint"]["id"].split("/")[2] == CONSUMER]

    (connection,) = sandbox.until(asked)
    az("network", "private-endpoint-connection", "approve", "--id", connection["id"], "--description", "by hand")

    def approved():
        shown = az("network", "private-endpoint-connection", "show", "--id", connection["id"])
        return shown["properties"]["privateLinkServiceConnectionState"]["status"] == "Approved"

    assert sandbox.until(approved)
    az("network", "vnet", "subnet", "delete", "-g", GROUP, "--vnet-name", "hub", "-n", "cli-nat")
