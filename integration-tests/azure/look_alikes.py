"""Makes things in the local cloud that look like somebody's: `look_alikes.py URL '[{"kind", "name", "tags": [[key, value]]}]'`.

It knows nothing of privnet: names and tags are given.
"""

import json
import sys

from azure.mgmt.compute import models as comp
from azure.mgmt.network import models as net
from subscription import GROUP, OWN, Subscription

LOCATION = "eastus2"


def network_id(kind, name):
    return f"/subscriptions/{OWN}/resourceGroups/{GROUP}/providers/Microsoft.Network/{kind}/{name}"


def subnet(name):
    return net.Subnet(id=network_id("virtualNetworks", f"hub/subnets/{name}"))


class Colleague(Subscription):
    def security_group(self, name, tags):
        body = net.NetworkSecurityGroup(location=LOCATION, tags=tags)
        self.network.network_security_groups.begin_create_or_update(GROUP, name, body).result()

    def load_balancer(self, name, tags):
        frontend = net.FrontendIPConfiguration(
            name="fe", properties=net.FrontendIPConfigurationPropertiesFormat(subnet=subnet("db"))
        )
        body = net.LoadBalancer(
            location=LOCATION,
            tags=tags,
            sku=net.LoadBalancerSku(name="Standard"),
            properties=net.LoadBalancerPropertiesFormat(
                frontend_ip_configurations=[frontend], backend_address_pools=[net.BackendAddressPool(name="pool")]
            ),
        )
        self.network.load_balancers.begin_create_or_update(GROUP, name, body).result()

    def private_link_service(self, name, tags):
        balancer = f"of-{name}"
        self.load_balancer(balancer, {})
        configuration = net.PrivateLinkServiceIpConfiguration(
            name="nat", properties=net.PrivateLinkServiceIpConfigurationProperties(subnet=subnet("nat"), primary=True)
        )
        frontend = net.FrontendIPConfiguration(id=network_id("loadBalancers", f"{balancer}/frontendIPConfigurations/fe"))
        body = net.PrivateLinkService(
            location=LOCATION,
            tags={**tags, "sandbox-consumers": "none"},
            properties=net.PrivateLinkServiceProperties(
                ip_configurations=[configuration],
                load_balancer_frontend_ip_configurations=[frontend],
                visibility=net.PrivateLinkServicePropertiesVisibility(subscriptions=[]),
                auto_approval=net.PrivateLinkServicePropertiesAutoApproval(subscriptions=[]),
            ),
        )
        self.network.private_link_services.begin_create_or_update(GROUP, name, body).result()

    def machines(self, name, tags):
        key = comp.SshPublicKey(path="/home/colleague/.ssh/authorized_keys", key_data="ssh-ed25519 AAAA")
        linux = comp.LinuxConfiguration(
            disable_password_authentication=True, ssh=comp.SshConfiguration(public_keys=[key])
        )
        configuration = comp.VirtualMachineScaleSetIPConfiguration(
            name="ip",
            properties=comp.VirtualMachineScaleSetIPConfigurationProperties(
                subnet=comp.ApiEntityReference(id=network_id("virtualNetworks", "hub/subnets/fwd"))
            ),
        )
        nic = comp.VirtualMachineScaleSetNetworkConfiguration(
            name="nic",
            properties=comp.VirtualMachineScaleSetNetworkConfigurationProperties(
                primary=True, ip_configurations=[configuration]
            ),
        )
        image = comp.ImageReference(publisher="Debian", offer="debian-12", sku="12-gen2", version="latest")
        # The census asks for a security group of every interface.
        self.security_group(f"of-{name}", {})
        nic.properties.network_security_group = comp.SubResource(id=network_id("networkSecurityGroups", f"of-{name}"))
        body = comp.VirtualMachineScaleSet(
            location=LOCATION,
            tags=tags,
            sku=comp.Sku(name="Standard_D2s_v5", capacity=1),
            properties=comp.VirtualMachineScaleSetProperties(
                orchestration_mode="Uniform",
                upgrade_policy=comp.UpgradePolicy(mode="Manual"),
                virtual_machine_profile=comp.VirtualMachineScaleSetVMProfile(
                    os_profile=comp.VirtualMachineScaleSetOSProfile(
                        computer_name_prefix="theirs", admin_username="colleague", linux_configuration=linux
                    ),
                    storage_profile=comp.VirtualMachineScaleSetStorageProfile(image_reference=image),
                    network_profile=comp.VirtualMachineScaleSetNetworkProfile(
                        network_interface_configurations=[nic]
                    ),
                ),
            ),
        )
        self.compute.virtual_machine_scale_sets.begin_create_or_update(GROUP, name, body).result()


def main(url, things):
    colleague = Colleague(url)
    make = {
        "security-group": colleague.security_group,
        "load-balancer": colleague.load_balancer,
        "private-link-service": colleague.private_link_service,
        "machines": colleague.machines,
    }
    for thing in things:
        make[thing["kind"]](thing["name"], dict(thing["tags"]))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
