"""The life of a single machine on a network interface, by azure-mgmt-compute and azure-mgmt-network."""

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.compute import models as comp
from azure.mgmt.network import models as net

from arm_sandbox import GROUP, LOCATION, OWN, census, network_id

MACHINE = f"/subscriptions/{OWN}/resourceGroups/{GROUP}/providers/Microsoft.Compute/virtualMachines/db-3"


def refused(code, call, *arguments):
    with pytest.raises(HttpResponseError) as caught:
        call(*arguments).result()
    assert caught.value.error.code == code, caught.value


def make_interface(network, name):
    body = net.NetworkInterface(
        location=LOCATION,
        properties=net.NetworkInterfacePropertiesFormat(
            ip_configurations=[
                net.NetworkInterfaceIPConfiguration(
                    name="ip",
                    properties=net.NetworkInterfaceIPConfigurationPropertiesFormat(
                        subnet=net.Subnet(id=network_id("virtualNetworks", "hub/subnets/db"))
                    ),
                )
            ]
        ),
    )
    return network.network_interfaces.begin_create_or_update(GROUP, name, body).result()


def machine_body(interface):
    return comp.VirtualMachine(
        location=LOCATION,
        zones=["1"],
        tags={"role": "database"},
        properties=comp.VirtualMachineProperties(
            hardware_profile=comp.HardwareProfile(vm_size="Standard_D2s_v5"),
            storage_profile=comp.StorageProfile(
                image_reference=comp.ImageReference(publisher="Debian", offer="debian-12", sku="12-gen2", version="latest")
            ),
            os_profile=comp.OSProfile(
                computer_name="db-3", admin_username="privnet", admin_password="Hush-hush-1", custom_data="I2Nsb3VkLWNvbmZpZw=="
            ),
            network_profile=comp.NetworkProfile(
                network_interfaces=[
                    comp.NetworkInterfaceReference(
                        id=network_id("networkInterfaces", interface),
                        properties=comp.NetworkInterfaceReferenceProperties(primary=True),
                    )
                ]
            ),
        ),
    )


def test_a_machine_is_made_read_and_deleted(sandbox):
    network, compute = sandbox.network(), sandbox.compute()
    machines = compute.virtual_machines
    before = census(sandbox)
    assert make_interface(network, "db-3-nic").properties.virtual_machine is None

    made = machines.begin_create_or_update(GROUP, "db-3", machine_body("db-3-nic")).result()
    assert (made.id, made.properties.provisioning_state) == (MACHINE, "Succeeded")
    assert made.properties.vm_id and made.properties.storage_profile.os_disk.os_type == "Linux"
    system = made.properties.os_profile
    assert (system.admin_username, system.admin_password, system.custom_data) == ("privnet", None, None)

    view = machines.instance_view(GROUP, "db-3")
    assert [status.code for status in view.statuses] == ["ProvisioningState/succeeded", "PowerState/running"]
    expanded = machines.get(GROUP, "db-3", expand="instanceView")
    assert expanded.properties.instance_view.statuses[1].display_status == "VM running"
    for listed in (machines.list(GROUP), machines.list_all()):
        assert {"db-1", "db-2", "db-3"} == {machine.name for machine in listed}

    interface = network.network_interfaces.get(GROUP, "db-3-nic")
    assert interface.properties.virtual_machine.id == MACHINE and interface.properties.primary
    refused("NicInUse", network.network_interfaces.begin_delete, GROUP, "db-3-nic")
    refused("NicInUse", machines.begin_create_or_update, GROUP, "db-4", machine_body("db-3-nic"))
    refused("InvalidResourceReference", machines.begin_create_or_update, GROUP, "db-4", machine_body("nowhere"))
    with pytest.raises(ResourceNotFoundError):
        machines.get(GROUP, "db-4")

    made.tags = {"role": "spare"}
    assert machines.begin_create_or_update(GROUP, "db-3", made).result().tags == {"role": "spare"}
    changed = machines.begin_update(GROUP, "db-3", comp.VirtualMachineUpdate(tags={"role": "database"})).result()
    assert (changed.tags, changed.properties.vm_id) == ({"role": "database"}, made.properties.vm_id)

    machines.begin_delete(GROUP, "db-3").result()
    with pytest.raises(ResourceNotFoundError):
        machines.get(GROUP, "db-3")
    assert network.network_interfaces.get(GROUP, "db-3-nic").properties.virtual_machine is None
    network.network_interfaces.begin_delete(GROUP, "db-3-nic").result()
    assert census(sandbox) == before
