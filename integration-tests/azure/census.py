"""Takes a census of what is in an Azure subscription: for each URL read from standard input, one line of JSON with everything that
azure-mgmt-* lists there, a text for each thing, generated ids and addresses left out so that two runs can be compared.

It knows nothing of privnet: what it reports is what a stranger's client sees.
"""

import json
import sys

from subscription import Subscription, name_of, tags


def things(subscription):
    yield from networks(subscription.network)
    yield from balancing(subscription.network)
    yield from machines(subscription)
    yield from exposing(subscription.network)


def networks(network):
    for found in network.virtual_networks.list_all():
        yield ["network", found.name, tags(found)]
        for subnet in found.properties.subnets:
            inside = subnet.properties
            ranges = inside.address_prefixes or [inside.address_prefix]
            yield ["subnet", found.name, subnet.name, ranges, inside.private_link_service_network_policies]
    for group in network.network_security_groups.list_all():
        rules = [
            [
                rule.name, r.priority, r.direction, r.access, r.protocol,
                sorted(r.source_address_prefixes or [r.source_address_prefix]),
                sorted(r.destination_port_ranges or [r.destination_port_range]),
                sorted(r.source_port_ranges or [r.source_port_range]),
                sorted(r.destination_address_prefixes or [r.destination_address_prefix]),
            ]
            for rule in group.properties.security_rules
            for r in [rule.properties]
        ]  # fmt: skip
        yield ["security-group", group.name, group.properties.provisioning_state, tags(group), sorted(rules)]
    for address in network.public_ip_addresses.list_all():
        yield ["public-address", address.name]


def balancing(network):
    for balancer in network.load_balancers.list_all():
        inside = balancer.properties
        yield ["load-balancer", balancer.name, balancer.sku.name, inside.provisioning_state, tags(balancer)]
        for frontend in inside.frontend_ip_configurations or []:
            subnet = name_of(frontend.properties.subnet.id, 3)
            yield ["frontend", balancer.name, frontend.name, subnet, frontend.zones]
        for pool in inside.backend_address_pools or []:
            yield ["pool", balancer.name, pool.name, sorted(map(holder, pool.properties.backend_ip_configurations or []))]
        for probe in inside.probes or []:
            p = probe.properties
            yield ["probe", balancer.name, probe.name, p.protocol, p.port, p.request_path, p.interval_in_seconds, p.probe_threshold]
        for rule in inside.load_balancing_rules or []:
            r = rule.properties
            leads = [r.frontend_port, r.backend_port, r.protocol, r.idle_timeout_in_minutes, r.enable_tcp_reset]
            yield ["rule", balancer.name, rule.name, leads, name_of(r.backend_address_pool.id), name_of(r.probe.id)]


def holder(configuration):
    """Whose address it is: a machine's interface, or which group's."""
    parts = configuration.id.split("/")
    lower = [part.lower() for part in parts]
    kind = "virtualmachinescalesets" if "virtualmachinescalesets" in lower else "networkinterfaces"
    return parts[lower.index(kind) + 1]


def machines(subscription):
    for group in subscription.compute.virtual_machine_scale_sets.list_all():
        profile = group.properties.virtual_machine_profile
        image = profile.storage_profile.image_reference
        yield [
            "machines", group.name, group.properties.provisioning_state, group.sku.name, group.sku.capacity, group.zones,
            image.id or [image.publisher, image.offer, image.sku, image.version], tags(group),
        ]  # fmt: skip
        for nic in profile.network_profile.network_interface_configurations:
            inside = nic.properties
            for configuration in inside.ip_configurations:
                c = configuration.properties
                pools = [name_of(pool.id, 3) for pool in c.load_balancer_backend_address_pools or []]
                yield [
                    "machines-interface", group.name, inside.enable_ip_forwarding, name_of(inside.network_security_group.id),
                    name_of(c.subnet.id, 3), pools, c.public_ip_address_configuration is not None,
                ]  # fmt: skip
    for nic in subscription.network.network_interfaces.list_all():
        if "/virtualMachines/" not in ((nic.properties.virtual_machine and nic.properties.virtual_machine.id) or ""):
            continue  # Azure's own, of a private link service or an endpoint
        for configuration in nic.properties.ip_configurations:
            pools = configuration.properties.load_balancer_backend_address_pools or []
            yield ["interface", nic.name, configuration.name, sorted(name_of(pool.id, 3) for pool in pools)]


def exposing(network):
    for service in network.private_link_services.list_by_subscription():
        inside = service.properties
        configurations = [name_of(c.properties.subnet.id, 3) for c in inside.ip_configurations]
        yield [
            "private-link-service", service.name, inside.provisioning_state, configurations,
            [name_of(frontend.id, 3) for frontend in inside.load_balancer_frontend_ip_configurations or []],
            sorted(inside.visibility.subscriptions), sorted(inside.auto_approval.subscriptions), inside.access_mode,
            inside.enable_proxy_protocol, sorted(inside.fqdns or []), tags(service),
        ]  # fmt: skip


def main():
    for line in sys.stdin:
        found = [json.dumps(thing) for thing in things(Subscription(line.strip()))]
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
