"""Getting in: azure-identity's ways, over HTTPS and HTTP, and faults that clients have to stand."""

import pytest
import requests
from azure.core.exceptions import HttpResponseError
from azure.identity import ManagedIdentityCredential, WorkloadIdentityCredential

from arm_sandbox import GROUP, LOCATION, Sandbox, network_id


def test_a_service_principal_and_a_workload_identity(sandbox, tmp_path):
    scope = f"{sandbox.url}/.default"
    assert sandbox.credential().get_token(scope).token.count(".") == 2
    assertion = tmp_path / "assertion"
    assertion.write_text("federated")
    workload = WorkloadIdentityCredential(
        tenant_id=sandbox.variables["AZURE_TENANT_ID"],
        client_id="client",
        token_file_path=str(assertion),
        authority=sandbox.url,
        disable_instance_discovery=True,
        connection_verify=sandbox.ca,
    )
    assert workload.get_token(scope).token


def test_a_managed_identity(sandbox, monkeypatch):
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", sandbox.http_url)
    assert ManagedIdentityCredential().get_token("https://management.azure.com/.default").token


def test_https_is_signed_by_the_printed_ca_alone(sandbox):
    assert requests.get(f"{sandbox.url}/metadata/endpoints?api-version=2022-09-01", verify=sandbox.ca, timeout=10).ok
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{sandbox.url}/metadata/endpoints?api-version=2022-09-01", timeout=10)


def test_http_and_https_answer_links_of_their_own(sandbox):
    path = network_id("networkSecurityGroups", "nsg") + "?api-version=2024-05-01"
    answer = sandbox.send("PUT", path, {"location": LOCATION})
    assert answer.headers["Azure-AsyncOperation"].startswith(sandbox.http_url)
    # One that comes late in the first one's time is refused.
    settled = lambda: sandbox.send("GET", path).json()["properties"]["provisioningState"] == "Succeeded"
    assert sandbox.until(settled)
    public = sandbox.send("PUT", path, {"location": LOCATION, "tags": {"a": "b"}}, {"Host": "management.azure.com"})
    assert public.headers["Azure-AsyncOperation"].startswith("https://management.azure.com/subscriptions/")


def test_clients_stand_throttling_and_see_late_failures():
    faults = (
        "azure:GET Microsoft.Network/virtualNetworks:1-2:throttle",
        "azure:PUT Microsoft.Network/networkSecurityGroups:1:code=async.InternalServerError",
    )
    running = Sandbox(faults=faults)
    try:
        network = running.network()
        assert network.virtual_networks.get(GROUP, "hub").name == "hub"
        with pytest.raises(HttpResponseError) as caught:
            network.network_security_groups.begin_create_or_update(GROUP, "nsg", {"location": LOCATION}).result()
        assert caught.value.error.code == "InternalServerError"
        assert network.network_security_groups.get(GROUP, "nsg").properties.provisioning_state == "Failed"
        network.network_security_groups.begin_create_or_update(GROUP, "nsg", {"location": LOCATION}).result()
        assert network.network_security_groups.get(GROUP, "nsg").properties.provisioning_state == "Succeeded"
    finally:
        running.close()
