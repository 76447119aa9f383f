"""What `privnet sandbox serve` prints is taken literally, by a shell and by Python: with it the official clients reach the sandbox."""

import json
import os
import pathlib
import subprocess
import sys
import urllib.parse

import pytest

from arm_sandbox import GROUP, ROOT

PRIVNET = pathlib.Path(os.environ.get("PRIVNET_PROGRAMS") or ROOT / "target/debug") / "privnet"


@pytest.fixture
def printed(tmp_path):
    """What is printed for Azure: all of it, and what of it is code."""
    assert PRIVNET.exists(), f"there is no {PRIVNET}: build it, or set PRIVNET_PROGRAMS"
    # A folder whose name a shell takes apart, where it stands without quotes.
    command = [PRIVNET, "sandbox", "serve", "--dir", "the world"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as serving:
        lines = []
        for line in serving.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith("# DNS"):
                break
        begin = next(at for at, line in enumerate(lines) if line.startswith("# azure"))
        section = lines[begin : lines.index("", begin)]
        yield section, "\n".join(line[4:] for line in section if line.startswith("#   "))
        serving.terminate()


def in_shell(lines, python, folder):
    """Runs Python in a shell that knows nothing but these lines."""
    script = "\n".join([*lines, f'exec "{sys.executable}" -'])
    # A script as bash reads it would take Python's lines for its own: they come by standard input.
    command = ["bash", "-c", script]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "HTTPS_PROXY": "http://127.0.0.1:1"}
    return subprocess.run(command, env=environment, input=python, capture_output=True, text=True, timeout=120, check=False)


def test_the_official_clients_go_by_what_is_printed(printed, tmp_path):
    section, code = printed
    assert code.count("\n") == 2, code
    done = in_shell(section, code + f'\nprint([one.name for one in network.virtual_networks.list("{GROUP}")])\n', tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "'hub'" in done.stdout, done.stdout


def test_terraform_finds_its_metadata_by_what_is_printed(printed, tmp_path):
    """As go-azure-sdk does: https:// before the host, and nothing but names that the metadata must hold."""
    section, _ = printed
    asked = """
import json, os, requests
host = os.environ["ARM_METADATA_HOSTNAME"]
found = requests.get(f"https://{host}/metadata/endpoints?api-version=2022-09-01", timeout=30).json()
secret = {"grant_type": "client_credentials", "client_id": os.environ["ARM_CLIENT_ID"], "client_secret": os.environ["ARM_CLIENT_SECRET"]}
scope = {"scope": found["resourceManager"] + ".default"}
login = found["authentication"]["loginEndpoint"].rstrip("/")
token = requests.post(f"{login}/{os.environ['ARM_TENANT_ID']}/oauth2/v2.0/token", data=secret | scope, timeout=30).json()["access_token"]
groups = f"{found['resourceManager']}subscriptions/{os.environ['ARM_SUBSCRIPTION_ID']}/resourceGroups?api-version=2021-04-01"
listed = requests.get(groups, headers={"Authorization": f"Bearer {token}"}, timeout=30).json()
print(json.dumps([found["name"], found["microsoftGraphResourceId"], [group["name"] for group in listed["value"]]]))
"""
    done = in_shell(section, asked, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    name, graph, groups = json.loads(done.stdout)
    assert name and urllib.parse.urlsplit(graph).hostname == "127.0.0.1", done.stdout
    assert GROUP in groups, groups


def test_privnet_goes_by_what_is_printed(printed, tmp_path):
    section, _ = printed
    script = "\n".join([*section, f'exec "{PRIVNET}" "$@"'])
    (tmp_path / "azure.yaml").write_text(
        """
version: 1
deployment: printed
consumers:
  acme: { azure: { subscriptions: [11111111-2222-3333-4444-555555555555] } }
services:
  - name: erp
    allow: { acme: {} }
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      hosted:
        resource_id: /subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers/Microsoft.Sql/managedInstances/erp
        subresource: managedInstance
"""
    )
    command = ["bash", "-c", script, "bash", "status", "azure.yaml"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "erp" in done.stdout and not done.stderr, done.stdout + done.stderr
