"""The life of a private link service, by azure-mgmt-network and azure-mgmt-compute."""

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.network import models as net

from arm_sandbox import CONSUMER, GROUP, LOCATION, STRANGER, Sandbox, census, network_id


def refused(code, call, *arguments, **named):
    with pytest.raises(HttpResponseError) as caught:
        poller = call(*arguments, **named)
        if hasattr(poller, "result"):
            poller.result()
    assert caught.value.error.code == code, caught.value
    return caught.value


def balancer_body(name="lb"):
    own = network_id("loadBalancers", name)
    return net.LoadBalancer(
        location=LOCATION,
        sku=net.LoadBalancerSku(name="Standard"),
        properties=net.LoadBalancerPropertiesFormat(
            frontend_ip_configurations=[
                net.FrontendIPConfiguration(
                    name="fe",
                    properties=net.FrontendIPConfigurationPropertiesFormat(
                        subnet=net.Subnet(id=network_id("virtualNetworks", "hub/subnets/lb"))
                    ),
                )
            ],
            backend_address_pools=[net.BackendAddressPool(name="pool")],
            probes=[
                net.Probe(
                    name="health",
                    properties=net.ProbePropertiesFormat(protocol="Http", port=8080, request_path="/1433"),
                )
            ],
            load_balancing_rules=[
                net.LoadBalancingRule(
                    name="r1433",
                    properties=net.LoadBalancingRulePropertiesFormat(
                        frontend_ip_configuration=net.SubResource(id=f"{own}/frontendIPConfigurations/fe"),
                        backend_address_pool=net.SubResource(id=f"{own}/backendAddressPools/pool"),
                        probe=net.SubResource(id=f"{own}/probes/health"),
                        protocol="Tcp",
                        frontend_port=1433,
                        backend_port=1433,
                    ),
                )
            ],
        ),
    )


def service_body(visible=(CONSUMER,), subnet="nat-new", access_mode="Restricted"):
    return net.PrivateLinkService(
        location=LOCATION,
        tags={"privnet-deployment": "proof"},
        properties=net.PrivateLinkServiceProperties(
            ip_configurations=[
                net.PrivateLinkServiceIpConfiguration(
                    name="nat-0",
                    properties=net.PrivateLinkServiceIpConfigurationProperties(
                        subnet=net.Subnet(id=network_id("virtualNetworks", f"hub/subnets/{subnet}")), primary=True
                    ),
                )
            ],
            load_balancer_frontend_ip_configurations=[
                net.FrontendIPConfiguration(id=network_id("loadBalancers", "lb/frontendIPConfigurations/fe"))
            ],
            visibility=net.PrivateLinkServicePropertiesVisibility(subscriptions=list(visible)),
            auto_approval=net.PrivateLinkServicePropertiesAutoApproval(subscriptions=[]),
            access_mode=access_mode,
        ),
    )


def scale_set_body():
    from azure.mgmt.compute import models as comp

    return comp.VirtualMachineScaleSet(
        location=LOCATION,
        zones=["1", "2", "3"],
        sku=comp.Sku(name="Standard_D2s_v5", capacity=2),
        properties=comp.VirtualMachineScaleSetProperties(
            orchestration_mode="Uniform",
            overprovision=False,
            upgrade_policy=comp.UpgradePolicy(mode="Manual"),
            virtual_machine_profile=comp.VirtualMachineScaleSetVMProfile(
                os_profile=comp.VirtualMachineScaleSetOSProfile(
                    computer_name_prefix="fwd",
                    admin_username="privnet",
                    custom_data="I2Nsb3VkLWNvbmZpZw==",
                    linux_configuration=comp.LinuxConfiguration(
                        disable_password_authentication=True,
                        ssh=comp.SshConfiguration(
                            public_keys=[
                                comp.SshPublicKey(path="/home/privnet/.ssh/authorized_keys", key_data="ssh-ed25519 AAAA")
                            ]
                        ),
                    ),
                ),
                storage_profile=comp.VirtualMachineScaleSetStorageProfile(
                    image_reference=comp.ImageReference(
                        publisher="Debian", offer="debian-12", sku="12-gen2", version="latest"
                    )
                ),
                network_profile=comp.VirtualMachineScaleSetNetworkProfile(
                    network_interface_configurations=[
                        comp.VirtualMachineScaleSetNetworkConfiguration(
                            name="nic",
                            properties=comp.VirtualMachineScaleSetNetworkConfigurationProperties(
                                primary=True,
                                enable_ip_forwarding=True,
                                network_security_group=comp.SubResource(id=network_id("networkSecurityGroups", "nsg")),
                                ip_configurations=[
                                    comp.VirtualMachineScaleSetIPConfiguration(
                                        name="ip",
                                        properties=comp.VirtualMachineScaleSetIPConfigurationProperties(
                                            subnet=comp.ApiEntityReference(
                                                id=network_id("virtualNetworks", "hub/subnets/fwd")
                                            ),
                                            load_balancer_backend_address_pools=[
                                                comp.SubResource(id=network_id("loadBalancers", "lb/backendAddressPools/pool"))
                                            ],
                                        ),
                                    )
                                ],
                            ),
                        )
                    ]
                ),
            ),
        ),
    )


def build(network, compute):
    """NAT subnet, security group, load balancer, machines, service: in the documented order."""
    subnet = network.subnets.begin_create_or_update(
        GROUP,
        "hub",
        "nat-new",
        net.Subnet(
            properties=net.SubnetPropertiesFormat(
                address_prefix="10.1.9.0/28", private_link_service_network_policies="Disabled"
            )
        ),
    ).result()
    assert subnet.properties.provisioning_state == "Succeeded"
    rule = net.SecurityRule(
        name="nat",
        properties=net.SecurityRulePropertiesFormat(
            protocol="Tcp",
            access="Allow",
            direction="Inbound",
            priority=100,
            source_address_prefix="10.1.9.0/28",
            destination_address_prefix="*",
            source_port_range="*",
            destination_port_range="1433",
        ),
    )
    group = net.NetworkSecurityGroup(
        location=LOCATION, properties=net.NetworkSecurityGroupPropertiesFormat(security_rules=[rule])
    )
    assert len(network.network_security_groups.begin_create_or_update(GROUP, "nsg", group).result().properties.security_rules) == 1
    balancer = network.load_balancers.begin_create_or_update(GROUP, "lb", balancer_body()).result()
    assert balancer.properties.frontend_ip_configurations[0].properties.private_ip_address.startswith("10.1.1.")
    machines = compute.virtual_machine_scale_sets.begin_create_or_update(GROUP, "fwd", scale_set_body()).result()
    assert machines.properties.provisioning_state == "Succeeded"
    assert machines.properties.virtual_machine_profile.os_profile.custom_data is None
    service = network.private_link_services.begin_create_or_update(GROUP, "svc", service_body()).result()
    assert service.properties.provisioning_state == "Succeeded"
    return service


def test_the_whole_life(sandbox):
    network, compute = sandbox.network(), sandbox.compute()
    before = census(sandbox)
    service = build(network, compute)
    assert service.properties.alias.endswith(".eastus2.azure.privatelinkservice")

    def healthy():
        answer = network.load_balancer_load_balancing_rules.begin_health(GROUP, "lb", "r1433").result()
        return answer.up == 2 and answer.down == 0 and answer

    health = sandbox.until(healthy)
    assert {backend.state for backend in health.load_balancer_backend_addresses} == {"Up"}
    instances = list(compute.virtual_machine_scale_set_vms.list(GROUP, "fwd"))
    assert [instance.zones for instance in instances] == [["1"], ["2"]]

    def pending():
        listed = network.private_link_services.list_private_endpoint_connections(GROUP, "svc")
        return [connection for connection in listed]

    (connection,) = sandbox.until(pending)
    state = connection.properties.private_link_service_connection_state
    assert (state.status, connection.properties.private_endpoint.id.split("/")[2]) == ("Pending", CONSUMER)
    state.status, state.description = "Approved", "the consumer of the policy"
    # The client takes 200 alone.
    network.private_link_services.update_private_endpoint_connection(GROUP, "svc", connection.name, connection)

    def settled():
        read = network.private_link_services.get_private_endpoint_connection(GROUP, "svc", connection.name)
        return read.properties.provisioning_state == "Succeeded" and read

    assert sandbox.until(settled).properties.private_link_service_connection_state.status == "Approved"
    theirs = sandbox.network(CONSUMER).private_endpoints.get("rg-consumer", "pe-svc")
    request = theirs.properties.manual_private_link_service_connections[0].properties
    assert request.private_link_service_connection_state.status == "Approved"
    alias = net.CheckPrivateLinkServiceVisibilityRequest(private_link_service_alias=service.properties.alias)
    for subscription, visible in ((CONSUMER, True), (STRANGER, False)):
        calls = sandbox.network(subscription).private_link_services
        assert calls.begin_check_private_link_service_visibility(LOCATION, alias).result().visible is visible

    refused("PrivateLinkServiceWithPrivateEndpointConnectionsCannotBeDeleted", network.private_link_services.begin_delete, GROUP, "svc")
    network.private_link_services.begin_delete_private_endpoint_connection(GROUP, "svc", connection.name).result()
    theirs = sandbox.network(CONSUMER).private_endpoints.get("rg-consumer", "pe-svc")
    request = theirs.properties.manual_private_link_service_connections[0].properties
    assert request.private_link_service_connection_state.status == "Disconnected"

    refused("CannotDeleteLoadBalancerWithPrivateLinkService", network.load_balancers.begin_delete, GROUP, "lb")
    network.private_link_services.begin_delete(GROUP, "svc").result()
    refused("LoadBalancerInUseByVirtualMachineScaleSet", network.load_balancers.begin_delete, GROUP, "lb")
    compute.virtual_machine_scale_sets.begin_delete(GROUP, "fwd").result()
    network.load_balancers.begin_delete(GROUP, "lb").result()
    network.network_security_groups.begin_delete(GROUP, "nsg").result()
    network.subnets.begin_delete(GROUP, "hub", "nat-new").result()
    with pytest.raises(ResourceNotFoundError):
        network.private_link_services.get(GROUP, "svc")
    assert census(sandbox) == before


def test_a_users_own_interface_joins_the_pool(sandbox):
    network = sandbox.network()
    network.load_balancers.begin_create_or_update(GROUP, "lb", balancer_body()).result()
    interface = network.network_interfaces.get(GROUP, "db-1-nic")
    interface.properties.ip_configurations[0].properties.load_balancer_backend_address_pools = [
        net.BackendAddressPool(id=network_id("loadBalancers", "lb/backendAddressPools/pool"))
    ]
    joined = network.network_interfaces.begin_create_or_update(GROUP, "db-1-nic", interface).result()
    assert joined.properties.virtual_machine.id.endswith("/db-1")
    pool = network.load_balancer_backend_address_pools.get(GROUP, "lb", "pool")
    assert [member.id for member in pool.properties.backend_ip_configurations] == [
        network_id("networkInterfaces", "db-1-nic/ipConfigurations/ipconfig1")
    ]


def test_refusals_have_their_codes(sandbox):
    network = sandbox.network()
    network.load_balancers.begin_create_or_update(GROUP, "lb", balancer_body()).result()
    create = network.private_link_services.begin_create_or_update
    refused(
        "PrivateLinkServiceCannotBeCreatedInSubnetThatHasNetworkPoliciesEnabled",
        create, GROUP, "svc", service_body(subnet="nat-policed"),
    )
    refused("InvalidResourceReference", create, GROUP, "svc", service_body(subnet="nowhere"))
    refused("InUseSubnetCannotBeDeleted", network.subnets.begin_delete, GROUP, "hub", "lb")
    plain = balancer_body("lb")
    plain.properties.backend_address_pools[0].properties = net.BackendAddressPoolPropertiesFormat(
        load_balancer_backend_addresses=[
            net.LoadBalancerBackendAddress(
                name="db",
                properties=net.LoadBalancerBackendAddressPropertiesFormat(
                    ip_address="10.1.3.4", virtual_network=net.SubResource(id=network_id("virtualNetworks", "hub"))
                ),
            )
        ]
    )
    network.load_balancers.begin_create_or_update(GROUP, "lb", plain).result()
    refused("PrivateLinkServiceIsNotSupportedForIPBasedLoadBalancer", create, GROUP, "svc", service_body(subnet="nat"))


def test_a_stranger_asks_where_the_alias_is_enough(sandbox):
    network = sandbox.network()
    network.load_balancers.begin_create_or_update(GROUP, "lb", balancer_body()).result()
    body = service_body(subnet="nat", access_mode="Default")
    network.private_link_services.begin_create_or_update(GROUP, "svc", body).result()

    def asked():
        service = network.private_link_services.get(GROUP, "svc")
        found = {c.properties.private_endpoint.id.split("/")[2] for c in service.properties.private_endpoint_connections}
        return len(found) == 2 and found

    assert sandbox.until(asked) == {CONSUMER, STRANGER}


def test_etags_guard_a_write(sandbox):
    network = sandbox.network()
    network.load_balancers.begin_create_or_update(GROUP, "lb", balancer_body()).result()
    seen = network.load_balancers.get(GROUP, "lb")
    seen.tags = {"by": "somebody else"}
    network.load_balancers.begin_create_or_update(GROUP, "lb", seen).result()
    headers = {"If-Match": seen.etag}
    error = refused("PreconditionFailed", network.load_balancers.begin_create_or_update, GROUP, "lb", seen, headers=headers)
    assert error.status_code == 412
    fresh = network.load_balancers.get(GROUP, "lb")
    network.load_balancers.begin_create_or_update(GROUP, "lb", fresh, headers={"If-Match": fresh.etag}).result()


@pytest.fixture
def slow_sandbox():
    """One where a write is overtaken also by a client that a busy machine keeps waiting for a second."""
    running = Sandbox(speed=1)
    yield running
    running.close()


def test_parallel_writes_under_one_network_cancel_each_other(slow_sandbox):
    network = slow_sandbox.network()

    def body(prefix):
        return net.Subnet(properties=net.SubnetPropertiesFormat(address_prefix=prefix))

    first = network.subnets.begin_create_or_update(GROUP, "hub", "one", body("10.1.20.0/28"))
    second = network.subnets.begin_create_or_update(GROUP, "hub", "two", body("10.1.20.16/28"))
    second.result()
    with pytest.raises(HttpResponseError) as caught:
        first.result()
    assert "CanceledAndSupersededDueToAnotherOperation" in str(caught.value)
    again = network.subnets.begin_create_or_update(GROUP, "hub", "one", body("10.1.20.0/28")).result()
    assert again.properties.provisioning_state == "Succeeded"
